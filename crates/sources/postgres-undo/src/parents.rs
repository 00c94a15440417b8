//! Foreign keys while planning: a row whose parent is gone for good does not come back, and a row that others have come
//! to refer to is not removed. What these rules miss, in cycles, is found when the plan is applied, and undoes all.

use std::collections::{BTreeMap, HashMap, HashSet};

use postgres_wire::quote_identifier;

use crate::{
    decide::Owners,
    error::PlanningError,
    facts::{Pair, place_array},
    fold::Fields,
    images::plain,
    session::{Row, Session, array, number, text},
    step::Reference,
};

/// A place as a number, to hold many.
fn packed(place: &str) -> Option<u64> {
    let (block, offset) = place.strip_prefix('(')?.strip_suffix(')')?.split_once(',')?;
    Some(block.parse::<u64>().ok()? << 16 | offset.parse::<u64>().ok()?)
}

/// What is known about the rows that come back, by their places in scratch.
#[derive(Debug, Default)]
pub(crate) struct Returning {
    /// Rows of tables that are planned.
    inserted: HashMap<u32, HashSet<u64>>,
    /// Rows of tables that are planned or will be: they may come back. None stands for all rows.
    awaited: HashMap<u32, Option<HashSet<u64>>>,
    /// What rows that were put together from several versions are referred to by: constraint and values.
    composed: HashSet<(String, Vec<Option<String>>)>,
}

impl Returning {
    /// Says that rows of a table may come back: these, or any.
    pub(crate) fn await_rows(&mut self, table: u32, places: Option<&[String]>) {
        let places = places.map(|places| places.iter().filter_map(|place| packed(place)).collect());
        self.awaited.insert(table, places);
    }

    /// Says that the table is planned: what was not inserted by now does not come back.
    pub(crate) fn finish(&mut self, table: u32) {
        self.awaited.remove(&table);
    }

    pub(crate) fn insert(&mut self, table: u32, places: &[String]) {
        self.inserted.entry(table).or_default().extend(places.iter().filter_map(|place| packed(place)));
    }

    fn holds(&self, table: u32, place: &str) -> bool {
        let Some(place) = packed(place) else { return false };
        let inserted = self.inserted.get(&table).is_some_and(|places| places.contains(&place));
        let awaited = self.awaited.get(&table);
        inserted || awaited.is_some_and(|places| places.as_ref().is_none_or(|places| places.contains(&place)))
    }
}

/// `p.id OPERATOR(pg_catalog.=) <child>`, for all columns of a foreign key.
fn equal(reference: &Reference, child: impl Fn(usize, &str) -> String) -> String {
    let pairs = reference.columns.iter().enumerate().map(|(position, pair)| {
        format!("p.{} {} {}", quote_identifier(&pair.parent), pair.operator, child(position, &pair.child))
    });
    pairs.collect::<Vec<_>>().join(" AND ")
}

/// Returns the rows among `places` (in scratch) that would refer to nothing, with the reason.
pub(crate) fn orphans(
    (scratch, production): (&mut Session<'_>, &mut Session<'_>),
    pair: &Pair,
    returning: &Returning,
    places: &[String],
) -> Result<HashMap<String, String>, PlanningError> {
    let mut orphans = HashMap::new();
    for now in pair.now.references.iter().filter(|reference| reference.outward) {
        let same = |then: &&Reference| then.outward && then.constraint == now.constraint;
        let Some(then) = pair.then.references.iter().find(same) else { continue };
        let restored = |name: &str| pair.columns.iter().any(|column| column.name == name);
        if places.is_empty() || !then.columns.iter().all(|columns| restored(&columns.child)) {
            continue;
        }
        let open = unreturned(scratch, pair, then, returning, places)?;
        for row in missing(production, pair, now, &open)? {
            let reason = format!("the row of {} that it refers to is gone ({})", now.parent, now.constraint);
            orphans.insert(text(row, 0), reason);
        }
    }
    Ok(orphans)
}

/// Returns the values of columns of a row that was put together.
fn values_of<'n>(
    pair: &Pair,
    fields: &Fields,
    names: impl Iterator<Item = &'n str>,
) -> Option<Vec<Option<String>>> {
    let position = |name: &str| pair.columns.iter().position(|column| column.name == name);
    names.map(|name| Some(fields.get(position(name)?).and_then(|field| plain(field)))).collect()
}

/// Says that a row that was put together comes back.
pub(crate) fn compose(returning: &mut Returning, pair: &Pair, fields: &Fields) {
    for reference in pair.now.references.iter().filter(|reference| !reference.outward) {
        let names = reference.columns.iter().map(|columns| columns.parent.as_str());
        if let Some(values) = values_of(pair, fields, names) {
            returning.composed.insert((reference.constraint.clone(), values));
        }
    }
}

/// Returns the rows, put together from several versions, that would refer to nothing, by position with the reason.
pub(crate) fn unsupported(
    (scratch, production): (&mut Session<'_>, &mut Session<'_>),
    pair: &Pair,
    returning: &Returning,
    rows: &[&Fields],
) -> Result<BTreeMap<usize, String>, PlanningError> {
    let mut found = BTreeMap::new();
    for reference in pair.now.references.iter().filter(|reference| reference.outward) {
        let mut open: Vec<Row> = Vec::new();
        for (position, fields) in rows.iter().enumerate() {
            let names = reference.columns.iter().map(|columns| columns.child.as_str());
            let Some(values) = values_of(pair, fields, names) else { continue };
            let composed = returning.composed.contains(&(reference.constraint.clone(), values.clone()));
            if !composed && values.iter().all(Option::is_some) {
                let mut row = vec![Some(position.to_string()), None, None];
                row.extend(values);
                open.push(row);
            }
        }
        let gone: Vec<Row> = missing(production, pair, reference, &open)?.into_iter().cloned().collect();
        let then =
            pair.then.references.iter().find(|then| then.outward && then.constraint == reference.constraint);
        let back = match then {
            Some(then) => returned(scratch, pair, then, returning, &gone)?,
            None => HashSet::new(),
        };
        for row in gone.iter().filter(|row| !back.contains(&text(row, 0))) {
            let reason = format!(
                "the row of {} that it refers to is gone ({})",
                reference.parent, reference.constraint
            );
            found.insert(number(row, 0), reason);
        }
    }
    Ok(found)
}

/// Returns those whose parents, looked up in scratch by value, come back by this plan.
fn returned(
    scratch: &mut Session<'_>,
    pair: &Pair,
    reference: &Reference,
    returning: &Returning,
    rows: &[Row],
) -> Result<HashSet<String>, PlanningError> {
    if rows.is_empty() {
        return Ok(HashSet::new());
    }
    let sql = format!(
        "SELECT u.place, p.tableoid::oid, p.ctid::text FROM unnest({}) WITH ORDINALITY AS u({}, place) JOIN {} p ON {}",
        value_arrays(reference, rows),
        value_names(reference),
        reference.parent.sql(),
        equal(reference, |position, name| typed(pair, position, name))
    );
    let found = scratch.rows(&format!("following {}", reference.constraint), &sql)?;
    Ok(found
        .iter()
        .filter(|found| returning.holds(number(found, 1), &text(found, 2)))
        .filter_map(|found| rows.get(number::<usize>(found, 0).checked_sub(1)?))
        .map(|row| text(row, 0))
        .collect())
}

fn value_arrays(reference: &Reference, rows: &[Row]) -> String {
    let arrays = (0..reference.columns.len()).map(|column| {
        let values = rows.iter().map(|row| row.get(column + 3).and_then(|value| value.as_deref()));
        format!("{}::text[]", array(values))
    });
    arrays.collect::<Vec<_>>().join(", ")
}

fn value_names(reference: &Reference) -> String {
    let names = (0..reference.columns.len()).map(|position| format!("k{position}"));
    names.collect::<Vec<_>>().join(", ")
}

fn typed(pair: &Pair, position: usize, name: &str) -> String {
    let type_name = pair.then.column(name).map_or("text", |column| column.type_name.as_str());
    format!("u.k{position}::{type_name}")
}

/// Returns the rows whose parents do not come back by this plan: place and referring values.
fn unreturned(
    scratch: &mut Session<'_>,
    pair: &Pair,
    reference: &Reference,
    returning: &Returning,
    places: &[String],
) -> Result<Vec<Row>, PlanningError> {
    let child = |name: &str| format!("t.{}", quote_identifier(name));
    let values: Vec<String> =
        reference.columns.iter().map(|columns| format!("{}::text", child(&columns.child))).collect();
    let set: Vec<String> =
        reference.columns.iter().map(|columns| format!("{} IS NOT NULL", child(&columns.child))).collect();
    let sql = format!(
        "SELECT t.ctid::text, p.tableoid::oid, p.ctid::text, {} FROM ONLY {} t LEFT JOIN {} p ON {} \
         WHERE t.ctid = ANY ({}) AND {}",
        values.join(", "),
        pair.then.name.sql(),
        reference.parent.sql(),
        equal(reference, |_, name| child(name)),
        place_array(places.iter().map(String::as_str)),
        set.join(" AND ")
    );
    let mut rows = scratch.rows(&format!("following {}", reference.constraint), &sql)?;
    rows.retain(|row| !returning.holds(number(row, 1), &text(row, 2)));
    Ok(rows)
}

/// Returns those whose parents production does not have either.
fn missing<'r>(
    production: &mut Session<'_>,
    pair: &Pair,
    reference: &Reference,
    rows: &'r [Row],
) -> Result<Vec<&'r Row>, PlanningError> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT u.place FROM unnest({}) WITH ORDINALITY AS u({}, place) \
         WHERE NOT EXISTS (SELECT FROM {} p WHERE {})",
        value_arrays(reference, rows),
        value_names(reference),
        reference.parent.sql(),
        equal(reference, |position, name| typed(pair, position, name))
    );
    let found = production.rows(&format!("following {}", reference.constraint), &sql)?;
    Ok(found.iter().filter_map(|row| rows.get(number::<usize>(row, 0).checked_sub(1)?)).collect())
}

/// Returns the rows among `places` (in production) that rows of others refer to, with the reason.
pub(crate) fn needed(
    production: &mut Session<'_>,
    pair: &Pair,
    owners: &Owners,
    places: &[String],
) -> Result<HashMap<String, String>, PlanningError> {
    let mut needed = HashMap::new();
    let owners: Vec<String> = owners.0.iter().map(u32::to_string).collect();
    let owners = array(owners.iter().map(|owner| Some(owner.as_str())));
    for reference in pair.now.references.iter().filter(|reference| !reference.outward) {
        let known = |name: &str| pair.now.column(name).is_some();
        if places.is_empty() || !reference.columns.iter().all(|columns| known(&columns.parent)) {
            continue;
        }
        let sql = format!(
            "SELECT DISTINCT p.ctid::text FROM ONLY {} p JOIN {} c ON {} \
             WHERE p.ctid = ANY ({}) AND c.xmin <> ALL ({owners}::xid[])",
            pair.now.name.sql(),
            reference.child.sql(),
            equal(reference, |_, name| format!("c.{}", quote_identifier(name))),
            place_array(places.iter().map(String::as_str))
        );
        let reason =
            format!("rows of {} have come to refer to it ({})", reference.child, reference.constraint);
        for row in production.rows(&format!("following {}", reference.constraint), &sql)? {
            needed.insert(text(&row, 0), reason.clone());
        }
    }
    Ok(needed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_apart() {
        assert_eq!(packed("(0,1)"), Some(1));
        assert_eq!(packed("(1,0)"), Some(1 << 16));
        assert_eq!(packed("(4294967295,65535)"), Some((1 << 48) - 1));
        assert_eq!(packed("nonsense"), None);
    }

    #[test]
    fn a_row_comes_back_when_it_was_planned_or_is_still_awaited() {
        let mut returning = Returning::default();
        returning.await_rows(1, Some(&["(0,1)".to_owned()]));
        returning.await_rows(2, None);
        assert!(returning.holds(1, "(0,1)") && !returning.holds(1, "(0,2)") && returning.holds(2, "(7,7)"));
        returning.finish(1);
        assert!(!returning.holds(1, "(0,1)"));
        returning.insert(1, &["(0,1)".to_owned()]);
        assert!(returning.holds(1, "(0,1)") && !returning.holds(3, "(0,1)"));
    }
}
