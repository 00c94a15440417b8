//! What lies beside the vault: the catalog and the journal.

use std::{path::PathBuf, sync::Arc};

use catalog::{Applied, Catalog};
use ports::files;
use vault::journal::{Journal, JournalOptions, recover};

use super::{Table, log::on_copy};
use crate::{Attack, Ground, Layer, Outcome, Promise, Scene, SiegeError, decoy, miniature::Miniature};

pub(super) const TABLE: Table = Table {
    layer: Layer::Cache,
    attacks: &[
        on_copy!(57, "delete the catalog", "the user of the host", Promise::Always, deleted),
        on_copy!(
            57,
            "overwrite the catalog with noise",
            "the user of the host",
            Promise::Always,
            overwritten
        ),
        on_copy!(
            57,
            "edit the catalog: take items out of it",
            "the user of the host",
            Promise::Never,
            edited
        ),
        on_copy!(
            57,
            "put the catalog of another history in its place",
            "the user of the host",
            Promise::Always,
            exchanged
        ),
        on_copy!(
            56,
            "change one bit of the journal",
            "the user of the host",
            Promise::Always,
            journal_flipped
        ),
        on_copy!(
            56,
            "read the journal without a key",
            "another user of the host",
            Promise::Always,
            journal_read
        ),
    ],
};

fn failed(error: impl std::error::Error) -> SiegeError {
    SiegeError::Untried(vault::error_text(&error))
}

fn path(ground: &Ground<'_>, name: &str) -> Result<PathBuf, SiegeError> {
    let folder = ground.scratch.join("cache");
    files::create_folder(&folder)?;
    Ok(folder.join(name))
}

fn fill(copy: &Miniature, catalog: &mut Catalog) -> Result<usize, SiegeError> {
    let reader = copy.reader()?;
    for sequence in 1..=copy.last {
        let (commit, body) = reader.commit(&copy.source, sequence)?;
        catalog.apply(&Applied::from(&commit), body.changes).map_err(failed)?;
    }
    live(catalog)
}

fn live(catalog: &Catalog) -> Result<usize, SiegeError> {
    Ok(catalog.live(&decoy::stream()?).map_err(failed)?.len())
}

fn deleted(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    let copy = ground.miniature()?;
    let path = path(ground, "deleted.sqlite")?;
    let before = fill(&copy, &mut Catalog::open(&path).map_err(failed)?)?;
    std::fs::remove_file(&path).map_err(|e| files::FileError::new("remove", &path, e))?;
    let after = fill(&copy, &mut Catalog::open(&path).map_err(failed)?)?;
    Ok(if before == after && before > 0 {
        Outcome::held("the catalog is made anew from the vault, with the same answers")
    } else {
        Outcome::not_held("the catalog's answers differ", format!("{before} items, then {after}"))
    })
}

fn overwritten(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    let path = path(ground, "noise.sqlite")?;
    files::create_new(&path, &decoy::content(9), 0o600)?;
    Ok(match Catalog::open(&path) {
        Err(error) if error.needs_rebuild() => {
            Outcome::held("noise is no catalog: it is moved aside and made anew")
        }
        Err(error) => Outcome::not_held("the catalog stands in the way", vault::error_text(&error)),
        Ok(_) => Outcome::not_held("noise was taken for a catalog", "it opened"),
    })
}

fn edited(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    let copy = ground.miniature()?;
    let path = path(ground, "edited.sqlite")?;
    let before = fill(&copy, &mut Catalog::open(&path).map_err(failed)?)?;
    {
        let database = rusqlite::Connection::open(&path).map_err(failed)?;
        let tables: Vec<String> = {
            let mut query = database
                .prepare("SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE '%version%' OR name LIKE '%item%' AND type = 'table'")
                .map_err(failed)?;
            let rows = query.query_map([], |row| row.get(0)).map_err(failed)?;
            rows.collect::<Result<_, _>>().map_err(failed)?
        };
        for table in tables {
            database.execute(&format!("DELETE FROM \"{table}\""), []).map_err(failed)?;
        }
    }
    let after = live(&Catalog::open(&path).map_err(failed)?)?;
    let vault = decoy::first_lost(&copy.reader()?, copy.last)?;
    Ok(if after == before {
        Outcome::held("the edit changed no answer")
    } else if vault.is_some() {
        Outcome::not_held("the vault was harmed", "a version is lost")
    } else {
        Outcome::not_held(
            "the catalog is a cache that its user can edit, and it is believed until it is made anew; the vault still has everything: delete state/NAME/catalog.sqlite",
            format!("it listed {before} items, and {after} after the edit"),
        )
    })
}

fn exchanged(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    let copy = ground.miniature()?;
    let path = path(ground, "exchanged.sqlite")?;
    let mut catalog = Catalog::open(&path).map_err(failed)?;
    fill(&copy, &mut catalog)?;
    let known = catalog.commit_hash(copy.last).map_err(failed)?;
    // Another history: the same sequence number with another hash, as the service compares before it uses a catalog.
    let other = ground.miniature()?;
    decoy::commit_next(&other.writer()?, &other.source)?;
    other.remove(&other.commit_name(copy.last)?);
    let foreign = other.vault()?.commit(&other.source, copy.last + 1)?.hash;
    Ok(if known == Some(foreign) {
        Outcome::not_held("two histories have one hash", "the catalog would be believed")
    } else {
        Outcome::held("a catalog carries the hash of its newest commit; one of another history is made anew")
    })
}

fn journal(ground: &Ground<'_>, copy: &Miniature, name: &str) -> Result<PathBuf, SiegeError> {
    let folder = path(ground, name)?;
    let options = JournalOptions { file_bytes: 1 << 16, spare_files: 0 };
    let random = ground.random();
    let mut journal = Journal::open(&folder, &copy.capture, Arc::clone(&random), options).map_err(failed)?;
    for number in 0..8_u64 {
        journal.append(&decoy::stream()?, number * 100, &[number as u8; 100]).map_err(failed)?;
        journal.sync().map_err(failed)?;
    }
    Ok(folder)
}

fn journal_flipped(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    let copy = ground.miniature()?;
    let folder = journal(ground, &copy, "journal")?;
    let file = super::keys::files_below(&folder)
        .into_iter()
        .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("journal-")))
        .ok_or_else(|| SiegeError::Untried("the journal has no file".to_owned()))?;
    let mut bytes = files::read(&file)?;
    // Past the head of the file, inside of the second or third record.
    bytes[4096 + 400] ^= 1;
    files::replace(&file, &bytes)?;
    let mut wrong = 0;
    let mut right = 0_u64;
    let read = recover(&folder, &copy.reader()?, |_, offset, bytes| {
        let number = (offset / 100) as u8;
        if bytes.iter().all(|byte| *byte == number) {
            right += 1;
        } else {
            wrong += 1;
        }
    });
    Ok(match (wrong, read) {
        (0, Err(error)) => Outcome::detected(format!("the journal: {}", vault::error_text(&error))),
        (0, Ok(())) => Outcome::held(format!(
            "records are sealed one by one: a changed one ends its file ({right} of 8 came back), and what it held is read again from the source's slot"
        )),
        _ => Outcome::not_held("changed bytes came back as good ones", format!("{wrong} records")),
    })
}

fn journal_read(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    let copy = ground.miniature()?;
    let folder = journal(ground, &copy, "sealed")?;
    for path in super::keys::files_below(&folder) {
        let bytes = files::read(&path)?;
        if bytes.windows(100).any(|run| run[0] != 0 && run.iter().all(|byte| *byte == run[0])) {
            return Ok(Outcome::not_held("the journal holds plain bytes", path.display().to_string()));
        }
    }
    Ok(Outcome::held("every record is sealed"))
}
