//! Sending: the message is among the sent ones, and arrives at once in the domain's own mailboxes.

use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;

use super::{insert, mailbox::hex, messages, mime, open_mailbox};
use crate::{
    call::{Answer, Call, Reply},
    refusal::Refusal,
    stamp,
    tenant::Tenant,
    text,
};

/// The largest message that can be sent.
const BYTES_MAX: usize = 36_700_160;

pub(super) fn send(tenant: &mut Tenant, call: &Call) -> Answer {
    insert::bring(tenant, call, insert::Metadata::raw, |tenant, metadata, raw| {
        let head = mime::head(&raw);
        let mailbox = open_mailbox(tenant, call)?;
        let thread = insert::joined(mailbox, &metadata.thread_id, &head)?;
        let id = mailbox.new_id(stamp::millis(call.now));
        hand_over(tenant, call, id, thread.unwrap_or(id), &raw)
    })
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Wanted {
    id: String,
}

pub(super) fn send_draft(tenant: &mut Tenant, call: &Call) -> Answer {
    let wanted: Wanted = call.json()?;
    let mailbox = open_mailbox(tenant, call)?;
    let draft = wanted.id.strip_prefix("r-").and_then(|id| id.parse::<u64>().ok());
    let old = draft.and_then(|draft| mailbox.drafts.get(&draft).copied()).ok_or_else(Refusal::not_found)?;
    let message = mailbox.message(old).ok_or_else(Refusal::not_found)?;
    let (raw, thread) = (message.content.bytes(), message.thread);
    let id = mailbox.new_id(stamp::millis(call.now));
    let thread = if thread == old { id } else { thread };
    let answer = hand_over(tenant, call, id, thread, &raw)?;
    open_mailbox(tenant, call)?.remove(old, call.now);
    Ok(answer)
}

fn hand_over(tenant: &mut Tenant, call: &Call, id: u64, thread: u64, raw: &Bytes) -> Answer {
    if raw.len() > BYTES_MAX {
        return Err(Refusal::new(413, "uploadTooLarge", "INVALID_ARGUMENT", "Request entity too large"));
    }
    let to = mime::recipients(raw);
    if to.is_empty() {
        return Err(Refusal::invalid("Recipient address required"));
    }
    let mailbox = open_mailbox(tenant, call)?;
    let labels = [text::shared("SENT")].into();
    let message = insert::message(mime::head(raw), thread, labels, stamp::millis(call.now), raw.clone());
    mailbox.add(id, message, call.now);
    for address in to {
        let Some(user) = tenant.directory.user(&address).map(|user| Arc::clone(&user.id)) else { continue };
        if let Some(mailbox) = tenant.mailbox(&user) {
            insert::deliver(mailbox, raw, call.now);
        }
    }
    messages::note(tenant, call, "send", 1);
    Ok(Reply::json(json!({ "id": hex(id), "threadId": hex(thread), "labelIds": ["SENT"] })))
}
