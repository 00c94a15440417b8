use std::{
    fs::{self, File},
    io::{self, Write},
    os::fd::AsRawFd,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use blobs::{LocalStore, Protection};
use model::Moment;
use ports::{
    BlobName, BlobStore, Clock,
    files::{self, FileError},
};
use rustix::fs::{AtFlags, CWD, IFlags, Mode, OFlags, XattrFlags};
use vault::{
    Commit, Manifest, ObjectName, Vault, keys::KeyState, log::CommitError, manifest::ManifestError, object,
    pack::PackError, retention,
};

use crate::{
    attacks::{Attack, try_attacks},
    flags,
    floor::{ClockFloor, ReapGate, Refusal},
    folder,
    record::Record,
};

/// What a sealer guards.
#[derive(Debug, Clone)]
pub struct SealerOptions {
    /// The vault's folder; it belongs to the sealer.
    pub vault: PathBuf,
    /// Where the record of locks and the floor of time are; nobody else may write here.
    pub state: PathBuf,
    /// No lock reaches further than this many days.
    pub lock_days_max: u32,
}

/// Seals, lengthens and, when everything agrees, removes.
pub struct Sealer {
    root: PathBuf,
    record: Record,
    floor: ClockFloor,
    gate: Box<dyn ReapGate>,
    clock: Arc<dyn Clock>,
    lock_days_max: u32,
    manifest: Mutex<Option<Arc<Manifest>>>,
    turn: Mutex<()>,
    attacks: Vec<Attack>,
}

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum SealerError {
    /// The place does not hold what is promised.
    #[error("this folder is not immutable: {reason}")]
    NotImmutable {
        /// What is wrong.
        reason: String,
    },
    /// The folder or the state cannot be used.
    #[error("the sealer's folders cannot be used")]
    File(#[from] FileError),
    /// No vault has such a name.
    #[error("{name} is no name of a vault's object")]
    Name {
        /// The name.
        name: String,
    },
    /// The name is taken.
    #[error("{name} exists already")]
    Exists {
        /// The name.
        name: BlobName,
    },
    /// There is no such object.
    #[error("{name} does not exist")]
    Missing {
        /// The name.
        name: BlobName,
    },
    /// The vault has no manifest yet, so nothing can be checked against it.
    #[error("there is no vault yet")]
    NoVault,
    /// The manifest is none.
    #[error("the manifest is refused")]
    Manifest(#[from] ManifestError),
    /// The bytes are not the pack that the name promises.
    #[error("the pack is refused")]
    Pack(#[from] PackError),
    /// The bytes are not the commit that the name promises.
    #[error("the commit is refused")]
    Commit(#[from] CommitError),
    /// The vault's keys cannot be read.
    #[error("the vault's keys cannot be read")]
    Keys(#[from] vault::VaultError),
    /// It is no entry of the log of retention.
    #[error("it is no entry of the log of retention")]
    Entry(#[from] retention::RecordError),
    /// An object of this kind is never so large.
    #[error("an object of this kind has at most {limit} bytes")]
    Size {
        /// The limit.
        limit: u64,
    },
    /// The lock is longer than any that is granted.
    #[error("locks are granted up to {limit}")]
    Lock {
        /// The latest date.
        limit: Moment,
    },
    /// It is still locked, by the sealer's own record and its own idea of time.
    #[error("it is locked until {until}, and it is not known to be later than {now}")]
    Locked {
        /// Until when.
        until: Moment,
        /// What time it is at least.
        now: Moment,
    },
    /// The record knows nothing of it, so nobody knows its lock.
    #[error("there is no record of its lock")]
    Unrecorded,
    /// Something else does not agree.
    #[error("it is not removed")]
    Refusal(#[from] Refusal),
    /// The system's answer.
    #[error("the file system refuses")]
    System(#[from] io::Error),
}

/// The largest object but packs and commits.
const SMALL_BYTES_MAX: u64 = 2 << 20;
/// The largest pack or commit.
pub(crate) const OBJECT_BYTES_MAX: u64 = 64 << 20;
const FOLDER_MODE: Mode = Mode::from_raw_mode(0o600);
const OBJECT_MODE: Mode = Mode::from_raw_mode(0o444);
/// The attribute in which a local store looks for the first lock.
const LOCK_ATTRIBUTE: &str = "user.unwipe.locked_until";

impl Sealer {
    /// Arranges the vault's folder and tries the attacks on it; refuses to guard what does not hold.
    pub fn open(
        options: &SealerOptions,
        clock: Arc<dyn Clock>,
        gate: Box<dyn ReapGate>,
    ) -> Result<Self, SealerError> {
        let not_immutable = |reason: String| SealerError::NotImmutable { reason };
        files::create_folder(&options.vault)?;
        folder::check_file_system(&options.vault).map_err(|reason| not_immutable(reason.to_owned()))?;
        folder::arrange(&options.vault)?;
        let attacks = try_attacks(&options.vault)?;
        let broken: Vec<&str> = attacks.iter().filter(|a| !a.held).map(|a| a.what).collect();
        if !broken.is_empty() {
            return Err(not_immutable(format!("these attacks worked: {}", broken.join(", "))));
        }
        let record = Record::open(&options.state)?;
        let floor = ClockFloor::open(options.state.join("floor"), Arc::clone(&clock))?;
        Ok(Self {
            root: options.vault.clone(),
            record,
            floor,
            gate,
            clock,
            lock_days_max: options.lock_days_max,
            manifest: Mutex::new(None),
            turn: Mutex::new(()),
            attacks,
        })
    }

    /// Returns the attacks that were tried at start.
    pub fn attacks(&self) -> &[Attack] {
        &self.attacks
    }

    /// Keeps bytes under a name that they have by right. Returns until when they are locked.
    pub fn seal(&self, name: &BlobName, content: &[u8], until: Moment) -> Result<Moment, SealerError> {
        let object = parse(name)?;
        let path = self.path(name);
        if path.symlink_metadata().is_ok() {
            return Err(SealerError::Exists { name: name.clone() });
        }
        let lock_days = self.check(&object, content)?;
        self.check_lock(until)?;
        let until = until.max(retention::lock_until(self.clock.now(), lock_days));
        // First the record: an object without one could never be removed, but one without a lock could be too early.
        let until = self.record.note(name, until)?;
        if let ObjectName::Commit(..) = object
            && let Some(folder) = path.parent()
        {
            folder::ensure_growing(folder)?;
        }
        match write_new(&path, content, until) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                return Err(SealerError::Exists { name: name.clone() });
            }
            other => other?,
        }
        if object == ObjectName::Manifest {
            folder::close_top(&self.root)?;
        }
        Ok(until)
    }

    /// Lengthens a lock; an earlier date changes nothing. Returns the one in force.
    pub fn extend(&self, name: &BlobName, until: Moment) -> Result<Moment, SealerError> {
        parse(name)?;
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.check_lock(until)?;
        if !self.path(name).is_file() {
            return Err(SealerError::Missing { name: name.clone() });
        }
        Ok(self.record.note(name, until)?)
    }

    /// Tells a lock.
    pub fn lock(&self, name: &BlobName) -> Result<Option<Moment>, SealerError> {
        parse(name)?;
        if !self.path(name).is_file() {
            return Err(SealerError::Missing { name: name.clone() });
        }
        Ok(self.record.lock(name))
    }

    /// Removes an object whose lock has lapsed by the record, the floor of time, and the gate.
    pub fn reap(&self, name: &BlobName) -> Result<(), SealerError> {
        let object = parse(name)?;
        // Whoever extends a lock first wins; whoever comes later finds the object gone.
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.path(name);
        if !path.is_file() {
            return Err(SealerError::Missing { name: name.clone() });
        }
        // What a vault begins with opens everything else.
        if !matches!(object, ObjectName::Pack(_)) {
            return Err(Refusal { reason: "only packs are ever removed".to_owned() }.into());
        }
        let until = self.record.lock(name).ok_or(SealerError::Unrecorded)?;
        let now = self.floor.now();
        if until >= now {
            return Err(SealerError::Locked { until, now });
        }
        self.gate.may_reap(name, until)?;
        self.floor.save()?;
        let folder = path.parent().unwrap_or(&self.root);
        flags::clear(folder, IFlags::APPEND)?;
        let removed = flags::clear(&path, IFlags::IMMUTABLE).and_then(|()| fs::remove_file(&path));
        // Whatever happened: the folder is closed again before anything is said.
        flags::set(folder, IFlags::APPEND)?;
        if removed.is_err() && path.is_file() {
            flags::set(&path, IFlags::IMMUTABLE)?;
        }
        removed?;
        Ok(File::open(folder)?.sync_all()?)
    }

    /// Writes down what time it is at least. To be called now and then, so that a restart loses little.
    pub fn save_floor(&self) -> Result<(), FileError> {
        self.floor.save()
    }

    /// Derives anew that bytes are what their name says. Returns for how many days the vault locks.
    fn check(&self, object: &ObjectName, content: &[u8]) -> Result<u32, SealerError> {
        let length = content.len() as u64;
        let limit = match object {
            ObjectName::Pack(_) | ObjectName::Commit(..) | ObjectName::Retention(_) => OBJECT_BYTES_MAX,
            _ => SMALL_BYTES_MAX,
        };
        if length > limit {
            return Err(SealerError::Size { limit });
        }
        let manifest = match object {
            ObjectName::Manifest => return Ok(Manifest::parse(content)?.lock_days),
            // `init` writes the wrapped keys before the manifest.
            ObjectName::Keys => match self.manifest() {
                Err(SealerError::NoVault) => return Ok(0),
                other => other?,
            },
            _ => self.manifest()?,
        };
        match object {
            ObjectName::Pack(id) => object::check_pack(id, content, manifest.vault)?,
            ObjectName::Retention(number) => {
                retention::Record::parse(content, manifest.vault, *number)?;
            }
            ObjectName::Commit(source, sequence) => {
                let commit = Commit::parse(content, manifest.vault, &self.keys()?)?.envelope;
                if commit.source != *source || commit.sequence != *sequence {
                    let (source_name, sequence) = (commit.source, commit.sequence);
                    return Err(CommitError::Misplaced { source_name, sequence }.into());
                }
            }
            _ => {}
        }
        Ok(manifest.lock_days)
    }

    /// Reads whose signatures count, anew each time: the owner may have added or retired a signer.
    fn keys(&self) -> Result<KeyState, SealerError> {
        let store: Arc<dyn BlobStore> = Arc::new(LocalStore::open(&self.root, Protection::Plain)?);
        Ok(Vault::open(store)?.keys())
    }

    fn manifest(&self) -> Result<Arc<Manifest>, SealerError> {
        let mut known = self.manifest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(manifest) = &*known {
            return Ok(Arc::clone(manifest));
        }
        let bytes = match files::read(&self.root.join("vault.json")) {
            Err(error) if error.source.kind() == io::ErrorKind::NotFound => return Err(SealerError::NoVault),
            other => other?,
        };
        let manifest = Arc::new(Manifest::parse(&bytes)?);
        *known = Some(Arc::clone(&manifest));
        Ok(manifest)
    }

    fn check_lock(&self, until: Moment) -> Result<(), SealerError> {
        let limit = retention::retained_until(self.clock.now(), self.lock_days_max);
        if until > limit { Err(SealerError::Lock { limit }) } else { Ok(()) }
    }

    fn path(&self, name: &BlobName) -> PathBuf {
        self.root.join(name.as_str())
    }
}

fn parse(name: &BlobName) -> Result<ObjectName, SealerError> {
    ObjectName::parse(name).ok_or_else(|| SealerError::Name { name: name.to_string() })
}

/// Writes an unnamed file, gives it its name, and makes it immutable: in this order, so that no name ever shows half.
fn write_new(path: &Path, content: &[u8], until: Moment) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(folder, flags, FOLDER_MODE)?);
    (&file).write_all(content)?;
    let date = until.as_micros().to_string();
    rustix::fs::fsetxattr(&file, LOCK_ATTRIBUTE, date.as_bytes(), XattrFlags::empty())?;
    rustix::fs::fchmod(&file, OBJECT_MODE)?;
    file.sync_all()?;
    let descriptor = format!("/proc/self/fd/{}", file.as_raw_fd());
    rustix::fs::linkat(CWD, descriptor.as_str(), CWD, path, AtFlags::SYMLINK_FOLLOW)?;
    crate::flags::set(path, IFlags::IMMUTABLE)?;
    File::open(folder)?.sync_all()
}
