//! Stored content, read as uploads want it: with what was read last to be had once more.

use std::io::{self, Read, Seek, SeekFrom};

use connect::{StoredBody, StoredHistory, plan::WriteError};
use google_api::{ApiError, Change, UploadFailed};
use source_google::drive::file_key;

use super::{
    step::Stored,
    wire::{Drive, Found},
};

/// Content up to this size travels with its description.
const INLINE_BYTES_MAX: u64 = 1 << 20;

/// A stored content. Going back farther than its last portion begins anew, which happens after a break alone.
pub(super) struct Source<'a> {
    past: &'a dyn StoredHistory,
    stored: &'a Stored,
    key: String,
    body: Box<dyn StoredBody + 'a>,
    portion: Vec<u8>,
    /// Where the portion begins.
    start: u64,
    position: u64,
}

impl<'a> Source<'a> {
    pub(super) fn open(past: &'a dyn StoredHistory, stored: &'a Stored, id: &str) -> io::Result<Self> {
        let key = file_key(id);
        let body = past.open(&stored.stream, &key, stored.at).map_err(io::Error::other)?;
        Ok(Self { past, stored, key, body, portion: Vec::new(), start: 0, position: 0 })
    }

    fn end(&self) -> u64 {
        self.start + self.portion.len() as u64
    }

    /// Makes the portion one that holds the position; tells whether there is one.
    fn arrive(&mut self) -> io::Result<bool> {
        if self.position < self.start {
            let body = self.past.open(&self.stored.stream, &self.key, self.stored.at);
            self.body = body.map_err(io::Error::other)?;
            self.portion.clear();
            self.start = 0;
        }
        while self.position >= self.end() {
            let end = self.end();
            let Some(next) = self.body.next_portion().map_err(io::Error::other)? else { return Ok(false) };
            self.start = end;
            self.portion.clear();
            self.portion.extend_from_slice(next);
        }
        Ok(true)
    }
}

impl Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() || !self.arrive()? {
            return Ok(0);
        }
        let from = usize::try_from(self.position - self.start).map_err(io::Error::other)?;
        let left = &self.portion[from..];
        let length = left.len().min(buffer.len());
        buffer[..length].copy_from_slice(&left[..length]);
        self.position += length as u64;
        Ok(length)
    }
}

impl Seek for Source<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let SeekFrom::Start(position) = to else {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "stored content is counted from its beginning",
            ));
        };
        self.position = position;
        Ok(position)
    }
}

/// Why content was not put into a file.
pub(super) enum NotSent {
    Api(ApiError),
    /// The vault does not give it.
    Unread(WriteError),
}

impl Drive<'_> {
    /// Sends a stored content along with a change. A small one travels with its description where that can be sent twice.
    pub(super) fn send_content(
        &self,
        change: &Change,
        stored: &Stored,
        (id, media_type, bytes): (&str, &str, u64),
        is_repeatable: bool,
    ) -> Result<Found, NotSent> {
        let (api, past) = (self.task.api, self.task.past);
        let unread = |error: io::Error| NotSent::Unread(unread(id, error));
        if is_repeatable && bytes <= INLINE_BYTES_MAX {
            let mut content = Vec::new();
            Source::open(past, stored, id)
                .and_then(|mut source| source.read_to_end(&mut content))
                .map_err(unread)?;
            let change = change.clone().with_media(media_type.to_owned(), content);
            return api.send(self.subject(), &change).map_err(NotSent::Api);
        }
        let open = || Ok(Box::new(Source::open(past, stored, id)?) as Box<_>);
        let sent = api.upload(self.subject(), change, (media_type, bytes), &open);
        sent.map_err(|error| match error {
            UploadFailed::Api(error) => NotSent::Api(error),
            UploadFailed::Source(error) => unread(error),
        })
    }
}

fn unread(id: &str, error: io::Error) -> WriteError {
    WriteError::Source {
        message: format!("the content of {id} cannot be read from the vault"),
        hint: Some("unwipe verify".to_owned()),
        transient: false,
        source: Some(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use connect::{StoredError, StoredVersion};
    use model::StreamName;

    use super::*;

    /// Gives ten bytes in portions of four.
    struct Ten;

    struct Portions(Vec<Vec<u8>>, Vec<u8>);

    impl StoredBody for Portions {
        fn next_portion(&mut self) -> Result<Option<&[u8]>, StoredError> {
            if self.0.is_empty() {
                return Ok(None);
            }
            self.1 = self.0.remove(0);
            Ok(Some(&self.1))
        }
    }

    impl StoredHistory for Ten {
        fn changed(&self, _: &StreamName, _: u64, _: u64) -> Result<Vec<String>, StoredError> {
            Ok(Vec::new())
        }

        fn live_keys(
            &self,
            _: &StreamName,
            _: u64,
            _: Option<&str>,
            _: u32,
        ) -> Result<Vec<String>, StoredError> {
            Ok(Vec::new())
        }

        fn version(&self, _: &StreamName, _: &str, _: u64) -> Result<Option<StoredVersion>, StoredError> {
            Ok(None)
        }

        fn versions(
            &self,
            _: &StreamName,
            _: &str,
            _: u64,
            _: u64,
        ) -> Result<Vec<StoredVersion>, StoredError> {
            Ok(Vec::new())
        }

        fn content(&self, _: &StreamName, _: &str, _: u64) -> Result<Vec<u8>, StoredError> {
            Ok(b"0123456789".to_vec())
        }

        fn open<'a>(
            &'a self,
            stream: &StreamName,
            key: &str,
            at: u64,
        ) -> Result<Box<dyn StoredBody + 'a>, StoredError> {
            let content = self.content(stream, key, at)?;
            Ok(Box::new(Portions(content.chunks(4).map(<[u8]>::to_vec).collect(), Vec::new())))
        }
    }

    #[test]
    fn content_is_read_from_any_place_as_often_as_it_takes() {
        let stored = Stored { stream: StreamName::new("drive/a@x.test").unwrap(), at: 1 };
        let mut source = Source::open(&Ten, &stored, "f").unwrap();
        for (from, length) in [(0, 6), (5, 3), (1, 9), (9, 1), (0, 10), (10, 0)] {
            source.seek(SeekFrom::Start(from)).unwrap();
            let mut read = vec![0; length];
            source.read_exact(&mut read).unwrap();
            assert_eq!(read, b"0123456789"[from as usize..from as usize + length]);
        }
        source.seek(SeekFrom::Start(11)).unwrap();
        assert_eq!(source.read(&mut [0; 4]).unwrap(), 0);
    }
}
