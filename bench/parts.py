"""What the benchmarks share: where things are built, a server and what it uses, the reference for hashing."""

import os
import re
import signal
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).absolute() / "release"
TICK = os.sysconf("SC_CLK_TCK")


def build():
    """What is measured, but for Tessera's part."""
    subprocess.run(["cargo", "build", "--release", "--package", "kiln", "--package", "kiln-bench"], check=True, cwd=ROOT)


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


def kiln(place, *options):
    """`kiln serve` of a log in the folder `place`."""
    environment = {"KILN_STATE_DIR": f"{place}/state", "KILN_LOG": "warn"}
    return Server([BIN / "kiln", "serve", "--listen", "127.0.0.1:0", f"{place}/log", *options], environment)


def openssl_ns(length):
    """Nanoseconds that a message of so many bytes takes the machine's fastest single stream of SHA-256."""
    command = ["openssl", "speed", "-seconds", "1", "-bytes", str(length), "-evp", "sha256"]
    told = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True, text=True).stdout
    return length / float(re.search(r"^sha256\s+([\d.]+)k", told, re.MULTILINE)[1]) * 1e6
