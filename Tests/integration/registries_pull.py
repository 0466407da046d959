"""Tests of `pull`: what is asked, what arrives, what is refused."""

import json
import threading
import time

from harness import Problem
from registries import until
from registry_faults import Fault
from registry_images import MEDIA, OCI, Listing, Made, Wire, mixed_bytes, runnable, small, tar_of
from registry_servers import Missing, basic


def test_pull_and_run(t):
    registry = t.debian()
    image = Wire(registry).put("team/hello", runnable(t.bases), "1")
    name = f"{registry.host}/team/hello:1"
    t.says(t.stave.ok("pull", name), image.digest, name)
    t.has(name, image)
    t.equal(t.stave.ok("run", "--rm", name).out, "hello\n", "run")
    t.says(t.stave.ok("pull", name), image.digest, "up to date")
    t.whole()


def test_quiet_prints_the_name_alone(t):
    registry = t.own()
    Wire(registry).put("a", small(1), "latest")
    t.equal(t.stave.ok("pull", "-q", f"{registry.host}/a").out, f"{registry.host}/a:latest\n")
    t.equal(t.stave.ok("image", "pull", "--quiet", f"{registry.host}/a:latest").out, f"{registry.host}/a:latest\n")


def test_second_pull_asks_for_no_blob(t):
    registry = t.own()
    Wire(registry).put("a", small(2), "1")
    t.stave.ok("pull", f"{registry.host}/a:1")
    registry.forget()
    t.stave.ok("pull", f"{registry.host}/a:1")
    t.equal([one for one in registry.asked("GET") if "/blobs/" in one.path], [], "blobs asked")
    t.true(len(registry.requests) <= 4, f"a pull of nothing new asks {registry.requests}")


def test_by_digest(t):
    registry = t.own()
    image, other = small(3), small(4)
    Wire(registry).put("a", image, "1")
    Wire(registry).put("a", other, "2")
    t.stave.ok("pull", f"{registry.host}/a@{image.digest}")
    t.has(f"{registry.host}/a@{image.digest}", image)
    t.stave.ok("pull", f"{registry.host}/a:2@{other.digest}")
    t.has(f"{registry.host}/a@{other.digest}", other)
    t.fails(t.stave("pull", f"{registry.host}/a@sha256:{'0' * 64}"))
    t.fails(t.stave("pull", f"{registry.host}/a@sha256:123"))


def test_platforms(t):
    registry = t.own()
    images = {"linux/amd64": small(5), "linux/arm64": small(6, platform=("linux", "arm64"), variant="v8"),
              "linux/arm/v6": small(7, platform=("linux", "arm"), variant="v6"),
              "linux/arm/v7": small(8, platform=("linux", "arm"), variant="v7")}
    noise = {"mediaType": OCI + "manifest.v1+json", "size": 5, "digest": "sha256:" + "1" * 64,
             "platform": {"os": "unknown", "architecture": "unknown"}}
    for kind in MEDIA:
        listing = Listing(list(images.values()), kind, [noise] if kind == "oci" else [])
        wire = Wire(registry)
        for image in images.values():
            wire.put("a", image)
        registry.add_manifest("a", listing.manifest, listing.media, [kind])
        for platform, image in images.items():
            stave = t.client()
            stave.ok("pull", "--platform", platform, f"{registry.host}/a:{kind}")
            t.has(f"{registry.host}/a:{kind}", image, stave, digest=listing.digest)
        stave = t.client()
        stave.ok("pull", f"{registry.host}/a:{kind}")
        t.has(f"{registry.host}/a:{kind}", images["linux/amd64"], stave, digest=listing.digest)
        stave.ok("pull", "--platform=linux/arm/v8", f"{registry.host}/a:{kind}")
        t.has(f"{registry.host}/a:{kind}", images["linux/arm/v7"], stave, digest=False)
    t.fails(t.stave("pull", "--platform", "linux/s390x", f"{registry.host}/a:oci"), "s390x", "linux/arm64")
    t.fails(t.stave("pull", "--platform", "not a platform", f"{registry.host}/a:oci"))


def test_media_types_and_compressions(t):
    registry = t.own()
    tars = [tar_of({"one": b"1\n"}), tar_of({"two": mixed_bytes(1, 300000)}), tar_of({"three": b"3\n"}), tar_of({})]
    for kind in MEDIA:
        for compress in ("gzip", "zstd", None, ["gzip", "zstd", None, "gzip"]):
            if kind == "docker" and compress != "gzip":
                continue
            image = Made(tars, compress, kind)
            Wire(registry).put("a", image, "1")
            stave = t.client()
            stave.ok("pull", f"{registry.host}/a:1")
            t.has(f"{registry.host}/a:1", image, stave)
            t.content(f"{registry.host}/a:1", "two", mixed_bytes(1, 300000), stave)
            t.whole(stave)


def test_the_same_layer_twice(t):
    registry, layer = t.own(), tar_of({"a": mixed_bytes(2, 50000)})
    image = Wire(registry).put("a", Made([layer, tar_of({"b": b"b"}), layer]), "1")
    t.stave.ok("pull", f"{registry.host}/a:1")
    t.has(f"{registry.host}/a:1", image)
    t.equal(registry.fetched(image.layers[0]["digest"]), image.layers[0]["size"], "bytes of the layer that is twice")


def test_layers_that_are_there_already(t):
    registry, common = t.own(), [tar_of({"common": mixed_bytes(3, 80000)})]
    first, second = Made(common + [tar_of({"one": b"1"})]), Made(common + [tar_of({"two": b"2"})])
    Wire(registry).put("a", first, "1")
    Wire(registry).put("b/c", second, "2")
    t.stave.ok("pull", f"{registry.host}/a:1")
    t.says(t.stave.ok("pull", f"{registry.host}/b/c:2"), "Already exists")
    t.has(f"{registry.host}/b/c:2", second)
    t.equal(registry.fetched(first.layers[0]["digest"]), first.layers[0]["size"], "bytes of the common layer")


def test_all_tags(t):
    registry = t.own(page=3)
    images = {f"v{n}": small(100 + n, count=1, size=2000) for n in range(10)}
    for tag, image in images.items():
        Wire(registry).put("a", image, tag)
    t.stave.ok("pull", "-a", f"{registry.host}/a")
    for tag, image in images.items():
        t.has(f"{registry.host}/a:{tag}", image)
    t.true(t.stave("pull", "-a", f"{registry.host}/a:v1").code != 0, "-a with a tag must fail")


def test_a_head_that_is_refused(t):
    registry = t.own(heads=False)
    image = Wire(registry).put("a", small(10), "1")
    t.stave.ok("pull", f"{registry.host}/a:1")
    t.has(f"{registry.host}/a:1", image)


def test_what_is_not_there(t):
    registry = t.own()
    Wire(registry).put("a", small(11), "1")
    t.fails(t.stave("pull", f"{registry.host}/a:2"), f"{registry.host}/a:2")
    t.fails(t.stave("pull", f"{registry.host}/none:1"), f"{registry.host}/none:1")
    before = len(registry.requests)
    t.fails(t.stave("pull", f"{registry.host}/a:nope"), "nope")
    t.true(len(registry.requests) - before <= 4, "404 is retried")
    registry.close()
    t.fails(t.stave("pull", f"{registry.host}/a:1"), registry.host)
    for name in ("UPPER/case", "a//b", f"{registry.host}/a:" + "x" * 200, ""):
        t.true(t.stave("pull", name).code != 0, f"pull {name!r} must fail")
    t.whole()


def refused(t, image, break_it, *texts):
    """Puts the image, has `break_it(registry)` break it, and demands an error and nothing visible."""
    registry = t.own()
    Wire(registry).put("a", image, "1")
    break_it(registry)
    stave = t.client()
    t.fails(stave("pull", f"{registry.host}/a:1"), *texts)
    t.lacks(f"{registry.host}/a:1", stave)
    t.whole(stave)
    t.equal(list((stave.root / "tmp").iterdir()), [], "temporary files") if (stave.root / "tmp").exists() else None


def flipped(data):
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1:]


def test_lies_are_refused(t):
    image = small(12)
    layer, config = image.layers[1]["digest"], image.config["digest"]

    def blob(digest, data):
        return lambda registry: registry.blobs.update({digest: data})

    refused(t, image, blob(layer, flipped(image.blobs[layer])), layer[7:19])
    refused(t, image, blob(layer, image.blobs[layer][:-100]), layer[7:19])
    refused(t, image, blob(layer, image.blobs[layer] + b"more"))
    refused(t, image, blob(layer, b""))
    refused(t, image, blob(config, flipped(image.blobs[config])))

    def manifest(data=image.manifest, media=image.media, reference=image.digest):
        return lambda registry: registry.manifests.update({("a", reference): (data, media)})

    refused(t, image, manifest(b"not JSON"))
    refused(t, image, manifest(b"[]"))
    refused(t, image, manifest(b'{"schemaVersion":2}'))
    refused(t, image, manifest(b"{" + b" " * (6 << 20) + b"}"))
    refused(t, image, manifest(media=MEDIA["docker"]["index"]))
    refused(t, image, manifest(data=b"<html>sign in</html>", media="text/html"))
    refused(t, image, manifest(data=json.dumps({"schemaVersion": 1, "name": "a", "fsLayers": []}).encode(),
                               media="application/vnd.docker.distribution.manifest.v1+prettyjws"))


def test_lies_about_layers_are_refused(t):
    for change in ("swapped", "short", "size", "algorithm", "negative"):
        image = small(13)
        document = json.loads(image.manifest)
        if change == "swapped":
            document["layers"].reverse()
        elif change == "short":
            document["layers"].pop()
        elif change == "size":
            document["layers"][0]["size"] += 1
        elif change == "algorithm":
            document["layers"][0]["digest"] = "md5:" + "0" * 32
        else:
            document["layers"][0]["size"] = -1
        data = json.dumps(document).encode()
        refused(t, image, lambda registry: registry.manifests.update({("a", image.digest): (data, image.media)}))
        # The same with a tag whose digest is right: the manifest itself lies.
        refused(t, image, lambda registry: registry.add_manifest("a", data, image.media, ["1"]))


def test_wrong_manifest_for_a_digest(t):
    registry, image, other = t.own(), small(14), small(15)
    Wire(registry).put("a", image, "1")
    Wire(registry).put("a", other, "2")
    registry.manifests["a", image.digest] = registry.manifests["a", other.digest]
    t.fails(t.stave("pull", f"{registry.host}/a@{image.digest}"))


def test_redirects_carry_no_credentials(t):
    registry = t.own(cdn=True, users={"anna": "s3cret"})
    image = Wire(registry, basic("anna", "s3cret")).put("a", small(16), "1")
    t.stave.ok("pull", "--creds", "anna:s3cret", f"{registry.host}/a:1")
    t.has(f"{registry.host}/a:1", image)
    t.equal(registry.cdn.leaks, [], "credentials at the other host")
    t.equal(len(registry.cdn.asked("GET")), 4, "blobs from the other host")


def test_endless_redirects(t):
    def loop(handler):
        if "/blobs/" in handler.words:
            handler.answer(307, b"", {"Location": handler.words})
            return True
        return False
    registry = t.own()
    Wire(registry).put("a", small(17), "1")
    registry.before = loop
    t.fails(t.stave("pull", f"{registry.host}/a:1"), "redirect")


def test_resumes_after_a_cut(t):
    registry = t.own()
    image = Wire(registry).put("a", small(18, size=200000), "1")
    big = max(image.layers, key=lambda layer: layer["size"])
    for kind in ("close", "cut"):
        proxy = t.proxy(registry, Fault(kind, f"GET .*{big['digest']}", after=big["size"] // 2),
                        Fault(kind, f"GET .*{big['digest']}", nth=2, after=1000))
        stave = t.client()
        stave.ok("pull", f"{proxy.host}/a:1")
        t.has(f"{proxy.host}/a:1", image, stave)
        t.equal(len(proxy.plan.done), 2, "faults")
        ranges = [one.headers.get("range") for one in proxy.asked("GET", big["digest"])]
        t.equal(len(ranges), 3, "requests")
        t.true(all(ranges[1:]), f"Range of the requests: {ranges}")
        # What the kernel still held at a reset is lost.
        slack = 0 if kind == "close" else big["size"] // 2
        t.true(proxy.blob_bytes(big["digest"]) <= big["size"] + slack, f"{kind}: bytes that came twice")


def test_resumes_where_ranges_are_ignored(t):
    registry = t.own(ranges=False)
    image = Wire(registry).put("a", small(19, size=100000), "1")
    proxy = t.proxy(registry, Fault("close", "GET .*/blobs/", times=2, after=500))
    t.stave.ok("pull", f"{proxy.host}/a:1")
    t.has(f"{proxy.host}/a:1", image)
    t.content(f"{proxy.host}/a:1", "f1", mixed_bytes("19 1", 200000))


def test_two_processes_share_the_work(t):
    registry = t.own()
    image = Wire(registry).put("a", small(20, count=4, size=100000), "1")
    proxy = t.proxy(registry, Fault("slow", "GET .*/blobs/", times=99, after=16384, seconds=0.02))
    children = [t.stave.start("pull", f"{proxy.host}/a:1") for _ in range(3)]
    for child in children:
        out, err = child.communicate(timeout=120)
        t.equal(child.returncode, 0, f"exit code ({err[-200:]!r})")
    t.has(f"{proxy.host}/a:1", image)
    for layer in image.layers:
        t.equal(proxy.blob_bytes(layer["digest"]), layer["size"], "bytes of a blob that three want")
    t.whole()


def test_statuses_that_pass(t):
    registry = t.own()
    image = Wire(registry).put("a", small(21, count=2), "1")
    for status in (408, 425, 429, 500, 502, 503, 504):
        proxy = t.proxy(registry, Fault("status", "/manifests/", status=status),
                        Fault("status", "GET .*/blobs/", times=2, status=status))
        stave = t.client()
        stave.ok("pull", f"{proxy.host}/a:1")
        t.has(f"{proxy.host}/a:1", image, stave)
        t.equal(len(proxy.plan.done), 3, f"{status}: faults")


def test_retry_after_is_honoured(t):
    registry = t.own()
    image = Wire(registry).put("a", small(22, count=1), "1")
    blob = image.layers[0]["digest"]
    proxy = t.proxy(registry, Fault("status", f"GET .*{blob}", status=429, fields={"Retry-After": "2"}))
    t.stave.ok("pull", f"{proxy.host}/a:1")
    first, second = proxy.asked("GET", blob)
    t.true(second.time - first.time >= 1.9, f"asked again after {second.time - first.time:.2f} s")


def test_statuses_that_do_not_pass(t):
    registry = t.own()
    Wire(registry).put("a", small(23, count=1), "1")
    for status in (400, 403):
        body = b'{"errors":[{"code":"DENIED","message":"the registry says number %d"}]}' % status
        proxy = t.proxy(registry, Fault("status", "/(manifests|blobs)/", times=99, status=status, body=body))
        t.fails(t.stave("pull", f"{proxy.host}/a:1"), f"number {status}")
        asked = [one for one in proxy.requests if "/v2/a/" in one.path]
        t.true(len(asked) <= 3, f"{status}: asked {len(asked)} times")
    proxy = t.proxy(registry, Fault("status", "/manifests/", times=999, status=503))
    t.fails(t.stave("pull", f"{proxy.host}/a:1"), "503")
    t.true(len(proxy.asked(None, "/manifests/")) < 20, "retries without end")


def test_hostile_error_texts(t):
    registry = t.own()
    for body in (b"x" * 3_000_000, b'{"errors":[{"message":"\\u001b[31mred\\u0007\\n\\n\\nlines"}]}', b"\xff\xfe\0",
                 b"", b'{"errors":[[]]}', b"<html>" + b"<p>" * 10000):
        proxy = t.proxy(registry, Fault("status", ".", times=99, status=403, body=body))
        result = t.fails(t.stave("pull", f"{proxy.host}/a:1"), proxy.host)
        t.true(len(result.err) < 6000, f"an error of {len(result.err)} bytes")
        t.true("\x1b[31m" not in result.err and "\x07" not in result.err, "escape sequences of the registry are shown")


def test_limits_and_warnings_are_shown(t):
    registry = t.own(fields={"ratelimit-limit": "100;w=21600", "ratelimit-remaining": "2;w=21600",
                             "Warning": '299 - "this tag goes away"'})
    Wire(registry).put("a", small(24), "1")
    result = t.says(t.stave.ok("pull", f"{registry.host}/a:1"), "this tag goes away", "2")
    t.equal(result.text.count("this tag goes away"), 1, "times that the warning is shown")


def test_blobs_in_parallel_largest_first(t):
    registry = t.own()
    image = Wire(registry).put("a", small(25, count=6, size=30000), "1")
    state = {"now": 0, "most": 0}
    lock, order = threading.Lock(), []

    def watch(handler):
        if handler.command == "GET" and "/blobs/" in handler.words:
            with lock:
                order.append(handler.words.rpartition("/")[2])
                state["now"] += 1
                state["most"] = max(state["most"], state["now"])
            time.sleep(0.15)
            with lock:
                state["now"] -= 1
        return False
    registry.before = watch
    t.stave.ok("pull", f"{registry.host}/a:1")
    t.true(3 <= state["most"] <= 10, f"{state['most']} blobs at the same time")
    sizes = {layer["digest"]: layer["size"] for layer in image.layers}
    layers = [sizes[digest] for digest in order if digest in sizes]
    # Those that are begun together arrive in any order.
    t.true(max(sizes.values()) in layers[:state["most"]], f"the sizes as they were asked for: {layers}")


def test_a_stall_ends(t):
    """A transfer that gives nothing any more is begun again within a bearable time."""
    if t.options.schedules < 200:
        raise Missing("takes more than a minute; asked with --schedules 200 or more")
    registry = t.own()
    image = Wire(registry).put("a", small(26, count=1, size=100000), "1")
    proxy = t.proxy(registry, Fault("stall", "GET .*/blobs/", after=100, seconds=90, nth=2))
    child = t.stave.start("pull", f"{proxy.host}/a:1")
    out, err = child.communicate(timeout=80)
    t.equal(child.returncode, 0, f"exit code ({err[-200:]!r})")
    t.has(f"{proxy.host}/a:1", image)


def test_interrupt(t):
    """^C ends a pull at once, and nothing of it is visible."""
    import signal
    registry = t.own()
    Wire(registry).put("a", small(27, size=100000), "1")
    proxy = t.proxy(registry, Fault("stall", "GET .*/blobs/", times=99, after=100, seconds=30))
    child = t.stave.start("pull", f"{proxy.host}/a:1")
    until(lambda: proxy.plan.done, what="a blob is asked for")
    time.sleep(0.3)
    child.send_signal(signal.SIGINT)
    try:
        child.communicate(timeout=10)
    except Exception:
        child.kill()
        raise Problem("SIGINT does not end a pull within 10 s") from None
    t.true(child.returncode != 0, "an interrupted pull says that it succeeded")
    t.lacks(f"{proxy.host}/a:1")
    t.whole()
