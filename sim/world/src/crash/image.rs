//! What is found after a power cut: everything that was promised, and a vault that goes on.

use std::{path::Path, sync::Arc};

use catalog::{Applied, Catalog};
use model::Moment;
use ports::{BlobName, BlobStore, ManualClock};
use vault::{
    Cursor, InitOptions, Layout, Vault,
    reap::ReaperMemory,
    time::TimeRecord,
    verify::{Depth, verify},
};

use super::driver::{Places, item, log_bytes, log_stream, source, start};
use crate::Violation;

/// What the driver has promised so far.
#[derive(Debug, Default)]
struct Promised {
    vault: bool,
    commits: Vec<(u64, String)>,
    journal_end: u64,
    locks: Vec<(String, i64)>,
    time: Option<i64>,
}

/// Starts the real code on an image and compares what it finds with what was promised.
pub fn check(image: &Path, seed: u64, promises: &[String]) -> Result<(), Violation> {
    let promised = Promised::read(promises)?;
    let places = Places(image);
    if !promised.vault {
        return check_beginning(&places, seed);
    }
    check_vault(&places, &promised)?;
    check_journal(&places, seed, &promised)?;
    check_state(&places, &promised)?;
    go_on(&places, seed)
}

impl Promised {
    fn read(promises: &[String]) -> Result<Self, Violation> {
        let mut promised = Self::default();
        for line in promises {
            let wrong = || Violation::new("the driver speaks clearly", line);
            let words: Vec<&str> = line.split(' ').collect();
            let number =
                |at: usize| words.get(at).and_then(|word| word.parse::<u64>().ok()).ok_or_else(wrong);
            match words[0] {
                "vault" => promised.vault = true,
                "commit" => {
                    promised.commits.push((number(1)?, words.get(2).ok_or_else(wrong)?.to_string()));
                }
                "journal" => promised.journal_end = number(1)?,
                "lock" => {
                    promised.locks.push((words.get(1).ok_or_else(wrong)?.to_string(), number(2)? as i64));
                }
                "time" => promised.time = Some(number(1)? as i64),
                "seen" => {}
                _ => return Err(wrong()),
            }
        }
        Ok(promised)
    }
}

fn broken<E: std::fmt::Display + ?Sized>(invariant: &'static str) -> impl Fn(Box<E>) -> Violation {
    move |error| Violation::new(invariant, error)
}

/// Nothing was promised yet: what is there is a vault, or one can be made.
fn check_beginning(places: &Places<'_>, seed: u64) -> Result<(), Violation> {
    let store = places.store().map_err(broken("a store opens"))?;
    let has_manifest = store.list("vault.json").is_ok_and(|found| !found.is_empty());
    let clock = ManualClock::new(start());
    let random = ports::SeededRandom::new(seed + 9);
    if !has_manifest {
        vault::init(&*store, InitOptions { lock_days: 5 }, &clock, &random)
            .map_err(|e| Violation::new("a vault that was begun can be begun again", e))?;
    }
    let vault = Vault::open(store).map_err(|e| Violation::new("a manifest is whole or not there", e))?;
    let report = verify(&vault, None, Depth::ReadData, &mut |_| {})
        .map_err(|e| Violation::new("a vault can be checked", e))?;
    match report.findings.first() {
        Some(finding) => Err(Violation::new("a new vault is sound", format_args!("{finding:?}"))),
        None => Ok(()),
    }
}

fn check_vault(places: &Places<'_>, promised: &Promised) -> Result<(), Violation> {
    let reader = places.reader().map_err(broken("the vault opens with its key"))?;
    let report = verify(reader.vault(), Some(&reader), Depth::ReadData, &mut |_| {})
        .map_err(|e| Violation::new("a vault can be checked", e))?;
    if let Some(finding) = report.findings.first() {
        return Err(Violation::new("a vault is sound", format_args!("{finding:?}")));
    }
    for (sequence, hash) in &promised.commits {
        let found = source()
            .and_then(|source| Ok(reader.vault().commit(&source, *sequence)?))
            .map_err(broken("an acknowledged commit is in the vault"))?;
        if found.hash.to_string() != *hash {
            return Err(Violation::new("an acknowledged commit never changes", sequence));
        }
    }
    for (name, until) in &promised.locks {
        let name = BlobName::new(name.as_str()).map_err(|e| Violation::new("names are names", e))?;
        let blob =
            reader.vault().store().head(&name).map_err(|e| Violation::new("a locked object is there", e))?;
        if blob.locked_until.is_none_or(|lock| lock < Moment::from_micros(*until)) {
            let detail = format!("{name} until {:?}, promised {until}", blob.locked_until);
            return Err(Violation::new("an extended lock stays extended", detail));
        }
    }
    Ok(())
}

/// Every byte that was synced is in a commit or in the journal.
fn check_journal(places: &Places<'_>, seed: u64, promised: &Promised) -> Result<(), Violation> {
    let reader = places.reader().map_err(broken("the vault opens with its key"))?;
    let head = source().and_then(|source| Ok(reader.vault().head(&source)?));
    let committed = head
        .map_err(broken("the newest commit is sound"))?
        .and_then(|head| String::from_utf8(head.envelope.cursor).ok()?.parse::<u64>().ok())
        .unwrap_or(0);
    if promised.journal_end == 0 {
        return Ok(());
    }
    let journal = places.journal(seed + 2).map_err(broken("the journal opens"))?;
    if let Some(path) = journal.damaged().first() {
        return Err(Violation::new("a power cut damages no journal file", path.display()));
    }
    let (mut position, mut wrong) = (committed, None);
    journal
        .replay(|_, offset, bytes| {
            if log_bytes(offset, bytes.len() as u64) != bytes {
                wrong.get_or_insert(offset);
            }
            if offset <= position {
                position = position.max(offset + bytes.len() as u64);
            }
        })
        .map_err(|e| Violation::new("the journal replays", e))?;
    if let Some(offset) = wrong {
        return Err(Violation::new("the journal gives the bytes that were appended", offset));
    }
    if position < promised.journal_end {
        let detail = format!("up to {position}, committed {committed}, synced {}", promised.journal_end);
        return Err(Violation::new("every synced byte is in a commit or in the journal", detail));
    }
    // Whoever comes without the capture key finds the same.
    let mut recovered = committed;
    vault::journal::recover(&places.0.join("state/journal"), &reader, |_, offset, bytes| {
        if offset <= recovered {
            recovered = recovered.max(offset + bytes.len() as u64);
        }
    })
    .map_err(|e| Violation::new("the restore key reads the journal", e))?;
    if recovered < promised.journal_end {
        return Err(Violation::new("the restore key reads the whole journal", recovered));
    }
    Ok(())
}

fn check_state(places: &Places<'_>, promised: &Promised) -> Result<(), Violation> {
    let time = places.time().load().map_err(|e| Violation::new("vault time is remembered whole", e))?;
    let now = time.map(|state| state.now.as_micros());
    if now < promised.time {
        return Err(Violation::new(
            "vault time never goes back",
            format_args!("{now:?} < {:?}", promised.time),
        ));
    }
    ReaperMemory::open(&places.memory()).map_err(|e| Violation::new("the reaper's memory is whole", e))?;
    check_catalog(places)
}

/// The catalog is a cache: it may be gone or damaged, but it must not say what is not so.
fn check_catalog(places: &Places<'_>) -> Result<(), Violation> {
    let reader = places.reader().map_err(broken("the vault opens with its key"))?;
    let source = source().map_err(broken("names are names"))?;
    let known = || -> Result<bool, catalog::CatalogError> {
        let mut catalog = Catalog::open(&places.catalog())?;
        let last = catalog.last_sequence()?;
        for sequence in 1..=last {
            let found = reader.vault().commit(&source, sequence).ok().map(|commit| commit.hash);
            if catalog.commit_hash(sequence)? != found {
                return Ok(false);
            }
        }
        let newest = reader.vault().last_sequence(&source).unwrap_or(0);
        for sequence in last + 1..=newest {
            if let Ok((commit, body)) = reader.commit(&source, sequence) {
                catalog.apply(&Applied::from(&commit), body.changes)?;
            }
        }
        Ok(catalog.last_sequence()? == newest)
    };
    match known() {
        Ok(true) => Ok(()),
        Ok(false) => Err(Violation::new("a catalog says only what the vault says", "it does not")),
        Err(error) if error.needs_rebuild() => Ok(()),
        Err(error) => Err(Violation::new("a catalog opens or must be rebuilt", error)),
    }
}

/// The next commit works.
fn go_on(places: &Places<'_>, seed: u64) -> Result<(), Violation> {
    let clock = Arc::new(ManualClock::new(start().plus_micros(100 * vault::retention::DAY_MICROS)));
    let commit = || -> Result<_, Box<dyn std::error::Error + Send + Sync>> {
        let writer = places.writer(seed + 3, clock.clone())?;
        let mut open = writer.begin(&source()?);
        let content = open.store_bytes(Layout::Small, b"after the cut")?;
        open.upsert(item("base", "after")?, content)?;
        let receipt = open.finish(&Cursor(b"0".to_vec()))?;
        ports::files::create_folder(&places.0.join("state"))?;
        let mut journal = places.journal(seed + 4)?;
        journal.append(&log_stream()?, 1 << 40, b"after the cut")?;
        journal.sync()?;
        Ok((receipt, places.reader()?))
    };
    let (receipt, reader) = commit().map_err(broken("the next commit works"))?;
    let head =
        reader.vault().head(&receipt.source).map_err(|e| Violation::new("the next commit is there", e))?;
    let report = verify(reader.vault(), Some(&reader), Depth::Structure, &mut |_| {})
        .map_err(|e| Violation::new("a vault can be checked", e))?;
    if head.is_some_and(|head| head.hash == receipt.hash) && report.is_sound() {
        Ok(())
    } else {
        Err(Violation::new("the next commit works", format_args!("{:?}", report.findings)))
    }
}
