//! Files as a sequence of effects, of which only some are durable.

use std::{
    collections::{BTreeMap, HashMap},
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use ports::{SeededRandom, files};
use rustix::fs::XattrFlags;

use super::strace::{Argument, Call};

type Inode = usize;

const ROOT: Inode = 0;
const SECTOR_BYTES: u64 = 512;
/// Standard output: the driver writes its promises there.
const PROMISES: i64 = 1;

/// What becomes of that which no sync has made durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// All of it is lost.
    Nothing,
    /// All of it has reached the disk.
    All,
    /// Of each effect nothing, all, or a part, drawn from a seed: later ones may be there without earlier ones.
    Some {
        /// The seed.
        seed: u64,
    },
}

#[derive(Debug, Clone)]
enum Effect {
    Data { inode: Inode, offset: u64, bytes: Vec<u8> },
    Size { inode: Inode, bytes: u64 },
    Attribute { inode: Inode, name: String, value: Vec<u8> },
    Mode { inode: Inode, mode: u32 },
    Entry { folder: Inode, name: String, to: Option<Inode> },
    Rename { from: (Inode, String), to: (Inode, String), inode: Inode },
}

struct Logged {
    effect: Effect,
    durable: bool,
}

struct Open {
    inode: Inode,
    offset: u64,
    append: bool,
}

/// A folder as a process has changed it.
pub struct Disk {
    root: PathBuf,
    effects: Vec<Logged>,
    /// Whether each inode is a folder, and the mode it was made with.
    inodes: Vec<(bool, u32)>,
    entries: HashMap<(Inode, String), Inode>,
    sizes: HashMap<Inode, u64>,
    open: HashMap<i64, Open>,
    promises: Vec<String>,
    unsupported: Vec<String>,
}

#[derive(Default)]
struct Content {
    bytes: Vec<u8>,
    attributes: BTreeMap<String, Vec<u8>>,
    mode: Option<u32>,
}

impl Disk {
    /// Begins with an empty folder.
    pub fn new(root: PathBuf) -> Self {
        Self {
            root,
            effects: Vec::new(),
            inodes: vec![(true, 0o755)],
            entries: HashMap::new(),
            sizes: HashMap::new(),
            open: HashMap::new(),
            promises: Vec::new(),
            unsupported: Vec::new(),
        }
    }

    /// Returns what the process has said so far.
    pub fn promises(&self) -> &[String] {
        &self.promises
    }

    /// Returns calls that change files in a way that is not modelled.
    pub fn unsupported(&self) -> &[String] {
        &self.unsupported
    }

    /// Takes a call in; returns whether something was made durable or promised by it.
    pub fn replay(&mut self, call: &Call) -> bool {
        match call.name.as_str() {
            "open" => self.open_file(call, 0),
            "creat" => self.create_file(call),
            "openat" => self.open_file(call, 1),
            "close" => drop(call.number(0).and_then(|descriptor| self.open.remove(&descriptor))),
            "dup" | "dup2" | "dup3" | "fcntl" => self.duplicate(call),
            "lseek" => self.with_open(call, |open, call| open.offset = call.returned as u64),
            "write" | "writev" => return self.write(call, None),
            "pwrite64" | "pwritev" => return self.write(call, call.number(3).or(Some(0))),
            "ftruncate" => self.resize(call, call.number(1)),
            "fallocate" => self.reserve(call),
            "fsync" => return self.sync(call, true),
            "fdatasync" => return self.sync(call, false),
            "rename" => self.rename(call, 0, 1),
            "renameat" | "renameat2" => self.rename(call, 1, 3),
            "link" => self.link(call, 0, 1),
            "linkat" => self.link(call, 1, 3),
            "unlink" | "rmdir" => self.unlink(call, 0),
            "unlinkat" => self.unlink(call, 1),
            "mkdir" => self.make_folder(call, 0),
            "mkdirat" => self.make_folder(call, 1),
            "fchmod" => self.change_mode(call.number(0).and_then(|fd| self.inode_of(fd)), call, 1),
            "chmod" => self.change_mode(call.path(0).and_then(|path| self.find(path)), call, 1),
            "fchmodat" => self.change_mode(call.path(1).and_then(|path| self.find(path)), call, 2),
            "fsetxattr" => self.set_attribute(call.number(0).and_then(|fd| self.inode_of(fd)), call),
            "setxattr" => self.set_attribute(call.path(0).and_then(|path| self.find(path)), call),
            _ => self.note_unsupported(call),
        }
        false
    }

    /// Builds the folder as it could be found after a power cut now.
    pub fn build(&self, image: &Path, fate: Fate) -> io::Result<()> {
        let random = match fate {
            Fate::Some { seed } => Some(SeededRandom::new(seed)),
            Fate::Nothing | Fate::All => None,
        };
        let mut contents: HashMap<Inode, Content> = HashMap::new();
        let mut entries: BTreeMap<(Inode, String), Inode> = BTreeMap::new();
        for Logged { effect, durable } in &self.effects {
            let share = match (durable, fate, &random) {
                (true, ..) | (false, Fate::All, _) => 3,
                (false, _, Some(random)) => random.below(4),
                (false, ..) => 0,
            };
            if share > 0 {
                apply(effect, share, random.as_ref(), &mut contents, &mut entries);
            }
        }
        files::create_scratch(image).map_err(|e| e.source)?;
        self.materialise(ROOT, image, &contents, &entries)
    }

    fn materialise(
        &self,
        folder: Inode,
        path: &Path,
        contents: &HashMap<Inode, Content>,
        entries: &BTreeMap<(Inode, String), Inode>,
    ) -> io::Result<()> {
        for ((_, name), inode) in entries.range((folder, String::new())..(folder + 1, String::new())) {
            let path = path.join(name);
            let (is_folder, mode) = self.inodes[*inode];
            if is_folder {
                fs::create_dir(&path)?;
                self.materialise(*inode, &path, contents, entries)?;
                continue;
            }
            let nothing = Content::default();
            let content = contents.get(inode).unwrap_or(&nothing);
            let mut file = File::create(&path)?;
            file.write_all(&content.bytes)?;
            for (name, value) in &content.attributes {
                rustix::fs::fsetxattr(&file, name.as_str(), value, XattrFlags::empty())?;
            }
            file.set_permissions(fs::Permissions::from_mode(content.mode.unwrap_or(mode)))?;
        }
        Ok(())
    }

    fn log(&mut self, effect: Effect) {
        self.effects.push(Logged { effect, durable: false });
    }

    fn inode_of(&self, descriptor: i64) -> Option<Inode> {
        self.open.get(&descriptor).map(|open| open.inode)
    }

    fn with_open(&mut self, call: &Call, change: impl FnOnce(&mut Open, &Call)) {
        if let Some(open) = call.number(0).and_then(|descriptor| self.open.get_mut(&descriptor)) {
            change(open, call);
        }
    }

    /// Splits a path into the folder that it stands in and its name; `None` outside of our folder.
    fn place(&self, path: &str) -> Option<(Inode, String)> {
        let relative = Path::new(path).strip_prefix(&self.root).ok()?;
        let mut names: Vec<String> =
            relative.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
        let name = names.pop()?;
        let folder =
            names.into_iter().try_fold(ROOT, |folder, name| self.entries.get(&(folder, name)).copied());
        Some((folder?, name))
    }

    fn find(&self, path: &str) -> Option<Inode> {
        if Path::new(path) == self.root {
            return Some(ROOT);
        }
        self.entries.get(&self.place(path)?).copied()
    }

    fn new_inode(&mut self, is_folder: bool, mode: u32) -> Inode {
        self.inodes.push((is_folder, mode));
        self.inodes.len() - 1
    }

    fn open_file(&mut self, call: &Call, path_at: usize) {
        let flags = path_at + 1;
        let Some(path) = call.path(path_at).map(str::to_owned) else { return };
        let mode = octal(call, path_at + 2).unwrap_or(0o644);
        // `O_TMPFILE` makes a file without a name in this folder.
        if call.has_flag(flags, "O_TMPFILE") || call.has_flag(flags, "__O_TMPFILE") {
            if self.find(&path).is_some() {
                let inode = self.new_inode(false, mode);
                self.open.insert(call.returned, Open { inode, offset: 0, append: false });
            }
            return;
        }
        let inode = match (self.find(&path), self.place(&path)) {
            (Some(inode), _) => inode,
            (None, Some((folder, name))) if call.has_flag(flags, "O_CREAT") => {
                let inode = self.new_inode(false, mode);
                self.entries.insert((folder, name.clone()), inode);
                self.log(Effect::Entry { folder, name, to: Some(inode) });
                inode
            }
            _ => return,
        };
        if call.has_flag(flags, "O_TRUNC") && self.sizes.get(&inode).is_some_and(|size| *size > 0) {
            self.sizes.insert(inode, 0);
            self.log(Effect::Size { inode, bytes: 0 });
        }
        let append = call.has_flag(flags, "O_APPEND");
        self.open.insert(call.returned, Open { inode, offset: 0, append });
    }

    fn create_file(&mut self, call: &Call) {
        if call.path(0).and_then(|path| self.place(path)).is_some() {
            self.note_unsupported(call);
        }
    }

    fn duplicate(&mut self, call: &Call) {
        let duplicates =
            call.name != "fcntl" || call.has_flag(1, "F_DUPFD_CLOEXEC") || call.has_flag(1, "F_DUPFD");
        let Some(open) = call.number(0).and_then(|descriptor| self.open.get(&descriptor)) else { return };
        if duplicates {
            let copy = Open { inode: open.inode, offset: open.offset, append: open.append };
            self.open.insert(call.returned, copy);
        }
    }

    fn write(&mut self, call: &Call, at: Option<i64>) -> bool {
        let Some(descriptor) = call.number(0) else { return false };
        let written = call.bytes(1).unwrap_or_default();
        let bytes = written[..written.len().min(call.returned as usize)].to_vec();
        if descriptor == PROMISES && !self.open.contains_key(&PROMISES) {
            let text = String::from_utf8_lossy(&bytes);
            self.promises.extend(text.lines().map(str::to_owned));
            return true;
        }
        let Some(open) = self.open.get_mut(&descriptor) else { return false };
        let inode = open.inode;
        let size = self.sizes.entry(inode).or_default();
        let offset = match at {
            Some(at) => at as u64,
            None if open.append => *size,
            None => open.offset,
        };
        let end = offset + bytes.len() as u64;
        *size = (*size).max(end);
        if at.is_none() {
            open.offset = end;
        }
        self.log(Effect::Data { inode, offset, bytes });
        false
    }

    fn resize(&mut self, call: &Call, bytes: Option<i64>) {
        let inode = call.number(0).and_then(|descriptor| self.inode_of(descriptor));
        if let (Some(inode), Some(bytes)) = (inode, bytes) {
            self.sizes.insert(inode, bytes as u64);
            self.log(Effect::Size { inode, bytes: bytes as u64 });
        }
    }

    fn reserve(&mut self, call: &Call) {
        let inode = call.number(0).and_then(|descriptor| self.inode_of(descriptor));
        let end = call.number(2).zip(call.number(3)).map(|(offset, length)| (offset + length) as u64);
        if let (Some(inode), Some(end)) = (inode, end)
            && self.sizes.get(&inode).copied().unwrap_or(0) < end
        {
            self.sizes.insert(inode, end);
            self.log(Effect::Size { inode, bytes: end });
        }
    }

    fn sync(&mut self, call: &Call, metadata: bool) -> bool {
        let Some(synced) = call.number(0).and_then(|descriptor| self.inode_of(descriptor)) else {
            return false;
        };
        for Logged { effect, durable } in &mut self.effects {
            *durable |= match effect {
                Effect::Data { inode, .. } | Effect::Size { inode, .. } => *inode == synced,
                Effect::Attribute { inode, .. } | Effect::Mode { inode, .. } => metadata && *inode == synced,
                Effect::Entry { folder, .. } => *folder == synced,
                // A rename is one step: it is durable as a whole with either of its folders.
                Effect::Rename { from, to, .. } => from.0 == synced || to.0 == synced,
            };
        }
        true
    }

    fn rename(&mut self, call: &Call, from_at: usize, to_at: usize) {
        let place = |at| call.path(at).and_then(|path| self.place(path));
        let (Some(from), Some(to)) = (place(from_at), place(to_at)) else { return };
        let Some(inode) = self.entries.remove(&from) else { return };
        self.entries.insert(to.clone(), inode);
        self.log(Effect::Rename { from, to, inode });
    }

    fn link(&mut self, call: &Call, from_at: usize, to_at: usize) {
        let Some((folder, name)) = call.path(to_at).and_then(|path| self.place(path)) else { return };
        let source = call.path(from_at).and_then(|path| match path.strip_prefix("/proc/self/fd/") {
            Some(descriptor) => self.inode_of(descriptor.parse().ok()?),
            None => self.find(path),
        });
        match source {
            Some(inode) => {
                self.entries.insert((folder, name.clone()), inode);
                self.log(Effect::Entry { folder, name, to: Some(inode) });
            }
            None => self.note_unsupported(call),
        }
    }

    fn unlink(&mut self, call: &Call, path_at: usize) {
        let Some((folder, name)) = call.path(path_at).and_then(|path| self.place(path)) else { return };
        self.entries.remove(&(folder, name.clone()));
        self.log(Effect::Entry { folder, name, to: None });
    }

    fn make_folder(&mut self, call: &Call, path_at: usize) {
        let Some((folder, name)) = call.path(path_at).and_then(|path| self.place(path)) else { return };
        let inode = self.new_inode(true, 0o755);
        self.entries.insert((folder, name.clone()), inode);
        self.log(Effect::Entry { folder, name, to: Some(inode) });
    }

    fn change_mode(&mut self, inode: Option<Inode>, call: &Call, mode_at: usize) {
        if let (Some(inode), Some(mode)) = (inode, octal(call, mode_at)) {
            self.log(Effect::Mode { inode, mode });
        }
    }

    fn set_attribute(&mut self, inode: Option<Inode>, call: &Call) {
        if let (Some(inode), Some(name), Some(value)) = (inode, call.path(1), call.bytes(2)) {
            let (name, value) = (name.to_owned(), value.to_vec());
            self.log(Effect::Attribute { inode, name, value });
        }
    }

    /// Memory that is shared with a file of ours, or another process, would change files behind the trace's back.
    /// SQLite's index of its log is one: it is made anew after a crash.
    fn note_unsupported(&mut self, call: &Call) {
        let concerns_us = match call.name.as_str() {
            "mmap" => {
                let inode = call.number(4).and_then(|descriptor| self.inode_of(descriptor));
                let mut names = self.entries.iter().filter(|(_, other)| inode == Some(**other));
                call.has_flag(3, "MAP_SHARED")
                    && call.has_flag(2, "PROT_WRITE")
                    && names.any(|((_, name), _)| !name.ends_with("-shm"))
            }
            "sync" | "syncfs" | "sync_file_range" => false,
            _ => true,
        };
        if concerns_us {
            self.unsupported.push(call.to_string());
        }
    }
}

fn octal(call: &Call, at: usize) -> Option<u32> {
    match call.arguments.get(at)? {
        Argument::Word(word) => u32::from_str_radix(word, 8).ok(),
        Argument::Bytes(_) => None,
    }
}

/// Applies an effect: in full with a share of 2 or more; with 1 only the first sectors of what was written.
fn apply(
    effect: &Effect,
    share: u64,
    random: Option<&SeededRandom>,
    contents: &mut HashMap<Inode, Content>,
    entries: &mut BTreeMap<(Inode, String), Inode>,
) {
    match effect {
        Effect::Data { inode, offset, bytes } => {
            let sectors = (bytes.len() as u64).div_ceil(SECTOR_BYTES);
            let length = match random {
                Some(random) if share == 1 => random.below(sectors + 1) * SECTOR_BYTES,
                _ => u64::MAX,
            };
            let bytes = &bytes[..(bytes.len() as u64).min(length) as usize];
            let (start, content) = (*offset as usize, contents.entry(*inode).or_default());
            if !bytes.is_empty() && content.bytes.len() < start + bytes.len() {
                content.bytes.resize(start + bytes.len(), 0);
            }
            if !bytes.is_empty() {
                content.bytes[start..start + bytes.len()].copy_from_slice(bytes);
            }
        }
        Effect::Size { inode, bytes } => {
            contents.entry(*inode).or_default().bytes.resize(*bytes as usize, 0);
        }
        Effect::Attribute { inode, name, value } => {
            contents.entry(*inode).or_default().attributes.insert(name.clone(), value.clone());
        }
        Effect::Mode { inode, mode } => contents.entry(*inode).or_default().mode = Some(*mode),
        Effect::Entry { folder, name, to: Some(inode) } => {
            entries.insert((*folder, name.clone()), *inode);
        }
        Effect::Entry { folder, name, to: None } => drop(entries.remove(&(*folder, name.clone()))),
        Effect::Rename { from, to, inode } => {
            if entries.get(from) == Some(inode) {
                entries.remove(from);
            }
            entries.insert(to.clone(), *inode);
        }
    }
}
