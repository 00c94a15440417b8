use super::*;
use crate::history::tests::{base, history};

#[test]
fn the_nearest_base_before_the_stop_is_taken() {
    let history = history(vec![base(1, 100, 150), base(1, 200, 250)], &[], &[(1, 100..500)]);
    for (stop, start) in [(Stop::Before(150), 100), (Stop::Before(249), 100), (Stop::Before(250), 200)] {
        assert_eq!(history.choose(1, stop).unwrap().wal_start_lsn(), start, "{stop}");
    }
}

#[test]
fn an_older_base_serves_when_the_newer_one_lacks_wal() {
    let history = history(vec![base(1, 100, 150), base(1, 290, 310)], &[], &[(1, 100..305)]);
    assert_eq!(history.choose(1, Stop::Before(304)).unwrap().wal_start_lsn(), 100);
}

#[test]
fn missing_wal_is_named_and_everything_before_it_works() {
    let history = history(vec![base(1, 100, 150)], &[], &[(1, 100..300), (1, 400..500)]);
    assert_eq!(history.choose(1, Stop::Before(300)).unwrap().wal_end_lsn, 300);
    let error = history.choose(1, Stop::Before(301)).unwrap_err();
    let nearest = Nearest { before: Some(300), after: None };
    assert_eq!(
        error,
        RouteError::MissingWal { timeline: 1, from: 300, to: Some(400), reason: None, nearest }
    );
    assert_eq!(
        error.to_string(),
        "WAL of timeline 1 is missing from 0/12C to 0/190; everything up to there can be restored"
    );
    let latest = history.choose_latest(None).unwrap();
    assert_eq!((latest.stop, latest.lost_after), (Stop::End(300), Some(300)));
}

#[test]
fn a_stop_outside_names_the_nearest() {
    let history = history(vec![base(1, 100, 150)], &[], &[(1, 100..300)]);
    let nearest = |stop| match history.choose(1, stop) {
        Err(RouteError::Outside { nearest, .. }) => nearest,
        other => panic!("{other:?}"),
    };
    assert_eq!(nearest(Stop::Before(149)), Nearest { before: None, after: Some(150) });
    assert_eq!(nearest(Stop::Before(301)), Nearest { before: Some(300), after: None });
    assert_eq!(nearest(Stop::After(300)), Nearest { before: Some(300), after: None });
}

#[test]
fn between_two_spans_both_neighbours_are_named() {
    let bases = vec![base(1, 100, 150), base(1, 400, 450)];
    let history = history(bases, &[], &[(1, 100..300), (1, 400..500)]);
    let Err(RouteError::MissingWal { from, nearest, .. }) = history.choose(1, Stop::Before(420)) else {
        panic!("a way was found");
    };
    assert_eq!((from, nearest), (300, Nearest { before: Some(300), after: Some(450) }));
}

#[test]
fn a_stop_before_the_fork_is_a_stop_on_the_parent() {
    let runs = [(1, 100..300), (2, 250..400)];
    let history = history(vec![base(1, 100, 150)], &[("00000002.history", "1\t0/FA\tx\n")], &runs);
    assert_eq!(history.choose(2, Stop::Before(250)).unwrap().branch.timeline, 1);
    assert_eq!(history.choose(2, Stop::After(250)).unwrap().branch.timeline, 2);
    assert_eq!(history.choose(1, Stop::Before(299)).unwrap().branch.timeline, 1);
}

#[test]
fn an_empty_vault_says_so() {
    let history = history(Vec::new(), &[], &[]);
    assert_eq!(history.choose_latest(None), Err(RouteError::NoBase));
    assert_eq!(history.choose(1, Stop::Before(1)), Err(RouteError::NoBase));
}
