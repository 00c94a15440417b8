//! What every rehearsal stands on: a folder, a real production server, an installation of unwipe, a running capture.

use std::{
    io::Read,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use connect::Stop;
use model::SourceName;
use ports::files;
use postgres_server::{
    Configuration, InitOptions as ClusterOptions, Launch, Listen, RunningServer, Server, Settings, StopMode,
};
use postgres_wire::{Connection, ConnectionSettings, Limits, Mode, quote_literal};
use service::{Installation, installation::InitRequest};

use crate::{
    arguments::Capture,
    commands::{
        capture::{self, Captured},
        watching::while_watched,
    },
    connectors::{
        postgres::PostgresConfig,
        recovery::{find_servers, server_account},
    },
    context::{Context, environment},
    exit::Exit,
    failure::Failure,
};

/// The name of the protected source in every rehearsal.
pub(crate) const SOURCE: &str = "shop";
const POLL: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_mins(10);
const STOP_TIMEOUT: Duration = Duration::from_secs(30);
const SECRET_BYTES: usize = 12;

/// The place of one rehearsal. Dropping it stops its server and removes its folder, unless it is to be kept.
pub(crate) struct Stage {
    pub(crate) folder: PathBuf,
    /// A context whose home folder is the rehearsal's own installation.
    pub(crate) context: Context,
    pub(crate) source: SourceName,
    pub(crate) major: u32,
    pub(crate) production: Arc<Mutex<Option<RunningServer>>>,
    superuser_url: String,
    port: u16,
    keep: bool,
}

impl Stage {
    /// Makes the folder and starts a fresh production server in it.
    pub(crate) fn build(outer: &Context, keep: bool, database: &str) -> Result<Self, Failure> {
        let folder = make_folder(outer)?;
        let server = production_server(&folder)?;
        let major = server.installation.major;
        outer.output.say(format!("starting a PostgreSQL {major} of its own in {}", folder.display()));
        let running = start(&server, outer)?;
        let port =
            running.tcp_url("postgres", "postgres").and_then(|url| port_of(&url)).ok_or_else(|| {
                Failure::new(Exit::Failed, "the rehearsal's server does not listen on 127.0.0.1")
            })?;
        let superuser_url = running.url("postgres", "postgres");
        let stage = Self {
            context: outer.elsewhere(folder.join("unwipe")),
            source: SourceName::new(SOURCE)
                .map_err(|error| Failure::because(Exit::Failed, "bad name", error))?,
            production: Arc::new(Mutex::new(Some(running))),
            folder,
            major,
            superuser_url,
            port,
            keep,
        };
        stage.superuser("postgres")?.simple_query(&format!("CREATE DATABASE {database}")).map_err(refused)?;
        Ok(stage)
    }

    /// Connects as the superuser of production.
    pub(crate) fn superuser(&self, database: &str) -> Result<Connection, Failure> {
        let mut settings = ConnectionSettings::from_url(&self.superuser_url).map_err(|error| {
            Failure::because(Exit::Failed, "the rehearsal's server has no address", error)
        })?;
        settings.database = Some(database.to_owned());
        self.connect(&settings)
    }

    /// Returns the address of a role, without its password.
    pub(crate) fn url(&self, role: &str, database: &str) -> String {
        format!("postgresql://{role}@127.0.0.1:{}/{database}", self.port)
    }

    /// Opens a connection.
    pub(crate) fn connect(&self, settings: &ConnectionSettings) -> Result<Connection, Failure> {
        Connection::connect(settings, Mode::Sql, &Limits::default(), self.context.clock()).map_err(refused)
    }

    /// Makes a login role with a random password; the password goes into a file that only its owner may read.
    pub(crate) fn create_role(&self, role: &str, attributes: &str) -> Result<ConnectionSettings, Failure> {
        let password = self.secret();
        let sql = format!("CREATE ROLE {role} LOGIN {attributes} PASSWORD {}", quote_literal(&password));
        self.superuser("postgres")?.simple_query(&sql).map_err(refused)?;
        files::create_folder(&self.context.home)?;
        files::create_new(&self.context.home.join(format!("{role}.password")), password.as_bytes(), 0o600)?;
        let mut settings = ConnectionSettings::from_url(&self.url(role, "postgres"))
            .map_err(|error| Failure::because(Exit::Failed, "the role has no address", error))?;
        settings.password = Some(model::Redacted::new(password));
        Ok(settings)
    }

    /// Lets a role log in with a random password, and opens a session of it as its program does.
    pub(crate) fn session(
        &self,
        role: &str,
        database: &str,
        application: &str,
    ) -> Result<Connection, Failure> {
        let password = self.secret();
        let sql = format!("ALTER ROLE {role} LOGIN PASSWORD {}", quote_literal(&password));
        self.superuser("postgres")?.simple_query(&sql).map_err(refused)?;
        let mut settings = ConnectionSettings::from_url(&self.url(role, database))
            .map_err(|error| Failure::because(Exit::Failed, "the role has no address", error))?;
        settings.password = Some(model::Redacted::new(password));
        settings.application_name = Some(application.to_owned());
        self.connect(&settings)
    }

    /// Returns a fresh random text.
    pub(crate) fn secret(&self) -> String {
        self.context.random_text::<SECRET_BYTES>()
    }

    /// Sets unwipe up as an owner would: a vault, a role with REPLICATION, a role with pg_monitor, the source.
    pub(crate) fn protect(&self) -> Result<(), Failure> {
        self.create_role("unwipe", "REPLICATION")?;
        self.create_role("unwipe_monitor", "IN ROLE pg_monitor")?;
        install(&self.context)?;
        let config = PostgresConfig {
            url: self.url("unwipe", "postgres"),
            password: Some("file:unwipe.password".to_owned()),
            monitor_url: Some(self.url("unwipe_monitor", "postgres")),
            monitor_password: Some("file:unwipe_monitor.password".to_owned()),
            log_folder: None,
            slot: None,
            synchronous: false,
            standby: false,
            max_rate_kb: None,
            superuser: None,
            guard: None,
        };
        let source = config.to_source()?;
        let mut installation = self.context.installation()?;
        installation.reconfigure(|all| all.add_source(self.source.clone(), source))?;
        Ok(())
    }

    /// Starts capturing on a thread of its own, and returns once the base is in the vault and WAL is followed.
    pub(crate) fn start_capture(&self) -> Result<Capturing, Failure> {
        let capturing = Capturing::begin(&self.context, &self.source)?;
        self.await_following(&capturing)?;
        Ok(capturing)
    }

    fn await_following(&self, capturing: &Capturing) -> Result<(), Failure> {
        let mut connection = self.superuser("postgres")?;
        let vault = self.context.installation()?.vault(&environment)?;
        let sql =
            "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND flush_lsn IS NOT NULL";
        self.wait("the first capture", || {
            if capturing.has_ended() {
                return Err(Failure::new(Exit::Failed, "the capture ended before it had begun"));
            }
            let following = value(&mut connection, sql)?.is_some_and(|text| text != "0");
            Ok(following && vault.last_sequence(&self.source)? > 0)
        })
    }

    /// Waits until everything that production has now is durable in the vault or its journal.
    pub(crate) fn await_captured(&self) -> Result<(), Failure> {
        let mut connection = self.superuser("postgres")?;
        let target = value(&mut connection, "SELECT pg_current_wal_flush_lsn()")?.unwrap_or_default();
        let sql = format!("SELECT bool_or(flush_lsn >= {}) FROM pg_stat_replication", quote_literal(&target));
        self.wait("the capture to catch up", || Ok(value(&mut connection, &sql)?.as_deref() == Some("t")))
    }

    fn wait(&self, what: &str, mut is_done: impl FnMut() -> Result<bool, Failure>) -> Result<(), Failure> {
        let clock = self.context.clock();
        let until = clock.elapsed() + PATIENCE;
        while !is_done()? {
            if clock.elapsed() > until {
                return Err(Failure::new(
                    Exit::Failed,
                    format!("waited {} s for {what}", PATIENCE.as_secs()),
                ));
            }
            clock.sleep(POLL);
        }
        Ok(())
    }

    /// Fills a table from a stream in COPY text format.
    pub(crate) fn load(
        connection: &mut Connection,
        statement: &str,
        mut rows: impl Read,
        mut hear: impl FnMut(u64),
    ) -> Result<(), Failure> {
        let mut copy = connection.copy_in(statement).map_err(refused)?;
        let mut buffer = vec![0; 256 << 10];
        loop {
            let count = rows.read(&mut buffer)?;
            if count == 0 {
                copy.finish().map_err(refused)?;
                return Ok(());
            }
            copy.write(&buffer[..count]).map_err(refused)?;
            hear(count as u64);
        }
    }

    /// Returns the running production server, if it still runs.
    pub(crate) fn production(&self) -> MutexGuard<'_, Option<RunningServer>> {
        self.production.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(mut server) = self.production().take()
            && let Err(error) = server.stop(StopMode::Immediate, STOP_TIMEOUT)
        {
            self.context.output.say(format!("the rehearsal's server did not stop: {error}"));
        }
        if self.keep {
            self.context.output.say(format!("kept {}", self.folder.display()));
        } else if let Err(error) = files::remove_scratch(&self.folder) {
            self.context.output.say(format!("{error}: {}", error.source));
        }
    }
}

/// A capture that runs on a thread of its own.
pub(crate) struct Capturing {
    stop: Stop,
    thread: Option<JoinHandle<Result<Captured, Failure>>>,
}

impl Capturing {
    /// Starts capturing a source until it is asked to end.
    pub(crate) fn begin(context: &Context, source: &SourceName) -> Result<Self, Failure> {
        let stop = Stop::default();
        let context = context.elsewhere(context.home.clone());
        let (name, its_stop) = (source.clone(), stop.clone());
        let thread = std::thread::Builder::new().name("capture".to_owned()).spawn(move || {
            let installation = context.installation()?;
            let following = Capture { source: name.to_string(), once: false, base: false };
            while_watched(&context, installation, |installation, urges| {
                let urge = urges.get(&name).cloned().unwrap_or_default();
                let mut reader = capture::reader(&context, installation, &name, &following, urge)?;
                capture::capture(&context, installation, &name, &mut *reader, &its_stop)
            })
        })?;
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Returns whether it has ended, well or not.
    pub(crate) fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Asks the capture to end, and returns what it did. A source that is gone is no failure here.
    pub(crate) fn end(mut self) -> Result<Option<Captured>, Failure> {
        self.stop.request();
        let Some(thread) = self.thread.take() else { return Ok(None) };
        match thread.join() {
            Ok(Ok(captured)) => Ok(Some(captured)),
            Ok(Err(failure)) if failure.exit == Exit::Failed => Ok(None),
            Ok(Err(failure)) => Err(failure),
            Err(_) => Err(Failure::new(Exit::Failed, "the capturing thread died")),
        }
    }
}

impl Drop for Capturing {
    fn drop(&mut self) {
        self.stop.request();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            // The thread's own message is on the terminal already.
        }
    }
}

/// Makes a vault in a folder, as an owner does who only wants to look.
pub(crate) fn install(context: &Context) -> Result<(), Failure> {
    let request = InitRequest {
        place: service::Place::Folder { path: "vault".into(), immutable_flags: false },
        lock_days: 30,
    };
    let made = Installation::init(&context.home, &request, &context.ports, &environment)?;
    made.kit
        .save(&context.home.join("recovery-kit.txt"))
        .map_err(|error| Failure::because(Exit::Failed, "the recovery kit cannot be written", error))
}

/// Servers refuse to run as root, so the folder must be one that their account can reach.
pub(crate) fn make_folder(outer: &Context) -> Result<PathBuf, Failure> {
    use std::os::unix::fs::PermissionsExt;

    let folder = std::env::temp_dir().join(format!("unwipe-rehearsal-{}", outer.random_text::<4>()));
    files::create_scratch(&folder)?;
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755))?;
    Ok(folder)
}

fn production_server(folder: &Path) -> Result<Server, Failure> {
    let installations = find_servers(&[]);
    // Packages come with every tool, so the packaged version goes before bundles.
    let packaged = installations.iter().find(|i| i.has_server() && i.tool("pg_dump").is_some());
    let Some(installation) = packaged.or_else(|| installations.iter().find(|i| i.has_server())).cloned()
    else {
        return Err(Failure::new(Exit::Failed, "no PostgreSQL server is installed")
            .hint("apt-get install postgresql, or run ./rehearse, which does it"));
    };
    let account = server_account()?;
    let volume = folder.join("railway-volume");
    files::create_scratch(&volume)?;
    account
        .own(&volume)
        .map_err(|error| Failure::because(Exit::Failed, "the volume cannot be handed over", error))?;
    Ok(Server::new(installation, account, &volume.join("pgdata"), &folder.join("production")))
}

fn start(server: &Server, outer: &Context) -> Result<RunningServer, Failure> {
    let failed = |error: postgres_server::ServerError| {
        let hint = error.hint();
        Failure::because(Exit::Failed, "the rehearsal's server did not start", error).hint_opt(hint)
    };
    server.initdb(&ClusterOptions { sync: false, ..ClusterOptions::default() }).map_err(failed)?;
    let settings = Settings::new()
        .with("max_slot_wal_keep_size", "4GB")
        .with("shared_buffers", "256MB")
        .with("max_wal_size", "2GB");
    let access = [
        "local all all trust",
        "host replication unwipe 127.0.0.1/32 scram-sha-256",
        "host all all 127.0.0.1/32 scram-sha-256",
    ];
    let mut launch = Launch::private(settings).listening(Listen::Loopback);
    launch.configuration = Configuration::Private { access: access.map(str::to_owned).to_vec() };
    server.start(&launch, outer.clock()).map_err(failed)
}

fn port_of(url: &str) -> Option<u16> {
    ConnectionSettings::from_url(url).ok().map(|settings| settings.port)
}

/// Returns the one value that a query gives.
pub(crate) fn value(connection: &mut Connection, sql: &str) -> Result<Option<String>, Failure> {
    Ok(connection.query_one(sql).map_err(refused)?.into_iter().next().flatten())
}

/// Turns a server's refusal into a failure.
pub(crate) fn refused(error: postgres_wire::WireError) -> Failure {
    let hint = error.hint();
    Failure::because(Exit::Failed, "the rehearsal's server refused", error).hint_opt(hint)
}
