"""Running a command and saying what it cost."""

import os
import signal
import statistics
import subprocess
import threading
import time


class Cost:
    """What a command cost: `wall` and `cpu` (user and system) in milliseconds, `peak` memory in MiB."""

    def __init__(self, wall, cpu, peak):
        self.wall, self.cpu, self.peak = wall, cpu, peak

    @staticmethod
    def median(costs):
        if not costs:
            return None
        return Cost(*(statistics.median(getattr(c, key) for c in costs) for key in ("wall", "cpu", "peak")))


def once(argv, cap=None, env=None):
    """The cost of one run; None when it fails or takes more than `cap` seconds."""
    start = time.perf_counter()
    child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                             env=env, start_new_session=True)
    timer = threading.Timer(cap, lambda: os.killpg(child.pid, signal.SIGKILL)) if cap else None
    if timer:
        timer.start()
    _, status, usage = os.wait4(child.pid, 0)
    wall = (time.perf_counter() - start) * 1000
    if timer:
        timer.cancel()
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        return None
    return Cost(wall, (usage.ru_utime + usage.ru_stime) * 1000, usage.ru_maxrss / 1024)


def cost(argv, runs, before=None, cap=None, env=None):
    """The median cost of `runs` runs, each after `before()`, which does not count; fewer where `cap` seconds are over.
    None when one fails."""
    costs = []
    end = time.monotonic() + cap if cap else None
    for _ in range(runs):
        if before:
            before()
        left = end - time.monotonic() if end else None
        if left is not None and left <= 0:
            break
        one = once(argv, left, env)
        if one is None:
            return Cost.median(costs) if costs and end and time.monotonic() >= end else None
        costs.append(one)
    return Cost.median(costs)


def shell(text, runs):
    """The median cost of a pipeline."""
    return cost(["/bin/sh", "-c", text], runs)
