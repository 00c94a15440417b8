use std::collections::{BTreeMap, HashMap, HashSet};

use model::{Moment, SourceName};
use ports::BlobError;
use ring::signature::Ed25519KeyPair;

use super::{
    PackUses, Record, RecordError, Statement, Surveyed,
    record::{RecordHash, public_text},
};
use crate::{
    PackId, Vault, VaultError,
    id::hex,
    names,
    quorum::{Answer, Question, Quorum, QuorumError},
};

/// The log of retention: what was released, held and decided, as far as it is signed and whole.
///
/// Whatever is missing from it only keeps things for longer: a pack that nobody released is live.
#[derive(Debug, Clone, Default)]
pub struct RetentionLog {
    last_number: u64,
    last_hash: RecordHash,
    last_at: Option<Moment>,
    released: HashMap<PackId, Released>,
    reaped: HashSet<PackId>,
    holds: BTreeMap<u64, Hold>,
    people: Option<Quorum>,
    surveyed: BTreeMap<SourceName, Surveyed>,
    /// How far each release had looked, by the number of its entry.
    releases: BTreeMap<u64, BTreeMap<SourceName, u64>>,
    confirmed: BTreeMap<SourceName, u64>,
    foreign: Vec<ForeignRecord>,
    broken: bool,
}

/// Since when nobody needs a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Released {
    /// Vault time of the release.
    pub at: Moment,
    /// The number of the entry that says so.
    pub number: u64,
}

/// Data that must stay until people say otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// Whose; all of the vault's when absent.
    pub source: Option<SourceName>,
    /// Why.
    pub reason: String,
    /// Since when.
    pub since: Moment,
}

/// An object in the place of an entry that is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignRecord {
    /// The object's name.
    pub object: String,
    /// What is wrong with it.
    pub error: RecordError,
}

/// Why the log of retention cannot be read or added to.
#[derive(Debug, thiserror::Error)]
pub enum RetentionLogError {
    /// The vault cannot be read.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] BlobError),
    /// The entry cannot be made.
    #[error("the entry cannot be made")]
    Record(#[from] RecordError),
    /// Entries that were signed are missing or were replaced.
    #[error("entries of the log of retention are missing: nothing is released or reaped")]
    Broken,
    /// Too few people agreed.
    #[error("people have not agreed")]
    Quorum(#[from] QuorumError),
    /// Nobody is named whose word counts.
    #[error("no people are named whose word counts")]
    NoPeople,
    /// The vault was made before there were owner keys.
    #[error("this vault names no owner key")]
    NoOwner,
    /// There is no such hold.
    #[error("there is no hold {number}")]
    NoHold {
        /// The number asked for.
        number: u64,
    },
}

impl RetentionLog {
    /// Reads the log. Objects that the right key did not sign are passed over and named.
    pub fn read(vault: &Vault) -> Result<Self, VaultError> {
        let mut log = Self::default();
        let owners: HashSet<String> = vault.owners()?.iter().map(|key| hex(key)).collect();
        if owners.is_empty() {
            return Ok(log);
        }
        let signers: HashSet<String> = vault.keys().signers.iter().map(|signer| hex(&signer.key)).collect();
        for blob in vault.store().list(names::RETENTION)? {
            let Some(number) = names::parse_retention(&blob.name) else { continue };
            let bytes = vault.store().read(&blob.name)?;
            let parsed = Record::parse(&bytes, vault.manifest().vault, number);
            let taken = parsed.and_then(|(record, hash)| {
                let is_owner = owners.contains(&record.signer);
                let may_hold =
                    matches!(record.statement, Statement::Hold { .. }) && signers.contains(&record.signer);
                if !is_owner && !may_hold {
                    return Err(RecordError::Signer);
                }
                // One that was signed rightly and continues nothing: what it continued is gone.
                log.broken |= record.previous != hex(&log.last_hash);
                log.take(vault, record, hash);
                Ok(())
            });
            if let Err(error) = taken {
                log.foreign.push(ForeignRecord { object: blob.name.to_string(), error });
                log.last_number = log.last_number.max(number);
            }
        }
        Ok(log)
    }

    /// Adds an entry, after whatever others have added in the meantime.
    pub fn append(
        &mut self,
        vault: &Vault,
        signer: &Ed25519KeyPair,
        at: Moment,
        locked_until: Moment,
        statement: Statement,
    ) -> Result<u64, RetentionLogError> {
        if self.broken {
            return Err(RetentionLogError::Broken);
        }
        let number = self.last_number + 1;
        let record = Record {
            vault: vault.manifest().vault,
            number,
            previous: hex(&self.last_hash),
            at,
            signer: public_text(signer),
            statement,
        };
        let (bytes, hash) = record.seal(signer)?;
        vault.store().create(&names::retention(number)?, &bytes, locked_until)?;
        self.take(vault, record, hash);
        Ok(number)
    }

    fn take(&mut self, vault: &Vault, record: Record, hash: RecordHash) {
        let Record { number, at, statement, .. } = record;
        let id = &vault.manifest().vault;
        match statement {
            Statement::People { quorum, answers } => {
                let question = people_question(&quorum);
                let agreed = match &self.people {
                    None => quorum.check().is_ok(),
                    Some(people) => people.consent(id, &question, &answers).is_ok(),
                };
                if agreed {
                    self.people = Some(quorum);
                }
            }
            Statement::Release { packs, surveyed } => {
                for pack in packs {
                    self.released.entry(pack).or_insert(Released { at, number });
                }
                let looked = surveyed.iter().map(|entry| (entry.source.clone(), entry.sequence)).collect();
                self.releases.insert(number, looked);
                for entry in surveyed {
                    self.surveyed.insert(entry.source.clone(), entry);
                }
            }
            Statement::Recall { packs } => {
                for pack in packs {
                    self.released.remove(&pack);
                }
            }
            Statement::Reap { packs } => self.reaped.extend(packs),
            Statement::Hold { source, reason } => {
                self.holds.insert(number, Hold { source, reason, since: at });
            }
            Statement::Lift { hold, answers } => {
                if self.agreed(id, &lift_question(hold), &answers).is_ok() {
                    self.holds.remove(&hold);
                }
            }
            Statement::Confirm { source, sequence, answers } => {
                if self.agreed(id, &confirm_question(&source, sequence), &answers).is_ok() {
                    self.confirmed.insert(source, sequence);
                }
            }
        }
        self.last_number = number;
        self.last_hash = hash;
        self.last_at = self.last_at.max(Some(at));
    }

    fn agreed(
        &self,
        vault: &crate::VaultId,
        question: &Question,
        answers: &[Answer],
    ) -> Result<(), RetentionLogError> {
        let people = self.people.as_ref().ok_or(RetentionLogError::NoPeople)?;
        people.consent(vault, question, answers)?;
        Ok(())
    }

    /// Returns the packs that entries have released and not recalled.
    pub const fn released(&self) -> &HashMap<PackId, Released> {
        &self.released
    }

    /// Returns since when a pack is released, unless a commit that the release did not see refers to it.
    pub fn release_of(&self, pack: &PackId, uses: &PackUses) -> Option<Released> {
        let released = self.released.get(pack)?;
        let looked = self.releases.get(&released.number)?;
        let seen = uses
            .of(pack)
            .all(|(source, sequence)| looked.get(source).is_some_and(|up_to| sequence <= *up_to));
        seen.then_some(*released)
    }

    /// Returns the packs that were removed, or were about to be.
    pub const fn reaped(&self) -> &HashSet<PackId> {
        &self.reaped
    }

    /// Returns the holds that run, by the number of the entry that began each.
    pub const fn holds(&self) -> &BTreeMap<u64, Hold> {
        &self.holds
    }

    /// Returns the people whose word counts.
    pub const fn people(&self) -> Option<&Quorum> {
        self.people.as_ref()
    }

    /// Returns how far the last accepted survey looked at a source.
    pub fn surveyed(&self, source: &SourceName) -> Option<&Surveyed> {
        self.surveyed.get(source)
    }

    /// Returns up to which commit people have confirmed that a source really changed that much.
    pub fn confirmed(&self, source: &SourceName) -> u64 {
        self.confirmed.get(source).copied().unwrap_or(0)
    }

    /// Returns the latest vault time that the log has on record.
    pub const fn last_at(&self) -> Option<Moment> {
        self.last_at
    }

    /// Returns the number of the newest entry.
    pub const fn last_number(&self) -> u64 {
        self.last_number
    }

    /// Returns what lies in the place of entries and is none.
    pub fn foreign(&self) -> &[ForeignRecord] {
        &self.foreign
    }

    /// Returns whether signed entries are missing. Then nothing may be released or reaped.
    pub const fn is_broken(&self) -> bool {
        self.broken
    }
}

/// Returns what the present people are asked before others take their place.
pub fn people_question(quorum: &Quorum) -> Question {
    let people: Vec<String> = quorum.people.iter().map(|(name, key)| format!("{name}={key}")).collect();
    Question::new("people", format!("{} of {}", quorum.threshold, people.join(" ")))
}

/// Returns what people are asked before a hold is lifted.
pub fn lift_question(hold: u64) -> Question {
    Question::new("lift", format!("hold {hold}"))
}

/// Returns what people are asked when a source has shrunk or changed too much at once.
pub fn confirm_question(source: &SourceName, sequence: u64) -> Question {
    Question::new("confirm", format!("{source} up to commit {sequence}"))
}
