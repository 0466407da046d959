"""Tests of `run`, `ps`, `rm`: exit codes, signals, terminals, volumes, users."""

import os
import pty
import select
import signal
import subprocess
import time

from harness import Problem


def start(t, *args, **more):
    argv = [t.stave.binary, "--root", str(t.stave.root), *map(str, args)]
    return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more)


def wait_for(path, what, seconds=20):
    end = time.monotonic() + seconds
    while not os.path.exists(path):
        if time.monotonic() > end:
            raise Problem(f"{what}: nothing happened in {seconds} s")
        time.sleep(0.02)


def test_output_and_exit_code(t):
    result = t.stave("run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2; exit 7")
    t.code(result, 7)
    t.equal(result.out, "out\n", "stdout")
    if "err" not in result.err:
        raise Problem(f"stderr: {result.err!r}")


def test_exit_127_command_not_found(t):
    t.code(t.stave("run", "--rm", "busybox", "no-such-command"), 127)


def test_exit_126_not_executable(t):
    t.code(t.stave("run", "--rm", "busybox", "/etc/passwd"), 126)


def test_exit_125_unknown_flag(t):
    result = t.code(t.stave("run", "--no-such-flag", "busybox", "true"), 125)
    if "no-such-flag" not in result.err:
        raise Problem(f"the message does not name the flag: {result.err!r}")


def test_exit_125_image_absent(t):
    t.code(t.stave("run", "--rm", "stave-test/no-such-image", "true"), 125)


def test_exit_128_and_signal(t):
    t.code(t.stave("run", "--rm", "busybox", "sh", "-c", "sh -c 'kill -9 $$'; exit $?"), 137)


def test_signal_is_forwarded(t):
    mark = t.folder / "mark"
    mark.mkdir()
    child = start(t, "run", "--rm", "-v", f"{mark}:/mark", "busybox", "sh", "-c",
                  "trap 'exit 42' TERM; touch /mark/ready; while :; do sleep 0.1; done")
    wait_for(mark / "ready", "container start")
    child.send_signal(signal.SIGTERM)
    out, _ = child.communicate(timeout=30)
    t.equal(child.returncode, 42, f"exit code after SIGTERM ({out.decode(errors='replace').strip()[-200:]})")


def test_stdin(t):
    t.equal(t.stave("run", "--rm", "-i", "busybox", "cat", stdin=b"through\n").out, "through\n", "stdout")
    t.equal(t.stave("run", "--rm", "busybox", "cat", stdin=b"not through\n").out, "", "stdout without -i")


def test_flags_docker_accepts(t):
    user = "0:0" if t.rootless == "single" else "1:2"
    result = t.stave("run", "--rm=true", "-eA=1", "-e", "B=2", "--env=C=3", "-w/tmp", "-u", user, "busybox", "sh", "-c",
                     'echo "$A$B$C $(pwd) $(id -u):$(id -g)"')
    t.equal(result.out, f"123 /tmp {user}\n", "stdout")


def test_options_end_at_image(t):
    t.equal(t.stave("run", "--rm", "busybox", "echo", "--rm", "-e", "x").out, "--rm -e x\n", "stdout")


def test_environment(t):
    out = t.stave("run", "--rm", "-e", "STAVE_TEST_VALUE", "busybox", "env", env={"STAVE_TEST_VALUE": "mine"}).out
    lines = dict(line.split("=", 1) for line in out.splitlines())
    t.equal(lines.get("STAVE_TEST_VALUE"), "mine", "-e NAME")
    t.equal(lines.get("HOME"), "/root", "HOME")
    if "PATH" not in lines or "HOSTNAME" not in lines:
        raise Problem(f"environment: {out}")


def test_entrypoint(t):
    t.equal(t.stave("run", "--rm", "--entrypoint", "/bin/echo", "busybox", "a", "b").out, "a b\n", "stdout")


def test_bind_mount(t):
    (t.folder / "d").mkdir()
    (t.folder / "d" / "in").write_text("from outside\n")
    t.equal(t.stave("run", "--rm", "-v", f"{t.folder}/d:/d", "busybox", "sh", "-c", "cat /d/in; echo x > /d/out").out,
            "from outside\n", "stdout")
    t.equal((t.folder / "d" / "out").read_text(), "x\n", "written file")
    result = t.stave("run", "--rm", "-v", f"{t.folder}/d:/d:ro", "busybox", "touch", "/d/no")
    if result.code == 0 or (t.folder / "d" / "no").exists():
        raise Problem("a read-only bind mount was written")


def test_not_supported_yet(t):
    for flags in (["-v", "named-volume:/d"], ["-p", "8080:80"], ["--network", "bridge"]):
        t.fails(t.stave("run", "--rm", *flags, "busybox", "true"), "not supported yet")


def test_network_none(t):
    out = t.stave("run", "--rm", "--network", "none", "busybox", "cat", "/proc/net/dev").out
    names = [line.split(":")[0].strip() for line in out.splitlines()[2:]]
    if "lo" not in names or "eth0" in names:
        raise Problem(f"interfaces: {names}")


def test_sandbox_defaults(t):
    script = ("mount -t tmpfs x /mnt 2>/dev/null && echo mounted; echo 1 2>/dev/null > /proc/sys/kernel/hostname "
              "&& echo wrote; cat /proc/kcore 2>/dev/null | head -c 1 | wc -c; grep CapEff /proc/self/status; echo $$")
    lines = t.stave("run", "--rm", "busybox", "sh", "-c", script).out.split("\n")
    t.equal(lines[0], "0", "size of /proc/kcore")
    t.equal(lines[1].split()[-1], "00000000a80425fb", "effective capabilities")
    t.equal(lines[2], "1", "pid of the command")


def test_terminal(t):
    pid, fd = pty.fork()
    if pid == 0:
        os.execv(t.stave.binary, [t.stave.binary, "--root", str(t.stave.root), "run", "--rm", "-it", "busybox",
                                  "sh", "-c", "tty; read x; echo got:$x; exit 5"])
    seen, end, sent = b"", time.monotonic() + 30, False
    while time.monotonic() < end:
        ready, _, _ = select.select([fd], [], [], 0.5)
        if ready:
            try:
                chunk = os.read(fd, 4096)
            except OSError:
                break
            if not chunk:
                break
            seen += chunk
        if b"/dev/" in seen and not sent:
            os.write(fd, b"typed\r")
            sent = True
    else:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    os.close(fd)
    text = seen.decode(errors="replace")
    if "/dev/pts/" not in text and "/dev/console" not in text:
        raise Problem(f"tty: {text!r}")
    if "got:typed" not in text:
        raise Problem(f"typed line: {text!r}")
    t.equal(os.waitstatus_to_exitcode(status), 5, "exit code")


def test_terminal_without_one(t):
    t.fails(t.stave("run", "--rm", "-it", "busybox", "true", stdin=b""), "tty")


def test_kept_container(t):
    t.code(t.stave("run", "--name", "kept", "busybox", "sh", "-c", "exit 3"), 3)
    listing = t.stave.ok("ps", "-a").out
    if "kept" not in listing or "Exited (3)" not in listing:
        raise Problem(f"ps -a: {listing}")
    if "kept" in t.stave.ok("ps").out:
        raise Problem("ps lists an exited container")
    t.equal(t.stave.ok("ps", "-a", "--format", "{{.Names}} {{.Image}}").out, "kept busybox\n", "ps --format")
    t.fails(t.stave("run", "--name", "kept", "busybox", "true"), "kept")
    t.equal(t.stave.ok("rm", "kept").out, "kept\n", "rm")
    t.equal(t.stave.ok("ps", "-aq").out, "", "ps -aq")


def test_rm_force_of_running(t):
    user = "0" if t.rootless == "single" else "33"
    child = start(t, "run", "--name", "busy", "-u", user, "busybox", "sleep", "100")
    end = time.monotonic() + 20
    while "busy" not in t.stave.ok("ps", "--format", "{{.Names}}").out:
        if time.monotonic() > end:
            raise Problem("the container does not run")
        time.sleep(0.05)
    t.fails(t.stave("rm", "busy"), "running")
    t.equal(t.stave.ok("rm", "-f", "busy").out, "busy\n", "rm -f")
    child.communicate(timeout=20)
    t.equal(t.stave.ok("ps", "-aq").out, "", "ps -aq")


def test_container_prune(t):
    t.stave("run", "busybox", "true")
    t.stave("run", "busybox", "true")
    t.equal(len(t.stave.ok("ps", "-aq").out.split()), 2, "containers")
    t.stave.ok("container", "prune", "-f")
    t.equal(t.stave.ok("ps", "-aq").out, "", "ps -aq")


def test_rm_of_nothing(t):
    t.fails(t.stave("rm", "no-such-container"), "no-such-container")


def test_nothing_left_behind(t):
    before = open("/proc/mounts").read()
    t.stave("run", "--rm", "busybox", "true")
    child = start(t, "run", "--rm", "busybox", "sleep", "60")
    time.sleep(1)
    child.kill()
    child.communicate()
    t.equal(open("/proc/mounts").read(), before, "mounts of the host")
    end = time.monotonic() + 10
    while time.monotonic() < end and sleeping("60"):
        time.sleep(0.1)
    if sleeping("60"):
        raise Problem("the container outlived a killed foreground run")
    t.whole()


def sleeping(argument):
    """Whether a `sleep argument` runs in a pid namespace that is not this one."""
    mine = os.readlink("/proc/self/ns/pid")
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            argv = open(f"/proc/{pid}/cmdline", "rb").read().split(b"\0")
            if argv[:2] == [b"sleep", argument.encode()] and os.readlink(f"/proc/{pid}/ns/pid") != mine:
                return True
        except OSError:
            pass
    return False


def test_many_at_once(t):
    children = [start(t, "run", "--rm", "busybox", "echo", str(i)) for i in range(8)]
    for index, child in enumerate(children):
        out, _ = child.communicate(timeout=60)
        t.equal((child.returncode, out), (0, f"{index}\n".encode()), f"run {index}")
