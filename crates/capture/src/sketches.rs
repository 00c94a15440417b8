//! What is remembered of each file's newest version, so that the next one can be compared with it.
//!
//! A capturing host cannot read what it stored. A kilobyte of each file beside the journal is enough to tell an edit from
//! encryption. It is a cache: whoever deletes it loses one comparison of each file, and nothing else.
//!
//! A second thread compares, so that storing does not wait for it. It is handed copies of the contents in portions, in
//! the order in which they pass by; a commit waits until it has seen all that the commit holds.

mod comparer;

use std::{
    io::{self, Read},
    path::Path,
    sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    thread::JoinHandle,
};

use connect::{FileItem, FileOf};
use model::{Event, Item, Moment};
use vault::{VaultId, WriteError};

use comparer::{Comparer, Place};

/// A portion is handed over once it has so many bytes, or so many marks.
const PORTION_BYTES: usize = 256 << 10;
const PORTION_MARKS: usize = 1 << 10;
/// So many wait at most: whoever stores faster than is compared is held back.
const PORTIONS_MAX: usize = 4;

/// Contents of files, one after the other, and what is to be done between them.
#[derive(Default)]
struct Portion {
    bytes: Vec<u8>,
    /// Each with how many of the bytes come before it.
    marks: Vec<(usize, Mark)>,
}

/// What is to be done after the bytes before it.
enum Mark {
    /// They were the last of a file, to be compared.
    File(Box<(Look, Moment)>),
    /// There will be no more of a file.
    Abandon,
    Removed(Place),
    /// All of a commit was seen: what is to be told with it is awaited.
    EndBatch(u64),
    /// The commits up to this one are there.
    Keep(u64),
}

/// The files of one source, compared on a thread of their own.
pub(crate) struct Sketches {
    file_of: FileOf,
    filling: Portion,
    portions: Option<SyncSender<Portion>>,
    /// Portions that were seen, to be filled again.
    empty: Receiver<Portion>,
    events: Receiver<Vec<Event>>,
    thread: Option<JoinHandle<()>>,
}

/// A file whose content passes by.
pub(crate) struct Look {
    place: Place,
    file: FileItem,
}

/// Reads a content and lets it be seen.
pub(crate) struct Tee<'a> {
    pub(crate) body: &'a mut dyn Read,
    pub(crate) sketches: &'a mut Sketches,
}

impl Read for Tee<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.body.read(buffer)?;
        self.sketches.see(&buffer[..length]);
        Ok(length)
    }
}

impl Sketches {
    /// Opens the file of what is remembered, or makes it, and starts the thread; a file that belongs to another vault or
    /// is damaged is begun anew.
    pub(crate) fn open(path: &Path, vault: VaultId, file_of: FileOf) -> io::Result<Self> {
        let comparer = Comparer::open(path, vault);
        let (portions, queue) = sync_channel(PORTIONS_MAX);
        let (seen, empty) = channel();
        let (told, events) = channel();
        let thread = std::thread::Builder::new()
            .name("comparer".to_owned())
            .spawn(move || run(comparer, &queue, &seen, &told))?;
        Ok(Self {
            file_of,
            filling: Portion::default(),
            portions: Some(portions),
            empty,
            events,
            thread: Some(thread),
        })
    }

    /// Begins to look at an item, if it is a file.
    pub(crate) fn look(&self, item: &Item) -> Option<Look> {
        let file = (self.file_of)(item)?;
        Some(Look { place: (item.stream.as_str().to_owned(), item.key.clone()), file })
    }

    /// Sees the next bytes of the file that is looked at.
    pub(crate) fn see(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = PORTION_BYTES - self.filling.bytes.len();
            let (now, later) = bytes.split_at(bytes.len().min(room));
            self.filling.bytes.extend_from_slice(now);
            bytes = later;
            if now.len() == room {
                self.hand_over();
            }
        }
    }

    /// Has the file compared with its version before, and remembered.
    pub(crate) fn judge(&mut self, look: Look, now: Moment) {
        self.mark(Mark::File(Box::new((look, now))));
    }

    /// Forgets the bytes of a file that could not be stored.
    pub(crate) fn abandon(&mut self) {
        self.mark(Mark::Abandon);
    }

    /// Forgets a file once the commit is there that says that it is gone; until then it may be found under a new name.
    pub(crate) fn removed(&mut self, stream: &str, key: &str) {
        self.mark(Mark::Removed((stream.to_owned(), key.to_owned())));
    }

    /// Ends the batch of this number; returns what is to be told with it, once everything was compared.
    pub(crate) fn end_batch(&mut self, number: u64) -> Result<Vec<Event>, WriteError> {
        self.mark(Mark::EndBatch(number));
        self.hand_over();
        self.events.recv().map_err(|_| WriteError::Thread)
    }

    /// Remembers what commits hold up to this one. Before that a lost commit would be compared with itself.
    pub(crate) fn keep(&mut self, number: u64) {
        self.mark(Mark::Keep(number));
        self.hand_over();
    }

    fn mark(&mut self, mark: Mark) {
        self.filling.marks.push((self.filling.bytes.len(), mark));
        if self.filling.marks.len() >= PORTION_MARKS {
            self.hand_over();
        }
    }

    fn hand_over(&mut self) {
        let next = self.empty.try_recv().unwrap_or_default();
        let full = std::mem::replace(&mut self.filling, next);
        if self.portions.as_ref().is_some_and(|portions| portions.send(full).is_err()) {
            // The thread died: the end of the batch tells.
            self.portions = None;
        }
    }
}

impl Drop for Sketches {
    fn drop(&mut self) {
        self.portions = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            // The panic was printed by the thread; a batch that was not compared to its end failed with `WriteError::Thread`.
        }
    }
}

fn run(mut comparer: Comparer, queue: &Receiver<Portion>, seen: &Sender<Portion>, told: &Sender<Vec<Event>>) {
    for mut portion in queue {
        let mut at = 0;
        for (end, mark) in portion.marks.drain(..) {
            comparer.see(&portion.bytes[at..end]);
            at = end;
            match mark {
                Mark::File(file) => {
                    let (Look { place, file }, now) = *file;
                    comparer.judge(place, file, now);
                }
                Mark::Abandon => comparer.abandon(),
                Mark::Removed(place) => comparer.removed(place),
                Mark::EndBatch(number) => {
                    if told.send(comparer.end_batch(number)).is_err() {
                        return;
                    }
                }
                Mark::Keep(number) => comparer.keep(number),
            }
        }
        comparer.see(&portion.bytes[at..]);
        portion.bytes.clear();
        // Who filled it may be gone already.
        seen.send(portion).ok();
    }
}
