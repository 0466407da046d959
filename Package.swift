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

func tests(_ name: String, _ imports: [String], resources: [Resource] = []) -> Target {
  .testTarget(
    name: name, dependencies: imports.map { .byName(name: $0) }, resources: resources,
    swiftSettings: swift)
}

let package = Package(
  name: "stave",
  products: [.executable(name: "stave", targets: ["stave"])],
  dependencies: [
    .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0")
  ],
  targets: [
    library("CCrypto"), library("CArchive"), library("CZlib"), library("CZstd"), library("CISAL"),
    library("CSeccomp"),

    module("Core", ["CCrypto"]),
    .target(name: "CLinux", cSettings: [.unsafeFlags(["-Wall", "-Wextra", "-Werror"])]),
    module("Linux", ["Core", "CLinux"]),
  ]
)
