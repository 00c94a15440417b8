//! When somebody is to be stopped, and what is done about an incident.

use super::*;
use crate::{
    ActionStatus, AmendError, Amendment, IncidentState,
    containment::{Action, ActionKind, Taken},
};

fn action(title: &str) -> Action {
    Action {
        kind: ActionKind::EndSession,
        source: name("shop"),
        subject: "agent".to_owned(),
        title: title.to_owned(),
        details: serde_json::json!({ "pid": 4711 }),
    }
}

fn at(micros: i64) -> Moment {
    Moment::from_micros(START + micros)
}

fn taken(title: &str, micros: i64) -> Amendment {
    let taken = Taken {
        action: action(title),
        at: at(micros),
        prior: serde_json::Value::Null,
        can_be_taken_back: true,
    };
    Amendment::Taken { taken, automatic: true, why: "policy".to_owned() }
}

#[test]
fn an_open_transaction_is_named_to_whoever_stops_it_and_asked_for_once() {
    let mut watcher = watcher();
    let open = |at, count| rows(at, Verb::Delete, count).named("7").stage(Stage::Underway);
    let news = observe_all(&mut watcher, &[open(0, 1000), open(1, 2000), open(2, 3000)]);
    let asked = contained(&news);
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].transaction.as_deref(), Some("7"));
    assert_eq!(
        (asked[0].scope.as_str(), &asked[0].targets),
        ("shop", &vec!["shop.public.bookings".to_owned()])
    );
    assert_eq!(asked[0].since, at(0));
}

#[test]
fn whoever_goes_on_after_an_action_is_to_be_stopped_again() {
    let mut watcher = watcher();
    let agent = |at| rows(at, Verb::Truncate, 1).by("agent", Attribution::Witnessed);
    assert_eq!(contained(&observe(&mut watcher, &agent(0))).len(), 1);
    assert!(contained(&observe(&mut watcher, &agent(SECOND))).is_empty());
    watcher.amend(1, taken("end session", 2 * SECOND)).unwrap();
    assert!(
        contained(&observe(&mut watcher, &agent(SECOND + 1).late(2 * SECOND))).is_empty(),
        "that was before"
    );
    assert_eq!(contained(&observe(&mut watcher, &agent(4 * SECOND))).len(), 1);
    assert!(contained(&observe(&mut watcher, &agent(5 * SECOND))).is_empty());
}

#[test]
fn states_follow_each_other_and_a_closed_incident_stays_closed() {
    let mut watcher = watcher();
    observe(&mut watcher, &rows(0, Verb::Truncate, 1));
    let mut state = |amendment| watcher.amend(1, amendment).map(|incident| incident.state);
    let (why, plan) = ("asked".to_owned(), "9f".to_owned());
    let proposed = Amendment::Proposed { action: action("a"), at: at(1), why: why.clone() };
    assert_eq!(state(proposed), Ok(IncidentState::Open));
    let back = |title| Amendment::TakenBack { action: action(title), at: at(3), why: "anna".to_owned() };
    assert!(matches!(state(back("a")), Err(AmendError::NotTaken { .. })));
    assert_eq!(state(taken("a", 2)), Ok(IncidentState::Contained));
    assert_eq!(state(taken("b", 2)), Ok(IncidentState::Contained));
    let refused = Amendment::Refused { action: action("c"), at: at(2), why };
    assert_eq!(state(refused), Ok(IncidentState::Contained));
    assert_eq!(state(back("a")), Ok(IncidentState::Contained));
    assert_eq!(state(back("b")), Ok(IncidentState::Open));
    let undone = Amendment::Undone { plan: plan.clone(), at: at(5) };
    assert!(matches!(state(undone.clone()), Err(AmendError::NoSuchPlan { .. })));
    assert_eq!(state(Amendment::Planned { plan, at: at(4) }), Ok(IncidentState::Open));
    assert_eq!(state(taken("b", 5)), Ok(IncidentState::Contained));
    assert_eq!(state(undone), Ok(IncidentState::Undone));
    assert_eq!(state(Amendment::Held { source: name("shop"), at: at(6) }), Ok(IncidentState::Undone));
    let closed = Amendment::Closed { reason: "done".to_owned(), by: "anna".to_owned(), at: at(7) };
    assert_eq!(state(closed.clone()), Ok(IncidentState::Closed));
    assert_eq!(state(closed), Err(AmendError::Closed { id: 1 }));
    assert_eq!(state(back("b")), Ok(IncidentState::Closed), "what was taken can always be taken back");
    assert_eq!(watcher.amend(9, taken("a", 9)), Err(AmendError::NoSuchIncident { id: 9 }));
    let incident = watcher.incident(1).unwrap();
    let statuses: Vec<_> = incident.actions.iter().map(|note| note.status).collect();
    assert_eq!(statuses, [ActionStatus::TakenBack, ActionStatus::TakenBack, ActionStatus::Refused]);
    assert!(incident.history.windows(2).all(|pair| pair[0].state != pair[1].state));
}

#[test]
fn what_goes_on_after_an_incident_was_closed_begins_a_new_one() {
    let mut watcher = watcher();
    let open = |at, count| rows(at, Verb::Delete, count).named("7").stage(Stage::Underway);
    observe(&mut watcher, &open(0, 1000));
    let closed = Amendment::Closed { reason: "no".to_owned(), by: "anna".to_owned(), at: at(1) };
    watcher.amend(1, closed).unwrap();
    assert_eq!(opened(&observe(&mut watcher, &open(2, 5000))), 1);
    let (first, second) = (watcher.incident(1).unwrap(), watcher.incident(2).unwrap());
    assert_eq!(first.touched[&name("shop")].underway.destroyed(), 1000);
    assert_eq!(second.touched[&name("shop")].underway.destroyed(), 5000);
}

#[test]
fn an_incident_is_told_in_the_words_of_ocsf() {
    let mut watcher = watcher();
    let agent = rows(0, Verb::Truncate, 1).by("agent", Attribution::Witnessed);
    observe(&mut watcher, &agent.actor(|actor| actor.address = Some("10.0.0.9".to_owned())));
    let incident = watcher.incident(1).unwrap();
    let rules = Rules::standard();
    let finding = crate::ocsf::finding(incident, &rules, crate::ocsf::Activity::Create, "1.0.0", at(SECOND));
    assert_eq!((&finding["class_uid"], &finding["type_uid"]), (&2004.into(), &200_401.into()));
    assert_eq!(finding["time"], (START + SECOND) / 1000);
    assert_eq!(finding["finding_info"]["related_analytics"][0]["uid"], "dropped");
    assert_eq!(finding["evidences"][0]["actor"]["user"]["name"], "agent");
    assert_eq!(finding["evidences"][0]["src_endpoint"]["ip"], "10.0.0.9");
    assert_eq!(finding["evidences"][0]["data"]["is_guess"], false);
    assert_eq!((&finding["severity"], &finding["status"]), (&"High".into(), &"New".into()));
}
