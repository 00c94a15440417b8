use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Case, CaseId, Principal, SubjectHash};

/// What a person says to a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// It may be done.
    Approve,
    /// It must not be done; one such word ends a case.
    Refuse,
}

/// Returns what is signed to decide a case: what it is for, the case, the subject and the decision.
pub fn statement(case: &CaseId, subject: SubjectHash, decision: Decision) -> Vec<u8> {
    let word: &[u8] = match decision {
        Decision::Approve => b"approve",
        Decision::Refuse => b"refuse",
    };
    [b"unwipe/v1/case\0", case.as_str().as_bytes(), b"\0", &subject.0, word].concat()
}

/// Whose signature it was.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Signer {
    /// Who signed.
    pub who: Principal,
    /// What they signed with: a public key, the id of a passkey. One key is one person's.
    pub key: String,
    /// Whether they may approve at this time.
    pub approver: bool,
}

/// Checks signatures: key files, passkeys. Whoever implements it decides whose word counts, so there are few.
pub trait Verifier {
    /// A signature, with what is needed to check it; it is kept with the case.
    type Proof: Serialize;
    /// Why a signature does not hold.
    type Error;

    /// Checks a signature over a statement and says whose it is.
    fn verify(&self, statement: &[u8], proof: &Self::Proof) -> Result<Signer, Self::Error>;
}

/// A decision whose signature was checked. Nothing else can make one: it is not read from anywhere.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Signed {
    pub(crate) case: CaseId,
    pub(crate) subject: SubjectHash,
    pub(crate) decision: Decision,
    pub(crate) signer: Signer,
    pub(crate) reason: String,
    pub(crate) proof: serde_json::Value,
}

impl fmt::Debug for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} of {} by {}", self.decision, self.case, self.signer.who)
    }
}

impl Signed {
    /// Checks the signature over a decision on a case. The reason is a note and is not signed.
    pub fn verify<V: Verifier>(
        verifier: &V,
        case: &Case,
        decision: Decision,
        reason: &str,
        proof: &V::Proof,
    ) -> Result<Self, V::Error> {
        let subject = case.subject.hash();
        let signer = verifier.verify(&statement(&case.id, subject, decision), proof)?;
        Ok(Self {
            case: case.id.clone(),
            subject,
            decision,
            signer,
            reason: reason.to_owned(),
            proof: serde_json::to_value(proof).unwrap_or_default(),
        })
    }

    /// Returns whose word it is.
    pub const fn signer(&self) -> &Signer {
        &self.signer
    }

    /// Returns the decision.
    pub const fn decision(&self) -> Decision {
        self.decision
    }
}
