//! Approvals: a person's signature over the hash of a plan.
//!
//! The plan's hash covers every step and every row, so what was approved is what is applied. A key is made by and stays
//! with a person; the configuration lists the public halves that count.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use connect::plan::PlanHash;
use model::Moment;
use ports::files::{self, FileError};
use serde::{Deserialize, Serialize};

use crate::signature::{self, SigningKey};

/// The folder of a plan's approvals, inside the plan's folder.
const FOLDER: &str = "approvals";

/// What these signatures are for.
const PURPOSE: &str = "unwipe/v1/approval";

/// Why an approval cannot be made or does not count.
#[derive(Debug, thiserror::Error)]
pub enum ApprovalError {
    /// Nobody whose signature counts has approved this plan.
    #[error("plan {plan} is not approved")]
    Missing {
        /// The plan's hash.
        plan: PlanHash,
        /// Its folder.
        folder: PathBuf,
    },
    /// No approver is configured, so no signature can count.
    #[error("no approver is configured")]
    NoApprovers {
        /// The plan's folder.
        folder: PathBuf,
    },
    /// A configured public key is not one.
    #[error("the public key of approver {name} is not 64 hexadecimal digits")]
    PublicKey {
        /// The approver.
        name: String,
    },
    /// An approval is not readable.
    #[error("{} is no approval", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// A file cannot be read or written.
    #[error("the approval cannot be read or written")]
    File(#[from] FileError),
}

impl ApprovalError {
    /// Returns what a person can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Missing { folder, .. } | Self::NoApprovers { folder } => {
                Some(format!("unwipe approve {}", folder.display()))
            }
            _ => None,
        }
    }
}

/// One person's signature over one plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// The hash of the plan.
    pub plan: PlanHash,
    /// When it was signed, by the approver's clock.
    pub at: Moment,
    /// The approver's public key.
    pub approver: String,
    /// The signature, in hexadecimal.
    pub signature: String,
}

impl Approval {
    /// Signs a plan.
    pub fn sign(key: &SigningKey, plan: PlanHash, at: Moment) -> Self {
        let signature = key.sign(PURPOSE, &message(plan, at));
        Self { plan, at, approver: key.public(), signature }
    }

    /// Writes the approval into the plan's folder.
    pub fn write(&self, plan_folder: &Path) -> Result<(), ApprovalError> {
        let folder = plan_folder.join(FOLDER);
        files::create_folder(&folder)?;
        let path = folder.join(format!("{}.json", &self.approver[..16]));
        let text = serde_json::to_vec_pretty(self)
            .map_err(|source| ApprovalError::Unreadable { path: path.clone(), source })?;
        Ok(files::replace(&path, &text)?)
    }

    fn holds(&self, plan: PlanHash, public: &str) -> bool {
        self.plan == plan && signature::holds(public, PURPOSE, &message(plan, self.at), &self.signature)
    }
}

/// Returns the names of the configured approvers whose signatures over this plan hold; none is an error.
pub fn approvers_of(
    plan: PlanHash,
    plan_folder: &Path,
    approvers: &BTreeMap<String, String>,
) -> Result<Vec<String>, ApprovalError> {
    if approvers.is_empty() {
        return Err(ApprovalError::NoApprovers { folder: plan_folder.to_owned() });
    }
    if let Some((name, _)) = approvers.iter().find(|(_, public)| !signature::is_public_key(public)) {
        return Err(ApprovalError::PublicKey { name: name.clone() });
    }
    let approvals = read_all(&plan_folder.join(FOLDER))?;
    let approved = |public: &str| approvals.iter().any(|approval| approval.holds(plan, public));
    let names: Vec<String> =
        approvers.iter().filter(|(_, public)| approved(public)).map(|(name, _)| name.clone()).collect();
    if names.is_empty() {
        return Err(ApprovalError::Missing { plan, folder: plan_folder.to_owned() });
    }
    Ok(names)
}

fn read_all(folder: &Path) -> Result<Vec<Approval>, ApprovalError> {
    let mut approvals = Vec::new();
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(approvals),
        Err(error) => return Err(FileError::new("list", folder, error).into()),
    };
    for entry in entries {
        let path = entry.map_err(|error| FileError::new("list", folder, error))?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let approval = serde_json::from_slice(&files::read(&path)?)
                .map_err(|source| ApprovalError::Unreadable { path, source })?;
            approvals.push(approval);
        }
    }
    Ok(approvals)
}

fn message(plan: PlanHash, at: Moment) -> Vec<u8> {
    [&plan.0[..], &at.as_micros().to_le_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use ports::SeededRandom;

    use super::*;

    const PLAN: PlanHash = PlanHash([7; 32]);
    const OTHER: PlanHash = PlanHash([8; 32]);

    fn key(folder: &Path, name: &str, random: &SeededRandom) -> SigningKey {
        SigningKey::create(&folder.join(name), random).unwrap()
    }

    #[test]
    fn only_a_listed_person_s_signature_over_this_very_plan_counts() {
        let folder = tempfile::tempdir().unwrap();
        let random = SeededRandom::new(1);
        let anna = key(folder.path(), "anna.key", &random);
        let eve = key(folder.path(), "eve.key", &random);
        let listed = BTreeMap::from([("anna".to_owned(), anna.public())]);
        let asked = |plan| approvers_of(plan, folder.path(), &listed);
        let sign =
            |key, plan| Approval::sign(key, plan, Moment::from_micros(1)).write(folder.path()).unwrap();

        assert!(matches!(asked(PLAN), Err(ApprovalError::Missing { .. })));
        sign(&eve, PLAN);
        assert!(matches!(asked(PLAN), Err(ApprovalError::Missing { .. })), "a stranger's signature counted");
        sign(&anna, OTHER);
        assert!(matches!(asked(PLAN), Err(ApprovalError::Missing { .. })), "another plan's approval counted");
        sign(&anna, PLAN);
        assert_eq!(asked(PLAN).unwrap(), ["anna"]);
        assert!(matches!(asked(OTHER), Err(ApprovalError::Missing { .. })));
    }

    #[test]
    fn a_changed_approval_does_not_hold() {
        let folder = tempfile::tempdir().unwrap();
        let anna = key(folder.path(), "anna.key", &SeededRandom::new(1));
        let listed = BTreeMap::from([("anna".to_owned(), anna.public())]);
        let mut approval = Approval::sign(&anna, PLAN, Moment::from_micros(1));
        approval.at = Moment::from_micros(2);
        approval.write(folder.path()).unwrap();
        assert!(approvers_of(PLAN, folder.path(), &listed).is_err());
    }

    #[test]
    fn without_approvers_nothing_counts() {
        let folder = tempfile::tempdir().unwrap();
        let nobody = BTreeMap::new();
        assert!(matches!(approvers_of(PLAN, folder.path(), &nobody), Err(ApprovalError::NoApprovers { .. })));
    }
}
