//! PostgreSQL servers of our own: found, started, recovered to a moment, cloned, rolled forward.
//!
//! Nothing here speaks SQL. Readiness, progress and outcome are read from files that every server keeps: its
//! process file, its control file and its log. Production's configuration is never used for a private server.

pub mod account;
pub mod clone;
pub mod control_file;
pub mod installation;
pub mod launch;
pub mod lsn;
pub mod recovery;
pub mod server;
pub mod settings;
pub mod shadow;
#[cfg(feature = "testing")]
#[expect(clippy::expect_used, reason = "a test has nobody to hand an error to")]
pub mod testing;

pub use account::{Account, AccountError};
pub use clone::{CloneError, CloneOptions, CloneReport, clone_directory};
pub use installation::{Installation, InstallationError, Installations};
pub use launch::{Configuration, Launch, Listen};
pub use recovery::{Action, Recovery, RecoveryError, Target, Timeline, WalSource};
pub use server::{InitOptions, RunningServer, Server, ServerError, StopMode};
pub use settings::Settings;
pub use shadow::{Generation, Roll, Scratch, ScratchRequest, Shadow, ShadowError};
