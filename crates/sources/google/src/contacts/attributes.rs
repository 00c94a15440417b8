use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::records;

/// Of a text so many characters are kept for people to find somebody by.
const CHARACTERS_MAX: usize = 200;

/// What is kept of somebody beside the document.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonAttributes {
    /// The name of the resource as it was last; it may change.
    pub resource: String,
    /// The name that is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The first mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Where the photo is, if it is not the default one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub photo: Option<String>,
    /// The first half of the BLAKE3 hash of the document without its etag, in hexadecimal.
    pub hash: String,
}

/// What is kept of a photo beside its bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhotoAttributes {
    /// Where it was fetched; it is fetched again when this changes.
    pub url: String,
    /// The first half of the BLAKE3 hash of its bytes, in hexadecimal.
    pub hash: String,
}

impl PersonAttributes {
    /// Reads stored attributes.
    pub fn of_text(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// Returns them as they are stored.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Takes them from a person as the API has it.
    pub(super) fn of_person(person: &Value) -> Self {
        let mut bare = person.clone();
        if let Value::Object(members) = &mut bare {
            members.remove("etag");
        }
        let text = |value: &Value| {
            value
                .as_str()
                .filter(|text| !text.is_empty())
                .map(|text| text.chars().take(CHARACTERS_MAX).collect())
        };
        Self {
            resource: person["resourceName"].as_str().unwrap_or_default().to_owned(),
            name: text(&person["names"][0]["displayName"]),
            email: text(&person["emailAddresses"][0]["value"]),
            photo: photo(person),
            hash: records::hash(&serde_json::to_vec(&bare).unwrap_or_default()),
        }
    }
}

impl PhotoAttributes {
    /// Reads stored attributes.
    pub fn of_text(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// Returns them as they are stored.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Returns where the photo is that the user gave a contact. One that comes from the contact's own account is not the
/// user's.
fn photo(person: &Value) -> Option<String> {
    let photos = person["photos"].as_array()?;
    let own = |photo: &&Value| {
        let source = &photo["metadata"]["source"]["type"];
        photo["default"] != json!(true) && (source.is_null() || source == "CONTACT")
    };
    photos.iter().find(own)?["url"].as_str().filter(|url| !url.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_photo_that_the_user_chose_is_the_users() {
        let with = |photo: Value| PersonAttributes::of_person(&json!({ "photos": [photo] })).photo;
        let url = "https://lh3.googleusercontent.com/a";
        assert_eq!(
            with(json!({ "url": url, "metadata": { "source": { "type": "CONTACT" } } })).as_deref(),
            Some(url)
        );
        assert_eq!(with(json!({ "url": url })).as_deref(), Some(url));
        assert_eq!(with(json!({ "url": url, "default": true })), None);
        assert_eq!(with(json!({ "url": url, "metadata": { "source": { "type": "PROFILE" } } })), None);
        assert_eq!(with(json!({ "url": "" })), None);
    }

    #[test]
    fn a_person_without_anything_has_attributes_all_the_same() {
        let attributes = PersonAttributes::of_person(&json!({ "resourceName": "people/c1", "names": [] }));
        assert_eq!((attributes.resource.as_str(), &attributes.name), ("people/c1", &None));
        assert_eq!(PersonAttributes::of_text(&attributes.to_text()), Some(attributes));
    }
}
