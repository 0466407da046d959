import Core
import HTTP
import Linux
import Testing

@testable import Registry

@Suite struct RegistryCertificatesTests {
  private func settings(_ home: TestHome, _ name: String) throws -> TLSSettings {
    let found = try home.configuration().endpoints(for: ImageReference(name), .pull)
    return try #require(found.first).tls
  }

  @Test func authoritiesAndPairs() throws {
    try TestHome.with { home in
      for file in [
        "etc/docker/certs.d/r.io:5000/ca.crt", "etc/docker/certs.d/r.io:5000/client.cert",
        "etc/docker/certs.d/r.io:5000/client.key", "etc/docker/certs.d/r.io:5000/README",
        "home/.config/containers/certs.d/r.io:5000/b.crt", "home/.config/containers/certs.d/r.io:5000/a.crt",
        "home/.docker/certs.d/docker.io/hub.crt", "etc/containers/certs.d/r.io/other.crt",
      ] { try home.write(file, "x") }
      let found = try settings(home, "r.io:5000/a")
      #expect(
        found.authorityFiles == [
          "\(home.path)/home/.config/containers/certs.d/r.io:5000/a.crt",
          "\(home.path)/home/.config/containers/certs.d/r.io:5000/b.crt",
          "\(home.path)/etc/docker/certs.d/r.io:5000/ca.crt",
        ])
      let folder = "\(home.path)/etc/docker/certs.d/r.io:5000"
      #expect(
        found.client == ClientCertificate(certificateFile: "\(folder)/client.cert", keyFile: "\(folder)/client.key"))
      #expect(found.verifies)
      #expect(try settings(home, "busybox").authorityFiles == ["\(home.path)/home/.docker/certs.d/docker.io/hub.crt"])
      #expect(try settings(home, "r.io:5001/a") == .system)
    }
  }

  @Test func aGivenDirectoryCountsForEveryHost() throws {
    try TestHome.with { home in
      for file in ["mine/ca.crt", "etc/docker/certs.d/r.io/other.crt"] { try home.write(file, "x") }
      let certificates = RegistryCertificates(home.environment(), given: "\(home.path)/mine") { _ in }
      #expect(try certificates.settings(["r.io"]).authorityFiles == ["\(home.path)/mine/ca.crt"])
      let none = RegistryCertificates(home.environment(), given: "\(home.path)/none") { _ in }
      #expect(throws: Failure.self) { try none.settings(["r.io"]) }
    }
  }

  @Test(arguments: [
    ("client.cert", "missing key client.key for client certificate client.cert"),
    ("client.key", "missing client certificate client.cert for key client.key"),
  ])
  func halvesOfPairs(file: String, reason: String) throws {
    try TestHome.with { home in
      try home.write("etc/docker/certs.d/r.io/\(file)", "x")
      let failure = #expect(throws: Failure.self) { try settings(home, "r.io/a") }
      #expect(failure?.action == "read certificates in \(home.path)/etc/docker/certs.d/r.io")
      #expect(failure?.reason == reason)
    }
  }

  @Test func hosts() {
    #expect(HostAddresses.lookUp("127.0.0.1") == ["127.0.0.1"])
    #expect(HostAddresses.lookUp("::1") == ["::1"])
    #expect(HostAddresses.lookUp("no such host") == [])
    for (text, name) in [("a:1", "a"), ("a", "a"), ("[::1]:5", "::1"), ("[::1]", "::1"), ("::1", "::1")] {
      #expect(RegistryName(text).name == name)
    }
    for text in ["", ".", "..", "../x", "a/b", "a b", "-a", "a?b", "a#", "u@a", ":5000"] {
      #expect(!RegistryName(text).isValid, "\(text)")
    }
  }
}
