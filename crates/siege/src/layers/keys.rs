//! Keys and manifest: destroyed, swapped, planted, misused.

use std::{path::Path, process::Command};

use ports::{BlobName, BlobStore};
use vault::{CaptureKey, RestoreKey, verify::Depth};

use super::{Table, log::on_copy};
use crate::{Attack, Ground, Layer, Outcome, Promise, Scene, SiegeError, miniature::Miniature};

pub(super) const TABLE: Table = Table {
    layer: Layer::Keys,
    attacks: &[
        on_copy!(66, "destroy the wrapped keys", "delete access to the store", Promise::Always, destroyed),
        on_copy!(66, "damage the wrapped keys", "write access to the store", Promise::Always, damaged),
        on_copy!(
            66,
            "destroy one key file, and open the vault with another",
            "root on the capturing host",
            Promise::Always,
            recipients
        ),
        on_copy!(
            68,
            "swap the recipients in the manifest",
            "write access to the store",
            Promise::Always,
            swapped_recipients
        ),
        on_copy!(
            68,
            "swap the data key in the manifest",
            "write access to the store",
            Promise::Always,
            swapped_data_key
        ),
        on_copy!(
            64,
            "set the term in the manifest to one day",
            "write access to the store",
            Promise::Always,
            shorter_term
        ),
        on_copy!(
            60,
            "add a signer to the manifest",
            "write access to the store",
            Promise::Always,
            added_signer
        ),
        on_copy!(
            67,
            "plant wrapped keys of the attacker's beside the vault's own",
            "create access to the store",
            Promise::Always,
            planted_keys
        ),
        on_copy!(28, "remove the manifest", "delete access to the store", Promise::Always, no_manifest),
        on_copy!(
            70,
            "read what is stored with the capture key",
            "the capture key",
            Promise::Always,
            capture_reads
        ),
        on_copy!(
            70,
            "add to the vault with the restore key",
            "the restore key",
            Promise::Always,
            restore_writes
        ),
        Attack {
            number: 72,
            what: "read the key files as another user of the host",
            credential: "another user",
            on: Scene::Host,
            promise: Promise::Always,
            run: files_of_others,
        },
    ],
};

const KEYS: &str = "keys/0";
const MANIFEST: &str = "vault.json";

fn destroyed(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    let copy = ground.miniature()?;
    copy.remove(&BlobName::new(KEYS)?);
    let report = vault::verify::verify(&copy.vault()?, None, Depth::Structure, &mut |_| {})?;
    Ok(match report.findings.first() {
        Some(first) => Outcome::detected(format!(
            "unwipe verify: {}: {}; every mirror and copy has the keys too",
            first.object, first.problem
        )),
        None => Outcome::not_held("nothing sees it", "the vault verifies without its keys"),
    })
}

fn damaged(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    let copy = ground.miniature()?;
    copy.change(&BlobName::new(KEYS)?, |bytes| {
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
    });
    Ok(match copy.reader() {
        Err(error) => Outcome::detected(format!("opening the vault: {}", vault::error_text(&error))),
        Ok(_) => Outcome::not_held("damaged keys were used", "the vault opened"),
    })
}

fn recipients(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    let copy = ground.miniature()?;
    let wrapped = copy.store.read(&BlobName::new(KEYS)?)?;
    let stanzas = String::from_utf8_lossy(&wrapped).matches("-> X25519 ").count();
    let named = copy.vault()?.manifest().recipients.len();
    Ok(if stanzas >= 2 && named >= 2 {
        Outcome::held(format!("{stanzas} identities open the vault, each alone; one is on the recovery kit"))
    } else {
        Outcome::not_held("a single identity opens the vault", format!("{stanzas} recipients"))
    })
}

/// Changes the manifest, and asks the keys whether they still take it for the vault's.
fn edited(ground: &Ground<'_>, edit: impl FnOnce(&mut serde_json::Value)) -> Result<Outcome, SiegeError> {
    let copy = ground.miniature()?;
    let name = BlobName::new(MANIFEST)?;
    let mut manifest: serde_json::Value = serde_json::from_slice(&copy.store.read(&name)?)
        .map_err(|error| SiegeError::Untried(error.to_string()))?;
    edit(&mut manifest);
    copy.change(&name, |bytes| *bytes = manifest.to_string().into_bytes());
    let refusals = [copy.writer().err(), copy.reader().err()];
    Ok(match refusals {
        [Some(writer), Some(_)] => {
            Outcome::held(format!("the keys know the manifest's fingerprint: {}", vault::error_text(&writer)))
        }
        [None, _] => {
            Outcome::not_held("the capture took the edited manifest", "a commit would have been made")
        }
        [_, None] => Outcome::not_held(
            "the restore key was written down without the fingerprint",
            "the edited manifest was taken for reading",
        ),
    })
}

fn swapped_recipients(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    edited(ground, |manifest| {
        manifest["recipients"] = serde_json::json!([{"role": "restore", "age": "age1attacker"}]);
    })
}

fn swapped_data_key(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    edited(ground, |manifest| manifest["data_recipient"] = "42".repeat(32).into())
}

fn shorter_term(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    edited(ground, |manifest| manifest["lock_days"] = 1.into())
}

fn added_signer(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    edited(ground, |manifest| {
        if let Some(signers) = manifest["signers"].as_array_mut() {
            signers.push("42".repeat(32).into());
        }
    })
}

fn planted_keys(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    let copy = ground.miniature()?;
    let others = std::sync::Arc::new(blobs::MemoryStore::new());
    let random = ports::SeededRandom::new(7);
    vault::init(&*others, vault::InitOptions { lock_days: 1 }, &*copy.clock, &random)
        .map_err(|error| SiegeError::Untried(vault::error_text(&error)))?;
    let foreign = others.read(&BlobName::new(KEYS)?)?;
    let taken = copy.store.list("keys/")?.len();
    copy.plant(&BlobName::new(format!("keys/{taken}"))?, &foreign)?;
    copy.plant(&BlobName::new(format!("keys/{}", taken + 1))?, b"rubbish")?;
    copy.intact("keys that do not belong to the vault's data key are passed over")
}

fn no_manifest(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    let copy: Miniature = ground.miniature()?;
    copy.remove(&BlobName::new(MANIFEST)?);
    Ok(match (copy.writer(), copy.reader()) {
        (Err(error), Err(_)) => Outcome::detected(format!("every command: {}", vault::error_text(&error))),
        _ => Outcome::not_held("a vault without manifest was used", "a key opened it"),
    })
}

fn capture_reads(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    if RestoreKey::parse(ground.capture_text()).is_ok() || ground.capture_text().contains("AGE-SECRET-KEY-") {
        return Ok(Outcome::not_held("the capture key file holds an identity", "it opens the vault"));
    }
    let copy = ground.miniature()?;
    // The most that the key holds is tried as the secret half of the data key.
    let key: serde_json::Value = serde_json::from_str(ground.capture_text())
        .map_err(|error| SiegeError::Untried(error.to_string()))?;
    let vault_id = copy.vault()?.manifest().vault;
    let wrapped = copy.vault()?.commit(&copy.source, 1)?.envelope.body.wrapped;
    let secrets = key.as_object().into_iter().flatten().filter_map(|(_, value)| unhex(value.as_str()?));
    let mut tried = 0;
    for secret in secrets {
        tried += 1;
        if vault::seal::unwrap(&vault_id, vault::seal::Purpose::Commit, &secret, &wrapped).is_ok() {
            return Ok(Outcome::not_held("a secret of the capture key opens commits", "a commit was opened"));
        }
    }
    Ok(Outcome::held(format!(
        "the capture key has only the public half of the data key ({tried} of its values tried)"
    )))
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let bytes: Option<Vec<u8>> =
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect();
    bytes?.try_into().ok()
}

fn restore_writes(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    Ok(match CaptureKey::parse(ground.restore_text()) {
        Err(_) => Outcome::held("the restore key holds no signing key: it reads, and that is all"),
        Ok(_) => Outcome::not_held("the restore key signs", "it was taken for a capture key"),
    })
}

fn files_of_others(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    if !rustix::process::geteuid().is_root() {
        return Ok(Outcome::not_possible("only root can act as another user"));
    }
    let folder = ground.home().join("keys");
    let mut read = Vec::new();
    let mut tried = 0;
    for path in files_below(&folder) {
        tried += 1;
        let status = Command::new("/usr/bin/setpriv")
            .args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "/bin/cat", "--"])
            .arg(&path)
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .status();
        if status.is_ok_and(|status| status.success()) {
            read.push(path.display().to_string());
        }
    }
    Ok(match (tried, read.is_empty()) {
        (0, _) => Outcome::not_possible("no key file lies in the home folder"),
        (_, true) => Outcome::held(format!("file permissions: {tried} key files are their owner's alone")),
        (_, false) => Outcome::not_held("other users may read key files", read.join(", ")),
    })
}

pub(super) fn files_below(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(files_below(&path)),
            Ok(kind) if kind.is_file() => found.push(path),
            _ => {}
        }
    }
    found
}
