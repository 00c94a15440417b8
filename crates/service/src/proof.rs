//! What is known about restoring each source: certificates, what people acknowledged, what is due next.
//!
//! Certificates lie below `state/SOURCE/certificates` and in the vault's operation log. A file there that is damaged, or
//! signed by a key that does not count, counts as a failure: what failed must not turn green because somebody changed
//! the file. One that the log has and whose file is gone counts as a failure, too.

mod recorded;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use drill::{Acknowledged, Against, Extent, Held, LastDrills, Outcome, Planned, Standing, planned};
use model::{Moment, SourceName};
use ports::files::{self, FileError};
use serde::{Deserialize, Serialize};

pub use self::recorded::read_log;
use crate::{
    Installation, ServiceError,
    certificate::{Certificate, CertificateError, Statement, Trust},
    documents::documents,
    operations::{self, Kind},
    secret::Environment,
    signature::{self, SigningKey, SigningKeyError},
};

/// Where the key is that signs this installation's certificates, below the home folder.
const KEY: &str = "keys/certificate.key";
const FOLDER: &str = "certificates";
const SEEN_FOLDER: &str = "acknowledgements";
const SEEN_PURPOSE: &str = "unwipe/v1/acknowledgement";
/// The one certificate that versions before kept.
const FIRST: &str = "certificate.json";

/// Why certificates cannot be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// A file or folder cannot be used.
    #[error("certificates cannot be kept")]
    File(#[from] FileError),
    /// A certificate cannot be used.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The key that signs cannot be used.
    #[error("the key that signs certificates cannot be used")]
    Key(#[from] SigningKeyError),
    /// The installation or its vault cannot be used.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// There is nothing to acknowledge.
    #[error("no failed drill of {source_name} waits for somebody to acknowledge it")]
    Nothing {
        /// The source.
        source_name: SourceName,
    },
    /// It cannot be written as JSON.
    #[error("the acknowledgement cannot be written")]
    Form(#[from] serde_json::Error),
}

impl ProofError {
    /// Returns what a person can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Certificate(error) => error.hint(),
            Self::Key(error) => error.hint(),
            Self::Service(error) => error.hint(),
            Self::File(_) | Self::Nothing { .. } | Self::Form(_) => None,
        }
    }
}

/// A certificate that is kept.
#[derive(Debug, Clone)]
pub struct Kept {
    /// Its file.
    pub path: PathBuf,
    /// Its name: the SHA-256 of what was signed; the file's name where it cannot be read.
    pub id: String,
    /// The certificate, or why it is not to be believed.
    pub certificate: Result<Certificate, String>,
    /// What it said, as the vault's log has it, where it is not to be believed or is gone.
    recorded: Option<Held>,
}

/// A person has seen that a drill failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acknowledgement {
    /// The format of this document.
    pub format: u32,
    /// The source.
    pub source: SourceName,
    /// The certificate, by its name.
    pub certificate: String,
    /// Who: a person's name.
    pub by: String,
    /// What the person says.
    pub reason: String,
    /// When.
    pub at: Moment,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignedAcknowledgement {
    statement: Acknowledgement,
    signer: String,
    signature: String,
}

/// What is known about a source, for pages and programs.
#[derive(Debug, Clone, Serialize)]
pub struct Proof {
    /// The source; `unwipe` is the vault itself.
    pub source: SourceName,
    /// What is known.
    #[serde(flatten)]
    pub standing: Standing,
    /// The next drill by schedule.
    pub next: Option<Planned>,
}

/// Returns the name under which the vault's own drills are kept.
pub fn vault_source() -> Option<SourceName> {
    SourceName::new(operations::SOURCE).ok()
}

/// Returns the key that signs certificates; it is made when there is none.
pub fn signing_key(installation: &Installation) -> Result<SigningKey, ProofError> {
    Ok(SigningKey::read_or_create(&installation.home().join(KEY), &*installation.ports().random)?)
}

/// Returns whose certificates count: this installation's own key, and the configured ones.
pub fn signers(installation: &Installation) -> Result<Vec<String>, ProofError> {
    let mut signers = installation.config().drills.signers.clone();
    let path = installation.home().join(KEY);
    if path.exists() {
        signers.push(SigningKey::read(&path)?.public());
    }
    Ok(signers)
}

/// Returns the certificates of a source, newest first; those that the vault's log has, as far as it was read, and that are
/// gone come after those that are there.
pub fn certificates(installation: &Installation, source: &SourceName) -> Result<Vec<Kept>, ProofError> {
    let state = installation.state_folder(source);
    let mut paths = documents(&state.join(FOLDER))?;
    paths.reverse();
    paths.extend(Some(state.join(FIRST)).filter(|path| path.exists()));
    // Without a key of its own an installation has signed nothing, and believes nothing.
    let signers = signers(installation)?;
    let kept = |path: PathBuf| {
        let read = Certificate::read(&path).and_then(|certificate| {
            if !signers.iter().any(|signer| signer.eq_ignore_ascii_case(&certificate.signer)) {
                return Err(CertificateError::Signer { found: certificate.signer });
            }
            if certificate.statement.source != *source {
                return Err(CertificateError::Contradiction { reason: "it is of another source" });
            }
            certificate.verify(&Trust::default()).map(|_| certificate)
        });
        match read {
            Ok(certificate) => {
                Kept { path, id: certificate.id(), certificate: Ok(certificate), recorded: None }
            }
            Err(error) => {
                let why = vault::error_text(&error);
                Kept { id: stem(&path), path, certificate: Err(why), recorded: None }
            }
        }
    };
    let mut kept: Vec<Kept> = paths.into_iter().map(kept).collect();
    miss(installation, source, &mut kept)?;
    Ok(kept)
}

/// Adds what the log has and what is gone, and notes of what was changed what it said.
fn miss(installation: &Installation, source: &SourceName, kept: &mut Vec<Kept>) -> Result<(), ProofError> {
    for recorded in recorded::of(installation, source)? {
        if kept.iter().any(|kept| kept.certificate.is_ok() && kept.id == recorded.held.id) {
            continue;
        }
        let (path, lost) = (recorded.path(installation), recorded.lost());
        let changed = kept.iter_mut().find(|kept| kept.certificate.is_err() && kept.path == path);
        if let Some(changed) = changed {
            let problem = changed.certificate.as_ref().err().cloned();
            (changed.id, changed.recorded) = (lost.id.clone(), Some(Held { problem, ..lost }));
        } else {
            let why = lost.problem.clone().unwrap_or_default();
            kept.push(Kept { path, id: lost.id.clone(), certificate: Err(why), recorded: Some(lost) });
        }
    }
    Ok(())
}

/// Says what is known about restoring a source.
pub fn standing(
    installation: &Installation,
    source: &SourceName,
    now: Moment,
) -> Result<Standing, ProofError> {
    standing_of(installation, source, &certificates(installation, source)?, now)
}

fn standing_of(
    installation: &Installation,
    source: &SourceName,
    kept: &[Kept],
    now: Moment,
) -> Result<Standing, ProofError> {
    let held: Vec<Held> = kept.iter().map(held).collect();
    let seen = acknowledgements(installation, source)?;
    let seen: Vec<_> = seen.into_iter().map(|seen| Acknowledged { certificate: seen.certificate }).collect();
    Ok(drill::standing(&held, &seen, installation.config().drills.terms(source), now))
}

/// Returns the next drill of a source by schedule.
pub fn next_due(
    installation: &Installation,
    source: &SourceName,
    now: Moment,
) -> Result<Option<Planned>, ProofError> {
    Ok(due_of(installation, source, &certificates(installation, source)?, now))
}

fn due_of(installation: &Installation, source: &SourceName, kept: &[Kept], now: Moment) -> Option<Planned> {
    let window = installation.config().drills.window(source);
    planned(&settings(installation, source), window, last_drills(kept), now)
}

/// Returns what is configured for a source's drills; the vault's own are called `vault` there.
pub fn settings(installation: &Installation, source: &SourceName) -> drill::SourceDrills {
    let config = installation.config();
    let by_word = SourceName::new("vault").ok().filter(|word| !config.sources.contains_key(word));
    match by_word.filter(|_| source.as_str() == operations::SOURCE) {
        Some(word) => config.drills.of(&word),
        None => config.drills.of(source),
    }
}

/// Says what is known about each source and the vault, and what is due next.
pub fn proofs(installation: &Installation, now: Moment) -> Result<Vec<Proof>, ProofError> {
    let sources = installation.config().sources.keys().cloned().chain(vault_source());
    sources.map(|source| proof(installation, source, now)).collect()
}

/// Says what is known about one source, and what is due next. Its certificates are read and checked once for both.
pub fn proof(installation: &Installation, source: SourceName, now: Moment) -> Result<Proof, ProofError> {
    let kept = certificates(installation, &source)?;
    let standing = standing_of(installation, &source, &kept, now)?;
    Ok(Proof { next: due_of(installation, &source, &kept, now), standing, source })
}

/// Returns what earlier drills of a source found otherwise and no one has made good since: these are looked at again.
pub fn failed_before(kept: &[Kept]) -> BTreeSet<String> {
    let statements = kept.iter().filter_map(|kept| kept.certificate.as_ref().ok());
    statements.flat_map(|certificate| &certificate.statement.differences).map(|d| d.subject.clone()).collect()
}

/// Returns when drills were held last.
pub fn last_drills(kept: &[Kept]) -> LastDrills {
    let held: Vec<_> = kept.iter().filter_map(|kept| kept.certificate.as_ref().ok()).collect();
    let newest = |of: &mut dyn Iterator<Item = &&Certificate>| of.map(|c| c.statement.at).max();
    LastDrills {
        any: newest(&mut held.iter()),
        whole: newest(&mut held.iter().filter(|c| c.statement.extent == Extent::Whole)),
    }
}

/// Keeps a certificate, in the home folder and in the vault's operation log. Where the log cannot be written, the reason
/// is returned and the certificate is kept all the same: a drill of a mirror is worth most when the vault is gone.
pub fn keep(
    installation: &Installation,
    certificate: &Certificate,
    environment: Environment<'_>,
) -> Result<(PathBuf, Option<ServiceError>), ProofError> {
    let statement = &certificate.statement;
    let folder = installation.state_folder(&statement.source).join(FOLDER);
    files::create_folder(&folder)?;
    let path = folder.join(recorded::file_name(&held_of(certificate.id(), statement)));
    certificate.write(&path)?;
    let key = format!("{}/{}", statement.source, statement.at);
    let logged = installation
        .writer(environment)
        .and_then(|(writer, _)| operations::record(&writer, Kind::Certificate, &key, certificate));
    Ok((path, logged.err()))
}

/// Notes that a person has seen that drills of a source failed. Returns what was acknowledged.
pub fn acknowledge(
    installation: &Installation,
    source: &SourceName,
    by: &str,
    reason: &str,
    environment: Environment<'_>,
) -> Result<(Vec<Acknowledgement>, Option<ServiceError>), ProofError> {
    let at = installation.ports().clock.now();
    let Standing::Failed { failures } = standing(installation, source, at)? else {
        return Err(ProofError::Nothing { source_name: source.clone() });
    };
    let waiting: Vec<_> = failures.into_iter().filter(|failure| !failure.acknowledged).collect();
    if waiting.is_empty() {
        return Err(ProofError::Nothing { source_name: source.clone() });
    }
    let key = signing_key(installation)?;
    let folder = installation.state_folder(source).join(SEEN_FOLDER);
    files::create_folder(&folder)?;
    let (mut written, mut trouble) = (Vec::new(), None);
    for failure in waiting {
        let statement = Acknowledgement {
            format: 1,
            source: source.clone(),
            certificate: failure.certificate.clone(),
            by: by.to_owned(),
            reason: reason.to_owned(),
            at,
        };
        let signature = key.sign(SEEN_PURPOSE, &seen_message(&statement)?);
        let signed = SignedAcknowledgement { signer: key.public(), signature, statement: statement.clone() };
        let path = folder.join(format!("{}.json", failure.certificate));
        files::replace(&path, &serde_json::to_vec_pretty(&signed)?)?;
        let name = format!("{source}/{}", failure.certificate);
        let logged = installation
            .writer(environment)
            .and_then(|(writer, _)| operations::record(&writer, Kind::Acknowledgement, &name, &signed));
        trouble = logged.err().or(trouble);
        written.push(statement);
    }
    Ok((written, trouble))
}

/// Returns what people acknowledged of a source; what nobody's key that counts has signed is left aside.
pub fn acknowledgements(
    installation: &Installation,
    source: &SourceName,
) -> Result<Vec<Acknowledgement>, ProofError> {
    let signers = signers(installation)?;
    let mut seen = Vec::new();
    for path in documents(&installation.state_folder(source).join(SEEN_FOLDER))? {
        let Ok(signed) = serde_json::from_slice::<SignedAcknowledgement>(&files::read(&path)?) else {
            continue;
        };
        let counts = signers.iter().any(|signer| signer.eq_ignore_ascii_case(&signed.signer));
        let message = seen_message(&signed.statement)?;
        let holds = signature::holds(&signed.signer, SEEN_PURPOSE, &message, &signed.signature);
        if counts && holds && signed.statement.source == *source {
            seen.push(signed.statement);
        }
    }
    Ok(seen)
}

fn seen_message(statement: &Acknowledgement) -> Result<Vec<u8>, serde_json::Error> {
    Ok(connect::plan::canonical_json(&serde_json::to_value(statement)?).into_bytes())
}

/// Takes of a certificate what decides what is known.
fn held(kept: &Kept) -> Held {
    match (&kept.certificate, &kept.recorded) {
        (Ok(certificate), _) => held_of(kept.id.clone(), &certificate.statement),
        (Err(_), Some(recorded)) => recorded.clone(),
        // Nobody knows what it said; that somebody changed it is bad enough. A person can put it aside.
        (Err(why), None) => Held {
            id: kept.id.clone(),
            at: Moment::from_micros(i64::MIN),
            commit: 0,
            outcome: Outcome::Failed,
            extent: Extent::Whole,
            against: Against::Nothing,
            subjects: BTreeSet::new(),
            all_named: false,
            problem: Some(why.clone()),
        },
    }
}

fn held_of(id: String, statement: &Statement) -> Held {
    Held {
        id,
        at: statement.at,
        commit: statement.restored_commit,
        outcome: statement.outcome,
        extent: statement.extent.clone(),
        against: statement.against,
        subjects: statement.differences.iter().map(|d| d.subject.clone()).collect(),
        all_named: statement.differences.len() as u64 == statement.differences_total,
        problem: None,
    }
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests;
