"""Signs with sigstore-python against a log of Rekor's version 2 and verifies what it gets: a blob by its command
and by its API, an attestation by its API. Then it has to refuse bundles in which one thing was changed.

    client.py CONFIG OTHER_CONFIG TOKEN_URL CHANGEBUNDLE WORK

CONFIG is a folder with trusted_root.json and signing_config.json, OTHER_CONFIG one with another key for the log,
CHANGEBUNDLE the program of that name. A line tells of each check; exits 1 where one failed.
"""

import base64
import json
import subprocess
import sys
import urllib.request
from pathlib import Path

from sigstore.dsse import StatementBuilder, Subject
from sigstore.models import Bundle, ClientTrustConfig
from sigstore.oidc import IdentityToken
from sigstore.sign import SigningContext
from sigstore.verify import Verifier, policy

SUBJECT = "alice@example.com"
BLOB = b"a blob, by Python"
DIGEST = "0d" * 32

# What this client does not see changed, and why that does no harm.
UNREAD = {
    "log-id": "the key is found by the ID in the checkpoint's signature",
    "log-index": "the index is read in the proof",
    "checkpoint-name": "the key alone tells whose signature it is",
    "cosigned": "a witness may sign too",
    "promise": "it is read only beside a time, which such an entry has not",
}

failed = 0


def check(what, attempt):
    """A check that passes where `attempt` raises nothing."""
    global failed
    try:
        result = attempt()
    except Exception as error:
        failed += 1
        print(f"FAILED  {what}: {line(error)}", flush=True)
        return None
    print(f"ok      {what}", flush=True)
    return result


def refused(what, attempt):
    """A check that passes where `attempt` raises an error, which it shows."""
    global failed
    try:
        attempt()
    except Exception as error:
        print(f"ok      {what}: refused: {line(error)}", flush=True)
        return
    failed += 1
    print(f"FAILED  {what}: accepted", flush=True)


def line(error):
    text = " ".join(str(error).split()) or "without a word"
    return f"{type(error).__name__}: {text[:200]}"


def main(config, other_config, token_url, changebundle, work):
    work = Path(work)
    trust = client_trust_config(Path(config), work / "client_trust_config.json")
    strange = client_trust_config(Path(other_config), work / "other_trust_config.json")
    token = urllib.request.urlopen(token_url, timeout=10).read().decode()
    signs_by_command(work, token)
    signer = check("a certificate from Fulcio", lambda: signer_of(trust, token))
    if signer is None:
        return failed
    verifier = Verifier(trusted_root=trust.trusted_root)
    stranger = Verifier(trusted_root=strange.trusted_root)
    for what, sign, verifying in [
        ("blob", lambda n: signer.sign_artifact(BLOB), verify_blob),
        ("attestation", lambda n: signer.sign_dsse(statement(n)), verify_statement),
    ]:
        verify = verifying(verifier)
        other = check(f"{what}: signed", lambda: sign(1))
        bundle = check(f"{what}: signed again", lambda: sign(2))  # not alone in its log
        if bundle is None or other is None:
            continue
        check("... and verified", lambda: verify(bundle.to_json()))
        check("... the other too", lambda: verify(other.to_json()))
        refuses(what, bundle, other, verify, changebundle, work)
        refused(f"{what}, by a log with another key", lambda: verifying(stranger)(bundle.to_json()))
    return failed


def client_trust_config(config, file):
    """Python's two files in one, as its command takes them."""
    file.write_text(
        json.dumps(
            {
                "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
                "trustedRoot": json.loads((config / "trusted_root.json").read_text()),
                "signingConfig": json.loads((config / "signing_config.json").read_text()),
            }
        )
    )
    return ClientTrustConfig.from_json(file.read_text())


def signer_of(trust, token):
    with SigningContext.from_trust_config(trust).signer(IdentityToken(token)) as signer:
        return signer


def statement(n):
    subject = Subject(name=f"file {n}", digest={"sha256": DIGEST})
    return (
        StatementBuilder([subject])
        .predicate_type("https://example.com/p")
        .predicate({"n": n})
        .build()
    )


def verify_blob(verifier):
    def verify(text, blob=BLOB, who=SUBJECT):
        bundle = Bundle.from_json(text)
        verifier.verify_artifact(blob, bundle, policy.Identity(identity=who))

    return verify


def verify_statement(verifier):
    def verify(text, who=SUBJECT):
        kind, payload = verifier.verify_dsse(Bundle.from_json(text), policy.Identity(identity=who))
        assert kind == "application/vnd.in-toto+json", kind
        assert DIGEST.encode() in payload, payload

    return verify


def refuses(what, bundle, other, verify, changebundle, work):
    """Each change of a bundle, what was signed, and who signed."""
    folder = work / f"changed-{what}"
    folder.mkdir()
    (work / f"{what}.json").write_text(bundle.to_json())
    (work / f"{what}-other.json").write_text(other.to_json())
    subprocess.run(
        [changebundle, work / f"{what}.json", work / f"{what}-other.json", folder], check=True
    )
    for file in sorted(folder.iterdir()):
        name = f"{what}, changed in {file.stem}"
        if file.stem in UNREAD:
            check(f"{name}: accepted, for {UNREAD[file.stem]}", lambda: verify(file.read_text()))
        else:
            refused(name, lambda: verify(file.read_text()))
    refused(f"{what}, another signer", lambda: verify(bundle.to_json(), who="bob@example.com"))
    if what == "blob":
        refused("another blob", lambda: verify(bundle.to_json(), blob=b"another blob"))


def signs_by_command(work, token):
    """The same by `sigstore`, as people call it."""
    blob, bundle = work / "by-command", work / "by-command.json"
    blob.write_bytes(BLOB)
    trust = ["--trust-config", work / "client_trust_config.json"]
    sigstore = [sys.executable, "-m", "sigstore", *trust]
    who = ["--cert-identity", SUBJECT, "--cert-oidc-issuer", issuer(token)]

    def sign():
        command(*sigstore, "sign", "--identity-token", token, "--bundle", bundle, blob)

    def verify():
        command(*sigstore, "verify", "identity", *who, "--bundle", bundle, blob)

    check("sigstore sign", sign)
    check("sigstore verify", verify)
    blob.write_bytes(b"another blob")
    refused("sigstore verify, another blob", verify)


def issuer(token):
    body = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))["iss"]


def command(*words):
    ran = subprocess.run(words, capture_output=True, text=True, timeout=120)
    if ran.returncode != 0:
        raise RuntimeError((ran.stderr or ran.stdout)[-400:])


if __name__ == "__main__":
    if len(sys.argv) != 6:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    sys.exit(1 if main(*sys.argv[1:]) else 0)
