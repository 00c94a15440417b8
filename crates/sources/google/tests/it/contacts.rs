//! Contacts: people, groups, photos, and tokens that end after a week.

use std::collections::BTreeMap;

use connect::{SourceReader, Stop, testing::MemorySink};
use google_tenant::{Effect, Fault, When, scopes};
use model::UnreadableReason;
use serde_json::{Value, json};
use source_google::{Part, contacts::PersonAttributes};

use crate::domain::{Agent, Counted, DAY, Domain, SECOND};

const FIELDS: &str = "addresses,biographies,birthdays,calendarUrls,clientData,emailAddresses,events,externalIds,fileAses,\
    genders,imClients,interests,locales,locations,memberships,metadata,miscKeywords,names,nicknames,occupations,\
    organizations,phoneNumbers,photos,relations,sipAddresses,skills,urls,userDefined";

fn program<'d>(domain: &'d Domain, user: &str) -> Agent<'d> {
    domain.program(user, &[scopes::CONTACTS, scopes::CONTACTS_OTHER_READONLY])
}

fn source(person: &Value) -> String {
    person["metadata"]["sources"][0]["id"].as_str().unwrap().to_owned()
}

fn contacts(agent: &Agent<'_>) -> Vec<Value> {
    agent.all(&format!("v1/people/me/connections?personFields={FIELDS}&pageSize=100"), "connections")
}

/// Returns what a user really has, by the keys of the items; photos by where they are.
fn people(domain: &Domain, user: &str) -> (BTreeMap<String, Value>, BTreeMap<String, String>) {
    let agent = program(domain, user);
    let (mut all, mut photos) = (BTreeMap::new(), BTreeMap::new());
    for person in contacts(&agent) {
        let photo = &person["photos"][0];
        if photo["default"] != true {
            photos.insert(format!("photo/{}", source(&person)), photo["url"].as_str().unwrap().to_owned());
        }
        all.insert(format!("person/{}", source(&person)), person);
    }
    let mask = "emailAddresses,metadata,names,phoneNumbers,photos";
    for person in agent.all(&format!("v1/otherContacts?readMask={mask}&pageSize=100"), "otherContacts") {
        all.insert(format!("other/{}", source(&person)), person);
    }
    (all, photos)
}

fn held(sink: &MemorySink, user: &str) -> BTreeMap<String, Vec<u8>> {
    let stream = sink.stream(&format!("contacts/{user}"));
    let readable =
        stream.iter().filter_map(|(key, item)| Some(((*key).to_owned(), item.content.clone().ok()?)));
    readable.collect()
}

#[track_caller]
fn assert_held(domain: &Domain, sink: &MemorySink) {
    for user in domain.users() {
        let (real, photos) = people(domain, &user);
        let mut held = held(sink, &user);
        let groups: Vec<String> = held.keys().filter(|key| key.starts_with("group/")).cloned().collect();
        let listed = program(domain, &user).all("v1/contactGroups?pageSize=100", "contactGroups");
        let mut names: Vec<String> = listed
            .iter()
            .map(|group| group["resourceName"].as_str().unwrap().replace("contactGroups/", "group/"))
            .collect();
        names.sort();
        assert_eq!(groups, names, "{user}");
        held.retain(|key, _| !key.starts_with("group/"));
        let keys: Vec<&String> = held.keys().filter(|key| !key.starts_with("photo/")).collect();
        assert_eq!(keys, real.keys().collect::<Vec<_>>(), "{user}");
        for (key, person) in &real {
            // In a list of changes a person also has the names that the resource had.
            let mut own: Value = serde_json::from_slice(&held[key]).unwrap();
            own["metadata"].as_object_mut().unwrap().remove("previousResourceNames");
            assert_eq!(&own, person, "{key} of {user}");
        }
        let keys: Vec<&String> = held.keys().filter(|key| key.starts_with("photo/")).collect();
        assert_eq!(keys, photos.keys().collect::<Vec<_>>(), "{user}");
        for (key, url) in photos {
            let bytes = ureq::get(url).call().unwrap().body_mut().read_to_vec().unwrap();
            assert!(held[&key] == bytes, "{key} of {user}");
        }
    }
}

fn captured() -> (Domain, MemorySink) {
    let domain = Domain::start(&[Part::Contacts]);
    let mut sink = MemorySink::new();
    domain.capture(&mut sink);
    (domain, sink)
}

fn later(domain: &Domain) {
    domain.clock.advance_micros(90 * SECOND);
}

fn calls(domain: &Domain, method: &str) -> u64 {
    domain.running.with_tenant(|tenant| tenant.traffic().calls(method))
}

#[test]
fn everybody_is_held_with_groups_and_photos() {
    let (domain, mut sink) = captured();
    assert_held(&domain, &sink);
    let users = domain.users();
    let count: usize = users.iter().map(|user| held(&sink, user).len()).sum();
    assert!(count > 150, "{count}");
    assert!(users.iter().any(|user| held(&sink, user).keys().any(|key| key.starts_with("photo/"))));
    let bodies = sink.bodies;
    domain.running.with_tenant(google_tenant::Tenant::clear_traffic);
    later(&domain);
    domain.capture(&mut sink);
    assert!(sink.bodies - bodies <= domain.open_users(), "positions only");
    assert_eq!(calls(&domain, "people.photos.get"), 0);
}

#[test]
fn what_happens_to_contacts_is_followed() {
    let (domain, mut sink) = captured();
    let user = domain.users()[1].clone();
    let agent = program(&domain, &user);
    let all = contacts(&agent);
    let name = |at: usize| all[at]["resourceName"].as_str().unwrap().to_owned();
    let body = json!({ "names": [{ "givenName": "O'Brien", "familyName": "\u{202e}drawkcaB" }],
        "emailAddresses": [{ "value": "o@x.test" }] });
    agent.call("POST", "v1/people:createContact", &body);
    agent.call("DELETE", &format!("v1/{}:deleteContact", name(0)), &Value::Null);
    let etag = &all[1]["metadata"]["sources"][0]["etag"];
    let change = json!({ "metadata": { "sources": [{ "type": "CONTACT", "id": source(&all[1]), "etag": etag }] },
        "names": [{ "givenName": "Changed" }] });
    agent.call("PATCH", &format!("v1/{}:updateContact?updatePersonFields=names", name(1)), &change);
    agent.call(
        "PATCH",
        &format!("v1/{}:updateContactPhoto", name(2)),
        &json!({ "photoBytes": "iVBORw0KGgo" }),
    );
    agent.call("POST", "v1/contactGroups", &json!({ "contactGroup": { "name": "Crew" } }));
    let renamed = domain.running.with_tenant(|tenant| tenant.rename_contact(&user, &name(3)).unwrap());
    let lists = calls(&domain, "people.people.connections.list");
    later(&domain);
    let bodies = sink.bodies;
    domain.capture(&mut sink);
    assert_eq!(calls(&domain, "people.people.connections.list") - lists, domain.open_users());
    assert!(sink.bodies - bodies < 25, "{}", sink.bodies - bodies);
    assert_held(&domain, &sink);
    let stream = sink.stream(&format!("contacts/{user}"));
    let item = stream[format!("person/{}", source(&all[3])).as_str()];
    assert_eq!(PersonAttributes::of_text(&item.attributes).unwrap().resource, renamed, "the key stays");
}

#[test]
fn a_photo_that_is_taken_away_or_replaced_is_followed() {
    let (domain, mut sink) = captured();
    let user = domain.users()[0].clone();
    let agent = program(&domain, &user);
    let with: Vec<Value> =
        contacts(&agent).into_iter().filter(|person| person["photos"][0]["default"] != true).collect();
    assert!(with.len() > 1);
    let name = |at: usize| with[at]["resourceName"].as_str().unwrap();
    agent.call("DELETE", &format!("v1/{}:deleteContactPhoto", name(0)), &Value::Null);
    agent.call(
        "PATCH",
        &format!("v1/{}:updateContactPhoto", name(1)),
        &json!({ "photoBytes": "R0lGODlhAQABAAAAACw" }),
    );
    later(&domain);
    domain.capture(&mut sink);
    assert_held(&domain, &sink);
    assert!(!held(&sink, &user).contains_key(&format!("photo/{}", source(&with[0]))));
}

#[test]
fn a_token_that_ended_after_a_week_stores_nothing_again_and_takes_nobody_for_deleted() {
    for code in [400, 410] {
        let domain = Domain::with(&[Part::Contacts], |settings| settings.people.expired_code = code);
        let mut sink = MemorySink::new();
        domain.capture(&mut sink);
        let user = domain.users()[2].clone();
        let agent = program(&domain, &user);
        let all = contacts(&agent);
        agent.call(
            "DELETE",
            &format!("v1/{}:deleteContact", all[0]["resourceName"].as_str().unwrap()),
            &Value::Null,
        );
        domain
            .running
            .with_tenant(|tenant| tenant.rename_contact(&user, all[1]["resourceName"].as_str().unwrap()));
        domain.clock.advance_micros(8 * DAY);
        let (bodies, count) = (sink.bodies, held(&sink, &user).len());
        domain.capture(&mut sink);
        assert_held(&domain, &sink);
        assert!(held(&sink, &user).len() < count, "{code}");
        assert!(sink.bodies - bodies <= 2 * domain.open_users(), "{code}: {}", sink.bodies - bodies);
        assert!(calls(&domain, "people.people.get") > 0, "who is gone was asked for by name");
        let removed = sink.commits.iter().map(|commit| commit.removed).sum::<u64>();
        assert!((1..=2).contains(&removed), "{removed}: the contact, and its photo if it had one");
    }
}

#[test]
fn a_list_that_is_refused_takes_nobody_for_deleted() {
    let (domain, mut sink) = captured();
    let user = domain.users()[0].clone();
    let count = held(&sink, &user).len();
    for effect in [Effect::HistoryExpired, Effect::Backend(500)] {
        domain.running.with_tenant(|tenant| {
            tenant.fault(Fault {
                user: Some(user.clone()),
                ..Fault::new("people.people.*", When::Always, effect)
            });
        });
        domain.clock.advance_micros(8 * DAY);
        domain.capture(&mut sink);
        assert_eq!(held(&sink, &user).len(), count);
        assert!(!sink.stream("blinded").is_empty());
        domain.running.with_tenant(google_tenant::Tenant::lift_faults);
    }
    later(&domain);
    domain.capture(&mut sink);
    assert_held(&domain, &sink);
}

#[test]
fn a_missing_scope_for_other_people_is_told_once_and_costs_no_contacts() {
    let domain = Domain::start(&[Part::Contacts]);
    let id = domain.running.with_tenant(|tenant| tenant.service_accounts().next().unwrap().client_id.clone());
    let without = [scopes::USER_READONLY, scopes::CONTACTS_READONLY];
    domain.running.with_tenant(|tenant| tenant.delegate(&id, without));
    let mut sink = MemorySink::new();
    domain.capture(&mut sink);
    let user = domain.users()[0].clone();
    assert!(held(&sink, &user).keys().any(|key| key.starts_with("person/")));
    let stream = format!("contacts/{user}");
    let denied = |sink: &MemorySink| {
        let stream = sink.stream(&stream);
        matches!(
            stream.get("other contacts").map(|item| &item.content),
            Some(Err(UnreadableReason::Denied { .. }))
        )
    };
    assert!(denied(&sink));
    domain.running.with_tenant(|tenant| {
        tenant.delegate(&id, [scopes::CONTACTS_OTHER_READONLY].into_iter().chain(without));
    });
    domain.clock.advance_micros(4000 * SECOND);
    domain.capture(&mut sink);
    assert!(!denied(&sink));
    assert_held(&domain, &sink);
}

#[test]
fn a_photo_that_cannot_be_had_is_told_and_tried_again() {
    let domain = Domain::start(&[Part::Contacts]);
    domain.running.with_tenant(|tenant| {
        tenant.fault(Fault::new("people.photos.get", When::Always, Effect::Backend(500)));
    });
    let mut sink = MemorySink::new();
    domain.capture(&mut sink);
    let user = domain.users()[0].clone();
    let failed = |sink: &MemorySink| {
        let stream = sink.stream(&format!("contacts/{user}"));
        let photos = stream.iter().filter(|(key, _)| key.starts_with("photo/"));
        photos.filter(|(_, item)| matches!(item.content, Err(UnreadableReason::Failed { .. }))).count()
    };
    assert!(failed(&sink) > 0);
    domain.running.with_tenant(google_tenant::Tenant::lift_faults);
    domain.clock.advance_micros(4000 * SECOND);
    domain.capture(&mut sink);
    assert_eq!(failed(&sink), 0);
    assert_held(&domain, &sink);
}

#[test]
fn a_quiet_user_costs_at_most_three_requests() {
    let domain = Domain::start(&[Part::Contacts]);
    let counted = Counted::new();
    let mut reader = domain.reader_through(counted.clone());
    let mut sink = MemorySink::new();
    reader.changes(None, &mut sink, &Stop::default()).unwrap();
    let users = domain.open_users();
    for pause in [90, 3700] {
        counted.take();
        domain.clock.advance_micros(pause * SECOND);
        reader.changes(sink.cursor().as_ref(), &mut sink, &Stop::default()).unwrap();
        let requests = counted.take();
        assert!(requests <= 2 * users + 1, "{requests} after {pause} s");
    }
}

#[test]
fn a_position_that_is_not_understood_takes_a_comparison_and_no_deletion_is_missed() {
    let (domain, mut sink) = captured();
    let user = domain.users()[1].clone();
    let agent = program(&domain, &user);
    let all = contacts(&agent);
    let name = all[0]["resourceName"].as_str().unwrap();
    agent.call("DELETE", &format!("v1/{name}:deleteContact"), &Value::Null);
    for ((stream, _), item) in &mut sink.held {
        if stream.as_str() == "position" {
            item.attributes = "no position".to_owned();
        }
    }
    later(&domain);
    domain.capture(&mut sink);
    assert_held(&domain, &sink);
}
