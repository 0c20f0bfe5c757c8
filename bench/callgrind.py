"""Instructions, as callgrind counts them: by function, and by the crate that each is of."""

import json
import re
import subprocess
from collections import Counter
from pathlib import Path

from parts import kiln

# Where samples of the kernel and of C libraries are counted.
KERNEL, ALLOCATOR = "kernel", re.compile(r"_?mi_")
# The first name of a path is a crate, wherever it stands: `<hyper::Foo as core::fmt::Debug>::fmt` is hyper's.
CRATE = re.compile(r"[<&*( ]*(?:dyn |mut )?([a-z_0-9]+)::")


def crate_of(where, function):
    if where == KERNEL:
        return KERNEL
    if ALLOCATOR.match(function):
        return "mimalloc"
    found = CRATE.match(function)
    return found[1] if found else where


def under(out, *options):
    return ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", *options]


def functions(out):
    """Instructions by file and function. A function has a row for each file that something in it comes from."""
    annotate = ["callgrind_annotate", "--threshold=100", out]
    told = subprocess.run(annotate, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    found = Counter()
    for count, function, where in re.findall(r"^ *([\d,]+) \( ?[\d.]+%\) +\S*?:(.*?)(?: \[(.*)\])?$", told, re.MULTILINE):
        found[Path(where).name, function] += int(count.replace(",", ""))
    return found


def count_server(binary, generator, words, seconds, place, out):
    """Entries that a server took under a load, and its instructions meanwhile by function: neither its start nor its end."""
    with kiln(place, binary=binary, under=under(out, "--instr-atstart=no")) as server:
        command = [generator, "bench", server.url, "--json", "--duration", f"{seconds}s", "--no-probes", *words]
        instrument(server, "on")
        said = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        instrument(server, "off")
    return said["entries"], functions(out)


def instrument(server, state):
    subprocess.run(["callgrind_control", f"--instr={state}", str(server.process.pid)], check=True, stdout=subprocess.DEVNULL)
