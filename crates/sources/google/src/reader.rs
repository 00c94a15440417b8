//! The reader of a Workspace domain.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use connect::{
    ChangeSink, Cursor, FileOf, Finding, Progress, ReadEnd, ReadError, SourceReader, Stop,
    units::{Unit, UnitError, UnitSettings, UnitSink, Units},
};
use connect_http::{TokenCache, Transport};
use google_api::{
    ApiError, ApiParts, ApiSettings, Method, ReadApi, ServiceAccountKey, ServiceAccountTokens, method,
};
use model::{NameError, StreamName};
use ports::{Clock, Random};
use serde::{Deserialize, Serialize};

use crate::{
    audit,
    audit::{AuditParts, AuditSettings},
    calendar::{Calendars, calendar_stream},
    contacts::{Contacts, contacts_stream},
    directory,
    directory::Directory,
    drive,
    drive::{Files, Formats, SharedDrive, SharedDrives, Tools, list_shared_drives, shared_drive_unit},
    failure::{is_passing, unit_error},
    gmail::{Mailbox, mailbox_stream},
    retries::Retries,
    rounds::Rounds,
    user::User,
};

/// Settings, labels and what failed are looked at again after so long.
const ROUND: Duration = Duration::from_hours(1);
/// The directory is listed again after so long.
const DIRECTORY_ROUND: Duration = Duration::from_mins(1);
/// The audit log is looked at again after so long.
const AUDIT_ROUND: Duration = Duration::from_secs(15);
/// Calendars and contacts are looked at again after so long: their quotas are small.
const SLOW_ROUND: Duration = Duration::from_mins(1);
/// Asking what changed may take so much of the units of a day; the rest is for fetching it.
const POLLING_PERCENT: u64 = 50;
/// Asking who is in shared drives may take so much.
const SHARING_PERCENT: u64 = 20;

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
    directory_rounds: Rounds,
    slow_rounds: Rounds,
    formats: Arc<Formats>,
    every: Option<Duration>,
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
            retries: Arc::new(Retries::new(Arc::clone(&clock))),
            directory_rounds: Rounds::new(Arc::clone(&clock), DIRECTORY_ROUND),
            slow_rounds: Rounds::new(clock, SLOW_ROUND),
            formats: Arc::default(),
            units: Units::new(units),
            settings,
            client_id,
            transport,
            tokens,
            progress,
            every: None,
        }
    }

    /// Lets it read again and again, with so much time between the beginnings of two looks.
    #[must_use]
    pub const fn every(mut self, period: Duration) -> Self {
        self.every = Some(period);
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

    fn pass(
        &mut self,
        api: &Arc<ReadApi>,
        sink: &mut dyn ChangeSink,
        stop: &Stop,
        domain: &mut Domain,
    ) -> Result<ReadEnd, ReadError> {
        let mut units: Vec<Box<dyn Unit>> = Vec::new();
        if (self.directory_rounds.is_due("directory") || domain.users.is_empty())
            && self.list(api, domain, &mut units)? == ReadEnd::Stopped
        {
            return Ok(ReadEnd::Stopped);
        }
        let tools = Tools {
            api: Arc::clone(api),
            rounds: Arc::clone(&self.rounds),
            formats: Arc::clone(&self.formats),
            clock: Arc::clone(&self.settings.clock),
        };
        let drives = domain.users.iter().filter(|user| !user.is_suspended).count() + domain.drives.len();
        let mailboxes = domain.users.iter().filter(|user| user.has_mailbox && !user.is_suspended).count();
        let due = Due {
            mail: self.is_polled("mailboxes", &method::GMAIL_HISTORY_LIST, mailboxes),
            files: self.is_polled("drives", &method::DRIVE_CHANGES_LIST, drives),
        };
        for user in &domain.users {
            self.units_of(user, &tools, due, &mut units)?;
        }
        for drive in domain.drives.iter().filter(|_| due.files) {
            units.extend(self.shared_drive(&tools, drive)?);
        }
        if self.settings.parts.contains(&Part::Audit) && self.slow_rounds.is_due_after("audit", AUDIT_ROUND) {
            units.extend(audit::units(self.audit_parts(api)).map(|unit| Box::new(unit) as Box<dyn Unit>));
        }
        self.progress.counted_phase("reading the domain", Some(units.len() as u64));
        let report = self.units.read(&units, sink, stop, &*self.progress)?;
        Ok(if report.stopped { ReadEnd::Stopped } else { ReadEnd::UpToDate })
    }

    /// Tells whether it is time to ask so many things of one kind what changed: they share the units of a day, of which this
    /// may take so many percent.
    fn is_due(&self, name: &str, method: &Method, count: usize, percent: u64) -> bool {
        self.rounds.is_due_after(name, self.settings.api.pause(method, count as u64, percent))
    }

    /// The same for what whoever reads once reads in any case.
    fn is_polled(&self, name: &str, method: &Method, count: usize) -> bool {
        self.is_due(name, method, count, POLLING_PERCENT) || self.every.is_none()
    }

    /// Adds the units of one user that are to be read now.
    fn units_of(
        &self,
        user: &User,
        tools: &Tools,
        due: Due,
        units: &mut Vec<Box<dyn Unit>>,
    ) -> Result<(), ReadError> {
        let parts = &self.settings.parts;
        let slow = self.slow_rounds.is_due_in_turn(&user.id);
        let own = || (Arc::clone(&tools.api), Arc::clone(&self.rounds), user.clone());
        let named =
            |stream: Result<StreamName, NameError>| stream.map_err(|error| unnamed(&user.email, error));
        if parts.contains(&Part::Gmail) && user.has_mailbox && due.mail {
            let (api, rounds, own) = own();
            let rounds = (rounds, Arc::clone(&self.retries));
            units.push(Self::unit(user, Mailbox::new(api, rounds, own, named(mailbox_stream(&user.email))?)));
        }
        if parts.contains(&Part::Drive) && due.files {
            let files = Files::of_user(tools.clone(), user);
            units.push(Self::unit(user, files.map_err(|error| unnamed(&user.email, error))?));
        }
        if parts.contains(&Part::Calendar) && slow {
            let (api, rounds, own) = own();
            units.push(Self::unit(
                user,
                Calendars::new(api, rounds, own, named(calendar_stream(&user.email))?),
            ));
        }
        if parts.contains(&Part::Contacts) && slow {
            let (api, rounds, own) = own();
            units.push(Self::unit(
                user,
                Contacts::new(api, rounds, own, named(contacts_stream(&user.email))?),
            ));
        }
        Ok(())
    }

    /// Lists the users and the shared drives, and adds the units of these lists; says whether it was asked to end.
    fn list(
        &self,
        api: &Arc<ReadApi>,
        domain: &mut Domain,
        units: &mut Vec<Box<dyn Unit>>,
    ) -> Result<ReadEnd, ReadError> {
        let admin = &self.settings.admin;
        let documents = match directory::list_users(api, admin) {
            Ok(documents) => documents,
            Err(ApiError::Stopped) => return Ok(ReadEnd::Stopped),
            // The users who are known are read all the same.
            Err(error) if !domain.users.is_empty() && is_passing(&error) => {
                units.push(Box::new(Hindered::by("directory", unit_error(&error))));
                return Ok(ReadEnd::UpToDate);
            }
            Err(error) => return Err(read_error(&error)),
        };
        let wanted =
            |user: &User| self.settings.users.is_empty() || self.settings.users.contains(&user.email);
        domain.users = documents.iter().filter_map(User::of).filter(wanted).collect();
        if self.settings.parts.contains(&Part::Directory) {
            let (admin, stream) = (admin.clone(), stream("directory")?);
            units.push(Box::new(Directory { api: Arc::clone(api), admin, stream, users: documents }));
        }
        if self.settings.parts.contains(&Part::Drive)
            && self.is_due(
                "shared-drives",
                &method::DRIVE_PERMISSIONS_LIST,
                domain.drives.len(),
                SHARING_PERCENT,
            )
        {
            match list_shared_drives(api, admin, &domain.users) {
                Ok(drives) => {
                    let (admin, stream) = (admin.clone(), stream("shared-drives")?);
                    domain.drives.clone_from(&drives);
                    units.push(Box::new(SharedDrives {
                        api: Arc::clone(api),
                        admin,
                        stream,
                        clock: Arc::clone(&self.settings.clock),
                        drives,
                    }));
                }
                Err(ApiError::Stopped) => return Ok(ReadEnd::Stopped),
                // The drives that are known are read all the same.
                Err(error) => units.push(Box::new(Hindered::by("shared-drives", unit_error(&error)))),
            }
        }
        Ok(ReadEnd::UpToDate)
    }

    fn audit_parts(&self, api: &Arc<ReadApi>) -> AuditParts {
        AuditParts {
            api: Arc::clone(api),
            rounds: Arc::clone(&self.rounds),
            clock: Arc::clone(&self.settings.clock),
            admin: self.settings.admin.clone(),
            client_id: self.client_id.clone(),
            settings: self.settings.audit,
        }
    }

    /// Makes the unit of a shared drive. When only some users are read, drives are left out in which none of them is.
    fn shared_drive(&self, tools: &Tools, drive: &SharedDrive) -> Result<Option<Box<dyn Unit>>, ReadError> {
        let Some((member, organizer)) = &drive.reader else {
            if !self.settings.users.is_empty() {
                return Ok(None);
            }
            let hint = format!(
                "in the Admin console, Apps, Google Workspace, Drive and Docs, Manage shared drives: add a user of the \
                 domain to it as Manager, for instance {}",
                self.settings.admin
            );
            let blinded = UnitError::Blinded {
                detail: "no active user of the domain is a member of this shared drive".to_owned(),
                hint: Some(hint),
            };
            return Ok(Some(Box::new(Hindered::by(&shared_drive_unit(&drive.id), blinded))));
        };
        let files = Files::of_shared_drive(tools.clone(), &drive.id, member, *organizer);
        Ok(Some(Box::new(files.map_err(|error| unnamed(&drive.id, error))?)))
    }

    /// Puts something else in place of the unit of a user in whose name nobody may act: asking for a token every time
    /// would end the same way.
    fn unit(user: &User, unit: impl Unit + 'static) -> Box<dyn Unit> {
        if !user.is_suspended {
            return Box::new(unit);
        }
        let suspended = UnitError::Blinded {
            detail: "the account is suspended".to_owned(),
            hint: Some("what was captured before stays; to capture again, restore the account".to_owned()),
        };
        Box::new(Hindered::by(unit.name(), suspended))
    }

    /// Finds out whether the domain can be read: each scope is tried with a call that reads as little as possible.
    pub fn check(&self) -> Vec<Finding> {
        crate::check::check(&self.api(&Stop::default()), &self.settings)
    }
}

impl SourceReader for GoogleReader {
    fn files(&self) -> Option<FileOf> {
        Some(drive::file_of)
    }

    fn changes(
        &mut self,
        _cursor: Option<&Cursor>,
        sink: &mut dyn ChangeSink,
        stop: &Stop,
    ) -> Result<ReadEnd, ReadError> {
        let api = self.api(stop);
        let mut domain = Domain::default();
        loop {
            let begun = self.settings.clock.elapsed();
            if self.pass(&api, sink, stop, &mut domain)? == ReadEnd::Stopped {
                return Ok(ReadEnd::Stopped);
            }
            let Some(every) = self.every else { return Ok(ReadEnd::UpToDate) };
            // A look that took longer is followed by the next one after a moment's rest.
            let took = self.settings.clock.elapsed().saturating_sub(begun);
            let pause = every.saturating_sub(took).max(every / 10);
            if !stop.wait(&*self.settings.clock, pause) {
                return Ok(ReadEnd::Stopped);
            }
        }
    }
}

/// What is looked at in a pass of what shares the units of a day.
#[derive(Debug, Clone, Copy)]
struct Due {
    /// Mailboxes.
    mail: bool,
    /// Drives.
    files: bool,
}

/// What there is to be read, as it was last listed.
#[derive(Default)]
struct Domain {
    users: Vec<User>,
    drives: Vec<SharedDrive>,
}

/// Stands in place of a unit of which it is known beforehand that it cannot be read.
struct Hindered {
    name: String,
    why: Mutex<Option<UnitError>>,
}

impl Hindered {
    fn by(name: &str, why: UnitError) -> Self {
        Self { name: name.to_owned(), why: Mutex::new(Some(why)) }
    }
}

impl Unit for Hindered {
    fn name(&self) -> &str {
        &self.name
    }

    fn read(&self, _position: Option<&str>, _sink: &mut UnitSink<'_>) -> Result<(), UnitError> {
        // It is read once: units are made anew for each pass.
        let why = self.why.lock().unwrap_or_else(PoisonError::into_inner).take();
        Err(why.unwrap_or(UnitError::Stopped))
    }
}

fn stream(name: &str) -> Result<StreamName, ReadError> {
    StreamName::new(name).map_err(|error| unnamed(name, error))
}

fn unnamed(name: &str, error: NameError) -> ReadError {
    ReadError::Source {
        message: format!("the stream of {name:?} cannot be named"),
        hint: None,
        transient: false,
        source: Some(Box::new(error)),
    }
}

fn read_error(error: &ApiError) -> ReadError {
    match unit_error(error) {
        UnitError::Source(error) => error,
        UnitError::Blinded { detail, hint } => ReadError::Source {
            message: format!("the domain's users cannot be listed: {detail}"),
            hint,
            transient: false,
            source: None,
        },
        UnitError::Failed { detail } => ReadError::Source {
            message: format!("the domain's users cannot be listed: {detail}"),
            hint: None,
            transient: true,
            source: None,
        },
        UnitError::Stopped => ReadError::Source {
            message: "the read was asked to end".to_owned(),
            hint: None,
            transient: true,
            source: None,
        },
    }
}
