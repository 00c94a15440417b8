//! Calendars, lists of them, and who may see them.

use google_tenant::{Occasion, Settings, scopes};
use serde_json::{Value, json};

use crate::support::{DAY, Domain, START};

const LIST: &str = "calendar/v3/users/me/calendarList";

pub(crate) fn items(page: &Value) -> Vec<Value> {
    page["items"].as_array().cloned().unwrap_or_default()
}

fn ids(page: &Value) -> Vec<String> {
    items(page).iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

/// Returns a domain without events, a user of it, and a token of that user for calendars.
pub(crate) fn empty() -> (Domain, String, String) {
    let mut settings = Settings::default();
    settings.size.events = 0;
    with(settings)
}

pub(crate) fn with(settings: Settings) -> (Domain, String, String) {
    let domain = Domain::start(settings);
    let user = domain.user(0);
    let token = domain.token(&user, &[scopes::CALENDAR]);
    (domain, user, token)
}

#[test]
fn a_users_list_is_followed_by_its_sync_token() {
    let (domain, user, token) = empty();
    let first = domain.get(&format!("{LIST}?showHidden=true&maxResults=250"), &token).ok();
    assert_eq!(first["kind"], "calendar#calendarList");
    let own = items(&first).into_iter().find(|entry| entry["primary"] == true).unwrap();
    assert_eq!((&own["id"], &own["accessRole"]), (&json!(user), &json!("owner")));
    let since = format!("{LIST}?showHidden=true&syncToken={}", first["nextSyncToken"].as_str().unwrap());
    assert!(items(&domain.get(&since, &token).ok()).is_empty());
    let made = domain.post("calendar/v3/calendars", &token, &json!({ "summary": "Törn" })).ok();
    let id = made["id"].as_str().unwrap();
    assert_eq!(ids(&domain.get(&since, &token).ok()), [id]);
    domain.patch(&format!("{LIST}/{id}"), &token, &json!({ "hidden": true, "summaryOverride": "Boat" })).ok();
    let hidden = domain.get(LIST, &token).ok();
    assert!(!ids(&hidden).contains(&id.to_owned()));
    let changed = domain.get(&since, &token).ok();
    assert_eq!(items(&changed)[0]["summaryOverride"], "Boat");
    assert_eq!(domain.delete(&format!("{LIST}/{id}"), &token).code, 204);
    let gone = domain.get(&since, &token).ok();
    assert_eq!((&items(&gone)[0]["id"], &items(&gone)[0]["deleted"]), (&json!(id), &json!(true)));
    assert_eq!(domain.get(&format!("{LIST}/{id}"), &token).reason(), "notFound");
    for forbidden in ["&minAccessRole=owner", "&showDeleted=false"] {
        assert_eq!(domain.get(&format!("{since}{forbidden}"), &token).code, 400, "{forbidden}");
    }
    domain.clock.advance_micros(28 * DAY + 1);
    let token = domain.token(&user, &[scopes::CALENDAR]);
    let expired = domain.get(&since, &token);
    assert_eq!((expired.code, expired.reason()), (410, "fullSyncRequired"));
}

#[test]
fn a_calendar_is_changed_by_those_who_know_it_and_goes_from_every_list() {
    let (domain, user, token) = empty();
    let other = domain.user(1);
    let theirs = domain.token(&other, &[scopes::CALENDAR]);
    let made = domain.post("calendar/v3/calendars", &token, &json!({ "summary": "Plans" })).ok();
    let path = format!("calendar/v3/calendars/{}", made["id"].as_str().unwrap());
    assert_eq!(domain.get(&path, &theirs).code, 404, "it is not shared");
    let share = json!({ "role": "reader", "scope": { "type": "user", "value": other } });
    domain.post(&format!("{path}/acl?sendNotifications=false"), &token, &share).ok();
    assert!(domain.running.with_tenant(|tenant| tenant.calendar_mails().is_empty()));
    assert_eq!(domain.get(&path, &theirs).ok()["dataOwner"], json!(user));
    let refused = domain.patch(&path, &theirs, &json!({ "summary": "Mine" }));
    assert_eq!((refused.code, refused.reason()), (403, "requiredAccessLevel"));
    domain.post(LIST, &theirs, &json!({ "id": made["id"] })).ok();
    let stale = [("if-match", made["etag"].as_str().unwrap()), ("content-type", "application/json")];
    let body = json!({ "summary": "Plans 2", "timeZone": "Asia/Tokyo" }).to_string();
    let changed = domain.send("PATCH", &path, &token, &stale, body.as_bytes()).ok();
    assert_eq!((&changed["summary"], &changed["timeZone"]), (&json!("Plans 2"), &json!("Asia/Tokyo")));
    let refused = domain.send("PATCH", &path, &token, &stale, body.as_bytes());
    assert_eq!((refused.code, refused.reason()), (412, "conditionNotMet"));
    assert_eq!(domain.patch(&path, &token, &json!({ "timeZone": "Mars/Olympus" })).code, 400);
    assert_eq!(domain.delete("calendar/v3/calendars/primary", &token).code, 403);
    assert_eq!(domain.delete(&path, &token).code, 204);
    assert_eq!(domain.get(&path, &token).code, 404);
    assert!(!ids(&domain.get(LIST, &theirs).ok()).contains(&made["id"].as_str().unwrap().to_owned()));
}

#[test]
fn an_administrator_gives_a_calendar_to_somebody_else() {
    let (domain, user, token) = empty();
    let other = domain.user(1);
    let made = domain.post("calendar/v3/calendars", &token, &json!({ "summary": "Plans" })).ok();
    let path = format!("calendar/v3/calendars/{}", made["id"].as_str().unwrap());
    let transfer = format!("{path}/transferOwnership?newDataOwner={other}&useAdminAccess=true");
    assert_eq!(domain.send("POST", &transfer, &token, &[], b"").code, 403);
    let admin = domain.token(&domain.admin(), &[scopes::CALENDAR]);
    assert_eq!(domain.send("POST", &transfer.replace("=true", "=false"), &admin, &[], b"").code, 400);
    let primary =
        format!("calendar/v3/calendars/{user}/transferOwnership?newDataOwner={other}&useAdminAccess=true");
    assert_eq!(domain.send("POST", &primary, &admin, &[], b"").code, 400);
    assert_eq!(domain.send("POST", &transfer, &admin, &[], b"").code, 204);
    let theirs = domain.token(&other, &[scopes::CALENDAR]);
    assert_eq!(domain.get(&path, &theirs).ok()["dataOwner"], json!(other));
    let entry = domain.get(&format!("{LIST}/{}", made["id"].as_str().unwrap()), &theirs).ok();
    assert_eq!(entry["accessRole"], "owner");
    assert_eq!(domain.delete(&format!("{path}/acl/user:{user}"), &theirs).code, 204);
    assert_eq!(domain.get(&path, &token).code, 404);
}

#[test]
fn rules_are_written_listed_and_withdrawn_and_sharing_tells_by_mail_unless_told_not_to() {
    let (domain, user, token) = empty();
    let path = "calendar/v3/calendars/primary/acl";
    let first = domain.get(path, &token).ok();
    assert_eq!(ids(&first), [format!("user:{user}"), "domain:acme.test".to_owned()]);
    let since = format!("{path}?syncToken={}", first["nextSyncToken"].as_str().unwrap());
    let rule = json!({ "role": "writer", "scope": { "type": "user", "value": "kim@partner.example" } });
    let made = domain.post(path, &token, &rule).ok();
    assert_eq!(
        (&made["id"], &made["kind"]),
        (&json!("user:kim@partner.example"), &json!("calendar#aclRule"))
    );
    domain.running.with_tenant(|tenant| {
        let mails = tenant.calendar_mails();
        assert_eq!(
            (mails.len(), mails[0].occasion, mails[0].to.as_str()),
            (1, Occasion::Sharing, "kim@partner.example")
        );
    });
    let one = format!("{path}/user:kim@partner.example");
    domain.patch(&one, &token, &json!({ "role": "reader" })).ok();
    assert_eq!(items(&domain.get(&since, &token).ok())[0]["role"], "reader");
    assert_eq!(domain.delete(&one, &token).code, 204);
    assert_eq!(items(&domain.get(&since, &token).ok())[0]["role"], "none");
    assert_eq!(ids(&domain.get(path, &token).ok()).len(), 2);
    assert_eq!(ids(&domain.get(&format!("{path}?showDeleted=true"), &token).ok()).len(), 3);
    assert_eq!(domain.patch(&format!("{path}/user:{user}"), &token, &json!({ "role": "reader" })).code, 403);
    for wrong in [
        json!({ "role": "king", "scope": { "type": "default" } }),
        json!({ "role": "reader", "scope": { "type": "user" } }),
    ] {
        assert_eq!(domain.post(path, &token, &wrong).code, 400, "{wrong}");
    }
    // A consent of the same program would be widened; a service account's token has what was asked for.
    let key = domain.key();
    let token = |scope: &str| {
        let assertion = key.sign(&key.claims(&user, &[scope], START));
        domain.ask_token(&assertion).ok()["access_token"].as_str().unwrap().to_owned()
    };
    let reading = token(scopes::CALENDAR_READONLY);
    assert_eq!(domain.get(path, &reading).reason(), "insufficientPermissions");
    domain.get(&one.replace("kim@partner.example", &user), &reading).ok();
    domain.get(path, &token(scopes::CALENDAR_ACLS_READONLY)).ok();
}

#[test]
fn a_group_may_see_a_calendar() {
    let (domain, _, token) = empty();
    let other = domain.user(1);
    let admin = domain.token(&domain.admin(), &[scopes::GROUP]);
    domain
        .post("admin/directory/v1/groups", &admin, &json!({ "email": "crew@acme.test", "name": "Crew" }))
        .ok();
    let member = json!({ "email": other, "role": "MEMBER" });
    domain.post("admin/directory/v1/groups/crew@acme.test/members", &admin, &member).ok();
    let made = domain.post("calendar/v3/calendars", &token, &json!({ "summary": "Boat" })).ok();
    let path = format!("calendar/v3/calendars/{}", made["id"].as_str().unwrap());
    let theirs = domain.token(&other, &[scopes::CALENDAR]);
    assert_eq!(domain.get(&path, &theirs).code, 404);
    let rule = json!({ "role": "writer", "scope": { "type": "group", "value": "crew@acme.test" } });
    domain.post(&format!("{path}/acl"), &token, &rule).ok();
    assert_eq!(domain.get(&format!("{path}/events"), &theirs).ok()["accessRole"], "writer");
}

#[test]
fn settings_and_colours_are_there_and_a_user_may_be_without_the_service() {
    let (domain, user, token) = empty();
    let settings = domain.get("calendar/v3/users/me/settings", &token).ok();
    let zone = items(&settings).into_iter().find(|setting| setting["id"] == "timezone").unwrap();
    let primary = domain.get("calendar/v3/calendars/primary", &token).ok();
    assert_eq!(zone["value"], primary["timeZone"]);
    let colors = domain.get("calendar/v3/colors", &token).ok();
    assert_eq!(
        (colors["calendar"].as_object().unwrap().len(), colors["event"].as_object().unwrap().len()),
        (24, 11)
    );
    domain.running.with_tenant(|tenant| tenant.settings_mut().calendar.turned_off.push(user));
    let off = domain.get(LIST, &token);
    assert_eq!((off.code, off.reason()), (403, "notACalendarUser"));
}

#[test]
fn channels_are_opened_and_stopped() {
    let (domain, _, token) = empty();
    let path = "calendar/v3/calendars/primary/events/watch";
    let wish = json!({ "id": "c-1", "type": "web_hook", "address": "https://x.example/hook", "token": "t" });
    let channel = domain.post(path, &token, &wish).ok();
    assert_eq!((&channel["kind"], &channel["token"]), (&json!("api#channel"), &json!("t")));
    assert!(channel["expiration"].is_string());
    assert_eq!(domain.post(path, &token, &wish).reason(), "channelIdNotUnique");
    let plain = json!({ "id": "c-2", "type": "web_hook", "address": "http://x.example" });
    assert_eq!(domain.post(path, &token, &plain).code, 400);
    let open = |domain: &Domain| domain.running.with_tenant(|tenant| tenant.channels().len());
    assert_eq!(open(&domain), 1);
    let stop = json!({ "id": "c-1", "resourceId": channel["resourceId"] });
    assert_eq!(domain.post("calendar/v3/channels/stop", &token, &stop).code, 204);
    assert_eq!((open(&domain), domain.post("calendar/v3/channels/stop", &token, &stop).code), (0, 404));
}

#[test]
fn the_seed_makes_calendars_of_many_kinds_and_always_the_same() {
    let list = |seed: u64| {
        let (domain, _, token) = with(Settings { seed, ..Settings::default() });
        let page =
            domain.get("calendar/v3/calendars/primary/events?maxResults=2500&showDeleted=true", &token).ok();
        let shared = domain.get(LIST, &token).ok();
        // Addresses of the simulator differ from start to start.
        let mut events = items(&page);
        for event in &mut events {
            event.as_object_mut().unwrap().remove("htmlLink");
        }
        (events, items(&shared))
    };
    let (events, calendars) = list(5);
    assert_eq!(events, list(5).0);
    assert_ne!(events, list(6).0);
    assert!(calendars.len() >= 3, "its own two and the team's: {}", calendars.len());
    let some = |what: &str, test: &dyn Fn(&Value) -> bool| assert!(events.iter().any(test), "{what}");
    some("a series", &|e| e["recurrence"].is_array());
    some("a moved instance", &|e| e["recurringEventId"].is_string() && e["start"] != e["originalStartTime"]);
    some("a cancelled instance", &|e| e["recurringEventId"].is_string() && e["status"] == "cancelled");
    some("a deleted event", &|e| e["recurringEventId"].is_null() && e["status"] == "cancelled");
    some("an event of days", &|e| e["start"]["date"].is_string());
    some("an invitation by somebody else", &|e| {
        e["organizer"]["self"].is_null() && e["attendees"].is_array()
    });
    for kind in ["outOfOffice", "focusTime", "workingLocation", "birthday"] {
        some(kind, &|e| e["eventType"] == kind);
    }
    for field in ["attachments", "conferenceData", "extendedProperties", "visibility", "location"] {
        some(field, &|e| !e[field].is_null());
    }
    some("reminders of its own", &|e| e["reminders"]["useDefault"] == false);
    some("a flight between zones", &|e| {
        e["start"]["timeZone"] == "Europe/Berlin" && e["end"]["timeZone"] == "America/New_York"
    });
}
