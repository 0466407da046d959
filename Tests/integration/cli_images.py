"""Tests of building and of the image commands."""

import json
import os
import signal
import subprocess
import time

import harness
from harness import Image, Problem
import peers


def test_version_and_help(t):
    for words in (["version"], ["--version"], ["--help"], ["build", "--help"], ["image", "--help"], ["info"]):
        if not t.code(t.stave(*words), 0).out.strip():
            raise Problem(f"{words}: says nothing")
    for word in ("host", "network"):
        if word not in t.stave("info").out.lower():
            raise Problem(f"info does not speak of the {word}")


def test_unknown_command(t):
    t.fails(t.stave("biuld"), "build")


def test_images_and_tags(t):
    t.stave.ok("tag", "busybox", "stave-test/one:v1")
    t.stave.ok("tag", "stave-test/one:v1", "localhost:5000/two")
    listing = t.stave.ok("images").out
    for part in ("REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE", "stave-test/one", "localhost:5000/two"):
        if part not in listing:
            raise Problem(f"images lacks {part!r}: {listing}")
    rows = t.stave.ok("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").out.splitlines()
    if "stave-test/one:v1" not in rows or "busybox:latest" not in rows:
        raise Problem(f"image ls --format: {rows}")
    lines = t.stave.ok("images", "--format", "json").out.splitlines()
    row = next(r for r in map(json.loads, lines) if r["Repository"] == "stave-test/one")
    t.equal(row["Tag"], "v1", "Tag of --format json")
    ids = set(t.stave.ok("images", "-q", "--no-trunc").out.split())
    t.equal(len([i for i in ids if i.startswith("sha256:")]), len(ids), "ids with sha256:")
    t.stave.ok("rmi", "stave-test/one:v1")
    t.stave.ok("image", "rm", "localhost:5000/two:latest")
    t.fails(t.stave("rmi", "stave-test/one:v1"), "stave-test/one:v1")
    t.stave.ok("image", "inspect", "busybox")


def test_inspect(t):
    document = json.loads(t.stave.ok("image", "inspect", "busybox").out)[0]
    for key in ("Id", "RepoTags", "Created", "Architecture", "Os", "Config", "RootFS", "Size"):
        if key not in document:
            raise Problem(f"inspect lacks {key}")
    t.equal(document["RootFS"]["Type"], "layers", "RootFS.Type")
    t.equal(t.stave.ok("image", "inspect", "-f", "{{.Os}}/{{.Architecture}}", "busybox").out, "linux/amd64\n", "-f")
    t.equal(t.stave.ok("image", "inspect", "-f", "{{json .Config.Cmd}}", "busybox").out, '["sh"]\n', "-f json")
    short = document["Id"].split(":")[1][:12]
    t.equal(json.loads(t.stave.ok("image", "inspect", short).out)[0]["Id"], document["Id"], "by short id")
    t.fails(t.stave("image", "inspect", "stave-test/absent"), "stave-test/absent")


def test_history(t):
    t.code(t.build("FROM busybox\nENV A=1\nRUN echo x > /x\nCMD [\"true\"]\n", "stave-test/history"), 0)
    rows = t.stave.ok("history", "--no-trunc", "--format", "{{.CreatedBy}}", "stave-test/history").out.splitlines()
    for index, part in enumerate(('CMD ["true"]', "RUN /bin/sh -c echo x > /x", "ENV A=1")):
        if part not in rows[index]:
            raise Problem(f"history line {index + 1}: want {part!r}, have {rows[index]!r}")


def test_build_outputs(t):
    iid = t.folder / "iid"
    result = t.build("FROM busybox\nLABEL a=1\n", "stave-test/out", flags=["-t", "stave-test/second:2", "--iidfile", iid,
                                                                          "-q", "--label", "b=2"])
    t.code(result, 0)
    t.equal(result.out.strip(), iid.read_text().strip(), "-q and --iidfile")
    t.equal(t.stave.ok("image", "inspect", "-f", "{{json .Config.Labels}}", "stave-test/second:2").out.strip(),
            '{"a":"1","b":"2"}', "labels")


def test_dockerfile_on_stdin(t):
    folder = t.context(None, {"file": "text\n"})
    t.code(t.stave("build", "-t", "stave-test/stdin", "-f", "-", folder, stdin=b"FROM busybox\nCOPY file /file\n"), 0)
    t.equal(t.stave("run", "--rm", "stave-test/stdin", "cat", "/file").out, "text\n", "stdout")


def test_unknown_build_arg_warns(t):
    result = t.code(t.build("FROM busybox\n", "stave-test/arg", flags=["--build-arg", "nobody=1"]), 0)
    if "nobody" not in result.err:
        raise Problem(f"no warning: {result.err!r}")


def test_proxy_arguments_are_outside_the_cache_key(t):
    folder = t.context("FROM busybox\nARG FOO\nRUN echo -n $HTTP_PROXY::$NO_PROXY::$FOO > /out\n")
    for values in (["HTTP_PROXY=one", "NO_PROXY=none"], ["http_proxy=two"]):
        flags = [part for value in [*values, "FOO=foo"] for part in ("--build-arg", value)]
        t.code(t.stave("build", "-t", "stave-test/proxy", *flags, folder), 0)
    t.equal(t.stave("run", "--rm", "stave-test/proxy", "cat", "/out").out, "one::none::foo", "the first build's output")


def test_graph_prints(t):
    result = t.stave("build", "--print=graph", t.context("FROM busybox\nRUN echo hi\n"))
    t.code(result, 0)
    if "echo hi" not in result.out:
        raise Problem(f"graph: {result.out!r}")


def test_same_input_same_digests(t):
    files = {"a/b": "1\n", "c": "2\n"}
    folder = t.context("FROM busybox\nCOPY . /d/\nRUN mkdir /e && echo x > /e/f && touch -d @0 /e/f /e\n", files)
    for path, _, names in os.walk(folder):
        for name in [*names, "."]:
            os.utime(os.path.join(path, name), (1, 1))
    layers = []
    for _ in range(2):
        t.code(t.stave("build", "--no-cache", "-t", "stave-test/same", folder), 0)
        layers.append(Image.from_store(t.stave, "stave-test/same").config["rootfs"]["diff_ids"])
    t.equal(layers[0][:2], layers[1][:2], "layers of COPY")


def test_failing_run_says_where(t):
    result = t.build("FROM busybox\n\nRUN echo before; echo oops >&2; exit 3\n", "stave-test/fail")
    t.fails(result, "Dockerfile", "exit", "3", "oops", "RUN echo before")
    t.whole()


def test_ctrl_c_stops_a_build(t):
    mark = f"stave-test-sleep-{os.getpid()}"
    folder = t.context(f"FROM busybox\nRUN : {mark}; sleep 97\n")
    before = open("/proc/mounts").read()
    child = subprocess.Popen([t.stave.binary, "--root", str(t.stave.root), "build", "--no-cache", str(folder)],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    end = time.monotonic() + 30
    while not running("97") and time.monotonic() < end and child.poll() is None:
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    out, _ = child.communicate(timeout=30)
    t.equal(child.returncode, 130, f"exit code ({out.decode(errors='replace').strip()[-200:]})")
    if running("97"):
        raise Problem("the step still runs")
    t.equal(open("/proc/mounts").read(), before, "mounts of the host")
    t.whole()


def running(argument):
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if open(f"/proc/{pid}/cmdline", "rb").read().split(b"\0")[:2] == [b"sleep", argument.encode()]:
                return True
        except OSError:
            pass
    return False


def test_kill_leaves_the_store_whole(t):
    folder = t.context("FROM busybox\nRUN dd if=/dev/zero of=/big bs=1M count=200 2>/dev/null\nRUN sleep 98\n")
    child = subprocess.Popen([t.stave.binary, "--root", str(t.stave.root), "build", "--no-cache", str(folder)],
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(1.2)
    child.kill()
    child.wait()
    t.whole()
    t.code(t.build("FROM busybox\nRUN echo after\n", "stave-test/after", name="after"), 0)


def test_parallel_builds_share_a_store(t):
    folders = [t.context(f"FROM busybox\nRUN echo {i % 2} > /x\n", name=f"c{i}") for i in range(4)]
    argv = [t.stave.binary, "--root", str(t.stave.root), "build", "-q", "-t"]
    children = [subprocess.Popen([*argv, f"stave-test/parallel{i}", str(f)], stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT) for i, f in enumerate(folders)]
    for index, child in enumerate(children):
        out, _ = child.communicate(timeout=120)
        t.equal(child.returncode, 0, f"build {index} ({out.decode(errors='replace')[-200:]})")
    t.whole()


def test_progress_forms(t):
    folder = t.context("FROM busybox\nRUN echo visible-$((1+1))\n")
    plain = t.code(t.stave("build", "--no-cache", "--progress=plain", folder), 0).text
    if "visible-2" not in plain:
        raise Problem(f"plain: {plain}")
    raw = t.code(t.stave("build", "--no-cache", "--progress=rawjson", folder), 0).err
    for line in raw.splitlines():
        json.loads(line)
    t.fails(t.stave("build", "--progress=loud", folder), "loud")


def test_import(t):
    (t.folder / "root").mkdir()
    (t.folder / "root" / "file").write_text("imported\n")
    harness.run(["tar", "-C", str(t.folder / "root"), "-czf", str(t.folder / "root.tgz"), "."])
    t.stave.ok("import", "-c", 'CMD ["/file"]', "-c", "ENV A=1", t.folder / "root.tgz", "stave-test/imported:1")
    image = Image.from_store(t.stave, "stave-test/imported:1")
    t.equal(image.content("file"), b"imported\n", "content")
    t.equal(image.config["config"]["Cmd"], ["/file"], "Cmd")


def test_prune_and_df(t):
    t.code(t.build("FROM busybox\nRUN echo 1 > /1\n", "stave-test/pruned"), 0)
    t.stave.ok("rmi", "stave-test/pruned")
    for part in ("TYPE", "Images", "Containers"):
        if part not in t.stave.ok("system", "df").out:
            raise Problem(f"system df lacks {part}")
    t.stave.ok("image", "prune", "-f")
    t.stave.ok("system", "prune", "-f")
    t.whole()
    t.stave.ok("run", "--rm", "busybox", "true")


def test_completion(t):
    for shell in ("bash", "zsh", "fish"):
        if "stave" not in t.code(t.stave("completion", shell), 0).out:
            raise Problem(f"completion {shell}: says nothing of stave")


def test_saved_image_is_accepted(t):
    t.code(t.build("FROM busybox\nRUN mkdir /d && echo 1 > /d/1 && ln -s 1 /d/2 && ln /d/1 /d/3 && rm /bin/awk\n"
                   "WORKDIR /d\nCMD [\"cat\", \"2\"]\n", "stave-test/accepted"), 0)
    archive = t.folder / "image.tar"
    t.stave.ok("save", "--format", "oci-archive", "-o", archive, "stave-test/accepted")
    peers.accept(archive, t.folder, Image.from_store(t.stave, "stave-test/accepted"), {"stdout": "1\n"})
