use super::merkle::{empty_root, node_hash};
use crate::TreeHash;

/// The right edge of a tree: the roots of its complete subtrees, the largest first. It is all that appending needs,
/// and it has at most 64 hashes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edge {
    size: u64,
    nodes: Vec<TreeHash>,
}

impl Edge {
    /// Puts an edge together; `None` when a tree of this size has another number of complete subtrees.
    pub fn new(size: u64, nodes: Vec<TreeHash>) -> Option<Self> {
        (nodes.len() == size.count_ones() as usize).then_some(Self { size, nodes })
    }

    /// Returns the number of leaves.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Returns the hashes.
    pub fn nodes(&self) -> &[TreeHash] {
        &self.nodes
    }

    /// Appends one leaf.
    pub fn append(&mut self, leaf: TreeHash) {
        let mut hash = leaf;
        // Each 1 at the end of the size is a complete subtree that the new leaf completes to one twice as large.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.nodes.pop() {
                hash = node_hash(&left, &hash);
            }
        }
        self.nodes.push(hash);
        self.size += 1;
    }

    /// Returns the root of the tree.
    pub fn root(&self) -> TreeHash {
        let mut nodes = self.nodes.iter().rev();
        let Some(last) = nodes.next() else { return empty_root() };
        nodes.fold(*last, |right, left| node_hash(left, &right))
    }

    /// Returns the root of the complete subtree over exactly these leaves, if it is one of the edge.
    pub(super) fn node(&self, start: u64, end: u64) -> Option<TreeHash> {
        let mut position = 0;
        let mut left = self.size;
        for node in &self.nodes {
            let width = 1 << left.ilog2();
            if (position, position + width) == (start, end) {
                return Some(*node);
            }
            position += width;
            left -= width;
        }
        None
    }
}
