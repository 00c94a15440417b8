//! Measures how soon an alarm follows what is visible in a feed, while many other events pass.
//!
//! `alarm [--per-second 2000] [--wipes 200]` writes JSON to standard output. The whole watch of an installation runs: rules,
//! incidents on disk, holds and records in a vault; only the sources are made up.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement that goes wrong should stop, and says what it measured"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use model::{Actor, Attribution, Effect, Event, Severity, SourceName, Stage, Verb};
use ports::{Clock, SystemClock, SystemRandom};
use serde_json::json;
use service::{
    Installation,
    installation::{InitRequest, Ports},
    watching::{Watch, Watched},
};
use watch::SourceKind;

/// So many losses in one place are an alarm where nobody is known.
const LOSSES: u64 = 20;

fn option(name: &str, usual: u64) -> u64 {
    let arguments: Vec<String> = std::env::args().collect();
    let place = arguments.iter().position(|argument| argument == name);
    place.map_or(usual, |place| arguments[place + 1].parse().unwrap())
}

fn event(clock: &SystemClock, number: u64, scope: &str, verb: Verb, who: Option<&str>) -> Event {
    Event {
        at: clock.now(),
        position: format!("gmail/{number:020}"),
        transaction: format!("history {number}"),
        scope: scope.to_owned(),
        effects: vec![Effect { verb, target: scope.to_owned(), count: 1 }],
        severity: Severity::Routine,
        actor: who.map(|name| Actor { identity: name.to_owned(), ..Actor::default() }),
        attribution: if who.is_some() { Attribution::Recorded } else { Attribution::Unknown },
        statement: None,
    }
}

fn main() {
    let (per_second, wipes) = (option("--per-second", 2000), option("--wipes", 200));
    let folder = tempfile::tempdir().unwrap();
    let clock = SystemClock::new();
    let ports =
        Ports { clock: Arc::new(clock), random: Arc::new(SystemRandom), tracing: ports::Tracing::default() };
    let place = service::Place::Folder { path: "vault".into(), immutable_flags: false };
    Installation::init(folder.path(), &InitRequest { place, lock_days: 1 }, &ports, &|_| None).unwrap();
    let installation = Installation::open(folder.path(), ports).unwrap();
    let acme = SourceName::new("acme").unwrap();
    let watched =
        Watched { kinds: BTreeMap::from([(acme.clone(), SourceKind::Items)]), ..Watched::default() };
    let (sender, told) = mpsc::channel();
    let sender = Mutex::new(sender);
    let tell = Arc::new(move |line: String| {
        if line.starts_with("ALARM") {
            sender.lock().unwrap().send((clock.elapsed(), line)).unwrap();
        }
    });
    let watch = Watch::start(&installation, &|_| None, watched, tell).unwrap();
    let observer = watch.observer();

    let mut visible: BTreeMap<String, Duration> = BTreeMap::new();
    let begun = clock.elapsed();
    let spacing = per_second.max(LOSSES);
    for number in 0..per_second * wipes / 10 {
        let due = begun + Duration::from_secs(number) / u32::try_from(per_second).unwrap();
        clock.sleep(due.saturating_sub(clock.elapsed()));
        // Ten wipes in a second, each in a mailbox of its own, within what everybody else does.
        let place = number % (spacing / 10);
        let wipe = number / (spacing / 10);
        if place < LOSSES {
            let scope = format!("user-{wipe:05}@acme.test");
            observer.observe(&acme, Stage::Told, &event(&clock, number, &scope, Verb::Trash, None));
            visible.insert(scope, clock.elapsed());
        } else {
            let who = format!("user-{:05}@acme.test", number % 500);
            observer.observe(&acme, Stage::Told, &event(&clock, number, &who, Verb::Insert, Some(&who)));
        }
    }
    let passed = clock.elapsed().saturating_sub(begun);
    clock.sleep(Duration::from_secs(5));
    drop(watch);
    let mut delays: Vec<f64> = Vec::new();
    let mut found = BTreeSet::new();
    for (at, line) in told.try_iter() {
        let Some((scope, visible)) = visible.iter().find(|(scope, _)| line.contains(scope.as_str())) else {
            continue;
        };
        found.insert(scope.clone());
        delays.push(at.saturating_sub(*visible).as_secs_f64() * 1000.0);
    }
    delays.sort_by(f64::total_cmp);
    let at = |share: f64| delays.get(((delays.len() as f64 * share) as usize).min(delays.len() - 1)).copied();
    let result = json!({
        "events_per_second": per_second,
        "events": per_second * wipes / 10,
        "seconds": passed.as_secs_f64(),
        "wipes": visible.len(),
        "alarms": found.len(),
        "alarm_after_ms": { "p50": at(0.5), "p95": at(0.95), "p99": at(0.99), "largest": delays.last() },
    });
    println!("{}", serde_json::to_string_pretty(&result).unwrap());
}
