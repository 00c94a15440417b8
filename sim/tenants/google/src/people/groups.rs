//! Groups of contacts.

use std::collections::BTreeMap;

use hyper::Method;
use model::Moment;
use serde_json::{Value, json};

use super::{Book, Fields, Person, route, sync::Mark};
use crate::{
    call::{Answer, Call, Reply},
    oauth::scopes::{CONTACTS, CONTACTS_READONLY},
    page,
    refusal::Refusal,
    routes::Route,
    stamp,
    tenant::Tenant,
    text,
};

const READ: &[&str] = &[CONTACTS, CONTACTS_READONLY];
const WRITE: &[&str] = &[CONTACTS];
const ALL: &str = "v1/contactGroups";
const ONE: &str = "v1/contactGroups/{groupId}";
/// What can be shown of a group.
const FIELDS: [&str; 5] = ["clientData", "groupType", "memberCount", "metadata", "name"];
const USUAL: &str = "metadata,groupType,memberCount,name";
/// How many members one call adds and removes.
const MEMBERS_MAX: usize = 1000;
const MY_CONTACTS: &str = "myContacts";

/// The routes.
pub(super) const ROUTES: &[Route] = &[
    route("people.contactGroups.list", Method::GET, ALL, READ, list),
    route("people.contactGroups.get", Method::GET, ONE, READ, get),
    route("people.contactGroups.batchGet", Method::GET, "v1/contactGroups:batchGet", READ, get_some),
    route("people.contactGroups.create", Method::POST, ALL, WRITE, create),
    route("people.contactGroups.update", Method::PUT, ONE, WRITE, update),
    route("people.contactGroups.delete", Method::DELETE, ONE, WRITE, delete),
    route(
        "people.contactGroups.members.modify",
        Method::POST,
        "v1/contactGroups/{groupId}/members:modify",
        WRITE,
        modify,
    ),
];

/// A group.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) system: bool,
    pub(crate) client_data: Value,
    pub(crate) updated: Moment,
    /// The book's count of changes at its last one.
    pub(crate) changed: u64,
    pub(crate) deleted: bool,
}

impl Group {
    /// Makes a group of a user's own.
    pub(crate) fn new(id: String, name: &str, now: Moment) -> Self {
        let (name, client_data) = (name.to_owned(), Value::Null);
        Self { id, name, system: false, client_data, updated: now, changed: 0, deleted: false }
    }

    /// Makes the groups that everybody has.
    pub(super) fn system(now: Moment) -> BTreeMap<String, Self> {
        ["all", "blocked", "chatBuddies", "coworkers", "family", "friends", MY_CONTACTS, "starred"]
            .map(|id| (id.to_owned(), Self { system: true, ..Self::new(id.to_owned(), id, now) }))
            .into()
    }

    fn resource(&self, book: &Book, members_max: usize, mask: &Fields) -> Value {
        let mut value = json!({
            "resourceName": format!("contactGroups/{}", self.id),
            "etag": text::base64url(&text::mixed(self.changed ^ text::drawn(self.id.as_bytes())).to_be_bytes()),
        });
        let mut metadata = json!({ "updateTime": stamp::rfc3339(self.updated) });
        if self.deleted {
            metadata["deleted"] = true.into();
            value["metadata"] = metadata;
            return value;
        }
        let members = self.members(book);
        for name in &mask.0 {
            match name.as_str() {
                "metadata" if !self.system => value["metadata"] = metadata.clone(),
                "groupType" => {
                    let kind = if self.system { "SYSTEM_CONTACT_GROUP" } else { "USER_CONTACT_GROUP" };
                    value["groupType"] = kind.into();
                }
                "memberCount" if !members.is_empty() => value["memberCount"] = members.len().into(),
                "name" => {
                    value["name"] = self.name.clone().into();
                    value["formattedName"] = formatted(&self.name, self.system).into();
                }
                "clientData" if !self.client_data.is_null() => value["clientData"] = self.client_data.clone(),
                _ => {}
            }
        }
        if members_max > 0 && !members.is_empty() {
            value["memberResourceNames"] =
                members.iter().take(members_max).map(|person| person.resource.clone()).collect();
        }
        value
    }

    fn members<'a>(&self, book: &'a Book) -> Vec<&'a Person> {
        let own =
            |person: &&Person| !person.deleted && (self.id == "all" || person.groups().contains(&&*self.id));
        book.contacts.values().filter(own).collect()
    }
}

fn formatted(name: &str, system: bool) -> String {
    match name {
        MY_CONTACTS if system => "My Contacts".to_owned(),
        "chatBuddies" if system => "Chat contacts".to_owned(),
        _ if system => {
            let mut letters = name.chars();
            letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
        }
        _ => name.to_owned(),
    }
}

fn mask(call: &Call) -> Result<Fields, Refusal> {
    let said = call.query("groupFields").filter(|said| !said.is_empty()).unwrap_or(USUAL);
    Fields::parse(Some(said), "groupFields", &FIELDS)
}

fn list(tenant: &mut Tenant, call: &Call) -> Answer {
    let mask = mask(call)?;
    let since = tenant.read_people_mark(call)?;
    tenant.book(&call.caller.user);
    let book = &tenant.people.books[&call.caller.user];
    let wanted = |group: &&Group| match since {
        Some(mark) => group.changed > mark.revision,
        None => !group.deleted,
    };
    let chosen: Vec<&Group> = book.groups.values().filter(wanted).collect();
    let place = page::open(tenant.settings.seed, call, tenant.settings.page_lifetime)?;
    let size = call.page_size("pageSize", 30, 1000)?;
    let (shown, next, begun) = page::slice_since(&chosen, place.as_deref(), size, book.revision);
    let groups: Vec<Value> = shown.iter().map(|group| group.resource(book, 0, &mask)).collect();
    let mut body = json!({ "totalItems": chosen.len() });
    if !groups.is_empty() {
        body["contactGroups"] = groups.into();
    }
    if let Some(next) = next {
        body["nextPageToken"] = page::issue(tenant.settings.seed, call, &next).into();
    } else {
        let full = since.map_or(call.now, |mark| mark.full);
        let mark = Mark { full, revision: begun };
        body["nextSyncToken"] = tenant.issue_people_mark(call, mark).into();
    }
    Ok(Reply::json(body))
}

/// Returns a group that is there.
fn found(tenant: &mut Tenant, call: &Call, id: &str) -> Result<Group, Refusal> {
    let group = tenant.book(&call.caller.user).groups.get(id).filter(|group| !group.deleted);
    group.cloned().ok_or_else(Refusal::not_found)
}

fn get(tenant: &mut Tenant, call: &Call) -> Answer {
    let (mask, max) = (mask(call)?, call.page_size("maxMembers", 0, usize::MAX)?);
    let group = found(tenant, call, call.parameter("groupId"))?;
    Ok(Reply::json(group.resource(tenant.book(&call.caller.user), max, &mask)))
}

fn get_some(tenant: &mut Tenant, call: &Call) -> Answer {
    let (mask, max) = (mask(call)?, call.page_size("maxMembers", 0, usize::MAX)?);
    let names: Vec<String> = call.queries("resourceNames").map(str::to_owned).collect();
    if names.is_empty() || names.len() > 200 {
        return Err(Refusal::invalid("Between 1 and 200 resource names must be given."));
    }
    let mut responses = Vec::new();
    for name in names {
        let mut response = json!({ "requestedResourceName": name, "status": {} });
        match found(tenant, call, name.trim_start_matches("contactGroups/")) {
            Ok(group) => {
                response["contactGroup"] = group.resource(tenant.book(&call.caller.user), max, &mask);
            }
            Err(refusal) => response["status"] = json!({ "code": 5, "message": refusal.message }),
        }
        responses.push(response);
    }
    Ok(Reply::json(json!({ "responses": responses })))
}

/// Returns the wanted name of a group, which no other of the user's groups may have.
fn free_name(tenant: &mut Tenant, call: &Call, body: &Value, own: &str) -> Result<String, Refusal> {
    let name = body["contactGroup"]["name"].as_str().unwrap_or_default().trim();
    if name.is_empty() {
        return Err(Refusal::invalid("Contact group name must not be empty."));
    }
    let book = tenant.book(&call.caller.user);
    if book.groups.values().any(|group| !group.deleted && group.name == name && group.id != own) {
        return Err(Refusal::duplicate("Contact group name already exists."));
    }
    Ok(name.to_owned())
}

fn stored(tenant: &mut Tenant, call: &Call, group: Group) -> Answer {
    let id = group.id.clone();
    let mask = Fields::parse(Some(USUAL), "groupFields", &FIELDS)?;
    let book = tenant.book(&call.caller.user);
    book.put_group(group, call.now);
    Ok(Reply::json(book.groups[&id].resource(book, 0, &mask)))
}

fn create(tenant: &mut Tenant, call: &Call) -> Answer {
    let body: Value = call.json()?;
    let name = free_name(tenant, call, &body, "")?;
    let id = format!("{:x}", tenant.draw_person());
    let mut group = Group::new(id, &name, call.now);
    group.client_data = body["contactGroup"]["clientData"].clone();
    stored(tenant, call, group)
}

fn update(tenant: &mut Tenant, call: &Call) -> Answer {
    let mut group = found(tenant, call, call.parameter("groupId"))?;
    if group.system {
        return Err(Refusal::invalid("System contact groups cannot be updated."));
    }
    let body: Value = call.json()?;
    group.name = free_name(tenant, call, &body, &group.id)?;
    if body["updateGroupFields"].as_str().is_some_and(|fields| fields.contains("clientData")) {
        group.client_data = body["contactGroup"]["clientData"].clone();
    }
    stored(tenant, call, group)
}

fn delete(tenant: &mut Tenant, call: &Call) -> Answer {
    let mut group = found(tenant, call, call.parameter("groupId"))?;
    if group.system {
        return Err(Refusal::invalid("System contact groups cannot be deleted."));
    }
    let book = tenant.book(&call.caller.user);
    let members: Vec<Person> = group.members(book).into_iter().cloned().collect();
    group.deleted = true;
    let id = group.id.clone();
    book.put_group(group, call.now);
    if call.flag("deleteContacts") {
        let names: Vec<String> = members.into_iter().map(|person| person.resource).collect();
        tenant.delete_contacts(call, &names)?;
        return Ok(Reply::json(json!({})));
    }
    for mut person in members {
        let mut rest: Vec<String> =
            person.groups().into_iter().filter(|own| *own != id).map(str::to_owned).collect();
        if rest.is_empty() {
            rest.push(MY_CONTACTS.to_owned());
        }
        person.set_groups(&rest);
        book.put(person, call.now);
    }
    Ok(Reply::json(json!({})))
}

fn modify(tenant: &mut Tenant, call: &Call) -> Answer {
    let group = found(tenant, call, call.parameter("groupId"))?;
    if group.system && !matches!(group.id.as_str(), MY_CONTACTS | "starred") {
        return Err(Refusal::invalid("Members of this system contact group cannot be modified."));
    }
    let body: Value = call.json()?;
    let names = |field: &str| -> Vec<String> {
        body[field].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let (added, removed) = (names("resourceNamesToAdd"), names("resourceNamesToRemove"));
    if added.is_empty() && removed.is_empty() || added.len() + removed.len() > MEMBERS_MAX {
        return Err(Refusal::invalid(format!("Between 1 and {MEMBERS_MAX} resource names must be given.")));
    }
    let book = tenant.book(&call.caller.user);
    let (mut missing, mut last) = (Vec::new(), Vec::new());
    let wishes = added.iter().map(|name| (name, true)).chain(removed.iter().map(|name| (name, false)));
    for (name, add) in wishes {
        let Some(mut person) = book.contact(name).cloned() else {
            missing.push(name.clone());
            continue;
        };
        let mut groups: Vec<String> =
            person.groups().into_iter().filter(|own| *own != group.id).map(str::to_owned).collect();
        if add {
            groups.push(group.id.clone());
        } else if groups.is_empty() {
            last.push(name.clone());
            continue;
        }
        person.set_groups(&groups);
        book.put(person, call.now);
    }
    let mut answer = json!({});
    for (field, names) in
        [("notFoundResourceNames", missing), ("canNotRemoveLastContactGroupResourceNames", last)]
    {
        if !names.is_empty() {
            answer[field] = json!(names);
        }
    }
    Ok(Reply::json(answer))
}
