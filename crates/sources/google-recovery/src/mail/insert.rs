//! Putting deleted messages in again, each once.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use connect::plan::{ApplyMode, WriteError};
use google_api::{ApiError, Change, Get, method};
use model::StreamName;
use serde::Deserialize;
use serde_json::{Value, json};
use source_google::gmail::{MESSAGE_PREFIX, MessagePage, message_key};

use super::{
    labels::{Labels, Mailbox},
    step::{InsertRow, Twins},
};
use crate::{
    journal::Made,
    parallel,
    step::{Outcome, failed, unread},
};

/// What the journal calls a message.
pub(super) const MESSAGE: &str = "message";
/// A text up to this size travels inside of JSON.
const INLINE_BYTES_MAX: usize = 1 << 20;
const DRAFT: &str = "DRAFT";

/// Where messages come from.
pub(super) struct Place<'p> {
    pub(super) stream: StreamName,
    /// The commit as of which they are taken.
    pub(super) at: u64,
    pub(super) twins: &'p Twins,
}

/// What several threads share while they put messages in.
struct Inserting<'a> {
    mailbox: &'a Mailbox<'a>,
    place: &'a Place<'a>,
    labels: Labels,
    /// Whether an earlier run may have put messages in that are not written down.
    may_have_twins: bool,
    outcome: Mutex<Outcome>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    id: String,
    #[serde(default)]
    thread_id: String,
}

impl Mailbox<'_> {
    pub(super) fn insert(&self, place: &Place<'_>, rows: &[InsertRow]) -> Result<Outcome, WriteError> {
        let task = self.task;
        task.progress.counted_phase("putting messages in", Some(rows.len() as u64));
        if task.mode == ApplyMode::Rehearsal {
            let done = rows.iter().filter(|row| task.journal.made(MESSAGE, &row.id).is_some()).count() as u64;
            return Ok(Outcome { changed: rows.len() as u64 - done, unchanged: done, conflicts: Vec::new() });
        }
        let labels = self.labels()?;
        let inserting = Inserting {
            mailbox: self,
            place,
            may_have_twins: self.may_have_twins(place, &labels)?,
            labels,
            outcome: Mutex::new(Outcome::default()),
        };
        // The messages of a thread go in one after the other, so that the first makes the thread that the others join.
        let mut threads: BTreeMap<&str, Vec<&InsertRow>> = BTreeMap::new();
        for row in rows {
            threads.entry(&row.thread).or_default().push(row);
        }
        let threads: Vec<Vec<&InsertRow>> = threads.into_values().collect();
        parallel::each(task.threads, &threads, |thread| inserting.thread(thread))?;
        Ok(inserting.outcome.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Mailbox<'_> {
    /// Tells whether messages are there that an earlier run may have put in without writing that down. As a rule there are
    /// none, and no message need be searched for: searching takes a fifth of what putting in takes.
    fn may_have_twins(&self, place: &Place<'_>, labels: &Labels) -> Result<bool, WriteError> {
        let is_unknown = |id: &str| !self.task.journal.has_new(id);
        match place.twins {
            Twins::After { history: Some(history), .. } => Ok(match self.changes_since(history)? {
                Some(fates) => {
                    fates.of.iter().any(|(id, fate)| fate.added && !fate.deleted && is_unknown(id))
                }
                None => true,
            }),
            Twins::After { history: None, .. } => Ok(true),
            Twins::Labelled(label) => {
                let get = Get::new(&method::RESTORE_MESSAGES_LIST, "gmail/v1/users/me/messages")
                    .query("labelIds", labels.id(label))
                    .query("includeSpamTrash", "true")
                    .query("maxResults", "500");
                let page: MessagePage = self
                    .reading()
                    .get(self.email, &get)
                    .map_err(|error| failed("search for messages", error))?;
                let unknown = page.messages.iter().any(|found| is_unknown(&found.id));
                Ok(unknown || page.next_page_token.is_some())
            }
        }
    }
}

impl Inserting<'_> {
    fn thread(&self, rows: &[&InsertRow]) -> Result<(), WriteError> {
        let living = rows.iter().find(|row| row.thread_lives);
        let mut thread = living.map(|row| row.thread.clone()).filter(|thread| !thread.is_empty());
        for row in rows {
            let made = match self.mailbox.task.journal.made(MESSAGE, &row.id) {
                Some(made) => {
                    self.outcome().unchanged += 1;
                    Some(made)
                }
                None => self.message(row, thread.as_deref())?,
            };
            thread = made.and_then(|made| made.place).or(thread);
            self.mailbox.task.progress.advance(1);
        }
        Ok(())
    }

    fn message(&self, row: &InsertRow, thread: Option<&str>) -> Result<Option<Made>, WriteError> {
        if self.may_have_twins
            && let Some(answer) = self.find_twin(row)?
        {
            self.outcome().unchanged += 1;
            return self.note(row, answer).map(Some);
        }
        let text = self.content(row)?;
        let answer = match self.put(row, &text, thread) {
            // The thread is gone with its messages, or the subject does not fit: it gets one of its own.
            Err(ApiError::NotFound(_) | ApiError::Refused(_)) if thread.is_some() => {
                self.put(row, &text, None)
            }
            answer => answer,
        };
        match answer {
            Ok(answer) => {
                self.outcome().changed += 1;
                let made = self.note(row, answer)?;
                self.label_draft(row, &made.new)?;
                Ok(Some(made))
            }
            Err(ApiError::Unknown(_)) => match self.find_twin(row)? {
                Some(answer) => {
                    self.outcome().changed += 1;
                    self.note(row, answer).map(Some)
                }
                None => {
                    self.conflict(row, "nobody knows whether it was put in; look before applying again");
                    Ok(None)
                }
            },
            Err(ApiError::Refused(refusal)) => {
                self.conflict(row, &format!("Gmail does not take it: {refusal}"));
                Ok(None)
            }
            Err(error) => Err(failed("take a message", error)),
        }
    }

    fn conflict(&self, row: &InsertRow, reason: &str) {
        self.outcome().conflicts.push((row.id.clone(), reason.to_owned()));
    }

    fn outcome(&self) -> MutexGuard<'_, Outcome> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn content(&self, row: &InsertRow) -> Result<Vec<u8>, WriteError> {
        let Place { stream, at, .. } = self.place;
        let content = self.mailbox.task.past.content(stream, &message_key(&row.id), *at);
        content.map_err(|error| unread(&format!("the message {}", row.id), error))
    }

    /// Looks for the message among those that an earlier run may have put in that was killed before it could write it down.
    fn find_twin(&self, row: &InsertRow) -> Result<Option<Answer>, WriteError> {
        let Some(message_id) = &row.message_id else { return Ok(None) };
        let mut get = Get::new(&method::RESTORE_MESSAGES_LIST, "gmail/v1/users/me/messages")
            .query("q", format!("rfc822msgid:{message_id}"))
            .query("includeSpamTrash", "true");
        if let Twins::Labelled(label) = self.place.twins {
            get = get.query("labelIds", self.labels.id(label));
        }
        let mailbox = self.mailbox;
        let page: MessagePage = mailbox
            .reading()
            .get(mailbox.email, &get)
            .map_err(|error| failed("search for a message", error))?;
        for found in page.messages {
            if !self.was_there(&found.id)? && !mailbox.task.journal.has_new(&found.id) {
                return Ok(Some(Answer { id: found.id, thread_id: found.thread_id }));
            }
        }
        Ok(None)
    }

    /// Tells whether a message was in the mailbox before anything was put in.
    fn was_there(&self, id: &str) -> Result<bool, WriteError> {
        let Twins::After { commit, .. } = self.place.twins else { return Ok(false) };
        let key = format!("{MESSAGE_PREFIX}{id}");
        let known = self.mailbox.task.past.version(&self.place.stream, &key, *commit);
        Ok(known.map_err(|error| unread(&format!("the message {id}"), error))?.is_some())
    }

    fn put(&self, row: &InsertRow, text: &[u8], thread: Option<&str>) -> Result<Answer, ApiError> {
        if row.labels.iter().any(|label| label == DRAFT) {
            return self.put_draft(text, thread);
        }
        let mut body = json!({ "labelIds": self.labels.all(&row.labels) });
        if let Some(thread) = thread {
            body["threadId"] = thread.into();
        }
        let change = if text.len() <= INLINE_BYTES_MAX {
            body["raw"] = encode(text).into();
            Change::post(&method::RESTORE_INSERT, "gmail/v1/users/me/messages", body)
        } else {
            Change::post(&method::RESTORE_INSERT, "upload/gmail/v1/users/me/messages", body)
                .with_media("message/rfc822", text.to_vec())
        };
        self.mailbox
            .task
            .api
            .send(self.mailbox.email, &change.query("internalDateSource", "dateHeader").once())
    }

    /// Makes a draft, which has no labels yet: the call takes none.
    fn put_draft(&self, text: &[u8], thread: Option<&str>) -> Result<Answer, ApiError> {
        let mut message = json!({ "raw": encode(text) });
        if let Some(thread) = thread {
            message["threadId"] = thread.into();
        }
        let change = Change::post(
            &method::RESTORE_DRAFTS_CREATE,
            "gmail/v1/users/me/drafts",
            json!({ "message": message }),
        );
        let draft: Value = self.mailbox.task.api.send(self.mailbox.email, &change.once())?;
        serde_json::from_value(draft["message"].clone()).map_err(|source| ApiError::Answer {
            method: method::RESTORE_DRAFTS_CREATE.name,
            source: Box::new(source),
        })
    }

    /// Puts the labels of a draft on that was made and is written down: whatever becomes of this, it is not made again.
    fn label_draft(&self, row: &InsertRow, id: &str) -> Result<(), WriteError> {
        if !row.labels.iter().any(|label| label == DRAFT) {
            return Ok(());
        }
        let mut labels = self.labels.all(&row.labels);
        labels.retain(|label| label != DRAFT);
        if labels.is_empty() {
            return Ok(());
        }
        let body = json!({ "ids": [id], "addLabelIds": labels });
        let path = "gmail/v1/users/me/messages/batchModify";
        let change = Change::post(&method::RESTORE_BATCH_MODIFY, path, body);
        match self.mailbox.task.api.send_only(self.mailbox.email, &change) {
            Ok(()) => Ok(()),
            Err(ApiError::Refused(_) | ApiError::NotFound(_)) => {
                self.conflict(row, "the draft is there again, and does not take its labels");
                Ok(())
            }
            Err(error) => Err(failed("put the labels of a draft on", error)),
        }
    }

    /// Writes down what was put in, durably: after a kill it is not put in again.
    fn note(&self, row: &InsertRow, answer: Answer) -> Result<Made, WriteError> {
        let place = Some(answer.thread_id).filter(|thread| !thread.is_empty());
        let made = Made { kind: MESSAGE.to_owned(), old: row.id.clone(), new: answer.id, place };
        self.mailbox.task.journal.note(made.clone())?;
        Ok(made)
    }
}

fn encode(text: &[u8]) -> String {
    base64_simd::URL_SAFE.encode_to_string(text)
}
