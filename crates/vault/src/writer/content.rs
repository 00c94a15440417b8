use model::is_zero;

use super::{CommitWriter, WriteError};
use crate::{
    Content, Extent, Layout, LeafHash,
    base64_text::{self, Run},
    content::{ContentDigest, LEAF_BYTES_MAX, LEAF_BYTES_MIN, push_extent},
    pack::{ChunkKind, FrameShape},
};

/// Takes in the content of one item, piece by piece.
pub struct ContentWriter<'a> {
    commit: &'a mut CommitWriter,
    layout: Layout,
    leaf_bytes: usize,
    partial_leaf: Vec<u8>,
    length: u64,
    digest: ContentDigest,
    extents: Vec<Extent>,
}

/// A difference pays as long as it is mostly zeros.
const DELTA_CHANGED_SHARE_MAX: usize = 2;
/// Shorter pieces between runs of base64 are not looked for: they cost less than an entry in an index.
const SOUGHT_BYTES_MIN: usize = 512;

impl<'a> ContentWriter<'a> {
    pub(super) fn new(commit: &'a mut CommitWriter, layout: Layout) -> Result<Self, WriteError> {
        let bytes = layout.leaf_bytes();
        if !(LEAF_BYTES_MIN..=LEAF_BYTES_MAX).contains(&bytes) || !bytes.is_power_of_two() {
            return Err(WriteError::Unit { bytes });
        }
        let digest = commit.shared().hasher.begin();
        Ok(Self {
            commit,
            layout,
            leaf_bytes: bytes as usize,
            partial_leaf: Vec::new(),
            length: 0,
            digest,
            extents: Vec::new(),
        })
    }

    /// Takes the next bytes, as many as there are.
    pub fn write(&mut self, mut bytes: &[u8]) -> Result<(), WriteError> {
        if !self.partial_leaf.is_empty() {
            let (head, rest) = bytes.split_at(bytes.len().min(self.leaf_bytes - self.partial_leaf.len()));
            self.partial_leaf.extend_from_slice(head);
            bytes = rest;
            if self.partial_leaf.len() < self.leaf_bytes {
                return Ok(());
            }
            let leaf = std::mem::take(&mut self.partial_leaf);
            self.leaf(&leaf)?;
            self.partial_leaf = leaf;
            self.partial_leaf.clear();
        }
        let mut leaves = bytes.chunks_exact(self.leaf_bytes);
        for leaf in &mut leaves {
            self.leaf(leaf)?;
        }
        self.partial_leaf.extend_from_slice(leaves.remainder());
        Ok(())
    }

    /// Takes the next page, given what the page was before and where that is stored: only the difference is kept.
    ///
    /// Where the earlier bytes are themselves a difference, or little is left of them, the page is stored whole.
    pub fn page_delta(&mut self, page: &[u8], earlier: &[u8], stored_at: &Extent) -> Result<(), WriteError> {
        self.check_page(page.len() as u64)?;
        let Extent::Data { place: base, length } = stored_at else { return self.leaf(page) };
        if *length != page.len() as u64 || earlier.len() != page.len() {
            return self.leaf(page);
        }
        let hash = self.commit.shared().hasher.leaf(page);
        if let Some(extent) = self.commit.known().find(&hash.chunk_id()) {
            self.accept(&hash, extent);
            return Ok(());
        }
        let difference: Vec<u8> = page.iter().zip(earlier).map(|(new, old)| new ^ old).collect();
        let changed = difference.iter().filter(|byte| **byte != 0).count();
        if changed == 0 {
            self.accept(&hash, stored_at.clone());
            return Ok(());
        }
        if changed > page.len() / DELTA_CHANGED_SHARE_MAX || is_zero(page) {
            return self.leaf_with(page, &hash);
        }
        let delta = self.commit.add(ChunkKind::Delta(hash.chunk_id()), &difference, self.frame())?;
        let extent = Extent::Delta { delta, base: base.clone(), length: page.len() as u64 };
        self.commit.known().remember(hash.chunk_id(), &extent);
        self.accept(&hash, extent);
        Ok(())
    }

    /// Takes the next page as one that is stored already. The bytes are hashed for the digest, nothing is stored.
    pub fn page_stored(&mut self, page: &[u8], stored_at: &Extent) -> Result<(), WriteError> {
        let hash = self.commit.shared().hasher.leaf(page);
        self.page_stored_hashed(hash, page.len() as u64, stored_at)
    }

    /// Takes the next page as one that is stored already, by its hash, without having its bytes at hand.
    pub fn page_stored_hashed(
        &mut self,
        hash: LeafHash,
        length: u64,
        stored_at: &Extent,
    ) -> Result<(), WriteError> {
        self.check_page(length)?;
        if stored_at.length() != length {
            return Err(WriteError::Page);
        }
        self.accept(&hash, stored_at.clone());
        Ok(())
    }

    /// Takes all of a content at once, without a copy in between.
    pub(super) fn whole(mut self, bytes: &[u8]) -> Result<Content, WriteError> {
        bytes.chunks(self.leaf_bytes).try_for_each(|leaf| self.leaf(leaf))?;
        self.finish()
    }

    /// Returns the content. It is in the vault only once the commit is finished.
    pub fn finish(mut self) -> Result<Content, WriteError> {
        if !self.partial_leaf.is_empty() {
            let leaf = std::mem::take(&mut self.partial_leaf);
            self.leaf(&leaf)?;
        }
        Ok(Content {
            length: self.length,
            leaf_bytes: self.leaf_bytes as u32,
            digest: self.digest.finish(self.length),
            extents: self.extents,
        })
    }

    /// Only the last page may be short, so after a short one no page can follow.
    fn check_page(&self, length: u64) -> Result<(), WriteError> {
        let at_border = self.partial_leaf.is_empty() && self.length.is_multiple_of(self.leaf_bytes as u64);
        if at_border && (1..=self.leaf_bytes as u64).contains(&length) {
            Ok(())
        } else {
            Err(WriteError::Page)
        }
    }

    fn leaf(&mut self, leaf: &[u8]) -> Result<(), WriteError> {
        let hash = self.commit.shared().hasher.leaf(leaf);
        self.leaf_with(leaf, &hash)
    }

    fn leaf_with(&mut self, leaf: &[u8], hash: &LeafHash) -> Result<(), WriteError> {
        if !self.length.is_multiple_of(self.leaf_bytes as u64) {
            return Err(WriteError::Page);
        }
        if matches!(self.layout, Layout::Small) {
            let runs = base64_text::find_runs(leaf);
            if !runs.is_empty() {
                self.digest.leaf(hash);
                return self.text_with_base64(leaf, &runs);
            }
        }
        let length = leaf.len() as u64;
        let searched = !matches!(self.layout, Layout::Stream);
        if searched && is_zero(leaf) {
            self.accept(hash, Extent::Zero { length });
            return Ok(());
        }
        if searched && let Some(extent) = self.commit.known().find(&hash.chunk_id()) {
            self.accept(hash, extent);
            return Ok(());
        }
        let kind = if searched { ChunkKind::Known(hash.chunk_id()) } else { ChunkKind::Plain };
        let place = self.commit.add(kind, leaf, self.frame())?;
        let extent = Extent::Data { place, length };
        if searched {
            self.commit.known().remember(hash.chunk_id(), &extent);
        }
        self.accept(hash, extent);
        Ok(())
    }

    /// Stores what base64 text stands for, and the text between as it is.
    fn text_with_base64(&mut self, text: &[u8], runs: &[Run]) -> Result<(), WriteError> {
        let mut position = 0;
        let mut decoder = std::mem::take(self.commit.run_decoder());
        for run in runs {
            // What would not come back byte for byte stays text.
            let Some(decoded) = decoder.decode(text, run) else { continue };
            self.piece(&text[position..run.start])?;
            let Extent::Data { place, .. } = self.stored(decoded)? else { return Err(WriteError::Page) };
            self.push(Extent::Base64 {
                place,
                decoded_length: run.decoded_length as u64,
                shape: run.shape,
                skip: 0,
                length: run.length as u64,
            });
            position = run.start + run.length;
        }
        *self.commit.run_decoder() = decoder;
        self.piece(&text[position..])
    }

    /// Stores a part of a leaf as it is.
    fn piece(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        if bytes.is_empty() {
            return Ok(());
        }
        let extent = if bytes.len() < SOUGHT_BYTES_MIN {
            let place = self.commit.add(ChunkKind::Plain, bytes, self.frame())?;
            Extent::Data { place, length: bytes.len() as u64 }
        } else {
            self.stored(bytes)?
        };
        self.push(extent);
        Ok(())
    }

    /// Returns where bytes are stored as plain data, and stores them where they are not.
    fn stored(&mut self, bytes: &[u8]) -> Result<Extent, WriteError> {
        let id = self.commit.shared().hasher.leaf(bytes).chunk_id();
        match self.commit.known().find(&id) {
            Some(found @ Extent::Data { length, .. }) if length == bytes.len() as u64 => return Ok(found),
            _ => {}
        }
        let place = self.commit.add(ChunkKind::Known(id), bytes, self.frame())?;
        let extent = Extent::Data { place, length: bytes.len() as u64 };
        self.commit.known().remember(id, &extent);
        Ok(extent)
    }

    fn accept(&mut self, hash: &LeafHash, extent: Extent) {
        self.digest.leaf(hash);
        self.push(extent);
    }

    fn push(&mut self, extent: Extent) {
        self.length += extent.length();
        push_extent(&mut self.extents, extent);
    }

    fn frame(&self) -> FrameShape {
        let options = &self.commit.shared().options;
        let bytes = match self.layout {
            Layout::Pages { .. } => options.page_frame_bytes,
            Layout::Stream | Layout::Small | Layout::Blocks { .. } => options.frame_bytes,
        };
        let level = match self.layout {
            Layout::Small => options.small_compression_level,
            Layout::Pages { .. } | Layout::Stream | Layout::Blocks { .. } => options.compression_level,
        };
        FrameShape { bytes, level }
    }
}
