mod clocks;
mod damage;

use std::{
    collections::BTreeMap,
    sync::{
        Barrier, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use approvals::Weakening;
use connect::{Stored, plan::Bundle};
use model::Moment;
use ports::{ManualClock, SeededRandom, files};
use vault::time::VaultClock;

use super::*;
use crate::{
    Place,
    approval::{NoPasskeys, Quorum, approvers_of},
    config::{FILE_NAME, RestoreConfig, VaultConfig},
    signature::SigningKey,
    watching::WatchConfig,
};

/// Records steps, or cannot.
#[derive(Default)]
struct Log {
    away: AtomicBool,
    steps: Mutex<Vec<(String, Step)>>,
}

impl CaseLog for Log {
    fn record(&self, key: &str, step: &Step) -> Result<(), crate::ServiceError> {
        if self.away.load(Ordering::SeqCst) {
            return Err(crate::ServiceError::NoRestoreKey);
        }
        self.steps.lock().unwrap().push((key.to_owned(), step.clone()));
        Ok(())
    }
}

impl Log {
    /// Returns case, version and state of what was recorded.
    fn told(&self) -> Vec<String> {
        let steps = self.steps.lock().unwrap();
        steps.iter().map(|(key, step)| format!("{key} {}", step.case.state.word())).collect()
    }
}

struct Home {
    folder: tempfile::TempDir,
    clock: Arc<ManualClock>,
    random: Arc<SeededRandom>,
    log: Arc<Log>,
    keys: BTreeMap<&'static str, SigningKey>,
}

impl Home {
    fn new(needed: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let random = Arc::new(SeededRandom::new(1));
        let keys: BTreeMap<&'static str, SigningKey> = ["anna", "ben", "cleo"]
            .map(|name| (name, SigningKey::create(&folder.path().join(name), &*random).unwrap()))
            .into();
        let config = Config {
            vault: VaultConfig {
                capture_key: "file:k".to_owned(),
                place: Place::Folder { path: "vault".into(), immutable_flags: false },
            },
            restore: RestoreConfig::default(),
            approvers: keys.iter().map(|(name, key)| ((*name).to_owned(), key.public())).collect(),
            approvals: approvals::Policy {
                needed,
                weakening_delay_s: 100,
                let_in_delay_s: 0,
                lifetime_s: 1_000,
            },
            mirrors: BTreeMap::new(),
            witnesses: BTreeMap::new(),
            watch: WatchConfig::default(),
            server: crate::config::ServerConfig::default(),
            telemetry: crate::telemetry::TelemetryConfig::default(),
            drills: drill::DrillsConfig::default(),
            sources: BTreeMap::new(),
        };
        config.write(folder.path()).unwrap();
        let clock = Arc::new(ManualClock::new(Moment::from_micros(0)));
        let home = Self { folder, clock, random, log: Arc::default(), keys };
        home.remember_time();
        home
    }

    /// Looks at the time as whoever opens the vault does.
    fn remember_time(&self) {
        let memory = Box::new(time_memory(self.folder.path()));
        VaultClock::new(self.clock.clone(), Vec::new(), memory).read(None).unwrap();
    }

    /// Opens the cases as another process would.
    fn cases(&self) -> Cases {
        let ports = Ports {
            clock: self.clock.clone(),
            random: self.random.clone(),
            tracing: ports::Tracing::default(),
        };
        Cases::at(self.folder.path(), ports, Arc::new(NoPasskeys), self.log.clone())
    }

    fn plan(&self) -> PathBuf {
        let folder = self.folder.path().join("plan");
        if !folder.exists() {
            let at = Moment::from_micros(0);
            let bundle = Bundle::new("7".to_owned(), "the orders".to_owned(), at, Vec::new(), Vec::new());
            PlanFolder::new(&folder).write_bundle(&bundle).unwrap();
        }
        folder
    }

    fn requested(&self, by: Principal) -> CaseId {
        self.cases().request_restore(&self.plan(), by, "they are gone").unwrap().case.id
    }

    fn weakening(&self) -> CaseId {
        let subject = Subject::Weakening(Weakening::LiftHold { hold: "7".to_owned() });
        self.cases().request(subject, person("anna"), "").unwrap().case.id
    }

    fn decide(&self, id: &CaseId, who: &str, decision: Decision) -> Result<Step, CaseError> {
        let cases = self.cases();
        let proof = Proof::sign(&self.keys[who], &cases.statement(id, decision)?);
        cases.decide(id, decision, "", &proof)
    }

    fn approve(&self, id: &CaseId, who: &str) -> Result<Step, CaseError> {
        self.decide(id, who, Decision::Approve)
    }

    fn second(&self, seconds: i64) {
        self.clock.advance_micros(seconds * 1_000_000);
    }

    fn file(&self, id: &CaseId) -> PathBuf {
        self.folder.path().join(format!("state/cases/cases/{id}.json"))
    }

    fn reconfigure(&self, change: impl FnOnce(&mut Config)) {
        let mut config = Config::read(self.folder.path()).unwrap();
        change(&mut config);
        config.write(self.folder.path()).unwrap();
    }
}

fn person(name: &str) -> Principal {
    Principal::Person(name.to_owned())
}

fn service() -> Principal {
    Principal::Service("agent".to_owned())
}

#[test]
fn a_plan_is_asked_for_approved_by_two_applied_once_and_all_of_it_recorded() {
    let home = Home::new(2);
    let id = home.requested(person("anna"));
    let again = home.cases().request_restore(&home.plan(), service(), "");
    assert!(matches!(again, Err(CaseError::Asked { .. })));
    assert!(matches!(home.approve(&id, "anna"), Err(CaseError::Refused(Refusal::Requester { .. }))));
    home.approve(&id, "ben").unwrap();
    let early = home.cases().begin(&id).err().unwrap();
    assert_eq!(early.to_string(), "1 of 2 approvals");
    home.approve(&id, "cleo").unwrap();

    let application = home.cases().begin(&id).unwrap();
    assert!(matches!(home.cases().begin(&id), Err(CaseError::Running { .. })));
    let plan = PlanFolder::new(home.plan()).read_document(None).unwrap().hash().unwrap();
    let config = Config::read(home.folder.path()).unwrap();
    let quorum = Quorum { needed: 2, ..Quorum::one_of(&config.approvers) };
    assert_eq!(approvers_of(plan, &home.plan(), &quorum).unwrap(), ["ben", "cleo"]);
    application.finish(true).unwrap();
    assert!(matches!(home.cases().begin(&id), Err(CaseError::Refused(Refusal::Over { .. }))));

    let states = ["1 waiting", "2 waiting", "3 approved", "4 applying", "5 applied"];
    assert_eq!(home.log.told(), states.map(|state| format!("{id}/{state}")));
    assert_eq!(home.cases().of_plan(plan).unwrap().unwrap().id, id);
    assert_eq!(home.cases().record_pending().unwrap(), 0);
}

#[test]
fn people_who_approve_at_once_are_all_counted() {
    for _ in 0..20 {
        let home = Home::new(3);
        let id = home.requested(service());
        let start = Barrier::new(3);
        std::thread::scope(|scope| {
            for who in ["anna", "ben", "cleo"] {
                let (home, id, start) = (&home, &id, &start);
                scope.spawn(move || {
                    start.wait();
                    home.approve(id, who).unwrap();
                });
            }
        });
        let case = home.cases().get(&id).unwrap();
        assert_eq!(case.approvers().len(), 3);
        assert!(matches!(case.state, State::Approved { .. }));
        home.cases().record_pending().unwrap();
        let mut recorded = home.log.told();
        recorded.sort();
        recorded.dedup();
        assert_eq!(recorded.len(), 4, "{recorded:?}");
    }
}

#[test]
fn of_processes_that_begin_at_once_one_applies_and_a_killed_one_is_followed_by_another() {
    let home = Home::new(1);
    let id = home.requested(service());
    home.approve(&id, "ben").unwrap();
    let (start, end) = (Barrier::new(8), Barrier::new(8));
    let begun: Vec<Application> = std::thread::scope(|scope| {
        let tries: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    let begun = home.cases().begin(&id);
                    // Everybody has tried before the one that won may end.
                    end.wait();
                    begun.ok()
                })
            })
            .collect();
        tries.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(begun.len(), 1);
    // The process dies: its claim goes with it, and what it began is gone on with.
    drop(begun);
    home.second(100_000);
    let application = home.cases().begin(&id).unwrap();
    assert!(matches!(application.case().state, State::Applying { begun: 2, .. }));
    assert!(matches!(application.finish(false).unwrap().case.state, State::Applied { verified: false, .. }));
}

#[test]
fn an_application_that_cannot_be_done_ends_as_failed() {
    let home = Home::new(1);
    let id = home.requested(service());
    home.approve(&id, "ben").unwrap();
    assert!(matches!(home.cases().abandon(&id, "no"), Err(CaseError::NotBegun { .. })));
    home.cases().begin(&id).unwrap().fail("the table is another one").unwrap();
    assert!(matches!(home.cases().get(&id).unwrap().state, State::Failed { .. }));
    assert!(home.cases().begin(&id).is_err());
}

#[test]
fn what_a_killed_process_began_can_be_given_up_and_a_living_one_keeps_it() {
    let home = Home::new(1);
    let id = home.requested(service());
    home.approve(&id, "ben").unwrap();
    let application = home.cases().begin(&id).unwrap();
    assert!(matches!(home.cases().abandon(&id, "too slow"), Err(CaseError::Running { .. })));
    drop(application);
    let step = home.cases().abandon(&id, "production is gone").unwrap();
    assert!(matches!(&step.case.state, State::Failed { why, .. } if why == "production is gone"));
}

#[test]
fn what_makes_protection_less_waits_and_everybody_is_told() {
    let home = Home::new(1);
    let id = home.weakening();
    let told = home.approve(&id, "ben").unwrap().notices;
    assert!(told.iter().any(|notice| notice.urgent && notice.to == approvals::Audience::Everybody));
    home.second(99);
    assert!(matches!(home.cases().begin(&id), Err(CaseError::Refused(Refusal::Delay { .. }))));
    home.second(1);
    drop(home.cases().begin(&id).unwrap());

    let id = home.weakening();
    home.approve(&id, "ben").unwrap();
    home.decide(&id, "cleo", Decision::Refuse).unwrap();
    home.second(100);
    assert!(matches!(home.cases().begin(&id), Err(CaseError::Refused(Refusal::Over { .. }))));
}

#[test]
fn without_the_vault_steps_count_and_are_recorded_in_order_once_it_is_back() {
    let home = Home::new(2);
    let id = home.requested(service());
    home.log.away.store(true, Ordering::SeqCst);
    home.approve(&id, "ben").unwrap();
    home.approve(&id, "cleo").unwrap();
    assert_eq!(home.cases().record_pending().unwrap(), 2);
    assert_eq!(home.log.told().len(), 1);
    home.log.away.store(false, Ordering::SeqCst);
    assert_eq!(home.cases().record_pending().unwrap(), 0);
    assert_eq!(home.cases().record_pending().unwrap(), 0);
    let states = ["1 waiting", "2 waiting", "3 approved"];
    assert_eq!(home.log.told(), states.map(|state| format!("{id}/{state}")));
}

#[test]
fn a_full_disk_refuses_a_step_and_leaves_the_case_as_it_was() {
    let home = Home::new(1);
    let id = home.requested(service());
    let before = home.cases().get(&id).unwrap();
    let draft = home.file(&id).with_extension("json.draft");
    std::os::unix::fs::symlink("/dev/full", &draft).unwrap();
    match home.approve(&id, "ben") {
        Err(CaseError::File(error)) => assert!(error.is_full(), "{error:?}"),
        other => panic!("{other:?}"),
    }
    std::fs::remove_file(&draft).unwrap();
    // The step was announced and did not happen: it is in no log, and another may take its place.
    assert_eq!(home.cases().get(&id).unwrap(), before);
    assert_eq!(home.cases().record_pending().unwrap(), 0);
    assert_eq!(home.log.told(), [format!("{id}/1 waiting")]);
    home.decide(&id, "cleo", Decision::Refuse).unwrap();
    assert_eq!(home.log.told()[1], format!("{id}/2 refused"));
}

#[test]
fn a_crash_between_two_writes_leaves_one_state_or_the_other() {
    let home = Home::new(1);
    let id = home.requested(service());
    let announced = home.folder.path().join(format!("state/cases/unrecorded/{id}.2.json"));
    home.log.away.store(true, Ordering::SeqCst);
    let step = home.approve(&id, "ben").unwrap();
    let first = step.case.clone();
    home.log.away.store(false, Ordering::SeqCst);

    // As after a crash before the case was replaced: the announcement alone is there, and half a draft.
    let mut old = first;
    (old.version, old.state, old.decisions) = (1, State::Waiting, Vec::new());
    files::replace(&home.file(&id), &serde_json::to_vec(&old).unwrap()).unwrap();
    std::fs::File::create(home.file(&id).with_extension("json.draft")).unwrap();
    assert!(announced.exists());
    assert_eq!(home.cases().get(&id).unwrap(), old);
    assert_eq!(home.cases().record_pending().unwrap(), 0);
    assert!(!announced.exists());
    assert_eq!(home.log.told(), [format!("{id}/1 waiting")]);

    // As after a crash right after it was replaced: the step is there, and is recorded with the next.
    home.log.away.store(true, Ordering::SeqCst);
    home.approve(&id, "ben").unwrap();
    home.log.away.store(false, Ordering::SeqCst);
    home.approve(&id, "cleo").unwrap();
    let states = ["1 waiting", "2 approved", "3 approved"];
    assert_eq!(home.log.told(), states.map(|state| format!("{id}/{state}")));
}

#[test]
fn a_step_is_never_written_over_another_version_than_it_was_made_from() {
    let home = Home::new(1);
    let id = home.requested(service());
    let store = CaseStore::of(home.folder.path());
    let case = store.get(&id).unwrap();
    let mut step = Step { case: case.clone(), notices: Vec::new() };
    step.case.version = 3;
    assert!(matches!(store.set(Some(2), &step), Err(CaseError::Changed { .. })));
    assert!(matches!(store.set(None, &step), Err(CaseError::Changed { .. })));
    assert_eq!(store.get(&id).unwrap(), case);
}

#[test]
fn signatures_are_checked_again_before_anything_begins() {
    let home = Home::new(1);
    let id = home.requested(service());
    home.approve(&id, "ben").unwrap();
    let good = files::read_text(&home.file(&id)).unwrap();
    // Somebody who can write the file says that somebody else approved.
    files::replace(&home.file(&id), good.replace("\"ben\"", "\"cleo\"").as_bytes()).unwrap();
    assert!(matches!(home.cases().begin(&id), Err(CaseError::Unsound { .. })));
    files::replace(&home.file(&id), good.as_bytes()).unwrap();
    // The key does not count any more.
    home.reconfigure(|config| drop(config.approvers.remove("ben")));
    assert!(matches!(home.cases().begin(&id), Err(CaseError::Unsound { .. })));
    assert!(matches!(home.approve(&id, "ben"), Err(CaseError::Proof(ProofError::UnknownKey { .. }))));
}

#[test]
fn a_signature_over_another_decision_or_case_is_not_one_over_this() {
    let home = Home::new(1);
    let (id, other) = (home.requested(service()), home.weakening());
    let cases = home.cases();
    for said in [cases.statement(&other, Decision::Approve), cases.statement(&id, Decision::Refuse)] {
        let proof = Proof::sign(&home.keys["ben"], &said.unwrap());
        let decided = cases.decide(&id, Decision::Approve, "", &proof);
        assert!(matches!(decided, Err(CaseError::Proof(ProofError::Signature { .. }))));
    }
}

#[test]
fn a_withdrawn_case_is_over_and_its_plan_may_be_asked_for_anew() {
    let home = Home::new(1);
    let id = home.requested(service());
    assert!(matches!(
        home.cases().withdraw(&id, person("ben")),
        Err(CaseError::Refused(Refusal::NotTheRequester { .. }))
    ));
    home.cases().withdraw(&id, service()).unwrap();
    assert!(home.approve(&id, "ben").is_err());
    assert_ne!(home.requested(service()), id);
}

#[test]
fn the_vault_s_log_has_each_step_also_after_the_vault_was_away() {
    let folder = tempfile::tempdir().unwrap();
    let ports = Ports {
        clock: Arc::new(ManualClock::new(Moment::from_micros(1_750_000_000_000_000))),
        random: Arc::new(SeededRandom::new(1)),
        tracing: ports::Tracing::default(),
    };
    let place = Place::Folder { path: "vault".into(), immutable_flags: false };
    let request = crate::installation::InitRequest { place, lock_days: 30 };
    Installation::init(folder.path(), &request, &ports, &|_| None).unwrap();
    let installation = Installation::open(folder.path(), ports).unwrap();
    let log = VaultLog::of(&installation, Arc::new(|_: &str| None)).unwrap();
    let cases = Cases::of(&installation, Arc::new(NoPasskeys), Arc::new(log));

    let subject = Subject::Weakening(Weakening::LetIn { incident: 7 });
    let step = cases.request(subject, person("anna"), "").unwrap();
    let id = step.case.id.clone();
    let (vault, away) = (folder.path().join("vault"), folder.path().join("away"));
    #[expect(clippy::disallowed_methods, reason = "somebody takes the vault's disk away")]
    let rename = |from: &Path, to: &Path| std::fs::rename(from, to).unwrap();
    rename(&vault, &away);
    cases.withdraw(&id, person("anna")).unwrap();
    assert_eq!(cases.record_pending().unwrap(), 1);
    if vault.exists() {
        std::fs::remove_dir(&vault).unwrap();
    }
    rename(&away, &vault);
    assert_eq!(cases.record_pending().unwrap(), 0);

    let source = SourceName::new(crate::operations::SOURCE).unwrap();
    let reader = installation.reader(None, &|_| None).unwrap();
    let stored = installation.stored(&source, reader, &connect::Silent).unwrap();
    let items = stored.items(&model::StreamName::new("cases").unwrap()).unwrap();
    let mut keys: Vec<String> = items.into_iter().map(|item| item.item.key).collect();
    keys.sort();
    assert_eq!(keys, [format!("{id}/1"), format!("{id}/2")]);
}

#[test]
fn whoever_is_told_of_incidents_is_told_of_cases() {
    use crate::watching::{ChannelConfig, Way};

    let home = Home::new(1);
    home.reconfigure(|config| {
        let to = |path: &str| Way::File { path: path.into() };
        config.watch.notify = vec![
            ChannelConfig { from: notify::Urgency::Notice, to: to("all.jsonl") },
            ChannelConfig { from: notify::Urgency::Alarm, to: to("alarms.jsonl") },
            ChannelConfig { from: notify::Urgency::Notice, to: to("no/such/folder.jsonl") },
        ];
    });
    let ports =
        Ports { clock: home.clock.clone(), random: home.random.clone(), tracing: ports::Tracing::default() };
    let installation = Installation::open(home.folder.path(), ports).unwrap();
    let id = home.weakening();
    let step = home.approve(&id, "ben").unwrap();
    assert_eq!(tell(&installation, &|_| None, &step).unwrap().len(), 1);
    let read = |name: &str| files::read_text(&home.folder.path().join(name)).unwrap_or_default();
    assert!(read("alarms.jsonl").contains("protection becomes less at"), "{}", read("alarms.jsonl"));

    // Of a plan, the one who asked is told that it is approved: nobody is woken, and no channel is theirs.
    let plain = home.requested(service());
    let approved = home.approve(&plain, "ben").unwrap();
    assert_eq!(tell(&installation, &|_| None, &approved).unwrap(), Vec::<String>::new());
    assert_eq!(read("all.jsonl").lines().count(), 1);
}
