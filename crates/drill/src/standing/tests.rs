use proptest::prelude::*;

use super::*;

const DAY: i64 = 86_400_000_000;
const TERMS: Terms = Terms { proof: Span(35 * 86_400) };

fn day(day: i64) -> Moment {
    Moment::from_micros(day * DAY)
}

fn held(at: i64, outcome: Outcome) -> Held {
    Held {
        id: format!("{at}-{outcome:?}"),
        at: day(at),
        commit: at.unsigned_abs(),
        outcome,
        extent: Extent::Whole,
        against: Against::Production,
        subjects: BTreeSet::new(),
        all_named: true,
        problem: None,
    }
}

fn seen(drill: &Held) -> Acknowledged {
    Acknowledged { certificate: drill.id.clone() }
}

fn word(held: &[Held], acknowledged: &[Acknowledged], now: i64) -> &'static str {
    standing(held, acknowledged, TERMS, day(now)).word()
}

#[test]
fn a_proof_lapses_after_its_term() {
    let proven = [held(10, Outcome::Proven)];
    assert_eq!(word(&[], &[], 10), "hypothesis");
    assert_eq!(word(&proven, &[], 45), "proven");
    assert_eq!(
        standing(&proven, &[], TERMS, day(46)),
        Standing::Hypothesis { was_proven: Some(day(10)) },
        "it says that it was proven"
    );
    assert_eq!(word(&proven, &[], 5), "hypothesis", "a proof from the future is none");
    let compared_nothing = [held(10, Outcome::Proven), held(20, Outcome::Hypothesis)];
    assert_eq!(
        word(&compared_nothing, &[], 21),
        "proven",
        "a drill that compared nothing takes nothing away"
    );
}

#[test]
fn a_failure_needs_a_drill_that_passes_and_a_person() {
    let (failed, later) = (held(10, Outcome::Failed), held(11, Outcome::Proven));
    let both = [failed.clone(), later.clone()];
    assert_eq!(word(&both, &[], 12), "failed", "a later drill alone is not enough");
    assert_eq!(
        word(std::slice::from_ref(&failed), &[seen(&failed)], 12),
        "failed",
        "a person alone is not enough"
    );
    assert_eq!(word(&both, &[seen(&later)], 12), "failed", "another certificate was acknowledged");
    assert_eq!(word(&both, &[seen(&failed)], 12), "proven");
    let before = [held(9, Outcome::Proven), failed.clone()];
    assert_eq!(word(&before, &[seen(&failed)], 12), "failed", "an earlier drill proves nothing about it");
    assert_eq!(word(&both, &[seen(&failed)], 60), "hypothesis");
}

#[test]
fn what_covers_less_makes_nothing_good() {
    let failed = held(10, Outcome::Failed);
    let sample = Extent::Sample {
        seed: "00".to_owned(),
        chosen: 1,
        of: 2,
        share_ppm: 500_000,
        again: BTreeSet::new(),
    };
    for less in [
        Held { extent: sample, ..held(11, Outcome::Proven) },
        Held { commit: 9, ..held(11, Outcome::Proven) },
        Held { against: Against::SecondRestore, ..held(11, Outcome::Proven) },
        held(11, Outcome::Hypothesis),
    ] {
        assert_eq!(word(&[failed.clone(), less.clone()], &[seen(&failed)], 12), "failed", "{less:?}");
    }
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    prop_oneof![Just(Outcome::Proven), Just(Outcome::Failed), Just(Outcome::Hypothesis)]
}

proptest! {
    /// Whatever happens and however long one waits: without people nothing that failed is anything but failed.
    #[test]
    fn failed_never_turns_green_by_itself(history in prop::collection::vec(outcomes(), 1..8), wait in 0_i64..400) {
        let drills: Vec<Held> = history.iter().enumerate().map(|(at, &outcome)| held(at as i64, outcome)).collect();
        let now = history.len() as i64 + wait;
        let has_failed = history.contains(&Outcome::Failed);
        prop_assert_eq!(word(&drills, &[], now) == "failed", has_failed);
    }

    /// Time alone never makes anything better, and the order in which certificates are read does not matter.
    #[test]
    fn time_alone_makes_nothing_better(history in prop::collection::vec(outcomes(), 0..8), shown in any::<bool>(), wait in 0_i64..80) {
        let drills: Vec<Held> = history.iter().enumerate().map(|(at, &outcome)| held(at as i64, outcome)).collect();
        let people: Vec<_> = drills.iter().filter(|_| shown).map(seen).collect();
        let rank = |word: &str| match word { "proven" => 2, "hypothesis" => 1, _ => 0 };
        let now = history.len() as i64;
        prop_assert!(rank(word(&drills, &people, now + wait)) <= rank(word(&drills, &people, now)));
        let mut turned = drills.clone();
        turned.reverse();
        prop_assert_eq!(standing(&turned, &people, TERMS, day(now)), standing(&drills, &people, TERMS, day(now)));
    }

    /// A certificate more that did not fail never makes a source fail; one that failed always does.
    #[test]
    fn a_failure_is_always_seen(history in prop::collection::vec(outcomes(), 0..6)) {
        let mut drills: Vec<Held> = history.iter().enumerate().map(|(at, &outcome)| held(at as i64, outcome)).collect();
        let people: Vec<_> = drills.iter().map(seen).collect();
        let next = history.len() as i64;
        drills.push(held(next, Outcome::Failed));
        prop_assert_eq!(word(&drills, &people, next + 1), "failed");
        drills.push(held(next + 1, Outcome::Proven));
        let all: Vec<_> = drills.iter().map(seen).collect();
        prop_assert_eq!(word(&drills, &all, next + 2), "proven");
    }
}
