//! What must hold at any time, written once: the simulation, the sweeps and the crash images all come here.

use std::collections::{BTreeMap, BTreeSet};

use catalog::{Applied, Catalog};
use ports::{BlobError, BlobStore};
use vault::{
    Change, Commit, Vault, VaultError, VaultReader,
    verify::{Depth, verify as verify_vault},
};

use crate::{
    Violation, World,
    bytes::content,
    reference::{Committed, Version},
};

/// Compares the world with its reference; with `full`, every promised version is restored and the catalog is rebuilt.
pub fn check(world: &mut World, full: bool) -> Result<(), Violation> {
    let vault = world.vault()?;
    let (_, retention) = world.retention_log()?;
    let reaped = retention.reaped().iter().map(|id| format!("data/{}/{id}", &id.to_string()[..2])).collect();
    let sources: Vec<_> = world.reference.sources().cloned().collect();
    for source in &sources {
        let log = world.reference.log(source).to_vec();
        let mut previous: Option<Commit> = None;
        for (sequence, committed) in (1..).zip(&log) {
            let name = format!("log/{source}/{sequence:010}");
            if world.destroyed.contains(&name) {
                previous = None;
                continue;
            }
            let stored = vault.commit(source, sequence).map_err(|e| {
                Violation::new("an acknowledged commit is in the vault", format_args!("{name}: {e}"))
            })?;
            check_commit(&name, &stored, committed, previous.as_ref().filter(|_| sequence > 1))?;
            check_locks(world, &reaped, &name, &stored)?;
            previous = Some(stored);
        }
    }
    if full {
        world.count("full check");
        verify(world, Depth::ReadData, false)?;
        restore_all(world)?;
        rebuild_catalogs(world)?;
    }
    Ok(())
}

/// One commit is what was acknowledged, continues its predecessor, and accounts for its items.
pub fn check_commit(
    name: &str,
    stored: &Commit,
    committed: &Committed,
    previous: Option<&Commit>,
) -> Result<(), Violation> {
    let envelope = &stored.envelope;
    if stored.hash != committed.hash {
        return Err(Violation::new("a commit never changes", name));
    }
    if !envelope.ledger.balances() {
        return Err(Violation::new("a ledger balances", name));
    }
    if let Some(previous) = previous {
        stored.check_follows(Some(previous)).map_err(|e| {
            Violation::new("a log is one chain and vault time grows", format_args!("{name}: {e}"))
        })?;
        if envelope.retention_days < previous.envelope.retention_days {
            return Err(Violation::new("a retention is never shortened", name));
        }
    }
    Ok(())
}

/// All that a commit needs is locked until it says.
fn check_locks(
    world: &World,
    reaped: &BTreeSet<String>,
    name: &str,
    stored: &Commit,
) -> Result<(), Violation> {
    let envelope = &stored.envelope;
    let packs = envelope.packs.iter().chain(&envelope.body_packs).map(|pack| pack.id);
    let packs = packs.chain(envelope.earlier_packs.iter().copied());
    let objects = packs.map(|id| format!("data/{}/{id}", &id.to_string()[..2]));
    for object in objects.chain([name.to_owned(), "vault.json".to_owned(), "keys/0".to_owned()]) {
        if world.destroyed.contains(&object) {
            continue;
        }
        let blob = match world.store.head(&World::object(&object)?) {
            Ok(blob) => blob,
            // Reaped: nothing in it was live for as long as the vault promises, nor did this commit promise it for longer.
            Err(BlobError::Missing { .. }) if reaped.contains(&object) => {
                if envelope.locked_until > world.truth.now() {
                    return Err(Violation::new(
                        "what a commit promises is not reaped",
                        format_args!("{name}: {object}"),
                    ));
                }
                continue;
            }
            Err(error) => {
                return Err(Violation::new("what a commit names is there", format_args!("{name}: {error}")));
            }
        };
        if blob.locked_until.is_none_or(|lock| lock < envelope.locked_until) {
            return Err(Violation::new(
                "what a commit names is locked as long as it says",
                format_args!(
                    "{name}: {object} until {:?}, promised {}",
                    blob.locked_until, envelope.locked_until
                ),
            ));
        }
    }
    Ok(())
}

/// A check of the vault finds what was planted or destroyed, and nothing else.
pub(crate) fn verify(world: &World, depth: Depth, troubled: bool) -> Result<(), Violation> {
    let store: std::sync::Arc<dyn BlobStore> =
        if troubled { world.faults.clone() } else { world.store.clone() };
    let opened = Vault::open(store.clone())
        .and_then(|vault| Ok((vault, VaultReader::open(store, &world.keys.restore_key)?)));
    let report = opened.and_then(|(vault, reader)| verify_vault(&vault, Some(&reader), depth, &mut |_| {}));
    let excused = troubled && world.faults.injected() > 0;
    let report = match report {
        Ok(report) => report,
        Err(_) if excused => return Ok(()),
        Err(error) => return Err(Violation::new("a vault can be checked", error)),
    };
    // Where a commit is gone, its successors do not continue what is left.
    let in_lost_log =
        |object: &str| world.lost_logs.iter().any(|source| object.starts_with(&format!("log/{source}/")));
    let known = |object: &String| {
        world.planted.contains(object) || world.destroyed.contains(object) || in_lost_log(object)
    };
    let strange = report.findings.iter().find(|finding| !known(&finding.object));
    match strange {
        Some(finding) if !excused => {
            Err(Violation::new("a check finds only what was done to the vault", format_args!("{finding:?}")))
        }
        _ => Ok(()),
    }
}

/// Returns the bytes of a version; `None` when its commit does not have it.
pub(crate) fn read_version(reader: &VaultReader, version: &Version) -> Result<Option<Vec<u8>>, VaultError> {
    let (_, body) = reader.commit(&version.source, version.sequence)?;
    let wanted = body.changes.into_iter().rev().find_map(|change| match change {
        Change::Upsert { item, content } if item.stream == version.stream && item.key == version.key => {
            Some(content)
        }
        _ => None,
    });
    wanted.map(|content| reader.read_all(&content)).transpose()
}

/// Every version that was live at any time in the window comes back bit for bit.
fn restore_all(world: &World) -> Result<(), Violation> {
    let reader = world.reader()?;
    for version in world.promised() {
        match read_version(&reader, &version) {
            Ok(Some(bytes)) if bytes == content(version.content) => {}
            Ok(Some(_)) => {
                return Err(Violation::new(
                    "nothing but the stored bytes comes back",
                    format_args!("{version:?}"),
                ));
            }
            Ok(None) => {
                return Err(Violation::new(
                    "a promised version is in its commit",
                    format_args!("{version:?}"),
                ));
            }
            Err(error) => {
                let detail = format_args!("{version:?}: {error}").to_string();
                return Err(Violation::new("every promised version can be restored", detail));
            }
        }
    }
    Ok(())
}

/// A catalog that is built from the vault alone says what is live.
fn rebuild_catalogs(world: &World) -> Result<(), Violation> {
    let reader = world.reader()?;
    for source in world.reference.sources() {
        let log = world.reference.log(source);
        if world.lost_logs.contains(source) || log.iter().any(|committed| committed.forfeit) {
            continue;
        }
        let mut catalog = Catalog::in_memory().map_err(|e| Violation::new("a catalog can be built", e))?;
        for sequence in 1..=log.len() as u64 {
            let (commit, body) = reader
                .commit(source, sequence)
                .map_err(|e| Violation::new("an acknowledged commit is in the vault", e))?;
            catalog
                .apply(&Applied::from(&commit), body.changes)
                .map_err(|e| Violation::new("a catalog takes every commit in", e))?;
        }
        let mut found = BTreeMap::new();
        for stream in catalog.streams().map_err(|e| Violation::new("a catalog answers", e))? {
            let name = stream.parse().map_err(|e| Violation::new("names are names", e))?;
            for version in catalog.live(&name).map_err(|e| Violation::new("a catalog answers", e))? {
                let length = version.content.map(|content| content.length);
                found.insert((stream.clone(), version.item.key), length);
            }
        }
        let lengths = world.reference.live(source).into_iter();
        let expected: BTreeMap<_, _> =
            lengths.map(|(item, number)| (item, number.map(|number| content(number).len() as u64))).collect();
        if found != expected {
            return Err(Violation::new(
                "a rebuilt catalog says what is live",
                format_args!("{source}: {found:?}"),
            ));
        }
    }
    Ok(())
}
