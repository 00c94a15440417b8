//! A synchronous client of the PostgreSQL protocol, version 3: SQL, COPY and replication, servers 13 to 18.
//!
//! It exists because no Rust client speaks physical replication and `BASE_BACKUP` of all supported majors.
//! Every read has a timeout, every length that comes from the peer has a limit, and data that streams through
//! is lent out of one buffer. Failures are [`WireError`]s, sorted by what the caller does about them, with hints
//! a person can run.
//!
//! | module | noun |
//! |---|---|
//! | [`settings`] | where to connect, as whom, how secured |
//! | [`connection`] | a session: TLS, authentication, notices, cancelling |
//! | [`sql`], [`copy`] | queries, COPY in and out |
//! | [`replication`] | replication commands: identification, slots, timelines |
//! | [`wal_stream`] | the stream of WAL, physical or logical |
//! | [`base_backup`] | a base backup as a stream of events |
//! | [`tar`] | the archives inside of a base backup |
//!
//! What it does not do:
//!
//! - client certificates, Kerberos, GSSAPI, SSPI, and several hosts in one address;
//! - certificates that carry the host only as a common name: a subject alternative name is needed;
//! - ask for the dates of a server certificate that the owner listed as trusted by itself;
//! - limit the time of name resolution, which the system's resolver does; all later steps have a deadline;
//! - tie passwords to a TLS connection whose certificate is signed by RSA-PSS or Ed25519: RFC 5929 leaves these
//!   open, so the exchange goes untied there and `channel_binding=require` is refused.

pub mod base_backup;
mod channel;
pub mod connection;
pub mod copy;
pub mod error;
pub mod fuzzing;
mod password;
mod quote;
pub mod replication;
pub mod settings;
mod socket;
pub mod sql;
pub mod tar;
mod tls;
pub mod wal_stream;

pub use base_backup::{BaseBackupEvent, BaseBackupOptions, BaseBackupStream, Checkpoint};
pub use connection::{CancelHandle, Connection, Limits, Mode};
pub use copy::CopyIn;
pub use error::{ServerError, TlsError, WireError};
pub use password::password_verifier;
pub use quote::{quote_identifier, quote_literal};
pub use replication::{LogicalSlot, SlotPosition, SystemIdentity};
pub use settings::{ChannelBinding, ConnectionSettings, Host, RootCertificates, SettingsError, TlsMode};
pub use sql::{Column, ResultSet};
pub use wal_stream::{WalMessage, WalStream};
