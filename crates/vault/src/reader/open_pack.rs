use std::ops::Range;

use ports::BlobStore;

use super::pack_error;
use crate::{
    PackId, Vault, VaultError,
    keys::DataKeys,
    names,
    pack::{FrameSpan, HEADER_BYTES, PackError, PackHeader, PackIndex, PackTrailer, TRAILER_BYTES},
    seal::{BLOCK_BYTES_MAX, BlockKey, INDEX_BYTES_MAX, INDEX_NUMBER, Label, Purpose, SealError},
};

/// A pack whose key and frame positions are known.
#[derive(Debug)]
pub struct OpenPack {
    id: PackId,
    key: BlockKey,
    index: PackIndex,
}

impl OpenPack {
    /// Opens a pack; returns its full index beside it, because the pack itself keeps only what reading needs.
    pub(crate) fn open(vault: &Vault, keys: &DataKeys, id: PackId) -> Result<(Self, PackIndex), VaultError> {
        let store = vault.store();
        let name = names::pack(&id)?;
        let wrong = |source| pack_error(&id, source);
        let size = store.head(&name)?.size_bytes;
        let header = PackHeader::parse(&store.read_range(&name, 0, HEADER_BYTES as u64)?)
            .map_err(|e| wrong(e.into()))?;
        if header.vault != vault.manifest().vault {
            return Err(wrong(PackError::OtherVault { found: header.vault }));
        }
        let trailer_offset = size.saturating_sub(TRAILER_BYTES as u64);
        let trailer = store.read_range(&name, trailer_offset, TRAILER_BYTES as u64)?;
        let trailer = PackTrailer::parse(&trailer, size).map_err(|e| wrong(e.into()))?;
        let sealed_index = store.read_range(&name, trailer.index_offset, u64::from(trailer.index_length))?;

        let closed = |source| wrong(PackError::Seal { what: "the index".to_owned(), source });
        let key = keys
            .unwrap(&header.vault, Purpose::Pack, &header.wrapped)
            .map_err(|source| wrong(PackError::Seal { what: "the key".to_owned(), source }))?;
        let key = BlockKey::new(header.vault, &key).map_err(closed)?;
        let raw_index =
            key.open(Label::Index, INDEX_NUMBER, sealed_index, INDEX_BYTES_MAX).map_err(closed)?;
        let index = PackIndex::parse(&raw_index, trailer.index_offset).map_err(|e| wrong(e.into()))?;
        Ok((Self { id, key, index: index.without_chunks() }, index))
    }

    /// Returns the frames in order.
    pub fn frames(&self) -> &[FrameSpan] {
        self.index.frames()
    }

    pub(crate) fn frame_at(&self, raw_offset: u64) -> Result<usize, VaultError> {
        self.index.frame_at(raw_offset).map_err(|source| pack_error(&self.id, source))
    }

    /// Reads and opens neighbouring frames with one read; `buffer` gives the buffers that they are opened into.
    pub(crate) fn read_frames(
        &self,
        store: &dyn BlobStore,
        numbers: Range<usize>,
        mut buffer: impl FnMut() -> Vec<u8>,
    ) -> Result<Vec<Vec<u8>>, VaultError> {
        let frames = &self.frames()[numbers.clone()];
        let (Some(first), Some(last)) = (frames.first(), frames.last()) else { return Ok(Vec::new()) };
        let length = last.sealed_offset + u64::from(last.sealed_length) - first.sealed_offset;
        let mut bytes = store.read_range(&names::pack(&self.id)?, first.sealed_offset, length)?;
        let mut rest = bytes.as_mut_slice();
        let mut opened = Vec::with_capacity(frames.len());
        for (number, frame) in numbers.zip(frames) {
            let what = || format!("frame {number} at byte {}", frame.sealed_offset);
            let closed = |source| pack_error(&self.id, PackError::Seal { what: what(), source });
            let (sealed, after) = rest
                .split_at_mut_checked(frame.sealed_length as usize)
                .ok_or_else(|| closed(SealError::Seal))?;
            rest = after;
            let raw = self
                .key
                .open_into(Label::Frame, number as u32, sealed, BLOCK_BYTES_MAX, buffer())
                .map_err(closed)?;
            if raw.len() != frame.raw_length as usize {
                return Err(closed(SealError::Compression));
            }
            opened.push(raw);
        }
        Ok(opened)
    }
}
