#!/usr/bin/env python3
"""Plays the small outside suites (parser, words, dockerignore, realworld, image-spec-documents) through the batch
door `stave debug WHAT --json`: one process a suite.

    debug_suites.py [--stave PATH] [--suite all|NAME]
"""

import argparse
import json
import sys

import harness
from harness import Tally


class Door:
    """`stave debug WHAT --json`: a list of elements in, a list of answers out."""

    def __init__(self, stave):
        self.stave = stave

    def ask(self, what, elements):
        if not elements:
            return []
        result = harness.run([self.stave, "debug", what, "--json"], stdin=json.dumps(elements).encode(), timeout=300)
        if result.code != 0:
            raise harness.Problem(f"debug {what}: exit {result.code}: {result.error_line()}")
        answers = json.loads(result.raw_out)
        if len(answers) != len(elements):
            raise harness.Problem(f"debug {what}: {len(elements)} elements in, {len(answers)} out")
        return answers


def expect_equal(what, have, want):
    return None if have == want else f"{what}: want {json.dumps(want)}, have {json.dumps(have)}"


def expect_error(answer, text=None):
    """Why an answer is not the wanted error, or None."""
    error = answer.get("error")
    if error is None:
        return f"must fail, have {json.dumps(answer)[:200]}"
    if text and text.lower() not in error.lower():
        return f"the error lacks {text!r}: {error}"
    return None


def parser_suite(door, cases):
    parsed = [c for c in cases if c["kind"] != "json"]
    answers = dict(zip((c["id"] for c in parsed), door.ask("parse", [{"dockerfile": c["dockerfile"]} for c in parsed])))
    checked = [c for c in cases if c["kind"] == "instruction-error"]
    plans = dict(zip((c["id"] for c in checked), door.ask("plan", [{"dockerfile": c["dockerfile"]} for c in checked])))
    words = [c for c in cases if c["kind"] == "json"]
    lists = dict(zip((c["id"] for c in words), door.ask("json", [{"input": c["input"]} for c in words])))
    for case in cases:
        kind, answer = case["kind"], answers.get(case["id"], {})
        if kind == "json":
            yield case, expect_equal("words", lists[case["id"]].get("words"), case["words"])
        elif kind == "negative":
            yield case, expect_error(answer)
        elif kind == "instruction-error":
            if "error" not in answer:
                answer = plans[case["id"]]
            yield case, expect_error(answer, case["error"])
        elif "error" in answer:
            yield case, answer["error"]
        elif kind == "heredocs":
            # The expectation begins after FROM.
            yield case, expect_equal(kind, answer.get(kind, [])[1:], case[kind])
        elif kind == "ast":
            yield case, expect_equal("ast", answer.get("ast", "").strip(), case["result"].strip())
        else:
            yield case, expect_equal(kind, answer.get(kind), case[kind])


def words_suite(door, cases):
    answers = door.ask("expand", [{"mode": c["mode"], "input": c["input"], "env": c["env"]} for c in cases])
    for case, answer in zip(cases, answers):
        if case.get("error"):
            yield case, expect_error(answer, case.get("error_contains"))
        else:
            yield case, answer.get("error") or expect_equal("value", answer.get("value"), case["expect"])


def dockerignore_suite(door, cases):
    def element(case):
        if case["kind"] == "file":
            return {"content": case["content"]}
        return {"patterns": case["patterns"], "path": case["path"]}

    for case, answer in zip(cases, door.ask("ignore", [element(c) for c in cases])):
        if case.get("error"):
            yield case, expect_error(answer)
            continue
        key = "patterns" if case["kind"] == "file" else "match"
        yield case, answer.get("error") or expect_equal(key, answer.get(key), case[key])


INSTRUCTIONS = {"ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "MAINTAINER",
                "ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"}


def realworld_suite(door, cases):
    """Every file plans; a file that is a template with names that are no instructions must only parse to those names."""
    answers = door.ask("plan", [{"dockerfile": c["dockerfile"], "target": None, "build_args": {}} for c in cases])
    templates = [c for c in cases if not INSTRUCTIONS.issuperset(c["instructions"])]
    trees = dict(zip((c["id"] for c in templates), door.ask("parse", [{"dockerfile": c["dockerfile"]} for c in templates])))
    for case, answer in zip(cases, answers):
        if case["id"] in trees:
            lines = trees[case["id"]].get("ast", "").splitlines()
            names = [line[1:-1].split(" ", 1)[0].upper() for line in lines if line.startswith("(")]
            yield case, expect_error(answer) or expect_equal("parsed names", names, case["instructions"])
            continue
        yield case, answer.get("error") or expect_equal("instructions", answer.get("instructions"), case["instructions"])


def documents_suite(door, cases):
    answers = door.ask("document", [{"schema": c["schema"], "json": c["json"]} for c in cases])
    for case, answer in zip(cases, answers):
        if case["fail"]:
            yield case, expect_error(answer)
        else:
            yield case, answer.get("error") or expect_equal("ok", answer.get("ok"), True)


SUITES = {
    "parser": parser_suite,
    "words": words_suite,
    "dockerignore": dockerignore_suite,
    "realworld": realworld_suite,
    "image-spec-documents": documents_suite,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stave")
    parser.add_argument("--suites")
    parser.add_argument("--suite", default="all")
    options = parser.parse_args()
    door = Door(harness.find_stave(options.stave))
    folder = harness.find_suites(options.suites)
    if folder is None:
        sys.exit("find suites: no conformance data; set STAVE_CONFORMANCE")
    tally = Tally()
    for name in SUITES if options.suite == "all" else options.suite.split(","):
        cases = json.loads((folder / f"{name}.json").read_text())["cases"]
        passed = tally.passed
        try:
            for case, wrong in SUITES[name](door, cases):
                if wrong:
                    tally.fail(f"{name}: {case['id']}", wrong)
                else:
                    tally.ok()
        except (harness.Problem, json.JSONDecodeError) as problem:
            tally.fail(name, problem)
        print(f"{name}: {tally.passed - passed} of {len(cases)} passed", flush=True)
    return tally.close()


if __name__ == "__main__":
    sys.exit(main())
