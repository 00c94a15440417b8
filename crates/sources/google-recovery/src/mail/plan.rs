//! Making a plan for a mailbox out of what is stored.

use std::{
    collections::{BTreeMap, HashSet},
    io::Write,
    time::Duration,
};

use connect::{
    StoredHistory, StoredVersion,
    fidelity::{Grade, Way},
    plan::{
        Action, Attachment, Choice, Conflict, Counts, LISTED_MAX, Loss, PLAN_FORMAT, Plan, PlanFolder, Step,
        Subject,
    },
};
use google_api::{ApiSettings, PlannedCalls, method};
use model::{Moment, StreamName};
use serde::Serialize;
use source_google::{
    RecordAttributes,
    gmail::{LABEL_PREFIX, MESSAGE_PREFIX, MessageAttributes},
};

use super::{
    decide::{Decision, LabelChange, MessageStates, decide},
    promise::promises_for,
    rows::{InsertRow, RelabelRow, StepDetails},
};
use crate::PlanningError;

/// What a call takes when there is quota, for the estimate.
const PER_CALL: Duration = Duration::from_millis(120);
const LIVE_PAGE: u32 = 1000;
/// Up to so many messages get other labels in one call.
pub(super) const RELABEL_MAX: u64 = 1000;

/// What a plan is called and what it was made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heading {
    /// The plan's name.
    pub id: String,
    /// The protected source.
    pub source: String,
    /// When the plan is made.
    pub made_at: Moment,
}

/// What is undone in a mailbox: what happened after one commit and no later than another.
#[derive(Debug, Clone)]
pub struct MailRequest {
    /// Whose mailbox it is.
    pub mailbox: String,
    /// The stream that holds it.
    pub stream: StreamName,
    /// The commit before the window, with its time.
    pub before: (u64, Moment),
    /// The commit at the window's end, with its time.
    pub after: (u64, Moment),
    /// The newest commit: what is in the mailbox now.
    pub now: u64,
    /// The id in the mailbox's history up to which the newest commit knows it.
    pub history: String,
    /// How many messages are put in at a time.
    pub threads: u32,
}

/// Plans the undo of what happened to a mailbox in a window.
///
/// Messages that were trashed, deleted or got other labels within it go back to what they were; what came within it or
/// was changed again after it stays.
pub fn plan_mail(
    past: &dyn StoredHistory,
    request: &MailRequest,
    heading: &Heading,
    folder: &PlanFolder,
    settings: &ApiSettings,
) -> Result<Plan, PlanningError> {
    let mut planning = Planning::new(past, request);
    planning.decide_all()?;
    planning.finish(heading, folder, settings)
}

struct Planning<'p> {
    past: &'p dyn StoredHistory,
    request: &'p MailRequest,
    relabelled: Vec<RelabelRow>,
    inserted: Vec<InsertRow>,
    conflicts: Vec<Conflict>,
    conflicts_count: u64,
    losses: Vec<Loss>,
    unchanged: u64,
}

impl<'p> Planning<'p> {
    fn new(past: &'p dyn StoredHistory, request: &'p MailRequest) -> Self {
        Self {
            past,
            request,
            relabelled: Vec::new(),
            inserted: Vec::new(),
            conflicts: Vec::new(),
            conflicts_count: 0,
            losses: Vec::new(),
            unchanged: 0,
        }
    }

    fn decide_all(&mut self) -> Result<(), PlanningError> {
        let MailRequest { stream, before, after, now, .. } = self.request;
        let back = self.came_back()?;
        for key in self.past.changed(stream, before.0, after.0)? {
            let Some(id) = key.strip_prefix(MESSAGE_PREFIX) else { continue };
            let version = |at| self.past.version(stream, &key, at);
            let (was, became, is) = (version(before.0)?, version(after.0)?, version(*now)?);
            let later = self.past.versions(stream, &key, after.0, *now)?;
            let before = was.as_ref().map(attributes);
            let is_back = before
                .as_ref()
                .and_then(|before| before.message_id.as_ref())
                .is_some_and(|message_id| back.contains(message_id));
            let states = MessageStates {
                has_text: was.as_ref().is_some_and(|version| version.has_content),
                after: became.as_ref().map(attributes),
                later: later.iter().map(attributes).collect(),
                now: is.as_ref().map(attributes),
                before,
                is_back,
            };
            let bytes = was.map_or(0, |version| version.item.size_bytes);
            self.take(id, &states, bytes);
        }
        self.find_threads()
    }

    /// Finds out which threads of the deleted messages still have others: only those can be joined.
    fn find_threads(&mut self) -> Result<(), PlanningError> {
        let wanted: HashSet<&str> = self.inserted.iter().map(|row| row.thread.as_str()).collect();
        let MailRequest { stream, now, .. } = self.request;
        let (mut living, mut after) = (HashSet::new(), MESSAGE_PREFIX.to_owned());
        while living.len() < wanted.len() {
            let page = self.past.live_keys(stream, *now, Some(&after), LIVE_PAGE)?;
            for key in page.iter().take_while(|key| key.starts_with(MESSAGE_PREFIX)) {
                let thread = self.past.version(stream, key, *now)?.map(|version| attributes(&version).thread);
                living.extend(thread.filter(|thread| wanted.contains(thread.as_str())));
            }
            match page.last() {
                Some(last) if last.starts_with(MESSAGE_PREFIX) => after.clone_from(last),
                _ => break,
            }
        }
        for row in &mut self.inserted {
            row.thread_lives = living.contains(&row.thread);
        }
        Ok(())
    }

    /// Returns the message ids of what came into the mailbox after the window: somebody may have put things back already.
    fn came_back(&self) -> Result<HashSet<String>, PlanningError> {
        let MailRequest { stream, after, now, .. } = self.request;
        let mut back = HashSet::new();
        for key in self.past.changed(stream, after.0, *now)? {
            if key.starts_with(MESSAGE_PREFIX)
                && self.past.version(stream, &key, after.0)?.is_none()
                && let Some(version) = self.past.version(stream, &key, *now)?
            {
                back.extend(attributes(&version).message_id);
            }
        }
        Ok(back)
    }

    fn take(&mut self, id: &str, states: &MessageStates, bytes: u64) {
        let (Some(decision), Some(before)) = (decide(states), states.before.as_ref()) else { return };
        let subject = before.subject.clone();
        match decision {
            Decision::Unchanged => self.unchanged += 1,
            Decision::Relabel(LabelChange { add, remove, kept }) => {
                let expected = states.now.as_ref().map(|now| now.labels.clone()).unwrap_or_default();
                self.relabelled.push(RelabelRow { id: id.to_owned(), add, remove, expected, subject });
                if !kept.is_empty() {
                    let reason =
                        format!("these labels were changed again after the window: {}", kept.join(", "));
                    self.conflict(id, reason);
                }
            }
            Decision::Insert => self.inserted.push(InsertRow {
                id: id.to_owned(),
                thread: before.thread.clone(),
                thread_lives: false,
                labels: before.labels.clone(),
                message_id: before.message_id.clone(),
                bytes,
                subject,
            }),
            Decision::Conflict(reason) => self.conflict(id, reason),
            Decision::Loss(reason) => {
                self.losses.push(Loss { target: format!("{}: {}", self.request.mailbox, id), reason });
            }
        }
    }

    fn conflict(&mut self, id: &str, reason: String) {
        self.conflicts_count += 1;
        if self.conflicts.len() < LISTED_MAX {
            let target = self.request.mailbox.clone();
            self.conflicts.push(Conflict { target, key: id.to_owned(), reason, choice: Choice::Keep });
        }
    }

    fn finish(
        mut self,
        heading: &Heading,
        folder: &PlanFolder,
        settings: &ApiSettings,
    ) -> Result<Plan, PlanningError> {
        let request = self.request;
        let (mut steps, mut attachments, mut ways) = (Vec::new(), Vec::new(), Vec::new());
        if !self.relabelled.is_empty() {
            let labels = self.relabelled.iter().flat_map(|row| row.add.iter().chain(&row.remove));
            let details = StepDetails::Relabel {
                mailbox: request.mailbox.clone(),
                history: request.history.clone(),
                label_names: self.label_names(labels)?,
            };
            let title = relabel_title(&self.relabelled);
            let attachment = attach(folder, "mail/labels.jsonl", &self.relabelled)?;
            steps.push(step(1, title, request, Action::Revert, &self.relabelled, &attachment, &details));
            attachments.push(attachment);
            ways.push(Way::InPlace);
        }
        if !self.inserted.is_empty() {
            let details = StepDetails::Insert {
                mailbox: request.mailbox.clone(),
                stream: request.stream.as_str().to_owned(),
                at: request.before.0,
                now: request.now,
                label_names: self.label_names(self.inserted.iter().flat_map(|row| &row.labels))?,
            };
            let title = format!("put {} deleted messages in again", self.inserted.len());
            let attachment = attach(folder, "mail/messages.jsonl", &self.inserted)?;
            let number = steps.len() as u32 + 1;
            steps.push(step(number, title, request, Action::Insert, &self.inserted, &attachment, &details));
            attachments.push(attachment);
            ways.push(Way::MadeAnew);
        }
        let duration = self.duration(settings)?;
        let fidelity = promises_for(&ways);
        let lost = fidelity.iter().filter(|promise| promise.way == Way::MadeAnew).flat_map(|promise| {
            let inexact = promise.aspects.iter().filter(|aspect| aspect.grade != Grade::Exact);
            inexact.map(|aspect| Loss {
                target: format!("{} of messages that are put in again", aspect.name),
                reason: aspect.reason.clone().unwrap_or_default(),
            })
        });
        self.losses.extend(lost);
        Ok(Plan {
            format: PLAN_FORMAT,
            id: heading.id.clone(),
            source: heading.source.clone(),
            subject: Subject {
                title: format!(
                    "what happened to the mailbox {} from {} to {}",
                    request.mailbox, request.before.1, request.after.1
                ),
                position: None,
                at: Some(request.after.1),
            },
            destination: request.mailbox.clone(),
            base: format!("commit {} of {}", request.before.0, request.before.1),
            made_at: heading.made_at,
            steps,
            conflicts: self.conflicts,
            losses: self.losses,
            notes: Vec::new(),
            counts: Counts {
                inserted: self.inserted.len() as u64,
                reverted: self.relabelled.len() as u64,
                conflicts: self.conflicts_count,
                unchanged: self.unchanged,
                ..Counts::default()
            },
            attachments,
            fidelity,
            duration_s: Some(duration.as_secs_f64().ceil() as u64),
        })
    }

    /// Returns the names that labels had before the window; system labels are called by their ids.
    fn label_names<'l>(
        &self,
        ids: impl Iterator<Item = &'l String>,
    ) -> Result<BTreeMap<String, String>, PlanningError> {
        let mut names = BTreeMap::new();
        for id in ids {
            if names.contains_key(id) {
                continue;
            }
            let key = format!("{LABEL_PREFIX}{id}");
            let label = self.past.version(&self.request.stream, &key, self.request.before.0)?;
            let name = label.and_then(|label| {
                serde_json::from_str::<RecordAttributes>(&label.item.item.attributes).ok()?.name
            });
            names.insert(id.clone(), name.unwrap_or_else(|| id.clone()));
        }
        Ok(names)
    }

    fn duration(&self, settings: &ApiSettings) -> Result<Duration, PlanningError> {
        let (relabelled, inserted) = (self.relabelled.len() as u64, self.inserted.len() as u64);
        let some = u64::from(relabelled + inserted > 0);
        let calls = [
            (&method::RESTORE_LABELS_LIST, 2 * some),
            (&method::RESTORE_HISTORY_LIST, relabelled.min(1)),
            (&method::RESTORE_BATCH_MODIFY, relabelled.div_ceil(RELABEL_MAX)),
            (&method::RESTORE_MESSAGES_LIST, inserted),
            (&method::RESTORE_INSERT, inserted),
            (&method::RESTORE_MESSAGES_GET, relabelled + inserted),
        ];
        let calls = calls.map(|(method, count)| PlannedCalls { method, count });
        Ok(settings.duration(&self.request.mailbox, &calls, self.request.threads, PER_CALL)?)
    }
}

fn attributes(version: &StoredVersion) -> MessageAttributes {
    MessageAttributes::of_text(&version.item.item.attributes).unwrap_or_default()
}

fn relabel_title(rows: &[RelabelRow]) -> String {
    let trash = source_google::gmail::TRASH;
    let trashed = rows.iter().filter(|row| row.remove.iter().any(|label| label == trash)).count();
    match (trashed, rows.len() - trashed) {
        (0, others) => format!("give {others} messages their labels back"),
        (trashed, 0) => format!("take {trashed} messages out of the trash, to where they were"),
        (trashed, others) => {
            format!("take {trashed} messages out of the trash and give {others} others their labels back")
        }
    }
}

fn step<T>(
    number: u32,
    title: String,
    request: &MailRequest,
    action: Action,
    rows: &[T],
    attachment: &Attachment,
    details: &StepDetails,
) -> Step {
    Step {
        number,
        title,
        target: request.mailbox.clone(),
        action,
        rows: rows.len() as u64,
        attachment: Some(attachment.name.clone()),
        details: serde_json::to_value(details).unwrap_or_default(),
    }
}

fn attach<T: Serialize>(folder: &PlanFolder, name: &str, rows: &[T]) -> Result<Attachment, PlanningError> {
    let mut out = folder.create(name)?;
    for row in rows {
        serde_json::to_writer(&mut out, row).map_err(std::io::Error::from)?;
        out.write_all(b"\n")?;
    }
    Ok(out.finish()?)
}
