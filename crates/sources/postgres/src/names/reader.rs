//! Reading names by SQL, in a thread of its own: a slow catalog must not hold up the log.

use std::{
    collections::BTreeMap,
    sync::{Arc, mpsc},
    thread,
};

use ports::Clock;
use postgres_wire::{Connection, Limits, Mode, WireError};

use crate::{layout::Relation, settings::ClusterSettings};

/// Relations with the database that owns the file (0 for shared ones) and the file's number.
type Files = Vec<(u32, u32, Relation)>;

/// What the catalogs show at one time. A database that refuses us has no entry among the relations.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) databases: BTreeMap<u32, String>,
    pub(crate) relations: BTreeMap<u32, Files>,
}

/// `pg_relation_filenode` also knows the relations whose file number is not in `pg_class`.
const RELATIONS: &str = "SELECT CASE WHEN c.relisshared THEN 0 ELSE d.oid END, \
        pg_catalog.pg_relation_filenode(c.oid), n.nspname, c.relname, c.oid, c.relkind, \
        coalesce(i.indrelid, t.oid), c.reltuples::bigint \
    FROM pg_catalog.pg_class c \
    JOIN pg_catalog.pg_database d ON d.datname = pg_catalog.current_database() \
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid \
    LEFT JOIN pg_catalog.pg_class t ON t.reltoastrelid = c.oid AND c.relkind = 't' \
    WHERE c.relkind IN ('r', 'i', 't', 'S', 'm') AND c.relpersistence <> 't' \
        AND pg_catalog.pg_relation_filenode(c.oid) IS NOT NULL";

/// Reads the names of all databases that let us in.
fn read_names(settings: &ClusterSettings, clock: &Arc<dyn Clock>) -> Result<Snapshot, WireError> {
    let connect = |database: &str| {
        let target = settings.sql_connection(database);
        Connection::connect(&target, Mode::Sql, &Limits::default(), Arc::clone(clock))
    };
    let home = settings.database();
    let mut connection = connect(&home)?;
    let rows = connection
        .query_rows("SELECT oid, datname, datallowconn FROM pg_catalog.pg_database ORDER BY oid")?;
    let mut snapshot = Snapshot::default();
    for row in &rows {
        let (Some(oid), Some(name)) = (number(row, 0), text(row, 1)) else { continue };
        snapshot.databases.insert(oid, name.clone());
        if text(row, 2).as_deref() != Some("t") {
            continue;
        }
        let relations = if name == home {
            read_relations(&mut connection, &name)
        } else {
            connect(&name).and_then(|mut connection| read_relations(&mut connection, &name))
        };
        if let Ok(relations) = relations {
            snapshot.relations.insert(oid, relations);
        }
    }
    Ok(snapshot)
}

fn read_relations(connection: &mut Connection, database: &str) -> Result<Files, WireError> {
    let rows = connection.query_rows(RELATIONS)?;
    Ok(rows.iter().filter_map(|row| relation(row, database)).collect())
}

fn relation(row: &[Option<String>], database: &str) -> Option<(u32, u32, Relation)> {
    let relation = Relation {
        database: database.to_owned(),
        schema: text(row, 2)?,
        name: text(row, 3)?,
        oid: number(row, 4)?,
        kind: text(row, 5)?.chars().next()?,
        owner_oid: number(row, 6),
        rows_estimate: text(row, 7)?.parse().ok()?,
    };
    Some((number(row, 0)?, number(row, 1)?, relation))
}

fn text(row: &[Option<String>], column: usize) -> Option<String> {
    row.get(column).cloned().flatten()
}

fn number(row: &[Option<String>], column: usize) -> Option<u32> {
    row.get(column)?.as_deref()?.parse().ok()
}

/// A thread that reads names when asked to.
#[derive(Debug)]
pub(crate) struct NameReader {
    requests: mpsc::Sender<()>,
    answers: mpsc::Receiver<Result<Snapshot, WireError>>,
    in_flight: bool,
    again: bool,
}

impl NameReader {
    pub(crate) fn start(settings: ClusterSettings, clock: Arc<dyn Clock>) -> Self {
        let (requests, asked) = mpsc::channel::<()>();
        let (answer, answers) = mpsc::channel();
        // The thread ends when either end of it is dropped.
        thread::spawn(move || {
            while asked.recv().is_ok() {
                if answer.send(read_names(&settings, &clock)).is_err() {
                    return;
                }
            }
        });
        Self { requests, answers, in_flight: false, again: false }
    }

    /// Asks for the names as they are now.
    pub(crate) fn request(&mut self) {
        if self.in_flight {
            // What is being read may be older than what was just seen in the log.
            self.again = true;
        } else {
            self.in_flight = self.requests.send(()).is_ok();
        }
    }

    /// Returns an answer that has come, if one has.
    pub(crate) fn poll(&mut self) -> Option<Result<Snapshot, WireError>> {
        let answer = self.answers.try_recv().ok()?;
        self.in_flight = false;
        if std::mem::take(&mut self.again) {
            self.request();
        }
        Some(answer)
    }

    /// Returns whether every request is answered.
    pub(crate) const fn is_settled(&self) -> bool {
        !self.in_flight
    }
}
