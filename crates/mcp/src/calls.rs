//! What agents asked for, a line each, in a file that does not grow for ever.

use std::{
    io::Write,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use access::ServiceName;
use model::Moment;
use ports::files::{self, FileError};
use serde::Serialize;
use serde_json::Value;

use crate::clean::clean;

/// So many bytes; then the file becomes the one before, and that goes.
const BYTES_MAX: u64 = 4 << 20;

/// One call.
#[derive(Debug, Serialize)]
pub(crate) struct Call<'a> {
    pub(crate) at: Moment,
    pub(crate) who: &'a ServiceName,
    pub(crate) tool: &'a str,
    /// Masked like everything that agents read: agents are given secrets, and pass them on.
    pub(crate) arguments: Value,
    /// `answered`, or why not.
    pub(crate) outcome: &'a str,
}

/// The file `calls.jsonl` of a folder.
pub(crate) struct Calls {
    folder: PathBuf,
    alone: Mutex<()>,
}

impl Calls {
    pub(crate) const fn new(folder: PathBuf) -> Self {
        Self { folder, alone: Mutex::new(()) }
    }

    /// Adds a call. A line is written at once, so that several processes can add to one file.
    pub(crate) fn add(&self, call: &Call<'_>) -> Result<(), FileError> {
        let _alone = self.alone.lock().unwrap_or_else(PoisonError::into_inner);
        files::create_folder(&self.folder)?;
        let path = self.folder.join("calls.jsonl");
        let failed = |error| FileError::new("write", &path, error);
        let mut line = serde_json::to_vec(call).map_err(|error| failed(std::io::Error::other(error)))?;
        line.push(b'\n');
        let size = std::fs::metadata(&path).map_or(0, |known| known.len());
        if size > BYTES_MAX {
            turn_over(&path, &self.folder.join("calls-before.jsonl"))?;
        }
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(&path).map_err(failed)?;
        file.write_all(&line).map_err(failed)
    }
}

fn turn_over(path: &Path, before: &Path) -> Result<(), FileError> {
    files::replace(before, &files::read(path)?)?;
    files::replace(path, b"")
}

/// Shortens and masks arguments for the file.
pub(crate) fn noted(arguments: &Value) -> Value {
    let cleaned = clean(arguments).value;
    let text = cleaned.to_string();
    if text.len() <= 2_000 {
        cleaned
    } else {
        Value::String(text.chars().take(2_000).chain("…".chars()).collect())
    }
}
