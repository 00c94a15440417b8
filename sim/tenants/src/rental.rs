//! The car-rental database: believable content of any size, a continuous writer, and an outside witness.
//!
//! A seed decides every row, and every row can be worked out alone: so the witness can tell what each row of a
//! restored database must say, the million that were loaded as well as the few that were written since.

pub mod rows;
pub mod saastr;
pub mod witness;
pub mod writer;

#[cfg(test)]
mod tests;

pub use rows::{Booking, CopyStream, Customer, Payment, RentalSize, RentalTable};
pub use witness::{Acknowledged, Loss, Witness, WitnessError, WitnessLog, WitnessReport};
pub use writer::{Operation, OperationKind, RentalWriter, RowState, StepError};

/// A car-rental database, decided by its size and seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rental {
    size: RentalSize,
    seed: u64,
}

impl Rental {
    /// Describes a database with so many bookings; everything else is in proportion.
    pub const fn new(bookings: u64, seed: u64) -> Self {
        Self { size: RentalSize::of_bookings(bookings), seed }
    }

    /// Returns how many rows each table has.
    pub const fn size(&self) -> RentalSize {
        self.size
    }

    /// Returns the SQL that makes the roles, types, tables and sequences; run it first.
    pub const fn ddl_before_load() -> &'static str {
        include_str!("rental/before_load.sql")
    }

    /// Returns the SQL that makes keys, indexes, view, trigger and grants, and moves the sequences past the load.
    pub const fn ddl_after_load() -> &'static str {
        include_str!("rental/after_load.sql")
    }

    /// Returns the statement that takes a table's stream.
    pub const fn copy_statement(table: RentalTable) -> &'static str {
        table.copy_statement()
    }

    /// Returns a table's content in COPY text format.
    pub const fn copy(&self, table: RentalTable) -> CopyStream {
        CopyStream::new(*self, table)
    }
}
