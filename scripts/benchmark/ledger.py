"""The start-up ledger: what a command pays before it does anything, and for each thing that it opens."""

import json
import os
import re
import shutil
import statistics
import subprocess
import time

from benchmark import clock
from benchmark.table import number

EMPTY = "int main(void) { return 0; }\n"


def rows(bench, table):
    floor(bench)
    binary(bench)
    phases(bench)


def line(name, text):
    print(f"{name:<64}{text:>12}", flush=True)


def floor(bench):
    """What the kernel and the C library take of any program."""
    compiler = shutil.which("cc") or shutil.which("clang") or shutil.which("gcc")
    source = bench.scratch / "empty.c"
    source.write_text(EMPTY)
    kinds = {"an empty program, static": ["-static"], "an empty program, with the C library": ["-no-pie"],
             "an empty program, with libm and libstdc++": ["-no-pie", "-Wl,--no-as-needed", "-lm", "-lstdc++"]}
    for name, flags in kinds.items() if compiler else ():
        out = bench.scratch / "empty"
        if clock.once([compiler, "-O2", "-o", str(out), str(source), *flags]) is None:
            continue
        both(name, clock.cost([str(out)], 100))
    both("stave version", clock.cost(bench.own().version, 100))
    both("stave --help: the tables of all commands", clock.cost([bench.binary, "--help"], 50))


def both(name, cost):
    line(name, f"{cost.wall:.2f} ms" if cost else "-")
    line("    of it user and system", f"{cost.cpu:.2f} ms" if cost else "-")


def binary(bench):
    """How the program is linked, and what the dynamic linker has to do at each start."""
    with open(bench.binary, "rb") as file:
        head = file.read(18)
    line("kind", "fixed" if head[16] == 2 else "movable")
    line("size", f"{os.path.getsize(bench.binary) / 1e6:.1f} MB")
    libraries = subprocess.run(["ldd", bench.binary], capture_output=True, text=True).stdout
    line("shared libraries", str(libraries.count("=>")))
    said = subprocess.run([bench.binary, "version"], capture_output=True, text=True,
                          env={**os.environ, "LD_DEBUG": "statistics"}).stderr
    for name, key in (("relocations", "final number of relocations:"),
                      ("relocations of a movable program", "number of relative relocations:")):
        found = re.search(re.escape(key) + r"\s*(\d+)", said)
        line(name, found.group(1) if found else "-")
    share = re.search(r"total startup time in dynamic loader: (\d+) cycles", said)
    line("cycles of the dynamic linker", share.group(1) if share else "-")


def phases(bench):
    """What `stave debug ledger` says of itself: medians of many processes."""
    seen = {}
    for _ in range(10 if bench.quick else 40):
        begin = time.monotonic_ns()
        said = subprocess.run([*bench.own().prefix, "debug", "ledger"], capture_output=True, text=True,
                              env={**os.environ, "STAVE_LEDGER_BEGIN": str(begin)}).stdout
        for entry in json.loads(said):
            seen.setdefault(entry["phase"], []).append(entry["nanoseconds"] / 1e6)
    for name, values in seen.items():
        line(name, number(statistics.median(values)) + " ms")
