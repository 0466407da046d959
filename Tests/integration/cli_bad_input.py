"""Tests of what people get wrong: the message names what, where and why, and nothing is left behind."""

import os

from harness import Problem


def test_unknown_instruction(t):
    t.fails(t.build("FROM busybox\nRUNN echo hi\n", "stave-test/bad"), "Dockerfile", "2", "RUNN", "RUN")


def test_unknown_flag_of_instruction(t):
    t.fails(t.build("FROM busybox\nCOPY --chwon=1 a /\n", "stave-test/bad"), "chwon", "chown")


def test_not_supported_yet_names_the_line(t):
    for line, name in (("RUN --mount=type=cache,target=/c true", "mount"), ("COPY --link a /", "link"),
                       ("COPY --parents a /", "parents"), ("COPY --exclude=b a /", "exclude"),
                       ("ADD https://example.com/x /", "http")):
        result = t.fails(t.build(f"FROM busybox\n{line}\n", "stave-test/bad", {"a": "1"}), "not supported yet")
        if "2" not in result.text:
            raise Problem(f"{line}: no line number: {result.err}")


def test_missing_copy_source(t):
    result = t.build("FROM busybox\nCOPY reqirements.txt /\n", "stave-test/bad", {"requirements.txt": "x\n"})
    t.fails(result, "reqirements.txt", "requirements.txt", "context")


def test_ignored_copy_source(t):
    files = {"secret.txt": "x\n", ".dockerignore": "# comment\n\n*.log\nsecret*\n"}
    t.fails(t.build("FROM busybox\nCOPY secret.txt /\n", "stave-test/bad", files), "secret.txt", ".dockerignore", "4",
            "secret*")


def test_source_above_the_context(t):
    (t.folder / "outside").write_text("secret\n")
    for source in ("../outside", "/../outside", "sub/../../outside"):
        t.fails(t.build(f"FROM busybox\nCOPY {source} /\n", "stave-test/bad", {"a": "1"}))


def test_symlink_out_of_the_context(t):
    (t.folder / "outside").write_text("secret\n")
    folder = t.context("FROM busybox\nCOPY link /copied\n")
    os.symlink(t.folder / "outside", folder / "link")
    result = t.stave("build", "-t", "stave-test/bad", folder)
    if result.code == 0:
        t.equal("secret" in t.stave("run", "--rm", "stave-test/bad", "cat", "/copied").out, False, "leak")


def test_symlink_in_the_image(t):
    """A link inside the image leads to the image's own path, never to the host's."""
    (t.folder / "host").mkdir()
    dockerfile = f"FROM busybox\nRUN mkdir -p {t.folder}/host && ln -s {t.folder}/host /out\nCOPY a /out/\n"
    t.code(t.build(dockerfile, "stave-test/link", {"a": "1\n"}), 0)
    t.equal(os.listdir(t.folder / "host"), [], "files on the host")
    t.equal(t.stave("run", "--rm", "stave-test/link", "cat", f"{t.folder}/host/a").out, "1\n", "copied file")


def test_absent_context(t):
    t.fails(t.stave("build", t.folder / "absent"), "absent")


def test_context_is_a_file(t):
    (t.folder / "file").write_text("x")
    t.fails(t.stave("build", t.folder / "file"), "file")


def test_absent_dockerfile(t):
    t.fails(t.stave("build", t.context(None, {"Dockerfil": "FROM busybox\n"})), "Dockerfile")
    t.fails(t.stave("build", "-f", "Other", t.context("FROM busybox\n")), "Other")


def test_empty_dockerfile(t):
    t.fails(t.build("# nothing\n", "stave-test/bad"))


def test_absent_base_image(t):
    t.fails(t.build("FROM stave-test/no-such-base:9\n", "stave-test/bad"), "stave-test/no-such-base:9", "Dockerfile")
    t.fails(t.build("FROM busybos\n", "stave-test/bad"), "busybos")


def test_absent_stage(t):
    dockerfile = "FROM busybox AS builder\nRUN true\nFROM busybox\nCOPY --from=biulder /x /\n"
    t.fails(t.build(dockerfile, "stave-test/bad"), "biulder", "builder")
    t.fails(t.build("FROM busybox AS build\n", "stave-test/bad", flags=["--target", "biuld"]), "biuld", "build")


def test_bad_names(t):
    for name in ("UPPER/Case", "a b", "x:", "-x", "a//b", "a@sha256:12"):
        t.fails(t.stave("build", "-t", name, t.context("FROM busybox\n")))


def test_bad_numbers(t):
    for line in ("EXPOSE 99999", "EXPOSE http", "COPY --chmod=9999 a /", "HEALTHCHECK --interval=1x CMD true",
                 "STOPSIGNAL SIGNOPE", "USER", "WORKDIR", "ENV", "ENV a", "LABEL", "FROM", "CMD_X", "ONBUILD ONBUILD RUN x"):
        t.fails(t.build(f"FROM busybox\n{line}\n", "stave-test/bad", {"a": "1"}))


def test_unreadable_context(t):
    """As root everything is readable; a dangling entry and a socket still must not stop the build."""
    folder = t.context("FROM busybox\nCOPY . /d/\n", {"a": "1\n"})
    os.symlink("nowhere", folder / "dangling")
    os.mkfifo(folder / "fifo")
    result = t.stave("build", "-t", "stave-test/odd", folder, timeout=60)
    if result.crashed or result.code >= 128:
        raise Problem(f"died: exit {result.code}")


def test_unknown_user(t):
    t.fails(t.build("FROM busybox\nUSER nobodyknows\nRUN true\n", "stave-test/bad"), "nobodyknows")
    t.fails(t.build("FROM busybox\nCOPY --chown=nobodyknows a /\n", "stave-test/bad", {"a": "1"}), "nobodyknows")
    t.fails(t.stave("run", "--rm", "-u", "nobodyknows", "busybox", "true"), "nobodyknows")


def test_a_registry_that_is_not_there(t):
    """Port 9 of this machine: nobody listens."""
    t.fails(t.build("FROM 127.0.0.1:9/none\n", "stave-test/bad"), "127.0.0.1:9", "Dockerfile:1")
    t.fails(t.build("FROM busybox\nCOPY --from=127.0.0.1:9/none / /\n", "stave-test/bad"), "127.0.0.1:9", "Dockerfile:2")


def test_garbage_dockerfiles(t):
    """Bytes that are no Dockerfile: an error, never a death."""
    folder = t.context("")
    for data in (b"\x00\xff\xfe", b"FROM " + b"a" * 100000, b"FROM busybox\nRUN <<EOF\nnever ends", b"\xef\xbb\xbf",
                 b"FROM busybox\nENV a=\"unclosed\n", b"FROM busybox\nRUN \\\n", b"FROM ${x\n", b"FROM busybox\nCOPY\n",
                 b"# escape=x\nFROM busybox\n", b"FROM busybox\nCOPY [\"a\" /\n", b"(" * 5000):
        (folder / "Dockerfile").write_bytes(data)
        result = t.stave("build", folder, timeout=60)
        if result.crashed or result.code >= 128:
            raise Problem(f"{data[:30]!r}: died: exit {result.code}: {result.last_line()}")


def test_errors_go_to_stderr(t):
    result = t.build("FROM busybox\nNOPE\n", "stave-test/bad")
    t.equal(result.out, "", "stdout of a failing build")


def test_store_stays_whole(t):
    t.whole()
