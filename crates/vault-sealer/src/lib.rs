//! The sealer: the one process of a machine that may set and clear the immutable flags of a vault's files.
//!
//! It writes every object itself, after deriving anew that the object is what its name says, so the vault's folder
//! belongs to it and nobody else needs a right to write there. It keeps its own record of lock dates and its own
//! idea of time, and removes nothing unless both say so. It has no network and no key.

mod attacks;
mod flags;
mod floor;
mod folder;
mod gate;
mod privileges;
mod record;
mod sealer;
mod socket;

pub use attacks::{Attack, try_attacks};
pub use floor::{ClockFloor, NoReaping, ReapGate, Refusal};
pub use gate::RetentionGate;
pub use privileges::{PrivilegeError, keep_only_immutable};
pub use sealer::{Sealer, SealerError, SealerOptions};
pub use socket::{SealerSocket, SocketError};
