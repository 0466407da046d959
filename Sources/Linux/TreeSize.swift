internal import Core

/// How much the files below directories take. A file with several names counts once; what vanishes while it is counted,
/// or may not be looked into, counts nothing.
public struct TreeSize: Sendable {
  /// Bytes that the regular files hold.
  public private(set) var content: Int64 = 0
  /// Bytes of everything on disk, directories too.
  public private(set) var allocated: Int64 = 0
  private var counted: Set<UInt64>

  /// Nothing yet; the inodes `passingOver` count nothing where they have several names.
  public init(passingOver: Set<UInt64> = []) { counted = passingOver }

  /// The size of what is below `path`; nothing if that is no directory.
  public init(of path: String) throws {
    self.init()
    try add(path)
  }

  /// Adds what is below the directory `path`.
  public mutating func add(_ path: String) throws {
    guard let directory = try Self.unlessGone({ try Directory(path) }) else { return }
    try add(directory)
  }

  private mutating func add(_ directory: Directory) throws {
    for name in try Self.unlessGone({ try directory.entries() }) ?? [] {
      guard let status = try Self.unlessGone({ try directory.entryStatus(name) }) else { continue }
      if status.linkCount > 1, status.kind != .directory, !counted.insert(status.inode).inserted { continue }
      allocated += status.allocated
      if status.kind == .regular { content += status.size }
      guard status.kind == .directory else { continue }
      if let below = try Self.unlessGone({ try directory.directory(TreePath.root.child(name)) }) { try add(below) }
    }
  }

  private static func unlessGone<T>(_ body: () throws -> T) throws -> T? {
    do {
      return try body()
    } catch let error as SystemError
      where [.noEntry, .notDirectory, .loop, .accessDenied].contains(error.code)
    {
      return nil
    }
  }
}
