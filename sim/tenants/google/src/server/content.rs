//! The body of an answer: in one piece or in a stream, and cut off or spoilt on purpose.

use std::{
    io::Write,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use hyper::body::{Body, Frame, SizeHint};

use crate::stream::Stream;

/// Smaller bodies are not compressed.
pub(super) const ZIP_BYTES_MIN: usize = 1400;
/// How much of a stream is made at a time.
const FRAME_BYTES: usize = 256 << 10;

#[derive(Debug)]
enum Rest {
    Bytes(Bytes),
    Stream(Stream),
}

/// A body that may end before its announced length.
#[derive(Debug)]
pub(super) struct Content {
    rest: Rest,
    /// How many bytes went out.
    sent: u64,
    /// How many go out at most.
    end: u64,
    announced: u64,
    /// Which byte has a wrong bit.
    spoilt: Option<u64>,
}

impl Default for Content {
    fn default() -> Self {
        Self::whole(Bytes::new())
    }
}

impl Content {
    pub(super) fn whole(bytes: Bytes) -> Self {
        let announced = bytes.len() as u64;
        Self { rest: Rest::Bytes(bytes), sent: 0, end: announced, announced, spoilt: None }
    }

    pub(super) fn stream(stream: Stream) -> Self {
        let announced = stream.left();
        Self { rest: Rest::Stream(stream), sent: 0, end: announced, announced, spoilt: None }
    }

    /// Sends so many bytes at most; at least one is always missing, so that nobody takes it for whole.
    pub(super) fn truncated(mut self, length: usize) -> Self {
        self.announced = self.announced.max(1);
        self.end = (length as u64).min(self.announced - 1);
        self
    }

    /// Turns a bit of one byte; a position behind the end counts on from the beginning.
    pub(super) fn spoilt(mut self, position: u64) -> Self {
        self.spoilt = position.checked_rem(self.announced);
        self
    }

    fn next(&mut self) -> Bytes {
        let left = usize::try_from(self.end - self.sent).unwrap_or(usize::MAX);
        let mut bytes = match &mut self.rest {
            Rest::Bytes(bytes) => bytes.split_to(left.min(bytes.len())),
            Rest::Stream(stream) => stream.next(left.min(FRAME_BYTES)),
        };
        let inside = self.spoilt.and_then(|at| usize::try_from(at.checked_sub(self.sent)?).ok());
        if let Some(at) = inside.filter(|at| *at < bytes.len()) {
            let mut copy = bytes.to_vec();
            copy[at] ^= 1;
            bytes = Bytes::from(copy);
        }
        self.sent += bytes.len() as u64;
        bytes
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
        Poll::Ready(if self.sent < self.end {
            Some(Ok(Frame::data(self.next())))
        } else if self.end < self.announced {
            Some(Err(Cut))
        } else {
            None
        })
    }

    fn is_end_stream(&self) -> bool {
        self.sent == self.announced
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.announced - self.sent)
    }
}

/// Compresses bytes; `None` cannot happen with memory as the target.
pub(super) fn zipped(bytes: &[u8]) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 2), Compression::fast());
    encoder.write_all(bytes).ok()?;
    encoder.finish().ok().map(Bytes::from)
}
