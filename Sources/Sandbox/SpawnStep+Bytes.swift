internal import CSandbox
internal import Core

extension SpawnStep {
  /// Appends the step in the form of CSandbox.h to `out`, whose count is a multiple of 8. A string with a NUL is an
  /// error.
  func encode(into out: inout [UInt8]) throws { try wire.encode(action, into: &out) }

  fileprivate struct Wire {
    var op: stave_op
    var numbers: [UInt64] = []
    var strings: [String] = []
    var raw: [UInt8] = []
    var flags: UInt32 = 0

    init(
      _ op: stave_op, _ numbers: [UInt64] = [], _ strings: [String] = [], raw: [UInt8] = [],
      flags: [stave_flag] = []
    ) {
      self.op = op
      self.numbers = numbers
      self.strings = strings
      self.raw = raw
      self.flags = flags.reduce(0) { $0 | $1.rawValue }
    }

    func encode(_ action: @autoclosure () -> String, into out: inout [UInt8]) throws {
      guard !strings.contains(where: { $0.utf8.contains(0) }) else { throw Failure(action(), "there is a NUL in it") }
      var payload = raw
      for text in strings {
        payload += text.utf8
        payload.append(0)
      }
      while payload.count % 8 != 0 { payload.append(0) }
      var header = stave_step()
      header.size = UInt32(MemoryLayout<stave_step>.size + payload.count)
      header.op = UInt16(op.rawValue)
      header.flags = UInt16(flags)
      header.strings = UInt32(strings.count)
      let n = numbers + Array(repeating: 0, count: 4 - numbers.count)
      header.n = (n[0], n[1], n[2], n[3])
      withUnsafeBytes(of: header) { out += $0 }
      out += payload
    }
  }

  private var wire: Wire {
    switch self {
    case .dieWithLauncher: Wire(STAVE_OP_DEATH_SIGNAL, [Kernel.signalKill])
    case .waitForIDMaps: Wire(STAVE_OP_WAIT_PARENT)
    case .writeFile(let path, let text): Wire(STAVE_OP_WRITE_FILE, [], [path, text], flags: [STAVE_FLAG_TOLERATE])
    case .joinGuard(let path): Wire(STAVE_OP_WRITE_FILE, [], [path, "0"])
    case .unshare(let kind): Wire(STAVE_OP_UNSHARE, [kind.cloneFlag])
    case .join(let kind, let path): Wire(STAVE_OP_JOIN, [kind.cloneFlag], [path])
    case .privateMounts: Wire(STAVE_OP_PRIVATE_MOUNTS, [Kernel.Propagation.private.rawValue])
    case .directoryRoot(let path, let attributes): Wire(STAVE_OP_ROOT_DIRECTORY, [attributes], [path])
    case .lower(let lower): lower.encoded
    case .overlayRoot(let overlay):
      Wire(
        STAVE_OP_ROOT_OVERLAY, [overlay.attributes, overlay.form.rawValue],
        [overlay.upper, overlay.work] + overlay.options)
    case .mount(let mount): mount.encoded
    case .bind(let bind):
      Wire(
        STAVE_OP_BIND, [bind.set, bind.clear, bind.recursive ? 1 : 0, bind.propagation?.rawValue ?? 0],
        [bind.source, bind.target])
    case .node(let path, let mode, let device, let hostPath, let bindOnly):
      Wire(STAVE_OP_NODE, [mode, device, bindOnly ? 1 : 0], [path, hostPath])
    case .symlink(let path, let target): Wire(STAVE_OP_SYMLINK, [], [target, path])
    case .terminal(let rows, let columns, let owner):
      Wire(STAVE_OP_TERMINAL, [UInt64(rows), UInt64(columns), UInt64(owner)])
    case .mask(let path): Wire(STAVE_OP_MASK, [], [path], flags: [STAVE_FLAG_MISSING_OK])
    case .readonly(let path): Wire(STAVE_OP_READONLY, [], [path], flags: [STAVE_FLAG_MISSING_OK])
    case .sysctl(let name, let value):
      Wire(STAVE_OP_SYSCTL, [], ["/proc/sys/" + name.split(separator: ".").joined(separator: "/"), value])
    case .loopback: Wire(STAVE_OP_LOOPBACK)
    case .hostname(let name): Wire(STAVE_OP_HOSTNAME, [], [name])
    case .domainname(let name): Wire(STAVE_OP_DOMAINNAME, [], [name])
    case .readonlyRoot: Wire(STAVE_OP_READONLY_ROOT)
    case .pivot: Wire(STAVE_OP_PIVOT)
    case .sessionKeyring: Wire(STAVE_OP_KEYRING, flags: [STAVE_FLAG_TOLERATE])
    case .limit, .workingDirectory, .umask, .boundingSet, .seccomp, .watchIDs, .user, .capabilities, .noNewPrivileges,
      .execute:
      confinement
    }
  }

  /// The steps after the root is in place.
  private var confinement: Wire {
    switch self {
    case .limit(let limit):
      Wire(
        STAVE_OP_RLIMIT, [UInt64(limit.kind.rawValue), limit.soft, limit.hard], flags: [STAVE_FLAG_TOLERATE])
    case .workingDirectory(let path): Wire(STAVE_OP_WORKING_DIRECTORY, [], [path])
    case .umask(let mask): Wire(STAVE_OP_UMASK, [UInt64(mask)])
    case .boundingSet(let kept): Wire(STAVE_OP_BOUNDING, [kept.mask])
    case .seccomp(_, let program): Wire(STAVE_OP_SECCOMP, [UInt64(program.count)], raw: program)
    case .watchIDs(let program): Wire(STAVE_OP_WATCH, [UInt64(program.count)], raw: program)
    case .user(let user, let keepsGroups):
      Wire(
        STAVE_OP_USER,
        [UInt64(user.uid), UInt64(user.gid), UInt64(user.additionalGIDs.count), keepsGroups ? 1 : 0],
        raw: user.additionalGIDs.flatMap { id in withUnsafeBytes(of: id) { Array($0) } })
    case .capabilities(let sets):
      Wire(
        STAVE_OP_CAPABILITIES, [sets.effective.mask, sets.permitted.mask, sets.inheritable.mask, sets.ambient.mask])
    case .noNewPrivileges: Wire(STAVE_OP_NO_NEW_PRIVILEGES)
    case .execute(let arguments, let environment):
      Wire(STAVE_OP_EXECUTE, [UInt64(arguments.count)], arguments + environment)
    default: preconditionFailure("a step before the root is in place")
    }
  }
}

extension SpawnStep.LowerStep {
  fileprivate var encoded: SpawnStep.Wire {
    if let mount { return SpawnStep.Wire(STAVE_OP_LOWER_MOUNT, [UInt64(mount)]) }
    switch layer {
    case .tree(let path): return SpawnStep.Wire(STAVE_OP_LOWER_TREE, [], [path])
    case .erofs(let index, let devices, _): return SpawnStep.Wire.erofs(index, devices, [])
    }
  }

  /// The step of an EROFS layer for the launcher itself, with `blockDevices` in the place of index and devices if
  /// there are any.
  func encodedMount(_ blockDevices: [String]) throws -> [UInt8] {
    guard case .erofs(let index, let devices, _) = layer else { return [] }
    var out: [UInt8] = []
    try SpawnStep.Wire.erofs(index, devices, blockDevices).encode(SpawnStep.lower(self).action, into: &out)
    return out
  }
}

extension SpawnStep.Wire {
  fileprivate static func erofs(_ index: String, _ devices: [String], _ blockDevices: [String]) -> Self {
    Self(STAVE_OP_LOWER_EROFS, [UInt64(devices.count)], [index] + devices + blockDevices)
  }
}

extension SpawnStep.MountStep {
  fileprivate var encoded: SpawnStep.Wire {
    var flags: [stave_flag] = []
    if noLinks { flags.append(STAVE_FLAG_NO_LINKS) }
    if tolerated { flags.append(STAVE_FLAG_TOLERATE) }
    return SpawnStep.Wire(
      STAVE_OP_MOUNT, [attributes, fallsBackToHost ? 1 : 0], [target, type] + options, flags: flags)
  }
}
