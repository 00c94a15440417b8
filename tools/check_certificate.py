#!/usr/bin/env python3
"""Checks the certificate of a drill without unwipe and without the vault.

Written from docs/guide/drills.md ("What is signed") and docs/format/vault-v1.md section 10. It needs one package:

    pip install cryptography

Usage:
    check_certificate.py FILE [--signer HEX]... [--vault-key KEY]...

HEX is the public key that signs an installation's certificates, as `unwipe drill verify` prints it on the installation
itself; KEY is a key of the vault as `unwipe head key` prints it. Without them it is said that nothing was compared with.

Exit code: 0 it holds and the drill did not fail, 2 usage, 20 it does not hold, or the drill failed.
"""

import argparse
import json
import pathlib
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from check_head import Checkpoint, Key, Refused, commit_leaf, leaf_hash, read_inclusion, root_from_inclusion

PURPOSE = b"unwipe/v1/certificate\0"
AGAINST = ["nothing", "stored", "second-restore", "production"]


def refuse_number(text):
    raise Refused(f"a certificate has no fractions: {text}")


def unique(pairs):
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise Refused("a field is there twice")
    return fields


def canonical(document):
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def check_signature(certificate, signers):
    if set(certificate) != {"statement", "signer", "signature"}:
        raise Refused("this is no certificate")
    signer, signature = certificate["signer"].lower(), bytes.fromhex(certificate["signature"])
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(signer))
        key.verify(signature, PURPOSE + canonical(certificate["statement"]))
    except InvalidSignature as error:
        raise Refused("the signature does not fit: the certificate was changed after it was signed") from error
    if signers and signer not in [text.lower() for text in signers]:
        raise Refused(f"it was signed by {signer}, and not by a key that counts")


def judge(statement):
    """What the drill came to, by what it found."""
    counts = statement["counts"]
    if counts["equal"] + counts["different"] != counts["compared"]:
        raise Refused("its counts do not add up")
    named, total = len(statement["differences"]), statement["differences_total"]
    if named > total or (named == 0 and total > 0):
        raise Refused("it names other differences than it counts")
    if any(
        [
            counts["different"] > 0,
            total > 0,
            any(check["result"] == "failed" for check in statement["checks"]),
            any(not probe["held"] for probe in statement["probes"]),
        ]
    ):
        return "failed"
    if AGAINST.index(statement["against"]) > 0 and counts["equal"] > 0:
        return "proven"
    return "hypothesis"


def check_tree(statement, given):
    """Checks what binds the certificate to the vault's tree; returns what that is, in words."""
    tree = statement["tree"]
    if tree["form"] == "none":
        return "bound to no tree head"
    if tree["form"] == "inclusion":
        index, proof, checkpoint = read_inclusion(tree["proof"])
    elif tree["form"] == "checkpoint":
        checkpoint = Checkpoint(tree["checkpoint"])
    else:
        raise Refused("its tree has a form that is not known")
    if checkpoint.origin != f"unwipe-vault/{statement['vault']}":
        raise Refused(f"its checkpoint belongs to {checkpoint.origin}")
    for key in [Key(text) for text in given or tree["keys"]]:
        try:
            checkpoint.check(key)
            break
        except Refused:
            continue
    else:
        raise Refused("no key of the vault signed its checkpoint")
    if tree["form"] == "checkpoint":
        return f"signed beside a tree of {checkpoint.size} commits, which does not cover the drilled one"
    commit = commit_leaf(statement["source"], statement["commit"], bytes.fromhex(statement["commit_hash"]))
    if root_from_inclusion(leaf_hash(commit), index, checkpoint.size, proof) != checkpoint.root:
        raise Refused("the drilled commit is not in the tree of its checkpoint")
    return f"commit {statement['commit']} is in the signed tree of {checkpoint.size} commits"


def check(options):
    text = pathlib.Path(options.file).read_text(encoding="utf-8")
    certificate = json.loads(text, parse_float=refuse_number, object_pairs_hook=unique)
    check_signature(certificate, options.signer)
    statement = certificate["statement"]
    if statement["format"] != 2:
        raise Refused(f"certificates of format {statement['format']} are not checked here")
    outcome = judge(statement)
    if statement["outcome"] != outcome:
        raise Refused("its outcome is not what its findings say")
    tree = check_tree(statement, options.vault_key)
    print(f"holds: {statement['source']} at {statement['position']}, {statement['at']}: {outcome}")
    print(tree)
    if statement["simulated"]:
        print("restored into a simulated place")
    if not options.signer:
        print(f"signed by {certificate['signer']}, which was compared with nothing")
    if not options.vault_key:
        print("the vault's key was compared with nothing")
    return outcome


def main():
    parser = argparse.ArgumentParser(description="Checks the certificate of a drill.")
    parser.add_argument("file")
    parser.add_argument("--signer", action="append", default=[])
    parser.add_argument("--vault-key", action="append", default=[])
    try:
        outcome = check(parser.parse_args())
    except (Refused, ValueError, KeyError, TypeError, AttributeError, UnicodeDecodeError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(20)
    sys.exit(20 if outcome == "failed" else 0)


if __name__ == "__main__":
    main()
