//! Approvals: a person's signature over the hash of a plan.
//!
//! The plan's hash covers every step and every row, so what was approved is what is applied. A key is made by and stays
//! with a person; the configuration lists the public halves that count.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use connect::plan::PlanHash;
use model::Moment;
use ports::{
    Random,
    files::{self, FileError},
};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde::{Deserialize, Serialize};

/// The folder of a plan's approvals, inside the plan's folder.
const FOLDER: &str = "approvals";

/// What is signed begins with this, so that a signature made for something else never counts here.
const CONTEXT: &[u8] = b"unwipe/v1/approval";

/// Why an approval cannot be made or does not count.
#[derive(Debug, thiserror::Error)]
pub enum ApprovalError {
    /// The key file is not one.
    #[error("{} is no approval key", path.display())]
    Key {
        /// The file.
        path: PathBuf,
    },
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
    NoApprovers,
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
            Self::Missing { folder, .. } => Some(format!("unwipe approve {}", folder.display())),
            Self::NoApprovers => Some("unwipe approve PLAN prints the lines for the configuration".to_owned()),
            _ => None,
        }
    }
}

/// The key of a person who approves.
pub struct ApprovalKey {
    pair: Ed25519KeyPair,
}

impl fmt::Debug for ApprovalKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApprovalKey").field("public", &self.public()).finish_non_exhaustive()
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

impl ApprovalKey {
    /// Makes a new key and writes it to a file that only its owner may read.
    pub fn create(path: &Path, random: &dyn Random) -> Result<Self, ApprovalError> {
        let mut seed = [0; 32];
        random.fill(&mut seed);
        let key = Self::from_seed(&seed).ok_or_else(|| ApprovalError::Key { path: path.to_owned() })?;
        if let Some(folder) = path.parent() {
            files::create_folder(folder)?;
        }
        files::create_new(path, format!("{}\n", hex(&seed)).as_bytes(), 0o600)?;
        Ok(key)
    }

    /// Reads a key from its file.
    pub fn read(path: &Path) -> Result<Self, ApprovalError> {
        let text = files::read_text(path)?;
        unhex(text.trim())
            .and_then(|seed| Self::from_seed(&seed))
            .ok_or_else(|| ApprovalError::Key { path: path.to_owned() })
    }

    fn from_seed(seed: &[u8; 32]) -> Option<Self> {
        Ed25519KeyPair::from_seed_unchecked(seed).ok().map(|pair| Self { pair })
    }

    /// Returns the public half as the configuration lists it.
    pub fn public(&self) -> String {
        hex(self.pair.public_key().as_ref())
    }

    /// Signs a plan.
    pub fn approve(&self, plan: PlanHash, at: Moment) -> Approval {
        let signature = self.pair.sign(&message(plan, at));
        Approval { plan, at, approver: self.public(), signature: hex(signature.as_ref()) }
    }
}

impl Approval {
    /// Writes the approval into the plan's folder.
    pub fn write(&self, plan_folder: &Path) -> Result<(), ApprovalError> {
        let folder = plan_folder.join(FOLDER);
        files::create_folder(&folder)?;
        let path = folder.join(format!("{}.json", &self.approver[..16]));
        let text = serde_json::to_vec_pretty(self)
            .map_err(|source| ApprovalError::Unreadable { path: path.clone(), source })?;
        Ok(files::replace(&path, &text)?)
    }

    fn holds(&self, plan: PlanHash, public: &[u8]) -> bool {
        let Some(signature) = unhex::<64>(&self.signature) else { return false };
        self.plan == plan
            && UnparsedPublicKey::new(&ED25519, public).verify(&message(plan, self.at), &signature).is_ok()
    }
}

/// Returns the names of the configured approvers whose signatures over this plan hold; none is an error.
pub fn approvers_of(
    plan: PlanHash,
    plan_folder: &Path,
    approvers: &BTreeMap<String, String>,
) -> Result<Vec<String>, ApprovalError> {
    if approvers.is_empty() {
        return Err(ApprovalError::NoApprovers);
    }
    let approvals = read_all(&plan_folder.join(FOLDER))?;
    let mut names = Vec::new();
    for (name, public) in approvers {
        let key = unhex::<32>(public).ok_or_else(|| ApprovalError::PublicKey { name: name.clone() })?;
        if approvals.iter().any(|approval| approval.holds(plan, &key)) {
            names.push(name.clone());
        }
    }
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
    [CONTEXT, &plan.0, &at.as_micros().to_le_bytes()].concat()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let text = text.as_bytes();
    if text.len() != 2 * N || !text.is_ascii() {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, digits) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use ports::SeededRandom;

    use super::*;

    const PLAN: PlanHash = PlanHash([7; 32]);
    const OTHER: PlanHash = PlanHash([8; 32]);

    #[test]
    fn only_a_listed_person_s_signature_over_this_very_plan_counts() {
        let folder = tempfile::tempdir().unwrap();
        let random = SeededRandom::new(1);
        let anna = ApprovalKey::create(&folder.path().join("anna.key"), &random).unwrap();
        let eve = ApprovalKey::create(&folder.path().join("eve.key"), &random).unwrap();
        let listed = BTreeMap::from([("anna".to_owned(), anna.public())]);
        let asked = |plan| approvers_of(plan, folder.path(), &listed);

        assert!(matches!(asked(PLAN), Err(ApprovalError::Missing { .. })));
        eve.approve(PLAN, Moment::from_micros(1)).write(folder.path()).unwrap();
        assert!(matches!(asked(PLAN), Err(ApprovalError::Missing { .. })), "a stranger's signature counted");
        anna.approve(OTHER, Moment::from_micros(1)).write(folder.path()).unwrap();
        assert!(matches!(asked(PLAN), Err(ApprovalError::Missing { .. })), "another plan's approval counted");
        anna.approve(PLAN, Moment::from_micros(1)).write(folder.path()).unwrap();
        assert_eq!(asked(PLAN).unwrap(), ["anna"]);
        assert!(matches!(asked(OTHER), Err(ApprovalError::Missing { .. })));
    }

    #[test]
    fn a_changed_approval_does_not_hold() {
        let folder = tempfile::tempdir().unwrap();
        let anna = ApprovalKey::create(&folder.path().join("anna.key"), &SeededRandom::new(1)).unwrap();
        let listed = BTreeMap::from([("anna".to_owned(), anna.public())]);
        let mut approval = anna.approve(PLAN, Moment::from_micros(1));
        approval.at = Moment::from_micros(2);
        approval.write(folder.path()).unwrap();
        assert!(approvers_of(PLAN, folder.path(), &listed).is_err());
    }

    #[test]
    fn the_key_file_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("anna.key");
        let made = ApprovalKey::create(&path, &SeededRandom::new(1)).unwrap();
        assert_eq!(ApprovalKey::read(&path).unwrap().public(), made.public());
    }
}
