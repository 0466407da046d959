"""The tools that are compared, each with the same base image under the same name, and what all rows share."""

import shutil
import subprocess

import harness
from benchmark import clock
from harness import Stave
from peers import limits as limit_flags

BASE = "stave-bench/base:latest"


class Tool:
    """A tool by its argv for each verb; `prefix` holds the global flags, `forget` the verbs that drop its cache."""

    def __init__(self, name, prefix, version, build=(), run=(), forget=()):
        self.name, self.prefix, self.version = name, prefix, version
        self.build_flags, self.run_flags, self.forget_verbs = list(build), list(run), list(forget)

    def build(self, context, *flags):
        return [*self.prefix, "build", *self.build_flags, *flags, "-t", "stave-bench", str(context)]

    def run(self, image, *command):
        return [*self.prefix, "run", "--rm", "--network=host", *self.run_flags, image, *command]

    def forget(self):
        """Drops the build cache."""
        for verb in self.forget_verbs:
            quiet([*self.prefix, *verb], 60)


class Bench:
    """The options, the scratch directory, Stave with a store, and the peers that can build here."""

    def __init__(self, options, scratch, binary, bases):
        self.scratch, self.runs, self.quick, self.bases = scratch, options.runs, options.quick, bases
        self.cap = options.peer_cap
        self.binary = binary
        self.stave = self.store("store")
        archive = scratch / "base.tar"
        self.stave.ok("save", "--format", "docker-archive", "-o", archive, BASE)
        able = [] if options.quick or options.without_peers else installed(scratch)
        self.peers = [tool for tool in able if load(tool, archive)]

    def store(self, name):
        """Stave on a new store that holds the base image."""
        stave = Stave(self.binary, self.scratch / name)
        stave.load_bases(self.bases, ["busybox"])
        stave.ok("tag", harness.BASE_NAMES["busybox"], BASE)
        return stave

    def own(self, stave=None):
        """Stave as a tool."""
        stave = stave or self.stave
        return Tool("stave", [stave.binary, "--root", str(stave.root)], [stave.binary, "version"], ["--network=host"])

    def ask(self, figure):
        """What `figure` says of each peer, within the cap."""
        return [figure(peer) for peer in self.peers]

    def cold(self, context, runs=3):
        """The cost of Stave's build in a store that has the base image and nothing else."""
        def fresh():
            harness.remove_tree(self.scratch / "cold")
            self.store("cold")
        tool = self.own(Stave(self.binary, self.scratch / "cold"))
        cost = clock.cost(tool.build(context), runs, before=fresh)
        harness.remove_tree(self.scratch / "cold")
        return cost

    def cold_peer(self, peer, context, runs=3):
        return clock.cost(peer.build(context, "--no-cache"), runs, before=peer.forget, cap=self.cap)

    def warm(self, tool, context, runs, before=None, cap=None):
        """The cost of a build that was made before."""
        if clock.once(tool.build(context), cap) is None:
            return None
        return clock.cost(tool.build(context), runs, before=before, cap=cap)

    def count(self, number):
        """A number of files or layers; a tenth with --quick."""
        return number // 10 if self.quick else number


def quiet(argv, cap):
    """Runs a command that may fail; whether it succeeded within `cap` seconds."""
    try:
        return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=cap).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def installed(scratch):
    """The installed tools that can build at all here."""
    tools = []
    if shutil.which("docker") and quiet(["docker", "info"], 10):
        tools.append(Tool("docker", ["docker"], ["docker", "--version"], ["--network=host"],
                          forget=[["builder", "prune", "-af"]]))
    runtime = ["--runtime=runc"] if shutil.which("runc") else []
    store = ["--root", str(scratch / "containers"), "--runroot", str(scratch / "containers-run")]
    limits = limit_flags()
    if shutil.which("buildah"):
        tools.append(Tool("buildah", ["buildah", *store], ["buildah", "--version"],
                          ["--layers", "--network=host", *runtime, *limits], forget=[["rmi", "--prune", "-f"]]))
    if shutil.which("podman"):
        base = ["podman", *store, "--cgroup-manager=cgroupfs", "--events-backend=file", *runtime]
        tools.append(Tool("podman", base, ["podman", "--version"], ["--layers", "--network=host", *limits], limits,
                          forget=[["image", "prune", "-f"]]))
    return tools


def load(tool, archive):
    verb = ["pull", "-q", f"docker-archive:{archive}"] if tool.name == "buildah" else ["load", "-i", str(archive)]
    return quiet([*tool.prefix, *verb], 120)
