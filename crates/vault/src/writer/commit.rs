use std::{
    collections::{HashMap, VecDeque},
    io::{ErrorKind, Read},
    sync::Arc,
};

use model::{Event, Item, Ledger, Moment, SourceName, StreamName, UnreadableReason};
use ports::BlobError;
use zeroize::Zeroizing;

use super::{CommitReceipt, ContentWriter, Cursor, KnownChunks, Shared, WriteError, packs::PackWriter};
use crate::{
    Content, Extent, Layout, PackId, PackRef,
    base64_text::RunDecoder,
    content::{PackKey, Place, UnwrittenPack},
    log::{self, BlockBuilder, Change, EncodeError, Envelope, InlineBody, OpenBlock, PackEntry},
    names,
    pack::{ChunkKind, FrameShape},
    retention,
    seal::{BlockKey, Label, Purpose, wrap},
    vault::Head,
};

/// One commit in the making. Dropping it leaves at most packs that nothing refers to.
pub struct CommitWriter {
    shared: Arc<Shared>,
    source: SourceName,
    known: Box<dyn KnownChunks>,
    packs: PackWriter,
    run_decoder: RunDecoder,
    blocks: BlockBuilder,
    waiting: VecDeque<OpenBlock>,
    waiting_bytes: usize,
    body_packs: Option<PackWriter>,
    needed: HashMap<PackKey, PackRef>,
    ledger: Ledger,
    enumerated: Option<u64>,
    /// The raw change blocks so far, where somebody wants to know them.
    kept: Option<Vec<Vec<u8>>>,
    /// Set by the first error: whoever overlooks one still cannot commit half of what was handed over.
    broken: bool,
}

/// A body up to this size travels in the commit; a larger one gets packs.
const INLINE_BODY_BYTES_MAX: usize = 4 << 20;
const READ_BYTES: usize = 1 << 20;

impl CommitWriter {
    pub(super) fn new(shared: Arc<Shared>, source: SourceName, known: Box<dyn KnownChunks>) -> Self {
        Self {
            packs: PackWriter::new(Arc::clone(&shared), shared.unstored(&source)),
            shared,
            source,
            known,
            run_decoder: RunDecoder::default(),
            blocks: BlockBuilder::default(),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            body_packs: None,
            needed: HashMap::new(),
            ledger: Ledger::default(),
            enumerated: None,
            kept: None,
            broken: false,
        }
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    pub(super) fn known(&mut self) -> &mut dyn KnownChunks {
        &mut *self.known
    }

    pub(super) const fn run_decoder(&mut self) -> &mut RunDecoder {
        &mut self.run_decoder
    }

    pub(super) fn add(
        &mut self,
        kind: ChunkKind,
        bytes: &[u8],
        frame: FrameShape,
    ) -> Result<Place, WriteError> {
        let place = self.packs.add(kind, bytes, frame);
        self.broken |= place.is_err();
        place
    }

    /// Begins a content that is handed over piece by piece.
    pub fn content(&mut self, layout: Layout) -> Result<ContentWriter<'_>, WriteError> {
        ContentWriter::new(self, layout)
    }

    /// Stores all that the reader gives.
    pub fn store(&mut self, layout: Layout, reader: &mut dyn Read) -> Result<Content, WriteError> {
        let mut content = self.content(layout)?;
        let mut buffer = vec![0; READ_BYTES];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return content.finish(),
                Ok(length) => content.write(&buffer[..length])?,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(WriteError::Source(e)),
            }
        }
    }

    /// Stores bytes.
    pub fn store_bytes(&mut self, layout: Layout, bytes: &[u8]) -> Result<Content, WriteError> {
        self.content(layout)?.whole(bytes)
    }

    /// Ends the open compression frame, for instance where another kind of item begins.
    pub fn end_frame(&mut self) -> Result<(), WriteError> {
        self.packs.cut()
    }

    /// Ends the pack that grows and begins to store it, for a commit that has to wait before it is finished.
    pub fn end_pack(&mut self) -> Result<(), WriteError> {
        let ended = self.packs.close();
        self.broken |= ended.is_err();
        ended
    }

    /// Notes an item with its content.
    pub fn upsert(&mut self, item: Item, content: Content) -> Result<(), WriteError> {
        for pack in content.extents.iter().flat_map(Extent::packs) {
            self.needed.entry(pack.key()).or_insert_with(|| pack.clone());
        }
        self.ledger.stored += 1;
        self.change(&Change::Upsert { item, content })
    }

    /// Notes that an item is gone.
    pub fn remove(&mut self, stream: StreamName, key: impl Into<String>) -> Result<(), WriteError> {
        self.change(&Change::Removed { stream, key: key.into() })
    }

    /// Notes that an item was listed but could not be read; the commit is then partial.
    pub fn unreadable(&mut self, item: Item, reason: UnreadableReason) -> Result<(), WriteError> {
        self.ledger.unreadable += 1;
        self.change(&Change::Unreadable { item, reason })
    }

    /// Notes an event.
    pub fn event(&mut self, event: Event) -> Result<(), WriteError> {
        self.change(&Change::Event(event))
    }

    /// Counts items that were listed and whose content an earlier commit holds.
    pub fn unchanged(&mut self, count: u64) {
        self.ledger.unchanged += count;
    }

    /// States how many items the source listed; if the counts do not add up to it, the commit fails.
    pub fn enumerated(&mut self, count: u64) {
        self.enumerated = Some(count);
    }

    /// Keeps what [`Self::finish_with_changes`] hands out; must be called before the first change.
    pub fn keep_changes(&mut self) {
        self.kept.get_or_insert_default();
    }

    /// Finishes the commit like [`Self::finish`], and returns its raw change blocks beside the receipt.
    pub fn finish_with_changes(
        mut self,
        cursor: &Cursor,
    ) -> Result<(CommitReceipt, Vec<Vec<u8>>), WriteError> {
        let receipt = self.complete(cursor)?;
        Ok((receipt, self.kept.unwrap_or_default()))
    }

    /// Makes everything durable and locked, and only then appends the commit to the source's log.
    ///
    /// Another writer may have committed in the meantime: this commit then follows that one.
    pub fn finish(mut self, cursor: &Cursor) -> Result<CommitReceipt, WriteError> {
        self.complete(cursor)
    }

    fn complete(&mut self, cursor: &Cursor) -> Result<CommitReceipt, WriteError> {
        if self.broken {
            return Err(WriteError::Broken);
        }
        let ledger = self.balanced_ledger()?;
        let next = self.packs.another();
        let packs = std::mem::replace(&mut self.packs, next).finish()?;
        if let Some(block) = std::mem::take(&mut self.blocks).finish() {
            self.waiting_bytes += block.length();
            self.waiting.push_back(block);
        }
        self.spill()?;
        let body_packs = self.body_packs.take().map(PackWriter::finish).transpose()?.unwrap_or_default();
        let (inline, body) = self.inline_body()?;
        let earlier_packs = self.earlier_packs(&packs)?;
        let envelope = Envelope {
            vault: self.shared.settings().vault,
            source: self.source.clone(),
            sequence: 0,
            previous: Head::NONE.hash,
            signer: self.shared.signer_public,
            vault_time: Moment::from_micros(0),
            locked_until: Moment::from_micros(0),
            retention_days: 0,
            ledger,
            cursor: cursor.0.clone(),
            packs,
            earlier_packs,
            body_packs,
            body: inline,
        };
        self.append(envelope, &body)
    }

    fn change(&mut self, change: &Change) -> Result<(), WriteError> {
        let noted = self.note(change);
        self.broken |= noted.is_err();
        noted
    }

    fn note(&mut self, change: &Change) -> Result<(), WriteError> {
        log::check_change(change)?;
        if let Some(block) = self.blocks.push(change).map_err(|e| encode_error(&e))? {
            self.waiting_bytes += block.length();
            self.waiting.push_back(block);
            self.spill()?;
        }
        Ok(())
    }

    /// Moves change blocks into packs when they have grown too many for the commit itself.
    fn spill(&mut self) -> Result<(), WriteError> {
        if self.body_packs.is_none() && self.waiting_bytes <= INLINE_BODY_BYTES_MAX {
            return Ok(());
        }
        let shared = &self.shared;
        let packs = self.body_packs.get_or_insert_with(|| self.packs.another());
        while let Some(block) = self.waiting.pop_front_if(|block| block.is_ready()) {
            self.waiting_bytes -= block.length();
            let frame = FrameShape { bytes: 1, level: shared.options.compression_level };
            let raw = block.encode().map_err(|e| encode_error(&e))?;
            packs.add(ChunkKind::Plain, &raw, frame)?;
            if let Some(kept) = &mut self.kept {
                kept.push(raw);
            }
        }
        Ok(())
    }

    fn balanced_ledger(&self) -> Result<Ledger, WriteError> {
        let Ledger { stored, unchanged, unreadable, .. } = self.ledger;
        let accounted = stored + unchanged + unreadable;
        match self.enumerated {
            Some(enumerated) if enumerated != accounted => Err(WriteError::Ledger { enumerated, accounted }),
            _ => Ok(Ledger { enumerated: accounted, ..self.ledger }),
        }
    }

    fn inline_body(&mut self) -> Result<(InlineBody, Vec<u8>), WriteError> {
        let settings = self.shared.settings();
        let Shared { random, options, .. } = &*self.shared;
        let mut key = Zeroizing::new([0; 32]);
        random.fill(&mut *key);
        let wrapped = wrap(&settings.vault, Purpose::Commit, &settings.data_recipient, &key, &**random)?;
        let key = BlockKey::new(settings.vault, &key)?;
        let (mut body, mut blocks) = (Vec::new(), 0);
        for block in self.waiting.drain(..) {
            let raw = block.encode().map_err(|e| encode_error(&e))?;
            let sealed = key.seal(Label::Block, blocks, &raw, options.compression_level)?;
            body.extend((sealed.len() as u32).to_le_bytes());
            body.extend(sealed);
            blocks += 1;
            if let Some(kept) = &mut self.kept {
                kept.push(raw);
            }
        }
        let hash = *blake3::hash(&body).as_bytes();
        Ok((InlineBody { blocks, length: body.len() as u64, hash, wrapped }, body))
    }

    fn earlier_packs(&self, new: &[PackEntry]) -> Result<Vec<PackId>, WriteError> {
        let mut earlier =
            self.needed.values().map(|pack| pack.id().ok_or(UnwrittenPack)).collect::<Result<Vec<_>, _>>()?;
        earlier.retain(|id| new.iter().all(|entry| entry.id != *id));
        earlier.sort_unstable();
        earlier.dedup();
        Ok(earlier)
    }

    fn append(&self, mut envelope: Envelope, body: &[u8]) -> Result<CommitReceipt, WriteError> {
        let shared = &self.shared;
        let mut head = shared.head(&self.source)?;
        let mut overtaken_by = 0;
        shared.vault.refresh_keys()?;
        loop {
            let earliest = head.vault_time.map_or(Moment::from_micros(i64::MIN), |time| time.plus_micros(1));
            envelope.vault_time = shared.clock.now().max(earliest);
            envelope.retention_days = shared.lock_days();
            envelope.locked_until = retention::retained_until(envelope.vault_time, envelope.retention_days);
            envelope.sequence = head.sequence + 1;
            shared.check_signer(&self.source, envelope.sequence)?;
            envelope.previous = head.hash;
            self.lock_all(&envelope)?;
            let (bytes, hash) = log::assemble(&envelope, body, &shared.signer)?;
            let name = names::commit(&self.source, envelope.sequence)?;
            match shared.vault.store().create(&name, &bytes, shared.lock_for_new().max(envelope.locked_until))
            {
                Ok(()) => {
                    let own = Head {
                        sequence: envelope.sequence,
                        hash,
                        vault_time: Some(envelope.vault_time),
                        retention_days: envelope.retention_days,
                    };
                    shared.remember_head(&self.source, own);
                    shared.remember_commit(&self.source, own, envelope.previous);
                    return Ok(receipt(envelope, own, bytes.len() as u64, overtaken_by));
                }
                Err(BlobError::Exists { .. }) => {
                    let taken = shared.vault.commit(&self.source, envelope.sequence)?;
                    if taken.envelope.previous != head.hash {
                        let source_name = self.source.clone();
                        return Err(WriteError::Fork { source_name, sequence: envelope.sequence });
                    }
                    head = Head::of(&taken);
                    shared.remember_head(&self.source, head);
                    overtaken_by += 1;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// A commit is acknowledged only when all that it needs is there and locked long enough.
    fn lock_all(&self, envelope: &Envelope) -> Result<(), WriteError> {
        let entries = envelope.packs.iter().chain(&envelope.body_packs).map(|entry| &entry.id);
        for id in entries.chain(&envelope.earlier_packs) {
            match self.shared.ensure_locked(&names::pack(id)?, envelope.locked_until) {
                Err(BlobError::Missing { .. }) => return Err(WriteError::MissingPack { id: *id }),
                other => other?,
            }
        }
        self.shared.ensure_keys_locked(envelope.locked_until)
    }
}

fn receipt(envelope: Envelope, own: Head, commit_bytes: u64, overtaken_by: u32) -> CommitReceipt {
    let mut packs = envelope.packs;
    packs.extend(envelope.body_packs);
    CommitReceipt {
        source: envelope.source,
        sequence: own.sequence,
        hash: own.hash,
        previous: envelope.previous,
        vault_time: envelope.vault_time,
        locked_until: envelope.locked_until,
        new_bytes: packs.iter().map(|pack| pack.size_bytes).sum::<u64>() + commit_bytes,
        packs,
        completeness: envelope.ledger.completeness(),
        ledger: envelope.ledger,
        overtaken_by,
    }
}

fn encode_error(error: &EncodeError) -> WriteError {
    match error {
        EncodeError::Unwritten(unwritten) => (*unwritten).into(),
        EncodeError::TooLarge => WriteError::TooLarge,
    }
}
