//! Proofs as files: C2SP's `tlog-proof` for one commit, and the request of `tlog-witness` for a whole tree.

use std::fmt;

use super::{
    CheckpointError, SignedCheckpoint,
    checkpoint::{decimal, hash, hash_text},
    verify_consistency, verify_inclusion,
};
use crate::TreeHash;

/// A proof that one leaf is in the tree of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InclusionProof {
    /// The leaf's place.
    pub index: u64,
    /// The siblings on the way from the leaf to the root.
    pub path: Vec<TreeHash>,
    /// The checkpoint, with cosignatures where there are some.
    pub signed: SignedCheckpoint,
}

/// What a log asks a witness: to cosign a checkpoint, which continues the one that it cosigned before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// The size of the tree that the witness cosigned before, 0 for none.
    pub old_size: u64,
    /// The consistency proof between the two.
    pub proof: Vec<TreeHash>,
    /// The checkpoint to cosign.
    pub signed: SignedCheckpoint,
}

/// A text that is no proof.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The lines before the checkpoint are wrong.
    #[error("line {line} of the proof is wrong")]
    Line {
        /// Which one, from 1.
        line: usize,
    },
    /// The checkpoint is wrong.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

const FORMAT: &str = "c2sp.org/tlog-proof@v1";
/// A tree of 2^63 leaves needs no more.
const HASHES_MAX: usize = 63;

impl InclusionProof {
    /// Reads a proof.
    pub fn parse(text: &str) -> Result<Self, ProofError> {
        let (lines, signed) = split(text)?;
        let wrong = |line| ProofError::Line { line };
        if lines.first() != Some(&FORMAT) {
            return Err(wrong(1));
        }
        // Extra data is not authenticated and says nothing here.
        let skipped = if lines.get(1).is_some_and(|line| line.starts_with("extra ")) { 2 } else { 1 };
        let index = lines.get(skipped).and_then(|line| decimal(line.strip_prefix("index ")?));
        let index = index.ok_or(wrong(skipped + 1))?;
        Ok(Self { index, path: hashes(&lines, skipped + 1)?, signed })
    }

    /// Returns whether it proves that this leaf is in the tree. Who signed the checkpoint is another question.
    pub fn holds(&self, leaf: &TreeHash) -> bool {
        let checkpoint = &self.signed.checkpoint;
        verify_inclusion(leaf, self.index, checkpoint.size, &self.path, &checkpoint.root)
    }
}

impl fmt::Display for InclusionProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{FORMAT}\nindex {}", self.index)?;
        self.path.iter().try_for_each(|node| writeln!(f, "{}", hash_text(node)))?;
        write!(f, "\n{}", self.signed.note)
    }
}

impl AddCheckpoint {
    /// Reads a request.
    pub fn parse(text: &str) -> Result<Self, ProofError> {
        let (lines, signed) = split(text)?;
        let old_size = lines.first().and_then(|line| decimal(line.strip_prefix("old ")?));
        let old_size = old_size.ok_or(ProofError::Line { line: 1 })?;
        Ok(Self { old_size, proof: hashes(&lines, 1)?, signed })
    }

    /// Returns whether the checkpoint continues a tree of the old size with this root.
    pub fn continues(&self, old_root: &TreeHash) -> bool {
        let checkpoint = &self.signed.checkpoint;
        verify_consistency((self.old_size, old_root), (checkpoint.size, &checkpoint.root), &self.proof)
    }
}

impl fmt::Display for AddCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old_size)?;
        self.proof.iter().try_for_each(|node| writeln!(f, "{}", hash_text(node)))?;
        write!(f, "\n{}", self.signed.note)
    }
}

/// Splits the lines of a proof from the checkpoint behind the first empty line.
fn split(text: &str) -> Result<(Vec<&str>, SignedCheckpoint), ProofError> {
    let (lines, note) = text.split_once("\n\n").ok_or(ProofError::Line { line: 1 })?;
    Ok((lines.split('\n').collect(), SignedCheckpoint::parse(note)?))
}

fn hashes(lines: &[&str], from: usize) -> Result<Vec<TreeHash>, ProofError> {
    if lines.len() - from > HASHES_MAX {
        return Err(ProofError::Line { line: from + HASHES_MAX + 1 });
    }
    let numbered = lines.iter().enumerate().skip(from);
    numbered.map(|(at, line)| hash(line).ok_or(ProofError::Line { line: at + 1 })).collect()
}
