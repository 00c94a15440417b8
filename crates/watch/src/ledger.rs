//! What was told already, so that nothing is counted twice and names and actors become better where they were.

use std::collections::{BTreeMap, HashMap, VecDeque};

use model::{Actor, Attribution, Event, Moment, Severity, SourceName, Stage, Verb};

use crate::{ActorKind, Deed, Incident, Observation, SourceKind, Sums, memory::key, sums::is_one_shot};

/// So many transactions and calls are remembered one by one.
pub(crate) const ENTRIES_MAX: usize = 10_000;
/// So many lines of positions are told apart.
const LINES_MAX: usize = 10_000;

/// Returns the line to which a position of a source belongs: positions of one log, or of one feed, sort among each other
/// and not with those of others.
fn line(source: &SourceName, position: &str) -> u64 {
    let name = position.split_once(['/', ' ']).map_or("", |(name, _)| name);
    key((source.as_str(), name))
}

/// One transaction or call as it is known.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) deed: Deed,
    pub(crate) seen_at: Moment,
    pub(crate) actor: Option<Actor>,
    pub(crate) attribution: Attribution,
    pub(crate) kind: ActorKind,
    pub(crate) severity: Severity,
    /// The incident that it belongs to.
    pub(crate) incident: Option<u64>,
    /// The expectation that covers it.
    pub(crate) suppressed: Option<String>,
    /// Whose deeds it is counted with.
    pub(crate) subject: u64,
}

/// Who did something, as far as detection asks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Doer {
    pub(crate) kind: ActorKind,
    pub(crate) subject: u64,
    /// What the source counts.
    pub(crate) unit: SourceKind,
}

/// What an observation adds to what is known.
pub(crate) enum Admitted {
    /// Nothing; all of it was told before.
    Nothing,
    /// So much more than was known, under a key of the ledger. `before` is what was known.
    More { key: u64, more: Sums, before: Option<Box<Entry>> },
    /// The same, told better.
    Better { key: u64, before: Box<Entry> },
}

/// Tells whether an event names somebody, rightly or as a guess.
pub(crate) fn is_known(event: &Event) -> bool {
    event.actor.is_some() && event.attribution != Attribution::Unknown
}

/// What was told already.
#[derive(Default)]
pub(crate) struct Ledger {
    entries: HashMap<u64, Entry>,
    order: VecDeque<u64>,
    /// Those that only read, of which there are many more.
    reads: VecDeque<u64>,
    /// Up to where lines of positions have told what was done, of those that tell before they tell for good.
    done: HashMap<u64, String>,
    /// The first position of each line that is still remembered.
    first: HashMap<u64, String>,
}

impl Ledger {
    /// Goes on with what incidents remember.
    pub(crate) fn restore(incidents: &BTreeMap<u64, Incident>) -> Self {
        let mut ledger = Self::default();
        for incident in incidents.values() {
            for (source, touched) in incident.touched.iter().filter(|(_, touched)| touched.glimpsed) {
                let done = ledger.done.entry(line(source, &touched.last_position)).or_default();
                if touched.last_position > *done {
                    done.clone_from(&touched.last_position);
                }
            }
        }
        let mut latest: Vec<(Moment, u64, &Deed)> = Vec::new();
        for incident in incidents.values().filter(|incident| incident.merged_into.is_none()) {
            latest.extend(incident.deeds.iter().map(|deed| (incident.last_seen_at, incident.id, deed)));
        }
        latest.sort_by_key(|(at, id, _)| (*at, *id));
        let skipped = latest.len().saturating_sub(ENTRIES_MAX);
        for (at, id, deed) in latest.into_iter().skip(skipped) {
            let suspect = incidents.get(&id).and_then(|incident| incident.suspect(deed.suspect));
            let entry = Entry {
                deed: deed.clone(),
                seen_at: at,
                actor: suspect.and_then(|suspect| suspect.actor.clone()).filter(|_| !deed.assumed),
                attribution: suspect.map_or(Attribution::Unknown, |suspect| suspect.attribution),
                kind: suspect.map_or(ActorKind::Unknown, |suspect| suspect.kind),
                severity: Severity::Notable,
                incident: Some(id),
                suppressed: None,
                subject: 0,
            };
            let key = ledger.key_of(&deed.source, &deed.scope, &deed.transaction, &deed.position);
            ledger.insert(key, entry);
        }
        ledger
    }

    /// Tells whether what has such positions in a source is told before it is told for good.
    pub(crate) fn glimpses(&self, source: &SourceName, position: &str) -> bool {
        self.done.contains_key(&line(source, position))
    }

    pub(crate) fn get(&self, key: u64) -> Option<&Entry> {
        self.entries.get(&key)
    }

    /// Returns all that is remembered of an incident.
    pub(crate) fn of_incident(&mut self, id: u64) -> impl Iterator<Item = &mut Entry> {
        self.entries.values_mut().filter(move |entry| entry.incident == Some(id))
    }

    pub(crate) fn get_mut(&mut self, key: u64) -> Option<&mut Entry> {
        self.entries.get_mut(&key)
    }

    /// Returns all that is remembered and changed something, the oldest first.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (u64, &Entry)> {
        self.order.iter().filter_map(|key| Some((*key, self.entries.get(key)?)))
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    fn key_of(&self, source: &SourceName, scope: &str, transaction: &str, position: &str) -> u64 {
        if self.glimpses(source, position) {
            key((source, transaction))
        } else {
            key((source, scope, transaction, position))
        }
    }

    /// Writes an observation down, and returns what it adds.
    pub(crate) fn admit(&mut self, observation: &Observation, doer: Doer) -> Admitted {
        let Observation { source, stage, event, seen_at } = observation;
        let stage = *stage;
        let line = line(source, &event.position);
        if stage != Stage::Told && (self.done.contains_key(&line) || self.done.len() < LINES_MAX) {
            let done = self.done.entry(line).or_default();
            if stage == Stage::Done && event.position > *done {
                done.clone_from(&event.position);
            }
        }
        let key = self.key_of(source, &event.scope, &event.transaction, &event.position);
        let effects = Sums::of(&event.effects);
        let glimpses = self.done.contains_key(&line);
        let known = is_known(event);
        let fresh = Entry {
            deed: Deed {
                source: source.clone(),
                scope: event.scope.clone(),
                transaction: event.transaction.clone(),
                position: event.position.clone(),
                stage,
                at: event.at.min(*seen_at),
                effects,
                suspect: 0,
                // Rows of a database are told once, whoever names their actor; a service has its feeds and its log.
                recorded: event.attribution == Attribution::Recorded
                    && !glimpses
                    && doer.unit == SourceKind::Items,
                assumed: false,
                given_up: false,
            },
            seen_at: *seen_at,
            actor: event.actor.clone().filter(|_| known),
            attribution: if known { event.attribution } else { Attribution::Unknown },
            kind: doer.kind,
            severity: event.severity,
            incident: None,
            suppressed: None,
            subject: doer.subject,
        };
        match self.entries.get_mut(&key) {
            Some(entry) => Self::renew(key, entry, fresh),
            None => self.first_time(key, fresh),
        }
    }

    fn first_time(&mut self, key: u64, mut fresh: Entry) -> Admitted {
        let line = line(&fresh.deed.source, &fresh.deed.position);
        let again = fresh.deed.stage == Stage::Told
            && self.done.get(&line).is_some_and(|done| fresh.deed.position <= *done);
        if again {
            // It was glimpsed and is forgotten, unless what is remembered goes further back: then nobody glimpsed it. That
            // matters for what does its harm at one stroke.
            let reaches = self.first.get(&line).is_none_or(|first| *first <= fresh.deed.position);
            fresh.deed.effects.retain(|effect| is_one_shot(effect.verb));
            if !reaches || fresh.deed.effects.is_empty() {
                return Admitted::Nothing;
            }
        }
        if fresh.deed.effects.is_empty() {
            return Admitted::Nothing;
        }
        let more = fresh.deed.effects.clone();
        self.insert(key, fresh);
        Admitted::More { key, more, before: None }
    }

    fn renew(key: u64, entry: &mut Entry, fresh: Entry) -> Admitted {
        let before = entry.clone();
        let (old, new) = (entry.deed.stage, fresh.deed.stage);
        if new == Stage::Underway && old != Stage::Underway {
            return Admitted::Nothing;
        }
        let better = crate::incident::rank(fresh.attribution) > crate::incident::rank(entry.attribution);
        let more = fresh.deed.effects.beyond(&entry.deed.effects);
        let was_done = old != Stage::Underway && !entry.deed.given_up;
        let deed = &mut entry.deed;
        deed.stage = old.max(new);
        if new == Stage::Underway {
            // An open transaction that holds nothing any more was rolled back.
            deed.given_up = fresh.deed.effects.is_empty();
            if !deed.given_up {
                deed.effects = fresh.deed.effects;
            }
        } else if !was_done {
            (deed.given_up, deed.effects) = (false, fresh.deed.effects);
        } else if more.is_empty() && deed.effects.beyond(&fresh.deed.effects).is_empty() {
            // The same, with better names.
            if new >= old {
                deed.effects = fresh.deed.effects;
            }
        }
        if new >= old {
            (deed.scope, deed.position, deed.at) = (fresh.deed.scope, fresh.deed.position, fresh.deed.at);
            entry.severity = entry.severity.max(fresh.severity);
        }
        entry.seen_at = fresh.seen_at;
        if better {
            (entry.actor, entry.attribution, entry.kind) = (fresh.actor, fresh.attribution, fresh.kind);
            entry.subject = fresh.subject;
        }
        let before = Box::new(before);
        if was_done || more.is_empty() {
            if entry.deed == before.deed && !better {
                return Admitted::Nothing;
            }
            return Admitted::Better { key, before };
        }
        Admitted::More { key, more, before: Some(before) }
    }

    fn insert(&mut self, key: u64, entry: Entry) {
        if entry.deed.effects.iter().all(|effect| effect.verb == Verb::Read) {
            if self.entries.insert(key, entry).is_none() {
                self.reads.push_back(key);
            }
            if self.reads.len() > ENTRIES_MAX
                && let Some(oldest) = self.reads.pop_front()
            {
                self.entries.remove(&oldest);
            }
            return;
        }
        let (own, position) = (line(&entry.deed.source, &entry.deed.position), entry.deed.position.clone());
        if self.entries.insert(key, entry).is_none() {
            self.order.push_back(key);
        }
        if self.done.contains_key(&own) {
            self.first.entry(own).or_insert(position);
        }
        while self.order.len() > ENTRIES_MAX {
            let Some(oldest) = self.order.pop_front() else { break };
            if let Some(gone) = self.entries.remove(&oldest) {
                let line = line(&gone.deed.source, &gone.deed.position);
                if let Some(first) = self.first.get_mut(&line) {
                    *first = gone.deed.position;
                }
            }
        }
    }
}
