#!/usr/bin/env python3
"""Builds every folder of Dockerfiles/ in several ways, each in a store of its own: the image IDs must be equal.

The ways: one, two and eight threads, layers mounted from their indexes and as trees, twice in a row, and as an ordinary
user with mapped ids. Times that RUN steps leave are clamped by --rewrite-timestamp, since no two runs have the same clock.

    determinism.py [--stave PATH] [--only NAME] [--bases DIR]
"""

import argparse
import json
import os
import sys

import dockerfiles
import harness
from harness import Problem, Stave, Tally
import users

EPOCH = "1700000000"
# A package manager writes the time of day into logs and caches: no two runs of it are equal, whoever builds.
UNREPEATABLE = {"debian-packages"}


class Way:
    """One way to build: a name, the environment, and the user (None for root)."""

    def __init__(self, name, env, user=None):
        self.name, self.env, self.user = name, env, user


WAYS = [
    Way("one thread, index", {"STAVE_THREADS": "1"}),
    Way("two threads, index", {"STAVE_THREADS": "2"}),
    Way("eight threads, index", {"STAVE_THREADS": "8"}),
    Way("eight threads again", {"STAVE_THREADS": "8"}),
    Way("trees", {"STAVE_LAYERS": "tree"}),
    Way("an ordinary user", {}, "mapped"),
    Way("loop devices", {"STAVE_LAYERS": "loop"}),
]


def image_ids(way, binary, bases, folders, scratch):
    """The image ID of each folder built that way, or the problem; {name: text}."""
    user = users.TestUser(way.user) if way.user else None
    if user:
        stave = users.As(user, users.readable_copy(binary, user))
    else:
        stave = Stave(binary, scratch / way.name.replace(" ", "-").replace(",", ""))
    os.environ.update(way.env)
    try:
        needed = {n.split(":")[0] for _, e in folders for n in e.get("needs", [])}
        stave.load_bases(bases, [n for n in harness.BASE_NAMES if n in needed])
        out = {}
        for folder, expect in folders:
            try:
                for flags in expect.get("before", []):
                    stave.ok("build", *dockerfiles.flags_in(folder, flags), folder)
                out[folder.name] = stave.ok(
                    "build", "-q", "--source-date-epoch", EPOCH, "--rewrite-timestamp",
                    *dockerfiles.flags_in(folder, expect.get("build", [])), folder, timeout=900).out.strip()
            except Problem as problem:
                out[folder.name] = f"failed: {problem}"
        return out
    finally:
        for name in way.env:
            del os.environ[name]
        harness.remove_tree(stave.root)
        if user:
            user.remove()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stave")
    parser.add_argument("--bases")
    parser.add_argument("--only", action="append")
    options = parser.parse_args()
    bases = harness.find_bases(options.bases)
    if bases is None:
        sys.exit("find base images: none; run scripts/base-images.py or set STAVE_BASE_IMAGES")
    scratch, tally = harness.scratch_dir(), Tally()
    binary = harness.find_stave(options.stave)
    folders = []
    for folder in sorted((harness.PROJECT / "Dockerfiles").iterdir()):
        if not (folder / "expect.json").exists() or (options.only and folder.name not in options.only):
            continue
        expect = json.loads((folder / "expect.json").read_text())
        missing = dockerfiles.missing_needs(expect, bases)
        if folder.name in UNREPEATABLE or missing:
            tally.skip(folder.name, "writes the time of day" if not missing else "needs " + ", ".join(missing))
        else:
            folders.append((folder, expect))
    try:
        wanted = None
        for way in WAYS:
            have = image_ids(way, binary, bases, folders, scratch)
            wanted = wanted or have
            for name, image in have.items():
                if image.startswith("failed") or image != wanted[name]:
                    tally.fail(f"{name}, {way.name}", f"{image}, {WAYS[0].name}: {wanted[name]}")
                else:
                    tally.ok()
    finally:
        harness.remove_tree(scratch)
    return tally.close()


if __name__ == "__main__":
    sys.exit(main())
