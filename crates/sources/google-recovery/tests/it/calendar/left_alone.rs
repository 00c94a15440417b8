//! What somebody did after the window, or after a plan was applied, stays; and what is chosen with a series.

use connect_http::escape;
use google_recovery::{Request, Selection};
use serde_json::{Value, json};

use super::{act, event_path, plan, request, second, series, single, stage};
use crate::stage::Stage;

#[test]
fn what_somebody_brought_back_and_took_away_again_stays_away() {
    let mut stage = stage();
    let (user, id) = (stage.user.clone(), single(&stage)[0].clone());
    let rule = json!({ "scope": { "type": "user", "value": "ben@partner.example" }, "role": "writer" });
    let rules = format!("calendars/{user}/acl");
    let rule_path = format!("{rules}/{}", escape("user:ben@partner.example"));
    act(&stage, "POST", &rules, &rule);
    let before = stage.capture();
    act(&stage, "DELETE", &event_path(&user, &id), &Value::Null);
    act(&stage, "PATCH", &rule_path, &json!({ "role": "reader" }));
    let after = stage.capture();
    act(&stage, "PATCH", &event_path(&user, &id), &json!({ "status": "confirmed" }));
    act(&stage, "DELETE", &rule_path, &Value::Null);
    stage.capture();
    act(&stage, "DELETE", &event_path(&user, &id), &Value::Null);
    let reader = json!({ "scope": rule["scope"], "role": "reader" });
    act(&stage, "POST", &rules, &reader);
    let now = stage.capture();
    let (plan, _) = plan(&mut stage, before, after, now);
    assert!(plan.steps.is_empty(), "{:?}", plan.steps);
    assert_eq!(plan.conflicts.len(), 2, "{:?}", plan.conflicts);
}

#[test]
fn an_event_that_somebody_moved_on_stays_where_it_was_put() {
    let mut stage = stage();
    let (calendar, id) = (second(&stage), single(&stage)[0].clone());
    let third = act(&stage, "POST", "calendars", &json!({ "summary": "Third" }));
    let third = third["id"].as_str().unwrap().to_owned();
    let before = stage.capture();
    let move_to = |stage: &Stage, from: &str, to: &str| {
        let path = format!("calendars/{}/events/{id}/move?destination={}", escape(from), escape(to));
        act(stage, "POST", &path, &json!({}));
    };
    move_to(&stage, &stage.user, &calendar);
    let after = stage.capture();
    move_to(&stage, &calendar, &third);
    let now = stage.capture();
    let (plan, _) = plan(&mut stage, before, after, now);
    assert!(plan.steps.is_empty(), "{:?}", plan.steps);
    assert_eq!(plan.conflicts.len(), 1, "{:?}", plan.conflicts);
}

#[test]
fn what_differs_in_a_chosen_series_is_meant_with_it() {
    let mut stage = stage();
    let id = series(&stage)[0].clone();
    let path = format!("calendars/{}/events/{id}/instances?maxResults=12&showDeleted=true", stage.user);
    let instances = act(&stage, "GET", &path, &Value::Null);
    let instance = instances["items"][8]["id"].as_str().unwrap();
    act(&stage, "DELETE", &event_path(&stage.user, instance), &Value::Null);
    act(&stage, "DELETE", &event_path(&stage.user, &single(&stage)[0]), &Value::Null);
    let after = stage.capture();
    let chosen = Selection { keys: vec![format!("event/{}/{id}", stage.user)], ..Selection::default() };
    let request = Request { selection: chosen, ..request(&stage, 1, after, after) };
    let settings = stage.settings();
    let (plan, _) = stage.plan_with(&settings, |planner| planner.calendar(&request));
    assert_eq!(plan.counts.inserted, 1, "{:?}", plan.steps);
}

#[test]
fn what_is_taken_away_after_a_plan_brought_it_back_stays_away() {
    let mut stage = stage();
    let (user, id) = (stage.user.clone(), single(&stage)[0].clone());
    let rules = format!("calendars/{user}/acl");
    let rule = json!({ "scope": { "type": "user", "value": "ben@partner.example" }, "role": "writer" });
    let rule_path = format!("{rules}/{}", escape("user:ben@partner.example"));
    act(&stage, "POST", &rules, &rule);
    let before = stage.capture();
    let take_away = |stage: &Stage| {
        act(stage, "DELETE", &event_path(&user, &id), &Value::Null);
        act(stage, "DELETE", &rule_path, &Value::Null);
    };
    take_away(&stage);
    let after = stage.capture();
    let (plan, folder) = plan(&mut stage, before, after, after);
    let report = stage.apply(&plan, &folder);
    assert_eq!((report.counts.inserted, report.counts.objects), (1, 1), "{report:#?}");
    take_away(&stage);
    let again = stage.apply(&plan, &folder);
    assert_eq!((again.counts.inserted, again.counts.objects), (0, 0), "{again:#?}");
    assert_eq!(again.counts.conflicts, 2, "{again:#?}");
}
