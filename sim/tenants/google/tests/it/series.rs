//! Series, their occurrences, and instances that differ.

use serde_json::{Value, json};

use crate::{
    calendars::{empty, items},
    events::{EVENTS, hour},
    support::Domain,
};

/// Makes a weekly series of five from Monday 9 March 2026, ten o'clock in Berlin; clocks change before the fourth.
fn weekly(domain: &Domain, token: &str) -> String {
    let at =
        |hour: u32| json!({ "dateTime": format!("2026-03-09T{hour}:00:00"), "timeZone": "Europe/Berlin" });
    let body = json!({ "summary": "sync", "start": at(10), "end": at(11), "recurrence": ["RRULE:FREQ=WEEKLY;COUNT=5"] });
    domain.post(EVENTS, token, &body).ok()["id"].as_str().unwrap().to_owned()
}

fn suffixes(page: &Value) -> Vec<String> {
    let suffix = |event: &Value| event["id"].as_str().unwrap().rsplit('_').next().unwrap().to_owned();
    items(page).iter().map(suffix).collect()
}

#[test]
fn occurrences_have_ids_of_their_time_and_keep_the_hour_when_clocks_change() {
    let (domain, _, token) = empty();
    let id = weekly(&domain, &token);
    let list = domain.get(&format!("{EVENTS}?singleEvents=true"), &token).ok();
    let wanted =
        ["20260309T090000Z", "20260316T090000Z", "20260323T090000Z", "20260330T080000Z", "20260406T080000Z"];
    assert_eq!(suffixes(&list), wanted);
    let one = &items(&list)[3];
    assert_eq!((&one["recurringEventId"], &one["recurrence"]), (&json!(id), &Value::Null));
    assert_eq!(one["originalStartTime"], one["start"]);
    let instances = format!("{EVENTS}/{id}/instances");
    assert_eq!(suffixes(&domain.get(&instances, &token).ok()), wanted);
    let window = format!("{instances}?timeMin=2026-03-16T09:30:00Z&timeMax=2026-03-30T08:00:00Z");
    assert_eq!(suffixes(&domain.get(&window, &token).ok()), wanted[1..3]);
    let exact = format!("{instances}?originalStart=2026-03-30T08:00:00Z");
    assert_eq!(suffixes(&domain.get(&exact, &token).ok()), wanted[3..4]);
    // The series stands for its occurrences in a window that holds one, and in no other.
    let in_window = |from: &str, to: &str| {
        items(&domain.get(&format!("{EVENTS}?timeMin={from}&timeMax={to}"), &token).ok()).len()
    };
    assert_eq!(in_window("2026-03-30T00:00:00Z", "2026-03-31T00:00:00Z"), 1);
    assert_eq!(in_window("2026-03-31T00:00:00Z", "2026-04-01T00:00:00Z"), 0);
    let got = domain.get(&format!("{EVENTS}/{id}_{}", wanted[4]), &token).ok();
    assert_eq!(got["summary"], "sync");
    for nothing in ["20260310T090000Z", "20260413T080000Z", "x"] {
        assert_eq!(domain.get(&format!("{EVENTS}/{id}_{nothing}"), &token).code, 404, "{nothing}");
    }
}

#[test]
fn an_instance_is_moved_or_cancelled_and_the_list_of_series_tells() {
    let (domain, _, token) = empty();
    let id = weekly(&domain, &token);
    let first = domain.get(EVENTS, &token).ok();
    let since = format!("{EVENTS}?syncToken={}", first["nextSyncToken"].as_str().unwrap());
    let moved = format!("{id}_20260316T090000Z");
    let body = json!({ "start": hour(17, "")["start"], "end": hour(17, "")["end"] });
    let answer = domain.patch(&format!("{EVENTS}/{moved}"), &token, &body).ok();
    assert_eq!(answer["originalStartTime"]["dateTime"].as_str().unwrap().len(), 25);
    let cancelled = format!("{id}_20260323T090000Z");
    assert_eq!(domain.delete(&format!("{EVENTS}/{cancelled}"), &token).code, 204);
    // Without `showDeleted`: an instance that does not take place is part of what a series is.
    for path in [EVENTS.to_owned(), since] {
        let page = domain.get(&path, &token).ok();
        let find = |id: &str| items(&page).into_iter().find(|event| event["id"] == id).unwrap();
        assert_eq!(find(&moved)["recurringEventId"], json!(id));
        let gone = find(&cancelled);
        let names: Vec<&str> = gone.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, ["etag", "id", "kind", "originalStartTime", "recurringEventId", "status"]);
    }
    let single = domain.get(&format!("{EVENTS}?singleEvents=true&orderBy=startTime"), &token).ok();
    assert_eq!(
        suffixes(&single),
        ["20260309T090000Z", "20260316T090000Z", "20260330T080000Z", "20260406T080000Z"]
    );
    assert_eq!(items(&single)[1]["start"]["dateTime"].as_str().unwrap()[..10], *"2026-03-17");
    let instances = format!("{EVENTS}/{id}/instances");
    assert_eq!(items(&domain.get(&instances, &token).ok()).len(), 4);
    assert_eq!(items(&domain.get(&format!("{instances}?showDeleted=true"), &token).ok()).len(), 5);
    let back = domain.patch(&format!("{EVENTS}/{cancelled}"), &token, &json!({ "status": "confirmed" })).ok();
    assert_eq!(back["status"], "confirmed");
    assert_eq!(items(&domain.get(&instances, &token).ok()).len(), 5);
}

#[test]
fn what_differs_goes_with_its_series_and_comes_back_with_it() {
    let (domain, user, token) = empty();
    let id = weekly(&domain, &token);
    let moved = format!("{EVENTS}/{id}_20260316T090000Z");
    domain.patch(&moved, &token, &json!({ "summary": "other" })).ok();
    let cancelled = format!("{EVENTS}/{id}_20260323T090000Z");
    assert_eq!(domain.delete(&cancelled, &token).code, 204);
    let series = format!("{EVENTS}/{id}");
    assert_eq!(domain.delete(&series, &token).code, 204);
    let left = domain.running.with_tenant(|tenant| tenant.events_in(&user));
    assert_eq!((left, items(&domain.get(&format!("{EVENTS}?singleEvents=true"), &token).ok()).len()), (0, 0));
    domain.patch(&series, &token, &json!({ "status": "confirmed" })).ok();
    assert_eq!(domain.get(&moved, &token).ok()["summary"], "other");
    assert_eq!(domain.get(&cancelled, &token).ok()["status"], "cancelled");
    // Another rhythm leaves no place for what differed.
    domain.patch(&series, &token, &json!({ "recurrence": ["RRULE:FREQ=WEEKLY;INTERVAL=2;COUNT=2"] })).ok();
    let all = domain.get(&format!("{EVENTS}?singleEvents=true"), &token).ok();
    assert_eq!(
        suffixes(&all),
        ["20260309T090000Z", "20260323T090000Z"][..1],
        "the 23rd was cancelled before"
    );
    assert_eq!(domain.get(&moved, &token).ok()["status"], "cancelled");
}

#[test]
fn all_day_series_know_days_and_exceptions_to_them() {
    let (domain, _, token) = empty();
    let body = json!({
        "start": { "date": "2026-03-27" }, "end": { "date": "2026-03-29" },
        "recurrence": ["RRULE:FREQ=DAILY;UNTIL=20260401", "EXDATE;VALUE=DATE:20260328"],
    });
    let id = domain.post(EVENTS, &token, &body).ok()["id"].as_str().unwrap().to_owned();
    let page = domain.get(&format!("{EVENTS}/{id}/instances"), &token).ok();
    assert_eq!(suffixes(&page), ["20260327", "20260329", "20260330", "20260331", "20260401"]);
    assert_eq!(items(&page)[1]["end"], json!({ "date": "2026-03-31" }));
    assert_eq!(items(&page)[1]["originalStartTime"], json!({ "date": "2026-03-29" }));
}

#[test]
fn a_series_without_an_end_is_shown_in_any_window() {
    let (domain, _, token) = empty();
    let mut body = hour(2, "forever");
    body["start"]["timeZone"] = "UTC".into();
    body["recurrence"] = json!(["RRULE:FREQ=DAILY"]);
    domain.post(EVENTS, &token, &body).ok();
    let far = "timeMin=2030-05-01T00:00:00Z&timeMax=2030-05-04T00:00:00Z";
    let page = domain.get(&format!("{EVENTS}?singleEvents=true&{far}"), &token).ok();
    assert_eq!(suffixes(&page), ["20300501T090000Z", "20300502T090000Z", "20300503T090000Z"]);
    assert_eq!(items(&domain.get(&format!("{EVENTS}?{far}"), &token).ok()).len(), 1);
    let open = domain.get(&format!("{EVENTS}?singleEvents=true&maxResults=2500"), &token).ok();
    assert_eq!(items(&open).len(), 730);
}
