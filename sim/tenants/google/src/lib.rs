//! A simulated Google Workspace domain: stateful, in memory, one process, never the real service.
//!
//! It answers as the vendor's discovery documents describe: Directory, Gmail, Drive, batches, uploads, service-account tokens
//! with domain-wide delegation, quotas in units. Every answer carries the header `x-simulator: google`. What the
//! documents leave open is decided here and can be changed in [`Settings`].
//!
//! A service is a module with its part of [`Tenant`] and one table of routes; `routes.rs` says how to add one.

mod audit;
mod batch;
mod calendar;
mod call;
mod clock;
mod directory;
mod dispatch;
mod drive;
mod faults;
mod fields;
mod gmail;
mod oauth;
mod page;
mod people;
mod quota;
mod refusal;
mod reports;
mod routes;
mod seed;
mod server;
mod settings;
mod stamp;
mod stream;
mod sync;
mod tenant;
mod text;
mod traffic;
mod upload;

use std::{io, sync::Arc};

use ports::{Clock, Random};

pub use audit::{Activity, AuditSettings, Parameter, ParameterValue};
pub use calendar::{CalendarSettings, Channel, Mail, Occasion};
pub use clock::FastClock;
pub use directory::User;
pub use drive::{Channel as DriveChannel, DriveSettings, FileView, Grantee, Look, Role};
pub use faults::{Effect, Fault, When};
pub use gmail::{Letter, Notice};
pub use oauth::{App, Grant, ServiceAccount, scopes};
pub use people::PeopleSettings;
pub use quota::{Overrun, Pool, QuotaSettings};
pub use reports::{Agent, ReportsSettings};
pub use routes::{Offered, offered};
pub use server::Running;
pub use settings::{HistoryLimits, Settings, Size};
pub use tenant::Tenant;
pub use traffic::Traffic;

/// Why the simulator did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is taken, or there is no thread.
    #[error("the simulated domain cannot listen")]
    Listen(#[source] io::Error),
    /// Its certificate cannot be made.
    #[error("the simulated domain has no certificate: {0}")]
    Certificate(String),
}

/// The simulator.
#[derive(Debug)]
pub struct GoogleTenant;

impl GoogleTenant {
    /// Starts a domain that is furnished as the settings say, on threads of its own.
    ///
    /// `clock` is the time of everything in it, as many times as fast as [`Settings::clock_speed`] says. `random` makes secrets only: what the domain contains comes from
    /// [`Settings::seed`].
    pub fn start(
        settings: Settings,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Running, StartError> {
        let clock = Arc::new(FastClock::new(clock, settings.clock_speed));
        server::start(settings, clock, random)
    }
}
