//! What is told of every change: for the operation log of the vault.

use std::collections::BTreeSet;

use model::Moment;
use serde::{Deserialize, Serialize};

use crate::{CredentialId, PersonName, Principal, PublicPasskey, Role, Scope, ServiceName};

/// Whoever keeps what happened to accounts, outside of this host's files.
pub trait Record: Send + Sync {
    /// Keeps one entry. The same entry may come twice when a process dies; its `id` tells.
    fn record(&self, entry: &Entry) -> Result<(), RecordError>;
}

/// An entry that could not be kept now; it waits in a file and is tried again.
#[derive(Debug, thiserror::Error)]
#[error("what happened to accounts cannot be recorded now")]
pub struct RecordError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Keeps nothing elsewhere: entries wait in their files until somebody comes who does.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoRecord;

impl Record for NoRecord {
    fn record(&self, _: &Entry) -> Result<(), RecordError> {
        Err(RecordError("nobody records here".into()))
    }
}

/// One thing that happened to accounts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Unique, and in the order of time.
    pub id: String,
    /// When.
    pub at: Moment,
    /// Who did it.
    pub by: Principal,
    /// What allowed it, when it weakened protection: a case, the host, the recovery kit.
    pub authorised: Option<String>,
    /// What happened.
    pub event: Event,
}

/// What can happen to accounts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// Somebody was invited to have an account.
    Invited {
        /// Who.
        person: PersonName,
        /// With which roles.
        roles: BTreeSet<Role>,
        /// Until when they can come.
        expires_at: Moment,
    },
    /// A person was invited to register one more passkey.
    PasskeyInvited {
        /// Who.
        person: PersonName,
        /// Until when they can.
        expires_at: Moment,
    },
    /// A passkey was registered. The public key is in the entry, so that what it signs can be checked from the log alone.
    PasskeyAdded {
        /// Whose.
        person: PersonName,
        /// Their roles.
        roles: BTreeSet<Role>,
        /// The passkey.
        passkey: PublicPasskey,
    },
    /// A passkey was removed.
    PasskeyRemoved {
        /// Whose.
        person: PersonName,
        /// The passkey.
        credential: CredentialId,
    },
    /// A person has other roles.
    RolesChanged {
        /// Who.
        person: PersonName,
        /// Before.
        before: BTreeSet<Role>,
        /// After.
        after: BTreeSet<Role>,
    },
    /// A person cannot sign in any more.
    Deactivated {
        /// Who.
        person: PersonName,
    },
    /// A person who lost their passkeys was invited again.
    Recovered {
        /// Who.
        person: PersonName,
        /// The passkeys that were removed.
        removed: Vec<CredentialId>,
        /// Until when they can come.
        expires_at: Moment,
    },
    /// The counter of a passkey went back, and it was refused.
    CounterRegressed {
        /// Whose.
        person: PersonName,
        /// The passkey.
        credential: CredentialId,
        /// The count of the last use.
        stored: u32,
        /// The count of this use.
        seen: u32,
    },
    /// A token was made.
    TokenCreated {
        /// Whose.
        service: ServiceName,
        /// What it may do.
        scopes: BTreeSet<Scope>,
        /// When it ends.
        expires_at: Moment,
    },
    /// A token was revoked.
    TokenRevoked {
        /// Whose.
        service: ServiceName,
    },
}
