//! Contacts, groups, photos, the people of the domain, and sync tokens of all of them.

use google_tenant::{Settings, scopes};
use serde_json::{Value, json};

use crate::support::{Answer, DAY, Domain, SECOND};

const LIST: &str = "v1/people/me/connections?personFields=names,emailAddresses,memberships,metadata,photos";

fn start(settings: Settings) -> (Domain, String, String) {
    let domain = Domain::start(settings);
    let user = domain.user(0);
    let token = domain.token(&user, &[scopes::CONTACTS]);
    (domain, user, token)
}

fn empty() -> (Domain, String, String) {
    let mut settings = Settings::default();
    settings.size.contacts = 0;
    start(settings)
}

fn list(page: &Value) -> Vec<Value> {
    page["connections"].as_array().cloned().unwrap_or_default()
}

fn make(domain: &Domain, token: &str, name: &str) -> Value {
    let body = json!({ "names": [{ "givenName": name, "familyName": "Test" }] });
    domain.post("v1/people:createContact", token, &body).ok()
}

fn name(person: &Value) -> &str {
    person["resourceName"].as_str().unwrap()
}

fn is_expired(answer: &Answer) -> bool {
    let detail = &answer.json["error"]["details"][0];
    detail["@type"] == "type.googleapis.com/google.rpc.ErrorInfo" && detail["reason"] == "EXPIRED_SYNC_TOKEN"
}

#[test]
fn a_mask_is_needed_and_shows_what_it_names() {
    let (domain, _, token) = empty();
    let made = make(&domain, &token, "Ada");
    let bare = domain.get("v1/people/me/connections", &token);
    assert_eq!((bare.code, &bare.json["error"]["status"]), (400, &json!("INVALID_ARGUMENT")));
    assert_eq!(domain.get("v1/people/me/connections?personFields=shoes", &token).code, 400);
    assert_eq!(domain.get("v1/people/c1/connections?personFields=names", &token).code, 400);
    let page = domain.get("v1/people/me/connections?personFields=names", &token).ok();
    let person = &list(&page)[0];
    let fields: Vec<&str> = person.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(fields, ["etag", "names", "resourceName"]);
    let shown = &person["names"][0];
    assert_eq!(
        (&shown["displayName"], &shown["displayNameLastFirst"]),
        (&json!("Ada Test"), &json!("Test, Ada"))
    );
    assert_eq!(shown["metadata"]["source"]["type"], "CONTACT");
    let some = format!(
        "v1/people:batchGet?personFields=names&resourceNames={}&resourceNames=people/c1",
        name(&made)
    );
    let some = domain.get(&some, &token).ok();
    assert_eq!(
        (&some["responses"][0]["httpStatusCode"], &some["responses"][1]["httpStatusCode"]),
        (&json!(200), &json!(404))
    );
    assert_eq!(
        domain.get("v1/people/me?personFields=emailAddresses", &token).ok()["emailAddresses"][0]["metadata"]
            ["source"]["type"],
        "PROFILE"
    );
}

#[test]
fn changes_come_by_the_sync_token_until_a_week_after_the_full_list() {
    let (domain, user, token) = empty();
    let (first, second) = (make(&domain, &token, "Ada"), make(&domain, &token, "Bob"));
    let page = domain.get(&format!("{LIST}&requestSyncToken=true&pageSize=1"), &token).ok();
    assert_eq!(
        (list(&page).len(), &page["totalItems"], &page["nextSyncToken"]),
        (1, &json!(2), &Value::Null)
    );
    let next = page["nextPageToken"].as_str().unwrap();
    let page = domain.get(&format!("{LIST}&requestSyncToken=true&pageSize=1&pageToken={next}"), &token).ok();
    let mut since = format!("{LIST}&syncToken={}", page["nextSyncToken"].as_str().unwrap());
    let gone = format!("v1/{}:deleteContact", name(&first));
    domain.delete(&gone, &token).ok();
    let renamed = domain.running.with_tenant(|tenant| tenant.rename_contact(&user, name(&second)).unwrap());
    let changes = domain.get(&since, &token).ok();
    let find = |wanted: &str| list(&changes).into_iter().find(|person| name(person) == wanted).unwrap();
    assert_eq!(find(name(&first))["metadata"]["deleted"], true);
    assert!(find(name(&first))["names"].is_null());
    let other = find(&renamed);
    assert_eq!(other["metadata"]["previousResourceNames"], json!([name(&second)]));
    assert_eq!(other["metadata"]["sources"][0]["id"], second["metadata"]["sources"][0]["id"]);
    // New tokens of the row do not make it younger.
    domain.clock.advance_micros(6 * DAY);
    let token = domain.token(&user, &[scopes::CONTACTS]);
    let later = domain.get(&since, &token).ok();
    since = format!("{LIST}&syncToken={}", later["nextSyncToken"].as_str().unwrap());
    domain.clock.advance_micros(DAY);
    let token = domain.token(&user, &[scopes::CONTACTS]);
    domain.get(&since, &token).ok();
    domain.clock.advance_micros(SECOND);
    let expired = domain.get(&since, &token);
    assert!(expired.code == 400 && is_expired(&expired), "{}", expired.text);
    domain.running.with_tenant(|tenant| tenant.settings_mut().people.expired_code = 410);
    assert_eq!(domain.get(&since, &token).code, 410);
}

#[test]
fn a_sync_token_fixes_the_other_parameters_and_is_made_by_full_lists_that_have_a_quota() {
    let mut settings = Settings::default();
    settings.people.full_syncs_per_minute = Some(1);
    let (domain, _, token) = start(settings);
    let page = domain.get(&format!("{LIST}&requestSyncToken=true&pageSize=1000"), &token).ok();
    let sync = page["nextSyncToken"].as_str().unwrap();
    let other = format!("v1/people/me/connections?personFields=names&syncToken={sync}");
    assert_eq!(domain.get(&other, &token).code, 400);
    assert_eq!(domain.get(&format!("{LIST}&syncToken=nonsense"), &token).code, 400);
    let over = domain.get(&format!("{LIST}&requestSyncToken=true"), &token);
    assert_eq!((over.code, &over.json["error"]["status"]), (429, &json!("RESOURCE_EXHAUSTED")));
    domain.get(&format!("{LIST}&requestSyncToken=true&syncToken={sync}"), &token).ok();
    domain.get(LIST, &token).ok();
    domain.clock.advance_micros(60 * SECOND);
    domain.get(&format!("{LIST}&requestSyncToken=true"), &token).ok();
}

#[test]
fn a_write_shows_late_in_lists_since_a_token_and_is_not_lost() {
    let mut settings = Settings::default();
    settings.size.contacts = 0;
    settings.people.sync_lag = std::time::Duration::from_mins(5);
    let (domain, _, token) = start(settings);
    let page = domain.get(&format!("{LIST}&requestSyncToken=true"), &token).ok();
    let since = |page: &Value| format!("{LIST}&syncToken={}", page["nextSyncToken"].as_str().unwrap());
    make(&domain, &token, "Ada");
    domain.clock.advance_micros(60 * SECOND);
    let early = domain.get(&since(&page), &token).ok();
    assert!(list(&early).is_empty());
    domain.clock.advance_micros(240 * SECOND);
    assert_eq!(list(&domain.get(&since(&early), &token).ok()).len(), 1);
}

#[test]
fn contacts_are_made_together_or_not_at_all() {
    let (domain, user, token) = empty();
    let path = "v1/people:batchCreateContacts";
    let person = |name: &str| json!({ "contactPerson": { "names": [{ "givenName": name }] } });
    let body = |contacts: Vec<Value>| json!({ "contacts": contacts, "readMask": "names,metadata" });
    let twice = json!({ "contactPerson": { "names": [{ "givenName": "A" }, { "givenName": "B" }] } });
    assert_eq!(domain.post(path, &token, &body(vec![person("A"), twice])).code, 400);
    assert_eq!(domain.post(path, &token, &body(vec![person("A"); 201])).code, 400);
    assert_eq!(domain.post(path, &token, &json!({ "contacts": [person("A")] })).code, 400, "without a mask");
    let count = |domain: &Domain| domain.running.with_tenant(|tenant| tenant.contacts_of(&user));
    assert_eq!(count(&domain), 0);
    let made = domain.post(path, &token, &body(vec![person("A"); 200])).ok();
    assert_eq!((made["createdPeople"].as_array().unwrap().len(), count(&domain)), (200, 200));
    assert_eq!(made["createdPeople"][0]["httpStatusCode"], 200);
    let names: Vec<&str> =
        made["createdPeople"].as_array().unwrap().iter().map(|one| name(&one["person"])).collect();
    let mut unknown = names[..10].to_vec();
    unknown.push("people/c1");
    let delete = "v1/people:batchDeleteContacts";
    assert_eq!(domain.post(delete, &token, &json!({ "resourceNames": unknown })).code, 404);
    assert_eq!(count(&domain), 200);
    domain.post(delete, &token, &json!({ "resourceNames": names })).ok();
    assert_eq!(count(&domain), 0);
    let rows = domain.running.with_tenant(|tenant| {
        let own = tenant.activities().filter(|activity| activity.application == "contacts");
        own.map(|activity| activity.name).collect::<Vec<_>>()
    });
    assert_eq!(
        rows,
        ["create_multiple_contacts", "delete_contacts"],
        "one row for a call, whatever it holds"
    );
}

#[test]
fn a_change_must_know_the_newest_state() {
    let (domain, _, token) = empty();
    let made = make(&domain, &token, "Ada");
    let path = format!("v1/{}:updateContact", name(&made));
    let fields = "updatePersonFields=names,biographies";
    let mut body = json!({ "names": [{ "givenName": "Ada", "familyName": "Lovelace" }] });
    let blind = domain.patch(&format!("{path}?{fields}"), &token, &body);
    assert_eq!((blind.code, blind.reason()), (400, "failedPrecondition"));
    body["metadata"] = made["metadata"].clone();
    assert_eq!(domain.patch(&path, &token, &body).code, 400, "without a mask");
    assert_eq!(domain.patch(&format!("{path}?updatePersonFields=photos"), &token, &body).code, 400);
    let changed = domain.patch(&format!("{path}?{fields}"), &token, &body).ok();
    assert_eq!(changed["names"][0]["displayName"], "Ada Lovelace");
    let stale = domain.patch(&format!("{path}?{fields}"), &token, &body);
    assert_eq!((stale.code, stale.reason()), (400, "failedPrecondition"));
    body["metadata"] = changed["metadata"].clone();
    body["biographies"] = json!([{ "value": "x" }, { "value": "y" }]);
    assert_eq!(domain.patch(&format!("{path}?{fields}"), &token, &body).code, 400, "one at most");
    let many = json!({
        "contacts": { name(&made): { "names": [{ "givenName": "Ida" }], "etag": changed["etag"] } },
        "updateMask": "names", "readMask": "names",
    });
    let result = domain.post("v1/people:batchUpdateContacts", &token, &many).ok();
    assert_eq!(result["updateResult"][name(&made)]["person"]["names"][0]["displayName"], "Ida");
}

#[test]
fn photos_are_stored_served_and_removed() {
    let (domain, _, token) = empty();
    let made = make(&domain, &token, "Ada");
    let url = |person: &Value| person["photos"][0]["url"].as_str().unwrap().to_owned();
    assert_eq!(made["photos"][0]["default"], true);
    assert_eq!(domain.get(&url(&made), "").header("content-type"), Some("image/png"));
    let path = format!("v1/{}:updateContactPhoto", name(&made));
    // A GIF of one pixel begins so.
    let body = json!({ "photoBytes": "R0lGODlhAQABAAAAACw=", "personFields": "photos" });
    let changed = domain.patch(&path, &token, &body).ok();
    assert!(changed["person"]["photos"][0]["default"].is_null());
    let photo = domain.get(&url(&changed["person"]), "");
    assert_eq!((photo.code, photo.header("content-type")), (200, Some("image/gif")));
    assert_eq!(domain.patch(&path, &token, &json!({ "photoBytes": "" })).code, 400);
    let remove = format!("v1/{}:deleteContactPhoto?personFields=photos", name(&made));
    assert_eq!(domain.delete(&remove, &token).ok()["person"]["photos"][0]["default"], true);
    assert_eq!(domain.delete(&remove, &token).code, 404);
}

#[test]
fn groups_have_names_of_their_own_and_members() {
    let (domain, _, token) = empty();
    let path = "v1/contactGroups";
    let first = domain.get(&format!("{path}?pageSize=1000"), &token).ok();
    let groups = first["contactGroups"].as_array().unwrap();
    assert!(
        groups
            .iter()
            .any(|group| group["groupType"] == "SYSTEM_CONTACT_GROUP"
                && group["formattedName"] == "My Contacts")
    );
    let since = format!("{path}?syncToken={}", first["nextSyncToken"].as_str().unwrap());
    let body = json!({ "contactGroup": { "name": "Sailing" } });
    let group = domain.post(path, &token, &body).ok();
    let twice = domain.post(path, &token, &body);
    assert_eq!((twice.code, &twice.json["error"]["status"]), (409, &json!("ALREADY_EXISTS")));
    let person = make(&domain, &token, "Ada");
    let group_name = name(&group).to_owned();
    let members = format!("v1/{group_name}/members:modify");
    let added =
        domain.post(&members, &token, &json!({ "resourceNamesToAdd": [name(&person), "people/c1"] })).ok();
    assert_eq!(added, json!({ "notFoundResourceNames": ["people/c1"] }));
    let shown = domain.get(&format!("v1/{group_name}?maxMembers=9"), &token).ok();
    assert_eq!((&shown["memberCount"], &shown["memberResourceNames"]), (&json!(1), &json!([name(&person)])));
    let my = "v1/contactGroups/myContacts/members:modify";
    domain.post(my, &token, &json!({ "resourceNamesToRemove": [name(&person)] })).ok();
    let last = domain.post(&members, &token, &json!({ "resourceNamesToRemove": [name(&person)] })).ok();
    assert_eq!(last["canNotRemoveLastContactGroupResourceNames"], json!([name(&person)]));
    assert_eq!(
        domain
            .post(
                "v1/contactGroups/all/members:modify",
                &token,
                &json!({ "resourceNamesToAdd": [name(&person)] })
            )
            .code,
        400
    );
    let renamed = domain
        .put(&format!("v1/{group_name}"), &token, &json!({ "contactGroup": { "name": "Rowing" } }))
        .ok();
    assert_eq!(renamed["name"], "Rowing");
    assert_eq!(domain.delete("v1/contactGroups/starred", &token).code, 400);
    domain.delete(&format!("v1/{group_name}"), &token).ok();
    let changes = domain.get(&since, &token).ok();
    assert_eq!(changes["contactGroups"][0]["metadata"]["deleted"], true);
    let left = domain.get(&format!("v1/{}?personFields=memberships", name(&person)), &token).ok();
    assert_eq!(left["memberships"][0]["contactGroupMembership"]["contactGroupId"], "myContacts");
    // What comes between two pages is told by the token at their end.
    let page = domain.get(&format!("{path}?pageSize=5"), &token).ok();
    domain.post(path, &token, &json!({ "contactGroup": { "name": "Late" } })).ok();
    let next = page["nextPageToken"].as_str().unwrap();
    let end = domain.get(&format!("{path}?pageSize=50&pageToken={next}"), &token).ok();
    let since = format!("{path}?syncToken={}", end["nextSyncToken"].as_str().unwrap());
    assert_eq!(domain.get(&since, &token).ok()["contactGroups"][0]["name"], "Late");
}

#[test]
fn the_seed_makes_contacts_of_many_kinds_and_others_and_the_domain_has_people() {
    let (domain, user, token) = start(Settings::default());
    let everything =
        "names,phoneNumbers,photos,memberships,userDefined,birthdays,addresses,metadata,imClients";
    let page =
        domain.get(&format!("v1/people/me/connections?personFields={everything}&pageSize=1000"), &token).ok();
    let people = list(&page);
    assert_eq!(people.len(), 30);
    let some = |what: &str, test: &dyn Fn(&Value) -> bool| assert!(people.iter().any(test), "{what}");
    some("a photo", &|p| p["photos"][0]["default"].is_null());
    some("a group of the user's", &|p| p["memberships"].as_array().unwrap().len() > 1);
    some("one without a name", &|p| p["names"].is_null());
    some("a name beyond ASCII", &|p| !p["names"][0]["displayName"].as_str().unwrap_or_default().is_ascii());
    for field in ["phoneNumbers", "userDefined", "birthdays", "addresses", "imClients"] {
        some(field, &|p| p[field].is_array());
    }
    let readers = domain.token(&user, &[scopes::CONTACTS_OTHER_READONLY, scopes::DIRECTORY_READONLY]);
    let others =
        domain.get("v1/otherContacts?readMask=emailAddresses,metadata&requestSyncToken=true", &readers).ok();
    assert_eq!(
        (&others["totalSize"], &others["otherContacts"][0]["metadata"]["sources"][0]["type"]),
        (&json!(6), &json!("OTHER_CONTACT"))
    );
    assert_eq!(domain.get("v1/otherContacts?readMask=birthdays", &readers).code, 400);
    let path = "v1/people:listDirectoryPeople?readMask=names,emailAddresses";
    assert_eq!(domain.get(path, &readers).code, 400, "a source is needed");
    let staff = domain.get(&format!("{path}&sources=DIRECTORY_SOURCE_TYPE_DOMAIN_PROFILE"), &readers).ok();
    assert_eq!(staff["people"].as_array().unwrap().len(), 7, "the suspended user is not shown");
}
