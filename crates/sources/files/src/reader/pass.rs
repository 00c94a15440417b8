//! One walk through the tree.

use std::{collections::VecDeque, fs::File, sync::Arc};

use connect::{ChangeSink, ReadEnd, ReadError, SinkError, Stop};
use model::{Item, Layout, StreamName, UnreadableReason};
use rustix::{
    fs::{FileType, Statx},
    io::Errno,
};

use super::{failed, listing_failed, walk_failed};
use crate::{
    Attributes, FilesSettings, Kind, KnownKeys, Pattern,
    batch::{Batch, Entry, Found, Task},
    bytes_of_key,
    cursor::Position,
    key_of_bytes,
    listing::{Fingerprint, KnownEntries, ListingWriter, UNSETTLED, walk_order},
    pool::{Answer, Pool},
    read::{Counted, fill, fingerprint, open, stat},
    settings::stream,
    walk::{Segment, Walk},
};

pub(super) struct Pass<'a> {
    settings: &'a FilesSettings,
    sink: &'a mut dyn ChangeSink,
    stream: StreamName,
    known: KnownEntries,
    position: Position,
    listing: ListingWriter,
    pool: Arc<Pool>,
    batch: Batch,
    in_flight: VecDeque<InFlight>,
    spare: Vec<Vec<u8>>,
    /// Entries changed after this second may change again without a trace in their times.
    settled_before_s: i64,
    /// A folder that cannot be listed: what is known below it stays.
    unlisted: Option<Vec<u8>>,
    last: Vec<u8>,
    since_checkpoint: Counts,
}

#[derive(Default)]
struct Counts {
    enumerated: u64,
    unchanged: u64,
    changes: u64,
    bytes: u64,
}

enum InFlight {
    Ready(Batch),
    Asked(Answer<Batch>),
}

const IN_FLIGHT_MAX: usize = 3;
/// A batch with a large file in it must not make its buffer large for good.
const SPARE_BYTES_MAX: usize = 384 << 10;
/// A commit is made after so many bytes, too.
const CHECKPOINT_BYTES: u64 = 1 << 30;
/// File systems keep times as coarsely as this.
const SETTLING_S: i64 = 2;
const KNOWN_KEYS_PAGE: u32 = 1000;

impl<'a> Pass<'a> {
    pub(super) fn new(
        settings: &'a FilesSettings,
        known: KnownEntries,
        position: Position,
        sink: &'a mut dyn ChangeSink,
    ) -> Result<Self, ReadError> {
        let mut run = [0; 16];
        settings.random.fill(&mut run);
        let run = run.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self {
            sink,
            stream: stream()?,
            known,
            position,
            listing: ListingWriter::create(&settings.state_folder, run).map_err(listing_failed)?,
            pool: Arc::new(Pool::new()),
            batch: Batch::default(),
            in_flight: VecDeque::new(),
            spare: Vec::new(),
            settled_before_s: settings.clock.now().as_micros() / 1_000_000 - SETTLING_S,
            unlisted: None,
            last: Vec::new(),
            since_checkpoint: Counts::default(),
            settings,
        })
    }

    /// Reports what an earlier run stored and is there no more, where no listing tells it.
    pub(super) fn find_gone(&mut self, keys: &KnownKeys) -> Result<(), ReadError> {
        use std::os::unix::ffi::OsStrExt;

        let excludes = self.excludes();
        let mut after: Option<String> = None;
        loop {
            let page = keys(after.as_deref(), KNOWN_KEYS_PAGE)?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.clone());
            for key in page {
                let Some(path) = bytes_of_key(&key) else { continue };
                let full = self.settings.root.join(std::ffi::OsStr::from_bytes(&path));
                let excluded = (1..=path.len())
                    .filter(|end| path.get(*end).is_none_or(|byte| *byte == b'/'))
                    .any(|end| excludes.iter().any(|pattern| pattern.matches(&path[..end])));
                let gone = full.symlink_metadata().is_err_and(|error| {
                    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
                });
                if excluded || gone {
                    self.sink.removed(self.stream.clone(), key)?;
                }
            }
        }
    }

    pub(super) fn run(mut self, stop: &Stop) -> Result<(ReadEnd, Position), ReadError> {
        let root = &self.settings.root;
        let (mut walk, root_stat) = Walk::begin(root, self.excludes(), Arc::clone(&self.pool), stop.clone())
            .map_err(|error| walk_failed(root, error))?;
        self.add(None, b"", &Ok(root_stat), None)?;
        while let Some(segment) = walk.next().map_err(|error| walk_failed(root, error))? {
            if stop.is_requested() {
                break;
            }
            let Segment { folder, names, stats, unlisted } = segment;
            for (number, stat) in stats.iter().enumerate() {
                let unlisted = unlisted.filter(|_| number + 1 == names.len());
                self.add(Some(&folder), names.name(number), stat, unlisted)?;
            }
        }
        if stop.is_requested() {
            self.flush()?;
            self.checkpoint(false)?;
            return Ok((ReadEnd::Stopped, self.position));
        }
        self.catch_up(None)?;
        self.flush()?;
        self.checkpoint(true)?;
        Ok((ReadEnd::UpToDate, self.position))
    }

    fn excludes(&self) -> Vec<Pattern> {
        use std::os::unix::ffi::OsStrExt;

        let root = self.settings.root.canonicalize().unwrap_or_else(|_| self.settings.root.clone());
        let own = self.settings.own_folders.iter().filter_map(|folder| {
            let folder = folder.canonicalize().unwrap_or_else(|_| folder.clone());
            folder.strip_prefix(&root).ok().map(|path| Pattern::exact(path.as_os_str().as_bytes()))
        });
        self.settings.excludes.iter().cloned().chain(own).collect()
    }

    /// Takes the next entry of the walk.
    fn add(
        &mut self,
        folder: Option<&Arc<crate::walk::Folder>>,
        name: &[u8],
        stat: &Result<Statx, Errno>,
        unlisted: Option<Errno>,
    ) -> Result<(), ReadError> {
        let folder_path = folder.map_or(&[][..], |folder| &folder.path);
        let path = crate::walk::join(folder_path, name);
        self.catch_up(Some(&path))?;
        let known = match self.known.peek() {
            Some((known, fingerprint)) if known == path => Some(*fingerprint),
            _ => None,
        };
        if known.is_some() {
            self.known.advance().map_err(listing_failed)?;
        }
        let mut entry = Entry {
            path: 0..0,
            name: 0,
            folder: None,
            task: Task::Bare,
            kind: Kind::Special,
            stat: None,
            fingerprint: UNSETTLED,
            found: Found::Nothing,
        };
        match (stat, unlisted) {
            (Err(error), _) => entry.task = Task::Failed(*error),
            (Ok(_), Some(error)) => {
                self.unlisted = Some(path);
                entry.task = Task::Failed(error);
            }
            (Ok(stat), None) => compare(stat, known, &mut entry),
        }
        (entry.path, entry.name) = self.batch.push_path(folder_path, name);
        if matches!(entry.task, Task::File | Task::Link) {
            entry.folder = folder.map(|folder| self.batch.folder(folder));
            self.batch.must_read = true;
            self.batch.bytes_to_read += entry.size();
        }
        self.push(entry)
    }

    /// Deals with what is known and lies before a path: the walk did not find it.
    fn catch_up(&mut self, until: Option<&[u8]>) -> Result<(), ReadError> {
        while let Some((path, fingerprint)) = self.known.peek() {
            if until.is_some_and(|until| walk_order(path, until).is_ge()) {
                return Ok(());
            }
            let kept = self.unlisted.as_ref().is_some_and(|folder| {
                path.strip_prefix(folder.as_slice()).is_some_and(|rest| rest.starts_with(b"/"))
            });
            let (range, name) = self.batch.push_path(b"", path);
            let entry = Entry {
                path: range,
                name,
                folder: None,
                task: if kept { Task::Kept } else { Task::Removed },
                kind: Kind::Special,
                stat: None,
                fingerprint: *fingerprint,
                found: Found::Nothing,
            };
            self.known.advance().map_err(listing_failed)?;
            self.push(entry)?;
        }
        Ok(())
    }

    fn push(&mut self, entry: Entry) -> Result<(), ReadError> {
        self.batch.entries.push(entry);
        if self.batch.is_full() {
            self.hand_over();
            while self.in_flight.len() > IN_FLIGHT_MAX {
                self.take_next()?;
            }
        }
        Ok(())
    }

    fn hand_over(&mut self) {
        let mut batch = std::mem::take(&mut self.batch);
        batch.content = self.spare.pop().unwrap_or_default();
        self.in_flight.push_back(if batch.must_read {
            InFlight::Asked(self.pool.ask(move || fill(batch)))
        } else {
            InFlight::Ready(batch)
        });
    }

    fn flush(&mut self) -> Result<(), ReadError> {
        self.hand_over();
        while !self.in_flight.is_empty() {
            self.take_next()?;
        }
        Ok(())
    }

    fn take_next(&mut self) -> Result<(), ReadError> {
        let batch = match self.in_flight.pop_front() {
            Some(InFlight::Ready(batch)) => batch,
            Some(InFlight::Asked(answer)) => {
                answer.wait().ok_or_else(|| failed("a reading thread died".to_owned(), None))?
            }
            None => return Ok(()),
        };
        for entry in &batch.entries {
            self.take(&batch, entry)?;
            let counts = &self.since_checkpoint;
            if counts.changes >= self.settings.checkpoint_changes || counts.bytes >= CHECKPOINT_BYTES {
                self.last.clear();
                self.last.extend_from_slice(&batch.text[entry.path.clone()]);
                self.checkpoint(false)?;
            }
        }
        if let Some(entry) = batch.entries.last() {
            self.last.clear();
            self.last.extend_from_slice(&batch.text[entry.path.clone()]);
        }
        // Buffers are used again: they go from thread to thread, and an allocator keeps what each of them once had.
        let mut content = batch.content;
        content.clear();
        content.shrink_to(SPARE_BYTES_MAX);
        self.spare.push(content);
        Ok(())
    }

    fn take(&mut self, batch: &Batch, entry: &Entry) -> Result<(), ReadError> {
        let path = &batch.text[entry.path.clone()];
        match entry.task {
            Task::Unchanged => {
                self.since_checkpoint.unchanged += 1;
                self.since_checkpoint.enumerated += 1;
                self.note(path, &entry.fingerprint)
            }
            Task::Kept => self.note(path, &entry.fingerprint),
            Task::Removed => {
                self.since_checkpoint.changes += 1;
                Ok(self.sink.removed(self.stream.clone(), key(path))?)
            }
            Task::Failed(error) => self.unreadable(path, error),
            Task::Bare => self.store(path, entry, &[]),
            Task::File | Task::Link => match &entry.found {
                Found::Bytes(range) => self.store(path, entry, &batch.content[range.clone()]),
                Found::Failed(error) => self.unreadable(path, *error),
                Found::Large => self.large(batch, entry),
                Found::Nothing => self.unreadable(path, Errno::IO),
            },
        }
    }

    fn store(&mut self, path: &[u8], entry: &Entry, bytes: &[u8]) -> Result<(), ReadError> {
        let Some(stat) = &entry.stat else { return self.unreadable(path, Errno::IO) };
        let changed = entry.fingerprint == UNSETTLED;
        let mut attributes = attributes(entry.kind, stat, changed);
        let mut content = bytes;
        if entry.kind == Kind::Link {
            attributes.target = Some(key_of_bytes(bytes));
            content = &[];
        }
        let item = Item { stream: self.stream.clone(), key: key(path), attributes: attributes.to_text() };
        self.sink.upsert_bytes(item, Layout::Small, content)?;
        self.stored(path, stat, &entry.fingerprint, bytes.len() as u64)
    }

    /// Reads a file that is too large to be held. Where it changed meanwhile it is read once more and marked.
    fn large(&mut self, batch: &Batch, entry: &Entry) -> Result<(), ReadError> {
        let path = &batch.text[entry.path.clone()];
        let name = &path[entry.name..];
        let Some(folder) = entry.folder.map(|number| &batch.folders[number]) else {
            return self.unreadable(path, Errno::IO);
        };
        for changed in [false, true] {
            let opened = open(folder, name).and_then(|file| Ok((stat(&file)?, file)));
            let (before, file) = match opened {
                Ok((before, _))
                    if FileType::from_raw_mode(before.stx_mode.into()) != FileType::RegularFile =>
                {
                    return self.unreadable(path, Errno::NXIO);
                }
                Ok(opened) => opened,
                Err(error) => return self.unreadable(path, error),
            };
            let mut body = Counted { file: File::from(file), bytes: 0 };
            let attributes = attributes(Kind::File, &before, changed).to_text();
            let item = Item { stream: self.stream.clone(), key: key(path), attributes };
            match self.sink.upsert(item, Layout::Blocks, &mut body) {
                Ok(()) => {}
                Err(SinkError::Body { source, .. }) => {
                    let error = source.raw_os_error().map_or(Errno::IO, Errno::from_raw_os_error);
                    return self.unreadable(path, error);
                }
                Err(error) => return Err(error.into()),
            }
            let seen = fingerprint(&before);
            let after = stat(&body.file.into()).map(|after| fingerprint(&after));
            let settled = after == Ok(seen) && body.bytes == before.stx_size;
            if settled || changed {
                let seen = if settled { seen } else { UNSETTLED };
                return self.stored(path, &before, &seen, body.bytes);
            }
            // The first version stays in the commit, and the second one takes its place.
            self.since_checkpoint.enumerated += 1;
            self.since_checkpoint.bytes += body.bytes;
        }
        Ok(())
    }

    fn stored(
        &mut self,
        path: &[u8],
        stat: &Statx,
        fingerprint: &Fingerprint,
        bytes: u64,
    ) -> Result<(), ReadError> {
        self.since_checkpoint.enumerated += 1;
        self.since_checkpoint.changes += 1;
        self.since_checkpoint.bytes += bytes;
        let settled = stat.stx_ctime.tv_sec < self.settled_before_s;
        self.note(path, if settled { fingerprint } else { &UNSETTLED })
    }

    fn unreadable(&mut self, path: &[u8], error: Errno) -> Result<(), ReadError> {
        let detail = std::io::Error::from(error).to_string();
        let reason = match error {
            Errno::NOENT | Errno::NOTDIR => UnreadableReason::Vanished,
            Errno::ACCESS | Errno::PERM => UnreadableReason::Denied { detail },
            _ => UnreadableReason::Failed { detail },
        };
        self.sink.unreadable(self.stream.clone(), key(path), reason)?;
        self.since_checkpoint.enumerated += 1;
        self.since_checkpoint.changes += 1;
        self.note(path, &UNSETTLED)
    }

    fn note(&mut self, path: &[u8], fingerprint: &Fingerprint) -> Result<(), ReadError> {
        self.listing.push(path, fingerprint).map_err(listing_failed)
    }

    /// Ends a commit. A walk that goes on stands behind its last path; for the rest the earlier listings speak.
    fn checkpoint(&mut self, complete: bool) -> Result<(), ReadError> {
        let after = (!complete).then(|| key_of_bytes(&self.last));
        let mark = self.listing.mark(after).map_err(listing_failed)?;
        let mut listings = vec![mark];
        if !complete {
            let further = |known: &&crate::cursor::Known| {
                known.run != listings[0].run
                    && known
                        .after
                        .as_deref()
                        .and_then(bytes_of_key)
                        .is_none_or(|after| walk_order(&after, &self.last).is_gt())
            };
            let earlier: Vec<_> = self.position.listings.iter().filter(further).cloned().collect();
            listings.extend(earlier);
        }
        self.position = Position { listings };
        let Counts { enumerated, unchanged, .. } = std::mem::take(&mut self.since_checkpoint);
        self.sink.unchanged(unchanged)?;
        self.sink.enumerated(enumerated)?;
        Ok(self.sink.checkpoint(&self.position.to_cursor())?)
    }
}

/// Finds out what is to be done with an entry.
fn compare(stat: &Statx, known: Option<Fingerprint>, entry: &mut Entry) {
    entry.fingerprint = fingerprint(stat);
    if known == Some(entry.fingerprint) {
        entry.task = Task::Unchanged;
        return;
    }
    (entry.kind, entry.task) = match FileType::from_raw_mode(stat.stx_mode.into()) {
        FileType::RegularFile => (Kind::File, Task::File),
        FileType::Directory => (Kind::Folder, Task::Bare),
        FileType::Symlink => (Kind::Link, Task::Link),
        _ => (Kind::Special, Task::Bare),
    };
    entry.stat = Some(Box::new(*stat));
}

/// The root has no name; nothing else can be called so.
fn key(path: &[u8]) -> String {
    if path.is_empty() { ".".to_owned() } else { key_of_bytes(path) }
}

fn attributes(kind: Kind, stat: &Statx, changed_while_read: bool) -> Attributes {
    let modified = &stat.stx_mtime;
    Attributes {
        kind,
        mode: u32::from(stat.stx_mode) & 0o7777,
        modified_ns: modified.tv_sec.saturating_mul(1_000_000_000).saturating_add(modified.tv_nsec.into()),
        owner: stat.stx_uid,
        group: stat.stx_gid,
        target: None,
        names: (kind == Kind::File && stat.stx_nlink > 1).then_some(stat.stx_nlink),
        changed_while_read,
    }
}
