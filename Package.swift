// swift-tools-version: 6.2
// The house: one line a module, lowest level first. `Tests/HouseTests` reads the `import` lines of the
// sources against this table; docs/architecture.md explains it.
import PackageDescription

let swift: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .treatAllWarnings(as: .error),
]

let c: [CSetting] = [.unsafeFlags(["-std=gnu11", "-Wall", "-Wextra", "-Werror"])]

/// libcrypto statically: only SHA-256 is pulled in, and no start waits for the library to be found and relocated.
let executableLinking: [LinkerSetting] = [
  .unsafeFlags(["-Xlinker", "-l:libcrypto.a"])
]

/// What makes the release start fast (docs/decisions/0010): a fixed address, since a movable program of this size has
/// 84,000 addresses to correct at every start; SQLite, the C++ and the GCC runtime from their archives, by the linker
/// scripts in Sources/Libs/Static; no table of 10,000 symbols for libraries that never ask; no debug sections.
/// lld is the toolchain's own, and the one that reads such scripts.
let releaseLinking: [LinkerSetting] = [
  .unsafeFlags(
    [
      "-use-ld=lld", "-L", "\(Context.packageDirectory)/Sources/Libs/Static", "-Xclang-linker", "-no-pie",
      "-Xclang-linker", "-static-libgcc", "-Xlinker", "--no-export-dynamic", "-Xlinker", "--strip-debug",
    ], .when(configuration: .release))
]

/// A Swift module of ours: its name, the modules it may import, and what comes from other packages.
func module(
  _ name: String, _ imports: [String] = [], packages: [Target.Dependency] = []
) -> Target {
  .target(
    name: name, dependencies: imports.map { .byName(name: $0) } + packages,
    swiftSettings: swift)
}

/// A system library: modulemap and shim header, nothing compiled. No link line here: what is needed at start-up is
/// linked statically below, the rest is bound on first use.
func library(_ name: String) -> Target {
  .systemLibrary(name: name, path: "Sources/Libs/\(name)")
}

func tests(_ name: String, _ imports: [String]) -> Target {
  .testTarget(
    name: name, dependencies: imports.map { .byName(name: $0) }, swiftSettings: swift,
    linkerSettings: executableLinking)
}

let package = Package(
  name: "stave",
  products: [.executable(name: "stave", targets: ["stave"])],
  dependencies: [
    .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0")
  ],
  targets: [
    library("CCrypto"), library("CArchive"), library("CZlib"), library("CZstd"), library("CISAL"),
    library("CSeccomp"), library("CCurl"),

    module("Core", ["CCrypto"]),
    module("Dockerfile", ["Core"]),
    module("Graph", ["Core", "Dockerfile"]),

    .target(name: "CLinux", cSettings: c),
    module("Linux", ["Core", "CLinux"]),

    module("FileTree", ["Core", "Linux", "CArchive", "CZlib", "CZstd", "CISAL"]),
    module(
      "Store", ["Core", "Linux", "FileTree"], packages: [.product(name: "GRDB", package: "GRDB.swift")]),
    module("HTTP", ["Core", "Linux", "CCurl"]),
    module("Registry", ["Core", "Linux", "HTTP"]),
    .target(name: "CSandbox", cSettings: c),
    module("Sandbox", ["Core", "Linux", "CSandbox", "CSeccomp"]),

    module(
      "Builder",
      ["Core", "Linux", "Dockerfile", "Graph", "FileTree", "HTTP", "Registry", "Store", "Sandbox"]),
    module(
      "Engine",
      ["Core", "Linux", "Dockerfile", "Graph", "FileTree", "HTTP", "Registry", "Store", "Sandbox", "Builder"]),
    module("CLI", ["Core", "Linux", "Engine"]),
    .executableTarget(
      name: "stave", dependencies: ["CLI", "Linux"], swiftSettings: swift,
      linkerSettings: executableLinking + releaseLinking),

    tests("HouseTests", []),
    tests("CoreTests", ["Core"]),
    tests("DockerfileTests", ["Core", "Dockerfile"]),
    tests("GraphTests", ["Core", "Dockerfile", "Graph"]),
    tests("LinuxTests", ["Core", "Linux"]),
    tests("FileTreeTests", ["Core", "Linux", "FileTree"]),
    tests("StoreTests", ["Core", "Linux", "FileTree", "Store"]),
    tests("HTTPTests", ["Core", "Linux", "HTTP"]),
    tests("RegistryTests", ["Core", "Linux", "HTTP", "Registry"]),
    tests("SandboxTests", ["Core", "Linux", "Sandbox"]),
    tests(
      "BuilderTests",
      ["Core", "Linux", "Graph", "FileTree", "HTTP", "Registry", "Store", "Sandbox", "Builder"]),
    tests("EngineTests", ["Core", "Linux", "Engine"]),
    tests("CLITests", ["Core", "Linux", "Engine", "CLI"]),
  ]
)
