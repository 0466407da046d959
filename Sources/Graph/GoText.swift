// Histories hold text that Go's fmt package made; images must compare equal, so its forms are written here.
internal import Dockerfile

extension [String] {
  /// `["a" "b"]`, as `%q` of Go's fmt.
  var goQuoted: String { "[" + map(\.goQuoted).joined(separator: " ") + "]" }

  /// `[a b]`, as `%v` of Go's fmt.
  var goText: String { "[" + joined(separator: " ") + "]" }
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
