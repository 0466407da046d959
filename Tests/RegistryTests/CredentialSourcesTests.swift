import Core
import Linux
import Testing

@testable import Registry

/// A home of its own, where files are written and programs of the test are found.
struct TestHome {
  let path: String

  static func with(_ body: (TestHome) throws -> Void) throws {
    let home = TestHome(path: try HostPath.makeTemporaryDirectory("/var/tmp/stave-registry-tests."))
    defer { try? HostPath.removeTree(home.path) }
    try body(home)
  }

  func write(_ name: String, _ text: String, mode: UInt16 = 0o600) throws {
    let file = "\(path)/\(name)"
    try HostPath.makeDirectories(String(file[..<(file.lastIndex(of: "/") ?? file.startIndex)]))
    try HostPath.write(Array(text.utf8), to: file, mode: mode)
  }

  func read(_ name: String) throws -> String {
    String(decoding: try HostPath.read("\(path)/\(name)"), as: UTF8.self)
  }

  /// The credential helper `docker-credential-NAME`, a shell script; `$1` is the verb.
  func program(_ name: String, _ script: String) throws {
    try write("bin/docker-credential-\(name)", "#!/bin/sh\ncd '\(path)'\n" + script, mode: 0o755)
  }

  func environment(_ variables: [String: String] = [:]) -> UserEnvironment {
    var all = ["HOME": "\(path)/home", "PATH": "\(path)/bin:/usr/bin:/bin"]
    all.merge(variables) { _, new in new }
    return UserEnvironment(variables: all, userID: 1234, root: path)
  }

  func sources(
    _ variables: [String: String] = [:], explicit: (registry: String, credential: Credential)? = nil,
    authFile: String? = nil, programs: [String] = [CredentialSources.files]
  ) -> CredentialSources {
    CredentialSources(
      environment: environment(variables), explicit: explicit, authFile: authFile, programs: programs)
  }
}

private func alice(_ password: String) -> Credential { .password(user: "alice", password: password) }
private func entry(_ key: String, _ password: String) -> String {
  "\"\(key)\": {\"auth\": \"\(Base64.encode(Array("alice:\(password)".utf8)))\"}"
}
private func auths(_ entries: String...) -> String { "{\"auths\": {\(entries.joined(separator: ", "))}}" }

@Suite struct CredentialSourcesTests {
  @Test func filesAreAskedInOrder() throws {
    try TestHome.with { home in
      let places = [
        ("home/.dockercfg", "{\(entry("r.io", "6"))}"), ("home/.docker/config.json", auths(entry("r.io", "5"))),
        ("home/.config/containers/auth.json", auths(entry("r.io", "4"))),
        ("run/containers/1234/auth.json", auths(entry("r.io", "3"))),
      ]
      #expect(try home.sources().find("r.io") == nil)
      for (name, text) in places {
        try home.write(name, text)
        let found = try #require(try home.sources().find("r.io", "a/b"))
        #expect(found.source == "\(home.path)/\(name)")
        #expect(text.contains(Base64.encode(Array("alice:\(try password(found.0))".utf8))))
      }
      try home.write("x/containers/auth.json", auths(entry("r.io", "2")))
      #expect(try home.sources(["XDG_RUNTIME_DIR": "\(home.path)/x"]).find("r.io")?.0 == alice("2"))
      try home.write("given.json", auths(entry("r.io", "1")))
      let variable = ["REGISTRY_AUTH_FILE": "\(home.path)/given.json"]
      #expect(try home.sources(variable).find("r.io")?.0 == alice("1"))
      try home.write("flag.json", auths(entry("r.io", "0")))
      let explicit = (registry: "r.io", credential: alice("now"))
      let sources = home.sources(variable, explicit: explicit, authFile: "\(home.path)/flag.json")
      #expect(try sources.find("r.io")?.0 == alice("now"))
      #expect(try home.sources(variable, authFile: "\(home.path)/flag.json").find("r.io")?.0 == alice("0"))
      // What was given for one registry is not shown to another.
      #expect(try sources.find("mirror.io") == nil)
      let config = ["XDG_CONFIG_HOME": "\(home.path)/c", "DOCKER_CONFIG": "\(home.path)/d"]
      try home.write("d/config.json", auths(entry("r.io", "d")))
      try HostPath.removeTree("\(home.path)/run")
      #expect(try home.sources(config).find("r.io")?.0 == alice("d"))
    }
  }

  private func password(_ credential: Credential) throws -> String {
    guard case .password("alice", let password) = credential else { throw Failure("", "no password of alice") }
    return password
  }

  @Test(arguments: [
    ("docker.io", "library/x", "hub"), ("index.docker.io", "library/x", "hub"), ("registry-1.docker.io", "a/b", "hub"),
    ("docker.io", "me/app", "mine"), ("docker.io", "me/app/more", "mine"), ("docker.io", "me/application", "hub"),
    ("quay.io", "a/b/c", "c"), ("quay.io", "a/b", "b"), ("quay.io", "a/x", "quay"), ("quay.io", "", "quay"),
    ("QUAY.io", "", "quay"), ("url.io", "x", "url"), ("slash.io:5000", "x", "slash"), ("other.io", "x", ""),
    ("v1.io", "x", "v1"), ("quay.io:443", "", ""),
  ])
  func mostSpecificFirst(registry: String, repository: String, expected: String) throws {
    let file = try AuthFile(
      "f",
      bytes: Array(
        auths(
          entry("https://index.docker.io/v1/", "hub"), entry("docker.io/me/app", "mine"), entry("quay.io", "quay"),
          entry("quay.io/a/b", "b"), entry("quay.io/a/b/c", "c"), entry("https://url.io/v2/", "url"),
          entry("slash.io:5000/", "slash"), entry("v1.io/v1", "v1")
        ).utf8))
    let found = try file.credential(AuthKey.candidates(registry, repository))
    #expect(found == (expected.isEmpty ? nil : alice(expected)))
  }

  @Test(arguments: [
    ("docker.io", "index.docker.io", "a"), ("registry-1.docker.io", "index.docker.io", "b"),
    ("https://index.docker.io/v1/", "registry-1.docker.io", "a"), ("https://index.docker.io/v1/", "docker.io", "b"),
  ])
  func oneOfSeveralNamesOfTheHub(first: String, second: String, expected: String) throws {
    let file = try AuthFile("f", bytes: Array("{\"auths\": {\(entry(first, "a")), \(entry(second, "b"))}}".utf8))
    #expect(try file.credential(AuthKey.candidates("docker.io", "library/x")) == alice(expected))
  }

  @Test(arguments: [
    ("{\"auth\": \"YWxpY2U6YTpi\"}", Credential.password(user: "alice", password: "a:b")),
    ("{\"auth\": \"YWxpY2U6cAAA\"}", .password(user: "alice", password: "p")),
    ("{\"auth\": \"YWxpY2U6cA==\"}", .password(user: "alice", password: "p")),
    ("{\"auth\": \"YWxpY2U6cA\"}", .password(user: "alice", password: "p")),
    ("{\"username\": \"u\", \"password\": \"p\"}", .password(user: "u", password: "p")),
    ("{\"auth\": \"YWxpY2U6\", \"identitytoken\": \"t\"}", .identityToken("t")),
    ("{\"auth\": \"PHRva2VuPjp0\"}", .identityToken("t")),
    ("{\"identitytoken\": \"t\", \"registrytoken\": \"r\"}", .registryToken("r")),
    ("{}", nil), ("null", nil), ("{\"auth\": \"\"}", nil), ("{\"email\": \"a@b\"}", nil), ("{\"auth\": null}", nil),
  ])
  func entries(text: String, expected: Credential?) throws {
    let file = try AuthFile("f", bytes: Array("{\"auths\": {\"r.io\": \(text)}}".utf8))
    #expect(try file.credential(["r.io"]) == expected)
  }

  @Test(arguments: [
    "{", "[]", "{\"auths\": []}", "{\"auths\": {\"r.io\": 1}}", "{\"auths\": {\"r.io\": {\"auth\": 1}}}",
    "{\"auths\": {\"r.io\": {\"auth\": \"c2VjcmV0\"}}}", "{\"auths\": {\"r.io\": {\"auth\": \"se cret!\"}}}",
    "{\"credHelpers\": 1}", "{\"credsStore\": 1}", "{\"auths\": {\"r.io\": {\"identitytoken\": {}}}}",
  ])
  func malformedFilesAreNamedAndKept(text: String) throws {
    try TestHome.with { home in
      try home.write("home/.docker/config.json", text)
      let failure = #expect(throws: Failure.self) { try home.sources().find("r.io") }
      #expect(failure?.description.contains("\(home.path)/home/.docker/config.json") == true)
      #expect(failure?.description.contains("secret") == false)
      #expect(failure?.description.contains("c2VjcmV0") == false)
      if (try? AuthFile("f", bytes: Array(text.utf8))) == nil {
        #expect(throws: Failure.self) { try home.sources().store("r.io", alice("p")) }
        #expect(throws: Failure.self) { try home.sources().erase("r.io") }
      }
      #expect(try home.read("home/.docker/config.json") == text)
    }
  }

  @Test func emptyAndMissingFiles() throws {
    try TestHome.with { home in
      try home.write("empty.json", " \n")
      #expect(try home.sources(authFile: "\(home.path)/empty.json").find("r.io") == nil)
      let missing = Failure("read credentials in \(home.path)/none.json", "no such file or directory")
      #expect(throws: missing) { try home.sources(authFile: "\(home.path)/none.json").find("r.io") }
      #expect(
        try CredentialSources(environment: UserEnvironment(variables: [:], userID: 0, root: home.path)).find("r") == nil
      )
    }
  }

  @Test func creds() throws {
    #expect(try Credential.parse("alice:a:b") == alice("a:b"))
    for text in ["secret", ":secret", ""] {
      let failure = #expect(throws: Failure.self) { try Credential.parse(text) }
      #expect(failure?.description.contains("secret") == false)
    }
    #expect("\(alice("secret"))" == "password of alice")
    #expect(!String(reflecting: Credential.identityToken("secret")).contains("secret"))
    #expect(!String(reflecting: [alice("secret")]).contains("secret"))
  }

  @Test func mutationsNeverTrap() {
    let seeds = [
      auths(entry("https://index.docker.io/v1/", "a"), entry("quay.io/a", "b")),
      "{\"credHelpers\": {\"x.io\": \"y\"}, \"credsStore\": \"z\", \"auths\": {\"x.io\": {\"identitytoken\": \"t\"}}}",
      "{\"registry-mirrors\": [\"https://m.io/\"], \"insecure-registries\": [\"10.0.0.0/8\", \"::1/128\", \"r:5000\"]}",
    ]
    let pieces = ["{", "}", "\"", "https://", "/", ":", "null", "[", "]", "=", "\\u0000", "::", ".io", "YWxpY2U6"]
    var random = SeededGenerator(state: 11)
    for round in 0..<4000 {
      var bytes: [UInt8] = Array(seeds[round % seeds.count].utf8)
      for _ in 0...Int.random(in: 0..<5, using: &random) { random.mutate(&bytes, pieces) }
      _ = try? DockerDaemonSettings(bytes, path: "d")
      guard let file = try? AuthFile("f", bytes: bytes, isLegacy: round % 5 == 0) else { continue }
      _ = try? file.credential(AuthKey.candidates("docker.io", "a/b"))
      for key in file.entries.keys { _ = try? file.credential([AuthKey.normal(key)]) }
      _ = file.helper(for: "x.io")
    }
  }

  @Test func base64() {
    for length in 0..<40 {
      let bytes = (0..<length).map { UInt8(truncatingIfNeeded: $0 * 37 + length) }
      #expect(Base64.decode(Base64.encode(bytes)) == bytes)
    }
    #expect(Base64.encode(Array("foobar".utf8)) == "Zm9vYmFy" && Base64.encode([102]) == "Zg==")
    #expect(Base64.decode("Zg") == [102] && Base64.decode("Z") == nil && Base64.decode("Z*==") == nil)
  }
}
