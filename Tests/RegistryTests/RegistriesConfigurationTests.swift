import Core
import HTTP
import Linux
import Synchronization
import Testing

@testable import Registry

extension TestHome {
  func configuration(
    _ variables: [String: String] = [:], file: String? = nil, verifiesTLS: Bool? = nil,
    notice: @escaping @Sendable (String) -> Void = { _ in }
  ) throws -> RegistriesConfiguration {
    try RegistriesConfiguration(
      environment: environment(variables), file: file, verifiesTLS: verifiesTLS, notice: notice
    ) { name in name == "inside.example" ? ["10.1.2.3"] : [] }
  }
}

/// `https://host/repository`, with what else is remarkable behind it.
private func shown(_ endpoint: Endpoint) -> String {
  "\(endpoint.scheme)://\(endpoint)" + (endpoint.tls.verifies ? "" : " unverified")
    + (endpoint.mayFallBackToHTTP ? " or http" : "")
}

private let digest = "@sha256:" + String(repeating: "0", count: 64)

@Suite struct RegistriesConfigurationTests {
  private func pull(_ configuration: RegistriesConfiguration, _ name: String) throws -> [String] {
    try configuration.endpoints(for: ImageReference(name), .pull).map(shown)
  }

  @Test func withoutAnyFile() throws {
    try TestHome.with { home in
      let configuration = try home.configuration()
      #expect(try pull(configuration, "busybox") == ["https://registry-1.docker.io/library/busybox"])
      #expect(try pull(configuration, "quay.io/a/b:1") == ["https://quay.io/a/b"])
      for host in ["localhost", "localhost:5000", "127.0.0.1:5000", "127.8.9.1:1"] {
        #expect(try pull(configuration, "\(host)/a") == ["https://\(host)/a or http"])
      }
      #expect(try pull(configuration, "128.0.0.1:5000/a") == ["https://128.0.0.1:5000/a"])
      #expect(try shown(configuration.endpoint(registry: "[::1]:5000")) == "https://[::1]:5000/ or http")
      #expect(
        try shown(configuration.endpoint(registry: "https://index.docker.io/v1/")) == "https://registry-1.docker.io/")
      #expect(throws: Failure.self) { try configuration.endpoint(registry: "../etc") }
      #expect(throws: Failure.self) { try configuration.endpoint(registry: "") }
    }
  }

  @Test(arguments: [
    (
      "example.com/foo/image:latest",
      [
        "https://mirror-0.local/for-foo/image", "https://mirror-1.local:80/m/foo/image unverified or http",
        "https://internal.net/bar/image",
      ]
    ),
    ("example.com/foo/image\(digest)", ["https://mirror-0.local/for-foo/image", "https://internal.net/bar/image"]),
    ("example.com/foobar/image", ["https://example.com/foobar/image"]),
    (
      "example.com/foo",
      [
        "https://mirror-0.local/for-foo", "https://mirror-1.local:80/m/foo unverified or http",
        "https://internal.net/bar",
      ]
    ),
    ("a.b.wild.io/x", ["https://m.io/x", "https://a.b.wild.io/x unverified or http"]),
    ("wild.io/x", ["https://wild.io/x"]), ("notwild.io/x", ["https://notwild.io/x"]),
    ("a.wild.io:5000/x", ["https://m.io:5000/x", "https://a.wild.io:5000/x unverified or http"]),
    ("x.moved.io/a/b", ["https://new.io/base/a/b"]),
    ("one.x.moved.io/a", ["https://near.io/a"]),
    ("busybox", ["https://hub.local/library/busybox", "https://registry-1.docker.io/library/busybox"]),
    ("me/app", ["https://hub.local/me/app", "https://registry-1.docker.io/me/app"]),
    ("digest.io/a:1", ["https://digest.io/a"]),
    ("digest.io/a\(digest)", ["https://d.io/a", "https://digest.io/a"]),
    ("alias.io/x", ["https://registry-1.docker.io/library/x"]),
  ])
  func mirrorsAndLocations(name: String, expected: [String]) throws {
    try TestHome.with { home in
      try home.write(
        "etc/containers/registries.conf",
        """
        [[registry]]
        prefix = "example.com/foo"
        location = "internal.net/bar/"
        [[registry.mirror]]
        location = "mirror-0.local/for-foo"
        [[registry.mirror]]
        location = "mirror-1.local:80/m/foo"
        insecure = true
        pull-from-mirror = "tag-only"
        [[registry]]
        prefix = "*.wild.io"
        insecure = true
        mirror = [{location = "m.io"}]
        [[registry]]
        prefix = "*.moved.io"
        location = "new.io/base"
        [[registry]]
        prefix = "*.x.moved.io"
        location = "near.io"
        [[registry]]
        location = "docker.io"
        [[registry.mirror]]
        location = "hub.local"
        [[registry.mirror]]
        location = "hub.local"
        [[registry]]
        location = "digest.io"
        mirror-by-digest-only = true
        mirror = [{location = "d.io"}]
        [[registry]]
        prefix = "alias.io"
        location = "docker.io"
        """)
      let configuration = try home.configuration()
      #expect(try pull(configuration, name) == expected)
      // Mirrors and locations are for pulls alone.
      let own = try ImageReference(name)
      let pushed = try configuration.endpoints(for: own, .push)
      #expect(pushed.map(\.repository) == [own.repository])
    }
  }

  @Test func blockedAndImpossible() throws {
    try TestHome.with { home in
      let path = "\(home.path)/etc/containers/registries.conf"
      try home.write(
        "etc/containers/registries.conf",
        """
        registry = [{location = "bad.io", blocked = true}, {prefix = "good.io/a:1", location = "x.io/b:2"},
          {prefix = "good.io/c", location = "x.io"}, {prefix = "good.io/d", location = "x.io/UP"}]
        """)
      let configuration = try home.configuration()
      for purpose in [Endpoint.Purpose.pull, .push] {
        let failure = #expect(throws: Failure.self) {
          try configuration.endpoints(for: ImageReference("bad.io/x"), purpose)
        }
        #expect(failure?.reason == "\"bad.io\" is blocked by \(path)")
      }
      for name in ["good.io/a:1", "good.io/c", "good.io/d/e"] {
        let failure = #expect(throws: Failure.self) { try pull(configuration, name) }
        #expect(failure?.reason.hasPrefix(path) == true)
      }
      #expect(try pull(configuration, "good.io/a:2") == ["https://good.io/a"])
    }
  }

  @Test func filesAddToEachOther() throws {
    try TestHome.with { home in
      func insecure(_ host: String, _ also: String = "") -> String {
        "[[registry]]\nlocation = \"\(host)\"\ninsecure = true\n\(also)"
      }
      try home.write("etc/containers/registries.conf", "short-name-mode = \"enforcing\"\n" + insecure("a.io"))
      try home.write("etc/containers/registries.conf.d/20.conf", insecure("b.io", "blocked = true"))
      try home.write(
        "etc/containers/registries.conf.d/10.conf", "[[registry]]\nlocation = \"b.io\"\n" + insecure("c.io"))
      try home.write("etc/containers/registries.conf.d/30.conf.bak", "malformed")
      var configuration = try home.configuration()
      #expect(configuration.tables.map(\.prefix) == ["a.io", "c.io", "b.io"])
      #expect(configuration.tables.map(\.isBlocked) == [false, false, true])
      #expect(configuration.shortNameMode == .enforcing)
      try home.write("home/.config/containers/registries.conf.d/own.conf", "short-name-mode=\"\"\n" + insecure("d.io"))
      #expect(try home.configuration().tables.map(\.prefix) == ["a.io", "c.io", "b.io", "d.io"])
      // One that was named stands in place of the main file; so does the user's, for the system's drop-ins too.
      try home.write("given.conf", insecure("e.io"))
      for (variables, file) in [
        ([:], "\(home.path)/given.conf"), (["CONTAINERS_REGISTRIES_CONF": "\(home.path)/given.conf"], nil),
      ] {
        configuration = try home.configuration(variables, file: file)
        #expect(configuration.tables.map(\.prefix) == ["e.io", "c.io", "b.io", "d.io"])
        #expect(configuration.shortNameMode == .permissive)
      }
      try home.write("home/.config/containers/registries.conf", insecure("f.io"))
      #expect(try home.configuration().tables.map(\.prefix) == ["f.io", "d.io"])
      #expect(throws: Failure("read /none.conf", "no such file or directory")) {
        try home.configuration(file: "/none.conf")
      }
    }
  }

  @Test(arguments: [
    (
      "[registries.search]\nregistries = ['quay.io']\n[registries.insecure]\nregistries = ['i.io', 'both.io']\n"
        + "[registries.block]\nregistries = ['both.io']", ["both.io blocked insecure", "i.io insecure"], ["quay.io"]
    ),
    ("[registries.search]\nregistries = []\n[[registry]]\nlocation = 'x.io'", ["x.io"], []),
  ])
  func oldFormat(text: String, tables: [String], search: [String]) throws {
    let file = try RegistriesFile(Array(text.utf8), path: "f")
    #expect(
      file.tables.map { $0.prefix + ($0.isBlocked ? " blocked" : "") + ($0.isInsecure ? " insecure" : "") } == tables)
    #expect(file.searchRegistries ?? [] == search)
  }

  @Test(arguments: [
    ("[registries.insecure]\nregistries = ['a']\n[[registry]]\nlocation = 'b'", false, "old format can't stand"),
    ("[registries.insecure]\nregistries = ['a']", true, "not supported in a drop-in"),
    ("[registries.insecure]\nregistries = 'a'", false, "must be an array of strings"),
    ("registry = 1", false, "must be tables"), ("[[registry]]", false, "needs a \"location\""),
    ("[[registry]]\nprefix = 'a.io'", false, "needs a \"location\""),
    ("[[registry]]\nlocation = 'https://a.io'", false, "without \"http://\""),
    ("[[registry]]\nlocation = 'a.io'\ninsecure = 'true'", false, "must be true or false"),
    ("[[registry]]\nlocation = 'a.io'\npull-from-mirror = 'all'", false, "belongs to a [[registry.mirror]]"),
    ("[[registry]]\nlocation = 'a.io'\nmirror = [{location = 'b', pull-from-mirror = 'x'}]", false, "must be all"),
    ("[[registry]]\nlocation = 'a.io'\nmirror = [{insecure = true}]", false, "needs a \"location\""),
    (
      "[[registry]]\nlocation='a.io'\nmirror-by-digest-only=true\nmirror=[{location='b',pull-from-mirror='tag-only'}]",
      false, "can't have"
    ),
    ("[[registry]]\nlocation = 'a.*.io'", false, "*.example.com"),
    ("[[registry]]\nprefix = '*.a.io/b'\nlocation = 'b'", false, "*.example.com"),
    (
      "[[registry]]\nprefix='a'\nlocation='c'\nblocked=true\n[[registry]]\nprefix='b'\nlocation='c'", false, "different"
    ),
    ("unqualified-search-registries = ['a.io/b']", false, "must be hosts"),
    ("short-name-mode = 'often'", false, "enforcing, permissive or disabled"),
    ("aliases = 1", false, "must be a table"), ("a = ", false, "f:1: expected a value"),
  ])
  func refused(text: String, isDropIn: Bool, reason: String) {
    let failure = #expect(throws: Failure.self) {
      try RegistriesFile(Array(text.utf8), path: "f", isDropIn: isDropIn)
    }
    #expect(failure?.description.contains(reason) == true, "\(failure?.description ?? "")")
    #expect(failure?.description.hasPrefix(text == "a = " ? "f:1" : "read f") == true)
  }

  @Test func unknownKeysAreTold() throws {
    try TestHome.with { home in
      try home.write(
        "etc/containers/registries.conf",
        "new = 1\nregistry = [{location = 'a.io', insecur = true, mirror = [{location = 'b', x = 1}]}]")
      let notices = Mutex<[String]>([])
      _ = try home.configuration { text in notices.withLock { $0.append(text) } }
      let keys = ["new", "registry.insecur", "registry.mirror.x"]
      let path = "\(home.path)/etc/containers/registries.conf"
      let told = notices.withLock(\.self)
      #expect(told.sorted() == keys.map { "\(path): the key \"\($0)\" is unknown" }.sorted())
    }
  }

  @Test func dockerDaemon() throws {
    try TestHome.with { home in
      try home.write(
        "etc/docker/daemon.json",
        """
        {"registry-mirrors": ["https://m.io/", "http://127.0.0.1:5001"], "log-level": "info",
         "insecure-registries": ["plain.io:5000", "http://old.io", "10.0.0.0/8", "fd00::/8"]}
        """)
      var configuration = try home.configuration()
      let hub = "https://registry-1.docker.io/library/busybox"
      #expect(
        try pull(configuration, "busybox")
          == ["https://m.io/library/busybox", "http://127.0.0.1:5001/library/busybox or http", hub])
      #expect(try pull(configuration, "quay.io/x") == ["https://quay.io/x"])
      for host in ["plain.io:5000", "old.io", "10.9.9.9:5000", "inside.example"] {
        #expect(try pull(configuration, "\(host)/x") == ["https://\(host)/x unverified or http"])
      }
      for host in ["plain.io", "11.0.0.1", "outside.example"] {
        #expect(try pull(configuration, "\(host)/x") == ["https://\(host)/x"])
      }
      #expect(try configuration.endpoint(registry: "[fd00::1]:5000").mayFallBackToHTTP)
      #expect(try configuration.endpoints(for: ImageReference("busybox"), .push).map(shown) == [hub])
      // registries.conf comes first, and where it puts another place for Docker Hub there are no mirrors of the Hub.
      try home.write("etc/containers/registries.conf", "registry=[{location='docker.io',mirror=[{location='own.io'}]}]")
      configuration = try home.configuration()
      #expect(try pull(configuration, "busybox").first == "https://own.io/library/busybox")
      #expect(try pull(configuration, "busybox").count == 4)
      try home.write("etc/containers/registries.conf", "registry=[{prefix='docker.io',location='own.io'}]")
      #expect(try pull(home.configuration(), "busybox") == ["https://own.io/library/busybox"])
      try home.write("home/.config/docker/daemon.json", "{}")
      try home.write("etc/containers/registries.conf", "")
      #expect(try pull(home.configuration(), "busybox") == [hub])
    }
  }

  @Test(arguments: [
    "[]", "{", "{\"registry-mirrors\": 1}", "{\"registry-mirrors\": [\"m.io\"]}",
    "{\"registry-mirrors\": [\"https://m.io/path\"]}", "{\"registry-mirrors\": [\"https://u:p@m.io\"]}",
    "{\"insecure-registries\": [\"a/b\"]}", "{\"insecure-registries\": [\"10.0.0.0/33\"]}",
  ])
  func malformedDaemon(text: String) {
    let failure = #expect(throws: Failure.self) { try DockerDaemonSettings(Array(text.utf8), path: "/d.json") }
    #expect(failure?.action == "read /d.json")
  }

  @Test func tlsVerifyOfTheCommandLine() throws {
    try TestHome.with { home in
      try home.write(
        "etc/containers/registries.conf",
        "registry = [{location = 'a.io', insecure = true, mirror = [{location = 'b'}]}]")
      try home.write("etc/docker/daemon.json", "{\"registry-mirrors\": [\"http://m.io\"]}")
      let on = try home.configuration(verifiesTLS: true)
      #expect(try pull(on, "a.io/x") == ["https://b/x", "https://a.io/x"])
      #expect(try pull(on, "localhost:5000/x") == ["https://localhost:5000/x"])
      #expect(try pull(on, "x").first == "https://m.io/library/x")
      let off = try home.configuration(verifiesTLS: false)
      #expect(try pull(off, "a.io/x") == ["https://b/x unverified or http", "https://a.io/x unverified or http"])
      #expect(try pull(off, "q.io/x") == ["https://q.io/x unverified or http"])
    }
  }

  @Test func mutationsNeverTrap() throws {
    let seeds = [
      "[[registry]]\nprefix='*.x.y'\nlocation='m/n'\n[[registry]]\nprefix='docker.io/library'\nlocation='hub.io/l'\n"
        + "[[registry.mirror]]\nlocation='a:5000/b'\npull-from-mirror='digest-only'\n",
      "unqualified-search-registries=['a.b']\n[registries.search]\nregistries=[]\n[aliases]\nbusybox='q.io/b'\n'x/y'=''\n",
      "registry=[{location='docker.io:1', insecure=true, mirror=[{location='[::1]:5000'}]}, {location='.x'}]\n",
    ]
    let pieces = [
      "'", "*.", "/", ":", "@", "[", "]", ".", "\n", "docker.io", "=", "location='x'\n", "::", "\u{301}", "é",
    ]
    let names = ["busybox", "a.x.y/z:1", "q.x.y:80/z\(digest)", "localhost:5000/a/b"]
    var random = SeededGenerator(state: 3)
    try TestHome.with { home in
      let empty = try home.configuration()
      for round in 0..<3000 {
        var bytes: [UInt8] = Array(seeds[round % seeds.count].utf8)
        for _ in 0...Int.random(in: 0..<5, using: &random) { random.mutate(&bytes, pieces) }
        guard let file = try? RegistriesFile(bytes, path: "f", isDropIn: round % 7 == 0) else { continue }
        var configuration = empty
        configuration.merge(file)
        for name in names {
          for endpoint in (try? configuration.endpoints(for: ImageReference(name), .pull)) ?? [] {
            #expect(RegistryName(endpoint.host).isValid && !endpoint.repository.contains(".."))
          }
          _ = try? configuration.meanings(of: name)
        }
      }
    }
  }
}
