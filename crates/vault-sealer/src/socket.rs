//! Who may ask the sealer: processes of chosen users of this machine, over a socket that has no other end.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::{
        fs::PermissionsExt,
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use blobs::sealer::{LINE_BYTES_MAX, SealerAnswer, SealerRequest};
use model::Moment;
use ports::{BlobName, Clock, files};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    net::sockopt::socket_peercred,
};

use crate::{Sealer, SealerError, sealer::OBJECT_BYTES_MAX};

/// The sealer's socket.
pub struct SealerSocket {
    listener: UnixListener,
    path: PathBuf,
    allowed: Vec<u32>,
}

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Another sealer listens there.
    #[error("another process listens on {}", path.display())]
    Taken {
        /// The socket.
        path: PathBuf,
    },
    /// It cannot be made.
    #[error("the socket {} cannot be made", path.display())]
    Make {
        /// The socket.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// It cannot be listened on any more.
    #[error("the socket failed")]
    Accept(#[source] io::Error),
}

const PATIENCE: Duration = Duration::from_secs(30);
/// How long a stopped sealer goes on waiting at most.
const STOP_CHECK: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };
/// How many requests are carried out at once; each is in memory as a whole.
const REQUESTS_MAX: usize = 8;
/// The socket's folder decides who reaches it; the user ids decide who is answered.
const SOCKET_MODE: u32 = 0o666;
/// How often the floor of time is written down.
const SAVE_INTERVAL: Duration = Duration::from_mins(1);

impl SealerSocket {
    /// Makes the socket; what a sealer that was killed left there is replaced.
    pub fn bind(path: &Path, allowed: Vec<u32>) -> Result<Self, SocketError> {
        let failed = |source| SocketError::Make { path: path.to_owned(), source };
        if path.exists() {
            if UnixStream::connect(path).is_ok() {
                return Err(SocketError::Taken { path: path.to_owned() });
            }
            std::fs::remove_file(path).map_err(failed)?;
        }
        let listener = UnixListener::bind(path).map_err(failed)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(SOCKET_MODE)).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        Ok(Self { listener, path: path.to_owned(), allowed })
    }

    /// Answers until asked to stop.
    pub fn serve(&self, sealer: &Sealer, clock: &dyn Clock, stop: &AtomicBool) -> Result<(), SocketError> {
        let running = Arc::new(AtomicUsize::new(0));
        let mut saved = clock.elapsed();
        std::thread::scope(|scope| {
            while !stop.load(Ordering::SeqCst) {
                if clock.elapsed().saturating_sub(saved) >= SAVE_INTERVAL {
                    saved = clock.elapsed();
                    // The floor that was written before stays good: it is a floor.
                    drop(sealer.save_floor());
                }
                if !self.is_asked()? {
                    continue;
                }
                match self.listener.accept() {
                    Ok((stream, _)) if running.load(Ordering::SeqCst) < REQUESTS_MAX => {
                        let running = Arc::clone(&running);
                        running.fetch_add(1, Ordering::SeqCst);
                        scope.spawn(move || {
                            // A client that breaks off harms itself alone.
                            drop(self.converse(&stream, sealer));
                            running.fetch_sub(1, Ordering::SeqCst);
                        });
                    }
                    Ok((stream, _)) => {
                        drop(answer(
                            &stream,
                            &SealerAnswer::Failed { reason: "too many requests".to_owned() },
                        ));
                    }
                    // Whoever knocked is gone again.
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => return Err(SocketError::Accept(error)),
                }
            }
            Ok(())
        })
    }

    /// Waits until somebody knocks, or a while.
    fn is_asked(&self) -> Result<bool, SocketError> {
        let mut listener = [PollFd::new(&self.listener, PollFlags::IN)];
        match poll(&mut listener, Some(&STOP_CHECK)) {
            Ok(count) => Ok(count > 0),
            Err(Errno::INTR) => Ok(false),
            Err(error) => Err(SocketError::Accept(error.into())),
        }
    }

    fn converse(&self, stream: &UnixStream, sealer: &Sealer) -> io::Result<()> {
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let peer = socket_peercred(stream)?.uid.as_raw();
        if !self.allowed.contains(&peer) {
            let reason = format!("user {peer} is not on the sealer's list");
            return answer(stream, &SealerAnswer::Refused { reason });
        }
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        reader.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
        let request: SealerRequest = match serde_json::from_slice(&line) {
            Ok(request) => request,
            Err(error) => return answer(stream, &SealerAnswer::Refused { reason: error.to_string() }),
        };
        answer(stream, &carry_out(sealer, request, &mut reader))
    }
}

impl Drop for SealerSocket {
    fn drop(&mut self) {
        // What is left behind is replaced at the next start.
        drop(std::fs::remove_file(&self.path));
    }
}

fn carry_out(sealer: &Sealer, request: SealerRequest, content: &mut dyn Read) -> SealerAnswer {
    let outcome = match request {
        SealerRequest::Seal { name, length, until } => read(content, length)
            .and_then(|bytes| sealer.seal(&parse(name)?, &bytes, Moment::from_micros(until)).map(Some)),
        SealerRequest::Extend { name, until } => {
            parse(name).and_then(|name| sealer.extend(&name, Moment::from_micros(until)).map(Some))
        }
        SealerRequest::Lock { name } => parse(name).and_then(|name| sealer.lock(&name)),
        SealerRequest::Reap { name } => parse(name).and_then(|name| sealer.reap(&name).map(|()| None)),
    };
    match outcome {
        Ok(until) => SealerAnswer::Done { until: until.map(Moment::as_micros) },
        Err(error) => describe(&error),
    }
}

fn parse(name: String) -> Result<BlobName, SealerError> {
    BlobName::new(name.clone()).map_err(|_| SealerError::Name { name })
}

fn read(content: &mut dyn Read, length: u64) -> Result<Vec<u8>, SealerError> {
    if length > OBJECT_BYTES_MAX {
        return Err(SealerError::Size { limit: OBJECT_BYTES_MAX });
    }
    let mut bytes = Vec::new();
    content.take(length).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == length {
        Ok(bytes)
    } else {
        Err(io::Error::from(io::ErrorKind::UnexpectedEof).into())
    }
}

fn describe(error: &SealerError) -> SealerAnswer {
    let mut reason = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        reason.push_str(&format!(": {inner}"));
        source = inner.source();
    }
    match error {
        SealerError::Exists { .. } => SealerAnswer::Exists,
        SealerError::Missing { .. } => SealerAnswer::Missing,
        SealerError::System(error) if files::is_full(error) => SealerAnswer::Full,
        SealerError::File(error) if error.is_full() => SealerAnswer::Full,
        SealerError::System(_) | SealerError::File(_) | SealerError::NoVault => {
            SealerAnswer::Failed { reason }
        }
        _ => SealerAnswer::Refused { reason },
    }
}

fn answer(mut stream: &UnixStream, answer: &SealerAnswer) -> io::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    stream.write_all(&line)
}
