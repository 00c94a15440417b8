//! Ceremonies that are open: one question to a passkey each, answered once, within minutes. Kept in memory: a restart of
//! the server ends them, and people begin again.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use model::Moment;
use serde::Serialize;

use crate::{AccessError, Bytes, PersonName};

/// How long there is for an answer, in microseconds.
const LIFETIME_MICROS: i64 = 5 * 60 * 1_000_000;

/// A question to a browser's passkey.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ceremony {
    /// Names the ceremony when the answer comes.
    pub id: String,
    /// For `PublicKeyCredential.parseCreationOptionsFromJSON` or `parseRequestOptionsFromJSON`, and then
    /// `navigator.credentials.create` or `get` as `publicKey`; bytes are base64url text.
    pub options: serde_json::Value,
}

/// What is being asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Make a passkey. The invitation is known by its hash.
    Registration { invitation: String, challenge: [u8; 32], handle: Bytes },
    /// Say who you are.
    Login { challenge: [u8; 32] },
    /// Sign a statement.
    Approval { person: PersonName, statement: Vec<u8> },
}

/// How many may be open. Anybody may begin to sign in: when there are too many, the oldest of those go. The others need
/// an invitation or a session, and are counted apart.
const LOGINS_MAX: usize = 10_000;
const OTHERS_MAX: usize = 1_000;

#[derive(Default)]
pub(crate) struct Ceremonies {
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    logins: BTreeMap<String, (Moment, Asked)>,
    others: BTreeMap<String, (Moment, Asked)>,
}

impl Ceremonies {
    pub(crate) fn begin(&self, id: String, asked: Asked, now: Moment) -> Result<(), AccessError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let open = &mut *open;
        let is_login = matches!(asked, Asked::Login { .. });
        let (shelf, most) =
            if is_login { (&mut open.logins, LOGINS_MAX) } else { (&mut open.others, OTHERS_MAX) };
        if shelf.len() >= most {
            shelf.retain(|_, (begun, _)| !is_over(*begun, now));
        }
        if shelf.len() >= most {
            if !is_login {
                return Err(AccessError::TooManyCeremonies);
            }
            let mut ages: Vec<Moment> = shelf.values().map(|(begun, _)| *begun).collect();
            ages.sort_unstable();
            let young = ages.get(most / 10).copied().unwrap_or(now);
            shelf.retain(|_, (begun, _)| *begun > young);
        }
        shelf.insert(id, (now, asked));
        Ok(())
    }

    /// Ends a ceremony and returns what it asked: nobody can end it again.
    pub(crate) fn end(&self, id: &str, now: Moment) -> Result<Asked, AccessError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let found = open.logins.remove(id).or_else(|| open.others.remove(id));
        match found {
            Some((begun, asked)) if !is_over(begun, now) => Ok(asked),
            _ => Err(AccessError::NoCeremony),
        }
    }
}

/// A clock that was set back ends it as well.
fn is_over(begun: Moment, now: Moment) -> bool {
    !(0..LIFETIME_MICROS).contains(&now.micros_since(begun))
}
