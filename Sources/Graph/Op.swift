public import Core

/// What one vertex of a build graph does. It says everything that decides the result and nothing else: names for
/// people, source ranges and proxies are beside it.
public enum Op: Sendable, Hashable {
  /// The empty file tree. No inputs.
  case scratch
  /// A local image's file tree. No inputs.
  case image(Image)
  /// Runs a process on top of `inputs[0]`.
  case exec(Exec)
  /// Copies files onto `inputs[0]`.
  case copy(Copy)
  /// Makes a directory and its missing parents, mode 0755, on top of `inputs[0]`.
  case makeDirectory(MakeDirectory)

  /// A base image that was resolved before lowering.
  public struct Image: Sendable, Hashable {
    /// As in the Dockerfile after expansion, `debian:12`. For people: not part of the digest.
    public var reference: String
    /// The digest of the image's config; nil in a plan-only lowering.
    public var imageID: Digest?
    public var platform: Platform

    public init(reference: String, imageID: Digest?, platform: Platform) {
      self.reference = reference
      self.imageID = imageID
      self.platform = platform
    }
  }

  /// A process of a RUN instruction.
  public struct Exec: Sendable, Hashable {
    /// Program and arguments, never empty.
    public var argv: [String]
    /// `NAME=value` in the order in which the names were first set.
    public var env: [String]
    /// Absolute.
    public var cwd: String
    /// As written in USER, `app`, `1000:1000`; empty means root.
    public var user: String
    public var network: Network
    /// Files that exist while the process runs and are not part of the result: heredoc scripts.
    public var files: [File]
    /// `name:address` lines for /etc/hosts.
    public var addHosts: [String]
    /// `NAME=value` of proxies, for the process only: not part of the digest.
    public var proxyEnv: [String]
    /// No file of the layer is later: later times become this one. Nil leaves all times as they are.
    public var latest: Timestamp?

    public init(
      argv: [String], env: [String], cwd: String, user: String = "", network: Network = .default, files: [File] = [],
      addHosts: [String] = [], proxyEnv: [String] = []
    ) {
      self.argv = argv
      self.env = env
      self.cwd = cwd
      self.user = user
      self.network = network
      self.files = files
      self.addHosts = addHosts
      self.proxyEnv = proxyEnv
    }

    /// A file given to the process.
    public struct File: Sendable, Hashable {
      /// Absolute, `/dev/pipes/EOF`.
      public var path: String
      public var content: String
      /// Permission bits.
      public var mode: UInt32
      public init(path: String, content: String, mode: UInt32) {
        self.path = path
        self.content = content
        self.mode = mode
      }
    }
  }

  /// The network of a RUN's process.
  public enum Network: String, Sendable, Hashable {
    case `default`, none, host
  }

  /// A COPY or ADD.
  public struct Copy: Sendable, Hashable {
    public var sources: [Source]
    /// Absolute and clean, without a trailing slash (`/` itself apart).
    public var destination: String
    /// Whether the destination was written with a trailing `/` or `/.`: it is a directory even if it does not exist.
    public var destinationIsDirectory: Bool
    /// `user[:group]`, names looked up in `inputs[0]`; nil means 0:0.
    public var chown: String?
    /// Octal or symbolic; nil keeps the source's mode.
    public var chmod: String?
    /// Whether local archives are extracted (ADD).
    public var isAdd: Bool
    /// As that of `Exec`.
    public var latest: Timestamp?

    public init(
      sources: [Source], destination: String, destinationIsDirectory: Bool = false, chown: String? = nil,
      chmod: String? = nil, isAdd: Bool = false
    ) {
      self.sources = sources
      self.destination = destination
      self.destinationIsDirectory = destinationIsDirectory
      self.chown = chown
      self.chmod = chmod
      self.isAdd = isAdd
    }

    /// Where files come from.
    public enum Source: Sendable, Hashable {
      /// A path or pattern in the build context, clean, no slash at either end; empty is the whole context.
      case context(String)
      /// A path or pattern in the result of `inputs[index]`, of the same form.
      case input(index: Int, path: String)
      /// A here-document: a file `name` of mode 0644.
      case inline(name: String, content: [UInt8])
    }
  }

  /// A WORKDIR.
  public struct MakeDirectory: Sendable, Hashable {
    /// Absolute and clean.
    public var path: String
    /// The owner as written in USER; empty means root.
    public var user: String
    /// As that of `Exec`.
    public var latest: Timestamp?
    public init(path: String, user: String = "") {
      self.path = path
      self.user = user
    }
  }
}

extension Op {
  /// The canonical form that is digested, printed and compared: equal ops have equal bytes.
  public var canonical: JSON {
    switch self {
    case .scratch: .object(["op": "scratch"])
    case .image(let image):
      JSON.members([
        "op": "image", "id": .string(image.imageID?.text ?? "unresolved:\(image.reference)"),
        "platform": .string(image.platform.description),
      ])
    case .exec(let exec): exec.canonical
    case .copy(let copy): copy.canonical
    case .makeDirectory(let directory):
      JSON.members([
        "op": "makeDirectory", "path": .string(directory.path), "user": JSON.nonEmpty(directory.user),
        "latest": directory.latest.map { .int($0.seconds) },
      ])
    }
  }

  /// Whether the op reads the build context.
  public var readsContext: Bool {
    guard case .copy(let copy) = self else { return false }
    return copy.sources.contains {
      if case .context = $0 { true } else { false }
    }
  }
}

extension Op.Exec {
  fileprivate var canonical: JSON {
    JSON.members([
      "op": "exec", "argv": .strings(argv), "env": JSON.nonEmpty(env), "cwd": .string(cwd),
      "user": JSON.nonEmpty(user), "network": network == .default ? nil : .string(network.rawValue),
      "addHosts": JSON.nonEmpty(addHosts), "latest": latest.map { .int($0.seconds) },
      "files": files.isEmpty
        ? nil
        : .array(
          files.map {
            .object(["path": .string($0.path), "content": .string($0.content), "mode": .int(Int64($0.mode))])
          }),
    ])
  }
}

extension Op.Copy {
  fileprivate var canonical: JSON {
    JSON.members([
      "op": .string(isAdd ? "add" : "copy"), "sources": .array(sources.map(\.canonical)),
      "destination": .string(destination), "directory": destinationIsDirectory ? true : nil,
      "chown": chown.map { .string($0) }, "chmod": chmod.map { .string($0) },
      "latest": latest.map { .int($0.seconds) },
    ])
  }
}

extension Op.Copy.Source {
  fileprivate var canonical: JSON {
    switch self {
    case .context(let path): .object(["context": .string(path)])
    case .input(let index, let path): .object(["input": .int(Int64(index)), "path": .string(path)])
    case .inline(let name, let content):
      .object([
        "inline": .string(name), "size": .int(Int64(content.count)), "sha256": .string(Digest.sha256(content).encoded),
      ])
    }
  }
}
