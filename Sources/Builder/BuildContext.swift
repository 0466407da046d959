internal import Core
public import FileTree
internal import Linux

/// The directory that a build copies from, without what its ignore file excludes.
public struct BuildContext: Sendable {
  /// As the user wrote it.
  public let path: String
  public let tree: HostTree
  /// The ignore file's patterns with the name of the file, or nil when there is none.
  public let ignore: IgnorePatterns?
  public let ignoreName: String?

  /// Opens the context; throws a `Failure` if a pattern of the ignore file is malformed.
  public init(path: String, ignoreFile: (name: String, content: [UInt8])?) throws {
    self.path = path
    ignoreName = ignoreFile?.name
    ignore = try ignoreFile.map { file in
      do {
        return try IgnorePatterns(IgnoreFile(file.content, name: file.name))
      } catch let failure as Failure {
        throw failure.during("read \(file.name)")
      }
    }
    tree = HostTree(try Directory(path), ignore: ignore)
  }
}
