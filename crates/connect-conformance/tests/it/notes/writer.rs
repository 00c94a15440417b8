//! The writer: applies a plan, in a process of its own with a key of its own.

use std::{collections::BTreeMap, io::BufRead as _};

use connect::{
    Progress,
    plan::{
        AppliedReport, AppliedStep, ApplyMode, Attachments, Check, Choice, Conflict, Counts, Plan,
        SourceWriter, Step, Verification, WriteError,
    },
};
use connect_http::{
    Call, CallError, RefusalKind, Request,
    http::{HeaderValue, Method, header::IF_MATCH},
};
use serde::Deserialize;
use serde_json::json;

use super::{
    api::{Api, Entry},
    plan::Row,
    service::ADDRESS,
};

/// Applies plans for the notes of a user.
pub(crate) struct NotesWriter {
    pub(crate) api: Api,
}

/// Notes as they are now: by their ids, and those made by a restore by what they were.
pub(crate) struct Present {
    pub(crate) by_id: BTreeMap<String, Entry>,
    by_origin: BTreeMap<String, Entry>,
}

enum Done {
    Changed,
    Unchanged,
    Conflict(&'static str),
}

#[derive(Deserialize)]
struct Page {
    notes: Vec<Entry>,
    next: Option<String>,
}

fn is_as_planned(row: &Row, entry: &Entry) -> bool {
    let (is, should) = (&entry.attributes, &row.attributes);
    (&is.digest, &is.folder, &is.tags, is.trashed)
        == (&should.digest, &should.folder, &should.tags, should.trashed)
}

/// What a restored note says of where it comes from: by it a note is found that an earlier run made.
fn origin(plan: &Plan, row: &Row) -> String {
    format!("restored from {}: {}", plan.base, row.id)
}

impl NotesWriter {
    pub(crate) fn present(&self, user: &str) -> Result<Present, WriteError> {
        let mut present = Present { by_id: BTreeMap::new(), by_origin: BTreeMap::new() };
        let mut after = String::new();
        loop {
            let page: Page = self
                .api
                .get(&format!("users/{user}/notes?after={after}"))
                .map_err(|error| failed("list notes", error))?;
            for entry in page.notes {
                if let Some(origin) = entry.origin.clone() {
                    present.by_origin.insert(origin, entry.clone());
                }
                present.by_id.insert(entry.id.clone(), entry);
            }
            match page.next {
                Some(next) => after = next,
                None => return Ok(present),
            }
        }
    }

    fn body(plan: &Plan, row: &Row) -> serde_json::Value {
        let attributes = &row.attributes;
        let mut body = json!({
            "text": row.text,
            "folder": attributes.folder,
            "tags": attributes.tags,
            "trashed": attributes.trashed,
        });
        if row.expected.is_none() {
            body["origin"] = origin(plan, row).into();
        }
        body
    }

    /// Makes a note anew, unless an earlier run did.
    fn insert(&self, plan: &Plan, row: &Row, present: &Present, mode: ApplyMode) -> Result<Done, WriteError> {
        if present.by_origin.contains_key(&origin(plan, row)) {
            return Ok(Done::Unchanged);
        }
        if mode == ApplyMode::Rehearsal {
            return Ok(Done::Changed);
        }
        let request = Request::post(format!("{ADDRESS}/users/{}/notes", plan.destination));
        let request = request
            .json(&Self::body(plan, row))
            .map_err(|error| failed("take a note", CallError::Body(error)))?;
        match self.api.client.call(&self.api.call(request).once()) {
            Ok(_) => Ok(Done::Changed),
            // Whether it was made, the service itself can say.
            Err(CallError::Unknown { .. })
                if self.present(&plan.destination)?.by_origin.contains_key(&origin(plan, row)) =>
            {
                Ok(Done::Changed)
            }
            Err(error) => Err(failed("take a note", error)),
        }
    }

    /// Sets a note back, unless somebody changed it since the plan was made.
    fn revert(&self, plan: &Plan, row: &Row, present: &Present, mode: ApplyMode) -> Result<Done, WriteError> {
        let Some(entry) = present.by_id.get(&row.id) else {
            return Ok(Done::Conflict("it was removed since the plan was made"));
        };
        if is_as_planned(row, entry) {
            return Ok(Done::Unchanged);
        }
        if row.expected != Some(entry.attributes.version) {
            return Ok(Done::Conflict("it was changed since the plan was made"));
        }
        if mode == ApplyMode::Rehearsal {
            return Ok(Done::Changed);
        }
        let url = format!("{ADDRESS}/users/{}/notes/{}", plan.destination, row.id);
        // The service compares the version and writes in one step: nobody's work is lost in between.
        let request =
            Request::new(Method::PUT, url).header(IF_MATCH, HeaderValue::from(entry.attributes.version));
        let request = request
            .json(&Self::body(plan, row))
            .map_err(|error| failed("set a note back", CallError::Body(error)))?;
        let call: Call = self.api.call(request);
        match self.api.client.call(&call) {
            Ok(_) => Ok(Done::Changed),
            // An earlier attempt may have done it, and its answer was lost.
            Err(error) if error.is(RefusalKind::Conflict) => {
                let now: Result<Entry, _> =
                    self.api.get(&format!("users/{}/notes/{}", plan.destination, row.id));
                match now {
                    Ok(now) if is_as_planned(row, &now) => Ok(Done::Changed),
                    Ok(_) => Ok(Done::Conflict("it was changed since the plan was made")),
                    Err(error) => Err(failed("set a note back", error)),
                }
            }
            Err(error) => Err(failed("set a note back", error)),
        }
    }
}

impl SourceWriter for NotesWriter {
    fn apply(
        &mut self,
        plan: &Plan,
        attachments: &dyn Attachments,
        mode: ApplyMode,
        progress: &dyn Progress,
    ) -> Result<AppliedReport, WriteError> {
        let mut report = AppliedReport {
            plan: plan.hash().map_err(|error| WriteError::Plan(Box::new(error)))?,
            mode,
            transaction: None,
            steps: Vec::new(),
            counts: Counts::default(),
            conflicts: Vec::new(),
            notes: Vec::new(),
        };
        let present = self.present(&plan.destination)?;
        for step in &plan.steps {
            let mut applied = AppliedStep { number: step.number, changed: 0, unchanged: 0, conflicts: 0 };
            for row in rows(plan, step, attachments)? {
                let done = match row.expected {
                    None => self.insert(plan, &row, &present, mode)?,
                    Some(_) => self.revert(plan, &row, &present, mode)?,
                };
                let counts = &mut report.counts;
                match done {
                    Done::Changed if row.expected.is_none() => {
                        applied.changed += 1;
                        counts.inserted += 1;
                    }
                    Done::Changed => {
                        applied.changed += 1;
                        counts.reverted += 1;
                    }
                    Done::Unchanged => {
                        applied.unchanged += 1;
                        counts.unchanged += 1;
                    }
                    Done::Conflict(reason) => {
                        applied.conflicts += 1;
                        counts.conflicts += 1;
                        report.conflicts.push(conflict(plan, &row, reason));
                    }
                }
                progress.advance(1);
            }
            report.steps.push(applied);
        }
        Ok(report)
    }

    fn verify(
        &mut self,
        plan: &Plan,
        attachments: &dyn Attachments,
        _progress: &dyn Progress,
    ) -> Result<Verification, WriteError> {
        let present = self.present(&plan.destination)?;
        let mut checks = Vec::new();
        for step in &plan.steps {
            let target = step.target.clone();
            let mut check =
                Check { step: step.number, target, expected: step.rows, matched: 0, differences: Vec::new() };
            for row in rows(plan, step, attachments)? {
                let found = match row.expected {
                    None => present.by_origin.get(&origin(plan, &row)),
                    Some(_) => present.by_id.get(&row.id),
                };
                match found {
                    Some(entry) if is_as_planned(&row, entry) => check.matched += 1,
                    Some(_) => check.differences.push(conflict(plan, &row, "it is not as planned")),
                    None => check.differences.push(conflict(plan, &row, "it is not there")),
                }
            }
            checks.push(check);
        }
        Ok(Verification { plan: plan.hash().map_err(|error| WriteError::Plan(Box::new(error)))?, checks })
    }
}

fn conflict(plan: &Plan, row: &Row, reason: &str) -> Conflict {
    let target = plan.destination.clone();
    Conflict { target, key: row.id.clone(), reason: reason.to_owned(), choice: Choice::Keep }
}

fn rows(plan: &Plan, step: &Step, attachments: &dyn Attachments) -> Result<Vec<Row>, WriteError> {
    let broken = |error: Box<dyn std::error::Error + Send + Sync>| WriteError::Plan(error);
    let attachment = step.attachment.as_deref().and_then(|name| plan.attachment(name));
    let attachment = attachment.ok_or_else(|| broken("a step has no attachment".into()))?;
    let reader = attachments.open(attachment).map_err(|error| broken(Box::new(error)))?;
    std::io::BufReader::new(reader)
        .lines()
        .map(|line| {
            let line = line.map_err(|error| broken(Box::new(error)))?;
            serde_json::from_str(&line).map_err(|error| broken(Box::new(error)))
        })
        .collect()
}

fn failed(what: &str, error: CallError) -> WriteError {
    if error.is(RefusalKind::Denied) {
        return WriteError::Privilege { what: what.to_owned(), grant: None, source: Some(Box::new(error)) };
    }
    WriteError::Source {
        message: format!("the service did not {what}"),
        hint: Some("apply the same plan again: it goes on where it stopped".to_owned()),
        transient: error.is_passing(),
        source: Some(Box::new(error)),
    }
}
