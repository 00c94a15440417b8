//! When it is asked that somebody is stopped.

use model::{Effect, Stage};

use super::Watcher;
use crate::{
    ActionStatus, Asked, Incident, News, SuspectNote, containment::Suspect, incident::rank, ledger::Entry,
};

/// So many targets are named to whoever stops somebody.
const TARGETS_MAX: usize = 5;

impl Watcher {
    /// Asks that a suspect is stopped: once, again when they are known better, and again when they go on after somebody
    /// acted against them.
    pub(super) fn stop(&mut self, id: u64, suspect: u32, key: u64) -> Option<News> {
        let entry = self.ledger.get(key)?;
        let incident = self.incidents.get_mut(&id)?;
        let acted = incident.last_action();
        let note = incident.suspect_mut(suspect)?;
        if !note.fired {
            return None;
        }
        let again = note.asked.as_ref().is_none_or(|asked| {
            let is_better = rank(note.attribution) > rank(asked.attribution);
            let goes_on = acted.is_some_and(|acted| acted >= asked.at && goes_on_after(entry, acted));
            is_better || goes_on
        });
        if !again {
            return None;
        }
        note.asked = Some(Asked { at: entry.seen_at, attribution: note.attribution });
        let suspect = incident.suspect(suspect).map(|note| incident.to_stop(note, entry))?;
        Some(News::Contain { incident: id, suspect })
    }
}

/// Tells whether something was done after a moment, and is not only told after it.
fn goes_on_after(entry: &Entry, acted: model::Moment) -> bool {
    match entry.deed.stage {
        Stage::Underway => !entry.deed.given_up && entry.seen_at > acted,
        Stage::Done | Stage::Told => entry.deed.at > acted,
    }
}

impl Incident {
    fn last_action(&self) -> Option<model::Moment> {
        let taken = self.actions.iter().filter(|note| note.status == ActionStatus::Taken);
        taken.map(|note| note.at).max()
    }

    fn to_stop(&self, note: &SuspectNote, entry: &Entry) -> Suspect {
        let open =
            |deed: &&crate::Deed| deed.suspect == note.id && deed.stage == Stage::Underway && !deed.given_up;
        let of_entry = (entry.deed.stage == Stage::Underway && !entry.deed.given_up)
            .then(|| entry.deed.transaction.clone());
        let other = || self.deeds.iter().rev().find(open).map(|deed| deed.transaction.clone());
        let mut effects: Vec<&Effect> =
            note.underway.iter().chain(note.effects.iter()).chain(note.recorded.iter()).collect();
        effects.sort_by_key(|effect| std::cmp::Reverse(effect.count));
        let mut targets: Vec<String> = Vec::new();
        for effect in effects {
            if targets.len() < TARGETS_MAX && !targets.contains(&effect.target) {
                targets.push(effect.target.clone());
            }
        }
        Suspect {
            source: entry.deed.source.clone(),
            scope: entry.deed.scope.clone(),
            transaction: of_entry.or_else(other),
            targets,
            actor: note.actor.clone(),
            attribution: note.attribution,
            since: note.first,
        }
    }
}
