//! Contacts with many fields, unusual names, photos and groups.

use std::sync::Arc;

use serde_json::{Value, json};

use super::names::{FAMILY, GIVEN, local_part, nth, pick};
use crate::{
    people::{Group, Kind, Person, picture},
    tenant::Tenant,
};

const CONTACT: u64 = 0x636f;
const OTHER: u64 = 0x6f74;
const DAY_MICROS: i64 = 86_400_000_000;

const GROUPS: [&str; 3] = ["Customers", "Lieferanten & Partner", "🏃 Running"];

/// Names that programs trip over.
const UNUSUAL: &[&str] = &[
    "X Æ A-12",
    "Nguyễn Thị Minh Khai",
    "عائشة بنت محمد",
    "李 小龍",
    "Madonna",
    "Jean-Luc d'Arc-en-Ciel, Jr.",
    "\u{202e}drawkcaB",
    "Åsa \"Ossi\" Öberg",
    "👩‍🚒 Chief",
    "null",
];

/// Furnishes the contacts of all users.
pub(super) fn furnish(tenant: &mut Tenant) {
    let users: Vec<Arc<str>> = tenant
        .users()
        .iter()
        .filter(|user| user.deleted.is_none())
        .map(|user| Arc::clone(&user.id))
        .collect();
    for (number, user) in users.iter().enumerate() {
        let groups = groups(tenant, user);
        let count = u64::from(tenant.settings.size.contacts);
        for nth_contact in 0..count {
            contact(tenant, user, &groups, (number as u64) << 32 | nth_contact, nth_contact);
        }
        for nth_other in 0..count / 5 {
            let drawn = nth(tenant.settings.seed, OTHER, (number as u64) << 32 | nth_other);
            let (given, family) = (pick(GIVEN, drawn), pick(FAMILY, drawn >> 8));
            let address = format!("{}@elsewhere.example", local_part(given, family));
            let fields = json!({ "emailAddresses": [{ "value": address }] });
            put(tenant, user, Kind::Other, &fields, drawn, None);
        }
    }
}

fn groups(tenant: &mut Tenant, user: &Arc<str>) -> Vec<String> {
    let anchor = tenant.anchor;
    let mut ids = Vec::new();
    for name in GROUPS {
        let id = format!("{:x}", tenant.draw_person());
        tenant.book(user).put_group(Group::new(id.clone(), name, anchor), anchor);
        ids.push(id);
    }
    ids
}

fn contact(tenant: &mut Tenant, user: &Arc<str>, groups: &[String], number: u64, kind: u64) {
    let drawn = nth(tenant.settings.seed, CONTACT, number);
    let (given, family) = (pick(GIVEN, drawn), pick(FAMILY, drawn >> 8));
    let address = format!("{}@customer{}.example", local_part(given, family), drawn >> 16 & 15);
    let mut fields = json!({
        "names": [{ "givenName": given, "familyName": family }],
        "emailAddresses": [{ "value": address, "type": "work" }],
    });
    if kind % 7 == 3 {
        fields["names"] = json!([{ "givenName": pick(UNUSUAL, drawn >> 20) }]);
    }
    if kind.is_multiple_of(3) {
        fields["phoneNumbers"] = json!([
            { "value": format!("+49 170 {:07}", drawn >> 24 & 0x7f_ffff), "type": "mobile" },
            { "value": "030 / 12 34-0", "type": "work" },
        ]);
    }
    if kind % 4 == 1 {
        fields["addresses"] = json!([{
            "type": "home", "streetAddress": "Große Straße 7\nHinterhaus", "city": "Köln", "postalCode": "50667",
            "country": "Deutschland", "countryCode": "DE",
        }]);
    }
    if kind % 10 == 5 {
        everything(&mut fields, drawn);
    }
    if kind % 11 == 6 {
        // A contact of whom only a number is known.
        fields = json!({ "phoneNumbers": [{ "value": "112" }] });
    }
    let mut own = vec!["myContacts".to_owned()];
    if !drawn.is_multiple_of(3) {
        own.push(groups[(drawn >> 12) as usize % groups.len()].clone());
    }
    if kind % 9 == 2 {
        own.push("starred".to_owned());
    }
    let photo = (kind % 5 == 2).then(|| tenant.keep_photo(picture(drawn)));
    let person = put(tenant, user, Kind::Contact, &fields, drawn, Some((&own, photo)));
    if kind % 17 == 9 {
        // Merged with another once: it was called otherwise.
        let old = format!("people/c{}", tenant.draw_person());
        if let Some(person) = tenant.book(user).contacts.get_mut(&person) {
            person.previous.push(old);
        }
    }
}

/// Adds fields that few contacts have.
fn everything(fields: &mut Value, drawn: u64) {
    let year = 1950 + drawn % 50;
    let more = json!({
        "names": [{
            "honorificPrefix": "Dr.", "givenName": "Maria", "middleName": "del Carmen", "familyName": "García Márquez",
            "honorificSuffix": "PhD", "phoneticGivenName": "mah-REE-ah",
        }],
        "nicknames": [{ "value": "Mari" }],
        "birthdays": [{ "date": { "year": year, "month": 2, "day": 28 } }],
        "biographies": [{ "value": "Met in Lisbon.\nLikes \"quotes\" & <angles>.", "contentType": "TEXT_PLAIN" }],
        "organizations": [{ "name": "Müller & Söhne GmbH", "title": "Einkauf", "department": "A/B", "type": "work" }],
        "occupations": [{ "value": "Buyer" }],
        "urls": [{ "value": "https://example.org/?a=1&b=2", "type": "homePage" }],
        "relations": [{ "person": "Pedro", "type": "spouse" }],
        "events": [{ "date": { "year": 2010, "month": 6, "day": 5 }, "type": "anniversary" }],
        "imClients": [{ "username": "mari", "protocol": "jabber", "type": "home" }],
        "sipAddresses": [{ "value": "sip:mari@example.org", "type": "work" }],
        "calendarUrls": [{ "url": "https://example.org/mari.ics", "type": "work" }],
        "externalIds": [{ "value": "C-4711", "type": "customer" }],
        "interests": [{ "value": "Sailing" }],
        "skills": [{ "value": "Negotiation" }],
        "locations": [{ "value": "Desk 4", "type": "desk" }],
        "genders": [{ "value": "female" }],
        "fileAses": [{ "value": "García, Maria" }],
        "miscKeywords": [{ "value": "vip", "type": "OUTLOOK_KEYWORD" }],
        "clientData": [{ "key": "source", "value": "fair-2024" }],
        "userDefined": [{ "key": "Shoe size", "value": "39½" }, { "key": "", "value": "no key" }],
    });
    if let (Some(fields), Some(more)) = (fields.as_object_mut(), more.as_object()) {
        fields.extend(more.clone());
    }
}

fn put(
    tenant: &mut Tenant,
    user: &Arc<str>,
    kind: Kind,
    fields: &Value,
    drawn: u64,
    more: Option<(&[String], Option<String>)>,
) -> String {
    let when = tenant.anchor.plus_micros(-((drawn >> 30 & 0x1ff) as i64 + 1) * DAY_MICROS);
    let number = tenant.draw_person();
    let fields = fields.as_object().cloned().unwrap_or_default();
    let mut person = Person::new(kind, number, fields, when);
    if let Some((groups, photo)) = more {
        person.set_groups(groups);
        person.photo = photo;
    }
    let source = person.source.clone();
    tenant.book(user).put(person, when);
    source
}
