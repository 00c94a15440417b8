use std::{
    collections::BTreeMap,
    io::Read,
    sync::mpsc::{Receiver, Sender, SyncSender, channel},
    time::Duration,
};

use model::{Event, Item, Layout, StreamName, UnreadableReason};

use super::{Planned, UnitError, budget::Budget};
use crate::{KnownItem, Stop};

/// The content of an item on its way to the vault.
pub enum Body {
    /// All of it.
    Bytes(Vec<u8>),
    /// To be read while it is stored: for what is too large for memory. Other units wait meanwhile.
    Stream(Box<dyn Read + Send>),
}

/// What a unit's thread says to the thread that stores.
pub(super) enum Message {
    Upsert { item: Item, layout: Layout, body: Body, taken_bytes: u64 },
    Attributes(Item),
    Listed(u64),
    Unchanged(u64),
    Removed { stream: StreamName, key: String },
    Unreadable { stream: StreamName, key: String, reason: UnreadableReason },
    Event(Box<Event>),
    Advance(String),
    Known { stream: StreamName, keys: Vec<String>, answer: Sender<Vec<Option<KnownItem>>> },
    KnownKeys { stream: StreamName, after: Option<String>, limit: u32, answer: Sender<Vec<String>> },
    FailedKeys { stream: StreamName, limit: u32, answer: Sender<Vec<String>> },
    Plan(Vec<Planned<'static>>),
    Ended { ended: Result<(), UnitError>, begun: Duration },
}

/// Takes what a unit sees. Every call may wait until the vault has caught up; each ends with [`UnitError::Stopped`]
/// once the run is to end.
pub struct UnitSink<'a> {
    pub(super) unit: usize,
    pub(super) outbox: SyncSender<(usize, Message)>,
    pub(super) budget: &'a Budget,
    pub(super) stop: &'a Stop,
    /// How many items were told to be gone, by what their keys begin with.
    removed: BTreeMap<String, u64>,
}

impl<'a> UnitSink<'a> {
    pub(super) const fn new(
        unit: usize,
        outbox: SyncSender<(usize, Message)>,
        budget: &'a Budget,
        stop: &'a Stop,
    ) -> Self {
        Self { unit, outbox, budget, stop, removed: BTreeMap::new() }
    }
}

impl UnitSink<'_> {
    /// Returns whether the unit should end soon; long work between calls asks now and then.
    pub fn is_stopped(&self) -> bool {
        self.stop.is_requested()
    }

    /// Returns the request to end, for what waits on its own.
    pub const fn stop(&self) -> &Stop {
        self.stop
    }

    /// Tells what the newest versions of some items are, in the order of the keys; see [`crate::ChangeSink::known`].
    pub fn known(
        &mut self,
        stream: &StreamName,
        keys: Vec<String>,
    ) -> Result<Vec<Option<KnownItem>>, UnitError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        self.ask(|answer| Message::Known { stream: stream.clone(), keys, answer })
    }

    /// Lists known keys behind a key, in order; an empty answer means that there are no more.
    pub fn known_keys(
        &mut self,
        stream: &StreamName,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<String>, UnitError> {
        let after = after.map(str::to_owned);
        self.ask(|answer| Message::KnownKeys { stream: stream.clone(), after, limit, answer })
    }

    /// Lists the keys whose reading failed for a cause that may have passed.
    pub fn failed_keys(&mut self, stream: &StreamName, limit: u32) -> Result<Vec<String>, UnitError> {
        self.ask(|answer| Message::FailedKeys { stream: stream.clone(), limit, answer })
    }

    /// Says that so many more items were listed. By the next [`Self::advance`] each of them must be stored, unchanged
    /// or unreadable: a unit that loses one is an error. Items that a change feed names are listed by it.
    pub fn listed(&mut self, count: u64) -> Result<(), UnitError> {
        self.say(Message::Listed(count))
    }

    /// Takes an item with its content.
    pub fn upsert(&mut self, item: Item, layout: Layout, body: Body) -> Result<(), UnitError> {
        let bytes = match &body {
            Body::Bytes(bytes) => bytes.len() as u64,
            Body::Stream(_) => 0,
        };
        let taken_bytes = self.budget.take(bytes).ok_or(UnitError::Stopped)?;
        self.say(Message::Upsert { item, layout, body, taken_bytes })
    }

    /// Takes new attributes of an item whose content is known ([`KnownItem::has_content`]) and still the same.
    pub fn upsert_attributes(&mut self, item: Item) -> Result<(), UnitError> {
        self.say(Message::Attributes(item))
    }

    /// Counts items that are as an earlier commit holds them.
    pub fn unchanged(&mut self, count: u64) -> Result<(), UnitError> {
        if count == 0 { Ok(()) } else { self.say(Message::Unchanged(count)) }
    }

    /// Takes the news that an item is gone: the source said so, or a complete listing does not have it. A lost feed, a
    /// refusal or an empty answer says no such thing.
    pub fn removed(&mut self, stream: &StreamName, key: String) -> Result<(), UnitError> {
        let kind = key.split('/').next().unwrap_or_default();
        match self.removed.get_mut(kind) {
            Some(count) => *count += 1,
            None => drop(self.removed.insert(kind.to_owned(), 1)),
        }
        self.say(Message::Removed { stream: stream.clone(), key })
    }

    /// Returns how many items were told to be gone in this read whose keys begin with `kind/`.
    pub fn removed_count(&self, kind: &str) -> u64 {
        self.removed.get(kind).copied().unwrap_or(0)
    }

    /// Takes the news that an item exists and cannot be read.
    pub fn unreadable(
        &mut self,
        stream: &StreamName,
        key: String,
        reason: UnreadableReason,
    ) -> Result<(), UnitError> {
        self.say(Message::Unreadable { stream: stream.clone(), key, reason })
    }

    /// Takes something that somebody did.
    pub fn event(&mut self, event: Event) -> Result<(), UnitError> {
        self.say(Message::Event(Box::new(event)))
    }

    /// Says that everything before a position was handed over; a later read goes on from it.
    pub fn advance(&mut self, position: String) -> Result<(), UnitError> {
        self.say(Message::Advance(position))
    }

    /// Says which units there are now, itself among them. Those that are new are read as soon as a thread is free; those
    /// that are missing are not read again. A unit with a name that there was before takes its place.
    pub fn plan(&mut self, plan: Vec<Planned<'static>>) -> Result<(), UnitError> {
        self.say(Message::Plan(plan))
    }

    fn ask<T>(&mut self, question: impl FnOnce(Sender<T>) -> Message) -> Result<T, UnitError> {
        let (answer, answered) = channel();
        self.say(question(answer))?;
        receive(&answered)
    }

    pub(super) fn say(&mut self, message: Message) -> Result<(), UnitError> {
        if self.stop.is_requested() && !matches!(message, Message::Ended { .. }) {
            return Err(UnitError::Stopped);
        }
        // Nobody listens any more when the sink failed.
        self.outbox.send((self.unit, message)).map_err(|_| UnitError::Stopped)
    }
}

/// Walks over the known keys below a prefix, page by page, in order. Between two pages the sink is free for other calls.
pub struct KnownBelow<'p> {
    prefix: &'p str,
    /// The key behind which the next page begins; absent: nothing more comes.
    after: Option<String>,
}

/// How many known keys are asked for at a time.
const KNOWN_PAGE: u32 = 1000;

impl<'p> KnownBelow<'p> {
    /// Begins a walk.
    pub fn new(prefix: &'p str) -> Self {
        Self { prefix, after: Some(prefix.to_owned()) }
    }

    /// Returns the next page, of which every key begins with the prefix; `None` when there are no more.
    pub fn next_page(
        &mut self,
        stream: &StreamName,
        sink: &mut UnitSink<'_>,
    ) -> Result<Option<Vec<String>>, UnitError> {
        let Some(after) = self.after.take() else { return Ok(None) };
        let mut page = sink.known_keys(stream, Some(&after), KNOWN_PAGE)?;
        // A key that is not below the prefix lies behind all that are.
        self.after = page.last().filter(|last| last.starts_with(self.prefix)).cloned();
        page.retain(|key| key.starts_with(self.prefix));
        Ok((!page.is_empty()).then_some(page))
    }
}

fn receive<T>(answered: &Receiver<T>) -> Result<T, UnitError> {
    answered.recv().map_err(|_| UnitError::Stopped)
}
