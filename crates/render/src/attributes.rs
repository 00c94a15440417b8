//! What a connector keeps beside the content, as fields.

use serde_json::Value;

use crate::{
    document::{Document, Limits},
    record, time,
};

/// Adds the attributes of any item as fields.
pub(crate) fn fill(document: &mut Document, attributes: &str, limits: &Limits) {
    let Ok(Value::Object(mut members)) = serde_json::from_str::<Value>(attributes) else { return };
    if let Some(mode) = members.get("mode").and_then(Value::as_u64) {
        members.insert("mode".to_owned(), format!("{mode:04o}").into());
    }
    if let Some(modified) = members.remove("modified_ns").and_then(|value| value.as_i64()) {
        members.insert("modified".to_owned(), time::of_nanoseconds(modified.into()).into());
    }
    record::fields(document, &Value::Object(members), limits);
}

/// Adds what is kept of a message as fields.
pub(crate) fn fill_mail(document: &mut Document, attributes: &str) {
    let attributes: Value = serde_json::from_str(attributes).unwrap_or_default();
    if document.fields.is_empty() {
        for (name, member) in [("From", "from"), ("Subject", "subject"), ("Message-ID", "message_id")] {
            document.field(name, attributes[member].as_str().unwrap_or_default());
        }
    }
    if let Some(received) = attributes["received_ms"].as_i64().filter(|received| *received != 0) {
        document.field("Received", &time::of_nanoseconds(i128::from(received) * 1_000_000));
    }
    let labels: Vec<&str> =
        attributes["labels"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    document.field("Labels", &labels.join(", "));
    document.field("Thread", attributes["thread"].as_str().unwrap_or_default());
}

/// Returns in words why an item has no content.
pub(crate) fn reason(text: &str) -> String {
    let reason: Value = serde_json::from_str(text).unwrap_or_default();
    let what = match reason["reason"].as_str() {
        Some("denied") => "reading it was denied",
        Some("vanished") => "it vanished while it was read",
        Some("unsupported") => "the source has it in no form that can be read",
        Some("failed") => "reading it failed",
        Some("blinded") => "the part of the source that it is in cannot be seen",
        _ => "it could not be read",
    };
    match reason["detail"].as_str() {
        Some(detail) if !detail.is_empty() => format!("{what}: {}", crate::visible(detail, 500)),
        _ => what.to_owned(),
    }
}
