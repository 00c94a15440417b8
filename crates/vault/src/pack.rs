//! Packs: many frames and their index in one object (format §5).

mod builder;
mod index;

pub(crate) use builder::{Frame, FrameShape};
pub use builder::{PackBuilder, PackSettings, SealedPack};
pub use index::{Chunk, ChunkKind, FrameSpan, PackIndex};

use crate::{
    VaultId,
    encoding::{DecodeError, Decoder, Encoder, VERSION},
    seal::{SealError, WRAPPED_BYTES},
};

/// The largest pack.
pub const PACK_BYTES_MAX: u64 = 64 << 20;
/// The bytes before the first frame.
pub const HEADER_BYTES: usize = 8 + 2 + 2 + 16 + WRAPPED_BYTES;
/// The bytes after the index.
pub const TRAILER_BYTES: usize = 8 + 4 + 8;

const MAGIC: &[u8; 8] = b"UNWPACK\0";
const TAIL_MAGIC: &[u8; 8] = b"UNWTAIL\0";

/// Why a pack cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PackError {
    /// Its bytes do not follow the format.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// A frame or the index does not open.
    #[error("{what} does not open")]
    Seal {
        /// Which part.
        what: String,
        /// Why.
        #[source]
        source: SealError,
    },
    /// It belongs to another vault.
    #[error("the pack belongs to vault {found}")]
    OtherVault {
        /// That vault.
        found: VaultId,
    },
    /// The bytes are not those that the name promises.
    #[error("the pack's bytes do not hash to its name")]
    Digest,
    /// A place lies outside of the pack's raw space.
    #[error("the place {offset} lies outside of the pack")]
    Place {
        /// The place asked for.
        offset: u64,
    },
}

/// The beginning of a pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackHeader {
    /// The vault that the pack belongs to.
    pub vault: VaultId,
    /// The pack's key, wrapped to the data key.
    pub wrapped: [u8; WRAPPED_BYTES],
}

/// The end of a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackTrailer {
    /// Where the index begins.
    pub index_offset: u64,
    /// How long it is.
    pub index_length: u32,
}

impl PackHeader {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut encoder = Encoder::new();
        encoder.raw(MAGIC).u16(VERSION).u16(0).raw(&self.vault.0).raw(&self.wrapped);
        encoder.into_bytes()
    }

    /// Reads the first [`HEADER_BYTES`] of a pack.
    pub fn parse(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut decoder = Decoder::new("pack", bytes);
        decoder.header(MAGIC)?;
        if decoder.u16()? != 0 {
            return Err(decoder.range());
        }
        Ok(Self { vault: VaultId(decoder.array()?), wrapped: decoder.array()? })
    }
}

impl PackTrailer {
    pub(crate) fn encode(self) -> Vec<u8> {
        let mut encoder = Encoder::new();
        encoder.u64(self.index_offset).u32(self.index_length).raw(TAIL_MAGIC);
        encoder.into_bytes()
    }

    /// Reads the last [`TRAILER_BYTES`] of a pack of this size, and checks that they fit it.
    pub fn parse(bytes: &[u8], pack_bytes: u64) -> Result<Self, DecodeError> {
        let mut decoder = Decoder::new("pack trailer", bytes);
        let trailer = Self { index_offset: decoder.u64()?, index_length: decoder.u32()? };
        if &decoder.array::<8>()? != TAIL_MAGIC {
            return Err(DecodeError::Magic { what: "pack trailer" });
        }
        decoder.end()?;
        let end = trailer.index_offset.checked_add(u64::from(trailer.index_length));
        let fits = end.and_then(|end| end.checked_add(TRAILER_BYTES as u64)) == Some(pack_bytes)
            && trailer.index_offset >= HEADER_BYTES as u64
            && pack_bytes <= PACK_BYTES_MAX;
        if fits { Ok(trailer) } else { Err(decoder.range()) }
    }
}

#[cfg(test)]
mod tests;
