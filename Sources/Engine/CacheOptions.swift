internal import Builder
internal import Core
internal import Linux

/// A `--cache-to` or `--cache-from`, parsed: `type=registry,ref=ci.example/app:cache,mode=max`, or a bare name.
enum CacheOption: Sendable, Equatable {
  case registry(ImageReference)
  /// A directory, and the name of the cache in it.
  case local(path: String, tag: String)
  /// In the image that is built.
  case inline
}

/// Where a cache is to go, and how.
struct CacheTarget: Sendable {
  var option: CacheOption
  var mode = CacheExport.Mode.min
  var packing = CacheExport.Packing()
  /// Whether a cache that can't be written is no more than a warning.
  var ignoresErrors = true

  /// The targets of one `--cache-to`.
  static func parse(_ text: String) throws -> [CacheTarget] {
    var attributes = try CacheAttributes("--cache-to", text)
    if let references = try attributes.bareReferences() {
      // As buildah, for which steps of all stages go there.
      return references.map { CacheTarget(option: .registry($0), mode: .max) }
    }
    let type = try attributes.type(["registry", "local", "inline"])
    var target = CacheTarget(option: .inline)
    switch type {
    case "registry": target.option = .registry(try attributes.reference())
    case "local":
      let path = try attributes.required("dest")
      target.option = .local(path: try absolute(path), tag: attributes.take("tag") ?? "latest")
    default: break
    }
    if let text = attributes.take("mode") {
      guard let mode = CacheExport.Mode(rawValue: text) else {
        throw attributes.refuse("unknown mode \"\(text)\": expected min or max")
      }
      // As BuildKit, whose images have no more in them either.
      target.mode = type == "inline" ? .min : mode
    }
    if type != "inline" { try target.takePacking(&attributes) }
    if let ignores = try attributes.takeBool("ignore-error") { target.ignoresErrors = ignores }
    try attributes.end()
    return [target]
  }

  private mutating func takePacking(_ attributes: inout CacheAttributes) throws {
    if let text = attributes.take("compression") {
      guard ["gzip", "zstd", "uncompressed"].contains(text) else {
        if text == "estargz" { throw Failure.notSupportedYet("\(attributes.flag) compression=estargz") }
        throw attributes.refuse("unknown compression \"\(text)\": expected gzip, zstd or uncompressed")
      }
      packing.compression = text
    }
    if let text = attributes.take("compression-level") {
      let range = packing.compression == "zstd" ? 1...19 : 0...9
      guard let level = Int(text), range.contains(level), packing.compression != "uncompressed" else {
        throw attributes.refuse(
          "invalid compression-level \"\(text)\": expected \(range.lowerBound) to \(range.upperBound) with compression=\(packing.compression ?? "gzip")"
        )
      }
      packing.level = level
    }
    packing.isForced = try attributes.takeBool("force-compression") ?? false
    for name in ["oci-mediatypes", "image-manifest"] {
      if try attributes.takeBool(name) == false { throw Failure.notSupportedYet("\(attributes.flag) \(name)=false") }
    }
  }
}

/// Where a cache is looked for.
enum CacheOrigin {
  /// The caches of one `--cache-from`.
  static func parse(_ text: String) throws -> [CacheOption] {
    var attributes = try CacheAttributes("--cache-from", text)
    if let references = try attributes.bareReferences() { return references.map { .registry($0) } }
    let option: CacheOption
    if try attributes.type(["registry", "local"]) == "registry" {
      option = .registry(try attributes.reference())
    } else {
      let path = try attributes.required("src")
      option = .local(path: try absolute(path), tag: attributes.take("tag") ?? "latest")
    }
    try attributes.end()
    return [option]
  }
}

/// Where `path` leads from here: a build's later steps may be elsewhere.
private func absolute(_ path: String) throws -> String {
  path.hasPrefix("/") ? path : "\(try HostPath.current())/\(path)"
}

/// The `key=value` fields of a flag, taken one after the other, so that none is ignored.
private struct CacheAttributes {
  let flag: String
  private let text: String
  private var fields: [(key: String, value: String?)]
  private var asked: [String] = []

  init(_ flag: String, _ text: String) throws {
    self.flag = flag
    self.text = text
    do {
      fields = try CSVRecord.fields(text).map { field in
        let parts = field.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        return (parts[0], parts.count > 1 ? parts[1] : nil)
      }
    } catch {
      throw Failure("read \(flag) \(text)", error.reason, exitCode: 125)
    }
  }

  func refuse(_ reason: String) -> Failure { Failure("read \(flag) \(text)", reason, exitCode: 125) }

  /// The names, if all there is are names.
  mutating func bareReferences() throws -> [ImageReference]? {
    guard fields.allSatisfy({ $0.value == nil }) else { return nil }
    return try fields.map { field in
      do {
        return try ImageReference(field.key)
      } catch let failure as Failure {
        throw refuse(failure.description)
      }
    }
  }

  mutating func type(_ known: [String]) throws -> String {
    guard let type = take("type") else {
      throw refuse("type is missing: expected type=\(known.joined(separator: "|"))")
    }
    if known.contains(type) { return type }
    if ["gha", "s3", "azblob"].contains(type) {
      throw Failure.notSupportedYet(
        "\(flag) type=\(type)", hint: "use \(known.map { "type=\($0)" }.joined(separator: " or "))")
    }
    if type == "inline" { throw refuse("a cache in an image is read with type=registry,ref=IMAGE") }
    throw refuse("unknown type \"\(type)\": expected \(known.joined(separator: ", "))")
  }

  mutating func reference() throws -> ImageReference {
    let text = try required("ref")
    do {
      return try ImageReference(text)
    } catch let failure as Failure {
      throw refuse(failure.description)
    }
  }

  mutating func required(_ key: String) throws -> String {
    guard let value = take(key), !value.isEmpty else { throw refuse("\(key) is missing: expected \(key)=...") }
    return value
  }

  /// The last value of `key`, as BuildKit.
  mutating func take(_ key: String) -> String? {
    asked.append(key)
    let value = fields.last { $0.key.lowercased() == key }?.value
    fields.removeAll { $0.key.lowercased() == key && $0.value != nil }
    return value
  }

  mutating func takeBool(_ key: String) throws -> Bool? {
    guard let text = take(key) else { return nil }
    switch text.lowercased() {
    case "1", "t", "true": return true
    case "0", "f", "false": return false
    default: throw refuse("invalid \(key) \"\(text)\": expected true or false")
    }
  }

  /// Throws if a field was not taken.
  func end() throws {
    guard let field = fields.first else { return }
    if field.value == nil { throw refuse("invalid field \"\(field.key)\": expected key=value") }
    throw refuse("unknown attribute \"\(field.key)\"" + didYouMean(field.key, in: asked))
  }
}
