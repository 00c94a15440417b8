//! The arithmetic of one bucket, in picoseconds of refill, so that nothing is rounded that adds up.

use std::time::Duration;

use super::PoolSettings;

/// A time since the clock's start, or a span, in picoseconds.
pub(super) type Time = u128;

const PICOSECONDS: u128 = 1000;

pub(super) fn picoseconds(duration: Duration) -> Time {
    duration.as_nanos().saturating_mul(PICOSECONDS)
}

/// Rounds up: nobody comes too early.
pub(super) fn duration(time: Time) -> Duration {
    let nanos = time.div_ceil(PICOSECONDS);
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// A bucket that fills by itself. It is told by when it will be full again.
#[derive(Debug)]
pub(super) struct Bucket {
    /// How long one unit takes to come back.
    unit: Time,
    /// How long a burst takes to come back.
    burst: Time,
    full_at: Time,
    not_before: Time,
    concurrent: Option<u32>,
    running: u32,
}

/// A call that is to go ahead later: when, and what it takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Placement {
    pub(super) at: Time,
    pub(super) price: Time,
}

impl Bucket {
    pub(super) fn new(settings: &PoolSettings) -> Self {
        let unit = picoseconds(settings.per).div_ceil(u128::from(settings.units.max(1)));
        Self {
            unit,
            burst: unit * u128::from(settings.burst),
            full_at: 0,
            not_before: 0,
            concurrent: settings.concurrent,
            running: 0,
        }
    }

    /// Returns how long the units take to come back.
    pub(super) fn price(&self, units: u64) -> Time {
        self.unit * u128::from(units)
    }

    /// How far from full the bucket may be for the price to fit. One that never fits needs a full bucket.
    fn slack(&self, price: Time) -> Time {
        self.burst - price.min(self.burst)
    }

    /// Returns the first time from `from` on at which the price fits and delays none of those placed before.
    pub(super) fn earliest(&self, placed: &[Placement], from: Time, price: Time) -> Time {
        let mut full = self.full_at;
        let mut start = from.max(self.not_before);
        for (index, next) in placed.iter().enumerate() {
            let at = start.max(full.saturating_sub(self.slack(price)));
            if at <= next.at && self.still_fit(full.max(at) + price, &placed[index..]) {
                return at;
            }
            full = full.max(next.at) + next.price;
            start = start.max(next.at);
        }
        start.max(full.saturating_sub(self.slack(price)))
    }

    fn still_fit(&self, mut full: Time, placed: &[Placement]) -> bool {
        placed.iter().all(|next| {
            let fits = full <= next.at + self.slack(next.price);
            full = full.max(next.at) + next.price;
            fits
        })
    }

    /// Takes the price, and returns for how long the bucket is overdrawn by it.
    pub(super) fn take(&mut self, now: Time, price: Time) -> Time {
        self.full_at = self.full_at.max(now) + price;
        if price > self.burst { (self.full_at - now).saturating_sub(self.burst) } else { 0 }
    }

    pub(super) fn penalise(&mut self, now: Time, span: Time) {
        let end = now.saturating_add(span);
        let longer = end.saturating_sub(self.not_before.max(now));
        self.not_before = self.not_before.max(end);
        self.full_at = self.full_at.max(now).saturating_add(longer);
    }

    /// Returns how many more calls may run; absent: any number.
    pub(super) fn places(&self) -> Option<u32> {
        self.concurrent.map(|limit| limit.saturating_sub(self.running))
    }

    pub(super) const fn enter(&mut self) {
        self.running += 1;
    }

    pub(super) const fn exit(&mut self) {
        self.running = self.running.saturating_sub(1);
    }

    pub(super) const fn counts(&self) -> bool {
        self.concurrent.is_some()
    }

    /// Tells whether a new bucket would be just the same.
    pub(super) const fn is_fresh(&self, now: Time) -> bool {
        self.full_at <= now && self.not_before <= now && self.running == 0
    }
}
