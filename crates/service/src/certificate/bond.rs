//! What binds a certificate to the vault's tree over all commits.

use model::SourceName;
use serde::{Deserialize, Serialize};
use vault::{
    CommitHash, Vault, VaultError,
    tree::{CheckpointError, InclusionProof, Leaf, ProofError, SignedCheckpoint, VerifierKey},
};

use crate::signature::unhex;

/// Why a certificate is not bound to the tree.
#[derive(Debug, thiserror::Error)]
pub enum BondError {
    /// The proof is none.
    #[error("its proof cannot be read")]
    Proof(#[from] ProofError),
    /// The checkpoint is none.
    #[error("its checkpoint cannot be read")]
    Checkpoint(#[from] CheckpointError),
    /// A key of the vault that it names is none.
    #[error("a key of the vault that it names cannot be read")]
    Key(#[from] vault::tree::VerifierKeyError),
    /// The checkpoint belongs to another vault.
    #[error("its checkpoint belongs to {origin}, and not to the vault that it names")]
    Origin {
        /// Whose it is.
        origin: String,
    },
    /// No key of the vault signed the checkpoint.
    #[error("no key of the vault signed its checkpoint")]
    Signature,
    /// The commit is not in the tree.
    #[error("the drilled commit is not in the tree of its checkpoint")]
    Commit,
}

/// The signed tree head that a certificate was bound to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "form", rename_all = "kebab-case", deny_unknown_fields)]
pub enum TreeBond {
    /// The drilled commit is in the tree: C2SP's `tlog-proof`, which ends in the checkpoint.
    Inclusion {
        /// The vault's keys when the drill ended, as `unwipe head key` prints them.
        keys: Vec<String>,
        /// The proof.
        proof: String,
    },
    /// The newest tree head does not cover the drilled commit.
    Checkpoint {
        /// The vault's keys when the drill ended.
        keys: Vec<String>,
        /// The checkpoint.
        checkpoint: String,
    },
    /// The vault had no tree head.
    None {
        /// Why.
        reason: String,
    },
}

impl TreeBond {
    /// Binds to a vault as it is now.
    pub fn of(vault: &Vault, source: &SourceName, sequence: u64) -> Result<Self, VaultError> {
        let keys =
            vault.keys().verifier_keys(vault.manifest().vault).iter().map(ToString::to_string).collect();
        if let Some((index, tree, head)) = vault.tree_covering(source, sequence)?
            && let Some(path) = tree.inclusion_proof(index, head.size())
        {
            let proof = InclusionProof { index, path, signed: vault.cosigned(&head)? };
            return Ok(Self::Inclusion { keys, proof: proof.to_string() });
        }
        Ok(match vault.newest_tree_head()? {
            Some(head) => Self::Checkpoint { keys, checkpoint: vault.cosigned(&head)?.note.to_string() },
            None => Self::None { reason: "the vault has no tree head".to_owned() },
        })
    }

    /// Returns the signed checkpoint, where there is one that can be read.
    pub fn checkpoint(&self) -> Option<SignedCheckpoint> {
        match self {
            Self::Inclusion { proof, .. } => InclusionProof::parse(proof).ok().map(|proof| proof.signed),
            Self::Checkpoint { checkpoint, .. } => SignedCheckpoint::parse(checkpoint).ok(),
            Self::None { .. } => None,
        }
    }

    /// Checks that the checkpoint is of this vault and signed by one of the keys, or by one that is named here where none
    /// is given; and that the commit is in its tree. Returns whether that was proven.
    pub(super) fn check(
        &self,
        vault: &str,
        (source, sequence, hash): (&SourceName, u64, &str),
        given: &[VerifierKey],
    ) -> Result<bool, BondError> {
        match self {
            Self::None { .. } => Ok(false),
            Self::Checkpoint { keys, checkpoint } => {
                check_signed(&SignedCheckpoint::parse(checkpoint)?, vault, keys, given)?;
                Ok(false)
            }
            Self::Inclusion { keys, proof } => {
                let proof = InclusionProof::parse(proof)?;
                check_signed(&proof.signed, vault, keys, given)?;
                let hash = unhex::<32>(hash).map(CommitHash).ok_or(BondError::Commit)?;
                let leaf = Leaf { source: source.clone(), sequence, hash };
                if proof.holds(&leaf.tree_hash()) { Ok(true) } else { Err(BondError::Commit) }
            }
        }
    }
}

fn check_signed(
    signed: &SignedCheckpoint,
    vault: &str,
    named: &[String],
    given: &[VerifierKey],
) -> Result<(), BondError> {
    let origin = &signed.checkpoint.origin;
    if *origin != format!("unwipe-vault/{vault}") {
        return Err(BondError::Origin { origin: origin.clone() });
    }
    let named = named.iter().map(|text| text.parse()).collect::<Result<Vec<VerifierKey>, _>>()?;
    let keys = if given.is_empty() { &named } else { given };
    // The name that a key signs under is the vault's: a key of anything else proves nothing of it.
    let counts = |key: &&VerifierKey| key.to_string().starts_with(&format!("{origin}+"));
    if keys.iter().filter(counts).any(|key| signed.note.is_signed_by(key)) {
        Ok(())
    } else {
        Err(BondError::Signature)
    }
}
