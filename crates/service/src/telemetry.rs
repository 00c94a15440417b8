//! What is told to a collector, and by which words.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use connect::Progress;
use model::Redacted;
use ports::span::{Outcome, Work};
use serde::{Deserialize, Serialize};

use crate::{SecretError, Secrets};

/// Where spans go, and which.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetryConfig {
    /// The base address of an OTLP/HTTP collector; without one nothing is kept and nothing is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// What this program is called there.
    pub service_name: String,
    /// Whether requests to pages and API are told of as well.
    pub requests: bool,
    /// Headers of each request to the collector; their values by reference.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self { endpoint: None, service_name: "unwipe".to_owned(), requests: false, headers: BTreeMap::new() }
    }
}

impl TelemetryConfig {
    /// Returns the headers with their values.
    pub fn headers(&self, secrets: &Secrets<'_>) -> Result<Vec<(String, Redacted<String>)>, SecretError> {
        self.headers.iter().map(|(name, reference)| Ok((name.clone(), secrets.resolve(reference)?))).collect()
    }
}

/// What phases are called where they leave this machine. A title may name a table or a person: of one that is not in
/// this list, or does not begin with a part of it, nothing is told but that there was one.
const PHASES: [&str; 32] = [
    "asking",
    "bringing files back",
    "checking foreign keys",
    "checking heap and indexes",
    "checking pages",
    "clearing the sandbox",
    "comparing files",
    "comparing",
    "copying dropped",
    "drawing what is restored",
    "examining",
    "files of the base",
    "looking at the moment",
    "looking for credentials",
    "looking for the transactions in the stored log",
    "making it durable",
    "planning",
    "putting messages in",
    "putting things into the sandbox",
    "reading commits",
    "reading every object",
    "reading every table",
    "reading messages again",
    "reading the sandbox",
    "reading what they did",
    "recording what production holds",
    "renewing locks",
    "replay",
    "setting labels back",
    "trying what was found",
    "verifying",
    "WAL",
];

/// Stands for every title that is not in the list.
const OTHER: &str = "other work";

fn word(title: &str) -> &'static str {
    let begins = |word: &&&str| title.strip_prefix(**word).is_some_and(|rest| rest.starts_with(' '));
    let exact = PHASES.iter().find(|word| **word == title);
    exact.or_else(|| PHASES.iter().find(begins)).copied().unwrap_or(OTHER)
}

/// Work whose phases are told of by its progress.
pub struct PhasedWork(Mutex<Option<Work>>);

impl PhasedWork {
    /// Takes work that has begun.
    pub const fn new(work: Work) -> Self {
        Self(Mutex::new(Some(work)))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Work>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds something to the work, and tells of it that it has ended; once.
    pub fn end(&self, outcome: Outcome, know: impl FnOnce(&mut Work)) {
        if let Some(mut work) = self.lock().take() {
            know(&mut work);
            work.end(outcome);
        }
    }
}

impl Progress for PhasedWork {
    fn phase(&self, title: &str, _total: Option<u64>) {
        if let Some(work) = &mut *self.lock() {
            work.phase(word(title));
        }
    }

    fn advance(&self, _units: u64) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_is_told_of_without_what_it_is_about() {
        assert_eq!(word("comparing files"), "comparing files");
        assert_eq!(word("planning public.customers"), "planning");
        assert_eq!(word("examining anna@example.org"), "examining");
        for other in ["12 rows of public.customers", "planningpublic", "anna@example.org", ""] {
            assert_eq!(word(other), OTHER);
        }
    }

    #[test]
    fn values_of_headers_are_secrets_by_reference() {
        let home = tempfile::tempdir().unwrap();
        let environment = |name: &str| (name == "KEY").then(|| "word".to_owned());
        let secrets = Secrets::new(home.path(), &environment);
        let with = |reference: &str| TelemetryConfig {
            headers: BTreeMap::from([("x-key".to_owned(), reference.to_owned())]),
            ..TelemetryConfig::default()
        };
        let headers = with("env:KEY").headers(&secrets).unwrap();
        assert_eq!((headers[0].0.as_str(), headers[0].1.expose().as_str()), ("x-key", "word"));
        assert!(with("word").headers(&secrets).is_err());
    }
}
