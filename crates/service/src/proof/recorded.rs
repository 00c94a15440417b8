//! What the vault's operation log says of the certificates that this installation made: one that is missed is missed.
//!
//! Reading the log takes the restore key and, in a bucket, a call for each commit. What was read is therefore kept in an
//! index beside the certificates, signed like them; an index that is gone, changed or of another history is made anew.

use std::path::{Path, PathBuf};

use drill::{Held, Outcome};
use model::SourceName;
use ports::files;
use serde::{Deserialize, Serialize};
use vault::{CaptureKey, Change, reader::VaultReader};

use super::{FOLDER, ProofError, held_of, signers, signing_key};
use crate::{
    Installation, Secrets, ServiceError,
    certificate::Certificate,
    operations::{self, Kind},
    secret::Environment,
    signature,
};

const PURPOSE: &str = "unwipe/v1/recorded-certificates";
const FILE: &str = "recorded-certificates.json";
const FORMAT: u32 = 1;
/// Versions before kept one certificate of each source, over the one before: only later ones are missed.
const KEPT_SINCE_FORMAT: u32 = 2;

/// A certificate of this installation in the vault's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Recorded {
    /// The source.
    pub(super) source: SourceName,
    /// What it says, as far as it matters for what is known.
    pub(super) held: Held,
}

impl Recorded {
    /// Returns where its file belongs.
    pub(super) fn path(&self, installation: &Installation) -> PathBuf {
        installation.state_folder(&self.source).join(FOLDER).join(file_name(&self.held))
    }

    /// Returns what is known when its file is gone: that it is gone, and what it would have to be made good for.
    pub(super) fn lost(&self) -> Held {
        let problem = format!("certificate {} was removed; the vault's log has it", short(&self.held.id));
        Held { outcome: Outcome::Failed, problem: Some(problem), ..self.held.clone() }
    }
}

/// Returns the name of a certificate's file.
pub(super) fn file_name(held: &Held) -> String {
    format!("{}-{}.json", held.at.to_string().replace([':', '-'], ""), short(&held.id))
}

fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Index {
    format: u32,
    /// The newest commit of the log that was read.
    until: u64,
    /// Its hash.
    hash: String,
    certificates: Vec<Recorded>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignedIndex {
    index: Index,
    signer: String,
    signature: String,
}

impl Index {
    fn message(&self) -> Result<Vec<u8>, serde_json::Error> {
        Ok(connect::plan::canonical_json(&serde_json::to_value(self)?).into_bytes())
    }
}

fn path(installation: &Installation) -> Result<PathBuf, ServiceError> {
    let source = log_source()?;
    Ok(installation.state_folder(&source).join(FILE))
}

fn log_source() -> Result<SourceName, ServiceError> {
    let fixed = |error: model::NameError| {
        ServiceError::Write(vault::WriteError::Source(std::io::Error::other(error)))
    };
    SourceName::new(operations::SOURCE).map_err(fixed)
}

/// Returns the certificates of a source that must be there, as far as the log was read.
pub(super) fn of(installation: &Installation, source: &SourceName) -> Result<Vec<Recorded>, ProofError> {
    let index = read(installation)?.unwrap_or_default();
    Ok(index.certificates.into_iter().filter(|recorded| recorded.source == *source).collect())
}

/// Reads the index; one that nobody's key that counts has signed is none.
fn read(installation: &Installation) -> Result<Option<Index>, ProofError> {
    let path = path(installation)?;
    if !path.exists() {
        return Ok(None);
    }
    let Ok(signed) = serde_json::from_slice::<SignedIndex>(&files::read(&path)?) else { return Ok(None) };
    let counts = signers(installation)?.iter().any(|signer| signer.eq_ignore_ascii_case(&signed.signer));
    let holds = signature::holds(&signed.signer, PURPOSE, &signed.index.message()?, &signed.signature);
    Ok((counts && holds && signed.index.format == FORMAT).then_some(signed.index))
}

/// Reads what is new in the vault's operation log, so that a certificate whose file was removed is missed. Where no
/// restore key is configured, the log cannot be read and nothing is done.
pub fn read_log(installation: &Installation, environment: Environment<'_>) -> Result<(), ProofError> {
    if installation.config().restore.key.is_none() {
        return Ok(());
    }
    let source = log_source()?;
    let reader = installation.reader(None, environment)?;
    let last = reader.vault().last_sequence(&source).map_err(ServiceError::from)?;
    let known = read(installation)?.filter(|index| is_of_vault(index, &reader, &source, last));
    let mut index = known.unwrap_or(Index { format: FORMAT, ..Index::default() });
    if last <= index.until {
        return Ok(());
    }
    let key = signing_key(installation)?;
    // What this host signed, or its key before: in a vault that several installations share, each has its own.
    let host = host_key(installation, environment).ok();
    for sequence in index.until + 1..=last {
        // What cannot be read is for those who check the vault; the next commit may be a certificate.
        let Ok((commit, body)) = reader.commit(&source, sequence) else { continue };
        for change in body.changes {
            let Some(certificate) = certificate_in(&reader, change)? else { continue };
            let is_own = Some(commit.envelope.signer) == host || certificate.signer == key.public();
            if is_own && certificate.statement.format >= KEPT_SINCE_FORMAT {
                let held = held_of(certificate.id(), &certificate.statement);
                index.certificates.push(Recorded { source: certificate.statement.source, held });
            }
        }
        (index.until, index.hash) = (sequence, vault::hex(&commit.hash.0));
    }
    write(installation, index)
}

/// Returns the key with which this host signs commits.
fn host_key(installation: &Installation, environment: Environment<'_>) -> Result<[u8; 32], ServiceError> {
    let secrets = Secrets::new(installation.home(), environment);
    let key = CaptureKey::parse(secrets.resolve(&installation.config().vault.capture_key)?.expose())?;
    Ok(key.signer_public()?)
}

fn write(installation: &Installation, index: Index) -> Result<(), ProofError> {
    let key = signing_key(installation)?;
    let signature = key.sign(PURPOSE, &index.message()?);
    let signed = SignedIndex { signer: key.public(), signature, index };
    let path = path(installation)?;
    if let Some(folder) = path.parent() {
        files::create_folder(folder)?;
    }
    Ok(files::replace(&path, &serde_json::to_vec(&signed)?)?)
}

/// Tells whether an index is of this vault's history; a mirror may be behind it.
fn is_of_vault(index: &Index, reader: &VaultReader, source: &SourceName, last: u64) -> bool {
    if index.until == 0 || last < index.until {
        return true;
    }
    match reader.vault().commit(source, index.until) {
        Ok(commit) => vault::hex(&commit.hash.0) == index.hash,
        // It says nothing against the index: what it knows may be all that is left.
        Err(_) => true,
    }
}

/// Returns the certificate that a change wrote, if it is one that can be read.
fn certificate_in(reader: &VaultReader, change: Change) -> Result<Option<Certificate>, ProofError> {
    let Change::Upsert { item, content } = change else { return Ok(None) };
    if item.stream.as_str() != Kind::Certificate.stream() {
        return Ok(None);
    }
    let text = reader.read_all(&content).map_err(ServiceError::from)?;
    // One of a later version may look different.
    Ok(Certificate::parse(&text, Path::new(&item.key)).ok())
}
