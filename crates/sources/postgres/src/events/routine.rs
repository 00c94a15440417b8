//! Daily work, summed up: one event for each database at each checkpoint.

use std::collections::HashMap;

use model::{Attribution, Effect, Event, Moment, Severity, Verb};
use postgres_wal::{RelationLocator, RowCounts};

use crate::{
    layout::lsn_key,
    names::{NameMap, Target},
    scan::Commit,
};

/// Tables counted one by one in each database; the rest are counted together.
const TABLES_MAX: usize = 10_000;

#[derive(Debug, Default)]
struct Sum {
    rows: HashMap<RelationLocator, RowCounts>,
    others: RowCounts,
    transactions: u64,
    last_lsn: u64,
    last_at: i64,
}

/// The sums since the last checkpoint, by database.
#[derive(Debug, Default)]
pub(crate) struct Routine {
    by_database: HashMap<u32, Sum>,
}

impl Routine {
    /// Adds a transaction's rows.
    pub(crate) fn add(&mut self, commit: &Commit) {
        let summary = &commit.summary;
        let mut databases: Vec<u32> = Vec::new();
        for relation in &summary.relations {
            let sum = self.by_database.entry(relation.relation.database).or_default();
            let rows = if sum.rows.len() < TABLES_MAX || sum.rows.contains_key(&relation.relation) {
                sum.rows.entry(relation.relation).or_default()
            } else {
                &mut sum.others
            };
            rows.inserted += relation.rows.inserted;
            rows.updated += relation.rows.updated;
            sum.last_lsn = sum.last_lsn.max(summary.commit_lsn.0);
            sum.last_at = sum.last_at.max(summary.commit_time_unix_microseconds);
            if !databases.contains(&relation.relation.database) {
                databases.push(relation.relation.database);
                sum.transactions += 1;
            }
        }
    }

    /// Returns whether nothing was added.
    pub(crate) fn is_empty(&self) -> bool {
        self.by_database.is_empty()
    }

    /// Returns the sums as events and begins anew.
    pub(crate) fn take(&mut self, names: &NameMap) -> Vec<Event> {
        let sums = std::mem::take(&mut self.by_database);
        sums.into_iter().filter_map(|(database, sum)| event(database, &sum, names)).collect()
    }
}

fn event(database: u32, sum: &Sum, names: &NameMap) -> Option<Event> {
    let mut effects: Vec<Effect> = Vec::new();
    let mut add = |verb: Verb, target: &str, count: u64| match count {
        0 => {}
        count => effects.push(Effect { verb, target: target.to_owned(), count }),
    };
    for (relation, rows) in &sum.rows {
        let (Target::Table { name, .. } | Target::Unknown { name }) = names.target(*relation) else {
            continue;
        };
        add(Verb::Update, &name, rows.updated);
        add(Verb::Insert, &name, rows.inserted);
    }
    add(Verb::Update, "others", sum.others.updated);
    add(Verb::Insert, "others", sum.others.inserted);
    if effects.is_empty() {
        return None;
    }
    effects.sort_by(|a, b| (a.verb, &a.target).cmp(&(b.verb, &b.target)));
    Some(Event {
        at: Moment::from_micros(sum.last_at),
        position: lsn_key(sum.last_lsn),
        transaction: format!("{} transactions", sum.transactions),
        scope: names.database(database),
        effects,
        severity: Severity::Routine,
        actor: None,
        attribution: Attribution::Unknown,
        statement: None,
    })
}
