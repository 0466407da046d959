import Core
import Dockerfile
import Testing

@testable import Graph

/// The plan of `text`. Every image is there, with `base` as its config.
func planOf(
  _ text: String, base: ContainerConfig = ContainerConfig(), images: [String: ContainerConfig] = [:],
  configure: (inout LoweringOptions) -> Void = { _ in }
) throws -> BuildPlan {
  let document = try DockerfileDocument.parse(Array(text.utf8), file: "Dockerfile")
  var options = LoweringOptions(
    platform: Platform(os: "linux", architecture: "amd64"), buildPlatform: Platform(os: "linux", architecture: "amd64"))
  configure(&options)
  while true {
    switch try lower(document, options) {
    case .plan(let plan): return plan
    case .needsImages(let requests):
      try #require(!requests.isEmpty)
      for request in requests {
        try #require(options.images[request.key] == nil)
        var config = ImageConfig(platform: request.key.platform, config: images[request.key.reference] ?? base)
        config.history = [ImageConfig.History(createdBy: "base of \(request.key.reference)")]
        options.images[request.key] = ResolvedImage(imageID: .sha256(request.key.reference), config: config)
      }
    }
  }
}

/// The message with which `text` is refused.
func refusal(_ text: String, configure: (inout LoweringOptions) -> Void = { _ in }) -> String {
  do {
    _ = try planOf(text, configure: configure)
    return "no error"
  } catch let error as Failure {
    return error.description
  } catch {
    return "\(error)"
  }
}

extension BuildPlan {
  var titles: [String] { vertices.map(\.title) }
  /// `created_by` of the entries that are not the base's, layers marked with `*`.
  var made: [String] {
    history.compactMap {
      switch $0.origin {
      case .base: nil
      case .empty: $0.entry.createdBy
      case .layer: "*" + $0.entry.createdBy
      }
    }
  }
  var execs: [Op.Exec] { vertices.compactMap { if case .exec(let exec) = $0.op { exec } else { nil } } }
  var copies: [Op.Copy] { vertices.compactMap { if case .copy(let copy) = $0.op { copy } else { nil } } }
}

@Suite struct LoweringTests {
  static let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

  @Test func historyIsBuildKits() throws {
    let plan = try planOf(
      """
      FROM busybox
      ARG foo=bar
      ARG bar
      ENV a=1 b="2 3"
      LABEL x=y
      MAINTAINER me
      WORKDIR /app
      WORKDIR /
      COPY --chown=1:2 --chmod=644 a b /dst/
      RUN echo $foo
      RUN ["ls", "-l"]
      EXPOSE 81/udp 80
      EXPOSE 8000-8002
      VOLUME /data /other
      USER nobody
      STOPSIGNAL SIGTERM
      SHELL ["/bin/bash", "-c"]
      CMD echo "hi"
      ENTRYPOINT ["a", "b\\"c"]
      HEALTHCHECK --interval=90s --retries=3 CMD true
      ONBUILD RUN x
      """
    ) { $0.buildArgs = [.init("bar", "123")] }
    #expect(
      plan.made == [
        "ARG foo=bar", "ARG bar=123", "ENV a=1 b=2 3", "LABEL x=y", "MAINTAINER me", "*WORKDIR /app", "WORKDIR /",
        "*COPY --chown=1:2 --chmod=644 a b /dst/ # buildkit",
        "*RUN |2 foo=bar bar=123 /bin/sh -c echo $foo # buildkit", "*RUN |2 foo=bar bar=123 ls -l # buildkit",
        "EXPOSE [80/tcp 81/udp]", "EXPOSE [8000/tcp 8001/tcp 8002/tcp]", "VOLUME [/data /other]", "USER nobody",
        "STOPSIGNAL SIGTERM", "SHELL [/bin/bash -c]", #"CMD ["/bin/bash" "-c" "echo \"hi\""]"#,
        #"ENTRYPOINT ["a" "b\"c"]"#,
        "HEALTHCHECK {Test:[CMD-SHELL true] Interval:1m30s Timeout:0s StartPeriod:0s StartInterval:0s Retries:3}",
      ])
    #expect(plan.history.first?.origin == .base)
    #expect(plan.history.dropFirst().allSatisfy { $0.entry.comment == "buildkit.dockerfile.v0" })
    let config = plan.config.config
    #expect(plan.config.author == "me")
    #expect(config.env == [Self.path, "a=1", "b=2 3"])
    #expect(config.labels == ["x": "y"])
    #expect(config.workingDir == "/")
    #expect(config.user == "nobody")
    #expect(config.cmd == ["/bin/bash", "-c", "echo \"hi\""])
    #expect(config.entrypoint == ["a", "b\"c"])
    #expect(config.argsEscaped)
    #expect(config.onBuild == ["RUN x"])
    #expect(config.exposedPorts == ["80/tcp", "81/udp", "8000/tcp", "8001/tcp", "8002/tcp"])
    #expect(config.volumes == ["/data", "/other"])
    #expect(config.healthcheck?.interval == 90_000_000_000)
    #expect(plan.execs[0].env == [Self.path, "foo=bar", "bar=123", "a=1", "b=2 3"])
  }

  @Test func titlesCountTheStepsOfTheirStage() throws {
    let plan = try planOf("FROM golang AS build\nRUN make\nFROM scratch\nCOPY --from=build /a /a\nWORKDIR /x\n")
    #expect(
      plan.titles == [
        "[build 1/2] FROM golang", "[build 2/2] RUN make", "FROM scratch", "[stage-1 1/2] COPY --from=build /a /a",
        "[stage-1 2/2] WORKDIR /x",
      ])
    #expect(try planOf("FROM a\nrun b\n").titles == ["[1/2] FROM a", "[2/2] RUN b"])
    #expect(plan.config.config.workingDir == "/x")
    #expect(plan.config.config.env == [Self.path])
  }

  @Test func onlyWhatTheTargetNeedsIsPlanned() throws {
    let text = """
      FROM a AS one
      RUN 1
      FROM b AS two
      RUN 2
      FROM one AS three
      COPY --from=0 /x /y
      FROM scratch
      COPY --from=two / /
      """
    #expect(try planOf(text).execs.map { $0.argv[2] } == ["2"])
    for target in ["three", "THREE", "2"] {
      let plan = try planOf(text) { $0.target = target }
      #expect(plan.execs.map { $0.argv[2] } == ["1"])
      #expect(plan.vertices.last?.inputs.count == 2)
      #expect(plan.vertices.last?.inputs[0] == plan.vertices.last?.inputs[1])
    }
    #expect(refusal(text) { $0.target = "tree" } == #"target stage "tree" could not be found (did you mean three?)"#)
    #expect(refusal(text) { $0.target = "4" } == "invalid stage index 4")
  }

  @Test func stagesAreLookedUpBeforeImages() throws {
    #expect(try planOf("FROM a AS busybox\nRUN 1\nFROM busybox\nRUN 2\n").execs.count == 2)
    let plan = try planOf("FROM a\nCOPY --from=busybox /bin/sh /\n")
    #expect(plan.titles == ["FROM busybox", "[1/2] FROM a", "[2/2] COPY --from=busybox /bin/sh /"])
    #expect(
      refusal("FROM a AS x\nCOPY --from=y . .\nFROM b AS y\n") == "no error")
    #expect(
      refusal("FROM a AS x\nCOPY --from=y . .\nFROM b AS y\n") { $0.target = "x" }
        == #"cannot copy from stage "y", it needs to be defined before current stage "x""#)
    #expect(refusal("FROM a\nCOPY --from=3 . .\n") == "invalid stage index 3")
    #expect(refusal("FROM a AS x\nCOPY --from=x . .\n").hasPrefix("circular dependency detected on stage: "))
    #expect(
      refusal("FROM a AS x\nCOPY --from=y . .\nFROM b AS y\nCOPY --from=x . .\n")
        == "circular dependency detected on stage: x")
    #expect(refusal("ARG A=x\nFROM a\nCOPY --from=$A . .\n").contains("variable expansion is not supported for --from"))
  }

  @Test func argumentsHaveTheirScopes() throws {
    func last(_ text: String, _ args: [LoweringOptions.BuildArg] = []) throws -> [String] {
      try planOf(text) { $0.buildArgs = args }.execs.last?.env.filter { !$0.hasPrefix("PATH") } ?? []
    }
    #expect(try last("ARG A=1\nFROM x\nRUN a\n") == [])
    #expect(try last("ARG A=1\nFROM x\nARG A\nRUN a\n") == ["A=1"])
    #expect(try last("ARG A=1\nFROM x\nARG A=2\nRUN a\n") == ["A=2"])
    #expect(try last("ARG A=1\nFROM x\nARG A=2\nRUN a\n", [.init("A", "3")]) == ["A=3"])
    #expect(try last("ARG A=1\nFROM x\nARG A=2\nRUN a\n", [.init("A", nil)]) == ["A=2"])
    #expect(try last("FROM x\nARG A\nRUN a\n") == [])
    #expect(try last("FROM x\nARG A=1\nFROM x\nRUN a\n") == [])
    #expect(try last("FROM x AS b\nARG A=1\nFROM b\nRUN a\n") == ["A=1"])
    #expect(try last("FROM x AS b\nARG A=1\nENV A=2\nFROM b\nRUN a\n") == ["A=2"])
    #expect(try last("FROM x\nENV A=2\nARG A=1\nRUN a\n") == ["A=1"])
    #expect(
      try last("FROM x\nARG TARGETARCH BUILDPLATFORM TARGETSTAGE\nRUN a\n")
        == ["TARGETARCH=amd64", "BUILDPLATFORM=linux/amd64", "TARGETSTAGE=default"])
    #expect(try last("FROM x\nARG A=1 B=$A-2\nRUN a\n") == ["A=1", "B=1-2"])
    #expect(try last("FROM x\nENV a=1\nENV a=2 b=$a\nRUN a\n") == ["a=2", "b=1"])
  }

  @Test func globalArgumentsNameBases() throws {
    let text = "ARG V=1\nARG I=img:$V\nFROM ${I}\n"
    #expect(try planOf(text).vertices[0].instructionText == "FROM img:1")
    #expect(try planOf(text) { $0.buildArgs = [.init("V", "2")] }.vertices[0].instructionText == "FROM img:2")
    #expect(refusal("FROM $NOPE\n") == "base name ($NOPE) should not be blank")
    #expect(refusal("FROM --platform=$NOPE a\n").hasPrefix("empty platform value from expression $NOPE"))
    #expect(try planOf("FROM --platform=$BUILDPLATFORM a\n").vertices.count == 1)
    #expect(refusal("FROM Foo:Bar:Baz\n").hasPrefix("failed to parse stage name"))
  }

  @Test func stagesHaveTheirPlatform() throws {
    let text = """
      FROM --platform=$BUILDPLATFORM go AS build
      ARG TARGETARCH
      RUN build $TARGETARCH
      FROM base
      COPY --from=build /x /x

      """
    let plan = try planOf(text) {
      $0.platform = Platform(os: "linux", architecture: "arm", variant: "v7")
      $0.showsPlatform = true
    }
    let platforms = plan.vertices.compactMap { vertex -> String? in
      if case .image(let image) = vertex.op { "\(image.reference) \(image.platform)" } else { nil }
    }
    #expect(Set(platforms) == ["go linux/amd64", "base linux/arm/v7"])
    #expect(
      plan.vertices.map(\.title).sorted() == [
        "[linux/amd64 build 1/2] FROM go", "[linux/amd64 build 2/2] RUN build $TARGETARCH",
        "[linux/arm/v7 stage-1 1/2] FROM base", "[linux/arm/v7 stage-1 2/2] COPY --from=build /x /x",
      ])
    #expect(plan.config.platform.description == "linux/arm/v7")
  }

  @Test func unusedBuildArgsAreTold() throws {
    let plan = try planOf("ARG VERSION\nFROM a\nARG NAME\n") {
      $0.buildArgs = [.init("NAMES", "x"), .init("VERSION", "1"), .init("http_proxy", "p"), .init("TARGETARCH", "z")]
    }
    #expect(plan.unusedBuildArgs == ["NAMES"])
    #expect(plan.usedBuildArgs == ["TARGETARCH", "VERSION", "http_proxy"])
    #expect(plan.warnings.map(\.message) == ["--build-arg NAMES has no effect: no ARG names it (did you mean NAME?)"])
  }

  @Test func proxiesAreNoPartOfTheDigest() throws {
    let plain = try planOf("FROM a\nRUN x\n")
    let proxied = try planOf("FROM a\nRUN x\n") { $0.buildArgs = [.init("HTTP_PROXY", "p"), .init("no_proxy", "n")] }
    #expect(plain.target == proxied.target)
    #expect(proxied.execs[0].proxyEnv == ["HTTP_PROXY=p", "http_proxy=p", "NO_PROXY=n", "no_proxy=n"])
    #expect(plain.made == proxied.made)
    let declared = try planOf("FROM a\nARG HTTP_PROXY\nRUN x\n") { $0.buildArgs = [.init("HTTP_PROXY", "p")] }
    #expect(declared.target != plain.target)
    #expect(declared.execs[0].proxyEnv == ["http_proxy=p"])
  }

  @Test func entrypointDropsAnInheritedCommand() throws {
    var base = ContainerConfig()
    base.cmd = ["base"]
    base.entrypoint = ["e"]
    #expect(try planOf("FROM a\n", base: base).config.config.cmd == ["base"])
    #expect(try planOf("FROM a\nENTRYPOINT [\"x\"]\n", base: base).config.config.cmd == nil)
    #expect(try planOf("FROM a\nCMD [\"c\"]\nENTRYPOINT [\"x\"]\n", base: base).config.config.cmd == ["c"])
    #expect(try planOf("FROM a AS b\nCMD [\"c\"]\nFROM b\nENTRYPOINT [\"x\"]\n", base: base).config.config.cmd == nil)
    #expect(try planOf("FROM a\nENTRYPOINT []\n", base: base).config.config.entrypoint == nil)
  }

  @Test func workingDirectories() throws {
    func directory(_ lines: String, base: String = "") throws -> String {
      var config = ContainerConfig()
      config.workingDir = base
      return try planOf("FROM a\n" + lines, base: config).config.config.workingDir
    }
    #expect(try directory("WORKDIR a\n") == "/a")
    #expect(try directory("WORKDIR /a\nWORKDIR b/../c\n") == "/a/c")
    #expect(try directory("WORKDIR /tmp/\n") == "/tmp/")
    #expect(try directory("WORKDIR x\n", base: "/b") == "/b/x")
    #expect(try directory("ENV D=/d\nWORKDIR ${D}/x\n") == "/d/x")
    let plan = try planOf("FROM a\nUSER u\nWORKDIR /tmp/\nCOPY a b/\nCOPY a .\nCOPY /../x /y\nRUN p\n")
    #expect(plan.vertices[1].op == .makeDirectory(Op.MakeDirectory(path: "/tmp", user: "u")))
    #expect(plan.copies.map(\.destination) == ["/tmp/b", "/tmp", "/y"])
    #expect(plan.copies.map(\.destinationIsDirectory) == [true, true, false])
    #expect(plan.copies[2].sources == [.context("x")])
    #expect(plan.execs[0].cwd == "/tmp")
    #expect(plan.execs[0].user == "u")
  }

  @Test func heredocs() throws {
    let plan = try planOf(
      """
      FROM a
      ARG V=1
      RUN <<EOF
      echo $V
      date
      EOF
      RUN <<-run
      \t#!/bin/python
      \tprint()
      run
      RUN <<A cat
      x
      A
      COPY <<x <<"y" /d/
      $V "q"
      x
      $V
      y
      """)
    #expect(
      plan.execs.map(\.argv) == [
        ["/bin/sh", "-c", "echo $V\ndate\n"], ["/dev/pipes/run"], ["/bin/sh", "-c", "<<A cat\nx\nA"],
      ])
    #expect(
      plan.execs[1].files == [Op.Exec.File(path: "/dev/pipes/run", content: "#!/bin/python\nprint()\n", mode: 0o755)])
    #expect(
      plan.copies[0].sources == [
        .inline(name: "x", content: Array("1 \"q\"\n".utf8)), .inline(name: "y", content: Array("$V\n".utf8)),
      ])
    #expect(plan.made.last == "*COPY <<x <<y /d/ # buildkit")
    #expect(plan.titles[1] == "[2/5] RUN <<EOF (echo $V...)")
  }

  @Test func triggersRunAfterFromAndOnce() throws {
    var base = ContainerConfig()
    base.onBuild = ["RUN one", "COPY --from=other /a /b", "CMD c"]
    let plan = try planOf("FROM a AS x\nONBUILD RUN mine\nRUN two\nFROM x\nRUN three\n", images: ["a": base])
    #expect(plan.execs.map { $0.argv[2] } == ["one", "two", "mine", "three"])
    #expect(plan.titles.contains("[x 2/4] ONBUILD RUN one"))
    #expect(plan.vertices.contains { $0.instructionText == "FROM other" })
    #expect(plan.config.config.onBuild == [])
    #expect(plan.config.config.cmd == ["/bin/sh", "-c", "c"])
  }

  @Test func unsupportedFlagsAreOneClearError() throws {
    let lines = [
      "RUN --mount=type=cache,target=/c x": "RUN --mount", "COPY --link a b": "COPY --link",
      "COPY --parents a b": "COPY --parents", "COPY --exclude=x a b": "COPY --exclude",
      "ADD https://x/y /z": "ADD https://x/y", "ADD git@github.com:a/b.git /z": "ADD git@github.com:a/b.git",
      "ADD --unpack=true a b": "ADD --unpack", "RUN --security=insecure x": "RUN --security=insecure",
    ]
    for (line, feature) in lines {
      #expect(refusal("FROM a\n\(line)\n") == "\(feature): not supported yet")
      #expect(throws: Never.self) { try planOf("FROM a\n\(line)\n") { $0.mode = .planOnly } }
    }
    #expect(throws: Never.self) { try planOf("FROM a\nCOPY --link=false a b\n") }
    #expect(refusal("FROM a\nCOPY https://x/y /z\n") == "source can't be a URL for COPY")
    do { _ = try planOf("FROM a\n\nRUN --mount=type=tmpfs,target=/t x\n") } catch let error as Failure {
      #expect(error.diagnostics.first?.range == SourceRange(3, 3))
      #expect(error.diagnostics.first?.excerpt?.contains(">>> RUN --mount") == true)
    }
  }

  @Test func wrongValuesAreRefused() {
    #expect(refusal("FROM a\nSTOPSIGNAL SIGTREM\n") == "invalid signal: SIGTREM (did you mean SIGTERM?)")
    #expect(refusal("FROM a\nSTOPSIGNAL 15\n") == "no error")
    #expect(refusal("FROM a\nEXPOSE x\n") == "invalid containerPort: x")
    #expect(refusal("FROM a\nEXPOSE 1/tpc\n") == "invalid proto: tpc (did you mean tcp?)")
    #expect(refusal("FROM a\nEXPOSE 127.0.0.1:80:8080\n") == "no error")
    #expect(refusal("FROM a\nEXPOSE 80-70\n") == "invalid containerPort: 80-70")
    #expect(refusal("FROM a\nEXPOSE 70000\n") == "invalid containerPort: 70000")
    #expect(
      refusal("FROM a\nCOPY --chmod=64a x y\n")
        == "invalid chmod parameter: '64a'. it should be octal string and between 0 and 07777")
    #expect(refusal("FROM a\nCOPY --chmod=u=rwX,go=rX x y\n") == "no error")
    #expect(refusal("FROM a\nCOPY --chmod=10000 x y\n").hasPrefix("invalid chmod"))
  }

  @Test func oddTextIsRefused() throws {
    #expect(refusal("FROM a\nRUN x\0y\n") == "the Dockerfile has a NUL byte")
    #expect(refusal("FROM a\nCOPY <<../x /d/\ny\n../x\n") == #"here-document name "../x" can't be a file name"#)
    #expect(refusal("FROM a\nRUN <<a/b\n#!/bin/sh\na/b\n") == #"here-document name "a/b" can't be a file name"#)
    let plan = try planOf("FROM a\nRUN []\n")
    #expect(plan.made == ["RUN "])
    #expect(plan.warnings.map(\.message) == ["RUN without a command does nothing"])
  }

  @Test func theEpochOfTheSourceDatesTheHistory() throws {
    let plan = try planOf("FROM a\nRUN x\n") { $0.buildArgs = [.init("SOURCE_DATE_EPOCH", "86400")] }
    #expect(plan.sourceDateEpoch == Timestamp(seconds: 86400))
    #expect(plan.history.last?.entry.created == Timestamp(seconds: 86400))
    #expect(
      refusal("FROM a\n") { $0.buildArgs = [.init("SOURCE_DATE_EPOCH", "x")] } == "invalid SOURCE_DATE_EPOCH: x")
  }

  @Test func onlyRewrittenTimestampsArePartOfTheSteps() throws {
    let file = "FROM a\nWORKDIR /w\nRUN x\nCOPY y /y\n"
    func ids(_ epoch: String?, rewrites: Bool) throws -> [VertexID] {
      try planOf(file) { options in
        if let epoch { options.buildArgs = [.init("SOURCE_DATE_EPOCH", epoch)] }
        options.rewritesTimestamps = rewrites
      }.vertices.map(\.id)
    }
    let plain = try ids(nil, rewrites: false)
    #expect(try ids("5", rewrites: false) == plain)
    #expect(try ids(nil, rewrites: true) == plain)
    let five = try ids("5", rewrites: true)
    #expect(zip(five, plain).filter { $0 == $1 }.count == 1)
    #expect(zip(five, try ids("6", rewrites: true)).filter { $0 == $1 }.count == 1)
    let text = try planOf(file) {
      $0.buildArgs = [.init("SOURCE_DATE_EPOCH", "5")]
      $0.rewritesTimestamps = true
    }.text
    #expect(text.split(separator: "\n").filter { $0.contains("latest 1970-01-01T00:00:05Z") }.count == 3)
  }

  @Test func durationsPrintAsInGo() {
    #expect(
      [0, 1, 1500, 1_500_000, 2_000_000_000, 90_000_000_000, 3_600_000_000_000, 5_400_500_000_000].map(goDuration)
        == ["0s", "1ns", "1.5µs", "1.5ms", "2s", "1m30s", "1h0m0s", "1h30m0.5s"])
  }

  @Test func quotingIsGos() {
    #expect("a\"\\\n\t\u{01}\u{7f}é\u{a0}\u{1F600}".goQuoted == #""a\"\\\n\t\x01\x7fé\u00a0😀""#)
  }

  @Test func labelsOfTheCommandLineComeLast() throws {
    let plan = try planOf("FROM a\nLABEL x=1 y=2\n") { $0.labels = [.init("x", "3"), .init("z", "")] }
    #expect(plan.config.config.labels == ["x": "3", "y": "2", "z": ""])
  }

  @Test func theTextNamesEveryStep() throws {
    let plan = try planOf("FROM a\nRUN <<E\nx\ny\nE\nCOPY a b /c/\n")
    let text = plan.text
    #expect(text.contains("#2 [2/3] RUN <<E (x...)  line 2-5\n    on #1\n"))
    #expect(text.contains(#"    exec ["/bin/sh","-c","x\ny\n"]"#))
    #expect(text.contains("    from context \"a\"\n    from context \"b\"\n    copy to /c/\n"))
    #expect(text.contains("history\n    base   base of a\n"))
    #expect(text == (try planOf("FROM a\nRUN <<E\nx\ny\nE\nCOPY a b /c/\n")).text)
  }
}
