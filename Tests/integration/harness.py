"""What the integration tests share: the binary under test, stores of its own, base images, images read back.

Everything is read with the standard library; no layer is ever extracted to disk.
"""

import base64
import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent.parent

# The name each base image gets in a test's store, by the folder of its OCI layout.
BASE_NAMES = {
    "busybox": "docker.io/library/busybox:latest",
    "debian": "docker.io/library/debian:bookworm-slim",
    "node": "docker.io/library/node:18",
    "python": "docker.io/library/python:3.11",
    "golang": "docker.io/library/golang:1.19",
}


class Problem(Exception):
    """A test's expectation that did not hold; the text says which."""


def find_stave(given=None):
    """The binary under test: the argument, $STAVE, or the newest build of this tree."""
    candidates = [given, os.environ.get("STAVE")]
    builds = [PROJECT / ".build" / kind / "stave" for kind in ("release", "debug")]
    built = sorted((p for p in builds if p.exists()), key=lambda p: -p.stat().st_mtime)
    for path in [c for c in candidates if c] + built:
        if Path(path).exists():
            return str(Path(path).resolve())
    sys.exit("find stave: no binary; run `make build` or pass --stave PATH")


def find_bases(given=None):
    """The folder with one OCI layout for each base image, made by scripts/base-images.py."""
    for path in (given, os.environ.get("STAVE_BASE_IMAGES"), PROJECT / ".build" / "base-images"):
        if path and (Path(path) / "busybox" / "index.json").exists():
            return Path(path)
    return None


def find_suites(given=None):
    """The folder with the outside test data, or None."""
    for path in (given, os.environ.get("STAVE_CONFORMANCE"), PROJECT.parent / "shared" / "conformance"):
        if path and (Path(path) / "words.json").exists():
            return Path(path)
    return None


def scratch_dir(prefix="stave-test-"):
    """A new temporary directory on a disk that can hold an overlay's upper ($STAVE_TEST_TMP, else /var/tmp)."""
    base = os.environ.get("STAVE_TEST_TMP") or ("/var/tmp" if os.access("/var/tmp", os.W_OK) else None)
    return Path(tempfile.mkdtemp(prefix=prefix, dir=base))


def remove_tree(path):
    """Removes a directory made by a test, whatever the modes below it."""
    shutil.rmtree(path, ignore_errors=True)


class Result:
    """How one command ended: `code` (negative: killed by that signal), `out`, `err`, both text."""

    def __init__(self, argv, code, out, err):
        self.argv, self.code, self.raw_out = argv, code, out
        self.out = out.decode("utf-8", "replace")
        self.err = err.decode("utf-8", "replace")

    @property
    def text(self):
        return self.out + self.err

    @property
    def crashed(self):
        """True when the tool itself died of a signal: a trap, a bad access, a time-out."""
        return self.code < 0

    def last_line(self):
        lines = [line for line in self.text.strip().splitlines() if line.strip()]
        return lines[-1].strip() if lines else ""

    def error_line(self):
        """The line to quote in a report: the first that says error, else the last."""
        for line in self.err.splitlines():
            if line.lower().startswith(("error", "stave:", "fatal")):
                return line.strip()
        return self.last_line()


class Stave:
    """The binary with a store of its own below `root`."""

    def __init__(self, binary, root):
        self.binary, self.root = binary, Path(root)

    def __call__(self, *args, stdin=None, env=None, cwd=None, timeout=600):
        argv = [self.binary, "--root", str(self.root), *map(str, args)]
        return run(argv, stdin=stdin, env=env, cwd=cwd, timeout=timeout)

    def ok(self, *args, **more):
        """Runs and demands exit code 0."""
        result = self(*args, **more)
        if result.code != 0:
            raise Problem(f"{' '.join(map(str, args))}: exit {result.code}: {result.error_line()}")
        return result

    def load_bases(self, bases, names):
        """Loads those base images and gives them their full names."""
        for name in names:
            layout = Path(bases) / name
            if not (layout / "index.json").exists():
                raise Problem(f"load {name}: no such base image")
            said = self.ok("load", "-i", layout, timeout=1200).out.strip().splitlines()
            last = said[-1] if said else ""
            if BASE_NAMES[name] in last or last.endswith(BASE_NAMES[name].split("/")[-1]):
                continue
            reference = last.split(": ", 1)[1].strip() if ": " in last else last
            self.ok("tag", reference, BASE_NAMES[name])


def run(argv, stdin=None, env=None, cwd=None, timeout=600):
    """Runs a command; a time-out counts as killed by SIGKILL."""
    full = {**os.environ, **(env or {})}
    full.setdefault("NO_COLOR", "1")
    with subprocess.Popen(argv, stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=full, cwd=cwd) as child:
        try:
            out, err = child.communicate(stdin, timeout=timeout)
        except subprocess.TimeoutExpired:
            child.kill()
            out, err = child.communicate()
            err += f"\ntimed out after {timeout} s".encode()
        return Result(argv, child.returncode, out or b"", err or b"")


# Images, read back from a store or from a saved OCI layout.

class Entry:
    """One path of a layer or a tree, without its times."""

    __slots__ = ("type", "mode", "uid", "gid", "size", "sha256", "link", "xattrs", "device")

    def __init__(self, type, mode, uid, gid, size=None, sha256=None, link=None, xattrs=None, device=None):
        self.type, self.mode, self.uid, self.gid = type, mode, uid, gid
        self.size, self.sha256, self.link, self.xattrs, self.device = size, sha256, link, xattrs, device

    def record(self):
        """The entry as the expectations spell it."""
        record = {"type": self.type, "mode": self.mode, "uid": self.uid, "gid": self.gid}
        if self.type == "f":
            record["size"], record["sha256"] = self.size, self.sha256
        if self.type == "l":
            record["link"] = self.link
            record["mode"] = 0o777
        if self.type in "cb" and self.device:
            record["device"] = list(self.device)
        if self.xattrs:
            record["xattrs"] = self.xattrs
        return record


TYPES = {tarfile.REGTYPE: "f", tarfile.AREGTYPE: "f", tarfile.CONTTYPE: "f", tarfile.GNUTYPE_SPARSE: "f",
         tarfile.DIRTYPE: "d", tarfile.SYMTYPE: "l", tarfile.CHRTYPE: "c", tarfile.BLKTYPE: "b",
         tarfile.FIFOTYPE: "p", tarfile.LNKTYPE: "h"}


def clean(name):
    """A tar member's name as a path below the root: no leading or trailing slash, "" for the root."""
    path = os.path.normpath("/" + name).lstrip("/")
    return "" if path == "." else path


def read_layer(path, contents=None):
    """The entries of one layer tar in order, [(path, Entry or ("hardlink", target))]; `contents` collects bytes."""
    with open(path, "rb") as raw:
        magic = raw.read(4)
        raw.seek(0)
        if magic[:2] == b"\x1f\x8b":
            stream = gzip.open(raw)
        elif magic == b"\x28\xb5\x2f\xfd":
            stream = io.BytesIO(subprocess.run(["zstd", "-dc"], stdin=raw, capture_output=True, check=True).stdout)
        else:
            stream = raw
        out = []
        with tarfile.open(fileobj=stream, mode="r|", errorlevel=2) as tar:
            for member in tar:
                name, kind = clean(member.name), TYPES.get(member.type)
                if kind is None:
                    raise Problem(f"read layer {path}: entry type {member.type!r} of {member.name}")
                if kind == "h":
                    out.append((name, ("hardlink", clean(member.linkname))))
                    continue
                entry = Entry(kind, member.mode & 0o7777, member.uid, member.gid)
                xattrs = {key[len("SCHILY.xattr."):]: value for key, value in member.pax_headers.items()
                          if key.startswith("SCHILY.xattr.")}
                if xattrs:
                    entry.xattrs = {k: base64.b64encode(v.encode("utf-8", "surrogateescape")).decode()
                                    for k, v in xattrs.items()}
                if kind == "l":
                    entry.link = member.linkname
                if kind in "cb":
                    entry.device = (member.devmajor, member.devminor)
                if kind == "f":
                    digest, size, file = hashlib.sha256(), 0, tar.extractfile(member)
                    kept = [] if contents is not None else None
                    while chunk := file.read(1 << 20):
                        digest.update(chunk)
                        size += len(chunk)
                        if kept is not None:
                            kept.append(chunk)
                    entry.size, entry.sha256 = size, digest.hexdigest()
                    if kept is not None:
                        contents[entry.sha256] = b"".join(kept)
                out.append((name, entry))
        return out


def drop(tree, path, itself):
    """Removes what is below `path` (OCI image-spec, layer.md, Whiteouts), and `path` too if `itself`."""
    prefix = path + "/" if path else ""
    for old in [p for p in tree if p.startswith(prefix) and p != path]:
        del tree[old]
    if itself:
        tree.pop(path, None)


def apply_layer(tree, entries):
    """Applies a layer to a tree {path: Entry}: whiteouts first, since they hide only lower layers."""
    for name, _ in entries:
        folder, base = os.path.split(name)
        if base == ".wh..wh..opq":
            drop(tree, folder, itself=False)
        elif base.startswith(".wh."):
            drop(tree, os.path.join(folder, base[4:]), itself=True)
    for name, entry in entries:
        if os.path.basename(name).startswith(".wh."):
            continue
        if isinstance(entry, tuple):
            target = tree.get(entry[1])
            if target is None:
                raise Problem(f"hard link {name} to {entry[1]}: no such entry")
            entry = target
        old = tree.get(name)
        if old is not None and old.type == "d" and entry.type != "d":
            drop(tree, name, itself=True)
        tree[name] = entry
    return tree


class Image:
    """An image read back: `config` (the whole config document), `layers` (paths of their tars), `manifest`."""

    def __init__(self, config, layers, manifest=None):
        self.config, self.layers, self.manifest = config, layers, manifest

    @staticmethod
    def from_layout(folder, index=None):
        """Reads an OCI layout; the last manifest of its index."""
        folder = Path(folder)

        def blob(descriptor):
            return folder / "blobs" / Path(*descriptor["digest"].split(":"))

        listing = json.loads((folder / "index.json").read_text())["manifests"]
        manifest = json.loads(blob(listing[-1 if index is None else index]).read_bytes())
        while "manifests" in manifest:
            manifest = json.loads(blob(manifest["manifests"][0]).read_bytes())
        config = json.loads(blob(manifest["config"]).read_bytes())
        return Image(config, [blob(layer) for layer in manifest["layers"]], manifest)

    @staticmethod
    def from_store(stave, image):
        """Reads an image through the store's documented layout, or through `save` where a layer is not there."""
        said = stave.ok("image", "inspect", "--format", "{{.Id}}", image).out.strip()
        config_path = stave.root / "blobs" / Path(*said.split(":"))
        if config_path.exists():
            config = json.loads(config_path.read_bytes())
            tars = [stave.root / "layers" / Path(*d.split(":")[1:]) / "tar" for d in config["rootfs"]["diff_ids"]]
            if all(t.exists() for t in tars):
                return Image(config, tars)
        folder = stave.root / "tmp-saved" / hashlib.sha256(image.encode()).hexdigest()[:16]
        remove_tree(folder)
        folder.parent.mkdir(exist_ok=True)
        stave.ok("save", "--format", "oci-dir", "-o", folder, image)
        return Image.from_layout(folder)

    def content(self, path):
        """The bytes of one file of the flattened image, or None."""
        contents = {}
        tree = {}
        for layer in self.layers:
            apply_layer(tree, read_layer(layer, contents))
        entry = tree.get(clean(path))
        while entry is not None and entry.type == "l":
            target = entry.link if entry.link.startswith("/") else os.path.join(os.path.dirname(path), entry.link)
            path = clean(target)
            entry = tree.get(path)
        return contents.get(entry.sha256) if entry is not None and entry.type == "f" else None


class LayerCache:
    """Layers already read, by diffID: base layers are the same in every case."""

    def __init__(self):
        self.layers, self.lock = {}, threading.Lock()

    def entries(self, diff_id, path):
        with self.lock:
            known = self.layers.get(diff_id)
        if known is None:
            known = read_layer(path)
            if os.path.getsize(path) > 1 << 20:
                with self.lock:
                    self.layers[diff_id] = known
        return known


def flatten(image, count, cache):
    """The tree of the first `count` layers (all when None)."""
    tree = {}
    pairs = list(zip(image.config["rootfs"].get("diff_ids") or [], image.layers))
    for diff_id, path in pairs[:count]:
        apply_layer(tree, cache.entries(diff_id, path))
    return tree


class Tally:
    """Counts and prints what happened, one line for each failure, and the closing line."""

    def __init__(self, label=""):
        self.label, self.passed, self.failed, self.skipped = label, 0, 0, 0
        self.lines = []

    def ok(self):
        self.passed += 1

    def fail(self, name, reason):
        self.failed += 1
        self.lines.append(("failed", name, reason))
        print(f"failed: {name}: {' '.join(str(reason).split())[:700]}", flush=True)

    def skip(self, name, reason):
        self.skipped += 1
        self.lines.append(("skipped", name, reason))

    def close(self):
        """Prints the closing line; the process's exit code."""
        print(f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped", flush=True)
        return 1 if self.failed or not self.passed else 0
