//! An installation with people in it.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use access::{
    Access, ApprovedCase, Authorised, Change, ChangeHash, Edit, Entry, Outcome, PersonName, Principal,
    Record, RecordError, RelyingParty, Role, ServiceName, testing::Device, testing::join,
};
use model::Moment;
use ports::{ManualClock, SeededRandom};

pub(crate) const SECOND: i64 = 1_000_000;
pub(crate) const MINUTE: i64 = 60 * SECOND;
pub(crate) const HOUR: i64 = 60 * MINUTE;

pub(crate) struct House {
    pub(crate) home: tempfile::TempDir,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) access: Access,
    pub(crate) log: Arc<Log>,
}

/// Remembers what it is told; refuses while it is told to.
#[derive(Default)]
pub(crate) struct Log {
    pub(crate) entries: Mutex<Vec<Entry>>,
    pub(crate) refuses: std::sync::atomic::AtomicBool,
}

impl Record for Log {
    fn record(&self, entry: &Entry) -> Result<(), RecordError> {
        if self.refuses.load(std::sync::atomic::Ordering::SeqCst) {
            return Err(RecordError("the vault is away".into()));
        }
        self.entries.lock().unwrap().push(entry.clone());
        Ok(())
    }
}

impl Log {
    /// Returns what happened, as the words of the log.
    pub(crate) fn words(&self) -> Vec<String> {
        let word =
            |entry: &Entry| serde_json::to_value(&entry.event).unwrap()["event"].as_str().unwrap().to_owned();
        self.entries.lock().unwrap().iter().map(word).collect()
    }
}

/// A case as the approvals machine would hand it out.
pub(crate) struct Case(pub(crate) ChangeHash);

impl ApprovedCase for Case {
    fn case(&self) -> String {
        "case-7".to_owned()
    }

    fn approved(&self) -> ChangeHash {
        self.0
    }
}

pub(crate) fn party() -> RelyingParty {
    RelyingParty::of_origin("https://unwipe.example.org", "unwipe").unwrap()
}

pub(crate) fn name(name: &str) -> PersonName {
    PersonName::new(name).unwrap()
}

pub(crate) fn service(name: &str) -> ServiceName {
    ServiceName::new(name).unwrap()
}

pub(crate) fn host() -> Principal {
    Principal::Host("root".to_owned())
}

pub(crate) fn device() -> Device {
    Device::es256(&party()).unwrap()
}

pub(crate) fn roles(roles: &[Role]) -> BTreeSet<Role> {
    roles.iter().copied().collect()
}

impl House {
    pub(crate) fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(Moment::from_micros(1_800_000_000 * SECOND)));
        let log = Arc::new(Log::default());
        let access = open(&home.path().join("access"), &clock, 1).recorded_by(log.clone());
        Self { home, clock, access, log }
    }

    /// An installation with its first owner.
    pub(crate) fn with_owner() -> (Self, Device) {
        let house = Self::new();
        let owner = house.join("anna", &[Role::Owner]);
        (house, owner)
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.home.path().join("access")
    }

    /// Another process that has the same files open.
    pub(crate) fn another(&self, seed: u64) -> Access {
        open(&self.folder(), &self.clock, seed)
    }

    pub(crate) fn pass(&self, micros: i64) {
        self.clock.advance_micros(micros);
    }

    pub(crate) fn plan(&self, edit: Edit) -> Change {
        self.access.plan_change(edit, &host()).unwrap()
    }

    pub(crate) fn invited(&self, edit: Edit) -> String {
        let change = self.plan(edit);
        let opened = access::VaultOpened { recipient: "age1kit".to_owned(), commits: 1 };
        let authorised = match change.edit {
            Edit::AddPasskey { .. } => Authorised::of_host_with_kit("root", &opened),
            _ => Authorised::of_host("root"),
        };
        match self.access.apply_change(&change, &authorised).unwrap() {
            Outcome::Invited(invitation) => invitation.token,
            Outcome::Done(person) => panic!("nobody was invited: {person:?}"),
        }
    }

    pub(crate) fn invite(&self, person: &str, as_what: &[Role]) -> String {
        self.invited(Edit::Invite { name: name(person), display: None, roles: roles(as_what) })
    }

    pub(crate) fn join(&self, person: &str, as_what: &[Role]) -> Device {
        let mut device = device();
        join(&self.access, &self.invite(person, as_what), &mut device).unwrap();
        device
    }

    pub(crate) fn done(&self, edit: Edit) {
        let outcome = self.access.apply_change(&self.plan(edit), &Authorised::of_host("root")).unwrap();
        assert!(matches!(outcome, Outcome::Done(_)));
    }
}

fn open(folder: &std::path::Path, clock: &Arc<ManualClock>, seed: u64) -> Access {
    let clock: Arc<ManualClock> = Arc::clone(clock);
    Access::open(folder, party(), clock, Arc::new(SeededRandom::new(seed))).unwrap()
}
