//! How many observations a second are taken in: `cargo run --release -p watch --example throughput`.

#![expect(clippy::print_stdout, reason = "it prints what it measured")]
#![expect(clippy::disallowed_methods, reason = "it measures the time that passes")]

use std::time::Instant;

use model::{Actor, Attribution, Effect, Event, Moment, Severity, SourceName, Stage, Verb};
use watch::{ActorKinds, Observation, Reach, Rules, SourceKind, Watcher};

const OBSERVATIONS: u64 = 300_000;

struct Million;

impl Reach for Million {
    fn items(&self, _: &SourceName, _: &str) -> Option<u64> {
        Some(1_000_000)
    }
}

/// Work of many hands: each thousandth of a second one of them does something.
fn observation(source: &SourceName, number: u64, deleting: u64) -> Observation {
    let at = Moment::from_micros(1_800_000_000_000_000 + number as i64 * 1000);
    let verb = match number % 100 {
        part if part < deleting => Verb::Delete,
        part if part % 2 == 0 => Verb::Insert,
        _ => Verb::Update,
    };
    let target = format!("shop.public.table{}", number % 20);
    let actor = Actor {
        identity: format!("role{}", number % 50),
        application: Some("api".to_owned()),
        ..Actor::default()
    };
    Observation {
        source: source.clone(),
        stage: Stage::Done,
        event: Event {
            at,
            position: format!("{number:016X}"),
            transaction: number.to_string(),
            scope: "shop".to_owned(),
            effects: vec![Effect { verb, target, count: 1 }],
            severity: Severity::Routine,
            actor: (!number.is_multiple_of(3)).then_some(actor),
            attribution: Attribution::Sampled,
            statement: None,
        },
        seen_at: at,
    }
}

fn measure(what: &str, deleting: u64) -> Result<(), model::NameError> {
    let source = SourceName::new("shop")?;
    let all: Vec<Observation> =
        (0..OBSERVATIONS).map(|number| observation(&source, number, deleting)).collect();
    let mut watcher = Watcher::new(Rules::standard(), ActorKinds::default(), Vec::new());
    watcher.set_kind(source, SourceKind::Rows);
    let begun = Instant::now();
    let news: usize = all.iter().map(|observation| watcher.observe(observation, &Million, &[]).len()).sum();
    let seconds = begun.elapsed().as_secs_f64();
    let incidents = watcher.incidents().count();
    println!(
        "{what}: {:.0} observations/s, {incidents} incidents, {news} news",
        OBSERVATIONS as f64 / seconds
    );
    Ok(())
}

fn main() -> Result<(), model::NameError> {
    measure("daily work", 5)?;
    measure("a wipe", 95)
}
