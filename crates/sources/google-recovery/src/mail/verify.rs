//! Reading the mailbox again after a plan was applied.

use connect::plan::{Check, WriteError};
use google_api::{ApiError, Get, method};
use serde_json::Value;
use source_google::gmail::{decode_raw, message_key};

use super::{
    insert::{MESSAGE, Place},
    labels::Mailbox,
    step::{InsertRow, RelabelRow},
};
use crate::step::{failed, note, unread};

impl Mailbox<'_> {
    /// Asks for each message whether it has the labels that it should have.
    pub(super) fn verify_labels(&self, rows: &[RelabelRow]) -> Result<Check, WriteError> {
        let progress = self.task.progress;
        progress.counted_phase("reading labels again", Some(rows.len() as u64));
        let (labels, mut check) = (self.labels()?, self.task.check());
        let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
        for (row, found) in rows.iter().zip(self.read_labels(&ids)?) {
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
            note(&mut check, &row.id, difference);
            progress.advance(1);
        }
        Ok(check)
    }

    /// Reads each message that was put in, and compares it with the vault's, byte for byte.
    pub(super) fn verify_inserted(&self, place: &Place<'_>, rows: &[InsertRow]) -> Result<Check, WriteError> {
        let progress = self.task.progress;
        progress.counted_phase("reading messages again", Some(rows.len() as u64));
        let (labels, mut check) = (self.labels()?, self.task.check());
        for rows in rows.chunks(self.reading().batch_calls()) {
            let known: Vec<_> = rows.iter().map(|row| self.task.journal.made(MESSAGE, &row.id)).collect();
            let gets: Vec<Get> = known
                .iter()
                .flatten()
                .map(|made| {
                    Get::new(
                        &method::RESTORE_MESSAGES_GET,
                        format!("gmail/v1/users/me/messages/{}", made.new),
                    )
                    .query("format", "raw")
                })
                .collect();
            let answers =
                self.reading().get_many(self.email, &gets).map_err(|error| failed("read messages", error))?;
            let mut answers = answers.into_iter();
            for (row, known) in rows.iter().zip(known) {
                let difference = match known.and_then(|_| answers.next()) {
                    None => Some("it was not put in".to_owned()),
                    Some(Err(ApiError::NotFound(_))) => Some("it is gone again".to_owned()),
                    Some(Err(error)) => return Err(failed("read messages", error)),
                    Some(Ok(body)) => self.difference(place, row, &labels.all(&row.labels), &body)?,
                };
                note(&mut check, &row.id, difference);
                progress.advance(1);
            }
        }
        Ok(check)
    }

    fn difference(
        &self,
        place: &Place<'_>,
        row: &InsertRow,
        labels: &[String],
        body: &[u8],
    ) -> Result<Option<String>, WriteError> {
        let message: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = message["raw"].as_str().and_then(decode_raw);
        let stored = self.task.past.content(&place.stream, &message_key(&row.id), place.at);
        let stored = stored.map_err(|error| unread(&format!("the message {}", row.id), error))?;
        if text.as_deref() != Some(&stored[..]) {
            return Ok(Some("its text is not the stored one".to_owned()));
        }
        let found: Vec<&str> =
            message["labelIds"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let lacking = labels.iter().find(|label| !found.contains(&label.as_str()));
        Ok(lacking.map(|label| format!("it lacks the label {label}")))
    }
}
