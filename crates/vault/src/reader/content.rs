use std::{
    borrow::Cow,
    io::{self, Read},
};

use super::{VaultReader, assemble::Assembler};
use crate::{Content, VaultError, content::ContentDigest};

/// Reads a content from beginning to end.
pub struct ContentReader<'a> {
    reader: &'a VaultReader,
    content: Cow<'a, Content>,
    assembler: Assembler<'a>,
    digest: Option<ContentDigest>,
    portion: Vec<u8>,
    used: usize,
    position: u64,
}

/// A multiple of every leaf size.
const PORTION_BYTES: u64 = 4 << 20;

impl<'a> ContentReader<'a> {
    pub(super) fn new(reader: &'a VaultReader, content: Cow<'a, Content>) -> Self {
        Self {
            reader,
            content,
            assembler: Assembler::new(reader),
            digest: Some(reader.hasher.begin()),
            portion: Vec::new(),
            used: 0,
            position: 0,
        }
    }

    /// Hands out the next bytes, at most a few MiB; `None` at the end, once the digest has been found right.
    pub fn take_portion(&mut self) -> Result<Option<Vec<u8>>, VaultError> {
        let more = self.next_portion()?.is_some();
        Ok(more.then(|| std::mem::take(&mut self.portion)))
    }

    /// Returns the next bytes, at most a few MiB; `None` at the end, once the digest has been found right.
    pub fn next_portion(&mut self) -> Result<Option<&[u8]>, VaultError> {
        self.portion.clear();
        self.used = 0;
        if self.position >= self.content.length {
            let found = self.digest.take().map(|digest| digest.finish(self.content.length));
            let right = found.is_none_or(|found| found == self.content.digest);
            return if right { Ok(None) } else { Err(VaultError::Digest) };
        }
        let extents = self.content.range(self.position, PORTION_BYTES);
        self.assembler.append_portion(&extents, &mut self.portion)?;
        if let Some(digest) = &mut self.digest {
            for leaf in self.portion.chunks(self.content.leaf_bytes as usize) {
                digest.leaf(&self.reader.hasher.leaf(leaf));
            }
        }
        self.position += self.portion.len() as u64;
        Ok(Some(&self.portion))
    }
}

impl Read for ContentReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if self.used == self.portion.len() && self.next_portion().map_err(io::Error::other)?.is_none() {
            return Ok(0);
        }
        let left = &self.portion[self.used..];
        let length = left.len().min(buffer.len());
        buffer[..length].copy_from_slice(&left[..length]);
        self.used += length;
        Ok(length)
    }
}
