public import Core

/// A name of a step's result: steps with equal keys have equal results.
public struct CacheKey: Hashable, Sendable {
  /// What the key is made from.
  public enum Kind: String, Sendable {
    /// The op, the context files it reads, and the definition keys of its inputs: known before anything runs.
    case definition
    /// The op, the context files it reads, and what its inputs really hold.
    case content
  }

  public let kind: Kind
  public let digest: Digest
  /// Everything that went into the digest, and the lists behind the digests in it: the difference of two pre-images
  /// says why a step was not found.
  public let preimage: Preimage

  /// Keys are compared by digest.
  public static func == (a: CacheKey, b: CacheKey) -> Bool { a.digest == b.digest }
  public func hash(into hasher: inout Hasher) { hasher.combine(digest) }

  /// The definition key of a vertex.
  static func definition(_ vertex: Vertex, context: ContentDigest?, inputs: [CacheKey]) -> CacheKey {
    CacheKey(
      .definition, vertex, ["inputs": .strings(inputs.map(\.digest.text))], digests: ["context": context])
  }

  /// The content key of a vertex. `base` is the identity of the result of `inputs[0]`, nil without inputs.
  static func content(
    _ vertex: Vertex, context: ContentDigest?, base: Digest?, selected: ContentDigest?
  ) -> CacheKey {
    CacheKey(
      .content, vertex, base.map { ["base": .string($0.text)] } ?? [:],
      digests: ["context": context, "selected": selected])
  }

  private init(_ kind: Kind, _ vertex: Vertex, _ members: [String: JSON], digests: [String: ContentDigest?]) {
    // The first member changes when results of older versions must not be found.
    var digested: [String: JSON] = ["version": 1, "kind": .string(kind.rawValue), "op": vertex.op.canonical]
    digested.merge(members) { _, new in new }
    var explained = digested.mapValues { Preimage($0) }
    for (name, content) in digests {
      guard let content else { continue }
      digested[name] = .string(content.digest.text)
      explained[name] = .object(["digest": Preimage(.string(content.digest.text)), "of": content.preimage])
    }
    self.kind = kind
    digest = Digest.sha256(JSON.object(digested).bytes)
    preimage = .object(explained)
  }
}

/// Both keys of a step that is to be executed: its record is stored under both.
public struct StepKeys: Sendable {
  public let definition: CacheKey
  /// Nil as long as the identity of the result that the step starts from is not known; see `content(base:)`.
  public let content: CacheKey?
  private let vertex: Vertex
  private let context: ContentDigest?
  private let selected: ContentDigest?

  /// The keys of `vertex` on a base without an identity yet, or with `content`, its key on a known one.
  init(
    _ vertex: Vertex, definition: CacheKey, content: CacheKey?, context: ContentDigest?, selected: ContentDigest?
  ) {
    self.definition = definition
    self.content = content
    self.vertex = vertex
    self.context = context
    self.selected = selected
  }

  /// The content key on a base whose identity came to be `base`.
  public func content(base: Digest) -> CacheKey {
    content ?? .content(vertex, context: context, base: base, selected: selected)
  }
}

/// The digest of some files, and the list that was digested.
public struct ContentDigest: Sendable {
  public var digest: Digest
  public var preimage: Preimage
  public init(digest: Digest, preimage: Preimage) {
    self.digest = digest
    self.preimage = preimage
  }
}
