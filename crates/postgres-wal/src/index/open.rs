//! Sums of a transaction while it runs, and how they become its summary.

use std::collections::{BTreeMap, BTreeSet};

use super::append_within;
use super::summary::{
    AccessExclusiveLock, CatalogChanges, DatabaseFiles, FileTruncation, IndexLimits, MessageSummary,
    RelationRows, RowCounts, TableTruncation, TransactionSummary,
};
use crate::lsn::Lsn;
use crate::object::{RelationLocator, TransactionId};
use crate::payload::{Completion, TableTruncate};
use crate::record::Record;

/// One transaction or subtransaction that has not ended.
#[derive(Debug)]
pub(super) struct OpenTransaction {
    pub(super) first_lsn: Lsn,
    pub(super) prepared: Option<String>,
    /// Whose subtransaction it is, once the log has said so.
    pub(super) parent: Option<TransactionId>,
    /// Rows that it deleted or changed itself.
    pub(super) own_lost: u64,
    /// The same, with those of its known subtransactions.
    pub(super) lost: u64,
    relations: BTreeMap<RelationLocator, RowCounts>,
    rows: RowCounts,
    catalog_rows: RowCounts,
    databases: BTreeSet<u32>,
    /// What few transactions have, kept apart so that many small ones stay small.
    rare: Option<Box<Rare>>,
    overflow: bool,
}

#[derive(Debug, Default)]
struct Rare {
    files_created: Vec<RelationLocator>,
    files_truncated: Vec<FileTruncation>,
    tables_truncated: Vec<TableTruncation>,
    databases_created: Vec<DatabaseFiles>,
    databases_dropped: Vec<DatabaseFiles>,
    messages: Vec<MessageSummary>,
    message_bytes: usize,
    locks: BTreeSet<AccessExclusiveLock>,
}

impl OpenTransaction {
    pub(super) fn new(first_lsn: Lsn) -> Self {
        Self {
            first_lsn,
            prepared: None,
            parent: None,
            own_lost: 0,
            lost: 0,
            relations: BTreeMap::new(),
            rows: RowCounts::default(),
            catalog_rows: RowCounts::default(),
            databases: BTreeSet::new(),
            rare: None,
            overflow: false,
        }
    }

    /// The rows it changed itself, by relation file.
    pub(super) fn relations(&self) -> impl Iterator<Item = (RelationLocator, RowCounts)> {
        self.relations.iter().map(|(relation, rows)| (*relation, *rows))
    }

    fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    pub(super) fn add_database(&mut self, database: u32) {
        self.databases.insert(database);
    }

    pub(super) fn add_rows(&mut self, relation: RelationLocator, rows: &RowCounts, limits: &IndexLimits) {
        self.rows.add(rows);
        if let Some(counted) = self.relations.get_mut(&relation) {
            counted.add(rows);
        } else if self.relations.len() < limits.items_per_transaction {
            self.relations.insert(relation, *rows);
        } else {
            self.overflow = true;
        }
    }

    pub(super) fn add_catalog_rows(&mut self, rows: &RowCounts) {
        self.catalog_rows.add(rows);
    }

    /// A row that was inserted for the time being was taken back by the same transaction.
    pub(super) fn retract(&mut self, relation: RelationLocator) {
        if let Some(counted) = self.relations.get_mut(&relation) {
            counted.inserted = counted.inserted.saturating_sub(1);
            self.rows.inserted = self.rows.inserted.saturating_sub(1);
        }
    }

    pub(super) fn add_file_created(&mut self, relation: RelationLocator, limits: &IndexLimits) {
        let full = !push_within(&mut self.rare().files_created, relation, limits.items_per_transaction);
        self.overflow |= full;
    }

    pub(super) fn add_file_truncation(&mut self, truncation: FileTruncation, limits: &IndexLimits) {
        let full = !push_within(&mut self.rare().files_truncated, truncation, limits.items_per_transaction);
        self.overflow |= full;
    }

    pub(super) fn add_table_truncation(&mut self, truncation: TableTruncate, limits: &IndexLimits) {
        let TableTruncate { database, mut tables, cascade, restart_sequences } = truncation;
        self.overflow |= tables.len() > limits.items_per_transaction;
        tables.truncate(limits.items_per_transaction);
        let truncation = TableTruncation { database, tables, cascade, restart_sequences };
        let full = !push_within(&mut self.rare().tables_truncated, truncation, limits.items_per_transaction);
        self.overflow |= full;
    }

    pub(super) fn add_database_created(&mut self, files: DatabaseFiles, limits: &IndexLimits) {
        let full = !push_within(&mut self.rare().databases_created, files, limits.items_per_transaction);
        self.overflow |= full;
    }

    pub(super) fn add_database_dropped(&mut self, files: DatabaseFiles, limits: &IndexLimits) {
        let full = !push_within(&mut self.rare().databases_dropped, files, limits.items_per_transaction);
        self.overflow |= full;
    }

    pub(super) fn add_lock(&mut self, lock: AccessExclusiveLock, limits: &IndexLimits) {
        let locks = &mut self.rare().locks;
        if locks.len() < limits.items_per_transaction {
            locks.insert(lock);
        } else if !locks.contains(&lock) {
            self.overflow = true;
        }
    }

    pub(super) fn add_message(&mut self, message: MessageSummary, limits: &IndexLimits) {
        let bytes =
            usize::try_from(message.content_bytes).unwrap_or(usize::MAX).min(limits.message_bytes) + 512;
        let rare = self.rare();
        if rare.message_bytes + bytes > limits.message_bytes_per_transaction {
            self.overflow = true;
        } else {
            rare.message_bytes += bytes;
            rare.messages.push(message);
        }
    }
}

fn push_within<T>(list: &mut Vec<T>, item: T, limit: usize) -> bool {
    let fits = list.len() < limit;
    if fits {
        list.push(item);
    }
    fits
}

/// Puts a transaction and its subtransactions together.
pub(super) struct Builder<'a> {
    limits: &'a IndexLimits,
    relations: BTreeMap<RelationLocator, RowCounts>,
    databases: BTreeSet<u32>,
    locks: BTreeSet<AccessExclusiveLock>,
    summary: TransactionSummary,
}

impl<'a> Builder<'a> {
    pub(super) fn new(record: &Record<'_>, completion: &Completion<'_>, limits: &'a IndexLimits) -> Self {
        let limit = limits.items_per_transaction;
        let files_dropped: Vec<_> = completion.files.iter().take(limit).collect();
        let mut changed: BTreeSet<_> = BTreeSet::new();
        let mut overflow = completion.is_clipped || completion.files.iter().nth(limit).is_some();
        for relation in completion.invalidations.relations() {
            if changed.len() < limit {
                changed.insert(relation);
            } else {
                overflow |= !changed.contains(&relation);
            }
        }
        let catalog = CatalogChanges {
            rows: RowCounts::default(),
            invalidations: completion.invalidations.count() as u64,
            relations: changed.into_iter().collect(),
        };
        let databases = completion.database.into_iter().collect();
        let summary = TransactionSummary {
            transaction: completion.transaction,
            subtransactions: completion.subtransactions.iter().collect(),
            first_lsn: record.start(),
            commit_lsn: record.start(),
            end_lsn: record.end(),
            commit_time_unix_microseconds: completion.time_unix_microseconds,
            databases: Vec::new(),
            relations: Vec::new(),
            rows: RowCounts::default(),
            files_dropped,
            files_created: Vec::new(),
            files_truncated: Vec::new(),
            tables_truncated: Vec::new(),
            databases_created: Vec::new(),
            databases_dropped: Vec::new(),
            catalog,
            messages: Vec::new(),
            locks: Vec::new(),
            prepared: completion.global_identifier.map(|name| String::from_utf8_lossy(name).into_owned()),
            origin: record.origin(),
            partial: false,
            overflow,
        };
        Self { limits, relations: BTreeMap::new(), databases, locks: BTreeSet::new(), summary }
    }

    pub(super) fn mark_overflow(&mut self) {
        self.summary.overflow = true;
    }

    pub(super) fn fold(&mut self, open: OpenTransaction) {
        let summary = &mut self.summary;
        let limit = self.limits.items_per_transaction;
        summary.first_lsn = summary.first_lsn.min(open.first_lsn);
        summary.prepared = summary.prepared.take().or(open.prepared);
        summary.rows.add(&open.rows);
        summary.catalog.rows.add(&open.catalog_rows);
        summary.overflow |= open.overflow;
        self.databases.extend(&open.databases);
        for (relation, rows) in open.relations {
            if self.relations.len() < limit || self.relations.contains_key(&relation) {
                self.relations.entry(relation).or_default().add(&rows);
            } else {
                summary.overflow = true;
            }
        }
        let Some(rare) = open.rare else { return };
        self.locks.extend(rare.locks);
        let whole = [
            append_within(&mut summary.files_created, rare.files_created, limit),
            append_within(&mut summary.files_truncated, rare.files_truncated, limit),
            append_within(&mut summary.tables_truncated, rare.tables_truncated, limit),
            append_within(&mut summary.databases_created, rare.databases_created, limit),
            append_within(&mut summary.databases_dropped, rare.databases_dropped, limit),
            append_within(&mut summary.messages, rare.messages, limit),
        ];
        summary.overflow |= whole.contains(&false);
    }

    pub(super) fn finish(self, partial: bool) -> TransactionSummary {
        let Self { limits, relations, mut databases, locks, mut summary } = self;
        summary.overflow |= locks.len() > limits.items_per_transaction;
        summary.locks = locks.into_iter().take(limits.items_per_transaction).collect();
        databases.extend(relations.keys().map(|relation| relation.database));
        databases.extend(summary.files_dropped.iter().map(|file| file.database));
        databases.extend(summary.files_created.iter().map(|file| file.database));
        databases.extend(summary.messages.iter().map(|message| message.database));
        summary.databases = databases.into_iter().filter(|database| *database != 0).collect();
        summary.relations = relations
            .into_iter()
            .filter(|(_, rows)| *rows != RowCounts::default())
            .map(|(relation, rows)| RelationRows { relation, rows })
            .collect();
        // Subtransactions wrote between one another; what they said belongs in the order it was said.
        summary.messages.sort_by_key(|message| message.lsn);
        summary.partial = partial;
        summary
    }
}
