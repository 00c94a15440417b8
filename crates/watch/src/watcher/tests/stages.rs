//! What goes on, took effect, and is told again.

use super::*;

fn open(at: i64, count: u64) -> Seen {
    rows(at, Verb::Delete, count).named("7").stage(Stage::Underway)
}

#[test]
fn an_open_transaction_grows_and_is_counted_once() {
    let mut watcher = watcher();
    let news = observe_all(&mut watcher, &[open(0, 1200), open(SECOND, 50_000)]);
    assert_eq!(opened(&news), 1);
    let touched = &watcher.incident(1).unwrap().touched[&name("shop")];
    assert_eq!((touched.effects.destroyed(), touched.underway.destroyed()), (0, 50_000));
    observe(&mut watcher, &open(2 * SECOND, 60_000).stage(Stage::Done));
    observe(&mut watcher, &open(2 * SECOND, 60_000).stage(Stage::Told).late(3 * SECOND));
    let incident = watcher.incident(1).unwrap();
    let touched = &incident.touched[&name("shop")];
    assert_eq!((touched.effects.destroyed(), touched.underway.destroyed()), (60_000, 0));
    assert_eq!((incident.deeds.len(), incident.destroyed()), (1, 60_000));
    assert_eq!(incident.suspects[0].effects, touched.effects);
}

#[test]
fn nothing_is_lost_of_what_was_rolled_back() {
    let mut watcher = watcher();
    observe_all(&mut watcher, &[open(0, 1200), open(SECOND, 1300), open(2 * SECOND, 0).nothing()]);
    let incident = watcher.incident(1).unwrap();
    let touched = &incident.touched[&name("shop")];
    assert_eq!((touched.effects.destroyed(), touched.underway.destroyed()), (0, 0));
    assert_eq!((touched.given_up.destroyed(), incident.destroyed()), (1300, 0));
    assert_eq!(incident.summary(), "nothing was lost");
}

#[test]
fn what_never_takes_effect_is_given_up_when_it_is_quiet_and_counted_should_it_after_all() {
    let mut watcher = watcher();
    observe(&mut watcher, &open(0, 1200));
    assert!(watcher.incident(1).unwrap().growing);
    let news = watcher.advance(Moment::from_micros(START + HOUR));
    assert_eq!(news, [News::Grew { incident: 1 }]);
    let incident = watcher.incident(1).unwrap();
    assert!(!incident.growing && incident.deeds[0].given_up);
    assert_eq!(incident.suspects[0].given_up.destroyed(), 1200);
    observe(&mut watcher, &open(2 * HOUR, 1200).stage(Stage::Done));
    let incident = watcher.incident(1).unwrap();
    assert_eq!((incident.destroyed(), incident.touched[&name("shop")].given_up.destroyed()), (1200, 0));
    assert!(incident.growing);
}

#[test]
fn names_become_better_and_counts_stay() {
    let mut watcher = watcher();
    let done = rows(0, Verb::Truncate, 1).named("7").target("db/5 rel/20000").scope("db/5");
    observe(&mut watcher, &done);
    let told = done.stage(Stage::Told).target("shop.public.bookings").scope("shop").late(SECOND);
    observe(&mut watcher, &told);
    let incident = watcher.incident(1).unwrap();
    let effects: Vec<Effect> = incident.touched[&name("shop")].effects.iter().cloned().collect();
    let target = "shop.public.bookings".to_owned();
    assert_eq!(effects, [Effect { verb: Verb::Truncate, target, count: 1 }]);
}

#[test]
fn what_was_glimpsed_and_forgotten_is_not_counted_again_but_a_stroke_that_nobody_glimpsed_is() {
    let mut watcher = watcher();
    observe(&mut watcher, &rows(0, Verb::Insert, 1));
    observe(&mut watcher, &rows(10 * SECOND, Verb::Insert, 1));
    let summed = rows(9 * SECOND, Verb::Delete, 5000).named("1-900").stage(Stage::Told).late(SECOND);
    assert!(observe(&mut watcher, &summed).is_empty());
    let dropped = rows(8 * SECOND, Verb::DropDatabase, 1).named("5").stage(Stage::Told).late(3 * SECOND);
    assert_eq!(opened(&observe(&mut watcher, &dropped)), 1);
    let beyond = rows(12 * SECOND, Verb::Delete, 5000).stage(Stage::Told);
    observe(&mut watcher, &beyond);
    assert_eq!(watcher.incident(1).unwrap().destroyed(), 5001);
}

#[test]
fn a_feed_that_tells_the_same_twice_is_counted_once() {
    let mut watcher = watcher();
    let trash = mail(0, Verb::Trash, 30);
    let news = observe_all(&mut watcher, &[trash.clone(), trash.late(SECOND)]);
    assert_eq!((opened(&news), watcher.incident(1).unwrap().destroyed()), (1, 30));
}

#[test]
fn an_incident_holds_what_came_before_the_alarm_and_ends_when_it_is_quiet() {
    let mut watcher = watcher();
    let slow = rows(0, Verb::Delete, 5);
    let all: Vec<Seen> = (0..25).map(|n| rows(HOUR + n * SECOND / 10, Verb::Delete, 10)).collect();
    observe(&mut watcher, &slow);
    assert_eq!(opened(&observe_all(&mut watcher, &all)), 1);
    let incident = watcher.incident(1).unwrap();
    assert_eq!((incident.destroyed(), incident.deeds.len()), (250, 25));
    assert_eq!(incident.delay_ms, 1900);
    observe(&mut watcher, &rows(HOUR + 60 * SECOND, Verb::Delete, 1));
    assert_eq!(watcher.incident(1).unwrap().destroyed(), 251);
    observe(&mut watcher, &rows(3 * HOUR, Verb::Delete, 1));
    let incident = watcher.incident(1).unwrap();
    assert_eq!((incident.destroyed(), incident.growing), (251, false));
    observe(&mut watcher, &rows(4 * HOUR, Verb::Truncate, 1));
    assert_eq!(watcher.incidents().count(), 2);
}

#[test]
fn one_actor_in_two_sources_is_one_incident_and_two_actors_are_two() {
    let mut watcher = watcher();
    let agent = |seen: Seen| seen.by("agent", Attribution::Witnessed);
    observe(&mut watcher, &agent(rows(0, Verb::Truncate, 1)));
    observe(&mut watcher, &agent(mail(SECOND, Verb::Weaken, 1)));
    assert_eq!(watcher.incidents().count(), 1);
    assert_eq!(watcher.incident(1).unwrap().touched.len(), 2);
    observe(&mut watcher, &rows(2 * SECOND, Verb::Truncate, 1).by("dba", Attribution::Witnessed));
    assert_eq!(watcher.incidents().count(), 2);
}

#[test]
fn thousands_of_deeds_are_summed_up() {
    let mut watcher = watcher();
    let all: Vec<Seen> = (0..5000).map(|n| rows(n * 1000, Verb::Delete, 1)).collect();
    observe_all(&mut watcher, &all);
    let incident = watcher.incident(1).unwrap();
    assert_eq!((incident.destroyed(), incident.deeds.len(), incident.deeds_capped), (5000, 1000, true));
}

#[test]
fn each_log_and_feed_of_a_source_has_positions_of_its_own() {
    let mut watcher = watcher();
    let mut encrypted = mail(0, Verb::Encrypt, 5).stage(Stage::Done);
    encrypted.0.event.position = "files/0009".to_owned();
    observe(&mut watcher, &encrypted);
    let mut trashed = mail(SECOND, Verb::Trash, 30);
    trashed.0.event.position = "changes/0001".to_owned();
    observe(&mut watcher, &trashed);
    let mut logged = mail(2 * SECOND, Verb::Trash, 1).by("anna@acme.test", Attribution::Recorded);
    logged.0.event.position = "2026-03-02T01:15:42.118000Z drive -47".to_owned();
    observe(&mut watcher, &logged);
    let incident = watcher.incident(1).unwrap();
    assert_eq!(incident.touched[&name("acme")].effects.destroyed(), 35);
    assert!(incident.suspects.iter().any(|suspect| suspect.recorded.destroyed() == 1));
}
