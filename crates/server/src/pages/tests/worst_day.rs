use axum::http::StatusCode;
use ports::files;
use serde_json::json;
use service::jobs::JobState;

use super::{HOSTILE, House};

#[test]
fn from_a_plan_to_a_proven_restore() {
    let mut house = House::new(2);
    let (plan, _) = house.plan("plan-1", HOSTILE);
    let case = house.requested("otto", plan);
    let page = house.get("anna", &format!("/cases/{case}"));
    assert!(page.text.contains("0 of 2 approvals") && page.text.contains("Approve with a passkey"));
    assert!(house.get("anna", "/cases").text.contains("<strong>waits for you<"));
    assert!(!house.get("otto", "/cases").text.contains("<strong>waits for you<"));

    let first = house.decide("anna", &case, "approve", 1);
    assert_eq!(
        (first.status, first.json()["next"].as_str()),
        (StatusCode::OK, Some(&*format!("/cases/{case}")))
    );
    // Ben has the page as it was before Anna decided.
    let stale = house.decide("ben", &case, "approve", 1);
    assert_eq!(stale.status, StatusCode::CONFLICT, "{}", stale.text);
    assert!(stale.json()["hint"].as_str().unwrap().contains("load the page again"));
    // He is led to the page as it is now: it says what has changed, and has the button. Nothing was decided for him.
    let next = stale.json()["next"].as_str().unwrap().to_owned();
    assert_eq!(next, format!("/cases/{case}?heard=0"));
    let now = house.get("ben", &next).text;
    assert!(now.contains("changed since you looked: anna approved it. It is waiting now."), "{now}");
    assert!(now.contains("1 of 2 approvals") && now.contains("Approve with a passkey"), "{now}");
    for path in [format!("/cases/{case}"), format!("/cases/{case}?heard=1")] {
        assert!(!house.get("ben", &path).text.contains("changed since you looked"), "{path}");
    }
    assert_eq!(house.decide("ben", &case, "approve", 2).status, StatusCode::OK);
    let page = house.get("otto", &format!("/cases/{case}"));
    assert!(page.text.contains("2 of 2 approvals") && page.text.contains("Apply now"), "{}", page.text);

    let applying = house.form("otto", &format!("/cases/{case}/apply"), &[]);
    assert_eq!(applying.status, StatusCode::SEE_OTHER, "{}", applying.text);
    let job: u64 = applying.location.trim_start_matches("/jobs/").parse().unwrap();
    let job = house.ended(job);
    assert!(matches!(job.state, JobState::Done { .. }), "{job:?}");
    let page = house.get("vera", &format!("/cases/{case}"));
    assert!(page.text.contains("Read again: 7 of 7 items as planned."), "{}", page.text);
    assert!(page.text.contains("verified"));
    for path in [format!("/cases/{case}"), format!("/plans/{plan}"), "/cases".to_owned()] {
        let page = house.get("olga", &path);
        assert_eq!(page.status, StatusCode::OK);
        assert!(!page.text.contains("<script>alert") && !page.text.contains("<img src=x"), "{path}");
    }
    let again = house.form("otto", &format!("/cases/{case}/apply"), &[]);
    assert_eq!(again.status, StatusCode::CONFLICT);
}

#[test]
fn no_program_decides_or_applies_and_nobody_decides_what_they_asked_for() {
    let mut house = House::new(1);
    let (plan, _) = house.plan("plan-1", "undo");
    let opened = house.post("bot", "/api/v1/cases", &json!({"plan": plan.to_string(), "reason": "please"}));
    assert_eq!(opened.status, StatusCode::CREATED, "{}", opened.text);
    let case = opened.json()["id"].as_str().unwrap().to_owned();
    let said = json!({"decision": "approve", "version": "1"});
    assert_eq!(
        house.post("bot", &format!("/cases/{case}/decide/begin"), &said).status,
        StatusCode::FORBIDDEN
    );
    let apply = format!("/api/v1/cases/{case}/apply");
    assert_eq!(house.post("bot", &apply, &json!({})).status, StatusCode::FORBIDDEN);
    for who in ["vera", "otto"] {
        assert_eq!(house.decide(who, &case, "approve", 1).status, StatusCode::FORBIDDEN, "{who}");
    }
    // Not approved yet: who may apply cannot, either.
    assert_eq!(house.post("otto", &apply, &json!({})).status, StatusCode::CONFLICT);
    assert_eq!(house.decide("anna", &case, "approve", 1).status, StatusCode::OK);
    assert_eq!(house.post("bot", &apply, &json!({})).status, StatusCode::FORBIDDEN);
    assert_eq!(house.post("anna", &apply, &json!({})).status, StatusCode::FORBIDDEN);

    let (plan, _) = house.plan("plan-2", "undo more");
    let case = house.requested("olga", plan);
    let own = house.decide("olga", &case, "approve", 1);
    assert_eq!(own.status, StatusCode::FORBIDDEN);
    assert!(own.text.contains("somebody else must decide"), "{}", own.text);
    assert!(house.get("olga", &format!("/cases/{case}")).text.contains("You asked for this"));
    assert_eq!(house.form("otto", &format!("/cases/{case}/withdraw"), &[]).status, StatusCode::FORBIDDEN);
    assert_eq!(house.form("olga", &format!("/cases/{case}/withdraw"), &[]).status, StatusCode::SEE_OTHER);
    assert_eq!(house.decide("anna", &case, "approve", 2).status, StatusCode::CONFLICT);
}

#[test]
fn a_passkey_that_signed_one_decision_is_of_no_use_for_another() {
    let mut house = House::new(1);
    let (plan, _) = house.plan("plan-1", "undo");
    let case = house.requested("otto", plan);
    let mut said = json!({"decision": "refuse", "version": "1"});
    let begun = house.post("anna", &format!("/cases/{case}/decide/begin"), &said).json();
    let device = &mut house.people.get_mut("anna").unwrap().device;
    said["response"] = device.get(&begun["options"]).unwrap();
    said["ceremony"] = begun["id"].clone();
    said["decision"] = json!("approve");
    let turned = house.post("anna", &format!("/cases/{case}/decide/finish"), &said);
    assert_eq!(turned.status, StatusCode::FORBIDDEN, "{}", turned.text);
    let by_another = house.post("ben", &format!("/cases/{case}/decide/finish"), &said);
    assert_eq!(by_another.status, StatusCode::FORBIDDEN, "{}", by_another.text);
    assert!(house.get("anna", &format!("/cases/{case}")).text.contains("0 of 1 approval"));
    // A refusal ends it.
    assert_eq!(house.decide("anna", &case, "refuse", 1).status, StatusCode::OK);
    let page = house.get("otto", &format!("/cases/{case}")).text;
    assert!(page.contains("anna refused it") && !page.contains("<script>alert"));
}

#[test]
fn a_plan_that_was_changed_after_its_approval_is_not_applied() {
    let mut house = House::new(1);
    let (plan, folder) = house.plan("plan-1", "undo");
    let (_, other) = house.plan("plan-2", "delete more");
    let case = house.requested("otto", plan);
    assert_eq!(house.decide("anna", &case, "approve", 1).status, StatusCode::OK);
    let content = files::read(&other.path().join("plan.json")).unwrap();
    files::replace(&folder.path().join("plan.json"), &content).unwrap();
    let refused = house.form("otto", &format!("/cases/{case}/apply"), &[]);
    assert_eq!(refused.status, StatusCode::CONFLICT, "{}", refused.text);
    let page = house.get("otto", &format!("/cases/{case}"));
    assert!(page.text.contains("The plan cannot be used.") && !page.text.contains("Apply now"));
    assert_eq!(house.get("otto", &format!("/plans/{plan}")).status, StatusCode::CONFLICT);
}

#[test]
fn a_form_from_elsewhere_is_refused() {
    let house = House::new(1);
    let (plan, _) = house.plan("plan-1", "undo");
    for csrf in ["", "stale"] {
        let forged = house.form_with("otto", &format!("/plans/{plan}/request"), &[("reason", "")], csrf);
        assert_eq!(forged.status, StatusCode::FORBIDDEN);
    }
    assert!(house.get("otto", "/cases").text.contains("Nothing waits for people"));
    assert_eq!(house.get("otto", "/plans/nonsense").status, StatusCode::NOT_FOUND);
    assert_eq!(house.get("otto", &format!("/plans/{}", "0".repeat(64))).status, StatusCode::NOT_FOUND);
    assert_eq!(house.get("otto", "/cases/..%2f..%2fetc").status, StatusCode::NOT_FOUND);
}

#[test]
fn what_a_killed_process_was_applying_is_gone_on_with() {
    let mut house = House::new(1);
    let (plan, _) = house.plan("plan-1", "undo");
    let case = house.requested("otto", plan);
    assert_eq!(house.decide("anna", &case, "approve", 1).status, StatusCode::OK);
    // The process begins to apply, and is killed: the claim goes with it, the state stays.
    let id = approvals::CaseId::new(&case).unwrap();
    drop(house.site.cases().unwrap().begin(&id).unwrap());
    let draft = service::jobs::JobDraft {
        kind: service::jobs::JobKind::Apply,
        title: "apply: undo".to_owned(),
        by: "otto".to_owned(),
        about: case.clone(),
    };
    let (_go, wait) = std::sync::mpsc::channel::<()>();
    house
        .site
        .jobs
        .start(draft, move |_| {
            wait.recv().ok();
            Ok(())
        })
        .unwrap();
    let killed = house.site.jobs.newest(service::jobs::JobKind::Apply, &case).unwrap().id;
    house.begin_again();
    // Between the start and the first look it is true already that nobody has to ask for it.
    for path in [format!("/jobs/{killed}"), format!("/cases/{case}")] {
        let page = house.get("otto", &path).text;
        assert!(page.contains("goes on by itself") && !page.contains("ask for it again"), "{page}");
        assert!(page.contains(&format!("sse-connect=\"/events/jobs/{killed}\"")), "{page}");
        assert!(!page.contains("Go on with it"), "{page}");
    }
    crate::resume::go_on(&house.site);
    let job = house.site.jobs.newest(service::jobs::JobKind::Apply, &case).unwrap();
    let job = house.ended(job.id);
    let page = house.get("otto", &format!("/jobs/{killed}")).text;
    assert!(
        page.contains(&format!("href=\"/jobs/{}\"", job.id)) && page.contains("went on with it"),
        "{page}"
    );
    assert!(page.contains("See what came of it") && !page.contains("ask for it again"), "{page}");
    assert!(matches!(job.state, JobState::Done { .. }), "{job:?}");
    assert!(house.get("otto", &format!("/cases/{case}")).text.contains("7 of 7 items as planned"));
    let before = house.site.jobs.all().len();
    crate::resume::go_on(&house.site);
    assert_eq!(house.site.jobs.all().len(), before, "it was begun again");
}
