use ring::digest::{Context, SHA256, digest};

use super::Edge;
use crate::TreeHash;

/// A tree from some size on: what lies before is known by its right edge alone, what follows leaf by leaf.
///
/// It answers every question about leaves and sizes that are not before its base; with an empty base it is whole.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    base: Edge,
    leaves: Vec<TreeHash>,
}

/// Returns the hash of a leaf with this content.
pub fn leaf_hash(content: &[u8]) -> TreeHash {
    finish(&[&[0], content])
}

/// Returns the hash of an inner node.
pub fn node_hash(left: &TreeHash, right: &TreeHash) -> TreeHash {
    finish(&[&[1], &left.0, &right.0])
}

/// Returns the root of a tree without leaves.
pub fn empty_root() -> TreeHash {
    TreeHash(array(digest(&SHA256, &[]).as_ref()))
}

fn finish(parts: &[&[u8]]) -> TreeHash {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    TreeHash(array(context.finish().as_ref()))
}

fn array(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(bytes);
    hash
}

impl Tree {
    /// Makes a tree that continues one with this edge.
    pub const fn since(base: Edge) -> Self {
        Self { base, leaves: Vec::new() }
    }

    /// Appends one leaf.
    pub fn append(&mut self, leaf: TreeHash) {
        self.leaves.push(leaf);
    }

    /// Returns the number of leaves.
    pub fn size(&self) -> u64 {
        self.base.size() + self.leaves.len() as u64
    }

    /// Returns the root of the first `size` leaves; `None` for a size before the base or beyond the end.
    pub fn root_at(&self, size: u64) -> Option<TreeHash> {
        match size {
            0 => Some(empty_root()),
            size if size <= self.size() => self.range(0, size),
            _ => None,
        }
    }

    /// Returns the proof that leaf `index` is in the tree of the first `size` leaves, from the leaf up.
    pub fn inclusion_proof(&self, index: u64, size: u64) -> Option<Vec<TreeHash>> {
        if index >= size || size > self.size() {
            return None;
        }
        let mut proof = Vec::new();
        let (mut start, mut end) = (0, size);
        while end - start > 1 {
            let middle = start + split(end - start);
            if index < middle {
                proof.push(self.range(middle, end)?);
                end = middle;
            } else {
                proof.push(self.range(start, middle)?);
                start = middle;
            }
        }
        proof.reverse();
        Some(proof)
    }

    /// Returns the proof that the tree of the first `new` leaves continues that of the first `old` ones.
    pub fn consistency_proof(&self, old: u64, new: u64) -> Option<Vec<TreeHash>> {
        if old > new || new > self.size() {
            return None;
        }
        if old == 0 || old == new {
            return Some(Vec::new());
        }
        let mut proof = Vec::new();
        let (mut start, mut end) = (0, new);
        while old < end {
            let middle = start + split(end - start);
            if old <= middle {
                proof.push(self.range(middle, end)?);
                end = middle;
            } else {
                proof.push(self.range(start, middle)?);
                start = middle;
            }
        }
        // The verifier has the old root; a node is needed only where the old tree is more than this subtree.
        if start > 0 {
            proof.push(self.range(start, end)?);
        }
        proof.reverse();
        Some(proof)
    }

    /// Returns the root over a run of leaves that begins at a border of the tree's own subdivision.
    fn range(&self, start: u64, end: u64) -> Option<TreeHash> {
        if let Some(node) = self.base.node(start, end) {
            return Some(node);
        }
        if end - start == 1 {
            let place = start.checked_sub(self.base.size())?;
            return self.leaves.get(usize::try_from(place).ok()?).copied();
        }
        let middle = start + split(end - start);
        Some(node_hash(&self.range(start, middle)?, &self.range(middle, end)?))
    }
}

/// Returns the largest power of two below `length`, which is at least 2.
const fn split(length: u64) -> u64 {
    1 << (length - 1).ilog2()
}

/// Returns whether a proof shows that a leaf is the one at `index` in the tree of this size and root (RFC 9162 §2.1.3.2).
pub fn verify_inclusion(leaf: &TreeHash, index: u64, size: u64, proof: &[TreeHash], root: &TreeHash) -> bool {
    if index >= size {
        return false;
    }
    let (mut place, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if place & 1 == 1 || place == last {
            hash = node_hash(sibling, &hash);
            while place & 1 == 0 && place != 0 {
                place >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        place >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

/// Returns whether a proof shows that one tree continues another (RFC 9162 §2.1.4.2). Every tree continues the empty one.
pub fn verify_consistency(
    (old_size, old_root): (u64, &TreeHash),
    (new_size, new_root): (u64, &TreeHash),
    proof: &[TreeHash],
) -> bool {
    if old_size == 0 {
        let sound = new_size > 0 || *new_root == empty_root();
        return sound && proof.is_empty() && *old_root == empty_root();
    }
    if old_size == new_size {
        return proof.is_empty() && old_root == new_root;
    }
    if old_size > new_size {
        return false;
    }
    let (first, rest) = if old_size.is_power_of_two() {
        (old_root, proof)
    } else {
        let Some((first, rest)) = proof.split_first() else { return false };
        (first, rest)
    };
    let shift = (old_size - 1).trailing_ones();
    let (mut place, mut last) = ((old_size - 1) >> shift, (new_size - 1) >> shift);
    let (mut old, mut new) = (*first, *first);
    for node in rest {
        if last == 0 {
            return false;
        }
        if place & 1 == 1 || place == last {
            old = node_hash(node, &old);
            new = node_hash(node, &new);
            while place & 1 == 0 && place != 0 {
                place >>= 1;
                last >>= 1;
            }
        } else {
            new = node_hash(&new, node);
        }
        place >>= 1;
        last >>= 1;
    }
    last == 0 && old == *old_root && new == *new_root
}
