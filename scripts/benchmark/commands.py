"""What is paid for every command: version, a cached rebuild, a RUN step, a container."""

import json
import shutil

from benchmark import clock, fixtures

NAMESPACES = ["unshare", "-mpiuC", "--fork", "true"]


def rows(bench, table):
    own, runs = bench.own(), bench.runs
    spawn = clock.cost(["/bin/true"], 20)
    spaces = clock.cost(NAMESPACES, 20)
    table.row("version", clock.cost(own.version, 2 * runs), spawn, bench.ask(
        lambda peer: clock.cost(peer.version, runs, cap=bench.cap)), budget=5)

    twelve = fixtures.twelve_steps(bench.scratch)
    table.row("cached rebuild, 12 steps", bench.warm(own, twelve, 2 * runs), spawn, bench.ask(
        lambda peer: bench.warm(peer, twelve, runs, cap=bench.cap)), budget=15)

    one, eleven = fixtures.runs(bench.scratch, 1), fixtures.runs(bench.scratch, 11)
    command = clock.cost(["/bin/sh", "-c", "true"], 20)
    table.row("build of one RUN", clock.cost(own.build(one, "--no-cache"), runs), spaces, bench.ask(
        lambda peer: bench.cold_peer(peer, one, 5)))

    def step(short, long):
        """One step's share of ten more, less what its own command takes."""
        if not short or not long:
            return None
        return clock.Cost((long.wall - short.wall) / 10 - command.wall, (long.cpu - short.cpu) / 10 - command.cpu, 0)

    table.row("RUN step above its command", step(
        clock.cost(own.build(one, "--no-cache"), runs), clock.cost(own.build(eleven, "--no-cache"), runs)), spaces,
        bench.ask(lambda peer: step(bench.cold_peer(peer, one), bench.cold_peer(peer, eleven))), budget=5)

    image = "stave-bench/base"
    table.row("run --rm true", clock.cost(own.run(image, "true"), 2 * runs), spaces, bench.ask(
        lambda peer: None if peer.name == "buildah" else clock.cost(peer.run(image, "true"), runs, cap=bench.cap)),
        budget=12)
    for tool in ("crun", "runc"):
        if shutil.which(tool):
            alone = runtime(bench, tool)
            table.row(f"for comparison: {tool} run, bundle ready", alone)
            if alone:
                break


def runtime(bench, tool):
    """What an OCI runtime alone takes with a bundle that is ready; None where it can't work here."""
    busybox = shutil.which("busybox")
    folder = bench.scratch / f"bundle-{tool}"
    if not busybox:
        return None
    (folder / "rootfs/bin").mkdir(parents=True)
    shutil.copy(busybox, folder / "rootfs/bin/sh")
    if clock.once([tool, "spec", "-b", str(folder)]) is None:
        return None
    config = json.loads((folder / "config.json").read_text())
    config["process"].update(terminal=False, args=["sh", "-c", "true"])
    (folder / "config.json").write_text(json.dumps(config))
    state = bench.scratch / f"state-{tool}"
    return clock.cost([tool, "--root", str(state), "run", "-b", str(folder), "stave-bench"], bench.runs)
