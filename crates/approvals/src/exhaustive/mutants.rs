//! The check can fail: of a deciding function that lacks one rule it finds that it lacks it.

use super::*;
use crate::{Decided, Signer};

/// Changes the case before, and hands back what was changed in it.
fn with(
    change: impl Fn(&mut Case),
    restore: impl Fn(&Case, &mut Case),
) -> impl Fn(&Case, &Policy, &Act, Now) -> Result<Case, Refusal> {
    move |case, policy, act, now| {
        let mut changed = case.clone();
        change(&mut changed);
        let mut after = step(&changed, policy, act, now)?;
        restore(case, &mut after);
        Ok(after)
    }
}

/// Changes the signer of every decision before.
fn with_signer(change: impl Fn(&mut Signer)) -> impl Fn(&Case, &Policy, &Act, Now) -> Result<Case, Refusal> {
    with_act(move |_, act| {
        if let Act::Decide(signed) = act {
            change(&mut signed.signer);
        }
    })
}

/// Changes the act before.
fn with_act(change: impl Fn(&Case, &mut Act)) -> impl Fn(&Case, &Policy, &Act, Now) -> Result<Case, Refusal> {
    move |case, policy, act, now| {
        let mut changed = act.clone();
        change(case, &mut changed);
        step(case, policy, &changed, now)
    }
}

/// Changes the policy before.
fn with_policy(change: impl Fn(&mut Policy)) -> impl Fn(&Case, &Policy, &Act, Now) -> Result<Case, Refusal> {
    move |case, policy, act, now| {
        let mut changed = *policy;
        change(&mut changed);
        step(case, &changed, act, now)
    }
}

/// Fails unless the broken function is found out; it says how.
fn found(subject: &Subject, by: &Principal, needed: u32, broken: Decide<'_>) -> String {
    let found = explore_one(subject, by, needed, &ALL, broken).expect_err("a missing rule was not missed");
    assert!(!found.is_empty());
    found
}

fn anna() -> Principal {
    person("anna")
}

#[test]
fn that_the_requester_approves_is_found() {
    let broken = with(
        |case| case.requested_by = Principal::Host("nobody".to_owned()),
        |before, after| after.requested_by = before.requested_by.clone(),
    );
    for needed in 1..=3 {
        assert!(found(&restore(), &anna(), needed, &broken).contains("a word counted that does not"));
    }
}

#[test]
fn that_a_service_identity_approves_is_found_also_where_services_act_alone() {
    let broken = with_signer(|signer| {
        if let Principal::Service(name) = &signer.who {
            signer.who = Principal::Person(name.clone());
        }
    });
    found(&restore(), &anna(), 1, &broken);
    let alone = explore_one(&restore(), &anna(), 2, &[Party::Services, Party::Host], &broken);
    alone.expect_err("services alone");
}

#[test]
fn that_people_without_the_role_approve_is_found() {
    found(&restore(), &anna(), 1, &with_signer(|signer| signer.approver = true));
}

#[test]
fn that_one_person_or_one_key_counts_twice_is_found() {
    let stranger = |(place, decided): (usize, &mut Decided)| {
        decided.person = format!("old {place}");
        decided.key = format!("old key {place}");
    };
    let back = |before: &Case, after: &mut Case| {
        for (decided, kept) in after.decisions.iter_mut().zip(&before.decisions) {
            *decided = kept.clone();
        }
    };
    let broken = with(move |case| case.decisions.iter_mut().enumerate().for_each(stranger), back);
    assert!(found(&restore(), &anna(), 2, &broken).contains("counted twice"));
    let keys =
        with(|case| case.decisions.iter_mut().for_each(|decided| decided.key = "another".to_owned()), back);
    assert!(found(&restore(), &anna(), 2, &keys).contains("counted twice"));
}

#[test]
fn that_fewer_people_suffice_is_found() {
    for needed in 2..=3 {
        found(&restore(), &service("s1"), needed, &with_policy(|policy| policy.needed = 1));
    }
}

#[test]
fn that_a_weakening_does_not_wait_is_found() {
    let broken = |case: &Case, policy: &Policy, act: &Act, now: Now| {
        let (mut hasty, mut policy) = (case.clone(), *policy);
        if let (Act::Begin { .. }, State::Approved { at, not_before, .. }) = (act, &mut hasty.state) {
            *not_before = *at;
            policy.weakening_delay_s = 0;
        }
        step(&hasty, &policy, act, now)
    };
    assert!(found(&weakening(), &anna(), 1, &broken).contains("something began that may not"));
    explore_one(&restore(), &anna(), 1, &ALL, &broken).expect("a restore waits for nothing");
}

#[test]
fn that_a_clock_set_forward_ends_a_delay_is_found() {
    let lying = |decide: Decide<'_>| explore_at(&LIES, &weakening(), (&anna(), 1), &ALL, decide).unwrap_err();
    // The host's clock is believed where something begins.
    let broken = |case: &Case, policy: &Policy, act: &Act, now: Now| match (act, &case.state) {
        (Act::Begin { .. }, State::Approved { at, running: Some(ran), .. }) => {
            let micros = ran.micros + now.at.micros_since(*at);
            step(case, policy, act, Now { running: Some(Running { micros, ..*ran }), ..now })
        }
        _ => step(case, policy, act, now),
    };
    assert!(lying(&broken).contains("something began that may not"));
    // What is lost is taken for long enough.
    let broken = |case: &Case, policy: &Policy, act: &Act, now: Now| {
        let stamp = |state: &State| match state {
            State::Approved { running, .. } => *running,
            _ => None,
        };
        match stamp(&case.state).filter(|ran| now.running.is_some_and(|now| now.memory != ran.memory)) {
            Some(ran) => {
                let enough = Running { micros: ran.micros + 1_000_000, ..ran };
                step(case, policy, act, Now { running: Some(enough), ..now })
            }
            None => step(case, policy, act, now),
        }
    };
    assert!(lying(&broken).contains("something began that may not"));
}

#[test]
fn that_a_clock_put_back_revives_a_case_is_found() {
    let broken = |case: &Case, policy: &Policy, act: &Act, now: Now| {
        step(case, policy, act, Now { running: None, ..now })
    };
    let found = explore_at(&LIES, &restore(), (&anna(), 1), &ALL, &broken).unwrap_err();
    assert!(found.contains("had lapsed"), "{found}");
}

#[test]
fn that_a_signature_for_another_case_counts_is_found() {
    let broken = with_act(|case, act| {
        if let Act::Decide(signed) = act {
            signed.case = case.id.clone();
        }
    });
    assert!(found(&restore(), &anna(), 1, &broken).contains("a word counted that does not"));
}

#[test]
fn that_a_refusal_is_ignored_is_found() {
    let broken = |case: &Case, policy: &Policy, act: &Act, now: Now| match act {
        Act::Decide(signed) if signed.decision == Decision::Refuse => Ok(case.clone()),
        _ => step(case, policy, act, now),
    };
    found(&restore(), &anna(), 1, &broken);
    // Also where only what was approved already cannot be refused any more.
    let late = |case: &Case, policy: &Policy, act: &Act, now: Now| match (act, &case.state) {
        (Act::Decide(signed), State::Approved { .. }) if signed.decision == Decision::Refuse => {
            Err(Refusal::Begun { case: case.id.clone() })
        }
        _ => step(case, policy, act, now),
    };
    found(&weakening(), &anna(), 1, &late);
}

#[test]
fn that_a_case_never_lapses_is_found() {
    let far = |case: &mut Case| {
        case.expires_at = at(1_000);
        if let State::Approved { expires_at, .. } = &mut case.state {
            *expires_at = at(1_000);
        }
    };
    let back = |before: &Case, after: &mut Case| after.expires_at = before.expires_at;
    let lasting = with(far, back);
    let broken = |case: &Case, policy: &Policy, act: &Act, now: Now| {
        lasting(case, &Policy { lifetime_s: 1_000, ..*policy }, act, now)
    };
    assert!(found(&restore(), &anna(), 1, &broken).contains("had lapsed"));
}

#[test]
fn that_time_goes_back_is_found() {
    let broken = with(|case| case.seen = case.requested_at, |_, _| {});
    found(&weakening(), &anna(), 2, &broken);
}

#[test]
fn that_something_begins_without_approval_is_found() {
    let broken = |case: &Case, policy: &Policy, act: &Act, now: Now| match (act, &case.state) {
        (Act::Begin { by: Principal::Host(_), run, .. }, State::Waiting) => {
            let state = State::Applying { run: run.clone(), since: now.at, begun: 1 };
            Ok(Case { state, version: case.version + 1, ..case.clone() })
        }
        _ => step(case, policy, act, now),
    };
    assert!(found(&restore(), &anna(), 1, &broken).contains("something began that may not"));
}

#[test]
fn that_two_runs_apply_at_once_is_found() {
    let broken = with_act(|case, act| {
        if let (Act::Begin { ended, .. }, State::Applying { run, .. }) = (act, &case.state) {
            *ended = Some(run.clone());
        }
    });
    assert!(found(&restore(), &anna(), 1, &broken).contains("something began that may not"));
    let finishing = with_act(|case, act| {
        if let (Act::Finish { run, .. }, State::Applying { run: current, .. }) = (act, &case.state) {
            run.clone_from(current);
        }
    });
    assert!(found(&restore(), &anna(), 1, &finishing).contains("another than who did it"));
}

#[test]
fn that_anybody_begins_finishes_or_withdraws_is_found() {
    let begins = with_act(|_, act| {
        if let Act::Begin { by, .. } = act {
            *by = host();
        }
    });
    let finishes = with_act(|_, act| {
        if let Act::Finish { by, .. } = act {
            *by = host();
        }
    });
    let withdraws = with_act(|_, act| {
        if let Act::Withdraw { by } = act {
            *by = host();
        }
    });
    assert!(found(&restore(), &anna(), 1, &begins).contains("something began that may not"));
    assert!(found(&restore(), &anna(), 1, &finishes).contains("another than who did it"));
    assert!(found(&restore(), &anna(), 1, &withdraws).contains("withdrew what they may not"));
}
