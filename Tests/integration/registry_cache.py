#!/usr/bin/env python3
"""Tests of the build cache in a registry, in a directory and in an image, between stores that know nothing of each other.

    registry_cache.py [--stave PATH] [--bases DIR] [--only SUBSTRING]

Each test is a function `test_...(t)`; it gets machines (empty stores and homes) and registries on 127.0.0.1 of its own.
Needs the busybox base image; a test that needs docker-registry is skipped without it.
"""

import argparse
import contextlib
import json
import os
import sys
import traceback

import harness
from harness import Problem, Stave, Tally
from registry_oci import OCIRegistry
from registry_servers import DebianRegistry, Missing, free_port

BASE = harness.BASE_NAMES["busybox"]
# Two stages: three steps in one, three in the other.
STEPS = f"""FROM {BASE} AS made
COPY a /a
RUN cat /a > /b && echo two >> /b
RUN mkdir /d && cp /b /d/c
FROM {BASE}
WORKDIR /w
COPY --from=made /d /w/d
RUN echo LAST > /w/last
CMD ["cat", "/w/d/c", "/w/last"]
"""


class Machine(Stave):
    """Stave with a store and a home of its own, so that no setting of this machine counts."""

    def __init__(self, binary, folder, bases):
        super().__init__(binary, folder / "store")
        home = folder / "home"
        (home / "run").mkdir(parents=True, mode=0o700)
        (home / "registries.conf").write_text("")
        self.env = {"HOME": str(home), "XDG_RUNTIME_DIR": str(home / "run"), "XDG_CONFIG_HOME": str(home / ".config"),
                    "DOCKER_CONFIG": str(home / ".docker"),
                    "CONTAINERS_REGISTRIES_CONF": str(home / "registries.conf")}
        self.load_bases(bases, ["busybox"])

    def __call__(self, *args, env=None, timeout=180, **more):
        return super().__call__(*args, env={**self.env, **(env or {})}, timeout=timeout, **more)

    def build(self, folder, *flags):
        """Builds; returns how many steps came from the cache, how many ran, the image ID and all that was said."""
        result = self.ok("build", "--progress=plain", "--iidfile", folder / ".." / "iid", *flags, folder)
        lines = result.err.splitlines()
        names = {line.split()[0]: line for line in lines if line.startswith("#") and " [" in line[:6]}
        shown = [number for number, line in names.items() if "[internal]" not in line and "FROM" not in line]
        cached = sum(1 for number in shown if f"{number} CACHED" in lines)
        return Built(cached, len(shown) - cached, (folder / ".." / "iid").read_text().strip(), result.err)


class Built:
    def __init__(self, cached, ran, image, text):
        self.cached, self.ran, self.image, self.text = cached, ran, image, text


class Ground:
    def __init__(self, options, bases, folder):
        self.binary, self.bases, self.folder = harness.find_stave(options.stave), bases, folder
        self.stack, self.count = contextlib.ExitStack(), 0

    def number(self, kind):
        self.count += 1
        path = self.folder / f"{kind}-{self.count}"
        path.mkdir()
        return path

    def machine(self):
        return Machine(self.binary, self.number("machine"), self.bases)

    def own(self, **more):
        return self.stack.enter_context(OCIRegistry(**more))

    def debian(self):
        return self.stack.enter_context(DebianRegistry(self.number("registry")))

    def context(self, dockerfile=STEPS, a="A\n"):
        folder = self.number("context") / "context"
        folder.mkdir()
        (folder / "Dockerfile").write_text(dockerfile)
        (folder / "a").write_text(a)
        return folder


def equal(found, wanted, what):
    if found != wanted:
        raise Problem(f"{what}: {found!r}, not {wanted!r}")


def true(what, text):
    if not what:
        raise Problem(text)


def says(text, *words):
    for word in words:
        true(word in text, f"{word!r} is not said: {text[-600:]}")


def blobs_asked(registry):
    return [one for one in registry.asked("GET", "/blobs/")]


def test_an_empty_store_reuses_every_step(t):
    registry, folder = t.own(), t.context()
    where = f"type=registry,ref={registry.host}/ci/app:cache"
    first = t.machine().build(folder, "-t", "made", "--cache-to", where + ",mode=max")
    equal((first.cached, first.ran), (0, 6), "steps of the first build")
    other = t.machine()
    registry.forget()
    again = other.build(folder, "-t", "made", "--cache-from", where)
    equal((again.cached, again.ran), (6, 0), "steps of the second build")
    equal(again.image, first.image, "the image")
    equal(other.ok("run", "--rm", "made").out, "A\ntwo\nLAST\n", "what it says")
    # The manifest, the index, and the three layers of the image: not those of the other stage.
    equal(len(blobs_asked(registry)), 4, f"blobs that were asked for: {registry.requests}")
    equal(len(registry.requests), 5 + len(registry.asked(part="/v2/")) - len(registry.asked(part="/v2/ci")),
          f"requests: {registry.requests}")
    equal(other.ok("system", "check").code, 0, "the store")
    # Its own records now: without the cache, and without a request.
    registry.forget()
    equal(other.build(folder, "-t", "made").cached, 6, "steps of a third build")
    # And with it, since nothing is missing.
    equal(other.build(folder, "-t", "made", "--cache-from", where).cached, 6, "steps of a fourth")
    equal(blobs_asked(registry)[1:], [], "blobs that nobody needs")


def test_the_registry_of_debian(t):
    registry, folder = t.debian(), t.context()
    where = f"type=registry,ref={registry.host}/ci/app:cache"
    first = t.machine().build(folder, "--cache-to", where + ",mode=max,compression=zstd")
    again = t.machine().build(folder, "--cache-from", where)
    equal((again.cached, again.ran, again.image), (6, 0, first.image), "the second build")


def test_only_steps_behind_a_change_run(t):
    registry = t.own()
    where = f"type=registry,ref={registry.host}/ci/app:cache"
    t.machine().build(t.context(), "--cache-to", where + ",mode=max")
    last = t.machine().build(t.context(STEPS.replace("LAST", "ELSE")), "--cache-from", where)
    equal((last.cached, last.ran), (5, 1), "steps when the last one differs")
    # A file that is copied: the rest of its stage, and what stands on it.
    file = t.machine().build(t.context(a="B\n"), "--cache-from", where)
    equal((file.cached, file.ran), (1, 5), "steps when a file differs")
    # A step whose result is the same in spite of another definition is found by its content.
    same = t.context(STEPS.replace("mkdir /d &&", "mkdir /d;"))
    found = t.machine().build(same, "--cache-from", where)
    true(found.cached >= 3, f"{found.cached} steps when a step gives the same: {found.text}")


def test_min_has_the_steps_of_the_image(t):
    registry, folder = t.own(), t.context()
    where = f"type=registry,ref={registry.host}/ci/app:cache"
    first = t.machine().build(folder, "--cache-to", where)
    equal(len(json.loads(registry.manifest("ci/app", "cache")[0])["layers"]), 3, "layers of the cache")
    again = t.machine().build(folder, "--cache-from", where)
    equal((again.cached, again.ran, again.image), (6, 0, first.image), "the second build")
    changed = t.machine().build(t.context(STEPS.replace("cp /b", "cp /a")), "--cache-from", where)
    true(changed.ran >= 3, f"{changed.ran} steps ran, though the cache had no other stage")


def test_what_is_there_is_not_sent(t):
    registry, folder = t.own(), t.context()
    where = f"type=registry,ref={registry.host}/ci/app:cache"
    machine = t.machine()
    machine.build(folder, "--cache-to", where + ",mode=max")
    registry.forget()
    machine.build(folder, "--cache-to", where + ",mode=max")
    equal([one for one in registry.requests if one.method in ("POST", "PATCH") or one.received > 20000], [], "sent again")
    # From a cache in one repository to one in another: taken over, not sent, and not even fetched.
    other = f"type=registry,ref={registry.host}/branch/app:cache"
    second = t.machine()
    registry.forget()
    second.build(folder, "--cache-from", where, "--cache-to", other + ",mode=max")
    fetched = len(blobs_asked(registry))
    equal(fetched, 4, f"blobs fetched for the other repository: {registry.requests}")
    third = t.machine().build(t.context(STEPS.replace("LAST", "ELSE")), "--cache-from", other)
    equal((third.cached, third.ran), (5, 1), "steps from the other repository")


def test_beside_a_push(t):
    registry, folder = t.own(), t.context()
    name, where = f"{registry.host}/app:1", f"type=registry,ref={registry.host}/app:cache"
    first = t.machine().build(folder, "--push", "-t", name, "--cache-to", where + ",mode=max")
    image = json.loads(registry.manifest("app", "1")[0])
    cache = {layer["digest"] for layer in json.loads(registry.manifest("app", "cache")[0])["layers"]}
    own = {layer["digest"] for layer in image["layers"][-3:]}
    true(own <= cache, "the cache has other blobs than the image")
    again = t.machine().build(folder, "--cache-from", where)
    equal((again.cached, again.image), (6, first.image), "the second build")


def test_inline(t):
    registry, folder = t.own(), t.context()
    name = f"{registry.host}/app:1"
    first = t.machine().build(folder, "--push", "-t", name, "--cache-to", "type=inline")
    for source in (name, f"type=registry,ref={name}"):
        again = t.machine().build(folder, "--cache-from", source, "--cache-to", "type=inline")
        equal((again.cached, again.ran), (6, 0), f"steps with --cache-from {source}")
        equal(again.image, first.image, "the image")
    changed = t.machine().build(t.context(STEPS.replace("LAST", "ELSE")), "--cache-from", name)
    equal(changed.ran, 1, "steps where the last one is another: what is copied from the other stage is known by its definition")
    other = t.machine().build(t.context(a="other\n"), "--cache-from", name)
    equal((other.cached, other.ran), (1, 5), "steps where a file of the other stage is another")
    # An image without a cache in it.
    t.machine().build(folder, "--push", "-t", f"{registry.host}/plain:1")
    none = t.machine().build(folder, "--cache-from", f"{registry.host}/plain:1")
    equal(none.ran, 6, "steps with an image as the cache")
    says(none.text, "without a build cache", "type=inline")


def test_a_directory(t):
    folder, path = t.context(), t.number("directory") / "cache"
    machine = t.machine()
    first = machine.build(folder, "--cache-to", f"type=local,dest={path},mode=max")
    again = t.machine().build(folder, "--cache-from", f"type=local,src={path}")
    equal((again.cached, again.ran, again.image), (6, 0, first.image), "the second build")
    # What the cache does not name any more goes.
    files = len(list((path / "blobs" / "sha256").iterdir()))
    for number in range(3):
        machine.build(t.context(a=f"{number}\n"), "--cache-to", f"type=local,dest={path},mode=max")
    equal(len(list((path / "blobs" / "sha256").iterdir())), files, "blobs of the directory")
    # Two caches in one directory.
    machine.build(folder, "--cache-to", f"type=local,dest={path},mode=max,tag=other")
    tagged = t.machine().build(folder, "--cache-from", f"type=local,src={path},tag=other")
    equal(tagged.cached, 6, "steps from the second cache of the directory")
    latest = t.machine().build(t.context(a="2\n"), "--cache-from", f"type=local,src={path}")
    equal(latest.cached, 6, "steps from the first cache of the directory")


def test_several_caches(t):
    registry, folder, path = t.own(), t.context(), t.number("directory") / "cache"
    where = f"type=registry,ref={registry.host}/ci/app:cache"
    t.machine().build(folder, "--cache-to", where + ",mode=max", "--cache-to", f"type=local,dest={path},mode=max")
    changed = t.context(STEPS.replace("LAST", "ELSE"))
    t.machine().build(changed, "--cache-to", f"type=registry,ref={registry.host}/ci/app:branch,mode=max")
    both = t.machine().build(changed, "--cache-from", where, "--cache-from", f"{registry.host}/ci/app:branch")
    equal((both.cached, both.ran), (6, 0), "steps from two caches")
    local = t.machine().build(folder, "--cache-from", f"type=local,src={path}", "--cache-from", where)
    equal(local.cached, 6, "steps from a directory and a registry")


def test_bare_names(t):
    registry, folder = t.own(), t.context()
    t.machine().build(folder, "--cache-to", f"{registry.host}/ci/app")
    again = t.machine().build(folder, "--cache-from", f"{registry.host}/ci/app")
    equal((again.cached, again.ran), (6, 0), "steps")


def test_a_cache_that_fails_is_a_warning(t):
    folder, dead = t.context(), f"127.0.0.1:{free_port()}/ci/app:cache"
    machine = t.machine()
    built = machine.build(folder, "--cache-from", dead, "--cache-to", f"type=registry,ref={dead}")
    equal(built.ran, 6, "steps")
    says(built.text, "warning: ", f"without the cache {dead}", "the cache was not written")
    registry = t.own()
    absent = machine.build(folder, "--no-cache", "--cache-from", f"{registry.host}/absent:1")
    equal(absent.ran, 6, "steps without a cache")
    for data in (b"{}", b"[]", b"", b'{"schemaVersion":2,"layers":[{}]}'):
        registry.add_manifest("bad", data, "application/vnd.oci.image.manifest.v1+json", ["1"])
        again = t.machine().build(folder, "--cache-from", f"{registry.host}/bad:1")
        says(again.text, "without the cache")
    # Unless it must not.
    strict = f"type=registry,ref={dead},ignore-error=false"
    result = t.machine()("build", "--cache-to", strict, folder)
    true(result.code == 1, f"exit {result.code} of a build whose cache must be written: {result.text[-400:]}")


def test_damaged_layers_are_not_taken(t):
    folder, path = t.context(), t.number("directory") / "cache"
    t.machine().build(folder, "--cache-to", f"type=local,dest={path},mode=max")
    index = json.loads((path / "index.json").read_text())
    manifest = json.loads((path / "blobs/sha256" / index["manifests"][0]["digest"][7:]).read_text())
    for layer in manifest["layers"]:
        file = path / "blobs/sha256" / layer["digest"][7:]
        file.write_bytes(file.read_bytes()[:-4] + b"zzzz")
    machine = t.machine()
    built = machine.build(folder, "--cache-from", f"type=local,src={path}")
    equal(built.ran, 6, "steps that ran")
    says(built.text, "without the cache")
    equal(machine.ok("system", "check").code, 0, "the store")


def test_flags_that_are_wrong(t):
    folder, machine = t.context(), t.machine()
    for flag, value, *words in (
            ("--cache-to", "type=nonsense", "nonsense"), ("--cache-to", "type=registry", "ref"),
            ("--cache-to", "type=local", "dest"), ("--cache-from", "type=local", "src"),
            ("--cache-from", "type=registry", "ref"), ("--cache-to", "ref=a", "type"),
            ("--cache-to", "type=registry,ref=a,mode=middle", "middle", "min or max"),
            ("--cache-to", "type=registry,ref=a,modus=min", "modus", "mode"),
            ("--cache-to", "type=registry,ref=a,compression=rar", "rar"),
            ("--cache-to", "type=registry,ref=a,compression=gzip,compression-level=17", "17"),
            ("--cache-to", "type=registry,ref=A B", "A B"), ("--cache-from", "type=inline", "type=registry"),
            ("--cache-to", "type=inline,ignore-error=maybe", "maybe"),
            ("--cache-to", "type=gha", "type=gha", "not supported yet"),
            ("--cache-from", "type=s3,bucket=b", "type=s3", "not supported yet"),
            ("--cache-to", "type=azblob", "type=azblob", "not supported yet")):
        result = machine("build", flag, value, folder)
        true(result.code not in (0, -6, -11, -4), f"{flag} {value}: exit {result.code}")
        says(result.err, flag, *words)


def main():
    parser = argparse.ArgumentParser()
    for name in ("--stave", "--bases", "--only"):
        parser.add_argument(name)
    options = parser.parse_args()
    bases = harness.find_bases(options.bases)
    tally = Tally("registry cache: ")
    if bases is None or os.geteuid() != 0:
        tally.skip("all", "needs root and the busybox base image")
        return tally.close()
    for name, test in sorted(globals().items()):
        if not name.startswith("test_") or (options.only and options.only not in name):
            continue
        folder = harness.scratch_dir()
        ground = Ground(options, bases, folder)
        try:
            with ground.stack:
                test(ground)
            tally.ok()
        except Missing as missing:
            tally.skip(name, str(missing))
        except Problem as problem:
            tally.fail(name, str(problem))
        except Exception:
            tally.fail(name, traceback.format_exc(limit=3))
        finally:
            harness.remove_tree(folder)
    return tally.close()


if __name__ == "__main__":
    sys.exit(main())
