internal import Glibc

/// How many files this process may have open at a time (getrlimit(2), RLIMIT_NOFILE).
public enum FileLimit {
  /// The limits that the process was started with, which its children are to have too; nil if they can't be read.
  public static let inherited: (soft: UInt64, hard: UInt64)? = read()

  /// Raises the limit as far as it goes: a directory is held open at each level of a tree that is walked. What can't
  /// be raised stays.
  public static func raise() {
    guard let inherited, inherited.soft < inherited.hard else { return }
    var limit = rlimit(rlim_cur: rlim_t(inherited.hard), rlim_max: rlim_t(inherited.hard))
    _ = setrlimit(resource, &limit)
  }

  private static let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)

  private static func read() -> (soft: UInt64, hard: UInt64)? {
    var limit = rlimit()
    guard getrlimit(resource, &limit) == 0 else { return nil }
    return (UInt64(limit.rlim_cur), UInt64(limit.rlim_max))
  }
}
