//! Puts the parts of a plan into the order in which they are applied, and says what to know before approving.

use std::collections::{BTreeMap, BTreeSet};

use connect::plan::{Action, Step};

use crate::{
    error::PlanningError,
    planner::Planning,
    rows::RowsPart,
    shape::{SequenceState, Shape, read_sequences, sequences_of},
    step::{AdvanceDetails, ColumnRef, CreateDetails, Details, RowsDetails, TableName},
};

/// Objects that are made again, before or after rows are put in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CreatePart {
    pub(crate) title: String,
    pub(crate) before_rows: bool,
    pub(crate) details: CreateDetails,
}

/// Returns how far sequences must go forward so that what comes back does not collide with what is handed out next.
pub(crate) fn sequences(planning: &mut Planning<'_>) -> Result<Vec<SequenceState>, PlanningError> {
    let inserted: BTreeSet<u32> = planning
        .collected
        .parts
        .iter()
        .filter(|part| part.action == Action::Insert)
        .map(|part| part.table)
        .collect();
    if inserted.is_empty() {
        return Ok(Vec::new());
    }
    let oids = sequences_of(&mut planning.scratch, &inserted)?;
    let then = read_sequences(&mut planning.scratch, &oids)?;
    let now = read_sequences(&mut planning.production, &oids)?;
    let recreated = |state: &SequenceState| planning.recreated.contains(&state.name);
    let behind = |state: &SequenceState| match now.get(&state.oid) {
        None => recreated(state),
        Some(now) if state.ascending => (state.last_value, state.is_called) > (now.last_value, now.is_called),
        Some(now) => (-state.last_value, state.is_called) > (-now.last_value, now.is_called),
    };
    let named_as_now = |state: &SequenceState| SequenceState {
        name: now.get(&state.oid).map_or_else(|| state.name.clone(), |now| now.name.clone()),
        ..state.clone()
    };
    Ok(then.values().filter(|state| behind(state)).map(named_as_now).collect())
}

/// Says what a person should know before approving.
pub(crate) fn notes(planning: &mut Planning<'_>) {
    let touched: BTreeSet<u32> = planning.collected.parts.iter().map(|part| part.table).collect();
    let mut notes = Vec::new();
    let mut references = 0;
    for pair in planning.pairs.values().filter(|pair| touched.contains(&pair.now.oid)) {
        let target = planning.target(&pair.now.name);
        references += pair.now.references.len();
        for trigger in &pair.now.triggers {
            notes.push(match trigger.enabled.as_str() {
                "D" => continue,
                "A" | "R" => format!("trigger {} of {target} will fire", trigger.name),
                _ => format!(
                    "trigger {} of {target} will not fire, if the restore credential may set session_replication_role; \
                     it will fire otherwise",
                    trigger.name
                ),
            });
        }
        if pair.key().is_none() {
            notes.push(format!(
                "{target} has no key: its rows are compared as wholes, and counted where they are alike"
            ));
        }
        if !pair.now.other_uniques.is_empty() {
            notes.push(format!(
                "{target} has unique or exclusion indexes that only the server can check ({}): a row that they refuse \
                 is left out and reported when the plan is applied",
                pair.now.other_uniques.join(", ")
            ));
        }
    }
    if references > 0 {
        let keys = if references == 1 {
            "foreign key from or to the touched tables is"
        } else {
            "foreign keys from and to the touched tables are"
        };
        notes.push(format!(
            "{references} {keys} checked for these rows before the end; one \
             broken reference undoes all"
        ));
    }
    planning.notes.append(&mut notes);
}

/// Numbers the steps: definitions, removals (what refers first), reverts, insertions (what is referred to first), the
/// definitions that need rows, sequences.
pub(crate) fn number(
    planning: &Planning<'_>,
    sequences: Vec<SequenceState>,
) -> Result<Vec<Step>, PlanningError> {
    let shapes = planning.pairs.iter().map(|(oid, pair)| (*oid, pair.now.clone())).collect();
    let ranks = ranks(&shapes);
    let rank = |part: &RowsPart| ranks.get(&part.table).copied().unwrap_or_default();
    let with = |action: Action| {
        let mut parts: Vec<&RowsPart> =
            planning.collected.parts.iter().filter(|part| part.action == action).collect();
        parts.sort_by_key(|part| (rank(part), part.table));
        parts
    };
    let mut steps = Vec::new();
    for part in planning.created.iter().filter(|part| part.before_rows) {
        steps.push(create_step(planning, part)?);
    }
    for part in with(Action::Remove).into_iter().rev() {
        steps.push(rows_step(planning, part, "remove", "that it added from")?);
    }
    for part in with(Action::Revert) {
        steps.push(rows_step(planning, part, "give", "their content back in")?);
    }
    for part in with(Action::Insert) {
        steps.push(rows_step(planning, part, "put", "back into")?);
    }
    for part in planning.created.iter().filter(|part| !part.before_rows) {
        steps.push(create_step(planning, part)?);
    }
    for state in sequences {
        steps.push(advance_step(planning, state)?);
    }
    for (position, step) in steps.iter_mut().enumerate() {
        step.number = u32::try_from(position + 1).unwrap_or(u32::MAX);
    }
    Ok(steps)
}

fn details(details: &Details) -> Result<serde_json::Value, PlanningError> {
    serde_json::to_value(details).map_err(PlanningError::Encode)
}

fn create_step(planning: &Planning<'_>, part: &CreatePart) -> Result<Step, PlanningError> {
    Ok(Step {
        number: 0,
        title: part.title.clone(),
        target: planning.database.0.clone(),
        action: Action::Create,
        rows: part.details.statements.len() as u64,
        attachment: None,
        details: details(&Details::Create(part.details.clone()))?,
    })
}

fn rows_step(
    planning: &Planning<'_>,
    part: &RowsPart,
    verb: &str,
    preposition: &str,
) -> Result<Step, PlanningError> {
    let pair = planning
        .pairs
        .get(&part.table)
        .ok_or_else(|| planning.production.unusable("a planned table has no description"))?;
    let target = planning.target(&pair.now.name);
    let columns = pair.columns.iter().map(|column| ColumnRef {
        name: column.name.clone(),
        identity_always: pair.now.column(&column.name).is_some_and(|column| column.identity_always),
    });
    let noun = if part.rows == 1 { "row" } else { "rows" };
    Ok(Step {
        number: 0,
        title: format!("{verb} {} {noun} {preposition} {target}", part.rows),
        target,
        action: part.action,
        rows: part.rows,
        attachment: Some(part.attachment.clone()),
        details: details(&Details::Rows(RowsDetails {
            table: pair.now.name.clone(),
            file: pair.now.file,
            columns: columns.collect(),
            key: pair.key().cloned(),
            uniques: pair.uniques.clone(),
            replaced: part.replaced.clone(),
            references: pair.now.references.clone(),
            quarantine: planning.quarantine.clone().filter(|_| part.action == Action::Remove),
        }))?,
    })
}

fn advance_step(planning: &Planning<'_>, state: SequenceState) -> Result<Step, PlanningError> {
    let target = planning.target(&state.name);
    Ok(Step {
        number: 0,
        title: format!("move sequence {target} forward to {}", state.last_value),
        target,
        action: Action::Advance,
        rows: 1,
        attachment: None,
        details: details(&Details::Advance(AdvanceDetails {
            sequence: state.name,
            last_value: state.last_value,
            is_called: state.is_called,
            ascending: state.ascending,
        }))?,
    })
}

/// Ranks the tables so that one comes after those it refers to; in a cycle the order is arbitrary but always the same.
pub(crate) fn ranks(shapes: &BTreeMap<u32, Shape>) -> BTreeMap<u32, usize> {
    let by_name: BTreeMap<&TableName, u32> = shapes.iter().map(|(oid, shape)| (&shape.name, *oid)).collect();
    let parents = |oid: u32| -> Vec<u32> {
        let Some(shape) = shapes.get(&oid) else { return Vec::new() };
        // What can wait for the end does not order anything, and opens cycles that were made to be opened.
        let outward = shape.references.iter().filter(|reference| reference.outward && !reference.deferrable);
        outward.filter_map(|reference| by_name.get(&reference.parent).copied()).collect()
    };
    let mut ranks = BTreeMap::new();
    let mut entered = BTreeSet::new();
    for start in shapes.keys() {
        // Depth first without recursion: a chain of foreign keys may be long.
        let mut path = vec![(*start, false)];
        while let Some((oid, left)) = path.pop() {
            if left {
                let next = ranks.len();
                ranks.entry(oid).or_insert(next);
            } else if entered.insert(oid) {
                path.push((oid, true));
                let open = parents(oid).into_iter().filter(|parent| !entered.contains(parent));
                path.extend(open.map(|parent| (parent, false)));
            }
        }
    }
    ranks
}
