//! Compares files with what is remembered of them, and remembers it.

use std::{collections::HashMap, path::Path};

use connect::FileItem;
use model::{Attribution, Effect, Event, Moment, Severity, Verb};
use ports::files;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use vault::VaultId;
use watch::ransomware::{Alarm, AlarmCause, Campaign, Changed, Names, Sketch, Sketcher, Verdict};

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
pub(super) type Place = (String, String);

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

/// What is remembered of the files of one source, and the one of them that is looked at.
pub(super) struct Comparer {
    sketcher: Sketcher,
    /// None when it cannot be used: then files are compared within one run alone.
    database: Option<Connection>,
    /// Whether there is anything in it: a first capture need not ask.
    asks: bool,
    /// Those of the commit in the making, and of such as are under way, by their numbers.
    current: Batch,
    batches: Vec<(u64, Batch)>,
    campaign: Campaign,
    /// What is to be told of the commit in the making.
    events: Vec<Event>,
}

impl Comparer {
    /// Opens the file, or makes it; one that belongs to another vault or is damaged is begun anew.
    pub(super) fn open(path: &Path, vault: VaultId) -> Self {
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
            sketcher: Sketcher::new(),
            events: Vec::new(),
            asks: matches!(count, Some(Ok(true))),
            database,
            current: Batch::default(),
            batches: Vec::new(),
            campaign: Campaign::new(),
        }
    }

    /// Sees the next bytes of a file.
    pub(super) fn see(&mut self, bytes: &[u8]) {
        self.sketcher.push(bytes);
    }

    /// Forgets the bytes of a file that could not be read to its end.
    pub(super) fn abandon(&mut self) {
        self.sketcher.clear();
    }

    /// Compares the file whose bytes were seen with its version before, and remembers it.
    pub(super) fn judge(&mut self, place: Place, file: FileItem, now: Moment) {
        let previous = self.previous(&place);
        let beside = previous
            .as_ref()
            .map(|previous| (&previous.sketch, Names { previous: &previous.name, present: &file.name }));
        let (sketch, verdict) = self.sketcher.judge(beside);
        let whose = file.changed_by.as_ref().map_or(&file.scope, |actor| &actor.identity);
        let alarm = self.campaign.take(Changed {
            at: now,
            whose,
            name: &file.name,
            flagged: verdict.as_ref().is_some_and(|verdict| verdict.flagged),
            new_extension: verdict.as_ref().and_then(|verdict| verdict.new_extension.as_deref()),
        });
        let told = verdict.filter(|verdict| verdict.flagged);
        self.events.extend(told.map(|verdict| event(&place, &file, &verdict, alarm.as_ref(), now)));
        self.current.known.insert(place, Known { name: file.name, sketch });
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
    pub(super) fn removed(&mut self, place: Place) {
        self.current.removed.push(place);
    }

    /// Ends the batch of this number; returns what is to be told with it.
    pub(super) fn end_batch(&mut self, number: u64) -> Vec<Event> {
        self.batches.push((number, std::mem::take(&mut self.current)));
        std::mem::take(&mut self.events)
    }

    /// Remembers what commits hold up to this one. Before that a lost commit would be compared with itself.
    pub(super) fn keep(&mut self, number: u64) {
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
