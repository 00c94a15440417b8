//! Where a siege takes place: the vault, its decoy, the keys at hand, and a scratch folder.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use model::Moment;
use ports::{Blob, BlobName, BlobStore, Random, files};
use service::{Secrets, place::Standing};
use vault::{
    CaptureKey, RestoreKey, Vault, VaultReader,
    verify::{Depth, verify},
};

use crate::{Attempt, SiegeError, SiegeRequest, decoy, decoy::Decoy, miniature::Miniature};

/// Where a siege takes place.
pub struct Ground<'a> {
    pub(crate) request: &'a SiegeRequest<'a>,
    /// What the vault's place really enforces.
    pub standing: Standing,
    pub(crate) store: Arc<dyn BlobStore>,
    /// The vault's folder, where it lies in one of this machine.
    pub(crate) folder: Option<PathBuf>,
    pub(crate) decoy: Decoy,
    pub(crate) scratch: PathBuf,
    capture_text: String,
    restore_text: String,
    reader: VaultReader,
    /// What was there before the first attempt, the decoy's objects left out.
    genuine: BTreeMap<BlobName, Blob>,
    locks: BTreeMap<BlobName, Option<Moment>>,
}

const BACKUP: &str = "siege/decoy";

impl<'a> Ground<'a> {
    pub(crate) fn prepare(request: &'a SiegeRequest<'a>) -> Result<Self, SiegeError> {
        mend(request)?;
        let installation = request.installation;
        let store = installation.origin_store(request.environment)?;
        let secrets = Secrets::new(installation.home(), request.environment);
        let reference = request.key.or(installation.config().restore.key.as_deref());
        let reference = reference.ok_or(SiegeError::NoRestoreKey)?;
        let restore_text = secrets.resolve(reference).map_err(service::ServiceError::from)?.expose().clone();
        let capture = secrets.resolve(&installation.config().vault.capture_key);
        let capture_text = capture.map_err(service::ServiceError::from)?.expose().clone();
        let (writer, _) = installation.writer(request.environment)?;
        sound(writer.vault())?;
        let decoy = Decoy::make(&writer, &*store)?;
        let mut genuine: BTreeMap<BlobName, Blob> = BTreeMap::new();
        let mut locks = BTreeMap::new();
        for blob in store.list("")? {
            if decoy.objects.contains_key(&blob.name) {
                locks.insert(blob.name.clone(), blob.locked_until);
            } else {
                genuine.insert(blob.name.clone(), blob);
            }
        }
        let mut token = [0; 6];
        installation.ports().random.fill(&mut token);
        let token = vault::hex(&token);
        let scratch = installation.home().join(format!("siege/scratch-{token}"));
        files::create_scratch(&scratch)?;
        let ground = Self {
            standing: installation.measure(request.environment)?,
            folder: installation.config().vault.place.folder(installation.home()),
            request,
            reader: VaultReader::open(Arc::clone(&store), &RestoreKey::parse(&restore_text)?)?,
            store,
            decoy,
            scratch,
            capture_text,
            restore_text,
            genuine,
            locks,
        };
        ground.back_up()?;
        Ok(ground)
    }

    /// Keeps the decoy's bytes aside, for the case that the siege itself is killed between a blow and its mending.
    fn back_up(&self) -> Result<(), SiegeError> {
        let backup = self.request.installation.home().join(BACKUP);
        if backup.exists() {
            files::remove_scratch(&backup)?;
        }
        files::create_scratch(&backup)?;
        for (name, bytes) in &self.decoy.objects {
            files::create_new(&backup.join(name.as_str().replace('/', "+")), bytes, 0o600)?;
        }
        Ok(())
    }

    pub(crate) fn leave(&self) -> Result<(), SiegeError> {
        files::remove_scratch(&self.scratch)?;
        files::remove_scratch(&self.request.installation.home().join(BACKUP))?;
        Ok(())
    }

    pub(crate) fn home(&self) -> &Path {
        self.request.installation.home()
    }

    pub(crate) fn random(&self) -> Arc<dyn Random> {
        Arc::clone(&self.request.installation.ports().random)
    }

    pub(crate) fn capture_text(&self) -> &str {
        &self.capture_text
    }

    pub(crate) fn restore_text(&self) -> &str {
        &self.restore_text
    }

    pub(crate) fn has_mirror(&self) -> bool {
        !self.request.installation.config().mirrors.is_empty()
    }

    /// Makes a copy of the vault's structure that may be harmed.
    pub(crate) fn miniature(&self) -> Result<Miniature, SiegeError> {
        let mut objects = self.decoy.objects.clone();
        for name in self.genuine.keys() {
            if name.as_str() == "vault.json" || name.as_str().starts_with("keys/") {
                objects.insert(name.clone(), self.store.read(name)?);
            }
        }
        let keys = (CaptureKey::parse(&self.capture_text)?, RestoreKey::parse(&self.restore_text)?);
        let clock = &*self.request.installation.ports().clock;
        Miniature::new(objects, clock, self.random(), keys, self.decoy.last)
    }

    /// Checks after an attempt that everything is as it was.
    pub(crate) fn check(&self, attempt: &Attempt) -> Result<(), SiegeError> {
        let harm = |detail: String| SiegeError::Harm { attack: attempt.what.clone(), detail };
        let now: BTreeMap<BlobName, Blob> =
            self.store.list("")?.into_iter().map(|blob| (blob.name.clone(), blob)).collect();
        for (name, before) in &self.genuine {
            let Some(after) = now.get(name) else { return Err(harm(format!("{name} is gone"))) };
            if after.size_bytes != before.size_bytes || after.locked_until < before.locked_until {
                return Err(harm(format!("{name} is not as it was")));
            }
        }
        for (name, bytes) in &self.decoy.objects {
            if self.store.read(name).ok().as_ref() != Some(bytes) {
                return Err(harm(format!("the decoy's {name} is not as it was")));
            }
            // What was put back has lost the note of its date.
            let lock = self.locks.get(name).copied().flatten();
            if let (Some(lock), Some(after)) = (lock, now.get(name))
                && after.locked_until.is_none_or(|now| now < lock)
            {
                self.store.extend_lock(name, lock)?;
            }
        }
        sound(self.reader.vault()).map_err(|error| harm(error.to_string()))?;
        decoy::first_lost(&self.reader, self.decoy.last)?.map_or(Ok(()), |lost| Err(harm(lost)))
    }
}

/// Checks the whole structure: names, chain, signatures, packs.
fn sound(vault: &Vault) -> Result<(), SiegeError> {
    let report = verify(vault, None, Depth::Structure, &mut |_| {})?;
    match report.findings.into_iter().next() {
        None => Ok(()),
        Some(first) => Err(SiegeError::NotSound {
            object: first.object,
            problem: format!("{}: {}", first.problem, first.detail),
        }),
    }
}

/// Puts the decoy's objects back after a siege that was killed.
pub(crate) fn mend(request: &SiegeRequest<'_>) -> Result<u64, SiegeError> {
    let installation = request.installation;
    let backup = installation.home().join(BACKUP);
    if !backup.is_dir() {
        return Ok(0);
    }
    let store = installation.origin_store(request.environment)?;
    let lock_days = Vault::open(Arc::clone(&store))?.manifest().lock_days;
    let lock = vault::retention::lock_until(installation.ports().clock.now(), lock_days);
    let mut mended = 0;
    let entries = std::fs::read_dir(&backup).map_err(|e| files::FileError::new("list", &backup, e))?;
    for entry in entries {
        let path = entry.map_err(|e| files::FileError::new("list", &backup, e))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().replace('+', "/");
        if name.starts_with('.') {
            continue;
        }
        let (name, bytes) = (BlobName::new(name)?, files::read(&path)?);
        if store.read(&name).ok().as_ref() == Some(&bytes) {
            continue;
        }
        if let Some(folder) = installation.config().vault.place.folder(installation.home()) {
            let damaged = folder.join(name.as_str());
            if damaged.symlink_metadata().is_ok() {
                std::fs::remove_file(&damaged).map_err(|e| files::FileError::new("remove", &damaged, e))?;
            }
        }
        store.create(&name, &bytes, lock)?;
        mended += 1;
    }
    files::remove_scratch(&backup)?;
    Ok(mended)
}
