//! Content of files: read while it comes, gone on with after a break, and compared with its checksum.

use std::io::Read as _;

use connect_http::{Digest, Download, DownloadError};
use md5::{Digest as _, Md5};
use ring::digest::{Context, SHA256};

use crate::{ApiError, Get, ReadApi};

/// A checksum as Google tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checksum {
    /// SHA-256.
    Sha256(Vec<u8>),
    /// MD5: all there is of revisions and of some old files.
    Md5(Vec<u8>),
}

impl Checksum {
    /// Takes the better one of those that were told in hexadecimal.
    pub fn of(sha256: Option<&str>, md5: Option<&str>) -> Option<Self> {
        let sha256 = sha256.and_then(bytes).filter(|bytes| bytes.len() == 32).map(Self::Sha256);
        sha256.or_else(|| md5.and_then(bytes).filter(|bytes| bytes.len() == 16).map(Self::Md5))
    }

    fn digest(self) -> (Box<dyn Digest + Send>, Vec<u8>) {
        match self {
            Self::Sha256(value) => (Box::new(Sha256Sum(Context::new(&SHA256))), value),
            Self::Md5(value) => (Box::new(Md5Sum(Md5::new())), value),
        }
    }
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    hex.as_bytes()
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        })
        .collect()
}

struct Sha256Sum(Context);

impl Digest for Sha256Sum {
    fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn value(&self) -> Vec<u8> {
        self.0.clone().finish().as_ref().to_vec()
    }
}

struct Md5Sum(Md5);

impl Digest for Md5Sum {
    fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn value(&self) -> Vec<u8> {
        self.0.clone().finalize().to_vec()
    }
}

/// What content should be, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    /// Its length in bytes.
    pub length: Option<u64>,
    /// Its checksum.
    pub checksum: Option<Checksum>,
}

/// Why content was not read to its end.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// It is not given.
    #[error("{0}")]
    Api(ApiError),
    /// It is another than expected: it was changed since it was listed, or spoilt on its way. Look again.
    #[error("the content is not what it should be")]
    Other(#[source] DownloadError),
    /// It broke off too often, or is larger than is taken.
    #[error("the content did not come to its end")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl ReadApi {
    /// Begins to read content that may be of any size. It is gone on with after at most so many breaks; what reading it
    /// answers is a [`DownloadError`].
    pub fn content(
        &self,
        subject: &str,
        get: &Get,
        expected: Expected,
        breaks: u32,
    ) -> Result<Download, ContentError> {
        let expected = connect_http::Expected {
            length: expected.length,
            digest: expected.checksum.map(Checksum::digest),
        };
        Download::open(&self.client, &self.call(subject, get), breaks, expected)
            .map_err(|error| self.content_error(error, get))
    }

    /// Reads content into memory; more than `limit` bytes are an error.
    pub fn content_bytes(
        &self,
        subject: &str,
        get: &Get,
        expected: Expected,
        breaks: u32,
        limit: u64,
    ) -> Result<Vec<u8>, ContentError> {
        let mut bytes = Vec::new();
        let read = self.content(subject, get, expected, breaks)?.take(limit + 1).read_to_end(&mut bytes);
        match read {
            Ok(_) if bytes.len() as u64 > limit => {
                Err(ContentError::Broken(format!("it has more than {limit} bytes").into()))
            }
            Ok(_) => Ok(bytes),
            Err(error) => Err(match error.downcast::<DownloadError>() {
                Ok(error) => self.content_error(error, get),
                Err(error) => ContentError::Broken(error.into()),
            }),
        }
    }

    fn content_error(&self, error: DownloadError, get: &Get) -> ContentError {
        match error {
            DownloadError::Call(error) => ContentError::Api(self.error(error, get.method)),
            DownloadError::Broken { .. } => ContentError::Broken(error.into()),
            DownloadError::Changed { .. } | DownloadError::Length { .. } | DownloadError::Digest { .. } => {
                ContentError::Other(error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(checksum: Checksum, content: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let (mut digest, expected) = checksum.digest();
        content.chunks(1).for_each(|part| digest.update(part));
        (digest.value(), expected)
    }

    #[test]
    fn checksums_are_those_of_the_content() {
        let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let md5 = "900150983CD24FB0D6963F7D28E17F72";
        let both = Checksum::of(Some(sha256), Some(md5)).unwrap();
        assert!(matches!(both, Checksum::Sha256(_)));
        for checksum in [both, Checksum::of(None, Some(md5)).unwrap()] {
            let (actual, expected) = value(checksum.clone(), b"abc");
            assert_eq!(actual, expected);
            assert_ne!(value(checksum, b"abd").0, expected);
        }
    }

    #[test]
    fn what_is_no_checksum_is_none() {
        for text in ["", "zz", "900150983cd24fb0d6963f7d28e17f7", "+f"] {
            assert_eq!(Checksum::of(Some(text), Some(text)), None, "{text}");
        }
    }
}
