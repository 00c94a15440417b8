//! Making heads: all commits that no head covers yet are appended to the tree.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{MutexGuard, PoisonError},
    time::Duration,
};

use model::SourceName;
use ports::BlobError;

use super::{
    Leaf, TreeHead,
    head::{self, LEAVES_MAX},
};
use crate::{CommitHash, VaultError, VaultWriter, WriteError, names, writer::Shared};

/// How old the newest head may be before a commit asks for the next one.
pub const HEAD_INTERVAL: Duration = Duration::from_mins(1);

/// What making heads did.
#[derive(Debug, Clone, Default)]
pub struct Advance {
    /// The newest head now.
    pub newest: Option<TreeHead>,
    /// How many heads were made.
    pub heads: u64,
    /// How many commits they cover.
    pub commits: u64,
}

/// What a writer knows of the tree between two heads.
#[derive(Debug, Default)]
pub(crate) struct TreeState {
    newest: Option<TreeHead>,
    /// Whether the store was asked for heads and sources at all; later ones are found by their next names.
    listed: bool,
    sources: BTreeSet<SourceName>,
}

/// The hashes of commits that this writer made and no head covers; others are read. More than these are forgotten.
pub(crate) const OWN_COMMITS_MAX: usize = 4096;

impl VaultWriter {
    /// Appends all commits that no head covers to the tree, in one signed head or in several.
    ///
    /// Another writer may do the same at the same time: then its head is taken over, and the rest follows it. When
    /// this fails nothing is lost: the commits are in their logs, and the next head covers them.
    pub fn advance_head(&self) -> Result<Advance, WriteError> {
        let shared = &*self.shared;
        let mut state = shared.tree();
        let mut advance = Advance::default();
        shared.find_newest(&mut state)?;
        loop {
            let leaves = shared.uncovered(&state)?;
            if leaves.is_empty() {
                advance.newest.clone_from(&state.newest);
                shared.forget_covered(&state);
                return Ok(advance);
            }
            let count = leaves.len() as u64;
            if shared.append_head(&mut state, leaves)? {
                advance.heads += 1;
                advance.commits += count;
            }
        }
    }

    /// Does the same if the newest head is older than the interval, by this machine's clock; so it costs a commit
    /// nothing most of the time.
    pub fn advance_head_if_due(&self, interval: Duration) -> Result<Option<Advance>, WriteError> {
        let age = {
            let mut state = self.shared.tree();
            if !state.listed {
                self.shared.find_newest(&mut state)?;
            }
            state.newest.as_ref().map(|head| self.shared.clock.now().micros_since(head.vault_time))
        };
        let interval = i64::try_from(interval.as_micros()).unwrap_or(i64::MAX);
        // A clock that was set back must not stop the heads: a head of the future is due too.
        match age {
            Some(age) if (0..interval).contains(&age) => Ok(None),
            _ => self.advance_head().map(Some),
        }
    }
}

impl Shared {
    fn tree(&self) -> MutexGuard<'_, TreeState> {
        self.tree.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings the state to the newest head: the first time by a list, later by asking for the next names.
    fn find_newest(&self, state: &mut TreeState) -> Result<(), WriteError> {
        if !state.listed {
            state.newest = self.vault.newest_tree_head()?;
            state.sources = self.vault.sources()?.into_iter().collect();
            state.listed = true;
        }
        while self.take_next(state)? {}
        Ok(())
    }

    /// Takes over the head behind the newest known one, if somebody else made one.
    fn take_next(&self, state: &mut TreeState) -> Result<bool, WriteError> {
        let number = state.newest.as_ref().map_or(0, |head| head.number + 1);
        let next = match self.vault.tree_head(number) {
            Err(VaultError::Store(BlobError::Missing { .. })) => return Ok(false),
            other => other?,
        };
        if next.check_follows(state.newest.as_ref()).is_err() {
            return Err(WriteError::HeadFork { number });
        }
        state.newest = Some(TreeHead { leaves: Vec::new(), ..next });
        Ok(true)
    }

    /// Creates the next head; `false` when another writer took its name, whose head is then the newest.
    fn append_head(&self, state: &mut TreeState, leaves: Vec<Leaf>) -> Result<bool, WriteError> {
        let previous = state.newest.as_ref();
        let now = self.clock.now();
        let made =
            head::assemble(self.settings().vault, previous, leaves, now, &self.signer, self.signer_public);
        let (bytes, head) = made.map_err(|source| VaultError::TreeHead {
            object: format!("{}{}", names::HEADS, previous.map_or(0, |head| head.number + 1)),
            source,
        })?;
        match self.vault.store().create(&names::tree_head(head.number)?, &bytes, self.lock_for_new()) {
            Ok(()) => {
                state.newest = Some(TreeHead { leaves: Vec::new(), ..head });
                Ok(true)
            }
            Err(BlobError::Exists { .. }) => {
                self.take_next(state)?;
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the next commits that no head covers, each checked to continue the one before it.
    fn uncovered(&self, state: &TreeState) -> Result<Vec<Leaf>, WriteError> {
        let mut sources = state.sources.clone();
        sources.extend(self.committed_sources());
        let covered = state.newest.as_ref().map(|head| &head.sources);
        sources.extend(covered.into_iter().flat_map(BTreeMap::keys).cloned());
        let mut leaves = Vec::new();
        for source in sources {
            let covered = covered.and_then(|covered| covered.get(&source));
            let (mut sequence, mut previous) =
                covered.map_or((0, CommitHash::NONE), |covered| (covered.sequence, covered.hash));
            while leaves.len() < LEAVES_MAX {
                let Some(hash) = self.next_commit(&source, sequence + 1, previous)? else { break };
                sequence += 1;
                previous = hash;
                leaves.push(Leaf { source: source.clone(), sequence, hash });
            }
        }
        Ok(leaves)
    }

    fn next_commit(
        &self,
        source: &SourceName,
        sequence: u64,
        previous: CommitHash,
    ) -> Result<Option<CommitHash>, WriteError> {
        if let Some((own_previous, hash)) = self.own_commit(source, sequence)
            && own_previous == previous
        {
            return Ok(Some(hash));
        }
        match self.vault.commit(source, sequence) {
            // A vault server shows a capturing host its own log alone: who captures the others covers them.
            Err(VaultError::Store(BlobError::Missing { .. } | BlobError::Refused { .. })) => Ok(None),
            Err(error) => Err(error.into()),
            Ok(commit) if commit.envelope.previous != previous => {
                Err(WriteError::Fork { source_name: source.clone(), sequence })
            }
            Ok(commit) => Ok(Some(commit.hash)),
        }
    }

    fn forget_covered(&self, state: &TreeState) {
        if let Some(head) = &state.newest {
            let covered = |source: &SourceName| head.sources.get(source).map_or(0, |c| c.sequence);
            self.forget_own_commits(|source, sequence| sequence <= covered(source));
        }
    }
}
