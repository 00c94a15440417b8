//! A mailbox: messages, threads, labels, and what has happened to them.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use model::Moment;

use super::{
    history::{Change, History},
    labels::{Label, system_labels},
    settings::MailSettings,
    watch::Watch,
};
use crate::{seed::mail::Correspondence, text};

/// What a message consists of.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    /// It is written anew, the same each time, whenever somebody reads it.
    Seeded(Arc<Correspondence>, u32),
    /// It came over the API.
    Stored(Bytes),
}

impl Content {
    /// Returns the bytes, as RFC 5322 has them.
    pub(crate) fn bytes(&self) -> Bytes {
        match self {
            Self::Seeded(correspondence, number) => Bytes::from(correspondence.write(*number)),
            Self::Stored(bytes) => bytes.clone(),
        }
    }
}

/// A message as a mailbox knows it.
#[derive(Debug, Clone)]
#[expect(clippy::struct_field_names, reason = "Message-ID is the name of a header")]
pub(crate) struct Message {
    pub(crate) thread: u64,
    pub(crate) labels: BTreeSet<Arc<str>>,
    /// Milliseconds since 1970.
    pub(crate) internal_date: i64,
    /// The history id of its last change.
    pub(crate) history: u64,
    /// What stands in `Message-ID`, without the angle brackets.
    pub(crate) message_id: Box<str>,
    /// What stands in `Subject`.
    pub(crate) subject: Box<str>,
    /// What stands in `From`.
    pub(crate) from: Box<str>,
    pub(crate) content: Content,
}

impl Message {
    pub(crate) fn has(&self, label: &str) -> bool {
        self.labels.contains(label)
    }

    /// Tells whether it is out of sight: in the trash or among spam.
    pub(crate) fn is_hidden(&self) -> bool {
        self.has("TRASH") || self.has("SPAM")
    }
}

/// One user's mail.
#[derive(Debug)]
pub(crate) struct Mailbox {
    pub(crate) address: String,
    seed: u64,
    messages: BTreeMap<u64, Message>,
    /// Date and id, for lists.
    order: BTreeSet<(i64, u64)>,
    threads: BTreeMap<u64, Vec<u64>>,
    /// Since when messages are in the trash or among spam; and the same by message.
    hidden: BTreeSet<(Moment, u64)>,
    hidden_since: HashMap<u64, Moment>,
    by_message_id: HashMap<Box<str>, Vec<u64>>,
    pub(crate) labels: BTreeMap<Arc<str>, Label>,
    /// Draft id to message id.
    pub(crate) drafts: BTreeMap<u64, u64>,
    pub(crate) history: History,
    pub(crate) settings: MailSettings,
    pub(crate) watch: Watch,
    /// How many ids were drawn.
    drawn: u64,
    last_id: u64,
}

impl Mailbox {
    /// Makes an empty mailbox; `seed` decides its ids.
    pub(crate) fn new(address: &str, seed: u64) -> Self {
        Self {
            address: address.to_owned(),
            seed,
            messages: BTreeMap::new(),
            order: BTreeSet::new(),
            threads: BTreeMap::new(),
            hidden: BTreeSet::new(),
            hidden_since: HashMap::new(),
            by_message_id: HashMap::new(),
            labels: system_labels(),
            drafts: BTreeMap::new(),
            history: History::new(seed),
            settings: MailSettings::new(address),
            watch: Watch::default(),
            drawn: 0,
            last_id: 0,
        }
    }

    /// Draws a number.
    pub(crate) fn draw(&mut self) -> u64 {
        self.drawn += 1;
        text::mixed(self.seed ^ text::mixed(self.drawn))
    }

    /// Makes an id that grows with time, as those of the real service do.
    pub(crate) fn new_id(&mut self, millis: i64) -> u64 {
        let low = self.draw() & 0xf_ffff;
        let id = ((millis.max(0) as u64) << 20 | low).max(self.last_id + 1);
        self.last_id = id;
        id
    }

    pub(crate) fn message(&self, id: u64) -> Option<&Message> {
        self.messages.get(&id)
    }

    pub(crate) fn messages(&self) -> impl Iterator<Item = (u64, &Message)> {
        self.messages.iter().map(|(id, message)| (*id, message))
    }

    pub(crate) fn messages_total(&self) -> usize {
        self.messages.len()
    }

    pub(crate) fn threads_total(&self) -> usize {
        self.threads.len()
    }

    /// Returns the messages of a thread, the oldest first.
    pub(crate) fn thread(&self, id: u64) -> Option<&[u64]> {
        self.threads.get(&id).map(Vec::as_slice)
    }

    /// Returns the messages with this `Message-ID`.
    pub(crate) fn with_message_id(&self, message_id: &str) -> &[u64] {
        self.by_message_id.get(message_id).map_or(&[], Vec::as_slice)
    }

    /// Returns date and id of messages older than a place in the list, the newest first.
    pub(crate) fn newest_before(&self, place: Option<(i64, u64)>) -> impl Iterator<Item = (i64, u64)> {
        let end = place.unwrap_or((i64::MAX, u64::MAX));
        self.order.range(..end).rev().copied()
    }

    /// Puts a message in without a word in the history: it has been there before. If it is hidden, it is so since
    /// `now`.
    pub(crate) fn furnish(&mut self, id: u64, message: Message, now: Moment) {
        self.last_id = self.last_id.max(id);
        if message.is_hidden() {
            self.hide(id, now);
        }
        self.order.insert((message.internal_date, id));
        let thread = self.threads.entry(message.thread).or_default();
        thread.push(id);
        if thread.len() > 1 {
            let messages = &self.messages;
            let date = |id: &u64| messages.get(id).map_or(message.internal_date, |own| own.internal_date);
            thread.sort_by_key(|id| (date(id), *id));
        }
        if !message.message_id.is_empty() {
            self.by_message_id.entry(message.message_id.clone()).or_default().push(id);
        }
        self.messages.insert(id, message);
    }

    /// Makes a draft of a message that has been there before.
    pub(crate) fn make_draft(&mut self, id: u64) {
        let draft = self.draw() >> 2;
        if let Some(message) = self.messages.get_mut(&id) {
            message.labels = BTreeSet::from([text::shared("DRAFT")]);
            self.drafts.insert(draft, id);
        }
    }

    /// Adds a message.
    pub(crate) fn add(&mut self, id: u64, mut message: Message, now: Moment) {
        let change = Change::Added(message.labels.iter().cloned().collect());
        message.history = self.record(id, message.thread, change, now);
        self.furnish(id, message, now);
    }

    /// Removes a message for ever; false when there is none.
    pub(crate) fn remove(&mut self, id: u64, now: Moment) -> bool {
        let Some(message) = self.messages.remove(&id) else { return false };
        self.order.remove(&(message.internal_date, id));
        self.unhide(id);
        if let Some(thread) = self.threads.get_mut(&message.thread) {
            thread.retain(|own| *own != id);
            if thread.is_empty() {
                self.threads.remove(&message.thread);
            }
        }
        if let Some(bearers) = self.by_message_id.get_mut(&message.message_id) {
            bearers.retain(|own| *own != id);
            if bearers.is_empty() {
                self.by_message_id.remove(&message.message_id);
            }
        }
        self.drafts.retain(|_, own| *own != id);
        self.record(id, message.thread, Change::Deleted, now);
        true
    }

    /// Changes a message's labels; false when there is none. Only what really changes is recorded.
    pub(crate) fn relabel(&mut self, id: u64, add: &[Arc<str>], remove: &[Arc<str>], now: Moment) -> bool {
        let Some(message) = self.messages.get_mut(&id) else { return false };
        let thread = message.thread;
        let was_hidden = message.is_hidden();
        let removed: Vec<Arc<str>> = remove
            .iter()
            .filter(|label| !add.contains(label) && message.labels.remove(&***label))
            .cloned()
            .collect();
        let added: Vec<Arc<str>> =
            add.iter().filter(|label| message.labels.insert(Arc::clone(label))).cloned().collect();
        let after: Vec<Arc<str>> = message.labels.iter().cloned().collect();
        let hidden = message.is_hidden();
        if hidden != was_hidden {
            if hidden { self.hide(id, now) } else { self.unhide(id) }
        }
        let mut last = None;
        if !added.is_empty() {
            last = Some(self.record(id, thread, Change::LabelsAdded(after.clone(), added), now));
        }
        if !removed.is_empty() {
            last = Some(self.record(id, thread, Change::LabelsRemoved(after, removed), now));
        }
        if let (Some(history), Some(message)) = (last, self.messages.get_mut(&id)) {
            message.history = history;
        }
        true
    }

    fn record(&mut self, id: u64, thread: u64, change: Change, now: Moment) -> u64 {
        let step = 1 + self.draw() % 40;
        let history = self.history.record(step, id, thread, change, now);
        self.watch.notice(history, now);
        history
    }

    fn hide(&mut self, id: u64, now: Moment) {
        self.hidden.insert((now, id));
        self.hidden_since.insert(id, now);
    }

    fn unhide(&mut self, id: u64) {
        if let Some(since) = self.hidden_since.remove(&id) {
            self.hidden.remove(&(since, id));
        }
    }

    /// Removes for ever what has been in the trash or among spam for too long.
    pub(crate) fn purge(&mut self, lifetime: Duration, now: Moment) {
        let age = lifetime.as_micros() as i64;
        while let Some((_, id)) = self.hidden.first().copied().filter(|(at, _)| now.micros_since(*at) >= age)
        {
            self.unhide(id);
            self.remove(id, now);
        }
    }

    /// Moves a message into the trash.
    pub(crate) fn trash(&mut self, id: u64, now: Moment) -> bool {
        self.relabel(id, &[text::shared("TRASH")], &[text::shared("INBOX"), text::shared("SPAM")], now)
    }

    /// Takes a message out of the trash. It does not return to where it was.
    pub(crate) fn untrash(&mut self, id: u64, now: Moment) -> bool {
        self.relabel(id, &[], &[text::shared("TRASH")], now)
    }
}

/// Writes an id as the service does.
pub(crate) fn hex(id: u64) -> String {
    format!("{id:016x}")
}

/// Reads an id.
pub(crate) fn from_hex(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok()
}
