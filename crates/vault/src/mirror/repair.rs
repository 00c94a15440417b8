//! The other way round: what the origin lost is created there again from the mirror. Only ever created.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use model::{Moment, SourceName};
use ports::{Blob, BlobError, BlobName};

use super::{
    Difference, LockPolicy, MirrorError, MirrorOptions, MirrorProblem, MirrorProgress, MirrorWatch, Pair,
    bytes_max, logs::sequences, pull::listing, renewal::of_mirror,
};
use crate::{Commit, Manifest, Vault, error_text, keys::KeyState, names};

/// An object that the origin lost and the mirror has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Its name.
    pub object: String,
    /// Its size.
    pub size_bytes: u64,
}

/// What can be, or was, brought back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RepairReport {
    /// What the origin lacks and the mirror has in good order.
    pub offers: Vec<Offer>,
    /// How many of them were created at the origin.
    pub created_objects: u64,
    /// Their bytes.
    pub created_bytes: u64,
    /// What cannot be brought back, and why.
    pub refused: Vec<Difference>,
}

/// Finds what the origin lost; with `create`, creates it there again.
pub fn repair(
    pair: &Pair,
    options: &MirrorOptions,
    create: bool,
    watch: MirrorWatch<'_>,
) -> Result<RepairReport, MirrorError> {
    let here = listing(&*pair.mirror).map_err(MirrorError::Mirror)?;
    let there = listing(&*pair.origin).map_err(MirrorError::Origin)?;
    let bytes = match pair.mirror.read(&names::manifest()?) {
        Err(BlobError::Missing { .. }) => return Err(MirrorError::NoVault),
        other => other.map_err(MirrorError::Mirror)?,
    };
    let manifest = Manifest::parse(&bytes)?;
    let days = options.lock_days.max(manifest.lock_days);
    let mut repair = Repair {
        pair,
        lock: LockPolicy { now: pair.clock.now(), days },
        keys: Vault::open(Arc::clone(&pair.mirror)).map_err(of_mirror)?.keys(),
        manifest,
        report: RepairReport::default(),
    };
    repair.origin_is_of_this_vault(&bytes)?;
    let forked = repair.forked(&here, &there)?;
    let mut lost: Vec<&Blob> = here.values().filter(|blob| !there.contains_key(&blob.name)).collect();
    // What commits need comes before them, and what covers them after.
    lost.sort_by_key(|blob| (rank(&blob.name), blob.name.clone()));
    let total_objects = lost.len() as u64;
    for (done, blob) in (1..).zip(lost) {
        if (watch.stop)() {
            break;
        }
        repair.object(blob, &forked, create)?;
        let done_bytes = repair.report.created_bytes;
        (watch.progress)(MirrorProgress { done_objects: done, total_objects, done_bytes });
    }
    Ok(repair.report)
}

struct Repair<'a> {
    pair: &'a Pair,
    lock: LockPolicy,
    manifest: Manifest,
    keys: KeyState,
    report: RepairReport,
}

impl Repair<'_> {
    fn refuse(&mut self, object: &str, problem: MirrorProblem, detail: impl Into<String>) {
        let difference = Difference { object: object.to_owned(), problem, detail: detail.into() };
        self.report.refused.push(difference);
    }

    fn origin_is_of_this_vault(&mut self, mine: &[u8]) -> Result<(), MirrorError> {
        match self.pair.origin.read(&names::manifest()?) {
            Err(BlobError::Missing { .. }) => Ok(()),
            Err(error) => Err(MirrorError::Origin(error)),
            Ok(bytes) if bytes == mine => Ok(()),
            Ok(bytes) => {
                if let Ok(other) = Manifest::parse(&bytes)
                    && other.vault != self.manifest.vault
                {
                    return Err(MirrorError::OtherVault { mirror: self.manifest.vault, origin: other.vault });
                }
                self.refuse(names::MANIFEST, MirrorProblem::Altered, "the name is taken by other bytes");
                Ok(())
            }
        }
    }

    /// Returns the sources whose newest common commit is not the same in both.
    fn forked(
        &mut self,
        here: &BTreeMap<BlobName, Blob>,
        there: &BTreeMap<BlobName, Blob>,
    ) -> Result<BTreeSet<SourceName>, MirrorError> {
        let sources: BTreeSet<SourceName> =
            here.keys().filter_map(names::parse_commit).map(|(source, _)| source).collect();
        let mut forked = BTreeSet::new();
        for source in sources {
            let (mine, theirs) = (sequences(here, &source), sequences(there, &source));
            let Some(name) = mine.iter().rev().find(|(s, _)| theirs.contains_key(s)).map(|(_, name)| name)
            else {
                continue;
            };
            let bytes = self.pair.mirror.read(name).map_err(MirrorError::Mirror)?;
            match self.pair.origin.read(name) {
                Ok(other) if other == bytes => {}
                Ok(_) => {
                    let detail =
                        "the origin has another commit under this name, and nothing is ever replaced";
                    self.refuse(name.as_str(), MirrorProblem::Forked, detail);
                    forked.insert(source);
                }
                Err(error) => return Err(MirrorError::Origin(error)),
            }
        }
        Ok(forked)
    }

    fn object(
        &mut self,
        blob: &Blob,
        forked: &BTreeSet<SourceName>,
        create: bool,
    ) -> Result<(), MirrorError> {
        let name = &blob.name;
        if bytes_max(name).is_none_or(|max| blob.size_bytes > max) {
            return Ok(());
        }
        if let Some((source, _)) = names::parse_commit(name)
            && forked.contains(&source)
        {
            let detail = "the origin's log goes another way";
            self.refuse(name.as_str(), MirrorProblem::Forked, detail);
            return Ok(());
        }
        let bytes = match self.pair.mirror.read(name) {
            Ok(bytes) => bytes,
            Err(error) => {
                self.refuse(name.as_str(), MirrorProblem::MirrorDamaged, error_text(&error));
                return Ok(());
            }
        };
        let lock = match self.sound(name, &bytes) {
            Ok(promised) => promised.map_or(self.lock.own(), |promised| self.lock.at_least(promised)),
            Err(detail) => {
                self.refuse(name.as_str(), MirrorProblem::MirrorDamaged, detail);
                return Ok(());
            }
        };
        self.report.offers.push(Offer { object: name.to_string(), size_bytes: blob.size_bytes });
        if !create {
            return Ok(());
        }
        let lock = blob.locked_until.map_or(lock, |mine| self.lock.at_least(mine).max(lock));
        match self.pair.origin.create(name, &bytes, lock) {
            Ok(()) => {
                self.report.created_objects += 1;
                self.report.created_bytes += bytes.len() as u64;
                Ok(())
            }
            Err(BlobError::Exists { .. }) => {
                self.refuse(name.as_str(), MirrorProblem::Altered, "the name was taken meanwhile");
                Ok(())
            }
            Err(error) => Err(MirrorError::Origin(error)),
        }
    }

    /// Checks the mirror's own copy before it is given back; returns until when it was promised to stay.
    fn sound(&self, name: &BlobName, bytes: &[u8]) -> Result<Option<Moment>, String> {
        if let Some(id) = names::parse_pack(name) {
            let right = blake3::hash(bytes).as_bytes() == &id.0;
            return if right { Ok(None) } else { Err("its bytes do not hash to its name".to_owned()) };
        }
        if let Some(place) = names::parse_commit(name) {
            let commit =
                Commit::parse(bytes, self.manifest.vault, &self.keys).map_err(|error| error_text(&error))?;
            if (commit.envelope.source, commit.envelope.sequence) != place {
                return Err("it stands under another name than it says".to_owned());
            }
            return Ok(Some(commit.envelope.locked_until));
        }
        Ok(None)
    }
}

fn rank(name: &BlobName) -> u8 {
    let text = name.as_str();
    match text {
        _ if text.starts_with(names::KEYS) => 0,
        _ if text == names::MANIFEST => 1,
        _ if text.starts_with(names::DATA) => 2,
        _ if text.starts_with(names::LOG) => 3,
        _ => 4,
    }
}
