#!/usr/bin/env python3
"""Several builds in one store at once: a shared step is run by one of them, and killing one harms no other.

    at_once.py [--stave PATH] [--only SUBSTRING] [--bases DIR] [--builds N] [--kills N]

Needs root and the busybox base image. What was run is counted from the plain progress: a step that says DONE was
executed by that build, one that says CACHED was not.
"""

import argparse
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import harness
from harness import Problem, Stave, Tally

BASE = "busybox"
STEP = re.compile(r"^#(\d+) \[(?:\S+ )?\d+/\d+\] (.*)$")
END = re.compile(r"^#(\d+) (DONE|CACHED|CANCELED|ERROR)")


def outcomes(progress):
    """How each step ended: {(number, instruction): DONE, CACHED, ...}."""
    names, out = {}, {}
    for line in progress.splitlines():
        if found := STEP.match(line):
            names[found[1]] = found[2]
        elif (found := END.match(line)) and found[1] in names:
            out[(found[1], names[found[1]])] = found[2]
    return out


def executed(progress):
    """The RUN and COPY instructions that the build executed."""
    return [name for (_, name), end in outcomes(progress).items() if end == "DONE" and not name.startswith("FROM")]


class Build:
    """A build that was started, in a session of its own."""

    def __init__(self, bench, folder, *flags):
        self.folder, self.log = folder, open(folder / f"progress-{len(bench.builds)}", "w+b")
        argv = [bench.stave.binary, "--root", str(bench.stave.root), "build", "--progress", "plain", *flags, str(folder)]
        self.child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        bench.builds.append(self)

    @property
    def progress(self):
        return Path(self.log.name).read_text("utf-8", "replace")

    def end(self, want=0, timeout=300):
        """Waits; demands the exit code unless it is None. Returns the progress."""
        try:
            code = self.child.wait(timeout)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
            raise Problem(f"build did not end in {timeout} s: {self.progress[-800:]}")
        if want is not None and code != want:
            raise Problem(f"build: exit {code}, want {want}: {self.progress[-800:]}")
        return self.progress

    def await_text(self, text, timeout=60):
        """Waits until the progress has the text."""
        limit = time.monotonic() + timeout
        while text not in self.progress:
            if time.monotonic() > limit or (self.child.poll() is not None and text not in self.progress):
                raise Problem(f"build never said {text!r}: {self.progress[-800:]}")
            time.sleep(0.005)

    def kill(self):
        self.child.send_signal(signal.SIGKILL)
        self.child.wait()


class Bench:
    """A store with the base image, and folders for contexts."""

    def __init__(self, stave, folder, options):
        self.stave, self.folder, self.options = stave, folder, options
        self.builds, self.contexts = [], 0

    def context(self, dockerfile, files=None):
        folder = self.folder / f"context-{self.contexts}"
        self.contexts += 1
        folder.mkdir()
        (folder / "Dockerfile").write_text(dockerfile)
        (folder / ".dockerignore").write_text("progress-*\n")
        for name, text in (files or {}).items():
            (folder / name).write_text(text)
        return folder

    def start(self, folder, *flags):
        return Build(self, folder, *flags)

    def count(self, logs):
        """How often each instruction was executed in all of the builds."""
        return Counter(name for log in logs for name in executed(log))

    def clean(self):
        """Nothing is left over, and the store is whole."""
        said = self.stave.ok("system", "check").out
        left = sorted(str(p.relative_to(self.stave.root)) for p in (self.stave.root / "tmp").iterdir())
        left += [p.name for p in (self.stave.root / "steps").iterdir() if p.name.endswith(".lock")]
        if left:
            raise Problem(f"left over: {left[:5]} ({said.strip()})")

    def equal(self, have, want, what):
        if have != want:
            raise Problem(f"{what}: want {want!r}, have {have!r}")


def once(names):
    return {name: 1 for name in names}


SHARED = [f"RUN sleep 0.3; echo {n} > /{n}; dd if=/dev/urandom of=/big-{n} bs=1M count=8 2>/dev/null" for n in range(3)]


def test_same(t):
    """Many builds of one Dockerfile: each step once, one image."""
    folder = t.context("\n".join([f"FROM {BASE}", *SHARED, "COPY file /file", "RUN cat /file /0 /1 /2 > /all"]) + "\n",
                       {"file": "text\n"})
    builds = [t.start(folder, "-t", f"same:{n}") for n in range(t.options.builds)]
    logs = [build.end() for build in builds]
    t.equal(dict(t.count(logs)), once([*SHARED, "COPY file /file", "RUN cat /file /0 /1 /2 > /all"]), "steps executed")
    images = {t.stave.ok("image", "inspect", "--format", "{{.Id}}", f"same:{n}").out for n in range(t.options.builds)}
    t.equal(len(images), 1, "images")
    t.clean()


def test_shared_prefix(t):
    """Builds of different Dockerfiles: what they share once, what is their own once."""
    builds, own = [], []
    for n in range(t.options.builds):
        own.append(f"RUN cat /0 /1 /2 > /own; echo {n} >> /own")
        builds.append(t.start(t.context("\n".join([f"FROM {BASE}", *SHARED, own[-1]]) + "\n"), "-t", f"own:{n}"))
    logs = [build.end() for build in builds]
    t.equal(dict(t.count(logs)), once([*SHARED, *own]), "steps executed")
    t.clean()


def test_shared_stages(t):
    """Stages that run side by side are shared between builds too."""
    stages = [f"FROM {BASE} AS s{n}\nRUN sleep 0.2; echo {n} > /s{n}" for n in range(6)]
    copies = [f"COPY --from=s{n} /s{n} /s{n}" for n in range(6)]
    folder = t.context("\n".join([*stages, f"FROM {BASE}", *copies]) + "\n")
    logs = [build.end() for build in [t.start(folder, "-t", f"stages:{n}") for n in range(8)]]
    t.equal(dict(t.count(logs)), once([s.split("\n")[1] for s in stages] + copies), "steps executed")
    t.clean()


def test_no_cache(t):
    """A build that ignores the cache waits for nobody and runs everything."""
    folder = t.context(f"FROM {BASE}\nRUN sleep 2; touch /slow\n")
    first = t.start(folder)
    first.await_text("RUN sleep 2")
    other = t.start(folder, "--no-cache").end()
    t.equal(executed(other), ["RUN sleep 2; touch /slow"], "steps of the build without a cache")
    if first.child.poll() is None and "waiting for another build" in other:
        raise Problem("the build without a cache waited")
    first.end()
    t.clean()


def test_waiting_is_told(t):
    """A build that waits says so, and takes the result."""
    folder = t.context(f"FROM {BASE}\nRUN sleep 1.5; touch /slow\n")
    first = t.start(folder)
    first.await_text("RUN sleep 1.5")
    second = t.start(folder)
    second.await_text("waiting for another build")
    t.equal(executed(first.end()), ["RUN sleep 1.5; touch /slow"], "steps of the first")
    t.equal(executed(second.end()), [], "steps of the second")
    t.clean()


def test_holder_is_killed(t):
    """The build that runs a step is killed: one of those that wait runs it."""
    step = "RUN sleep 1; touch /slow"
    folder = t.context(f"FROM {BASE}\n{step}\n")
    first = t.start(folder)
    first.await_text(step)
    others = [t.start(folder) for _ in range(3)]
    for build in others:
        build.await_text("waiting for another build")
    first.kill()
    t.equal(dict(t.count([build.end() for build in others])), {step: 1}, "steps executed")
    t.clean()


def test_holder_is_interrupted(t):
    """Ctrl-C ends a build that waits at once, and one that runs; the third runs the step."""
    step = "RUN sleep 1; touch /slow"
    folder = t.context(f"FROM {BASE}\n{step}\n")
    first = t.start(folder)
    first.await_text(step)
    second, third = t.start(folder), t.start(folder)
    for build in (second, third):
        build.await_text("waiting for another build")
    second.child.send_signal(signal.SIGINT)
    second.end(want=130, timeout=5)
    first.child.send_signal(signal.SIGINT)
    first.end(want=130, timeout=5)
    t.equal(executed(third.end()), [step], "steps of the third")
    t.clean()


def test_failing_step(t):
    """What was executed before a failing step is cached next time; each build tells the failure."""
    first, bad = "RUN dd if=/dev/urandom of=/big bs=1M count=64 2>/dev/null", "RUN sleep 0.2; exit 3"
    folder = t.context(f"FROM {BASE}\n{first}\n{bad}\n")
    logs = [build.end(want=1) for build in [t.start(folder) for _ in range(4)]]
    t.equal(dict(t.count(logs)), {first: 1}, "steps executed")
    for log in logs:
        if "exit code: 3" not in log:
            raise Problem(f"the failure is not told: {log[-400:]}")
    t.equal(executed(t.start(folder).end(want=1)), [], "steps of the next build")
    t.clean()


def test_interrupted_while_packing(t):
    """Ctrl-C when only the packing is left ends the build at once and leaves nothing."""
    folder = t.context(f"FROM {BASE}\nRUN dd if=/dev/zero of=/big bs=1M count=1500 2>/dev/null\n")
    build = t.start(folder, "-t", "interrupted")
    build.await_text("exporting layers")
    build.child.send_signal(signal.SIGINT)
    # A fast disk may have it done before the signal arrives.
    if build.child.wait(10) not in (0, 130):
        raise Problem(f"exit {build.child.returncode}: {build.progress[-400:]}")
    t.clean()


def test_killed_while_packing(t):
    """kill -9 at random moments of a build that packs nearly all the time: the store is whole, the next build ends."""
    chance = random.Random(t.options.seed)
    steps = [f"RUN dd if=/dev/zero of=/z{n} bs=1M count=48 2>/dev/null; i=0; while [ $i -lt 200 ]; do echo $i > /f{n}-$i; "
             "i=$((i+1)); done" for n in range(4)]
    for turn in range(t.options.kills):
        folder = t.context("\n".join([f"FROM {BASE}", f"ENV TURN={turn}", *steps]) + "\n")
        build = t.start(folder, "-t", "killed")
        time.sleep(chance.uniform(0.0, 0.7))
        build.kill()
        if turn % 10 == 9 or turn == t.options.kills - 1:
            t.start(folder, "-t", "whole").end()
            t.equal(executed(t.start(folder).end()), [], "steps of the build after that")
            t.clean()
            t.stave.ok("builder", "prune", "-a", "-f")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stave")
    parser.add_argument("--bases")
    parser.add_argument("--only")
    parser.add_argument("--builds", type=int, default=16)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    bases, binary, tally = harness.find_bases(options.bases), harness.find_stave(options.stave), Tally()
    if bases is None:
        sys.exit("find base images: none; run scripts/base-images.py or set STAVE_BASE_IMAGES")
    for name, test in [(n, f) for n, f in globals().items() if n.startswith("test_")]:
        if options.only and options.only not in name:
            continue
        scratch = harness.scratch_dir()
        bench = None
        try:
            stave = Stave(binary, scratch / "store")
            stave.load_bases(bases, ["busybox"])
            bench = Bench(stave, scratch, options)
            test(bench)
            tally.ok()
        except Problem as problem:
            tally.fail(name, str(problem))
        finally:
            for build in bench.builds if bench else []:
                if build.child.poll() is None:
                    build.kill()
            harness.remove_tree(scratch)
    return tally.close()


if __name__ == "__main__":
    sys.exit(main())
