"""Calls that wait for the disk, and calls that touch files, of a server under strace."""

import os
import re
from pathlib import Path

from parts import add, kiln

WAITING = ["fsync", "fdatasync", "syncfs", "sync_file_range", "msync", "sync"]
TOUCHING = ["openat", "rename", "renameat", "renameat2", "linkat", "mkdirat", "mkdir", "link"]
# Each wait is made so long, in us, that those side by side are seen to be: a good disk is done before strace has
# let the second one begin.
SLOW = 50_000
# The number of the thread, when, the call and what came of it.
CALL = re.compile(r"^(\d+) +([\d.]+) (\w+)\(.*?(?:<([\d.]+)>)?$")
RESUMED = re.compile(r"^(\d+) +([\d.]+) <\.\.\. (\w+) resumed>")


class Trace:
    """`kiln serve` of a log in the folder `place`, under strace."""

    def __init__(self, place, *options):
        self.file = Path(place, "calls")
        # -D: the server, not strace, is the child that is looked at and ended.
        strace = ["strace", "-D", "-f", "-qq", "-ttt", "-T", "-o", self.file, "-e", f"trace={','.join(WAITING + TOUCHING)}"]
        strace += ["-e", f"inject={','.join(WAITING)}:delay_enter={SLOW}"]
        self.server = kiln(place, *options, under=strace, admin=True)
        # The first round makes folders that all others find.
        add(self.server, os.urandom(16))

    def __enter__(self):
        return self

    def __exit__(self, *how):
        self.server.__exit__(*how)

    def mark(self):
        """Where the calls end that were made so far."""
        return self.file.stat().st_size

    def since(self, mark):
        """The calls from there on: (name, begin, end) each."""
        with self.file.open() as file:
            file.seek(mark)
            return list(calls(file))


def calls(lines):
    """Also those that strace writes in two lines, since others came between."""
    begun = {}
    for line in lines:
        if resumed := RESUMED.match(line):
            thread, end, name = resumed.groups()
            if thread in begun:
                yield name, begun.pop(thread), float(end)
        elif call := CALL.match(line.rstrip()):
            thread, begin, name, took = call.groups()
            if took is None:
                begun[thread] = float(begin)
            else:
                yield name, float(begin), float(begin) + float(took)


def waits(of):
    """How often one waits for the disk: calls side by side count once."""
    count, until = 0, 0.0
    for begin, end in sorted((begin, end) for name, begin, end in of if name in WAITING):
        count += begin >= until
        until = max(until, end)
    return count


def counts(of):
    """How often each call was made."""
    names = [name for name, _, _ in of]
    return {name: names.count(name) for name in dict.fromkeys(names)}
