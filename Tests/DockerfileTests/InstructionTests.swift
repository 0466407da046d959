import Core
import Dockerfile
import Testing

@Suite struct InstructionTests {
  private func kind(_ text: String) throws -> Instruction.Kind { try Instruction.parse(text, file: "change").kind }

  @Test func keysAndValues() throws {
    #expect(
      try kind("ENV a=1 b=\"2 3\" c=x\\ y")
        == .env([
          .init(key: "a", value: "1"), .init(key: "b", value: "\"2 3\""), .init(key: "c", value: "x\\ y"),
        ]))
    #expect(try kind("ENV a b = c") == .env([.init(key: "a", value: "b = c", isLegacy: true)]))
    #expect(try kind("label a=") == .label([.init(key: "a", value: "")]))
    #expect(try kind("ARG a= b") == .arg([.init(name: "a", value: ""), .init(name: "b")]))
  }

  @Test func commandLines() throws {
    #expect(try kind("CMD [\"a\", \"b c\"]") == .cmd(.exec(["a", "b c"])))
    #expect(try kind("CMD ['a']") == .cmd(.shell("['a']")))
    #expect(try kind("CMD") == .cmd(.shell("")))
    #expect(try kind("ENTRYPOINT []") == .entrypoint(.exec([])))
    #expect(try kind("SHELL [\"/bin/bash\", \"-c\"]") == .shell(["/bin/bash", "-c"]))
    #expect(
      try kind("RUN --network=none --mount=type=cache,target=/c --mount=target=/d make")
        == .run(.init(command: .shell("make"), mounts: ["type=cache,target=/c", "target=/d"], network: "none")))
    #expect(try kind("RUN -- --x") == .run(.init(command: .shell("--x"))))
  }

  @Test func words() throws {
    #expect(try kind("EXPOSE 90  80/udp") == .expose(["80/udp", "90"]))
    #expect(try kind("VOLUME [\"/a b\", \"/c\"]") == .volume(["/a b", "/c"]))
    #expect(try kind("USER a b") == .user("a b"))
    #expect(
      try kind("ADD --checksum=sha256:1 --unpack=false --keep-git-dir --exclude=*.o --exclude=b a b c")
        == .add(
          .init(
            sources: ["a", "b"], destination: "c", keepGitDir: true, checksum: "sha256:1", unpack: false,
            exclude: ["*.o", "b"])))
    #expect(
      try kind("COPY --chmod=\"u=rwX,go=rX\" --parents=true [\"a b\", \"c\"]")
        == .copy(.init(sources: ["a b"], destination: "c", chmod: "u=rwX,go=rX", parents: true)))
  }

  @Test func healthcheck() throws {
    #expect(
      try kind("HEALTHCHECK --interval=1m30.5s --timeout=3s --start-period=0s --retries=4 cmd curl x")
        == .healthcheck(
          .init(test: ["CMD-SHELL", "curl x"], interval: 90_500_000_000, timeout: 3_000_000_000, retries: 4)))
    #expect(try kind("HEALTHCHECK CMD [\"a\", \"b\"]") == .healthcheck(.init(test: ["CMD", "a", "b"])))
    #expect(try kind("HEALTHCHECK NONE") == .healthcheck(.init(test: ["NONE"])))
  }

  @Test func onlyOne() {
    let two = #expect(throws: Failure.self) { try Instruction.parse("USER a\nUSER b", file: "change") }
    #expect(two?.description == "expected one instruction, found 2")
    #expect(throws: Failure.self) { try Instruction.parse(" \n", file: "change") }
    let bad = #expect(throws: Failure.self) { try Instruction.parse("USRE a", file: "change") }
    #expect(bad?.description == "dockerfile parse error on line 1: unknown instruction: USRE (did you mean USER?)")
    #expect(bad?.diagnostics.first?.file == "change")
  }

  @Test func deepTriggersAreRefused() {
    let text = String(repeating: "ONBUILD ", count: 8000) + "RUN x"
    #expect(throws: Failure.self) { try Instruction.parse(text, file: "change") }
  }
}
