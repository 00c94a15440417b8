//! Mail: an agent's work is undone, and everybody else's stays.

use std::collections::BTreeSet;

use connect::{
    Silent,
    plan::{ApplyMode, Plan, PlanFolder, SourceWriter as _, WriteError},
};
use google_api::ApiSettings;
use google_recovery::{Destination, GoogleWriter, Request, Selection};
use google_tenant::{Effect, Fault, When};
use ports::Clock as _;
use serde_json::{Value, json};
use source_google::{Part, gmail::mailbox_stream};

use crate::{domain::Letters, stage::Stage};

fn stage() -> Stage {
    Stage::new(&[Part::Gmail])
}

fn letters(stage: &Stage) -> Letters {
    stage.domain.letters(&stage.user)
}

fn ids(stage: &Stage, label: &str) -> Vec<String> {
    let letters = letters(stage);
    letters.into_iter().filter(|(_, (labels, _))| labels.contains(label)).map(|(id, _)| id).collect()
}

fn inbox(stage: &Stage) -> Vec<String> {
    ids(stage, "INBOX")
}

fn post(stage: &Stage, path: &str, body: &Value) {
    stage.domain.agent(&stage.user).post(path, body);
}

fn request(stage: &Stage, before: u64, after: u64, now: u64) -> Request {
    stage.request(mailbox_stream(&stage.user).unwrap(), before, after, now)
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
    stage.plan_with(settings, |planner| planner.mail(&request))
}

/// The texts of a mailbox with the labels of each; what has another id now is still the same.
fn texts(letters: &Letters) -> Vec<(&BTreeSet<String>, &[u8])> {
    let mut texts: Vec<_> = letters.values().map(|(labels, text)| (labels, &text[..])).collect();
    texts.sort();
    texts
}

#[test]
fn a_trashed_inbox_goes_back_to_where_it_was() {
    let mut stage = stage();
    let before = letters(&stage);
    let inbox = inbox(&stage);
    assert!(inbox.len() > 20, "{}", inbox.len());
    for id in &inbox[..10] {
        post(&stage, &format!("messages/{id}/trash"), &json!({}));
    }
    post(
        &stage,
        "messages/batchModify",
        &json!({ "ids": inbox[10..], "addLabelIds": ["TRASH"], "removeLabelIds": ["INBOX", "UNREAD"] }),
    );
    let after = stage.capture();
    let (plan, folder) = plan(&mut stage, 1, after, after);
    assert_eq!(plan.counts.reverted as usize, inbox.len());
    assert!(plan.steps[0].title.contains("out of the trash"), "{}", plan.steps[0].title);
    assert_eq!(plan.fidelity.len(), 1);
    let report = stage.apply(&plan, &folder);
    assert_eq!(report.counts.reverted as usize, inbox.len());
    assert_eq!(report.counts.conflicts, 0);
    assert_eq!(letters(&stage), before);
    stage.assert_verified(&plan, &folder);
    let again = stage.apply(&plan, &folder);
    assert_eq!((again.counts.reverted, again.counts.conflicts), (0, 0), "once more changes nothing");
}

#[test]
fn deleted_messages_come_back_once_with_their_text_and_labels() {
    let mut stage = stage();
    let label =
        stage.domain.agent(&stage.user).post("labels", &json!({ "name": "Kept/\u{dc}ber \u{202e}x" }));
    let ids: Vec<String> = letters(&stage).into_keys().collect();
    post(&stage, "messages/batchModify", &json!({ "ids": ids[..30], "addLabelIds": [label["id"]] }));
    let earlier = stage.capture();
    let before = letters(&stage);
    post(&stage, "messages/batchDelete", &json!({ "ids": ids[..25] }));
    stage.domain.agent(&stage.user).delete(&format!("labels/{}", label["id"].as_str().unwrap()));
    let after = stage.capture();
    let (plan, folder) = plan(&mut stage, earlier, after, after);
    assert_eq!((plan.counts.inserted, plan.counts.reverted), (25, 5));
    assert!(plan.losses.iter().any(|loss| loss.target.contains("id")), "what changes is told");
    let report = stage.apply(&plan, &folder);
    assert_eq!((report.counts.inserted, report.counts.conflicts), (25, 0), "{report:#?}");
    assert_eq!(texts(&letters(&stage)), texts(&before));
    stage.assert_verified(&plan, &folder);
    let again = stage.apply(&plan, &folder);
    assert_eq!((again.counts.inserted, again.counts.unchanged), (0, 30));
    assert_eq!(letters(&stage).len(), before.len(), "nothing is there twice");
}

#[test]
fn what_the_owner_did_since_stays() {
    let mut stage = stage();
    let inbox = inbox(&stage);
    let (kept, starred, purged, again) = (&inbox[0], &inbox[1], &inbox[2], &inbox[3]);
    for id in &inbox[..8] {
        post(&stage, &format!("messages/{id}/trash"), &json!({}));
    }
    let after = stage.capture();
    post(&stage, &format!("messages/{kept}/untrash"), &json!({}));
    post(&stage, &format!("messages/{starred}/modify"), &json!({ "addLabelIds": ["STARRED"] }));
    stage.domain.agent(&stage.user).delete(&format!("messages/{purged}"));
    post(&stage, &format!("messages/{again}/untrash"), &json!({}));
    stage.capture();
    post(&stage, &format!("messages/{again}/trash"), &json!({}));
    let now = stage.capture();
    let (plan, folder) = plan(&mut stage, 1, after, now);
    let conflicts: BTreeSet<&str> = plan.conflicts.iter().map(|conflict| conflict.key.as_str()).collect();
    assert!(conflicts.contains(purged.as_str()) && conflicts.contains(again.as_str()), "{conflicts:?}");

    // Between plan and application the owner goes on.
    let late = &inbox[4];
    post(&stage, &format!("messages/{late}/untrash"), &json!({}));
    post(&stage, &format!("messages/{late}/trash"), &json!({}));
    let report = stage.apply(&plan, &folder);
    assert_eq!(report.counts.conflicts, 1, "{report:#?}");
    assert_eq!(report.conflicts[0].key, *late);
    let letters = letters(&stage);
    let labels = |id: &String| &letters[id].0;
    assert!(labels(starred).contains("STARRED") && labels(starred).contains("INBOX"));
    assert!(!labels(starred).contains("TRASH"));
    assert!(labels(late).contains("TRASH") && labels(again).contains("TRASH"));
    assert!(!letters.contains_key(purged));
    for id in &inbox[5..8] {
        assert!(labels(id).contains("INBOX") && !labels(id).contains("TRASH"));
    }
}

#[test]
fn a_restore_that_breaks_off_goes_on_without_twins() {
    let mut stage = stage();
    let before = letters(&stage);
    let ids: Vec<String> = before.keys().cloned().collect();
    post(&stage, "messages/batchDelete", &json!({ "ids": ids[..40] }));
    let after = stage.capture();
    let (plan, folder) = plan(&mut stage, 1, after, after);
    stage.domain.running.with_tenant(|tenant| {
        // The first answer is lost after the message went in; then the service is gone.
        tenant.fault(Fault::new("gmail.users.messages.insert", When::Nth(5), Effect::Lost));
        tenant.fault(Fault::new("gmail.users.messages.insert", When::Nth(21), Effect::Lost));
        tenant.fault(Fault::new("gmail.users.messages.list", When::Nth(30), Effect::Backend(500)));
    });
    for _ in 0..3 {
        stage.try_apply(&plan, &folder, ApplyMode::Lasting).ok();
    }
    stage.domain.running.with_tenant(google_tenant::Tenant::lift_faults);
    // Whoever kills it before it could write down what it did loses the end of the journal as well.
    let journal = folder.path().join("applied.jsonl");
    let text = std::fs::read_to_string(&journal).unwrap();
    ports::files::replace(&journal, &text.as_bytes()[..text.len() - 40]).unwrap();
    let report = stage.apply(&plan, &folder);
    assert_eq!(report.counts.conflicts, 0, "{report:#?}");
    assert_eq!(texts(&letters(&stage)), texts(&before));
    stage.assert_verified(&plan, &folder);
}

#[test]
fn a_rehearsal_changes_nothing() {
    let mut stage = stage();
    let inbox = inbox(&stage);
    post(&stage, "messages/batchDelete", &json!({ "ids": inbox[..3] }));
    post(&stage, &format!("messages/{}/trash", inbox[5]), &json!({}));
    let after = stage.capture();
    let (plan, folder) = plan(&mut stage, 1, after, after);
    let before = letters(&stage);
    let report = stage.try_apply(&plan, &folder, ApplyMode::Rehearsal).unwrap();
    assert_eq!((report.counts.inserted, report.counts.reverted), (3, 1));
    assert_eq!(letters(&stage), before);
}

#[test]
fn an_identity_that_may_not_write_is_told_what_it_lacks() {
    let mut stage = stage();
    let inbox = inbox(&stage);
    post(&stage, &format!("messages/{}/trash", inbox[0]), &json!({}));
    let after = stage.capture();
    let (plan, folder) = plan(&mut stage, 1, after, after);
    stage.domain.running.with_tenant(|tenant| {
        let id = tenant.service_accounts().nth(1).unwrap().client_id.clone();
        tenant.delegate(&id, [google_tenant::scopes::GMAIL_LABELS]);
    });
    let error = stage.try_apply(&plan, &folder, ApplyMode::Lasting).unwrap_err();
    assert!(matches!(error, WriteError::Privilege { .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("gmail.modify"), "{:?}", error.hint());
}

#[test]
fn the_time_that_a_plan_states_is_the_time_that_it_takes() {
    let mut stage = stage();
    let ids: Vec<String> = letters(&stage).into_keys().collect();
    post(&stage, "messages/batchDelete", &json!({ "ids": ids[..60] }));
    let inbox = inbox(&stage);
    for id in &inbox[..10] {
        post(&stage, &format!("messages/{id}/trash"), &json!({}));
    }
    let after = stage.capture();
    stage.domain.clock.advance_micros(600_000_000);
    let mut slow = stage.settings();
    for pool in slow.pools.values_mut() {
        (pool.units, pool.burst) = (600, 100);
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

#[test]
fn a_mailbox_comes_to_another_user_once_beside_what_is_there() {
    let mut stage = stage();
    let (was, other) = (letters(&stage), stage.other.clone());
    let own = stage.domain.letters(&other);
    let request =
        Request { destination: Destination::OtherUser { email: other.clone() }, ..request(&stage, 1, 1, 1) };
    let settings = stage.settings();
    let (plan, folder) = stage.plan_with(&settings, |planner| planner.mail(&request));
    assert_eq!(plan.counts.inserted as usize, was.len());
    assert!(plan.subject.title.contains(&other) && plan.destination == other, "{:?}", plan.subject);
    stage.apply(&plan, &folder);
    stage.assert_verified(&plan, &folder);
    let again = stage.apply(&plan, &folder);
    assert_eq!((again.counts.inserted, again.counts.unchanged as usize), (0, was.len()));

    let now = stage.domain.letters(&other);
    let came: Vec<_> = now.iter().filter(|(id, _)| !own.contains_key(*id)).collect();
    for (id, letter) in &own {
        assert_eq!(now.get(id), Some(letter), "what was there is as it was");
    }
    let mut expected: Vec<&[u8]> = was.values().map(|(_, text)| &text[..]).collect();
    let mut found: Vec<&[u8]> = came.iter().map(|(_, (_, text))| &text[..]).collect();
    expected.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, expected);
    let origin = format!("From {}", stage.user);
    let labels = |name: &str| came.iter().filter(|(_, (labels, _))| labels.contains(name)).count();
    assert_eq!(labels(&origin), came.len());
    let inbox = was.values().filter(|(labels, _)| labels.contains("INBOX")).count();
    assert_eq!(labels("INBOX"), inbox);
    assert_eq!(letters(&stage), was, "whose mail it is keeps it");
}

#[test]
fn only_the_chosen_messages_come_back() {
    let mut stage = stage();
    let inbox = inbox(&stage);
    post(&stage, "messages/batchDelete", &json!({ "ids": inbox[..3] }));
    let after = stage.capture();
    let chosen = Selection { keys: vec![format!("message/{}", inbox[1])], ..Selection::default() };
    let request = Request { selection: chosen, ..request(&stage, 1, after, after) };
    let settings = stage.settings();
    let (plan, _) = stage.plan_with(&settings, |planner| planner.mail(&request));
    assert_eq!((plan.counts.inserted, plan.counts.unchanged), (1, 0));
}
