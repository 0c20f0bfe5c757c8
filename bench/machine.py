"""What is measured on: the machine, the disk, and whether a measurement there would say anything."""

import os
import platform
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# They keep files in memory: a write that was synced there has cost nothing.
NOT_A_DISK = ("tmpfs", "ramfs", "devtmpfs")
# Instructions that hashing takes its speed from.
FLAGS = ("sha_ni", "avx2", "avx512f", "avx512vl")
# Above so much load a core, others have a part in what is measured.
QUIET = 0.2


def processor():
    """Its model, and which of the `FLAGS` it has."""
    text = Path("/proc/cpuinfo").read_text()
    found = dict(re.findall(r"^(model name|flags)\s*: (.*)$", text, re.MULTILINE))
    flags = found.get("flags", "").split()
    return {"model": found.get("model name", platform.machine()), "flags": {flag: flag in flags for flag in FLAGS}}


def disk(folder):
    """The line of `df -T` for it. Refuses what is no disk."""
    line = subprocess.run(["df", "-T", folder], check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1]
    if line.split()[1] in NOT_A_DISK:
        sys.exit(f"{folder} is {line.split()[1]}, where a sync says nothing: give --folder on a disk")
    return line


def write_and_sync(folder):
    """What the disk itself takes, in ms, for 4 KiB that are written and synced: the median and the worst of 200."""
    times = []
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        for _ in range(200):
            since = time.monotonic()
            os.pwrite(file.fileno(), bytes(4096), 0)
            os.fdatasync(file.fileno())
            times.append((time.monotonic() - since) * 1e3)
    return statistics.median(times), max(times)


def facts(folder):
    """All of it, as it stands in the JSON of a measurement."""
    return {
        "cores": os.cpu_count(),
        "processor": processor(),
        "kernel": platform.release(),
        "load": os.getloadavg()[0],
        "df": disk(folder),
        "disk_ms": write_and_sync(folder),
        "date": time.strftime("%Y-%m-%d"),
    }


def told(machine):
    """The same for people."""
    flags = ", ".join(f"{name} {'yes' if there else 'no'}" for name, there in machine["processor"]["flags"].items())
    yield f"{machine['cores']} cores of {machine['processor']['model']} ({flags}), Linux {machine['kernel']}"
    yield f"disk: {machine['df']}"
    yield "4 KiB written and synced: median {:.2f} ms, worst of 200 {:.2f} ms".format(*machine["disk_ms"])
    if machine["load"] > QUIET * machine["cores"]:
        yield f"WARNING: the load average is {machine['load']:.2f}: others use this machine, and so it measures them as well"


def raise_file_limit():
    """What runs from here may have as many connections as the system lets it."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
