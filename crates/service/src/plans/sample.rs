//! The first rows or items of a step, as a table that a person can read.
//!
//! Attachments come in two forms: rows in the text format of `COPY`, of which each begins with place, owner and number;
//! and items, one JSON document a line.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read},
};

use connect::plan::{Action, Attachments, Plan, PlanFolderError, Step};
use serde::Serialize;
use serde_json::Value;

/// At most so many rows are shown.
pub const SAMPLE_ROWS_MAX: usize = 20;
/// An attachment is read as a whole to see that it is the approved one; larger ones are not sampled.
pub const SAMPLE_BYTES_MAX: u64 = 64 << 20;
/// So many replaced rows are looked through for those that are shown.
const REPLACED_MAX: usize = 20_000;
/// So many columns are shown.
const COLUMNS_MAX: usize = 12;
/// So much of a value is shown.
const CHARACTERS_MAX: usize = 120;
/// More than this no line is read of.
const LINE_BYTES_MAX: u64 = 1 << 20;
/// Place, owner and number come before the columns.
const BEFORE_COLUMNS: usize = 3;

/// One value.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Cell {
    /// What is there when the plan is made; nothing where there is no row, or none that the plan knows.
    pub before: Option<String>,
    /// What is there afterwards; nothing where the row goes.
    pub after: Option<String>,
    /// Whether it changes.
    pub changed: bool,
}

/// One row or item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SampleRow {
    /// Its values, in the order of the columns.
    pub cells: Vec<Cell>,
}

/// The first rows or items of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sample {
    /// The names of the columns.
    pub columns: Vec<String>,
    /// Whether there are more columns than are shown.
    pub more_columns: bool,
    /// The rows.
    pub rows: Vec<SampleRow>,
    /// How many rows are not shown.
    pub more: u64,
}

/// Returns the first rows or items of a step; nothing where it has none that can be shown.
pub fn sample(
    attachments: &dyn Attachments,
    plan: &Plan,
    step: &Step,
) -> Result<Option<Sample>, PlanFolderError> {
    let Some(attachment) = step.attachment.as_deref().and_then(|name| plan.attachment(name)) else {
        return Ok(None);
    };
    if attachment.bytes > SAMPLE_BYTES_MAX {
        return Ok(None);
    }
    let lines = first_lines(attachments.open(attachment)?, SAMPLE_ROWS_MAX);
    if attachment.name.rsplit_once('.').is_some_and(|(_, form)| form == "jsonl") {
        return Ok(Some(items(&lines, step)));
    }
    let Some(columns) = columns(step) else { return Ok(None) };
    let replaced =
        step.details.get("replaced").and_then(Value::as_str).and_then(|name| plan.attachment(name));
    let mut before: BTreeMap<String, Vec<Option<String>>> = BTreeMap::new();
    if let Some(replaced) = replaced.filter(|replaced| replaced.bytes <= SAMPLE_BYTES_MAX) {
        for line in first_lines(attachments.open(replaced)?, REPLACED_MAX) {
            let mut fields = fields(&line);
            let place = fields.first().cloned().flatten().unwrap_or_default();
            before.insert(place, fields.split_off(BEFORE_COLUMNS.min(fields.len())));
        }
    }
    Ok(Some(rows(&lines, step, columns, &before)))
}

fn columns(step: &Step) -> Option<Vec<String>> {
    let columns = step.details.get("columns")?.as_array()?;
    columns.iter().map(|column| Some(column.get("name")?.as_str()?.to_owned())).collect()
}

fn rows(
    lines: &[String],
    step: &Step,
    mut columns: Vec<String>,
    before: &BTreeMap<String, Vec<Option<String>>>,
) -> Sample {
    let more_columns = columns.len() > COLUMNS_MAX;
    columns.truncate(COLUMNS_MAX);
    let row = |line: &String| {
        let fields = fields(line);
        let old = fields.first().cloned().flatten().and_then(|place| before.get(&place));
        let cell = |column: usize| {
            let given = fields.get(column + BEFORE_COLUMNS).cloned().map(shown);
            let old = old.and_then(|old| old.get(column).cloned()).map(shown);
            match step.action {
                Action::Remove => Cell { before: given, after: None, changed: true },
                Action::Revert => Cell { changed: old != given, before: old, after: given },
                _ => Cell { before: None, after: given, changed: true },
            }
        };
        SampleRow { cells: (0..columns.len()).map(cell).collect() }
    };
    let rows: Vec<SampleRow> = lines.iter().map(row).collect();
    let more = step.rows.saturating_sub(rows.len() as u64);
    Sample { columns, more_columns, rows, more }
}

/// Writes a field for people; what is longer than is shown ends with a sign.
fn shown(field: Option<String>) -> String {
    field.map_or_else(|| "NULL".to_owned(), |field| cut(&field))
}

fn cut(text: &str) -> String {
    let mut short: String = text.chars().take(CHARACTERS_MAX).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

fn items(lines: &[String], step: &Step) -> Sample {
    let documents: Vec<Value> =
        lines.iter().map(|line| serde_json::from_str(line).unwrap_or(Value::Null)).collect();
    let mut columns: Vec<String> = Vec::new();
    for (name, value) in documents.iter().filter_map(Value::as_object).flatten() {
        if !value.is_null() && !columns.contains(name) {
            columns.push(name.clone());
        }
    }
    let more_columns = columns.len() > COLUMNS_MAX;
    columns.truncate(COLUMNS_MAX);
    let removed = step.action == Action::Remove;
    let row = |document: &Value| {
        let cell = |column: &String| {
            let value = match document.get(column) {
                None | Some(Value::Null) => None,
                Some(Value::String(text)) => Some(cut(text)),
                Some(other) => Some(cut(&other.to_string())),
            };
            if removed {
                Cell { before: value, after: None, changed: false }
            } else {
                Cell { before: None, after: value, changed: false }
            }
        };
        SampleRow { cells: columns.iter().map(cell).collect() }
    };
    let rows: Vec<SampleRow> = documents.iter().map(row).collect();
    let more = step.rows.saturating_sub(rows.len() as u64);
    Sample { columns, more_columns, rows, more }
}

/// Reads the first lines; the end of one that is very long is left out.
fn first_lines(reader: Box<dyn Read + '_>, limit: usize) -> Vec<String> {
    let mut reader = BufReader::new(reader);
    let mut lines = Vec::new();
    while lines.len() < limit {
        let mut line = Vec::new();
        let read = Read::by_ref(&mut reader).take(LINE_BYTES_MAX).read_until(b'\n', &mut line);
        if !matches!(read, Ok(1..)) {
            break;
        }
        if line.last() == Some(&b'\n') {
            line.pop();
        } else if line.len() as u64 == LINE_BYTES_MAX && reader.skip_until(b'\n').is_err() {
            break;
        }
        lines.push(String::from_utf8_lossy(&line).into_owned());
    }
    lines
}

/// Splits a line of `COPY` into its fields; `None` is NULL.
fn fields(line: &str) -> Vec<Option<String>> {
    line.split('\t').map(|field| if field == r"\N" { None } else { Some(unescaped(field)) }).collect()
}

fn unescaped(field: &str) -> String {
    let mut text = String::with_capacity(field.len());
    let mut characters = field.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            text.push(character);
            continue;
        }
        match characters.next() {
            Some('b') => text.push('\u{8}'),
            Some('f') => text.push('\u{c}'),
            Some('n') => text.push('\n'),
            Some('r') => text.push('\r'),
            Some('t') => text.push('\t'),
            Some('v') => text.push('\u{b}'),
            Some(other) => text.push(other),
            None => text.push('\\'),
        }
    }
    text
}
