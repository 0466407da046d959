public import Core
internal import CLinux
internal import Glibc

/// Facts of the running system and process.
public enum Machine {
  /// Ends the process with `code`.
  ///
  /// What libraries do at exit(3) is left out: threads may be within them, in a transfer that nobody waits for.
  public static func exit(_ code: Int32) -> Never {
    fflush(nil)
    _exit(code)
  }

  /// The time now.
  public static func now() -> Timestamp {
    var t = timespec()
    clock_gettime(CLOCK_REALTIME, &t)
    return Timestamp(seconds: Int64(t.tv_sec), nanoseconds: Int32(t.tv_nsec))
  }

  /// Nanoseconds of a clock that never jumps, from an arbitrary start.
  public static func monotonicNanoseconds() -> Int64 {
    var t = timespec()
    clock_gettime(CLOCK_MONOTONIC, &t)
    return Int64(t.tv_sec) * 1_000_000_000 + Int64(t.tv_nsec)
  }

  /// When the machine was started, by its clock of today.
  public static var bootTime: Timestamp {
    var t = timespec()
    clock_gettime(CLOCK_BOOTTIME, &t)
    let now = now()
    let borrow: Int64 = now.nanoseconds < Int32(t.tv_nsec) ? 1 : 0
    return Timestamp(
      seconds: now.seconds - Int64(t.tv_sec) - borrow,
      nanoseconds: now.nanoseconds - Int32(t.tv_nsec) + Int32(borrow) * 1_000_000_000)
  }

  /// `monotonicNanoseconds` when it was asked for first, which is the first thing that `main` does.
  public static let startNanoseconds = monotonicNanoseconds()

  /// `count` random bytes from the kernel.
  public static func random(_ count: Int) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
      while filled < count {
        // A buffer of count > filled bytes has an address.
        // swift-format-ignore: NeverForceUnwrap
        let n = stave_getrandom(buffer.baseAddress! + filled, count - filled)
        if n > 0 { filled += n }
      }
    }
  }

  public static var processID: Int32 { getpid() }
  public static var effectiveUserID: UInt32 { geteuid() }
  public static var effectiveGroupID: UInt32 { getegid() }
  /// How many threads share the work on files and bytes: the processors of the machine, or `STAVE_THREADS`.
  public static let processorCount: Int = {
    if let wanted = environment("STAVE_THREADS").flatMap({ Int($0) }), (1...256).contains(wanted) { return wanted }
    return max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))))
  }()

  /// The capabilities that this process may give to others (capabilities(7)): permitted, and not barred by its
  /// bounding set. None if /proc can't be read.
  public static var capabilities: CapabilityMask {
    func mask(_ name: String) -> UInt64 { UInt64(ownStatus(name), radix: 16) ?? 0 }
    return CapabilityMask(rawValue: mask("CapPrm") & mask("CapBnd"))
  }

  /// Whether system calls of this process pass a filter (seccomp(2)): a container's, mostly.
  public static var hasSystemCallFilter: Bool { ownStatus("Seccomp") == "2" }

  /// One value of /proc/self/status (proc_pid_status(5)), empty if it has none of that name.
  private static func ownStatus(_ name: String) -> String {
    guard let bytes = try? HostPath.read("/proc/self/status", limit: 1 << 20) else { return "" }
    for line in bytes.split(separator: UInt8(ascii: "\n")) where line.starts(with: Array("\(name):".utf8)) {
      return String(decoding: line.dropFirst(name.utf8.count + 1).filter { $0 > 32 }, as: UTF8.self)
    }
    return ""
  }

  /// Bytes of physical memory.
  public static var memory: Int64 { Int64(sysconf(Int32(_SC_PHYS_PAGES))) * Int64(sysconf(Int32(_SC_PAGESIZE))) }

  /// `6.1.0-13-amd64`.
  public static var kernelRelease: String { name { $0.release } }
  /// The host's name.
  public static var hostName: String { name { $0.nodename } }

  private static func name<T>(_ field: (utsname) -> T) -> String {
    var info = utsname()
    uname(&info)
    return withUnsafeBytes(of: field(info)) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }

  /// The value of the environment variable `name`, or nil.
  public static func environment(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

  /// All environment variables, `NAME=value`, in the order of the process.
  public static var environment: [String] {
    var out: [String] = []
    guard var at = stave_environment() else { return [] }
    while let entry = at.pointee {
      out.append(String(cString: entry))
      at += 1
    }
    return out
  }
}
