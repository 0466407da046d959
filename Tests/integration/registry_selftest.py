"""Proves the servers of the registry tests with plain HTTP, skopeo and podman: registry_servers.py --selftest."""

import argparse
import http.client
import json
import time
import traceback
from pathlib import Path

import harness
from harness import Problem, Tally
from peers import installed, must
from registry_faults import Dice, Fault, FaultProxy, Script
from registry_images import MEDIA, Listing, Wire, small
from registry_oci import OCIRegistry, digest_of
from registry_servers import Authority, DebianRegistry, Missing, basic
from registry_tokens import TokenServer


def equal(have, want, what="value"):
    if have != want:
        raise Problem(f"{what}: want {want!r}, have {have!r}")


def skopeo(*words, fails=False):
    if not installed("skopeo"):
        return None
    done = harness.run(["skopeo", *map(str, words)], timeout=60)
    if (done.code != 0) != fails:
        raise Problem(f"skopeo {' '.join(map(str, words))}: exit {done.code}: {done.last_line()}")
    return done


def test_plain(folder):
    with DebianRegistry(folder / "registry") as registry:
        wire, image = Wire(registry), small(1)
        wire.put("a/b", image, "1")
        wire.put("a/b", Listing([image, small(2, platform=("linux", "arm64"))]), "list")
        equal(wire.check_image("a/b", "1")[0], image.digest, "digest")
        wire.check_image("a/b", "list")
        equal(sorted(wire.tags("a/b")), ["1", "list"])
        skopeo("copy", "-q", "--src-tls-verify=false", f"docker://{registry.host}/a/b:1", f"dir:{folder}/copied")
        if installed("skopeo"):
            equal((folder / "copied/manifest.json").read_bytes(), image.manifest)
        if installed("podman"):
            must(["podman", "--root", str(folder / "p"), "--runroot", str(folder / "r"), "pull", "-q",
                  "--tls-verify=false", f"{registry.host}/a/b:1"])


def test_tls(folder):
    authority, clients = Authority(folder / "ca"), Authority(folder / "clients", "clients")
    with DebianRegistry(folder / "tls", authority) as registry:
        wire = Wire(registry, authority=authority)
        wire.put("a", small(3), "1")
        wire.check_image("a", "1")
        skopeo("inspect", f"docker://{registry.host}/a:1", fails=True)
        trust = folder / "trust"
        trust.mkdir()
        (trust / "ca.crt").write_bytes(authority.certificate.read_bytes())
        skopeo("inspect", "--cert-dir", trust, f"docker://{registry.host}/a:1")
    with DebianRegistry(folder / "mutual", authority, clients=clients) as registry:
        skopeo("inspect", "--cert-dir", trust, f"docker://{registry.host}/a:1", fails=True)
        certificate, key = clients.issue("somebody", "clientAuth")
        (trust / "client.cert").write_bytes(certificate.read_bytes())
        (trust / "client.key").write_bytes(key.read_bytes())
        said = skopeo("inspect", "--cert-dir", trust, f"docker://{registry.host}/a:1", fails=True)
        if said and "manifest unknown" not in said.text:
            raise Problem(f"with a client certificate: {said.last_line()}")


def test_htpasswd(folder):
    with DebianRegistry(folder / "registry", users={"anna": "s3cret"}) as registry:
        equal(Wire(registry)("GET", "/v2/")[0], 401)
        equal(Wire(registry, basic("anna", "wrong"))("GET", "/v2/")[0], 401)
        Wire(registry, basic("anna", "s3cret")).put("a", small(4), "1")
        skopeo("inspect", "--tls-verify=false", "--creds", "anna:s3cret", f"docker://{registry.host}/a:1")
        skopeo("inspect", "--tls-verify=false", f"docker://{registry.host}/a:1", fails=True)


def test_tokens(folder):
    with TokenServer(folder / "tokens", {"anna": "s3cret"}) as tokens, \
            DebianRegistry(folder / "registry", tokens=tokens) as registry, OCIRegistry(tokens=tokens) as own:
        for one in (registry, own):
            tokens.scopes.clear()
            everything = [{"type": "repository", "name": "a", "actions": ["pull", "push"]}]
            wire = Wire(one, "Bearer " + tokens.sign("anna", everything))
            wire.put("a", small(5), "1")
            equal(Wire(one)("GET", "/v2/a/manifests/1")[0], 401)
            skopeo("inspect", "--tls-verify=false", f"docker://{one.host}/a:1")
            skopeo("copy", "-q", "--src-tls-verify=false", "--dest-tls-verify=false", "--dest-creds", "anna:s3cret",
                   f"docker://{one.host}/a:1", f"docker://{one.host}/b:1")
            skopeo("copy", "-q", "--src-tls-verify=false", "--dest-tls-verify=false",
                   f"docker://{one.host}/a:1", f"docker://{one.host}/c:1", fails=True)
            if installed("skopeo") and ["repository:a:pull"] not in tokens.scopes:
                raise Problem(f"scopes: {tokens.scopes}")
            tokens.lifetime = 2
            wire.authorization = "Bearer " + tokens.sign("anna", everything)
            equal(wire("GET", "/v2/a/tags/list")[0], 200)
            time.sleep(3.2)
            equal(wire("GET", "/v2/a/tags/list")[0], 401, "after the token's life")
            tokens.lifetime = 300


def test_mirror(folder):
    with OCIRegistry() as upstream:
        image = Wire(upstream).put("library/a", small(6), "1")
        with DebianRegistry(folder / "mirror", mirror_of=upstream.url) as mirror:
            for _ in range(2):
                Wire(mirror).check_image("library/a", "1")
            # The cache writes what it fetched after it has answered.
            time.sleep(0.3)
            before = upstream.fetched(image.layers[0]["digest"])
            Wire(mirror).check_image("library/a", "1")
            equal(upstream.fetched(image.layers[0]["digest"]), before, "bytes from upstream")


def test_own_registry(folder):
    with OCIRegistry(page=2, min_chunk=1000) as own:
        wire, image = Wire(own), small(7)
        wire.put("x/y", image, "1")
        skopeo("copy", "-q", "--src-tls-verify=false", f"docker://{own.host}/x/y:1", f"dir:{folder}/copied")
        skopeo("copy", "-q", "--dest-tls-verify=false", f"dir:{folder}/copied", f"docker://{own.host}/z:1")
        if installed("skopeo"):
            equal(wire.check_image("z", "1")[0], image.digest)
        blob = image.layers[1]["digest"]
        status, head, data = wire("GET", f"/v2/x/y/blobs/{blob}", fields={"Range": "bytes=100-199"})
        equal((status, data), (206, image.blobs[blob][100:200]))
        equal(head["Content-Range"], f"bytes 100-199/{len(image.blobs[blob])}")
        equal(wire("GET", f"/v2/x/y/blobs/{blob}", fields={"Range": "bytes=99999999-"})[0], 416)
        equal(wire("POST", f"/v2/m/blobs/uploads/?mount={blob}&from=x/y")[0], 201, "mount")
        equal(wire("POST", f"/v2/m/blobs/uploads/?mount={blob}&from=nowhere")[0], 202, "mount from nowhere")
        head, _ = wire.must(201, "PUT", f"/v2/x/y/manifests/{image.digest}?tag=2&tag=3", image.manifest,
                            {"Content-Type": image.media})
        equal(head["OCI-Tag"], "2, 3")
        head, data = wire.must(200, "GET", "/v2/x/y/tags/list")
        equal(json.loads(data)["tags"], ["1", "2"])
        data = wire.must(200, "GET", head["Link"].split(">")[0][1:])[1]
        equal(json.loads(data)["tags"], ["3"])
        about = small(8, subject=image.descriptor)
        wire.put("x/y", about)
        listed = json.loads(wire.must(200, "GET", f"/v2/x/y/referrers/{image.digest}")[1])["manifests"]
        equal([entry["digest"] for entry in listed], [about.digest])
        equal(wire("PUT", "/v2/none/manifests/1", image.manifest, {"Content-Type": image.media})[0], 404)
        equal(wire("PUT", f"/v2/x/y/manifests/{about.digest}", image.manifest, {"Content-Type": image.media})[0], 400)
        chunks(wire)


def chunks(wire):
    data = bytes(range(256)) * 10
    head, _ = wire.must(202, "POST", "/v2/c/blobs/uploads/")
    equal(head["OCI-Chunk-Min-Length"], "1000")
    for start in (0, 1000, 2000):
        part = data[start:start + 1000]
        fields = {"Content-Range": f"{start}-{start + len(part) - 1}", "Content-Type": "application/octet-stream"}
        wrong = {**fields, "Content-Range": f"{start + 5}-{start + 4 + len(part)}"}
        equal(wire("PATCH", head["Location"], part, wrong)[0], 416)
        status = wire.must(204, "GET", head["Location"])[0]
        equal(status["Range"], f"0-{max(start - 1, 0)}")
        head, _ = wire.must(202, "PATCH", head["Location"], part, fields)
    equal(wire("PUT", head["Location"] + "&digest=" + digest_of(b"other"), b"")[0], 400)
    wire.must(201, "PUT", head["Location"] + "&digest=" + digest_of(data), b"")
    equal(wire.must(200, "GET", f"/v2/c/blobs/{digest_of(data)}")[1], data)
    head, _ = wire.must(202, "POST", "/v2/c/blobs/uploads/")
    wire.must(204, "DELETE", head["Location"])
    equal(wire("GET", head["Location"])[0], 404)


def test_other_host(folder):
    with OCIRegistry(users={"anna": "s3cret"}, cdn=True) as own:
        wire, image = Wire(own, basic("anna", "s3cret")), small(9)
        wire.put("a", image, "1")
        skopeo("copy", "-q", "--src-tls-verify=false", "--src-creds", "anna:s3cret", f"docker://{own.host}/a:1",
               f"dir:{folder}/copied")
        if installed("skopeo"):
            equal(len(own.cdn.asked("GET")), 4)
        equal(own.cdn.leaks, [])
        head, _ = wire.must(307, "GET", f"/v2/a/blobs/{image.layers[0]['digest']}")
        equal(Wire(own.cdn, basic("a", "b"))("GET", head["Location"].removeprefix(own.cdn.url))[0], 400)
        equal(len(own.cdn.leaks), 1)


def test_faults(folder):
    with OCIRegistry() as own:
        image = small(10)
        Wire(own).put("a", image, "1")
        blob = image.layers[2]["digest"]
        data, path = image.blobs[blob], f"/v2/a/blobs/{blob}"

        def got(*faults, method="GET", where=path, body=None):
            with FaultProxy(own.host, Script(*faults), own.blobs.get) as proxy:
                answers = []
                for _ in range(2):
                    try:
                        answers.append(Wire(proxy)(method, where, body))
                    except http.client.IncompleteRead as error:
                        answers.append(("short", None, error.partial))
                    except (ConnectionError, http.client.HTTPException) as error:
                        answers.append((type(error).__name__, None, b""))
                equal(proxy.errors, [])
                # The first is broken, the second is not.
                if method == "GET":
                    equal((answers[1][0], answers[1][2]), (200, data))
                return answers[0]

        equal(got(Fault("reset"))[0], "ConnectionResetError")
        short = got(Fault("close", after=700))
        equal((short[0], short[2]), ("short", data[:700]))
        if got(Fault("cut", after=700))[0] not in ("ConnectionResetError", "short"):
            raise Problem("cut")
        short = got(Fault("truncate", after=700))
        equal((short[0], short[2]), (200, data[:700]))
        wrong = got(Fault("corrupt", after=700))[2]
        equal((len(wrong), [n for n, (a, b) in enumerate(zip(wrong, data)) if a != b]), (len(data), [700]))
        for kind in ("stall", "slow"):
            equal(got(Fault(kind, after=9000, seconds=0.1))[2], data)
        status = got(Fault("status", status=429, fields={"Retry-After": "7"}))
        equal((status[0], status[1]["Retry-After"]), (429, "7"))
        status = got(Fault("unauthorized"))
        equal((status[0], 'scope="repository:a:pull,push"' in status[1]["WWW-Authenticate"]), (401, True))
        equal(got(Fault("redirect"))[0], 307)
        place = Wire(own).must(202, "POST", "/v2/a/blobs/uploads/")[0]["Location"]
        got(Fault("cut-request", after=300), Fault("reset", nth=2), method="PATCH", where=place, body=data)
        time.sleep(0.2)
        equal(Wire(own).must(204, "GET", place)[0]["Range"], "0-299", "what passed before the cut")
        equal(got(Fault("lost-answer"), Fault("reset", nth=2), method="POST", where="/v2/a/blobs/uploads/")[0],
              "ConnectionResetError")
        if own.errors:
            raise Problem(str(own.errors))


def test_dice(folder):
    def drawn(seed):
        dice, out = Dice(seed), []
        for number in range(40):
            dice.choose("GET", f"/v2/a/blobs/{number % 5}")
            dice.choose("PATCH", f"/v2/a/blobs/uploads/{seed}-{number}")
        return sorted(map(repr, dice.done))
    equal(drawn(1), drawn(1))
    if drawn(1) == drawn(2):
        raise Problem("two seeds draw the same")
    with OCIRegistry() as own:
        image = small(11)
        Wire(own).put("a", image, "1")
        with FaultProxy(own.host, Dice(5, rate=0.4, kinds=["status", "reset", "close"]), own.blobs.get) as proxy:
            for _ in range(4):
                if not installed("skopeo"):
                    break
                may_fail = harness.run(["skopeo", "copy", "-q", "--src-tls-verify=false", "--retry-times=5",
                                        f"docker://{proxy.host}/a:1", f"dir:{folder}/copied"], timeout=60)
                if may_fail.crashed:
                    raise Problem(may_fail.last_line())
            if not proxy.plan.done and installed("skopeo"):
                raise Problem("no fault was done")
            equal(proxy.errors, [])


def test_docker_types(folder):
    with OCIRegistry() as own:
        for kind in MEDIA:
            image = Wire(own).put("a", small(12, kind=kind, compress=["gzip", None, "gzip"]), kind)
            skopeo("copy", "-q", "--src-tls-verify=false", "--preserve-digests", f"docker://{own.host}/a:{kind}",
                   f"dir:{folder}/{kind}")
            equal(digest_of(image.manifest), image.digest)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--selftest", action="store_true", required=True)
    parser.add_argument("--only")
    options = parser.parse_args()
    tally, scratch = Tally(), harness.scratch_dir("stave-registry-")
    try:
        for name, function in list(globals().items()):
            if not name.startswith("test_") or (options.only and options.only not in name):
                continue
            folder = Path(scratch) / name
            folder.mkdir()
            try:
                function(folder)
                tally.ok()
            except Missing as missing:
                tally.skip(name, missing)
            except Problem as problem:
                tally.fail(name, problem)
            except Exception:
                tally.fail(name, traceback.format_exc(limit=-3))
    finally:
        harness.remove_tree(scratch)
    return tally.close()
