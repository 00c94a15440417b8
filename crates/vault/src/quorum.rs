//! The word of several people: signatures over one question.

use std::collections::{BTreeMap, BTreeSet};

use ring::signature::{ED25519, UnparsedPublicKey};
use serde::{Deserialize, Serialize};

use crate::{VaultId, id::unhex};

/// Whose word counts, and how many of them it takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quorum {
    /// How many different people must sign.
    pub threshold: usize,
    /// The people by name, with the 64 hexadecimal digits of their Ed25519 public keys.
    pub people: BTreeMap<String, String>,
}

/// Something that people can agree to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// What is to be done: `thaw`, `lift`, `confirm`, `people`.
    pub verb: String,
    /// To what, so exactly that it can be done only once.
    pub subject: String,
}

/// One person's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// The person's public key.
    pub public: String,
    /// The signature, in hexadecimal.
    pub signature: String,
}

/// The word of enough people. [`Quorum::consent`] alone makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consent {
    question: Question,
    names: BTreeSet<String>,
}

/// Why there is no consent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuorumError {
    /// Too few of the right people signed.
    #[error("{} of {threshold} signatures: {}", names.len(), names_text(names))]
    TooFew {
        /// Who signed.
        names: BTreeSet<String>,
        /// How many must.
        threshold: usize,
    },
    /// The people or the threshold make no sense.
    #[error("{threshold} of {people} people cannot agree on anything")]
    Impossible {
        /// How many must sign.
        threshold: usize,
        /// How many there are.
        people: usize,
    },
}

/// What signatures over a question are made for; one for another purpose never counts.
pub const PURPOSE: &str = "unwipe/v1/question";

impl Question {
    /// Puts a question together.
    pub fn new(verb: &str, subject: impl Into<String>) -> Self {
        Self { verb: verb.to_owned(), subject: subject.into() }
    }

    /// Returns the bytes that a person signs, after [`PURPOSE`] and a zero byte.
    pub fn message(&self, vault: &VaultId) -> Vec<u8> {
        format!("{vault}\n{}\n{}", self.verb, self.subject).into_bytes()
    }
}

impl Quorum {
    /// Checks that the threshold can be reached, and that no key counts twice.
    pub fn check(&self) -> Result<(), QuorumError> {
        let keys: BTreeSet<&String> = self.people.values().collect();
        let sound = keys.iter().all(|key| unhex::<32>(key).is_some()) && keys.len() == self.people.len();
        if sound && (1..=keys.len()).contains(&self.threshold) {
            Ok(())
        } else {
            Err(QuorumError::Impossible { threshold: self.threshold, people: keys.len() })
        }
    }

    /// Counts the people whose signatures over this very question hold.
    pub fn consent(
        &self,
        vault: &VaultId,
        question: &Question,
        answers: &[Answer],
    ) -> Result<Consent, QuorumError> {
        self.check()?;
        let message = [PURPOSE.as_bytes(), &[0], &question.message(vault)].concat();
        let signed = |public: &str| {
            answers.iter().filter(|answer| answer.public == public).any(|answer| {
                let (Some(public), Some(signature)) = (unhex::<32>(public), unhex::<64>(&answer.signature))
                else {
                    return false;
                };
                UnparsedPublicKey::new(&ED25519, public).verify(&message, &signature).is_ok()
            })
        };
        let names: BTreeSet<String> =
            self.people.iter().filter(|(_, public)| signed(public)).map(|(name, _)| name.clone()).collect();
        if names.len() >= self.threshold {
            Ok(Consent { question: question.clone(), names })
        } else {
            Err(QuorumError::TooFew { names, threshold: self.threshold })
        }
    }
}

impl Consent {
    /// Returns whether it was given to this very question.
    pub fn is_to(&self, question: &Question) -> bool {
        self.question == *question
    }

    /// Returns who gave it.
    pub fn names(&self) -> &BTreeSet<String> {
        &self.names
    }
}

fn names_text(names: &BTreeSet<String>) -> String {
    if names.is_empty() {
        "nobody signed".to_owned()
    } else {
        names.iter().cloned().collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use ring::signature::{Ed25519KeyPair, KeyPair};

    use super::*;
    use crate::id::hex;

    const VAULT: VaultId = VaultId([7; 16]);

    fn person(seed: u8) -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
    }

    fn public(key: &Ed25519KeyPair) -> String {
        hex(key.public_key().as_ref())
    }

    fn answer(key: &Ed25519KeyPair, question: &Question, vault: &VaultId) -> Answer {
        let message = [PURPOSE.as_bytes(), &[0], &question.message(vault)].concat();
        Answer { public: public(key), signature: hex(key.sign(&message).as_ref()) }
    }

    #[test]
    fn only_enough_different_listed_people_agree_and_only_to_what_they_signed() {
        let (anna, bert, eve) = (person(1), person(2), person(3));
        let people = [("anna", &anna), ("bert", &bert), ("carl", &person(4))];
        let people = people.map(|(name, key)| (name.to_owned(), public(key))).into();
        let quorum = Quorum { threshold: 2, people };
        let question = Question::new("thaw", "since yesterday");
        let other = Question::new("thaw", "since today");
        let ask = |answers: &[Answer]| quorum.consent(&VAULT, &question, answers);

        let (a, b) = (answer(&anna, &question, &VAULT), answer(&bert, &question, &VAULT));
        assert!(ask(&[]).is_err());
        assert!(ask(&[a.clone(), a.clone()]).is_err(), "one person counted twice");
        assert!(ask(&[a.clone(), answer(&eve, &question, &VAULT)]).is_err(), "a stranger counted");
        assert!(ask(&[a.clone(), answer(&bert, &other, &VAULT)]).is_err(), "another question counted");
        assert!(ask(&[a.clone(), answer(&bert, &question, &VaultId([8; 16]))]).is_err());
        let consent = ask(&[a, b]).unwrap();
        assert!(consent.is_to(&question) && !consent.is_to(&other));
    }

    #[test]
    fn nobody_can_be_listed_twice_and_no_threshold_is_out_of_reach() {
        let key = public(&person(1));
        let people: BTreeMap<_, _> = [("anna".to_owned(), key.clone()), ("bert".to_owned(), key)].into();
        assert!(Quorum { threshold: 1, people: people.clone() }.check().is_err());
        let one: BTreeMap<_, _> = people.into_iter().take(1).collect();
        assert!(Quorum { threshold: 0, people: one.clone() }.check().is_err());
        assert!(Quorum { threshold: 2, people: one.clone() }.check().is_err());
        assert!(Quorum { threshold: 1, people: one }.check().is_ok());
    }
}
