//! Mail: which messages are set back, which are put in again, and doing so.

mod decide;
mod insert;
mod labels;
mod plan;
mod promise;
mod relabel;
mod step;
mod verify;

pub use plan::known_history;
pub(crate) use promise::promises;
pub(crate) use step::MailStep;
