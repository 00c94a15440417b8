//! What people and the caller add to an incident, and which states may follow which.

use model::{Actor, Attribution, Moment, SourceName};
use serde::{Deserialize, Serialize};

use super::{ActionNote, ActionStatus, Hold, Identified, Incident, IncidentState, Note, Plan, SuspectNote};
use crate::{
    ActorKind,
    containment::{Action, Taken},
};

/// Something that was done about an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum Amendment {
    /// It was found out who it is, by looking where it happens.
    Identified {
        /// Where.
        source: SourceName,
        /// The database, mailbox or site.
        scope: String,
        /// Who.
        actor: Actor,
        /// What they are.
        kind: ActorKind,
        /// How that is known.
        attribution: Attribution,
    },
    /// A person is asked whether an action is taken.
    Proposed {
        /// The action.
        action: Action,
        /// When.
        at: Moment,
        /// Why a person is asked.
        why: String,
    },
    /// An action was taken.
    Taken {
        /// The action, with what was there before.
        taken: Taken,
        /// Whether policy let it be taken without a person.
        automatic: bool,
        /// By what or by whom it was decided.
        why: String,
    },
    /// An action was not taken: a person, policy or the platform refused it.
    Refused {
        /// The action.
        action: Action,
        /// When.
        at: Moment,
        /// Why.
        why: String,
    },
    /// What was there before an action is back.
    TakenBack {
        /// The action.
        action: Action,
        /// When.
        at: Moment,
        /// Why, or by whom.
        why: String,
    },
    /// What was taken stays beyond its time.
    Kept {
        /// Who says so.
        by: String,
        /// When.
        at: Moment,
    },
    /// Nothing of a source is released any more.
    Held {
        /// The source.
        source: SourceName,
        /// When.
        at: Moment,
    },
    /// What had not been captured is captured.
    Captured {
        /// When.
        at: Moment,
        /// What it came to.
        text: String,
    },
    /// Somebody was told.
    Notified {
        /// When.
        at: Moment,
        /// Who, and how.
        text: String,
    },
    /// A plan was made that undoes it.
    Planned {
        /// The plan's hash.
        plan: String,
        /// When.
        at: Moment,
    },
    /// A plan was carried out.
    Undone {
        /// The plan's hash.
        plan: String,
        /// When.
        at: Moment,
    },
    /// Somebody closes it.
    Closed {
        /// Why.
        reason: String,
        /// Who.
        by: String,
        /// When.
        at: Moment,
    },
}

/// Why an incident was not amended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AmendError {
    /// There is no such incident.
    #[error("there is no incident {id}")]
    NoSuchIncident {
        /// The number that was asked for.
        id: u64,
    },
    /// It is closed; only what was taken may still be taken back.
    #[error("incident {id} is closed")]
    Closed {
        /// Its number.
        id: u64,
    },
    /// What is to be taken back was not taken, or is taken back.
    #[error("the action was not taken: {title}")]
    NotTaken {
        /// The action, in a line.
        title: String,
    },
    /// What was carried out was not planned.
    #[error("incident {id} has no plan {plan}")]
    NoSuchPlan {
        /// Its number.
        id: u64,
        /// The plan's hash.
        plan: String,
    },
}

impl Incident {
    /// Adds what was done about it. A closed incident takes only what is taken back.
    pub(crate) fn amend(&mut self, amendment: Amendment) -> Result<(), AmendError> {
        if self.is_closed() && !matches!(amendment, Amendment::TakenBack { .. }) {
            return Err(AmendError::Closed { id: self.id });
        }
        match amendment {
            Amendment::Identified { source, scope, actor, kind, attribution } => {
                self.identify((&source, &scope), &actor, kind, attribution);
            }
            Amendment::Proposed { action, at, why } => {
                self.note_action(action, ActionStatus::Proposed, at, why);
            }
            Amendment::Refused { action, at, why } => {
                self.note_action(action, ActionStatus::Refused, at, why);
            }
            Amendment::Taken { taken, automatic, why } => self.take(taken, automatic, why),
            Amendment::TakenBack { action, at, why } => return self.take_back(&action, at, &why),
            Amendment::Kept { by, at } => {
                for note in self.actions.iter_mut().filter(|note| note.status == ActionStatus::Taken) {
                    (note.kept, note.at, note.why) = (true, at, format!("kept by {by}"));
                }
            }
            Amendment::Held { source, at } => {
                if !self.holds.iter().any(|hold| hold.source == source) {
                    self.holds.push(Hold { source, at });
                }
            }
            Amendment::Captured { at, text } => self.captured.push(Note { at, text }),
            Amendment::Notified { at, text } => self.notices.push(Note { at, text }),
            Amendment::Planned { plan, at } => {
                if !self.plans.iter().any(|known| known.hash == plan) {
                    self.plans.push(Plan { hash: plan, made_at: at, applied_at: None });
                }
            }
            Amendment::Undone { plan, at } => {
                let id = self.id;
                let Some(known) = self.plans.iter_mut().find(|known| known.hash == plan) else {
                    return Err(AmendError::NoSuchPlan { id, plan });
                };
                known.applied_at = Some(at);
                self.change_state(IncidentState::Undone, at, format!("plan {plan} was carried out"));
            }
            Amendment::Closed { reason, by, at } => {
                self.growing = false;
                self.change_state(IncidentState::Closed, at, format!("{reason} ({by})"));
            }
        }
        Ok(())
    }

    /// Gives the suspect of a place a name, where nothing better is known.
    fn identify(
        &mut self,
        (source, scope): (&SourceName, &str),
        actor: &Actor,
        kind: ActorKind,
        attribution: Attribution,
    ) {
        let nameless = |suspect: &&mut SuspectNote| {
            suspect.fired && suspect.actor.is_none() && suspect.source == *source && suspect.scope == scope
        };
        for suspect in self.suspects.iter_mut().filter(nameless) {
            suspect.identified = Some(Identified { actor: actor.clone(), kind, attribution });
        }
    }

    fn note_action(&mut self, action: Action, status: ActionStatus, at: Moment, why: String) {
        let known = self.actions.iter_mut().rev().find(|note| note.action == action);
        match known {
            // What is taken stays so, whatever else is asked.
            Some(note) if note.status == ActionStatus::Taken => {}
            Some(note) => (note.status, note.at, note.why) = (status, at, why),
            None => {
                self.actions.push(ActionNote {
                    action,
                    status,
                    at,
                    taken: None,
                    automatic: false,
                    kept: false,
                    why,
                });
            }
        }
    }

    fn take(&mut self, taken: Taken, automatic: bool, why: String) {
        let (at, action) = (taken.at, taken.action.clone());
        let is_theirs = |note: &&mut ActionNote| note.action == action;
        let known = self.actions.iter_mut().rev().find(is_theirs).map(|note| note.status);
        self.note_action(action.clone(), ActionStatus::Taken, at, why);
        let title = action.title.clone();
        // What was there before the first time counts, unless it was put back meanwhile.
        if known != Some(ActionStatus::Taken)
            && let Some(note) = self.actions.iter_mut().rev().find(is_theirs)
        {
            (note.taken, note.automatic, note.kept) = (Some(taken), automatic, false);
        }
        if self.state == IncidentState::Open {
            self.change_state(IncidentState::Contained, at, title);
        }
    }

    fn take_back(&mut self, action: &Action, at: Moment, why: &str) -> Result<(), AmendError> {
        let known = self.actions.iter_mut().rev().find(|note| note.action == *action);
        let Some(note) = known.filter(|note| note.status == ActionStatus::Taken) else {
            return Err(AmendError::NotTaken { title: action.title.clone() });
        };
        (note.status, note.at) = (ActionStatus::TakenBack, at);
        why.clone_into(&mut note.why);
        let nobody_is_stopped = !self.actions.iter().any(|note| note.status == ActionStatus::Taken);
        if self.state == IncidentState::Contained && nobody_is_stopped {
            self.change_state(IncidentState::Open, at, format!("taken back: {why}"));
        }
        Ok(())
    }
}
