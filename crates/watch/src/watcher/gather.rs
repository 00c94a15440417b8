//! Which incident a deed belongs to, and how incidents begin.

use model::{Moment, Verb};

use super::{Context, Watcher, detect::Detected, place_key};
use crate::{
    Deed, Firing, Incident, IncidentSeverity, IncidentState, News, RuleSeverity, Sums, SuspectNote,
    incident::{NewSuspect, place_of},
    ledger::Entry,
    rules::Test,
    sums::is_destruction,
};

impl Watcher {
    /// Takes in what an entry of the ledger holds beyond what was known of it.
    pub(super) fn more(
        &mut self,
        key: u64,
        more: Sums,
        before: Option<&Entry>,
        context: &Context<'_>,
        news: &mut Vec<News>,
    ) {
        let Some(entry) = self.ledger.get(key).cloned() else { return };
        self.detach_from_closed(key);
        let unexpected = self.unexpected(&entry, more, context, news);
        if let Some(covered) = unexpected.covered
            && let Some(entry) = self.ledger.get_mut(key)
        {
            entry.suppressed = Some(covered);
        }
        let in_incident = self.ledger.get(key).is_some_and(|entry| entry.incident.is_some());
        if unexpected.more.is_empty() && !in_incident {
            return;
        }
        let detected = self.detect(&entry, &unexpected.more, context, false);
        let id = self.gather(key, before, &detected, news);
        if let Some(incident) = id.and_then(|id| self.incidents.get_mut(&id)) {
            for suppression in unexpected.used_up {
                if !incident.suppressions.iter().any(|known| known.expectation == suppression.expectation) {
                    incident.suppressions.push(suppression);
                }
            }
        }
    }

    /// A closed incident does not go on: what belongs to it and goes on begins a new one.
    pub(super) fn detach_from_closed(&mut self, key: u64) {
        let closed = |id: &u64| self.incidents.get(id).is_none_or(Incident::is_closed);
        let is_closed = self.ledger.get(key).and_then(|entry| entry.incident).as_ref().is_some_and(closed);
        if is_closed && let Some(entry) = self.ledger.get_mut(key) {
            entry.incident = None;
        }
    }

    /// Puts an entry into its incident, or into a new one where a rule fired. Returns the incident.
    pub(super) fn gather(
        &mut self,
        key: u64,
        before: Option<&Entry>,
        detected: &Detected,
        news: &mut Vec<News>,
    ) -> Option<u64> {
        news.extend(detected.notices.iter().map(|notice| News::Noticed { notice: notice.clone() }));
        let alarm = !detected.alarms.is_empty();
        let (found, is_late) = self.find(key, alarm);
        let (id, opened) = match found {
            Some(id) => (id, false),
            None if alarm => (self.open(key, detected), true),
            None => return None,
        };
        let suspect = self.attach(key, id, before);
        self.fire(key, id, suspect, detected);
        news.push(match (opened, is_late) {
            (true, _) => News::Opened { incident: id },
            (false, true) => News::Attributed { incident: id },
            (false, false) => News::Grew { incident: id },
        });
        news.extend(self.stop(id, suspect, key));
        Some(id)
    }

    /// Finds the incident to which an entry belongs, and tells whether an audit log names somebody for what was seen before.
    fn find(&self, key: u64, alarm: bool) -> (Option<u64>, bool) {
        let Some(entry) = self.ledger.get(key) else { return (None, false) };
        if entry.incident.is_some() {
            return (entry.incident, false);
        }
        let changes = |verb: Verb| verb != Verb::Read;
        let destroys = |incident: &Incident| {
            entry.deed.effects.verbs().any(|verb| is_destruction(verb) || incident.verbs.contains(&verb))
        };
        if entry.deed.recorded
            && let Some(id) = self.find_recorded(entry)
        {
            return (Some(id), true);
        }
        let place = self.by_place.get(&place_key(&entry.deed.source, &entry.deed.scope));
        let place = place.and_then(|id| self.incidents.get(id));
        if entry.actor.is_none() {
            // What is done there every day is somebody else's, and would go on for ever.
            let joins = |incident: &&Incident| alarm || (destroys(incident) && !self.is_habit(entry));
            return (place.filter(joins).map(|incident| incident.id), false);
        }
        let own = self.by_subject.get(&entry.subject);
        if own.is_some() && (alarm || entry.deed.effects.verbs().any(changes)) {
            return (own.copied(), false);
        }
        // Whoever is known now may be whoever was not.
        let unknown = |incident: &&Incident| {
            let unknown = incident.unknown_at(&entry.deed.source, &entry.deed.scope);
            unknown.is_some_and(|suspect| !suspect.is_spent())
        };
        (place.filter(|_| alarm).filter(unknown).map(|incident| incident.id), false)
    }

    /// Finds the incident of which an audit log tells, perhaps hours later.
    fn find_recorded(&self, entry: &Entry) -> Option<u64> {
        let (deed, slack) = (&entry.deed, self.slack_micros());
        let identity = entry.actor.as_ref().map_or("", |actor| actor.identity.as_str());
        let places = [place_of(&deed.scope), identity];
        let fits = |incident: &&Incident| {
            let Some(touched) = incident.touched.get(&deed.source) else { return false };
            let in_time =
                deed.at >= touched.from.plus_micros(-slack) && deed.at <= touched.until.plus_micros(slack);
            !incident.is_closed()
                && in_time
                && deed.effects.verbs().any(|verb| is_destruction(verb) || incident.verbs.contains(&verb))
                && touched.scopes.iter().any(|scope| places.contains(&place_of(scope)))
        };
        self.incidents.values().rev().find(fits).map(|incident| incident.id)
    }

    /// Opens an incident for what fired, with what the same actor did before since then.
    fn open(&mut self, key: u64, detected: &Detected) -> u64 {
        let id = self.next;
        self.next += 1;
        let Some(entry) = self.ledger.get(key).cloned() else { return id };
        self.incidents.insert(id, Incident::new(id, entry.seen_at));
        let since = detected.alarms.iter().map(|fired| fired.since).min().unwrap_or(i64::MAX);
        let verbs = self.verbs_of(detected);
        let is_part = |(other, one): &(u64, &Entry)| {
            *other != key
                && one.subject == entry.subject
                && one.incident.is_none()
                && one.suppressed.is_none()
                && one.deed.at.as_micros() >= since
                && (entry.actor.is_some()
                    || one.deed.effects.verbs().any(|verb| is_destruction(verb) || verbs.contains(&verb)))
        };
        let earlier: Vec<u64> = self.ledger.entries().filter(is_part).map(|(key, _)| key).collect();
        let mut first = entry.seen_at;
        for earlier in earlier {
            self.attach(earlier, id, None);
            let harms = |verb: Verb| is_destruction(verb) || verbs.contains(&verb);
            if let Some(one) = self.ledger.get(earlier).filter(|one| one.deed.effects.verbs().any(harms)) {
                first = first.min(one.seen_at);
            }
        }
        if let Some(incident) = self.incidents.get_mut(&id) {
            incident.first_seen_at = first;
            incident.delay_ms = (entry.seen_at.micros_since(first).max(0) / 1000) as u64;
        }
        let quiet = entry.seen_at.plus_micros(self.quiet_micros());
        self.quiet_check = self.quiet_check.min(quiet);
        id
    }

    fn verbs_of(&self, detected: &Detected) -> Vec<Verb> {
        let rules = detected.alarms.iter().filter_map(|fired| self.rules.rules.get(fired.rule));
        rules
            .flat_map(|rule| match &rule.when {
                Test::Sequence(sequence) => {
                    sequence.steps.last().map_or(Vec::new(), |step| step.of.verbs.clone())
                }
                _ => rule.of.verbs.clone(),
            })
            .filter(|verb| *verb != Verb::Read)
            .collect()
    }

    /// Puts an entry into an incident, and returns the suspect that it belongs to.
    pub(super) fn attach(&mut self, key: u64, id: u64, before: Option<&Entry>) -> u32 {
        let glimpses = |entry: &Entry| self.ledger.glimpses(&entry.deed.source, &entry.deed.position);
        let glimpsed = self.ledger.get(key).is_some_and(glimpses);
        let kinds = &self.kinds;
        let Some(entry) = self.ledger.get_mut(key) else { return 0 };
        let Some(incident) = self.incidents.get_mut(&id) else { return 0 };
        let same = |suspect: &&SuspectNote| match (&suspect.actor, &entry.actor) {
            (Some(one), Some(other)) => {
                one.identity == other.identity
                    && one.client == other.client
                    && kinds.program(one) == kinds.program(other)
            }
            _ => false,
        };
        let (deed_source, deed_scope) = (&entry.deed.source, &entry.deed.scope);
        let new =
            NewSuspect { actor: entry.actor.as_ref(), kind: entry.kind, attribution: entry.attribution };
        let mut assumed = false;
        let known = if entry.actor.is_some() {
            incident.suspects.iter().find(same).map(|suspect| suspect.id)
        } else if let Some(only) = incident.only_recorded_at(deed_source, deed_scope).filter(|_| !glimpsed) {
            assumed = true;
            Some(only)
        } else {
            incident.unknown_at(deed_source, deed_scope).map(|suspect| suspect.id)
        };
        let suspect = known.unwrap_or_else(|| incident.add_suspect(&new, &entry.deed));
        (entry.incident, entry.deed.suspect, entry.deed.assumed) = (Some(id), suspect, assumed);
        let before = before.filter(|before| before.incident == Some(id)).map(|before| &before.deed);
        incident.put(before, entry.deed.clone(), glimpsed);
        if let Some(note) = incident.suspect_mut(suspect)
            && !assumed
        {
            note.better(entry);
        }
        if entry.deed.recorded {
            incident.claim(suspect, &entry.deed);
        }
        // What a log tells late does not make it last longer.
        let seen = if entry.deed.recorded { entry.deed.at } else { entry.seen_at };
        incident.last_seen_at = incident.last_seen_at.max(seen);
        let (subject, place) = (entry.subject, place_key(&entry.deed.source, &entry.deed.scope));
        let is_listed = incident.suspect(suspect).is_some_and(|suspect| suspect.actor.is_some());
        let touched = incident.touched.get(&entry.deed.source);
        let is_named = touched.is_some_and(|touched| touched.scopes.contains(&entry.deed.scope));
        if !incident.growing && !incident.is_closed() && !entry.deed.recorded {
            incident.growing = true;
            self.quiet_check = self.quiet_check.min(incident.last_seen_at);
        }
        if incident.growing {
            if is_named {
                self.by_place.insert(place, id);
            }
            if is_listed && entry.actor.is_some() {
                self.by_subject.insert(subject, id);
            }
        }
        suspect
    }

    /// Writes down which rules fired on a suspect.
    fn fire(&mut self, key: u64, id: u64, suspect: u32, detected: &Detected) {
        let verbs = self.verbs_of(detected);
        let Some(at) = self.ledger.get(key).map(|entry| entry.seen_at) else { return };
        let Some(incident) = self.incidents.get_mut(&id) else { return };
        if detected.alarms.is_empty() {
            return;
        }
        let new = detected.new_pair.iter();
        for fired in detected.alarms.iter().chain(new) {
            let Some(rule) = self.rules.rules.get(fired.rule) else { continue };
            incident.fire(Firing {
                rule: rule.id.clone(),
                suspect,
                at,
                explanation: fired.explanation.clone(),
            });
            if rule.severity == RuleSeverity::Notice {
                incident.severity = IncidentSeverity::Critical;
            }
        }
        incident.verbs.extend(verbs);
        if let Some(suspect) = incident.suspect_mut(suspect) {
            suspect.fired = true;
        }
    }
}

impl Incident {
    pub(super) fn new(id: u64, at: Moment) -> Self {
        Self {
            id,
            state: IncidentState::Open,
            history: vec![crate::StateChange {
                state: IncidentState::Open,
                at,
                why: "a rule fired".to_owned(),
            }],
            severity: IncidentSeverity::High,
            growing: true,
            verbs: std::collections::BTreeSet::new(),
            firings: Vec::new(),
            suspects: Vec::new(),
            touched: std::collections::BTreeMap::new(),
            deeds: Vec::new(),
            deeds_capped: false,
            first_seen_at: at,
            last_seen_at: at,
            opened_at: at,
            delay_ms: 0,
            actions: Vec::new(),
            holds: Vec::new(),
            captured: Vec::new(),
            notices: Vec::new(),
            plans: Vec::new(),
            suppressions: Vec::new(),
            merged: Vec::new(),
            merged_into: None,
            next_suspect: 1,
        }
    }

    fn fire(&mut self, firing: Firing) {
        let is_known = |known: &Firing| known.rule == firing.rule && known.suspect == firing.suspect;
        if !self.firings.iter().any(is_known) {
            self.firings.push(firing);
        }
    }

    /// Says of what has not taken effect that it never will; should it after all, it is told.
    pub(super) fn give_up(&mut self) {
        let open = |deed: &&Deed| deed.stage == model::Stage::Underway && !deed.given_up;
        let open: Vec<Deed> = self.deeds.iter().filter(open).cloned().collect();
        for deed in open {
            let given_up = Deed { given_up: true, ..deed.clone() };
            self.put(Some(&deed), given_up, true);
        }
    }
}
