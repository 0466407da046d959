internal import Core
internal import FileTree
internal import Linux

/// How the layers of a store become the lowers of an overlay.
public enum LayerForm: String, Sendable, CaseIterable {
  /// The kernel mounts a layer's index from the file, its data in the tar (Linux 6.12, on ext4, xfs, btrfs, ...).
  case file
  /// The same through loop devices.
  case loop
  /// Layers are unpacked.
  case tree
}

extension Store {
  /// The best form that the kernel allows here. Tried once for a store, kernel and privilege, by mounting a tiny index
  /// that lies in the store; `STAVE_LAYERS=file`, `loop` or `tree` in the environment overrides it.
  public func layerForm() throws -> LayerForm {
    if let known = openLayers.form { return known }
    let form: LayerForm
    if let wanted = Machine.environment("STAVE_LAYERS"), !wanted.isEmpty {
      guard let named = LayerForm(rawValue: wanted) else {
        throw Failure("read STAVE_LAYERS=\(wanted)", "no such form of layers", hint: "use file, loop or tree")
      }
      form = named
    } else {
      form = try probedForm()
    }
    openLayers.form = form
    return form
  }

  /// Why layers are not mounted from files here, nil if they are: for `info`.
  public func layerFormReason() throws -> String? {
    if try layerForm() == .file { return nil }
    if Machine.environment("STAVE_LAYERS").map({ !$0.isEmpty }) ?? false { return "STAVE_LAYERS says so" }
    do {
      try tryMount { index, tar in try ErofsMount.open(index: index, devices: [tar]) }
      return nil
    } catch let error as SystemError {
      return error.code.text
    }
  }

  /// What was found before, kept with the circumstances it holds for; else found out now.
  private func probedForm() throws -> LayerForm {
    let circumstances = "\(Machine.kernelRelease) \(try HostPath.status(root)?.device ?? 0) \(privilege)"
    let path = "\(root)/layer-form"
    if let kept = try? HostPath.read(path, limit: 4096) {
      let lines = String(decoding: kept, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
      if lines.count == 3, lines[1] == circumstances, let form = LayerForm(rawValue: String(lines[0])) { return form }
    }
    let form = try probe()
    try? replace(path, with: Array("\(form.rawValue)\n\(circumstances)\n".utf8), durable: false)
    return form
  }

  /// Whether this process may mount at all: only the user namespace that the machine began with can, for EROFS. One
  /// word for all others, since every command of an ordinary user has one of its own.
  private var privilege: String { UserNamespace.usesUserAttributes ? "user" : "machine" }

  private func probe() throws -> LayerForm {
    do {
      try tryMount { index, tar in try ErofsMount.open(index: index, devices: [tar]) }
      return .file
    } catch is SystemError {}
    do {
      try tryMount { index, tar in
        let loops = (try LoopDevice(attaching: index), try LoopDevice(attaching: tar))
        return try withExtendedLifetime(loops) { try ErofsMount.mount(loops.0.path, devices: [loops.1.path]) }
      }
      return .loop
    } catch is SystemError {}
    return .tree
  }

  /// Calls `mount` with an index of one file, made in the store, and its tar.
  private func tryMount(_ mount: (_ index: String, _ tar: String) throws -> OpenFile) throws {
    let folder = try makeTemporaryDirectory("probe")
    defer { try? HostPath.removeTree(folder) }
    let feed = IndexFeed()
    let tar = TarWriter(try OpenFile("\(folder)/tar", .create, permissions: 0o400), observer: { feed.add($0) })
    try tar.begin(TarEntry(path: TreePath(clamping: "probe"), kind: .regular, mode: 0o444, size: 5))
    try tar.write(Array("probe".utf8))
    let size = try tar.finish().size
    guard case .index(let tree, _) = feed.finish(tarSize: size) else { return }
    try writeIndex(tree, devices: [size], to: "\(folder)/index")
    let mounted = try mount("\(folder)/index", "\(folder)/tar")
    // A file system that mounts it but reads other bytes is none to build on.
    try withExtendedLifetime(mounted) {
      let folder = try Directory("/proc/self/fd/\(mounted.descriptor)")
      guard try folder.open(TreePath(clamping: "probe")).readAll() == Array("probe".utf8) else {
        throw SystemError(.io, "read the index in \(root)")
      }
    }
  }
}
