/// A process that can be told from a later one with the same number.
public struct ProcessIdentity: Sendable, Hashable {
  public var pid: Int32
  /// Clock ticks from the machine's start to the process's (proc(5), stat, field 22).
  public var startTicks: UInt64
  /// The kernel's name for the time between two starts of the machine.
  public var boot: String

  public init(pid: Int32, startTicks: UInt64, boot: String) {
    self.pid = pid
    self.startTicks = startTicks
    self.boot = boot
  }

  /// The process `pid` as it runs now, or nil if there is none or it is dead and not yet waited for.
  public init?(pid: Int32) {
    guard pid > 0, let bytes = try? HostPath.read("/proc/\(pid)/stat", limit: 65536),
      let boot = Self.currentBoot,
      // The second field is the command in parentheses, which may hold anything.
      let end = bytes.lastIndex(of: UInt8(ascii: ")"))
    else { return nil }
    let fields = bytes[(end + 1)...].split(separator: UInt8(ascii: " "))
    guard fields.count > 19, let ticks = UInt64(String(decoding: fields[19], as: UTF8.self)) else { return nil }
    if let state = fields[0].first, state == UInt8(ascii: "Z") || state == UInt8(ascii: "X") { return nil }
    self.init(pid: pid, startTicks: ticks, boot: boot)
  }

  /// The number of the process that started it, while that one lives (proc_pid_stat(5), field 4); nil where it is gone.
  public var parent: Int32? {
    guard let bytes = try? HostPath.read("/proc/\(pid)/stat", limit: 65536),
      let end = bytes.lastIndex(of: UInt8(ascii: ")"))
    else { return nil }
    let fields = bytes[(end + 1)...].split(separator: UInt8(ascii: " "))
    guard fields.count > 1, let parent = Int32(String(decoding: fields[1], as: UTF8.self)), parent > 1 else {
      return nil
    }
    return parent
  }

  /// The name of the time since the machine's last start; nil if it can't be read.
  private static let currentBoot: String? = {
    guard let bytes = try? HostPath.read("/proc/sys/kernel/random/boot_id", limit: 4096) else { return nil }
    return String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
  }()

  /// Whether this very process still runs.
  public var isAlive: Bool { ProcessIdentity(pid: pid) == self }
}
