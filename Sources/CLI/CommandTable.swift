extension CommandTree {
  /// All of Stave's commands.
  static let stave = CommandTree(
    commands: top + imageGroup + containerGroup + builderGroup + manifestGroup + systemGroup + later,
    groups: [
      ("builder", "Manage the build cache"),
      ("container", "Manage containers"),
      ("image", "Manage images"),
      ("manifest", "Manage lists of images for several platforms"),
      ("system", "Manage Stave"),
    ])

  private static let top: [Command] = [
    .build(["build"]), .run(["run"]), .images(["images"]), .tag(["tag"]), .removeImages(["rmi"]),
    .importImage(["import"]), .load(["load"]), .save(["save"]), .pull(["pull"]), .push(["push"]), .login, .logout,
    .history(["history"]), .inspect(["inspect"]), .search,
    .containers(["ps"]), .removeContainers(["rm"]), .info(["info"]), .version, .completion, .help, .debug,
  ]

  private static let imageGroup: [Command] = [
    .build(["image", "build"]), .history(["image", "history"]), .importImage(["image", "import"]),
    .inspect(["image", "inspect"]), .load(["image", "load"]), .images(["image", "ls"]), .pruneImages,
    .pull(["image", "pull"]), .push(["image", "push"]), .removeImages(["image", "rm"]), .save(["image", "save"]),
    .tag(["image", "tag"]),
  ]

  private static let containerGroup: [Command] = [
    .inspect(["container", "inspect"]), .containers(["container", "ls"]), .pruneContainers,
    .removeContainers(["container", "rm"]), .run(["container", "run"]),
  ]

  private static let builderGroup: [Command] = [
    .build(["builder", "build"]), .cacheUsage, .pruneBuildCache,
  ]

  private static let systemGroup: [Command] = [.systemCheck, .systemUsage, .info(["system", "info"]), .pruneSystem]

  /// Known to Docker's users, not there yet. The words of a run-like command's own failure codes need 125.
  private static let later: [Command] =
    [
      "attach", "bake", "buildx", "commit", "compose", "config", "context", "cp", "diff", "events", "export", "kill",
      "logs", "network", "node", "pause", "plugin", "port", "rename",
      "restart", "secret", "serve", "service", "shell", "stack", "start", "stats", "stop", "swarm", "top",
      "trust", "unpause", "update", "volume", "wait",
    ].map { .notYet($0, "") }
    + [
      "container attach", "container commit", "container cp", "container diff",
      "container export", "container kill", "container logs", "container pause", "container port",
      "container rename", "container restart", "container start", "container stats", "container stop",
      "container top", "container unpause", "container update", "container wait", "system events",
    ].map { .notYet($0, "") }
    + ["create", "exec", "container create", "container exec"].map { .notYet($0, "", exitCode: 125) }
}
