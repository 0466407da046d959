#!/usr/bin/env python3
"""Tests of everything that goes to or comes from a registry, with registries on 127.0.0.1.

    registries.py [--stave PATH] [--bases DIR] [--only SUBSTRING] [--user mapped|single|NAME] [--list]
                  [--schedules N] [--kills N] [--seed N] [--jobs N]

Each test is a function `test_...(t)`; it gets a store, a home and servers of its own. Needs the busybox base image.
`--schedules` random schedules of faults are tried, and `--kills` commands killed at random moments.
"""

import argparse
import concurrent.futures
import contextlib
import encodings.idna  # noqa: F401
import json
import os
import random
import subprocess
import sys
import time
import traceback

import harness
from harness import Image, Problem, Stave, Tally
from registry_faults import FaultProxy, Script
from registry_oci import OCIRegistry
from registry_servers import Authority, DebianRegistry, Missing
from registry_tokens import TokenServer
import users


class Client(Stave):
    """The binary with a store and a home of its own, so that no setting of this machine counts."""

    def __init__(self, binary, root, home):
        super().__init__(binary, root)
        self.home = home
        home.mkdir(parents=True, exist_ok=True)
        (home / "run").mkdir(mode=0o700, exist_ok=True)
        registries = home / "registries.conf"
        if not registries.exists():
            registries.write_text("")
        self.env = {"HOME": str(home), "XDG_RUNTIME_DIR": str(home / "run"), "XDG_CONFIG_HOME": str(home / ".config"),
                    "DOCKER_CONFIG": str(home / ".docker"), "CONTAINERS_REGISTRIES_CONF": str(registries)}
        for name in ("REGISTRY_AUTH_FILE", "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY",
                     "all_proxy", "NO_PROXY", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR"):
            os.environ.pop(name, None)

    def __call__(self, *args, env=None, timeout=120, **more):
        return super().__call__(*args, env={**self.env, **(env or {})}, timeout=timeout, **more)

    def start(self, *args, env=None):
        """Starts a command in a process group of its own."""
        argv = [self.binary, "--root", str(self.root), *map(str, args)]
        return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                env={**os.environ, "NO_COLOR": "1", **self.env, **(env or {})}, start_new_session=True)

    def write(self, path, text, mode=0o644):
        """Writes a file of the home."""
        path = self.home / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text if isinstance(text, str) else json.dumps(text))
        path.chmod(mode)
        return path


class Ground:
    """What a test gets: Stave, servers that end with the test, and assertions."""

    def __init__(self, options, bases, folder, rootless):
        self.options, self.bases, self.folder, self.rootless = options, bases, folder, rootless
        self.binary = harness.find_stave(options.stave)
        self.stack, self.numbers = contextlib.ExitStack(), {}
        self.stave = self.client()

    def number(self, kind):
        self.numbers[kind] = self.numbers.get(kind, 0) + 1
        return self.folder / f"{kind}-{self.numbers[kind]}"

    def client(self):
        """Stave on a machine of its own: an empty store and home."""
        folder = self.number("machine")
        folder.mkdir()
        return Client(self.binary, folder / "store", folder / "home")

    def debian(self, **more):
        return self.stack.enter_context(DebianRegistry(self.number("registry"), **more))

    def own(self, **more):
        return self.stack.enter_context(OCIRegistry(**more))

    def tokens(self, **more):
        return self.stack.enter_context(TokenServer(self.number("tokens"), **more))

    def proxy(self, registry, *faults, plan=None):
        read = registry.blobs.get if isinstance(registry, OCIRegistry) else None
        return self.stack.enter_context(FaultProxy(registry.host, plan or Script(*faults), read))

    def authority(self):
        return Authority(self.number("authority"))

    def context(self, dockerfile, files=None):
        folder = self.number("context")
        folder.mkdir()
        (folder / "Dockerfile").write_text(dockerfile)
        for path, data in (files or {}).items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data if isinstance(data, bytes) else data.encode())
        return folder

    # Assertions.

    def equal(self, have, want, what="value"):
        if have != want:
            raise Problem(f"{what}: want {want!r}, have {have!r}")

    def true(self, condition, what):
        if not condition:
            raise Problem(what)

    def says(self, result, *texts):
        for text in texts:
            if text.lower() not in result.text.lower():
                raise Problem(f"{words(result)}: the output lacks {text!r}: {result.text.strip()[-500:]!r}")
        return result

    def fails(self, result, *texts):
        """It failed with one clear error that has each of the texts; it did not die."""
        if result.code == 0:
            raise Problem(f"{words(result)}: must fail, and says {result.text.strip()[-300:]!r}")
        if result.crashed or result.code >= 126 or "Fatal error" in result.err:
            raise Problem(f"{words(result)}: died: exit {result.code}: {result.last_line()}")
        if "not supported yet" in result.err or "not a command" in result.err or "unknown flag" in result.err:
            raise Problem(f"{words(result)}: not there: {result.error_line()}")
        if not result.err.strip():
            raise Problem(f"{words(result)}: fails without a word")
        return self.says(result, *texts)

    def whole(self, stave=None):
        """The store has no fault and no temporary file."""
        stave = stave or self.stave
        checked = stave("system", "check")
        if checked.code != 0 or "no problems found" not in checked.out:
            raise Problem(f"system check: {checked.text.strip()[:400]}")

    def has(self, name, made, stave=None, digest=None):
        """The store has that image under that name, with the digest that the registry knows it by."""
        seen = json.loads((stave or self.stave).ok("image", "inspect", name).out)[0]
        self.equal(seen["Id"], made.id, f"{name}: Id")
        self.equal(seen["RootFS"]["Layers"], made.diff_ids, f"{name}: layers")
        digests = [one.rpartition("@")[2] for one in seen.get("RepoDigests") or []]
        if digest is not False and (digest or made.digest) not in digests:
            raise Problem(f"{name}: RepoDigests are {digests}, want {digest or made.digest}")

    def lacks(self, name, stave=None):
        if (stave or self.stave)("image", "inspect", name).code == 0:
            raise Problem(f"{name}: visible after a failed command")

    def content(self, name, path, want, stave=None):
        have = Image.from_store(stave or self.stave, name).content(path)
        if have != want:
            raise Problem(f"{name}: {path} is {have if have is None else have[:60]!r}, want {want[:60]!r}")


def words(result):
    return " ".join(result.argv[3:])


def until(look, seconds=20, what="what was waited for"):
    """Waits until `look()` gives something true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.01)
    raise Problem(f"{what}: not within {seconds} s")


def tests():
    import registries_build
    import registries_faults
    import registries_login
    import registries_manifest
    import registries_mirrors
    import registries_peers
    import registries_pull
    import registries_push
    for module in (registries_pull, registries_push, registries_login, registries_mirrors, registries_build,
                   registries_manifest, registries_peers, registries_faults):
        for name, function in list(vars(module).items()):
            if name.startswith("test_"):
                yield f"{module.__name__}.{name}", function


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stave")
    parser.add_argument("--bases")
    parser.add_argument("--only")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--jobs", type=int, default=4, help="tests at the same time")
    parser.add_argument("--schedules", type=int, default=60)
    parser.add_argument("--kills", type=int, default=6)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    users.add_argument(parser)
    options = parser.parse_args()
    # Before another user is taken on, who may not read the interpreter's files.
    chosen = [(name, function) for name, function in tests() if not options.only or options.only in name]
    if options.list:
        print("\n".join(name for name, _ in chosen))
        return 0
    users.become(options)
    bases = harness.find_bases(options.bases)
    if bases is None:
        sys.exit("find base images: none; run scripts/base-images.py or set STAVE_BASE_IMAGES")
    print(f"seed {options.seed}", flush=True)
    scratch, tally = harness.scratch_dir("stave-registry-"), Tally()

    def one(number, name, function):
        # podman wants short paths.
        folder = scratch / f"t{number}"
        folder.mkdir()
        ground = Ground(options, bases, folder, options.rootless)
        try:
            with ground.stack:
                function(ground)
            return tally.ok()
        except Missing as missing:
            return tally.skip(name, missing)
        except Problem as problem:
            return tally.fail(name, problem)
        except Exception:
            return tally.fail(name, traceback.format_exc(limit=-2))
        finally:
            harness.remove_tree(folder)

    try:
        # Most of the time is waiting: for a retry, for a slow server.
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            for done in [pool.submit(one, number, *test) for number, test in enumerate(chosen)]:
                done.result()
        left = [line for line in open("/proc/mounts") if str(scratch) in line]
        if left:
            tally.fail("mounts", f"left behind: {left[0]}")
    finally:
        harness.remove_tree(scratch)
    return tally.close()


if __name__ == "__main__":
    os.umask(0o022)
    sys.modules["registries"] = sys.modules["__main__"]
    sys.exit(main())
