//! The public half of a passkey.

use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde::{Deserialize, Serialize};

use crate::{bytes::Bytes, cbor::Value};

/// What an authenticator calls one of its passkeys; unique over all people here.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CredentialId(pub Bytes);

impl CredentialId {
    /// The longest that WebAuthn allows, in bytes.
    pub const BYTES_MAX: usize = 1023;
}

impl std::fmt::Display for CredentialId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&crate::bytes::encode(&self.0.0))
    }
}

impl std::fmt::Debug for CredentialId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

impl std::str::FromStr for CredentialId {
    type Err = base64::DecodeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        crate::bytes::decode(text).map(|bytes| Self(Bytes(bytes)))
    }
}

/// A public key, in one of the three ways that authenticators sign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "algorithm", rename_all = "lowercase", deny_unknown_fields)]
pub enum PublicKey {
    /// ECDSA on P-256 with SHA-256 (COSE -7).
    Es256 {
        /// The uncompressed point: 4, then x and y of 32 bytes.
        point: Bytes,
    },
    /// Ed25519 (COSE -8).
    EdDsa {
        /// 32 bytes.
        key: Bytes,
    },
    /// RSA PKCS#1 v1.5 with SHA-256 (COSE -257).
    Rs256 {
        /// The modulus, most significant byte first, 2048 to 8192 bits.
        modulus: Bytes,
        /// The exponent.
        exponent: Bytes,
    },
}

impl PublicKey {
    /// The COSE numbers of what is taken, the preferred first.
    pub(crate) const ALGORITHMS: [i64; 3] = [-7, -8, -257];

    /// Reads a COSE key; `None` when it is not of the three kinds, or of no possible size.
    pub(crate) fn from_cose(cose: &Value<'_>) -> Option<Self> {
        let number = |key: i64| cose.numbered(key).and_then(Value::integer);
        let part = |key: i64, length: usize| {
            cose.numbered(key).and_then(Value::bytes).filter(|bytes| bytes.len() == length)
        };
        // 1 kty, 3 alg, -1 crv or n, -2 x or e, -3 y
        match (number(1)?, number(3)?) {
            (2, -7) if number(-1) == Some(1) => {
                let point = [&[4][..], part(-2, 32)?, part(-3, 32)?].concat();
                Some(Self::Es256 { point: Bytes(point) })
            }
            (1, -8) if number(-1) == Some(6) => Some(Self::EdDsa { key: Bytes(part(-2, 32)?.to_vec()) }),
            (3, -257) => {
                let modulus = cose.numbered(-1)?.bytes()?;
                let exponent = cose.numbered(-2)?.bytes()?;
                let sizes = (256..=1024).contains(&modulus.len()) && (1..=4).contains(&exponent.len());
                let minimal = modulus.first() != Some(&0) && exponent.first() != Some(&0);
                (sizes && minimal).then(|| Self::Rs256 {
                    modulus: Bytes(modulus.to_vec()),
                    exponent: Bytes(exponent.to_vec()),
                })
            }
            _ => None,
        }
    }

    /// Returns the COSE number of the algorithm.
    pub(crate) const fn algorithm(&self) -> i64 {
        match self {
            Self::Es256 { .. } => -7,
            Self::EdDsa { .. } => -8,
            Self::Rs256 { .. } => -257,
        }
    }

    /// Returns what people call the algorithm: `ES256`, `EdDSA`, `RS256`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Es256 { .. } => "ES256",
            Self::EdDsa { .. } => "EdDSA",
            Self::Rs256 { .. } => "RS256",
        }
    }

    /// Returns whether a signature over a message is of this key.
    pub(crate) fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Es256 { point } => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &point.0).verify(message, signature)
            }
            Self::EdDsa { key } => UnparsedPublicKey::new(&ED25519, &key.0).verify(message, signature),
            Self::Rs256 { modulus, exponent } => {
                let key = RsaPublicKeyComponents { n: &modulus.0, e: &exponent.0 };
                key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
            }
        }
        .is_ok()
    }
}

/// The public half of a passkey: enough to check what it signed, now and in ten years.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicPasskey {
    /// What its authenticator calls it.
    pub credential: CredentialId,
    /// Its public key.
    pub key: PublicKey,
}
