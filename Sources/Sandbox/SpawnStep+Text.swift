internal import Core

extension SpawnStep: CustomStringConvertible {
  /// The step on one line, stable: goldens and bug reports are made of it.
  var description: String {
    switch self {
    case .dieWithLauncher: "die-with-launcher"
    case .waitForIDMaps: "wait-for-id-maps"
    case .writeFile(let path, let text): "write \(quoted(text)) to host \(path)"
    case .joinGuard(let path): "join device guard \(path)"
    case .unshare(let kind): "unshare \(kind)"
    case .join(let kind, let path): "join \(kind) \(path)"
    case .privateMounts: "private-mounts"
    case .directoryRoot(let path, let attributes):
      "root directory \(path)" + (attributes == 0 ? "" : " nodev")
    case .lower(let lower): lower.text
    case .overlayRoot(let overlay):
      "root overlay upper=\(overlay.upper) work=\(overlay.work) "
        + overlay.options.joined(separator: ",") + (overlay.attributes == 0 ? "" : " nodev")
    case .mount(let mount): mount.text
    case .bind(let bind): bind.text
    case .node(let path, let mode, let device, let hostPath, let bindOnly):
      bindOnly
        ? "node \(path) bound from \(hostPath)"
        : "node \(path) \(mode & 0o170000 == Kernel.characterDevice ? "c" : "b") \(device >> 8):\(device & 255) "
          + "mode=\(String(mode & 0o7777, radix: 8))"
    case .symlink(let path, let target): "symlink \(path) -> \(target)"
    case .terminal(let rows, let columns, let owner): "terminal rows=\(rows) columns=\(columns) owner=\(owner)"
    case .mask(let path): "mask \(path)"
    case .readonly(let path): "readonly \(path)"
    case .sysctl(let name, let value): "sysctl \(name)=\(value)"
    case .loopback: "loopback up"
    case .hostname(let name): "hostname \(name)"
    case .domainname(let name): "domainname \(name)"
    case .readonlyRoot: "readonly-root"
    case .pivot: "pivot"
    case .sessionKeyring: "session-keyring"
    case .limit(let limit): "limit \(limit.kind) \(limit.text)"
    case .workingDirectory(let path): "working-directory \(path)"
    case .umask(let mask): "umask \(String(mask, radix: 8))"
    case .boundingSet(let kept): "bounding \(hex(kept))"
    case .seccomp(let name, _): "seccomp \(name)"
    case .watchIDs: "watch-ids"
    case .user(let user, let keepsGroups):
      "user \(user.uid):\(user.gid) groups="
        + (keepsGroups ? "kept" : user.additionalGIDs.map(String.init).joined(separator: ","))
    case .capabilities(let sets):
      "capabilities effective=\(hex(sets.effective)) permitted=\(hex(sets.permitted)) "
        + "inheritable=\(hex(sets.inheritable)) ambient=\(hex(sets.ambient))"
    case .noNewPrivileges: "no-new-privileges"
    case .execute(let arguments, _): "execute " + arguments.map(quoted).joined(separator: " ")
    }
  }

  /// The verb and object of the step's failure, `mount proc at /proc`.
  var action: String {
    switch self {
    case .lower(let lower): lower.action
    case .overlayRoot: "mount the overlay root"
    case .directoryRoot(let path, _): "mount the root \(path)"
    case .mount(let mount): "mount \(mount.type) at \(mount.target)"
    case .bind(let bind): "bind \(bind.source) at \(bind.target)"
    case .node(let path, _, _, _, _): "make device \(path)"
    case .terminal: "open the container's terminal"
    case .seccomp, .watchIDs: "load the seccomp filter"
    case .workingDirectory(let path): "change to working directory \(path)"
    case .user(let user, _): "become user \(user.uid):\(user.gid)"
    case .limit(let limit): "set limit \(limit.kind)"
    case .execute(let arguments, _): "exec: \(quoted(arguments.first ?? ""))"
    default: description
    }
  }
}

extension SpawnStep.LowerStep {
  fileprivate var text: String {
    let words =
      switch layer {
      case .tree(let path): ["lower tree \(path)"]
      case .erofs(let index, let devices, let loop):
        ["lower erofs \(index)"] + devices.map { "device=\($0)" } + (loop ? ["loop"] : [])
      }
    return (words + (handedIn ? ["handed-in"] : [])).joined(separator: " ")
  }

  fileprivate var action: String {
    switch layer {
    case .tree(let path): "open layer \(path)"
    case .erofs(let index, _, _): "mount layer \(index)"
    }
  }
}

extension SpawnStep.MountStep {
  fileprivate var text: String {
    var words = ["mount", type, target]
    let all = [MountOptions.names(attributes)] + options
    let joined = all.filter { !$0.isEmpty }.joined(separator: ",")
    if !joined.isEmpty { words.append(joined) }
    if noLinks { words.append("no-links") }
    if fallsBackToHost { words.append("or-host") }
    if tolerated { words.append("tolerated") }
    return words.joined(separator: " ")
  }
}

extension SpawnStep.BindStep {
  fileprivate var text: String {
    var words = [recursive ? "rbind" : "bind", source, target]
    let names = MountOptions.names(set)
    if !names.isEmpty { words.append(names) }
    if clear != 0 { words.append("without-" + MountOptions.names(clear)) }
    if let propagation { words.append(propagation.name) }
    return words.joined(separator: " ")
  }
}

extension ResourceLimit {
  fileprivate var text: String {
    func name(_ value: UInt64) -> String { value == Self.unlimited ? "unlimited" : String(value) }
    return "soft=\(name(soft)) hard=\(name(hard))"
  }
}

/// `"text"` with control characters, quotes and backslashes escaped.
private func quoted(_ text: String) -> String { JSON.string(text).text }

private func hex(_ set: [Capability]) -> String {
  let digits = String(set.mask, radix: 16)
  return String(repeating: "0", count: max(0, 16 - digits.count)) + digits
}

extension [Capability] {
  /// One bit a capability.
  var mask: UInt64 { reduce(0) { $0 | 1 << UInt64($1.rawValue) } }
}
