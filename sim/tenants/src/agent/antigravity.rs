//! After December 2025: an agent empties a local folder, and the client that keeps the folder and a drive alike puts file
//! after file into the drive's trash. Nobody sent a call that looks like a wipe.

use ports::Clock;

use super::{
    deeds::{Deeds, Pace, interval},
    vercel::DriveCall,
};

/// How fast a client propagates what is gone: about 100 files in a second.
pub const FILES_PER_SECOND: f64 = 100.0;

/// Plays it on files of a drive; `call` carries out one call in the owner's name. It ends at the first that is refused.
pub fn play<E: std::fmt::Display>(
    clock: &dyn Clock,
    files_per_second: f64,
    files: &[String],
    call: impl FnMut(&DriveCall) -> Result<(), E>,
) -> Deeds {
    one_by_one(Pace::new(clock, interval(files_per_second)), files, DriveCall::Trash, call)
}

/// Makes one call for each file.
pub(super) fn one_by_one<E: std::fmt::Display>(
    mut pace: Pace<'_>,
    files: &[String],
    what: fn(String) -> DriveCall,
    mut call: impl FnMut(&DriveCall) -> Result<(), E>,
) -> Deeds {
    for file in files {
        pace.wait();
        let planned = what(file.clone());
        let done = pace.call(planned.name(), std::slice::from_ref(file), || call(&planned), |()| 1);
        if done.is_none() {
            break;
        }
    }
    pace.end()
}
