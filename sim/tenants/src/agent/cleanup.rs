//! A person who tidies up: thousands of files of their own go into the trash, as was announced. It looks like a wipe and
//! is none.

use std::time::Duration;

use model::Moment;
use ports::Clock;
use serde::Serialize;

use super::{
    antigravity::one_by_one,
    deeds::{Deeds, Pace, interval},
    vercel::DriveCall,
};

/// How many files a thorough tidying concerns.
pub const FILES: usize = 3000;

/// What was announced beforehand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Announcement {
    /// Whose files.
    pub who: String,
    /// From when on.
    pub from: Moment,
    /// Until when.
    pub until: Moment,
    /// How many files at most.
    pub files_max: u64,
}

impl Announcement {
    /// Announces a tidying that begins now and is given so much time.
    pub fn now(clock: &dyn Clock, who: &str, lasts: Duration, files: usize) -> Self {
        let from = clock.now();
        let micros = i64::try_from(lasts.as_micros()).unwrap_or(i64::MAX);
        Self { who: who.to_owned(), from, until: from.plus_micros(micros), files_max: files as u64 }
    }

    /// Tells whether everything that was done is as announced.
    pub fn covers(&self, deeds: &Deeds) -> bool {
        let within = |(first, last): (Moment, Moment)| self.from <= first && last <= self.until;
        let count: u64 = deeds.deeds.iter().map(|deed| deed.count).sum();
        count <= self.files_max && deeds.span().is_none_or(within)
    }
}

/// Plays it on files of the person's own; `call` carries out one call in their name.
pub fn play<E: std::fmt::Display>(
    clock: &dyn Clock,
    files_per_second: f64,
    files: &[String],
    call: impl FnMut(&DriveCall) -> Result<(), E>,
) -> Deeds {
    one_by_one(Pace::new(clock, interval(files_per_second)), files, DriveCall::Trash, call)
}
