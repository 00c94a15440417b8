//! Mail: an agent's work is undone, and everybody else's stays.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use connect::{
    Silent, Stop,
    plan::{AppliedReport, ApplyMode, Plan, PlanFolder, SourceWriter as _, WriteError},
    testing::MemorySink,
};
use connect_http::{HttpSettings, HttpTransport, TokenCache, Transport};
use google_api::{ApiParts, ApiSettings, ServiceAccountKey, ServiceAccountTokens, WriteApi};
use google_recovery::{Destination, GoogleWriter, Heading, Planner, Request, Selection, Window};
use google_tenant::{Effect, Fault, When};
use model::{Moment, Redacted};
use ports::{Clock as _, SeededRandom};
use serde_json::{Value, json};
use source_google::{Part, gmail::mailbox_stream};

use crate::{
    domain::{Domain, Letters},
    history::MemoryHistory,
};

struct Stage {
    domain: Domain,
    sink: MemorySink,
    history: MemoryHistory,
    user: String,
    folder: tempfile::TempDir,
    plans: u32,
}

impl Stage {
    fn new() -> Self {
        let domain = Domain::start(&[Part::Gmail]);
        let user = domain.users()[1].clone();
        let mut stage = Self {
            domain,
            sink: MemorySink::new(),
            history: MemoryHistory::default(),
            user,
            folder: tempfile::tempdir().unwrap(),
            plans: 0,
        };
        stage.capture();
        stage
    }

    fn capture(&mut self) -> u64 {
        self.domain.capture(&mut self.sink);
        self.history.note(&self.sink)
    }

    fn letters(&self) -> Letters {
        self.domain.letters(&self.user)
    }

    fn ids(&self, label: &str) -> Vec<String> {
        let letters = self.letters();
        letters.into_iter().filter(|(_, (labels, _))| labels.contains(label)).map(|(id, _)| id).collect()
    }

    fn post(&self, path: &str, body: &Value) {
        self.domain.agent(&self.user).post(path, body);
    }

    fn settings(&self) -> ApiSettings {
        ApiSettings { address: Some(self.domain.running.url().to_owned()), ..ApiSettings::default() }
    }

    fn plan(&mut self, before: u64, after: u64, now: u64) -> (Plan, PlanFolder) {
        let settings = self.settings();
        self.plan_with(before, after, now, &settings)
    }

    fn plan_with(&mut self, before: u64, after: u64, now: u64, settings: &ApiSettings) -> (Plan, PlanFolder) {
        let request = self.request(before, after, now);
        self.plan_request(&request, settings)
    }

    fn request(&self, before: u64, after: u64, now: u64) -> Request {
        Request {
            account: self.user.clone(),
            stream: mailbox_stream(&self.user).unwrap(),
            window: Window {
                before: (before, Moment::from_micros(0)),
                after: (after, Moment::from_micros(1)),
                now,
            },
            destination: Destination::InPlace,
            selection: Selection::default(),
        }
    }

    fn plan_request(&mut self, request: &Request, settings: &ApiSettings) -> (Plan, PlanFolder) {
        self.plans += 1;
        let folder = PlanFolder::new(self.folder.path().join(self.plans.to_string()));
        let heading =
            Heading { id: "test".to_owned(), source: "acme".to_owned(), made_at: Moment::from_micros(2) };
        let mut planner = Planner::new(&self.history, &folder, settings, 4);
        planner.mail(request).unwrap();
        let plan = planner.finish(&heading).unwrap();
        folder.write(&plan).unwrap();
        (plan, folder)
    }

    fn api(&self) -> WriteApi {
        self.api_with(self.settings())
    }

    fn api_with(&self, settings: ApiSettings) -> WriteApi {
        let text = self.domain.running.with_tenant(|tenant| {
            let email = tenant.service_accounts().nth(1).unwrap().email.clone();
            tenant.key_file(&email).unwrap()
        });
        let key = ServiceAccountKey::of_json(&Redacted::new(text)).unwrap();
        let client_id = key.client_id.clone();
        let transport: Arc<dyn Transport> = Arc::new(HttpTransport::new(HttpSettings::default()).unwrap());
        let clock = Arc::clone(&self.domain.clock) as Arc<dyn ports::Clock>;
        let source = ServiceAccountTokens::new(key, Arc::clone(&transport), Arc::clone(&clock));
        let parts = ApiParts {
            transport,
            tokens: Arc::new(TokenCache::new(Arc::new(source), Arc::clone(&clock), Duration::from_mins(5))),
            client_id,
            clock,
            random: Arc::new(SeededRandom::new(3)),
            stop: Stop::default(),
        };
        WriteApi::new(parts, settings)
    }

    fn try_apply(
        &self,
        plan: &Plan,
        folder: &PlanFolder,
        mode: ApplyMode,
    ) -> Result<AppliedReport, WriteError> {
        let api = self.api();
        let mut writer = GoogleWriter::new(&api, &self.history, folder.path().join("applied.jsonl"), 4);
        writer.apply(plan, folder, mode, &Silent)
    }

    fn apply(&self, plan: &Plan, folder: &PlanFolder) -> AppliedReport {
        self.try_apply(plan, folder, ApplyMode::Lasting).unwrap()
    }

    #[track_caller]
    fn assert_verified(&self, plan: &Plan, folder: &PlanFolder) {
        let api = self.api();
        let mut writer = GoogleWriter::new(&api, &self.history, folder.path().join("applied.jsonl"), 4);
        let verification = writer.verify(plan, folder, &Silent).unwrap();
        assert!(verification.is_good(), "{verification:#?}");
    }
}

/// The texts of a mailbox with the labels of each; what has another id now is still the same.
fn texts(letters: &Letters) -> Vec<(&BTreeSet<String>, &[u8])> {
    let mut texts: Vec<_> = letters.values().map(|(labels, text)| (labels, &text[..])).collect();
    texts.sort();
    texts
}

#[test]
fn a_trashed_inbox_goes_back_to_where_it_was() {
    let mut stage = Stage::new();
    let before = stage.letters();
    let inbox = stage.ids("INBOX");
    assert!(inbox.len() > 20, "{}", inbox.len());
    for id in &inbox[..10] {
        stage.post(&format!("messages/{id}/trash"), &json!({}));
    }
    stage.post(
        "messages/batchModify",
        &json!({ "ids": inbox[10..], "addLabelIds": ["TRASH"], "removeLabelIds": ["INBOX", "UNREAD"] }),
    );
    let after = stage.capture();
    let (plan, folder) = stage.plan(1, after, after);
    assert_eq!(plan.counts.reverted as usize, inbox.len());
    assert!(plan.steps[0].title.contains("out of the trash"), "{}", plan.steps[0].title);
    assert_eq!(plan.fidelity.len(), 1);
    let report = stage.apply(&plan, &folder);
    assert_eq!(report.counts.reverted as usize, inbox.len());
    assert_eq!(report.counts.conflicts, 0);
    assert_eq!(stage.letters(), before);
    stage.assert_verified(&plan, &folder);
    let again = stage.apply(&plan, &folder);
    assert_eq!((again.counts.reverted, again.counts.conflicts), (0, 0), "once more changes nothing");
}

#[test]
fn deleted_messages_come_back_once_with_their_text_and_labels() {
    let mut stage = Stage::new();
    let label =
        stage.domain.agent(&stage.user).post("labels", &json!({ "name": "Kept/\u{dc}ber \u{202e}x" }));
    let ids: Vec<String> = stage.letters().into_keys().collect();
    stage.post("messages/batchModify", &json!({ "ids": ids[..30], "addLabelIds": [label["id"]] }));
    let earlier = stage.capture();
    let before = stage.letters();
    stage.post("messages/batchDelete", &json!({ "ids": ids[..25] }));
    stage.domain.agent(&stage.user).delete(&format!("labels/{}", label["id"].as_str().unwrap()));
    let after = stage.capture();
    let (plan, folder) = stage.plan(earlier, after, after);
    assert_eq!((plan.counts.inserted, plan.counts.reverted), (25, 5));
    assert!(plan.losses.iter().any(|loss| loss.target.contains("id")), "what changes is told");
    let report = stage.apply(&plan, &folder);
    assert_eq!((report.counts.inserted, report.counts.conflicts), (25, 0), "{report:#?}");
    assert_eq!(texts(&stage.letters()), texts(&before));
    stage.assert_verified(&plan, &folder);
    let again = stage.apply(&plan, &folder);
    assert_eq!((again.counts.inserted, again.counts.unchanged), (0, 30));
    assert_eq!(stage.letters().len(), before.len(), "nothing is there twice");
}

#[test]
fn what_the_owner_did_since_stays() {
    let mut stage = Stage::new();
    let inbox = stage.ids("INBOX");
    let (kept, starred, purged, again) = (&inbox[0], &inbox[1], &inbox[2], &inbox[3]);
    for id in &inbox[..8] {
        stage.post(&format!("messages/{id}/trash"), &json!({}));
    }
    let after = stage.capture();
    stage.post(&format!("messages/{kept}/untrash"), &json!({}));
    stage.post(&format!("messages/{starred}/modify"), &json!({ "addLabelIds": ["STARRED"] }));
    stage.domain.agent(&stage.user).delete(&format!("messages/{purged}"));
    stage.post(&format!("messages/{again}/untrash"), &json!({}));
    stage.capture();
    stage.post(&format!("messages/{again}/trash"), &json!({}));
    let now = stage.capture();
    let (plan, folder) = stage.plan(1, after, now);
    let conflicts: BTreeSet<&str> = plan.conflicts.iter().map(|conflict| conflict.key.as_str()).collect();
    assert!(conflicts.contains(purged.as_str()) && conflicts.contains(again.as_str()), "{conflicts:?}");

    // Between plan and application the owner goes on.
    let late = &inbox[4];
    stage.post(&format!("messages/{late}/untrash"), &json!({}));
    stage.post(&format!("messages/{late}/trash"), &json!({}));
    let report = stage.apply(&plan, &folder);
    assert_eq!(report.counts.conflicts, 1, "{report:#?}");
    assert_eq!(report.conflicts[0].key, *late);
    let letters = stage.letters();
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
    let mut stage = Stage::new();
    let before = stage.letters();
    let ids: Vec<String> = before.keys().cloned().collect();
    stage.post("messages/batchDelete", &json!({ "ids": ids[..40] }));
    let after = stage.capture();
    let (plan, folder) = stage.plan(1, after, after);
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
    assert_eq!(texts(&stage.letters()), texts(&before));
    stage.assert_verified(&plan, &folder);
}

#[test]
fn a_rehearsal_changes_nothing() {
    let mut stage = Stage::new();
    let inbox = stage.ids("INBOX");
    stage.post("messages/batchDelete", &json!({ "ids": inbox[..3] }));
    stage.post(&format!("messages/{}/trash", inbox[5]), &json!({}));
    let after = stage.capture();
    let (plan, folder) = stage.plan(1, after, after);
    let before = stage.letters();
    let report = stage.try_apply(&plan, &folder, ApplyMode::Rehearsal).unwrap();
    assert_eq!((report.counts.inserted, report.counts.reverted), (3, 1));
    assert_eq!(stage.letters(), before);
}

#[test]
fn an_identity_that_may_not_write_is_told_what_it_lacks() {
    let mut stage = Stage::new();
    let inbox = stage.ids("INBOX");
    stage.post(&format!("messages/{}/trash", inbox[0]), &json!({}));
    let after = stage.capture();
    let (plan, folder) = stage.plan(1, after, after);
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
    let mut stage = Stage::new();
    let ids: Vec<String> = stage.letters().into_keys().collect();
    stage.post("messages/batchDelete", &json!({ "ids": ids[..60] }));
    let inbox = stage.ids("INBOX");
    for id in &inbox[..10] {
        stage.post(&format!("messages/{id}/trash"), &json!({}));
    }
    let after = stage.capture();
    stage.domain.clock.advance_micros(600_000_000);
    let mut slow = stage.settings();
    for pool in slow.pools.values_mut() {
        (pool.units, pool.burst) = (600, 100);
    }
    let (plan, folder) = stage.plan_with(1, after, after, &slow);
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
    let mut stage = Stage::new();
    let (was, other) = (stage.letters(), stage.domain.users()[2].clone());
    let own = stage.domain.letters(&other);
    let request =
        Request { destination: Destination::OtherUser { email: other.clone() }, ..stage.request(1, 1, 1) };
    let settings = stage.settings();
    let (plan, folder) = stage.plan_request(&request, &settings);
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
    assert_eq!(stage.letters(), was, "whose mail it is keeps it");
}

#[test]
fn only_the_chosen_messages_come_back() {
    let mut stage = Stage::new();
    let inbox = stage.ids("INBOX");
    stage.post("messages/batchDelete", &json!({ "ids": inbox[..3] }));
    let after = stage.capture();
    let chosen = Selection { keys: vec![format!("message/{}", inbox[1])] };
    let request = Request { selection: chosen, ..stage.request(1, after, after) };
    let settings = stage.settings();
    let (plan, _) = stage.plan_request(&request, &settings);
    assert_eq!((plan.counts.inserted, plan.counts.unchanged), (1, 0));
}
