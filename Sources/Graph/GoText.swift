// Histories hold text that Go's fmt package made; images must compare equal, so its forms are written here.

extension String {
  /// The string in double quotes, as `%q` of Go's fmt.
  var goQuoted: String {
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
      default: out += scalar.isGoPrintable ? String(Character(scalar)) : scalar.goEscape
      }
    }
    return out + "\""
  }
}

extension [String] {
  /// `["a" "b"]`, as `%q` of Go's fmt.
  var goQuoted: String { "[" + map(\.goQuoted).joined(separator: " ") + "]" }

  /// `[a b]`, as `%v` of Go's fmt.
  var goText: String { "[" + joined(separator: " ") + "]" }
}

extension Unicode.Scalar {
  fileprivate var isGoPrintable: Bool {
    if self == " " { return true }
    switch properties.generalCategory {
    case .control, .format, .surrogate, .privateUse, .unassigned, .spaceSeparator, .lineSeparator,
      .paragraphSeparator:
      return false
    default: return true
    }
  }

  fileprivate var goEscape: String {
    func hex(_ prefix: String, _ width: Int) -> String {
      let digits = String(value, radix: 16)
      return prefix + String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
    if value < 0x80 { return hex("\\x", 2) }
    return value < 0x10000 ? hex("\\u", 4) : hex("\\U", 8)
  }
}

/// `nanoseconds` as Go's time.Duration prints: `1h2m3.5s`, `1.5ms`, `0s`.
func goDuration(_ nanoseconds: Int64) -> String {
  if nanoseconds == 0 { return "0s" }
  let sign = nanoseconds < 0 ? "-" : ""
  let total = nanoseconds.magnitude
  func decimal(_ value: UInt64, _ unit: UInt64) -> String {
    let rest = value % unit
    if rest == 0 { return String(value / unit) }
    let width = String(unit).count - 1
    var digits = String(rest)
    digits = String(repeating: "0", count: width - digits.count) + digits
    while digits.hasSuffix("0") { digits.removeLast() }
    return "\(value / unit).\(digits)"
  }
  switch total {
  case ..<1000: return "\(sign)\(total)ns"
  case ..<1_000_000: return sign + decimal(total, 1000) + "µs"
  case ..<1_000_000_000: return sign + decimal(total, 1_000_000) + "ms"
  default:
    let minute: UInt64 = 60_000_000_000
    let seconds = decimal(total % minute, 1_000_000_000) + "s"
    let minutes = total / minute
    if minutes == 0 { return sign + seconds }
    return minutes < 60 ? "\(sign)\(minutes)m\(seconds)" : "\(sign)\(minutes / 60)h\(minutes % 60)m\(seconds)"
  }
}
