//! Who may go ahead when: buckets and those that wait, without threads and clocks.
//!
//! Those that wait are placed in the order in which they came, each at the first time at which all its charges fit and
//! none of those before is delayed. So nobody starves, and a call that waits long for one bucket takes nothing from
//! the others until then.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{
    Charge, PoolKey, Pools, QuotaError,
    bucket::{Bucket, Placement, Time},
};

/// Buckets are looked through for forgettable ones when there are twice as many as after the last time.
const SWEEP_MIN: usize = 64;

pub(super) type Ticket = u64;

/// How it stands with one that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It may go ahead once the bucket that its price overdraws is even again.
    Admitted { settle: Time },
    /// Its charges fit at this time.
    Waits { until: Time },
    /// Its charges fit; too many others run.
    Queues,
}

struct Waiter {
    ticket: Ticket,
    charges: Vec<(PoolKey, u64)>,
    /// When it was placed last, and whether only a place is missing.
    standing: Standing,
    /// What it waits for.
    held_by: Option<String>,
}

struct Admitted {
    settle: Time,
    /// The pool that its price overdraws.
    overdrawn: Option<String>,
    places: Vec<PoolKey>,
}

pub(super) struct Schedule {
    pools: Pools,
    buckets: HashMap<PoolKey, Bucket>,
    /// In the order in which they came.
    waiters: Vec<Waiter>,
    admitted: HashMap<Ticket, Admitted>,
    next_ticket: Ticket,
    sweep_at: usize,
    now: Time,
}

impl Schedule {
    pub(super) fn new(pools: Pools) -> Self {
        Self {
            pools,
            buckets: HashMap::new(),
            waiters: Vec::new(),
            admitted: HashMap::new(),
            next_ticket: 0,
            sweep_at: SWEEP_MIN,
            now: 0,
        }
    }

    pub(super) fn buckets(&self) -> usize {
        self.buckets.len()
    }

    /// Puts one at the end of those that wait.
    pub(super) fn arrive(&mut self, charges: &[Charge]) -> Result<Ticket, QuotaError> {
        let mut merged = BTreeMap::<&PoolKey, u64>::new();
        for charge in charges {
            let sum = merged.entry(&charge.key).or_default();
            *sum = sum.saturating_add(charge.units);
        }
        for key in merged.keys() {
            self.open(key)?;
        }
        let charges = merged.into_iter().map(|(key, units)| (key.clone(), units)).collect();
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.waiters.push(Waiter { ticket, charges, standing: Standing::Queues, held_by: None });
        self.sweep();
        Ok(ticket)
    }

    fn open(&mut self, key: &PoolKey) -> Result<&mut Bucket, QuotaError> {
        let Some(settings) = self.pools.get(&key.pool) else {
            return Err(QuotaError::Unknown { pool: key.pool.clone() });
        };
        if settings.is_zero() {
            return Err(QuotaError::Zero { pool: key.to_string() });
        }
        Ok(self.buckets.entry(key.clone()).or_insert_with(|| Bucket::new(settings)))
    }

    /// Places everybody anew and admits those whose time has come; returns whether there are any.
    pub(super) fn advance(&mut self, now: Time) -> bool {
        self.now = self.now.max(now);
        let mut placed = HashMap::<PoolKey, Vec<Placement>>::new();
        let mut full = HashSet::<PoolKey>::new();
        let before = self.waiters.len();
        let mut staying = Vec::with_capacity(before);
        for mut waiter in std::mem::take(&mut self.waiters) {
            let (at, held_by) = self.place(&waiter.charges, &placed);
            let queue = waiter.charges.iter().find(|(key, _)| {
                full.contains(key) || self.buckets.get(key).and_then(Bucket::places) == Some(0)
            });
            waiter.held_by = held_by.or_else(|| queue.map(|(key, _)| key.pool.clone()));
            if at == self.now && queue.is_none() {
                self.admit(waiter);
                continue;
            }
            if at == self.now {
                waiter.standing = Standing::Queues;
                // A place that gets free is for those that came first.
                full.extend(
                    waiter.charges.iter().map(|(key, _)| key).filter(|key| self.counts(key)).cloned(),
                );
            } else {
                waiter.standing = Standing::Waits { until: at };
            }
            for (key, units) in &waiter.charges {
                let price = self.price(key, *units);
                let list = placed.entry(key.clone()).or_default();
                list.insert(list.partition_point(|other| other.at <= at), Placement { at, price });
            }
            staying.push(waiter);
        }
        let admitted = staying.len() < before;
        self.waiters = staying;
        admitted
    }

    fn counts(&self, key: &PoolKey) -> bool {
        self.buckets.get(key).is_some_and(Bucket::counts)
    }

    fn price(&self, key: &PoolKey, units: u64) -> Time {
        self.buckets.get(key).map_or(0, |bucket| bucket.price(units))
    }

    /// Returns the first time at which all charges fit, and the pool that they wait for until then.
    fn place(
        &self,
        charges: &[(PoolKey, u64)],
        placed: &HashMap<PoolKey, Vec<Placement>>,
    ) -> (Time, Option<String>) {
        let (mut at, mut held_by) = (self.now, None);
        loop {
            let before = at;
            for (key, units) in charges {
                if let Some(bucket) = self.buckets.get(key) {
                    let others = placed.get(key).map_or(&[][..], Vec::as_slice);
                    let fits = bucket.earliest(others, at, bucket.price(*units));
                    if fits > at {
                        (at, held_by) = (fits, Some(&key.pool));
                    }
                }
            }
            if at == before {
                return (at, held_by.cloned());
            }
        }
    }

    fn admit(&mut self, waiter: Waiter) {
        let mut admitted = Admitted { settle: 0, overdrawn: None, places: Vec::new() };
        for (key, units) in waiter.charges {
            let Some(bucket) = self.buckets.get_mut(&key) else { continue };
            let settle = bucket.take(self.now, bucket.price(units));
            if settle > admitted.settle {
                (admitted.settle, admitted.overdrawn) = (settle, Some(key.pool.clone()));
            }
            if bucket.counts() {
                bucket.enter();
                admitted.places.push(key);
            }
        }
        self.admitted.insert(waiter.ticket, admitted);
    }

    /// Returns how it stands with a ticket that was neither taken nor left.
    pub(super) fn standing(&self, ticket: Ticket) -> Standing {
        if let Some(admitted) = self.admitted.get(&ticket) {
            return Standing::Admitted { settle: admitted.settle };
        }
        let waiter = self.waiters.iter().find(|waiter| waiter.ticket == ticket);
        waiter.map_or(Standing::Queues, |waiter| waiter.standing)
    }

    /// Returns the pool that a ticket waits for, if it waits.
    pub(super) fn held_by(&self, ticket: Ticket) -> Option<String> {
        if let Some(admitted) = self.admitted.get(&ticket) {
            return admitted.overdrawn.clone();
        }
        self.waiters.iter().find(|waiter| waiter.ticket == ticket).and_then(|waiter| waiter.held_by.clone())
    }

    /// Lets an admitted one go; it owes these places.
    pub(super) fn take(&mut self, ticket: Ticket) -> Vec<PoolKey> {
        self.admitted.remove(&ticket).map(|admitted| admitted.places).unwrap_or_default()
    }

    /// Forgets one that no longer waits.
    pub(super) fn leave(&mut self, ticket: Ticket) {
        self.waiters.retain(|waiter| waiter.ticket != ticket);
        let places = self.take(ticket);
        self.release(&places);
    }

    pub(super) fn release(&mut self, places: &[PoolKey]) {
        for key in places {
            if let Some(bucket) = self.buckets.get_mut(key) {
                bucket.exit();
            }
        }
    }

    pub(super) fn penalise(&mut self, key: &PoolKey, now: Time, span: Time) -> Result<(), QuotaError> {
        self.open(key)?.penalise(now, span);
        Ok(())
    }

    fn sweep(&mut self) {
        if self.buckets.len() < self.sweep_at {
            return;
        }
        let used: HashSet<&PoolKey> =
            self.waiters.iter().flat_map(|waiter| waiter.charges.iter().map(|(key, _)| key)).collect();
        let now = self.now;
        self.buckets.retain(|key, bucket| used.contains(key) || !bucket.is_fresh(now));
        self.sweep_at = (2 * self.buckets.len()).max(SWEEP_MIN);
    }
}
