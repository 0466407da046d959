#!/usr/bin/env python3
"""Ordinary users and containers: what works in each form, that files have the owners they should have, and that what
does not work says what is missing.

    rootless.py [--stave PATH] [--only SUBSTRING] [--bases DIR]

Needs root, which makes users and containers and removes them.
"""

import argparse
import os
import subprocess
import sys

import harness
from harness import Image, LayerCache, Problem, Stave, Tally
import users

# A build that makes, changes and removes files of other owners.
OWNERS = """\
FROM busybox
COPY --chown=33:44 file /copied
RUN mkdir -p /srv/a /srv/b && touch /srv/a/x && chown -R 7:8 /srv && chmod 2750 /srv/a && ln /srv/a/x /srv/a/hard
RUN rm -r /srv/b && mkdir /srv/b && chown 1000:65534 /srv/b && rm /srv/a/x && ln -s x /srv/a/link
USER 33:44
RUN id -u > /tmp/id && ls -ln /copied /srv >> /tmp/id
"""


class Scene:
    """What the tests share."""

    def __init__(self, binary, bases, scratch):
        self.binary, self.bases, self.scratch, self.users = binary, bases, scratch, {}
        self.root = Stave(binary, scratch / "root-store")
        self.root.load_bases(bases, ["busybox"])

    def user(self, kind):
        if kind not in self.users:
            user = users.TestUser(kind)
            stave = users.As(user, users.readable_copy(self.binary, user))
            stave.load_bases(self.bases, ["busybox"])
            self.users[kind] = stave
        return self.users[kind]

    def context(self, stave, name, dockerfile):
        folder = (stave.user.folder if isinstance(stave, users.As) else self.scratch) / name
        folder.mkdir(exist_ok=True)
        (folder / "Dockerfile").write_text(dockerfile)
        (folder / "file").write_text("content\n")
        os.utime(folder / "file", (1, 1))
        folder.chmod(0o755)
        return folder

    def close(self):
        for stave in self.users.values():
            stave.user.remove()


def contains(text, *parts):
    for part in parts:
        if part not in text:
            raise Problem(f"lacks {part!r}: {text.strip()[-600:]}")


def equal(have, want, what):
    if have != want:
        raise Problem(f"{what}: want {want!r}, have {have!r}")


def test_owners_are_roots(scene):
    """The same trees, layer by layer, whoever builds."""
    trees = []
    for stave in (scene.root, scene.user("mapped")):
        stave.ok("build", "-t", "owners", scene.context(stave, "owners", OWNERS))
        image = Image.from_store(stave, "owners")
        trees.append([[(path, entry if isinstance(entry, tuple) else entry.record())
                       for path, entry in harness.read_layer(layer)] for layer in image.layers])
    for number, (root, user) in enumerate(zip(*trees)):
        equal(user, root, f"layer {number}")


def test_trees_have_mapped_owners(scene):
    stave = scene.user("mapped")
    stave.ok("build", "-t", "owners", scene.context(stave, "owners", OWNERS))
    out = stave.ok("run", "--rm", "-u", "0", "owners", "stat", "-c", "%u:%g", "/copied", "/srv/a", "/srv/b").out
    equal(out.split(), ["33:44", "7:8", "1000:65534"], "owners")
    outside = {p.lstat().st_uid for p in stave.root.rglob("*")}
    if not any(uid >= 100000 for uid in outside):
        raise Problem(f"no file of the store has a subordinate owner: {outside}")
    stave.ok("rmi", "owners")
    stave.ok("builder", "prune", "-af")
    stave.ok("system", "check")


def test_same_process(scene):
    """The number, the parent and the exit code are those of the command that was started."""
    stave = scene.user("mapped")
    equal(stave("run", "--rm", "busybox", "sh", "-c", "exit 43").code, 43, "exit code")
    equal(stave("run", "--rm", "busybox", "sh", "-c", "sh -c 'kill -9 $$'; exit $?").code, 137,
          "killed")
    equal(stave.ok("run", "--rm", "busybox", "id").out, "uid=0(root) gid=0(root)\n", "id")


def test_single_names_the_call(scene):
    stave = scene.user("single")
    name = stave.user.name
    advice = f"install uidmap and add a range for {name} to /etc/subuid and /etc/subgid"
    for run, call in (("chown 33:44 /etc/passwd", "chown /etc/passwd to 33:44"),
                      ("su nobody -s /bin/sh -c true", "setgroups to 65534")):
        said = stave("build", "--no-cache", scene.context(stave, "single", f"FROM busybox\nRUN {run}\n"))
        equal(said.code, 1, "exit code")
        contains(said.err, f"{call} needs a second id: {advice}")
    said = stave("build", scene.context(stave, "single", "FROM busybox\nUSER 33\nRUN true\n"))
    contains(said.err, "become user 33:0: needs a second id", advice)
    said = stave("run", "--rm", "busybox", "chown", "5", "/etc")
    contains(said.err, "chown /etc to 5", "needs a second id")
    said = stave("run", "--rm", "busybox", "sh", "-c", "chown 5 /etc; sleep 3; exit 3")
    contains(said.err, "chown /etc to 5", "may need a second id")
    said = stave("build", "--no-cache", scene.context(stave, "single", "FROM busybox\nRUN exit 3\n"))
    if "second id" in said.err:
        raise Problem(f"an ordinary failure blames ids: {said.err}")


def test_single_keeps_intended_owners(scene):
    """Owners that come from an archive or COPY reach layers and later copies, though the tree can't have them."""
    trees = []
    text = ("FROM busybox AS one\nCOPY --chown=33:44 file /d/copied\nRUN echo 1 > /run-by-root; chmod 600 /d/copied\n"
            "RUN ln /d/copied /d/a-link\n"
            "FROM busybox\nCOPY --from=one /d /d\nCOPY --from=one /run-by-root /\n")
    for stave in (scene.root, scene.user("single")):
        stave.ok("build", "-t", "kept", scene.context(stave, "kept", text))
        tree = harness.flatten(Image.from_store(stave, "kept"), None, LayerCache())
        trees.append({path: entry.record() for path, entry in tree.items()})
    for path in sorted({*trees[0], *trees[1]}):
        equal(trees[1].get(path), trees[0].get(path), path)
    for path in ("d/copied", "d/a-link"):
        equal((trees[1][path]["uid"], trees[1][path]["gid"]), (33, 44), f"owner of {path}")


def test_single_becomes_mapped(scene):
    """Trees that were made with one id are not taken for those of many."""
    stave = scene.user("single")
    stave.ok("build", "-t", "later", scene.context(stave, "later", "FROM busybox\nCOPY --chown=33:44 file /f\n"))
    equal(stave.ok("run", "--rm", "later", "stat", "-c", "%u:%g", "/f").out, "0:0\n", "owner with one id")
    saved = {path: open(path).read() for path in ("/etc/subuid", "/etc/subgid")}
    try:
        for path, text in saved.items():
            with open(path, "a") as file:
                file.write(f"{stave.user.uid}:900000:65536\n")
        equal(stave.ok("run", "--rm", "later", "stat", "-c", "%u:%g", "/f").out, "33:44\n", "owner with many ids")
        contains(stave.ok("info").out, "900000+65536", "65537 ids")
    finally:
        for path, text in saved.items():
            with open(path, "w") as file:
                file.write(text)
    stave.ok("run", "--rm", "later", "true")


def test_info_tells_the_form(scene):
    said = scene.user("mapped").ok("info").out
    contains(said, "Rootless: yes, in a user namespace with 65537 ids", "RUN and Containers: yes",
             "newuidmap: /", "user.max_user_namespaces: ", "Resource Limits: ", "tree")
    said = scene.user("single").ok("info").out
    contains(said, "single id", "/etc/subuid has no range for", "install uidmap")
    contains(scene.root.ok("info").out, "Rootless: no\n", "RUN and Containers: yes")


def test_limits_without_delegation(scene):
    said = scene.user("mapped")("run", "--rm", "-m", "64m", "busybox", "true")
    equal(said.code, 0, "exit code")
    contains(said.err, "warning: limit")


def test_delegated_group(scene):
    """A v1 memory group that belongs to the user limits its containers."""
    place = f"/sys/fs/cgroup/memory/stave-test-{os.getpid()}"
    if not os.path.isdir("/sys/fs/cgroup/memory"):
        return
    stave = scene.user("mapped")
    os.mkdir(place)
    try:
        for path in (place, place + "/cgroup.procs", place + "/tasks"):
            os.chown(path, stave.user.uid, stave.user.gid)
        done = subprocess.run(
            ["sh", "-c", 'echo $$ > "$1/cgroup.procs"; shift; exec setpriv --reuid="$1" --regid="$2" --clear-groups '
             '"$3" run --rm -m 64m busybox sh -c "cat /proc/self/cgroup; cat /sys/fs/cgroup/memory/*/stave/*/memory.limit'
             '_in_bytes"', "sh", place, str(stave.user.uid), str(stave.user.gid), stave.binary],
            capture_output=True, text=True, env={**os.environ, **stave.user.environment()}, timeout=60)
        contains(done.stdout + done.stderr, "67108864")
        if "warning" in done.stderr:
            raise Problem(done.stderr)
    finally:
        for folder, _, _ in os.walk(place, topdown=False):
            os.rmdir(folder)


def test_stores_have_one_owner(scene):
    stave = scene.user("mapped")
    said = Stave(scene.binary, stave.root)("images")
    equal(said.code, 1, "exit code")
    contains(said.err, "it belongs to another user")


def libraries_of(binary):
    """The folders of all libraries that the binary may load."""
    words = subprocess.run(["ldd", binary], capture_output=True, text=True).stdout.split()
    found = {os.path.dirname(word) for word in words if word.startswith("/")}
    return sorted(found | {path for path in ("/usr/lib/x86_64-linux-gnu",) if os.path.isdir(path)})


def nested(scene, flags, script, volume=True):
    """Runs Stave in a container that Stave runs; its output."""
    folder = scene.scratch / "nested"
    for name in ("", "store", "context"):
        (folder / name).mkdir(exist_ok=True)
        (folder / name).chmod(0o777)
    (folder / "context" / "file").write_text("x\n")
    (folder / "context" / "copy").write_text("FROM busybox\nCOPY file /file\n")
    (folder / "context" / "run").write_text("FROM busybox\nCOPY file /file\nRUN echo ran\n")
    (folder / "script").write_text(
        "s() { /n/stave --root $STORE \"$@\"; }\n"
        "s load -q -i /bases/busybox >/dev/null; s tag $(s images -q) busybox\n" + script)
    binary = folder / "stave"
    if not binary.exists():
        binary.write_bytes(open(scene.binary, "rb").read())
        binary.chmod(0o755)
    libraries = libraries_of(scene.binary)
    binds = [f"{folder}:/n", f"{scene.bases}:/bases:ro"] + [f"{path}:{path}:ro" for path in libraries]
    store = "/n/store/" + "".join(c for c in "".join(flags) if c.isalnum()) if volume else "/store"
    argv = [word for bind in binds for word in ("-v", bind)]
    said = scene.root("run", "--rm", *flags, "-e", f"STORE={store}", "-e", "HOME=/tmp", *argv, "busybox", "sh",
                      "/n/script", timeout=300)
    return said.text


BUILDS = ("s build -q -f /n/context/copy -t copied /n/context && echo COPY works\n"
          "s build --progress=plain -f /n/context/run /n/context && echo RUN works\n"
          "s run --rm copied echo run works\ns info\n")


def test_in_a_container_with_default_privileges(scene):
    said = nested(scene, [], BUILDS)
    contains(said, "COPY works", "start the outer container with --privileged",
             "root without CAP_SYS_ADMIN, as in a container, without a user namespace")
    if "RUN works" in said:
        raise Problem("RUN works without privileges")


def test_in_a_container_as_a_user(scene):
    contains(nested(scene, ["-u", "1234:1234"], BUILDS), "COPY works", "start the outer container with --privileged")


def test_in_a_privileged_container(scene):
    contains(nested(scene, ["--privileged"], BUILDS), "COPY works", "RUN works", "\nrun works", "Rootless: no\n")


def test_in_a_privileged_container_without_a_volume(scene):
    contains(nested(scene, ["--privileged"], BUILDS, volume=False), "COPY works", "keep it on a volume")


def test_in_a_container_without_a_filter(scene):
    """Root of a user namespace that the container may make: as good as privileged where /proc is not hidden."""
    said = nested(scene, ["--security-opt", "seccomp=unconfined"], BUILDS)
    contains(said, "COPY works", "mount proc at /proc", "systempaths=unconfined")
    said = nested(scene, ["--security-opt", "seccomp=unconfined", "--security-opt", "systempaths=unconfined"], BUILDS)
    contains(said, "COPY works", "RUN works", "\nrun works")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stave")
    parser.add_argument("--bases")
    parser.add_argument("--only")
    options = parser.parse_args()
    bases = harness.find_bases(options.bases)
    if bases is None:
        sys.exit("find base images: none; run scripts/base-images.py or set STAVE_BASE_IMAGES")
    if os.geteuid() != 0:
        sys.exit("make users: only root can")
    scratch, tally = harness.scratch_dir(), Tally()
    scratch.chmod(0o755)
    scene = Scene(harness.find_stave(options.stave), bases, scratch)
    try:
        for name, function in list(globals().items()):
            if not name.startswith("test_") or options.only and options.only not in name:
                continue
            try:
                function(scene)
                tally.ok()
            except (Problem, OSError, ValueError, KeyError, subprocess.SubprocessError) as problem:
                tally.fail(name, problem)
    finally:
        scene.close()
        harness.remove_tree(scratch)
    return tally.close()


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main())
