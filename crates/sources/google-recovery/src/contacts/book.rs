//! A user's contacts while they are written: one call after the other, as Google asks for.

use std::collections::BTreeMap;

use connect::plan::{ApplyMode, WriteError};
use connect_http::escape;
use google_api::{ApiError, Get, ReadApi, method};
use model::StreamName;
use serde_json::Value;
use source_google::contacts::{PERSON_PREFIX, PHOTO_PREFIX};

use super::person::{MEMBERSHIPS, mask};
use crate::{
    fields::Fields,
    journal::Made,
    step::{Task, failed, unread},
};

/// What the journal calls a contact that was made.
pub(super) const CONTACT: &str = "contact";
/// So many contacts are asked for in one call.
const ASKED_MAX: usize = 100;

/// A user's contacts while they are written.
pub(super) struct Book<'a> {
    pub(super) task: &'a Task<'a>,
    /// Whose they are.
    pub(super) user: &'a str,
    /// Where contacts are taken from, and as of which commit.
    pub(super) source: Option<(StreamName, u64)>,
}

/// Returns the call's path of one contact.
pub(super) fn of_person(resource: &str, action: &str) -> String {
    format!("v1/people/{}:{action}", escape(resource.strip_prefix("people/").unwrap_or(resource)))
}

impl Book<'_> {
    pub(super) fn reading(&self) -> &ReadApi {
        self.task.api.reading()
    }

    pub(super) fn is_rehearsal(&self) -> bool {
        self.task.mode == ApplyMode::Rehearsal
    }

    pub(super) fn note(&self, kind: &str, old: &str, new: &str) -> Result<(), WriteError> {
        let (kind, old, new) = (kind.to_owned(), old.to_owned(), new.to_owned());
        self.task.journal.note(Made { kind, old, new, place: None })
    }

    /// Reads contacts as they are now, in the order of the names; `None` for those that are gone.
    pub(super) fn people(&self, resources: &[&str]) -> Result<Vec<Option<Value>>, WriteError> {
        let mut all = Vec::with_capacity(resources.len());
        for resources in resources.chunks(ASKED_MAX) {
            let mut get =
                Get::new(&method::RESTORE_PEOPLE_GET, "v1/people:batchGet").query("personFields", mask());
            for resource in resources {
                get = get.query("resourceNames", *resource);
            }
            let mut answer: Value = match self.reading().get(self.user, &get) {
                Ok(answer) => answer,
                Err(error) => return Err(failed("read contacts", error)),
            };
            let mut found = BTreeMap::new();
            for response in answer["responses"].as_array_mut().into_iter().flatten() {
                let name = response["requestedResourceName"].as_str().map(str::to_owned);
                let person = response["person"].take();
                if let Some(name) =
                    name.filter(|_| person.is_object() && person["metadata"]["deleted"] != true)
                {
                    found.insert(name, person);
                }
            }
            all.extend(resources.iter().map(|resource| found.remove(*resource)));
        }
        Ok(all)
    }

    /// Reads every contact that the user has.
    pub(super) fn all(&self, mask: &str) -> Result<Vec<Value>, WriteError> {
        self.pages(
            &Get::new(&method::RESTORE_CONNECTIONS_LIST, "v1/people/me/connections")
                .query("personFields", mask),
            "connections",
        )
    }

    pub(super) fn pages(&self, get: &Get, member: &str) -> Result<Vec<Value>, WriteError> {
        let (mut all, mut token) = (Vec::new(), None::<String>);
        loop {
            let mut next = get.clone().query("pageSize", "1000");
            if let Some(token) = &token {
                next = next.query("pageToken", token);
            }
            let page: Result<Value, ApiError> = self.reading().get(self.user, &next);
            let mut page = page.map_err(|error| failed("list contacts", error))?;
            if let Value::Array(items) = page[member].take() {
                all.extend(items);
            }
            token = page["nextPageToken"].as_str().map(str::to_owned);
            if token.is_none() {
                return Ok(all);
            }
        }
    }

    /// Returns a contact as it was.
    pub(super) fn wanted(&self, id: &str) -> Result<Value, WriteError> {
        let content = self.content(&format!("{PERSON_PREFIX}{id}"))?;
        serde_json::from_slice(&content).map_err(|error| WriteError::Plan(Box::new(error)))
    }

    /// Returns the photo that a contact had.
    pub(super) fn photo(&self, id: &str) -> Result<Vec<u8>, WriteError> {
        self.content(&format!("{PHOTO_PREFIX}{id}"))
    }

    fn content(&self, key: &str) -> Result<Vec<u8>, WriteError> {
        let Some((stream, at)) = &self.source else {
            return Err(WriteError::Plan("a step of contacts does not say where they are".into()));
        };
        self.task.past.content(stream, key, *at).map_err(|error| unread(key, error))
    }
}

/// Returns the names of groups in which something is to be, and that are not there.
pub(super) fn missing_groups<'f>(
    fields: impl IntoIterator<Item = (&'f String, &'f Value)>,
    names: &BTreeMap<String, String>,
    groups: &BTreeMap<String, String>,
) -> Option<String> {
    let missing: Vec<&str> = fields
        .into_iter()
        .filter(|(_, value)| **value == Value::Bool(true))
        .filter_map(|(path, _)| path.strip_prefix(MEMBERSHIPS))
        .filter(|group| !groups.contains_key(*group))
        .map(|group| names.get(group).map_or(group, String::as_str))
        .collect();
    (!missing.is_empty())
        .then(|| format!("it is not in these groups, which are not there: {}", missing.join(", ")))
}

/// Calls groups by the ids that they have now; those that are not there are left out.
pub(super) fn with_groups_now(fields: Fields, groups: &BTreeMap<String, String>) -> Fields {
    fields
        .into_iter()
        .filter_map(|(path, value)| match path.strip_prefix(MEMBERSHIPS) {
            Some(group) => Some((format!("{MEMBERSHIPS}{}", groups.get(group)?), value)),
            None => Some((path, value)),
        })
        .collect()
}
