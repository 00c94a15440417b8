//! Makes a plan: reads the facts of both servers at one moment each, and writes down what is to be done.

use std::collections::{BTreeMap, BTreeSet};

use connect::{
    Progress,
    plan::{Action, Counts, Loss, PLAN_FORMAT, Plan, PlanFolder, Subject},
};
use model::Moment;
use postgres_wal::{RelationLocator, RowChange, Strand, TransactionSummary};
use postgres_wire::Connection;

use crate::{
    decide::Owners,
    definitions::Definitions,
    dropped,
    error::{PlanningError, Side},
    facts::Pair,
    images::Images,
    quarantine,
    rows::{Collected, Deeds, Folded, RowPlanner},
    session::{Session, flag, number, text},
    shape::{Shape, oid_array, read_shapes},
    step::TableName,
    steps,
};

/// What a plan is called and where its content comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heading {
    /// The plan's name.
    pub id: String,
    /// The protected source.
    pub source: String,
    /// Where the old content comes from, for people: the base and the position recovered to.
    pub base: String,
    /// When the plan is made.
    pub made_at: Moment,
}

/// The two servers, and the folder where the plan grows.
///
/// `scratch` must be recovered to just before what is undone and then promoted: while a server is paused in recovery, any
/// read of a table whose `DROP` or `TRUNCATE` is being replayed waits for ever. Both connections must be to the same
/// database. Nothing is written to production: it is read in one read-only transaction.
pub struct Servers<'p> {
    /// The private server that stands just before what is undone.
    pub scratch: &'p mut Connection,
    /// The server that is to be mended, with a credential that may read all of it.
    pub production: &'p mut Connection,
    /// Gives the definitions of both; without it, dropped objects are listed as losses.
    pub definitions: Option<&'p mut dyn Definitions>,
    /// The plan's folder, which must be new or empty.
    pub folder: &'p PlanFolder,
    /// Hears how far planning has come.
    pub progress: &'p dyn Progress,
}

/// Rows of one table that are brought back to what they were at the scratch server's moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowSelection {
    /// The table.
    pub table: TableName,
    /// An SQL condition on the rows as they were, with the table as `t`; all rows if absent.
    ///
    /// Names of functions and types outside of `pg_catalog` need their schema.
    pub predicate: Option<String>,
    /// Whether rows that have other content now are given their old content back, whoever changed them.
    pub revert_changed: bool,
}

/// Plans the undo of one transaction.
///
/// `rows` are the transaction's [net changes](postgres_wal::TransactionRows::net_changes). Rows, truncated tables and
/// dropped objects of the database that `production` is connected to are planned; its other databases are not.
pub fn plan_transaction(
    servers: Servers<'_>,
    heading: &Heading,
    transaction: &TransactionSummary,
    rows: &[RowChange],
) -> Result<Plan, PlanningError> {
    let mut planning = Planning::begin(servers)?;
    let numbers = std::iter::once(transaction.transaction).chain(transaction.subtransactions.iter().copied());
    planning.owners = Owners(numbers.map(|number| number.0).collect());
    planning.check_numbers(transaction)?;
    planning.read_deeds(transaction, rows)?;
    planning.plan_tables()?;
    let dropped = std::mem::take(&mut planning.dropped);
    if !dropped.is_empty() || transaction.catalog.rows.deleted > 0 {
        dropped::plan(&mut planning, &dropped, rows)?;
    }
    let subject = Subject {
        title: format!("transaction {} at {}", transaction.transaction, transaction.commit_lsn),
        position: Some(transaction.commit_lsn.to_string()),
        at: Some(Moment::from_micros(transaction.commit_time_unix_microseconds)),
    };
    planning.finish(heading, subject)
}

/// Plans the return of chosen rows to what they were at the scratch server's moment.
///
/// Rows that are missing come back; rows that were added since are kept; rows with other content are conflicts unless
/// the selection says that they are reverted.
pub fn plan_rows(
    servers: Servers<'_>,
    heading: &Heading,
    subject: Subject,
    selections: &[RowSelection],
) -> Result<Plan, PlanningError> {
    let mut planning = Planning::begin(servers)?;
    for selection in selections {
        planning.choose(selection)?;
    }
    planning.plan_tables()?;
    planning.finish(heading, subject)
}

/// How a table is planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Way {
    /// Only rows that the transaction changed.
    Deeds,
    /// All rows: the transaction gave the table a new file.
    Whole,
    /// Chosen rows.
    Chosen { predicate: Option<String>, revert: bool },
}

/// A plan in the making.
pub(crate) struct Planning<'p> {
    pub(crate) scratch: Session<'p>,
    pub(crate) production: Session<'p>,
    pub(crate) definitions: Option<&'p mut dyn Definitions>,
    pub(crate) progress: &'p dyn Progress,
    pub(crate) collected: Collected<'p>,
    pub(crate) owners: Owners,
    /// The database's name and object number.
    pub(crate) database: (String, u32),
    pub(crate) tablespace: u32,
    pub(crate) tables: Vec<(u32, Way)>,
    pub(crate) deeds: BTreeMap<u32, Deeds>,
    /// What is compared field by field, as others worked on it too.
    pub(crate) folding: BTreeMap<u32, Vec<Strand>>,
    /// Where changed rows came from, by table and the place where they were left.
    pub(crate) origins: BTreeMap<(u32, String), Strand>,
    pub(crate) images: Images,
    pub(crate) pairs: BTreeMap<u32, Pair>,
    /// Tables of scratch that production no longer has and whose files the transaction removed.
    pub(crate) dropped: BTreeSet<u32>,
    pub(crate) created: Vec<steps::CreatePart>,
    /// Relations that are made again.
    pub(crate) recreated: BTreeSet<TableName>,
    pub(crate) losses: Vec<Loss>,
    pub(crate) notes: Vec<String>,
    /// The schema that keeps removed rows.
    pub(crate) quarantine: Option<String>,
}

impl<'p> Planning<'p> {
    pub(crate) fn begin(servers: Servers<'p>) -> Result<Self, PlanningError> {
        let Servers { scratch, production, definitions, folder, progress } = servers;
        let mut scratch = Session::begin_reading(scratch, Side::Scratch)?;
        let mut production = Session::begin_reading(production, Side::Production)?;
        let identity = "SELECT d.datname, d.oid, d.dattablespace, c.system_identifier \
                        FROM pg_database d, pg_control_system() c WHERE d.datname = current_database()";
        let ask = |session: &mut Session<'_>| session.rows("reading the database's identity", identity);
        let (then, now) = (ask(&mut scratch)?, ask(&mut production)?);
        let (Some(then), Some(now)) = (then.first(), now.first()) else {
            return Err(production.unusable("it does not know its own database"));
        };
        if then.get(1) != now.get(1) || then.get(3) != now.get(3) {
            let reason = format!(
                "{} of cluster {} and {} of cluster {}",
                text(then, 0),
                text(then, 3),
                text(now, 0),
                text(now, 3)
            );
            return Err(PlanningError::OtherDatabase { reason });
        }
        Ok(Self {
            database: (text(now, 0), number(now, 1)),
            tablespace: number(then, 2),
            scratch,
            production,
            definitions,
            progress,
            collected: Collected::new(folder),
            owners: Owners::default(),
            tables: Vec::new(),
            deeds: BTreeMap::new(),
            folding: BTreeMap::new(),
            origins: BTreeMap::new(),
            images: Images::new(),
            pairs: BTreeMap::new(),
            dropped: BTreeSet::new(),
            created: Vec::new(),
            recreated: BTreeSet::new(),
            losses: Vec::new(),
            notes: Vec::new(),
            quarantine: None,
        })
    }

    pub(crate) fn target(&self, name: &TableName) -> String {
        format!("{}.{name}", self.database.0)
    }

    pub(crate) fn lose(&mut self, target: String, reason: impl Into<String>) {
        self.losses.push(Loss { target, reason: reason.into() });
    }

    /// Transaction numbers are reused after four thousand million: then `xmin` says nothing about who wrote a row.
    pub(crate) fn check_numbers(&mut self, transaction: &TransactionSummary) -> Result<(), PlanningError> {
        let sql = "SELECT pg_current_snapshot()::text, pg_snapshot_xmax(pg_current_snapshot())::text";
        let then = self.scratch.rows("reading the transaction counter", sql)?;
        let now = self.production.rows("reading the transaction counter", sql)?;
        let counter = |rows: &[Vec<Option<String>>]| rows.first().map_or(0, |row| number::<u64>(row, 1));
        let (then, now) = (counter(&then), counter(&now));
        // The scratch server stopped just after the transaction had its number: the same epoch, or the one before.
        let low = u64::from(transaction.transaction.0);
        let full = (then & !0xFFFF_FFFF) | low;
        let full = if full > then.saturating_add(1 << 31) { full.saturating_sub(1 << 32) } else { full };
        if now.saturating_sub(full) >= 1 << 32 {
            self.owners.0.clear();
            self.notes.push(
                "transaction numbers have been reused since: rows that the transaction changed or added cannot be told \
                 from later ones, and are listed as conflicts"
                    .to_owned(),
            );
        }
        Ok(())
    }

    /// Sorts the transaction's changes by table.
    fn read_deeds(
        &mut self,
        transaction: &TransactionSummary,
        rows: &[RowChange],
    ) -> Result<(), PlanningError> {
        let mine = |file: &RelationLocator| file.database == self.database.1;
        let removed: BTreeSet<RelationLocator> =
            transaction.files_dropped.iter().copied().filter(mine).collect();
        let changed: BTreeSet<RelationLocator> = rows.iter().map(RowChange::relation).filter(mine).collect();
        if transaction.databases.iter().any(|database| *database != 0 && *database != self.database.1) {
            self.notes
                .push("the transaction touched other databases, which this plan leaves alone".to_owned());
        }
        let then = tables_of_files(&mut self.scratch, self.tablespace, changed.union(&removed))?;
        let now = tables_of_files(&mut self.production, self.tablespace, changed.iter())?;
        let existing: BTreeSet<u32> = existing_tables(&mut self.production, then.values().copied())?;
        for change in rows {
            let file = change.relation();
            // A file that scratch does not know was made by the transaction: a truncated table's new one.
            let Some(table) = then.get(&file).or_else(|| now.get(&file)) else { continue };
            let deeds = self.deeds.entry(*table).or_default();
            // Rows of a file that is gone come back with all of it.
            if removed.contains(&file) {
                continue;
            }
            deeds.file = file.relation;
            match change {
                RowChange::Deleted { tuple, .. } => deeds.destroyed.push(tuple.to_string()),
                RowChange::Updated { old, new, .. } => deeds.changed.push((old.to_string(), new.to_string())),
                RowChange::Inserted { tuple, .. } => deeds.added.push(tuple.to_string()),
            }
        }
        for (file, table) in &then {
            if removed.contains(file) && !existing.contains(table) {
                self.dropped.insert(*table);
                self.deeds.remove(table);
            } else if removed.contains(file) {
                self.tables.push((*table, Way::Whole));
            }
        }
        let whole: BTreeSet<u32> = self.tables.iter().map(|(table, _)| *table).collect();
        let others =
            self.deeds.keys().filter(|table| !whole.contains(table)).map(|table| (*table, Way::Deeds));
        self.tables.extend(others);
        Ok(())
    }

    fn choose(&mut self, selection: &RowSelection) -> Result<(), PlanningError> {
        let sql = format!(
            "SELECT c.oid, c.relkind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = {} AND c.relname = {}",
            postgres_wire::quote_literal(&selection.table.schema),
            postgres_wire::quote_literal(&selection.table.name)
        );
        let found = self.scratch.rows("looking for the table", &sql)?;
        let Some(table) = found.first() else {
            return Err(PlanningError::NoTable { name: selection.table.to_string() });
        };
        let oid: u32 = number(table, 0);
        let sql = format!(
            "SELECT relid::oid FROM pg_partition_tree({oid}) WHERE isleaf UNION SELECT {oid} \
             WHERE NOT EXISTS (SELECT FROM pg_partition_tree({oid}))"
        );
        for leaf in self.scratch.rows("looking for partitions", &sql)? {
            let predicate = selection.predicate.clone();
            self.tables.push((number(&leaf, 0), Way::Chosen { predicate, revert: selection.revert_changed }));
        }
        Ok(())
    }

    pub(crate) fn plan_tables(&mut self) -> Result<(), PlanningError> {
        let tables = std::mem::take(&mut self.tables);
        let oids: BTreeSet<u32> = tables.iter().map(|(oid, _)| *oid).collect();
        let mut then = read_shapes(&mut self.scratch, &oids)?;
        let mut now = read_shapes(&mut self.production, &oids)?;
        for (oid, way) in &tables {
            let places = self.deeds.get(oid).map(|deeds| deeds.destroyed.as_slice()).unwrap_or_default();
            self.collected.returning.await_rows(*oid, (*way == Way::Deeds).then_some(places));
        }
        // What is referred to comes first, so that a row knows whether its parent comes back.
        let ranks = steps::ranks(&now);
        let mut tables = tables;
        tables.sort_by_key(|(oid, _)| ranks.get(oid).copied());
        for (oid, way) in tables {
            let Some(old) = then.remove(&oid) else { continue };
            if !self.is_planned(&old, &way) {
                continue;
            }
            let Some(new) = now.remove(&oid) else {
                let target = self.target(&old.name);
                self.lose(target, "the table was dropped later, by somebody else; bring it back by table");
                continue;
            };
            self.compare_shapes(&old, &new);
            let pair = Pair::new(old, new);
            self.plan_table(&pair, &way)?;
            // A table may be chosen twice, with two predicates; the shapes are the same then.
            then.insert(oid, pair.then.clone());
            now.insert(oid, pair.now.clone());
            self.pairs.insert(oid, pair);
        }
        Ok(())
    }

    /// Whether a relation's rows are planned at all: catalogs and TOAST follow their tables.
    fn is_planned(&mut self, shape: &Shape, way: &Way) -> bool {
        let system = matches!(shape.name.schema.as_str(), "pg_catalog" | "information_schema" | "pg_toast");
        if system || !matches!(shape.kind.as_str(), "r" | "m" | "f") {
            return false;
        }
        let target = self.target(&shape.name);
        match (shape.kind.as_str(), shape.persistence.as_str()) {
            ("m", _) => {
                self.notes.push(format!("{target} is a materialized view: refresh it afterwards"));
                false
            }
            ("f", _) => {
                self.lose(target, "a foreign table's rows are not in this cluster");
                false
            }
            (_, "p") => true,
            _ => {
                let reason = "the table is unlogged or temporary: its rows are not in the log";
                if matches!(way, Way::Chosen { .. }) {
                    self.lose(target, reason);
                }
                false
            }
        }
    }

    fn compare_shapes(&mut self, then: &Shape, now: &Shape) {
        let target = self.target(&now.name);
        if then.name != now.name {
            self.notes.push(format!("{} is called {target} now", self.target(&then.name)));
        }
        for column in then.columns.iter().filter(|column| !column.generated) {
            match now.column(&column.name) {
                None => {
                    let reason =
                        format!("column {} no longer exists; its values do not come back", column.name);
                    self.lose(target.clone(), reason);
                }
                Some(other) if other.type_name != column.type_name => self.notes.push(format!(
                    "column {} of {target} was of type {} and is of type {} now",
                    column.name, column.type_name, other.type_name
                )),
                Some(_) => {}
            }
        }
    }

    fn plan_table(&mut self, pair: &Pair, way: &Way) -> Result<(), PlanningError> {
        let deeds = self.deeds.remove(&pair.then.oid).unwrap_or_default();
        let target = self.target(&pair.now.name);
        let strands = self.folding.remove(&pair.then.oid).unwrap_or_default();
        let total = (deeds.destroyed.len() + deeds.changed.len() + deeds.added.len() + strands.len()) as u64;
        self.progress.phase(&format!("planning {target}"), (total > 0).then_some(total));
        let mut planner = RowPlanner::new(
            (&mut self.scratch, &mut self.production),
            pair,
            &self.owners,
            &mut self.collected,
            self.progress,
            target,
        )?;
        planner.folded = Folded::of(pair, &strands, &self.images);
        match way {
            Way::Deeds => {
                planner.plan_deeds(&deeds)?;
                planner.plan_folded()?;
            }
            Way::Whole => {
                planner.plan_comparison(None, false)?;
                planner.plan_deeds(&deeds)?;
                planner.leave_folded()?;
            }
            Way::Chosen { predicate, revert } => planner.plan_comparison(predicate.as_deref(), *revert)?,
        }
        planner.finish()
    }

    pub(crate) fn finish(mut self, heading: &Heading, subject: Subject) -> Result<Plan, PlanningError> {
        self.collected.finish()?;
        let sequences = steps::sequences(&mut self)?;
        steps::notes(&mut self);
        self.choose_quarantine()?;
        let steps = steps::number(&self, sequences)?;
        let objects: u64 =
            steps.iter().filter(|step| step.action == Action::Create).map(|step| step.rows).sum();
        let counts = Counts { objects, ..self.collected.counts };
        let plan = Plan {
            format: PLAN_FORMAT,
            id: heading.id.clone(),
            source: heading.source.clone(),
            subject,
            destination: self.database.0.clone(),
            base: heading.base.clone(),
            made_at: heading.made_at,
            steps,
            conflicts: std::mem::take(&mut self.collected.conflicts),
            losses: self.losses,
            notes: self.notes,
            counts,
            attachments: std::mem::take(&mut self.collected.attachments),
            fidelity: Vec::new(),
            duration_s: None,
        };
        self.scratch.end_reading()?;
        self.production.end_reading()?;
        Ok(plan)
    }
}

impl Planning<'_> {
    /// Decides where rows stay that the plan removes, and says it.
    fn choose_quarantine(&mut self) -> Result<(), PlanningError> {
        let removed: u64 = self
            .collected
            .parts
            .iter()
            .filter(|part| part.action == Action::Remove)
            .map(|part| part.rows)
            .sum();
        if removed == 0 {
            return Ok(());
        }
        let rows = self.production.rows("looking for a quarantine", &quarantine::allowed())?;
        if rows.first().is_some_and(|row| flag(row, 0)) {
            self.quarantine = Some(quarantine::SCHEMA.to_owned());
            self.notes.push(format!(
                "rows that are removed ({removed}) stay in tables of the schema {}, one for each table and plan, until \
                 somebody drops them",
                quarantine::SCHEMA
            ));
        } else {
            self.notes.push(format!(
                "rows that are removed ({removed}) stay in this plan's attachments alone: the role may not make the schema \
                 {}",
                quarantine::SCHEMA
            ));
        }
        Ok(())
    }
}

/// What unwipe keeps in a database for itself is never undone: who is barred, what an undo removed.
const OWN_SCHEMAS: &str = "'unwipe_guard', 'unwipe_quarantine'";

/// Returns the tables that have these files now, but for unwipe's own.
pub(crate) fn tables_of_files<'l>(
    session: &mut Session<'_>,
    default_tablespace: u32,
    files: impl Iterator<Item = &'l RelationLocator>,
) -> Result<BTreeMap<RelationLocator, u32>, PlanningError> {
    let by_number: BTreeMap<(u32, u32), RelationLocator> =
        files.map(|file| ((file.tablespace, file.relation), *file)).collect();
    if by_number.is_empty() {
        return Ok(BTreeMap::new());
    }
    let numbers = oid_array(by_number.keys().map(|(_, relation)| *relation));
    let sql = format!(
        "SELECT c.oid, coalesce(nullif(c.reltablespace, 0), {default_tablespace}::oid), f.number \
         FROM pg_class c CROSS JOIN LATERAL (SELECT pg_relation_filenode(c.oid) AS number) f \
         WHERE f.number = ANY ({numbers}) AND c.relkind IN ('r', 'm') AND c.relnamespace <> ALL (ARRAY( \
             SELECT oid FROM pg_namespace WHERE nspname IN ({OWN_SCHEMAS})))"
    );
    let rows = session.rows("finding the tables of the files", &sql)?;
    let found = rows.iter().filter_map(|row| {
        let file = by_number.get(&(number(row, 1), number(row, 2)))?;
        Some((*file, number(row, 0)))
    });
    Ok(found.collect())
}

pub(crate) fn existing_tables(
    session: &mut Session<'_>,
    oids: impl Iterator<Item = u32>,
) -> Result<BTreeSet<u32>, PlanningError> {
    let sql = format!("SELECT oid FROM pg_class WHERE oid = ANY ({})", oid_array(oids));
    Ok(session.rows("finding the tables", &sql)?.iter().map(|row| number(row, 0)).collect())
}
