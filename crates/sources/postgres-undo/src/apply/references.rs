//! Checks the foreign keys from and to the rows of a plan: with triggers off, nobody else does.

use connect::plan::{Action, Choice, Conflict, LISTED_MAX, Plan, WriteError};
use postgres_wire::quote_identifier;

use super::{
    Writer,
    rows::DONE,
    staging::{STATE, Staging, TARGET},
};
use crate::{
    session::text,
    step::{Reference, RowsDetails},
};

/// A step whose rows must hold what refers to what.
pub(super) struct Checked {
    pub(super) number: u32,
    pub(super) action: Action,
    pub(super) details: RowsDetails,
}

/// Collects the references that the step's rows would leave broken.
pub(super) fn check(
    writer: &mut Writer<'_>,
    plan: &Plan,
    checked: &Checked,
    violations: &mut Vec<Conflict>,
) -> Result<(), WriteError> {
    if !writer.privileged {
        // The server's own checks were on.
        return Ok(());
    }
    let staging = Staging::of(checked.number, &checked.details);
    let target = plan
        .steps
        .iter()
        .find(|step| step.number == checked.number)
        .map(|step| step.target.clone())
        .unwrap_or_default();
    for reference in &checked.details.references {
        let activity = format!("checking foreign key {}", reference.constraint);
        let found = match (checked.action, reference.outward) {
            (Action::Insert | Action::Revert, true) if has_columns(&checked.details, reference, true) => {
                lock_parents(writer, &activity, &staging, reference)?;
                orphans(writer, &activity, &staging, reference)?
            }
            (Action::Remove, false) if has_columns(&checked.details, reference, false) => {
                abandoned(writer, &activity, &staging.table, reference)?
            }
            (Action::Revert, false) if has_columns(&checked.details, reference, false) => {
                let old = format!("{}_old", staging.table);
                let there = format!("SELECT to_regclass('{old}') IS NOT NULL");
                if writer.value(&activity, &there)? != "t" {
                    continue;
                }
                abandoned(writer, &activity, &old, reference)?
            }
            _ => continue,
        };
        violations.extend(found.into_iter().map(|(key, reason)| Conflict {
            target: target.clone(),
            key,
            reason,
            choice: Choice::Keep,
        }));
    }
    Ok(())
}

/// A column that was added since is not among the restored ones; what it refers to is the server's default.
fn has_columns(details: &RowsDetails, reference: &Reference, outward: bool) -> bool {
    reference.columns.iter().all(|pair| {
        let name = if outward { &pair.child } else { &pair.parent };
        details.columns.iter().any(|column| column.name == *name)
    })
}

/// `parent = child`, with the aliases given.
fn equal(reference: &Reference, parent: &str, child: &str) -> String {
    let pairs: Vec<String> = reference
        .columns
        .iter()
        .map(|pair| {
            format!(
                "{parent}.{} {} {child}.{}",
                quote_identifier(&pair.parent),
                pair.operator,
                quote_identifier(&pair.child)
            )
        })
        .collect();
    pairs.join(" AND ")
}

fn refers(reference: &Reference, alias: &str) -> String {
    let parts: Vec<String> = reference
        .columns
        .iter()
        .map(|pair| format!("{alias}.{} IS NOT NULL", quote_identifier(&pair.child)))
        .collect();
    parts.join(" AND ")
}

fn values(reference: &Reference, alias: &str, child: bool) -> String {
    let parts: Vec<String> = reference
        .columns
        .iter()
        .map(|pair| {
            let name = if child { &pair.child } else { &pair.parent };
            format!(
                "{} || coalesce({alias}.{}::text, 'NULL')",
                postgres_wire::quote_literal(&format!("{name}=")),
                quote_identifier(name)
            )
        })
        .collect();
    parts.join(" || ', ' || ")
}

/// Keeps others from removing what the rows refer to until the end, as the server's own check would.
fn lock_parents(
    writer: &mut Writer<'_>,
    activity: &str,
    staging: &Staging<'_>,
    reference: &Reference,
) -> Result<(), WriteError> {
    let sql = format!(
        "SELECT count(*) FROM (SELECT FROM {} p WHERE EXISTS (SELECT FROM {} i WHERE {STATE} = '{DONE}' AND {}) \
         AND p.xmin <> pg_current_xact_id()::xid FOR KEY SHARE OF p) locked",
        reference.parent.sql(),
        staging.table,
        equal(reference, "p", "i")
    );
    writer.run(activity, &sql)
}

/// Rows that came back and refer to nothing.
fn orphans(
    writer: &mut Writer<'_>,
    activity: &str,
    staging: &Staging<'_>,
    reference: &Reference,
) -> Result<Vec<(String, String)>, WriteError> {
    let sql = format!(
        "SELECT {}, {} FROM {} i WHERE {STATE} = '{DONE}' AND {} \
         AND NOT EXISTS (SELECT FROM {} p WHERE {}) LIMIT {LISTED_MAX}",
        staging.label(),
        values(reference, "i", true),
        staging.table,
        refers(reference, "i"),
        reference.parent.sql(),
        equal(reference, "p", "i")
    );
    let rows = writer.rows(activity, &sql)?;
    let reason =
        |row| format!("{} refers to no row of {} ({})", text(row, 1), reference.parent, reference.constraint);
    Ok(rows.iter().map(|row| (text(row, 0), reason(row))).collect())
}

/// Rows of others that refer to rows which are gone.
fn abandoned(
    writer: &mut Writer<'_>,
    activity: &str,
    gone: &str,
    reference: &Reference,
) -> Result<Vec<(String, String)>, WriteError> {
    let sql = format!(
        "SELECT DISTINCT {} FROM {gone} i JOIN {} c ON {} WHERE {STATE} = '{DONE}' \
         AND NOT EXISTS (SELECT FROM {} p WHERE {}) LIMIT {LISTED_MAX}",
        values(reference, "i", false),
        reference.child.sql(),
        equal(reference, "i", "c"),
        reference.parent.sql(),
        equal(reference, "p", "c")
    );
    let rows = writer.rows(activity, &sql)?;
    let reason = format!("rows of {} refer to it ({})", reference.child, reference.constraint);
    Ok(rows.iter().map(|row| (text(row, 0), reason.clone())).collect())
}

/// Refuses to remove rows that others refer to, where a cascade of the server could take those along.
pub(super) fn refuse_cascades(writer: &mut Writer<'_>, staging: &Staging<'_>) -> Result<(), WriteError> {
    let mut violations = Vec::new();
    for reference in staging.details.references.iter().filter(|reference| !reference.outward) {
        if !has_columns(staging.details, reference, false) {
            continue;
        }
        let itself = if reference.child == staging.details.table {
            format!("AND NOT EXISTS (SELECT FROM {} o WHERE o.\"unwipe target\" = c.ctid)", staging.table)
        } else {
            String::new()
        };
        let sql = format!(
            "SELECT DISTINCT {} FROM {} i JOIN {} c ON {} WHERE {TARGET} IS NOT NULL {itself} LIMIT {LISTED_MAX}",
            values(reference, "i", false),
            staging.table,
            reference.child.sql(),
            equal(reference, "i", "c")
        );
        let activity = format!("checking foreign key {}", reference.constraint);
        violations.extend(writer.rows(&activity, &sql)?.iter().map(|row| Conflict {
            target: staging.details.table.to_string(),
            key: text(row, 0),
            reason: format!("rows of {} refer to it ({})", reference.child, reference.constraint),
            choice: Choice::Keep,
        }));
    }
    if violations.is_empty() { Ok(()) } else { Err(WriteError::Broken { violations }) }
}
