//! A whole cluster in a new directory, at any moment.

mod files;

use std::{
    collections::BTreeMap,
    fs,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use connect::{Progress, Stored, StoredError};
use model::NameError;
use ports::{
    Clock,
    files::{FileError, SCRATCH_MARK, create_new, create_scratch, read_text, remove_scratch},
};
use postgres_server::{
    Account, AccountError, Installation, Launch, Listen, RunningServer, Server, ServerError, Settings,
    clone::sync_file_system,
    lsn,
    recovery::{self, Recovery, RecoveryError, Timeline, WalSource},
    settings::quote_shell,
};

pub use files::FileFault;

use crate::{
    history::{ClusterHistory, HistoryError},
    manifest::ManifestError,
    route::RecoveryRoute,
    scan::{Scan, ScanError},
    wal::{self, WalFileError},
};

/// Why a cluster could not be restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The directory holds something that is not an unfinished restore.
    #[error("{} is not empty", directory.display())]
    NotEmpty {
        /// The directory.
        directory: PathBuf,
    },
    /// Files of the base are not what its manifest says; the first ones are named.
    #[error("the base is damaged: {}", list(faults))]
    Faults {
        /// Each file with its fault.
        faults: Vec<FileFault>,
    },
    /// The base names a path that leads out of the directory, or a tablespace that it does not list.
    #[error("the base holds an entry with the path {path:?}, which is not taken")]
    Path {
        /// The path.
        path: String,
    },
    /// The manifest cannot be used.
    #[error("the manifest of the base cannot be used")]
    Manifest(#[from] ManifestError),
    /// The description of the base cannot be used.
    #[error("the description of the base cannot be used")]
    History(#[from] HistoryError),
    /// The vault did not give what it holds.
    #[error("cannot read the base from the vault")]
    Stored(#[from] StoredError),
    /// The WAL cannot be used.
    #[error("the WAL that leads to the moment cannot be used")]
    Wal(#[from] WalFileError),
    /// The WAL around the stop cannot be read.
    #[error("the WAL around the moment cannot be read")]
    Scan(#[from] ScanError),
    /// Replay ended elsewhere than it should.
    #[error("replay ended at {} instead of {}", lsn::to_text(*reached), lsn::to_text(*expected))]
    Elsewhere {
        /// Where it should end.
        expected: u64,
        /// Where it ended.
        reached: u64,
    },
    /// The server did not recover.
    #[error("the server did not recover")]
    Recovery(#[from] RecoveryError),
    /// The server did not start.
    #[error("the server did not start")]
    Server(#[from] ServerError),
    /// The account of the servers cannot be used.
    #[error("the files cannot be handed over")]
    Account(#[from] AccountError),
    /// The name of a stream is not allowed.
    #[error("the stream has no valid name")]
    Name(#[from] NameError),
    /// A file cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
}

fn list(faults: &[FileFault]) -> String {
    const SHOWN: usize = 3;
    let shown = faults.iter().take(SHOWN).map(|fault| format!("{}: {}", fault.path, fault.fault));
    let text = shown.collect::<Vec<_>>().join("; ");
    match faults.len().saturating_sub(SHOWN) {
        0 => text,
        more => format!("{text}; and {more} more"),
    }
}

impl RestoreError {
    /// Says what a person can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotEmpty { .. } => Some("name a new or empty directory".to_owned()),
            Self::Faults { .. } | Self::Manifest(_) => {
                Some("choose a moment before this base, so that an earlier one is used".to_owned())
            }
            Self::Wal(WalFileError::Damaged { at, .. } | WalFileError::Missing { at, .. }) => {
                Some(format!("up to there everything works: before:{}", lsn::to_text(*at)))
            }
            Self::Wal(WalFileError::NoBoundary { found, .. }) => {
                Some(format!("a position that works: before:{}", lsn::to_text(*found)))
            }
            Self::Recovery(error) => error.hint(),
            Self::Server(error) => error.hint(),
            Self::Account(error) => error.hint(),
            _ => None,
        }
    }
}

/// Whether and how the restored server is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// Not at all: the directory is complete, and a command that starts it is told.
    No,
    /// With the configuration that was restored, listening where we say.
    Restored(Listen),
    /// With a configuration of our own, which lets these lines of `pg_hba.conf` in.
    Private {
        /// Where it listens.
        listen: Listen,
        /// Lines of `pg_hba.conf`.
        access: Vec<String>,
    },
}

/// What a restore needs besides the route.
#[derive(Clone)]
pub struct RestoreOptions {
    /// The programs, of the cluster's own major version.
    pub installation: Installation,
    /// The account that the server runs under.
    pub account: Account,
    /// The folder of our own files: log, socket, private configuration. Outside of the directory.
    pub control_dir: PathBuf,
    /// Where tablespaces go; those that are not named go below the directory.
    pub tablespaces: BTreeMap<u32, PathBuf>,
    /// Whether and how the server is started.
    pub start: Start,
    /// Server settings that override others while the server runs that is started here.
    pub settings: Settings,
    /// Whether the files must survive a power cut.
    pub durable: bool,
    /// How long replay may take.
    pub timeout: Duration,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

/// How long the parts of a restore took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Timing {
    /// Writing the base and the WAL, in milliseconds.
    pub write_ms: u64,
    /// Making them durable, in milliseconds.
    pub sync_ms: u64,
    /// Replay until the server accepts queries, in milliseconds.
    pub replay_ms: u64,
}

/// A restored cluster.
#[derive(Debug)]
pub struct RestoredCluster {
    /// The data directory.
    pub directory: PathBuf,
    /// The running server, when it was started. Dropping it stops it: `let_go` keeps it running.
    pub running: Option<RunningServer>,
    /// The end of the last record that belongs to it.
    pub end_lsn: u64,
    /// Files written.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes of WAL written.
    pub wal_bytes: u64,
    /// Links inside production's directory that an administrator made; their targets are not part of a base.
    pub links_left_out: Vec<String>,
    /// Whether the base held no `postgresql.conf`, as where a package keeps it in `/etc`.
    pub configuration_missing: bool,
    /// The command that starts the server.
    pub start_command: String,
    /// How long it took.
    pub timing: Timing,
}

/// The contents of a data directory, complete but not yet prepared for a start.
struct Laid {
    end_lsn: u64,
    wal_bytes: u64,
    files: u64,
    bytes: u64,
    links_left_out: Vec<String>,
}

/// Restores a cluster into a new or empty directory, or one that holds an unfinished restore.
pub fn restore_cluster(
    stored: &dyn Stored,
    history: &ClusterHistory,
    route: &RecoveryRoute,
    directory: &Path,
    options: &RestoreOptions,
    progress: &dyn Progress,
) -> Result<RestoredCluster, RestoreError> {
    let begun = options.clock.elapsed();
    let private = matches!(options.start, Start::Private { .. });
    let tablespaces = tablespace_places(route, directory, options, private);
    let outside: Vec<&PathBuf> = tablespaces.values().filter(|place| !place.starts_with(directory)).collect();
    for place in std::iter::once(directory).chain(outside.iter().map(|place| place.as_path())) {
        begin_directory(place)?;
    }
    let laid =
        lay(stored, history, route, &files::Places { directory, tablespaces: &tablespaces }, progress)?;
    if !private {
        files::link_tablespaces(&files::Places { directory, tablespaces: &tablespaces })?;
    }
    let written = options.clock.elapsed();
    let server =
        Server::new(options.installation.clone(), options.account.clone(), directory, &options.control_dir);
    let recovery = recovery_of(route, options.durable);
    let (launch, configuration_missing) = prepare(&server, &recovery, options)?;
    for place in std::iter::once(directory).chain(outside.iter().map(|place| place.as_path())) {
        options.account.own(place)?;
        if options.durable {
            progress.phase("making it durable", None);
            sync_file_system(place)?;
        }
        finish_directory(place)?;
    }
    let synced = options.clock.elapsed();
    let mut restored = RestoredCluster {
        directory: directory.to_owned(),
        running: None,
        end_lsn: laid.end_lsn,
        files: laid.files,
        bytes: laid.bytes,
        wal_bytes: laid.wal_bytes,
        links_left_out: laid.links_left_out,
        configuration_missing,
        start_command: start_command(&server),
        timing: Timing {
            write_ms: millis(written.saturating_sub(begun)),
            sync_ms: millis(synced.saturating_sub(written)),
            replay_ms: 0,
        },
    };
    if let Some(launch) = launch {
        progress.phase("replay", None);
        let running = replay(&server, &launch, &recovery, laid.end_lsn, options)?;
        restored.running = Some(running);
        restored.timing.replay_ms = millis(options.clock.elapsed().saturating_sub(synced));
    }
    Ok(restored)
}

/// Writes the files of a base for a private server, which brings its own WAL.
pub(crate) fn lay_private_base(
    stored: &dyn Stored,
    route: &RecoveryRoute,
    directory: &Path,
    progress: &dyn Progress,
) -> Result<(), RestoreError> {
    let place = |oid: &u32| (*oid, directory.join("pg_tblspc").join(oid.to_string()));
    let tablespaces = route.base.base.tablespaces.keys().map(place).collect();
    files::write_base(
        stored,
        &route.base,
        &files::Places { directory, tablespaces: &tablespaces },
        progress,
    )?;
    Ok(())
}

/// Writes the base and the WAL, several files at a time, and checks both on the way.
fn lay(
    stored: &dyn Stored,
    history: &ClusterHistory,
    route: &RecoveryRoute,
    places: &files::Places<'_>,
    progress: &dyn Progress,
) -> Result<Laid, RestoreError> {
    let written = files::write_base(stored, &route.base, places, progress)?;
    let (end_lsn, wal_bytes) =
        lay_wal(stored, history, route, route.wal_start_lsn(), places.directory, progress)?;
    Ok(Laid {
        end_lsn,
        wal_bytes,
        files: written.files,
        bytes: written.bytes,
        links_left_out: written.links_left_out,
    })
}

/// Writes the WAL from a position up to the stop, and the timeline histories, into a data directory.
/// Returns where the last whole record ends, and how much was written.
fn lay_wal(
    stored: &dyn Stored,
    history: &ClusterHistory,
    route: &RecoveryRoute,
    from: u64,
    directory: &Path,
    progress: &dyn Progress,
) -> Result<(u64, u64), RestoreError> {
    let folder = directory.join("pg_wal");
    let scan = Scan { stored, history, branch: &route.branch };
    let cut = scan.cut(route.stop)?;
    let written = write_wal(&scan, route, from..cut, &folder, progress)?;
    // All histories: a promoted server takes the first timeline number that no history file claims.
    for (timeline, content) in &history.history_files {
        create_new(&folder.join(format!("{timeline:08X}.history")), content, 0o600)?;
    }
    Ok(written)
}

/// Writes and checks segments; returns where the last whole record ends, and how much was written.
pub(crate) fn write_wal(
    scan: &Scan<'_>,
    route: &RecoveryRoute,
    range: Range<u64>,
    folder: &Path,
    progress: &dyn Progress,
) -> Result<(u64, u64), RestoreError> {
    let (from, cut) = (range.start, range.end);
    progress.phase("WAL", Some(cut.saturating_sub(from)));
    let mut check = scan.check(from)?;
    let mut bytes = 0;
    let mut seen = |at: u64, portion: &[u8]| {
        bytes += portion.len() as u64;
        progress.advance(portion.len() as u64);
        check.push(at, portion)
    };
    wal::write_segments(scan, range, route.base.base.wal_segment_bytes, folder, &mut seen)?;
    let end = check.finish(cut, route.stop)?;
    Ok((end, bytes))
}

/// Makes a directory ours until the restore is complete. What an interrupted restore left is removed.
fn begin_directory(directory: &Path) -> Result<(), RestoreError> {
    if directory.join(SCRATCH_MARK).is_file() {
        remove_scratch(directory)?;
    }
    let occupied = directory.read_dir().is_ok_and(|mut entries| entries.next().is_some());
    if occupied {
        return Err(RestoreError::NotEmpty { directory: directory.to_owned() });
    }
    Ok(create_scratch(directory)?)
}

fn finish_directory(directory: &Path) -> Result<(), RestoreError> {
    let mark = directory.join(SCRATCH_MARK);
    fs::remove_file(&mark).map_err(|e| FileError::new("remove", &mark, e))?;
    Ok(())
}

/// Chooses where each tablespace goes. A private server keeps them as plain folders: nothing else may be shared.
fn tablespace_places(
    route: &RecoveryRoute,
    directory: &Path,
    options: &RestoreOptions,
    private: bool,
) -> BTreeMap<u32, PathBuf> {
    let place = |oid: &u32| {
        let inside = if private { "pg_tblspc" } else { "pg_tblspc_data" };
        let given = options.tablespaces.get(oid).filter(|_| !private).cloned();
        (*oid, given.unwrap_or_else(|| directory.join(inside).join(oid.to_string())))
    };
    route.base.base.tablespaces.keys().map(place).collect()
}

fn recovery_of(route: &RecoveryRoute, durable: bool) -> Recovery {
    // The WAL in the directory ends where recovery is to stop, so its end is the target.
    let mut recovery = Recovery::scratch(recovery::Target::Latest, WalSource::Present);
    recovery.timeline = Timeline::Number(route.branch.timeline);
    recovery.durable = durable;
    recovery
}

/// Prepares the directory; returns how to start it, if it is to be started, and whether it had no configuration.
fn prepare(
    server: &Server,
    recovery: &Recovery,
    options: &RestoreOptions,
) -> Result<(Option<Launch>, bool), RestoreError> {
    if let Start::Private { listen, access } = &options.start {
        let mut launch = recovery::prepare_private(server, recovery)?.listening(listen.clone());
        launch.settings.set("autovacuum", "on");
        launch.settings.extend(&options.settings);
        launch.configuration = postgres_server::Configuration::Private { access: access.clone() };
        return Ok((Some(launch), false));
    }
    set_apart(&server.data_dir)?;
    let found = recovery::prepare_for_use(server, recovery)?;
    let launch = match &options.start {
        Start::Restored(listen) => {
            let mut settings = Settings::new().with("hot_standby", "off");
            settings.extend(&options.settings);
            Some(Launch::restored(settings).listening(listen.clone()))
        }
        _ => None,
    };
    Ok((launch, found.configuration_missing))
}

/// Keeps a restored copy from acting as production: it must not write into production's archive, nor wait for a
/// synchronous standby that does not know it.
fn set_apart(data_dir: &Path) -> Result<(), RestoreError> {
    let path = data_dir.join("postgresql.auto.conf");
    let mut text = if path.exists() { read_text(&path)? } else { String::new() };
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str("# Set by unwipe when it restored this cluster; remove once it is production.\n");
    text.push_str(
        &Settings::new().with("archive_mode", "off").with("synchronous_standby_names", "").to_lines(),
    );
    Ok(ports::files::replace(&path, text.as_bytes())?)
}

/// Starts the server, waits until it has replayed and is open, and checks that it stopped where it should.
fn replay(
    server: &Server,
    launch: &Launch,
    recovery: &Recovery,
    end_lsn: u64,
    options: &RestoreOptions,
) -> Result<RunningServer, RestoreError> {
    let mut running = server.spawn(launch, Arc::clone(&options.clock))?;
    recovery::wait_recovered(&mut running, recovery, options.timeout, &mut |_| {})?;
    if options.start != Start::No {
        recovery::forget_recovery(&server.data_dir)?;
    }
    if let Some(reached) = promoted_at(&server.data_dir)?
        && reached != end_lsn
        && !crate::scan::is_same_boundary(end_lsn.min(reached), end_lsn.max(reached))
    {
        return Err(RestoreError::Elsewhere { expected: end_lsn, reached });
    }
    Ok(running)
}

/// Reads where the server began its own timeline: its new history file says it.
fn promoted_at(data_dir: &Path) -> Result<Option<u64>, RestoreError> {
    let folder = data_dir.join("pg_wal");
    let entries = folder.read_dir().map_err(|e| FileError::new("list", &folder, e))?;
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let newest = names.filter(|name| name.len() == 16 && name.ends_with(".history")).max();
    let Some(newest) = newest else { return Ok(None) };
    let text = read_text(&folder.join(newest))?;
    let last = text.lines().rfind(|line| !line.trim().is_empty());
    Ok(last.and_then(|line| lsn::parse(line.split_whitespace().nth(1)?)))
}

fn start_command(server: &Server) -> String {
    let path = |path: &Path| quote_shell(&path.display().to_string());
    format!(
        "sudo -u {} {} start -D {} -l {}",
        server.account.name(),
        path(&server.installation.bin_dir.join("pg_ctl")),
        path(&server.data_dir),
        path(&server.log_path()),
    )
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
