//! Every source's log: packs first, then the commits that name them, in their order.

use std::collections::BTreeMap;

use model::{Moment, SourceName};
use ports::BlobName;

use super::{
    MirrorError, MirrorProblem, SourceStanding,
    pull::Pull,
    transfer::{Transfer, Wanted},
};
use crate::{Commit, PackId, log::CommitError, names};

/// So many commits, or so many bytes of them, are held while their packs are fetched together.
const BATCH_COMMITS: usize = 64;
const BATCH_BYTES: usize = 64 << 20;

/// A commit of the origin whose packs are on their way.
struct Arriving {
    name: BlobName,
    bytes: Vec<u8>,
    commit: Commit,
}

impl Pull<'_> {
    /// Brings every source's log forward.
    pub(super) fn logs(&mut self) -> Result<(), MirrorError> {
        for source in self.log_names() {
            if !self.is_stopped() {
                self.source(&source)?;
            }
        }
        Ok(())
    }

    fn source(&mut self, source: &SourceName) -> Result<(), MirrorError> {
        let (mine, theirs) = (sequences(&self.here, source), sequences(&self.there, source));
        let last = |sequences: &BTreeMap<u64, BlobName>| sequences.keys().next_back().copied().unwrap_or(0);
        let (mine_last, theirs_last) = (last(&mine), last(&theirs));
        self.report.sources.insert(
            source.clone(),
            SourceStanding { origin_sequence: theirs_last, mirror_sequence: mine_last, mirror_time: None },
        );
        if theirs_last < mine_last {
            let detail = format!("its log ends with {theirs_last}, the mirror's with {mine_last}");
            self.report.find(names::log(source), MirrorProblem::RolledBack, detail);
        }
        self.report.present_objects += mine.len() as u64;
        self.compare_common(&mine, &theirs)?;
        let ahead: Vec<(u64, BlobName)> = theirs
            .iter()
            .filter(|(sequence, _)| !mine.contains_key(sequence))
            .map(|(sequence, name)| (*sequence, name.clone()))
            .collect();
        self.bring(source, &ahead)?;
        self.standing(source)
    }

    /// Compares commits that both have: the newest by its bytes, for it stands for all before it; the others by size,
    /// or by their bytes too where everything is to be read.
    fn compare_common(
        &mut self,
        mine: &BTreeMap<u64, BlobName>,
        theirs: &BTreeMap<u64, BlobName>,
    ) -> Result<(), MirrorError> {
        let common: Vec<(u64, BlobName)> =
            mine.iter().filter(|(s, _)| theirs.contains_key(s)).map(|(s, n)| (*s, n.clone())).collect();
        let newest = common.last().map(|(sequence, _)| *sequence);
        for (sequence, name) in common {
            if self.is_stopped() {
                return Ok(());
            }
            let size = |blobs: &BTreeMap<BlobName, ports::Blob>| blobs.get(&name).map(|blob| blob.size_bytes);
            if Some(sequence) == newest || self.options.thorough || size(&self.here) != size(&self.there) {
                self.compare_commit(&name)?;
            }
        }
        Ok(())
    }

    fn compare_commit(&mut self, name: &BlobName) -> Result<(), MirrorError> {
        let size = self.there.get(name).map_or(0, |blob| blob.size_bytes);
        let Some(theirs) = self.fetch(name, size)? else { return Ok(()) };
        let mine = self.pair.mirror.read(name).map_err(MirrorError::Mirror)?;
        if mine == theirs {
            return Ok(());
        }
        match (self.parse(&mine, name), self.parse(&theirs, name)) {
            (Err(error), _) => {
                self.report.find(name.as_str(), MirrorProblem::MirrorDamaged, error.to_string());
            }
            (Ok(_), Ok(_)) => {
                let detail = "both commits are signed, and they are not the same";
                self.report.find(name.as_str(), MirrorProblem::Forked, detail);
            }
            (Ok(_), Err(error)) => {
                self.report.find(name.as_str(), MirrorProblem::Altered, error.to_string());
            }
        }
        Ok(())
    }

    fn parse(&self, bytes: &[u8], name: &BlobName) -> Result<Commit, CommitError> {
        let keys = self.keys.as_ref().ok_or(CommitError::Signer)?;
        let commit = Commit::parse(bytes, self.manifest.vault, keys)?;
        let place = Some((commit.envelope.source.clone(), commit.envelope.sequence));
        if names::parse_commit(name) == place {
            return Ok(commit);
        }
        let (source_name, sequence) = (commit.envelope.source, commit.envelope.sequence);
        Err(CommitError::Misplaced { source_name, sequence })
    }

    /// Copies commits that the mirror does not have.
    fn bring(&mut self, source: &SourceName, ahead: &[(u64, BlobName)]) -> Result<(), MirrorError> {
        let mut previous: Option<Commit> = None;
        let mut blocked = false;
        let mut batch: Vec<Arriving> = Vec::new();
        let mut bytes_held = 0;
        for (sequence, name) in ahead {
            if self.is_stopped() {
                break;
            }
            let size = self.there.get(name).map_or(0, |blob| blob.size_bytes);
            let Some(bytes) = self.fetch(name, size)? else {
                blocked = self.wait(source, *sequence, blocked);
                continue;
            };
            let commit = match self.parse(&bytes, name) {
                Ok(commit) => commit,
                Err(error) => {
                    self.report.find(name.as_str(), MirrorProblem::Altered, error.to_string());
                    blocked = self.wait(source, *sequence, blocked);
                    continue;
                }
            };
            if !blocked && !self.continues(source, &commit, previous.as_ref(), name)? {
                blocked = self.wait(source, *sequence, blocked);
            }
            previous = Some(Commit { body: Vec::new(), ..commit.clone() });
            bytes_held += bytes.len();
            batch.push(Arriving { name: name.clone(), bytes, commit });
            if batch.len() >= BATCH_COMMITS || bytes_held >= BATCH_BYTES {
                blocked = self.land(source, std::mem::take(&mut batch), blocked)?;
                bytes_held = 0;
            }
        }
        self.land(source, batch, blocked)?;
        Ok(())
    }

    /// Checks that a commit goes on where the mirror's log ends.
    fn continues(
        &mut self,
        source: &SourceName,
        commit: &Commit,
        previous: Option<&Commit>,
        name: &BlobName,
    ) -> Result<bool, MirrorError> {
        let sequence = commit.envelope.sequence;
        let before = match previous {
            Some(previous) if previous.envelope.sequence + 1 == sequence => Some(previous.clone()),
            _ if sequence == 1 => None,
            _ => {
                let before = names::commit(source, sequence - 1)?;
                if !self.here.contains_key(&before) {
                    if !self.there.contains_key(&before) {
                        self.report.find(before.as_str(), MirrorProblem::Missing, "the next one is there");
                    }
                    return Ok(false);
                }
                let bytes = self.pair.mirror.read(&before).map_err(MirrorError::Mirror)?;
                match self.parse(&bytes, &before) {
                    Ok(before) => Some(before),
                    Err(error) => {
                        let detail = error.to_string();
                        self.report.find(before.as_str(), MirrorProblem::MirrorDamaged, detail);
                        return Ok(false);
                    }
                }
            }
        };
        let follows = commit.check_follows(before.as_ref()).is_ok();
        if !follows {
            let detail = "it does not continue the mirror's log";
            self.report.find(name.as_str(), MirrorProblem::Forked, detail);
        }
        Ok(follows)
    }

    /// Notes once where a source stops. What comes after is not committed; its packs are saved all the same.
    fn wait(&mut self, source: &SourceName, sequence: u64, blocked: bool) -> bool {
        if !blocked {
            let detail = format!("commits from {sequence} on wait; their packs are copied");
            self.report.find(names::log(source), MirrorProblem::Waiting, detail);
        }
        true
    }

    /// Fetches the packs of some commits, then creates the commits whose packs are all there.
    fn land(
        &mut self,
        source: &SourceName,
        batch: Vec<Arriving>,
        mut blocked: bool,
    ) -> Result<bool, MirrorError> {
        let mut wanted: BTreeMap<PackId, Wanted> = BTreeMap::new();
        for arriving in &batch {
            let promised = arriving.commit.envelope.locked_until;
            if self.lock.is_too_long(promised) {
                let detail = format!("it asks for a lock until {promised}");
                self.report.find(arriving.name.as_str(), MirrorProblem::LockTooLong, detail);
            }
            for (id, size_bytes) in packs(&arriving.commit) {
                let lock = self.lock.at_least(promised);
                let entry = wanted.entry(id).or_insert(Wanted { size_bytes, lock });
                entry.size_bytes = entry.size_bytes.or(size_bytes);
                entry.lock = entry.lock.max(lock);
            }
        }
        self.packs(&wanted)?;
        for Arriving { name, bytes, commit } in batch {
            if self.is_stopped() {
                break;
            }
            if blocked {
                continue;
            }
            let absent = packs(&commit).into_iter().find(|(id, _)| !self.has_pack(id));
            if absent.is_some() {
                blocked = self.wait(source, commit.envelope.sequence, blocked);
                continue;
            }
            self.create(&name, &bytes, self.lock.at_least(commit.envelope.locked_until))?;
        }
        Ok(blocked)
    }

    fn has_pack(&self, id: &PackId) -> bool {
        self.reaped.contains(id) || names::pack(id).is_ok_and(|name| self.here.contains_key(&name))
    }

    fn packs(&mut self, wanted: &BTreeMap<PackId, Wanted>) -> Result<(), MirrorError> {
        let mut absent = Vec::new();
        for (id, pack) in wanted {
            let name = names::pack(id)?;
            let Some(mine) = self.here.get(&name).cloned() else {
                if self.reaped.contains(id) && !self.there.contains_key(&name) {
                    continue;
                }
                absent.push((*id, name, *pack));
                continue;
            };
            self.report.present_objects += 1;
            if pack.size_bytes.is_some_and(|size| size != mine.size_bytes) {
                let detail = format!("it has {} bytes", mine.size_bytes);
                self.report.find(name.as_str(), MirrorProblem::MirrorDamaged, detail);
            } else if mine.locked_until.is_none_or(|lock| lock < pack.lock) {
                // What a commit reuses is locked for longer before the commit is there.
                self.extend(&name, pack.lock)?;
            }
        }
        Transfer::new(self).run(&absent)
    }

    fn standing(&mut self, source: &SourceName) -> Result<(), MirrorError> {
        let mine = sequences(&self.here, source);
        let Some((sequence, name)) = mine.iter().next_back() else { return Ok(()) };
        let bytes = self.pair.mirror.read(name).map_err(MirrorError::Mirror)?;
        let time: Option<Moment> = self.parse(&bytes, name).ok().map(|commit| commit.envelope.vault_time);
        if let Some(standing) = self.report.sources.get_mut(source) {
            (standing.mirror_sequence, standing.mirror_time) = (*sequence, time);
        }
        Ok(())
    }
}

/// Returns every pack that a commit names, with its size where the commit says it.
pub(super) fn packs(commit: &Commit) -> Vec<(PackId, Option<u64>)> {
    let envelope = &commit.envelope;
    let sized =
        envelope.packs.iter().chain(&envelope.body_packs).map(|pack| (pack.id, Some(pack.size_bytes)));
    sized.chain(envelope.earlier_packs.iter().map(|id| (*id, None))).collect()
}

pub(super) fn sequences(
    blobs: &BTreeMap<BlobName, ports::Blob>,
    source: &SourceName,
) -> BTreeMap<u64, BlobName> {
    let of_source = |name: &BlobName| {
        let (found, sequence) = names::parse_commit(name)?;
        (found == *source).then(|| (sequence, name.clone()))
    };
    blobs.keys().filter_map(of_source).collect()
}
