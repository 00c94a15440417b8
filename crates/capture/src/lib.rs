//! From a source to the vault: the sink that a reader writes to.
//!
//! Items go straight into the commit in the making. Log bytes go into the *journal* first, so that the reader may
//! acknowledge them to its source within milliseconds; at a checkpoint they become part of the commit, which a second
//! thread finishes while the reader goes on. The journal forgets bytes only after their commit is in the vault.

mod chunk_cache;
mod committer;
mod journal_keeper;
mod log_run;
mod session;
mod sketches;

pub use log_run::LogRun;
pub use session::{CaptureError, CaptureReport, Session, SessionOptions};
