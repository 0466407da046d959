internal import CLinux
internal import Core
internal import Glibc

/// One entering of a user namespace: which maps are tried, and what is said when they can't be had.
struct NamespaceEntry {
  let facts: RootlessFacts

  func run() -> UserNamespace.Entered {
    var result = UserNamespace.Entered(
      form: .none, uid: facts.uid, gid: facts.gid, user: facts.user, home: facts.home)
    if facts.isRestrictedByAppArmor, stave_probe_user_namespace() != 0 {
      (result.reason, result.hint) = facts.refusal(.notPermitted)
      return result
    }
    let users = writer("uid_map", facts.userTool, "/etc/subuid", facts.userRanges, own: facts.uid)
    let groups = writer("gid_map", facts.groupTool, "/etc/subgid", facts.groupRanges, own: facts.gid)
    var entered = stave_entered()
    let code = users.withC { users in groups.withC { stave_enter_user_namespace(&users, &$0, &entered) } }
    guard entered.error == 0 else {
      let error = SystemError.Code(rawValue: entered.error)
      // Half way in: neither who the process was nor root.
      if code != 0 { Self.giveUp(error) }
      (result.reason, result.hint) = facts.refusal(error)
      return result
    }
    result.form = entered.single.0 == 0 && entered.single.1 == 0 ? .mapped : .single
    if result.form == .single {
      result.reason = withUnsafeBytes(of: entered.said) { said in
        users.reason ?? groups.reason ?? users.failure(entered.unstarted.0, entered.failed.0, said[..<256])
          ?? groups.failure(entered.unstarted.1, entered.failed.1, said[256...])
      }
      result.hint = entered.unstarted == (0, 0) ? facts.mappingHint : nil
    }
    return result
  }

  private static func giveUp(_ error: SystemError.Code) -> Never {
    StandardStream.error.write("stave: enter a user namespace: \(error.text)\n")
    Machine.exit(1)
  }

  private func writer(_ map: String, _ tool: RootlessFacts.Tool, _ file: String, _ ranges: SubordinateIDs, own: UInt32)
    -> MapWriter
  {
    // Root without the power to mount, as in an ordinary container: all the ids that it has.
    if facts.uid == 0 {
      let text = UserNamespace.idMap("/proc/self/\(map)").map { "\($0.inside) \($0.inside) \($0.count)\n" }.joined()
      return MapWriter(name: "the id map", text: text)
    }
    guard let path = tool.path else { return MapWriter(name: tool.name, reason: "\(tool.name) is not installed") }
    guard !ranges.ranges.isEmpty else {
      return MapWriter(name: tool.name, reason: "\(file) has no range for \(facts.who)")
    }
    let numbers = ranges.mapping(own: own).flatMap { [$0.inside, $0.outside, $0.count].map { String($0) } }
    return MapWriter(name: tool.name, arguments: [path, ""] + numbers)
  }
}

/// How one map comes to be: by a tool, by writing a text, or not, and then why.
private struct MapWriter {
  var name: String
  var arguments: [String] = []
  var text: String?
  var reason: String?

  func withC<T>(_ body: (inout stave_id_map_writer) -> T) -> T {
    var words: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
    let text = text.flatMap { strdup($0) }
    defer {
      // The second word is the number that C puts there for as long as the tool runs.
      for (place, word) in words.enumerated() where place != 1 { free(word) }
      free(text)
    }
    let spare = words.count > 1 ? words[1] : nil
    defer { free(spare) }
    return words.withUnsafeMutableBufferPointer { words in
      var writer = stave_id_map_writer()
      writer.tool = arguments.isEmpty ? nil : words.baseAddress
      writer.text = UnsafePointer(text)
      return body(&writer)
    }
  }

  /// Why the map was not written; nil if it was. `unstarted` is the error of starting who should, `code` how that
  /// ended.
  func failure(_ unstarted: Int32, _ code: Int32, _ said: Slice<UnsafeRawBufferPointer>) -> String? {
    if unstarted != 0 { return "start \(name): \(SystemError.Code(rawValue: unstarted).text)" }
    guard code != 0 else { return nil }
    let text = String(decoding: said.prefix { $0 != 0 }, as: UTF8.self)
    if !text.isEmpty { return text.hasPrefix(name) ? text : "\(name): \(text)" }
    return arguments.isEmpty ? "\(name): \(SystemError.Code(rawValue: code).text)" : "\(name) ended with \(code)"
  }
}
