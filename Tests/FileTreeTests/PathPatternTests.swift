import Core
import FileTree
import Testing

@Suite struct PathPatternTests {
  @Test(arguments: [
    ("abc", "abc", true), ("*", "abc", true), ("*c", "abc", true), ("a*", "a", true), ("a*", "ab/c", false),
    ("a*/b", "abc/b", true), ("a*/b", "a/c/b", false), ("a*b*c*d*e*/f", "axbxcxdxexxx/f", true),
    ("a*b*c*d*e*/f", "axbxcxdxe/xxx/f", false), ("a*b?c*x", "abxbbxdbxebxczzx", true),
    ("ab[c]", "abc", true), ("ab[b-d]", "abc", true), ("ab[^c]", "abc", false), ("ab[^e-g]", "abc", true),
    ("a\\*b", "a*b", true), ("a\\*b", "ab", false), ("a?b", "a☺b", true), ("a[^a]b", "a☺b", true),
    ("[a-ζ]*", "α", true), ("*[a-ζ]", "A", false), ("[\\]a]", "]", true), ("[\\-x]", "-", true), ("[x\\-]", "z", false),
    ("*x", "xxx", true), ("arr[[]0].txt", "arr[0].txt", true), ("**", "a/b", false), ("[z-a]", "m", false),
    ("a]", "a]", true),
  ])
  func matches(pattern: String, path: String, expected: Bool) throws {
    #expect(try PathPattern(pattern).matches(path) == expected)
  }

  @Test(arguments: ["[]a]", "[-]", "[x-]", "[-x]", "[a-b-c]", "[", "[^", "[^bc", "a[", "a\\", "[a"])
  func malformed(pattern: String) {
    #expect(throws: Failure("read pattern \"\(pattern)\"", "syntax error in pattern")) { try PathPattern(pattern) }
  }

  @Test func bytesThatAreNoTextMatchThemselves() throws {
    #expect(try PathPattern([0xff, 0x2a]).matches([0xff, 0x61]))
    #expect(try !PathPattern([0xff]).matches([0xfe]))
    #expect(try PathPattern("?").matches([0xff]))
  }

  @Test func escapes() {
    #expect(!PathPattern.hasWildcard("a\\*b".utf8) && PathPattern.hasWildcard("a\\\\*b".utf8))
    #expect(PathPattern.unescaped("a\\*\\\\b\\".utf8) == Array("a*\\b\\".utf8))
  }
}
