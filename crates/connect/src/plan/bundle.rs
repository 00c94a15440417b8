//! One plan over several sources: a document that names plans, and a folder that holds them.
//!
//! Each part is an ordinary plan in a folder of its own. The bundle names them by their hashes, so that its own hash
//! covers every step and row of all of them: one approval counts for the whole, and for nothing else.

use std::{collections::BTreeMap, path::Path};

use model::Moment;
use ports::files;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    AppliedReport, Counts, Plan, PlanError, PlanFolder, PlanFolderError, PlanHash, Verification,
    canonical_json, is_inside,
};

/// The newest format of bundles; one of another format is refused.
pub const BUNDLE_FORMAT: u32 = 1;

/// The file in which a bundle's folder keeps which parts are done.
const DONE: &str = "applied-parts.json";

/// Tells a bundle's document from a plan's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DocumentKind {
    /// A bundle.
    #[default]
    Bundle,
}

/// One plan of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundlePart {
    /// Its folder, below the bundle's.
    pub folder: String,
    /// Its hash.
    pub plan: PlanHash,
    /// The protected source.
    pub source: String,
    /// Where it is applied: a database, an account.
    pub destination: String,
    /// What it undoes, as one line for people.
    pub title: String,
    /// Its sums.
    pub counts: Counts,
}

impl BundlePart {
    /// Describes a plan that was written into a folder below the bundle's.
    pub fn of(folder: &str, plan: &Plan) -> Result<Self, PlanError> {
        Ok(Self {
            folder: folder.to_owned(),
            plan: plan.hash()?,
            source: plan.source.clone(),
            destination: plan.destination.clone(),
            title: plan.subject.title.clone(),
            counts: plan.counts,
        })
    }
}

/// Several plans that are approved as one and applied one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    /// What kind of document this is.
    pub kind: DocumentKind,
    /// The format of this document: [`BUNDLE_FORMAT`].
    pub format: u32,
    /// The name people use for it.
    pub id: String,
    /// One line for people: `what cursor-agent did from … to …`.
    pub title: String,
    /// When it was planned.
    pub made_at: Moment,
    /// The plans, in the order in which they are applied.
    pub parts: Vec<BundlePart>,
    /// The sums of all parts.
    pub counts: Counts,
    /// What a person should know before approving: what was left out, and why.
    pub notes: Vec<String>,
}

impl Bundle {
    /// Puts plans together.
    pub fn new(
        id: String,
        title: String,
        made_at: Moment,
        parts: Vec<BundlePart>,
        notes: Vec<String>,
    ) -> Self {
        let counts = parts.iter().fold(Counts::default(), |sum, part| sum.plus(part.counts));
        Self { kind: DocumentKind::Bundle, format: BUNDLE_FORMAT, id, title, made_at, parts, counts, notes }
    }

    /// Returns the bytes that are hashed, approved and stored: JSON with sorted keys and without spaces.
    pub fn canonical_bytes(&self) -> Result<Vec<u8>, PlanError> {
        let value = serde_json::to_value(self).map_err(PlanError::Encode)?;
        Ok(canonical_json(&value).into_bytes())
    }

    /// Returns the hash that approval signs.
    pub fn hash(&self) -> Result<PlanHash, PlanError> {
        Ok(PlanHash(*blake3::hash(&self.canonical_bytes()?).as_bytes()))
    }

    fn from_value(value: Value) -> Result<Self, PlanError> {
        let format = value.get("format").and_then(Value::as_u64).unwrap_or(0);
        if format != u64::from(BUNDLE_FORMAT) {
            return Err(PlanError::Format { found: format });
        }
        let bundle: Self = serde_json::from_value(value).map_err(PlanError::Decode)?;
        let outside = |part: &&BundlePart| !is_inside(&part.folder) || part.folder.contains('/');
        match bundle.parts.iter().find(outside) {
            Some(part) => Err(PlanError::AttachmentName { name: part.folder.clone() }),
            None => Ok(bundle),
        }
    }
}

/// What a plan's folder holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document {
    /// A plan.
    Plan(Box<Plan>),
    /// Several plans that are one.
    Bundle(Bundle),
}

impl Document {
    /// Reads a document of either kind, and refuses what [`Plan::from_bytes`] refuses.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PlanError> {
        let value: Value = serde_json::from_slice(bytes).map_err(PlanError::Decode)?;
        if value.get("kind").is_some() {
            return Bundle::from_value(value).map(Self::Bundle);
        }
        Plan::from_bytes(bytes).map(|plan| Self::Plan(Box::new(plan)))
    }

    /// Returns the hash that approval signs.
    pub fn hash(&self) -> Result<PlanHash, PlanError> {
        match self {
            Self::Plan(plan) => plan.hash(),
            Self::Bundle(bundle) => bundle.hash(),
        }
    }
}

/// What came of a part that was applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartOutcome {
    /// What applying it did.
    pub applied: AppliedReport,
    /// What reading the source again showed.
    pub verification: Option<Verification>,
}

/// Which parts of a bundle are done, kept in its folder: after a kill, applying goes on with the others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DoneParts {
    done: BTreeMap<PlanHash, PartOutcome>,
}

impl DoneParts {
    /// Reads what is done; nothing where nothing was applied yet.
    pub fn read(bundle: &PlanFolder) -> Result<Self, PlanFolderError> {
        let path = bundle.path().join(DONE);
        if !path.exists() {
            return Ok(Self::default());
        }
        let bytes = files::read(&path)?;
        let done =
            serde_json::from_slice(&bytes).map_err(|error| document(&path, PlanError::Decode(error)))?;
        Ok(Self { done })
    }

    /// Returns what came of a part that is done.
    pub fn outcome(&self, part: PlanHash) -> Option<&PartOutcome> {
        self.done.get(&part)
    }

    /// Says durably that a part is done.
    pub fn add(
        &mut self,
        bundle: &PlanFolder,
        part: PlanHash,
        outcome: PartOutcome,
    ) -> Result<(), PlanFolderError> {
        self.done.insert(part, outcome);
        let path = bundle.path().join(DONE);
        let bytes = serde_json::to_vec_pretty(&self.done)
            .map_err(|error| document(&path, PlanError::Encode(error)))?;
        Ok(files::replace(&path, &bytes)?)
    }
}

fn document(path: &Path, source: PlanError) -> PlanFolderError {
    PlanFolderError::Document { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::plan::{ApplyMode, tests::plan};

    fn bundle(folder: &PlanFolder) -> Bundle {
        let parts = ["shop", "acme"].map(|source| {
            let mut plan = plan();
            plan.source = source.to_owned();
            plan.counts.inserted = 2;
            folder.part(source).write(&plan).unwrap();
            BundlePart::of(source, &plan).unwrap()
        });
        let notes = vec!["somebody unknown was active too".to_owned()];
        Bundle::new("b1".to_owned(), "what bot did".to_owned(), Moment::from_micros(1), parts.to_vec(), notes)
    }

    #[test]
    fn one_hash_covers_all_parts() {
        let root = tempfile::tempdir().unwrap();
        let folder = PlanFolder::new(root.path().join("b1"));
        let bundle = bundle(&folder);
        assert_eq!(bundle.counts.inserted, 4);
        let hash = folder.write_bundle(&bundle).unwrap();
        let read = folder.read_document(Some(hash)).unwrap();
        assert_eq!(read, Document::Bundle(bundle.clone()));
        assert_eq!(read.hash().unwrap(), hash);
        let mut other = bundle.clone();
        other.parts[1].plan = PlanHash([1; 32]);
        assert_ne!(other.hash().unwrap(), hash);
        assert!(folder.part("acme").read(Some(bundle.parts[1].plan)).is_ok());
        // A part that is exchanged is not the one that was approved.
        ports::files::replace(&folder.path().join("acme/plan.json"), &plan().canonical_bytes().unwrap())
            .unwrap();
        let exchanged = folder.part("acme").read(Some(bundle.parts[1].plan));
        assert!(matches!(exchanged, Err(PlanFolderError::Changed { .. })));
        // A plan is a document, too, and a bundle is no plan.
        assert!(matches!(folder.part("shop").read_document(None), Ok(Document::Plan(_))));
        assert!(folder.read(None).is_err());
    }

    #[test]
    fn foreign_paths_and_other_formats_are_refused() {
        let root = tempfile::tempdir().unwrap();
        let bundle = bundle(&PlanFolder::new(root.path().join("b1")));
        for folder in ["..", "a/b", "/etc", ""] {
            let mut bad = bundle.clone();
            bad.parts[0].folder = folder.to_owned();
            let refused = Document::from_bytes(&bad.canonical_bytes().unwrap());
            assert!(matches!(refused, Err(PlanError::AttachmentName { .. })), "{folder}");
        }
        let mut value = serde_json::to_value(&bundle).unwrap();
        value["format"] = json!(2);
        assert!(matches!(
            Document::from_bytes(value.to_string().as_bytes()),
            Err(PlanError::Format { found: 2 })
        ));
    }

    #[test]
    fn what_is_done_is_remembered() {
        let root = tempfile::tempdir().unwrap();
        let folder = PlanFolder::new(root.path().join("b1"));
        let bundle = bundle(&folder);
        let part = bundle.parts[0].plan;
        let mut done = DoneParts::read(&folder).unwrap();
        assert!(done.outcome(part).is_none());
        let applied = AppliedReport {
            plan: part,
            mode: ApplyMode::Lasting,
            transaction: None,
            steps: Vec::new(),
            counts: Counts::default(),
            conflicts: Vec::new(),
            notes: Vec::new(),
        };
        done.add(&folder, part, PartOutcome { applied, verification: None }).unwrap();
        let read = DoneParts::read(&folder).unwrap();
        assert_eq!(read, done);
        assert!(read.outcome(part).is_some() && read.outcome(bundle.parts[1].plan).is_none());
    }
}
