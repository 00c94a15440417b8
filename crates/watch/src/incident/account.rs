//! How deeds are added to an incident, moved to whoever did them, and taken out again.

use model::{Actor, Attribution, Moment, SourceName, Stage};

use super::{Deed, Incident, IncidentState, StateChange, SuspectNote, Touched, place_of};
use crate::{ActorKind, Sums, sums::is_destruction};

/// So many transactions and calls of an incident are kept one by one.
pub(crate) const DEEDS_MAX: usize = 1000;
/// So many suspects of an incident are told apart; the deeds of others stay with nobody.
const SUSPECTS_MAX: usize = 50;
/// So many databases, mailboxes or sites are named.
const SCOPES_MAX: usize = 1000;

/// Returns how well an actor is known; more is better.
pub(crate) const fn rank(attribution: Attribution) -> u8 {
    match attribution {
        Attribution::Witnessed => 4,
        Attribution::Recorded => 3,
        Attribution::Sampled => 2,
        Attribution::Inferred => 1,
        Attribution::Unknown => 0,
    }
}

/// Whoever a deed is by, as far as it is known.
pub(crate) struct NewSuspect<'a> {
    pub(crate) actor: Option<&'a Actor>,
    pub(crate) kind: ActorKind,
    pub(crate) attribution: Attribution,
}

impl Incident {
    pub(crate) fn change_state(&mut self, state: IncidentState, at: Moment, why: String) {
        if self.state != state {
            self.state = state;
            self.history.push(StateChange { state, at, why });
        }
    }

    pub(crate) fn suspect_mut(&mut self, id: u32) -> Option<&mut SuspectNote> {
        self.suspects.iter_mut().find(|suspect| suspect.id == id)
    }

    /// Returns whoever is not known in a place.
    pub(crate) fn unknown_at(&self, source: &SourceName, scope: &str) -> Option<&SuspectNote> {
        let place = place_of(scope);
        self.suspects.iter().find(|suspect| {
            suspect.actor.is_none() && suspect.source == *source && place_of(&suspect.scope) == place
        })
    }

    /// Returns the only one of whom an audit log says that they destroyed something in a place.
    pub(crate) fn only_recorded_at(&self, source: &SourceName, scope: &str) -> Option<u32> {
        let place = place_of(scope);
        let mut there = self.deeds.iter().filter(|deed| {
            deed.recorded
                && deed.source == *source
                && place_of(&deed.scope) == place
                && deed.effects.verbs().any(is_destruction)
        });
        let first = there.next()?.suspect;
        there.all(|deed| deed.suspect == first).then_some(first)
    }

    /// Adds a suspect, and returns its number. Beyond the number that is told apart it is
    /// nobody in particular.
    pub(crate) fn add_suspect(&mut self, new: &NewSuspect<'_>, deed: &Deed) -> u32 {
        let nobody = NewSuspect { actor: None, kind: ActorKind::Unknown, attribution: Attribution::Unknown };
        let new = if self.suspects.len() < SUSPECTS_MAX {
            new
        } else if let Some(other) = self.suspects.iter().find(|suspect| suspect.actor.is_none()) {
            return other.id;
        } else {
            &nobody
        };
        let id = self.next_suspect;
        self.next_suspect += 1;
        self.suspects.push(SuspectNote {
            id,
            actor: new.actor.cloned(),
            kind: new.kind,
            attribution: new.attribution,
            identified: None,
            guessed_before: false,
            source: deed.source.clone(),
            scope: deed.scope.clone(),
            effects: Sums::default(),
            underway: Sums::default(),
            given_up: Sums::default(),
            recorded: Sums::default(),
            assumed: Sums::default(),
            deeds: 0,
            first: deed.at,
            last: deed.at,
            fired: false,
            asked: None,
        });
        id
    }

    /// Adds a deed, in place of what was told of it before.
    pub(crate) fn put(&mut self, before: Option<&Deed>, deed: Deed, glimpsed: bool) {
        let known = before.and_then(|before| self.deeds.iter().rposition(|one| one.is_same(before)));
        // What is listed says whose it is now.
        if let Some(before) = known.map(|at| self.deeds[at].clone()).as_ref().or(before) {
            self.lift(before);
        }
        let touched = self.touched.entry(deed.source.clone()).or_insert_with(|| Touched {
            from: deed.at,
            until: deed.at,
            first_position: deed.position.clone(),
            last_position: deed.position.clone(),
            scopes: std::collections::BTreeSet::new(),
            glimpsed,
            effects: Sums::default(),
            underway: Sums::default(),
            given_up: Sums::default(),
            recorded: Sums::default(),
            deeds: 0,
        });
        touched.from = touched.from.min(deed.at);
        touched.until = touched.until.max(deed.at);
        touched.glimpsed |= glimpsed;
        if deed.position < touched.first_position {
            touched.first_position.clone_from(&deed.position);
        }
        if deed.position > touched.last_position {
            touched.last_position.clone_from(&deed.position);
        }
        if touched.scopes.len() < SCOPES_MAX && !touched.scopes.contains(&deed.scope) {
            touched.scopes.insert(deed.scope.clone());
        }
        touched.deeds += 1;
        pot(&deed, &mut touched.effects, &mut touched.underway, &mut touched.given_up, &mut touched.recorded)
            .add_all(&deed.effects);
        if let Some(suspect) = self.suspect_mut(deed.suspect) {
            suspect.first = suspect.first.min(deed.at);
            suspect.last = suspect.last.max(deed.at);
            suspect.deeds += 1;
            suspect.pot(&deed).add_all(&deed.effects);
            if deed.assumed {
                suspect.assumed.add_all(&deed.effects);
                suspect.settle();
            }
        }
        match known {
            Some(at) => self.deeds[at] = deed,
            None if self.deeds.len() < DEEDS_MAX => self.deeds.push(deed),
            None => self.deeds_capped = true,
        }
    }

    /// Takes a deed out of all sums.
    fn lift(&mut self, deed: &Deed) {
        if let Some(touched) = self.touched.get_mut(&deed.source) {
            touched.deeds = touched.deeds.saturating_sub(1);
            pot(
                deed,
                &mut touched.effects,
                &mut touched.underway,
                &mut touched.given_up,
                &mut touched.recorded,
            )
            .remove_all(&deed.effects);
        }
        if let Some(suspect) = self.suspect_mut(deed.suspect) {
            suspect.deeds = suspect.deeds.saturating_sub(1);
            suspect.pot(deed).remove_all(&deed.effects);
            if deed.assumed {
                suspect.assumed.remove_all(&deed.effects);
            }
        }
    }

    /// Gives a suspect what feeds saw and an audit log says that they did: first what is nobody's, then what is others'
    /// only because nobody else was known. Where nobody else is known, the rest is assumed to be theirs as well.
    pub(crate) fn claim(&mut self, id: u32, deed: &Deed) {
        let place = (deed.source.clone(), place_of(&deed.scope).to_owned());
        let is_there = |s: &SuspectNote| s.source == place.0 && place_of(&s.scope) == place.1;
        let mut claimed = Sums::default();
        for verb in deed.effects.verbs().filter(|verb| is_destruction(*verb)) {
            let mut left = deed.effects.count(verb);
            for other in self.suspects.iter_mut().filter(|s| s.id != id && is_there(s)) {
                let taken = if other.actor.is_none() {
                    other.effects.take(verb, left)
                } else {
                    let taken = other.assumed.take(verb, left);
                    other.effects.remove_all(&taken);
                    taken
                };
                left -= taken.count(verb);
                claimed.add_all(&taken);
            }
        }
        let alone = self.only_recorded_at(&deed.source, &deed.scope) == Some(id);
        let unknown = alone.then(|| self.unknown_at(&deed.source, &deed.scope).map(|s| s.id)).flatten();
        let mut rest = Sums::default();
        if let Some(unknown) = unknown
            && let Some(other) = self.suspect_mut(unknown)
        {
            rest = std::mem::take(&mut other.effects);
        }
        if let Some(suspect) = self.suspect_mut(id) {
            suspect.guessed_before |= !claimed.is_empty() || !rest.is_empty();
            suspect.effects.add_all(&claimed);
            suspect.effects.add_all(&rest);
            suspect.assumed.add_all(&rest);
            suspect.settle();
        }
        if let Some(unknown) = unknown {
            self.hand_over(unknown, id, true);
        }
    }

    /// Hands over what is left of somebody who turned out to be somebody else, and takes them from the list.
    pub(crate) fn hand_over(&mut self, from: u32, to: u32, assumed: bool) {
        let Some(at) = self.suspects.iter().position(|s| s.id == from) else { return };
        if from == to || !self.suspects[at].is_spent() {
            return;
        }
        let old = self.suspects.remove(at);
        for deed in self.deeds.iter_mut().filter(|deed| deed.suspect == from) {
            deed.suspect = to;
            deed.assumed |= assumed && deed.stage != Stage::Underway;
        }
        // What fired, fired on whoever did most of it.
        let fired = self.suspects.iter().filter(|suspect| suspect.fired);
        let heir = fired.max_by_key(|suspect| suspect.destroyed()).map_or(to, |suspect| suspect.id);
        for firing in self.firings.iter_mut().filter(|firing| firing.suspect == from) {
            firing.suspect = heir;
        }
        if let Some(new) = self.suspect_mut(to) {
            new.first = new.first.min(old.first);
            new.last = new.last.max(old.last);
            new.deeds += old.deeds;
            new.fired |= old.fired && heir == to;
            new.guessed_before = true;
            if new.asked.is_none() && heir == to {
                new.asked = old.asked;
            }
        }
        let mut seen = std::collections::BTreeSet::new();
        self.firings.retain(|firing| seen.insert((firing.rule.clone(), firing.suspect)));
    }
}

impl SuspectNote {
    fn pot(&mut self, deed: &Deed) -> &mut Sums {
        pot(deed, &mut self.effects, &mut self.underway, &mut self.given_up, &mut self.recorded)
    }

    /// What a log says that they did is not assumed any more.
    fn settle(&mut self) {
        let verbs: Vec<_> = self.recorded.verbs().collect();
        for verb in verbs {
            let exact = self.effects.count(verb).saturating_sub(self.assumed.count(verb));
            self.assumed.take(verb, self.recorded.count(verb).saturating_sub(exact));
        }
    }

    /// Tells whether nothing is left of what they seemed to have done.
    pub(crate) fn is_spent(&self) -> bool {
        let all = [&self.effects, &self.underway, &self.recorded, &self.given_up];
        all.into_iter().all(Sums::is_empty)
    }
}

impl Deed {
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.transaction == other.transaction
            && self.source == other.source
            && self.recorded == other.recorded
            && (self.position == other.position || self.stage != Stage::Told || other.stage != Stage::Told)
    }
}

/// Returns the sum that a deed belongs to.
fn pot<'a>(
    deed: &Deed,
    effects: &'a mut Sums,
    underway: &'a mut Sums,
    given_up: &'a mut Sums,
    recorded: &'a mut Sums,
) -> &'a mut Sums {
    match deed.stage {
        _ if deed.given_up => given_up,
        _ if deed.recorded => recorded,
        Stage::Underway => underway,
        Stage::Done | Stage::Told => effects,
    }
}
