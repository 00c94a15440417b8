use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use model::Moment;
use ports::{
    Blob, BlobError, BlobName, BlobStore, Clock, ForeignKind, ForeignObject, Random, TimeError, TimeSource,
};

use super::{
    LockMode, S3Credential, S3Settings, SettingsError, attest,
    client::{ByteRange, Client, VersionHead},
    connection::{Connection, S3Error},
    encoding::{self, Sha256, whole_second},
    listing::{KeyVersions, ListedVersion},
    outcome::{failed, listing_failed, untrue},
};

/// A vault's objects in a bucket with Object Lock.
///
/// The object of a name is the oldest version under its key that is not a delete marker. Later versions and markers
/// change nothing of what is read; [`BlobStore::foreign`] reports them. The store can be used by many threads at once:
/// each call takes a connection from a pool.
pub struct S3Store {
    client: Client,
    /// Which version each name is. A name's oldest version stays the oldest, so this does not age.
    known: RwLock<HashMap<BlobName, String>>,
}

/// One PUT takes this much everywhere; a vault's objects stay below it, so that none needs a multipart upload, which
/// several stores do not lock.
const OBJECT_BYTES_MAX: usize = 64 << 20;

impl S3Store {
    /// Makes a store; nothing is sent yet.
    pub fn new(
        settings: &S3Settings,
        credential: S3Credential,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Self, SettingsError> {
        let connection = Connection::new(settings, credential, clock, random)?;
        Ok(Self { client: Client::new(connection), known: RwLock::default() })
    }

    fn versions_of(&self, name: &BlobName) -> Result<KeyVersions, BlobError> {
        self.client.versions_of(name.as_str()).map_err(|error| failed("listing", name, error))
    }

    /// Returns the version that a name is.
    fn version(&self, name: &BlobName) -> Result<String, BlobError> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        if let Some(version_id) = known {
            return Ok(version_id);
        }
        let original = self.versions_of(name)?.original;
        let original = original.ok_or_else(|| BlobError::Missing { name: name.clone() })?;
        self.remember(name, &original.version_id);
        Ok(original.version_id)
    }

    fn remember(&self, name: &BlobName, version_id: &str) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(name.clone(), version_id.to_owned());
    }

    /// Does something with the version that a name is; when that version is gone, looks once whether there is another.
    fn with_version<T>(
        &self,
        operation: &'static str,
        name: &BlobName,
        work: impl Fn(&str) -> Result<T, S3Error>,
    ) -> Result<T, BlobError> {
        let version_id = self.version(name)?;
        match work(&version_id) {
            Err(error) if error.status() == Some(404) => {
                self.known.write().unwrap_or_else(PoisonError::into_inner).remove(name);
                let again = self.version(name)?;
                if again == version_id {
                    return Err(untrue(operation, name, format!("version {again} is listed and not there")));
                }
                work(&again).map_err(|error| failed(operation, name, error))
            }
            result => result.map_err(|error| failed(operation, name, error)),
        }
    }

    /// Puts the object there and returns its version, or finds that the name is another's.
    fn put(
        &self,
        name: &BlobName,
        content: &[u8],
        digest: &Sha256,
        until: Moment,
    ) -> Result<String, BlobError> {
        let connection = self.client.connection();
        let mut may_be_there = false;
        let mut attempt = 1;
        loop {
            let error = match self.client.put_locked(name.as_str(), content, digest, until) {
                Ok(Some(version_id)) => {
                    let written = Some(version_id.as_str()).filter(|_| !may_be_there);
                    return self.own(name, content, digest, written);
                }
                Ok(None) => {
                    let what = "the bucket keeps no versions, so it locks nothing".to_owned();
                    return Err(untrue("writing", name, what));
                }
                Err(error) => error,
            };
            // 412: the name is taken. 409: another write of the name is under way.
            let taken = error.status() == Some(412);
            may_be_there |= error.is_ambiguous();
            if may_be_there && self.versions_of(name)?.original.is_some() {
                return self.own(name, content, digest, None);
            }
            if taken {
                return Err(BlobError::Exists { name: name.clone() });
            }
            let passing = error.is_passing() || error.status() == Some(409);
            if !passing || attempt >= connection.attempts() {
                return Err(failed("writing", name, error));
            }
            connection.pause(attempt);
            attempt += 1;
        }
    }

    /// Decides whether the name is ours: the oldest version is the one that was written here.
    ///
    /// A store that does not honour `If-None-Match` lets several writers win; this leaves one, the same for everybody.
    /// `written` is the version that this call wrote. After an unanswered call it is not known, and the content tells.
    fn own(
        &self,
        name: &BlobName,
        content: &[u8],
        digest: &Sha256,
        written: Option<&str>,
    ) -> Result<String, BlobError> {
        let unlisted = || untrue("writing", name, "the store took it and does not list it".to_owned());
        let original = self.versions_of(name)?.original.ok_or_else(unlisted)?.version_id;
        let ours = match written {
            Some(written) => original == written,
            None => self.holds(name, &original, content, digest)?,
        };
        if ours { Ok(original) } else { Err(BlobError::Exists { name: name.clone() }) }
    }

    /// Tells whether a version has this content: by its checksum, or by reading it where the store tells none.
    fn holds(
        &self,
        name: &BlobName,
        version_id: &str,
        content: &[u8],
        digest: &Sha256,
    ) -> Result<bool, BlobError> {
        let head = self.client.head_version(name.as_str(), version_id);
        let head = head.map_err(|error| failed("looking at", name, error))?;
        self.matches(name, version_id, &head, content, digest)
    }

    fn matches(
        &self,
        name: &BlobName,
        version_id: &str,
        head: &VersionHead,
        content: &[u8],
        digest: &Sha256,
    ) -> Result<bool, BlobError> {
        if head.size_bytes != content.len() as u64 {
            return Ok(false);
        }
        if let Some(told) = &head.sha256 {
            return Ok(told == digest);
        }
        let stored = self.client.get_version(name.as_str(), version_id, None);
        Ok(encoding::sha256(&stored.map_err(|error| failed("reading", name, error))?) == *digest)
    }

    /// Looks at what was written: is it there, whole, and locked? A missing lock is set once more.
    fn verify(
        &self,
        name: &BlobName,
        version_id: &str,
        content: &[u8],
        digest: &Sha256,
        until: Moment,
    ) -> Result<(), BlobError> {
        let head = match self.client.head_version(name.as_str(), version_id) {
            Err(error) if error.status() == Some(404) => {
                let what = "the store said it was written and it is not there".to_owned();
                return Err(untrue("writing", name, what));
            }
            other => other.map_err(|error| failed("looking at", name, error))?,
        };
        if !self.matches(name, version_id, &head, content, digest)? {
            return Err(untrue("writing", name, "the store keeps other bytes than were sent".to_owned()));
        }
        if is_locked(&head, until) {
            return Ok(());
        }
        self.lock(name, version_id, until)
    }

    /// Sets the lock of a version and looks whether it is there.
    fn lock(&self, name: &BlobName, version_id: &str, until: Moment) -> Result<(), BlobError> {
        let set = self.client.extend_retention(name.as_str(), version_id, until);
        let head = self.client.head_version(name.as_str(), version_id);
        let head = head.map_err(|error| failed("looking at", name, error))?;
        if is_locked(&head, until) {
            return Ok(());
        }
        set.map_err(|error| failed("locking", name, error))?;
        Err(BlobError::Unlocked { name: name.clone(), detail: lock_text(&head) })
    }
}

/// Tells whether a version is locked in compliance mode at least until then.
fn is_locked(head: &VersionHead, until: Moment) -> bool {
    head.mode == Some(LockMode::Compliance) && head.locked_until.is_some_and(|lock| lock >= until)
}

fn lock_text(head: &VersionHead) -> String {
    match (head.mode, head.locked_until) {
        (None, _) | (_, None) => "it shows no lock".to_owned(),
        (Some(LockMode::Governance), Some(until)) => {
            format!("it shows a lock that can be lifted, until {until}")
        }
        (Some(LockMode::Compliance), Some(until)) => format!("it shows a lock until {until}"),
    }
}

impl BlobStore for S3Store {
    fn create(&self, name: &BlobName, content: &[u8], locked_until: Moment) -> Result<(), BlobError> {
        if content.len() > OBJECT_BYTES_MAX {
            let what = format!("{} bytes are more than one request may carry", content.len());
            return Err(untrue("writing", name, what));
        }
        let digest = encoding::sha256(content);
        let until = whole_second(locked_until);
        let version_id = self.put(name, content, &digest, until)?;
        self.verify(name, &version_id, content, &digest, until)?;
        self.remember(name, &version_id);
        Ok(())
    }

    fn read(&self, name: &BlobName) -> Result<Vec<u8>, BlobError> {
        self.with_version("reading", name, |id| self.client.get_version(name.as_str(), id, None))
    }

    fn read_range(&self, name: &BlobName, offset: u64, length: u64) -> Result<Vec<u8>, BlobError> {
        let range = ByteRange { offset, length };
        self.with_version("reading", name, |id| self.client.get_version(name.as_str(), id, Some(range)))
    }

    fn head(&self, name: &BlobName) -> Result<Blob, BlobError> {
        let head = self.with_version("looking at", name, |id| self.client.head_version(name.as_str(), id))?;
        // A lock that can be lifted is none.
        let locked_until = head.locked_until.filter(|_| head.mode == Some(LockMode::Compliance));
        Ok(Blob { name: name.clone(), size_bytes: head.size_bytes, locked_until })
    }

    fn list(&self, prefix: &str) -> Result<Vec<Blob>, BlobError> {
        let versions = self.client.versions(prefix).map_err(|error| listing_failed(prefix, error))?;
        let mut blobs = Vec::new();
        for (key, versions) in by_key(versions) {
            let (Ok(name), Some(original)) = (BlobName::new(key), versions.original) else { continue };
            self.remember(&name, &original.version_id);
            blobs.push(Blob { name, size_bytes: original.size_bytes, locked_until: None });
        }
        blobs.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(blobs)
    }

    fn foreign(&self, prefix: &str) -> Result<Vec<ForeignObject>, BlobError> {
        let versions = self.client.versions(prefix).map_err(|error| listing_failed(prefix, error))?;
        let mut foreign = Vec::new();
        for (key, versions) in by_key(versions) {
            if key.starts_with(attest::FOLDER) {
                continue;
            }
            let valid = BlobName::new(key.clone()).is_ok();
            let odd = versions.original.as_ref().filter(|_| !valid);
            foreign.extend(odd.map(|version| foreign_object(version, ForeignKind::Stray, "")));
            foreign.extend(versions.others.iter().map(|version| {
                let same = versions.original.as_ref().is_some_and(|original| {
                    !version.is_delete_marker
                        && (&original.entity_tag, original.size_bytes)
                            == (&version.entity_tag, version.size_bytes)
                });
                let what = if version.is_delete_marker {
                    ForeignKind::DeleteMarker
                } else {
                    ForeignKind::LaterVersion
                };
                foreign_object(version, what, if same { ", with the same content" } else { "" })
            }));
        }
        Ok(foreign)
    }

    fn extend_lock(&self, name: &BlobName, locked_until: Moment) -> Result<(), BlobError> {
        let until = whole_second(locked_until);
        // Looked at first: a store that lets locks be shortened must not be asked to.
        let head = self.with_version("looking at", name, |id| self.client.head_version(name.as_str(), id))?;
        if is_locked(&head, until) {
            return Ok(());
        }
        self.lock(name, &self.version(name)?, until)
    }
}

impl TimeSource for S3Store {
    fn name(&self) -> String {
        format!("the object store at {}", self.client.connection().host())
    }

    fn read(&self) -> Result<Moment, TimeError> {
        let name = || TimeSource::name(self);
        self.client.time().map_err(|error| TimeError { name: name(), source: Box::new(error) })
    }
}

/// Groups a listing by its keys.
fn by_key(versions: Vec<ListedVersion>) -> Vec<(String, KeyVersions)> {
    let mut keys: std::collections::BTreeMap<String, Vec<ListedVersion>> = std::collections::BTreeMap::new();
    for version in versions {
        keys.entry(version.key.clone()).or_default().push(version);
    }
    keys.into_iter().map(|(key, versions)| (key, KeyVersions::new(versions))).collect()
}

fn foreign_object(version: &ListedVersion, what: ForeignKind, note: &str) -> ForeignObject {
    let when = version.modified_at.map(|at| format!(" of {at}")).unwrap_or_default();
    ForeignObject {
        name: version.key.clone(),
        what,
        detail: format!("version {}{when}, {} bytes{note}", version.version_id, version.size_bytes),
    }
}
