#!/usr/bin/env python3
"""A store of many layers: what does not list them must not take longer for them.

    scale.py [--stave PATH] [--bases DIR] [--layers N]

Needs root and the busybox base image. Writes layers, step records and images in the store's documented layout, then
compares the processor time of commands with that in a small store.
"""

import argparse
import hashlib
import io
import json
import os
import resource
import subprocess
import sys
import tarfile
from pathlib import Path

import harness
from harness import Problem, Stave, Tally

DEPTH = 10
DOCKERFILE = "FROM busybox\n" + "".join(f"RUN echo {n} > /{n}\n" for n in range(11)) + "CMD true\n"
# Command, the seconds of processor time it may take more in the large store, for 10,000 layers.
COMMANDS = [
    (["version"], 0.002), (["build", "-q", "CONTEXT"], 0.01), (["run", "--rm", "cached", "true"], 0.01),
    (["tag", "cached", "again"], 0.03), (["image", "inspect", "cached"], 0.01), (["images", "-q"], 0.3),
    (["system", "df"], 2.5), (["builder", "du"], 2.5), (["builder", "prune", "--dry-run"], 2.5),
]


def digest(data):
    return hashlib.sha256(data).hexdigest()


def tiny_tar(name):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(name)
        tar.addfile(member, io.BytesIO(name.encode()))
    return out.getvalue()


def put(store, data):
    """A blob with the bytes; its digest."""
    name = digest(data)
    path = store / "blobs" / "sha256" / name
    if not path.exists():
        path.write_bytes(data)
    return name


def fill(store, count):
    """Chains of steps, each with a layer of its own; every tenth chain is an image too. Returns its layout's folder."""
    layout = store.parent / "layout"
    (layout / "blobs" / "sha256").mkdir(parents=True)
    (layout / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    manifests = []
    for chain in range(count // DEPTH):
        stack, tars = [], []
        for step in range(DEPTH):
            name = f"{chain}-{step}"
            tars.append(tiny_tar(name))
            layer = put(store, tars[-1])
            folder = store / "layers" / layer
            folder.mkdir()
            os.link(store / "blobs" / "sha256" / layer, folder / "tar")
            stack.append(layer)
            key, definition = digest(b"key" + name.encode()), digest(b"definition" + name.encode())
            record = {
                "key": f"sha256:{key}", "definitionKey": f"sha256:{definition}", "resultDiffID": f"sha256:{layer}",
                "stack": [{"diffID": f"sha256:{below}", "created": "2024-01-01T00:00:00Z"} for below in stack],
                "started": "2024-01-01T00:00:00Z", "durations": {"run": 1000000 * step}, "exitCode": 0,
                "title": f"RUN make {name}"}
            text = json.dumps(record, sort_keys=True, separators=(",", ":")) + '\n{"op":"exec"}'
            (store / "steps" / f"{key}.json").write_text(text)
            (store / "steps" / f"{definition}.alias").write_text(f"sha256:{key}")
        if chain % 10 == 0:
            manifests.append(image(layout, chain, stack, tars))
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": manifests}))
    return layout


def image(layout, chain, stack, tars):
    def blob(data):
        (layout / "blobs" / "sha256" / digest(data)).write_bytes(data)
        return {"digest": "sha256:" + digest(data), "size": len(data)}

    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {},
                         "rootfs": {"type": "layers", "diff_ids": ["sha256:" + layer for layer in stack]}}).encode()
    kind = "application/vnd.oci.image."
    manifest = json.dumps({
        "schemaVersion": 2, "mediaType": kind + "manifest.v1+json",
        "config": {"mediaType": kind + "config.v1+json", **blob(config)},
        "layers": [{"mediaType": kind + "layer.v1.tar", **blob(tar)} for tar in tars]}).encode()
    return {"mediaType": kind + "manifest.v1+json", **blob(manifest),
            "annotations": {"org.opencontainers.image.ref.name": f"scale:{chain}"}}


def cost(stave, command, context):
    """Processor seconds of a command, the least of five."""
    best = None
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        argv = [stave.binary, "--root", str(stave.root)] + [str(context) if w == "CONTEXT" else w for w in command]
        done = subprocess.run(argv, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode != 0:
            raise Problem(f"{' '.join(command)}: exit {done.returncode}: {done.stderr.decode()[:300]}")
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        best = spent if best is None else min(best, spent)
    return best


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stave")
    parser.add_argument("--bases")
    parser.add_argument("--layers", type=int, default=1000)
    options = parser.parse_args()
    bases, tally = harness.find_bases(options.bases), Tally()
    if bases is None:
        sys.exit("find base images: none; run scripts/base-images.py or set STAVE_BASE_IMAGES")
    folder = harness.scratch_dir("stave-scale-")
    try:
        context = folder / "context"
        context.mkdir()
        (context / "Dockerfile").write_text(DOCKERFILE)
        stave = Stave(harness.find_stave(options.stave), folder / "store")
        stave.load_bases(bases, ["busybox"])
        stave.ok("build", "-q", "-t", "cached", context)
        small = [cost(stave, command, context) for command, _ in COMMANDS]
        stave.ok("load", "-i", fill(stave.root, options.layers), timeout=3000)
        for (command, more), before in zip(COMMANDS, small):
            name = " ".join(command[:2])
            try:
                after = cost(stave, command, context)
                print(f"{name:18} {before * 1000:7.1f} ms, with {options.layers} layers {after * 1000:7.1f} ms", flush=True)
                limit = before * 1.5 + max(0.005, more * options.layers / 10000)
                if after > limit:
                    raise Problem(f"{after * 1000:.1f} ms, at most {limit * 1000:.1f}")
                tally.ok()
            except Problem as problem:
                tally.fail(name, problem)
        check = stave("system", "check", timeout=3000)
        if check.code != 0:
            tally.fail("system check", check.text[:400])
        stave.ok("builder", "prune", "-f", "--keep-storage", "1m", timeout=3000)
        left = len(list((stave.root / "layers").iterdir()))
        print(f"{left} layers after pruning to 1 MiB")
        tally.ok()
    finally:
        harness.remove_tree(folder)
    return tally.close()


if __name__ == "__main__":
    sys.exit(main())
