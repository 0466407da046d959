internal import Core

/// Whom a process of an image runs as.
public struct ProcessUser: Sendable, Hashable {
  public var uid: UInt32
  public var gid: UInt32
  /// Supplementary groups, sorted.
  public var additionalGids: [UInt32]
  /// The user's directory, `/` if unknown.
  public var home: String
  /// The user's name in the image, nil if it has none.
  public var name: String?
}

/// Users and groups of an image, by its /etc/passwd and /etc/group (passwd(5), group(5)).
public struct UserLookup: Sendable {
  struct User: Sendable {
    var name: String
    var uid: UInt32
    var gid: UInt32
    var home: String
  }

  struct Group: Sendable {
    var name: String
    var gid: UInt32
    var members: [String]
  }

  private let users: [User]
  private let groups: [Group]

  /// Reads both files of `tree`, links followed; a missing one is empty, malformed lines don't count.
  public init(in tree: any TreeView) throws {
    let passwd = try tree.readSmallFile(TreePath(clamping: "etc/passwd"), limit: 16 << 20) ?? []
    let group = try tree.readSmallFile(TreePath(clamping: "etc/group"), limit: 16 << 20) ?? []
    users = UserLookup.lines(passwd).compactMap { fields in
      guard fields.count >= 4, let uid = UInt32(fields[2]), let gid = UInt32(fields[3]) else { return nil }
      return User(name: fields[0], uid: uid, gid: gid, home: fields.count > 5 ? fields[5] : "")
    }
    groups = UserLookup.lines(group).compactMap { fields in
      guard fields.count >= 3, let gid = UInt32(fields[2]) else { return nil }
      let members = fields.count > 3 ? fields[3].split(separator: ",").map { String($0) } : []
      return Group(name: fields[0], gid: gid, members: members)
    }
  }

  private static func lines(_ content: [UInt8]) -> [[String]] {
    content.split(separator: UInt8(ascii: "\n")).map { line in
      line.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false).map {
        IgnoreFile.trimmed(String(decoding: $0, as: UTF8.self))
      }
    }
  }

  /// The user of a process for `text`: `name`, `uid`, either followed by `:group` or `:gid`; empty is root. As runc:
  /// a number need not be in the files (group 0 then); supplementary groups only without an explicit group.
  /// Throws a `Failure`, `unable to find user foo: no matching entries in passwd file`.
  public func processUser(_ text: String) throws -> ProcessUser {
    let (userPart, groupPart) = UserLookup.split(text)
    var result = ProcessUser(uid: 0, gid: 0, additionalGids: [], home: "/", name: nil)
    let number = try UserLookup.number(userPart, "user")
    if let user = find(userPart.isEmpty ? "0" : userPart, userPart.isEmpty ? 0 : number) {
      result = ProcessUser(
        uid: user.uid, gid: user.gid, additionalGids: [], home: user.home.isEmpty ? "/" : user.home, name: user.name)
    } else if !userPart.isEmpty {
      guard let number else { throw UserLookup.noUser(userPart) }
      result.uid = number
    }
    if !groupPart.isEmpty {
      result.gid = try group(groupPart)
    } else if let name = result.name {
      result.additionalGids = Set(groups.filter { $0.members.contains(name) }.map(\.gid)).sorted()
    }
    return result
  }

  /// The owner for `--chown=text`. Without a group: a name's primary group, and for a number the same number.
  /// Throws as `processUser`.
  public func owner(_ text: String) throws -> CopySelection.Owner {
    let (userPart, groupPart) = UserLookup.split(text)
    var owner = CopySelection.Owner(uid: 0, gid: 0)
    if let number = try UserLookup.number(userPart, "user") {
      owner = CopySelection.Owner(uid: number, gid: number)
    } else if let user = users.first(where: { $0.name == userPart }) {
      owner = CopySelection.Owner(uid: user.uid, gid: user.gid)
    } else if !userPart.isEmpty {
      throw UserLookup.noUser(userPart)
    }
    if !groupPart.isEmpty { owner.gid = try group(groupPart) }
    return owner
  }

  private func find(_ text: String, _ number: UInt32?) -> User? {
    users.first { $0.name == text || (number != nil && $0.uid == number) }
  }

  private func group(_ text: String) throws -> UInt32 {
    if let number = try UserLookup.number(text, "group") { return number }
    guard let group = groups.first(where: { $0.name == text }) else {
      throw Failure("unable to find group \(text)", "no matching entries in group file")
    }
    return group.gid
  }

  private static func split(_ text: String) -> (user: String, group: String) {
    guard let colon = text.utf8.firstIndex(of: UInt8(ascii: ":")) else { return (text, "") }
    return (String(text[..<colon]), String(text[text.utf8.index(after: colon)...]))
  }

  /// `text` as a number, nil for a name. Throws if the number can't be an id.
  private static func number(_ text: String, _ what: String) throws -> UInt32? {
    let isNumber = text.utf8.allSatisfy { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
    guard !text.isEmpty, isNumber else { return nil }
    guard let value = UInt32(text), value <= 0x7fff_ffff else {
      throw Failure("read \(what) \(text)", "uids and gids must be in range 0-2147483647")
    }
    return value
  }

  private static func noUser(_ text: String) -> Failure {
    Failure("unable to find user \(text)", "no matching entries in passwd file")
  }
}
