//! A copy of a production cluster that is kept near its head by replaying WAL.
//!
//! ```text
//! <dir>/lock
//! <dir>/generation-<n>/data        the data directory
//! <dir>/generation-<n>/control     log and configuration of the server that replayed
//! <dir>/generation-<n>/state.json  written last: a generation without it is unfinished and is removed
//! ```
//!
//! A roll-forward works on a clone, never on a finished generation. Killed at any time, it leaves those usable.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use ports::{
    Clock,
    files::{self, FileError},
};
use serde::{Deserialize, Serialize};

use crate::{
    Account, CloneError, CloneOptions, CloneReport, Installation, RecoveryError, Server, ServerError,
    WalSource,
    clone::sync_file_system,
    clone_directory,
    control_file::{ControlFileError, State},
    lsn,
    recovery::Progress,
    server::stop_leftover,
};

mod replay;
mod scratch;

pub use replay::Reached;
pub use scratch::{Scratch, ScratchRequest};

/// The version of `state.json`.
const STATE_FORMAT: u32 = 1;
/// The newest one, and one before it: a target just before the newest needs the older.
const GENERATIONS_KEPT: usize = 2;

/// What goes wrong with a shadow.
#[derive(Debug, thiserror::Error)]
pub enum ShadowError {
    /// Another process works on the shadow.
    #[error("another process works on the shadow in {}", dir.display())]
    Locked {
        /// The shadow's folder.
        dir: PathBuf,
    },
    /// The shadow has no base yet.
    #[error("the shadow in {} has no base yet", dir.display())]
    Empty {
        /// The shadow's folder.
        dir: PathBuf,
    },
    /// All generations lie after the target.
    #[error("the oldest generation of the shadow lies at {}, after {}", lsn::to_text(*oldest), lsn::to_text(*wanted))]
    TooNew {
        /// Where the oldest generation lies.
        oldest: u64,
        /// The address wanted.
        wanted: u64,
    },
    /// The base is of another cluster than the shadow.
    #[error("the base is of cluster {found}, the shadow of cluster {expected}")]
    OtherCluster {
        /// The shadow's system identifier.
        expected: u64,
        /// The base's system identifier.
        found: u64,
    },
    /// The server did not end in a state that can be started from.
    #[error("the server that replayed left the data in state {state:?}")]
    NotClean {
        /// The state found.
        state: State,
    },
    /// The state of a generation cannot be read.
    #[error("{} cannot be understood", path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// The state of a generation is of a newer program.
    #[error("{} has format {format}; this program reads {STATE_FORMAT}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// The format found.
        format: u32,
    },
    /// Replay failed.
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
    /// The server failed.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The clone failed.
    #[error(transparent)]
    Clone(#[from] CloneError),
    /// The control file cannot be used.
    #[error(transparent)]
    ControlFile(#[from] ControlFileError),
    /// A file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
}

impl ShadowError {
    /// Says what a person can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::TooNew { .. } => Some("restore a base from the vault and recover that".to_owned()),
            Self::Format { .. } => Some("use a newer version of this program".to_owned()),
            Self::Recovery(error) => error.hint(),
            Self::Server(error) => error.hint(),
            _ => None,
        }
    }
}

/// What is known of a finished generation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    format: u32,
    /// The number, ascending.
    pub number: u64,
    /// The cluster's identity.
    pub system_identifier: u64,
    /// The major version.
    pub major: u32,
    /// The timeline that was replayed.
    pub timeline: u32,
    /// Up to where WAL was replayed: the earliest target that can be reached from here.
    pub lsn: u64,
    /// From where WAL is needed to go on.
    pub redo: u64,
    /// When it was finished, as microseconds since 1970.
    pub created_at_micros: i64,
}

/// A roll-forward: from where the WAL comes and how far to go.
pub struct Roll<'a> {
    /// Where WAL files come from.
    pub wal: WalSource,
    /// Where to stop; at the end of the WAL if nothing is given.
    pub until: Option<u64>,
    /// How long it may take.
    pub timeout: Duration,
    /// Hears how far it has come.
    pub progress: &'a mut dyn FnMut(&Progress),
}

/// What a roll-forward did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RollReport {
    /// The newest generation now.
    pub generation: Generation,
    /// Why replay stopped.
    pub reached: Reached,
    /// How the clone went; nothing for a base that was restored in place.
    pub clone: Option<CloneReport>,
    /// How long replay and the clean stop took.
    pub replay: Duration,
}

/// A shadow: generations of one cluster's data, the newest near production's head.
pub struct Shadow {
    dir: PathBuf,
    installation: Installation,
    account: Account,
    clock: Arc<dyn Clock>,
    generations: Vec<Generation>,
    _lock: File,
}

impl std::fmt::Debug for Shadow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shadow")
            .field("dir", &self.dir)
            .field("generations", &self.generations)
            .finish_non_exhaustive()
    }
}

impl Shadow {
    /// Opens the shadow in a folder, or makes an empty one; what a killed run left unfinished is removed.
    pub fn open(
        dir: &Path,
        installation: Installation,
        account: Account,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ShadowError> {
        files::create_folder(dir)?;
        let lock = lock(dir)?;
        let mut generations = Vec::new();
        for number in numbers(dir)? {
            let folder = generation_dir(dir, number);
            if let Some(generation) = read_state(&folder)? {
                generations.push(generation);
            } else {
                stop_leftover(&folder.join("data"), clock.as_ref(), Duration::from_secs(30))?;
                files::remove_scratch(&folder)?;
            }
        }
        generations.sort_by_key(|generation: &Generation| generation.number);
        Ok(Self { dir: dir.to_owned(), installation, account, clock, generations, _lock: lock })
    }

    /// Returns the finished generations, oldest first.
    pub fn generations(&self) -> &[Generation] {
        &self.generations
    }

    /// Returns the data directory of a generation. It belongs to the shadow: read it, do not change it.
    pub fn data_dir(&self, generation: &Generation) -> PathBuf {
        generation_dir(&self.dir, generation.number).join("data")
    }

    /// Returns the newest generation.
    pub fn newest(&self) -> Option<&Generation> {
        self.generations.last()
    }

    /// Makes the folder of a new generation and returns its data directory, into which a base is to be restored.
    ///
    /// [`Self::finish_base`] then makes a generation of it.
    pub fn begin_base(&mut self) -> Result<PathBuf, ShadowError> {
        let number = self.next_number()?;
        let folder = generation_dir(&self.dir, number);
        files::create_scratch(&folder)?;
        let data = folder.join("data");
        files::create_folder(&data)?;
        Ok(data)
    }

    /// Replays WAL on a base restored into the folder that [`Self::begin_base`] returned.
    pub fn finish_base(&mut self, data_dir: &Path, roll: &mut Roll<'_>) -> Result<RollReport, ShadowError> {
        let number = self.next_number()?.saturating_sub(1);
        let expected = generation_dir(&self.dir, number).join("data");
        if expected != data_dir || self.generations.iter().any(|generation| generation.number == number) {
            return Err(ShadowError::Empty { dir: self.dir.clone() });
        }
        self.replay(number, None, roll)
    }

    /// Clones the newest generation and replays WAL on the clone, which becomes the newest generation.
    pub fn roll_forward(&mut self, roll: &mut Roll<'_>) -> Result<RollReport, ShadowError> {
        let newest = self.newest().ok_or_else(|| ShadowError::Empty { dir: self.dir.clone() })?.clone();
        if roll.until.is_some_and(|until| until <= newest.lsn) {
            return Ok(RollReport {
                generation: newest,
                reached: Reached::Already,
                clone: None,
                replay: Duration::ZERO,
            });
        }
        let number = self.next_number()?;
        let folder = generation_dir(&self.dir, number);
        files::create_scratch(&folder)?;
        let from = generation_dir(&self.dir, newest.number).join("data");
        let options = CloneOptions::default();
        let report = clone_directory(&from, &folder.join("data"), options, self.clock.as_ref(), &|_| {})?;
        self.replay(number, Some(report), roll)
    }

    fn replay(
        &mut self,
        number: u64,
        clone: Option<CloneReport>,
        roll: &mut Roll<'_>,
    ) -> Result<RollReport, ShadowError> {
        let folder = generation_dir(&self.dir, number);
        let server = self.server(&folder);
        let start = self.clock.elapsed();
        let reached = replay::replay(&server, roll, &self.clock)?;
        let replay = self.clock.elapsed().saturating_sub(start);
        let control = server.control()?;
        if control.state != State::ShutDownInRecovery || control.backup_start != 0 {
            return Err(ShadowError::NotClean { state: control.state });
        }
        if let Some(expected) = self.newest().map(|newest| newest.system_identifier)
            && expected != control.system_identifier
        {
            return Err(ShadowError::OtherCluster { expected, found: control.system_identifier });
        }
        let generation = Generation {
            format: STATE_FORMAT,
            number,
            system_identifier: control.system_identifier,
            major: self.installation.major,
            timeline: control.timeline.max(control.min_recovery_timeline),
            lsn: control.consistent_from(),
            redo: control.redo,
            created_at_micros: self.clock.now().as_micros(),
        };
        sync_file_system(&folder)?;
        write_state(&folder, &generation)?;
        self.generations.push(generation.clone());
        self.prune()?;
        Ok(RollReport { generation, reached, clone, replay })
    }

    fn prune(&mut self) -> Result<(), ShadowError> {
        while self.generations.len() > GENERATIONS_KEPT {
            let oldest = generation_dir(&self.dir, self.generations[0].number);
            // Without its state it counts as unfinished, should the removal be interrupted.
            let state = oldest.join("state.json");
            std::fs::remove_file(&state).map_err(|e| FileError::new("remove", &state, e))?;
            files::remove_scratch(&oldest)?;
            self.generations.remove(0);
        }
        Ok(())
    }

    fn server(&self, folder: &Path) -> Server {
        Server::new(
            self.installation.clone(),
            self.account.clone(),
            &folder.join("data"),
            &folder.join("control"),
        )
    }

    fn next_number(&self) -> Result<u64, ShadowError> {
        Ok(numbers(&self.dir)?.into_iter().max().unwrap_or(0) + 1)
    }
}

fn lock(dir: &Path) -> Result<File, ShadowError> {
    let path = dir.join("lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|e| FileError::new("open", &path, e))?;
    match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(ShadowError::Locked { dir: dir.to_owned() }),
        Err(error) => Err(FileError::new("lock", &path, io::Error::from(error)).into()),
    }
}

fn generation_dir(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("generation-{number}"))
}

/// Lists the numbers of all generations, finished or not.
fn numbers(dir: &Path) -> Result<Vec<u64>, FileError> {
    let entries = dir.read_dir().map_err(|e| FileError::new("list", dir, e))?;
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    Ok(names.filter_map(|name| name.strip_prefix("generation-")?.parse().ok()).collect())
}

fn read_state(folder: &Path) -> Result<Option<Generation>, ShadowError> {
    let path = folder.join("state.json");
    if !path.exists() {
        return Ok(None);
    }
    let bytes = files::read(&path)?;
    let generation: Generation =
        serde_json::from_slice(&bytes).map_err(|source| ShadowError::State { path: path.clone(), source })?;
    if generation.format == STATE_FORMAT {
        Ok(Some(generation))
    } else {
        Err(ShadowError::Format { path, format: generation.format })
    }
}

fn write_state(folder: &Path, generation: &Generation) -> Result<(), ShadowError> {
    let path = folder.join("state.json");
    let mut bytes = serde_json::to_vec_pretty(generation)
        .map_err(|source| ShadowError::State { path: path.clone(), source })?;
    bytes.push(b'\n');
    Ok(files::replace(&path, &bytes)?)
}
