//! Things that are stored, as lines of a list.

use model::{Moment, SourceName};
use service::{
    browse::{DeletedItem, Entry, Hit},
    words,
};

use crate::{
    baskets::Pick,
    links::{item_link, link, stream_path},
};

/// A line.
pub(super) struct Line {
    /// What its box says when it is chosen; nothing where it cannot be brought back by itself.
    pub(super) pick: Option<String>,
    pub(super) address: String,
    pub(super) title: String,
    pub(super) subtitle: Option<String>,
    pub(super) kind: &'static str,
    /// Where it is, with its address.
    pub(super) place: (String, String),
    pub(super) size: String,
    /// Since when it is so.
    pub(super) at: Option<When>,
    /// How it stands: a class and a word.
    pub(super) state: (&'static str, String),
}

/// A time, exactly and for people.
pub(super) struct When {
    pub(super) exact: String,
    pub(super) words: String,
    pub(super) ago: String,
}

impl When {
    pub(super) fn of(at: Moment, now: Moment) -> Self {
        Self { exact: at.to_string(), words: words::moment(at), ago: words::ago(at, now) }
    }
}

/// Returns what people call a stream.
pub(super) fn stream_title(stream: &str) -> String {
    let (first, rest) = stream.split_once('/').unwrap_or((stream, ""));
    let what = match first {
        "gmail" => "Mailbox",
        "drive" => "Drive",
        "shared-drive" => "Shared drive",
        "calendar" => "Calendars",
        "contacts" => "Contacts",
        "directory" => "Directory",
        "relations" => "Tables",
        "files" => "Files",
        "blinded" => "What could not be seen",
        _ => return render::visible(stream, 300),
    };
    if rest.is_empty() { what.to_owned() } else { format!("{what} of {}", render::visible(rest, 300)) }
}

/// Writes a pick as a box has it.
pub(super) fn pick_text(pick: &Pick) -> String {
    let commit = pick.commit.to_string();
    let pairs =
        [("source", pick.source.as_str()), ("stream", &pick.stream), ("commit", &commit), ("key", &pick.key)];
    serde_urlencoded::to_string(pairs).unwrap_or_default()
}

/// What lines are made with.
pub(super) struct Maker<'a> {
    pub(super) source: &'a SourceName,
    /// The kind of the source.
    pub(super) kind: &'a str,
    pub(super) now: Moment,
}

impl Maker<'_> {
    /// A line of a folder, as it was after a commit.
    pub(super) fn entry(&self, entry: &Entry, commit: u64, at: &str) -> Line {
        let address = match &entry.folder {
            Some(folder) => link(&stream_path(self.source, &entry.stream), &[("folder", folder), ("at", at)]),
            None => item_link(self.source, &entry.stream, &entry.key, at),
        };
        let state =
            if entry.is_readable { ("", String::new()) } else { ("warning", "not readable".to_owned()) };
        Line { address, state, ..self.line(entry, commit) }
    }

    /// Something that was found; `later` is what became of it.
    pub(super) fn hit(&self, hit: &Hit, later: Option<&Later>) -> Line {
        let state = match later {
            None => ("good", "live".to_owned()),
            Some(Later::Replaced) => ("", "older version".to_owned()),
            Some(Later::Deleted(at)) => ("bad", deleted(*at, self.now)),
        };
        let entry = &hit.entry;
        let address = match (later, &entry.folder) {
            (None, Some(folder)) => link(&stream_path(self.source, &entry.stream), &[("folder", folder)]),
            (None, None) => item_link(self.source, &entry.stream, &entry.key, ""),
            (Some(_), _) => item_link(self.source, &entry.stream, &entry.key, &entry.commit.to_string()),
        };
        Line { address, state, ..self.line(entry, entry.commit) }
    }

    /// Something that was deleted; it is brought back as it was just before.
    pub(super) fn deleted(&self, item: &DeletedItem) -> Line {
        let commit = item.removed_commit.saturating_sub(1);
        let state = if item.is_back {
            ("good", "was there again".to_owned())
        } else {
            ("bad", deleted(item.removed, self.now))
        };
        let address = item_link(self.source, &item.entry.stream, &item.entry.key, &commit.to_string());
        Line { address, state, ..self.line(&item.entry, commit) }
    }

    fn line(&self, entry: &Entry, commit: u64) -> Line {
        // Rows of a database are brought back by table and condition, not as items.
        let can_be_picked = entry.is_item && self.kind != "postgres";
        let pick = can_be_picked.then(|| {
            pick_text(&Pick {
                source: self.source.clone(),
                stream: entry.stream.clone(),
                commit,
                key: entry.key.clone(),
            })
        });
        Line {
            pick,
            address: String::new(),
            title: entry.title.clone(),
            subtitle: entry.subtitle.clone(),
            kind: entry.kind.word(),
            place: (
                format!("{} · {}", self.source, stream_title(&entry.stream)),
                stream_path(self.source, &entry.stream),
            ),
            size: if entry.size_bytes == 0 { String::new() } else { words::bytes(entry.size_bytes) },
            at: entry.at.map(|at| When::of(at, self.now)),
            state: ("", String::new()),
        }
    }
}

/// What became of a version that is not live.
pub(super) enum Later {
    /// Another one took its place.
    Replaced,
    /// It was deleted, at a time.
    Deleted(Option<Moment>),
}

fn deleted(at: Option<Moment>, now: Moment) -> String {
    at.map_or_else(|| "deleted".to_owned(), |at| format!("deleted {}", words::ago(at, now)))
}

/// A form that puts what is chosen into the basket.
pub(super) struct Choosing {
    pub(super) lines: Vec<Line>,
    /// What the list is, for those who do not see it.
    pub(super) caption: String,
    /// Whether lines tell where they are.
    pub(super) with_place: bool,
    pub(super) csrf: String,
    /// The page that the list is on.
    pub(super) here: String,
    /// How many things are in the basket.
    pub(super) in_basket: usize,
}

impl Choosing {
    pub(super) fn can_pick(&self) -> bool {
        self.lines.iter().any(|line| line.pick.is_some())
    }
}
