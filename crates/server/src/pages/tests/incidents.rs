use axum::http::StatusCode;
use serde_json::{Value, json};
use service::watching::Request;

use super::{HOSTILE, House};

fn incident(id: u64, state: &str, name: &str) -> Value {
    let at = |time: &str| format!("2026-04-25T{time}Z");
    let target = format!("shop.public.{name}");
    let effects = json!([{"verb": "delete", "target": target, "count": 249_500}]);
    let actor = json!({"identity": name, "application": name, "address": null});
    let action =
        json!({"kind": "bar-login", "source": "shop", "subject": name, "title": name, "details": null});
    let taken = json!({"action": action, "at": at("14:00:01.200"), "prior": null, "can_be_taken_back": true});
    let suspect = json!({
        "id": 1, "actor": actor, "kind": "agent", "attribution": "inferred", "guessed_before": false,
        "source": "shop", "scope": "shop", "effects": effects, "underway": [], "given_up": [], "recorded": [],
        "assumed": [], "deeds": 1, "first": at("14:00:00"), "last": at("14:00:09"), "fired": true, "asked": null,
    });
    let touched = json!({
        "from": at("14:00:00"), "until": at("14:00:09"), "first_position": "1", "last_position": "2",
        "scopes": ["shop"], "glimpsed": false, "effects": effects, "underway": [], "given_up": [],
        "recorded": [], "deeds": 1,
    });
    let deed = |number: u64| {
        json!({
            "source": "shop", "scope": name, "transaction": format!("{name}{number}"), "position": format!("{number:04}"),
            "stage": "told", "at": at("14:00:05"), "effects": effects, "suspect": 1, "recorded": false,
            "assumed": false, "given_up": false,
        })
    };
    json!({
        "id": id, "state": state, "severity": "critical", "growing": false, "verbs": ["delete"],
        "history": [{"state": "open", "at": at("14:00:00.400"), "why": name}],
        "firings": [{"rule": "mass-delete", "suspect": 1, "at": at("14:00:00.400"), "explanation": name}],
        "suspects": [suspect], "touched": {"shop": touched},
        "deeds": (0..150).map(deed).collect::<Vec<_>>(), "deeds_capped": false,
        "first_seen_at": at("14:00:00.100"), "last_seen_at": at("14:00:09"), "opened_at": at("14:00:00.400"),
        "delay_ms": 300,
        "actions": [{
            "action": action, "status": "taken", "at": at("14:00:01.200"), "taken": taken, "automatic": true,
            "why": name,
        }],
        "holds": [], "captured": [], "notices": [{"at": at("14:00:02"), "text": name}],
        "plans": [{"hash": name, "made_at": at("14:05:00"), "applied_at": null}],
        "suppressions": [], "merged": [], "merged_into": null, "next_suspect": 2,
    })
}

/// Returns the addresses of all links of a page that begin so.
fn links(text: &str, beginning: &str) -> Vec<String> {
    let found = text.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
    found.filter(|link| link.starts_with(beginning)).map(|link| link.replace("&#38;", "&")).collect()
}

#[test]
fn hostile_names_are_text_on_every_page_of_an_incident() {
    let house = House::new(1);
    house.incident(incident(1, "open", HOSTILE));
    let page = house.get("vera", "/incidents/1");
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    assert!(page.text.contains(" deleted 249,500 rows of the table “public."), "{}", page.text);
    assert!(page.text.contains("Probably “"), "a guess says so, and a name is no part of the sentence");
    assert!(page.text.contains("a guess: inferred"));
    let acts = links(&page.text, "/incidents/1/acts");
    assert!(!acts.is_empty(), "no bar leads anywhere");
    for path in ["/incidents", "/incidents/1", &acts[0]] {
        let page = house.get("olga", path);
        assert_eq!(page.status, StatusCode::OK, "{path}: {}", page.text);
        for bad in ["<script>alert", "<img src=x", "style=\"", "onerror=alert(2)>\""] {
            assert!(!page.text.contains(bad), "{bad} in {path}");
        }
        assert!(page.text.contains("alert(1)"), "the name is not shown at all: {path}");
    }
}

#[test]
fn lanes_narrow_by_links_and_acts_come_page_by_page() {
    let house = House::new(1);
    house.incident(incident(1, "open", "agent"));
    let page = house.get("vera", "/incidents/1");
    let narrowed = links(&page.text, "/incidents/1?from=");
    assert!(narrowed.len() >= 10, "{narrowed:?}");
    for way in &narrowed {
        assert_eq!(house.get("vera", way).status, StatusCode::OK, "{way}");
    }
    let acts = links(&page.text, "/incidents/1/acts").pop().unwrap();
    let first = house.get("vera", &acts);
    let next = links(&first.text, "/incidents/1/acts").pop().unwrap();
    let second = house.get("vera", &next);
    let rows = |text: &str| text.matches("<th scope=\"row\"").count();
    assert_eq!((rows(&first.text), rows(&second.text)), (100, 50));
    assert!(first.text.contains("agent0") && !second.text.contains("agent0<"));
    let nonsense = house.get("vera", "/incidents/1?from=yesterday");
    assert_eq!(nonsense.status, StatusCode::UNPROCESSABLE_ENTITY);
    let nothing = house.get("vera", "/incidents/1?from=2020-01-01T00:00:00Z&until=2020-01-02T00:00:00Z");
    assert!(nothing.text.contains("Nothing was done at this time."));
}

#[test]
fn the_open_ones_come_first_and_pages_follow_each_other() {
    let house = House::new(1);
    assert!(house.get("vera", "/incidents").text.contains("Nothing looked like a wipe"));
    for id in 1..=60 {
        house.incident(incident(id, if id == 3 { "open" } else { "closed" }, "agent"));
    }
    let page = house.get("vera", "/incidents").text;
    let rows = links(&page, "/incidents/");
    assert_eq!((rows.len(), rows[0].as_str(), rows[1].as_str()), (50, "/incidents/3", "/incidents/60"));
    let next = links(&page, "/incidents?").pop().unwrap();
    let rest = links(&house.get("vera", &next).text, "/incidents/");
    assert_eq!((rest.len(), rest.last().unwrap().as_str()), (10, "/incidents/1"));
    let open = house.get("bot", "/api/v1/incidents?state=open").json();
    assert_eq!(
        (open["incidents"].as_array().unwrap().len(), open["incidents"][0]["id"].as_u64()),
        (1, Some(3))
    );
    assert_eq!(house.get("bot", "/api/v1/incidents/3").json()["suspects"][0]["known"], "a guess");
    assert_eq!(house.get("bot", "/api/v1/incidents/99").status, StatusCode::NOT_FOUND);
}

#[test]
fn who_is_stopped_is_let_in_again_only_with_a_word_and_by_whom_may() {
    let mut house = House::new(1);
    house.incident(incident(1, "open", "agent"));
    for (who, path) in [("vera", "contain"), ("anna", "contain"), ("vera", "plan"), ("vera", "take-back")] {
        let answer = house.form(who, &format!("/incidents/1/{path}"), &[("sure", "yes")]);
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{who} {path}");
    }
    assert!(!house.get("vera", "/incidents/1").text.contains("lets them in again"));
    assert!(house.get("otto", "/incidents/1").text.contains("lets them in again"));
    let careless = house.form("otto", "/incidents/1/take-back", &[]);
    assert_eq!(careless.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(house.asked_of_the_watch().is_empty());
    assert_eq!(house.form("otto", "/incidents/1/contain", &[]).location, "/incidents/1");
    let by = || "otto".to_owned();
    // Somebody else has to agree: it waits in one case, whoever asks how often.
    let wish = [("sure", "yes"), ("reason", "<b>it was the migration</b>")];
    let case = house.form("otto", "/incidents/1/take-back", &wish).location;
    let id = case.strip_prefix("/cases/").unwrap().to_owned();
    assert_eq!(house.form("otto", "/incidents/1/take-back", &wish).location, case);
    assert!(house.get("otto", "/incidents/1").text.contains(&format!("case {id}")));
    let waits = house.post("otto", "/api/v1/incidents/1/take-back", &serde_json::json!({}));
    assert_eq!((waits.status, waits.json()["waits_in"].as_str()), (StatusCode::ACCEPTED, Some(id.as_str())));
    for who in ["bot", "vera"] {
        let answer = house.post(who, "/api/v1/incidents/1/take-back", &serde_json::json!({}));
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{who}");
    }
    assert_eq!(house.asked_of_the_watch(), [Request::Contain { incident: 1, by: by() }]);
    assert!(!house.get("otto", &case).text.contains("Let them in now"));
    assert_eq!(house.decide("otto", &id, "approve", 1).status, StatusCode::FORBIDDEN);
    assert_eq!(house.decide("anna", &id, "approve", 1).status, StatusCode::OK);
    assert!(!house.get("anna", &case).text.contains("Let them in now"), "an approver stops nobody");
    let page = house.get("otto", &case).text;
    assert!(page.contains("Let them in now") && !page.contains("<b>it was"), "{page}");
    assert_eq!(house.form("otto", "/incidents/1/take-back", &[("sure", "yes")]).location, "/incidents/1");
    let back = Request::TakeBack { incident: 1, by: by(), case: Some(approvals::CaseId::new(&id).unwrap()) };
    assert_eq!(house.asked_of_the_watch(), [Request::Contain { incident: 1, by: by() }, back]);
    assert!(house.get("vera", &case).text.contains("applied"));
    assert_eq!(house.form("otto", "/incidents/1/nonsense", &[]).status, StatusCode::NOT_FOUND);
    let planning = house.form("otto", "/incidents/1/plan", &[]);
    assert!(planning.location.starts_with("/jobs/"), "{}", planning.text);
    assert_eq!(house.form("otto", "/incidents/7/plan", &[]).status, StatusCode::NOT_FOUND);
}
