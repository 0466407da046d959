public import Core

/// What is kept of one solved step: enough to reuse its result, to say why it was not reused, and to look back.
public struct StepRecord: Sendable, Equatable {
  /// The content key: equal keys have equal results.
  public var key: Digest
  /// The key made from the definition alone.
  public var definitionKey: Digest
  /// What `key` was made from: the normalised instruction, environment, inputs, file list.
  public var preimage: JSON
  /// The layer the step made, or nil for a step that changes no file.
  public var resultDiffID: Digest?
  public var started: Timestamp
  /// Nanoseconds by phase, `run`, `pack`.
  public var durations: [String: Int64]
  public var exitCode: Int32
  /// Where the full log is, or nil for a step without one. Filled in by `Store`.
  public var logPath: String?
  /// As people are shown, `RUN make`.
  public var title: String

  public init(
    key: Digest, definitionKey: Digest, preimage: JSON = .null, resultDiffID: Digest?, started: Timestamp,
    durations: [String: Int64] = [:], exitCode: Int32 = 0, logPath: String? = nil, title: String = ""
  ) {
    self.key = key
    self.definitionKey = definitionKey
    self.preimage = preimage
    self.resultDiffID = resultDiffID
    self.started = started
    self.durations = durations
    self.exitCode = exitCode
    self.logPath = logPath
    self.title = title
  }

  /// Reads what `json` wrote; throws a `Failure` that names the member at fault.
  public init(json: JSON) throws {
    func refuse(_ member: String) -> Failure { Failure("read step record", "\(member) is missing or malformed") }
    guard let key = json["key"]?.string else { throw refuse("key") }
    guard let definitionKey = json["definitionKey"]?.string else { throw refuse("definitionKey") }
    guard let started = json["started"]?.string.flatMap({ Timestamp(rfc3339: $0) }) else { throw refuse("started") }
    guard let exitCode = json["exitCode"]?.int.flatMap({ Int32(exactly: $0) }) else { throw refuse("exitCode") }
    self.init(
      key: try Digest(key), definitionKey: try Digest(definitionKey), preimage: json["preimage"] ?? .null,
      resultDiffID: try json["resultDiffID"]?.string.map { try Digest($0) }, started: started,
      durations: json["durations"]?.object?.compactMapValues(\.int) ?? [:], exitCode: exitCode,
      title: json["title"]?.string ?? "")
  }

  /// The record without `logPath`, which its place in the store says.
  public var json: JSON {
    JSON.members([
      "key": .string(key.text), "definitionKey": .string(definitionKey.text), "preimage": preimage,
      "resultDiffID": resultDiffID.map { .string($0.text) }, "started": .string(started.rfc3339),
      "durations": .object(durations.mapValues { .int($0) }), "exitCode": .int(Int64(exitCode)),
      "title": .string(title),
    ])
  }
}
