internal import Builder
internal import Core
internal import Dockerfile
internal import FileTree
internal import Linux
internal import Store

/// The Dockerfile of a build, read and parsed, and where its context is.
struct BuildSources: Sendable {
  let document: DockerfileDocument
  /// The context's directory.
  let contextPath: String
  /// The text of the ignore file with its name, or nil when there is none.
  let ignoreFile: (name: String, content: [UInt8])?

  /// Dockerfiles are read whole: 16 MiB is far beyond any that was ever written.
  private static let sizeLimit = 16 << 20

  init(_ request: BuildRequest) throws {
    guard let status = try Self.readable({ try HostPath.status(request.context) }, request.context) else {
      throw Failure(
        "open build context \(request.context)", "no such directory",
        hint: "give the directory that holds the files to build from: stave build -t NAME DIRECTORY")
    }
    guard status.kind == .directory else {
      throw Failure("open build context \(request.context)", "not a directory")
    }
    contextPath = request.context
    var path: String?
    let name: String
    let bytes: [UInt8]
    switch request.dockerfile {
    case .bytes(let given):
      name = "Dockerfile"
      bytes = given
    case .automatic:
      let found = try Self.find(in: request.context)
      path = found
      name = String(found[(found.lastIndex(of: "/").map { found.index(after: $0) } ?? found.startIndex)...])
      bytes = try Self.read(found)
    case .path(let given):
      let found = try Self.locate(given, context: request.context)
      path = found
      name = given
      bytes = try Self.read(found)
    }
    document = try DockerfileDocument.parse(bytes, file: name)
    ignoreFile = try Self.ignoreFile(dockerfile: path, context: request.context)
  }

  /// The context as RUN-less steps see it.
  func openContext(_ store: Store) throws -> BuildContext {
    try BuildContext(path: contextPath, ignoreFile: ignoreFile, store: store)
  }

  private static func find(in context: String) throws -> String {
    for name in ["Dockerfile", "dockerfile"] {
      let path = "\(context)/\(name)"
      if try HostPath.status(path) != nil { return path }
    }
    let names = (try? Directory(context).entries()) ?? []
    let near = names.map { String(decoding: $0, as: UTF8.self) }.filter { $0.lowercased().contains("ockerfile") }
    throw Failure(
      "read Dockerfile", "no such file in \(context)",
      hint: near.first.map { "name it with -f \(context)/\($0)" } ?? "name it with -f PATH")
  }

  private static func locate(_ given: String, context: String) throws -> String {
    for path in given.hasPrefix("/") ? [given] : [given, "\(context)/\(given)"] {
      if try readable({ try HostPath.status(path) }, path) != nil { return path }
    }
    throw Failure("read \(given)", "no such file, neither from here nor in \(context)")
  }

  private static func read(_ path: String) throws -> [UInt8] {
    try readable({ try HostPath.read(path, limit: sizeLimit) }, path)
  }

  /// `<Dockerfile>.dockerignore` beside the Dockerfile, else `.dockerignore` in the context.
  private static func ignoreFile(dockerfile: String?, context: String) throws -> (String, [UInt8])? {
    for path in [dockerfile.map { $0 + ".dockerignore" }, "\(context)/.dockerignore"].compactMap({ $0 }) {
      guard let status = try HostPath.status(path), status.kind == .regular else { continue }
      let name = path.split(separator: "/").last.map(String.init) ?? path
      return (name, try read(path))
    }
    return nil
  }

  private static func readable<T>(_ body: () throws -> T, _ path: String) throws -> T {
    do {
      return try body()
    } catch let error as SystemError {
      throw error.failure
    }
  }
}
