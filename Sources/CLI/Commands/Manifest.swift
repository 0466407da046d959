internal import Core
internal import Engine
internal import Linux

extension CommandTree {
  /// `stave manifest ...`.
  static let manifestGroup: [Command] = [
    .createList, .addToList, .annotateList, .removeFromList, .listExists, .inspectManifest, .pushList, .removeLists,
  ]
}

extension Command {
  fileprivate static let createList = Command(
    path: ["manifest", "create"], usage: "[OPTIONS] LIST IMAGE [IMAGE...]",
    summary: "Make a list of images, of this machine or of registries",
    flags: [
      Flag("all", .bool, "Of a list take all images"),
      Flag("amend", "a", .bool, "Add to the list if it exists"),
      Flag("annotation", .list, "Set an annotation of the list", placeholder: "key=value"),
    ] + insecure + Flag.registry, arity: .atLeast(2), argumentKind: .images
  ) { call in
    var request = ListRequest()
    request.amends = call.bool("amend")
    request.takesAll = call.bool("all")
    request.annotations = try call.annotations()
    let name = try await call.engine.createList(
      call.arguments[0], Array(call.arguments.dropFirst()), request, call.listOptions)
    call.console.line("Created manifest list \(name)")
    return 0
  }

  fileprivate static let addToList = Command(
    path: ["manifest", "add"], usage: "[OPTIONS] LIST IMAGE [IMAGE...]", summary: "Add images to a list",
    flags: [Flag("all", .bool, "Of a list add all images")] + changes + insecure + Flag.registry,
    arity: .atLeast(2), argumentKind: .images
  ) { call in
    let digests = try await call.engine.addToList(
      call.arguments[0], Array(call.arguments.dropFirst()), try call.listChanges(), all: call.bool("all"),
      call.listOptions)
    for digest in digests { call.console.line(digest.text) }
    return 0
  }

  fileprivate static let annotateList = Command(
    path: ["manifest", "annotate"], usage: "[OPTIONS] LIST IMAGE",
    summary: "Change what a list says of an image",
    flags: [Flag("index", .bool, "Annotate the list itself")] + changes + insecure + Flag.registry,
    arity: .atLeast(1), argumentKind: .images
  ) { call in
    let isIndex = call.bool("index")
    guard call.arguments.count == (isIndex ? 1 : 2) else {
      throw call.usage(isIndex ? "--index goes with a LIST alone" : "\"stave manifest annotate\" needs LIST and IMAGE")
    }
    if isIndex, changeFlags.contains(where: call.has) { throw call.usage("of a list only --annotation can be set") }
    try await call.engine.annotateList(
      call.arguments[0], isIndex ? nil : call.arguments[1], try call.listChanges(), call.listOptions)
    return 0
  }

  fileprivate static let removeFromList = Command(
    path: ["manifest", "remove"], usage: "[OPTIONS] LIST IMAGE", summary: "Take an image out of a list",
    flags: insecure + Flag.registry, arity: .exactly(2), argumentKind: .images
  ) { call in
    try await call.engine.removeFromList(call.arguments[0], call.arguments[1], call.listOptions)
    return 0
  }

  fileprivate static let listExists = Command(
    path: ["manifest", "exists"], usage: "LIST", summary: "Exit with 0 if there is such a list on this machine, else 1",
    arity: .exactly(1), argumentKind: .images
  ) { call in
    try await call.engine.hasList(call.arguments[0]) ? 0 : 1
  }

  fileprivate static let inspectManifest = Command(
    path: ["manifest", "inspect"], usage: "[OPTIONS] NAME",
    summary: "Show a list, or a manifest of a registry, as JSON",
    flags: [Flag("verbose", "v", .bool, "Show each manifest with its platform and content")] + insecure + Flag.registry,
    arity: .exactly(1), argumentKind: .images
  ) { call in
    let (name, options) = (call.arguments[0], call.listOptions)
    let json =
      call.bool("verbose")
      ? try await call.engine.inspectManifestVerbosely(name, options)
      : try await call.engine.inspectManifest(name, options)
    call.console.line(json.pretty(indent: 3))
    return 0
  }

  fileprivate static let pushList = Command(
    path: ["manifest", "push"], usage: "[OPTIONS] LIST [DESTINATION]",
    summary: "Send a list and its images to a registry",
    flags: [
      Flag("purge", "p", .bool, "Forget the list afterwards"),
      Flag("rm", .bool, "The same, as podman calls it", isHidden: true),
      Flag("quiet", "q", .bool, "Print the digest only"),
      Flag("digestfile", .string, "Write the digest to this file", placeholder: "path"),
      .note("all", .bool, "Send the images too", "the images always go with their list"),
    ] + Flag.compression + insecure + Flag.registry, arity: .atLeast(1), argumentKind: .images, action: pushManifestList
  )

  fileprivate static let removeLists = Command(
    path: ["manifest", "rm"], usage: "LIST [LIST...]", summary: "Forget lists", arity: .atLeast(1),
    argumentKind: .images
  ) { call in
    try await call.forEachArgument { try await call.engine.removeList($0) }
  }

  private static let insecure = [Flag("insecure", .bool, "Allow plain HTTP and certificates that can't be verified")]

  /// What `annotate` and `add` set.
  private static let changes: [Flag] = [
    Flag("annotation", .list, "Set an annotation", placeholder: "key=value"),
    Flag("arch", .string, "Set the processor architecture"),
    Flag("os", .string, "Set the operating system"),
    Flag("os-features", .list, "Set features of the operating system", placeholder: "feature"),
    Flag("os-version", .string, "Set the version of the operating system"),
    Flag("variant", .string, "Set the architecture's variant"),
    .later("features", .list),
  ]
  private static let changeFlags = ["arch", "os", "os-features", "os-version", "variant"]
}

private func pushManifestList(_ call: Invocation) async throws -> Int32 {
  guard call.arguments.count <= 2 else { throw call.usage("\"stave manifest push\" takes LIST and DESTINATION") }
  let push = try call.pushOptions()
  let name = call.arguments[0]
  let printer = TransferPrinter(call.console, to: .output)
  let isQuiet = call.bool("quiet")
  let digest = try await interruptible {
    defer { printer.finish() }
    return try await call.engine.pushList(
      name, to: call.arguments.dropFirst().first, push, call.listOptions
    ) { event in
      if !isQuiet { printer.handle(event) }
    }
  }
  if let path = call.string("digestfile") { try HostPath.write(Array(digest.text.utf8), to: path) }
  if call.bool("purge") || call.bool("rm") { try await call.engine.removeList(name) }
  call.console.line(digest.text)
  return 0
}

extension Invocation {
  /// What the registry flags say; `--insecure` is docker's word for `--tls-verify=false`.
  var listOptions: RegistryOptions {
    var options = registryOptions
    if bool("insecure") { options.verifiesTLS = false }
    return options
  }

  fileprivate func annotations() throws -> [String: String] {
    Dictionary(try pairs("annotation").map { ($0.name, $0.value) }, uniquingKeysWith: { _, last in last })
  }

  fileprivate func listChanges() throws -> ManifestList.Changes {
    var changes = ManifestList.Changes()
    changes.os = string("os")
    changes.architecture = string("arch")
    changes.variant = string("variant")
    changes.osVersion = string("os-version")
    changes.osFeatures = list("os-features").flatMap { $0.split(separator: ",").map(String.init) }
    changes.annotations = try annotations()
    return changes
  }
}
