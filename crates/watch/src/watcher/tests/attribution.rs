//! Who it was, as it becomes known.

use super::*;

#[test]
fn whoever_is_named_later_is_the_suspect_and_the_guess_is_remembered() {
    let mut watcher = watcher();
    let done = rows(0, Verb::Delete, 5000).named("7").severity(Severity::Destructive);
    let news = observe(&mut watcher, &done);
    assert_eq!(contained(&news).len(), 1);
    assert_eq!(watcher.incident(1).unwrap().suspects[0].attribution, Attribution::Unknown);
    let told = done.by("agent", Attribution::Witnessed).stage(Stage::Told).late(60 * SECOND);
    let news = observe(&mut watcher, &told);
    assert!(news.contains(&News::Attributed { incident: 1 }), "{news:?}");
    let asked = contained(&news);
    assert_eq!(asked[0].actor.as_ref().unwrap().identity, "agent");
    let incident = watcher.incident(1).unwrap();
    assert_eq!(incident.suspects.len(), 1);
    let suspect = &incident.suspects[0];
    assert!(suspect.guessed_before && suspect.fired);
    assert_eq!((suspect.kind, suspect.attribution), (ActorKind::Agent, Attribution::Witnessed));
    assert_eq!((suspect.effects.destroyed(), incident.destroyed()), (5000, 5000));
    assert_eq!(incident.firings[0].suspect, suspect.id);
}

#[test]
fn a_guess_is_told_as_one_and_gives_way_to_what_is_known() {
    let mut watcher = watcher();
    let done = rows(0, Verb::Truncate, 1).named("7").by("agent", Attribution::Inferred);
    observe(&mut watcher, &done);
    let incident = watcher.incident(1).unwrap();
    assert!(incident.firings[0].explanation.contains("guess"), "{}", incident.firings[0].explanation);
    let told = done.by("dba", Attribution::Witnessed).stage(Stage::Told).late(SECOND);
    let news = observe(&mut watcher, &told);
    let incident = watcher.incident(1).unwrap();
    let names: Vec<_> =
        incident.suspects.iter().map(|s| s.actor.as_ref().unwrap().identity.as_str()).collect();
    assert_eq!(names, ["dba"]);
    assert_eq!(contained(&news).len(), 1);
}

#[test]
fn what_others_did_at_the_same_time_is_split_off() {
    let mut watcher = watcher();
    let wipe: Vec<Seen> = (0..300).map(|n| rows(n * 1000, Verb::Delete, 1).named(&format!("w{n}"))).collect();
    let other = rows(100_500, Verb::Delete, 3).named("o");
    let mut all = wipe.clone();
    all.insert(101, other.clone());
    observe_all(&mut watcher, &all);
    assert_eq!(watcher.incident(1).unwrap().destroyed(), 303);
    for seen in wipe {
        observe(&mut watcher, &seen.by("agent", Attribution::Sampled).stage(Stage::Told).late(60 * SECOND));
    }
    observe(&mut watcher, &other.by("app", Attribution::Sampled).stage(Stage::Told).late(60 * SECOND));
    let incident = watcher.incident(1).unwrap();
    let told: Vec<_> = incident
        .suspects
        .iter()
        .map(|s| (s.actor.as_ref().unwrap().identity.as_str(), s.effects.destroyed(), s.deeds, s.fired))
        .collect();
    assert_eq!(told, [("agent", 300, 300, true), ("app", 3, 1, false)]);
    assert_eq!(incident.destroyed(), 303);
    let of_agent = incident.deeds.iter().filter(|deed| deed.suspect == incident.suspects[0].id).count();
    assert_eq!(of_agent, 300);
}

#[test]
fn slow_work_of_an_agent_is_found_once_it_is_known_as_one() {
    let mut watcher = watcher();
    let all: Vec<Seen> =
        (0..150).map(|n| rows(n * 60_000, Verb::Delete, 1).named(&format!("w{n}"))).collect();
    assert_eq!(opened(&observe_all(&mut watcher, &all)), 0);
    let told =
        |seen: &Seen| seen.clone().by("agent", Attribution::Sampled).stage(Stage::Told).late(30 * SECOND);
    let told: Vec<Seen> = all.iter().map(told).collect();
    assert_eq!(opened(&observe_all(&mut watcher, &told)), 1);
    let incident = watcher.incident(1).unwrap();
    assert_eq!((incident.destroyed(), incident.suspects.len()), (150, 1));
}

fn logged(at: i64, client: &str, verb: Verb, count: u64) -> Seen {
    mail(at, verb, count)
        .scope("token/anna@acme.test")
        .target("GMAIL")
        .by("anna@acme.test", Attribution::Recorded)
        .actor(|actor| actor.client = Some(client.to_owned()))
        .named(&format!("{client}{at}"))
        .late(HOUR)
}

#[test]
fn an_audit_log_names_hours_later_who_emptied_a_mailbox() {
    let mut watcher = watcher();
    observe(&mut watcher, &mail(0, Verb::Delete, 1000));
    watcher.advance(Moment::from_micros(START + HOUR - 1));
    assert!(!watcher.incident(1).unwrap().growing);
    let news = observe(&mut watcher, &logged(-30 * SECOND, "1.apps", Verb::Delete, 1));
    assert!(news.contains(&News::Attributed { incident: 1 }), "{news:?}");
    assert_eq!(contained(&news)[0].actor.as_ref().unwrap().client.as_deref(), Some("1.apps"));
    let incident = watcher.incident(1).unwrap();
    assert_eq!((incident.suspects.len(), incident.destroyed()), (1, 1000));
    let suspect = &incident.suspects[0];
    assert_eq!((suspect.effects.destroyed(), suspect.assumed.destroyed()), (1000, 999));
    assert_eq!((suspect.recorded.destroyed(), suspect.guessed_before), (1, true));
    assert_eq!(suspect.kind, ActorKind::Machine);
}

#[test]
fn an_audit_log_that_names_two_gives_each_their_own() {
    let mut watcher = watcher();
    observe(&mut watcher, &mail(0, Verb::Trash, 100));
    for n in 0..90 {
        observe(&mut watcher, &logged(n * SECOND / 2, "1.apps", Verb::Trash, 1));
    }
    for n in 0..10 {
        observe(&mut watcher, &logged(n * SECOND / 2, "2.apps", Verb::Trash, 1));
    }
    let incident = watcher.incident(1).unwrap();
    let told: Vec<_> = incident
        .suspects
        .iter()
        .map(|s| {
            (
                s.actor.as_ref().unwrap().client.as_deref().unwrap(),
                s.effects.destroyed(),
                s.assumed.destroyed(),
            )
        })
        .collect();
    assert_eq!(told, [("1.apps", 90, 0), ("2.apps", 10, 0)]);
    assert_eq!((incident.destroyed(), watcher.incidents().count()), (100, 1));
}

#[test]
fn an_audit_log_of_another_time_or_mailbox_is_another_story() {
    let mut watcher = watcher();
    observe(&mut watcher, &mail(0, Verb::Trash, 100));
    observe(&mut watcher, &logged(-HOUR, "1.apps", Verb::Trash, 1));
    observe(
        &mut watcher,
        &logged(0, "1.apps", Verb::Trash, 1).scope("token/ben").by("ben", Attribution::Recorded),
    );
    let incident = watcher.incident(1).unwrap();
    assert!(incident.suspects.iter().all(|suspect| suspect.actor.is_none()));
}

#[test]
fn two_incidents_that_were_one_actor_become_one() {
    let mut watcher = watcher();
    let first = rows(0, Verb::Truncate, 1).named("7");
    let second = seen("shop", SECOND, Verb::Truncate, "stock.public.parts", 1).named("8").stage(Stage::Done);
    observe_all(&mut watcher, &[first.clone(), second.clone()]);
    assert_eq!(watcher.incidents().count(), 2);
    let told = |seen: Seen| seen.by("agent", Attribution::Witnessed).stage(Stage::Told).late(60 * SECOND);
    observe_all(&mut watcher, &[told(first), told(second)]);
    let (whole, part) = (watcher.incident(1).unwrap(), watcher.incident(2).unwrap());
    assert_eq!((whole.destroyed(), whole.suspects.len(), whole.deeds.len()), (2, 1, 2));
    assert_eq!(whole.merged, [2]);
    assert_eq!((part.merged_into, part.is_closed(), part.growing), (Some(1), true, false));
}

#[test]
fn a_log_that_comes_before_the_feed_leaves_nothing_assumed() {
    let mut watcher = watcher();
    for n in 0..20 {
        observe(&mut watcher, &logged(n * SECOND / 2, "1.apps", Verb::Trash, 1).late(SECOND * 10));
    }
    observe(&mut watcher, &mail(30 * SECOND, Verb::Trash, 25));
    let incident = watcher.incident(1).unwrap();
    assert_eq!((incident.destroyed(), incident.suspects.len()), (25, 1));
    let suspect = &incident.suspects[0];
    assert_eq!((suspect.effects.destroyed(), suspect.assumed.destroyed()), (25, 5));
}

#[test]
fn who_it_was_becomes_known_after_a_restart_as_well() {
    let mut before = watcher();
    let done = rows(0, Verb::Delete, 5000).named("7").severity(Severity::Destructive);
    observe(&mut before, &done);
    let mut after = going_on(before.incidents().cloned().collect());
    let told = done.by("agent", Attribution::Witnessed).stage(Stage::Told).late(60 * SECOND);
    let news = observe(&mut after, &told);
    assert_eq!((opened(&news), contained(&news).len()), (0, 1));
    let incident = after.incident(1).unwrap();
    assert_eq!((incident.destroyed(), incident.suspects.len()), (5000, 1));
    assert_eq!(incident.suspects[0].actor.as_ref().unwrap().identity, "agent");
}

#[test]
fn an_open_transaction_goes_on_after_a_restart() {
    let mut before = watcher();
    let open = |at, count| rows(at, Verb::Delete, count).named("7").stage(Stage::Underway);
    observe(&mut before, &open(0, 2000));
    let mut after = going_on(before.incidents().cloned().collect());
    let news = observe(&mut after, &open(SECOND, 3000));
    assert!(opened(&news) == 0 && contained(&news).is_empty(), "{news:?}");
    observe(&mut after, &open(2 * SECOND, 3500).stage(Stage::Done));
    let touched = &after.incident(1).unwrap().touched[&name("shop")];
    assert_eq!((touched.effects.destroyed(), touched.underway.destroyed()), (3500, 0));
}
