import Core
import Dockerfile
import Testing

@Suite struct DockerfileDocumentTests {
  @Test func stagesAndGlobalArguments() throws {
    let document = try document(
      """
      # syntax=docker/dockerfile:1
      # escape=`
      # check=skip=all
      ARG TAG=12 OTHER
      # builder compiles
      FROM --platform=$BUILDPLATFORM debian:$TAG AS Build
      RUN make `
        all
      FROM scratch
      COPY --from=build --chown=1:2 --link /a /b/
      """)
    #expect(document.directives == .init(syntax: "docker/dockerfile:1", escape: "`", check: "skip=all"))
    #expect(
      document.globalArguments.map(\.kind) == [.arg([.init(name: "TAG", value: "12"), .init(name: "OTHER")])])
    #expect(document.stages.count == 2)
    #expect(
      document.stages[0].from
        == .init(
          base: "debian:$TAG", platform: "$BUILDPLATFORM", stageName: "build", stageNameAsWritten: "Build"))
    #expect(document.stages[0].instruction.comments == ["builder compiles"])
    #expect(document.stages[0].instructions[0].kind == .run(.init(command: .shell("make   all"))))
    #expect(document.stages[0].instructions[0].range == SourceRange(7, 8))
    #expect(
      document.stages[1].instructions[0].kind
        == .copy(.init(sources: ["/a"], destination: "/b/", from: "build", chown: "1:2", link: true)))
    #expect(document.stages[1].instructions[0].flags == ["--from=build", "--chown=1:2", "--link"])
  }

  @Test func byteOrderMarkAndCarriageReturns() throws {
    let document = try document("\u{FEFF}# escape=`\r\nFROM scratch\r\nRUN a `\r\n  b\r\nCOPY <<E /x\r\none\r\nE\r\n")
    #expect(document.directives.escape == "`")
    #expect(document.stages[0].instructions[0].original == "RUN a   b")
    #expect(document.stages[0].instructions[1].heredocs.map(\.content) == ["one\r\n"])
  }

  @Test func hereDocuments() throws {
    let document = try document(
      "FROM scratch\nCOPY <<-A <<'B' c /x/\n\tone\n\tA\ntwo $x\nB\nONBUILD RUN <<E\nls\nE\n")
    let copy = document.stages[0].instructions[0]
    #expect(copy.kind == .copy(.init(sources: ["c"], inlineSources: [0, 1], destination: "/x/")))
    #expect(copy.heredocs.map(\.content) == ["one\n", "two $x\n"])
    #expect(copy.heredocs.map(\.expand) == [true, false])
    #expect(copy.range == SourceRange(2, 6))
    guard case .onbuild(let trigger, let instruction) = document.stages[0].instructions[1].kind else {
      Issue.record("not an ONBUILD")
      return
    }
    #expect(trigger == "RUN <<E\nls\nE")
    #expect(instruction.heredocs.map(\.content) == ["ls\n"])
    #expect(try Instruction.parse(trigger, file: "ONBUILD").heredocs == instruction.heredocs)
  }

  @Test func emptyContinuationWarns() throws {
    let document = try document("FROM scratch\nRUN a \\\n\n  b\n")
    #expect(document.diagnostics.map(\.message) == ["empty continuation line found in: RUN a   b"])
    #expect(document.diagnostics.first?.severity == .warning)
  }

  @Test func syntaxDirectiveElsewhere() throws {
    #expect(try document("#!/bin/x\n# syntax=a/b\nFROM scratch").directives.syntax == "a/b")
    #expect(DockerfileDocument.syntax(of: Array("// syntax = a/c\n".utf8)) == "a/c")
    #expect(DockerfileDocument.syntax(of: Array("FROM x\n# syntax = a/c\n".utf8)) == nil)
  }

  @Test func longestLine() throws {
    let head = "FROM scratch\nRUN "
    let fits = String(repeating: "x", count: 65531)
    #expect(throws: Never.self) { try document(head + fits + "\n") }
    #expect(throws: Never.self) { try document(head + fits) }
    let failure = #expect(throws: Failure.self) { try document(head + fits + "x\n") }
    #expect(
      failure?.description
        == "dockerfile parse error on line 2: dockerfile line greater than max allowed size of 65535")
  }

  @Test func excerpt() {
    let failure = #expect(throws: Failure.self) { try document("FROM scratch\nFNTRYPOINT x\n") }
    #expect(
      failure?.description
        == "dockerfile parse error on line 2: unknown instruction: FNTRYPOINT (did you mean ENTRYPOINT?)")
    #expect(
      failure?.diagnostics.first?.excerpt == """
        Dockerfile:2
        --------------------
           1 |     FROM scratch
           2 | >>> FNTRYPOINT x
        --------------------
        """)
  }

  @Test(arguments: [
    ("", "the Dockerfile cannot be empty"),
    ("# only\n\n", "file with no instructions"),
    ("ARG a\n", "dockerfile contains no stages to build"),
    ("RUN x\nFROM scratch\n", "dockerfile parse error on line 1: no build stage in current context"),
    ("# escape=\\\n# escape=`\nFROM scratch", "line 2: only one escape parser directive can be used"),
    ("# escape=x\nFROM scratch", "line 1: invalid escape token 'x' does not match ` or \\"),
    ("FROM a b", "FROM requires either one or three arguments"),
    ("FROM a is b", "FROM requires either one or three arguments"),
    ("FROM a AS 1x", "invalid name for build stage: \"1x\", name can't start with a number or contain symbols"),
    ("FROM --platfrom=x a", "unknown flag: --platfrom (did you mean platform?)"),
    ("FROM a\nRUN <<E\nx\n", "line 2: unterminated heredoc"),
    ("FROM a\nRUN [\"a\", 1]", "line 2: when using JSON array syntax, arrays must be comprised of strings only"),
    ("FROM a\nENV A", "line 2: ENV must have two arguments"),
    ("FROM a\nENV A=1 B", "Syntax error - can't find = in \"B\". Must be of the form: name=value"),
    ("FROM a\nENV =1", "ENV names can not be blank"),
    ("FROM a\nLABEL =1", "LABEL names can not be blank"),
    ("FROM a\nARG =1", "ARG names can not be blank"),
    ("FROM a\nARG", "ARG requires at least one argument"),
    ("FROM a\nLABEL", "LABEL requires at least one argument"),
    ("FROM a\nRUN --mont=x y", "unknown flag: --mont (did you mean mount?)"),
    ("FROM a\nRUN --mount x", "missing a value on flag: --mount"),
    ("FROM a\nRUN --mount=typ=cache x", "unexpected key 'typ' in 'typ=cache' (did you mean type?)"),
    ("FROM a\nRUN --mount=from=$x x", "'from' doesn't support variable expansion, define alias stage instead"),
    ("FROM a\nRUN --mount=type=tmpf x", "unsupported mount type \"tmpf\" (did you mean tmpfs?)"),
    ("FROM a\nRUN --network=hots x", "invalid network mode \"hots\""),
    ("FROM a\nRUN --security=x x", "security \"x\" is not valid"),
    ("FROM a\nCOPY --link --link a b", "duplicate flag specified: --link"),
    ("FROM a\nCOPY --link= a b", "missing a value on flag: --link"),
    ("FROM a\nCOPY --link=2 a b", "expecting boolean value for flag --link, not: 2"),
    ("FROM a\nCOPY --from=$x a b", "variable expansion is not supported for --from"),
    ("FROM a\nCOPY a <<E\nE\n", "COPY cannot accept a heredoc as a destination"),
    ("FROM a\nADD x", "ADD requires at least two arguments, but only one was provided."),
    ("FROM a\nWORKDIR", "WORKDIR requires exactly one argument"),
    ("FROM a\nMAINTAINER", "MAINTAINER requires exactly one argument"),
    ("FROM a\nVOLUME [\"\"]", "VOLUME specified can not be an empty string"),
    ("FROM a\nSHELL sh -c", "SHELL requires the arguments to be in JSON form"),
    ("FROM a\nSHELL []", "SHELL requires at least one argument"),
    ("FROM a\nHEALTHCHECK CMD", "Missing command after HEALTHCHECK CMD"),
    ("FROM a\nHEALTHCHECK none x", "HEALTHCHECK NONE takes no arguments"),
    ("FROM a\nHEALTHCHECK TCP 80", "Unknown type \"TCP\" in HEALTHCHECK (try CMD)"),
    ("FROM a\nHEALTHCHECK --interval=1us CMD x", "Interval \"interval\" cannot be less than 1ms"),
    ("FROM a\nHEALTHCHECK --timeout=5 CMD x", "time: missing unit in duration \"5\""),
    ("FROM a\nHEALTHCHECK --timeout=5q CMD x", "time: unknown unit \"q\" in duration \"5q\""),
    ("FROM a\nHEALTHCHECK --timeout=99999999999h CMD x", "time: invalid duration \"99999999999h\""),
    ("FROM a\nHEALTHCHECK --retries=-1 CMD x", "--retries cannot be negative (-1)"),
    ("FROM a\nHEALTHCHECK --retries=9999999999 CMD x", "value out of range"),
    ("FROM a\nONBUILD", "ONBUILD requires at least one argument"),
    ("FROM a\nONBUILD MAINTAINER x", "MAINTAINER isn't allowed as an ONBUILD trigger"),
    ("FROM a\nONBUILD RNU x", "unknown instruction: RNU"),
  ])
  func refused(text: String, reason: String) {
    let failure = #expect(throws: Failure.self) { try document(text) }
    #expect(failure?.description.contains(reason) == true, "\(failure?.description ?? "")")
  }
}
