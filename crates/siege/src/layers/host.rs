//! What lies around on the host, and what it is good for. Only looked at, and used against the decoy alone.

use std::path::{Path, PathBuf};

use model::Moment;
use ports::{BlobError, files};
use vault::{CaptureKey, RestoreKey, VaultWriter, WriterOptions};

use super::{Table, keys::files_below};
use crate::{Attack, Ground, Layer, Outcome, Promise, Scene, SiegeError};

pub(super) const TABLE: Table = Table {
    layer: Layer::Host,
    attacks: &[
        Attack {
            number: 72,
            what: "search the home folder for secrets, and try each against the decoy",
            credential: "this process's user, as an agent would run",
            on: Scene::Decoy,
            promise: Promise::Always,
            run: replayed,
        },
        Attack {
            number: 72,
            what: "find a key that reads the vault beside the vault",
            credential: "this process's user, as an agent would run",
            on: Scene::Host,
            promise: Promise::Never,
            run: reading_key,
        },
        Attack {
            number: 73,
            what: "find a secret in the environment or the arguments of a process",
            credential: "this process's user, as an agent would run",
            on: Scene::Host,
            promise: Promise::Always,
            run: environments,
        },
        Attack {
            number: 72,
            what: "try the given credentials of production against the decoy",
            credential: "what production or an agent has",
            on: Scene::Decoy,
            promise: Promise::Always,
            run: given,
        },
    ],
};

/// What could be a secret of ours is no larger.
const SECRET_BYTES_MAX: u64 = 1 << 16;
const IDENTITY: &str = "AGE-SECRET-KEY-1";
const CAPTURE: &str = "\"signing_seed\"";

struct Found {
    path: PathBuf,
    text: String,
}

fn search(folder: &Path, vault: Option<&Path>) -> Vec<Found> {
    let mut found = Vec::new();
    for path in files_below(folder) {
        let within_vault = vault.is_some_and(|vault| path.starts_with(vault));
        let small = std::fs::metadata(&path).is_ok_and(|meta| meta.len() <= SECRET_BYTES_MAX);
        if within_vault || !small {
            continue;
        }
        let Ok(text) = files::read_text(&path) else { continue };
        if text.contains(IDENTITY) || text.contains(CAPTURE) {
            found.push(Found { path, text });
        }
    }
    found
}

/// Uses a secret for the worst that it is good for: writing over, and shortening locks of, the decoy's objects.
fn misuse(ground: &Ground<'_>, text: &str) -> Result<Option<String>, SiegeError> {
    let Ok(key) = CaptureKey::parse(text) else { return Ok(None) };
    let ports = ground.request.installation.ports();
    let store = std::sync::Arc::clone(&ground.store);
    let (clock, random) = (std::sync::Arc::clone(&ports.clock), ground.random());
    let Ok(writer) = VaultWriter::open(store, &key, clock, random, WriterOptions::default()) else {
        return Ok(None);
    };
    let store = writer.vault().store();
    for (name, bytes) in &ground.decoy.objects {
        let before = store.head(name)?.locked_until;
        let created = store.create(name, b"forged", Moment::from_micros(1));
        store.extend_lock(name, Moment::from_micros(1))?;
        let harmless = matches!(created, Err(BlobError::Exists { .. } | BlobError::Refused { .. }));
        if !harmless || store.read(name)? != *bytes || store.head(name)?.locked_until < before {
            return Ok(Some(name.to_string()));
        }
    }
    Ok(None)
}

fn replayed(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    let found = search(ground.home(), ground.folder.as_deref());
    let mut names = Vec::new();
    for secret in &found {
        if let Some(object) = misuse(ground, &secret.text)? {
            return Ok(Outcome::not_held("a secret on this host changed an object", object));
        }
        names.push(secret.path.strip_prefix(ground.home()).unwrap_or(&secret.path).display().to_string());
    }
    Ok(Outcome::held(format!(
        "no key deletes or replaces anything ({} found: {})",
        names.len(),
        names.join(", ")
    )))
}

fn reading_key(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    let found = search(ground.home(), ground.folder.as_deref());
    let opens = |found: &&Found| {
        let key = RestoreKey::parse(&found.text).ok();
        key.is_some_and(|key| vault::VaultReader::open(std::sync::Arc::clone(&ground.store), &key).is_ok())
    };
    Ok(match found.iter().find(opens) {
        Some(found) => Outcome::not_held(
            "a key that reads the vault lies on this host: whoever is this user reads everything, and can destroy nothing with it",
            found.path.display().to_string(),
        ),
        None => Outcome::held("no file of the home folder opens the vault"),
    })
}

fn environments(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    let secret_of = |text: &str| {
        let line = text.lines().find(|line| line.contains(IDENTITY)).map(|line| line.trim().to_owned());
        let seed = serde_json::from_str::<serde_json::Value>(text).ok();
        line.or_else(|| seed?["signing_seed"].as_str().map(str::to_owned))
    };
    let secrets: Vec<String> =
        [ground.capture_text(), ground.restore_text()].into_iter().filter_map(secret_of).collect();
    let processes = std::fs::read_dir("/proc")
        .map_err(|e| files::FileError::new("list", Path::new("/proc"), e))?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            path.file_name().is_some_and(|n| n.to_string_lossy().bytes().all(|b| b.is_ascii_digit()))
        });
    let mut looked = 0;
    for process in processes {
        for part in ["environ", "cmdline"] {
            let Ok(bytes) = files::read(&process.join(part)) else { continue };
            looked += 1;
            let text = String::from_utf8_lossy(&bytes);
            if secrets.iter().any(|secret| text.contains(secret.as_str())) {
                let place = process.join(part).display().to_string();
                return Ok(Outcome::not_held("a process shows a key to its user", place));
            }
        }
    }
    Ok(Outcome::held(format!("no key in {looked} environments and argument lists that this user may read")))
}

fn given(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    if ground.request.credentials.is_empty() {
        return Ok(Outcome::not_possible("no credentials were given: --credentials FILE"));
    }
    let mut opened = Vec::new();
    for path in ground.request.credentials {
        let text = files::read_text(path)?;
        if let Some(object) = misuse(ground, &text)? {
            return Ok(Outcome::not_held("a given credential changed an object", object));
        }
        let key = RestoreKey::parse(&text).ok();
        if key.is_some_and(|key| vault::VaultReader::open(std::sync::Arc::clone(&ground.store), &key).is_ok())
        {
            opened.push(path.display().to_string());
        }
    }
    Ok(if opened.is_empty() {
        Outcome::held(format!(
            "{} files with credentials: none of them reaches the vault",
            ground.request.credentials.len()
        ))
    } else {
        Outcome::not_held("a given credential reads the vault", opened.join(", "))
    })
}
