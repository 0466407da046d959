internal import CLinux
public import Core
internal import Glibc

/// A system call that failed: its error number, the verb, and the object.
public struct SystemError: Error, Sendable, Equatable, CustomStringConvertible {
  /// errno(3).
  public let code: Code
  /// `open /etc/passwd`.
  public let action: String

  public init(_ code: Code, _ action: String) {
    self.code = code
    self.action = action
  }

  /// The error of the call that failed last in this thread.
  static func last(_ action: @autoclosure () -> String) -> SystemError {
    let number = errno
    return SystemError(Code(rawValue: number), action())
  }

  /// `open /etc/passwd: no such file or directory`.
  public var description: String { "\(action): \(code.text)" }

  /// An error number with a name.
  public struct Code: RawRepresentable, Sendable, Hashable {
    public let rawValue: Int32
    public init(rawValue: Int32) { self.rawValue = rawValue }
    public static let notPermitted = Code(rawValue: EPERM)
    public static let noEntry = Code(rawValue: ENOENT)
    public static let noProcess = Code(rawValue: ESRCH)
    public static let interrupted = Code(rawValue: EINTR)
    public static let io = Code(rawValue: EIO)
    public static let noExec = Code(rawValue: ENOEXEC)
    public static let badDescriptor = Code(rawValue: EBADF)
    public static let again = Code(rawValue: EAGAIN)
    public static let accessDenied = Code(rawValue: EACCES)
    public static let notBlockDevice = Code(rawValue: ENOTBLK)
    public static let noDevice = Code(rawValue: ENXIO)
    public static let unknownDevice = Code(rawValue: ENODEV)
    public static let tooManyFiles = Code(rawValue: EMFILE)
    public static let notTerminal = Code(rawValue: ENOTTY)
    public static let busy = Code(rawValue: EBUSY)
    public static let exists = Code(rawValue: EEXIST)
    public static let crossDevice = Code(rawValue: EXDEV)
    public static let notDirectory = Code(rawValue: ENOTDIR)
    public static let isDirectory = Code(rawValue: EISDIR)
    public static let invalid = Code(rawValue: EINVAL)
    public static let noSpace = Code(rawValue: ENOSPC)
    public static let readOnly = Code(rawValue: EROFS)
    public static let brokenPipe = Code(rawValue: EPIPE)
    public static let range = Code(rawValue: ERANGE)
    public static let nameTooLong = Code(rawValue: ENAMETOOLONG)
    public static let notImplemented = Code(rawValue: ENOSYS)
    public static let notEmpty = Code(rawValue: ENOTEMPTY)
    public static let loop = Code(rawValue: ELOOP)
    public static let noData = Code(rawValue: ENODATA)
    public static let notSupported = Code(rawValue: ENOTSUP)
    public static let quota = Code(rawValue: EDQUOT)
    public static let unclean = Code(rawValue: EUCLEAN)

    /// What the last call of this thread into C left in errno.
    public static var last: Code { Code(rawValue: errno) }

    /// `no such file or directory`: the C library's text, first letter in lower case.
    public var text: String {
      let text = String(cString: strerror(rawValue))
      return text.prefix(1).lowercased() + text.dropFirst()
    }
  }

  /// The same as a failure for people.
  public var failure: Failure {
    Failure(action, code.text, kind: [.noSpace, .quota].contains(code) ? .noSpace : .other)
  }
}

/// Calls `body` again while it is interrupted by a signal; throws the error of a negative result.
@discardableResult
func check<T: SignedInteger>(_ action: @autoclosure () -> String, _ body: () -> T) throws -> T {
  while true {
    let result = body()
    if result >= 0 { return result }
    if errno != EINTR { throw SystemError.last(action()) }
  }
}
