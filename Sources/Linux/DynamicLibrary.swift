internal import Core
internal import Glibc

/// A shared library that is loaded on first use and stays loaded, so that no command pays for one it does not use.
public final class DynamicLibrary: Sendable {
  /// `libz.so.1`.
  public let name: String
  private let package: String
  private nonisolated(unsafe) let handle: UnsafeMutableRawPointer

  /// Loads the library `name`; a `Failure` names the Debian package `package` if it is missing.
  public init(_ name: String, package: String) throws {
    guard let handle = dlopen(name, RTLD_NOW | RTLD_LOCAL) else {
      let reason = dlerror().map { String(cString: $0) } ?? "unknown reason"
      throw Failure("load \(name)", reason, hint: "install the package \(package)")
    }
    self.name = name
    self.package = package
    self.handle = handle
  }

  /// The function or variable `symbol` as a `type`: a `@convention(c)` function type or a pointer, which the caller
  /// takes from the library's header.
  public func symbol<T>(_ symbol: String, as type: T.Type = T.self) throws -> T {
    precondition(MemoryLayout<T>.size == MemoryLayout<UnsafeMutableRawPointer>.size)
    guard let address = dlsym(handle, symbol) else {
      throw Failure("load \(name)", "it has no \(symbol)", hint: "update the package \(package)")
    }
    return unsafeBitCast(address, to: type)
  }
}
