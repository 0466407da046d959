internal import Core

/// Sizes and ages as people read them, in Docker's words.
enum HumanText {
  /// `bytes` with three significant digits and a decimal unit: `5.54MB`, `0B`.
  static func size(_ bytes: Int64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB", "PB", "EB"]
    var value = Double(bytes.magnitude)
    var unit = 0
    while unit + 1 < units.count, rounded(value) >= 1000 {
      value /= 1000
      unit += 1
    }
    return (bytes < 0 ? "-" : "") + digits(value) + units[unit]
  }

  /// How long `seconds` is, roughly: `About an hour`, `3 weeks`.
  static func duration(seconds: Int64) -> String {
    let minutes = seconds / 60
    let hours = (seconds + 1800) / 3600
    if seconds < 1 { return "Less than a second" }
    if seconds == 1 { return "1 second" }
    if seconds < 60 { return "\(seconds) seconds" }
    if minutes == 1 { return "About a minute" }
    if minutes < 60 { return "\(minutes) minutes" }
    if hours == 1 { return "About an hour" }
    if hours < 48 { return "\(hours) hours" }
    if hours < 24 * 7 * 2 { return "\(hours / 24) days" }
    if hours < 24 * 30 * 2 { return "\(hours / 24 / 7) weeks" }
    if hours < 24 * 365 * 2 { return "\(hours / 24 / 30) months" }
    return "\(seconds / 3600 / 24 / 365) years"
  }

  /// `2 minutes ago`; `now` is when the user asks.
  static func age(of time: Timestamp, now: Timestamp) -> String {
    duration(seconds: max(0, now.nanoseconds(since: time, clampedTo: .max) / 1_000_000_000)) + " ago"
  }

  /// `2006-01-02 15:04:05 +0000 UTC`, as Docker writes a time for people.
  static func time(_ time: Timestamp) -> String {
    let text = time.rfc3339
    guard text.utf8.count >= 20 else { return text }
    return text.prefix(10) + " " + text.dropFirst(11).prefix(8) + " +0000 UTC"
  }

  /// Seconds with `places` decimals, rounded down: `4.2`.
  static func seconds(_ nanoseconds: Int64, places: Int) -> String {
    var scale: Int64 = 1_000_000_000
    for _ in 0..<places { scale /= 10 }
    let units = max(0, nanoseconds) / scale
    if places == 0 { return String(units) }
    var text = String(units)
    while text.count <= places { text = "0" + text }
    return text.dropLast(places) + "." + text.suffix(places)
  }

  /// `value` to three significant digits, as a number.
  private static func rounded(_ value: Double) -> Double {
    if value >= 100 { return value.rounded() }
    if value >= 10 { return (value * 10).rounded() / 10 }
    return (value * 100).rounded() / 100
  }

  /// `value`, below 1000, to three significant digits without trailing zeros.
  private static func digits(_ value: Double) -> String {
    let places = value >= 100 ? 0 : value >= 10 ? 1 : 2
    let scale = [1, 10, 100][places]
    let units = Int((value * Double(scale)).rounded())
    var text = String(units / scale)
    if places > 0 {
      var fraction = String(units % scale)
      while fraction.count < places { fraction = "0" + fraction }
      while fraction.last == "0" { fraction.removeLast() }
      if !fraction.isEmpty { text += "." + fraction }
    }
    return text
  }
}

extension Timestamp {
  /// Nanoseconds from `earlier` to `self`, at most `limit` and at least its opposite, whatever the years are.
  func nanoseconds(since earlier: Timestamp, clampedTo limit: Int64) -> Int64 {
    let (difference, overflow) = seconds.subtractingReportingOverflow(earlier.seconds)
    let (scaled, overflow2) = difference.multipliedReportingOverflow(by: 1_000_000_000)
    let (sum, overflow3) = scaled.addingReportingOverflow(Int64(nanoseconds) - Int64(earlier.nanoseconds))
    if overflow || overflow2 || overflow3 { return seconds >= earlier.seconds ? limit : -limit }
    return min(max(sum, -limit), limit)
  }
}
