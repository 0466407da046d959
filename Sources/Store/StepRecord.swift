public import Core

/// What is kept of one solved step: enough to reuse its result, to say why it was not reused, and to look back.
public struct StepRecord: Sendable, Equatable {
  /// The content key: equal keys have equal results.
  public var key: Digest
  /// The key made from the definition alone.
  public var definitionKey: Digest
  /// What `key` was made from: the normalised instruction, environment, inputs, file list.
  public var preimage: Preimage
  /// The layer the step made, or nil for a step that changes no file.
  public var resultDiffID: Digest?
  /// The whole result, lowest layer first: a hit needs no other record.
  public var stack: [StackedLayer]
  public var started: Timestamp
  /// Nanoseconds by phase, `run`, `pack`.
  public var durations: [String: Int64]
  public var exitCode: Int32
  /// Where the full log is, or nil for a step without one. Filled in by `Store`.
  public var logPath: String?
  /// As people are shown, `RUN make`.
  public var title: String

  public init(
    key: Digest, definitionKey: Digest, preimage: Preimage = .null, resultDiffID: Digest?,
    stack: [StackedLayer] = [], started: Timestamp,
    durations: [String: Int64] = [:], exitCode: Int32 = 0, logPath: String? = nil, title: String = ""
  ) {
    self.key = key
    self.definitionKey = definitionKey
    self.preimage = preimage
    self.resultDiffID = resultDiffID
    self.stack = stack
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
      key: try Digest(key), definitionKey: try Digest(definitionKey),
      resultDiffID: try json["resultDiffID"]?.string.map { try Digest($0) },
      stack: try (json["stack"]?.array ?? []).map { try StackedLayer(json: $0) }, started: started,
      durations: json["durations"]?.object?.compactMapValues(\.int) ?? [:], exitCode: exitCode,
      title: json["title"]?.string ?? "")
  }

  /// The record without `logPath`, which its place in the store says, and `preimage`, which has a line of its own.
  public var json: JSON {
    JSON.members([
      "key": .string(key.text), "definitionKey": .string(definitionKey.text),
      "resultDiffID": resultDiffID.map { .string($0.text) }, "stack": .array(stack.map(\.json)),
      "started": .string(started.rfc3339),
      "durations": .object(durations.mapValues { .int($0) }), "exitCode": .int(Int64(exitCode)),
      "title": .string(title),
    ])
  }
}

/// A layer of a step's result.
public struct StackedLayer: Sendable, Hashable {
  public var diffID: Digest
  /// When the step that made it began; nil for a layer of the base image.
  public var created: Timestamp?

  public init(_ diffID: Digest, created: Timestamp? = nil) {
    self.diffID = diffID
    self.created = created
  }

  init(json: JSON) throws {
    guard let diffID = json["diffID"]?.string else {
      throw Failure("read step record", "stack is missing or malformed")
    }
    self.init(try Digest(diffID), created: json["created"]?.string.flatMap { Timestamp(rfc3339: $0) })
  }

  var json: JSON {
    JSON.members(["diffID": .string(diffID.text), "created": created.map { .string($0.rfc3339) }])
  }
}
