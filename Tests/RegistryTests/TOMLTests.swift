import Core
import Registry
import Testing

@Suite struct TOMLTests {
  static func read(_ text: String) throws -> TOML { try TOML.parse(Array(text.utf8), file: "f.conf") }

  @Test func valuesOfEveryKind() throws {
    let text = """
      # a comment\t with a tab
      title = "a \\"b\\" \\u00e9 \\U0001F600 \\t" # behind
      'literal key' = 'C:\\n'
      "" = 'empty key'
      ints = [1, -2, +3, 1_000, 0xDEAD_beef, 0o17, 0b101, -0,]
      floats = [1.5, -0.01, 5e+22, 6.626e-34, 1_0.2_5, inf, -inf]
      yes = true
      no = false
      nested = [[1, 2], ["a", {b = 1}], [
        # here too
        'x' # and here
        ,
      ]]
      a.b . "c d".e = 1
      """
    let toml = try Self.read(text)
    #expect(toml["title"] == .string("a \"b\" é 😀 \t"))
    #expect(toml["literal key"] == .string("C:\\n"))
    #expect(toml[""] == .string("empty key"))
    let ints: [Int64] = [1, -2, 3, 1000, 0xDEAD_BEEF, 15, 5, 0]
    #expect(toml["ints"] == .array(ints.map(TOML.int)))
    let floats: [Double] = [1.5, -0.01, 5e22, 6.626e-34, 10.25, .infinity, -.infinity]
    #expect(toml["floats"] == .array(floats.map(TOML.float)))
    #expect(toml["yes"] == .bool(true) && toml["no"] == .bool(false))
    let nested: [TOML] = [
      .array([.int(1), .int(2)]), .array([.string("a"), .table(["b": .int(1)])]), .array([.string("x")]),
    ]
    #expect(toml["nested"] == .array(nested))
    #expect(toml["a"]?["b"]?["c d"]?["e"] == .int(1))
  }

  @Test(arguments: [
    ("\"\"\"\na\nb\"\"\"", "a\nb"), ("\"\"\"a\\\n   \n  b\"\"\"", "ab"), ("\"\"\"\"\"a\"\"\"\"\"", "\"\"a\"\""),
    ("'''\n'a'\\n\n'''", "'a'\\n\n"), ("'''''a'''''", "''a''"), ("\"\"\"\r\na\r\nb\"\"\"", "a\r\nb"),
    ("\"\"\"a \\  \n b\"\"\"", "a b"), ("\"\"", ""), ("''", ""), ("\"\"\"\"\"\"", ""), ("\"\"\"a\"b\"\"\"", "a\"b"),
  ])
  func strings(written: String, meant: String) throws {
    #expect(try Self.read("a = \(written)") == .table(["a": .string(meant)]))
  }

  @Test func tables() throws {
    let toml = try Self.read(
      """
      x = 1
      [a.b.c]
      d = 2
      [a]
      e.f = 3
      e.g = 4
      [a.e.h]
      [[list]]
      n = 1
      [list.sub]
      k = 1
      [[list.inner]]
      [[list.inner]]
      m = 2
      [[list]]
      [ spaced . "out" ]
      p = {q.r = 1, q.s = {}, t = []}\r\n
      """)
    #expect(toml["a"]?["b"]?["c"]?["d"] == .int(2))
    #expect(toml["a"]?["e"] == .table(["f": .int(3), "g": .int(4), "h": .table([:])]))
    let first: TOML = .table([
      "n": .int(1), "sub": .table(["k": .int(1)]), "inner": .array([.table([:]), .table(["m": .int(2)])]),
    ])
    #expect(toml["list"] == .array([first, .table([:])]))
    let inline: TOML = .table(["q": .table(["r": .int(1), "s": .table([:])]), "t": .array([])])
    #expect(toml["spaced"]?["out"]?["p"] == inline)
    #expect(try Self.read("") == .table([:]))
    #expect(try Self.read("\u{FEFF}a=1\r\n") == .table(["a": .int(1)]))
  }

  @Test(arguments: [
    "a", "a =", "= 1", "a = b", "a = 1 b = 2", "a = \"x", "a = 'x\n'", "a = \"\\q\"", "a = \"\\ud800\"",
    "a = \"\\u12\"", "a = \"\\UFFFFFFFF\"", "a = \"\u{1}\"", "# \u{1}", "a = 1\ra = 2", "a = \"\"\"x", "a = '''x''",
    "a = 01", "a = 1__0", "a = _1", "a = 1_", "a = 1_e5", "a = 0x", "a = 0x_1", "a = 0b2", "a = +0x1", "a = --1",
    "a = 1.", "a = .5", "a = 1e", "a = 1.e5", "a = 03.1", "a = 9223372036854775808", "a = True",
    "a = 1979-05-27T07:32:00Z", "a = 07:32:00", "a = [1 2]", "a = [1, 2", "a = [,]", "a = {b = 1", "a = {b = 1,}",
    "a = {\nb = 1}", "a = {b = 1, b = 2}", "[a", "[a]b = 1", "[a]]", "[[a]", "[]", "[a.]", "[.a]", "a..b = 1",
    "a b = 1", "\"\"\"a\"\"\" = 1", "a = 1\na = 2", "[a]\n[a]", "a = 1\n[a]", "[a]\n[[a]]", "[[a]]\n[a]",
    "a = []\n[[a]]", "a = {}\n[a.b]", "a = {b = 1}\na.c = 2", "[a.b]\n[a]\nb.c = 1", "a.b = 1\n[a]", "a = 1\na.b = 2",
    "[a]\nb.c = 1\n[a.b]", "a = {b = {c = 1}, b.d = 2}", "a = \"\"\"x\"\"\"\"\"\"",
  ])
  func refused(text: String) {
    #expect(throws: Failure.self) { try Self.read(text) }
  }

  @Test func errorsNameTheLine() {
    #expect(throws: Failure("f.conf:3", "\"a\" is defined twice")) { try Self.read("a = 1\n# x\na = 2\nb = 3") }
    #expect(throws: Failure("f.conf:2", "dates are not supported")) { try Self.read("\na = 1979-05-27") }
    let values = "\"docker.io\" is no value: strings stand in quotes"
    #expect(throws: Failure("f.conf:1", values)) { try Self.read("a = docker.io") }
  }

  @Test func boundsHold() throws {
    let deepest = String(repeating: "[", count: 64) + String(repeating: "]", count: 64)
    _ = try Self.read("a = \(deepest)")
    #expect(throws: Failure.self) { try Self.read("a = [\(deepest)]") }
    #expect(throws: Failure.self) { try Self.read("a = " + String(repeating: "[", count: 500_000)) }
    #expect(throws: Failure.self) { try Self.read("a" + String(repeating: ".a", count: 100) + " = 1") }
    #expect(throws: Failure.self) { try Self.read(String(repeating: "[[a.b]]\n", count: 4) + "c" + deepest) }
    #expect(throws: Failure.self) { try TOML.parse([UInt8](repeating: 32, count: 1 << 20 + 1), file: "f") }
    #expect(throws: Failure.self) { try TOML.parse([97, 61, 34, 0xFF, 34], file: "f") }
    // In time that grows with the length alone.
    let many = try Self.read(String(repeating: "[[a]]\n", count: 100_000))
    #expect(many["a"]?.array?.count == 100_000)
  }

  @Test func mutationsNeverTrap() {
    let seeds = [
      "unqualified-search-registries = [\"a\", 'b']\n[[registry]]\nprefix = \"*.x.y\"\n[[registry.mirror]]\ninsecure=true\n",
      "a.'b'.\"c\" = {d = [1, 0xff, -1.5e3, inf,], e.f = '''x'y'''}\n[g.h]\ni = \"\"\"j\\\n  k\"\"\"\n[[l]]\n[l.m]\n",
      "s = \"\\u00e9\\U0001F600\\\\\" # c\r\nt = 1979-05-27\r\n[aliases]\r\n\"x\" = \"y/z\"\r\n",
    ]
    let pieces = [
      "[", "]]", "\"\"\"", "'", "{", "}", ",", "=", ".", "\\", "\r", "\n", "#", "\\u", "0x", "_", "\0", "[[a]]\n",
    ]
    var random = SeededGenerator(state: 7)
    for round in 0..<6000 {
      var bytes: [UInt8] = Array(seeds[round % seeds.count].utf8)
      for _ in 0...Int.random(in: 0..<6, using: &random) { random.mutate(&bytes, pieces) }
      _ = try? TOML.parse(bytes, file: "f")
    }
  }
}
