//! Changes of accounts.

use std::collections::BTreeSet;

use crate::{
    Access, AccessError, Authorised, Change, Edit, Event, Invitation, Outcome, PersonName, Principal, Role,
    change::weakening,
    invitation::{LIFETIME_MICROS, Purpose, StoredInvitation},
    person::StoredPerson,
    secret,
    store::{Locked, Shelf, VERSION},
};

const DISPLAY_CHARACTERS_MAX: usize = 100;

impl Access {
    /// Invites somebody to have an account, when that weakens nothing: a viewer, or the first owner by the host. For
    /// everything else: [`Self::plan_change`].
    pub fn invite(
        &self,
        name: &PersonName,
        roles: BTreeSet<Role>,
        by: &Principal,
    ) -> Result<Invitation, AccessError> {
        let change = self.plan_change(Edit::Invite { name: name.clone(), display: None, roles }, by)?;
        match self.apply_change(&change, &Authorised::nothing())? {
            Outcome::Invited(invitation) => Ok(invitation),
            Outcome::Done(_) => Err(AccessError::NoInvitation),
        }
    }

    /// Plans a change and says what it weakens; nothing is done.
    pub fn plan_change(&self, edit: Edit, by: &Principal) -> Result<Change, AccessError> {
        let people = self.stored_people()?;
        may_change(by, &edit, &people)?;
        if let Edit::Invite { display: Some(display), .. } = &edit {
            check_display(display)?;
        }
        let weakening = weakening(&edit, by, &people)?;
        let account = people.into_iter().find(|person| person.name == *edit.person());
        Ok(Change {
            weakening,
            by: by.clone(),
            planned_at: self.now(),
            edition: account.map(|person| person.edition),
            edit,
        })
    }

    /// Does what was planned, if it is allowed and the account is still what it was then.
    ///
    /// What it weakens is looked at again: a change that was read from somewhere is not believed.
    pub fn apply_change(&self, change: &Change, authorised: &Authorised) -> Result<Outcome, AccessError> {
        let outcome = {
            let locked = self.store.lock()?;
            let people = self.stored_people()?;
            may_change(&change.by, &change.edit, &people)?;
            if let Edit::Invite { display: Some(display), .. } = &change.edit {
                check_display(display)?;
            }
            let name = change.edit.person();
            let account = people.iter().find(|person| person.name == *name);
            let stale = || AccessError::Stale { person: name.clone() };
            if account.map(|person| &person.edition) != change.edition.as_ref() {
                return Err(stale());
            }
            if weakening(&change.edit, &change.by, &people)? != change.weakening {
                return Err(stale());
            }
            authorised.allow(change)?;
            self.change(&locked, change, authorised.describe(), account)?
        };
        self.deliver().ok();
        Ok(outcome)
    }

    fn change(
        &self,
        locked: &Locked<'_>,
        change: &Change,
        authorised: Option<String>,
        account: Option<&StoredPerson>,
    ) -> Result<Outcome, AccessError> {
        let name = change.edit.person().clone();
        let Some(account) = account else {
            let Edit::Invite { display, roles, .. } = &change.edit else {
                return Err(AccessError::NoPerson { person: name });
            };
            return self.open_door(locked, change, authorised, display.as_ref(), roles);
        };
        let mut after = account.clone();
        after.edition = self.edition();
        let person = name.clone();
        let event = match &change.edit {
            Edit::Invite { display, roles, .. } => {
                return self.open_door(locked, change, authorised, display.as_ref(), roles);
            }
            Edit::AddPasskey { .. } => {
                let (invitation, stored) =
                    self.invitation(change, Purpose::Passkey, change.edition.clone(), false);
                let event = Event::PasskeyInvited { person, expires_at: invitation.expires_at };
                return self.keep_invitation(locked, change, authorised, event, invitation, &stored, None);
            }
            Edit::Recover { .. } => {
                let removed = after.passkeys.iter().map(|key| key.passkey.credential.clone()).collect();
                after.former.append(&mut after.passkeys);
                after.era = self.edition();
                let (invitation, stored) =
                    self.invitation(change, Purpose::Passkey, Some(after.edition.clone()), false);
                let event = Event::Recovered { person, removed, expires_at: invitation.expires_at };
                let after = Some(&after);
                return self.keep_invitation(locked, change, authorised, event, invitation, &stored, after);
            }
            Edit::RemovePasskey { credential, .. } => {
                let gone = |passkey: &crate::person::StoredPasskey| passkey.passkey.credential == *credential;
                after.former.extend(after.passkeys.iter().filter(|passkey| gone(passkey)).cloned());
                after.passkeys.retain(|passkey| !gone(passkey));
                Event::PasskeyRemoved { person, credential: credential.clone() }
            }
            Edit::SetRoles { roles, .. } => {
                after.roles.clone_from(roles);
                after.era = self.edition();
                Event::RolesChanged { person, before: account.roles.clone(), after: roles.clone() }
            }
            Edit::Deactivate { .. } => {
                after.active = false;
                after.era = self.edition();
                Event::Deactivated { person }
            }
        };
        self.tell(locked, &change.by, authorised, event, || {
            locked.write(Shelf::People, name.as_str(), &after).map(|()| Outcome::Done(after.shown()))
        })
    }

    /// Invites somebody to have an account.
    fn open_door(
        &self,
        locked: &Locked<'_>,
        change: &Change,
        authorised: Option<String>,
        display: Option<&String>,
        roles: &BTreeSet<Role>,
    ) -> Result<Outcome, AccessError> {
        let person = change.edit.person().clone();
        // Power that needed no approval was given because there was no owner; it is in force only as long.
        let first = change.weakening.is_none() && roles.iter().any(|role| role.is_power());
        let display = display.cloned().unwrap_or_else(|| person.to_string());
        let purpose = Purpose::Join { display, roles: roles.clone() };
        let (invitation, stored) = self.invitation(change, purpose, change.edition.clone(), first);
        let event = Event::Invited { person, roles: roles.clone(), expires_at: invitation.expires_at };
        self.keep_invitation(locked, change, authorised, event, invitation, &stored, None)
    }

    /// Keeps an invitation, and then the account that it is for if that changes with it. An invitation for an edition
    /// that was never written is in force for nobody.
    #[expect(clippy::too_many_arguments, reason = "one step of four cases that share all of it")]
    fn keep_invitation(
        &self,
        locked: &Locked<'_>,
        change: &Change,
        authorised: Option<String>,
        event: Event,
        invitation: Invitation,
        stored: &StoredInvitation,
        after: Option<&StoredPerson>,
    ) -> Result<Outcome, AccessError> {
        let now = self.now();
        for (_, other) in self.store.read_all::<StoredInvitation>(Shelf::Invitations)? {
            if other.change == stored.change && now < other.expires_at {
                return Err(AccessError::Stale { person: invitation.person });
            }
        }
        let name = secret::hash(&invitation.token);
        self.tell(locked, &change.by, authorised, event, || {
            locked.write(Shelf::Invitations, &name, stored)?;
            if let Some(after) = after {
                locked.write(Shelf::People, after.name.as_str(), after).inspect_err(|_| {
                    locked.remove(Shelf::Invitations, &name).ok();
                })?;
            }
            Ok(Outcome::Invited(invitation))
        })
    }

    fn invitation(
        &self,
        change: &Change,
        purpose: Purpose,
        edition: Option<String>,
        first: bool,
    ) -> (Invitation, StoredInvitation) {
        let person = change.edit.person().clone();
        let token = secret::fresh(&*self.random);
        let expires_at = self.now().plus_micros(LIFETIME_MICROS);
        let stored = StoredInvitation {
            version: VERSION,
            person: person.clone(),
            purpose,
            edition,
            first,
            change: change.hash(),
            by: change.by.clone(),
            expires_at,
        };
        let url = format!("{}/join#{token}", self.party.origin);
        (Invitation { person, token, expires_at, url }, stored)
    }
}

/// Owners and the host manage people, and everybody may ask for their own passkeys; no token ever does.
fn may_change(by: &Principal, edit: &Edit, people: &[StoredPerson]) -> Result<(), AccessError> {
    let may = match by {
        Principal::Host(_) => true,
        Principal::Service(_) => false,
        Principal::Person(name) => {
            let account = people.iter().find(|person| person.name == *name && person.active);
            let passkeys = matches!(edit, Edit::AddPasskey { .. } | Edit::RemovePasskey { .. });
            account.is_some_and(|person| person.is_owner() || (passkeys && edit.person() == name))
        }
    };
    if may { Ok(()) } else { Err(AccessError::NotAllowed { by: by.to_string() }) }
}

fn check_display(display: &str) -> Result<(), AccessError> {
    let length = (1..=DISPLAY_CHARACTERS_MAX).contains(&display.chars().count());
    if length && !display.trim().is_empty() && !display.chars().any(char::is_control) {
        return Ok(());
    }
    Err(AccessError::Display)
}
