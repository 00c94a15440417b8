//! The People API: contacts, their groups and photos, and the people of the domain.

mod contacts;
mod domain;
mod groups;
mod person;
mod photos;
mod settings;
mod sync;
mod write;

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
};

use bytes::Bytes;
use model::Moment;
use serde_json::{Map, Value};

pub(crate) use groups::Group;
pub(crate) use person::{Kind, Person};
pub(crate) use photos::picture;
pub use settings::PeopleSettings;

use crate::{
    audit::Parameter,
    call::Call,
    refusal::Refusal,
    routes::{Handler, Route},
    tenant::Tenant,
    text,
};

/// The routes.
pub(crate) const ROUTES: [&[Route]; 5] =
    [contacts::ROUTES, write::ROUTES, photos::ROUTES, groups::ROUTES, domain::ROUTES];

/// Makes a route of the service.
const fn route(
    id: &'static str,
    method: hyper::Method,
    path: &'static str,
    scopes: &'static [&'static str],
    handler: Handler,
) -> Route {
    Route { id, method, path, scopes, units: 1, service: "people", handler }
}

/// What one user has.
#[derive(Debug, Default)]
pub(crate) struct Book {
    /// Contacts by the id of their source.
    pub(crate) contacts: BTreeMap<String, Person>,
    /// People whom the user wrote to and never made a contact of.
    pub(crate) others: BTreeMap<String, Person>,
    pub(crate) groups: BTreeMap<String, Group>,
    /// Counts changes of all of it.
    revision: u64,
    /// When full lists were begun.
    full_syncs: VecDeque<Moment>,
}

/// What all users have.
#[derive(Debug, Default)]
pub(crate) struct People {
    books: BTreeMap<Arc<str>, Book>,
    photos: HashMap<String, Bytes>,
    drawn: u64,
}

impl Book {
    /// Makes the book of a user who has just come.
    fn new(now: Moment) -> Self {
        Self { groups: Group::system(now), ..Self::default() }
    }

    /// Stores a contact as the newest change.
    pub(crate) fn put(&mut self, mut person: Person, now: Moment) {
        self.revision += 1;
        person.changed = self.revision;
        person.updated = now;
        let shelf = if person.kind == Kind::Other { &mut self.others } else { &mut self.contacts };
        shelf.insert(person.source.clone(), person);
    }

    /// Stores a group as the newest change.
    pub(crate) fn put_group(&mut self, mut group: Group, now: Moment) {
        self.revision += 1;
        group.changed = self.revision;
        group.updated = now;
        self.groups.insert(group.id.clone(), group);
    }

    /// Returns a contact by its resource name, or by one that it had.
    fn contact(&self, name: &str) -> Option<&Person> {
        self.contacts.values().find(|person| !person.deleted && person.is_called(name))
    }

    fn contact_named(&self, name: &str) -> Result<&Person, Refusal> {
        self.contact(name).ok_or_else(Refusal::not_found)
    }
}

impl Tenant {
    /// Gives a contact another resource name, as the service does when it merges people. `None` when there is no such
    /// contact; otherwise its new name.
    pub fn rename_contact(&mut self, user: &str, resource_name: &str) -> Option<String> {
        let id = Arc::clone(&self.directory.user(user)?.id);
        let number = self.draw_person();
        let now = self.now();
        let book = self.people.books.get_mut(&id)?;
        let mut person = book.contact(resource_name)?.clone();
        let new = format!("people/c{number}");
        person.previous.push(std::mem::replace(&mut person.resource, new.clone()));
        book.put(person, now);
        Some(new)
    }

    /// Returns how many contacts a user has.
    pub fn contacts_of(&self, user: &str) -> usize {
        let book = self.directory.user(user).and_then(|user| self.people.books.get(&user.id));
        book.map_or(0, |book| book.contacts.values().filter(|person| !person.deleted).count())
    }

    /// Returns a user's book; it is made when it is first looked for.
    pub(crate) fn book(&mut self, user: &Arc<str>) -> &mut Book {
        let anchor = self.anchor;
        self.people.books.entry(Arc::clone(user)).or_insert_with(|| Book::new(anchor))
    }

    /// Draws the number of a person.
    pub(crate) fn draw_person(&mut self) -> u64 {
        self.people.drawn += 1;
        text::mixed(self.settings.seed ^ text::mixed(self.people.drawn ^ 0x7065_6f70)) >> 1
    }

    /// Keeps the bytes of a photo and returns its key.
    pub(crate) fn keep_photo(&mut self, bytes: Bytes) -> String {
        let key = format!("{:016x}", text::mixed(text::drawn(&bytes) ^ self.settings.seed));
        self.people.photos.insert(key.clone(), bytes);
        key
    }

    /// Notes a change in the audit log, which tells how many contacts it was and not which.
    fn note_contacts(&mut self, call: &Call, name: &'static str, count: usize) {
        let parameters = vec![Parameter::number("CONTACTS_COUNT", count as i64)];
        self.note(call, "contacts", "mutate_contact_data", name, parameters);
    }
}

/// What a list or a reply shows of people: names of fields.
#[derive(Debug, Clone)]
pub(crate) struct Fields(Vec<String>);

impl Fields {
    /// Reads a mask that must be there.
    fn read(call: &Call, name: &str, allowed: &[&str]) -> Result<Self, Refusal> {
        let old = call.query("requestMask.includeField");
        Self::parse(call.query(name).or(old), name, allowed)
    }

    fn parse(said: Option<&str>, name: &str, allowed: &[&str]) -> Result<Self, Refusal> {
        let text = said.unwrap_or_default();
        let paths: Vec<String> = text
            .split(',')
            .map(|path| path.trim().trim_start_matches("person.").to_owned())
            .filter(|path| !path.is_empty())
            .collect();
        if paths.is_empty() {
            return Err(Refusal::invalid(format!(
                "{name} mask is required. Please specify one or more valid paths. Valid paths are documented at \
                 https://developers.google.com/people/api/rest/v1/people.connections/list."
            )));
        }
        if let Some(wrong) = paths.iter().find(|path| !allowed.contains(&path.as_str())) {
            return Err(Refusal::invalid(format!("Invalid {name} mask path: \"{wrong}\".")));
        }
        Ok(Self(paths))
    }

    /// Everything that can be shown.
    fn all() -> Self {
        Self(person::FIELDS.iter().map(|name| (*name).to_owned()).collect())
    }

    /// Keeps what is shown of a person.
    fn apply(&self, person: Value) -> Value {
        let Value::Object(fields) = person else { return person };
        let deleted = fields.get("metadata").is_some_and(|metadata| metadata["deleted"] == true);
        let shown = |name: &str| {
            matches!(name, "resourceName" | "etag")
                || self.0.iter().any(|own| own == name)
                || (deleted && name == "metadata")
        };
        let fields: Map<String, Value> = fields.into_iter().filter(|(name, _)| shown(name)).collect();
        Value::Object(fields)
    }
}
