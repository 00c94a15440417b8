use serde_json::json;
use watch::IncidentState;

use super::*;

fn incident() -> Incident {
    let at = |time: &str| format!("2026-04-25T{time}Z");
    let effects = json!([{"verb": "delete", "target": "shop.public.a", "count": 249_500}]);
    let actor = json!({"identity": "app", "application": "cursor", "address": null});
    let action =
        json!({"kind": "bar-login", "source": "shop", "subject": "app", "title": "bar app", "details": null});
    let taken = json!({"action": action, "at": at("14:00:01.200"), "prior": null, "can_be_taken_back": true});
    serde_json::from_value(json!({
        "id": 7, "state": "contained", "severity": "critical", "growing": false, "verbs": ["delete"],
        "history": [
            {"state": "open", "at": at("14:00:00.400"), "why": "a rule fired"},
            {"state": "contained", "at": at("14:00:01.200"), "why": "policy"},
        ],
        "firings": [{"rule": "mass-delete", "suspect": 1, "at": at("14:00:00.400"), "explanation": "many"}],
        "suspects": [{
            "id": 1, "actor": actor, "kind": "agent", "attribution": "sampled", "guessed_before": false,
            "source": "shop", "scope": "shop", "effects": effects, "underway": [], "given_up": [], "recorded": [],
            "assumed": [], "deeds": 1, "first": at("14:00:00"), "last": at("14:00:09"), "fired": true, "asked": null,
        }],
        "touched": {"shop": {
            "from": at("14:00:00"), "until": at("14:00:09"), "first_position": "1", "last_position": "2",
            "scopes": ["shop"], "glimpsed": false, "effects": effects, "underway": [], "given_up": [],
            "recorded": [], "deeds": 1,
        }},
        "deeds": [], "deeds_capped": false,
        "first_seen_at": at("14:00:00.100"), "last_seen_at": at("14:00:09"), "opened_at": at("14:00:00.400"),
        "delay_ms": 300,
        "actions": [{
            "action": action, "status": "taken", "at": at("14:00:01.200"), "taken": taken, "automatic": true,
            "why": "policy",
        }],
        "holds": [{"source": "shop", "at": at("14:00:00.500")}],
        "captured": [], "notices": [{"at": at("14:00:02"), "text": "mail sent"}],
        "plans": [{"hash": "ab", "made_at": at("14:05:00"), "applied_at": null}],
        "suppressions": [], "merged": [], "merged_into": null, "next_suspect": 2,
    }))
    .unwrap()
}

#[test]
fn a_headline_says_who_did_what_and_that_they_were_stopped() {
    let mut told = incident();
    assert_eq!(
        headline(&told),
        "cursor as app deleted 249,500 rows of the table public.a of shop between 14:00:00 and 14:00:09. \
         It was stopped 1.2 s after the first act."
    );
    told.suspects[0].attribution = model::Attribution::Inferred;
    told.actions.clear();
    told.growing = true;
    let text = headline(&told);
    assert!(text.starts_with("Probably cursor as app deleted"), "a guess says so: {text}");
    assert!(text.ends_with("It is still going on."), "{text}");
    told.suspects[0].actor = None;
    told.suspects[0].attribution = model::Attribution::Unknown;
    assert!(headline(&told).starts_with("An agent deleted"), "what it is, where nobody knows who");
    let named = |told: &mut Incident, application: &str| {
        let actor = json!({"identity": "app", "application": application, "address": null});
        told.suspects[0].actor = Some(serde_json::from_value(actor).unwrap());
        told.suspects[0].attribution = model::Attribution::Sampled;
        headline(told)
    };
    let text = named(&mut told, "Nothing was lost. Somebody");
    assert!(text.starts_with("“Nothing was lost. Somebody as app” deleted"), "a name is no sentence: {text}");
    told.suspects.clear();
    assert!(headline(&told).starts_with("Somebody deleted"));
}

#[test]
fn a_headline_names_the_one_table_and_counts_several() {
    let mut told = incident();
    let touched = |told: &mut Incident, effects: serde_json::Value| {
        told.touched.values_mut().next().unwrap().effects = serde_json::from_value(effects).unwrap();
        headline(told)
    };
    let truncate =
        |table: &str| json!({"verb": "truncate", "target": format!("shop.public.{table}"), "count": 1});
    let delete = json!({"verb": "delete", "target": "shop.public.c", "count": 1});
    let one = touched(&mut told, json!([truncate("orders")]));
    assert!(one.starts_with("cursor as app emptied the table public.orders of shop between"), "{one}");
    let two = touched(&mut told, json!([truncate("a"), truncate("b")]));
    assert!(two.starts_with("cursor as app emptied 2 tables in shop between"), "{two}");
    let both = touched(&mut told, json!([truncate("a"), delete]));
    assert!(
        both.starts_with(
            "cursor as app emptied the table public.a and deleted 1 row of the table public.c of shop"
        ),
        "{both}"
    );
    let other = told.suspects[0].clone();
    told.suspects.push(other);
    assert!(headline(&told).starts_with("cursor as app emptied"), "the same name is told once");
    told.suspects[1].actor.as_mut().unwrap().identity = "x".repeat(5_000);
    let long = headline(&told);
    assert!(long.starts_with("cursor as app and cursor as xxx") && long.len() < 400, "{long}");
    told.suspects[1].attribution = model::Attribution::Inferred;
    assert!(headline(&told).starts_with("2 agents emptied"), "names stand only for what is known");
}

#[test]
fn what_was_done_comes_in_order_with_the_time_after_the_first_act() {
    let entries = timeline(&incident());
    let told: Vec<(&str, &str)> =
        entries.iter().map(|entry| (entry.kind.word(), entry.after.as_str())).collect();
    assert_eq!(
        told,
        [
            ("happened", ""),
            ("alarm", "at once"),
            ("hold", "at once"),
            ("containment", "+1.2 s"),
            ("state", "+1.2 s"),
            ("told", "+2.0 s"),
            ("happened", "+9.0 s"),
            ("plan", "+5 minutes"),
        ]
    );
    assert_eq!(entries.last().unwrap().plan.as_deref(), Some("ab"));
}

#[test]
fn only_what_changed_is_read_again() {
    let home = tempfile::tempdir().unwrap();
    let store = WatchStore::of(home.path());
    let incidents = Incidents::of(home.path());
    assert!(incidents.all().unwrap().is_empty());
    let mut first = incident();
    store.write_incident(&first).unwrap();
    assert_eq!(incidents.look().unwrap(), [7]);
    assert!(incidents.look().unwrap().is_empty());
    first.state = IncidentState::Undone;
    store.write_incident(&first).unwrap();
    assert_eq!(incidents.look().unwrap(), [7]);
    assert_eq!(incidents.get(7).unwrap().state, IncidentState::Undone);
    assert!(matches!(incidents.get(8), Err(WatchError::NoIncident { id: 8 })));
}
