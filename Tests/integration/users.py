"""Ordinary users for the tests: made for one run, with or without ranges of subordinate ids, and removed.

    --user mapped    a new user with 65,536 subordinate ids
    --user single    a new user with none
    --user NAME      one that is there
"""

# Loaded while it can be: an interpreter in root's own home can't be read later.
import concurrent.futures.thread  # noqa: F401
import os
import pwd
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import harness


class TestUser:
    """An account and a folder of its own on a disk that can hold a store."""

    __test__ = False

    def __init__(self, kind):
        self.made = kind in ("mapped", "single")
        self.name = f"stave-{kind[:1]}{os.getpid()}" if self.made else kind
        self.folder = harness.scratch_dir("stave-user-")
        self.folder.chmod(0o755)
        if self.made:
            self.make(kind)
        account = pwd.getpwnam(self.name)
        self.uid, self.gid = account.pw_uid, account.pw_gid
        for name in ("home", "tmp"):
            (self.folder / name).mkdir(mode=0o700)
            os.chown(self.folder / name, self.uid, self.gid)

    def make(self, kind):
        subprocess.run(["useradd", "-M", "-d", self.folder / "home", "-s", "/bin/sh", self.name], check=True,
                       capture_output=True)
        for table in ("/etc/subuid", "/etc/subgid"):
            lines = Path(table).read_text().splitlines() if Path(table).exists() else []
            has = any(line.startswith(self.name + ":") for line in lines)
            if kind == "single":
                lines = [line for line in lines if not line.startswith(self.name + ":")]
            elif not has:
                taken = [int(f[1]) + int(f[2]) for f in (line.split(":") for line in lines) if len(f) == 3]
                lines.append(f"{self.name}:{max(taken + [100000])}:65536")
            Path(table).write_text("".join(line + "\n" for line in lines))

    def environment(self):
        """What the user's processes see beside what they inherit."""
        return {"HOME": str(self.folder / "home"), "USER": self.name, "LOGNAME": self.name,
                "TMPDIR": str(self.folder / "tmp"), "STAVE_TEST_TMP": str(self.folder / "tmp"),
                "XDG_DATA_HOME": str(self.folder / "home" / "data")}

    def remove(self):
        """Removes the account, if it was made, and all its files, which are of many owners."""
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.made:
            subprocess.run(["userdel", "-f", self.name], capture_output=True)


class As:
    """Stave as an ordinary user, in a store of the user's own at the default place."""

    def __init__(self, user, binary):
        self.user, self.binary = user, binary
        self.root = user.folder / "home" / "data" / "stave"

    def __call__(self, *args, cwd=None, env=None, timeout=300):
        full = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "NO_COLOR": "1", **self.user.environment(), **(env or {})}
        argv = [self.binary, *map(str, args)]
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, env=full, timeout=timeout,
                              cwd=cwd or "/", user=self.user.uid, group=self.user.gid, extra_groups=[])
        return harness.Result(argv, done.returncode, done.stdout, done.stderr)

    ok = harness.Stave.ok
    load_bases = harness.Stave.load_bases


def readable_copy(binary, user):
    """The binary at a place that every user can reach."""
    copy = user.folder / "stave"
    shutil.copy(binary, copy)
    copy.chmod(0o755)
    return str(copy)


def add_argument(parser):
    parser.add_argument("--user", default=os.environ.get("STAVE_TEST_USER"),
                        help="run as an ordinary user: mapped, single, or the name of one")


def become(options):
    """Goes on as the user of `--user` in a child; this process waits, cleans up and ends with its code. Nothing
    without `--user`."""
    options.rootless = None
    if not options.user:
        return
    if os.geteuid() != 0:
        sys.exit(f"become {options.user}: only root can")
    user = TestUser(options.user)
    binary = readable_copy(harness.find_stave(getattr(options, "stave", None)), user)
    child = os.fork()
    if child:
        # A runner that is told to stop stops the tests, and cleans up after them.
        signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGTERM))
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        user.remove()
        sys.stdout.flush()
        os._exit(code if code >= 0 else 1)
    os.environ.update(user.environment())
    os.initgroups(user.name, user.gid)
    os.setgid(user.gid)
    os.setuid(user.uid)
    os.chdir("/")
    options.stave, options.rootless = binary, options.user
    for path in (harness.PROJECT, harness.find_bases(getattr(options, "bases", None))):
        if path and not os.access(Path(path) / ".", os.R_OK | os.X_OK):
            sys.exit(f"become {user.name}: {path} is not readable for other users than root")
