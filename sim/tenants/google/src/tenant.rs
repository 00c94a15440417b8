//! Everything that is in a simulated domain.

use std::{fmt, net::Ipv4Addr, sync::Arc};

use model::Moment;
use ports::{Clock, Random};

use crate::{
    Activity, Fault, Settings, Traffic,
    audit::{Audit, Parameter},
    calendar::Calendars,
    call::Call,
    directory::Directory,
    drive::Drive,
    faults::Faults,
    gmail::Mailboxes,
    oauth::Oauth,
    people::People,
    quota::Quota,
    reports::Reports,
    seed, text,
    upload::Uploads,
};

/// The simulated domain. What is public here looks into it, or changes it behind the API's back.
pub struct Tenant {
    pub(crate) settings: Settings,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    /// The simulator's address, without a slash at its end.
    pub(crate) url: String,
    /// What has happened before the simulator was started has happened before this.
    pub(crate) anchor: Moment,
    /// When the simulator was started.
    pub(crate) started: Moment,
    pub(crate) oauth: Oauth,
    pub(crate) quota: Quota,
    pub(crate) faults: Faults,
    pub(crate) audit: Audit,
    pub(crate) traffic: Traffic,
    pub(crate) directory: Directory,
    pub(crate) drive: Drive,
    pub(crate) uploads: Uploads,
    /// Names and addresses of people with whom everybody writes, inside and outside of the domain.
    pub(crate) correspondents: Arc<Vec<(String, String)>>,
    pub(crate) mailboxes: Mailboxes,
    pub(crate) calendar: Calendars,
    pub(crate) people: People,
    pub(crate) reports: Reports,
}

impl fmt::Debug for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tenant")
            .field("url", &self.url)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Tenant {
    /// Makes a domain and furnishes it.
    pub(crate) fn new(
        settings: Settings,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        url: String,
    ) -> Self {
        let started = clock.now();
        let anchor = settings.anchor.unwrap_or(started);
        let mut tenant = Self {
            directory: Directory::new(&settings),
            drive: Drive::new(&settings),
            settings,
            clock,
            random,
            url,
            anchor,
            started,
            oauth: Oauth::default(),
            quota: Quota::default(),
            faults: Faults::default(),
            audit: Audit::default(),
            traffic: Traffic::default(),
            uploads: Uploads::default(),
            correspondents: Arc::default(),
            mailboxes: Mailboxes::new(),
            calendar: Calendars::default(),
            people: People::default(),
            reports: Reports::default(),
        };
        seed::furnish(&mut tenant);
        tenant
    }

    /// Returns the time in the domain.
    pub fn now(&self) -> Moment {
        self.clock.now()
    }

    /// Returns the settings; changes take effect with the next call.
    pub const fn settings_mut(&mut self) -> &mut Settings {
        &mut self.settings
    }

    /// Adds a fault and returns its number, by which [`Tenant::faults_served_by`] counts.
    pub fn fault(&mut self, fault: Fault) -> usize {
        self.faults.add(fault)
    }

    /// Lifts all faults; their counts stay.
    pub fn lift_faults(&mut self) {
        self.faults.lift();
    }

    /// Returns how many calls met this fault.
    pub fn faults_served_by(&self, number: usize) -> u64 {
        self.faults.served_by(number)
    }

    /// Returns how many calls met any fault.
    pub const fn faults_served(&self) -> u64 {
        self.faults.served()
    }

    /// Returns what was asked so far.
    pub const fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// Forgets what was asked so far.
    pub fn clear_traffic(&mut self) {
        self.traffic.clear();
    }

    /// Returns how many units of quota a user has spent with a service: `gmail`.
    pub fn spent(&self, service: &str, user: &str) -> u64 {
        self.directory.user(user).map_or(0, |user| self.quota.spent(service, &user.id))
    }

    /// Returns how many calls were refused for want of quota.
    pub const fn quota_refusals(&self) -> u64 {
        self.quota.refusals()
    }

    /// Returns everything that was done, whether the audit log shows it already or not: application by
    /// application, in the order in which it happened.
    pub fn activities(&self) -> impl Iterator<Item = &Activity> {
        self.audit.all()
    }

    /// Returns what the audit log of an application (`drive`) shows by now, the newest first.
    pub fn visible_activities(&self, application: &str) -> Vec<&Activity> {
        self.audit.visible(application, self.now())
    }

    /// Notes what a person did in the web interface, where no call is seen.
    pub(crate) fn note_of_person(
        &mut self,
        user: &str,
        (application, kind, name): (&'static str, &'static str, &'static str),
        parameters: Vec<Parameter>,
    ) {
        let Some(user) = self.directory.user(user) else { return };
        let activity = Activity {
            time: self.now(),
            qualifier: 0,
            application,
            actor: text::shared(&user.primary_email),
            profile: Arc::clone(&user.id),
            client_id: None,
            client_name: None,
            impersonation: false,
            address: Ipv4Addr::LOCALHOST.into(),
            kind,
            name,
            parameters,
        };
        self.audit.add(&self.settings.audit, self.settings.seed, activity);
    }

    /// Notes an event of a call in the log of an application: `drive`, `access`, `trash`.
    pub(crate) fn note(
        &mut self,
        call: &Call,
        application: &'static str,
        kind: &'static str,
        name: &'static str,
        parameters: Vec<Parameter>,
    ) {
        self.note_row(call, application, kind, name, parameters);
    }

    /// Notes an event like [`Tenant::note`] and returns its number in the audit log.
    pub(crate) fn note_row(
        &mut self,
        call: &Call,
        application: &'static str,
        kind: &'static str,
        name: &'static str,
        parameters: Vec<Parameter>,
    ) -> u64 {
        let activity = Activity {
            time: call.now,
            qualifier: 0,
            application,
            actor: Arc::clone(&call.caller.email),
            profile: Arc::clone(&call.caller.user),
            client_id: Some(Arc::clone(&call.caller.client_id)),
            client_name: Some(Arc::clone(&call.caller.client_name)),
            impersonation: call.caller.impersonation,
            address: call.address,
            kind,
            name,
            parameters,
        };
        self.audit.add(&self.settings.audit, self.settings.seed, activity)
    }
}
