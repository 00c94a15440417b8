//! Who may read, change and remove files: from owners, modes, access lists and flags, as a kernel decides it.

use std::{
    fs::{File, Metadata},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use rustix::fs::{IFlags, ioctl_getflags};

use crate::system::User;

/// What is known of one file or folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Where it is.
    pub path: PathBuf,
    /// Whether it is a folder.
    pub folder: bool,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Its mode: twelve bits.
    pub mode: u32,
    /// Its access list beyond the mode; empty where there is none.
    pub list: Vec<Entry>,
    /// Whether the file system refuses every change; `None` where nobody could look.
    pub immutable: Option<bool>,
}

/// One line of an access list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// A named user with three bits.
    User(u32, u32),
    /// A named group with three bits.
    Group(u32, u32),
    /// The owning group's three bits; the mode shows the mask in their place.
    OwningGroup(u32),
    /// What named users and all groups can have at most.
    Mask(u32),
}

const READ: u32 = 4;
const WRITE: u32 = 2;
const STICKY: u32 = 0o1000;
const ROOT: u32 = 0;

/// Reads the access list in its binary form; what is no such list is empty.
pub fn access_list(bytes: &[u8]) -> Vec<Entry> {
    const VERSION: u32 = 2;
    let Some((head, entries)) = bytes.split_first_chunk::<4>() else { return Vec::new() };
    if u32::from_le_bytes(*head) != VERSION {
        return Vec::new();
    }
    let (chunks, _) = entries.as_chunks::<8>();
    let entry = |[tag_low, tag_high, bits_low, bits_high, a, b, c, d]: &[u8; 8]| {
        let bits = u32::from(u16::from_le_bytes([*bits_low, *bits_high]));
        let id = u32::from_le_bytes([*a, *b, *c, *d]);
        match u16::from_le_bytes([*tag_low, *tag_high]) {
            0x02 => Some(Entry::User(id, bits)),
            0x04 => Some(Entry::OwningGroup(bits)),
            0x08 => Some(Entry::Group(id, bits)),
            0x10 => Some(Entry::Mask(bits)),
            _ => None,
        }
    };
    chunks.iter().filter_map(entry).collect()
}

impl Facts {
    /// Looks at a path of this machine, without following a link.
    pub fn of(path: &Path) -> std::io::Result<Self> {
        let metadata = path.symlink_metadata()?;
        Ok(Self::from_metadata(path, &metadata))
    }

    fn from_metadata(path: &Path, metadata: &Metadata) -> Self {
        let mut bytes = [0_u8; 4096];
        let list = rustix::fs::lgetxattr(path, "system.posix_acl_access", &mut bytes)
            .map_or_else(|_| Vec::new(), |length| access_list(&bytes[..length]));
        let regular = metadata.is_file() || metadata.is_dir();
        let immutable = if regular {
            let flags = File::open(path).and_then(|file| Ok(ioctl_getflags(&file)?));
            match flags {
                Ok(flags) => Some(flags.contains(IFlags::IMMUTABLE)),
                Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => None,
                // The file system knows no flags.
                Err(_) => Some(false),
            }
        } else {
            Some(false)
        };
        Self {
            path: path.to_owned(),
            folder: metadata.is_dir(),
            uid: metadata.uid(),
            gid: metadata.gid(),
            mode: metadata.mode() & 0o7777,
            list,
            immutable,
        }
    }

    /// Says why a user has all of these bits; `None` when not. Flags are not looked at here.
    fn grants(&self, user: &User, bits: u32) -> Option<String> {
        let has = |granted: u32| granted & bits == bits;
        let mask = self.list.iter().find_map(|entry| match entry {
            Entry::Mask(bits) => Some(*bits),
            _ => None,
        });
        let masked = |granted: u32| granted & mask.unwrap_or(7);
        if user.uid == ROOT {
            return Some("root may do everything".to_owned());
        }
        if user.uid == self.uid {
            // Whatever the mode says: an owner may change it.
            return Some("its owner".to_owned());
        }
        let named = self.list.iter().find_map(|entry| match entry {
            Entry::User(uid, bits) if *uid == user.uid => Some(*bits),
            _ => None,
        });
        if let Some(granted) = named {
            return has(masked(granted)).then(|| "an access list names it".to_owned());
        }
        let owning = self.list.iter().find_map(|entry| match entry {
            Entry::OwningGroup(bits) => Some(*bits),
            _ => None,
        });
        let owning = owning.map_or(self.mode >> 3 & 7, masked);
        let mut in_group = user.gids.contains(&self.gid);
        if in_group && has(owning) {
            return Some(format!("its group {} may", self.gid));
        }
        for entry in &self.list {
            if let Entry::Group(gid, granted) = entry
                && user.gids.contains(gid)
            {
                in_group = true;
                if has(masked(*granted)) {
                    return Some(format!("an access list names its group {gid}"));
                }
            }
        }
        (!in_group && has(self.mode & 7)).then(|| "everybody may".to_owned())
    }

    /// Tells whether a flag stands in the user's way; root can take it off.
    fn held_by_flag(&self, user: &User) -> bool {
        self.immutable == Some(true) && user.uid != ROOT
    }
}

/// What is known of a vault's folder.
#[derive(Debug, Clone, Default)]
pub struct Survey {
    /// The folders above it, the nearest first.
    pub above: Vec<Facts>,
    /// The folder and what is in it; no more than were asked for.
    pub inside: Vec<Facts>,
    /// Whether there is more inside than was looked at.
    pub more: bool,
    /// What could not be looked at.
    pub unseen: Vec<String>,
}

impl Survey {
    /// Looks at a folder, at what is in it, and at the folders above it.
    pub fn of(folder: &Path, entries_max: usize) -> Self {
        let mut survey = Self::default();
        for above in folder.ancestors().skip(1) {
            match Facts::of(above) {
                Ok(facts) => survey.above.push(facts),
                Err(error) => survey.unseen.push(format!("{}: {error}", above.display())),
            }
        }
        let mut waiting = vec![folder.to_owned()];
        while let Some(path) = waiting.pop() {
            if survey.inside.len() >= entries_max {
                survey.more = true;
                break;
            }
            match Facts::of(&path) {
                Ok(facts) => {
                    if facts.folder {
                        match std::fs::read_dir(&path) {
                            // Folders decide the most: what is deepest comes last.
                            Ok(entries) => {
                                let names = entries.filter_map(|entry| Some(entry.ok()?.path()));
                                waiting.splice(0..0, names.take(entries_max));
                            }
                            Err(error) => survey.unseen.push(format!("{}: {error}", path.display())),
                        }
                    }
                    survey.inside.push(facts);
                }
                Err(error) => survey.unseen.push(format!("{}: {error}", path.display())),
            }
        }
        survey
    }

    /// Says how a user could remove or change something, one reason for each way; empty when there is none.
    pub fn ways_to_destroy(&self, user: &User) -> Vec<String> {
        let mut ways = Vec::new();
        // Whoever may write in a folder removes what is in it, or moves the vault out of the way.
        let mut child: Option<&Facts> = self.inside.first();
        for above in &self.above {
            let way = above.grants(user, WRITE | 1).filter(|_| !above.held_by_flag(user));
            let sticky = above.mode & STICKY != 0 && above.uid != user.uid && user.uid != ROOT;
            let spared = sticky && child.is_some_and(|child| child.uid != user.uid);
            let child_held = child.is_some_and(|child| child.held_by_flag(user));
            if let Some(why) = way.filter(|_| !spared && !child_held) {
                ways.push(format!("move what is in {}: {why}", above.path.display()));
                break;
            }
            child = Some(above);
        }
        let folder =
            self.inside.iter().filter(|facts| facts.folder && !facts.held_by_flag(user)).find_map(|facts| {
                let why = facts.grants(user, WRITE | 1)?;
                let removable = self
                    .inside
                    .iter()
                    .any(|inside| inside.path.parent() == Some(&facts.path) && !inside.held_by_flag(user));
                removable.then(|| format!("remove what is in {}: {why}", facts.path.display()))
            });
        let file =
            self.inside.iter().filter(|facts| !facts.folder && !facts.held_by_flag(user)).find_map(|facts| {
                Some(format!("write {}: {}", facts.path.display(), facts.grants(user, WRITE)?))
            });
        ways.extend(folder);
        ways.extend(file);
        ways
    }

    /// Says how a user could read a file; `None` when not.
    pub fn way_to_read(&self, user: &User) -> Option<String> {
        let mut files = self.inside.iter().filter(|facts| !facts.folder);
        files.find_map(|facts| Some(format!("{}: {}", facts.path.display(), facts.grants(user, READ)?)))
    }

    /// Tells whether flags hold back whoever is not root, and on how many of the files looked at.
    pub fn flags(&self) -> (usize, usize) {
        let files = self.inside.iter().filter(|facts| !facts.folder);
        let flagged = files.clone().filter(|facts| facts.immutable == Some(true)).count();
        (flagged, files.count())
    }
}

#[cfg(test)]
mod tests;
