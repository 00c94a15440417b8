//! Drafts. A draft's id stays when it is edited; the id of its message does not.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    insert,
    mailbox::{Mailbox, hex},
    messages::{self, Filter},
    mime, open_mailbox,
};
use crate::{
    call::{Answer, Call, Reply},
    page,
    refusal::Refusal,
    stamp,
    tenant::Tenant,
    text,
};

/// The largest draft.
const BYTES_MAX: usize = 36_700_160;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Wanted {
    message: Inner,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Inner {
    raw: String,
    thread_id: String,
}

fn written(id: u64) -> String {
    format!("r-{id}")
}

fn named(mailbox: &Mailbox, call: &Call) -> Result<(u64, u64), Refusal> {
    let id = call.parameter("id").strip_prefix("r-").and_then(|id| id.parse().ok());
    let found = id.and_then(|id: u64| Some((id, *mailbox.drafts.get(&id)?)));
    found.ok_or_else(Refusal::not_found)
}

fn resource(mailbox: &Mailbox, draft: u64, message: u64) -> Value {
    let thread = mailbox.message(message).map_or(0, |message| message.thread);
    json!({
        "id": written(draft),
        "message": { "id": hex(message), "threadId": hex(thread), "labelIds": ["DRAFT"] },
    })
}

pub(super) fn list(tenant: &mut Tenant, call: &Call) -> Answer {
    let (seed, lifetime) = (tenant.settings.seed, tenant.settings.page_lifetime);
    let place = page::open(seed, call, lifetime)?;
    let size = call.page_size("maxResults", 100, 500)?;
    let mailbox = open_mailbox(tenant, call)?;
    let filter = Filter::of(call, mailbox)?;
    let takes = |message: &u64| mailbox.message(*message).is_some_and(|message| filter.takes(message));
    let mut chosen: Vec<(u64, u64)> = mailbox
        .drafts
        .iter()
        .filter(|(_, message)| takes(message))
        .map(|(id, message)| (*message, *id))
        .collect();
    chosen.sort_unstable_by(|a, b| b.cmp(a));
    let (items, next) = page::slice(&chosen, place.as_deref(), size);
    let drafts: Vec<Value> = items
        .iter()
        .map(|(message, draft)| {
            let mut one = resource(mailbox, *draft, *message);
            if let Some(message) = one["message"].as_object_mut() {
                message.remove("labelIds");
            }
            one
        })
        .collect();
    let mut body = json!({ "resultSizeEstimate": drafts.len() });
    if !drafts.is_empty() {
        body["drafts"] = Value::Array(drafts);
    }
    if let Some(next) = next {
        body["nextPageToken"] = page::issue(seed, call, &next).into();
    }
    Ok(Reply::json(body))
}

pub(super) fn get(tenant: &mut Tenant, call: &Call) -> Answer {
    let format = messages::format(call)?;
    let mailbox = open_mailbox(tenant, call)?;
    let (draft, id) = named(mailbox, call)?;
    let nonce = mailbox.draw();
    let message = mailbox.message(id).cloned().ok_or_else(Refusal::not_found)?;
    Ok(Reply::later(
        move || json!({ "id": written(draft), "message": mime::resource(id, &message, &format, nonce) }),
    ))
}

impl Wanted {
    fn raw(&mut self) -> String {
        std::mem::take(&mut self.message.raw)
    }
}

/// Puts the message of a draft into the mailbox.
fn put(
    mailbox: &mut Mailbox,
    call: &Call,
    wanted: &Wanted,
    raw: Bytes,
    thread: Option<u64>,
) -> Result<u64, Refusal> {
    if raw.len() > BYTES_MAX {
        return Err(Refusal::new(413, "uploadTooLarge", "INVALID_ARGUMENT", "Request entity too large"));
    }
    let head = mime::head(&raw);
    let thread = insert::joined(mailbox, &wanted.message.thread_id, &head)?.or(thread);
    let millis = stamp::millis(call.now);
    let id = mailbox.new_id(millis);
    let labels = [text::shared("DRAFT")].into();
    let message = insert::message(head, thread.unwrap_or(id), labels, millis, raw);
    mailbox.add(id, message, call.now);
    Ok(id)
}

pub(super) fn create(tenant: &mut Tenant, call: &Call) -> Answer {
    insert::bring(tenant, call, Wanted::raw, |tenant, wanted, raw| {
        let mailbox = open_mailbox(tenant, call)?;
        let message = put(mailbox, call, &wanted, raw, None)?;
        let draft = mailbox.draw() >> 2;
        mailbox.drafts.insert(draft, message);
        Ok(Reply::json(resource(mailbox, draft, message)))
    })
}

pub(super) fn update(tenant: &mut Tenant, call: &Call) -> Answer {
    insert::bring(tenant, call, Wanted::raw, |tenant, wanted, raw| {
        let mailbox = open_mailbox(tenant, call)?;
        let (draft, old) = named(mailbox, call)?;
        let thread = mailbox.message(old).map(|message| message.thread);
        let new = put(mailbox, call, &wanted, raw, thread)?;
        mailbox.remove(old, call.now);
        mailbox.drafts.insert(draft, new);
        Ok(Reply::json(resource(mailbox, draft, new)))
    })
}

/// Removes a draft for ever; it does not go to the trash.
pub(super) fn delete(tenant: &mut Tenant, call: &Call) -> Answer {
    let mailbox = open_mailbox(tenant, call)?;
    let (_, message) = named(mailbox, call)?;
    mailbox.remove(message, call.now);
    Ok(Reply::empty())
}
