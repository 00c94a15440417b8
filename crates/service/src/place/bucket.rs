//! A vault in a bucket with Object Lock.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use blobs::s3::{
    Addressing, CallerAnswer, Patience, ReaperCredential, S3Credential, S3Reaper, S3Settings, S3Store,
    StsSettings,
    attest::{
        Attestation, Canary, Check, Credentials, ForeignAttempt, Outcome, Verdict, attest, try_foreign,
    },
    caller,
};
use connect::Finding;
use ports::{BlobStore, ForeignObject, LapsedBlobs, files};
use serde::{Deserialize, Serialize};
use vault::reap::Lapsed;

use super::{PlaceError, Standing, Surroundings};

/// A bucket with Object Lock, and what it is spoken to with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bucket {
    /// The server: `https://s3.eu-central-1.amazonaws.com`.
    pub endpoint: String,
    /// The region that requests are signed for.
    pub region: String,
    /// The bucket.
    pub bucket: String,
    /// What the vault's keys begin with inside the bucket.
    #[serde(default)]
    pub prefix: String,
    /// Where the bucket's name stands in a request.
    #[serde(default)]
    pub addressing: Addressing,
    /// A file with the certificates that are trusted, in place of the system's; relative to the configuration.
    pub certificate_authorities: Option<PathBuf>,
    /// The access key of the writer, by reference.
    pub access_key: String,
    /// Its secret, by reference.
    pub secret_key: String,
    /// Its session token, by reference.
    pub session_token: Option<String>,
    /// The access key that `doctor` attacks with, by reference; the writer's own where there is none.
    pub attest_access_key: Option<String>,
    /// Its secret, by reference.
    pub attest_secret_key: Option<String>,
    /// The access key that may delete lapsed versions and nothing else, by reference; only on a host that reaps.
    pub reaper_access_key: Option<String>,
    /// Its secret, by reference.
    pub reaper_secret_key: Option<String>,
}

/// The file below `state` that remembers which canaries were set out where.
const CANARIES: &str = "canaries.json";

impl Bucket {
    pub(super) fn open(&self, around: &Surroundings<'_>) -> Result<Arc<S3Store>, PlaceError> {
        let settings = self.settings(around);
        let (clock, random) = (Arc::clone(&around.clock), Arc::clone(&around.random));
        Ok(Arc::new(S3Store::new(&settings, self.writer(around)?, clock, random)?))
    }

    /// Makes what removes lapsed versions, from a credential of its own: the writer's is never used for it.
    pub(super) fn reaper(
        &self,
        around: &Surroundings<'_>,
    ) -> Result<Box<dyn LapsedBlobs<Lapsed>>, PlaceError> {
        let (Some(access_key), Some(secret_key)) = (&self.reaper_access_key, &self.reaper_secret_key) else {
            let remedy = "set vault.place.reaper_access_key and reaper_secret_key on the host that reaps";
            return Err(PlaceError::NoReaper { remedy });
        };
        let credential = ReaperCredential::new(S3Credential {
            access_key: around.secrets.resolve(access_key)?.expose().clone(),
            secret_key: around.secrets.resolve(secret_key)?,
            session_token: None,
        });
        let (clock, random) = (Arc::clone(&around.clock), Arc::clone(&around.random));
        Ok(Box::new(S3Reaper::new(&self.settings(around), credential, clock, random)?))
    }

    fn settings(&self, around: &Surroundings<'_>) -> S3Settings {
        S3Settings {
            endpoint: self.endpoint.clone(),
            region: self.region.clone(),
            bucket: self.bucket.clone(),
            prefix: self.prefix.clone(),
            addressing: self.addressing,
            certificate_authorities: self.certificate_authorities.as_ref().map(|path| around.home.join(path)),
            patience: Patience::default(),
        }
    }

    fn writer(&self, around: &Surroundings<'_>) -> Result<S3Credential, PlaceError> {
        Ok(S3Credential {
            access_key: around.secrets.resolve(&self.access_key)?.expose().clone(),
            secret_key: around.secrets.resolve(&self.secret_key)?,
            session_token: self
                .session_token
                .as_ref()
                .map(|text| around.secrets.resolve(text))
                .transpose()?,
        })
    }

    /// Returns what attacks: the credential lent for it, or the writer's.
    fn attacker(&self, around: &Surroundings<'_>) -> Result<S3Credential, PlaceError> {
        match (&self.attest_access_key, &self.attest_secret_key) {
            (Some(access_key), Some(secret_key)) => Ok(S3Credential {
                access_key: around.secrets.resolve(access_key)?.expose().clone(),
                secret_key: around.secrets.resolve(secret_key)?,
                session_token: None,
            }),
            _ => self.writer(around),
        }
    }

    /// Attacks throw-away objects in the bucket to learn what it enforces, and looks after the canaries.
    pub(super) fn measure(&self, around: &Surroundings<'_>) -> Result<Standing, PlaceError> {
        let (folder, here) = (around.home.join("state"), self.describe());
        files::create_folder(&folder)?;
        let path = folder.join(CANARIES);
        let mut all: BTreeMap<String, Vec<Canary>> = match files::read_text(&path) {
            // A file that is no list of canaries is begun anew: the store still has theirs.
            Ok(text) => serde_json::from_str(&text).unwrap_or_default(),
            Err(_) => BTreeMap::new(),
        };
        let known = all.get(&here).cloned().unwrap_or_default();
        let credentials = Credentials { writer: self.writer(around)?, attacker: self.attacker(around)? };
        let attestation = attest(&self.settings(around), credentials, &around.clock, &around.random, &known)?;
        if attestation.canaries != known {
            all.insert(here, attestation.canaries.clone());
            let text = serde_json::to_vec_pretty(&all).unwrap_or_default();
            files::replace(&path, &text)?;
        }
        let mut standing = standing(&attestation);
        if standing.tier > 0 {
            let foreign = self.open(around)?.foreign("");
            standing.findings.extend(foreign.ok().map(|foreign| foreign_finding(&foreign)));
        }
        Ok(standing)
    }

    /// Tries what a credential that is not the vault's can do here, on throw-away objects alone.
    pub fn try_foreign(
        &self,
        foreign: S3Credential,
        around: &Surroundings<'_>,
    ) -> Result<Vec<ForeignAttempt>, PlaceError> {
        let mut settings = self.settings(around);
        settings.patience = asking();
        Ok(try_foreign(&settings, self.writer(around)?, foreign, &around.clock, &around.random)?)
    }

    /// Returns where the maker of this bucket's keys says whose a key is: as given, or Amazon's own where the bucket is there.
    pub fn token_service(&self, given: Option<&str>, home: &Path) -> Option<StsSettings> {
        let host = self.endpoint.split_once("://").map(|(_, host)| host.trim_end_matches('/'));
        let at_amazon = host.is_some_and(|host| host.ends_with(".amazonaws.com"));
        let endpoint = match given {
            Some(given) => given.to_owned(),
            None if at_amazon => format!("https://sts.{}.amazonaws.com", self.region),
            None => return None,
        };
        let certificate_authorities = self.certificate_authorities.as_ref().map(|path| home.join(path));
        Some(StsSettings {
            endpoint,
            region: self.region.clone(),
            certificate_authorities,
            patience: asking(),
        })
    }

    /// Asks whose the writer's key is.
    pub fn whose_writer(
        &self,
        service: &StsSettings,
        around: &Surroundings<'_>,
    ) -> Result<CallerAnswer, PlaceError> {
        Ok(caller(service, self.writer(around)?, &around.clock, &around.random)?)
    }

    pub(super) fn describe(&self) -> String {
        let prefix = self.prefix.trim_matches('/');
        let slash = if prefix.is_empty() { "" } else { "/" };
        format!("{}/{}{slash}{prefix}", self.endpoint.trim_end_matches('/'), self.bucket)
    }
}

/// An answer is wanted, and no perseverance.
pub fn asking() -> Patience {
    Patience { attempts: 2, request: std::time::Duration::from_secs(30), ..Patience::default() }
}

fn standing(attestation: &Attestation) -> Standing {
    let tier = if attestation.verdict == Verdict::NotTrusted { 0 } else { 3 };
    let count = attestation.checks.len();
    let statement = match attestation.verdict {
        Verdict::Trusted => format!("locked in a bucket that resisted all of {count} checks"),
        Verdict::TrustedWithRemarks => {
            format!(
                "locked in a bucket that resisted what matters of {count} checks; see the remarks of doctor"
            )
        }
        Verdict::NotTrusted => "the bucket does not hold what it promises: nothing there is safe".to_owned(),
    };
    Standing { tier, statement, findings: attestation.checks.iter().map(finding).collect() }
}

fn finding(check: &Check) -> Finding {
    let evidence = format!("{}: {}", check.id, check.seen);
    match check.outcome {
        Outcome::Holds => Finding::good(check.expected, evidence),
        Outcome::Remark => Finding::advice(check.expected, evidence, advice(check.id)),
        Outcome::Fails => {
            Finding::bad(check.expected, evidence, "use another store, and keep a mirror of this one")
        }
    }
}

/// Says whether somebody tried to hide or to replace something. It succeeded for nobody: the oldest version counts.
fn foreign_finding(foreign: &[ForeignObject]) -> Finding {
    const SUBJECT: &str = "nobody tried to hide or to replace what is stored";
    match foreign.first() {
        None => Finding::good(SUBJECT, "no delete markers, no later versions, nothing that no vault writes"),
        Some(first) => Finding::advice(
            SUBJECT,
            format!(
                "{} traces; the first: {} at {} ({})",
                foreign.len(),
                first.what,
                first.name,
                first.detail
            ),
            "unwipe verify; then find out who holds a credential for the bucket: the vault still reads what it wrote",
        ),
    }
}

/// Says what a person can do about a remark.
const fn advice(id: &str) -> &'static str {
    match id.as_bytes() {
        b"lapse" => "set vault.place.attest_access_key and attest_secret_key to a credential that may delete",
        b"lifecycle" => "remove the bucket's lifecycle rules, or exclude the vault's prefix",
        b"clock" => "compare both clocks with a third",
        _ => "nothing needs to be done: a vault does not rest on it",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(id: &'static str, outcome: Outcome) -> Check {
        Check { id, expected: "it holds", seen: "seen".to_owned(), outcome }
    }

    #[test]
    fn traces_are_shown() {
        assert_eq!(foreign_finding(&[]).standing, connect::Standing::Good);
        let marker = ForeignObject {
            name: "keys/0".to_owned(),
            what: ports::ForeignKind::DeleteMarker,
            detail: "v".to_owned(),
        };
        let finding = foreign_finding(&[marker]);
        assert_eq!(finding.standing, connect::Standing::Advice);
        assert!(finding.evidence.contains("a delete marker at keys/0"));
    }

    #[test]
    fn only_what_was_attested_is_tier_3() {
        let standing_of = |verdict, outcome| {
            standing(&Attestation { verdict, checks: vec![check("lapse", outcome)], canaries: Vec::new() })
        };
        assert_eq!(standing_of(Verdict::Trusted, Outcome::Holds).tier, 3);
        let remarks = standing_of(Verdict::TrustedWithRemarks, Outcome::Remark);
        assert_eq!((remarks.tier, remarks.findings[0].standing), (3, connect::Standing::Advice));
        assert!(remarks.findings[0].fix.as_ref().unwrap().contains("attest_access_key"));
        let bad = standing_of(Verdict::NotTrusted, Outcome::Fails);
        assert_eq!((bad.tier, bad.findings[0].standing), (0, connect::Standing::Bad));
    }
}
