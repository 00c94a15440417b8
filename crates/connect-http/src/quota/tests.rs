use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use model::Moment;
use ports::ManualClock;
use proptest::prelude::*;

use super::{
    simulation::{assert_within, run},
    *,
};

fn pool(units: u64, seconds: u64, burst: u64) -> PoolSettings {
    PoolSettings { units, per: Duration::from_secs(seconds), burst, concurrent: None }
}

fn pools(settings: &[(&str, PoolSettings)]) -> Pools {
    settings.iter().map(|(name, settings)| ((*name).to_owned(), *settings)).collect()
}

fn manual() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Moment::from_micros(0)))
}

const NEVER: &dyn Fn() -> bool = &|| false;

#[test]
fn a_burst_is_free_and_the_rest_is_paced() {
    let clock = manual();
    let quota = Quota::new(pools(&[("user", pool(10, 1, 20))]), Arc::clone(&clock) as Arc<dyn Clock>);
    for _ in 0..4 {
        drop(quota.acquire(&[Charge::of("user", "anna", 5)], NEVER).unwrap());
    }
    assert_eq!(clock.elapsed(), Duration::ZERO);
    drop(quota.acquire(&[Charge::of("user", "anna", 5)], NEVER).unwrap());
    assert_eq!(clock.elapsed(), Duration::from_millis(500));
    // Another subject's bucket is full.
    drop(quota.acquire(&[Charge::of("user", "berta", 20)], NEVER).unwrap());
    assert_eq!(clock.elapsed(), Duration::from_millis(500));
}

#[test]
fn a_price_above_the_burst_waits_for_its_units() {
    let clock = manual();
    let quota = Quota::new(pools(&[("user", pool(10, 1, 20))]), Arc::clone(&clock) as Arc<dyn Clock>);
    drop(quota.acquire(&[Charge::shared("user", 100)], NEVER).unwrap());
    assert_eq!(clock.elapsed(), Duration::from_secs(8));
    drop(quota.acquire(&[Charge::shared("user", 10)], NEVER).unwrap());
    assert_eq!(clock.elapsed(), Duration::from_secs(9));
}

#[test]
fn no_quota_is_an_error_that_names_it() {
    let settings =
        pools(&[("writes", pool(0, 60, 0)), ("none", PoolSettings { concurrent: Some(0), ..pool(1, 1, 1) })]);
    let quota = Quota::new(settings, manual());
    let error = quota.acquire(&[Charge::of("writes", "anna", 1)], NEVER).unwrap_err();
    assert_eq!(error.to_string(), "the quota of writes/anna is zero");
    let error = quota.acquire(&[Charge::shared("none", 1)], NEVER).unwrap_err();
    assert!(matches!(error, QuotaError::Zero { .. }));
    let error = quota.acquire(&[Charge::shared("tenant", 1)], NEVER).unwrap_err();
    assert_eq!(error, QuotaError::Unknown { pool: "tenant".to_owned() });
}

#[test]
fn a_penalty_holds_one_bucket_and_no_other() {
    let clock = manual();
    let settings = pools(&[("tenant", pool(100, 1, 100)), ("user", pool(10, 1, 10))]);
    let quota = Quota::new(settings, Arc::clone(&clock) as Arc<dyn Clock>);
    let anna = PoolKey { pool: "user".to_owned(), subject: Some("anna".to_owned()) };
    quota.penalise(&anna, Duration::from_secs(7)).unwrap();
    quota.penalise(&anna, Duration::from_secs(3)).unwrap();
    let both = |subject: &str| [Charge::shared("tenant", 1), Charge::of("user", subject, 1)];
    drop(quota.acquire(&both("berta"), NEVER).unwrap());
    assert_eq!(clock.elapsed(), Duration::ZERO);
    drop(quota.acquire(&both("anna"), NEVER).unwrap());
    assert_eq!(clock.elapsed(), Duration::from_secs(7));
}

#[test]
fn a_stop_ends_the_wait() {
    let clock = manual();
    let quota = Quota::new(pools(&[("user", pool(1, 3600, 1))]), Arc::clone(&clock) as Arc<dyn Clock>);
    drop(quota.acquire(&[Charge::shared("user", 1)], NEVER).unwrap());
    let stop = || clock.elapsed() > Duration::from_secs(5);
    let error = quota.acquire(&[Charge::shared("user", 1)], &stop).unwrap_err();
    assert_eq!(error, QuotaError::Stopped);
    assert!(clock.elapsed() < Duration::from_secs(6));
}

#[test]
fn subjects_are_forgotten_once_they_are_as_new() {
    let clock = manual();
    let quota = Quota::new(pools(&[("user", pool(10, 1, 10))]), Arc::clone(&clock) as Arc<dyn Clock>);
    for number in 0..10_000 {
        drop(quota.acquire(&[Charge::of("user", number.to_string(), 1)], NEVER).unwrap());
        clock.advance_micros(10_000);
    }
    assert!(quota.buckets() <= 2 * 64, "{} buckets are remembered", quota.buckets());
}

#[test]
fn never_more_than_the_limit_run_at_once_and_everybody_gets_a_place() {
    let settings =
        pools(&[("tenant", PoolSettings { concurrent: Some(3), ..pool(1_000_000, 1, 1_000_000) })]);
    let quota = Quota::new(settings, Arc::new(ports::SystemClock::new()));
    let (running, most, made) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|| {
                for _ in 0..200 {
                    let permit = quota.acquire(&[Charge::shared("tenant", 1)], NEVER).unwrap();
                    most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    thread::yield_now();
                    running.fetch_sub(1, Ordering::SeqCst);
                    made.fetch_add(1, Ordering::SeqCst);
                    drop(permit);
                }
            });
        }
    });
    assert_eq!(made.load(Ordering::SeqCst), 2400);
    assert!(most.load(Ordering::SeqCst) <= 3);
}

#[test]
fn threads_on_one_clock_share_a_rate_without_exceeding_it() {
    let clock = manual();
    let quota = Quota::new(pools(&[("user", pool(1000, 1, 10))]), Arc::clone(&clock) as Arc<dyn Clock>);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                (0..250).for_each(|_| drop(quota.acquire(&[Charge::shared("user", 1)], NEVER).unwrap()));
            });
        }
    });
    // A clock that moves whenever anybody sleeps can only run too fast.
    assert!(clock.elapsed() >= Duration::from_millis(1990), "{:?}", clock.elapsed());
}

#[test]
fn one_who_waits_long_does_not_hold_up_others() {
    // Anna's bucket gives a call in 100 s; the tenant's would serve all of berta's in 10 s.
    let settings = pools(&[("tenant", pool(10, 1, 1)), ("user", pool(1, 100, 100))]);
    let charges =
        |subject: &str, units| vec![Charge::shared("tenant", 1), Charge::of("user", subject, units)];
    let mut calls = vec![charges("anna", 100), charges("anna", 1)];
    calls.extend((0..100).map(|_| charges("berta", 1)));
    let run = run(&settings, &calls, 4, 0.0);
    let berta = PoolKey { pool: "user".to_owned(), subject: Some("berta".to_owned()) };
    let last = run.starts[&berta].last().unwrap().0;
    assert!(last <= Duration::from_millis(10_200), "the last one went ahead after {last:?}");
    assert_within(&settings, &run);
}

#[test]
fn a_dear_call_is_not_starved_by_cheap_ones() {
    let settings = pools(&[("tenant", pool(10, 1, 50))]);
    let mut calls: Vec<_> = (0..50).map(|_| vec![Charge::shared("tenant", 1)]).collect();
    calls.push(vec![Charge::shared("tenant", 50)]);
    calls.extend((0..500).map(|_| vec![Charge::shared("tenant", 1)]));
    let run = run(&settings, &calls, 8, 0.0);
    let place = run.order.iter().position(|call| *call == 50).unwrap();
    assert!(place <= 58, "it went ahead as number {place}");
    assert_within(&settings, &run);
}

/// A tenant's pool, a user's pool with a limit of running calls, and calls of three users.
fn workload() -> impl Strategy<Value = (Pools, Vec<Vec<Charge>>, usize, f64)> {
    let settings = (1..200u64, 0..100u64, 1..50u64, 0..40u64, proptest::option::of(1..4u32));
    let calls = proptest::collection::vec((0..3u8, 0..30u64, 0..30u64), 1..120);
    (settings, calls, 1..9usize, 0.0..0.5f64).prop_map(|(settings, calls, threads, seconds)| {
        let (tenant_units, tenant_burst, user_units, user_burst, concurrent) = settings;
        let user = PoolSettings { concurrent, ..pool(user_units, 1, user_burst) };
        let calls = calls
            .into_iter()
            .map(|(subject, tenant, user)| {
                vec![Charge::shared("tenant", tenant), Charge::of("user", format!("user {subject}"), user)]
            })
            .collect();
        (pools(&[("tenant", pool(tenant_units, 1, tenant_burst)), ("user", user)]), calls, threads, seconds)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn no_pool_is_ever_overdrawn_and_every_call_is_made((settings, calls, threads, seconds) in workload()) {
        let run = run(&settings, &calls, threads, seconds);
        prop_assert_eq!(run.order.len(), calls.len());
        assert_within(&settings, &run);
    }

    #[test]
    fn threads_together_use_the_rate(
        units in 5..500u64,
        burst in 1..50u64,
        prices in proptest::collection::vec(1..20u64, 1..8),
        threads in 1..17usize,
    ) {
        let settings = pools(&[("tenant", pool(units, 1, burst))]);
        let calls: Vec<_> =
            (0..400).map(|index| vec![Charge::shared("tenant", prices[index % prices.len()])]).collect();
        let total: u64 = calls.iter().map(|charges| charges[0].units).sum();
        let run = run(&settings, &calls, threads, 0.0);
        let least = (total - burst) as f64 / units as f64;
        prop_assert!(run.end.as_secs_f64() <= least / 0.95 + 1e-6, "{:?} for {least} s", run.end);
        assert_within(&settings, &run);
    }
}

#[test]
fn what_was_taken_is_told_by_pool_and_forgotten_in_time() {
    let clock = manual();
    let settings = pools(&[("tenant", pool(1000, 60, 1000)), ("user", pool(60, 60, 60))]);
    let quota = Quota::new(settings, Arc::clone(&clock) as Arc<dyn Clock>);
    assert!(quota.uses().is_empty(), "nothing was taken");
    let both = |subject: &str, units| [Charge::shared("tenant", units), Charge::of("user", subject, units)];
    drop(quota.acquire(&both("anna", 40), NEVER).unwrap());
    drop(quota.acquire(&both("berta", 10), NEVER).unwrap());
    let uses = quota.uses();
    let told: Vec<_> = uses
        .iter()
        .map(|it| (it.name.as_str(), it.subject.as_deref(), it.used, it.limit, it.per_s))
        .collect();
    assert_eq!(told, [("tenant", None, 50, 1000, Some(60)), ("user", Some("anna"), 40, 60, Some(60))]);
    assert_eq!(uses[1].of_late.unwrap().day, 50, "of all subjects");
    // A minute later nothing of the limit is used; the hour and the day know of it.
    clock.advance_micros(61_000_000);
    let user = quota.uses().remove(1);
    assert_eq!((user.used, user.subject), (0, None));
    assert_eq!((user.of_late.unwrap().hour, user.of_late.unwrap().day), (50, 50));
    clock.advance_micros(3_600_000_000);
    let user = quota.uses().remove(1);
    assert_eq!((user.of_late.unwrap().hour, user.of_late.unwrap().day), (0, 50));
    clock.advance_micros(24 * 3_600_000_000);
    assert_eq!(quota.uses().remove(1).of_late.unwrap(), connect::QuotaOfLate::default());
}

#[test]
fn a_wait_is_told_of_the_pool_that_was_waited_for() {
    let clock = manual();
    let settings = pools(&[("tenant", pool(1000, 1, 1000)), ("user", pool(10, 1, 10))]);
    let quota = Quota::new(settings, Arc::clone(&clock) as Arc<dyn Clock>);
    let charges = [Charge::shared("tenant", 10), Charge::of("user", "anna", 10)];
    for _ in 0..3 {
        drop(quota.acquire(&charges, NEVER).unwrap());
    }
    // A price above the burst waits after it was let in.
    drop(quota.acquire(&[Charge::of("user", "berta", 30)], NEVER).unwrap());
    let uses = quota.uses();
    assert_eq!(uses[0].of_late.unwrap().waited_ms, 0);
    assert_eq!(uses[1].of_late.unwrap().waited_ms, 4000);
    quota.refused(&charges);
    quota.waited(&charges, Duration::from_secs(3));
    let (tenant, user) = (quota.uses()[0].of_late.unwrap(), quota.uses()[1].of_late.unwrap());
    assert_eq!((tenant.refused, tenant.waited_ms), (1, 3000));
    assert_eq!((user.refused, user.waited_ms), (1, 7000));
}

#[test]
fn subjects_of_the_past_take_no_memory() {
    let clock = manual();
    let quota = Quota::new(pools(&[("user", pool(10, 1, 10))]), Arc::clone(&clock) as Arc<dyn Clock>);
    for number in 0..10_000 {
        drop(quota.acquire(&[Charge::of("user", format!("user-{number}"), 1)], NEVER).unwrap());
        clock.advance_micros(100_000);
    }
    assert!(quota.shared.meters().subjects() < 200);
    assert_eq!(quota.uses()[0].of_late.unwrap().day, 10_000);
}
