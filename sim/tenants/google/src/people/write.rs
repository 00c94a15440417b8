//! Changes of contacts.

use hyper::Method;
use serde_json::{Map, Value, json};

use super::{
    Fields, Kind, Person,
    person::{FIELDS, WRITABLE, writable},
    route,
};
use crate::{
    call::{Answer, Call, Reply},
    oauth::scopes::CONTACTS,
    refusal::Refusal,
    routes::Route,
    tenant::Tenant,
};

const WRITE: &[&str] = &[CONTACTS];
/// How many contacts one call makes or changes.
const BATCH_MAX: usize = 200;
/// How many contacts one call deletes.
const DELETE_MAX: usize = 500;
const MY_CONTACTS: &str = "myContacts";

/// The routes.
pub(super) const ROUTES: &[Route] = &[
    route("people.people.createContact", Method::POST, "v1/people:createContact", WRITE, create),
    route(
        "people.people.batchCreateContacts",
        Method::POST,
        "v1/people:batchCreateContacts",
        WRITE,
        create_some,
    ),
    route("people.people.updateContact", Method::PATCH, "v1/people/{peopleId}:updateContact", WRITE, update),
    route(
        "people.people.batchUpdateContacts",
        Method::POST,
        "v1/people:batchUpdateContacts",
        WRITE,
        update_some,
    ),
    route("people.people.deleteContact", Method::DELETE, "v1/people/{peopleId}:deleteContact", WRITE, delete),
    route(
        "people.people.batchDeleteContacts",
        Method::POST,
        "v1/people:batchDeleteContacts",
        WRITE,
        delete_some,
    ),
];

/// Reads a mask that may be missing; then it shows everything.
fn shown(said: Option<&str>, name: &str) -> Result<Fields, Refusal> {
    match said.filter(|said| !said.is_empty()) {
        Some(said) => Fields::parse(Some(said), name, &FIELDS),
        None => Ok(Fields::all()),
    }
}

/// Makes a contact of a body; like every contact it is in the group of the user's own.
fn made(tenant: &mut Tenant, call: &Call, body: &Map<String, Value>) -> Result<Person, Refusal> {
    let fields = writable(body)?;
    let number = tenant.draw_person();
    let mut person = Person::new(Kind::Contact, number, fields, call.now);
    check_groups(tenant, call, &mut person)?;
    Ok(person)
}

/// Refuses memberships of groups that are not there, and writes the others as they are stored.
fn check_groups(tenant: &mut Tenant, call: &Call, person: &mut Person) -> Result<(), Refusal> {
    let book = tenant.book(&call.caller.user);
    let memberships = person.fields.get("memberships").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut groups = Vec::new();
    for one in &memberships {
        let one = &one["contactGroupMembership"];
        let name = one["contactGroupResourceName"].as_str().or_else(|| one["contactGroupId"].as_str());
        let id = name.unwrap_or_default().trim_start_matches("contactGroups/").to_owned();
        if book.groups.get(&id).is_none_or(|group| group.deleted) {
            return Err(Refusal::invalid(format!("Contact group \"{id}\" does not exist.")));
        }
        if !groups.contains(&id) {
            groups.push(id);
        }
    }
    if groups.is_empty() {
        groups.push(MY_CONTACTS.to_owned());
    }
    person.set_groups(&groups);
    Ok(())
}

fn stored(tenant: &mut Tenant, call: &Call, person: Person) -> Value {
    let source = person.source.clone();
    let url = tenant.url.clone();
    let book = tenant.book(&call.caller.user);
    book.put(person, call.now);
    book.contacts[&source].resource(&url, false, false)
}

fn create(tenant: &mut Tenant, call: &Call) -> Answer {
    let fields = shown(call.query("personFields"), "personFields")?;
    let person = made(tenant, call, &call.object()?)?;
    let value = stored(tenant, call, person);
    tenant.note_contacts(call, "create_contact", 1);
    Ok(Reply::json(fields.apply(value)))
}

fn response(value: &Value, name: Option<&str>) -> Value {
    let mut response = json!({ "httpStatusCode": 200, "person": value, "status": {} });
    if let Some(name) = name {
        response["requestedResourceName"] = name.into();
    }
    response
}

/// All or none: one that cannot be made refuses the call.
fn create_some(tenant: &mut Tenant, call: &Call) -> Answer {
    let body: Value = call.json()?;
    let fields = Fields::parse(body["readMask"].as_str(), "readMask", &FIELDS)?;
    let contacts = body["contacts"].as_array().cloned().unwrap_or_default();
    if contacts.is_empty() || contacts.len() > BATCH_MAX {
        return Err(Refusal::invalid(format!("Between 1 and {BATCH_MAX} contacts must be given.")));
    }
    let mut people = Vec::new();
    for contact in &contacts {
        let body = contact["contactPerson"].as_object().cloned().unwrap_or_default();
        people.push(made(tenant, call, &body)?);
    }
    let count = people.len();
    let created: Vec<Value> = people
        .into_iter()
        .map(|person| response(&fields.apply(stored(tenant, call, person)), None))
        .collect();
    tenant.note_contacts(call, "create_multiple_contacts", count);
    Ok(Reply::json(json!({ "createdPeople": created })))
}

/// Refuses a change that does not know the newest state.
fn check_etag(person: &Person, body: &Map<String, Value>) -> Result<(), Refusal> {
    let sources = body.get("metadata").and_then(|metadata| metadata["sources"].as_array());
    let own = sources.into_iter().flatten().find(|source| source["type"] == "CONTACT");
    let of_source = own.and_then(|source| source["etag"].as_str());
    let of_person = body.get("etag").and_then(Value::as_str);
    if of_source.is_none() && of_person.is_none() {
        return Err(Refusal::precondition(
            "Request must set person.etag or person.metadata.sources.etag for the source that is being updated.",
        ));
    }
    let same = match of_source {
        Some(etag) => etag == person.source_etag(),
        None => of_person == Some(&person.etag()),
    };
    if same {
        return Ok(());
    }
    Err(Refusal::precondition(
        "Request person.etag is different than the current person.etag. Clear local cache and get the latest person.",
    ))
}

fn changed(
    tenant: &mut Tenant,
    call: &Call,
    name: &str,
    mask: &str,
    body: &Map<String, Value>,
) -> Result<Person, Refusal> {
    let mask = Fields::parse(Some(mask), "updatePersonFields", &WRITABLE)?;
    let mut person = tenant.book(&call.caller.user).contact_named(name)?.clone();
    check_etag(&person, body)?;
    let new = writable(body)?;
    for name in &mask.0 {
        match new.get(name) {
            Some(value) => drop(person.fields.insert(name.clone(), value.clone())),
            None => drop(person.fields.remove(name)),
        }
    }
    check_groups(tenant, call, &mut person)?;
    Ok(person)
}

fn update(tenant: &mut Tenant, call: &Call) -> Answer {
    let fields = shown(call.query("personFields"), "personFields")?;
    let name = format!("people/{}", call.parameter("peopleId"));
    let mask = call.query("updatePersonFields").unwrap_or_default();
    let person = changed(tenant, call, &name, mask, &call.object()?)?;
    let value = stored(tenant, call, person);
    tenant.note_contacts(call, "update_contacts", 1);
    Ok(Reply::json(fields.apply(value)))
}

fn update_some(tenant: &mut Tenant, call: &Call) -> Answer {
    let body: Value = call.json()?;
    let fields = Fields::parse(body["readMask"].as_str(), "readMask", &FIELDS)?;
    let contacts = body["contacts"].as_object().cloned().unwrap_or_default();
    if contacts.is_empty() || contacts.len() > BATCH_MAX {
        return Err(Refusal::invalid(format!("Between 1 and {BATCH_MAX} contacts must be given.")));
    }
    let mask = body["updateMask"].as_str().unwrap_or_default();
    let mut people = Vec::new();
    for (name, contact) in &contacts {
        let contact = contact.as_object().cloned().unwrap_or_default();
        people.push((name, changed(tenant, call, name, mask, &contact)?));
    }
    let count = people.len();
    let mut results = Map::new();
    for (name, person) in people {
        let value = fields.apply(stored(tenant, call, person));
        results.insert(name.clone(), response(&value, Some(name)));
    }
    tenant.note_contacts(call, "update_contacts", count);
    Ok(Reply::json(json!({ "updateResult": results })))
}

impl Tenant {
    /// Deletes contacts by their resource names; all or none.
    pub(super) fn delete_contacts(&mut self, call: &Call, names: &[String]) -> Result<(), Refusal> {
        let book = self.book(&call.caller.user);
        let mut gone = Vec::new();
        for name in names {
            gone.push(book.contact_named(name)?.clone());
        }
        for mut person in gone {
            person.deleted = true;
            book.put(person, call.now);
        }
        if !names.is_empty() {
            self.note_contacts(call, "delete_contacts", names.len());
        }
        Ok(())
    }
}

fn delete(tenant: &mut Tenant, call: &Call) -> Answer {
    tenant.delete_contacts(call, &[format!("people/{}", call.parameter("peopleId"))])?;
    Ok(Reply::json(json!({})))
}

fn delete_some(tenant: &mut Tenant, call: &Call) -> Answer {
    let body: Value = call.json()?;
    let names = body["resourceNames"].as_array().into_iter().flatten();
    let names: Vec<String> = names.filter_map(Value::as_str).map(str::to_owned).collect();
    if names.is_empty() || names.len() > DELETE_MAX {
        return Err(Refusal::invalid(format!("Between 1 and {DELETE_MAX} resource names must be given.")));
    }
    tenant.delete_contacts(call, &names)?;
    Ok(Reply::json(json!({})))
}
