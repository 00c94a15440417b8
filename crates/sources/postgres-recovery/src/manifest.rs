//! The backup manifest: what every file of a base must be.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use ring::digest;
use serde::Deserialize;

/// A manifest that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// It is not the JSON that PostgreSQL writes.
    #[error("the backup manifest cannot be read")]
    Json(#[from] serde_json::Error),
    /// Its own checksum does not fit.
    #[error("the backup manifest is damaged: its own checksum does not fit")]
    Damaged,
    /// Its version is newer than we know.
    #[error("the backup manifest has version {version}; 1 and 2 are known")]
    Version {
        /// The version.
        version: u32,
    },
    /// A file has a checksum that we cannot compute, or cannot read.
    #[error("the checksum of {path} cannot be used: {algorithm}")]
    Checksum {
        /// The file.
        path: String,
        /// The algorithm.
        algorithm: String,
    },
    /// A file's name cannot be read.
    #[error("the backup manifest names a file that cannot be read")]
    Path,
}

/// What a file must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestFile {
    /// Its size.
    pub size_bytes: u64,
    /// Its checksum; none when the manifest was asked for without.
    pub checksum: Option<Checksum>,
}

/// A checksum of a file's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checksum {
    /// CRC-32C.
    Crc32c(u32),
    /// SHA-256, SHA-384 or SHA-512.
    Sha(ShaLength, Vec<u8>),
}

/// The members of the SHA-2 family that can be computed here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShaLength {
    /// 256 bits.
    Bits256,
    /// 384 bits.
    Bits384,
    /// 512 bits.
    Bits512,
}

/// The files of a base by path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Manifest {
    /// What each file must be.
    pub files: BTreeMap<String, ManifestFile>,
}

#[derive(Deserialize)]
struct Document {
    #[serde(rename = "PostgreSQL-Backup-Manifest-Version")]
    version: u32,
    #[serde(rename = "Files", default)]
    files: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "Path")]
    path: Option<String>,
    #[serde(rename = "Encoded-Path")]
    encoded_path: Option<String>,
    #[serde(rename = "Size")]
    size: u64,
    #[serde(rename = "Checksum-Algorithm")]
    algorithm: Option<String>,
    #[serde(rename = "Checksum")]
    checksum: Option<String>,
}

impl Manifest {
    /// Reads a `backup_manifest` and checks its own checksum.
    pub fn parse(content: &[u8]) -> Result<Self, ManifestError> {
        check_self(content)?;
        let document: Document = serde_json::from_slice(content)?;
        if !(1..=2).contains(&document.version) {
            return Err(ManifestError::Version { version: document.version });
        }
        let files = document.files.into_iter().map(file_of).collect::<Result<_, _>>()?;
        Ok(Self { files })
    }
}

/// The last line is the digest of all lines before it, which is why it cannot be checked on parsed JSON.
fn check_self(content: &[u8]) -> Result<(), ManifestError> {
    const LABEL: &[u8] = b"\"Manifest-Checksum\"";
    let start = content.windows(LABEL.len()).rposition(|window| window == LABEL);
    let start = start.ok_or(ManifestError::Damaged)?;
    let (covered, line) = content.split_at(start);
    let line = String::from_utf8_lossy(line);
    let written = line.split('"').nth(3).and_then(bytes_of_hex).ok_or(ManifestError::Damaged)?;
    let computed = digest::digest(&digest::SHA256, covered);
    if computed.as_ref() == written { Ok(()) } else { Err(ManifestError::Damaged) }
}

fn file_of(entry: Entry) -> Result<(String, ManifestFile), ManifestError> {
    let decoded = || {
        let bytes = entry.encoded_path.as_deref().and_then(bytes_of_hex)?;
        String::from_utf8(bytes).ok()
    };
    let path = entry.path.clone().or_else(decoded).ok_or(ManifestError::Path)?;
    let algorithm = entry.algorithm.unwrap_or_else(|| "NONE".to_owned());
    let unusable = || ManifestError::Checksum { path: path.clone(), algorithm: algorithm.clone() };
    let bytes = || entry.checksum.as_deref().and_then(bytes_of_hex).ok_or_else(unusable);
    let checksum = match algorithm.as_str() {
        "NONE" => None,
        // The server writes the number as its memory holds it; servers that we can restore are little-endian.
        "CRC32C" => Some(Checksum::Crc32c(u32::from_le_bytes(bytes()?.try_into().map_err(|_| unusable())?))),
        "SHA256" => Some(Checksum::Sha(ShaLength::Bits256, bytes()?)),
        "SHA384" => Some(Checksum::Sha(ShaLength::Bits384, bytes()?)),
        "SHA512" => Some(Checksum::Sha(ShaLength::Bits512, bytes()?)),
        _ => return Err(unusable()),
    };
    Ok((path, ManifestFile { size_bytes: entry.size, checksum }))
}

/// Writes bytes as hexadecimal digits.
pub(crate) fn hex_of(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

fn bytes_of_hex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

/// Computes the checksum that a manifest gives for a file, while its bytes pass.
pub(crate) enum Summer {
    None,
    Crc32c(u32),
    Sha(ShaLength, Box<digest::Context>),
}

impl Summer {
    /// Starts the computation that `expected` can be compared with.
    pub(crate) fn for_checksum(expected: Option<&Checksum>) -> Self {
        match expected {
            None => Self::None,
            Some(Checksum::Crc32c(_)) => Self::Crc32c(0),
            Some(Checksum::Sha(length, _)) => {
                Self::Sha(*length, Box::new(digest::Context::new(algorithm(*length))))
            }
        }
    }

    /// Takes the next bytes.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::None => {}
            Self::Crc32c(sum) => *sum = crc32c::crc32c_append(*sum, bytes),
            Self::Sha(_, context) => context.update(bytes),
        }
    }

    /// Ends the computation.
    pub(crate) fn finish(self) -> Option<Checksum> {
        match self {
            Self::None => None,
            Self::Crc32c(sum) => Some(Checksum::Crc32c(sum)),
            Self::Sha(length, context) => Some(Checksum::Sha(length, context.finish().as_ref().to_vec())),
        }
    }
}

fn algorithm(length: ShaLength) -> &'static digest::Algorithm {
    match length {
        ShaLength::Bits256 => &digest::SHA256,
        ShaLength::Bits384 => &digest::SHA384,
        ShaLength::Bits512 => &digest::SHA512,
    }
}
