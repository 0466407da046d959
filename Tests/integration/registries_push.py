"""Tests of `push`: what goes over the wire, and that nothing goes twice."""

from harness import Image
from registry_faults import Fault
from registry_images import MEDIA, Made, Wire, mixed_bytes, runnable, small, tar_of
from registry_servers import basic

DOCKERFILE = "FROM busybox\nCOPY files /files\nRUN echo made > /made\nCMD cat /made\n"


def build(t, name, seed=1, size=50000):
    """Builds an image with layers of its own in the test's store."""
    if t.stave("image", "inspect", "busybox").code != 0:
        t.stave.load_bases(t.bases, ["busybox"])
    folder = t.context(DOCKERFILE, {"files/a": mixed_bytes(seed, size), "files/b": b"%d" % seed})
    t.stave.ok("build", "-q", "-t", name, folder)


def uploads(registry, repository=""):
    """The requests that carried bytes of blobs."""
    return [one for one in registry.requests
            if "/blobs/" in one.path and one.received and f"/{repository}" in one.path]


def test_push_and_pull_back(t):
    registry = t.debian()
    name = f"{registry.host}/team/made:1"
    build(t, name)
    said = t.stave.ok("push", name)
    digest, document = Wire(registry).check_image("team/made", "1")
    t.says(said, digest)
    other = t.client()
    other.ok("pull", name)
    seen, made = (one.ok("image", "inspect", "-f", "{{.Id}}", name).out for one in (other, t.stave))
    t.equal(seen, made, "Id on another machine")
    t.equal(other.ok("run", "--rm", name).out, "made\n")
    t.content(name, "files/a", mixed_bytes(1, 50000), other)
    t.true(digest in t.stave.ok("image", "inspect", name).out, "RepoDigests after a push")
    t.equal(document["mediaType"].split(".")[0], "application/vnd")
    t.whole(), t.whole(other)


def test_quiet_push(t):
    registry = t.own()
    build(t, f"{registry.host}/a:1")
    t.equal(t.stave.ok("push", "-q", f"{registry.host}/a:1").out, f"{registry.host}/a:1\n")
    Wire(registry).check_image("a", "1")


def test_second_push_sends_nothing(t):
    registry = t.own()
    build(t, f"{registry.host}/a:1")
    t.stave.ok("push", f"{registry.host}/a:1")
    digest = registry.tags["a", "1"]
    registry.forget()
    t.stave.ok("push", f"{registry.host}/a:1")
    t.equal(uploads(registry), [], "uploads")
    t.equal(registry.tags["a", "1"], digest, "digest")


def test_the_same_digest_everywhere(t):
    first, second = t.own(), t.own()
    build(t, f"{first.host}/a:1")
    t.stave.ok("tag", f"{first.host}/a:1", f"{second.host}/b:2")
    t.stave.ok("push", f"{first.host}/a:1")
    t.stave.ok("push", f"{second.host}/b:2")
    t.equal(second.tags["b", "2"], first.tags["a", "1"], "digest")
    again = t.own()
    other = t.client()
    other.load_bases(t.bases, ["busybox"])
    folder = t.context(DOCKERFILE, {"files/a": mixed_bytes(1, 50000), "files/b": b"1"})
    flags = ["--source-date-epoch", "1700000000", "--rewrite-timestamp"]
    for stave in (t.stave, other):
        stave.ok("build", "-q", *flags, "-t", f"{again.host}/c:{stave.home.parent.name}", folder)
        stave.ok("push", f"{again.host}/c:{stave.home.parent.name}")
    t.equal(len({digest for (name, _), digest in again.tags.items() if name == "c"}), 1, "digests of two machines")


def test_pulled_images_keep_their_bytes(t):
    source, target = t.own(), t.debian()
    tars = [tar_of({"one": b"1\n"}), tar_of({"two": mixed_bytes(4, 100000)})]
    for number, (kind, compress) in enumerate([("oci", "gzip"), ("oci", "zstd"), ("docker", "gzip"),
                                               ("oci", ["gzip", "zstd"])]):
        image = Made(tars, compress, kind, annotations={"org.example": "kept"} if kind == "oci" else None)
        Wire(source).put("a", image, str(number))
        t.stave.ok("pull", f"{source.host}/a:{number}")
        t.stave.ok("tag", f"{source.host}/a:{number}", f"{target.host}/b:{number}")
        t.stave.ok("push", f"{target.host}/b:{number}")
        t.equal(Wire(target).check_image("b", str(number))[0], image.digest, f"{kind} {compress}: digest")


def test_all_tags(t):
    registry = t.own()
    build(t, f"{registry.host}/a:1", 1)
    build(t, f"{registry.host}/a:2", 2)
    t.stave.ok("tag", f"{registry.host}/a:1", f"{registry.host}/a:three")
    t.stave.ok("push", "-a", f"{registry.host}/a")
    t.equal(sorted(Wire(registry).tags("a")), ["1", "2", "three"])
    t.equal(registry.tags["a", "1"], registry.tags["a", "three"])
    for tag in ("1", "2", "three"):
        Wire(registry).check_image("a", tag)
    bodies = [one.path for one in uploads(registry)]
    t.true(len(bodies) <= 7, f"{len(bodies)} uploads of 7 blobs: {bodies}")


def test_mounts_from_where_it_came(t):
    registry = t.own()
    image = Wire(registry).put("from/here", small(1), "1")
    t.stave.ok("pull", f"{registry.host}/from/here:1")
    t.stave.ok("tag", f"{registry.host}/from/here:1", f"{registry.host}/to/there:1")
    registry.forget()
    t.stave.ok("push", f"{registry.host}/to/there:1")
    t.equal(Wire(registry).check_image("to/there", "1")[0], image.digest)
    # A config is sent as quickly as it is mounted.
    sent = [one for one in uploads(registry, "to/there") if image.id not in one.query.replace("%3A", ":")]
    t.equal(sent, [], "uploads in place of mounts")
    mounts = [one for one in registry.asked("POST") if "mount=" in one.query]
    t.true(len(mounts) >= 3, f"{len(mounts)} mounts of 3 layers")
    refusing = t.own(mount=False)
    Wire(refusing).put("x", image, "1")
    t.stave.ok("pull", f"{refusing.host}/x:1")
    t.stave.ok("tag", f"{refusing.host}/x:1", f"{refusing.host}/y:1")
    t.stave.ok("push", f"{refusing.host}/y:1")
    t.equal(Wire(refusing).check_image("y", "1")[0], image.digest, "where mounts are refused")


def test_chunks_and_locations(t):
    for more in ({"min_chunk": 30000}, {"relative": False}, {"min_chunk": 1 << 20}, {"tag_parameter": False}):
        registry = t.own(**more)
        build(t, f"{registry.host}/a:1", 7, 400000)
        t.stave.ok("push", f"{registry.host}/a:1")
        Wire(registry).check_image("a", "1")
        t.equal(registry.errors, [], "errors of the registry")


def test_resumes_or_repeats_after_a_cut(t):
    for kind in ("cut-request", "lost-answer", "reset"):
        for where in ("PUT .*/blobs/", "POST .*/blobs/", "PATCH", "PUT .*/manifests/", "HEAD"):
            registry = t.own()
            proxy = t.proxy(registry, Fault(kind, where, after=20000), Fault(kind, where, nth=3, after=100))
            build(t, f"{proxy.host}/a:1", 8, 100000)
            t.stave.ok("push", f"{proxy.host}/a:1")
            Wire(registry).check_image("a", "1")


def test_statuses_that_pass(t):
    for status in (408, 425, 429, 500, 502, 503, 504):
        registry = t.own()
        proxy = t.proxy(registry, *[Fault("status", where, status=status) for where in (
            "POST .*/blobs/", "(PUT|PATCH) .*/blobs/", "PUT .*/manifests/")])
        build(t, f"{proxy.host}/a:1", 9)
        t.stave.ok("push", f"{proxy.host}/a:1")
        Wire(registry).check_image("a", "1")
        t.equal(len(proxy.plan.done), 3, f"{status}: faults")


def test_too_large_is_said_at_once(t):
    registry = t.own()
    build(t, "made:1")
    for where in ("(PUT|PATCH) .*/blobs/", "PUT .*/manifests/"):
        proxy = t.proxy(registry, Fault("status", where, times=99, status=413, body=b"<h1>413 too large</h1>"))
        t.stave.ok("tag", "made:1", f"{proxy.host}/a:1")
        t.fails(t.stave("push", f"{proxy.host}/a:1"), "413")
        t.true(len(proxy.plan.done) <= 4, f"413 is tried {len(proxy.plan.done)} times")
    t.true(("a", "1") not in registry.tags, "a tag after a failed push")


def test_refusals(t):
    registry = t.own()
    build(t, "made:1")
    proxy = t.proxy(registry, Fault("status", "(POST|PUT) ", times=99, status=403,
                                    body=b'{"errors":[{"code":"DENIED","message":"ask Berta first"}]}'))
    t.stave.ok("tag", "made:1", f"{proxy.host}/a:1")
    t.fails(t.stave("push", f"{proxy.host}/a:1"), "ask Berta first")
    t.true(len(proxy.plan.done) <= 6, f"403 is tried {len(proxy.plan.done)} times")
    t.fails(t.stave("push", f"{proxy.host}/never-made:1"), "never-made")
    t.fails(t.stave("push", "-a", f"{proxy.host}/never-made"), "never-made")
    registry.close()
    t.stave.ok("tag", "made:1", f"{registry.host}/a:1")
    t.fails(t.stave("push", f"{registry.host}/a:1"), registry.host)


def test_compression(t):
    registry = t.own()
    build(t, "made:1")
    want = {"gzip": MEDIA["oci"]["gzip"], "zstd": MEDIA["oci"]["zstd"], "uncompressed": MEDIA["oci"][None]}
    for way, media in want.items():
        t.stave.ok("tag", "made:1", f"{registry.host}/a:{way}")
        t.stave.ok("push", "--compression", way, f"{registry.host}/a:{way}")
        _, document = Wire(registry).check_image("a", way)
        # The base's layer keeps its bytes unless they are forced into the other form.
        t.equal([layer["mediaType"] for layer in document["layers"][1:]], [media] * 2, way)
        other = t.client()
        other.ok("pull", f"{registry.host}/a:{way}")
        t.content(f"{registry.host}/a:{way}", "files/b", b"1", other)
        t.equal(Image.from_store(other, f"{registry.host}/a:{way}").config,
                Image.from_store(t.stave, "made:1").config, "config")
    t.fails(t.stave("push", "--compression", "rar", f"{registry.host}/a:gzip"), "rar")
    image = Wire(registry).put("b", small(5), "1")
    t.stave.ok("pull", f"{registry.host}/b:1")
    t.stave.ok("push", "--compression", "zstd", "--force-compression", f"{registry.host}/b:1")
    _, document = Wire(registry).check_image("b", "1")
    t.equal([layer["mediaType"] for layer in document["layers"]], [want["zstd"]] * 3, "forced")
    t.equal(document["config"]["digest"], image.id, "config")


def test_blobs_in_parallel(t):
    import threading
    import time
    registry = t.own()
    image = Wire(t.own()).put("x", small(6, count=6), "1")
    source = t.own()
    Wire(source).put("x", image, "1")
    t.stave.ok("pull", f"{source.host}/x:1")
    t.stave.ok("tag", f"{source.host}/x:1", f"{registry.host}/x:1")
    state, lock = {"now": 0, "most": 0}, threading.Lock()

    def watch(handler):
        if handler.command in ("PUT", "PATCH") and "/blobs/" in handler.words:
            with lock:
                state["now"] += 1
                state["most"] = max(state["most"], state["now"])
            time.sleep(0.15)
            with lock:
                state["now"] -= 1
        return False
    registry.before = watch
    t.stave.ok("push", f"{registry.host}/x:1")
    t.true(3 <= state["most"] <= 10, f"{state['most']} blobs at the same time")


def test_push_by_two_processes(t):
    registry = t.own()
    build(t, f"{registry.host}/a:1", 11)
    build(t, f"{registry.host}/a:2", 12)
    children = [t.stave.start("push", f"{registry.host}/a:{tag}") for tag in (1, 2, 1)]
    for child in children:
        out, err = child.communicate(timeout=120)
        t.equal(child.returncode, 0, f"exit code ({err[-200:]!r})")
    for tag in "12":
        Wire(registry).check_image("a", tag)
    t.whole()


def test_digest_mismatch_is_told(t):
    """A registry that keeps other bytes than it was sent."""
    registry = t.own()
    build(t, f"{registry.host}/a:1")

    def lie(handler):
        if handler.command == "PUT" and "/manifests/" in handler.words:
            handler.body()
            handler.answer(201, b"", {"Docker-Content-Digest": "sha256:" + "0" * 64, "Location": "/v2/a/manifests/1"})
            return True
        return False
    registry.before = lie
    t.fails(t.stave("push", f"{registry.host}/a:1"), "stored as sha256:0000")


def test_push_to_htpasswd_and_tokens(t):
    users = {"anna": "s3cret"}
    tokens = t.tokens(users=users)
    for registry, way in ((t.debian(users=users), "basic"), (t.debian(tokens=tokens), "debian tokens"),
                          (t.own(tokens=tokens), "own tokens")):
        name = f"{registry.host}/team/a:1"
        build(t, name, 13)
        t.fails(t.stave("push", name))
        tokens.scopes.clear()
        t.stave.ok("push", "--creds", "anna:s3cret", name)
        scopes = list(tokens.scopes)
        token = "Bearer " + tokens.sign("anna", [{"type": "repository", "name": "team/a", "actions": ["pull"]}])
        Wire(registry, basic("anna", "s3cret") if way == "basic" else token).check_image("team/a", "1")
        if way != "basic":
            asked = {scope for one in scopes for scope in one}
            t.true(asked <= {"repository:team/a:pull", "repository:team/a:pull,push", "repository:team/a:push,pull"},
                   f"{way}: scopes {asked}")


def test_runnable_image_travels(t):
    """pull, build upon it, push, pull on another machine, run."""
    registry = t.debian()
    Wire(registry).put("base", runnable(t.bases, "from the base\n"), "1")
    folder = t.context(f"FROM {registry.host}/base:1\nRUN cat /hello > /copy\nCMD cat /copy\n")
    t.stave.ok("build", "-q", "-t", f"{registry.host}/child:1", folder)
    t.stave.ok("push", f"{registry.host}/child:1")
    t.equal(t.client().ok("run", "--rm", f"{registry.host}/child:1").out, "from the base\n")
    base = Wire(registry).manifest("base", "1")[1]["layers"]
    child = Wire(registry).manifest("child", "1")[1]["layers"]
    t.equal([layer["digest"] for layer in child[:2]], [layer["digest"] for layer in base], "layers of the base")
