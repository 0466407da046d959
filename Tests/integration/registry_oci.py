"""A registry of the tests' own, in memory, that speaks OCI distribution-spec 1.1 and can leave parts of it out."""

import hashlib
import json
import re
import threading
import urllib.parse
import uuid

from registry_servers import Handler, Server, basic

NAME = r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*"
ROUTES = [(kind, re.compile(rf"^/v2/({NAME})/{tail}$")) for kind, tail in (
    ("manifest", r"manifests/([^/]+)"), ("start", r"blobs/uploads/?()"), ("upload", r"blobs/uploads/([^/]+)"),
    ("blob", r"blobs/([^/]+)"), ("tags", r"tags/list()"), ("referrers", r"referrers/([^/]+)"))]
INDEX = "application/vnd.oci.image.index.v1+json"
INDEXES = (INDEX, "application/vnd.docker.distribution.manifest.list.v2+json")


def digest_of(data, algorithm="sha256"):
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


class CDN(Server):
    """The other host that blobs are redirected to: it refuses any credential, as a store of signed URLs does."""

    def __init__(self, read, ranges=True, authority=None):
        self.read, self.ranges, self.leaks = read, ranges, []
        super().__init__(CDNHandler, authority)

    def address(self, digest):
        return f"{self.url}/signed/{digest}?signature=abc%2Bdef&expires=1"


class CDNHandler(Handler):
    def serve(self):
        if any(f in self.exchange.headers for f in ("authorization", "cookie", "proxy-authorization")):
            self.owner.leaks.append(self.exchange)
            return self.answer(400, b"<Error><Code>InvalidArgument</Code></Error>")
        if self.query.get("signature") != ["abc+def"]:
            return self.answer(403, b"<Error><Code>SignatureDoesNotMatch</Code></Error>")
        data = self.owner.read(self.words.rpartition("/")[2])
        if data is None:
            return self.answer(404)
        answer_part(self, data, self.owner.ranges, {"Content-Type": "application/octet-stream"})


def answer_part(handler, data, ranges, fields):
    """The whole or the range that is asked for."""
    wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", handler.headers.get("Range", ""))
    if not wanted or not ranges:
        return handler.answer(200, data, fields)
    first, last = int(wanted[1]), min(int(wanted[2] or len(data) - 1), len(data) - 1)
    if first >= len(data) or first > last:
        return handler.answer(416, b"", {"Content-Range": f"bytes */{len(data)}"})
    handler.answer(206, data[first:last + 1], {**fields, "Content-Range": f"bytes {first}-{last}/{len(data)}"})


class OCIRegistry(Server):
    """The registry; each switch is a part of the specification, or a way that some registry has.

    `referrers`: the referrers API and OCI-Subject; `tag_parameter`: `?tag=` on a push by digest; `min_chunk`: the least
    bytes of a PATCH but the last; `mount`: mounts between repositories; `ranges`: Range on blobs; `heads`: HEAD of
    manifests; `relative`: Location without a host; `page`: the most tags in an answer; `users` demands Basic, `tokens`
    (a TokenServer) Bearer; `cdn` redirects blobs; `fields` are more fields of every answer; `before(handler)` may
    answer in place of the registry and then gives True.
    """

    def __init__(self, referrers=True, tag_parameter=True, min_chunk=0, mount=True, ranges=True, heads=True,
                 relative=True, page=None, users=None, tokens=None, cdn=False, fields=None, authority=None, before=None,
                 port=0):
        self.referrers, self.tag_parameter, self.min_chunk, self.mount = referrers, tag_parameter, min_chunk, mount
        self.ranges, self.heads, self.relative, self.page = ranges, heads, relative, page
        self.users, self.tokens, self.fields, self.before = users, tokens, fields or {}, before
        self.lock = threading.RLock()
        self.blobs, self.has, self.manifests, self.tags, self.uploads, self.chunks = {}, set(), {}, {}, {}, {}
        super().__init__(OCIHandler, authority, port)
        self.cdn = CDN(self.blobs.get, ranges, authority) if cdn else None

    def close(self):
        super().close()
        if self.cdn:
            self.cdn.close()

    def add_blob(self, name, data, digest=None):
        digest = digest or digest_of(data)
        with self.lock:
            self.blobs[digest] = data
            self.has.add((name, digest))
        return digest

    def add_manifest(self, name, data, media, tags=()):
        digest = digest_of(data)
        with self.lock:
            self.manifests[name, digest] = (data, media)
            for tag in tags:
                self.tags[name, tag] = digest
        return digest

    def manifest(self, name, reference):
        """(bytes, media type) of a tag or digest, or None."""
        return self.manifests.get((name, self.tags.get((name, reference), reference)))

    def fetched(self, digest):
        """The bytes of a blob that went out, from here or from the other host."""
        servers = [self] + ([self.cdn] if self.cdn else [])
        return sum(one.sent for server in servers for one in server.asked("GET", digest))


class OCIHandler(Handler):
    def serve(self):
        if self.owner.before and self.owner.before(self):
            return
        if self.words.rstrip("/") == "/v2":
            if self.permitted(None, "pull"):
                self.reply(200, b"{}")
            return
        for kind, pattern in ROUTES:
            found = pattern.match(self.words)
            if found:
                self.name, self.last = found[1], found[2]
                action = "pull" if self.command in ("GET", "HEAD") and kind != "upload" else "push"
                if self.permitted(self.name, action):
                    with self.owner.lock if self.command not in ("PATCH", "PUT", "GET") else Nothing():
                        getattr(self, kind)()
                return
        self.fail(404, "NAME_INVALID", "no such address")

    def permitted(self, name, action):
        owner, field = self.owner, self.headers.get("Authorization")
        if owner.users is not None:
            if any(field == basic(*pair) for pair in owner.users.items()):
                return True
            self.fail(401, "UNAUTHORIZED", "authentication required",
                      {"WWW-Authenticate": 'Basic realm="stave test", charset="UTF-8"'})
            return False
        if owner.tokens:
            if name is None and field and field.partition(" ")[2] in owner.tokens.issued:
                return True
            if name and owner.tokens.allows(field, name, action):
                return True
            actions = "pull" if action == "pull" else "pull,push"
            scope = f"repository:{name}:{actions}" if name else None
            error = "invalid_token" if field else None
            self.fail(401, "UNAUTHORIZED", "authentication required",
                      {"WWW-Authenticate": owner.tokens.challenge(scope, error)})
            return False
        return True

    def reply(self, status, data=b"", fields=()):
        self.answer(status, data, {"Docker-Distribution-Api-Version": "registry/2.0", **self.owner.fields,
                                   **dict(fields)})

    def fail(self, status, code, message, fields=()):
        self.reply(status, json.dumps({"errors": [{"code": code, "message": message, "detail": None}]}).encode(),
                   {"Content-Type": "application/json", **dict(fields)})

    # Manifests.

    def manifest(self):
        if self.command == "PUT":
            return self.put_manifest()
        if self.command == "HEAD" and not self.owner.heads:
            return self.fail(405, "UNSUPPORTED", "HEAD is not supported")
        found = self.owner.manifest(self.name, self.last)
        if not found:
            return self.fail(404, "MANIFEST_UNKNOWN", f"manifest unknown: {self.last}")
        data, media = found
        if self.command == "DELETE":
            with self.owner.lock:
                for key in [k for k, v in self.owner.tags.items() if k[0] == self.name and v == digest_of(data)]:
                    del self.owner.tags[key]
                self.owner.manifests.pop((self.name, digest_of(data)), None)
            return self.reply(202)
        self.reply(200, data, {"Content-Type": media, "Docker-Content-Digest": digest_of(data)})

    def put_manifest(self):
        data, owner = self.body(), self.owner
        digest, by_digest = digest_of(data), ":" in self.last
        if by_digest and self.last != digest:
            return self.fail(400, "DIGEST_INVALID", f"the bytes are {digest}")
        try:
            document = json.loads(data)
        except ValueError:
            return self.fail(400, "MANIFEST_INVALID", "not JSON")
        media = self.headers.get("Content-Type", "")
        if document.get("mediaType", media) != media:
            return self.fail(400, "MANIFEST_INVALID", f"mediaType is not {media}")
        with owner.lock:
            for child in document.get("manifests", []):
                if (self.name, child["digest"]) not in owner.manifests:
                    return self.fail(404, "MANIFEST_UNKNOWN", f"child unknown: {child['digest']}")
            needed = [document.get("config"), *document.get("layers", [])]
            for part in [p for p in needed if p and not p.get("urls")]:
                if (self.name, part["digest"]) not in owner.has:
                    return self.fail(404, "MANIFEST_BLOB_UNKNOWN", f"blob unknown: {part['digest']}")
                if len(owner.blobs[part["digest"]]) != part["size"]:
                    return self.fail(400, "SIZE_INVALID", f"the size of {part['digest']}")
            tags = [] if by_digest else [self.last]
            fields = {"Location": f"/v2/{self.name}/manifests/{digest}", "Docker-Content-Digest": digest}
            if by_digest and owner.tag_parameter and self.query.get("tag"):
                tags = self.query["tag"]
                fields["OCI-Tag"] = ", ".join(tags)
            owner.add_manifest(self.name, data, media, tags)
        if document.get("subject") and owner.referrers:
            fields["OCI-Subject"] = document["subject"]["digest"]
        self.reply(201, b"", fields)

    def referrers(self):
        if not self.owner.referrers:
            return self.fail(404, "UNSUPPORTED", "no referrers here")
        kind, out = self.query.get("artifactType", [None])[0], []
        for (name, digest), (data, media) in sorted(self.owner.manifests.items()):
            document = json.loads(data)
            if name != self.name or (document.get("subject") or {}).get("digest") != self.last:
                continue
            artifact = document.get("artifactType") or document.get("config", {}).get("mediaType")
            if kind in (None, artifact):
                entry = {"mediaType": media, "digest": digest, "size": len(data), "artifactType": artifact}
                out.append({**entry, "annotations": document["annotations"]} if "annotations" in document else entry)
        fields = {"Content-Type": INDEX, **({"OCI-Filters-Applied": "artifactType"} if kind else {})}
        self.reply(200, json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": out}).encode(), fields)

    def tags(self):
        tags = sorted(tag for name, tag in list(self.owner.tags) if name == self.name)
        if not tags and not any(name == self.name for name, _ in list(self.owner.manifests)):
            return self.fail(404, "NAME_UNKNOWN", "repository name not known to registry")
        after = self.query.get("last", [""])[0]
        tags = [tag for tag in tags if tag > after]
        most = min(int(self.query.get("n", [len(tags)])[0]), self.owner.page or len(tags))
        fields = {"Content-Type": "application/json"}
        if most < len(tags):
            more = urllib.parse.urlencode({"n": most, "last": tags[most - 1]})
            fields["Link"] = f'</v2/{self.name}/tags/list?{more}>; rel="next"'
        self.reply(200, json.dumps({"name": self.name, "tags": tags[:most]}).encode(), fields)

    # Blobs.

    def blob(self):
        if (self.name, self.last) not in self.owner.has:
            return self.fail(404, "BLOB_UNKNOWN", f"blob unknown to registry: {self.last}")
        if self.command == "DELETE":
            self.owner.has.discard((self.name, self.last))
            return self.reply(202)
        if self.owner.cdn and self.command == "GET":
            return self.reply(307, b"", {"Location": self.owner.cdn.address(self.last)})
        answer_part(self, self.owner.blobs[self.last], self.owner.ranges,
                    {"Content-Type": "application/octet-stream", "Docker-Content-Digest": self.last,
                     **({"Accept-Ranges": "bytes"} if self.owner.ranges else {}), **self.owner.fields})

    def start(self):
        owner = self.owner
        if self.command != "POST":
            return self.fail(405, "UNSUPPORTED", "only POST")
        mount, source = self.query.get("mount", [None])[0], self.query.get("from", [None])[0]
        if mount and owner.mount and source and (source, mount) in owner.has and (
                not owner.tokens or owner.tokens.allows(self.headers.get("Authorization"), source, "pull")):
            owner.has.add((self.name, mount))
            return self.created(mount)
        if "digest" in self.query and self.headers.get("Content-Length", "0") != "0":
            data, digest = self.body(), self.query["digest"][0]
            if digest_of(data, digest.split(":")[0]) != digest:
                return self.fail(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
            owner.add_blob(self.name, data, digest)
            return self.created(digest)
        key = uuid.uuid4().hex
        owner.uploads[key] = bytearray()
        self.progress(202, key)

    def created(self, digest):
        self.reply(201, b"", {"Location": f"/v2/{self.name}/blobs/{digest}", "Docker-Content-Digest": digest})

    def progress(self, status, key):
        """The state of an upload; its address has a query that must come back."""
        place = f"/v2/{self.name}/blobs/uploads/{key}?_state=s%2F{len(self.owner.uploads[key])}"
        fields = {"Location": place if self.owner.relative else self.owner.url + place, "Docker-Upload-UUID": key,
                  "Range": f"0-{max(len(self.owner.uploads[key]) - 1, 0)}"}
        if self.owner.min_chunk and status == 202 and self.command == "POST":
            fields["OCI-Chunk-Min-Length"] = str(self.owner.min_chunk)
        self.reply(status, b"", fields)

    def upload(self):
        owner, key = self.owner, self.last
        if key not in owner.uploads:
            return self.fail(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")
        if self.command == "GET":
            return self.progress(204, key)
        if self.command == "DELETE":
            del owner.uploads[key]
            return self.reply(204)
        if "_state" not in self.query:
            return self.fail(400, "BLOB_UPLOAD_INVALID", "the query of the Location is missing")
        have = owner.uploads[key]
        part = re.fullmatch(r"(?:bytes[ =])?(\d+)-(\d+)(?:/.*)?", self.headers.get("Content-Range", ""))
        if self.command == "PATCH" and part and int(part[1]) != len(have):
            self.body()
            return self.out_of_order(key)
        before = len(have)
        # What came before a cut stays: an upload is resumed from there.
        while data := self.read_some():
            have += data
        if self.command == "PATCH":
            if part and int(part[2]) - int(part[1]) + 1 != len(have) - before:
                return self.fail(400, "SIZE_INVALID", "Content-Range is not the body's length")
            owner.chunks.setdefault(key, []).append(len(have) - before)
            return self.progress(202, key)
        self.complete(key, bytes(have))

    def out_of_order(self, key):
        self.reply(416, b"", {"Location": f"/v2/{self.name}/blobs/uploads/{key}?_state=o",
                              "Range": f"0-{max(len(self.owner.uploads[key]) - 1, 0)}"})

    def complete(self, key, data):
        digest = self.query.get("digest", [""])[0]
        short = [n for n in self.owner.chunks.get(key, [])[:-1] if n < self.owner.min_chunk]
        if short:
            return self.fail(400, "SIZE_INVALID", f"a chunk of {short[0]} bytes is less than the least")
        if digest.split(":")[0] not in ("sha256", "sha512") or digest_of(data, digest.split(":")[0]) != digest:
            return self.fail(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
        with self.owner.lock:
            self.owner.add_blob(self.name, data, digest)
            self.owner.uploads.pop(key, None)
        self.created(digest)


class Nothing:
    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass
