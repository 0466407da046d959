/// A point in time: nanoseconds since 1970-01-01T00:00:00Z, negative before.
public struct Timestamp: Hashable, Sendable, Comparable, CustomStringConvertible {
  /// Whole seconds, rounded towards the past.
  public var seconds: Int64
  /// 0 ..< 1,000,000,000.
  public var nanoseconds: Int32

  public init(seconds: Int64, nanoseconds: Int32 = 0) {
    self.seconds = seconds
    self.nanoseconds = nanoseconds
  }

  /// Parses RFC 3339, `2006-01-02T15:04:05.999999999Z` or with an offset; nil if it is not one.
  public init?(rfc3339 text: String) {
    let b: [UInt8] = Array(text.utf8)
    func number(_ from: Int, _ count: Int) -> Int64? {
      guard from + count <= b.count else { return nil }
      var value: Int64 = 0
      for byte in b[from..<(from + count)] {
        guard byte >= 48, byte <= 57 else { return nil }
        value = value * 10 + Int64(byte - 48)
      }
      return value
    }
    guard b.count >= 20, let year = number(0, 4), b[4] == 45, let month = number(5, 2), b[7] == 45,
      let day = number(8, 2), b[10] | 32 == 116, let hour = number(11, 2), b[13] == 58, let minute = number(14, 2),
      b[16] == 58, let second = number(17, 2), (1...12).contains(month), (1...31).contains(day), hour < 24,
      minute < 60, second <= 60
    else { return nil }
    var at = 19
    var nanos: Int32 = 0
    if b[at] == 46 {
      at += 1
      var scale: Int32 = 100_000_000
      let start = at
      while at < b.count, b[at] >= 48, b[at] <= 57 {
        nanos += Int32(b[at] - 48) * scale
        scale /= 10
        at += 1
      }
      if at == start { return nil }
    }
    guard at < b.count else { return nil }
    var offset: Int64 = 0
    if b[at] | 32 == 122 {
      at += 1
    } else {
      guard b[at] == 43 || b[at] == 45, let h = number(at + 1, 2), at + 3 < b.count, b[at + 3] == 58,
        let m = number(at + 4, 2), h < 24, m < 60
      else { return nil }
      offset = (h * 3600 + m * 60) * (b[at] == 45 ? -1 : 1)
      at += 6
    }
    guard at == b.count else { return nil }
    let days = Timestamp.days(year: year, month: month, day: day)
    seconds = days * 86400 + hour * 3600 + minute * 60 + second - offset
    nanoseconds = nanos
  }

  /// RFC 3339 in UTC, fraction without trailing zeros: `2023-11-14T22:13:20Z`.
  public var rfc3339: String {
    let c = civil
    var out =
      "\(pad(c.year, 4))-\(pad(c.month, 2))-\(pad(c.day, 2))T\(pad(c.hour, 2)):\(pad(c.minute, 2)):\(pad(c.second, 2))"
    if nanoseconds != 0 {
      var digits = pad(Int64(nanoseconds), 9)
      while digits.last == "0" { digits.removeLast() }
      out += "." + digits
    }
    return out + "Z"
  }

  public var description: String { rfc3339 }

  /// The UTC calendar fields.
  public var civil: (year: Int64, month: Int64, day: Int64, hour: Int64, minute: Int64, second: Int64) {
    var days = seconds / 86400
    var rest = seconds % 86400
    if rest < 0 {
      rest += 86400
      days -= 1
    }
    let z = days + 719_468
    let era = (z >= 0 ? z : z - 146_096) / 146_097
    let doe = z - era * 146_097
    let yoe = (doe - doe / 1460 + doe / 36524 - doe / 146_096) / 365
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100)
    let mp = (5 * doy + 2) / 153
    let month = mp < 10 ? mp + 3 : mp - 9
    let year = yoe + era * 400 + (month <= 2 ? 1 : 0)
    return (year, month, doy - (153 * mp + 2) / 5 + 1, rest / 3600, rest / 60 % 60, rest % 60)
  }

  /// Nanoseconds from `earlier` to `self`.
  public func nanoseconds(since earlier: Timestamp) -> Int64 {
    (seconds - earlier.seconds) * 1_000_000_000 + Int64(nanoseconds - earlier.nanoseconds)
  }

  public static func < (a: Timestamp, b: Timestamp) -> Bool {
    (a.seconds, a.nanoseconds) < (b.seconds, b.nanoseconds)
  }

  private static func days(year: Int64, month: Int64, day: Int64) -> Int64 {
    let y = month <= 2 ? year - 1 : year
    let era = (y >= 0 ? y : y - 399) / 400
    let yoe = y - era * 400
    let doy = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
    return era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468
  }

  private func pad(_ value: Int64, _ width: Int) -> String {
    let digits = String(value)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
  }
}
