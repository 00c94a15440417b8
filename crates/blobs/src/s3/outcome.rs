//! What a store's answers mean to a vault.

use std::io;

use ports::{BlobError, BlobName};

use super::connection::S3Error;

/// Codes with which stores say that there is no room.
const FULL: &[&str] = &[
    "InsufficientStorage",
    "QuotaExceeded",
    "ServiceQuotaExceeded",
    "StorageFull",
    "XMinioStorageFull",
    "XMinioAdminBucketQuotaExceeded",
    "TooManyObjects",
];

/// Turns a failed call about an object into what the vault understands.
pub(super) fn failed(operation: &'static str, name: &BlobName, error: S3Error) -> BlobError {
    let name = name.clone();
    match &error {
        S3Error::Answer { status: 404, code, .. }
            if matches!(code.as_str(), "" | "NoSuchKey" | "NoSuchVersion") =>
        {
            BlobError::Missing { name }
        }
        S3Error::Answer { status, code, .. } if *status == 507 || FULL.contains(&code.as_str()) => {
            BlobError::Full { name, source: error.into_io() }
        }
        S3Error::Answer { status: 401 | 403, .. } => BlobError::Refused { name, source: error.into_io() },
        _ => BlobError::Unavailable { operation, name: name.to_string(), source: error.into_io() },
    }
}

/// Turns a failed listing into what the vault understands.
pub(super) fn listing_failed(prefix: &str, error: S3Error) -> BlobError {
    BlobError::Unavailable { operation: "listing", name: format!("{prefix}*"), source: error.into_io() }
}

/// The store said yes and did something else.
pub(super) fn untrue(operation: &'static str, name: &BlobName, what: String) -> BlobError {
    BlobError::Unavailable { operation, name: name.to_string(), source: io::Error::other(what) }
}
