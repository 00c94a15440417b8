//! Threads.

use serde_json::{Value, json};

use super::{
    mailbox::{Mailbox, Message, from_hex, hex},
    messages::{self, Filter, Relabelling},
    mime::{self, Format},
    open_mailbox,
};
use crate::{
    call::{Answer, Call, Reply},
    page,
    refusal::Refusal,
    tenant::Tenant,
};

pub(super) fn list(tenant: &mut Tenant, call: &Call) -> Answer {
    let seed = tenant.settings.seed;
    let place = messages::place(tenant, call)?;
    let size = call.page_size("maxResults", 100, 500)?;
    let mailbox = open_mailbox(tenant, call)?;
    let filter = Filter::of(call, mailbox)?;
    // A thread stands where the newest of its messages that are taken stands.
    let leads = |id: u64, message: &Message| {
        let thread = mailbox.thread(message.thread).unwrap_or_default();
        let taken =
            thread.iter().rev().find(|own| mailbox.message(**own).is_some_and(|own| filter.takes(own)));
        taken == Some(&id)
    };
    let mut chosen = filter
        .chosen(mailbox, place)
        .filter_map(|(date, id)| Some((date, id, mailbox.message(id)?)))
        .filter(|(_, id, message)| leads(*id, message));
    let found: Vec<(i64, u64, Message)> =
        chosen.by_ref().take(size).map(|(date, id, message)| (date, id, message.clone())).collect();
    let more = chosen.next().is_some();
    let next =
        found.last().filter(|_| more).map(|(date, id, _)| page::issue(seed, call, &format!("{date} {id}")));
    Ok(Reply::later(move || {
        let threads: Vec<Value> = found
            .iter()
            .map(|(_, id, message)| {
                let shown = mime::resource(*id, message, &Format::Minimal, 0);
                json!({ "id": shown["threadId"], "snippet": shown["snippet"], "historyId": shown["historyId"] })
            })
            .collect();
        let mut body = json!({ "resultSizeEstimate": if more { 201 } else { threads.len() } });
        if !threads.is_empty() {
            body["threads"] = Value::Array(threads);
        }
        if let Some(next) = next {
            body["nextPageToken"] = next.into();
        }
        body
    }))
}

fn named(mailbox: &Mailbox, call: &Call) -> Result<(u64, Vec<u64>), Refusal> {
    let id = from_hex(call.parameter("id")).ok_or_else(|| Refusal::invalid("Invalid id value"))?;
    let thread = mailbox.thread(id).ok_or_else(Refusal::not_found)?;
    Ok((id, thread.to_vec()))
}

pub(super) fn get(tenant: &mut Tenant, call: &Call) -> Answer {
    let format = messages::format(call)?;
    if format == Format::Raw {
        return Err(Refusal::invalid("Invalid value at 'format': \"raw\""));
    }
    let mailbox = open_mailbox(tenant, call)?;
    let (id, members) = named(mailbox, call)?;
    let nonce = mailbox.draw();
    let members: Vec<(u64, Message)> =
        members.into_iter().filter_map(|id| Some((id, mailbox.message(id)?.clone()))).collect();
    let history = members.iter().map(|(_, message)| message.history).max().unwrap_or(0);
    Ok(Reply::later(move || {
        let messages: Vec<Value> =
            members.iter().map(|(id, message)| mime::resource(*id, message, &format, nonce)).collect();
        json!({ "id": hex(id), "historyId": history.to_string(), "messages": messages })
    }))
}

/// Does something to each message of a thread, and answers with the thread.
fn each(tenant: &mut Tenant, call: &Call, act: impl Fn(&mut Mailbox, u64) -> Result<(), Refusal>) -> Answer {
    let mailbox = open_mailbox(tenant, call)?;
    let (id, members) = named(mailbox, call)?;
    let count = members.len();
    let mut messages = Vec::new();
    for member in members {
        act(mailbox, member)?;
        messages.push(json!({ "id": hex(member), "threadId": hex(id) }));
    }
    if call.path.ends_with("/trash") || call.method == hyper::Method::DELETE {
        let what = if call.path.ends_with("/trash") { "trash" } else { "delete" };
        messages::note(tenant, call, what, count);
    }
    Ok(Reply::json(json!({ "id": hex(id), "messages": messages })))
}

pub(super) fn modify(tenant: &mut Tenant, call: &Call) -> Answer {
    let wanted: Relabelling = call.json()?;
    each(tenant, call, |mailbox, id| {
        let (add, remove) = wanted.labels(mailbox)?;
        mailbox.relabel(id, &add, &remove, call.now);
        Ok(())
    })
}

pub(super) fn trash(tenant: &mut Tenant, call: &Call) -> Answer {
    each(tenant, call, |mailbox, id| {
        mailbox.trash(id, call.now);
        Ok(())
    })
}

pub(super) fn untrash(tenant: &mut Tenant, call: &Call) -> Answer {
    each(tenant, call, |mailbox, id| {
        mailbox.untrash(id, call.now);
        Ok(())
    })
}

pub(super) fn delete(tenant: &mut Tenant, call: &Call) -> Answer {
    each(tenant, call, |mailbox, id| {
        mailbox.remove(id, call.now);
        Ok(())
    })?;
    Ok(Reply::empty())
}
