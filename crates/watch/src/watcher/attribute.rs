//! What follows when it is known better who it was.

use model::Stage;

use super::{Context, Watcher};
use crate::{
    Incident, IncidentState, News, SourceKind, SuspectNote, incident::rank, ledger::Entry, sums::is_one_shot,
};

impl Watcher {
    /// Takes in that an entry of the ledger is told again, with better names or a better known actor.
    pub(super) fn better(&mut self, key: u64, before: &Entry, context: &Context<'_>, news: &mut Vec<News>) {
        self.detach_from_closed(key);
        let Some(entry) = self.ledger.get(key).cloned() else { return };
        let known_better = rank(entry.attribution) > rank(before.attribution);
        let Some(id) = entry.incident else {
            if (known_better || self.stays_unknown(&entry)) && !entry.deed.given_up {
                self.somebody(key, before, &entry, context, news);
            }
            return;
        };
        let old = before.deed.suspect;
        let suspect = self.attach(key, id, Some(before));
        let is_new = old != suspect;
        let mut told = false;
        if is_new && let Some(incident) = self.incidents.get_mut(&id) {
            told = incident.moved(old, suspect, &entry);
        }
        if is_new || known_better {
            told |= self.merge(id, entry.subject, news);
        }
        let id = self.ledger.get(key).and_then(|entry| entry.incident).unwrap_or(id);
        let suspect = self.ledger.get(key).map_or(suspect, |entry| entry.deed.suspect);
        news.push(if told || (known_better && !is_new) {
            News::Attributed { incident: id }
        } else {
            News::Grew { incident: id }
        });
        news.extend(self.stop(id, suspect, key));
    }

    /// Tells whether something that was taken for announced is settled, and still nobody is known who did it. A feed of a
    /// service knows nobody: there its audit log has the last word.
    fn stays_unknown(&self, entry: &Entry) -> bool {
        let deed = &entry.deed;
        entry.suppressed.is_some()
            && entry.actor.is_none()
            && deed.stage == Stage::Told
            && self.unit(&deed.source) == SourceKind::Rows
    }

    /// What nobody was known to have done, or was taken for announced, was done by somebody: it is looked at again.
    fn somebody(
        &mut self,
        key: u64,
        before: &Entry,
        entry: &Entry,
        context: &Context<'_>,
        news: &mut Vec<News>,
    ) {
        let effects = entry.deed.effects.clone();
        if entry.suppressed.is_some() {
            // Whoever announced a stroke is named by then, or it was somebody else.
            let nobodys = self.stays_unknown(entry);
            let covers = |effect: &model::Effect| {
                context.expectations.iter().any(|expectation| {
                    let deed = &entry.deed;
                    let what = (effect.verb, effect.target.as_str());
                    let theirs = !(nobodys && expectation.actor.is_some() && is_one_shot(effect.verb));
                    theirs
                        && expectation.covers(&deed.source, deed.at, entry.actor.as_ref(), &deed.scope, what)
                })
            };
            if effects.iter().any(covers) {
                return;
            }
            if let Some(entry) = self.ledger.get_mut(key) {
                entry.suppressed = None;
            }
        }
        let again = before.suppressed.is_none();
        let detected = self.detect(entry, &effects, context, again);
        self.gather(key, None, &detected, news);
    }

    /// Makes one incident of two that turn out to be the work of one actor.
    fn merge(&mut self, id: u64, subject: u64, news: &mut Vec<News>) -> bool {
        // The index points to the incident that was attached last: here, the one that is known better now.
        let of_actor = |watcher: &Self, incident: &Incident| {
            incident.suspects.iter().any(|suspect| {
                suspect.actor.is_some()
                    && watcher.subject(suspect.actor.as_ref(), &suspect.source, &suspect.scope) == subject
                    && suspect.fired
            })
        };
        let is_theirs = self.incidents.get(&id).is_some_and(|incident| {
            of_actor(self, incident) && incident.suspects.iter().filter(|suspect| suspect.fired).count() == 1
        });
        if !is_theirs {
            return false;
        }
        let quiet = self.quiet_micros();
        let Some(here) = self.incidents.get(&id) else { return false };
        let near = |other: &Incident| {
            other.first_seen_at <= here.last_seen_at.plus_micros(quiet)
                && here.first_seen_at <= other.last_seen_at.plus_micros(quiet)
        };
        let found = self
            .incidents
            .values()
            .rev()
            .take(100)
            .find(|other| other.id != id && !other.is_closed() && near(other) && of_actor(self, other));
        let Some(other) = found.map(|other| other.id) else { return false };
        let (kept, gone) = (id.min(other), id.max(other));
        let Some(mut part) = self.incidents.remove(&gone) else { return false };
        let Some(whole) = self.incidents.get_mut(&kept) else { return false };
        let kinds = self.kinds.clone();
        let same = |one: &SuspectNote, two: &SuspectNote| match (&one.actor, &two.actor) {
            (Some(a), Some(b)) => {
                a.identity == b.identity && a.client == b.client && kinds.program(a) == kinds.program(b)
            }
            _ => false,
        };
        let numbers = whole.absorb(&part, same);
        let at = self.now;
        part.growing = false;
        part.merged_into = Some(kept);
        part.change_state(IncidentState::Closed, at, format!("it is part of incident {kept}"));
        self.incidents.insert(gone, part);
        for entry in self.ledger.of_incident(gone) {
            entry.incident = Some(kept);
            entry.deed.suspect = numbers.get(&entry.deed.suspect).copied().unwrap_or(entry.deed.suspect);
        }
        self.index();
        news.push(News::Grew { incident: gone });
        true
    }
}

impl Incident {
    /// Sees to it that a suspect inherits from whom a deed was taken. Tells whether anything is known better by it.
    fn moved(&mut self, old: u32, new: u32, entry: &Entry) -> bool {
        let Some(from) = self.suspect(old).cloned() else { return false };
        let guessed = from.actor.is_none() || rank(from.attribution) < rank(entry.attribution);
        if from.is_spent() {
            self.hand_over(old, new, false);
            return true;
        }
        let all = self.destroyed() + self.touched.values().map(|t| t.underway.destroyed()).sum::<u64>();
        let one_shot = entry.deed.effects.verbs().any(is_one_shot);
        let Some(suspect) = self.suspect_mut(new) else { return false };
        let first = !suspect.guessed_before;
        suspect.guessed_before |= guessed;
        let most = (suspect.destroyed() + suspect.underway.destroyed()) * 2 >= all;
        let fires = from.fired && (one_shot || most) && !suspect.fired;
        suspect.fired |= fires;
        first || fires
    }

    /// Takes in another incident; returns which numbers its suspects have here.
    fn absorb(
        &mut self,
        part: &Self,
        same: impl Fn(&SuspectNote, &SuspectNote) -> bool,
    ) -> std::collections::BTreeMap<u32, u32> {
        let mut numbers = std::collections::BTreeMap::new();
        for suspect in &part.suspects {
            let known = self.suspects.iter().find(|known| same(known, suspect)).map(|known| known.id);
            let id = known.unwrap_or_else(|| {
                let id = self.next_suspect;
                self.next_suspect += 1;
                let empty = SuspectNote {
                    id,
                    effects: crate::Sums::default(),
                    underway: crate::Sums::default(),
                    given_up: crate::Sums::default(),
                    recorded: crate::Sums::default(),
                    assumed: crate::Sums::default(),
                    deeds: 0,
                    ..suspect.clone()
                };
                self.suspects.push(empty);
                id
            });
            numbers.insert(suspect.id, id);
            if let Some(here) = self.suspect_mut(id) {
                here.absorb(suspect);
            }
        }
        self.absorb_touched(part);
        for deed in &part.deeds {
            if self.deeds.len() >= crate::incident::DEEDS_MAX {
                self.deeds_capped = true;
                break;
            }
            let suspect = numbers.get(&deed.suspect).copied().unwrap_or(deed.suspect);
            self.deeds.push(crate::Deed { suspect, ..deed.clone() });
        }
        self.deeds_capped |= part.deeds_capped;
        for firing in &part.firings {
            let suspect = numbers.get(&firing.suspect).copied().unwrap_or(firing.suspect);
            if !self.firings.iter().any(|known| known.rule == firing.rule && known.suspect == suspect) {
                self.firings.push(crate::Firing { suspect, ..firing.clone() });
            }
        }
        self.verbs.extend(&part.verbs);
        self.severity = self.severity.max(part.severity);
        self.growing |= part.growing;
        self.first_seen_at = self.first_seen_at.min(part.first_seen_at);
        self.last_seen_at = self.last_seen_at.max(part.last_seen_at);
        self.actions.extend(part.actions.iter().cloned());
        self.captured.extend(part.captured.iter().cloned());
        self.notices.extend(part.notices.iter().cloned());
        self.plans.extend(part.plans.iter().cloned());
        self.suppressions.extend(part.suppressions.iter().cloned());
        self.merged.push(part.id);
        for hold in &part.holds {
            if !self.holds.iter().any(|known| known.source == hold.source) {
                self.holds.push(hold.clone());
            }
        }
        if part.state == IncidentState::Contained && self.state == IncidentState::Open {
            self.change_state(
                IncidentState::Contained,
                part.last_seen_at,
                format!("as incident {} was", part.id),
            );
        }
        numbers
    }

    fn absorb_touched(&mut self, part: &Self) {
        for (source, touched) in &part.touched {
            let Some(here) = self.touched.get_mut(source) else {
                self.touched.insert(source.clone(), touched.clone());
                continue;
            };
            here.from = here.from.min(touched.from);
            here.until = here.until.max(touched.until);
            if touched.first_position < here.first_position {
                here.first_position.clone_from(&touched.first_position);
            }
            if touched.last_position > here.last_position {
                here.last_position.clone_from(&touched.last_position);
            }
            here.scopes.extend(touched.scopes.iter().cloned());
            here.glimpsed |= touched.glimpsed;
            here.effects.add_all(&touched.effects);
            here.underway.add_all(&touched.underway);
            here.given_up.add_all(&touched.given_up);
            here.recorded.add_all(&touched.recorded);
            here.deeds += touched.deeds;
        }
    }
}

impl SuspectNote {
    /// Takes in how an entry's actor is known, where that is better.
    pub(super) fn better(&mut self, entry: &Entry) {
        if self.actor.is_some() && entry.actor.is_some() && rank(entry.attribution) > rank(self.attribution) {
            self.guessed_before |= rank(self.attribution) <= 1;
            self.attribution = entry.attribution;
            self.actor.clone_from(&entry.actor);
            self.kind = entry.kind;
        }
    }

    fn absorb(&mut self, other: &Self) {
        self.effects.add_all(&other.effects);
        self.underway.add_all(&other.underway);
        self.given_up.add_all(&other.given_up);
        self.recorded.add_all(&other.recorded);
        self.assumed.add_all(&other.assumed);
        self.deeds += other.deeds;
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.fired |= other.fired;
        self.guessed_before |= other.guessed_before;
        if rank(other.attribution) > rank(self.attribution) {
            self.attribution = other.attribution;
        }
        if self.asked.is_none() {
            self.asked.clone_from(&other.asked);
        }
    }
}
