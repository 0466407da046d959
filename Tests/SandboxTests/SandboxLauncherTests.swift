import Core
import Foundation
import Linux
import Testing

@testable import Sandbox

/// What a process started by the launcher sees and may do. As root, with busybox as the image.
@Suite(.enabled(if: Rootfs.isUsable), .serialized) struct SandboxLauncherTests {
  @Test func exitCodesAndSignals() throws {
    let box = try Rootfs()
    #expect(try box.run(box.spec(["true"])).status == .exited(0))
    #expect(try box.sh("exit 3").status == .exited(3))
    // Process 1 has no default actions: it must be killed from outside.
    try box.renewWork()
    let process = try box.launcher.launch(box.spec(["sleep", "100"]), stdio: .none)
    try process.kill()
    #expect(try process.wait() == .signaled(.kill))
    #expect(try process.wait().code == 137)
  }

  @Test func programsThatCanNotStart() throws {
    let box = try Rootfs()
    func failure(_ arguments: [String]) throws -> Failure {
      try box.renewWork()
      do {
        _ = try box.launcher.launch(box.spec(arguments), stdio: .none).wait()
        throw Failure("run \(arguments)", "it started")
      } catch let failure as Failure {
        return failure
      }
    }
    let missing = try failure(["foo"])
    #expect(missing.description == #"exec: "foo": executable file not found in $PATH"#)
    #expect(missing.exitCode == 127)
    let path = try failure(["/foo"])
    #expect(path.description == #"exec: "/foo": stat /foo: no such file or directory"#)
    #expect(path.exitCode == 127)
    let directory = try failure(["/etc"])
    #expect(directory.description == #"exec: "/etc": permission denied"#)
    #expect(directory.exitCode == 126)
    #expect(try failure(["/etc/passwd"]).exitCode == 126)
    // The launcher's own file is not to be had.
    #expect(try failure(["/proc/self/exe"]).exitCode == 126)
    try FileManager.default.createSymbolicLink(
      atPath: "\(box.directory)/lower/bin/self", withDestinationPath: "/proc/self/exe")
    #expect(try failure(["self"]).exitCode != 0)
    let script = "\(box.directory)/lower/bin/script"
    try Data("#!/proc/self/exe\n".utf8).write(to: URL(fileURLWithPath: script))
    try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: script)
    #expect(try failure(["script"]).exitCode == 126)
    #expect(try failure([""]).exitCode == 127)
  }

  @Test func rootHasDockersCapabilitiesAndFilter() throws {
    let box = try Rootfs()
    let status = try box.run(box.spec(["cat", "/proc/self/status"])).output
    #expect(status.contains("CapBnd:\t00000000a80425fb"))
    #expect(status.contains("CapEff:\t00000000a80425fb"))
    #expect(status.contains("CapPrm:\t00000000a80425fb"))
    #expect(status.contains("CapInh:\t0000000000000000"))
    #expect(status.contains("CapAmb:\t0000000000000000"))
    #expect(status.contains("Seccomp:\t2"))
    #expect(status.contains("NoNewPrivs:\t0"))
    #expect(status.contains("Pid:\t1\n"))
    #expect(status.contains("SigBlk:\t0000000000000000"))
    #expect(status.contains("SigIgn:\t0000000000000000"))
  }

  @Test func usersHaveTheirIDsAndNoCapabilities() throws {
    let box = try Rootfs()
    let user = ProcessSpec.User(uid: 1000, gid: 1001, additionalGIDs: [5, 2000])
    let script = "id; grep Cap /proc/self/status; echo hi > /dev/stdout"
    let output = try box.run(box.spec(["sh", "-c", script], user: user)).output
    #expect(output.hasPrefix("uid=1000 gid=1001 groups=5,2000\n"))
    #expect(output.contains("CapEff:\t0000000000000000"))
    #expect(output.contains("CapBnd:\t00000000a80425fb"))
    #expect(output.hasSuffix("hi\n"))
  }

  @Test func noNewPrivilegesLoadsTheFilterLast() throws {
    let box = try Rootfs()
    var spec = box.spec(["cat", "/proc/self/status"], user: .init(uid: 7))
    spec.noNewPrivileges = true
    let status = try box.run(spec).output
    #expect(status.contains("NoNewPrivs:\t1"))
    #expect(status.contains("Seccomp:\t2"))
  }

  @Test func filterRefusesWhatDockerRefuses() throws {
    let box = try Rootfs()
    let mount = try box.sh("mount -t tmpfs none /tmp")
    #expect(mount.status != .exited(0))
    #expect(mount.output.contains("denied") || mount.output.contains("not permitted"))
  }

  @Test func onlyTheContainersDevicesWork() throws {
    let box = try Rootfs()
    let script = """
      set -e
      ls /dev; echo x > /dev/null; head -c 3 /dev/zero > /tmp/z; test -c /dev/full
      mknod /tmp/null c 1 3; echo x > /tmp/null
      mknod /tmp/mem c 1 1
      if head -c 1 /tmp/mem; then echo open; else echo closed; fi
      """
    let (status, output, _) = try box.sh(script)
    #expect(status == .exited(0), "\(output)")
    #expect(output.contains("closed") && !output.contains("\nopen"))
    for name in ["fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stdin", "tty", "urandom", "zero"] {
      #expect(output.contains(name + "\n"))
    }
  }

  @Test(arguments: ["none", "v1"]) func devicesWithoutTheUnifiedHierarchy(_ kind: String) throws {
    let box = try Rootfs()
    var hierarchies = CgroupHierarchies.current
    hierarchies.unified = nil
    if kind == "none" { hierarchies.controllers = [:] }
    if kind == "v1", hierarchies.controllers["devices"] == nil { return }
    let script = """
      echo x > /dev/null && head -c 3 /dev/zero > /dev/null && echo standard
      for place in /tmp /dev /dev/shm; do mknod $place/mem c 1 1; head -c 1 $place/mem && echo open; done
      """
    let launcher = SandboxLauncher(stateDirectory: "\(box.directory)/state", hierarchies: hierarchies)
    let pipe = try OpenFile.pipe()
    let process = try launcher.launch(
      box.spec(["sh", "-c", script]), stdio: .files(input: nil, output: pipe.write, error: nil))
    _ = try process.wait()
    var chunk = [UInt8](repeating: 0, count: 4096)
    let count = try chunk.withUnsafeMutableBytes { try pipe.read.read(into: $0) }
    #expect(String(decoding: chunk[..<count], as: UTF8.self) == "standard\n")
  }

  @Test func hiddenAndReadOnlyPaths() throws {
    let box = try Rootfs()
    let script = """
      hostname; ls /proc/acpi /sys/firmware; head -c 1 /proc/kcore; head -c 1 /proc/timer_list
      echo 1 > /proc/sys/kernel/shmmax && echo written; touch /sys/x && echo written; ls /proc | grep -c '^[0-9]'
      grep shm /proc/mounts; stat -c %a /dev/shm; pwd; umask
      """
    let output = try box.sh(script).output
    #expect(output.hasPrefix("box\n"))
    #expect(!output.contains("written"))
    #expect(output.contains("size=65536k"))
    #expect(output.contains("1777\n/\n0022\n"))
  }

  @Test func networkNoneHasOnlyLoopback() throws {
    let box = try Rootfs()
    let output = try box.run(box.spec(["sh", "-c", "ip -o link; ls /sys/class/net"], network: .none)).output
    #expect(output.contains("lo: <LOOPBACK,UP"))
    #expect(output.hasSuffix("lo\n"))
    #expect(output.split(separator: "\n").count == 2)
  }

  @Test func upperHoldsOnlyWhatTheProcessChanged() throws {
    let box = try Rootfs()
    let source = "\(box.directory)/hosts"
    try Data("127.0.0.1 localhost\n".utf8).write(to: URL(fileURLWithPath: source))
    var spec = box.spec(["sh", "-c", "cat /etc/hosts && cat /deep/er/file && echo new > /tmp/new"])
    spec.nameFiles.hosts = source
    spec.nameFiles.resolvConf = source
    spec.mounts.append(.bind(source, at: "/deep/er/file"))
    let result = try box.run(spec)
    #expect(result.status == .exited(0), "\(result.output)")
    #expect(result.process.createdTargets.isEmpty)
    let upper = try FileManager.default.subpathsOfDirectory(atPath: "\(box.directory)/upper").sorted()
    #expect(upper == ["tmp", "tmp/new"])
  }

  @Test func createdTargetsAreReported() throws {
    let box = try Rootfs()
    // A link of the image leads away from where the skeleton has the target.
    try FileManager.default.createSymbolicLink(
      atPath: "\(box.directory)/lower/var", withDestinationPath: "/tmp/../real")
    let source = "\(box.directory)/lower/etc/passwd"
    var spec = box.spec(["cat", "/real/file"])
    spec.mounts.append(.bind(source, at: "/var/file"))
    let result = try box.run(spec)
    #expect(result.output.hasPrefix("root:"))
    #expect(result.process.createdTargets.map(\.text) == ["real", "real/file"])
  }

  @Test func hostileLinksStayInside() throws {
    let box = try Rootfs()
    let outside = "\(box.directory)/outside"
    try FileManager.default.createDirectory(atPath: outside, withIntermediateDirectories: true)
    for (name, target) in [("dev", "/"), ("escape", "../../../../../../../../\(outside)"), ("abs", outside)] {
      try FileManager.default.createSymbolicLink(
        atPath: "\(box.directory)/lower/\(name)", withDestinationPath: target)
    }
    var spec = box.spec(["true"])
    spec.mounts.append(.bind("\(box.directory)/lower/etc", at: "/escape/a"))
    spec.mounts.append(.bind("\(box.directory)/lower/etc", at: "/abs/b"))
    spec.workingDirectory = "/escape/c"
    _ = try? box.run(spec)
    #expect(try FileManager.default.contentsOfDirectory(atPath: outside).isEmpty)
    // The proc file system must be the real one where paths are masked.
    try FileManager.default.removeItem(atPath: "\(box.directory)/lower/dev")
    try FileManager.default.createSymbolicLink(atPath: "\(box.directory)/lower/proc", withDestinationPath: "/etc")
    do {
      _ = try box.run(box.spec(["true"]))
      Issue.record("it started")
    } catch let failure as Failure {
      #expect(failure.action == "mount proc at /proc")
      #expect(failure.exitCode == 125)
    }
  }

  @Test func readOnlyRootAndWorkingDirectory() throws {
    let box = try Rootfs()
    var spec = box.spec(["sh", "-c", "pwd; touch /x; echo y > /dev/shm/y && echo shm"])
    spec.workingDirectory = "/made/here"
    spec.readonlyRoot = true
    let output = try box.run(spec).output
    #expect(output.hasPrefix("/made/here\n"))
    #expect(output.contains("Read-only file system"))
    #expect(output.hasSuffix("shm\n"))
  }

  @Test func terminal() throws {
    let box = try Rootfs()
    var spec = box.spec(["sh", "-c", "tty; stty size; test -c /dev/console && echo console"], user: .init(uid: 9))
    spec.terminal = true
    let process = try box.launcher.launch(spec, stdio: .terminal(WindowSize(rows: 33, columns: 101)))
    let terminal = try #require(process.terminal)
    var output: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 4096)
    // The kernel answers EIO when the last user of the terminal is gone.
    while let count = try? chunk.withUnsafeMutableBytes({ try terminal.read(into: $0) }), count > 0 {
      output += chunk[..<count]
    }
    #expect(try process.wait() == .exited(0))
    #expect(String(decoding: output, as: UTF8.self) == "/dev/pts/0\r\n33 101\r\nconsole\r\n")
  }

  @Test func directoryRootAndLimits() throws {
    let box = try Rootfs()
    var spec = box.spec(["sh", "-c", "ulimit -n; cat /etc/passwd"])
    spec.root = .directory("\(box.directory)/lower")
    spec.rlimits = [ResourceLimit(.nofile, soft: 77, hard: 78)]
    spec.mounts = spec.mounts.filter { $0.destination == "/proc" }
    spec.environment.append("A=b")
    let result = try box.run(spec)
    #expect(result.output.hasPrefix("77\nroot:"))
    #expect(result.process.createdTargets.map(\.text) == ["proc"])
  }

  @Test func userNamespace() throws {
    let box = try Rootfs()
    var spec = box.spec(["sh", "-c", "id -u; cat /proc/self/uid_map; touch /tmp/x; echo > /dev/null"], network: .none)
    spec.namespaces.append(NamespaceSpec(.user))
    spec.uidMappings = [IDMapping(inside: 0, outside: 0, count: 1000)]
    spec.gidMappings = [IDMapping(inside: 0, outside: 0, count: 1000)]
    let result = try box.run(spec)
    #expect(result.status == .exited(0), "\(result.output)")
    #expect(result.output.hasPrefix("0\n"))
    #expect(result.output.contains("1000\n"))
  }

  @Test func resourcesAreLimitedOrSaidNotToBe() throws {
    let box = try Rootfs()
    var spec = box.spec(["cat", "/proc/self/cgroup"])
    spec.resources.memory = 64 << 20
    spec.resources.pids = 50
    spec.resources.cpuQuota = 50_000
    spec.resources.cpuShares = 512
    spec.resources.cpusetCPUs = "0"
    let result = try box.run(spec)
    #expect(result.status == .exited(0), "\(result.output) \(result.process.warnings)")
    let hierarchies = CgroupHierarchies.current
    if hierarchies.controllers["memory"] != nil { #expect(result.process.warnings == []) }
  }

  @Test func nothingIsLeft() throws {
    let box = try Rootfs()
    func mounts() throws -> Int {
      try String(contentsOfFile: "/proc/self/mountinfo", encoding: .utf8).split(separator: "\n").count
    }
    let before = try mounts()
    _ = try box.sh("sleep 100 & sleep 100 & exit 0")
    var spec = box.spec(["true"])
    spec.cgroupPath = "stave-test/left"
    spec.resources.pids = 20
    _ = try box.run(spec)
    spec.arguments = ["missing"]
    _ = try? box.run(spec)
    #expect(try mounts() == before)
    let hierarchies = CgroupHierarchies.current
    for mount in hierarchies.controllers.values + [hierarchies.unified].compactMap({ $0 }) {
      #expect(!FileManager.default.fileExists(atPath: mount + "/stave-test"))
    }
    let children = try String(contentsOfFile: "/proc/self/task/\(getpid())/children", encoding: .utf8)
    #expect(!children.contains("sleep"))
    var status: Int32 = 0
    #expect(waitpid(-1, &status, WNOHANG) <= 0)
  }

  @Test func manyAtOnce() async throws {
    let box = try Rootfs()
    try await withThrowingTaskGroup(of: ExitStatus.self) { group in
      for k in 0..<24 {
        let directory = "\(box.directory)/many-\(k)"
        for name in ["upper", "work"] { try HostPath.makeDirectories("\(directory)/\(name)") }
        let spec = ProcessSpec.dockerDefault(
          arguments: ["sh", "-c", "exit \(k)"], environment: ["PATH=/bin"],
          root: .overlay(
            lowers: [.tree("\(box.directory)/lower")], upper: "\(directory)/upper", work: "\(directory)/work"),
          network: k % 2 == 0 ? .none : .host)
        let launcher = box.launcher
        group.addTask {
          try await BlockingPool.shared.run { try launcher.launch(spec, stdio: .none).wait() }
        }
      }
      var codes: [Int32] = []
      for try await status in group { codes.append(status.code) }
      #expect(codes.sorted() == (0..<24).map { Int32($0) })
    }
  }

  @Test func forgottenProcessesAreKilled() throws {
    let box = try Rootfs()
    var process: RunningProcess? = try box.launcher.launch(box.spec(["sleep", "1000"]), stdio: .none)
    let pid = try #require(process?.pid)
    #expect(kill(pid, 0) == 0)
    process = nil
    #expect(kill(pid, 0) != 0)
  }

  @Test func launchAndExitTakesMilliseconds() throws {
    let box = try Rootfs()
    var best = Int64.max
    var total: Int64 = 0
    let rounds: Int64 = 30
    for round in 0..<rounds + 3 {
      try box.renewWork()
      let spec = box.spec(["true"])
      let start = Machine.monotonicNanoseconds()
      #expect(try box.launcher.launch(spec, stdio: .none).wait() == .exited(0))
      let elapsed = Machine.monotonicNanoseconds() - start
      guard round >= 3 else { continue }
      best = min(best, elapsed)
      total += elapsed
    }
    print("launch and exit of busybox true: best \(Double(best) / 1e6) ms, mean \(Double(total / rounds) / 1e6) ms")
  }
}
