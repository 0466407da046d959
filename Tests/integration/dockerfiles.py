#!/usr/bin/env python3
"""Builds every folder of Dockerfiles/, runs the image and compares with its expect.json; a second build must be
fully CACHED, and each image must be accepted by the other tools that are installed.

    dockerfiles.py [--stave PATH] [--only NAME] [--bases DIR] [--user mapped|NAME]
"""

import argparse
import json
import os
import re
import shutil
import sys

import harness
from harness import Image, Problem, Stave, Tally
import peers
import users

STEP = re.compile(r"^#(\d+) (.*)")
EXECUTED = re.compile(r"^\[.*\] (RUN|COPY|ADD|WORKDIR)\b")


def uncached_steps(plain):
    """Numbers and titles of the steps in plain progress output that did not say CACHED."""
    titles, cached = {}, set()
    for line in plain.splitlines():
        match = STEP.match(line)
        if not match:
            continue
        number, text = match.groups()
        titles.setdefault(number, text)
        if text == "CACHED":
            cached.add(number)
    return [title for number, title in titles.items() if EXECUTED.match(title) and number not in cached]


def missing_needs(expect, bases):
    """What the case needs and this machine lacks."""
    out = []
    for need in expect.get("needs", []):
        if need == "network":
            if os.environ.get("STAVE_TEST_OFFLINE"):
                out.append("network")
        elif bases is None or not (bases / need.split(":")[0] / "index.json").exists():
            out.append(need)
    return out


def network_flags(stave, expect):
    return ["--network", expect["network"]] if expect.get("network") else []


def play(stave, folder, expect, scratch):
    name = folder.name
    tag = f"stave-test/{name}:latest"
    for flags in expect.get("before", []):
        stave.ok("build", *flags_in(folder, flags), folder)
    argv = ["build", "--progress=plain", "-t", tag, *flags_in(folder, expect.get("build", [])), folder]
    stave.ok(*argv, timeout=900)
    first = Image.from_store(stave, tag)
    again = stave.ok(*argv, timeout=900)
    left = uncached_steps(again.text)
    if left:
        raise Problem(f"the second build ran {len(left)} steps again: {left[0]}")
    second = Image.from_store(stave, tag)
    if first.config["rootfs"] != second.config["rootfs"]:
        raise Problem("the second build has other layers")
    ran = stave("run", "--rm", *network_flags(stave, expect), tag, *expect.get("run", []), timeout=120)
    if ran.code != expect.get("exit", 0):
        raise Problem(f"run: exit {ran.code}, want {expect.get('exit', 0)}: {ran.error_line()}")
    if "stdout" in expect and ran.out != expect["stdout"]:
        raise Problem(f"run: want {expect['stdout']!r}, have {ran.out!r}")
    for key, want in expect.get("config", {}).items():
        have = (second.config.get("config") or {}).get(key)
        if have != want:
            raise Problem(f"config.{key}: want {json.dumps(want)}, have {json.dumps(have)}")
    archive = scratch / "image.tar"
    stave.ok("save", "--format", "oci-archive", "-o", archive, tag)
    try:
        peers.accept(archive, scratch, second, expect)
    finally:
        archive.unlink()


def changed_file_misses(stave, source, scratch, tally):
    """A changed file of the context must miss the cache; a changed time must not."""
    try:
        context = scratch / "changed"
        shutil.copytree(source, context)
        (context / "expect.json").unlink()
        first, second = (next(p for p in sorted(context.rglob("*")) if p.is_file() and p.name != "Dockerfile"),
                         ["build", "--progress=plain", "-t", "stave-test/changed", str(context)])
        stave.ok(*second)
        os.utime(first, (1, 1))
        left = uncached_steps(stave.ok(*second).text)
        if left:
            raise Problem(f"a changed time missed the cache: {left[0]}")
        first.write_text(first.read_text() + "\n")
        if not uncached_steps(stave.ok(*second).text):
            raise Problem("a changed file did not miss the cache")
        tally.ok()
    except Problem as problem:
        tally.fail("a changed file misses the cache", problem)


def flags_in(folder, flags):
    """Build flags, -f made relative to the case's folder."""
    out = list(flags)
    for index, flag in enumerate(out[:-1]):
        if flag == "-f":
            out[index + 1] = str(folder / out[index + 1])
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stave")
    parser.add_argument("--bases")
    parser.add_argument("--only", action="append")
    users.add_argument(parser)
    options = parser.parse_args()
    users.become(options)
    bases = harness.find_bases(options.bases)
    if bases is None:
        sys.exit("find base images: none; run scripts/base-images.py or set STAVE_BASE_IMAGES")
    scratch = harness.scratch_dir()
    stave, tally = Stave(harness.find_stave(options.stave), scratch / "store"), Tally()
    folders = [f for f in sorted((harness.PROJECT / "Dockerfiles").iterdir()) if (f / "expect.json").exists()]
    wanted = [f for f in folders if not options.only or f.name in options.only]
    try:
        cases = [(f, json.loads((f / "expect.json").read_text())) for f in wanted]
        needed = {n.split(":")[0] for f, e in cases if not missing_needs(e, bases) for n in e.get("needs", [])}
        stave.load_bases(bases, [n for n in harness.BASE_NAMES if n in needed])
        for folder, expect in cases:
            missing = missing_needs(expect, bases)
            if missing:
                tally.skip(folder.name, "needs " + ", ".join(missing))
                print(f"skipped: {folder.name}: needs {', '.join(missing)}")
                continue
            try:
                play(stave, folder, expect, scratch)
                tally.ok()
            except (Problem, OSError, ValueError) as problem:
                tally.fail(folder.name, problem)
        if not options.only:
            changed_file_misses(stave, harness.PROJECT / "Dockerfiles" / "copy-wildcards", scratch, tally)
    finally:
        harness.remove_tree(scratch)
    return tally.close()


if __name__ == "__main__":
    sys.exit(main())
