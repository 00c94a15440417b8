//! Downloads that go on where they broke off, and say when they are not what they should be.

use std::{
    fmt,
    io::{self, Read},
};

use ureq::http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, ETAG, IF_RANGE, RANGE},
};

use crate::{
    call::{Call, CallError, Taking},
    client::Client,
    digest::Digest,
    transport::{Body, Response, TransportError},
};

/// Why a download did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// A call failed.
    #[error("the download failed")]
    Call(#[from] CallError),
    /// It broke off more often than is put up with, or cannot be gone on with.
    #[error("the download broke off at byte {offset}")]
    Broken {
        /// How many bytes came.
        offset: u64,
        /// What the connection said last.
        #[source]
        source: TransportError,
    },
    /// What is downloaded was changed meanwhile: begin anew.
    #[error("the content was changed during its download, at byte {offset}")]
    Changed {
        /// How many bytes of the earlier content came.
        offset: u64,
    },
    /// It has another length than it should.
    #[error("the download has {actual} bytes and should have {expected}")]
    Length {
        /// How many bytes it should have.
        expected: u64,
        /// How many it has, or at least has.
        actual: u64,
    },
    /// It has another digest than it should: what came is not what the service keeps.
    #[error("the download's digest is {} and should be {}", hex(actual), hex(expected))]
    Digest {
        /// What was expected.
        expected: Vec<u8>,
        /// What came.
        actual: Vec<u8>,
    },
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl DownloadError {
    /// Finds the error in what reading a download answered.
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

/// What a download should be.
#[derive(Default)]
pub struct Expected {
    /// Its length in bytes, if known.
    pub length: Option<u64>,
    /// Its digest, if known, and what computes it.
    pub digest: Option<(Box<dyn Digest + Send>, Vec<u8>)>,
}

impl fmt::Debug for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digest = self.digest.as_ref().map(|(_, value)| hex(value));
        write!(f, "{:?} bytes with digest {digest:?}", self.length)
    }
}

/// The content of a `GET`, as a reader that can be handed to another thread. Its errors are [`DownloadError`]s; it ends
/// only when all has come and fits.
#[derive(Debug)]
pub struct Download {
    client: Client,
    call: Call,
    headers: HeaderMap,
    body: Option<Body>,
    offset: u64,
    total: Option<u64>,
    etag: Option<HeaderValue>,
    /// Whether a position in the content means something to the server.
    packed: bool,
    breaks_left: u32,
    expected: Expected,
    ended: bool,
}

impl Download {
    /// Begins a download; the answer's headers are there when it returns. It is gone on with after at most so many
    /// breaks. Without an `ETag`, only the length and the expected digest tell that the content is still the same.
    pub fn open(
        client: &Client,
        call: &Call,
        breaks: u32,
        expected: Expected,
    ) -> Result<Self, DownloadError> {
        let mut call = call.clone().taking(Taking::Stream);
        // Positions count in what the server keeps, so it must not be packed on its way.
        call.request.headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let response = client.call(&call)?;
        let packed = response.body.is_packed();
        let total = if packed { None } else { length(&response.headers) };
        let etag = response.headers.get(ETAG).filter(|etag| !etag.as_bytes().starts_with(b"W/")).cloned();
        if let (Some(expected), Some(actual)) = (expected.length, total)
            && expected != actual
        {
            return Err(DownloadError::Length { expected, actual });
        }
        Ok(Self {
            client: client.clone(),
            call,
            headers: response.headers,
            body: Some(response.body),
            offset: 0,
            total,
            etag,
            packed,
            breaks_left: breaks,
            expected,
            ended: false,
        })
    }

    /// Returns the headers of the first answer.
    pub const fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Returns how many bytes were read.
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// Returns the next bytes, none at the end.
    fn next(&mut self, buffer: &mut [u8]) -> Result<usize, DownloadError> {
        loop {
            if self.total == Some(self.offset) {
                return self.finish();
            }
            let mut body = match self.body.take() {
                Some(body) => body,
                None => self.reopen()?,
            };
            match body.read(buffer) {
                Ok(0) if self.total.is_some() => {
                    let cut = io::Error::from(io::ErrorKind::UnexpectedEof);
                    self.broke(TransportError::broken(cut))?;
                }
                Ok(0) => return self.finish(),
                Ok(count) => {
                    self.body = Some(body);
                    return self.took(&buffer[..count]);
                }
                Err(error) => self.broke(TransportError::of(error))?,
            }
        }
    }

    fn took(&mut self, bytes: &[u8]) -> Result<usize, DownloadError> {
        self.offset += bytes.len() as u64;
        let most = self.total.or(self.expected.length);
        if let Some(expected) = most.filter(|most| self.offset > *most) {
            return Err(DownloadError::Length { expected, actual: self.offset });
        }
        if let Some((digest, _)) = &mut self.expected.digest {
            digest.update(bytes);
        }
        Ok(bytes.len())
    }

    fn broke(&mut self, source: TransportError) -> Result<(), DownloadError> {
        if self.breaks_left == 0 || self.packed || !source.is_passing() {
            return Err(DownloadError::Broken { offset: self.offset, source });
        }
        self.breaks_left -= 1;
        Ok(())
    }

    fn finish(&mut self) -> Result<usize, DownloadError> {
        if let Some(expected) = self.expected.length.filter(|expected| *expected != self.offset) {
            return Err(DownloadError::Length { expected, actual: self.offset });
        }
        if let Some((digest, expected)) = &self.expected.digest {
            let actual = digest.value();
            if actual != *expected {
                return Err(DownloadError::Digest { expected: expected.clone(), actual });
            }
        }
        self.ended = true;
        self.body = None;
        Ok(0)
    }

    /// Asks for the rest.
    fn reopen(&mut self) -> Result<Body, DownloadError> {
        let mut call = self.call.clone();
        if self.offset > 0 {
            let range = HeaderValue::from_str(&format!("bytes={}-", self.offset));
            call.request.headers.insert(RANGE, range.map_err(|_| self.changed())?);
            if let Some(etag) = &self.etag {
                call.request.headers.insert(IF_RANGE, etag.clone());
            }
        }
        let response = self.client.call(&call)?;
        if let (Some(before), Some(now)) = (&self.etag, response.headers.get(ETAG))
            && before != now
        {
            return Err(self.changed());
        }
        if self.offset > 0 && response.status == StatusCode::PARTIAL_CONTENT {
            let (start, total) = content_range(&response.headers).ok_or_else(|| self.changed())?;
            let same =
                start == self.offset && (total.is_none() || self.total.is_none() || total == self.total);
            return if same { Ok(response.body) } else { Err(self.changed()) };
        }
        self.skip(response)
    }

    /// Reads over what came before, from an answer that begins anew.
    fn skip(&mut self, response: Response) -> Result<Body, DownloadError> {
        let same_tag = self.etag.is_some() && response.headers.get(ETAG) == self.etag.as_ref();
        let total = length(&response.headers);
        let known = same_tag || self.expected.digest.is_some() || self.offset == 0;
        if response.status != StatusCode::OK || response.body.is_packed() || !known || total != self.total {
            return Err(self.changed());
        }
        let mut body = response.body;
        match io::copy(&mut body.by_ref().take(self.offset), &mut io::sink()) {
            Ok(count) if count == self.offset => Ok(body),
            Ok(_) => Err(self.changed()),
            Err(error) => {
                self.broke(TransportError::of(error))?;
                self.reopen()
            }
        }
    }

    const fn changed(&self) -> DownloadError {
        DownloadError::Changed { offset: self.offset }
    }
}

impl Read for Download {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.ended || buffer.is_empty() {
            return Ok(0);
        }
        self.next(buffer).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }
}

fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Reads `bytes 5-9/10`: where it begins, and the length of all if it is told.
fn content_range(headers: &HeaderMap) -> Option<(u64, Option<u64>)> {
    let text = headers.get(CONTENT_RANGE)?.to_str().ok()?.strip_prefix("bytes ")?;
    let (range, total) = text.split_once('/')?;
    let (start, _) = range.split_once('-')?;
    let total = if total == "*" { None } else { Some(total.parse().ok()?) };
    Some((start.parse().ok()?, total))
}

#[cfg(test)]
mod tests;
