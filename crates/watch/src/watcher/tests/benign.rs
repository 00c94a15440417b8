//! Daily work, and what was announced.

use super::*;

fn draw(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

#[test]
fn a_person_who_cleans_up_every_day_wakes_nobody() {
    let (mut watcher, mut state) = (watcher(), 7);
    let mut news = Vec::new();
    for day in 0..60 {
        let count = 20 + draw(&mut state) % 41;
        let mut at = day * DAY;
        for _ in 0..count {
            at += (5 + draw(&mut state) % 60) as i64 * SECOND;
            news.extend(watcher.observe(&mail(at, Verb::Trash, 1).0, &Holds(Some(20_000)), &[]));
        }
    }
    assert!(news.is_empty(), "{news:?}");
}

#[test]
fn a_clean_up_that_was_announced_is_counted_and_wakes_nobody() {
    let mut announced = expectation(Some("anna*"), &[Verb::Trash], Some(3000));
    announced.source = name("acme");
    let clean = |n: i64| mail(n * SECOND / 2, Verb::Trash, 1).by("anna@acme.test", Attribution::Recorded);
    let mut watcher = watcher();
    let mut news = Vec::new();
    for n in 0..3000 {
        news.extend(watcher.observe(&clean(n).0, &Holds(Some(20_000)), std::slice::from_ref(&announced)));
    }
    assert_eq!(watcher.incidents().count(), 0);
    assert_eq!(news.len(), 1, "{news:?}");
    news.extend(watcher.advance(Moment::from_micros(START + 11 * HOUR)));
    let items = |news: &News| match news {
        News::Suppressed { items, .. } => *items,
        other => panic!("{other:?}"),
    };
    assert_eq!(news.iter().map(items).collect::<Vec<_>>(), [1, 3000]);
}

#[test]
fn beyond_what_was_announced_it_is_an_alarm() {
    let announced = [expectation(None, &[Verb::Delete], Some(1000))];
    let mut watcher = watcher();
    let all: Vec<Seen> = (0..1400).map(|n| rows(n * 1000, Verb::Delete, 1)).collect();
    let news: Vec<News> =
        all.iter().flat_map(|seen| watcher.observe(&seen.0, &Holds(None), &announced)).collect();
    assert_eq!(opened(&news), 1);
    let incident = watcher.incident(1).unwrap();
    assert_eq!(incident.destroyed(), 400);
    let suppression = &incident.suppressions[0];
    assert_eq!((suppression.expectation.as_str(), suppression.items), ("change-7", 1000));
}

#[test]
fn an_expectation_covers_only_what_it_names() {
    let alarms = |announced: Expectation, seen: Seen| {
        let mut watcher = watcher();
        opened(&watcher.observe(&seen.0, &Holds(None), &[announced]))
    };
    let truncate = |at| rows(at, Verb::Truncate, 1).by("dba", Attribution::Sampled);
    assert_eq!(alarms(expectation(None, &[Verb::Truncate], None), truncate(0)), 0);
    assert_eq!(alarms(expectation(Some("dba"), &[Verb::Truncate], None), truncate(0)), 0);
    assert_eq!(alarms(expectation(None, &[], None), truncate(0)), 1, "great harm must be named");
    assert_eq!(alarms(expectation(Some("batch"), &[Verb::Truncate], None), truncate(0)), 1);
    assert_eq!(alarms(expectation(None, &[Verb::Truncate], None), truncate(11 * HOUR)), 1);
    let scoped = |scope: &str| Expectation {
        scope: Some(scope.to_owned()),
        ..expectation(None, &[Verb::Truncate], None)
    };
    assert_eq!(alarms(scoped("shop.public.book*"), truncate(0)), 0);
    assert_eq!(alarms(scoped("shop.public.users"), truncate(0)), 1);
    let open = rows(0, Verb::Delete, 5000).stage(Stage::Underway);
    assert_eq!(alarms(expectation(Some("batch"), &[Verb::Delete], None), open), 0, "it may be batch");
}

#[test]
fn what_was_taken_for_announced_is_an_alarm_once_it_was_somebody_else() {
    let announced = [expectation(Some("batch"), &[Verb::Delete], None)];
    let mut watcher = watcher();
    let done = rows(0, Verb::Delete, 5000).named("7");
    assert_eq!(opened(&watcher.observe(&done.0, &Holds(None), &announced)), 0);
    let told = done.by("agent", Attribution::Witnessed).stage(Stage::Told).late(SECOND);
    let news = watcher.observe(&told.0, &Holds(None), &announced);
    assert_eq!(opened(&news), 1);
    assert_eq!(watcher.incident(1).unwrap().destroyed(), 5000);
}

#[test]
fn a_stroke_of_which_nobody_is_known_in_the_end_is_not_what_somebody_announced() {
    let announced = [expectation(Some("dba"), &[Verb::Truncate, Verb::Delete], None)];
    let alarms = |verb, settle: fn(Seen) -> Seen| {
        let mut watcher = watcher();
        let done = rows(0, verb, 5000).named("7");
        assert_eq!(opened(&watcher.observe(&done.0, &Holds(None), &announced)), 0, "it may be the dba");
        let told = settle(done.stage(Stage::Told).late(SECOND));
        opened(&watcher.observe(&told.0, &Holds(None), &announced))
    };
    assert_eq!(alarms(Verb::Truncate, |told| told), 1);
    assert_eq!(alarms(Verb::Truncate, |told| told.by("dba", Attribution::Witnessed)), 0);
    assert_eq!(alarms(Verb::Delete, |told| told), 0, "small work is often nobody's");
}

fn night(watcher: &mut Watcher, night: i64, announced: &[Expectation], who: Option<&str>) -> Vec<News> {
    night_of(watcher, night, announced, who, 20_000_000)
}

fn night_of(
    watcher: &mut Watcher,
    night: i64,
    announced: &[Expectation],
    who: Option<&str>,
    items: u64,
) -> Vec<News> {
    let mut news = Vec::new();
    let name = format!("night{night}");
    for step in 1..=11_i64 {
        let stage = if step == 11 { Stage::Done } else { Stage::Underway };
        let count = 5000 * step.min(10) as u64;
        let mut seen = rows(night * DAY + step * SECOND, Verb::Delete, count).named(&name).stage(stage);
        if let Some(who) = who {
            seen = seen.by(who, Attribution::Sampled);
        }
        news.extend(watcher.observe(&seen.0, &Holds(Some(items)), announced));
    }
    news
}

#[test]
fn a_nightly_batch_that_was_announced_wakes_nobody() {
    let announced =
        Expectation { until: Moment::from_micros(START + 90 * DAY), ..expectation(Some("batch"), &[], None) };
    let mut watcher = watcher();
    for n in 0..30 {
        let news = night(&mut watcher, n, std::slice::from_ref(&announced), Some("batch"));
        assert!(news.iter().all(|news| matches!(news, News::Suppressed { .. })), "{news:?}");
    }
}

#[test]
fn a_known_machine_is_noticed_for_three_nights_and_then_usual() {
    let mut watcher = watcher();
    let mut counts = Vec::new();
    for n in 0..10 {
        let news = night(&mut watcher, n, &[], Some("batch"));
        assert_eq!((opened(&news), contained(&news).len()), (0, 0), "night {n}: {news:?}");
        counts.push(notices(&news).len());
    }
    assert_eq!(counts, [1, 1, 1, 0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn a_known_machine_that_deletes_a_large_share_is_an_alarm_until_that_is_usual() {
    let mut watcher = watcher();
    let alarms: Vec<usize> =
        (0..6).map(|n| opened(&night_of(&mut watcher, n, &[], Some("batch"), 2_000_000))).collect();
    assert_eq!(alarms, [1, 1, 1, 0, 0, 0]);
}

#[test]
fn what_nobody_is_known_to_do_every_night_becomes_usual_and_more_of_it_is_not() {
    let mut watcher = watcher();
    let alarms: Vec<usize> = (0..8).map(|n| opened(&night(&mut watcher, n, &[], None))).collect();
    assert_eq!(alarms, [1, 1, 1, 0, 0, 0, 0, 0]);
    let other = rows(8 * DAY, Verb::Delete, 50_000).target("shop.public.users").stage(Stage::Underway);
    assert_eq!(opened(&observe(&mut watcher, &other)), 1, "another table is not usual");
    let mut again = watcher_after_nights();
    let more = rows(8 * DAY, Verb::Delete, 90_000).stage(Stage::Underway);
    assert_eq!(opened(&observe(&mut again, &more)), 1, "nearly twice as much is not usual");
}

fn watcher_after_nights() -> Watcher {
    let mut watcher = watcher();
    for n in 0..8 {
        night(&mut watcher, n, &[], None);
    }
    watcher
}

#[test]
fn inserts_and_updates_of_an_app_are_no_news() {
    let mut watcher = watcher();
    let work = |n: i64| rows(n * 1000, if n % 2 == 0 { Verb::Insert } else { Verb::Update }, 3);
    let all: Vec<Seen> = (0..20_000).map(work).collect();
    assert!(observe_all(&mut watcher, &all).is_empty());
}

#[test]
fn what_feeds_and_logs_tell_of_the_same_is_announced_once() {
    let announced =
        [Expectation { source: name("acme"), ..expectation(Some("anna*"), &[Verb::Trash], Some(300)) }];
    let mut watcher = watcher();
    let mut news = watcher.observe(&mail(0, Verb::Trash, 300).0, &Holds(None), &announced);
    for log in ["token/anna@acme.test", "gmail/anna@acme.test"] {
        for n in 0..300 {
            let told = mail(n * 1000, Verb::Trash, 1).scope(log).by("anna@acme.test", Attribution::Recorded);
            news.extend(watcher.observe(&told.late(HOUR).0, &Holds(None), &announced));
        }
    }
    assert_eq!(watcher.incidents().count(), 0, "{news:?}");
}

#[test]
fn an_incident_is_not_kept_alive_by_what_goes_on_every_day() {
    let mut watcher = watcher();
    let queue = |at: i64| rows(at, Verb::Delete, 5).target("shop.public.queue");
    for day in 0..4 {
        for n in 0..100 {
            observe(&mut watcher, &queue(day * DAY + n * 600 * SECOND));
        }
    }
    observe(&mut watcher, &rows(4 * DAY, Verb::Truncate, 1));
    for n in 0..30 {
        observe(&mut watcher, &queue(4 * DAY + n * 60 * SECOND));
    }
    let incident = watcher.incident(1).unwrap();
    assert_eq!((incident.destroyed(), incident.growing), (1, false));
}
