//! A started server process.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    process::{Child, ExitStatus},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ports::{
    Clock,
    files::{self, FileError},
};
use rustix::process::{Pid, Signal, kill_process};

use super::{Server, ServerError, set_mode};
use crate::{Account, control_file::ControlFile, launch::Endpoint};

const POLL: Duration = Duration::from_millis(20);
const LOG_TAIL_BYTES: u64 = 2_000;
/// More than a server writes to its log in one recovery; a limit so that a mad server cannot fill our memory.
const LOG_BYTES_MAX: u64 = 64 << 20;

/// How a server is asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopMode {
    /// Waits for clients to leave.
    Smart,
    /// Disconnects clients, then shuts down cleanly.
    Fast,
    /// Ends at once; the next start recovers as after a crash.
    Immediate,
}

impl StopMode {
    const fn signal(self) -> Signal {
        match self {
            Self::Smart => Signal::TERM,
            Self::Fast => Signal::INT,
            Self::Immediate => Signal::QUIT,
        }
    }
}

/// A server process that we started. Dropping it stops the server at once, unless it was let go.
pub struct RunningServer {
    server: Server,
    child: Child,
    exit: Option<ExitStatus>,
    clock: Arc<dyn Clock>,
    endpoint: Endpoint,
    socket: SocketFolder,
    log_start: u64,
    let_go: bool,
}

impl std::fmt::Debug for RunningServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunningServer")
            .field("data_dir", &self.server.data_dir)
            .field("pid", &self.child.id())
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

impl RunningServer {
    pub(super) fn new(
        server: Server,
        child: Child,
        clock: Arc<dyn Clock>,
        endpoint: Endpoint,
        socket: SocketFolder,
        log_start: u64,
    ) -> Self {
        Self { server, child, exit: None, clock, endpoint, socket, log_start, let_go: false }
    }

    /// Returns the data directory, programs and account.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Returns the folder of the Unix socket: the `host` of a connection.
    pub fn socket_dir(&self) -> &Path {
        &self.socket.path
    }

    /// Returns the port, which is part of the socket's name too.
    pub const fn port(&self) -> u16 {
        self.endpoint.port
    }

    /// Returns the process id of the server.
    pub fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// Returns a connection address through the Unix socket.
    pub fn url(&self, user: &str, database: &str) -> String {
        let host = self.socket.path.display();
        format!("postgresql://{user}@/{database}?host={host}&port={}", self.endpoint.port)
    }

    /// Returns a connection address through TCP, when the server listens there.
    pub fn tcp_url(&self, user: &str, database: &str) -> Option<String> {
        let address = self.endpoint.addresses.split(',').next().map(str::trim).filter(|a| !a.is_empty())?;
        let address = if address == "*" { "127.0.0.1" } else { address };
        Some(format!("postgresql://{user}@{address}:{}/{database}", self.endpoint.port))
    }

    /// Returns whether the process lives.
    pub fn is_running(&mut self) -> bool {
        if self.exit.is_none() {
            self.exit = self.child.try_wait().ok().flatten();
        }
        self.exit.is_none()
    }

    /// Returns whether the server accepts connections, as it says in its process file.
    pub fn is_ready(&self) -> bool {
        let text = std::fs::read_to_string(self.server.data_dir.join("postmaster.pid")).unwrap_or_default();
        let mut lines = text.lines();
        // A process file of an earlier server must not count.
        let ours = lines.next().is_some_and(|pid| pid.trim() == self.child.id().to_string());
        ours && lines.nth(6).is_some_and(|status| status.trim() == "ready")
    }

    /// Waits until the server accepts connections.
    pub fn wait_ready(&mut self, timeout: Duration) -> Result<(), ServerError> {
        let start = self.clock.elapsed();
        loop {
            if self.is_ready() {
                return Ok(());
            }
            let data_dir = self.server.data_dir.clone();
            if !self.is_running() {
                return Err(ServerError::Ended { data_dir, log_tail: self.log_tail() });
            }
            let waited = self.clock.elapsed().saturating_sub(start);
            if waited >= timeout {
                return Err(ServerError::NotReady { data_dir, waited, log_tail: self.log_tail() });
            }
            self.clock.sleep(POLL);
        }
    }

    /// Stops the server and waits until it is gone. A server that has ended already is fine.
    pub fn stop(&mut self, mode: StopMode, timeout: Duration) -> Result<(), ServerError> {
        if self.is_running() {
            self.signal(mode.signal())?;
        }
        let start = self.clock.elapsed();
        while self.is_running() {
            let waited = self.clock.elapsed().saturating_sub(start);
            if waited >= timeout {
                return Err(ServerError::NotStopped { data_dir: self.server.data_dir.clone(), waited });
            }
            self.clock.sleep(POLL);
        }
        Ok(())
    }

    /// Lets the server run on after this value is gone, with its socket folder.
    pub fn let_go(mut self) -> Server {
        self.let_go = true;
        self.server.clone()
    }

    /// Reads the control file.
    pub fn control(&self) -> Result<ControlFile, ServerError> {
        self.server.control()
    }

    /// Returns what the server has logged since it was started.
    pub fn log(&self) -> String {
        self.read_log(self.log_start).unwrap_or_default()
    }

    /// Returns the last lines that the server has logged since it was started.
    pub fn log_tail(&self) -> String {
        let length = self.server.log_path().metadata().map_or(0, |m| m.len());
        let from = length.saturating_sub(LOG_TAIL_BYTES).max(self.log_start);
        let text = self.read_log(from).unwrap_or_default();
        let cut = if from > self.log_start { text.find('\n').map_or(0, |i| i + 1) } else { 0 };
        text[cut..].trim().to_owned()
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        self.clock.as_ref()
    }

    fn read_log(&self, from: u64) -> io::Result<String> {
        let mut file = File::open(self.server.log_path())?;
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.take(LOG_BYTES_MAX).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn signal(&self, signal: Signal) -> Result<(), ServerError> {
        send(self.pid(), signal)
    }
}

impl Drop for RunningServer {
    fn drop(&mut self) {
        if self.let_go {
            return;
        }
        // The server ends its children within five seconds itself, so the wait is bounded. Nobody is left to
        // tell of a failure.
        if self.is_running() && self.signal(Signal::QUIT).is_ok() {
            drop(self.child.wait());
        }
        self.socket.remove();
    }
}

fn send(pid: i32, signal: Signal) -> Result<(), ServerError> {
    let failed = |source| ServerError::Signal { pid, source };
    let process = Pid::from_raw(pid).ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
    match kill_process(process, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(failed(error.into())),
    }
}

/// Returns the process id of a server that still works on a data directory.
pub(crate) fn leftover(data_dir: &Path) -> Option<i32> {
    let text = std::fs::read_to_string(data_dir.join("postmaster.pid")).ok()?;
    let pid: i32 = text.lines().next()?.trim().parse().ok().filter(|pid| *pid > 1)?;
    // Process ids are used again: the process must also be a server, standing in this directory.
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    let stands_in = std::fs::read_link(format!("/proc/{pid}/cwd")).ok()?;
    let same = stands_in == data_dir.canonicalize().ok()?;
    (same && name.starts_with("postgres")).then_some(pid)
}

/// Stops a server that a killed process of ours left working on a data directory.
pub fn stop_leftover(data_dir: &Path, clock: &dyn Clock, timeout: Duration) -> Result<(), ServerError> {
    let start = clock.elapsed();
    while let Some(pid) = leftover(data_dir) {
        send(pid, Signal::QUIT)?;
        let waited = clock.elapsed().saturating_sub(start);
        if waited >= timeout {
            return Err(ServerError::NotStopped { data_dir: data_dir.to_owned(), waited });
        }
        clock.sleep(POLL);
    }
    Ok(())
}

/// The longest path that fits the address of a Unix socket, less the socket's own name.
const SOCKET_FOLDER_BYTES_MAX: usize = 107 - "/.s.PGSQL.65535.lock".len();

/// The folder of one server's Unix socket.
pub(super) struct SocketFolder {
    pub(super) path: PathBuf,
    scratch: bool,
}

impl SocketFolder {
    /// Makes the folder in the control folder, or under /tmp where that path would be too long.
    pub(super) fn create(control_dir: &Path, account: &Account) -> Result<Self, ServerError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let near = control_dir.join("socket");
        let far = || {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            PathBuf::from(format!("/tmp/unwipe-socket-{}-{number}", std::process::id()))
        };
        let scratch = near.as_os_str().len() > SOCKET_FOLDER_BYTES_MAX;
        let path = if scratch { far() } else { near };
        if scratch {
            files::create_scratch(&path)?;
        } else {
            files::create_folder(&path)?;
        }
        set_mode(&path, 0o700)?;
        account.own(&path)?;
        Ok(Self { path, scratch })
    }

    fn remove(&self) {
        if self.scratch {
            // A folder that stays behind in /tmp harms nothing, and nobody is left to be told.
            drop::<Result<(), FileError>>(files::remove_scratch(&self.path));
        }
    }
}
