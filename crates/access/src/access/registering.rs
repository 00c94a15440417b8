//! From an invitation to a passkey.

use serde_json::json;

use crate::{
    Access, AccessError, Bytes, Ceremony, Event, Person, Principal, PublicKey,
    bytes::encode,
    ceremony::Asked,
    invitation::{Purpose, StoredInvitation},
    person::{StoredPasskey, StoredPerson},
    registration::{self, NewPasskey},
    secret,
    store::{Locked, Shelf, VERSION},
};

/// How long a browser waits for its person, in milliseconds.
pub(super) const TIMEOUT_MS: u32 = 300_000;

impl Access {
    /// Begins to register a passkey for whoever holds an invitation. The invitation is used up only when it is done.
    pub fn begin_registration(&self, invitation: &str) -> Result<Ceremony, AccessError> {
        let hash = secret::hash(invitation);
        let (stored, account) = self.invitation_in_force(&hash)?;
        let handle = account.as_ref().map_or_else(
            || {
                let mut handle = vec![0; 32];
                self.random.fill(&mut handle);
                Bytes(handle)
            },
            |account| account.handle.clone(),
        );
        let display = match &stored.purpose {
            Purpose::Join { display, .. } => display.clone(),
            Purpose::Passkey => account.as_ref().map_or_else(String::new, |account| account.display.clone()),
        };
        let challenge = self.random_challenge();
        let known = account.as_ref().map(|account| account.passkeys.as_slice()).unwrap_or_default();
        let descriptor =
            |passkey: &StoredPasskey| json!({"type": "public-key", "id": passkey.passkey.credential});
        let algorithm = |alg: &i64| json!({"type": "public-key", "alg": alg});
        let options = json!({
            "rp": {"id": self.party.rp_id, "name": self.party.name},
            "user": {"id": handle, "name": stored.person, "displayName": display},
            "challenge": encode(&challenge),
            "pubKeyCredParams": PublicKey::ALGORITHMS.iter().map(algorithm).collect::<Vec<_>>(),
            "timeout": TIMEOUT_MS,
            "excludeCredentials": known.iter().map(descriptor).collect::<Vec<_>>(),
            "authenticatorSelection": {
                "residentKey": "required",
                "requireResidentKey": true,
                "userVerification": "required",
            },
            "attestation": "none",
        });
        self.begin(Asked::Registration { invitation: hash, challenge, handle }, options)
    }

    /// Takes the new passkey: the account is made if it was an invitation to have one. The invitation is used up.
    pub fn finish_registration(
        &self,
        ceremony: &str,
        response: &serde_json::Value,
    ) -> Result<Person, AccessError> {
        let now = self.now();
        let asked = self.ceremonies.end(ceremony, now)?;
        let Asked::Registration { invitation, challenge, handle } = asked else {
            return Err(AccessError::NoCeremony);
        };
        let new = registration::read(response, &challenge, &self.party)?;
        let person = {
            let locked = self.store.lock()?;
            let (stored, account) = self.invitation_in_force(&invitation)?;
            let people = self.stored_people()?;
            if people.iter().any(|person| person.ever_had(&new.passkey.credential)) {
                return Err(AccessError::PasskeyTaken);
            }
            let after = self.with_passkey(&stored, account, handle, new);
            self.keep_person(&locked, &invitation, &after)?
        };
        self.deliver().ok();
        Ok(person)
    }

    fn keep_person(
        &self,
        locked: &Locked<'_>,
        invitation: &str,
        after: &StoredPerson,
    ) -> Result<Person, AccessError> {
        let by = Principal::Person(after.name.clone());
        let passkey = after.passkeys.last().map(|newest| newest.passkey.clone());
        let event = Event::PasskeyAdded {
            person: after.name.clone(),
            roles: after.roles.clone(),
            passkey: passkey.ok_or(AccessError::NoInvitation)?,
        };
        self.tell(locked, &by, None, event, || {
            // The invitation is for the edition that was replaced by this: it is used up even if it cannot be removed.
            locked.write(Shelf::People, after.name.as_str(), after)?;
            locked.remove(Shelf::Invitations, invitation).ok();
            Ok(after.shown())
        })
    }

    /// Returns the account as it is with a new passkey.
    fn with_passkey(
        &self,
        invitation: &StoredInvitation,
        account: Option<StoredPerson>,
        handle: Bytes,
        new: NewPasskey,
    ) -> StoredPerson {
        let now = self.now();
        let mut person = account.unwrap_or_else(|| StoredPerson {
            version: VERSION,
            name: invitation.person.clone(),
            display: invitation.person.to_string(),
            handle,
            roles: std::collections::BTreeSet::new(),
            active: true,
            edition: String::new(),
            era: String::new(),
            since: now,
            invited_by: invitation.by.clone(),
            passkeys: Vec::new(),
            former: Vec::new(),
        });
        if let Purpose::Join { display, roles } = &invitation.purpose {
            person.display.clone_from(display);
            person.roles.clone_from(roles);
            person.active = true;
            person.invited_by = invitation.by.clone();
            // Whoever comes again after having been sent away comes with a new passkey alone.
            person.former.append(&mut person.passkeys);
            person.era = self.edition();
        }
        person.edition = self.edition();
        person.passkeys.push(StoredPasskey {
            passkey: new.passkey,
            count: new.count,
            added: now,
            used: None,
            may_be_copied: new.may_be_copied,
            suspicious: None,
        });
        person
    }

    /// Returns an invitation that is in force, and the account that it is for.
    fn invitation_in_force(
        &self,
        hash: &str,
    ) -> Result<(StoredInvitation, Option<StoredPerson>), AccessError> {
        let invitation = self
            .store
            .read::<StoredInvitation>(Shelf::Invitations, hash)?
            .ok_or(AccessError::NoInvitation)?;
        if self.now() >= invitation.expires_at {
            // A clock that is put back does not revive what was seen to have lapsed.
            self.store.remove(Shelf::Invitations, hash)?;
            return Err(AccessError::NoInvitation);
        }
        let account = self.stored_person(&invitation.person)?;
        let same = account.as_ref().map(|account| &account.edition) == invitation.edition.as_ref();
        let joins = matches!(invitation.purpose, Purpose::Join { .. });
        let active = account.as_ref().is_some_and(|account| account.active);
        let lonely = !invitation.first || !self.stored_people()?.iter().any(StoredPerson::is_owner);
        if same && joins != active && lonely {
            return Ok((invitation, account));
        }
        Err(AccessError::NoInvitation)
    }
}
