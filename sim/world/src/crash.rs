//! What a disk could look like after a power cut, at every sync.
//!
//! A small [`driver`] uses the real code on real files and says what it was promised. It runs under `strace`, with all
//! that it writes; [`disk`] replays the calls and keeps apart what a sync has made durable from what was still under way.
//! At every sync it builds folders as they could be found afterwards: all that is durable, and of the rest nothing, all,
//! or some of it, torn. In each of them [`image`] starts the real code again: what was promised is there.

pub mod disk;
pub mod driver;
pub mod image;
pub mod strace;

use std::{
    io,
    path::{Path, PathBuf},
    process::Command,
};

use ports::{SeededRandom, files};

use self::{
    disk::{Disk, Fate},
    strace::{Call, StraceError},
};
use crate::Violation;

/// Why no images could be made.
#[derive(Debug, thiserror::Error)]
pub enum CrashError {
    /// `strace` cannot be run.
    #[error("strace cannot be run")]
    Start(#[source] io::Error),
    /// The driver failed under it.
    #[error("the driver failed: {output}")]
    Driver {
        /// What it said.
        output: String,
    },
    /// The trace cannot be read.
    #[error(transparent)]
    Trace(#[from] StraceError),
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] files::FileError),
    /// An image cannot be built.
    #[error("an image cannot be built")]
    Image(#[source] io::Error),
    /// The driver changes files in a way that is not modelled, so the images prove nothing.
    #[error("the driver made a call that is not modelled: {call}")]
    Unsupported {
        /// The call.
        call: String,
    },
    /// Something that was promised is not there after a power cut.
    #[error("after a power cut behind call {call} ({what}), {fate:?}: {violation}")]
    Broken {
        /// The last call before it.
        call: usize,
        /// What that call was.
        what: String,
        /// What became of the unsynced rest.
        fate: Fate,
        /// What is violated.
        violation: Violation,
    },
}

/// What was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cuts {
    /// Calls that the driver made on its files.
    pub calls: usize,
    /// Syncs among them.
    pub syncs: usize,
    /// Images that were built and started.
    pub images: usize,
}

/// Runs the driver of this program once under `strace` and starts an image for each fate at every sync.
///
/// `program` is the `world` binary; `random_fates` is how many fates are drawn for each sync besides "nothing" and "all".
pub fn sweep(program: &Path, seed: u64, rounds: u64, random_fates: u64) -> Result<Cuts, CrashError> {
    // In memory where there is such a folder: the images are started for real, and their syncs need no disk.
    let memory = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    let scratch = memory.map_err(CrashError::Start)?;
    let root = scratch.path().join("disk");
    files::create_folder(&root)?;
    let calls = record(program, &root, scratch.path(), seed, rounds)?;
    let random = SeededRandom::new(seed);
    let mut disk = Disk::new(root);
    let mut cuts = Cuts { calls: calls.len(), ..Cuts::default() };
    for (number, call) in calls.iter().enumerate() {
        let boundary = disk.replay(call);
        if !boundary {
            continue;
        }
        cuts.syncs += 1;
        let fates = [Fate::Nothing, Fate::All].into_iter();
        for fate in fates.chain((0..random_fates).map(|_| Fate::Some { seed: random.next_u64() })) {
            let image = scratch.path().join("image");
            disk.build(&image, fate).map_err(CrashError::Image)?;
            cuts.images += 1;
            image::check(&image, seed, disk.promises()).map_err(|violation| CrashError::Broken {
                call: number,
                what: call.to_string(),
                fate,
                violation,
            })?;
            files::remove_scratch(&image)?;
        }
    }
    match disk.unsupported().first() {
        Some(call) => Err(CrashError::Unsupported { call: call.clone() }),
        None => Ok(cuts),
    }
}

fn record(
    program: &Path,
    root: &Path,
    scratch: &Path,
    seed: u64,
    rounds: u64,
) -> Result<Vec<Call>, CrashError> {
    let trace: PathBuf = scratch.join("trace");
    let mut command = Command::new("strace");
    // Strings in hexadecimal and in full length: what was written is read from here.
    command.args(["-qq", "-xx", "-s", "16777216", "-e", strace::CALLS, "-o"]).arg(&trace).arg(program);
    command.arg("--driver").arg(root).arg("--seed").arg(seed.to_string());
    let output = command.arg("--rounds").arg(rounds.to_string()).output().map_err(CrashError::Start)?;
    if !output.status.success() {
        let output = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(CrashError::Driver { output });
    }
    Ok(strace::parse(&files::read_text(&trace)?)?)
}
