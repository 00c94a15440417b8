//! PostgreSQL: from what is stored to servers of our own.

use std::{path::PathBuf, time::Duration};

use connect::{Progress, Stored};
use model::SourceName;
use postgres_recovery::{
    ClusterHistory, RecoveryRoute, Resolution, Target,
    resolve::resolve,
    scratch::{Scratch, ScratchOptions, scratch_at},
};
use postgres_server::{Account, Installation as Programs, Installations, shadow::Shadow};
use postgres_wire::{Connection, ConnectionSettings, Limits, Mode};
use service::{Installation, StoredSource};

use crate::{connectors::postgres::PostgresConfig, context::Context, exit::Exit, failure::Failure};

/// How long replay may take before it counts as stuck.
pub(crate) const REPLAY_TIMEOUT: Duration = Duration::from_hours(6);

/// A protected cluster as it is stored, with what is needed to bring it back.
pub(crate) struct StoredCluster<'c> {
    context: &'c Context,
    pub(crate) name: SourceName,
    pub(crate) stored: StoredSource,
    pub(crate) history: ClusterHistory,
    pub(crate) account: Account,
    installations: Installations,
    scratch_folder: PathBuf,
    shadow_folder: PathBuf,
    superuser: String,
}

impl<'c> StoredCluster<'c> {
    /// Opens what is stored of a source.
    pub(crate) fn open(
        context: &'c Context,
        installation: &Installation,
        name: &SourceName,
        stored: StoredSource,
    ) -> Result<Self, Failure> {
        let (_, source) = installation.config().source(name.as_str())?;
        let config = PostgresConfig::of(name, source)?;
        let history = ClusterHistory::read(&stored).map_err(|error| {
            Failure::because(Exit::Failed, format!("the history of {name} cannot be read"), error)
        })?;
        let account = server_account()?;
        Ok(Self {
            context,
            name: name.clone(),
            history,
            account,
            installations: find_servers(&installation.config().restore.server_folders),
            scratch_folder: installation.scratch_folder(),
            shadow_folder: installation.scratch_folder().join("shadow").join(name.as_str()),
            superuser: config.superuser().to_owned(),
            stored,
        })
    }

    /// Returns what is stored, as connectors read it.
    pub(crate) fn stored(&self) -> &dyn Stored {
        &self.stored
    }

    /// Returns the database programs of this machine.
    pub(crate) const fn installations(&self) -> &Installations {
        &self.installations
    }

    /// Finds the exact position of a moment that a person named, and the way there.
    pub(crate) fn resolve(&self, text: &str) -> Result<Resolution, Failure> {
        let target: Target = text.parse().map_err(|error: postgres_recovery::TargetError| {
            let hint = error.hint();
            Failure::because(Exit::Usage, "the moment cannot be understood", error).hint(hint)
        })?;
        resolve(self.stored(), &self.history, target, None).map_err(|error| {
            let hint = error.hint();
            Failure::because(Exit::Nothing, format!("{} cannot be brought back to {text}", self.name), error)
                .hint_opt(hint)
        })
    }

    /// Finds the programs of the cluster's own major version.
    pub(crate) fn programs(&self, route: &RecoveryRoute) -> Result<Programs, Failure> {
        self.installations.find(route.base.base.major).cloned().map_err(|error| {
            let hint = error.hint();
            Failure::because(Exit::Failed, "there is no server to run the restored data", error)
                .hint_opt(hint)
        })
    }

    /// Finds a `pg_dump` that reads servers of the cluster's major version.
    pub(crate) fn pg_dump(&self, route: &RecoveryRoute) -> Option<PathBuf> {
        self.installations.newest_pg_dump_for(route.base.base.major).ok()
    }

    /// Returns a folder for something short-lived.
    pub(crate) fn fresh_folder(&self, purpose: &str) -> Result<PathBuf, Failure> {
        let suffix = self.context.random_text::<6>();
        ports::files::create_folder(&self.scratch_folder)?;
        Ok(self.scratch_folder.join(format!("{purpose}-{suffix}")))
    }

    /// Returns where the shadow lives.
    pub(crate) fn shadow_folder(&self) -> &PathBuf {
        &self.shadow_folder
    }

    /// Opens the shadow, where there is one.
    pub(crate) fn shadow(&self, programs: &Programs) -> Result<Option<Shadow>, Failure> {
        if !self.shadow_folder.is_dir() {
            return Ok(None);
        }
        Shadow::open(&self.shadow_folder, programs.clone(), self.account.clone(), self.context.clock())
            .map(Some)
            .map_err(|error| {
                let hint = error.hint();
                Failure::because(Exit::Failed, "the shadow cannot be used", error).hint_opt(hint)
            })
    }

    /// Makes a scratch server at the end of a route.
    pub(crate) fn scratch(&self, route: &RecoveryRoute, progress: &dyn Progress) -> Result<Scratch, Failure> {
        let programs = self.programs(route)?;
        let shadow = self.shadow(&programs)?;
        let options = ScratchOptions {
            installation: programs,
            account: self.account.clone(),
            folder: self.fresh_folder("scratch")?,
            timeout: REPLAY_TIMEOUT,
            clock: self.context.clock(),
        };
        scratch_at(self.stored(), &self.history, shadow.as_ref(), route, &options, progress).map_err(
            |error| {
                let hint = error.hint();
                Failure::because(Exit::Failed, "no scratch server could be made", error).hint_opt(hint)
            },
        )
    }

    /// Connects to a database of a scratch server as its superuser.
    pub(crate) fn connect_scratch(&self, scratch: &Scratch, database: &str) -> Result<Connection, Failure> {
        self.connect(&scratch.url(&self.superuser, database))
    }

    /// Returns the address of a database of a scratch server.
    pub(crate) fn scratch_url(&self, scratch: &Scratch, database: &str) -> String {
        scratch.url(&self.superuser, database)
    }

    /// Connects to a server of our own.
    pub(crate) fn connect(&self, url: &str) -> Result<Connection, Failure> {
        let settings = ConnectionSettings::from_url(url).map_err(|error| {
            Failure::because(Exit::Failed, "the private server has no usable address", error)
        })?;
        Connection::connect(&settings, Mode::Sql, &Limits::default(), self.context.clock()).map_err(|error| {
            let hint = error.hint();
            Failure::because(Exit::Failed, "the private server cannot be reached", error).hint_opt(hint)
        })
    }
}

/// Finds the database programs of this machine: in the named folders, beside the program itself, in packages.
pub(crate) fn find_servers(named: &[PathBuf]) -> Installations {
    let base = std::env::current_exe().ok().and_then(|program| {
        program.ancestors().find(|folder| folder.join(".tools").is_dir()).map(std::path::Path::to_owned)
    });
    Installations::discover(&Installations::standard_folders(named, base.as_deref()))
}

/// Chooses the account that database servers run under.
pub(crate) fn server_account() -> Result<Account, Failure> {
    Account::for_servers(Account::USUAL_NAME).map_err(|error| {
        let hint = error.hint();
        Failure::because(Exit::Failed, "no account can run a database server", error).hint_opt(hint)
    })
}

/// Splits `SOURCE@MOMENT`; without a moment it is the newest one.
pub(crate) fn source_and_moment(what: &str) -> (&str, &str) {
    what.split_once('@').map_or((what, "latest"), |(source, moment)| (source, moment))
}
