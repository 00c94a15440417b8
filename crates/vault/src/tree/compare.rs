use super::{CheckpointError, SignedCheckpoint, TreeHead};
use crate::{TreeHash, Vault, VaultError};

/// How a vault stands to a checkpoint that was kept elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Everything that the checkpoint covers is in the vault, unchanged.
    Consistent,
    /// The vault's tree is smaller: newer commits were taken back.
    RolledBack,
    /// The vault has other commits in the place of those that the checkpoint covers.
    Forked,
}

/// The result of comparing a vault with a checkpoint.
#[derive(Debug, Clone)]
pub struct Comparison {
    /// How they stand to each other.
    pub standing: Standing,
    /// The vault's newest tree head.
    pub newest: Option<TreeHead>,
    /// The root that the vault has at the checkpoint's size.
    pub root: Option<TreeHash>,
}

impl Comparison {
    /// Compares a vault with a checkpoint that must be signed by the vault's own key.
    ///
    /// The heads are believed as they stand; [`crate::verify`] compares them with the logs.
    pub fn of(vault: &Vault, kept: &SignedCheckpoint) -> Result<Result<Self, CheckpointError>, VaultError> {
        if let Err(error) = kept.check(vault.manifest().vault, &vault.keys()) {
            return Ok(Err(error));
        }
        let newest = vault.newest_tree_head()?;
        let size = kept.checkpoint.size;
        let root = vault.tree_since(size)?.root_at(size);
        let standing = match root {
            None => Standing::RolledBack,
            Some(root) if root == kept.checkpoint.root => Standing::Consistent,
            Some(_) => Standing::Forked,
        };
        Ok(Ok(Self { standing, newest, root }))
    }
}
