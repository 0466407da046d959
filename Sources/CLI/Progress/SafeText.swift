/// Makes output of strangers harmless for a terminal.
enum SafeText {
  /// `bytes` as one line without control characters: escape sequences are dropped, tabs become blanks, bytes that are
  /// not UTF-8 become the replacement character, and after a carriage return the line begins anew.
  static func line(_ bytes: some Sequence<UInt8>) -> String {
    var out: [UInt8] = []
    var escape = Escape.none
    var hasReturned = false
    for byte in bytes {
      if escape != .none {
        escape = escape.after(byte)
        continue
      }
      switch byte {
      case 0x1B: escape = .start
      case 0x0D: hasReturned = true
      case 0x09:
        if hasReturned { out.removeAll() }
        hasReturned = false
        out.append(contentsOf: repeatElement(0x20, count: 8 - out.count % 8))
      case 0x08: _ = out.popLast()
      case 0..<0x20, 0x7F: continue
      default:
        if hasReturned { out.removeAll() }
        hasReturned = false
        out.append(byte)
      }
    }
    return withoutHighControls(String(decoding: out, as: UTF8.self))
  }

  /// As `line`, of text.
  static func line(_ text: String) -> String { line(text.utf8) }

  /// U+0080 to U+009F are control characters too, and the marks of direction can reorder a line.
  private static func withoutHighControls(_ text: String) -> String {
    if text.utf8.allSatisfy({ $0 < 0x80 }) { return text }
    var scalars = String.UnicodeScalarView()
    for scalar in text.unicodeScalars {
      switch scalar.value {
      case 0x80...0x9F, 0x202A...0x202E, 0x2066...0x2069, 0x200E, 0x200F: continue
      default: scalars.append(scalar)
      }
    }
    return String(scalars)
  }

  /// Where in an escape sequence (ECMA-48) a byte stands.
  private enum Escape {
    case none, start, control, string, stringEscape

    func after(_ byte: UInt8) -> Escape {
      switch self {
      case .none: .none
      case .start:
        switch byte {
        case UInt8(ascii: "["): .control
        case UInt8(ascii: "]"), UInt8(ascii: "P"), UInt8(ascii: "X"), UInt8(ascii: "^"), UInt8(ascii: "_"): .string
        case 0x20...0x2F: .start
        default: .none
        }
      case .control: (0x40...0x7E).contains(byte) || byte < 0x20 ? .none : .control
      case .string: byte == 0x07 ? .none : byte == 0x1B ? .stringEscape : .string
      case .stringEscape: byte == UInt8(ascii: "\\") ? .none : .string
      }
    }
  }
}
