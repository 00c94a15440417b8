//! The server's `backup_manifest`: what a base must hold, file by file.

use std::collections::BTreeMap;

use postgres_wal::Lsn;
use serde::Deserialize;

#[cfg(test)]
mod tests;

/// Why a base is not what the server sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ManifestError {
    /// The manifest cannot be read.
    #[error("the server's backup manifest cannot be read: {reason}")]
    Malformed {
        /// What is wrong with it.
        reason: String,
    },
    /// The manifest itself was altered on its way.
    #[error("the server's backup manifest does not match its own checksum")]
    Altered,
    /// A file is listed and did not come.
    #[error("{path} is in the server's backup manifest and did not arrive")]
    Missing {
        /// The file's path in the data directory.
        path: String,
    },
    /// A file came and is not listed.
    #[error("{path} arrived and is not in the server's backup manifest")]
    Unlisted {
        /// The file's path in the data directory.
        path: String,
    },
    /// A file has another size than the server read.
    #[error("{path} arrived with {received} bytes, the server sent {sent}")]
    Size {
        /// The file's path in the data directory.
        path: String,
        /// Bytes received.
        received: u64,
        /// Bytes that the manifest lists.
        sent: u64,
    },
    /// A file has another checksum than the server computed.
    #[error("{path} arrived with another checksum than the server sent")]
    Checksum {
        /// The file's path in the data directory.
        path: String,
    },
}

/// What was received of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) size_bytes: u64,
    pub(crate) crc32c: u32,
}

/// A range of WAL that a base needs to become consistent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WalRange {
    pub(crate) timeline: u32,
    pub(crate) start_lsn: u64,
    pub(crate) end_lsn: u64,
}

#[derive(Debug)]
struct Listed {
    size_bytes: u64,
    crc32c: Option<u32>,
}

/// A manifest that matches its own checksum.
#[derive(Debug)]
pub(crate) struct Manifest {
    files: BTreeMap<String, Listed>,
    pub(crate) wal_ranges: Vec<WalRange>,
    pub(crate) system_identifier: Option<u64>,
}

#[derive(Deserialize)]
struct RawManifest {
    #[serde(rename = "PostgreSQL-Backup-Manifest-Version")]
    version: u32,
    #[serde(rename = "System-Identifier")]
    system_identifier: Option<u64>,
    #[serde(rename = "Files")]
    files: Vec<RawFile>,
    #[serde(rename = "WAL-Ranges")]
    wal_ranges: Vec<RawRange>,
    #[serde(rename = "Manifest-Checksum")]
    checksum: String,
}

#[derive(Deserialize)]
struct RawFile {
    #[serde(rename = "Path")]
    path: Option<String>,
    /// Hexadecimal bytes of a path that is not UTF-8.
    #[serde(rename = "Encoded-Path")]
    encoded_path: Option<String>,
    #[serde(rename = "Size")]
    size_bytes: u64,
    #[serde(rename = "Checksum-Algorithm")]
    algorithm: Option<String>,
    #[serde(rename = "Checksum")]
    checksum: Option<String>,
}

#[derive(Deserialize)]
struct RawRange {
    #[serde(rename = "Timeline")]
    timeline: u32,
    #[serde(rename = "Start-LSN")]
    start: String,
    #[serde(rename = "End-LSN")]
    end: String,
}

fn malformed(reason: impl Into<String>) -> ManifestError {
    ManifestError::Malformed { reason: reason.into() }
}

impl Manifest {
    /// Reads a manifest and checks it against its own checksum.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        let raw: RawManifest = serde_json::from_slice(bytes).map_err(|e| malformed(e.to_string()))?;
        if !(1..=2).contains(&raw.version) {
            return Err(malformed(format!("version {} is not known", raw.version)));
        }
        check_own_checksum(bytes, &raw.checksum)?;
        let mut files = BTreeMap::new();
        for file in raw.files {
            let (path, listed) = listed(file)?;
            files.insert(path, listed);
        }
        let wal_ranges = raw.wal_ranges.iter().map(wal_range).collect::<Result<_, _>>()?;
        Ok(Self { files, wal_ranges, system_identifier: raw.system_identifier })
    }

    /// Compares what was received with what the server says that it sent.
    pub(crate) fn verify(&self, received: &BTreeMap<String, Received>) -> Result<(), ManifestError> {
        for (path, listed) in &self.files {
            let Some(file) = received.get(path) else {
                return Err(ManifestError::Missing { path: path.clone() });
            };
            if file.size_bytes != listed.size_bytes {
                let (received, sent) = (file.size_bytes, listed.size_bytes);
                return Err(ManifestError::Size { path: path.clone(), received, sent });
            }
            if listed.crc32c.is_some_and(|checksum| checksum != file.crc32c) {
                return Err(ManifestError::Checksum { path: path.clone() });
            }
        }
        match received.keys().find(|path| !self.files.contains_key(*path)) {
            Some(path) => Err(ManifestError::Unlisted { path: path.clone() }),
            None => Ok(()),
        }
    }
}

/// The last line holds the SHA-256 of all lines before it.
fn check_own_checksum(bytes: &[u8], expected: &str) -> Result<(), ManifestError> {
    let body = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let last_line = body.iter().rposition(|&b| b == b'\n').map_or(0, |newline| newline + 1);
    let actual = ring::digest::digest(&ring::digest::SHA256, &bytes[..last_line]);
    if hex_bytes(expected).as_deref() == Some(actual.as_ref()) { Ok(()) } else { Err(ManifestError::Altered) }
}

fn listed(file: RawFile) -> Result<(String, Listed), ManifestError> {
    let path = match (file.path, file.encoded_path) {
        (Some(path), _) => path,
        (None, Some(hex)) => {
            let bytes = hex_bytes(&hex).ok_or_else(|| malformed("a path is not hexadecimal"))?;
            String::from_utf8_lossy(&bytes).into_owned()
        }
        (None, None) => return Err(malformed("a file has no path")),
    };
    let crc32c = match (file.algorithm.as_deref(), file.checksum) {
        (None, _) => None,
        (Some("CRC32C"), Some(hex)) => {
            let bytes = hex_bytes(&hex).and_then(|bytes| <[u8; 4]>::try_from(bytes).ok());
            // The server prints the checksum's bytes as they lie in its memory; all supported platforms are
            // little-endian.
            Some(u32::from_le_bytes(bytes.ok_or_else(|| malformed(format!("the checksum of {path}")))?))
        }
        (Some(other), _) => {
            return Err(malformed(format!("the checksum algorithm {other} was not asked for")));
        }
    };
    Ok((path, Listed { size_bytes: file.size_bytes, crc32c }))
}

fn wal_range(range: &RawRange) -> Result<WalRange, ManifestError> {
    let lsn = |text: &str| {
        text.parse::<Lsn>().map(|lsn| lsn.0).map_err(|_| malformed(format!("{text:?} is no WAL position")))
    };
    Ok(WalRange { timeline: range.timeline, start_lsn: lsn(&range.start)?, end_lsn: lsn(&range.end)? })
}

fn hex_bytes(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).ok()).collect()
}
