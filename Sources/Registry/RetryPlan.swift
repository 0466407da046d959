public import Core
internal import Linux

/// Clock, sleep and chance of a client, which tests replace.
public struct Timing: Sendable {
  public var now: @Sendable () -> Timestamp
  /// Waits; throws `CancellationError` in a cancelled task.
  public var sleep: @Sendable (Duration) throws -> Void
  /// A number from 0 up to 1.
  public var random: @Sendable () -> Double

  public init(
    now: @escaping @Sendable () -> Timestamp, sleep: @escaping @Sendable (Duration) throws -> Void,
    random: @escaping @Sendable () -> Double
  ) {
    self.now = now
    self.sleep = sleep
    self.random = random
  }

  public static let system = Timing(
    now: { Machine.now() },
    sleep: { duration in
      let end = Machine.monotonicNanoseconds() + Int64(duration / .nanoseconds(1))
      while true {
        try Task.checkCancellation()
        let rest = end - Machine.monotonicNanoseconds()
        if rest <= 0 { return }
        pause(microseconds: UInt32(min(rest / 1000 + 1, 100_000)))
      }
    },
    random: { Double.random(in: 0..<1) })
}

/// How often, and how long after a failure, something is tried again.
struct RetryPlan {
  /// Tries after the first one.
  static let limit = 5
  /// The longest that a server may make us wait, in seconds.
  static let longestWait: Int64 = 120

  private(set) var failures = 0

  /// What was done got on: the next failure is the first one again.
  mutating func reset() { failures = 0 }

  /// How long to wait before the next try, or nil: give up. `retryAfter` is the server's wish, in seconds.
  mutating func delay(retryAfter: Int64?, random: Double) -> Duration? {
    guard failures < RetryPlan.limit else { return nil }
    failures += 1
    if let retryAfter {
      guard retryAfter <= RetryPlan.longestWait else { return nil }
      // Those who were told the same time need not come in the same moment.
      return .seconds(retryAfter) + .milliseconds(Int(random * 500))
    }
    // 0.5, 1, 2, 4, 8 seconds, or down to half of it.
    let full = 500 << (failures - 1)
    return .milliseconds(full / 2 + Int(Double(full / 2) * random))
  }

  /// Whether an answer of this status may be another one later.
  static func isPassing(_ status: Int) -> Bool {
    switch status {
    case 408, 425, 429: true
    case 501, 505: false
    default: (500..<600).contains(status)
    }
  }

  /// The seconds that a `Retry-After` field asks for (RFC 9110, 10.2.3): a number or a date; nil if it is neither.
  static func seconds(retryAfter value: String?, now: Timestamp) -> Int64? {
    guard let value, value.utf8.count <= 64 else { return nil }
    if !value.isEmpty, value.utf8.allSatisfy({ $0 >= 48 && $0 <= 57 }) { return Int64(value) ?? Int64.max }
    return date(value).map { max(0, $0.seconds - now.seconds) }
  }

  /// An HTTP date, `Sun, 06 Nov 1994 08:49:37 GMT`; nil if it is none of that form.
  private static func date(_ text: String) -> Timestamp? {
    let words = text.split(separator: " ")
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    guard words.count == 6, words[5] == "GMT", words[1].utf8.count == 2, words[3].utf8.count == 4,
      let month = months.firstIndex(of: String(words[2]))
    else { return nil }
    let number = String(month + 1)
    let padded = number.utf8.count == 1 ? "0" + number : number
    return Timestamp(rfc3339: "\(words[3])-\(padded)-\(words[1])T\(words[4])Z")
  }
}
