//! What the names of a vault's objects mean (format §1).

use model::SourceName;
use ports::{BlobError, BlobName};

use crate::{
    PackId, VaultId,
    encoding::DecodeError,
    names,
    pack::{HEADER_BYTES, PackError, PackHeader, PackTrailer, TRAILER_BYTES},
};

/// What an object is, by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ObjectName {
    /// `vault.json`
    Manifest,
    /// `keys/<n>`
    Keys,
    /// `data/<pp>/<id>`
    Pack(PackId),
    /// `log/<source>/<sequence>`
    Commit(SourceName, u64),
    /// `heads/<n>`
    Head(u64),
    /// `proofs/<n>`, `proofs/cosignature-<n>-<key id>`
    Proof,
    /// `retention/<number>`
    Retention(u64),
}

impl ObjectName {
    /// Tells what a name means; `None` when the format knows no such name.
    pub fn parse(name: &BlobName) -> Option<Self> {
        let text = name.as_str();
        let single = |rest: &str| !rest.is_empty() && !rest.contains('/');
        match text.split_once('/') {
            None => (text == names::MANIFEST).then_some(Self::Manifest),
            Some(("keys", rest)) => number(rest).map(|_| Self::Keys),
            Some(("data", _)) => names::parse_pack(name).map(Self::Pack),
            Some(("log", _)) => names::parse_commit(name)
                .filter(|(_, sequence)| *sequence > 0)
                .map(|(source, sequence)| Self::Commit(source, sequence)),
            Some(("heads", rest)) => number(rest).map(Self::Head),
            Some(("retention", _)) => names::parse_retention(name).map(Self::Retention),
            Some(("proofs", rest)) => single(rest).then_some(Self::Proof),
            Some(_) => None,
        }
    }
}

/// Returns the name of a pack.
pub fn pack_name(id: &PackId) -> Result<BlobName, BlobError> {
    names::pack(id)
}

/// Returns the name of a commit.
pub fn commit_name(source: &SourceName, sequence: u64) -> Result<BlobName, BlobError> {
    names::commit(source, sequence)
}

/// Checks, without a key, that bytes are a pack of this vault and have this id by right. Nothing is decompressed.
pub fn check_pack(id: &PackId, content: &[u8], vault: VaultId) -> Result<(), PackError> {
    let tail = content.len().checked_sub(TRAILER_BYTES).filter(|tail| *tail >= HEADER_BYTES);
    let tail = tail.ok_or(DecodeError::Range { what: "pack" })?;
    let header = PackHeader::parse(&content[..HEADER_BYTES])?;
    PackTrailer::parse(&content[tail..], content.len() as u64)?;
    if header.vault != vault {
        return Err(PackError::OtherVault { found: header.vault });
    }
    if blake3::hash(content).as_bytes() == &id.0 { Ok(()) } else { Err(PackError::Digest) }
}

/// A decimal number in its shortest form.
fn number(text: &str) -> Option<u64> {
    text.parse::<u64>().ok().filter(|number| number.to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<ObjectName> {
        ObjectName::parse(&BlobName::new(text).unwrap())
    }

    #[test]
    fn only_names_of_the_format_mean_something() {
        let id = "ab".repeat(32);
        assert_eq!(parse("vault.json"), Some(ObjectName::Manifest));
        assert_eq!(parse("keys/0"), Some(ObjectName::Keys));
        assert_eq!(parse("heads/12"), Some(ObjectName::Head(12)));
        assert_eq!(parse("proofs/a-1"), Some(ObjectName::Proof));
        assert_eq!(parse(&format!("data/ab/{id}")), Some(ObjectName::Pack(id.parse().unwrap())));
        let shop = SourceName::new("shop").unwrap();
        assert_eq!(parse("log/shop/0000000012"), Some(ObjectName::Commit(shop, 12)));
        for bad in [
            "vault.jso",
            "keys/00",
            "keys/x",
            "data/ab/cd",
            "log/shop/12",
            "log/shop/0000000000",
            "other/1",
            "heads/01",
            "heads/a/b",
            "proofs/a/b",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
        assert_eq!(parse(&format!("data/cd/{id}")), None);
    }
}
