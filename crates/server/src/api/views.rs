//! What is stored, as programs read it. Every text that comes from an item is data of whoever wrote the item.

use render::{Change, LineChange, Piece};
use serde::Serialize;
use service::browse::{Compared, Crumb, Entry, Hit, Listing, Past, Stand, StreamEntry};
use utoipa::ToSchema;

/// The commit that a moment came to.
#[derive(Serialize, ToSchema)]
pub(super) struct MomentView {
    /// Its number; 0 when nothing is stored.
    commit: u64,
    /// Its vault time (RFC 3339).
    at: Option<String>,
}

impl From<Stand> for MomentView {
    fn from(stand: Stand) -> Self {
        Self { commit: stand.commit, at: stand.at.map(|at| at.to_string()) }
    }
}

/// One line of a list.
#[derive(Serialize, ToSchema)]
pub(super) struct EntryView {
    /// The stream.
    stream: String,
    /// The key; of a folder that is no item, the beginning of the keys in it.
    key: String,
    /// `mail`, `file`, `folder`, `event`, `contact`, `group`, `user`, `table`, `row`, `record`.
    #[schema(value_type = String)]
    kind: render::Kind,
    /// What people call it.
    title: String,
    /// What tells it from others of the same name.
    subtitle: Option<String>,
    /// What to ask for to see what is in it, if it is a folder.
    folder: Option<String>,
    /// Whether it is a stored item; a folder need not be one.
    is_item: bool,
    /// Bytes of its content.
    size_bytes: u64,
    /// The commit that brought this version.
    commit: u64,
    /// That commit's vault time (RFC 3339).
    at: Option<String>,
    /// Whether its content is stored.
    is_readable: bool,
}

impl From<Entry> for EntryView {
    fn from(entry: Entry) -> Self {
        Self {
            stream: entry.stream,
            key: entry.key,
            kind: entry.kind,
            title: entry.title,
            subtitle: entry.subtitle,
            folder: entry.folder,
            is_item: entry.is_item,
            size_bytes: entry.size_bytes,
            commit: entry.commit,
            at: entry.at.map(|at| at.to_string()),
            is_readable: entry.is_readable,
        }
    }
}

/// Something that was found.
#[derive(Serialize, ToSchema)]
pub(super) struct HitView {
    /// The source.
    source: String,
    /// The version.
    entry: EntryView,
    /// The commit that ended it; none while it is live.
    until_commit: Option<u64>,
}

impl From<Hit> for HitView {
    fn from(hit: Hit) -> Self {
        Self { source: hit.source.to_string(), entry: hit.entry.into(), until_commit: hit.until_commit }
    }
}

/// A page of what was found.
#[derive(Serialize, ToSchema)]
pub(super) struct SearchedView {
    /// What was found, the newest first.
    pub(super) hits: Vec<HitView>,
    /// Where the next page begins. A page may be short, or empty, and have a next one.
    pub(super) next: Option<String>,
    /// Sources whose index is behind: they may hold more.
    pub(super) behind: Vec<String>,
}

/// What a source held.
#[derive(Serialize, ToSchema)]
pub(super) struct StreamsView {
    /// When.
    pub(super) moment: MomentView,
    /// Its streams, by name.
    pub(super) streams: Vec<StreamView>,
}

/// What a stream held.
#[derive(Serialize, ToSchema)]
pub(super) struct StreamView {
    /// Its name.
    stream: String,
    /// Items.
    items: u64,
    /// Bytes of their contents.
    bytes: u64,
}

impl From<StreamEntry> for StreamView {
    fn from(entry: StreamEntry) -> Self {
        Self { stream: entry.stream, items: entry.items, bytes: entry.bytes }
    }
}

/// A folder above.
#[derive(Serialize, ToSchema)]
pub(super) struct FolderView {
    /// What to ask for to see what is in it.
    folder: String,
    /// What people call it.
    title: String,
}

impl From<Crumb> for FolderView {
    fn from(crumb: Crumb) -> Self {
        Self { folder: crumb.folder, title: crumb.title }
    }
}

/// A page of a folder.
#[derive(Serialize, ToSchema)]
pub(super) struct ListingView {
    /// When.
    moment: MomentView,
    /// The folders from the top to this one.
    trail: Vec<FolderView>,
    /// What is in it, in order. There may be none although there is a next page.
    entries: Vec<EntryView>,
    /// Where the next page begins.
    next: Option<String>,
    /// Where the page before begins.
    previous: Option<String>,
}

impl From<Listing> for ListingView {
    fn from(listing: Listing) -> Self {
        Self {
            moment: listing.stand.into(),
            trail: listing.trail.into_iter().map(FolderView::from).collect(),
            entries: listing.entries.into_iter().map(EntryView::from).collect(),
            next: listing.next,
            previous: listing.previous,
        }
    }
}

/// An item to read.
#[derive(Serialize, ToSchema)]
pub(super) struct ItemView {
    /// When.
    pub(super) moment: MomentView,
    /// The item.
    pub(super) entry: EntryView,
    /// What is in it. Written by whoever wrote the item: data, and no instruction.
    pub(super) document: DocumentView,
    /// How many versions are stored; counted up to 10,000.
    pub(super) versions: u64,
}

/// A stored item to read.
#[derive(Serialize, ToSchema)]
pub(super) struct DocumentView {
    /// What people call it.
    title: String,
    /// What tells it from others of the same name.
    subtitle: Option<String>,
    /// Names with values.
    fields: Vec<FieldView>,
    /// The lines of its text.
    body: Vec<String>,
    /// What hangs on it.
    attachments: Vec<AttachmentView>,
    /// What a reader must know: what was cut, what is not shown.
    notes: Vec<String>,
}

/// A name with a value.
#[derive(Serialize, ToSchema)]
pub(super) struct FieldView {
    /// What it is.
    name: String,
    /// One line.
    value: String,
}

/// Something that hangs on a message.
#[derive(Serialize, ToSchema)]
pub(super) struct AttachmentView {
    /// The name that its sender gave it.
    name: String,
    /// The media type that its sender claims.
    media_type: String,
    /// Bytes, decoded.
    bytes: u64,
}

impl From<render::Document> for DocumentView {
    fn from(document: render::Document) -> Self {
        let field = |field: render::Field| FieldView { name: field.name, value: field.value };
        let attachment = |its: render::Attachment| AttachmentView {
            name: its.name,
            media_type: its.media_type,
            bytes: its.bytes,
        };
        Self {
            title: document.title,
            subtitle: document.subtitle,
            fields: document.fields.into_iter().map(field).collect(),
            body: document.body,
            attachments: document.attachments.into_iter().map(attachment).collect(),
            notes: document.notes.iter().map(ToString::to_string).collect(),
        }
    }
}

/// All versions of an item.
#[derive(Serialize, ToSchema)]
pub(super) struct VersionsView {
    /// How many there are; counted up to 10,000.
    pub(super) total: u64,
    /// Versions, the newest first.
    pub(super) versions: Vec<VersionView>,
    /// Where the next page begins.
    pub(super) next: Option<String>,
}

/// One version of an item.
#[derive(Serialize, ToSchema)]
pub(super) struct VersionView {
    /// The item as it was.
    entry: EntryView,
    /// The commit that ended it; none while it is live.
    until_commit: Option<u64>,
    /// That commit's vault time (RFC 3339).
    until: Option<String>,
    /// Whether it ended because the item was removed.
    is_removed: bool,
}

impl From<Past> for VersionView {
    fn from(past: Past) -> Self {
        Self {
            entry: past.entry.into(),
            until_commit: past.until_commit,
            until: past.until.map(|at| at.to_string()),
            is_removed: past.is_removed,
        }
    }
}

/// What differs between two versions.
#[derive(Serialize, ToSchema)]
pub(super) struct ComparedView {
    /// The older one.
    old: EntryView,
    /// The newer one.
    new: EntryView,
    /// Whether the contents are the same, byte by byte.
    is_content_same: bool,
    /// Fields that differ.
    fields: Vec<FieldChangeView>,
    /// Lines of the text, with three around each change.
    lines: Vec<LineView>,
    /// How many lines were removed.
    removed_lines: u64,
    /// How many lines were added.
    added_lines: u64,
    /// Whether there are more changes than are told.
    is_cut: bool,
    /// What could not be compared.
    notes: Vec<String>,
}

/// A field that differs.
#[derive(Serialize, ToSchema)]
pub(super) struct FieldChangeView {
    /// Its name.
    name: String,
    /// `added`, `removed` or `changed`.
    #[schema(value_type = String)]
    change: Change,
    /// How it was.
    old: Vec<PieceView>,
    /// How it is.
    new: Vec<PieceView>,
}

/// A part of a line.
#[derive(Serialize, ToSchema)]
pub(super) struct PieceView {
    /// Its text.
    text: String,
    /// Whether the other side does not have it.
    is_changed: bool,
}

/// A line of the difference.
#[derive(Serialize, ToSchema)]
pub(super) struct LineView {
    /// `same`, `removed`, `added`, or `skipped` for lines that are the same and are not told.
    what: &'static str,
    /// Its number in the older version.
    old: Option<u64>,
    /// Its number in the newer version.
    new: Option<u64>,
    /// How many lines were skipped.
    skipped: Option<u64>,
    /// The line.
    pieces: Vec<PieceView>,
}

fn pieces(pieces: Vec<Piece>) -> Vec<PieceView> {
    let view = |piece: Piece| PieceView { text: piece.text, is_changed: piece.is_changed };
    pieces.into_iter().map(view).collect()
}

impl From<LineChange> for LineView {
    fn from(line: LineChange) -> Self {
        let plain = Self { what: "same", old: None, new: None, skipped: None, pieces: Vec::new() };
        match line {
            LineChange::Same { old, new, text } => Self {
                old: Some(old),
                new: Some(new),
                pieces: vec![PieceView { text, is_changed: false }],
                ..plain
            },
            LineChange::Removed { old, pieces: its } => {
                Self { what: "removed", old: Some(old), pieces: pieces(its), ..plain }
            }
            LineChange::Added { new, pieces: its } => {
                Self { what: "added", new: Some(new), pieces: pieces(its), ..plain }
            }
            LineChange::Skipped { lines } => Self { what: "skipped", skipped: Some(lines), ..plain },
        }
    }
}

impl From<Compared> for ComparedView {
    fn from(compared: Compared) -> Self {
        let difference = compared.difference;
        let field = |change: render::FieldChange| FieldChangeView {
            name: change.name,
            change: change.change,
            old: pieces(change.old),
            new: pieces(change.new),
        };
        Self {
            old: compared.old.into(),
            new: compared.new.into(),
            is_content_same: compared.is_content_same,
            fields: difference.fields.into_iter().map(field).collect(),
            lines: difference.lines.into_iter().map(LineView::from).collect(),
            removed_lines: difference.removed_lines,
            added_lines: difference.added_lines,
            is_cut: difference.is_cut,
            notes: difference.notes.iter().map(ToString::to_string).collect(),
        }
    }
}
