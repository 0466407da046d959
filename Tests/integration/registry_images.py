"""Images of the registry tests: made from a seed, put into a registry over HTTP, with no other tool."""

import gzip
import http.client
import io
import json
import random
import ssl
import tarfile
import urllib.parse
from pathlib import Path

from cli_archives import pack
from harness import Problem
from registry_oci import INDEX, digest_of

OCI = "application/vnd.oci.image."
DOCKER = "application/vnd.docker."
MANIFEST = OCI + "manifest.v1+json"
MEDIA = {
    "oci": {"manifest": MANIFEST, "index": INDEX, "config": OCI + "config.v1+json", None: OCI + "layer.v1.tar",
            "gzip": OCI + "layer.v1.tar+gzip", "zstd": OCI + "layer.v1.tar+zstd"},
    "docker": {"manifest": DOCKER + "distribution.manifest.v2+json",
               "index": DOCKER + "distribution.manifest.list.v2+json", "config": DOCKER + "container.image.v1+json",
               None: DOCKER + "image.rootfs.diff.tar", "gzip": DOCKER + "image.rootfs.diff.tar.gzip",
               "zstd": DOCKER + "image.rootfs.diff.tar.zstd"},
}


def tar_of(files):
    """A layer of {path: bytes}, always the same bytes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path, data in sorted(files.items()):
            info = tarfile.TarInfo(path)
            info.size, info.mode, info.mtime = len(data), 0o644, 1700000000
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def mixed_bytes(seed, size):
    """Bytes that compress to about half."""
    dice = random.Random(seed)
    parts = []
    for _ in range(0, size, 4096):
        noise = dice.randbytes(2048)
        parts += [noise, noise[:1] * 2048]
    return b"".join(parts)[:size]


class Made:
    """An image as bytes: `manifest` and its `digest`, `blobs` by digest, the descriptors of its `layers`."""

    def __init__(self, layers, compress="gzip", kind="oci", config=None, platform=("linux", "amd64"), variant=None,
                 annotations=None, subject=None, top=()):
        """`layers` are tars; `top` are (diff ID, packed bytes, compression) of layers below them."""
        media, self.kind = MEDIA[kind], kind
        ways = compress if isinstance(compress, (list, tuple)) else [compress] * len(layers)
        self.blobs = {}
        packed = [(digest_of(tar), gzip_same(tar) if way == "gzip" else pack(tar, way), way)
                  for tar, way in zip(layers, ways)]
        packed = list(top) + packed
        self.diff_ids = [diff for diff, _, _ in packed]
        self.layers = [self.put(data, media[way]) for _, data, way in packed]
        document = {"architecture": platform[1], "os": platform[0], "created": "2023-11-14T22:13:20Z",
                    "config": config or {"Cmd": ["true"]}, "rootfs": {"type": "layers", "diff_ids": self.diff_ids},
                    "history": [{"created_by": f"layer {n}"} for n in range(len(packed))]}
        if variant:
            document["variant"] = variant
        self.config = self.put(json.dumps(document).encode(), media["config"])
        self.platform = {"os": platform[0], "architecture": platform[1], **({"variant": variant} if variant else {})}
        self.document = {"schemaVersion": 2, "mediaType": media["manifest"], "config": self.config,
                         "layers": self.layers}
        if annotations:
            self.document["annotations"] = annotations
        if subject:
            self.document["subject"] = subject
        self.media, self.manifest = media["manifest"], json.dumps(self.document, indent=1).encode()
        self.digest = digest_of(self.manifest)

    def put(self, data, media):
        self.blobs[digest_of(data)] = data
        return {"mediaType": media, "size": len(data), "digest": digest_of(data)}

    @property
    def id(self):
        return self.config["digest"]

    @property
    def descriptor(self):
        return {"mediaType": self.media, "size": len(self.manifest), "digest": self.digest}


def gzip_same(data):
    return gzip.compress(data, 6, mtime=0)


def busybox_layer(bases):
    """The layer of the busybox base image, for `top`, and its config."""
    folder = Path(bases) / "busybox"
    read = lambda digest: (folder / "blobs" / Path(*digest.split(":"))).read_bytes()
    manifest = json.loads(read(json.loads((folder / "index.json").read_text())["manifests"][0]["digest"]))
    config = json.loads(read(manifest["config"]["digest"]))
    return (config["rootfs"]["diff_ids"][0], read(manifest["layers"][0]["digest"]), "gzip"), config["config"]


def runnable(bases, text="hello\n", **more):
    """An image on busybox whose command prints `text`."""
    below, config = busybox_layer(bases)
    return Made([tar_of({"hello": text.encode()})], top=[below], config={**config, "Cmd": ["cat", "/hello"]}, **more)


def small(seed, count=3, size=20000, compress="gzip", **more):
    """An image of `count` layers that no other seed has."""
    return Made([tar_of({f"f{n}": mixed_bytes(f"{seed} {n}", size * (n + 1)), f"seed-{n}": str(seed).encode()})
                 for n in range(count)], compress, **more)


class Listing:
    """An index over images (or a Docker manifest list)."""

    def __init__(self, images, kind="oci", extra=()):
        self.images, self.media = images, MEDIA[kind]["index"]
        entries = [{**image.descriptor, "platform": image.platform} for image in images] + list(extra)
        self.manifest = json.dumps({"schemaVersion": 2, "mediaType": self.media, "manifests": entries}).encode()
        self.digest = digest_of(self.manifest)


class Wire:
    """A plain client of one registry, for what the tests put into it and look up; `authorization` goes with it."""

    def __init__(self, registry, authorization=None, authority=None):
        self.registry, self.authorization, self.context = registry, authorization, None
        if registry.scheme == "https":
            self.context = ssl.create_default_context(cafile=str(authority.certificate))

    def __call__(self, method, path, body=None, fields=None):
        """(status, fields, bytes)"""
        host = self.registry.host
        connection = (http.client.HTTPSConnection(host, timeout=60, context=self.context) if self.context
                      else http.client.HTTPConnection(host, timeout=60))
        fields = dict(fields or {})
        if self.authorization:
            fields["Authorization"] = self.authorization(path) if callable(self.authorization) else self.authorization
        try:
            connection.request(method, path, body, fields)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def must(self, want, method, path, body=None, fields=None):
        status, head, data = self(method, path, body, fields)
        if status != want:
            raise Problem(f"{method} {path}: {status}, want {want}: {data[:200]!r}")
        return head, data

    def put_blob(self, name, data):
        digest = digest_of(data)
        if self("HEAD", f"/v2/{name}/blobs/{digest}")[0] == 200:
            return digest
        head, _ = self.must(202, "POST", f"/v2/{name}/blobs/uploads/")
        place = urllib.parse.urlsplit(urllib.parse.urljoin(self.registry.url, head["Location"]))
        query = place.query + ("&" if place.query else "") + "digest=" + urllib.parse.quote(digest)
        self.must(201, "PUT", f"{place.path}?{query}", data, {"Content-Type": "application/octet-stream"})
        return digest

    def put(self, name, image, tag=None):
        """An image or an index of images, in the order that a registry demands."""
        for child in getattr(image, "images", []):
            self.put(name, child)
        for data in getattr(image, "blobs", {}).values():
            self.put_blob(name, data)
        self.must(201, "PUT", f"/v2/{name}/manifests/{tag or image.digest}", image.manifest,
                  {"Content-Type": image.media})
        return image

    def manifest(self, name, reference):
        """(digest of the bytes, document) or None."""
        accept = ", ".join(media for kind in MEDIA.values() for key, media in kind.items()
                           if key in ("manifest", "index"))
        status, _, data = self("GET", f"/v2/{name}/manifests/{reference}", fields={"Accept": accept})
        return (digest_of(data), json.loads(data)) if status == 200 else None

    def tags(self, name):
        return json.loads(self.must(200, "GET", f"/v2/{name}/tags/list")[1])["tags"] or []

    def check_image(self, name, reference):
        """Reads every blob of an image, verifies each digest, and gives (manifest digest, manifest document)."""
        found = self.manifest(name, reference)
        if not found:
            raise Problem(f"{name}:{reference}: not in the registry")
        digest, document = found
        for child in document.get("manifests", []):
            self.check_image(name, child["digest"])
        for part in [document.get("config"), *document.get("layers", [])]:
            if part and not part.get("urls"):
                data = self.must(200, "GET", f"/v2/{name}/blobs/{part['digest']}")[1]
                if digest_of(data) != part["digest"] or len(data) != part["size"]:
                    raise Problem(f"{name}:{reference}: blob {part['digest']} is not its bytes")
        return digest, document
