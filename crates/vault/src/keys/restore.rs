use std::{
    io::{Read, Write},
    path::Path,
};

use age::{secrecy::ExposeSecret, x25519};
use serde::{Deserialize, Serialize};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use super::{KEY_FILE_MODE, KeyError, read_private};
use crate::{
    VaultId,
    id::{hex, unhex},
    manifest::{Fingerprint, Manifest},
    seal::{Purpose, SealError, WRAPPED_BYTES, unwrap},
};

/// An identity that opens the vault: the restore key, or the one on the recovery kit.
#[derive(Clone)]
pub struct RestoreKey {
    identity: x25519::Identity,
    vault: Option<VaultId>,
    fingerprint: Option<Fingerprint>,
}

/// The secrets inside `keys/0`: with them everything can be read.
#[derive(Clone)]
pub struct DataKeys {
    pub(crate) data_secret: Zeroizing<[u8; 32]>,
    /// The secrets before rotations, newest first.
    pub(crate) earlier_secrets: Vec<Zeroizing<[u8; 32]>>,
    pub(crate) chunk_key: Zeroizing<[u8; 32]>,
}

#[derive(Serialize, Deserialize)]
struct KeysFile {
    format: String,
    version: u16,
    vault: VaultId,
    data_secret: Zeroizing<String>,
    chunk_key: Zeroizing<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    earlier_secrets: Vec<Zeroizing<String>>,
}

const KEYS_FORMAT: &str = "unwipe-keys";
const KEYS_BYTES_MAX: u64 = 1 << 20;
const WHAT: &str = "restore key";
/// The length of the part after `AGE-SECRET-KEY-1`: 52 characters of data and 6 of checksum.
const IDENTITY_TAIL_CHARACTERS: usize = 58;
const IDENTITY_HEAD: &str = "AGE-SECRET-KEY-1";

impl RestoreKey {
    /// Makes a new identity. `age` draws it from the operating system.
    pub(crate) fn generate() -> Self {
        Self { identity: x25519::Identity::generate(), vault: None, fingerprint: None }
    }

    /// Says which vault and which manifest the key is for.
    #[must_use]
    pub fn bound_to(self, vault: VaultId, fingerprint: Fingerprint) -> Self {
        Self { vault: Some(vault), fingerprint: Some(fingerprint), ..self }
    }

    /// Reads a key file; one that other users may read is refused.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        Self::parse(&read_private(path)?)
    }

    /// Writes a new key file that only its owner may read. It is also a valid identity file for `age`.
    pub fn save(&self, path: &Path) -> Result<(), KeyError> {
        Ok(ports::files::create_new(path, self.to_text().as_bytes(), KEY_FILE_MODE)?)
    }

    /// Finds the identity in a key file, on a typed-in recovery kit, or alone; spaces and line breaks do not matter.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let parse_error = || KeyError::Parse { what: WHAT };
        let text = &super::kit::without_checks(text)?;
        let packed: String =
            text.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_ascii_uppercase();
        let packed = Zeroizing::new(packed);
        let start = packed.find(IDENTITY_HEAD).ok_or_else(parse_error)?;
        let end = start + IDENTITY_HEAD.len() + IDENTITY_TAIL_CHARACTERS;
        let identity = packed.get(start..end).ok_or_else(parse_error)?.parse().map_err(|_| parse_error())?;
        let field = |name: &str| {
            let labelled = |line: &str| {
                let line = line.trim_start_matches(['#', ' ']);
                line.strip_prefix(name).map(|value| value.replace(' ', ""))
            };
            text.lines().find_map(labelled)
        };
        let vault = field("vault:").map(|value| value.parse().map_err(|_| parse_error())).transpose()?;
        let fingerprint =
            field("fingerprint:").map(|value| value.parse().map_err(|_| parse_error())).transpose()?;
        Ok(Self { identity, vault, fingerprint })
    }

    /// Returns the text of the key file.
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut text = String::from("# unwipe restore key: whoever holds it can read the whole vault\n");
        let vault = self.vault.map(|vault| format!("# vault: {vault}\n"));
        let fingerprint = self.fingerprint.map(|fingerprint| format!("# fingerprint: {fingerprint}\n"));
        text.extend(vault.into_iter().chain(fingerprint));
        text.push_str(&self.secret());
        text.push('\n');
        Zeroizing::new(text)
    }

    /// Returns the vault that the key says it is for.
    pub const fn vault(&self) -> Option<VaultId> {
        self.vault
    }

    pub(crate) const fn fingerprint(&self) -> Option<Fingerprint> {
        self.fingerprint
    }

    pub(crate) fn secret(&self) -> Zeroizing<String> {
        Zeroizing::new(self.identity.to_string().expose_secret().to_owned())
    }

    /// Returns the identity's 32 secret bytes.
    pub(crate) fn scalar(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let (_, bytes) = bech32::decode(&self.secret()).map_err(|_| KeyError::Parse { what: WHAT })?;
        Ok(Zeroizing::new(bytes))
    }

    /// Makes the identity with these secret bytes.
    pub(crate) fn from_scalar(
        bytes: &[u8],
        vault: Option<VaultId>,
        fingerprint: Option<Fingerprint>,
    ) -> Result<Self, KeyError> {
        let refused = || KeyError::Parse { what: WHAT };
        let head = bech32::Hrp::parse("age-secret-key-").map_err(|_| refused())?;
        let text =
            Zeroizing::new(bech32::encode_upper::<bech32::Bech32>(head, bytes).map_err(|_| refused())?);
        Ok(Self { identity: text.parse().map_err(|_| refused())?, vault, fingerprint })
    }

    /// Returns the identity's public half, as `age` writes it.
    pub fn recipient_text(&self) -> String {
        self.recipient().to_string()
    }

    pub(crate) fn recipient(&self) -> x25519::Recipient {
        self.identity.to_public()
    }

    /// Opens the wrapped keys that the vault was made with.
    pub fn unlock(&self, manifest: &Manifest, wrapped: &[u8]) -> Result<DataKeys, KeyError> {
        self.unlock_for(manifest, &manifest.data_recipient, wrapped)
    }

    /// Opens wrapped keys that must hold the secret of this data key.
    pub(crate) fn unlock_for(
        &self,
        manifest: &Manifest,
        data_recipient: &[u8; 32],
        wrapped: &[u8],
    ) -> Result<DataKeys, KeyError> {
        manifest.check_key(self.vault, self.fingerprint)?;
        let damaged = |reason: &str| KeyError::Damaged { reason: reason.to_owned() };
        let decryptor = age::Decryptor::new(wrapped).map_err(|e| damaged(&e.to_string()))?;
        let identity: &dyn age::Identity = &self.identity;
        let reader = decryptor.decrypt(std::iter::once(identity)).map_err(|e| match e {
            age::DecryptError::NoMatchingKeys => KeyError::WrongIdentity,
            other => damaged(&other.to_string()),
        })?;
        let mut text = Zeroizing::new(Vec::new());
        reader.take(KEYS_BYTES_MAX).read_to_end(&mut text).map_err(|e| damaged(&e.to_string()))?;
        DataKeys::parse(manifest.vault, data_recipient, &text)
    }
}

impl DataKeys {
    pub(crate) fn new(data_secret: Zeroizing<[u8; 32]>, chunk_key: Zeroizing<[u8; 32]>) -> Self {
        Self { data_secret, chunk_key, earlier_secrets: Vec::new() }
    }

    /// Returns the secrets, newest first.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &[u8; 32]> {
        std::iter::once(&*self.data_secret).chain(self.earlier_secrets.iter().map(|secret| &**secret))
    }

    /// Opens a wrapped key with whichever secret fits: there are few, and an object does not say which one it needs.
    pub(crate) fn unwrap(
        &self,
        vault: &VaultId,
        purpose: Purpose,
        wrapped: &[u8; WRAPPED_BYTES],
    ) -> Result<Zeroizing<[u8; 32]>, SealError> {
        self.secrets().find_map(|secret| unwrap(vault, purpose, secret, wrapped).ok()).ok_or(SealError::Seal)
    }

    pub(crate) fn recipient(&self) -> [u8; 32] {
        PublicKey::from(&StaticSecret::from(*self.data_secret)).to_bytes()
    }

    fn parse(vault: VaultId, data_recipient: &[u8; 32], text: &[u8]) -> Result<Self, KeyError> {
        let damaged = |reason: &str| KeyError::Damaged { reason: reason.to_owned() };
        let file: KeysFile = serde_json::from_slice(text).map_err(|_| damaged("it holds no keys"))?;
        if file.format != KEYS_FORMAT {
            return Err(damaged("it holds something else"));
        }
        if file.version != 1 {
            return Err(KeyError::Version { what: "wrapped key", found: file.version });
        }
        let secret = |text: &str| unhex(text).map(Zeroizing::new).ok_or_else(|| damaged("a key is no key"));
        let mut keys = Self::new(secret(&file.data_secret)?, secret(&file.chunk_key)?);
        keys.earlier_secrets =
            file.earlier_secrets.iter().map(|text| secret(text)).collect::<Result<_, _>>()?;
        // Whoever may create objects could have made another keys file for the same recipients.
        if file.vault != vault || keys.recipient() != *data_recipient {
            return Err(damaged("it belongs to another vault"));
        }
        Ok(keys)
    }

    /// Wraps the secrets for several identities, any one of which opens them.
    pub(crate) fn wrap(&self, vault: VaultId, recipients: &[x25519::Recipient]) -> Result<Vec<u8>, KeyError> {
        let failed = |reason: String| KeyError::Damaged { reason };
        let file = KeysFile {
            format: KEYS_FORMAT.to_owned(),
            version: 1,
            vault,
            data_secret: Zeroizing::new(hex(&*self.data_secret)),
            chunk_key: Zeroizing::new(hex(&*self.chunk_key)),
            earlier_secrets: self.earlier_secrets.iter().map(|s| Zeroizing::new(hex(&**s))).collect(),
        };
        let text = Zeroizing::new(serde_json::to_vec(&file).map_err(|e| failed(e.to_string()))?);
        let recipients = recipients.iter().map(|r| -> &dyn age::Recipient { r });
        let encryptor = age::Encryptor::with_recipients(recipients).map_err(|e| failed(e.to_string()))?;
        let mut wrapped = Vec::new();
        let write = || -> std::io::Result<()> {
            let mut writer = encryptor.wrap_output(&mut wrapped)?;
            writer.write_all(&text)?;
            writer.finish().map(|_| ())
        };
        write().map_err(|e| failed(e.to_string()))?;
        Ok(wrapped)
    }
}

impl std::fmt::Debug for RestoreKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RestoreKey([redacted])")
    }
}

impl std::fmt::Debug for DataKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DataKeys([redacted])")
    }
}
