//! Wipes that happened elsewhere, or could, from the first deed to the name of whoever did it.

use super::*;
use crate::policy::{Decision, Policy};

/// Trash that a feed sees each three seconds, and a log names an hour later.
fn emptied(watcher: &mut Watcher, per_look: u64, looks: i64, actor: &Actor) -> (Vec<News>, u64) {
    let (mut news, mut before_alarm) = (Vec::new(), 0);
    for look in 0..looks {
        news.extend(observe(watcher, &mail(look * 3 * SECOND, Verb::Trash, per_look)));
        if opened(&news) == 0 {
            before_alarm += per_look;
        }
    }
    for n in 0..looks * per_look as i64 {
        let at = n * 3 * SECOND / per_look as i64;
        let mut told = mail(at, Verb::Trash, 1)
            .scope("gmail/anna@acme.test")
            .by("", Attribution::Recorded)
            .named(&format!("g{n}"))
            .late(HOUR);
        told.0.event.actor = Some(actor.clone());
        news.extend(observe(watcher, &told));
    }
    (news, before_alarm)
}

#[test]
fn an_agent_that_empties_an_inbox_is_found_after_twenty_and_named_by_the_log() {
    let claw = Actor {
        identity: "anna@acme.test".to_owned(),
        application: Some("OpenClaw".to_owned()),
        client: Some("1.apps".to_owned()),
        ..Actor::default()
    };
    let mut watcher = watcher();
    let (news, before) = emptied(&mut watcher, 15, 20, &claw);
    assert!(before <= 20, "{before} went before the alarm");
    assert_eq!((opened(&news), watcher.incidents().count()), (1, 1));
    let incident = watcher.incident(1).unwrap();
    assert_eq!(incident.suspects.len(), 1);
    let suspect = &incident.suspects[0];
    assert_eq!((suspect.kind, suspect.attribution), (ActorKind::Agent, Attribution::Recorded));
    assert_eq!(
        (incident.destroyed(), suspect.effects.destroyed(), suspect.assumed.destroyed()),
        (300, 300, 0)
    );
    let asked = contained(&news);
    assert_eq!(asked.len(), 2, "once for nobody, once by name");
    assert_eq!(asked[1].actor.as_ref(), Some(&claw));
}

#[test]
fn a_person_who_cleans_up_unannounced_is_one_alarm_and_never_stopped_by_itself() {
    let anna = Actor { identity: "anna@acme.test".to_owned(), ..Actor::default() };
    let mut watcher = watcher();
    let (news, _) = emptied(&mut watcher, 5, 600, &anna);
    assert_eq!((opened(&news), watcher.incidents().count()), (1, 1));
    let incident = watcher.incident(1).unwrap();
    let suspect = &incident.suspects[0];
    assert_eq!((incident.destroyed(), suspect.kind), (3000, ActorKind::Person));
    let policy: Policy = toml::from_str("mode = \"automatic\"\nsubjects = [\"*\"]").unwrap();
    let action = crate::containment::Action {
        kind: crate::containment::ActionKind::SuspendAccount,
        source: name("acme"),
        subject: anna.identity,
        title: "suspend anna".to_owned(),
        details: serde_json::Value::Null,
    };
    let decision = policy.decide(&action, suspect.attribution, suspect.kind, &[], &[], incident.opened_at);
    assert!(matches!(decision, Decision::AskPerson { .. }));
}

#[test]
fn a_loop_of_small_transactions_loses_two_hundred_rows_before_the_alarm() {
    let mut watcher = watcher();
    let all = (0..200_000).map(|n| rows(n * 200, Verb::Delete, 1));
    let lost = all.take_while(|seen| opened(&observe(&mut watcher, seen)) == 0).count();
    assert_eq!(lost, 199);
}

#[test]
fn what_an_agent_invents_after_a_wipe_is_part_of_the_incident() {
    let mut watcher = watcher();
    let agent = |seen: Seen| seen.by("agent", Attribution::Witnessed);
    let wipe = agent(rows(0, Verb::Delete, 1206).named("7").severity(Severity::Destructive));
    observe(&mut watcher, &wipe);
    let invented = agent(rows(60 * SECOND, Verb::Insert, 4000).named("8").target("shop.public.users"));
    observe(&mut watcher, &invented);
    let app = rows(61 * SECOND, Verb::Insert, 3).named("9").by("app", Attribution::Witnessed);
    observe(&mut watcher, &app);
    let incident = watcher.incident(1).unwrap();
    assert_eq!(incident.suspects.len(), 1);
    let effects = &incident.suspects[0].effects;
    assert_eq!((effects.count(Verb::Delete), effects.count(Verb::Insert)), (1206, 4000));
    let transactions: Vec<&str> = incident.deeds.iter().map(|deed| deed.transaction.as_str()).collect();
    assert_eq!(transactions, ["7", "8"]);
}

#[test]
fn more_actors_than_are_told_apart_are_nobody_in_particular() {
    let mut watcher = watcher();
    observe(&mut watcher, &rows(0, Verb::Truncate, 1).named("first"));
    for n in 0..80 {
        let done = rows(SECOND + n, Verb::Delete, 1).named(&n.to_string());
        observe(&mut watcher, &done);
        let who = format!("role{n}");
        observe(&mut watcher, &done.by(&who, Attribution::Witnessed).stage(Stage::Told).late(2 * SECOND));
    }
    let incident = watcher.incident(1).unwrap();
    assert!(incident.suspects.len() <= 51);
    assert_eq!(incident.destroyed(), 81);
    let of_known = incident.suspects.iter().filter(|suspect| suspect.actor.is_some());
    assert!(of_known.clone().all(|suspect| suspect.effects.destroyed() == 1), "nobody gets what others did");
    assert_eq!(incident.suspects.iter().map(|suspect| suspect.effects.destroyed()).sum::<u64>(), 81);
}
