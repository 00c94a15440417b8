//! Bodies that are never whole in memory: what is read from any place, and a run of it that is being sent.

use std::{fmt, sync::Arc};

use bytes::Bytes;

/// Bytes that can be read from any place, the same ones every time.
pub(crate) trait Source: Send + Sync {
    /// How many there are.
    fn length(&self) -> u64;

    /// Fills a buffer with those that begin at `offset`; the buffer ends where they do or before.
    fn read(&self, offset: u64, buffer: &mut [u8]);
}

/// A run of a source.
#[derive(Clone)]
pub(crate) struct Stream {
    source: Arc<dyn Source>,
    at: u64,
    end: u64,
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("at", &self.at).field("end", &self.end).finish_non_exhaustive()
    }
}

impl Stream {
    /// All of a source.
    pub(crate) fn whole(source: Arc<dyn Source>) -> Self {
        let end = source.length();
        Self { source, at: 0, end }
    }

    /// The bytes from `first` to `last`, both included; they are inside of the source.
    pub(crate) fn run(source: Arc<dyn Source>, first: u64, last: u64) -> Self {
        let end = source.length().min(last.saturating_add(1));
        Self { source, at: first.min(end), end }
    }

    /// How many bytes are left.
    pub(crate) const fn left(&self) -> u64 {
        self.end - self.at
    }

    /// Takes the next bytes, `max` at most; none when nothing is left.
    pub(crate) fn next(&mut self, max: usize) -> Bytes {
        let length = usize::try_from(self.left()).map_or(max, |left| left.min(max));
        let mut buffer = vec![0; length];
        self.source.read(self.at, &mut buffer);
        self.at += length as u64;
        Bytes::from(buffer)
    }
}

/// What a `Range` header asks of a body of known length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// All of it: there is no such header, or one that is not understood.
    Whole,
    /// The first and the last byte, both included.
    Run(u64, u64),
    /// Nothing that is there.
    Outside,
}

/// Reads a `Range` header with one run.
pub(crate) fn asked(header: Option<&str>, length: u64) -> Asked {
    let Some((first, last)) =
        header.and_then(|header| header.strip_prefix("bytes=")).and_then(|run| run.trim().split_once('-'))
    else {
        return Asked::Whole;
    };
    let run = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => (first, last.min(length.saturating_sub(1))),
        (Ok(first), Err(_)) if last.is_empty() => (first, length.saturating_sub(1)),
        (Err(_), Ok(last)) if first.is_empty() => {
            if last == 0 {
                return Asked::Outside;
            }
            (length.saturating_sub(last), length.saturating_sub(1))
        }
        _ => return Asked::Whole,
    };
    if run.0 < length { Asked::Run(run.0, run.1) } else { Asked::Outside }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_http_has_them() {
        assert_eq!(asked(None, 10), Asked::Whole);
        assert_eq!(asked(Some("bytes=0-3"), 10), Asked::Run(0, 3));
        assert_eq!(asked(Some("bytes=4-"), 10), Asked::Run(4, 9));
        assert_eq!(asked(Some("bytes=-3"), 10), Asked::Run(7, 9));
        assert_eq!(asked(Some("bytes=8-99"), 10), Asked::Run(8, 9));
        assert_eq!(asked(Some("bytes=10-"), 10), Asked::Outside);
        assert_eq!(asked(Some("bytes=-0"), 10), Asked::Outside);
        assert_eq!(asked(Some("bytes=0-"), 0), Asked::Outside);
        assert_eq!(asked(Some("bytes=5-3"), 10), Asked::Whole);
        assert_eq!(asked(Some("lines=1-2"), 10), Asked::Whole);
    }
}
