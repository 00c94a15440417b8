use model::UnreadableReason;
use serde_json::{Value, json};
use source_google::{Part, calendar::calendar_stream};

use super::{
    Stage,
    server::{Emulate, Help, USER},
};

const HELP: [Help; 4] = [Help::Tokens, Help::Users, Help::Calendars, Help::Batches];

fn stage() -> Stage {
    let events: Vec<Value> = (0..20)
        .map(|number| {
            json!({
                "id": format!("e{number:02}"), "calendar_id": USER, "summary": format!("number {number}"),
                "start_date_time": format!("2026-03-02T{:02}:00:00Z", number),
                "end_date_time": format!("2026-03-02T{:02}:30:00Z", number),
                "attendees": [{ "email": "b@acme.test", "response_status": "accepted" }],
            })
        })
        .collect();
    let content = json!({
        "calendars": [{ "id": USER, "summary": "Anna", "primary": true, "time_zone": "Europe/Berlin" }],
        "calendar_events": events,
    });
    Stage::of(Emulate::with(&content), Part::Calendar)
}

fn events(stage: &Stage) -> Vec<Value> {
    let page = stage.emulate.get_at(&format!("calendar/v3/calendars/{USER}/events?maxResults=250"));
    page["items"].as_array().unwrap().clone()
}

#[test]
fn a_calendar_that_is_listed_and_not_found_is_told_and_no_empty_calendar() {
    let mut stage = stage();
    stage.read(&[Help::Tokens, Help::Users, Help::Batches]).unwrap();
    let told = stage.blinded("calendar/1");
    let UnreadableReason::Failed { detail } = &told else { panic!("{told:?}") };
    assert!(detail.contains("is on the list, and is not found"), "{detail}");
    let held = stage.sink.stream(&format!("calendar/{USER}"));
    assert!(!held.keys().any(|key| key.starts_with("event/")), "{:?}", held.keys());
}

#[test]
fn every_event_is_held_and_what_it_has_not_is_told() {
    let mut stage = stage();
    stage.capture_with(&HELP);
    let held = stage.sink.stream(&format!("calendar/{USER}"));
    let real = events(&stage);
    assert_eq!(real.len(), 20);
    for event in &real {
        let id = event["id"].as_str().unwrap();
        let content = held[format!("event/{USER}/{id}").as_str()].content.as_ref().unwrap();
        let content: Value = serde_json::from_slice(content).unwrap();
        for member in ["summary", "start", "end", "attendees", "status"] {
            assert_eq!(content[member], event[member], "{member} of {id}");
        }
    }
    // It has neither settings nor rights.
    let unread: Vec<&str> =
        held.iter().filter(|(_, item)| item.content.is_err()).map(|(key, _)| *key).collect();
    assert!(unread.iter().any(|key| key.starts_with("acl/")), "{unread:?}");
    assert!(unread.contains(&"settings"), "{unread:?}");
}

#[test]
fn what_was_deleted_is_found_by_listing_and_what_it_makes_of_a_restore_is_told() {
    let mut stage = stage();
    let before = stage.capture_with(&HELP);
    for id in ["e03", "e04"] {
        stage.emulate.delete(&format!("calendar/v3/calendars/{USER}/events/{id}"));
    }
    let now = stage.capture_with(&HELP);
    let held = stage.sink.stream(&format!("calendar/{USER}"));
    assert!(
        !held.contains_key(format!("event/{USER}/e03").as_str()),
        "without a token all is listed and compared"
    );
    let (plan, folder) = stage.plan_with(calendar_stream(USER).unwrap(), before, now, |planner, request| {
        planner.calendar(&request)
    });
    assert_eq!(plan.counts.inserted + plan.counts.reverted, 2, "{plan:#?}");
    // It gives events other ids than those asked for, and shows none by its id: nothing of that may pass for done.
    let (applied, verified) = stage.apply(&plan, &folder);
    let conflicts = applied.map_or(2, |report| report.counts.conflicts);
    assert!(conflicts > 0 || !verified.is_good(), "{verified:#?}");
}
