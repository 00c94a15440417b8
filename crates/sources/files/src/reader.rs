//! The reader: walks, compares, reads what changed, and says where it stands.

mod pass;

use std::{path::Path, time::Duration};

use connect::{ChangeSink, Cursor, FileOf, ReadEnd, ReadError, SourceReader, Stop};
use rustix::io::Errno;

use self::pass::Pass;
use crate::{
    FilesSettings, KnownKeys,
    cursor::Position,
    listing::{KnownEntries, tidy},
};

/// Reads a folder tree.
pub struct FilesReader {
    settings: FilesSettings,
    known_keys: Option<Box<KnownKeys>>,
    every: Option<Duration>,
}

impl FilesReader {
    /// Makes a reader that walks once.
    pub const fn new(settings: FilesSettings) -> Self {
        Self { settings, known_keys: None, every: None }
    }

    /// Gives it the keys that an earlier run stored, for the case that the listing is lost: what is gone is found by them.
    #[must_use]
    pub fn with_known_keys(mut self, keys: Box<KnownKeys>) -> Self {
        self.known_keys = Some(keys);
        self
    }

    /// Lets it walk again and again, with so much time in between.
    #[must_use]
    pub const fn every(mut self, pause: Duration) -> Self {
        self.every = Some(pause);
        self
    }

    /// Finds out whether the folder can be read.
    pub fn check(root: &Path) -> Result<u64, ReadError> {
        let entries = root.read_dir().map_err(|error| {
            failed(format!("the folder {} cannot be read", root.display()), Some(Box::new(error)))
        })?;
        Ok(entries.count() as u64)
    }
}

impl SourceReader for FilesReader {
    fn files(&self) -> Option<FileOf> {
        Some(crate::attributes::file_of)
    }

    fn changes(
        &mut self,
        cursor: Option<&Cursor>,
        sink: &mut dyn ChangeSink,
        stop: &Stop,
    ) -> Result<ReadEnd, ReadError> {
        let mut position = Position::of(cursor);
        loop {
            let folder = &self.settings.state_folder;
            ports::files::create_folder(folder)
                .map_err(|error| failed("the listing cannot be kept".to_owned(), Some(Box::new(error))))?;
            let known = KnownEntries::open(folder, &position);
            let lost = cursor.is_some() && known.is_none();
            if known.is_none() {
                position = Position::default();
            }
            tidy(folder, &position).map_err(listing_failed)?;
            let mut pass = Pass::new(&self.settings, known.unwrap_or_default(), position, sink)?;
            if let Some(keys) = self.known_keys.as_deref().filter(|_| lost) {
                pass.find_gone(keys)?;
            }
            let (end, reached) = pass.run(stop)?;
            position = reached;
            match self.every {
                Some(pause) if end == ReadEnd::UpToDate => {
                    if !stop.wait(&*self.settings.clock, pause) {
                        return Ok(ReadEnd::Stopped);
                    }
                }
                _ => return Ok(end),
            }
        }
    }
}

fn failed(message: String, source: Option<Box<dyn std::error::Error + Send + Sync>>) -> ReadError {
    ReadError::Source { message, hint: None, transient: true, source }
}

fn listing_failed(error: std::io::Error) -> ReadError {
    failed("the listing of what is known cannot be kept".to_owned(), Some(Box::new(error)))
}

fn walk_failed(root: &Path, error: Errno) -> ReadError {
    failed(
        format!("the folder {} cannot be walked through", root.display()),
        Some(Box::new(std::io::Error::from(error))),
    )
}
