//! Settings of a mailbox: single ones, and lists of filters, addresses and people.

use std::collections::BTreeMap;

use hyper::Method;
use serde_json::{Map, Value, json};

use super::{
    SETTINGS_BASIC, SETTINGS_BOTH, SETTINGS_READ, SETTINGS_SHARING, mailbox::Mailbox, open_mailbox, route,
    user,
};
use crate::{
    audit::Parameter,
    call::{Answer, Call, Reply},
    refusal::Refusal,
    routes::Route,
    tenant::Tenant,
};

/// The settings. Singles are named as in their paths; lists as well, each with its entries in order.
#[derive(Debug)]
pub(crate) struct MailSettings {
    pub(crate) singles: BTreeMap<&'static str, Value>,
    pub(crate) lists: BTreeMap<&'static str, Vec<Value>>,
}

impl MailSettings {
    /// What a new mailbox has.
    pub(super) fn new(address: &str) -> Self {
        let own = json!({
            "sendAsEmail": address, "displayName": "", "replyToAddress": "", "signature": "", "isPrimary": true,
            "isDefault": true,
        });
        let imap = json!({
            "enabled": true, "autoExpunge": true, "expungeBehavior": "archive", "maxFolderSize": 0,
        });
        Self {
            singles: BTreeMap::from([
                ("autoForwarding", json!({ "enabled": false })),
                ("imap", imap),
                ("pop", json!({ "accessWindow": "disabled", "disposition": "leaveInInbox" })),
                ("language", json!({ "displayLanguage": "en" })),
                ("vacation", json!({ "enableAutoReply": false })),
            ]),
            lists: BTreeMap::from([
                ("filters", Vec::new()),
                ("forwardingAddresses", Vec::new()),
                ("delegates", Vec::new()),
                ("sendAs", vec![own]),
            ]),
        }
    }
}

/// The routes.
pub(super) const ROUTES: &[Route] = &[
    route(
        "gmail.users.settings.sendAs.smimeInfo.list",
        Method::GET,
        user!("settings/sendAs/{sendAsEmail}/smimeInfo"),
        SETTINGS_READ,
        1,
        nothing,
    ),
    route(
        "gmail.users.settings.cse.identities.list",
        Method::GET,
        user!("settings/cse/identities"),
        SETTINGS_READ,
        1,
        nothing,
    ),
    route(
        "gmail.users.settings.cse.keypairs.list",
        Method::GET,
        user!("settings/cse/keypairs"),
        SETTINGS_READ,
        1,
        nothing,
    ),
    route(
        "gmail.users.settings.getAutoForwarding",
        Method::GET,
        user!("settings/autoForwarding"),
        SETTINGS_READ,
        1,
        get_single,
    ),
    route(
        "gmail.users.settings.updateAutoForwarding",
        Method::PUT,
        user!("settings/autoForwarding"),
        SETTINGS_SHARING,
        5,
        update_single,
    ),
    route("gmail.users.settings.getImap", Method::GET, user!("settings/imap"), SETTINGS_READ, 1, get_single),
    route(
        "gmail.users.settings.updateImap",
        Method::PUT,
        user!("settings/imap"),
        SETTINGS_BASIC,
        5,
        update_single,
    ),
    route("gmail.users.settings.getPop", Method::GET, user!("settings/pop"), SETTINGS_READ, 1, get_single),
    route(
        "gmail.users.settings.updatePop",
        Method::PUT,
        user!("settings/pop"),
        SETTINGS_BASIC,
        100,
        update_single,
    ),
    route(
        "gmail.users.settings.getLanguage",
        Method::GET,
        user!("settings/language"),
        SETTINGS_READ,
        1,
        get_single,
    ),
    route(
        "gmail.users.settings.updateLanguage",
        Method::PUT,
        user!("settings/language"),
        SETTINGS_BASIC,
        5,
        update_single,
    ),
    route(
        "gmail.users.settings.getVacation",
        Method::GET,
        user!("settings/vacation"),
        SETTINGS_READ,
        1,
        get_single,
    ),
    route(
        "gmail.users.settings.updateVacation",
        Method::PUT,
        user!("settings/vacation"),
        SETTINGS_BASIC,
        5,
        update_single,
    ),
    route(
        "gmail.users.settings.filters.list",
        Method::GET,
        user!("settings/filters"),
        SETTINGS_READ,
        1,
        list,
    ),
    route(
        "gmail.users.settings.filters.get",
        Method::GET,
        user!("settings/filters/{id}"),
        SETTINGS_READ,
        1,
        get,
    ),
    route(
        "gmail.users.settings.filters.create",
        Method::POST,
        user!("settings/filters"),
        SETTINGS_BASIC,
        5,
        create,
    ),
    route(
        "gmail.users.settings.filters.delete",
        Method::DELETE,
        user!("settings/filters/{id}"),
        SETTINGS_BASIC,
        5,
        delete,
    ),
    route(
        "gmail.users.settings.forwardingAddresses.list",
        Method::GET,
        user!("settings/forwardingAddresses"),
        SETTINGS_READ,
        1,
        list,
    ),
    route(
        "gmail.users.settings.forwardingAddresses.get",
        Method::GET,
        user!("settings/forwardingAddresses/{forwardingEmail}"),
        SETTINGS_READ,
        1,
        get,
    ),
    route(
        "gmail.users.settings.forwardingAddresses.create",
        Method::POST,
        user!("settings/forwardingAddresses"),
        SETTINGS_SHARING,
        100,
        create,
    ),
    route(
        "gmail.users.settings.forwardingAddresses.delete",
        Method::DELETE,
        user!("settings/forwardingAddresses/{forwardingEmail}"),
        SETTINGS_SHARING,
        5,
        delete,
    ),
    route(
        "gmail.users.settings.delegates.list",
        Method::GET,
        user!("settings/delegates"),
        SETTINGS_READ,
        1,
        list,
    ),
    route(
        "gmail.users.settings.delegates.get",
        Method::GET,
        user!("settings/delegates/{delegateEmail}"),
        SETTINGS_READ,
        1,
        get,
    ),
    route(
        "gmail.users.settings.delegates.create",
        Method::POST,
        user!("settings/delegates"),
        SETTINGS_SHARING,
        100,
        create,
    ),
    route(
        "gmail.users.settings.delegates.delete",
        Method::DELETE,
        user!("settings/delegates/{delegateEmail}"),
        SETTINGS_SHARING,
        5,
        delete,
    ),
    route("gmail.users.settings.sendAs.list", Method::GET, user!("settings/sendAs"), SETTINGS_READ, 1, list),
    route(
        "gmail.users.settings.sendAs.get",
        Method::GET,
        user!("settings/sendAs/{sendAsEmail}"),
        SETTINGS_READ,
        1,
        get,
    ),
    route(
        "gmail.users.settings.sendAs.create",
        Method::POST,
        user!("settings/sendAs"),
        SETTINGS_SHARING,
        100,
        create,
    ),
    route(
        "gmail.users.settings.sendAs.delete",
        Method::DELETE,
        user!("settings/sendAs/{sendAsEmail}"),
        SETTINGS_SHARING,
        5,
        delete,
    ),
    route(
        "gmail.users.settings.sendAs.patch",
        Method::PATCH,
        user!("settings/sendAs/{sendAsEmail}"),
        SETTINGS_BOTH,
        100,
        update_alias,
    ),
    route(
        "gmail.users.settings.sendAs.update",
        Method::PUT,
        user!("settings/sendAs/{sendAsEmail}"),
        SETTINGS_BOTH,
        100,
        update_alias,
    ),
];

/// Returns the name of the setting in a path: what follows `settings/`, with what follows that.
fn named(call: &Call) -> Option<(&'static str, &str)> {
    const NAMES: [&str; 9] = [
        "autoForwarding",
        "imap",
        "pop",
        "language",
        "vacation",
        "filters",
        "forwardingAddresses",
        "delegates",
        "sendAs",
    ];
    let (_, path) = call.path.split_once("/settings/")?;
    let name = path.split('/').next()?;
    let key = call.parameters.last().filter(|(name, _)| *name != "userId").map_or("", |(_, key)| key);
    NAMES.into_iter().find(|own| *own == name).map(|name| (name, key))
}

/// What tells the entries of a list apart, and what their list is called.
fn shape(list: &str) -> (&'static str, &'static str) {
    match list {
        "filters" => ("id", "filter"),
        "forwardingAddresses" => ("forwardingEmail", "forwardingAddresses"),
        "delegates" => ("delegateEmail", "delegates"),
        _ => ("sendAsEmail", "sendAs"),
    }
}

/// Lists certificates and keys of the client side, of which nobody in the domain has any.
fn nothing(tenant: &mut Tenant, call: &Call) -> Answer {
    open_mailbox(tenant, call)?;
    Ok(Reply::json(json!({})))
}

fn get_single(tenant: &mut Tenant, call: &Call) -> Answer {
    let (name, _) = named(call).ok_or_else(Refusal::no_route)?;
    let mailbox = open_mailbox(tenant, call)?;
    mailbox.settings.singles.get(name).cloned().map(Reply::json).ok_or_else(Refusal::not_found)
}

fn update_single(tenant: &mut Tenant, call: &Call) -> Answer {
    let (name, _) = named(call).ok_or_else(Refusal::no_route)?;
    let fields = call.object()?;
    let mailbox = open_mailbox(tenant, call)?;
    if name == "autoForwarding" && fields.get("enabled") == Some(&Value::Bool(true)) {
        let to = fields.get("emailAddress").and_then(Value::as_str).unwrap_or_default();
        let accepted =
            |entry: &Value| entry["forwardingEmail"] == to && entry["verificationStatus"] == "accepted";
        if !mailbox.settings.lists["forwardingAddresses"].iter().any(accepted) {
            return Err(Refusal::invalid("Unrecognized forwarding address"));
        }
    }
    let value = Value::Object(fields);
    mailbox.settings.singles.insert(name, value.clone());
    if name == "autoForwarding" {
        let to = value["emailAddress"].as_str().unwrap_or_default().to_owned();
        let parameters = vec![Parameter::text("email_forwarding_destination_address", to)];
        tenant.note(
            call,
            "user_accounts",
            "email_forwarding_change",
            "email_forwarding_out_of_domain",
            parameters,
        );
    }
    Ok(Reply::json(value))
}

fn entries<'a>(mailbox: &'a mut Mailbox, list: &str) -> Result<&'a mut Vec<Value>, Refusal> {
    mailbox.settings.lists.get_mut(list).ok_or_else(Refusal::no_route)
}

fn list(tenant: &mut Tenant, call: &Call) -> Answer {
    let (name, _) = named(call).ok_or_else(Refusal::no_route)?;
    let entries = entries(open_mailbox(tenant, call)?, name)?;
    let mut body = Map::new();
    if !entries.is_empty() {
        body.insert(shape(name).1.to_owned(), Value::Array(entries.clone()));
    }
    Ok(Reply::json(Value::Object(body)))
}

/// Finds an entry by its key; addresses are compared without regard to case.
fn position(entries: &[Value], list: &str, key: &str) -> Option<usize> {
    let field = shape(list).0;
    entries.iter().position(|entry| entry[field].as_str().is_some_and(|own| own.eq_ignore_ascii_case(key)))
}

fn get(tenant: &mut Tenant, call: &Call) -> Answer {
    let (name, key) = named(call).ok_or_else(Refusal::no_route)?;
    let entries = entries(open_mailbox(tenant, call)?, name)?;
    let found = position(entries, name, key).ok_or_else(Refusal::not_found)?;
    Ok(Reply::json(entries[found].clone()))
}

fn create(tenant: &mut Tenant, call: &Call) -> Answer {
    let (name, _) = named(call).ok_or_else(Refusal::no_route)?;
    let mut fields = call.object()?;
    // Delegates are people of the domain; nobody else can be one.
    let delegate = fields.get("delegateEmail").and_then(Value::as_str).unwrap_or_default();
    if name == "delegates" && tenant.directory.user(delegate).is_none() {
        return Err(Refusal::invalid("Invalid delegate"));
    }
    let mailbox = open_mailbox(tenant, call)?;
    match name {
        "filters" => complete_filter(mailbox, &mut fields)?,
        "forwardingAddresses" | "delegates" => {
            fields.insert("verificationStatus".to_owned(), "accepted".into());
        }
        _ => {
            fields.insert("isDefault".to_owned(), false.into());
            fields.insert("verificationStatus".to_owned(), "accepted".into());
        }
    }
    let field = shape(name).0;
    let key = fields.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    if key.is_empty() || (name != "filters" && !key.contains('@')) {
        return Err(Refusal::invalid(format!("Invalid {field}")));
    }
    let entries = entries(mailbox, name)?;
    if position(entries, name, &key).is_some() {
        return Err(Refusal::duplicate(format!("{field} already exists")));
    }
    let value = Value::Object(fields);
    entries.push(value.clone());
    Ok(Reply::json(value))
}

fn complete_filter(mailbox: &mut Mailbox, fields: &mut Map<String, Value>) -> Result<(), Refusal> {
    let labels = |action: &Value, name: &str| -> Vec<String> {
        action[name]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|id| id.as_str().map(str::to_owned))
            .collect()
    };
    let action = fields.get("action").cloned().unwrap_or_default();
    let criteria =
        fields.get("criteria").and_then(Value::as_object).is_some_and(|criteria| !criteria.is_empty());
    if !criteria || action.as_object().is_none_or(Map::is_empty) {
        return Err(Refusal::invalid("Missing criteria or action"));
    }
    mailbox.label_ids(&labels(&action, "addLabelIds"))?;
    mailbox.label_ids(&labels(&action, "removeLabelIds"))?;
    let same = |entry: &Value| entry["criteria"] == fields["criteria"] && entry["action"] == fields["action"];
    if mailbox.settings.lists["filters"].iter().any(same) {
        return Err(Refusal::precondition("Filter already exists"));
    }
    let id = format!("ANe1Bm{:016x}", mailbox.draw());
    fields.insert("id".to_owned(), id.into());
    Ok(())
}

fn delete(tenant: &mut Tenant, call: &Call) -> Answer {
    let (name, key) = named(call).ok_or_else(Refusal::no_route)?;
    let entries = entries(open_mailbox(tenant, call)?, name)?;
    let found = position(entries, name, key).ok_or_else(Refusal::not_found)?;
    if entries[found]["isPrimary"] == true {
        return Err(Refusal::invalid("The primary address cannot be deleted"));
    }
    entries.remove(found);
    Ok(Reply::empty())
}

/// What may be changed of an address to send as.
const WRITABLE: [&str; 6] =
    ["displayName", "replyToAddress", "signature", "isDefault", "treatAsAlias", "smtpMsa"];

/// Changes an address to send as: its name, its signature.
fn update_alias(tenant: &mut Tenant, call: &Call) -> Answer {
    let (name, key) = named(call).ok_or_else(Refusal::no_route)?;
    let fields = call.object()?;
    let entries = entries(open_mailbox(tenant, call)?, name)?;
    let found = position(entries, name, key).ok_or_else(Refusal::not_found)?;
    if fields.get("isDefault") == Some(&Value::Bool(true)) {
        for entry in entries.iter_mut() {
            entry["isDefault"] = false.into();
        }
    }
    for field in WRITABLE {
        if let Some(value) = fields.get(field) {
            entries[found][field] = value.clone();
        }
    }
    Ok(Reply::json(entries[found].clone()))
}
