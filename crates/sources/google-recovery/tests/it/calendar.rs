//! Calendars: an agent's work is undone, and everybody else's stays.

mod left_alone;

use std::collections::BTreeMap;

use connect::{
    Silent,
    plan::{ApplyMode, Plan, PlanFolder, SourceWriter as _, WriteError},
};
use connect_http::escape;
use google_api::ApiSettings;
use google_recovery::{Destination, GoogleWriter, Request, Selection};
use google_tenant::{Effect, Fault, Tenant, When, scopes};
use ports::Clock as _;
use serde_json::{Value, json};
use source_google::{Part, calendar::calendar_stream};

use crate::{domain::DAY, stage::Stage};

/// Events by their ids, without what every change of them changes.
type Events = BTreeMap<String, Value>;

fn stage() -> Stage {
    Stage::new(&[Part::Calendar])
}

fn call(stage: &Stage, user: &str, method: &str, path: &str, body: &Value) -> Value {
    stage.domain.program(user, &[scopes::CALENDAR]).call(method, &format!("calendar/v3/{path}"), body)
}

fn act(stage: &Stage, method: &str, path: &str, body: &Value) -> Value {
    call(stage, &stage.user, method, path, body)
}

fn event_path(calendar: &str, id: &str) -> String {
    format!("calendars/{}/events/{}?sendUpdates=none", escape(calendar), escape(id))
}

fn events(stage: &Stage, user: &str, calendar: &str) -> Events {
    let path = format!("calendar/v3/calendars/{}/events?maxResults=2500", escape(calendar));
    let all = stage.domain.program(user, &[scopes::CALENDAR]).all(&path, "items");
    let bare = |mut event: Value| {
        for noise in ["etag", "updated", "sequence", "htmlLink"] {
            event.as_object_mut().unwrap().remove(noise);
        }
        event.as_object_mut().unwrap().retain(|_, value| *value != json!([]));
        // Times mean the same in any zone.
        for name in ["start", "end", "originalStartTime"] {
            if let Some(text) = event[name]["dateTime"].as_str() {
                let moment: jiff::Timestamp = text.parse().unwrap();
                event[name]["dateTime"] = moment.to_string().into();
            }
        }
        (event["id"].as_str().unwrap().to_owned(), event)
    };
    all.into_iter().map(bare).collect()
}

fn own(stage: &Stage) -> Events {
    events(stage, &stage.user, &stage.user)
}

/// The user's own events that are no part of a series.
fn single(stage: &Stage) -> Vec<String> {
    let plain = |event: &Value| {
        event["recurrence"].is_null()
            && event["recurringEventId"].is_null()
            && event["organizer"]["email"] == stage.user.as_str()
            && event["eventType"] == "default"
    };
    own(stage).into_iter().filter(|(_, event)| plain(event)).map(|(id, _)| id).collect()
}

/// The series that the user organizes and in which something differs.
fn series(stage: &Stage) -> Vec<String> {
    let all = own(stage);
    let differs = |id: &String| all.values().any(|event| event["recurringEventId"] == id.as_str());
    let organized =
        |event: &Value| event["recurrence"].is_array() && event["organizer"]["email"] == stage.user.as_str();
    all.iter().filter(|(id, event)| organized(event) && differs(id)).map(|(id, _)| id.clone()).collect()
}

/// The user's calendar that is not the primary one.
fn second(stage: &Stage) -> String {
    let list = act(stage, "GET", "users/me/calendarList", &Value::Null);
    let own = |entry: &&Value| entry["dataOwner"] == stage.user.as_str();
    list["items"].as_array().unwrap().iter().find(own).unwrap()["id"].as_str().unwrap().to_owned()
}

fn request(stage: &Stage, before: u64, after: u64, now: u64) -> Request {
    stage.request(calendar_stream(&stage.user).unwrap(), before, after, now)
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
    stage.plan_with(settings, |planner| planner.calendar(&request))
}

#[track_caller]
fn assert_same(found: &Events, wanted: &Events) {
    assert_eq!(found.keys().collect::<Vec<_>>(), wanted.keys().collect::<Vec<_>>());
    for (id, event) in wanted {
        assert_eq!(&found[id], event, "{id}");
    }
}

#[test]
fn deleted_events_come_back_in_their_place_with_all_they_had_and_nobody_gets_a_mail() {
    let mut stage = stage();
    let before = own(&stage);
    assert!(before.len() > 20 && !series(&stage).is_empty(), "{}", before.len());
    act(&stage, "POST", &format!("calendars/{}/clear", stage.user), &json!({}));
    assert!(own(&stage).values().all(|event| event["status"] == "cancelled"));
    let after = stage.capture();
    stage.domain.running.with_tenant(Tenant::clear_calendar_mails);
    let (plan, folder) = plan(&mut stage, 1, after, after);
    assert_eq!(plan.counts.inserted as usize, before.len(), "{:?}", plan.conflicts);
    let report = stage.apply(&plan, &folder);
    assert_eq!(report.counts.conflicts, 0, "{report:#?}");
    assert_same(&own(&stage), &before);
    stage.assert_verified(&plan, &folder);
    let again = stage.apply(&plan, &folder);
    assert_eq!((again.counts.inserted, again.counts.conflicts), (0, 0), "once more changes nothing");
    stage.domain.running.with_tenant(|tenant| assert!(tenant.calendar_mails().is_empty()));
}

#[test]
fn events_that_google_has_forgotten_are_made_anew_once() {
    let mut stage = stage();
    let before = own(&stage);
    act(&stage, "POST", &format!("calendars/{}/clear", stage.user), &json!({}));
    let after = stage.capture();
    stage.domain.clock.advance_micros(40 * DAY);
    let (plan, folder) = plan(&mut stage, 1, after, after);
    stage.domain.running.with_tenant(|tenant| {
        tenant.fault(Fault::new("calendar.events.insert", When::Nth(3), Effect::Lost));
        tenant.fault(Fault::new("calendar.events.import", When::Nth(3), Effect::Lost));
        tenant.fault(Fault::new("calendar.events.get", When::Nth(30), Effect::Backend(500)));
        tenant.fault(Fault::new("calendar.events.patch", When::Rate(0.1), Effect::Lost));
        tenant.fault(Fault::new("calendar.events.*", When::Rate(0.05), Effect::UserRate));
    });
    for _ in 0..3 {
        stage.try_apply(&plan, &folder, ApplyMode::Lasting).ok();
    }
    stage.domain.running.with_tenant(Tenant::lift_faults);
    let journal = folder.path().join("applied.jsonl");
    let text = std::fs::read_to_string(&journal).unwrap();
    ports::files::replace(&journal, &text.as_bytes()[..text.len() - 40]).unwrap();
    let report = stage.apply(&plan, &folder);
    assert_eq!(report.counts.conflicts, 0, "{report:#?}");
    let titles = |events: &Events| {
        let mut titles: Vec<String> = events
            .values()
            .map(|event| format!("{} {} {}", event["summary"], event["status"], event["start"]["dateTime"]))
            .collect();
        titles.sort();
        titles
    };
    assert_eq!(titles(&own(&stage)), titles(&before));
    stage.assert_verified(&plan, &folder);
}

#[test]
fn fields_go_back_and_what_the_owner_did_since_stays() {
    let mut stage = stage();
    let ids = single(&stage);
    let before = own(&stage);
    let path = |id: &str| event_path(&stage.user, id);
    for id in &ids[..4] {
        let changed =
            json!({ "summary": "PWNED", "location": "nowhere", "attendees": [], "description": "x" });
        act(&stage, "PATCH", &path(id), &changed);
    }
    act(&stage, "DELETE", &path(&ids[4]), &Value::Null);
    act(&stage, "DELETE", &path(&ids[5]), &Value::Null);
    let (again, kept, late) = (ids[1].clone(), ids[2].clone(), ids[3].clone());
    let after = stage.capture();
    let path = |id: &str| event_path(&stage.user, id);
    // The owner goes on: another place, a title of their own, one thrown away, one brought back.
    act(&stage, "PATCH", &path(&again), &json!({ "location": "Room 7" }));
    act(&stage, "PATCH", &path(&kept), &json!({ "colorId": "3" }));
    act(
        &stage,
        "PATCH",
        &path(&ids[5]),
        &json!({ "status": "confirmed", "summary": "Brought back by hand" }),
    );
    let now = stage.capture();
    let (plan, folder) = plan(&mut stage, 1, after, now);
    let path = |id: &str| event_path(&stage.user, id);
    act(&stage, "PATCH", &path(&late), &json!({ "summary": "Mine now" }));
    let report = stage.apply(&plan, &folder);
    let found = own(&stage);
    assert_eq!(found[&ids[0]], before[&ids[0]]);
    assert_eq!(found[&ids[4]], before[&ids[4]]);
    assert_eq!(found[&again]["location"], "Room 7");
    assert_eq!(found[&again]["summary"], before[&again]["summary"]);
    assert_eq!(found[&kept]["colorId"], "3");
    assert_eq!(found[&kept]["attendees"], before[&kept]["attendees"]);
    assert_eq!(found[&late]["summary"], "Mine now");
    assert_eq!(found[&late]["attendees"], before[&late]["attendees"]);
    assert_eq!(found[&ids[5]]["summary"], "Brought back by hand");
    assert_eq!(plan.conflicts.len(), 1, "{:?}", plan.conflicts);
    assert_eq!(report.counts.conflicts, 1, "{report:#?}");
    assert!(report.conflicts[0].reason.contains("summary"), "{report:#?}");
}

#[test]
fn occurrences_of_a_series_come_back_one_by_one() {
    let mut stage = stage();
    let id = series(&stage)[0].clone();
    let before = own(&stage);
    let instances = act(
        &stage,
        "GET",
        &format!("calendars/{}/events/{id}/instances?maxResults=12&showDeleted=true", stage.user),
        &Value::Null,
    );
    let instances: Vec<String> = instances["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["id"].as_str().unwrap().to_owned())
        .collect();
    let path = |id: &str| event_path(&stage.user, id);
    // Plain ones: one cancelled, one changed. Differing ones: the moved one cancelled, the cancelled one revived.
    act(&stage, "DELETE", &path(&instances[8]), &Value::Null);
    act(&stage, "PATCH", &path(&instances[9]), &json!({ "summary": "PWNED" }));
    act(&stage, "DELETE", &path(&instances[2]), &Value::Null);
    act(&stage, "PATCH", &path(&instances[4]), &json!({ "status": "confirmed" }));
    let after = stage.capture();
    let (plan, folder) = plan(&mut stage, 1, after, after);
    let report = stage.apply(&plan, &folder);
    assert_eq!(report.counts.conflicts, 0, "{report:#?}");
    stage.assert_verified(&plan, &folder);
    let found = own(&stage);
    assert_eq!(found[&instances[2]], before[&instances[2]]);
    assert_eq!(found[&instances[4]]["status"], "cancelled");
    assert_eq!(found[&instances[8]]["status"], "confirmed");
    assert_eq!(found[&instances[9]]["summary"], before[&id]["summary"]);
    let again = stage.apply(&plan, &folder);
    assert_eq!((again.counts.inserted, again.counts.reverted), (0, 0), "{again:#?}");
}

#[test]
fn a_deleted_calendar_is_made_again_with_its_events_and_rights() {
    let mut stage = stage();
    let calendar = second(&stage);
    let other = stage.other.clone();
    let acl = |calendar: &str| format!("calendars/{}/acl?sendNotifications=false", escape(calendar));
    let rule = json!({ "scope": { "type": "user", "value": other }, "role": "reader" });
    act(&stage, "POST", &acl(&calendar), &rule);
    stage.domain.clock.advance_micros(2 * 3600 * 1_000_000);
    let earlier = stage.capture();
    let before = events(&stage, &stage.user, &calendar);
    assert!(!before.is_empty());
    act(&stage, "DELETE", &format!("calendars/{}", escape(&calendar)), &Value::Null);
    let after = stage.capture();
    let (plan, folder) = plan(&mut stage, earlier, after, after);
    stage.domain.running.with_tenant(|tenant| {
        tenant.clear_calendar_mails();
        tenant.fault(Fault::new("calendar.calendars.insert", When::Nth(1), Effect::Lost));
    });
    let report = stage.apply(&plan, &folder);
    assert_eq!(report.counts.conflicts, 0, "{report:#?}");
    stage.assert_verified(&plan, &folder);
    let made = second(&stage);
    assert_ne!(made, calendar);
    let found = events(&stage, &stage.user, &made);
    assert_eq!(found.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
    let rules = act(&stage, "GET", &acl(&made), &Value::Null);
    let roles: Vec<&str> =
        rules["items"].as_array().unwrap().iter().map(|rule| rule["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["owner", "reader"]);
    let again = stage.apply(&plan, &folder);
    assert_eq!(
        (again.counts.inserted, again.counts.objects, again.counts.conflicts),
        (0, 0, 0),
        "{again:#?}"
    );
    let list = act(&stage, "GET", "users/me/calendarList", &Value::Null);
    let named =
        list["items"].as_array().unwrap().iter().filter(|entry| entry["summary"] == "Side projects").count();
    assert_eq!(named, 1, "there is one of it");
    stage.domain.running.with_tenant(|tenant| assert!(tenant.calendar_mails().is_empty()));
}

#[test]
fn an_event_that_was_moved_goes_back_to_its_calendar() {
    let mut stage = stage();
    let (calendar, id) = (second(&stage), single(&stage)[0].clone());
    let before = own(&stage);
    let path = format!("calendars/{}/events/{id}/move?destination={}", stage.user, escape(&calendar));
    act(&stage, "POST", &path, &json!({}));
    let after = stage.capture();
    let (plan, folder) = plan(&mut stage, 1, after, after);
    let report = stage.apply(&plan, &folder);
    assert_eq!((report.counts.inserted, report.counts.conflicts), (1, 0), "{report:#?}");
    assert_eq!(own(&stage)[&id], before[&id]);
    assert!(!events(&stage, &stage.user, &calendar).contains_key(&id));
    stage.assert_verified(&plan, &folder);
}

#[test]
fn rights_are_never_wider_than_they_were_nor_than_somebody_made_them_since() {
    let mut stage = stage();
    let (calendar, other) = (stage.user.clone(), stage.other.clone());
    let users = stage.domain.users();
    let give = |stage: &Stage, who: &str, role: &str| {
        let rule = json!({ "scope": { "type": "user", "value": who }, "role": role });
        act(stage, "POST", &format!("calendars/{calendar}/acl?sendNotifications=false"), &rule);
    };
    give(&stage, &other, "writer");
    give(&stage, &users[3], "reader");
    stage.domain.clock.advance_micros(2 * 3600 * 1_000_000);
    let earlier = stage.capture();
    act(&stage, "DELETE", &format!("calendars/{calendar}/acl/user:{}", escape(&other)), &Value::Null);
    give(&stage, &users[3], "owner");
    give(&stage, "evil@outside.example", "reader");
    act(
        &stage,
        "PATCH",
        &format!("calendars/{calendar}/acl/domain:acme.test?sendNotifications=false"),
        &json!({ "role": "none" }),
    );
    stage.domain.clock.advance_micros(2 * 3600 * 1_000_000);
    let after = stage.capture();
    let (plan, folder) = plan(&mut stage, earlier, after, after);
    assert!(plan.notes.iter().any(|note| note.contains("evil@outside.example")), "{:?}", plan.notes);
    // A person narrows one before the plan is applied.
    give(&stage, &users[3], "freeBusyReader");
    let report = stage.apply(&plan, &folder);
    assert_eq!(report.counts.conflicts, 1, "{report:#?}");
    let rules = act(&stage, "GET", &format!("calendars/{calendar}/acl"), &Value::Null);
    let role = |id: &str| {
        let all = rules["items"].as_array().unwrap();
        all.iter().find(|rule| rule["id"] == id).map(|rule| rule["role"].as_str().unwrap().to_owned())
    };
    assert_eq!(role(&format!("user:{other}")).as_deref(), Some("writer"));
    assert_eq!(role(&format!("user:{}", users[3])).as_deref(), Some("freeBusyReader"));
    assert_eq!(role("domain:acme.test").as_deref(), Some("reader"));
    assert_eq!(role("user:evil@outside.example").as_deref(), Some("reader"), "it stays, and was told");
}

#[test]
fn a_rehearsal_changes_nothing() {
    let mut stage = stage();
    let (calendar, ids) = (second(&stage), single(&stage));
    act(&stage, "PATCH", &event_path(&stage.user, &ids[0]), &json!({ "summary": "PWNED" }));
    act(&stage, "DELETE", &event_path(&stage.user, &ids[1]), &Value::Null);
    act(&stage, "DELETE", &format!("calendars/{}", escape(&calendar)), &Value::Null);
    let after = stage.capture();
    let (plan, folder) = plan(&mut stage, 1, after, after);
    let before = own(&stage);
    let report = stage.try_apply(&plan, &folder, ApplyMode::Rehearsal).unwrap();
    assert_eq!(report.counts.inserted, plan.counts.inserted);
    assert_eq!((report.counts.reverted, report.counts.conflicts), (1, 0), "{report:#?}");
    assert_same(&own(&stage), &before);
    assert!(!folder.path().join("applied.jsonl").exists());
}

#[test]
fn a_scope_that_is_missing_is_told_by_its_name() {
    let mut stage = stage();
    act(&stage, "DELETE", &event_path(&stage.user, &single(&stage)[0]), &Value::Null);
    let after = stage.capture();
    let (plan, folder) = plan(&mut stage, 1, after, after);
    stage.domain.running.with_tenant(|tenant| {
        let id = tenant.service_accounts().nth(1).unwrap().client_id.clone();
        tenant.delegate(&id, [scopes::GMAIL_LABELS]);
    });
    let error = stage.try_apply(&plan, &folder, ApplyMode::Lasting).unwrap_err();
    assert!(matches!(error, WriteError::Privilege { .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("calendar.events"), "{:?}", error.hint());
}

#[test]
fn events_come_to_another_user_once_and_nobody_is_invited() {
    let mut stage = stage();
    let (was, other) = (own(&stage), stage.other.clone());
    let theirs = events(&stage, &other, &other);
    let request =
        Request { destination: Destination::OtherUser { email: other.clone() }, ..request(&stage, 1, 1, 1) };
    let settings = stage.settings();
    stage.domain.running.with_tenant(Tenant::clear_calendar_mails);
    let (plan, folder) = stage.plan_with(&settings, |planner| planner.calendar(&request));
    let report = stage.apply(&plan, &folder);
    assert_eq!(report.counts.conflicts, 0, "{report:#?}");
    stage.assert_verified(&plan, &folder);
    let again = stage.apply(&plan, &folder);
    assert_eq!((again.counts.inserted, again.counts.objects), (0, 0), "{again:#?}");
    let list = call(&stage, &other, "GET", "users/me/calendarList", &Value::Null);
    let origin = format!("From {}", stage.user);
    let made: Vec<&Value> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry["summary"] == origin.as_str())
        .collect();
    assert_eq!(made.len(), 1);
    let found = events(&stage, &other, made[0]["id"].as_str().unwrap());
    assert_eq!(found.len() as u64, plan.counts.inserted);
    assert!(found.values().all(|event| event["attendees"].is_null()));
    assert!(
        found
            .values()
            .any(|event| event["description"].as_str().is_some_and(|text| text.contains("Guest: ")))
    );
    assert_same(&events(&stage, &other, &other), &theirs);
    assert_same(&own(&stage), &was);
    stage.domain.running.with_tenant(|tenant| assert!(tenant.calendar_mails().is_empty()));
}

#[test]
fn only_the_chosen_events_come_back() {
    let mut stage = stage();
    let ids = single(&stage);
    for id in &ids[..3] {
        act(&stage, "DELETE", &event_path(&stage.user, id), &Value::Null);
    }
    let after = stage.capture();
    let chosen = Selection { keys: vec![format!("event/{}/{}", stage.user, ids[1])], ..Selection::default() };
    let request = Request { selection: chosen, ..request(&stage, 1, after, after) };
    let settings = stage.settings();
    let (plan, folder) = stage.plan_with(&settings, |planner| planner.calendar(&request));
    assert_eq!(plan.counts.inserted, 1);
    stage.apply(&plan, &folder);
    let found = own(&stage);
    assert!(found.contains_key(&ids[1]) && !found.contains_key(&ids[0]) && !found.contains_key(&ids[2]));
}

#[test]
fn the_time_that_a_plan_states_is_the_time_that_it_takes() {
    let mut stage = stage();
    act(&stage, "POST", &format!("calendars/{}/clear", stage.user), &json!({}));
    let after = stage.capture();
    stage.domain.clock.advance_micros(600_000_000);
    let mut slow = stage.settings();
    for pool in slow.pools.values_mut() {
        (pool.units, pool.burst) = (60, 5);
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

/// Numbers from a seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}

const CHANGED: [&str; 4] = ["summary", "location", "description", "colorId"];

/// Changes or deletes some of the user's events, as chance has it.
fn disturb(stage: &Stage, ids: &[String], chance: &mut Chance, word: &str) {
    for _ in 0..10 {
        let id = &ids[chance.below(ids.len())];
        let path = event_path(&stage.user, id);
        let is_there = act(stage, "GET", &path, &Value::Null)["status"] != "cancelled";
        match chance.below(5) {
            0 if is_there => drop(act(stage, "DELETE", &path, &Value::Null)),
            _ if is_there => {
                let name = CHANGED[chance.below(CHANGED.len())];
                let number = chance.below(9) + 1;
                let value = if name == "colorId" { number.to_string() } else { format!("{word} {number}") };
                act(stage, "PATCH", &path, &json!({ name: value }));
            }
            1 => drop(act(stage, "PATCH", &path, &json!({ "status": "confirmed" }))),
            _ => {}
        }
    }
}

/// What must come of an event, said once more and as simply as can be.
fn expected(before: Option<&Value>, after: Option<&Value>, now: Option<&Value>) -> Option<Value> {
    let (Some(before), Some(now)) = (before, now) else {
        // What was deleted within the window comes back; what was deleted later, or never was, does not.
        return if after.is_none() { before.or(now).cloned() } else { now.cloned() };
    };
    let Some(after) = after else { return Some(now.clone()) };
    let mut event = now.clone();
    for name in CHANGED {
        if before[name] != after[name] && after[name] == now[name] {
            event[name] = before[name].clone();
        }
    }
    event.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    Some(event)
}

#[test]
fn whatever_an_agent_and_its_owner_do_exactly_the_agents_part_is_undone() {
    let mut stage = stage();
    let ids = single(&stage)[..8].to_vec();
    for seed in 1..=8 {
        let mut chance = Chance(seed * 7919);
        let (earlier, before) = (stage.capture(), own(&stage));
        disturb(&stage, &ids, &mut chance, "agent");
        let (until, after) = (stage.capture(), own(&stage));
        disturb(&stage, &ids, &mut chance, "owner");
        let (latest, now) = (stage.capture(), own(&stage));
        let (plan, folder) = plan(&mut stage, earlier, until, latest);
        stage.domain.running.with_tenant(|tenant| {
            tenant.fault(Fault::new("calendar.events.patch", When::Rate(0.2), Effect::Lost));
            tenant.fault(Fault::new("calendar.events.*", When::Rate(0.1), Effect::Backend(503)));
        });
        while stage.try_apply(&plan, &folder, ApplyMode::Lasting).is_err() {}
        stage.domain.running.with_tenant(Tenant::lift_faults);
        let report = stage.apply(&plan, &folder);
        assert_eq!((report.counts.inserted, report.counts.reverted), (0, 0), "seed {seed}: {report:#?}");
        let found = own(&stage);
        for id in &ids {
            let wanted = expected(before.get(id), after.get(id), now.get(id));
            assert_eq!(found.get(id), wanted.as_ref(), "seed {seed}: {id}");
        }
        stage.assert_verified(&plan, &folder);
    }
}
