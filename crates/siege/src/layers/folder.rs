//! Files, folders and flags: by child processes of several users, on the decoy's objects in the vault itself.

use std::{
    cell::RefCell,
    fs::{File, OpenOptions},
    os::unix::fs::MetadataExt,
    path::PathBuf,
};

use blobs::{LocalStore, Protection};
use connect::Progress;
use ports::{BlobStore, files};
use rustix::fs::{IFlags, XattrFlags};
use tenants::agent::attack::{self, Attacker, attack_targets};

use super::Table;
use crate::{Attack, Attempt, Ground, Layer, Outcome, Promise, Scene, SiegeError};

/// A user who owns nothing.
const NOBODY: u32 = 65_534;
const LOCK_ATTRIBUTE: &str = "user.unwipe.locked_until";

pub(super) const TABLE: Table = Table {
    layer: Layer::Folder,
    attacks: &[
        Attack {
            number: 5,
            what: "write an earlier lock date over the one of an object",
            credential: "this process's user",
            on: Scene::Decoy,
            promise: Promise::FromTier(1),
            run: shorten_attribute,
        },
        Attack {
            number: 5,
            what: "put a lock record with an earlier date beside an object",
            credential: "this process's user",
            on: Scene::Decoy,
            promise: Promise::Always,
            run: shorter_record,
        },
        Attack {
            number: 31,
            what: "open the disk that the vault lies on for writing, past the file system",
            credential: "this process's user",
            on: Scene::Host,
            promise: Promise::Never,
            run: block_device,
        },
        Attack {
            number: 40,
            what: "keep the vault on a file system that forgets",
            credential: "whoever set it up",
            on: Scene::Host,
            promise: Promise::Never,
            run: volatile,
        },
    ],
};

/// Attacks the decoy's objects and log, then whole folders of a copy, as each user that this process can become.
pub(super) fn with_files(
    ground: &Ground<'_>,
    progress: &dyn Progress,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<Vec<Attempt>, SiegeError> {
    let Some(folder) = &ground.folder else { return Ok(Vec::new()) };
    let newest = folder.join(ground.decoy.commit_name(ground.decoy.last)?.as_str());
    let pack = ground.decoy.objects.keys().find(|name| name.as_str().starts_with("data/"));
    let objects: Vec<PathBuf> =
        pack.map(|name| folder.join(name.as_str())).into_iter().chain([newest]).collect();
    let log = folder.join("log").join(ground.decoy.source.as_str());
    let flagged = objects.iter().all(|object| is_immutable(object));

    let copy = ground.scratch.join("vault");
    let store = LocalStore::open(&copy, Protection::Plain)?;
    let lock = vault::retention::lock_until(ground.request.installation.ports().clock.now(), 1);
    for (name, bytes) in &ground.decoy.objects {
        store.create(name, bytes, lock)?;
    }
    let folders: Vec<PathBuf> =
        ["data", "log"].iter().map(|name| copy.join(name)).chain([copy.clone()]).collect();

    let mut attempts = Vec::new();
    for attacker in attackers() {
        let one = std::slice::from_ref(&attacker);
        let failure = RefCell::new(None);
        let mut go_on = |attack: &attack::Attack| {
            progress.advance(1);
            let attempt = translate(ground, &attacker, attack, Scene::Decoy, flagged);
            *failure.borrow_mut() = ground.check(&attempt).err();
            failure.borrow().is_none() && !stop()
        };
        let tried = attack_targets(folder, &objects, std::slice::from_ref(&log), one, &mut go_on)?;
        if let Some(harm) = failure.into_inner() {
            return Err(harm);
        }
        attempts.extend(tried.iter().map(|a| translate(ground, &attacker, a, Scene::Decoy, flagged)));
        if stop() {
            break;
        }
        let tried = attack_targets(&copy, &[], &folders, one, &mut |_| true)?;
        attempts.extend(tried.iter().map(|a| translate(ground, &attacker, a, Scene::Copy, false)));
    }
    Ok(attempts)
}

fn attackers() -> Vec<Attacker> {
    let mut attackers = vec![Attacker::Myself];
    if rustix::process::geteuid().is_root() {
        attackers.push(Attacker::WithoutFlagCapability);
        attackers.push(Attacker::User { name: "another user".to_owned(), uid: NOBODY, gid: NOBODY });
    }
    attackers
}

fn translate(
    ground: &Ground<'_>,
    attacker: &Attacker,
    attack: &attack::Attack,
    on: Scene,
    flagged: bool,
) -> Attempt {
    let on_folder = attack.name.contains("the folder");
    let promised = match attacker {
        Attacker::User { .. } => true,
        // Flags on files do not hold a folder's name; that takes a mount of its own and flags on folders.
        _ if on_folder || on == Scene::Copy => false,
        Attacker::WithoutFlagCapability => flagged,
        Attacker::Myself => ground.standing.tier >= 1,
    };
    let outcome = match &attack.outcome {
        attack::Outcome::Held { by } => Outcome::held(by),
        attack::Outcome::Added { what } => {
            Outcome::detected(format!("{what} can be added; unwipe verify names it, and readers refuse it"))
        }
        attack::Outcome::Succeeded { lost } => {
            let why = match (ground.standing.tier, on_folder) {
                (_, true) => {
                    "nothing holds a folder's name here: it takes a mount of its own, and flags on folders"
                }
                (0, false) => "the vault's place has tier 0: this user may do everything to its files",
                (_, false) => "the place does not hold it",
            };
            Outcome::not_held(why, format!("lost for a moment: {lost}"))
        }
        attack::Outcome::NotTried { why } => Outcome::not_possible(why),
    };
    Attempt {
        number: number(&attack.name, attacker),
        layer: Layer::Folder,
        what: plain_words(&attack.name, on),
        credential: attack.attacker.clone(),
        on,
        promised,
        outcome,
    }
}

/// Says what kind of thing was attacked, in place of its long name.
fn plain_words(name: &str, on: Scene) -> String {
    let (what, target) = name.split_once(": ").unwrap_or((name, ""));
    let target = match target {
        _ if target.starts_with("data/") => "a pack",
        _ if what.contains("forged commit") => "the decoy's log",
        _ if target.starts_with("log/") && what.contains("the folder") => "the decoy's log",
        _ if target.starts_with("log/") => "a commit",
        "" if on == Scene::Copy => "the vault",
        other => other,
    };
    format!("{what}: {target}")
}

fn number(name: &str, attacker: &Attacker) -> u16 {
    match name {
        _ if matches!(attacker, Attacker::User { .. }) => 27,
        _ if name.starts_with("clear the flag") => 29,
        _ if name.contains("the folder") => 30,
        _ if name.contains("symbolic link") || name.contains("hard link") || name.starts_with("replace") => {
            34
        }
        _ if name.contains("forged commit") => 56,
        _ => 28,
    }
}

fn is_immutable(path: &std::path::Path) -> bool {
    let flags = || rustix::fs::ioctl_getflags(File::open(path).ok()?).ok();
    flags().is_some_and(|flags| flags.contains(IFlags::IMMUTABLE))
}

fn newest(ground: &Ground<'_>) -> Result<Option<PathBuf>, SiegeError> {
    let name = ground.decoy.commit_name(ground.decoy.last)?;
    Ok(ground.folder.as_ref().map(|folder| folder.join(name.as_str())))
}

const NO_FOLDER: &str = "the vault does not lie in a folder of this machine";

fn shorten_attribute(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    let Some(path) = newest(ground)? else { return Ok(Outcome::not_possible(NO_FOLDER)) };
    let name = ground.decoy.commit_name(ground.decoy.last)?;
    let before = ground.store.head(&name)?.locked_until;
    let written = rustix::fs::setxattr(&path, LOCK_ATTRIBUTE, b"1", XattrFlags::empty());
    let after = ground.store.head(&name)?.locked_until;
    Ok(match (written, after < before) {
        (Err(error), _) => Outcome::held(format!("the file system ({error})")),
        (Ok(()), false) => Outcome::held("the later of the two dates counts"),
        (Ok(()), true) => Outcome::not_held(
            "in a folder the date is a note; what holds the object there is the flag, if it has one",
            "the object showed an earlier date until it was set again",
        ),
    })
}

fn shorter_record(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    let Some(path) = newest(ground)? else { return Ok(Outcome::not_possible(NO_FOLDER)) };
    let name = ground.decoy.commit_name(ground.decoy.last)?;
    let file = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let record = path.with_file_name(format!(".{file}.lock"));
    if record.exists() {
        return Ok(Outcome::not_possible("the object has such a record of its own"));
    }
    let before = ground.store.head(&name)?.locked_until;
    if let Err(error) = files::create_new(&record, b"1", 0o600) {
        return Ok(Outcome::held(error.source.to_string()));
    }
    let after = ground.store.head(&name)?.locked_until;
    std::fs::remove_file(&record).map_err(|e| files::FileError::new("remove", &record, e))?;
    Ok(if after < before {
        Outcome::not_held("the record was believed", "the object showed an earlier date")
    } else {
        Outcome::held("the later of the two dates counts")
    })
}

/// Opens the block device and writes nothing.
fn block_device(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    let Some(folder) = &ground.folder else { return Ok(Outcome::not_possible(NO_FOLDER)) };
    let device = std::fs::metadata(folder).map_err(|e| files::FileError::new("inspect", folder, e))?.dev();
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let uevent = PathBuf::from(format!("/sys/dev/block/{major}:{minor}/uevent"));
    let Ok(text) = files::read_text(&uevent) else {
        return Ok(Outcome::not_possible("the file system lies on no block device that is shown here"));
    };
    let name = text.lines().find_map(|line| line.strip_prefix("DEVNAME=")).unwrap_or_default();
    let node = PathBuf::from("/dev").join(name);
    Ok(match OpenOptions::new().write(true).open(&node) {
        Err(error) => Outcome::held(format!("{}: {error}", node.display())),
        Ok(_) => Outcome::not_held(
            "whoever may write the disk itself passes every flag; only a vault on another host or offline is out of reach",
            format!("{} opened for writing; nothing was written", node.display()),
        ),
    })
}

fn volatile(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    let Some(folder) = &ground.folder else { return Ok(Outcome::not_possible(NO_FOLDER)) };
    let mounts = files::read_text(std::path::Path::new("/proc/self/mounts"))?;
    let folder = std::path::absolute(folder).map_err(|e| files::FileError::new("find", folder, e))?;
    let kind = mounts
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ').skip(1);
            Some((words.next()?, words.next()?))
        })
        .filter(|(at, _)| folder.starts_with(at))
        .max_by_key(|(at, _)| at.len())
        .map_or("an unknown file system", |(_, kind)| kind);
    Ok(match kind {
        "tmpfs" | "ramfs" | "overlay" | "fuse" => Outcome::not_held(
            "what lies there is gone after a restart, or is somebody else's to change",
            kind,
        ),
        _ => Outcome::held(kind.to_owned()),
    })
}
