//! Checking a vault: structure without a key, contents with one (format §9).

mod heads;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use model::SourceName;
use ports::{Blob, BlobError, ForeignKind};

use crate::{
    Change, Commit, Extent, PackId, PackRef, Vault, VaultError, VaultReader, error_text, log::PackEntry,
    names, pack::PACK_BYTES_MAX, retention::RetentionLog, tree::TreeHead, verify::heads::LogHashes,
};

/// How wrapped keys begin.
const AGE_LINE: &[u8] = b"age-encryption.org/v1\n";

/// How deep to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Names, sizes, chain, signatures, bodies' hashes.
    Structure,
    /// Also reads every pack; with a key, opens every frame and checks every content's digest.
    ReadData,
}

/// Something that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The object concerned.
    pub object: String,
    /// What is wrong.
    pub problem: Problem,
    /// More about it.
    pub detail: String,
    /// How many items cannot be restored because of it; known only with a key.
    pub affected_items: Option<u64>,
}

/// Kinds of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Problem {
    /// The object is gone.
    Missing,
    /// The object is there, but not as it was written.
    Altered,
    /// The object does not belong where it is.
    Foreign,
    /// The object was there once: a tree head or a witness saw it.
    RolledBack,
    /// Another object was there when a tree head was made.
    Forked,
    /// The object's lock ends before what needs it.
    LockTooShort,
    /// The store did not answer.
    Unreadable,
}

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Objects looked at.
    pub objects: u64,
    /// Commits looked at.
    pub commits: u64,
    /// Packs looked at.
    pub packs: u64,
    /// Packs whose windows have run out and that were removed; what lay in them cannot be restored any more.
    pub reaped_packs: u64,
    /// Versions under names that writers race for, behind the one that counts. They are never read.
    pub later_versions: u64,
    /// Packs that no commit names: what is left of writers that stopped half way.
    pub unreferenced_packs: u64,
    /// Tree heads looked at.
    pub heads: u64,
    /// Commits that no tree head covers yet: the newest ones.
    pub uncovered_commits: u64,
    /// Logs that tree heads cover and that the store does not show to this client.
    pub hidden_logs: u64,
    /// The newest tree head, with the checkpoint that is worth keeping elsewhere.
    pub newest_head: Option<TreeHead>,
    /// Objects for which the store knows no lock, for instance in a copy of a vault.
    pub unlocked_objects: u64,
    /// Bytes read.
    pub read_bytes: u64,
    /// Contents whose digests were checked.
    pub contents: u64,
    /// All that is not as it should be.
    pub findings: Vec<Finding>,
}

/// Told to whoever waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Objects done.
    pub done: u64,
    /// Objects in all.
    pub total: u64,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "missing",
            Self::Altered => "altered",
            Self::Foreign => "foreign",
            Self::RolledBack => "rolled back",
            Self::Forked => "forked",
            Self::LockTooShort => "lock too short",
            Self::Unreadable => "unreadable",
        })
    }
}

impl Report {
    /// Returns whether all is as it was written.
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }

    /// Returns whether something was removed or changed, rather than merely out of reach.
    pub fn shows_tampering(&self) -> bool {
        let tampering = |finding: &Finding| {
            use Problem::{Altered, Forked, Missing, RolledBack};
            matches!(finding.problem, Missing | Altered | RolledBack | Forked)
        };
        self.findings.iter().any(tampering)
    }
}

/// Checks a vault. With a reader, bodies and contents are checked too.
pub fn verify(
    vault: &Vault,
    reader: Option<&VaultReader>,
    depth: Depth,
    progress: &mut dyn FnMut(Progress),
) -> Result<Report, VaultError> {
    let objects = vault.store().list("")?;
    let mut check = Check {
        vault,
        depth,
        report: Report {
            objects: objects.len() as u64,
            unlocked_objects: objects.iter().filter(|blob| blob.locked_until.is_none()).count() as u64,
            ..Report::default()
        },
        present: objects.iter().map(|blob| (blob.name.to_string(), blob.clone())).collect(),
        named: BTreeMap::new(),
        retention: RetentionLog::read(vault)?,
        hashes: LogHashes::new(),
        damaged: BTreeSet::new(),
        affected: BTreeMap::new(),
        done: 0,
    };
    check.names(&objects);
    check.foreign()?;
    check.keys()?;
    for source in vault.sources()? {
        check.log(&source, reader, progress)?;
    }
    check.heads(progress)?;
    check.packs(progress);
    if let (Some(reader), Depth::ReadData) = (reader, depth) {
        check.contents(reader, progress)?;
    } else if let Some(reader) = reader {
        check.affected_by_damage(reader)?;
    }
    let Check { mut report, affected, .. } = check;
    for finding in &mut report.findings {
        if reader.is_some() {
            finding.affected_items = Some(affected.get(&finding.object).copied().unwrap_or(0));
        }
    }
    Ok(report)
}

struct Check<'a> {
    vault: &'a Vault,
    depth: Depth,
    report: Report,
    present: BTreeMap<String, Blob>,
    /// Every pack that a commit names: its size where known, and until when it must be locked.
    named: BTreeMap<PackId, (Option<u64>, model::Moment)>,
    retention: RetentionLog,
    hashes: LogHashes,
    damaged: BTreeSet<PackId>,
    affected: BTreeMap<String, u64>,
    done: u64,
}

impl Check<'_> {
    fn find(&mut self, object: impl Into<String>, problem: Problem, detail: impl Into<String>) {
        let finding = Finding { object: object.into(), problem, detail: detail.into(), affected_items: None };
        if !self.report.findings.contains(&finding) {
            self.report.findings.push(finding);
        }
    }

    fn step(&mut self, progress: &mut dyn FnMut(Progress)) {
        self.done += 1;
        let total = self.report.objects.max(self.done);
        progress(Progress { done: self.done, total });
    }

    fn names(&mut self, objects: &[Blob]) {
        for blob in objects {
            let name = blob.name.as_str();
            let number = |prefix: &str| {
                name.strip_prefix(prefix).is_some_and(|n| n.parse::<u64>().is_ok_and(|v| v.to_string() == n))
            };
            let known = name == names::MANIFEST
                || number(names::KEYS)
                || number(names::HEADS)
                || number("proofs/")
                || names::parse_retention(&blob.name).is_some()
                || names::parse_cosignature(&blob.name).is_some()
                || names::parse_pack(&blob.name).is_some()
                || names::parse_commit(&blob.name).is_some();
            if !known {
                self.find(name, Problem::Foreign, "no vault writes an object of this name");
            }
        }
        if !objects.iter().any(|blob| blob.name.as_str().starts_with(names::KEYS)) {
            self.find("keys/0", Problem::Missing, "no identity can open the vault without it");
        }
    }

    /// Notes what somebody put where only the vault writes, or hid from it.
    fn foreign(&mut self) -> Result<(), VaultError> {
        for object in self.vault.store().foreign("")? {
            // A store that ignores conditions keeps what a slower writer put under a name that was claimed already:
            // nobody reads it, and nobody can tell it from an attempt to replace.
            if object.what == ForeignKind::LaterVersion && is_claimed_name(&object.name) {
                self.report.later_versions += 1;
                continue;
            }
            self.find(object.name, Problem::Foreign, format!("{}: {}", object.what, object.detail));
        }
        for record in self.retention.foreign().to_vec() {
            self.find(record.object, Problem::Foreign, record.error.to_string());
        }
        if self.retention.is_broken() {
            self.find(names::RETENTION, Problem::Missing, "signed entries of the log of retention are gone");
        }
        Ok(())
    }

    /// Finds objects among the keys that neither the vault's maker nor its owner wrote.
    fn keys(&mut self) -> Result<(), VaultError> {
        let signed: Vec<u64> = self.vault.key_changes()?.iter().map(|change| change.number).collect();
        for number in self.vault.key_numbers()? {
            let name = names::keys(number)?;
            let bytes = match self.vault.store().read(&name) {
                Ok(bytes) => bytes,
                Err(error) => {
                    self.fail(name.as_str(), &error.into());
                    continue;
                }
            };
            if !bytes.starts_with(AGE_LINE) && !signed.contains(&number) {
                let detail = "it is no change of keys that this vault's owner signed; nobody follows it";
                self.find(name.as_str(), Problem::Foreign, detail);
            }
        }
        Ok(())
    }

    /// Returns whether a pack is gone because its window had run out.
    fn is_reaped(&self, id: &PackId) -> bool {
        self.retention.reaped().contains(id) && !self.present.contains_key(&Vault::pack_object(id))
    }

    fn log(
        &mut self,
        source: &SourceName,
        reader: Option<&VaultReader>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), VaultError> {
        for (sequence, commit) in (1..).zip(self.vault.commits(source)?) {
            self.step(progress);
            let object = names::commit(source, sequence)?.to_string();
            let hash = commit.as_ref().ok().map(|commit| commit.hash);
            self.hashes.entry(source.clone()).or_default().push(hash);
            match commit {
                Ok(commit) => self.commit(&object, &commit, reader),
                Err(error) => self.fail(&object, &error),
            }
        }
        Ok(())
    }

    fn commit(&mut self, object: &str, commit: &Commit, reader: Option<&VaultReader>) {
        self.report.commits += 1;
        let envelope = &commit.envelope;
        let sized = envelope
            .packs
            .iter()
            .chain(&envelope.body_packs)
            .map(|entry: &PackEntry| (entry.id, Some(entry.size_bytes)));
        for (id, size) in sized.chain(envelope.earlier_packs.iter().map(|id| (*id, None))) {
            let known = self.named.entry(id).or_insert((size, envelope.locked_until));
            known.0 = known.0.or(size);
            known.1 = known.1.max(envelope.locked_until);
        }
        if let Some(Blob { locked_until: Some(lock), .. }) = self.present.get(object)
            && *lock < envelope.locked_until
        {
            let detail = format!("locked until {lock}, promised until {}", envelope.locked_until);
            self.find(object, Problem::LockTooShort, detail);
        }
        if let Some(reader) = reader
            && let Err(error) = reader.for_each_block(commit, |_| Ok(()))
        {
            self.fail(object, &error);
        }
    }

    fn packs(&mut self, progress: &mut dyn FnMut(Progress)) {
        for (id, (size, promised)) in self.named.clone() {
            self.step(progress);
            self.report.packs += 1;
            if self.is_reaped(&id) {
                self.report.reaped_packs += 1;
                continue;
            }
            let object = Vault::pack_object(&id);
            let Some(blob) = self.present.get(&object).cloned() else {
                self.damaged.insert(id);
                self.find(object, Problem::Missing, "a commit names this pack");
                continue;
            };
            if size.is_some_and(|size| size != blob.size_bytes) || blob.size_bytes > PACK_BYTES_MAX {
                self.damaged.insert(id);
                self.find(object, Problem::Altered, format!("it has {} bytes", blob.size_bytes));
                continue;
            }
            if blob.locked_until.is_some_and(|lock| lock < promised) {
                self.find(&object, Problem::LockTooShort, format!("promised until {promised}"));
            }
            if self.depth == Depth::ReadData {
                self.read_pack(&id, object, &blob);
            }
        }
        let stray =
            |blob: &&Blob| names::parse_pack(&blob.name).is_some_and(|id| !self.named.contains_key(&id));
        self.report.unreferenced_packs = self.present.values().filter(stray).count() as u64;
    }

    fn read_pack(&mut self, id: &PackId, object: String, blob: &Blob) {
        match self.vault.store().read(&blob.name) {
            Ok(bytes) => {
                self.report.read_bytes += bytes.len() as u64;
                if blake3::hash(&bytes).as_bytes() != &id.0 {
                    self.damaged.insert(*id);
                    self.find(object, Problem::Altered, "its bytes do not hash to its name");
                }
            }
            Err(error) => self.fail(&object, &error.into()),
        }
    }

    /// Reads every content back. One that is damaged is counted under the object that is to blame.
    fn contents(
        &mut self,
        reader: &VaultReader,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), VaultError> {
        self.each_commit(|check, commit| {
            check.step(progress);
            reader.for_each_block(commit, |block| {
                for change in &block.changes {
                    let Change::Upsert { content, .. } = change else { continue };
                    let mut packs = content.extents.iter().flat_map(Extent::packs).filter_map(PackRef::id);
                    if packs.any(|id| check.is_reaped(&id)) {
                        continue;
                    }
                    check.report.contents += 1;
                    let mut portions = reader.read_content(content);
                    let failure = loop {
                        match portions.next_portion() {
                            Ok(Some(_)) => {}
                            Ok(None) => break None,
                            Err(error) => break Some(error),
                        }
                    };
                    if let Some(error) = failure {
                        let fallback =
                            names::commit(&commit.envelope.source, commit.envelope.sequence)?.to_string();
                        let object = error.object().unwrap_or(fallback);
                        *check.affected.entry(object.clone()).or_default() += 1;
                        check.fail(&object, &error);
                    }
                }
                Ok(())
            })
        })
    }

    /// Counts the items that need a pack that is known to be damaged, without reading contents.
    fn affected_by_damage(&mut self, reader: &VaultReader) -> Result<(), VaultError> {
        if self.damaged.is_empty() {
            return Ok(());
        }
        self.each_commit(|check, commit| {
            reader.for_each_block(commit, |block| {
                for change in &block.changes {
                    let Change::Upsert { content, .. } = change else { continue };
                    let needed: BTreeSet<PackId> =
                        content.extents.iter().flat_map(Extent::packs).filter_map(PackRef::id).collect();
                    for id in needed.intersection(&check.damaged) {
                        *check.affected.entry(Vault::pack_object(id)).or_default() += 1;
                    }
                }
                Ok(())
            })
        })
    }

    /// Visits the commits that can be read; the others are among the findings already, and so is a damaged body.
    fn each_commit(
        &mut self,
        mut visit: impl FnMut(&mut Self, &Commit) -> Result<(), VaultError>,
    ) -> Result<(), VaultError> {
        for source in self.vault.sources()? {
            for commit in self.vault.commits(&source)?.flatten() {
                if let Err(error) = visit(self, &commit) {
                    let object = names::commit(&source, commit.envelope.sequence)?.to_string();
                    self.fail(&object, &error);
                }
            }
        }
        Ok(())
    }

    fn fail(&mut self, object: &str, error: &VaultError) {
        let object = error.object().unwrap_or_else(|| object.to_owned());
        let problem = match error {
            VaultError::Store(BlobError::Missing { .. }) => Problem::Missing,
            VaultError::Store(_) => Problem::Unreadable,
            _ => Problem::Altered,
        };
        // One object has one finding of a kind; the first says what is wrong, the rest follows from it.
        let known = |finding: &Finding| finding.object == object && finding.problem == problem;
        if !self.report.findings.iter().any(known) {
            self.find(object, problem, error_text(error));
        }
    }
}

/// Returns whether writers claim names of this kind one after the other, and may race for them.
fn is_claimed_name(name: &str) -> bool {
    [names::LOG, names::HEADS, names::RETENTION].iter().any(|prefix| name.starts_with(prefix))
}
