internal import CLinux
public import Core
internal import Synchronization

/// The user namespace of this process (user_namespaces(7)): the machine's first one, or one that a command of an
/// ordinary user entered to be root in, so that layers can hold files of many owners.
public enum UserNamespace {
  /// What a command can do with the ids of others.
  public enum Form: Sendable, Equatable {
    /// Ranges of ids are mapped: files belong to whom they should.
    case mapped
    /// Root is the user; there is no other id.
    case single
    /// The process stayed who it was: it can't mount.
    case none
  }

  /// What `enter` did.
  public struct Entered: Sendable, Equatable {
    public var form: Form
    /// Who the process was.
    public var uid: UInt32
    public var gid: UInt32
    /// The account's name and home; empty if the machine does not know it.
    public var user: String
    public var home: String
    /// Why the form is not the best one; nil where it is.
    public var reason: String?
    /// What to do about it.
    public var hint: String?
  }

  private static func has(_ capability: Capability) -> Bool {
    stave_effective_capabilities() >> UInt64(capability.rawValue) & 1 == 1
  }

  private static let state = Mutex<(Entered, RootlessFacts)?>(nil)

  /// What `enter` did; nil where it was not called or had nothing to do.
  public static var entered: Entered? { state.withLock { $0?.0 } }

  /// The machine as it was seen before entering; as it is seen now where nothing was entered.
  public static var facts: RootlessFacts { state.withLock { $0?.1 } ?? RootlessFacts.looked() }

  /// Makes the process root of a user namespace of its own, in the best form that this machine allows; nothing for
  /// root of the machine. It keeps number, terminal, parent and children.
  ///
  /// Call it before there is a second thread: the kernel takes a process into a user namespace only whole.
  public static func enter() {
    if Machine.effectiveUserID == 0, has(.sysAdmin) { return }
    let facts = RootlessFacts.looked()
    let entered = NamespaceEntry(facts: facts).run()
    state.withLock { $0 = (entered, facts) }
  }

  /// Why no container can be started here, `mount a new /proc: operation not permitted`; nil where one can. It is
  /// tried.
  public static func containerFault() -> String? {
    var step: Int32 = 0
    let error = stave_probe_container(&step)
    if error == 0 { return nil }
    return (step == 1 ? "make namespaces: " : "mount a new /proc: ") + SystemError.Code(rawValue: error).text
  }

  /// How the ids of this process's namespace lie in its parent's.
  public static let userIDs = idMap("/proc/self/uid_map")
  public static let groupIDs = idMap("/proc/self/gid_map")

  /// Whether this is the machine's first user namespace, where root may mount and make everything.
  /// Its number is fixed (linux/proc_ns.h, PROC_USER_INIT_INO); other namespaces may map all ids to themselves too.
  public static let isInitial: Bool = {
    guard let place = try? HostPath.status("/proc/self/ns/user") else {
      return userIDs == [IDMapping(inside: 0, outside: 0, count: .max)]
    }
    return place.inode == 0xefff_fffd
  }()

  /// Whether overlayfs keeps its marks in `user.overlay.*`: `trusted.*` is for the machine's root alone.
  public static let usesUserAttributes = !(isInitial && has(.sysAdmin))

  /// Whether device nodes can be made; the 0/0 ones of overlayfs always can.
  public static let canMakeDevices = isInitial && has(.mknod)

  /// Whether files may belong to others than this process.
  public static let canChangeOwners = has(.chown)

  /// Whether `uid` is an id of this namespace.
  public static func maps(uid: UInt32) -> Bool { userIDs.contains { $0.covers(uid) } }
  /// Whether `gid` is an id of this namespace.
  public static func maps(gid: UInt32) -> Bool { groupIDs.contains { $0.covers(gid) } }

  /// Whether there is but one id, so that the kernel refuses every change of owner and user.
  public static var hasSingleID: Bool { userIDs.allSatisfy { $0.count == 1 } || groupIDs.allSatisfy { $0.count == 1 } }

  /// The lines of an id map; all ids where /proc can't be read.
  static func idMap(_ path: String) -> [IDMapping] {
    let all = [IDMapping(inside: 0, outside: 0, count: .max)]
    guard let bytes = try? HostPath.read(path, limit: 65536) else { return all }
    let lines = bytes.split(separator: UInt8(ascii: "\n")).compactMap { line -> IDMapping? in
      let fields = line.split(separator: UInt8(ascii: " ")).compactMap { UInt32(String(decoding: $0, as: UTF8.self)) }
      return fields.count == 3 ? IDMapping(inside: fields[0], outside: fields[1], count: fields[2]) : nil
    }
    return lines.isEmpty ? all : lines
  }
}
