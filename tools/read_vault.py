#!/usr/bin/env python3
"""Reads an unwipe vault without unwipe.

Written from docs/format/vault-v1.md alone, for the day when nothing else is left. It needs three packages:

    pip install cryptography blake3 zstandard

Usage:
    read_vault.py list    VAULT [--identity FILE] [--source NAME]
    read_vault.py verify  VAULT [--identity FILE]
    read_vault.py restore VAULT --identity FILE --source NAME --out FOLDER [--at SEQUENCE] [--stream PREFIX]
    read_vault.py postgres VAULT --identity FILE --source NAME --out FOLDER [--at SEQUENCE]

VAULT is the folder with vault.json in it. FILE is a restore key or a recovery kit as text. `restore` writes every item
that is live at the commit SEQUENCE (default: the newest) to FOLDER/<stream>/<key>. It never overwrites. `postgres` puts
the newest base of a PostgreSQL cluster and the WAL behind it together to a data directory, which a server of the same
major version starts; it then stands where the WAL of that commit ends.

Exit code: 0 done, 1 failed, 2 usage, 20 something is missing or altered (everything else was still read).
"""

import argparse
import base64
import datetime
import hashlib
import hmac
import json
import pathlib
import re
import struct
import sys

import blake3
import zstandard
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

VERSION = 1
MIB = 1 << 20
BLOCK_MAX, INDEX_MAX, PACK_MAX, ENVELOPE_MAX = 16 * MIB, 64 * MIB, 64 * MIB, 64 * MIB
HEADER_BYTES, TRAILER_BYTES = 108, 20
NO_HASH = bytes(32)


def parse_share(path):
    """Reads a page of a split key; a line that is mistyped is named."""
    text = pathlib.Path(path).read_text().upper()
    scanned = re.search(r"UNWIPE-SHARE:([A-Z2-7\s]{96,})", text)
    if scanned:
        data = base64.b32decode("".join(scanned.group(1).split())[:96])
    else:
        data = b""
        for number in range(1, 5):
            line = re.search(rf"^\s*{number}:(.*)$", text, re.M)
            symbols = "".join(line.group(1).split()).translate(str.maketrans("018", "OIB")) if line else ""
            part = base64.b32decode(symbols[:24]) if re.fullmatch("[A-Z2-7]{28}", symbols) else b""
            check = base64.b32encode(blake3.blake3(bytes([number]) + part).digest()[:5]).decode()[:4]
            if not part or symbols[24:] != check:
                raise VaultError(f"line {number} of the share in {path} is mistyped or missing")
            data += part
    if blake3.blake3(data[:56]).digest()[:4] != data[56:] or data[0] != 1:
        raise VaultError(f"the lines of the share in {path} do not belong together")
    said = re.search(r"FINGERPRINT:\s*([0-9A-F]{64})", text)
    return {"set": data[1:3] + data[4:24], "threshold": data[1], "number": data[3], "piece": data[24:56],
            "fingerprint": said.group(1).lower() if said else None}


def field_product(a, b):
    product = 0
    while b:
        product ^= a if b & 1 else 0
        a, b = (a << 1) ^ (0x11D if a & 0x80 else 0), b >> 1
    return product


def field_inverse(a):
    return next(b for b in range(1, 256) if field_product(a, b) == 1)


def combine_shares(paths):
    """Puts pages of a split key together (Lagrange at 0 over GF(256)) and returns the identity's text."""
    shares = {}
    for path in paths:
        share = parse_share(path)
        if shares and share["set"] != next(iter(shares.values()))["set"]:
            raise VaultError(f"the share in {path} belongs to another set than those before it")
        shares[share["number"]] = share
    first = next(iter(shares.values()))
    if len(shares) < first["threshold"]:
        raise VaultError(f"{len(shares)} different shares were given, {first['threshold']} are needed")
    secret = bytearray(32)
    for x, share in shares.items():
        weight = 1
        for other in shares:
            if other != x:
                weight = field_product(weight, field_product(other, field_inverse(other ^ x)))
        for i, byte in enumerate(share["piece"]):
            secret[i] ^= field_product(weight, byte)
    identity = bech32_encode("age-secret-key-", bytes(secret)).upper()
    return identity + "".join(f"\nfingerprint: {f}" for f in {s["fingerprint"] for s in shares.values()} if f)


def bech32_encode(head, data):
    bits, count, values = 0, 0, []
    for byte in data:
        bits, count = bits << 8 | byte, count + 8
        while count >= 5:
            count -= 5
            values.append(bits >> count & 31)
    if count:
        values.append(bits << (5 - count) & 31)
    state = bech32_checksum(head, values + [0] * 6) ^ 1
    symbols = values + [state >> 5 * (5 - i) & 31 for i in range(6)]
    return head + "1" + "".join(BECH32[symbol] for symbol in symbols)


class VaultError(Exception):
    """Something in the vault is missing, altered, or of another version."""


# -- encodings (section 2) ---------------------------------------------------------------------------------------------


class Decoder:
    """Takes numbers, bytes and text from a buffer, and never reads past its end."""

    def __init__(self, what, data):
        self.what, self.data, self.position = what, data, 0

    def raw(self, length):
        if length > len(self.data) - self.position:
            raise VaultError(f"the data ends in the middle of {self.what}")
        piece = self.data[self.position : self.position + length]
        self.position += length
        return piece

    def number(self, form):
        return struct.unpack("<" + form, self.raw(struct.calcsize("<" + form)))[0]

    def varint(self):
        value, shift = 0, 0
        while True:
            byte = self.raw(1)[0]
            value |= (byte & 0x7F) << shift
            if byte == 0 and shift > 0 or value >= 1 << 64:
                raise VaultError(f"a number in {self.what} is out of range")
            if byte < 0x80:
                return value
            shift += 7

    def zigzag(self):
        value = self.varint()
        return value >> 1 ^ -(value & 1)

    def text(self):
        return self.raw(self.varint()).decode("utf-8")

    def header(self, magic):
        if self.raw(8) != magic:
            raise VaultError(f"this is not a {self.what}")
        version = self.number("H")
        if version != VERSION:
            raise VaultError(f"{self.what} has format version {version}; this program reads version {VERSION}")

    def end(self):
        if self.position != len(self.data):
            raise VaultError(f"bytes follow the end of {self.what}")


# -- age files with X25519 recipients (section 3.1) --------------------------------------------------------------------

BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


def hkdf(secret, salt, info, length=32):
    return HKDF(algorithm=hashes.SHA256(), length=length, salt=salt, info=info).derive(secret)


def public_bytes(private):
    return private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def bech32_checksum(prefix, values):
    check = 1
    for value in [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix] + values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            check ^= generator if top >> bit & 1 else 0
    return check


def parse_identity(text):
    """Finds the identity in a key file or on a recovery kit; spaces and line breaks do not matter."""
    found = re.search(r"AGE-SECRET-KEY-1([A-Z0-9]{58})", re.sub(r"\[\w{4}\]|\s", "", text).upper())
    if not found:
        raise VaultError("there is no AGE-SECRET-KEY-1... in the identity file")
    values = [BECH32.index(c) if c in BECH32 else 99 for c in found.group(1).lower()]
    if max(values) > 31 or bech32_checksum("age-secret-key-", values) != 1:
        raise VaultError("the identity has a typing error")
    number = 0
    for value in values[:52]:
        number = number << 5 | value
    return X25519PrivateKey.from_private_bytes((number >> 4).to_bytes(32, "big"))


def age_base64(text):
    return base64.b64decode(text + b"=" * (-len(text) % 4))


def age_decrypt(data, identity):
    """Opens an age v1 file, or returns None when it is not for this identity."""
    head, mac_line = data.split(b"\n--- ", 1)
    mac, payload = mac_line.split(b"\n", 1)
    lines = head.split(b"\n")
    if lines[0] != b"age-encryption.org/v1":
        return None
    file_key = None
    for line, body in zip(lines[1:], lines[2:]):
        parts = line.split(b" ")
        if parts[:2] != [b"->", b"X25519"] or len(parts) != 3:
            continue
        share = age_base64(parts[2])
        shared = identity.exchange(X25519PublicKey.from_public_bytes(share))
        wrapping = hkdf(shared, share + public_bytes(identity), b"age-encryption.org/v1/X25519")
        try:
            file_key = ChaCha20Poly1305(wrapping).decrypt(bytes(12), age_base64(body), None)
        except InvalidTag:
            continue
    if file_key is None:
        return None
    expected = hmac.new(hkdf(file_key, b"", b"header"), head + b"\n---", hashlib.sha256).digest()
    if not hmac.compare_digest(expected, age_base64(mac)):
        raise VaultError("the header of the wrapped keys was altered")
    stream = ChaCha20Poly1305(hkdf(file_key, payload[:16], b"payload"))
    sealed, plain, chunk = payload[16:], b"", 65536 + 16
    for number in range(0, (len(sealed) + chunk - 1) // chunk):
        last = (number + 1) * chunk >= len(sealed)
        nonce = number.to_bytes(11, "big") + bytes([last])
        plain += stream.decrypt(nonce, sealed[number * chunk : (number + 1) * chunk], None)
    return plain


# -- sealed blocks (sections 3.2 and 3.3) ------------------------------------------------------------------------------


def unwrap(vault, purpose, data_secret, wrapped):
    private = X25519PrivateKey.from_private_bytes(data_secret)
    ephemeral, sealed = wrapped[:32], wrapped[32:]
    shared = private.exchange(X25519PublicKey.from_public_bytes(ephemeral))
    key = hkdf(shared, ephemeral + public_bytes(private), b"unwipe/v1/wrap/" + purpose + vault)
    return AESGCM(key).decrypt(bytes(12), sealed, None)


def open_block(vault, key, label, number, sealed, limit):
    associated = label + vault + struct.pack("<I", number)
    try:
        plain = AESGCM(key).decrypt(struct.pack("<I", number) + bytes(8), sealed, associated)
    except InvalidTag:
        raise VaultError("the bytes do not match their seal: they were changed, or the key is another one") from None
    codec, length = struct.unpack_from("<BI", plain)
    if length > limit:
        raise VaultError("a block is larger than the format allows")
    payload = plain[5:]
    if codec == 1:
        try:
            payload = zstandard.ZstdDecompressor().decompress(payload, max_output_size=max(length, 1))
        except zstandard.ZstdError as error:
            raise VaultError(f"the compressed bytes are broken: {error}") from None
    elif codec != 0:
        raise VaultError(f"unknown codec {codec}")
    if len(payload) != length:
        raise VaultError("the compressed bytes are broken")
    return payload


# -- the vault ---------------------------------------------------------------------------------------------------------


class Pack:
    """A pack whose key and frame positions are known (section 5)."""

    def __init__(self, vault, pack_id):
        self.vault = vault
        self.data = vault.read(f"data/{pack_id[:2]}/{pack_id}")
        if blake3.blake3(self.data).hexdigest() != pack_id:
            raise VaultError("its bytes do not hash to its name")
        if not HEADER_BYTES + TRAILER_BYTES <= len(self.data) <= PACK_MAX:
            raise VaultError("it has an impossible size")
        head = Decoder("pack", self.data[:HEADER_BYTES])
        head.header(b"UNWPACK\0")
        if head.number("H") != 0 or head.raw(16) != vault.id:
            raise VaultError("it belongs to another vault")
        self.key = vault.unwrap(b"pack", head.raw(80))
        index_at, index_length, magic = struct.unpack("<QI8s", self.data[-TRAILER_BYTES:])
        if magic != b"UNWTAIL\0" or index_at + index_length + TRAILER_BYTES != len(self.data):
            raise VaultError("its trailer is broken")
        sealed = self.data[index_at : index_at + index_length]
        self.frames = []
        index = Decoder("pack index", open_block(vault.id, self.key, b"unwipe/v1/index", 0xFFFFFFFF, sealed, INDEX_MAX))
        sealed_at, raw_at = HEADER_BYTES, 0
        for _ in range(index.varint()):
            sealed_length, raw_length = index.varint(), index.varint()
            self.frames.append((sealed_at, sealed_length, raw_at, raw_length))
            sealed_at, raw_at = sealed_at + sealed_length, raw_at + raw_length
        for _ in range(index.varint()):
            kind = index.raw(1)[0]
            raw_at -= index.varint()
            if kind in (1, 2):
                index.raw(16)
        index.end()
        if sealed_at != index_at or raw_at != 0:
            raise VaultError("its index does not fit it")
        self.opened = {}

    def frame(self, number):
        if number not in self.opened:
            sealed_at, sealed_length, _, _ = self.frames[number]
            sealed = self.data[sealed_at : sealed_at + sealed_length]
            if len(self.opened) > 32:
                self.opened.clear()
            self.opened[number] = open_block(self.vault.id, self.key, b"unwipe/v1/frame", number, sealed, BLOCK_MAX)
        return self.opened[number]

    def raw(self, offset, length):
        """Yields the bytes of a run of the raw space; it may cross frames."""
        low, high = 0, len(self.frames)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.frames[middle][2] <= offset else (low, middle)
        for number in range(low, len(self.frames)):
            if length == 0:
                return
            start = offset - self.frames[number][2]
            piece = self.frame(number)[start : start + length]
            yield piece
            offset, length = offset + len(piece), length - len(piece)
        if length:
            raise VaultError(f"the place {offset} lies outside of the pack")


class Vault:
    """A vault in a folder."""

    def __init__(self, folder, identity_text=None):
        self.folder = pathlib.Path(folder)
        manifest = self.read("vault.json")
        self.manifest = json.loads(manifest)
        if self.manifest.get("format") != "unwipe-vault":
            raise VaultError("vault.json is no vault manifest")
        if self.manifest["version"] != VERSION:
            raise VaultError(f"the vault has format version {self.manifest['version']}; this program reads {VERSION}")
        self.id = bytes.fromhex(self.manifest["vault"])
        self.secrets, self.chunk_key = [], None
        self.follow_keys(blake3.blake3(manifest).digest())
        self.packs = {}
        if identity_text is not None:
            self.unlock(identity_text, blake3.blake3(manifest).hexdigest())

    def follow_keys(self, head):
        """Reads the changes of keys that the owner signed, in order; others are nobody's."""
        self.key_changes, self.signers = [], [{"key": key} for key in self.manifest["signers"]]
        owner, sequence = self.manifest.get("owner"), 0
        folder = self.folder / "keys"
        for number in sorted(int(path.name) for path in folder.iterdir() if path.name.isdigit()):
            data = (folder / str(number)).read_bytes()
            if not data.startswith(b"UNWKEYS\0") or owner is None:
                continue
            try:
                version, flags, length = struct.unpack_from("<HHI", data, 8)
                signed, signature, wrapped = data[: 16 + length], data[16 + length : 80 + length], data[80 + length :]
                Ed25519PublicKey.from_public_bytes(bytes.fromhex(owner)).verify(signature, b"unwipe/v1/keys" + signed)
                change = json.loads(signed[16:])
                known = (change["format"], change["version"], change["vault"]) == (
                    "unwipe-keys-change", 1, self.manifest["vault"])
                chained = (change["sequence"], change["previous"]) == (sequence + 1, head.hex())
                kept = all(
                    (now["key"], now.get("source")) == (before["key"], before.get("source"))
                    and before.get("retired") in (None, now.get("retired"))
                    for before, now in zip(self.signers, change["signers"])
                ) and len(self.signers) <= len(change["signers"])
                whole = change["wrapped"] == blake3.blake3(wrapped).hexdigest()
            except (InvalidSignature, struct.error, ValueError, KeyError, TypeError):
                continue
            if (version, flags) == (1, 0) and known and chained and kept and whole:
                head, sequence, owner = blake3.blake3(signed + signature).digest(), sequence + 1, change["owner"]
                self.signers = change["signers"]
                self.key_changes.append((change["data_recipient"], wrapped))

    def check_signer(self, key, source, sequence):
        for signer in self.signers:
            last = signer.get("retired")
            if signer["key"] == key and signer.get("source") in (None, source):
                if last is None or sequence <= last.get(source, 0):
                    return
        raise VaultError("the commit is signed by a key that this vault does not know, or not here, or no more")

    def unwrap(self, purpose, wrapped):
        """Which data key an object was sealed to is found by trying: there is one for each rotation."""
        for secret in self.secrets:
            try:
                return unwrap(self.id, purpose, secret, wrapped)
            except InvalidTag:
                continue
        raise VaultError("no key here opens it")

    def read(self, name):
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError:
            raise VaultError(f"object {name} is missing") from None

    def unlock(self, text, fingerprint):
        said = re.search(r"fingerprint:\s*([0-9a-f]{64})", text)
        if said and said.group(1) != fingerprint:
            raise VaultError("vault.json is not the one that this key was made with")
        identity = parse_identity(text)
        candidates = list(reversed(self.key_changes))
        for path in sorted((self.folder / "keys").iterdir()):
            if path.name.isdigit():
                candidates.append((self.manifest["data_recipient"], path.read_bytes()))
        for expected, wrapped in candidates:
            plain = age_decrypt(wrapped, identity)
            if plain is None:
                continue
            keys = json.loads(plain)
            secret = bytes.fromhex(keys["data_secret"])
            recipient = public_bytes(X25519PrivateKey.from_private_bytes(secret)).hex()
            if keys["vault"] == self.manifest["vault"] and recipient == expected:
                self.secrets = [secret] + [bytes.fromhex(text) for text in keys.get("earlier_secrets", [])]
                self.chunk_key = bytes.fromhex(keys["chunk_key"])
                context = "unwipe/v1/content digest"
                self.digest_key = blake3.blake3(self.chunk_key, derive_key_context=context).digest()
                return
        raise VaultError("this identity does not open the vault")

    def sources(self):
        logs = self.folder / "log"
        return sorted(path.name for path in logs.iterdir()) if logs.is_dir() else []

    def sequences(self, source):
        folder = self.folder / "log" / source
        if not folder.is_dir():
            raise VaultError(f"there is no source {source}")
        return sorted(int(p.name) for p in folder.iterdir() if re.fullmatch(r"[0-9]{10}", p.name))

    def pack(self, pack_id):
        if pack_id not in self.packs:
            if len(self.packs) > 8:
                self.packs.pop(next(iter(self.packs)))
            try:
                self.packs[pack_id] = Pack(self, pack_id)
            except VaultError as error:
                raise VaultError(f"pack data/{pack_id[:2]}/{pack_id}: {error}") from None
        return self.packs[pack_id]

    def commit(self, source, sequence):
        """Reads a commit and checks all that needs no key (section 7)."""
        data = self.read(f"log/{source}/{sequence:010}")
        start = Decoder("commit", data)
        start.header(b"UNWCOMM\0")
        if start.number("H") != 0:
            raise VaultError("the commit has unknown flags")
        length = start.number("I")
        if length > ENVELOPE_MAX:
            raise VaultError("the envelope is larger than the format allows")
        envelope = Decoder("commit", start.raw(length))
        signed = data[: start.position]
        signature = start.raw(64)
        hashed, body = data[: start.position], data[start.position :]
        commit = {"hash": blake3.blake3(hashed).digest(), "body": body, "vault": envelope.raw(16)}
        commit["source"], commit["sequence"] = envelope.text(), envelope.varint()
        commit["previous"], commit["signer"] = envelope.raw(32), envelope.raw(32)
        commit["time"], commit["locked_until"] = envelope.number("q"), envelope.number("q")
        commit["retention_days"] = envelope.varint()
        commit["ledger"] = [envelope.varint() for _ in range(4)]
        commit["cursor"] = envelope.raw(envelope.varint())
        commit["packs"] = [(envelope.raw(32).hex(), envelope.varint()) for _ in range(envelope.varint())]
        commit["earlier"] = [envelope.raw(32).hex() for _ in range(envelope.varint())]
        commit["body_packs"] = [(envelope.raw(32).hex(), envelope.varint()) for _ in range(envelope.varint())]
        commit["blocks"], body_length = envelope.varint(), envelope.varint()
        body_hash, commit["wrapped"] = envelope.raw(32), envelope.raw(80)
        envelope.end()
        if commit["vault"] != self.id or (commit["source"], commit["sequence"]) != (source, sequence):
            raise VaultError("the commit belongs to another place")
        self.check_signer(commit["signer"].hex(), source, sequence)
        try:
            key = Ed25519PublicKey.from_public_bytes(commit["signer"])
            key.verify(signature, b"unwipe/v1/commit" + signed)
        except InvalidSignature:
            raise VaultError("the commit's signature does not fit its bytes") from None
        if len(body) != body_length or blake3.blake3(body).digest() != body_hash:
            raise VaultError("the commit's body is not the one that was signed")
        if sum(commit["ledger"][1:]) != commit["ledger"][0]:
            raise VaultError("the commit's ledger does not balance")
        return commit

    def chain(self, source, problems, last=None):
        """Yields the commits in order, and notes those that are missing, altered or do not follow."""
        previous, previous_time = NO_HASH, None
        sequences = self.sequences(source)
        for sequence in range(1, min(last or sequences[-1], sequences[-1]) + 1 if sequences else 1):
            try:
                commit = self.commit(source, sequence)
            except VaultError as error:
                problems.append(f"log/{source}/{sequence:010}: {error}")
                previous = None
                continue
            follows = previous is None or commit["previous"] == previous
            later = previous_time is None or commit["time"] > previous_time
            if not follows or not later:
                problems.append(f"log/{source}/{sequence:010}: the commit does not continue the one before it")
            previous, previous_time = commit["hash"], commit["time"]
            yield commit

    def changes(self, commit):
        """Opens a commit's body and yields its changes, in order."""
        for pack_id, _ in commit["body_packs"]:
            pack = self.pack(pack_id)
            for number in range(len(pack.frames)):
                yield from parse_block(pack.frame(number))
        if commit["blocks"]:
            key = self.unwrap(b"commit", commit["wrapped"])
            body = Decoder("commit body", commit["body"])
            for number in range(commit["blocks"]):
                sealed = body.raw(body.number("I"))
                yield from parse_block(open_block(self.id, key, b"unwipe/v1/block", number, sealed, BLOCK_MAX))
            body.end()

    def content(self, content):
        """Yields a content in pieces; raises at its end when the digest is not the promised one (section 6)."""
        length, leaf_bytes, digest, extents = content
        combined, pending = blake3.blake3(key=self.digest_key), bytearray()
        for extent in extents:
            for piece in self.extent(*extent):
                pending += piece
                whole = len(pending) // leaf_bytes * leaf_bytes
                for start in range(0, whole, leaf_bytes):
                    leaf = bytes(pending[start : start + leaf_bytes])
                    combined.update(blake3.blake3(leaf, key=self.chunk_key).digest())
                del pending[:whole]
                yield piece
        if pending:
            combined.update(blake3.blake3(bytes(pending), key=self.chunk_key).digest())
        combined.update(struct.pack("<Q", length))
        if combined.digest() != digest:
            raise VaultError("the content does not have the digest that the commit promises")

    def extent(self, tag, length, places):
        if tag == 0:
            while length:
                piece = bytes(min(length, MIB))
                length -= len(piece)
                yield piece
        elif tag == 1:
            (pack_id, offset), = places
            yield from self.pack(pack_id).raw(offset, length)
        else:
            (delta_id, delta_at), (base_id, base_at) = places
            for start in range(0, length, MIB):
                size = min(MIB, length - start)
                delta = b"".join(self.pack(delta_id).raw(delta_at + start, size))
                base = b"".join(self.pack(base_id).raw(base_at + start, size))
                yield (int.from_bytes(delta, "big") ^ int.from_bytes(base, "big")).to_bytes(size, "big")


def parse_block(data):
    """Yields the changes of a raw change block (section 7)."""
    block = Decoder("change block", data)
    packs = [block.raw(32).hex() for _ in range(block.varint())]
    for _ in range(block.varint()):
        tag = block.raw(1)[0]
        if tag == 1:
            stream, key, attributes = block.text(), block.text(), block.text()
            yield "upsert", stream, key, json.loads(attributes or "null"), parse_content(block, packs)
        elif tag == 2:
            yield "removed", block.text(), block.text(), None, None
        elif tag == 3:
            stream, key, _ = block.text(), block.text(), block.text()
            yield "unreadable", stream, key, json.loads(block.text()), None
        elif tag == 4:
            yield "event", None, None, json.loads(block.text()), None
        else:
            raise VaultError(f"unknown change {tag}")
    block.end()


def parse_content(block, packs):
    length, leaf_bytes, digest = block.varint(), block.varint(), block.raw(32)
    if leaf_bytes not in (1 << shift for shift in range(9, 21)):
        raise VaultError("a content has an impossible leaf size")
    extents, expected, total = [], {}, 0
    for _ in range(block.varint()):
        tag, extent_length = block.raw(1)[0], block.varint()
        if tag > 2 or extent_length == 0:
            raise VaultError("a content has an impossible extent")
        places = []
        for role in range(tag):
            pack = block.varint()
            if pack >= len(packs):
                raise VaultError("an extent names a pack that is not in the table")
            offset = expected.get((role, pack), 0) + block.zigzag()
            expected[role, pack] = offset + extent_length
            places.append((packs[pack], offset))
        extents.append((tag, extent_length, places))
        total += extent_length
    if total != length:
        raise VaultError("a content's extents do not add up to its length")
    return length, leaf_bytes, digest, extents


# -- commands ----------------------------------------------------------------------------------------------------------


def moment(micros):
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
    return (epoch + datetime.timedelta(microseconds=micros)).isoformat()


def live_items(vault, source, problems, last):
    """Applies the changes of the commits one after the other."""
    items = {}
    for commit in vault.chain(source, problems, last):
        try:
            for kind, stream, key, attributes, content in vault.changes(commit):
                if kind == "upsert":
                    items[stream, key] = attributes, content
                elif kind == "removed":
                    items.pop((stream, key), None)
        except VaultError as error:
            problems.append(f"log/{source}/{commit['sequence']:010}: {error}")
    return items


def target_path(out, stream, key):
    """Keeps every item inside the target folder, whatever its key says."""
    parts = [part for part in f"{stream}/{key}".split("/") if part not in ("", ".")]
    if not parts or ".." in parts or any("\0" in part for part in parts):
        raise VaultError(f"the key {key!r} leads outside of the target folder")
    return out.joinpath(*parts)


def command_list(vault, arguments, problems):
    for source in [arguments.source] if arguments.source else vault.sources():
        for commit in vault.chain(source, problems):
            ledger = dict(zip(("enumerated", "stored", "unchanged", "unreadable"), commit["ledger"]))
            state = "partial" if ledger["unreadable"] else "complete"
            print(f"{source} {commit['sequence']} {moment(commit['time'])} {state} {ledger['stored']} stored")
            if vault.secrets:
                for kind, stream, key, _, content in vault.changes(commit):
                    if kind in ("upsert", "removed"):
                        print(f"  {kind} {stream}/{key} {content[0] if content else ''}".rstrip())


def command_restore(vault, arguments, problems):
    out = pathlib.Path(arguments.out)
    items = live_items(vault, arguments.source, problems, arguments.at)
    folders = {f"{stream}/{key}".rpartition("/")[0] for stream, key in items}
    restored = 0
    for (stream, key), (attributes, content) in items.items():
        if arguments.stream and not stream.startswith(arguments.stream):
            continue
        try:
            path = target_path(out, stream, key)
            if is_folder(attributes):
                path.mkdir(parents=True, exist_ok=True)
            else:
                # An item may be called like the folder of others: a base and its files are.
                write_item(vault, path.with_name(path.name + ".item") if f"{stream}/{key}" in folders else path, content)
            restored += 1
        except (VaultError, OSError) as error:
            problems.append(f"{stream}/{key}: {error}")
    print(f"{restored} items restored to {out}")


def is_folder(attributes):
    return isinstance(attributes, dict) and attributes.get("kind") == "folder"


def write_item(vault, path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "xb") as file:
        for piece in vault.content(content):
            file.write(piece)


def command_postgres(vault, arguments, problems):
    out = pathlib.Path(arguments.out)
    items = live_items(vault, arguments.source, problems, arguments.at)
    bases = [key for stream, key in items if stream == "base"]
    if not bases:
        raise VaultError(f"no base of {arguments.source} is stored")
    newest = max(bases)
    base = items["base", newest][0]
    out.mkdir(mode=0o700)
    for (stream, key), (attributes, content) in sorted(items.items()):
        try:
            if stream == f"base/{newest}":
                write_entry(vault, target_path(out, "", key), attributes, content)
            elif stream == "history":
                write_item(vault, target_path(out, "pg_wal", key), content)
            elif stream == f"wal/{base['timeline']}":
                write_wal(vault, out / "pg_wal", base, int(key, 16), content)
        except (VaultError, OSError) as error:
            problems.append(f"{stream}/{key}: {error}")
    print(f"base {newest} of PostgreSQL {base['major']} and the WAL behind it are in {out}")


def write_entry(vault, path, attributes, content):
    kind = attributes["kind"]
    if kind == "folder":
        path.mkdir(parents=True, exist_ok=True)
    elif kind == "file":
        write_item(vault, path, content)
    else:
        raise VaultError(f"a link to {attributes.get('to')}: make it by hand")
    path.chmod(0o700 if kind == "folder" else 0o600)


def write_wal(vault, folder, base, lsn, content):
    """Puts a run of WAL where it belongs in the segment files that a server reads; what a segment lacks stays zero."""
    folder.mkdir(exist_ok=True)
    segment_bytes = base["wal_segment_bytes"]
    for piece in vault.content(content):
        while piece:
            number, offset = divmod(lsn, segment_bytes)
            part = piece[: segment_bytes - offset]
            high, low = divmod(number, (1 << 32) // segment_bytes)
            if lsn + len(part) > base["start_lsn"] // segment_bytes * segment_bytes:
                path = folder / f"{base['timeline']:08X}{high:08X}{low:08X}"
                with open(path, "r+b" if path.exists() else "x+b") as file:
                    file.truncate(segment_bytes)
                    file.seek(offset)
                    file.write(part)
                path.chmod(0o600)
            piece, lsn = piece[len(part) :], lsn + len(part)


def command_verify(vault, _, problems):
    commits, packs, contents = 0, {}, 0
    for source in vault.sources():
        for commit in vault.chain(source, problems):
            commits += 1
            packs.update(commit["packs"])
            packs.update(commit["body_packs"])
            for pack_id in commit["earlier"]:
                packs.setdefault(pack_id, None)
    for pack_id, size in packs.items():
        name = f"data/{pack_id[:2]}/{pack_id}"
        try:
            data = vault.read(name)
            if size not in (None, len(data)) or blake3.blake3(data).hexdigest() != pack_id:
                problems.append(f"{name}: its bytes do not hash to its name")
        except VaultError as error:
            problems.append(str(error))
    if vault.secrets:
        for source in vault.sources():
            for commit in vault.chain(source, []):
                for kind, stream, key, _, content in vault.changes(commit):
                    if kind != "upsert":
                        continue
                    contents += 1
                    try:
                        for _ in vault.content(content):
                            pass
                    except VaultError as error:
                        problems.append(f"{stream}/{key} of commit {commit['sequence']}: {error}")
    print(f"{commits} commits, {len(packs)} packs, {contents} contents checked, {len(problems)} problems")


def main():
    parser = argparse.ArgumentParser(description="Reads an unwipe vault without unwipe.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("list", "restore", "postgres", "verify"):
        command = commands.add_parser(name)
        command.add_argument("vault")
        key = command.add_mutually_exclusive_group(required=name in ("restore", "postgres"))
        key.add_argument("--identity")
        key.add_argument("--share", action="append", help="a page of a split key; give as many as are needed")
        if name != "verify":
            command.add_argument("--source", required=name in ("restore", "postgres"))
        if name in ("restore", "postgres"):
            command.add_argument("--at", type=int)
            command.add_argument("--out", required=True)
        if name == "restore":
            command.add_argument("--stream")
    arguments = parser.parse_args()
    problems = []
    try:
        identity = pathlib.Path(arguments.identity).read_text() if arguments.identity else None
        if arguments.share:
            identity = combine_shares(arguments.share)
        vault = Vault(arguments.vault, identity)
        run = {"list": command_list, "restore": command_restore, "postgres": command_postgres, "verify": command_verify}
        run[arguments.command](vault, arguments, problems)
    except (VaultError, OSError, InvalidTag, UnicodeDecodeError, json.JSONDecodeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for problem in problems:
        print(f"problem: {problem}", file=sys.stderr)
    return 20 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
