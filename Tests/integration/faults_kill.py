#!/usr/bin/env python3
"""Kills commands with SIGKILL at random moments; after each the store must be whole and the next build must work.

    faults_kill.py [--stave PATH] [--bases DIR] [--rounds N] [--seed N]

Needs root and the busybox base image. A round starts one command or several at once (builds, load, save, run, prune) on
one store, kills the process or its whole group at a random moment, checks the store, and builds. At the end no
process, mount, control group, loop device or temporary file may be left.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import harness
from harness import Problem, Stave, Tally

DOCKERFILE = """FROM busybox AS one
ARG A=0
RUN mkdir -p /d/e && for i in 1 2 3 4 5 6 7 8; do echo $A $i > /d/e/$i; done && dd if=/dev/zero of=/d/zeros bs=64k count=8
COPY files /files
FROM busybox
ARG A=0
COPY --from=one /d /d
RUN rm /d/e/1 && echo $A > /d/e/9
WORKDIR /w/x
COPY files/1 /w/x/
CMD cat /d/e/9 /w/x/1
"""


class Torture:
    """A store, what is done to it, and what must hold afterwards."""

    def __init__(self, stave, folder, dice):
        self.stave, self.folder, self.dice = stave, folder, dice
        self.context = folder / "context"
        (self.context / "files").mkdir(parents=True)
        (self.context / "Dockerfile").write_text(DOCKERFILE)
        for number in range(40):
            (self.context / "files" / str(number)).write_bytes(b"%d\n" % number + bytes(number * 1000))
        self.archive = folder / "archive.tar"
        self.mounts, self.loops, self.groups = mounts(), loops(), groups()
        self.seconds = {}

    def build(self, value, tag):
        return ["build", "-q", "-t", tag, "--build-arg", f"A={value}", self.context]

    def prepare(self, bases):
        self.stave.load_bases(bases, ["busybox"])
        self.stave.ok("build", "-t", "kept", self.context)
        self.stave.ok("save", "-o", self.archive, "kept")

    def commands(self, round_number):
        """One set of commands to be started together, and its name."""
        fresh, pick = [f"{round_number}-{n}" for n in range(3)], self.dice.randrange(10)
        builds = [self.build(value, f"t{n}") for n, value in enumerate(fresh)]
        if pick < 3:
            return "build", builds[:1]
        if pick == 3:
            return "builds", builds
        if pick == 4:
            return "same builds", [builds[0]] * 3
        if pick == 5:
            return "load", [["load", "-i", self.archive]]
        if pick == 6:
            return "run", [["run", "--rm", "kept", "sh", "-c", "echo 1 > /1; sleep 0.05"], builds[0]]
        if pick == 7:
            return "prune", [["builder", "prune", "-af"], ["image", "prune", "-f"]]
        if pick == 8:
            return "build and prune", [builds[0], ["builder", "prune", "-f", "--keep-storage", "1"], builds[1],
                                       ["system", "prune", "-f"]]
        return "save and rmi", [["save", "-o", self.folder / "saved.tar", "kept"], ["rmi", "-f", "t0"]]

    def start(self, command):
        argv = [self.stave.binary, "--root", str(self.stave.root), *map(str, command)]
        log = open(self.folder / "last.log", "ab")
        return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

    def round(self, number):
        name, commands = self.commands(number)
        usual = self.seconds.get(name, 0.3)
        started = time.monotonic()
        children = [self.start(command) for command in commands]
        time.sleep(self.dice.random() * usual * 1.1)
        # The rest runs on or ends with the first.
        some = children if self.dice.random() < 0.7 else children[:1]
        whole = self.dice.random() < 0.5
        for child in some:
            try:
                (os.killpg if whole else os.kill)(child.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        ended = all([child.wait() >= 0 for child in children])
        if ended:
            self.seconds[name] = time.monotonic() - started
        self.check(f"{name}, {'group' if whole else 'process'} killed")
        if number % 5 == 0 or name != "prune":
            self.stave.ok(*self.build(f"{number}-0", "t0"), timeout=120)
            if number % 7 == 0:
                said = self.stave.ok("run", "--rm", "t0", timeout=60).out
                if said.split("\n")[0] != f"{number}-0":
                    raise Problem(f"run of the build after {name}: {said[:100]!r}")
            self.check(f"build after {name}")

    def check(self, when):
        result = self.stave("system", "check", timeout=300)
        if result.code != 0 or "no problems found" not in result.out:
            raise Problem(f"system check, {when}: exit {result.code}: {result.text.strip()[:400]}")

    def finish(self):
        """Nothing is left over, and the image that was there first is still what it was."""
        said = self.stave.ok("run", "--rm", "kept").out
        if said != "0\n1\n" + "\0" * 1000:
            raise Problem(f"the first image says {said[:100]!r} now")
        left = wait_until_none(lambda: processes(self.stave.root))
        if left:
            raise Problem(f"processes left: {left}")
        new = [mount for mount in mounts() - self.mounts if str(self.stave.root) in mount]
        if new:
            raise Problem(f"mounts left: {new}")
        if any(str(self.stave.root) in name for name in loops()):
            raise Problem(f"loop devices left: {loops()}")
        temporaries = list((self.stave.root / "tmp").iterdir())
        if temporaries:
            raise Problem(f"temporary files left: {temporaries}")
        # The next container sweeps the groups of killed ones away.
        time.sleep(2)
        self.stave.ok("run", "--rm", "kept", "true")
        gone = wait_until_none(lambda: sorted(empty_groups() - self.groups))
        if gone:
            raise Problem(f"control groups left: {gone}")
        self.stave.ok("system", "prune", "-af")
        self.stave.ok("builder", "prune", "-af")
        self.check("the last prune")
        for kind in ("layers", "steps", "blobs/sha256"):
            names = list((self.stave.root / kind).iterdir())
            if names:
                raise Problem(f"{kind} after pruning everything: {len(names)} left, {names[0].name}")


def wait_until_none(look, seconds=5):
    end = time.monotonic() + seconds
    while (found := look()) and time.monotonic() < end:
        time.sleep(0.1)
    return found


def mounts():
    return set(Path("/proc/self/mountinfo").read_text().splitlines())


def loops():
    out = set()
    for path in Path("/sys/block").glob("loop*/loop/backing_file"):
        try:
            out.add(path.read_text().strip())
        except OSError:
            pass
    return out


def groups():
    return {str(path) for top in ("/sys/fs/cgroup/stave", *map(str, Path("/sys/fs/cgroup").glob("*/stave")))
            for path in Path(top).glob("*") if path.is_dir()}


def empty_groups():
    """Control groups of containers without a process: those of containers of other stores have some."""
    out = set()
    for group in groups():
        try:
            if not Path(group, "cgroup.procs").read_text().strip() and time.time() - os.stat(group).st_ctime > 1:
                out.add(group)
        except OSError:
            pass
    return out


def processes(root):
    """Processes that have the store's folder in their command line or their root or work directory."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes()
            if str(root).encode() in words and int(path.name) != os.getpid():
                found.append(f"{path.name} {words[:80]!r}")
        except OSError:
            pass
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stave")
    parser.add_argument("--bases")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    bases, tally = harness.find_bases(options.bases), Tally()
    if bases is None:
        sys.exit("find base images: none; run scripts/base-images.py or set STAVE_BASE_IMAGES")
    scratch = harness.scratch_dir("stave-kill-")
    stave = Stave(harness.find_stave(options.stave), scratch / "store")
    print(f"seed {options.seed}", flush=True)
    torture = Torture(stave, scratch, random.Random(options.seed))
    try:
        torture.prepare(bases)
        for number in range(options.rounds):
            try:
                torture.round(number)
                tally.ok()
            except Problem as problem:
                tally.fail(f"round {number}", problem)
                # What is wrong now would fail every later round.
                stave("system", "check", "--repair", timeout=300)
        try:
            torture.finish()
            tally.ok()
        except Problem as problem:
            tally.fail("what is left", problem)
    finally:
        harness.remove_tree(scratch)
    return tally.close()


if __name__ == "__main__":
    sys.exit(main())
