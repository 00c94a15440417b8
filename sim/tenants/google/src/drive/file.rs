//! A file: everything that is known of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use model::Moment;
use serde_json::Value;

use super::{blob::Blob, comments::Comment, document::Document, kind::Kind, permission::Permission};
use crate::{stream::Source, text};

/// An id of a file, of a user or of a shared drive.
pub(crate) type Id = Arc<str>;

/// A file, a folder, a shortcut, or the top folder of a drive.
#[derive(Debug, Clone)]
pub(crate) struct File {
    pub(crate) id: Id,
    /// Counts up with every file that is made; lists are in this order, newest first.
    pub(crate) number: u64,
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) media_type: String,
    /// The folder; none for the top folder of a drive, and for what has lost its folder.
    pub(crate) parent: Option<Id>,
    /// The shared drive, whose id is also that of its top folder.
    pub(crate) drive: Option<Id>,
    /// The owner; in a shared drive whoever made it.
    pub(crate) owner: Id,
    pub(crate) created: Moment,
    pub(crate) modified: Moment,
    pub(crate) modified_by: Id,
    /// Counts up with every change.
    pub(crate) version: u64,
    /// Since when it is in the trash itself, and who put it there.
    pub(crate) trashed: Option<(Moment, Id)>,
    pub(crate) permissions: Vec<Permission>,
    /// Contents, oldest first; the last one is what the file is now.
    pub(crate) revisions: Vec<Revision>,
    pub(crate) comments: Vec<Comment>,
    /// What a shortcut leads to: id and media type.
    pub(crate) target: Option<(Id, String)>,
    pub(crate) traits: Traits,
}

/// What else can be written to a file.
#[expect(clippy::struct_excessive_bools, reason = "each is a field of the vendor's resource")]
#[derive(Debug, Clone, Default)]
pub(crate) struct Traits {
    pub(crate) description: Option<String>,
    pub(crate) starred_by: BTreeSet<Id>,
    pub(crate) properties: BTreeMap<String, String>,
    pub(crate) app_properties: BTreeMap<String, String>,
    pub(crate) colour: Option<String>,
    pub(crate) original_filename: Option<String>,
    pub(crate) copy_requires_writer: bool,
    pub(crate) writers_cannot_share: bool,
    pub(crate) inheritance_disabled: bool,
    /// Content restrictions as they are shown.
    pub(crate) restrictions: Vec<Value>,
    /// Nobody may download it, by a rule of the domain.
    pub(crate) download_refused: bool,
    /// It was found to be malware or the like.
    pub(crate) abusive: bool,
}

/// What a file was at some time.
#[expect(clippy::struct_excessive_bools, reason = "each is a field of the vendor's resource")]
#[derive(Debug, Clone)]
pub(crate) struct Revision {
    pub(crate) id: String,
    pub(crate) modified: Moment,
    pub(crate) modified_by: Id,
    pub(crate) content: Content,
    pub(crate) media_type: String,
    pub(crate) original_filename: Option<String>,
    pub(crate) keep_forever: bool,
    pub(crate) published: bool,
    pub(crate) publish_auto: bool,
    pub(crate) published_outside: bool,
}

/// Content of either sort.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    Blob(Arc<Blob>),
    Document(Document),
}

impl Content {
    /// Returns how much of the owner's storage it takes. Documents of editors are counted by their text.
    pub(crate) fn size(&self) -> u64 {
        match self {
            Self::Blob(blob) => blob.length(),
            Self::Document(Document::Written(text)) => text.len().max(1024) as u64,
            Self::Document(Document::Drawn { lines, times, .. }) => lines * times * 64 + 1024,
        }
    }
}

impl Revision {
    /// Makes a revision that nothing special is known of.
    pub(crate) fn new(id: String, by: &Id, at: Moment, content: Content, media_type: &str) -> Self {
        Self {
            id,
            modified: at,
            modified_by: Arc::clone(by),
            content,
            media_type: media_type.to_owned(),
            original_filename: None,
            keep_forever: false,
            published: false,
            publish_auto: false,
            published_outside: false,
        }
    }
}

impl File {
    /// Makes a file without content.
    pub(crate) fn new(id: Id, name: &str, kind: Kind, owner: &Id, at: Moment) -> Self {
        Self {
            id,
            number: 0,
            name: name.to_owned(),
            kind,
            media_type: kind.media_type(),
            parent: None,
            drive: None,
            owner: Arc::clone(owner),
            created: at,
            modified: at,
            modified_by: Arc::clone(owner),
            version: 1,
            trashed: None,
            permissions: Vec::new(),
            revisions: Vec::new(),
            comments: Vec::new(),
            target: None,
            traits: Traits::default(),
        }
    }

    /// Tells whether it is the top folder of a drive.
    pub(crate) fn is_top(&self) -> bool {
        self.parent.is_none() && self.kind == Kind::Folder && self.id.ends_with("Uk9PVA")
    }

    /// Returns what it is now; folders and shortcuts have no content.
    pub(crate) fn head(&self) -> Option<&Revision> {
        self.revisions.last()
    }

    /// Returns the text of an editor's file.
    pub(crate) fn document(&self) -> Option<&Document> {
        match self.head().map(|head| &head.content) {
            Some(Content::Document(document)) => Some(document),
            _ => None,
        }
    }

    /// Returns the bytes of a binary file.
    pub(crate) fn blob(&self) -> Option<&Arc<Blob>> {
        match self.head().map(|head| &head.content) {
            Some(Content::Blob(blob)) => Some(blob),
            _ => None,
        }
    }

    /// Tells whether its content may not be changed now.
    pub(crate) fn is_locked(&self) -> bool {
        self.traits.restrictions.iter().any(|restriction| restriction["readOnly"] == true)
    }
}

/// Makes ids that look like the vendor's, the same ones for the same numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ids(pub(crate) u64);

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

impl Ids {
    fn letters(self, class: u64, number: u64, count: usize) -> String {
        let key = text::mixed(self.0 ^ text::mixed(class ^ text::mixed(number)));
        let letter = |at: usize| {
            let drawn = text::mixed(key.wrapping_add((at / 10) as u64)) >> (6 * (at % 10));
            char::from(ALPHABET[(drawn & 63) as usize])
        };
        (0..count).map(letter).collect()
    }

    /// An id of a file: those of editors are longer.
    pub(crate) fn file(self, number: u64, kind: Kind) -> Id {
        text::shared(format!("1{}", self.letters(1, number, if kind.is_edited() { 43 } else { 32 })))
    }

    /// An id that a caller asked for in advance.
    pub(crate) fn generated(self, number: u64) -> Id {
        text::shared(format!("1{}", self.letters(2, number, 32)))
    }

    /// The id of a drive's top folder.
    pub(crate) fn top(self, key: u64) -> Id {
        text::shared(format!("0A{}Uk9PVA", self.letters(3, key, 11)))
    }

    /// An id of a revision of bytes.
    pub(crate) fn revision(self, number: u64) -> String {
        format!("0B{}", self.letters(4, number, 49))
    }

    /// An id of a comment or a reply.
    pub(crate) fn comment(self, number: u64) -> String {
        format!("AAAA{}", self.letters(5, number, 7))
    }

    /// A secret of an upload, an operation or a channel.
    pub(crate) fn secret(self, number: u64) -> String {
        self.letters(6, number, 40)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_differ_and_are_the_same_for_the_same_numbers() {
        let ids = Ids(3);
        let made: BTreeSet<Id> = (0..1000)
            .flat_map(|number| {
                [
                    ids.file(number, Kind::Binary),
                    ids.file(number, Kind::Document),
                    ids.generated(number),
                    ids.top(number),
                ]
            })
            .collect();
        assert_eq!(made.len(), 3001 + 999, "no two are alike");
        assert_eq!(ids.file(7, Kind::Form), Ids(3).file(7, Kind::Form));
        assert_eq!((ids.file(1, Kind::Binary).len(), ids.file(1, Kind::Document).len()), (33, 44));
    }
}
