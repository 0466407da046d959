internal import Core

extension Instruction.From {
  init(_ node: SyntaxNode) throws {
    let words = node.arguments
    var name: String?
    if words.count == 3, words[1].lowercased() == "as" {
      name = words[2]
      guard Instruction.From.isStageName(words[2].lowercased()) else {
        throw ParseError(
          "invalid name for build stage: \(words[2].goQuoted), name can't start with a number or contain symbols")
      }
    } else if words.count != 1 {
      throw ParseError("FROM requires either one or three arguments")
    }
    let flags = try BuilderFlags(node.flags, known: ["platform": .string])
    self.init(
      base: words[0], platform: flags.string("platform"), stageName: name?.lowercased(), stageNameAsWritten: name)
  }

  /// Whether `name`, in lower case, is a letter followed by letters, digits, `-`, `_` and `.`, all ASCII.
  private static func isStageName(_ name: String) -> Bool {
    guard let first = name.unicodeScalars.first, first.isASCII, first.isLetter else { return false }
    return name.unicodeScalars.allSatisfy {
      $0.isASCII && ($0.isLetter || $0.isDigit || $0 == "-" || $0 == "_" || $0 == ".")
    }
  }
}
