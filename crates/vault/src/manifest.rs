//! `vault.json` (format §4).

use std::fmt;

use model::Moment;
use serde::{Deserialize, Serialize};

use crate::{
    VaultId,
    id::{hex, unhex},
    keys::KeyError,
};

/// The manifest: what everybody may know of a vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The vault's identity.
    pub vault: VaultId,
    /// When it was made.
    pub created: Moment,
    /// For how long every object is locked; a commit may say more.
    pub lock_days: u32,
    /// The public half of the data key.
    pub data_recipient: [u8; 32],
    /// Whose signature changes of keys need; derived from the data key. A vault without one cannot change its keys.
    pub owner: Option<[u8; 32]>,
    /// The keys whose signatures count.
    pub signers: Vec<[u8; 32]>,
    /// Who can open the vault.
    pub recipients: Vec<Recipient>,
    /// The hash of the manifest's bytes.
    pub fingerprint: Fingerprint,
}

/// An identity that opens the vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipient {
    /// What it is for: `recovery`, `restore`.
    pub role: String,
    /// Its public half, as `age` writes it.
    pub age: String,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Since when, if not from the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Moment>,
}

/// The hash of a manifest's bytes; key files carry it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 32]);

/// Why a manifest cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// It is not a manifest.
    #[error("vault.json is no vault manifest: {reason}")]
    Parse {
        /// What is wrong.
        reason: String,
    },
    /// It has another version.
    #[error("the vault has format version {found}; this program reads version 1")]
    Version {
        /// The version it has.
        found: u64,
    },
}

#[derive(Serialize, Deserialize)]
struct File {
    format: String,
    version: u64,
    vault: VaultId,
    created: Moment,
    lock_days: u32,
    data_recipient: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    signers: Vec<String>,
    recipients: Vec<Recipient>,
}

#[derive(Deserialize)]
struct Head {
    format: String,
    version: u64,
}

const FORMAT: &str = "unwipe-vault";

impl Manifest {
    /// Reads the bytes of `vault.json`.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        let refused = |reason: &str| ManifestError::Parse { reason: reason.to_owned() };
        // The version is looked at first: what follows may look different in another one.
        let head: Head = serde_json::from_slice(bytes).map_err(|e| refused(&e.to_string()))?;
        if head.format != FORMAT {
            return Err(refused("it has another format name"));
        }
        if head.version != 1 {
            return Err(ManifestError::Version { found: head.version });
        }
        let file: File = serde_json::from_slice(bytes).map_err(|e| refused(&e.to_string()))?;
        let key = |text: &String| unhex(text).ok_or_else(|| refused("a public key is no key"));
        Ok(Self {
            vault: file.vault,
            created: file.created,
            lock_days: file.lock_days,
            data_recipient: key(&file.data_recipient)?,
            owner: file.owner.as_ref().map(key).transpose()?,
            signers: file.signers.iter().map(key).collect::<Result<_, _>>()?,
            recipients: file.recipients,
            fingerprint: Fingerprint(*blake3::hash(bytes).as_bytes()),
        })
    }

    /// Returns the bytes of `vault.json`.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, ManifestError> {
        let file = File {
            format: FORMAT.to_owned(),
            version: 1,
            vault: self.vault,
            created: self.created,
            lock_days: self.lock_days,
            data_recipient: hex(&self.data_recipient),
            owner: self.owner.map(|key| hex(&key)),
            signers: self.signers.iter().map(|key| hex(key)).collect(),
            recipients: self.recipients.clone(),
        };
        let mut bytes =
            serde_json::to_vec_pretty(&file).map_err(|e| ManifestError::Parse { reason: e.to_string() })?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Checks that a key was made with this manifest.
    pub(crate) fn check_key(
        &self,
        vault: Option<VaultId>,
        fingerprint: Option<Fingerprint>,
    ) -> Result<(), KeyError> {
        match (vault, fingerprint) {
            (Some(key), _) if key != self.vault => Err(KeyError::OtherVault { key, vault: self.vault }),
            (_, Some(fingerprint)) if fingerprint != self.fingerprint => Err(KeyError::Fingerprint),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl std::str::FromStr for Fingerprint {
    type Err = ManifestError;

    fn from_str(text: &str) -> Result<Self, ManifestError> {
        unhex(text).map(Self).ok_or_else(|| ManifestError::Parse { reason: "no fingerprint".to_owned() })
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
