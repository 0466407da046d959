#!/usr/bin/env python3
"""Fills the disk at many points: a clear error, a whole store, and work as before once there is room.

    faults_disk.py [--stave PATH] [--bases DIR] [--points N]

Needs root, mkfs.ext4 and the busybox base image. The store lies on a small ext4 image that is mounted in a mount
namespace of its own, so that nothing stays mounted whatever happens. A point leaves a number of free blocks, from none
to enough; then a command runs. Also: a read-only disk, and a store that may not be written.
"""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

import harness
from harness import Problem, Stave, Tally

SIZE = 96 << 20
DOCKERFILE = """FROM busybox
ARG A=0
RUN dd if=/dev/urandom of=/random bs=64k count=24 2>/dev/null && for i in 1 2 3 4 5 6 7 8; do echo $A > /f$i; done
COPY files /files
RUN echo $A > /last
CMD cat /last
"""


class Disk:
    """The small disk, its filling, and the store on it."""

    def __init__(self, binary, folder, bases):
        self.folder, self.bases = folder, bases
        image, self.place = folder / "disk", folder / "mnt"
        self.place.mkdir()
        with open(image, "wb") as file:
            file.truncate(SIZE)
        checked("mkfs.ext4", "-q", "-m", "0", "-N", "4096", "-O", "^has_journal", image)
        checked("mount", "-o", "loop", image, self.place)
        self.stave = Stave(binary, self.place / "store")
        self.context = folder / "context"
        (self.context / "files").mkdir(parents=True)
        (self.context / "Dockerfile").write_text(DOCKERFILE)
        for number in range(30):
            (self.context / "files" / str(number)).write_bytes(os.urandom(20000))
        self.filler, self.failures = self.place / "filler", 0

    def prepare(self):
        self.stave.load_bases(self.bases, ["busybox"])
        self.stave.ok("build", "-t", "kept", self.context)
        self.archive = self.folder / "archive.tar"
        self.stave.ok("save", "-o", self.archive, "kept")

    def free(self):
        space = os.statvfs(self.place)
        return space.f_bavail * space.f_frsize

    def fill(self, leave):
        """Takes all space but `leave` bytes."""
        take = self.free() - leave
        with open(self.filler, "wb") as file:
            # A file's own bookkeeping takes some too.
            for part in (1.0, 0.99, 0.9):
                try:
                    os.posix_fallocate(file.fileno(), 0, max(1, int(take * part)))
                    break
                except OSError:
                    continue
        while self.free() > leave + 4096:
            with open(self.filler, "ab") as file:
                try:
                    file.write(bytes(4096))
                    file.flush()
                    os.fsync(file.fileno())
                except OSError:
                    break

    def make_room(self):
        self.filler.unlink(missing_ok=True)

    def check(self, when):
        result = self.stave("system", "check")
        if result.code != 0 or "no problems found" not in result.out:
            raise Problem(f"system check {when}: exit {result.code}: {result.text.strip()[:400]}")


def checked(*argv):
    done = subprocess.run(list(map(str, argv)), capture_output=True, text=True)
    if done.returncode != 0:
        raise Problem(f"{argv[0]}: {done.stderr.strip()}")


def commands(disk, number):
    """The commands of a point, by turns."""
    build = ["build", "-t", "filled", "--build-arg", f"A={number}", disk.context]
    every = [build, ["load", "-i", disk.archive], build, ["run", "--rm", "kept", "sh", "-c",
             "dd if=/dev/zero of=/big bs=64k count=64"], build, ["tag", "kept", f"kept:{number}"]]
    return every[number % len(every)]


def point(disk, number, points, biggest):
    disk.stave("rmi", "-f", "filled")
    disk.stave.ok("builder", "prune", "-af")
    command = commands(disk, number)
    if command[0] == "load":
        disk.stave("rmi", "-f", "kept")
        disk.stave.ok("builder", "prune", "-af")
    leave = int(biggest * (number / points) ** 2)
    disk.fill(leave)
    result = disk.stave(*command)
    name = f"{command[0]} with {leave} bytes free"
    if result.crashed or result.code >= 128:
        raise Problem(f"{name}: died: {result.code}: {result.last_line()}")
    disk.failures += result.code != 0
    if result.code != 0 and command[0] != "run":
        if result.code != 1:
            raise Problem(f"{name}: exit {result.code}, want 1: {result.err.strip()[:300]}")
        if "no space left on device" not in result.text.lower():
            raise Problem(f"{name}: the message does not name the reason: {result.text.strip()[-300:]}")
        if "prune" not in result.text:
            raise Problem(f"{name}: the message does not say what to do: {result.text.strip()[-300:]}")
    # Whole while the disk is still full, and after room was made.
    disk.check(f"after {name}, still full")
    disk.stave.ok("builder", "prune", "-af")
    disk.make_room()
    disk.check(f"after {name}")
    if command[0] == "load" and result.code != 0:
        disk.stave.ok("load", "-i", disk.archive)
    disk.stave.ok("build", "-t", "filled", "--build-arg", f"A={number}", disk.context)
    said = disk.stave.ok("run", "--rm", "filled").out
    if said.strip() != str(number):
        raise Problem(f"after {name}: the image says {said!r}")
    left = list((disk.stave.root / "tmp").iterdir())
    if left:
        raise Problem(f"after {name}: temporary files left: {left}")


def read_only(disk):
    """Reading works on a read-only disk; what writes says why it can't."""
    checked("mount", "-o", "remount,ro", disk.place)
    try:
        for command in (["images"], ["image", "inspect", "kept"], ["history", "kept"], ["ps", "-a"], ["system", "df"]):
            disk.stave.ok(*command)
        for command in (["build", "-t", "x", "--no-cache", disk.context], ["tag", "kept", "x"], ["rmi", "kept"]):
            result = disk.stave(*command)
            if result.code != 1 or "read-only file system" not in result.text.lower():
                raise Problem(f"{command[0]} on a read-only disk: exit {result.code}: {result.text.strip()[-300:]}")
    finally:
        checked("mount", "-o", "remount,rw", disk.place)
    disk.check("after the read-only disk")


def unwritable(disk):
    """A store that is someone else's: the error names it and what to do. Root may write anywhere, so nobody asks."""
    store = disk.stave.root
    binary = disk.folder / "stave"
    shutil.copy(disk.stave.binary, binary)
    for path in (disk.folder, disk.place):
        os.chmod(path, 0o755)
    for command in (["images"], ["build", "-t", "x", str(disk.context)]):
        result = harness.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", binary, "--root", str(store),
                              *command], env={"HOME": "/nonexistent"})
        if result.code not in (1, 125) or "permission denied" not in result.text.lower() or "--root" not in result.text:
            raise Problem(f"{command[0]} in another user's store: exit {result.code}: {result.text.strip()[-300:]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stave")
    parser.add_argument("--bases")
    parser.add_argument("--points", type=int, default=8)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.inside:
        # The mounts of the test are gone with this namespace, and with them the loop device.
        os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", sys.executable, __file__, *sys.argv[1:],
                              "--inside"])
    bases, tally = harness.find_bases(options.bases), Tally()
    if bases is None:
        sys.exit("find base images: none; run scripts/base-images.py or set STAVE_BASE_IMAGES")
    folder = harness.scratch_dir("stave-disk-")
    try:
        disk = Disk(harness.find_stave(options.stave), folder, bases)
        disk.prepare()
        for number in range(options.points):
            try:
                point(disk, number, options.points, 10 << 20)
                tally.ok()
            except Problem as problem:
                tally.fail(f"point {number}", problem)
                disk.make_room()
                disk.stave("system", "check", "--repair")
                disk.stave("load", "-i", disk.archive)
        if disk.failures < options.points // 3:
            tally.fail("points", f"only {disk.failures} of {options.points} commands met a full disk")
        print(f"{disk.failures} of {options.points} commands met a full disk")
        for test in (read_only, unwritable):
            try:
                test(disk)
                tally.ok()
            except Problem as problem:
                tally.fail(test.__name__, problem)
    except Problem as problem:
        tally.fail("prepare", problem)
    finally:
        subprocess.run(["umount", str(folder / "mnt")], capture_output=True)
        harness.remove_tree(folder)
    return tally.close()


if __name__ == "__main__":
    sys.exit(main())
