#!/usr/bin/env python3
"""Builds the folders of Dockerfiles/ with Stave and with a docker daemon: the flattened tree, the config and the
history must be equal. Without a daemon everything is skipped.

    differential.py [--stave PATH] [--bases DIR] [--only NAME]
"""

import argparse
import json
import os
import re
import shutil
import sys
import tarfile

import conformance
import dockerfiles
import harness
from harness import Image, LayerCache, Problem, Stave, Tally


DOCKER = os.environ.get("STAVE_DOCKER", "docker")


class TooOld(Exception):
    """The daemon does not know the syntax."""


def daemon_answers():
    return shutil.which(DOCKER) is not None and harness.run([DOCKER, "info"], timeout=20).code == 0


def docker(*args):
    result = harness.run([DOCKER, *map(str, args)], env={"DOCKER_BUILDKIT": "1"}, timeout=900)
    if result.code != 0:
        if any(mark in result.text.lower() for mark in conformance.TOO_OLD):
            raise TooOld(result.last_line())
        raise Problem(f"docker {args[0]}: exit {result.code}: {result.last_line()}")
    return result


def docker_image(tag, folder):
    """An image of the daemon, through `docker save`."""
    harness.remove_tree(folder)
    folder.mkdir()
    docker("save", "-o", folder / "image.tar", tag)
    with tarfile.open(folder / "image.tar") as tar:
        for member in tar:
            if member.isfile():
                (folder / member.name.replace("/", "_")).write_bytes(tar.extractfile(member).read())

    def part(name):
        return folder / name.replace("/", "_")

    manifest = json.loads(part("manifest.json").read_bytes())[0]
    return Image(json.loads(part(manifest["Config"]).read_bytes()), [part(name) for name in manifest["Layers"]])


# How builders of different years spell the same line of history: all are brought to one form before comparing.
SPELLINGS = [
    (re.compile(r"^(COPY|ADD) (--\S+ )+"), r"\1 "),
    (re.compile(r"^EXPOSE map\[(.*)\]$"), lambda m: f"EXPOSE [{m.group(1).replace(':{}', '')}]"),
    (re.compile(r"^(ARG [^= ]+)(=.*)?$"), r"\1"),
    (re.compile(r"^HEALTHCHECK .*$"), "HEALTHCHECK"),
]


def spelled(line):
    for pattern, form in SPELLINGS:
        line = pattern.sub(form, line)
    return line


def history(image):
    """What each line of history says, and whether it made a layer."""
    lines = image.config.get("history") or []
    return [(spelled(line.get("created_by", "")), bool(line.get("empty_layer"))) for line in lines]


def compare(mine, other):
    tree = harness.flatten(other, None, LayerCache())
    expected = {"config": conformance.normal_config(other.config), "base_layers": 0, "removed": [],
                "files": {path: entry.record() for path, entry in tree.items()}}
    wrong = conformance.differences(mine, expected, LayerCache())
    # The base's own lines are older than either builder.
    ours, theirs = history(mine), history(other)
    for index, (a, b) in enumerate(zip(ours, theirs)):
        if a != b:
            wrong.append(f"history {index + 1}: want {b}, have {a}")
    if len(ours) != len(theirs):
        wrong.append(f"history: want {len(theirs)} lines, have {len(ours)}")
    if wrong:
        raise Problem("; ".join(wrong[:3]) + (f" (and {len(wrong) - 3} more)" if len(wrong) > 3 else ""))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stave")
    parser.add_argument("--bases")
    parser.add_argument("--only", action="append")
    options = parser.parse_args()
    if not daemon_answers():
        print("0 passed, 0 failed, 1 skipped: no docker daemon")
        return 0
    bases = harness.find_bases(options.bases)
    scratch = harness.scratch_dir()
    stave, tally = Stave(harness.find_stave(options.stave), scratch / "store"), Tally()
    try:
        for folder in sorted((harness.PROJECT / "Dockerfiles").iterdir()):
            if not (folder / "expect.json").exists() or options.only and folder.name not in options.only:
                continue
            expect = json.loads((folder / "expect.json").read_text())
            needs = [n.split(":")[0] for n in expect.get("needs", [])]
            if "network" in needs or dockerfiles.missing_needs(expect, bases):
                tally.skip(folder.name, "needs " + ", ".join(needs))
                continue
            try:
                play(stave, folder, expect, needs, bases, scratch)
                tally.ok()
            except TooOld as reason:
                tally.skip(folder.name, f"docker is too old: {reason}")
            except Problem as problem:
                tally.fail(folder.name, problem)
    finally:
        harness.remove_tree(scratch)
    return tally.close()


def play(stave, folder, expect, needs, bases, scratch):
    tag = f"stave-test/{folder.name}:latest"
    stave.load_bases(bases, needs)
    for need in needs:
        name = harness.BASE_NAMES[need].removeprefix("docker.io/library/")
        if harness.run([DOCKER, "image", "inspect", name]).code != 0:
            archive = scratch / "base.tar"
            stave.ok("save", "--format", "docker-archive", "-o", archive, name)
            docker("load", "-i", archive)
    for flags in expect.get("before", []):
        stave.ok("build", *dockerfiles.flags_in(folder, flags), folder)
        docker("build", "--network=host", *dockerfiles.flags_in(folder, flags), folder)
    flags = dockerfiles.flags_in(folder, expect.get("build", []))
    stave.ok("build", "-t", tag, *flags, folder, timeout=900)
    docker("build", "--network=host", "-t", tag, *flags, folder)
    compare(Image.from_store(stave, tag), docker_image(tag, scratch / "docker"))


if __name__ == "__main__":
    sys.exit(main())
