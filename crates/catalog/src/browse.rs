//! Pages of a stream in key order, as it was at a moment: by key, forward and back, below a prefix.

use model::StreamName;
use rusqlite::{OptionalExtension, params};

use crate::{Catalog, CatalogError, query::sequence};

/// So many entries of the index are taken at a time.
pub(crate) const CHUNK: usize = 512;
/// So many entries of the index one page looks at, give or take a chunk: where nearly all is deleted or came later, a
/// page may hold little although there is a next one. Whether there is one, the database finds out by itself.
pub(crate) const LOOKED_AT_MAX: usize = 20_000;

/// Which way a page goes from where it begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Direction {
    /// To greater keys.
    #[default]
    Forward,
    /// To smaller keys.
    Back,
}

/// Which page is asked for.
#[derive(Debug, Clone, Copy)]
pub struct PageRequest<'a> {
    /// The commit after which things are shown.
    pub at: u64,
    /// Only keys that begin with this.
    pub prefix: &'a str,
    /// Where it begins; the key itself is not on the page. Without one it begins at the first key, or the last one.
    pub from: Option<&'a str>,
    /// Which way.
    pub direction: Direction,
    /// At most so many items.
    pub limit: u32,
}

/// One stored version, as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its row; rows are in the order in which versions were stored.
    pub id: i64,
    /// The stream.
    pub stream: String,
    /// The key.
    pub key: String,
    /// The attributes, as JSON.
    pub attributes: String,
    /// The commit that brought it.
    pub from: u64,
    /// The commit that replaced or removed it.
    pub until: Option<u64>,
    /// Bytes of content.
    pub size_bytes: u64,
    /// Why there is no content, as JSON.
    pub reason: Option<String>,
}

/// A page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The items in ascending order of keys, whichever way the page goes.
    pub rows: Vec<Row>,
    /// Where the next page in the same direction begins; none at the end.
    pub next: Option<String>,
}

/// Keys from `low` on, and before `high`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) low: String,
    pub(crate) high: String,
}

/// One entry of the index.
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) until: Option<i64>,
    pub(crate) id: i64,
}

/// A moment as the index of keys knows it, so that what was not live then is stepped over without being read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Then {
    /// The commit after which things are shown.
    at: i64,
    /// The first row that came later: rows are in the order of commits.
    end: i64,
}

/// What was live in a span.
pub(crate) struct Scan {
    /// In the order of the way.
    pub(crate) rows: Vec<Row>,
    /// Where it goes on; none at the end.
    pub(crate) next: Option<String>,
    /// Entries of the index that were looked at.
    pub(crate) looked_at: usize,
}

/// How far a scan goes at most.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) rows: usize,
    pub(crate) looked_at: usize,
}

impl Then {
    /// Returns whether the version in a row, that ended so, was live.
    pub(crate) fn holds(self, id: i64, until: Option<i64>) -> bool {
        id < self.end && until.is_none_or(|until| until > self.at)
    }
}

impl Span {
    /// Returns the span of all keys that begin with a prefix.
    pub(crate) fn below(prefix: &str) -> Self {
        Self { low: prefix.to_owned(), high: successor(prefix) }
    }

    /// Leaves what comes behind a key, on the way.
    pub(crate) fn behind(&mut self, key: &str, direction: Direction) {
        match direction {
            Direction::Forward => self.begin(format!("{key}\0")),
            Direction::Back => self.end(key.to_owned()),
        }
    }

    /// Leaves what comes from a key on, on the way.
    pub(crate) fn reach(&mut self, key: String, direction: Direction) {
        match direction {
            Direction::Forward => self.begin(key),
            Direction::Back => self.end(format!("{key}\0")),
        }
    }

    /// Leaves what comes from a key on.
    pub(crate) fn begin(&mut self, low: String) {
        if low > self.low {
            self.low = low;
        }
    }

    /// Leaves what comes before a key.
    pub(crate) fn end(&mut self, high: String) {
        if high < self.high {
            self.high = high;
        }
    }
}

/// Returns the least text that is greater than all that begins with a prefix.
pub(crate) fn successor(prefix: &str) -> String {
    let mut characters: Vec<char> = prefix.chars().collect();
    while let Some(last) = characters.pop() {
        if let Some(next) = (last as u32 + 1..=char::MAX as u32).find_map(char::from_u32) {
            characters.push(next);
            return characters.into_iter().collect();
        }
    }
    // Nothing comes behind this: no key is made of it alone.
    char::MAX.to_string().repeat(64)
}

impl Catalog {
    /// Returns a page of a stream's items in key order.
    ///
    /// It may hold fewer items than there is room for although there is a next one: see [`Page::next`]. An empty page is
    /// the last one.
    pub fn page(&self, stream: &StreamName, request: PageRequest<'_>) -> Result<Page, CatalogError> {
        let Some(id) = self.stream_id(stream.as_str())? else {
            return Ok(Page { rows: Vec::new(), next: None });
        };
        let mut span = Span::below(request.prefix);
        if let Some(from) = request.from {
            span.behind(from, request.direction);
        }
        let then = self.then(request.at)?;
        let bounds = Bounds { rows: request.limit as usize, looked_at: LOOKED_AT_MAX };
        let way = (then, request.direction);
        let mut scan = self.scan(id, span.clone(), way, bounds)?;
        // One that stopped before it was full looked far enough, and goes on only where there is more.
        while scan.rows.len() < bounds.rows
            && let Some(stopped) = &scan.next
        {
            span.behind(stopped, request.direction);
            match self.next_live(id, &span, way)? {
                None => scan.next = None,
                Some(_) if !scan.rows.is_empty() => break,
                Some(key) => {
                    span.reach(key, request.direction);
                    scan = self.scan(id, span.clone(), way, Bounds { looked_at: CHUNK, ..bounds })?;
                }
            }
        }
        let Scan { mut rows, next, .. } = scan;
        for row in &mut rows {
            stream.as_str().clone_into(&mut row.stream);
        }
        if request.direction == Direction::Back {
            rows.reverse();
        }
        Ok(Page { rows, next })
    }

    /// Finds out how the index tells what was live after commit `at`.
    pub(crate) fn then(&self, at: u64) -> Result<Then, CatalogError> {
        Ok(Then { at: sequence(at), end: self.first_row_after(at)? })
    }

    /// Collects what was live in a span. Only what is found is read; the rest is told by the index alone.
    pub(crate) fn scan(
        &self,
        stream: i64,
        mut span: Span,
        (then, direction): (Then, Direction),
        bounds: Bounds,
    ) -> Result<Scan, CatalogError> {
        let mut scan = Scan { rows: Vec::new(), next: None, looked_at: 0 };
        loop {
            let entries = self.entries(stream, &span, direction)?;
            let is_last = entries.len() < CHUNK;
            scan.looked_at += entries.len();
            let mut groups = entries.chunk_by(|a, b| a.key == b.key).peekable();
            while let Some(group) = groups.next() {
                let key = &group[0].key;
                // Of the last key in a full chunk there may be more.
                let is_whole = is_last || groups.peek().is_some();
                let live = if is_whole {
                    self.live_of(group, then)?
                } else {
                    self.live_among_many(stream, key, then)?
                };
                span.behind(key, direction);
                scan.rows.extend(live.map(|row| Row { key: key.clone(), ..row }));
                if scan.rows.len() >= bounds.rows || !is_whole && scan.looked_at >= bounds.looked_at {
                    scan.next = Some(key.clone());
                    return Ok(scan);
                }
            }
            if is_last {
                return Ok(scan);
            }
        }
    }

    /// Returns the first key of a span, on the way, that was live; none where nothing in it was.
    ///
    /// Long ago there were few rows, and they are looked through. Otherwise the database steps through the index alone,
    /// some million entries in a second: only a page pays for it that has looked far enough by itself.
    pub(crate) fn next_live(
        &self,
        stream: i64,
        span: &Span,
        (then, direction): (Then, Direction),
    ) -> Result<Option<String>, CatalogError> {
        let is_long_ago = then.end <= LOOKED_AT_MAX as i64;
        let mut statement = self.database.prepare_cached(match (is_long_ago, direction) {
            (true, Direction::Forward) => FIRST_OF_FEW,
            (true, Direction::Back) => LAST_OF_FEW,
            (false, Direction::Forward) => NEXT_LIVE_FORWARD,
            (false, Direction::Back) => NEXT_LIVE_BACK,
        })?;
        let bounds = params![stream, span.low, span.high, then.end, then.at];
        Ok(statement.query_row(bounds, |row| row.get(0)).optional()?.flatten())
    }

    /// Takes the next entries of the index, in the order of the way; those of one key are together.
    pub(crate) fn entries(
        &self,
        stream: i64,
        span: &Span,
        direction: Direction,
    ) -> Result<Vec<Entry>, CatalogError> {
        let mut statement = self.database.prepare_cached(match direction {
            Direction::Forward => ENTRIES_FORWARD,
            Direction::Back => ENTRIES_BACK,
        })?;
        let rows = statement.query_map(params![stream, span.low, span.high, CHUNK as i64], |row| {
            Ok(Entry { key: row.get(0)?, until: row.get(1)?, id: row.get(2)? })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Reads, of all entries of one key, the version that was live; its stream and key are left empty.
    pub(crate) fn live_of(&self, entries: &[Entry], then: Then) -> Result<Option<Row>, CatalogError> {
        match entries.iter().find(|entry| then.holds(entry.id, entry.until)) {
            Some(entry) => self.row_by_id(entry.id),
            None => Ok(None),
        }
    }

    /// Reads the version of a key that was live, without looking at all versions of it.
    pub(crate) fn live_among_many(
        &self,
        stream: i64,
        key: &str,
        then: Then,
    ) -> Result<Option<Row>, CatalogError> {
        // Versions of one key follow each other: what was live ends first of those that end later, or not at all.
        let ending = self
            .database
            .prepare_cached(ENDING_NEXT)?
            .query_row(params![stream, key, then.at], |row| row.get(0))
            .optional()?;
        let found: Option<i64> = match ending {
            Some(id) => Some(id),
            None => self
                .database
                .prepare_cached(NEWEST)?
                .query_row(params![stream, key], |row| row.get(0))
                .optional()?,
        };
        match found.filter(|id| *id < then.end) {
            Some(id) => self.row_by_id(id),
            None => Ok(None),
        }
    }

    /// Reads one row; its stream and key are left empty.
    pub(crate) fn row_by_id(&self, id: i64) -> Result<Option<Row>, CatalogError> {
        let mut statement = self.database.prepare_cached(ROW)?;
        let row = statement.query_row([id], |row| {
            Ok(Row {
                id,
                stream: String::new(),
                key: String::new(),
                from: row.get::<_, i64>(0)? as u64,
                until: row.get::<_, Option<i64>>(1)?.map(|until| until as u64),
                attributes: row.get(2)?,
                size_bytes: row.get::<_, i64>(3)? as u64,
                reason: row.get(4)?,
            })
        });
        Ok(row.optional()?)
    }

    /// Returns whether a row was live after commit `at`; much cheaper than reading it.
    pub(crate) fn was_live(&self, id: i64, at: u64) -> Result<bool, CatalogError> {
        let mut statement = self.database.prepare_cached(SPAN)?;
        let span = statement
            .query_row([id], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Option<i64>>(1)?)))
            .optional()?;
        let at = sequence(at);
        Ok(span.is_some_and(|(from, until)| from <= at && until.is_none_or(|until| until > at)))
    }

    /// Returns the first row that came after commit `at`: rows are in the order of commits, so that halving finds it.
    pub(crate) fn first_row_after(&self, at: u64) -> Result<i64, CatalogError> {
        let mut statement = self.database.prepare_cached(ROW_FROM)?;
        let (mut low, mut high) = (1, self.last_row()? + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            let from = statement.query_row([middle], |row| row.get::<_, i64>(0)).optional()?;
            if from.is_some_and(|from| from <= sequence(at)) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    /// Returns one row with its stream and key.
    pub fn row(&self, id: i64) -> Result<Option<Row>, CatalogError> {
        let mut statement = self.database.prepare_cached(
            "SELECT s.name, v.key FROM versions v JOIN streams s ON s.id = v.stream WHERE v.id = ?1",
        )?;
        let names = statement.query_row([id], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        let Some((stream, key)) = names else { return Ok(None) };
        Ok(self.row_by_id(id)?.map(|row| Row { stream, key, ..row }))
    }

    /// Returns the version of an item that was live after commit `at`, however many versions it has.
    pub fn row_at(&self, stream: &StreamName, key: &str, at: u64) -> Result<Option<Row>, CatalogError> {
        let Some(id) = self.stream_id(stream.as_str())? else { return Ok(None) };
        let row = self.live_among_many(id, key, self.then(at)?)?;
        Ok(row.map(|row| Row { stream: stream.as_str().to_owned(), key: key.to_owned(), ..row }))
    }

    /// Returns the number of a stream.
    pub(crate) fn stream_id(&self, stream: &str) -> Result<Option<i64>, CatalogError> {
        let mut statement = self.database.prepare_cached("SELECT id FROM streams WHERE name = ?1")?;
        Ok(statement.query_row([stream], |row| row.get(0)).optional()?)
    }
}

pub(crate) const ENTRIES_FORWARD: &str = "SELECT key, until_sequence, id FROM versions
     WHERE stream = ?1 AND key >= ?2 AND key < ?3 ORDER BY key, until_sequence LIMIT ?4";
pub(crate) const ENTRIES_BACK: &str = "SELECT key, until_sequence, id FROM versions
     WHERE stream = ?1 AND key >= ?2 AND key < ?3 ORDER BY key DESC, until_sequence DESC LIMIT ?4";
pub(crate) const NEXT_LIVE_FORWARD: &str = "SELECT key FROM versions
     WHERE stream = ?1 AND key >= ?2 AND key < ?3 AND +id < ?4
       AND (until_sequence IS NULL OR until_sequence > ?5) ORDER BY key LIMIT 1";
pub(crate) const NEXT_LIVE_BACK: &str = "SELECT key FROM versions
     WHERE stream = ?1 AND key >= ?2 AND key < ?3 AND +id < ?4
       AND (until_sequence IS NULL OR until_sequence > ?5) ORDER BY key DESC LIMIT 1";
pub(crate) const FIRST_OF_FEW: &str = "SELECT min(+key) FROM versions
     WHERE id < ?4 AND +stream = ?1 AND +key >= ?2 AND +key < ?3
       AND (until_sequence IS NULL OR until_sequence > ?5)";
pub(crate) const LAST_OF_FEW: &str = "SELECT max(+key) FROM versions
     WHERE id < ?4 AND +stream = ?1 AND +key >= ?2 AND +key < ?3
       AND (until_sequence IS NULL OR until_sequence > ?5)";
pub(crate) const ROW: &str =
    "SELECT from_sequence, until_sequence, attributes, size_bytes, reason FROM versions WHERE id = ?1";
pub(crate) const SPAN: &str = "SELECT from_sequence, until_sequence FROM versions WHERE id = ?1";
pub(crate) const ROW_FROM: &str = "SELECT from_sequence FROM versions WHERE id >= ?1 ORDER BY id LIMIT 1";
/// Several may end in one commit where an item changed twice in it: the first of them was there before.
pub(crate) const ENDING_NEXT: &str = "SELECT id FROM versions
     WHERE stream = ?1 AND key = ?2 AND until_sequence > ?3 ORDER BY until_sequence, id LIMIT 1";
pub(crate) const NEWEST: &str =
    "SELECT id FROM versions WHERE stream = ?1 AND key = ?2 AND until_sequence IS NULL";

#[cfg(test)]
mod tests;
