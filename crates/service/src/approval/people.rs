//! Whose word counts: people with key files, and people with passkeys.

use std::collections::BTreeMap;

use approvals::{Principal, Signer, Verifier};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::signature::{self, SigningKey};

/// What signatures of key files over decisions are for.
const PURPOSE: &str = "unwipe/v1/case";

/// Why a signature does not hold.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// No person is listed with this key.
    #[error("the key {key} is not listed as anybody's")]
    UnknownKey {
        /// The public key.
        key: String,
    },
    /// The signature is not one over this statement.
    #[error("the signature of {person} does not hold for this")]
    Signature {
        /// Whose it should be.
        person: String,
    },
    /// The passkey's word does not count.
    #[error("the passkey's signature does not count: {why}")]
    Passkey {
        /// Why.
        why: String,
    },
}

/// A signature over a statement, with what is needed to check it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "with", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Proof {
    /// By an Ed25519 key file; both in hexadecimal.
    Key {
        /// The public key.
        public: String,
        /// The signature.
        signature: String,
    },
    /// By a passkey.
    Passkey {
        /// Whose it is.
        person: String,
        /// The assertion.
        assertion: Value,
    },
}

impl Proof {
    /// Signs a statement with a key file.
    pub fn sign(key: &SigningKey, statement: &[u8]) -> Self {
        Self::Key { public: key.public(), signature: key.sign(PURPOSE, statement) }
    }
}

/// Who holds the passkey of an assertion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The passkey's id.
    pub credential: String,
    /// Whether the person may approve now.
    pub approver: bool,
}

/// The people who have accounts, as far as approvals need to know them. Whoever keeps accounts provides it.
pub trait Passkeys: Send + Sync {
    /// Checks that an assertion over a statement is one by a passkey of this person, who is active.
    fn verify(&self, statement: &[u8], person: &str, assertion: &Value) -> Result<Holder, ProofError>;

    /// Returns the names of all people who may approve now.
    fn approvers(&self) -> Vec<String>;
}

/// No accounts: people approve with key files alone.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoPasskeys;

impl Passkeys for NoPasskeys {
    fn verify(&self, _: &[u8], _: &str, _: &Value) -> Result<Holder, ProofError> {
        Err(ProofError::Passkey { why: "there are no accounts here".to_owned() })
    }

    fn approvers(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Everybody whose word counts.
pub struct People<'p> {
    /// The public key of each person with a key file, by name.
    pub keys: &'p BTreeMap<String, String>,
    /// The people with passkeys.
    pub passkeys: &'p dyn Passkeys,
}

impl People<'_> {
    /// Returns the names of all who may approve now, each once.
    pub fn approvers(&self) -> Vec<String> {
        let mut people: Vec<String> = self.keys.keys().cloned().collect();
        for name in self.passkeys.approvers() {
            if !people.iter().any(|known| approvals::same_person(known, &name)) {
                people.push(name);
            }
        }
        people.sort();
        people
    }

    /// Returns under which name a public key is listed: the first, where it is listed twice.
    fn holder_of(&self, public: &str) -> Option<&str> {
        let found = self.keys.iter().find(|(_, key)| key.eq_ignore_ascii_case(public));
        found.map(|(name, _)| name.as_str())
    }
}

impl Verifier for People<'_> {
    type Proof = Proof;
    type Error = ProofError;

    fn verify(&self, statement: &[u8], proof: &Proof) -> Result<Signer, ProofError> {
        match proof {
            Proof::Key { public, signature } => {
                let person =
                    self.holder_of(public).ok_or_else(|| ProofError::UnknownKey { key: public.clone() })?;
                if !signature::holds(public, PURPOSE, statement, signature) {
                    return Err(ProofError::Signature { person: person.to_owned() });
                }
                let key = format!("ed25519:{}", public.to_ascii_lowercase());
                Ok(Signer { who: Principal::Person(person.to_owned()), key, approver: true })
            }
            Proof::Passkey { person, assertion } => {
                let Holder { credential, approver } = self.passkeys.verify(statement, person, assertion)?;
                let key = format!("passkey:{credential}");
                Ok(Signer { who: Principal::Person(person.clone()), key, approver })
            }
        }
    }
}
