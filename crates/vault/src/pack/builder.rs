use std::sync::Arc;

use ports::Random;
use zeroize::Zeroizing;

use super::{Chunk, ChunkKind, PACK_BYTES_MAX, PackHeader, PackIndex, PackTrailer, TRAILER_BYTES};
use crate::{
    PackId, PackRef, VaultId,
    content::Place,
    seal::{BlockKey, INDEX_NUMBER, Label, Purpose, SealError, sealed_bytes_max, wrap},
};

/// What all packs of a writer have in common.
#[derive(Debug, Clone, Copy)]
pub struct PackSettings {
    /// The vault.
    pub vault: VaultId,
    /// The public half of the data key.
    pub data_recipient: [u8; 32],
    /// The zstd level.
    pub compression_level: i32,
}

/// A pack that grows in memory.
///
/// Frames are cut here and numbered, sealed elsewhere (by `FrameSealer`, on any thread) and given back in order.
pub struct PackBuilder {
    settings: PackSettings,
    key: Arc<BlockKey>,
    reference: PackRef,
    bytes: Vec<u8>,
    index: PackIndex,
    open_frame: Vec<u8>,
    open_level: i32,
    raw_length: u64,
    frames_cut: u32,
    /// Bytes before compression of the frames that were cut and have not come back.
    cut_raw_bytes: usize,
    /// Bytes before compression of the frames that have come back.
    appended_raw_bytes: u64,
}

/// How a chunk's frame is to be: how large before compression, and how hard it is compressed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FrameShape {
    pub(crate) bytes: usize,
    pub(crate) level: i32,
}

/// A frame that was cut and waits to be sealed.
pub(crate) struct Frame {
    pub(crate) raw: Vec<u8>,
    pub(crate) sealer: FrameSealer,
}

/// Seals one frame.
pub(crate) struct FrameSealer {
    key: Arc<BlockKey>,
    number: u32,
    level: i32,
}

/// A finished pack.
pub struct SealedPack {
    /// Its id: the hash of its bytes.
    pub id: PackId,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The reference that extents hold; it is resolved when the pack is stored.
    pub reference: PackRef,
}

/// Room for what is not frames: 22 bytes for each 8 KiB page, and a margin.
const INDEX_RESERVE_BYTES: u64 = 2 << 20;

impl PackBuilder {
    /// Begins a pack under a fresh key.
    pub fn new(settings: PackSettings, random: &dyn Random) -> Result<Self, SealError> {
        Self::in_buffers(settings, random, Vec::new(), Vec::new())
    }

    /// Begins a pack that grows in an empty buffer, and its first frame in another one.
    pub(crate) fn in_buffers(
        settings: PackSettings,
        random: &dyn Random,
        mut bytes: Vec<u8>,
        open_frame: Vec<u8>,
    ) -> Result<Self, SealError> {
        let mut key = Zeroizing::new([0; 32]);
        random.fill(&mut *key);
        let wrapped = wrap(&settings.vault, Purpose::Pack, &settings.data_recipient, &key, random)?;
        bytes.extend(PackHeader { vault: settings.vault, wrapped }.encode());
        Ok(Self {
            settings,
            key: Arc::new(BlockKey::new(settings.vault, &key)?),
            reference: PackRef::unwritten(),
            bytes,
            index: PackIndex::default(),
            open_frame,
            open_level: settings.compression_level,
            raw_length: 0,
            frames_cut: 0,
            cut_raw_bytes: 0,
            appended_raw_bytes: 0,
        })
    }

    /// Adds a chunk to the open frame and returns where it is.
    pub(crate) fn add(&mut self, kind: ChunkKind, bytes: &[u8], level: i32) -> Place {
        self.open_level = level;
        let place = Place { pack: self.reference.clone(), offset: self.raw_length };
        self.open_frame.extend_from_slice(bytes);
        self.raw_length += bytes.len() as u64;
        self.index.push_chunk(Chunk { kind, length: bytes.len() as u32 });
        place
    }

    /// Returns the size of the open frame.
    pub(crate) fn open_frame_bytes(&self) -> usize {
        self.open_frame.len()
    }

    /// Returns whether nothing was added yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.raw_length == 0
    }

    /// Returns the most bytes that the sealed frames can have in the end if the pack is closed now.
    pub(crate) fn bytes_max(&self) -> u64 {
        let index = (self.index.chunks().len() as u64).saturating_mul(22);
        self.bytes.len() as u64 + sealed_bytes_max(self.cut_raw_bytes + self.open_frame.len()) as u64 + index
    }

    /// Returns whether another frame of this size surely fits.
    pub(crate) fn has_room_for(&self, raw_bytes: usize) -> bool {
        self.bytes_max() + raw_bytes as u64 + INDEX_RESERVE_BYTES < PACK_BYTES_MAX
    }

    /// Returns how large the pack will be with all frames that were cut, if those compress like the ones before them.
    pub(crate) fn expected_bytes(&self) -> u64 {
        let (sealed, pending) = (self.bytes.len() as u64, self.cut_raw_bytes as u64);
        if self.appended_raw_bytes == 0 {
            return sealed + pending;
        }
        sealed + (pending * sealed / self.appended_raw_bytes).min(pending)
    }

    /// Cuts the open frame off and goes on in the next buffer; its sealed bytes must come back through [`PackBuilder::append`], in order.
    pub(crate) fn cut(&mut self, next: impl FnOnce() -> Vec<u8>) -> Option<Frame> {
        if self.open_frame.is_empty() {
            return None;
        }
        let raw = std::mem::replace(&mut self.open_frame, next());
        self.cut_raw_bytes += raw.len();
        let number = self.frames_cut;
        self.frames_cut += 1;
        let level = self.open_level;
        Some(Frame { raw, sealer: FrameSealer { key: Arc::clone(&self.key), number, level } })
    }

    /// Takes the buffer of the open frame, which must be empty, before the pack is finished.
    pub(crate) fn take_frame_buffer(&mut self) -> Vec<u8> {
        debug_assert!(self.open_frame.is_empty(), "an open frame would be lost");
        std::mem::take(&mut self.open_frame)
    }

    /// Appends the next sealed frame.
    pub(crate) fn append(&mut self, sealed: &[u8], raw_length: usize) {
        self.cut_raw_bytes -= raw_length.min(self.cut_raw_bytes);
        self.appended_raw_bytes += raw_length as u64;
        self.bytes.extend_from_slice(sealed);
        self.index.push_frame(sealed.len() as u32, raw_length as u32);
    }

    /// Adds the index and the trailer. All frames must have come back.
    pub(crate) fn finish(mut self) -> Result<SealedPack, SealError> {
        let index_offset = self.bytes.len() as u64;
        let level = self.settings.compression_level;
        let index = self.key.seal(Label::Index, INDEX_NUMBER, &self.index.encode(), level)?;
        let index_length = u32::try_from(index.len()).map_err(|_| SealError::Size)?;
        self.bytes.reserve_exact(index.len() + TRAILER_BYTES);
        self.bytes.extend_from_slice(&index);
        self.bytes.extend(PackTrailer { index_offset, index_length }.encode());
        if self.bytes.len() as u64 > PACK_BYTES_MAX {
            return Err(SealError::Size);
        }
        let id = PackId(*blake3::hash(&self.bytes).as_bytes());
        Ok(SealedPack { id, bytes: self.bytes, reference: self.reference })
    }
}

impl FrameSealer {
    pub(crate) fn seal(&self, raw: &[u8], buffer: Vec<u8>) -> Result<Vec<u8>, SealError> {
        self.key.seal_into(Label::Frame, self.number, raw, self.level, buffer)
    }
}
