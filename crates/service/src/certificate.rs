//! Certificates: the signed result of a drill, which can be checked without the vault.

use std::path::{Path, PathBuf};

use model::{Moment, SourceName};
use ports::files::{self, FileError};
use serde::{Deserialize, Serialize};

use crate::signature::{self, SigningKey};

/// What these signatures are for.
const PURPOSE: &str = "unwipe/v1/certificate";
const FORMAT: u32 = 1;

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
    /// Another version of unwipe wrote it.
    #[error("the certificate has format {found}, and only format {FORMAT} is known")]
    Format {
        /// Its format.
        found: u32,
    },
    /// Its signature does not fit its text.
    #[error("the signature does not fit: the certificate was changed after it was signed")]
    Signature,
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
}

/// What a drill proved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// The format of this document.
    pub format: u32,
    /// The vault, by its id.
    pub vault: String,
    /// The source.
    pub source: SourceName,
    /// The newest commit of the source when the drill began.
    pub commit: u64,
    /// That commit's hash: the certificate speaks of this history and no other.
    pub commit_hash: String,
    /// The moment that was restored, as it was asked for.
    pub moment: String,
    /// The position that was restored.
    pub position: String,
    /// When the drill ended.
    pub at: Moment,
    /// Whether everything that was compared was as it should be.
    pub proven: bool,
    /// What was checked.
    pub checks: Vec<String>,
    /// What was found.
    pub findings: Vec<String>,
    /// How long it took until the restored server accepted queries.
    pub serving_ms: u64,
    /// Rows and content hash of each table that was read.
    pub tables: std::collections::BTreeMap<String, (u64, String)>,
}

/// A statement with its signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// What is certified.
    pub statement: Statement,
    /// Who signed: an Ed25519 public key.
    pub signer: String,
    /// The signature over the statement's canonical JSON.
    pub signature: String,
}

impl Statement {
    /// The newest format.
    pub const FORMAT: u32 = FORMAT;

    fn message(&self) -> Result<Vec<u8>, serde_json::Error> {
        Ok(connect::plan::canonical_json(&serde_json::to_value(self)?).into_bytes())
    }
}

impl Certificate {
    /// Signs a statement.
    pub fn sign(statement: Statement, key: &SigningKey) -> Result<Self, CertificateError> {
        let path = PathBuf::new();
        let message = statement.message().map_err(|source| CertificateError::Form { path, source })?;
        Ok(Self { signature: key.sign(PURPOSE, &message), signer: key.public(), statement })
    }

    /// Reads a certificate and checks its signature.
    pub fn read(path: &Path) -> Result<Self, CertificateError> {
        let form = |source| CertificateError::Form { path: path.to_owned(), source };
        let certificate: Self = serde_json::from_slice(&files::read(path)?).map_err(form)?;
        if certificate.statement.format != FORMAT {
            return Err(CertificateError::Format { found: certificate.statement.format });
        }
        let message = certificate.statement.message().map_err(form)?;
        if signature::holds(&certificate.signer, PURPOSE, &message, &certificate.signature) {
            Ok(certificate)
        } else {
            Err(CertificateError::Signature)
        }
    }

    /// Writes the certificate.
    pub fn write(&self, path: &Path) -> Result<(), CertificateError> {
        let text = serde_json::to_vec_pretty(self)
            .map_err(|source| CertificateError::Form { path: path.to_owned(), source })?;
        Ok(files::replace(path, &text)?)
    }
}

#[cfg(test)]
mod tests {
    use ports::SeededRandom;

    use super::*;

    #[test]
    fn a_changed_certificate_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let key = SigningKey::create(&folder.path().join("key"), &SeededRandom::new(1)).unwrap();
        let statement = Statement {
            format: FORMAT,
            vault: "00".to_owned(),
            source: SourceName::new("shop").unwrap(),
            commit: 7,
            commit_hash: "ab".to_owned(),
            moment: "latest".to_owned(),
            position: "0/1".to_owned(),
            at: Moment::from_micros(1),
            proven: false,
            checks: Vec::new(),
            findings: vec!["a table differs".to_owned()],
            serving_ms: 1,
            tables: std::collections::BTreeMap::new(),
        };
        let path = folder.path().join("certificate.json");
        Certificate::sign(statement, &key).unwrap().write(&path).unwrap();
        assert!(!Certificate::read(&path).unwrap().statement.proven);
        let forged = files::read_text(&path).unwrap().replace("\"proven\": false", "\"proven\": true");
        files::replace(&path, forged.as_bytes()).unwrap();
        assert!(matches!(Certificate::read(&path), Err(CertificateError::Signature)));
    }
}
