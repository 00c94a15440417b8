//! Cases as files: one JSON document each, replaced as one step, only over the version that a step was made from.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use approvals::{Case, CaseId, Subject, SubjectHash};
use connect::plan::PlanHash;
use ports::files::{self, FileError};
use serde::{Serialize, de::DeserializeOwned};

use super::{CaseError, Step};
use crate::documents::documents;

const CASES: &str = "cases";
const UNRECORDED: &str = "unrecorded";
const CLAIMS: &str = "claims";
/// What each case is about, beside it: a case that is damaged must hinder only what it may be about.
const ABOUT: &str = "about";
const LOCK: &str = "lock";

/// A file that is no case, and what is wrong with it.
type Damaged = (PathBuf, serde_json::Error);

/// The folder `state/cases` of an installation.
#[derive(Debug, Clone)]
pub struct CaseStore {
    folder: PathBuf,
}

impl CaseStore {
    /// Names the folder of an installation; it is made with the first case.
    pub fn of(home: &Path) -> Self {
        Self { folder: home.join("state/cases") }
    }

    /// Returns every case that can be read, the oldest first, as it was written: whether time has made one lapse is not
    /// looked at. [`Self::damaged`] names the others.
    pub fn all(&self) -> Result<Vec<Case>, CaseError> {
        Ok(self.sorted()?.0)
    }

    /// Returns the files that are no cases.
    pub fn damaged(&self) -> Result<Vec<PathBuf>, CaseError> {
        Ok(self.sorted()?.1.into_iter().map(|(path, _)| path).collect())
    }

    /// Returns the cases in which a plan is to be applied, the oldest first. A damaged one of which it is not known that it
    /// is about something else is an error: it may say that the plan was refused.
    pub fn of_plan(&self, plan: PlanHash) -> Result<Vec<Case>, CaseError> {
        let subject = SubjectHash::of_plan(plan).to_string();
        let (cases, damaged) = self.sorted()?;
        for (path, source) in damaged {
            let about = self.about_path(&path.file_stem().unwrap_or_default().to_string_lossy());
            let about = if about.exists() { Some(files::read_text(&about)?) } else { None };
            if about.is_none_or(|about| !is_hash(about.trim()) || about.trim() == subject) {
                return Err(CaseError::Damaged { path, source });
            }
        }
        let is_about =
            |case: &Case| matches!(&case.subject, Subject::Restore { plan: about, .. } if *about == plan);
        Ok(cases.into_iter().filter(is_about).collect())
    }

    /// Returns what can be read, and what cannot and why.
    fn sorted(&self) -> Result<(Vec<Case>, Vec<Damaged>), CaseError> {
        let (mut cases, mut damaged) = (Vec::new(), Vec::new());
        for path in documents(&self.folder.join(CASES))? {
            match read::<Case>(&path) {
                Ok(case) => cases.push(case),
                Err(CaseError::Damaged { path, source }) => damaged.push((path, source)),
                Err(error) => return Err(error),
            }
        }
        cases.sort_by(|a, b| (a.requested_at, &a.id).cmp(&(b.requested_at, &b.id)));
        Ok((cases, damaged))
    }

    /// Returns one case, as it was written.
    pub fn get(&self, id: &CaseId) -> Result<Case, CaseError> {
        let path = self.path(id);
        if path.exists() { read(&path) } else { Err(CaseError::NoCase { id: id.to_string() }) }
    }

    /// Waits until no other process or thread changes cases; they wait until the answer is dropped.
    pub(super) fn lock(&self) -> Result<File, CaseError> {
        files::create_folder(&self.folder)?;
        let path = self.folder.join(LOCK);
        let opened = File::options().create(true).truncate(false).write(true).open(&path);
        let file = opened.map_err(|error| FileError::new("open", &path, error))?;
        file.lock().map_err(|error| FileError::new("lock", &path, error))?;
        Ok(file)
    }

    /// Makes the caller the only one who applies a case; `None` when somebody does.
    pub(super) fn claim(&self, id: &CaseId) -> Result<Option<File>, CaseError> {
        let folder = self.folder.join(CLAIMS);
        files::create_folder(&folder)?;
        Ok(files::claim(&folder.join(id.as_str()))?)
    }

    /// Makes the caller the only one who writes steps to the vault; `None` when somebody does.
    pub(super) fn claim_recording(&self) -> Result<Option<File>, CaseError> {
        Ok(files::claim(&self.folder.join("recording"))?)
    }

    /// Writes what a step made of a case, over the very version that it was made from; under the lock.
    ///
    /// That the step is to be recorded is written before: after a crash in between, it is found not to have happened.
    pub(super) fn set(&self, before: Option<u64>, step: &Step) -> Result<(), CaseError> {
        let path = self.path(&step.case.id);
        let found = if path.exists() { Some(read::<Case>(&path)?.version) } else { None };
        if found != before {
            return Err(CaseError::Changed { id: step.case.id.clone() });
        }
        files::create_folder(&self.folder.join(UNRECORDED))?;
        files::create_folder(&self.folder.join(CASES))?;
        if before.is_none() {
            files::create_folder(&self.folder.join(ABOUT))?;
            let about = self.about_path(step.case.id.as_str());
            files::replace(&about, step.case.subject.hash().to_string().as_bytes())?;
        }
        write(&self.unrecorded_path(step), step)?;
        write(&path, &step.case)
    }

    /// Returns the steps that are not in the vault yet, each case's in order; under the lock.
    pub(super) fn unrecorded(&self) -> Result<Vec<Step>, CaseError> {
        let mut steps: Vec<Step> = Vec::new();
        for path in documents(&self.folder.join(UNRECORDED))? {
            let step: Step = match read(&path) {
                Ok(step) => step,
                // The others are recorded all the same.
                Err(CaseError::Damaged { .. }) => continue,
                Err(error) => return Err(error),
            };
            let reached = match self.get(&step.case.id) {
                Ok(case) => case.version,
                Err(CaseError::NoCase { .. }) => 0,
                // Whether the step happened is not known as long as its case cannot be read.
                Err(CaseError::Damaged { .. }) => continue,
                Err(error) => return Err(error),
            };
            // It was announced, and then the machine died: it never happened.
            if reached < step.case.version {
                self.forget_unrecorded(&step)?;
            } else {
                steps.push(step);
            }
        }
        steps.sort_by_key(|step| (step.case.seen, step.case.version));
        Ok(steps)
    }

    /// Removes what says that a step is not in the vault.
    pub(super) fn forget_unrecorded(&self, step: &Step) -> Result<(), CaseError> {
        let path = self.unrecorded_path(step);
        Ok(std::fs::remove_file(&path).map_err(|error| FileError::new("remove", &path, error))?)
    }

    fn path(&self, id: &CaseId) -> PathBuf {
        self.folder.join(CASES).join(format!("{id}.json"))
    }

    fn about_path(&self, id: &str) -> PathBuf {
        self.folder.join(ABOUT).join(id)
    }

    fn unrecorded_path(&self, step: &Step) -> PathBuf {
        self.folder.join(UNRECORDED).join(format!("{}.{}.json", step.case.id, step.case.version))
    }
}

fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T, CaseError> {
    serde_json::from_slice(&files::read(path)?)
        .map_err(|source| CaseError::Damaged { path: path.to_owned(), source })
}

fn write<T: Serialize>(path: &Path, document: &T) -> Result<(), CaseError> {
    let text = serde_json::to_vec_pretty(document)
        .map_err(|source| CaseError::Damaged { path: path.to_owned(), source })?;
    Ok(files::replace(path, &text)?)
}
