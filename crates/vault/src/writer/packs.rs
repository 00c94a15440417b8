use std::{
    collections::VecDeque,
    sync::{
        Arc,
        mpsc::{SyncSender, sync_channel},
    },
    thread::JoinHandle,
};

use ports::BlobError;

use super::{Shared, WriteError, pool::PendingFrame};
use crate::{
    content::Place,
    log::PackEntry,
    names,
    pack::{ChunkKind, PackBuilder, SealedPack},
};

/// Turns chunks into stored packs: frames are sealed by the pool, packs are stored by a thread of their own.
pub(crate) struct PackWriter {
    shared: Arc<Shared>,
    builder: Option<PackBuilder>,
    pending: VecDeque<PendingFrame>,
    storage: Storage,
}

enum Storage {
    Inline(Vec<PackEntry>),
    Idle,
    Thread { packs: SyncSender<SealedPack>, thread: JoinHandle<Result<Vec<PackEntry>, BlobError>> },
}

impl PackWriter {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let storage = if shared.options.threads == 0 { Storage::Inline(Vec::new()) } else { Storage::Idle };
        Self { shared, builder: None, pending: VecDeque::new(), storage }
    }

    /// Adds a chunk and returns where it will be.
    pub(crate) fn add(
        &mut self,
        kind: ChunkKind,
        bytes: &[u8],
        frame_bytes_target: usize,
    ) -> Result<Place, WriteError> {
        let full = self.builder.as_ref().is_some_and(|builder| {
            let target_reached = builder.sealed_bytes() >= self.shared.options.pack_bytes_target;
            !builder.is_empty() && (target_reached || !builder.has_room_for(bytes.len()))
        });
        if full {
            self.close()?;
        }
        let builder = match &mut self.builder {
            Some(builder) => builder,
            empty => empty.insert(PackBuilder::new(self.shared.settings(), &*self.shared.random)?),
        };
        let place = builder.add(kind, bytes);
        if builder.open_frame_bytes() >= frame_bytes_target {
            self.cut()?;
        }
        Ok(place)
    }

    /// Ends the open frame, so that what follows is compressed on its own.
    pub(crate) fn cut(&mut self) -> Result<(), WriteError> {
        let Some(frame) = self.builder.as_mut().and_then(PackBuilder::cut) else { return Ok(()) };
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
            builder.append(&frame.wait()?, raw_length);
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), WriteError> {
        self.cut()?;
        while !self.pending.is_empty() {
            self.take_sealed()?;
        }
        match self.builder.take() {
            Some(builder) if !builder.is_empty() => self.store(builder.finish()?),
            _ => Ok(()),
        }
    }

    fn store(&mut self, pack: SealedPack) -> Result<(), WriteError> {
        match &mut self.storage {
            Storage::Inline(entries) => {
                entries.push(store_pack(&self.shared, &pack)?);
                return Ok(());
            }
            Storage::Idle => {
                // No queue: at most one pack is being stored while the next one grows.
                let (packs, incoming) = sync_channel::<SealedPack>(0);
                let shared = Arc::clone(&self.shared);
                let thread = std::thread::spawn(move || {
                    incoming.iter().map(|pack| store_pack(&shared, &pack)).collect()
                });
                self.storage = Storage::Thread { packs, thread };
            }
            Storage::Thread { .. } => {}
        }
        let Storage::Thread { packs, .. } = &self.storage else { return Err(WriteError::Thread) };
        if packs.send(pack).is_ok() {
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

fn store_pack(shared: &Shared, pack: &SealedPack) -> Result<PackEntry, BlobError> {
    let entry = PackEntry { id: pack.id, size_bytes: pack.bytes.len() as u64 };
    shared.vault.store().create(&names::pack(&pack.id)?, &pack.bytes, shared.lock_for_new())?;
    pack.reference.resolve(pack.id);
    Ok(entry)
}
