//! Reads what a decision needs: rows as they were, and the rows of production that answer to them.

use std::{
    collections::{BTreeMap, HashMap},
    io::Write,
};

use postgres_wire::quote_identifier;

use crate::{
    decide::Live,
    error::PlanningError,
    session::{Row, Session, array, number, text},
    shape::{Column, Shape},
    step::UniqueKey,
};

/// Places that are asked for at a time.
const PLACES_AT_ONCE: usize = 10_000;

/// A table on both servers, and what of it can be restored.
#[derive(Debug, Clone)]
pub(crate) struct Pair {
    /// The table just before what is undone.
    pub(crate) then: Shape,
    /// The table in production.
    pub(crate) now: Shape,
    /// The columns that both have and that can be written.
    pub(crate) columns: Vec<Column>,
    /// The keys of production whose columns are all restored.
    pub(crate) uniques: Vec<UniqueKey>,
    /// Whether the first of `uniques` identifies every row.
    pub(crate) has_key: bool,
    /// The columns of all unique keys, each once: what a row is looked up by.
    probed: Vec<String>,
}

impl Pair {
    pub(crate) fn new(then: Shape, now: Shape) -> Self {
        let both = |column: &&Column| {
            !column.generated && now.column(&column.name).is_some_and(|column| !column.generated)
        };
        let columns: Vec<Column> = then.columns.iter().filter(both).cloned().collect();
        let restored = |unique: &&UniqueKey| {
            unique.columns.iter().all(|key| columns.iter().any(|column| column.name == key.name))
        };
        let uniques: Vec<UniqueKey> = now.uniques.iter().filter(restored).cloned().collect();
        let has_key = now.has_key && uniques.first() == now.uniques.first();
        let mut probed: Vec<String> = Vec::new();
        for column in uniques.iter().flat_map(|unique| &unique.columns) {
            if !probed.contains(&column.name) {
                probed.push(column.name.clone());
            }
        }
        Self { then, now, columns, uniques, has_key, probed }
    }

    pub(crate) fn key(&self) -> Option<&UniqueKey> {
        self.uniques.first().filter(|_| self.has_key)
    }

    /// The restored columns as SQL, with an alias: `t."a",t."b"`.
    pub(crate) fn column_list(&self, alias: &str) -> String {
        column_list(alias, self.columns.iter().map(|column| column.name.as_str()))
    }

    /// The digest of the restored columns as SQL.
    pub(crate) fn digest(&self, alias: &str) -> String {
        // `sha256` and not `md5`, which servers in FIPS mode refuse; a row without columns is a row all the same.
        format!(
            "encode(sha256(convert_to(ROW({})::text, getdatabaseencoding())), 'hex')",
            self.column_list(alias)
        )
    }
}

pub(crate) fn column_list<'n>(alias: &str, names: impl Iterator<Item = &'n str>) -> String {
    names.map(|name| format!("{alias}.{}", quote_identifier(name))).collect::<Vec<_>>().join(",")
}

/// A row as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Image {
    /// Its place in scratch.
    pub(crate) place: String,
    /// The digest of the restored columns.
    pub(crate) digest: String,
    /// The values of the columns that it is looked up by.
    values: Vec<Option<String>>,
}

impl Image {
    /// Shows the row's key, or else its place.
    pub(crate) fn label(&self, pair: &Pair) -> String {
        match pair.key() {
            None => format!("the row that was at {}", self.place),
            Some(key) => {
                let part = |name: &str| format!("{name}={}", self.value(pair, name).unwrap_or("NULL"));
                key.columns.iter().map(|column| part(&column.name)).collect::<Vec<_>>().join(", ")
            }
        }
    }

    /// Returns the values of the row's key.
    pub(crate) fn key(&self, pair: &Pair) -> Option<Vec<Option<String>>> {
        let value = |name: &str| self.value(pair, name).map(str::to_owned);
        Some(pair.key()?.columns.iter().map(|column| value(&column.name)).collect())
    }

    fn value(&self, pair: &Pair, name: &str) -> Option<&str> {
        let position = pair.probed.iter().position(|probed| probed == name)?;
        self.values.get(position)?.as_deref()
    }
}

/// Writes places as an SQL array.
pub(crate) fn place_array<'p>(places: impl Iterator<Item = &'p str>) -> String {
    format!("{}::tid[]", array(places.map(Some)))
}

/// The part of a query that shows rows as they were: place, digest, looked-up values.
fn image_columns(pair: &Pair, digest: &str) -> String {
    let probed: Vec<String> =
        pair.probed.iter().map(|name| format!("t.{}::text", quote_identifier(name))).collect();
    format!("t.ctid::text, {digest}{}", leading_comma(&probed.join(", ")))
}

fn read_images(rows: Vec<Row>) -> Vec<Image> {
    let image = |mut row: Row| {
        let values = row.split_off(2.min(row.len()));
        Image { place: text(&row, 0), digest: text(&row, 1), values }
    };
    rows.into_iter().map(image).collect()
}

/// Returns the rows that were at these places. Without digests it is much faster, which most destroyed rows never need.
pub(crate) fn images_at(
    scratch: &mut Session<'_>,
    pair: &Pair,
    places: &[String],
    with_digests: bool,
) -> Result<Vec<Image>, PlanningError> {
    let digest = if with_digests { pair.digest("t") } else { "NULL".to_owned() };
    let sql = format!(
        "SELECT {} FROM ONLY {} t WHERE t.ctid = ANY ({})",
        image_columns(pair, &digest),
        pair.then.name.sql(),
        place_array(places.iter().map(String::as_str))
    );
    let rows = scratch.rows(&format!("reading rows of {}", pair.then.name), &sql)?;
    Ok(read_images(rows))
}

/// Opens a cursor over all rows, or those that a predicate chooses. Cursors work on all majors alike; ranges of places
/// would be a full read each before PostgreSQL 14.
pub(crate) fn open_images(
    scratch: &mut Session<'_>,
    pair: &Pair,
    predicate: Option<&str>,
) -> Result<(), PlanningError> {
    let condition = predicate.map(|predicate| format!(" WHERE ({predicate}\n)")).unwrap_or_default();
    let sql = format!(
        "DECLARE unwipe_images NO SCROLL CURSOR FOR SELECT {} FROM ONLY {} t{condition}",
        image_columns(pair, &pair.digest("t")),
        pair.then.name.sql()
    );
    scratch.run(&format!("choosing rows of {}", pair.then.name), &sql)
}

/// Returns the next rows of the cursor; none at its end.
pub(crate) fn next_images(
    scratch: &mut Session<'_>,
    pair: &Pair,
    count: usize,
) -> Result<Vec<Image>, PlanningError> {
    let activity = format!("reading rows of {}", pair.then.name);
    let rows = scratch.rows(&activity, &format!("FETCH {count} FROM unwipe_images"))?;
    if rows.is_empty() {
        scratch.run(&activity, "CLOSE unwipe_images")?;
    }
    Ok(read_images(rows))
}

fn read_live(row: &[Option<String>], first: usize) -> Live {
    let row = row.to_vec();
    Live { place: text(&row, first), owner: number(&row, first + 1), digest: text(&row, first + 2) }
}

/// Returns the rows of production at these places.
pub(crate) fn live_at(
    production: &mut Session<'_>,
    pair: &Pair,
    places: &[String],
) -> Result<HashMap<String, Live>, PlanningError> {
    if places.is_empty() {
        return Ok(HashMap::new());
    }
    let sql = format!(
        "SELECT t.ctid::text, t.xmin::text, {} FROM ONLY {} t WHERE t.ctid = ANY ({})",
        pair.digest("t"),
        pair.now.name.sql(),
        place_array(places.iter().map(String::as_str))
    );
    let rows = production.rows(&format!("reading rows of {}", pair.now.name), &sql)?;
    Ok(rows.iter().map(|row| read_live(row, 0)).map(|live| (live.place.clone(), live)).collect())
}

/// Returns who wrote the rows of production at these places.
pub(crate) fn owners_at(
    production: &mut Session<'_>,
    shape: &Shape,
    places: &[String],
) -> Result<HashMap<String, u32>, PlanningError> {
    let mut owners = HashMap::new();
    for batch in places.chunks(PLACES_AT_ONCE) {
        let sql = format!(
            "SELECT t.ctid::text, t.xmin::text FROM ONLY {} t WHERE t.ctid = ANY ({})",
            shape.name.sql(),
            place_array(batch.iter().map(String::as_str))
        );
        let rows = production.rows(&format!("reading rows of {}", shape.name), &sql)?;
        owners.extend(rows.iter().map(|row| (text(row, 0), number(row, 1))));
    }
    Ok(owners)
}

/// Returns, for the position of each image, the row of production that has the same values in a unique key.
pub(crate) fn live_by_key(
    production: &mut Session<'_>,
    pair: &Pair,
    unique: &UniqueKey,
    images: &[Image],
) -> Result<BTreeMap<usize, Live>, PlanningError> {
    // A key with an absent value equals no other.
    let whole: Vec<(usize, &Image)> = images
        .iter()
        .enumerate()
        .filter(|(_, image)| unique.columns.iter().all(|column| image.value(pair, &column.name).is_some()))
        .collect();
    if whole.is_empty() {
        return Ok(BTreeMap::new());
    }
    let arrays: Vec<String> = unique
        .columns
        .iter()
        .map(|column| {
            format!("{}::text[]", array(whole.iter().map(|(_, image)| image.value(pair, &column.name))))
        })
        .collect();
    let names: Vec<String> = (0..unique.columns.len()).map(|position| format!("k{position}")).collect();
    let conditions: Vec<String> = unique
        .columns
        .iter()
        .zip(&names)
        .map(|(column, name)| {
            format!("t.{} {} u.{name}::{}", quote_identifier(&column.name), column.operator, column.type_name)
        })
        .collect();
    let sql = format!(
        "SELECT u.place, t.ctid::text, t.xmin::text, {} FROM unnest({}) WITH ORDINALITY AS u({}, place) \
         JOIN ONLY {} t ON {}",
        pair.digest("t"),
        arrays.join(", "),
        names.join(", "),
        pair.now.name.sql(),
        conditions.join(" AND ")
    );
    let rows = production.rows(&format!("looking for rows of {}", pair.now.name), &sql)?;
    Ok(rows
        .iter()
        .filter_map(|row| {
            let place: usize = number(row, 0);
            let (position, _) = whole.get(place.checked_sub(1)?)?;
            Some((*position, read_live(row, 1)))
        })
        .collect())
}

/// Copies, for a table without a key, how many rows of each content production has into scratch.
pub(crate) fn count_contents(
    scratch: &mut Session<'_>,
    production: &mut Session<'_>,
    pair: &Pair,
) -> Result<(), PlanningError> {
    let activity = format!("counting rows of {}", pair.now.name);
    let sql = format!(
        "COPY (SELECT {} AS digest, count(*) FROM ONLY {} t GROUP BY 1) TO STDOUT",
        pair.digest("t"),
        pair.now.name.sql()
    );
    scratch.run(&activity, "DROP TABLE IF EXISTS pg_temp.unwipe_contents")?;
    scratch.run(
        &activity,
        "CREATE TEMP TABLE unwipe_contents (digest text PRIMARY KEY, rows bigint NOT NULL)",
    )?;
    scratch.copy_from(production, &activity, &sql, "COPY pg_temp.unwipe_contents FROM STDIN")
}

/// Appends the images at these places to an attachment.
pub(crate) fn copy_images(
    scratch: &mut Session<'_>,
    pair: &Pair,
    places: &[String],
    out: &mut dyn Write,
) -> Result<u64, PlanningError> {
    let present = if pair.has_key {
        "0".to_owned()
    } else {
        format!(
            "coalesce((SELECT c.rows FROM pg_temp.unwipe_contents c WHERE c.digest = {}), 0)",
            pair.digest("t")
        )
    };
    let sql = format!(
        "COPY (SELECT NULL, NULL, {present}{} FROM ONLY {} t WHERE t.ctid = ANY ({})) TO STDOUT",
        leading_comma(&pair.column_list("t")),
        pair.then.name.sql(),
        place_array(places.iter().map(String::as_str))
    );
    scratch.copy_out(&format!("copying rows of {}", pair.then.name), &sql, out)
}

/// Appends images to an attachment, each with the version of production that it replaces.
pub(crate) fn copy_reverts(
    scratch: &mut Session<'_>,
    pair: &Pair,
    reverts: &[(String, Live)],
    out: &mut dyn Write,
) -> Result<u64, PlanningError> {
    let owners: Vec<String> = reverts.iter().map(|(_, live)| live.owner.to_string()).collect();
    let sql = format!(
        "COPY (SELECT u.place, u.owner, 0{} FROM unnest({}, {}, {}::xid[]) AS u(old, place, owner) \
         JOIN ONLY {} t ON t.ctid = u.old) TO STDOUT",
        leading_comma(&pair.column_list("t")),
        place_array(reverts.iter().map(|(old, _)| old.as_str())),
        place_array(reverts.iter().map(|(_, live)| live.place.as_str())),
        array(owners.iter().map(|owner| Some(owner.as_str()))),
        pair.then.name.sql(),
    );
    scratch.copy_out(&format!("copying rows of {}", pair.then.name), &sql, out)
}

/// Appends rows of production, as they are now, to an attachment.
pub(crate) fn copy_live(
    production: &mut Session<'_>,
    pair: &Pair,
    places: &[String],
    out: &mut dyn Write,
) -> Result<u64, PlanningError> {
    let sql = format!(
        "COPY (SELECT t.ctid, t.xmin, 0{} FROM ONLY {} t WHERE t.ctid = ANY ({})) TO STDOUT",
        leading_comma(&pair.column_list("t")),
        pair.now.name.sql(),
        place_array(places.iter().map(String::as_str))
    );
    production.copy_out(&format!("copying rows of {}", pair.now.name), &sql, out)
}

/// Returns the list behind a comma, or nothing for a table without columns.
pub(crate) fn leading_comma(list: &str) -> String {
    if list.is_empty() { String::new() } else { format!(", {list}") }
}
