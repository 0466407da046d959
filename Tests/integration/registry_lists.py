#!/usr/bin/env python3
"""Tests of lists of images: `manifest`, builds and pulls of several platforms, metadata, `search`.

    registry_lists.py [--stave PATH] [--bases DIR] [--only SUBSTRING] [--user mapped|single|NAME]

Each test has a store, a home and registries on 127.0.0.1 of its own; what was pushed is read by the other tools that
are installed.
"""

import argparse
import contextlib
import encodings.idna  # While this user can still read it: server names need it.
import json
import os
import shutil
import subprocess
import sys
import traceback
from pathlib import Path

import harness
from harness import Problem, Stave, Tally
from registry_oci import INDEX, OCIRegistry
from registry_servers import DebianRegistry, Missing
import users

BOTH = "linux/amd64,linux/arm64"


class Ground:
    """What a test gets."""

    def __init__(self, options, folder):
        self.options, self.folder, self.count = options, folder, 0
        self.binary, self.stack = harness.find_stave(options.stave), contextlib.ExitStack()
        self.home = folder / "home"
        (self.home / "run").mkdir(parents=True, mode=0o700)
        (self.home / "registries.conf").write_text("")
        self.env = {"HOME": str(self.home), "XDG_RUNTIME_DIR": str(self.home / "run"),
                    "DOCKER_CONFIG": str(self.home / ".docker"), "XDG_CONFIG_HOME": str(self.home / ".config"),
                    "CONTAINERS_REGISTRIES_CONF": str(self.home / "registries.conf")}
        self.stave = self.machine()

    def machine(self):
        """A function that runs the binary with an empty store of its own."""
        self.count += 1
        stave = Stave(self.binary, self.folder / f"store-{self.count}")
        return lambda *args, **more: stave(*args, env={**self.env, **more.pop("env", {})}, **more)

    def ok(self, *args, stave=None, **more):
        result = (stave or self.stave)(*args, **more)
        if result.code != 0:
            raise Problem(f"{' '.join(map(str, args))}: exit {result.code}: {result.text.strip()[-600:]}")
        return result

    def fails(self, *args, say=(), stave=None, **more):
        result = (stave or self.stave)(*args, **more)
        if result.code == 0 or result.crashed or "Fatal error" in result.err or "not supported yet" in result.err:
            raise Problem(f"{' '.join(map(str, args))}: exit {result.code}: {result.text.strip()[-600:]}")
        for text in [say] if isinstance(say, str) else say:
            if text not in result.text:
                raise Problem(f"{' '.join(map(str, args))}: says {result.text.strip()[-600:]!r}, not {text!r}")
        return result

    def equal(self, have, want, what="value"):
        if have != want:
            raise Problem(f"{what}: want {want!r}, have {have!r}")

    def registry(self):
        return self.stack.enter_context(OCIRegistry())

    def debian(self):
        self.count += 1
        return self.stack.enter_context(DebianRegistry(self.folder / f"registry-{self.count}"))

    def context(self, dockerfile, **files):
        self.count += 1
        folder = self.folder / f"context-{self.count}"
        folder.mkdir()
        (folder / "Dockerfile").write_text(dockerfile)
        for name, text in files.items():
            (folder / name).write_text(text)
        return folder

    def pair(self, host, name="a"):
        """Pushes an image for each of two platforms, `NAME:amd` and `NAME:arm`; returns their manifests' digests."""
        digests = []
        for tag, platform in (("amd", "linux/amd64"), ("arm", "linux/arm64")):
            file = self.folder / "metadata.json"
            self.ok("build", "-q", "--push", "--platform", platform, "-t", f"{host}/{name}:{tag}", "--metadata-file",
                    file, self.context(f"FROM scratch\nCOPY a /a\nENV P={platform}\n", a=f"{name} {platform}"))
            digests.append(json.loads(file.read_text())["containerimage.digest"])
        return digests

    def inspect(self, *args):
        return json.loads(self.ok("manifest", "inspect", *args).out)

    def whole(self):
        self.ok("system", "check")

    def tool(self, name, *args, env=None):
        """What another tool says; None where it is not installed."""
        if shutil.which(name) is None:
            return None
        said = subprocess.run([name, *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
                              env={**os.environ, **self.env, **(env or {})})
        if said.returncode != 0:
            raise Problem(f"{name} {' '.join(args)}: {said.stderr.strip()[-600:]}")
        return said.stdout


def stored(registry, name, reference):
    data, media = registry.manifest(name, reference)[:2]
    document = json.loads(data)
    if document.get("mediaType") not in (None, media):
        raise Problem(f"{name}:{reference} is served as {media}")
    return document


def test_create_annotate_push(t):
    for registry in (t.registry(), t.debian()):
        host = registry.host
        digests = t.pair(host)
        said = t.ok("manifest", "create", f"{host}/a:list", f"docker://{host}/a:amd", f"docker://{host}/a:arm").out
        t.equal(said, f"Created manifest list {host}/a:list\n")
        t.fails("manifest", "create", f"{host}/a:list", f"{host}/a:amd", say="--amend")
        t.ok("manifest", "annotate", "--variant", "v8", "--os-version", "1", "--os-features", "x,y", "--annotation",
             "k=v", f"{host}/a:list", f"docker://{host}/a:arm")
        index = t.inspect(f"{host}/a:list")
        t.equal([m["digest"] for m in index["manifests"]], digests, "digests")
        want = {"architecture": "arm64", "os": "linux", "variant": "v8", "os.version": "1", "os.features": ["x", "y"]}
        t.equal(index["manifests"][1]["platform"], want, "platform")
        digest = t.ok("manifest", "push", "-q", f"{host}/a:list").out.strip()
        # The registry has it now, and other tools read it.
        t.ok("manifest", "rm", f"{host}/a:list")
        t.equal(t.ok("manifest", "inspect", f"{host}/a:list").code, 0)
        t.equal(t.inspect(f"{host}/a:list"), index, "what the registry says")
        t.equal(t.inspect(f"{host}/a@{digest}"), index, "by digest")
        if said := t.tool("skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{host}/a:list"):
            t.equal(json.loads(said), index, "skopeo")
        (t.home / "podman.conf").write_text(f'[[registry]]\nlocation = "{host}"\ninsecure = true\n')
        if said := t.tool("podman", "manifest", "inspect", f"{host}/a:list",
                          env={"CONTAINERS_REGISTRIES_CONF": str(t.home / "podman.conf")}):
            t.equal([m["digest"] for m in json.loads(said)["manifests"]], digests, "podman")
        # docker takes only the answer of a Go server for plain HTTP.
        if isinstance(registry, OCIRegistry):
            continue
        if said := t.tool("docker", "manifest", "inspect", "--insecure", f"{host}/a:list"):
            t.equal([m["platform"]["architecture"] for m in json.loads(said)["manifests"]], ["amd64", "arm64"], "docker")


def test_lists_of_local_images(t):
    registry = t.registry()
    for tag, platform in (("amd", "linux/amd64"), ("arm", "linux/arm64/v8")):
        t.ok("build", "-q", "--platform", platform, "-t", f"own:{tag}", t.context("FROM scratch\nCOPY a /a\n", a=tag))
    t.ok("manifest", "create", f"{registry.host}/own:both", "own:amd", "own:arm")
    t.ok("manifest", "exists", f"{registry.host}/own:both")
    t.equal(t.stave("manifest", "exists", f"{registry.host}/own:no").code, 1)
    # What the list names outlives its names.
    t.ok("rmi", "own:arm")
    t.ok("image", "prune", "-a", "-f")
    t.whole()
    t.ok("manifest", "push", "--purge", f"{registry.host}/own:both")
    t.equal(t.stave("manifest", "exists", f"{registry.host}/own:both").code, 1)
    index = stored(registry, "own", "both")
    t.equal([m["platform"]["architecture"] for m in index["manifests"]], ["amd64", "arm64"])
    for entry in index["manifests"]:
        for blob in stored(registry, "own", entry["digest"])["layers"]:
            t.equal(blob["mediaType"].endswith("+gzip"), True, "built layers go compressed")
    t.ok("image", "prune", "-a", "-f")
    t.equal(t.ok("images", "-aq").out, "", "images after the list is gone")
    t.whole()


def test_add_remove_amend(t):
    registry = t.registry()
    host = registry.host
    amd, arm = t.pair(host)
    t.ok("manifest", "create", f"{host}/a:l", f"docker://{host}/a:amd")
    t.equal(t.ok("manifest", "add", "--variant", "v9", f"{host}/a:l", f"docker://{host}/a:arm").out.strip(), arm)
    t.ok("manifest", "create", "--amend", f"{host}/a:l", f"docker://{host}/a:amd")
    t.equal(len(t.inspect(f"{host}/a:l")["manifests"]), 2, "entries")
    t.ok("manifest", "remove", f"{host}/a:l", arm)
    t.equal([m["digest"] for m in t.inspect(f"{host}/a:l")["manifests"]], [amd])
    t.fails("manifest", "remove", f"{host}/a:l", arm, say="does not exist")
    t.fails("manifest", "annotate", f"{host}/a:l", f"docker://{host}/a:arm", say="does not exist")
    t.ok("manifest", "annotate", "--index", "--annotation", "of=list", f"{host}/a:l")
    t.equal(t.inspect(f"{host}/a:l")["annotations"], {"of": "list"})
    t.fails("manifest", "push", f"{host}/a:never", say="No such manifest")
    t.fails("manifest", "rm", f"{host}/a:never", say="No such manifest")
    t.fails("manifest", "create", f"{host}/a:x", f"{host}/a:none", say="no such manifest")
    t.fails("manifest", "create", f"{host}/a:x")
    # A list in a list: all of it or an error.
    t.ok("manifest", "push", "-q", f"{host}/a:l")
    t.fails("manifest", "create", f"{host}/a:x", f"docker://{host}/a:l", say="is a manifest list")
    t.ok("manifest", "create", "--all", f"{host}/a:x", f"docker://{host}/a:l")
    t.equal([m["digest"] for m in t.inspect(f"{host}/a:x")["manifests"]], [amd])


def test_other_repositories_and_registries(t):
    one, two = t.registry(), t.debian()
    digests = t.pair(one.host)
    t.ok("manifest", "create", f"{one.host}/b/c:1", f"docker://{one.host}/a:amd", f"docker://{one.host}/a:arm")
    one.forget()
    t.ok("manifest", "push", f"{one.host}/b/c:1")
    t.equal([m["digest"] for m in stored(one, "b/c", "1")["manifests"]], digests)
    t.equal([r for r in one.asked("GET") if "/blobs/" in r.path], [], "blobs fetched within one registry")
    t.ok("manifest", "push", f"{one.host}/b/c:1", f"docker://{two.host}/d:2")
    t.equal([m["digest"] for m in t.inspect(f"{two.host}/d:2")["manifests"]], digests)
    for platform in BOTH.split(","):
        t.ok("pull", "-q", "--platform", platform, f"{two.host}/d:2", stave=t.machine())


def test_verbose(t):
    registry = t.debian()
    amd, arm = t.pair(registry.host)
    t.ok("manifest", "create", f"{registry.host}/a:l", f"{registry.host}/a:amd", f"docker://{registry.host}/a:arm")
    t.ok("manifest", "push", "-p", f"{registry.host}/a:l")
    one, both = t.inspect("-v", f"{registry.host}/a:amd"), t.inspect("-v", f"{registry.host}/a:l")
    t.equal(one["Descriptor"]["platform"], {"architecture": "amd64", "os": "linux"})
    t.equal([m["Descriptor"]["digest"] for m in both], [amd, arm])
    t.equal([set(m) for m in both], [{"Ref", "Descriptor", "Raw", "OCIManifest"}] * 2)
    if said := t.tool("docker", "manifest", "inspect", "-v", "--insecure", f"{registry.host}/a:l"):
        t.equal(both, json.loads(said), "docker's")
    if said := t.tool("docker", "manifest", "inspect", "-v", "--insecure", f"{registry.host}/a:amd"):
        t.equal(one, json.loads(said), "docker's")


DOCKERFILE = ("FROM --platform=$BUILDPLATFORM scratch AS made\nARG TARGETARCH\nCOPY a /made\n"
              "FROM scratch\nARG TARGETPLATFORM TARGETARCH TARGETVARIANT BUILDPLATFORM\nCOPY --from=made /made /made\n"
              "COPY a /$TARGETARCH\nENV T=$TARGETPLATFORM V=$TARGETVARIANT B=$BUILDPLATFORM\n")


def test_build_for_platforms(t):
    registry = t.registry()
    name, folder = f"{registry.host}/made:1", t.context(DOCKERFILE, a="A")
    metadata, iid = t.folder / "m.json", t.folder / "iid"
    said = t.ok("build", "--progress=plain", "--platform", "linux/amd64,linux/arm/v7", "-t", name, "-t", "second",
                "--metadata-file", metadata, "--iidfile", iid, folder).text
    # The stage for this machine is made once.
    t.equal(sum("[linux/amd64 made 1/1]" in line or "made 2/2] COPY a" in line for line in said.splitlines()), 1, said)
    told = json.loads(metadata.read_text())
    t.equal(iid.read_text(), told["containerimage.digest"], "iidfile of a list")
    t.equal("containerimage.config.digest" in told, False)
    t.equal(told["containerimage.descriptor"]["mediaType"], INDEX)
    t.equal(sorted(told["image.name"].split(",")), sorted([name, "docker.io/library/second:latest"]))
    t.equal(len(t.ok("images", "-q").out.split()), 1, "one image is shown")
    t.equal(len(t.ok("images", "-aq").out.split()), 2, "two are there")
    env = {}
    for platform in ("linux/amd64", "linux/arm/v7"):
        seen = json.loads(t.ok("image", "inspect", "--platform", platform, name).out)[0]
        env[platform] = dict(one.split("=", 1) for one in seen["Config"]["Env"] if not one.startswith("PATH="))
    t.equal(env["linux/arm/v7"], {"T": "linux/arm/v7", "V": "v7", "B": "linux/amd64"})
    t.equal(env["linux/amd64"], {"T": "linux/amd64", "V": "", "B": "linux/amd64"})
    t.ok("image", "prune", "-f")
    t.ok("push", "-q", name)
    index = stored(registry, "made", "1")
    t.equal([m["platform"] for m in index["manifests"]],
            [{"architecture": "amd64", "os": "linux"}, {"architecture": "arm", "os": "linux", "variant": "v7"}])
    t.ok("push", "-q", "--platform", "linux/arm/v7", name)
    t.equal("config" in stored(registry, "made", "1"), True, "one image alone")
    # Another image takes the name, and its list with it.
    t.ok("build", "-q", "-t", name, folder)
    t.ok("push", "-q", name)
    t.equal("config" in stored(registry, "made", "1"), True, "the image that was built last")
    t.ok("rmi", "second")
    t.equal(len(t.ok("images", "-aq").out.split()), 1, "images left")
    t.whole()


def test_build_push_of_platforms(t):
    registry = t.registry()
    name, metadata = f"{registry.host}/made:1", t.folder / "m.json"
    t.ok("build", "-q", "--push", "--platform", BOTH, "-t", name, "--metadata-file", metadata, "--annotation", "a=b",
         "--annotation", "index:i=j", "--annotation", "manifest-descriptor[linux/arm64]:d=e", t.context(DOCKERFILE, a="A"))
    index = stored(registry, "made", "1")
    t.equal(index.get("annotations"), {"i": "j"})
    t.equal([m.get("annotations") for m in index["manifests"]], [None, {"d": "e"}])
    for entry in index["manifests"]:
        t.equal(stored(registry, "made", entry["digest"])["annotations"], {"a": "b"})
    t.equal(json.loads(metadata.read_text())["containerimage.digest"], t.ok("push", name).out.split("digest: ")[-1].split()[0])
    # Another tool takes all of it, and checks what it takes.
    t.tool("skopeo", "copy", "--all", "--src-tls-verify=false", f"docker://{name}", f"oci:{t.folder}/layout:1")
    t.fails("build", "--annotation", "index:i=j", t.context("FROM scratch\nCOPY a /a\n", a=""), say="single platform")
    t.fails("build", "--annotation", "nonsense:i=j", t.context("FROM scratch\nCOPY a /a\n", a=""), say="nonsense")


def test_annotations_of_one_image(t):
    registry = t.registry()
    name, folder = f"{registry.host}/made:1", t.context("FROM scratch\nCOPY a /a\n", a="A")
    for words, want in ((["--annotation", "a=b"], {"a": "b"}), (["--annotation", "manifest:c=d e"], {"c": "d e"}), ([], None)):
        metadata, iid = t.folder / "m.json", t.folder / "iid"
        t.ok("build", "-q", "--push", "-t", name, "--metadata-file", metadata, "--iidfile", iid, *words, folder)
        document, told = stored(registry, "made", "1"), json.loads(metadata.read_text())
        t.equal(document.get("annotations"), want)
        t.equal(told["containerimage.config.digest"], document["config"]["digest"])
        t.equal(iid.read_text(), document["config"]["digest"])
        t.equal(stored(registry, "made", told["containerimage.digest"]), document)
        t.equal(told["image.name"], name)


def test_bases_of_every_platform(t):
    """FROM takes each platform's own image and leaves the name to the one that runs here."""
    registry = t.registry()
    base = f"{registry.host}/base:1"
    t.ok("build", "-q", "--push", "--platform", BOTH, "-t", base, t.context(DOCKERFILE, a="base"))
    stave = t.machine()
    folder = t.context(f"FROM {base}\nARG TARGETARCH\nCOPY a /over-$TARGETARCH\n", a="A")
    t.ok("pull", "-q", base, stave=stave)
    before = t.ok("image", "inspect", "-f", "{{.Id}}", base, stave=stave).out
    t.ok("build", "-q", "--platform", BOTH, "-t", "made", folder, stave=stave)
    t.equal(t.ok("image", "inspect", "-f", "{{.Id}}", base, stave=stave).out, before, "what the base's name means")
    for platform in BOTH.split(","):
        seen = json.loads(t.ok("image", "inspect", "--platform", platform, "made", stave=stave).out)[0]
        t.equal(seen["Architecture"], platform.split("/")[1])
        t.equal(f"T={platform}" in seen["Config"]["Env"], True, "the base's own environment")
    # One that is not native is a plain image, and needs no registry any more.
    registry.forget()
    t.ok("build", "-q", "--platform", "linux/arm64", "-t", "foreign", folder, stave=stave)
    t.equal(registry.requests, [], "requests for bases that are here")
    t.equal(t.ok("image", "inspect", "-f", "{{.Architecture}}", "foreign", stave=stave).out.strip(), "arm64")
    t.ok("system", "check", stave=stave)


def test_a_step_that_cannot_run(t):
    """The message names the step, the platform and the package; steps of this machine do run."""
    registry = t.registry()
    native, foreign = b"\x7fELF\x02\x01\x01" + bytes(9), b"\x02\x00\xf3\x00\x01\x00\x00\x00" + bytes(40)
    (t.folder / "program").write_bytes(native + foreign)
    folder = t.context('FROM scratch\nCOPY program /program\nRUN ["/program"]\n')
    shutil.copy(t.folder / "program", folder / "program")
    (folder / "program").chmod(0o755)
    t.fails("build", "--platform", "linux/riscv64", "-t", "made", folder,
            say=("qemu-user-static", "linux/riscv64", 'RUN ["/program"]', "exec format error"))


INTERPRETER = """
#include <fcntl.h>
#include <stdio.h>
int main(int count, char **words) { return dprintf(open("/ran", O_CREAT | O_WRONLY, 0644), "%s", words[1]) < 0; }
"""
REGISTER = r""":stave-test:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xf3\x00:%s:%s:F"""


def test_a_step_that_an_interpreter_runs(t):
    """A program for another processor, in a user namespace with interpreters of its own (Linux 6.7)."""
    if not all(map(shutil.which, ("gcc", "unshare"))):
        raise Missing("gcc or unshare is not installed")
    (t.folder / "interpreter.c").write_text(INTERPRETER)
    t.tool("gcc", "-static", "-o", str(t.folder / "interpreter"), str(t.folder / "interpreter.c"))
    folder = t.context('FROM scratch\nCOPY program /program\nRUN ["/program"]\n')
    (folder / "program").write_bytes(b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\xf3\x00\x01\x00\x00\x00" + bytes(40))
    (folder / "program").chmod(0o755)
    mask = r"\xff" * 7 + r"\x00" + r"\xff" * 8 + r"\xfe" + r"\xff" * 3
    register, binfmt = REGISTER % (mask, t.folder / "interpreter"), "/proc/sys/fs/binfmt_misc"
    prepare = f"mount -t binfmt_misc none {binfmt} && printf '%s' '{register}' > {binfmt}/register"
    within = ["unshare", "-Urm", "--map-root-user", "sh", "-c"]
    if subprocess.run([*within, prepare], capture_output=True).returncode != 0:
        raise Missing("the kernel has no interpreters of a user namespace")
    said = t.tool(*within, f'{prepare} && exec "$@"', "sh", t.binary, "--root", str(t.folder / "inner"), "build",
                  "--platform", "linux/riscv64", "-t", "made", "-q", str(folder))
    t.equal(said.startswith("sha256:"), True, said)


def test_pull_of_all_platforms(t):
    registry, other = t.registry(), t.registry()
    name = f"{registry.host}/made:1"
    metadata = t.folder / "m.json"
    t.ok("build", "-q", "--push", "--platform", BOTH, "-t", name, "--metadata-file", metadata, t.context(DOCKERFILE, a="A"))
    digest = json.loads(metadata.read_text())["containerimage.digest"]
    # With an attestation beside the images, in bytes that nobody else writes so.
    config = registry.add_blob("made", b"{}")
    layer = registry.add_blob("made", b'{"_type":"statement"}')
    attestation = json.dumps({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": config, "size": 2},
        "layers": [{"mediaType": "application/vnd.in-toto+json", "digest": layer, "size": 21}]}, indent=3).encode()
    document = stored(registry, "made", "1")
    document["manifests"].append({
        "mediaType": "application/vnd.oci.image.manifest.v1+json", "size": len(attestation),
        "digest": registry.add_manifest("made", attestation, "application/vnd.oci.image.manifest.v1+json"),
        "platform": {"os": "unknown", "architecture": "unknown"},
        "annotations": {"vnd.docker.reference.type": "attestation-manifest",
                        "vnd.docker.reference.digest": document["manifests"][0]["digest"]}})
    digest = registry.add_manifest("made", json.dumps(document, indent=1).encode(), INDEX, ["1"])
    stave = t.machine()
    t.equal(t.ok("pull", "--all-platforms", name, stave=stave).out.split("Digest: ")[1].split()[0], digest)
    t.equal(len(t.ok("images", "-q", stave=stave).out.split()), 1, "rows")
    t.ok("image", "prune", "-f", stave=stave)
    t.ok("system", "check", stave=stave)
    registry.close()
    t.ok("tag", name, f"{other.host}/copy:1", stave=stave)
    t.ok("push", "-q", f"{other.host}/copy:1", stave=stave)
    t.equal(other.tags["copy", "1"], digest, "the digest of a further name")
    t.equal(t.inspect(f"{other.host}/copy@{digest}"), document, "what the registry says")
    t.ok("manifest", "push", name, f"{other.host}/copy:2", stave=stave)
    t.equal(other.tags["copy", "2"], digest, "the digest elsewhere")
    t.equal(other.manifest("copy", "2")[0], json.dumps(document, indent=1).encode(), "bytes")
    t.ok("rmi", name, stave=stave)
    t.ok("rmi", f"{other.host}/copy:1", stave=stave)
    t.ok("image", "prune", "-f", stave=stave)
    t.equal(t.ok("images", "-aq", stave=stave).out, "", "images left")
    t.fails("pull", "--all-platforms", "--platform", "linux/arm64", name, say="exclude")


def test_search(t):
    closed = {"https_proxy": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9"}
    t.fails("search", "busybox", env=closed, say="Docker Hub")
    t.fails("search", "--limit", "101", "x", say="outside the range")
    t.fails("search", "--filter", "nonsense=1", "x", say="nonsense")
    registry = t.debian()
    t.pair(registry.host, "apps/web")
    t.pair(registry.host, "other")
    said = t.ok("search", "--format", "{{.Name}}", f"{registry.host}/app").out
    t.equal(said, f"{registry.host}/apps/web\n")
    t.equal(t.ok("search", f"{registry.host}/").out.split()[:4], ["NAME", "DESCRIPTION", "STARS", "OFFICIAL"])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stave")
    parser.add_argument("--bases")
    parser.add_argument("--only")
    users.add_argument(parser)
    options = parser.parse_args()
    users.become(options)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
        os.environ.pop(name, None)
    scratch, tally = harness.scratch_dir("stave-lists-"), Tally()
    try:
        for name, function in [item for item in globals().items() if item[0].startswith("test_")]:
            if options.only and options.only not in name:
                continue
            folder = scratch / "work"
            folder.mkdir()
            ground = Ground(options, folder)
            try:
                with ground.stack:
                    function(ground)
                tally.ok()
            except Missing as missing:
                tally.skip(name, missing)
            except Problem as problem:
                tally.fail(name, problem)
            except Exception:
                tally.fail(name, traceback.format_exc(limit=-2))
            finally:
                harness.remove_tree(folder)
    finally:
        harness.remove_tree(scratch)
    return tally.close()


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main())
