#!/usr/bin/env python3
"""What a log costs in a month, as the table in terraform/README.md has it.

usage: cost.py [--check]     writes the table, or says whether it is stale

Requests and bytes are counted by what a round writes, see docs/architecture.md; `enforce` counts a round on an S3. Prices
are list prices in dollars, without taxes, discounts, free tiers and reads by readers.
"""

import pathlib
import sys

PUTS_A_ROUND = 5  # head, guard, bundle, tile, checkpoint
GETS_A_ROUND = 2  # guard, checkpoint
HOURS, SECONDS = 730, 730 * 3600
ENTRY = 1024  # bytes

# us-east-1, us-central1. From the public price lists, as far as they could be read: of R2 and of Google's storage and
# balancer in copies of September 2026 at the latest, the rest from memory. Nothing here was billed to anybody.
AWS = {"put": 5.00e-6, "get": 0.40e-6, "GB": 0.023, "disk GB": 0.08, "address": 0.005 * HOURS, "balancer": 0.0225 * HOURS, "LCU": 0.008 * HOURS}
AWS_MACHINE = {"t4g.small": 0.0168 * HOURS, "t4g.large": 0.0672 * HOURS}
AWS_SMALL = 0.40 + 10 * 0.10 + 6 * 0.30 + 0.5 + 1  # secret, alarms, metrics, handing them over, gc and messages
GOOGLE = {"put": 5.00e-6, "get": 0.40e-6, "GB": 0.020, "disk GB": 0.10, "rule": 0.025 * HOURS, "GB balanced": 0.008, "armor": 5 + 2, "armor request": 0.75e-6}
GOOGLE_MACHINE = {"e2-small": 12.23, "e2-standard-2": 48.92}
GOOGLE_SMALL = 1
R2 = {"put": 4.50e-6, "get": 0.36e-6, "GB": 0.015}


class Load:
    """Entries a second in rounds so many seconds apart."""

    def __init__(self, rate, interval):
        self.rate, self.interval = rate, interval
        rounds = SECONDS / interval
        full = rate * SECONDS / 256  # tiles of level 0, and as many bundles
        # Each round leaves a partial tile and a bundle; each full one is another, and changes the tile above.
        self.puts = PUTS_A_ROUND * rounds + 2 * full + min(full, rounds)
        self.gets = GETS_A_ROUND * rounds
        self.stored = rate * SECONDS * (ENTRY + 2 + 32 * 257 / 256) / 1e9
        # On average half a bundle and half a tile, until gc comes.
        self.partial = rounds * 128 * (ENTRY + 2 + 32) / 1e9
        self.sent = rate * SECONDS * 1.5 * ENTRY / 1e9

    def requests(self, prices):
        return self.puts * prices["put"] + self.gets * prices["get"]


def aws(load, _):
    busy = load.rate >= 1000
    machine, disk = AWS_MACHINE["t4g.large" if busy else "t4g.small"], 8 + (250 if busy else 20)
    # A unit of the balancer is 1 GB an hour, or 25 new connections a second: clients keep theirs.
    units = max(1, load.sent / HOURS) * AWS["LCU"]
    return [
        load.requests(AWS),
        machine + disk * AWS["disk GB"],
        AWS["balancer"] + units + 3 * AWS["address"],
        AWS_SMALL,
        load.stored * AWS["GB"],
    ]


def google(load, batched):
    busy = load.rate >= 1000
    machine, disk = GOOGLE_MACHINE["e2-standard-2" if busy else "e2-small"], 10 + (250 if busy else 20)
    requests = load.rate * SECONDS / (1000 if batched else 1)
    return [
        load.requests(GOOGLE),
        machine + disk * GOOGLE["disk GB"],
        GOOGLE["rule"] + load.sent * GOOGLE["GB balanced"] + GOOGLE["armor"] + requests * GOOGLE["armor request"],
        GOOGLE_SMALL,
        load.stored * GOOGLE["GB"],
    ]


def r2(load, _):
    return [load.requests(R2), None, None, 0, load.stored * R2["GB"]]


def table():
    yield "| | PUT a month | requests | machine, disk | balancer, addresses | the rest | entries of this month | **together** |"
    yield "|---|---|---|---|---|---|---|---|"
    for name, cloud in (("AWS", aws), ("Google", google), ("R2", r2)):
        for rate, interval, batched in ((10, 1, False), (10, 5, False), (1000, 1, False), (1000, 1, True)):
            if batched and cloud is not google:
                continue
            load = Load(rate, interval)
            parts = cloud(load, batched)
            cells = ["yours" if part is None else f"{part:,.1f}" if part < 10 else f"{part:,.0f}" for part in parts]
            what = f"{name}, {rate:,}/s, {interval} s" + (", by a thousand" if batched else "")
            total = sum(part or 0 for part in parts)
            yield f"| {what} | {load.puts / 1e6:.1f} M | {' | '.join(cells)} | **{total:,.0f}**{' and a machine' if None in parts else ''} |"


def main():
    path = pathlib.Path(__file__).parent.parent / "README.md"
    begin, end = "<!-- made by terraform/check/cost.py -->\n", "<!-- to here -->\n"
    text = path.read_text()
    before, rest = text.split(begin)
    new = before + begin + "\n".join(table()) + "\n" + end + rest.split(end, 1)[1]
    if sys.argv[1:] != ["--check"]:
        path.write_text(new)
    elif new != text:
        sys.exit("terraform/README.md is stale: run terraform/check/cost.py")


if __name__ == "__main__":
    main()
