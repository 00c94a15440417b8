//! Who may do what: people with passkeys and roles, sessions, invitations, and tokens of service identities.
//!
//! A person proves who they are with a passkey (WebAuthn): a key that never leaves their device and answers to one
//! origin only. There is no password. What a person approves is signed by the passkey itself, over a statement, and
//! holds without this crate's files: [`PasskeyAssertion::verify`].
//!
//! Service identities hold tokens with scopes. No [`Scope`] approves, applies, manages or contains.
//!
//! What makes protection less is a [`Weakening`]. Such a change is planned here ([`Access::plan_change`]) and done only
//! with an [`Authorised`] value, which comes from an approved case or from whoever runs the command line on the host.
//!
//! Everything is kept in files below one folder, replaced as one step each, under a lock that also other processes
//! respect. Secrets (invitations, sessions, tokens) are kept as hashes.

mod access;
mod assertion;
mod bytes;
mod cbor;
mod ceremony;
mod change;
mod client_data;
mod error;
mod invitation;
mod key;
mod name;
mod party;
mod permission;
mod person;
mod record;
mod registration;
mod secret;
mod session;
mod store;
#[cfg(feature = "testing")]
pub mod testing;
mod token;

pub use access::Access;
pub use assertion::{AssertionError, PasskeyAssertion, parse_assertion, statement_challenge};
pub use bytes::Bytes;
pub use ceremony::Ceremony;
pub use change::{ApprovedCase, Authorised, Change, ChangeHash, Edit, Outcome, VaultOpened, Weakening};
pub use error::AccessError;
pub use invitation::Invitation;
pub use key::{CredentialId, PublicKey, PublicPasskey};
pub use name::{PersonName, ServiceName};
pub use party::{PartyError, RelyingParty};
pub use permission::{Permission, Principal, Role, Scope, Standing, allows};
pub use person::{PasskeyNote, Person};
pub use record::{Entry, Event, NoRecord, Record, RecordError};
pub use registration::{RegistrationError, parse_registration};
pub use session::{NewSession, SignedIn};
pub use token::{NewToken, ServiceIdentity, TokenNote};
