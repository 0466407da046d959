"""Pull and push: an image of about 500 MB to and from Debian's docker-registry on this machine."""

import json
import os
import shutil
import subprocess
import threading
import time
import types
import urllib.parse
from pathlib import Path

import harness
from benchmark import clock, fixtures
from benchmark.table import Table
from benchmark.tools import BASE, Tool, quiet
from harness import Stave
from registry_images import Made, Wire, mixed_bytes, tar_of
from registry_servers import DebianRegistry, Missing

NAME = "bench/image:1"
RUNS = 3


def rows(bench, _):
    try:
        with DebianRegistry(bench.scratch / "source") as source, DebianRegistry(bench.scratch / "target") as target:
            course = Course(bench, source, target)
            course.pulls()
            course.pushes()
            course.fresh()
    except Missing as missing:
        print(f"note: {missing}")


class Course:
    """The image in the first registry, the second one to push to, and every tool that can do both."""

    def __init__(self, bench, source, target):
        self.bench, self.source, self.target = bench, source, target
        self.layers, self.digest, packed, plain = elsewhere(put_image, bench, source)
        peers = list(bench.peers)
        if shutil.which("skopeo") and peers:
            store = f"[overlay@{bench.scratch}/skopeo+{bench.scratch}/skopeo-run]"
            peers.append(Tool("skopeo", ["skopeo", store], ["skopeo", "--version"]))
        self.peers = peers
        self.table = Table(types.SimpleNamespace(peers=peers))
        print(f"image: {len(self.layers)} layers, {packed / 1e6:.0f} MB packed, {plain / 1e6:.0f} MB unpacked")

    def ask(self, figure):
        return [figure(peer) for peer in self.peers]

    # What each tool is told.

    def pull(self, tool, host):
        if tool.name == "skopeo":
            return ["skopeo", "copy", "-q", "--src-tls-verify=false", f"docker://{host}/{NAME}",
                    f"containers-storage:{tool.prefix[1]}{host}/{NAME}"]
        more = ["--tls-verify=false"] if tool.name in ("podman", "buildah") else []
        return [*tool.prefix, "pull", "-q", *more, f"{host}/{NAME}"]

    def push(self, tool, name, host, target=NAME):
        """Pushes `name`, which for all but buildah and skopeo must be the target's own name already."""
        if tool.name == "skopeo":
            return ["skopeo", "copy", "-q", "--dest-tls-verify=false", f"containers-storage:{tool.prefix[1]}{name}",
                    f"docker://{host}/{target}"]
        if tool.name == "buildah":
            return [*tool.prefix, "push", "-q", "--tls-verify=false", name, f"docker://{host}/{target}"]
        more = ["--tls-verify=false"] if tool.name == "podman" else []
        return [*tool.prefix, "push", "-q", *more, f"{host}/{target}"]

    def tag(self, tool, name, host, target=NAME):
        if tool.name not in ("skopeo", "buildah"):
            quiet([*tool.prefix, "tag", name, f"{host}/{target}"], 60)

    def remove(self, tool):
        """Takes the image from a peer's store."""
        if tool.name == "skopeo":
            harness.remove_tree(self.bench.scratch / "skopeo")
            return
        for host in (self.source.host, self.target.host):
            quiet([*tool.prefix, "rmi", "-f", f"{host}/{NAME}"], 60)
        tool.forget()

    def wipe(self):
        shutil.rmtree(self.target.folder / "data" / "docker", ignore_errors=True)

    # Rows.

    def pulls(self):
        bench, root = self.bench, self.bench.scratch / "pulled"
        own = bench.own(Stave(bench.binary, root))
        peers = self.ask(lambda peer: clock.cost(
            self.pull(peer, self.source.host), RUNS, before=lambda: self.remove(peer), cap=bench.cap))
        cost = clock.cost(self.pull(own, self.source.host), RUNS, before=lambda: harness.remove_tree(root))
        self.table.row("pull, cold store", cost, self.unpack_limit(), peers, budget=(1.2,))
        self.table.row("for comparison: curl of all blobs", self.wire_limit())
        self.table.row("pull, nothing new", clock.cost(self.pull(own, self.source.host), 5), None, self.ask(
            lambda peer: clock.cost(self.pull(peer, self.source.host), 3, cap=bench.cap)))
        self.memory("peak memory of the pull", cost, peers)
        ran = clock.cost([*own.prefix, "run", "--rm", "--network=host", f"{self.source.host}/{NAME}", "true"], 1)
        if cost and not ran:
            print("note: what was pulled does not run")

    def pushes(self):
        bench = self.bench
        own = bench.own(Stave(bench.binary, bench.scratch / "pulled"))
        name = f"{self.source.host}/{NAME}"
        figures = {}
        for tool in [own, *self.peers]:
            self.tag(tool, name, self.target.host)
            # The time of a peer's cap is for its pushes: it has the image from the pull.
            figures[tool.name] = clock.cost(self.push(tool, name, self.target.host), RUNS, before=self.wipe,
                                            cap=None if tool is own else bench.cap)
        peers = [figures[peer.name] for peer in self.peers]
        self.table.row("push of what was pulled", figures["stave"], self.upload_limit(), peers, budget=(1.2,))
        self.memory("peak memory of the push", figures["stave"], peers)
        again = {}
        for tool in [own, *self.peers]:
            quiet(self.push(tool, name, self.target.host), 120)
            again[tool.name] = clock.cost(self.push(tool, name, self.target.host), 3, cap=bench.cap)
        self.table.row("the same, everything there", again["stave"], None, [again[peer.name] for peer in self.peers])
        self.wipe()
        quiet(self.push(own, name, self.target.host), 120)
        found = Wire(self.target).manifest("bench/image", "1")
        if not found or found[0] != self.digest:
            print(f"note: pushed as {found and found[0]}, pulled as {self.digest}")

    def fresh(self):
        """Layers that were built a moment ago are in no store compressed."""
        bench, folder = self.bench, Path(elsewhere(tree, self.bench))
        own, name, figures = bench.own(), "bench/fresh:1", {}
        for tool in [own, *(peer for peer in self.peers if peer.name != "skopeo")]:
            if not quiet(tool.build(folder), 240):
                figures[tool.name] = None
                continue
            self.tag(tool, "stave-bench", self.target.host, name)
            argv, cap = self.push(tool, "stave-bench", self.target.host, name), None if tool is own else bench.cap
            if tool is own:
                argv = [bench.binary, "--root", str(bench.scratch / "fresh"), *argv[len(tool.prefix):]]
            figures[tool.name] = clock.cost(argv, RUNS, before=lambda: self.forget_packed(tool), cap=cap)
        size = sum(path.stat().st_size for path in (folder / "tree").rglob("*") if path.is_file())
        limit = clock.shell(f"tar -C {folder}/tree -cf - . | {packer()} | openssl dgst -sha256", RUNS)
        peers = [figures.get(peer.name) for peer in self.peers]
        self.table.row(f"push of {size / 1e6:.0f} MB just built", figures["stave"], limit, peers, budget=(1.2,))
        self.memory("peak memory of it", figures["stave"], peers)

    def forget_packed(self, tool):
        """A registry without the layers; Stave, which keeps what it has compressed, builds them anew."""
        self.wipe()
        if tool.name == "stave":
            harness.remove_tree(self.bench.scratch / "fresh")
            anew = self.bench.own(self.bench.store("fresh"))
            quiet(anew.build(self.bench.scratch / "fresh-context"), 240)
            self.tag(anew, "stave-bench", self.target.host, "bench/fresh:1")

    def memory(self, name, own, peers):
        """Of docker it would be the client's alone."""
        self.table.row(name, own and own.peak, None, [
            None if peer.name == "docker" or cost is None else cost.peak for peer, cost in zip(self.peers, peers)],
            "MiB", 128)

    # Limits.

    def blobs(self):
        return [f"{self.source.url}/v2/bench/image/blobs/{digest}" for digest in self.layers]

    def wire_limit(self):
        return clock.shell(" & ".join(f"curl -s -o /dev/null {url}" for url in self.blobs()) + " & wait", RUNS)

    def unpack_limit(self):
        """Fetch, inflate, hash and write, every layer beside the others."""
        inflate = "igzip -d -c" if shutil.which("igzip") else "gzip -dc"
        parts = [f"curl -s {url} | {inflate} | tee {self.bench.scratch}/limit-{n} | openssl dgst -sha256 >/dev/null"
                 for n, url in enumerate(self.blobs())]
        cost = clock.shell(" & ".join(f"({part})" for part in parts) + " & wait", RUNS)
        for path in self.bench.scratch.glob("limit-*"):
            path.unlink()
        return cost

    def upload_limit(self):
        """All blobs by curl, beside each other."""
        files = []
        for number, (digest, url) in enumerate(zip(self.layers, self.blobs())):
            files.append((self.bench.scratch / f"blob-{number}", digest))
            subprocess.run(["curl", "-s", "-o", files[-1][0], url], check=True)

        def one(path, digest):
            head, _ = Wire(self.target).must(202, "POST", "/v2/limit/blobs/uploads/")
            place = head["Location"] + "&digest=" + urllib.parse.quote(digest)
            subprocess.run(["curl", "-s", "-T", path, urllib.parse.urljoin(self.target.url, place)], check=True,
                           capture_output=True)
        times = []
        for _ in range(RUNS):
            self.wipe()
            threads = [threading.Thread(target=one, args=pair) for pair in files]
            start = time.perf_counter()
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            times.append((time.perf_counter() - start) * 1000)
        for path, _ in files:
            path.unlink()
        return sorted(times)[len(times) // 2]


def packer():
    """The fastest gzip of this machine with all of its processors."""
    if shutil.which("igzip"):
        return "igzip -c -T 8"
    return "pigz -1 -c" if shutil.which("pigz") else "gzip -1 -c"


def elsewhere(function, *words):
    """What the function gives, as JSON, from a process of its own: this one's memory counts for each command it
    starts."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        with os.fdopen(writer, "w") as out:
            json.dump(function(*words), out)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        said = answer.read()
    os.waitpid(child, 0)
    return json.loads(said)


def put_image(bench, source):
    made = Wire(source).put("bench/image", image(bench), "1")
    return [layer["digest"] for layer in made.layers], made.digest, sum(l["size"] for l in made.layers), made.plain


def image(bench):
    """Four layers, about 500 MB unpacked: a base (node where it is there) and three of generated files."""
    folder = Path(bench.bases) / "node"
    diff_id, packed, way, size = layout_layer(folder if (folder / "index.json").exists() else folder.parent / "busybox")
    tars = [generated("many", bench.count(6000), 8000), generated("some", bench.count(400), 150_000)]
    rest = bench.count(500_000_000) - size - sum(map(len, tars))
    tars.append(generated("large", 4, max(rest // 4, 5_000_000)))
    made = Made(tars, top=[(diff_id, packed, way)], config={"Cmd": ["true"], "Env": ["PATH=/usr/bin:/bin"]})
    made.plain = sum(map(len, tars)) + size
    return made


def layout_layer(folder):
    """(diff ID, packed bytes, "gzip", unpacked size) of the one layer of a base image's layout."""
    def blob(digest):
        return (folder / "blobs" / Path(*digest.split(":"))).read_bytes()
    manifest = json.loads(blob(json.loads((folder / "index.json").read_text())["manifests"][0]["digest"]))
    layer = manifest["layers"][0]["digest"]
    path = folder / "blobs" / Path(*layer.split(":"))
    size = int(subprocess.run(f"gzip -dc {path} | wc -c", shell=True, capture_output=True, text=True).stdout)
    return json.loads(blob(manifest["config"]["digest"]))["rootfs"]["diff_ids"][0], blob(layer), "gzip", size


def generated(name, count, size):
    return tar_of({f"srv/{name}/d{n % 50}/f{n}": mixed_bytes(f"{name} {n}", size) for n in range(count)})


def tree(bench):
    """A context whose COPY makes one layer of about 250 MB."""
    folder = bench.scratch / "fresh-context"
    fixtures.fill(folder, [("Dockerfile", f"FROM {BASE}\nCOPY tree /tree\n".encode())])
    fixtures.fill(folder / "tree", [(f"d{n % 40}/f{n}", mixed_bytes(f"fresh {n}", 100_000))
                                    for n in range(bench.count(2500))])
    return str(folder)
