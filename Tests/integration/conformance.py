#!/usr/bin/env python3
"""Plays the outside build suites with a `stave` binary and compares the images with what other builders made.

    conformance.py [--stave PATH] [--suite all|NAME] [--case ID] [--jobs N] [--report FILE] [--user mapped|NAME]

What waits for a later release is computed from the flags and instructions a case uses (features.py), never from
its name; deliberate differences are in differences.json. Needs root.
"""

import argparse
import base64
import concurrent.futures
import json
import os
import sys
import tempfile
import threading
import time
from pathlib import Path

import features
import harness
import users
from harness import Image, LayerCache, Problem, Stave, Tally

SUITES = ["buildah-conformance", "imagebuilder", "kaniko", "moby-build", "buildah-bud", "buildkit-integration"]
CONSTANT_TIME = 1700000000

# An oracle's failure that says nothing about the case: it was too old for the syntax, or had no network.
TOO_OLD = ("unknown flag", "unknown instruction", "unexpected key", "parse error", "requires buildkit")
NO_NETWORK = ("temporary failure", "could not resolve", "network is unreachable", "connection refused", "i/o timeout",
              "no such host", "bad address", "unable to resolve", "name resolution")


# The registry that held the base images when the expectations were made: files with its name are compared too.
REGISTRY = "127.0.0.1:5000"


def replace_registry(text):
    """Names of base images as this test's store has them."""
    return text.replace("@REGISTRY@", REGISTRY)


def write_context(folder, files):
    """Lays out a build context exactly: content, links, modes, owners, extended attributes, constant times."""
    for item in files:
        path = folder / item["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        if "link" in item:
            path.symlink_to(item["link"])
        elif item.get("dir"):
            path.mkdir(exist_ok=True)
        elif "host_program" in item:
            path.write_bytes(static_program(item["host_program"]))
        elif "base64" in item:
            path.write_bytes(base64.b64decode(item["base64"]))
        else:
            path.write_text(replace_registry(item.get("text", "")), newline="")
        for name, value in (item.get("xattrs") or {}).items():
            os.setxattr(path, name, value.encode(), follow_symlinks=False)
    # Modes, owners and times in reverse, so that a folder is still writable while it fills.
    for item in reversed(files):
        path = folder / item["path"]
        if os.geteuid() == 0:
            os.chown(path, item.get("uid", 0), item.get("gid", 0), follow_symlinks=False)
        if "mode" in item and "link" not in item:
            os.chmod(path, int(item["mode"], 8))
        os.utime(path, (CONSTANT_TIME, CONSTANT_TIME), follow_symlinks=False)


def static_program(name):
    for folder in ("/bin", "/usr/bin", "/sbin", "/usr/sbin"):
        path = Path(folder) / name
        if path.exists():
            return path.read_bytes()
    raise Problem(f"find static program {name}: not installed")


# Comparing.

def absent(value):
    return None if value in ("", [], {}, False) else value


def normal_config(document):
    """The part of an image config that the expectations hold, in their shape."""
    config = document.get("config") or {}
    out = {}
    for key in ("User", "Env", "Entrypoint", "Cmd", "WorkingDir", "Labels", "StopSignal", "OnBuild", "Healthcheck",
                "Shell", "StopTimeout", "NetworkDisabled"):
        out[key] = absent(config.get(key))
    for key in ("ExposedPorts", "Volumes"):
        out[key] = absent(sorted(config.get(key) or {}))
    for key in ("architecture", "os", "variant", "author"):
        out[key] = absent(document.get(key))
    return shape(out)


def shape(config):
    """Env without order; empty and null alike, and the root alike with no working directory."""
    out = {key: absent(value) for key, value in config.items()}
    for key in ("Env", "ExposedPorts", "Volumes"):
        if out.get(key):
            out[key] = sorted(out[key])
    if out.get("WorkingDir") == "/":
        out["WorkingDir"] = None
    if out.get("Healthcheck"):
        out["Healthcheck"] = {k: v for k, v in out["Healthcheck"].items() if v not in (None, 0, [], "")}
    return out


def is_trace(path):
    """Paths that running a container leaves behind."""
    first = path.split("/", 1)[0]
    return path in ("", "run", "etc/hosts", "etc/hostname", "etc/resolv.conf") or first in ("dev", "proc", "sys")


def exempt_paths(skips):
    """The paths whose content may differ; `(dir):a:(dir):b` is a/b, entries with :mtime speak of times only."""
    out = set()
    for skip in skips or []:
        parts = [part for part in skip.split(":") if part != "(dir)"]
        known = ("mtime", "uid", "gid", "mode", "size", "xattrs")
        if parts and parts[-1] not in known:
            out.add("/".join(parts))
    return out


def differences(image, expected, cache, exempt=()):
    """What differs between an image and one oracle's result, as short texts."""
    out = []
    want, have = shape(expected["config"]), normal_config(image.config)
    for key in sorted(want):
        if want[key] != have.get(key):
            out.append(f"config.{key}: want {json.dumps(want[key])}, have {json.dumps(have.get(key))}")
    base = harness.flatten(image, expected["base_layers"], cache)
    tree = harness.flatten(image, None, cache)
    changed = {}
    for path, entry in tree.items():
        record = entry.record()
        if path not in base or base[path].record() != record:
            changed[path] = record
    wanted = expected["files"]
    for path in sorted(set(changed) | set(wanted)):
        if is_trace(path) or any(path == e or path.startswith(e + "/") for e in exempt):
            continue
        a, b = wanted.get(path), changed.get(path)
        if a is None:
            out.append(f"{path}: not expected, have {brief(b)}")
        elif b is None:
            now = "the base's" if path in tree else "nothing"
            out.append(f"{path}: want {brief(a)}, have {now}")
        elif comparable(a) != comparable(b):
            keys = [k for k in sorted(set(a) | set(b)) if comparable(a).get(k) != comparable(b).get(k)]
            out.append(f"{path}: " + ", ".join(f"{k} want {show(k, a.get(k))}, have {show(k, b.get(k))}" for k in keys))
    removed = {p for p in base if p not in tree and not is_trace(p)}
    for path in sorted(removed ^ {p for p in expected["removed"] if not is_trace(p)}):
        out.append(f"{path}: {'removed' if path in removed else 'not removed'}")
    return out


def comparable(record):
    out = {k: v for k, v in record.items() if v not in (None, {}) and k != "device"}
    if out.get("type") == "l":
        out.pop("mode", None)
    return out


def show(key, value):
    return oct(value) if key == "mode" and isinstance(value, int) else json.dumps(value)


def brief(record):
    return f"{record['type']} {oct(record['mode'])} {record['uid']}:{record['gid']} {record.get('size', '')}".strip()


# Playing.

class Unbuildable(Exception):
    """A case that must build and that no builder could: it proves nothing, so it counts as skipped, not as passed."""


class Worker(threading.local):
    """Each thread's own store, base images loaded once."""
    stave = None


class Suite:
    def __init__(self, name, options, cache):
        self.name, self.options, self.cache = name, options, cache
        document = json.loads((options.suites / f"{name}.json").read_text())
        self.cases = [c for c in document["cases"] if not options.case or c["id"] in options.case]
        self.total = len(document["cases"])
        listed = json.loads((harness.HERE / "differences.json").read_text())
        self.deliberate = {d["id"]: d["reason"] for d in listed if d["suite"] == name}
        self.worker = Worker()
        self.places = []

    def check_differences(self, tally):
        if len(self.deliberate) > 0.03 * self.total:
            tally.fail(self.name, f"{len(self.deliberate)} deliberate differences of {self.total} are over 3 %")

    def has(self, name):
        return (self.options.bases / name / "index.json").exists()

    def uses(self, name, *cases):
        """Whether the cases may need that base image; busybox always."""
        return name == "busybox" or any(name in json.dumps(case["steps"]) for case in cases)

    def stave(self):
        """This thread's store."""
        if self.worker.stave is None:
            place = harness.scratch_dir("stave-conformance-")
            self.places.append(place)
            stave = Stave(self.options.stave, place / "store")
            names = [n for n in ("busybox", "debian", "golang") if self.has(n) and self.uses(n, *self.cases)]
            stave.load_bases(self.options.bases, names)
            for name in names:
                full = harness.BASE_NAMES[name]
                stave.ok("tag", full, full.replace("docker.io", REGISTRY))
            if self.name == "buildkit-integration":
                self.add_groups(stave)
            if "debian" in names:
                stave.ok("tag", harness.BASE_NAMES["debian"], "docker.io/library/debian:latest")
            stave.ok("tag", harness.BASE_NAMES["busybox"], "docker.io/library/alpine:latest")
            self.worker.stave = stave
        return self.worker.stave

    def add_groups(self, stave):
        """This suite checks itself with groups that the real busybox image has and the stand-in lacks."""
        with tempfile.TemporaryDirectory() as folder:
            base = harness.BASE_NAMES["busybox"]
            Path(folder, "Dockerfile").write_text(
                f"FROM {base}\nRUN echo wheel:x:10:root >> /etc/group && echo nobody:x:65533: >> /etc/group\n")
            stave.ok("build", "-t", base.replace("docker.io", REGISTRY), folder)

    def play(self, case):
        """("passed" | "failed" | "skipped", reason)"""
        waiting = features.waiting(case)
        if self.options.rootless and case["id"] in NEEDS_ROOT:
            return "skipped", NEEDS_ROOT[case["id"]]
        for name in ("debian", "golang"):
            if f"/{name}:" in json.dumps(case["steps"]) and not self.has(name):
                return "skipped", f"needs the base image {name}"
        try:
            verdict, reason = self.judge(case, waiting)
        except Problem as problem:
            verdict, reason = "failed", str(problem)
        except Exception as error:  # a bug of the runner is a failure of the case, not the end of the suite
            verdict, reason = "failed", f"runner: {type(error).__name__}: {error}"
        if case["id"] in self.deliberate:
            if verdict == "failed":
                return "skipped", "deliberate difference: " + self.deliberate[case["id"]]
            if verdict == "passed":
                return "failed", "passes, but differences.json lists it"
        return verdict, reason

    def judge(self, case, waiting):
        stave = self.stave()
        for number, step in enumerate(case["steps"]):
            oracles = {}
            for name, results in (case.get("expected") or {}).items():
                if number < len(results) and not (case.get("buildkit_only") and name != "buildkit"):
                    oracles[name] = results[number]
            place = harness.scratch_dir("stave-case-")
            try:
                result = self.build(stave, step, place)
            finally:
                harness.remove_tree(place)
            if result.crashed or result.code >= 128:
                return "failed", f"step {number + 1}: the tool died: exit {result.code}: {result.last_line()}"
            if waiting and result.code != 0 and "not supported yet" in result.text:
                return "skipped", "waits for " + ", ".join(sorted(waiting))
            try:
                verdict = self.compare(stave, case, step, result, oracles)
            except Unbuildable as reason:
                return "skipped", str(reason)
            if verdict:
                prefix = f"step {number + 1}: " if len(case["steps"]) > 1 else ""
                return "failed", prefix + verdict
            if oracles and all(o.get("fails") for o in oracles.values()):
                break  # the oracles stopped here
        return "passed", ""

    def build(self, stave, step, place):
        context = place / "context"
        context.mkdir()
        write_context(context, step["context"])
        argv = ["build", "-t", step["tag"]]
        if "dockerfile_text" in step:
            outside = place / "outside.Dockerfile"
            name = os.path.basename(step["dockerfile"]) or "Dockerfile"
            outside = place / name if name != "context" else outside
            outside.write_text(replace_registry(step["dockerfile_text"]), newline="")
            argv += ["-f", outside]
        elif step["dockerfile"] != "Dockerfile":
            argv += ["-f", context / step["dockerfile"]]
        for number, flag in enumerate(step["flags"]):
            if isinstance(flag, dict):
                secret = place / f"secret{number}"
                secret.write_text(flag["value"])
                argv += ["--secret", f"id={flag['secret']},src={secret}"]
            else:
                argv.append(replace_registry(flag))
        env = dict(step["env"]) if isinstance(step.get("env"), dict) else dict(
            pair.split("=", 1) for pair in step.get("env") or [])
        return stave(*argv, context, env=env, timeout=self.options.timeout)

    def compare(self, stave, case, step, result, oracles):
        """Why the step is wrong, or None."""
        succeeded = {n: o for n, o in oracles.items() if not o.get("fails")}
        expect = step["expect"]
        if expect == "fail":
            if result.code == 0 and not ("buildkit" in succeeded and not case.get("error_contains")):
                return "built, but must fail"
            if result.code == 0:
                return self.compare_image(stave, case, step, {"buildkit": succeeded["buildkit"]})
            missing = [t for t in case.get("error_contains") or [] if t.lower() not in result.text.lower()]
            if missing:
                return f"the error lacks {missing[0]!r}: {result.error_line()}"
            return None
        if expect == "any":
            if not succeeded:
                if result.code == 0 and oracles and not any(says_nothing(o) for o in oracles.values()):
                    message = next(iter(oracles.values())).get("message") or ""
                    return f"built, but every oracle fails: {message.strip()[-160:]}"
                return None
            buildkit = oracles.get("buildkit")
            if result.code != 0 and buildkit and buildkit.get("fails") and not says_nothing(buildkit):
                return None
        if result.code != 0:
            if oracles and not succeeded and not any(says_nothing(o) for o in oracles.values()):
                raise Unbuildable("its files or base image lack what it needs: every other builder fails too")
            return f"exit {result.code}: {result.error_line()}"
        return self.compare_image(stave, case, step, succeeded)

    def compare_image(self, stave, case, step, succeeded):
        """Why the image is none of these oracles', or None."""
        image = Image.from_store(stave, step["tag"])
        for path, check in checks(case):
            wrong = self.check_file(image, path, check)
            if wrong:
                return wrong
        if not succeeded:
            return None
        exempt = exempt_paths(case.get("fs_skip"))
        found = {}
        for name in sorted(succeeded, key=lambda n: n != "buildkit"):
            found[name] = differences(image, succeeded[name], self.cache, exempt)
            if not found[name]:
                return None
        name, first = next(iter(found.items()))
        more = f" (and {len(first) - 3} more)" if len(first) > 3 else ""
        return f"not {name}'s: " + "; ".join(first[:3]) + more

    def check_file(self, image, path, check):
        content = image.content(path)
        how, want = check.get("how", "equal"), check.get("content", check.get("text", ""))
        if content is None:
            return f"{path}: not in the image"
        text = content.decode("utf-8", "replace")
        if check.get("trim_space"):
            text = text.strip()
        good = {"equal": text == want, "contains": want in text, "lacks": want not in text}[how]
        return None if good else f"{path}: {how} {want!r}: have {text[:120]!r}"

    def run(self, tally, report):
        self.check_differences(tally)
        start = time.monotonic()
        counts = {"passed": 0, "failed": 0, "skipped": 0}
        with concurrent.futures.ThreadPoolExecutor(self.options.jobs) as pool:
            for case, (verdict, reason) in zip(self.cases, pool.map(self.play, self.cases)):
                counts[verdict] += 1
                report.append({"suite": self.name, "id": case["id"], "verdict": verdict, "reason": reason})
                if verdict == "passed":
                    tally.ok()
                elif verdict == "skipped":
                    tally.skip(f"{self.name}: {case['id']}", reason)
                    if self.options.verbose:
                        print(f"skipped: {self.name}: {case['id']}: {reason}")
                else:
                    tally.fail(f"{self.name}: {case['id']}", reason)
        for place in self.places:
            harness.remove_tree(place)
        print(f"{self.name}: {counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped, "
              f"{time.monotonic() - start:.0f} s", flush=True)


def checks(case):
    """The content checks of a case: [(path, {"how", "content"})]."""
    files = case.get("files") or []
    if isinstance(files, dict):
        return [(path, check if isinstance(check, dict) else {"content": check}) for path, check in files.items()]
    return [(item.get("path") or item.get("file"), item) for item in files]


# What a user namespace can't do, whoever makes it.
NEEDS_ROOT = {"TestBuildWithExtraHost": "ping through the machine's network needs the machine's CAP_NET_RAW"}


def says_nothing(oracle):
    message = (oracle.get("message") or "").lower()
    return bool(oracle.get("fails")) and any(mark in message for mark in TOO_OLD + NO_NETWORK)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stave")
    parser.add_argument("--suites", help="folder of the suites")
    parser.add_argument("--bases", help="folder of the base images' OCI layouts")
    parser.add_argument("--suite", default="all")
    parser.add_argument("--case", action="append")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--timeout", type=float, default=120)
    parser.add_argument("--report", help="write every verdict to this file as JSON")
    parser.add_argument("-v", "--verbose", action="store_true", help="name the skipped cases too")
    users.add_argument(parser)
    options = parser.parse_args()
    users.become(options)
    options.stave = harness.find_stave(options.stave)
    options.suites = harness.find_suites(options.suites)
    options.bases = harness.find_bases(options.bases)
    if options.suites is None:
        sys.exit("find suites: no conformance data; set STAVE_CONFORMANCE")
    if options.bases is None:
        sys.exit("find base images: none; run scripts/base-images.py or set STAVE_BASE_IMAGES")
    tally, report, cache = Tally(), [], LayerCache()
    for name in SUITES if options.suite == "all" else options.suite.split(","):
        Suite(name, options, cache).run(tally, report)
    if options.report:
        Path(options.report).write_text(json.dumps(report, indent=1) + "\n")
    return tally.close()


if __name__ == "__main__":
    sys.exit(main())
