internal import Core
internal import Engine
internal import Linux

extension Command {
  /// `stave debug WHAT --json`: the hidden door for batches of small cases.
  static let debug = Command(
    path: ["debug"], usage: "WHAT --json", summary: "Answer a batch of cases: a JSON array in, one out",
    flags: [Flag("json", .bool, "Read and write JSON")], arity: .exactly(1), isHidden: true
  ) { call in
    guard call.bool("json") else { throw call.usage("debug needs --json") }
    guard let input = StandardStream.input.readAll(limit: 1 << 30) else {
      throw Failure("read standard input", "more than 1 GiB, or not readable")
    }
    let output = try Engine.debug(call.arguments[0], input)
    _ = call.console.output(output + (output.last == UInt8(ascii: "\n") ? [] : [UInt8(ascii: "\n")]))
    return 0
  }
}
