//! Clocks: forward, backward, lying, forgetting. On clocks of the siege's own; no real clock is touched.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicI64, Ordering},
};

use model::Moment;
use ports::{ManualClock, TimeError, TimeSource};
use vault::{
    retention::DAY_MICROS,
    time::{SLACK_MICROS, TimeReading, TimeRecord, TimeRecordError, TimeState, VaultClock},
};

use super::{Table, log::on_copy};
use crate::{Attack, Ground, Layer, Outcome, Promise, Scene, SiegeError};

pub(super) const TABLE: Table = Table {
    layer: Layer::Time,
    attacks: &[
        on_copy!(41, "set the host's clock ten years forward", "root", Promise::Always, forward),
        on_copy!(42, "set the host's clock ten years back", "root", Promise::Always, backward),
        on_copy!(
            44,
            "let one of two other clocks lie by ten years",
            "one time source",
            Promise::Always,
            one_liar
        ),
        on_copy!(
            45,
            "let all clocks lie by a month together",
            "root and every time source",
            Promise::Always,
            colluding
        ),
        on_copy!(
            45,
            "move all clocks forward in 500 small steps",
            "root and every time source",
            Promise::Always,
            ratchet
        ),
        on_copy!(43, "make vault time forget what it knew", "root", Promise::Always, forgotten),
        on_copy!(45, "cut off every other clock", "whoever owns the network", Promise::Always, silenced),
    ],
};

const YEAR: i64 = 366 * DAY_MICROS;

#[derive(Clone, Default)]
pub(super) struct Memory(Arc<Mutex<Option<TimeState>>>);

impl TimeRecord for Memory {
    fn load(&self) -> Result<Option<TimeState>, TimeRecordError> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    fn save(&self, state: &TimeState) -> Result<(), TimeRecordError> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(state.clone());
        Ok(())
    }
}

/// Somebody else's clock, with an error; none at all is silence.
struct Other {
    start: Moment,
    error: AtomicI64,
}

const SILENT: i64 = i64::MAX;

impl TimeSource for Other {
    fn name(&self) -> String {
        "another clock".to_owned()
    }

    fn read(&self) -> Result<Moment, TimeError> {
        match self.error.load(Ordering::SeqCst) {
            SILENT => Err(TimeError { name: self.name(), source: "no answer".into() }),
            error => Ok(self.start.plus_micros(error)),
        }
    }
}

struct Clocks {
    own: Arc<ManualClock>,
    others: [Arc<Other>; 2],
    memory: Memory,
    vault: VaultClock,
    start: Moment,
}

impl Clocks {
    fn new(ground: &Ground<'_>) -> Result<Self, SiegeError> {
        let start = ground.request.installation.ports().clock.now();
        let own = Arc::new(ManualClock::new(start));
        let other = || Arc::new(Other { start, error: AtomicI64::new(0) });
        let others = [other(), other()];
        let memory = Memory::default();
        let sources: Vec<Arc<dyn TimeSource>> =
            others.iter().map(|other| -> Arc<dyn TimeSource> { Arc::<Other>::clone(other) }).collect();
        let vault = VaultClock::new(Arc::<ManualClock>::clone(&own), sources, Box::new(memory.clone()));
        let clocks = Self { own, others, memory, vault, start };
        clocks.read(None)?;
        Ok(clocks)
    }

    fn read(&self, least: Option<Moment>) -> Result<TimeReading, SiegeError> {
        self.vault.read(least).map_err(|error| SiegeError::Untried(vault::error_text(&error)))
    }

    fn lie(&self, micros: i64) {
        for other in &self.others {
            other.error.store(micros, Ordering::SeqCst);
        }
    }

    /// Sets this host's wall time without letting time pass.
    fn set_own(&self, micros: i64) {
        self.own.advance_micros(micros);
    }

    /// Says whether vault time moved by more than what is allowed for, without a freeze.
    fn judge(&self, held_by: &str) -> Result<Outcome, SiegeError> {
        let reading = self.read(None)?;
        let moved = reading.now.micros_since(self.start);
        let minutes = moved / 60_000_000;
        Ok(match (moved <= SLACK_MICROS + 60_000_000, reading.frozen) {
            (true, Some(freeze)) => {
                Outcome::detected(format!("reaping is frozen until people thaw it: {}", freeze.reason))
            }
            (true, None) => Outcome::held(format!("{held_by} (it moved by {minutes} minutes)")),
            (false, _) => Outcome::not_held("vault time moved", format!("by {minutes} minutes")),
        })
    }
}

fn forward(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    let clocks = Clocks::new(ground)?;
    clocks.set_own(10 * YEAR);
    clocks.judge("two other clocks say otherwise, and vault time follows the majority")
}

fn backward(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    let clocks = Clocks::new(ground)?;
    clocks.set_own(-10 * YEAR);
    let outcome = clocks.judge("vault time never goes back")?;
    let reading = clocks.read(None)?;
    if reading.now < clocks.start {
        return Ok(Outcome::not_held("vault time went back", reading.now.to_string()));
    }
    Ok(outcome)
}

fn one_liar(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    let clocks = Clocks::new(ground)?;
    clocks.others[0].error.store(10 * YEAR, Ordering::SeqCst);
    clocks.judge("one clock is no majority")
}

fn colluding(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    let clocks = Clocks::new(ground)?;
    clocks.lie(31 * DAY_MICROS);
    clocks.judge("vault time goes no further than this machine has been seen running")
}

fn ratchet(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    let clocks = Clocks::new(ground)?;
    for step in 1..=500 {
        clocks.lie(step * SLACK_MICROS / 2);
        clocks.read(None)?;
    }
    clocks.judge("small steps use up one allowance, and it does not renew itself")
}

fn forgotten(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    let clocks = Clocks::new(ground)?;
    *clocks.memory.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    clocks.lie(10 * YEAR);
    let reading = clocks.read(Some(clocks.start))?;
    Ok(match reading.frozen {
        Some(freeze) => {
            Outcome::detected(format!("reaping is frozen until people thaw it: {}", freeze.reason))
        }
        None if reading.now.micros_since(clocks.start) <= SLACK_MICROS => {
            Outcome::held("the vault's own commits say how late it is")
        }
        None => Outcome::not_held("vault time was begun anew", reading.now.to_string()),
    })
}

fn silenced(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    let clocks = Clocks::new(ground)?;
    clocks.lie(SILENT);
    clocks.set_own(10 * YEAR);
    clocks.judge("without a majority vault time stands still, which keeps everything for longer")
}
