//! Calendars: what is captured, what a change costs, what a lost token does not say.

use std::collections::BTreeMap;

use connect::{SourceReader, Stop, testing::MemorySink};
use google_tenant::{Effect, Fault, When, scopes};
use model::UnreadableReason;
use serde_json::{Value, json};
use source_google::{Part, calendar::EventAttributes};

use crate::domain::{Agent, Counted, DAY, Domain, SECOND};

const LIST: &str = "calendar.events.list";

fn program<'d>(domain: &'d Domain, user: &str) -> Agent<'d> {
    domain.program(user, &[scopes::CALENDAR])
}

fn own_calendars(agent: &Agent<'_>, user: &str) -> Vec<String> {
    let list = agent.all("calendar/v3/users/me/calendarList?showHidden=true", "items");
    let own = list.iter().filter(|entry| entry["primary"] == true || entry["dataOwner"] == *user);
    own.map(|entry| entry["id"].as_str().unwrap().to_owned()).collect()
}

/// Returns what is really in a user's own calendars: events as the API has them, by the keys of their items.
fn events(domain: &Domain, user: &str) -> BTreeMap<String, Value> {
    let agent = program(domain, user);
    let mut all = BTreeMap::new();
    for calendar in own_calendars(&agent, user) {
        let path =
            format!("calendar/v3/calendars/{}/events?showDeleted=true&maxResults=2500", escape(&calendar));
        let listed = agent.all(&path, "items");
        let there =
            |id: &Value| listed.iter().any(|event| event["id"] == *id && event["status"] != "cancelled");
        for event in &listed {
            // A cancelled occurrence is an event for as long as its series is one.
            if event["status"] != "cancelled" || there(&event["recurringEventId"]) {
                all.insert(format!("event/{calendar}/{}", event["id"].as_str().unwrap()), event.clone());
            }
        }
    }
    all
}

fn held_events(sink: &MemorySink, user: &str) -> BTreeMap<String, Value> {
    let held = sink.stream(&format!("calendar/{user}"));
    let events = held.iter().filter(|(key, item)| key.starts_with("event/") && item.content.is_ok());
    events
        .map(|(key, item)| {
            let event: Value = serde_json::from_slice(item.content.as_ref().unwrap()).unwrap();
            let attributes = EventAttributes::of_text(&item.attributes).unwrap();
            assert_eq!(attributes.status, event["status"].as_str().unwrap());
            ((*key).to_owned(), event)
        })
        .collect()
}

#[track_caller]
fn assert_held(domain: &Domain, sink: &MemorySink) {
    for user in domain.users() {
        let (held, real) = (held_events(sink, &user), events(domain, &user));
        let ids = |events: &BTreeMap<String, Value>| events.keys().cloned().collect::<Vec<_>>();
        assert_eq!(ids(&held), ids(&real), "{user}");
        for (key, event) in &real {
            assert_eq!(&held[key], event, "{key} of {user}");
        }
    }
}

fn escape(text: &str) -> String {
    connect_http::escape(text)
}

fn calls(domain: &Domain, method: &str) -> u64 {
    domain.running.with_tenant(|tenant| tenant.traffic().calls(method))
}

fn later(domain: &Domain) {
    domain.clock.advance_micros(90 * SECOND);
}

fn captured() -> (Domain, MemorySink) {
    let domain = Domain::start(&[Part::Calendar]);
    let mut sink = MemorySink::new();
    domain.capture(&mut sink);
    (domain, sink)
}

/// Returns the events of a user's primary calendar that fulfil something.
fn chosen(domain: &Domain, user: &str, wanted: impl Fn(&Value) -> bool) -> Vec<String> {
    let prefix = format!("event/{user}/");
    let all =
        events(domain, user).into_iter().filter(|(key, event)| key.starts_with(&prefix) && wanted(event));
    all.map(|(key, _)| key[prefix.len()..].to_owned()).collect()
}

/// Events of the user's own that are no series and nothing of one.
fn own_single(domain: &Domain, user: &str) -> Vec<String> {
    chosen(domain, user, |event| {
        let alone = event["recurrence"].is_null() && event["recurringEventId"].is_null();
        alone && event["organizer"]["self"] == true && event["eventType"] == "default"
    })
}

/// Series of which occurrences differ or are cancelled.
fn series_with_exceptions(domain: &Domain, user: &str) -> Vec<String> {
    let all = events(domain, user);
    let differs = |id: &str| all.values().any(|event| event["recurringEventId"] == *id);
    chosen(domain, user, |event| differs(event["id"].as_str().unwrap()))
}

#[test]
fn every_event_is_held_as_the_api_has_it_with_calendars_sharing_and_settings() {
    let (domain, mut sink) = captured();
    assert_held(&domain, &sink);
    let users = domain.users();
    let count: usize = users.iter().map(|user| held_events(&sink, user).len()).sum();
    assert!(count > 100, "{count}");
    for user in &users {
        let agent = program(&domain, user);
        let held = sink.stream(&format!("calendar/{user}"));
        assert!(held.contains_key("settings"), "{user}");
        let listed = agent.all("calendar/v3/users/me/calendarList?showHidden=true", "items");
        for entry in &listed {
            let id = entry["id"].as_str().unwrap();
            assert!(held.contains_key(format!("calendar/{id}").as_str()), "{id} of {user}");
        }
        for calendar in own_calendars(&agent, user) {
            let rules = agent
                .all(&format!("calendar/v3/calendars/{}/acl?maxResults=250", escape(&calendar)), "items");
            assert!(!rules.is_empty());
            for rule in rules {
                let key = format!("acl/{calendar}/{}", rule["id"].as_str().unwrap());
                assert!(held.contains_key(key.as_str()), "{key}");
            }
        }
    }
    let (commits, bodies) = (sink.commits.len(), sink.bodies);
    later(&domain);
    domain.capture(&mut sink);
    assert!(sink.bodies - bodies <= domain.open_users(), "positions only");
    assert!(sink.commits.len() <= commits + 1);
}

#[test]
fn the_calendars_of_others_are_entries_and_their_events_are_read_once() {
    let (domain, sink) = captured();
    let mut keys = Vec::new();
    for user in domain.users() {
        let held = held_events(&sink, &user);
        let own = own_calendars(&program(&domain, &user), &user);
        for key in held.keys() {
            let calendar = key.strip_prefix("event/").unwrap().split('/').next().unwrap();
            assert!(own.iter().any(|id| id == calendar), "{key} of {user}");
        }
        keys.extend(held.into_keys());
    }
    let count = keys.len();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), count, "no event is in two streams");
}

#[test]
fn what_happens_to_events_is_followed_without_listing_them_again() {
    let (domain, mut sink) = captured();
    let user = domain.users()[1].clone();
    let agent = program(&domain, &user);
    let path = |id: &str| format!("calendar/v3/calendars/primary/events/{id}?sendUpdates=none");
    let single = own_single(&domain, &user);
    agent.call("PATCH", &path(&single[0]), &json!({ "summary": "\u{1f9ea} moved", "location": "Ada" }));
    agent.call("DELETE", &path(&single[1]), &Value::Null);
    let new = json!({
        "summary": "New", "start": { "dateTime": "2026-03-09T09:00:00+01:00", "timeZone": "Europe/Berlin" },
        "end": { "dateTime": "2026-03-09T10:00:00+01:00", "timeZone": "Europe/Berlin" },
        "recurrence": ["RRULE:FREQ=WEEKLY;COUNT=8"],
    });
    let made = agent.call("POST", "calendar/v3/calendars/primary/events?sendUpdates=none", &new);
    let series = made["id"].as_str().unwrap();
    let instances = agent
        .all(&format!("calendar/v3/calendars/primary/events/{series}/instances?maxResults=250"), "items");
    agent.call("DELETE", &path(instances[2]["id"].as_str().unwrap()), &Value::Null);
    agent.call("PATCH", &path(instances[3]["id"].as_str().unwrap()), &json!({ "summary": "Another" }));
    later(&domain);
    let bodies = sink.bodies;
    let counted = Counted::new();
    let cursor = sink.cursor();
    domain.reader_through(counted.clone()).changes(cursor.as_ref(), &mut sink, &Stop::default()).unwrap();
    let sent = counted.take_texts().join("\n");
    let lists: Vec<&str> = sent.lines().filter(|line| line.contains("/events?")).collect();
    assert!(lists.len() as u64 >= 2 * domain.open_users(), "{}", lists.len());
    assert!(lists.iter().all(|line| line.contains("syncToken=")), "{lists:?}");
    assert!(sink.bodies - bodies < 30, "{}", sink.bodies - bodies);
    assert_held(&domain, &sink);
    let held = held_events(&sink, &user);
    assert!(!held.contains_key(&format!("event/{user}/{}", single[1])));
    let cancelled = &held[&format!("event/{user}/{}", instances[2]["id"].as_str().unwrap())];
    assert_eq!(cancelled["status"], "cancelled", "a cancelled occurrence is an item of its own");
}

#[test]
fn with_a_series_goes_what_differs_in_it_and_nothing_else() {
    let (domain, mut sink) = captured();
    let (user, series) = domain
        .users()
        .into_iter()
        .find_map(|user| Some((user.clone(), series_with_exceptions(&domain, &user).into_iter().next()?)))
        .unwrap();
    let prefix = format!("event/{user}/{series}");
    let before = held_events(&sink, &user);
    let of_series = before.keys().filter(|key| key.starts_with(&prefix)).count();
    assert!(of_series > 1, "{of_series}");
    // Somebody else's series may begin with the same letters: it has a life of its own.
    let agent = program(&domain, &user);
    agent.call(
        "DELETE",
        &format!("calendar/v3/calendars/primary/events/{series}?sendUpdates=none"),
        &Value::Null,
    );
    later(&domain);
    domain.capture(&mut sink);
    assert_held(&domain, &sink);
    let after = held_events(&sink, &user);
    assert_eq!(after.len(), before.len() - of_series);
}

#[test]
fn a_lost_token_stores_nothing_again_and_takes_nothing_for_deleted() {
    let (domain, mut sink) = captured();
    let user = domain.users()[2].clone();
    let single = own_single(&domain, &user);
    let agent = program(&domain, &user);
    let path = |id: &str| format!("calendar/v3/calendars/primary/events/{id}?sendUpdates=none");
    agent.call("DELETE", &path(&single[0]), &Value::Null);
    agent.call("PATCH", &path(&single[1]), &json!({ "summary": "changed" }));
    domain.running.with_tenant(|tenant| tenant.expire_sync_tokens(&user));
    // The tombstone is gone as well by the time that anybody looks.
    domain.clock.advance_micros(40 * DAY);
    let bodies = sink.bodies;
    let held = held_events(&sink, &user).len();
    domain.capture(&mut sink);
    assert_held(&domain, &sink);
    assert_eq!(held_events(&sink, &user).len(), held - 1);
    assert!(calls(&domain, "calendar.events.get") > 0, "the one that is gone was asked for by name");
    assert!(sink.bodies - bodies < 20, "{}", sink.bodies - bodies);
}

#[test]
fn an_incomplete_list_is_not_believed() {
    let (domain, mut sink) = captured();
    let user = domain.users()[0].clone();
    let held = sink.stream(&format!("calendar/{user}")).len();
    domain.running.with_tenant(|tenant| {
        tenant.expire_sync_tokens(&user);
        // Half of the users' events cannot be found for a while.
        let fault = Fault::new(LIST, When::Always, Effect::HistoryExpired);
        tenant.fault(Fault { user: Some(user.clone()), ..fault });
    });
    later(&domain);
    domain.capture(&mut sink);
    assert_eq!(sink.stream(&format!("calendar/{user}")).len(), held, "404 for a list is no deletion");
    assert_eq!(sink.stream("blinded").len(), 1 + suspended(&domain));
    domain.running.with_tenant(google_tenant::Tenant::lift_faults);
    later(&domain);
    domain.capture(&mut sink);
    assert_held(&domain, &sink);
    assert_eq!(sink.stream("blinded").len(), suspended(&domain));
}

fn suspended(domain: &Domain) -> usize {
    domain.running.with_tenant(|tenant| {
        tenant.users().iter().filter(|user| user.suspended && user.deleted.is_none()).count()
    })
}

#[test]
fn calendars_come_and_go_and_one_that_is_only_off_the_list_stays() {
    let (domain, mut sink) = captured();
    let user = domain.users()[1].clone();
    let agent = program(&domain, &user);
    let side = own_calendars(&agent, &user).into_iter().find(|id| *id != user).unwrap();
    let made = agent.call("POST", "calendar/v3/calendars", &json!({ "summary": "T\u{f6}rn" }));
    let new = made["id"].as_str().unwrap().to_owned();
    let day =
        json!({ "summary": "Sail", "start": { "date": "2026-07-01" }, "end": { "date": "2026-07-08" } });
    agent.call("POST", &format!("calendar/v3/calendars/{}/events", escape(&new)), &day);
    later(&domain);
    domain.capture(&mut sink);
    assert_held(&domain, &sink);
    assert!(held_events(&sink, &user).keys().any(|key| key.starts_with(&format!("event/{new}/"))));

    // A calendar that its owner takes off the list is still there.
    agent.call("DELETE", &format!("calendar/v3/users/me/calendarList/{}", escape(&side)), &Value::Null);
    let of_side = |sink: &MemorySink| {
        held_events(sink, &user).keys().filter(|key| key.starts_with(&format!("event/{side}/"))).count()
    };
    let before = of_side(&sink);
    assert!(before > 0);
    later(&domain);
    domain.capture(&mut sink);
    assert_eq!(of_side(&sink), before);
    let record = |sink: &MemorySink| -> Value {
        let held = sink.stream(&format!("calendar/{user}"));
        serde_json::from_slice(held[format!("calendar/{side}").as_str()].content.as_ref().unwrap()).unwrap()
    };
    assert!(record(&sink)["entry"].is_null() && record(&sink)["calendar"]["id"] == *side);

    agent.call("DELETE", &format!("calendar/v3/calendars/{}", escape(&side)), &Value::Null);
    later(&domain);
    domain.capture(&mut sink);
    let stream = format!("calendar/{user}");
    assert!(
        !sink.stream(&stream).keys().any(|key| key.contains(&side)),
        "a deleted calendar takes all with it"
    );
    assert_held(&domain, &sink);
}

#[test]
fn a_change_of_sharing_costs_no_events() {
    let (domain, mut sink) = captured();
    let user = domain.users()[0].clone();
    let other = domain.users()[1].clone();
    let rule = json!({ "role": "writer", "scope": { "type": "user", "value": other } });
    program(&domain, &user).call("POST", "calendar/v3/calendars/primary/acl?sendNotifications=false", &rule);
    // That made the token of its events worthless.
    domain.clock.advance_micros(3700 * SECOND);
    let bodies = sink.bodies;
    domain.capture(&mut sink);
    assert_held(&domain, &sink);
    let held = sink.stream(&format!("calendar/{user}"));
    assert!(held.contains_key(format!("acl/{user}/user:{other}").as_str()), "{:?}", held.keys());
    assert!(sink.bodies - bodies < 15, "{}", sink.bodies - bodies);
}

#[test]
fn a_missing_scope_for_sharing_is_told_once_and_costs_no_events() {
    let domain = Domain::start(&[Part::Calendar]);
    let id = domain.running.with_tenant(|tenant| tenant.service_accounts().next().unwrap().client_id.clone());
    let without = [scopes::USER_READONLY, scopes::CALENDAR_READONLY];
    domain.running.with_tenant(|tenant| tenant.delegate(&id, without));
    let mut sink = MemorySink::new();
    domain.capture(&mut sink);
    assert_held(&domain, &sink);
    let user = domain.users()[0].clone();
    let stream = format!("calendar/{user}");
    let key = format!("acl/{user}");
    let denied = |sink: &MemorySink| {
        matches!(
            sink.stream(&stream).get(key.as_str()).map(|item| &item.content),
            Some(Err(UnreadableReason::Denied { .. }))
        )
    };
    assert!(denied(&sink));
    let unreadable =
        |sink: &MemorySink| sink.commits.iter().map(|commit| commit.ledger.unreadable).sum::<u64>();
    let before = unreadable(&sink) - suspended(&domain) as u64;
    domain.clock.advance_micros(4000 * SECOND);
    domain.capture(&mut sink);
    assert!(denied(&sink));
    // A new process says once more who is suspended, and nothing else.
    assert_eq!(unreadable(&sink) - 2 * suspended(&domain) as u64, before);
    domain.running.with_tenant(|tenant| {
        tenant.delegate(&id, [scopes::CALENDAR_ACLS_READONLY].into_iter().chain(without));
    });
    domain.clock.advance_micros(4000 * SECOND);
    domain.capture(&mut sink);
    assert!(!denied(&sink) && sink.stream(&stream).contains_key(format!("acl/{user}/user:{user}").as_str()));
}

#[test]
fn a_quiet_user_costs_at_most_three_requests() {
    let domain = Domain::start(&[Part::Calendar]);
    let counted = Counted::new();
    let mut reader = domain.reader_through(counted.clone());
    let mut sink = MemorySink::new();
    reader.changes(None, &mut sink, &Stop::default()).unwrap();
    let users = domain.open_users();
    for (pause, at_most) in [(90, users + 1), (3700, 2 * users + 1)] {
        counted.take();
        domain.clock.advance_micros(pause * SECOND);
        reader.changes(sink.cursor().as_ref(), &mut sink, &Stop::default()).unwrap();
        let requests = counted.take();
        assert!(requests <= at_most, "{requests} after {pause} s");
    }
}

#[test]
fn an_unsteady_service_changes_nothing_about_what_is_held() {
    let domain = Domain::with(&[Part::Calendar], |settings| settings.calendar.empty_page_one_in = Some(2));
    domain.unsteady("calendar.*", 0.05);
    let mut sink = MemorySink::new();
    domain.capture(&mut sink);
    assert!(domain.running.with_tenant(|tenant| tenant.faults_served()) > 5);
    domain.running.with_tenant(google_tenant::Tenant::lift_faults);
    later(&domain);
    domain.capture(&mut sink);
    assert_held(&domain, &sink);
}

#[test]
fn a_killed_capture_goes_on_and_misses_nothing() {
    let domain = Domain::start(&[Part::Calendar]);
    let mut sink = MemorySink::new().failing_after(120);
    domain.try_capture(&mut sink).unwrap_err();
    sink.kill();
    let user = domain.users()[0].clone();
    let single = own_single(&domain, &user);
    let agent = program(&domain, &user);
    agent.call("DELETE", &format!("calendar/v3/calendars/primary/events/{}", single[0]), &Value::Null);
    domain.clock.advance_micros(DAY);
    domain.capture(&mut sink);
    assert_held(&domain, &sink);
}

#[test]
fn a_cleared_calendar_is_gone_event_by_event() {
    let (domain, mut sink) = captured();
    let user = domain.users()[1].clone();
    let before =
        held_events(&sink, &user).keys().filter(|key| key.starts_with(&format!("event/{user}/"))).count();
    program(&domain, &user).call("POST", "calendar/v3/calendars/primary/clear", &Value::Null);
    later(&domain);
    domain.capture(&mut sink);
    assert_held(&domain, &sink);
    assert!(
        before > 20
            && !held_events(&sink, &user).keys().any(|key| key.starts_with(&format!("event/{user}/")))
    );
    let removed: u64 = sink.commits.iter().map(|commit| commit.removed).sum();
    assert!(removed >= before as u64, "{removed}");
}

#[test]
fn a_position_that_is_not_understood_takes_a_comparison_and_no_deletion_is_missed() {
    let domain = Domain::start(&[Part::Calendar]);
    let user = domain.users()[1].clone();
    let agent = program(&domain, &user);
    let other = agent.call("POST", "calendar/v3/calendars", &json!({ "summary": "Short" }));
    let other = format!("calendar/v3/calendars/{}", other["id"].as_str().unwrap());
    let day =
        json!({ "summary": "in it", "start": { "date": "2026-03-09" }, "end": { "date": "2026-03-10" } });
    agent.call("POST", &format!("{other}/events?sendUpdates=none"), &day);
    let mut sink = MemorySink::new();
    domain.capture(&mut sink);
    assert_held(&domain, &sink);
    let single = own_single(&domain, &user);
    let path = format!("calendar/v3/calendars/primary/events/{}?sendUpdates=none", single[0]);
    agent.call("DELETE", &path, &Value::Null);
    agent.call("DELETE", &other, &Value::Null);
    for ((stream, _), item) in &mut sink.held {
        if stream.as_str() == "position" {
            item.attributes = "no position".to_owned();
        }
    }
    later(&domain);
    domain.capture(&mut sink);
    assert_held(&domain, &sink);
}
