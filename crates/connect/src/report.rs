use serde::{Deserialize, Serialize};

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// As it should be.
    Good,
    /// It works, and could be safer.
    Advice,
    /// It must be mended before unwipe goes on.
    Bad,
}

/// One checked fact about a source or a vault, with its evidence and what would mend it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// How it ended.
    pub standing: Standing,
    /// What was checked, as a short statement: `the slot is bounded`.
    pub subject: String,
    /// What was seen.
    pub evidence: String,
    /// A runnable command or statement that mends it.
    pub fix: Option<String>,
}

impl Finding {
    /// Makes a finding that is as it should be.
    pub fn good(subject: impl Into<String>, evidence: impl Into<String>) -> Self {
        Self { standing: Standing::Good, subject: subject.into(), evidence: evidence.into(), fix: None }
    }

    /// Makes a finding that should be mended some day.
    pub fn advice(subject: impl Into<String>, evidence: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            standing: Standing::Advice,
            subject: subject.into(),
            evidence: evidence.into(),
            fix: Some(fix.into()),
        }
    }

    /// Makes a finding that stands in the way.
    pub fn bad(subject: impl Into<String>, evidence: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            standing: Standing::Bad,
            subject: subject.into(),
            evidence: evidence.into(),
            fix: Some(fix.into()),
        }
    }
}

/// Hears how far long work has come.
pub trait Progress: Send + Sync {
    /// Begins a phase: what is done, and how many bytes there are when that is known.
    fn phase(&self, title: &str, total: Option<u64>);

    /// Begins a phase whose units are no bytes: rows, messages, mailboxes.
    fn counted_phase(&self, title: &str, total: Option<u64>) {
        self.phase(title, total);
    }

    /// Adds finished units to the running phase.
    fn advance(&self, units: u64);
}

/// Hears and says nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn phase(&self, _title: &str, _total: Option<u64>) {}

    fn advance(&self, _units: u64) {}
}
