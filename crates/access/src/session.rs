//! Sessions: who is signed in, until when.

use std::collections::BTreeSet;

use model::Moment;
use serde::{Deserialize, Serialize};

use crate::{CredentialId, PersonName, Role, person::StoredPerson, secret};

const MINUTE_MICROS: i64 = 60_000_000;
/// Without use a session ends after this.
const IDLE_MICROS: i64 = 30 * MINUTE_MICROS;
/// However much it is used, it ends after this.
const ABSOLUTE_MICROS: i64 = 12 * 60 * MINUTE_MICROS;
/// For so long after signing in, people may be managed.
const FRESH_MICROS: i64 = 5 * MINUTE_MICROS;
/// How exactly the last use is kept; each use would otherwise be a write.
const USE_MICROS: i64 = MINUTE_MICROS;
/// How far the machine's clock may be set back under a session.
const SKEW_MICROS: i64 = MINUTE_MICROS;

/// A new session; its token is for the browser's cookie and is not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSession {
    /// The value of the cookie: 256 bits from chance.
    pub token: String,
    /// Who is signed in.
    pub signed_in: SignedIn,
}

/// Who is signed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SignedIn {
    /// The person.
    pub person: PersonName,
    /// What people read.
    pub display: String,
    /// What they may do, as of now.
    pub roles: BTreeSet<Role>,
    /// What every form of this session sends along, and no other site knows.
    pub csrf: String,
    /// When the session ends unless it is used.
    pub expires_at: Moment,
    /// Until when people may be managed without using the passkey again.
    pub fresh_until: Moment,
}

/// A session as kept, under the hash of its token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoredSession {
    pub(crate) version: u32,
    pub(crate) person: PersonName,
    /// The era of the account that it is for.
    pub(crate) era: String,
    pub(crate) credential: CredentialId,
    pub(crate) started: Moment,
    pub(crate) used: Moment,
}

impl StoredSession {
    /// Returns when it ends if it is not used after `used`.
    fn ends(&self, used: Moment) -> Moment {
        used.plus_micros(IDLE_MICROS).min(self.started.plus_micros(ABSOLUTE_MICROS))
    }

    /// Returns whether it is over by the clock alone.
    pub(crate) fn is_over(&self, now: Moment) -> bool {
        now >= self.ends(self.used) || now.micros_since(self.used) < -SKEW_MICROS
    }

    /// Returns whether this use is worth writing down.
    pub(crate) fn is_stale(&self, now: Moment) -> bool {
        now.micros_since(self.used) >= USE_MICROS
    }

    /// Returns whether it is of this state of an account.
    pub(crate) fn is_of(&self, person: &StoredPerson) -> bool {
        person.active && person.era == self.era && person.passkey(&self.credential).is_some()
    }

    pub(crate) fn shown(&self, token: &str, person: &StoredPerson, now: Moment) -> SignedIn {
        SignedIn {
            person: person.name.clone(),
            display: person.display.clone(),
            roles: person.roles.clone(),
            csrf: secret::derive(token, "csrf"),
            expires_at: self.ends(now.max(self.used)),
            fresh_until: self.started.plus_micros(FRESH_MICROS),
        }
    }
}
