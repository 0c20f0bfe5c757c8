#!/usr/bin/env python3
"""The policies that terraform gives, enforced, with the real kiln: its sequencer and its gc run with exactly their roles,
and with the command lines that terraform gives them; what they must not do is denied.

usage: enforce.py KILN PLANS_FOLDER

See s3.py for who enforces what. Each section runs against an S3 of its own, in a process of its own.
"""

import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import botocore.exceptions
import yaml

import cost
import plans as plans_of
import s3

KILN, PLANS = sys.argv[1], sys.argv[2]
failed = 0


def check(what, holds, detail=""):
    global failed
    print(f"{'ok     ' if holds else 'FAILED '} enforce: {what}")
    if not holds:
        failed += 1
        print("\n".join(f"        {line}" for line in str(detail).splitlines()[-20:]))
    return holds


class Example:
    """What a plan gives: buckets, policies, roles, and command lines."""

    def __init__(self, plan):
        self.plan = plan
        log = "module.log."
        self.bucket, self.guard = (plan.one(f'{log}aws_s3_bucket.this["{k}"]')["bucket"] for k in ("log", "guard"))
        self.bucket_policies = {
            self.bucket: plan.policy(f'{log}aws_s3_bucket_policy.this["log"]'),
            self.guard: plan.policy(f'{log}aws_s3_bucket_policy.this["guard"]'),
        }
        self.sequencer, self.gc = (plan.one(f"{log}aws_iam_role.{role}")["name"] for role in ("sequencer", "gc"))
        self.roles = {
            self.sequencer: plan.policy(f"{log}aws_iam_role_policy.sequencer"),
            self.gc: plan.policy(f"{log}aws_iam_role_policy.gc"),
        }
        distribution = plan.one("module.cdn.aws_cloudfront_distribution.this")
        self.distribution = distribution["arn"]
        self.origin_path = distribution["origin"][0]["origin_path"]
        self.nodes = plan.resources("aws_instance")

    @property
    def root(self):
        return self.origin_path.strip("/") + ("/" if self.origin_path else "")

    def serve_args(self, node):
        """What stands in the unit of a node after the name of the image."""
        _, values = self.nodes[node]
        files = yaml.safe_load(values["user_data"])["write_files"]
        unit = next(f["content"] for f in files if f["path"].endswith("/kiln.service"))
        command = shlex.split(re.search(r"^ExecStart=(.*)$", unit, re.M)[1])
        return command[next(i for i, word in enumerate(command) if "@sha256:" in word) + 1 :]

    def gc_args(self):
        task = self.plan.one("module.gc.aws_ecs_task_definition.this")
        container = json.loads(task["container_definitions"])[0]
        assert container["entryPoint"] == ["kiln"]
        return container["command"]


# What `docker run --read-only --user 65532 --cap-drop ALL --security-opt no-new-privileges` leaves of a machine, without
# docker: a folder to write in, $1, and all else read-only; and whoever runs, owns nothing else.
CONTAINED = """
mount --make-rprivate / && mount --bind "$1" "$1" && mount -o remount,bind,ro / && shift &&
exec setpriv --reuid=65532 --regid=65532 --clear-groups --inh-caps=-all --bounding-set=-all --no-new-privs "$@"
"""


def contained(folder, *command):
    return ["unshare", "--mount", "sh", "-c", CONTAINED, "-", str(folder), *command]


class Machine:
    """This machine in the place of nodes: a folder, the log's key, and processes."""

    def __init__(self, store, example, cdn):
        self.store, self.example, self.cdn = store, example, cdn
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.folder.chmod(0o711)
        self.program = shutil.copy(KILN, self.folder)  # where it stands, others may not get to
        self.cache = self.folder / "cache"
        self.cache.mkdir()
        os.chown(self.cache, 65532, 65532)
        self.key, self.vkey, self.processes = self.folder / "log.key", "", []
        args = example.serve_args(0)
        made = self.kiln("key", "new", args[args.index("--origin") + 1], "-o", str(self.key))
        self.vkey = made.stdout.strip()
        os.chown(self.key, 65532, 65532)

    def kiln(self, *args, role=None):
        # Nothing of this machine's environment: a container has none but its PATH.
        environment = {**(self.store.credentials[role] if role else {}), "KILN_VKEY": self.vkey, "PATH": os.defpath}
        command = contained(self.cache, self.program, *args) if role else [KILN, *args]
        return subprocess.run(command, env=environment, cwd=self.folder, capture_output=True, text=True, timeout=120)

    def serve(self, node):
        """Starts a node as terraform has it, but for the places, which are this machine's."""
        args, port = self.example.serve_args(node), free_port()
        here = {
            "--listen": f"127.0.0.1:{port}",
            "--admin-listen": f"127.0.0.1:{free_port()}",
            "--key": str(self.key),
            "--cache-dir": str(self.cache / str(node)),
            "--read-url": self.cdn.url,
        }
        for flag, value in here.items():
            args[args.index(flag) + 1] = value
        said, heard = (self.folder / f"{name}-{port}" for name in ("said", "heard"))
        environment = {**self.store.credentials[self.example.sequencer], "PATH": os.defpath}
        with said.open("w") as out, heard.open("w") as messages:
            process = subprocess.Popen(contained(self.cache, self.program, *args), env=environment, cwd="/", stdout=out, stderr=messages)
        self.processes.append(process)
        awaited(lambda: process.poll() is not None or "\nready\n" in said.read_text(), 40)
        return Node(process, f"http://127.0.0.1:{port}", said, heard)

    def add(self, node, first, last):
        entries = self.folder / "entries"
        entries.write_text("".join(f"entry {n}\n" for n in range(first, last)))
        return self.kiln("add", node.url, "--lines", str(entries))

    def end(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait()


class Node:
    """A running `kiln serve`."""

    def __init__(self, process, url, said, heard):
        self.process, self.url, self.said, self.heard = process, url, said, heard

    @property
    def is_ready(self):
        return self.process.poll() is None and "\nready\n" in self.said.read_text()

    @property
    def readiness(self):
        try:
            return urllib.request.urlopen(f"{self.url}/readyz").status
        except urllib.error.HTTPError as error:
            return error.code

    def words(self):
        return self.said.read_text() + self.heard.read_text()

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        return self.process.wait(60)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def awaited(holds, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.1)
    return holds()


# --- what is shown ---


def a_life(name, example, store, machine):
    """The log is made, grows, restarts, and is read by the CDN, all under the sequencer's role."""
    node = machine.serve(0)
    if not check(f"{name}: kiln serve starts with the sequencer's role, and the command line of its node", node.is_ready, node.words()):
        return
    # Rounds of few entries: partial tiles, and then the full one that supersedes them.
    rounds = [(0, 3), (3, 4), (4, 9), (9, 300), (300, 305)]
    results = [machine.add(node, first, last) for first, last in rounds]
    check(f"{name}: it takes entries", all(r.returncode == 0 for r in results), results[-1].stderr)
    again = machine.add(node, 0, 9)
    check(f"{name}: it knows equal entries", again.returncode == 0 and again.stdout.startswith("0 "), again.stdout + again.stderr)
    rounds_cost(name, store, node)
    check(f"{name}: it ends as it should", node.stop() == 0, node.words())
    node = machine.serve(0)
    check(f"{name}: it starts again", node.is_ready, node.words())
    check(f"{name}: it dies", node.stop(signal.SIGKILL) == -signal.SIGKILL)
    node = machine.serve(0)
    recovered = awaited(lambda: machine.add(node, 305, 310).returncode == 0, 30)
    check(f"{name}: it recovers, past its own lease and the tiles that it finds", recovered, node.words())
    verified = machine.kiln("fsck", machine.cdn.url)
    check(f"{name}: a reader verifies all of it by what the CDN may read", verified.returncode == 0 and "320" in verified.stdout, verified.stdout + verified.stderr)
    if len(example.nodes) > 1:
        take_over(name, machine, node)
    else:
        check(f"{name}: it ends as it should", node.stop() == 0, node.words())
    refused = [seen for seen in store.seen if not seen[3]]
    check(f"{name}: none of its {len(store.seen)} requests was denied", not refused, refused[:5])


def rounds_cost(name, store, node):
    """What cost.py reckons with: the head, the guard, a tile, a bundle and the checkpoint; and the lease, now and then."""
    rounds, start = 10, len(store.seen)
    for n in range(rounds):
        urllib.request.urlopen(f"{node.url}/add", data=f"single {n}".encode()).close()
    seen = [(action, resource) for _, action, resource, _ in store.seen[start:] if not resource.endswith("/private/lease")]
    puts, gets = (sum(action == wanted for action, _ in seen) for wanted in ("s3:PutObject", "s3:GetObject"))
    right = puts == rounds * cost.PUTS_A_ROUND and gets == rounds * cost.GETS_A_ROUND
    check(f"{name}: a round is {puts / rounds:g} PUT and {gets / rounds:g} GET, the guard's included", right, "\n".join(map(str, seen[-10:])))


def take_over(name, machine, node):
    standby = machine.serve(1)
    check(f"{name}: a second node stands by", standby.is_ready and machine.add(standby, 0, 1).returncode == 3, standby.words())
    check(f"{name}: a balancer that asks /readyz finds the one that writes", (node.readiness, standby.readiness) == (200, 503), (node.readiness, standby.readiness))
    node.stop(signal.SIGKILL)
    took = awaited(lambda: machine.add(standby, 310, 311).returncode == 0, 30)
    check(f"{name}: it takes over from one that dies", took, standby.words())
    check(f"{name}: it ends as it should", standby.stop() == 0, standby.words())


def nothing_is_granted_that_is_not_used(name, example, store):
    unused = []
    for role in (example.sequencer, example.gc):
        for statement in store.roles[role]["Statement"]:
            if statement["Effect"] == "Deny":
                continue
            for action in s3.iam._list(statement["Action"]):
                for resource in s3.iam._list(statement["Resource"]):
                    if not any(seen[0] == role and seen[1] == action and s3.iam.matches(resource, seen[2]) for seen in store.seen):
                        unused.append(f"{role}: {action} {resource}")
    check(f"{name}: nothing is granted that was not used", not unused, "\n".join(unused))


def what_must_not_be_is_denied(name, example, store):
    root, bucket, guard = example.root, example.bucket, example.guard
    tile, partial = f"{root}tile/0/000", f"{root}tile/0/000.p/3"
    etag = store.backend.get_object(bucket, tile).etag
    policy = json.dumps({"Version": "2012-10-17", "Statement": []})
    rules = {"Rules": [{"ID": "x", "Status": "Enabled", "Filter": {}, "Expiration": {"Days": 1}}]}
    guarded = next(n for n in store.names(guard) if not n.startswith("private/"))
    put = lambda c, key, where=bucket, **condition: c.put_object(Bucket=where, Key=key, Body=b"forged", **condition)

    def many(c, keys):
        answer = c.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys]})
        assert not answer.get("Deleted"), answer
        if {e["Code"] for e in answer["Errors"]} == {"AccessDenied"}:
            raise botocore.exceptions.ClientError({"Error": {"Code": "AccessDenied"}}, "DeleteObjects")

    of_the_sequencer = {
        **{f"delete {key}": lambda c, key=key: c.delete_object(Bucket=bucket, Key=key) for key in (f"{root}checkpoint", tile, partial, f"{root}private/head")},
        "delete many at once": lambda c: many(c, [tile, partial]),
        "delete the guard": lambda c: c.delete_object(Bucket=guard, Key=guarded),
        "delete the bucket": lambda c: c.delete_bucket(Bucket=bucket),
        "put a bucket policy": lambda c: c.put_bucket_policy(Bucket=bucket, Policy=policy),
        "put a bucket policy of the guard": lambda c: c.put_bucket_policy(Bucket=guard, Policy=policy),
        "delete the bucket policy": lambda c: c.delete_bucket_policy(Bucket=bucket),
        "put a lifecycle": lambda c: c.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration=rules),
        "put versioning": lambda c: c.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"}),
        "replace a tile": lambda c: put(c, tile),
        "replace a tile that it has seen": lambda c: put(c, tile, IfMatch=etag),
        "replace the checkpoint unseen": lambda c: put(c, f"{root}checkpoint"),
        "replace the head unseen": lambda c: put(c, f"{root}private/head"),
        "replace the guard unseen": lambda c: put(c, guarded, guard),
        "write beside the log": lambda c: put(c, "else/where", IfNoneMatch="*"),
    }
    of_gc = {
        **{f"delete {key}": lambda c, key=key: c.delete_object(Bucket=bucket, Key=key) for key in (f"{root}checkpoint", tile, f"{root}private/head")},
        "delete many at once": lambda c: many(c, [tile, f"{root}tile/entries/000"]),
        "write a tile": lambda c: put(c, f"{root}tile/0/999", IfNoneMatch="*"),
        "read the head": lambda c: c.get_object(Bucket=bucket, Key=f"{root}private/head"),
        "read the guard": lambda c: c.get_object(Bucket=guard, Key=guarded),
        "delete the guard": lambda c: c.delete_object(Bucket=guard, Key=guarded),
        "put a bucket policy": lambda c: c.put_bucket_policy(Bucket=bucket, Policy=policy),
    }
    before = {b: {n: store.read(b, n) for n in store.names(b)} for b in (bucket, guard)}
    for who, role, calls in (("the sequencer", example.sequencer, of_the_sequencer), ("gc", example.gc, of_gc)):
        for what, call in calls.items():
            check(f"{name}: {who} may not {what}", is_denied(call, store.client(role)))
    after = {b: {n: store.read(b, n) for n in store.names(b)} for b in (bucket, guard)}
    check(f"{name}: and nothing changed", before == after)


def is_denied(call, client):
    try:
        call(client)
    except botocore.exceptions.ClientError as error:
        return error.response["Error"]["Code"] == "AccessDenied"
    return False


def gc_removes_partial_tiles(name, example, store, machine):
    args = example.gc_args()
    # The key of the example is nobody's.
    args[args.index("--vkey") + 1] = machine.vkey
    args += ["--grace", "1s"]
    partial = lambda: {n for n in store.names(example.bucket) if ".p/" in n}
    before, others = partial(), [n for n in store.names(example.bucket) if ".p/" not in n]
    run = machine.kiln(*args, role=example.sequencer)
    check(f"{name}: gc under the sequencer's role is denied, and says so", run.returncode == 3 and partial() == before, run.stdout + run.stderr)
    start = len(store.seen)
    run = machine.kiln(*args, role=example.gc)
    done = json.loads(run.stdout) if run.returncode == 0 else {}
    gone = before - partial()
    check(f"{name}: gc under its own role removes {len(gone)} partial tiles and bundles", done.get("removed") == len(gone) > 0, run.stdout + run.stderr)
    check(f"{name}: none of its {len(store.seen) - start} requests was denied", all(s[3] for s in store.seen[start:]))
    check(f"{name}: and nothing else is gone", others == [n for n in store.names(example.bucket) if ".p/" not in n])
    verified = machine.kiln("fsck", machine.cdn.url)
    check(f"{name}: a reader still verifies all of it", verified.returncode == 0, verified.stdout + verified.stderr)


def all_of(name, plan):
    example = Example(plan)
    store = s3.S3(example.bucket_policies, example.roles)
    cdn = s3.Cdn(store, example.bucket, example.origin_path, example.distribution)
    machine = Machine(store, example, cdn)
    try:
        a_life(name, example, store, machine)
        if failed:
            return
        gc_removes_partial_tiles(name, example, store, machine)
        nothing_is_granted_that_is_not_used(name, example, store)
        what_must_not_be_is_denied(name, example, store)
    finally:
        machine.end()


def main():
    if len(sys.argv) == 4:
        all_of(sys.argv[3], plans_of.all_plans(PLANS)[sys.argv[3]])
        sys.exit(1 if failed else 0)
    names = [name for name, plan in plans_of.all_plans(PLANS).items() if plan.resources("aws_s3_bucket")]
    codes = [subprocess.run([sys.executable, *sys.argv, name], check=False).returncode for name in names]
    sys.exit(1 if any(codes) else 0)


main()
