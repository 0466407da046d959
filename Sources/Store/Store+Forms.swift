public import Core
internal import Linux

/// Compressed forms of a layer whose bytes are not kept: compressing is deterministic, so what a form's digest and size
/// are need be found out only once. A registry that has the form then needs no bytes of it.
extension Store {
  /// What was remembered of the form `name` (`gzip`, `zstd-19`) of the layer, or nil.
  public func form(_ name: String, of diffID: Digest) throws -> Descriptor? {
    guard let bytes = try readIfThere(paths.form(name, of: diffID)) else { return nil }
    return try? Descriptor(json: JSON.parse(bytes))
  }

  /// Remembers that `form` is the form `name` of the layer.
  public func remember(_ form: Descriptor, as name: String, of diffID: Digest) throws {
    try replace(paths.form(name, of: diffID), with: form.json.bytes, durable: false)
  }
}
