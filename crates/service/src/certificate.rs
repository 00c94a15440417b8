//! Certificates: the signed result of a drill, which can be checked without the vault.
//!
//! A certificate speaks of one history: it carries the vault's signed tree head and the proof that the drilled commit is
//! in that tree. What it says of itself must fit: whoever reads it judges again what came of the drill.

mod bond;
mod first;
mod page;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use drill::{Against, Budget, Check, Counts, Difference, Extent, Outcome, ProbeAnswer, Spent};
use model::{Moment, SourceName};
use ports::files::{self, FileError};
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use vault::tree::VerifierKey;

pub use self::{
    bond::{BondError, TreeBond},
    page::page,
};
use crate::signature::{self, SigningKey};

/// What these signatures are for.
const PURPOSE: &str = "unwipe/v1/certificate";
const FORMAT: u32 = 2;
/// A certificate is a page or two, and the hashes of the tables; what is larger is none.
const BYTES_MAX: usize = 64 << 20;

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The file is no certificate.
    #[error("{} is no certificate", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// The file is too large.
    #[error("{} is no certificate: it has {bytes} bytes", path.display())]
    Size {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: usize,
    },
    /// Another version of unwipe wrote it.
    #[error("the certificate has format {found}, and only formats 1 and {FORMAT} are known")]
    Format {
        /// Its format.
        found: u64,
    },
    /// Its signature does not fit its text.
    #[error("the signature does not fit: the certificate was changed after it was signed")]
    Signature,
    /// It was signed by a key that does not count.
    #[error("the certificate was signed by {found}, and not by a key that counts here")]
    Signer {
        /// The key that signed.
        found: String,
    },
    /// What it says does not fit together.
    #[error("the certificate contradicts itself: {reason}")]
    Contradiction {
        /// What does not fit.
        reason: &'static str,
    },
    /// What binds it to the vault's tree does not hold.
    #[error("the certificate is not bound to the vault's tree")]
    Bond(#[from] BondError),
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
}

impl CertificateError {
    /// Says what a person can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Signer { .. } => {
                Some("give the key that signs here: --signer HEX, or signers in [drills]".to_owned())
            }
            Self::Bond(BondError::Signature | BondError::Origin { .. }) => {
                Some("compare with the vault's key: unwipe head key".to_owned())
            }
            _ => None,
        }
    }

    /// Returns whether the certificate is one, and is not to be believed.
    pub const fn is_forged(&self) -> bool {
        matches!(self, Self::Signature | Self::Signer { .. } | Self::Contradiction { .. } | Self::Bond(_))
    }
}

/// What a drill came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// The format of this document.
    pub format: u32,
    /// The vault, by its id.
    pub vault: String,
    /// The source; `unwipe` for the vault itself.
    pub source: SourceName,
    /// The kind of source: `postgres`, `google`, `files`; `vault`.
    pub kind: String,
    /// Whether the place that was restored into is a simulated one.
    pub simulated: bool,
    /// The newest commit of the source when the drill began.
    pub commit: u64,
    /// That commit's hash: the certificate speaks of this history and no other.
    pub commit_hash: String,
    /// What binds it to the vault's tree over all commits.
    pub tree: TreeBond,
    /// The moment that was restored, as it was asked for.
    pub moment: String,
    /// The newest commit whose content was restored.
    pub restored_commit: u64,
    /// The position that was restored, as the source counts: an LSN, a commit.
    pub position: String,
    /// When the drill began.
    pub began_at: Moment,
    /// When it ended.
    pub at: Moment,
    /// How much was restored.
    pub extent: Extent,
    /// What it was compared with.
    pub against: Against,
    /// How many things were compared.
    pub counts: Counts,
    /// The first things that were found otherwise.
    pub differences: Vec<Difference>,
    /// How many there are.
    pub differences_total: u64,
    /// What else was checked, and what could not be.
    pub checks: Vec<Check>,
    /// The owner's questions and their answers.
    pub probes: Vec<ProbeAnswer>,
    /// What it took.
    pub spent: Spent,
    /// What it was allowed to take.
    pub budget: Budget,
    /// Rows and content hash of each table that was read.
    pub tables: BTreeMap<String, (u64, String)>,
    /// What held the drill: `unwipe 0.1.0`.
    pub tool: String,
    /// What it came to.
    pub outcome: Outcome,
}

/// A statement with its signature.
#[derive(Debug, Clone, PartialEq)]
pub struct Certificate {
    /// What is certified; one of an older format is shown as one of the newest.
    pub statement: Statement,
    /// Who signed: an Ed25519 public key.
    pub signer: String,
    /// The signature over the canonical JSON of what was signed.
    pub signature: String,
    /// What was signed, as it was written.
    document: Value,
}

/// A certificate as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    statement: Value,
    signer: String,
    signature: String,
}

impl Serialize for Certificate {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { signer, signature, document, .. } = self.clone();
        Written { statement: document, signer, signature }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Certificate {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Written::deserialize(deserializer)
            .and_then(|written| Self::of(written).map_err(serde::de::Error::custom))
    }
}

/// Whose word counts about a certificate.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    /// Keys that may have signed it; any where none is named.
    pub signers: Vec<String>,
    /// The vault's keys; those that the certificate names where none is given.
    pub vault_keys: Vec<VerifierKey>,
}

/// What was found about a certificate that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Whether its signer was compared with a key that counts.
    pub signer_compared: bool,
    /// Whether its tree head was compared with a key of the vault that was given.
    pub vault_key_compared: bool,
    /// Whether the drilled commit is proven to be in the tree.
    pub commit_in_tree: bool,
}

impl Statement {
    /// The newest format.
    pub const FORMAT: u32 = FORMAT;

    /// Judges the drill by what came of it.
    pub fn judged(&self) -> Outcome {
        drill::outcome(self.against, &self.counts, self.differences_total, &self.checks, &self.probes)
    }

    /// Finds what does not fit together.
    fn contradiction(&self) -> Option<&'static str> {
        let named = self.differences.len() as u64;
        if !self.counts.balance() {
            Some("its counts do not add up")
        } else if named > self.differences_total || (named == 0 && self.differences_total > 0) {
            Some("it names other differences than it counts")
        } else if self.outcome != self.judged() {
            Some("its outcome is not what its findings say")
        } else if self.at < self.began_at {
            Some("it ended before it began")
        } else {
            None
        }
    }
}

impl Certificate {
    /// Signs a statement.
    pub fn sign(statement: Statement, key: &SigningKey) -> Result<Self, CertificateError> {
        let form = |source| CertificateError::Form { path: PathBuf::new(), source };
        if let Some(reason) = statement.contradiction() {
            return Err(CertificateError::Contradiction { reason });
        }
        let document = serde_json::to_value(&statement).map_err(form)?;
        let signature = key.sign(PURPOSE, &message(&document));
        Ok(Self { statement, signer: key.public(), signature, document })
    }

    fn of(written: Written) -> Result<Self, serde_json::Error> {
        let Written { statement: document, signer, signature } = written;
        let statement = match document.get("format").and_then(Value::as_u64) {
            Some(1) => first::Statement::deserialize(&document)?.upgraded(),
            _ => Statement::deserialize(&document)?,
        };
        Ok(Self { statement, signer, signature, document })
    }

    /// Reads a certificate from its file and checks that nothing was changed since it was signed.
    pub fn read(path: &Path) -> Result<Self, CertificateError> {
        Self::parse(&files::read(path)?, path)
    }

    /// Reads a certificate and checks that nothing was changed since it was signed. `path` is what errors call it.
    pub fn parse(bytes: &[u8], path: &Path) -> Result<Self, CertificateError> {
        let form = |source| CertificateError::Form { path: path.to_owned(), source };
        if bytes.len() > BYTES_MAX {
            return Err(CertificateError::Size { path: path.to_owned(), bytes: bytes.len() });
        }
        let written: Written = serde_json::from_slice(bytes).map_err(form)?;
        let format = written.statement.get("format").and_then(Value::as_u64).unwrap_or(0);
        if format != 1 && format != u64::from(FORMAT) {
            return Err(CertificateError::Format { found: format });
        }
        let certificate = Self::of(written).map_err(form)?;
        certificate.check()?;
        Ok(certificate)
    }

    /// Checks the signature, and that what is said fits together.
    fn check(&self) -> Result<(), CertificateError> {
        if !signature::holds(&self.signer, PURPOSE, &message(&self.document), &self.signature) {
            return Err(CertificateError::Signature);
        }
        match self.statement.contradiction() {
            Some(reason) if !self.is_first() => Err(CertificateError::Contradiction { reason }),
            _ => Ok(()),
        }
    }

    /// Returns whether it is of the first format, which is bound to no tree.
    pub fn is_first(&self) -> bool {
        self.document.get("format").and_then(Value::as_u64) == Some(1)
    }

    /// Checks it as somebody can who has no vault: signature, signer, the tree head's signature, the proof that the
    /// drilled commit is in the tree.
    pub fn verify(&self, trust: &Trust) -> Result<Verified, CertificateError> {
        self.check()?;
        let counts = |signer: &String| signer.eq_ignore_ascii_case(&self.signer);
        if !trust.signers.is_empty() && !trust.signers.iter().any(counts) {
            return Err(CertificateError::Signer { found: self.signer.clone() });
        }
        let statement = &self.statement;
        let commit = (&statement.source, statement.commit, statement.commit_hash.as_str());
        let commit_in_tree = statement.tree.check(&statement.vault, commit, &trust.vault_keys)?;
        Ok(Verified {
            signer_compared: !trust.signers.is_empty(),
            vault_key_compared: !trust.vault_keys.is_empty() && statement.tree.checkpoint().is_some(),
            commit_in_tree,
        })
    }

    /// Returns the certificate's name: the SHA-256 of what was signed, in hexadecimal digits.
    pub fn id(&self) -> String {
        vault::hex(digest(&SHA256, &message(&self.document)).as_ref())
    }

    /// Returns it as the text of a file.
    pub fn to_text(&self) -> Result<String, CertificateError> {
        serde_json::to_string_pretty(self)
            .map_err(|source| CertificateError::Form { path: PathBuf::new(), source })
    }

    /// Writes the certificate.
    pub fn write(&self, path: &Path) -> Result<(), CertificateError> {
        Ok(files::replace(path, self.to_text()?.as_bytes())?)
    }
}

fn message(document: &Value) -> Vec<u8> {
    connect::plan::canonical_json(document).into_bytes()
}
