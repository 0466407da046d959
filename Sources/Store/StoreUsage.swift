public import Core

/// What takes how much of the disk: tars, indexes, trees and blobs as they came, a file with several names once.
public struct StoreUsage: Sendable {
  public struct Image: Sendable {
    public var id: Digest
    /// Bytes of layers that other images have too.
    public var sharedSize: Int64 = 0
    /// Bytes of layers that no other image has.
    public var uniqueSize: Int64 = 0
  }

  public struct Container: Sendable {
    public var record: ContainerRecord
    /// Bytes of its own layer, logs and documents.
    public var size: Int64
  }

  public struct Volume: Sendable {
    public var name: String
    public var size: Int64
  }

  /// A step record and the layer that it made.
  public struct Step: Sendable {
    public var key: Digest
    /// The steps on whose result it stands.
    public var parents: [Digest]
    public var title: String
    public var size: Int64
    public var created: Timestamp
    public var lastUsed: Timestamp
    /// Whether an image has its layer, so that nothing comes free without that.
    public var isShared: Bool
    /// Whether a command that runs made it or uses it.
    public var isInUse: Bool
  }

  /// Sorted by ID.
  public var images: [Image] = []
  /// Newest first.
  public var containers: [Container] = []
  public var volumes: [Volume] = []
  /// The one that was used last first.
  public var steps: [Step] = []
  /// All images' layers and blobs.
  public var imageBytes: Int64 = 0
  /// Of these, what no container needs.
  public var reclaimableImageBytes: Int64 = 0
  /// What only step records need, and they themselves.
  public var cacheBytes: Int64 = 0
}
