import Core
import Foundation
import Linux
import Testing

@testable import Sandbox

/// The text of plans against the goldens of testdata/sandbox. `STAVE_RECORD_GOLDEN=1` writes them anew.
@Suite struct SpawnPlanTests {
  static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appendingPathComponent("testdata/sandbox")

  static let cases = [
    "docker", "user", "network-none", "no-device-guard", "user-namespace", "rootless", "everything", "directory",
    "erofs",
  ]

  private func make(_ name: String) -> (ProcessSpec, SpawnPlan.Surroundings) {
    let root = ProcessSpec.Root.overlay(lowers: [.tree("/l/2"), .tree("/l/1")], upper: "/u", work: "/w")
    var spec = ProcessSpec.dockerDefault(
      arguments: ["sh", "-c", "echo \"hi\"\n"], environment: ["PATH=/bin"], workingDirectory: "/srv", root: root)
    var surroundings = SpawnPlan.Surroundings()
    surroundings.seccompProgram = [0, 0, 0, 0, 0, 0, 0, 0]
    switch name {
    case "user":
      spec = .dockerDefault(
        arguments: ["id"], user: .init(uid: 1000, gid: 1000, additionalGIDs: [4, 24]), root: root)
      spec.noNewPrivileges = true
    case "network-none":
      spec = .dockerDefault(arguments: ["true"], root: root, network: .none, hostname: "box")
    case "no-device-guard":
      surroundings.guardsDevices = false
      surroundings.hasUnifiedCgroups = false
    case "user-namespace":
      spec.namespaces.append(NamespaceSpec(.user))
      spec.uidMappings = [IDMapping(inside: 0, outside: 1000, count: 1)]
      spec.gidMappings = spec.uidMappings
    case "rootless":
      surroundings.isMachineRoot = false
      surroundings.canSetGroups = false
      surroundings.mapsTerminalGroup = false
      surroundings.guardsDevices = false
      surroundings.hasUnifiedCgroups = false
      surroundings.idWatch = [0, 0, 0, 0, 0, 0, 0, 0]
    case "everything":
      spec.terminal = true
      surroundings.terminalSize = (24, 80)
      surroundings.limitFiles = ["/sys/fs/cgroup/pids/stave/x/cgroup.procs"]
      surroundings.guardFile = "/sys/fs/cgroup/devices/stave/x/cgroup.procs"
      spec.readonlyRoot = true
      spec.oomScoreAdjustment = 500
      spec.hostname = "box"
      spec.domainname = "example.org"
      spec.sysctls = ["net.ipv4.ip_forward": "1", "kernel.msgmax": "65536"]
      spec.rlimits = [
        ResourceLimit(.nofile, soft: 1024, hard: ResourceLimit.unlimited), ResourceLimit(.as, soft: 1, hard: 2),
      ]
      spec.nameFiles = .init(hosts: "/h", resolvConf: "/r", hostname: "/n")
      spec.mounts.append(.bind("/data", at: "/srv/data", readonly: true))
      spec.mounts.append(MountSpec("/cache", .bind, source: "/c", options: ["bind", "rw", "nosuid", "rslave"]))
      spec.mounts.append(MountSpec("/run", .tmpfs, options: ["size=1m", "noexec"]))
      spec.devices = [DeviceSpec(path: "/dev/fuse", hostPath: "/dev/fuse")]
      spec.capabilities.ambient = [.netBindService]
      spec.capabilities.inheritable = [.netBindService]
      spec.namespaces.append(NamespaceSpec(.network, path: "/proc/7/ns/net"))
    case "erofs":
      spec.root = .overlay(
        lowers: [
          .tree("/proc/self/fd/9"), .erofs(index: "/l/3/index", devices: ["/l/3/tar"]), .tree("/l/2"),
          .erofs(index: "/l/1/index", devices: ["/l/1/tar", "/l/0/tar"], loop: true), .tree("/l/2"),
        ], upper: "/u", work: "/w")
    case "directory":
      spec = ProcessSpec(arguments: ["/bin/true"], root: .directory("/rootfs"))
      spec.namespaces = [NamespaceSpec(.mount)]
      spec.diesWithLauncher = false
      surroundings.seccompProgram = nil
    default: break
    }
    return (spec, surroundings)
  }

  @Test(arguments: cases) func golden(_ name: String) throws {
    let (spec, surroundings) = make(name)
    let plan = try SpawnPlan(spec, in: surroundings)
    let targets = plan.mountTargets.map { "target \($0.path) \($0.source ?? "directory")\n" }.joined()
    let text = plan.description + targets
    let file = Self.folder.appendingPathComponent(name + ".plan")
    if ProcessInfo.processInfo.environment["STAVE_RECORD_GOLDEN"] != nil {
      try text.write(to: file, atomically: true, encoding: .utf8)
    }
    #expect(try String(contentsOf: file, encoding: .utf8) == text)
    #expect(try plan.encoded().count % 8 == 0)
  }

  @Test func refusesWhatItCanNotDo() throws {
    func failure(_ change: (inout ProcessSpec) -> Void) -> String? {
      var (spec, surroundings) = make("docker")
      surroundings.terminalSize = (1, 1)
      change(&spec)
      do {
        _ = try SpawnPlan(spec, in: surroundings).encoded()
        return nil
      } catch { return "\(error)" }
    }
    #expect(failure { $0.arguments = [] } == "start the process: no command specified")
    #expect(failure { $0.namespaces = [] } != nil)
    #expect(failure { $0.namespaces.append(NamespaceSpec(.user)) } != nil)
    #expect(failure { $0.workingDirectory = "srv" } != nil)
    #expect(failure { $0.mounts.append(.bind("/x", at: "/..")) } == "mount bind at /..: the target is the root itself")
    #expect(failure { $0.mounts.append(MountSpec("/x", .bind, source: "/x", options: ["zap"])) } != nil)
    #expect(failure { $0.environment = ["A=\0"] } != nil)
    #expect(failure { $0.root = .overlay(lowers: [], upper: "/u", work: "/w") } != nil)
  }

  @Test func hierarchiesAtTheUsualPlaceAreThoseOfTheMountTable() throws {
    // A machine may have them elsewhere, or none.
    guard let usual = CgroupHierarchies(below: "/sys/fs/cgroup") else { return }
    let table = CgroupHierarchies(
      mountinfo: String(decoding: try HostPath.read("/proc/self/mountinfo"), as: UTF8.self))
    #expect(Set(usual.controllers.keys) == Set(table.controllers.keys))
    #expect((usual.unified == nil) == (table.unified == nil))
    for place in [usual.unified].compactMap({ $0 }) + usual.controllers.values {
      #expect(try HostPath.status(place + "/cgroup.procs") != nil)
    }
  }

  @Test func hierarchiesOfMountinfo() {
    let hybrid = """
      31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw
      32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct
      35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
      41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
      """
    let found = CgroupHierarchies(mountinfo: hybrid)
    #expect(found.unified == "/sys/fs/cgroup/unified")
    #expect(found.controllers == ["cpu": "/sys/fs/cgroup/cpu,cpuacct", "memory": "/sys/fs/cgroup/memory"])
    #expect(!found.isUnifiedOnly)
    #expect(CgroupHierarchies(mountinfo: "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw").isUnifiedOnly)
  }

  @Test func delegatedHierarchies() {
    let own = "5:memory:/user/ann\n3:cpu,cpuacct:/\n0::/user.slice/app.slice/run-1.scope\n"
    let hybrid = """
      32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct
      35 31 0:32 /user /cg/memory rw - cgroup cgroup rw,memory
      41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
      """
    func found(_ writable: String...) -> CgroupHierarchies {
      CgroupHierarchies(mountinfo: hybrid, own: own) { path in
        writable.contains { path == $0 || path == $0 + "/cgroup.procs" }
      }
    }
    let app = "/sys/fs/cgroup/unified/user.slice/app.slice"
    #expect(found().unified == nil)
    #expect(found().controllers == [:])
    #expect(!found().isUnifiedOnly)
    #expect(found(app, app + "/run-1.scope").unified == app)
    #expect(found(app + "/run-1.scope").unified == app + "/run-1.scope")
    #expect(found("/cg/memory/ann", "/sys/fs/cgroup/cpu,cpuacct/user").controllers == ["memory": "/cg/memory/ann"])
    #expect(
      CgroupHierarchies(mountinfo: hybrid, own: "0::/../escape\nnonsense\n5:memory:/elsewhere") { _ in true }
        .controllers == [:])
  }

  @Test func capabilityNames() {
    #expect(Capability.netBindService.name == "CAP_NET_BIND_SERVICE")
    #expect(Capability(name: "sys_admin") == .sysAdmin)
    #expect(Capability(name: "CAP_DAC_READ_SEARCH") == .dacReadSearch)
    #expect(Capability(name: "nope") == nil)
    #expect(Capability.checkpointRestore.rawValue == 40)
  }
}
