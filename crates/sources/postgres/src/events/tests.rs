use std::collections::BTreeMap;

use postgres_wal::{CatalogChanges, Lsn, RelationRows, TransactionId};

use super::*;
use crate::{layout::Relation, names::Snapshot};

const DATABASE: u32 = 5;

const fn file(relation: u32) -> RelationLocator {
    RelationLocator { tablespace: 1663, database: DATABASE, relation }
}

/// Files with the table that each belongs to now.
fn look(tables: &[(u32, &str, u32, i64)]) -> Snapshot {
    let files = tables.iter().map(|&(number, name, oid, rows_estimate)| {
        let relation = Relation {
            database: "shop".into(),
            schema: "public".into(),
            name: name.into(),
            oid,
            kind: 'r',
            owner_oid: None,
            rows_estimate,
        };
        (DATABASE, number, relation)
    });
    Snapshot {
        databases: BTreeMap::from([(DATABASE, "shop".into())]),
        relations: BTreeMap::from([(DATABASE, files.collect())]),
    }
}

fn commit(transaction: u32) -> Commit {
    let summary = TransactionSummary {
        transaction: TransactionId(transaction),
        subtransactions: Vec::new(),
        first_lsn: Lsn(100),
        commit_lsn: Lsn(200 + u64::from(transaction)),
        end_lsn: Lsn(240 + u64::from(transaction)),
        commit_time_unix_microseconds: 0,
        databases: vec![DATABASE],
        relations: Vec::new(),
        rows: RowCounts::default(),
        files_dropped: Vec::new(),
        files_created: Vec::new(),
        files_truncated: Vec::new(),
        tables_truncated: Vec::new(),
        databases_created: Vec::new(),
        databases_dropped: Vec::new(),
        catalog: CatalogChanges::default(),
        messages: Vec::new(),
        locks: Vec::new(),
        prepared: None,
        origin: None,
        partial: false,
        overflow: false,
    };
    Commit { summary, defines: false, rewritten: Vec::new(), databases_dropped: Vec::new() }
}

fn with_rows(mut commit: Commit, relation: u32, rows: RowCounts) -> Commit {
    commit.summary.relations.push(RelationRows { relation: file(relation), rows });
    commit.summary.rows.inserted += rows.inserted;
    commit.summary.rows.updated += rows.updated;
    commit.summary.rows.deleted += rows.deleted;
    commit
}

const fn deleted(rows: u64) -> RowCounts {
    RowCounts { inserted: 0, updated: 0, deleted: rows, moved: 0 }
}

fn map(looks: &[&[(u32, &str, u32, i64)]]) -> NameMap {
    let mut map = NameMap::default();
    for tables in looks {
        map.absorb(look(tables));
    }
    map
}

/// Returns the verbs with their targets, and the severity.
fn told(commit: Commit, names: &NameMap) -> (Vec<(Verb, String, u64)>, Severity) {
    let event = tell(&[commit], names, &Sightings::default()).remove(0);
    (event.effects.into_iter().map(|e| (e.verb, e.target, e.count)).collect(), event.severity)
}

#[test]
fn a_share_of_a_table_makes_deleting_destructive() {
    let names = map(&[&[(20_000, "bookings", 20_000, 100_000)]]);
    let cases = [(4_999, Severity::Notable), (5_000, Severity::Destructive), (1, Severity::Notable)];
    for (rows, severity) in cases {
        let (effects, found) = told(with_rows(commit(1), 20_000, deleted(rows)), &names);
        assert_eq!(effects, [(Verb::Delete, "shop.public.bookings".to_owned(), rows)]);
        assert_eq!(found, severity, "{rows} rows");
    }
}

#[test]
fn a_table_that_was_never_analysed_has_the_lower_bound() {
    let names = map(&[&[(20_000, "bookings", 20_000, -1)]]);
    assert_eq!(told(with_rows(commit(1), 20_000, deleted(999)), &names).1, Severity::Notable);
    assert_eq!(told(with_rows(commit(1), 20_000, deleted(1000)), &names).1, Severity::Destructive);
}

#[test]
fn partitions_that_each_lose_little_lose_much_together() {
    let tables: Vec<(u32, String)> = (20_000..20_010).map(|n| (n, format!("p{n}"))).collect();
    let looks: Vec<_> = tables.iter().map(|(n, name)| (*n, name.as_str(), *n, 1000)).collect();
    let names = map(&[&looks]);
    let lost = tables.iter().fold(commit(1), |commit, (n, _)| with_rows(commit, *n, deleted(200)));
    assert_eq!(told(lost, &names).1, Severity::Destructive);
}

#[test]
fn drop_truncate_and_rewrite_are_told_apart() {
    let before: &[_] = &[(20_000, "bookings", 20_000, 10)];
    let after: &[_] = &[(20_009, "bookings", 20_000, 10)];
    let lives_on = map(&[before, after]);

    let mut dropped = commit(1);
    dropped.summary.files_dropped = vec![file(20_000)];
    let (effects, severity) = told(dropped, &map(&[before, &[]]));
    assert_eq!((effects[0].0, severity), (Verb::Drop, Severity::Destructive));

    let mut truncated = commit(1);
    truncated.summary.files_dropped = vec![file(20_000)];
    truncated.summary.files_created = vec![file(20_009)];
    let (effects, severity) = told(truncated, &lives_on);
    assert_eq!((effects[0].0, severity), (Verb::Truncate, Severity::Destructive));

    let mut vacuumed = commit(1);
    vacuumed.summary.files_dropped = vec![file(20_000)];
    vacuumed.summary.files_created = vec![file(20_009)];
    vacuumed.rewritten = vec![file(20_009)];
    let (effects, severity) = told(vacuumed, &lives_on);
    assert_eq!((effects[0].0, severity), (Verb::Rewrite, Severity::Notable));

    let inserted = RowCounts { inserted: 10, ..RowCounts::default() };
    let mut altered = with_rows(commit(1), 20_009, inserted);
    altered.summary.files_dropped = vec![file(20_000)];
    altered.summary.files_created = vec![file(20_009)];
    altered.summary.catalog.rows = RowCounts { inserted: 3, updated: 1, deleted: 3, moved: 0 };
    assert_eq!(told(altered, &lives_on).0[0].0, Verb::Rewrite);
}

#[test]
fn a_file_that_came_and_went_in_one_transaction_is_no_loss() {
    let mut both = commit(1);
    both.summary.files_dropped = vec![file(30_000)];
    both.summary.files_created = vec![file(30_000)];
    assert!(tell(&[both], &NameMap::default(), &Sightings::default()).is_empty());
}

#[test]
fn without_names_targets_are_numbers() {
    let (effects, _) = told(with_rows(commit(1), 20_000, deleted(3)), &NameMap::default());
    assert_eq!(effects, [(Verb::Delete, "db/5 rel/20000".to_owned(), 3)]);
}

#[test]
fn a_removed_database_is_placed_before_the_record_that_removed_it() {
    let mut removed = commit(1);
    removed.databases_dropped = vec![(DATABASE, 150)];
    let event = tell(&[removed], &map(&[&[]]), &Sightings::default()).remove(0);
    assert_eq!((event.position, event.scope.as_str()), (lsn_key(150), "shop"));
    assert_eq!(event.effects[0].verb, Verb::DropDatabase);
    assert_eq!(event.severity, Severity::Destructive);
}

#[test]
fn many_small_deletes_become_one_event_and_lose_no_row() {
    let names = map(&[&[(20_000, "queue", 20_000, 100)]]);
    let commits: Vec<Commit> = (0..500).map(|n| with_rows(commit(n), 20_000, deleted(2))).collect();
    let events = tell(&commits, &names, &Sightings::default());
    assert_eq!(events.len(), NOTABLE_EVENTS_MAX + 1);
    let rows: u64 = events.iter().flat_map(|event| &event.effects).map(|effect| effect.count).sum();
    assert_eq!(rows, 1000);
    assert_eq!(events.last().unwrap().position, lsn_key(200 + 499));
}

#[test]
fn daily_work_is_summed_up_by_database() {
    let inserted = RowCounts { inserted: 2, updated: 1, ..RowCounts::default() };
    let names = map(&[&[(20_000, "bookings", 20_000, 10)]]);
    let mut routine = Routine::default();
    for n in 0..10 {
        let work = with_rows(commit(n), 20_000, inserted);
        assert!(is_routine(&work));
        routine.add(&work);
    }
    let events = routine.take(&names);
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].transaction, "10 transactions");
    let effects: Vec<_> = events[0].effects.iter().map(|e| (e.verb, e.target.as_str(), e.count)).collect();
    let bookings = "shop.public.bookings";
    assert_eq!(effects, [(Verb::Update, bookings, 10), (Verb::Insert, bookings, 20)]);
    assert!(routine.is_empty());
}
