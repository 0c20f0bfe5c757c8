"""The loads of `bench/run`, the servers that get them, and one run."""

import json
import os
import resource
import subprocess
from dataclasses import dataclass, field

from budgets import median
from machine import write_and_sync
from parts import BIN, KEEPS_MEMORY, ROOT, Server, kiln

TESSERA = BIN / "tessera-server"
TESSERA_SETTINGS = {"tessera": [], "tessera tuned": ["-batch", "4096", "-age", "500ms", "-outstanding", "200000"]}
ALL = ["empty hyper", "kiln", *TESSERA_SETTINGS]
LOGS = ALL[1:]
# One of each kind, for the loads that many runs are made of.
THREE = ["empty hyper", "kiln", "tessera tuned"]

# A log answers once a second, so whoever wants many entries from few connections needs HTTP/2, with many
# requests on each, or batches.
CONNECTIONS = ["--connections", "256", "--streams", "240"]
# Open loops, in requests a second.
RATES = [1_000, 3_000, 10_000, 20_000, 30_000, 40_000, 60_000, 80_000, 100_000]
QUICK_RATES = [3_000, 10_000, 30_000]
# A server that answers less of an open loop is not asked for more.
KEPT_UP = 0.7


@dataclass
class Load:
    """What `kiln bench` is told, and who is measured."""

    words: list
    servers: list = field(default_factory=lambda: ALL)
    # The empty server answers after so many ms, as a log does; one that answers at once holds nobody's request.
    hold: int = 0
    rate: int = 0
    # At half of the rate that the server reached under this other load.
    half_of: str = ""


def open_loop(rate):
    return Load(["--rate", str(rate), "--connections", "512", "--streams", "240"], ALL if rate == 10_000 else THREE, rate=rate)


LOADS = {
    "add-256": Load(CONNECTIONS),
    "add-2048": Load(["--connections", "2048", "--streams", "30"]),
    "add-http1-8192": Load(["--connections", "8192"]),
    "batch": Load(["--connections", "64", "--batch", "1000"]),
    "wait-16000": Load(["--connections", "16000"], ["empty hyper", "kiln"], hold=1000),
    "half": Load(CONNECTIONS, LOGS, half_of="add-256"),
    **{f"open-{rate}": open_loop(rate) for rate in RATES},
}
SWEEP = [f"open-{rate}" for rate in RATES]
ON_DEMAND = ["add-http1-8192"]
DEFAULT = [name for name in LOADS if name not in ON_DEMAND]
QUICK = [name for name in DEFAULT if name not in SWEEP or LOADS[name].rate in QUICK_RATES]


def build():
    subprocess.run(["go", "build", "-o", TESSERA, "."], check=True, cwd=ROOT / "bench" / "tessera")


def words(load, server, loads):
    """What `kiln bench` is told for this server, after what was measured so far; `None` where that leaves nothing to ask."""
    if load.half_of:
        reached = median(loads.get(load.half_of, {}).get("results", {}).get(server, []), "entries/s")
        return [*load.words, "--rate", str(max(int(reached / 2), 1))] if reached else None
    if load.rate and not keeps_up(load.rate, server, loads):
        return None
    return load.words


def keeps_up(rate, server, loads):
    """Whether the server did so at the last lower rate that it was asked for."""
    lower = [one for one in RATES if one < rate and loads.get(f"open-{one}", {}).get("results", {}).get(server)]
    return not lower or median(loads[f"open-{lower[-1]}"]["results"][server], "entries/s") >= KEPT_UP * lower[-1]


def start(server, load, place):
    if server == "kiln":
        return kiln(place)
    if server == "empty hyper":
        hold = ["--hold", str(load.hold)] if load.hold else []
        return Server([BIN / "empty-hyper", *hold, "127.0.0.1:0"], KEEPS_MEMORY)
    return Server([TESSERA, *TESSERA_SETTINGS[server], f"{place}/log", "127.0.0.1:0"], {})


def run_once(server, load, told, seconds, place):
    """One run, on a disk that has nothing else to do."""
    os.sync()
    disk, _ = write_and_sync(place)
    with start(server, load, place) as process:
        return {**measure(process, told, seconds), "disk ms": disk}


def generator_cpu():
    """Seconds of CPU of the load generators that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(server, told, seconds, probes=True):
    """What the generator says, what the server used, and what the generator used."""
    cpu, own = server.cpu(), generator_cpu()
    command = [BIN / "kiln", "bench", server.url, "--json", "--duration", f"{seconds}s", *told, *["--no-probes"] * (not probes)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=seconds * 5 + 60)
    if done.returncode != 0:
        return {"entries/s": 0.0, "errors": 1.0, "said": {done.stderr.decode()[-300:]: 1}}
    said = json.loads(done.stdout)
    run = {
        "entries": said["entries"],
        "entries/s": said["entries_per_second"],
        "us CPU/entry": (server.cpu() - cpu) / said["entries"] * 1e6,
        "generator us": (generator_cpu() - own) / said["entries"] * 1e6,
        "add p50 ms": said["add_seconds"]["p50"] * 1e3,
        "add p99 ms": said["add_seconds"]["p99"] * 1e3,
        "MiB": server.memory(),
        "errors": said["error_count"],
    }
    if said["errors"]:
        run["said"] = said["errors"]
    # A server that publishes nothing has no such time.
    if said["publish_seconds"]["max"]:
        run["publish p99 ms"] = said["publish_seconds"]["p99"] * 1e3
    return run
