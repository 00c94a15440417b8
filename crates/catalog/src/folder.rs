//! What lies in a folder of a stream whose keys are paths: its items, and the folders among its keys.

use model::StreamName;

use crate::{
    Catalog, CatalogError, Direction, Row,
    browse::{Bounds, CHUNK, LOOKED_AT_MAX, Span, Then},
};

/// So many entries are looked at to find out whether anything in a folder was live.
const PROBED_MAX: usize = 2 * CHUNK;
/// What one question more counts for among the entries that a page looks at.
const QUESTION_COST: usize = 64;
const SEPARATOR: char = '/';
/// What comes behind the separator in the order of keys: a folder's keys lie before it.
const BEHIND_SEPARATOR: char = '0';

/// Where in a folder a page begins or ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The key of an item, or that of a folder without its last separator.
    pub key: String,
    /// Whether the folder is meant, with all that is in it, and not the item of this key.
    pub is_group: bool,
}

/// Something in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Child {
    /// An item; it may be a folder itself, with items below its key.
    Item(Row),
    /// A folder that is no item of its own: keys that begin alike.
    Group {
        /// The keys' common beginning, without the separator.
        key: String,
    },
}

/// A page of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Children {
    /// What is in it, in ascending order of keys, whichever way the page goes.
    pub children: Vec<Child>,
    /// Where the next page in the same direction begins; none at the end.
    pub next: Option<Place>,
}

impl Place {
    /// Writes it as text.
    pub fn to_text(&self) -> String {
        format!("{}{}", if self.is_group { 'g' } else { 'i' }, self.key)
    }

    /// Reads what [`Self::to_text`] wrote.
    pub fn of_text(text: &str) -> Option<Self> {
        let is_group = text.starts_with('g');
        let key = text.strip_prefix(['g', 'i'])?.to_owned();
        Some(Self { key, is_group })
    }

    /// Leaves in a span what comes behind it on the way.
    fn leave(&self, span: &mut Span, direction: Direction) {
        match (self.is_group, direction) {
            (false, _) => span.behind(&self.key, direction),
            (true, Direction::Forward) => span.begin(format!("{}{BEHIND_SEPARATOR}", self.key)),
            (true, Direction::Back) => span.end(format!("{}{SEPARATOR}", self.key)),
        }
    }
}

impl Child {
    /// Returns its key.
    pub fn key(&self) -> &str {
        match self {
            Self::Item(row) => &row.key,
            Self::Group { key } => key,
        }
    }
}

/// What a walk through one folder is about.
#[derive(Clone, Copy)]
struct Walk<'a> {
    stream: i64,
    name: &'a StreamName,
    folder: &'a str,
    then: Then,
    direction: Direction,
}

impl Catalog {
    /// Returns a page of what lay in a folder after commit `at`.
    ///
    /// A folder is the beginning of keys: empty for the top, `a/b/` for what is below `a/b`. A page may hold less than there
    /// is room for although there is a next one; an empty page is the last one. Whether anything in a folder that is no item
    /// was live is looked at no further than some hundred keys; then it is shown.
    pub fn children(
        &self,
        stream: &StreamName,
        folder: &str,
        at: u64,
        from: Option<&Place>,
        (direction, limit): (Direction, u32),
    ) -> Result<Children, CatalogError> {
        let Some(id) = self.stream_id(stream.as_str())? else {
            return Ok(Children { children: Vec::new(), next: None });
        };
        let mut span = Span::below(folder);
        if let Some(from) = from {
            from.leave(&mut span, direction);
        }
        let walk = Walk { stream: id, name: stream, folder, then: self.then(at)?, direction };
        let mut found = self.walk(walk, span, limit as usize)?;
        if direction == Direction::Back {
            found.children.reverse();
        }
        Ok(found)
    }

    fn walk(&self, walk: Walk<'_>, mut span: Span, limit: usize) -> Result<Children, CatalogError> {
        let (mut children, mut looked_at) = (Vec::new(), 0);
        'chunks: loop {
            let entries = self.entries(walk.stream, &span, walk.direction)?;
            let is_last = entries.len() < CHUNK;
            looked_at += entries.len();
            let mut rest = &entries[..];
            let mut place = None;
            while let Some(first) = rest.first() {
                let here = place_of(walk.folder, &first.key);
                let (mine, others) = rest.split_at(rest.partition_point(|entry| here.holds(&entry.key)));
                rest = others;
                let child = if here.is_group {
                    let (group, cost) = self.group(walk, &here)?;
                    looked_at += cost;
                    group
                } else if is_last || !others.is_empty() {
                    self.live_of(mine, walk.then)?.map(Child::Item)
                } else {
                    self.live_among_many(walk.stream, &here.key, walk.then)?.map(Child::Item)
                };
                here.leave(&mut span, walk.direction);
                children.extend(child.map(|child| named(child, walk.name, &here.key)));
                if children.len() >= limit {
                    return Ok(Children { children, next: Some(here) });
                }
                if looked_at >= LOOKED_AT_MAX {
                    // It looked far enough, and goes on only where there is more.
                    match self.next_live(walk.stream, &span, (walk.then, walk.direction))? {
                        None => return Ok(Children { children, next: None }),
                        Some(_) if !children.is_empty() => {
                            return Ok(Children { children, next: Some(here) });
                        }
                        Some(key) => span.reach(key, walk.direction),
                    }
                    // What is there stands together, often: it is given two chunks.
                    looked_at = LOOKED_AT_MAX - 2 * CHUNK;
                    continue 'chunks;
                }
                place = Some(here);
            }
            // A folder at the end of a full chunk goes on behind it: the span was cut behind all of it.
            if is_last || place.is_none() {
                return Ok(Children { children, next: None });
            }
        }
    }

    /// Returns a folder that is no item, if anything in it was live, and what it cost to find out.
    fn group(&self, walk: Walk<'_>, place: &Place) -> Result<(Option<Child>, usize), CatalogError> {
        if self.live_among_many(walk.stream, &place.key, walk.then)?.is_some() {
            // It is an item, and is shown in its own place.
            return Ok((None, QUESTION_COST));
        }
        let inside = Span::below(&format!("{}{SEPARATOR}", place.key));
        let bounds = Bounds { rows: 1, looked_at: PROBED_MAX };
        let probe = self.scan(walk.stream, inside, (walk.then, Direction::Forward), bounds)?;
        let is_there = !probe.rows.is_empty() || probe.next.is_some();
        let group = is_there.then(|| Child::Group { key: place.key.clone() });
        Ok((group, 2 * QUESTION_COST + probe.looked_at))
    }
}

impl Place {
    /// Returns whether a key of the same folder belongs to this place.
    fn holds(&self, key: &str) -> bool {
        match key.strip_prefix(self.key.as_str()) {
            Some(rest) if self.is_group => rest.starts_with(SEPARATOR),
            Some(rest) => rest.is_empty(),
            None => false,
        }
    }
}

/// Returns the place of a key that lies somewhere below a folder.
fn place_of(folder: &str, key: &str) -> Place {
    let rest = key.get(folder.len()..).unwrap_or_default();
    match rest.find(SEPARATOR) {
        Some(end) => Place { key: key[..folder.len() + end].to_owned(), is_group: true },
        None => Place { key: key.to_owned(), is_group: false },
    }
}

fn named(child: Child, stream: &StreamName, key: &str) -> Child {
    match child {
        Child::Item(row) => {
            Child::Item(Row { stream: stream.as_str().to_owned(), key: key.to_owned(), ..row })
        }
        group @ Child::Group { .. } => group,
    }
}

#[cfg(test)]
mod tests;
