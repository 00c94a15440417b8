//! Small items whose content is a document of the source: settings, labels, users, groups.
//!
//! Their attributes carry a hash of the document, so that one that is as it was is not stored again.

use std::collections::BTreeSet;

use connect::units::{Body, KnownBelow, UnitError, UnitSink};
use model::{Item, Layout, StreamName, UnreadableReason};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What is kept of a document beside itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordAttributes {
    /// What people call it: a name, an address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The first half of the BLAKE3 hash of the document, in hexadecimal.
    pub hash: String,
}

/// A document with its key.
pub(crate) struct Record {
    pub(crate) key: String,
    pub(crate) name: Option<String>,
    pub(crate) document: Value,
}

/// Members that change with every reading or say nothing about the thing itself.
const NOISE: [&str; 1] = ["etag"];

impl Record {
    pub(crate) fn new(key: impl Into<String>, name: Option<&str>, mut document: Value) -> Self {
        if let Value::Object(members) = &mut document {
            for noise in NOISE {
                members.remove(noise);
            }
        }
        Self { key: key.into(), name: name.map(str::to_owned), document }
    }

    fn content(&self) -> Vec<u8> {
        // Members are sorted by the map, so that the same document is the same bytes.
        serde_json::to_vec_pretty(&self.document).unwrap_or_default()
    }
}

/// How many keys are asked for at a time.
const PAGE: usize = 500;

/// Stores those of some records that are new or changed.
pub(crate) fn store(
    stream: &StreamName,
    records: &[Record],
    sink: &mut UnitSink<'_>,
) -> Result<(), UnitError> {
    for page in records.chunks(PAGE) {
        sink.listed(page.len() as u64)?;
        let known = sink.known(stream, page.iter().map(|record| record.key.clone()).collect())?;
        let mut unchanged = 0;
        for (record, known) in page.iter().zip(known) {
            let content = record.content();
            let hash = hash(&content);
            let attributes = RecordAttributes { name: record.name.clone(), hash };
            let attributes = serde_json::to_string(&attributes).unwrap_or_default();
            if known.is_some_and(|known| known.has_content && known.attributes == attributes) {
                unchanged += 1;
                continue;
            }
            let item = Item { stream: stream.clone(), key: record.key.clone(), attributes };
            sink.upsert(item, Layout::of_size(content.len() as u64), Body::Bytes(content))?;
        }
        sink.unchanged(unchanged)?;
    }
    Ok(())
}

/// Says once that something cannot be read, not in every round.
pub(crate) fn unreadable_once(
    stream: &StreamName,
    key: String,
    reason: UnreadableReason,
    sink: &mut UnitSink<'_>,
) -> Result<(), UnitError> {
    let known = sink.known(stream, vec![key.clone()])?;
    if known.into_iter().flatten().any(|known| !known.has_content) {
        return Ok(());
    }
    sink.listed(1)?;
    sink.unreadable(stream, key, reason)
}

/// Takes back that something cannot be read, if that was said.
pub(crate) fn readable_again(
    stream: &StreamName,
    key: &str,
    sink: &mut UnitSink<'_>,
) -> Result<(), UnitError> {
    match sink.known(stream, vec![key.to_owned()])?.pop().flatten() {
        Some(known) if !known.has_content => sink.removed(stream, key.to_owned()),
        _ => Ok(()),
    }
}

/// Returns all keys below a prefix that are held.
pub(crate) fn keys_below(
    stream: &StreamName,
    prefix: &str,
    sink: &mut UnitSink<'_>,
) -> Result<Vec<String>, UnitError> {
    let (mut known, mut all) = (KnownBelow::new(prefix), Vec::new());
    while let Some(keys) = known.next_page(stream, sink)? {
        all.extend(keys);
    }
    Ok(all)
}

/// Tells what is held below a prefix and is not among the listed keys: the listing is complete.
pub(crate) fn remove_others(
    stream: &StreamName,
    prefix: &str,
    listed: &BTreeSet<String>,
    sink: &mut UnitSink<'_>,
) -> Result<(), UnitError> {
    let mut known = KnownBelow::new(prefix);
    while let Some(keys) = known.next_page(stream, sink)? {
        for key in keys.into_iter().filter(|key| !listed.contains(key)) {
            sink.removed(stream, key)?;
        }
    }
    Ok(())
}

/// Returns the first half of the BLAKE3 hash of some content, in hexadecimal.
pub(crate) fn hash(content: &[u8]) -> String {
    blake3::hash(content).to_hex()[..32].to_owned()
}
