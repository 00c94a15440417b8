//! Putting deleted messages in again, each once.

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::Write,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use connect::{
    Progress,
    plan::{ApplyMode, WriteError},
};
use google_api::{ApiError, Change, Get, method};
use model::StreamName;
use ports::files::FileError;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use source_google::gmail::{MESSAGE_PREFIX, MessagePage, message_key};

use super::{
    apply::{Labels, Outcome},
    rows::InsertRow,
    writer::{MailWriter, failed},
};

/// A text up to this size travels inside of JSON.
const INLINE_BYTES_MAX: usize = 1 << 20;
const DRAFT: &str = "DRAFT";

/// Where messages are put in, and where they come from.
pub(super) struct Place {
    pub(super) mailbox: String,
    pub(super) stream: StreamName,
    pub(super) at: u64,
    pub(super) now: u64,
    pub(super) label_names: BTreeMap<String, String>,
}

impl Place {
    pub(super) fn new(
        mailbox: String,
        stream: &str,
        at: u64,
        now: u64,
        label_names: BTreeMap<String, String>,
    ) -> Result<Self, WriteError> {
        let stream = StreamName::new(stream).map_err(|error| WriteError::Plan(Box::new(error)))?;
        Ok(Self { mailbox, stream, at, now, label_names })
    }
}

/// A message that was put in: a line of the journal.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Inserted {
    /// The id that it had.
    pub(super) old: String,
    /// The id that it has.
    pub(super) new: String,
    /// The thread that it is in.
    pub(super) thread: String,
}

struct Journal {
    file: Option<File>,
    done: HashMap<String, Inserted>,
}

/// What several threads share while they put messages in.
struct Inserting<'a> {
    writer: &'a MailWriter<'a>,
    place: &'a Place,
    labels: Labels,
    journal: Mutex<Journal>,
    outcome: Mutex<Outcome>,
    progress: &'a dyn Progress,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    id: String,
    #[serde(default)]
    thread_id: String,
}

impl MailWriter<'_> {
    pub(super) fn insert(
        &self,
        place: &Place,
        rows: &[InsertRow],
        mode: ApplyMode,
        progress: &dyn Progress,
    ) -> Result<Outcome, WriteError> {
        progress.counted_phase("putting messages in again", Some(rows.len() as u64));
        let done = self.read_journal()?;
        if mode == ApplyMode::Rehearsal {
            let unchanged = rows.iter().filter(|row| done.contains_key(&row.id)).count() as u64;
            return Ok(Outcome { changed: rows.len() as u64 - unchanged, unchanged, conflicts: Vec::new() });
        }
        let file = self
            .open_journal()
            .map_err(|error| journal_failed(FileError::new("open", &self.journal, error)))?;
        let inserting = Inserting {
            writer: self,
            place,
            labels: self.labels(&place.mailbox, &place.label_names, mode)?,
            journal: Mutex::new(Journal { file: Some(file), done }),
            outcome: Mutex::new(Outcome::default()),
            progress,
        };
        // The messages of a thread go in one after the other, so that the first makes the thread that the others join.
        let mut threads: BTreeMap<&str, Vec<&InsertRow>> = BTreeMap::new();
        for row in rows {
            threads.entry(&row.thread).or_default().push(row);
        }
        let threads: Vec<Vec<&InsertRow>> = threads.into_values().collect();
        let next = AtomicUsize::new(0);
        let failure = Mutex::new(None);
        std::thread::scope(|scope| {
            for _ in 0..self.threads.min(threads.len()) {
                scope.spawn(|| {
                    while let Some(thread) = threads.get(next.fetch_add(1, Ordering::SeqCst)) {
                        if let Err(error) = inserting.thread(thread) {
                            lock(&failure).get_or_insert(error);
                            next.store(threads.len(), Ordering::SeqCst);
                        }
                    }
                });
            }
        });
        match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error),
            None => Ok(inserting.outcome.into_inner().unwrap_or_else(PoisonError::into_inner)),
        }
    }

    fn open_journal(&self) -> std::io::Result<File> {
        let mut file = File::options().create(true).append(true).open(&self.journal)?;
        // The last line may have been cut by a kill: what is appended must not become part of it.
        file.write_all(b"\n")?;
        Ok(file)
    }

    /// Reads what earlier runs put in; a line that was cut by a kill counts for nothing.
    pub(super) fn read_journal(&self) -> Result<HashMap<String, Inserted>, WriteError> {
        let text = match std::fs::read_to_string(&self.journal) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(journal_failed(FileError::new("read", &self.journal, error))),
        };
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Inserted>(line).ok());
        Ok(lines.map(|line| (line.old.clone(), line)).collect())
    }
}

impl Inserting<'_> {
    fn thread(&self, rows: &[&InsertRow]) -> Result<(), WriteError> {
        let living = rows.iter().find(|row| row.thread_lives);
        let mut thread = living.map(|row| row.thread.clone()).filter(|thread| !thread.is_empty());
        for row in rows {
            if let Some(done) = lock(&self.journal).done.get(&row.id).cloned() {
                lock(&self.outcome).unchanged += 1;
                thread = Some(done.thread);
            } else if let Some(inserted) = self.message(row, thread.as_deref())? {
                thread = Some(inserted.thread);
            }
            self.progress.advance(1);
        }
        Ok(())
    }

    fn message(&self, row: &InsertRow, thread: Option<&str>) -> Result<Option<Inserted>, WriteError> {
        if let Some(answer) = self.find_twin(row)? {
            lock(&self.outcome).unchanged += 1;
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
                lock(&self.outcome).changed += 1;
                self.note(row, answer).map(Some)
            }
            Err(ApiError::Unknown(_)) => match self.find_twin(row)? {
                Some(answer) => {
                    lock(&self.outcome).changed += 1;
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
        lock(&self.outcome).conflicts.push((row.id.clone(), reason.to_owned()));
    }

    fn content(&self, row: &InsertRow) -> Result<Vec<u8>, WriteError> {
        let Place { stream, at, .. } = self.place;
        self.writer.past.content(stream, &message_key(&row.id), *at).map_err(|error| WriteError::Source {
            message: format!("the message {} cannot be read from the vault", row.id),
            hint: Some("unwipe verify".to_owned()),
            transient: false,
            source: Some(Box::new(error)),
        })
    }

    /// Looks for the message among those that came into the mailbox since it was last known: an earlier run that was
    /// killed before it could write it down may have put it in.
    fn find_twin(&self, row: &InsertRow) -> Result<Option<Answer>, WriteError> {
        let Some(message_id) = &row.message_id else { return Ok(None) };
        let get = Get::new(&method::RESTORE_MESSAGES_LIST, "gmail/v1/users/me/messages")
            .query("q", format!("rfc822msgid:{message_id}"))
            .query("includeSpamTrash", "true");
        let page: MessagePage = self
            .writer
            .api
            .reading()
            .get(&self.place.mailbox, &get)
            .map_err(|error| failed("search for a message", error))?;
        for found in page.messages {
            let key = format!("{MESSAGE_PREFIX}{}", found.id);
            let known = self.writer.past.version(&self.place.stream, &key, self.place.now);
            let known = known.map_err(|error| WriteError::Plan(Box::new(error)))?;
            let claimed = lock(&self.journal).done.values().any(|done| done.new == found.id);
            if known.is_none() && !claimed {
                return Ok(Some(Answer { id: found.id, thread_id: found.thread_id }));
            }
        }
        Ok(None)
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
        self.writer.api.send(&self.place.mailbox, &change.query("internalDateSource", "dateHeader").once())
    }

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
        let draft: Value = self.writer.api.send(&self.place.mailbox, &change.once())?;
        serde_json::from_value(draft["message"].clone()).map_err(|source| ApiError::Answer {
            method: method::RESTORE_DRAFTS_CREATE.name,
            source: Box::new(source),
        })
    }

    /// Writes down what was put in, durably: after a kill it is not put in again.
    fn note(&self, row: &InsertRow, answer: Answer) -> Result<Inserted, WriteError> {
        let inserted = Inserted { old: row.id.clone(), new: answer.id, thread: answer.thread_id };
        let mut line = serde_json::to_vec(&inserted).unwrap_or_default();
        line.push(b'\n');
        let mut journal = lock(&self.journal);
        if let Some(file) = &mut journal.file {
            file.write_all(&line)
                .and_then(|()| file.sync_data())
                .map_err(|error| journal_failed(FileError::new("write", &self.writer.journal, error)))?;
        }
        journal.done.insert(row.id.clone(), inserted.clone());
        Ok(inserted)
    }
}

fn encode(text: &[u8]) -> String {
    base64_simd::URL_SAFE.encode_to_string(text)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn journal_failed(error: FileError) -> WriteError {
    WriteError::Source {
        message: "it cannot be written down what was put in".to_owned(),
        hint: Some("make room beside the plan, then apply it again".to_owned()),
        transient: error.is_full(),
        source: Some(Box::new(error)),
    }
}
