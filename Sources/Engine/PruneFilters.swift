internal import Core
internal import Linux

/// The `--filter` words of the prune commands.
struct PruneFilters {
  /// Only what was made before this.
  var until: Timestamp?

  /// Reads `until=24h` or `until=2024-01-02T03:04:05Z`; throws for any other filter.
  init(_ filters: [(name: String, value: String)], command: String) throws {
    for filter in filters {
      guard filter.name == "until" else {
        throw Failure.notSupportedYet("\(command) --filter \(filter.name)=\(filter.value)")
      }
      guard until == nil else { throw Failure("\(command) --filter", "more than one until filter given") }
      if let time = Timestamp(rfc3339: filter.value) {
        until = time
      } else if let seconds = Int64(filter.value) {
        until = Timestamp(seconds: seconds)
      } else if let age = PruneFilters.seconds(filter.value) {
        let now = Machine.now()
        until = Timestamp(seconds: now.seconds - age, nanoseconds: now.nanoseconds)
      } else {
        throw Failure(
          "\(command) --filter until=\(filter.value)", "neither an age nor a time",
          hint: "write an age such as 24h or 10m, or a time such as 2024-01-02T03:04:05Z")
      }
    }
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
