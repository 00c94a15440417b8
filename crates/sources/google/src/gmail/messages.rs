//! Fetching messages.

use base64_simd::URL_SAFE_NO_PAD;
use connect::units::{Body, UnitError, UnitSink};
use google_api::{ApiError, method};
use model::{Item, Layout, UnreadableReason};

use super::{Mailbox, attributes::MessageAttributes, wire::RawMessage};
use crate::failure::{as_unreadable, unit_error};

/// The key of a message's item begins with it.
pub const PREFIX: &str = "message/";

/// Returns the key of a message's item.
pub fn key(id: &str) -> String {
    format!("{PREFIX}{id}")
}

/// What is held of messages that are fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// Nothing that counts.
    Nothing,
    /// That reading them failed: this is not said again.
    Failed,
}

impl Mailbox {
    /// Fetches messages and hands each over, or says why it is not there.
    pub(super) fn fetch(&self, ids: &[String], told: Told, sink: &mut UnitSink<'_>) -> Result<(), UnitError> {
        let gets: Vec<_> = ids
            .iter()
            .map(|id| {
                Self::get(&method::GMAIL_MESSAGES_GET, &format!("messages/{id}")).query("format", "raw")
            })
            .collect();
        for (ids, gets) in ids.chunks(self.api.batch_calls()).zip(gets.chunks(self.api.batch_calls())) {
            let answers = self.api.get_many(&self.user.email, gets).map_err(|error| unit_error(&error))?;
            for (id, answer) in ids.iter().zip(answers) {
                self.take(id, answer, told, sink)?;
            }
        }
        Ok(())
    }

    fn take(
        &self,
        id: &str,
        answer: Result<Vec<u8>, ApiError>,
        told: Told,
        sink: &mut UnitSink<'_>,
    ) -> Result<(), UnitError> {
        let key = key(id);
        match answer.map_err(|error| as_unreadable(&error)).and_then(|body| self.item(&body)) {
            Ok((item, text)) => {
                self.retries.forget(&self.name, &key);
                let layout = Layout::of_size(text.len() as u64);
                sink.upsert(item, layout, Body::Bytes(text))
            }
            Err(Some(reason @ UnreadableReason::Failed { .. })) => {
                self.retries.failed(&self.name, &key);
                match told {
                    Told::Failed => sink.unchanged(1),
                    Told::Nothing => sink.unreadable(&self.stream, key, reason),
                }
            }
            Err(Some(reason)) => {
                self.retries.forget(&self.name, &key);
                sink.unreadable(&self.stream, key, reason)
            }
            Err(None) => Err(UnitError::Stopped),
        }
    }

    /// Makes an item of a message and its raw text.
    fn item(&self, body: &[u8]) -> Result<(Item, Vec<u8>), Option<UnreadableReason>> {
        let (id, attributes, text) =
            read(body).map_err(|detail| Some(UnreadableReason::Failed { detail }))?;
        let item = Item { stream: self.stream.clone(), key: key(&id), attributes: attributes.to_text() };
        Ok((item, text))
    }
}

/// Reads a message with its raw text: its id, what is kept beside the text, and the text. The error says what is wrong.
pub(crate) fn read(body: &[u8]) -> Result<(String, MessageAttributes, Vec<u8>), String> {
    let message: RawMessage =
        serde_json::from_slice(body).map_err(|error| format!("the answer is no message: {error}"))?;
    let raw = message.raw.as_deref().ok_or("the answer has no raw text")?;
    let text = decode(raw).ok_or("the raw text is not base64")?;
    let attributes = MessageAttributes::of_message(&message, &text);
    Ok((message.id, attributes, text))
}

/// Decodes base64 in the alphabet of URLs, with or without padding.
pub fn decode(raw: &str) -> Option<Vec<u8>> {
    let bare = raw.trim_end_matches('=');
    URL_SAFE_NO_PAD.decode_to_vec(bare.as_bytes()).ok()
}
