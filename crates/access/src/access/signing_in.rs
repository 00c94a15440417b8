//! Signing in, sessions, and approvals by passkey.

use serde_json::json;

use super::registering::TIMEOUT_MS;
use crate::{
    Access, AccessError, Bytes, Ceremony, CredentialId, Event, NewSession, PasskeyAssertion, PersonName,
    Principal, SignedIn,
    assertion::{parse_assertion, statement_challenge},
    bytes::encode,
    ceremony::Asked,
    person::StoredPerson,
    secret,
    session::StoredSession,
    store::{Locked, Shelf, VERSION},
};

/// More than any secret of ours has; longer ones are not even looked at.
pub(super) const SECRET_BYTES_MAX: usize = 128;

impl Access {
    /// Begins to sign somebody in. Nobody says who they are before the passkey does, so names cannot be tried out.
    pub fn begin_login(&self) -> Result<Ceremony, AccessError> {
        let challenge = self.random_challenge();
        let options = self.request(&challenge, &[]);
        self.begin(Asked::Login { challenge }, options)
    }

    /// Signs somebody in whose passkey answered.
    pub fn finish_login(
        &self,
        ceremony: &str,
        response: &serde_json::Value,
    ) -> Result<NewSession, AccessError> {
        let Asked::Login { challenge } = self.ceremonies.end(ceremony, self.now())? else {
            return Err(AccessError::NoCeremony);
        };
        let (assertion, handle) = parse_assertion(response)?;
        let session = {
            let locked = self.store.lock()?;
            let person = self.owner_of(&assertion.credential)?;
            // A passkey that was found by itself says for whom it was made.
            if handle.as_ref() != Some(&person.handle) {
                return Err(AccessError::UnknownPasskey);
            }
            let used = self.use_passkey(&locked, person, &assertion, &challenge);
            used.and_then(|person| self.start_session(&locked, &person, assertion.credential))
        };
        if matches!(session, Err(AccessError::CounterRegressed { .. })) {
            self.deliver().ok();
        }
        session
    }

    /// Begins an approval: the passkey of this person is asked to sign a statement.
    pub fn begin_approval(&self, person: &PersonName, statement: &[u8]) -> Result<Ceremony, AccessError> {
        let account = self.active_person(person)?;
        let known: Vec<&CredentialId> = account.passkeys.iter().map(|key| &key.passkey.credential).collect();
        let options = self.request(&statement_challenge(statement), &known);
        self.begin(Asked::Approval { person: person.clone(), statement: statement.to_vec() }, options)
    }

    /// Takes an approval: what it returns holds by itself, with the statement and the public passkey
    /// ([`Self::public_passkey`]).
    pub fn finish_approval(
        &self,
        ceremony: &str,
        response: &serde_json::Value,
    ) -> Result<PasskeyAssertion, AccessError> {
        let Asked::Approval { person, statement } = self.ceremonies.end(ceremony, self.now())? else {
            return Err(AccessError::NoCeremony);
        };
        let (assertion, handle) = parse_assertion(response)?;
        let used = {
            let locked = self.store.lock()?;
            let account = self.active_person(&person)?;
            if handle.is_some_and(|handle: Bytes| handle != account.handle) {
                return Err(AccessError::UnknownPasskey);
            }
            self.use_passkey(&locked, account, &assertion, &statement_challenge(&statement))
        };
        if matches!(used, Err(AccessError::CounterRegressed { .. })) {
            self.deliver().ok();
        }
        used.map(|_| assertion)
    }

    /// Returns who is signed in with a session's token; `None` when the session is over. Using it keeps it going.
    pub fn session(&self, token: &str) -> Result<Option<SignedIn>, AccessError> {
        if token.len() > SECRET_BYTES_MAX {
            return Ok(None);
        }
        let (now, name) = (self.now(), secret::hash(token));
        let Some(session) = self.store.read::<StoredSession>(Shelf::Sessions, &name)? else {
            return Ok(None);
        };
        let person = self.stored_person(&session.person)?;
        let Some(person) = person.filter(|person| session.is_of(person) && !session.is_over(now)) else {
            self.end_session(token)?;
            return Ok(None);
        };
        if session.is_stale(now) {
            // Not being able to write it down ends the session earlier, and keeps nobody out now.
            self.keep_going(&name).ok();
        }
        Ok(Some(session.shown(token, &person, now)))
    }

    /// Ends a session. One that is over already is as good.
    pub fn end_session(&self, token: &str) -> Result<(), AccessError> {
        let locked = self.store.lock()?;
        locked.remove(Shelf::Sessions, &secret::hash(token))
    }

    /// Under the lock, so that a session which ends meanwhile does not come back.
    fn keep_going(&self, name: &str) -> Result<(), AccessError> {
        let locked = self.store.lock()?;
        if let Some(mut session) = self.store.read::<StoredSession>(Shelf::Sessions, name)? {
            session.used = session.used.max(self.now());
            locked.write(Shelf::Sessions, name, &session)?;
        }
        Ok(())
    }

    fn start_session(
        &self,
        locked: &Locked<'_>,
        person: &StoredPerson,
        credential: CredentialId,
    ) -> Result<NewSession, AccessError> {
        self.sweep_locked(locked)?;
        let (token, now) = (secret::fresh(&*self.random), self.now());
        let session = StoredSession {
            version: VERSION,
            person: person.name.clone(),
            era: person.era.clone(),
            credential,
            started: now,
            used: now,
        };
        locked.write(Shelf::Sessions, &secret::hash(&token), &session)?;
        Ok(NewSession { signed_in: session.shown(&token, person, now), token })
    }

    /// Checks what a passkey of this person signed, and counts it. A count that goes back is refused and told.
    fn use_passkey(
        &self,
        locked: &Locked<'_>,
        mut person: StoredPerson,
        assertion: &PasskeyAssertion,
        challenge: &[u8],
    ) -> Result<StoredPerson, AccessError> {
        let now = self.now();
        let name = person.name.clone();
        let known = person.passkeys.iter_mut().find(|key| key.passkey.credential == assertion.credential);
        let passkey = known.ok_or(AccessError::UnknownPasskey)?;
        let said = assertion.check(challenge, &passkey.passkey, &self.party)?;
        let (stored, seen) = (passkey.count, said.count);
        let (credential, by) = (assertion.credential.clone(), Principal::Person(name.clone()));
        // Both zero: this authenticator does not count.
        if (stored, seen) != (0, 0) && seen <= stored {
            passkey.suspicious = Some(now);
            let (person_name, written) = (name.clone(), credential.clone());
            let event = Event::CounterRegressed { person: person_name, credential: written, stored, seen };
            self.tell(locked, &by, None, event, || locked.write(Shelf::People, name.as_str(), &person))?;
            return Err(AccessError::CounterRegressed { person: name, credential, stored, seen });
        }
        passkey.count = seen;
        passkey.used = Some(now);
        passkey.may_be_copied |= said.may_be_copied();
        locked.write(Shelf::People, name.as_str(), &person)?;
        Ok(person)
    }

    /// Returns the active person who has a passkey. Damage in the file of somebody else keeps nobody out.
    fn owner_of(&self, credential: &CredentialId) -> Result<StoredPerson, AccessError> {
        let mut damage = None;
        for name in self.store.names(Shelf::People)? {
            match self.store.read::<StoredPerson>(Shelf::People, &name) {
                Ok(Some(person)) if person.active && person.passkey(credential).is_some() => {
                    return Ok(person);
                }
                Ok(_) => {}
                Err(error) => damage = Some(error),
            }
        }
        Err(damage.unwrap_or(AccessError::UnknownPasskey))
    }

    fn request(&self, challenge: &[u8], allowed: &[&CredentialId]) -> serde_json::Value {
        let descriptor = |credential: &&CredentialId| json!({"type": "public-key", "id": credential});
        json!({
            "challenge": encode(challenge),
            "timeout": TIMEOUT_MS,
            "rpId": self.party.rp_id,
            "allowCredentials": allowed.iter().map(descriptor).collect::<Vec<_>>(),
            "userVerification": "required",
        })
    }
}
