//! Questions to a moment of a database, and what came of them.

use std::{collections::BTreeMap, sync::Arc};

use access::Permission;
use askama::Template;
use axum::{
    extract::{Path, State},
    http::HeaderMap,
    response::{IntoResponse, Redirect},
};
use serde::{Deserialize, Serialize};
use service::{
    jobs::{Job, JobDraft, JobKind, JobState},
    workshop::{Question, RestoreWish, Table},
};

use super::{
    Page,
    compare::DifferencePart,
    frame::{Frame, Section},
    show,
    source::plan_one,
    source_name,
};
use crate::{
    guard::too_often,
    limits::Purpose,
    pages::begin,
    problem::Problem,
    site::Site,
    visitor::{Member, Posted},
};

/// So many rows are read.
const ROWS_MAX: u32 = 200;
/// So many columns are kept.
const COLUMNS_MAX: usize = 100;
/// Of a value so many characters.
const VALUE_CHARACTERS: usize = 500;
/// Of all values of an answer together so many bytes.
const BYTES_MAX: usize = 512 << 10;

/// What came of a question, as its job keeps it.
#[derive(Debug, Serialize, Deserialize)]
struct Answered {
    question: Question,
    table: Table,
    /// The second moment, and what it answered.
    other: Option<(String, Table)>,
    /// The columns that tell one row from another.
    key: Vec<String>,
    /// Whether values were cut.
    is_cut: bool,
}

/// Asks a moment, or two.
pub(super) async fn ask(State(site): State<Arc<Site>>, posted: Posted) -> Page {
    let Posted(Member(visitor, person), fields) = posted;
    visitor.require(Permission::Content)?;
    site.limits.take(Purpose::Work, person.person.as_str()).map_err(too_often)?;
    let question = Question {
        source: source_name(fields.required("source")?)?,
        moment: fields.get("moment").unwrap_or("latest").trim().to_owned(),
        database: fields.required("database")?.trim().to_owned(),
        sql: fields.required("sql")?.to_owned(),
        rows_max: ROWS_MAX,
    };
    let installation = site.installation()?;
    let known = installation.config().sources.get(&question.source);
    match known.map(|config| config.kind.as_str()) {
        Some("postgres") => {}
        Some(_) => return Err(Problem::unusable("Only a database can be asked.").into()),
        None => return Err(Problem::missing(format_args!("source {}", question.source)).into()),
    }
    let other = fields.get("other").map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    let key: Vec<String> = fields
        .get("key")
        .unwrap_or_default()
        .split(',')
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .collect();
    if other.is_some() && key.is_empty() {
        return Err(Problem::unusable(
            "A comparison needs the key columns: what tells one row from another.",
        )
        .into());
    }
    let about = serde_json::to_vec(&(&question, &other)).unwrap_or_default();
    let draft = JobDraft {
        kind: JobKind::Query,
        title: format!("Ask {} as of {}", question.source, render::visible(&question.moment, 60)),
        by: person.person.to_string(),
        about: blake3::hash(&about).to_hex().to_string(),
    };
    begin(&site, draft, move |workshop, progress| {
        let mut is_cut = false;
        let table = bound(workshop.query(&question, progress)?, &mut is_cut);
        let second = match other {
            Some(moment) => {
                let question = Question { moment: moment.clone(), ..question.clone() };
                Some((moment, bound(workshop.query(&question, progress)?, &mut is_cut)))
            }
            None => None,
        };
        Ok(Answered { question, table, other: second, key, is_cut })
    })
    .await
}

/// Keeps what a page can show.
fn bound(mut table: Table, is_cut: &mut bool) -> Table {
    if table.columns.len() > COLUMNS_MAX {
        *is_cut = true;
        table.columns.truncate(COLUMNS_MAX);
    }
    for column in &mut table.columns {
        *column = render::visible(column, 200);
    }
    let mut bytes = 0;
    let mut rows = Vec::new();
    for mut row in table.rows {
        if rows.len() >= ROWS_MAX as usize || bytes > BYTES_MAX {
            table.truncated = true;
            break;
        }
        row.truncate(COLUMNS_MAX);
        for value in row.iter_mut().flatten() {
            let shown = render::visible(value, VALUE_CHARACTERS);
            *is_cut |= value.chars().nth(VALUE_CHARACTERS).is_some();
            bytes += shown.len();
            *value = shown;
        }
        rows.push(row);
    }
    table.rows = rows;
    table
}

/// A row that is not the same at both moments.
struct RowChange {
    key: String,
    class: &'static str,
    word: &'static str,
    part: Option<DifferencePart>,
}

/// What differs between two moments.
struct Comparison {
    other: String,
    changes: Vec<RowChange>,
    same: usize,
    notes: Vec<String>,
}

#[derive(Template)]
#[template(path = "answer.html")]
struct AnswerPage {
    frame: Frame,
    job: u64,
    question: Question,
    table: Table,
    is_cut: bool,
    comparison: Option<Comparison>,
    may_plan: bool,
}

pub(super) async fn page(
    State(site): State<Arc<Site>>,
    Member(visitor, person): Member,
    headers: HeaderMap,
    Path(id): Path<u64>,
) -> Page {
    visitor.require(Permission::Content)?;
    let missing = || Problem::missing(format_args!("question {id}"));
    let job = site.jobs.get(id).filter(|job| job.kind == JobKind::Query).ok_or_else(missing)?;
    let Some(answered) = answered(&job)? else {
        return Ok(Redirect::to(&format!("/jobs/{id}")).into_response());
    };
    let Answered { question, table, other, key, is_cut } = answered;
    let comparison = other.map(|(moment, newer)| compare(&question, &table, (moment, &newer), &key));
    let title = format!("Answer of {}", question.source);
    let frame = Frame::of(&site, &visitor, &person, &headers, Section::Browse, title);
    let may_plan = visitor.may(Permission::Plan);
    show(&AnswerPage { frame, job: id, question, table, is_cut, comparison, may_plan })
}

fn answered(job: &Job) -> Result<Option<Answered>, Problem> {
    let JobState::Done { result } = &job.state else { return Ok(None) };
    let read = serde_json::from_value(result.clone());
    read.map(Some).map_err(|_| Problem::missing(format_args!("answer of question {}", job.id)))
}

fn compare(question: &Question, old: &Table, (other, new): (String, &Table), key: &[String]) -> Comparison {
    let mut comparison = Comparison { other, changes: Vec::new(), same: 0, notes: Vec::new() };
    let missing: Vec<&str> =
        key.iter().map(String::as_str).filter(|name| !has(old, name) || !has(new, name)).collect();
    if !missing.is_empty() {
        comparison.notes.push(format!("the answers have no column {}", missing.join(", ")));
        return comparison;
    }
    if old.truncated || new.truncated {
        comparison.notes.push(format!(
            "only the first {ROWS_MAX} rows of each moment were compared: order by the key, and ask for less"
        ));
    }
    let (before, after) = (by_key(old, key), by_key(new, key));
    if before.len() < old.rows.len() || after.len() < new.rows.len() {
        comparison.notes.push("some rows have the same key: of those the last one was compared".to_owned());
    }
    let mut keys: Vec<&Vec<Option<String>>> = before.keys().chain(after.keys()).collect();
    keys.sort();
    keys.dedup();
    let name = &question.database;
    for its in keys {
        let words = its.iter().map(|value| value.clone().unwrap_or_else(|| "NULL".to_owned()));
        let words =
            key.iter().zip(words).map(|(name, value)| format!("{name} = {value}")).collect::<Vec<_>>();
        let (class, word, part) = match (before.get(its), after.get(its)) {
            (Some(old_row), Some(new_row)) => {
                let difference = render::difference(
                    &render::row(name, &old.columns, old_row),
                    &render::row(name, &new.columns, new_row),
                );
                if difference.is_empty() {
                    comparison.same += 1;
                    continue;
                }
                ("warning", "changed", Some(DifferencePart::of(difference, false)))
            }
            (Some(_), None) => ("bad", "removed", None),
            (None, _) => ("good", "added", None),
        };
        comparison.changes.push(RowChange { key: words.join(", "), class, word, part });
    }
    comparison
}

fn has(table: &Table, name: &str) -> bool {
    table.columns.iter().any(|column| column == name)
}

fn by_key<'t>(table: &'t Table, key: &[String]) -> BTreeMap<Vec<Option<String>>, &'t Vec<Option<String>>> {
    let places: Vec<usize> =
        key.iter().filter_map(|name| table.columns.iter().position(|column| column == name)).collect();
    let key_of = |row: &Vec<Option<String>>| -> Vec<Option<String>> {
        places.iter().map(|place| row.get(*place).cloned().flatten()).collect()
    };
    table.rows.iter().map(|row| (key_of(row), row)).collect()
}

/// Plans to bring rows back.
pub(super) async fn bring_back(State(site): State<Arc<Site>>, posted: Posted) -> Page {
    let Posted(Member(visitor, person), fields) = posted;
    let tables: Vec<String> = fields.all("table").map(|table| table.trim().to_owned()).collect();
    let tables: Vec<String> = tables.into_iter().filter(|table| !table.is_empty()).collect();
    if tables.is_empty() {
        return Err(Problem::unusable("Say which table: database.schema.table.").into());
    }
    let wish = RestoreWish::Rows {
        source: source_name(fields.required("source")?)?,
        moment: fields.get("moment").unwrap_or("latest").trim().to_owned(),
        tables,
        predicate: fields.get("where").map(str::to_owned),
        changed: fields.get("changed").is_some(),
    };
    plan_one(&site, &visitor, &person, wish).await
}
