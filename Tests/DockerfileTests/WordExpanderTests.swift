import Core
import Dockerfile
import Testing

@Suite struct WordExpanderTests {
  private let environment = [
    "a": "1", "empty": "", "path": "/usr/lib/x.tar.gz", "lines": "a\nb", "e": "e\u{301}t\u{301}",
  ]

  private func expand(_ word: String, _ expander: WordExpander = WordExpander()) throws -> String {
    try expander.expand(word) { environment[$0] }
  }

  @Test(arguments: [
    ("${path%.*}", "/usr/lib/x.tar"), ("${path%%.*}", "/usr/lib/x"), ("${path#*/}", "usr/lib/x.tar.gz"),
    ("${path##*/}", "x.tar.gz"), ("${path/lib/LIB}", "/usr/LIB/x.tar.gz"), ("${path//[/]/-}", "/usr/lib/x.tar.gz"),
    ("${path//\\//-}", "-usr-lib-x.tar.gz"), ("${path//?/}", ""), ("${path/*/z}", "z"), ("${a//$empty/-}", "-1-"),
    ("${nope:+x}${a:+y}", "y"), ("${empty-x}|${empty:-x}", "|x"), ("${nope#x}", ""), ("${lines%b}", "a\n"),
    ("${lines#*b}", "a\nb"), ("a'$a'\"$a\\n\\\"\"", "a$a1\\n\""), ("$a$", "1$"), ("\\", ""), ("<<  x", "<<  x"),
    ("${e#?}", "\u{301}t\u{301}"), ("${e%t*}", "e\u{301}"),
  ])
  func words(word: String, value: String) throws {
    #expect(try expand(word).unicodeScalars.elementsEqual(value.unicodeScalars), "\(word)")
  }

  @Test func records() throws {
    let found = try WordExpander().expansion(of: "$a ${x:-$a$y} $x") { environment[$0] }
    #expect(found == .init(value: "1 1 ", used: ["a"], unset: ["y", "x"]))
    #expect(try WordExpander().expansion(of: "plain") { _ in nil } == .init(value: "plain"))
  }

  @Test func modes() throws {
    #expect(try expand("it's \"$a\" \\$a '$a'\n", WordExpander(rawQuotes: true)) == "it's \"1\" $a '1'\n")
    let skipping = WordExpander(skipUnset: true)
    #expect(
      try expand("$x ${x} ${x:-b} ${x##p} ${x//a/b} $a", skipping) == "$x ${x} ${x:-b} ${x##p} ${x//a/b} 1")
    #expect(try expand("`$a\\$a", WordExpander(escape: "`")) == "$a\\1")
  }

  @Test(arguments: [
    ("${empty:?}", "failed to process \"${empty:?}\": empty: is not allowed to be empty"),
    ("${x?}", "x: is not allowed to be unset"), ("${x?no $a}", "x: no 1"), ("${a", "syntax error: missing '}'"),
    ("${a:-", "syntax error: missing '}'"), ("${", "syntax error: missing '}'"), ("${a:", "missing '}'"),
    ("${a:=1}", "unsupported modifier (:=) in substitution"), ("${a:#1}", "unsupported modifier (:#)"),
    ("${a^}", "unsupported modifier (^) in substitution"), ("${}", "syntax error: bad substitution"),
    ("${a/b}", "syntax error: missing '/' in ${}"), ("${a#\\b}", "invalid pattern (\\b) in substitution"),
    ("'a", "looking for matching single-quote"), ("\"a", "looking for matching double-quote"),
  ])
  func refused(word: String, reason: String) {
    let failure = #expect(throws: Failure.self) { try expand(word) }
    #expect(failure?.description.contains(reason) == true, "\(failure?.description ?? "")")
  }

  @Test func nestingIsBounded() {
    let deep = String(repeating: "${x:-", count: 100_000) + String(repeating: "}", count: 100_000)
    #expect(throws: Failure.self) { try expand(deep) }
  }

  @Test func splitting() throws {
    let words = try WordExpander().expandWords("a $lines \"b c\" '' d\\ e") { environment[$0] }
    #expect(words == ["a", "a", "b", "b c", "d e"])
  }
}
