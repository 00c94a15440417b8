//! Messages: lists, single ones, changes.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    mailbox::{Mailbox, Message, from_hex, hex},
    mime::{self, Format},
    open_mailbox,
    search::Search,
};
use crate::{
    audit::Parameter,
    call::{Answer, Call, Reply},
    oauth::{Session, scopes::GMAIL_METADATA},
    page,
    refusal::Refusal,
    tenant::Tenant,
    text,
};

/// How many messages one batch of changes may name.
const BATCH_MAX: usize = 1000;

pub(super) fn profile(tenant: &mut Tenant, call: &Call) -> Answer {
    let mailbox = open_mailbox(tenant, call)?;
    Ok(Reply::json(json!({
        "emailAddress": mailbox.address,
        "messagesTotal": mailbox.messages_total(),
        "threadsTotal": mailbox.threads_total(),
        "historyId": mailbox.history.current().to_string(),
    })))
}

/// What a list of messages or threads is limited to.
pub(super) struct Filter {
    labels: Vec<String>,
    search: Search,
    hidden: bool,
}

impl Filter {
    pub(super) fn of(call: &Call, mailbox: &Mailbox) -> Result<Self, Refusal> {
        let query = call.query("q").unwrap_or_default();
        if !query.is_empty() && only_metadata(&call.caller) {
            return Err(Refusal::forbidden("Metadata scope does not support 'q' parameter"));
        }
        let labels: Vec<String> = call.queries("labelIds").map(str::to_owned).collect();
        mailbox.label_ids(&labels)?;
        let search = Search::parse(query, mailbox)?;
        let hidden = call.flag("includeSpamTrash")
            || search.reaches_hidden
            || labels.iter().any(|label| label == "TRASH" || label == "SPAM");
        Ok(Self { labels, search, hidden })
    }

    pub(super) fn takes(&self, message: &Message) -> bool {
        (self.hidden || !message.is_hidden())
            && self.labels.iter().all(|label| message.has(label))
            && self.search.finds(message)
    }

    /// Returns date and id of what it takes, the newest first.
    pub(super) fn chosen<'a>(
        &'a self,
        mailbox: &'a Mailbox,
        place: Option<(i64, u64)>,
    ) -> Box<dyn Iterator<Item = (i64, u64)> + 'a> {
        let takes = |(_, id): &(i64, u64)| mailbox.message(*id).is_some_and(|message| self.takes(message));
        let Some(message_id) = self.search.message_id() else {
            return Box::new(mailbox.newest_before(place).filter(takes));
        };
        let date = |id: &u64| mailbox.message(*id).map_or(0, |message| message.internal_date);
        let bearers = mailbox.with_message_id(message_id);
        let mut bearers: Vec<(i64, u64)> = bearers.iter().map(|id| (date(id), *id)).collect();
        bearers.sort_unstable();
        let end = place.unwrap_or((i64::MAX, u64::MAX));
        Box::new(bearers.into_iter().rev().filter(move |own| *own < end).filter(takes))
    }
}

/// Tells whether a token may see headers alone.
pub(super) fn only_metadata(session: &Session) -> bool {
    !session.has(super::READ) && session.has(&[GMAIL_METADATA])
}

/// Reads the place in a list.
pub(super) fn place(tenant: &Tenant, call: &Call) -> Result<Option<(i64, u64)>, Refusal> {
    let place = page::open(tenant.settings.seed, call, tenant.settings.page_lifetime)?;
    let read = |text: String| {
        let (date, id) = text.split_once(' ')?;
        Some((date.parse().ok()?, id.parse().ok()?))
    };
    Ok(place.and_then(read))
}

pub(super) fn list(tenant: &mut Tenant, call: &Call) -> Answer {
    let seed = tenant.settings.seed;
    let place = place(tenant, call)?;
    let size = call.page_size("maxResults", 100, 500)?;
    let mailbox = open_mailbox(tenant, call)?;
    let filter = Filter::of(call, mailbox)?;
    let mut chosen = filter.chosen(mailbox, place);
    let found: Vec<(i64, u64)> = chosen.by_ref().take(size).collect();
    let more = chosen.next().is_some();
    let thread = |id: u64| mailbox.message(id).map_or(0, |message| message.thread);
    let messages: Vec<Value> =
        found.iter().map(|(_, id)| json!({ "id": hex(*id), "threadId": hex(thread(*id)) })).collect();
    // The real service gives a number that means nothing when there is more.
    let mut body = json!({ "resultSizeEstimate": if more { 201 } else { messages.len() } });
    if !messages.is_empty() {
        body["messages"] = Value::Array(messages);
    }
    if let (true, Some((date, id))) = (more, found.last()) {
        body["nextPageToken"] = page::issue(seed, call, &format!("{date} {id}")).into();
    }
    Ok(Reply::json(body))
}

/// Reads which form of a message is wanted.
pub(super) fn format(call: &Call) -> Result<Format, Refusal> {
    let wanted = call.query("format").unwrap_or("full").to_lowercase();
    let format = match wanted.as_str() {
        "minimal" => Format::Minimal,
        "full" => Format::Full,
        "raw" => Format::Raw,
        "metadata" => Format::Metadata(call.queries("metadataHeaders").map(str::to_owned).collect()),
        _ => return Err(Refusal::invalid(format!("Invalid value at 'format': \"{wanted}\""))),
    };
    if only_metadata(&call.caller) && matches!(format, Format::Full | Format::Raw) {
        return Err(Refusal::forbidden(format!(
            "Metadata scope doesn't allow format {}",
            wanted.to_uppercase()
        )));
    }
    Ok(format)
}

/// Returns the message that a parameter of the path names.
pub(super) fn named(mailbox: &Mailbox, id: &str) -> Result<u64, Refusal> {
    let number = from_hex(id).ok_or_else(|| Refusal::invalid("Invalid id value"))?;
    if mailbox.message(number).is_some() { Ok(number) } else { Err(Refusal::not_found()) }
}

pub(super) fn get(tenant: &mut Tenant, call: &Call) -> Answer {
    let format = format(call)?;
    let mailbox = open_mailbox(tenant, call)?;
    let id = named(mailbox, call.parameter("id"))?;
    let nonce = mailbox.draw();
    let message = mailbox.message(id).cloned().ok_or_else(Refusal::not_found)?;
    Ok(Reply::later(move || mime::resource(id, &message, &format, nonce)))
}

pub(super) fn attachment(tenant: &mut Tenant, call: &Call) -> Answer {
    let mailbox = open_mailbox(tenant, call)?;
    let id = named(mailbox, call.parameter("messageId"))?;
    let broken = || Refusal::invalid("Invalid attachment token");
    let number = mime::leaf_of(id, call.parameter("id")).ok_or_else(broken)?;
    let content =
        mailbox.message(id).map(|message| message.content.clone()).ok_or_else(Refusal::not_found)?;
    Ok(Reply::later(move || {
        let bytes = mime::leaf(&content.bytes(), number).unwrap_or_default();
        json!({ "size": bytes.len(), "data": text::base64url(&bytes) })
    }))
}

/// What labels are to be changed.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Relabelling {
    ids: Vec<String>,
    add_label_ids: Vec<String>,
    remove_label_ids: Vec<String>,
}

type Labels = Vec<Arc<str>>;

impl Relabelling {
    /// Returns the labels to add and to remove, if they may be.
    pub(super) fn labels(&self, mailbox: &Mailbox) -> Result<(Labels, Labels), Refusal> {
        if self.add_label_ids.is_empty() && self.remove_label_ids.is_empty() {
            return Err(Refusal::invalid("No label add or removes specified"));
        }
        let fixed = |id: &&String| *id == "SENT" || *id == "DRAFT";
        if let Some(id) = self.add_label_ids.iter().chain(&self.remove_label_ids).find(fixed) {
            return Err(Refusal::invalid(format!("Invalid label: {id}")));
        }
        Ok((mailbox.label_ids(&self.add_label_ids)?, mailbox.label_ids(&self.remove_label_ids)?))
    }
}

fn minimal(mailbox: &Mailbox, id: u64) -> Value {
    let labels = mailbox.message(id).map(|message| &message.labels).into_iter().flatten();
    let thread = mailbox.message(id).map_or(0, |message| message.thread);
    let labels: Vec<Value> = labels.map(|label| Value::from(&**label)).collect();
    json!({ "id": hex(id), "threadId": hex(thread), "labelIds": labels })
}

pub(super) fn modify(tenant: &mut Tenant, call: &Call) -> Answer {
    let wanted: Relabelling = call.json()?;
    let mailbox = open_mailbox(tenant, call)?;
    let id = named(mailbox, call.parameter("id"))?;
    let (add, remove) = wanted.labels(mailbox)?;
    mailbox.relabel(id, &add, &remove, call.now);
    Ok(Reply::json(minimal(mailbox, id)))
}

pub(super) fn trash(tenant: &mut Tenant, call: &Call) -> Answer {
    let mailbox = open_mailbox(tenant, call)?;
    let id = named(mailbox, call.parameter("id"))?;
    mailbox.trash(id, call.now);
    let body = minimal(mailbox, id);
    note(tenant, call, "trash", 1);
    Ok(Reply::json(body))
}

pub(super) fn untrash(tenant: &mut Tenant, call: &Call) -> Answer {
    let mailbox = open_mailbox(tenant, call)?;
    let id = named(mailbox, call.parameter("id"))?;
    mailbox.untrash(id, call.now);
    Ok(Reply::json(minimal(mailbox, id)))
}

pub(super) fn delete(tenant: &mut Tenant, call: &Call) -> Answer {
    let mailbox = open_mailbox(tenant, call)?;
    let id = named(mailbox, call.parameter("id"))?;
    mailbox.remove(id, call.now);
    note(tenant, call, "delete", 1);
    Ok(Reply::empty())
}

fn named_all(ids: &[String]) -> Result<Vec<u64>, Refusal> {
    if ids.is_empty() {
        return Err(Refusal::invalid("No message ids specified"));
    }
    if ids.len() > BATCH_MAX {
        return Err(Refusal::invalid("Too many message ids specified"));
    }
    ids.iter().map(|id| from_hex(id).ok_or_else(|| Refusal::invalid("Invalid ids value"))).collect()
}

/// Changes many messages. Those that do not exist are passed over in silence.
pub(super) fn batch_modify(tenant: &mut Tenant, call: &Call) -> Answer {
    let wanted: Relabelling = call.json()?;
    let ids = named_all(&wanted.ids)?;
    let mailbox = open_mailbox(tenant, call)?;
    let (add, remove) = wanted.labels(mailbox)?;
    for id in ids {
        mailbox.relabel(id, &add, &remove, call.now);
    }
    Ok(Reply::empty())
}

/// Removes many messages for ever. Those that do not exist are passed over in silence.
pub(super) fn batch_delete(tenant: &mut Tenant, call: &Call) -> Answer {
    let wanted: Relabelling = call.json()?;
    let ids = named_all(&wanted.ids)?;
    let mailbox = open_mailbox(tenant, call)?;
    let gone = ids.into_iter().filter(|id| mailbox.remove(*id, call.now)).count();
    note(tenant, call, "delete", gone);
    Ok(Reply::empty())
}

/// Notes in the log of Gmail that messages went away.
pub(super) fn note(tenant: &mut Tenant, call: &Call, what: &'static str, messages: usize) {
    let parameters =
        vec![Parameter::text("event_type", what), Parameter::number("message_count", messages as i64)];
    tenant.note(call, "gmail", "delivery", what, parameters);
}
