use model::Moment;

use crate::{
    Case, CaseId, Decided, Decision, Now, Policy, Principal, Signed, State, case::after_s, same_person,
};

/// What happens to a case.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Act {
    /// A person decides.
    Decide(Signed),
    /// Whoever asked for it wants it no more.
    Withdraw {
        /// Who says so.
        by: Principal,
    },
    /// What was approved begins, or goes on after the run that did it was killed.
    Begin {
        /// Who does it: the host.
        by: Principal,
        /// The new run's name; each run has its own.
        run: String,
        /// The run before, which the host knows to have ended: it holds the claim that a living one would hold.
        ended: Option<String>,
    },
    /// A run has done it.
    Finish {
        /// Who did it: the host.
        by: Principal,
        /// The run.
        run: String,
        /// Whether everything was read again and is as planned.
        verified: bool,
    },
    /// A run cannot do it, and none will go on.
    Fail {
        /// Who tried: the host.
        by: Principal,
        /// The run.
        run: String,
        /// Why.
        why: String,
    },
    /// Somebody looks at the time: what waited too long lapses.
    Look,
}

/// Why something does not happen to a case.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// What was signed is about another case, or another subject.
    #[error("this signature is about another case than {case}")]
    OtherCase {
        /// The case.
        case: CaseId,
    },
    /// Only people decide.
    #[error("{who} is not a person, and only people decide")]
    NotAPerson {
        /// Who signed.
        who: Principal,
    },
    /// The person may not approve.
    #[error("{person} is no approver")]
    NotAnApprover {
        /// Who signed.
        person: String,
    },
    /// Nobody decides what they asked for.
    #[error("{person} asked for this, so somebody else must decide it; whoever asked may withdraw it")]
    Requester {
        /// Who signed.
        person: String,
    },
    /// The person approved already.
    #[error("{person} has approved this already")]
    Already {
        /// Who signed.
        person: String,
    },
    /// Another person approved with the same key.
    #[error("{other} has approved this with the same key, and one key is one person's")]
    SameKey {
        /// Who signed before.
        other: String,
    },
    /// It waited too long.
    #[error("case {case} lapsed at {at}; ask for it anew")]
    Expired {
        /// The case.
        case: CaseId,
        /// When.
        at: Moment,
    },
    /// It came to an end.
    #[error("case {case} is over: {state}")]
    Over {
        /// The case.
        case: CaseId,
        /// How it ended, in a word.
        state: &'static str,
    },
    /// It is being done.
    #[error("case {case} is being applied already")]
    Begun {
        /// The case.
        case: CaseId,
    },
    /// Only who asked for it, or the host, withdraws it.
    #[error("{by} did not ask for case {case}, so cannot withdraw it; an approver can refuse it")]
    NotTheRequester {
        /// Who tried.
        by: Principal,
        /// The case.
        case: CaseId,
    },
    /// Only the host applies.
    #[error("{by} cannot apply anything: the installation itself does, once people approved")]
    NotTheHost {
        /// Who tried.
        by: Principal,
    },
    /// Too few people approved.
    #[error("{given} of {needed} approvals")]
    NotApproved {
        /// So many did.
        given: usize,
        /// So many must.
        needed: usize,
    },
    /// What makes protection less waits.
    #[error("this makes protection less, so it begins at {at}; until then any approver can refuse it")]
    Delay {
        /// When it may begin.
        at: Moment,
    },
    /// This run does not do it.
    #[error("case {case} is not applied by this run")]
    NotThisRun {
        /// The case.
        case: CaseId,
    },
}

/// Decides what an act makes of a case, or why it makes nothing of it.
///
/// The host's clock may jump: what counts is the latest time that was seen with the case, and a delay is over only when the
/// machine was running for as long. A [`Act::Look`] at which nothing lapses gives the case back as it was, with its
/// version, except where a delay has to start again because nobody remembers for how long it has been going on.
pub fn step(case: &Case, policy: &Policy, act: &Act, now: Now) -> Result<Case, Refusal> {
    let now = Now { at: now.at.max(case.seen), ..now };
    let lapsed = case.lapsed(policy, &now);
    let (clock, now) = (now, now.at);
    let state = match (act, lapsed) {
        (Act::Look, None) => match started_again(case, policy, &clock) {
            Some(state) => state,
            None => return Ok(case.clone()),
        },
        (Act::Look, Some(_)) => State::Expired { at: now },
        (_, Some(at)) => return Err(Refusal::Expired { case: case.id.clone(), at }),
        (Act::Decide(signed), None) => return decide(case, policy, signed, clock),
        (Act::Withdraw { by }, None) => withdraw(case, by, now)?,
        (Act::Begin { by, run, ended }, None) => {
            begin(case, policy, by, (run.as_str(), ended.as_deref()), clock)?
        }
        (Act::Finish { by, run, verified }, None) => {
            running(case, by, run)?;
            State::Applied { at: now, verified: *verified }
        }
        (Act::Fail { by, run, why }, None) => {
            running(case, by, run)?;
            State::Failed { at: now, why: why.clone() }
        }
    };
    Ok(Case { state, ..later(case, now) })
}

/// Returns the case one version on.
fn later(case: &Case, now: Moment) -> Case {
    Case { version: case.version + 1, seen: now, ..case.clone() }
}

/// Starts a delay again of which nobody remembers for how long it has been going on: the memory is another one.
fn started_again(case: &Case, policy: &Policy, now: &Now) -> Option<State> {
    let State::Approved { at, running, .. } = &case.state else { return None };
    let delay = case.begins_at(policy)?.micros_since(*at);
    if delay <= 0 || now.running.is_none() || now.since(*running).is_some() {
        return None;
    }
    let not_before = now.at.plus_micros(delay);
    let expires_at = after_s(not_before, policy.lifetime_s);
    Some(State::Approved { at: now.at, not_before, expires_at, running: now.running })
}

fn decide(case: &Case, policy: &Policy, signed: &Signed, now: Now) -> Result<Case, Refusal> {
    let Now { at: now, running } = now;
    open(case)?;
    let person = allowed(case, signed)?;
    let mut next = later(case, now);
    next.decisions.push(Decided {
        person: person.to_owned(),
        key: signed.signer.key.clone(),
        decision: signed.decision,
        reason: signed.reason.clone(),
        at: now,
        proof: signed.proof.clone(),
    });
    match signed.decision {
        Decision::Refuse => {
            next.state = State::Refused { at: now, by: person.to_owned(), reason: signed.reason.clone() };
        }
        // Who approves after the others is counted too, and changes no time.
        Decision::Approve
            if matches!(next.state, State::Waiting) && next.approvers().len() >= policy.needed() =>
        {
            let not_before = after_s(now, policy.delay_s(&case.subject));
            let expires_at = after_s(not_before, policy.lifetime_s);
            next.state = State::Approved { at: now, not_before, expires_at, running };
        }
        Decision::Approve => {}
    }
    Ok(next)
}

/// Returns the person whose word it is, if it counts for this case.
fn allowed<'s>(case: &Case, signed: &'s Signed) -> Result<&'s str, Refusal> {
    if signed.case != case.id || signed.subject != case.subject.hash() {
        return Err(Refusal::OtherCase { case: case.id.clone() });
    }
    let Principal::Person(person) = &signed.signer.who else {
        return Err(Refusal::NotAPerson { who: signed.signer.who.clone() });
    };
    if !signed.signer.approver {
        return Err(Refusal::NotAnApprover { person: person.clone() });
    }
    if case.requested_by.may_be(person) {
        return Err(Refusal::Requester { person: person.clone() });
    }
    if signed.decision == Decision::Approve {
        let approvals = || case.decisions.iter().filter(|decided| decided.decision == Decision::Approve);
        if approvals().any(|decided| same_person(&decided.person, person)) {
            return Err(Refusal::Already { person: person.clone() });
        }
        if let Some(other) = approvals().find(|decided| decided.key == signed.signer.key) {
            return Err(Refusal::SameKey { other: other.person.clone() });
        }
    }
    Ok(person)
}

fn withdraw(case: &Case, by: &Principal, now: Moment) -> Result<State, Refusal> {
    open(case)?;
    if !matches!(by, Principal::Host(_)) && !case.requested_by.is(by) {
        return Err(Refusal::NotTheRequester { by: by.clone(), case: case.id.clone() });
    }
    Ok(State::Withdrawn { at: now, by: by.clone() })
}

fn begin(
    case: &Case,
    policy: &Policy,
    by: &Principal,
    (run, ended): (&str, Option<&str>),
    now: Now,
) -> Result<State, Refusal> {
    host(by)?;
    let not_approved = || Refusal::NotApproved { given: case.approvers().len(), needed: policy.needed() };
    match &case.state {
        State::Waiting => Err(not_approved()),
        State::Approved { .. } if case.approvers().len() < policy.needed() => Err(not_approved()),
        State::Approved { .. } => match case.waits_until(policy, &now) {
            Some(at) => Err(Refusal::Delay { at }),
            None => Ok(State::Applying { run: run.to_owned(), since: now.at, begun: 1 }),
        },
        State::Applying { run: before, since, begun } if ended == Some(before) && run != before => {
            Ok(State::Applying { run: run.to_owned(), since: *since, begun: begun.saturating_add(1) })
        }
        State::Applying { .. } => Err(Refusal::Begun { case: case.id.clone() }),
        over => Err(Refusal::Over { case: case.id.clone(), state: over.word() }),
    }
}

/// Tells whether people can still say something to it.
fn open(case: &Case) -> Result<(), Refusal> {
    match &case.state {
        State::Waiting | State::Approved { .. } => Ok(()),
        State::Applying { .. } => Err(Refusal::Begun { case: case.id.clone() }),
        over => Err(Refusal::Over { case: case.id.clone(), state: over.word() }),
    }
}

fn running(case: &Case, by: &Principal, run: &str) -> Result<(), Refusal> {
    host(by)?;
    match &case.state {
        State::Applying { run: current, .. } if current == run => Ok(()),
        State::Waiting | State::Approved { .. } | State::Applying { .. } => {
            Err(Refusal::NotThisRun { case: case.id.clone() })
        }
        over => Err(Refusal::Over { case: case.id.clone(), state: over.word() }),
    }
}

fn host(by: &Principal) -> Result<(), Refusal> {
    match by {
        Principal::Host(_) => Ok(()),
        Principal::Person(_) | Principal::Service(_) => Err(Refusal::NotTheHost { by: by.clone() }),
    }
}

#[cfg(test)]
mod tests;
