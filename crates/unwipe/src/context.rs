//! What every command gets: the home folder, the ports, the output, the environment.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use connect::{Progress, Stop};
use model::SourceName;
use ports::{Clock, SystemClock, SystemRandom, Tracing};
use service::{Installation, Secrets, StoredSource, config::DestinationConfig, installation::Ports};

use crate::{
    arguments::{Production, Reading, for_source},
    exit::Exit,
    failure::Failure,
    output::Output,
    progress::Display,
};

/// What every command gets.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) home: PathBuf,
    pub(crate) output: Output,
    pub(crate) ports: Ports,
    /// The mirror that is read in place of the vault.
    mirror: Option<String>,
    /// Hears of progress in place of the terminal.
    meter: Option<Arc<dyn Progress>>,
}

/// Looks a name up in the environment of the process.
#[expect(clippy::disallowed_methods, reason = "this is the binary: the one place that reads its environment")]
pub(crate) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Returns the environment of the process; what is not text is left out.
pub(crate) fn whole_environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

impl Context {
    /// Makes a context from the global arguments.
    pub(crate) fn new(
        home: Option<PathBuf>,
        mirror: Option<String>,
        output: Output,
    ) -> Result<Self, Failure> {
        let home = match home {
            Some(home) => home,
            None => default_home()?,
        };
        let home = std::path::absolute(home)?;
        let ports = Ports {
            clock: Arc::new(SystemClock::new()),
            random: Arc::new(SystemRandom),
            tracing: Tracing::default(),
        };
        Ok(Self { home, output, ports, mirror, meter: None })
    }

    /// Makes a context for another home folder, with the same output and ports.
    pub(crate) fn elsewhere(&self, home: PathBuf) -> Self {
        Self { home, output: self.output, ports: self.ports.clone(), mirror: None, meter: None }
    }

    /// Makes a context for work whose progress somebody else hears of, and which prints nothing.
    pub(crate) fn metered_by(&self, meter: &Arc<dyn Progress>) -> Self {
        Self { output: Output::silent(), meter: Some(Arc::clone(meter)), ..self.clone() }
    }

    /// Makes the same context, which tells somebody what is done.
    pub(crate) fn traced_by(&self, tracing: Tracing) -> Self {
        Self { ports: Ports { tracing, ..self.ports.clone() }, ..self.clone() }
    }

    /// Returns the folder of a plan that somebody names by its path, or by its name among the plans of the home folder.
    pub(crate) fn plan_folder(&self, named: &Path) -> PathBuf {
        service::plans::folder_named(&self.home, named)
    }

    /// Opens the installation in the home folder.
    pub(crate) fn installation(&self) -> Result<Installation, Failure> {
        let installation = Installation::open(&self.home, self.ports.clone())?;
        match &self.mirror {
            Some(mirror) => Ok(installation.reading_from(mirror)?),
            None => Ok(installation),
        }
    }

    /// Returns the clock.
    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.ports.clock)
    }

    /// Returns a fresh random text: two hexadecimal digits for each byte.
    pub(crate) fn random_text<const BYTES: usize>(&self) -> String {
        let mut bytes = [0; BYTES];
        self.ports.random.fill(&mut bytes);
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Returns what the person who runs this command is called on this machine; a note, and no proof.
    #[expect(clippy::unused_self, reason = "what it knows of the person may come from the context one day")]
    pub(crate) fn person(&self) -> String {
        ["SUDO_USER", "USER", "LOGNAME"]
            .into_iter()
            .find_map(|name| environment(name).filter(|value| !value.is_empty()))
            .unwrap_or_else(|| format!("user {}", rustix::process::getuid().as_raw()))
    }

    /// Returns whoever hears of the progress of one command.
    pub(crate) fn progress(&self) -> Arc<dyn Progress> {
        self.meter.clone().unwrap_or_else(|| Arc::new(Display::new(self.output, self.clock())))
    }

    /// Opens what is stored of a source.
    pub(crate) fn stored(
        &self,
        installation: &Installation,
        source: &SourceName,
        reading: &Reading,
    ) -> Result<StoredSource, Failure> {
        let reader = installation.reader(reading.key.as_deref(), &environment)?;
        Ok(installation.stored(source, reader, &*self.progress())?)
    }
}

/// Returns the production connection of a command, with its password: what the command names, or else the configuration.
pub(crate) fn production(
    installation: &Installation,
    production: &Production,
    source: &str,
) -> Result<postgres_wire::ConnectionSettings, Failure> {
    let configured = destination(installation, source);
    let url = for_source(&production.url, source).or(configured.url.as_deref()).ok_or_else(|| {
        Failure::new(Exit::Usage, "planning and applying need a connection to production").hint(format!(
            "give --url postgresql://RESTORE_ROLE@HOST/postgres and --password REFERENCE, or set restore.destinations.{source}"
        ))
    })?;
    // A password goes with the address that it was given for.
    let password = match for_source(&production.url, source) {
        Some(_) => for_source(&production.password, source),
        None => configured.password.as_deref(),
    };
    let secrets = Secrets::new(installation.home(), &environment);
    crate::connectors::postgres::connection(url, password, &secrets)
}

/// Returns how a source is reached for planning and applying, as far as the configuration says.
pub(crate) fn destination(installation: &Installation, source: &str) -> DestinationConfig {
    let destinations = &installation.config().restore.destinations;
    SourceName::new(source).ok().and_then(|name| destinations.get(&name).cloned()).unwrap_or_default()
}

/// Returns a stop that the first interrupt or termination signal requests; a second one ends the process at once.
pub(crate) fn stop_on_signals() -> Result<Stop, Failure> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register_conditional_shutdown(
            signal,
            i32::from(Exit::Interrupted.code()),
            Arc::clone(&flag),
        )?;
        signal_hook::flag::register(signal, Arc::clone(&flag))?;
    }
    debug_assert!(!flag.load(Ordering::SeqCst));
    Ok(Stop::of(flag))
}

fn default_home() -> Result<PathBuf, Failure> {
    if let Some(data) = environment("XDG_DATA_HOME").filter(|path| Path::new(path).is_absolute()) {
        return Ok(Path::new(&data).join("unwipe"));
    }
    environment("HOME").map(|home| Path::new(&home).join(".local/share/unwipe")).ok_or_else(|| {
        Failure::new(Exit::Usage, "there is no home folder").hint("give --home FOLDER, or set UNWIPE_HOME")
    })
}
