use model::SourceName;
use ports::{BlobError, BlobName};

use crate::PackId;

pub(crate) const MANIFEST: &str = "vault.json";
pub(crate) const KEYS: &str = "keys/";
pub(crate) const DATA: &str = "data/";
pub(crate) const LOG: &str = "log/";
pub(crate) const RETENTION: &str = "retention/";

pub(crate) fn manifest() -> Result<BlobName, BlobError> {
    BlobName::new(MANIFEST)
}

pub(crate) fn keys(number: u64) -> Result<BlobName, BlobError> {
    BlobName::new(format!("{KEYS}{number}"))
}

pub(crate) fn pack(id: &PackId) -> Result<BlobName, BlobError> {
    let id = id.to_string();
    BlobName::new(format!("{DATA}{}/{id}", &id[..2]))
}

pub(crate) fn log(source: &SourceName) -> String {
    format!("{LOG}{source}/")
}

pub(crate) fn commit(source: &SourceName, sequence: u64) -> Result<BlobName, BlobError> {
    BlobName::new(format!("{LOG}{source}/{sequence:010}"))
}

/// Splits `log/<source>/<sequence>`.
pub(crate) fn parse_commit(name: &BlobName) -> Option<(SourceName, u64)> {
    let (source, sequence) = name.as_str().strip_prefix(LOG)?.split_once('/')?;
    let canonical = sequence.len() == 10 && sequence.bytes().all(|b| b.is_ascii_digit());
    Some((SourceName::new(source).ok()?, sequence.parse().ok().filter(|_| canonical)?))
}

/// Takes the id out of `data/<prefix>/<id>`.
pub(crate) fn parse_pack(name: &BlobName) -> Option<PackId> {
    let (prefix, id) = name.as_str().strip_prefix(DATA)?.split_once('/')?;
    id.parse().ok().filter(|_| id.get(..2) == Some(prefix))
}

pub(crate) fn retention(number: u64) -> Result<BlobName, BlobError> {
    BlobName::new(format!("{RETENTION}{number:010}"))
}

/// Takes the number out of `retention/<number>`.
pub(crate) fn parse_retention(name: &BlobName) -> Option<u64> {
    let number = name.as_str().strip_prefix(RETENTION)?;
    let canonical = number.len() == 10 && number.bytes().all(|b| b.is_ascii_digit());
    number.parse().ok().filter(|number| canonical && *number > 0)
}
