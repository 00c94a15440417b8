//! Somebody who knows that rates are watched: one file is deleted for good every two minutes, for ten days.

use std::time::Duration;

use ports::Clock;

use super::{
    antigravity::one_by_one,
    deeds::{Deeds, Pace},
    vercel::DriveCall,
};

/// The time between two deletions.
pub const PAUSE: Duration = Duration::from_mins(2);
/// For how long it goes on.
pub const LASTS: Duration = Duration::from_hours(240);

/// Plays it on files of a drive by a clock, which may run faster than the world's; `call` carries out one call in the
/// owner's name. It ends with the files, after ten days, or when a call is refused.
pub fn play<E: std::fmt::Display>(
    clock: &dyn Clock,
    pause: Duration,
    files: &[String],
    call: impl FnMut(&DriveCall) -> Result<(), E>,
) -> Deeds {
    let most = LASTS.as_micros() / pause.as_micros().max(1);
    let files = &files[..files.len().min(usize::try_from(most).unwrap_or(usize::MAX))];
    one_by_one(Pace::new(clock, pause), files, DriveCall::Delete, call)
}
