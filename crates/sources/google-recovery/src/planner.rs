//! Gathering what is to be done for several accounts and kinds of things into one plan.

use std::{collections::BTreeSet, io::Write, time::Duration};

use connect::{
    StoredError, StoredHistory,
    fidelity::{Fidelity, Grade, Way},
    plan::{
        Action, Attachment, Choice, Conflict, Counts, LISTED_MAX, Loss, PLAN_FORMAT, Plan, PlanFolder, Step,
        Subject,
    },
};
use connect_http::Workload;
use google_api::{ApiSettings, Method};
use model::{Moment, StreamName};
use serde::Serialize;
use serde_json::Value;

use crate::{Heading, PlanningError, Request, Window, promises, step::StepDetails};

/// What a call takes when there is quota, for the estimate.
const PER_CALL: Duration = Duration::from_millis(120);
const LIVE_PAGE: u32 = 1000;
/// Why something that is gone does not come back.
pub(crate) const TAKEN_AGAIN: &str = "somebody brought it back after the window, and took it away again";

/// Makes a plan, account by account.
///
/// Each part compares three states of every item: before the window, at its end, and now. What somebody changed after
/// the window stays as it is and is listed.
pub struct Planner<'p> {
    pub(crate) past: &'p dyn StoredHistory,
    folder: &'p PlanFolder,
    settings: &'p ApiSettings,
    threads: u32,
    titles: Vec<String>,
    receivers: Vec<String>,
    base: String,
    ended_at: Option<Moment>,
    steps: Vec<Step>,
    attachments: Vec<Attachment>,
    conflicts: Vec<Conflict>,
    losses: Vec<Loss>,
    notes: Vec<String>,
    counts: Counts,
    promised: BTreeSet<(&'static str, Way)>,
    workload: Workload,
}

/// A step that is added to a plan.
pub(crate) struct NewStep<'n, T> {
    /// One line for people.
    pub(crate) title: String,
    /// What it touches.
    pub(crate) target: &'n str,
    pub(crate) action: Action,
    /// What the attachment is called: `labels`.
    pub(crate) name: &'static str,
    /// The lines of the attachment; a step without any is not added.
    pub(crate) rows: &'n [T],
    pub(crate) details: StepDetails,
    /// What comes back how.
    pub(crate) promise: (&'static str, Way),
}

impl<'p> Planner<'p> {
    /// Begins a plan whose attachments go into `folder`; so many calls will run at a time.
    pub fn new(
        past: &'p dyn StoredHistory,
        folder: &'p PlanFolder,
        settings: &'p ApiSettings,
        threads: u32,
    ) -> Self {
        Self {
            past,
            folder,
            settings,
            threads,
            titles: Vec::new(),
            receivers: Vec::new(),
            base: String::new(),
            ended_at: None,
            steps: Vec::new(),
            attachments: Vec::new(),
            conflicts: Vec::new(),
            losses: Vec::new(),
            notes: Vec::new(),
            counts: Counts::default(),
            promised: BTreeSet::new(),
            workload: Workload::default(),
        }
    }

    /// Says that an account's things of one kind are planned; `what` is such as `the mailbox`.
    pub(crate) fn begin(&mut self, request: &Request, what: &str) {
        self.titles.push(request.title(what));
        let receiver = request.receiver().to_owned();
        if !self.receivers.contains(&receiver) {
            self.receivers.push(receiver);
        }
        self.base = request.window.to_string();
        self.ended_at = self.ended_at.max(Some(request.window.after.1));
    }

    pub(crate) fn step<T: Serialize>(&mut self, new: NewStep<'_, T>) -> Result<(), PlanningError> {
        if new.rows.is_empty() {
            return Ok(());
        }
        let number = self.steps.len() as u32 + 1;
        let attachment = self.attach(&format!("{number}-{}.jsonl", new.name), new.rows)?;
        let rows = new.rows.len() as u64;
        match new.action {
            Action::Insert => self.counts.inserted += rows,
            Action::Remove => self.counts.removed += rows,
            Action::Create | Action::Redefine => self.counts.objects += rows,
            Action::Revert | Action::Advance => self.counts.reverted += rows,
        }
        self.promise(new.promise);
        self.steps.push(Step {
            number,
            title: new.title,
            target: new.target.to_owned(),
            action: new.action,
            rows,
            attachment: Some(attachment.name.clone()),
            details: serde_json::to_value(&new.details).map_err(std::io::Error::from)?,
        });
        self.attachments.push(attachment);
        Ok(())
    }

    /// Says that something of a kind comes back in a way.
    pub(crate) fn promise(&mut self, promise: (&'static str, Way)) {
        self.promised.insert(promise);
    }

    fn attach<T: Serialize>(&self, name: &str, rows: &[T]) -> Result<Attachment, PlanningError> {
        let mut out = self.folder.create(name)?;
        for row in rows {
            serde_json::to_writer(&mut out, row).map_err(std::io::Error::from)?;
            out.write_all(b"\n")?;
        }
        Ok(out.finish()?)
    }

    /// Lists an item that is left alone.
    pub(crate) fn conflict(&mut self, target: &str, key: &str, reason: String) {
        self.counts.conflicts += 1;
        if self.conflicts.len() < LISTED_MAX {
            let (target, key) = (target.to_owned(), key.to_owned());
            self.conflicts.push(Conflict { target, key, reason, choice: Choice::Keep });
        }
    }

    /// Lists something that does not come back.
    pub(crate) fn loss(&mut self, target: String, reason: String) {
        if self.losses.len() < LISTED_MAX {
            self.losses.push(Loss { target, reason });
        }
    }

    /// Tells something that a person should know before approving.
    pub(crate) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// Counts an item that is already as it should be.
    pub(crate) fn unchanged(&mut self) {
        self.counts.unchanged += 1;
    }

    /// Says that applying and verifying makes so many calls in the name of a user.
    pub(crate) fn calls(&mut self, subject: &str, method: &'static Method, count: u64) {
        self.workload.add(&self.settings.charges(subject, method), count);
    }

    /// Lists what somebody else was at within the window as left alone: the items of these keys, or everything that
    /// changed where none is given.
    pub fn contest(&mut self, request: &Request, keys: &[String], reason: &str) -> Result<(), PlanningError> {
        let changed = match keys {
            [] => self.past.changed(&request.stream, request.window.before.0, request.window.after.0)?,
            keys => keys.to_vec(),
        };
        for key in changed {
            self.conflict(&request.account, &key, reason.to_owned());
        }
        Ok(())
    }

    /// Ends the plan.
    pub fn finish(mut self, heading: &Heading) -> Result<Plan, PlanningError> {
        let duration = self.settings.duration(&self.workload, self.threads, PER_CALL)?;
        let fidelity: Vec<Fidelity> = promises()
            .into_iter()
            .filter(|promise| {
                self.promised.iter().any(|(kind, way)| promise.kind == *kind && promise.way == *way)
            })
            .collect();
        self.losses.extend(fidelity.iter().filter(|promise| promise.way == Way::MadeAnew).flat_map(inexact));
        Ok(Plan {
            format: PLAN_FORMAT,
            id: heading.id.clone(),
            source: heading.source.clone(),
            subject: Subject { title: self.titles.join("; "), position: None, at: self.ended_at },
            destination: self.receivers.join(", "),
            base: self.base,
            made_at: heading.made_at,
            steps: self.steps,
            conflicts: self.conflicts,
            losses: self.losses,
            notes: self.notes,
            counts: self.counts,
            attachments: self.attachments,
            fidelity,
            duration_s: Some(duration.as_secs_f64().ceil() as u64),
        })
    }
}

/// Returns what a promise does not bring back as it was.
fn inexact(promise: &Fidelity) -> impl Iterator<Item = Loss> {
    let aspects = promise.aspects.iter().filter(|aspect| aspect.grade != Grade::Exact);
    aspects.map(|aspect| Loss {
        target: format!("{} of each {} that is made anew", aspect.name, promise.kind),
        reason: aspect.reason.clone().unwrap_or_default(),
    })
}

/// What is stored of a request's documents.
#[derive(Clone, Copy)]
pub(crate) struct Documents<'d> {
    pub(crate) past: &'d dyn StoredHistory,
    pub(crate) stream: &'d StreamName,
    pub(crate) window: Window,
}

/// What became of something after the window.
#[derive(Debug, Default)]
pub(crate) struct Later {
    /// What it became, oldest first, the newest included; what is not readable is left out.
    pub(crate) documents: Vec<Value>,
    /// Whether it became anything, readable or not.
    pub(crate) is_any: bool,
    /// Whether it was taken away and came again. Ends are no versions: it may look as if nothing had happened.
    pub(crate) came_anew: bool,
}

impl Documents<'_> {
    /// Reads a document as it was after a commit; `None` when it was not there, or not readable.
    pub(crate) fn at(&self, key: &str, at: u64) -> Result<Option<Value>, StoredError> {
        let version = self.past.version(self.stream, key, at)?.filter(|version| version.has_content);
        Ok(match version {
            Some(_) => serde_json::from_slice(&self.past.content(self.stream, key, at)?).ok(),
            None => None,
        })
    }

    /// Reads what a document became after the window.
    pub(crate) fn later(&self, key: &str) -> Result<Later, StoredError> {
        let mut later = Later::default();
        for version in self.past.versions(self.stream, key, self.window.after.0, self.window.now)? {
            let sequence = version.item.sequence;
            later.is_any = true;
            later.came_anew |= self.past.version(self.stream, key, sequence.saturating_sub(1))?.is_none();
            later.documents.extend(self.at(key, sequence)?);
        }
        Ok(later)
    }
}

/// Walks over the keys below a prefix that were live after a commit, in order, until `take` says that it has enough.
pub(crate) fn live_below(
    past: &dyn StoredHistory,
    stream: &StreamName,
    prefix: &str,
    at: u64,
    take: &mut dyn FnMut(&str) -> Result<bool, StoredError>,
) -> Result<(), StoredError> {
    let mut after = prefix.to_owned();
    loop {
        let page = past.live_keys(stream, at, Some(&after), LIVE_PAGE)?;
        for key in &page {
            if !key.starts_with(prefix) || !take(key)? {
                return Ok(());
            }
        }
        let Some(last) = page.into_iter().next_back() else { return Ok(()) };
        after = last;
    }
}
