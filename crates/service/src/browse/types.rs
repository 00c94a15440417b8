//! What is asked and answered: plain data, as the API has it.

use model::{Moment, SourceName, StreamName};
use render::{Difference, Document, Kind};
use serde::{Deserialize, Serialize};

use super::BrowseError;

/// A moment of one source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum At {
    /// After the newest commit.
    #[default]
    Latest,
    /// After this commit.
    Commit(u64),
    /// As of a time: after the newest commit no later than it.
    Moment(Moment),
}

/// The commit that a moment came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stand {
    /// Its number; 0 when nothing is stored.
    pub commit: u64,
    /// Its vault time.
    pub at: Option<Moment>,
}

/// What a source held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Streams {
    /// When.
    pub stand: Stand,
    /// Its streams, in the order of their names.
    pub streams: Vec<StreamEntry>,
}

/// What a stream held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamEntry {
    /// Its name.
    pub stream: String,
    /// Items.
    pub items: u64,
    /// Bytes of their contents.
    pub bytes: u64,
    /// Whether only unwipe itself reads it: positions, logs, bases.
    pub is_internal: bool,
}

/// Which part of a list is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageWish {
    /// Where the page begins: what an earlier one gave as `next` or `previous`.
    #[serde(default)]
    pub cursor: Option<String>,
    /// At most so many entries, up to 500; 0 means 100.
    #[serde(default)]
    pub limit: u32,
}

/// One line of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The stream.
    pub stream: String,
    /// The key; of a folder that is no item, the beginning of the keys in it.
    pub key: String,
    /// What kind of thing it is.
    pub kind: Kind,
    /// What people call it.
    pub title: String,
    /// What tells it from others of the same name.
    pub subtitle: Option<String>,
    /// What to ask for to see what is in it, if it is a folder.
    pub folder: Option<String>,
    /// Whether it is a stored item; a folder need not be one.
    pub is_item: bool,
    /// Bytes of its content.
    pub size_bytes: u64,
    /// The commit that brought this version; 0 of a folder that is no item.
    pub commit: u64,
    /// That commit's vault time.
    pub at: Option<Moment>,
    /// Whether its content is stored; if not, the source did not let it be read.
    pub is_readable: bool,
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// When.
    pub stand: Stand,
    /// The folders from the top to this one.
    pub trail: Vec<Crumb>,
    /// The entries, in order. There may be few or none although there is a next page: it was looked for only so long.
    pub entries: Vec<Entry>,
    /// Where the next page begins; none at the end.
    pub next: Option<String>,
    /// Where the page before begins; none at the beginning.
    pub previous: Option<String>,
}

/// A folder above.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crumb {
    /// What to ask for to see what is in it.
    pub folder: String,
    /// What people call it.
    pub title: String,
}

/// An item to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemView {
    /// When.
    pub stand: Stand,
    /// The item.
    pub entry: Entry,
    /// What is in it.
    pub document: Document,
    /// How many versions of it are stored; counted up to 10,000.
    pub versions: u64,
}

/// All versions of an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// How many there are; counted up to 10,000.
    pub total: u64,
    /// Versions, the newest first.
    pub versions: Vec<Past>,
    /// Where the next page begins; none at the end.
    pub next: Option<String>,
}

/// One version of an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    /// The item as it was.
    pub entry: Entry,
    /// The commit that ended it; none while it is live.
    pub until_commit: Option<u64>,
    /// That commit's vault time.
    pub until: Option<Moment>,
    /// Whether it ended because the item was removed; otherwise a newer version replaced it.
    pub is_removed: bool,
}

/// What differs between two versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compared {
    /// The older one.
    pub old: Entry,
    /// The newer one.
    pub new: Entry,
    /// Whether the contents are the same, byte by byte.
    pub is_content_same: bool,
    /// What differs, to read.
    pub difference: Difference,
}

/// What is looked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SearchWish {
    /// What somebody typed: words, `"phrases"`, beginnings like `inv*`. Never an error.
    pub text: String,
    /// In which sources; in all where none is named.
    pub sources: Vec<SourceName>,
    /// In which streams; in all where none is named.
    pub streams: Vec<StreamName>,
    /// Only what was live then; what was removed and replaced too where none is told.
    pub at: Option<At>,
    /// Which page; there is no `previous`.
    pub page: PageWish,
}

/// A page of what was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Searched {
    /// What was found, the newest first.
    pub hits: Vec<Hit>,
    /// Where the next page begins; none at the end. A page may be short, or empty, and have a next one.
    pub next: Option<String>,
    /// Sources whose index is behind their catalog, or is not there yet: they may hold more.
    pub behind: Vec<SourceName>,
}

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hit {
    /// The source.
    pub source: SourceName,
    /// The version.
    pub entry: Entry,
    /// The commit that ended it; none while it is live.
    pub until_commit: Option<u64>,
}

/// What was removed within a window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deleted {
    /// The beginning; what was removed by this very commit is not in it.
    pub after: Stand,
    /// The end.
    pub until: Stand,
    /// What was removed, the newest removals first.
    pub items: Vec<DeletedItem>,
    /// Where the next page begins; none at the end.
    pub next: Option<String>,
}

/// Something that was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletedItem {
    /// The item as it was last.
    pub entry: Entry,
    /// The commit that removed it.
    pub removed_commit: u64,
    /// That commit's vault time.
    pub removed: Option<Moment>,
    /// Whether it was there again at the end of the window.
    pub is_back: bool,
}

/// How far a source's catalog and index are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freshness {
    /// The newest commit in the catalog.
    pub commit: u64,
    /// Versions that were indexed just now.
    pub indexed: u64,
    /// Whether the index knows all that the catalog knows.
    pub is_indexed: bool,
}

const LIMIT: u32 = 100;
const LIMIT_MAX: u32 = 500;

impl PageWish {
    /// Returns how many entries a page has.
    pub(super) fn limit(&self) -> u32 {
        if self.limit == 0 { LIMIT } else { self.limit.min(LIMIT_MAX) }
    }
}

impl At {
    /// Reads `latest` or nothing, the number of a commit, or a time.
    pub fn parse(text: &str) -> Result<Self, BrowseError> {
        let text = text.trim();
        if text.is_empty() || text == "latest" {
            return Ok(Self::Latest);
        }
        if let Ok(commit) = text.parse() {
            return Ok(Self::Commit(commit));
        }
        text.parse().map(Self::Moment).map_err(|_| BrowseError::NoMoment { text: text.to_owned() })
    }
}
