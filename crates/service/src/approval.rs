//! Approvals: signatures of people over the hash of a plan.
//!
//! The plan's hash covers every step and every row, so what was approved is what is applied. A key is made by and stays
//! with a person; the configuration lists the public halves that count, and accounts have passkeys. So many distinct
//! people as the configuration asks for must have signed, and never the one who asked for the plan.

mod people;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use approvals::{CaseId, Decision, Principal, SubjectHash, Verifier, same_person, statement};
use connect::plan::PlanHash;
use model::Moment;
use ports::files::{self, FileError};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

pub use self::people::{Holder, NoPasskeys, Passkeys, People, Proof, ProofError};
use crate::{
    Installation,
    cases::{CaseError, CaseStore},
    documents::documents,
    signature::{self, SigningKey},
};

/// The folder of a plan's approvals, inside the plan's folder.
const FOLDER: &str = "approvals";

/// Who asked for approval of a plan, inside the plan's folder.
const REQUEST: &str = "request.json";

/// What these signatures are for.
const PURPOSE: &str = "unwipe/v1/approval";

/// Why an approval cannot be made or does not count.
#[derive(Debug, thiserror::Error)]
pub enum ApprovalError {
    /// Too few of those whose signatures count have approved this plan.
    #[error("{}", missing_sentence(*plan, given, *needed, missing))]
    Missing {
        /// The plan's hash.
        plan: PlanHash,
        /// Its folder.
        folder: PathBuf,
        /// Who approved.
        given: Vec<String>,
        /// So many must.
        needed: usize,
        /// Who has not approved and may.
        missing: Vec<String>,
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
    /// Who asked for the plan is not known, because cases cannot be read.
    #[error("it cannot be seen who asked for this plan")]
    Cases(#[source] Box<CaseError>),
    /// A file cannot be read or written.
    #[error("the approval cannot be read or written")]
    File(#[from] FileError),
}

fn missing_sentence(plan: PlanHash, given: &[String], needed: usize, missing: &[String]) -> String {
    let missing = if missing.is_empty() { "nobody else may approve".to_owned() } else { missing.join(", ") };
    let given = given.len();
    format!("plan {plan} is not approved: {given} of {needed} approvals; missing: {missing}")
}

impl ApprovalError {
    /// Returns what a person can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Missing { folder, .. } | Self::NoApprovers { folder } => {
                Some(format!("unwipe approve {}", folder.display()))
            }
            Self::Cases(error) => error.hint(),
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
        write(plan_folder, &format!("{}.json", &self.approver[..16]), self)
    }

    fn holds(&self, plan: PlanHash, public: &str) -> bool {
        self.plan == plan && signature::holds(public, PURPOSE, &message(plan, self.at), &self.signature)
    }
}

/// One person's word on a case, whose subject is a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseApproval {
    /// The case.
    pub case: CaseId,
    /// The hash of the plan.
    pub plan: PlanHash,
    /// The signature over the approval of the case.
    pub proof: Proof,
}

impl CaseApproval {
    /// Writes the approval of a person into the plan's folder.
    pub fn write(&self, plan_folder: &Path, person: &str) -> Result<(), ApprovalError> {
        // The person's name may hold anything; its hash is a file name.
        let name = blake3::hash(person.to_lowercase().as_bytes()).to_hex();
        write(plan_folder, &format!("{}-{}.json", self.case, &name[..16]), self)
    }
}

/// What lies in the folder of approvals.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Stored {
    Plan(Approval),
    Case(CaseApproval),
}

/// Who asked for approval of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The case.
    pub case: CaseId,
    /// Who asked.
    pub requested_by: Principal,
    /// When.
    pub requested_at: Moment,
}

impl Request {
    /// Writes into a plan's folder who asked for it.
    pub fn write(&self, plan_folder: &Path) -> Result<(), ApprovalError> {
        let path = plan_folder.join(REQUEST);
        Ok(files::replace(&path, &text(&path, self)?)?)
    }

    /// Reads from a plan's folder who asked for it, if anybody did.
    pub fn read(plan_folder: &Path) -> Result<Option<Self>, ApprovalError> {
        let path = plan_folder.join(REQUEST);
        if path.exists() { Ok(Some(parse(&path)?)) } else { Ok(None) }
    }
}

/// Whose signatures are asked for.
pub struct Quorum<'q> {
    /// Everybody whose word counts.
    pub people: People<'q>,
    /// So many of them must have signed; 0 counts as 1.
    pub needed: usize,
    /// Who asked for the plan, beyond what its folder says: their word does not count.
    pub requesters: Vec<Principal>,
}

impl<'q> Quorum<'q> {
    /// One of some people with key files.
    pub const fn one_of(keys: &'q BTreeMap<String, String>) -> Self {
        Self { people: People { keys, passkeys: &NoPasskeys }, needed: 1, requesters: Vec::new() }
    }

    /// What an installation asks for a plan: as its configuration says, and without those who asked for it in a case.
    pub fn of(
        installation: &'q Installation,
        passkeys: &'q dyn Passkeys,
        plan: PlanHash,
    ) -> Result<Self, ApprovalError> {
        let cases = CaseStore::of(installation.home())
            .of_plan(plan)
            .map_err(|error| ApprovalError::Cases(Box::new(error)))?;
        let config = installation.config();
        Ok(Self {
            people: People { keys: &config.approvers, passkeys },
            needed: config.approvals.needed(),
            requesters: cases.into_iter().map(|case| case.requested_by).collect(),
        })
    }
}

/// Returns the names of the distinct people whose signatures over this plan hold; fewer than are needed are an error.
pub fn approvers_of(
    plan: PlanHash,
    plan_folder: &Path,
    quorum: &Quorum<'_>,
) -> Result<Vec<String>, ApprovalError> {
    let people = &quorum.people;
    let allowed = people.approvers();
    if allowed.is_empty() {
        return Err(ApprovalError::NoApprovers { folder: plan_folder.to_owned() });
    }
    if let Some((name, _)) = people.keys.iter().find(|(_, public)| !signature::is_public_key(public)) {
        return Err(ApprovalError::PublicKey { name: name.clone() });
    }
    let mut requesters = quorum.requesters.clone();
    requesters.extend(Request::read(plan_folder)?.map(|request| request.requested_by));
    let is_requester = |person: &str| requesters.iter().any(|requester| requester.may_be(person));

    // Of one key and of one person, only the first signature counts.
    let mut given: Vec<(String, String)> = Vec::new();
    for stored in read_all(&plan_folder.join(FOLDER))? {
        let Some((person, key)) = signer_of(&stored, plan, people) else { continue };
        let known = |(other, used): &(String, String)| same_person(other, &person) || *used == key;
        if !is_requester(&person) && !given.iter().any(known) {
            given.push((person, key));
        }
    }
    let mut given: Vec<String> = given.into_iter().map(|(person, _)| person).collect();
    given.sort();
    let needed = quorum.needed.max(1);
    if given.len() >= needed {
        return Ok(given);
    }
    let has_given = |person: &String| given.iter().any(|other| same_person(other, person));
    let missing = allowed.into_iter().filter(|person| !has_given(person) && !is_requester(person)).collect();
    Err(ApprovalError::Missing { plan, folder: plan_folder.to_owned(), given, needed, missing })
}

/// Returns whose signature over the plan it is, and with which key, if it holds and the person may approve.
fn signer_of(stored: &Stored, plan: PlanHash, people: &People<'_>) -> Option<(String, String)> {
    match stored {
        Stored::Plan(approval) => {
            let (name, public) =
                people.keys.iter().find(|(_, public)| approval.holds(plan, &public.to_ascii_lowercase()))?;
            Some((name.clone(), format!("ed25519:{}", public.to_ascii_lowercase())))
        }
        Stored::Case(approval) if approval.plan == plan => {
            let said = statement(&approval.case, SubjectHash::of_plan(plan), Decision::Approve);
            let signer = people.verify(&said, &approval.proof).ok().filter(|signer| signer.approver)?;
            Some((signer.who.name().to_owned(), signer.key))
        }
        Stored::Case(_) => None,
    }
}

fn read_all(folder: &Path) -> Result<Vec<Stored>, ApprovalError> {
    documents(folder)?.iter().map(|path| parse(path)).collect()
}

fn write<T: Serialize>(plan_folder: &Path, name: &str, document: &T) -> Result<(), ApprovalError> {
    let folder = plan_folder.join(FOLDER);
    files::create_folder(&folder)?;
    let path = folder.join(name);
    Ok(files::replace(&path, &text(&path, document)?)?)
}

fn text<T: Serialize>(path: &Path, document: &T) -> Result<Vec<u8>, ApprovalError> {
    serde_json::to_vec_pretty(document)
        .map_err(|source| ApprovalError::Unreadable { path: path.to_owned(), source })
}

fn parse<T: DeserializeOwned>(path: &Path) -> Result<T, ApprovalError> {
    serde_json::from_slice(&files::read(path)?)
        .map_err(|source| ApprovalError::Unreadable { path: path.to_owned(), source })
}

fn message(plan: PlanHash, at: Moment) -> Vec<u8> {
    [&plan.0[..], &at.as_micros().to_le_bytes()].concat()
}
