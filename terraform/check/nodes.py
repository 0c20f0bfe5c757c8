#!/usr/bin/env python3
"""What runs on nodes, taken from the plans and run here: scripts, units, and the command lines of kiln.

usage: nodes.py KILN PLANS_FOLDER

Clouds are played by moto (Secrets Manager and CloudWatch, asked by AWS's own command line), and by a few lines of HTTP.
"""

import base64
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

import boto3
import yaml
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

import plans as plans_of
from s3 import serve

KILN, PLANS = sys.argv[1], plans_of.all_plans(sys.argv[2])
SECRET = "PRIVATE+KEY+log.example.com/releases+00000000+AAAA\n"
failed = 0


def check(what, holds, detail=""):
    global failed
    print(f"{'ok     ' if holds else 'FAILED '} nodes: {what}")
    if not holds:
        failed += 1
        print("\n".join(f"        {line}" for line in str(detail).splitlines()[-20:]))


class Files:
    """What cloud-init writes on a node, in a folder."""

    def __init__(self, user_data):
        assert user_data.startswith("#cloud-config\n")
        config = yaml.safe_load(user_data)
        self.runcmd = config["runcmd"]
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.by_name = {}
        for each in config["write_files"]:
            path = self.folder / pathlib.Path(each["path"]).name
            path.write_text(each["content"])
            path.chmod(int(each["permissions"], 8))
            self.by_name[path.name] = path
        self.unit = self.by_name["kiln.service"].read_text()

    def __getitem__(self, name):
        return self.by_name[name]

    @property
    def scripts(self):
        return [path for path in self.by_name.values() if path.read_text().startswith("#!/bin/bash\n")]

    @property
    def kiln_args(self):
        command = shlex.split(re.search(r"^ExecStart=(.*)$", self.unit, re.M)[1])
        return command[next(i for i, word in enumerate(command) if "@sha256:" in word) + 1 :]


def nodes_of(plan):
    for address, values in plan.resources("aws_instance", "google_compute_instance"):
        yield address, Files(values.get("user_data") or values["metadata"]["user-data"])


def ran(command, **environment):
    base = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
    return subprocess.run(command, env={**base, **environment}, capture_output=True, text=True, timeout=60, check=False)


# --- what is written ---


def what_is_written(name, files):
    for script in files.scripts:
        run = ran(["bash", "-n", str(script)])
        check(f"{name}: {script.name} is a script", run.returncode == 0, run.stderr)
    starts = re.findall(r"^ExecStart(?:Pre)?=-?(?:/bin/bash )?(/\S+)", files.unit, re.M)
    ours = [path for path in starts if "kiln" in path and not path.startswith("/usr/bin/")]
    check(f"{name}: the unit starts what was written", ours and all(pathlib.Path(p).name in files.by_name for p in ours), starts)
    image = re.findall(r"\S+@sha256:[0-9a-f]{64}", files.unit)
    check(f"{name}: it runs what it pulled", len(image) == 2 and image[0] == image[1], image)
    check(f"{name}: no line of the unit is broken", "${" not in files.unit and "%{" not in files.unit, files.unit)
    verify_units(name, files)


def verify_units(name, files):
    """As systemd reads them. The programs that they name are put where they look for them."""
    root = pathlib.Path(tempfile.mkdtemp())
    folder = root / "etc/systemd/system"
    folder.mkdir(parents=True)
    units = [path for path in files.by_name.values() if path.suffix in (".service", ".timer")]
    for unit in units:
        shutil.copy(unit, folder)
        for program in re.findall(r"^Exec\w+=-?(/\S+)", unit.read_text(), re.M):
            place = root / program.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text("")
            place.chmod(0o755)
    for wanted in ("docker.service",):
        (folder / wanted).write_text("[Service]\nExecStart=/usr/bin/docker\n")
    if shutil.which("systemd-analyze") is None:
        check(f"{name}: systemd reads the units", False, "systemd-analyze is not installed: apt-get install systemd")
        return
    run = ran(["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", f"--root={root}", *(f"/etc/systemd/system/{u.name}" for u in units)])
    check(f"{name}: systemd reads the units", run.returncode == 0 and not run.stderr.strip(), run.stderr)


# --- what is run ---


def a_kiln(folder):
    """A log that runs, and the port of its metrics."""
    said = folder / "heard"
    process = subprocess.Popen(
        [KILN, "serve", str(folder / "log"), "--origin", "example.com/x", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"],
        env={"KILN_STATE_DIR": str(folder / "state")}, stdout=subprocess.DEVNULL, stderr=said.open("w"),
    )  # fmt: skip
    for _ in range(100):
        if found := re.search(r"admin listener.*127\.0\.0\.1:(\d+)", re.sub(r"\x1b\[[0-9;]*m", "", said.read_text())):
            return process, found[1]
        time.sleep(0.1)
    process.kill()
    raise AssertionError(said.read_text())


def on_aws(name, plan, files):
    url = serve(DomainDispatcherApplication(create_backend_app))
    client = lambda service: boto3.client(
        service, endpoint_url=url, region_name="eu-central-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    urllib.request.urlopen(f"{url}/moto-api/reset", data=b"").close()  # of another plan
    environment = dict(line.split("=", 1) for line in files["node.env"].read_text().splitlines())
    here = pathlib.Path(tempfile.mkdtemp())
    env_file = here / "node.env"
    secret = client("secretsmanager").create_secret(Name="kiln/releases/key", SecretString=SECRET)["ARN"]

    def write_env(**changes):
        env_file.write_text("".join(f"{k}={v}\n" for k, v in {**environment, **changes}.items()))

    write_env(KEY_SECRET=secret)
    common = {"AWS_ENDPOINT_URL": url, "KILN_NODE_ENV": str(env_file), "KILN_RUN": str(here / "run")}
    run = ran([str(files["fetch-key"])], **common)
    key = here / "run/key"
    right = run.returncode == 0 and key.read_text().strip() == SECRET.strip() and mode(key) == (0o600, 65532)
    check(f"{name}: fetch-key has the key, for its owner alone", right, run.stderr)

    process, port = a_kiln(here)
    write_env(ADMIN_PORT=port)
    common |= {"KILN_CACHE": str(here), "KILN_COUNTED": str(here / "counted")}
    first = ran([str(files["publish-metrics"])], **common)
    process.kill()
    process.wait()
    second = ran([str(files["publish-metrics"])], **common)
    check(f"{name}: publish-metrics hands over what Kiln says, and that it says nothing", first.returncode == second.returncode == 0, first.stderr + second.stderr)
    published = {m["MetricName"]: m["Dimensions"] for m in client("cloudwatch").list_metrics(Namespace="Kiln")["Metrics"]}
    now = time.time()
    stat = client("cloudwatch").get_metric_statistics(
        Namespace="Kiln", MetricName="Ready", Dimensions=published.get("Ready", []), StartTime=now - 300, EndTime=now + 300,
        Period=600, Statistics=["Maximum", "Minimum"],
    )["Datapoints"]  # fmt: skip
    check(f"{name}: ready while it ran, and not when it did not", [(d["Maximum"], d["Minimum"]) for d in stat] == [(1.0, 0.0)], stat)
    alarms = [v for _, v in plan.resources("aws_cloudwatch_metric_alarm") if v["namespace"] == "Kiln"]
    unknown = [a["alarm_name"] for a in alarms if dict_of(published.get(a["metric_name"])) != a["dimensions"]]
    check(f"{name}: each of {len(alarms)} alarms has a metric that is published", alarms and not unknown, (unknown, published))


def preparing(name, files, **places):
    """With commands that only say that they were called: a new disk is formatted, one with an index is not."""
    here = pathlib.Path(tempfile.mkdtemp())
    commands, called = here / "bin", here / "called"
    commands.mkdir()
    for command in ("dnf", "mkfs.ext4", "mount", "systemctl"):
        stub(commands / command, f'echo "{command} $*" >>{called}')
    stub(commands / "blkid", f"grep -qs mkfs {called}")
    stub(commands / "mountpoint", "exit 1")
    (here / "fstab").write_text("")
    (here / "devices").mkdir()
    (here / "devices/nvme-Amazon_Elastic_Block_Store_vol0123456789abcdef0").write_text("")
    if "node.env" in files.by_name:
        places["KILN_NODE_ENV"] = str(files["node.env"])
    environment = {
        "PATH": f"{commands}:{os.environ['PATH']}", "KILN_CACHE": str(here / "cache"), "KILN_FSTAB": str(here / "fstab"),
        "KILN_DEVICES": str(here / "devices"), "KILN_DEVICE": str(here / "device"), **places,
    }  # fmt: skip
    runs = [ran(["bash", str(files["prepare"])], **environment) for _ in range(2)]
    calls = called.read_text() if called.exists() else ""
    check(f"{name}: prepare runs, and again", all(r.returncode == 0 for r in runs), runs[0].stderr + runs[1].stderr)
    check(f"{name}: it formats a new disk once, and mounts it", calls.count("mkfs") == 1 and calls.count("mount ") == 2, calls)
    check(f"{name}: only Kiln sees the index", mode(here / "cache/dedup") == (0o700, 65532))
    check(f"{name}: it is in fstab once at most", len((here / "fstab").read_text().splitlines()) <= 1)


def on_google(name, files):
    """Secret Manager and the metadata server, as they answer: one on one line, the other on many."""
    asked = []

    def cloud(environ, start_response):
        path, right = environ["PATH_INFO"], True
        if path.startswith("/computeMetadata/"):
            right = environ.get("HTTP_METADATA_FLAVOR") == "Google"
            body = json.dumps({"access_token": "ya29.token", "expires_in": 3599, "token_type": "Bearer"})
        else:
            right = environ.get("HTTP_AUTHORIZATION") == "Bearer ya29.token"
            data = base64.b64encode(SECRET.encode()).decode()
            body = json.dumps({"name": "projects/1/secrets/key/versions/1", "payload": {"data": data, "dataCrc32c": "1"}}, indent=2)
        asked.append((path, right))
        body = body.encode() if right else b"{}"
        start_response("200 OK" if right else "403 Forbidden", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]

    url = serve(cloud)
    here = pathlib.Path(tempfile.mkdtemp())
    run = ran(
        ["bash", str(files["fetch-key"])],
        KILN_NODE_ENV=str(files["node.env"]), KILN_RUN=str(here), KILN_METADATA=url, KILN_SECRETS=url,
    )  # fmt: skip
    key = here / "key"
    right = run.returncode == 0 and key.read_text() == SECRET and mode(key) == (0o600, 65532)
    check(f"{name}: fetch-key has the key, for its owner alone", right, run.stderr)
    check(f"{name}: it asks who may answer, for the secret that is its own", [p for p, r in asked if r][1:] == ["/v1/projects/example-log/secrets/releases-key/versions/latest:access"], asked)


def kiln_understands(name, args, environment):
    """3 is that the store does not answer, for there is none; 2 would be that it did not understand."""
    here = pathlib.Path(tempfile.mkdtemp())
    made = ran([KILN, "key", "new", "log.example.com/releases", "-o", str(here / "key")])
    places = {"--key": str(here / "key"), "--vkey": made.stdout.strip(), "--cache-dir": str(here)}
    for flag, value in places.items():
        if flag in args:
            args[args.index(flag) + 1] = value
    run = ran([KILN, *args], **environment)
    check(f"{name}: kiln understands `{args[0]} {args[1]} ...`", run.returncode == 3, f"exit {run.returncode}\n{run.stderr}")


def stub(path, line):
    path.write_text(f"#!/bin/bash\n{line}\n")
    path.chmod(0o755)


def mode(path):
    status = path.stat()
    return status.st_mode & 0o777, status.st_uid


def dict_of(dimensions):
    return None if dimensions is None else {d["Name"]: d["Value"] for d in dimensions}


def main():
    nowhere = {"STORAGE_EMULATOR_HOST": "http://127.0.0.1:1"}
    for plan in PLANS.values():
        nodes = list(nodes_of(plan))
        for address, files in nodes:
            what_is_written(f"{plan.name} {address.rsplit('.', 1)[1]}", files)
        if not nodes:
            continue
        _, files = nodes[0]
        preparing(plan.name, files)
        if plan.resources("aws_instance"):
            on_aws(plan.name, plan, files)
        else:
            on_google(plan.name, files)
            kiln_understands(plan.name, files.kiln_args, nowhere)
            job = plan.one("module.gc.google_cloud_run_v2_job.this")["template"][0]["template"][0]["containers"][0]
            check(f"{plan.name}: gc is kiln", job["command"] == ["kiln"], job)
            kiln_understands(plan.name, job["args"], nowhere)
    sys.exit(1 if failed else 0)


main()
