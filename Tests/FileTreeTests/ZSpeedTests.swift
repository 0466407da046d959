import Core
import FileTree
import Linux
import Testing
@Suite struct ZSpeedTests {
  @Test func speed() async throws {
    guard let path = Machine.environment("ZSPEED") else { return }
    func now() -> Int64 { Machine.monotonicNanoseconds() }
    for round in 0..<2 {
    let view = HostTree(try Directory(path), ignore: try IgnorePatterns(patterns: [".git", "**/node_modules", "*.log", "**/*.tmp", "!keep.tmp", "dist", "**/.DS_Store", "coverage/**"]))
    let m0 = now()
    let memory = ContentDigestFile("/var/tmp/zspeed.contents")
    let m1 = now()
    let sel = CopySelection("COPY", sources: [.tree(view, pattern: [46])], destination: Array("/app/".utf8))
    _ = try sel.sourceDigest(memory)
    let m2 = now()
    try memory.save()
    let m3 = now()
    print("memory load", (m1-m0)/1000000, "source digest", (m2-m1)/1000000, "save", (m3-m2)/1000000)
    let t0 = now()
    let plan = try CopySelection("COPY", sources: [.tree(view, pattern: [46])], destination: Array("/app/".utf8)).plan(onto: EmptyTree(), created: Timestamp(seconds: 0))
    let t1 = now()
    let d = try plan.contentDigest()
    let t2 = now()
    let w = TarWriter(ClosureSink { _ in })
    let d2 = try plan.writeHashing(to: w)
    _ = try w.finish()
    let t3 = now()
    _ = try await plan.contentDigest(width: 2)
    let t4 = now()
    print(round, plan.entries.count, "plan", (t1-t0)/1000000, "digest", (t2-t1)/1000000, "write", (t3-t2)/1000000, "digest2", (t4-t3)/1000000, d == d2)
    }
  }
}
