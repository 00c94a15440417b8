//! Changes of accounts that make protection less: they wait in a case, and what people approved is what is done.

use std::sync::Arc;

use access::{Access, AccessError, ApprovedCase, Authorised, Change, ChangeHash, Edit, Outcome};
use approvals::{Case, CaseId, Principal, Subject, Weakening};

use crate::cases::{CaseError, Cases};

/// Why an account was not changed.
#[derive(Debug, thiserror::Error)]
pub enum AccountChangeError {
    /// The accounts do not allow it.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The case does not allow it.
    #[error(transparent)]
    Case(#[from] CaseError),
    /// The change cannot be written down.
    #[error("the change cannot be written down")]
    Unwritable(#[source] serde_json::Error),
    /// What waits is not what was approved.
    #[error("the change that waits is not the one that was asked for")]
    Other,
    /// The case is about something else.
    #[error("case {id} is not about an account")]
    NoAccount {
        /// The case.
        id: CaseId,
    },
}

impl AccountChangeError {
    /// Returns what a person can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Access(error) => error.hint(),
            Self::Case(error) => error.hint(),
            Self::Other => Some("ask for it again".to_owned()),
            Self::Unwritable(_) | Self::NoAccount { .. } => None,
        }
    }
}

/// What came of asking for a change.
#[derive(Debug)]
pub enum Asked {
    /// It weakens nothing, and is done.
    Done(Box<Outcome>),
    /// People have to approve it.
    Waits(Box<Case>),
}

/// The changes of an installation's accounts.
pub struct AccountChanges {
    access: Arc<Access>,
    cases: Cases,
}

/// An approved case, as the accounts want to see it.
struct Approved {
    case: String,
    change: ChangeHash,
}

impl ApprovedCase for Approved {
    fn case(&self) -> String {
        self.case.clone()
    }

    fn approved(&self) -> ChangeHash {
        self.change
    }
}

impl AccountChanges {
    /// Names the accounts that change, and the cases in which changes wait.
    pub const fn new(access: Arc<Access>, cases: Cases) -> Self {
        Self { access, cases }
    }

    /// Asks for a change: what weakens nothing is done at once, anything else waits for people.
    pub fn ask(&self, edit: Edit, by: &access::Principal, reason: &str) -> Result<Asked, AccountChangeError> {
        let change = self.access.plan_change(edit, by)?;
        let Some(weakening) = &change.weakening else {
            let outcome = self.access.apply_change(&change, &Authorised::nothing())?;
            return Ok(Asked::Done(Box::new(outcome)));
        };
        let subject = Subject::Weakening(Weakening::Account {
            person: change.edit.person().to_string(),
            what: weakening.to_string(),
            change: serde_json::to_string(&change).map_err(AccountChangeError::Unwritable)?,
            hash: change.hash().to_string(),
        });
        let step = self.cases.request(subject, asker(by), reason)?;
        Ok(Asked::Waits(Box::new(step.case)))
    }

    /// Does what people approved in a case, once its delay is over.
    pub fn carry_out(&self, id: &CaseId) -> Result<Outcome, AccountChangeError> {
        let case = self.cases.get(id)?;
        let Subject::Weakening(Weakening::Account { change, hash, .. }) = &case.subject else {
            return Err(AccountChangeError::NoAccount { id: id.clone() });
        };
        let change: Change = serde_json::from_str(change).map_err(|_| AccountChangeError::Other)?;
        let approved = change.hash();
        if approved.to_string() != *hash {
            return Err(AccountChangeError::Other);
        }
        let application = self.cases.begin(id)?;
        let approved = Approved { case: id.to_string(), change: approved };
        match self.access.apply_change(&change, &Authorised::of_case(&approved)) {
            Ok(outcome) => {
                application.finish(true)?;
                Ok(outcome)
            }
            Err(error) => {
                application.fail(&error.to_string())?;
                Err(error.into())
            }
        }
    }
}

/// Names whoever acts as approvals name them.
pub fn asker(by: &access::Principal) -> Principal {
    match by {
        access::Principal::Person(name) => Principal::Person(name.to_string()),
        access::Principal::Service(name) => Principal::Service(name.to_string()),
        access::Principal::Host(note) => Principal::Host(note.clone()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use access::{
        PersonName, Role,
        testing::{Device, approve, join},
    };
    use approvals::Decision;
    use model::Moment;
    use ports::{ManualClock, SeededRandom, files};

    use super::*;
    use crate::{
        approval::Proof,
        cases::{CaseLog, Step},
        installation::{InitRequest, Installation, Ports},
        passkeys::Accounts,
        place::Place,
    };

    /// Keeps nothing elsewhere.
    struct NoLog;

    impl CaseLog for NoLog {
        fn record(&self, _: &str, _: &Step) -> Result<(), crate::ServiceError> {
            Ok(())
        }
    }

    struct House {
        home: tempfile::TempDir,
        clock: Arc<ManualClock>,
        access: Arc<Access>,
        changes: AccountChanges,
        cases: Cases,
    }

    const ORIGIN: &str = "http://localhost:8787";

    fn house() -> House {
        let home = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(Moment::from_micros(1_000_000_000_000_000)));
        let ports = Ports {
            clock: Arc::clone(&clock) as Arc<dyn ports::Clock>,
            random: Arc::new(SeededRandom::new(6)),
            tracing: ports::Tracing::default(),
        };
        let place = Place::Folder { path: "vault".into(), immutable_flags: false };
        Installation::init(home.path(), &InitRequest { place, lock_days: 30 }, &ports, &|_| None).unwrap();
        // As every writer of the vault does: from here on it is remembered for how long the machine has been running.
        let installation = Installation::open(home.path(), ports.clone()).unwrap();
        installation.writer(&|_| None).unwrap();
        let party = access::RelyingParty::of_origin(ORIGIN, "unwipe").unwrap();
        let folder = home.path().join("state/access");
        let access = Access::open(&folder, party, Arc::clone(&ports.clock), Arc::clone(&ports.random));
        let access = Arc::new(access.unwrap());
        let passkeys = Arc::new(Accounts::new(Arc::clone(&access)));
        let cases = Cases::at(home.path(), ports, passkeys, Arc::new(NoLog));
        let changes = AccountChanges::new(Arc::clone(&access), cases.clone());
        House { home, clock, access, changes, cases }
    }

    fn name(text: &str) -> PersonName {
        PersonName::new(text).unwrap()
    }

    /// Anna owns, ben approves.
    fn people(house: &House) -> Device {
        let host = access::Principal::Host("root".to_owned());
        let mut devices = Vec::new();
        for (person, role) in [("anna", Role::Owner), ("ben", Role::Approver)] {
            let edit = Edit::Invite { name: name(person), display: None, roles: BTreeSet::from([role]) };
            let change = house.access.plan_change(edit, &host).unwrap();
            let outcome = house.access.apply_change(&change, &Authorised::of_host("root")).unwrap();
            let Outcome::Invited(invitation) = outcome else { panic!("no invitation") };
            let mut device = Device::es256(house.access.party()).unwrap();
            join(&house.access, &invitation.token, &mut device).unwrap();
            devices.push(device);
        }
        devices.pop().unwrap()
    }

    #[test]
    fn a_new_approver_comes_in_only_after_another_person_agreed_and_a_day_went_by() {
        let house = house();
        let mut bens = people(&house);
        let anna = access::Principal::Person(name("anna"));
        let invite =
            Edit::Invite { name: name("eve"), display: None, roles: BTreeSet::from([Role::Approver]) };
        let Asked::Waits(case) = house.changes.ask(invite, &anna, "holidays").unwrap() else {
            panic!("nobody was asked")
        };
        let carried = house.changes.carry_out(&case.id);
        assert!(matches!(carried, Err(AccountChangeError::Case(_))), "{carried:?}");
        let statement = house.cases.statement(&case.id, Decision::Approve).unwrap();
        let assertion = approve(&house.access, &name("ben"), &statement, &mut bens).unwrap();
        let assertion = serde_json::to_value(assertion).unwrap();
        let proof = Proof::Passkey { person: "ben".to_owned(), assertion };
        house.cases.decide(&case.id, Decision::Approve, "", &proof).unwrap();
        assert!(house.changes.carry_out(&case.id).is_err(), "there was no delay");
        house.clock.advance_micros(86_401_000_000);
        let outcome = house.changes.carry_out(&case.id).unwrap();
        assert!(matches!(outcome, Outcome::Invited(_)));
        assert!(house.changes.carry_out(&case.id).is_err(), "it was done twice");
    }

    #[test]
    fn what_lies_there_changed_is_not_done_and_a_viewer_needs_nobody() {
        let house = house();
        let mut bens = people(&house);
        let anna = access::Principal::Person(name("anna"));
        let viewer =
            Edit::Invite { name: name("vera"), display: None, roles: BTreeSet::from([Role::Viewer]) };
        assert!(matches!(house.changes.ask(viewer, &anna, "").unwrap(), Asked::Done(_)));
        let invite =
            Edit::Invite { name: name("eve"), display: None, roles: BTreeSet::from([Role::Approver]) };
        let Asked::Waits(case) = house.changes.ask(invite, &anna, "").unwrap() else { panic!("done") };
        let statement = house.cases.statement(&case.id, Decision::Approve).unwrap();
        let assertion = approve(&house.access, &name("ben"), &statement, &mut bens).unwrap();
        let assertion = serde_json::to_value(assertion).unwrap();
        let proof = Proof::Passkey { person: "ben".to_owned(), assertion };
        house.cases.decide(&case.id, Decision::Approve, "", &proof).unwrap();
        house.clock.advance_micros(86_401_000_000);
        let file = house.home.path().join(format!("state/cases/cases/{}.json", case.id));
        let text = files::read_text(&file).unwrap().replace("\\\"approver\\\"", "\\\"owner\\\"");
        files::replace(&file, text.as_bytes()).unwrap();
        assert!(house.changes.carry_out(&case.id).is_err());
        let people = house.access.people().unwrap();
        assert!(people.iter().all(|person| person.name != name("eve")));
    }
}
