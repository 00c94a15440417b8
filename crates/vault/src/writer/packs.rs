use std::{
    collections::VecDeque,
    sync::{
        Arc,
        mpsc::{SyncSender, sync_channel},
    },
    thread::JoinHandle,
};

use ports::BlobError;

use super::{
    Shared, WriteError, WriterOptions,
    pool::PendingFrame,
    unstored::{Unstored, UnstoredPack},
};
use crate::{
    content::Place,
    log::PackEntry,
    names,
    pack::{ChunkKind, FrameShape, PackBuilder, SealedPack},
};

/// Turns chunks into stored packs: frames are sealed by the pool, packs are stored by a thread of their own.
pub(crate) struct PackWriter {
    shared: Arc<Shared>,
    unstored: Arc<Unstored>,
    builder: Option<PackBuilder>,
    pending: VecDeque<PendingFrame>,
    storage: Storage,
}

enum Storage {
    Inline(Vec<PackEntry>),
    Idle,
    Thread {
        packs: SyncSender<(SealedPack, UnstoredPack)>,
        thread: JoinHandle<Result<Vec<PackEntry>, BlobError>>,
    },
}

impl PackWriter {
    pub(crate) fn new(shared: Arc<Shared>, unstored: Arc<Unstored>) -> Self {
        let storage = if shared.options.threads == 0 { Storage::Inline(Vec::new()) } else { Storage::Idle };
        Self { shared, unstored, builder: None, pending: VecDeque::new(), storage }
    }

    /// Returns an empty one for the same source.
    pub(crate) fn another(&self) -> Self {
        Self::new(Arc::clone(&self.shared), Arc::clone(&self.unstored))
    }

    /// Adds a chunk and returns where it will be.
    pub(crate) fn add(
        &mut self,
        kind: ChunkKind,
        bytes: &[u8],
        frame: FrameShape,
    ) -> Result<Place, WriteError> {
        let full = self.builder.as_ref().is_some_and(|builder| {
            let target_reached = builder.expected_bytes() >= self.shared.options.pack_bytes_target;
            !builder.is_empty() && (target_reached || !builder.has_room_for(bytes.len()))
        });
        if full {
            self.close()?;
        }
        // A large chunk behind a nearly full frame would make a much larger one, and all buffers grow to the largest.
        let open_bytes = self.builder.as_ref().map_or(0, PackBuilder::open_frame_bytes);
        if open_bytes > 0 && open_bytes + bytes.len() > frame_bytes_max(frame.bytes) {
            self.cut()?;
        }
        let builder = match &mut self.builder {
            Some(builder) => builder,
            empty => {
                self.unstored.wait_for_room();
                let Shared { random, options, pack_buffers, .. } = &*self.shared;
                let bytes = pack_buffers.take(options.pack_bytes_target as usize + PACK_MARGIN_BYTES);
                let frame = frame_buffer(&self.shared);
                empty.insert(PackBuilder::in_buffers(self.shared.settings(), &**random, bytes, frame)?)
            }
        };
        let place = builder.add(kind, bytes, frame.level);
        if builder.open_frame_bytes() >= frame.bytes {
            self.cut()?;
        }
        Ok(place)
    }

    /// Ends the open frame, so that what follows is compressed on its own.
    pub(crate) fn cut(&mut self) -> Result<(), WriteError> {
        let Some(builder) = &mut self.builder else { return Ok(()) };
        let Some(frame) = builder.cut(|| frame_buffer(&self.shared)) else { return Ok(()) };
        self.pending.push_back(self.shared.pool.submit(frame)?);
        while self.pending.len() > self.shared.pool.depth() {
            self.take_sealed()?;
        }
        Ok(())
    }

    /// Stores what is left and returns all packs, in order.
    pub(crate) fn finish(mut self) -> Result<Vec<PackEntry>, WriteError> {
        self.close()?;
        match std::mem::replace(&mut self.storage, Storage::Idle) {
            Storage::Inline(entries) => Ok(entries),
            Storage::Idle => Ok(Vec::new()),
            Storage::Thread { packs, thread } => {
                drop(packs);
                Ok(thread.join().map_err(|_| WriteError::Thread)??)
            }
        }
    }

    fn take_sealed(&mut self) -> Result<(), WriteError> {
        if let (Some(frame), Some(builder)) = (self.pending.pop_front(), &mut self.builder) {
            let raw_length = frame.raw_length;
            let sealed = frame.wait()?;
            builder.append(&sealed, raw_length);
            self.shared.pool.buffers().give(sealed);
        }
        Ok(())
    }

    /// Ends the pack that grows and hands it to storage.
    pub(crate) fn close(&mut self) -> Result<(), WriteError> {
        self.cut()?;
        while !self.pending.is_empty() {
            self.take_sealed()?;
        }
        match self.builder.take() {
            Some(mut builder) if !builder.is_empty() => {
                self.shared.pool.buffers().give(builder.take_frame_buffer());
                self.store(builder.finish()?)
            }
            _ => Ok(()),
        }
    }

    fn store(&mut self, pack: SealedPack) -> Result<(), WriteError> {
        let counted = self.unstored.count();
        match &mut self.storage {
            Storage::Inline(entries) => {
                entries.push(store_pack(&self.shared, pack)?);
                return Ok(());
            }
            Storage::Idle => {
                // No queue: at most one pack is being stored while the next one grows.
                let (packs, incoming) = sync_channel::<(SealedPack, UnstoredPack)>(0);
                let shared = Arc::clone(&self.shared);
                let thread = std::thread::spawn(move || {
                    let store = |(pack, _counted)| store_pack(&shared, pack);
                    incoming.iter().map(store).collect()
                });
                self.storage = Storage::Thread { packs, thread };
            }
            Storage::Thread { .. } => {}
        }
        let Storage::Thread { packs, .. } = &self.storage else { return Err(WriteError::Thread) };
        if packs.send((pack, counted)).is_ok() {
            return Ok(());
        }
        // The thread ended early: it has met an error, and this is it.
        match std::mem::replace(&mut self.storage, Storage::Idle) {
            Storage::Thread { thread, .. } => match thread.join() {
                Ok(Err(error)) => Err(error.into()),
                _ => Err(WriteError::Thread),
            },
            _ => Err(WriteError::Thread),
        }
    }
}

/// What a pack may have beyond its target: its last frames and its index. What is not written to costs no memory.
const PACK_MARGIN_BYTES: usize = 4 << 20;

/// A chunk that would make the open frame larger than this begins another one.
const fn frame_bytes_max(frame_bytes: usize) -> usize {
    frame_bytes.saturating_mul(3) / 2
}

/// Returns an empty buffer that a frame of any layout fits in, unless one chunk is larger.
fn frame_buffer(shared: &Shared) -> Vec<u8> {
    let WriterOptions { frame_bytes, page_frame_bytes, .. } = shared.options;
    shared.pool.buffers().take(frame_bytes_max(frame_bytes.max(page_frame_bytes)))
}

fn store_pack(shared: &Shared, pack: SealedPack) -> Result<PackEntry, BlobError> {
    let entry = PackEntry { id: pack.id, size_bytes: pack.bytes.len() as u64 };
    shared.vault.store().create(&names::pack(&pack.id)?, &pack.bytes, shared.lock_for_new())?;
    pack.reference.resolve(pack.id);
    shared.pack_buffers.give(pack.bytes);
    Ok(entry)
}
