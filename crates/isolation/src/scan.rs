//! Looking for credentials in files, folders, environments of processes: bounded, and never by opening what is no file.

use std::{
    collections::HashSet,
    fs::{File, Metadata, OpenOptions},
    io::Read,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use connect::Progress;
use rustix::fs::OFlags;

use crate::{
    Credential, Recognised,
    own::{Owned, Power},
    parse, recognise,
};

/// How much is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of one file; the rest of it is not looked at, and that is said.
    pub file_bytes: u64,
    /// Files in all.
    pub files: u64,
    /// Folders within folders.
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { file_bytes: 8 << 20, files: 50_000, depth: 24 }
    }
}

/// A secret of the vault's that production has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// What it is.
    pub what: String,
    /// What its holder can do.
    pub power: Power,
    /// Where it was found.
    pub found: String,
}

/// Something that was not looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Where.
    pub path: String,
    /// Why.
    pub why: String,
}

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct Looked {
    /// The credentials.
    pub credentials: Vec<Credential>,
    /// Secrets of the vault's among them, or anywhere in the bytes.
    pub held: Vec<Held>,
    /// How many files and environments were looked at.
    pub places: u64,
    /// What was not looked at.
    pub skipped: Vec<Skipped>,
    /// Folders of unwipe's own that lie inside of what production has.
    pub inside: Vec<PathBuf>,
}

/// Looks, and remembers what was looked at.
pub struct Scanner<'a> {
    owned: &'a Owned,
    /// Folders of unwipe's own: not looked into.
    own_folders: &'a [PathBuf],
    progress: &'a dyn Progress,
    limits: Limits,
    seen: HashSet<(u64, u64)>,
    looked: Looked,
}

/// Of what was skipped for one reason no more is remembered than this.
const SKIPPED_MAX: usize = 1000;
/// A file with a zero byte at its beginning is none of letters.
const BINARY_LOOK_BYTES: usize = 8 << 10;

impl<'a> Scanner<'a> {
    /// Makes a scanner that knows the vault's own secrets.
    pub fn new(
        owned: &'a Owned,
        own_folders: &'a [PathBuf],
        limits: Limits,
        progress: &'a dyn Progress,
    ) -> Self {
        progress.counted_phase("looking for credentials", None);
        Self { owned, own_folders, progress, limits, seen: HashSet::new(), looked: Looked::default() }
    }

    /// Returns what was found.
    pub fn finish(self) -> Looked {
        self.looked
    }

    /// Looks into one file; what it says of further files is followed once.
    pub fn file(&mut self, path: &Path) {
        for reference in self.one_file(path) {
            self.one_file(Path::new(&reference));
        }
    }

    /// Looks into a file if there is one.
    pub fn file_if_any(&mut self, path: &Path) {
        if path.symlink_metadata().is_ok() {
            self.file(path);
        }
    }

    /// Looks into all files of a folder. Links to folders are not followed; each file is looked at once.
    pub fn folder(&mut self, path: &Path) {
        let path = &std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let inside = self.own_folders.iter().filter(|own| own.starts_with(path));
        self.looked.inside.extend(inside.cloned());
        self.walk(path, 0);
    }

    fn walk(&mut self, folder: &Path, depth: usize) {
        if self.own_folders.iter().any(|own| folder == own) {
            return self.skip(folder, &"it is unwipe's own");
        }
        if depth > self.limits.depth {
            return self.skip(folder, &format!("it is more than {} folders deep", self.limits.depth));
        }
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => return self.skip(folder, &error),
        };
        for entry in entries {
            if self.looked.places >= self.limits.files {
                return self.skip(folder, &format!("more than {} files", self.limits.files));
            }
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    self.skip(folder, &error);
                    continue;
                }
            };
            let path = entry.path();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => self.walk(&path, depth + 1),
                Ok(_) => {
                    self.one_file(&path);
                }
                Err(error) => self.skip(&path, &error),
            }
        }
    }

    /// Looks into an environment whose names and values are at hand.
    pub fn environment<'v>(
        &mut self,
        variables: impl IntoIterator<Item = (&'v str, &'v str)>,
        found: &str,
        holder: Option<u32>,
    ) {
        let variables: Vec<(&str, &str)> = variables.into_iter().collect();
        for (name, value) in &variables {
            self.hold(value.as_bytes(), &format!("{found}: {name}"));
        }
        let recognised = parse::recognise_environment(variables, found, holder);
        for reference in self.take(recognised, found) {
            self.file_if_any(Path::new(&reference));
        }
    }

    /// Looks into the environment of a running process.
    pub fn process(&mut self, process: u32) {
        let path = PathBuf::from(format!("/proc/{process}/environ"));
        let found = format!("the environment of process {process}");
        let Some((bytes, metadata)) = self.read(&path) else { return };
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let variables = text.split('\0').filter_map(|variable| variable.split_once('='));
        self.environment(variables, &found, Some(metadata.uid()));
    }

    /// Takes a credential that was given itself.
    pub fn given(&mut self, recognised: Recognised, found: &str) {
        drop(self.take(recognised, found));
    }

    fn one_file(&mut self, path: &Path) -> Vec<String> {
        if self.own_folders.iter().any(|own| path.starts_with(own)) {
            let resolved = "it is unwipe's own";
            self.skip(path, &resolved);
            return Vec::new();
        }
        let Some((bytes, metadata)) = self.read(path) else { return Vec::new() };
        let found = path.display().to_string();
        self.hold(&bytes, &found);
        if bytes.iter().take(BINARY_LOOK_BYTES).any(|byte| *byte == 0) {
            // The vault's own secrets were looked for; there are no names to look at.
            self.skip(path, &"it holds no text");
            return Vec::new();
        }
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let recognised = recognise(name, &bytes, &found, Some(metadata.uid()));
        self.take(recognised, &found)
    }

    /// Remembers the vault's own secrets that are in a text.
    fn hold(&mut self, text: &[u8], found: &str) {
        for own in self.owned.inside(text) {
            let held = Held { what: own.what.clone(), power: own.power, found: found.to_owned() };
            if !self.looked.held.contains(&held) {
                self.looked.held.push(held);
            }
        }
    }

    fn take(&mut self, recognised: Recognised, found: &str) -> Vec<String> {
        self.looked.places += 1;
        self.progress.advance(1);
        for remark in recognised.remarks {
            self.skip(Path::new(found), &remark);
        }
        for credential in recognised.credentials {
            for own in self.owned.of(&credential) {
                let held = Held { what: own.what.clone(), power: own.power, found: credential.found.clone() };
                let known = self
                    .looked
                    .held
                    .iter()
                    .any(|known| known.what == held.what && held.found.starts_with(known.found.as_str()));
                if !known {
                    self.looked.held.push(held);
                }
            }
            self.looked.credentials.push(credential);
        }
        recognised.references
    }

    /// Reads the beginning of a regular file, once; anything else is skipped and said.
    fn read(&mut self, path: &Path) -> Option<(Vec<u8>, Metadata)> {
        match self.open(path) {
            Ok(Some((file, metadata))) => {
                let mut bytes = Vec::new();
                match file.take(self.limits.file_bytes).read_to_end(&mut bytes) {
                    Ok(_) => {
                        if metadata.len() > self.limits.file_bytes {
                            let why = format!("only its first {} bytes", self.limits.file_bytes);
                            self.skip(path, &why);
                        }
                        Some((bytes, metadata))
                    }
                    Err(error) => {
                        self.skip(path, &error);
                        None
                    }
                }
            }
            Ok(None) => None,
            Err(error) => {
                self.skip(path, &error);
                None
            }
        }
    }

    fn open(&mut self, path: &Path) -> std::io::Result<Option<(File, Metadata)>> {
        // Looked at first: opening a pipe would wait, opening a device may do anything.
        let before = path.metadata()?;
        if !before.is_file() {
            self.skip(path, &"it is no regular file");
            return Ok(None);
        }
        let flags = OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            self.skip(path, &"it is no regular file");
            return Ok(None);
        }
        if !self.seen.insert((metadata.dev(), metadata.ino())) {
            return Ok(None);
        }
        Ok(Some((file, metadata)))
    }

    fn skip(&mut self, path: &Path, why: &dyn std::fmt::Display) {
        if self.looked.skipped.len() < SKIPPED_MAX {
            let skipped = Skipped { path: path.display().to_string(), why: why.to_string() };
            self.looked.skipped.push(skipped);
        }
    }
}

#[cfg(test)]
mod tests;
