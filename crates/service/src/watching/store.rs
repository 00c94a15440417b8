//! Incidents, expectations and what people ask for, as files that every process of the installation can read.
//!
//! The vault's log has all of it as well; a host that captures cannot read the vault.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use ports::files::{self, FileError};
use serde::{Serialize, de::DeserializeOwned};
use watch::{Expectation, Incident, Memory};

use super::{Intent, Request, WatchError};
use crate::documents::documents;

const INCIDENTS: &str = "incidents";
const EXPECTATIONS: &str = "expectations";
const INTENTS: &str = "intents";
const REQUESTS: &str = "requests";
const ANSWERS: &str = "answers";
const MEMORY: &str = "memory.json";

/// The folder `state/watch` of an installation.
#[derive(Debug, Clone)]
pub struct WatchStore {
    folder: PathBuf,
}

impl WatchStore {
    /// Names the folder of an installation; it is made with the first file.
    pub fn of(home: &Path) -> Self {
        Self { folder: home.join("state/watch") }
    }

    /// Returns every incident, the oldest first.
    pub fn incidents(&self) -> Result<Vec<Incident>, WatchError> {
        let mut incidents: Vec<Incident> = self.read_all(INCIDENTS)?;
        incidents.sort_by_key(|incident| incident.id);
        Ok(incidents)
    }

    /// Returns one incident.
    pub fn incident(&self, id: u64) -> Result<Incident, WatchError> {
        let path = self.path(INCIDENTS, &id.to_string());
        if !path.exists() {
            return Err(WatchError::NoIncident { id });
        }
        read(&path)
    }

    /// Writes an incident over what was known of it before.
    pub fn write_incident(&self, incident: &Incident) -> Result<(), WatchError> {
        self.write(INCIDENTS, &incident.id.to_string(), incident)
    }

    /// Returns what is expected to happen, in the order of its registration.
    pub fn expectations(&self) -> Result<Vec<Expectation>, WatchError> {
        let mut expectations: Vec<Expectation> = self.read_all(EXPECTATIONS)?;
        expectations.sort_by(|a, b| (a.registered_at, &a.id).cmp(&(b.registered_at, &b.id)));
        Ok(expectations)
    }

    /// Writes what is expected to happen.
    pub fn write_expectation(&self, expectation: &Expectation) -> Result<(), WatchError> {
        self.write(EXPECTATIONS, &expectation.id, expectation)
    }

    /// Returns what agents announced, in the order of announcement.
    pub fn intents(&self) -> Result<Vec<Intent>, WatchError> {
        let mut intents: Vec<Intent> = self.read_all(INTENTS)?;
        intents.sort_by(|a, b| (a.declared_at, &a.id).cmp(&(b.declared_at, &b.id)));
        Ok(intents)
    }

    /// Writes what an agent announced.
    pub fn write_intent(&self, intent: &Intent) -> Result<(), WatchError> {
        self.write(INTENTS, &intent.id, intent)
    }

    /// Returns what detection remembers of the last days.
    pub(super) fn memory(&self) -> Option<Memory> {
        // It is a cache: what cannot be read, another version's perhaps, is gathered again.
        read(&self.folder.join(MEMORY)).ok()
    }

    /// Stores what detection remembers.
    pub(super) fn write_memory(&self, memory: &Memory) -> Result<(), WatchError> {
        let path = self.folder.join(MEMORY);
        let text = serde_json::to_vec(memory)
            .map_err(|error| FileError::new("write", &path, std::io::Error::other(error)))?;
        files::create_folder(&self.folder)?;
        Ok(files::replace(&path, &text)?)
    }

    /// Asks the process that watches for something; the name tells the answer from others.
    pub fn ask(&self, name: &str, request: &Request) -> Result<(), WatchError> {
        self.write(REQUESTS, name, request)
    }

    /// Returns the answer to a request, once there is one, and forgets it.
    pub fn answer(&self, name: &str) -> Result<Option<Answer>, WatchError> {
        let path = self.path(ANSWERS, name);
        if !path.exists() {
            return Ok(None);
        }
        let answer = read(&path)?;
        remove(&path)?;
        Ok(Some(answer))
    }

    /// Returns what people ask for, each with its name.
    pub(super) fn requests(&self) -> Result<Vec<(String, Request)>, WatchError> {
        let mut requests = Vec::new();
        for path in documents(&self.folder.join(REQUESTS))? {
            let name = path.file_stem().and_then(OsStr::to_str).unwrap_or_default().to_owned();
            requests.push((name, read(&path)?));
        }
        Ok(requests)
    }

    /// Answers a request, which is then done with.
    pub(super) fn finish(&self, name: &str, answer: &Answer) -> Result<(), WatchError> {
        self.write(ANSWERS, name, answer)?;
        remove(&self.path(REQUESTS, name))
    }

    /// Makes sure that one process at a time watches.
    pub(super) fn claim(&self) -> Result<Option<std::fs::File>, WatchError> {
        files::create_folder(&self.folder)?;
        Ok(files::claim(&self.folder.join("watch.claim"))?)
    }

    fn path(&self, kind: &str, name: &str) -> PathBuf {
        self.folder.join(kind).join(format!("{name}.json"))
    }

    fn write<T: Serialize>(&self, kind: &str, name: &str, document: &T) -> Result<(), WatchError> {
        let path = self.path(kind, name);
        let text = serde_json::to_vec_pretty(document)
            .map_err(|error| FileError::new("write", &path, std::io::Error::other(error)))?;
        files::create_folder(&self.folder.join(kind))?;
        Ok(files::replace(&path, &text)?)
    }

    fn read_all<T: DeserializeOwned>(&self, kind: &str) -> Result<Vec<T>, WatchError> {
        documents(&self.folder.join(kind))?.iter().map(|path| read(path)).collect()
    }
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// It was done; lines for people.
    Done(Vec<String>),
    /// It was not; why.
    Refused(String),
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T, WatchError> {
    let bytes = files::read(path)?;
    serde_json::from_slice(&bytes).map_err(|source| WatchError::Damaged { path: path.to_owned(), source })
}

fn remove(path: &Path) -> Result<(), WatchError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(FileError::new("remove", path, error).into())
        }
        _ => Ok(()),
    }
}
