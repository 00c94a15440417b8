//! Decides what follows from what is seen, and stops whoever policy lets it stop.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use model::{Attribution, Moment, SourceName};
use notify::{Message as Notice, Urgency};
use ports::{
    Clock, Tracing,
    span::{Fact, Outcome},
};
use watch::{
    ActionNote, ActionStatus, ActorKind, Amendment, Expectation, Incident, IncidentSeverity, News,
    Observation, Watcher,
    containment::{Action, Container, Proposal, Suspect},
    ocsf,
    policy::{Decision, GUESS, Policy},
};

use super::{
    Answer, Request, WatchError, WatchStore, Watched,
    aftermath::{Aftermath, Task, record},
    reach::Counted,
};
use crate::{Installation, incidents::happened, let_in::Gate, secret::Environment, words::counted};

/// How often files are looked at: expectations, requests; and whether the time of an action is over.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);
/// How often an incident that grows is written.
const WRITE_INTERVAL: Duration = Duration::from_millis(500);
/// How often an incident that grows is written to the vault's log; what people or the watch do is written at once.
const RECORD_INTERVAL: Duration = Duration::from_secs(10);

/// How often what detection remembers is stored.
const MEMORY_INTERVAL: Duration = Duration::from_mins(1);

/// How often those who stop somebody make themselves ready.
const PREPARE_INTERVAL: Duration = Duration::from_secs(20);

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// By elapsed time, when an incident was last written.
#[derive(Debug, Default, Clone, Copy)]
struct Written {
    file: Option<Duration>,
    log: Option<Duration>,
}

/// What an incident has that is not in its files yet.
#[derive(Debug, Default, Clone, Copy)]
struct Changed {
    file: bool,
    log: bool,
    /// What people or the watch did is in the vault's log at once.
    log_at_once: bool,
}

pub(super) struct Responder {
    watcher: Watcher,
    store: WatchStore,
    policy: Policy,
    reach: Counted,
    containers: BTreeMap<SourceName, Box<dyn Container>>,
    aftermath: Option<Aftermath>,
    clock: Arc<dyn Clock>,
    tracing: Tracing,
    tell: Arc<dyn Fn(String) + Send + Sync>,
    expectations: Vec<Expectation>,
    /// When something was done without a person.
    automatic: Vec<Moment>,
    changed: BTreeMap<u64, Changed>,
    written: BTreeMap<u64, Written>,
    /// By elapsed time, when files were last looked at, and when the memory was last stored.
    looked_at: Option<Duration>,
    remembered_at: Option<Duration>,
    /// By elapsed time, when those who stop somebody last made themselves ready.
    prepared_at: Option<Duration>,
    /// Decides whether somebody is let in again.
    gate: Gate,
    /// What was said of each source that is not ready.
    unready: BTreeMap<SourceName, String>,
    notices: u64,
}

impl Responder {
    /// Takes over where the last watch ended.
    pub(super) fn new(
        installation: &Installation,
        watched: Watched,
        reach: Counted,
        aftermath: Option<Aftermath>,
        tell: Arc<dyn Fn(String) + Send + Sync>,
    ) -> Result<Self, WatchError> {
        let config = &installation.config().watch;
        let store = WatchStore::of(installation.home());
        let incidents = store.incidents()?;
        let automatic = incidents
            .iter()
            .filter_map(|incident| {
                let taken = incident.actions.iter().filter(|note| note.automatic);
                taken.filter_map(|note| note.taken.as_ref().map(|taken| taken.at)).max()
            })
            .collect();
        let mut watcher = Watcher::new(config.rules(installation)?, config.actors.clone(), incidents);
        if let Some(memory) = store.memory() {
            watcher.remember(memory);
        }
        for (source, kind) in &watched.kinds {
            watcher.set_kind(source.clone(), *kind);
        }
        Ok(Self {
            watcher,
            expectations: store.expectations()?,
            store,
            policy: config.containment.clone(),
            reach,
            containers: watched.containers,
            aftermath,
            clock: Arc::clone(&installation.ports().clock),
            tracing: installation.ports().tracing.clone(),
            tell,
            automatic,
            changed: BTreeMap::new(),
            written: BTreeMap::new(),
            looked_at: None,
            remembered_at: None,
            prepared_at: None,
            gate: Gate::of(installation),
            unready: BTreeMap::new(),
            notices: 0,
        })
    }

    /// Takes something that was seen.
    pub(super) fn observe(&mut self, observation: &Observation) {
        let news = self.watcher.observe(observation, &self.reach, &self.expectations);
        self.respond(news);
    }

    /// Adds something to an incident that was done about it elsewhere.
    pub(super) fn amend(&mut self, incident: u64, amendment: Amendment) {
        match self.watcher.amend(incident, amendment) {
            Ok(_) => self.mark(incident, true),
            Err(error) => self.say(format!("incident {incident}: {error}")),
        }
    }

    /// Does what is due.
    pub(super) fn look_at_the_time(&mut self) {
        let elapsed = self.clock.elapsed();
        if self.looked_at.is_none_or(|at| elapsed.saturating_sub(at) >= LOOK_INTERVAL) {
            self.looked_at = Some(elapsed);
            let news = self.watcher.advance(self.clock.now());
            self.respond(news);
            self.look_at_files();
            self.end_what_is_over();
        }
        if self.prepared_at.is_none_or(|at| elapsed.saturating_sub(at) >= PREPARE_INTERVAL) {
            self.prepared_at = Some(elapsed);
            self.prepare();
        }
        if self.remembered_at.is_none_or(|at| elapsed.saturating_sub(at) >= MEMORY_INTERVAL) {
            self.remembered_at = Some(elapsed);
            self.remember();
        }
        self.write(false);
    }

    /// Writes everything; nothing is seen after it.
    pub(super) fn end(mut self) {
        self.write(true);
        self.remember();
    }

    /// Lets everybody who could stop somebody make themselves ready; says so once when one is not.
    fn prepare(&mut self) {
        for (source, container) in &mut self.containers {
            match container.prepare() {
                Ok(()) => drop(self.unready.remove(source)),
                Err(error) => {
                    let why = error.to_string();
                    if self.unready.get(source) != Some(&why) {
                        (self.tell)(format!("{source}: nobody could be stopped now: {why}"));
                        self.unready.insert(source.clone(), why);
                    }
                }
            }
        }
    }

    /// Stores what detection remembers of the last days; without it slow wipes are found later after a restart.
    fn remember(&self) {
        if let Err(error) = self.store.write_memory(self.watcher.memory()) {
            self.say(format!("what is usual cannot be stored: {error}"));
        }
    }

    fn respond(&mut self, news: Vec<News>) {
        // Whoever is to be stopped is stopped first.
        let (contain, others): (Vec<_>, Vec<_>) =
            news.into_iter().partition(|news| matches!(news, News::Contain { .. }));
        for news in contain {
            if let News::Contain { incident, suspect } = news {
                self.contain(incident, &suspect);
            }
        }
        for news in others {
            match news {
                News::Opened { incident } => self.alarm(incident),
                // An audit log may name the actor of hundreds of acts at once: they are written together.
                News::Attributed { incident } | News::Grew { incident } => self.mark(incident, false),
                News::Noticed { notice } => self.notice(&notice),
                News::Suppressed { expectation, source, scope, items, .. } => self.say(format!(
                    "{source}: {} in {scope} as {expectation} says; that raises no alarm",
                    counted(items, "item")
                )),
                News::Contain { .. } => {}
            }
        }
    }

    fn alarm(&mut self, id: u64) {
        self.mark(id, true);
        let Some(incident) = self.watcher.incident(id).cloned() else { return };
        self.say(format!("ALARM  incident {id}: {}  (unwipe incidents {id})", happened(&incident)));
        self.trace(&incident);
        if let Some(aftermath) = &self.aftermath {
            let now = self.clock.now();
            let finding =
                ocsf::finding(&incident, self.watcher.rules(), ocsf::Activity::Create, VERSION, now);
            let notice = notice_of(&incident, finding, now);
            aftermath.put(Task::Tell { incident: Some(id), notice: Box::new(notice) });
            aftermath.put(Task::Alarm(Box::new(incident)));
        }
    }

    /// Tells a collector that there was an alarm, and how long it took from the first deed.
    fn trace(&self, incident: &Incident) {
        let mut work = self.tracing.begin("alarm");
        work.since(incident.first_seen_at);
        work.number("unwipe.incident.number", incident.id);
        work.number("unwipe.incident.destroyed", incident.destroyed());
        work.number("unwipe.incident.sources", incident.touched.len() as u64);
        let severity = match incident.severity {
            IncidentSeverity::High => "high",
            IncidentSeverity::Critical => "critical",
        };
        work.fact("unwipe.incident.severity", Fact::Word(severity));
        if let [source] = incident.touched.keys().collect::<Vec<_>>()[..] {
            work.name("unwipe.source", source);
        }
        work.end(Outcome::Done);
    }

    fn notice(&mut self, notice: &watch::Notice) {
        self.say(format!("{}: {}", notice.source, notice.explanation));
        self.notices += 1;
        if let Some(aftermath) = &self.aftermath {
            let message = Notice {
                id: format!("notice-{}-{}", notice.at.as_micros(), self.notices),
                at: self.clock.now(),
                urgency: Urgency::Notice,
                title: format!("{}: {}", notice.source, notice.title),
                lines: vec![notice.explanation.clone()],
                finding: ocsf::notice(notice, VERSION, self.clock.now()),
            };
            aftermath.put(Task::Tell { incident: None, notice: Box::new(message) });
        }
    }

    /// Finds out who it is, and does what policy allows.
    fn contain(&mut self, id: u64, suspect: &Suspect) {
        let Some(container) = self.containers.get_mut(&suspect.source) else { return };
        let proposal = match container.propose(suspect) {
            Ok(Some(proposal)) => proposal,
            Ok(None) => return,
            Err(error) => return self.say(format!("incident {id}: nobody was stopped: {error}")),
        };
        let kind = self.watcher.kind_of(&proposal.actor);
        self.amend(
            id,
            Amendment::Identified {
                source: suspect.source.clone(),
                scope: suspect.scope.clone(),
                actor: proposal.actor.clone(),
                kind,
                attribution: proposal.attribution,
            },
        );
        self.withdraw_guesses(id, &proposal);
        let mut acted = false;
        for action in &proposal.actions {
            if self.stands(id, action) {
                continue;
            }
            let at = self.clock.now();
            match self.decide(id, action, &proposal, kind) {
                // What went wrong is in the incident.
                Decision::Take => {
                    acted |= self.take(id, action, true, "policy lets it be taken".to_owned()).is_ok();
                }
                Decision::AskPerson { why } => {
                    self.amend(id, Amendment::Proposed { action: action.clone(), at, why });
                }
                Decision::Observe { why } => {
                    self.amend(id, Amendment::Refused { action: action.clone(), at, why });
                }
            }
        }
        // However many steps it took, somebody was stopped once.
        if acted {
            self.automatic.push(self.clock.now());
        }
    }

    /// Takes back what was proposed against somebody on a guess, now that somebody else is known.
    fn withdraw_guesses(&mut self, id: u64, proposal: &Proposal) {
        if matches!(proposal.attribution, Attribution::Inferred | Attribution::Unknown) {
            return;
        }
        let is_wrong = |note: &&ActionNote| {
            let subjects = proposal.actions.iter().map(|action| &action.subject);
            note.status == ActionStatus::Proposed
                && note.why == GUESS
                && subjects.into_iter().all(|subject| *subject != note.action.subject)
        };
        let wrong: Vec<Action> = self
            .watcher
            .incident(id)
            .map(|incident| {
                incident.actions.iter().filter(is_wrong).map(|note| note.action.clone()).collect()
            })
            .unwrap_or_default();
        for action in wrong {
            let why = format!("it was {}", proposal.actor.identity);
            self.amend(id, Amendment::Refused { action, at: self.clock.now(), why });
        }
    }

    /// Returns whether what an action does was done and still holds.
    fn stands(&self, id: u64, action: &Action) -> bool {
        let holds = |note: &ActionNote| {
            note.status == ActionStatus::Taken
                && note.taken.as_ref().is_some_and(|taken| taken.can_be_taken_back)
                && (note.action.kind, &note.action.subject) == (action.kind, &action.subject)
        };
        self.watcher.incident(id).is_some_and(|incident| incident.actions.iter().any(holds))
    }

    fn decide(&self, id: u64, action: &Action, proposal: &Proposal, kind: ActorKind) -> Decision {
        let rules: Vec<String> = self
            .watcher
            .incident(id)
            .map(|incident| incident.firings.iter().map(|firing| firing.rule.clone()).collect())
            .unwrap_or_default();
        self.policy.decide(action, proposal.attribution, kind, &rules, &self.automatic, self.clock.now())
    }

    fn take(&mut self, id: u64, action: &Action, automatic: bool, why: String) -> Result<(), String> {
        let now = self.clock.now();
        let Some(container) = self.containers.get_mut(&action.source) else {
            return Err(format!("nothing is set up to stop somebody in {}", action.source));
        };
        match container.take(action, now) {
            Ok(taken) => {
                self.say(format!("incident {id}: {}", action.title));
                self.amend(id, Amendment::Taken { taken, automatic, why });
                Ok(())
            }
            Err(error) => {
                let why = error.to_string();
                self.say(format!("incident {id}: not done: {}: {why}", action.title));
                self.amend(id, Amendment::Refused { action: action.clone(), at: now, why: why.clone() });
                Err(why)
            }
        }
    }

    /// Puts back what was there before an action.
    fn take_back(&mut self, id: u64, note: &ActionNote, why: &str) -> Result<(), String> {
        let Some(taken) = &note.taken else { return Ok(()) };
        if taken.can_be_taken_back {
            let Some(container) = self.containers.get_mut(&note.action.source) else {
                return Err(format!("nothing is set up to act in {}", note.action.source));
            };
            container.take_back(taken).map_err(|error| error.to_string())?;
        }
        let at = self.clock.now();
        self.amend(id, Amendment::TakenBack { action: note.action.clone(), at, why: why.to_owned() });
        Ok(())
    }

    /// Takes back what was done without a person, once its time is over and nobody kept it.
    fn end_what_is_over(&mut self) {
        let now = self.clock.now();
        let limit_micros = i64::from(self.policy.expires_minutes) * 60_000_000;
        let is_over = |note: &&ActionNote| {
            let taken = note.taken.as_ref().filter(|taken| taken.can_be_taken_back);
            let standing = note.status == ActionStatus::Taken && note.automatic && !note.kept;
            standing && taken.is_some_and(|taken| now.micros_since(taken.at) >= limit_micros)
        };
        let over: Vec<(u64, ActionNote)> = self
            .watcher
            .incidents()
            .flat_map(|incident| {
                incident.actions.iter().filter(is_over).map(|note| (incident.id, note.clone()))
            })
            .collect();
        for (id, note) in over {
            let why =
                format!("nobody kept it within {}", counted(self.policy.expires_minutes.into(), "minute"));
            match self.take_back(id, &note, &why) {
                Ok(()) => self.say(format!("incident {id}: taken back: {}: {why}", note.action.title)),
                Err(error) => self.say(format!("incident {id}: not taken back: {error}")),
            }
        }
    }

    fn look_at_files(&mut self) {
        match self.store.expectations() {
            Ok(expectations) => self.expectations = expectations,
            Err(error) => self.say(format!("what is expected cannot be read: {error}")),
        }
        let requests = match self.store.requests() {
            Ok(requests) => requests,
            Err(error) => return self.say(format!("what people ask for cannot be read: {error}")),
        };
        for (name, request) in requests {
            let answer = self.carry_out(&request);
            self.write(true);
            if let Err(error) = self.store.finish(&name, &answer) {
                self.say(format!("a request cannot be answered: {error}"));
            }
        }
    }

    /// Carries out what a person asks for.
    pub(super) fn carry_out(&mut self, request: &Request) -> Answer {
        let id = request.incident();
        let at = self.clock.now();
        let Some(incident) = self.watcher.incident(id).cloned() else {
            return Answer::Refused(format!("there is no incident {id}"));
        };
        let amendment = match request {
            Request::Contain { by, .. } => {
                return self.for_actions(&incident, ActionStatus::Proposed, |this, note| {
                    this.take(id, &note.action, false, format!("approved by {by}"))
                });
            }
            Request::TakeBack { by, case, .. } => {
                if let Some(why) = self.gate.refusal(id, by, case.as_ref()) {
                    return Answer::Refused(why);
                }
                return self.for_actions(&incident, ActionStatus::Taken, |this, note| {
                    this.take_back(id, note, &format!("by {by}"))
                });
            }
            Request::Keep { by, .. } => Amendment::Kept { by: by.clone(), at },
            Request::Planned { plan, .. } => Amendment::Planned { plan: plan.clone(), at },
            Request::Undone { plan, .. } => Amendment::Undone { plan: plan.clone(), at },
            Request::Close { by, reason, .. } => {
                Amendment::Closed { reason: reason.clone(), by: by.clone(), at }
            }
        };
        match self.watcher.amend(id, amendment) {
            Ok(incident) => {
                let line = format!("incident {id} is {}", incident.state);
                self.mark(id, true);
                Answer::Done(vec![line])
            }
            Err(error) => Answer::Refused(error.to_string()),
        }
    }

    /// Does something for each action of an incident that has come so far.
    fn for_actions(
        &mut self,
        incident: &Incident,
        status: ActionStatus,
        mut act: impl FnMut(&mut Self, &ActionNote) -> Result<(), String>,
    ) -> Answer {
        let notes: Vec<&ActionNote> = incident.actions.iter().filter(|note| note.status == status).collect();
        let mut lines = Vec::new();
        let mut failures = Vec::new();
        for note in notes {
            match act(self, note) {
                Ok(()) => lines.push(note.action.title.clone()),
                Err(error) => failures.push(format!("{}: {error}", note.action.title)),
            }
        }
        match (lines.is_empty(), failures.is_empty()) {
            (_, false) => Answer::Refused(failures.join("; ")),
            (true, true) => {
                Answer::Refused(format!("incident {} has no action to which this applies", incident.id))
            }
            (false, true) => Answer::Done(lines),
        }
    }

    fn mark(&mut self, id: u64, log_at_once: bool) {
        let changed = self.changed.entry(id).or_default();
        (changed.file, changed.log) = (true, true);
        changed.log_at_once |= log_at_once;
    }

    /// Writes what has changed, the files often and the vault's log less so.
    fn write(&mut self, everything: bool) {
        let now = self.clock.elapsed();
        let ids: BTreeSet<u64> = self.changed.keys().copied().collect();
        for id in ids {
            let Some(incident) = self.watcher.incident(id) else { continue };
            let written = self.written.entry(id).or_default();
            let mut changed = self.changed.remove(&id).unwrap_or_default();
            let at_once = everything || changed.log_at_once;
            let is_due = |last: Option<Duration>, interval| {
                at_once || last.is_none_or(|last| now.saturating_sub(last) >= interval)
            };
            if changed.file && is_due(written.file, WRITE_INTERVAL) {
                written.file = Some(now);
                match self.store.write_incident(incident) {
                    Ok(()) => changed.file = false,
                    Err(error) => (self.tell)(format!("incident {id} cannot be written: {error}")),
                }
            }
            if changed.log && is_due(written.log, RECORD_INTERVAL) {
                written.log = Some(now);
                (changed.log, changed.log_at_once) = (false, false);
                if let Some(aftermath) = &self.aftermath {
                    aftermath.put(Task::Record(Box::new(incident.clone())));
                }
            }
            if changed.file || changed.log {
                self.changed.insert(id, changed);
            }
        }
    }

    /// Writes an incident to its file and to the vault's log, where no thread does it.
    pub(super) fn record(
        &mut self,
        id: u64,
        installation: &Installation,
        environment: Environment<'_>,
    ) -> Result<(), WatchError> {
        self.write(true);
        match self.watcher.incident(id) {
            Some(incident) => record(installation, environment, incident),
            None => Ok(()),
        }
    }

    fn say(&self, line: String) {
        (self.tell)(line);
    }
}

/// Returns what people are told of an incident.
fn notice_of(incident: &Incident, finding: serde_json::Value, at: Moment) -> Notice {
    let id = incident.id;
    let mut lines: Vec<String> = incident.firings.iter().map(|firing| firing.explanation.clone()).collect();
    lines.push(format!(
        "see: unwipe incidents {id}; stop: unwipe contain {id}; undo: unwipe rewind incident:{id}"
    ));
    Notice {
        id: format!("incident-{id}"),
        at,
        urgency: Urgency::Alarm,
        title: format!("incident {id}: {}", happened(incident)),
        lines,
        finding,
    }
}
