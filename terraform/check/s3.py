"""An S3 on this machine that enforces policies, for `enforce.py`.

The store, the signatures, the sessions of roles and their policies are moto's. What moto does not look at is decided here
before it, by iam.py: policies of buckets, conditions, and each object of a removal of many. A request has to pass both.
"""

import json
import re
import threading
from urllib.parse import unquote
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import boto3
import moto.s3.models
from moto import settings
from moto.iam.access_control import IAMRequestBase
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

import iam

ACCOUNT = "123456789012"

# moto computes the signature of a query over what it has decoded, so that no listing below a prefix has the right one.
_check_signature = IAMRequestBase.check_signature
IAMRequestBase.check_signature = lambda request: None if "prefix=" in request._path else _check_signature(request)


class Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, *_):
        pass


def serve(application):
    """Runs an application on a free port; returns its URL."""
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


class S3:
    """Buckets with policies, and roles. `seen` is what was asked for: role, action, resource, and whether it was allowed."""

    def __init__(self, bucket_policies, roles):
        self.bucket_policies, self.roles = bucket_policies, roles
        self.sessions, self.seen, self.lock = {}, [], threading.Lock()
        self.moto = DomainDispatcherApplication(create_backend_app)
        self.url = serve(self)
        anybody = {"endpoint_url": self.url, "region_name": "us-east-1", "aws_access_key_id": "x", "aws_secret_access_key": "x"}
        self.open = True
        for bucket in bucket_policies:
            boto3.client("s3", **anybody).create_bucket(Bucket=bucket)
        for role, policy in roles.items():
            self._make_role(boto3.client("iam", **anybody), role, policy)
        self.credentials = {role: self._session(boto3.client("sts", **anybody), role) for role in roles}
        # From here on nobody is let in without.
        self.open = False
        settings.INITIAL_NO_AUTH_ACTION_COUNT = 0

    @staticmethod
    def _make_role(client, role, policy):
        trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]}
        client.create_role(RoleName=role, AssumeRolePolicyDocument=json.dumps(trust))
        # moto takes a statement with NotResource for one of any resource.
        statements = [s for s in policy["Statement"] if "NotResource" not in s]
        client.put_role_policy(RoleName=role, PolicyName="log", PolicyDocument=json.dumps({**policy, "Statement": statements}))

    def _session(self, client, role):
        arn = f"arn:aws:iam::{ACCOUNT}:role/{role}"
        given = client.assume_role(RoleArn=arn, RoleSessionName="check")["Credentials"]
        self.sessions[given["AccessKeyId"]] = role
        return {
            "AWS_ACCESS_KEY_ID": given["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": given["SecretAccessKey"],
            "AWS_SESSION_TOKEN": given["SessionToken"],
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": self.url,
        }

    def client(self, role):
        given = self.credentials[role]
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name=given["AWS_REGION"],
            aws_access_key_id=given["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=given["AWS_SECRET_ACCESS_KEY"],
            aws_session_token=given["AWS_SESSION_TOKEN"],
        )

    # --- what stands in it, past all policies ---

    @property
    def backend(self):
        return moto.s3.models.s3_backends[ACCOUNT]["aws"]

    def names(self, bucket):
        return sorted(self.backend.buckets[bucket].keys.keys())

    def read(self, bucket, name):
        key = self.backend.get_object(bucket, name)
        return None if key is None else (key.value, dict(key.metadata).get("Content-Type", "application/octet-stream"))

    # --- requests ---

    def __call__(self, environ, start_response):
        if self.open:
            return self.moto(environ, start_response)
        with self.lock:  # S3 decides conditions of one object one after the other; moto does not
            return self._answer(environ, start_response)

    def _answer(self, environ, start_response):
        signed = re.search(r"Credential=([^/]+)/", environ.get("HTTP_AUTHORIZATION", ""))
        role = self.sessions.get(signed[1]) if signed else None
        bucket, _, name = unquote(environ["PATH_INFO"]).lstrip("/").partition("/")
        query = {part.split("=")[0] for part in environ["QUERY_STRING"].split("&") if part}
        if environ["REQUEST_METHOD"] == "POST" and "delete" in query:
            return self._delete_many(role, bucket, environ, start_response)
        action = action_of(environ["REQUEST_METHOD"], name, query)
        if not self.decide(role, action, bucket, name, environ):
            return denied(start_response)
        # Whoever may not list is not told that an object is missing.
        if action == "s3:GetObject" and self.read(bucket, name) is None and not self.decide(role, "s3:ListBucket", bucket, "", environ):
            return denied(start_response)
        answer = []

        def started(status, headers, *rest):
            # What moto itself denied.
            if status.startswith("403"):
                self.seen[-1] = (*self.seen[-1][:3], False)
            answer.append(status)
            return start_response(status, headers, *rest)

        return [b"".join(self.moto(environ, started))]

    def decide(self, role, action, bucket, name, environ):
        context = {"aws:securetransport": "true", "aws:principalarn": f"arn:aws:iam::{ACCOUNT}:role/{role}"}
        for header in ("if-match", "if-none-match"):
            value = environ.get("HTTP_" + header.upper().replace("-", "_"))
            if value is not None:
                context[f"s3:{header}"] = value
        resource = f"arn:aws:s3:::{bucket}" + (f"/{name}" if name else "")
        policies = [self.roles[role]] if role else []
        request = iam.Request(action, resource, context)
        allowed = iam.decide(request, role, policies, self.bucket_policies.get(bucket)).allowed
        self.seen.append((role, action, resource, allowed))
        return allowed

    def _delete_many(self, role, bucket, environ, start_response):
        """S3 decides of each by itself, and answers 200."""
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        answer = []
        for key in ElementTree.fromstring(body).iterfind(".//{*}Object/{*}Key"):
            if self.decide(role, "s3:DeleteObject", bucket, key.text, environ):
                self.backend.delete_object(bucket, key.text)
                answer.append(f"<Deleted><Key>{escape(key.text)}</Key></Deleted>")
            else:
                answer.append(f"<Error><Key>{escape(key.text)}</Key><Code>AccessDenied</Code><Message>Access Denied</Message></Error>")
        return xml(start_response, "200 OK", f"<DeleteResult>{''.join(answer)}</DeleteResult>")


def action_of(method, name, query):
    """https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html"""
    if name:
        return {"GET": "s3:GetObject", "HEAD": "s3:GetObject", "PUT": "s3:PutObject", "POST": "s3:PutObject", "DELETE": "s3:DeleteObject"}[method]
    rules = {
        "policy": "BucketPolicy",
        "versioning": "BucketVersioning",
        "lifecycle": "LifecycleConfiguration",
        "acl": "BucketAcl",
        "publicAccessBlock": "BucketPublicAccessBlock",
        "ownershipControls": "BucketOwnershipControls",
    }
    for part, rule in rules.items():
        if part in query:
            # S3 has few rights to delete a rule: of most, it is the right to put one.
            verb = {"GET": "Get", "PUT": "Put", "DELETE": "Delete" if part == "policy" else "Put"}[method]
            return f"s3:{verb}{rule}"
    if method in ("GET", "HEAD"):
        return "s3:ListBucket"
    return {"PUT": "s3:CreateBucket", "DELETE": "s3:DeleteBucket"}[method]


class Cdn:
    """What CloudFront shows of a bucket: what the bucket's policy lets a distribution read, and 404 where there is nothing."""

    def __init__(self, store, bucket, origin_path, distribution):
        self.store, self.bucket, self.origin_path, self.distribution = store, bucket, origin_path, distribution
        self.url = serve(self)

    def __call__(self, environ, start_response):
        name = (self.origin_path + unquote(environ["PATH_INFO"])).lstrip("/")
        if not self._may("s3:GetObject", f"arn:aws:s3:::{self.bucket}/{name}"):
            return denied(start_response)
        with self.store.lock:
            found = self.store.read(self.bucket, name)
        if found is None and not self._may("s3:ListBucket", f"arn:aws:s3:::{self.bucket}"):
            return denied(start_response)
        if found is None:
            return xml(start_response, "404 Not Found", "<Error><Code>NoSuchKey</Code></Error>")
        body, content_type = found
        start_response("200 OK", [("Content-Type", content_type), ("Content-Length", str(len(body)))])
        return [body]

    def _may(self, action, resource):
        context = {"aws:securetransport": "true", "aws:sourcearn": self.distribution}
        policy = self.store.bucket_policies[self.bucket]
        return iam.decide(iam.Request(action, resource, context), "cloudfront.amazonaws.com", [], policy).allowed


def denied(start_response):
    return xml(start_response, "403 Forbidden", "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>")


def xml(start_response, status, text):
    body = ('<?xml version="1.0" encoding="UTF-8"?>' + text).encode()
    start_response(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
    return [body]
