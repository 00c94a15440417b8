//! Whole rows in memory, as `COPY` writes them: read at several moments, and compared field by field.

use std::collections::{BTreeMap, BTreeSet};

use postgres_wal::{Lsn, RelationLocator, RowVersion};
use postgres_wire::quote_identifier;

use crate::{
    error::PlanningError,
    facts::{Pair, column_list, leading_comma, place_array},
    fold::{Fields, LiveRow},
    session::{Session, array},
    shape::read_shapes,
    step::UniqueKey,
};

/// Rows as they were, by their table and version.
pub(crate) type Images = BTreeMap<(u32, RowVersion), Fields>;

/// A version whose image is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Wanted {
    pub(crate) table: u32,
    pub(crate) file: RelationLocator,
    pub(crate) version: RowVersion,
}

/// Places that are asked for at a time.
const BATCH_ROWS: usize = 10_000;

/// Chooses the positions before which servers must stand to show all versions, as few as possible and no more than
/// `at_most`. No position lies beyond `end`.
pub(crate) fn moments(wanted: &[Wanted], end: Lsn, at_most: usize) -> Vec<Lsn> {
    let mut open: Vec<&RowVersion> = wanted.iter().map(|wanted| &wanted.version).collect();
    open.sort_unstable_by_key(|version| version.until);
    let mut chosen: Vec<Lsn> = Vec::new();
    for version in open {
        if !chosen.iter().any(|lsn| version.is_seen_before(*lsn)) && chosen.len() < at_most {
            chosen.push(version.until.min(end));
        }
    }
    chosen
}

/// Reads images out of a server that shows them. What it does not have, or has in another form, is left out.
pub(crate) fn read_images(
    session: &mut Session<'_>,
    pairs: &BTreeMap<u32, Pair>,
    wanted: &[Wanted],
    images: &mut Images,
) -> Result<(), PlanningError> {
    let tables: BTreeSet<u32> = wanted.iter().map(|wanted| wanted.table).collect();
    for (oid, shape) in read_shapes(session, &tables)? {
        let Some(pair) = pairs.get(&oid) else { continue };
        let alike = |name: &str| shape.column(name).is_some();
        if !pair.columns.iter().all(|column| alike(&column.name)) {
            continue;
        }
        let here = |wanted: &&Wanted| wanted.table == oid && wanted.file.relation == shape.file;
        let versions: BTreeMap<String, RowVersion> = wanted
            .iter()
            .filter(here)
            .map(|wanted| (wanted.version.tuple.to_string(), wanted.version))
            .collect();
        let places: Vec<&str> = versions.keys().map(String::as_str).collect();
        for batch in places.chunks(BATCH_ROWS) {
            let sql = format!(
                "COPY (SELECT t.ctid{} FROM ONLY {} t WHERE t.ctid = ANY ({})) TO STDOUT",
                leading_comma(&pair.column_list("t")),
                shape.name.sql(),
                place_array(batch.iter().copied())
            );
            let mut text = Vec::new();
            session.copy_out(&format!("reading rows of {}", shape.name), &sql, &mut text)?;
            for mut fields in lines(&text) {
                let place = fields.remove(0);
                if let Some(version) = versions.get(&place) {
                    images.insert((oid, *version), fields);
                }
            }
        }
    }
    Ok(())
}

/// Returns, for the position of each row, the row of production that has the same values in a unique key.
pub(crate) fn live_rows(
    production: &mut Session<'_>,
    pair: &Pair,
    unique: &UniqueKey,
    rows: &[&Fields],
) -> Result<BTreeMap<usize, LiveRow>, PlanningError> {
    let position = |name: &str| pair.columns.iter().position(|column| column.name == name);
    let columns: Vec<usize> = unique.columns.iter().filter_map(|column| position(&column.name)).collect();
    let values = |row: &Fields| -> Vec<Option<String>> {
        columns.iter().map(|column| row.get(*column).and_then(|field| plain(field))).collect()
    };
    // A key with an absent value equals no other.
    let whole: Vec<(usize, Vec<Option<String>>)> = rows
        .iter()
        .enumerate()
        .map(|(position, row)| (position, values(row)))
        .filter(|(_, values)| values.iter().all(Option::is_some))
        .collect();
    if whole.is_empty() || columns.len() != unique.columns.len() {
        return Ok(BTreeMap::new());
    }
    let arrays: Vec<String> = (0..columns.len())
        .map(|column| {
            let values = whole.iter().map(|(_, values)| values.get(column).and_then(Option::as_deref));
            format!("{}::text[]", array(values))
        })
        .collect();
    let names: Vec<String> = (0..columns.len()).map(|column| format!("k{column}")).collect();
    let conditions: Vec<String> = unique
        .columns
        .iter()
        .zip(&names)
        .map(|(column, name)| {
            format!("t.{} {} u.{name}::{}", quote_identifier(&column.name), column.operator, column.type_name)
        })
        .collect();
    let sql = format!(
        "COPY (SELECT u.place, t.ctid, t.xmin{} FROM unnest({}) WITH ORDINALITY AS u({}, place) JOIN ONLY {} t ON {}) \
         TO STDOUT",
        leading_comma(&column_list("t", pair.columns.iter().map(|column| column.name.as_str()))),
        arrays.join(", "),
        names.join(", "),
        pair.now.name.sql(),
        conditions.join(" AND ")
    );
    let mut text = Vec::new();
    production.copy_out(&format!("looking for rows of {}", pair.now.name), &sql, &mut text)?;
    let mut found = BTreeMap::new();
    for mut line in lines(&text) {
        let fields = line.split_off(3.min(line.len()));
        let [place, at, owner] = line.as_slice() else { continue };
        let number = place.parse::<usize>().ok().and_then(|place| place.checked_sub(1));
        if let Some((position, _)) = number.and_then(|number| whole.get(number)) {
            let owner = owner.parse().unwrap_or_default();
            found.insert(*position, LiveRow { place: at.clone(), owner, fields });
        }
    }
    Ok(found)
}

/// Splits what `COPY` wrote into rows and fields, which stay as it wrote them.
fn lines(text: &[u8]) -> impl Iterator<Item = Fields> {
    let text = String::from_utf8_lossy(text).into_owned();
    let rows: Vec<Fields> = text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect();
    rows.into_iter()
}

/// Returns a field's value; `None` for one that is absent.
pub(crate) fn plain(field: &str) -> Option<String> {
    if field == "\\N" {
        return None;
    }
    let mut value = String::with_capacity(field.len());
    let mut characters = field.chars();
    while let Some(c) = characters.next() {
        match (c, (c == '\\').then(|| characters.next()).flatten()) {
            ('\\', Some('b')) => value.push('\u{8}'),
            ('\\', Some('f')) => value.push('\u{c}'),
            ('\\', Some('n')) => value.push('\n'),
            ('\\', Some('r')) => value.push('\r'),
            ('\\', Some('t')) => value.push('\t'),
            ('\\', Some('v')) => value.push('\u{b}'),
            ('\\', Some(other)) | (other, _) => value.push(other),
        }
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use postgres_wal::TupleId;

    use super::*;

    fn wanted(from: u64, until: u64) -> Wanted {
        let version =
            RowVersion { tuple: TupleId { block: 0, offset: 1 }, from: Lsn(from), until: Lsn(until) };
        Wanted { table: 1, file: RelationLocator::default(), version }
    }

    #[test]
    fn few_moments_show_everything() {
        let all = [wanted(10, 30), wanted(20, 50), wanted(60, u64::MAX), wanted(15, 28)];
        assert_eq!(moments(&all, Lsn(100), 9), [Lsn(28), Lsn(100)]);
        assert_eq!(moments(&all, Lsn(100), 1), [Lsn(28)]);
        assert_eq!(moments(&[], Lsn(100), 9), []);
    }

    #[test]
    fn fields_are_read_as_copy_writes_them() {
        assert_eq!(plain("\\N"), None);
        assert_eq!(plain("a\\tb\\\\N").as_deref(), Some("a\tb\\N"));
        let rows: Vec<Fields> = lines(b"(0,1)\t1\t\\N\n(0,2)\t2\tx\n").collect();
        assert_eq!(rows, [["(0,1)", "1", "\\N"], ["(0,2)", "2", "x"]]);
    }
}
