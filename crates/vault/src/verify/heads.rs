//! Comparing the tree heads with each other and with the logs.

use std::collections::BTreeMap;

use model::SourceName;
use ports::BlobError;

use super::{Check, Problem, Progress};
use crate::{
    CommitHash, VaultError, names,
    tree::{NoteSignature, TreeHead},
};

/// What the logs hold, for the tree to be compared with: hashes by sequence number, `None` for what cannot be read.
pub(super) type LogHashes = BTreeMap<SourceName, Vec<Option<CommitHash>>>;

impl Check<'_> {
    /// Checks every head: signature, order, root, and each commit that it covers.
    pub(super) fn heads(&mut self, progress: &mut dyn FnMut(Progress)) -> Result<(), VaultError> {
        let numbers = self.present.values().filter_map(|blob| names::parse_tree_head(&blob.name));
        let end = numbers.max().map_or(0, |last| last + 1);
        let mut previous: Option<TreeHead> = None;
        let mut ends: BTreeMap<SourceName, (u64, String)> = BTreeMap::new();
        for number in 0..end {
            self.step(progress);
            let object = names::tree_head(number)?.to_string();
            if !self.present.contains_key(&object) {
                self.find(&object, Problem::Missing, "a later tree head continues it");
                continue;
            }
            let head = match self.vault.tree_head(number) {
                Ok(head) => head,
                Err(error) => {
                    self.fail(&object, &error);
                    continue;
                }
            };
            self.report.heads += 1;
            // After one that cannot be read there is nothing to compare with.
            let chained = number == 0 || previous.as_ref().is_some_and(|head| head.number + 1 == number);
            if chained && let Err(source) = head.check_follows(previous.as_ref()) {
                self.fail(&object, &VaultError::TreeHead { object: object.clone(), source });
            }
            self.leaves(&object, &head, &mut ends)?;
            previous = Some(TreeHead { leaves: Vec::new(), ..head });
        }
        for (source, (end, detail)) in ends {
            let after = self.hashes.get(&source).map_or(0, Vec::len) as u64;
            let commit = names::commit(&source, after + 1)?;
            if after == 0 && matches!(self.vault.store().read(&commit), Err(BlobError::Refused { .. })) {
                // A vault server shows a capturing host its own log alone; whoever sees the others checks them.
                self.report.hidden_logs += 1;
                continue;
            }
            let detail = format!("the log ends at {after}, but {detail} to {end}");
            self.find(commit.to_string(), Problem::RolledBack, detail);
        }
        let covered = |source: &SourceName| {
            previous.as_ref().and_then(|head| head.sources.get(source)).map_or(0, |covered| covered.sequence)
        };
        let count =
            |(source, hashes): (&SourceName, &Vec<_>)| (hashes.len() as u64).saturating_sub(covered(source));
        self.report.uncovered_commits = self.hashes.iter().map(count).sum();
        self.report.newest_head = previous.filter(|head| head.number + 1 == end);
        self.cosignatures(end);
        Ok(())
    }

    fn leaves(
        &mut self,
        object: &str,
        head: &TreeHead,
        ends: &mut BTreeMap<SourceName, (u64, String)>,
    ) -> Result<(), VaultError> {
        for leaf in &head.leaves {
            let log = self.hashes.get(&leaf.source).map_or(&[][..], Vec::as_slice);
            let place = leaf.sequence.checked_sub(1).and_then(|place| usize::try_from(place).ok());
            match place.and_then(|place| log.get(place)) {
                // That it cannot be read is a finding already.
                Some(None) => {}
                Some(Some(hash)) if *hash == leaf.hash => {}
                Some(Some(hash)) => {
                    let commit = names::commit(&leaf.source, leaf.sequence)?.to_string();
                    let detail = format!(
                        "it is commit {hash}, but {object} of {} has {} in its place",
                        head.vault_time, leaf.hash
                    );
                    self.find(commit, Problem::Forked, detail);
                }
                None => {
                    let detail = format!("{object} of {} covers it up", head.vault_time);
                    ends.insert(leaf.source.clone(), (leaf.sequence, detail));
                }
            }
        }
        Ok(())
    }

    /// Cosignatures stand beside the heads; who made them is known only to whoever knows the witnesses' keys.
    fn cosignatures(&mut self, heads: u64) {
        let stored: Vec<_> = self
            .present
            .values()
            .filter_map(|blob| Some((blob.name.clone(), names::parse_cosignature(&blob.name)?)))
            .collect();
        for (name, (head, key_id)) in stored {
            let object = name.to_string();
            match self.vault.store().read(&name) {
                Err(error) => self.fail(&object, &error.into()),
                // A head that was made after the list was taken is there all the same.
                Ok(_) if head >= heads && self.vault.tree_head(head).is_err() => {
                    let detail = format!("a witness cosigned heads/{head}, which is gone");
                    self.find(&object, Problem::RolledBack, detail);
                }
                Ok(bytes) => {
                    let lines =
                        std::str::from_utf8(&bytes).ok().and_then(|l| NoteSignature::parse_all(l).ok());
                    if !lines.is_some_and(|lines| lines.iter().all(|line| line.key_id == key_id)) {
                        self.find(
                            &object,
                            Problem::Altered,
                            "it holds no signature of the key it is named after",
                        );
                    }
                }
            }
        }
    }
}
