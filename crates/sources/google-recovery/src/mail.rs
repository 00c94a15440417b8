//! Mail: which messages are set back, which are put in again, and doing so.

mod apply;
mod decide;
mod insert;
mod plan;
mod promise;
mod relabel;
mod rows;
mod verify;
mod writer;

pub use plan::{Heading, MailRequest, plan_mail};
pub use promise::promises;
pub use rows::{InsertRow, RelabelRow, StepDetails};
pub use writer::MailWriter;
