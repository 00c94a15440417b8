//! What of a contact is compared and written.

use serde_json::{Map, Value, json};

use crate::fields::Fields;

/// What can be written of a contact, besides the groups.
const WRITABLE: [&str; 25] = [
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
/// What the service makes of an entry by itself.
const MADE: [&str; 5] =
    ["metadata", "formattedType", "canonicalForm", "displayNameLastFirst", "formattedProtocol"];
/// The key of the entry that tells whom a contact was made for.
const MARK: &str = "unwipe";
/// What the path of a membership begins with; the group's id follows.
pub(crate) const MEMBERSHIPS: &str = "memberships/";

/// Everything that is read of a contact to compare it.
pub(super) fn mask() -> String {
    format!("{},memberships,metadata,photos", WRITABLE.join(","))
}

/// Returns the fields of a contact, and each of its groups as a field.
pub(crate) fn fields_of(person: &Value) -> Fields {
    let mut fields = Fields::new();
    for name in WRITABLE {
        let items = person[name].as_array().map(Vec::as_slice).unwrap_or_default();
        let items: Vec<Value> =
            items.iter().filter(|item| !is_mark(name, item)).map(|item| bare(name, item)).collect();
        if !items.is_empty() {
            fields.insert(name.to_owned(), items.into());
        }
    }
    for one in person["memberships"].as_array().into_iter().flatten() {
        if let Some(group) = one["contactGroupMembership"]["contactGroupId"].as_str() {
            fields.insert(format!("{MEMBERSHIPS}{group}"), true.into());
        }
    }
    fields
}

fn is_mark(name: &str, item: &Value) -> bool {
    name == "clientData" && item["key"] == MARK
}

fn bare(name: &str, item: &Value) -> Value {
    let mut item = item.as_object().cloned().unwrap_or_default();
    for made in MADE {
        item.remove(made);
    }
    match name {
        "names" => {
            item.remove("displayName");
            if ["givenName", "familyName", "middleName"].iter().any(|part| item.contains_key(*part)) {
                item.remove("unstructuredName");
            }
        }
        "genders" => drop(item.remove("formattedValue")),
        _ => {}
    }
    Value::Object(item)
}

/// Returns the body of a contact that has these fields, and is marked.
pub(super) fn body(fields: &Fields, mark: Option<&str>) -> Value {
    let mut body = Map::new();
    let mut memberships = Vec::new();
    for (path, value) in fields {
        match path.strip_prefix(MEMBERSHIPS) {
            Some(group) if *value == json!(true) => memberships.push(json!({
                "contactGroupMembership": { "contactGroupResourceName": format!("contactGroups/{group}") }
            })),
            Some(_) => {}
            None => drop(body.insert(path.clone(), value.clone())),
        }
    }
    if !memberships.is_empty() {
        body.insert("memberships".to_owned(), memberships.into());
    }
    if let Some(mark) = mark {
        let mut data = body.get("clientData").and_then(Value::as_array).cloned().unwrap_or_default();
        data.push(json!({ "key": MARK, "value": mark }));
        body.insert("clientData".to_owned(), data.into());
    }
    Value::Object(body)
}

/// Returns whom a contact was made for.
pub(crate) fn mark_of(person: &Value) -> Option<&str> {
    let data = person["clientData"].as_array()?;
    data.iter().find(|entry| is_mark("clientData", entry))?["value"].as_str()
}

/// Returns where the photo is that the user gave a contact.
pub(super) fn photo_of(person: &Value) -> Option<&str> {
    let own = |photo: &&Value| {
        let source = &photo["metadata"]["source"]["type"];
        photo["default"] != json!(true) && (source.is_null() || source == "CONTACT")
    };
    person["photos"].as_array()?.iter().find(own)?["url"].as_str()
}

/// Returns what people call a contact.
pub(super) fn name_of(person: &Value) -> Option<String> {
    let name =
        person["names"][0]["displayName"].as_str().or_else(|| person["emailAddresses"][0]["value"].as_str());
    name.map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_service_makes_is_neither_compared_nor_written() {
        let person = json!({
            "resourceName": "people/c1", "etag": "e",
            "names": [{ "givenName": "Maria", "displayName": "Maria", "unstructuredName": "Maria", "metadata": {} }],
            "phoneNumbers": [{ "value": "+49 1", "canonicalForm": "+491", "formattedType": "Work", "type": "work" }],
            "clientData": [{ "key": "unwipe", "value": "1f" }],
            "memberships": [{ "contactGroupMembership": { "contactGroupId": "7a" } }, { "domainMembership": {} }],
        });
        let fields = fields_of(&person);
        assert_eq!(fields["names"], json!([{ "givenName": "Maria" }]));
        assert_eq!(fields["phoneNumbers"], json!([{ "value": "+49 1", "type": "work" }]));
        assert!(!fields.contains_key("clientData") && fields["memberships/7a"] == json!(true));
        let written = body(&fields, Some("2f"));
        assert_eq!(mark_of(&written), Some("2f"));
        assert_eq!(
            written["memberships"][0]["contactGroupMembership"]["contactGroupResourceName"],
            "contactGroups/7a"
        );
    }
}
