//! Finding out what a bucket really enforces, by attacking throw-away objects in it.
//!
//! "Object Lock" is a promise that stores break in silence, so a vault does not take their word. Everything happens
//! below `.attest/` under the vault's prefix, on objects that were made for it and are locked for minutes; no object
//! of a vault is touched. Two things concern the whole bucket: suspending its versions is tried (a store that allows it
//! gets them back at once), and its default rule is written back as it is.

mod attacker;
mod bucket;
mod canary;
mod foreign;
mod object;
mod writing;

use std::{fmt, sync::Arc};

use model::Moment;
use ports::{Clock, Random};
use serde::Serialize;

use self::attacker::Attacker;
pub use self::{
    canary::Canary,
    foreign::{ForeignAnswer, ForeignAttempt, try_foreign},
};
use super::{
    S3Credential, S3Settings, SettingsError,
    client::{Client, VersionHead},
    connection::{Connection, S3Error},
    encoding,
};

/// Where attestations work, below the vault's prefix. No vault can write there: its names have no leading dots.
pub(super) const FOLDER: &str = ".attest/";

/// How one check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// As it should be.
    Holds,
    /// It is not as it should be, or could not be seen; a vault does not rest on it.
    Remark,
    /// It is not as it should be, and a vault would rest on it.
    Fails,
}

/// One thing that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// A name that stays the same: `delete-version`.
    pub id: &'static str,
    /// What should be true.
    pub expected: &'static str,
    /// What happened.
    pub seen: String,
    /// How it ended.
    pub outcome: Outcome,
}

/// How far a bucket can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Every check holds, against a credential that can delete.
    Trusted,
    /// What a vault rests on holds; the remarks say what else does not, or could not be seen.
    TrustedWithRemarks,
    /// A vault here could be destroyed.
    NotTrusted,
}

/// What a bucket really enforces.
#[derive(Debug, Clone, Serialize)]
pub struct Attestation {
    /// The conclusion.
    pub verdict: Verdict,
    /// Everything that was tried.
    pub checks: Vec<Check>,
    /// The canaries there should be from now on; to be given to the next attestation.
    pub canaries: Vec<Canary>,
}

/// Whose requests attack and whose write.
pub struct Credentials {
    /// What the vault's store uses.
    pub writer: S3Credential,
    /// The most powerful credential that can be had; the writer's own where there is none.
    pub attacker: S3Credential,
}

/// Attests a bucket. `known` are the canaries of earlier attestations.
///
/// It takes some seconds, because it waits for a short lock to lapse.
pub fn attest(
    settings: &S3Settings,
    credentials: Credentials,
    clock: &Arc<dyn Clock>,
    random: &Arc<dyn Random>,
    known: &[Canary],
) -> Result<Attestation, SettingsError> {
    let connect = |credential| Connection::new(settings, credential, Arc::clone(clock), Arc::clone(random));
    let mut stranger = credentials.writer.clone();
    stranger.secret_key = model::Redacted::new(format!("wrong-{}", stranger.secret_key.expose()));
    let mut bytes = [0; 8];
    random.fill(&mut bytes);
    let mut bench = Bench {
        client: Client::new(connect(credentials.writer)?),
        attacker: Attacker::new(connect(credentials.attacker)?),
        stranger: Client::new(connect(stranger)?),
        folder: format!("{FOLDER}{}/", encoding::hex(&bytes)),
        checks: Vec::new(),
    };
    let canaries = bench.run(known);
    Ok(Attestation { verdict: verdict(&bench.checks), checks: bench.checks, canaries })
}

fn verdict(checks: &[Check]) -> Verdict {
    match checks.iter().map(|check| check.outcome).max() {
        Some(Outcome::Holds) => Verdict::Trusted,
        Some(Outcome::Remark) => Verdict::TrustedWithRemarks,
        Some(Outcome::Fails) | None => Verdict::NotTrusted,
    }
}

/// What the checks work with.
struct Bench {
    client: Client,
    attacker: Attacker,
    /// The writer with a wrong secret.
    stranger: Client,
    /// The folder of this attestation.
    folder: String,
    checks: Vec<Check>,
}

const SECOND_MICROS: i64 = 1_000_000;
/// How long throw-away objects are locked.
const LOCK_MICROS: i64 = 600 * SECOND_MICROS;

impl Bench {
    fn run(&mut self, known: &[Canary]) -> Vec<Canary> {
        let store_now = match self.client.time() {
            Ok(store_now) => store_now,
            Err(error) => {
                self.note("reachable", "the store answers", text_of(&error), Outcome::Fails);
                return known.to_vec();
            }
        };
        self.clock(store_now);
        self.bucket();
        if self.object(store_now) {
            self.writing(store_now);
            self.lapse();
        }
        let canaries = self.canaries(known, store_now);
        self.sweep();
        canaries
    }

    fn clock(&mut self, store_now: Moment) {
        let apart = store_now.micros_since(self.client.connection().clock().now()) / SECOND_MICROS;
        let outcome = match apart.abs() {
            0..=60 => Outcome::Holds,
            61..=900 => Outcome::Remark,
            _ => Outcome::Fails,
        };
        let seen = format!("its clock says {store_now}, {apart} s from this machine's");
        self.note("clock", "the store's clock agrees with this machine's", seen, outcome);
    }

    fn note(&mut self, id: &'static str, expected: &'static str, seen: impl Into<String>, outcome: Outcome) {
        self.checks.push(Check { id, expected, seen: seen.into(), outcome });
    }

    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.folder)
    }

    /// Writes a locked object as a vault's store does: a lock that did not come with the write is set afterwards.
    fn write_locked(&self, key: &str, content: &[u8], until: Moment) -> Result<String, S3Error> {
        let version_id = self.client.put_locked(key, content, &encoding::sha256(content), until)?;
        let version_id = version_id.ok_or(S3Error::Nonsense { what: "a write without a version" })?;
        if lock_damage(&self.client.head_version(key, &version_id)?, until).is_some() {
            self.client.extend_retention(key, &version_id, until)?;
        }
        Ok(version_id)
    }

    /// Removes what earlier attestations left and what has lapsed; a store refuses the rest.
    fn sweep(&self) {
        const SWEPT_MAX: usize = 200;
        const REFUSALS_MAX: usize = 20;
        let versions = self.client.versions(FOLDER).unwrap_or_default();
        let old = versions.into_iter().filter(|version| {
            !version.key.starts_with(canary::FOLDER) && !version.key.starts_with(&self.folder)
        });
        let mut refusals = 0;
        for version in old.take(SWEPT_MAX) {
            let deleted = self.attacker.delete_version(&version.key, &version.version_id, false);
            refusals += usize::from(deleted.is_err());
            if refusals == REFUSALS_MAX {
                return;
            }
        }
    }
}

/// A version that attacks are tried on, and what it should show afterwards.
struct Target {
    key: String,
    version_id: String,
    content: &'static [u8],
    until: Moment,
}

impl Target {
    /// Tells what is wrong with the version, if anything is.
    fn damage(&self, client: &Client) -> Result<Option<String>, S3Error> {
        let head = match client.head_version(&self.key, &self.version_id) {
            Err(error) if error.status() == Some(404) => return Ok(Some("the object is gone".to_owned())),
            other => other?,
        };
        if let Some(what) = lock_damage(&head, self.until) {
            return Ok(Some(what));
        }
        let stored = client.get_version(&self.key, &self.version_id, None)?;
        Ok((stored != self.content).then(|| "the object's content changed".to_owned()))
    }
}

fn lock_damage(head: &VersionHead, until: Moment) -> Option<String> {
    use super::LockMode;
    match (head.mode, head.locked_until) {
        (Some(LockMode::Compliance), Some(lock)) if lock >= until => None,
        (Some(LockMode::Compliance), Some(lock)) => {
            Some(format!("the lock ends at {lock} instead of {until}"))
        }
        (Some(LockMode::Governance), Some(_)) => Some("the lock can be lifted".to_owned()),
        (None, _) | (_, None) => Some("there is no lock".to_owned()),
    }
}

/// Says for people how a store answered.
fn text_of(error: &S3Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Trusted => "trusted",
            Self::TrustedWithRemarks => "trusted, with remarks",
            Self::NotTrusted => "not trusted",
        })
    }
}
