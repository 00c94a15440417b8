//! Reading the mailbox again after a plan was applied.

use std::collections::BTreeMap;

use connect::{
    Progress,
    plan::{ApplyMode, Check, Choice, Conflict, LISTED_MAX, Step, WriteError},
};
use google_api::{ApiError, Get, method};
use serde_json::Value;
use source_google::gmail::{decode_raw, message_key};

use super::{
    insert::Place,
    rows::{InsertRow, RelabelRow},
    writer::{MailWriter, failed},
};

impl MailWriter<'_> {
    /// Asks for each message whether it has the labels that it should have.
    pub(super) fn verify_labels(
        &self,
        step: &Step,
        mailbox: &str,
        label_names: &BTreeMap<String, String>,
        rows: &[RelabelRow],
        progress: &dyn Progress,
    ) -> Result<Check, WriteError> {
        progress.counted_phase("reading labels again", Some(rows.len() as u64));
        let labels = self.labels(mailbox, label_names, ApplyMode::Rehearsal)?;
        let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
        let mut check = begin(step, rows.len());
        for (row, found) in rows.iter().zip(self.read_labels(mailbox, &ids)?) {
            let difference = match found {
                None => Some("it is gone".to_owned()),
                Some(found) => {
                    let lacks = labels.all(&row.add).into_iter().find(|label| !found.contains(label));
                    let keeps = labels.all(&row.remove).into_iter().find(|label| found.contains(label));
                    lacks
                        .map(|label| format!("it lacks the label {label}"))
                        .or_else(|| keeps.map(|label| format!("it still has the label {label}")))
                }
            };
            note(&mut check, mailbox, &row.id, difference);
            progress.advance(1);
        }
        Ok(check)
    }

    /// Reads each message that was put in, and compares it with the vault's, byte for byte.
    pub(super) fn verify_inserted(
        &self,
        step: &Step,
        place: &Place,
        rows: &[InsertRow],
        progress: &dyn Progress,
    ) -> Result<Check, WriteError> {
        progress.counted_phase("reading messages again", Some(rows.len() as u64));
        let labels = self.labels(&place.mailbox, &place.label_names, ApplyMode::Rehearsal)?;
        let journal = self.read_journal()?;
        let mut check = begin(step, rows.len());
        for rows in rows.chunks(self.api.reading().batch_calls()) {
            let known: Vec<_> = rows.iter().map(|row| journal.get(&row.id)).collect();
            let gets: Vec<Get> = known
                .iter()
                .flatten()
                .map(|inserted| {
                    Get::new(
                        &method::RESTORE_MESSAGES_GET,
                        format!("gmail/v1/users/me/messages/{}", inserted.new),
                    )
                    .query("format", "raw")
                })
                .collect();
            let answers = self
                .api
                .reading()
                .get_many(&place.mailbox, &gets)
                .map_err(|error| failed("read messages", error))?;
            let mut answers = answers.into_iter();
            for (row, known) in rows.iter().zip(known) {
                let difference = match known.and_then(|_| answers.next()) {
                    None => Some("it was not put in".to_owned()),
                    Some(Err(ApiError::NotFound(_))) => Some("it is gone again".to_owned()),
                    Some(Err(error)) => return Err(failed("read messages", error)),
                    Some(Ok(body)) => self.difference(place, row, &labels.all(&row.labels), &body)?,
                };
                note(&mut check, &place.mailbox, &row.id, difference);
                progress.advance(1);
            }
        }
        Ok(check)
    }

    fn difference(
        &self,
        place: &Place,
        row: &InsertRow,
        labels: &[String],
        body: &[u8],
    ) -> Result<Option<String>, WriteError> {
        let message: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = message["raw"].as_str().and_then(decode_raw);
        let stored = self.past.content(&place.stream, &message_key(&row.id), place.at).map_err(|error| {
            WriteError::Source {
                message: format!("the message {} cannot be read from the vault", row.id),
                hint: None,
                transient: false,
                source: Some(Box::new(error)),
            }
        })?;
        if text.as_deref() != Some(&stored[..]) {
            return Ok(Some("its text is not the stored one".to_owned()));
        }
        let found: Vec<&str> =
            message["labelIds"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let lacking = labels.iter().find(|label| !found.contains(&label.as_str()));
        Ok(lacking.map(|label| format!("it lacks the label {label}")))
    }
}

fn begin(step: &Step, expected: usize) -> Check {
    Check {
        step: step.number,
        target: step.target.clone(),
        expected: expected as u64,
        matched: 0,
        differences: Vec::new(),
    }
}

fn note(check: &mut Check, target: &str, key: &str, difference: Option<String>) {
    match difference {
        None => check.matched += 1,
        Some(reason) if check.differences.len() < LISTED_MAX => check.differences.push(Conflict {
            target: target.to_owned(),
            key: key.to_owned(),
            reason,
            choice: Choice::Keep,
        }),
        Some(_) => {}
    }
}
