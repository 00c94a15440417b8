//! Plans: an immutable description of a restore, the same value when shown, approved and applied.
//!
//! A plan is one JSON document and a folder of attachments. The document names every attachment with its size and
//! BLAKE3 digest, so that the plan's own hash covers all of it: what is approved is what is applied, to the bit.
//! Row images, which may be millions, are attachments; what a person reads is in the document.
//!
//! The decisions are in the plan. Whoever applies it takes none: where the facts have changed since planning, a row is
//! reported as a conflict and left alone.

use std::{fmt, io::Read, str::FromStr};

use model::Moment;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Progress, fidelity::Fidelity};

mod bundle;
mod canonical;
mod folder;
#[cfg(test)]
mod tests;

pub use bundle::{BUNDLE_FORMAT, Bundle, BundlePart, Document, DocumentKind, DoneParts, PartOutcome};
pub use canonical::canonical_json;
pub use folder::{AttachmentWriter, PlanFolder, PlanFolderError};

/// The newest format of plans; a plan of another format is refused.
pub const PLAN_FORMAT: u32 = 1;

/// How many conflicts and losses a plan or report lists; the counts always tell all of them.
pub const LISTED_MAX: usize = 1000;

/// What a plan undoes or brings back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// One line for people: `transaction 7569 at 0/5F3C9850`.
    pub title: String,
    /// Where it took effect in the source's own order: a commit LSN, an event id.
    pub position: Option<String>,
    /// When it took effect, by the source.
    pub at: Option<Moment>,
}

/// What a step does to its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Makes an object that is gone: a table, an index, a grant.
    Create,
    /// Puts rows or items back that are gone.
    Insert,
    /// Gives rows or items the content back that they had.
    Revert,
    /// Removes rows or items that the undone act added.
    Remove,
    /// Gives an object the definition back that it had.
    Redefine,
    /// Moves a counter forward, never back.
    Advance,
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Its place in the order, from 1.
    pub number: u32,
    /// One line for people: `put 49900 rows back into public.customers`.
    pub title: String,
    /// What it touches: `shop.public.customers`.
    pub target: String,
    /// What it does.
    pub action: Action,
    /// How many rows, items or objects.
    pub rows: u64,
    /// The attachment that holds its content.
    pub attachment: Option<String>,
    /// What only the connector understands: column lists, statements, preconditions.
    pub details: Value,
}

/// What is done about a conflict. The safe choice is the only one: what is there now stays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Choice {
    /// Leaves alone what is there now.
    #[default]
    Keep,
}

/// A row or item that somebody else changed after the undone act; it is listed and left alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conflict {
    /// What it belongs to: `shop.public.customers`.
    pub target: String,
    /// Which row or item, by its key or else by its place.
    pub key: String,
    /// Why it is left alone, as a sentence without a full stop.
    pub reason: String,
    /// What is done about it.
    pub choice: Choice,
}

/// Something that does not come back, or comes back changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Loss {
    /// What it belongs to.
    pub target: String,
    /// What is lost and why, as a sentence without a full stop.
    pub reason: String,
}

/// The sums of a plan.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Rows or items put back.
    pub inserted: u64,
    /// Rows or items given their content back.
    pub reverted: u64,
    /// Rows or items removed.
    pub removed: u64,
    /// Objects made or redefined.
    pub objects: u64,
    /// Rows or items left alone because somebody else changed them.
    pub conflicts: u64,
    /// Rows or items that are already as they should be.
    pub unchanged: u64,
}

impl Counts {
    /// Adds the sums of another plan.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            inserted: self.inserted + other.inserted,
            reverted: self.reverted + other.reverted,
            removed: self.removed + other.removed,
            objects: self.objects + other.objects,
            conflicts: self.conflicts + other.conflicts,
            unchanged: self.unchanged + other.unchanged,
        }
    }
}

/// A file that belongs to a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attachment {
    /// Its path below the plan's folder: `rows/3.copy`.
    pub name: String,
    /// The BLAKE3 digest of its content, in hexadecimal.
    pub blake3: String,
    /// Its size.
    pub bytes: u64,
}

/// An immutable description of a restore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The format of this document: [`PLAN_FORMAT`].
    pub format: u32,
    /// The name people use for it.
    pub id: String,
    /// The protected source it was made for.
    pub source: String,
    /// What is undone or brought back.
    pub subject: Subject,
    /// Where it is applied: a database, an account.
    pub destination: String,
    /// Where the content comes from: `the cluster just before 0/5F3C9850, recovered from base 0/4000028`.
    pub base: String,
    /// When it was planned.
    pub made_at: Moment,
    /// The steps, in the order in which they are applied.
    pub steps: Vec<Step>,
    /// The first [`LISTED_MAX`] conflicts; all are counted, and `conflicts.jsonl` is attached when there are more.
    pub conflicts: Vec<Conflict>,
    /// What does not come back as it was.
    pub losses: Vec<Loss>,
    /// What a person should know before approving: triggers, foreign keys, privileges.
    pub notes: Vec<String>,
    /// The sums.
    pub counts: Counts,
    /// The files that belong to the plan.
    pub attachments: Vec<Attachment>,
    /// What comes back how, for each kind of item and way that the plan uses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fidelity: Vec<Fidelity>,
    /// How long applying and verifying it takes, by the source's quota.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_s: Option<u64>,
}

impl Plan {
    /// Returns the bytes that are hashed, approved and stored: JSON with sorted keys and without spaces.
    pub fn canonical_bytes(&self) -> Result<Vec<u8>, PlanError> {
        let value = serde_json::to_value(self).map_err(PlanError::Encode)?;
        Ok(canonical_json(&value).into_bytes())
    }

    /// Returns the hash that approval signs.
    pub fn hash(&self) -> Result<PlanHash, PlanError> {
        Ok(PlanHash(*blake3::hash(&self.canonical_bytes()?).as_bytes()))
    }

    /// Reads a plan and refuses one of another format, with unknown fields, or with attachments outside of its folder.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PlanError> {
        let value: Value = serde_json::from_slice(bytes).map_err(PlanError::Decode)?;
        let format = value.get("format").and_then(Value::as_u64).unwrap_or(0);
        if format != u64::from(PLAN_FORMAT) {
            return Err(PlanError::Format { found: format });
        }
        let plan: Self = serde_json::from_value(value).map_err(PlanError::Decode)?;
        match plan.attachments.iter().find(|attachment| !is_inside(&attachment.name)) {
            Some(outside) => Err(PlanError::AttachmentName { name: outside.name.clone() }),
            None => Ok(plan),
        }
    }

    /// Returns the attachment of this name.
    pub fn attachment(&self, name: &str) -> Option<&Attachment> {
        self.attachments.iter().find(|attachment| attachment.name == name)
    }

    /// Returns whether applying the plan would change nothing.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

/// Returns whether a path stays below the folder it is joined to.
pub(crate) fn is_inside(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !name.is_empty()
        && name.split('/').all(|part| !part.is_empty() && !part.starts_with('.') && part.chars().all(plain))
}

/// A plan that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The text is no plan.
    #[error("the plan cannot be read")]
    Decode(#[source] serde_json::Error),
    /// The plan cannot be expressed as JSON.
    #[error("the plan cannot be written")]
    Encode(#[source] serde_json::Error),
    /// Another version of unwipe wrote it.
    #[error("the plan has format {found}, and only format {PLAN_FORMAT} is known")]
    Format {
        /// What the document says.
        found: u64,
    },
    /// An attachment's name leads out of the plan's folder.
    #[error("the plan names an attachment outside of its folder: {name:?}")]
    AttachmentName {
        /// The name.
        name: String,
    },
}

/// The BLAKE3 hash of a plan's canonical bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlanHash(pub [u8; 32]);

/// A text that is no hash of a plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not the hash of a plan: 64 hexadecimal digits")]
pub struct PlanHashParseError {
    text: String,
}

impl fmt::Display for PlanHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PlanHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PlanHash {
    type Err = PlanHashParseError;

    fn from_str(text: &str) -> Result<Self, PlanHashParseError> {
        blake3::Hash::from_hex(text)
            .map(|hash| Self(*hash.as_bytes()))
            .map_err(|_| PlanHashParseError { text: text.to_owned() })
    }
}

impl Serialize for PlanHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PlanHash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Gives the content of a plan's attachments, checked against the digests in the plan.
pub trait Attachments: Send + Sync {
    /// Opens an attachment. Its digest was compared with the plan's before the first byte comes out.
    fn open(&self, attachment: &Attachment) -> Result<Box<dyn Read + '_>, PlanFolderError>;
}

/// Whether an application is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ApplyMode {
    /// Everything is done and then undone, or, where the source has no transactions, only checked; the report tells what
    /// would happen.
    Rehearsal,
    /// What is done stays.
    Lasting,
}

/// What applying a plan did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppliedReport {
    /// The plan that was applied.
    pub plan: PlanHash,
    /// Whether it is kept.
    pub mode: ApplyMode,
    /// The source's name for what was written: a transaction id.
    pub transaction: Option<String>,
    /// What each step did, in the plan's order.
    pub steps: Vec<AppliedStep>,
    /// The sums; `conflicts` are those that appeared after planning.
    pub counts: Counts,
    /// The first [`LISTED_MAX`] conflicts that appeared after planning.
    pub conflicts: Vec<Conflict>,
    /// What a person should know: checks made, triggers that fired.
    pub notes: Vec<String>,
}

/// What one step did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppliedStep {
    /// The step's number in the plan.
    pub number: u32,
    /// Rows, items or objects that it changed.
    pub changed: u64,
    /// Those that already were as they should be.
    pub unchanged: u64,
    /// Those that somebody changed since planning; they were left alone.
    pub conflicts: u64,
}

/// The result of reading the source again after a plan was applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verification {
    /// The plan that was verified.
    pub plan: PlanHash,
    /// What was compared, in the plan's order.
    pub checks: Vec<Check>,
}

/// One comparison between the source and the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// The step's number in the plan.
    pub step: u32,
    /// What was compared.
    pub target: String,
    /// How many rows, items or objects should be as planned.
    pub expected: u64,
    /// How many are.
    pub matched: u64,
    /// The first differences.
    pub differences: Vec<Conflict>,
}

impl Verification {
    /// Returns whether everything is as planned.
    pub fn is_good(&self) -> bool {
        self.checks.iter().all(|check| check.matched == check.expected)
    }
}

/// Why a plan was not applied or verified. Nothing of it was kept, except where the variant says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The plan or one of its attachments is not what was approved.
    #[error("the plan cannot be used")]
    Plan(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The credential may not do what the plan needs.
    #[error("the restore credential may not {what}")]
    Privilege {
        /// What it may not do.
        what: String,
        /// A statement that gives the right.
        grant: Option<String>,
        /// What the source answered.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// Applying would break rules of the source, such as foreign keys; everything was rolled back.
    #[error("applying would leave {} broken references", violations.len())]
    Broken {
        /// Each broken rule with the rows concerned.
        violations: Vec<Conflict>,
    },
    /// Somebody applies the same plan at this moment.
    #[error("the same plan is being applied already")]
    Busy,
    /// The connection was lost while the end was being made permanent: it may or may not have happened.
    #[error("the connection was lost during the commit; verify before anything else")]
    Unknown(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The source answered with an error. Everything was rolled back or, where the source has no transactions, what was
    /// done stays and applying again goes on from there.
    #[error("{message}")]
    Source {
        /// What failed, in the words of the connector.
        message: String,
        /// What a person can do.
        hint: Option<String>,
        /// Whether trying again later may succeed.
        transient: bool,
        /// What the source answered.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
}

impl WriteError {
    /// Returns what a person can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Privilege { grant, .. } => grant.clone(),
            Self::Source { hint, .. } => hint.clone(),
            Self::Broken { .. } => Some(
                "the rows that are referred to are gone, or others refer to what would be removed: make a new plan"
                    .to_owned(),
            ),
            Self::Busy => Some("wait for it to end".to_owned()),
            Self::Unknown(_) => Some("run the verification of this plan".to_owned()),
            Self::Plan(_) => None,
        }
    }
}

/// Applies approved plans to a source, with a credential of its own that the reader does not have.
pub trait SourceWriter {
    /// Applies a plan. Applying it twice, or again after it was killed, does nothing twice.
    fn apply(
        &mut self,
        plan: &Plan,
        attachments: &dyn Attachments,
        mode: ApplyMode,
        progress: &dyn Progress,
    ) -> Result<AppliedReport, WriteError>;

    /// Reads the source again and compares it with the plan.
    fn verify(
        &mut self,
        plan: &Plan,
        attachments: &dyn Attachments,
        progress: &dyn Progress,
    ) -> Result<Verification, WriteError>;
}
