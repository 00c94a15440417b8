//! What is remembered of each file's newest version, so that the next one can be compared with it.
//!
//! A capturing host cannot read what it stored. A kilobyte of each file beside the journal is enough to tell an edit from
//! encryption. It is a cache: whoever deletes it loses one comparison of each file, and nothing else.

use std::{
    collections::HashMap,
    io::{self, Read},
    path::Path,
};

use connect::{FileItem, FileOf};
use model::{Attribution, Effect, Event, Item, Moment, Severity, Verb};
use ports::files;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use vault::VaultId;
use watch::ransomware::{Alarm, AlarmCause, Campaign, Changed, Names, Sketch, Sketcher, Verdict, compare};

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS vault (id BLOB NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS sketches (
        stream TEXT NOT NULL,
        key    TEXT NOT NULL,
        name   TEXT NOT NULL,
        sketch BLOB NOT NULL,
        PRIMARY KEY (stream, key)
    ) STRICT, WITHOUT ROWID;";

/// Where an item is.
type Place = (String, String);

/// What one batch brings.
#[derive(Default)]
struct Batch {
    known: HashMap<Place, Known>,
    removed: Vec<Place>,
}

/// What is remembered of one file.
#[derive(Clone)]
struct Known {
    name: String,
    sketch: Sketch,
}

/// What is remembered of the files of one source.
pub(crate) struct Sketches {
    file_of: FileOf,
    /// None when it cannot be used: then files are compared within one run alone.
    database: Option<Connection>,
    /// Whether there is anything in it: a first capture need not ask.
    asks: bool,
    /// Those of the commit in the making, and of such as are under way, by their numbers.
    current: Batch,
    batches: Vec<(u64, Batch)>,
    campaign: Campaign,
}

/// A file whose content passes by.
pub(crate) struct Look {
    place: Place,
    file: FileItem,
    sketcher: Sketcher,
}

/// Reads a content and lets it be seen.
pub(crate) struct Tee<'a> {
    pub(crate) body: &'a mut dyn Read,
    pub(crate) look: &'a mut Look,
}

impl Read for Tee<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.body.read(buffer)?;
        self.look.see(&buffer[..length]);
        Ok(length)
    }
}

impl Look {
    /// Sees the next bytes.
    pub(crate) fn see(&mut self, bytes: &[u8]) {
        self.sketcher.push(bytes);
    }
}

impl Sketches {
    /// Opens the file, or makes it; one that belongs to another vault or is damaged is begun anew.
    pub(crate) fn open(path: &Path, vault: VaultId, file_of: FileOf) -> Self {
        let database = open(path, vault).or_else(|_| {
            if path.is_file() {
                drop(files::replace(path, b""));
            }
            open(path, vault)
        });
        let database = database.ok();
        let count = database.as_ref().map(|database| {
            database.query_row("SELECT EXISTS (SELECT 1 FROM sketches)", [], |row| row.get::<_, bool>(0))
        });
        Self {
            file_of,
            asks: matches!(count, Some(Ok(true))),
            database,
            current: Batch::default(),
            batches: Vec::new(),
            campaign: Campaign::new(),
        }
    }

    /// Begins to look at an item, if it is a file.
    pub(crate) fn look(&self, item: &Item) -> Option<Look> {
        let file = (self.file_of)(item)?;
        let place = (item.stream.as_str().to_owned(), item.key.clone());
        Some(Look { place, file, sketcher: Sketcher::new() })
    }

    /// Compares a file with its version before; returns what is to be told, and remembers it.
    pub(crate) fn judge(&mut self, look: Look, now: Moment) -> Option<Event> {
        let Look { place, file, sketcher } = look;
        let sketch = sketcher.finish();
        let verdict = self.previous(&place).map(|previous| {
            let names = Names { previous: &previous.name, present: &file.name };
            compare(&previous.sketch, &sketch, names)
        });
        let whose = file.changed_by.as_ref().map_or(&file.scope, |actor| &actor.identity);
        let alarm = self.campaign.take(Changed {
            at: now,
            whose,
            name: &file.name,
            flagged: verdict.as_ref().is_some_and(|verdict| verdict.flagged),
            new_extension: verdict.as_ref().and_then(|verdict| verdict.new_extension.as_deref()),
        });
        let told = verdict.filter(|verdict| verdict.flagged);
        let event = told.map(|verdict| event(&place, &file, &verdict, alarm.as_ref(), now));
        self.current.known.insert(place, Known { name: file.name, sketch });
        event
    }

    /// Finds what is remembered of a file, or of the one that it was made of: some write `a.doc.locked` and remove `a.doc`.
    fn previous(&mut self, place: &Place) -> Option<Known> {
        if let Some(known) = self.find(place) {
            return Some(known);
        }
        let (stem, extension) = place.1.rsplit_once('.')?;
        if extension.contains('/') {
            return None;
        }
        self.find(&(place.0.clone(), stem.to_owned()))
    }

    fn find(&mut self, place: &Place) -> Option<Known> {
        let waiting = self.batches.iter().rev().map(|(_, batch)| batch);
        if let Some(known) =
            std::iter::once(&self.current).chain(waiting).find_map(|batch| batch.known.get(place))
        {
            return Some(known.clone());
        }
        if !self.asks {
            return None;
        }
        let found = self.database.as_ref().and_then(|database| read(database, place).transpose())?;
        match found {
            Ok((name, bytes)) => Some(Known { name, sketch: Sketch::of_bytes(&bytes).ok()? }),
            Err(_) => {
                self.database = None;
                None
            }
        }
    }

    /// Forgets a file once the commit is there that says that it is gone; until then it may be found under a new name.
    pub(crate) fn removed(&mut self, stream: &str, key: &str) {
        self.current.removed.push((stream.to_owned(), key.to_owned()));
    }

    /// Ends the batch of this number.
    pub(crate) fn end_batch(&mut self, number: u64) {
        self.batches.push((number, std::mem::take(&mut self.current)));
    }

    /// Remembers what commits hold up to this one. Before that a lost commit would be compared with itself.
    pub(crate) fn keep(&mut self, number: u64) {
        let (done, rest) = std::mem::take(&mut self.batches).into_iter().partition(|(own, _)| *own <= number);
        self.batches = rest;
        for (_, batch) in done {
            if batch.known.is_empty() && (batch.removed.is_empty() || !self.asks) {
                continue;
            }
            self.asks = true;
            if self.database.as_mut().is_some_and(|database| write(database, batch).is_err()) {
                self.database = None;
            }
        }
    }
}

fn open(path: &Path, vault: VaultId) -> rusqlite::Result<Connection> {
    let database = Connection::open(path)?;
    database.pragma_update(None, "journal_mode", "WAL")?;
    // What a power cut takes is compared one time less.
    database.pragma_update(None, "synchronous", "OFF")?;
    database.execute_batch(SCHEMA)?;
    let known: Option<[u8; 16]> =
        database.query_row("SELECT id FROM vault", [], |row| row.get(0)).optional()?;
    if known != Some(vault.0) {
        database.execute_batch("BEGIN; DELETE FROM sketches; DELETE FROM vault; COMMIT;")?;
        database.execute("INSERT INTO vault VALUES (?1)", [vault.0])?;
    }
    Ok(database)
}

fn read(database: &Connection, (stream, key): &Place) -> rusqlite::Result<Option<(String, Vec<u8>)>> {
    database
        .prepare_cached("SELECT name, sketch FROM sketches WHERE stream = ?1 AND key = ?2")?
        .query_row([stream, key], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
}

fn write(database: &mut Connection, batch: Batch) -> rusqlite::Result<()> {
    let mut rows: Vec<(Place, Known)> = batch.known.into_iter().collect();
    // In the order of the table, so that its pages are written once each.
    rows.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    let transaction = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
    {
        let mut delete = transaction.prepare_cached("DELETE FROM sketches WHERE stream = ?1 AND key = ?2")?;
        for (stream, key) in batch.removed {
            delete.execute([stream, key])?;
        }
        let mut insert =
            transaction.prepare_cached("INSERT OR REPLACE INTO sketches VALUES (?1, ?2, ?3, ?4)")?;
        for ((stream, key), known) in rows {
            insert.execute(params![stream, key, known.name, known.sketch.to_bytes()])?;
        }
    }
    transaction.commit()
}

/// Tells that a file looks encrypted.
fn event(place: &Place, file: &FileItem, verdict: &Verdict, alarm: Option<&Alarm>, now: Moment) -> Event {
    let reasons: Vec<String> = verdict.why.iter().map(ToString::to_string).collect();
    let mut statement = format!("{} ({:.0} % of it is new)", reasons.join(", "), verdict.novelty * 100.0);
    if let Some(alarm) = alarm {
        let cause = match &alarm.cause {
            AlarmCause::Many => "among the last changes".to_owned(),
            AlarmCause::Extension(extension) => format!("and many now end in .{extension}"),
            AlarmCause::Note(name) => format!("and there is {name:?}"),
        };
        statement =
            format!("{statement}; {} files look encrypted since {}, {cause}", alarm.flagged, alarm.since);
    }
    Event {
        at: file.changed_at.unwrap_or(now),
        position: format!("{now} content {}", place.1),
        transaction: format!("content {} {}", place.1, now.as_micros()),
        scope: file.scope.clone(),
        effects: vec![Effect { verb: Verb::Encrypt, target: file.target.clone(), count: 1 }],
        severity: if alarm.is_some() { Severity::Destructive } else { Severity::Notable },
        actor: file.changed_by.clone(),
        attribution: if file.changed_by.is_some() { Attribution::Inferred } else { Attribution::Unknown },
        statement: Some(statement),
    }
}
