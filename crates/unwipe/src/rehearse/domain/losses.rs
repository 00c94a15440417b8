//! When a script destroyed, and how much each time.

use model::Moment;
use tenants::agent::Deeds;

/// The moments in which something was destroyed.
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
    pub(super) fn until(&self, moment: Moment) -> u64 {
        self.0.iter().filter(|(at, _)| *at <= moment).map(|(_, count)| count).sum()
    }

    /// Returns when the first and the last of it went.
    pub(super) fn span(&self) -> Option<(Moment, Moment)> {
        Some((self.0.first()?.0, self.0.last()?.0))
    }
}
