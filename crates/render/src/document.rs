use serde::{Deserialize, Serialize};

use crate::visible::visible;

/// What kind of thing a document shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A message.
    Mail,
    /// A file with content.
    File,
    /// Something that holds others.
    Folder,
    /// An event of a calendar.
    Event,
    /// Somebody in an address book.
    Contact,
    /// A group of people.
    Group,
    /// A user of a domain.
    User,
    /// A table, or what belongs to one.
    Table,
    /// A row of a table.
    Row,
    /// Any other record.
    Record,
    /// What only unwipe itself reads: positions, logs, the files of a base.
    Internal,
}

impl Kind {
    /// Returns what people call it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Mail => "message",
            Self::File => "file",
            Self::Folder => "folder",
            Self::Event => "event",
            Self::Contact => "contact",
            Self::Group => "group",
            Self::User => "user",
            Self::Table => "table",
            Self::Row => "row",
            Self::Record => "record",
            Self::Internal => "internal",
        }
    }
}

/// A name with a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// What it is.
    pub name: String,
    /// One line.
    pub value: String,
}

/// Something that hangs on a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// The name that its sender gave it.
    pub name: String,
    /// The media type that its sender claims.
    pub media_type: String,
    /// Bytes, decoded.
    pub bytes: u64,
}

/// What a reader must know about what is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "note", rename_all = "kebab-case")]
pub enum Note {
    /// Only the beginning of the content was looked at.
    ContentCut {
        /// Bytes that were looked at.
        read: u64,
        /// Bytes of the whole.
        of: u64,
    },
    /// There are more lines.
    LinesCut {
        /// Lines that are shown.
        shown: u64,
    },
    /// Lines were longer than what is shown of them.
    LongLines {
        /// How many.
        lines: u64,
    },
    /// There are more fields.
    FieldsCut {
        /// Fields that are shown.
        shown: u64,
    },
    /// There are more attachments.
    AttachmentsCut {
        /// Attachments that are shown.
        shown: u64,
    },
    /// Some bytes are no text; each run of them is shown as one mark.
    NotAllText,
    /// The content is no text, and is not shown.
    Binary,
    /// The text was made from a page; pictures and styles are left out.
    FromHtml,
    /// The content is not what it should be; it is shown as plain text.
    NotUnderstood {
        /// What it should be: `mail`, `JSON`.
        what: String,
    },
    /// The item has no content.
    Unreadable {
        /// Why.
        why: String,
    },
}

/// How much of an item is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Lines of text.
    pub lines: usize,
    /// Characters of one line.
    pub line_characters: usize,
    /// Bytes of text.
    pub bytes: usize,
    /// Fields.
    pub fields: usize,
}

/// A stored item to read. Every text in it is plain and visible: see [`crate::visible`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// What kind of thing it is.
    pub kind: Kind,
    /// What people call it; never empty.
    pub title: String,
    /// What tells it from others of the same name: a sender, a time.
    pub subtitle: Option<String>,
    /// Names with values, in a fixed order.
    pub fields: Vec<Field>,
    /// The lines of its text.
    pub body: Vec<String>,
    /// What hangs on it.
    pub attachments: Vec<Attachment>,
    /// What a reader must know.
    pub notes: Vec<Note>,
}

/// Of a title so many characters are shown.
pub(crate) const TITLE_CHARACTERS: usize = 300;
/// Of a field's value so many.
pub(crate) const VALUE_CHARACTERS: usize = 1_000;
/// Of a field's name so many.
const NAME_CHARACTERS: usize = 200;

impl Limits {
    /// What a page shows.
    pub const PAGE: Self = Self { lines: 1_000, line_characters: 2_000, bytes: 64 << 10, fields: 200 };
    /// What is compared.
    pub const COMPARISON: Self =
        Self { lines: 100_000, line_characters: 4_000, bytes: 8 << 20, fields: 2_000 };

    /// So many bytes of content are worth reading.
    pub const fn content_bytes(&self) -> usize {
        // Mail carries text in several forms, and attachments whose names are wanted.
        let read = 8 * self.bytes;
        if read < 4 << 20 { 4 << 20 } else { read }
    }
}

impl Document {
    pub(crate) fn new(kind: Kind, title: &str, subtitle: Option<&str>) -> Self {
        Self {
            kind,
            title: title.to_owned(),
            subtitle: subtitle.map(str::to_owned),
            fields: Vec::new(),
            body: Vec::new(),
            attachments: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Adds a field of any text, unless it is empty.
    pub(crate) fn field(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            self.fields.push(Field {
                name: visible(name, NAME_CHARACTERS),
                value: visible(value, VALUE_CHARACTERS),
            });
        }
    }

    /// Adds lines of any text, as many as may be shown.
    pub(crate) fn text(&mut self, text: &str, limits: &Limits) {
        let (mut bytes, mut long) = (self.body.iter().map(String::len).sum::<usize>(), 0);
        for line in text.split('\n') {
            if self.body.len() >= limits.lines || bytes >= limits.bytes {
                self.notes.push(Note::LinesCut { shown: self.body.len() as u64 });
                break;
            }
            let (shown, is_cut) =
                crate::visible::cut_line(line.strip_suffix('\r').unwrap_or(line), limits.line_characters);
            long += u64::from(is_cut);
            bytes += shown.len();
            self.body.push(shown);
        }
        if long > 0 {
            self.notes.push(Note::LongLines { lines: long });
        }
    }
}

impl std::fmt::Display for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ContentCut { read, of } => write!(f, "only the first {read} of {of} bytes were looked at"),
            Self::LinesCut { shown } => write!(f, "only the first {shown} lines are shown"),
            Self::LongLines { lines: 1 } => f.write_str("one long line is cut"),
            Self::LongLines { lines } => write!(f, "{lines} long lines are cut"),
            Self::FieldsCut { shown } => write!(f, "only the first {shown} fields are shown"),
            Self::AttachmentsCut { shown } => write!(f, "only the first {shown} attachments are shown"),
            Self::NotAllText => f.write_str("some bytes are no text"),
            Self::Binary => f.write_str("the content is no text and is not shown"),
            Self::FromHtml => f.write_str("made from an HTML page, without pictures and styles"),
            Self::NotUnderstood { what } => write!(f, "the content cannot be read as {what}"),
            Self::Unreadable { why } => write!(f, "there is no content: {why}"),
        }
    }
}
