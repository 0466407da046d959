internal import Core

/// Makes the index of a tar that is written or read, for as long as that is possible.
public final class IndexFeed {
  /// What came of it.
  public enum Outcome {
    case index(IndexTree, tarSize: Int64)
    /// No index can serve the layer.
    case needsTree(String)
  }

  private let builder = LayerIndexBuilder()
  private var refusal: String?

  public init() {}

  /// The next member. What no index can hold is remembered for `finish`.
  public func add(_ member: TarMember) {
    guard refusal == nil else { return }
    do {
      try builder.add(member)
    } catch {
      refusal = (error as? Failure)?.reason ?? "\(error)"
    }
  }

  /// All members of `reader` up to its end.
  public func readAll(_ reader: TarReader) throws {
    while let member = try reader.next() { add(member) }
  }

  /// What came of a tar of `tarSize` bytes. To be called once.
  public func finish(tarSize: Int64) -> Outcome {
    if let refusal { return .needsTree(refusal) }
    do {
      return .index(try builder.finish(tarSize: tarSize), tarSize: tarSize)
    } catch {
      return .needsTree("\(error)")
    }
  }
}
