use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use super::{OpenPack, VaultReader, pack_error};
use crate::{Extent, PackId, Place, VaultError, content::UnwrittenPack, pack::PackError};

/// Puts content together from frames, and keeps the frames that it may need again.
pub(crate) struct Assembler<'a> {
    reader: &'a VaultReader,
    frames: HashMap<(PackId, usize), CachedFrame>,
    cached_bytes: usize,
    /// Buffers of frames that were dropped: making them anew costs more than opening a frame.
    spare: Vec<Vec<u8>>,
    turn: u64,
}

struct CachedFrame {
    raw: Vec<u8>,
    used: u64,
}

/// Frames are dropped, least recently used first, when they take more than this.
const CACHE_BYTES_MAX: usize = 12 << 20;
const SPARE_MAX: usize = 16;
/// Neighbouring frames are read together up to this many.
const FRAMES_PER_READ_MAX: usize = 64;

impl<'a> Assembler<'a> {
    pub(crate) fn new(reader: &'a VaultReader) -> Self {
        Self { reader, frames: HashMap::new(), cached_bytes: 0, spare: Vec::new(), turn: 0 }
    }

    /// Appends the bytes of the extents to `target`.
    pub(crate) fn append(&mut self, extents: &[Extent], target: &mut Vec<u8>) -> Result<(), VaultError> {
        for extent in extents {
            // Bounded portions: a long run must not bring all its frames into memory at once.
            let mut position = 0;
            while position < extent.length() {
                let part = extent.part(position, PORTION_BYTES);
                self.prepare(std::slice::from_ref(&part))?;
                self.copy(&part, target)?;
                position += part.length();
            }
        }
        Ok(())
    }

    /// Appends like [`Assembler::append`]; the caller has made sure that the extents are short in sum.
    pub(crate) fn append_portion(
        &mut self,
        extents: &[Extent],
        target: &mut Vec<u8>,
    ) -> Result<(), VaultError> {
        self.prepare(extents)?;
        extents.iter().try_for_each(|extent| self.copy(extent, target))
    }

    fn prepare(&mut self, extents: &[Extent]) -> Result<(), VaultError> {
        self.turn += 1;
        self.evict();
        let mut wanted: BTreeSet<(PackId, usize)> = BTreeSet::new();
        for extent in extents {
            match extent {
                Extent::Zero { .. } => {}
                Extent::Data { place, length } | Extent::Base64 { place, decoded_length: length, .. } => {
                    self.collect(place, *length, &mut wanted)?;
                }
                Extent::Delta { delta, base, length } => {
                    self.collect(delta, *length, &mut wanted)?;
                    self.collect(base, *length, &mut wanted)?;
                }
            }
        }
        let wanted: Vec<_> = wanted.into_iter().collect();
        let neighbours = |a: &(PackId, usize), b: &(PackId, usize)| a.0 == b.0 && a.1 + 1 == b.1;
        for run in wanted.chunk_by(neighbours).flat_map(|run| run.chunks(FRAMES_PER_READ_MAX)) {
            let [(id, first), ..] = run else { continue };
            let pack = self.reader.pack(id)?;
            let spare = || self.spare.pop().unwrap_or_default();
            let store = &**self.reader.vault.store();
            let raws = pack.read_frames(store, *first..*first + run.len(), spare)?;
            for (key, raw) in run.iter().zip(raws) {
                self.cached_bytes += raw.len();
                self.frames.insert(*key, CachedFrame { raw, used: self.turn });
            }
        }
        Ok(())
    }

    fn collect(
        &mut self,
        place: &Place,
        length: u64,
        wanted: &mut BTreeSet<(PackId, usize)>,
    ) -> Result<(), VaultError> {
        let (id, pack) = self.pack(place)?;
        let last = pack.frame_at(place.offset + (length - 1))?;
        for number in pack.frame_at(place.offset)?..=last {
            match self.frames.get_mut(&(id, number)) {
                Some(frame) => frame.used = self.turn,
                None => {
                    wanted.insert((id, number));
                }
            }
        }
        Ok(())
    }

    fn copy(&self, extent: &Extent, target: &mut Vec<u8>) -> Result<(), VaultError> {
        let start = target.len();
        match extent {
            Extent::Zero { length } => target.resize(start + *length as usize, 0),
            Extent::Data { place, length } => {
                self.pieces(place, *length, |piece| target.extend_from_slice(piece))?;
            }
            Extent::Base64 { place, decoded_length, shape, skip, length } => {
                let mut decoded = Vec::with_capacity(*decoded_length as usize);
                self.pieces(place, *decoded_length, |piece| decoded.extend_from_slice(piece))?;
                shape.write(&decoded, *skip, *length, target);
            }
            Extent::Delta { delta, base, length } => {
                self.pieces(base, *length, |piece| target.extend_from_slice(piece))?;
                let mut at = start;
                self.pieces(delta, *length, |piece| {
                    for (byte, difference) in target[at..].iter_mut().zip(piece) {
                        *byte ^= difference;
                    }
                    at += piece.len();
                })?;
            }
        }
        Ok(())
    }

    fn pieces(&self, place: &Place, length: u64, mut each: impl FnMut(&[u8])) -> Result<(), VaultError> {
        let (id, pack) = self.pack(place)?;
        let outside = || pack_error(&id, PackError::Place { offset: place.offset });
        let (mut offset, end) = (place.offset, place.offset + length);
        while offset < end {
            let number = pack.frame_at(offset)?;
            let frame = self.frames.get(&(id, number)).ok_or_else(outside)?;
            let inside = (offset - pack.frames()[number].raw_offset) as usize;
            let wanted = (end - offset).min((frame.raw.len() - inside) as u64) as usize;
            each(&frame.raw[inside..inside + wanted]);
            offset += wanted as u64;
        }
        Ok(())
    }

    fn pack(&self, place: &Place) -> Result<(PackId, Arc<OpenPack>), VaultError> {
        let id = place.pack.id().ok_or(UnwrittenPack)?;
        Ok((id, self.reader.pack(&id)?))
    }

    fn evict(&mut self) {
        if self.cached_bytes <= CACHE_BYTES_MAX {
            return;
        }
        let mut ages: Vec<u64> = self.frames.values().map(|frame| frame.used).collect();
        ages.sort_unstable();
        let median = ages[ages.len() / 2];
        // At least what the last turn did not use goes, so that each call makes room.
        let oldest_kept = (median + 1).min(self.turn);
        for (_, frame) in self.frames.extract_if(|_, frame| frame.used < oldest_kept) {
            if self.spare.len() < SPARE_MAX {
                self.spare.push(frame.raw);
            }
        }
        self.cached_bytes = self.frames.values().map(|frame| frame.raw.len()).sum();
    }
}

const PORTION_BYTES: u64 = 4 << 20;
