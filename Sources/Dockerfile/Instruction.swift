public import Core

/// One instruction of a Dockerfile, typed. Words are as written, before variable expansion.
public struct Instruction: Sendable, Equatable {
  /// The keyword in upper case, `RUN`.
  public var name: String
  /// The keyword as written, `Run`.
  public var keyword: String
  public var kind: Kind
  /// The logical line as written, continuations joined: `RUN make all`.
  public var original: String
  public var range: SourceRange
  /// Builder flags in order, `--from=build`, as written.
  public var flags: [String]
  public var heredocs: [Heredoc]
  /// The comment lines directly above, without `#`.
  public var comments: [String]

  public init(
    name: String, keyword: String, kind: Kind, original: String, range: SourceRange, flags: [String] = [],
    heredocs: [Heredoc] = [], comments: [String] = []
  ) {
    self.name = name
    self.keyword = keyword
    self.kind = kind
    self.original = original
    self.range = range
    self.flags = flags
    self.heredocs = heredocs
    self.comments = comments
  }

  public enum Kind: Sendable, Equatable {
    case from(From)
    case run(Run)
    case copy(Copy)
    case add(Add)
    case env([KeyValue])
    case label([KeyValue])
    /// One or more `name[=default]`.
    case arg([Argument])
    case workdir(String)
    case user(String)
    case cmd(CommandLine)
    case entrypoint(CommandLine)
    case shell([String])
    case expose([String])
    case volume([String])
    case stopsignal(String)
    case healthcheck(Healthcheck)
    /// The trigger's text and, parsed, the instruction itself.
    indirect case onbuild(trigger: String, instruction: Instruction)
    case maintainer(String)
  }

  public struct From: Sendable, Equatable {
    /// `debian:$TAG`.
    public var base: String
    /// `--platform`, or nil.
    public var platform: String?
    /// The stage's name in lower case, or nil.
    public var stageName: String?
    /// The stage's name as written.
    public var stageNameAsWritten: String?
    public init(base: String, platform: String? = nil, stageName: String? = nil, stageNameAsWritten: String? = nil) {
      self.base = base
      self.platform = platform
      self.stageName = stageName
      self.stageNameAsWritten = stageNameAsWritten
    }
  }

  /// Shell form (one string for SHELL to run) or exec form (the words of a JSON array).
  public enum CommandLine: Sendable, Equatable {
    case shell(String)
    case exec([String])
  }

  public struct Run: Sendable, Equatable {
    public var command: CommandLine
    /// `--mount` values, `type=cache,target=/x`, in order.
    public var mounts: [String]
    /// `default`, `none` or `host`; nil when not given.
    public var network: String?
    /// `sandbox` or `insecure`; nil when not given.
    public var security: String?
    public var devices: [String]
    public init(
      command: CommandLine, mounts: [String] = [], network: String? = nil, security: String? = nil,
      devices: [String] = []
    ) {
      self.command = command
      self.mounts = mounts
      self.network = network
      self.security = security
      self.devices = devices
    }
  }

  public struct Copy: Sendable, Equatable {
    /// Paths, without heredocs.
    public var sources: [String]
    /// Indexes into `Instruction.heredocs` of sources given inline.
    public var inlineSources: [Int]
    public var destination: String
    /// `--from`, or nil for the build context.
    public var from: String?
    public var chown: String?
    public var chmod: String?
    public var link: Bool
    public var parents: Bool
    public var exclude: [String]
    public init(
      sources: [String], inlineSources: [Int] = [], destination: String, from: String? = nil, chown: String? = nil,
      chmod: String? = nil, link: Bool = false, parents: Bool = false, exclude: [String] = []
    ) {
      self.sources = sources
      self.inlineSources = inlineSources
      self.destination = destination
      self.from = from
      self.chown = chown
      self.chmod = chmod
      self.link = link
      self.parents = parents
      self.exclude = exclude
    }
  }

  public struct Add: Sendable, Equatable {
    public var sources: [String]
    public var inlineSources: [Int]
    public var destination: String
    public var chown: String?
    public var chmod: String?
    public var link: Bool
    /// nil when not given.
    public var keepGitDir: Bool?
    public var checksum: String?
    /// nil when not given.
    public var unpack: Bool?
    public var exclude: [String]
    public init(
      sources: [String], inlineSources: [Int] = [], destination: String, chown: String? = nil, chmod: String? = nil,
      link: Bool = false, keepGitDir: Bool? = nil, checksum: String? = nil, unpack: Bool? = nil,
      exclude: [String] = []
    ) {
      self.sources = sources
      self.inlineSources = inlineSources
      self.destination = destination
      self.chown = chown
      self.chmod = chmod
      self.link = link
      self.keepGitDir = keepGitDir
      self.checksum = checksum
      self.unpack = unpack
      self.exclude = exclude
    }
  }

  public struct KeyValue: Sendable, Equatable {
    public var key: String
    public var value: String
    /// Whether the old form `ENV key value` was used.
    public var isLegacy: Bool
    public init(key: String, value: String, isLegacy: Bool = false) {
      self.key = key
      self.value = value
      self.isLegacy = isLegacy
    }
  }

  public struct Argument: Sendable, Equatable {
    public var name: String
    /// The default as written, nil without `=`.
    public var value: String?
    public init(name: String, value: String? = nil) {
      self.name = name
      self.value = value
    }
  }

  /// Durations are in nanoseconds, 0 when not given.
  public struct Healthcheck: Sendable, Equatable {
    /// `["NONE"]`, `["CMD", ...]` or `["CMD-SHELL", text]`.
    public var test: [String]
    public var interval: Int64
    public var timeout: Int64
    public var startPeriod: Int64
    public var startInterval: Int64
    public var retries: Int
    public init(
      test: [String], interval: Int64 = 0, timeout: Int64 = 0, startPeriod: Int64 = 0, startInterval: Int64 = 0,
      retries: Int = 0
    ) {
      self.test = test
      self.interval = interval
      self.timeout = timeout
      self.startPeriod = startPeriod
      self.startInterval = startInterval
      self.retries = retries
    }
  }
}

/// A here-document attached to ADD, COPY or RUN.
public struct Heredoc: Sendable, Equatable {
  /// The delimiter without quotes, `EOF`.
  public var name: String
  /// The lines, each with its newline; leading tabs already removed if `chomp`.
  public var content: String
  /// Whether variables are expanded by COPY and ADD: the delimiter had no quotes.
  public var expand: Bool
  /// `<<-`.
  public var chomp: Bool
  public var fileDescriptor: Int
  public init(name: String, content: String, expand: Bool, chomp: Bool, fileDescriptor: Int) {
    self.name = name
    self.content = content
    self.expand = expand
    self.chomp = chomp
    self.fileDescriptor = fileDescriptor
  }
}

/// A parsed Dockerfile: what stands before the first FROM, and its stages.
public struct DockerfileDocument: Sendable {
  /// The file's name as diagnostics show it.
  public var file: String
  public var source: String
  public var directives: Directives
  /// Global ARGs, before the first FROM.
  public var globalArguments: [Instruction]
  public var stages: [Stage]
  /// Warnings found while parsing.
  public var diagnostics: [Diagnostic]

  public init(
    file: String, source: String, directives: Directives, globalArguments: [Instruction], stages: [Stage],
    diagnostics: [Diagnostic]
  ) {
    self.file = file
    self.source = source
    self.directives = directives
    self.globalArguments = globalArguments
    self.stages = stages
    self.diagnostics = diagnostics
  }

  /// Parser directives at the very top of the file.
  public struct Directives: Sendable, Equatable {
    public var syntax: String?
    public var escape: Character
    public var check: String?
    public init(syntax: String? = nil, escape: Character = "\\", check: String? = nil) {
      self.syntax = syntax
      self.escape = escape
      self.check = check
    }
  }

  /// A FROM and what follows it.
  public struct Stage: Sendable {
    /// Position in the file, from 0.
    public var index: Int
    public var from: Instruction.From
    /// The FROM instruction itself.
    public var instruction: Instruction
    /// What follows the FROM.
    public var instructions: [Instruction]
    public init(index: Int, from: Instruction.From, instruction: Instruction, instructions: [Instruction]) {
      self.index = index
      self.from = from
      self.instruction = instruction
      self.instructions = instructions
    }
  }
}
