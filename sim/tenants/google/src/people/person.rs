//! One person: a contact, or somebody the user wrote to.

use model::Moment;
use serde_json::{Map, Value, json};

use crate::{refusal::Refusal, stamp, text};

/// What can be shown of a person.
pub(super) const FIELDS: [&str; 31] = [
    "addresses",
    "ageRanges",
    "biographies",
    "birthdays",
    "calendarUrls",
    "clientData",
    "coverPhotos",
    "emailAddresses",
    "events",
    "externalIds",
    "fileAses",
    "genders",
    "imClients",
    "interests",
    "locales",
    "locations",
    "memberships",
    "metadata",
    "miscKeywords",
    "names",
    "nicknames",
    "occupations",
    "organizations",
    "phoneNumbers",
    "photos",
    "relations",
    "sipAddresses",
    "skills",
    "urls",
    "userDefined",
    "braggingRights",
];

/// What can be written to a contact.
pub(super) const WRITABLE: [&str; 26] = [
    "addresses",
    "biographies",
    "birthdays",
    "calendarUrls",
    "clientData",
    "emailAddresses",
    "events",
    "externalIds",
    "fileAses",
    "genders",
    "imClients",
    "interests",
    "locales",
    "locations",
    "memberships",
    "miscKeywords",
    "names",
    "nicknames",
    "occupations",
    "organizations",
    "phoneNumbers",
    "relations",
    "sipAddresses",
    "skills",
    "urls",
    "userDefined",
];

/// Of these a contact has one at most.
const SINGLE: [&str; 4] = ["biographies", "birthdays", "genders", "names"];
/// Of these lists show so many.
const LONG: [&str; 2] = ["emailAddresses", "phoneNumbers"];
const LONG_MAX: usize = 100;

/// What a person is to the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Contact,
    Other,
}

impl Kind {
    const fn source(self) -> &'static str {
        match self {
            Self::Contact => "CONTACT",
            Self::Other => "OTHER_CONTACT",
        }
    }
}

/// A person.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) kind: Kind,
    /// The id of the source, which stays.
    pub(crate) source: String,
    /// The resource name, which may change.
    pub(crate) resource: String,
    /// Resource names that it had.
    pub(crate) previous: Vec<String>,
    /// What was written.
    pub(crate) fields: Map<String, Value>,
    /// The key of the photo.
    pub(crate) photo: Option<String>,
    pub(crate) updated: Moment,
    /// The book's count of changes at its last one.
    pub(crate) changed: u64,
    pub(crate) deleted: bool,
}

impl Person {
    /// Makes a person; its number becomes its names.
    pub(crate) fn new(kind: Kind, number: u64, fields: Map<String, Value>, now: Moment) -> Self {
        let place = if kind == Kind::Other { "otherContacts" } else { "people" };
        Self {
            kind,
            source: format!("{number:x}"),
            resource: format!("{place}/c{number}"),
            previous: Vec::new(),
            fields,
            photo: None,
            updated: now,
            changed: 0,
            deleted: false,
        }
    }

    pub(super) fn is_called(&self, name: &str) -> bool {
        self.resource == name || self.previous.iter().any(|old| old == name)
    }

    /// Returns the etag of the source, which a change must name.
    pub(super) fn source_etag(&self) -> String {
        let drawn = text::drawn(format!("{} {}", self.source, self.changed).as_bytes());
        format!("#{}", text::base64url(&drawn.to_be_bytes()))
    }

    /// Returns the etag of the person.
    pub(super) fn etag(&self) -> String {
        let drawn = text::drawn(format!("person {} {}", self.source, self.changed).as_bytes());
        format!("%{}", text::base64url(&drawn.to_be_bytes()))
    }

    /// Returns the ids of the groups to which it belongs.
    pub(super) fn groups(&self) -> Vec<&str> {
        let memberships = self.fields.get("memberships").and_then(Value::as_array).into_iter().flatten();
        memberships.filter_map(|one| one["contactGroupMembership"]["contactGroupId"].as_str()).collect()
    }

    /// Makes it a member of these groups and of no other.
    pub(crate) fn set_groups(&mut self, groups: &[String]) {
        let one = |id: &String| {
            json!({ "contactGroupMembership": {
                "contactGroupId": id,
                "contactGroupResourceName": format!("contactGroups/{id}"),
            }})
        };
        self.fields.insert("memberships".to_owned(), groups.iter().map(one).collect());
    }

    /// Returns the text by which people are ordered: `FIRST_NAME_ASCENDING`, `LAST_NAME_ASCENDING`.
    pub(super) fn sort_text(&self, order: &str) -> String {
        let name = |part: &str| {
            self.fields
                .get("names")
                .and_then(|names| names[0][part].as_str())
                .unwrap_or_default()
                .to_lowercase()
        };
        match order {
            "FIRST_NAME_ASCENDING" => format!("{} {}", name("givenName"), name("familyName")),
            "LAST_NAME_ASCENDING" => format!("{} {}", name("familyName"), name("givenName")),
            "LAST_MODIFIED_DESCENDING" => format!("{:020}", i64::MAX - self.updated.as_micros()),
            _ => format!("{:020}", self.updated.as_micros()),
        }
    }

    /// Makes the resource. `listed` is a list's view, which cuts long fields; `synced` one since a token.
    pub(super) fn resource(&self, url: &str, listed: bool, synced: bool) -> Value {
        let source = json!({ "type": self.kind.source(), "id": self.source });
        let mut own = source.clone();
        own["etag"] = self.source_etag().into();
        own["updateTime"] = stamp::rfc3339(self.updated).into();
        let mut metadata = json!({ "sources": [own], "objectType": "PERSON" });
        if synced && !self.previous.is_empty() {
            metadata["previousResourceNames"] = json!(self.previous);
        }
        let mut value = json!({ "resourceName": self.resource, "etag": self.etag() });
        if self.deleted {
            metadata["deleted"] = true.into();
            value["metadata"] = metadata;
            return value;
        }
        value["metadata"] = metadata;
        for (name, field) in &self.fields {
            let mut items = field.as_array().cloned().unwrap_or_default();
            if listed && LONG.contains(&name.as_str()) {
                items.truncate(LONG_MAX);
            }
            for (at, item) in items.iter_mut().enumerate() {
                item["metadata"] = marked(&source, at == 0 && name != "memberships");
                complete(name, item);
            }
            value[name] = items.into();
        }
        if self.kind == Kind::Contact {
            let key = self.photo.as_deref().unwrap_or("default");
            let mut photo =
                json!({ "metadata": marked(&source, true), "url": format!("{url}/contact-photos/{key}") });
            if self.photo.is_none() {
                photo["default"] = true.into();
            }
            value["photos"] = json!([photo]);
        }
        value
    }
}

/// Makes the metadata of a field.
pub(super) fn marked(source: &Value, primary: bool) -> Value {
    let mut metadata = json!({ "source": source });
    if primary {
        metadata["primary"] = true.into();
        metadata["sourcePrimary"] = true.into();
    }
    metadata
}

/// Adds to a field what the service makes of it.
pub(super) fn complete(name: &str, item: &mut Value) {
    let text = |item: &Value, part: &str| item[part].as_str().unwrap_or_default().to_owned();
    match name {
        "names" => {
            let parts = ["honorificPrefix", "givenName", "middleName", "familyName", "honorificSuffix"];
            let (given, family) = (text(item, "givenName"), text(item, "familyName"));
            let mut parts: Vec<String> = parts.iter().map(|part| text(item, part)).collect();
            parts.retain(|part| !part.is_empty());
            let written = text(item, "unstructuredName");
            let shown = if parts.is_empty() { written } else { parts.join(" ") };
            let last_first = if family.is_empty() || given.is_empty() {
                shown.clone()
            } else {
                format!("{family}, {given}")
            };
            item["displayName"] = shown.clone().into();
            item["displayNameLastFirst"] = last_first.into();
            item["unstructuredName"] = shown.into();
        }
        "phoneNumbers" => {
            let digits: String = text(item, "value")
                .chars()
                .filter(|letter| letter.is_ascii_digit() || *letter == '+')
                .collect();
            if digits.starts_with('+') {
                item["canonicalForm"] = digits.into();
            }
        }
        "addresses" if item["formattedValue"].is_null() => {
            let lines = [
                text(item, "streetAddress"),
                format!("{} {}", text(item, "postalCode"), text(item, "city")).trim().to_owned(),
                text(item, "country"),
            ];
            let lines: Vec<String> = lines.into_iter().filter(|line| !line.is_empty()).collect();
            item["formattedValue"] = lines.join("\n").into();
        }
        _ => {}
    }
    let kind = text(item, "type");
    if !kind.is_empty()
        && matches!(name, "phoneNumbers" | "emailAddresses" | "addresses" | "urls" | "relations" | "events")
    {
        let mut letters = kind.chars();
        let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
        item["formattedType"] = format!("{first}{}", letters.as_str()).into();
    }
}

/// Takes from a body what can be written; refuses what a contact cannot have.
pub(super) fn writable(body: &Map<String, Value>) -> Result<Map<String, Value>, Refusal> {
    let mut fields = Map::new();
    for name in WRITABLE {
        let Some(value) = body.get(name).filter(|value| !value.is_null()) else { continue };
        let Some(items) = value.as_array() else {
            return Err(Refusal::invalid(format!("Invalid value at 'person.{name}'")));
        };
        if SINGLE.contains(&name) && items.len() > 1 {
            return Err(Refusal::invalid(format!(
                "Invalid values for field: {name}. Contact person resources can only have one of each singleton field."
            )));
        }
        let mut items = items.clone();
        for item in &mut items {
            if let Some(item) = item.as_object_mut() {
                for made in ["metadata", "formattedType", "canonicalForm", "displayNameLastFirst"] {
                    item.remove(made);
                }
                if name == "names" {
                    item.remove("displayName");
                }
            }
        }
        if !items.is_empty() {
            fields.insert(name.to_owned(), Value::Array(items));
        }
    }
    Ok(fields)
}
