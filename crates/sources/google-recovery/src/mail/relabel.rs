//! Giving messages that are still there their labels back.

use std::collections::{BTreeMap, BTreeSet};

use connect::plan::{ApplyMode, WriteError};
use google_api::{ApiError, Change, Get, method};
use serde_json::{Value, json};
use source_google::gmail::{Fates, HistoryPage, MessageFate};

use super::{
    labels::{Labels, Mailbox},
    plan::RELABEL_MAX,
    step::RelabelRow,
};
use crate::step::{Outcome, failed};

/// What is known of a message at the time of applying.
enum Present {
    Labels(Vec<String>),
    Gone,
}

impl Mailbox<'_> {
    pub(super) fn relabel(&self, history: &str, rows: Vec<RelabelRow>) -> Result<Outcome, WriteError> {
        let progress = self.task.progress;
        progress.counted_phase("setting labels back", Some(rows.len() as u64));
        let labels = self.labels()?;
        let fates = self.changes_since(history)?;
        let mut outcome = Outcome::default();
        let mut groups: BTreeMap<(Vec<String>, Vec<String>), Vec<String>> = BTreeMap::new();
        let present = self.present(&rows, fates.as_ref())?;
        for (row, present) in rows.into_iter().zip(present) {
            let touched = fates.as_ref().and_then(|fates| fates.of.get(&row.id));
            match verdict(&row, &present, touched, &labels) {
                Verdict::Change(add, remove) => groups.entry((add, remove)).or_default().push(row.id),
                Verdict::Unchanged => outcome.unchanged += 1,
                Verdict::Conflict(reason) => outcome.conflicts.push((row.id, reason)),
            }
        }
        for ((add, remove), ids) in groups {
            for ids in ids.chunks(RELABEL_MAX as usize) {
                if self.task.mode == ApplyMode::Lasting {
                    let body = json!({ "ids": ids, "addLabelIds": add, "removeLabelIds": remove });
                    let path = "gmail/v1/users/me/messages/batchModify";
                    self.task
                        .api
                        .send_only(self.email, &Change::post(&method::RESTORE_BATCH_MODIFY, path, body))
                        .map_err(|error| failed("change labels", error))?;
                }
                outcome.changed += ids.len() as u64;
                progress.advance(ids.len() as u64);
            }
        }
        Ok(outcome)
    }

    /// Reads what happened to the mailbox since the plan's knowledge of it; `None` when it no longer knows.
    pub(super) fn changes_since(&self, history: &str) -> Result<Option<Fates>, WriteError> {
        let mut fates = Fates::default();
        let mut token: Option<String> = None;
        loop {
            let mut get = Get::new(&method::RESTORE_HISTORY_LIST, "gmail/v1/users/me/history")
                .query("startHistoryId", history)
                .query("maxResults", "500");
            if let Some(token) = &token {
                get = get.query("pageToken", token);
            }
            let page: HistoryPage = match self.reading().get(self.email, &get) {
                Ok(page) => page,
                Err(ApiError::NotFound(_) | ApiError::Expired(_)) => return Ok(None),
                Err(error) => return Err(failed("tell what changed", error)),
            };
            page.history.into_iter().for_each(|record| fates.take(record));
            token = page.next_page_token;
            if token.is_none() {
                return Ok(Some(fates));
            }
        }
    }

    /// Finds out which labels the messages have now: by the history since the plan, or else by asking for each of them.
    fn present(&self, rows: &[RelabelRow], fates: Option<&Fates>) -> Result<Vec<Present>, WriteError> {
        if let Some(fates) = fates {
            let present = |row: &RelabelRow| match fates.of.get(&row.id) {
                Some(fate) if fate.deleted => Present::Gone,
                Some(fate) => Present::Labels(fate.apply(&row.expected)),
                None => Present::Labels(row.expected.clone()),
            };
            return Ok(rows.iter().map(present).collect());
        }
        let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
        let found = self.read_labels(&ids)?;
        Ok(found.into_iter().map(|labels| labels.map_or(Present::Gone, Present::Labels)).collect())
    }

    /// Asks for the labels of messages; `None` for those that are gone.
    pub(super) fn read_labels(&self, ids: &[&str]) -> Result<Vec<Option<Vec<String>>>, WriteError> {
        let mut all = Vec::with_capacity(ids.len());
        for ids in ids.chunks(self.reading().batch_calls()) {
            let gets: Vec<Get> = ids
                .iter()
                .map(|id| {
                    Get::new(&method::RESTORE_MESSAGES_GET, format!("gmail/v1/users/me/messages/{id}"))
                        .query("format", "minimal")
                })
                .collect();
            let answers =
                self.reading().get_many(self.email, &gets).map_err(|error| failed("read messages", error))?;
            for answer in answers {
                all.push(match answer {
                    Ok(body) => Some(labels_of(&body)?),
                    Err(ApiError::NotFound(_)) => None,
                    Err(error) => return Err(failed("read messages", error)),
                });
            }
        }
        Ok(all)
    }
}

fn labels_of(body: &[u8]) -> Result<Vec<String>, WriteError> {
    let message: Value = serde_json::from_slice(body).map_err(|error| WriteError::Source {
        message: "Gmail's answer is no message".to_owned(),
        hint: None,
        transient: false,
        source: Some(Box::new(error)),
    })?;
    let labels = message["labelIds"].as_array().map(Vec::as_slice).unwrap_or_default();
    Ok(labels.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Change(Vec<String>, Vec<String>),
    Unchanged,
    Conflict(String),
}

/// Decides about one message: what somebody changed since the plan was made stays.
fn verdict(row: &RelabelRow, present: &Present, touched: Option<&MessageFate>, labels: &Labels) -> Verdict {
    let Present::Labels(present) = present else {
        return Verdict::Conflict("it was deleted since the plan was made".to_owned());
    };
    let present: BTreeSet<&str> = present.iter().map(String::as_str).collect();
    let add: Vec<String> =
        labels.all(&row.add).into_iter().filter(|label| !present.contains(label.as_str())).collect();
    let remove: Vec<String> =
        labels.all(&row.remove).into_iter().filter(|label| present.contains(label.as_str())).collect();
    if add.is_empty() && remove.is_empty() {
        return Verdict::Unchanged;
    }
    let expected = |label: &String| row.expected.contains(label);
    let again: Vec<&String> = row
        .add
        .iter()
        .chain(&row.remove)
        .filter(|label| touched.is_some_and(|fate| fate.labels.contains_key(*label)))
        .chain(row.add.iter().filter(|label| expected(label)))
        .collect();
    if !again.is_empty() {
        let again: BTreeSet<&str> = again.into_iter().map(String::as_str).collect();
        let again: Vec<&str> = again.into_iter().collect();
        return Verdict::Conflict(format!(
            "its labels were changed since the plan was made: {}",
            again.join(", ")
        ));
    }
    Verdict::Change(add, remove)
}
