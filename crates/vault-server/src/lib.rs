//! An append-only server in front of a vault, for hosts that capture into it from elsewhere.
//!
//! [`Keeper`] decides, without HTTP: what a certificate may do, whether content is what its name says, how long it is
//! locked, and how much room its source has. [`Server`] carries requests to it over TLS with client certificates.
//! Neither has a verb that deletes or overwrites.

pub mod authority;
pub mod capability;
mod checks;
pub mod keeper;
pub mod policy;
pub mod quota;
pub mod request;
pub mod server;
mod tls;

pub use authority::{Authority, AuthorityError, Issued};
pub use capability::{Capability, CapabilityError};
pub use keeper::{Keeper, KeeperError};
pub use policy::Policy;
pub use server::{Server, ServerError, ServerSettings};
