import Core
import Linux
import Testing

@testable import Registry

private func alice(_ password: String) -> Credential { .password(user: "alice", password: password) }

@Suite struct CredentialStoreTests {
  @Test func storedWhereDockerWould() throws {
    try TestHome.with { home in
      let sources = home.sources()
      let path = "\(home.path)/home/.docker/config.json"
      #expect(try sources.erase("docker.io") == false)
      #expect(try HostPath.status(path) == nil)
      let stored = try sources.store("registry-1.docker.io", alice("p"))
      #expect(stored.place == path && stored.hiddenBy == nil)
      let hub = try JSON.parse("{\"auths\": {\"https://index.docker.io/v1/\": {\"auth\": \"YWxpY2U6cA==\"}}}")
      #expect(try JSON.parse(home.read("home/.docker/config.json")) == hub)
      #expect(try HostPath.status(path)?.mode == 0o600)
      #expect(try sources.find("docker.io", "library/x")?.0 == alice("p"))
      _ = try sources.store("localhost:5000", .identityToken("t"))
      #expect(try sources.find("localhost:5000")?.0 == .identityToken("t"))
      #expect(try sources.erase("https://index.docker.io/v1/"))
      #expect(try sources.find("docker.io") == nil)
      #expect(try sources.erase("docker.io") == false)
      #expect(try sources.find("localhost:5000") != nil)
      #expect(throws: Failure.self) { try sources.store("r.io", .password(user: "a:b", password: "p")) }
    }
  }

  @Test func allElseIsKept() throws {
    try TestHome.with { home in
      let text = """
        {"HttpHeaders": {"a": "b"}, "n": 1.50, "big": 123456789012345678901, "credHelpers": {"x.io": "none"},
         "auths": {"https://r.io/v2/": {"auth": "b2xkOm9sZA==", "email": "e"}, "q.io": {"unknown": [1]}}}
        """
      try home.write("real/config.json", text, mode: 0o644)
      try HostPath.makeDirectories("\(home.path)/home/.docker")
      _ = try HostPath.makeSymlink("\(home.path)/home/.docker/config.json", target: "../../real/config.json")
      _ = try home.sources().store("r.io", alice("new"))
      #expect(try HostPath.status("\(home.path)/home/.docker/config.json", follow: false)?.kind == .symlink)
      #expect(try HostPath.status("\(home.path)/real/config.json")?.mode == 0o600)
      let now = try JSON.parse(home.read("real/config.json"))
      #expect(now["HttpHeaders"]?["a"] == "b" && now["n"] == .number("1.50"))
      #expect(now["big"] == .number("123456789012345678901"))
      // One entry for one registry, by whichever name it was known.
      #expect(try now["auths"] == JSON.parse("{\"r.io\": {\"auth\": \"YWxpY2U6bmV3\"}, \"q.io\": {\"unknown\": [1]}}"))
      #expect(try home.sources().erase("q.io") == false)
      #expect(try Directory("\(home.path)/real").entries() == [Array("config.json".utf8)])
    }
  }

  @Test func intoTheFileThatWasNamed() throws {
    try TestHome.with { home in
      let file = "\(home.path)/new/auth.json"
      #expect(try home.sources(authFile: file).store("docker.io", alice("p")).place == file)
      #expect(try JSON.parse(home.read("new/auth.json"))["auths"]?["docker.io"] != nil)
      _ = try home.sources(["REGISTRY_AUTH_FILE": file]).store("quay.io/me", alice("q"))
      #expect(try home.sources(authFile: file).find("quay.io", "me/x")?.0 == alice("q"))
      #expect(try home.sources(authFile: file).find("quay.io", "you/x") == nil)
      #expect(try home.sources(authFile: file).erase("quay.io") == false)
      #expect(try home.sources(authFile: file).erase("quay.io/me"))
      // Podman's file is asked first: a login that changes nothing must be told.
      try home.write("run/containers/1234/auth.json", try home.read("new/auth.json"))
      let stored = try home.sources().store("docker.io", alice("new"))
      #expect(stored.hiddenBy == "\(home.path)/run/containers/1234/auth.json")
    }
  }

  /// Keeps what it is told in files named for the server.
  private static let keeper = """
    server() { tr -c 'a-z0-9.\\n' _; }
    echo "$1" >> calls
    case $1 in
    store) cat > message; f=$(sed 's/.*"ServerURL":"\\([^"]*\\)".*/\\1/' message | server); mv message kept-$f ;;
    get) f=$(server); [ -f kept-$f ] && exec cat kept-$f; echo 'credentials not found in native keychain'; exit 1 ;;
    erase) f=$(server); rm kept-$f 2>/dev/null || { echo 'credentials not found in native keychain'; exit 1; } ;;
    list) echo '{"https://index.docker.io/v1/":"alice"}' ;;
    esac
    """

  @Test func helpersKeepThem() throws {
    try TestHome.with { home in
      try home.program("keep", Self.keeper)
      try home.write("home/.docker/config.json", "{\"credsStore\": \"keep\"}")
      let sources = home.sources()
      let config = "\(home.path)/home/.docker/config.json"
      #expect(try sources.find("docker.io") == nil)
      let stored = try sources.store("docker.io", alice("s\"e\\cret"))
      #expect(stored.place == "docker-credential-keep, which \(config) names" && stored.hiddenBy == nil)
      #expect(try !home.read("home/.docker/config.json").contains("YWxpY2U"))
      #expect(try JSON.parse(home.read("home/.docker/config.json"))["auths"]?[AuthKey.hub] == .object([:]))
      let found = try #require(try sources.find("registry-1.docker.io", "library/x"))
      #expect(found.0 == alice("s\"e\\cret") && found.source == "docker-credential-keep, which \(config) names")
      _ = try sources.store("r.io:5000", .identityToken("t"))
      #expect(try sources.find("r.io:5000")?.0 == .identityToken("t"))
      #expect(throws: Failure.self) { try sources.store("r.io", .registryToken("t")) }
      #expect(try sources.erase("docker.io"))
      #expect(try sources.erase("docker.io") == false)
      #expect(try sources.find("docker.io") == nil)
      let program = CredentialProgram("keep", environment: home.environment())
      #expect(try program.list() == ["https://index.docker.io/v1/": "alice"])
      // A helper is asked once, until something was changed.
      let calls = try home.read("calls").split(separator: "\n").count
      for name in ["", "a", "b/c"] { #expect(try sources.find("r.io:5000", name)?.0 == .identityToken("t")) }
      for _ in 0..<3 { #expect(try sources.find("none.io") == nil) }
      #expect(try home.read("calls").split(separator: "\n").count == calls + 2)
    }
  }

  @Test func helpersOfOneRegistry() throws {
    try TestHome.with { home in
      try home.program("keep", Self.keeper)
      try home.program("other", "echo '{\"Username\": \"bob\", \"Secret\": \"b\"}'")
      let config = """
        {"credsStore": "keep", "credHelpers": {"b.io": "other", "c.io": "keep"},
         "auths": {"a.io": {"auth": "YWxpY2U6cA=="}, "c.io": {"auth": "YWxpY2U6cA=="}}}
        """
      try home.write("home/.docker/config.json", config)
      #expect(try home.sources().find("b.io")?.0 == .password(user: "bob", password: "b"))
      // The default helper has none, the file still does; a helper of its own is the only one to ask.
      #expect(try home.sources().find("a.io")?.0 == alice("p"))
      #expect(try home.sources().find("c.io") == nil)
      let programs = home.sources(programs: ["keep", CredentialSources.files])
      #expect(try programs.store("d.io", alice("d")).place == "docker-credential-keep")
      #expect(try programs.find("d.io")?.source == "docker-credential-keep")
      #expect(try programs.find("a.io")?.0 == alice("p"))
      #expect(try home.read("home/.docker/config.json") == config)
    }
  }

  @Test(arguments: [
    ("echo 'cannot open vault'; exit 1", "cannot open vault (exit code: 1)"),
    ("echo; echo '  no display' >&2; exit 2", "no display (exit code: 2)"),
    ("exit 7", "exit code: 7"), ("echo '{\"Secret\": \"hush\"}'; exit 1", "exit code: 1"),
    ("echo hush", "its answer is no JSON object"), ("echo '[]'", "its answer is no JSON object"),
    ("kill -9 $$", "killed by SIGKILL"), ("yes hush", "it wrote more than 1048576 bytes"),
  ])
  func failuresNameTheHelper(script: String, reason: String) throws {
    try TestHome.with { home in
      try home.program("bad", script)
      try home.write("home/.docker/config.json", "{\"credHelpers\": {\"r.io\": \"bad\"}}")
      #expect(throws: Failure("get credentials of r.io with docker-credential-bad", reason)) {
        try home.sources().find("r.io")
      }
    }
  }

  @Test func helpersThatAreMissingSlowOrTellSecrets() throws {
    try TestHome.with { home in
      try home.write("home/.docker/config.json", "{\"credsStore\": \"desktop.exe\"}")
      let missing = #expect(throws: Failure.self) { try home.sources().find("r.io") }
      #expect(
        missing?.description == "get credentials of r.io with docker-credential-desktop.exe: program not found in PATH")
      #expect(missing?.hint?.contains("credsStore") == true)
      try home.program("slow", "sleep 60")
      var slow = CredentialProgram("slow", environment: home.environment())
      slow.patience = 0
      #expect(throws: Failure.self) { try slow.get("r.io") }
      try home.program("tells", "cat; exit 1")
      try home.program("repeats", "echo bad password hush; exit 1")
      for name in ["tells", "repeats", "../x"] {
        let failure = #expect(throws: Failure.self) {
          try CredentialProgram(name, environment: home.environment()).store("r.io", alice("hush"))
        }
        #expect(failure?.description.contains("hush") == false)
      }
    }
  }
}
