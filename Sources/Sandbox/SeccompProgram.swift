internal import CSeccomp
internal import Core
internal import Linux
internal import Synchronization

/// The bytes of a seccomp filter: an array of `struct sock_filter` (seccomp(2)).
enum SeccompProgram {
  /// The filter of `profile` for a process with the bounding set `capabilities`; nil for no filter.
  ///
  /// Making one costs 0.1 s, so it is kept in `cacheDirectory` under the digest of everything it depends on.
  static func bytes(
    profile: ProcessSpec.SeccompProfile, capabilities: [Capability], cacheDirectory: String
  ) throws -> [UInt8]? {
    switch profile {
    case .unconfined: return nil
    case .dockerDefault: break
    }
    let path = cacheDirectory + "/" + key(capabilities).encoded + ".bpf"
    // Launches that come together wait for one compilation.
    return try recent.withLock { recent in
      if let recent, recent.path == path { return recent.bytes }
      let bytes = try load(path, capabilities, cacheDirectory)
      recent = (path, bytes)
      return bytes
    }
  }

  private static let recent = Mutex<(path: String, bytes: [UInt8])?>(nil)

  private static func load(_ path: String, _ capabilities: [Capability], _ cacheDirectory: String) throws -> [UInt8] {
    if let kept = try? HostPath.read(path, limit: 1 << 20), !kept.isEmpty, kept.count % 8 == 0 { return kept }
    try HostPath.makeDirectories(cacheDirectory, mode: 0o700)
    let names = SeccompRules.allowed(capabilities)
    let fresh = try SeccompCompiler(names: names, capabilities: capabilities, cacheDirectory: cacheDirectory).compile()
    try HostPath.write(fresh, to: path, mode: 0o600)
    return fresh
  }

  /// Changes with the rules, the capabilities, the architectures, the kernel and the library. The library is known by
  /// its file, so that a kept program costs no loading of it.
  private static func key(_ capabilities: [Capability]) -> Digest {
    var hasher = SHA256Hasher()
    hasher.update("docker-default 3\nx86_64 x86 x32\n\(Machine.kernelRelease)\n\(libraryVersion)\n")
    hasher.update("\(capabilities.mask)\n")
    SeccompRules.always.withUTF8Buffer { hasher.update(UnsafeRawBufferPointer($0)) }
    for (capability, calls) in SeccompRules.granted { hasher.update("\(capability.rawValue) \(calls)\n") }
    return hasher.digest()
  }

  private static var libraryVersion: String {
    for directory in ["/usr/lib/x86_64-linux-gnu", "/lib/x86_64-linux-gnu", "/usr/lib64", "/lib64", "/usr/lib"] {
      let path = directory + "/libseccomp.so.2"
      if let status = try? HostPath.status(path) {
        return "\(path) \(status.size) \(status.mtime)"
      }
    }
    return "unknown"
  }
}

/// Makes a filter with libseccomp.
private struct SeccompCompiler {
  let names: [String]
  let capabilities: [Capability]
  let cacheDirectory: String

  private typealias Context = UnsafeMutableRawPointer
  private typealias Initialise = @convention(c) (UInt32) -> UnsafeMutableRawPointer?
  private typealias Release = @convention(c) (UnsafeMutableRawPointer?) -> Void
  private typealias SetAttribute = @convention(c) (UnsafeMutableRawPointer?, UInt32, UInt32) -> Int32
  private typealias AddArchitecture = @convention(c) (UnsafeMutableRawPointer?, UInt32) -> Int32
  private typealias Resolve = @convention(c) (UnsafePointer<CChar>?) -> Int32
  private typealias AddRule =
    @convention(c) (UnsafeMutableRawPointer?, UInt32, Int32, UInt32, UnsafePointer<scmp_arg_cmp>?) -> Int32
  private typealias Export = @convention(c) (UnsafeMutableRawPointer?, Int32) -> Int32

  private static let allow: UInt32 = 0x7fff_0000
  private static let refuse: UInt32 = 0x0005_0001  // errno EPERM
  private static let unknown: UInt32 = 0x0005_0026  // errno ENOSYS
  private static let optimise: UInt32 = 8  // SCMP_FLTATR_CTL_OPTIMIZE
  private static let i386: UInt32 = 0x4000_0003
  private static let amd64: UInt32 = 0xc000_003e
  private static let x32: UInt32 = 0x4000_003e

  func compile() throws -> [UInt8] {
    let library = try DynamicLibrary("libseccomp.so.2", package: "libseccomp2")
    let initialise = try library.symbol("seccomp_init", as: Initialise.self)
    let release = try library.symbol("seccomp_release", as: Release.self)
    let addArchitecture = try library.symbol("seccomp_arch_add", as: AddArchitecture.self)
    let resolve = try library.symbol("seccomp_syscall_resolve_name", as: Resolve.self)
    let export = try library.symbol("seccomp_export_bpf", as: Export.self)
    let addRule = try library.symbol("seccomp_rule_add_array", as: AddRule.self)
    guard let context = initialise(Self.refuse) else { throw Failure("make the seccomp filter", "out of memory") }
    defer { release(context) }
    // A binary tree instead of one comparison after the other: shorter to walk, quicker to load. Older libraries than
    // 2.5 do not know the attribute, and make a list.
    _ = try library.symbol("seccomp_attr_set", as: SetAttribute.self)(context, Self.optimise, 2)
    for architecture in [Self.i386, Self.x32] {
      let result = addArchitecture(context, architecture)
      // EEXIST: the native one.
      guard result == 0 || result == -17 else { throw error("add an architecture", result) }
    }
    func add(_ name: String, _ action: UInt32 = Self.allow, _ comparisons: [scmp_arg_cmp] = []) throws {
      let number = resolve(name)
      // -1: the library does not know it.
      guard number != -1 else { return }
      let result = comparisons.withUnsafeBufferPointer {
        addRule(context, action, number, UInt32(comparisons.count), $0.baseAddress)
      }
      // EDOM: not on all architectures.
      guard result == 0 || result == -33 else { throw error("allow \(name)", result) }
    }
    for name in names { try add(name) }
    try addConditions(add)
    let body = try exported { export(context, $0) }
    let lastKnown = SeccompRules.recent.filter { resolve($0.name) >= 0 }.map(\.number).max() ?? 449
    return prologue(lastKnown: lastKnown) + body
  }

  private func addConditions(_ add: (String, UInt32, [scmp_arg_cmp]) throws -> Void) throws {
    for family in 0..<SeccompRules.familyLimit where !SeccompRules.refusedFamilies.contains(family) {
      try add("socket", Self.allow, [scmp_arg_cmp(arg: 0, op: SCMP_CMP_EQ, datum_a: family, datum_b: 0)])
    }
    for value in SeccompRules.personalities {
      try add("personality", Self.allow, [scmp_arg_cmp(arg: 0, op: SCMP_CMP_EQ, datum_a: value, datum_b: 0)])
    }
    guard !capabilities.contains(.sysAdmin) else { return }
    let none = scmp_arg_cmp(arg: 0, op: SCMP_CMP_MASKED_EQ, datum_a: SeccompRules.namespaceFlags, datum_b: 0)
    try add("clone", Self.allow, [none])
    // The filter can't see clone3's flags: callers fall back to clone.
    try add("clone3", Self.unknown, [])
  }

  /// The program that `export` writes to a descriptor.
  private func exported(_ export: (Int32) -> Int32) throws -> [UInt8] {
    let path = cacheDirectory + "/." + String(Machine.processID) + "-" + String(Machine.monotonicNanoseconds()) + ".bpf"
    let file = try OpenFile(path, .createNew)
    defer { try? HostPath.removeFile(path) }
    let result = export(file.descriptor)
    guard result == 0 else { throw error("export it", result) }
    try file.seek(to: 0)
    let bytes = try file.readAll(limit: 1 << 20)
    guard !bytes.isEmpty, bytes.count % 8 == 0 else {
      throw Failure("make the seccomp filter", "it has no instructions")
    }
    return bytes
  }

  private func error(_ what: String, _ code: Int32) -> Failure {
    Failure("make the seccomp filter", "\(what): \(SystemError.Code(rawValue: -code).text)")
  }

  /// What comes before the library's program: system calls that it is too old to know are allowed by number, or
  /// answered with ENOSYS, so that a program takes the older call instead of failing. Numbers are the same on the
  /// three architectures from 424 on.
  private func prologue(lastKnown: UInt32) -> [UInt8] {
    let allowed = SeccompRules.recent.filter { $0.number > lastKnown && names.contains($0.name) }.map(\.number)
    var code: [(UInt16, UInt8, UInt8, UInt32)] = []
    let count = UInt8(clamping: allowed.count)
    // Offsets jump to the first instruction after the prologue.
    let end = 8 + allowed.count
    func toEnd(_ at: Int) -> UInt8 { UInt8(clamping: end - at - 1) }
    code.append((0x20, 0, 0, 4))  // 0: load the architecture
    code.append((0x15, 1, 0, Self.amd64))  // 1: x86-64 or x32
    code.append((0x15, 0, toEnd(2), Self.i386))  // 2: else: only i386
    code.append((0x20, 0, 0, 0))  // 3: load the number
    code.append((0x54, 0, 0, 0xbfff_ffff))  // 4: without the x32 bit
    code.append((0x25, 0, toEnd(5), lastKnown))  // 5: known: to the library's program
    for (k, number) in allowed.enumerated() {
      code.append((0x15, count - UInt8(clamping: k), 0, number))  // to "allow"
    }
    code.append((0x06, 0, 0, Self.unknown))
    code.append((0x06, 0, 0, Self.allow))
    var out: [UInt8] = []
    for (operation, yes, no, value) in code {
      withUnsafeBytes(of: operation) { out += $0 }
      out += [yes, no]
      withUnsafeBytes(of: value) { out += $0 }
    }
    return out
  }
}
