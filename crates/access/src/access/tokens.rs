//! Tokens of service identities.

use std::{collections::BTreeSet, time::Duration};

use super::signing_in::SECRET_BYTES_MAX;
use crate::{
    Access, AccessError, Event, NewToken, Permission, Principal, Scope, ServiceIdentity, ServiceName,
    Standing, TokenNote, allows, secret, store::Shelf, token::PREFIX,
};

impl Access {
    /// The longest life of a token.
    pub const TOKEN_LIFETIME_MAX: Duration = Duration::from_hours(90 * 24);
    /// The life of an agent's token when nobody says otherwise.
    pub const TOKEN_LIFETIME: Duration = Duration::from_hours(1);
    const TOKEN_LIFETIME_MIN: Duration = Duration::from_mins(1);

    /// Makes a token. Each service identity has one at a time.
    pub fn create_token(
        &self,
        name: &ServiceName,
        scopes: BTreeSet<Scope>,
        lifetime: Duration,
        by: &Principal,
    ) -> Result<NewToken, AccessError> {
        if scopes.is_empty() {
            return Err(AccessError::NoScopes);
        }
        if !(Self::TOKEN_LIFETIME_MIN..=Self::TOKEN_LIFETIME_MAX).contains(&lifetime) {
            return Err(AccessError::Lifetime);
        }
        let new = {
            let locked = self.store.lock()?;
            self.may_make_tokens(by)?;
            let now = self.now();
            if let Some((_, note)) = self.live_token(name)? {
                return Err(AccessError::TokenExists { service: name.clone(), until: note.expires_at });
            }
            let token = format!("{PREFIX}{}", secret::fresh(&*self.random));
            let micros = i64::try_from(lifetime.as_micros()).unwrap_or(i64::MAX);
            let note = TokenNote {
                name: name.clone(),
                scopes,
                created_by: by.clone(),
                created_at: now,
                expires_at: now.plus_micros(micros),
                revoked_at: None,
            };
            let event = Event::TokenCreated {
                service: name.clone(),
                scopes: note.scopes.clone(),
                expires_at: note.expires_at,
            };
            self.tell(&locked, by, None, event, || {
                locked.write(Shelf::Tokens, &secret::hash(&token), &note)?;
                Ok(NewToken { token, note })
            })?
        };
        self.deliver().ok();
        Ok(new)
    }

    /// Returns who holds a token; `None` when it is not in force.
    pub fn token(&self, text: &str) -> Result<Option<ServiceIdentity>, AccessError> {
        if text.len() > SECRET_BYTES_MAX || !text.starts_with(PREFIX) {
            return Ok(None);
        }
        let (hash, now) = (secret::hash(text), self.now());
        let note = self.store.read::<TokenNote>(Shelf::Tokens, &hash)?;
        if note.as_ref().is_some_and(|note| now >= note.expires_at) {
            // A clock that is put back does not revive what was seen to have lapsed.
            self.store.remove(Shelf::Tokens, &hash)?;
        }
        let note = note.filter(|note| note.is_in_force(now));
        Ok(note.map(|note| ServiceIdentity {
            name: note.name,
            scopes: note.scopes,
            expires_at: note.expires_at,
            created_by: note.created_by,
        }))
    }

    /// Returns all tokens that have not lapsed, without their texts, in the order of names.
    pub fn tokens(&self) -> Result<Vec<TokenNote>, AccessError> {
        let now = self.now();
        let all = self.store.read_all::<TokenNote>(Shelf::Tokens)?;
        let mut notes: Vec<TokenNote> =
            all.into_iter().map(|(_, note)| note).filter(|note| now < note.expires_at).collect();
        notes.sort_by(|a, b| (&a.name, a.created_at).cmp(&(&b.name, b.created_at)));
        Ok(notes)
    }

    /// Ends a token now.
    pub fn revoke_token(&self, name: &ServiceName, by: &Principal) -> Result<TokenNote, AccessError> {
        let note = {
            let locked = self.store.lock()?;
            self.may_make_tokens(by)?;
            let (file, mut note) =
                self.live_token(name)?.ok_or_else(|| AccessError::NoToken { service: name.clone() })?;
            note.revoked_at = Some(self.now());
            self.tell(&locked, by, None, Event::TokenRevoked { service: name.clone() }, || {
                locked.write(Shelf::Tokens, &file, &note)
            })?;
            note
        };
        self.deliver().ok();
        Ok(note)
    }

    fn live_token(&self, name: &ServiceName) -> Result<Option<(String, TokenNote)>, AccessError> {
        let now = self.now();
        let all = self.store.read_all::<TokenNote>(Shelf::Tokens)?;
        Ok(all.into_iter().find(|(_, note)| note.name == *name && note.is_in_force(now)))
    }

    /// No token makes another one.
    fn may_make_tokens(&self, by: &Principal) -> Result<(), AccessError> {
        let may = match by {
            Principal::Host(_) => allows(Standing::Host, Permission::ManageTokens),
            Principal::Service(_) => false,
            Principal::Person(name) => {
                let roles = self.active_person(name)?.roles;
                allows(Standing::Person(&roles), Permission::ManageTokens)
            }
        };
        if may { Ok(()) } else { Err(AccessError::NotAllowed { by: by.to_string() }) }
    }
}
