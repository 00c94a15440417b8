//! How a run of a log is described in a commit.

use std::collections::BTreeMap;

use model::{Item, StreamName};
use serde::{Deserialize, Serialize};
use vault::{CommitWriter, Layout, WriteError};

/// Contiguous bytes of one log.
#[derive(Debug, Clone, Default)]
pub(crate) struct LogBytes {
    pub(crate) start: u64,
    pub(crate) bytes: Vec<u8>,
}

impl LogBytes {
    pub(crate) const fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }
}

/// Takes all runs out, one by one, so that each can be dropped once it is stored.
pub(crate) fn take_runs(
    logs: &mut BTreeMap<StreamName, Vec<LogBytes>>,
) -> impl Iterator<Item = (StreamName, LogBytes)> + use<> {
    std::mem::take(logs)
        .into_iter()
        .flat_map(|(stream, runs)| runs.into_iter().map(move |run| (stream.clone(), run)))
}

/// Adds a run to a commit.
pub(crate) fn store_run(
    writer: &mut CommitWriter,
    stream: StreamName,
    run: &LogBytes,
) -> Result<(), WriteError> {
    let content = writer.store_bytes(Layout::Stream, &run.bytes)?;
    let position = LogRun { start: run.start, end: run.end() };
    let item = Item { stream, key: position.key(), attributes: position.attributes() };
    writer.upsert(item, content)
}

/// The attributes of an item that is a run of a log. Its key is the start and the end, 16 hexadecimal digits each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogRun {
    /// The position of the first byte in the log.
    pub start: u64,
    /// The position after the last byte.
    pub end: u64,
}

impl LogRun {
    /// Returns the item's key, whose text order is the order of positions.
    ///
    /// The end is part of it: a resumed capture may store a shorter run with the same start, and that must not take
    /// the place of the longer one.
    pub fn key(&self) -> String {
        format!("{:016X}-{:016X}", self.start, self.end)
    }

    /// Returns the item's attributes.
    pub fn attributes(&self) -> String {
        format!(r#"{{"start":{},"end":{}}}"#, self.start, self.end)
    }

    /// Reads the attributes of an item; `None` when it is no run of a log.
    pub fn of_attributes(attributes: &str) -> Option<Self> {
        serde_json::from_str(attributes).ok().filter(|run: &Self| run.start < run.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let run = LogRun { start: 0x1_0000_0028, end: 0x1_0100_0000 };
        assert_eq!(LogRun::of_attributes(&run.attributes()), Some(run));
        assert_eq!(run.key(), "0000000100000028-0000000101000000");
        assert_eq!(LogRun::of_attributes(r#"{"start":5,"end":5}"#), None);
    }
}
