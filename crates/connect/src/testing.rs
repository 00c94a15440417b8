//! A sink in memory, for tests of connectors: it remembers, balances the ledger, and can be made to fail.

mod history;

use std::{collections::BTreeMap, io::Read};

use model::{Event, Item, Layout, Ledger, StreamName, UnreadableReason};

pub use history::MemoryHistory;

use crate::{ChangeSink, Cursor, KnownItem, LogTail, SinkError};

/// What a sink holds of one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldItem {
    /// The attributes that the connector gave it.
    pub attributes: String,
    /// Its content, or why there is none.
    pub content: Result<Vec<u8>, UnreadableReason>,
}

/// A commit that a sink took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryCommit {
    /// Where reading goes on after it.
    pub cursor: Cursor,
    /// Its account.
    pub ledger: Ledger,
    /// How many items were told to be gone.
    pub removed: u64,
}

/// Streams and keys with what is held of them.
pub type HeldItems = BTreeMap<(StreamName, String), HeldItem>;

/// Holds in memory what a reader sees.
#[derive(Debug, Clone, Default)]
pub struct MemorySink {
    /// What commits hold.
    pub held: HeldItems,
    /// What was done, as commits hold it.
    pub events: Vec<Event>,
    /// The commits so far.
    pub commits: Vec<MemoryCommit>,
    /// Bodies that were handed over, counted once for each time.
    pub bodies: u64,
    fails_after: Option<u64>,
    calls: u64,
    pending: Pending,
}

#[derive(Debug, Clone, Default)]
struct Pending {
    changes: Vec<((StreamName, String), Option<HeldItem>)>,
    events: Vec<Event>,
    ledger: Ledger,
    enumerated: Option<u64>,
}

impl MemorySink {
    /// Makes an empty sink.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes every change fail after so many more, as when the store is gone.
    #[must_use]
    pub const fn failing_after(mut self, changes: u64) -> Self {
        self.fails_after = Some(changes);
        self
    }

    /// Forgets what is not committed, as when the process is killed.
    pub fn kill(&mut self) {
        self.pending = Pending::default();
        (self.calls, self.fails_after) = (0, None);
    }

    /// Returns the newest cursor.
    pub fn cursor(&self) -> Option<Cursor> {
        self.commits.last().map(|commit| commit.cursor.clone())
    }

    /// Lists what is held of a stream.
    pub fn stream(&self, name: &str) -> BTreeMap<&str, &HeldItem> {
        let of_stream = self.held.iter().filter(|((stream, _), _)| stream.as_str() == name);
        of_stream.map(|((_, key), item)| (key.as_str(), item)).collect()
    }

    fn call(&mut self) -> Result<(), SinkError> {
        self.calls += 1;
        match self.fails_after {
            Some(last) if self.calls > last => Err(SinkError::Vault("told to fail".into())),
            _ => Ok(()),
        }
    }

    fn put(&mut self, item: Item, content: Result<Vec<u8>, UnreadableReason>) {
        let held = HeldItem { attributes: item.attributes, content };
        self.pending.changes.push(((item.stream, item.key), Some(held)));
    }

    /// Walks over what is held of a stream, from a key on.
    fn of_stream<'s>(
        &'s self,
        stream: &'s StreamName,
        from: &str,
    ) -> impl Iterator<Item = (&'s str, &'s HeldItem)> {
        let from = (stream.clone(), from.to_owned());
        let held = self.held.range(from..).take_while(move |((of, _), _)| of == stream);
        held.map(|((_, key), item)| (key.as_str(), item))
    }

    fn find(&self, stream: &StreamName, key: &str) -> Option<&HeldItem> {
        self.held.get(&(stream.clone(), key.to_owned()))
    }
}

impl ChangeSink for MemorySink {
    fn tail(&mut self, _stream: &StreamName) -> Result<Option<LogTail>, SinkError> {
        Ok(None)
    }

    fn upsert(&mut self, item: Item, _layout: Layout, body: &mut dyn Read) -> Result<(), SinkError> {
        self.call()?;
        let mut bytes = Vec::new();
        body.read_to_end(&mut bytes).map_err(|source| SinkError::Body { key: item.key.clone(), source })?;
        self.bodies += 1;
        self.pending.ledger.stored += 1;
        self.put(item, Ok(bytes));
        Ok(())
    }

    fn known(&mut self, stream: &StreamName, key: &str) -> Result<Option<KnownItem>, SinkError> {
        let held = self.find(stream, key);
        Ok(held
            .map(|held| KnownItem { attributes: held.attributes.clone(), has_content: held.content.is_ok() }))
    }

    fn known_keys(
        &mut self,
        stream: &StreamName,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<String>, SinkError> {
        let behind = self.of_stream(stream, after.unwrap_or_default());
        let keys = behind.map(|(key, _)| key).filter(|key| after.is_none_or(|after| **key > *after));
        Ok(keys.map(str::to_owned).take(limit as usize).collect())
    }

    fn failed_keys(&mut self, stream: &StreamName, limit: u32) -> Result<Vec<String>, SinkError> {
        let failed = self
            .of_stream(stream, "")
            .filter(|(_, held)| matches!(held.content, Err(UnreadableReason::Failed { .. })));
        Ok(failed.map(|(key, _)| key.to_owned()).take(limit as usize).collect())
    }

    fn upsert_attributes(&mut self, item: Item) -> Result<bool, SinkError> {
        self.call()?;
        let Some(Ok(content)) = self.find(&item.stream, &item.key).map(|held| held.content.clone()) else {
            return Ok(false);
        };
        self.pending.ledger.stored += 1;
        self.put(item, Ok(content));
        Ok(true)
    }

    fn unchanged(&mut self, count: u64) -> Result<(), SinkError> {
        self.pending.ledger.unchanged += count;
        Ok(())
    }

    fn enumerated(&mut self, count: u64) -> Result<(), SinkError> {
        *self.pending.enumerated.get_or_insert(0) += count;
        Ok(())
    }

    fn removed(&mut self, stream: StreamName, key: String) -> Result<(), SinkError> {
        self.call()?;
        self.pending.changes.push(((stream, key), None));
        Ok(())
    }

    fn unreadable(
        &mut self,
        stream: StreamName,
        key: String,
        reason: UnreadableReason,
    ) -> Result<(), SinkError> {
        self.call()?;
        self.pending.ledger.unreadable += 1;
        self.put(Item { stream, key, attributes: "{}".to_owned() }, Err(reason));
        Ok(())
    }

    fn event(&mut self, event: Event) -> Result<(), SinkError> {
        self.pending.events.push(event);
        Ok(())
    }

    fn append(&mut self, _stream: &StreamName, _offset: u64, _bytes: &[u8]) -> Result<(), SinkError> {
        Err(SinkError::Vault("this sink takes no logs".into()))
    }

    fn sync(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    fn checkpoint(&mut self, cursor: &Cursor) -> Result<(), SinkError> {
        self.call()?;
        let Pending { changes, events, mut ledger, enumerated } = std::mem::take(&mut self.pending);
        let accounted = ledger.stored + ledger.unchanged + ledger.unreadable;
        ledger.enumerated = enumerated.unwrap_or(accounted);
        if !ledger.balances() {
            return Err(SinkError::Vault(format!("the ledger does not balance: {ledger:?}").into()));
        }
        let mut removed = 0;
        for (place, change) in changes {
            match change {
                Some(held) => drop(self.held.insert(place, held)),
                None => removed += u64::from(self.held.remove(&place).is_some()),
            }
        }
        self.events.extend(events);
        self.commits.push(MemoryCommit { cursor: cursor.clone(), ledger, removed });
        Ok(())
    }
}
