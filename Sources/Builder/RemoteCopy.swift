internal import Core
internal import FileTree
internal import Linux
internal import Registry
internal import Store
internal import Synchronization

/// Brings a manifest with its blobs from one repository into another: mounted where both are of one registry, else
/// through a temporary file, a blob at a time. Calls block.
struct RemoteCopy {
  let store: Store
  let client: RegistryClient
  let progress: @Sendable (TransferEvent) -> Void

  /// The manifest gets no tag. Where the repositories are one and the same, it only has to be there.
  func copy(_ manifest: Descriptor, from source: ImageReference, to target: ImageReference) throws {
    let there = try target.repositoryName.with(digest: manifest.digest)
    if source.registry == target.registry, source.repository == target.repository {
      guard try client.find(there) != nil else {
        throw Failure("push \(target.familiar)", "its manifest \(manifest.digest) is not in the registry any more")
      }
      return
    }
    let found = try client.manifest(manifest, of: source)
    let document = try ImageManifest(json: JSON.parse(found.bytes))
    for blob in [document.config] + document.layers where !RemoteCopy.isForeign(blob) {
      try send(blob, from: source, to: target)
    }
    _ = try client.putManifest(found.bytes, mediaType: found.descriptor.mediaType, to: there)
  }

  /// Layers that lie elsewhere, by licence.
  private static func isForeign(_ blob: Descriptor) -> Bool {
    blob.mediaType.contains("foreign") || blob.mediaType.contains("nondistributable")
  }

  private func send(_ blob: Descriptor, from source: ImageReference, to target: ImageReference) throws {
    let spool = Spool { try fetch(blob, from: source) }
    let outcome = try client.push(
      blob, to: target, mountFrom: source.registry == target.registry ? [source.repository] : []
    ) { offset in
      let rest = FileSource(try spool.file(), offset: offset)
      return { try rest.read(into: $0) }
    }
    switch outcome {
    case .existed: progress(.blob(id: blob.digest.short, .layerExists))
    case .mounted(let repository): progress(.blob(id: blob.digest.short, .mounted(from: repository)))
    case .uploaded: progress(.blob(id: blob.digest.short, .pushed))
    }
  }

  /// The blob in a temporary file without a name.
  private func fetch(_ blob: Descriptor, from source: ImageReference) throws -> OpenFile {
    let path = try store.temporaryPath("blob")
    let file = try OpenFile(path, .createNew)
    try HostPath.removeFile(path)
    var hasher = SHA256Hasher()
    try client.blob(blob, of: source) { bytes in
      hasher.update(bytes)
      try file.write(bytes)
    }
    let digest = hasher.digest()
    guard digest == blob.digest else {
      throw Failure("get blob \(blob.digest.short) of \(source)", "the content does not match: it is \(digest)")
    }
    return file
  }

  /// A file that is made when it is first asked for.
  private final class Spool: Sendable {
    private let made = Mutex<OpenFile?>(nil)
    private let make: @Sendable () throws -> OpenFile

    init(_ make: @escaping @Sendable () throws -> OpenFile) { self.make = make }

    func file() throws -> OpenFile {
      try made.withLock { made in
        if let made { return made }
        let file = try make()
        made = file
        return file
      }
    }
  }
}
