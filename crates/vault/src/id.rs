use std::fmt;

/// A text that is not the hexadecimal form of an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an id of {bytes} bytes has {} lower-case hexadecimal digits", bytes * 2)]
pub struct IdError {
    bytes: usize,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $bytes:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $bytes]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl std::str::FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                unhex(text).map(Self).ok_or(IdError { bytes: $bytes })
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                <String as serde::Deserialize>::deserialize(deserializer)?
                    .parse()
                    .map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(
    /// The identity of a vault, chosen at random when it is made.
    VaultId,
    16
);
id!(
    /// The identity of a pack: the BLAKE3 hash of its bytes.
    PackId,
    32
);
id!(
    /// The identity of a chunk: the first half of its keyed hash.
    ChunkId,
    16
);
id!(
    /// The keyed hash of one leaf of a content.
    LeafHash,
    32
);
id!(
    /// The hash of a signed commit, which its successor names.
    CommitHash,
    32
);

id!(
    /// A hash of the Merkle tree over all commits: SHA-256, as RFC 6962 has it.
    TreeHash,
    32
);
id!(
    /// The hash of a tree head's object, which its successor names.
    HeadHash,
    32
);

impl HeadHash {
    /// What the first tree head names as its predecessor.
    pub const NONE: Self = Self([0; 32]);
}

impl CommitHash {
    /// What the first commit of a source names as its predecessor.
    pub const NONE: Self = Self([0; 32]);
}

impl LeafHash {
    /// Returns the id of a chunk with this hash.
    pub fn chunk_id(&self) -> ChunkId {
        let mut id = [0; 16];
        id.copy_from_slice(&self.0[..16]);
        ChunkId(id)
    }
}

/// Writes bytes in lower-case hexadecimal, as the format does everywhere.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS[usize::from(value)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xF)]).collect()
}

pub(crate) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    };
    if text.len() != N * 2 {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}
