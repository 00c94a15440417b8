use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use approvals::Principal;
use connect::{Silent, Urge};
use model::{Actor, Attribution, Effect, Event, Moment, Severity, SourceName, Stage, Verb};
use ports::{SeededRandom, SystemClock};
use watch::{
    ActionStatus, ActorKind, ActorPattern, Incident, IncidentState, SourceKind,
    containment::{Action, ActionKind, Container, ContainmentError, Proposal, Suspect, Taken},
    policy::Mode,
};

use super::*;
use crate::{
    approval::{NoPasskeys, Proof},
    cases::{CaseError, Cases, VaultLog},
    installation::{InitRequest, Ports},
    let_in::{LetIn, let_in},
    retention::Retention,
    signature::SigningKey,
};

const NOWHERE: Environment<'static> = &|_| None;
const PATIENCE: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(10);

/// What was done to a role, in order.
type Deeds = Arc<Mutex<Vec<String>>>;

/// Bars roles of a database that does not exist.
struct Doorman {
    deeds: Deeds,
}

impl Doorman {
    fn note(&self, deed: String) {
        self.deeds.lock().unwrap_or_else(PoisonError::into_inner).push(deed);
    }
}

impl Container for Doorman {
    fn propose(&mut self, suspect: &Suspect) -> Result<Option<Proposal>, ContainmentError> {
        let Some(actor) = suspect.actor.clone() else { return Ok(None) };
        let action = Action {
            kind: ActionKind::BarLogin,
            source: suspect.source.clone(),
            subject: actor.identity.clone(),
            title: format!("bar {}", actor.identity),
            details: serde_json::Value::Null,
        };
        Ok(Some(Proposal { actor, attribution: suspect.attribution, actions: vec![action] }))
    }

    fn take(&mut self, action: &Action, now: Moment) -> Result<Taken, ContainmentError> {
        self.note(action.title.clone());
        let prior = serde_json::json!({ "login": true });
        Ok(Taken { action: action.clone(), at: now, prior, can_be_taken_back: true })
    }

    fn take_back(&mut self, taken: &Taken) -> Result<(), ContainmentError> {
        assert_eq!(taken.prior["login"], true);
        self.note(format!("let {} in again", taken.action.subject));
        Ok(())
    }
}

struct Home {
    folder: tempfile::TempDir,
    ports: Ports,
    deeds: Deeds,
    urge: Urge,
}

impl Home {
    fn new(change: impl FnOnce(&mut WatchConfig)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ports = Ports {
            clock: Arc::new(SystemClock::new()),
            random: Arc::new(SeededRandom::new(1)),
            tracing: ports::Tracing::default(),
        };
        let place = crate::Place::Folder { path: "vault".into(), immutable_flags: false };
        Installation::init(folder.path(), &InitRequest { place, lock_days: 1 }, &ports, NOWHERE).unwrap();
        let home = Self { folder, ports, deeds: Deeds::default(), urge: Urge::default() };
        let mut installation = home.installation();
        installation
            .reconfigure(|config| {
                let pattern = |identity: &str, kind| ActorPattern {
                    identity: Some(identity.to_owned()),
                    application: None,
                    client: None,
                    kind,
                };
                config.watch.actors.patterns = vec![pattern("agent*", ActorKind::Agent)];
                config.watch.notify = vec![ChannelConfig {
                    from: notify::Urgency::Alarm,
                    to: Way::File { path: "findings.jsonl".into() },
                }];
                change(&mut config.watch);
                Ok(())
            })
            .unwrap();
        home
    }

    fn installation(&self) -> Installation {
        Installation::open(self.folder.path(), self.ports.clone()).unwrap()
    }

    fn watched(&self) -> Watched {
        let doorman = Box::new(Doorman { deeds: Arc::clone(&self.deeds) }) as Box<dyn Container>;
        Watched {
            kinds: BTreeMap::from([(shop(), SourceKind::Rows)]),
            containers: BTreeMap::from([(shop(), doorman)]),
            urges: BTreeMap::from([(shop(), self.urge.clone())]),
            company: Vec::new(),
        }
    }

    fn watch(&self) -> Watch {
        Watch::start(&self.installation(), NOWHERE, self.watched(), Arc::new(|_| {})).unwrap()
    }

    fn store(&self) -> WatchStore {
        WatchStore::of(self.folder.path())
    }

    /// Waits until something can be seen.
    fn wait<T>(&self, mut look: impl FnMut() -> Option<T>) -> T {
        let until = self.ports.clock.elapsed() + PATIENCE;
        loop {
            if let Some(seen) = look() {
                return seen;
            }
            assert!(self.ports.clock.elapsed() < until, "waited in vain");
            self.ports.clock.sleep(POLL);
        }
    }

    fn wait_for(&self, mut is_so: impl FnMut(&Incident) -> bool) -> Incident {
        self.wait(|| self.store().incidents().unwrap().into_iter().find(&mut is_so))
    }

    fn ask(&self, name: &str, ask: &Request) -> Answer {
        request(&self.installation(), NOWHERE, self.watched(), name, ask, PATIENCE).unwrap()
    }

    fn deeds(&self) -> Vec<String> {
        self.deeds.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn automatic(watch: &mut WatchConfig) {
    watch.containment.mode = Mode::Automatic;
    watch.containment.subjects = vec!["agent*".to_owned()];
}

fn shop() -> SourceName {
    SourceName::new("shop").unwrap()
}

/// An agent empties a table.
fn truncation(home: &Home, transaction: u64) -> Event {
    Event {
        at: home.ports.clock.now(),
        position: format!("{transaction:016}"),
        transaction: transaction.to_string(),
        scope: "shop".to_owned(),
        effects: vec![Effect { verb: Verb::Truncate, target: "shop.public.bookings".to_owned(), count: 1 }],
        severity: Severity::Destructive,
        actor: Some(Actor { identity: "agent".to_owned(), ..Actor::default() }),
        attribution: Attribution::Witnessed,
        statement: Some("TRUNCATE bookings".to_owned()),
    }
}

#[test]
fn an_alarm_stops_holds_hastens_and_tells_and_all_of_it_is_in_the_vault() {
    let home = Home::new(automatic);
    let watch = home.watch();
    watch.observer().observe(&shop(), Stage::Done, &truncation(&home, 7));
    let incident = home.wait_for(|incident| {
        incident.state == IncidentState::Contained
            && !incident.holds.is_empty()
            && !incident.captured.is_empty()
            && !incident.notices.is_empty()
    });
    drop(watch);
    assert_eq!(home.deeds(), ["bar agent"]);
    assert!(incident.actions[0].automatic && incident.actions[0].status == ActionStatus::Taken);
    assert!(home.urge.take(), "the capture was not asked to make haste");
    let findings = std::fs::read_to_string(home.folder.path().join("findings.jsonl")).unwrap();
    let finding: serde_json::Value = serde_json::from_str(findings.lines().next().unwrap()).unwrap();
    assert_eq!(finding["class_uid"], 2004);
    let installation = home.installation();
    let status = Retention::open(&installation, NOWHERE).unwrap().status(&Silent).unwrap();
    assert!(
        status
            .holds
            .values()
            .any(|hold| hold.source == Some(shop()) && hold.reason.starts_with("incident 1:"))
    );
    let reader = installation.reader(None, NOWHERE).unwrap();
    let log = SourceName::new(crate::operations::SOURCE).unwrap();
    let newest = reader.vault().last_sequence(&log).unwrap();
    let told = (1..=newest).filter(|sequence| {
        let (_, body) = reader.commit(&log, *sequence).unwrap();
        format!("{body:?}").contains("incidents")
    });
    assert!(told.count() > 0, "the vault's log does not tell of it");
}

#[test]
fn without_a_policy_nobody_is_stopped_until_a_person_says_so_and_it_can_be_taken_back() {
    let home = Home::new(|watch| watch.containment.mode = Mode::Approve);
    let watch = home.watch();
    watch.observer().observe(&shop(), Stage::Done, &truncation(&home, 7));
    let proposed = |incident: &Incident| incident.actions.iter().any(|a| a.status == ActionStatus::Proposed);
    let incident = home.wait_for(proposed);
    assert_eq!((incident.state, home.deeds().len()), (IncidentState::Open, 0));

    let by = || "anna".to_owned();
    let done = home.ask("one", &Request::Contain { incident: 1, by: by() });
    assert_eq!(done, Answer::Done(vec!["bar agent".to_owned()]));
    home.wait_for(|incident| incident.state == IncidentState::Contained);
    let again = home.ask("two", &Request::Contain { incident: 1, by: by() });
    assert!(matches!(again, Answer::Refused(_)), "{again:?}");
    let back = home.ask("three", &Request::TakeBack { incident: 1, by: by(), case: None });
    assert_eq!(back, Answer::Done(vec!["bar agent".to_owned()]));
    assert_eq!(home.deeds(), ["bar agent", "let agent in again"]);
    drop(watch);

    // Nobody watches now: it is done here.
    let closed = home.ask("four", &Request::Close { incident: 1, by: by(), reason: "a drill".to_owned() });
    assert_eq!(closed, Answer::Done(vec!["incident 1 is closed".to_owned()]));
    assert_eq!(home.store().incident(1).unwrap().state, IncidentState::Closed);
    let nobody = request(
        &home.installation(),
        NOWHERE,
        home.watched(),
        "five",
        &Request::Keep { incident: 9, by: by() },
        PATIENCE,
    );
    assert!(matches!(nobody, Err(WatchError::NoIncident { id: 9 })));
}

#[test]
fn whoever_was_stopped_comes_in_again_only_when_another_person_agreed() {
    let home = Home::new(|watch| watch.containment.mode = Mode::Approve);
    let watch = home.watch();
    watch.observer().observe(&shop(), Stage::Done, &truncation(&home, 7));
    home.wait_for(|incident| incident.actions.iter().any(|a| a.status == ActionStatus::Proposed));
    home.ask("one", &Request::Contain { incident: 1, by: "anna".to_owned() });

    let ports = home.installation().ports().clone();
    let key = SigningKey::create(&home.installation().home().join("ben.key"), &*ports.random).unwrap();
    let mut installation = home.installation();
    let list = |config: &mut crate::Config| {
        config.approvers = BTreeMap::from([("ben".to_owned(), key.public())]);
        Ok(())
    };
    installation.reconfigure(list).unwrap();
    let log = VaultLog::of(&installation, Arc::new(|_: &str| None)).unwrap();
    let cases = Cases::of(&installation, Arc::new(NoPasskeys), Arc::new(log));
    let anna = Principal::Person("anna".to_owned());
    let name = std::cell::Cell::new(0);
    let try_it = || {
        let ask = |request: &Request| -> Result<Answer, CaseError> {
            name.set(name.get() + 1);
            Ok(home.ask(&format!("try-{}", name.get()), request))
        };
        let_in((&installation, NOWHERE), &cases, (1, &anna), "it was the migration", ask).unwrap()
    };
    // Whoever writes the request by hand comes no further.
    let refused = home.ask("two", &Request::TakeBack { incident: 1, by: "anna".to_owned(), case: None });
    assert!(matches!(refused, Answer::Refused(why) if why.contains("others have to approve")));
    let LetIn::Waits(case, Some(_)) = try_it() else { panic!("nobody was asked") };
    let forged = Request::TakeBack { incident: 1, by: "anna".to_owned(), case: Some(case.id.clone()) };
    assert!(matches!(home.ask("three", &forged), Answer::Refused(_)), "it was not approved");
    assert!(matches!(try_it(), LetIn::Waits(_, None)), "it waits in one case");
    assert_eq!(home.deeds(), ["bar agent"]);

    let proof = Proof::sign(&key, &cases.statement(&case.id, approvals::Decision::Approve).unwrap());
    cases.decide(&case.id, approvals::Decision::Approve, "", &proof).unwrap();
    let LetIn::Tried(Answer::Done(_), Some(ended), _) = try_it() else { panic!("it was not done") };
    assert!(matches!(ended.case.state, approvals::State::Applied { .. }));
    assert_eq!(home.deeds(), ["bar agent", "let agent in again"]);
    drop(watch);
}

#[test]
fn where_nobody_else_may_approve_it_is_done_at_once_and_everybody_hears_of_it() {
    let home = Home::new(|watch| watch.containment.mode = Mode::Approve);
    let watch = home.watch();
    watch.observer().observe(&shop(), Stage::Done, &truncation(&home, 7));
    home.wait_for(|incident| incident.actions.iter().any(|a| a.status == ActionStatus::Proposed));
    home.ask("one", &Request::Contain { incident: 1, by: "anna".to_owned() });
    let mut installation = home.installation();
    let told = installation.home().join("told.jsonl");
    let all = |config: &mut crate::Config| {
        let to = Way::File { path: "told.jsonl".into() };
        config.watch.notify = vec![ChannelConfig { from: notify::Urgency::Alarm, to }];
        Ok(())
    };
    installation.reconfigure(all).unwrap();
    let log = VaultLog::of(&installation, Arc::new(|_: &str| None)).unwrap();
    let cases = Cases::of(&installation, Arc::new(NoPasskeys), Arc::new(log));
    let ask = |request: &Request| -> Result<Answer, CaseError> { Ok(home.ask("two", request)) };
    let anna = Principal::Person("anna".to_owned());
    let outcome = let_in((&installation, NOWHERE), &cases, (1, &anna), "", ask).unwrap();
    assert!(matches!(outcome, LetIn::Tried(Answer::Done(_), None, unreached) if unreached.is_empty()));
    assert!(cases.list().unwrap().is_empty());
    assert!(ports::files::read_text(&told).unwrap().contains("was let in again"));
    drop(watch);
}

#[test]
fn what_was_done_by_itself_ends_unless_a_person_keeps_it() {
    let home = Home::new(|watch| {
        automatic(watch);
        watch.containment.expires_minutes = 0;
    });
    let watch = home.watch();
    watch.observer().observe(&shop(), Stage::Done, &truncation(&home, 7));
    let incident =
        home.wait_for(|incident| incident.actions.iter().any(|a| a.status == ActionStatus::TakenBack));
    drop(watch);
    assert_eq!(home.deeds(), ["bar agent", "let agent in again"]);
    assert!(incident.actions[0].why.contains("nobody kept it"), "{}", incident.actions[0].why);

    let home = Home::new(automatic);
    let watch = home.watch();
    watch.observer().observe(&shop(), Stage::Done, &truncation(&home, 7));
    home.wait_for(|incident| incident.state == IncidentState::Contained);
    let kept = home.ask("keep", &Request::Keep { incident: 1, by: "anna".to_owned() });
    assert!(matches!(kept, Answer::Done(_)), "{kept:?}");
    drop(watch);
    let mut installation = home.installation();
    installation
        .reconfigure(|config| {
            config.watch.containment.expires_minutes = 0;
            Ok(())
        })
        .unwrap();
    let watch = home.watch();
    // A request is answered after the time was looked at.
    let planned = home.ask("plan", &Request::Planned { incident: 1, plan: "00".repeat(32) });
    assert!(matches!(planned, Answer::Done(_)), "{planned:?}");
    drop(watch);
    assert_eq!(home.deeds(), ["bar agent"], "what a person keeps stays");
}

#[test]
fn a_watch_goes_on_where_the_last_one_ended_and_there_is_only_one() {
    let home = Home::new(|_| {});
    let watch = home.watch();
    watch.observer().observe(&shop(), Stage::Done, &truncation(&home, 7));
    home.wait_for(|incident| incident.id == 1);
    let second = Watch::start(&home.installation(), NOWHERE, home.watched(), Arc::new(|_| {}));
    assert!(matches!(second, Err(WatchError::Busy)));
    drop(watch);
    let watch = home.watch();
    watch.observer().observe(&shop(), Stage::Done, &truncation(&home, 8));
    let incident = home.wait_for(|incident| incident.deeds.len() == 2);
    assert_eq!((incident.id, home.store().incidents().unwrap().len()), (1, 1));
}

#[test]
fn what_is_expected_is_read_while_the_watch_goes_on() {
    let home = Home::new(automatic);
    let watch = home.watch();
    let now = home.ports.clock.now();
    let expectation = watch::Expectation {
        id: "migration-118".to_owned(),
        source: shop(),
        from: now,
        until: now.plus_micros(3_600_000_000),
        actor: Some("agent".to_owned()),
        verbs: vec![Verb::Truncate],
        scope: None,
        reason: "migration".to_owned(),
        registered_by: "anna".to_owned(),
        registered_at: now,
        items_max: None,
    };
    home.store().write_expectation(&expectation).unwrap();
    // What is asked for, even of an incident that is none, is answered after what is expected was read.
    home.store().ask("none", &Request::Keep { incident: 9, by: "anna".to_owned() }).unwrap();
    home.wait(|| home.store().answer("none").unwrap());
    watch.observer().observe(&shop(), Stage::Done, &truncation(&home, 7));
    let mut other = truncation(&home, 8);
    other.actor = Some(Actor { identity: "agent-2".to_owned(), ..Actor::default() });
    watch.observer().observe(&shop(), Stage::Done, &other);
    let incident = home.wait_for(|incident| incident.state == IncidentState::Contained);
    drop(watch);
    assert_eq!(home.deeds(), ["bar agent-2"]);
    assert_eq!(home.store().incidents().unwrap().len(), 1);
    assert!(incident.suspects.iter().all(|suspect| suspect.actor.as_ref().unwrap().identity == "agent-2"));
}
