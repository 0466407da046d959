#!/usr/bin/env python3
"""Feeds changed and random bytes to every reader of foreign input: no input may make the tool die or harm the store.

    fuzz.py [--stave PATH] [--seconds N] [--seed N]

A finding is written to .build/fuzz-findings/ and named; the exit code is then 1. Needs root and the busybox base image.
"""

import argparse
import gzip
import json
import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "Tests" / "integration"))
import cli_archives
import fuzz_index
import harness
from harness import Stave

TEXTS = ["FROM busybox AS a\nARG X=1\nENV Y=${X:-2} Z=\"a b\"\nRUN <<EOF\necho $Y\nEOF\nCOPY --chown=1:2 [\"a\", \"/b\"]\n",
         "# escape=`\nFROM scratch\nONBUILD COPY a b\nHEALTHCHECK --interval=5s CMD x\nEXPOSE 80-90/tcp\nVOLUME [\"/x\"]\n",
         "${a:-${b:+c}} 'quoted' \"$x\" ${y#*a} ${z//a/b}", "**/*.go\n!a/[b-d]?\n# c\n\\#d\n/e/\n"]
TOKENS = [b"${", b"}", b"<<EOF", b"\\\n", b"\x00", b"\xff", b"[\"", b"--from=", b"9999999999999999999999", b"\n", b"**", b"../",
          b"!", b"'", b'"', b"-1", b"\xef\xbb\xbf", b"%s", b"{{"]


def change(dice, data):
    """A few random edits: bytes, tokens, cuts, repeats."""
    out = bytearray(data)
    for _ in range(dice.randint(1, 8)):
        at = dice.randrange(len(out) + 1)
        kind = dice.randrange(5)
        if kind == 0 and at < len(out):
            out[at] = dice.randrange(256)
        elif kind == 1:
            out[at:at] = dice.choice(TOKENS)
        elif kind == 2:
            del out[at:at + dice.randrange(1, 64)]
        elif kind == 3:
            out[at:at] = out[at:at + dice.randrange(1, 512)]
        elif at + 4 < len(out):
            out[at:at + 4] = dice.choice([b"\xff" * 4, bytes(4), b"7777", b"\x80\0\0\0"])
    return bytes(out)


def text_round(dice, stave):
    """200 changed texts through each batch door, one process each."""
    texts = [change(dice, dice.choice(TEXTS).encode()).decode("utf-8", "replace") for _ in range(200)]
    doors = {
        "parse": [{"dockerfile": x} for x in texts],
        "plan": [{"dockerfile": x, "target": None, "build_args": {}} for x in texts],
        "expand": [{"mode": dice.choice(["word", "words"]), "input": x, "env": {"a": "1", "x": "y z"}} for x in texts],
        "json": [{"input": x} for x in texts],
        "ignore": [{"patterns": x.split("\n"), "path": "a/b.go"} for x in texts],
    }
    for what, elements in doors.items():
        data = json.dumps(elements).encode()
        yield f"debug {what}", data, stave("debug", what, "--json", stdin=data, timeout=60)


def archive_round(dice, stave, folder, seeds):
    data = change(dice, dice.choice(seeds))
    path = folder / "input"
    path.write_bytes(data)
    yield "load", data, stave("load", "-i", path, timeout=60)
    yield "import", data, stave("import", path, "stave-test/fuzz", timeout=60)
    context = folder / "context"
    context.mkdir(exist_ok=True)
    (context / "Dockerfile").write_text("FROM scratch\nADD input /d/\n")
    (context / "input").write_bytes(data)
    yield "build with ADD", data, stave("build", context, timeout=60)


def index_rounds(dice, stave, folder, seeds):
    """Indexes of made tars, which must be like `tar x`, and of changed ones, which the kernel must be able to read."""
    made = fuzz_index.make_tar(dice)
    yield fuzz_index.index_round(stave, folder, made, compare=True)
    yield fuzz_index.index_round(stave, folder, fuzz_index.change_tar(dice, dice.choice([made, seeds[0]])), compare=True)


def seeds_of(stave, folder):
    layer = cli_archives.layer(("d/", {"type": b"5", "mode": 0o755}, b""), ("d/a", {}, b"a" * 700),
                               ("d/" + "n" * 200, {"uid": 4000000}, b"x"), ("l", {"type": b"2", "linkname": "d/a"}, b""),
                               ("h", {"type": b"1", "linkname": "d/a"}, b""), (".wh.x", {}, b""))
    cli_archives.write_layout(folder / "layout", [layer], name="stave-test/seed:1")
    stave.ok("load", "-i", folder / "layout")
    saved = [stave.ok("save", "--format", form, "stave-test/seed:1").raw_out for form in ("docker-archive", "oci-archive")]
    return [layer, *saved, gzip.compress(layer), gzip.compress(saved[0])]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stave")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--only", choices=["text", "archive", "index"], help="one kind of input")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    dice, findings, count = random.Random(options.seed), 0, 0
    scratch = harness.scratch_dir("stave-fuzz-")
    stave = Stave(harness.find_stave(options.stave), scratch / "store")
    print(f"seed {options.seed}")
    try:
        seeds, end = seeds_of(stave, scratch), time.monotonic() + options.seconds
        while time.monotonic() < end:
            rounds = {"text": [text_round(dice, stave)],
                      "archive": [archive_round(dice, stave, scratch, seeds) for _ in range(10)],
                      "index": [index_rounds(dice, stave, scratch, seeds) for _ in range(30)]}
            for one in sum(([*rounds.values()] if not options.only else [rounds[options.only]]), []):
                for what, data, result, *complaint in one:
                    count += 1
                    if result.crashed or result.code >= 128 or any(complaint):
                        findings += 1
                        place = harness.PROJECT / ".build" / "fuzz-findings"
                        place.mkdir(parents=True, exist_ok=True)
                        (place / f"{options.seed}-{count}").write_bytes(data)
                        print(f"{what}: exit {result.code}: {str(*filter(None, complaint)) or result.last_line()[:200]}: .build/fuzz-findings/{options.seed}-{count}")
        check = stave("system", "check")
        if check.code != 0:
            findings += 1
            print(f"system check: {check.error_line()}")
    finally:
        harness.remove_tree(scratch)
    print(f"{count} inputs, {findings} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
