internal import Core
public import FileTree
internal import Linux
public import Store

/// The directory that a build copies from, without what its ignore file excludes.
public struct BuildContext: Sendable {
  /// As the user wrote it.
  public let path: String
  public let tree: HostTree
  /// The ignore file's patterns with the name of the file, or nil when there is none.
  public let ignore: IgnorePatterns?
  public let ignoreName: String?
  /// What earlier builds learned of the files' contents; `saveIndex` keeps what this one learns.
  let index: ContextIndex?
  /// Contents that were read for a key, until they are copied.
  let contents = ContentStore()

  /// Opens the context; throws a `Failure` if a pattern of the ignore file is malformed. `store` keeps what is known of
  /// its files from build to build.
  public init(path: String, ignoreFile: (name: String, content: [UInt8])?, store: Store? = nil) throws {
    self.path = path
    ignoreName = ignoreFile?.name
    ignore = try ignoreFile.map { file in
      do {
        return try IgnorePatterns(IgnoreFile(file.content, name: file.name))
      } catch let failure as Failure {
        throw failure.during("read \(file.name)")
      }
    }
    let directory = try Directory(path)
    tree = HostTree(directory, ignore: ignore)
    index = try store.map { try $0.contextIndex(of: directory) }
  }

  /// Keeps what was learned of the files for the next build. Without it the next one reads more, so no error counts.
  public func saveIndex() { try? index?.save() }
}
