//! What can happen in the world, drawn from a seed.

use std::fmt;

use blobs::{Deed, Fault};
use model::{SourceName, StreamName};
use ports::SeededRandom;
use vault::verify::Depth;

use crate::{
    bytes::CONTENTS,
    clock::{ClockEvent, DAY, HOUR},
    reference::Change,
};

/// How many hosts capture.
pub const HOSTS: usize = 2;

/// One thing that happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// A host commits.
    Commit(Commit),
    /// A host begins a commit; before it ends, another host commits to the same source.
    Race(Commit, Commit),
    /// Somebody restores one version that is promised.
    Restore {
        /// Which one, counted round.
        pick: u64,
        /// What goes wrong.
        trouble: Option<Trouble>,
    },
    /// Somebody checks the vault.
    Verify {
        /// How deep.
        depth: Depth,
        /// What goes wrong.
        trouble: Option<Trouble>,
    },
    /// Somebody with the store's credentials, or with the capture key, does harm.
    Rogue(Rogue),
    /// Something happens to a host's clock.
    Clock {
        /// Which host; the one after the last is the keeper.
        host: usize,
        /// What.
        event: ClockEvent,
    },
    /// Time passes; locks are renewed day by day.
    Pass {
        /// How long.
        micros: i64,
        /// What goes wrong with the first renewal.
        trouble: Option<Trouble>,
    },
    /// The capturing process of a host dies and starts anew.
    Restart {
        /// Which host.
        host: usize,
        /// Whether its memory of known chunks is lost.
        forget: bool,
    },
    /// A person lengthens the retention.
    Lengthen {
        /// To so many days.
        days: u32,
    },
    /// The keeper lets the windows of what nobody needs run out.
    Release {
        /// What goes wrong.
        trouble: Option<Trouble>,
    },
    /// The keeper removes what has lapsed.
    Reap {
        /// What goes wrong.
        trouble: Option<Trouble>,
        /// A commit that ends just before the first removal.
        racing: Option<Commit>,
    },
    /// People end a freeze, and confirm that sources have really changed that much.
    Agree,
    /// The mirror copies what it lacks.
    Mirror {
        /// Where something goes wrong.
        side: MirrorSide,
        /// What goes wrong.
        trouble: Option<Trouble>,
    },
}

/// One of the two stores of a mirror.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MirrorSide {
    /// Where the vault is written.
    Origin,
    /// Where its mirror lies.
    Mirror,
}

/// One commit to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// By which host.
    pub host: usize,
    /// Of which source.
    pub source: SourceName,
    /// Its changes.
    pub changes: Vec<Change>,
    /// Whether known chunks are looked up.
    pub look_up: bool,
    /// What goes wrong.
    pub trouble: Option<Trouble>,
}

/// A fault of the store at a chosen call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trouble {
    /// At which call.
    pub call: u64,
    /// What.
    pub fault: Fault,
    /// Whether all later calls fail too, as when the process dies.
    pub lasting: bool,
}

/// What somebody does who means harm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rogue {
    /// Tries this on every object there is.
    Everywhere(Deed),
    /// Puts bytes under a name that the vault may want.
    Plant(Plant),
    /// Commits with the capture key that everything is gone.
    Shrink {
        /// Of which source.
        source: SourceName,
    },
    /// Releases everything with the restore key, so many days ago.
    Release {
        /// How many days.
        days: i64,
    },
    /// Commits with the capture key and a clock that is so far off.
    Misdate {
        /// Of which source.
        source: SourceName,
        /// By how much.
        micros: i64,
    },
}

/// Where bytes are put that no vault wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plant {
    /// Under the name of the next commit.
    NextCommit(SourceName),
    /// As a pack.
    Pack,
    /// As further wrapped keys.
    Keys,
    /// As a source that nobody added.
    Source,
    /// As the next entry of the log of retention.
    Retention,
}

/// Draws what happens at a step: it depends on the seed and on the step alone, so that a run can be shortened.
pub fn draw(seed: u64, step: u64) -> Action {
    let random = &SeededRandom::new(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (step << 20));
    random.next_u64();
    match random.below(100) {
        0..=30 => Action::Commit(draw_commit(random)),
        31..=34 => {
            let side = if random.below(2) == 0 { MirrorSide::Origin } else { MirrorSide::Mirror };
            Action::Mirror { side, trouble: draw_trouble(random, 2, 80) }
        }
        35..=37 => Action::Release { trouble: draw_trouble(random, 3, 40) },
        38..=41 => {
            let racing = (random.below(2) == 0).then(|| Commit {
                trouble: None,
                look_up: true,
                ..draw_commit(random)
            });
            Action::Reap { trouble: draw_trouble(random, 3, 40), racing }
        }
        42 => Action::Agree,
        43..=44 => {
            let first = Commit { host: 0, ..draw_commit(random) };
            let second =
                Commit { host: 1, source: first.source.clone(), trouble: None, ..draw_commit(random) };
            Action::Race(first, second)
        }
        45..=56 => Action::Restore { pick: random.next_u64(), trouble: draw_trouble(random, 2, 12) },
        57..=61 => {
            let depth = if random.below(2) == 0 { Depth::Structure } else { Depth::ReadData };
            Action::Verify { depth, trouble: draw_trouble(random, 2, 60) }
        }
        62..=72 => Action::Rogue(draw_rogue(random)),
        73..=80 => {
            Action::Clock { host: random.below(HOSTS as u64 + 1) as usize, event: draw_clock_event(random) }
        }
        81..=94 => {
            let micros = match random.below(3) {
                0 => random.below(60) as i64 * 60_000_000,
                1 => random.below(24) as i64 * HOUR,
                _ => random.below(25) as i64 * DAY,
            };
            Action::Pass { micros, trouble: draw_trouble(random, 3, 30) }
        }
        95..=98 => {
            Action::Restart { host: random.below(HOSTS as u64) as usize, forget: random.below(2) == 0 }
        }
        _ => Action::Lengthen { days: 3 + random.below(8) as u32 },
    }
}

fn draw_source(random: &SeededRandom) -> SourceName {
    name(["shop", "mail", "site-2"][random.below(3) as usize])
}

fn draw_commit(random: &SeededRandom) -> Commit {
    let count = random.below(8);
    Commit {
        host: random.below(HOSTS as u64) as usize,
        source: draw_source(random),
        changes: (0..count).map(|_| draw_change(random)).collect(),
        look_up: random.below(4) > 0,
        trouble: draw_trouble(random, 2, 13),
    }
}

fn draw_change(random: &SeededRandom) -> Change {
    let stream = stream(["base", "wal/1"][random.below(2) as usize]);
    let key = format!("item-{}", random.below(9));
    match random.below(10) {
        0 => Change::Removed { stream, key },
        1 => Change::Unreadable { stream, key },
        _ => Change::Upsert { stream, key, content: random.below(CONTENTS) },
    }
}

/// In one of `one_in` cases something goes wrong within the first `calls` calls.
fn draw_trouble(random: &SeededRandom, one_in: u64, calls: u64) -> Option<Trouble> {
    let wanted = random.below(one_in) == 0;
    let trouble = Trouble {
        call: 1 + random.below(calls),
        fault: Fault::ALL[random.below(Fault::ALL.len() as u64) as usize],
        lasting: random.below(2) == 0,
    };
    wanted.then_some(trouble)
}

fn draw_rogue(random: &SeededRandom) -> Rogue {
    let source = draw_source(random);
    match random.below(10) {
        0 | 1 => Rogue::Everywhere(Deed::Delete),
        2 => Rogue::Everywhere(Deed::Hide),
        3 => Rogue::Everywhere(Deed::Overwrite),
        4 => Rogue::Everywhere(Deed::Shorten),
        5 => Rogue::Plant(match random.below(8) {
            0 => Plant::NextCommit(source),
            1..=3 => Plant::Pack,
            4 => Plant::Keys,
            5 | 6 => Plant::Retention,
            _ => Plant::Source,
        }),
        6 | 7 => Rogue::Shrink { source },
        8 => Rogue::Release { days: random.below(200) as i64 },
        _ => {
            let days = [-4000, -40, 20, 4000][random.below(4) as usize];
            Rogue::Misdate { source, micros: days * DAY }
        }
    }
}

fn draw_clock_event(random: &SeededRandom) -> ClockEvent {
    let far = [-40 * DAY, -3 * DAY, -HOUR, HOUR, 3 * DAY, 40 * DAY][random.below(6) as usize];
    match random.below(6) {
        0 => ClockEvent::Jump(far),
        1 => ClockEvent::Drift(random.below(2000) as i64 - 1000),
        2 => ClockEvent::Stop,
        3 => ClockEvent::Boot(far),
        _ => ClockEvent::Repair,
    }
}

#[expect(clippy::expect_used, reason = "the names are written in this file")]
fn name(text: &str) -> SourceName {
    SourceName::new(text).expect("a source name")
}

#[expect(clippy::expect_used, reason = "the names are written in this file")]
fn stream(text: &str) -> StreamName {
    StreamName::new(text).expect("a stream name")
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Commit(commit) => write!(f, "commit {commit}"),
            Self::Race(first, second) => write!(f, "race {first} against {second}"),
            Self::Restore { trouble, .. } => write!(f, "restore{}", show(*trouble)),
            Self::Verify { depth, trouble } => write!(f, "verify {depth:?}{}", show(*trouble)),
            Self::Rogue(rogue) => write!(f, "rogue {rogue:?}"),
            Self::Clock { host, event } => write!(f, "clock of host {host}: {event:?}"),
            Self::Pass { micros, trouble } => {
                write!(f, "{} hours pass{}", micros / HOUR, show(*trouble))
            }
            Self::Restart { host, forget } => write!(f, "restart host {host}, forget {forget}"),
            Self::Lengthen { days } => write!(f, "lengthen to {days} days"),
            Self::Release { trouble } => write!(f, "release{}", show(*trouble)),
            Self::Reap { trouble, racing: None } => write!(f, "reap{}", show(*trouble)),
            Self::Reap { trouble, racing: Some(commit) } => {
                write!(f, "reap{} against commit {commit}", show(*trouble))
            }
            Self::Agree => write!(f, "people agree"),
            Self::Mirror { side, trouble } => write!(f, "mirror, {side:?} troubled{}", show(*trouble)),
        }
    }
}

impl fmt::Display for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, source, changes, look_up, trouble } = self;
        write!(f, "{source} by host {host}, {} changes, look up {look_up}{}", changes.len(), show(*trouble))
    }
}

fn show(trouble: Option<Trouble>) -> String {
    trouble.map_or_else(String::new, |Trouble { call, fault, lasting }| {
        format!(", {fault:?} {} call {call}", if lasting { "from" } else { "at" })
    })
}
