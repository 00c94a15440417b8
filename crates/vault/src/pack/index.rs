use super::{HEADER_BYTES, PackError};
use crate::{
    ChunkId,
    encoding::{DecodeError, Decoder, Encoder},
    seal::{BLOCK_BYTES_MAX, sealed_bytes_max},
};

/// What a pack holds and where.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PackIndex {
    frames: Vec<FrameSpan>,
    chunks: Vec<Chunk>,
}

/// One frame of a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameSpan {
    /// Where the sealed frame begins in the pack.
    pub sealed_offset: u64,
    /// Its sealed length.
    pub sealed_length: u32,
    /// Where its content begins in the pack's raw space.
    pub raw_offset: u64,
    /// The length of its content.
    pub raw_length: u32,
}

/// One chunk of a pack's raw space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    /// What it is.
    pub kind: ChunkKind,
    /// Its length.
    pub length: u32,
}

/// What a chunk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChunkKind {
    /// Bytes that are never looked for.
    Plain,
    /// A chunk that may be found again by its id.
    Known(ChunkId),
    /// The difference that leads to the content with this id.
    Delta(ChunkId),
}

const KIND_PLAIN: u8 = 0;
const KIND_KNOWN: u8 = 1;
const KIND_DELTA: u8 = 2;

impl PackIndex {
    /// Returns the frames in order.
    pub fn frames(&self) -> &[FrameSpan] {
        &self.frames
    }

    /// Returns the chunks in order; together they cover the raw space.
    pub fn chunks(&self) -> &[Chunk] {
        &self.chunks
    }

    pub(crate) fn without_chunks(&self) -> Self {
        Self { frames: self.frames.clone(), chunks: Vec::new() }
    }

    /// Returns the number of the frame that holds a place of the raw space.
    pub fn frame_at(&self, raw_offset: u64) -> Result<usize, PackError> {
        let after = self.frames.partition_point(|frame| frame.raw_offset <= raw_offset);
        let number = after.checked_sub(1).ok_or(PackError::Place { offset: raw_offset })?;
        let frame = &self.frames[number];
        if raw_offset < frame.raw_offset + u64::from(frame.raw_length) {
            Ok(number)
        } else {
            Err(PackError::Place { offset: raw_offset })
        }
    }

    pub(super) fn push_frame(&mut self, sealed_length: u32, raw_length: u32) {
        let (sealed_offset, raw_offset) = match self.frames.last() {
            Some(last) => (
                last.sealed_offset + u64::from(last.sealed_length),
                last.raw_offset + u64::from(last.raw_length),
            ),
            None => (HEADER_BYTES as u64, 0),
        };
        self.frames.push(FrameSpan { sealed_offset, sealed_length, raw_offset, raw_length });
    }

    pub(super) fn push_chunk(&mut self, chunk: Chunk) {
        // Neighbours that nobody looks for need no entries of their own.
        if let (Some(Chunk { kind: ChunkKind::Plain, length }), ChunkKind::Plain) =
            (self.chunks.last_mut(), chunk.kind)
            && let Some(sum) = length.checked_add(chunk.length)
        {
            *length = sum;
            return;
        }
        self.chunks.push(chunk);
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut encoder = Encoder::new();
        encoder.varint(self.frames.len() as u64);
        for frame in &self.frames {
            encoder.varint(u64::from(frame.sealed_length)).varint(u64::from(frame.raw_length));
        }
        encoder.varint(self.chunks.len() as u64);
        for chunk in &self.chunks {
            let (kind, id) = match &chunk.kind {
                ChunkKind::Plain => (KIND_PLAIN, None),
                ChunkKind::Known(id) => (KIND_KNOWN, Some(id)),
                ChunkKind::Delta(id) => (KIND_DELTA, Some(id)),
            };
            encoder.u8(kind).varint(u64::from(chunk.length));
            if let Some(id) = id {
                encoder.raw(&id.0);
            }
        }
        encoder.into_bytes()
    }

    /// Reads an opened index; `index_offset` is where the sealed frames must end.
    pub fn parse(bytes: &[u8], index_offset: u64) -> Result<Self, DecodeError> {
        let mut decoder = Decoder::new("pack index", bytes);
        let mut index = Self::default();
        let frame_count = decoder.count(2)?;
        index.frames.reserve(frame_count);
        for _ in 0..frame_count {
            let sealed = u32::try_from(decoder.varint()?).map_err(|_| decoder.range())?;
            let raw = u32::try_from(decoder.varint()?).map_err(|_| decoder.range())?;
            let allowed = (1..=BLOCK_BYTES_MAX).contains(&(raw as usize))
                && sealed as usize <= sealed_bytes_max(BLOCK_BYTES_MAX);
            if !allowed {
                return Err(decoder.range());
            }
            index.push_frame(sealed, raw);
        }
        let (sealed_end, raw_end) = index.ends();
        let chunk_count = decoder.count(2)?;
        index.chunks.reserve(chunk_count);
        let mut raw = 0_u64;
        for _ in 0..chunk_count {
            let kind = decoder.u8()?;
            let length = u32::try_from(decoder.varint()?).map_err(|_| decoder.range())?;
            let kind = match kind {
                KIND_PLAIN => ChunkKind::Plain,
                KIND_KNOWN => ChunkKind::Known(ChunkId(decoder.array()?)),
                KIND_DELTA => ChunkKind::Delta(ChunkId(decoder.array()?)),
                _ => return Err(decoder.range()),
            };
            raw += u64::from(length);
            index.chunks.push(Chunk { kind, length });
        }
        decoder.end()?;
        if sealed_end == index_offset && raw_end == raw { Ok(index) } else { Err(decoder.range()) }
    }

    fn ends(&self) -> (u64, u64) {
        self.frames.last().map_or((HEADER_BYTES as u64, 0), |last| {
            (last.sealed_offset + u64::from(last.sealed_length), last.raw_offset + u64::from(last.raw_length))
        })
    }
}
