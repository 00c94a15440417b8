//! Retention poisoned with a valid capture key: floods, empty captures, wrong dates, shorter terms.

use std::sync::Arc;

use model::Moment;
use ports::{BlobStore, ManualClock};
use vault::{Cursor, retention::DAY_MICROS, verify::Depth};

use super::{Table, log::on_copy};
use crate::{Attack, Ground, Layer, Outcome, Promise, Scene, SiegeError, decoy, miniature::Miniature};

pub(super) const TABLE: Table = Table {
    layer: Layer::Retention,
    attacks: &[
        on_copy!(60, "commit that everything is gone", "the capture key", Promise::Always, emptied),
        on_copy!(48, "flood the log with 100 empty commits", "the capture key", Promise::Always, flooded),
        on_copy!(
            55,
            "commit the same item with scrambled content",
            "the capture key",
            Promise::Always,
            scrambled
        ),
        on_copy!(
            47,
            "commit with a date in 1990",
            "the capture key and the clock",
            Promise::Always,
            back_dated
        ),
        on_copy!(
            41,
            "commit with a date in 100 years",
            "the capture key and the clock",
            Promise::Always,
            post_dated
        ),
        on_copy!(49, "ask for a term of one day", "the capture key", Promise::Always, shortened),
        on_copy!(
            43,
            "start the capture with a clock that stands in 1970",
            "root",
            Promise::Always,
            dead_clock
        ),
    ],
};

/// Lets something be committed, and checks that what was there is still there, locked as long as before.
fn after(
    ground: &Ground<'_>,
    held_by: &str,
    poison: impl FnOnce(&Miniature) -> Result<(), SiegeError>,
) -> Result<Outcome, SiegeError> {
    let copy = ground.miniature()?;
    let before = copy.store.list("")?;
    poison(&copy)?;
    for blob in before {
        let now = copy.store.head(&blob.name)?;
        if now.locked_until < blob.locked_until {
            return Ok(Outcome::not_held("a lock was shortened", blob.name.to_string()));
        }
    }
    if !copy.verify(Depth::ReadData)?.is_sound() {
        return copy.seen(Depth::ReadData);
    }
    copy.intact(held_by)
}

fn emptied(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    after(ground, "a commit never displaces another: every earlier version stays for its term", |copy| {
        let writer = copy.writer()?;
        let mut commit = writer.begin(&copy.source);
        commit.remove(decoy::stream()?, "ledger")?;
        commit.finish(&Cursor(Vec::new()))?;
        Ok(())
    })
}

fn flooded(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    after(ground, "terms count time, never the number of commits", |copy| {
        let writer = copy.writer()?;
        for _ in 0..100 {
            writer.begin(&copy.source).finish(&Cursor(Vec::new()))?;
        }
        Ok(())
    })
}

fn scrambled(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    after(ground, "what was captured before is another version, and stays for its term", |copy| {
        let writer = copy.writer()?;
        let mut commit = writer.begin(&copy.source);
        let noise = decoy::content(u64::MAX);
        let stored = commit.store_bytes(vault::Layout::Small, &noise)?;
        let stream = decoy::stream()?;
        commit
            .upsert(model::Item { stream, key: "ledger".to_owned(), attributes: "{}".to_owned() }, stored)?;
        commit.finish(&Cursor(Vec::new()))?;
        Ok(())
    })
}

fn dated(ground: &Ground<'_>, micros: i64, held_by: &str) -> Result<Outcome, SiegeError> {
    after(ground, held_by, |copy| {
        let clock = Arc::new(ManualClock::new(Moment::from_micros(micros)));
        let writer = copy.writer_with(&copy.capture, clock)?;
        let before = copy.vault()?.commit(&copy.source, copy.last)?.envelope;
        let mut commit = writer.begin(&copy.source);
        let stored = commit.store_bytes(vault::Layout::Small, b"dated")?;
        let stream = decoy::stream()?;
        commit
            .upsert(model::Item { stream, key: "dated".to_owned(), attributes: "{}".to_owned() }, stored)?;
        let receipt = commit.finish(&Cursor(Vec::new()))?;
        let now = copy.vault()?.commit(&copy.source, receipt.sequence)?.envelope;
        if now.vault_time <= before.vault_time || now.locked_until < before.locked_until {
            return Err(SiegeError::Untried("the commit's time went back".to_owned()));
        }
        for pack in copy.store.list("data/")? {
            if pack.locked_until < Some(before.locked_until) {
                return Err(SiegeError::Untried(format!("{} is locked for too short", pack.name)));
            }
        }
        Ok(())
    })
}

const YEAR: i64 = 366 * DAY_MICROS;

fn back_dated(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    dated(
        ground,
        20 * YEAR,
        "vault time never goes back: the commit is dated after its predecessor and locked as long",
    )
}

fn dead_clock(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    dated(
        ground,
        0,
        "vault time never goes back: the commit is dated after its predecessor and locked as long",
    )
}

fn post_dated(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    let far = ground.request.installation.ports().clock.now().plus_micros(100 * YEAR);
    dated(
        ground,
        far.as_micros(),
        "locks only get longer by it; nothing lapses because a commit says that it is late",
    )
}

fn shortened(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    after(ground, "a shorter term changes nothing: the largest one in the log is in force", |copy| {
        copy.writer()?.lengthen(1)?;
        Ok(())
    })
}
