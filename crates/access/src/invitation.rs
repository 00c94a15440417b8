//! Invitations: one text, once, for a day.

use std::collections::BTreeSet;

use model::Moment;
use serde::{Deserialize, Serialize};

use crate::{ChangeHash, PersonName, Principal, Role};

/// How long an invitation is in force, in microseconds.
pub(crate) const LIFETIME_MICROS: i64 = 24 * 3_600 * 1_000_000;

/// A new invitation. Its token is shown now and never again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Invitation {
    /// Who is invited.
    pub person: PersonName,
    /// The secret: whoever has it registers a passkey in this name.
    pub token: String,
    /// Until when.
    pub expires_at: Moment,
    /// Where to open it: `https://unwipe.example.org/join#TOKEN`. The token is behind `#`, so no server logs it.
    pub url: String,
}

/// What an invitation leads to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Purpose {
    /// An account: new, or a deactivated one again.
    Join { display: String, roles: BTreeSet<Role> },
    /// One more passkey, or the first ones after all were lost.
    Passkey,
}

/// An invitation as kept, under the hash of its token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoredInvitation {
    pub(crate) version: u32,
    pub(crate) person: PersonName,
    pub(crate) purpose: Purpose,
    /// The edition of the account that it is for; none when there must be no account.
    pub(crate) edition: Option<String>,
    /// Whether it is for the first owner: then it is in force only while there is none.
    pub(crate) first: bool,
    pub(crate) change: ChangeHash,
    pub(crate) by: Principal,
    pub(crate) expires_at: Moment,
}
