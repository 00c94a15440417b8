//! Bringing back: bombs, files in the way, links, damaged content.

use std::path::PathBuf;

use model::{Item, StreamName};
use ports::{BlobStore, files};
use vault::{
    Change, Content, Cursor, Layout, RestoreJob,
    reader::{FileSink, RestoreOptions},
    seal::{BLOCK_BYTES_MAX, BlockKey, Label},
    verify::Depth,
};

use super::{Table, log::on_copy};
use crate::{Attack, Ground, Layer, Outcome, Promise, Scene, SiegeError, decoy, miniature::Miniature};

pub(super) const TABLE: Table = Table {
    layer: Layer::Restore,
    attacks: &[
        on_copy!(
            89,
            "seal a frame that is larger than its place allows",
            "the capture key",
            Promise::Always,
            claimed_size
        ),
        on_copy!(
            89,
            "seal a frame that unpacks 30,000-fold, and change its claim",
            "the capture key",
            Promise::Always,
            bomb
        ),
        on_copy!(87, "restore over a file that is there", "whoever restores", Promise::Always, over_file),
        on_copy!(
            86,
            "put a symbolic link where a file will be restored",
            "another user of the target",
            Promise::Always,
            symlink
        ),
        on_copy!(
            86,
            "store items whose keys lead out of any folder",
            "the capture key",
            Promise::Always,
            hostile_keys
        ),
        on_copy!(
            56,
            "restore while a pack is damaged",
            "write access to the store",
            Promise::Always,
            damaged
        ),
    ],
};

fn block_key(copy: &Miniature) -> Result<BlockKey, SiegeError> {
    BlockKey::new(copy.vault()?.manifest().vault, &[7; 32]).map_err(|e| SiegeError::Untried(e.to_string()))
}

fn claimed_size(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    let copy = ground.miniature()?;
    let key = block_key(&copy)?;
    // Sealed properly, then opened with a limit below what it holds: the claim is checked before room is made.
    let sealed = key
        .seal(Label::Frame, 0, &vec![0; BLOCK_BYTES_MAX], 3)
        .map_err(|e| SiegeError::Untried(e.to_string()))?;
    Ok(match key.open(Label::Frame, 0, sealed, 4096) {
        Err(error) => Outcome::held(format!("the claimed size is checked before room is made: {error}")),
        Ok(bytes) => Outcome::not_held("a frame unpacked beyond its limit", format!("{} bytes", bytes.len())),
    })
}

fn bomb(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    let copy = ground.miniature()?;
    let key = block_key(&copy)?;
    let sealed = key
        .seal(Label::Frame, 0, &vec![0; BLOCK_BYTES_MAX], 3)
        .map_err(|e| SiegeError::Untried(e.to_string()))?;
    let ratio = BLOCK_BYTES_MAX / sealed.len().max(1);
    // Opening takes one more allocation than the frame's own limit and no more; the limit is part of the format.
    match key.open(Label::Frame, 0, sealed.clone(), BLOCK_BYTES_MAX - 1) {
        Ok(_) => Ok(Outcome::not_held("a frame unpacked beyond its limit", format!("ratio {ratio}"))),
        Err(error) => {
            let mut changed = sealed;
            changed[3] ^= 1;
            let forged = key.open(Label::Frame, 0, changed, BLOCK_BYTES_MAX);
            Ok(match forged {
                Err(seal) => Outcome::held(format!(
                    "a frame that unpacks {ratio}-fold stops at its limit ({error}), and its claim is sealed ({seal})"
                )),
                Ok(_) => Outcome::not_held("the claim of a frame could be changed", format!("ratio {ratio}")),
            })
        }
    }
}

fn first_content(copy: &Miniature) -> Result<Content, SiegeError> {
    let (_, body) = copy.reader()?.commit(&copy.source, 1)?;
    let upsert = body.changes.into_iter().find_map(|change| match change {
        Change::Upsert { content, .. } => Some(content),
        _ => None,
    });
    upsert.ok_or_else(|| SiegeError::Untried("the decoy has no item".to_owned()))
}

/// Restores the decoy's first version to a path; returns what was said when it failed.
fn restore_to(copy: &Miniature, path: &std::path::Path) -> Result<Option<String>, SiegeError> {
    let sink = Box::new(FileSink::new(path, 0o600));
    let jobs = [RestoreJob { content: first_content(copy)?, sink }];
    let results = copy.reader()?.restore(&jobs, RestoreOptions { threads: 1 }, &|_| {});
    Ok(results.into_iter().find_map(Result::err).map(|error| vault::error_text(&error)))
}

fn target(ground: &Ground<'_>, name: &str) -> Result<PathBuf, SiegeError> {
    let folder = ground.scratch.join("restore");
    files::create_folder(&folder)?;
    Ok(folder.join(name))
}

fn over_file(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    let copy = ground.miniature()?;
    let path = target(ground, "precious")?;
    files::create_new(&path, b"precious", 0o600)?;
    let refused = restore_to(&copy, &path)?;
    let kept = files::read(&path)? == b"precious";
    Ok(match refused {
        Some(words) if kept => Outcome::held(format!("a restored file must be new: {words}")),
        _ => Outcome::not_held("a file was overwritten", path.display().to_string()),
    })
}

fn symlink(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    let copy = ground.miniature()?;
    let (victim, link) = (target(ground, "victim")?, target(ground, "link")?);
    files::create_new(&victim, b"victim", 0o600)?;
    std::os::unix::fs::symlink(&victim, &link).map_err(|e| files::FileError::new("link", &link, e))?;
    let dangling = target(ground, "dangling")?;
    let outside = ground.scratch.join("outside");
    std::os::unix::fs::symlink(&outside, &dangling)
        .map_err(|e| files::FileError::new("link", &dangling, e))?;
    let refused = [restore_to(&copy, &link)?, restore_to(&copy, &dangling)?];
    let kept = files::read(&victim)? == b"victim" && !outside.exists();
    Ok(match refused {
        [Some(words), Some(_)] if kept => Outcome::held(format!("a restored file must be new: {words}")),
        _ => Outcome::not_held("a link was followed", victim.display().to_string()),
    })
}

fn hostile_keys(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    let copy = ground.miniature()?;
    let keys = [
        "../../../../etc/cron.d/x",
        "/etc/passwd",
        "a/../../b",
        "nul\0",
        "line\nbreak",
        "\u{202e}gpj.exe",
        "C:\\x",
    ];
    let writer = copy.writer()?;
    let mut commit = writer.begin(&copy.source);
    for key in keys {
        let stored = commit.store_bytes(Layout::Small, b"hostile")?;
        commit.upsert(
            Item { stream: decoy::stream()?, key: key.to_owned(), attributes: "{}".to_owned() },
            stored,
        )?;
    }
    let receipt = commit.finish(&Cursor(Vec::new()))?;
    let (_, body) = copy.reader()?.commit(&copy.source, receipt.sequence)?;
    if body.changes.len() != keys.len() || !copy.verify(Depth::ReadData)?.is_sound() {
        return copy.seen(Depth::ReadData);
    }
    // Every file of a restore is named by its connector, which refuses such a path; here, what the vault itself does with
    // them is seen: they stay data, and nothing else of the vault is harmed.
    let back = body.changes.iter().filter_map(|change| match change {
        Change::Upsert { item, .. } => Some(item.key.as_str()),
        _ => None,
    });
    if !back.eq(keys) {
        return Ok(Outcome::not_held("a key came back changed", format!("{} items", body.changes.len())));
    }
    let control: Vec<&str> =
        ["a\0", "a\nb", "\u{1b}[2J", ""].into_iter().filter(|name| StreamName::new(*name).is_ok()).collect();
    if !control.is_empty() {
        return Ok(Outcome::not_held("a stream may have such a name", control.join(" ")));
    }
    copy.intact("keys stay data, byte for byte; a stream's name has no control characters")
}

fn damaged(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    let copy = ground.miniature()?;
    for pack in copy.store.list("data/")? {
        copy.change(&pack.name, |bytes| {
            let at = bytes.len() / 3;
            bytes[at] ^= 1;
        });
    }
    Ok(match restore_to(&copy, &target(ground, "damaged")?)? {
        Some(words) => Outcome::detected(format!("the restore: {words}")),
        None => Outcome::not_held("damaged bytes were restored as good ones", "the restore succeeded"),
    })
}
