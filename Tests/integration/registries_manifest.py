"""Tests of `manifest`: inspect, create, annotate, push; and of what hangs on an image (referrers)."""

import json

from registry_images import Listing, Wire, small


def pair(t, registry):
    """Two images for two platforms under two tags."""
    images = [small(1), small(2, platform=("linux", "arm64"), variant="v8")]
    for image, tag in zip(images, ("amd", "arm")):
        Wire(registry).put("a", image, tag)
    return images


def test_inspect(t):
    registry = t.own()
    images = pair(t, registry)
    Wire(registry).put("a", Listing(images), "both")
    for reference, want in (("amd", images[0].manifest), ("both", Listing(images).manifest)):
        said = json.loads(t.stave.ok("manifest", "inspect", f"{registry.host}/a:{reference}").out)
        t.equal(said, json.loads(want), reference)
    t.fails(t.stave("manifest", "inspect", f"{registry.host}/a:none"), "none")
    said = json.loads(t.stave.ok("manifest", "inspect", "-v", f"{registry.host}/a:both").out)
    t.equal(len(said), 2, "images of --verbose")
    t.equal(t.stave.ok("images", "-q").out, "", "images after an inspect")


def test_create_annotate_push(t):
    registry = t.debian()
    images = pair(t, registry)
    name = f"{registry.host}/a:list"
    t.stave.ok("manifest", "create", name, f"{registry.host}/a:amd", f"{registry.host}/a:arm")
    t.fails(t.stave("manifest", "create", name, f"{registry.host}/a:amd"), "amend")
    t.stave.ok("manifest", "annotate", "--os-version", "1.2", name, f"{registry.host}/a:amd")
    t.stave.ok("manifest", "annotate", "--arch", "arm64", "--variant", "v9", name, f"{registry.host}/a:arm")
    local = json.loads(t.stave.ok("manifest", "inspect", name).out)
    t.equal(len(local["manifests"]), 2)
    said = t.stave.ok("manifest", "push", name)
    digest, document = Wire(registry).check_image("a", "list")
    t.says(said, digest)
    t.equal([m["digest"] for m in document["manifests"]], [image.digest for image in images])
    t.equal(document["manifests"][0]["platform"].get("os.version"), "1.2")
    t.equal(document["manifests"][1]["platform"].get("variant"), "v9")
    stave = t.client()
    stave.ok("pull", "--platform", "linux/arm64/v9", name)
    t.has(name, images[1], stave, digest=digest)


def test_amend_remove_and_purge(t):
    registry = t.own()
    images = pair(t, registry)
    name = f"{registry.host}/a:list"
    t.stave.ok("manifest", "create", name, f"{registry.host}/a:amd")
    t.stave.ok("manifest", "create", "--amend", name, f"{registry.host}/a:arm")
    t.stave.ok("manifest", "push", "--purge", name)
    t.equal(len(Wire(registry).manifest("a", "list")[1]["manifests"]), 2)
    t.stave.ok("manifest", "create", name, f"{registry.host}/a:amd")
    t.stave.ok("manifest", "rm", name)
    t.stave.ok("manifest", "create", name, f"{registry.host}/a@{images[0].digest}")
    t.stave.ok("manifest", "add", name, f"{registry.host}/a:arm")
    t.stave.ok("manifest", "push", name)
    t.equal([m["digest"] for m in Wire(registry).manifest("a", "list")[1]["manifests"]], [i.digest for i in images])


def test_list_from_another_repository(t):
    """The children are mounted or copied into the list's repository."""
    registry = t.own()
    images = pair(t, registry)
    t.stave.ok("manifest", "create", f"{registry.host}/b/c:1", f"{registry.host}/a:amd", f"{registry.host}/a:arm")
    t.stave.ok("manifest", "push", f"{registry.host}/b/c:1")
    _, document = Wire(registry).check_image("b/c", "1")
    t.equal([m["digest"] for m in document["manifests"]], [image.digest for image in images])


def test_errors(t):
    registry = t.own()
    pair(t, registry)
    t.fails(t.stave("manifest", "push", f"{registry.host}/a:never"), "never")
    t.fails(t.stave("manifest", "create", f"{registry.host}/a:x", f"{registry.host}/a:none"), "none")
    t.true(t.stave("manifest", "create", f"{registry.host}/a:x").code != 0, "a list of nothing")
    t.stave.ok("manifest", "create", f"{registry.host}/a:y", f"{registry.host}/a:amd")
    t.fails(t.stave("manifest", "annotate", "--arch", "arm64", f"{registry.host}/a:y", f"{registry.host}/a:arm"))


def test_search_says_what_it_needs(t):
    result = t.stave("search", "busybox", env={"https_proxy": "http://127.0.0.1:9"})
    t.true(result.code != 0 and "Docker Hub" in result.text, f"search says {result.text[:200]!r}")
