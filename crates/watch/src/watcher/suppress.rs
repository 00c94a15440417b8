//! What was announced, and how much of it there was.

use super::{Context, Watcher};
use crate::{
    News, Sums, Suppression,
    ledger::Entry,
    memory::{HOUR, Tally},
};

/// What is left of what is new.
pub(super) struct Unexpected {
    /// Nobody announced this.
    pub(super) more: Sums,
    /// The expectation that covers some of it.
    pub(super) covered: Option<String>,
    /// Expectations that covered it until they were used up.
    pub(super) used_up: Vec<Suppression>,
}

impl Watcher {
    /// Takes away what was announced, and counts it.
    pub(super) fn unexpected(
        &mut self,
        entry: &Entry,
        mut more: Sums,
        context: &Context<'_>,
        news: &mut Vec<News>,
    ) -> Unexpected {
        let (mut covered, mut used_up) = (None, Vec::new());
        let deed = &entry.deed;
        let log = deed.scope.split_once('/').map_or("", |(log, _)| log);
        let log = if deed.recorded { format!("log of {log}") } else { "feed".to_owned() };
        for expectation in context.expectations {
            let covers = |verb, target: &str| {
                let actor = entry.actor.as_ref();
                expectation.covers(&deed.source, deed.at, actor, &deed.scope, (verb, target))
            };
            let count = more
                .iter()
                .filter(|effect| covers(effect.verb, &effect.target))
                .fold(0_u64, |sum, effect| sum.saturating_add(effect.count));
            if count == 0 {
                continue;
            }
            let tally = self.memory.tallies.entry(expectation.id.clone()).or_insert_with(|| Tally {
                source: Some(deed.source.clone()),
                until: expectation.until.as_micros(),
                ..Tally::default()
            });
            if expectation.items_max.is_some_and(|most| tally.with(&log, count) > most) {
                used_up.push(Suppression {
                    expectation: expectation.id.clone(),
                    items: tally.items,
                    at: entry.seen_at,
                });
                continue;
            }
            let first = tally.items == 0;
            tally.add(&log, count);
            tally.scope.clone_from(&deed.scope);
            let now = entry.seen_at.as_micros();
            if first || now - tally.told_at >= HOUR {
                (tally.told_at, tally.told_items) = (now, tally.items);
                news.push(News::Suppressed {
                    expectation: expectation.id.clone(),
                    source: deed.source.clone(),
                    scope: deed.scope.clone(),
                    items: tally.items,
                    at: entry.seen_at,
                });
            }
            more.retain(|effect| !covers(effect.verb, &effect.target));
            covered = Some(expectation.id.clone());
        }
        Unexpected { more, covered, used_up }
    }

    /// Tells how much was covered in the end by expectations that are over.
    pub(super) fn end_expectations(&mut self, news: &mut Vec<News>) {
        let now = self.now;
        self.memory.tallies.retain(|expectation, tally| {
            if tally.until >= now.as_micros() {
                return true;
            }
            if tally.items > tally.told_items
                && let Some(source) = tally.source.take()
            {
                news.push(News::Suppressed {
                    expectation: expectation.clone(),
                    source,
                    scope: std::mem::take(&mut tally.scope),
                    items: tally.items,
                    at: now,
                });
                tally.told_items = tally.items;
            }
            // What an audit log tells late must still find how much there was.
            tally.until.saturating_add(48 * HOUR) >= now.as_micros()
        });
    }
}
