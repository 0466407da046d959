import Core
import Linux
import Testing

@Suite struct ChildProcessTests {
  private func shell(
    _ script: String, input: String = "", limit: Int = 1 << 20, seconds: Int64 = 60
  ) throws -> ChildProcess.Outcome {
    try ChildProcess.run(
      "/bin/sh", ["-c", script, "name", "word"], environment: ["A=b c"], input: Array(input.utf8), limit: limit,
      seconds: seconds)
  }

  @Test func inputOutputErrorsAndCode() throws {
    let outcome = try shell("cat; printf \"%s|\" \"$1\" \"$A\" \"$HOME\"; echo no >&2; exit 3", input: "in\n")
    #expect(outcome.status == .exited(3))
    #expect(String(decoding: outcome.output, as: UTF8.self) == "in\nword|b c||")
    #expect(String(decoding: outcome.errors, as: UTF8.self) == "no\n")
  }

  @Test func openFilesAreLimitedAsBefore() throws {
    let before = try #require(FileLimit.inherited)
    FileLimit.raise()
    let outcome = try shell("ulimit -Sn; ulimit -Hn")
    #expect(String(decoding: outcome.output, as: UTF8.self) == "\(before.soft)\n\(before.hard)\n")
  }

  @Test func inputThatIsNotReadAndLongOutput() throws {
    let long = String(repeating: "x", count: 300_000)
    #expect(try shell("exit 0", input: long).status == .exited(0))
    let outcome = try shell("cat; cat /dev/stdin >&2", input: long)
    #expect(outcome.output.count == 300_000)
    #expect(outcome.status == .exited(0))
  }

  @Test func bounds() throws {
    #expect(throws: Failure("run /bin/sh", "it wrote more than 1000 bytes")) {
      try shell("while :; do echo 0123456789; done", limit: 1000)
    }
    #expect(throws: Failure("run /bin/sh", "it has not ended after 0 seconds")) { try shell("sleep 60", seconds: 0) }
    #expect(throws: SystemError.self) {
      try ChildProcess.run("/no/such/program", [], environment: [], seconds: 60)
    }
  }

  @Test func endsBeforeChildrenThatItLeaves() throws {
    // The child holds the output open, and ends by itself soon after the test has.
    let outcome = try shell("sleep 2 & echo done; kill -9 $$")
    #expect(outcome.status == .signaled(.kill))
    #expect(String(decoding: outcome.output, as: UTF8.self) == "done\n")
  }

  @Test func programsAreFound() throws {
    #expect(ChildProcess.find("sh", in: "relative:/nowhere:/bin:/usr/bin") == "/bin/sh")
    #expect(ChildProcess.find("no-such-program", in: "/bin") == nil)
    #expect(ChildProcess.find("bin", in: "/usr") == nil)
  }
}
