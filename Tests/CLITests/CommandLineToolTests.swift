import Core
import Engine
import Synchronization
import Testing

@testable import CLI

/// What a command line printed.
private final class Capture: Sendable {
  let output = Mutex("")
  let error = Mutex("")

  func run(_ words: String...) async -> Int32 {
    let console = Console(
      output: { bytes in
        self.output.withLock { $0 += String(decoding: bytes, as: UTF8.self) }
        return true
      }, error: { text in self.error.withLock { $0 += text } })
    return await CommandLineTool(console: console, environment: ["STAVE_ROOT=/nonexistent"]).run(words)
  }

  var out: String { output.withLock { $0 } }
  var err: String { error.withLock { $0 } }
}

@Suite struct CommandLineToolTests {
  @Test(arguments: [
    ("", false), ("--help", false), ("--version", false), ("version", false), ("help run", false),
    ("run --help", false), ("image --help", false), ("image ls --help", false), ("container run --help", false),
    ("nosuch", false), ("image nosuch", false), ("--root /x", false), ("--root /x run --help", false),
    ("--root=/x images --help", false), ("--root /x version", false), ("completion bash", false),
    ("run tool --help", true), ("run --rm tool --help", true), ("container run tool --help", true),
    ("run -h --help tool", true), ("--root /x run tool --help", true), ("--root=/x run tool --help", true),
    ("--root --help images", true), ("images", true), ("-D images", true), ("build .", true),
  ])
  func onlyItsOwnHelpTouchesNoStore(line: String, touches: Bool) {
    #expect(touchesStore(line.split(separator: " ").map(String.init)) == touches)
  }

  @Test func usageErrorsExit125AndSayWhereHelpIs() async {
    let cases: [([String], String)] = [
      (["run", "--foo", "x"], "stave: unknown flag: --foo\nSee 'stave run --help'.\n"),
      (["run"], "stave: \"stave run\" requires at least 1 argument\nSee 'stave run --help'.\n"),
      (["build"], "stave: \"stave build\" requires exactly 1 argument\nSee 'stave build --help'.\n"),
      (["ps", "x"], "stave: \"stave ps\" accepts no arguments\nSee 'stave ps --help'.\n"),
      (["imags"], "stave: unknown command: stave imags (did you mean images?)\nSee 'stave --help'.\n"),
      (["image", "lst"], "stave: unknown command: stave image lst (did you mean ls?)\nSee 'stave image --help'.\n"),
      (["--nope"], "stave: unknown flag: --nope\nSee 'stave --help'.\n"),
      (["run", "-p", "80:80", "x"], "stave: --publish: not supported yet\n"),
      (["exec", "-it", "x"], "stave: exec: not supported yet\n"),
    ]
    for (words, expected) in cases {
      let capture = Capture()
      let console = Console(output: { _ in true }, error: { text in capture.error.withLock { $0 += text } })
      #expect(await CommandLineTool(console: console, environment: []).run(words) == 125)
      #expect(capture.err == expected)
    }
  }

  @Test func whatIsNotThereYetSaysSo() async {
    let stats = Capture()
    #expect(await stats.run("stats", "--no-stream", "web") == 1)
    #expect(stats.err == "stave: stats: not supported yet\n")
    let build = Capture()
    #expect(await build.run("build", "--secret", "id=x", ".") == 1)
    #expect(build.err == "stave: --secret: not supported yet\n")
  }

  @Test func helpIsComplete() async {
    let top = Capture()
    #expect(await top.run("--help") == 0)
    #expect(top.out.contains("\n  build "))
    #expect(top.out.contains(HelpText.networkNote))
    for command in CommandTree.stave.commands where !command.isPlaceholder {
      let capture = Capture()
      let console = Console(
        output: { bytes in
          capture.output.withLock { $0 += String(decoding: bytes, as: UTF8.self) }
          return true
        }, error: { text in capture.error.withLock { $0 += text } })
      #expect(await CommandLineTool(console: console, environment: []).run(command.path + ["--help"]) == 0)
      #expect(capture.out.hasPrefix("Usage:  stave \(command.name)"))
      #expect(capture.err == "")
    }
    let run = Capture()
    #expect(await run.run("help", "run") == 0)
    #expect(run.out.contains(HelpText.networkNote))
  }

  @Test func theTablesAreSound() {
    for command in CommandTree.stave.commands {
      let names = command.flags.map(\.name)
      let twice = names.filter { name in names.filter { $0 == name }.count > 1 }
      #expect(twice.isEmpty, "\(command.name): \(twice)")
      let shorts = command.flags.compactMap(\.short)
      #expect(Set(shorts).count == shorts.count, "\(command.name)")
      for flag in command.flags { #expect(!flag.help.isEmpty && flag.help.last != ".", "\(command.name) \(flag.name)") }
    }
    let paths = CommandTree.stave.commands.map(\.name)
    #expect(Set(paths).count == paths.count)
  }

  @Test func completionKnowsEveryCommandAndFlag() async throws {
    for shell in CompletionScript.shells {
      let script = try #require(CompletionScript.script(for: shell, .stave))
      for word in ["build", "system", "prune", "no-cache", "entrypoint", "rawjson"] { #expect(script.contains(word)) }
    }
    let capture = Capture()
    #expect(await capture.run("completion", "tcsh") == 125)
  }

  @Test func failuresShowThePlace() {
    let source = "FROM busybox\nRUN echo\nRUN exit 3\n"
    let place = Diagnostic(.error, "", file: "Dockerfile", range: SourceRange(3, 3), source: source)
    let report = FailureReport(hasColor: false).text(
      Failure("build", "bad", hint: "try again", diagnostics: [place]))
    #expect(report.contains("   3 | >>> RUN exit 3\n"))
    #expect(report.hasSuffix("--------------------\nstave: build: bad\nhint: try again\n"))
    let colored = FailureReport(hasColor: true).text(Failure("open x", "\u{1B}[2Jno"))
    #expect(colored == "\u{1B}[1;31mstave:\u{1B}[0m open x: no\n")
  }

  @Test func statusWordsAreDockers() throws {
    let now = Timestamp(seconds: 1000)
    #expect(containerStatus(.running(pid: 1, since: Timestamp(seconds: 880)), now: now) == "Up 2 minutes")
    #expect(containerStatus(.exited(code: 3, at: Timestamp(seconds: 990)), now: now) == "Exited (3) 10 seconds ago")
    #expect(containerStatus(.created, now: now) == "Created")
    #expect(ellipsis("sleep 1000000000000000000", 20) == "sleep 1000000000000…")
  }

  @Test func wildcardsMatchNames() {
    #expect(Wildcard.matches("busy*", "busybox"))
    #expect(!Wildcard.matches("*", "a/b"))
    #expect(Wildcard.matches("*/b", "a/b"))
    #expect(Wildcard.matches("b?sybox:*", "busybox:1.2"))
    #expect(!Wildcard.matches("", "x"))
  }
}
