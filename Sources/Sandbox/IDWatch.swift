internal import CSandbox
internal import Core
internal import Linux

/// Knows which calls of a container asked for ids that its user namespace does not have: programs seldom say so.
///
/// A filter hands those calls to a thread of this process, which keeps them and lets them go on (seccomp_unotify(2)).
final class IDWatch: Sendable {
  // The C side locks for itself.
  private nonisolated(unsafe) let watch: OpaquePointer

  /// Watches `listener`, a filter's.
  init(listener: OpenFile) throws {
    guard let watch = stave_watch_start(listener.descriptor) else {
      throw Failure("watch the container's ids", "no thread can be started")
    }
    self.watch = watch
  }

  deinit { stave_watch_end(watch) }

  /// What may be said of the last call now that the container has failed, `chown /srv to 33:33 needs a second id`.
  var last: String? {
    var call = stave_watched()
    stave_watch_last(watch, &call)
    guard call.number > 0 else { return nil }
    let name = Self.text(withUnsafeBytes(of: call.name) { Array($0) })
    let path = Self.text(withUnsafeBytes(of: call.path) { Array($0) })
    let ids = withUnsafeBytes(of: call.ids) { Array($0.bindMemory(to: UInt32.self).prefix(Int(call.count))) }
    return Self.text(name: name, path: path, ids: ids) + Self.need(age: call.age)
  }

  /// ` needs a second id` of a call that was made `age` milliseconds before the end; of an earlier one ` may need` it,
  /// since a program that goes on for long seldom fails for that.
  static func need(age: UInt64) -> String { (age < 2000 ? " needs" : " may need") + " a second id" }

  /// `chown /srv to 33:33`, `setuid to 33`, `setgroups` to none. 0xffffffff is "no change".
  static func text(name: String, path: String, ids: [UInt32]) -> String {
    let isOwner = name.hasSuffix("chown") || name == "fchownat"
    var words = ids.map { $0 == .max ? "" : String($0) }
    if isOwner {
      // `:33` is a group alone, `33` a user alone.
      let text = words.joined(separator: ":")
      words = [text.hasSuffix(":") ? String(text.dropLast()) : text]
    } else {
      var seen: Set<String> = [""]
      words = words.filter { seen.insert($0).inserted }
    }
    let call = (isOwner ? "chown" : name) + (path.isEmpty ? "" : " " + path)
    return words.isEmpty ? call : "\(call) to \(words.joined(separator: ","))"
  }

  private static func text(_ bytes: [UInt8]) -> String {
    String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
  }

  // MARK: - The filter

  /// A call and which of its arguments are ids.
  private struct Call {
    var number: UInt32
    var users: [UInt32] = []
    var groups: [UInt32] = []
  }

  /// setgroups(2) is refused altogether where setgroups was given up: it has no argument to look at.
  private static let amd64: [Call] = [
    Call(number: 92, users: [1], groups: [2]), Call(number: 93, users: [1], groups: [2]),
    Call(number: 94, users: [1], groups: [2]), Call(number: 260, users: [2], groups: [3]),
    Call(number: 105, users: [0]), Call(number: 106, groups: [0]), Call(number: 113, users: [0, 1]),
    Call(number: 114, groups: [0, 1]), Call(number: 117, users: [0, 1, 2]), Call(number: 119, groups: [0, 1, 2]),
    Call(number: 116),
  ]
  /// Those with 32 bits an id; the older ones are of programs older than the images that are built.
  private static let i386: [Call] = [
    Call(number: 212, users: [1], groups: [2]), Call(number: 207, users: [1], groups: [2]),
    Call(number: 198, users: [1], groups: [2]), Call(number: 298, users: [2], groups: [3]),
    Call(number: 213, users: [0]), Call(number: 214, groups: [0]), Call(number: 203, users: [0, 1]),
    Call(number: 204, groups: [0, 1]), Call(number: 208, users: [0, 1, 2]), Call(number: 210, groups: [0, 1, 2]),
    Call(number: 206),
  ]

  private static let allow: UInt32 = 0x7fff_0000
  private static let notify: UInt32 = 0x7fc0_0000

  /// The filter: an array of `struct sock_filter` that notifies of calls with an id which is not mapped.
  static func program(
    users: [IDMapping] = UserNamespace.userIDs, groups: [IDMapping] = UserNamespace.groupIDs
  ) -> [UInt8] {
    var code = FilterCode()
    // The numbers of x32 are those of amd64 with a bit more.
    for (architecture, calls) in [(UInt32(0xc000_003e), amd64), (0x4000_0003, i386)] {
      code.block { block in
        block.load(4)
        block.leaveUnlessEqual(architecture)
        block.load(0)
        block.and(0xbfff_ffff)
        for call in calls {
          block.block { inner in
            inner.leaveUnlessEqual(call.number)
            for id in call.users { inner.notifyUnlessMapped(id, users, notify) }
            for id in call.groups { inner.notifyUnlessMapped(id, groups, notify) }
            inner.end(call.users.isEmpty && call.groups.isEmpty ? notify : allow)
          }
        }
        block.end(allow)
      }
    }
    code.end(allow)
    return code.bytes
  }
}
