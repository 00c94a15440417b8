//! A sink that lets time pass, writes down what it is told, and dies where it is told.

use std::{io::Read, sync::Arc};

use connect::{ChangeSink, Cursor, KnownItem, LogTail, SinkError, testing::MemorySink};
use model::{Event, Item, Layout, StreamName, UnreadableReason};
use ports::ManualClock;

/// What a reader told a sink, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    Stored { stream: String, key: String, attributes: String, content: Option<String> },
    Removed { stream: String, key: String },
    Unreadable { stream: String, key: String, reason: UnreadableReason },
    Event(Box<Event>),
    Commit,
}

/// Hands on to a sink in memory.
pub(crate) struct Watched<'a> {
    pub(crate) inner: &'a mut MemorySink,
    pub(crate) clock: Arc<ManualClock>,
    /// Time that passes with each call, so that commits are made often.
    pub(crate) step_micros: i64,
    /// The call at which it dies, counted from 1.
    pub(crate) dies_at: Option<u64>,
    pub(crate) calls: u64,
    pub(crate) told: Vec<Told>,
}

impl<'a> Watched<'a> {
    pub(crate) const fn new(inner: &'a mut MemorySink, clock: Arc<ManualClock>) -> Self {
        Self { inner, clock, step_micros: 0, dies_at: None, calls: 0, told: Vec::new() }
    }

    fn call(&mut self) -> Result<(), SinkError> {
        self.calls += 1;
        if self.dies_at.is_some_and(|at| self.calls >= at) {
            return Err(SinkError::Vault("the process was killed".into()));
        }
        self.clock.advance_micros(self.step_micros);
        Ok(())
    }
}

impl ChangeSink for Watched<'_> {
    fn tail(&mut self, stream: &StreamName) -> Result<Option<LogTail>, SinkError> {
        self.call()?;
        self.inner.tail(stream)
    }

    fn upsert(&mut self, item: Item, layout: Layout, body: &mut dyn Read) -> Result<(), SinkError> {
        self.call()?;
        let mut bytes = Vec::new();
        body.read_to_end(&mut bytes).map_err(|source| SinkError::Body { key: item.key.clone(), source })?;
        self.told.push(Told::Stored {
            stream: item.stream.as_str().to_owned(),
            key: item.key.clone(),
            attributes: item.attributes.clone(),
            content: Some(blake3::hash(&bytes).to_hex().to_string()),
        });
        self.inner.upsert_bytes(item, layout, &bytes)
    }

    fn known(&mut self, stream: &StreamName, key: &str) -> Result<Option<KnownItem>, SinkError> {
        self.call()?;
        self.inner.known(stream, key)
    }

    fn known_keys(
        &mut self,
        stream: &StreamName,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<String>, SinkError> {
        self.call()?;
        self.inner.known_keys(stream, after, limit)
    }

    fn failed_keys(&mut self, stream: &StreamName, limit: u32) -> Result<Vec<String>, SinkError> {
        self.call()?;
        self.inner.failed_keys(stream, limit)
    }

    fn upsert_attributes(&mut self, item: Item) -> Result<bool, SinkError> {
        self.call()?;
        self.told.push(Told::Stored {
            stream: item.stream.as_str().to_owned(),
            key: item.key.clone(),
            attributes: item.attributes.clone(),
            content: None,
        });
        self.inner.upsert_attributes(item)
    }

    fn unchanged(&mut self, count: u64) -> Result<(), SinkError> {
        self.call()?;
        self.inner.unchanged(count)
    }

    fn enumerated(&mut self, count: u64) -> Result<(), SinkError> {
        self.call()?;
        self.inner.enumerated(count)
    }

    fn removed(&mut self, stream: StreamName, key: String) -> Result<(), SinkError> {
        self.call()?;
        self.told.push(Told::Removed { stream: stream.as_str().to_owned(), key: key.clone() });
        self.inner.removed(stream, key)
    }

    fn unreadable(
        &mut self,
        stream: StreamName,
        key: String,
        reason: UnreadableReason,
    ) -> Result<(), SinkError> {
        self.call()?;
        let (of, name) = (stream.as_str().to_owned(), key.clone());
        self.told.push(Told::Unreadable { stream: of, key: name, reason: reason.clone() });
        self.inner.unreadable(stream, key, reason)
    }

    fn event(&mut self, event: Event) -> Result<(), SinkError> {
        self.call()?;
        self.told.push(Told::Event(Box::new(event.clone())));
        self.inner.event(event)
    }

    fn append(&mut self, stream: &StreamName, offset: u64, bytes: &[u8]) -> Result<(), SinkError> {
        self.call()?;
        self.inner.append(stream, offset, bytes)
    }

    fn sync(&mut self) -> Result<(), SinkError> {
        self.call()?;
        self.inner.sync()
    }

    fn checkpoint(&mut self, cursor: &Cursor) -> Result<(), SinkError> {
        self.call()?;
        self.told.push(Told::Commit);
        self.inner.checkpoint(cursor)
    }
}
