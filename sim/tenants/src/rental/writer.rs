//! The continuous writer: ordinary business, one transaction at a time.

use std::collections::{BTreeMap, BTreeSet};

use ports::{Clock, SeededRandom};
use serde::{Deserialize, Serialize};

use super::{
    Rental, RentalTable, Witness, WitnessError,
    rows::{Booking, Payment, customer_from, date, money, pick, timestamp, today},
};

/// What kind of business an operation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationKind {
    /// A new booking with its payment.
    Book,
    /// A booking's status moves on.
    Progress,
    /// A new customer.
    Register,
    /// A booking is cancelled and the money paid back.
    Cancel,
}

/// What a row says after an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowState {
    /// The table's name.
    pub table: String,
    /// The row's key.
    pub key: u64,
    /// The row, in the form of [`super::WitnessLog::queries`].
    pub text: String,
}

/// One business transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// Its number, from 1.
    pub id: u64,
    /// Its kind.
    pub kind: OperationKind,
    /// The whole transaction, from `BEGIN` to `COMMIT`.
    pub sql: String,
    /// The rows that it leaves behind.
    pub rows: Vec<RowState>,
    booking: Option<(u64, Booking)>,
}

/// Why a step of the writer failed.
#[derive(Debug, thiserror::Error)]
pub enum StepError<E: std::error::Error + 'static> {
    /// The database did not acknowledge; whether it committed is unknown.
    #[error("the database did not acknowledge operation {id}")]
    Unacknowledged {
        /// The operation.
        id: u64,
        /// The executor's error.
        #[source]
        source: E,
    },
    /// The witness could not record.
    #[error(transparent)]
    Witness(#[from] WitnessError),
}

/// How far above the loaded rows the writer's own keys begin; identity sequences stay far below.
pub(super) const KEY_GAP: u64 = 1_000_000_000;
const OWN_BOOKINGS_MAX: usize = 4_096;

/// Yields the next business operation; the seed and the number of the step decide it.
#[derive(Debug)]
pub struct RentalWriter {
    rental: Rental,
    random: SeededRandom,
    next_id: u64,
    /// Bookings that were touched; those of the load that were not are worked out.
    touched: BTreeMap<u64, Booking>,
    recent: Vec<u64>,
    /// Bookings whose last change has an unknown outcome.
    abandoned: BTreeSet<u64>,
}

impl RentalWriter {
    /// Makes a writer for a loaded database.
    pub fn new(rental: Rental, seed: u64) -> Self {
        let random = SeededRandom::new(seed);
        Self {
            rental,
            random,
            next_id: 1,
            touched: BTreeMap::new(),
            recent: Vec::new(),
            abandoned: BTreeSet::new(),
        }
    }

    /// Runs the next operation and has its acknowledgement witnessed.
    ///
    /// `execute` returns when COMMIT was acknowledged. If it fails, the operation is recorded as one of unknown
    /// outcome, and the writer will not touch its rows again.
    pub fn step<E: std::error::Error + 'static>(
        &mut self,
        clock: &dyn Clock,
        witness: &mut Witness,
        execute: impl FnOnce(&str) -> Result<(), E>,
    ) -> Result<Operation, StepError<E>> {
        let operation = self.next_operation();
        match execute(&operation.sql) {
            Ok(()) => {
                witness.acknowledge(clock, &operation)?;
                self.settle(&operation);
                Ok(operation)
            }
            Err(source) => {
                if let Some((key, _)) = operation.booking {
                    self.abandoned.insert(key);
                    self.recent.retain(|recent| *recent != key);
                }
                witness.unknown(clock, &operation)?;
                Err(StepError::Unacknowledged { id: operation.id, source })
            }
        }
    }

    /// Returns the next operation; [`Self::settle`] must follow once it was acknowledged.
    pub fn next_operation(&mut self) -> Operation {
        let id = self.next_id;
        self.next_id += 1;
        match self.random.below(10) {
            0 => self.register(id),
            1 => self.change(id, true),
            2..=4 => self.change(id, false),
            _ => self.book(id),
        }
    }

    /// Takes note that an operation was acknowledged.
    pub fn settle(&mut self, operation: &Operation) {
        if let Some((key, booking)) = &operation.booking {
            self.touched.insert(*key, booking.clone());
            if operation.kind == OperationKind::Book {
                if self.recent.len() == OWN_BOOKINGS_MAX {
                    self.recent.remove(0);
                }
                self.recent.push(*key);
            }
        }
    }

    fn time_text(id: u64) -> String {
        // The writer's own business time: a minute for each operation, so that a seed gives the same SQL.
        let minutes = id % (1_440 * 365);
        timestamp(today() + (minutes / 1_440) as i64, minutes % 1_440 * 60)
    }

    fn payment(&self, id: u64, booking_id: u64, amount_cents: i64) -> (Payment, String) {
        let payment = Payment {
            booking_id,
            amount_cents,
            method: pick(&self.random, &["card", "transfer", "paypal"]),
            reference: format!("W-{id:012}"),
            paid_at: Self::time_text(id),
        };
        let sql = format!(
            "INSERT INTO public.payments (payment_id, booking_id, amount, method, reference, paid_at) \
             VALUES ({}, {booking_id}, {}, '{}', '{}', '{}+00');",
            KEY_GAP + id,
            money(amount_cents),
            payment.method,
            payment.reference,
            payment.paid_at
        );
        (payment, sql)
    }

    fn book(&self, id: u64) -> Operation {
        let key = KEY_GAP + id;
        let booking = self.rental.booking_from(&self.random, today() + 1 + self.random.below(90) as i64);
        let (payment, payment_sql) = self.payment(id, key, booking.total_cents());
        let notes = booking.notes.map_or("NULL".to_owned(), quote);
        let sql = format!(
            "BEGIN; INSERT INTO public.bookings (booking_id, customer_id, vehicle_id, pickup_location_id, \
             return_location_id, starts_on, ends_on, status, daily_rate, notes) VALUES ({key}, {}, {}, {}, {}, '{}', \
             '{}', '{}', {}, {notes}); {payment_sql} COMMIT;",
            booking.customer_id,
            booking.vehicle_id,
            booking.pickup_location_id,
            booking.return_location_id,
            date(booking.starts_on),
            date(booking.starts_on + booking.days),
            booking.status,
            money(booking.daily_rate_cents as i64)
        );
        let rows = vec![
            row(RentalTable::Bookings, key, booking.text()),
            row(RentalTable::Payments, key, payment.text()),
        ];
        Operation { id, kind: OperationKind::Book, sql, rows, booking: Some((key, booking)) }
    }

    fn register(&self, id: u64) -> Operation {
        let key = KEY_GAP + id;
        let customer = customer_from(&self.random, key, Self::time_text(id));
        let sql = format!(
            "BEGIN; INSERT INTO public.customers (customer_id, full_name, email, phones, address, loyalty_points, \
             created_at) VALUES ({key}, {}, '{}', ARRAY['{}'], jsonb_build_object('city', {}), {}, '{}+00'); COMMIT;",
            quote(&customer.full_name),
            customer.email,
            customer.phone,
            quote(customer.city),
            customer.loyalty_points,
            customer.created_at
        );
        let rows = vec![row(RentalTable::Customers, key, customer.text())];
        Operation { id, kind: OperationKind::Register, sql, rows, booking: None }
    }

    /// Moves a booking on, or cancels it; half of the time one of the writer's own, else one of the load.
    fn change(&self, id: u64, cancel: bool) -> Operation {
        let key = if !self.recent.is_empty() && self.random.below(2) == 0 {
            pick(&self.random, &self.recent)
        } else {
            1 + self.random.below(self.rental.size().bookings)
        };
        if self.abandoned.contains(&key) {
            return self.book(id);
        }
        let mut booking = self.touched.get(&key).cloned().unwrap_or_else(|| self.rental.booking(key));
        booking.status = match (cancel, booking.status) {
            (true, _) => "cancelled",
            (false, "reserved") => "active",
            (false, "active") => "completed",
            (false, _) => "reserved",
        };
        booking.revision += 1;
        let mut sql = format!(
            "BEGIN; UPDATE public.bookings SET status = '{}' WHERE booking_id = {key};",
            booking.status
        );
        let mut rows = vec![row(RentalTable::Bookings, key, booking.text())];
        if cancel {
            let (refund, refund_sql) = self.payment(id, key, -booking.total_cents());
            sql.push(' ');
            sql.push_str(&refund_sql);
            rows.push(row(RentalTable::Payments, KEY_GAP + id, refund.text()));
        }
        sql.push_str(" COMMIT;");
        let kind = if cancel { OperationKind::Cancel } else { OperationKind::Progress };
        Operation { id, kind, sql, rows, booking: Some((key, booking)) }
    }
}

fn row(table: RentalTable, key: u64, text: String) -> RowState {
    RowState { table: table.name().to_owned(), key, text }
}

fn quote(text: &str) -> String {
    // Standard strings take everything but the quote as it is.
    format!("'{}'", text.replace('\'', "''"))
}
