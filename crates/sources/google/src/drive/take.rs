//! What to do about files: nothing, their attributes, or their content as well.

use connect::{KnownItem, units::UnitError};

use super::{FileAttributes, FileKind, Files, METADATA_PREFIX, Pass, Place, file_key, wire::DriveFile};

/// How much is asked about a file that may be as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effort {
    /// Nothing, if what it looks like says that it is.
    Compare,
    /// What was said about it, which need not change what it looks like.
    Comments,
    /// Who may do what with it: a folder above it was shared or moved.
    Permissions,
    /// Everything: something of it could not be read before.
    Everything,
}

/// A file with what is held of it.
pub(super) struct Taken {
    pub(super) file: DriveFile,
    /// The attributes that are held.
    pub(super) held: Option<FileAttributes>,
    /// Whether its content is.
    pub(super) has_content: bool,
    /// Whether it was told that reading it failed.
    pub(super) has_failed: bool,
    effort: Effort,
}

impl Taken {
    /// Tells whether nothing happened to the file itself, whatever happened to the folders above it.
    pub(super) fn is_of_held_version(&self) -> bool {
        let held = self.held.as_ref().filter(|_| self.effort != Effort::Everything);
        held.is_some_and(|held| held.version == self.file.attributes.version)
    }
}

/// Returns the key of a file's metadata.
pub(super) fn metadata_key(id: &str) -> String {
    format!("{METADATA_PREFIX}{id}")
}

impl Files {
    /// Puts what a list says of a file into the order in which it is kept.
    pub(super) fn tidy(&self, file: &mut DriveFile) {
        file.permission_ids.sort_unstable();
        file.attributes.sort();
        if matches!(self.place, Place::Shared { .. }) {
            file.attributes.starred = false;
        }
    }

    /// Tells whether a file is as it is held. What lists do not tell is as it was while its version is.
    fn is_settled(&self, file: &DriveFile, held: &FileAttributes, effort: Effort) -> bool {
        let mut now = FileAttributes {
            newest_revision: held.newest_revision.clone(),
            export: held.export.clone(),
            withheld: held.withheld.clone(),
            ..file.attributes.clone()
        };
        match effort {
            Effort::Everything => return false,
            Effort::Permissions if self.place != Place::Owned => return false,
            Effort::Permissions | Effort::Compare | Effort::Comments => {}
        }
        if self.place != Place::Owned {
            let ids: Vec<&str> = held.permissions.iter().map(|own| own.id.as_str()).collect();
            if !file.permission_ids.is_empty() && file.permission_ids != ids {
                return false;
            }
            now.permissions.clone_from(&held.permissions);
        }
        now == *held
    }
}

impl Pass<'_, '_> {
    /// Takes files of this drive as they are now.
    pub(super) fn take(&mut self, files: Vec<DriveFile>, effort: Effort) -> Result<(), UnitError> {
        if files.is_empty() {
            return Ok(());
        }
        self.sink.listed(files.len() as u64)?;
        let stream = &self.files.stream;
        let known = self.sink.known(stream, files.iter().map(|file| file_key(&file.id)).collect())?;
        let bare = files.iter().zip(&known).filter(|(_, known)| is_bare(known.as_ref()));
        let bare = bare.map(|(file, _)| metadata_key(&file.id)).collect();
        let mut metadata = self.sink.known(stream, bare)?.into_iter();
        let (mut changed, mut settled) = (Vec::new(), Vec::new());
        for (mut file, known) in files.into_iter().zip(known) {
            self.files.tidy(&mut file);
            let has_content = known.as_ref().is_some_and(|known| known.has_content);
            let bare = is_bare(known.as_ref());
            let held = if bare { metadata.next().flatten().filter(|known| known.has_content) } else { known };
            let held = held.and_then(|known| FileAttributes::of_text(&known.attributes));
            if held.as_ref().is_some_and(|held| self.files.is_settled(&file, held, effort)) {
                settled.push((file.id, held));
            } else {
                self.hand(&file, held.as_ref());
                // Of what is withheld for good the attributes are held.
                let has_failed = bare && held.is_none();
                changed.push(Taken { file, held, has_content, has_failed, effort });
            }
        }
        self.sink.unchanged(settled.len() as u64)?;
        if effort == Effort::Comments {
            let can_have = |held: &FileAttributes| match held.kind() {
                FileKind::Binary => true,
                FileKind::Editor => held.export.is_some(),
                FileKind::Folder | FileKind::Shortcut => false,
            };
            let commented = settled.into_iter().filter(|(_, held)| held.as_ref().is_some_and(can_have));
            let ids: Vec<String> = commented.map(|(id, _)| id).collect();
            self.read_comments(&ids)?;
        }
        self.store(changed)
    }

    /// Remembers where a file is, and whether it is a folder that did not come from anywhere.
    fn hand(&mut self, file: &DriveFile, held: Option<&FileAttributes>) {
        let folders = file.attributes.parents.iter();
        self.handed.extend(folders.map(|folder| (file.id.clone(), folder.clone())));
        self.gone.remove(&file.id);
        // Of one that the feed names and that lies in a folder that it names, this is told once.
        if is_trashed_now(held, &file.attributes) && self.trashed.insert(file.id.clone()) {
            self.losses.trashed += 1;
        }
        if held.is_none() && file.attributes.kind() == FileKind::Folder {
            self.new_folders.insert(file.id.clone());
        }
    }
}

/// Tells whether a file is known and its content is not.
fn is_bare(known: Option<&KnownItem>) -> bool {
    known.is_some_and(|known| !known.has_content)
}

/// Tells whether a file went into the trash.
fn is_trashed_now(held: Option<&FileAttributes>, now: &FileAttributes) -> bool {
    held.is_some_and(|held| now.trashed && !held.trashed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_outside_of_the_trash_went_into_it() {
        let file = |trashed| FileAttributes { trashed, ..FileAttributes::default() };
        for (held, now) in [(None, true), (Some(true), true), (Some(false), false), (Some(true), false)] {
            assert!(!is_trashed_now(held.map(file).as_ref(), &file(now)));
        }
        assert!(is_trashed_now(Some(&file(false)), &file(true)));
    }
}
