"""AWS KMS on this machine, by moto, which looks at signatures and policies.

usage: cloud.py FOLDER

Makes two keys and three users, and writes to the folder what `run` needs: keys.env, and USER.env with the credentials of
each. `signer` may sign and read public keys, `reader` may only read them, `forger` has a secret that is not the right one.
"""

import json
import pathlib
import sys
import threading

import boto3
from moto import settings
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

REGION = "eu-west-1"


class Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, *_):
        pass


def user(iam, name, actions):
    iam.create_user(UserName=name)
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]}
    iam.put_user_policy(UserName=name, PolicyName="kms", PolicyDocument=json.dumps(policy))
    return iam.create_access_key(UserName=name)["AccessKey"]


def main():
    folder = pathlib.Path(sys.argv[1])
    server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=True, request_handler=Quiet)
    url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    anybody = {"endpoint_url": url, "region_name": REGION, "aws_access_key_id": "x", "aws_secret_access_key": "x"}
    kms, iam = boto3.client("kms", **anybody), boto3.client("iam", **anybody)
    made = [kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"] for _ in range(2)]
    encrypts = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName="alias/logs/ours", TargetKeyId=made[0]["KeyId"])
    public = kms.get_public_key(KeyId=made[0]["KeyId"])["PublicKey"]
    (folder / "public.der").write_bytes(public)
    users = {
        "signer": user(iam, "signer", ["kms:Sign", "kms:GetPublicKey"]),
        "reader": user(iam, "reader", ["kms:GetPublicKey"]),
        "forger": {**user(iam, "forger", ["kms:*"]), "SecretAccessKey": "another"},
    }
    for name, key in users.items():
        words = {
            "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
            "AWS_ENDPOINT_URL_KMS": url,
            "AWS_REGION": REGION,
        }
        (folder / f"{name}.env").write_text("".join(f"{word}={value}\n" for word, value in words.items()))
    # From here on nobody is let in without.
    settings.INITIAL_NO_AUTH_ACTION_COUNT = 0
    keys = {"arn": made[0]["Arn"], "id": made[0]["KeyId"], "other": made[1]["KeyId"], "encrypts": encrypts}
    (folder / "keys.env").write_text("".join(f"{word}={value}\n" for word, value in keys.items()))
    print("ready", flush=True)
    threading.Event().wait()


main()
