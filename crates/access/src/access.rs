//! The accounts of one installation.

mod changing;
mod registering;
mod signing_in;
mod tokens;

use std::{path::Path, sync::Arc};

use model::Moment;
use ports::{Clock, Random};

use crate::{
    AccessError, CredentialId, Entry, Event, NoRecord, Person, PersonName, Principal, PublicPasskey, Record,
    RelyingParty,
    bytes::encode,
    ceremony::{Asked, Ceremonies, Ceremony},
    invitation::StoredInvitation,
    person::StoredPerson,
    secret,
    session::StoredSession,
    store::{Locked, Shelf, Store},
    token::TokenNote,
};

/// The accounts of one installation: people, invitations, sessions, tokens. Several processes may have it open.
pub struct Access {
    store: Store,
    party: RelyingParty,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    record: Arc<dyn Record>,
    ceremonies: Ceremonies,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access").field("party", &self.party).finish_non_exhaustive()
    }
}

impl Access {
    /// Opens the accounts in a folder, which is made when it is not there. What lapsed goes away.
    pub fn open(
        folder: &Path,
        party: RelyingParty,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Self, AccessError> {
        party.check()?;
        let store = Store::open(folder, Arc::clone(&clock))?;
        let access = Self {
            store,
            party,
            clock,
            random,
            record: Arc::new(NoRecord),
            ceremonies: Ceremonies::default(),
        };
        access.sweep()?;
        Ok(access)
    }

    /// Has every change recorded elsewhere, too; what waited is recorded first.
    #[must_use]
    pub fn recorded_by(mut self, record: Arc<dyn Record>) -> Self {
        self.record = record;
        self
    }

    /// Returns for whom passkeys are made here.
    pub const fn party(&self) -> &RelyingParty {
        &self.party
    }

    /// Returns all people, in the order of their names; those who can sign in no more among them.
    pub fn people(&self) -> Result<Vec<Person>, AccessError> {
        Ok(self.stored_people()?.iter().map(StoredPerson::shown).collect())
    }

    /// Returns one person.
    pub fn person(&self, name: &PersonName) -> Result<Option<Person>, AccessError> {
        Ok(self.stored_person(name)?.as_ref().map(StoredPerson::shown))
    }

    /// Returns the public half of a passkey that an active person has now: what an approval is checked with.
    pub fn public_passkey(
        &self,
        person: &PersonName,
        credential: &CredentialId,
    ) -> Result<Option<PublicPasskey>, AccessError> {
        let person = self.stored_person(person)?.filter(|person| person.active);
        Ok(person.and_then(|person| person.passkey(credential).map(|passkey| passkey.passkey.clone())))
    }

    /// Hands what waits to whoever records, and returns how many entries still wait. Each change does it by itself; a
    /// server does it from time to time, for what could not be recorded then.
    pub fn deliver(&self) -> Result<usize, AccessError> {
        let names = self.store.names(Shelf::Entries)?;
        for (index, name) in names.iter().enumerate() {
            let Some(entry) = self.store.read::<Entry>(Shelf::Entries, name)? else { continue };
            if self.record.record(&entry).is_err() {
                return Ok(names.len() - index);
            }
            self.store.remove(Shelf::Entries, name)?;
        }
        Ok(0)
    }

    /// Returns what is not recorded elsewhere yet, the oldest first.
    pub fn undelivered(&self) -> Result<Vec<Entry>, AccessError> {
        Ok(self.store.read_all(Shelf::Entries)?.into_iter().map(|(_, entry)| entry).collect())
    }

    /// Removes invitations, sessions and tokens that lapsed. A damaged one stays where it is: it is nothing to anybody,
    /// and whoever looks for it is told.
    pub fn sweep(&self) -> Result<(), AccessError> {
        let locked = self.store.lock()?;
        self.sweep_locked(&locked)
    }

    fn sweep_locked(&self, locked: &Locked<'_>) -> Result<(), AccessError> {
        let now = self.clock.now();
        for name in self.store.names(Shelf::Sessions)? {
            if let Ok(Some(session)) = self.store.read::<StoredSession>(Shelf::Sessions, &name)
                && session.is_over(now)
            {
                locked.remove(Shelf::Sessions, &name)?;
            }
        }
        for name in self.store.names(Shelf::Invitations)? {
            if let Ok(Some(invitation)) = self.store.read::<StoredInvitation>(Shelf::Invitations, &name)
                && now >= invitation.expires_at
            {
                locked.remove(Shelf::Invitations, &name)?;
            }
        }
        for name in self.store.names(Shelf::Tokens)? {
            if let Ok(Some(token)) = self.store.read::<TokenNote>(Shelf::Tokens, &name)
                && now >= token.expires_at
            {
                locked.remove(Shelf::Tokens, &name)?;
            }
        }
        Ok(())
    }

    fn stored_people(&self) -> Result<Vec<StoredPerson>, AccessError> {
        Ok(self.store.read_all(Shelf::People)?.into_iter().map(|(_, person)| person).collect())
    }

    fn stored_person(&self, name: &PersonName) -> Result<Option<StoredPerson>, AccessError> {
        self.store.read(Shelf::People, name.as_str())
    }

    fn active_person(&self, name: &PersonName) -> Result<StoredPerson, AccessError> {
        let person = self.stored_person(name)?.filter(|person| person.active);
        person.ok_or_else(|| AccessError::NoPerson { person: name.clone() })
    }

    fn begin(&self, asked: Asked, options: serde_json::Value) -> Result<Ceremony, AccessError> {
        let id = self.random_text();
        self.ceremonies.begin(id.clone(), asked, self.clock.now())?;
        Ok(Ceremony { id, options })
    }

    fn random_text(&self) -> String {
        let mut bytes = [0; 16];
        self.random.fill(&mut bytes);
        encode(&bytes)
    }

    fn random_challenge(&self) -> [u8; 32] {
        let mut challenge = [0; 32];
        self.random.fill(&mut challenge);
        challenge
    }

    /// Does something and says so: the entry is written first and taken back when it was not done, so that nothing
    /// happens untold.
    fn tell<T>(
        &self,
        locked: &Locked<'_>,
        by: &Principal,
        authorised: Option<String>,
        event: Event,
        act: impl FnOnce() -> Result<T, AccessError>,
    ) -> Result<T, AccessError> {
        let at = self.clock.now();
        let mut chance = [0; 8];
        self.random.fill(&mut chance);
        // Entries of one microsecond, or of a clock that was set back, keep their order.
        let last = self.store.names(Shelf::Entries)?.pop();
        let last = last.and_then(|last| last.split('-').next()?.parse::<i64>().ok());
        let place = last.map_or(0, |last| last.saturating_add(1)).max(at.as_micros());
        let id = format!("{place:020}-{}", secret::hex(&chance));
        locked.write(
            Shelf::Entries,
            &id,
            &Entry { id: id.clone(), at, by: by.clone(), authorised, event },
        )?;
        act().inspect_err(|_| {
            locked.remove(Shelf::Entries, &id).ok();
        })
    }

    /// Another name for the state of an account.
    fn edition(&self) -> String {
        self.random_text()
    }

    fn now(&self) -> Moment {
        self.clock.now()
    }
}
