//! Reaping with every key: too early, by wrong clocks, after an emptied source, with a log that somebody cut.

use std::sync::Arc;

use blobs::MemoryReaper;
use model::Item;
use ports::{BlobName, BlobStore, Clock, ManualClock};
use vault::{
    Cursor, Layout,
    reap::{Reaper, ReaperMemory},
    retention::{DAY_MICROS, NoSuccession, RenewalOptions, RetentionLog, renew},
    time::{TimeReading, VaultClock},
    verify::Depth,
};

use super::{Table, log::on_copy, time::Memory};
use crate::{Attack, Ground, Layer, Outcome, Promise, Scene, SiegeError, decoy, miniature::Miniature};

pub(super) const TABLE: Table = Table {
    layer: Layer::Retention,
    attacks: &[
        on_copy!(
            28,
            "release and reap at once, with every key",
            "every key, and the right to remove",
            Promise::Always,
            at_once
        ),
        on_copy!(
            22,
            "set the store's clock ten years forward and reap",
            "root of the store",
            Promise::Always,
            store_forward
        ),
        on_copy!(
            41,
            "set the reaper's clock ten years forward and reap",
            "root of the reaping host",
            Promise::Always,
            own_forward
        ),
        on_copy!(
            54,
            "stop all captures and reap for 100 days",
            "whoever can stop the capture",
            Promise::Always,
            stopped
        ),
        on_copy!(
            55,
            "empty a source of 21 items, and release and reap for 100 days",
            "production's own credentials",
            Promise::Always,
            emptied
        ),
        on_copy!(
            47,
            "commit with a date in 1990 and reap",
            "the capture key and the clock",
            Promise::Always,
            back_dated
        ),
        on_copy!(
            58,
            "remove the newest entry of the log of retention and reap",
            "delete access to the store",
            Promise::Always,
            cut
        ),
        on_copy!(
            60,
            "plant an entry in the log of retention",
            "create access to the store",
            Promise::Always,
            planted
        ),
    ],
};

/// A copy of the vault with a reaper that has every right.
struct Reaping {
    copy: Miniature,
    time: Memory,
    store_clock: Arc<ManualClock>,
    memory: ReaperMemory,
}

impl Reaping {
    fn new(ground: &Ground<'_>) -> Result<Self, SiegeError> {
        let copy = ground.miniature()?;
        let store_clock = Arc::new(ManualClock::new(copy.clock.now()));
        let reaping = Self { copy, time: Memory::default(), store_clock, memory: ReaperMemory::in_memory() };
        reaping.now()?;
        Ok(reaping)
    }

    fn now(&self) -> Result<TimeReading, SiegeError> {
        let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(&self.copy.clock);
        let least = self.log()?.last_at();
        let vault_clock = VaultClock::new(clock, Vec::new(), Box::new(self.time.clone()));
        vault_clock.read(least).map_err(|error| SiegeError::Untried(vault::error_text(&error)))
    }

    fn log(&self) -> Result<RetentionLog, SiegeError> {
        Ok(RetentionLog::read(&self.copy.vault()?)?)
    }

    /// Renews, releases and reaps; returns how many packs went, or what refused.
    fn round(&mut self) -> Result<Result<usize, String>, SiegeError> {
        let (reader, time) = (self.copy.reader()?, self.now()?);
        let options = RenewalOptions { threads: 1, look_only: false };
        renew(reader.vault(), &self.log()?, time.latest, options, &|_, _| {})?;
        let reaper = match Reaper::new(&reader, &time) {
            Ok(reaper) => reaper,
            Err(error) => return Err(SiegeError::Untried(vault::error_text(&error))),
        };
        if let Err(error) = reaper.release(&mut NoSuccession, &mut |_| {}) {
            return Ok(Err(vault::error_text(&error)));
        }
        let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(&self.store_clock);
        let blobs = MemoryReaper::new(Arc::clone(&self.copy.store), clock);
        let reaped = reaper.reap_lapsed(&blobs, &mut self.memory, &mut NoSuccession, &mut |_| {});
        Ok(reaped.map(|report| report.reaped.len()).map_err(|error| vault::error_text(&error)))
    }

    fn pass_days(&self, days: u32) {
        self.copy.clock.advance_micros(i64::from(days) * DAY_MICROS);
        self.store_clock.advance_micros(i64::from(days) * DAY_MICROS);
    }

    /// Reaps every five days; then the version must still come back.
    fn keeps(&mut self, days: u32, sequence: u64, held_by: &str) -> Result<Outcome, SiegeError> {
        let mut refusal = None;
        for _ in 0..days / STEP_DAYS {
            refusal = self.round()?.err().or(refusal);
            self.pass_days(STEP_DAYS);
        }
        let back = decoy::read_version(&self.copy.reader()?, &self.copy.source, sequence);
        Ok(match (back, refusal) {
            (Ok(bytes), refusal) if bytes == decoy::content(sequence) => Outcome::held(
                refusal.map_or_else(|| held_by.to_owned(), |words| format!("{held_by} ({words})")),
            ),
            _ => Outcome::not_held("a version that had to stay was reaped", format!("version {sequence}")),
        })
    }

    /// Reaps once; then every version must still come back.
    fn keeps_all(&mut self, held_by: &str) -> Result<Outcome, SiegeError> {
        let words = match self.round()? {
            Ok(0) => held_by.to_owned(),
            Ok(reaped) => return Ok(Outcome::not_held("packs were reaped", format!("{reaped} packs"))),
            Err(refusal) => format!("{held_by} ({refusal})"),
        };
        self.copy.intact(&words)
    }
}

const YEAR: i64 = 366 * DAY_MICROS;
const STEP_DAYS: u32 = 5;
/// A source of a handful of items is not watched for shrinking: a share of them says nothing.
const ROWS: u32 = 20;

fn at_once(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    Reaping::new(ground)?.keeps_all(
        "what was released stays for its whole window, and then the store's lock must have lapsed too",
    )
}

fn store_forward(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    let mut reaping = Reaping::new(ground)?;
    reaping.round()?.ok();
    reaping.store_clock.advance_micros(10 * YEAR);
    reaping.keeps_all("windows count by vault time, whatever the store's clock says")
}

fn own_forward(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    let mut reaping = Reaping::new(ground)?;
    reaping.round()?.ok();
    // Wall time alone: the machine itself has not been running for longer.
    let ahead = reaping.copy.clock.now().plus_micros(10 * YEAR);
    let moved = Arc::new(ManualClock::new(ahead));
    reaping.copy.clock = moved;
    reaping.store_clock.advance_micros(10 * YEAR);
    reaping.keeps_all("vault time goes no further than this machine has been seen running, and freezes")
}

fn stopped(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    let mut reaping = Reaping::new(ground)?;
    let last = reaping.copy.last;
    reaping.keeps(100, last, "what is live stays for ever: its locks are renewed without any capture")
}

fn emptied(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    let mut reaping = Reaping::new(ground)?;
    let last = reaping.copy.last;
    let rows: Vec<String> = (0..ROWS).map(|number| format!("row-{number}")).collect();
    {
        let writer = reaping.copy.writer()?;
        let mut commit = writer.begin(&reaping.copy.source);
        for row in &rows {
            let stored = commit.store_bytes(Layout::Small, row.as_bytes())?;
            let stream = decoy::stream()?;
            commit.upsert(Item { stream, key: row.clone(), attributes: "{}".to_owned() }, stored)?;
        }
        commit.finish(&Cursor(Vec::new()))?;
    }
    // The reaper has seen the source as it was.
    reaping.round()?.ok();
    {
        let writer = reaping.copy.writer()?;
        let mut commit = writer.begin(&reaping.copy.source);
        for key in rows.iter().map(String::as_str).chain(["ledger"]) {
            commit.remove(decoy::stream()?, key)?;
        }
        commit.finish(&Cursor(Vec::new()))?;
    }
    reaping.keeps(
        100,
        last,
        "a source that shrank by more than half releases nothing until people confirm it",
    )
}

fn back_dated(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    let mut reaping = Reaping::new(ground)?;
    {
        let past = Arc::new(ManualClock::new(model::Moment::from_micros(20 * YEAR)));
        let writer = reaping.copy.writer_with(&reaping.copy.capture, past)?;
        decoy::commit_next(&writer, &reaping.copy.source)?;
    }
    reaping.keeps_all("windows begin when a release is signed, by vault time, never by a commit's own date")
}

fn cut(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    let mut reaping = Reaping::new(ground)?;
    reaping.round()?.ok();
    let entries = reaping.copy.store.list("retention/")?;
    let Some(newest) = entries.last() else {
        return Ok(Outcome::not_possible("nothing was released, so the log has no entry"));
    };
    reaping.copy.remove(&newest.name);
    reaping.pass_days(1);
    reaping.keeps_all("the reaper remembers how long the log was")
}

fn planted(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    let copy = ground.miniature()?;
    let next = copy.store.list("retention/")?.len() + 1;
    copy.plant(&BlobName::new(format!("retention/{next:010}"))?, b"reap everything")?;
    copy.seen(Depth::Structure)
}
