//! Asking a witness to cosign a vault's newest tree head.

use std::time::Duration;

use model::Moment;
use ports::{TimeError, TimeSource};
use trust::Roots;
use vault::{
    Vault, VaultError, retention,
    tree::{AddCheckpoint, CosignatureError, Note, NoteSignature, TreeHead, VerifierKey},
};

/// A witness as a vault's owner knows it: where it answers, and whose signature counts.
pub struct Client {
    agent: ureq::Agent,
    url: String,
    key: VerifierKey,
}

/// A witness's answer.
#[derive(Debug, Clone)]
pub struct Submission {
    /// When the witness cosigned it, by the witness's clock.
    pub cosigned_at: Moment,
    /// Its signature line.
    pub answer: String,
}

/// Why a witness did not cosign.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// There is nothing to cosign.
    #[error("the vault has no tree head yet")]
    NoHead,
    /// It does not answer.
    #[error("the witness at {url} does not answer")]
    Unreachable {
        /// Where it should be.
        url: String,
        /// What happened.
        #[source]
        source: Box<ureq::Error>,
    },
    /// It does not know the vault.
    #[error("the witness at {url} does not know this vault")]
    UnknownOrigin {
        /// Where it is.
        url: String,
    },
    /// It cosigned a larger tree than there is.
    #[error(
        "the vault was rolled back: the witness at {url} cosigned {witnessed} commits, the tree has {size}"
    )]
    RolledBack {
        /// Where it is.
        url: String,
        /// How many commits it saw.
        witnessed: u64,
        /// How many the vault's tree has.
        size: u64,
    },
    /// It cosigned another history.
    #[error(
        "the vault was forked: it does not continue what the witness at {url} cosigned at {witnessed} commits"
    )]
    Forked {
        /// Where it is.
        url: String,
        /// How many commits it saw.
        witnessed: u64,
    },
    /// It answers something else than a witness does.
    #[error("the witness at {url} answered {status}: {text}")]
    Answer {
        /// Where it is.
        url: String,
        /// The HTTP status.
        status: u16,
        /// The text.
        text: String,
    },
    /// Its signature does not hold under the key that is trusted.
    #[error("the answer of the witness at {url} is not signed by {name}")]
    Signature {
        /// Where it is.
        url: String,
        /// Whose signature was expected.
        name: String,
    },
    /// The vault cannot be read.
    #[error("the vault cannot be read")]
    Vault(#[from] VaultError),
    /// What the witness answered cannot be kept.
    #[error("the cosignature cannot be kept in the vault")]
    Keep(#[from] CosignatureError),
}

impl SubmitError {
    /// Returns what a person can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownOrigin { .. } => Some(
                "on the witness: unwipe witness watch KEY, with the key that unwipe head key prints"
                    .to_owned(),
            ),
            Self::RolledBack { .. } | Self::Forked { .. } => Some(
                "stop captures, keep the vault as it is, and compare: unwipe verify --against FILE"
                    .to_owned(),
            ),
            Self::NoHead => Some("unwipe head advance".to_owned()),
            _ => None,
        }
    }

    /// Returns whether the witness saw another history than the vault now has.
    pub const fn is_tampering(&self) -> bool {
        matches!(self, Self::RolledBack { .. } | Self::Forked { .. })
    }
}

const TIMEOUT: Duration = Duration::from_secs(20);
const ANSWER_BYTES_MAX: u64 = 64 << 10;

/// Puts together what a witness is asked that cosigned a tree of the old size; `None` when the vault's tree is smaller.
pub fn request(vault: &Vault, head: &TreeHead, old_size: u64) -> Result<Option<AddCheckpoint>, VaultError> {
    let proof = match old_size {
        0 => Some(Vec::new()),
        old if old > head.size() => None,
        old => vault.tree_since(old)?.consistency_proof(old, head.size()),
    };
    Ok(proof.map(|proof| AddCheckpoint { old_size, proof, signed: head.signed.clone() }))
}

impl Client {
    /// Makes a client. `https` is checked against the roots that the system trusts.
    pub fn new(url: &str, key: VerifierKey) -> Self {
        let configuration = ureq::Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            .max_redirects(0)
            .tls_config(Roots::of_system().client())
            .build();
        Self { agent: configuration.into(), url: url.trim_end_matches('/').to_owned(), key }
    }

    /// Has a vault's newest tree head cosigned and keeps the answer beside it; `now` is when it is kept.
    ///
    /// The witness's own time decides nothing about the lock: it may be wrong.
    pub fn submit(&self, vault: &Vault, head: &TreeHead, now: Moment) -> Result<Submission, SubmitError> {
        let submission = self.ask(vault, head)?;
        let lock = retention::lock_until(now.max(head.vault_time), vault.manifest().lock_days);
        vault.keep_cosignatures(head, &submission.answer, lock)?;
        Ok(submission)
    }

    /// Has a tree head cosigned; the same one again gives the time again.
    fn ask(&self, vault: &Vault, head: &TreeHead) -> Result<Submission, SubmitError> {
        // A witness that has seen the vault before says where it is. What it says the second time is final.
        let mut old_size = 0;
        for attempt in 0..2 {
            let Some(request) = request(vault, head, old_size)? else { break };
            let (status, text) = self.post(&request.to_string())?;
            let url = || self.url.clone();
            match status {
                200 => return self.accept(head, &text),
                404 => return Err(SubmitError::UnknownOrigin { url: url() }),
                422 => return Err(SubmitError::Forked { url: url(), witnessed: old_size }),
                409 => {
                    let witnessed = text.trim().parse().ok().filter(|witnessed| *witnessed != old_size);
                    match witnessed {
                        Some(witnessed) if witnessed > head.size() => {
                            let size = head.size();
                            return Err(SubmitError::RolledBack { url: url(), witnessed, size });
                        }
                        Some(witnessed) if attempt == 0 => old_size = witnessed,
                        _ => return Err(SubmitError::Forked { url: url(), witnessed: old_size }),
                    }
                }
                _ => return Err(SubmitError::Answer { url: url(), status, text: text.trim().to_owned() }),
            }
        }
        Err(SubmitError::Forked { url: self.url.clone(), witnessed: old_size })
    }

    fn accept(&self, head: &TreeHead, text: &str) -> Result<Submission, SubmitError> {
        let unsigned = || SubmitError::Signature { url: self.url.clone(), name: self.key.name().to_owned() };
        let lines = NoteSignature::parse_all(text).map_err(|_| unsigned())?;
        // Other signatures in the answer are nobody's business, and one that does not hold is none.
        let cosigned = |line: NoteSignature| {
            let note = Note::parse(&format!("{}\n{line}\n", head.signed.note.text())).ok()?;
            Some((note.cosigned_at(&self.key)?, format!("{line}\n")))
        };
        let (seconds, answer) = lines.into_iter().filter_map(cosigned).max().ok_or_else(unsigned)?;
        let micros = i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000_000);
        Ok(Submission { cosigned_at: Moment::from_micros(micros), answer })
    }

    fn post(&self, body: &str) -> Result<(u16, String), SubmitError> {
        let send = || {
            let mut response = self.agent.post(format!("{}/add-checkpoint", self.url)).send(body)?;
            let status = response.status().as_u16();
            let text = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string()?;
            Ok((status, text))
        };
        send().map_err(|source| SubmitError::Unreachable { url: self.url.clone(), source: Box::new(source) })
    }
}

/// The clock of a witness: it states the time whenever it cosigns.
pub struct WitnessClock {
    client: Client,
    vault: Vault,
}

impl WitnessClock {
    /// Makes a time source that has the vault's newest tree head cosigned to learn the time.
    pub const fn new(client: Client, vault: Vault) -> Self {
        Self { client, vault }
    }
}

impl TimeSource for WitnessClock {
    fn name(&self) -> String {
        format!("the witness {}", self.client.key.name())
    }

    fn read(&self) -> Result<Moment, TimeError> {
        let newest = self.vault.newest_tree_head().map_err(SubmitError::from);
        let asked = newest.and_then(|head| self.client.ask(&self.vault, &head.ok_or(SubmitError::NoHead)?));
        match asked {
            Ok(submission) => Ok(submission.cosigned_at),
            Err(error) => Err(TimeError { name: self.name(), source: Box::new(error) }),
        }
    }
}
