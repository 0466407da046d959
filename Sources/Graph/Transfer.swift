internal import Dockerfile

/// A COPY or an ADD: what both have.
struct Transfer {
  var isAdd: Bool
  var sources: [String]
  var inlineSources: [Int]
  var destination: String
  var chown: String?
  var chmod: String?
  /// Flags that are given, as written in a message, `COPY --link`.
  var unsupported: [String]

  init(_ copy: Instruction.Copy) {
    isAdd = false
    sources = copy.sources
    inlineSources = copy.inlineSources
    destination = copy.destination
    chown = copy.chown
    chmod = copy.chmod
    unsupported = Transfer.flags(
      "COPY", [("link", copy.link), ("parents", copy.parents), ("exclude", !copy.exclude.isEmpty)])
  }

  init(_ add: Instruction.Add) {
    isAdd = true
    sources = add.sources
    inlineSources = add.inlineSources
    destination = add.destination
    chown = add.chown
    chmod = add.chmod
    unsupported = Transfer.flags(
      "ADD",
      [
        ("link", add.link), ("exclude", !add.exclude.isEmpty), ("checksum", add.checksum != nil),
        ("keep-git-dir", add.keepGitDir != nil), ("unpack", add.unpack != nil),
      ])
  }

  private static func flags(_ keyword: String, _ flags: [(name: String, isGiven: Bool)]) -> [String] {
    flags.filter(\.isGiven).map { "\(keyword) --\($0.name)" }
  }

  /// `ADD` or `COPY`.
  var keyword: String { isAdd ? "ADD" : "COPY" }
}

/// What a source that is no local path names, or nil for a local path.
enum RemoteSource {
  case url, git

  init?(_ source: String) {
    let isWeb = source.hasPrefix("http://") || source.hasPrefix("https://")
    if isWeb {
      let path = source.split(whereSeparator: { $0 == "#" || $0 == "?" }).first ?? ""
      self = path.hasSuffix(".git") ? .git : .url
    } else if source.hasPrefix("git://") || source.hasPrefix("ssh://") || RemoteSource.isSCP(source) {
      self = .git
    } else {
      return nil
    }
  }

  /// `git@host:path`, as scp writes.
  private static func isSCP(_ source: String) -> Bool {
    guard let at = source.firstIndex(of: "@"), let colon = source[at...].firstIndex(of: ":") else { return false }
    let user = source[..<at]
    let host = source[source.index(after: at)..<colon]
    func isName(_ text: Substring) -> Bool {
      !text.isEmpty && text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "-_.".contains($0)) }
    }
    return isName(user) && isName(host)
  }
}
