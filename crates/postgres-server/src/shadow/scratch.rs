//! Scratch servers made from a shadow.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use ports::files::{self, FileError};

use super::{Generation, Shadow, ShadowError, generation_dir};
use crate::{
    Action, CloneOptions, CloneReport, Recovery, RunningServer, Target, WalSource, clone_directory,
    recovery::{Progress, Recovered, recover},
};

/// A wish for a server at a target.
#[derive(Debug, Clone)]
pub struct ScratchRequest {
    /// The folder for the scratch copy; new or empty.
    pub folder: PathBuf,
    /// Where recovery stops.
    pub target: Target,
    /// An address known to lie at or before the target: a generation beyond it would have passed the target.
    pub not_after: u64,
    /// Where WAL files come from.
    pub wal: WalSource,
    /// Whether the server opens for writes or stays paused.
    pub action: Action,
    /// How long recovery may take.
    pub timeout: Duration,
}

/// A scratch server. Dropping it stops the server and removes its folder.
#[derive(Debug)]
pub struct Scratch {
    /// The running server; nothing only while the value is being dropped.
    server: Option<RunningServer>,
    folder: PathBuf,
    /// The generation it was made from.
    pub generation: Generation,
    /// How the clone went.
    pub clone: CloneReport,
    /// How recovery went.
    pub recovered: Recovered,
    /// The time from the wish to the running server.
    pub elapsed: Duration,
}

impl Scratch {
    /// Returns the running server.
    pub fn server(&mut self) -> Option<&mut RunningServer> {
        self.server.as_mut()
    }

    /// Returns a connection address of the server.
    pub fn url(&self, user: &str, database: &str) -> String {
        self.server.as_ref().map(|server| server.url(user, database)).unwrap_or_default()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(self.server.take());
        // A folder that stays behind carries its mark and can be removed later; nobody is left to be told.
        drop::<Result<(), FileError>>(files::remove_scratch(&self.folder));
    }
}

/// Removes the folder of a scratch server that was not made.
struct Cleanup<'a>(Option<&'a Path>);

impl Drop for Cleanup<'_> {
    fn drop(&mut self) {
        if let Some(folder) = self.0 {
            // The error that led here is told instead.
            drop::<Result<(), FileError>>(files::remove_scratch(folder));
        }
    }
}

impl Shadow {
    /// Clones the newest generation that does not lie after the target and recovers the clone to the target.
    pub fn scratch_at(
        &self,
        request: &ScratchRequest,
        progress: &mut dyn FnMut(&Progress),
    ) -> Result<Scratch, ShadowError> {
        let start = self.clock.elapsed();
        let generation = self.generation_for(request)?.clone();
        files::create_scratch(&request.folder)?;
        let mut cleanup = Cleanup(Some(&request.folder));
        let from = generation_dir(&self.dir, generation.number).join("data");
        let server = self.server(&request.folder);
        let options = CloneOptions::default();
        let clone = clone_directory(&from, &server.data_dir, options, self.clock.as_ref(), &|_| {})?;
        let recovery = Recovery::scratch(request.target, request.wal.clone()).then(request.action);
        let (running, recovered) = recover(&server, &recovery, &self.clock, request.timeout, progress)?;
        cleanup.0 = None;
        let elapsed = self.clock.elapsed().saturating_sub(start);
        let folder = request.folder.clone();
        Ok(Scratch { server: Some(running), folder, generation, clone, recovered, elapsed })
    }

    fn generation_for(&self, request: &ScratchRequest) -> Result<&Generation, ShadowError> {
        let wanted = match request.target {
            Target::Lsn { lsn, .. } => lsn,
            Target::Latest | Target::Consistent => u64::MAX,
            Target::Time { .. } | Target::Transaction { .. } => request.not_after,
        };
        let oldest = self.generations.first().ok_or_else(|| ShadowError::Empty { dir: self.dir.clone() })?;
        let usable = self.generations.iter().rev().find(|generation| generation.lsn <= wanted);
        usable.ok_or(ShadowError::TooNew { oldest: oldest.lsn, wanted })
    }
}
