//! Reads production again and compares it with the plan.

use connect::{
    Progress,
    plan::{Action, Attachments, Check, Choice, Conflict, Plan, Step, WriteError},
};

use super::{
    Writer, details_of,
    staging::{OWNER, PLACE, PRESENT, Staging},
};
use crate::{
    session::text,
    step::{AdvanceDetails, CreateDetails, Details, RowsDetails},
};

/// Differences that a check lists.
const DIFFERENCES_MAX: usize = 20;

/// Compares one step with production, in a transaction that is rolled back.
pub(super) fn check(
    writer: &mut Writer<'_>,
    plan: &Plan,
    step: &Step,
    attachments: &dyn Attachments,
    progress: &dyn Progress,
) -> Result<Check, WriteError> {
    progress.phase(&format!("verifying {}", step.target), Some(step.rows));
    let (matched, differences) = match details_of(step)? {
        Details::Rows(details) => {
            let staging = Staging::load(writer, plan, step, &details, attachments, progress)?;
            check_rows(writer, step, &staging, &details)?
        }
        Details::Create(details) => check_objects(writer, step, &details)?,
        Details::Advance(details) => check_sequence(writer, step, &details)?,
    };
    Ok(Check { step: step.number, target: step.target.clone(), expected: step.rows, matched, differences })
}

fn difference(step: &Step, key: String, reason: &str) -> Conflict {
    Conflict { target: step.target.clone(), key, reason: reason.to_owned(), choice: Choice::Keep }
}

fn check_rows(
    writer: &mut Writer<'_>,
    step: &Step,
    staging: &Staging<'_>,
    details: &RowsDetails,
) -> Result<(u64, Vec<Conflict>), WriteError> {
    let activity = format!("verifying rows of {}", details.table);
    let table = details.table.sql();
    let wanted = step.action != Action::Remove;
    let bad = match (&details.key, wanted) {
        (Some(key), true) => format!(
            "NOT EXISTS (SELECT FROM ONLY {table} t WHERE {} AND {})",
            Staging::same_key(key),
            staging.same_content()
        ),
        (Some(key), false) => format!(
            "EXISTS (SELECT FROM ONLY {table} t WHERE {} AND {})",
            Staging::same_key(key),
            staging.same_content()
        ),
        (None, true) => return check_contents(writer, step, staging, details),
        (None, false) => {
            format!("EXISTS (SELECT FROM ONLY {table} t WHERE t.ctid = {PLACE} AND t.xmin = {OWNER})")
        }
    };
    let count = format!("SELECT count(*) FROM {} i WHERE {bad}", staging.table);
    let bad_rows: u64 = writer.value(&activity, &count)?.parse().unwrap_or(u64::MAX);
    let sql =
        format!("SELECT {} FROM {} i WHERE {bad} LIMIT {DIFFERENCES_MAX}", staging.label(), staging.table);
    let listed = if bad_rows == 0 { Vec::new() } else { writer.rows(&activity, &sql)? };
    let reason = if wanted { "it is not as it was" } else { "it is still there" };
    let differences = listed.iter().map(|row| difference(step, text(row, 0), reason)).collect();
    Ok((step.rows.saturating_sub(bad_rows), differences))
}

/// Without a key, rows of the same content are counted: those that were there and those that came back.
fn check_contents(
    writer: &mut Writer<'_>,
    step: &Step,
    staging: &Staging<'_>,
    details: &RowsDetails,
) -> Result<(u64, Vec<Conflict>), WriteError> {
    let (ours, theirs) = (staging.columns("i"), staging.columns("t"));
    // A reverted row's content was counted with those that were there, or not at all: one must be there.
    let present = if step.action == Action::Insert { format!("max({PRESENT})") } else { "0".to_owned() };
    let sql = format!(
        "SELECT left(w.content, 200), w.rows - least(w.rows, greatest(0, coalesce(l.rows, 0) - w.present)) \
         FROM (SELECT ROW({ours})::text AS content, count(*) AS rows, {present} AS present FROM {} i GROUP BY 1) w \
         LEFT JOIN (SELECT ROW({theirs})::text AS content, count(*) AS rows FROM ONLY {} t GROUP BY 1) l \
           ON l.content = w.content \
         WHERE coalesce(l.rows, 0) < w.present + w.rows",
        staging.table,
        details.table.sql()
    );
    let rows = writer.rows(&format!("verifying rows of {}", details.table), &sql)?;
    let missing: u64 = rows.iter().map(|row| crate::session::number::<u64>(row, 1)).sum();
    let differences = rows
        .iter()
        .take(DIFFERENCES_MAX)
        .map(|row| difference(step, text(row, 0), "too few rows of this content"));
    Ok((step.rows.saturating_sub(missing), differences.collect()))
}

fn check_objects(
    writer: &mut Writer<'_>,
    step: &Step,
    details: &CreateDetails,
) -> Result<(u64, Vec<Conflict>), WriteError> {
    let (mut matched, mut differences) = (0, Vec::new());
    for statement in &details.statements {
        let activity = format!("verifying {}", statement.object);
        let there = match &statement.exists {
            Some(query) => writer.value(&activity, query)? == "t",
            // Grants, comments and the like have no existence of their own; what carries them was checked.
            None => true,
        };
        if there {
            matched += 1;
        } else {
            differences.push(difference(step, statement.object.clone(), "it does not exist"));
        }
    }
    differences.truncate(DIFFERENCES_MAX);
    Ok((matched, differences))
}

fn check_sequence(
    writer: &mut Writer<'_>,
    step: &Step,
    details: &AdvanceDetails,
) -> Result<(u64, Vec<Conflict>), WriteError> {
    let comparison = if details.ascending { ">=" } else { "<=" };
    let sql =
        format!("SELECT last_value {comparison} {} FROM {}", details.last_value, details.sequence.sql());
    if writer.value(&format!("verifying sequence {}", details.sequence), &sql)? == "t" {
        return Ok((1, Vec::new()));
    }
    Ok((0, vec![difference(step, details.sequence.to_string(), "it stands before its old value")]))
}
