//! Answers of the Gmail API, as far as they are read. Numbers of 64 bits come as text.

use serde::Deserialize;
use serde_json::Value;

/// `users.getProfile`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Profile {
    pub(super) history_id: String,
}

/// A message's id with its thread's, as lists and the history carry them.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Reference {
    pub(super) id: String,
}

/// `users.messages.list`
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MessagePage {
    #[serde(default)]
    pub(super) messages: Vec<Reference>,
    pub(super) next_page_token: Option<String>,
}

/// `users.messages.get` in the format `raw`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawMessage {
    pub(super) id: String,
    #[serde(default)]
    pub(super) thread_id: String,
    #[serde(default)]
    pub(super) label_ids: Vec<String>,
    #[serde(default)]
    pub(super) internal_date: String,
    /// All of it, in the alphabet of URLs. A message without it was not read.
    pub(super) raw: Option<String>,
}

/// `users.labels.list`
#[derive(Debug, Default, Deserialize)]
pub(super) struct LabelList {
    #[serde(default)]
    pub(super) labels: Vec<Value>,
}

/// `users.history.list`
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct HistoryPage {
    #[serde(default)]
    pub(super) history: Vec<HistoryRecord>,
    pub(super) next_page_token: Option<String>,
    pub(super) history_id: String,
}

/// One change of a mailbox. The typed lists say what happened; `messages` repeats them and is not read.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct HistoryRecord {
    pub(super) messages_added: Vec<MessageChange>,
    pub(super) messages_deleted: Vec<MessageChange>,
    pub(super) labels_added: Vec<LabelChange>,
    pub(super) labels_removed: Vec<LabelChange>,
}

#[derive(Debug, Deserialize)]
pub(super) struct MessageChange {
    pub(super) message: Reference,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LabelChange {
    pub(super) message: Reference,
    #[serde(default)]
    pub(super) label_ids: Vec<String>,
}
