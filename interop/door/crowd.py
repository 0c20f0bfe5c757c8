#!/usr/bin/env python3
"""A crowd that means no good, around a log, and what good clients notice of it.

Idle connections say nothing; slow ones send a byte a second, half of them of a head, half of a body. When the log closes
one, another takes its place at once. Good clients read the checkpoint and add entries all the time, before the crowd
comes and while it is there. It exits 1 where memory or the p99 of good clients is beyond its bound.
"""

import argparse
import json
import os
import resource
import selectors
import socket
import subprocess
import sys
import threading
import time

# What a connection may cost: its buffer of a head, and what belongs to its task and to TLS's absence.
BYTES_A_CONNECTION = 20 * 1024
# The rest may grow by this, whoever connects: the log takes entries meanwhile.
SLACK = 64 << 20
# How much slower good clients may be: twice, and a scheduler's slice more, below which nothing is measured.
TIMES = 2
SLICE = 0.010

SLOW = [b"GET / HTTP/1.1\r\nHost: kiln\r\nX: ", b"POST /add HTTP/1.1\r\nHost: kiln\r\nContent-Length: 60000\r\n\r\n"]


class Crowd(threading.Thread):
    """Keeps so many connections open until it is told to stop."""

    def __init__(self, port, idle, slow):
        super().__init__()
        self.port, self.idle, self.slow = port, idle, slow
        self.stop = threading.Event()
        self.full = threading.Event()
        self.opened = self.closed = 0
        self.selector = selectors.EpollSelector()
        self.slow_ones = {}

    def run(self):
        missing = [None] * self.idle + [SLOW[n % 2] for n in range(self.slow)]
        tick = time.monotonic()
        while not self.stop.is_set():
            # A few at a time: a burst would be another attack, on the backlog.
            for _ in range(min(len(missing), 40)):
                self.open(missing.pop())
            if not missing:
                self.full.set()
            for key, _ in self.selector.select(0.01):
                kind = self.hear(key.fileobj, key.data)
                if kind is not False:
                    missing.append(kind)
            if time.monotonic() - tick >= 1:
                tick = time.monotonic()
                self.drip()
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()

    def open(self, kind):
        connection = socket.create_connection(("127.0.0.1", self.port))
        connection.setblocking(False)
        if kind:
            connection.send(kind)
            self.slow_ones[connection] = kind
        self.selector.register(connection, selectors.EVENT_READ, kind)
        self.opened += 1

    def hear(self, connection, kind):
        """The kind of a connection that the log closed; False where it only said something."""
        try:
            if connection.recv(4096):
                return False
        except BlockingIOError:
            return False
        except OSError:
            pass
        self.closed += 1
        self.selector.unregister(connection)
        self.slow_ones.pop(connection, None)
        connection.close()
        return kind

    def drip(self):
        for connection in list(self.slow_ones):
            try:
                connection.send(b"y")
            except OSError:
                pass


class Reader(threading.Thread):
    """Reads the checkpoint fifty times a second, on a connection that it keeps and each tenth time on a new one."""

    def __init__(self, port):
        super().__init__()
        self.port, self.stop, self.took, self.failed = port, threading.Event(), [], 0

    def run(self):
        kept, count = self.connect(), 0
        while not self.stop.is_set():
            start, count = time.monotonic(), count + 1
            try:
                if count % 10 == 0:
                    kept.close()
                    kept = self.connect()
                kept.sendall(b"GET /checkpoint HTTP/1.1\r\nHost: kiln\r\n\r\n")
                if not kept.recv(8192).startswith(b"HTTP/1.1 200"):
                    raise OSError("no checkpoint")
                self.took.append(time.monotonic() - start)
            except OSError:
                self.failed += 1
                kept.close()
                kept = self.connect()
            time.sleep(0.02)

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def p99(self):
        took = sorted(self.took)
        return took[len(took) * 99 // 100] if took else float("inf")


def memory(process):
    with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS:"))


def measure(kiln, url, port, seconds, process):
    """p99 of reads and of adds, in seconds; what failed; and the most memory that the log had."""
    reader = Reader(port)
    reader.start()
    words = [kiln, "--json", "bench", url, "--rate", "200", "--duration", f"{seconds}s", "--no-probes"]
    bench = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    most = 0
    while bench.poll() is None:
        most = max(most, memory(process))
        time.sleep(0.5)
    reader.stop.set()
    reader.join()
    added = json.loads(bench.stdout.read().splitlines()[-1])
    return {
        "read": reader.p99(), "reads": len(reader.took), "add": added["add_seconds"]["p99"],
        "adds": added["entries"], "failed": reader.failed + added["error_count"], "memory": most,
    }


def start(kiln, folder):
    words = [kiln, "serve", folder, "--listen", "127.0.0.1:0", "--origin", "kiln.example/crowd"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    for line in process.stdout:
        if " url=" in line:
            url = line.split(" url=")[1].split()[0]
        if line == "ready\n":
            return process, url
    sys.exit("the log does not start")


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--kiln", required=True)
    options.add_argument("--folder", required=True)
    for number in ["idle", "slow", "seconds"]:
        options.add_argument(f"--{number}", type=int, required=True)
    args = options.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    process, url = start(args.kiln, args.folder)
    port = int(url.rsplit(":", 1)[1])
    try:
        sys.exit(judge(args, process, url, port))
    finally:
        process.terminate()
        process.wait(timeout=30)


def judge(args, process, url, port):
    measure(args.kiln, url, port, 5, process)
    normal = measure(args.kiln, url, port, min(60, args.seconds), process)
    crowd = Crowd(port, args.idle, args.slow)
    crowd.start()
    crowd.full.wait(120)
    beset = measure(args.kiln, url, port, args.seconds, process)
    crowd.stop.set()
    crowd.join()
    most = normal["memory"] + (args.idle + args.slow) * BYTES_A_CONNECTION + SLACK
    for name, found in ("normal", normal), ("beset", beset):
        print(
            f"{name:>7}: read p99 {found['read'] * 1000:7.1f} ms of {found['reads']}, add p99 {found['add'] * 1000:7.1f} ms"
            f" of {found['adds']}, {found['failed']} failed, at most {found['memory'] / (1 << 20):.0f} MiB"
        )
    print(f"the crowd opened {crowd.opened} connections, and the log closed {crowd.closed}; it may have {most >> 20} MiB")
    print(f"load of the machine: {os.getloadavg()[0]:.1f}")
    bad = []
    if not crowd.full.is_set():
        bad.append("the crowd was never whole")
    if beset["memory"] > most:
        bad.append("too much memory")
    for kind in "read", "add":
        if beset[kind] > TIMES * normal[kind] + SLICE:
            bad.append(f"good clients wait too long: {kind}")
    if beset["failed"]:
        bad.append("good clients were not served")
    print("; ".join(bad) or "all within bounds")
    return 1 if bad else 0


if __name__ == "__main__":
    main()
