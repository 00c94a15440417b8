//! What holds whatever is observed.

use proptest::prelude::*;

use super::*;

fn any_seen() -> impl Strategy<Value = Seen> {
    let verbs = prop::sample::select(vec![
        Verb::Delete,
        Verb::Trash,
        Verb::Truncate,
        Verb::Update,
        Verb::Insert,
        Verb::Read,
        Verb::Encrypt,
    ]);
    let who = prop::option::of(prop::sample::select(vec!["agent", "dba", "batch", "app"]));
    let attribution = prop::sample::select(vec![
        Attribution::Witnessed,
        Attribution::Recorded,
        Attribution::Sampled,
        Attribution::Inferred,
    ]);
    let stage = prop::sample::select(vec![Stage::Underway, Stage::Done, Stage::Told]);
    let shape = (0..2000_u64, 0..40_u32, any::<bool>(), 0..3_u8);
    (verbs, who, attribution, stage, shape).prop_map(
        |(verb, who, attribution, stage, (count, transaction, database, place))| {
            let seen = if database {
                rows(0, verb, count).named(&format!("t{transaction}")).stage(stage)
            } else {
                mail(0, verb, count / 20).named(&format!("m{transaction}"))
            };
            let seen = if place == 0 { seen.scope("elsewhere") } else { seen };
            match who {
                Some(who) => seen.by(who, attribution),
                None => seen,
            }
        },
    )
}

/// Observations in the order of time.
fn histories() -> impl Strategy<Value = Vec<Seen>> {
    prop::collection::vec((any_seen(), 0..40_i64), 1..60).prop_map(|all| {
        let mut at = 0;
        let one = |(seen, step): (Seen, i64)| {
            at += step * step * SECOND;
            let Seen(mut observation) = seen;
            observation.event.at = Moment::from_micros(START + at);
            observation.seen_at = observation.event.at;
            observation.event.position = format!("{:016X}", START + at);
            Seen(observation)
        };
        all.into_iter().map(one).collect()
    })
}

fn stored(watcher: &Watcher) -> Vec<String> {
    watcher.incidents().map(|incident| serde_json::to_string(incident).unwrap()).collect()
}

/// How much was destroyed in all incidents; what is part of another one is in that.
fn sum(watcher: &Watcher) -> u64 {
    let whole = watcher.incidents().filter(|incident| incident.merged_into.is_none());
    whole.map(Incident::destroyed).sum()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_same_observations_make_the_same_incidents(history in histories()) {
        let (mut one, mut other) = (watcher(), watcher());
        prop_assert_eq!(observe_all(&mut one, &history), observe_all(&mut other, &history));
        prop_assert_eq!(stored(&one), stored(&other));
    }

    #[test]
    fn what_is_told_twice_changes_nothing(history in histories()) {
        let twice: Vec<Seen> = history.iter().flat_map(|seen| [seen.clone(), seen.clone()]).collect();
        let (mut one, mut other) = (watcher(), watcher());
        observe_all(&mut one, &history);
        observe_all(&mut other, &twice);
        prop_assert_eq!(stored(&one), stored(&other));
    }

    #[test]
    fn incidents_are_read_as_they_were_written(history in histories()) {
        let mut watcher = watcher();
        observe_all(&mut watcher, &history);
        for incident in watcher.incidents() {
            let text = serde_json::to_string(incident).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Incident>(&text).unwrap(), incident);
        }
        let memory = serde_json::to_string(watcher.memory()).unwrap();
        prop_assert!(serde_json::from_str::<crate::Memory>(&memory).is_ok());
    }

    #[test]
    fn a_restart_loses_no_incident_and_counts_nothing_twice(history in histories(), at in 0..60_usize) {
        let at = at.min(history.len());
        let mut before = watcher();
        observe_all(&mut before, &history[..at]);
        let kept: Vec<Incident> = before.incidents().cloned().collect();
        let mut after = going_on(kept.clone());
        for incident in &kept {
            prop_assert_eq!(after.incident(incident.id), Some(incident));
        }
        // What was told just before is told again.
        let again: Vec<Seen> = history[..at].iter().filter(|seen| seen.0.stage == Stage::Done).cloned().collect();
        observe_all(&mut after, &history[at..]);
        for incident in kept {
            prop_assert!(after.incident(incident.id).is_some());
        }
        for seen in again {
            let known = before.incidents().flat_map(|incident| &incident.deeds)
                .any(|deed| deed.transaction == seen.0.event.transaction && deed.stage != Stage::Underway);
            if known {
                let mut repeated = going_on(before.incidents().cloned().collect());
                let was = sum(&repeated);
                observe(&mut repeated, &seen);
                prop_assert_eq!(sum(&repeated), was);
            }
        }
    }

    #[test]
    fn sums_are_those_of_the_suspects(history in histories()) {
        let mut watcher = watcher();
        observe_all(&mut watcher, &history);
        for incident in watcher.incidents().filter(|incident| incident.merged_into.is_none()) {
            let here: u64 = incident.touched.values().map(|t| t.underway.destroyed() + t.given_up.destroyed()).sum();
            let theirs: u64 =
                incident.suspects.iter().map(|s| s.underway.destroyed() + s.given_up.destroyed()).sum();
            prop_assert_eq!(here, theirs);
            let here: u64 = incident.touched.values().map(|t| t.effects.destroyed()).sum();
            let theirs: u64 = incident.suspects.iter().map(|s| s.effects.destroyed()).sum();
            prop_assert_eq!(here, theirs);
        }
    }

    #[test]
    fn whatever_order_it_is_told_in_it_is_counted_once(counts in prop::collection::vec(100..2000_u64, 1..20), swaps in any::<u64>()) {
        let done: Vec<Seen> = counts.iter().enumerate()
            .map(|(n, count)| rows(n as i64 * SECOND, Verb::Delete, *count).named(&n.to_string())
                .severity(Severity::Destructive))
            .collect();
        let told = done.iter().map(|seen| {
            let told = seen.clone().stage(Stage::Told).by("agent", Attribution::Sampled);
            Seen(Observation { seen_at: Moment::from_micros(START + 60 * SECOND), ..told.0 })
        });
        let (mut in_order, mut mixed) = (watcher(), watcher());
        observe_all(&mut in_order, &done);
        let mut order: Vec<(u64, Seen)> = told.enumerate()
            .map(|(n, seen)| (swaps.rotate_left(n as u32 * 7) % 97, seen)).collect();
        observe_all(&mut mixed, &done);
        order.sort_by_key(|(place, _)| *place);
        for (_, seen) in &order {
            observe(&mut mixed, seen);
        }
        prop_assert_eq!(sum(&in_order), counts.iter().sum::<u64>());
        prop_assert_eq!(sum(&mixed), sum(&in_order));
    }
}

#[test]
fn a_flood_of_actors_and_transactions_fills_no_memory() {
    let mut watcher = watcher();
    for n in 0..60_000_i64 {
        let who = format!("user{n}");
        let seen = mail(n * 1000, if n % 2 == 0 { Verb::Trash } else { Verb::Read }, 1)
            .by(&who, Attribution::Recorded)
            .scope(&format!("drive/{who}"));
        observe(&mut watcher, &seen);
    }
    assert!(watcher.memory().counters() <= 140_000);
    assert!(watcher.ledger.len() <= 2 * crate::ledger::ENTRIES_MAX);
    assert_eq!(watcher.incidents().count(), 0);
}
