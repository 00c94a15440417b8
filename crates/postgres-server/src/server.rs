//! A server: made, started, observed, stopped.

use std::{
    fs::OpenOptions,
    io,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use ports::{
    Clock,
    files::{self, FileError},
};

use crate::{
    Account, AccountError, Installation, Launch,
    control_file::{ControlFile, ControlFileError},
    launch::{self, Endpoint},
};

mod running;

pub(crate) use running::leftover;
pub use running::{RunningServer, StopMode, stop_leftover};

/// What goes wrong with a server.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The installation has no such program.
    #[error("the installation in {} has no {program}", bin_dir.display())]
    NoProgram {
        /// The program missing.
        program: &'static str,
        /// Where it was looked for.
        bin_dir: PathBuf,
    },
    /// A program could not be started at all.
    #[error("cannot run {}", program.display())]
    Run {
        /// The program.
        program: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// `initdb` refused.
    #[error("initdb failed in {}: {output}", data_dir.display())]
    Init {
        /// The folder it was to fill.
        data_dir: PathBuf,
        /// What it said.
        output: String,
    },
    /// The server ended before it was ready, or while it was waited for.
    #[error("the server on {} ended: {log_tail}", data_dir.display())]
    Ended {
        /// Its data directory.
        data_dir: PathBuf,
        /// The last lines of its log.
        log_tail: String,
    },
    /// The server took too long.
    #[error("the server on {} was not ready after {} s: {log_tail}", data_dir.display(), waited.as_secs())]
    NotReady {
        /// Its data directory.
        data_dir: PathBuf,
        /// How long it was waited for.
        waited: Duration,
        /// The last lines of its log.
        log_tail: String,
    },
    /// The server did not stop in time.
    #[error("the server on {} did not stop within {} s", data_dir.display(), waited.as_secs())]
    NotStopped {
        /// Its data directory.
        data_dir: PathBuf,
        /// How long it was waited for.
        waited: Duration,
    },
    /// Another server works on the data directory.
    #[error("a server with process id {pid} works on {}", data_dir.display())]
    InUse {
        /// The data directory.
        data_dir: PathBuf,
        /// The other server's process id.
        pid: i32,
    },
    /// A signal could not be sent.
    #[error("cannot signal process {pid}")]
    Signal {
        /// The process.
        pid: i32,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// No port or socket could be had.
    #[error("cannot find a free port")]
    Port(#[source] io::Error),
    /// The account cannot be used.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// The control file cannot be used.
    #[error(transparent)]
    ControlFile(#[from] ControlFileError),
    /// A file of ours cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
}

impl ServerError {
    /// Says what a person can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::InUse { data_dir, .. } => {
                Some(format!("pg_ctl stop -D '{}', if that server is not needed", data_dir.display()))
            }
            Self::Account(error) => error.hint(),
            Self::ControlFile(error) => error.hint(),
            _ => None,
        }
    }
}

/// How a new cluster is made.
#[derive(Debug, Clone)]
pub struct InitOptions {
    /// Whether pages carry checksums.
    pub checksums: bool,
    /// The size of WAL files; a power of two from 1 to 1024.
    pub segment_mib: u32,
    /// The encoding of the databases.
    pub encoding: String,
    /// The locale: `C` or `C.UTF-8` are everywhere.
    pub locale: String,
    /// The name of the superuser.
    pub superuser: String,
    /// Whether to wait until everything is on disk.
    pub sync: bool,
}

impl Default for InitOptions {
    fn default() -> Self {
        Self {
            checksums: true,
            segment_mib: 16,
            encoding: "UTF8".to_owned(),
            locale: "C".to_owned(),
            superuser: "postgres".to_owned(),
            sync: true,
        }
    }
}

impl InitOptions {
    fn arguments(&self, major: u32) -> Vec<String> {
        let mut arguments = vec!["--auth=trust".to_owned(), format!("--username={}", self.superuser)];
        arguments.push(format!("--encoding={}", self.encoding));
        arguments.push(format!("--locale={}", self.locale));
        arguments.push(format!("--wal-segsize={}", self.segment_mib));
        // Checksums are on unless refused from 18 on, and off unless asked for before.
        match (self.checksums, major >= 18) {
            (true, false) => arguments.push("--data-checksums".to_owned()),
            (false, true) => arguments.push("--no-data-checksums".to_owned()),
            _ => {}
        }
        if !self.sync {
            arguments.push("--no-sync".to_owned());
        }
        arguments
    }
}

/// A data directory together with the programs and the account that work on it.
#[derive(Debug, Clone)]
pub struct Server {
    /// The programs.
    pub installation: Installation,
    /// The account that the processes run under.
    pub account: Account,
    /// The data directory.
    pub data_dir: PathBuf,
    /// The folder of our own files: configuration, log, socket. Not inside the data directory.
    pub control_dir: PathBuf,
}

impl Server {
    /// Puts the parts together; nothing is touched.
    pub fn new(installation: Installation, account: Account, data_dir: &Path, control_dir: &Path) -> Self {
        Self { installation, account, data_dir: data_dir.to_owned(), control_dir: control_dir.to_owned() }
    }

    /// Makes a new cluster in the data directory, which must be empty or not exist.
    pub fn initdb(&self, options: &InitOptions) -> Result<(), ServerError> {
        files::create_folder(&self.data_dir)?;
        self.prepare_folders()?;
        let program = self.program("initdb")?;
        let output = self
            .account
            .command(&program)
            .arg("-D")
            .arg(&self.data_dir)
            .args(options.arguments(self.installation.major))
            .output()
            .map_err(|source| ServerError::Run { program, source })?;
        if output.status.success() {
            return Ok(());
        }
        let text = [output.stdout, output.stderr].concat();
        let output = String::from_utf8_lossy(&text).trim().to_owned();
        Err(ServerError::Init { data_dir: self.data_dir.clone(), output })
    }

    /// Starts the server and waits until it accepts connections.
    pub fn start(&self, launch: &Launch, clock: Arc<dyn Clock>) -> Result<RunningServer, ServerError> {
        let mut running = self.spawn(launch, clock)?;
        running.wait_ready(launch.ready_timeout)?;
        Ok(running)
    }

    /// Starts the server without waiting for it, for recoveries that take their time.
    pub fn spawn(&self, launch: &Launch, clock: Arc<dyn Clock>) -> Result<RunningServer, ServerError> {
        if let Some(pid) = running::leftover(&self.data_dir) {
            return Err(ServerError::InUse { data_dir: self.data_dir.clone(), pid });
        }
        let program = self.program("postgres")?;
        self.prepare_folders()?;
        let socket = running::SocketFolder::create(&self.control_dir, &self.account)?;
        let endpoint = Endpoint::choose(&launch.listen, socket.path.clone()).map_err(ServerError::Port)?;
        let arguments = launch::arguments(launch, &endpoint, &self.data_dir, &self.control_dir)?;
        let log_path = self.log_path();
        let opened = OpenOptions::new().create(true).append(true).open(&log_path);
        let log = opened.map_err(|e| FileError::new("open", &log_path, e))?;
        let log_start = log.metadata().map_err(|e| FileError::new("inspect", &log_path, e))?.len();
        let copy = log.try_clone().map_err(|e| FileError::new("open", &log_path, e))?;
        let child = self
            .account
            .command(&program)
            .args(arguments)
            .stdout(Stdio::from(copy))
            .stderr(Stdio::from(log))
            // A key press that interrupts our program must not reach the server: for it, it is a command.
            .process_group(0)
            .spawn()
            .map_err(|source| ServerError::Run { program, source })?;
        Ok(RunningServer::new(self.clone(), child, clock, endpoint, socket, log_start))
    }

    /// Reads the control file of the data directory.
    pub fn control(&self) -> Result<ControlFile, ServerError> {
        Ok(ControlFile::read(&self.data_dir)?)
    }

    /// Returns the path of the log.
    pub fn log_path(&self) -> PathBuf {
        self.control_dir.join("server.log")
    }

    fn program(&self, program: &'static str) -> Result<PathBuf, ServerError> {
        let bin_dir = self.installation.bin_dir.clone();
        self.installation.tool(program).ok_or(ServerError::NoProgram { program, bin_dir })
    }

    fn prepare_folders(&self) -> Result<(), ServerError> {
        files::create_folder(&self.control_dir)?;
        set_mode(&self.data_dir, 0o700)?;
        self.account.own(&self.data_dir)?;
        for folder in [&self.data_dir, &self.control_dir, &self.installation.bin_dir] {
            self.account.check_reach(folder)?;
        }
        Ok(())
    }
}

pub(crate) fn set_mode(path: &Path, mode: u32) -> Result<(), FileError> {
    let permissions = std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(path, permissions).map_err(|e| FileError::new("change the mode of", path, e))
}
