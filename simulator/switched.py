"""Many changes in one copy of the tree, each behind a branch: it is built once, and not once a change.

A function with a change in it begins in the copy with

    if crate::mutant("17") { return { THE WHOLE BODY, CHANGED } }

so whatever the change is, it fits, and where it does not compile the line of the error tells which one that is.
"""
import json
import re
import shutil
import subprocess
import sys

from patched import CHOSEN, ROOT, copy_changed, write_changed

SOURCES = "sequencer/src"
PACKAGES = ["kiln-sequencer", "kiln-simulator"]
BUILD = ["cargo", "test", "--no-run", "--quiet", "--profile", "simulation", "--lib", "--tests", "--message-format=json"]
# A function that is there fifty times is not worth the time to optimize it.
for package in PACKAGES:
    BUILD += ["--package", package, "--config", f"profile.simulation.package.{package}.opt-level=1"]


def at(text, place):
    """Where in a text the line and the column are that cargo-mutants names."""
    before = text.splitlines(keepends=True)[: place["line"] - 1]
    return sum(map(len, before)) + place["column"] - 1


def body(text, function):
    """Where a function's body begins and ends, without its braces."""
    start, end = at(text, function["span"]["start"]), at(text, function["span"]["end"])
    name = function["function_name"].rsplit("::", 1)[-1]
    signature = re.compile(rf"\bfn {re.escape(name)}\b[^{{]*{{").search(text, start, end)
    return signature.end(), end - 1


def branch(text, number, change):
    start, end = body(text, change["function"])
    first, last = (at(text, change["span"][place]) for place in ("start", "end"))
    changed = text[start:first] + change["replacement"] + text[last:end]
    return start, f'\nif crate::mutant("{number}") {{ return {{ {changed} }}; }}\n'


def switched(text, changes):
    """A file with these changes of it, by number. Returns also the lines that each of them has there."""
    text = text.replace("const fn", "      fn")  # which could not ask
    branches, out, lines, end = {}, "", {}, 0
    for number, change in changes.items():
        start, added = branch(text, number, change)
        branches.setdefault(start, []).append((number, added))
    for start in sorted(branches):
        out, end = out + text[end:start], start
        for number, added in branches[start]:
            first = out.count("\n") + 2
            out += added
            lines[number] = range(first, out.count("\n") + 1)
    return out + text[end:], lines


def write(copy, changes):
    """Puts changes into the copy, and no others. Returns the lines that each has."""
    lines = {}
    for path in (ROOT / SOURCES).rglob("*.rs"):
        file = str(path.relative_to(ROOT))
        text, found = switched(path.read_text(), {n: change for n, change in changes.items() if change["file"] == file})
        write_changed(copy.tree / file, text + CHOSEN * (path.name == "lib.rs"))
        lines |= found
    return lines


def restore(copy):
    """Takes all changes out of the copy."""
    shutil.copytree(ROOT / SOURCES, copy.tree / SOURCES, copy_function=copy_changed, dirs_exist_ok=True)


def build(copy):
    """Builds the seeds' program and the tests. Returns what cargo says of each crate, and the errors alone."""
    done = subprocess.run(BUILD, cwd=copy.tree, env=copy.environment, stdout=subprocess.PIPE, text=True)
    said = [json.loads(line) for line in done.stdout.splitlines()]
    wrong = [entry["message"] for entry in said if entry.get("message", {}).get("level") == "error"]
    if done.returncode != 0 and not wrong:
        sys.exit("the copy cannot be built")
    return said, wrong


def places(span):
    """The file and the line of a span, and of the macro that it may be in."""
    while span:
        yield span["file_name"], span["line_start"]
        span = (span["expansion"] or {}).get("span")


def named(errors, changes, lines, anywhere):
    """The changes that errors lie in or, `anywhere`, speak of."""
    spans = [span for error in errors for span in error["spans"] if anywhere or span["is_primary"]]
    found = {place for span in spans for place in places(span)}
    return {n for n, change in changes.items() if any(file == change["file"] and line in lines[n] for file, line in found)}


def switch(copy, changes):
    """Builds the copy with changes in it, by number. Returns what cargo says of each crate, the numbers of those that do
    not compile, and of those that do not compile beside the others."""
    # What returns `impl Trait` has one type, that of its own body.
    alone = {n for n, change in changes.items() if "impl " in change["function"]["return_type"]}
    broken = set()
    while True:
        fit = {n: change for n, change in changes.items() if n not in alone | broken}
        lines = write(copy, fit)
        said, errors = build(copy)
        if not errors:
            return said, broken, alone
        if found := named(errors, fit, lines, anywhere=False):
            broken |= found
        elif found := named(errors, fit, lines, anywhere=True):
            alone |= found
        else:
            sys.exit("".join(error["rendered"] for error in errors))
