//! The reader of a Workspace domain.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use connect::{
    ChangeSink, Cursor, FileOf, Finding, Progress, QuotaMeter, QuotaUse, ReadEnd, ReadError, SourceReader,
    Stop, Urge,
    units::{UnitSettings, Units},
};
use connect_http::{TokenCache, Transport};
use google_api::{ApiParts, ApiSettings, ReadApi, ServiceAccountKey, ServiceAccountTokens};
use ports::{Clock, Random};
use serde::{Deserialize, Serialize};

use crate::{
    agenda::{Agenda, AgendaParts},
    audit::AuditSettings,
    drive::Formats,
    retries::Retries,
    rounds::Rounds,
};

/// Settings, labels and what failed are looked at again after so long.
const ROUND: Duration = Duration::from_hours(1);

/// What of a user is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// Users, groups, organizational units, roles.
    Directory,
    /// Mail.
    Gmail,
    /// Files: those that users own, and those of shared drives.
    Drive,
    /// Calendars, events, who may see them.
    Calendar,
    /// Contacts with their photos and groups.
    Contacts,
    /// What the audit log says that was done.
    Audit,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Directory, Self::Gmail, Self::Drive, Self::Calendar, Self::Contacts, Self::Audit];
}

/// How a domain is read.
#[derive(Clone)]
pub struct GoogleSettings {
    /// The administrator in whose name the directory is read.
    pub admin: String,
    /// What is read.
    pub parts: BTreeSet<Part>,
    /// Addresses of the only users that are read; empty for all.
    pub users: BTreeSet<String>,
    /// How Google is called.
    pub api: ApiSettings,
    /// How the audit log is read.
    pub audit: AuditSettings,
    /// How many units are read at a time.
    pub threads: usize,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub random: Arc<dyn Random>,
}

/// Reads a Workspace domain with a service account that may only read.
pub struct GoogleReader {
    settings: GoogleSettings,
    client_id: String,
    transport: Arc<dyn Transport>,
    tokens: Arc<TokenCache>,
    progress: Arc<dyn Progress>,
    units: Units,
    rounds: Arc<Rounds>,
    retries: Arc<Retries>,
    formats: Arc<Formats>,
    every: Option<Duration>,
    /// What the present reading calls with.
    calling: Arc<Calling>,
}

/// Tells of the quota that a reading takes; before the first one nothing is known.
#[derive(Default)]
struct Calling(Mutex<Option<Arc<ReadApi>>>);

impl QuotaMeter for Calling {
    fn quota_use(&self) -> Vec<QuotaUse> {
        let api = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        api.map(|api| api.quota_use()).unwrap_or_default()
    }
}

impl GoogleReader {
    /// Makes a reader that reads once.
    pub fn new(
        key: ServiceAccountKey,
        transport: Arc<dyn Transport>,
        settings: GoogleSettings,
        progress: Arc<dyn Progress>,
    ) -> Self {
        let clock = Arc::clone(&settings.clock);
        let client_id = key.client_id.clone();
        let tokens = ServiceAccountTokens::cached(key, Arc::clone(&transport), Arc::clone(&clock));
        let units = UnitSettings { threads: settings.threads, ..UnitSettings::new(Arc::clone(&clock)) };
        Self {
            rounds: Arc::new(Rounds::new(Arc::clone(&clock), ROUND)),
            retries: Arc::new(Retries::new(clock)),
            formats: Arc::default(),
            units: Units::new(units),
            settings,
            client_id,
            transport,
            tokens,
            progress,
            every: None,
            calling: Arc::default(),
        }
    }

    /// Lets it read again and again, with so much time between the beginnings of two looks at the same mailbox or drive.
    #[must_use]
    pub const fn every(mut self, period: Duration) -> Self {
        self.every = Some(period);
        self
    }

    /// Lets somebody ask that everything is looked at now, and committed.
    #[must_use]
    pub fn urged_by(mut self, urge: Urge) -> Self {
        let clock = Arc::clone(&self.settings.clock);
        let settings = UnitSettings { threads: self.settings.threads, urge, ..UnitSettings::new(clock) };
        self.units = Units::new(settings);
        self
    }

    fn api(&self, stop: &Stop) -> Arc<ReadApi> {
        let parts = ApiParts {
            transport: Arc::clone(&self.transport),
            tokens: Arc::clone(&self.tokens),
            client_id: self.client_id.clone(),
            clock: Arc::clone(&self.settings.clock),
            random: Arc::clone(&self.settings.random),
            stop: stop.clone(),
        };
        Arc::new(ReadApi::new(parts, self.settings.api.clone()))
    }

    /// Finds out whether the domain can be read: each scope is tried with a call that reads as little as possible.
    pub fn check(&self) -> Vec<Finding> {
        crate::check::check(&self.api(&Stop::default()), &self.settings)
    }
}

impl SourceReader for GoogleReader {
    fn files(&self) -> Option<FileOf> {
        Some(crate::drive::file_of)
    }

    fn meter(&self) -> Option<Arc<dyn QuotaMeter>> {
        Some(Arc::clone(&self.calling) as Arc<dyn QuotaMeter>)
    }

    fn changes(
        &mut self,
        _cursor: Option<&Cursor>,
        sink: &mut dyn ChangeSink,
        stop: &Stop,
    ) -> Result<ReadEnd, ReadError> {
        let api = self.api(stop);
        *self.calling.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&api));
        let agenda = Agenda::new(AgendaParts {
            api,
            settings: self.settings.clone(),
            client_id: self.client_id.clone(),
            rounds: Arc::clone(&self.rounds),
            retries: Arc::clone(&self.retries),
            formats: Arc::clone(&self.formats),
            progress: Arc::clone(&self.progress),
            every: self.every.unwrap_or_default(),
        });
        let plan = agenda.beginning();
        let report = match self.every {
            Some(_) => self.units.follow(plan, sink, stop, &*self.progress)?,
            None => self.units.read_plan(plan, sink, stop, &*self.progress)?,
        };
        Ok(if report.stopped { ReadEnd::Stopped } else { ReadEnd::UpToDate })
    }
}
