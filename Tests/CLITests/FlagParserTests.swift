import Core
import Testing

@testable import CLI

@Suite struct FlagParserTests {
  static let flags: [Flag] = [
    Flag("rm", .bool, ""), Flag("interactive", "i", .bool, ""), Flag("tty", "t", .bool, ""),
    Flag("env", "e", .list, ""), Flag("publish", "p", .list, ""), Flag("name", .string, ""),
    Flag("pull", .optional(implied: "true"), ""), Flag("jobs", "j", .int, ""),
  ]

  func parse(_ words: String..., interspersed: Bool = false) throws -> FlagValues {
    try FlagParser(flags: Self.flags, isInterspersed: interspersed).parse(words)
  }

  func reason(_ words: String...) -> String? {
    do {
      _ = try FlagParser(flags: Self.flags, isInterspersed: true).parse(words)
      return nil
    } catch let failure as Failure {
      return failure.exitCode == 125 ? failure.description : "exit code \(failure.exitCode)"
    } catch {
      return "\(error)"
    }
  }

  @Test func boolsTakeAnOptionalValueAfterEquals() throws {
    #expect(try parse("--rm").bool("rm"))
    #expect(try !parse("--rm=false").bool("rm"))
    #expect(try parse("--rm=1", "-i=false").bool("rm"))
    #expect(try !parse("-i=false").bool("interactive"))
    #expect(try parse("--rm", "false").arguments == ["false"])
  }

  @Test func shortFlagsAreBundled() throws {
    let values = try parse("-it", "-eK=V", "-e", "A=B", "-p80:80", "-e=C", "x")
    #expect(values.bool("interactive") && values.bool("tty"))
    #expect(values.list("env") == ["K=V", "A=B", "C"])
    #expect(values.list("publish") == ["80:80"])
    #expect(values.arguments == ["x"])
    #expect(try parse("-ite", "K=V").list("env") == ["K=V"])
  }

  @Test func optionalValuesNeedEquals() throws {
    #expect(try parse("--pull", "always").string("pull") == "true")
    #expect(try parse("--pull", "always").arguments == ["always"])
    #expect(try parse("--pull=always").string("pull") == "always")
  }

  @Test func flagsEndAtTheFirstArgumentOrTwoDashes() throws {
    let values = try parse("--rm", "alpine", "ls", "-l", "--name", "x")
    #expect(values.arguments == ["alpine", "ls", "-l", "--name", "x"])
    #expect(!values.has("name"))
    #expect(try parse("--rm", "--", "-x", interspersed: true).arguments == ["-x"])
    #expect(try parse("a", "--rm", "b", interspersed: true).arguments == ["a", "b"])
    #expect(try parse("-", "x").arguments == ["-", "x"])
  }

  @Test func errorsHavePflagsWords() {
    #expect(reason("--foo") == "unknown flag: --foo")
    #expect(reason("--nme", "x") == "unknown flag: --nme (did you mean --name?)")
    #expect(reason("-x") == "unknown shorthand flag: 'x' in -x")
    #expect(reason("-ix") == "unknown shorthand flag: 'x' in -ix")
    #expect(reason("--name") == "flag needs an argument: --name")
    #expect(reason("-e") == "flag needs an argument: 'e' in -e")
    #expect(reason("--=x") == "bad flag syntax: --=x")
    #expect(reason("---") == "bad flag syntax: ---")
    #expect(reason("--rm=maybe") == "invalid argument \"maybe\" for \"--rm\" flag: expected true or false")
    #expect(reason("-j", "two") == "invalid argument \"two\" for \"-j, --jobs\" flag: expected a whole number")
  }

  @Test func theLastValueCounts() throws {
    #expect(try parse("--name", "a", "--name=b").string("name") == "b")
    #expect(try parse("--name=").string("name") == "")
    #expect(try parse("-j4").int("jobs") == 4)
  }
}
