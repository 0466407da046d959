/// One flag of a command: the parser, the help text and the completion scripts are all made from it.
struct Flag: Sendable {
  /// What the flag takes; the text is the type's name in the help (`string`, `list`).
  enum Kind: Sendable, Equatable {
    /// `--rm`, `--rm=false`.
    case bool
    /// `--name web`, `--name=web`; the last one counts.
    case string
    /// `--pull` (which means `implied`) or `--pull=always`; the next word is never its value.
    case optional(implied: String)
    /// As `string`, every one counts.
    case list
    /// As `string`, a whole number.
    case int

    /// What shows in the help for the value.
    fileprivate var typeName: String {
      switch self {
      case .bool: ""
      case .string, .optional: "string"
      case .list: "list"
      case .int: "int"
      }
    }
  }

  /// Whether Stave does what the flag asks.
  enum Support: Sendable, Equatable {
    case supported
    /// An error says that it isn't there yet; the text is a hint for the user, or nil.
    case notYet(String?)
    /// It is accepted, and one line says why nothing needs to be done.
    case acceptedWithNote(String)
  }

  /// Without dashes: `build-arg`.
  var name: String
  /// Without dash, or nil.
  var short: Character?
  var kind: Kind
  var help: String
  var support: Support
  /// The values that are offered on completion and in the help; empty means any.
  var choices: [String]
  /// What shows as the flag's type in the help.
  var placeholder: String
  /// Accepted, not shown in the help.
  var isHidden: Bool

  init(
    _ name: String, _ short: Character?, _ kind: Kind, _ help: String, support: Support = .supported,
    choices: [String] = [], placeholder: String? = nil, isHidden: Bool = false
  ) {
    self.name = name
    self.short = short
    self.kind = kind
    self.help = help
    self.support = support
    self.choices = choices
    self.isHidden = isHidden
    self.placeholder = placeholder ?? kind.typeName
  }

  /// A flag without a short form.
  init(
    _ name: String, _ kind: Kind, _ help: String, support: Support = .supported, choices: [String] = [],
    placeholder: String? = nil, isHidden: Bool = false
  ) {
    self.init(
      name, nil, kind, help, support: support, choices: choices, placeholder: placeholder, isHidden: isHidden)
  }

  /// A flag that Docker or its relatives know and Stave does not have yet.
  static func later(_ name: String, _ short: Character?, _ kind: Kind, hint: String? = nil) -> Flag {
    Flag(name, short, kind, "Not supported yet", support: .notYet(hint))
  }

  /// The same without a short form.
  static func later(_ name: String, _ kind: Kind, hint: String? = nil) -> Flag { later(name, nil, kind, hint: hint) }

  /// Several of them, all of one kind.
  static func later(_ names: [String], _ kind: Kind) -> [Flag] { names.map { later($0, nil, kind) } }

  /// A flag that changes nothing here; `note` says why.
  static func note(_ name: String, _ short: Character?, _ kind: Kind, _ help: String, _ note: String) -> Flag {
    Flag(name, short, kind, help, support: .acceptedWithNote(note))
  }

  /// The same without a short form.
  static func note(_ name: String, _ kind: Kind, _ help: String, _ note: String) -> Flag {
    Flag(name, nil, kind, help, support: .acceptedWithNote(note))
  }

  /// `--all`, or `-a, --all`.
  var spelling: String { short.map { "-\($0), --\(name)" } ?? "--\(name)" }

  /// Whether it is known and not there yet.
  var isLater: Bool { if case .notYet = support { true } else { false } }

  /// What a flag means that stands without a value; nil if it needs one.
  var impliedValue: String? {
    switch kind {
    case .bool: "true"
    case .optional(let implied): implied
    case .string, .list, .int: nil
    }
  }
}
