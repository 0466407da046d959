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

/// The form of layers that was found, and why it is not `file`.
struct LayerFormFinding: Sendable, Equatable {
  var form: LayerForm
  var reason: String?
}

extension Store {
  /// The best form that the kernel allows here. Tried once for a store, kernel and privilege, by mounting a tiny index
  /// that lies in the store; `STAVE_LAYERS=file`, `loop` or `tree` in the environment overrides it.
  public func layerForm() throws -> LayerForm { try knownForm().form }

  /// Why layers are not mounted from files here, nil if they are: for `info`.
  public func layerFormReason() throws -> String? { try knownForm().reason }

  private func knownForm() throws -> LayerFormFinding {
    if let known = openLayers.form { return known }
    let found: LayerFormFinding
    if let wanted = Machine.environment("STAVE_LAYERS"), !wanted.isEmpty {
      guard let named = LayerForm(rawValue: wanted) else {
        throw Failure("read STAVE_LAYERS=\(wanted)", "no such form of layers", hint: "use file, loop or tree")
      }
      found = LayerFormFinding(form: named, reason: named == .file ? nil : "STAVE_LAYERS says so")
    } else {
      found = try keptForm()
    }
    openLayers.form = found
    return found
  }

  /// What was found before, kept with the circumstances it holds for; else found out now.
  func keptForm(
    file: (_ index: String, _ tar: String) throws -> OpenFile = Store.mountFile,
    loop: (_ index: String, _ tar: String) throws -> OpenFile = Store.mountLoop
  ) throws -> LayerFormFinding {
    let circumstances = "\(Machine.kernelRelease) \(try HostPath.status(root)?.device ?? 0) \(privilege)"
    let path = "\(root)/layer-form"
    if let kept = try? HostPath.read(path, limit: 4096) {
      let lines = String(decoding: kept, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
      if lines.count == 4, lines[1] == circumstances, let form = LayerForm(rawValue: String(lines[0])) {
        return LayerFormFinding(form: form, reason: lines[2].isEmpty ? nil : String(lines[2]))
      }
    }
    let (found, isLasting) = try probe(file, loop)
    if isLasting {
      let text = "\(found.form.rawValue)\n\(circumstances)\n\(found.reason ?? "")\n"
      try? replace(path, with: Array(text.utf8), durable: false)
    }
    return found
  }

  /// Whether this process may mount at all: only the user namespace that the machine began with can, for EROFS. One
  /// word for all others, since every command of an ordinary user has one of its own.
  private var privilege: String { UserNamespace.usesUserAttributes ? "user" : "machine" }

  static func mountFile(_ index: String, _ tar: String) throws -> OpenFile {
    try ErofsMount.open(index: index, devices: [tar])
  }

  static func mountLoop(_ index: String, _ tar: String) throws -> OpenFile {
    let loops = (try LoopDevice(attaching: index), try LoopDevice(attaching: tar))
    return try withExtendedLifetime(loops) { try ErofsMount.mount(loops.0.path, devices: [loops.1.path]) }
  }

  /// The best form that works now, and whether it is what the kernel has to say: whatever else was in the way may not
  /// be there the next time.
  private func probe(
    _ file: (_ index: String, _ tar: String) throws -> OpenFile,
    _ loop: (_ index: String, _ tar: String) throws -> OpenFile
  ) throws -> (LayerFormFinding, isLasting: Bool) {
    let folder = try makeTemporaryDirectory("probe")
    defer { try? HostPath.removeTree(folder) }
    try makeProbe(folder)
    let refusal: SystemError
    do {
      try look(folder, file)
      return (LayerFormFinding(form: .file), true)
    } catch let error as SystemError {
      refusal = error
    }
    let reason = refusal.code.text
    // Who may not mount needs no device.
    if refusal.code == .notPermitted { return (LayerFormFinding(form: .tree, reason: reason), true) }
    do {
      try look(folder, loop)
      return (LayerFormFinding(form: .loop, reason: reason), Store.isLasting(refusal.code))
    } catch let error as SystemError {
      return (
        LayerFormFinding(form: .tree, reason: reason), Store.isLasting(refusal.code) && Store.isLasting(error.code)
      )
    }
  }

  /// Whether a mount that fails so says something of the kernel, the disk or the privilege, not of the moment.
  private static func isLasting(_ code: SystemError.Code) -> Bool {
    [
      .notPermitted, .accessDenied, .invalid, .notBlockDevice, .unknownDevice, .notImplemented, .notSupported, .unclean,
    ].contains(code)
  }

  /// Makes an index of one file, and its tar.
  private func makeProbe(_ folder: String) throws {
    let feed = IndexFeed()
    let tar = TarWriter(try OpenFile("\(folder)/tar", .create, permissions: 0o400), observer: { feed.add($0) })
    try tar.begin(TarEntry(path: TreePath(clamping: "probe"), kind: .regular, mode: 0o444, size: 5))
    try tar.write(Array("probe".utf8))
    let size = try tar.finish().size
    switch feed.finish(tarSize: size) {
    case .index(let tree, _): try writeIndex(tree, devices: [size], to: "\(folder)/index")
    case .needsTree(let reason): throw Failure("index layer", reason)
    }
  }

  /// Mounts what is in `folder` and reads it.
  private func look(_ folder: String, _ mount: (_ index: String, _ tar: String) throws -> OpenFile) throws {
    let mounted = try mount("\(folder)/index", "\(folder)/tar")
    try withExtendedLifetime(mounted) {
      let root = try Directory("/proc/self/fd/\(mounted.descriptor)")
      // A file system that mounts it but reads other bytes is none to build on.
      guard try root.open(TreePath(clamping: "probe")).readAll() == Array("probe".utf8) else {
        throw SystemError(.notSupported, "read the index in \(self.root)")
      }
    }
  }
}
