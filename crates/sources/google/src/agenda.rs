//! What there is to read in a domain, and how often each of it is read.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use connect::{
    Progress, ReadError,
    units::{Planned, Unit, UnitError, UnitSink},
};
use google_api::{ApiError, Method, ReadApi, method};
use model::{NameError, StreamName};

use crate::{
    audit,
    audit::AuditParts,
    calendar::{Calendars, calendar_stream},
    contacts::{Contacts, contacts_stream},
    directory,
    directory::Directory,
    drive::{Files, Formats, SharedDrive, SharedDrives, Tools, list_shared_drives, shared_drive_unit},
    failure::{is_passing, unit_error},
    gmail::{Mailbox, mailbox_stream},
    reader::{GoogleSettings, Part},
    retries::Retries,
    rounds::{Rounds, part_of_period},
    user::User,
};

/// The directory, and who is in shared drives, is listed again after so long.
const DIRECTORY_ROUND: Duration = Duration::from_mins(1);
/// The audit log is looked at again after so long.
const AUDIT_ROUND: Duration = Duration::from_secs(15);
/// Calendars and contacts are looked at again after so long: their quotas are small.
const SLOW_ROUND: Duration = Duration::from_mins(1);
/// Mail and files that are being destroyed are looked at again after so long.
const URGENT_ROUND: Duration = Duration::from_millis(500);
/// But not more often than so many times where it is looked at once in peace.
const URGENT_PART: u32 = 20;
/// The same of what has small quotas.
const URGENT_SLOW_ROUND: Duration = Duration::from_secs(5);
/// The same of the log that says who it was, once there is an alarm.
const URGENT_AUDIT_ROUND: Duration = Duration::from_secs(2);
/// Asking what changed may take so much of the units of a day; the rest is for fetching it.
const POLLING_PERCENT: u64 = 50;
/// Asking who is in shared drives may take so much.
const SHARING_PERCENT: u64 = 20;

/// What an agenda is made of.
pub(crate) struct AgendaParts {
    pub(crate) api: Arc<ReadApi>,
    pub(crate) settings: GoogleSettings,
    /// The reader's own client.
    pub(crate) client_id: String,
    pub(crate) rounds: Arc<Rounds>,
    pub(crate) retries: Arc<Retries>,
    pub(crate) formats: Arc<Formats>,
    pub(crate) progress: Arc<dyn Progress>,
    /// So much time lies between the beginnings of two looks at the same mailbox or drive.
    pub(crate) every: Duration,
}

/// What there is to read, as it was last listed. The lists are units themselves: whoever reads one makes the new plan.
pub(crate) struct Agenda {
    parts: AgendaParts,
    tools: Tools,
    domain: Mutex<Domain>,
}

#[derive(Default)]
struct Domain {
    users: Vec<User>,
    drives: Vec<SharedDrive>,
}

/// How often something is looked at.
#[derive(Debug, Clone, Copy)]
struct Pace {
    every: Duration,
    urgent: Duration,
    /// Whether it says who did what.
    names_actors: bool,
}

impl Pace {
    const SLOW: Self = Self { every: SLOW_ROUND, urgent: URGENT_SLOW_ROUND, names_actors: false };
    const AUDIT: Self = Self { every: AUDIT_ROUND, urgent: URGENT_AUDIT_ROUND, names_actors: true };
    const DIRECTORY: Self = Self { every: DIRECTORY_ROUND, urgent: DIRECTORY_ROUND, names_actors: false };

    /// Plans a unit whose second look comes at a time that follows from its name: not all are looked at together.
    fn of(self, unit: Arc<dyn Unit>) -> Planned<'static> {
        let first = self.every.mul_f64(part_of_period(unit.name()));
        let Self { every, urgent, names_actors } = self;
        Planned { unit, every, first, urgent: Some(urgent), names_actors }
    }
}

impl Agenda {
    pub(crate) fn new(parts: AgendaParts) -> Arc<Self> {
        let tools = Tools {
            api: Arc::clone(&parts.api),
            rounds: Arc::clone(&parts.rounds),
            formats: Arc::clone(&parts.formats),
            clock: Arc::clone(&parts.settings.clock),
        };
        Arc::new(Self { parts, tools, domain: Mutex::default() })
    }

    /// Returns what is read first: the list of users, which makes the plan of everything else.
    pub(crate) fn beginning(self: &Arc<Self>) -> Vec<Planned<'static>> {
        vec![self.directory()]
    }

    fn directory(self: &Arc<Self>) -> Planned<'static> {
        let unit = Arc::new(UserList { agenda: Arc::clone(self) });
        let Pace { every, urgent, names_actors } = Pace::DIRECTORY;
        Planned { unit, every, first: every, urgent: Some(urgent), names_actors }
    }

    fn has(&self, part: Part) -> bool {
        self.parts.settings.parts.contains(&part)
    }

    fn domain(&self) -> MutexGuard<'_, Domain> {
        self.domain.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what there is, and says what is to be read from now on.
    fn set(
        self: &Arc<Self>,
        sink: &mut UnitSink<'_>,
        change: impl FnOnce(&mut Domain),
    ) -> Result<(), UnitError> {
        // Two lists may be read at a time: the plan that is said last is the one of what is known then.
        let mut domain = self.domain();
        change(&mut domain);
        let plan = self.plan(&domain).map_err(UnitError::Source)?;
        self.parts.progress.counted_phase("reading the domain", Some(plan.len() as u64));
        sink.plan(plan)
    }

    fn plan(self: &Arc<Self>, domain: &Domain) -> Result<Vec<Planned<'static>>, ReadError> {
        let mut plan = vec![self.directory()];
        let open = |user: &&User| !user.is_suspended;
        let drives = domain.users.iter().filter(open).count() + domain.drives.len();
        let mailboxes = domain.users.iter().filter(open).filter(|user| user.has_mailbox).count();
        let mail = self.feed(&method::GMAIL_HISTORY_LIST, mailboxes);
        let files = self.feed(&method::DRIVE_CHANGES_LIST, drives);
        if self.has(Part::Drive) {
            let drives = domain.drives.len();
            let pause = self.pause(&method::DRIVE_PERMISSIONS_LIST, drives, SHARING_PERCENT);
            let pace = Pace { every: pause.max(DIRECTORY_ROUND), ..Pace::DIRECTORY };
            plan.push(pace.of(Arc::new(DriveList { agenda: Arc::clone(self) })));
        }
        for user in &domain.users {
            self.units_of(user, (mail, files), &mut plan)?;
        }
        for drive in &domain.drives {
            plan.extend(self.shared_drive(drive)?.map(|unit| files.of(unit)));
        }
        if self.has(Part::Audit) {
            let units = audit::units(self.audit_parts());
            plan.extend(units.map(|unit| Pace::AUDIT.of(Arc::new(unit))));
        }
        Ok(plan)
    }

    /// Returns how often each of so many feeds is asked: they share the units of a day.
    fn feed(&self, method: &Method, count: usize) -> Pace {
        let every = self.pause(method, count, POLLING_PERCENT).max(self.parts.every);
        // Where many share the units of a day, haste is expensive as well.
        Pace { every, urgent: URGENT_ROUND.max(every / URGENT_PART), names_actors: false }
    }

    fn pause(&self, method: &Method, count: usize, percent: u64) -> Duration {
        self.parts.settings.api.pause(method, count as u64, percent)
    }

    /// Adds the units of one user.
    fn units_of(
        &self,
        user: &User,
        (mail, files): (Pace, Pace),
        plan: &mut Vec<Planned<'static>>,
    ) -> Result<(), ReadError> {
        let own = || (Arc::clone(&self.parts.api), Arc::clone(&self.parts.rounds), user.clone());
        let named =
            |stream: Result<StreamName, NameError>| stream.map_err(|error| unnamed(&user.email, error));
        if self.has(Part::Gmail) && user.has_mailbox {
            let (api, rounds, own) = own();
            let rounds = (rounds, Arc::clone(&self.parts.retries));
            let mailbox = Mailbox::new(api, rounds, own, named(mailbox_stream(&user.email))?);
            plan.push(mail.of(unit_of(user, mailbox)));
        }
        if self.has(Part::Drive) {
            let drive = Files::of_user(self.tools.clone(), user);
            plan.push(files.of(unit_of(user, drive.map_err(|error| unnamed(&user.email, error))?)));
        }
        if self.has(Part::Calendar) {
            let (api, rounds, own) = own();
            let calendars = Calendars::new(api, rounds, own, named(calendar_stream(&user.email))?);
            plan.push(Pace::SLOW.of(unit_of(user, calendars)));
        }
        if self.has(Part::Contacts) {
            let (api, rounds, own) = own();
            let contacts = Contacts::new(api, rounds, own, named(contacts_stream(&user.email))?);
            plan.push(Pace::SLOW.of(unit_of(user, contacts)));
        }
        Ok(())
    }

    fn audit_parts(&self) -> AuditParts {
        AuditParts {
            api: Arc::clone(&self.parts.api),
            rounds: Arc::clone(&self.parts.rounds),
            clock: Arc::clone(&self.parts.settings.clock),
            admin: self.parts.settings.admin.clone(),
            client_id: self.parts.client_id.clone(),
            settings: self.parts.settings.audit,
        }
    }

    /// Makes the unit of a shared drive. When only some users are read, drives are left out in which none of them is.
    fn shared_drive(&self, drive: &SharedDrive) -> Result<Option<Arc<dyn Unit>>, ReadError> {
        let Some((member, organizer)) = &drive.reader else {
            if !self.parts.settings.users.is_empty() {
                return Ok(None);
            }
            let hint = format!(
                "in the Admin console, Apps, Google Workspace, Drive and Docs, Manage shared drives: add a user of the \
                 domain to it as Manager, for instance {}",
                self.parts.settings.admin
            );
            return Ok(Some(Arc::new(Hindered {
                name: shared_drive_unit(&drive.id),
                detail: "no active user of the domain is a member of this shared drive",
                hint,
            })));
        };
        let files = Files::of_shared_drive(self.tools.clone(), &drive.id, member, *organizer);
        Ok(Some(Arc::new(files.map_err(|error| unnamed(&drive.id, error))?)))
    }
}

/// Puts something else in place of the unit of a user in whose name nobody may act: asking for a token every time would end
/// the same way.
fn unit_of(user: &User, unit: impl Unit + 'static) -> Arc<dyn Unit> {
    if !user.is_suspended {
        return Arc::new(unit);
    }
    Arc::new(Hindered {
        name: unit.name().to_owned(),
        detail: "the account is suspended",
        hint: "what was captured before stays; to capture again, restore the account".to_owned(),
    })
}

/// The list of users, and after it everything else in the directory.
struct UserList {
    agenda: Arc<Agenda>,
}

impl Unit for UserList {
    fn name(&self) -> &'static str {
        "directory"
    }

    fn read(&self, position: Option<&str>, sink: &mut UnitSink<'_>) -> Result<(), UnitError> {
        let AgendaParts { api, settings, .. } = &self.agenda.parts;
        let documents = match directory::list_users(api, &settings.admin) {
            Ok(documents) => documents,
            Err(ApiError::Stopped) => return Err(UnitError::Stopped),
            // The users who are known are read all the same.
            Err(error) if is_passing(&error) && !self.agenda.domain().users.is_empty() => {
                return Err(unit_error(&error));
            }
            Err(error) => return Err(UnitError::Source(read_error(&error))),
        };
        let wanted = |user: &User| settings.users.is_empty() || settings.users.contains(&user.email);
        let users = documents.iter().filter_map(User::of).filter(wanted).collect();
        self.agenda.set(sink, |domain| domain.users = users)?;
        if !self.agenda.has(Part::Directory) {
            return Ok(());
        }
        let (api, admin) = (Arc::clone(api), settings.admin.clone());
        Directory { api, admin, stream: stream("directory")?, users: documents }.read(position, sink)
    }
}

/// The list of shared drives.
struct DriveList {
    agenda: Arc<Agenda>,
}

impl Unit for DriveList {
    fn name(&self) -> &'static str {
        "shared-drives"
    }

    fn read(&self, position: Option<&str>, sink: &mut UnitSink<'_>) -> Result<(), UnitError> {
        let AgendaParts { api, settings, .. } = &self.agenda.parts;
        let users = self.agenda.domain().users.clone();
        // When it fails, the drives that are known are read all the same.
        let drives = list_shared_drives(api, &settings.admin, &users).map_err(|error| unit_error(&error))?;
        self.agenda.set(sink, |domain| domain.drives.clone_from(&drives))?;
        let list = SharedDrives {
            api: Arc::clone(api),
            admin: settings.admin.clone(),
            stream: stream("shared-drives")?,
            clock: Arc::clone(&settings.clock),
            drives,
        };
        list.read(position, sink)
    }
}

/// Stands in place of a unit of which it is known beforehand that it cannot be seen.
struct Hindered {
    name: String,
    detail: &'static str,
    hint: String,
}

impl Unit for Hindered {
    fn name(&self) -> &str {
        &self.name
    }

    fn read(&self, _position: Option<&str>, _sink: &mut UnitSink<'_>) -> Result<(), UnitError> {
        Err(UnitError::Blinded { detail: self.detail.to_owned(), hint: Some(self.hint.clone()) })
    }
}

fn stream(name: &str) -> Result<StreamName, UnitError> {
    StreamName::new(name).map_err(|error| UnitError::Source(unnamed(name, error)))
}

fn unnamed(name: &str, error: NameError) -> ReadError {
    ReadError::Source {
        message: format!("the stream of {name:?} cannot be named"),
        hint: None,
        transient: false,
        source: Some(Box::new(error)),
    }
}

/// Returns what it means that the users cannot be listed: nothing can be read.
fn read_error(error: &ApiError) -> ReadError {
    let (detail, hint, transient) = match unit_error(error) {
        UnitError::Source(error) => return error,
        UnitError::Blinded { detail, hint } => (detail, hint, false),
        UnitError::Failed { detail } => (detail, None, true),
        stopped @ UnitError::Stopped => (stopped.to_string(), None, true),
    };
    ReadError::Source {
        message: format!("the domain's users cannot be listed: {detail}"),
        hint,
        transient,
        source: None,
    }
}
