internal import Core

/// Go's `printf` for the verbs that templates use: `%s %v %d %q %x %X %t %f %%`, with `-`, `0`, width and precision.
enum TemplatePrintf {
  /// What one `%` asks.
  private struct Verb {
    var isLeft = false
    var isZero = false
    var width = 0
    var precision: Int?
  }

  static func format(_ format: String, _ arguments: [JSON]) -> String {
    var out = ""
    var rest = format[...]
    var next = 0
    while let character = rest.popFirst() {
      guard character == "%" else {
        out.append(character)
        continue
      }
      var verb = Verb()
      while let flag = rest.first, flag == "-" || flag == "0" || flag == "+" || flag == " " || flag == "#" {
        verb.isLeft = verb.isLeft || flag == "-"
        verb.isZero = verb.isZero || flag == "0"
        rest.removeFirst()
      }
      verb.width = number(&rest)
      if rest.first == "." {
        rest.removeFirst()
        verb.precision = number(&rest)
      }
      guard let letter = rest.popFirst() else { return out + "%!(NOVERB)" }
      if letter == "%" {
        out += "%"
        continue
      }
      guard next < arguments.count else {
        out += "%!\(letter)(MISSING)"
        continue
      }
      out += padded(text(letter, arguments[next], verb), verb)
      next += 1
    }
    if next < arguments.count {
      out += "%!(EXTRA " + arguments[next...].map(TemplateFunctions.text).joined(separator: ", ") + ")"
    }
    return out
  }

  private static func text(_ letter: Character, _ value: JSON, _ verb: Verb) -> String {
    switch (letter, value) {
    case ("d", .int(let number)): return String(number)
    case ("x", .int(let number)): return String(number, radix: 16)
    case ("X", .int(let number)): return String(number, radix: 16, uppercase: true)
    case ("x", .string(let text)):
      return text.utf8.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    case ("q", _): return JSON.string(TemplateFunctions.text(value)).text
    case ("t", .bool(let flag)): return flag ? "true" : "false"
    case ("f", .int), ("f", .number): return fixed(Double(TemplateFunctions.text(value)) ?? 0, verb.precision ?? 6)
    case ("s", .string(let text)), ("v", .string(let text)):
      return verb.precision.map { String(text.prefix($0)) } ?? text
    case ("s", _), ("v", _): return TemplateFunctions.text(value)
    default: return "%!\(letter)(\(TemplateFunctions.text(value)))"
    }
  }

  private static func fixed(_ value: Double, _ places: Int) -> String {
    let places = min(places, 9)
    guard value.isFinite, value.magnitude < 1e9 else { return String(value) }
    var scale: Int64 = 1
    for _ in 0..<places { scale *= 10 }
    let units = Int64((value.magnitude * Double(scale)).rounded())
    var fraction = String(units % scale)
    while fraction.count < places { fraction = "0" + fraction }
    return (value < 0 ? "-" : "") + String(units / scale) + (places > 0 ? "." + fraction : "")
  }

  private static func padded(_ text: String, _ verb: Verb) -> String {
    let missing = verb.width - text.count
    guard missing > 0 else { return text }
    let fill = String(repeating: verb.isZero && !verb.isLeft ? "0" : " ", count: missing)
    return verb.isLeft ? text + fill : fill + text
  }

  /// Digits at the start of `rest`, at most 4096.
  private static func number(_ rest: inout Substring) -> Int {
    var value = 0
    while let digit = rest.first?.wholeNumberValue, rest.first?.isASCII == true {
      value = min(4096, value * 10 + digit)
      rest.removeFirst()
    }
    return value
  }
}
