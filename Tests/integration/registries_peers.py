"""Images of Stave in other tools' hands and the other way round: skopeo, podman, buildah, docker; digests equal."""

import hashlib
import json
import os
import shutil

import harness
from harness import Image, Problem
from peers import PODMAN, installed, limits, must, podman_works
from registries_push import build
from registry_images import Wire, mixed_bytes, runnable, small
from registry_servers import Missing

PODMAN_ENV = {"PODMAN_IGNORE_CGROUPSV1_WARNING": "1"}


def needs(*tools):
    for tool in tools:
        if not installed(tool):
            raise Missing(f"{tool} is not installed")


def podman(t):
    needs("podman")
    if os.geteuid() != 0:
        raise Missing("podman is asked as root only")
    return ["podman", "--root", str(t.folder / "podman"), "--runroot", str(t.folder / "podman-run"), *PODMAN]


def runs(t, store, name, want):
    if podman_works(store, PODMAN_ENV, t.folder):
        argv = [*store, "run", "--rm", "--network=host", *limits(), name]
        t.equal(must(argv, env=PODMAN_ENV).out, want, "podman run")


def test_skopeo_copies_what_stave_pushed(t):
    needs("skopeo")
    registry = t.debian()
    name = f"{registry.host}/made:1"
    build(t, name)
    t.stave.ok("push", name)
    must(["skopeo", "copy", "-q", "--src-tls-verify=false", "--preserve-digests", f"docker://{name}",
          f"oci:{t.folder}/layout:1"], env=t.stave.env)
    digest = json.loads((t.folder / "layout/index.json").read_text())["manifests"][0]["digest"]
    t.equal(digest, Wire(registry).manifest("made", "1")[0])
    t.equal(Image.from_layout(t.folder / "layout").content("files/a"), mixed_bytes(1, 50000))
    seen = json.loads(must(["skopeo", "inspect", "--tls-verify=false", f"docker://{name}"], env=t.stave.env).out)
    t.true(digest in t.stave.ok("image", "inspect", name).out, f"RepoDigests lack {digest}, which skopeo sees")
    t.equal((seen["Digest"], seen["Architecture"]), (digest, "amd64"))


def test_stave_pulls_what_skopeo_copied(t):
    needs("skopeo")
    registry = t.debian()
    for source in ("busybox", "debian"):
        if not (t.bases / source / "index.json").exists():
            continue
        for form in ("oci", "v2s2"):
            name = f"{registry.host}/{source}:{form}"
            must(["skopeo", "copy", "-q", "--dest-tls-verify=false", "--format", form, f"oci:{t.bases}/{source}",
                  f"docker://{name}"], env=t.stave.env)
            t.stave.ok("pull", name)
            raw = must(["skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{name}"],
                       env=t.stave.env).raw_out
            digest = "sha256:" + hashlib.sha256(raw).hexdigest()
            t.true(digest in t.stave.ok("image", "inspect", name).out, f"{name}: RepoDigests lack {digest}")
            target = f"{registry.host}/again/{source}:{form}"
            t.stave.ok("tag", name, target)
            t.stave.ok("push", target)
            t.equal(Wire(registry).manifest(f"again/{source}", form)[0], digest, f"{name} pushed again")
            ran = t.stave.ok("run", "--rm", name, "sh", "-c", "echo works")
            t.equal(ran.out, "works\n")


def test_podman_runs_what_stave_pushed(t):
    store, registry = podman(t), t.debian()
    name = f"{registry.host}/made:1"
    build(t, name)
    for way in ("gzip", "zstd"):
        t.stave.ok("push", "--compression", way, name)
        must([*store, "pull", "-q", "--tls-verify=false", name], env=PODMAN_ENV)
        seen = json.loads(must([*store, "image", "inspect", name], env=PODMAN_ENV).out)[0]
        t.equal("sha256:" + seen["Id"], t.stave.ok("image", "inspect", "-f", "{{.Id}}", name).out.strip(), "Id")
        t.equal(seen["Digest"], Wire(registry).manifest("made", "1")[0], "Digest")
        runs(t, store, name, "made\n")
        must([*store, "rmi", "-f", name], env=PODMAN_ENV)


def test_stave_runs_what_podman_pushed(t):
    store, registry = podman(t), t.debian()
    Wire(registry).put("base", runnable(t.bases), "1")
    must([*store, "pull", "-q", "--tls-verify=false", f"{registry.host}/base:1"], env=PODMAN_ENV)
    folder = t.context(f"FROM {registry.host}/base:1\nCOPY a /a\nCMD [\"cat\", \"/a\"]\n", {"a": "by podman\n"})
    made = harness.run([*store, "build", "-q", "--tls-verify=false", "-t", f"{registry.host}/child:1", str(folder)],
                       env=PODMAN_ENV, timeout=120)
    if made.code != 0:
        raise Missing(f"podman can't build here: {made.last_line()}")
    for form in ("oci", "v2s2"):
        name = f"{registry.host}/child:{form}"
        must([*store, "push", "-q", "--tls-verify=false", "--format", form, f"{registry.host}/child:1", name],
             env=PODMAN_ENV)
        t.equal(t.stave.ok("run", "--rm", name).out, "by podman\n")
        t.true(Wire(registry).manifest("child", form)[0] in t.stave.ok("image", "inspect", name).out, "digest")


def test_login_of_one_counts_for_the_other(t):
    """Credentials that podman and docker store are found, and theirs find Stave's."""
    needs("skopeo")
    registry = t.debian(users={"anna": "s3cret"})
    from registry_servers import basic
    Wire(registry, basic("anna", "s3cret")).put("a", small(1), "1")
    env = {**t.stave.env}
    file = t.stave.home / "auth.json"
    must(["skopeo", "login", "--tls-verify=false", "--authfile", file, "-u", "anna", "-p", "s3cret", registry.host],
         env=env)
    t.stave.ok("pull", "--authfile", file, f"{registry.host}/a:1")
    other = t.client()
    other.ok("login", "-u", "anna", "--password-stdin", registry.host, stdin=b"s3cret")
    must(["skopeo", "inspect", "--tls-verify=false", "--authfile", other.home / ".docker/config.json",
          f"docker://{registry.host}/a:1"], env=other.env)


def test_docker_and_stave(t):
    if not shutil.which("docker") or harness.run(["docker", "info"], timeout=20).code != 0:
        raise Missing("no docker daemon answers")
    registry = t.debian()
    name = f"{registry.host}/made:1"
    build(t, name)
    t.stave.ok("push", name)
    # A daemon elsewhere (DOCKER_HOST) does not see this machine's loopback.
    pulled = harness.run(["docker", "pull", "-q", name], timeout=120)
    if pulled.code != 0 and "connection refused" in pulled.text:
        raise Missing("the docker daemon does not reach this machine's loopback")
    t.equal(pulled.code, 0, f"docker pull ({pulled.last_line()})")
    try:
        t.equal(must(["docker", "run", "--rm", "--network=host", name]).out, "made\n")
        digests = json.loads(must(["docker", "image", "inspect", name]).out)[0]["RepoDigests"]
        t.true(any(one.endswith(Wire(registry).manifest("made", "1")[0]) for one in digests), f"RepoDigests: {digests}")
        must(["docker", "tag", name, f"{registry.host}/back:1"])
        must(["docker", "push", "-q", f"{registry.host}/back:1"])
        t.equal(t.client().ok("run", "--rm", f"{registry.host}/back:1").out, "made\n")
    finally:
        harness.run(["docker", "rmi", "-f", name, f"{registry.host}/back:1"])


def test_a_pull_is_readable_as_a_layout(t):
    """What `save` gives of a pulled image has the registry's own manifest."""
    registry = t.own()
    image = Wire(registry).put("a", small(3), "1")
    t.stave.ok("pull", f"{registry.host}/a:1")
    t.stave.ok("save", "--format", "oci-dir", "-o", t.folder / "layout", f"{registry.host}/a:1")
    saved = json.loads((t.folder / "layout/index.json").read_text())["manifests"][-1]["digest"]
    if saved != image.digest:
        raise Problem(f"saved as {saved}, pulled as {image.digest}")
