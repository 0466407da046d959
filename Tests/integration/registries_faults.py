"""Random schedules of faults, and SIGKILL at random moments: nothing partial is visible, nothing goes twice."""

import concurrent.futures
import os
import random
import signal
import time

from harness import Problem, remove_tree
from registries import Client
from registry_faults import Dice, Fault, FaultProxy
from registry_images import Made, Wire, mixed_bytes, small, tar_of
from registry_oci import OCIRegistry
from registry_servers import DebianRegistry

# Faults that any client must live through, and those that it may give up at, with one clear error.
GENTLE = ["reset", "cut", "close", "stall", "slow", "status", "unauthorized", "redirect", "cut-request", "lost-answer"]
HARSH = GENTLE + ["corrupt", "truncate"]
WORKERS = 8


class Schedule:
    """One pull or push through a proxy with dice of its own, in a store of its own."""

    def __init__(self, t, number, seed, registry, image):
        self.t, self.number, self.registry, self.image = t, number, registry, image
        self.seed, self.dice = f"{seed}-{number}", random.Random(f"{seed}-{number}")
        self.harsh = self.dice.random() < 0.4
        folder = t.folder / f"schedule-{number}"
        folder.mkdir()
        self.folder, self.stave = folder, Client(t.binary, folder / "store", folder / "home")

    def plan(self):
        if self.harsh:
            return Dice(self.seed, self.dice.choice([0.2, 0.5, 0.9]), HARSH, each=50, most=200, longest=60000)
        return Dice(self.seed, self.dice.choice([0.1, 0.3, 0.5]), GENTLE, each=2, most=8, longest=60000)

    def run(self):
        wire = Wire(self.registry)
        name = f"schedule-{self.number}"
        push = self.dice.random() < 0.4
        with FaultProxy(self.registry.host, self.plan(), self.read) as proxy:
            if push:
                result = self.push(proxy, name, wire)
            else:
                result = self.pull(proxy, name, wire)
            faults = [f"{method} {path}: {fault!r}" for method, path, fault in proxy.plan.done]
            if proxy.errors:
                raise Problem(f"the proxy itself: {proxy.errors[0]}")
        try:
            self.judge(result, faults)
            (self.check_push if push else self.check_pull)(result, proxy, name, wire)
        except Problem as problem:
            what = "push" if push else "pull"
            raise Problem(f"{what}, seed {self.seed}: {problem}; faults: {'; '.join(faults)}") from None
        return len(faults)

    def read(self, digest):
        if isinstance(self.registry, OCIRegistry):
            return self.registry.blobs.get(digest)
        for name in (f"schedule-{self.number}", f"source-{self.number}"):
            status, _, data = Wire(self.registry)("GET", f"/v2/{name}/blobs/{digest}")
            if status == 200:
                return data
        return None

    def pull(self, proxy, name, wire):
        wire.put(name, self.image, "1")
        return self.stave("pull", f"{proxy.host}/{name}:1", timeout=300)

    def push(self, proxy, name, wire):
        wire.put(f"source-{self.number}", self.image, "1")
        self.stave.ok("pull", f"{self.registry.host}/source-{self.number}:1")
        self.stave.ok("tag", f"{self.registry.host}/source-{self.number}:1", f"{proxy.host}/{name}:1")
        return self.stave("push", f"{proxy.host}/{name}:1", timeout=300)

    def judge(self, result, faults):
        """Success, or one clear error where faults allow one."""
        t = self.t
        if result.code == 0:
            return
        t.fails(result)
        errors = [line for line in result.err.splitlines() if line.lower().startswith(("error", "stave: error"))]
        if len(errors) > 1:
            raise Problem(f"more than one error: {errors}")
        if not self.harsh:
            raise Problem(f"exit {result.code} where it must succeed: {result.error_line()}")
        if not faults:
            raise Problem(f"fails without a fault: {result.error_line()}")

    def check_pull(self, result, proxy, name, wire):
        t, full = self.t, f"{proxy.host}/{name}:1"
        t.whole(self.stave)
        if result.code == 0:
            t.has(full, self.image, self.stave)
            return
        t.lacks(full, self.stave)
        # The same address without faults: what had arrived whole is not fetched again.
        t.equal(self.stave.ok("images", "-q").out, "", "images after a pull that failed")
        self.stave.ok("pull", f"{self.registry.host}/{name}:1")
        t.has(f"{self.registry.host}/{name}:1", self.image, self.stave)

    def check_push(self, result, proxy, name, wire):
        t = self.t
        if result.code == 0:
            t.equal(wire.check_image(name, "1")[0], self.image.digest, "digest")
            return
        # A lost answer may hide a push that has succeeded; a tag that is there is whole.
        if wire.manifest(name, "1"):
            t.equal(wire.check_image(name, "1")[0], self.image.digest, "digest of what is there after a failure")
        self.stave.ok("tag", f"{self.registry.host}/source-{self.number}:1", f"{self.registry.host}/{name}:1")
        self.stave.ok("push", f"{self.registry.host}/{name}:1")
        t.equal(wire.check_image(name, "1")[0], self.image.digest, "digest after a repeat")


def test_random_schedules(t):
    """The seed of a schedule that fails is in its message; --seed and --schedules repeat it."""
    count, seed = t.options.schedules, t.options.seed
    servers = [t.own(), t.own(ranges=False, tag_parameter=False), t.own(min_chunk=5000)]
    servers += [t.debian()] if DebianRegistry.program else []
    images = [small(f"fault {n}", count=n % 4 + 1, size=(n % 3 + 1) * 12000, compress=["gzip", "zstd", "gzip"][n % 3])
              for n in range(6)]
    problems, faults, failed = [], 0, 0

    def one(number):
        schedule = Schedule(t, number, seed, servers[number % len(servers)], images[number % len(images)])
        try:
            return schedule.run()
        finally:
            remove_tree(schedule.folder)

    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        for done in [pool.submit(one, number) for number in range(count)]:
            try:
                faults += done.result()
            except Problem as problem:
                failed += 1
                if len(problems) < 10:
                    problems.append(str(problem))
                    print(f"schedule: {str(problem)[:1500]}", flush=True)
    for server in servers:
        if getattr(server, "errors", None):
            problems.append(f"the registry itself: {server.errors[0]}")
    if problems:
        raise Problem(f"{failed} of {count} schedules failed: {problems[0]}")
    if count >= 20 and faults < count:
        raise Problem(f"only {faults} faults in {count} schedules")


def finished(proxy, image):
    """The blobs that a client has got whole by now."""
    sizes = {layer["digest"]: layer["size"] for layer in [*image.layers, image.config]}
    return {digest for digest, size in sizes.items()
            if any(one.sent == size for one in proxy.asked("GET", digest))}


def kill(child, dice):
    try:
        (os.killpg if dice.random() < 0.5 else os.kill)(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    child.communicate()
    return child.returncode < 0


def test_kills_during_pulls(t):
    """After SIGKILL the store is whole and a repeat fetches no finished blob; what was begun is gone on with."""
    dice, registry, killed = random.Random(t.options.seed), t.own(), 0
    usual = 0.5
    for number in range(t.options.kills):
        image = small(f"kill {t.options.seed} {number}", count=5, size=60000)
        Wire(registry).put("a", image, f"t{number}")
        proxy = t.proxy(registry, Fault("slow", "GET .*/blobs/", times=999, after=16384, seconds=0.02))
        name = f"{proxy.host}/a:t{number}"
        started = time.monotonic()
        child = t.stave.start("pull", name)
        time.sleep(dice.random() * usual)
        # Whole at this moment for certain: it was sent a while before the kill.
        whole = finished(proxy, image)
        time.sleep(0.3 if whole else 0)
        if not kill(child, dice):
            usual = time.monotonic() - started
        else:
            killed += 1
        t.whole()
        t.lacks(name) if child.returncode else None
        proxy.forget()
        t.stave.ok("pull", name)
        t.has(name, image)
        again = {digest: proxy.blob_bytes(digest) for digest in whole if proxy.blob_bytes(digest)}
        again.pop(image.config["digest"], None)
        if again:
            raise Problem(f"kill {number}: finished blobs were fetched again: {again}")
        t.whole()
    left = list((t.stave.root / "tmp").iterdir())
    t.equal(left, [], "temporary files at the end")
    if t.options.kills >= 10 and killed == 0:
        raise Problem("no command was killed in time")


def test_resume_after_a_kill(t):
    """A large blob of which most had come goes on where it ended."""
    registry = t.own()
    image = Made([tar_of({"big": mixed_bytes("resume", 8 << 20)})])
    size = image.layers[0]["size"]
    Wire(registry).put("a", image, "1")
    proxy = t.proxy(registry, Fault("stall", f"GET .*{image.layers[0]['digest']}", after=size * 3 // 4, seconds=60))
    child = t.stave.start("pull", f"{proxy.host}/a:1")
    from registries import until
    until(lambda: proxy.blob_bytes(image.layers[0]["digest"]) >= size * 3 // 4, what="three quarters of the blob")
    time.sleep(0.5)
    kill(child, random.Random(0))
    t.whole()
    proxy.forget()
    t.stave.ok("pull", f"{proxy.host}/a:1")
    t.has(f"{proxy.host}/a:1", image)
    fetched = proxy.blob_bytes(image.layers[0]["digest"])
    t.true(fetched <= size // 2, f"the repeat fetched {fetched} bytes of {size}")


def test_kills_during_pushes(t):
    dice, registry = random.Random(t.options.seed + 1), t.own()
    source = t.own()
    usual = 0.5
    for number in range(t.options.kills):
        image = small(f"push {t.options.seed} {number}", count=5, size=60000)
        Wire(source).put("a", image, "1")
        t.stave.ok("pull", f"{source.host}/a:1")
        proxy = t.proxy(registry, Fault("stall", "(PUT|POST|PATCH) .*/blobs/", times=999, after=0, seconds=0.02))
        name = f"{proxy.host}/b:t{number}"
        t.stave.ok("tag", f"{source.host}/a:1", name)
        started = time.monotonic()
        child = t.stave.start("push", name)
        time.sleep(dice.random() * usual)
        if not kill(child, dice):
            usual = time.monotonic() - started
        t.whole()
        there = {digest for repository, digest in registry.has if repository == "b" and digest in image.blobs}
        proxy.forget()
        t.stave.ok("push", name)
        t.equal(Wire(registry).check_image("b", f"t{number}")[0], image.digest, "digest")
        # No more bytes than the blobs that were not there.
        most = sum(len(data) for digest, data in image.blobs.items() if digest not in there)
        sent = sum(one.received for one in proxy.requests if "/blobs/" in one.path)
        t.true(sent <= most, f"kill {number}: {sent} bytes sent again where {most} were missing")
        t.whole()


def test_kills_during_builds_with_push(t):
    dice, registry = random.Random(t.options.seed + 2), t.own()
    t.stave.load_bases(t.bases, ["busybox"])
    for number in range(max(t.options.kills // 2, 2)):
        folder = t.context("FROM busybox\nCOPY a /a\nRUN cat /a > /b\nRUN echo 1 > /c\n",
                           {"a": mixed_bytes(f"{t.options.seed} {number}", 200000)})
        command = ["build", "-q", "--push", "-t", f"{registry.host}/made:{number}", folder]
        child = t.stave.start(*command)
        time.sleep(dice.random() * 0.6)
        kill(child, dice)
        t.whole()
        t.stave.ok(*command)
        Wire(registry).check_image("made", str(number))
        t.whole()
