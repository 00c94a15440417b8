use std::{
    fmt,
    io::Read,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use model::{Event, Item, Layout, Stage, StreamName, UnreadableReason};
use ports::Clock;
use serde::{Deserialize, Serialize};

use crate::{FileOf, QuotaMeter, pause};

/// Where a reader stands in a source's changes. Only the connector understands the text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor(pub String);

/// A request to end that any thread may make and every long read watches.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Makes a stop out of a flag that somebody else sets, such as a signal handler.
    pub const fn of(flag: Arc<AtomicBool>) -> Self {
        Self(flag)
    }

    /// Asks everybody who holds a clone to end soon.
    pub fn request(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Returns whether somebody asked.
    pub fn is_requested(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// Waits by the clock, and no longer than until somebody asks; returns whether the whole time passed.
    pub fn wait(&self, clock: &dyn Clock, duration: Duration) -> bool {
        pause::pause(clock, duration, &|| self.is_requested())
    }
}

/// Why a sink did not take what it was given. The reader ends and reports it; it never goes on as if it were stored.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// There is no room. What was acknowledged before stays; the read goes on from there once there is room again.
    #[error("the vault has no space left")]
    Full(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The body could not be read to its end; the item must be reported as unreadable.
    #[error("the body of {key} broke off")]
    Body {
        /// The item's key.
        key: String,
        /// What reading it answered.
        #[source]
        source: std::io::Error,
    },
    /// The vault failed otherwise.
    #[error("the vault did not take the change")]
    Vault(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Why reading a source ended before its time.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The source's answer, with what a person can do about it.
    #[error("{message}")]
    Source {
        /// What happened, in the words of the connector.
        message: String,
        /// A command or statement that helps, where one is known.
        hint: Option<String>,
        /// Whether trying again later, with nothing changed by a person, may succeed.
        transient: bool,
        /// What the connector was told.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// Changes between two positions are lost for good; the moments between them cannot be restored.
    #[error("changes between {from} and {to} are lost")]
    Hole {
        /// The last position that is safe.
        from: String,
        /// The first position that can still be had.
        to: String,
    },
    /// The sink did not take a change.
    #[error("the change was not stored")]
    Sink(#[from] SinkError),
}

impl ReadError {
    /// Returns what a person can do about it.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Source { hint, .. } => hint.as_deref(),
            Self::Hole { .. } | Self::Sink(_) => None,
        }
    }
}

/// Why a read came to a good end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadEnd {
    /// It was asked to end.
    Stopped,
    /// Everything that the source had at the start has been read.
    UpToDate,
}

/// The bytes of a log that are durable but not yet part of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogTail {
    /// The position of the first byte.
    pub offset: u64,
    /// The bytes; the source may have forgotten them, because they were acknowledged.
    pub bytes: Vec<u8>,
}

/// What the newest version of an item is, as far as the capturing host remembers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownItem {
    /// The attributes that its connector gave it.
    pub attributes: String,
    /// Whether its content is held; it is not when the item was unreadable.
    pub has_content: bool,
}

/// Takes what a reader sees. Everything before a returned `sync` or `checkpoint` survives a power cut.
pub trait ChangeSink {
    /// Returns what an earlier run synced and did not commit; a reader goes on after it, not after its cursor.
    ///
    /// The sink commits these bytes with the next checkpoint: a reader parses them again, and does not append them again.
    fn tail(&mut self, stream: &StreamName) -> Result<Option<LogTail>, SinkError>;

    /// Takes an item with its content.
    fn upsert(&mut self, item: Item, layout: Layout, body: &mut dyn Read) -> Result<(), SinkError>;

    /// Takes an item whose content is in memory.
    fn upsert_bytes(&mut self, item: Item, layout: Layout, bytes: &[u8]) -> Result<(), SinkError> {
        self.upsert(item, layout, &mut &*bytes)
    }

    /// Tells what the newest version of an item is, as of the last checkpoint; `None` when it is not known here.
    ///
    /// What was handed over since then is the reader's own knowledge. A host that has lost its memory knows nothing: the
    /// reader then fetches everything, and the vault stores it once.
    fn known(&mut self, _stream: &StreamName, _key: &str) -> Result<Option<KnownItem>, SinkError> {
        Ok(None)
    }

    /// Lists the keys of a stream that are live as of the last checkpoint, in order, from behind a key on; so many at
    /// most. An empty answer means that there are no more.
    fn known_keys(
        &mut self,
        _stream: &StreamName,
        _after: Option<&str>,
        _limit: u32,
    ) -> Result<Vec<String>, SinkError> {
        Ok(Vec::new())
    }

    /// Lists the keys of a stream whose reading failed for a cause that may have passed; so many at most.
    fn failed_keys(&mut self, _stream: &StreamName, _limit: u32) -> Result<Vec<String>, SinkError> {
        Ok(Vec::new())
    }

    /// Takes new attributes of an item whose content is still that of its newest version. Returns false when that
    /// content is not known here: the reader must then hand it over.
    fn upsert_attributes(&mut self, _item: Item) -> Result<bool, SinkError> {
        Ok(false)
    }

    /// Counts items that were listed and are as an earlier commit holds them.
    fn unchanged(&mut self, count: u64) -> Result<(), SinkError>;

    /// Says that so many more items were listed since the last checkpoint. Once it was said, the commit is made only if
    /// every one of them is stored, unchanged or unreadable.
    fn enumerated(&mut self, count: u64) -> Result<(), SinkError>;

    /// Takes the news that an item is gone from the source.
    fn removed(&mut self, stream: StreamName, key: String) -> Result<(), SinkError>;

    /// Takes the news that an item exists but cannot be read.
    fn unreadable(
        &mut self,
        stream: StreamName,
        key: String,
        reason: UnreadableReason,
    ) -> Result<(), SinkError>;

    /// Takes news of something that is not settled yet, for whoever watches: it is not stored. What is stored is told
    /// again by [`ChangeSink::event`], under the same position and transaction, or as part of a sum.
    fn glimpse(&mut self, _stage: Stage, _event: Event) -> Result<(), SinkError> {
        Ok(())
    }

    /// Takes something that somebody did.
    fn event(&mut self, event: Event) -> Result<(), SinkError>;

    /// Takes the next bytes of a log; `offset` is the position of the first byte in the log.
    fn append(&mut self, stream: &StreamName, offset: u64, bytes: &[u8]) -> Result<(), SinkError>;

    /// Makes everything appended so far durable. Only then may a reader acknowledge it to the source.
    fn sync(&mut self) -> Result<(), SinkError>;

    /// Ends a commit: all of it becomes visible together, and a later read goes on from `cursor`.
    fn checkpoint(&mut self, cursor: &Cursor) -> Result<(), SinkError>;
}

/// Reads a source with a read-only identity.
pub trait SourceReader {
    /// Reads changes after `cursor` (everything when there is none) into the sink, until up to date or asked to end.
    fn changes(
        &mut self,
        cursor: Option<&Cursor>,
        sink: &mut dyn ChangeSink,
        stop: &Stop,
    ) -> Result<ReadEnd, ReadError>;

    /// Tells how to know which of its items are files: their new versions are compared with what is remembered of the
    /// ones before. A source of anything else has none.
    fn files(&self) -> Option<FileOf> {
        None
    }

    /// Returns what tells of the quota that reading takes, while it reads. A source without quota has none.
    fn meter(&self) -> Option<Arc<dyn QuotaMeter>> {
        None
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use model::Moment;
    use ports::ManualClock;

    use super::*;

    #[test]
    fn a_wait_ends_when_somebody_asks() {
        let (clock, stop) = (ManualClock::new(Moment::from_micros(0)), Stop::default());
        assert!(stop.wait(&clock, Duration::from_secs(7)));
        assert_eq!(clock.elapsed(), Duration::from_secs(7));
        stop.request();
        assert!(!stop.wait(&clock, Duration::from_secs(7)));
        assert!(!stop.wait(&clock, Duration::ZERO), "who was asked to end is told so even without a wait");
        assert_eq!(clock.elapsed(), Duration::from_secs(7));
    }
}
