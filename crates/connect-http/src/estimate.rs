//! How long work will take under quota: arithmetic, without a clock.

use std::{collections::BTreeMap, time::Duration};

use crate::quota::{Charge, PoolKey, Pools, QuotaError};

/// The calls that some work needs, added up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Workload {
    /// How many calls there are.
    pub calls: u64,
    /// What each bucket is charged.
    pub pools: BTreeMap<PoolKey, PoolLoad>,
}

/// What one bucket is charged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PoolLoad {
    /// The units of all calls.
    pub units: u64,
    /// How many calls are charged to it.
    pub calls: u64,
}

impl Workload {
    /// Adds so many calls, each with these charges.
    pub fn add(&mut self, charges: &[Charge], calls: u64) {
        self.calls = self.calls.saturating_add(calls);
        let mut seen = BTreeMap::<&PoolKey, u64>::new();
        for charge in charges {
            let sum = seen.entry(&charge.key).or_default();
            *sum = sum.saturating_add(charge.units);
        }
        for (key, units) in seen {
            let load = self.pools.entry(key.clone()).or_default();
            load.units = load.units.saturating_add(units.saturating_mul(calls));
            load.calls = load.calls.saturating_add(calls);
        }
    }

    /// Adds the calls of other work.
    pub fn merge(&mut self, other: &Self) {
        self.calls = self.calls.saturating_add(other.calls);
        for (key, load) in &other.pools {
            let sum = self.pools.entry(key.clone()).or_default();
            sum.units = sum.units.saturating_add(load.units);
            sum.calls = sum.calls.saturating_add(load.calls);
        }
    }
}

/// Returns how long the work takes at least, when every bucket is full at its start: the largest of what each bucket's
/// rate, each limit of running calls, and the threads allow.
///
/// It comes true when the work is well mixed and no burst is smaller than what comes back while a call runs.
pub fn estimate(
    pools: &Pools,
    workload: &Workload,
    threads: u32,
    seconds_per_call: f64,
) -> Result<Duration, QuotaError> {
    let seconds_per_call = if seconds_per_call.is_finite() { seconds_per_call.max(0.0) } else { 0.0 };
    let mut seconds = workload.calls as f64 * seconds_per_call / f64::from(threads.max(1));
    for (key, load) in &workload.pools {
        let settings = pools.get(&key.pool).ok_or_else(|| QuotaError::Unknown { pool: key.pool.clone() })?;
        if settings.is_zero() {
            return Err(QuotaError::Zero { pool: key.to_string() });
        }
        let waited = load.units.saturating_sub(settings.burst);
        seconds = seconds.max(waited as f64 / settings.units as f64 * settings.per.as_secs_f64());
        if let Some(concurrent) = settings.concurrent {
            seconds = seconds.max(load.calls as f64 * seconds_per_call / f64::from(concurrent));
        }
    }
    Ok(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::quota::{PoolSettings, simulation};

    fn pool(units: u64, burst: u64, concurrent: Option<u32>) -> PoolSettings {
        PoolSettings { units, per: Duration::from_secs(1), burst, concurrent }
    }

    #[test]
    fn the_tightest_bound_counts() {
        let pools = Pools::from([
            ("tenant".to_owned(), pool(1000, 0, None)),
            ("user".to_owned(), pool(10, 100, Some(2))),
        ]);
        let mut workload = Workload::default();
        workload.add(&[Charge::shared("tenant", 5), Charge::of("user", "anna", 5)], 200);
        // 1000 units, 100 of them at once.
        assert_eq!(estimate(&pools, &workload, 8, 0.1).unwrap(), Duration::from_secs(90));
        // 200 calls of a second, two at once.
        assert_eq!(estimate(&pools, &workload, 8, 1.0).unwrap(), Duration::from_secs(100));
        assert_eq!(estimate(&pools, &workload, 1, 1.0).unwrap(), Duration::from_secs(200));
        let twice = {
            let mut sum = workload.clone();
            sum.merge(&workload);
            sum
        };
        assert_eq!(estimate(&pools, &twice, 8, 0.1).unwrap(), Duration::from_secs(190));
    }

    #[test]
    fn no_quota_is_an_error_and_not_for_ever() {
        let pools = Pools::from([("user".to_owned(), pool(0, 0, None))]);
        let mut workload = Workload::default();
        workload.add(&[Charge::shared("user", 1)], 1);
        assert!(matches!(estimate(&pools, &workload, 1, 0.1), Err(QuotaError::Zero { .. })));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]

        #[test]
        fn a_run_takes_as_long_as_was_said(
            tenant in (20..400u64, 1..40u64),
            user in (5..100u64, 1..40u64),
            concurrent in proptest::option::of(1..4u32),
            price in 1..10u64,
            users in 1..4u64,
            threads in 1..9u32,
            milliseconds in 0..300u32,
        ) {
            let seconds = f64::from(milliseconds) / 1000.0;
            // What comes back while a call runs must have room, or the bucket of a lone thread overflows.
            let room = |(units, burst): (u64, u64)| burst + price + (units as f64 * seconds).ceil() as u64;
            let pools = Pools::from([
                ("tenant".to_owned(), pool(tenant.0, room(tenant), None)),
                ("user".to_owned(), pool(user.0, room(user), concurrent)),
            ]);
            let mut workload = Workload::default();
            let calls: Vec<_> = (0..1200)
                .map(|index| {
                    let subject = (index % users).to_string();
                    vec![Charge::shared("tenant", price), Charge::of("user", subject, price)]
                })
                .collect();
            for charges in &calls {
                workload.add(charges, 1);
            }
            let said = estimate(&pools, &workload, threads, seconds).unwrap().as_secs_f64();
            let took = simulation::run(&pools, &calls, threads as usize, seconds).end.as_secs_f64();
            prop_assert!(took >= said - 1e-6, "{took} s, but {said} s was said");
            prop_assert!(took <= said * 1.05 + 0.01, "{took} s, but {said} s was said");
        }
    }
}
