use std::{collections::BTreeMap, sync::Arc};

use age::x25519;
use model::SourceName;
use ports::{BlobError, BlobStore, Clock, Random};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use super::{
    CaptureKey, DataKeys, KeyError, KeyState, RecoveryKit, RestoreKey, Signer,
    change::{Change, owner_pair, owner_public},
};
use crate::{Vault, VaultError, manifest::Recipient, names, reader, retention};

/// The vault in the hands of its owner: whoever opens it may say who else can, and whose commits count.
pub struct KeyRing {
    vault: Vault,
    key: RestoreKey,
    keys: DataKeys,
}

impl KeyRing {
    /// Opens a vault as its owner; a key that was left out at the last rotation is refused.
    pub fn open(store: Arc<dyn BlobStore>, key: &RestoreKey) -> Result<Self, VaultError> {
        let vault = Vault::open(store)?;
        let keys = reader::unlock(&vault, key)?;
        let ring = Self { vault, key: key.clone(), keys };
        ring.check_owner()?;
        Ok(ring)
    }

    /// Returns the vault as it can be seen without a key.
    pub const fn vault(&self) -> &Vault {
        &self.vault
    }

    /// Lets another identity open the vault: all that is stored, and all that will be.
    pub fn add(&mut self, recipient: Recipient, clock: &dyn Clock) -> Result<KeyState, VaultError> {
        parse(&recipient)?;
        let mut state = self.vault.keys();
        if state.recipients.iter().any(|known| known.age == recipient.age) {
            return Ok(state);
        }
        state.recipients.push(Recipient { since: Some(clock.now()), ..recipient });
        self.append(state, &self.keys.clone(), clock)
    }

    /// Makes a new recovery kit and lets it open the vault; it is stored nowhere.
    pub fn add_kit(&mut self, name: Option<String>, clock: &dyn Clock) -> Result<RecoveryKit, VaultError> {
        let identity = RestoreKey::generate();
        let age = identity.recipient().to_string();
        let recipient = Recipient { role: "recovery".to_owned(), age, name, since: None };
        let state = self.add(recipient, clock)?;
        let manifest = self.vault.manifest();
        let identity = identity.bound_to(manifest.vault, manifest.fingerprint);
        // Nobody is handed a page that does not open the vault.
        reader::unlock(&self.vault, &identity)?;
        Ok(RecoveryKit::new(identity, state.changed))
    }

    /// Makes new data keys: what is stored from now on needs them, what is stored already stays as it is.
    ///
    /// Recipients named in `without` keep what they could open, and open nothing that is stored from now on.
    pub fn rotate(
        &mut self,
        without: &[String],
        clock: &dyn Clock,
        random: &dyn Random,
    ) -> Result<KeyState, VaultError> {
        let mut state = self.vault.keys();
        let left_out = |recipient: &Recipient| {
            without.iter().any(|text| *text == recipient.age || recipient.name.as_ref() == Some(text))
        };
        if let Some(stranger) = without
            .iter()
            .find(|text| !state.recipients.iter().any(|r| r.age == **text || r.name.as_ref() == Some(*text)))
        {
            let reason = format!("no recipient is called {stranger}");
            return Err(KeyError::Damaged { reason }.into());
        }
        state.recipients.retain(|recipient| !left_out(recipient));
        let mut secret = Zeroizing::new([0; 32]);
        random.fill(&mut *secret);
        let mut keys = DataKeys::new(secret, self.keys.chunk_key.clone());
        keys.earlier_secrets = self.keys.secrets().map(|secret| Zeroizing::new(*secret)).collect();
        state.data_recipient = PublicKey::from(&StaticSecret::from(*keys.data_secret)).to_bytes();
        state.owner = Some(owner_public(&keys.data_secret)?);
        self.append(state, &keys, clock)
    }

    /// Makes a capture key; one that is bound to a source can add to no other.
    pub fn issue_capture_key(
        &mut self,
        source: Option<SourceName>,
        clock: &dyn Clock,
        random: &dyn Random,
    ) -> Result<CaptureKey, VaultError> {
        let manifest = self.vault.manifest();
        let mut state = self.vault.keys();
        let mut key = CaptureKey::generate(manifest.vault, state.data_recipient, random);
        key.fingerprint = manifest.fingerprint;
        key.chunk_key.clone_from(&self.keys.chunk_key);
        state.signers.push(Signer { key: key.signer_public()?, source, retired: None });
        self.append(state, &self.keys.clone(), clock)?;
        Ok(key)
    }

    /// Retires a signing key: what it signed until now stays sound, what it signs from now on counts for nothing.
    pub fn retire(&mut self, signer: &[u8; 32], clock: &dyn Clock) -> Result<KeyState, VaultError> {
        let mut last = BTreeMap::new();
        for source in self.vault.sources()? {
            last.insert(source.clone(), self.vault.last_sequence(&source)?);
        }
        let mut state = self.vault.keys();
        let mut known = false;
        for entry in state.signers.iter_mut().filter(|entry| entry.key == *signer) {
            known = true;
            entry.retired.get_or_insert_with(|| last.clone());
        }
        if !known {
            return Err(KeyError::Damaged { reason: "the vault knows no such signer".to_owned() }.into());
        }
        self.append(state, &self.keys.clone(), clock)
    }

    fn check_owner(&self) -> Result<(), VaultError> {
        let state = self.vault.keys();
        let owner = state.owner.ok_or(KeyError::NoOwner)?;
        if self.keys.recipient() != state.data_recipient || owner_public(&self.keys.data_secret)? != owner {
            return Err(KeyError::WrongIdentity.into());
        }
        Ok(())
    }

    fn append(
        &mut self,
        mut state: KeyState,
        keys: &DataKeys,
        clock: &dyn Clock,
    ) -> Result<KeyState, VaultError> {
        let previous = self.vault.keys();
        let manifest = self.vault.manifest().clone();
        state.changed = clock.now();
        let recipients = state.recipients.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        let wrapped = keys.wrap(manifest.vault, &recipients)?;
        // Whoever makes the change must not shut themselves out by it.
        self.key.unlock_for(&manifest, &state.data_recipient, &wrapped)?;
        let owner = owner_pair(&self.keys.data_secret)?;
        let bytes = Change { state, wrapped }.sign(manifest.vault, &previous, &owner)?;
        let (after, _) = previous
            .follow(manifest.vault, &bytes)
            .map_err(|error| KeyError::Damaged { reason: error.to_string() })?;

        let lock = retention::lock_until(clock.now(), self.lock_days()?);
        let mut number = self.vault.key_numbers()?.last().map_or(0, |last| last + 1);
        loop {
            match self.vault.store().create(&names::keys(number)?, &bytes, lock) {
                Ok(()) => break,
                Err(BlobError::Exists { .. }) => number += 1,
                Err(error) => return Err(error.into()),
            }
        }
        self.vault.refresh_keys()?;
        // Of two changes that continue the same one, the lower number counts.
        if self.vault.keys().head != after.head {
            return Err(KeyError::Overtaken.into());
        }
        self.keys = reader::unlock(&self.vault, &self.key)?;
        Ok(after)
    }

    fn lock_days(&self) -> Result<u32, VaultError> {
        let mut days = self.vault.manifest().lock_days;
        for source in self.vault.sources()? {
            if let Some(head) = self.vault.head(&source)? {
                days = days.max(head.envelope.retention_days);
            }
        }
        Ok(days)
    }
}

fn parse(recipient: &Recipient) -> Result<x25519::Recipient, KeyError> {
    recipient.age.parse().map_err(|_| KeyError::Parse { what: "age recipient (age1…)" })
}
