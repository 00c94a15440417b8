//! Contacts: an agent's work is undone, and everybody else's stays.

use std::collections::BTreeMap;

use connect::{
    Silent,
    plan::{ApplyMode, Plan, PlanFolder, SourceWriter as _, WriteError},
    testing::MemoryHistory,
};
use google_api::ApiSettings;
use google_recovery::{Destination, GoogleWriter, Request, Selection};
use google_tenant::{Effect, Fault, Tenant, When, scopes};
use ports::Clock as _;
use serde_json::{Value, json};
use source_google::{Part, contacts::contacts_stream};

use crate::stage::Stage;

const FIELDS: &str = "addresses,biographies,birthdays,calendarUrls,emailAddresses,events,externalIds,fileAses,genders,\
    imClients,interests,locations,memberships,miscKeywords,names,nicknames,occupations,organizations,phoneNumbers,\
    photos,relations,sipAddresses,skills,urls,userDefined";

fn stage() -> Stage {
    Stage::new(&[Part::Contacts])
}

fn call(stage: &Stage, user: &str, method: &str, path: &str, body: &Value) -> Value {
    stage.domain.program(user, &[scopes::CONTACTS]).call(method, &format!("v1/{path}"), body)
}

fn act(stage: &Stage, method: &str, path: &str, body: &Value) -> Value {
    call(stage, &stage.user, method, path, body)
}

fn people(stage: &Stage, user: &str) -> BTreeMap<String, Value> {
    let path = format!("v1/people/me/connections?pageSize=1000&personFields={FIELDS}");
    let all = stage.domain.program(user, &[scopes::CONTACTS]).all(&path, "connections");
    all.into_iter().map(|person| (person["resourceName"].as_str().unwrap().to_owned(), person)).collect()
}

fn own(stage: &Stage) -> BTreeMap<String, Value> {
    people(stage, &stage.user)
}

/// The names of a user's groups by their ids.
fn groups(stage: &Stage, user: &str) -> BTreeMap<String, String> {
    let answer = call(stage, user, "GET", "contactGroups?pageSize=1000", &Value::Null);
    let id = |group: &Value| {
        group["resourceName"].as_str().unwrap().trim_start_matches("contactGroups/").to_owned()
    };
    answer["contactGroups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|group| (id(group), group["name"].as_str().unwrap().to_owned()))
        .collect()
}

/// What is written of each contact, whatever it is called and its groups are called by.
fn written(stage: &Stage, user: &str) -> Vec<String> {
    let groups = groups(stage, user);
    let mut all: Vec<String> = people(stage, user)
        .into_values()
        .map(|mut person| {
            let members = person.as_object_mut().unwrap();
            for noise in ["resourceName", "etag", "metadata"] {
                members.remove(noise);
            }
            for items in members.values_mut() {
                for item in items.as_array_mut().unwrap() {
                    item.as_object_mut().unwrap().remove("metadata");
                    let group = &mut item["contactGroupMembership"];
                    if group.is_object() {
                        *group = groups[group["contactGroupId"].as_str().unwrap()].clone().into();
                    } else {
                        item.as_object_mut().unwrap().remove("contactGroupMembership");
                    }
                }
                items.as_array_mut().unwrap().sort_by_key(ToString::to_string);
            }
            person.to_string()
        })
        .collect();
    all.sort();
    all
}

fn request(stage: &Stage, before: u64, after: u64, now: u64) -> Request {
    stage.request(contacts_stream(&stage.user).unwrap(), before, after, now)
}

fn plan(stage: &mut Stage, before: u64, after: u64, now: u64) -> (Plan, PlanFolder) {
    let settings = stage.settings();
    plan_with(stage, before, after, now, &settings)
}

fn plan_with(
    stage: &mut Stage,
    before: u64,
    after: u64,
    now: u64,
    settings: &ApiSettings,
) -> (Plan, PlanFolder) {
    let request = request(stage, before, after, now);
    stage.plan_with(settings, |planner| planner.contacts(&request))
}

/// Deletes all contacts, and every group that is not the system's.
fn wipe(stage: &Stage) {
    let names: Vec<String> = own(stage).into_keys().collect();
    act(stage, "POST", "people:batchDeleteContacts", &json!({ "resourceNames": names }));
    for (id, name) in groups(stage, &stage.user) {
        if id != name {
            act(stage, "DELETE", &format!("contactGroups/{id}"), &Value::Null);
        }
    }
}

#[test]
fn deleted_contacts_come_back_once_with_groups_and_photos() {
    let mut stage = stage();
    let before = written(&stage, &stage.user);
    assert!(
        before.len() > 20 && before.iter().any(|person| person.contains("contact-photos")),
        "{}",
        before.len()
    );
    wipe(&stage);
    assert!(own(&stage).is_empty());
    let after = stage.capture();
    let (plan, folder) = plan(&mut stage, 1, after, after);
    assert_eq!(plan.counts.inserted as usize, before.len(), "{:?}", plan.conflicts);
    stage.domain.running.with_tenant(|tenant| {
        tenant.fault(Fault::new("people.people.batchCreateContacts", When::Nth(1), Effect::Lost));
        tenant.fault(Fault::new("people.people.updateContactPhoto", When::Nth(2), Effect::Lost));
        tenant.fault(Fault::new("people.contactGroups.create", When::Nth(1), Effect::Lost));
        tenant.fault(Fault::new("people.people.updateContactPhoto", When::Nth(5), Effect::Backend(500)));
        tenant.fault(Fault::new("people.*", When::Rate(0.1), Effect::UserRate));
    });
    for _ in 0..2 {
        stage.try_apply(&plan, &folder, ApplyMode::Lasting).ok();
    }
    stage.domain.running.with_tenant(Tenant::lift_faults);
    // Whoever kills it before it could write down what it did loses the end of the journal as well.
    let journal = folder.path().join("applied.jsonl");
    let text = std::fs::read_to_string(&journal).unwrap();
    ports::files::replace(&journal, &text.as_bytes()[..text.len() / 2]).unwrap();
    let report = stage.apply(&plan, &folder);
    assert_eq!(report.counts.conflicts, 0, "{report:#?}");
    let found = written(&stage, &stage.user);
    assert_eq!(found.len(), before.len());
    for (found, wanted) in found.iter().zip(&before) {
        assert_eq!(found, wanted);
    }
    stage.assert_verified(&plan, &folder);
    let again = stage.apply(&plan, &folder);
    assert_eq!((again.counts.inserted, again.counts.reverted, again.counts.objects), (0, 0, 0), "{again:#?}");
}

#[test]
fn fields_go_back_and_what_the_owner_did_since_stays() {
    let mut stage = stage();
    let before = own(&stage);
    let ids: Vec<String> = before
        .iter()
        .filter(|(_, person)| person["names"].is_array())
        .map(|(id, _)| id.clone())
        .take(6)
        .collect();
    let change = |stage: &Stage, id: &str, fields: &Value| {
        let person = act(stage, "GET", &format!("{id}?personFields=metadata"), &Value::Null);
        let mut body = fields.clone();
        body["etag"] = person["etag"].clone();
        let mask: Vec<&str> = fields.as_object().unwrap().keys().map(String::as_str).collect();
        act(stage, "PATCH", &format!("{id}:updateContact?updatePersonFields={}", mask.join(",")), &body);
    };
    for id in &ids[..4] {
        let pwned =
            json!({ "names": [{ "givenName": "PWNED" }], "emailAddresses": [{ "value": "evil@x.example" }] });
        change(&stage, id, &pwned);
    }
    act(&stage, "DELETE", &format!("{}:deleteContact", ids[4]), &Value::Null);
    let after = stage.capture();
    // The owner goes on.
    change(&stage, &ids[1], &json!({ "names": [{ "givenName": "By hand" }] }));
    change(&stage, &ids[2], &json!({ "nicknames": [{ "value": "Nick" }] }));
    act(&stage, "DELETE", &format!("{}:deleteContact", ids[5]), &Value::Null);
    let now = stage.capture();
    let (plan, folder) = plan(&mut stage, 1, after, now);
    change(&stage, &ids[3], &json!({ "emailAddresses": [{ "value": "mine@x.example" }] }));
    let report = stage.apply(&plan, &folder);
    let found = own(&stage);
    assert_eq!(found[&ids[0]]["names"], before[&ids[0]]["names"]);
    assert_eq!(found[&ids[0]]["emailAddresses"], before[&ids[0]]["emailAddresses"]);
    assert_eq!(found[&ids[1]]["names"][0]["givenName"], "By hand");
    assert_eq!(found[&ids[1]]["emailAddresses"], before[&ids[1]]["emailAddresses"]);
    assert_eq!(found[&ids[2]]["nicknames"][0]["value"], "Nick");
    assert_eq!(found[&ids[2]]["names"], before[&ids[2]]["names"]);
    assert_eq!(found[&ids[3]]["emailAddresses"][0]["value"], "mine@x.example");
    assert_eq!(found[&ids[3]]["names"], before[&ids[3]]["names"]);
    assert!(!found.contains_key(&ids[5]), "what its owner deleted later stays deleted");
    assert_eq!(found.len(), before.len() - 1);
    assert_eq!(plan.conflicts.len(), 1, "{:?}", plan.conflicts);
    assert_eq!(report.counts.conflicts, 1, "{report:#?}");
}

#[test]
fn a_renamed_group_and_lost_memberships_go_back() {
    let mut stage = stage();
    let before = written(&stage, &stage.user);
    let all = groups(&stage, &stage.user);
    let mut own = all.iter().filter(|(id, name)| id != name);
    let (renamed, deleted) = (own.next().unwrap().0.clone(), own.next().unwrap().0.clone());
    let body = json!({ "contactGroup": { "name": "PWNED" }, "updateGroupFields": "name" });
    act(&stage, "PUT", &format!("contactGroups/{renamed}"), &body);
    act(&stage, "DELETE", &format!("contactGroups/{deleted}"), &Value::Null);
    let after = stage.capture();
    let (plan, folder) = plan(&mut stage, 1, after, after);
    let report = stage.apply(&plan, &folder);
    assert_eq!(report.counts.conflicts, 0, "{report:#?}");
    assert_eq!(written(&stage, &stage.user), before);
    stage.assert_verified(&plan, &folder);
}

#[test]
fn a_photo_goes_back_unless_somebody_gave_another_one_since() {
    let mut stage = stage();
    let photo = |stage: &Stage, id: &str| own(stage)[id]["photos"][0]["url"].as_str().unwrap().to_owned();
    let with: Vec<String> = own(&stage)
        .into_iter()
        .filter(|(_, person)| person["photos"][0]["default"].is_null())
        .map(|(id, _)| id)
        .collect();
    let was = photo(&stage, &with[0]);
    let set = |stage: &Stage, id: &str, bytes: &str| {
        act(stage, "PATCH", &format!("{id}:updateContactPhoto"), &json!({ "photoBytes": bytes }));
    };
    act(&stage, "DELETE", &format!("{}:deleteContactPhoto", with[0]), &Value::Null);
    set(&stage, &with[1], "cHduZWQx");
    let after = stage.capture();
    let (plan, folder) = plan(&mut stage, 1, after, after);
    assert_eq!(plan.counts.reverted, 2, "{:?}", plan.steps);
    set(&stage, &with[1], "b3duZXJz");
    let owners = photo(&stage, &with[1]);
    let report = stage.apply(&plan, &folder);
    assert_eq!((report.counts.reverted, report.counts.conflicts), (1, 1), "{report:#?}");
    assert_eq!(photo(&stage, &with[0]), was);
    assert_eq!(photo(&stage, &with[1]), owners);
}

#[test]
fn a_rehearsal_changes_nothing() {
    let mut stage = stage();
    wipe(&stage);
    let after = stage.capture();
    let (plan, folder) = plan(&mut stage, 1, after, after);
    let report = stage.try_apply(&plan, &folder, ApplyMode::Rehearsal).unwrap();
    assert_eq!((report.counts.inserted, report.counts.conflicts), (plan.counts.inserted, 0), "{report:#?}");
    assert!(own(&stage).is_empty() && !folder.path().join("applied.jsonl").exists());
}

#[test]
fn a_scope_that_is_missing_is_told_by_its_name() {
    let mut stage = stage();
    wipe(&stage);
    let after = stage.capture();
    let (plan, folder) = plan(&mut stage, 1, after, after);
    stage.domain.running.with_tenant(|tenant| {
        let id = tenant.service_accounts().nth(1).unwrap().client_id.clone();
        tenant.delegate(&id, [scopes::GMAIL_LABELS]);
    });
    let error = stage.try_apply(&plan, &folder, ApplyMode::Lasting).unwrap_err();
    assert!(matches!(error, WriteError::Privilege { .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("auth/contacts"), "{:?}", error.hint());
}

#[test]
fn contacts_come_to_another_user_once_beside_what_is_there() {
    let mut stage = stage();
    let (was, other) = (written(&stage, &stage.user), stage.other.clone());
    let theirs = people(&stage, &other);
    let request =
        Request { destination: Destination::OtherUser { email: other.clone() }, ..request(&stage, 1, 1, 1) };
    let settings = stage.settings();
    let (plan, folder) = stage.plan_with(&settings, |planner| planner.contacts(&request));
    let report = stage.apply(&plan, &folder);
    assert_eq!(report.counts.conflicts, 0, "{report:#?}");
    stage.assert_verified(&plan, &folder);
    std::fs::remove_file(folder.path().join("applied.jsonl")).unwrap();
    let again = stage.apply(&plan, &folder);
    assert_eq!((again.counts.inserted, again.counts.objects), (0, 0), "even without its journal: {again:#?}");
    let found = people(&stage, &other);
    assert_eq!(found.len(), theirs.len() + was.len());
    for (id, person) in &theirs {
        assert_eq!(found.get(id), Some(person), "what was there is as it was");
    }
    let origin = format!("From {}", stage.user);
    let group = groups(&stage, &other).into_iter().find(|(_, name)| *name == origin).unwrap().0;
    let members = found.values().filter(|person| {
        let all = person["memberships"].as_array().unwrap();
        all.iter().any(|one| one["contactGroupMembership"]["contactGroupId"] == group.as_str())
    });
    assert_eq!(members.count(), was.len());
    assert_eq!(written(&stage, &stage.user), was);
}

#[test]
fn only_the_chosen_contacts_come_back() {
    let mut stage = stage();
    wipe(&stage);
    let after = stage.capture();
    let keys: Vec<String> = stage
        .history_keys(&contacts_stream(&stage.user).unwrap(), 1)
        .into_iter()
        .filter(|key| key.starts_with("person/"))
        .take(2)
        .collect();
    let request =
        Request { selection: Selection { keys, ..Selection::default() }, ..request(&stage, 1, after, after) };
    let settings = stage.settings();
    let (plan, folder) = stage.plan_with(&settings, |planner| planner.contacts(&request));
    stage.apply(&plan, &folder);
    assert_eq!(own(&stage).len(), 2);
}

#[test]
fn the_time_that_a_plan_states_is_the_time_that_it_takes() {
    let mut stage = stage();
    let ids: Vec<String> = own(&stage).into_keys().collect();
    for id in &ids {
        let person = act(&stage, "GET", &format!("{id}?personFields=metadata"), &Value::Null);
        let body = json!({ "etag": person["etag"], "biographies": [{ "value": "PWNED" }] });
        act(&stage, "PATCH", &format!("{id}:updateContact?updatePersonFields=biographies"), &body);
    }
    let after = stage.capture();
    stage.domain.clock.advance_micros(600_000_000);
    let mut slow = stage.settings();
    for pool in slow.pools.values_mut() {
        (pool.units, pool.burst) = (12, 1);
    }
    let (plan, folder) = plan_with(&mut stage, 1, after, after, &slow);
    let started = stage.domain.clock.elapsed();
    let api = stage.api_with(slow);
    let mut writer = GoogleWriter::new(&api, &stage.history, folder.path().join("applied.jsonl"), 4);
    writer.apply(&plan, &folder, ApplyMode::Lasting, &Silent).unwrap();
    assert!(writer.verify(&plan, &folder, &Silent).unwrap().is_good());
    let took_s = stage.domain.clock.elapsed().saturating_sub(started).as_secs_f64();
    let stated_s = plan.duration_s.unwrap() as f64;
    assert!((took_s / stated_s - 1.0).abs() < 0.15, "stated {stated_s} s, took {took_s} s");
}

#[test]
fn a_contact_that_its_owner_brought_back_is_not_made_a_second_time() {
    let (mut stage, untouched) = (stage(), stage());
    wipe(&stage);
    let after = stage.capture();
    let (plan, folder) = plan(&mut stage, 1, after, after);
    // As if all of them had been taken out of the bin, with their old ids.
    let before = own(&untouched);
    let report = untouched.apply(&plan, &folder);
    assert_eq!(report.counts.inserted, 0, "{report:#?}");
    assert!(report.conflicts.iter().any(|one| one.reason.contains("brought it back")), "{report:#?}");
    assert_eq!(own(&untouched).len(), before.len());
}

#[test]
fn a_group_does_not_get_a_name_back_that_another_has() {
    let mut stage = stage();
    let all = groups(&stage, &stage.user);
    let (renamed, name) = all.iter().find(|(id, name)| id != name).unwrap();
    let body = json!({ "contactGroup": { "name": "PWNED" }, "updateGroupFields": "name" });
    act(&stage, "PUT", &format!("contactGroups/{renamed}"), &body);
    let after = stage.capture();
    let (plan, folder) = plan(&mut stage, 1, after, after);
    act(&stage, "POST", "contactGroups", &json!({ "contactGroup": { "name": name } }));
    let report = stage.apply(&plan, &folder);
    assert_eq!((report.counts.unchanged, report.counts.conflicts), (0, 1), "{report:#?}");
    let (api, history) = (stage.api(), MemoryHistory::default());
    let mut writer = GoogleWriter::new(&api, &history, folder.path().join("applied.jsonl"), 4);
    assert!(!writer.verify(&plan, &folder, &Silent).unwrap().is_good());
}

#[test]
fn groups_that_are_gone_by_then_are_told() {
    let mut stage = stage();
    let all = groups(&stage, &stage.user);
    let is_in = |person: &Value, group: &str| {
        let own = person["memberships"].as_array().into_iter().flatten();
        own.into_iter().any(|one| one["contactGroupMembership"]["contactGroupId"] == group)
    };
    let people = own(&stage);
    let members = |group: &str| -> Vec<String> {
        people.iter().filter(|(_, person)| is_in(person, group)).map(|(id, _)| id.clone()).collect()
    };
    let mut chosen = all.iter().filter(|(id, name)| id != name).map(|(id, name)| (id, name, members(id)));
    let (group, name, members) = chosen.find(|(_, _, members)| members.len() >= 2).unwrap();
    let person = act(&stage, "GET", &format!("{}?personFields=metadata", members[0]), &Value::Null);
    let mine =
        json!([{ "contactGroupMembership": { "contactGroupResourceName": "contactGroups/myContacts" } }]);
    let body = json!({ "etag": person["etag"], "memberships": mine });
    act(&stage, "PATCH", &format!("{}:updateContact?updatePersonFields=memberships", members[0]), &body);
    act(&stage, "DELETE", &format!("{}:deleteContact", members[1]), &Value::Null);
    let after = stage.capture();
    let (plan, folder) = plan(&mut stage, 1, after, after);
    act(&stage, "DELETE", &format!("contactGroups/{group}"), &Value::Null);
    let report = stage.apply(&plan, &folder);
    let told = report.conflicts.iter().filter(|one| one.reason.contains(name.as_str())).count();
    assert_eq!(told, 2, "{report:#?}");
    let api = stage.api();
    let mut writer = GoogleWriter::new(&api, &stage.history, folder.path().join("applied.jsonl"), 4);
    assert!(!writer.verify(&plan, &folder, &Silent).unwrap().is_good());
}
