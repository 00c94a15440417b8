//! What was made while a plan was applied, written down beside it at once: nothing is made twice.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io::Write,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
};

use connect::plan::WriteError;
use ports::files::FileError;
use serde::{Deserialize, Serialize};

/// Something that was made: a line of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Made {
    /// What it is: `message`, `file`, `permission`.
    pub(crate) kind: String,
    /// The id that it had, or by which the plan calls it.
    pub(crate) old: String,
    /// The id that it has.
    pub(crate) new: String,
    /// The id of what it is in, where that is needed later: a thread, a folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) place: Option<String>,
}

/// The journal of one plan. Several threads may use it.
pub(crate) struct Journal {
    path: PathBuf,
    content: Mutex<Content>,
}

#[derive(Default)]
struct Content {
    /// Opened when the first line is written.
    file: Option<File>,
    made: HashMap<(String, String), Made>,
    new: HashSet<String>,
}

impl Journal {
    /// Reads what earlier runs wrote down; a line that was cut by a kill counts for nothing.
    pub(crate) fn read(path: PathBuf) -> Result<Self, WriteError> {
        // A line may have been cut within a letter.
        let text = match std::fs::read(&path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(failed(FileError::new("read", &path, error))),
        };
        let mut content = Content::default();
        for made in text.lines().filter_map(|line| serde_json::from_str(line).ok()) {
            content.take(made);
        }
        Ok(Self { path, content: Mutex::new(content) })
    }

    /// Returns what was made for something.
    pub(crate) fn made(&self, kind: &str, old: &str) -> Option<Made> {
        self.lock().made.get(&(kind.to_owned(), old.to_owned())).cloned()
    }

    /// Tells whether something with this id was made.
    pub(crate) fn has_new(&self, id: &str) -> bool {
        self.lock().new.contains(id)
    }

    /// Writes down what was made, durably.
    pub(crate) fn note(&self, made: Made) -> Result<(), WriteError> {
        self.note_all(&[made])
    }

    /// Writes down several at once.
    pub(crate) fn note_all(&self, all: &[Made]) -> Result<(), WriteError> {
        let mut lines = Vec::new();
        for made in all {
            serde_json::to_writer(&mut lines, made).map_err(|error| WriteError::Plan(Box::new(error)))?;
            lines.push(b'\n');
        }
        if lines.is_empty() {
            return Ok(());
        }
        let mut content = self.lock();
        let written = content.open(&self.path).and_then(|file| {
            file.write_all(&lines)?;
            file.sync_data()
        });
        written.map_err(|error| failed(FileError::new("write", &self.path, error)))?;
        all.iter().cloned().for_each(|made| content.take(made));
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Content {
    fn take(&mut self, made: Made) {
        self.new.insert(made.new.clone());
        self.made.insert((made.kind.clone(), made.old.clone()), made);
    }

    fn open(&mut self, path: &std::path::Path) -> std::io::Result<&mut File> {
        match &mut self.file {
            Some(file) => Ok(file),
            none => {
                let mut file = File::options().create(true).append(true).open(path)?;
                // The last line may have been cut by a kill: what is appended must not become part of it.
                file.write_all(b"\n")?;
                Ok(none.insert(file))
            }
        }
    }
}

fn failed(error: FileError) -> WriteError {
    WriteError::Source {
        message: "it cannot be written down what was made".to_owned(),
        hint: Some("make room beside the plan, then apply it again".to_owned()),
        transient: error.is_full(),
        source: Some(Box::new(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(old: &str, new: &str) -> Made {
        Made { kind: "message".to_owned(), old: old.to_owned(), new: new.to_owned(), place: None }
    }

    #[test]
    fn what_was_written_down_is_known_after_a_kill_and_a_cut_line_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("applied.jsonl");
        let journal = Journal::read(path.clone()).unwrap();
        assert!(journal.made("message", "a").is_none());
        assert!(!path.exists(), "nothing was made yet");
        journal.note(made("a", "a2")).unwrap();
        journal.note(made("b", "b2")).unwrap();
        let mut text = std::fs::read(&path).unwrap();
        text.truncate(text.len() - 5);
        // The first half of a letter.
        text.push(0xc3);
        ports::files::replace(&path, &text).unwrap();

        let journal = Journal::read(path.clone()).unwrap();
        assert_eq!(journal.made("message", "a"), Some(made("a", "a2")));
        assert_eq!(journal.made("message", "b"), None);
        assert!(journal.has_new("a2") && !journal.has_new("b2"));
        journal.note(made("b", "b3")).unwrap();
        let journal = Journal::read(path).unwrap();
        assert_eq!(journal.made("message", "b"), Some(made("b", "b3")));
        assert_eq!(journal.made("file", "b"), None);
    }
}
