//! Signatures of people and of this installation: Ed25519, each bound to what it is for.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use ports::{
    Random,
    files::{self, FileError},
};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use vault::hex;

/// Why a signing key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SigningKeyError {
    /// The file is no signing key.
    #[error("{} is no signing key", path.display())]
    Form {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
}

impl SigningKeyError {
    /// Returns what a person can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Form { path } => Some(format!(
                "put {0} back from a copy; or move it away, then a new key is made, and the certificates that the old one \
                 signed count only while its public half stands in drills.signers",
                path.display()
            )),
            Self::File(_) => None,
        }
    }
}

/// A key that signs.
pub struct SigningKey {
    pair: Ed25519KeyPair,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("public", &self.public()).finish_non_exhaustive()
    }
}

impl SigningKey {
    /// Makes a new key and writes it to a file that only its owner may read.
    pub fn create(path: &Path, random: &dyn Random) -> Result<Self, SigningKeyError> {
        let mut seed = [0; 32];
        random.fill(&mut seed);
        let key = Self::from_seed(&seed).ok_or_else(|| SigningKeyError::Form { path: path.to_owned() })?;
        if let Some(folder) = path.parent() {
            files::create_folder(folder)?;
        }
        files::create_new(path, format!("{}\n", hex(&seed)).as_bytes(), 0o600)?;
        Ok(key)
    }

    /// Reads a key from its file.
    pub fn read(path: &Path) -> Result<Self, SigningKeyError> {
        let text = files::read_text(path)?;
        unhex(text.trim())
            .and_then(|seed| Self::from_seed(&seed))
            .ok_or_else(|| SigningKeyError::Form { path: path.to_owned() })
    }

    /// Reads a key, or makes it when there is none.
    pub fn read_or_create(path: &Path, random: &dyn Random) -> Result<Self, SigningKeyError> {
        if path.exists() { Self::read(path) } else { Self::create(path, random) }
    }

    fn from_seed(seed: &[u8; 32]) -> Option<Self> {
        Ed25519KeyPair::from_seed_unchecked(seed).ok().map(|pair| Self { pair })
    }

    /// Returns the public half: 64 hexadecimal digits.
    pub fn public(&self) -> String {
        hex(self.pair.public_key().as_ref())
    }

    /// Signs a message for one purpose; a signature made for another purpose never counts here.
    pub fn sign(&self, purpose: &str, message: &[u8]) -> String {
        hex(self.pair.sign(&bound(purpose, message)).as_ref())
    }
}

/// Returns whether a signature over a message for a purpose holds.
pub fn holds(public: &str, purpose: &str, message: &[u8], signature: &str) -> bool {
    let (Some(public), Some(signature)) = (unhex::<32>(public), unhex::<64>(signature)) else { return false };
    UnparsedPublicKey::new(&ED25519, public).verify(&bound(purpose, message), &signature).is_ok()
}

/// Returns whether a text has the form of a public key.
pub fn is_public_key(text: &str) -> bool {
    unhex::<32>(text).is_some()
}

fn bound(purpose: &str, message: &[u8]) -> Vec<u8> {
    [purpose.as_bytes(), &[0], message].concat()
}

pub(crate) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let text = text.as_bytes();
    if text.len() != 2 * N || !text.is_ascii() {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, digits) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use ports::SeededRandom;

    use super::*;

    #[test]
    fn a_signature_holds_for_its_purpose_and_message_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let key = SigningKey::create(&path, &SeededRandom::new(1)).unwrap();
        let signature = SigningKey::read(&path).unwrap().sign("approval", b"plan");
        assert!(holds(&key.public(), "approval", b"plan", &signature));
        assert!(!holds(&key.public(), "certificate", b"plan", &signature));
        assert!(!holds(&key.public(), "approval", b"plans", &signature));
        assert!(!holds("not a key", "approval", b"plan", &signature));
    }

    #[test]
    fn a_file_that_is_no_key_says_how_to_get_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        files::replace(&path, b"").unwrap();
        let error = SigningKey::read_or_create(&path, &SeededRandom::new(1)).unwrap_err();
        let hint = error.hint().unwrap();
        assert!(hint.contains(&path.display().to_string()) && hint.contains("drills.signers"), "{hint}");
    }
}
