//! Sees a wipe while it happens: what sources tell becomes incidents, and incidents become alarms and containment.
//!
//! Everything here is a pure function of what was observed and of the times that came with it: no clock, no network, no
//! file. Who feeds it, who is told and who carries out an action are for the caller.

pub mod containment;
mod expectation;
mod glob;
mod incident;
mod kinds;
pub mod lanes;
mod ledger;
mod memory;
mod news;
mod observation;
pub mod ocsf;
pub mod policy;
pub mod ransomware;
mod rules;
mod sums;
mod watcher;

pub use expectation::Expectation;
pub use incident::{
    ActionNote, ActionStatus, AmendError, Amendment, Asked, Deed, Firing, Hold, Identified, Incident,
    IncidentSeverity, IncidentState, Note, Plan, StateChange, Suppression, SuspectNote, Touched,
};
pub use kinds::{ActorKind, ActorKinds, ActorPattern};
pub use memory::Memory;
pub use news::{News, Notice};
pub use observation::{Observation, Reach};
pub use rules::{
    Drift, Once, Pair, Per, Rate, Rule, RuleSeverity, Rules, RulesError, Select, Sequence, Share, SourceKind,
    Step, Test,
};
pub use sums::Sums;
pub use watcher::Watcher;
