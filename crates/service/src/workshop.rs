//! What takes connectors, and may take long: plans, applications, drills, examinations, questions to a moment.
//!
//! The binary, which alone knows the sources, provides it. Command line, pages, API and agents' tools ask for the same
//! things here.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use connect::{
    Finding, Progress,
    plan::{AppliedReport, Counts, PlanHash, Verification},
};
use model::{Moment, SourceName};
use serde::{Deserialize, Serialize};

use crate::{
    certificate::Certificate,
    watching::{Answer, Request},
};

/// Does what takes connectors. Everything may block for long.
pub trait Workshop: Send + Sync {
    /// Plans a restore. Nothing is changed anywhere.
    fn plan(&self, wish: &RestoreWish, progress: &Arc<dyn Progress>) -> Result<PlannedRestore, WorkError>;

    /// Applies a plan whose approvals count, and reads the source again. What was begun before is gone on with.
    fn apply(&self, plan_folder: &Path, progress: &Arc<dyn Progress>) -> Result<AppliedRestore, WorkError>;

    /// Holds a drill, and signs and records its certificate.
    fn drill(&self, wish: &DrillWish, progress: &Arc<dyn Progress>) -> Result<Certificate, WorkError>;

    /// Examines the installation and its sources.
    fn examine(&self, progress: &Arc<dyn Progress>) -> Result<Vec<Examined>, WorkError>;

    /// Asks a moment of a database, read-only, in a scratch copy.
    fn query(&self, question: &Question, progress: &Arc<dyn Progress>) -> Result<Table, WorkError>;

    /// Carries out what somebody asks of the watch.
    fn contain(&self, request: &Request) -> Result<Answer, WorkError>;

    /// Has a source captured up to now; returns the newest commit.
    fn capture(&self, source: &SourceName, progress: &Arc<dyn Progress>) -> Result<u64, WorkError>;
}

/// What is to be brought back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case", deny_unknown_fields)]
pub enum RestoreWish {
    /// What the suspects of an incident did.
    Incident {
        /// Its number.
        incident: u64,
    },
    /// What an actor did.
    Actor {
        /// A role, an account, a program; `*` and `?` stand for any characters.
        actor: String,
        /// The source; all where none is named.
        #[serde(default)]
        source: Option<SourceName>,
        /// Only from this time on: RFC 3339, a commit.
        #[serde(default)]
        from: Option<String>,
    },
    /// Transactions of one database.
    Transactions {
        /// The source.
        source: SourceName,
        /// Their numbers.
        transactions: Vec<String>,
    },
    /// Rows of tables as they were at a moment.
    Rows {
        /// The source.
        source: SourceName,
        /// The moment, as `unwipe rewind` takes it.
        moment: String,
        /// `database.schema.table`, one or more of one database.
        tables: Vec<String>,
        /// Only rows that satisfy this SQL predicate.
        #[serde(default)]
        predicate: Option<String>,
        /// Whether rows that are different now are set back as well.
        #[serde(default)]
        changed: bool,
    },
    /// Items of an account as they were at a moment.
    Items {
        /// The source.
        source: SourceName,
        /// The stream: `gmail/anna@example.org`.
        stream: String,
        /// The moment.
        moment: String,
        /// Their keys; all where none is named.
        keys: Vec<String>,
    },
}

impl RestoreWish {
    /// Returns the words of the command that makes the same plan, after `unwipe`. No word of a value can be taken for an
    /// option.
    pub fn words(&self) -> Vec<String> {
        let mut words = vec!["rewind".to_owned()];
        let what = match self {
            Self::Incident { incident } => Some(format!("incident:{incident}")),
            Self::Actor { actor, source, from } => {
                words.push(format!("--actor={actor}"));
                words.extend(from.as_ref().map(|from| format!("--from={from}")));
                source.as_ref().map(SourceName::to_string)
            }
            Self::Transactions { source, transactions } => {
                words.extend(transactions.iter().map(|transaction| format!("--undo={transaction}")));
                Some(source.to_string())
            }
            Self::Rows { source, moment, tables, predicate, changed } => {
                words.extend(tables.iter().map(|table| format!("--table={table}")));
                words.extend(predicate.as_ref().map(|predicate| format!("--where={predicate}")));
                words.extend(changed.then(|| "--changed".to_owned()));
                Some(format!("{source}@{moment}"))
            }
            Self::Items { source, stream, moment, keys } => {
                words.extend(keys.iter().map(|key| format!("--item={key}")));
                Some(format!("{source}/{stream}@{moment}"))
            }
        };
        words.extend(what);
        words
    }

    /// Returns the command that makes the same plan, as a person would type it.
    pub fn command(&self) -> String {
        let words: Vec<String> = self.words().iter().map(|word| shell_word(word)).collect();
        format!("unwipe {}", words.join(" "))
    }
}

/// Quotes a word for a shell where that is needed.
pub fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=.,:/@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// A plan that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedRestore {
    /// Where it lies.
    pub folder: PathBuf,
    /// What is approved.
    pub plan: PlanHash,
    /// One line for people.
    pub title: String,
    /// The sources that it touches.
    pub sources: Vec<SourceName>,
    /// The sums.
    pub counts: Counts,
    /// The command that makes the same plan.
    pub command: String,
    /// When it was made.
    pub made_at: Moment,
}

/// What applying a plan came to: one part for each source and database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppliedRestore {
    /// The plan.
    pub plan: PlanHash,
    /// Whose approvals counted.
    pub approvers: Vec<String>,
    /// The parts.
    pub parts: Vec<AppliedPart>,
}

/// What applying one part came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppliedPart {
    /// What was done.
    pub applied: AppliedReport,
    /// What reading the source again showed.
    pub verification: Option<Verification>,
}

impl AppliedRestore {
    /// Returns whether everything was read again and is as planned.
    pub fn is_verified(&self) -> bool {
        self.parts.iter().all(|part| part.verification.as_ref().is_some_and(Verification::is_good))
    }
}

/// Which drill is to be held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrillWish {
    /// The source.
    pub source: SourceName,
    /// The moment: `latest`, RFC 3339, a commit.
    pub moment: String,
    /// Whether everything is restored, or a sample where the kind of source allows one.
    pub whole: bool,
}

/// What was examined about something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Examined {
    /// What it is about: `the vault`, `source shop`.
    pub about: String,
    /// What was found.
    pub findings: Vec<Finding>,
}

/// A question to a moment of a database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// The source.
    pub source: SourceName,
    /// The moment.
    pub moment: String,
    /// The database.
    pub database: String,
    /// One statement of SQL; it runs in a read-only transaction of a scratch copy.
    pub sql: String,
    /// At most so many rows.
    pub rows_max: u32,
}

/// Rows as text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// The names of the columns.
    pub columns: Vec<String>,
    /// The rows; `None` is NULL.
    pub rows: Vec<Vec<Option<String>>>,
    /// Whether there are more.
    pub truncated: bool,
}

/// What the one who asked can do about work that was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WorkErrorKind {
    /// Ask differently.
    Usage,
    /// Ask for something that exists.
    Nothing,
    /// Have it approved, or give a credential.
    Authentication,
    /// Try again later.
    Failed,
}

/// Why work was not done: a sentence, what is behind it, and what a person can do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{sentence}")]
pub struct WorkError {
    /// What the one who asked can do.
    pub kind: WorkErrorKind,
    /// What was not done.
    pub sentence: String,
    /// What is behind it, the nearest cause first.
    pub causes: Vec<String>,
    /// A command or a setting that would help.
    pub hint: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_is_a_command_and_hostile_names_are_quoted() {
        let acme = SourceName::new("acme").unwrap();
        let wish = RestoreWish::Items {
            source: acme.clone(),
            stream: "gmail/anna@example.org".to_owned(),
            moment: "2026-04-25T14:00:08Z".to_owned(),
            keys: vec!["--plan=/etc; rm -rf '/'".to_owned()],
        };
        assert_eq!(
            wish.command(),
            r"unwipe rewind '--item=--plan=/etc; rm -rf '\''/'\''' acme/gmail/anna@example.org@2026-04-25T14:00:08Z"
        );
        let wish = RestoreWish::Actor { actor: "agent*".to_owned(), source: Some(acme), from: None };
        assert_eq!(wish.command(), "unwipe rewind '--actor=agent*' acme");
    }
}
