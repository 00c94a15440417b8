use catalog::Applied;
use model::{Attribution, Ledger};
use vault::{Change, CommitHash};

use super::*;

fn event(at: i64, severity: Severity, effects: &[(Verb, u64)]) -> Change {
    let effect = |(verb, count): &(Verb, u64)| Effect { verb: *verb, target: "t".to_owned(), count: *count };
    Change::Event(Event {
        at: Moment::from_micros(at),
        position: format!("0/{at}"),
        transaction: at.to_string(),
        scope: "shop".to_owned(),
        effects: effects.iter().map(effect).collect(),
        severity,
        actor: None,
        attribution: Attribution::Unknown,
        statement: None,
    })
}

fn ask(change: impl FnOnce(&mut TimelineRequest)) -> Vec<(i64, Vec<Verb>)> {
    let mut catalog = Catalog::in_memory().unwrap();
    let commit = Applied {
        sequence: 1,
        hash: CommitHash([0; 32]),
        vault_time: Moment::from_micros(0),
        cursor: Vec::new(),
        ledger: Ledger::default(),
    };
    let events = [
        event(1, Severity::Routine, &[(Verb::Insert, 9)]),
        event(2, Severity::Notable, &[(Verb::Delete, 5)]),
        event(3, Severity::Destructive, &[(Verb::Update, 900), (Verb::Delete, 100)]),
        event(4, Severity::Destructive, &[(Verb::Insert, 1), (Verb::Drop, 1), (Verb::Truncate, 1)]),
        event(5, Severity::Destructive, &[(Verb::Delete, 10), (Verb::Delete, 20)]),
    ];
    catalog.apply(&commit, events).unwrap();
    let mut request = TimelineRequest { from: None, until: None, routine: false, by_time: false, limit: 100 };
    change(&mut request);
    let timeline = timeline(&catalog, &SourceName::new("shop").unwrap(), request).unwrap();
    let verbs = |event: &Event| event.effects.iter().map(|effect| effect.verb).collect();
    timeline.events.iter().map(|event| (event.at.as_micros(), verbs(event))).collect()
}

fn order(found: &[(i64, Vec<Verb>)]) -> Vec<i64> {
    found.iter().map(|(at, _)| *at).collect()
}

#[test]
fn what_destroyed_most_comes_first_and_routine_is_left_out() {
    let found = ask(|_| {});
    assert_eq!(order(&found), [4, 3, 5, 2]);
    assert_eq!(found[0].1, [Verb::Drop, Verb::Truncate, Verb::Insert]);
    assert_eq!(found[1].1, [Verb::Delete, Verb::Update]);
}

#[test]
fn a_request_chooses_order_time_and_number() {
    assert_eq!(order(&ask(|request| request.by_time = true)), [2, 3, 4, 5]);
    assert_eq!(order(&ask(|request| request.routine = true)), [4, 3, 5, 2, 1]);
    assert_eq!(order(&ask(|request| request.limit = 2)), [4, 5]);
    assert_eq!(order(&ask(|request| request.until = Some(Moment::from_micros(3)))), [3, 2]);
}
