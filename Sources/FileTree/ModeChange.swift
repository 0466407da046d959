internal import Core

/// The value of `--chmod`: permission bits, or changes of them as chmod(1) writes them.
public enum ModeChange: Sendable, Hashable {
  /// All twelve bits.
  case octal(UInt16)
  case symbolic([Clause])

  /// One operator with its letters: `u=rwX`.
  public struct Clause: Sendable, Hashable {
    /// The bits of the classes named before the operator, 0o7777 for `a` or none.
    var who: UInt16
    var operation: UInt8
    var permissions: [UInt8]
  }

  /// Parses `0755` or `u=rwX,go=rX`. Throws a `Failure` with Docker's wording.
  public init(_ text: String) throws {
    let bytes = Array(text.utf8)
    if let first = bytes.first, first >= UInt8(ascii: "0"), first <= UInt8(ascii: "9") {
      guard bytes.count <= 20, let value = UInt64(text, radix: 8), value <= 0o7777 else {
        throw ModeChange.invalid(text)
      }
      self = .octal(UInt16(value))
      return
    }
    var clauses: [Clause] = []
    for part: ArraySlice<UInt8> in bytes.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false) {
      clauses += try ModeChange.clauses(part, text)
    }
    self = .symbolic(clauses)
  }

  private static func clauses(_ part: ArraySlice<UInt8>, _ text: String) throws -> [Clause] {
    var rest = part
    var who: UInt16 = 0
    while let letter = rest.first, let bits = classes(letter) {
      who |= bits
      rest = rest.dropFirst()
    }
    if who == 0 { who = 0o7777 }
    var out: [Clause] = []
    while let operation = rest.first {
      guard "+-=".utf8.contains(operation) else { throw invalid(text) }
      let letters = rest.dropFirst().prefix { !"+-=".utf8.contains($0) }
      guard letters.allSatisfy({ "rwxXstugo".utf8.contains($0) }) else { throw invalid(text) }
      out.append(Clause(who: who, operation: operation, permissions: Array(letters)))
      rest = rest.dropFirst(1 + letters.count)
    }
    if out.isEmpty { throw invalid(text) }
    return out
  }

  private static func classes(_ letter: UInt8) -> UInt16? {
    switch letter {
    case UInt8(ascii: "u"): 0o4700
    case UInt8(ascii: "g"): 0o2070
    case UInt8(ascii: "o"): 0o1007
    case UInt8(ascii: "a"): 0o7777
    default: nil
    }
  }

  private static func invalid(_ text: String) -> Failure {
    Failure("", "invalid chmod parameter: '\(text)'. it should be octal string and between 0 and 07777")
  }

  /// The mode of a file that has `mode` now.
  public func applied(to mode: UInt16, isDirectory: Bool) -> UInt16 {
    switch self {
    case .octal(let bits): return bits
    case .symbolic(let clauses):
      var mode = mode
      for clause: Clause in clauses {
        let bits = ModeChange.bits(clause, mode, isDirectory) & clause.who
        switch clause.operation {
        case UInt8(ascii: "+"): mode |= bits
        case UInt8(ascii: "-"): mode &= ~bits
        // A directory's set-id bits stay unless they are named (chmod(1)).
        default: mode = (mode & ~(clause.who & (isDirectory ? 0o1777 : 0o7777))) | bits
        }
      }
      return mode
    }
  }

  private static func bits(_ clause: Clause, _ mode: UInt16, _ isDirectory: Bool) -> UInt16 {
    var out: UInt16 = 0
    for letter: UInt8 in clause.permissions {
      switch letter {
      case UInt8(ascii: "r"): out |= 0o444
      case UInt8(ascii: "w"): out |= 0o222
      case UInt8(ascii: "x"): out |= 0o111
      case UInt8(ascii: "X"): if isDirectory || mode & 0o111 != 0 { out |= 0o111 }
      case UInt8(ascii: "s"): out |= 0o6000
      case UInt8(ascii: "t"): out |= 0o1000
      case UInt8(ascii: "u"): out |= (mode >> 6 & 7) * 0o111
      case UInt8(ascii: "g"): out |= (mode >> 3 & 7) * 0o111
      default: out |= (mode & 7) * 0o111
      }
    }
    return out
  }
}
