//! Events: made, changed, deleted, listed whole and since a token.

use google_tenant::{Settings, scopes};
use serde_json::{Value, json};

use crate::{
    calendars::{empty, items, with},
    support::{DAY, Domain},
};

pub(crate) const EVENTS: &str = "calendar/v3/calendars/primary/events";

/// An hour on a day of March 2026.
pub(crate) fn hour(day: u32, summary: &str) -> Value {
    let at = |hour: u32| json!({ "dateTime": format!("2026-03-{day:02}T{hour:02}:00:00Z") });
    json!({ "summary": summary, "start": at(9), "end": at(10) })
}

fn make(domain: &Domain, token: &str, day: u32, summary: &str) -> String {
    let made = domain.post(EVENTS, token, &hour(day, summary)).ok();
    made["id"].as_str().unwrap().to_owned()
}

fn titles(page: &Value) -> Vec<String> {
    let mut titles: Vec<String> =
        items(page).iter().map(|event| event["summary"].as_str().unwrap_or("-").to_owned()).collect();
    titles.sort();
    titles
}

fn token_of(page: &Value) -> String {
    page["nextSyncToken"].as_str().unwrap().to_owned()
}

#[test]
fn changes_since_a_token_are_listed_once_each_with_what_was_deleted() {
    let (domain, _, token) = empty();
    let kept = make(&domain, &token, 3, "kept");
    let gone = make(&domain, &token, 4, "gone");
    let first = domain.get(EVENTS, &token).ok();
    assert_eq!(
        (titles(&first), &first["kind"]),
        (vec!["gone".to_owned(), "kept".to_owned()], &json!("calendar#events"))
    );
    let since = format!("{EVENTS}?syncToken={}", token_of(&first));
    assert!(items(&domain.get(&since, &token).ok()).is_empty());
    for title in ["a", "b"] {
        domain.patch(&format!("{EVENTS}/{kept}"), &token, &json!({ "summary": title })).ok();
    }
    assert_eq!(domain.delete(&format!("{EVENTS}/{gone}"), &token).code, 204);
    let changes = domain.get(&since, &token).ok();
    assert_eq!(titles(&changes), ["-", "b"]);
    let tombstone = items(&changes).into_iter().find(|event| event["id"] == gone.as_str()).unwrap();
    let names: Vec<&str> = tombstone.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!((names, &tombstone["status"]), (vec!["etag", "id", "kind", "status"], &json!("cancelled")));
    let next = format!("{EVENTS}?syncToken={}", token_of(&changes));
    assert!(items(&domain.get(&next, &token).ok()).is_empty());
    // Whoever asks for the one event still gets all of it.
    let whole = domain.get(&format!("{EVENTS}/{gone}"), &token).ok();
    assert_eq!((&whole["status"], &whole["summary"]), (&json!("cancelled"), &json!("gone")));
    domain.running.with_tenant(|tenant| tenant.settings_mut().calendar.bare_deleted = false);
    assert_eq!(titles(&domain.get(&format!("{since}&showDeleted=true"), &token).ok()), ["b", "gone"]);
}

#[test]
fn a_sync_token_forbids_some_parameters_and_fixes_the_others() {
    let (domain, user, token) = empty();
    let first = domain.get(&format!("{EVENTS}?eventTypes=default"), &token).ok();
    let since = format!("{EVENTS}?syncToken={}", token_of(&first));
    domain.get(&format!("{since}&eventTypes=default&maxResults=10&showDeleted=true"), &token).ok();
    for forbidden in [
        "iCalUID=x",
        "orderBy=updated",
        "privateExtendedProperty=a%3Db",
        "q=x",
        "sharedExtendedProperty=a%3Db",
        "timeMin=2026-01-01T00:00:00Z",
        "timeMax=2026-01-01T00:00:00Z",
        "updatedMin=2026-03-01T00:00:00Z",
        "showDeleted=false",
    ] {
        let refused = domain.get(&format!("{since}&eventTypes=default&{forbidden}"), &token);
        assert_eq!((refused.code, refused.reason()), (400, "invalid"), "{forbidden}");
    }
    for other in [since.clone(), format!("{since}&eventTypes=default&singleEvents=true")] {
        assert_eq!(domain.get(&other, &token).code, 400, "{other}");
    }
    let nonsense = domain.get(&format!("{EVENTS}?syncToken=nonsense"), &token);
    assert_eq!((nonsense.code, nonsense.reason()), (410, "fullSyncRequired"));
    // However the calendar is called, it is the same list.
    domain.get(&(since.replace("primary", &user) + "&eventTypes=default"), &token).ok();
    let stranger = domain.token(&domain.user(1), &[scopes::CALENDAR]);
    let theirs = since.replace("primary", &user) + "&eventTypes=default";
    assert_eq!(domain.get(&theirs, &stranger).code, 400, "a token is its user's");
}

#[test]
fn tokens_expire_by_age_by_sharing_and_by_hand() {
    let (domain, user, token) = empty();
    let fresh = |domain: &Domain, token: &str| {
        format!("{EVENTS}?syncToken={}", token_of(&domain.get(EVENTS, token).ok()))
    };
    let gone = |path: &str, token: &str| {
        let answer = domain.get(path, token);
        (answer.code, answer.reason().to_owned())
    };
    let by_sharing = fresh(&domain, &token);
    let rule = json!({ "role": "reader", "scope": { "type": "user", "value": "kim@partner.example" } });
    domain.post("calendar/v3/calendars/primary/acl", &token, &rule).ok();
    assert_eq!(gone(&by_sharing, &token), (410, "fullSyncRequired".to_owned()));
    let by_hand = fresh(&domain, &token);
    domain.running.with_tenant(|tenant| tenant.expire_sync_tokens(&user));
    assert_eq!(gone(&by_hand, &token).0, 410);
    let by_age = fresh(&domain, &token);
    domain.clock.advance_micros(28 * DAY);
    let token = domain.token(&user, &[scopes::CALENDAR]);
    domain.get(&by_age, &token).ok();
    domain.clock.advance_micros(1);
    assert_eq!(gone(&by_age, &token).0, 410);
    let early = format!("{EVENTS}?updatedMin=2026-01-01T00:00:00Z");
    assert_eq!(gone(&early, &token), (410, "updatedMinTooLongAgo".to_owned()));
}

#[test]
fn a_list_of_a_window_ends_with_a_token_of_that_window() {
    let (domain, _, token) = empty();
    let march = "timeMin=2026-03-10T00:00:00Z&timeMax=2026-03-20T00:00:00Z";
    let inside = make(&domain, &token, 12, "inside");
    let outside = make(&domain, &token, 25, "outside");
    let first = domain.get(&format!("{EVENTS}?{march}"), &token).ok();
    assert_eq!(titles(&first), ["inside"]);
    let since = format!("{EVENTS}?syncToken={}", token_of(&first));
    for id in [&inside, &outside] {
        domain.patch(&format!("{EVENTS}/{id}"), &token, &json!({ "location": "here" })).ok();
    }
    assert_eq!(titles(&domain.get(&since, &token).ok()), ["inside"]);
    assert!(domain.get(&format!("{EVENTS}?q=in"), &token).ok()["nextSyncToken"].is_null());
    assert_eq!(domain.get(&format!("{EVENTS}?orderBy=startTime"), &token).code, 400);
}

#[test]
fn pages_may_be_empty_and_a_change_between_them_is_not_lost() {
    let mut settings = Settings::default();
    settings.size.events = 0;
    settings.calendar.empty_page_one_in = Some(1);
    let (domain, _, token) = with(settings);
    let ids: Vec<String> = (1..=7).map(|day| make(&domain, &token, day, "x")).collect();
    let (mut seen, mut empty_pages, mut next, mut sync) = (Vec::new(), 0, String::new(), String::new());
    for turn in 0..100 {
        let page = domain.get(&format!("{EVENTS}?maxResults=3&pageToken={next}"), &token).ok();
        empty_pages += usize::from(items(&page).is_empty());
        seen.extend(items(&page).iter().map(|event| event["id"].as_str().unwrap().to_owned()));
        if turn == 2 {
            domain.patch(&format!("{EVENTS}/{}", seen[0]), &token, &json!({ "summary": "late" })).ok();
        }
        match page["nextPageToken"].as_str() {
            Some(token) => token.clone_into(&mut next),
            None => {
                sync = token_of(&page);
                break;
            }
        }
    }
    assert_eq!(empty_pages, 3);
    let mut wanted = ids;
    wanted.sort();
    assert_eq!(seen, wanted);
    // The change came after the list was begun; who goes on from it hears of it.
    let mut path = format!("{EVENTS}?syncToken={sync}");
    let page = domain.get(&path, &token).ok();
    assert!(items(&page).is_empty());
    path = format!("{path}&pageToken={}", page["nextPageToken"].as_str().unwrap());
    assert_eq!(titles(&domain.get(&path, &token).ok()), ["late"]);
}

#[test]
fn an_id_of_ones_own_is_taken_once_even_after_deletion_and_deletion_is_undone() {
    let (domain, user, token) = empty();
    let mut event = hour(5, "own");
    event["id"] = "abcde12345".into();
    let made = domain.post(EVENTS, &token, &event).ok();
    assert_eq!((&made["id"], &made["iCalUID"]), (&json!("abcde12345"), &json!("abcde12345@google.com")));
    assert_eq!(
        (domain.post(EVENTS, &token, &event).code, domain.post(EVENTS, &token, &event).reason()),
        (409, "duplicate")
    );
    for wrong in ["abc", "ABCDE12345", "wxyz12345"] {
        event["id"] = wrong.into();
        assert_eq!(domain.post(EVENTS, &token, &event).code, 400, "{wrong}");
    }
    event["id"] = "abcde12345".into();
    event["iCalUID"] = "x@y".into();
    assert_eq!(domain.post(EVENTS, &token, &event).code, 400, "only one of both");
    event.as_object_mut().unwrap().remove("iCalUID");
    let one = format!("{EVENTS}/abcde12345");
    assert_eq!(domain.delete(&one, &token).code, 204);
    assert_eq!((domain.delete(&one, &token).code, domain.delete(&one, &token).reason()), (410, "deleted"));
    assert_eq!(domain.post(EVENTS, &token, &event).code, 409, "a tombstone keeps the id");
    let back = domain.patch(&one, &token, &json!({ "status": "confirmed" })).ok();
    assert_eq!((&back["status"], &back["summary"]), (&json!("confirmed"), &json!("own")));
    assert_eq!(domain.delete(&one, &token).code, 204);
    domain.clock.advance_micros(31 * DAY);
    let token = domain.token(&user, &[scopes::CALENDAR]);
    assert_eq!(domain.patch(&one, &token, &json!({ "status": "confirmed" })).code, 404, "forgotten");
    assert_eq!(domain.post(EVENTS, &token, &event).code, 409);
}

#[test]
fn a_change_needs_the_etag_it_names_and_reminders_are_no_change() {
    let (domain, _, token) = empty();
    let made = domain.post(EVENTS, &token, &hour(5, "x")).ok();
    let path = format!("{EVENTS}/{}", made["id"].as_str().unwrap());
    domain.clock.advance_micros(1_000_000);
    let body =
        json!({ "reminders": { "useDefault": false, "overrides": [{ "method": "popup", "minutes": 5 }] } });
    let reminded = domain.patch(&path, &token, &body).ok();
    assert_eq!((&reminded["updated"], &reminded["reminders"]), (&made["updated"], &body["reminders"]));
    let headers = |etag: &Value| [("if-match".to_owned(), etag.as_str().unwrap().to_owned())];
    let patch = |etag: &Value, body: &Value| {
        let headers = headers(etag);
        let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        domain.send("PATCH", &path, &token, &headers, body.to_string().as_bytes())
    };
    let refused = patch(&made["etag"], &json!({ "summary": "y" }));
    assert_eq!((refused.code, refused.reason()), (412, "conditionNotMet"));
    let changed = patch(&reminded["etag"], &json!({ "summary": "y", "location": "there" })).ok();
    assert_ne!(changed["updated"], made["updated"]);
    // A replacement takes away what it does not say, and knows its number.
    let moved = json!({ "start": hour(6, "")["start"], "end": hour(6, "")["end"] });
    let replaced = domain.put(&path, &token, &moved).ok();
    assert_eq!(
        (&replaced["summary"], &replaced["location"], &replaced["sequence"]),
        (&Value::Null, &Value::Null, &json!(1))
    );
    let mut old = moved;
    old["sequence"] = 0.into();
    assert_eq!(domain.put(&path, &token, &old).reason(), "invalid");
    let known = [("if-none-match", replaced["etag"].as_str().unwrap())];
    assert_eq!(domain.send("GET", &path, &token, &known, b"").code, 304);
}

#[test]
fn attachments_and_conferences_are_written_by_those_who_say_that_they_know_them() {
    let (domain, _, token) = empty();
    let mut event = hour(5, "x");
    event["attachments"] = json!([{ "fileUrl": "https://docs.example/1", "title": "Notes" }]);
    event["conferenceData"] = json!({ "createRequest": { "requestId": "r1", "conferenceSolutionKey": { "type": "hangoutsMeet" } } });
    event["extendedProperties"] = json!({ "private": { "a": "1" }, "shared": { "b": "2" } });
    let plain = domain.post(EVENTS, &token, &event).ok();
    assert!(plain["attachments"].is_null() && plain["conferenceData"].is_null());
    let both = format!("{EVENTS}?supportsAttachments=true&conferenceDataVersion=1");
    let made = domain.post(&both, &token, &event).ok();
    assert_eq!(made["attachments"], event["attachments"]);
    assert!(made["hangoutLink"].as_str().unwrap().starts_with("https://meet.google.com/"));
    let path = format!("{EVENTS}/{}", made["id"].as_str().unwrap());
    let patched = domain
        .patch(
            &path,
            &token,
            &json!({ "attachments": [], "extendedProperties": { "private": { "a": null, "c": "3" } } }),
        )
        .ok();
    assert_eq!(patched["attachments"], made["attachments"], "not said to be known");
    assert_eq!(patched["extendedProperties"], json!({ "private": { "c": "3" }, "shared": { "b": "2" } }));
    let found = domain.get(&format!("{EVENTS}?privateExtendedProperty=c%3D3"), &token).ok();
    assert_eq!(items(&found).len(), 1);
}

#[test]
fn kinds_of_events_have_rules_and_nonsense_is_refused() {
    let (domain, _, token) = empty();
    let made = domain.post("calendar/v3/calendars", &token, &json!({ "summary": "second" })).ok();
    let second = format!("calendar/v3/calendars/{}/events", made["id"].as_str().unwrap());
    let mut focus = hour(5, "focus");
    focus["eventType"] = "focusTime".into();
    focus["focusTimeProperties"] = json!({ "chatStatus": "doNotDisturb" });
    let event = domain.post(EVENTS, &token, &focus).ok();
    assert_eq!(domain.post(&second, &token, &focus).reason(), "eventTypeRestriction");
    let path = format!("{EVENTS}/{}", event["id"].as_str().unwrap());
    assert_eq!(domain.patch(&path, &token, &json!({ "eventType": "default" })).code, 400);
    make(&domain, &token, 6, "usual");
    assert_eq!(titles(&domain.get(&format!("{EVENTS}?eventTypes=focusTime"), &token).ok()), ["focus"]);
    let day = |from: &str, to: &str| json!({ "start": { "date": from }, "end": { "date": to } });
    let mut mixed = hour(5, "x");
    mixed["end"] = json!({ "date": "2026-03-06" });
    let mut without_zone = hour(5, "x");
    without_zone["recurrence"] = json!(["RRULE:FREQ=DAILY"]);
    let mut broken = without_zone.clone();
    broken["start"]["timeZone"] = "UTC".into();
    broken["recurrence"] = json!(["RRULE:FREQ=SOMETIMES"]);
    let mut away = day("2026-03-05", "2026-03-06");
    away["eventType"] = "outOfOffice".into();
    for (wrong, reason) in [
        (json!({ "summary": "no times" }), "required"),
        (day("2026-03-05", "2026-03-05"), "timeRangeEmpty"),
        (mixed, "invalid"),
        (without_zone, "required"),
        (broken, "invalid"),
        (away, "eventTypeRestriction"),
    ] {
        let refused = domain.post(EVENTS, &token, &wrong);
        assert_eq!((refused.code, refused.reason()), (400, reason), "{wrong}");
    }
}

#[test]
fn times_are_shown_in_the_zone_of_the_calendar_or_of_the_asker() {
    let (domain, _, token) = empty();
    domain.patch("calendar/v3/calendars/primary", &token, &json!({ "timeZone": "Asia/Tokyo" })).ok();
    let body = json!({ "start": { "dateTime": "2026-03-30T10:00:00" }, "end": { "dateTime": "2026-03-30T11:00:00" } });
    let made = domain.post(EVENTS, &token, &body).ok();
    assert_eq!(made["start"]["dateTime"], "2026-03-30T10:00:00+09:00");
    let path = format!("{EVENTS}/{}?timeZone=Europe/Berlin", made["id"].as_str().unwrap());
    let start = domain.get(&path, &token).ok()["start"].clone();
    assert_eq!(start, json!({ "dateTime": "2026-03-30T03:00:00+02:00", "timeZone": "Asia/Tokyo" }));
}

#[test]
fn a_reader_sees_that_there_is_a_private_event_and_no_more() {
    let (domain, user, token) = empty();
    let mut secret = hour(5, "secret");
    secret["visibility"] = "private".into();
    secret["description"] = "very".into();
    domain.post(EVENTS, &token, &secret).ok();
    make(&domain, &token, 6, "open");
    let other = domain.token(&domain.user(1), &[scopes::CALENDAR_READONLY]);
    let page = domain.get(&format!("calendar/v3/calendars/{user}/events"), &other).ok();
    assert_eq!(
        (titles(&page), &page["accessRole"]),
        (vec!["-".to_owned(), "open".to_owned()], &json!("reader"))
    );
    let hidden = items(&page).into_iter().find(|event| event["summary"].is_null()).unwrap();
    assert_eq!((&hidden["visibility"], &hidden["description"]), (&json!("private"), &Value::Null));
    let path = format!("calendar/v3/calendars/{user}/events");
    assert_eq!(domain.post(&path, &other, &hour(7, "x")).code, 403);
    assert_eq!(domain.get(&format!("calendar/v3/calendars/{user}/events/nothing"), &other).code, 404);
}

#[test]
fn a_primary_calendar_is_cleared_at_once() {
    let (domain, user, token) = with(Settings::default());
    let count = |domain: &Domain| domain.running.with_tenant(|tenant| tenant.events_in(&user));
    assert!(count(&domain) > 40);
    let since = token_of(&domain.get(&format!("{EVENTS}?maxResults=2500"), &token).ok());
    assert_eq!(domain.post("calendar/v3/calendars/primary/clear", &token, &json!({})).code, 204);
    assert_eq!(count(&domain), 0);
    let gone = domain.get(&format!("{EVENTS}?maxResults=2500&syncToken={since}"), &token).ok();
    assert!(items(&gone).len() > 40 && items(&gone).iter().all(|event| event["status"] == "cancelled"));
}
