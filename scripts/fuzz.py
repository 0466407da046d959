#!/usr/bin/env python3
"""Feeds changed and random bytes to every reader of foreign input: no input may make the tool die or harm the store.

    fuzz.py [--stave PATH] [--seconds N] [--only TARGET] [--seed N]

Each target has its seconds. Seeds are in testdata/fuzz/TARGET; an input that gets an answer nobody got before is kept in
.build/fuzz-corpus/TARGET and changed further, in this run and later ones. A finding is written to .build/fuzz-findings/ and
named; the exit code is then 1. Needs root and the busybox base image.
"""

import argparse
import gzip
import hashlib
import json
import random
import re
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "Tests" / "integration"))
import cli_archives
import fuzz_index
import harness
from harness import Stave

TOKENS = [b"${", b"}", b"<<EOF", b"\\\n", b"\x00", b"\xff", b"[\"", b"--from=", b"9999999999999999999999", b"\n", b"**", b"../",
          b"!", b"'", b'"', b"-1", b"\xef\xbb\xbf", b"%s", b"{{", b"[[:", b"\\", b":-", b"RUN ", b"COPY ", b"ONBUILD ", b"{}", b"[]", b"1e999"]
TARGETS = ["dockerfile", "ignore", "json", "tar", "archive", "index"]


class Corpus:
    """The inputs of one target: seeds, and what was new."""

    def __init__(self, target, made=()):
        seeds = harness.PROJECT / "testdata" / "fuzz" / target
        self.kept = harness.PROJECT / ".build" / "fuzz-corpus" / target
        self.inputs = list(made) + [p.read_bytes() for folder in (seeds, self.kept) if folder.is_dir()
                                    for p in sorted(folder.iterdir())]
        self.answers = set()

    def learn(self, data, answer):
        """Keeps the input if nobody got the answer before; numbers, names and digests in it do not count."""
        shape = re.sub(r"[0-9a-f]{8,}|\d+|\"[^\"]*\"|'[^']*'|/\S+", "#", answer)[:200]
        if shape in self.answers or len(self.answers) > 5000 or len(data) > 1 << 20:
            return
        self.answers.add(shape)
        self.inputs.append(data)
        self.kept.mkdir(parents=True, exist_ok=True)
        (self.kept / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)

    def changed(self, dice):
        data = dice.choice(self.inputs)
        if dice.random() < 0.2:
            other, at = dice.choice(self.inputs), dice.randrange(len(data) + 1)
            data = data[:at] + other[dice.randrange(len(other) + 1):]
        return change(dice, data)


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


def batch(dice, stave, corpus, doors):
    """200 changed texts through each batch door, one process each; the answers teach the corpus."""
    inputs = [corpus.changed(dice) for _ in range(200)]
    texts = [data.decode("utf-8", "replace") for data in inputs]
    for what, element in doors.items():
        data = json.dumps([element(text) for text in texts]).encode()
        result = stave("debug", what, "--json", stdin=data, timeout=60)
        if result.code == 0:
            for raw, answer in zip(inputs, json.loads(result.out)):
                corpus.learn(raw, what + str(answer.get("error") if isinstance(answer, dict) else type(answer)))
        yield f"debug {what}", data, result


def text_doors(target):
    if target == "dockerfile":
        return {"parse": lambda x: {"dockerfile": x}, "plan": lambda x: {"dockerfile": x, "target": None, "build_args": {}},
                "expand": lambda x: {"mode": "words", "input": x, "env": {"a": "1", "x": "y z"}}}
    if target == "ignore":
        return {"ignore": lambda x: {"patterns": x.split("\n"), "path": "a/b.go"}}
    kinds = ["image-manifest-schema.json", "image-index-schema.json", "config-schema.json", "content-descriptor.json"]
    return {"json": lambda x: {"input": x}, **{"document": lambda x: {"schema": kinds[len(x) % 4], "json": x}}}


def tars(dice, stave, corpus, folder):
    """A changed tar as a root file system, and as an archive for ADD."""
    data, path, context = corpus.changed(dice), folder / "input", folder / "context"
    path.write_bytes(data)
    result = stave("import", path, "stave-test/fuzz", timeout=60)
    corpus.learn(data, result.error_line())
    yield "import", data, result
    context.mkdir(exist_ok=True)
    (context / "Dockerfile").write_text("FROM scratch\nADD input /d/\n")
    (context / "input").write_bytes(data)
    yield "build with ADD", data, stave("build", context, timeout=60)


def archives(dice, stave, corpus, folder):
    data, path = corpus.changed(dice), folder / "input"
    path.write_bytes(data)
    result = stave("load", "-i", path, timeout=60)
    corpus.learn(data, result.error_line())
    yield "load", data, result


def indexes(dice, stave, folder, layer):
    """Indexes of made tars, which must be like `tar x`, and of changed ones, which the kernel must be able to read."""
    made = fuzz_index.make_tar(dice)
    yield fuzz_index.index_round(stave, folder, made, compare=True)
    yield fuzz_index.index_round(stave, folder, fuzz_index.change_tar(dice, dice.choice([made, layer])), compare=True)


def seeds_of(stave, folder):
    layer = cli_archives.layer(("d/", {"type": b"5", "mode": 0o755}, b""), ("d/a", {}, b"a" * 700),
                               ("d/" + "n" * 200, {"uid": 4000000}, b"x"), ("l", {"type": b"2", "linkname": "d/a"}, b""),
                               ("h", {"type": b"1", "linkname": "d/a"}, b""), (".wh.x", {}, b""))
    cli_archives.write_layout(folder / "layout", [layer], name="stave-test/seed:1")
    stave.ok("load", "-i", folder / "layout")
    saved = [stave.ok("save", "--format", form, "stave-test/seed:1").raw_out for form in ("docker-archive", "oci-archive")]
    return [layer, gzip.compress(layer)], [*saved, gzip.compress(saved[0])]


class Run:
    """All targets on one store."""

    def __init__(self, stave, folder, seed):
        self.stave, self.folder, self.seed, self.dice = stave, folder, seed, random.Random(seed)
        self.count = self.findings = 0
        self.layers, self.saved = seeds_of(stave, folder)

    def target(self, name, seconds):
        corpus = Corpus(name, {"tar": self.layers, "archive": self.saved}.get(name, ()))
        before, end = (self.count, self.findings), time.monotonic() + seconds
        while time.monotonic() < end:
            if name == "index":
                one = indexes(self.dice, self.stave, self.folder, self.layers[0])
            elif name == "tar":
                one = tars(self.dice, self.stave, corpus, self.folder)
            elif name == "archive":
                one = archives(self.dice, self.stave, corpus, self.folder)
            else:
                one = batch(self.dice, self.stave, corpus, text_doors(name))
            for what, data, result, *complaint in one:
                self.count += 200 if name in ("dockerfile", "ignore", "json") else 1
                if result.crashed or result.code >= 128 or any(complaint):
                    self.tell(what, data, result, next(filter(None, complaint), ""))
            if self.count % 2000 < 3:
                self.stave("system", "prune", "-af")
        print(f"{name}: {self.count - before[0]} inputs, {self.findings - before[1]} findings, {len(corpus.answers)} different "
              "answers", flush=True)

    def tell(self, what, data, result, complaint):
        self.findings += 1
        place = harness.PROJECT / ".build" / "fuzz-findings"
        place.mkdir(parents=True, exist_ok=True)
        name = f"{self.seed}-{self.count}"
        (place / name).write_bytes(data)
        print(f"{what}: exit {result.code}: {complaint or result.last_line()[:200]}: .build/fuzz-findings/{name}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stave")
    parser.add_argument("--seconds", type=float, default=60, help="for each target")
    parser.add_argument("--only", choices=TARGETS, help="one target")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    scratch = harness.scratch_dir("stave-fuzz-")
    stave = Stave(harness.find_stave(options.stave), scratch / "store")
    print(f"seed {options.seed}")
    try:
        run = Run(stave, scratch, options.seed)
        for target in [options.only] if options.only else TARGETS:
            run.target(target, options.seconds)
        check = stave("system", "check")
        if check.code != 0:
            run.findings += 1
            print(f"system check: {check.error_line()}")
    finally:
        harness.remove_tree(scratch)
    print(f"{run.count} inputs, {run.findings} findings")
    return 1 if run.findings else 0


if __name__ == "__main__":
    sys.exit(main())
