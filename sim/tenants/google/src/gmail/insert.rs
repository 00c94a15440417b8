//! Putting messages into a mailbox.

use std::collections::BTreeSet;

use bytes::Bytes;
use model::Moment;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{
    mailbox::{Content, Mailbox, Message, from_hex, hex},
    mime::{self, Head},
    open_mailbox,
};
use crate::{
    call::{Answer, Call, Reply},
    refusal::Refusal,
    stamp,
    tenant::Tenant,
    text,
    upload::{self, Received},
};

/// The largest message.
const BYTES_MAX: usize = 157_286_400;
/// What filters everywhere take for spam, so that they can be tested.
const SPAM: &[u8] = b"XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X";

/// What is said of a message besides its bytes.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Metadata {
    raw: String,
    label_ids: Vec<String>,
    pub(super) thread_id: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Like appending over IMAP.
    Insert,
    /// Like a delivery.
    Import,
}

pub(super) fn insert(tenant: &mut Tenant, call: &Call) -> Answer {
    bring(tenant, call, Metadata::raw, |tenant, metadata, raw| put(tenant, call, Way::Insert, &metadata, raw))
}

pub(super) fn import(tenant: &mut Tenant, call: &Call) -> Answer {
    bring(tenant, call, Metadata::raw, |tenant, metadata, raw| put(tenant, call, Way::Import, &metadata, raw))
}

impl Metadata {
    pub(super) fn raw(&mut self) -> String {
        std::mem::take(&mut self.raw)
    }
}

/// Takes a message with what is said of it: in one JSON document, of which `text` takes the message, or as an upload of
/// the message. `put` gets it when all of it is there.
pub(super) fn bring<M: DeserializeOwned + Default>(
    tenant: &mut Tenant,
    call: &Call,
    text: impl FnOnce(&mut M) -> String,
    put: impl FnOnce(&mut Tenant, M, Bytes) -> Answer,
) -> Answer {
    if !call.path.starts_with("/upload/") && !call.path.starts_with("/resumable/") {
        let mut metadata: M = call.json()?;
        let raw = decoded(&text(&mut metadata))?;
        return put(tenant, metadata, Bytes::from(raw));
    }
    match upload::receive(tenant, call)? {
        Received::Step(reply) => Ok(reply),
        Received::Whole(upload) => {
            if !upload.media_type.to_ascii_lowercase().starts_with("message/") {
                let message = format!(
                    "Media type '{}' is not supported. Valid media types: [message/*]",
                    upload.media_type
                );
                return Err(Refusal::new(400, "badContent", "INVALID_ARGUMENT", message));
            }
            let metadata: M = upload.metadata()?;
            let answer = put(tenant, metadata, upload.media.clone());
            upload::finish(tenant, &upload, answer)
        }
    }
}

/// Reads what stands in `raw`.
pub(super) fn decoded(raw: &str) -> Result<Vec<u8>, Refusal> {
    if raw.is_empty() {
        return Err(Refusal::invalid(
            "'raw' RFC822 payload message string or uploading message via /upload/* URL required",
        ));
    }
    text::from_base64url(raw).ok_or_else(|| {
        Refusal::invalid("Invalid value at 'message.raw' (TYPE_BYTES), Base64 decoding failed")
    })
}

fn put(tenant: &mut Tenant, call: &Call, way: Way, metadata: &Metadata, raw: Bytes) -> Answer {
    if raw.len() > BYTES_MAX {
        return Err(Refusal::new(413, "uploadTooLarge", "INVALID_ARGUMENT", "Request entity too large"));
    }
    let source = call.query("internalDateSource").unwrap_or(match way {
        Way::Insert => "receivedTime",
        Way::Import => "dateHeader",
    });
    if source != "receivedTime" && source != "dateHeader" {
        return Err(Refusal::invalid(format!("Invalid value at 'internal_date_source': \"{source}\"")));
    }
    let mailbox = open_mailbox(tenant, call)?;
    if metadata.label_ids.iter().any(|label| label == "DRAFT") {
        return Err(Refusal::invalid("Invalid label: DRAFT"));
    }
    let mut labels: BTreeSet<_> = mailbox.label_ids(&metadata.label_ids)?.into_iter().collect();
    let head = mime::head(&raw);
    let spam = way == Way::Import && !call.flag("neverMarkSpam") && crate::batch::find(&raw, SPAM).is_some();
    if spam {
        labels.remove("INBOX");
        labels.insert(text::shared("SPAM"));
    }
    let thread = joined(mailbox, &metadata.thread_id, &head)?;
    let received = stamp::millis(call.now);
    let id = mailbox.new_id(received);
    // What is only for Vault is never seen again over this API.
    if !call.flag("deleted") {
        let date = head.date.filter(|_| source == "dateHeader").map_or(received, stamp::millis);
        let message = message(head, thread.unwrap_or(id), labels.clone(), date, raw);
        mailbox.add(id, message, call.now);
    }
    let labels: Vec<Value> = labels.iter().map(|label| Value::from(&**label)).collect();
    let mut body = json!({ "id": hex(id), "threadId": hex(thread.unwrap_or(id)) });
    if !labels.is_empty() {
        body["labelIds"] = Value::Array(labels);
    }
    Ok(Reply::json(body))
}

/// Makes a message of its bytes.
pub(super) fn message(
    head: Head,
    thread: u64,
    labels: BTreeSet<std::sync::Arc<str>>,
    internal_date: i64,
    raw: Bytes,
) -> Message {
    Message {
        thread,
        labels,
        internal_date,
        history: 0,
        message_id: head.message_id.into(),
        subject: head.subject.into(),
        from: head.from.into(),
        content: Content::Stored(raw),
    }
}

/// Returns the thread that a message joins: the named one, if the message also answers one of its messages and has its
/// subject.
pub(super) fn joined(mailbox: &Mailbox, thread: &str, head: &Head) -> Result<Option<u64>, Refusal> {
    if thread.is_empty() {
        return Ok(None);
    }
    let id = from_hex(thread).ok_or_else(|| Refusal::invalid("Invalid thread_id value"))?;
    let members = mailbox.thread(id).ok_or_else(Refusal::not_found)?;
    let joins = members.iter().filter_map(|member| mailbox.message(*member)).any(|member| {
        head.references.iter().any(|reference| **reference == *member.message_id)
            && mime::plain_subject(&member.subject) == mime::plain_subject(&head.subject)
    });
    Ok(joins.then_some(id))
}

/// Puts a message into the inbox as a delivery does: it joins the thread of what it answers.
pub(super) fn deliver(mailbox: &mut Mailbox, raw: &[u8], now: Moment) -> u64 {
    let head = mime::head(raw);
    let answered = head.references.iter().rev().find_map(|reference| {
        let id = mailbox.with_message_id(reference).first()?;
        let message = mailbox.message(*id)?;
        let same = mime::plain_subject(&message.subject) == mime::plain_subject(&head.subject);
        same.then_some(message.thread)
    });
    let received = stamp::millis(now);
    let id = mailbox.new_id(received);
    let labels = ["INBOX", "UNREAD"].map(text::shared).into();
    let message = message(head, answered.unwrap_or(id), labels, received, Bytes::copy_from_slice(raw));
    mailbox.add(id, message, now);
    id
}
