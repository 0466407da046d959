"""What a build case uses that Stave does not have yet: one table, and a scan of Dockerfiles and flags against it.

A feature that lands is one line less here. Cases are never named.
"""

import re

# Flags of `stave build` that exist; any other flag waits.
BUILD_FLAGS = {"--tag", "-t", "--file", "-f", "--build-arg", "--target", "--label", "--network", "--no-cache",
               "--quiet", "-q", "--progress", "--iidfile", "--jobs", "--print", "--add-host", "--platform", "--rm", "--force-rm",
               "--source-date-epoch", "--rewrite-timestamp"}

# Flags of instructions that are not there yet: {instruction: [flag]}.
INSTRUCTION_FLAGS = {
    "RUN": ["mount", "security", "device"],
    "COPY": ["link", "parents", "exclude"],
    "ADD": ["link", "parents", "exclude", "keep-git-dir", "checksum", "unpack"],
}

# Sources of ADD that are not there yet.
REMOTE_SOURCES = [
    ("ADD of a URL", re.compile(r"^https?://")),
    ("ADD of a git repository", re.compile(r"^(git@|git://|ssh://)|^github\.com/|\.git(#|$)")),
]

HEREDOC = re.compile(r"<<(-?)\s*(['\"]?)([A-Za-z_][A-Za-z0-9_.]*)\2")


def instructions(text):
    """(NAME, arguments) of every instruction: continuations joined, comments and here-document bodies left out."""
    lines = text.splitlines()
    escape = "\\"
    for line in lines:
        match = re.match(r"^#\s*escape\s*=\s*(\S)", line, re.I)
        if match:
            escape = match.group(1)
        if not line.startswith("#"):
            break
    position, out = 0, []
    while position < len(lines):
        line = lines[position].strip()
        position += 1
        if not line or line.startswith("#"):
            continue
        parts = []
        while line.endswith(escape) and position < len(lines):
            parts.append(line[:-1])
            line = lines[position].rstrip()
            position += 1
            while line.strip().startswith("#") and position < len(lines):
                line = lines[position].rstrip()
                position += 1
        parts.append(line)
        name, _, rest = " ".join(parts).strip().partition(" ")
        name = name.upper()
        inner = rest.split(None, 1)[0].upper() if name == "ONBUILD" and rest.split() else name
        if inner in ("RUN", "COPY", "ADD"):
            for dash, _, word in HEREDOC.findall(rest):
                while position < len(lines):
                    body = lines[position]
                    position += 1
                    if (body.lstrip("\t") if dash else body) == word:
                        break
        out.append((name, rest.strip()))
    return out


def used_by_instruction(name, rest):
    """The waiting features of one instruction."""
    if name == "ONBUILD":
        inner, _, rest = rest.partition(" ")
        return used_by_instruction(inner.upper(), rest.strip())
    out, words = set(), rest.split()
    while words and words[0].startswith("--"):
        flag = words.pop(0)[2:].split("=", 1)[0]
        if flag in INSTRUCTION_FLAGS.get(name, []):
            out.add(f"{name} --{flag}")
    if name == "ADD":
        if rest.lstrip().startswith("["):
            words = re.findall(r'"((?:[^"\\]|\\.)*)"', rest)
        for word in words[:-1]:
            for feature, pattern in REMOTE_SOURCES:
                if pattern.search(word.strip("\"'")):
                    out.add(feature)
                    break
    return out


def used_by_flags(flags):
    """The waiting flags of a build command line."""
    out = set()
    for flag in flags:
        if isinstance(flag, dict):
            out.add("build --secret")
        elif flag.startswith("-") and flag.split("=", 1)[0] not in BUILD_FLAGS:
            out.add("build " + flag.split("=", 1)[0])
    return out


def waiting(case):
    """Every feature that a case uses and Stave does not have yet."""
    out = set()
    for step in case["steps"]:
        out |= used_by_flags(step["flags"])
        text = step.get("dockerfile_text")
        if text is None:
            wanted = step["dockerfile"].removeprefix("./")
            text = next((f.get("text", "") for f in step["context"] if f["path"] == wanted), "")
        for name, rest in instructions(text):
            out |= used_by_instruction(name, rest)
    return out
