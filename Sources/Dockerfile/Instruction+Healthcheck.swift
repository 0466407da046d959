internal import Core

extension Instruction.Healthcheck {
  init(_ node: SyntaxNode) throws {
    try node.requireArguments()
    let flags = try BuilderFlags(
      node.flags,
      known: [
        "interval": .string, "timeout": .string, "start-period": .string, "start-interval": .string,
        "retries": .string,
      ])
    let type = node.arguments[0].uppercased()
    let words: [String] = Array(node.arguments.dropFirst())
    switch type {
    case "NONE":
      guard words.isEmpty else { throw ParseError("HEALTHCHECK NONE takes no arguments") }
      self.init(test: ["NONE"])
      return
    case "CMD":
      guard !words.isEmpty else { throw ParseError("Missing command after HEALTHCHECK CMD") }
      self.init(test: node.isJSON ? ["CMD"] + words : ["CMD-SHELL", words.joined(separator: " ")])
    default: throw ParseError("Unknown type \(type.goQuoted) in HEALTHCHECK (try CMD)")
    }
    interval = try Instruction.Healthcheck.duration("interval", flags)
    timeout = try Instruction.Healthcheck.duration("timeout", flags)
    startPeriod = try Instruction.Healthcheck.duration("start-period", flags)
    startInterval = try Instruction.Healthcheck.duration("start-interval", flags)
    retries = try Instruction.Healthcheck.retries(flags)
  }

  private static func duration(_ name: String, _ flags: BuilderFlags) throws -> Int64 {
    guard let text = flags.string(name) else { return 0 }
    let nanoseconds = try parseDuration(text)
    guard nanoseconds == 0 || nanoseconds >= 1_000_000 else {
      throw ParseError("Interval \(name.goQuoted) cannot be less than 1ms")
    }
    return nanoseconds
  }

  private static func retries(_ flags: BuilderFlags) throws -> Int {
    guard let text = flags.string("retries") else { return 0 }
    guard let number = Int32(text) else {
      let isNumber = text.utf8.drop { $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "+") }
        .allSatisfy { $0 >= 48 && $0 <= 57 }
      throw ParseError("parse --retries: \(text.goQuoted): \(isNumber ? "value out of range" : "invalid syntax")")
    }
    guard number >= 0 else { throw ParseError("--retries cannot be negative (\(number))") }
    return Int(number)
  }
}

/// Nanoseconds of a duration as Go writes them, `1h2m3.5s`: decimal numbers, each with a unit of h, m, s, ms, us
/// (or `µs`) and ns; `0` needs none. Throws a `ParseError`.
func parseDuration(_ text: String) throws -> Int64 {
  let invalid = ParseError("time: invalid duration \(text.goQuoted)")
  var rest = Substring(text).unicodeScalars
  let isNegative = rest.first == "-"
  if isNegative || rest.first == "+" { rest = rest.dropFirst() }
  if String(rest) == "0" { return 0 }
  guard !rest.isEmpty else { throw invalid }
  var total: Int64 = 0
  while !rest.isEmpty {
    let whole = rest.prefix { $0.isASCII && $0.isDigit }
    rest = rest[whole.endIndex...]
    var fraction = rest.prefix(0)
    if rest.first == "." {
      rest = rest.dropFirst()
      fraction = rest.prefix { $0.isASCII && $0.isDigit }
      rest = rest[fraction.endIndex...]
    }
    guard !whole.isEmpty || !fraction.isEmpty else { throw invalid }
    let unit = String(rest.prefix { $0 != "." && !($0.isASCII && $0.isDigit) })
    rest = rest.dropFirst(unit.unicodeScalars.count)
    guard !unit.isEmpty else { throw ParseError("time: missing unit in duration \(text.goQuoted)") }
    guard let scale = durationUnits.first(where: { $0.name == unit })?.nanoseconds else {
      throw ParseError("time: unknown unit \(unit.goQuoted) in duration \(text.goQuoted)")
    }
    guard let number = whole.isEmpty ? 0 : Int64(String(whole)) else { throw invalid }
    let (product, tooLarge) = number.multipliedReportingOverflow(by: scale)
    // Digits behind the nanosecond do not count.
    let part = fraction.isEmpty ? 0 : (Double("0." + String(fraction.prefix(18))) ?? 0) * Double(scale)
    let (withPart, stillTooLarge) = product.addingReportingOverflow(Int64(part))
    let (sum, atLastTooLarge) = total.addingReportingOverflow(withPart)
    guard !tooLarge, !stillTooLarge, !atLastTooLarge else { throw invalid }
    total = sum
  }
  return isNegative ? -total : total
}

private let durationUnits: [(name: String, nanoseconds: Int64)] = [
  ("ns", 1), ("us", 1_000), ("µs", 1_000), ("μs", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000),
  ("m", 60_000_000_000), ("h", 3_600_000_000_000),
]
