//! The witness: it records every acknowledged transaction outside of the database and of the vault.
//!
//! The record is a file of JSON lines that is only ever appended to. A line is handed to the operating system before
//! the next transaction begins, so it survives the death of every process, though not a power cut.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, Write},
    path::Path,
};

use model::Moment;
use ports::{Clock, files::FileError};
use serde::{Deserialize, Serialize};

use super::{Operation, OperationKind, Rental, RentalTable, RowState, writer::KEY_GAP};

/// Why the witness cannot record or remember.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    /// The file cannot be written or read.
    #[error(transparent)]
    File(#[from] FileError),
    /// A line is no record; only the last one may be cut off.
    #[error("line {line} of the witness is no record")]
    Line {
        /// The line's number, from 1.
        line: usize,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
}

/// One line of the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledged {
    /// The operation's number.
    pub operation_id: u64,
    /// Its kind.
    pub kind: OperationKind,
    /// Whether the database acknowledged; if not, the outcome is unknown.
    pub acknowledged: bool,
    /// Nanoseconds of elapsed time when the answer came.
    pub elapsed_ns: u64,
    /// Wall time when the answer came.
    pub acknowledged_at: Moment,
    /// The rows that the operation leaves behind.
    pub rows: Vec<RowState>,
}

/// The writing end of the record.
#[derive(Debug)]
pub struct Witness {
    file: File,
    path: std::path::PathBuf,
}

impl Witness {
    /// Opens a record to append to, and makes it if there is none.
    pub fn open(path: &Path) -> Result<Self, WitnessError> {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .map_err(|source| FileError::new("open", path, source))?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// Records that an operation's COMMIT was acknowledged just now.
    pub fn acknowledge(&mut self, clock: &dyn Clock, operation: &Operation) -> Result<(), WitnessError> {
        self.append(clock, operation, true)
    }

    /// Records that an operation was sent and no answer came.
    pub fn unknown(&mut self, clock: &dyn Clock, operation: &Operation) -> Result<(), WitnessError> {
        self.append(clock, operation, false)
    }

    fn append(
        &mut self,
        clock: &dyn Clock,
        operation: &Operation,
        acknowledged: bool,
    ) -> Result<(), WitnessError> {
        let record = Acknowledged {
            operation_id: operation.id,
            kind: operation.kind,
            acknowledged,
            elapsed_ns: u64::try_from(clock.elapsed().as_nanos()).unwrap_or(u64::MAX),
            acknowledged_at: clock.now(),
            rows: operation.rows.clone(),
        };
        let failed = |source| FileError::new("append to", &self.path, source);
        let mut line = serde_json::to_vec(&record).map_err(|e| failed(e.into()))?;
        line.push(b'\n');
        self.file.write_all(&line).map_err(failed)?;
        Ok(())
    }
}

/// A row that is not as the witness remembers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Loss {
    /// The table's name.
    pub table: String,
    /// The row's key.
    pub key: u64,
    /// The operation that last wrote it; absent for a row of the load.
    pub operation_id: Option<u64>,
    /// How long before the wipe that write was acknowledged, when both are known.
    pub before_wipe_micros: Option<i64>,
    /// What the row must say; absent for a row that must not be there.
    pub expected: Option<String>,
    /// What the row says; absent when it is missing.
    pub found: Option<String>,
    /// The earlier operation whose state of the row was found: then only later writes are lost.
    pub found_operation_id: Option<u64>,
}

/// The comparison of a database with the record, over loaded and written rows alike.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct WitnessReport {
    /// Acknowledged transactions on record.
    pub acknowledged: u64,
    /// Rows that must be there.
    pub expected_rows: u64,
    /// Rows that are there and say what they must.
    pub present: u64,
    /// How many rows are missing; `missing` names at most [`EXAMPLES_MAX`] of them.
    pub missing_rows: u64,
    /// Missing rows.
    pub missing: Vec<Loss>,
    /// How many rows say something else.
    pub different_rows: u64,
    /// Rows that say something else.
    pub different: Vec<Loss>,
    /// How many rows nobody is known to have written.
    pub unexpected_rows: u64,
    /// Rows that nobody is known to have written.
    pub unexpected: Vec<Loss>,
    /// Rows whose last write was sent and never answered: either state is right.
    pub in_flight: u64,
    /// Acknowledged transactions of which at least one row is missing or older than it must be.
    pub lost_transactions: u64,
}

/// How many rows of each kind a report names; all are counted.
pub const EXAMPLES_MAX: usize = 1_000;

impl WitnessReport {
    /// Returns whether every row is there, says what it must, and no other is.
    pub const fn is_identical(&self) -> bool {
        self.missing_rows == 0 && self.different_rows == 0 && self.unexpected_rows == 0
    }
}

#[derive(Debug, Default)]
pub(super) struct History {
    /// Acknowledged states, oldest first: operation, time, text.
    pub(super) states: Vec<(u64, Moment, String)>,
    unknown: Option<String>,
}

/// The reading end of the record.
#[derive(Debug)]
pub struct WitnessLog {
    acknowledged: u64,
    last_acknowledged_at: Option<Moment>,
    pub(super) rows: BTreeMap<(RentalTable, u64), History>,
}

const WITNESSED: [RentalTable; 3] = [RentalTable::Customers, RentalTable::Bookings, RentalTable::Payments];

impl WitnessLog {
    /// Reads a record.
    pub fn read(path: &Path) -> Result<Self, WitnessError> {
        let file = File::open(path).map_err(|source| FileError::new("open", path, source))?;
        let mut log = Self { acknowledged: 0, last_acknowledged_at: None, rows: BTreeMap::new() };
        let mut lines = BufReader::new(file).lines().enumerate().peekable();
        while let Some((index, line)) = lines.next() {
            let line = line.map_err(|source| FileError::new("read", path, source))?;
            match serde_json::from_str::<Acknowledged>(&line) {
                Ok(record) => log.add(record),
                // The recording process died in the middle of its last line: that write was never acted upon.
                Err(source) if source.is_eof() && lines.peek().is_none() => {}
                Err(source) => return Err(WitnessError::Line { line: index + 1, source }),
            }
        }
        Ok(log)
    }

    fn add(&mut self, record: Acknowledged) {
        if record.acknowledged {
            self.acknowledged += 1;
            self.last_acknowledged_at = Some(record.acknowledged_at);
        }
        for row in record.rows {
            let Some(table) = WITNESSED.into_iter().find(|table| table.name() == row.table) else { continue };
            let history = self.rows.entry((table, row.key)).or_default();
            if record.acknowledged {
                history.states.push((record.operation_id, record.acknowledged_at, row.text));
                history.unknown = None;
            } else {
                history.unknown = Some(row.text);
            }
        }
    }

    /// Returns how many transactions were acknowledged.
    pub const fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Returns when the last one was.
    pub const fn last_acknowledged_at(&self) -> Option<Moment> {
        self.last_acknowledged_at
    }

    /// Returns the queries that give a database's rows in the form that the witness compares: table, key, text.
    ///
    /// Left out are only what the server decides by itself: `updated_at` and the invoice numbers.
    pub const fn queries() -> [&'static str; 3] {
        [
            "SELECT 'customers', customer_id::text, concat_ws('|', full_name, email, phones[1], address->>'city', \
             loyalty_points, to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')) FROM public.customers",
            "SELECT 'bookings', booking_id::text, concat_ws('|', customer_id, vehicle_id, pickup_location_id, \
             return_location_id, to_char(starts_on, 'YYYY-MM-DD'), to_char(ends_on, 'YYYY-MM-DD'), status, \
             daily_rate, days, total, coalesce(notes, ''), revision) FROM public.bookings",
            "SELECT 'payments', payment_id::text, concat_ws('|', booking_id, amount, method, reference, \
             to_char(paid_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')) FROM public.payments",
        ]
    }

    /// Compares a database's rows with what was loaded and acknowledged; the rows may come in any order.
    pub fn compare(
        &self,
        rental: &Rental,
        wiped_at: Option<Moment>,
        rows: impl IntoIterator<Item = (String, u64, String)>,
    ) -> WitnessReport {
        let mut comparison = Comparison {
            log: self,
            rental,
            wiped_at,
            report: WitnessReport { acknowledged: self.acknowledged, ..WitnessReport::default() },
            seen: BTreeMap::new(),
            lost: std::collections::BTreeSet::new(),
        };
        for (table, key, text) in rows {
            comparison.take(&table, key, text);
        }
        comparison.finish()
    }
}

struct Comparison<'a> {
    log: &'a WitnessLog,
    rental: &'a Rental,
    wiped_at: Option<Moment>,
    report: WitnessReport,
    /// For each table, one bit for each loaded row and the set of the writer's keys.
    seen: BTreeMap<RentalTable, (Vec<bool>, std::collections::BTreeSet<u64>)>,
    lost: std::collections::BTreeSet<u64>,
}

impl Comparison<'_> {
    fn take(&mut self, table: &str, key: u64, text: String) {
        let Some(table) = WITNESSED.into_iter().find(|known| known.name() == table) else {
            let loss = self.loss(table, key, None, None, Some(text));
            return note(&mut self.report.unexpected_rows, &mut self.report.unexpected, loss);
        };
        let count = self.rental.count(table);
        let (loaded, written) = self.seen.entry(table).or_insert_with(|| {
            (vec![false; usize::try_from(count).unwrap_or(usize::MAX)], std::collections::BTreeSet::new())
        });
        match key.checked_sub(1).and_then(|at| loaded.get_mut(usize::try_from(at).unwrap_or(usize::MAX))) {
            Some(bit) => *bit = true,
            None => {
                written.insert(key);
            }
        }
        let history = self.log.rows.get(&(table, key));
        let last = history.and_then(|history| history.states.last());
        let unknown = history.and_then(|history| history.unknown.as_ref());
        let base = if key <= count { self.rental.text(table, key) } else { None };
        let expected = last.map(|(_, _, text)| text.clone()).or_else(|| base.clone());
        if unknown == Some(&text) {
            self.report.in_flight += 1;
            return;
        }
        match expected {
            Some(expected) if expected == text => self.report.present += 1,
            None => {
                let loss = self.loss(table.name(), key, None, None, Some(text));
                note(&mut self.report.unexpected_rows, &mut self.report.unexpected, loss);
            }
            Some(expected) => {
                let states = history.map_or(&[][..], |history| &history.states);
                let found_at = states.iter().rposition(|(_, _, state)| *state == text);
                let first_lost = match found_at {
                    Some(at) => at + 1,
                    None => 0,
                };
                self.lost.extend(states[first_lost..].iter().map(|(id, _, _)| *id));
                let mut loss = self.loss(table.name(), key, last, Some(expected), Some(text));
                loss.found_operation_id = found_at.map(|at| states[at].0);
                note(&mut self.report.different_rows, &mut self.report.different, loss);
            }
        }
    }

    fn loss(
        &self,
        table: &str,
        key: u64,
        last: Option<&(u64, Moment, String)>,
        expected: Option<String>,
        found: Option<String>,
    ) -> Loss {
        let before_wipe = |at: Moment| self.wiped_at.map(|wiped_at| wiped_at.micros_since(at));
        Loss {
            table: table.to_owned(),
            key,
            operation_id: last.map(|(id, _, _)| *id),
            before_wipe_micros: last.and_then(|(_, at, _)| before_wipe(*at)),
            expected,
            found,
            found_operation_id: None,
        }
    }

    fn finish(mut self) -> WitnessReport {
        let mut expected_rows = 0;
        for table in WITNESSED {
            let count = self.rental.count(table);
            let (loaded, written) = self.seen.remove(&table).unwrap_or_default();
            for key in 1..=count {
                let seen = usize::try_from(key - 1).ok().and_then(|at| loaded.get(at));
                if seen.copied() != Some(true) {
                    self.miss(table, key);
                }
            }
            expected_rows += count;
            let log = self.log;
            for ((_, key), history) in log.rows.range((table, KEY_GAP)..=(table, u64::MAX)) {
                if history.states.is_empty() {
                    continue;
                }
                expected_rows += 1;
                if !written.contains(key) {
                    self.miss(table, *key);
                }
            }
        }
        self.report.expected_rows = expected_rows;
        self.report.lost_transactions = self.lost.len() as u64;
        self.report
    }

    fn miss(&mut self, table: RentalTable, key: u64) {
        let states = self.log.rows.get(&(table, key)).map_or(&[][..], |history| &history.states);
        self.lost.extend(states.iter().map(|(id, _, _)| *id));
        let last = states.last();
        let expected = last.map(|(_, _, text)| text.clone()).or_else(|| {
            // Working out a row costs; beyond the examples nobody looks at it.
            let wanted = self.report.missing.len() < EXAMPLES_MAX;
            if wanted { self.rental.text(table, key) } else { None }
        });
        let loss = self.loss(table.name(), key, last, expected, None);
        note(&mut self.report.missing_rows, &mut self.report.missing, loss);
    }
}

fn note(count: &mut u64, examples: &mut Vec<Loss>, loss: Loss) {
    *count += 1;
    if examples.len() < EXAMPLES_MAX {
        examples.push(loss);
    }
}
