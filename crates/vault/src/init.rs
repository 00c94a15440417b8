//! Making a new vault.

use ports::{BlobError, BlobStore, Clock, Random};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use crate::{
    CaptureKey, Manifest, RecoveryKit, RestoreKey, VaultId,
    keys::{DataKeys, KeyError},
    manifest::{Fingerprint, ManifestError, Recipient},
    names, retention,
};

/// What a new vault promises.
#[derive(Debug, Clone, Copy)]
pub struct InitOptions {
    /// For how long everything stays.
    pub lock_days: u32,
}

/// A vault that was just made, with the keys that exist nowhere else.
#[derive(Debug)]
pub struct NewVault {
    /// The vault's manifest.
    pub manifest: Manifest,
    /// For the machine that captures.
    pub capture_key: CaptureKey,
    /// For whoever restores and drills.
    pub restore_key: RestoreKey,
    /// For the safe.
    pub recovery_kit: RecoveryKit,
}

/// Why no vault was made.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// There is a vault already.
    #[error("there is a vault in this place already")]
    Exists,
    /// The keys cannot be made.
    #[error("cannot make the keys")]
    Key(#[from] KeyError),
    /// The manifest cannot be made.
    #[error("cannot make the manifest")]
    Manifest(#[from] ManifestError),
    /// The store failed.
    #[error("cannot write the vault")]
    Store(#[from] BlobError),
}

/// Makes a vault in an empty store and returns its keys; the vault itself keeps them only wrapped.
pub fn init(
    store: &dyn BlobStore,
    options: InitOptions,
    clock: &dyn Clock,
    random: &dyn Random,
) -> Result<NewVault, InitError> {
    if store.list("")?.iter().any(|blob| blob.name.as_str() == names::MANIFEST || is_content(&blob.name)) {
        return Err(InitError::Exists);
    }
    let created = clock.now();
    let mut vault = VaultId([0; 16]);
    random.fill(&mut vault.0);
    let mut data_secret = Zeroizing::new([0; 32]);
    random.fill(&mut *data_secret);
    let data_recipient = PublicKey::from(&StaticSecret::from(*data_secret)).to_bytes();

    let mut capture_key = CaptureKey::generate(vault, data_recipient, random);
    let (restore, recovery) = (RestoreKey::generate(), RestoreKey::generate());
    let role = |role: &str, key: &RestoreKey| Recipient {
        role: role.to_owned(),
        age: key.recipient().to_string(),
        name: None,
        since: None,
    };
    let manifest = Manifest {
        vault,
        created,
        lock_days: options.lock_days,
        data_recipient,
        owner: Some(crate::keys::change::owner_public(&data_secret)?),
        signers: vec![capture_key.signer_public()?],
        recipients: vec![role("recovery", &recovery), role("restore", &restore)],
        fingerprint: Fingerprint([0; 32]),
    };
    let bytes = manifest.to_bytes()?;
    let manifest = Manifest::parse(&bytes)?;
    capture_key.fingerprint = manifest.fingerprint;

    let keys = DataKeys::new(data_secret, capture_key.chunk_key.clone());
    let wrapped = keys.wrap(vault, &[recovery.recipient(), restore.recipient()])?;
    // Nobody is told of keys that do not open what was just wrapped for them.
    for key in [&recovery, &restore] {
        key.unlock(&manifest, &wrapped)?;
    }
    let lock = retention::lock_until(created, options.lock_days);
    // A crash in between leaves keys of a vault that never was; the next attempt takes the next number.
    let number = store.list(names::KEYS)?.len() as u64;
    store.create(&names::keys(number)?, &wrapped, lock)?;
    match store.create(&names::manifest()?, &bytes, lock) {
        Err(BlobError::Exists { .. }) => return Err(InitError::Exists),
        other => other?,
    }
    let restore_key = restore.bound_to(vault, manifest.fingerprint);
    let recovery_kit = RecoveryKit::new(recovery.bound_to(vault, manifest.fingerprint), created);
    Ok(NewVault { manifest, capture_key, restore_key, recovery_kit })
}

fn is_content(name: &ports::BlobName) -> bool {
    name.as_str().starts_with(names::LOG) || name.as_str().starts_with(names::DATA)
}
