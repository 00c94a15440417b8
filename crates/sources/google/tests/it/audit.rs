//! The audit log: every activity once, however late, and who did it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use connect::{SourceReader, Stop, testing::MemorySink};
use google_tenant::{Agent as KnownAgent, AuditSettings, scopes};
use model::{Attribution, Event, Severity, Verb};
use serde_json::json;
use source_google::{GoogleReader, Part};

use crate::domain::{CLAW, Counted, DAY, Domain, SECOND, Until};

const READ: [&str; 7] = ["drive", "token", "admin", "gmail", "calendar", "login", "user_accounts"];

/// Everything that happened in the applications that are read since a moment, by time and qualifier; not the reader's
/// own reading.
fn happened(domain: &Domain, since_days: i64) -> BTreeSet<(i64, String)> {
    domain.running.with_tenant(|tenant| {
        let from = tenant.now().plus_micros(-since_days * DAY);
        let reader = tenant.service_accounts().next().unwrap().client_id.clone();
        let own = tenant.activities().filter(|activity| {
            READ.contains(&activity.application)
                && activity.time >= from
                && activity.client_id.as_deref() != Some(reader.as_str())
        });
        own.map(|activity| (activity.time.as_micros() / 1000, activity.qualifier.to_string())).collect()
    })
}

fn told(events: &[Event]) -> BTreeMap<(i64, String), usize> {
    let mut told = BTreeMap::new();
    for event in events {
        *told.entry((event.at.as_micros() / 1000, event.transaction.clone())).or_default() += 1;
    }
    told
}

#[track_caller]
fn assert_told_once(domain: &Domain, sink: &MemorySink, since_days: i64) {
    let told = told(&sink.events);
    assert!(told.values().all(|count| *count == 1), "something was told twice");
    let told: BTreeSet<_> = told.into_keys().collect();
    let happened = happened(domain, since_days);
    let missing: Vec<_> = happened.difference(&told).collect();
    assert!(missing.is_empty(), "{} are missing: {:?}", missing.len(), &missing[..missing.len().min(5)]);
}

fn with(audit: AuditSettings) -> Domain {
    Domain::with(&[Part::Audit], |settings| settings.audit = audit)
}

fn named<'e>(events: &'e [Event], statement: &str) -> Vec<&'e Event> {
    events.iter().filter(|event| event.statement.as_deref() == Some(statement)).collect()
}

#[test]
fn every_activity_is_told_once_however_late_and_often_it_appears() {
    let domain = with(AuditSettings {
        jitter: Duration::from_hours(18),
        duplicate_one_in: Some(3),
        ..AuditSettings::immediate()
    });
    let user = domain.users()[1].clone();
    let ids: Vec<String> = domain.letters(&user).into_keys().collect();
    let mut sink = MemorySink::new();
    let mut reader = domain.reader();
    for (number, id) in ids.iter().take(30).enumerate() {
        domain.agent(&user).post(&format!("messages/{id}/trash"), &json!({}));
        domain.clock.advance_micros(1800 * SECOND);
        if number % 5 == 4 {
            reader.changes(sink.cursor().as_ref(), &mut sink, &Stop::default()).unwrap();
        }
    }
    for _ in 0..26 {
        domain.clock.advance_micros(3600 * SECOND);
        reader.changes(sink.cursor().as_ref(), &mut sink, &Stop::default()).unwrap();
    }
    assert_told_once(&domain, &sink, 3);
    assert!(named(&sink.events, "gmail trash").len() == 30);
}

#[test]
fn the_first_look_goes_back_some_days_and_later_ones_overlap() {
    let domain = with(AuditSettings::default());
    let mut sink = MemorySink::new();
    domain.capture(&mut sink);
    assert!(!sink.events.is_empty(), "people signed in before the capture began");
    let user = domain.users()[0].clone();
    let ids: Vec<String> = domain.letters(&user).into_keys().collect();
    domain.agent(&user).post(&format!("messages/{}/trash", ids[0]), &json!({}));
    // The capture was off for five days, and a process that is started anew goes on.
    domain.clock.advance_micros(5 * DAY);
    domain.capture(&mut sink);
    assert_told_once(&domain, &sink, 5);
    let count = sink.events.len();
    domain.capture(&mut sink);
    assert_eq!(sink.events.len(), count, "nothing is told again");
}

#[test]
fn who_did_it_is_told_with_the_program_and_the_agent() {
    let domain = with(AuditSettings::immediate());
    let user = domain.users()[1].clone();
    let ids: Vec<String> = domain.letters(&user).into_keys().collect();
    let agent = domain.agent(&user);
    agent.post(&format!("messages/{}/trash", ids[0]), &json!({}));
    let mut sink = MemorySink::new();
    domain.clock.advance_micros(SECOND);
    domain.capture(&mut sink);
    let trashed = named(&sink.events, "gmail trash");
    let [event] = trashed.as_slice() else { panic!("{trashed:?}") };
    let actor = event.actor.as_ref().unwrap();
    assert_eq!((actor.identity.as_str(), actor.client.as_deref()), (user.as_str(), Some(CLAW)));
    assert_eq!((actor.application.as_deref(), actor.impersonated), (Some("OpenClaw"), false));
    assert_eq!((event.attribution, event.severity), (Attribution::Recorded, Severity::Routine));
    assert_eq!(event.scope, format!("gmail/{user}"));
    assert_eq!(event.effects[0].verb, Verb::Trash);
    let granted = named(&sink.events, "token authorize");
    assert!(granted.iter().any(|event| event.severity == Severity::Notable
        && event.effects[0].verb == Verb::Grant
        && event.effects[0].target.contains("https://mail.google.com/")));
    let delegated = named(&sink.events, "admin AUTHORIZE_API_CLIENT_ACCESS");
    assert!(delegated.iter().all(|event| event.severity == Severity::Notable));

    domain.running.with_tenant(|tenant| {
        let (id, name) = ("agent-1".to_owned(), "Claw Helper".to_owned());
        let kind = "THIRD_PARTY".to_owned();
        tenant.register_agent(CLAW, KnownAgent { id, name, kind, owner: user.clone() });
    });
    agent.post(&format!("messages/{}/trash", ids[1]), &json!({}));
    domain.clock.advance_micros(SECOND);
    domain.capture(&mut sink);
    let trashed = named(&sink.events, "gmail trash");
    assert_eq!(trashed.len(), 2);
    assert_eq!(trashed[1].actor.as_ref().unwrap().agent.as_deref(), Some("Claw Helper"));
}

#[test]
fn deletions_in_numbers_are_destructive_and_single_ones_are_not() {
    let domain = with(AuditSettings::immediate());
    let users = domain.users();
    let ids: Vec<String> = domain.letters(&users[0]).into_keys().collect();
    let agent = domain.agent(&users[0]);
    for id in &ids[..25] {
        agent.post(&format!("messages/{id}/trash"), &json!({}));
    }
    let other = domain.agent(&users[1]);
    let id = domain.letters(&users[1]).into_keys().next().unwrap();
    other.delete(&format!("messages/{id}"));
    let calendar = domain.program(&users[2], &[scopes::CALENDAR]);
    let made = calendar.call("POST", "calendar/v3/calendars", &json!({ "summary": "Plans" }));
    let path = format!("calendar/v3/calendars/{}", connect_http::escape(made["id"].as_str().unwrap()));
    calendar.call("DELETE", &path, &serde_json::Value::Null);
    domain.clock.advance_micros(SECOND);
    let mut sink = MemorySink::new();
    domain.capture(&mut sink);
    let trashed = named(&sink.events, "gmail trash");
    assert_eq!(trashed.len(), 25);
    assert!(trashed.iter().all(|event| event.severity == Severity::Destructive));
    let deleted = named(&sink.events, "gmail delete");
    assert_eq!((deleted.len(), deleted[0].severity), (1, Severity::Notable));
    assert_eq!(named(&sink.events, "calendar delete_calendar")[0].severity, Severity::Destructive);
    let reads =
        sink.events.iter().filter(|event| event.effects.iter().all(|effect| effect.verb == Verb::Read));
    for event in reads {
        assert!(event.severity <= Severity::Notable, "{event:?}");
    }
}

#[test]
fn the_readers_own_reading_is_no_news() {
    let domain =
        Domain::with(&[Part::Gmail, Part::Audit], |settings| settings.audit = AuditSettings::immediate());
    let mut sink = MemorySink::new();
    domain.capture(&mut sink);
    let count = sink.events.len();
    for _ in 0..3 {
        domain.clock.advance_micros(90 * SECOND);
        domain.capture(&mut sink);
    }
    assert_eq!(sink.events.len(), count, "looking makes nothing to look at");
}

#[test]
fn a_quiet_log_costs_one_request() {
    let domain = with(AuditSettings::immediate());
    let counted = Counted::new();
    let mut reader = domain.reader_through(counted.clone());
    let mut sink = MemorySink::new();
    reader.changes(None, &mut sink, &Stop::default()).unwrap();
    let commits = sink.commits.len();
    for pause in [70, 70, 70] {
        counted.take();
        domain.clock.advance_micros(pause * SECOND);
        reader.changes(sink.cursor().as_ref(), &mut sink, &Stop::default()).unwrap();
        let requests = counted.take();
        // One more lists the users.
        assert!(requests <= READ.len() as u64 + 1, "{requests}");
    }
    assert_eq!(sink.commits.len(), commits, "a quiet log is no commit");
    // Who goes on asks each log every 15 seconds, and for the users every minute.
    let until = Until::after(&domain, Duration::from_mins(2));
    let reader = GoogleReader::new(domain.key(), counted.clone(), domain.settings(), Arc::clone(&until) as _);
    reader.every(Duration::from_secs(2)).changes(None, &mut sink, &until.stop).unwrap();
    let requests = counted.take();
    assert!(requests <= 9 * READ.len() as u64 + 3, "{requests}");
    assert_eq!(sink.commits.len(), commits);
}

#[test]
fn a_capture_that_is_killed_misses_nothing() {
    let domain = with(AuditSettings::immediate());
    let user = domain.users()[1].clone();
    let agent = domain.agent(&user);
    for id in domain.letters(&user).into_keys().take(40) {
        agent.post(&format!("messages/{id}/trash"), &json!({}));
    }
    domain.clock.advance_micros(SECOND);
    let mut sink = MemorySink::new().failing_after(3);
    domain.try_capture(&mut sink).unwrap_err();
    sink.kill();
    domain.capture(&mut sink);
    let told: BTreeSet<_> = told(&sink.events).into_keys().collect();
    assert!(happened(&domain, 7).is_subset(&told));
}
