//! A simulator of Railway's GraphQL API: stateful, on loopback, never the real service.
//!
//! Every answer carries the header `x-simulator: railway`. It knows the subset of the public schema that an
//! inventory, a volume's backups and the destructive mutations need. What the public documentation leaves open is
//! decided here and marked as an assumption where it is decided.

mod audit;
mod backups;
mod deletion;
mod estate;
mod execution;
mod inventory;
mod server;
mod world;

#[cfg(test)]
mod tests;

use std::{fmt, io, sync::Arc};

use ports::Clock;

pub use estate::{BackupHook, DestroyHook, Grace, Plan, RestoreHook, Token, TokenKind, VolumeHooks};
pub use server::RunningRailway;
pub use world::{CarRental, CarRentalOptions, World};

/// How a simulated Railway is started.
#[derive(Clone)]
pub struct RailwayOptions {
    /// The simulator's time: audit entries, grace, expiry and rate limits follow it.
    pub clock: Arc<dyn Clock>,
    /// Decides every id and secret.
    pub seed: u64,
    /// How `volumeDelete` behaves.
    pub grace: Grace,
}

impl fmt::Debug for RailwayOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RailwayOptions")
            .field("seed", &self.seed)
            .field("grace", &self.grace)
            .finish_non_exhaustive()
    }
}

/// Why the simulator did not start.
#[derive(Debug, thiserror::Error)]
pub enum RailwayError {
    /// No port on loopback, or no thread.
    #[error("the simulated railway cannot listen on 127.0.0.1")]
    Listen(#[source] io::Error),
    /// The simulator's own schema is wrong.
    #[error("the simulated railway's schema is invalid: {0}")]
    Schema(String),
}

/// The simulator.
#[derive(Debug)]
pub struct Railway;

impl Railway {
    /// Starts a simulated, empty Railway on a free loopback port, on its own thread.
    pub fn start(options: RailwayOptions) -> Result<RunningRailway, RailwayError> {
        server::start(World::new(options))
    }
}
