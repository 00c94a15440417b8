//! Random histories: commits, time, renewals, releases, reapings, clocks that jump, and stores that fail half way.
//! After every step, every version that was live at any time in the last window can be read.

use std::collections::BTreeMap;

use ports::SeededRandom;
use proptest::prelude::*;
use vault::{Change, Content, reap::ReaperMemory, retention::DAY_MICROS};

use super::scene::{Scene, WINDOW_DAYS};
use crate::support::shop;

/// A version with the stretch of true time in which it was live.
struct Version {
    byte: u8,
    until_day: Option<i64>,
}

#[derive(Default)]
struct Truth {
    day: i64,
    versions: BTreeMap<String, Vec<Version>>,
    reaped: usize,
}

impl Truth {
    fn replace(&mut self, key: &str, byte: Option<u8>) {
        let day = self.day;
        let versions = self.versions.entry(key.to_owned()).or_default();
        if let Some(last) = versions.last_mut() {
            last.until_day.get_or_insert(day);
        }
        versions.extend(byte.map(|byte| Version { byte, until_day: None }));
    }

    /// Reads every version of the window, as the log of commits lists them.
    fn check(&self, scene: &Scene) {
        let reader = scene.world.reader();
        let mut stored: BTreeMap<String, Vec<Content>> = BTreeMap::new();
        for commit in reader.vault().commits(&shop()).unwrap() {
            for change in reader.body(&commit.unwrap()).unwrap().changes {
                if let Change::Upsert { item, content } = change {
                    stored.entry(item.key).or_default().push(content);
                }
            }
        }
        for (key, versions) in &self.versions {
            for (version, content) in versions.iter().zip(&stored[key]) {
                let due = version.until_day.is_none_or(|until| until + i64::from(WINDOW_DAYS) > self.day);
                if due {
                    let bytes = reader.read_all(content).unwrap_or_else(|error| {
                        panic!("{key} {} is lost on day {}: {error}", version.byte, self.day)
                    });
                    assert!(bytes.iter().all(|byte| *byte == version.byte));
                }
            }
        }
    }
}

fn step(scene: &Scene, truth: &mut Truth, memory: &mut ReaperMemory, chance: &SeededRandom) {
    match chance.below(12) {
        0..=3 => {
            let key = format!("key-{}", chance.below(4));
            let byte = (chance.below(5) > 0).then(|| chance.below(250) as u8);
            let live = truth.versions.get(&key).and_then(|v| v.last()).is_some_and(|v| v.until_day.is_none());
            if byte.is_some() || live {
                scene.commit(&[(&key, byte)]);
                truth.replace(&key, byte);
            }
        }
        4..=6 => {
            let days = 1 + chance.below(20) as i64;
            for _ in 0..days {
                scene.pass_days(1);
                truth.day += 1;
                // Renewal runs daily; sometimes nobody renews for a few days, within the margin.
                if chance.below(3) > 0 {
                    scene.renew();
                }
            }
            scene.renew();
        }
        7 | 8 => drop(scene.release()),
        9 | 10 => {
            if let Ok(report) = scene.reap(memory) {
                truth.reaped += report.reaped.len();
            }
        }
        // Somebody sets the clock, and sets it back; retention may look in between.
        _ => {
            let jump = [-400, -3, 1, 40, 4000][chance.below(5) as usize] * DAY_MICROS;
            scene.world.clock.jump_micros(jump);
            drop(scene.release());
            drop(scene.reap(memory));
            scene.world.clock.jump_micros(-jump);
            if chance.below(3) > 0 {
                scene.thaw();
            }
        }
    }
}

fn history(seed: u64, steps: u64) -> usize {
    let scene = Scene::new(seed);
    let (mut truth, mut memory) = (Truth::default(), ReaperMemory::in_memory());
    let chance = SeededRandom::new(seed ^ 0xFEED);
    for _ in 0..steps {
        step(&scene, &mut truth, &mut memory, &chance);
        truth.check(&scene);
    }
    truth.reaped
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10, ..ProptestConfig::default() })]

    #[test]
    fn no_history_loses_what_is_inside_its_window(seed: u64) {
        history(seed, 40);
    }
}

#[test]
fn histories_do_reap() {
    let reaped: usize = (0..2).map(|seed| history(seed, 60)).sum();
    assert!(reaped > 0, "histories in which nothing ever lapses prove little");
}
