//! Vault time: the time by which retention counts.
//!
//! A window is only as good as the clock that measures it. Vault time therefore never comes from a client, a source or
//! an item, and not from one clock alone: it goes where a quorum of clocks says it is, never back, and never further than
//! this machine has been seen running since people last agreed on the time. Whatever is missing or lies, vault time
//! then stands still, which keeps things for longer. A clock that runs far ahead freezes retention until people thaw it.

mod state;

use std::sync::{Arc, Mutex, PoisonError};

use model::Moment;
use ports::{Boot, Clock, TimeSource};

pub use state::{Freeze, TimeFile, TimeRecord, TimeRecordError, TimeState};

use crate::{quorum::Consent, retention::DAY_MICROS};

/// How far vault time may be ahead of what this machine can account for, in all, until people agree on the time again.
pub const SLACK_MICROS: i64 = 60 * 60 * 1_000_000;
/// A quorum that is further ahead of vault time than this freezes retention.
pub const FREEZE_MICROS: i64 = DAY_MICROS;
/// How much faster than our own clock true time may pass, in parts of a million.
const DRIFT_PARTS: i64 = 200;

/// What one clock said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attestation {
    /// Whose clock it is.
    pub name: String,
    /// The time it told.
    pub at: Moment,
}

/// How vault time stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeReading {
    /// Vault time.
    pub now: Moment,
    /// The latest time that anything has told: locks are counted from it, so that a slow clock makes none too short.
    pub latest: Moment,
    /// Why nothing may be released or reaped now.
    pub frozen: Option<Freeze>,
    /// What a person should look at.
    pub alarms: Vec<TimeAlarm>,
    /// What each clock said.
    pub attestations: Vec<Attestation>,
}

/// Something about the clocks that a person should look at. None of it shortens anything.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimeAlarm {
    /// A clock does not answer.
    #[error("{name} does not tell the time: {detail}")]
    Silent {
        /// Whose clock it is.
        name: String,
        /// What it answered.
        detail: String,
    },
    /// Too few clocks answer for vault time to move.
    #[error("{answered} of the {needed} clocks that are needed tell the time: vault time stands still")]
    NoQuorum {
        /// How many clocks answered.
        answered: usize,
        /// How many must.
        needed: usize,
    },
    /// The clocks stand far behind vault time and what this machine accounts for.
    #[error("the clocks stand {} hours behind: vault time waits for them", micros / (60 * 60 * 1_000_000))]
    Behind {
        /// How far.
        micros: i64,
    },
    /// The clocks are ahead of what this machine accounts for; vault time follows as far as it can.
    #[error("the clocks are {} minutes ahead of what this machine accounts for", micros / (60 * 1_000_000))]
    Ahead {
        /// How far.
        micros: i64,
    },
}

/// Why vault time cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum VaultTimeError {
    /// What was remembered cannot be read or written.
    #[error("vault time cannot be remembered")]
    Record(#[from] TimeRecordError),
}

/// Keeps vault time.
pub struct VaultClock {
    clock: Arc<dyn Clock>,
    sources: Vec<Arc<dyn TimeSource>>,
    quorum: usize,
    record: Box<dyn TimeRecord>,
    /// One reading at a time: two at once would credit the same stretch twice.
    turn: Mutex<()>,
}

impl VaultClock {
    /// Takes clocks into use. This machine's own counts as one; more than half of all must agree.
    pub fn new(
        clock: Arc<dyn Clock>,
        sources: Vec<Arc<dyn TimeSource>>,
        record: Box<dyn TimeRecord>,
    ) -> Self {
        let quorum = sources.len().div_ceil(2) + 1;
        Self { clock, sources, quorum, record, turn: Mutex::new(()) }
    }

    /// Reads all clocks and moves vault time as far as they and this machine's own running account for.
    ///
    /// `least` is the latest vault time that the vault itself has on record. Where nothing is remembered although the
    /// vault has such a record, somebody removed the memory: vault time starts there, and is frozen.
    pub fn read(&self, least: Option<Moment>) -> Result<TimeReading, VaultTimeError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let (attestations, mut alarms) = self.attest();
        let boot = self.clock.boot();
        let agreed = agreed(&attestations, self.quorum);
        let mut state = match (self.record.load()?, least, agreed) {
            (Some(state), _, _) => state,
            (None, Some(least), _) => TimeState::lost(least, &boot),
            (None, None, Some(agreed)) => TimeState::begin(agreed, &boot),
            (None, None, None) => TimeState::begin(self.clock.now(), &boot),
        };
        state.credit(&boot);
        state.now = state.now.max(least.unwrap_or(state.now));
        match agreed {
            Some(agreed) => alarms.extend(state.advance(agreed)),
            None => {
                alarms.push(TimeAlarm::NoQuorum { answered: attestations.len(), needed: self.quorum });
            }
        }
        self.record.save(&state)?;
        let told = attestations.iter().map(|attestation| attestation.at);
        // A clock that runs years ahead must not buy years of storage.
        let credible = told.filter(|at| at.micros_since(state.limit()) <= LATEST_MICROS_MAX);
        let latest = credible.fold(state.now, Moment::max);
        Ok(TimeReading { now: state.now, latest, frozen: state.frozen, alarms, attestations })
    }

    /// Sets vault time to what a quorum of clocks says now, on the word of people.
    ///
    /// Returns nothing when they agreed to something else, or when the clocks that are needed do not answer.
    pub fn thaw(&self, consent: &Consent) -> Result<Option<TimeReading>, VaultTimeError> {
        {
            let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
            let (attestations, _) = self.attest();
            let frozen = self.record.load()?.and_then(|state| state.frozen);
            let agreed = agreed(&attestations, self.quorum);
            let (Some(freeze), Some(agreed)) = (frozen, agreed) else { return Ok(None) };
            if !consent.is_to(&freeze.question()) {
                return Ok(None);
            }
            self.record.save(&TimeState::begin(agreed, &self.clock.boot()))?;
        }
        self.read(None).map(Some)
    }

    fn attest(&self) -> (Vec<Attestation>, Vec<TimeAlarm>) {
        let own = Attestation { name: "this machine".to_owned(), at: self.clock.now() };
        let (mut attestations, mut alarms) = (vec![own], Vec::new());
        for source in &self.sources {
            match source.read() {
                Ok(at) => attestations.push(Attestation { name: source.name(), at }),
                Err(error) => {
                    let detail = error.source.to_string();
                    alarms.push(TimeAlarm::Silent { name: source.name(), detail });
                }
            }
        }
        (attestations, alarms)
    }
}

/// How far ahead a clock may be for its time to count for new locks.
const LATEST_MICROS_MAX: i64 = 400 * DAY_MICROS;

/// Returns the time that at least `quorum` clocks have reached.
fn agreed(attestations: &[Attestation], quorum: usize) -> Option<Moment> {
    let mut times: Vec<Moment> = attestations.iter().map(|attestation| attestation.at).collect();
    times.sort_unstable_by(|a, b| b.cmp(a));
    times.get(quorum.checked_sub(1)?).copied()
}

impl TimeState {
    fn begin(now: Moment, boot: &Boot) -> Self {
        Self {
            now,
            anchor: now,
            credited_micros: 0,
            boot: boot.id.clone(),
            boot_running_micros: running_micros(boot),
            frozen: None,
        }
    }

    fn lost(least: Moment, boot: &Boot) -> Self {
        let freeze = Freeze {
            since: least,
            told: least,
            reason: "what was remembered of vault time is gone".to_owned(),
        };
        Self { frozen: Some(freeze), ..Self::begin(least, boot) }
    }

    /// Adds the time that this machine has been running since the last look.
    fn credit(&mut self, boot: &Boot) {
        let running = running_micros(boot);
        let since = if boot.id == self.boot { running - self.boot_running_micros } else { running };
        self.credited_micros = self.credited_micros.saturating_add(since.max(0));
        self.boot.clone_from(&boot.id);
        self.boot_running_micros = running;
    }

    /// Returns the latest vault time that can be accounted for.
    fn limit(&self) -> Moment {
        let drift = self.credited_micros / 1_000_000 * DRIFT_PARTS;
        self.anchor.plus_micros(self.credited_micros.saturating_add(drift).saturating_add(SLACK_MICROS))
    }

    fn advance(&mut self, agreed: Moment) -> Option<TimeAlarm> {
        let limit = self.limit();
        let ahead = agreed.micros_since(limit);
        if ahead > FREEZE_MICROS && self.frozen.is_none() {
            let reason = "the clocks are further ahead than this machine can account for".to_owned();
            self.frozen = Some(Freeze { since: self.now, told: agreed, reason });
        }
        // The budget is what the limit leaves in all, not for each step: small steps add up to no more.
        self.now = self.now.max(agreed.min(limit));
        let accounted = limit.plus_micros(-SLACK_MICROS);
        let behind = accounted.max(self.now).micros_since(agreed);
        if ahead > 0 {
            Some(TimeAlarm::Ahead { micros: ahead })
        } else {
            (behind > SLACK_MICROS).then_some(TimeAlarm::Behind { micros: behind })
        }
    }
}

fn running_micros(boot: &Boot) -> i64 {
    i64::try_from(boot.running.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
