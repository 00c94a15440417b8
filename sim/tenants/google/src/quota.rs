//! Quota: each call has a price in units, charged to the project and to the user.

use std::{collections::BTreeMap, collections::HashMap, sync::Arc, time::Duration};

use model::Moment;

use crate::{refusal::Refusal, text};

/// What a caller may spend in a minute with one service. A full pool can be spent at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    /// Units in a minute of all users of a project together.
    pub project: u64,
    /// Units in a minute of each user of a project.
    pub user: u64,
}

/// How a call over its quota is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Overrun {
    /// 403 with `userRateLimitExceeded` or `rateLimitExceeded`.
    Forbidden,
    /// 429.
    TooMany,
    /// One and the other, as the seed has it.
    Mixed,
}

/// What calls cost, and how much each caller has.
#[derive(Debug, Clone)]
pub struct QuotaSettings {
    /// The pools by service: `gmail`. A service without one is not limited.
    pub pools: BTreeMap<String, Pool>,
    /// Prices by method that differ from the usual ones: `gmail.users.messages.get`; a star stands for anything.
    pub prices: Vec<(String, u32)>,
    /// How a refusal looks.
    pub overrun: Overrun,
    /// Whether refusals carry `Retry-After`.
    pub retry_after: bool,
}

impl QuotaSettings {
    /// Nothing is limited.
    pub const fn unlimited() -> Self {
        Self { pools: BTreeMap::new(), prices: Vec::new(), overrun: Overrun::Mixed, retry_after: false }
    }

    /// What projects have that are older than May 2026.
    pub fn old() -> Self {
        let prices = [("gmail.users.messages.get", 5), ("gmail.users.threads.get", 10)];
        Self {
            pools: pools(&[
                ("gmail", 1_200_000, 15_000),
                ("drive", 12_000, 12_000),
                ("calendar", 10_000, 600),
                ("people", 5_400, 900),
                ("admin", 2_400, 2_400),
            ]),
            prices: prices.map(|(method, units)| (method.to_owned(), units)).to_vec(),
            ..Self::unlimited()
        }
    }

    /// What projects have since then.
    pub fn new() -> Self {
        Self {
            pools: pools(&[
                ("gmail", 1_200_000, 6_000),
                ("drive", 1_000_000, 325_000),
                ("calendar", 10_000, 600),
                ("people", 5_400, 900),
                ("admin", 2_400, 2_400),
            ]),
            ..Self::unlimited()
        }
    }
}

impl Default for QuotaSettings {
    fn default() -> Self {
        Self::unlimited()
    }
}

fn pools(list: &[(&str, u64, u64)]) -> BTreeMap<String, Pool> {
    list.iter()
        .map(|(service, project, user)| ((*service).to_owned(), Pool { project: *project, user: *user }))
        .collect()
}

/// A pool that fills with time. It is counted in parts of a unit of which one comes in each microsecond for each unit
/// that a minute brings, so that nothing is lost in rounding.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    parts: u64,
    at: Moment,
}

const PARTS: u64 = 60_000_000;

impl Bucket {
    const fn full(size: u64, now: Moment) -> Self {
        Self { parts: size.saturating_mul(PARTS), at: now }
    }

    /// Lets what time has brought flow in.
    fn fill(&mut self, size: u64, now: Moment) {
        // A clock that was set back brings nothing, and takes nothing.
        let passed = u64::try_from(now.micros_since(self.at)).unwrap_or(0);
        let gained = passed.saturating_mul(size);
        self.parts = self.parts.saturating_add(gained).min(size.saturating_mul(PARTS));
        self.at = now;
    }

    const fn has(&self, units: u64) -> bool {
        self.parts >= units.saturating_mul(PARTS)
    }

    const fn take(&mut self, units: u64) {
        self.parts -= units * PARTS;
    }

    /// Returns how long until it has that much.
    fn wait(&self, size: u64, units: u64) -> Duration {
        let missing = units.saturating_mul(PARTS).saturating_sub(self.parts);
        Duration::from_micros(missing.div_ceil(size.max(1)))
    }
}

/// What has been spent.
#[derive(Debug, Default)]
pub(crate) struct Quota {
    projects: HashMap<(&'static str, Arc<str>), Bucket>,
    users: HashMap<(&'static str, Arc<str>, Arc<str>), Bucket>,
    spent: BTreeMap<(&'static str, Arc<str>), u64>,
    refusals: u64,
}

/// One call to be paid for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Charge<'a> {
    pub(crate) service: &'static str,
    pub(crate) method: &'static str,
    /// The usual price.
    pub(crate) units: u32,
    pub(crate) project: &'a Arc<str>,
    pub(crate) user: &'a Arc<str>,
}

impl Quota {
    /// Pays for a call, or says that there is not enough.
    pub(crate) fn charge(
        &mut self,
        settings: &QuotaSettings,
        seed: u64,
        charge: Charge<'_>,
        now: Moment,
    ) -> Result<(), Refusal> {
        let price = settings.prices.iter().find(|(method, _)| text::matches(method, charge.method));
        let units = u64::from(price.map_or(charge.units, |(_, units)| *units));
        let spender = (charge.service, Arc::clone(charge.user));
        let Some(pool) = settings.pools.get(charge.service).copied() else {
            *self.spent.entry(spender).or_default() += units;
            return Ok(());
        };
        let key = (charge.service, Arc::clone(charge.project));
        let project = self.projects.entry(key).or_insert_with(|| Bucket::full(pool.project, now));
        let key = (charge.service, Arc::clone(charge.project), Arc::clone(charge.user));
        let user = self.users.entry(key).or_insert_with(|| Bucket::full(pool.user, now));
        project.fill(pool.project, now);
        user.fill(pool.user, now);
        let (of_user, wait) = if !user.has(units) {
            (true, user.wait(pool.user, units))
        } else if !project.has(units) {
            (false, project.wait(pool.project, units))
        } else {
            user.take(units);
            project.take(units);
            *self.spent.entry(spender).or_default() += units;
            return Ok(());
        };
        self.refusals += 1;
        let mut refusal =
            refuse(&settings.overrun, text::mixed(seed ^ self.refusals), of_user, charge.service);
        refusal.retry_after = settings.retry_after.then(|| wait.as_secs() + 1);
        Err(refusal)
    }

    /// Returns how many units a user (by id) has spent with a service.
    pub(crate) fn spent(&self, service: &str, user: &str) -> u64 {
        self.spent.iter().filter(|((s, u), _)| *s == service && &**u == user).map(|(_, units)| units).sum()
    }

    /// Returns how many calls were refused.
    pub(crate) const fn refusals(&self) -> u64 {
        self.refusals
    }
}

fn refuse(overrun: &Overrun, chance: u64, of_user: bool, service: &str) -> Refusal {
    let forbidden = match overrun {
        Overrun::Forbidden => true,
        Overrun::TooMany => false,
        Overrun::Mixed => chance.is_multiple_of(2),
    };
    match (forbidden, of_user) {
        (true, true) => Refusal::user_rate(),
        (true, false) => Refusal::project_rate(),
        (false, _) => Refusal::too_many(format!(
            "Quota exceeded for quota metric 'Queries' and limit 'Queries per minute{}' of service \
             '{service}.googleapis.com'.",
            if of_user { " per user" } else { "" }
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_is_spent_at_once_and_fills_with_time() {
        let settings = QuotaSettings {
            pools: pools(&[("gmail", 1000, 100)]),
            prices: vec![("gmail.*.get".to_owned(), 40)],
            retry_after: true,
            ..QuotaSettings::unlimited()
        };
        let (project, user) = (text::shared("1"), text::shared("anna"));
        let charge = Charge {
            service: "gmail",
            method: "gmail.users.messages.get",
            units: 5,
            project: &project,
            user: &user,
        };
        let mut quota = Quota::default();
        let start = Moment::from_micros(0);
        let mut pay = |micros| quota.charge(&settings, 1, charge, start.plus_micros(micros));
        assert_eq!((pay(0), pay(0)), (Ok(()), Ok(())));
        let refusal = pay(0).unwrap_err();
        assert!(matches!(refusal.code, 403 | 429));
        assert_eq!(
            refusal.retry_after,
            Some(13),
            "20 units are missing, 100 come in a minute: 12 s, rounded up"
        );
        assert!(pay(11_900_000).is_err());
        assert_eq!(pay(12_000_000), Ok(()));
        assert_eq!((quota.spent("gmail", "anna"), quota.refusals()), (120, 2));
    }

    #[test]
    fn refusals_are_mixed_and_tell_whose_pool_is_empty() {
        let codes: std::collections::BTreeSet<u16> =
            (0..32).map(|chance| refuse(&Overrun::Mixed, chance, true, "gmail").code).collect();
        assert_eq!(codes.into_iter().collect::<Vec<_>>(), [403, 429]);
        assert_eq!(refuse(&Overrun::Forbidden, 0, true, "x").reason, "userRateLimitExceeded");
        assert_eq!(refuse(&Overrun::Forbidden, 0, false, "x").reason, "rateLimitExceeded");
    }
}
