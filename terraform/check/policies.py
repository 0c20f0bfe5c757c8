#!/usr/bin/env python3
"""Holds the plans of the examples against what this folder promises.

usage: policies.py TERRAFORM_FOLDER PLANS_FOLDER

Each function below is a promise, by its name; those that take a plan are held against each plan that has such resources.
"""

import inspect
import json
import pathlib
import re
import sys

import iam
import plans as plans_of

LOG_OBJECTS = [
    "checkpoint",
    "log.json",
    "tile/0/000",
    "tile/0/x001/234",
    "tile/0/000.p/7",
    "tile/entries/x001/067",
    "tile/entries/x001/067.p/255",
    "private/head",
    "private/lease",
    "private/probe",
    "private/copy",
]
PARTIAL = ["tile/0/000.p/7", "tile/entries/x001/067.p/255"]
PRIVATE = [name for name in LOG_OBJECTS if name.startswith("private/")]
GUARD_OBJECTS = ["0" * 64, "private/probe"]
CREATE = {"s3:if-none-match": "*", "aws:securetransport": "true"}
REPLACE = {"s3:if-match": '"etag"', "aws:securetransport": "true"}
PLAIN = {"aws:securetransport": "true"}


class Aws:
    """The buckets of a plan and who is about: asks the evaluation of policies what may be done."""

    def __init__(self, plan):
        policy = lambda address: plan.policy(f"module.log.{address}")
        self.log, self.guard = (plan.one(f'module.log.aws_s3_bucket.this["{key}"]')["bucket"] for key in ("log", "guard"))
        self.store = plan.root_of_log()
        self.bucket_policies = {
            self.log: policy('aws_s3_bucket_policy.this["log"]'),
            self.guard: policy('aws_s3_bucket_policy.this["guard"]'),
        }
        node = plan.policy("module.sequencer.aws_iam_role_policy.node")
        self.who = {
            "sequencer": [policy("aws_iam_role_policy.sequencer"), node],
            "gc": [policy("aws_iam_role_policy.gc")],
            "administrator": [{"Statement": [{"Sid": "All", "Effect": "Allow", "Action": "*", "Resource": "*"}]}],
            "cloudfront.amazonaws.com": [],
        }
        self.distribution = plan.one("module.cdn.aws_cloudfront_distribution.this")["arn"]
        self.prefix = plan.one("module.log.aws_iam_role.gc")["name"].removesuffix("-gc")

    def may(self, who, action, name, context=PLAIN, bucket=None):
        """`name` is that of an object of the log or guard; empty for the bucket itself."""
        bucket = bucket or self.log
        path = f"/{self.store if bucket == self.log else ''}{name}" if name else ""
        context = dict(context)
        if who == "cloudfront.amazonaws.com":
            context.setdefault("aws:sourcearn", self.distribution)
        else:
            context["aws:principalarn"] = f"arn:aws:iam::123456789012:role/{self.prefix}-{who}"
        request = iam.Request(action, f"arn:aws:s3:::{bucket}{path}", context)
        return iam.decide(request, who, self.who[who], self.bucket_policies[bucket]).allowed


def aws(plan):
    if not plan.resources("aws_s3_bucket"):
        return None
    distribution = plan.one("module.cdn.aws_cloudfront_distribution.this")
    plan.root_of_log = lambda: distribution["origin"][0]["origin_path"].strip("/") + ("/" if distribution["origin"][0]["origin_path"] else "")
    return Aws(plan)


# --- AWS: who may do what to the log ---


def the_sequencer_reads_and_writes_what_kiln_does(plan):
    if not (a := aws(plan)):
        return SKIP
    for name in LOG_OBJECTS:
        assert a.may("sequencer", "s3:GetObject", name), name
        assert a.may("sequencer", "s3:PutObject", name, CREATE), name
    for name in ["checkpoint", "log.json", *PRIVATE]:
        assert a.may("sequencer", "s3:PutObject", name, REPLACE), name
    for name in GUARD_OBJECTS:
        assert a.may("sequencer", "s3:GetObject", name, bucket=a.guard), name
        assert a.may("sequencer", "s3:PutObject", name, CREATE, bucket=a.guard), name
        assert a.may("sequencer", "s3:PutObject", name, REPLACE, bucket=a.guard), name
    # Or a missing object would be 403. The request of an object has no s3:prefix.
    assert a.may("sequencer", "s3:ListBucket", "") and a.may("sequencer", "s3:ListBucket", "", bucket=a.guard)


def the_sequencer_deletes_nothing(plan):
    if not (a := aws(plan)):
        return SKIP
    for bucket, names in ((a.log, LOG_OBJECTS), (a.guard, GUARD_OBJECTS)):
        for name in names:
            for action in ("s3:DeleteObject", "s3:DeleteObjectVersion", "s3:DeleteObjectTagging"):
                assert not a.may("sequencer", action, name, bucket=bucket), (action, name)
        assert not a.may("sequencer", "s3:DeleteBucket", "", bucket=bucket)


def the_sequencer_changes_no_rule_of_a_bucket(plan):
    if not (a := aws(plan)):
        return SKIP
    rules = ["Policy", "Versioning", "Acl", "OwnershipControls", "PublicAccessBlock", "ObjectLockConfiguration"]
    actions = [f"s3:PutBucket{rule}" for rule in rules]
    actions += ["s3:PutLifecycleConfiguration", "s3:PutReplicationConfiguration", "s3:PutEncryptionConfiguration", "s3:DeleteBucketPolicy"]
    for bucket in (a.log, a.guard):
        for action in actions:
            assert not a.may("sequencer", action, "", bucket=bucket), action


def even_if_it_were_given_everything_else(plan):
    """Its own policy denies, whatever another one allows."""
    if not (a := aws(plan)):
        return SKIP
    a.who["sequencer"] += a.who["administrator"]
    the_denials = [("s3:DeleteObject", "tile/0/000"), ("s3:DeleteObject", PARTIAL[0]), ("s3:PutBucketPolicy", ""), ("s3:PutLifecycleConfiguration", "")]
    for action, name in the_denials:
        assert not a.may("sequencer", action, name), (action, name)


def tiles_are_created_and_never_replaced(plan):
    if not (a := aws(plan)):
        return SKIP
    for who in ("sequencer", "administrator"):
        for name in (n for n in LOG_OBJECTS if n.startswith("tile/")):
            assert a.may(who, "s3:PutObject", name, CREATE), (who, name)
            assert not a.may(who, "s3:PutObject", name, REPLACE), (who, name)
            assert not a.may(who, "s3:PutObject", name, PLAIN), (who, name)


def no_write_is_without_a_condition(plan):
    if not (a := aws(plan)):
        return SKIP
    for who in ("sequencer", "administrator"):
        for bucket, names in ((a.log, LOG_OBJECTS), (a.guard, GUARD_OBJECTS)):
            for name in names:
                assert not a.may(who, "s3:PutObject", name, PLAIN, bucket=bucket), (who, name)


def gc_deletes_partial_tiles_and_nothing_else(plan):
    if not (a := aws(plan)):
        return SKIP
    for name in LOG_OBJECTS:
        assert a.may("gc", "s3:DeleteObject", name) == (name in PARTIAL), name
        assert not a.may("gc", "s3:DeleteObjectVersion", name), name
        assert not a.may("gc", "s3:PutObject", name, CREATE), name
        assert a.may("gc", "s3:GetObject", name) == (name == "checkpoint" or name.startswith("tile/")), name
    for name in GUARD_OBJECTS:
        for action in ("s3:GetObject", "s3:PutObject", "s3:DeleteObject"):
            assert not a.may("gc", action, name, CREATE, bucket=a.guard), (action, name)
    assert a.may("gc", "s3:ListBucket", "") and not a.may("gc", "s3:ListBucket", "", bucket=a.guard)


def nobody_else_deletes_from_a_log(plan):
    if not (a := aws(plan)):
        return SKIP
    for bucket, names in ((a.log, LOG_OBJECTS), (a.guard, GUARD_OBJECTS)):
        for name in names:
            assert not a.may("administrator", "s3:DeleteObject", name, bucket=bucket), name
            assert not a.may("administrator", "s3:DeleteObjectVersion", name, bucket=bucket), name


def a_cdn_reads_what_is_for_readers_and_nothing_else(plan):
    if not (a := aws(plan)):
        return SKIP
    cdn = "cloudfront.amazonaws.com"
    for name in LOG_OBJECTS:
        assert a.may(cdn, "s3:GetObject", name) == (name not in PRIVATE), name
        assert not a.may(cdn, "s3:PutObject", name, CREATE), name
    assert not a.may(cdn, "s3:GetObject", "something-new")
    for name in GUARD_OBJECTS:
        assert not a.may(cdn, "s3:GetObject", name, bucket=a.guard), name
    others = {**PLAIN, "aws:sourcearn": "arn:aws:cloudfront::999999999999:distribution/OTHER"}
    assert not a.may(cdn, "s3:GetObject", "checkpoint", others), "another's distribution"
    # A missing tile is 404. So GET / must not be a listing.
    assert a.may(cdn, "s3:ListBucket", "")
    assert plan.one("module.cdn.aws_cloudfront_distribution.this")["default_root_object"]


def nothing_is_sent_in_the_clear(plan):
    if not (a := aws(plan)):
        return SKIP
    for who in ("sequencer", "gc", "administrator", "cloudfront.amazonaws.com"):
        assert not a.may(who, "s3:GetObject", "checkpoint", {"aws:securetransport": "false"}), who


def a_reviewer_sees_the_policies_of_roles_before_they_are_applied(plan):
    roles = [a for a, _ in plan.resources("aws_iam_role_policy") if a.startswith("module.log.")]
    if not roles:
        return SKIP
    for address in roles:
        assert plan.before_apply(address).get("policy"), f"{address} is not known when it is planned"


def buckets_of_s3_are_private(plan):
    buckets = plan.resources("aws_s3_bucket")
    if not buckets:
        return SKIP
    blocks = plan.resources("aws_s3_bucket_public_access_block")
    assert len(blocks) == len(buckets)
    for address, values in blocks:
        for flag in ("block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets"):
            assert values[flag] is True, f"{address}: {flag}"
    for address, values in plan.resources("aws_s3_bucket_ownership_controls"):
        assert values["rule"][0]["object_ownership"] == "BucketOwnerEnforced", address


def no_policy_of_a_role_is_wider_than_it_says(plan):
    """No action is a wildcard; and a resource is one only where the action knows no other, or a condition narrows it."""
    policies = plan.resources("aws_iam_role_policy")
    if not policies:
        return SKIP
    any_resource = {"ecr:GetAuthorizationToken", "cloudwatch:PutMetricData"}
    for address, values in policies:
        for statement in json.loads(values["policy"])["Statement"]:
            if statement["Effect"] == "Deny":
                continue
            actions = listed(statement["Action"])
            assert not any("*" in action for action in actions), f"{address}: {actions}"
            if "*" in listed(statement["Resource"]):
                assert set(actions) <= any_resource, f"{address}: {actions} on everything"


def passing_a_role_is_narrowed(plan):
    found = False
    for address, values in plan.resources("aws_iam_role_policy"):
        for statement in json.loads(values["policy"])["Statement"]:
            if "iam:PassRole" in listed(statement["Action"]):
                found = True
                assert "iam:PassedToService" in statement["Condition"]["StringEquals"], address
    return None if found else SKIP


def the_key_is_never_in_the_state(plan):
    if not plan.resources("aws_secretsmanager_secret", "google_secret_manager_secret"):
        return SKIP
    assert not plan.resources("aws_secretsmanager_secret_version", "google_secret_manager_secret_version")
    assert "PRIVATE+KEY+" not in json.dumps(plan.root)


def no_machine_is_reached_but_by_its_balancer(plan):
    rules = plan.resources("aws_vpc_security_group_ingress_rule")
    if not rules:
        return SKIP
    for address, values in rules:
        if values.get("referenced_security_group_id"):
            continue
        assert ".submitters[" in address and values["from_port"] == values["to_port"] == 443, address
        assert values["cidr_ipv4"] != "0.0.0.0/0", address


def machines_give_their_role_to_nobody_who_asks_over_the_network(plan):
    machines = plan.resources("aws_instance")
    if not machines:
        return SKIP
    for address, values in machines:
        options = values["metadata_options"][0]
        assert (options["http_tokens"], options["http_put_response_hop_limit"]) == ("required", 1), address
        assert values["root_block_device"][0]["encrypted"] is True, address


def user_data_fits(plan):
    machines = plan.resources("aws_instance")
    if not machines:
        return SKIP
    for address, values in machines:
        assert len(values["user_data"].encode()) < 16 * 1024, f"{address}: more than the 16 KiB that EC2 takes"


def caches_keep_tiles_for_long_and_the_checkpoint_hardly(plan):
    policies = dict(plan.resources("aws_cloudfront_cache_policy"))
    if not policies:
        return SKIP
    by_name = {address.rsplit(".", 1)[1]: values for address, values in policies.items()}
    assert by_name["immutable"]["default_ttl"] == 31536000
    assert by_name["fresh"]["max_ttl"] <= 5
    distribution = plan.one("module.cdn.aws_cloudfront_distribution.this")
    assert [b["path_pattern"] for b in distribution["ordered_cache_behavior"]] == ["/tile/*"]
    for behavior in distribution["ordered_cache_behavior"] + distribution["default_cache_behavior"]:
        assert set(behavior["allowed_methods"]) == {"GET", "HEAD", "OPTIONS"}, "no POST by the CDN"
        assert behavior["viewer_protocol_policy"] == "redirect-to-https"
    assert all(r["error_caching_min_ttl"] <= 1 for r in distribution["custom_error_response"])


def gc_runs_on_a_schedule_as_its_own_role(plan):
    tasks = plan.resources("aws_ecs_task_definition")
    if not tasks:
        return SKIP
    for address, values in tasks:
        container = json.loads(values["container_definitions"])[0]
        assert container["command"][0] == "gc" and "@sha256:" in container["image"], address
        assert container["readonlyRootFilesystem"] is True and container["user"] != "0", address
        assert values["task_role_arn"] == plan.one("module.log.aws_iam_role.gc")["arn"], address
    assert plan.resources("aws_scheduler_schedule")


# --- Google ---

OBJECTS = "projects/_/buckets/{}/objects/"


def cel(expression, name):
    """What a condition says of a resource's name. It knows the words that the modules use, and no others."""
    def term(text):
        text = text.strip()
        negated, text = text.startswith("!"), text.removeprefix("!")
        if match := re.fullmatch(r'resource\.name == "([^"]*)"', text):
            holds = name == match[1]
        elif match := re.fullmatch(r'resource\.name\.startsWith\("([^"]*)"\)', text):
            holds = name.startswith(match[1])
        elif match := re.fullmatch(r'resource\.name\.extract\("([^"{]*)\{\w+\}"\) != ""', text):
            # From what stands before the variable, at its first place, to the end.
            holds = match[1] in name and name.split(match[1], 1)[1] != ""
        else:
            raise ValueError(f"not known here: {text}")
        return holds != negated

    return any(all(term(t) for t in each.split("&&")) for each in expression.split("||"))


class Google:
    PERMISSIONS = {
        "roles/storage.objectViewer": {"get", "list"},
        "roles/storage.objectCreator": {"create"},
        "roles/storage.legacyObjectReader": {"get"},
    }

    def __init__(self, plan):
        self.plan = plan
        self.log, self.guard = (plan.one(f'module.log.google_storage_bucket.this["{key}"]')["name"] for key in ("log", "guard"))
        role = plan.one("module.log.google_project_iam_custom_role.delete")
        assert role["permissions"] == ["storage.objects.delete"]
        # Whose a grant is stands in the module: what it comes to is the same made-up word for everybody.
        for resource in plan.planned["configuration"]["root_module"]["module_calls"]["log"]["module"]["resources"]:
            if resource["type"] == "google_storage_bucket_iam_member":
                who = resource["name"].split("_")[0]
                member = resource["expressions"]["member"]["references"][0]
                assert member == f"google_service_account.{who}.member", f"{resource['name']} is a grant to {member}"
        self.grants = [
            (address.split("google_storage_bucket_iam_member.")[1].split("[")[0], values)
            for address, values in plan.resources("google_storage_bucket_iam_member")
        ]

    def may(self, who, permission, name, bucket=None):
        bucket = bucket or self.log
        resource = OBJECTS.format(bucket) + name if name else f"projects/_/buckets/{bucket}"
        for grant, values in self.grants:
            permissions = self.PERMISSIONS.get(values["role"], {"delete"})
            conditions = values.get("condition") or []
            if grant.startswith(who) and values["bucket"] == bucket and permission in permissions:
                if all(cel(c["expression"], resource) for c in conditions):
                    return True
        return False


def google(plan):
    return Google(plan) if plan.resources("google_storage_bucket") else None


def on_google_the_sequencer_replaces_no_tile(plan):
    """To replace an object there takes the permission to delete it."""
    if not (g := google(plan)):
        return SKIP
    for name in LOG_OBJECTS:
        assert g.may("sequencer", "get", name) and g.may("sequencer", "create", name), name
        assert g.may("sequencer", "delete", name) == (not name.startswith("tile/")), name
    for name in GUARD_OBJECTS:
        assert all(g.may("sequencer", p, name, g.guard) for p in ("get", "create", "delete")), name
    assert g.may("sequencer", "list", "") and g.may("sequencer", "list", "", g.guard)


def on_google_gc_deletes_partial_tiles_and_nothing_else(plan):
    if not (g := google(plan)):
        return SKIP
    for name in LOG_OBJECTS:
        assert g.may("gc", "delete", name) == (name in PARTIAL), name
        assert not g.may("gc", "create", name), name
        assert g.may("gc", "get", name) == (name not in PRIVATE), name
    assert g.may("gc", "list", "")
    for name in GUARD_OBJECTS:
        assert not any(g.may("gc", p, name, g.guard) for p in ("get", "create", "delete")), name


def on_google_tiles_are_public_and_nothing_else(plan):
    if not (g := google(plan)):
        return SKIP
    grants = plan.resources("google_storage_bucket_iam_member", "google_storage_managed_folder_iam_member", "google_storage_bucket_iam_binding")
    public = [(a, v) for a, v in grants if v.get("member") in ("allUsers", "allAuthenticatedUsers")]
    assert [(v["managed_folder"], v["role"]) for _, v in public] == [("tile/", "roles/storage.legacyObjectReader")], public
    for address, values in plan.resources("google_storage_bucket"):
        assert values["uniform_bucket_level_access"] is True, address
        if values["name"] == g.guard:
            assert values["public_access_prevention"] == "enforced", address


def on_google_submissions_are_refused_unless_allowed(plan):
    policies = plan.resources("google_compute_security_policy")
    if not policies:
        return SKIP
    for address, values in policies:
        last = max(values["rule"], key=lambda rule: rule["priority"])
        assert last["action"] == "deny(403)" and last["match"][0]["config"][0]["src_ip_ranges"] == ["*"], address
    url_map = plan.resources("google_compute_url_map")[0][1]
    services = dict(plan.resources("google_compute_backend_service"))
    submissions = next(v for a, v in services.items() if a.endswith(".submissions"))
    assert submissions["security_policy"] and submissions["enable_cdn"] is False
    paths = {p for rule in url_map["path_matcher"][0]["path_rule"] for p in rule["paths"]}
    assert paths == {"/tile/*", "/checkpoint", "/log.json"}, "what goes around the list of submitters"


def on_google_machines_are_not_reached_but_by_their_balancer(plan):
    rules = plan.resources("google_compute_firewall")
    if not rules:
        return SKIP
    for address, values in rules:
        assert set(values["source_ranges"]) == {"35.191.0.0/16", "130.211.0.0/22"}, address
    for address, values in plan.resources("google_compute_instance"):
        assert not values["network_interface"][0].get("access_config"), f"{address} has an external address"
        assert values["shielded_instance_config"][0]["enable_secure_boot"] is True, address


# --- R2 ---


def on_r2_all_but_what_readers_see_is_refused_before_the_door_opens(plan):
    rules = plan.resources("cloudflare_ruleset")
    if not rules:
        return SKIP
    firewall = next(v["rules"][0] for _, v in rules if v["phase"] == "http_request_firewall_custom")
    assert firewall["action"] == "block" and firewall["enabled"] is True
    host = plan.one("module.log.cloudflare_r2_custom_domain.this")["domain"]

    def refused(path, at=host):
        # The rules' language, as far as this expression goes, in Python's words.
        text = firewall["expression"].replace("http.host eq", "at ==").replace("http.request.uri.path eq", "path ==")
        text = text.replace("starts_with(http.request.uri.path,", "starts_with(path,")
        return eval(text, {"__builtins__": {}}, {"at": at, "path": path, "starts_with": str.startswith})

    for name in LOG_OBJECTS:
        assert refused(f"/{name}") == (name in PRIVATE), name
    for path in ("/", "/private", "/checkpoint/", "/checkpoint2", "/tile", "/index/0", "/0" * 10):
        assert refused(path), path
    assert not refused("/private/head", at="another.example.com"), "another site of the zone"
    for address, values in plan.resources("cloudflare_r2_managed_domain"):
        assert values["enabled"] is False, address
    depends = next(
        r for m in plan.planned["configuration"]["root_module"]["module_calls"].values() for r in m["module"]["resources"]
        if r["address"] == "cloudflare_r2_custom_domain.this"
    )["depends_on"]
    assert "cloudflare_ruleset.firewall" in depends, "the gate first, then the door"


def on_r2_a_token_reaches_its_own_buckets(plan):
    tokens = plan.resources("cloudflare_account_token")
    if not tokens:
        return SKIP
    reached = {}
    for address, values in tokens:
        (policy,) = values["policies"]
        reached[re.search(r'"(\w+)"', address)[1]] = {r.rsplit("_", 1)[1] for r in json.loads(policy["resources"])}
        assert policy["effect"] == "allow" and len(policy["permission_groups"]) == 1, address
    buckets = {re.search(r'"(\w+)"', a)[1]: v["name"] for a, v in plan.resources("cloudflare_r2_bucket")}
    assert reached == {"sequencer": set(buckets.values()), "gc": {buckets["log"]}}, reached


# --- All of them ---


def the_guard_is_in_another_bucket(plan):
    buckets = plan.resources("aws_s3_bucket", "google_storage_bucket", "cloudflare_r2_bucket")
    names = {values.get("bucket") or values["name"] for _, values in buckets}
    assert len(buckets) == len(names) == 2, names


def images_are_named_by_digest(plan):
    text = json.dumps(plan.root)
    images = re.findall(r"[\w-]+(?:\.[\w-]+)+/[\w/-]*kiln(?:@sha256:[0-9a-f]{64}|:[\w.]+)", text)
    if not plan.resources("aws_instance", "google_compute_instance"):
        return SKIP
    assert images and all("@sha256:" in image for image in images), images


# --- The text of the modules ---


def what_cannot_be_had_back_is_not_destroyed(folder):
    kept = "aws_s3_bucket google_storage_bucket cloudflare_r2_bucket aws_secretsmanager_secret google_secret_manager_secret".split()
    found = 0
    for path, kind, body in resources(folder):
        if kind in kept:
            found += 1
            assert re.search(r"prevent_destroy\s*=\s*true", body), f"{path}: {kind}"
    assert found == 5, f"{found} of them"


def variables_and_outputs_are_described(folder):
    found = 0
    for path in sorted(folder.rglob("*.tf")):
        for kind, name, body in re.findall(r'^(variable|output) "(\w+)" \{\n(.*?)^\}', path.read_text(), re.M | re.S):
            found += 1
            assert re.search(r'^  description = ".{8,}"$', body, re.M), f"{path}: {kind} {name}"
            assert kind == "output" or re.search(r"^  type\s+= ", body, re.M), f"{path}: {name} has no type"
    assert found > 100, f"{found} of them"


def modules_configure_no_provider(folder):
    for path in sorted((folder / "modules").rglob("*.tf")):
        assert not re.search(r'^provider "', path.read_text(), re.M), path
    versions = sorted((folder / "modules").glob("*/versions.tf")) + sorted((folder / "examples").glob("*/versions.tf"))
    assert len(versions) == len(list((folder / "modules").iterdir())) + len(list((folder / "examples").iterdir()))
    for path in versions:
        assert "required_version" in path.read_text() and "required_providers" in path.read_text(), path


def modules_have_tests(folder):
    for module in sorted((folder / "modules").iterdir()):
        assert list(module.glob("tests/*.tftest.hcl")), f"{module} has none"


def no_lock_file_is_kept(folder):
    """One that was made here would hold hashes of providers that were made here."""
    assert not list(folder.rglob(".terraform.lock.hcl"))


def resources(folder):
    for path in sorted((folder / "modules").rglob("*.tf")):
        for kind, _, body in re.findall(r'^resource "(\w+)" "(\w+)" \{\n(.*?)^\}', path.read_text(), re.M | re.S):
            yield path, kind, body


def listed(value):
    return value if isinstance(value, list) else [value]


SKIP = object()


def main():
    folder, plans = pathlib.Path(sys.argv[1]), plans_of.all_plans(sys.argv[2])
    failed = 0
    promises = [f for f in list(globals().values()) if inspect.isfunction(f) and f.__module__ == "__main__"]
    for promise in promises:
        arguments = list(inspect.signature(promise).parameters)
        if arguments == ["plan"] and promise not in (aws, google):
            held, errors = [], []
            for plan in plans.values():
                try:
                    if promise(plan) is not SKIP:
                        held.append(plan.name)
                except Exception as error:
                    errors.append(f"{plan.name}: {type(error).__name__} {error}")
            if not held and not errors:
                errors.append("no plan has anything of the kind")
        elif arguments == ["folder"] and promise is not resources:
            held, errors = [], []
            try:
                promise(folder)
            except Exception as error:
                errors.append(f"{type(error).__name__} {error}")
        else:
            continue
        words = promise.__name__.replace("_", " ")
        if errors:
            failed += 1
            print(f"FAILED  {words}")
            for error in errors:
                print(f"        {error}")
        else:
            print(f"ok      {words}" + (f" ({', '.join(held)})" if held else ""))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
