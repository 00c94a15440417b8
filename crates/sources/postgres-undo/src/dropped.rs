//! Dropped objects: which ones the transaction dropped, how they are made again, and the rows of dropped tables.
//!
//! A drop deletes rows of the system catalogs, and the log says which. In scratch these rows still are where they were
//! and tell exactly what the transaction dropped, also what `CASCADE` took along. Definitions come from the difference
//! of two dumps: what scratch has and production has not, as far as the transaction dropped it.

use std::collections::{BTreeMap, BTreeSet};

use connect::plan::Action;
use postgres_wal::{RelationLocator, RowChange};
use postgres_wire::{quote_identifier, quote_literal};

use crate::{
    dump::{self, Entry},
    error::{PlanningError, Side},
    facts::{Pair, leading_comma, place_array},
    planner::Planning,
    rows::RowsPart,
    session::{flag, number, text},
    shape::{Shape, oid_array, read_shapes},
    step::{CreateDetails, Statement, TableName},
    steps::CreatePart,
};

mod matching;

pub(crate) use matching::{Dropped, Object};

/// Plans what brings dropped objects back. `tables` are the dropped tables with rows of their own.
pub(crate) fn plan(
    planning: &mut Planning<'_>,
    tables: &BTreeSet<u32>,
    rows: &[RowChange],
) -> Result<(), PlanningError> {
    let dropped = read_dropped(planning, rows)?;
    if dropped.is_empty() && tables.is_empty() {
        return Ok(());
    }
    let shapes = read_shapes(&mut planning.scratch, tables)?;
    let database = planning.database.0.clone();
    let Some(definitions) = planning.definitions.as_mut() else {
        for object in dropped.objects() {
            planning.lose(
                format!("{database}.{}", object.identity),
                "it was dropped, and no definitions were read",
            );
        }
        return Ok(());
    };
    let mut dump = |side| {
        let failed = |source| PlanningError::Definitions { side, source };
        definitions.dump(side, &database).map_err(failed).map(|text| dump::entries(&text))
    };
    let (then, now) = (dump(Side::Scratch)?, dump(Side::Production)?);
    let (missing, there) = missing_entries(&dropped, then, &now);
    let taken = report_taken(planning, &dropped, &there)?;
    let missing: Vec<Entry> =
        missing.into_iter().filter(|entry| !taken.iter().any(|name| dropped.concerns(entry, name))).collect();
    for object in dropped.relations() {
        planning.recreated.insert(object);
    }
    create_parts(planning, &dropped, &missing)?;
    for shape in shapes.into_values() {
        let defined = |entry: &Entry| {
            entry.schema.as_deref() == Some(&shape.name.schema) && entry.name == shape.name.name
        };
        if taken.contains(&shape.name) {
            continue;
        }
        if missing.iter().any(defined) {
            copy_table(planning, shape)?;
        } else {
            let target = planning.target(&shape.name);
            planning.lose(target, "the dump holds no definition of the dropped table");
        }
    }
    Ok(())
}

/// The catalogs whose rows stand for objects that `pg_dump` writes.
const CATALOGS: [&str; 21] = [
    "pg_class",
    "pg_constraint",
    "pg_trigger",
    "pg_policy",
    "pg_rewrite",
    "pg_attrdef",
    "pg_type",
    "pg_proc",
    "pg_namespace",
    "pg_statistic_ext",
    "pg_operator",
    "pg_opclass",
    "pg_opfamily",
    "pg_collation",
    "pg_conversion",
    "pg_ts_config",
    "pg_ts_dict",
    "pg_extension",
    "pg_foreign_server",
    "pg_publication",
    "pg_language",
];

/// Asks scratch what the catalog rows were that the transaction deleted.
fn read_dropped(planning: &mut Planning<'_>, rows: &[RowChange]) -> Result<Dropped, PlanningError> {
    let mut deleted: BTreeMap<RelationLocator, Vec<String>> = BTreeMap::new();
    for change in rows {
        if let RowChange::Deleted { relation, tuple, .. } = change
            && relation.database == planning.database.1
        {
            deleted.entry(*relation).or_default().push(tuple.to_string());
        }
    }
    let catalogs: Vec<String> = CATALOGS.iter().map(|name| quote_literal(name)).collect();
    let files = oid_array(deleted.keys().map(|file| file.relation));
    let sql = format!(
        "SELECT c.oid, c.relname, f.number FROM pg_class c \
         CROSS JOIN LATERAL (SELECT pg_relation_filenode(c.oid) AS number) f \
         WHERE c.relnamespace = 'pg_catalog'::regnamespace AND c.relname IN ({}) AND f.number = ANY ({files})",
        catalogs.join(", ")
    );
    let mut dropped = Dropped::default();
    for catalog in planning.scratch.rows("finding the catalogs", &sql)? {
        let file: u32 = number(&catalog, 2);
        let places =
            deleted.iter().filter(|(locator, _)| locator.relation == file).flat_map(|(_, places)| places);
        let sql = format!(
            "SELECT i.type, i.schema, i.name, i.identity, a.object_names \
             FROM pg_catalog.{} t, pg_identify_object({}, t.oid, 0) i, \
                  pg_identify_object_as_address({}, t.oid, 0) a \
             WHERE t.ctid = ANY ({}) AND i.identity IS NOT NULL",
            quote_identifier(&text(&catalog, 1)),
            text(&catalog, 0),
            text(&catalog, 0),
            place_array(places.map(String::as_str))
        );
        let activity = format!("reading what was dropped from {}", text(&catalog, 1));
        for row in planning.scratch.rows(&activity, &sql)? {
            dropped.add(Object {
                kind: text(&row, 0),
                schema: row.get(1).cloned().flatten().map(matching::unquoted),
                name: row.get(2).cloned().flatten().map(matching::unquoted),
                identity: text(&row, 3),
                address: matching::parse_array(&text(&row, 4)),
            });
        }
    }
    Ok(dropped)
}

/// Returns what the transaction dropped and production lacks, and what it dropped and production has again.
fn missing_entries(dropped: &Dropped, then: Vec<Entry>, now: &[Entry]) -> (Vec<Entry>, Vec<Entry>) {
    let present: BTreeSet<_> = now.iter().map(Entry::identity).collect();
    then.into_iter()
        .filter(|entry| dropped.matches(entry))
        .partition(|entry| !present.contains(&entry.identity()))
}

/// Lists relations that somebody made again under the same name: they and what hangs on them are left alone.
fn report_taken(
    planning: &mut Planning<'_>,
    dropped: &Dropped,
    there: &[Entry],
) -> Result<BTreeSet<TableName>, PlanningError> {
    let mut taken = BTreeSet::new();
    for name in dropped.relations() {
        let again = |entry: &Entry| {
            matching::is_relation(&entry.kind)
                && entry.schema.as_deref() == Some(&name.schema)
                && entry.name == name.name
        };
        if there.iter().any(again) {
            let target = planning.target(&name);
            let reason =
                "something of this name exists again; the dropped one is not brought back".to_owned();
            planning.collected.conflict(&target, name.to_string(), reason)?;
            taken.insert(name);
        }
    }
    Ok(taken)
}

/// What needs rows to be there first: indexes and constraints are made faster, and foreign keys are checked.
const AFTER_ROWS: [&str; 10] = [
    "CONSTRAINT",
    "FK CONSTRAINT",
    "INDEX",
    "INDEX ATTACH",
    "TRIGGER",
    "RULE",
    "POLICY",
    "ROW SECURITY",
    "STATISTICS",
    "PUBLICATION TABLE",
];

fn create_parts(
    planning: &mut Planning<'_>,
    dropped: &Dropped,
    missing: &[Entry],
) -> Result<(), PlanningError> {
    let split = missing
        .iter()
        .position(|entry| AFTER_ROWS.contains(&entry.kind.as_str()) || entry.kind == "ACL")
        .unwrap_or(missing.len());
    let statement = |entry: &Entry| Statement {
        object: entry.label(),
        sql: entry.sql.clone(),
        exists: dropped.existence(entry),
    };
    let (before, after) = missing.split_at(split);
    let before: Vec<Statement> = before.iter().map(statement).collect();
    let mut after: Vec<Statement> = after.iter().map(statement).collect();
    after.extend(refreshes(planning, missing)?);
    for (statements, before_rows) in [(before, true), (after, false)] {
        if statements.is_empty() {
            continue;
        }
        let (noun, moment) = (
            if statements.len() == 1 { "definition" } else { "definitions" },
            if before_rows { "before the rows" } else { "after the rows" },
        );
        planning.created.push(CreatePart {
            title: format!("make {} dropped {noun} again, {moment}", statements.len()),
            before_rows,
            details: CreateDetails { statements },
        });
    }
    Ok(())
}

/// Materialized views come back empty; those that were filled are filled again, in the order of their definitions.
fn refreshes(planning: &mut Planning<'_>, missing: &[Entry]) -> Result<Vec<Statement>, PlanningError> {
    let mut statements = Vec::new();
    for entry in missing.iter().filter(|entry| entry.kind == "MATERIALIZED VIEW") {
        let name = TableName { schema: entry.schema.clone().unwrap_or_default(), name: entry.name.clone() };
        let populated = format!(
            "SELECT relispopulated FROM pg_class WHERE oid = {}::regclass",
            quote_literal(&name.sql())
        );
        let rows = planning.scratch.rows("reading materialized views", &populated)?;
        if rows.first().is_some_and(|row| flag(row, 0)) {
            statements.push(Statement {
                object: format!("MATERIALIZED VIEW DATA {name}"),
                sql: format!("REFRESH MATERIALIZED VIEW {};", name.sql()),
                exists: Some(populated),
            });
        }
    }
    Ok(statements)
}

/// Copies all rows of a dropped table into the plan.
fn copy_table(planning: &mut Planning<'_>, shape: Shape) -> Result<(), PlanningError> {
    let target = planning.target(&shape.name);
    match (shape.kind.as_str(), shape.persistence.as_str()) {
        ("r", "p") => {}
        ("r", _) => {
            planning.lose(target, "the table was unlogged: its rows are not in the log");
            return Ok(());
        }
        _ => return Ok(()),
    }
    let oid = shape.oid;
    // In production it will look as it did, with a file of its own that no place of the plan refers to.
    let pair = Pair::new(shape.clone(), Shape { file: 0, ..shape });
    planning.progress.phase(&format!("copying dropped {target}"), None);
    let mut file = planning.collected.new_file()?;
    let sql = format!(
        "COPY (SELECT NULL, NULL, 0{} FROM ONLY {} t) TO STDOUT",
        leading_comma(&pair.column_list("t")),
        pair.then.name.sql()
    );
    let rows = planning.scratch.copy_out(&format!("copying rows of {}", pair.then.name), &sql, &mut file)?;
    let attachment = file.finish()?;
    if rows > 0 {
        planning.collected.counts.inserted += rows;
        let part = RowsPart {
            table: oid,
            action: Action::Insert,
            rows,
            attachment: attachment.name.clone(),
            replaced: None,
        };
        planning.collected.parts.push(part);
        planning.collected.attachments.push(attachment);
    }
    planning.pairs.insert(oid, pair);
    Ok(())
}
