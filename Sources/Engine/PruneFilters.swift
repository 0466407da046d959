internal import Core
internal import Linux
internal import Store

/// The `--filter` words of the prune commands.
struct PruneFilters {
  /// Only what was made before this.
  var until: Timestamp?

  /// Only images and containers with these labels.
  var labels = LabelCondition()

  /// Reads `until=24h`, `until=2024-01-02T03:04:05Z`, `label=a=b`, `label!=a`; throws for what is not among `names`.
  /// `unused-for` is another word for `until`.
  init(_ filters: [(name: String, value: String)], command: String, allowing names: [String]) throws {
    for filter in filters {
      guard names.contains(filter.name) else {
        let known = ["dangling", "description", "id", "inuse", "mutable", "parents", "private", "shared", "type"]
        if known.contains(filter.name) {
          throw Failure.notSupportedYet("\(command) --filter \(filter.name)=\(filter.value)")
        }
        throw Failure(
          "\(command) --filter \(filter.name)=\(filter.value)",
          "invalid filter" + didYouMean(filter.name, in: names), exitCode: 125)
      }
      switch filter.name {
      case "label": labels.wanted.append(filter.value)
      case "label!": labels.unwanted.append(filter.value)
      default:
        guard until == nil else { throw Failure("\(command) --filter", "more than one until filter given") }
        until = try PruneFilters.time(filter.value, "\(command) --filter \(filter.name)=\(filter.value)")
      }
    }
  }

  private static func time(_ text: String, _ what: String) throws -> Timestamp {
    if let time = Timestamp(rfc3339: text) { return time }
    if let seconds = Int64(text) { return Timestamp(seconds: seconds) }
    if let age = PruneFilters.seconds(text) {
      let now = Machine.now()
      return Timestamp(seconds: now.seconds - age, nanoseconds: now.nanoseconds)
    }
    throw Failure(
      what, "neither an age nor a time",
      hint: "write an age such as 24h or 10m, or a time such as 2024-01-02T03:04:05Z")
  }

  /// Go's durations in whole seconds: `1h30m`, `10s`; nil if it is not one.
  private static func seconds(_ text: String) -> Int64? {
    var total: Int64 = 0
    var digits = ""
    var any = false
    for character in text {
      if character.isASCII, character.isNumber {
        digits.append(character)
        continue
      }
      let units: [Character: Int64] = ["h": 3600, "m": 60, "s": 1]
      guard let value = Int64(digits), value < 1 << 40, total < 1 << 60, let unit = units[character] else { return nil }
      total += value * unit
      digits = ""
      any = true
    }
    return any && digits.isEmpty ? total : nil
  }
}
