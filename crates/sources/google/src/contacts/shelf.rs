//! The two lists of people that a user has.

use google_api::{Get, Method, method};
use serde_json::Value;

use super::{OTHER_PREFIX, PERSON_PREFIX};

/// Everything that a contact has.
const PERSON_FIELDS: &str = "addresses,biographies,birthdays,calendarUrls,clientData,emailAddresses,events,externalIds,\
    fileAses,genders,imClients,interests,locales,locations,memberships,metadata,miscKeywords,names,nicknames,\
    occupations,organizations,phoneNumbers,photos,relations,sipAddresses,skills,urls,userDefined";
/// Everything that is known of somebody whom the user only wrote to.
const OTHER_FIELDS: &str = "emailAddresses,metadata,names,phoneNumbers,photos";
const PAGE: &str = "1000";

/// A list of people.
pub(super) struct Shelf {
    /// Its name in messages, and the key of the item that says that it cannot be read.
    pub(super) name: &'static str,
    method: &'static Method,
    path: &'static str,
    mask: (&'static str, &'static str),
    /// How its items are called.
    pub(super) member: &'static str,
    /// What the keys of its items begin with.
    pub(super) prefix: &'static str,
    /// The type of the source whose id is the key.
    source: &'static str,
    /// Whether its people have photos that are the user's.
    pub(super) has_photos: bool,
    /// Whether somebody of it can be asked for by name.
    pub(super) has_names: bool,
}

/// The contacts.
pub(super) static CONTACTS: Shelf = Shelf {
    name: "contacts",
    method: &method::CONNECTIONS_LIST,
    path: "v1/people/me/connections",
    mask: ("personFields", PERSON_FIELDS),
    member: "connections",
    prefix: PERSON_PREFIX,
    source: "CONTACT",
    has_photos: true,
    has_names: true,
};

/// People whom the user only wrote to.
pub(super) static OTHERS: Shelf = Shelf {
    name: "other contacts",
    method: &method::OTHER_CONTACTS_LIST,
    path: "v1/otherContacts",
    mask: ("readMask", OTHER_FIELDS),
    member: "otherContacts",
    prefix: OTHER_PREFIX,
    source: "OTHER_CONTACT",
    has_photos: false,
    has_names: false,
};

impl Shelf {
    /// The call of the list: of all of it, or of what changed since a token. All but the token must be the same in both.
    pub(super) fn get(&self, since: Option<&str>) -> Get {
        let get = Get::new(self.method, self.path)
            .query(self.mask.0, self.mask.1)
            .query("pageSize", PAGE)
            .query("requestSyncToken", "true");
        since.iter().fold(get, |get, token| get.query("syncToken", *token))
    }

    /// Returns the id by which somebody is known here, whatever the resource is called.
    pub(super) fn source_id(&self, person: &Value) -> Option<String> {
        let sources = person["metadata"]["sources"].as_array()?;
        let own = sources.iter().find(|source| source["type"] == self.source)?;
        own["id"].as_str().map(str::to_owned)
    }

    /// Returns that id, or for somebody who has no such source what the resource is called.
    pub(super) fn id(&self, person: &Value) -> Option<String> {
        let resource = || person["resourceName"].as_str()?.rsplit('/').next().map(str::to_owned);
        self.source_id(person).or_else(resource).filter(|id| !id.is_empty())
    }

    /// Returns the key of the item with an id.
    pub(super) fn key(&self, id: &str) -> String {
        format!("{}{id}", self.prefix)
    }
}

/// The call of one contact, as little of it as can be.
pub(super) fn by_name(resource: &str) -> Get {
    let id = resource.strip_prefix("people/").unwrap_or(resource);
    Get::new(&method::PEOPLE_GET, format!("v1/people/{}", connect_http::escape(id)))
        .query("personFields", "metadata")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn somebody_is_known_by_the_source_and_not_by_the_name_of_the_resource() {
        let person = json!({ "resourceName": "people/c7", "metadata": { "sources": [
            { "type": "PROFILE", "id": "1" }, { "type": "CONTACT", "id": "1f" },
        ] } });
        assert_eq!(CONTACTS.id(&person).as_deref(), Some("1f"));
        assert_eq!(OTHERS.source_id(&person), None);
        assert_eq!(CONTACTS.id(&json!({ "resourceName": "people/c7" })).as_deref(), Some("c7"));
        assert_eq!(CONTACTS.id(&json!({})), None);
    }
}
