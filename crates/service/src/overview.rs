//! How an installation stands, as one value: gathered in the background, shown everywhere.

mod revision;
#[cfg(test)]
mod tests;

use connect::Finding;
use model::{Ledger, Moment, SourceName};
use serde::Serialize;

pub use self::revision::Revision;
use crate::{
    Installation, ServiceError,
    proof::Proof,
    quota::{self, QuotaReport},
    retention::{FloorStatus, Retention, RetentionStatus},
    secret::Environment,
    watching::WatchStore,
};

/// How an installation stood when it was looked at.
#[derive(Debug, Clone, Serialize)]
pub struct Overview {
    /// When it was looked at.
    pub at: Moment,
    /// The vault.
    pub vault: VaultOverview,
    /// The sources, in name order.
    pub sources: Vec<SourceOverview>,
    /// What is known about restoring each source, and the vault itself.
    pub proofs: Vec<Proof>,
    /// How many incidents wait for somebody.
    pub open_incidents: usize,
}

/// How the vault stood.
#[derive(Debug, Clone, Serialize)]
pub struct VaultOverview {
    /// Where it lies.
    pub place: String,
    /// What the place enforces against this process: 0 nothing, to 4, an offline copy.
    pub tier: u8,
    /// The same in words.
    pub statement: String,
    /// What was tried to find that out.
    pub findings: Vec<Finding>,
    /// When that was tried.
    pub measured_at: Moment,
    /// For how many days everything stays after it was live.
    pub lock_days: u32,
    /// Vault time.
    pub vault_time: Option<Moment>,
    /// Why nothing may be released, where that is so.
    pub frozen: Option<String>,
    /// What a person should look at.
    pub alarms: Vec<String>,
    /// How many copies of the vault there are in other places.
    pub mirrors: usize,
    /// How many machines cosign its history.
    pub witnesses: usize,
    /// Why retention cannot be told, where that is so.
    pub retention_unknown: Option<String>,
}

/// How a source stood.
#[derive(Debug, Clone, Serialize)]
pub struct SourceOverview {
    /// Its name.
    pub name: SourceName,
    /// Its kind of connector.
    pub kind: String,
    /// How many commits there are.
    pub commits: u64,
    /// The newest moment that can be restored.
    pub newest_moment: Option<Moment>,
    /// The completeness ledger of the newest commit.
    pub ledger: Option<Ledger>,
    /// How many items of the newest commits could not be read.
    pub unreadable: u64,
    /// What capturing takes of its quota; absent until a capture has said so.
    pub quota: Option<QuotaReport>,
    /// Until when the newest commit is locked.
    pub locked_until: Option<Moment>,
    /// The least lock over all that its moments need.
    pub floor: Option<FloorStatus>,
}

/// So many of the newest commits are asked for what could not be read.
const LEDGERS_READ: u32 = 50;

impl Overview {
    /// Looks at an installation. What the vault's place enforces is tried again only when nothing younger than
    /// `measured_after` is known from before: trying costs calls.
    pub fn of(
        installation: &Installation,
        environment: Environment<'_>,
        before: Option<&VaultOverview>,
        measured_after: Moment,
    ) -> Result<Self, ServiceError> {
        let now = installation.ports().clock.now();
        // What became less is written down and told; the posture is told whether or not that can be done.
        crate::guards::look(installation, environment).ok();
        let retention = Retention::open(installation, environment)
            .and_then(|retention| retention.status(&connect::Silent))
            .map_err(|error| error.to_string());
        let vault =
            vault(installation, environment, before.filter(|known| known.measured_at > measured_after))?;
        let mut vault = with_retention(vault, &retention);
        let mut unseen = Unseen(&mut vault.alarms);
        // What people should look at.
        let damaged = crate::cases::look_for_damage(installation, environment);
        for line in unseen.or_alarm("what waits for people", damaged) {
            unseen.alarm(line);
        }
        let floors = retention.map(|status| status.floors).unwrap_or_default();
        // Opened once: in a bucket that is a call.
        let opened = installation.vault(environment)?;
        let sources = installation.config().sources.iter().map(|(name, source)| {
            let head = opened.head(name)?;
            let ledgers = installation.catalog(name).and_then(|catalog| Ok(catalog.commits(LEDGERS_READ)?));
            let ledgers = unseen.or_alarm(&format!("the ledgers of {name}"), ledgers);
            Ok(SourceOverview {
                name: name.clone(),
                kind: source.kind.clone(),
                commits: head.as_ref().map_or(0, |commit| commit.envelope.sequence),
                newest_moment: head.as_ref().map(|commit| commit.envelope.vault_time),
                ledger: ledgers.first().map(|row| row.ledger),
                unreadable: ledgers.iter().map(|row| row.ledger.unreadable).sum(),
                quota: unseen
                    .or_alarm(&format!("the quota use of {name}"), quota::report(installation, name)),
                locked_until: head.map(|commit| commit.envelope.locked_until),
                floor: floors.get(name).cloned(),
            })
        });
        let sources = sources.collect::<Result<Vec<_>, ServiceError>>()?;
        let incidents = WatchStore::of(installation.home()).incidents();
        let incidents = unseen.or_alarm("the incidents", incidents);
        let open_incidents = incidents
            .iter()
            .filter(|incident| {
                incident.state != watch::IncidentState::Closed
                    && incident.state != watch::IncidentState::Undone
            })
            .count();
        // Where the log cannot be read, what was read before counts: other answers say that the vault cannot be reached.
        crate::proof::read_log(installation, environment).ok();
        // What cannot be told proves nothing.
        let proofs = unseen.or_alarm("what drills have proven", crate::proof::proofs(installation, now));
        Ok(Self { at: now, vault, sources, proofs, open_incidents })
    }
}

/// What cannot be read must not hide how the rest stands, and must not look as if there were none: it is an alarm.
struct Unseen<'a>(&'a mut Vec<String>);

impl Unseen<'_> {
    fn or_alarm<T: Default>(&mut self, what: &str, read: Result<T, impl std::error::Error>) -> T {
        read.unwrap_or_else(|error| {
            self.alarm(format!("{what} cannot be read: {}", vault::error_text(&error)));
            T::default()
        })
    }

    /// What was seen before may be in there already, where retention cannot be told.
    fn alarm(&mut self, alarm: String) {
        if !self.0.contains(&alarm) {
            self.0.push(alarm);
        }
    }
}

fn vault(
    installation: &Installation,
    environment: Environment<'_>,
    known: Option<&VaultOverview>,
) -> Result<VaultOverview, ServiceError> {
    if let Some(known) = known {
        return Ok(known.clone());
    }
    let config = installation.config();
    let standing = installation.measure(environment)?;
    Ok(VaultOverview {
        place: config.vault.place.describe(installation.home()),
        tier: standing.tier,
        statement: standing.statement,
        findings: standing.findings,
        measured_at: installation.ports().clock.now(),
        lock_days: 0,
        vault_time: None,
        frozen: None,
        alarms: Vec::new(),
        mirrors: config.mirrors.len(),
        witnesses: config.witnesses.len(),
        retention_unknown: None,
    })
}

fn with_retention(vault: VaultOverview, retention: &Result<RetentionStatus, String>) -> VaultOverview {
    match retention {
        Ok(status) => VaultOverview {
            lock_days: status.lock_days,
            vault_time: Some(status.vault_time),
            frozen: status.frozen.as_ref().map(|freeze| freeze.reason.clone()),
            alarms: status.alarms.clone(),
            retention_unknown: None,
            ..vault
        },
        Err(error) => VaultOverview { retention_unknown: Some(error.clone()), ..vault },
    }
}
