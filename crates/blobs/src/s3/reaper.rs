use std::sync::Arc;

use ports::{BlobError, BlobName, Clock, LapsedBlobs, LapsedProof, Random};
use ureq::http::Method;

use super::{
    S3Credential, S3Settings, SettingsError,
    client::{Client, document},
    connection::{Call, Connection, S3Error},
    outcome::{failed, untrue},
};

/// A credential that may delete versions, and only that. A type of its own, so that none is handed out by mistake.
#[derive(Debug, Clone)]
pub struct ReaperCredential(S3Credential);

impl ReaperCredential {
    /// Says that this credential is the reaper's.
    pub const fn new(credential: S3Credential) -> Self {
        Self(credential)
    }
}

/// Removes what has lapsed from a bucket: one version, without the header that lifts locks.
pub struct S3Reaper {
    client: Client,
}

impl S3Reaper {
    /// Makes a reaper; nothing is sent yet.
    pub fn new(
        settings: &S3Settings,
        credential: ReaperCredential,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Self, SettingsError> {
        Ok(Self { client: Client::new(Connection::new(settings, credential.0, clock, random)?) })
    }

    /// Finds the version that the name is, and nothing else: what came later under the name stays.
    fn original(&self, name: &BlobName) -> Result<String, BlobError> {
        let versions = self.client.versions_of(name.as_str());
        let original = versions.map_err(|error| failed("listing", name, error))?.original;
        original.map(|version| version.version_id).ok_or_else(|| BlobError::Missing { name: name.clone() })
    }

    fn delete(&self, name: &BlobName, version_id: &str) -> Result<(), S3Error> {
        let call = Call {
            query: vec![("versionId", version_id.to_owned())],
            ..document(Method::DELETE, Some(name.as_str()))
        };
        self.client.connection().send(&call).map(drop)
    }
}

impl<Proof: LapsedProof> LapsedBlobs<Proof> for S3Reaper {
    /// A lock that lies in the future by the store's own clock is respected before the store is asked, so that a store
    /// that would let it go is not asked.
    fn reap(&self, proof: Proof) -> Result<(), BlobError> {
        let name = proof.name();
        let version_id = self.original(name)?;
        let head = self.client.head_version(name.as_str(), &version_id);
        let head = head.map_err(|error| failed("looking at", name, error))?;
        if let Some(until) = head.locked_until {
            let date =
                head.date.ok_or_else(|| untrue("removing", name, "an answer without a date".to_owned()))?;
            if until > date {
                let text = format!("the object is locked until {until}, and it is {date} there");
                let source = std::io::Error::new(std::io::ErrorKind::PermissionDenied, text);
                return Err(BlobError::Refused { name: name.clone(), source });
            }
        }
        self.delete(name, &version_id).map_err(|error| failed("removing", name, error))
    }
}
