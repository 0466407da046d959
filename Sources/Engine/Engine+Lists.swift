public import Core
internal import Builder
internal import Linux
internal import Registry
internal import Store

extension Engine {
  /// Makes the list `name` of the manifests that `images` name, or with `amend` adds them to the one that is there.
  public func createList(_ name: String, _ images: [String], _ request: ListRequest, _ options: RegistryOptions)
    async throws -> String
  {
    let reference = try Engine.listName(name)
    return try await leasing { store in
      let source = ListSource(store: store, client: try RegistryAccess(options, for: reference.registry).client)
      return try await BlockingPool.shared.run {
        if !request.amends, (try? Engine.list(reference, store)) != nil {
          throw Failure("", "refusing to amend an existing manifest list with no --amend flag")
        }
        let entries = try images.flatMap { try source.entries($0, all: request.takesAll) }
        try store.changeList(reference) { list in
          var changed = ManifestList(name: reference)
          if request.amends, let list, list.kind != .platforms { changed = list }
          for entry in entries { changed.add(entry) }
          changed.annotate(request.annotations)
          list = changed
        }
        return reference.familiar
      }
    }
  }

  /// Adds the manifests that `images` name to the list `name`, with `changes` in what the list says of them. Returns
  /// their digests.
  @discardableResult
  public func addToList(
    _ name: String, _ images: [String], _ changes: ManifestList.Changes, all: Bool, _ options: RegistryOptions
  ) async throws -> [Digest] {
    let reference = try Engine.listName(name)
    return try await leasing { store in
      let source = ListSource(store: store, client: try RegistryAccess(options, for: reference.registry).client)
      return try await BlockingPool.shared.run {
        _ = try Engine.list(reference, store)
        let entries = try images.flatMap { try source.entries($0, all: all) }
        return try store.changeList(reference) { list in
          guard var changed = list else { throw Engine.noSuchList(reference) }
          for entry in entries {
            changed.add(entry)
            try changed.annotate(entry.descriptor.digest, changes)
          }
          list = changed
          return entries.map(\.descriptor.digest)
        }
      }
    }
  }

  /// Changes what the list `name` says of the manifest that `image` names, or of itself where that is nil.
  public func annotateList(
    _ name: String, _ image: String?, _ changes: ManifestList.Changes, _ options: RegistryOptions
  ) async throws {
    try await editList(name, image, options) { list, digest in
      if let digest { try list.annotate(digest, changes) } else { list.annotate(changes.annotations) }
    }
  }

  /// Takes the manifest that `image` names out of the list `name`.
  public func removeFromList(_ name: String, _ image: String, _ options: RegistryOptions) async throws {
    try await editList(name, image, options) { list, digest in if let digest { try list.remove(digest) } }
  }

  private func editList(
    _ name: String, _ image: String?, _ options: RegistryOptions,
    _ edit: @escaping @Sendable (inout ManifestList, Digest?) throws -> Void
  ) async throws {
    let reference = try Engine.listName(name)
    try await leasing { store in
      let source = ListSource(store: store, client: try RegistryAccess(options, for: reference.registry).client)
      try await BlockingPool.shared.run {
        let known = try Engine.list(reference, store)
        let digest = try image.map { try source.digest($0, in: known) }
        try store.changeList(reference) { list in
          guard var changed = list else { throw Engine.noSuchList(reference) }
          try edit(&changed, digest)
          list = changed
        }
      }
    }
  }

  /// Forgets the list `name`. Images stay, those without a name until they are pruned.
  public func removeList(_ name: String) async throws {
    let reference = try Engine.listName(name)
    try await withStore { store in
      try store.changeList(reference) { list in
        guard let there = list, there.kind != .platforms else { throw Engine.noSuchList(reference) }
        list = nil
      }
    }
  }

  /// Whether there is a list `name`.
  public func hasList(_ name: String) async throws -> Bool {
    let reference = try Engine.listName(name)
    return try await withStore { store in (try? Engine.list(reference, store)) != nil }
  }

  /// Sends the list `name` to the registry that `destination`, or else its name, names. Returns the index's digest.
  public func pushList(
    _ name: String, to destination: String?, _ push: PushOptions, _ options: RegistryOptions,
    progress: @escaping @Sendable (TransferEvent) -> Void
  ) async throws -> Digest {
    let reference = try Engine.listName(name)
    let target = try destination.map { text in
      try Engine.listName(text.hasPrefix("docker://") ? String(text.dropFirst(9)) : text)
    }
    return try await leasing { store in
      let list = try await BlockingPool.shared.run { try Engine.list(reference, store) }
      let destination = target ?? reference
      let client = try RegistryAccess(options, for: destination.registry).client
      return try await Engine.listPush(store, push, client, progress).push(list, to: destination).digest
    }
  }

  static func listPush(
    _ store: Store, _ push: PushOptions, _ client: RegistryClient,
    _ progress: @escaping @Sendable (TransferEvent) -> Void
  ) throws -> ListPush {
    let images = try ImagePush(
      store: store, client: client, compression: push.compression, level: push.level, isForced: push.isForced,
      progress: progress)
    return ListPush(store: store, client: client, images: images, progress: progress)
  }

  private static func listName(_ text: String) throws -> ImageReference {
    let reference = try ImageReference(text)
    guard reference.digest == nil else { throw Failure("", "a list's name can't have a digest: \(text)") }
    return reference
  }

  private static func list(_ name: ImageReference, _ store: Store) throws -> ManifestList {
    guard name.digest == nil, let list = try store.list(name), list.kind != .platforms else { throw noSuchList(name) }
    return list
  }

  private static func noSuchList(_ name: ImageReference) -> Failure {
    Failure(
      "", "No such manifest: \(name.familiar)", hint: "\"stave manifest create \(name.familiar) IMAGE...\" makes a list"
    )
  }
}

extension Engine {
  /// The manifest or list that `name` names, of this machine's lists or else of its registry, and where it is from.
  public func inspectManifest(_ name: String, _ options: RegistryOptions) async throws -> JSON {
    let reference = try ImageReference(name)
    return try await withStore { store in
      if let list = try? Engine.list(reference, store) { return list.index.json }
      let client = try RegistryAccess(options, for: reference.registry).client
      return try JSON.parse(try Engine.remote(reference, client).bytes)
    }
  }

  /// As docker's verbose form: of a manifest its reference, descriptor, bytes and content; of a list an array of those.
  public func inspectManifestVerbosely(_ name: String, _ options: RegistryOptions) async throws -> JSON {
    let reference = try ImageReference(name)
    return try await withStore { store in
      let client = try RegistryAccess(options, for: reference.registry).client
      let entries: [ManifestList.Entry]
      if let list = try? Engine.list(reference, store) {
        entries = list.entries
      } else {
        let found = try Engine.remote(reference, client)
        guard found.isIndex else {
          let own = try ListSource(store: store, client: client).entries("docker://" + reference.canonical, all: false)
          return ManifestView(reference.familiar, own.first?.descriptor ?? found.descriptor, found.bytes).json
        }
        let repository = try ImageReference("\(reference.registry)/\(reference.repository)")
        entries = try ImageIndex(json: JSON.parse(found.bytes)).manifests.map { .init($0, .registry(repository)) }
      }
      return .array(
        try entries.map { entry in
          let digest = entry.descriptor.digest
          switch entry.place {
          case .store:
            return ManifestView(
              "\(reference.familiar)@\(digest)", entry.descriptor, try store.readSmallBlob(digest)
            ).json
          case .registry(let repository):
            let found = try client.manifest(entry.descriptor, of: repository)
            return ManifestView("\(reference.familiar)@\(digest)", entry.descriptor, found.bytes).json
          }
        })
    }
  }

  private static func remote(_ reference: ImageReference, _ client: RegistryClient) throws -> RemoteManifest {
    guard try client.find(reference) != nil else { throw Failure("", "no such manifest: \(reference.familiar)") }
    return try client.manifest(reference)
  }
}
