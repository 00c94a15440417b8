//! How a process without privileges asks the sealer, the only one that may set immutable flags, to keep an object.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

use model::Moment;
use ports::{BlobError, BlobName, LapsedBlobs, LapsedProof};
use serde::{Deserialize, Serialize};

/// The longest request line; content follows it.
pub const LINE_BYTES_MAX: u64 = 4096;

/// What a sealer is asked, on one line of JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "kebab-case", deny_unknown_fields)]
pub enum SealerRequest {
    /// Keep the bytes that follow under this name, immutable, and locked at least until then.
    Seal {
        /// The object's name.
        name: String,
        /// How many bytes follow.
        length: u64,
        /// Microseconds since 1970.
        until: i64,
    },
    /// Lengthen a lock.
    Extend {
        /// The object's name.
        name: String,
        /// Microseconds since 1970.
        until: i64,
    },
    /// Tell a lock, as the sealer itself has recorded it.
    Lock {
        /// The object's name.
        name: String,
    },
    /// Remove an object whose lock has lapsed by the sealer's own record and clock.
    Reap {
        /// The object's name.
        name: String,
    },
}

/// What a sealer answers, on one line of JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case", deny_unknown_fields)]
pub enum SealerAnswer {
    /// Done; the lock that is in force, where there is one.
    Done {
        /// Microseconds since 1970.
        until: Option<i64>,
    },
    /// The name is taken.
    Exists,
    /// There is no such object.
    Missing,
    /// The disk is full.
    Full,
    /// It is not done, and will not be.
    Refused {
        /// Why.
        reason: String,
    },
    /// It failed.
    Failed {
        /// Why.
        reason: String,
    },
}

/// Asks the sealer that listens on a socket.
#[derive(Debug, Clone)]
pub struct SealerClient {
    socket: PathBuf,
}

/// Removes lapsed objects of a sealed folder, by asking the sealer: it believes no proof, and looks itself.
#[derive(Debug, Clone)]
pub struct SealerReaper(SealerClient);

impl SealerReaper {
    /// Prepares to ask the sealer that listens on a socket.
    pub fn new(socket: &Path) -> Self {
        Self(SealerClient::new(socket))
    }
}

impl<Proof: LapsedProof> LapsedBlobs<Proof> for SealerReaper {
    fn reap(&self, proof: Proof) -> Result<(), BlobError> {
        self.0.reap(proof.name())
    }
}

/// Hashing and syncing 64 MiB takes a while on a slow disk.
const ANSWER_TIMEOUT: Duration = Duration::from_mins(2);

impl SealerClient {
    /// Prepares to ask; nothing is sent yet.
    pub fn new(socket: &Path) -> Self {
        Self { socket: socket.to_owned() }
    }

    /// Has an object kept.
    pub fn seal(&self, name: &BlobName, content: &[u8], until: Moment) -> Result<(), BlobError> {
        let length = content.len() as u64;
        let request = SealerRequest::Seal { name: name.to_string(), length, until: until.as_micros() };
        self.ask("create", name, &request, content).map(|_| ())
    }

    /// Lengthens a lock; an earlier date changes nothing.
    pub fn extend(&self, name: &BlobName, until: Moment) -> Result<(), BlobError> {
        let request = SealerRequest::Extend { name: name.to_string(), until: until.as_micros() };
        self.ask("extend lock", name, &request, &[]).map(|_| ())
    }

    /// Asks for the lock as the sealer has recorded it.
    pub fn lock(&self, name: &BlobName) -> Result<Option<Moment>, BlobError> {
        self.ask("head", name, &SealerRequest::Lock { name: name.to_string() }, &[])
    }

    /// Has an object removed, if the sealer finds its lock lapsed.
    pub fn reap(&self, name: &BlobName) -> Result<(), BlobError> {
        self.ask("reap", name, &SealerRequest::Reap { name: name.to_string() }, &[]).map(|_| ())
    }

    fn ask(
        &self,
        operation: &'static str,
        name: &BlobName,
        request: &SealerRequest,
        content: &[u8],
    ) -> Result<Option<Moment>, BlobError> {
        let unavailable = |source| BlobError::Unavailable { operation, name: name.to_string(), source };
        let answer = self.exchange(request, content).map_err(unavailable)?;
        let name = name.clone();
        match answer {
            SealerAnswer::Done { until } => Ok(until.map(Moment::from_micros)),
            SealerAnswer::Exists => Err(BlobError::Exists { name }),
            SealerAnswer::Missing => Err(BlobError::Missing { name }),
            SealerAnswer::Full => Err(BlobError::Full { name, source: io::ErrorKind::StorageFull.into() }),
            SealerAnswer::Refused { reason } => {
                let source = io::Error::new(io::ErrorKind::PermissionDenied, reason);
                Err(BlobError::Refused { name, source })
            }
            SealerAnswer::Failed { reason } => Err(unavailable(io::Error::other(reason))),
        }
    }

    fn exchange(&self, request: &SealerRequest, content: &[u8]) -> io::Result<SealerAnswer> {
        let mut stream = UnixStream::connect(&self.socket)?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        stream.set_write_timeout(Some(ANSWER_TIMEOUT))?;
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        // A refusal may come before the content is read: then the answer says more than the broken pipe.
        let sent = stream.write_all(&line).and_then(|()| stream.write_all(content));
        let mut answer = String::new();
        BufReader::new(&stream).take(LINE_BYTES_MAX).read_line(&mut answer)?;
        if answer.is_empty() {
            sent?;
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(serde_json::from_str(&answer)?)
    }
}
