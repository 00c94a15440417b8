//! Removing what has lapsed, and only that.
//!
//! It takes four things that no other part of unwipe has together: the restore key (to see what live versions need), the
//! owner's signature, a store's reaper (a credential of its own), and a memory of when it first saw what. A stolen restore
//! key can therefore release with a false date and gains nothing: the reaper counts from its own first look at the commit
//! that took a version's place, and the store's lock runs on.

mod memory;

use std::collections::BTreeMap;

use ports::{BlobError, BlobName, LapsedBlobs, LapsedProof};
use ring::signature::Ed25519KeyPair;

pub use memory::{ReaperMemory, ReaperMemoryError};

use crate::{
    PackId, Vault, VaultError, VaultReader, names,
    retention::{
        Circumstances, Facts, PackUses, RetentionLog, RetentionLogError, Statement, Stays, Succession,
        Survey, Surveyed, lock_until, may_reap, may_release, retained_until,
    },
    time::TimeReading,
};

/// The proof that an object may be removed. Nothing but [`Reaper::reap_lapsed`] makes one.
#[derive(Debug)]
pub struct Lapsed {
    name: BlobName,
}

impl LapsedProof for Lapsed {
    fn name(&self) -> &BlobName {
        &self.name
    }
}

/// Why nothing was released or reaped.
#[derive(Debug, thiserror::Error)]
pub enum ReapError {
    /// The vault cannot be read.
    #[error("the vault cannot be read")]
    Vault(#[from] VaultError),
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] BlobError),
    /// The log of retention cannot be read or added to.
    #[error("the log of retention cannot be used")]
    Log(#[from] RetentionLogError),
    /// What the reaper remembers cannot be read or written.
    #[error("the reaper's memory cannot be used")]
    Memory(#[from] ReaperMemoryError),
    /// Commits are damaged, so what they need is not known.
    #[error("commits cannot be read ({count}), so nobody knows what they need: {first}")]
    Unsound {
        /// How many.
        count: usize,
        /// One of them.
        first: String,
    },
    /// Vault time is frozen, or the log of retention is not whole.
    #[error("retention is frozen: {reason}")]
    Frozen {
        /// Why.
        reason: String,
    },
}

/// What a release did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReleaseReport {
    /// Packs whose windows begin to run out.
    pub released: Vec<PackId>,
    /// Packs that are needed again.
    pub recalled: Vec<PackId>,
    /// What was seen of each source.
    pub survey: Survey,
}

/// What a reaping did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReapReport {
    /// What was removed.
    pub reaped: Vec<PackId>,
    /// Bytes that it had.
    pub bytes: u64,
    /// How many released packs stay, by reason.
    pub staying: BTreeMap<Stays, u64>,
    /// What the store refused to remove.
    pub refused: Vec<(PackId, String)>,
}

/// Releases and reaps.
pub struct Reaper<'a> {
    reader: &'a VaultReader,
    owner: Ed25519KeyPair,
    time: &'a TimeReading,
}

/// One release names so many packs at most.
const PACKS_EACH_MAX: usize = 100_000;

impl<'a> Reaper<'a> {
    /// Puts together what releasing and reaping need.
    pub fn new(reader: &'a VaultReader, time: &'a TimeReading) -> Result<Self, ReapError> {
        let owner = reader.owner()?.ok_or(RetentionLogError::NoOwner)?;
        Ok(Self { reader, owner, time })
    }

    /// Looks which packs no live version needs, and lets their windows begin to run out.
    ///
    /// Nothing is removed, and no lock is shortened: every released pack stays locked until its window has run out.
    pub fn release(
        &self,
        succession: &mut dyn Succession,
        advance: &mut dyn FnMut(u64),
    ) -> Result<ReleaseReport, ReapError> {
        let mut log = self.log()?;
        self.check_thawed(&log)?;
        let (uses, survey) = self.look(&log, succession, advance)?;
        let world = self.circumstances(&log, &uses);
        let mut report = ReleaseReport::default();
        for pack in log.released().keys() {
            let again = survey.needs(pack, &uses) || log.release_of(pack, &uses).is_none();
            if again && !log.reaped().contains(pack) {
                report.recalled.push(*pack);
            }
        }
        for pack in uses.packs() {
            let known = log.released().contains_key(pack) && !report.recalled.contains(pack);
            let facts = facts(pack, &log, &uses, &survey);
            if !known && !log.reaped().contains(pack) && may_release(&facts, &world).is_ok() {
                report.released.push(*pack);
            }
        }
        report.recalled.sort_unstable();
        report.released.sort_unstable();
        let until = lock_until(self.time.latest, world.lock_days);
        let vault = self.reader.vault();
        // First the locks: a pack may not count as released before its window is locked.
        for pack in &report.released {
            vault
                .store()
                .extend_lock(&names::pack(pack)?, retained_until(self.time.latest, world.lock_days))?;
        }
        let recalls =
            report.recalled.chunks(PACKS_EACH_MAX).map(|packs| Statement::Recall { packs: packs.to_vec() });
        let surveyed = surveyed(&survey);
        let mut releases: Vec<Statement> = report
            .released
            .chunks(PACKS_EACH_MAX)
            .map(|packs| Statement::Release { packs: packs.to_vec(), surveyed: surveyed.clone() })
            .collect();
        if releases.is_empty() && surveyed.iter().any(|seen| log.surveyed(&seen.source) != Some(seen)) {
            // Also a look that found nothing counts: the next one is compared with it.
            releases.push(Statement::Release { packs: Vec::new(), surveyed });
        }
        for statement in recalls.chain(releases).collect::<Vec<_>>() {
            log.append(vault, &self.owner, self.time.now, until, statement)?;
        }
        report.survey = survey;
        Ok(report)
    }

    /// Removes the released packs whose windows have run out, after looking once more whether anybody needs them.
    pub fn reap_lapsed(
        &self,
        blobs: &dyn LapsedBlobs<Lapsed>,
        memory: &mut ReaperMemory,
        succession: &mut dyn Succession,
        advance: &mut dyn FnMut(u64),
    ) -> Result<ReapReport, ReapError> {
        let mut log = self.log()?;
        self.check_thawed(&log)?;
        let (uses, survey) = self.look(&log, succession, advance)?;
        memory.note(&log, &uses, self.time.now)?;
        let world = self.circumstances(&log, &uses);
        let vault = self.reader.vault();
        let mut report = ReapReport::default();
        let mut lapsed = Vec::new();
        let released: Vec<PackId> = log.released().keys().copied().collect();
        for pack in released {
            let name = names::pack(&pack)?;
            let blob = match vault.store().head(&name) {
                // Removed by an earlier reaping.
                Err(BlobError::Missing { .. }) => continue,
                other => other?,
            };
            let mut facts = facts(&pack, &log, &uses, &survey);
            facts.locked_until = blob.locked_until;
            facts.released_at = log
                .release_of(&pack, &uses)
                .and_then(|released| Some(replaced_at(&pack, &survey, memory)?.max(released.at)));
            match may_reap(&facts, &world) {
                Ok(()) => lapsed.push((pack, name, blob.size_bytes)),
                Err(stays) => *report.staying.entry(without_date(stays)).or_default() += 1,
            }
        }
        if lapsed.is_empty() {
            return Ok(report);
        }
        lapsed.sort_unstable();
        let until = lock_until(self.time.latest, world.lock_days);
        for packs in lapsed.chunks(PACKS_EACH_MAX) {
            let packs = packs.iter().map(|(pack, ..)| *pack).collect();
            log.append(vault, &self.owner, self.time.now, until, Statement::Reap { packs })?;
        }
        // Commits that came while we looked may refer to what we found lapsed.
        let referred = newly_referred(vault, &uses)?;
        for (pack, name, size_bytes) in lapsed {
            if referred.contains(&pack) {
                *report.staying.entry(Stays::Needed).or_default() += 1;
                continue;
            }
            match blobs.reap(Lapsed { name }) {
                Ok(()) => {
                    report.bytes += size_bytes;
                    report.reaped.push(pack);
                }
                Err(BlobError::Missing { .. }) => {}
                Err(error) => report.refused.push((pack, error.to_string())),
            }
        }
        Ok(report)
    }

    fn log(&self) -> Result<RetentionLog, ReapError> {
        Ok(RetentionLog::read(self.reader.vault())?)
    }

    fn look(
        &self,
        log: &RetentionLog,
        succession: &mut dyn Succession,
        advance: &mut dyn FnMut(u64),
    ) -> Result<(PackUses, Survey), ReapError> {
        let uses = PackUses::read(self.reader.vault(), advance)?;
        if let Some(first) = uses.unsound().first() {
            return Err(ReapError::Unsound { count: uses.unsound().len(), first: first.clone() });
        }
        let survey = Survey::take(self.reader, log, &uses, succession, advance)?;
        Ok((uses, survey))
    }

    fn circumstances(&self, log: &RetentionLog, uses: &PackUses) -> Circumstances {
        let frozen = self.time.frozen.is_some() || log.is_broken();
        Circumstances { now: self.time.now, frozen, lock_days: uses.lock_days() }
    }

    fn check_thawed(&self, log: &RetentionLog) -> Result<(), ReapError> {
        if log.is_broken() {
            return Err(RetentionLogError::Broken.into());
        }
        match &self.time.frozen {
            Some(freeze) => Err(ReapError::Frozen { reason: freeze.reason.clone() }),
            None => Ok(()),
        }
    }
}

fn facts(pack: &PackId, log: &RetentionLog, uses: &PackUses, survey: &Survey) -> Facts {
    let held = log
        .holds()
        .values()
        .any(|hold| hold.source.as_ref().is_none_or(|held| uses.of(pack).any(|(source, _)| source == held)));
    Facts { needed: survey.needs(pack, uses), held, released_at: None, locked_until: None }
}

/// Returns when the reaper first saw that nothing in a pack is live any more.
fn replaced_at(pack: &PackId, survey: &Survey, memory: &ReaperMemory) -> Option<model::Moment> {
    let mut latest = None;
    for (source, sequence) in survey.replaced_by(pack) {
        latest = latest.max(Some(memory.first_seen(source, sequence)?));
    }
    latest
}

fn surveyed(survey: &Survey) -> Vec<Surveyed> {
    let accepted = survey
        .sources()
        .iter()
        .filter(|(_, seen)| !matches!(seen.suspicion, Some(crate::retention::Suspicion::Replaced { .. })));
    accepted
        .map(|(source, seen)| Surveyed {
            source: source.clone(),
            sequence: seen.sequence,
            live_items: seen.live_items,
        })
        .collect()
}

/// Lists the packs that commits newer than a look refer to.
fn newly_referred(vault: &Vault, uses: &PackUses) -> Result<std::collections::HashSet<PackId>, ReapError> {
    let mut referred = std::collections::HashSet::new();
    for source in vault.sources()? {
        let known = uses.heads().get(&source).copied().unwrap_or(0);
        for sequence in known + 1..=vault.last_sequence(&source)? {
            let commit = vault.commit(&source, sequence)?;
            referred.extend(commit.envelope.earlier_packs);
        }
    }
    Ok(referred)
}

/// Dates would make a reason of its own for each pack.
fn without_date(stays: Stays) -> Stays {
    match stays {
        Stays::InWindow { .. } => Stays::InWindow { until: model::Moment::from_micros(i64::MAX) },
        other => other,
    }
}
