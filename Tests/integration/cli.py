#!/usr/bin/env python3
"""Black-box tests of the command line: exit codes, images, archives good and hostile, terminals, bad input.

    cli.py [--stave PATH] [--only SUBSTRING] [--bases DIR] [--user mapped|single|NAME]

Needs root and the busybox base image. Each test is a function `test_...(t)`; `t.stave` has busybox loaded.
"""

import argparse
import json
import os
import sys
import traceback

import harness
from harness import Problem, Stave, Tally
import cli_archives
import cli_bad_input
import cli_images
import cli_run
import users


class Bench:
    """What a test gets: the tool, a scratch folder of its own, and small assertions."""

    def __init__(self, stave, folder, rootless=None):
        self.stave, self.folder, self.rootless = stave, folder, rootless

    def context(self, dockerfile, files=None, name="context"):
        """Writes a build context and returns its folder."""
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        if dockerfile is not None:
            (folder / "Dockerfile").write_text(dockerfile)
        for path, text in (files or {}).items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        return folder

    def build(self, dockerfile, tag, files=None, flags=(), name="context"):
        return self.stave("build", "-t", tag, *flags, self.context(dockerfile, files, name), timeout=120)

    def equal(self, have, want, what="value"):
        if have != want:
            raise Problem(f"{what}: want {want!r}, have {have!r}")

    def code(self, result, want):
        if result.code != want:
            raise Problem(f"{' '.join(result.argv[3:])}: exit {result.code}, want {want}: {result.error_line()}")
        return result

    def fails(self, result, *texts):
        """The command failed without dying, and its message has each of the texts."""
        if result.code == 0:
            raise Problem(f"{' '.join(result.argv[3:])}: must fail")
        if result.crashed or result.code >= 128:
            raise Problem(f"{' '.join(result.argv[3:])}: died: exit {result.code}: {result.last_line()}")
        for text in texts:
            if text.lower() not in result.text.lower():
                raise Problem(f"{' '.join(result.argv[3:])}: the message lacks {text!r}: {result.err.strip()[:400]}")
        return result

    def whole(self):
        """The store has no fault."""
        self.code(self.stave("system", "check"), 0)


def tests():
    for module in (cli_run, cli_images, cli_archives, cli_bad_input):
        for name, function in list(vars(module).items()):
            if name.startswith("test_"):
                yield f"{module.__name__}.{name}", function


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stave")
    parser.add_argument("--bases")
    parser.add_argument("--only")
    users.add_argument(parser)
    options = parser.parse_args()
    users.become(options)
    bases = harness.find_bases(options.bases)
    if bases is None:
        sys.exit("find base images: none; run scripts/base-images.py or set STAVE_BASE_IMAGES")
    scratch = harness.scratch_dir()
    stave, tally = Stave(harness.find_stave(options.stave), scratch / "store"), Tally()
    try:
        stave.load_bases(bases, ["busybox"])
        for name, function in tests():
            if options.only and options.only not in name:
                continue
            folder = scratch / "work"
            folder.mkdir()
            try:
                function(Bench(stave, folder, options.rootless))
                tally.ok()
            except Problem as problem:
                tally.fail(name, problem)
            except (OSError, ValueError, KeyError, IndexError, json.JSONDecodeError):
                tally.fail(name, traceback.format_exc(limit=-2))
            finally:
                harness.remove_tree(folder)
        left = [line for line in open("/proc/mounts") if str(scratch) in line]
        if left:
            tally.fail("mounts", f"left behind: {left[0]}")
    finally:
        harness.remove_tree(scratch)
    return tally.close()


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main())
