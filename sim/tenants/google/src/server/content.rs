//! The body of an answer: whole, or cut off on purpose.

use std::{
    io::Write,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use hyper::body::{Body, Frame, SizeHint};

/// Smaller bodies are not compressed.
pub(super) const ZIP_BYTES_MIN: usize = 1400;

/// A body in one piece that may end before its announced length.
#[derive(Debug, Default)]
pub(super) struct Content {
    bytes: Option<Bytes>,
    /// What was announced and will not come.
    missing: u64,
}

impl Content {
    pub(super) fn whole(bytes: Bytes) -> Self {
        Self { bytes: Some(bytes).filter(|bytes| !bytes.is_empty()), missing: 0 }
    }

    /// Sends so many bytes at most; at least one is always missing, so that nobody takes it for whole.
    pub(super) fn truncated(mut bytes: Bytes, length: usize) -> Self {
        let announced = bytes.len().max(1);
        bytes.truncate(length.min(announced - 1));
        let missing = (announced - bytes.len()) as u64;
        Self { bytes: Some(bytes).filter(|bytes| !bytes.is_empty()), missing }
    }
}

/// The body ends here on purpose.
#[derive(Debug, thiserror::Error)]
#[error("the body is cut off on purpose")]
pub(super) struct Cut;

impl Body for Content {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        Poll::Ready(match self.bytes.take() {
            Some(bytes) => Some(Ok(Frame::data(bytes))),
            None if self.missing > 0 => Some(Err(Cut)),
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none() && self.missing == 0
    }

    fn size_hint(&self) -> SizeHint {
        let here = self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
        SizeHint::with_exact(here + self.missing)
    }
}

/// Compresses bytes; `None` cannot happen with memory as the target.
pub(super) fn zipped(bytes: &[u8]) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 2), Compression::fast());
    encoder.write_all(bytes).ok()?;
    encoder.finish().ok().map(Bytes::from)
}
