/// The flags of `build`: Docker's, buildx's and buildah's.
let buildFlags: [Flag] = buildFlagsNow + Flag.compression + Flag.registry + buildFlagsWithoutEffect + buildFlagsLater

private let buildFlagsNow: [Flag] = [
  Flag("add-host", .list, "Add a line to /etc/hosts of RUN steps", placeholder: "host:ip"),
  Flag(
    "annotation", .list, "Annotate the image's manifest, or its list: index:key=value",
    placeholder: "[type:]key=value"),
  Flag(
    "build-arg", .list, "Set a build argument; without a value, take it from the environment",
    placeholder: "name[=value]"),
  Flag(
    "cache-from", .list, "Take steps from this cache: NAME, type=registry,ref=NAME or type=local,src=DIR",
    placeholder: "cache"),
  Flag(
    "cache-to", .list,
    "Write the steps to this cache: type=registry,ref=NAME[,mode=max], type=local,dest=DIR or type=inline",
    placeholder: "cache"),
  Flag("file", "f", .list, "The Dockerfile; - for standard input (default: Dockerfile in PATH)", placeholder: "path"),
  Flag("iidfile", .string, "Write the image ID to this file", placeholder: "path"),
  Flag("jobs", .int, "Steps that run at the same time (default: the number of processors)"),
  Flag("label", .list, "Set a label of the image", placeholder: "key=value"),
  Flag("metadata-file", .string, "Write what was built to this file, as JSON", placeholder: "path"),
  Flag("network", .string, "Network of RUN steps: host or none (default: host)", placeholder: "mode"),
  Flag("no-cache", .bool, "Run every step, whatever was built before"),
  Flag("platform", .list, "The platforms to build for; several make a list", placeholder: "os/arch"),
  Flag(
    "print", .optional(implied: "graph"), "Print the build graph and stop", choices: ["graph"],
    placeholder: "what"),
  Flag(
    "progress", .string, "How to show progress (default: auto)",
    choices: ["auto", "plain", "tty", "rawjson", "quiet", "none"], placeholder: "style"),
  Flag(
    "pull", .optional(implied: "true"), "Ask the registry for newer base images",
    choices: ["true", "false", "always", "missing", "never", "newer"], placeholder: "policy"),
  Flag("push", .bool, "Push the image to the registries that its names name"),
  Flag("quiet", "q", .bool, "Print nothing but the image ID"),
  Flag("rewrite-timestamp", .bool, "Let no file of a new layer be later than --source-date-epoch"),
  Flag(
    "source-date-epoch", .string, "The time of the image and its history (default: $SOURCE_DATE_EPOCH)",
    placeholder: "seconds"),
  Flag("tag", "t", .list, "Name the image; may be repeated", placeholder: "name[:tag]"),
  Flag("target", .string, "The stage to build (default: the last)", placeholder: "stage"),
]

private let buildFlagsWithoutEffect: [Flag] = [
  .note("load", .bool, "Put the image into the store", "images always are in the store"),
  .note("rm", .bool, "Remove intermediate containers", "there are none"),
  .note("force-rm", .bool, "Remove intermediate containers", "there are none"),
  .note("layers", .optional(implied: "true"), "Keep intermediate layers", "they are always kept"),
  .note("skip-unused-stages", .bool, "Leave out stages that nothing needs", "they always are left out"),
  .note("compress", .bool, "Compress the build context", "the context is read in place"),
  .note("disable-content-trust", .bool, "Skip verification", "there is no content trust"),
  .note("builder", .string, "The builder instance", "there is one builder"),
]

private let buildFlagsLater: [Flag] =
  [
    .later("cpu-shares", "c", .int), .later("memory", "m", .string), .later("output", "o", .list),
    .later("volume", "v", .list), .later("debug", "D", .bool),
    .later("squash", .bool), .later("provenance", .optional(implied: "true")),
    .later("sbom", .optional(implied: "true")), .later("call", .string), .later("check", .bool),
  ]
  + Flag.later(
    [
      "allow", "attest", "build-arg-file", "build-context", "cap-add",
      "cap-drop", "cpp-flag", "decryption-key", "device", "dns", "dns-option", "dns-search", "env", "group-add",
      "hooks-dir", "layer-label", "mount", "no-cache-filter", "os-feature", "policy", "resource", "runtime-flag",
      "secret", "security-opt", "ssh", "ulimit", "unsetannotation", "unsetenv", "unsetlabel",
    ], .list)
  + Flag.later(
    [
      "arch", "cache-ttl", "cgroup-parent", "cgroupns", "cpuset-cpus",
      "cpuset-mems", "cw", "format", "from", "ignorefile", "ipc", "isolation", "logfile", "manifest",
      "memory-swap", "os", "os-version", "pid", "retry-delay", "runtime", "sbom-output", "shm-size",
      "sign-by", "source-policy-file", "timestamp", "userns", "userns-gid-map",
      "userns-gid-map-group", "userns-uid-map", "userns-uid-map-user", "uts", "variant",
    ], .string)
  + Flag.later(["cpu-period", "cpu-quota", "retry"], .int)
  + Flag.later(
    [
      "all-platforms", "compat-volumes", "created-annotation", "disable-compression",
      "http-proxy", "identity-label", "inherit-annotations", "inherit-labels", "logsplit", "no-hostname", "no-hosts",
      "omit-history", "save-stages", "squash-all", "stage-labels", "stdin",
    ], .bool)
