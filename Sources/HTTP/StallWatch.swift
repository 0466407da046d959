internal import Linux

/// Sees whether a transfer moves.
struct StallWatch {
  let patience: CurlTransport.Patience
  /// When the bytes were counted that a transfer must go beyond, and their number.
  private var start = Machine.monotonicNanoseconds()
  private var mark: Int64 = 0
  private var hasMoved = false

  init(_ patience: CurlTransport.Patience) { self.patience = patience }

  /// Seconds that the server has. Before anything moved, the connection's are among them.
  func limit(_ isTransferring: Bool) -> Int {
    isTransferring ? patience.stall + (hasMoved ? 0 : patience.connect) : patience.answer
  }

  /// Takes the `nanoseconds` that the caller spent itself off the server's account.
  mutating func excuse(_ nanoseconds: Int64) { start += nanoseconds }

  /// Whether too little has moved for too long, with `bytes` moved in all by now.
  mutating func isStalled(at bytes: Int64, isTransferring: Bool) -> Bool {
    let now = Machine.monotonicNanoseconds()
    hasMoved = hasMoved || bytes > 0
    if bytes - mark >= patience.slowest * Int64(patience.stall) || bytes < mark {
      start = now
      mark = bytes
      return false
    }
    return now - start > Int64(limit(isTransferring)) * 1_000_000_000
  }
}
