//! Streams and folders, page by page.

use catalog::{Catalog, Child, Direction, PageRequest, Place, Row, search::InsideEdge};
use model::{SourceName, StreamName};

use super::{
    At, Browse, BrowseError, Crumb, Entry, Listing, PageWish, Stand, StreamEntry, Streams,
    cursor::{self, Cursor},
    has_folders_by_id,
    pool::Opened,
    stand,
};

/// Folders above a folder are followed no further than this: they may lie in a circle.
const TRAIL_MAX: usize = 32;
const FILE: &str = "file/";

impl Browse {
    /// Lists what streams a source held at a moment, and how much.
    pub fn streams(&self, source: &SourceName, at: At) -> Result<Streams, BrowseError> {
        self.ask(source, |opened, kind| {
            let stand = stand(&opened.catalog, source, at)?;
            let streams = opened.catalog.sizes_at(stand.commit)?.into_iter().map(|size| StreamEntry {
                is_internal: render::summary(kind, &size.stream, "", "{}").kind == render::Kind::Internal,
                stream: size.stream,
                items: size.items,
                bytes: size.bytes,
            });
            Ok(Streams { stand, streams: streams.collect() })
        })
    }

    /// Lists a stream's items in the order of their keys, those that begin with a prefix.
    pub fn page(
        &self,
        source: &SourceName,
        stream: &StreamName,
        (prefix, at): (&str, At),
        wish: &PageWish,
    ) -> Result<Listing, BrowseError> {
        let cursor = Cursor::parse(wish.cursor.as_deref())?;
        self.ask(source, |opened, kind| {
            let stand = stand(&opened.catalog, source, at)?;
            let direction = cursor.as_ref().map_or(Direction::Forward, |cursor| cursor.direction);
            let from = cursor.as_ref().map(|cursor| cursor.place.as_str());
            let request = PageRequest { at: stand.commit, prefix, from, direction, limit: wish.limit() + 1 };
            let page = opened.catalog.page(stream, request)?;
            let list = List { rows: page.rows, next: page.next };
            let list = list.cut(wish, direction, |row| row.key.clone());
            let (next, previous) = list.around(from, direction);
            let entries = list.rows.into_iter().map(|row| entry(&opened.catalog, kind, row));
            let entries = entries.collect::<Result<_, _>>()?;
            Ok(Listing { stand, trail: Vec::new(), entries, next, previous })
        })
    }

    /// Lists what lay in a folder: `""` for the top of a stream, otherwise what an entry names as its `folder`.
    ///
    /// Folders of a drive are known from the index of words; until it was filled they look empty.
    pub fn children(
        &self,
        source: &SourceName,
        stream: &StreamName,
        (folder, at): (&str, At),
        wish: &PageWish,
    ) -> Result<Listing, BrowseError> {
        let cursor = Cursor::parse(wish.cursor.as_deref())?;
        self.ask(source, |opened, kind| {
            let stand = stand(&opened.catalog, source, at)?;
            let asked = Listed { kind, stream, folder, stand };
            if has_folders_by_id(stream) {
                asked.by_id(opened, cursor.as_ref(), wish)
            } else {
                asked.by_key(opened, cursor.as_ref(), wish)
            }
        })
    }
}

/// A folder that is listed.
struct Listed<'a> {
    kind: &'a str,
    stream: &'a StreamName,
    folder: &'a str,
    stand: Stand,
}

impl Listed<'_> {
    fn by_key(
        &self,
        opened: &Opened,
        cursor: Option<&Cursor>,
        wish: &PageWish,
    ) -> Result<Listing, BrowseError> {
        let direction = cursor.map_or(Direction::Forward, |cursor| cursor.direction);
        let from = cursor.map(Cursor::key_place).transpose()?;
        let found = opened.catalog.children(
            self.stream,
            self.folder,
            self.stand.commit,
            from.as_ref(),
            (direction, wish.limit() + 1),
        )?;
        let list = List { rows: found.children, next: found.next.map(|place| place.to_text()) };
        let list = list.cut(wish, direction, |child| {
            Place { key: child.key().to_owned(), is_group: matches!(child, Child::Group { .. }) }.to_text()
        });
        let (next, previous) = list.around(cursor.map(|cursor| cursor.place.as_str()), direction);
        let entries = list.rows.into_iter().map(|child| match child {
            Child::Item(row) => entry(&opened.catalog, self.kind, row),
            Child::Group { key } => Ok(self.group(key)),
        });
        let entries = entries.collect::<Result<_, _>>()?;
        Ok(Listing { stand: self.stand, trail: self.trail_of_key(), entries, next, previous })
    }

    /// A folder that is no item of its own.
    fn group(&self, key: String) -> Entry {
        let name = key.get(self.folder.len()..).unwrap_or_default();
        Entry {
            stream: self.stream.as_str().to_owned(),
            kind: render::Kind::Folder,
            title: render::visible(if name.is_empty() { "/" } else { name }, 300),
            subtitle: None,
            folder: Some(format!("{key}/")),
            is_item: false,
            size_bytes: 0,
            commit: 0,
            at: None,
            is_readable: true,
            key,
        }
    }

    fn trail_of_key(&self) -> Vec<Crumb> {
        let mut trail = Vec::new();
        let mut start = 0;
        for (end, _) in self.folder.match_indices('/') {
            let title = render::visible(&self.folder[start..end], 300);
            trail.push(Crumb { folder: self.folder[..=end].to_owned(), title });
            start = end + 1;
        }
        trail
    }

    fn by_id(
        &self,
        opened: &Opened,
        cursor: Option<&Cursor>,
        wish: &PageWish,
    ) -> Result<Listing, BrowseError> {
        let direction = cursor.map_or(Direction::Forward, |cursor| cursor.direction);
        let from = cursor.map(Cursor::title_place).transpose()?;
        let place = (self.stream.as_str(), self.folder, self.stand.commit);
        let list = match &opened.index {
            Some(index) if index.is_of(&opened.catalog)? => {
                let page = (direction, wish.limit() + 1);
                let found = index.inside(&opened.catalog, place, from.as_ref(), page)?;
                List { rows: found.rows, next: found.next.map(|edge| cursor::title_place(&edge)) }
            }
            _ => List { rows: Vec::new(), next: None },
        };
        let list = list.cut(wish, direction, |row| {
            let title = render::summary(self.kind, &row.stream, &row.key, &row.attributes).title;
            cursor::title_place(&InsideEdge::of(&title, row.id))
        });
        let (next, previous) = list.around(cursor.map(|cursor| cursor.place.as_str()), direction);
        let entries = list.rows.into_iter().map(|row| entry(&opened.catalog, self.kind, row));
        let entries = entries.collect::<Result<_, _>>()?;
        let trail = self.trail_of_ids(&opened.catalog)?;
        Ok(Listing { stand: self.stand, trail, entries, next, previous })
    }

    fn trail_of_ids(&self, catalog: &Catalog) -> Result<Vec<Crumb>, BrowseError> {
        let mut trail = Vec::new();
        let mut folder = self.folder.to_owned();
        while !folder.is_empty() && trail.len() < TRAIL_MAX {
            let key = format!("{FILE}{folder}");
            let Some(row) = catalog.row_at(self.stream, &key, self.stand.commit)? else { break };
            let summary = render::summary(self.kind, &row.stream, &row.key, &row.attributes);
            trail.push(Crumb { folder, title: summary.title });
            folder = summary.folder.unwrap_or_default();
        }
        trail.reverse();
        Ok(trail)
    }
}

/// What was found for a page, one more than it has if there is one more.
struct List<T> {
    rows: Vec<T>,
    /// Where the next page in the direction of this one begins.
    next: Option<String>,
}

/// A page with the places of its first and last entry.
struct Cut<T> {
    rows: Vec<T>,
    next: Option<String>,
    first: Option<String>,
    last: Option<String>,
}

impl<T> List<T> {
    /// Leaves the entry out that only shows that there is a next page.
    fn cut(mut self, wish: &PageWish, direction: Direction, place: impl Fn(&T) -> String) -> Cut<T> {
        let limit = wish.limit() as usize;
        if self.rows.len() > limit {
            match direction {
                Direction::Forward => self.rows.truncate(limit),
                Direction::Back => drop(self.rows.remove(0)),
            }
            let edge = if direction == Direction::Forward { self.rows.last() } else { self.rows.first() };
            self.next = edge.map(&place);
        }
        let (first, last) = (self.rows.first().map(&place), self.rows.last().map(&place));
        Cut { rows: self.rows, next: self.next, first, last }
    }
}

impl<T> Cut<T> {
    /// Returns where the next page and the one before begin.
    fn around(&self, from: Option<&str>, direction: Direction) -> (Option<String>, Option<String>) {
        let forward = |place: &str| Cursor::to_text(Direction::Forward, place);
        let back = |place: &str| Cursor::to_text(Direction::Back, place);
        let next = self.next.as_deref();
        match direction {
            // Whoever comes from somewhere can go back; from an empty page to before where it began.
            Direction::Forward => {
                (next.map(forward), from.map(|from| back(self.first.as_deref().unwrap_or(from))))
            }
            Direction::Back => {
                (from.map(|from| forward(self.last.as_deref().unwrap_or(from))), next.map(back))
            }
        }
    }
}

/// Shows a row as a line of a list.
pub(super) fn entry(catalog: &Catalog, kind: &str, row: Row) -> Result<Entry, BrowseError> {
    let summary = render::summary(kind, &row.stream, &row.key, &row.attributes);
    let folder = match (summary.kind, summary.holds) {
        (_, Some(id)) => Some(id),
        (render::Kind::Folder, None) => Some(format!("{}/", row.key)),
        _ => None,
    };
    Ok(Entry {
        at: catalog.time_of(row.from)?,
        kind: summary.kind,
        title: summary.title,
        subtitle: summary.subtitle,
        folder,
        is_item: true,
        size_bytes: row.size_bytes,
        commit: row.from,
        is_readable: row.reason.is_none(),
        stream: row.stream,
        key: row.key,
    })
}
