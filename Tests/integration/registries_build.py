"""Tests of `build` and `run` where they meet a registry: FROM, --pull, --push, platforms, metadata."""

import glob
import json

from registry_faults import Fault
from registry_images import Listing, Wire, runnable, small
from registry_oci import INDEX, digest_of

STEPS = ("FROM {base} AS one\nCOPY a /a\nRUN cat /a > /made && echo one >> /made\nRUN echo two > /two\n"
         "FROM {base}\nCOPY --from=one /made /made\nRUN echo three > /three\nENV X=1\nCMD cat /made\n")


def served(t, **more):
    """A registry with a base that runs; the base's name is the second."""
    registry = t.own(**more)
    Wire(registry).put("base", runnable(t.bases), "1")
    return registry, f"{registry.host}/base:1"


def test_from_a_registry(t):
    registry, base = served(t)
    folder = t.context(f"FROM {base}\nRUN cat /hello > /copy\nCMD cat /copy\n")
    t.stave.ok("build", "-t", "made", folder)
    t.equal(t.stave.ok("run", "--rm", "made").out, "hello\n")
    registry.forget()
    t.stave.ok("build", "-t", "made", folder)
    t.equal([one for one in registry.requests if "/blobs/" in one.path], [], "blobs asked by a cached build")
    registry.close()
    t.stave.ok("build", "-t", "made", folder)


def test_from_what_is_not_there(t):
    registry, base = served(t)
    folder = t.context(f"FROM scratch AS x\nCOPY Dockerfile /\nFROM {registry.host}/none:9\nRUN true\n")
    t.fails(t.stave("build", "-t", "made", folder), f"{registry.host}/none:9", "3")
    t.lacks("made")


def test_copy_from_a_registry(t):
    registry, base = served(t)
    other = Wire(registry).put("files", small(1), "1")
    folder = t.context(f"FROM {base}\nCOPY --from={registry.host}/files:1 /seed-0 /seed\n")
    t.stave.ok("build", "-t", "made", folder)
    t.content("made", "seed", b"1")
    pinned = t.context(f"FROM {base}\nCOPY --from={registry.host}/files@{other.digest} /seed-1 /seed\n")
    t.stave.ok("build", "-t", "made", pinned)


def test_build_pull(t):
    """--pull looks for a newer base; without it the one that is here is taken."""
    registry, base = served(t)
    folder = t.context(f"FROM {base}\nRUN cat /hello > /copy\nCMD cat /copy\n")
    t.stave.ok("build", "-q", "-t", "made", folder)
    Wire(registry).put("base", runnable(t.bases, "newer\n"), "1")
    t.stave.ok("build", "-q", "-t", "made", folder)
    t.equal(t.stave.ok("run", "--rm", "made").out, "hello\n", "without --pull")
    t.stave.ok("build", "-q", "--pull", "-t", "made", folder)
    t.equal(t.stave.ok("run", "--rm", "made").out, "newer\n", "with --pull")


def test_the_same_base_is_fetched_once(t):
    registry, base = served(t)
    stages = "".join(f"FROM {base} AS s{n}\nRUN echo {n} > /n{n}\n" for n in range(5))
    folder = t.context(stages + f"FROM {base}\n" + "".join(f"COPY --from=s{n} /n{n} /\n" for n in range(5)))
    t.stave.ok("build", "-t", "made", folder)
    for one in registry.asked("GET"):
        t.equal(len(registry.asked("GET", one.path.rpartition("/")[2])), 1, f"requests of {one.path}")


def test_run_pulls_what_is_missing(t):
    registry, base = served(t)
    t.fails(t.stave("run", "--rm", "--pull=never", base), base)
    t.equal(t.stave.ok("run", "--rm", base).out, "hello\n")
    Wire(registry).put("base", runnable(t.bases, "newer\n"), "1")
    t.equal(t.stave.ok("run", "--rm", base).out, "hello\n", "--pull=missing")
    t.equal(t.stave.ok("run", "--rm", "--pull", "always", base).out, "newer\n", "--pull=always")
    registry.close()
    t.equal(t.stave.ok("run", "--rm", base).out, "newer\n", "without a registry")
    t.fails(t.stave("run", "--rm", "--pull=always", base), registry.host)
    result = t.client()("run", "--rm", f"{registry.host}/none:1")
    t.equal(result.code, 125, "exit code of a run without its image")


def test_build_push(t):
    registry, base = served(t)
    folder = t.context(STEPS.format(base=base), {"a": "A\n"})
    metadata = t.folder / "metadata.json"
    t.stave.ok("build", "--push", "-t", f"{registry.host}/made:1", "-t", f"{registry.host}/made:2",
               "--metadata-file", metadata, folder)
    digest, document = Wire(registry).check_image("made", "1")
    t.equal(registry.tags["made", "2"], digest, "the second tag")
    told = json.loads(metadata.read_text())
    t.equal(told["containerimage.digest"], digest)
    t.equal(told["containerimage.config.digest"], document["config"]["digest"])
    t.equal(sorted(told["image.name"].split(",")), [f"{registry.host}/made:1", f"{registry.host}/made:2"])
    t.equal(t.client().ok("run", "--rm", f"{registry.host}/made:1").out, "A\none\n")
    t.fails(t.stave("build", "--push", folder), "tag")


def test_failed_build_pushes_nothing(t):
    registry, base = served(t)
    folder = t.context(f"FROM {base}\nRUN echo x > /x\nRUN false\n")
    t.fails(t.stave("build", "--push", "-t", f"{registry.host}/made:1", folder))
    t.true(("made", "1") not in registry.tags, "the tag of a failed build")


def test_push_that_fails_fails_the_build(t):
    registry, base = served(t)
    proxy = t.proxy(registry, Fault("status", "(POST|PUT) ", times=999, status=403,
                                    body=b'{"errors":[{"code":"DENIED"}]}'))
    folder = t.context(f"FROM {base}\nRUN echo x > /x\n")
    t.fails(t.stave("build", "--push", "-t", f"{proxy.host}/made:1", folder), "DENIED")


def test_metadata_without_push(t):
    registry, base = served(t)
    t.stave.ok("build", "-t", "made", "--metadata-file", t.folder / "m.json", "--iidfile", t.folder / "iid",
               t.context(f"FROM {base}\nRUN true\n"))
    told = json.loads((t.folder / "m.json").read_text())
    t.equal(told["containerimage.config.digest"], (t.folder / "iid").read_text().strip())


def test_annotations(t):
    registry, base = served(t)
    t.stave.ok("build", "--push", "-t", f"{registry.host}/made:1", "--annotation", "org.example.a=b c",
               t.context(f"FROM {base}\nRUN true\n"))
    document = Wire(registry).manifest("made", "1")[1]
    t.equal(document.get("annotations", {}).get("org.example.a"), "b c")


def cached(result):
    return result.text.count("CACHED")


def test_many_platforms(t):
    """Without RUN, an index for two platforms; each takes its own base."""
    registry = t.own()
    images = [small(1), small(2, platform=("linux", "arm64"))]
    Wire(registry).put("base", Listing(images), "1")
    folder = t.context(f"FROM {registry.host}/base:1\nARG TARGETARCH\nCOPY a /$TARGETARCH\nENV ARCH=$TARGETARCH\n",
                       {"a": "A"})
    metadata = t.folder / "m.json"
    t.stave.ok("build", "--platform", "linux/amd64,linux/arm64", "--push", "-t", f"{registry.host}/made:1",
               "--metadata-file", metadata, folder)
    digest, document = Wire(registry).check_image("made", "1")
    t.equal(document["mediaType"], INDEX)
    t.equal([m["platform"]["architecture"] for m in document["manifests"]], ["amd64", "arm64"])
    t.equal(json.loads(metadata.read_text())["containerimage.digest"], digest)
    for platform, image in zip(("linux/amd64", "linux/arm64"), images):
        stave = t.client()
        stave.ok("pull", "--platform", platform, f"{registry.host}/made:1")
        arch = platform.split("/")[1]
        t.content(f"{registry.host}/made:1", arch, b"A", stave)
        layers = json.loads(stave.ok("image", "inspect", f"{registry.host}/made:1").out)[0]["RootFS"]["Layers"]
        t.equal(layers[:3], image.diff_ids, f"{platform}: base")


def test_run_of_a_platform_that_cannot_run(t):
    registry = t.own()
    Wire(registry).put("base", runnable(t.bases, platform=("linux", "s390x")), "1")
    result = t.stave("build", "--platform", "linux/s390x", t.context(f"FROM {registry.host}/base:1\nRUN true\n"))
    if not glob.glob("/proc/sys/fs/binfmt_misc/qemu-s390x"):
        # The base's program is this machine's in truth; what counts is that nothing dies.
        t.true(not result.crashed, "died")


def test_steps_pin_the_digest(t):
    """Two bases under one tag give two results, each kept for its own digest."""
    registry, base = served(t)
    folder = t.context(f"FROM {base}\nRUN cat /hello > /copy\nCMD cat /copy\n")
    first = Wire(registry).manifest("base", "1")[0]
    t.stave.ok("build", "-q", "-t", "made:1", folder)
    Wire(registry).put("base", runnable(t.bases, "newer\n"), "1")
    t.stave.ok("build", "-q", "--pull", "-t", "made:2", folder)
    registry.tags["base", "1"] = first
    result = t.stave.ok("build", "--progress=plain", "--pull", "-t", "made:3", folder)
    t.true(cached(result) >= 1, "the first base's step is not in the cache any more")
    t.equal(t.stave.ok("run", "--rm", "made:3").out, "hello\n")
    t.equal(digest_of(registry.manifest("base", "1")[0]), first)
