internal import Core
internal import Engine
internal import Linux

extension Command {
  /// `stave debug WHAT --json`: the hidden door for batches of small cases. `stave debug index`: a layer tar in, its
  /// index out. `stave debug ledger`: what a command's start costs.
  static let debug = Command(
    path: ["debug"], usage: "WHAT --json", summary: "Answer a batch of cases: a JSON array in, one out",
    flags: [Flag("json", .bool, "Read and write JSON")], arity: .exactly(1), isHidden: true
  ) { call in
    if call.arguments[0] == "index" {
      try Engine.debugIndex(
        of: .duplicate(0, path: "standard input"), to: .duplicate(1, path: "standard output"))
      return 0
    }
    if call.arguments[0] == "ledger" {
      call.console.line(try await call.engine.ledger().text)
      return 0
    }
    guard call.bool("json") else { throw call.usage("debug needs --json") }
    guard let input = StandardStream.input.readAll(limit: 1 << 30) else {
      throw Failure("read standard input", "more than 1 GiB, or not readable")
    }
    let output = try Engine.debug(call.arguments[0], input)
    _ = call.console.output(output + (output.last == UInt8(ascii: "\n") ? [] : [UInt8(ascii: "\n")]))
    return 0
  }
}
