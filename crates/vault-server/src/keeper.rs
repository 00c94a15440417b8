//! What stands between a request and the vault.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use blobs::remote::protocol::{Listed, OBJECT_BYTES_MAX, PAGE_OBJECTS, Page, Status};
use model::{Moment, SourceName};
use ports::{Blob, BlobError, BlobName, BlobStore, Clock, files::FileError};
use vault::{Commit, ObjectName, PackId, Vault, VaultError, object, retention, tree::TreeHead};

pub use crate::checks::ContentError;
use crate::{
    Capability, Policy,
    capability::Act,
    checks,
    quota::{Charge, QuotaError, Quotas},
};

/// Tells how much space is free; `None` where nobody knows.
pub type FreeSpace = Box<dyn Fn() -> Option<u64> + Send + Sync>;

/// Decides on every request, and derives anew what it is told.
pub struct Keeper {
    vault: Vault,
    policy: Policy,
    quotas: Arc<Quotas>,
    clock: Arc<dyn Clock>,
    free: FreeSpace,
    logs: Mutex<HashMap<SourceName, Arc<LogEnd>>>,
}

/// The newest commit of a source, read once. Whoever adds to the log holds the lock.
type LogEnd = Mutex<Option<Option<Commit>>>;

/// Why a request was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum KeeperError {
    /// The vault's format knows no such name.
    #[error("{name} is no name of a vault's object")]
    Name {
        /// The name.
        name: String,
    },
    /// The certificate does not allow it.
    #[error("a certificate for {capability} may not {act} {what}")]
    Capability {
        /// What it allows.
        capability: Capability,
        /// What was wanted.
        act: &'static str,
        /// With what.
        what: String,
    },
    /// Too large.
    #[error("an object has at most {OBJECT_BYTES_MAX} bytes")]
    TooLarge,
    /// The lock that was asked for is longer than any that is granted.
    #[error("locks are granted up to {limit}: a longer one would fill the disk for good")]
    Lock {
        /// The latest date that is granted.
        limit: Moment,
    },
    /// The content is not what its name says.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// The source has used its share of the day.
    #[error(transparent)]
    Quota(#[from] QuotaError),
    /// What is left of the disk is kept for the others.
    #[error("{free} bytes are free above the reserve, {wanted} are wanted")]
    Reserve {
        /// What is free.
        free: u64,
        /// What is wanted.
        wanted: u64,
    },
    /// The store's answer.
    #[error(transparent)]
    Store(#[from] BlobError),
    /// The vault's own log cannot be read.
    #[error("the vault's log cannot be read")]
    Vault(#[source] VaultError),
    /// The accounts cannot be written down.
    #[error("the accounts of the quotas cannot be written")]
    Accounts(#[from] FileError),
}

/// Leave to send an object's content.
pub struct Admission {
    name: BlobName,
    object: ObjectName,
    length: u64,
    lock: Moment,
    capability: Capability,
    charge: Charge,
}

impl Keeper {
    /// Opens a vault for clients. `accounts` is the file in which the quotas are kept.
    pub fn open(
        store: Arc<dyn BlobStore>,
        accounts: &Path,
        policy: Policy,
        clock: Arc<dyn Clock>,
        free: FreeSpace,
    ) -> Result<Self, VaultError> {
        let vault = Vault::open(store)?;
        let quotas = Arc::new(Quotas::open(accounts, policy, &vault, clock.now())?);
        Ok(Self { vault, policy, quotas, clock, free, logs: Mutex::new(HashMap::new()) })
    }

    /// Returns the time that counts.
    pub fn now(&self) -> Moment {
        self.clock.now()
    }

    /// Decides whether an object may be created, before its content is read.
    pub fn admit(
        &self,
        capability: &Capability,
        name: &BlobName,
        length: u64,
        asked: Option<Moment>,
    ) -> Result<Admission, KeeperError> {
        let object = Self::check(capability, Act::Create, name)?;
        if length > OBJECT_BYTES_MAX {
            return Err(KeeperError::TooLarge);
        }
        let small = matches!(object, ObjectName::Head(_) | ObjectName::Proof)
            || matches!((&object, capability), (ObjectName::Retention(_), Capability::Capture(_)));
        if small && length > checks::SMALL_BYTES_MAX {
            return Err(ContentError::Size { limit: checks::SMALL_BYTES_MAX }.into());
        }
        let lock = self.lock(asked)?;
        match self.vault.store().head(name) {
            Ok(_) => return Err(BlobError::Exists { name: name.clone() }.into()),
            Err(BlobError::Missing { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        if let Some(free) = self.free_bytes()
            && free < length
        {
            return Err(KeeperError::Reserve { free, wanted: length });
        }
        let charge = self.quotas.charge(&capability.to_string(), length, self.now())?;
        Ok(Admission { name: name.clone(), object, length, lock, capability: capability.clone(), charge })
    }

    /// Checks content and stores it. Returns until when it is locked.
    pub fn create(&self, admission: Admission, content: &[u8]) -> Result<Moment, KeeperError> {
        if content.len() as u64 != admission.length {
            let (announced, found) = (admission.length, content.len() as u64);
            return Err(ContentError::Length { announced, found }.into());
        }
        match (&admission.object, &admission.capability) {
            (ObjectName::Pack(id), _) => checks::pack(id, content, self.vault.manifest())?,
            (ObjectName::Commit(_, sequence), Capability::Capture(own)) => {
                let sequence = *sequence;
                let own = own.clone();
                return self.append(&own, sequence, admission, content);
            }
            (ObjectName::Head(number), _) => self.check_next_head(*number, content)?,
            (ObjectName::Retention(number), capability) => {
                let own = match capability {
                    Capability::Capture(own) => Some(own),
                    _ => None,
                };
                checks::retention_entry(
                    *number,
                    content,
                    self.vault.manifest().vault,
                    &self.vault.keys(),
                    own,
                )?;
            }
            (ObjectName::Proof, _) => {}
            (object, capability) => {
                return Err(refused(capability, Act::Create, format!("{object:?}")));
            }
        }
        self.store(admission, content)
    }

    /// Heads are numbered one by one: nobody can take a later one's place beforehand. Each must continue the last.
    fn check_next_head(&self, found: u64, content: &[u8]) -> Result<(), KeeperError> {
        let heads = self.vault.store().list("heads/")?;
        let number = |blob: &Blob| match ObjectName::parse(&blob.name) {
            Some(ObjectName::Head(number)) => Some(number),
            _ => None,
        };
        let next = heads.iter().filter_map(number).max().map_or(0, |last| last + 1);
        if found != next {
            return Err(ContentError::HeadNumber { found, next }.into());
        }
        let previous = self.vault.newest_tree_head().map_err(KeeperError::Vault)?;
        let head = TreeHead::parse(content, self.vault.manifest().vault, &self.vault.keys())
            .map_err(ContentError::from)?;
        Ok(head.check_follows(previous.as_ref()).map_err(ContentError::from)?)
    }

    fn store(&self, admission: Admission, content: &[u8]) -> Result<Moment, KeeperError> {
        admission.charge.record()?;
        self.vault.store().create(&admission.name, content, admission.lock)?;
        admission.charge.keep();
        Ok(admission.lock)
    }

    /// Adds a commit to a source's log: one at a time, each after the one before.
    fn append(
        &self,
        own: &SourceName,
        sequence: u64,
        mut admission: Admission,
        content: &[u8],
    ) -> Result<Moment, KeeperError> {
        let manifest = self.vault.manifest();
        // The owner may have added or retired a signer since.
        self.vault.refresh_keys().map_err(KeeperError::Vault)?;
        let keys = self.vault.keys();
        let commit = Commit::parse(content, manifest.vault, &keys).map_err(ContentError::from)?;
        let envelope = &commit.envelope;
        if envelope.source != *own || envelope.sequence != sequence {
            let source_name = envelope.source.clone();
            let misplaced = vault::log::CommitError::Misplaced { source_name, sequence: envelope.sequence };
            return Err(ContentError::from(misplaced).into());
        }
        checks::commit_time(&commit, self.now(), self.policy.lock_max(&*self.clock))?;

        let end = {
            let mut logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(logs.entry(own.clone()).or_default())
        };
        let mut end = end.lock().unwrap_or_else(PoisonError::into_inner);
        let mut previous = match end.take() {
            Some(known) => known,
            None => self.vault.head(own).map_err(KeeperError::Vault)?,
        };
        if commit.check_follows(previous.as_ref()).is_err() {
            // Somebody on this host may have added to the log beside the server.
            previous = self.vault.head(own).map_err(KeeperError::Vault)?;
        }
        let fits = commit
            .check_follows(previous.as_ref())
            .map_err(ContentError::from)
            .and_then(|()| checks::retention(&commit, previous.as_ref(), manifest));
        *end = Some(previous);
        fits?;

        let retained = retention::lock_until(self.now(), commit.envelope.retention_days);
        admission.lock = admission.lock.max(commit.envelope.locked_until).max(retained);
        self.hold_packs(&commit, admission.lock)?;
        let lock = self.store(admission, content)?;
        *end = Some(Some(commit));
        Ok(lock)
    }

    /// Makes sure that every pack of a commit is there and locked for as long as the commit: before it is stored.
    fn hold_packs(&self, commit: &Commit, until: Moment) -> Result<(), KeeperError> {
        let store = self.vault.store();
        let envelope = &commit.envelope;
        let sized = envelope.packs.iter().chain(&envelope.body_packs).map(|p| (p.id, Some(p.size_bytes)));
        let earlier = envelope.earlier_packs.iter().map(|id| (*id, None));
        for (id, size_bytes) in sized.chain(earlier) {
            let missing = |id: PackId| KeeperError::from(ContentError::MissingPack { id });
            let name = object::pack_name(&id)?;
            let blob = match store.head(&name) {
                Err(BlobError::Missing { .. }) => return Err(missing(id)),
                other => other?,
            };
            if size_bytes.is_some_and(|size| size != blob.size_bytes) {
                return Err(missing(id));
            }
            if blob.locked_until.is_none_or(|lock| lock < until) {
                store.extend_lock(&name, until)?;
            }
        }
        Ok(())
    }

    /// Returns an object's size and lock.
    pub fn head(&self, capability: &Capability, name: &BlobName) -> Result<Blob, KeeperError> {
        Self::check(capability, Act::Head, name)?;
        Ok(self.vault.store().head(name)?)
    }

    /// Reads an object, or a part of it: its size and lock, and the bytes.
    pub fn read(
        &self,
        capability: &Capability,
        name: &BlobName,
        range: Option<(u64, u64)>,
    ) -> Result<(Blob, Vec<u8>), KeeperError> {
        Self::check(capability, Act::Read, name)?;
        let store = self.vault.store();
        let blob = store.head(name)?;
        let bytes = match range {
            None => store.read(name)?,
            Some((first, last)) => {
                let length = last.saturating_sub(first).saturating_add(1).min(OBJECT_BYTES_MAX);
                store.read_range(name, first, length)?
            }
        };
        Ok((blob, bytes))
    }

    /// Lists the objects that a client may see, a page at a time.
    pub fn list(&self, capability: &Capability, prefix: &str, after: &str) -> Result<Page, KeeperError> {
        if let (Capability::Capture(own), Some(rest)) = (capability, prefix.strip_prefix("log/")) {
            let own = format!("{own}/");
            if !own.starts_with(rest) && !rest.starts_with(&own) {
                return Err(refused(capability, Act::Read, prefix.to_owned()));
            }
        }
        let visible = |blob: &Blob| {
            blob.name.as_str() > after
                && ObjectName::parse(&blob.name).is_some_and(|object| capability.allows(Act::Head, &object))
        };
        let mut blobs = self.vault.store().list(prefix)?;
        blobs.retain(visible);
        let more = blobs.len() > PAGE_OBJECTS;
        blobs.truncate(PAGE_OBJECTS);
        let listed = |blob: Blob| Listed {
            name: blob.name.to_string(),
            size_bytes: blob.size_bytes,
            locked_until: blob.locked_until.map(Moment::as_micros),
        };
        Ok(Page { objects: blobs.into_iter().map(listed).collect(), more })
    }

    /// Lengthens a lock, never shortens one. Returns the lock that is in force.
    pub fn extend(
        &self,
        capability: &Capability,
        name: &BlobName,
        asked: Moment,
    ) -> Result<Moment, KeeperError> {
        Self::check(capability, Act::Extend, name)?;
        let limit = self.policy.lock_max(&*self.clock);
        if asked > limit {
            return Err(KeeperError::Lock { limit });
        }
        let store = self.vault.store();
        let found = store.head(name)?.locked_until;
        if found.is_none_or(|lock| lock < asked) {
            store.extend_lock(name, asked)?;
        }
        Ok(found.map_or(asked, |lock| lock.max(asked)))
    }

    /// Says how the server stands, as far as it concerns this client.
    pub fn status(&self, capability: &Capability) -> Status {
        let now = self.now();
        let accounts = match capability {
            Capability::Capture(_) => vec![capability.to_string()],
            Capability::Restore | Capability::Mirror => self.quotas.known(),
        };
        Status {
            now: now.as_micros(),
            vault: self.vault.manifest().vault.to_string(),
            capability: capability.to_string(),
            certificate_expires: None,
            free_bytes: self.free_bytes(),
            sources: accounts.iter().map(|account| self.quotas.usage(account, now)).collect(),
        }
    }

    fn free_bytes(&self) -> Option<u64> {
        (self.free)().map(|free| free.saturating_sub(self.policy.reserve_bytes))
    }

    fn lock(&self, asked: Option<Moment>) -> Result<Moment, KeeperError> {
        let lock_days = self.vault.manifest().lock_days;
        let limit = self.policy.lock_max(&*self.clock);
        self.policy.lock(&*self.clock, lock_days, asked).ok_or(KeeperError::Lock { limit })
    }

    fn check(capability: &Capability, act: Act, name: &BlobName) -> Result<ObjectName, KeeperError> {
        let object = ObjectName::parse(name).ok_or_else(|| KeeperError::Name { name: name.to_string() })?;
        if capability.allows(act, &object) {
            Ok(object)
        } else {
            Err(refused(capability, act, name.to_string()))
        }
    }
}

fn refused(capability: &Capability, act: Act, what: String) -> KeeperError {
    let act = match act {
        Act::Create => "create",
        Act::Head => "look at",
        Act::Read => "read",
        Act::Extend => "lengthen the lock of",
    };
    KeeperError::Capability { capability: capability.clone(), act, what }
}
