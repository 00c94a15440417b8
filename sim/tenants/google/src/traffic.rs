//! What was asked, for tests that count.

use std::{collections::BTreeMap, sync::Arc};

use crate::text;

/// Counts of calls by method and user, and how many ran at a time.
#[derive(Debug, Default)]
pub struct Traffic {
    counts: BTreeMap<(&'static str, Arc<str>), Count>,
    running: BTreeMap<(&'static str, Arc<str>), Running>,
    requests: BTreeMap<(&'static str, Arc<str>), u64>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Count {
    calls: u64,
    refused: u64,
}

#[derive(Debug, Default, Clone, Copy)]
struct Running {
    now: u32,
    peak: u32,
}

impl Traffic {
    /// Returns how often methods that match a pattern were called, by anybody: `gmail.users.messages.*`.
    pub fn calls(&self, method: &str) -> u64 {
        self.chosen(method).map(|(_, count)| count.calls).sum()
    }

    /// Returns how often methods that match a pattern were called by one user, given by mail address.
    pub fn calls_of(&self, method: &str, user: &str) -> u64 {
        self.chosen(method).filter(|(own, _)| *own == user).map(|(_, count)| count.calls).sum()
    }

    /// Returns how many of the calls were refused or met a fault.
    pub fn refused(&self, method: &str) -> u64 {
        self.chosen(method).map(|(_, count)| count.refused).sum()
    }

    /// Returns all counts: method, user, calls.
    pub fn all(&self) -> impl Iterator<Item = (&str, &str, u64)> {
        self.counts.iter().map(|((method, user), count)| (*method, &**user, count.calls))
    }

    /// Returns how many requests came, a batch counted as one: service (`gmail`), user, requests. Those for tokens are of the
    /// service `oauth2` and of nobody; what came without a good token is not among them.
    pub fn requests(&self) -> impl Iterator<Item = (&str, &str, u64)> {
        self.requests.iter().map(|((service, user), count)| (*service, &**user, *count))
    }

    /// Returns how many calls of one user to one service (`gmail`) ran at a time at most.
    pub fn peak(&self, service: &str, user: &str) -> u32 {
        let mut own = self.running.iter().filter(|((s, u), _)| *s == service && &**u == user);
        own.next().map_or(0, |(_, running)| running.peak)
    }

    /// Forgets all counts; what runs now stays counted as running.
    pub fn clear(&mut self) {
        self.counts.clear();
        self.requests.clear();
        for running in self.running.values_mut() {
            running.peak = running.now;
        }
    }

    fn chosen(&self, method: &str) -> impl Iterator<Item = (&str, Count)> {
        self.counts
            .iter()
            .filter(move |((own, _), _)| text::matches(method, own))
            .map(|((_, user), count)| (&**user, *count))
    }

    /// Notes a call that begins; returns how many of this user and service run now.
    pub(crate) fn begin(&mut self, service: &'static str, user: &Arc<str>) -> u32 {
        let running = self.running.entry((service, Arc::clone(user))).or_default();
        running.now += 1;
        running.peak = running.peak.max(running.now);
        running.now
    }

    /// Notes that a call has been answered.
    pub(crate) fn end(&mut self, service: &'static str, user: &Arc<str>) {
        if let Some(running) = self.running.get_mut(&(service, Arc::clone(user))) {
            running.now = running.now.saturating_sub(1);
        }
    }

    /// Counts a request, however many calls it holds.
    pub(crate) fn request(&mut self, service: &'static str, user: &Arc<str>) {
        *self.requests.entry((service, Arc::clone(user))).or_default() += 1;
    }

    /// Counts a call with its outcome.
    pub(crate) fn count(&mut self, method: &'static str, user: &Arc<str>, refused: bool) {
        let count = self.counts.entry((method, Arc::clone(user))).or_default();
        count.calls += 1;
        count.refused += u64::from(refused);
    }
}
