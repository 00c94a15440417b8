use std::path::Path;

use ports::Random;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{KEY_FILE_MODE, KeyError, read_private};
use crate::{
    VaultId,
    content::ContentHasher,
    id::{hex, unhex},
    manifest::Fingerprint,
};

/// What capture holds: enough to add, to find duplicates and to sign, not enough to read.
#[derive(Clone)]
pub struct CaptureKey {
    pub(crate) vault: VaultId,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) data_recipient: [u8; 32],
    pub(crate) chunk_key: Zeroizing<[u8; 32]>,
    pub(crate) signing_seed: Zeroizing<[u8; 32]>,
    pub(crate) journal_key: Zeroizing<[u8; 32]>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: String,
    version: u16,
    vault: VaultId,
    fingerprint: Fingerprint,
    data_recipient: String,
    chunk_key: Zeroizing<String>,
    signing_seed: Zeroizing<String>,
    journal_key: Zeroizing<String>,
}

const FORMAT: &str = "unwipe-capture-key";
const WHAT: &str = "capture key";

impl CaptureKey {
    /// Draws fresh keys; the vault's fingerprint follows when its manifest is made.
    pub(crate) fn generate(vault: VaultId, data_recipient: [u8; 32], random: &dyn Random) -> Self {
        let draw = || {
            let mut key = Zeroizing::new([0; 32]);
            random.fill(&mut *key);
            key
        };
        let fingerprint = Fingerprint([0; 32]);
        let (chunk_key, signing_seed, journal_key) = (draw(), draw(), draw());
        Self { vault, fingerprint, data_recipient, chunk_key, signing_seed, journal_key }
    }

    /// Returns the vault that the key adds to.
    pub const fn vault(&self) -> VaultId {
        self.vault
    }

    /// Returns the fingerprint of the manifest that the key was made with.
    pub const fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Returns the key with the data key that is in force in its vault now; the file names the one at its making.
    #[must_use]
    pub fn following(self, vault: &crate::Vault) -> Self {
        Self { data_recipient: vault.keys().data_recipient, ..self }
    }

    /// Reads a key file; one that other users may read is refused.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        Self::parse(&read_private(path)?)
    }

    /// Writes a new key file that only its owner may read.
    pub fn save(&self, path: &Path) -> Result<(), KeyError> {
        Ok(ports::files::create_new(path, self.to_text()?.as_bytes(), KEY_FILE_MODE)?)
    }

    /// Reads the text of a key file.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let parse_error = || KeyError::Parse { what: WHAT };
        let file: File = serde_json::from_str(text).map_err(|_| parse_error())?;
        if file.format != FORMAT {
            return Err(parse_error());
        }
        if file.version != 1 {
            return Err(KeyError::Version { what: WHAT, found: file.version });
        }
        let secret = |text: &str| unhex(text).map(Zeroizing::new).ok_or_else(parse_error);
        Ok(Self {
            vault: file.vault,
            fingerprint: file.fingerprint,
            data_recipient: unhex(&file.data_recipient).ok_or_else(parse_error)?,
            chunk_key: secret(&file.chunk_key)?,
            signing_seed: secret(&file.signing_seed)?,
            journal_key: secret(&file.journal_key)?,
        })
    }

    /// Returns the text of the key file.
    pub fn to_text(&self) -> Result<Zeroizing<String>, KeyError> {
        let file = File {
            format: FORMAT.to_owned(),
            version: 1,
            vault: self.vault,
            fingerprint: self.fingerprint,
            data_recipient: hex(&self.data_recipient),
            chunk_key: Zeroizing::new(hex(&*self.chunk_key)),
            signing_seed: Zeroizing::new(hex(&*self.signing_seed)),
            journal_key: Zeroizing::new(hex(&*self.journal_key)),
        };
        let mut text = serde_json::to_string_pretty(&file).map_err(|_| KeyError::Parse { what: WHAT })?;
        text.push('\n');
        Ok(Zeroizing::new(text))
    }

    /// Returns the pair that signs commits and holds.
    pub fn signing_pair(&self) -> Result<Ed25519KeyPair, KeyError> {
        self.signer()
    }

    pub(crate) fn signer(&self) -> Result<Ed25519KeyPair, KeyError> {
        Ed25519KeyPair::from_seed_unchecked(&*self.signing_seed)
            .map_err(|_| KeyError::Damaged { reason: "the signing seed is refused".to_owned() })
    }

    /// Returns the public half of the signing key, by which the vault knows it.
    pub fn signer_public(&self) -> Result<[u8; 32], KeyError> {
        let pair = self.signer()?;
        pair.public_key()
            .as_ref()
            .try_into()
            .map_err(|_| KeyError::Damaged { reason: "the signing key has another length".to_owned() })
    }

    pub(crate) fn hasher(&self) -> ContentHasher {
        ContentHasher::new(&self.chunk_key)
    }
}

impl std::fmt::Debug for CaptureKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CaptureKey({}, [redacted])", self.vault)
    }
}
