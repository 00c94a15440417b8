//! People and their passkeys, as they are shown and as they are kept.

use std::collections::BTreeSet;

use model::Moment;
use serde::{Deserialize, Serialize};

use crate::{CredentialId, PersonName, Principal, PublicPasskey, Role, bytes::Bytes};

/// The account of a human.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// The name of the account.
    pub name: PersonName,
    /// What people read.
    pub display: String,
    /// What they are for.
    pub roles: BTreeSet<Role>,
    /// Their passkeys.
    pub passkeys: Vec<PasskeyNote>,
    /// Whether they can sign in.
    pub active: bool,
    /// Since when there is the account.
    pub since: Moment,
    /// Who invited them.
    pub invited_by: Principal,
}

/// What is shown of a passkey.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasskeyNote {
    /// What its authenticator calls it.
    pub credential: CredentialId,
    /// How it signs: `ES256`, `EdDSA`, `RS256`.
    pub algorithm: String,
    /// Since when it is registered.
    pub added: Moment,
    /// When it was last used.
    pub used: Option<Moment>,
    /// Whether copies of it may be on several devices of the person.
    pub may_be_copied: bool,
    /// When its counter last went back, which means that there may be a copy in other hands.
    pub suspicious: Option<Moment>,
}

/// A person as kept in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoredPerson {
    pub(crate) version: u32,
    pub(crate) name: PersonName,
    pub(crate) display: String,
    /// What authenticators know the person by; says nothing about them.
    pub(crate) handle: Bytes,
    pub(crate) roles: BTreeSet<Role>,
    pub(crate) active: bool,
    /// Another one with each change by people; invitations and plans hold for one edition alone.
    pub(crate) edition: String,
    /// Another one when all sessions end; a session holds for one era alone.
    pub(crate) era: String,
    pub(crate) since: Moment,
    pub(crate) invited_by: Principal,
    pub(crate) passkeys: Vec<StoredPasskey>,
    /// Passkeys that were removed; they never come back.
    pub(crate) former: Vec<StoredPasskey>,
}

/// A passkey as kept in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoredPasskey {
    pub(crate) passkey: PublicPasskey,
    pub(crate) count: u32,
    pub(crate) added: Moment,
    pub(crate) used: Option<Moment>,
    pub(crate) may_be_copied: bool,
    pub(crate) suspicious: Option<Moment>,
}

impl StoredPerson {
    pub(crate) fn shown(&self) -> Person {
        Person {
            name: self.name.clone(),
            display: self.display.clone(),
            roles: self.roles.clone(),
            passkeys: self.passkeys.iter().map(StoredPasskey::shown).collect(),
            active: self.active,
            since: self.since,
            invited_by: self.invited_by.clone(),
        }
    }

    pub(crate) fn is_owner(&self) -> bool {
        self.active && self.roles.contains(&Role::Owner)
    }

    pub(crate) fn passkey(&self, credential: &CredentialId) -> Option<&StoredPasskey> {
        self.passkeys.iter().find(|passkey| passkey.passkey.credential == *credential)
    }

    /// Returns whether the person has or had a passkey.
    pub(crate) fn ever_had(&self, credential: &CredentialId) -> bool {
        self.passkeys.iter().chain(&self.former).any(|passkey| passkey.passkey.credential == *credential)
    }
}

impl StoredPasskey {
    fn shown(&self) -> PasskeyNote {
        PasskeyNote {
            credential: self.passkey.credential.clone(),
            algorithm: self.passkey.key.name().to_owned(),
            added: self.added,
            used: self.used,
            may_be_copied: self.may_be_copied,
            suspicious: self.suspicious,
        }
    }
}
