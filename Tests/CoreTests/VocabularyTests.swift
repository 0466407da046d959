import Core
import Testing

@Suite struct VocabularyTests {
  @Test(arguments: [
    ("busybox", "docker.io/library/busybox:latest", "busybox:latest"),
    ("a/b:1", "docker.io/a/b:1", "a/b:1"), ("docker.io/library/x", "docker.io/library/x:latest", "x:latest"),
    ("localhost/x", "localhost/x:latest", "localhost/x:latest"),
    ("localhost:5000/x/y:z", "localhost:5000/x/y:z", "localhost:5000/x/y:z"),
    ("index.docker.io/x", "docker.io/library/x:latest", "x:latest"),
    ("a__b/c-d.e", "docker.io/a__b/c-d.e:latest", "a__b/c-d.e:latest"),
  ])
  func referencesAreNormalised(text: String, canonical: String, familiar: String) throws {
    let reference = try ImageReference(text)
    #expect(reference.canonical == canonical)
    #expect(reference.familiar == familiar)
  }

  @Test(arguments: ["", "A", "a:", "a:.x", "a//b", "/a", "a/", "a@sha256:1", "a___b", "-a", "a b", "a:b:c"])
  func badReferencesAreRefused(text: String) {
    #expect(throws: Failure.self) { try ImageReference(text) }
  }

  @Test func digestOfAReferenceIsKept() throws {
    let digest = Digest.sha256("x")
    #expect(try ImageReference("a@\(digest)").canonical == "docker.io/library/a@\(digest)")
    #expect(try ImageReference("a@\(digest)").tag == nil)
  }

  @Test func sha256IsThatOfTheStandard() {
    #expect(Digest.sha256("abc").encoded == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    #expect(Digest.sha256("").short == "e3b0c44298fc")
  }

  @Test(arguments: ["sha256:abc", "sha256", ":x", "sha256:" + String(repeating: "A", count: 64), "+a:b", "a:b c"])
  func badDigestsAreRefused(text: String) {
    #expect(throws: Failure.self) { try Digest(text) }
  }

  @Test(arguments: [("x86_64", "linux/amd64"), ("linux/aarch64", "linux/arm64"), ("linux/arm", "linux/arm/v7")])
  func platformsAreNormalised(text: String, expected: String) throws {
    #expect(try Platform(text).description == expected)
  }

  @Test func timesGoThereAndBack() throws {
    for text in [
      "1970-01-01T00:00:00Z", "2023-11-14T22:13:20.5Z", "1969-12-31T23:59:59.999999999Z", "2000-02-29T12:00:00Z",
      "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z",
    ] {
      #expect(Timestamp(rfc3339: text)?.rfc3339 == text)
    }
    #expect(Timestamp(rfc3339: "2024-01-01T02:00:00+02:00")?.rfc3339 == "2024-01-01T00:00:00Z")
    for text in ["", "2024-13-01T00:00:00Z", "2024-01-01 00:00:00", "2024-01-01T00:00:00", "2024-01-01T00:00:00.Z"] {
      #expect(Timestamp(rfc3339: text) == nil)
    }
  }

  @Test func treePathsCannotLeaveTheirTree() {
    #expect(TreePath(clamping: "/../a/./b//../c/").text == "a/c")
    #expect(TreePath(strict: Array("a/../b".utf8)) == nil)
    #expect(TreePath(strict: Array("a\0b".utf8)) == nil)
    for text in ["a", "a/b", "/a", "a/", "a//b", ".", "./a", "a/.", "a/./b", "", ".a", "..a", "a..", "...", "a/.../b"] {
      #expect(TreePath(strict: Array(text.utf8)) == TreePath(clamping: text), "\(text)")
    }
    for text in ["..", "../a", "a/..", "a/../b"] { #expect(TreePath(strict: Array(text.utf8)) == nil, "\(text)") }
    #expect(TreePath(clamping: "a/b").parent == TreePath(clamping: "a"))
    #expect(TreePath(clamping: "a").parent.isRoot)
    #expect(TreePath(clamping: "ab").isWithin(TreePath(clamping: "a")) == false)
    #expect(TreePath(clamping: "a/b").relative(to: TreePath(clamping: "a"))?.text == "b")
  }

  @Test func directoriesSortBeforeTheirNeighbours() {
    let paths = ["a.b", "a/c", "a", "a/b", "b"].map { TreePath(clamping: $0) }
    #expect(paths.sorted().map(\.text) == ["a", "a/b", "a/c", "a.b", "b"])
  }

  @Test func suggestionsAreNear() {
    #expect(nearest("FNTRYPOINT", in: ["RUN", "ENTRYPOINT"]) == "ENTRYPOINT")
    #expect(nearest("zzz", in: ["RUN"]) == nil)
    #expect(didYouMean("mont", in: ["mount", "network"]) == " (did you mean mount?)")
  }

  @Test func excerptMarksTheLines() {
    let source = (1...12).map { "line \($0)" }.joined(separator: "\n")
    let diagnostic = Diagnostic(.error, "x", file: "Dockerfile", range: SourceRange(6, 6), source: source)
    let text = diagnostic.excerpt ?? ""
    #expect(text.hasPrefix("Dockerfile:6\n--------------------\n   2 |     line 2\n"))
    #expect(text.contains("   6 | >>> line 6\n"))
    #expect(text.contains("line 10\n"))
    #expect(!text.contains("line 11"))
  }

  @Test func imageConfigGoesThereAndBack() throws {
    let text = #"""
      {"architecture":"amd64","author":"me","config":{"ArgsEscaped":true,"Cmd":["sh"],"Env":["A=b"],"ExposedPorts":{"80/tcp":{}},"Healthcheck":{"Interval":30000000000,"Test":["CMD-SHELL","x"]},"Labels":{"k":"v"},"OnBuild":["RUN x"],"Shell":["/bin/sh","-c"],"StopSignal":"SIGINT","User":"u","Volumes":{"/d":{}},"WorkingDir":"/w"},"created":"2023-11-14T22:13:20Z","history":[{"comment":"c","created":"2023-11-14T22:13:20Z","created_by":"x"},{"created_by":"y","empty_layer":true}],"os":"linux","rootfs":{"diff_ids":[],"type":"layers"}}
      """#
    #expect(try ImageConfig(json: JSON.parse(text)).json.text == text)
  }
}
