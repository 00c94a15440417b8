//! The people who have accounts, as approvals need to know them.

use std::sync::Arc;

use access::{Access, PasskeyAssertion, Permission, Person, PersonName, RelyingParty, Standing, allows};
use serde_json::Value;

use crate::{
    Installation,
    approval::{Holder, NoPasskeys, Passkeys, ProofError},
};

/// The accounts of an installation.
pub struct Accounts {
    access: Arc<Access>,
}

impl Accounts {
    /// Makes approvals know the people of some accounts.
    pub const fn new(access: Arc<Access>) -> Self {
        Self { access }
    }

    fn person(&self, name: &str) -> Option<(PersonName, Person)> {
        let name = PersonName::new(name).ok()?;
        // Accounts that cannot be read let nobody approve.
        let person = self.access.person(&name).ok().flatten().filter(|person| person.active)?;
        Some((name, person))
    }
}

fn may_approve(person: &Person) -> bool {
    person.active && allows(Standing::Person(&person.roles), Permission::Approve)
}

fn refused(why: impl std::fmt::Display) -> ProofError {
    ProofError::Passkey { why: why.to_string() }
}

impl Passkeys for Accounts {
    fn verify(&self, statement: &[u8], person: &str, assertion: &Value) -> Result<Holder, ProofError> {
        let (name, account) =
            self.person(person).ok_or_else(|| refused(format_args!("{person} has no account here")))?;
        let assertion: PasskeyAssertion = serde_json::from_value(assertion.clone()).map_err(refused)?;
        let passkey = self.access.public_passkey(&name, &assertion.credential).map_err(refused)?;
        let passkey = passkey.ok_or_else(|| refused(format_args!("{person} does not have this passkey")))?;
        assertion.verify(statement, &passkey, self.access.party()).map_err(refused)?;
        Ok(Holder { credential: assertion.credential.to_string(), approver: may_approve(&account) })
    }

    fn approvers(&self) -> Vec<String> {
        let people = self.access.people().unwrap_or_default();
        people.iter().filter(|person| may_approve(person)).map(|person| person.name.to_string()).collect()
    }
}

/// Returns the people of an installation who have passkeys. Without accounts, or with an origin that can have none,
/// there are none, and key files alone count.
pub fn of(installation: &Installation) -> Arc<dyn Passkeys> {
    let folder = installation.home().join("state/access");
    let ports = installation.ports();
    let opened = folder.is_dir().then(|| {
        let party = RelyingParty::of_origin(&installation.config().server.origin, "unwipe").ok()?;
        Access::open(&folder, party, Arc::clone(&ports.clock), Arc::clone(&ports.random)).ok()
    });
    match opened.flatten() {
        Some(access) => Arc::new(Accounts::new(Arc::new(access))),
        None => Arc::new(NoPasskeys),
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, path::Path};

    use access::{
        Principal, Role,
        testing::{Device, approve, join},
    };
    use model::Moment;
    use ports::{Clock, ManualClock, SeededRandom};

    use super::*;

    fn accounts(folder: &Path) -> (Arc<Access>, Device) {
        let party = RelyingParty::of_origin("http://localhost:8787", "unwipe").unwrap();
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(Moment::from_micros(1_000_000)));
        let access = Access::open(folder, party.clone(), clock, Arc::new(SeededRandom::new(1))).unwrap();
        let mut device = Device::es256(&party).unwrap();
        let owner = PersonName::new("anna").unwrap();
        let host = Principal::Host("root".to_owned());
        let invited = access.invite(&owner, BTreeSet::from([Role::Owner]), &host).unwrap();
        join(&access, &invited.token, &mut device).unwrap();
        (Arc::new(access), device)
    }

    #[test]
    fn a_passkey_counts_for_its_person_and_for_what_was_signed_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (access, mut device) = accounts(folder.path());
        let anna = PersonName::new("anna").unwrap();
        let signed = approve(&access, &anna, b"case 1", &mut device).unwrap();
        let assertion = serde_json::to_value(&signed).unwrap();
        let people = Accounts::new(access);
        let holder = people.verify(b"case 1", "anna", &assertion).unwrap();
        assert_eq!(holder, Holder { credential: device.credential_id().to_string(), approver: true });
        assert!(people.verify(b"case 2", "anna", &assertion).is_err());
        for other in ["ben", "Anna", "../anna", ""] {
            assert!(people.verify(b"case 1", other, &assertion).is_err(), "{other:?}");
        }
        assert!(people.verify(b"case 1", "anna", &serde_json::json!({})).is_err());
        assert_eq!(people.approvers(), ["anna"]);
    }
}
