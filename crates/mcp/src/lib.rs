//! What agents may ask of an installation, over the Model Context Protocol: a closed list of tools that read, announce and
//! request.
//!
//! There is no tool that deletes, weakens, approves, applies or contains, and none can be added by mistake: this crate
//! knows neither vault nor workshop, only a [`Desk`] without any such verb. What an agent requests waits for a person,
//! who decides elsewhere.
//!
//! Text from items is data: it is masked, made visible, bounded, and returned under `untrusted_content` alone.

mod arguments;
mod calls;
mod clean;
mod counter;
mod desk;
mod listen;
pub mod mask;
mod quota;
mod schema;
mod server;
pub mod sql;
mod tool;

pub use arguments::{
    CaptureWish, FindWish, IntentWish, ItemId, ItemWish, MomentsWish, QueryWish, ReachWish, RestoreWish,
    Target,
};
pub use counter::{Caller, Counter, Refusal};
pub use desk::{Answer, Desk, DeskError, DeskErrorKind};
pub use listen::{ListenError, Listener, Recognise, serve_stdio, service};
pub use quota::QUOTAS;
pub use server::AgentServer;
pub use tool::{Tool, reference};

#[cfg(test)]
mod tests;
