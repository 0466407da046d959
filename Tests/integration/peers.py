"""Other tools that must accept what Stave saves: skopeo, umoci, podman. One that is not installed is not asked."""

import json
import os
import resource
import shutil

import harness
from harness import Problem

# Without CAP_SYS_RESOURCE the tools' own default limits can't be set.
PODMAN = ["--cgroup-manager=cgroupfs", "--events-backend=file"] + (
    ["--runtime=runc"] if shutil.which("runc") else [])


def installed(tool):
    return shutil.which(tool) is not None and tool not in os.environ.get("STAVE_TEST_WITHOUT", "").split(",")


def must(argv, **more):
    result = harness.run(argv, timeout=300, **more)
    if result.code != 0:
        raise Problem(f"{' '.join(map(str, argv[:3]))}: exit {result.code}: {result.last_line()}")
    return result


def accept(archive, scratch, image, expect=None, run=True):
    """Has every installed tool read the OCI archive; raises Problem when one does not, or reads something else."""
    if installed("skopeo"):
        seen = json.loads(must(["skopeo", "inspect", "--config", f"oci-archive:{archive}"]).out)
        if seen["rootfs"] != image.config["rootfs"]:
            raise Problem("skopeo inspect: other layers than the image's")
        layout = scratch / "skopeo-layout"
        harness.remove_tree(layout)
        must(["skopeo", "copy", "-q", f"oci-archive:{archive}", f"oci:{layout}:copied"])
        # Unpacking with the owners that the layers give needs root.
        if installed("umoci") and os.geteuid() == 0:
            unpacked = scratch / "umoci-bundle"
            harness.remove_tree(unpacked)
            must(["umoci", "unpack", "--image", f"{layout}:copied", unpacked])
            harness.remove_tree(unpacked)
        harness.remove_tree(layout)
    if installed("podman") and run and os.geteuid() == 0 and os.environ.get("STAVE_TEST_PODMAN", "1") != "0":
        podman_runs(archive, scratch, expect or {})


def podman_runs(archive, scratch, expect):
    store = ["podman", "--root", str(scratch / "podman"), "--runroot", str(scratch / "podman-run"), *PODMAN]
    env = {"PODMAN_IGNORE_CGROUPSV1_WARNING": "1"}
    loaded = harness.run([*store, "load", "-q", "-i", str(archive)], env=env, timeout=300)
    if loaded.code != 0:
        raise Problem(f"podman load: exit {loaded.code}: {loaded.last_line()}")
    name = loaded.out.strip().splitlines()[-1].split(": ", 1)[-1].strip()
    try:
        if not podman_works(store, env, scratch):
            return
        ran = harness.run([*store, "run", "--rm", "--network=host", *limits(), name, *expect.get("run", [])],
                          env=env, timeout=120)
        if ran.code != expect.get("exit", 0) or ("stdout" in expect and ran.out != expect["stdout"]):
            raise Problem(f"podman run: exit {ran.code}: {ran.last_line()}, want {expect.get('stdout')!r}")
    finally:
        harness.run([*store, "rmi", "-f", name], env=env)


_podman = {}


def podman_works(store, env, scratch):
    """Whether this machine's podman can run anything at all: tried once, with an image that is not Stave's."""
    if "works" not in _podman:
        folder = scratch / "podman-probe"
        folder.mkdir()
        program = next((p for p in ("/bin/busybox", "/usr/bin/busybox") if os.path.exists(p)), None)
        works = False
        if program:
            shutil.copy(program, folder / "true")
            must(["tar", "-C", str(folder), "-cf", str(scratch / "probe.tar"), "true"])
            harness.run([*store, "import", str(scratch / "probe.tar"), "localhost/probe"], env=env)
            works = harness.run([*store, "run", "--rm", "--network=host", *limits(), "localhost/probe", "/true"],
                                env=env, timeout=60).code == 0
        _podman["works"] = works
        if not works:
            print("note: podman can't run containers on this machine; only its load is checked")
    return _podman["works"]


def limits():
    """The hard limits this process has, as podman's flags."""
    out = []
    for name, which in (("nofile", resource.RLIMIT_NOFILE), ("nproc", resource.RLIMIT_NPROC)):
        hard = resource.getrlimit(which)[1]
        if name == "nproc":
            highest = int(open("/proc/sys/kernel/pid_max").read())
            hard = highest if hard == resource.RLIM_INFINITY else min(hard, highest)
        if hard != resource.RLIM_INFINITY:
            out.append(f"--ulimit={name}={hard}:{hard}")
    return out
