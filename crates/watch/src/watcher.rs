//! The engine: observations in, incidents and news out.

mod attribute;
mod detect;
mod gather;
mod stop;
mod suppress;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use model::{Actor, Moment, SourceName};

use crate::{
    ActorKind, ActorKinds, AmendError, Amendment, Expectation, Incident, Memory, News, Observation, Reach,
    Rules, SourceKind,
    incident::place_of,
    ledger::{Admitted, Doer, Entry, Ledger, is_known},
    memory::{SECOND, key},
};

/// So many incidents are kept; beyond, the oldest closed ones go. Open ones never do.
const INCIDENTS_MAX: usize = 2000;

/// Turns what is observed into incidents. It knows no clock: time is what comes with the observations.
///
/// What it keeps is bounded: 20,000 counters of each of seven kinds, 10,000 transactions and calls, as many that only
/// read, of an incident 1,000 deeds and 50 suspects, and 2,000 incidents beside those that are not closed.
pub struct Watcher {
    rules: Rules,
    kinds: ActorKinds,
    sources: BTreeMap<SourceName, SourceKind>,
    incidents: BTreeMap<u64, Incident>,
    next: u64,
    ledger: Ledger,
    memory: Memory,
    now: Moment,
    /// Nothing becomes quiet before this.
    quiet_check: Moment,
    /// The incident that grows with somebody's deeds, and with what happens in a place.
    by_subject: HashMap<u64, u64>,
    by_place: HashMap<u64, u64>,
}

impl Watcher {
    /// Goes on with the incidents that there are, whatever their state.
    pub fn new(rules: Rules, kinds: ActorKinds, incidents: Vec<Incident>) -> Self {
        let incidents: BTreeMap<u64, Incident> =
            incidents.into_iter().map(|incident| (incident.id, incident)).collect();
        let mut watcher = Self {
            rules,
            kinds,
            sources: BTreeMap::new(),
            next: incidents.last_key_value().map_or(1, |(id, _)| id + 1),
            ledger: Ledger::restore(&incidents),
            incidents,
            memory: Memory::default(),
            now: Moment::from_micros(i64::MIN),
            quiet_check: Moment::from_micros(i64::MIN),
            by_subject: HashMap::new(),
            by_place: HashMap::new(),
        };
        watcher.restore_subjects();
        watcher.index();
        watcher
    }

    /// Says what a source counts. What nobody said counts items.
    pub fn set_kind(&mut self, source: SourceName, kind: SourceKind) {
        self.sources.insert(source, kind);
    }

    /// Returns what detection remembers, to be stored.
    pub const fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Goes on with what detection remembered.
    pub fn remember(&mut self, memory: Memory) {
        self.memory = memory;
    }

    /// Takes in what was observed, and returns what follows from it.
    pub fn observe(
        &mut self,
        observation: &Observation,
        reach: &dyn Reach,
        expectations: &[Expectation],
    ) -> Vec<News> {
        let mut news = self.advance(observation.seen_at);
        self.memory.since.get_or_insert(observation.seen_at);
        let doer = self.doer(observation);
        let context = Context { observation, reach, expectations };
        match self.ledger.admit(observation, doer) {
            Admitted::Nothing => {}
            Admitted::More { key, more, before } => {
                self.more(key, more, before.as_deref(), &context, &mut news);
            }
            Admitted::Better { key, before } => self.better(key, &before, &context, &mut news),
        }
        news
    }

    /// Lets time pass although nothing is observed: what is quiet ends.
    pub fn advance(&mut self, now: Moment) -> Vec<News> {
        let mut news = Vec::new();
        self.now = self.now.max(now);
        if self.now >= self.quiet_check {
            self.end_quiet(&mut news);
        }
        self.end_expectations(&mut news);
        news
    }

    /// Returns what an actor is.
    pub fn kind_of(&self, actor: &Actor) -> ActorKind {
        self.kinds.of(actor)
    }

    /// Returns the rules in force.
    pub const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Returns an incident.
    pub fn incident(&self, id: u64) -> Option<&Incident> {
        self.incidents.get(&id)
    }

    /// Returns all incidents that are kept, by number.
    pub fn incidents(&self) -> impl Iterator<Item = &Incident> {
        self.incidents.values()
    }

    /// Adds what was done about an incident.
    pub fn amend(&mut self, id: u64, amendment: Amendment) -> Result<&Incident, AmendError> {
        let Some(incident) = self.incidents.get_mut(&id) else {
            return Err(AmendError::NoSuchIncident { id });
        };
        incident.amend(amendment)?;
        if incident.is_closed() {
            self.index();
        }
        self.incidents.get(&id).ok_or(AmendError::NoSuchIncident { id })
    }

    fn unit(&self, source: &SourceName) -> SourceKind {
        self.sources.get(source).copied().unwrap_or(SourceKind::Items)
    }

    fn doer(&self, observation: &Observation) -> Doer {
        let event = &observation.event;
        let actor = event.actor.as_ref().filter(|_| is_known(event));
        Doer {
            kind: actor.map_or(ActorKind::Unknown, |actor| self.kinds.of(actor)),
            subject: self.subject(actor, &observation.source, &event.scope),
            unit: self.unit(&observation.source),
        }
    }

    /// Returns with whose deeds those of an actor are counted; where nobody is known, with others of the same place.
    fn subject(&self, actor: Option<&Actor>, source: &SourceName, scope: &str) -> u64 {
        match actor {
            Some(actor) => key(("who", &actor.identity, &actor.client, self.kinds.program(actor))),
            None => place_key(source, scope),
        }
    }

    fn restore_subjects(&mut self) {
        let keys: Vec<u64> = self.ledger.entries().map(|(key, _)| key).collect();
        for key in keys {
            let Some(entry) = self.ledger.get(key) else { continue };
            let subject = self.subject(entry.actor.as_ref(), &entry.deed.source, &entry.deed.scope);
            if let Some(entry) = self.ledger.get_mut(key) {
                entry.subject = subject;
            }
        }
    }

    /// Finds anew which incident grows with what.
    fn index(&mut self) {
        let (mut by_subject, mut by_place) = (HashMap::new(), HashMap::new());
        for incident in self.incidents.values().filter(|incident| incident.growing) {
            for suspect in incident.suspects.iter().filter(|suspect| suspect.actor.is_some()) {
                let subject = self.subject(suspect.actor.as_ref(), &suspect.source, &suspect.scope);
                by_subject.insert(subject, incident.id);
            }
            for (source, touched) in &incident.touched {
                for scope in &touched.scopes {
                    by_place.insert(place_key(source, scope), incident.id);
                }
            }
        }
        (self.by_subject, self.by_place) = (by_subject, by_place);
    }

    fn quiet_micros(&self) -> i64 {
        i64::from(self.rules.quiet_seconds) * SECOND
    }

    fn slack_micros(&self) -> i64 {
        i64::from(self.rules.slack_seconds) * SECOND
    }

    /// Ends the growth of incidents in which nothing has happened for a while.
    fn end_quiet(&mut self, news: &mut Vec<News>) {
        let (now, quiet) = (self.now, self.quiet_micros());
        let (mut next, mut ended) = (Moment::from_micros(i64::MAX), BTreeSet::new());
        for incident in self.incidents.values_mut().filter(|incident| incident.growing) {
            let ends = incident.last_seen_at.plus_micros(quiet);
            if ends > now {
                next = next.min(ends);
                continue;
            }
            incident.growing = false;
            incident.give_up();
            ended.insert(incident.id);
            news.push(News::Grew { incident: incident.id });
        }
        self.quiet_check = next;
        if ended.is_empty() {
            return;
        }
        for id in &ended {
            for entry in self.ledger.of_incident(*id) {
                entry.deed.given_up |= entry.deed.stage == model::Stage::Underway;
            }
        }
        self.index();
        self.forget();
    }

    /// Forgets the oldest closed incidents where there are too many.
    fn forget(&mut self) {
        let closed: Vec<u64> = self
            .incidents
            .values()
            .filter(|incident| incident.is_closed())
            .map(|incident| incident.id)
            .collect();
        let too_many = closed.len().saturating_sub(INCIDENTS_MAX);
        for id in closed.into_iter().take(too_many) {
            self.incidents.remove(&id);
        }
    }
}

/// What comes with an observation.
struct Context<'a> {
    observation: &'a Observation,
    reach: &'a dyn Reach,
    expectations: &'a [Expectation],
}

fn place_key(source: &SourceName, scope: &str) -> u64 {
    key(("where", source.as_str(), place_of(scope)))
}

/// Writes who it is for people.
fn who(entry: &Entry) -> String {
    let Some(actor) = &entry.actor else { return "somebody unknown".to_owned() };
    let name = actor.agent.as_ref().or(actor.application.as_ref()).filter(|name| !name.is_empty());
    let guess = if entry.attribution == model::Attribution::Inferred { ", by a guess" } else { "" };
    match name {
        Some(name) => format!("{} {name} ({}{guess})", entry.kind, actor.identity),
        None if guess.is_empty() => format!("{} {}", entry.kind, actor.identity),
        None => format!("{} {} (by a guess)", entry.kind, actor.identity),
    }
}
