/// A path inside an image, a layer or a build context: bytes (not necessarily UTF-8), relative to the root of that
/// tree, without empty, `.` or `..` components. The root itself is the empty path.
public struct TreePath: Hashable, Sendable, Comparable, CustomStringConvertible {
  /// The components joined by `/`, no slash at either end.
  public let bytes: [UInt8]

  public static let root = TreePath(verified: [])

  private init(verified bytes: [UInt8]) { self.bytes = bytes }

  /// Cleans `raw`: a leading `/`, empty and `.` components are dropped; `..` removes the component before it and, at
  /// the root, does nothing (a path can't leave its tree).
  public init(clamping raw: some Sequence<UInt8>) {
    var parts: [ArraySlice<UInt8>] = []
    for part: ArraySlice<UInt8> in Array(raw).split(separator: UInt8(ascii: "/")) {
      if part.elementsEqual([UInt8(ascii: ".")]) { continue }
      if part.elementsEqual([UInt8(ascii: "."), UInt8(ascii: ".")]) {
        _ = parts.popLast()
        continue
      }
      parts.append(part)
    }
    bytes = Array(parts.joined(separator: [UInt8(ascii: "/")]))
  }

  /// Whether `raw` is a path as it is kept: no NUL, no slash at an end or beside another, no component `.` or `..`.
  private static func isClean(_ raw: [UInt8]) -> Bool {
    var length = 0
    var dots = 0
    for byte in raw {
      if byte == 0 { return false }
      if byte == UInt8(ascii: "/") {
        if length == 0 || (length == dots && dots < 3) { return false }
        length = 0
        dots = 0
      } else {
        length += 1
        if byte == UInt8(ascii: ".") { dots += 1 }
      }
    }
    return length > 0 && !(length == dots && dots < 3)
  }

  /// As `init(clamping:)` of the UTF-8 bytes.
  public init(clamping text: String) { self.init(clamping: Array(text.utf8)) }

  /// The path `raw` if it needs no cleaning but slashes at its ends and `.` components; nil if it has a `..` component
  /// or a NUL.
  public init?(strict raw: some Sequence<UInt8>) {
    let raw: [UInt8] = Array(raw)
    if TreePath.isClean(raw) {
      self.init(verified: raw)
      return
    }
    if raw.contains(0) { return nil }
    for part in raw.split(separator: UInt8(ascii: "/"))
    where part.elementsEqual([UInt8(ascii: "."), UInt8(ascii: ".")]) {
      return nil
    }
    self.init(clamping: raw)
  }

  public var isRoot: Bool { bytes.isEmpty }

  /// The path's components, none for the root.
  public var components: [ArraySlice<UInt8>] { bytes.split(separator: UInt8(ascii: "/")) }

  /// The last component, empty for the root.
  public var name: ArraySlice<UInt8> {
    guard let slash = bytes.lastIndex(of: UInt8(ascii: "/")) else { return bytes[...] }
    return bytes[(slash + 1)...]
  }

  /// The path without its last component; the root's parent is the root.
  public var parent: TreePath {
    guard let slash = bytes.lastIndex(of: UInt8(ascii: "/")) else { return .root }
    return TreePath(verified: Array(bytes[..<slash]))
  }

  /// The path of the entry `name` in this directory. `name` is one component, as read from a directory.
  public func child(_ name: some Collection<UInt8>) -> TreePath { child(Array(name)) }

  /// As above, for what nearly all callers have.
  public func child(_ name: [UInt8]) -> TreePath {
    if bytes.isEmpty { return TreePath(verified: name) }
    var out: [UInt8] = bytes
    out.reserveCapacity(bytes.count + 1 + name.count)
    out.append(UInt8(ascii: "/"))
    out.append(contentsOf: name)
    return TreePath(verified: out)
  }

  /// As `child(_:)` of the UTF-8 bytes.
  public func child(_ name: String) -> TreePath { child(Array(name.utf8)) }

  /// This path followed by `other`.
  public func appending(_ other: TreePath) -> TreePath {
    if other.isRoot { return self }
    return isRoot ? other : child(other.bytes)
  }

  /// Whether `self` is `ancestor` or lies below it.
  public func isWithin(_ ancestor: TreePath) -> Bool {
    if ancestor.isRoot { return true }
    guard bytes.starts(with: ancestor.bytes) else { return false }
    return bytes.count == ancestor.bytes.count || bytes[ancestor.bytes.count] == UInt8(ascii: "/")
  }

  /// The part of this path below `ancestor`, or nil if it does not lie within.
  public func relative(to ancestor: TreePath) -> TreePath? {
    guard isWithin(ancestor) else { return nil }
    return TreePath(verified: Array(bytes.dropFirst(ancestor.bytes.count).drop { $0 == UInt8(ascii: "/") }))
  }

  /// The path as text, bytes that are not UTF-8 replaced, without a leading slash.
  public var text: String { String(decoding: bytes, as: UTF8.self) }

  /// `/a/b`; the root is `/`.
  public var absolute: String { "/" + text }

  public var description: String { absolute }

  /// Byte order of whole components: a directory's entries stand together, right after it.
  public static func < (a: TreePath, b: TreePath) -> Bool {
    let n = min(a.bytes.count, b.bytes.count)
    var i = 0
    while i < n {
      let x = a.bytes[i]
      let y = b.bytes[i]
      if x != y {
        if x == UInt8(ascii: "/") { return true }
        if y == UInt8(ascii: "/") { return false }
        return x < y
      }
      i += 1
    }
    return a.bytes.count < b.bytes.count
  }
}
