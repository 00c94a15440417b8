//! The script of 2026-04-19: an employee lets an assistant for office work do everything, and whoever stole its tokens
//! walks through a drive.
//!
//! On record is that it read. What else a grant of that breadth allows is played as well: links for everybody, an outside
//! address, traces put into the trash or deleted.

use std::time::Duration;

use ports::Clock;
use serde::Serialize;

use super::{Recorder, Step};

/// The name under which the program asked for access.
pub const PROGRAM: &str = "AI Office Suite";
/// The id that was published for it afterwards.
pub const CLIENT_ID: &str = "110671459871-30f1spbu0hptbs60cb4vsmv79i7bbvqj.apps.googleusercontent.com";
/// The address that is let in from outside.
pub const OUTSIDER: &str = "drop@outside.example";

/// After so many refused calls in a row it gives up.
const REFUSED_MAX: usize = 3;

/// What it does with one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DriveCall {
    /// Downloads it.
    Read(String),
    /// Lets everybody read it who has the link.
    Link(String),
    /// Lets the outside address write to it.
    Invite(String),
    /// Puts it into the trash.
    Trash(String),
    /// Deletes it for good, past the trash.
    Delete(String),
}

impl DriveCall {
    /// Returns the method of the API.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Read(_) => "files.get, its content",
            Self::Link(_) => "permissions.create, anyone with the link",
            Self::Invite(_) => "permissions.create, an outside address",
            Self::Trash(_) => "files.update, trashed",
            Self::Delete(_) => "files.delete",
        }
    }

    const fn intent(&self) -> &'static str {
        match self {
            Self::Read(_) => "read what there is",
            Self::Link(_) => "make links for later",
            Self::Invite(_) => "keep a way in",
            Self::Trash(_) | Self::Delete(_) => "leave little behind",
        }
    }
}

/// How many files met with what.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Walk {
    /// The steps, in order; of many calls of one kind the first.
    pub steps: Vec<Step>,
    /// Files that were downloaded.
    pub read: usize,
    /// Files that everybody with the link may read.
    pub linked: usize,
    /// Files that the outside address may change.
    pub invited: usize,
    /// Files in the trash.
    pub trashed: usize,
    /// Files deleted for good.
    pub deleted: usize,
}

/// Plays the script on the files of a drive; `call` carries out one call in the owner's name. Those at the front are
/// deleted. Some files it may not read; it stops when call after call is refused: somebody took its token away.
pub fn play<E: std::fmt::Display>(
    clock: &dyn Clock,
    pause: Duration,
    files: &[String],
    mut call: impl FnMut(&DriveCall) -> Result<(), E>,
) -> Walk {
    let mut recorder = Recorder::new(clock);
    let mut walk = Walk::default();
    let (mut shown, mut refused) = (None, 0);
    for planned in calls(files) {
        clock.sleep(pause);
        let result = if shown == Some(planned.name()) {
            call(&planned)
        } else {
            shown = Some(planned.name());
            let destructive = !matches!(planned, DriveCall::Read(_));
            let show = |result: &Result<(), E>| match result {
                Ok(()) => "done".to_owned(),
                Err(error) => error.to_string(),
            };
            let what = (planned.intent(), planned.name().to_owned());
            recorder.act(what, destructive, || call(&planned), show)
        };
        if result.is_err() {
            refused += 1;
            if refused == REFUSED_MAX {
                break;
            }
            continue;
        }
        refused = 0;
        *match planned {
            DriveCall::Read(_) => &mut walk.read,
            DriveCall::Link(_) => &mut walk.linked,
            DriveCall::Invite(_) => &mut walk.invited,
            DriveCall::Trash(_) => &mut walk.trashed,
            DriveCall::Delete(_) => &mut walk.deleted,
        } += 1;
    }
    walk.steps = recorder.into_steps();
    walk
}

/// Everything is read; then each file meets with one thing more at most.
fn calls(files: &[String]) -> Vec<DriveCall> {
    let (deleted, others) = files.split_at(files.len() / 20);
    let (trashed, others) = others.split_at(files.len() / 4);
    let (linked, others) = others.split_at(files.len() / 5);
    let invited = &others[..files.len() / 20];
    let mut calls: Vec<DriveCall> = files.iter().cloned().map(DriveCall::Read).collect();
    calls.extend(linked.iter().cloned().map(DriveCall::Link));
    calls.extend(invited.iter().cloned().map(DriveCall::Invite));
    calls.extend(trashed.iter().cloned().map(DriveCall::Trash));
    calls.extend(deleted.iter().cloned().map(DriveCall::Delete));
    calls
}

#[cfg(test)]
mod tests {
    use model::Moment;
    use ports::ManualClock;

    use super::*;

    #[test]
    fn everything_is_read_and_no_file_meets_with_two_things_more() {
        let clock = ManualClock::new(Moment::from_micros(0));
        let files: Vec<String> = (0..100).map(|number| format!("{number:03}")).collect();
        let (mut read, mut changed) = (Vec::new(), Vec::new());
        let walk = play(&clock, Duration::from_millis(1), &files, |call| {
            match call {
                DriveCall::Read(id) => read.push(id.clone()),
                DriveCall::Link(id)
                | DriveCall::Invite(id)
                | DriveCall::Trash(id)
                | DriveCall::Delete(id) => {
                    changed.push(id.clone());
                }
            }
            Ok::<(), String>(())
        });
        assert_eq!(read, files);
        let count = changed.len();
        changed.sort();
        changed.dedup();
        assert_eq!((changed.len(), count), (55, 55));
        assert_eq!((walk.linked, walk.invited, walk.trashed, walk.deleted), (20, 5, 25, 5));
        assert_eq!(walk.steps.len(), 5);
    }

    #[test]
    fn without_its_token_it_ends() {
        let clock = ManualClock::new(Moment::from_micros(0));
        let files: Vec<String> = (0..10).map(|number| number.to_string()).collect();
        let mut calls = 0;
        let walk = play(&clock, Duration::ZERO, &files, |_| {
            calls += 1;
            if calls <= 3 && calls != 2 { Ok(()) } else { Err("401 invalid credentials") }
        });
        assert_eq!((calls, walk.read), (6, 2));
    }
}
