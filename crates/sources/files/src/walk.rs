//! Walks through a tree in order: one thread lists folders, others ask what the entries are.

use std::{
    ffi::CStr,
    mem::MaybeUninit,
    ops::Range,
    os::fd::OwnedFd,
    path::Path,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::JoinHandle,
};

use connect::Stop;
use rustix::{
    fs::{AtFlags, CWD, FileType, Mode, OFlags, RawDir, Statx, StatxFlags},
    io::Errno,
};

use crate::{
    Pattern,
    pool::{Answer, Pool},
};

/// An open folder with its path below the root; the root's is empty.
pub(crate) struct Folder {
    pub(crate) path: Vec<u8>,
    pub(crate) descriptor: OwnedFd,
}

/// Neighbouring entries of one folder, with what `stat` says of each.
pub(crate) struct Segment {
    pub(crate) folder: Arc<Folder>,
    pub(crate) names: Names,
    pub(crate) stats: Vec<Result<Statx, Errno>>,
    /// Why the last entry, a folder, could not be listed.
    pub(crate) unlisted: Option<Errno>,
}

/// Names, each with a zero byte behind it, as the kernel wants them.
#[derive(Default)]
pub(crate) struct Names {
    text: Vec<u8>,
    spans: Vec<(u32, u16, bool)>,
}

struct Pending {
    folder: Arc<Folder>,
    unlisted: Option<Errno>,
    stats: Answer<(Names, Vec<Result<Statx, Errno>>)>,
}

/// The walk: an iterator over segments.
pub(crate) struct Walk {
    pending: Option<Receiver<Pending>>,
    thread: Option<JoinHandle<Result<(), Errno>>>,
}

/// What the walking thread needs.
struct Walker {
    pool: Arc<Pool>,
    excludes: Vec<Pattern>,
    stop: Stop,
    segments: SyncSender<Pending>,
}

const SEGMENTS_AHEAD: usize = 20;
const SEGMENT_NAMES_MAX: usize = 512;
const LISTING_BUFFER_BYTES: usize = 64 << 10;

const FIELDS: StatxFlags = StatxFlags::BASIC_STATS;

impl Names {
    pub(crate) fn push(&mut self, name: &[u8], is_folder: bool) {
        self.spans.push((self.text.len() as u32, name.len() as u16, is_folder));
        self.text.extend_from_slice(name);
        self.text.push(0);
    }

    pub(crate) fn len(&self) -> usize {
        self.spans.len()
    }

    pub(crate) fn name(&self, number: usize) -> &[u8] {
        let (start, length, _) = self.spans[number];
        &self.text[start as usize..start as usize + usize::from(length)]
    }

    fn c_name(&self, number: usize) -> &CStr {
        let (start, length, _) = self.spans[number];
        CStr::from_bytes_with_nul(&self.text[start as usize..=start as usize + usize::from(length)])
            .unwrap_or(c"")
    }

    fn sort(&mut self) {
        let text = &self.text;
        let name = |span: &(u32, u16, bool)| &text[span.0 as usize..span.0 as usize + usize::from(span.1)];
        self.spans.sort_unstable_by(|a, b| name(a).cmp(name(b)));
    }

    fn part(&self, range: Range<usize>) -> Self {
        let mut part = Self::default();
        for number in range {
            part.push(self.name(number), self.spans[number].2);
        }
        part
    }
}

impl Walk {
    /// Opens the root and begins.
    pub(crate) fn begin(
        root: &Path,
        excludes: Vec<Pattern>,
        pool: Arc<Pool>,
        stop: Stop,
    ) -> Result<(Self, Statx), Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let descriptor = rustix::fs::openat(CWD, root, flags, Mode::empty())?;
        let stat = rustix::fs::statx(&descriptor, c"", AtFlags::EMPTY_PATH, FIELDS)?;
        let (segments, pending) = sync_channel(SEGMENTS_AHEAD);
        let root = Arc::new(Folder { path: Vec::new(), descriptor });
        let walker = Walker { pool, excludes, stop, segments };
        let thread = std::thread::spawn(move || {
            let names = walker.list(&root)?;
            walker.folder(&root, &names);
            Ok(())
        });
        Ok((Self { pending: Some(pending), thread: Some(thread) }, stat))
    }

    /// Returns the next segment; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Segment>, Errno> {
        let Some(pending) = self.pending.as_ref().and_then(|pending| pending.recv().ok()) else {
            let ended = self.thread.take().map(JoinHandle::join);
            return match ended {
                Some(Ok(Err(error))) => Err(error),
                Some(Err(_)) => Err(Errno::CANCELED),
                _ => Ok(None),
            };
        };
        let (names, stats) = pending.stats.wait().ok_or(Errno::CANCELED)?;
        Ok(Some(Segment { folder: pending.folder, names, stats, unlisted: pending.unlisted }))
    }
}

impl Drop for Walk {
    fn drop(&mut self) {
        self.pending = None;
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

impl Walker {
    /// Hands out a folder's entries, and those of its folders right behind each. A folder is listed to its end before it is
    /// handed out, so that one that cannot be is known as such and not taken for an empty one.
    fn folder(&self, folder: &Arc<Folder>, names: &Names) -> bool {
        let mut first = 0;
        for number in 0..names.len() {
            let is_folder = names.spans[number].2;
            if !is_folder && number + 1 - first < SEGMENT_NAMES_MAX {
                continue;
            }
            let range = first..number + 1;
            first = number + 1;
            if !is_folder {
                if !self.hand_out(folder, names.part(range), None) {
                    return false;
                }
                continue;
            }
            let flags =
                OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
            let opened = rustix::fs::openat(&folder.descriptor, names.c_name(number), flags, Mode::empty());
            let inner = opened.and_then(|descriptor| {
                let inner = Arc::new(Folder { path: join(&folder.path, names.name(number)), descriptor });
                Ok((self.list(&inner)?, inner))
            });
            let unlisted = inner.as_ref().err().copied();
            if !self.hand_out(folder, names.part(range), unlisted) {
                return false;
            }
            if let Ok((names, inner)) = inner
                && !self.folder(&inner, &names)
            {
                return false;
            }
        }
        first == names.len() || self.hand_out(folder, names.part(first..names.len()), None)
    }

    /// Returns whether anybody still listens.
    fn hand_out(&self, folder: &Arc<Folder>, names: Names, unlisted: Option<Errno>) -> bool {
        let asked = Arc::clone(folder);
        let stats = self.pool.ask(move || {
            let flags = AtFlags::SYMLINK_NOFOLLOW;
            let stat = |number| rustix::fs::statx(&asked.descriptor, names.c_name(number), flags, FIELDS);
            let stats = (0..names.len()).map(stat).collect();
            (names, stats)
        });
        let pending = Pending { folder: Arc::clone(folder), unlisted, stats };
        !self.stop.is_requested() && self.segments.send(pending).is_ok()
    }

    fn list(&self, folder: &Folder) -> Result<Names, Errno> {
        let mut names = Names::default();
        let mut buffer = Vec::new();
        buffer.resize_with(LISTING_BUFFER_BYTES, MaybeUninit::uninit);
        // A descriptor of its own: the place in the list belongs to whoever reads it.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let descriptor = rustix::fs::openat(&folder.descriptor, c".", flags, Mode::empty())?;
        let mut entries = RawDir::new(&descriptor, &mut buffer);
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            if !self.excludes.is_empty() {
                let path = join(&folder.path, name);
                if self.excludes.iter().any(|pattern| pattern.matches(&path)) {
                    continue;
                }
            }
            let is_folder = match entry.file_type() {
                FileType::Directory => true,
                // Some file systems do not tell.
                FileType::Unknown => {
                    let flags = AtFlags::SYMLINK_NOFOLLOW;
                    rustix::fs::statat(&folder.descriptor, entry.file_name(), flags)
                        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
                }
                _ => false,
            };
            names.push(name, is_folder);
        }
        names.sort();
        Ok(names)
    }
}

pub(crate) fn join(folder: &[u8], name: &[u8]) -> Vec<u8> {
    let mut path = Vec::with_capacity(folder.len() + 1 + name.len());
    if !folder.is_empty() {
        path.extend_from_slice(folder);
        path.push(b'/');
    }
    path.extend_from_slice(name);
    path
}
