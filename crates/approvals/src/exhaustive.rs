//! Every state that a small world can reach, visited with the deciding function itself.
//!
//! The world: three people, two service identities and the installation; every act any of them can try, with signatures
//! for this and for another case, with the own key and with a borrowed one, as an approver and without that role; at any
//! time, so that the clock jumps forth and back as it likes. What must hold is judged from what was done and when, not from
//! what the case says of itself: a *witness* goes along with each case and counts by itself.

mod mutants;
mod witness;

use std::collections::{HashSet, VecDeque};

use self::witness::Witness;
use crate::{
    Act, Case, Decision, Now, Policy, Principal, Refusal, Running, Signed, State, Subject, step,
    testing::{Pen, at, case, host, pen, person, restore, service, sign_with, weakening},
};

/// The deciding function, or a broken one.
type Decide<'d> = &'d dyn Fn(&Case, &Policy, &Act, Now) -> Result<Case, Refusal>;

/// What clocks say: the host's in seconds, and by which memory the machine has been running for how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Time {
    wall: i64,
    memory: i64,
    ran: i64,
}

impl Time {
    const fn new(wall: i64, memory: i64, ran: i64) -> Self {
        Self { wall, memory, ran }
    }

    fn now(self) -> Now {
        let running = Running { memory: at(self.memory), micros: at(self.ran).as_micros() };
        Now { at: at(self.wall), running: Some(running) }
    }
}

const DELAY_S: i64 = 1;
const LIFETIME_S: i64 = 2;

/// Up to here time goes in these worlds: past every deadline. The host's clock jumps, and the machine runs on.
const TIMES: [Time; 5] =
    [Time::new(0, 0, 0), Time::new(1, 0, 1), Time::new(2, 0, 2), Time::new(3, 0, 3), Time::new(4, 0, 4)];

/// Times at which the host's clock lies, ahead or behind, and one by which what was remembered is lost.
const LIES: [Time; 8] = [
    Time::new(0, 0, 0),
    Time::new(1, 0, 1),
    Time::new(2, 0, 1),
    Time::new(3, 0, 0),
    Time::new(0, 0, 2),
    Time::new(0, 0, 4),
    Time::new(1, 1, 0),
    Time::new(2, 1, 1),
];

const fn policy(needed: u32) -> Policy {
    Policy { needed, weakening_delay_s: DELAY_S as u64, let_in_delay_s: 0, lifetime_s: LIFETIME_S as u64 }
}

/// Cases, each with its witness.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct World(Vec<(Case, Witness)>);

/// Who tries something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Party {
    People,
    Services,
    Host,
}

/// What was found.
#[derive(Debug, Default)]
struct Explored {
    worlds: usize,
    /// The words of all states that were reached.
    states: HashSet<&'static str>,
}

/// Returns every decision that can be tried, made for a case.
fn decisions(case: &Case) -> Vec<(Party, Signed)> {
    let mut pens: Vec<(Party, Pen)> =
        ["anna", "ben", "cleo"].map(|name| (Party::People, pen(&person(name)))).into();
    pens.push((Party::People, Pen { approver: false, ..pen(&person("cleo")) }));
    pens.push((Party::People, Pen { key: "key of ben".to_owned(), ..pen(&person("cleo")) }));
    pens.push((Party::People, Pen { key: "key of Ben".to_owned(), ..pen(&person("Ben")) }));
    pens.extend(["s1", "s2"].map(|name| (Party::Services, pen(&service(name)))));
    pens.push((Party::Host, pen(&host())));
    pens.iter()
        .flat_map(|(party, pen)| {
            [Decision::Approve, Decision::Refuse].map(|decision| (*party, sign_with(case, pen, decision)))
        })
        .collect()
}

/// Returns every act that these parties can try, with what was signed for each of the cases.
fn acts(cases: &[Case], parties: &[Party]) -> Vec<Act> {
    let mut acts = vec![(Party::Host, Act::Look)];
    for case in cases {
        acts.extend(decisions(case).into_iter().map(|(party, signed)| (party, Act::Decide(signed))));
    }
    let text = |text: &str| text.to_owned();
    let others = [
        (Party::People, person("anna")),
        (Party::People, person("ben")),
        (Party::Services, service("s1")),
        (Party::Services, service("s2")),
    ];
    for (party, by) in others {
        let by = || by.clone();
        acts.extend([
            (party, Act::Withdraw { by: by() }),
            (party, Act::Begin { by: by(), run: text("r1"), ended: None }),
            (party, Act::Begin { by: by(), run: text("r2"), ended: Some(text("r1")) }),
            (party, Act::Finish { by: by(), run: text("r1"), verified: true }),
            (party, Act::Fail { by: by(), run: text("r1"), why: text("") }),
        ]);
    }
    acts.push((Party::Host, Act::Withdraw { by: host() }));
    for run in ["r1", "r2"].map(text) {
        for ended in [None, Some("r1"), Some("r2")] {
            let ended = ended.map(text);
            acts.push((Party::Host, Act::Begin { by: host(), run: run.clone(), ended }));
        }
        for verified in [true, false] {
            acts.push((Party::Host, Act::Finish { by: host(), run: run.clone(), verified }));
        }
        acts.push((Party::Host, Act::Fail { by: host(), run, why: text("") }));
    }
    acts.into_iter().filter(|(party, _)| parties.contains(party)).map(|(_, act)| act).collect()
}

/// Makes cases the same that differ in counters alone, so that there are finitely many, and those that differ only in what no
/// rule looks at, so that there are few: when each single person decided and in which order, and words about the end. Who
/// adds a rule that looks at one of these leaves it in here.
fn normal(mut case: Case) -> Case {
    case.version = 1;
    match &mut case.state {
        State::Applying { begun, since, .. } => (*begun, *since) = (1, at(0)),
        State::Refused { at: when, by, .. } => (*when, *by) = (at(0), String::new()),
        State::Withdrawn { at: when, by } => (*when, *by) = (at(0), host()),
        State::Applied { at: when, .. } | State::Failed { at: when, .. } | State::Expired { at: when } => {
            *when = at(0);
        }
        State::Waiting | State::Approved { .. } => {}
    }
    case.decisions.retain(|decided| decided.decision == Decision::Approve);
    case.decisions.iter_mut().for_each(|decided| decided.at = at(0));
    case.decisions.sort_by(|a, b| a.person.cmp(&b.person));
    case
}

/// Visits every world that can be reached; the first thing that must not be is an error.
fn explore(
    cases: Vec<Case>,
    acts: &[Act],
    (policy, times): (&Policy, &[Time]),
    decide: Decide<'_>,
) -> Result<Explored, String> {
    let start = World(cases.into_iter().map(|case| (normal(case), Witness::default())).collect());
    let mut explored = Explored::default();
    let mut seen = HashSet::from([start.clone()]);
    let mut waiting = VecDeque::from([start]);
    while let Some(world) = waiting.pop_front() {
        explored.worlds += 1;
        explored.states.extend(world.0.iter().map(|(case, _)| case.state.word()));
        for place in 0..world.0.len() {
            for act in acts {
                for &time in times {
                    let (case, witness) = &world.0[place];
                    // However clocks are set, a machine does not run backwards.
                    if !witness.can_come_to(time) {
                        continue;
                    }
                    let after = decide(case, policy, act, time.now());
                    let mut witness = witness.clone();
                    witness.judge((case, act, time), policy, after.as_ref().ok())?;
                    let Ok(after) = after else {
                        // What was tried in vain may still have to end the case.
                        if witness != world.0[place].1 {
                            return Err(format!("{act:?} at {time:?} should have ended {case:?}"));
                        }
                        continue;
                    };
                    let mut next = world.clone();
                    next.0[place] = (normal(after), witness);
                    if !seen.contains(&next) {
                        seen.insert(next.clone());
                        waiting.push_back(next);
                    }
                }
            }
        }
    }
    Ok(explored)
}

const ALL: [Party; 3] = [Party::People, Party::Services, Party::Host];

/// Returns a case that somebody asked for.
fn asked(subject: &Subject, by: &Principal, needed: u32) -> Case {
    case("c1", subject.clone(), by.clone(), &policy(needed))
}

/// Explores one case at all times. What was signed for another case, about the same subject, is tried as well.
fn explore_one(
    subject: &Subject,
    by: &Principal,
    needed: u32,
    parties: &[Party],
    decide: Decide<'_>,
) -> Result<Explored, String> {
    explore_at(&TIMES, subject, (by, needed), parties, decide)
}

fn explore_at(
    times: &[Time],
    subject: &Subject,
    (by, needed): (&Principal, u32),
    parties: &[Party],
    decide: Decide<'_>,
) -> Result<Explored, String> {
    let policy = policy(needed);
    let (one, other) = (asked(subject, by, needed), case("c2", subject.clone(), by.clone(), &policy));
    let acts = acts(&[one.clone(), other], parties);
    explore(vec![one], &acts, (&policy, times), decide)
}

fn subjects() -> [Subject; 2] {
    [restore(), weakening()]
}

/// Visits everything that can become of a subject, whoever asked.
fn visit(subject: &Subject) {
    let on_the_host = Principal::Host("anna".to_owned());
    let worlds = [(person("anna"), 1), (person("anna"), 2), (person("anna"), 3), (on_the_host, 1)];
    let by_service = [1, 2, 3].map(|needed| (service("s1"), needed));
    for (by, needed) in worlds.into_iter().chain(by_service) {
        let explored = explore_one(subject, &by, needed, &ALL, &step).unwrap();
        // Of three people two are left where one of them asked.
        let possible = needed < 3 || by == service("s1");
        for word in ["approved", "applying", "applied", "applied, not verified", "failed"] {
            assert_eq!(explored.states.contains(word), possible, "{word} {by} {needed}");
        }
        for word in ["waiting", "refused", "withdrawn", "expired"] {
            assert!(explored.states.contains(word), "{word}");
        }
    }
}

#[test]
fn no_plan_is_applied_but_what_enough_other_people_signed_in_time() {
    visit(&restore());
}

#[test]
fn protection_becomes_less_only_after_enough_other_people_signed_and_the_delay_is_over() {
    visit(&weakening());
}

#[test]
fn a_clock_that_lies_ends_no_delay_and_revives_nothing() {
    for subject in subjects() {
        let explored = explore_at(&LIES, &subject, (&person("anna"), 1), &ALL, &step).unwrap();
        assert!(explored.states.contains("applied") && explored.states.contains("expired"));
    }
}

#[test]
fn two_cases_do_not_help_each_other() {
    let policy = policy(2);
    let cases =
        vec![case("c1", restore(), person("anna"), &policy), case("c2", weakening(), service("s1"), &policy)];
    // Fewer acts than for one case: two cases are many worlds.
    let few = |act: &Act| match act {
        Act::Decide(signed) => {
            let signer = &signed.signer;
            signer.approver
                && signer.key == format!("key of {}", signer.who.name())
                && signer.who != person("Ben")
        }
        Act::Begin { run, .. } => run == "r1",
        Act::Finish { run, verified, .. } => run == "r1" && *verified,
        Act::Withdraw { .. } | Act::Look => true,
        Act::Fail { .. } => false,
    };
    let acts: Vec<Act> = acts(&cases, &ALL).into_iter().filter(few).collect();
    let explored = explore(cases, &acts, (&policy, &[TIMES[0], TIMES[1], TIMES[3]]), &step).unwrap();
    assert!(explored.worlds > 1_000 && explored.states.contains("applied"), "{}", explored.worlds);
}

#[test]
fn no_sequence_of_calls_by_service_identities_gets_anything_approved_or_applied() {
    for subject in subjects() {
        for by in [person("anna"), service("s1")] {
            for needed in 0..=3 {
                // The installation itself begins and finishes whatever it may: that does not help them.
                for parties in [&[Party::Services][..], &[Party::Services, Party::Host][..]] {
                    let explored = explore_one(&subject, &by, needed, parties, &step).unwrap();
                    let harmless = ["waiting", "withdrawn", "expired"];
                    let beyond: Vec<_> =
                        explored.states.iter().filter(|word| !harmless.contains(word)).collect();
                    assert!(beyond.is_empty(), "{beyond:?}");
                }
            }
        }
    }
}
