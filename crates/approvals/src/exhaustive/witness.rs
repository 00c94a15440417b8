//! Counts along with a case, from what was done and when, by rules written down a second time.

use std::collections::BTreeMap;

use super::{DELAY_S, LIFETIME_S, Time};
use crate::{Act, Case, Decision, Policy, Principal, Signed, State};

/// What really happened to a case. Times are seconds; a case is asked for at 0.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Witness {
    /// The latest time of the host's clock at which something happened.
    time: i64,
    /// When something last happened, by the machine's running.
    last: Option<Time>,
    /// With which key each person approved whose word counts.
    approved: BTreeMap<String, String>,
    /// The time from which on enough people had approved, or from which on the delay ran anew.
    ready: Option<Time>,
    /// Somebody who may ended it, or time did.
    ended: bool,
    /// The run that does it.
    run: Option<String>,
    /// A run ended it.
    done: bool,
}

impl Witness {
    /// Judges an act at a time and what became of it; `after` is `None` where it was refused.
    pub(super) fn judge(
        &mut self,
        (case, act, time): (&Case, &Act, Time),
        policy: &Policy,
        after: Option<&Case>,
    ) -> Result<(), String> {
        let before = self.clone();
        let wrong = |what: &str| Err(format!("{what}: {act:?} at {time:?} on {case:?} with {before:?}"));
        let now = Time { wall: time.wall.max(self.time), ..time };
        let changed = after.filter(|after| after.version != case.version);
        if let Some(after) = changed
            && (after.version != case.version + 1 || after.id != case.id || after.subject != case.subject)
        {
            return wrong("a step is one version, and changes neither name nor subject");
        }
        let begun = self.run.is_some();
        if changed.is_some() && !begun && self.lapsed(case, now) {
            let expired = changed.is_some_and(|after| matches!(after.state, State::Expired { .. }));
            if !expired || *act != Act::Look {
                return wrong("something happened to a case that had lapsed");
            }
        }
        if changed.is_some() && (self.ended || self.done) {
            return wrong("something happened to a case that was over");
        }
        match act {
            Act::Decide(signed) => {
                let who = word_of(case, signed);
                if changed.is_some() && (who.is_none() || begun) {
                    return wrong("a word counted that does not");
                }
                let again =
                    who.is_some_and(|who| !self.decided(case, policy, (who, signed, now), changed.is_some()));
                if again {
                    return wrong("a person or a key counted twice");
                }
            }
            Act::Withdraw { by } => {
                let may = matches!(by, Principal::Host(_)) || *by == case.requested_by;
                if changed.is_some() && (!may || begun) {
                    return wrong("somebody withdrew what they may not");
                }
                self.ended |= changed.is_some();
            }
            Act::Begin { by, run, ended } if changed.is_some() => {
                let sound = if begun {
                    self.run == *ended && *run != self.run.clone().unwrap_or_default()
                } else {
                    self.may_begin(case, now)
                };
                if !matches!(by, Principal::Host(_)) || !sound {
                    return wrong("something began that may not");
                }
                self.run = Some(run.clone());
            }
            Act::Finish { by, run, .. } | Act::Fail { by, run, .. } if changed.is_some() => {
                if !matches!(by, Principal::Host(_)) || self.run.as_ref() != Some(run) {
                    return wrong("something was finished by another than who did it");
                }
                self.done = true;
            }
            Act::Look if changed.is_some_and(|after| matches!(after.state, State::Approved { .. })) => {
                let remembered = self.ready.and_then(|ready| ran(ready, now));
                if self.ready.is_none() || remembered.is_some() || !case.subject.is_weakening() {
                    return wrong("a delay started again for nothing");
                }
                self.ready = Some(now);
            }
            Act::Look if changed.is_some() => self.ended = true,
            _ => {}
        }
        if changed.is_some() {
            (self.time, self.last) = (now.wall, Some(time));
        }
        match after {
            // Nothing changed: whatever the act was, it must have been one that changes nothing.
            Some(after) if changed.is_none() && (after != case || *self != before) => {
                Err(format!("{act:?} at {time:?} changed nothing of {case:?}, and should have"))
            }
            Some(after) => self.agrees_with(after, policy),
            None => Ok(()),
        }
    }

    /// A person decided whose word counts; `taken` says whether the case took it. Returns `false` where it took an
    /// approval of a person, or by a key, that it had already.
    fn decided(
        &mut self,
        case: &Case,
        policy: &Policy,
        (person, signed, now): (String, &Signed, Time),
        taken: bool,
    ) -> bool {
        let open = self.run.is_none() && !self.ended && !case.state.is_over();
        let in_time = !self.lapsed(case, now);
        match signed.decision {
            // Whether or not the case took it: somebody who may, said no.
            Decision::Refuse => self.ended |= open && in_time,
            Decision::Approve if taken => {
                let key = signed.signer.key.clone();
                if self.approved.contains_key(&person) || self.approved.values().any(|used| *used == key) {
                    return false;
                }
                self.approved.insert(person, key);
                if self.ready.is_none() && self.approved.len() >= policy.needed() {
                    self.ready = Some(now);
                }
            }
            Decision::Approve => {}
        }
        true
    }

    /// Tells whether a machine can come to a time, after what happened.
    pub(super) fn can_come_to(&self, time: Time) -> bool {
        self.last.is_none_or(|last| last.memory != time.memory || last.ran <= time.ran)
    }

    fn lapsed(&self, case: &Case, now: Time) -> bool {
        let delay = if case.subject.is_weakening() { DELAY_S } else { 0 };
        let (from, span) = match self.ready {
            None => (Time::new(0, 0, 0), LIFETIME_S),
            Some(ready) => (ready, delay + LIFETIME_S),
        };
        now.wall >= from.wall + span || ran(from, now).is_some_and(|ran| ran >= span)
    }

    fn may_begin(&self, case: &Case, now: Time) -> bool {
        let Some(ready) = self.ready.filter(|_| !self.ended) else { return false };
        let waited = now.wall >= ready.wall + DELAY_S && ran(ready, now).is_some_and(|ran| ran >= DELAY_S);
        waited || !case.subject.is_weakening()
    }

    /// Compares what the case says of itself with what happened.
    fn agrees_with(&self, case: &Case, policy: &Policy) -> Result<(), String> {
        let counted = case.approvers().len() >= policy.needed() && self.approved.len() >= policy.needed();
        let sound = match &case.state {
            State::Waiting => !self.ended && self.run.is_none() && self.ready.is_none(),
            State::Approved { .. } => !self.ended && self.run.is_none() && counted,
            State::Applying { run, .. } => counted && self.run.as_ref() == Some(run),
            State::Applied { .. } | State::Failed { .. } => counted && self.run.is_some() && self.done,
            State::Refused { .. } | State::Withdrawn { .. } | State::Expired { .. } => self.run.is_none(),
        };
        let strangers = case.decisions.iter().any(|decided| {
            let name = decided.person.to_lowercase();
            decided.decision == Decision::Approve && !self.approved.contains_key(&name)
        });
        if sound && !strangers { Ok(()) } else { Err(format!("{case:?} is not what happened: {self:?}")) }
    }
}

/// Returns for how long the machine was running between two times, if anybody remembers.
fn ran(from: Time, to: Time) -> Option<i64> {
    (from.memory == to.memory && from.ran <= to.ran).then_some(to.ran - from.ran)
}

/// Returns whose word a signature is for a case, if it counts at all.
fn word_of(case: &Case, signed: &Signed) -> Option<String> {
    let Principal::Person(name) = &signed.signer.who else { return None };
    let name = name.to_lowercase();
    let asked = match &case.requested_by {
        Principal::Person(asked) | Principal::Host(asked) => *asked == name,
        Principal::Service(_) => false,
    };
    let for_this = signed.case == case.id && signed.subject == case.subject.hash();
    (signed.signer.approver && !asked && for_this).then_some(name)
}
