//! Cases that cannot be read: people hear of each once.

use std::collections::BTreeSet;

use ports::files;

use super::{CaseError, CaseStore};
use crate::{Installation, secret::Environment, weakened};

/// The files of which people were told, below the home folder.
const TOLD: &str = "state/cases/damaged.told";

/// Tells everybody of case files that are damaged, each once; returns a line for each that is damaged now.
pub fn look_for_damage(
    installation: &Installation,
    environment: Environment<'_>,
) -> Result<Vec<String>, CaseError> {
    let path = installation.home().join(TOLD);
    let read = if path.exists() { files::read_text(&path)? } else { String::new() };
    let told: BTreeSet<String> = read.lines().map(str::to_owned).collect();
    let damaged = CaseStore::of(installation.home()).damaged()?;
    let now: BTreeSet<String> = damaged.iter().map(|path| path.display().to_string()).collect();
    let sentence =
        |file: &str| format!("the case in {file} is damaged, so what it may be about is not applied");
    if now != told {
        files::replace(&path, now.iter().map(|file| format!("{file}\n")).collect::<String>().as_bytes())?;
    }
    for file in now.difference(&told) {
        // Who could not be told sees it on the pages.
        weakened::note(installation, environment, sentence(file), "nobody knows whom");
    }
    Ok(now.iter().map(|file| format!("{}: mv {file} {file}.damaged", sentence(file))).collect())
}
