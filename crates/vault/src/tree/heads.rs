//! Finding heads in a vault, trees between them, and the cosignatures that witnesses gave.

use model::{Moment, SourceName};
use ports::BlobError;

use super::{Edge, HeadError, NoteError, NoteSignature, SignedCheckpoint, Tree, TreeHead};
use crate::{Vault, VaultError, names};

/// Why the answer of a witness was not stored.
#[derive(Debug, thiserror::Error)]
pub enum CosignatureError {
    /// The text holds no signature lines.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The vault cannot be used.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

impl Vault {
    /// Returns the number of the newest tree head.
    pub fn last_tree_head(&self) -> Result<Option<u64>, VaultError> {
        let heads = self.store().list(names::HEADS)?;
        Ok(heads.iter().filter_map(|blob| names::parse_tree_head(&blob.name)).max())
    }

    /// Reads one tree head: its form and its signature are checked, its chain is not.
    pub fn tree_head(&self, number: u64) -> Result<TreeHead, VaultError> {
        let name = names::tree_head(number)?;
        let bytes = self.store().read(&name)?;
        let wrong = |source| VaultError::TreeHead { object: name.to_string(), source };
        let id = self.manifest().vault;
        let mut parsed = TreeHead::parse(&bytes, id, &self.keys());
        if parsed.is_err() {
            // Its signer may have been added since this vault was opened.
            self.refresh_keys()?;
            parsed = TreeHead::parse(&bytes, id, &self.keys());
        }
        let head = parsed.map_err(wrong)?;
        if head.number == number {
            Ok(head)
        } else {
            Err(wrong(HeadError::Misplaced { number: head.number }))
        }
    }

    /// Reads the newest tree head.
    pub fn newest_tree_head(&self) -> Result<Option<TreeHead>, VaultError> {
        self.last_tree_head()?.map(|number| self.tree_head(number)).transpose()
    }

    /// Returns the newest head behind a known one, without listing all heads; `None` when there is none.
    pub fn later_tree_head(&self, known: &TreeHead) -> Result<Option<TreeHead>, VaultError> {
        let mut newest: Option<TreeHead> = None;
        loop {
            let before = newest.as_ref().unwrap_or(known);
            let next = match self.tree_head(before.number + 1) {
                Err(VaultError::Store(BlobError::Missing { .. })) => return Ok(newest),
                other => other?,
            };
            next.check_follows(Some(before)).map_err(|source| VaultError::TreeHead {
                object: names::tree_head(next.number).map(|name| name.to_string()).unwrap_or_default(),
                source,
            })?;
            newest = Some(next);
        }
    }

    /// Returns the part of the tree that answers questions about sizes from `size` on, up to the newest head.
    ///
    /// It reads the heads that are newer than that size, and a few to find them: never all.
    pub fn tree_since(&self, size: u64) -> Result<Tree, VaultError> {
        self.tree_from_head(|head| head.size() >= size)
    }

    /// Returns the leaf's place in the tree, and the part of the tree that proves it; `None` when no head covers it.
    pub fn tree_covering(
        &self,
        source: &SourceName,
        sequence: u64,
    ) -> Result<Option<(u64, Tree, TreeHead)>, VaultError> {
        let covers = |head: &TreeHead| head.sources.get(source).is_some_and(|c| c.sequence >= sequence);
        let Some(head) = self.first_head(covers)? else { return Ok(None) };
        let at = head.leaves.iter().position(|leaf| leaf.source == *source && leaf.sequence == sequence);
        let Some(at) = at else { return Ok(None) };
        let index = head.first + at as u64;
        let tree = self.tree_from_head(covers)?;
        Ok(self.newest_tree_head()?.map(|newest| (index, tree, newest)))
    }

    /// Returns the oldest head of which something holds that holds of all newer ones too.
    fn first_head(&self, holds: impl Fn(&TreeHead) -> bool) -> Result<Option<TreeHead>, VaultError> {
        let Some(last) = self.last_tree_head()? else { return Ok(None) };
        let (mut low, mut high) = (0, last + 1);
        let mut found = None;
        while low < high {
            let middle = low + (high - low) / 2;
            let head = self.tree_head(middle)?;
            if holds(&head) {
                high = middle;
                found = Some(head);
            } else {
                low = middle + 1;
            }
        }
        Ok(found)
    }

    fn tree_from_head(&self, holds: impl Fn(&TreeHead) -> bool) -> Result<Tree, VaultError> {
        let last = self.last_tree_head()?;
        let (Some(first), Some(last)) = (self.first_head(holds)?, last) else {
            let newest = self.newest_tree_head()?;
            return Ok(Tree::since(newest.map_or_else(Edge::default, |head| head.edge)));
        };
        let mut before = match first.number.checked_sub(1) {
            None => None,
            Some(number) => Some(self.tree_head(number)?),
        };
        let mut tree = Tree::since(before.as_ref().map_or_else(Edge::default, |head| head.edge.clone()));
        for number in first.number..=last {
            let head = self.tree_head(number)?;
            // The leaves are believed because they make the signed root.
            head.check_follows(before.as_ref()).map_err(|source| VaultError::TreeHead {
                object: names::tree_head(number).map(|name| name.to_string()).unwrap_or_default(),
                source,
            })?;
            head.leaves.iter().for_each(|leaf| tree.append(leaf.tree_hash()));
            before = Some(TreeHead { leaves: Vec::new(), ..head });
        }
        Ok(tree)
    }

    /// Returns the checkpoint of a head with the cosignatures that are kept with it.
    pub fn cosigned(&self, head: &TreeHead) -> Result<SignedCheckpoint, VaultError> {
        let mut signed = head.signed.clone();
        for blob in self.store().list(&names::cosignatures(head.number))? {
            let bytes = self.store().read(&blob.name)?;
            // A damaged one is a finding of `verify`; here it is only not there.
            if let Ok(text) = std::str::from_utf8(&bytes)
                && let Ok(signatures) = NoteSignature::parse_all(text)
            {
                signed.note.extend(signatures);
            }
        }
        Ok(signed)
    }

    /// Keeps what a witness answered, beside the head that it cosigned. Returns how many signatures were new.
    pub fn keep_cosignatures(
        &self,
        head: &TreeHead,
        answer: &str,
        locked_until: Moment,
    ) -> Result<u64, CosignatureError> {
        let mut kept = 0;
        for signature in NoteSignature::parse_all(answer)? {
            let name = names::cosignature(head.number, signature.key_id).map_err(VaultError::from)?;
            match self.store().create(&name, format!("{signature}\n").as_bytes(), locked_until) {
                Ok(()) => kept += 1,
                Err(BlobError::Exists { .. }) => {}
                Err(error) => return Err(VaultError::from(error).into()),
            }
        }
        Ok(kept)
    }
}
