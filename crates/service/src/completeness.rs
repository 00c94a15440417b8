//! What could not be read of a source, item by item.

use model::{SourceName, UnreadableReason};
use serde::Serialize;

use crate::{Installation, ServiceError};

/// A page has so many items.
const PAGE: u32 = 50;

/// An item that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unread {
    /// Its stream.
    pub stream: String,
    /// Its key.
    pub key: String,
    /// The commit that says so.
    pub sequence: u64,
    /// Why, in one line; the source's own words are part of it.
    pub reason: String,
}

/// A page of what could not be read and still is so, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnreadPage {
    /// The items; there may be fewer than fit, although more follow.
    pub items: Vec<Unread>,
    /// Where the next page begins; absent after the last one.
    pub next: Option<i64>,
}

/// Lists what could not be read of a source, as far as the catalog on this host knows; `behind` is `next` of the page
/// before.
pub fn unread(
    installation: &Installation,
    source: &SourceName,
    behind: Option<i64>,
) -> Result<UnreadPage, ServiceError> {
    let found = installation.catalog(source)?.unread(behind, PAGE)?;
    let items = found.items.into_iter().map(|item| Unread {
        stream: item.stream,
        key: item.key,
        sequence: item.sequence,
        reason: reason_text(&item.reason),
    });
    Ok(UnreadPage { items: items.collect(), next: found.next })
}

fn reason_text(json: &str) -> String {
    match serde_json::from_str(json) {
        Ok(UnreadableReason::Denied { detail }) => format!("reading it is not allowed: {detail}"),
        Ok(UnreadableReason::Vanished) => "it was gone before it could be read".to_owned(),
        Ok(UnreadableReason::Unsupported { detail }) => format!("it cannot be had in any form: {detail}"),
        Ok(UnreadableReason::Failed { detail }) => format!("reading it failed, and is tried again: {detail}"),
        Ok(UnreadableReason::Blinded { detail }) => format!("a whole part cannot be seen: {detail}"),
        // Another version wrote it.
        Err(_) => json.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_told_in_words() {
        assert_eq!(reason_text(r#"{"reason":"denied","detail":"403"}"#), "reading it is not allowed: 403");
        assert_eq!(reason_text(r#"{"reason":"vanished"}"#), "it was gone before it could be read");
        assert_eq!(reason_text("{}"), "{}", "what is not understood is shown as it is");
    }
}
