#!/usr/bin/env python3
"""Checks the independent reader against the test vectors of the vault format: check_vectors.py docs/format/vectors"""

import json
import pathlib
import struct
import sys

import blake3

import check_head
import read_vault as reader


def main():
    folder = pathlib.Path(sys.argv[1])
    vectors = json.loads((folder / "primitives.json").read_text())
    checked = 0

    def check(what, found, expected):
        nonlocal checked
        checked += 1
        if found != expected:
            sys.exit(f"error: {what} gives {found!r}, not {expected!r}")

    for vector in vectors["varint"]:
        check("varint", reader.Decoder("vector", bytes.fromhex(vector["bytes"])).varint(), int(vector["value"]))
    for vector in vectors["zigzag"]:
        check("zigzag", reader.Decoder("vector", bytes.fromhex(vector["bytes"])).zigzag(), int(vector["value"]))
    for text in vectors["not_varint"]:
        try:
            reader.Decoder("vector", bytes.fromhex(text)).varint()
        except reader.VaultError:
            checked += 1
        else:
            sys.exit(f"error: {text} was accepted as a number")

    vector = vectors["digest"]
    key, content = bytes.fromhex(vector["chunk_key"]), bytes.fromhex(vector["content"])
    size = vector["leaf_bytes"]
    leaves = [blake3.blake3(content[i : i + size], key=key).digest() for i in range(0, len(content), size)]
    check("leaf hashes", [leaf.hex() for leaf in leaves], vector["leaf_hashes"])
    digest_key = blake3.blake3(key, derive_key_context="unwipe/v1/content digest").digest()
    digest = blake3.blake3(b"".join(leaves) + struct.pack("<Q", len(content)), key=digest_key).hexdigest()
    check("content digest", digest, vector["digest"])

    vector = vectors["wrap"]
    vault, secret = bytes.fromhex(vector["vault"]), bytes.fromhex(vector["data_secret"])
    wrapped = bytes.fromhex(vector["wrapped"])
    check("key wrap", reader.unwrap(vault, vector["purpose"].encode(), secret, wrapped).hex(), vector["key"])

    for vector in vectors["sealed"]:
        vault, key = bytes.fromhex(vector["vault"]), bytes.fromhex(vector["key"])
        sealed, label = bytes.fromhex(vector["sealed"]), vector["label"].encode()
        raw = reader.open_block(vault, key, label, vector["number"], sealed, reader.BLOCK_MAX)
        check("sealed block", raw.hex(), vector["raw"])
    vector = json.loads((folder / "tree.json").read_text(encoding="utf-8"))
    leaves = []
    for leaf in vector["leaves"]:
        content = check_head.commit_leaf(leaf["source"], leaf["sequence"], bytes.fromhex(leaf["hash"]))
        leaves.append(check_head.leaf_hash(content))
        check("leaf of the tree", leaves[-1].hex(), leaf["tree_hash"])
    roots = [check_head.root_of(leaves[:size]) for size in range(len(leaves) + 1)]
    check("roots", [root.hex() for root in roots], vector["roots"])
    key, witness = check_head.Key(vector["key"]), check_head.Key(vector["witness"])
    for index, text in enumerate(vector["inclusion"]):
        found, proof, checkpoint = check_head.read_inclusion(text)
        check("times of witnesses", checkpoint.check(key, [witness]), {witness.name: vector["cosigned_at"]})
        root = check_head.root_from_inclusion(leaves[index], found, checkpoint.size, proof)
        check("root of an inclusion proof", root, checkpoint.root)
    for old, text in enumerate(vector["consistency"]):
        old_size, proof, checkpoint = check_head.read_consistency(text)
        check("old size", old_size, old)
        check_head.check_consistency(old, roots[old], checkpoint.size, roots[checkpoint.size], proof)
    for text in vector["not_consistent"]:
        old_size, proof, checkpoint = check_head.read_consistency(text)
        try:
            check_head.check_consistency(old_size, roots[old_size], checkpoint.size, checkpoint.root, proof)
        except check_head.Refused:
            checked += 1
        else:
            sys.exit("error: a tree was accepted that continues nothing")
    print(f"{checked} vectors")


if __name__ == "__main__":
    main()
