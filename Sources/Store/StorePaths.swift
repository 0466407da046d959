internal import Core
internal import Linux

/// Where everything of a store is. Values only: nothing here looks at the disk.
struct StorePaths: Sendable {
  let root: String
  /// `tree`, or in a user namespace one that tells its ids and marks from those of others.
  let treeName: String

  init(root: String) {
    self.root = root
    treeName = UserNamespace.usesUserAttributes ? "tree-" + Self.idMapName() : "tree"
  }

  private static func idMapName() -> String {
    let lines = [UserNamespace.userIDs, UserNamespace.groupIDs].map { map in
      map.map { "\($0.inside) \($0.outside) \($0.count)" }.joined(separator: "\n")
    }
    return String(Digest.sha256(lines.joined(separator: "\n\n")).encoded.prefix(8))
  }

  var blobs: String { "\(root)/blobs/sha256" }
  var layers: String { "\(root)/layers" }
  var steps: String { "\(root)/steps" }
  var containers: String { "\(root)/containers" }
  var containerNames: String { "\(root)/containers/names" }
  var containerLock: String { "\(root)/containers/lock" }
  var stacks: String { "\(root)/stacks" }
  var volumes: String { "\(root)/volumes" }
  var contexts: String { "\(root)/contexts" }
  var lists: String { "\(root)/lists" }
  var listLock: String { "\(root)/lists/lock" }
  /// What has come of blobs that were being fetched when their command ended.
  var partial: String { "\(root)/partial" }
  var temporary: String { "\(root)/tmp" }
  var database: String { "\(root)/state.db" }
  var index: String { "\(root)/index.json" }
  /// Stands while `index.json` may not be what the database says.
  var indexPending: String { "\(root)/index.pending" }
  var layout: String { "\(root)/oci-layout" }
  /// Whose locks tell who works in the store: see `Store.lease` and `Store.gate`.
  var lease: String { "\(root)/lease" }
  /// An upper bound of the build cache's bytes, decimal.
  var cacheSize: String { "\(root)/cache-size" }

  /// The blob's file. Only SHA-256 names blobs of the store.
  func blob(_ digest: Digest) throws -> String {
    guard digest.algorithm == "sha256" else {
      throw Failure("open blob \(digest)", "only sha256 digests are supported")
    }
    return "\(blobs)/\(digest.encoded)"
  }

  func layer(_ diffID: Digest) -> String { "\(layers)/\(diffID.encoded)" }
  func tar(_ diffID: Digest) -> String { "\(layer(diffID))/tar" }
  func layerIndex(_ diffID: Digest) -> String { "\(layer(diffID))/index" }
  func form(_ name: String, of diffID: Digest) -> String { "\(layer(diffID))/form-\(name)" }
  func needsTree(_ diffID: Digest) -> String { "\(layer(diffID))/needs-tree" }
  func tree(_ diffID: Digest) -> String { "\(layer(diffID))/\(treeName)" }
  func stack(_ identity: Digest) -> String { "\(stacks)/\(identity.encoded)" }
  func stackIndex(_ identity: Digest) -> String { "\(stack(identity))/index" }
  func stackLayers(_ identity: Digest) -> String { "\(stack(identity))/layers" }
  /// Two lines of JSON: the record, then what its key was made from.
  func step(_ key: Digest) -> String { "\(steps)/\(key.encoded).json" }
  func log(_ key: Digest) -> String { "\(steps)/\(key.encoded).log" }
  func alias(_ definitionKey: Digest) -> String { "\(steps)/\(definitionKey.encoded).alias" }
  func claim(_ definitionKey: Digest) -> String { "\(steps)/\(definitionKey.encoded).lock" }
  func list(_ name: ImageReference) -> String { "\(lists)/\(Digest.sha256(name.canonical).encoded).json" }
  func container(_ id: String) -> String { "\(containers)/\(id)" }
}
