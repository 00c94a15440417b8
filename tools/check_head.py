#!/usr/bin/env python3
"""Checks tree heads of an unwipe vault without unwipe and without the vault.

Written from docs/format/vault-v1.md section 10 and the C2SP documents that it names. It needs one package, and `vault`
needs another one:

    pip install cryptography
    pip install blake3

Usage:
    check_head.py checkpoint  FILE --key KEY [--witness KEY]...
    check_head.py inclusion   FILE --key KEY [--witness KEY]... --source NAME --sequence NUMBER --hash HEX
    check_head.py consistency FILE --key KEY [--witness KEY]... --old CHECKPOINT
    check_head.py vault       FOLDER [--against CHECKPOINT]

KEY is a public key as `unwipe head key` and `unwipe witness key` print it. `checkpoint` checks what `unwipe head show`
printed; `inclusion` what `unwipe head prove` printed, for a commit with the hash that `unwipe --json log` shows;
`consistency` what `unwipe head request` printed, against a checkpoint that was kept. Every witness that is named must
have cosigned. `vault` checks every head of a vault against each other and against the commits, and the whole against a
checkpoint that was kept.

Exit code: 0 it holds, 2 usage, 20 it does not hold.
"""

import argparse
import base64
import datetime
import hashlib
import json
import pathlib
import struct
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

ED25519, COSIGNATURE = 1, 4


class Refused(Exception):
    """Something does not hold."""


# -- trees (RFC 6962) --------------------------------------------------------------------------------------------------


def leaf_hash(content):
    return hashlib.sha256(b"\x00" + content).digest()


def node_hash(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_of(leaves):
    """The definition, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return node_hash(root_of(leaves[:half]), root_of(leaves[half:]))


def root_from_inclusion(leaf, index, size, proof):
    """The root that a proof leads to: the path is walked from the root down, then hashed from the leaf up."""
    if index >= size:
        raise Refused("the index is beyond the tree")
    sides, start, end = [], 0, size
    while end - start > 1:
        middle = start + (1 << (end - start - 1).bit_length() - 1)
        sides.append(index < middle)
        start, end = (start, middle) if index < middle else (middle, end)
    if len(proof) != len(sides):
        raise Refused("the proof has another length than the path")
    root = leaf
    for left, sibling in zip(reversed(sides), proof):
        root = node_hash(root, sibling) if left else node_hash(sibling, root)
    return root


def roots_from_consistency(old_size, old_root, new_size, proof):
    """The two roots that a proof leads to (SUBPROOF of RFC 6962, unfolded)."""
    hashes = list(proof)

    def take():
        if not hashes:
            raise Refused("the proof is too short")
        return hashes.pop()

    def walk(size, count, whole):
        """Returns the roots over the first `size` and over all `count` leaves of a subtree."""
        if size == count:
            root = old_root if whole else take()
            return root, root
        half = 1 << (count - 1).bit_length() - 1
        if size <= half:
            right = take()
            old, new = walk(size, half, whole)
            return old, node_hash(new, right)
        left = take()
        old, new = walk(size - half, count - half, False)
        return node_hash(left, old), node_hash(left, new)

    roots = walk(old_size, new_size, True)
    if hashes:
        raise Refused("the proof is too long")
    return roots


def check_consistency(old_size, old_root, new_size, new_root, proof):
    if old_size > new_size:
        raise Refused(f"the tree is smaller than what was kept: {new_size} commits in place of {old_size}")
    if old_size == 0:
        if proof or (new_size == 0 and new_root != root_of([])):
            raise Refused("every tree continues the empty one, without a proof")
        return
    if roots_from_consistency(old_size, old_root, new_size, proof) != (old_root, new_root):
        raise Refused("the tree does not continue what was kept: history was replaced")


def commit_leaf(source, sequence, commit_hash):
    name = source.encode()
    return bytes([len(name)]) + name + varint(sequence) + commit_hash


def varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out + bytes([value]))


# -- notes and checkpoints (C2SP) --------------------------------------------------------------------------------------


class Key:
    def __init__(self, text):
        parts = text.strip().split("+", 2)
        if len(parts) != 3:
            raise Refused(f"{text!r} is no key")
        self.name, key_id, material = parts[0], bytes.fromhex(parts[1]), base64.b64decode(parts[2], validate=True)
        self.algorithm, self.public = material[0], material[1:]
        self.id = hashlib.sha256(self.name.encode() + b"\n" + material).digest()[:4]
        if self.id != key_id or len(self.public) != 32 or self.algorithm not in (ED25519, COSIGNATURE):
            raise Refused(f"{text!r} is no key that was copied whole")

    def holds(self, message, signature):
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
            return True
        except InvalidSignature:
            return False


class Checkpoint:
    """A signed note whose text is a checkpoint."""

    def __init__(self, text):
        text = text.replace("\r\n", "\n").strip() + "\n"
        body, separator, signatures = text.rpartition("\n\n")
        if not separator:
            raise Refused("this is no signed checkpoint")
        self.text = body + "\n"
        lines = body.split("\n")
        if len(lines) < 3 or str(int(lines[1])) != lines[1]:
            raise Refused("this is no checkpoint")
        self.origin, self.size, self.root = lines[0], int(lines[1]), base64.b64decode(lines[2], validate=True)
        self.signatures = []
        for line in signatures.strip("\n").split("\n"):
            dash, name, signature = line.split(" ")
            raw = base64.b64decode(signature, validate=True)
            if dash != "\u2014":
                raise Refused("a signature line is none")
            self.signatures.append((name, raw[:4], raw[4:]))

    def check(self, key, witnesses=()):
        """Checks the log's signature and the cosignature of every witness; returns the times of the witnesses."""
        if self.origin != key.name:
            raise Refused(f"the checkpoint belongs to {self.origin}")
        mine = [s for name, key_id, s in self.signatures if (name, key_id) == (key.name, key.id)]
        if key.algorithm != ED25519 or not any(key.holds(self.text.encode(), s) for s in mine):
            raise Refused("the checkpoint is not signed by the vault's key")
        times = {}
        for witness in witnesses:
            for name, key_id, signature in self.signatures:
                if witness.algorithm != COSIGNATURE or (name, key_id) != (witness.name, witness.id):
                    continue
                (time,) = struct.unpack(">Q", signature[:8])
                message = f"cosignature/v1\ntime {time}\n{self.text}".encode()
                if len(signature) == 72 and witness.holds(message, signature[8:]):
                    times[witness.name] = max(time, times.get(witness.name, 0))
            if witness.name not in times:
                raise Refused(f"{witness.name} did not cosign the checkpoint")
        return times


def proof_lines(lines):
    return [base64.b64decode(line, validate=True) for line in lines]


def read_inclusion(text):
    head, _, note = text.replace("\r\n", "\n").partition("\n\n")
    lines = head.split("\n")
    if lines[0] != "c2sp.org/tlog-proof@v1":
        raise Refused("this is no tlog-proof")
    lines = [line for line in lines[1:] if not line.startswith("extra ")]
    if not lines or not lines[0].startswith("index "):
        raise Refused("the proof has no index")
    return int(lines[0][6:]), proof_lines(lines[1:]), Checkpoint(note)


def read_consistency(text):
    head, _, note = text.replace("\r\n", "\n").partition("\n\n")
    lines = head.split("\n")
    if not lines[0].startswith("old "):
        raise Refused("this is no consistency proof")
    return int(lines[0][4:]), proof_lines(lines[1:]), Checkpoint(note)


# -- the heads of a vault (section 10) ---------------------------------------------------------------------------------


class Body:
    """The fields of a head's body."""

    def __init__(self, data):
        self.data, self.position = data, 0
        self.vault, self.number, self.previous = self.raw(16), self.varint(), self.raw(32)
        self.time, self.first = struct.unpack("<q", self.raw(8))[0], self.varint()
        self.leaves = [self.leaf() for _ in range(self.varint())]
        self.edge = [self.raw(32) for _ in range(self.varint())]
        self.sources = [self.leaf() for _ in range(self.varint())]
        if self.position != len(data):
            raise Refused("bytes follow the end of a tree head")

    def raw(self, length):
        if length > len(self.data) - self.position:
            raise Refused("a tree head ends too early")
        self.position += length
        return self.data[self.position - length : self.position]

    def varint(self):
        value, shift = 0, 0
        while True:
            byte = self.raw(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def leaf(self):
        return self.raw(self.varint()).decode(), self.varint(), self.raw(32)


def extend(edge, size, leaf):
    """Appends a leaf to the roots of the complete subtrees, the largest first."""
    while size & 1:
        leaf, size = node_hash(edge.pop(), leaf), size >> 1
    edge.append(leaf)


def fold(edge):
    """The root, folded from the right."""
    root = edge[-1]
    for left in reversed(edge[:-1]):
        root = node_hash(left, root)
    return root


def vault_key(manifest, public):
    name, material = f"unwipe-vault/{manifest['vault']}", bytes([ED25519]) + bytes.fromhex(public)
    key_id = hashlib.sha256(name.encode() + b"\n" + material).hexdigest()[:8]
    return Key(f"{name}+{key_id}+{base64.b64encode(material).decode()}")


def check_vault(folder, against):
    from blake3 import blake3

    def commit_hash(source, sequence):
        path = folder / "log" / source / f"{sequence:010}"
        if not path.exists():
            raise Refused(f"rolled back: a tree head covers {path}, which is gone")
        data = path.read_bytes()
        return blake3(data[: 16 + struct.unpack_from("<I", data, 12)[0] + 64]).digest()

    manifest = json.loads((folder / "vault.json").read_text(encoding="utf-8"))
    keys = [vault_key(manifest, public) for public in manifest["signers"]]
    count = len(list((folder / "heads").glob("*"))) if (folder / "heads").exists() else 0
    leaves, edge, covered, previous, time = [], [], {}, bytes(32), None
    for number in range(count):
        path = folder / "heads" / str(number)
        if not path.exists():
            raise Refused(f"{path} is missing")
        data = path.read_bytes()
        if data[:12] != b"UNWHEAD\0\x01\0\0\0":
            raise Refused(f"{path} is no tree head of version 1")
        length = struct.unpack_from("<I", data, 12)[0]
        encoded, body = data[16 : 16 + length], Body(data[16 : 16 + length])
        checkpoint = Checkpoint(data[16 + length :].decode())
        if not any(holds(checkpoint, key) for key in keys):
            raise Refused(f"{path} is not signed by a key of the vault")
        if checkpoint.text.split("\n")[3] != f"head {number} {blake3(encoded).hexdigest()}":
            raise Refused(f"the checkpoint of {path} was signed for another content")
        if (body.vault.hex(), body.number, body.previous, body.first) != (
            manifest["vault"], number, previous, len(leaves)
        ) or (time is not None and body.time <= time):
            raise Refused(f"{path} does not continue the head before it")
        for source, sequence, commit in body.leaves:
            if sequence != covered.get(source, (0,))[0] + 1:
                raise Refused(f"{path} leaves a commit of {source} out")
            if commit_hash(source, sequence) != commit:
                raise Refused(f"forked: commit {sequence} of {source} is another one than when {path} was made")
            covered[source] = (sequence, commit)
            leaf = leaf_hash(commit_leaf(source, sequence, commit))
            extend(edge, len(leaves), leaf)
            leaves.append(leaf)
        if body.sources != [(source, *covered[source]) for source in sorted(covered)]:
            raise Refused(f"{path} names other newest commits than it covers")
        if not body.leaves or (checkpoint.size, checkpoint.root, body.edge) != (len(leaves), fold(edge), edge):
            raise Refused(f"{path} has another root than its commits make")
        previous, time = blake3(data).digest(), body.time
    if leaves and fold(edge) != root_of(leaves):
        raise Refused("the edge does not lead to the root that the definition gives")
    if against:
        kept = Checkpoint(pathlib.Path(against).read_text(encoding="utf-8"))
        if not any(holds(kept, key) for key in keys):
            raise Refused("the kept checkpoint is not signed by a key of the vault")
        if kept.size > len(leaves):
            raise Refused(f"rolled back: {kept.size} commits were covered, the tree has {len(leaves)}")
        if kept.root != root_of(leaves[: kept.size]):
            raise Refused("forked: other commits stand in the place of those that were covered")
    print(f"holds: {count} tree heads, {len(leaves)} commits")


def holds(checkpoint, key):
    try:
        checkpoint.check(key)
        return True
    except Refused:
        return False


# -- commands ----------------------------------------------------------------------------------------------------------


def check(options):
    key, witnesses = Key(options.key), [Key(text) for text in options.witness]
    text = pathlib.Path(options.file).read_text(encoding="utf-8")
    if options.command == "checkpoint":
        checkpoint = Checkpoint(text)
        times = checkpoint.check(key, witnesses)
    elif options.command == "inclusion":
        index, proof, checkpoint = read_inclusion(text)
        times = checkpoint.check(key, witnesses)
        leaf = leaf_hash(commit_leaf(options.source, options.sequence, bytes.fromhex(options.hash)))
        if root_from_inclusion(leaf, index, checkpoint.size, proof) != checkpoint.root:
            raise Refused("this commit is not in the tree of the checkpoint")
    else:
        old_size, proof, checkpoint = read_consistency(text)
        times = checkpoint.check(key, witnesses)
        old = Checkpoint(pathlib.Path(options.old).read_text(encoding="utf-8"))
        old.check(key)
        if old.size != old_size:
            raise Refused(f"the proof begins at {old_size} commits, the kept checkpoint covers {old.size}")
        check_consistency(old.size, old.root, checkpoint.size, checkpoint.root, proof)
    print(f"holds: {checkpoint.origin}, {checkpoint.size} commits, root {checkpoint.root.hex()}")
    for name, time in times.items():
        moment = datetime.datetime.fromtimestamp(time, datetime.timezone.utc)
        print(f"cosigned by {name} at {moment.isoformat()}")


def main():
    parser = argparse.ArgumentParser(description="Checks tree heads of an unwipe vault.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("checkpoint", "inclusion", "consistency"):
        command = commands.add_parser(name)
        command.add_argument("file")
        command.add_argument("--key", required=True)
        command.add_argument("--witness", action="append", default=[])
        if name == "inclusion":
            command.add_argument("--source", required=True)
            command.add_argument("--sequence", type=int, required=True)
            command.add_argument("--hash", required=True)
        if name == "consistency":
            command.add_argument("--old", required=True)
    command = commands.add_parser("vault")
    command.add_argument("folder", type=pathlib.Path)
    command.add_argument("--against")
    options = parser.parse_args()
    try:
        if options.command == "vault":
            check_vault(options.folder, options.against)
        else:
            check(options)
    except (Refused, ValueError, UnicodeDecodeError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(20)


if __name__ == "__main__":
    main()
