//! A witness remembers how large a vault's tree was and what its root was, on another machine, and cosigns only what
//! continues it: C2SP's `tlog-witness` with `cosignature/v1`.
//!
//! [`Witness`] is the machine's memory and its key, [`RunningServer`] answers over HTTP, [`Client`] asks for a vault.

mod client;
mod key;
mod server;
mod state;

pub use client::{Client, Submission, SubmitError, WitnessClock, request};
pub use key::{KeyError, WitnessKey};
pub use server::{RunningServer, ServerError, start};
pub use state::{LogState, Refusal, Witness, WitnessError};
