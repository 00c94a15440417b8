//! Planning what happens to a mailbox, out of what is stored.

use std::collections::{BTreeMap, HashSet};

use connect::{
    StoredError, StoredHistory, StoredVersion, fidelity::Way, plan::Action, units::positions_stream,
};
use google_api::method;
use source_google::{
    RecordAttributes,
    gmail::{LABEL_PREFIX, MESSAGE_PREFIX, MailboxPosition, MessageAttributes, mailbox_unit},
};

use super::{
    decide::{Decision, LabelChange, MessageStates, decide},
    labels::is_system,
    promise::KIND,
    step::{InsertRow, MailStep, RelabelRow, Twins},
};
use crate::{
    Destination, Planner, PlanningError, Request,
    planner::{NewStep, live_below},
    request::ORIGIN,
    step::StepDetails,
};

/// Up to so many messages get other labels in one call.
pub(super) const RELABEL_MAX: u64 = 1000;

impl Planner<'_> {
    /// Plans what happens to a mailbox.
    ///
    /// In place, messages that were trashed, deleted or got other labels within the window go back to what they were; what
    /// came within it or was changed again after it stays. For another user, every message that was there before the
    /// window is put in, with its labels and one that tells whose it was.
    pub fn mail(&mut self, request: &Request) -> Result<(), PlanningError> {
        self.begin(request, "the mailbox");
        let mut planning = Planning { request, planner: self, relabelled: Vec::new(), inserted: Vec::new() };
        match &request.destination {
            Destination::InPlace => {
                planning.decide_all()?;
                planning.find_threads()?;
            }
            Destination::OtherUser { .. } | Destination::Sandbox(_) => {
                planning.take_all()?;
                let label = request.origin_name(&request.account);
                planning.planner.note(format!("each message gets the label {label:?}"));
            }
        }
        planning.finish()
    }
}

/// Returns the id in a mailbox's history up to which a commit knows it; `None` when it was never captured to its end.
pub fn known_history(past: &dyn StoredHistory, email: &str, at: u64) -> Result<Option<String>, StoredError> {
    let positions = positions_stream()
        .map_err(|error| StoredError::Vault { what: "positions".to_owned(), source: Box::new(error) })?;
    let mut history = None;
    live_below(past, &positions, &mailbox_unit(""), at, &mut |key| {
        let version = past.version(&positions, key, at)?;
        let position: Option<MailboxPosition> =
            version.and_then(|version| serde_json::from_str(&version.item.item.attributes).ok());
        if let Some(position) = position.filter(|position| position.mailbox == email && position.listed) {
            history = Some(position.history);
        }
        Ok(history.is_none())
    })?;
    Ok(history)
}

struct Planning<'r, 'q, 'p> {
    request: &'r Request,
    planner: &'q mut Planner<'p>,
    relabelled: Vec<RelabelRow>,
    inserted: Vec<InsertRow>,
}

impl Planning<'_, '_, '_> {
    fn decide_all(&mut self) -> Result<(), PlanningError> {
        let (past, Request { stream, window, selection, .. }) = (self.planner.past, self.request);
        let back = self.came_back()?;
        for key in past.changed(stream, window.before.0, window.after.0)? {
            let Some(id) = key.strip_prefix(MESSAGE_PREFIX).filter(|_| selection.has(&key)) else { continue };
            let version = |at| past.version(stream, &key, at);
            let (was, became, is) =
                (version(window.before.0)?, version(window.after.0)?, version(window.now)?);
            let later = past.versions(stream, &key, window.after.0, window.now)?;
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
        Ok(())
    }

    /// Takes every message that was there.
    fn take_all(&mut self) -> Result<(), PlanningError> {
        let (past, Request { stream, window, selection, .. }) = (self.planner.past, self.request);
        let mut versions = Vec::new();
        live_below(past, stream, MESSAGE_PREFIX, window.before.0, &mut |key| {
            if selection.has(key) {
                versions.extend(past.version(stream, key, window.before.0)?);
            }
            Ok(true)
        })?;
        for version in versions {
            let id = version.item.item.key.strip_prefix(MESSAGE_PREFIX).unwrap_or_default();
            if version.has_content {
                let mut row = insert_row(id, &attributes(&version), version.item.size_bytes);
                row.labels.push(ORIGIN.to_owned());
                self.inserted.push(row);
            } else {
                self.lost(id, "its text could not be read when it was captured".to_owned());
            }
        }
        Ok(())
    }

    /// Finds out which threads of the deleted messages still have others: only those can be joined.
    fn find_threads(&mut self) -> Result<(), PlanningError> {
        let (past, Request { stream, window, .. }) = (self.planner.past, self.request);
        let wanted: HashSet<&str> = self.inserted.iter().map(|row| row.thread.as_str()).collect();
        let mut living = HashSet::new();
        if !wanted.is_empty() {
            live_below(past, stream, MESSAGE_PREFIX, window.now, &mut |key| {
                let thread =
                    past.version(stream, key, window.now)?.map(|version| attributes(&version).thread);
                living.extend(thread.filter(|thread| wanted.contains(thread.as_str())));
                Ok(living.len() < wanted.len())
            })?;
        }
        for row in &mut self.inserted {
            row.thread_lives = living.contains(&row.thread);
        }
        Ok(())
    }

    /// Returns the message ids of what came into the mailbox after the window: somebody may have put things back already.
    fn came_back(&self) -> Result<HashSet<String>, PlanningError> {
        let (past, Request { stream, window, .. }) = (self.planner.past, self.request);
        let mut back = HashSet::new();
        for key in past.changed(stream, window.after.0, window.now)? {
            if key.starts_with(MESSAGE_PREFIX)
                && past.version(stream, &key, window.after.0)?.is_none()
                && let Some(version) = past.version(stream, &key, window.now)?
            {
                back.extend(attributes(&version).message_id);
            }
        }
        Ok(back)
    }

    fn take(&mut self, id: &str, states: &MessageStates, bytes: u64) {
        let (Some(decision), Some(before)) = (decide(states), states.before.as_ref()) else { return };
        match decision {
            Decision::Unchanged => self.planner.unchanged(),
            Decision::Relabel(LabelChange { add, remove, kept }) => {
                let expected = states.now.as_ref().map(|now| now.labels.clone()).unwrap_or_default();
                let subject = before.subject.clone();
                self.relabelled.push(RelabelRow { id: id.to_owned(), add, remove, expected, subject });
                if !kept.is_empty() {
                    self.conflict(
                        id,
                        format!("these labels were changed again after the window: {}", kept.join(", ")),
                    );
                }
            }
            Decision::Insert => self.inserted.push(insert_row(id, before, bytes)),
            Decision::Conflict(reason) => self.conflict(id, reason),
            Decision::Loss(reason) => self.lost(id, reason),
        }
    }

    fn conflict(&mut self, id: &str, reason: String) {
        self.planner.conflict(&self.request.account, id, reason);
    }

    fn lost(&mut self, id: &str, reason: String) {
        self.planner.loss(format!("{}: {id}", self.request.account), reason);
    }

    fn finish(mut self) -> Result<(), PlanningError> {
        self.count_calls();
        self.add_relabelling()?;
        self.add_inserting()
    }

    fn add_relabelling(&mut self) -> Result<(), PlanningError> {
        let Request { account, window, .. } = self.request;
        let rows = std::mem::take(&mut self.relabelled);
        if rows.is_empty() {
            return Ok(());
        }
        let history = known_history(self.planner.past, account, window.now)?
            .ok_or_else(|| PlanningError::UnknownMailbox { mailbox: account.clone() })?;
        // Only what is put on may have to be made again; what is taken off is there under the id that the message has it by.
        let label_names = self.label_names(rows.iter().flat_map(|row| &row.add))?;
        self.planner.step(NewStep {
            title: relabel_title(&rows),
            target: account,
            action: Action::Revert,
            name: "labels",
            rows: &rows,
            details: StepDetails::Mail(MailStep::Relabel { mailbox: account.clone(), history, label_names }),
            promise: (KIND, Way::InPlace),
        })
    }

    fn add_inserting(&mut self) -> Result<(), PlanningError> {
        let Request { account, stream, window, destination, .. } = self.request;
        let rows = std::mem::take(&mut self.inserted);
        let receiver = self.request.receiver();
        let (title, twins) = match destination {
            Destination::InPlace => {
                let history = known_history(self.planner.past, account, window.now)?;
                let twins = Twins::After { commit: window.now, history };
                (format!("put {} deleted messages in again", rows.len()), twins)
            }
            Destination::OtherUser { .. } | Destination::Sandbox(_) => {
                (format!("put {} messages in", rows.len()), Twins::Labelled(ORIGIN.to_owned()))
            }
        };
        let label_names = self.label_names(rows.iter().flat_map(|row| &row.labels))?;
        let details = MailStep::Insert {
            mailbox: receiver.to_owned(),
            stream: stream.as_str().to_owned(),
            at: window.before.0,
            twins,
            label_names,
        };
        self.planner.step(NewStep {
            title,
            target: receiver,
            action: Action::Insert,
            name: "messages",
            rows: &rows,
            details: StepDetails::Mail(details),
            promise: (KIND, Way::MadeAnew),
        })
    }

    /// Returns the names that labels had before the window; system labels are called by their ids.
    fn label_names<'l>(
        &self,
        ids: impl Iterator<Item = &'l String>,
    ) -> Result<BTreeMap<String, String>, PlanningError> {
        let Request { account, stream, window, .. } = self.request;
        let mut names = BTreeMap::new();
        for id in ids {
            if names.contains_key(id) {
                continue;
            }
            let name = if id == ORIGIN {
                Some(self.request.origin_name(account))
            } else {
                let key = format!("{LABEL_PREFIX}{id}");
                let label = self.planner.past.version(stream, &key, window.before.0)?;
                label.and_then(|label| {
                    serde_json::from_str::<RecordAttributes>(&label.item.item.attributes).ok()?.name
                })
            };
            let name = name.unwrap_or_else(|| id.clone());
            // A label that a drill makes is found by its name, and taken away again.
            let is_of_drill = self.request.sandbox().is_some() && id != ORIGIN && !is_system(id, &name);
            let name =
                if is_of_drill { format!("{}/{name}", self.request.origin_name(account)) } else { name };
            names.insert(id.clone(), name);
        }
        Ok(names)
    }

    /// Returns how many calls set labels back: one for each thousand messages that get and lose the same.
    fn relabelling_calls(&self) -> u64 {
        let mut groups: BTreeMap<(&[String], &[String]), u64> = BTreeMap::new();
        for row in &self.relabelled {
            *groups.entry((&row.add, &row.remove)).or_default() += 1;
        }
        groups.into_values().map(|messages| messages.div_ceil(RELABEL_MAX)).sum()
    }

    fn count_calls(&mut self) {
        let (relabelled, inserted) = (self.relabelled.len() as u64, self.inserted.len() as u64);
        let some = u64::from(relabelled + inserted > 0);
        let calls = [
            (&method::RESTORE_LABELS_LIST, 2 * some),
            (&method::RESTORE_HISTORY_LIST, relabelled.min(1) + inserted.min(1)),
            (&method::RESTORE_BATCH_MODIFY, self.relabelling_calls()),
            (&method::RESTORE_INSERT, inserted),
            (&method::RESTORE_MESSAGES_GET, relabelled + inserted),
        ];
        for (method, count) in calls {
            self.planner.calls(self.request.receiver(), method, count);
        }
    }
}

fn insert_row(id: &str, attributes: &MessageAttributes, bytes: u64) -> InsertRow {
    InsertRow {
        id: id.to_owned(),
        thread: attributes.thread.clone(),
        thread_lives: false,
        labels: attributes.labels.clone(),
        message_id: attributes.message_id.clone(),
        bytes,
        subject: attributes.subject.clone(),
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
