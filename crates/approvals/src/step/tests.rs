use super::*;
use crate::{
    Audience, Running, notices,
    testing::{
        Exact, at, case, honest, host, pen, person, policy, restore, service, sign, sign_with, statement_of,
        weakening,
    },
};

/// Does an act by clocks that do not lie.
fn step(case: &Case, policy: &Policy, act: &Act, now: Moment) -> Result<Case, Refusal> {
    super::step(case, policy, act, honest(now))
}

/// Returns the host's clock at a second, while the machine has been running for others, by a memory.
fn lying(wall: i64, memory: i64, running: i64) -> Now {
    let running = Running { memory: at(memory), micros: at(running).as_micros() };
    Now { at: at(wall), running: Some(running) }
}

fn approve(case: &Case, who: &str, needed: u32, now: Moment) -> Result<Case, Refusal> {
    step(case, &policy(needed), &Act::Decide(sign(case, who, Decision::Approve)), now)
}

fn refuse(case: &Case, who: &str, now: Moment) -> Result<Case, Refusal> {
    step(case, &policy(1), &Act::Decide(sign(case, who, Decision::Refuse)), now)
}

fn begin_as(run: &str, ended: Option<&str>) -> Act {
    Act::Begin { by: host(), run: run.to_owned(), ended: ended.map(str::to_owned) }
}

fn begun(case: &Case, needed: u32, now: Moment) -> Result<Case, Refusal> {
    step(case, &policy(needed), &begin_as("r1", None), now)
}

fn asked(subject: crate::Subject) -> Case {
    case("c1", subject, person("anna"), &policy(1))
}

#[test]
fn two_distinct_people_approve_and_then_it_is_applied_once() {
    let case = asked(restore());
    let case = approve(&case, "ben", 2, at(1)).unwrap();
    assert_eq!(case.state, State::Waiting);
    assert_eq!(begun(&case, 2, at(1)), Err(Refusal::NotApproved { given: 1, needed: 2 }));
    assert_eq!(begun(&case, 2, at(1)).unwrap_err().to_string(), "1 of 2 approvals");
    let case = approve(&case, "cleo", 2, at(2)).unwrap();
    assert_eq!(case.approvers(), ["ben", "cleo"]);
    let case = begun(&case, 2, at(2)).unwrap();
    assert!(matches!(begun(&case, 2, at(2)), Err(Refusal::Begun { .. })));
    let finish = Act::Finish { by: host(), run: "r1".to_owned(), verified: true };
    let case = step(&case, &policy(2), &finish, at(3)).unwrap();
    assert_eq!(case.state, State::Applied { at: at(3), verified: true });
    assert!(matches!(begun(&case, 2, at(3)), Err(Refusal::Over { .. })));
    assert_eq!(case.version, 5);
}

#[test]
fn the_requester_a_stranger_and_a_machine_are_told_why_their_word_does_not_count() {
    let case = asked(restore());
    let deciding = |pen: &crate::testing::Pen| {
        step(&case, &policy(1), &Act::Decide(sign_with(&case, pen, Decision::Approve)), at(1))
    };
    assert!(matches!(deciding(&pen(&person("Anna"))), Err(Refusal::Requester { .. })));
    assert!(matches!(deciding(&pen(&service("agent"))), Err(Refusal::NotAPerson { .. })));
    assert!(matches!(deciding(&pen(&host())), Err(Refusal::NotAPerson { .. })));
    let viewer = crate::testing::Pen { approver: false, ..pen(&person("vera")) };
    assert!(matches!(deciding(&viewer), Err(Refusal::NotAnApprover { .. })));
}

#[test]
fn whoever_asked_on_the_host_under_their_name_does_not_approve_either() {
    let case = case("c1", restore(), Principal::Host("ben".to_owned()), &policy(1));
    assert!(matches!(approve(&case, "ben", 1, at(1)), Err(Refusal::Requester { .. })));
    approve(&case, "cleo", 1, at(1)).unwrap();
}

#[test]
fn neither_a_second_word_nor_a_second_name_for_one_key_is_a_second_person() {
    let case = approve(&asked(restore()), "ben", 2, at(1)).unwrap();
    assert!(matches!(approve(&case, "BEN", 2, at(1)), Err(Refusal::Already { .. })));
    let borrowed = crate::testing::Pen { key: "key of ben".to_owned(), ..pen(&person("cleo")) };
    let act = Act::Decide(sign_with(&case, &borrowed, Decision::Approve));
    assert!(matches!(step(&case, &policy(2), &act, at(1)), Err(Refusal::SameKey { .. })));
}

#[test]
fn a_signature_is_for_one_case_one_subject_and_one_decision() {
    let (one, other) = (asked(restore()), case("c2", restore(), person("anna"), &policy(1)));
    let act = Act::Decide(sign(&other, "ben", Decision::Approve));
    assert!(matches!(step(&one, &policy(1), &act, at(1)), Err(Refusal::OtherCase { .. })));
    let changed = Case { subject: weakening(), ..one.clone() };
    let act = Act::Decide(sign(&one, "ben", Decision::Approve));
    assert!(matches!(step(&changed, &policy(1), &act, at(1)), Err(Refusal::OtherCase { .. })));

    let exact = Exact(statement_of(&one, Decision::Refuse));
    let verified =
        |case: &Case, decision| Signed::verify(&exact, case, decision, "", &pen(&person("ben"))).is_ok();
    assert!(verified(&one, Decision::Refuse));
    assert!(!verified(&one, Decision::Approve) && !verified(&other, Decision::Refuse));
    assert!(!verified(&changed, Decision::Refuse));
}

#[test]
fn one_refusal_ends_it_also_after_enough_approved() {
    let case = approve(&asked(restore()), "ben", 1, at(1)).unwrap();
    for who in ["cleo", "ben"] {
        let refused = refuse(&case, who, at(1)).unwrap();
        assert!(matches!(&refused.state, State::Refused { by, .. } if by == who));
        assert!(matches!(begun(&refused, 1, at(2)), Err(Refusal::Over { .. })));
        assert!(matches!(approve(&refused, "dora", 1, at(2)), Err(Refusal::Over { .. })));
    }
}

#[test]
fn what_protects_less_waits_and_can_be_refused_until_it_begins() {
    let case = approve(&asked(weakening()), "ben", 1, at(1)).unwrap();
    assert_eq!(begun(&case, 1, at(2)), Err(Refusal::Delay { at: at(3) }));
    refuse(&case, "cleo", at(2)).unwrap();
    // Whoever approves later changes no time.
    let case = approve(&case, "cleo", 1, at(2)).unwrap();
    assert_eq!(case.approvers().len(), 2);
    let begun = begun(&case, 1, at(3)).unwrap();
    assert!(matches!(refuse(&begun, "cleo", at(3)), Err(Refusal::Begun { .. })));
}

#[test]
fn whoever_was_stopped_by_a_false_alarm_is_let_in_as_soon_as_another_person_agrees() {
    let let_in = || asked(crate::Subject::Weakening(crate::Weakening::LetIn { incident: 7 }));
    assert!(matches!(approve(&let_in(), "anna", 1, at(1)), Err(Refusal::Requester { .. })));
    let case = approve(&let_in(), "ben", 1, at(1)).unwrap();
    let told = notices(Some(&let_in()), &case);
    assert!(told[0].urgent && told[0].to == Audience::Everybody, "{told:?}");
    // Without a delay nothing has to be remembered either.
    super::step(&case, &policy(1), &begin_as("r1", None), Now::from(at(1))).unwrap();
    let slow = Policy { let_in_delay_s: 2, ..policy(1) };
    assert_eq!(step(&case, &slow, &begin_as("r1", None), at(2)), Err(Refusal::Delay { at: at(3) }));
}

#[test]
fn a_clock_that_jumps_back_neither_shortens_the_delay_nor_revives_what_lapsed() {
    let case = approve(&asked(weakening()), "ben", 2, at(3)).unwrap();
    // The second approval comes by a clock that went back to 0: the delay runs from 3.
    let case = approve(&case, "cleo", 2, at(0)).unwrap();
    assert_eq!(begun(&case, 2, at(4)), Err(Refusal::Delay { at: at(5) }));
    begun(&case, 2, at(5)).unwrap();

    let waiting = asked(restore());
    assert!(matches!(approve(&waiting, "ben", 1, at(4)), Err(Refusal::Expired { .. })));
    let lapsed = step(&waiting, &policy(1), &Act::Look, at(4)).unwrap();
    assert!(matches!(approve(&lapsed, "ben", 1, at(1)), Err(Refusal::Over { .. })));
    assert!(matches!(lapsed.state, State::Expired { .. }));
}

#[test]
fn a_clock_that_is_set_forward_ends_no_delay_and_lets_a_case_lapse_at_most() {
    let case = approve(&asked(weakening()), "ben", 1, at(1)).unwrap();
    let begin = |case: &Case, now| super::step(case, &policy(1), &begin_as("r1", None), now);
    assert_eq!(begin(&case, lying(3, 0, 2)), Err(Refusal::Delay { at: at(4) }), "a second ran of two");
    assert_eq!(begin(&case, Now::from(at(5))), Err(Refusal::Delay { at: at(7) }), "nobody remembers");
    assert!(matches!(begin(&case, lying(100, 0, 2)), Err(Refusal::Expired { .. })));
    begin(&case, lying(3, 0, 3)).unwrap();
    // A restore waits for nothing, so nothing has to be remembered.
    let case = approve(&asked(restore()), "ben", 1, at(1)).unwrap();
    begin(&case, Now::from(at(1))).unwrap();
}

#[test]
fn a_clock_that_is_put_back_revives_nothing_that_nobody_looked_at() {
    let waiting = asked(restore());
    let act = Act::Decide(sign(&waiting, "ben", Decision::Approve));
    let late = lying(1, 0, 4);
    assert!(matches!(super::step(&waiting, &policy(1), &act, late), Err(Refusal::Expired { .. })));
    let lapsed = super::step(&waiting, &policy(1), &Act::Look, late).unwrap();
    assert!(matches!(lapsed.state, State::Expired { .. }));
    let case = approve(&asked(restore()), "ben", 1, at(1)).unwrap();
    let begun = super::step(&case, &policy(1), &begin_as("r1", None), lying(1, 0, 5));
    assert!(matches!(begun, Err(Refusal::Expired { .. })));
}

#[test]
fn a_delay_starts_again_where_the_memory_of_time_was_lost_and_everybody_is_told() {
    let case = approve(&asked(weakening()), "ben", 1, at(1)).unwrap();
    let other = |wall, running| lying(wall, 9, running);
    let begin = |case: &Case, now| super::step(case, &policy(1), &begin_as("r1", None), now);
    assert_eq!(begin(&case, other(4, 90)), Err(Refusal::Delay { at: at(6) }));
    let again = super::step(&case, &policy(1), &Act::Look, other(4, 90)).unwrap();
    assert_eq!(again.version, case.version + 1);
    let told = notices(Some(&case), &again);
    assert!(told[0].urgent && told[0].sentence.contains("starts again"), "{told:?}");
    assert_eq!(begin(&again, other(5, 91)), Err(Refusal::Delay { at: at(6) }));
    assert_eq!(super::step(&again, &policy(1), &Act::Look, other(5, 91)).unwrap(), again, "once is enough");
    begin(&again, other(6, 92)).unwrap();
    // The same memory that has counted less than before is another one.
    assert_eq!(begin(&case, lying(4, 0, 0)), Err(Refusal::Delay { at: at(6) }));
}

#[test]
fn approvals_lapse_and_a_look_changes_nothing_before() {
    let case = approve(&asked(restore()), "ben", 1, at(1)).unwrap();
    assert_eq!(step(&case, &policy(1), &Act::Look, at(4)).unwrap(), case);
    assert!(matches!(begun(&case, 1, at(5)), Err(Refusal::Expired { .. })));
    assert!(matches!(step(&case, &policy(1), &Act::Look, at(5)).unwrap().state, State::Expired { .. }));
}

#[test]
fn a_stricter_policy_counts_at_once_and_a_weaker_one_makes_nothing_of_the_past() {
    let case = approve(&asked(restore()), "ben", 1, at(1)).unwrap();
    assert_eq!(begun(&case, 2, at(1)), Err(Refusal::NotApproved { given: 1, needed: 2 }));
    let case = approve(&case, "cleo", 2, at(1)).unwrap();
    begun(&case, 2, at(1)).unwrap();

    let waiting = approve(&asked(restore()), "ben", 2, at(1)).unwrap();
    let long = Policy { lifetime_s: 1_000, ..policy(2) };
    let act = Act::Decide(sign(&waiting, "cleo", Decision::Approve));
    assert!(matches!(step(&waiting, &long, &act, at(4)), Err(Refusal::Expired { .. })));
    let none = Policy { needed: 0, ..policy(1) };
    assert!(matches!(
        step(&asked(restore()), &none, &begin_as("r1", None), at(1)),
        Err(Refusal::NotApproved { .. })
    ));
}

#[test]
fn a_killed_run_goes_on_under_another_name_and_the_old_one_ends_nothing() {
    let case = begun(&approve(&asked(restore()), "ben", 1, at(1)).unwrap(), 1, at(1)).unwrap();
    let again = |run: &str, ended| step(&case, &policy(1), &begin_as(run, ended), at(100));
    assert!(matches!(again("r2", None), Err(Refusal::Begun { .. })));
    assert!(matches!(again("r2", Some("r0")), Err(Refusal::Begun { .. })));
    assert!(matches!(again("r1", Some("r1")), Err(Refusal::Begun { .. })));
    let case = again("r2", Some("r1")).unwrap();
    assert!(matches!(&case.state, State::Applying { run, begun: 2, .. } if run == "r2"));
    let finish = |run: &str| Act::Finish { by: host(), run: run.to_owned(), verified: true };
    assert!(matches!(step(&case, &policy(1), &finish("r1"), at(101)), Err(Refusal::NotThisRun { .. })));
    step(&case, &policy(1), &finish("r2"), at(101)).unwrap();
    let fail = Act::Fail { by: host(), run: "r2".to_owned(), why: "the disk died".to_owned() };
    assert!(matches!(step(&case, &policy(1), &fail, at(101)).unwrap().state, State::Failed { .. }));
}

#[test]
fn only_the_host_applies_and_only_who_asked_withdraws() {
    let case = approve(&asked(restore()), "ben", 1, at(1)).unwrap();
    for by in [person("ben"), service("agent")] {
        let act = Act::Begin { by: by.clone(), run: "r1".to_owned(), ended: None };
        assert!(matches!(step(&case, &policy(1), &act, at(1)), Err(Refusal::NotTheHost { .. })));
        let act = Act::Withdraw { by };
        assert!(matches!(step(&case, &policy(1), &act, at(1)), Err(Refusal::NotTheRequester { .. })));
    }
    for by in [person("anna"), host()] {
        let withdrawn = step(&case, &policy(1), &Act::Withdraw { by }, at(1)).unwrap();
        assert!(withdrawn.state.is_over());
    }
}

#[test]
fn everybody_is_told_before_protection_becomes_less() {
    let case = asked(weakening());
    assert!(notices(None, &case).iter().all(|notice| notice.to == Audience::Everybody));
    let approved = approve(&case, "ben", 1, at(1)).unwrap();
    let told = notices(Some(&case), &approved);
    assert!(told[0].urgent && told[0].to == Audience::Everybody);
    assert!(told[0].sentence.contains("1970-01-01T00:00:03") && told[0].sentence.contains("ben"), "{told:?}");
    assert!(notices(Some(&approved), &approved).is_empty());
    let plain = asked(restore());
    let approved = approve(&plain, "ben", 1, at(1)).unwrap();
    assert_eq!(notices(Some(&plain), &approved)[0].to, Audience::Requester);
}

#[test]
fn a_case_is_read_as_it_was_written() {
    let case = begun(&approve(&asked(restore()), "ben", 1, at(1)).unwrap(), 1, at(1)).unwrap();
    let text = serde_json::to_string(&case).unwrap();
    assert_eq!(serde_json::from_str::<Case>(&text).unwrap(), case);
    assert!(serde_json::from_str::<Case>(&text.replace("\"c1\"", "\"../c1\"")).is_err());
}
