//! Labels.

use std::{collections::BTreeMap, collections::BTreeSet, sync::Arc};

use serde_json::{Map, Value, json};

use super::{mailbox::Mailbox, open_mailbox};
use crate::{
    call::{Answer, Call, Reply},
    refusal::Refusal,
    tenant::Tenant,
    text,
};

const SYSTEM: [&str; 14] = [
    "CHAT",
    "SENT",
    "INBOX",
    "IMPORTANT",
    "TRASH",
    "DRAFT",
    "SPAM",
    "STARRED",
    "UNREAD",
    "CATEGORY_FORUMS",
    "CATEGORY_UPDATES",
    "CATEGORY_PERSONAL",
    "CATEGORY_PROMOTIONS",
    "CATEGORY_SOCIAL",
];
const LABELS_MAX: usize = 10_000;

/// A label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Label {
    pub(crate) name: String,
    pub(crate) system: bool,
    /// What users may choose: visibility and colour.
    pub(crate) looks: Map<String, Value>,
}

pub(super) fn system_labels() -> BTreeMap<Arc<str>, Label> {
    let label = |name: &str| Label { name: name.to_owned(), system: true, looks: Map::new() };
    SYSTEM.iter().map(|name| (text::shared(name), label(name))).collect()
}

impl Mailbox {
    /// Makes a label of the user's and returns its id; names are not checked.
    pub(crate) fn add_label(&mut self, name: &str, looks: Map<String, Value>) -> Arc<str> {
        let number = |id: &Arc<str>| id.strip_prefix("Label_").and_then(|n| n.parse::<u64>().ok());
        let last = self.labels.keys().filter_map(number).max().unwrap_or(0);
        let id = text::shared(format!("Label_{}", last + 1));
        self.labels.insert(Arc::clone(&id), Label { name: name.to_owned(), system: false, looks });
        id
    }

    /// Returns shared ids of labels, if they all exist and may be given to a message.
    pub(crate) fn label_ids(&self, ids: &[String]) -> Result<Vec<Arc<str>>, Refusal> {
        let known = |id: &String| self.labels.get_key_value(id.as_str()).map(|(id, _)| Arc::clone(id));
        ids.iter()
            .map(|id| known(id).ok_or_else(|| Refusal::invalid(format!("Invalid label: {id}"))))
            .collect()
    }

    fn name_is_taken(&self, name: &str, by_other_than: &str) -> bool {
        let same = |label: &Label| label.name.to_lowercase() == name.to_lowercase();
        self.labels.iter().any(|(id, label)| &**id != by_other_than && same(label))
    }
}

fn resource(id: &str, label: &Label) -> Value {
    let mut value =
        json!({ "id": id, "name": label.name, "type": if label.system { "system" } else { "user" } });
    for (name, look) in &label.looks {
        value[name] = look.clone();
    }
    value
}

pub(super) fn list(tenant: &mut Tenant, call: &Call) -> Answer {
    let mailbox = open_mailbox(tenant, call)?;
    let labels: Vec<Value> = mailbox.labels.iter().map(|(id, label)| resource(id, label)).collect();
    Ok(Reply::json(json!({ "labels": labels })))
}

pub(super) fn get(tenant: &mut Tenant, call: &Call) -> Answer {
    let mailbox = open_mailbox(tenant, call)?;
    let id = call.parameter("id");
    let label =
        mailbox.labels.get(id).ok_or_else(|| Refusal::new(404, "notFound", "NOT_FOUND", "Not Found"))?;
    let mut value = resource(id, label);
    let (mut total, mut unread) = (0_u32, 0_u32);
    let (mut threads, mut unread_threads) = (BTreeSet::new(), BTreeSet::new());
    for (_, message) in mailbox.messages().filter(|(_, message)| message.has(id)) {
        total += 1;
        threads.insert(message.thread);
        if message.has("UNREAD") {
            unread += 1;
            unread_threads.insert(message.thread);
        }
    }
    value["messagesTotal"] = total.into();
    value["messagesUnread"] = unread.into();
    value["threadsTotal"] = threads.len().into();
    value["threadsUnread"] = unread_threads.len().into();
    Ok(Reply::json(value))
}

/// Takes over what users may choose.
fn write_looks(looks: &mut Map<String, Value>, fields: &Map<String, Value>) {
    for name in ["messageListVisibility", "labelListVisibility", "color"] {
        if let Some(value) = fields.get(name) {
            looks.insert(name.to_owned(), value.clone());
        }
    }
}

fn checked_name(mailbox: &Mailbox, name: &str, own: &str) -> Result<(), Refusal> {
    let bad =
        name.trim().is_empty() || name.split('/').any(|part| part.trim().is_empty()) || name.len() > 225;
    if bad {
        return Err(Refusal::invalid("Invalid label name"));
    }
    if mailbox.name_is_taken(name, own) {
        return Err(Refusal::new(409, "aborted", "ABORTED", "Label name exists or conflicts"));
    }
    Ok(())
}

pub(super) fn create(tenant: &mut Tenant, call: &Call) -> Answer {
    let fields = call.object()?;
    let name = fields.get("name").and_then(Value::as_str).unwrap_or_default();
    let mailbox = open_mailbox(tenant, call)?;
    checked_name(mailbox, name, "")?;
    if mailbox.labels.len() >= LABELS_MAX {
        return Err(Refusal::invalid("Too many labels"));
    }
    let mut looks = Map::new();
    looks.insert("messageListVisibility".to_owned(), "show".into());
    looks.insert("labelListVisibility".to_owned(), "labelShow".into());
    write_looks(&mut looks, &fields);
    let id = mailbox.add_label(name, looks);
    Ok(Reply::json(resource(&id, &mailbox.labels[&id])))
}

/// Carries out `patch`, and `update`, which differs only in that nothing may be missing.
pub(super) fn update(tenant: &mut Tenant, call: &Call) -> Answer {
    let fields = call.object()?;
    let id = call.parameter("id");
    let mailbox = open_mailbox(tenant, call)?;
    let label = mailbox.labels.get(id).ok_or_else(Refusal::not_found)?;
    if label.system {
        return Err(Refusal::invalid("Invalid update request"));
    }
    let name = fields.get("name").and_then(Value::as_str).unwrap_or(&label.name).to_owned();
    checked_name(mailbox, &name, id)?;
    let label = mailbox.labels.get_mut(id).ok_or_else(Refusal::not_found)?;
    label.name = name;
    write_looks(&mut label.looks, &fields);
    Ok(Reply::json(resource(id, label)))
}

pub(super) fn delete(tenant: &mut Tenant, call: &Call) -> Answer {
    let mailbox = open_mailbox(tenant, call)?;
    let id = call.parameter("id");
    let label = mailbox.labels.get(id).ok_or_else(Refusal::not_found)?;
    if label.system {
        return Err(Refusal::invalid("Invalid delete request"));
    }
    let bearers: Vec<u64> =
        mailbox.messages().filter(|(_, message)| message.has(id)).map(|(id, _)| id).collect();
    let label = text::shared(id);
    for bearer in bearers {
        mailbox.relabel(bearer, &[], std::slice::from_ref(&label), call.now);
    }
    mailbox.labels.remove(id);
    Ok(Reply::empty())
}
