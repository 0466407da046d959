/// What happens while an image comes from a registry or goes to one, as its views are told.
public enum TransferEvent: Sendable, Equatable {
  /// A line for people, without a newline: `latest: Pulling from library/busybox`.
  case line(String)
  /// What becomes of the blob `id`, twelve digits of its digest.
  case blob(id: String, State)

  public enum State: Sendable, Equatable {
    /// Its turn has not come.
    case waiting
    /// Another command fetches it.
    case shared
    /// It will be fetched.
    case found
    case downloading(done: Int64, total: Int64)
    case downloaded
    case pulled
    case alreadyExists
    /// It will be sent.
    case preparing
    case compressing
    case pushing(done: Int64, total: Int64)
    case pushed
    /// The registry has it.
    case layerExists
    /// The registry had it in another repository.
    case mounted(from: String)
  }
}
