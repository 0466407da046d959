/// A list of images under one name, as it is kept here: what `manifest create` makes, and what a build or a pull of
/// several platforms leaves. Pushed it becomes an index (OCI image-spec 1.1, image-index.md).
public struct ManifestList: Hashable, Sendable {
  /// The name under which it is kept, with its tag.
  public let name: ImageReference
  /// In order, each digest once. Change it with `add`, `remove` and `annotate`.
  public private(set) var entries: [Entry]
  public private(set) var annotations: [String: String]
  public var kind: Kind
  /// The index as a registry gave it, if nothing was changed since.
  public private(set) var document: Descriptor?

  public init(
    name: ImageReference, entries: [Entry] = [], annotations: [String: String] = [:], kind: Kind = .draft,
    document: Descriptor? = nil
  ) {
    self.name = name
    self.entries = entries
    self.annotations = annotations
    self.kind = kind
    self.document = document
  }

  /// What it stands for.
  public enum Kind: String, Sendable, Hashable {
    /// What `manifest create` was told.
    case draft
    /// The image of its name, of several platforms: a build or a pull made it.
    case image
    /// Images for other platforms than that of the image which has the name: builds brought them in.
    case platforms
  }

  /// Whether it lives and ends with the image that has its name.
  public var isOfImage: Bool { kind != .draft }

  /// One manifest of a list.
  public struct Entry: Hashable, Sendable {
    public var descriptor: Descriptor
    public var place: Place

    public init(_ descriptor: Descriptor, _ place: Place) {
      self.descriptor = descriptor
      self.place = place
    }
  }

  /// Where a manifest and its blobs are.
  public enum Place: Hashable, Sendable {
    /// In the store, as the image with this ID; nil: as documents that are no image, an attestation.
    case store(image: Digest?)
    /// In this repository of a registry.
    case registry(ImageReference)
  }

  /// What `annotate` changes; nil and empty leave things as they are.
  public struct Changes: Sendable {
    public var os: String?
    public var architecture: String?
    public var variant: String?
    public var osVersion: String?
    public var osFeatures: [String] = []
    public var annotations: [String: String] = [:]
    public init() {}
  }

  /// The same list under another name.
  public func named(_ name: ImageReference) -> ManifestList {
    ManifestList(name: name, entries: entries, annotations: annotations, kind: kind, document: document)
  }

  /// The images in the store that it names.
  public var images: [Digest] {
    entries.compactMap { if case .store(let image) = $0.place { image } else { nil } }
  }

  /// Adds a manifest, or replaces the one of that digest.
  public mutating func add(_ entry: Entry) {
    document = nil
    if let at = entries.firstIndex(where: { $0.descriptor.digest == entry.descriptor.digest }) {
      entries[at] = entry
    } else {
      entries.append(entry)
    }
  }

  /// Takes the manifest `digest` out; throws if it is not in the list.
  public mutating func remove(_ digest: Digest) throws {
    entries.remove(at: try position(digest))
    document = nil
  }

  /// Changes what the list says of the manifest `digest`; throws if it is not in the list.
  public mutating func annotate(_ digest: Digest, _ changes: Changes) throws {
    let at = try position(digest)
    var platform = entries[at].descriptor.platform ?? Platform(os: "", architecture: "")
    platform.os = changes.os ?? platform.os
    platform.architecture = changes.architecture ?? platform.architecture
    platform.variant = changes.variant ?? platform.variant
    platform.osVersion = changes.osVersion ?? platform.osVersion
    for feature in changes.osFeatures where !platform.osFeatures.contains(feature) {
      platform.osFeatures.append(feature)
    }
    if !platform.os.isEmpty || !platform.architecture.isEmpty { entries[at].descriptor.platform = platform }
    entries[at].descriptor.annotations.merge(changes.annotations) { _, new in new }
    document = nil
  }

  /// Sets annotations of the list itself.
  public mutating func annotate(_ more: [String: String]) {
    if more.isEmpty { return }
    annotations.merge(more) { _, new in new }
    document = nil
  }

  private func position(_ digest: Digest) throws -> Int {
    guard let at = entries.firstIndex(where: { $0.descriptor.digest == digest }) else {
      throw Failure("", "manifest for image \(digest) does not exist in the manifest list \(name.familiar)")
    }
    return at
  }

  /// The index that it makes. As docker has it, a list that begins with a manifest of Docker's own type is of Docker's
  /// own type.
  public var index: ImageIndex {
    let isDockers = entries.first?.descriptor.mediaType == MediaType.dockerManifest && annotations.isEmpty
    return ImageIndex(
      mediaType: document?.mediaType ?? (isDockers ? MediaType.dockerList : MediaType.ociIndex),
      manifests: entries.map(\.descriptor), annotations: annotations)
  }
}

extension ManifestList {
  /// Reads what `json` wrote; throws a `Failure` that names what is wrong.
  public init(json: JSON) throws {
    let what = "read list"
    name = try ImageReference(try json.required("name", what))
    guard let entries = json["entries"]?.array else { throw Failure(what, "entries is missing or no array") }
    self.entries = try entries.map { entry in
      guard let descriptor = entry["descriptor"] else { throw Failure(what, "descriptor is missing") }
      let place: Place =
        if let repository = entry["repository"]?.string {
          .registry(try ImageReference(repository))
        } else {
          .store(image: try entry["image"]?.string.map { try Digest($0) })
        }
      return Entry(try Descriptor(json: descriptor), place)
    }
    annotations = try json.stringMap("annotations", what)
    guard let kind = Kind(rawValue: try json.required("kind", what)) else { throw Failure(what, "kind is unknown") }
    self.kind = kind
    document = try json["document"].map { try Descriptor(json: $0) }
  }

  /// The document by which the store keeps it.
  public var json: JSON {
    JSON.members([
      "name": .string(name.canonical), "kind": .string(kind.rawValue), "document": document?.json,
      "annotations": annotations.isEmpty ? nil : .object(annotations.mapValues { .string($0) }),
      "entries": .array(
        entries.map { entry in
          switch entry.place {
          case .store(let image):
            JSON.members(["descriptor": entry.descriptor.json, "image": image.map { .string($0.text) }])
          case .registry(let repository):
            JSON.members(["descriptor": entry.descriptor.json, "repository": .string(repository.canonical)])
          }
        }),
    ])
  }
}
