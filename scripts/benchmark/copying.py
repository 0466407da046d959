"""COPY: many small files, one large one; time and memory."""

from benchmark import clock, fixtures


def rows(bench, table):
    count = bench.count(30_000)
    many = fixtures.many_files(bench.scratch, count)
    tree = many / "tree"
    hashed = clock.shell(f"tar -C {tree} -cf - . | openssl dgst -sha256", 3)
    looked = clock.shell(f"find {tree} -printf '%s%t'", 5)
    own = bench.own()
    table.row(f"COPY of {count:,} files, cold", bench.cold(many), hashed, bench.ask(
        lambda peer: bench.cold_peer(peer, many, 2)), budget=(1.5,))
    table.row("the same, unchanged", bench.warm(own, many, 5), looked, bench.ask(
        lambda peer: bench.warm(peer, many, 2, cap=bench.cap)), budget=(1.5,))
    changed = tree / "d0" / "p0" / "f0.js"

    def change():
        with open(changed, "ab") as file:
            file.write(b"x")

    table.row("the same, one file changed", bench.warm(own, many, 3, before=change), hashed, bench.ask(
        lambda peer: bench.warm(peer, many, 2, before=change, cap=bench.cap)), budget=(1.5,))
    size = bench.count(1 << 30) >> 20 << 20
    big = fixtures.one_large(bench.scratch, size)
    packed = bench.scratch / "packed"
    hashed = clock.shell(f"tar -C {big} -cf - . | tee {packed} | openssl dgst -sha256", 3)
    packed.unlink()
    table.row(f"COPY of {size >> 20} MiB", bench.cold(big), hashed, bench.ask(
        lambda peer: bench.cold_peer(peer, big, 1)), budget=(1.2,))


def memory_rows(bench, table):
    """Peak resident memory: of docker it would be the client's alone, so it is not asked."""
    def peak(cost):
        return cost and cost.peak

    size = bench.count(1 << 30) >> 20 << 20
    big = bench.scratch / "big"
    if not big.exists():
        fixtures.one_large(bench.scratch, size)
    many = bench.scratch / "many"
    if not many.exists():
        fixtures.many_files(bench.scratch, bench.count(30_000))
    for name, context in ((f"peak memory, COPY of {size >> 20} MiB", big), ("peak memory, COPY of many files", many)):
        table.row(name, peak(bench.cold(context, 1)), None, bench.ask(
            lambda peer: None if peer.name == "docker" else peak(bench.cold_peer(peer, context, 1))), "MiB", 128)
