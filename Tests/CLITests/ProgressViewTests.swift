import Core
import Testing

@testable import CLI

/// A small build: a cached step, one that writes and succeeds, one that fails.
private func events(failing: Bool) -> [ProgressEvent] {
  let t = Timestamp(seconds: 100)
  func after(_ ms: Int64) -> Timestamp {
    Timestamp(seconds: 100 + ms / 1000, nanoseconds: Int32(ms % 1000) * 1_000_000)
  }
  return [
    .stepStarted(ProgressStep(id: 1, stage: "build", index: 1, total: 2, name: "FROM box"), at: t),
    .stepFinished(step: 1, outcome: .cached, duration: 0, at: t),
    .stepStarted(ProgressStep(id: 2, stage: "build", index: 2, total: 2, name: "RUN make"), at: t),
    .stepLog(step: 2, stream: .stdout, bytes: Array("one\ntw".utf8), at: after(123)),
    .stepLog(step: 2, stream: .stderr, bytes: Array("\u{1B}[2Jerr\r\n".utf8), at: after(200)),
    .stepLog(step: 2, stream: .stdout, bytes: Array("o".utf8), at: after(1500)),
    .stepFinished(
      step: 2, outcome: failing ? .error("exit code: 3") : .done, duration: 2_100_000_000, at: after(2100)),
    .buildFinished(succeeded: !failing, duration: 2_150_000_000),
  ]
}

private func text(_ view: any ProgressView, _ events: [ProgressEvent]) -> String {
  var view = view
  return events.map { view.text(for: $0) }.joined()
}

@Suite struct ProgressViewTests {
  @Test func plainNumbersItsLines() {
    #expect(
      text(PlainProgressView(), events(failing: false)) == """
        #1 [build 1/2] FROM box
        #1 CACHED

        #2 [build 2/2] RUN make
        #2 0.123 one
        #2 0.200 err
        #2 0.123 two
        #2 DONE 2.1s

        """)
    #expect(text(PlainProgressView(), events(failing: true)).contains("#2 ERROR: exit code: 3\n"))
  }

  @Test func quietSaysNothing() {
    #expect(text(QuietProgressView(), events(failing: true)) == "")
    let warning = Diagnostic(.warning, "careful", file: "Dockerfile", range: SourceRange(3, 3))
    #expect(text(QuietProgressView(), [.warning(warning)]) == "Dockerfile:3: warning: careful\n")
  }

  @Test func rawJSONIsOneObjectALine() throws {
    let lines = text(RawJSONProgressView(), events(failing: true)).split(separator: "\n").map(String.init)
    #expect(lines.count == 8)
    for line in lines { #expect(try JSON.parse(line)["event"]?.string != nil) }
    #expect(try JSON.parse(lines[3])["data"]?.string == "b25lCnR3")
    #expect(RawJSONProgressView.base64([]) == "")
    #expect(RawJSONProgressView.base64([0xFF]) == "/w==")
    #expect(RawJSONProgressView.base64([1, 2]) == "AQI=")
  }

  @Test func terminalRepaintsExactlyWhatItPainted() {
    var view = TerminalProgressView(columns: 40, rows: 24, hasColor: false)
    let all = events(failing: false)
    var out = view.text(for: all[0])
    #expect(
      out == "[+] Building 0.0s (0/1)\u{1B}[K\n" + " => [build 1/2] FROM box        0.0s\u{1B}[K\n".replacing40())
    for event in all[1...5] { out = view.text(for: event) }
    out = view.text(at: Timestamp(seconds: 101, nanoseconds: 600_000_000))
    #expect(out.hasPrefix("\u{1B}[3A\r[+] Building 1.6s (1/2)\u{1B}[K\n"))
    #expect(out.contains(" => => # one\u{1B}[K\n => => # err\u{1B}[K\n"))
    #expect(!out.contains("\u{1B}[2J"))
    out = view.text(for: all[6])
    #expect(out.hasPrefix("\u{1B}[5A\r"))
    #expect(out.hasSuffix("\u{1B}[J"))
    out = view.text(for: all[7])
    #expect(
      out == "\u{1B}[3A\r\u{1B}[J[+] Building 2.1s (2/2) FINISHED\n"
        + " => CACHED [build 1/2] FROM box 0.0s\n".replacing40()
        + " => [build 2/2] RUN make            2.1s\n".replacing40())
  }

  @Test func terminalIsNeverHigherThanItsWindow() {
    var view = TerminalProgressView(columns: 30, rows: 6, hasColor: false)
    var out = ""
    for id in 1...30 {
      let at = Timestamp(seconds: 100)
      let name = "RUN " + String(repeating: "é漢", count: 40)
      out = view.text(for: .stepStarted(ProgressStep(id: id, name: name), at: at))
      #expect(out.split(separator: "\n").count <= 5)
      for line in out.split(separator: "\n") {
        let bare = SafeText.line(String(line))
        #expect(DisplayWidth.of(bare) < 30, "\(bare)")
      }
    }
  }

  static let hostileBytesAreMadeHarmlessCases: [(String, String)] = [
    ("plain", "plain"), ("\u{1B}[31mred\u{1B}[0m", "red"), ("\u{1B}]0;title\u{07}x", "x"), ("a\u{8}b", "b"),
    ("\u{1B}]8;;http://x\u{1B}\\link", "link"), ("10%\r20%", "20%"), ("end\r", "end"), ("a\tb", "a       b"),
    ("\u{1B}", ""), ("\u{1B}[", ""), ("a\u{9B}31mb", "a31mb"), ("a\u{202E}b", "ab"), ("\u{1B}(Bx", "x"),
    ("\u{1B}P1;2q\u{1B}\\y", "y"),
  ]

  @Test(arguments: hostileBytesAreMadeHarmlessCases)
  func hostileBytesAreMadeHarmless(_ raw: String, _ expected: String) { #expect(SafeText.line(raw) == expected) }

  @Test func endlessLinesAreCut() {
    var splitter = LineSplitter()
    let lines = splitter.add([UInt8](repeating: 65, count: 200_000), at: Timestamp(seconds: 1))
    #expect(lines.map(\.bytes.count) == [65536, 65536, 65536])
    #expect(splitter.flush().map(\.bytes.count) == [200_000 - 3 * 65536])
    #expect(splitter.flush().isEmpty)
  }
}

extension String {
  /// The line with its last word moved so that it is 39 columns wide: what a 40-column terminal shows.
  fileprivate func replacing40() -> String {
    let hasEnd = hasSuffix("\u{1B}[K\n")
    let body = hasEnd ? dropLast(4) : dropLast(1)
    let time = body.suffix(4)
    var label = body.dropLast(4)
    while label.last == " " { label.removeLast() }
    let gap = String(repeating: " ", count: 39 - label.count - time.count)
    return label + gap + time + (hasEnd ? "\u{1B}[K\n" : "\n")
  }
}
