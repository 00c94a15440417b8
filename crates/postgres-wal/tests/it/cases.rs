//! What must be found in the log of `fixtures/workload.sql`, known from the SQL itself.

use std::collections::BTreeSet;

use postgres_wal::{
    IndexEvent, MessageContent, MessageSummary, RowChange, RowCounts, TransactionSummary, TupleId,
};

use crate::log::Log;

/// Checks everything the workload knows of its transactions, at this `wal_level`.
pub(crate) fn check(log: &Log, level: &str) {
    let events = log.events();
    let cases = Cases { log, events: &events };
    cases.rows_are_counted();
    cases.rolled_back_work_is_absent();
    cases.subtransactions_and_phases_are_folded_in();
    cases.destruction_is_told_apart(level);
    cases.row_places_are_those_the_server_saw();
    cases.what_is_not_transactional_is_reported_at_once();
}

struct Cases<'a> {
    log: &'a Log,
    events: &'a [IndexEvent],
}

fn counts(inserted: u64, updated: u64, deleted: u64, moved: u64) -> RowCounts {
    RowCounts { inserted, updated, deleted, moved }
}

fn text(message: &MessageSummary) -> &str {
    message.content.text().unwrap()
}

fn named<'a>(summary: &'a TransactionSummary, prefix: &'a str) -> impl Iterator<Item = &'a MessageSummary> {
    summary.messages.iter().filter(move |message| message.prefix == prefix)
}

impl Cases<'_> {
    fn summaries(&self) -> impl Iterator<Item = &TransactionSummary> {
        self.events.iter().filter_map(|event| match event {
            IndexEvent::Committed(summary) => Some(&**summary),
            _ => None,
        })
    }

    fn find(&self, case: &str) -> Option<&TransactionSummary> {
        let is_case =
            |summary: &&TransactionSummary| named(summary, "case").any(|message| text(message) == case);
        let mut found = self.summaries().filter(is_case);
        let first = found.next();
        assert!(found.next().is_none(), "{case} is one transaction");
        first
    }

    fn case(&self, case: &str) -> &TransactionSummary {
        let summary = self.find(case).unwrap_or_else(|| panic!("{case} is missing"));
        assert!(!summary.overflow && !summary.partial, "{case}: {summary:?}");
        assert!(summary.first_lsn < summary.commit_lsn && summary.commit_lsn < summary.end_lsn, "{case}");
        let plausible = 1_600_000_000_000_000..4_000_000_000_000_000;
        assert!(plausible.contains(&summary.commit_time_unix_microseconds), "{case}");
        assert_eq!(summary.databases.len(), 1, "{case}");
        summary
    }

    /// The counts of each relation the transaction wrote to, smallest first.
    fn relation_counts(&self, case: &str) -> Vec<RowCounts> {
        let mut counts: Vec<_> = self.case(case).relations.iter().map(|relation| relation.rows).collect();
        counts.sort_by_key(|rows| (rows.inserted, rows.updated, rows.deleted));
        counts
    }

    fn rows_are_counted(&self) {
        for (case, expected) in [
            ("copy", counts(700, 0, 0, 0)),
            ("insert", counts(1400, 0, 0, 0)),
            ("update", counts(0, 200, 0, 0)),
            ("cascade", counts(0, 0, 300, 0)),
            ("savepoints", counts(3, 0, 0, 0)),
            ("prepared", counts(2, 0, 1, 0)),
            ("conflict", counts(3, 0, 0, 0)),
            ("partition move", counts(14, 0, 0, 4)),
            ("twice changed", counts(1, 4, 1, 0)),
            ("rows locked", counts(0, 0, 0, 0)),
            ("last", counts(1, 0, 0, 0)),
        ] {
            let summary = self.case(case);
            assert_eq!(summary.rows, expected, "{case}");
            assert!(!summary.changes_catalog(), "{case}");
            assert!(summary.files_dropped.is_empty() && summary.files_created.is_empty(), "{case}");
        }
        assert_eq!(self.relation_counts("cascade"), [counts(0, 0, 100, 0), counts(0, 0, 200, 0)]);
        assert_eq!(self.relation_counts("partition move"), [counts(4, 0, 0, 0), counts(10, 0, 0, 4)]);
        let [table, toast] = self.relation_counts("toast")[..] else { panic!("toast has two relations") };
        assert_eq!(table, counts(3, 0, 0, 0));
        assert!(toast.inserted >= 6, "each text takes several TOAST rows");
    }

    fn rolled_back_work_is_absent(&self) {
        assert_eq!(self.find("rolled back"), None);
        assert_eq!(self.find("prepared and rolled back"), None);
    }

    fn subtransactions_and_phases_are_folded_in(&self) {
        assert_eq!(self.case("savepoints").subtransactions.len(), 2);
        let prepared = self.case("prepared");
        assert_eq!(prepared.prepared.as_deref(), Some("first phase"));
        assert_eq!(prepared.subtransactions.len(), 1);
        assert_eq!(self.case("insert").prepared, None);
    }

    fn destruction_is_told_apart(&self, level: &str) {
        let truncate = self.case("truncate");
        let rewrite = self.case("rewrite");
        assert!(!truncate.files_dropped.is_empty() && !rewrite.files_dropped.is_empty());
        // At the minimal level files are created before their transaction has a number.
        if level != "minimal" {
            assert_eq!(truncate.files_dropped.len(), truncate.files_created.len());
            assert!(!rewrite.files_created.is_empty());
        }
        assert_eq!(truncate.tables_truncated.len(), usize::from(level == "logical"));
        assert!(truncate.tables_truncated.iter().all(|truncation| truncation.tables.len() == 1));
        assert!(rewrite.tables_truncated.is_empty() && rewrite.changes_catalog());

        // The table, its TOAST table, and the index of each.
        let table = self.case("drop table");
        assert_eq!((table.files_dropped.len(), table.files_created.len()), (4, 0));
        // Locks and invalidations are logged for standbys, of which the minimal level knows none.
        assert_eq!(table.locks.is_empty(), level == "minimal");
        assert!(table.changes_catalog());
        assert_eq!(table.catalog.relations.is_empty(), level == "minimal");
        assert!(table.catalog.rows.deleted > 0);

        let schema = self.case("drop schema");
        assert_eq!((schema.files_dropped.len(), schema.files_created.len()), (3, 0));
    }

    fn places(&self, case: &str, kind: &str) -> Vec<TupleId> {
        let messages = named(self.case(case), kind).map(text);
        messages.flat_map(str::split_whitespace).map(place).collect()
    }

    fn net_changes(&self, case: &str) -> Vec<RowChange> {
        self.log.rows(self.case(case)).net_changes().unwrap()
    }

    fn row_places_are_those_the_server_saw(&self) {
        for case in ["copy", "insert"] {
            let found = self.net_changes(case).into_iter().map(|change| match change {
                RowChange::Inserted { tuple, .. } => tuple,
                other => panic!("{case}: {other:?}"),
            });
            assert_eq!(
                found.collect::<BTreeSet<_>>(),
                self.places(case, "inserted").into_iter().collect(),
                "{case}"
            );
        }
        let mut deleted: Vec<_> = self
            .net_changes("cascade")
            .into_iter()
            .map(|change| match change {
                RowChange::Deleted { tuple, moved: false, .. } => tuple,
                other => panic!("{other:?}"),
            })
            .collect();
        let mut expected = self.places("cascade", "deleted");
        deleted.sort_unstable();
        expected.sort_unstable();
        assert_eq!((deleted.len(), deleted), (300, expected));

        for (case, rows) in [("update", 200), ("twice changed", 1)] {
            let found: BTreeSet<_> = self
                .net_changes(case)
                .into_iter()
                .map(|change| match change {
                    RowChange::Updated { old, new, .. } => (old, new),
                    other => panic!("{case}: {other:?}"),
                })
                .collect();
            let expected = self.places(case, "old").into_iter().zip(self.places(case, "new"));
            assert_eq!((found.len(), found), (rows, expected.collect()), "{case}");
        }
        let moved = self.net_changes("partition move").into_iter();
        assert_eq!(
            moved.filter(|change| matches!(change, RowChange::Deleted { moved: true, .. })).count(),
            0,
            "the rows were new"
        );
    }

    fn what_is_not_transactional_is_reported_at_once(&self) {
        let apart: Vec<_> = self
            .events
            .iter()
            .filter_map(|event| match event {
                IndexEvent::Message(message) => Some(message),
                _ => None,
            })
            .collect();
        let [apart] = apart[..] else { panic!("there is one such message: {apart:?}") };
        assert_eq!(
            (apart.prefix.as_str(), &apart.content),
            ("apart", &MessageContent::Text("counts in any case".into()))
        );

        let dropped: Vec<_> = self
            .events
            .iter()
            .filter_map(|event| match event {
                IndexEvent::DatabaseDropped { lsn, transaction, files } => Some((*lsn, *transaction, files)),
                _ => None,
            })
            .collect();
        let [(lsn, transaction, files)] = dropped[..] else {
            panic!("one database was dropped: {dropped:?}")
        };
        let by = self.summaries().find(|summary| Some(summary.transaction) == transaction).unwrap();
        assert!(by.first_lsn <= lsn && lsn < by.commit_lsn);
        assert_eq!(by.databases_dropped, std::slice::from_ref(files));
        let created = self.summaries().find(|summary| !summary.databases_created.is_empty()).unwrap();
        assert_eq!(created.databases_created[0].database, files.database);
    }
}

fn place(text: &str) -> TupleId {
    let (block, offset) = text.trim_matches(['(', ')']).split_once(',').unwrap();
    TupleId { block: block.parse().unwrap(), offset: offset.parse().unwrap() }
}
