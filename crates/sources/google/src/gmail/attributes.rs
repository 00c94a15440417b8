use std::sync::LazyLock;

use mail_parser::{HeaderName, MessageParser};
use serde::{Deserialize, Serialize};

use super::wire::RawMessage;

/// Of a header so many characters are kept for people to find a message by.
const HEADER_CHARACTERS_MAX: usize = 200;

static HEADERS: LazyLock<MessageParser> =
    LazyLock::new(|| MessageParser::new().with_minimal_headers().header_id(HeaderName::MessageId));

/// What is kept of a message beside its text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageAttributes {
    /// The thread's id in this mailbox.
    pub thread: String,
    /// The ids of its labels, sorted; the items `label/ID` have their names.
    pub labels: Vec<String>,
    /// When the mailbox received it, in milliseconds since 1970.
    pub received_ms: i64,
    /// Its subject, decoded, shortened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The first sender's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Its message id, without angle brackets; senders choose it, and it may occur twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
}

impl MessageAttributes {
    /// Reads stored attributes.
    pub fn of_text(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// Returns them as they are stored.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Takes what the mailbox says of a message, and what its text says to people.
    pub(super) fn of_message(message: &RawMessage, text: &[u8]) -> Self {
        let mut labels = message.label_ids.clone();
        labels.sort_unstable();
        labels.dedup();
        let parsed = HEADERS.parse_headers(text);
        let parsed = parsed.as_ref();
        Self {
            thread: message.thread_id.clone(),
            labels,
            received_ms: message.internal_date.parse().unwrap_or_default(),
            subject: parsed.and_then(|message| message.subject()).map(shortened),
            from: parsed
                .and_then(|message| message.from())
                .and_then(|from| from.first())
                .and_then(|from| from.address())
                .map(shortened),
            message_id: parsed.and_then(|message| message.message_id()).map(shortened),
        }
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(HEADER_CHARACTERS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(labels: &[&str]) -> RawMessage {
        RawMessage {
            id: "18c".to_owned(),
            thread_id: "18b".to_owned(),
            label_ids: labels.iter().map(|&label| label.to_owned()).collect(),
            internal_date: "1717171717000".to_owned(),
            raw: None,
        }
    }

    #[test]
    fn headers_are_read_for_people() {
        let text = b"From: =?UTF-8?Q?J=C3=B6rg?= <joerg@acme.test>\r\nSubject: =?UTF-8?B?R3LDvMOfZQ==?=\r\n\
            Message-ID: <1@acme.test>\r\n\r\nbody";
        let attributes = MessageAttributes::of_message(&message(&["UNREAD", "INBOX", "INBOX"]), text);
        assert_eq!(attributes.labels, ["INBOX", "UNREAD"]);
        assert_eq!(attributes.subject.as_deref(), Some("Gr\u{fc}\u{df}e"));
        assert_eq!(attributes.from.as_deref(), Some("joerg@acme.test"));
        assert_eq!(attributes.message_id.as_deref(), Some("1@acme.test"));
        assert_eq!(MessageAttributes::of_text(&attributes.to_text()), Some(attributes));
    }

    #[test]
    fn a_message_that_is_none_has_no_headers() {
        for text in [&b""[..], b"\0\xff\xfe", b"no header at all", b"Subject", b"\r\n\r\n"] {
            let attributes = MessageAttributes::of_message(&message(&[]), text);
            assert_eq!((attributes.from, attributes.message_id), (None, None));
            assert_eq!(attributes.received_ms, 1_717_171_717_000);
        }
    }
}
