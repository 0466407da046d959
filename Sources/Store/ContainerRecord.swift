public import Core
public import Linux

/// A container on disk: what it was made from and what has become of it.
public struct ContainerRecord: Sendable, Equatable {
  /// 64 hexadecimal digits.
  public var id: String
  public var name: String
  public var created: Timestamp
  /// The image it was made from, or nil when it has none.
  public var image: Digest?
  /// The image as the user named it, `node:18`.
  public var imageName: String
  /// The document of whoever made the container; the store keeps it as it is.
  public var config: JSON
  public var state: ContainerState

  public init(
    id: String, name: String, created: Timestamp, image: Digest?, imageName: String, config: JSON = .object([:]),
    state: ContainerState = .created
  ) {
    self.id = id
    self.name = name
    self.created = created
    self.image = image
    self.imageName = imageName
    self.config = config
    self.state = state
  }

  /// The first 12 digits of the ID.
  public var shortID: String { String(id.prefix(12)) }
}

/// The life of a container; each state has what exists only in it.
public enum ContainerState: Sendable, Equatable {
  case created
  case running(process: ProcessIdentity, started: Timestamp)
  /// `started` is nil when the process never came to be.
  case exited(code: Int32, started: Timestamp?, finished: Timestamp, error: String = "")

  /// Docker's word: `created`, `running`, `exited`.
  public var status: String {
    switch self {
    case .created: "created"
    case .running: "running"
    case .exited: "exited"
    }
  }

  public var isRunning: Bool {
    if case .running = self { return true }
    return false
  }

  /// Reads what `json` wrote; throws a `Failure` that names the member at fault.
  public init(json: JSON) throws {
    func refuse(_ member: String) -> Failure { Failure("read container state", "\(member) is missing or malformed") }
    let started = json["startedAt"]?.string.flatMap { Timestamp(rfc3339: $0) }
    switch json["status"]?.string {
    case "created": self = .created
    case "running":
      guard let started else { throw refuse("startedAt") }
      guard let pid = json["pid"]?.int.flatMap({ Int32(exactly: $0) }), let bornAt = json["pidStart"]?.int,
        bornAt >= 0, let boot = json["boot"]?.string
      else { throw refuse("pid") }
      self = .running(process: ProcessIdentity(pid: pid, startTicks: UInt64(bornAt), boot: boot), started: started)
    case "exited":
      guard let finished = json["finishedAt"]?.string.flatMap({ Timestamp(rfc3339: $0) }) else {
        throw refuse("finishedAt")
      }
      guard let code = json["exitCode"]?.int.flatMap({ Int32(exactly: $0) }) else { throw refuse("exitCode") }
      self = .exited(code: code, started: started, finished: finished, error: json["error"]?.string ?? "")
    default: throw refuse("status")
    }
  }

  public var json: JSON {
    switch self {
    case .created: JSON.members(["status": "created"])
    case .running(let process, let started):
      JSON.members([
        "status": "running", "startedAt": .string(started.rfc3339), "pid": .int(Int64(process.pid)),
        "pidStart": .int(Int64(clamping: process.startTicks)), "boot": .string(process.boot),
      ])
    case .exited(let code, let started, let finished, let error):
      JSON.members([
        "status": "exited", "exitCode": .int(Int64(code)), "startedAt": started.map { .string($0.rfc3339) },
        "finishedAt": .string(finished.rfc3339), "error": JSON.nonEmpty(error),
      ])
    }
  }
}
