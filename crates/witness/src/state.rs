use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
};

use model::Moment;
use ports::{
    Clock, Random,
    files::{self, FileError},
};
use serde::{Deserialize, Serialize};
use vault::{
    TreeHash,
    tree::{AddCheckpoint, Algorithm, VerifierKey, empty_root},
};

use crate::{KeyError, WitnessKey};

/// A witness: its key, and for each log the largest tree that it cosigned.
pub struct Witness {
    folder: PathBuf,
    key: WitnessKey,
    state: State,
    clock: Arc<dyn Clock>,
    /// Two processes with one memory would cosign two histories.
    _alone: File,
}

/// What a witness remembers of one log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogState {
    /// The keys whose signature on a checkpoint counts.
    pub keys: Vec<String>,
    /// The size of the largest tree that was cosigned.
    pub size: u64,
    /// Its root.
    pub root: TreeHash,
    /// Its checkpoint.
    pub checkpoint: Option<String>,
    /// When a larger tree was cosigned last, by the witness's clock.
    pub grown_at: Option<Moment>,
    /// When a checkpoint was cosigned last, also the same again.
    pub seen_at: Option<Moment>,
    /// The newest checkpoint that the log's own key signed and that does not continue the history: evidence.
    pub fork: Option<Fork>,
}

/// A checkpoint that shows that a history was forked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fork {
    /// When it was refused.
    pub at: Moment,
    /// What was asked, proof included.
    pub request: String,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    format: String,
    version: u16,
    key: String,
    logs: BTreeMap<String, LogState>,
}

/// Why a witness cannot work.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    /// There is a witness already.
    #[error("there is a witness in {} already", folder.display())]
    Exists {
        /// Its folder.
        folder: PathBuf,
    },
    /// There is none.
    #[error("there is no witness in {}", folder.display())]
    Missing {
        /// The folder.
        folder: PathBuf,
    },
    /// The key is there, but what was cosigned with it is not known any more.
    #[error("the witness in {} has lost its memory: its key must not sign again", folder.display())]
    LostState {
        /// Its folder.
        folder: PathBuf,
    },
    /// Another process uses it.
    #[error("another process works with the witness in {}", folder.display())]
    Busy {
        /// Its folder.
        folder: PathBuf,
    },
    /// The text names no log.
    #[error("a log is named by its Ed25519 key, not by a witness's")]
    NoLogKey,
    /// The log is known already, and under another key.
    #[error("the log {origin} is known already")]
    Known {
        /// Its origin.
        origin: String,
    },
    /// The key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Why a checkpoint is not cosigned.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The request cannot be read, or states an old size beyond the new one.
    #[error("the request is malformed: {reason}")]
    Malformed {
        /// What is wrong.
        reason: String,
    },
    /// The log is not one of those that the witness was told to watch.
    #[error("the log {origin} is not known here")]
    UnknownOrigin {
        /// Its origin.
        origin: String,
    },
    /// No key of the log signed the checkpoint.
    #[error("no key of the log signed the checkpoint")]
    Unsigned,
    /// The proof begins elsewhere than where the witness is.
    #[error("the newest checkpoint cosigned here covers {size} commits")]
    OldSize {
        /// Where the witness is.
        size: u64,
    },
    /// The log's own key signed another history than the one that was cosigned.
    #[error("the checkpoint does not continue the history that was cosigned here: the log was forked")]
    Fork {
        /// Whether it covers just as many commits: two roots for one size.
        same_size: bool,
    },
    /// The memory cannot be written: then nothing is signed.
    #[error("the witness cannot remember, so it does not sign")]
    State(#[source] FileError),
}

const KEY_FILE: &str = "witness.key";
const STATE_FILE: &str = "witness.json";
const LOCK_FILE: &str = "witness.lock";
const FORMAT: &str = "unwipe-witness";

impl WitnessError {
    /// Returns what a person can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Missing { .. } => Some("unwipe witness init --name NAME".to_owned()),
            Self::Exists { .. } => Some("--new retires its key and begins with a new one".to_owned()),
            Self::LostState { .. } => Some(
                "retire the key everywhere it is trusted, then: unwipe witness init --name NAME --new"
                    .to_owned(),
            ),
            Self::NoLogKey => Some("unwipe head key prints the key of a vault".to_owned()),
            _ => None,
        }
    }
}

impl Witness {
    /// Makes a witness. With `anew`, the key that is there is retired: it is removed and never signs again.
    pub fn init(
        folder: &Path,
        name: &str,
        anew: bool,
        clock: Arc<dyn Clock>,
        random: &dyn Random,
    ) -> Result<Self, WitnessError> {
        files::create_folder(folder)?;
        let alone = claim(folder)?;
        let (key_file, state_file) = (folder.join(KEY_FILE), folder.join(STATE_FILE));
        if key_file.exists() || state_file.exists() {
            if !anew {
                return Err(WitnessError::Exists { folder: folder.to_owned() });
            }
            for path in [&key_file, &state_file] {
                match std::fs::remove_file(path) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                        return Err(FileError::new("retire", path, error).into());
                    }
                    _ => {}
                }
            }
            files::sync_folder(folder)?;
        }
        let key = WitnessKey::create(&key_file, name, random)?;
        let state = State {
            format: FORMAT.to_owned(),
            version: 1,
            key: key.public().to_string(),
            logs: BTreeMap::new(),
        };
        let witness = Self { folder: folder.to_owned(), key, state, clock, _alone: alone };
        witness.write(&witness.state)?;
        Ok(witness)
    }

    /// Opens a witness for signing; one that lost its memory is refused, because it would sign any history.
    pub fn open(folder: &Path, clock: Arc<dyn Clock>) -> Result<Self, WitnessError> {
        let key_file = folder.join(KEY_FILE);
        if !key_file.exists() {
            return Err(WitnessError::Missing { folder: folder.to_owned() });
        }
        let alone = claim(folder)?;
        let key = WitnessKey::read(&key_file)?;
        let lost = || WitnessError::LostState { folder: folder.to_owned() };
        let state = read(folder)?.filter(|state| state.key == key.public().to_string()).ok_or_else(lost)?;
        Ok(Self { folder: folder.to_owned(), key, state, clock, _alone: alone })
    }

    /// Returns what a witness remembers, by origin; also while another process works with it.
    pub fn logs(folder: &Path) -> Result<BTreeMap<String, LogState>, WitnessError> {
        if !folder.join(KEY_FILE).exists() {
            return Err(WitnessError::Missing { folder: folder.to_owned() });
        }
        let lost = || WitnessError::LostState { folder: folder.to_owned() };
        Ok(read(folder)?.ok_or_else(lost)?.logs)
    }

    /// Returns the public key.
    pub const fn key(&self) -> &VerifierKey {
        self.key.public()
    }

    /// Begins to watch a log, which is named by its key. The first checkpoint that it shows is believed.
    pub fn watch(&mut self, log: &VerifierKey) -> Result<(), WitnessError> {
        if log.algorithm() != Algorithm::Ed25519 {
            return Err(WitnessError::NoLogKey);
        }
        let mut state = self.state.clone();
        match state.logs.get(log.name()) {
            Some(known) if known.keys.contains(&log.to_string()) => return Ok(()),
            Some(_) => return Err(WitnessError::Known { origin: log.name().to_owned() }),
            None => {}
        }
        let fresh = LogState {
            keys: vec![log.to_string()],
            size: 0,
            root: empty_root(),
            checkpoint: None,
            grown_at: None,
            seen_at: None,
            fork: None,
        };
        state.logs.insert(log.name().to_owned(), fresh);
        self.write(&state)?;
        self.state = state;
        Ok(())
    }

    /// Cosigns a checkpoint if it continues what was cosigned before, and remembers it first. Returns the signature
    /// line.
    pub fn add_checkpoint(&mut self, text: &str) -> Result<String, Refusal> {
        let malformed = |reason: String| Refusal::Malformed { reason };
        let request = AddCheckpoint::parse(text).map_err(|error| malformed(error.to_string()))?;
        let checkpoint = &request.signed.checkpoint;
        let origin = &checkpoint.origin;
        let Some(log) = self.state.logs.get(origin) else {
            return Err(Refusal::UnknownOrigin { origin: origin.clone() });
        };
        let mut keys = log.keys.iter().filter_map(|key| key.parse::<VerifierKey>().ok());
        if !keys.any(|key| request.signed.note.is_signed_by(&key)) {
            return Err(Refusal::Unsigned);
        }
        if request.old_size > checkpoint.size {
            return Err(malformed("the old size is larger than the new one".to_owned()));
        }
        if request.old_size != log.size {
            return Err(Refusal::OldSize { size: log.size });
        }
        let now = self.clock.now();
        let mut log = log.clone();
        let continues = request.continues(&log.root);
        if continues {
            if checkpoint.size > log.size || log.grown_at.is_none() {
                log.grown_at = Some(now);
            }
            log.size = checkpoint.size;
            log.root = checkpoint.root;
            log.checkpoint = Some(request.signed.note.to_string());
            log.seen_at = Some(now);
        } else {
            log.fork = Some(Fork { at: now, request: text.to_owned() });
        }
        let mut state = self.state.clone();
        state.logs.insert(origin.clone(), log);
        self.write(&state).map_err(Refusal::State)?;
        self.state = state;
        if !continues {
            return Err(Refusal::Fork { same_size: request.old_size == request.signed.checkpoint.size });
        }
        let seconds = u64::try_from(now.as_micros() / 1_000_000).unwrap_or(0);
        Ok(format!("{}\n", self.key.cosign(request.signed.note.text(), seconds)))
    }

    fn write(&self, state: &State) -> Result<(), FileError> {
        let path = self.folder.join(STATE_FILE);
        let text = serde_json::to_vec_pretty(state)
            .map_err(|error| FileError::new("encode", &path, std::io::Error::other(error)))?;
        files::replace(&path, &text)
    }
}

/// Reads the memory; `None` when there is none that can be read.
fn read(folder: &Path) -> Result<Option<State>, WitnessError> {
    let path = folder.join(STATE_FILE);
    if !path.exists() {
        return Ok(None);
    }
    let state = serde_json::from_slice::<State>(&files::read(&path)?).ok();
    Ok(state.filter(|state| state.format == FORMAT && state.version == 1))
}

fn claim(folder: &Path) -> Result<File, WitnessError> {
    files::claim(&folder.join(LOCK_FILE))?.ok_or_else(|| WitnessError::Busy { folder: folder.to_owned() })
}
