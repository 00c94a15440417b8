//! The write-once vault: packs, keys, signed commits, verification.
//!
//! `docs/format/vault-v1.md` is the specification; this crate is one implementation of it.
//! [`VaultWriter`] adds with a [`CaptureKey`] and cannot read; [`VaultReader`] reads with a [`RestoreKey`];
//! [`Vault`] needs no key and sees structure alone.

pub mod base64_text;
pub mod content;
pub mod encoding;
mod error_text;
pub mod fuzzing;
mod id;
pub mod init;
pub mod journal;
pub mod keys;
pub mod log;
pub mod manifest;
pub mod mirror;
mod names;
pub mod object;
pub mod pack;
pub mod quorum;
pub mod reader;
pub mod reap;
pub mod retention;
pub mod seal;
pub mod time;
pub mod tree;
mod vault;
pub mod verify;
pub mod writer;

pub use base64_text::{LineEnding, LineShape};
pub use content::{Content, Extent, Layout, Leaves, PackRef, Place};
pub use error_text::error_text;
pub use id::{ChunkId, CommitHash, HeadHash, LeafHash, PackId, TreeHash, VaultId, hex};
pub use init::{InitOptions, NewVault, init};
pub use keys::{CaptureKey, RecoveryKit, RestoreKey};
pub use log::{Change, Commit, Envelope};
pub use manifest::Manifest;
pub use object::ObjectName;
pub use reader::{RestoreJob, Sink, VaultReader};
pub use vault::{Vault, VaultError};
pub use writer::{
    CommitReceipt, CommitWriter, ContentWriter, Cursor, KnownChunks, MemoryChunks, NoChunks, VaultWriter,
    WriteError, WriterOptions,
};
