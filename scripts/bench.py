#!/usr/bin/env python3
"""Measures Stave against the machine's limits and against the tools that are installed: docker, buildah, podman.

    bench.py [--stave PATH] [--only GROUP[,GROUP]] [--runs N] [--quick] [--without-peers] [--peer-cap SECONDS]

Groups: ledger, commands, copy, memory, growth, registry. Each figure is the median of some runs; `cpu` is user and system time
of the command and its children, which other work on the machine disturbs less. The limit is what the same work costs
without an image builder. A peer is asked only where it is installed, and no longer than its cap a row. Needs root.
"""

import argparse
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "Tests" / "integration")]
import harness
from benchmark import commands, copying, growth, ledger, registry, tools
from benchmark.table import Table

GROUPS = {"ledger": ledger.rows, "commands": commands.rows, "copy": copying.rows, "memory": copying.memory_rows,
          "growth": growth.rows, "registry": registry.rows}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stave")
    parser.add_argument("--bases")
    parser.add_argument("--only", default=",".join(GROUPS))
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--quick", action="store_true", help="a tenth of the files, layers and bytes; no peers")
    parser.add_argument("--without-peers", action="store_true")
    parser.add_argument("--peer-cap", type=float, default=45, metavar="SECONDS", help="a peer's time for a row")
    options = parser.parse_args()
    wanted = options.only.split(",")
    for name in wanted:
        if name not in GROUPS:
            parser.error(f"no group {name}: there are {', '.join(GROUPS)}")
    bases = harness.find_bases(options.bases)
    if bases is None:
        sys.exit("find base images: none; run scripts/base-images.py or set STAVE_BASE_IMAGES")
    scratch = harness.scratch_dir("stave-bench-")
    try:
        bench = tools.Bench(options, scratch, harness.find_stave(options.stave), bases)
        for name in wanted:
            print(f"\n## {name}\n", flush=True)
            GROUPS[name](bench, Table(bench))
    finally:
        harness.remove_tree(scratch)


if __name__ == "__main__":
    main()
