//! Guests and their copies, who is told, imports, and the way to another calendar.

use google_tenant::{Mail, Occasion, scopes};
use serde_json::{Value, json};

use crate::{
    calendars::{empty, items},
    events::{EVENTS, hour},
    support::Domain,
};

fn mails(domain: &Domain) -> Vec<(Occasion, String)> {
    domain.running.with_tenant(|tenant| {
        let mails =
            tenant.calendar_mails().iter().map(|mail: &Mail| (mail.occasion, mail.to.clone())).collect();
        tenant.clear_calendar_mails();
        mails
    })
}

/// A meeting of the user with a colleague and somebody from elsewhere.
fn meeting(colleague: &str) -> Value {
    let mut event = hour(5, "meeting");
    event["attendees"] =
        json!([{ "email": colleague }, { "email": "kim@partner.example", "displayName": "Kim" }]);
    event
}

fn answer<'a>(event: &'a Value, guest: &str) -> &'a str {
    let own = event["attendees"].as_array().unwrap().iter().find(|attendee| attendee["email"] == guest);
    own.unwrap()["responseStatus"].as_str().unwrap()
}

#[test]
fn guests_of_the_domain_have_copies_that_follow_and_answers_go_back() {
    let (domain, user, token) = empty();
    let guest = domain.user(1);
    let theirs = domain.token(&guest, &[scopes::CALENDAR]);
    let made = domain.post(EVENTS, &token, &meeting(&guest)).ok();
    let path = format!("{EVENTS}/{}", made["id"].as_str().unwrap());
    let copy = domain.get(&path, &theirs).ok();
    assert_eq!((&copy["iCalUID"], &copy["organizer"]), (&made["iCalUID"], &json!({ "email": user })));
    assert_eq!((answer(&copy, &guest), &copy["attendees"][0]["self"]), ("needsAction", &json!(true)));
    let mut attendees = copy["attendees"].clone();
    attendees[0]["responseStatus"] = "accepted".into();
    domain.patch(&path, &theirs, &json!({ "attendees": attendees, "colorId": "3" })).ok();
    assert_eq!(answer(&domain.get(&path, &token).ok(), &guest), "accepted");
    domain.patch(&path, &token, &json!({ "summary": "renamed" })).ok();
    let copy = domain.get(&path, &theirs).ok();
    assert_eq!((&copy["summary"], &copy["colorId"]), (&json!("renamed"), &json!("3")));
    let refused = domain.patch(&path, &theirs, &json!({ "summary": "mine" }));
    assert_eq!((refused.code, refused.reason()), (403, "forbiddenForNonOrganizer"));
    assert_eq!(domain.delete(&path, &theirs).code, 204);
    assert_eq!(answer(&domain.get(&path, &token).ok(), &guest), "declined");
    domain.patch(&path, &token, &json!({ "location": "here" })).ok();
    assert_eq!(domain.get(&path, &theirs).ok()["status"], "cancelled", "thrown away stays thrown away");
    let cut = domain.get(&format!("{path}?maxAttendees=1"), &token).ok();
    assert_eq!(cut["attendeesOmitted"], true);
}

#[test]
fn a_guest_who_is_no_longer_invited_and_a_meeting_that_ends_leave_tombstones() {
    let (domain, _, token) = empty();
    let guest = domain.user(1);
    let theirs = domain.token(&guest, &[scopes::CALENDAR]);
    let make = |domain: &Domain| {
        let made = domain.post(EVENTS, &token, &meeting(&guest)).ok();
        format!("{EVENTS}/{}", made["id"].as_str().unwrap())
    };
    let (left_out, ended) = (make(&domain), make(&domain));
    domain.patch(&left_out, &token, &json!({ "attendees": [{ "email": "kim@partner.example" }] })).ok();
    assert_eq!(domain.delete(&ended, &token).code, 204);
    for path in [&left_out, &ended] {
        assert_eq!(domain.get(path, &theirs).ok()["status"], "cancelled");
    }
    domain.patch(&ended, &token, &json!({ "status": "confirmed" })).ok();
    assert_eq!(domain.get(&ended, &theirs).ok()["status"], "confirmed");
}

#[test]
fn nobody_is_told_unless_the_call_says_so() {
    let (domain, _, token) = empty();
    let guest = domain.user(1);
    let made = domain.post(&format!("{EVENTS}?sendUpdates=none"), &token, &meeting(&guest)).ok();
    let quiet = format!("{EVENTS}/{}", made["id"].as_str().unwrap());
    domain.patch(&quiet, &token, &json!({ "summary": "x" })).ok();
    assert_eq!(domain.delete(&quiet, &token).code, 204);
    domain.patch(&quiet, &token, &json!({ "status": "confirmed" })).ok();
    assert_eq!(mails(&domain), []);
    let made = domain.post(&format!("{EVENTS}?sendUpdates=all"), &token, &meeting(&guest)).ok();
    let kim = "kim@partner.example".to_owned();
    assert_eq!(mails(&domain), [(Occasion::Invitation, guest), (Occasion::Invitation, kim.clone())]);
    let path = format!("{EVENTS}/{}?sendUpdates=externalOnly", made["id"].as_str().unwrap());
    domain.patch(&path, &token, &json!({ "location": "x" })).ok();
    assert_eq!(mails(&domain), [(Occasion::Update, kim.clone())]);
    assert_eq!(domain.delete(&path, &token).code, 204);
    assert_eq!(mails(&domain), [(Occasion::Cancellation, kim.clone())]);
    // Some mails go out all the same, if the domain is told to behave so.
    domain.running.with_tenant(|tenant| tenant.settings_mut().calendar.stray_mails = true);
    domain.post(&format!("{EVENTS}?sendUpdates=none"), &token, &meeting(&domain.user(1))).ok();
    assert_eq!(mails(&domain), [(Occasion::Invitation, kim)]);
}

#[test]
fn an_import_is_a_private_copy_that_is_written_over_by_its_calendar_id() {
    let (domain, _, token) = empty();
    let guest = domain.user(1);
    let path = format!("{EVENTS}/import");
    assert_eq!(domain.post(&path, &token, &hour(5, "x")).reason(), "required");
    let mut event = meeting(&guest);
    event["iCalUID"] = "old-1@elsewhere.example".into();
    event["organizer"] = json!({ "email": "boss@elsewhere.example", "displayName": "Boss" });
    event["sequence"] = 3.into();
    let made = domain.post(&path, &token, &event).ok();
    assert_eq!(
        (&made["privateCopy"], &made["organizer"]["email"]),
        (&json!(true), &json!("boss@elsewhere.example"))
    );
    let theirs = domain.token(&guest, &[scopes::CALENDAR]);
    assert!(items(&domain.get(EVENTS, &theirs).ok()).is_empty());
    assert_eq!(mails(&domain), []);
    let one = format!("{EVENTS}/{}", made["id"].as_str().unwrap());
    assert_eq!(domain.delete(&one, &token).code, 204);
    event["summary"] = "again".into();
    let again = domain.post(&path, &token, &event).ok();
    assert_eq!(
        (&again["id"], &again["status"], &again["summary"]),
        (&made["id"], &json!("confirmed"), &json!("again"))
    );
    domain.patch(&one, &token, &json!({ "summary": "a private copy is one's own" })).ok();
    event["sequence"] = 2.into();
    assert_eq!(domain.post(&path, &token, &event).code, 400);
    event["sequence"] = 3.into();
    event["eventType"] = "focusTime".into();
    assert_eq!(domain.post(&path, &token, &event).reason(), "eventTypeRestriction");
    let by_uid = domain.get(&format!("{EVENTS}?iCalUID=old-1%40elsewhere.example"), &token).ok();
    assert_eq!(items(&by_uid).len(), 1);
    event.as_object_mut().unwrap().remove("eventType");
    assert_eq!(domain.post(EVENTS, &token, &event).code, 409, "insert does not write over");
}

#[test]
fn an_imported_exception_finds_its_series() {
    let (domain, _, token) = empty();
    let at = |day: u32, hour: u32| json!({ "dateTime": format!("2026-03-{day:02}T{hour:02}:00:00Z"), "timeZone": "UTC" });
    let path = format!("{EVENTS}/import");
    let mut event = json!({ "iCalUID": "s@x", "summary": "s", "start": at(2, 9), "end": at(2, 10), "recurrence": ["RRULE:FREQ=DAILY;COUNT=3"] });
    let series = domain.post(&path, &token, &event).ok();
    event.as_object_mut().unwrap().remove("recurrence");
    event["start"] = at(3, 15);
    event["end"] = at(3, 16);
    event["originalStartTime"] = at(3, 9);
    let one = domain.post(&path, &token, &event).ok();
    assert_eq!(one["recurringEventId"], series["id"]);
    assert_eq!(one["id"], json!(format!("{}_20260303T090000Z", series["id"].as_str().unwrap())));
    assert_eq!(items(&domain.get(&format!("{EVENTS}?singleEvents=true"), &token).ok()).len(), 3);
}

#[test]
fn an_event_that_moves_leaves_a_tombstone_that_tells_nothing() {
    let (domain, user, token) = empty();
    let made = domain.post("calendar/v3/calendars", &token, &json!({ "summary": "second" })).ok();
    let second = made["id"].as_str().unwrap().to_owned();
    let id = domain.post(EVENTS, &token, &meeting(&domain.user(1))).ok()["id"].as_str().unwrap().to_owned();
    let path = format!("{EVENTS}/{id}");
    let moved = domain.send("POST", &format!("{path}/move?destination={second}"), &token, &[], b"").ok();
    assert_eq!((&moved["id"], &moved["organizer"]["email"]), (&json!(id), &json!(second)));
    let all = domain.get(&format!("{EVENTS}?showDeleted=true"), &token).ok();
    let left = &items(&all)[0];
    assert_eq!((&left["status"], &left["summary"]), (&json!("cancelled"), &Value::Null));
    assert_eq!(domain.patch(&path, &token, &json!({ "status": "confirmed" })).code, 404);
    let theirs = domain.token(&domain.user(1), &[scopes::CALENDAR]);
    assert_eq!(domain.get(&path, &theirs).ok()["organizer"]["email"], json!(second));
    let back = format!("calendar/v3/calendars/{second}/events/{id}/move?destination={user}");
    assert_eq!(domain.send("POST", &back, &token, &[], b"").ok()["organizer"]["email"], json!(user));
    assert_eq!(domain.get(&path, &token).ok()["summary"], "meeting");
    let refused = domain.send("POST", &format!("{path}/move?destination={second}"), &theirs, &[], b"");
    assert_eq!(refused.code, 404, "not a guest's to move there");
}

#[test]
fn changes_are_in_the_audit_log() {
    let (domain, user, token) = empty();
    let made = domain.post(EVENTS, &token, &hour(5, "first")).ok();
    let path = format!("{EVENTS}/{}", made["id"].as_str().unwrap());
    domain.patch(&path, &token, &json!({ "summary": "second", "start": hour(4, "")["start"] })).ok();
    assert_eq!(domain.delete(&path, &token).code, 204);
    domain.patch(&path, &token, &json!({ "status": "confirmed" })).ok();
    let names = domain.running.with_tenant(|tenant| {
        let own = tenant
            .activities()
            .filter(|activity| activity.application == "calendar" && *activity.actor == *user);
        own.map(|activity| activity.name).collect::<Vec<_>>()
    });
    let wanted =
        ["create_event", "change_event_title", "change_event_start_time", "delete_event", "restore_event"];
    assert_eq!(names, wanted);
}
