"""Build contexts, the same ones on every machine."""

import random


def fill(folder, files):
    """Writes `(path, bytes)` below `folder`."""
    for path, data in files:
        path = folder / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def twelve_steps(scratch):
    steps = ("FROM stave-bench/base\nENV A=1\nWORKDIR /app\nCOPY package.json /app/\nRUN echo deps > deps\n"
             "COPY src /app/src\nRUN cat src/f1 > out1\nRUN echo two > out2\nENV PORT=8080\nLABEL name=bench\n"
             "EXPOSE 8080\nCMD [\"sh\"]\n").encode()
    dice = random.Random(1)
    return fill(scratch / "twelve", [("Dockerfile", steps), ("package.json", b"{}")] +
                [(f"src/f{i}", dice.randbytes(700)) for i in range(200)])


def runs(scratch, count):
    """A base and `count` RUN steps of `true`."""
    text = "FROM stave-bench/base\n" + "".join(f"RUN true {i}\n" for i in range(count))
    return fill(scratch / f"runs-{count}", [("Dockerfile", text.encode())])


def many_files(scratch, count, size=None, name="many"):
    """`count` files in directories of twenty; of `size` bytes, or as large as those of a node_modules."""
    dice = random.Random(2)
    folder = scratch / name
    folder.mkdir()
    (folder / "Dockerfile").write_bytes(b"FROM stave-bench/base\nCOPY tree /tree\n")
    for i in range(count):
        if i % 20 == 0:
            (folder / f"tree/d{i // 20000}/p{i // 20}").mkdir(parents=True)
        length = size or int(dice.lognormvariate(7.4, 1.2)) % 60000 + 50
        with open(folder / f"tree/d{i // 20000}/p{i // 20}/f{i % 20}.js", "wb", buffering=0) as file:
            file.write(dice.randbytes(length))
    return folder


def one_large(scratch, size):
    """A context with one file of `size` bytes."""
    dice = random.Random(3)
    folder = fill(scratch / "big", [("Dockerfile", b"FROM stave-bench/base\nCOPY big /big\n")])
    with open(folder / "big", "wb") as out:
        for _ in range(size >> 20):
            out.write(dice.randbytes(1 << 20))
    return folder


def layers(scratch, count, seed=0, name="layers"):
    """A Dockerfile whose image has `count` layers above the base, each with one file, all told apart by `seed`."""
    text = "FROM stave-bench/base\n" + "".join(
        f"COPY <<EOF /file-{i}\n{seed} {i}\nEOF\n" for i in range(count))
    return fill(scratch / f"{name}-{count}-{seed}", [("Dockerfile", text.encode())])
