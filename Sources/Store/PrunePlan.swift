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
    /// Only images made before this and steps last used before this, or nil for all.
    public var until: Timestamp?
    /// Only images with all of these labels and without any of those.
    public var labels: LabelCondition
    /// Step records go, the ones of least value first, only until the build cache has at most these bytes; nil for no
    /// such limit.
    public var keepStorage: Int64?

    public init(
      danglingImages: Bool = false, unusedImages: Bool = false, buildCache: Bool = false, everyStep: Bool = false,
      until: Timestamp? = nil, labels: LabelCondition = LabelCondition(), keepStorage: Int64? = nil
    ) {
      self.danglingImages = danglingImages
      self.unusedImages = unusedImages
      self.buildCache = buildCache
      self.everyStep = everyStep
      self.until = until
      self.labels = labels
      self.keepStorage = keepStorage
    }
  }

  /// An image to remove, with the names it has.
  public struct Image: Sendable, Equatable {
    public var id: Digest
    public var names: [String]
  }

  /// A step record to remove.
  public struct Step: Sendable, Equatable {
    public var key: Digest
    public var definitionKey: Digest
    /// `RUN make`.
    public var title: String
    /// Bytes of its layer and its own files.
    public var size: Int64
    /// What it took to make, nanoseconds.
    public var cost: Int64
    public var lastUsed: Timestamp
  }

  /// A file or directory to remove and the bytes it gives back.
  public struct Item: Sendable, Equatable {
    public var digest: Digest
    public var size: Int64
  }

  /// Lists that stood for images of several platforms which all go, sorted.
  public var lists: [ImageReference] = []
  /// Sorted by ID.
  public var images: [Image] = []
  /// With a limit in the order in which they go, else sorted by key.
  public var steps: [Step] = []
  /// Bytes of the steps' own files.
  public var stepFiles: Int64 = 0
  /// Layers with all that was made of them, sorted.
  public var layers: [Item] = []
  /// Blobs that are no layer's tar, sorted.
  public var blobs: [Item] = []
  /// Whether the logs of failed steps, and aliases that lead nowhere, go too.
  public var failedSteps = false
  /// Bytes of the build cache before: layers that only step records keep, and the records.
  public var cacheBefore: Int64 = 0
  /// Bytes of the build cache afterwards.
  public var cacheAfter: Int64 = 0

  /// Bytes that come free.
  public var size: Int64 { (layers + blobs).reduce(stepFiles) { $0 + $1.size } }

  public var isEmpty: Bool { images.isEmpty && steps.isEmpty && layers.isEmpty && blobs.isEmpty }

  /// One line an object, `image sha256:... web:1`, in the order in which they go, then the build cache's sizes.
  public var text: String {
    var lines: [String] = lists.map { "list \($0.familiar)" }
    lines += images.map { (["image", $0.id.text] + $0.names).joined(separator: " ") }
    lines += steps.map { step in
      "step \(step.key.text) \(step.size) bytes, \(step.cost / 1_000_000) ms to make, used \(step.lastUsed): \(step.title)"
    }
    lines += layers.map { "layer \($0.digest.text) \($0.size)" }
    lines += blobs.map { "blob \($0.digest.text) \($0.size)" }
    lines.append("build cache: \(cacheBefore) bytes, then \(cacheAfter)")
    return lines.map { $0 + "\n" }.joined()
  }
}

/// Docker's `label` and `label!` filters.
public struct LabelCondition: Sendable, Equatable {
  /// `key` or `key=value`: all must be there.
  public var wanted: [String]
  /// `key` or `key=value`: none may be there.
  public var unwanted: [String]

  public init(wanted: [String] = [], unwanted: [String] = []) {
    self.wanted = wanted
    self.unwanted = unwanted
  }

  /// Whether `labels` fulfil it.
  public func matches(_ labels: [String: String]) -> Bool {
    func has(_ text: String) -> Bool {
      guard let equal = text.firstIndex(of: "=") else { return labels[text] != nil }
      return labels[String(text[..<equal])] == String(text[text.index(after: equal)...])
    }
    return wanted.allSatisfy(has) && !unwanted.contains(where: has)
  }
}
