"""The budgets, a line each: what is wanted, what was measured, whether that is met.

A script that measures one takes `--lines FILE` and leaves its lines there by `write`; `bench/run` calls it and puts
them into its table. Those that follow from the loads of `bench/run` itself are made here.
"""

import json
import statistics
from pathlib import Path

RATIO = 0.6  # of the empty server's rate
CPU = 15.0  # us an entry
BATCH = 300_000  # entries a second
LATE = 1_050.0  # ms: the interval and 50
MEMORY = 1.5  # of the empty server's, beside what the flags give the pool
POOL = 64.0  # MiB: --pool-bytes


def line(what, wanted, measured, met):
    """`met` is `None` where nothing is promised."""
    return {"what": what, "wanted": wanted, "measured": measured, "met": met}


def write(file, lines):
    if file:
        Path(file).write_text(json.dumps(lines))


def verdict(one):
    return {True: "met", False: "not met", None: ""}[one["met"]]


def show(lines):
    """The table for a terminal."""
    rows = [("budget", "wanted", "measured", ""), *((one["what"], one["wanted"], one["measured"], verdict(one)) for one in lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, [*widths, 0])).rstrip())


def median(runs, column):
    values = [run[column] for run in runs if column in run]
    return statistics.median(values) if values else None


def ratio(results, column):
    """Kiln's by the empty server's, in the middle of the runs side by side."""
    pairs = [(run[column], limit[column]) for run, limit in zip(results["kiln"], results["empty hyper"]) if column in run and limit.get(column)]
    return statistics.median(ours / limit for ours, limit in pairs) if pairs else None


def rate_of(load, name, results):
    measured = ratio(results, "entries/s")
    return measured and line(f"rate of POST /add by the empty server's, {name}", f"at least {RATIO}", f"{measured:.2f}", measured >= RATIO)


def others(results, column, digits=1):
    """What everybody but Kiln had, in brackets."""
    medians = {name: median(runs, column) for name, runs in results.items() if name != "kiln"}
    told = ", ".join(f"{name} {value:,.{digits}f}" for name, value in medians.items() if value is not None)
    return f" ({told})" if told else ""


def cpu_of(load, name, results):
    measured, more = median(results["kiln"], "us CPU/entry"), others(results, "us CPU/entry")
    return measured and line(f"CPU of an add, {name}", f"at most {CPU:.0f} µs", f"{measured:.1f} µs{more}", measured <= CPU)


def batch_of(load, name, results):
    measured = median(results["kiln"], "entries/s")
    more = others({server: runs for server, runs in results.items() if server.startswith("tessera")}, "entries/s", 0)
    return measured and line("rate of /add-batch", f"at least {BATCH:,}/s", f"{measured:,.0f}/s{more}", measured >= BATCH)


def late_of(load, name, results):
    runs = results["kiln"]
    measured, seen, disk = (median(runs, column) for column in ("add p99 ms", "publish p99 ms", "disk ms"))
    if measured is None:
        return None
    told = f"{measured:,.0f} ms (as others see it {seen:,.0f} ms; the disk's write and sync {disk:.2f} ms)"
    return line(f"add to published, p99, {name}", f"at most {LATE:,.0f} ms", told, measured <= LATE)


def memory_of(load, name, results):
    measured, limit = median(results["kiln"], "MiB"), median(results["empty hyper"], "MiB")
    if measured is None or not limit:
        return None
    wanted = f"at most {MEMORY}, and {POOL:.0f} MiB for the pool"
    return line(f"memory by the empty server's, {name}", wanted, f"{measured / limit:.2f} ({measured:,.0f} MiB, {limit:,.0f} MiB)", measured <= MEMORY * limit + POOL)


OF_LOADS = [
    ("add-256", "256 connections", rate_of),
    ("add-2048", "2,048 connections", rate_of),
    ("add-256", "256 connections", cpu_of),
    ("add-2048", "2,048 connections", cpu_of),
    ("batch", "", batch_of),
    ("half", "at half load, open loop", late_of),
    ("open-10000", "10,000/s, open loop", late_of),
    ("wait-16000", "16,000 adds that wait", memory_of),
]


def of_loads(loads):
    """The lines of what `bench/run` measured itself."""
    for load, name, make in OF_LOADS:
        made = make(load, name, loads[load]["results"]) if load in loads else None
        if made:
            yield made
