//! Tokens of service identities.

use std::collections::BTreeSet;

use model::Moment;
use serde::{Deserialize, Serialize};

use crate::{Principal, Scope, ServiceName};

/// What every token begins with, so that scanners of leaked secrets find it.
pub(crate) const PREFIX: &str = "unwipe_";

/// A new token. Its text is shown now and never again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewToken {
    /// The secret: `unwipe_…`.
    pub token: String,
    /// What is kept of it.
    pub note: TokenNote,
}

/// Whoever holds a token that is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ServiceIdentity {
    /// The name.
    pub name: ServiceName,
    /// What it may do.
    pub scopes: BTreeSet<Scope>,
    /// When it ends.
    pub expires_at: Moment,
    /// Who made it.
    pub created_by: Principal,
}

/// What is kept and shown of a token: everything but the token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenNote {
    /// Whose it is.
    pub name: ServiceName,
    /// What it may do.
    pub scopes: BTreeSet<Scope>,
    /// Who made it.
    pub created_by: Principal,
    /// When.
    pub created_at: Moment,
    /// When it ends.
    pub expires_at: Moment,
    /// When it was revoked.
    pub revoked_at: Option<Moment>,
}

impl TokenNote {
    /// Returns whether the token is in force.
    pub fn is_in_force(&self, now: Moment) -> bool {
        self.revoked_at.is_none() && now < self.expires_at
    }
}
