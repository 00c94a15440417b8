//! Servers for tests: made in a second, gone when dropped.

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, OnceLock},
    time::Duration,
};

use ports::SystemClock;
use tempfile::TempDir;

use crate::{
    Account, Configuration, InitOptions, Installation, Installations, Launch, Listen, RunningServer, Server,
    Settings, StopMode,
};

/// How long a test waits for a server to start or stop, on a machine that may be very busy.
pub const PATIENCE: Duration = Duration::from_mins(2);

/// How a test's server is made.
#[derive(Debug, Clone)]
pub struct TestOptions {
    /// How the cluster is made.
    pub init: InitOptions,
    /// Server settings. `fsync` is off unless set here.
    pub settings: Settings,
    /// The lines of `pg_hba.conf`; by default everything is trusted, replication too.
    pub access: Vec<String>,
    /// Whether the server listens on 127.0.0.1 as well.
    pub loopback: bool,
    /// Whether the cluster gets a system identifier of its own.
    ///
    /// Otherwise it is a copy of a template made once, and shares its identifier with other tests' servers.
    pub own_identity: bool,
}

impl Default for TestOptions {
    fn default() -> Self {
        let everywhere = ["local all all trust", "local replication all trust"];
        let loopback = ["host all all 127.0.0.1/32 trust", "host replication all 127.0.0.1/32 trust"];
        Self {
            init: InitOptions { sync: false, ..InitOptions::default() },
            settings: Settings::new().with("fsync", "off").with("max_wal_size", "1GB"),
            access: everywhere.iter().chain(&loopback).map(ToString::to_string).collect(),
            loopback: false,
            own_identity: false,
        }
    }
}

/// A server in a temporary folder. Dropping it stops the server and removes the folder.
#[derive(Debug)]
pub struct TestServer {
    launch: Launch,
    running: RunningServer,
    folder: TempDir,
}

/// Returns the installations that tests use: the bundles of `tools/install_servers`, then the system's.
pub fn installations() -> &'static Installations {
    static FOUND: OnceLock<Installations> = OnceLock::new();
    FOUND.get_or_init(|| Installations::discover(&Installations::standard_folders(&[], Some(&repository()))))
}

/// Returns the major versions that tests can start, ascending.
///
/// # Panics
/// When there is none: a test that runs no server proves nothing.
pub fn majors_available() -> Vec<u32> {
    let majors = installations().server_majors();
    assert!(!majors.is_empty(), "no PostgreSQL server found; run tools/install_servers");
    majors
}

/// Returns the installation of a major version.
///
/// # Panics
/// When it is missing.
pub fn installation(major: u32) -> Installation {
    let found = installations().find(major);
    found.unwrap_or_else(|error| panic!("{error}; try: {}", error.hint().unwrap_or_default())).clone()
}

/// Returns the account that tests' servers run under.
///
/// # Panics
/// When we are root and there is no account `postgres`.
pub fn account() -> Account {
    Account::for_servers(Account::USUAL_NAME)
        .unwrap_or_else(|error| panic!("{error}; try: {}", error.hint().unwrap_or_default()))
}

/// Makes a temporary folder that the servers' account can reach.
///
/// # Panics
/// When the system refuses.
pub fn reachable_folder() -> TempDir {
    let folder = tempfile::Builder::new().prefix("unwipe-test-").tempdir().expect("a temporary folder");
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(folder.path(), mode).expect("the folder opened to others");
    folder
}

/// Runs SQL through `psql` and returns the rows, fields parted by `|`; a refusal gives psql's message.
///
/// # Panics
/// When there is no `psql`.
pub fn psql(url: &str, sql: &str) -> Result<String, String> {
    let program = installations().newest_tool("psql", 13).unwrap_or_else(|error| panic!("{error}"));
    let output = Command::new(program)
        .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", sql])
        .stdin(Stdio::null())
        .output()
        .expect("psql runs");
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim_end().to_owned())
    }
}

impl TestServer {
    /// Starts a server of a major version; the function changes the options first.
    ///
    /// # Panics
    /// When the version is missing or the server does not start.
    pub fn start(major: u32, change: impl FnOnce(&mut TestOptions)) -> Self {
        let mut options = TestOptions::default();
        change(&mut options);
        let folder = reachable_folder();
        let (data, control) = (folder.path().join("data"), folder.path().join("control"));
        let server = Server::new(installation(major), account(), &data, &control);
        make_cluster(&server, &options);
        let listen = if options.loopback { Listen::Loopback } else { Listen::Socket };
        let mut launch = Launch::private(options.settings).listening(listen).ready_within(PATIENCE);
        launch.configuration = Configuration::Private { access: options.access };
        let running = server.start(&launch, Arc::new(SystemClock::new()));
        Self { launch, running: running.unwrap_or_else(|error| panic!("{error}")), folder }
    }

    /// Returns the connection address of the superuser, through the Unix socket.
    pub fn url(&self) -> String {
        self.running.url("postgres", "postgres")
    }

    /// Returns the connection address of the superuser through TCP.
    ///
    /// # Panics
    /// When the server was not started with `loopback`.
    pub fn tcp_url(&self) -> String {
        self.running.tcp_url("postgres", "postgres").expect("the server was started with `loopback`")
    }

    /// Runs SQL as the superuser and returns the rows, fields parted by `|`.
    ///
    /// # Panics
    /// When the server refuses.
    pub fn sql(&self, sql: &str) -> String {
        self.try_sql(sql).unwrap_or_else(|message| panic!("{sql}: {message}"))
    }

    /// Runs SQL as the superuser; a refusal gives its message.
    pub fn try_sql(&self, sql: &str) -> Result<String, String> {
        psql(&self.url(), sql)
    }

    /// Returns the current end of the WAL.
    ///
    /// # Panics
    /// When the server does not answer.
    pub fn current_lsn(&self) -> u64 {
        crate::lsn::parse(&self.sql("select pg_current_wal_insert_lsn()")).expect("an LSN")
    }

    /// Returns the data directory.
    pub fn data_dir(&self) -> &Path {
        &self.running.server().data_dir
    }

    /// Returns the temporary folder, for the test's own files.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the running server.
    pub fn running(&mut self) -> &mut RunningServer {
        &mut self.running
    }

    /// Returns the major version.
    pub fn major(&self) -> u32 {
        self.running.server().installation.major
    }

    /// Stops the server; the folder stays until the value is dropped.
    ///
    /// # Panics
    /// When it does not stop.
    pub fn stop(&mut self, mode: StopMode) {
        self.running.stop(mode, PATIENCE).unwrap_or_else(|error| panic!("{error}"));
    }

    /// Stops the server and starts it again, after the function has changed the settings.
    ///
    /// # Panics
    /// When it does not come back. A server on a loopback port gets another port.
    pub fn restart(&mut self, mode: StopMode, change: impl FnOnce(&mut Settings)) {
        self.stop(mode);
        change(&mut self.launch.settings);
        let started = self.running.server().start(&self.launch, Arc::new(SystemClock::new()));
        self.running = started.unwrap_or_else(|error| panic!("{error}"));
    }
}

fn repository() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.ancestors().nth(2).unwrap_or(manifest).to_owned()
}

fn make_cluster(server: &Server, options: &TestOptions) {
    let make = |server: &Server| server.initdb(&options.init).unwrap_or_else(|error| panic!("{error}"));
    if options.own_identity {
        return make(server);
    }
    let template = template_path(server, &options.init);
    if !template.is_dir() {
        make_template(server, &template, make);
    }
    let status = Command::new("cp")
        .args(["-a", "--reflink=auto"])
        .arg(&template)
        .arg(&server.data_dir)
        .status()
        .expect("cp runs");
    assert!(status.success(), "copying {} failed", template.display());
}

fn template_path(server: &Server, init: &InitOptions) -> PathBuf {
    let name = format!(
        "{}-{}-{}-{}-{}-{}-{}",
        server.installation.version,
        server.account.name(),
        init.checksums,
        init.segment_mib,
        init.encoding,
        init.locale,
        init.superuser
    );
    repository().join(".tools/templates").join(name.replace('/', "-"))
}

/// Makes a template under another name first, so that tests that run at the same time never see half of one.
#[expect(clippy::disallowed_methods, reason = "a test's folder is moved; a power cut does not matter")]
fn make_template(server: &Server, template: &Path, make: impl Fn(&Server)) {
    let parent = template.parent().expect("a template has a parent");
    std::fs::create_dir_all(parent).expect("the folder of templates");
    let draft = tempfile::Builder::new().prefix(".draft-").tempdir_in(parent).expect("a temporary folder");
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(draft.path(), open).expect("the folder opened to others");
    let data = draft.path().join("data");
    make(&Server::new(
        server.installation.clone(),
        server.account.clone(),
        &data,
        &draft.path().join("control"),
    ));
    // Losing the race against another test is fine: its template is as good.
    if std::fs::rename(&data, template).is_err() {
        assert!(template.is_dir(), "cannot put the template {} in place", template.display());
    }
}
