//! How a simulated domain is started.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use model::Moment;

use crate::{
    audit::AuditSettings, calendar::CalendarSettings, drive::DriveSettings, people::PeopleSettings,
    quota::QuotaSettings, reports::ReportsSettings,
};

const DAY: Duration = Duration::from_hours(24);

/// How much is in a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Accounts of people, the special ones among them.
    pub users: u32,
    /// Messages in each mailbox.
    pub messages: u32,
    /// Files in each drive.
    pub files: u32,
    /// Events in each calendar.
    pub events: u32,
    /// Contacts of each user.
    pub contacts: u32,
}

impl Default for Size {
    fn default() -> Self {
        Self { users: 8, messages: 60, files: 40, events: 40, contacts: 30 }
    }
}

/// How long a mailbox remembers its changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryLimits {
    /// Records older than this are forgotten.
    pub age: Duration,
    /// Of more records than this the oldest are forgotten.
    pub records: usize,
}

/// Everything that can be chosen about a simulated domain.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Decides what is in the domain, every id, and which calls a fault with a rate meets.
    pub seed: u64,
    /// Before when everything happened that is in the domain at its start; without it, before the start itself. The
    /// same seed and anchor give the same domain.
    pub anchor: Option<Moment>,
    /// The domain's name.
    pub domain: String,
    /// How much is in it.
    pub size: Size,
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Whether to speak TLS, with a certificate of an authority made for this run.
    pub tls: bool,
    /// Threads that serve connections.
    pub threads: usize,
    /// What calls cost and how much each caller has.
    pub quota: QuotaSettings,
    /// How many requests of one user to one service may run at a time; more are refused with 429.
    pub concurrent_max: Option<u32>,
    /// How long each call takes at least, in real time.
    pub latency: Duration,
    /// How long an access token is good.
    pub token_lifetime: Duration,
    /// Whether access tokens that were given out stay good until they expire when the consent is withdrawn that they came
    /// of.
    pub access_tokens_outlive_revocation: bool,
    /// How many times as fast as the world's the domain's clock runs. [`crate::Running::clock`] is that clock.
    pub clock_speed: u32,
    /// How far a caller's clock may be off when it signs.
    pub clock_skew: Duration,
    /// How long a page token is good. Those of `users.list` are good for three days.
    pub page_lifetime: Duration,
    /// How long a mailbox remembers its changes.
    pub history: HistoryLimits,
    /// How long messages stay in the trash and among spam; without it, for ever.
    pub trash_lifetime: Option<Duration>,
    /// How long a deleted user can be brought back.
    pub undelete_window: Duration,
    /// How many calls a batch may hold.
    pub batch_max: usize,
    /// What drives do that the vendor's documents leave open.
    pub drive: DriveSettings,
    /// When activities appear in the audit log.
    pub audit: AuditSettings,
    /// How calendars behave.
    pub calendar: CalendarSettings,
    /// How contacts behave.
    pub people: PeopleSettings,
    /// How the Reports API behaves.
    pub reports: ReportsSettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            seed: 1,
            anchor: None,
            domain: "acme.test".to_owned(),
            size: Size::default(),
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            tls: false,
            threads: 2,
            quota: QuotaSettings::unlimited(),
            concurrent_max: None,
            latency: Duration::ZERO,
            token_lifetime: Duration::from_secs(3599),
            access_tokens_outlive_revocation: false,
            clock_speed: 1,
            clock_skew: Duration::from_mins(5),
            page_lifetime: Duration::from_hours(6),
            history: HistoryLimits { age: 7 * DAY, records: 100_000 },
            trash_lifetime: Some(30 * DAY),
            undelete_window: 20 * DAY,
            batch_max: 100,
            drive: DriveSettings::default(),
            audit: AuditSettings::default(),
            calendar: CalendarSettings::default(),
            people: PeopleSettings::default(),
            reports: ReportsSettings::default(),
        }
    }
}
