//! A stored item as something to read, and what differs between two versions of it.
//!
//! Pure: attributes and bytes in, plain data out. There is no markup in what comes out, and nothing in it that a screen
//! could take for an instruction: control characters, marks that turn the direction of writing and characters without a
//! width are shown by their numbers. Everything is bounded, whatever the bytes are: what was cut is said in a note.

mod attributes;
mod difference;
mod document;
mod file;
mod html;
mod mail;
mod record;
mod row;
mod summary;
mod time;
mod visible;
mod words;

pub use difference::{Change, Difference, FieldChange, LineChange, Piece, difference};
pub use document::{Attachment, Document, Field, Kind, Limits, Note};
pub use row::row;
pub use summary::{Summary, summary, title_of};
pub use visible::{visible, visible_line};

/// What is stored of an item.
#[derive(Debug, Clone, Copy)]
pub struct Stored<'a> {
    /// The stream: `gmail/anna@example.org`.
    pub stream: &'a str,
    /// The key.
    pub key: &'a str,
    /// The attributes, as JSON.
    pub attributes: &'a str,
    /// The content, or its beginning; none when it could not be read, or was not asked for.
    pub content: Option<&'a [u8]>,
    /// How many bytes the whole content has.
    pub size_bytes: u64,
    /// Why there is no content, as JSON.
    pub reason: Option<&'a str>,
}

/// Returns a stored item as a document; `kind` is the kind of its source: `google`, `files`, `postgres`.
pub fn render(kind: &str, stored: &Stored<'_>, limits: &Limits) -> Document {
    let summary = summary(kind, stored.stream, stored.key, stored.attributes);
    let mut document = Document::new(summary.kind, &summary.title, summary.subtitle.as_deref());
    if let Some(reason) = stored.reason {
        document.notes.push(Note::Unreadable { why: attributes::reason(reason) });
    }
    match (summary.kind, stored.content) {
        (Kind::Mail, Some(content)) => mail::fill(&mut document, stored, content, limits),
        (Kind::Mail, None) => attributes::fill_mail(&mut document, stored.attributes),
        (Kind::File, Some(content)) => {
            attributes::fill(&mut document, stored.attributes, limits);
            file::fill(&mut document, stored, content, limits);
        }
        (Kind::File | Kind::Folder | Kind::Table, _) => {
            attributes::fill(&mut document, stored.attributes, limits);
        }
        (_, Some(content)) => record::fill(&mut document, stored, content, limits),
        (_, None) => attributes::fill(&mut document, stored.attributes, limits),
    }
    let read = stored.content.map_or(0, |content| content.len() as u64);
    let is_cut = document.notes.iter().any(|note| matches!(note, Note::ContentCut { .. }));
    if stored.content.is_some() && read < stored.size_bytes && !is_cut {
        document.notes.push(Note::ContentCut { read, of: stored.size_bytes });
    }
    document
}

#[cfg(test)]
mod tests;
