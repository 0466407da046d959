/// The flags of `run`: Docker's.
let runFlags: [Flag] = runFlagsNow + runFlagsWithoutEffect + runFlagsLater

private let runFlagsNow: [Flag] = [
  Flag("add-host", .list, "Add a line to /etc/hosts", placeholder: "host:ip"),
  Flag("cap-add", .list, "Add a Linux capability", placeholder: "capability"),
  Flag("cap-drop", .list, "Drop a Linux capability", placeholder: "capability"),
  Flag("cidfile", .string, "Write the container's ID to this file", placeholder: "path"),
  Flag("cpu-period", .int, "Period of the processor quota, in microseconds"),
  Flag("cpu-quota", .int, "Processor time in each period, in microseconds"),
  Flag("cpu-shares", "c", .int, "Relative weight among containers"),
  Flag("cpus", .string, "Number of processors", placeholder: "decimal"),
  Flag("cpuset-cpus", .string, "Processors to run on", placeholder: "0-3,5"),
  Flag("cpuset-mems", .string, "Memory nodes to use", placeholder: "0-3,5"),
  Flag("entrypoint", .string, "Replace the image's ENTRYPOINT", placeholder: "command"),
  Flag(
    "env", "e", .list, "Set a variable; without a value, take it from the environment",
    placeholder: "name[=value]"),
  Flag("env-file", .list, "Read variables from a file", placeholder: "path"),
  Flag("hostname", "h", .string, "The container's host name", placeholder: "name"),
  Flag("interactive", "i", .bool, "Pass standard input on"),
  Flag("label", "l", .list, "Set a label of the container", placeholder: "key=value"),
  Flag("label-file", .list, "Read labels from a file", placeholder: "path"),
  Flag("memory", "m", .string, "Memory limit", placeholder: "bytes"),
  Flag("memory-reservation", .string, "Memory to keep when it is short", placeholder: "bytes"),
  Flag("memory-swap", .string, "Limit of memory and swap together, -1 for no limit", placeholder: "bytes"),
  Flag("name", .string, "Name the container", placeholder: "name"),
  Flag("network", .string, "host or none (default: host)", placeholder: "mode"),
  Flag("pids-limit", .int, "Limit of processes and threads, -1 for none"),
  Flag("privileged", .bool, "Give the container all rights of the host's root"),
  Flag("pull", .string, "When to pull the image", choices: ["always", "missing", "never"], placeholder: "policy"),
  Flag("quiet", "q", .bool, "Hide the progress of pulling"),
  Flag("read-only", .bool, "Mount the root file system read-only"),
  Flag("restart", .string, "Restart policy; only no is there yet", placeholder: "policy"),
  Flag("rm", .bool, "Remove the container when it exits"),
  Flag("security-opt", .list, "no-new-privileges, seccomp=unconfined", placeholder: "option"),
  Flag("sig-proxy", .bool, "Pass signals to the process (default: true)"),
  Flag("tty", "t", .bool, "Give the container a terminal"),
  Flag("user", "u", .string, "User and group, by name or number", placeholder: "user[:group]"),
  Flag("volume", "v", .list, "Mount a directory or file of the host", placeholder: "host:container[:ro]"),
  Flag("workdir", "w", .string, "The directory to start in", placeholder: "path"),
]

private let runFlagsWithoutEffect: [Flag] = [
  .note("disable-content-trust", .bool, "Skip verification", "there is no content trust"),
  .note("no-healthcheck", .bool, "Run no health checks", "none are run yet"),
]

private let runFlagsLater: [Flag] =
  [
    .later("attach", "a", .list), .later("detach", "d", .bool), .later("publish", "p", .list),
    .later("publish-all", "P", .bool), .later("net", .string, hint: "write --network"),
  ]
  + Flag.later(
    [
      "annotation", "blkio-weight-device", "device", "device-cgroup-rule", "device-read-bps", "device-read-iops",
      "device-write-bps", "device-write-iops", "dns", "dns-option", "dns-search", "expose", "group-add", "link",
      "link-local-ip", "log-opt", "mount", "network-alias", "storage-opt", "sysctl", "tmpfs", "ulimit",
      "volumes-from",
    ], .list)
  + Flag.later(
    [
      "cgroup-parent", "cgroupns", "detach-keys", "domainname", "gpus", "health-cmd", "health-interval",
      "health-start-interval", "health-start-period", "health-timeout", "io-maxbandwidth", "ip", "ip6", "ipc",
      "isolation", "kernel-memory", "log-driver", "mac-address", "pid", "platform", "runtime", "shm-size",
      "stop-signal", "userns", "uts", "volume-driver",
    ], .string)
  + Flag.later(
    [
      "blkio-weight", "cpu-count", "cpu-percent", "cpu-rt-period", "cpu-rt-runtime", "health-retries", "io-maxiops",
      "memory-swappiness", "oom-score-adj", "stop-timeout",
    ], .int)
  + Flag.later(["init", "oom-kill-disable", "use-api-socket"], .bool)
