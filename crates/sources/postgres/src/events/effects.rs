//! What one transaction did to which table.

use super::{
    BTreeMap, BTreeSet, Commit, Effect, NameMap, ROWS_BULK_MIN, ROWS_DESTRUCTIVE_MIN, RelationLocator,
    RelationRows, RowCounts, SHARE_BULK_PERCENT, SHARE_DESTRUCTIVE_PERCENT, Severity, Target, Verb,
};

/// Effects told of one transaction; a schema with ten thousand tables is summed up beyond.
const EFFECTS_MAX: usize = 1000;

/// The effects of one transaction while they are collected.
#[derive(Default)]
struct Account {
    counts: BTreeMap<(Verb, String), u64>,
    severity: Option<Severity>,
}

impl Account {
    fn add(&mut self, verb: Verb, target: &str, count: u64, severity: Severity) {
        if count == 0 {
            return;
        }
        let known = self.counts.contains_key(&(verb, target.to_owned()));
        let target = if known || self.counts.len() < EFFECTS_MAX { target } else { "others" };
        *self.counts.entry((verb, target.to_owned())).or_default() += count;
        self.severity = self.severity.max(Some(severity));
    }

    fn finish(self) -> (Vec<Effect>, Severity) {
        let effects = self.counts.into_iter();
        let effects = effects.map(|((verb, target), count)| Effect { verb, target, count }).collect();
        (effects, self.severity.unwrap_or(Severity::Routine))
    }
}

/// Returns a transaction's effects, most destructive first, and how serious they are together.
pub(super) fn effects(commit: &Commit, names: &NameMap) -> (Vec<Effect>, Severity) {
    let mut account = Account::default();
    for &(database, _) in &commit.databases_dropped {
        account.add(Verb::DropDatabase, &names.database(database), 1, Severity::Destructive);
    }
    files(commit, names, &mut account);
    rows(&commit.summary.relations, names, &mut account);
    definitions(commit, names, &mut account);
    account.finish()
}

/// Returns the effects of rows alone, and how serious they are together.
pub(super) fn of_rows(relations: &[RelationRows], names: &NameMap) -> (Vec<Effect>, Severity) {
    let mut account = Account::default();
    rows(relations, names, &mut account);
    account.finish()
}

/// A table that lost its file.
struct Lost {
    database: u32,
    oid: u32,
    name: String,
    rows_estimate: Option<u64>,
    materialised: bool,
}

impl Lost {
    fn new(database: u32, target: Target) -> Option<Self> {
        match target {
            Target::Table { name, oid, rows_estimate, materialised } => {
                Some(Self { database, oid, name, rows_estimate, materialised })
            }
            Target::Internal | Target::Unknown { .. } => None,
        }
    }
}

/// Files that are gone: dropped tables, truncated ones, rewritten ones.
fn files(commit: &Commit, names: &NameMap, account: &mut Account) {
    let summary = &commit.summary;
    let created: BTreeSet<RelationLocator> = summary.files_created.iter().copied().collect();
    let mut lost: Vec<Lost> = Vec::new();
    let mut unknown: Vec<String> = Vec::new();
    for file in summary.files_dropped.iter().filter(|file| !created.contains(file)) {
        match names.target(*file) {
            Target::Unknown { name } => unknown.push(name),
            target => lost.extend(Lost::new(file.database, target)),
        }
    }
    if !unknown.is_empty() {
        // A file may have come and gone between two readings of the names. The lock tells whose it was.
        let locked = summary
            .locks
            .iter()
            .filter_map(|lock| Lost::new(lock.database, names.table(lock.database, lock.relation)?));
        let known: BTreeSet<u32> = lost.iter().map(|table| table.oid).collect();
        let found: Vec<Lost> = locked.filter(|table| !known.contains(&table.oid)).collect();
        if found.is_empty() {
            // Without names a rewrite cannot be told from a truncation, nor an index from a table.
            let verb = if created.is_empty() { Verb::Drop } else { Verb::Truncate };
            for name in &unknown {
                account.add(verb, name, 1, Severity::Destructive);
            }
        }
        lost.extend(found);
    }
    for table in &lost {
        let (verb, severity) = fate(commit, names, table);
        account.add(verb, &table.name, 1, severity);
    }
    let cut =
        summary.tables_truncated.iter().flat_map(|cut| cut.tables.iter().map(|&oid| (cut.database, oid)));
    for (database, oid) in cut {
        if let Some(name) = names.name_of(database, oid)
            && !account.counts.contains_key(&(Verb::Truncate, name.clone()))
        {
            account.add(Verb::Truncate, &name, 1, Severity::Destructive);
        }
    }
}

/// Returns what became of a table whose file is gone.
fn fate(commit: &Commit, names: &NameMap, table: &Lost) -> (Verb, Severity) {
    let created = !commit.summary.files_created.is_empty();
    // The names may be of a time when the table was dropped as well; a truncation removes no definition.
    let only_emptied = created && commit.summary.catalog.rows.deleted == 0;
    // The names may be of the time before as well; a table that lives on has got another file.
    let may_live_on = created || commit.summary.partial;
    let lives_on = only_emptied || may_live_on && names.exists(table.database, table.oid).unwrap_or(created);
    match (lives_on, table.materialised) {
        (false, false) => (Verb::Drop, Severity::Destructive),
        (false, true) => (Verb::Drop, Severity::Notable),
        (true, true) => (Verb::Rewrite, Severity::Notable),
        (true, false) if is_rewrite(commit, names, table) => (Verb::Rewrite, Severity::Notable),
        (true, false) => (Verb::Truncate, Severity::Destructive),
    }
}

/// A truncated table's new file stays empty, or is filled by ordinary inserts. A rewrite fills it page by page, or
/// goes through a second table whose definition comes and goes in the same transaction.
fn is_rewrite(commit: &Commit, names: &NameMap, table: &Lost) -> bool {
    let is_ours = |file: &RelationLocator| {
        file.database == table.database
            && matches!(names.target(*file), Target::Table { oid, .. } if oid == table.oid)
    };
    if commit.rewritten.iter().any(is_ours) {
        return true;
    }
    let catalog = &commit.summary.catalog.rows;
    let second_table = catalog.deleted > 0 && catalog.inserted > 0;
    // The new file may be gone again before its name could be read.
    let may_be_ours =
        |file: &RelationLocator| is_ours(file) || matches!(names.target(*file), Target::Unknown { .. });
    let mut filled = commit.summary.relations.iter().filter(|rows| rows.rows.inserted > 0);
    second_table
        && (table.rows_estimate.unwrap_or(0) == 0
            || commit.rewritten.iter().any(may_be_ours)
            || filled.any(|rows| may_be_ours(&rows.relation)))
}

/// Rows that were deleted, changed and added.
fn rows(relations: &[RelationRows], names: &NameMap, account: &mut Account) {
    let mut lost_total = RowCounts::default();
    let mut estimate_total = 0_u64;
    for relation in relations {
        let rows = relation.rows;
        let (name, estimate) = match names.target(relation.relation) {
            Target::Table { name, rows_estimate, .. } => (name, rows_estimate.unwrap_or(0)),
            Target::Unknown { name } => (name, 0),
            Target::Internal => continue,
        };
        lost_total.deleted += rows.deleted;
        lost_total.updated += rows.updated;
        estimate_total += estimate;
        account.add(Verb::Delete, &name, rows.deleted, severity(rows.deleted, estimate, Severity::Notable));
        account.add(Verb::Update, &name, rows.updated, severity(rows.updated, estimate, Severity::Routine));
        // A rewrite inserts what was there before.
        if !account.counts.contains_key(&(Verb::Rewrite, name.clone())) {
            account.add(Verb::Insert, &name, rows.inserted, bulk(rows.inserted, estimate));
        }
    }
    // A partitioned table loses its rows in many places.
    for lost in [lost_total.deleted, lost_total.updated] {
        if severity(lost, estimate_total, Severity::Routine) == Severity::Destructive {
            account.severity = Some(Severity::Destructive);
        }
    }
}

/// Many rows that come at once into a table that had few are worth a look.
fn bulk(rows: u64, estimate: u64) -> Severity {
    let share = estimate.saturating_mul(SHARE_BULK_PERCENT) / 100;
    if rows >= ROWS_BULK_MIN.max(share) { Severity::Notable } else { Severity::Routine }
}

fn severity(rows: u64, estimate: u64, otherwise: Severity) -> Severity {
    let share = estimate.saturating_mul(SHARE_DESTRUCTIVE_PERCENT) / 100;
    if rows >= ROWS_DESTRUCTIVE_MIN.max(share) { Severity::Destructive } else { otherwise }
}

fn definitions(commit: &Commit, names: &NameMap, account: &mut Account) {
    let summary = &commit.summary;
    for files in &summary.databases_created {
        account.add(Verb::Define, &names.database(files.database), 1, Severity::Notable);
    }
    if !commit.defines || !summary.databases_created.is_empty() || !commit.databases_dropped.is_empty() {
        return;
    }
    let touched = |name: &str, account: &Account| {
        let verbs = [Verb::Drop, Verb::Truncate, Verb::Rewrite];
        verbs.iter().any(|&verb| account.counts.contains_key(&(verb, name.to_owned())))
    };
    let mut named = false;
    for &(database, oid) in &summary.catalog.relations {
        if let Some(name) = names.name_of(database, oid) {
            named = true;
            if !touched(&name, account) {
                account.add(Verb::Define, &name, 1, Severity::Notable);
            }
        }
    }
    if !named && account.counts.is_empty() {
        let database = summary.databases.first().map(|&oid| names.database(oid));
        account.add(Verb::Define, &database.unwrap_or_else(|| "cluster".to_owned()), 1, Severity::Notable);
    }
}
