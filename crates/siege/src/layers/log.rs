//! Commits: replayed, forged, moved, cut off, forked.

use std::sync::Arc;

use model::SourceName;
use ports::{BlobName, BlobStore, ManualClock, SeededRandom};
use vault::{
    CaptureKey, Cursor, InitOptions, Layout,
    mirror::{MirrorOptions, MirrorProblem, MirrorWatch, Pair, pull},
    verify::Depth,
};

use super::Table;
use crate::{Attack, Ground, Layer, Outcome, Promise, Scene, SiegeError, decoy, miniature::Miniature};

macro_rules! on_copy {
    ($number:literal, $what:literal, $credential:literal, $promise:expr, $run:ident) => {
        Attack {
            number: $number,
            what: $what,
            credential: $credential,
            on: Scene::Copy,
            promise: $promise,
            run: $run,
        }
    };
}
pub(super) use on_copy;

pub(super) const TABLE: Table = Table {
    layer: Layer::Log,
    attacks: &[
        on_copy!(56, "change one bit of a commit", "write access to the store", Promise::Always, flipped),
        on_copy!(56, "cut a commit in half", "write access to the store", Promise::Always, halved),
        on_copy!(56, "change one bit of a pack", "write access to the store", Promise::Always, pack_flipped),
        on_copy!(
            56,
            "put one pack's bytes under another's name",
            "write access to the store",
            Promise::Always,
            pack_swapped
        ),
        on_copy!(28, "remove a pack", "delete access to the store", Promise::Always, pack_removed),
        on_copy!(
            58,
            "remove a commit from the middle of the log",
            "delete access to the store",
            Promise::Always,
            hole
        ),
        on_copy!(
            58,
            "roll the log back: remove its newest commits",
            "delete access to the store",
            Promise::WithMirror,
            rolled_back
        ),
        on_copy!(
            59,
            "fork: write another history over the newest commit",
            "delete access and the capture key",
            Promise::WithMirror,
            forked
        ),
        on_copy!(
            62,
            "replay an old commit as the newest",
            "write access to the store",
            Promise::Always,
            replayed
        ),
        on_copy!(
            52,
            "put a commit into the log of another source",
            "write access to the store",
            Promise::Always,
            spoofed
        ),
        on_copy!(
            26,
            "plant rubbish under the next sequence number",
            "create access to the store",
            Promise::Always,
            planted
        ),
        on_copy!(
            26,
            "plant a commit of another vault",
            "create access to the store",
            Promise::Always,
            foreign_vault
        ),
        on_copy!(
            60,
            "sign with a key that the manifest does not name",
            "a capture key with another signature",
            Promise::Always,
            foreign_signer
        ),
        on_copy!(
            26,
            "plant rubbish under a pack's name",
            "create access to the store",
            Promise::Always,
            rubbish_pack
        ),
        on_copy!(
            86,
            "plant objects with names that no vault writes",
            "create access to the store",
            Promise::Always,
            strange_names
        ),
        on_copy!(
            25,
            "let two writers commit to one log at once",
            "the capture key, twice",
            Promise::Always,
            two_writers
        ),
    ],
};

fn flipped(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    let copy = ground.miniature()?;
    copy.change(&copy.commit_name(2)?, |bytes| {
        if let Some(byte) = bytes.get_mut(100) {
            *byte ^= 1;
        }
    });
    copy.seen(Depth::Structure)
}

fn halved(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    let copy = ground.miniature()?;
    copy.change(&copy.commit_name(2)?, |bytes| bytes.truncate(bytes.len() / 2));
    copy.seen(Depth::Structure)
}

fn pack_flipped(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    let copy = ground.miniature()?;
    copy.change(&copy.first_pack()?, |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    });
    if decoy::first_lost(&copy.reader()?, copy.last)?.is_none() {
        return Ok(Outcome::not_held("changed bytes were given out as good ones", "every version came back"));
    }
    copy.seen(Depth::ReadData)
}

fn pack_swapped(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    let copy = ground.miniature()?;
    let packs = copy.store.list("data/")?;
    let [first, second, ..] = packs.as_slice() else {
        return Ok(Outcome::not_possible("the decoy has one pack"));
    };
    let other = copy.store.read(&second.name)?;
    copy.change(&first.name, |bytes| *bytes = other);
    if decoy::first_lost(&copy.reader()?, copy.last)?.is_none() {
        return Ok(Outcome::not_held("another pack was taken for the right one", "every version came back"));
    }
    copy.seen(Depth::ReadData)
}

fn pack_removed(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    let copy = ground.miniature()?;
    copy.remove(&copy.first_pack()?);
    copy.seen(Depth::Structure)
}

fn hole(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    let copy = ground.miniature()?;
    copy.remove(&copy.commit_name(2)?);
    copy.seen(Depth::Structure)
}

/// Mirrors the copy, lets the log be harmed, and asks the mirror's next run.
fn with_mirror(
    ground: &Ground<'_>,
    harm: impl FnOnce(&Miniature) -> Result<(), SiegeError>,
    problems: &[MirrorProblem],
) -> Result<Outcome, SiegeError> {
    let copy = ground.miniature()?;
    let pair = Pair {
        origin: Arc::<blobs::MemoryStore>::clone(&copy.store),
        mirror: Arc::new(blobs::MemoryStore::new()),
        clock: Arc::<ManualClock>::clone(&copy.clock),
    };
    let run = || {
        pull(&pair, &MirrorOptions::default(), MirrorWatch::IDLE)
            .map_err(|error| SiegeError::Untried(vault::error_text(&error)))
    };
    run()?;
    harm(&copy)?;
    if copy.verify(Depth::Structure)?.shows_tampering() {
        return Ok(Outcome::detected("unwipe verify"));
    }
    let report = run()?;
    let seen = report.differences.iter().find(|difference| problems.contains(&difference.problem));
    Ok(match (seen, ground.has_mirror()) {
        (Some(seen), true) => Outcome::detected(format!("the mirror's next run: {}", seen.problem)),
        (Some(_), false) => Outcome::not_held(
            "a log cannot tell alone that its end is missing; a mirror or a witness can, and no mirror is configured",
            "the copy verifies; a mirror of it would have seen it",
        ),
        (None, _) => Outcome::not_held("nothing saw it", "the copy verifies, and so does its mirror"),
    })
}

fn rolled_back(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    let harm = |copy: &Miniature| {
        copy.remove(&copy.commit_name(copy.last)?);
        Ok(())
    };
    with_mirror(ground, harm, &[MirrorProblem::RolledBack])
}

fn forked(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    let harm = |copy: &Miniature| {
        copy.remove(&copy.commit_name(copy.last)?);
        let writer = copy.writer()?;
        let mut commit = writer.begin(&copy.source);
        let stored = commit.store_bytes(Layout::Small, b"another history")?;
        let item =
            model::Item { stream: decoy::stream()?, key: "ledger".to_owned(), attributes: "{}".to_owned() };
        commit.upsert(item, stored)?;
        commit.finish(&Cursor(Vec::new()))?;
        Ok(())
    };
    with_mirror(ground, harm, &[MirrorProblem::Forked])
}

fn replayed(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    let copy = ground.miniature()?;
    let old = copy.store.read(&copy.commit_name(1)?)?;
    copy.plant(&copy.commit_name(copy.last + 1)?, &old)?;
    copy.seen(Depth::Structure)
}

fn spoofed(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    let copy = ground.miniature()?;
    let commit = copy.store.read(&copy.commit_name(1)?)?;
    copy.plant(&BlobName::new("log/somebody-else/0000000001")?, &commit)?;
    copy.seen(Depth::Structure)
}

fn planted(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    let copy = ground.miniature()?;
    copy.plant(&copy.commit_name(copy.last + 1)?, b"rubbish")?;
    let seen = copy.seen(Depth::Structure)?;
    if decoy::first_lost(&copy.reader()?, copy.last)?.is_some() {
        return Ok(Outcome::not_held("a planted object hid stored versions", "they did not come back"));
    }
    Ok(seen)
}

fn foreign_vault(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    let copy = ground.miniature()?;
    let other = Arc::new(blobs::MemoryStore::new());
    let random = Arc::new(SeededRandom::new(copy.last));
    let new = vault::init(&*other, InitOptions { lock_days: 1 }, &*copy.clock, &*random)
        .map_err(|error| SiegeError::Untried(vault::error_text(&error)))?;
    let store: Arc<dyn BlobStore> = Arc::<blobs::MemoryStore>::clone(&other);
    let writer = copy.writer_on(store, &new.capture_key, Arc::<ManualClock>::clone(&copy.clock))?;
    decoy::commit_next(&writer, &copy.source)?;
    let foreign = other.read(&copy.commit_name(1)?)?;
    copy.plant(&copy.commit_name(copy.last + 1)?, &foreign)?;
    copy.seen(Depth::Structure)
}

fn foreign_signer(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    let copy = ground.miniature()?;
    let mut key: serde_json::Value = serde_json::from_str(ground.capture_text())
        .map_err(|error| SiegeError::Untried(error.to_string()))?;
    key["signing_seed"] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff".into();
    let forged = CaptureKey::parse(&key.to_string())?;
    let clock = Arc::<ManualClock>::clone(&copy.clock);
    let writer = match copy.writer_with(&forged, clock) {
        Ok(writer) => writer,
        Err(error) => {
            return Ok(Outcome::held(format!("the writer refuses the key: {}", vault::error_text(&error))));
        }
    };
    if let Err(error) = decoy::commit_next(&writer, &copy.source) {
        return Ok(Outcome::held(format!("the writer refuses: {}", vault::error_text(&error))));
    }
    copy.seen(Depth::Structure)
}

fn rubbish_pack(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    let copy = ground.miniature()?;
    let id = "0".repeat(64);
    copy.plant(&BlobName::new(format!("data/00/{id}"))?, &[0; 5000])?;
    let report = copy.verify(Depth::ReadData)?;
    if report.unreferenced_packs == 0 {
        return Ok(Outcome::not_held("nothing sees it", "the check counts no pack of no commit"));
    }
    copy.intact("no commit names it, so nobody reads it; the check counts it")
}

fn strange_names(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    let copy = ground.miniature()?;
    for name in ["readme", "log/siege-decoy/1", "log/siege-decoy/00000000001", "data/00/x", "keys/01"] {
        copy.plant(&BlobName::new(name)?, b"planted")?;
    }
    if decoy::first_lost(&copy.reader()?, copy.last)?.is_some() {
        return Ok(Outcome::not_held("strange names hid stored versions", "they did not come back"));
    }
    copy.seen(Depth::Structure)
}

fn two_writers(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    let copy = ground.miniature()?;
    let (one, other) = (copy.writer()?, copy.writer()?);
    let source: &SourceName = &copy.source;
    let commit =
        |writer: &vault::VaultWriter| writer.begin(source).finish(&Cursor(Vec::new())).map(|r| r.sequence);
    let sequences = [commit(&one)?, commit(&other)?, commit(&one)?];
    let last = copy.vault()?.last_sequence(source)?;
    if last != copy.last + 3 || sequences.windows(2).any(|pair| pair[0] >= pair[1]) {
        return Ok(Outcome::not_held("a commit was lost", format!("{sequences:?}")));
    }
    let report = copy.verify(Depth::Structure)?;
    if !report.is_sound() {
        return copy.seen(Depth::Structure);
    }
    copy.intact("each commit names the one before it; who comes second takes the next number")
}
