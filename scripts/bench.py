#!/usr/bin/env python3
"""Measures Stave against the machine's limit and against the tools that are installed: docker (BuildKit), buildah, podman.

    bench.py [--stave PATH] [--only NAME] [--runs N] [--quick]

Each figure is the median of some runs, in milliseconds (memory in MiB); `x limit` is Stave's figure over the limit's.
The limit is what the same work costs without an image builder. Needs root.
"""

import argparse
import os
import random
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "Tests" / "integration"))
import harness
from harness import Stave
from peers import limits as limit_flags


def timed(argv, runs, before=None, shell=False):
    """The median wall time of a command in milliseconds, or None when it fails."""
    times = []
    for _ in range(runs):
        if before:
            before()
        start = time.perf_counter()
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              shell=shell)
        if done.returncode:
            return None
        times.append((time.perf_counter() - start) * 1000)
    return statistics.median(times)


def peak_memory(argv):
    """The largest resident size of a command and its children in MiB, by wait4."""
    child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_maxrss / 1024 if child.returncode == 0 else None


class Tool:
    """A tool by its argv for each verb; `prefix` holds the global flags."""

    def __init__(self, name, prefix, version, build=(), run=(), load=None, prune=None):
        self.name, self.prefix, self.version = name, prefix, version
        self.build_flags, self.run_flags, self.load, self.prune_args = list(build), list(run), load, prune

    def build(self, context, *flags):
        return [*self.prefix, "build", *self.build_flags, *flags, "-t", "stave-bench", str(context)]

    def run(self, image, *command):
        return [*self.prefix, "run", "--rm", "--network=host", *self.run_flags, image, *command]

    def forget(self):
        """Drops the build cache, untimed."""
        for args in self.prune_args or []:
            subprocess.run([*self.prefix, *args], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def peers(scratch):
    """The installed tools that can build at all here."""
    tools = []
    if shutil.which("docker") and subprocess.run(["docker", "info"], capture_output=True).returncode == 0:
        tools.append(Tool("docker", ["docker"], ["docker", "--version"], ["--network=host"],
                          prune=[["builder", "prune", "-af"]]))
    runtime = ["--runtime=runc"] if shutil.which("runc") else []
    store = ["--root", str(scratch / "containers"), "--runroot", str(scratch / "containers-run")]
    limits = limit_flags()
    if shutil.which("buildah"):
        tools.append(Tool("buildah", ["buildah", *store], ["buildah", "--version"],
                          ["--layers", "--network=host", *runtime, *limits], prune=[["rmi", "--prune", "-f"]]))
    if shutil.which("podman"):
        base = ["podman", *store, "--cgroup-manager=cgroupfs", "--events-backend=file", *runtime]
        tools.append(Tool("podman", base, ["podman", "--version"], ["--layers", "--network=host", *limits], limits,
                          prune=[["image", "prune", "-f"]]))
    return tools


def fill(folder, files):
    for path, data in files:
        path = folder / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def contexts(scratch, quick):
    """The build contexts of all cases."""
    dice = random.Random(1)
    count, size = (3000, 1 << 27) if quick else (30000, 1 << 30)
    steps = ("FROM stave-bench/base\nENV A=1\nWORKDIR /app\nCOPY package.json /app/\nRUN echo deps > deps\n"
             "COPY src /app/src\nRUN cat src/f1 > out1\nRUN echo two > out2\nENV PORT=8080\nLABEL name=bench\n"
             "EXPOSE 8080\nCMD [\"sh\"]\n").encode()
    cached = fill(scratch / "cached", [("Dockerfile", steps), ("package.json", b"{}")] +
                  [(f"src/f{i}", dice.randbytes(700)) for i in range(200)])
    step = fill(scratch / "step", [("Dockerfile", b"FROM stave-bench/base\nRUN true\n")])
    many = fill(scratch / "many", [("Dockerfile", b"FROM stave-bench/base\nCOPY tree /tree\n")] +
                [(f"tree/p{i // 20}/f{i % 20}.js", dice.randbytes(int(dice.lognormvariate(7.4, 1.2)) % 60000 + 50))
                 for i in range(count)])
    big = fill(scratch / "big", [("Dockerfile", b"FROM stave-bench/base\nCOPY big /big\n")])
    with open(big / "big", "wb") as out:
        for _ in range(size >> 20):
            out.write(dice.randbytes(1 << 20))
    return cached, step, many, big


class Table:
    """Rows of case, Stave's figure, the limit, and each peer's."""

    def __init__(self, tools):
        self.tools = tools
        print(f"{'case':<34}{'stave':>10}{'limit':>10}{'x limit':>9}" + "".join(f"{t.name:>11}" for t in tools))

    def row(self, name, own, limit, others, unit="ms"):
        ratio = f"{own / limit:8.2f}x" if own and limit else f"{'-':>9}"
        cells = "".join(f"{self.cell(v, own):>11}" for v in others)
        print(f"{name + ', ' + unit:<34}{self.number(own):>10}{self.number(limit):>10}{ratio}{cells}", flush=True)

    @staticmethod
    def number(value):
        return "-" if value is None else f"{value:.1f}"

    @staticmethod
    def cell(value, own):
        return "-" if value is None else f"{value:.0f}" + (f" {value / own:.1f}x" if own else "")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stave")
    parser.add_argument("--bases")
    parser.add_argument("--only")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a tenth of the files and bytes")
    options = parser.parse_args()
    scratch = harness.scratch_dir("stave-bench-")
    try:
        measure(options, scratch)
    finally:
        harness.remove_tree(scratch)


def prepare(scratch, stave, bases, tools):
    """Gives every tool the same base image under the same name."""
    stave.load_bases(bases, ["busybox"])
    stave.ok("tag", harness.BASE_NAMES["busybox"], "stave-bench/base:latest")
    archive = scratch / "base.tar"
    stave.ok("save", "--format", "docker-archive", "-o", archive, "stave-bench/base:latest")
    able = []
    for tool in tools:
        argv = ["pull", "-q", f"docker-archive:{archive}"] if tool.name == "buildah" else ["load", "-i", str(archive)]
        if subprocess.run([*tool.prefix, *argv], capture_output=True).returncode == 0:
            able.append(tool)
    return able


def measure(options, scratch):
    bases = harness.find_bases(options.bases)
    if bases is None:
        sys.exit("find base images: none; run scripts/base-images.py or set STAVE_BASE_IMAGES")
    stave = Stave(harness.find_stave(options.stave), scratch / "store")
    tools = prepare(scratch, stave, bases, peers(scratch))
    own = Tool("stave", [stave.binary, "--root", str(stave.root)], [stave.binary, "version"], ["--network=host"],
               prune=[])
    cached, step, many, big = contexts(scratch, options.quick)
    everyone, runs, table = [own, *tools], options.runs, Table(tools)

    def case(name, limit, figure, unit="ms"):
        if options.only and options.only not in name:
            return
        values = [figure(tool) for tool in everyone]
        table.row(name, values[0], limit() if limit else None, values[1:], unit)

    def cold(tool, context, count):
        return timed(tool.build(context, "--no-cache"), count, before=tool.forget)

    def warm(tool, context):
        timed(tool.build(context), 1)
        return timed(tool.build(context), runs)

    def packed(folder, out):
        return timed(f"tar -C {folder} -cf - . | tee {out} | openssl dgst -sha256", 3, shell=True)

    case("version", lambda: timed(["/bin/true"], 20), lambda t: timed(t.version, 20))
    case("cached rebuild, 12 steps", lambda: timed(["/bin/true"], 20), lambda t: warm(t, cached))
    case("RUN step (build of one)", lambda: timed(["unshare", "-mpiuC", "--fork", "true"], 20),
         lambda t: cold(t, step, runs))
    case("run --rm true", lambda: timed(["unshare", "-mpiuC", "--fork", "true"], 20),
         lambda t: None if t.name == "buildah" else timed(t.run("stave-bench/base", "true"), runs))
    count = "3,000" if options.quick else "30,000"
    case(f"COPY of {count} files", lambda: packed(many / "tree", "/dev/null"), lambda t: cold(t, many, 3))
    case("the same, unchanged", lambda: timed(["find", str(many), "-printf", "%s%t"], 5), lambda t: warm(t, many))
    size = "128 MiB" if options.quick else "1 GiB"
    case(f"COPY of {size}", lambda: packed(big, scratch / "packed"), lambda t: cold(t, big, 3))
    case(f"memory, COPY of {size}", None, lambda t: None if t.name == "docker" else
         peak_memory(t.build(big, "--no-cache")), "MiB")


if __name__ == "__main__":
    main()
