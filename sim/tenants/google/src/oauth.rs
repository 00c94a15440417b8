//! Tokens: who may call in whose name, with which scopes, and for how long.
//!
//! Two ways lead to an access token: a service account signs that it acts for a user (domain-wide delegation), or a
//! program that a user has once agreed to trades its refresh token.

mod account;
mod assertion;
mod endpoint;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use model::Moment;

pub(crate) use account::Accounts;
pub use account::ServiceAccount;
pub(crate) use endpoint::ROUTES;

use crate::{audit::Parameter, tenant::Tenant, text};

/// Scopes by their full names.
#[expect(missing_docs, reason = "each is documented by its value")]
pub mod scopes {
    pub const MAIL: &str = "https://mail.google.com/";
    pub const GMAIL_READONLY: &str = "https://www.googleapis.com/auth/gmail.readonly";
    pub const GMAIL_METADATA: &str = "https://www.googleapis.com/auth/gmail.metadata";
    pub const GMAIL_MODIFY: &str = "https://www.googleapis.com/auth/gmail.modify";
    pub const GMAIL_INSERT: &str = "https://www.googleapis.com/auth/gmail.insert";
    pub const GMAIL_LABELS: &str = "https://www.googleapis.com/auth/gmail.labels";
    pub const GMAIL_COMPOSE: &str = "https://www.googleapis.com/auth/gmail.compose";
    pub const GMAIL_SEND: &str = "https://www.googleapis.com/auth/gmail.send";
    pub const GMAIL_SETTINGS_BASIC: &str = "https://www.googleapis.com/auth/gmail.settings.basic";
    pub const GMAIL_SETTINGS_SHARING: &str = "https://www.googleapis.com/auth/gmail.settings.sharing";
    pub const DRIVE: &str = "https://www.googleapis.com/auth/drive";
    pub const DRIVE_READONLY: &str = "https://www.googleapis.com/auth/drive.readonly";
    pub const CALENDAR: &str = "https://www.googleapis.com/auth/calendar";
    pub const CALENDAR_READONLY: &str = "https://www.googleapis.com/auth/calendar.readonly";
    pub const CALENDAR_EVENTS: &str = "https://www.googleapis.com/auth/calendar.events";
    pub const CALENDAR_EVENTS_READONLY: &str = "https://www.googleapis.com/auth/calendar.events.readonly";
    pub const CALENDAR_CALENDARS: &str = "https://www.googleapis.com/auth/calendar.calendars";
    pub const CALENDAR_CALENDARS_READONLY: &str =
        "https://www.googleapis.com/auth/calendar.calendars.readonly";
    pub const CALENDAR_LIST: &str = "https://www.googleapis.com/auth/calendar.calendarlist";
    pub const CALENDAR_LIST_READONLY: &str = "https://www.googleapis.com/auth/calendar.calendarlist.readonly";
    pub const CALENDAR_ACLS: &str = "https://www.googleapis.com/auth/calendar.acls";
    pub const CALENDAR_ACLS_READONLY: &str = "https://www.googleapis.com/auth/calendar.acls.readonly";
    pub const CALENDAR_SETTINGS_READONLY: &str = "https://www.googleapis.com/auth/calendar.settings.readonly";
    pub const CONTACTS: &str = "https://www.googleapis.com/auth/contacts";
    pub const CONTACTS_READONLY: &str = "https://www.googleapis.com/auth/contacts.readonly";
    pub const CONTACTS_OTHER_READONLY: &str = "https://www.googleapis.com/auth/contacts.other.readonly";
    pub const DIRECTORY_READONLY: &str = "https://www.googleapis.com/auth/directory.readonly";
    pub const USER: &str = "https://www.googleapis.com/auth/admin.directory.user";
    pub const USER_READONLY: &str = "https://www.googleapis.com/auth/admin.directory.user.readonly";
    pub const USER_ALIAS: &str = "https://www.googleapis.com/auth/admin.directory.user.alias";
    pub const USER_ALIAS_READONLY: &str =
        "https://www.googleapis.com/auth/admin.directory.user.alias.readonly";
    pub const USER_SECURITY: &str = "https://www.googleapis.com/auth/admin.directory.user.security";
    pub const GROUP: &str = "https://www.googleapis.com/auth/admin.directory.group";
    pub const GROUP_READONLY: &str = "https://www.googleapis.com/auth/admin.directory.group.readonly";
    pub const MEMBER: &str = "https://www.googleapis.com/auth/admin.directory.group.member";
    pub const MEMBER_READONLY: &str = "https://www.googleapis.com/auth/admin.directory.group.member.readonly";
    pub const ORGUNIT: &str = "https://www.googleapis.com/auth/admin.directory.orgunit";
    pub const ORGUNIT_READONLY: &str = "https://www.googleapis.com/auth/admin.directory.orgunit.readonly";
    pub const ROLES: &str = "https://www.googleapis.com/auth/admin.directory.rolemanagement";
    pub const ROLES_READONLY: &str =
        "https://www.googleapis.com/auth/admin.directory.rolemanagement.readonly";
    pub const REPORTS_READONLY: &str = "https://www.googleapis.com/auth/admin.reports.audit.readonly";

    /// What a backup needs: everything is read, nothing is changed.
    pub const READING: &[&str] = &[
        GMAIL_READONLY,
        GMAIL_SETTINGS_BASIC,
        DRIVE_READONLY,
        CALENDAR_READONLY,
        CALENDAR_ACLS_READONLY,
        CONTACTS_READONLY,
        CONTACTS_OTHER_READONLY,
        DIRECTORY_READONLY,
        USER_READONLY,
        USER_SECURITY,
        GROUP_READONLY,
        MEMBER_READONLY,
        ORGUNIT_READONLY,
        ROLES_READONLY,
        REPORTS_READONLY,
    ];

    /// What a restore needs besides; permanent deletion of mail is not among it.
    pub const WRITING: &[&str] = &[
        GMAIL_READONLY,
        GMAIL_INSERT,
        GMAIL_LABELS,
        GMAIL_MODIFY,
        GMAIL_COMPOSE,
        GMAIL_SETTINGS_BASIC,
        GMAIL_SETTINGS_SHARING,
        DRIVE,
        CALENDAR,
        CALENDAR_EVENTS,
        CALENDAR_CALENDARS,
        CALENDAR_LIST,
        CALENDAR_ACLS,
        CONTACTS,
        USER,
        GROUP,
        MEMBER,
        ORGUNIT,
    ];
}

/// What an access token stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Session {
    /// The id of the user who acts; of a service account without a user its client id.
    pub(crate) user: Arc<str>,
    /// That user's mail address.
    pub(crate) email: Arc<str>,
    /// The OAuth client.
    pub(crate) client_id: Arc<str>,
    /// Its name.
    pub(crate) client_name: Arc<str>,
    /// The number of the client's Cloud project.
    pub(crate) project: Arc<str>,
    /// Granted scopes.
    pub(crate) scopes: BTreeSet<String>,
    /// Whether a service account acts in the user's name.
    pub(crate) impersonation: bool,
    /// From when the token is good no longer.
    pub(crate) expires: Moment,
}

impl Session {
    /// Tells whether one of the scopes was granted.
    pub(crate) fn has(&self, scopes: &[&str]) -> bool {
        scopes.iter().any(|scope| self.scopes.contains(*scope))
    }

    /// Who calls what anyone may call.
    pub(crate) fn anonymous() -> Self {
        let none = text::shared("");
        Self {
            user: Arc::clone(&none),
            email: Arc::clone(&none),
            client_id: Arc::clone(&none),
            client_name: Arc::clone(&none),
            project: none,
            scopes: BTreeSet::new(),
            impersonation: false,
            expires: Moment::from_micros(0),
        }
    }
}

/// A program of somebody else, to which users give access: an agent, an add-on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct App {
    /// The client id; what precedes its first dash is the number of its Cloud project.
    pub client_id: String,
    /// The secret with which it trades refresh tokens.
    pub client_secret: String,
    /// Its name, as users see it.
    pub display_text: String,
    /// Whether it is installed on users' devices.
    pub native: bool,
}

/// A user's consent to a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The user's id.
    pub user: Arc<str>,
    /// The program.
    pub app: App,
    /// What it may do.
    pub scopes: BTreeSet<String>,
    /// What it trades for access tokens.
    pub refresh_token: String,
}

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Oauth {
    sessions: HashMap<String, Arc<Session>>,
    grants: Vec<Grant>,
    /// Numeric client id of a service account to the scopes with which it may act for anybody in the domain.
    delegations: BTreeMap<String, BTreeSet<String>>,
    pub(crate) accounts: Accounts,
}

impl Oauth {
    /// Returns what a token stands for, if it is good.
    pub(crate) fn session(&self, token: &str, now: Moment) -> Option<Arc<Session>> {
        self.sessions.get(token).filter(|session| now < session.expires).map(Arc::clone)
    }

    /// Makes a token good no longer.
    pub(crate) fn forget(&mut self, token: &str) -> bool {
        self.sessions.remove(token).is_some()
    }

    /// Returns a user's consents.
    pub(crate) fn grants_of<'a>(&'a self, user: &'a str) -> impl Iterator<Item = &'a Grant> {
        self.grants.iter().filter(move |grant| &*grant.user == user)
    }

    /// Withdraws a user's consent to a program, with the access tokens that came of it if they do not outlive it.
    pub(crate) fn withdraw(&mut self, user: &str, client_id: &str, tokens_outlive: bool) -> bool {
        let before = self.grants.len();
        self.grants.retain(|grant| &*grant.user != user || grant.app.client_id != client_id);
        if !tokens_outlive {
            self.sessions.retain(|_, session| &*session.user != user || &*session.client_id != client_id);
        }
        self.grants.len() != before
    }

    /// Withdraws whatever acts for a user, as suspension and deletion do.
    pub(crate) fn sign_out(&mut self, user: &str) {
        self.sessions.retain(|_, session| &*session.user != user);
    }

    fn keep(&mut self, token: String, session: Session, now: Moment) {
        const SESSIONS_MAX: usize = 50_000;
        if self.sessions.len() >= SESSIONS_MAX {
            self.sessions.retain(|_, session| now < session.expires);
        }
        self.sessions.insert(token, Arc::new(session));
    }
}

impl Tenant {
    /// Allows a service account, by its numeric client id, to act for everybody with exactly these scopes. The
    /// administrator does it; the log says so.
    pub fn delegate<'a>(&mut self, client_id: &str, scopes: impl IntoIterator<Item = &'a str>) {
        let scopes: Vec<&str> = scopes.into_iter().collect();
        self.note_delegation("AUTHORIZE_API_CLIENT_ACCESS", client_id, &scopes);
        self.set_delegation(client_id, &scopes);
    }

    /// Takes that back; tokens that were given out stay good until they expire.
    pub fn undelegate(&mut self, client_id: &str) {
        let scopes = self.oauth.delegations.remove(client_id).unwrap_or_default();
        let scopes: Vec<&str> = scopes.iter().map(String::as_str).collect();
        self.note_delegation("REMOVE_API_CLIENT_ACCESS", client_id, &scopes);
    }

    /// Writes a delegation down without a word in the log.
    pub(crate) fn set_delegation(&mut self, client_id: &str, scopes: &[&str]) {
        let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        self.oauth.delegations.insert(client_id.to_owned(), scopes);
    }

    fn note_delegation(&mut self, name: &'static str, client_id: &str, scopes: &[&str]) {
        let Some(admin) = self.administrator().map(str::to_owned) else { return };
        let parameters = vec![
            Parameter::text("API_CLIENT_NAME", client_id.to_owned()),
            Parameter::text("API_SCOPES", scopes.join(",")),
            Parameter::text("DOMAIN_NAME", self.settings.domain.clone()),
        ];
        self.note_of_person(&admin, ("admin", "DOMAIN_SETTINGS", name), parameters);
    }

    /// Lets a user consent to a program; `None` when there is no such user. An earlier consent is widened, and the log
    /// says that the user did it.
    pub fn authorize(&mut self, user: &str, app: &App, scopes: &[&str]) -> Option<Grant> {
        let grant = self.consent(user, app, scopes)?;
        self.note_consent("authorize", &grant);
        Some(grant)
    }

    /// Writes a consent down without a word in the log.
    pub(crate) fn consent(&mut self, user: &str, app: &App, scopes: &[&str]) -> Option<Grant> {
        let id = Arc::clone(&self.directory.user(user)?.id);
        let mut wanted: BTreeSet<String> = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        let earlier = self.oauth.grants.iter().position(|g| g.user == id && g.app.client_id == app.client_id);
        if let Some(earlier) = earlier {
            wanted.append(&mut self.oauth.grants.remove(earlier).scopes);
        }
        let refresh_token = format!("1//{}", self.secret());
        let grant = Grant { user: id, app: app.clone(), scopes: wanted, refresh_token };
        self.oauth.grants.push(grant.clone());
        Some(grant)
    }

    /// Returns the consents of all users.
    pub fn grants(&self) -> &[Grant] {
        &self.oauth.grants
    }

    /// Gives out an access token for a consent, as trading its refresh token does.
    pub fn access_token(&mut self, grant: &Grant) -> Option<String> {
        let user = self.directory.user(&grant.user)?;
        let project = grant.app.client_id.split('-').next().unwrap_or_default();
        let session = Session {
            user: Arc::clone(&user.id),
            email: text::shared(&user.primary_email),
            client_id: text::shared(&grant.app.client_id),
            client_name: text::shared(&grant.app.display_text),
            project: text::shared(project),
            scopes: grant.scopes.clone(),
            impersonation: false,
            expires: self.token_expiry(),
        };
        Some(self.give_out(session))
    }

    fn give_out(&mut self, session: Session) -> String {
        let token = format!("ya29.{}", self.secret());
        let now = self.now();
        self.oauth.keep(token.clone(), session, now);
        token
    }

    fn token_expiry(&self) -> Moment {
        self.now().plus_micros(self.settings.token_lifetime.as_micros() as i64)
    }

    fn secret(&self) -> String {
        let mut bytes = [0; 33];
        self.random.fill(&mut bytes);
        text::base64url(&bytes)
    }
}
