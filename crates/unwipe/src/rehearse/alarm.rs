//! What the watch did while an agent worked: when it raised the alarm, and when somebody was stopped.

use model::Moment;
use serde::Serialize;
use service::watching::WatchStore;
use tenants::agent::Deeds;
use watch::{ActionStatus, Incident};

use super::account::{Page, duration};
use crate::{context::Context, failure::Failure, output::count};

/// The moments in which a script destroyed, and how much each time.
#[derive(Debug, Clone)]
pub(super) struct Losses(Vec<(Moment, u64)>);

impl Losses {
    /// Returns those of a script, by the names of the calls that destroy.
    pub(super) fn of(deeds: &Deeds, calls: &[&str]) -> Self {
        let destroying = deeds.deeds.iter().filter(|deed| calls.contains(&deed.call.as_str()));
        Self(destroying.map(|deed| (deed.at, deed.count)).collect())
    }

    /// Returns how much was destroyed.
    pub(super) fn all(&self) -> u64 {
        self.0.iter().map(|(_, count)| count).sum()
    }

    /// Returns how much was destroyed until a moment.
    fn until(&self, moment: Moment) -> u64 {
        self.0.iter().filter(|(at, _)| *at <= moment).map(|(_, count)| count).sum()
    }

    fn since_first(&self, moment: Moment) -> u64 {
        let first = self.0.first().map_or(moment, |(at, _)| *at);
        u64::try_from(moment.micros_since(first) / 1000).unwrap_or(0)
    }
}

/// An alarm.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Alarm {
    pub(super) incident: u64,
    /// The rules that fired, the first one first.
    rules: Vec<String>,
    /// Why it was raised, in the words of the incident.
    why: String,
    /// By the clock of the domain, since the first call that destroyed.
    pub(super) after_ms: u64,
    pub(super) destroyed_until_then: u64,
}

/// What was done against whoever it was.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Stopped {
    action: String,
    /// Whether policy did it, or the owner was asked and approved it.
    automatic: bool,
    why: String,
    after_ms: u64,
    destroyed_until_then: u64,
}

/// Returns all incidents of an installation.
pub(super) fn incidents(context: &Context) -> Result<Vec<Incident>, Failure> {
    Ok(WatchStore::of(&context.home).incidents()?)
}

impl Alarm {
    pub(super) fn of(incident: &Incident, losses: &Losses) -> Self {
        let mut rules: Vec<String> = Vec::new();
        for firing in &incident.firings {
            if !rules.contains(&firing.rule) {
                rules.push(firing.rule.clone());
            }
        }
        Self {
            incident: incident.id,
            rules,
            why: incident.firings.first().map(|firing| firing.explanation.clone()).unwrap_or_default(),
            after_ms: losses.since_first(incident.opened_at),
            destroyed_until_then: losses.until(incident.opened_at),
        }
    }

    /// Adds it to the account.
    pub(super) fn show(&self, page: &mut Page) {
        let after = shown(self.after_ms);
        let items = count(self.destroyed_until_then);
        page.judged("alarm", &format!("{after} after the first loss, {items} items in"), true);
        page.line(&format!("  {}", self.why));
        page.fact("rules", &self.rules.join(", "));
    }
}

impl Stopped {
    /// Returns what was done in an incident, the first of it.
    pub(super) fn of(incident: &Incident, losses: &Losses) -> Option<Self> {
        let note = incident.actions.iter().find(|note| note.status == ActionStatus::Taken)?;
        let at = note.taken.as_ref()?.at;
        Some(Self {
            action: note.action.title.clone(),
            automatic: note.automatic,
            why: note.why.clone(),
            after_ms: losses.since_first(at),
            destroyed_until_then: losses.until(at),
        })
    }

    /// Adds it to the account.
    pub(super) fn show(&self, page: &mut Page) {
        let after = shown(self.after_ms);
        let items = count(self.destroyed_until_then);
        page.judged("stopped", &format!("{after} after the first loss, {items} items in"), true);
        page.line(&format!("  {}", self.action));
        page.fact(if self.automatic { "by itself" } else { "by a person" }, &self.why);
    }
}

/// Writes milliseconds of any clock for people.
fn shown(ms: u64) -> String {
    let minutes = ms / 60_000;
    match minutes {
        0..10 => duration(std::time::Duration::from_millis(ms)),
        10..600 => format!("{minutes} min"),
        _ => format!("{:.1} h", minutes as f64 / 60.0),
    }
}
