use std::collections::{BTreeMap, HashMap};

use model::SourceName;
use ports::BlobName;

use crate::{PackId, Vault, VaultError, names};

/// Which commits name which packs, as it can be seen without a key.
#[derive(Debug, Clone, Default)]
pub struct PackUses {
    sources: Vec<SourceName>,
    packs: HashMap<PackId, PackUse>,
    heads: BTreeMap<SourceName, u64>,
    lock_days: u32,
    unsound: Vec<String>,
}

#[derive(Debug, Clone, Default)]
struct PackUse {
    /// Whether its frames are change blocks, which reading the log needs for ever.
    is_body: bool,
    /// The newest commit of each source that names it. Nearly always one.
    newest: Vec<(u32, u64)>,
}

impl PackUses {
    /// Reads the envelopes of all commits.
    ///
    /// A commit that cannot be read is remembered by name: whoever is about to remove something must not go on.
    pub fn read(vault: &Vault, advance: &mut dyn FnMut(u64)) -> Result<Self, VaultError> {
        let mut uses = Self { lock_days: vault.manifest().lock_days, ..Self::default() };
        for source in vault.sources()? {
            let number = uses.sources.len() as u32;
            uses.sources.push(source.clone());
            uses.heads.insert(source.clone(), vault.last_sequence(&source)?);
            for (sequence, commit) in (1..).zip(vault.commits(&source)?) {
                advance(1);
                let commit = match commit {
                    Ok(commit) => commit,
                    Err(error) if error.is_tampering() => {
                        uses.unsound.push(names::commit(&source, sequence)?.to_string());
                        continue;
                    }
                    Err(error) => return Err(error),
                };
                let envelope = &commit.envelope;
                uses.lock_days = uses.lock_days.max(envelope.retention_days);
                let own = envelope.packs.iter().map(|entry| entry.id);
                for id in own.chain(envelope.earlier_packs.iter().copied()) {
                    uses.note(id, number, sequence);
                }
                for entry in &envelope.body_packs {
                    uses.note(entry.id, number, sequence).is_body = true;
                }
            }
        }
        Ok(uses)
    }

    fn note(&mut self, pack: PackId, source: u32, sequence: u64) -> &mut PackUse {
        let entry = self.packs.entry(pack).or_default();
        match entry.newest.iter_mut().find(|(known, _)| *known == source) {
            Some((_, newest)) => *newest = sequence,
            None => entry.newest.push((source, sequence)),
        }
        entry
    }

    /// Returns the newest commit of each source that names a pack.
    pub fn of(&self, pack: &PackId) -> impl Iterator<Item = (&SourceName, u64)> {
        let newest = self.packs.get(pack).map(|entry| entry.newest.as_slice()).unwrap_or_default();
        newest.iter().filter_map(|(source, sequence)| Some((self.sources.get(*source as usize)?, *sequence)))
    }

    /// Returns whether any commit names a pack.
    pub fn is_named(&self, pack: &PackId) -> bool {
        self.packs.contains_key(pack)
    }

    /// Returns whether reading the log needs a pack.
    pub fn is_body(&self, pack: &PackId) -> bool {
        self.packs.get(pack).is_some_and(|entry| entry.is_body)
    }

    /// Lists all packs that commits name.
    pub fn packs(&self) -> impl Iterator<Item = &PackId> {
        self.packs.keys()
    }

    /// Returns the newest sequence number of each source.
    pub const fn heads(&self) -> &BTreeMap<SourceName, u64> {
        &self.heads
    }

    /// Returns the retention in force.
    pub const fn lock_days(&self) -> u32 {
        self.lock_days
    }

    /// Lists the commits that are damaged or forged: what they need is not known.
    pub fn unsound(&self) -> &[String] {
        &self.unsound
    }

    /// Lists the sources that an object belongs to; none for what all of them need.
    pub(super) fn sources_of(&self, name: &BlobName) -> Vec<SourceName> {
        if let Some(pack) = names::parse_pack(name) {
            return self.of(&pack).map(|(source, _)| source.clone()).collect();
        }
        names::parse_commit(name).map(|(source, _)| source).into_iter().collect()
    }
}
