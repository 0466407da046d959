import Core
import Testing

@testable import Registry

@Suite struct ShortNamesTests {
  private static let aliases = """
    [aliases]
    "fedora" = "registry.fedoraproject.org/fedora"
    "me/app" = "quay.io/me/app"
    "hub" = "docker.io/hub"
    "gone" = ""
    "tagged" = "quay.io/x:1"
    "half" = "x/y"
    """

  @Test(arguments: [
    ("busybox", ["docker.io/library/busybox:latest"]), ("me/other:1", ["docker.io/me/other:1"]),
    ("fedora", ["registry.fedoraproject.org/fedora:latest"]), ("fedora:40", ["registry.fedoraproject.org/fedora:40"]),
    ("docker.io/fedora", ["docker.io/library/fedora:latest"]),
    ("index.docker.io/fedora", ["docker.io/library/fedora:latest"]),
    ("docker.io/library/fedora", ["docker.io/library/fedora:latest"]),
    ("library/fedora", ["docker.io/library/fedora:latest"]),
    ("me/app:2", ["quay.io/me/app:2"]), ("hub", ["docker.io/library/hub:latest"]),
    ("gone", ["docker.io/library/gone:latest"]),
    ("localhost/fedora", ["localhost/fedora:latest"]), ("quay.io/fedora", ["quay.io/fedora:latest"]),
    ("tagged", []), ("half", []), ("UPPER", []),
  ])
  func aliasesThenTheHub(text: String, expected: [String]) throws {
    try TestHome.with { home in
      try home.write("etc/containers/registries.conf", Self.aliases)
      let configuration = try home.configuration()
      if expected.isEmpty {
        #expect(throws: Failure.self) { try configuration.meanings(of: text) }
      } else {
        #expect(try configuration.meanings(of: text).map(\.canonical) == expected)
      }
    }
  }

  @Test func digestsGoAlong() throws {
    try TestHome.with { home in
      try home.write("etc/containers/registries.conf", Self.aliases)
      let digest = "@sha256:" + String(repeating: "a", count: 64)
      let found = try home.configuration().meanings(of: "fedora:1\(digest)")
      #expect(found.map(\.canonical) == ["registry.fedoraproject.org/fedora:1\(digest)"])
    }
  }

  @Test(arguments: [
    ("['quay.io', 'docker.io']", "enforcing", ["docker.io/library/x:latest"]),
    ("[]", "enforcing", ["docker.io/library/x:latest"]), ("['quay.io']", "enforcing", ["quay.io/x:latest"]),
    ("['quay.io', 'r:5000']", "permissive", ["quay.io/x:latest", "r:5000/x:latest"]),
    ("['quay.io', 'r:5000']", "disabled", ["quay.io/x:latest", "r:5000/x:latest"]),
    ("['quay.io', 'r:5000']", "enforcing", []), ("['nodot']", "disabled", []),
  ])
  func registriesToSearch(list: String, mode: String, expected: [String]) throws {
    try TestHome.with { home in
      try home.write(
        "etc/containers/registries.conf", "unqualified-search-registries = \(list)\nshort-name-mode = '\(mode)'")
      let configuration = try home.configuration()
      if expected.isEmpty {
        let failure = #expect(throws: Failure.self) { try configuration.meanings(of: "x") }
        #expect(failure?.reason.contains("\(home.path)/etc/containers/registries.conf") == true)
      } else {
        #expect(try configuration.meanings(of: "x").map(\.canonical) == expected)
      }
      #expect(try configuration.meanings(of: "q.io/x").map(\.canonical) == ["q.io/x:latest"])
    }
  }
}
