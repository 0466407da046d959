"""Tests of `save`, `load` and `import`: every format and compression, and hostile archives."""

import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile

import harness
from harness import Image, Problem

OCI = "application/vnd.oci.image."


def layer(*members):
    """A layer tar of (name, keyword arguments of TarInfo, content)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, fields, content in members:
            info = tarfile.TarInfo(name)
            for key, value in fields.items():
                setattr(info, key, value)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def write_layout(folder, layers, config=None, name="stave-test/made:1", compress=None, tamper=None):
    """An OCI layout of these layer tars; `tamper(blobs)` may change {digest: bytes} before they are written."""
    blobs = {}

    def put(data, media):
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        blobs[digest] = data
        return {"mediaType": media, "digest": digest, "size": len(data)}

    suffix = {"gzip": "+gzip", "zstd": "+zstd", None: ""}[compress]
    packed = [pack(data, compress) for data in layers]
    descriptors = [put(data, OCI + "layer.v1.tar" + suffix) for data in packed]
    document = {"architecture": "amd64", "os": "linux", "config": config or {"Cmd": ["true"]},
                "rootfs": {"type": "layers",
                           "diff_ids": ["sha256:" + hashlib.sha256(data).hexdigest() for data in layers]}}
    manifest = {"schemaVersion": 2, "mediaType": OCI + "manifest.v1+json",
                "config": put(json.dumps(document).encode(), OCI + "config.v1+json"), "layers": descriptors}
    entry = put(json.dumps(manifest).encode(), OCI + "manifest.v1+json")
    entry["annotations"] = {"io.containerd.image.name": "docker.io/" + name, "org.opencontainers.image.ref.name": "1"}
    if tamper:
        tamper(blobs)
    (folder / "blobs" / "sha256").mkdir(parents=True)
    for digest, data in blobs.items():
        (folder / "blobs" / "sha256" / digest.split(":")[1]).write_bytes(data)
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    return folder


def pack(data, compress):
    if compress == "gzip":
        return gzip.compress(data, 6)
    if compress == "zstd":
        return subprocess.run(["zstd", "-c"], input=data, capture_output=True, check=True).stdout
    return data


def test_round_trips(t):
    t.code(t.build("FROM busybox\nRUN echo a > /a && rm /bin/awk\nENV X=1\n", "stave-test/trip:1"), 0)
    before = Image.from_store(t.stave, "stave-test/trip:1").config
    for form in ("docker-archive", "oci-archive", "oci-dir"):
        out = t.folder / form
        t.stave.ok("save", "--format", form, "-o", out, "stave-test/trip:1")
        t.stave.ok("rmi", "stave-test/trip:1")
        said = t.stave.ok("load", "-i", out).out
        if "Loaded image: " not in said or "stave-test/trip:1" not in said:
            raise Problem(f"{form}: load said {said!r}")
        t.equal(Image.from_store(t.stave, "stave-test/trip:1").config, before, f"{form}: config")
        t.equal(t.stave("run", "--rm", "stave-test/trip:1", "cat", "/a").out, "a\n", f"{form}: run")


def test_save_to_stdout_and_load_from_stdin(t):
    t.stave.ok("tag", "busybox", "stave-test/piped:1")
    saved = t.stave.ok("save", "stave-test/piped:1").raw_out
    with tarfile.open(fileobj=io.BytesIO(saved)) as tar:
        if "manifest.json" not in tar.getnames():
            raise Problem(f"save: no manifest.json in {tar.getnames()[:5]}")
    t.stave.ok("rmi", "stave-test/piped:1")
    if "stave-test/piped:1" not in t.stave.ok("load", stdin=saved).out:
        raise Problem("load from stdin")
    if "stave-test/piped:1" not in t.stave.ok("load", "-q", stdin=gzip.compress(saved, 1)).out:
        raise Problem("load of a compressed archive from stdin")


def test_compressions_on_read(t):
    file = layer(("file", {"mode": 0o644}, b"text\n"))
    kinds = [None, "gzip"] + (["zstd"] if shutil.which("zstd") else [])
    for kind in kinds:
        name = f"stave-test/{kind or 'none'}:1"
        write_layout(t.folder / f"layout-{kind}", [file], name=name, compress=kind)
        t.stave.ok("load", "-i", t.folder / f"layout-{kind}")
        t.equal(Image.from_store(t.stave, name).content("file"), b"text\n", f"{kind}: content")


def test_unnamed_image(t):
    folder = write_layout(t.folder / "layout", [layer(("file", {}, b"unnamed\n"))])
    index = json.loads((folder / "index.json").read_text())
    index["manifests"][0]["annotations"] = {}
    (folder / "index.json").write_text(json.dumps(index))
    if "Loaded image ID: sha256:" not in t.stave.ok("load", "-i", folder).out:
        raise Problem("load of an image without a name")


def test_members_tar_has(t):
    """What a layer may hold: links, devices, long names, whiteouts, opaque folders, odd bytes, empty folders."""
    long = "d/" + "n" * 180 + "/" + "m" * 120
    first = layer(("d", {"type": tarfile.DIRTYPE, "mode": 0o755}, b""), ("d/a", {"mode": 0o4755}, b"a"),
                  ("d/hard", {"type": tarfile.LNKTYPE, "linkname": "d/a"}, b""),
                  ("d/soft", {"type": tarfile.SYMTYPE, "linkname": "/nowhere"}, b""),
                  ("d/null", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3, "mode": 0o666}, b""),
                  (long, {"mode": 0o600, "uid": 3000000, "gid": 7}, b"deep"), ("gone/x", {}, b"x"), ("o/old", {}, b"o"))
    second = layer((".wh.gone", {}, b""), ("o/.wh..wh..opq", {}, b""), ("o/new", {}, b"n"))
    write_layout(t.folder / "layout", [first, second], name="stave-test/members:1")
    t.stave.ok("load", "-i", t.folder / "layout")
    t.stave.ok("build", "-t", "stave-test/members:2", t.context(
        "FROM stave-test/members:1\nCOPY --from=busybox / /\n"))
    out = t.stave("run", "--rm", "stave-test/members:2", "sh", "-c",
                  f"ls /o; ls -d /gone 2>/dev/null; stat -c '%a %h' /d/a; readlink /d/soft; stat -c %t,%T /d/null; "
                  f"stat -c '%u %g %a' /{long}").out
    # In a user namespace there are no devices, and an id beyond its ids is shown as root's; the image has both.
    want = {None: "1,3\n3000000 7", "single": "0 0"}.get(t.rootless, "0 7")
    t.equal(out, f"new\n4755 2\n/nowhere\n{want} 600\n", "stdout")


HOSTILE = {
    "dot dot": [("../escaped", {}, b"x")],
    "dot dot inside": [("a/../../escaped", {}, b"x")],
    "absolute": [("/escaped-absolute", {}, b"x")],
    "symlink escape": [("out", {"type": tarfile.SYMTYPE, "linkname": "@OUTSIDE@"}, b""), ("out/escaped", {}, b"x")],
    "relative symlink escape": [("out", {"type": tarfile.SYMTYPE, "linkname": "../../../../../../../../../../@OUTSIDE@"},
                                 b""), ("out/escaped", {}, b"x")],
    "hard link escape": [("h", {"type": tarfile.LNKTYPE, "linkname": "../../../../../../@SECRET@"}, b""),
                         ("h", {}, b"overwritten")],
    "absolute hard link": [("h", {"type": tarfile.LNKTYPE, "linkname": "@SECRET@"}, b"")],
    "hard link through symlink": [("l", {"type": tarfile.SYMTYPE, "linkname": "@OUTSIDE@"}, b""),
                                  ("h", {"type": tarfile.LNKTYPE, "linkname": "l/secret"}, b"")],
    "whiteout escape": [("../.wh.outside", {}, b"")],
    "whiteout of dot dot": [("a/.wh...", {}, b"")],
    "fifo and devices": [("f", {"type": tarfile.FIFOTYPE}, b""),
                         ("b", {"type": tarfile.BLKTYPE, "devmajor": 8, "devminor": 0}, b"")],
}


def test_hostile_layers(t):
    """Loaded, used in a build and run, a hostile layer changes nothing outside and leaks nothing in."""
    outside = t.folder / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret\n")
    for name, members in HOSTILE.items():
        def spell(text):
            return text.replace("@OUTSIDE@", str(outside)).replace("@SECRET@", str(outside / "secret"))
        made = [(n, {k: spell(v) if isinstance(v, str) else v for k, v in f.items()}, c) for n, f, c in members]
        image = "stave-test/hostile-" + name.replace(" ", "-")
        folder = write_layout(t.folder / name.replace(" ", "-"), [layer(*made)], name=image + ":1")
        results = [t.stave("load", "-i", folder)]
        if results[0].code == 0:
            results.append(t.stave("build", "-t", image + ":2", t.context(
                f"FROM {image}:1\nCOPY --from=busybox / /\nRUN true\n", name=f"c-{name}".replace(" ", "-"))))
            results.append(t.stave("run", "--rm", image + ":2", "sh", "-c", "cat /h /l/secret /out/* 2>/dev/null"))
            if "secret" in results[-1].out:
                raise Problem(f"{name}: a host file is readable inside")
        for result in results:
            if result.crashed or result.code in range(129, 160):
                raise Problem(f"{name}: {result.argv[3]} died: exit {result.code}: {result.last_line()}")
        t.equal(sorted(os.listdir(outside)), ["secret"], f"{name}: files outside")
        t.equal((outside / "secret").read_text(), "secret\n", f"{name}: the file outside")
        for path in ("/escaped", "/escaped-absolute", str(t.folder / "escaped"), str(t.stave.root / "escaped"),
                     str(t.stave.root / "layers" / "escaped")):
            if os.path.exists(path):
                raise Problem(f"{name}: wrote {path}")
        t.whole()


def test_hostile_archive_members(t):
    """The archive around the image: names that leave it, links for members, endless nesting."""
    outside = t.folder / "outside"
    outside.mkdir()
    for name, members in HOSTILE.items():
        path = t.folder / "archive.tar"
        path.write_bytes(layer(*[(n, {k: v.replace("@OUTSIDE@", str(outside)).replace("@SECRET@", "/etc/passwd")
                                      if isinstance(v, str) else v for k, v in f.items()}, c) for n, f, c in members]))
        result = t.stave("load", "-i", path)
        t.fails(result)
        t.equal(os.listdir(outside), [], f"{name}: files outside")
    t.whole()


def flip(data):
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1:]


def test_corrupt_archives(t):
    before = t.stave.ok("images", "-q", "-a").out
    good = layer(("file", {}, b"x" * 5000))
    damage = {
        "changed layer": lambda blobs: blobs.update({d: flip(b) for d, b in blobs.items() if b[:1] != b"{"}),
        "changed config": lambda blobs: blobs.update({d: b.replace(b"amd64", b"amd65") for d, b in blobs.items()}),
        "missing layer": lambda blobs: [blobs.pop(d) for d in [d for d, b in blobs.items() if b[:1] != b"{"]],
        "cut layer": lambda blobs: blobs.update({d: b[:len(b) // 2] for d, b in blobs.items() if b[:1] != b"{"}),
    }
    for name, tamper in damage.items():
        for compress in (None, "gzip"):
            folder = write_layout(t.folder / f"{name}-{compress}", [good], name="stave-test/corrupt:1",
                                  tamper=tamper, compress=compress)
            t.fails(t.stave("load", "-i", folder))
    for name, data in {"empty": b"", "text": b"hello\n" * 100, "zeros": bytes(4096), "cut gzip": gzip.compress(good)[:50],
                       "half a header": good[:300]}.items():
        (t.folder / "bad.tar").write_bytes(data)
        t.fails(t.stave("load", "-i", t.folder / "bad.tar"))
    t.fails(t.stave("load", "-i", t.folder / "absent.tar"), "absent.tar")
    t.equal(t.stave.ok("images", "-q", "-a").out, before, "images after bad loads")
    t.whole()


def test_wrong_diff_id(t):
    """A layer whose content is not what the config says is refused."""
    folder = write_layout(t.folder / "layout", [layer(("a", {}, b"a"))])
    manifest_path = next(p for p in (folder / "blobs" / "sha256").iterdir() if b'"layers": [{' in p.read_bytes())
    manifest = json.loads(manifest_path.read_bytes())
    other = layer(("b", {}, b"b"))
    digest = hashlib.sha256(other).hexdigest()
    (folder / "blobs" / "sha256" / digest).write_bytes(other)
    manifest["layers"][0].update({"digest": "sha256:" + digest, "size": len(other)})
    data = json.dumps(manifest).encode()
    (folder / "blobs" / "sha256" / hashlib.sha256(data).hexdigest()).write_bytes(data)
    index = json.loads((folder / "index.json").read_text())
    index["manifests"][0].update({"digest": "sha256:" + hashlib.sha256(data).hexdigest(), "size": len(data)})
    (folder / "index.json").write_text(json.dumps(index))
    t.fails(t.stave("load", "-i", folder))


def test_bomb_is_refused_or_bounded(t):
    """Numbers in a header far beyond the archive do not make the reader reserve them."""
    data = bytearray(layer(("big", {}, b"x")))
    data[124:136] = b"77777777777\0"
    checksum = sum(data[:148]) + 8 * 32 + sum(data[156:512])
    data[148:156] = b"%06o\0 " % checksum
    folder = write_layout(t.folder / "layout", [bytes(data)])
    t.fails(t.stave("load", "-i", folder))


def test_hostile_import_and_add(t):
    outside = t.folder / "outside"
    outside.mkdir()
    for name, members in HOSTILE.items():
        data = layer(*[(n, {k: v.replace("@OUTSIDE@", str(outside)).replace("@SECRET@", "/etc/passwd")
                            if isinstance(v, str) else v for k, v in f.items()}, c) for n, f, c in members])
        (t.folder / "r.tar").write_bytes(data)
        results = [t.stave("import", t.folder / "r.tar", "stave-test/hostile-import")]
        folder = t.context("FROM busybox\nADD r.tar /d/\n", name="add-" + name.replace(" ", "-"))
        (folder / "r.tar").write_bytes(data)
        results.append(t.stave("build", folder))
        for result in results:
            if result.crashed or result.code in range(129, 160):
                raise Problem(f"{name}: {result.argv[3]} died: exit {result.code}: {result.last_line()}")
        t.equal(os.listdir(outside), [], f"{name}: files outside")
    t.whole()
