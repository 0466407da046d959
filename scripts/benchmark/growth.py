"""How the figures grow: with the context's files, the image's layers, the store's layers."""

import shutil

from benchmark import clock, fixtures
from harness import remove_tree


def rows(bench, table):
    contexts(bench, table)
    images(bench, table)
    store(bench, table)


def contexts(bench, table):
    for number in (10_000, 100_000, 1_000_000):
        count = bench.count(number)
        folder = fixtures.many_files(bench.scratch, count, size=100, name=f"files-{count}")
        hashed = clock.shell(f"tar -C {folder}/tree -cf - . | openssl dgst -sha256", 1)
        looked = clock.shell(f"find {folder}/tree -printf '%s%t'", 1)
        cold = bench.cold(folder, 1)
        table.row(f"context of {count:,} files, cold", cold, hashed)
        table.row("  peak memory", cold and cold.peak, None, unit="MiB", budget=128)
        table.row("  unchanged", bench.warm(bench.own(), folder, 2), looked)
        bench.stave.ok("rmi", "-f", "stave-bench")
        bench.stave.ok("system", "prune", "-a", "-f")
        reload(bench)
        remove_tree(folder)


def reload(bench):
    """The base image again, after a prune of everything."""
    shutil.rmtree(bench.stave.root)
    bench.store("store")


def images(bench, table):
    own = bench.own()
    for number in (10, 100, 400):
        count = bench.count(number)
        folder = fixtures.layers(bench.scratch, count)
        table.row(f"image of {count} layers, built", clock.cost(own.build(folder), 1))
        table.row("  cached rebuild", clock.cost(own.build(folder), 5))
        first = clock.cost(own.run("stave-bench", "true"), 1)
        table.row("  run --rm true, first", first)
        table.row("  run --rm true", clock.cost(own.run("stave-bench", "true"), 5))


def store(bench, table):
    """A store of 10,000 layers: whatever looks at one image must not pay for the others."""
    images, each = bench.count(100), 100
    stave = bench.store("full")
    own = bench.own(stave)
    for seed in range(images):
        folder = fixtures.layers(bench.scratch, each, seed=seed, name="full")
        stave.ok("build", "-q", "--network=host", "-t", f"full-{seed}", folder, timeout=600)
        remove_tree(folder)
    twelve = bench.scratch / "twelve"
    if not twelve.exists():
        fixtures.twelve_steps(bench.scratch)
    name = f"store of {images * each:,} layers"
    table.row(f"{name}: cached rebuild, 12 steps", bench.warm(own, twelve, 10), budget=15)
    table.row("  run --rm true", clock.cost(own.run("stave-bench/base", "true"), 10), budget=12)
    for words in (["images"], ["system", "df"], ["builder", "prune", "-f"], ["system", "check"]):
        table.row("  " + " ".join(words), clock.cost([*own.prefix, *words], 2 if words[0] != "builder" else 1))
    remove_tree(stave.root)
