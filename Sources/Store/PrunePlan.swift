public import Core

/// What a collection of garbage will remove: a value that prints, made by `Store.prunePlan` and done by
/// `Store.prune`.
public struct PrunePlan: Sendable, Equatable {
  /// What may be removed.
  public struct Scope: Sendable, Equatable {
    /// Images without a name.
    public var danglingImages: Bool
    /// Images that no container uses, named or not.
    public var unusedImages: Bool
    /// Step records whose layer no image has.
    public var buildCache: Bool
    /// All step records.
    public var everyStep: Bool
    /// Only what was made before this, or nil for all.
    public var until: Timestamp?

    public init(
      danglingImages: Bool = false, unusedImages: Bool = false, buildCache: Bool = false, everyStep: Bool = false,
      until: Timestamp? = nil
    ) {
      self.danglingImages = danglingImages
      self.unusedImages = unusedImages
      self.buildCache = buildCache
      self.everyStep = everyStep
      self.until = until
    }
  }

  /// An image to remove, with the names it has.
  public struct Image: Sendable, Equatable {
    public var id: Digest
    public var names: [String]
  }

  /// A file or directory to remove and the bytes it gives back.
  public struct Item: Sendable, Equatable {
    public var digest: Digest
    public var size: Int64
  }

  /// Sorted by ID.
  public var images: [Image] = []
  /// Keys of step records, sorted.
  public var steps: [Digest] = []
  /// Layers with their unpacked trees, sorted.
  public var layers: [Item] = []
  /// Blobs that are no layer's tar, sorted.
  public var blobs: [Item] = []

  /// Bytes that come free.
  public var size: Int64 { (layers + blobs).reduce(0) { $0 + $1.size } }

  public var isEmpty: Bool { images.isEmpty && steps.isEmpty && layers.isEmpty && blobs.isEmpty }

  /// One line an object, `image sha256:... web:1`, in the order in which they go.
  public var text: String {
    var lines: [String] = images.map { (["image", $0.id.text] + $0.names).joined(separator: " ") }
    lines += steps.map { "step \($0.text)" }
    lines += layers.map { "layer \($0.digest.text) \($0.size)" }
    lines += blobs.map { "blob \($0.digest.text) \($0.size)" }
    return lines.map { $0 + "\n" }.joined()
  }
}

/// What `Store.du` counts, bytes.
public struct DiskUsage: Sendable, Equatable {
  /// One kind of object.
  public struct Row: Sendable, Equatable {
    public var total = 0
    /// How many are in use.
    public var active = 0
    public var size: Int64 = 0
    /// What a prune could give back.
    public var reclaimable: Int64 = 0
    public init() {}
  }

  public var images = Row()
  public var containers = Row()
  public var volumes = Row()
  public var buildCache = Row()
  public init() {}
}

/// Something that `Store.check` found.
public struct StoreProblem: Sendable, Equatable, CustomStringConvertible {
  /// `blob sha256:...`, `image web:1`.
  public var object: String
  /// Lower case, no period.
  public var reason: String
  public var isRepaired: Bool

  public init(_ object: String, _ reason: String, isRepaired: Bool = false) {
    self.object = object
    self.reason = reason
    self.isRepaired = isRepaired
  }

  public var description: String { "\(object): \(reason)" + (isRepaired ? " (repaired)" : "") }
}
