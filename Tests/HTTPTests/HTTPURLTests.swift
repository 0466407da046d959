import HTTP
import Testing

@Suite struct HTTPURLTests {
  @Test(arguments: [
    ("http://a.b:5000/v2/", "http://a.b:5000/v2/"), ("HTTPS://A.b", "https://a.b/"),
    ("https://a:443/x?y=z#f", "https://a/x?y=z"), ("http://[::1]:5000?q", "http://[::1]:5000/?q"),
  ])
  func isRead(text: String, form: String) { #expect(HTTPURL(text)?.description == form) }

  @Test(arguments: [
    "", "http://", "ftp://a/", "http:/a", "http://u:p@a/", "http://a:0/", "http://a:99999/", "http://a b/",
    "http://a/\n",
    "http://ä/", "http://[]/", "http://a:b/", "//a/b",
  ])
  func isRefused(text: String) { #expect(HTTPURL(text) == nil) }

  @Test(arguments: [
    ("/v2/x?state=1", "https://h:1/v2/x?state=1"), ("?q=2", "https://h:1/a/b?q=2"), ("c/d", "https://h:1/a/c/d"),
    ("../x/./y/..", "https://h:1/x/"), ("//other/p", "https://other/p"), ("http://x/y", "http://x/y"),
    ("/../../etc", "https://h:1/etc"),
  ])
  func referencesAreResolved(reference: String, form: String) {
    #expect(HTTPURL("https://h:1/a/b?q=1")?.resolve(reference)?.description == form)
  }

  @Test func otherReferencesAreNone() {
    let base = HTTPURL("https://h/a")
    for text in ["", "#x", "mailto:x", "/a b", "http://u@h/", "javascript:alert(1)"] {
      #expect(base?.resolve(text) == nil)
    }
  }

  @Test func queryValuesAreEscaped() {
    #expect(HTTPURL.escape("repository:a/b:pull,ä ~") == "repository%3Aa%2Fb%3Apull%2C%C3%A4%20~")
  }
}

@Suite struct ProxySettingsTests {
  private func proxy(_ url: String, _ variables: [String: String]) -> String? {
    HTTPURL(url).flatMap { ProxySettings(environment: { variables[$0] }).proxy(for: $0) }
  }

  @Test func variablesAreReadInBothCases() {
    #expect(proxy("http://a/", ["HTTP_PROXY": "p:1"]) == "p:1")
    #expect(proxy("http://a/", ["HTTP_PROXY": "p:1", "http_proxy": "q:1"]) == "q:1")
    #expect(proxy("http://a/", ["HTTP_PROXY": "p:1", "REQUEST_METHOD": "GET"]) == nil)
    #expect(proxy("https://a/", ["HTTP_PROXY": "p:1", "ALL_PROXY": "r:1"]) == "r:1")
    #expect(proxy("https://a/", ["HTTPS_PROXY": "s:1", "ALL_PROXY": "r:1"]) == "s:1")
    #expect(proxy("https://a/", ["HTTPS_PROXY": ""]) == nil)
  }

  @Test(arguments: [
    ("http://a.example/", "example", true), ("http://example/", ".example", false),
    ("http://a.example/", ".example", true),
    ("http://a.example/", "*.example", true), ("http://notexample/", "example", false), ("http://x/", "*", true),
    ("http://10.1.2.3/", "10.0.0.0/8", true), ("http://11.1.2.3/", "10.0.0.0/8", false),
    ("http://10.1.2.3:5000/", "10.1.2.3", true), ("http://a:5000/", "a:5000", true),
    ("http://a:5001/", "a:5000", false),
    ("http://[fd00::1]/", "fd00::/8", true), ("http://localhost:1/", "", true), ("http://127.3.3.3/", "", true),
    ("http://[::1]/", "", true), ("http://b/", "a, b", true),
  ])
  func exceptionsAreHonoured(url: String, list: String, isDirect: Bool) {
    #expect((proxy(url, ["http_proxy": "p", "NO_PROXY": list]) == nil) == isDirect)
  }

  @Test func addressesAreRead() {
    #expect(IPAddress("::ffff:10.0.0.1") == IPAddress("10.0.0.1"))
    #expect(IPAddress("1::2")?.bytes == [0, 1] + [UInt8](repeating: 0, count: 12) + [0, 2])
    for text in [
      "", "1.2.3", "1.2.3.256", "1:2", ":::", "1::2::3", "12345::", "+1.2.3.4", "::1.2.3", "1:2:3:4:5:6:7:8:9",
    ] {
      #expect(IPAddress(text) == nil, "\(text)")
    }
    for text in ["10.0.0.0", "10.0.0.0/33", "10.0.0.0/-1", "a/8", "/"] { #expect(IPNetwork(text) == nil, "\(text)") }
  }
}
