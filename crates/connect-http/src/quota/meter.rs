//! What was taken of pools: sums over spans that move on with time, in memory that is bounded.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    time::Duration,
};

use connect::{QuotaOfLate, QuotaUnit, QuotaUse};

use super::{
    Charge, Pools,
    bucket::{Time, picoseconds},
};

/// A span is summed in so many steps: it begins so much of itself late at most.
const STEPS: u64 = 12;
/// The steps of a day: hours.
const HOURS: u64 = 24;
/// Subjects are looked through for forgettable ones when there are twice as many as after the last time.
const SWEEP_MIN: usize = 64;

/// The sum over the last span of time.
struct Sum {
    step: Time,
    steps: u64,
    /// The numbers of steps and what fell into each, the oldest first; no more than there are steps.
    parts: VecDeque<(u64, u64)>,
}

impl Sum {
    fn over(span: Duration, steps: u64) -> Self {
        Self { step: (picoseconds(span) / u128::from(steps)).max(1), steps, parts: VecDeque::new() }
    }

    fn index(&self, now: Time) -> u64 {
        u64::try_from(now / self.step).unwrap_or(u64::MAX)
    }

    fn add(&mut self, now: Time, amount: u64) {
        let index = self.index(now);
        match self.parts.back_mut() {
            // Another thread may have told a later time first.
            Some((newest, sum)) if *newest >= index => *sum = sum.saturating_add(amount),
            _ => self.parts.push_back((index, amount)),
        }
        while self.parts.front().is_some_and(|(oldest, _)| oldest.saturating_add(self.steps) <= index) {
            self.parts.pop_front();
        }
    }

    fn at(&self, now: Time) -> u64 {
        let index = self.index(now);
        let counts = |(step, _): &&(u64, u64)| step.saturating_add(self.steps) > index;
        self.parts.iter().filter(counts).fold(0, |sum, (_, part)| sum.saturating_add(*part))
    }
}

/// What was taken of one pool.
struct Meter {
    hour: Sum,
    day: Sum,
    refused: Sum,
    waited_ms: Sum,
    /// Within the span of the pool's limit, by subject; the one without a name is the bucket that all share.
    subjects: HashMap<Option<String>, Sum>,
    sweep_at: usize,
}

impl Meter {
    fn new() -> Self {
        let day = || Sum::over(Duration::from_hours(HOURS), HOURS);
        Self {
            hour: Sum::over(Duration::from_hours(1), STEPS),
            day: day(),
            refused: day(),
            waited_ms: day(),
            subjects: HashMap::new(),
            sweep_at: SWEEP_MIN,
        }
    }

    fn take(&mut self, now: Time, per: Duration, charge: &Charge) {
        self.hour.add(now, charge.units);
        self.day.add(now, charge.units);
        let sum = self.subjects.entry(charge.key.subject.clone()).or_insert_with(|| Sum::over(per, STEPS));
        sum.add(now, charge.units);
        if self.subjects.len() >= self.sweep_at {
            self.subjects.retain(|_, sum| sum.at(now) > 0);
            self.sweep_at = (2 * self.subjects.len()).max(SWEEP_MIN);
        }
    }
}

/// What was taken of every pool that was used.
pub(super) struct Meters {
    pools: Pools,
    meters: BTreeMap<String, Meter>,
}

impl Meters {
    pub(super) const fn new(pools: Pools) -> Self {
        Self { pools, meters: BTreeMap::new() }
    }

    /// Pools that are known are few; a name that is not known is no pool.
    fn meter(&mut self, pool: &str) -> Option<(Duration, &mut Meter)> {
        let per = self.pools.get(pool)?.per;
        if !self.meters.contains_key(pool) {
            self.meters.insert(pool.to_owned(), Meter::new());
        }
        self.meters.get_mut(pool).map(|meter| (per, meter))
    }

    pub(super) fn take(&mut self, now: Time, charges: &[Charge]) {
        for charge in charges {
            if let Some((per, meter)) = self.meter(&charge.key.pool) {
                meter.take(now, per, charge);
            }
        }
    }

    pub(super) fn refused(&mut self, now: Time, charges: &[Charge]) {
        for pool in pools_of(charges) {
            if let Some((_, meter)) = self.meter(pool) {
                meter.refused.add(now, 1);
            }
        }
    }

    pub(super) fn waited(&mut self, now: Time, pool: &str, wait: Time) {
        let millis = u64::try_from(wait / picoseconds(Duration::from_millis(1))).unwrap_or(u64::MAX);
        if millis > 0
            && let Some((_, meter)) = self.meter(pool)
        {
            meter.waited_ms.add(now, millis);
        }
    }

    pub(super) fn waited_all(&mut self, now: Time, charges: &[Charge], wait: Time) {
        for pool in pools_of(charges) {
            self.waited(now, pool, wait);
        }
    }

    /// Returns how many subjects are remembered.
    #[cfg(test)]
    pub(super) fn subjects(&self) -> usize {
        self.meters.values().map(|meter| meter.subjects.len()).sum()
    }

    pub(super) fn uses(&self, now: Time) -> Vec<QuotaUse> {
        let one = |(name, meter): (&String, &Meter)| {
            let settings = self.pools.get(name)?;
            let used = |(subject, sum): (&Option<String>, &Sum)| (sum.at(now), subject.clone());
            let (used, subject) = meter.subjects.iter().map(used).max().unwrap_or_default();
            Some(QuotaUse {
                name: name.clone(),
                subject: subject.filter(|_| used > 0),
                unit: QuotaUnit::Units,
                used,
                limit: settings.units,
                per_s: Some(settings.per.as_secs().max(1)),
                share_percent: None,
                of_late: Some(QuotaOfLate {
                    hour: meter.hour.at(now),
                    day: meter.day.at(now),
                    refused: meter.refused.at(now),
                    waited_ms: meter.waited_ms.at(now),
                }),
            })
        };
        self.meters.iter().filter_map(one).collect()
    }
}

fn pools_of(charges: &[Charge]) -> BTreeSet<&str> {
    charges.iter().map(|charge| charge.key.pool.as_str()).collect()
}
