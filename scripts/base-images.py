#!/usr/bin/env python3
"""Makes the base images of the tests from Debian packages, without any registry: one OCI layout for each.

    base-images.py OUTDIR [busybox|debian|node|python|golang ...]

An image that is there already is kept. busybox needs busybox-static; the others need mmdebstrap, root and the
package mirror that this machine's apt uses. An image that can't be made is named, and the exit code is 1.
"""

import gzip
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

EPOCH = 1700000000
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
OCI = "application/vnd.oci.image."

# Image: tag, config, packages, and what to do in the finished root ($1).
IMAGES = {
    "busybox": ("latest", {"Env": [PATH], "Cmd": ["sh"]}, None, ""),
    "debian": ("bookworm-slim", {"Env": [PATH], "Cmd": ["bash"]}, "ca-certificates", ""),
    "node": ("18", {"Env": [PATH, "NODE_VERSION=18"], "Cmd": ["node"]}, "ca-certificates,nodejs",
             'test -e "$1/usr/bin/node" || ln -s nodejs "$1/usr/bin/node"'),
    "python": ("3.11", {"Env": [PATH, "LANG=C.UTF-8", "PYTHON_VERSION=3.11"], "Cmd": ["python3"]},
               "ca-certificates,python3,python3-pip,python3-venv", 'ln -sf python3 "$1/usr/bin/python"'),
    "golang": ("1.19", {"Env": [PATH.replace("=", "=/go/bin:", 1), "GOPATH=/go"], "Cmd": ["bash"], "WorkingDir": "/go"},
               "ca-certificates,golang-go,git,gcc,libc6-dev,make", 'mkdir -p "$1/go/src" "$1/go/bin"'),
}


def busybox_root(root):
    """A root of one static program under all of its names."""
    program = shutil.which("busybox")
    if program is None:
        raise RuntimeError("no busybox; install busybox-static")
    for folder in ("bin", "etc", "tmp", "root", "home", "dev", "proc", "sys", "usr/bin", "usr/sbin", "sbin",
                   "var/spool/mail", "var/www"):
        (root / folder).mkdir(parents=True)
    shutil.copy(program, root / "bin/busybox")
    os.chmod(root / "bin/busybox", 0o755)
    for applet in subprocess.run([program, "--list"], capture_output=True, text=True, check=True).stdout.split():
        if applet != "busybox":
            os.link(root / "bin/busybox", root / "bin" / applet)
    (root / "usr/bin/env").symlink_to("../../bin/env")
    os.chmod(root / "tmp", 0o1777)
    os.chmod(root / "root", 0o700)
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/bin/false\n"
                                     "nobody:x:65534:65534:nobody:/home:/bin/false\n")
    (root / "etc/group").write_text("root:x:0:\ndaemon:x:1:\nwww-data:x:33:\nusers:x:100:\nnogroup:x:65534:\n")
    for path in [root, *root.rglob("*")]:
        os.utime(path, (EPOCH, EPOCH), follow_symlinks=False)


def suite():
    fields = dict(line.rstrip("\n").split("=", 1) for line in open("/etc/os-release") if "=" in line)
    return fields.get("VERSION_CODENAME", "bookworm").strip('"')


def sources():
    """This machine's own package mirrors, as lines of sources.list."""
    said = subprocess.run(["apt-get", "indextargets", "--format", "$(CODENAME)|$(REPO_URI)"], capture_output=True,
                          text=True, check=True).stdout
    wanted = {suite(), suite() + "-updates", suite() + "-security"}
    pairs = dict.fromkeys(tuple(line.split("|")) for line in said.splitlines() if line.split("|")[0] in wanted)
    return [f"deb {uri} {codename} main" for codename, uri in pairs]


def debian_root(root, packages, finish):
    clean = ('rm -rf "$1"/var/cache/apt/*.bin "$1"/var/log/* "$1"/dev/* "$1"/etc/hostname "$1"/etc/resolv.conf '
             '"$1"/var/lib/apt/lists/*; mkdir -p "$1"/proc "$1"/sys "$1"/dev')
    slim = [f"--dpkgopt=path-exclude=/usr/share/{d}/*" for d in ("doc", "man", "info", "locale")]
    hooks = [f"--customize-hook={h}" for h in (finish, clean) if h]
    made = subprocess.run(["mmdebstrap", "--variant=minbase", "--mode=root", "--components=main", *slim,
                           f"--include={packages}", '--aptopt=APT::Install-Recommends "false"', *hooks,
                           suite(), str(root), *sources()], capture_output=True, text=True,
                          env={**os.environ, "SOURCE_DATE_EPOCH": str(EPOCH)})
    if made.returncode:
        raise RuntimeError("mmdebstrap: " + made.stderr.strip().splitlines()[-1])


def layer_of(root, path):
    """Packs a root into a gzip layer; (diffID, digest, size)."""
    tar = subprocess.Popen(["tar", "-C", str(root), "--sort=name", "--numeric-owner", "--xattrs",
                            "--xattrs-include=security.capability", "--format=posix", "--one-file-system",
                            "--pax-option=delete=atime,delete=ctime", "-cf", "-", "."], stdout=subprocess.PIPE)
    plain = hashlib.sha256()
    with open(path, "wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=1, mtime=0, filename="") as out:
        while chunk := tar.stdout.read(1 << 20):
            plain.update(chunk)
            out.write(chunk)
    if tar.wait():
        raise RuntimeError("tar failed")
    packed = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            packed.update(chunk)
    return plain.hexdigest(), packed.hexdigest(), os.path.getsize(path)


def write_layout(out, name, root):
    """Writes the OCI layout; index.json last, so that it marks a finished one."""
    tag, config, _, _ = IMAGES[name]
    blobs = out / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    diff_id, digest, size = layer_of(root, blobs / "layer")
    os.rename(blobs / "layer", blobs / digest)

    def put(document, media):
        data = json.dumps(document).encode()
        name = hashlib.sha256(data).hexdigest()
        (blobs / name).write_bytes(data)
        return {"mediaType": OCI + media, "digest": "sha256:" + name, "size": len(data)}

    created = "2023-11-14T22:13:20Z"
    image = put({"architecture": "amd64", "os": "linux", "created": created, "config": config,
                 "rootfs": {"type": "layers", "diff_ids": ["sha256:" + diff_id]},
                 "history": [{"created": created, "created_by": "base-images " + name}]}, "config.v1+json")
    manifest = put({"schemaVersion": 2, "mediaType": OCI + "manifest.v1+json", "config": image, "layers": [
        {"mediaType": OCI + "layer.v1.tar+gzip", "digest": "sha256:" + digest, "size": size}]}, "manifest.v1+json")
    manifest["annotations"] = {"io.containerd.image.name": f"docker.io/library/{name}:{tag}",
                               "org.opencontainers.image.ref.name": tag}
    (out / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    (out / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [manifest]}))


def make(out, name):
    _, _, packages, finish = IMAGES[name]
    shutil.rmtree(out / name, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=out) as folder:
        root = Path(folder) / "root"
        root.mkdir()
        if packages is None:
            busybox_root(root)
        else:
            debian_root(root, packages, finish)
        write_layout(out / name, name, root)


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    out, failed = Path(sys.argv[1]), False
    out.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[2:] or list(IMAGES):
        if (out / name / "index.json").exists():
            continue
        try:
            make(out, name)
            print(f"made {name}", flush=True)
        except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
            failed = True
            shutil.rmtree(out / name, ignore_errors=True)
            print(f"make base image {name}: {error}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
