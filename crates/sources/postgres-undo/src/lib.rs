//! Plans and applies the undo of transactions, tables and rows in a production database.
//!
//! Two servers are read: a *scratch* one that was recovered to just before what is undone, where everything destroyed
//! still is, and *production*, where life went on. The write-ahead log says which rows a transaction touched, by their
//! place; scratch has their content at exactly these places, however large the table. What is to be done is written
//! down as a [plan](connect::plan::Plan); nothing in production changes before a person has approved it.
//!
//! | what the transaction did | what the plan does | what is a conflict |
//! |---|---|---|
//! | deleted a row, or truncated its table | puts the row back | its key, or another unique value, was taken since |
//! | changed a row | gives it its content back | anybody wrote to the row since: `xmin` is not the transaction's |
//! | added a row | removes it | anybody wrote to the row since |
//! | dropped a table, or what hung on it | makes it again, then puts the rows back | something of this name exists again |
//!
//! Conflicts are listed and left alone. `xmin` survives freezing; after four thousand million transactions numbers are
//! reused, and then every changed or added row is a conflict. A table that was rewritten since (`VACUUM FULL`) has other
//! places: its rows are found by key instead, and rows that the transaction added to it cannot be told.
//!
//! [`plan_transaction`], [`plan_transactions`] and [`plan_rows`] make plans, [`ProductionWriter`] applies and verifies them with a credential of
//! its own.

mod apply;
mod decide;
mod definitions;
mod dropped;
mod dump;
mod error;
mod facts;
mod fold;
mod images;
mod joint;
mod parents;
mod planner;
mod quarantine;
mod rows;
mod session;
mod shape;
mod step;
mod steps;

pub use apply::ProductionWriter;
pub use definitions::{Definitions, DumpAddress, PgDump, PgDumpError};
pub use error::{PlanningError, Side};
pub use joint::{Joint, Stands, plan_transactions};
pub use planner::{Heading, RowSelection, Servers, plan_rows, plan_transaction};
pub use step::{
    AdvanceDetails, ColumnRef, CreateDetails, Details, KeyColumn, Reference, ReferenceColumn, RowsDetails,
    Statement, TableName, UniqueKey,
};
