use model::SourceName;
use ports::{BlobError, BlobName};

use crate::{
    PackId,
    id::{hex, unhex},
};

pub(crate) const MANIFEST: &str = "vault.json";
pub(crate) const KEYS: &str = "keys/";
pub(crate) const DATA: &str = "data/";
pub(crate) const LOG: &str = "log/";
pub(crate) const RETENTION: &str = "retention/";
pub(crate) const HEADS: &str = "heads/";
const COSIGNATURE: &str = "proofs/cosignature-";

pub(crate) fn manifest() -> Result<BlobName, BlobError> {
    BlobName::new(MANIFEST)
}

pub(crate) fn keys(number: u64) -> Result<BlobName, BlobError> {
    BlobName::new(format!("{KEYS}{number}"))
}

/// Takes the number out of `keys/<n>`.
pub(crate) fn parse_keys(name: &BlobName) -> Option<u64> {
    let text = name.as_str().strip_prefix(KEYS)?;
    text.parse::<u64>().ok().filter(|number| number.to_string() == text)
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

pub(crate) fn tree_head(number: u64) -> Result<BlobName, BlobError> {
    BlobName::new(format!("{HEADS}{number}"))
}

/// Takes the number out of `heads/<n>`.
pub(crate) fn parse_tree_head(name: &BlobName) -> Option<u64> {
    canonical(name.as_str().strip_prefix(HEADS)?)
}

/// The cosignatures of one head all begin like this.
pub(crate) fn cosignatures(head: u64) -> String {
    format!("{COSIGNATURE}{head}-")
}

/// A witness has one place for each head: a second cosignature of the same key says nothing new.
pub(crate) fn cosignature(head: u64, key_id: [u8; 4]) -> Result<BlobName, BlobError> {
    BlobName::new(format!("{}{}", cosignatures(head), hex(&key_id)))
}

/// Splits `proofs/cosignature-<head>-<key id>`.
pub(crate) fn parse_cosignature(name: &BlobName) -> Option<(u64, [u8; 4])> {
    let (head, key_id) = name.as_str().strip_prefix(COSIGNATURE)?.split_once('-')?;
    Some((canonical(head)?, unhex(key_id)?))
}

fn canonical(number: &str) -> Option<u64> {
    number.parse::<u64>().ok().filter(|value| value.to_string() == number)
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
