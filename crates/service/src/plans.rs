//! The plans of an installation, by their hashes; and what came of them.

mod sample;
#[cfg(test)]
mod tests;
mod words;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use connect::plan::{Document, Plan, PlanError, PlanFolder, PlanFolderError, PlanHash};
use ports::files::{self, FileError};

pub use self::{
    sample::{Cell, SAMPLE_BYTES_MAX, SAMPLE_ROWS_MAX, Sample, SampleRow, sample},
    words::{as_planned, noun, sums, title},
};
use crate::{
    cases::{CaseError, CaseStore},
    workshop::AppliedRestore,
};

/// Where plans lie that nobody named a folder for.
const PLANS: &str = "plans";
const DOCUMENT: &str = "plan.json";
/// What came of applying a plan, beside it: a note for people, not a proof.
const OUTCOME: &str = "outcome.json";

/// Why a plan cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum PlansError {
    /// No folder holds it.
    #[error("there is no plan {hash}")]
    NoPlan {
        /// The hash asked for.
        hash: PlanHash,
    },
    /// Its folder cannot be used, or holds something else by now.
    #[error("the plan cannot be used")]
    Folder(#[from] PlanFolderError),
    /// It has no hash.
    #[error("the plan cannot be used")]
    Document(#[from] PlanError),
    /// What came of it is not readable.
    #[error("{} is damaged", path.display())]
    Outcome {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// The cases, which name plans as well, cannot be read.
    #[error("the cases cannot be read")]
    Cases(#[source] Box<CaseError>),
    /// A file cannot be read.
    #[error("the plans cannot be read")]
    File(#[from] FileError),
}

impl PlansError {
    /// Returns what a person can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoPlan { .. } => Some("unwipe rewind makes a plan".to_owned()),
            Self::Folder(PlanFolderError::Changed { .. }) => {
                Some("the plan was changed after it was made: make a new one".to_owned())
            }
            _ => None,
        }
    }
}

/// A plan that was found.
#[derive(Debug, Clone)]
pub struct Found {
    /// Its folder.
    pub folder: PlanFolder,
    /// Its document, which has the hash that was asked for.
    pub document: Document,
    /// The plans themselves, each with the folder of its attachments: one, or the parts of a bundle.
    pub parts: Vec<(PlanFolder, Plan)>,
}

impl Found {
    /// Reads the parts of a document from its folder.
    pub fn of(folder: PlanFolder, document: Document) -> Result<Self, PlanFolderError> {
        let parts = match &document {
            Document::Plan(plan) => vec![(folder.clone(), (**plan).clone())],
            Document::Bundle(bundle) => {
                let part = |part: &connect::plan::BundlePart| {
                    let folder = folder.part(&part.folder);
                    let plan = folder.read(Some(part.plan))?;
                    Ok((folder, plan))
                };
                bundle.parts.iter().map(part).collect::<Result<_, PlanFolderError>>()?
            }
        };
        Ok(Self { folder, document, parts })
    }

    /// Returns the plans without their folders.
    pub fn plans(&self) -> Vec<Plan> {
        self.parts.iter().map(|(_, plan)| plan.clone()).collect()
    }

    /// Returns what people call it: `Undo incident 1: put back 1,500 rows of public.orders`.
    pub fn title(&self) -> String {
        title(&self.document, &self.plans())
    }
}

/// Returns the folder of a plan that somebody names: the folder itself, or, where there is none, the one of that name among
/// the plans of a home folder.
pub fn folder_named(home: &Path, named: &Path) -> PathBuf {
    let plain = named.components().count() == 1 && named.file_name().is_some();
    let kept = home.join(PLANS).join(named);
    if plain && !named.join(DOCUMENT).is_file() && kept.join(DOCUMENT).is_file() {
        kept
    } else {
        named.to_owned()
    }
}

/// Returns the shortest name by which a plan's folder is found: its own where it is among the plans of the home folder.
pub fn name_of(home: &Path, folder: &Path) -> String {
    let own = folder.strip_prefix(home.join(PLANS)).ok().filter(|name| name.components().count() == 1);
    own.unwrap_or(folder).to_string_lossy().into_owned()
}

/// Finds plans by their hashes. A plan is never changed, so that what was seen once is not read again until it is asked
/// for.
pub struct Plans {
    home: PathBuf,
    known: Mutex<BTreeMap<PathBuf, PlanHash>>,
}

impl Plans {
    /// Names the plans of a home folder.
    pub fn of(home: &Path) -> Self {
        Self { home: home.to_owned(), known: Mutex::default() }
    }

    /// Returns the plan that has this hash; one that was changed since is an error.
    pub fn find(&self, hash: PlanHash) -> Result<Found, PlansError> {
        let folder = PlanFolder::new(self.folder(hash)?);
        let document = folder.read_document(Some(hash))?;
        Ok(Found::of(folder, document)?)
    }

    fn folder(&self, hash: PlanHash) -> Result<PathBuf, PlansError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |known: &BTreeMap<PathBuf, PlanHash>| {
            known.iter().find(|(_, its)| **its == hash).map(|(path, _)| path.clone())
        };
        if let Some(path) = of(&known) {
            return Ok(path);
        }
        self.look(&mut known)?;
        if let Some(path) = of(&known) {
            return Ok(path);
        }
        drop(known);
        // A plan that somebody made elsewhere is known by the case that they opened for it.
        let cases = CaseStore::of(&self.home).of_plan(hash);
        let cases = cases.map_err(|error| PlansError::Cases(Box::new(error)))?;
        let folder = cases.into_iter().find_map(|case| match case.subject {
            approvals::Subject::Restore { folder, .. } => Some(PathBuf::from(folder)),
            approvals::Subject::Weakening(_) => None,
        });
        folder.ok_or(PlansError::NoPlan { hash })
    }

    /// Takes in the plans that were made since.
    fn look(&self, known: &mut BTreeMap<PathBuf, PlanHash>) -> Result<(), PlansError> {
        let root = self.home.join(PLANS);
        let entries = match std::fs::read_dir(&root) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(FileError::new("list", &root, error).into()),
        };
        for entry in entries {
            let folder = entry.map_err(|error| FileError::new("list", &root, error))?.path();
            let document = folder.join(DOCUMENT);
            // One that is being made has no document yet.
            if known.contains_key(&folder) || !document.is_file() {
                continue;
            }
            let hash = PlanHash(*blake3::hash(&files::read(&document)?).as_bytes());
            known.insert(folder, hash);
        }
        Ok(())
    }
}

/// Notes beside a plan what came of applying it.
pub fn keep_outcome(folder: &Path, outcome: &AppliedRestore) -> Result<(), PlansError> {
    let path = folder.join(OUTCOME);
    let text = serde_json::to_vec_pretty(outcome)
        .map_err(|source| PlansError::Outcome { path: path.clone(), source })?;
    Ok(files::replace(&path, &text)?)
}

/// Returns what came of applying a plan, where that was noted.
pub fn outcome(folder: &Path) -> Result<Option<AppliedRestore>, PlansError> {
    let path = folder.join(OUTCOME);
    if !path.exists() {
        return Ok(None);
    }
    serde_json::from_slice(&files::read(&path)?)
        .map(Some)
        .map_err(|source| PlansError::Outcome { path, source })
}
