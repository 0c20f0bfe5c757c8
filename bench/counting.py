"""What a round asks of an object store: the proxy of the drills stands between, and counts."""

import os
import subprocess
from collections import Counter
from contextlib import contextmanager
from urllib.request import Request, urlopen

from parts import BIN, ROOT

# Where `interop/object-stores/with` puts what Kiln needs to find the store: one of these, and the bucket.
ENDPOINTS = ["AWS_ENDPOINT_URL", "AZURITE_BLOB_STORAGE_URL", "STORAGE_EMULATOR_HOST"]
STORE = "KILN_TEST_STORE"
PROXY = BIN / "faultyproxy"


def has_store():
    return STORE in os.environ


class Counted:
    """An object store, and the requests it got."""

    def __init__(self, url, steer):
        self.url, self.steer = url, steer

    def requests(self):
        """Those since the last time, by what they are about. The lease goes by time, not by rounds."""
        lines = urlopen(Request(f"{self.steer}/counts", method="POST")).read().decode().splitlines()
        requests = Counter()
        for method, kind, _, _, count in map(str.split, lines):
            if kind != "lease":
                requests[f"{method} {kind}"] += int(count)
        return requests


@contextmanager
def counted_store():
    """The object store of the environment, through the proxy. Ends the process where there is none."""
    if not has_store():
        raise SystemExit("the curve `bucket` needs an object store: interop/object-stores/with versitygw bench/curves bucket")
    subprocess.run(["go", "build", "-o", PROXY, "./cmd/faultyproxy"], check=True, cwd=ROOT / "interop" / "go")
    variable = next(name for name in ENDPOINTS if name in os.environ)
    direct = os.environ[variable]
    proxy = subprocess.Popen([PROXY, "-to", direct], stdout=subprocess.PIPE, text=True)
    try:
        os.environ[variable], steer = (proxy.stdout.readline().strip() for _ in range(2))
        yield Counted(os.environ[STORE], steer)
    finally:
        os.environ[variable] = direct
        proxy.terminate()
        proxy.wait()
