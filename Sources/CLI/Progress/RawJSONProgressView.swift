internal import Core

/// One JSON object a line, one line an event. Log bytes are in base64 (`data`), durations in nanoseconds.
struct RawJSONProgressView: ProgressView {
  init() {}

  mutating func text(for event: ProgressEvent) -> String { RawJSONProgressView.json(event).text + "\n" }

  /// The object for `event`.
  static func json(_ event: ProgressEvent) -> JSON {
    switch event {
    case .stepStarted(let step, let at):
      return .members([
        "event": "stepStarted", "step": .int(Int64(step.id)), "name": .string(step.name),
        "stage": JSON.nonEmpty(step.stage), "index": step.total > 0 ? .int(Int64(step.index)) : nil,
        "total": step.total > 0 ? .int(Int64(step.total)) : nil, "at": .string(at.rfc3339),
      ])
    case .stepLog(let step, let stream, let bytes, let at):
      return .object([
        "event": "stepLog", "step": .int(Int64(step)), "stream": .string(stream.rawValue),
        "data": .string(base64(bytes)), "at": .string(at.rfc3339),
      ])
    case .stepFinished(let step, let outcome, let duration, let at):
      let (word, reason): (String, String?) =
        switch outcome {
        case .cached: ("cached", nil)
        case .done: ("done", nil)
        case .error(let reason): ("error", reason)
        case .cancelled: ("canceled", nil)
        }
      return .members([
        "event": "stepFinished", "step": .int(Int64(step)), "outcome": .string(word),
        "error": reason.map { .string($0) }, "duration": .int(duration), "at": .string(at.rfc3339),
      ])
    case .warning(let diagnostic):
      return .members([
        "event": "warning", "severity": .string(diagnostic.severity.rawValue), "message": .string(diagnostic.message),
        "file": JSON.nonEmpty(diagnostic.file), "firstLine": diagnostic.range.map { .int(Int64($0.first)) },
        "lastLine": diagnostic.range.map { .int(Int64($0.last)) }, "hint": diagnostic.hint.map { .string($0) },
      ])
    case .message(let text): return .object(["event": "message", "message": .string(text)])
    case .buildFinished(let succeeded, let duration):
      return .object(["event": "buildFinished", "succeeded": .bool(succeeded), "duration": .int(duration)])
    }
  }

  /// RFC 4648, with padding.
  static func base64(_ bytes: [UInt8]) -> String {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    var out: [UInt8] = []
    out.reserveCapacity((bytes.count + 2) / 3 * 4)
    var at = 0
    while at < bytes.count {
      let count = min(3, bytes.count - at)
      let a = UInt32(bytes[at]) << 16
      let b = count > 1 ? UInt32(bytes[at + 1]) << 8 : 0
      let c = count > 2 ? UInt32(bytes[at + 2]) : 0
      let word = a | b | c
      for i in 0..<4 {
        out.append(i <= count ? alphabet[Int(word >> UInt32(18 - 6 * i)) & 63] : UInt8(ascii: "="))
      }
      at += 3
    }
    return String(decoding: out, as: UTF8.self)
  }
}
