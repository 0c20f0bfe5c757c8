"""What the benchmarks share: where things are built, a server and what it uses, the reference for hashing."""

import argparse
import json
import os
import re
import signal
import socket
import subprocess
from pathlib import Path
from urllib.request import Request, urlopen

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).absolute() / "release"
# What `kiln serve` tells its allocator.
KEEPS_MEMORY = {"MIMALLOC_PURGE_DELAY": "10000"}
TICK = os.sysconf("SC_CLK_TCK")


def build(bench=False):
    """What is measured, but for Tessera's part; with what is measured in process, if asked."""
    packages = ["--package", "kiln", "--package", "kiln-bench"]
    subprocess.run(["cargo", "build", "--release", *packages], check=True, cwd=ROOT)
    if bench:
        subprocess.run(["cargo", "bench", "--no-run", "--package", "kiln-bench", "--bench", "engine"], check=True, cwd=ROOT)


def options(doc):
    """Those that `bench/run` gives to each of its parts. More can be added before they are parsed."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="whether it works")
    add_folder(parser, "where logs are written")
    parser.add_argument("--lines", metavar="FILE", help="where the lines for the table of budgets are written")
    return parser


def add_folder(parser, what):
    """Absolute: a file URL, and a server that runs elsewhere, know no other."""
    parser.add_argument("--folder", type=lambda folder: Path(folder).resolve(), default=ROOT / "target", help=what)


def size_of(log):
    """How many entries a log has."""
    return json.loads(subprocess.run([BIN / "kiln", "info", log, "--json"], check=True, stdout=subprocess.PIPE, text=True).stdout)["size"]


class Server:
    """A server in a process of its own, from `ready` to SIGTERM."""

    def __init__(self, command, environment):
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | environment)
        self.url = None
        for line in self.process.stdout:
            self.url = next((word for word in line.replace("url=", "").split() if word.startswith("http://")), self.url)
            if line == "ready\n":
                break

    def cpu(self):
        """Seconds of CPU, so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def memory(self):
        """The most MiB that were resident."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def kiln(place, *options, store=None, under=(), admin=False, binary=BIN / "kiln"):
    """`kiln serve` of a log in the folder `place`, or with its log in `store`; `under` another program, that runs it; with
    an `admin` listener, if its metrics are wanted."""
    environment = {"KILN_STATE_DIR": f"{place}/state", "KILN_LOG": "error"}
    if under:
        # Or it starts itself once more, and not under what watches it.
        environment |= KEEPS_MEMORY
    address = f"127.0.0.1:{free_port()}"
    admin = ["--admin-listen", address] if admin else []
    server = Server([*under, binary, "serve", "--listen", "127.0.0.1:0", store or f"{place}/log", *admin, *options], environment)
    server.admin = f"http://{address}"
    return server


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def add(server, entry):
    """One entry, which the log has when this returns."""
    urlopen(Request(f"{server.url}/add", data=entry)).read()


def metric(server, name):
    """One of its metrics, over all labels."""
    lines = urlopen(f"{server.admin}/metrics").read().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if re.match(rf"{name}[ {{]", line))


def openssl_ns(length):
    """Nanoseconds that a message of so many bytes takes the machine's fastest single stream of SHA-256."""
    command = ["openssl", "speed", "-seconds", "1", "-bytes", str(length), "-evp", "sha256"]
    told = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True, text=True).stdout
    return length / float(re.search(r"^sha256\s+([\d.]+)k", told, re.MULTILINE)[1]) * 1e6
