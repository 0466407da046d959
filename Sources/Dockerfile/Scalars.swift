/// A run of text, scalar by scalar: Dockerfiles are read by Unicode scalars, never by grapheme clusters, so that
/// `\r\n` and a combining mark after a quote mean the same here as in every other reader.
typealias Scalars = ArraySlice<Unicode.Scalar>

extension Unicode.Scalar {
  /// White space by the Unicode property White_Space.
  var isBlank: Bool {
    if value < 0x80 { return value == 0x20 || (value >= 0x09 && value <= 0x0D) }
    return properties.isWhitespace
  }

  /// What separates words of an instruction: tab, vertical tab, form feed, carriage return and space.
  var separatesWords: Bool { value == 0x20 || value == 0x09 || (value >= 0x0B && value <= 0x0D) }

  /// A letter of any script.
  var isLetter: Bool {
    if value < 0x80 { return (value | 0x20) >= 0x61 && (value | 0x20) <= 0x7A }
    switch properties.generalCategory {
    case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: return true
    default: return false
    }
  }

  /// A decimal digit of any script.
  var isDigit: Bool {
    if value < 0x80 { return value >= 0x30 && value <= 0x39 }
    return properties.generalCategory == .decimalNumber
  }

  /// Whether a quoted string shows it as it is: letters, marks, numbers, punctuation, symbols, and the ASCII space.
  var isPrintable: Bool {
    if value < 0x80 { return value >= 0x20 && value < 0x7F }
    switch properties.generalCategory {
    case .control, .format, .surrogate, .privateUse, .unassigned, .spaceSeparator, .lineSeparator,
      .paragraphSeparator:
      return false
    default: return true
    }
  }
}

extension String {
  init(scalars: some Sequence<Unicode.Scalar>) {
    var view = String.UnicodeScalarView()
    view.append(contentsOf: scalars)
    self.init(view)
  }

  var scalars: Scalars { Array(unicodeScalars)[...] }

  /// Without white space at both ends.
  var trimmed: String { String(scalars: scalars.trimmed) }

  /// The text in double quotes, with Go's escapes for quotes, backslashes and everything that is not printable.
  public var goQuoted: String {
    var out = "\""
    for scalar in unicodeScalars {
      switch scalar {
      case "\"": out += "\\\""
      case "\\": out += "\\\\"
      case "\u{07}": out += "\\a"
      case "\u{08}": out += "\\b"
      case "\u{0C}": out += "\\f"
      case "\n": out += "\\n"
      case "\r": out += "\\r"
      case "\t": out += "\\t"
      case "\u{0B}": out += "\\v"
      default:
        if scalar.isPrintable {
          out.unicodeScalars.append(scalar)
        } else if scalar.value < 0x80 {
          out += "\\x" + hex(scalar.value, width: 2)
        } else if scalar.value < 0x10000 {
          out += "\\u" + hex(scalar.value, width: 4)
        } else {
          out += "\\U" + hex(scalar.value, width: 8)
        }
      }
    }
    return out + "\""
  }

  /// What stands before and after the first `separator`, or nil without one.
  func cut(_ separator: Unicode.Scalar) -> (before: String, after: String)? {
    guard let place = unicodeScalars.firstIndex(of: separator) else { return nil }
    return (
      String(unicodeScalars[..<place]), String(unicodeScalars[unicodeScalars.index(after: place)...])
    )
  }
}

private func hex(_ value: UInt32, width: Int) -> String {
  let digits = String(value, radix: 16)
  return String(repeating: "0", count: max(0, width - digits.count)) + digits
}

extension Scalars {
  /// Without white space at both ends.
  var trimmed: Scalars {
    guard let first = firstIndex(where: { !$0.isBlank }), let last = lastIndex(where: { !$0.isBlank }) else {
      return self[endIndex...]
    }
    return self[first...last]
  }

  /// The pieces between runs of word separators; at most `limit` pieces, the last with the rest as it is.
  func splitAtSeparators(limit: Int = .max) -> [Scalars] {
    var pieces: [Scalars] = []
    var start = startIndex
    var at = startIndex
    while at < endIndex {
      guard self[at].separatesWords, pieces.count + 1 < limit else {
        at += 1
        continue
      }
      pieces.append(self[start..<at])
      while at < endIndex, self[at].separatesWords { at += 1 }
      start = at
    }
    pieces.append(self[start...])
    return pieces
  }
}
