//! Threads that call, without threads: for tests of what quota and estimates promise.

use std::{collections::BTreeMap, time::Duration};

use super::{
    Charge, PoolKey, Pools,
    bucket::{Time, duration, picoseconds},
    schedule::{Schedule, Standing},
};

/// What happened in a simulated run.
pub(crate) struct Run {
    /// When the last call ended.
    pub(crate) end: Duration,
    /// When each call went ahead, by bucket, in order, with its units.
    pub(crate) starts: BTreeMap<PoolKey, Vec<(Duration, u64)>>,
    /// The order in which calls went ahead.
    pub(crate) order: Vec<usize>,
    /// The most calls that ran at once, by bucket.
    pub(crate) running_max: BTreeMap<PoolKey, usize>,
}

enum Thread {
    Idle,
    Waiting { call: usize, ticket: u64 },
    Running { call: usize, until: Time, places: Vec<PoolKey> },
    Done,
}

/// Makes the calls in their order by so many threads, each taking the next one when it is free.
pub(crate) fn run(pools: &Pools, calls: &[Vec<Charge>], threads: usize, seconds_per_call: f64) -> Run {
    let mut schedule = Schedule::new(pools.clone());
    let took = picoseconds(Duration::from_secs_f64(seconds_per_call));
    let mut threads: Vec<Thread> = (0..threads).map(|_| Thread::Idle).collect();
    let mut next = 0;
    let mut now: Time = 0;
    let mut run =
        Run { end: Duration::ZERO, starts: BTreeMap::new(), order: Vec::new(), running_max: BTreeMap::new() };
    loop {
        for thread in &mut threads {
            if let Thread::Running { until, places, .. } = thread
                && *until <= now
            {
                schedule.release(places);
                run.end = run.end.max(duration(now));
                *thread = Thread::Idle;
            }
            if matches!(thread, Thread::Idle) {
                *thread = match calls.get(next) {
                    Some(charges) => {
                        Thread::Waiting { call: next, ticket: schedule.arrive(charges).unwrap() }
                    }
                    None => Thread::Done,
                };
                next += 1;
            }
        }
        schedule.advance(now);
        let mut event = Time::MAX;
        for thread in &mut threads {
            if let Thread::Waiting { call, ticket } = *thread {
                match schedule.standing(ticket) {
                    Standing::Admitted { settle } => {
                        let places = schedule.take(ticket);
                        for charge in &calls[call] {
                            let starts = run.starts.entry(charge.key.clone()).or_default();
                            starts.push((duration(now), charge.units));
                        }
                        run.order.push(call);
                        *thread = Thread::Running { call, until: now + settle + took, places };
                    }
                    Standing::Waits { until } => event = event.min(until),
                    Standing::Queues => {}
                }
            }
        }
        let mut running = BTreeMap::<&PoolKey, usize>::new();
        for thread in &threads {
            if let Thread::Running { call, until, .. } = thread {
                event = event.min(*until);
                calls[*call].iter().for_each(|charge| *running.entry(&charge.key).or_default() += 1);
            }
        }
        for (key, count) in running {
            let most = run.running_max.entry(key.clone()).or_default();
            *most = count.max(*most);
        }
        if event == Time::MAX {
            let done = threads.iter().all(|thread| matches!(thread, Thread::Done));
            assert!(done, "somebody waits and nothing will happen");
            return run;
        }
        now = now.max(event);
    }
}

/// Asserts that no span of time saw more units than the burst and the rate give, beyond one call above the burst.
pub(crate) fn assert_within(pools: &Pools, run: &Run) {
    for (key, starts) in &run.starts {
        let settings = &pools[&key.pool];
        let rate = settings.units as f64 / settings.per.as_secs_f64();
        let (mut level, mut last) = (settings.burst as f64, 0.0);
        // Calls that cost nothing fit at the very time at which a dear one overdraws the bucket.
        for (at, units) in starts.iter().filter(|(_, units)| *units > 0) {
            let at = at.as_secs_f64();
            level = (level + (at - last) * rate).min(settings.burst as f64);
            last = at;
            let needed = (*units).min(settings.burst) as f64;
            assert!(level - needed > -1e-3, "{key} was overdrawn at {at} s: {level} for {units}");
            level -= *units as f64;
        }
        if let (Some(limit), Some(most)) = (settings.concurrent, run.running_max.get(key)) {
            assert!(*most <= limit as usize, "{most} calls ran at once in {key}");
        }
    }
}
