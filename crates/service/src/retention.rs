//! The verbs of retention: look, renew, hold, release, reap, and what people decide together.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use connect::Progress;
use model::{Moment, SourceName};
use ports::files::{self, FileError};
use serde::Serialize;
use vault::{
    Vault, VaultReader,
    quorum::{Answer, Consent, PURPOSE, Question, Quorum, QuorumError},
    reap::{ReapError, ReapReport, Reaper, ReaperMemory, ReaperMemoryError, ReleaseReport},
    retention::{
        FloorStanding, Hold, LockFloor, RenewalOptions, RenewalReport, RetentionLog, RetentionLogError,
        Statement, Succession, confirm_question, lift_question, lock_until, people_question, renew,
    },
    time::{Freeze, TimeFile, TimeReading, VaultClock, VaultTimeError},
};

use crate::{
    Installation, ServiceError, documents::documents, place::PlaceError, secret::Environment,
    signature::SigningKey,
};

/// Why a verb of retention was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum RetentionError {
    /// The installation, its vault or its keys cannot be used.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// Vault time cannot be told.
    #[error("vault time cannot be told")]
    Time(#[from] VaultTimeError),
    /// The log of retention cannot be used.
    #[error("the log of retention cannot be used")]
    Log(#[from] RetentionLogError),
    /// Nothing was released or reaped.
    #[error("retention did not go on")]
    Reap(#[from] ReapError),
    /// What the reaper remembers cannot be used.
    #[error("the reaper's memory cannot be used")]
    Memory(#[from] ReaperMemoryError),
    /// Too few people have signed so far.
    #[error("this takes more people")]
    Quorum {
        /// Who signed, and how many must.
        #[source]
        source: QuorumError,
        /// The folder in which signatures wait.
        folder: PathBuf,
    },
    /// There is nothing to decide.
    #[error("{what}")]
    Nothing {
        /// What was looked for and not found.
        what: String,
    },
    /// Signatures cannot be read or written.
    #[error("the signatures cannot be read or written")]
    File(#[from] FileError),
}

impl RetentionError {
    /// Returns what a person can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Service(error) => error.hint(),
            Self::Log(RetentionLogError::NoPeople) => {
                Some("unwipe retention people --threshold 2 --person NAME=PUBLIC-KEY …".to_owned())
            }
            Self::Log(RetentionLogError::NoOwner) => {
                Some("make a new vault; this one keeps everything it has".to_owned())
            }
            Self::Reap(ReapError::Frozen { .. }) => Some(
                "unwipe retention status says why; enough people end it with `unwipe retention thaw`"
                    .to_owned(),
            ),
            Self::Reap(ReapError::Unsound { .. }) | Self::Log(RetentionLogError::Broken) => {
                Some("unwipe verify".to_owned())
            }
            Self::Quorum { folder, .. } => Some(format!(
                "the next person runs the same command with their own --key; signatures wait in {}",
                folder.display()
            )),
            _ => None,
        }
    }
}

impl From<PlaceError> for RetentionError {
    fn from(error: PlaceError) -> Self {
        Self::Service(error.into())
    }
}

/// How retention stands.
#[derive(Debug, Clone, Serialize)]
pub struct RetentionStatus {
    /// For how many days every version stays after it was live.
    pub lock_days: u32,
    /// Vault time.
    pub vault_time: Moment,
    /// Why nothing may be released or reaped.
    pub frozen: Option<Freeze>,
    /// What a person should look at, clocks first.
    pub alarms: Vec<String>,
    /// The lock floor of each source.
    pub floors: BTreeMap<SourceName, FloorStatus>,
    /// Objects in the vault.
    pub objects: u64,
    /// Packs whose windows run out.
    pub released_packs: u64,
    /// The holds that run, by number.
    pub holds: BTreeMap<u64, HoldStatus>,
    /// Whose word counts.
    pub people: Option<Quorum>,
}

/// The least lock over all that a source's moments need.
#[derive(Debug, Clone, Serialize)]
pub struct FloorStatus {
    /// When the first of the objects would be unlocked; absent where the store knows no lock.
    pub until: Option<Moment>,
    /// Whole days until then.
    pub days_left: u32,
    /// That object.
    pub object: String,
    /// `good`, `late` (renewal has stopped) or `broken` (below the policy).
    pub standing: &'static str,
}

/// A hold that runs.
#[derive(Debug, Clone, Serialize)]
pub struct HoldStatus {
    /// Whose data; all of the vault's when absent.
    pub source: Option<SourceName>,
    /// Why.
    pub reason: String,
    /// Since when.
    pub since: Moment,
}

/// What people can decide about retention.
#[derive(Debug, Clone)]
pub enum Decision {
    /// A hold ends.
    Lift(u64),
    /// A source has really changed that much.
    Confirm(SourceName),
    /// Vault time goes on.
    Thaw,
    /// Other people take the place of the present ones.
    People(Quorum),
}

impl FloorStatus {
    fn of(floor: &LockFloor, now: Moment, lock_days: u32) -> Self {
        let standing = match floor.standing(now, lock_days) {
            FloorStanding::Good => "good",
            FloorStanding::Late => "late",
            FloorStanding::Broken => "broken",
        };
        let days_left = floor.until.map_or(0, |until| vault::retention::days_left(until, now));
        Self { until: floor.until, days_left, object: floor.object.clone(), standing }
    }
}

impl From<&Hold> for HoldStatus {
    fn from(hold: &Hold) -> Self {
        Self { source: hold.source.clone(), reason: hold.reason.clone(), since: hold.since }
    }
}

/// The retention of one installation's vault.
pub struct Retention<'a> {
    installation: &'a Installation,
    environment: Environment<'a>,
    vault: Vault,
    clock: VaultClock,
}

impl<'a> Retention<'a> {
    /// Opens it; no key is needed to look, to renew and to hold.
    pub fn open(
        installation: &'a Installation,
        environment: Environment<'a>,
    ) -> Result<Self, RetentionError> {
        Self::of_vault(installation, installation.vault(environment)?, environment)
    }

    /// Does the same for a vault that is open already.
    pub(crate) fn of_vault(
        installation: &'a Installation,
        vault: Vault,
        environment: Environment<'a>,
    ) -> Result<Self, RetentionError> {
        let record = Box::new(time_memory(installation.home()));
        let sources = installation.time_sources(environment)?;
        let clock = VaultClock::new(Arc::clone(&installation.ports().clock), sources, record);
        Ok(Self { installation, environment, vault, clock })
    }

    fn log(&self) -> Result<RetentionLog, RetentionError> {
        Ok(RetentionLog::read(&self.vault).map_err(RetentionLogError::from)?)
    }

    /// Reads all clocks.
    pub fn time(&self) -> Result<TimeReading, RetentionError> {
        self.time_after(&self.log()?)
    }

    fn time_after(&self, log: &RetentionLog) -> Result<TimeReading, RetentionError> {
        Ok(self.clock.read(log.last_at())?)
    }

    /// Shows how retention stands, without changing anything.
    pub fn status(&self, progress: &dyn Progress) -> Result<RetentionStatus, RetentionError> {
        Ok(self.pass(true, progress)?.1)
    }

    /// Extends the locks of all that must stay.
    pub fn renew(&self, progress: &dyn Progress) -> Result<(RenewalReport, RetentionStatus), RetentionError> {
        self.pass(false, progress)
    }

    fn pass(
        &self,
        look_only: bool,
        progress: &dyn Progress,
    ) -> Result<(RenewalReport, RetentionStatus), RetentionError> {
        let log = self.log()?;
        let time = self.time_after(&log)?;
        let options = RenewalOptions { look_only, ..RenewalOptions::default() };
        let title = if look_only { "looking at locks" } else { "renewing locks" };
        let advance = |units: u64, total: Option<u64>| match total {
            Some(total) => progress.phase(title, Some(total)),
            None => progress.advance(units),
        };
        let report = renew(&self.vault, &log, time.latest, options, &advance).map_err(ServiceError::from)?;
        let status = describe(&report, &log, &time, self.lock_days()?);
        Ok((report, status))
    }

    /// Returns the retention in force: the largest that the manifest or any newest commit states.
    fn lock_days(&self) -> Result<u32, RetentionError> {
        let mut days = self.vault.manifest().lock_days;
        for source in self.vault.sources().map_err(ServiceError::from)? {
            if let Some(head) = self.vault.head(&source).map_err(ServiceError::from)? {
                days = days.max(head.envelope.retention_days);
            }
        }
        Ok(days)
    }

    /// Stops releasing and reaping of one source, or of all. Anybody who captures may do so.
    pub fn hold(&self, source: Option<SourceName>, reason: &str) -> Result<u64, RetentionError> {
        let (_, key) = self.installation.writer(self.environment)?;
        let signer = key.signing_pair().map_err(ServiceError::from)?;
        self.append(&signer, Statement::Hold { source, reason: reason.to_owned() })
    }

    fn append(
        &self,
        signer: &ring::signature::Ed25519KeyPair,
        statement: Statement,
    ) -> Result<u64, RetentionError> {
        let mut log = self.log()?;
        let time = self.time_after(&log)?;
        let until = lock_until(time.latest, self.lock_days()?);
        Ok(log.append(&self.vault, signer, time.now, until, statement)?)
    }

    /// Looks what no live version needs any more, and lets its window begin to run out.
    pub fn release(
        &self,
        reader: &VaultReader,
        succession: &mut dyn Succession,
        progress: &dyn Progress,
    ) -> Result<ReleaseReport, RetentionError> {
        let time = self.time()?;
        progress.phase("reading commits", None);
        let reaper = Reaper::new(reader, &time)?;
        Ok(reaper.release(succession, &mut |units| progress.advance(units))?)
    }

    /// Removes what was released and has lapsed.
    pub fn reap_lapsed(
        &self,
        reader: &VaultReader,
        succession: &mut dyn Succession,
        progress: &dyn Progress,
    ) -> Result<ReapReport, RetentionError> {
        let time = self.time()?;
        let mut memory = ReaperMemory::open(&self.installation.home().join("state/reaper.json"))?;
        let blobs = self.installation.reaper(self.environment)?;
        progress.phase("reading commits", None);
        let reaper = Reaper::new(reader, &time)?;
        Ok(reaper.reap_lapsed(&*blobs, &mut memory, succession, &mut |units| progress.advance(units))?)
    }

    /// Returns what people sign for a decision.
    pub fn question(&self, decision: &Decision) -> Result<Question, RetentionError> {
        Ok(match decision {
            Decision::Lift(hold) if self.log()?.holds().contains_key(hold) => lift_question(*hold),
            Decision::Lift(hold) => return Err(RetentionLogError::NoHold { number: *hold }.into()),
            Decision::Confirm(source) => {
                let sequence = self.vault.last_sequence(source).map_err(ServiceError::from)?;
                confirm_question(source, sequence)
            }
            Decision::Thaw => {
                let frozen = self.time()?.frozen;
                let what = "vault time is not frozen".to_owned();
                frozen.ok_or(RetentionError::Nothing { what })?.question()
            }
            Decision::People(quorum) => people_question(quorum),
        })
    }

    /// Adds one person's signature to a decision; once enough have signed, it is carried out.
    ///
    /// The signatures wait in a folder of the home folder, one file each, so that they can be carried from elsewhere.
    pub fn decide(
        &self,
        reader: &VaultReader,
        decision: &Decision,
        key: Option<&SigningKey>,
    ) -> Result<Vec<String>, RetentionError> {
        let question = self.question(decision)?;
        let id = self.vault.manifest().vault;
        let folder = self.answers_folder(&question);
        if let Some(key) = key {
            let answer =
                Answer { public: key.public(), signature: key.sign(PURPOSE, &question.message(&id)) };
            write_answer(&folder, &answer)?;
        }
        let answers = read_answers(&folder)?;
        let consent = match (self.log()?.people(), decision) {
            (Some(people), _) => people
                .consent(&id, &question, &answers)
                .map(Some)
                .map_err(|source| RetentionError::Quorum { source, folder: folder.clone() })?,
            // The first people are named by whoever can open the vault.
            (None, Decision::People(_)) => None,
            (None, _) => return Err(RetentionLogError::NoPeople.into()),
        };
        self.carry_out(reader, decision, answers, consent.as_ref())?;
        Ok(consent.map(|consent| consent.names().iter().cloned().collect()).unwrap_or_default())
    }

    fn carry_out(
        &self,
        reader: &VaultReader,
        decision: &Decision,
        answers: Vec<Answer>,
        consent: Option<&Consent>,
    ) -> Result<(), RetentionError> {
        let statement = match decision {
            Decision::Lift(hold) => Statement::Lift { hold: *hold, answers },
            Decision::Confirm(source) => {
                let sequence = self.vault.last_sequence(source).map_err(ServiceError::from)?;
                Statement::Confirm { source: source.clone(), sequence, answers }
            }
            Decision::People(quorum) => Statement::People { quorum: quorum.clone(), answers },
            Decision::Thaw => {
                let thawed = consent.map(|consent| self.clock.thaw(consent)).transpose()?.flatten();
                let what = "the clocks do not agree on the time".to_owned();
                return thawed.map(|_| ()).ok_or(RetentionError::Nothing { what });
            }
        };
        let owner = reader.owner().map_err(ServiceError::from)?.ok_or(RetentionLogError::NoOwner)?;
        self.append(&owner, statement)?;
        Ok(())
    }

    fn answers_folder(&self, question: &Question) -> PathBuf {
        let hash = blake3::hash(&question.message(&self.vault.manifest().vault)).to_hex();
        self.installation.home().join("state/answers").join(&hash[..16])
    }
}

/// Returns where a home folder remembers vault time.
pub(crate) fn time_memory(home: &Path) -> TimeFile {
    TimeFile::new(&home.join("state/vault-time.json"))
}

fn describe(
    report: &RenewalReport,
    log: &RetentionLog,
    time: &TimeReading,
    lock_days: u32,
) -> RetentionStatus {
    let mut alarms: Vec<String> = time.alarms.iter().map(ToString::to_string).collect();
    if log.is_broken() {
        alarms.push("signed entries of the log of retention are missing".to_owned());
    }
    alarms.extend(log.foreign().iter().map(|entry| format!("{} is foreign: {}", entry.object, entry.error)));
    alarms.extend(report.failures.iter().map(|failure| format!("{}: {}", failure.object, failure.reason)));
    let floors: BTreeMap<_, _> = report
        .floors
        .iter()
        .map(|(source, floor)| (source.clone(), FloorStatus::of(floor, time.latest, lock_days)))
        .collect();
    RetentionStatus {
        lock_days,
        vault_time: time.now,
        frozen: time.frozen.clone(),
        alarms,
        floors,
        objects: report.objects,
        released_packs: report.released,
        holds: log.holds().iter().map(|(number, hold)| (*number, hold.into())).collect(),
        people: log.people().cloned(),
    }
}

fn write_answer(folder: &Path, answer: &Answer) -> Result<(), RetentionError> {
    files::create_folder(folder)?;
    let path = folder.join(format!("{}.json", &answer.public[..16]));
    let text = serde_json::to_vec_pretty(answer)
        .map_err(|error| FileError::new("write", &path, std::io::Error::other(error)))?;
    Ok(files::replace(&path, &text)?)
}

/// Reads the signatures that wait; a file that is none is passed over, as it cannot count.
fn read_answers(folder: &Path) -> Result<Vec<Answer>, RetentionError> {
    let mut answers = Vec::new();
    for path in documents(folder)? {
        answers.extend(serde_json::from_slice::<Answer>(&files::read(&path)?));
    }
    Ok(answers)
}
