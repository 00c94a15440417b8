//! What the conformance suite is told of the drills of this connector.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use connect::{
    Stop,
    testing::{HeldItems, MemorySink},
};
use connect_conformance::{
    Act, Conditions, DrillGround, Drillable, Furnishing, Never, Place, Planted, Subject, Wanted,
};

use super::{
    drill::{MARK, NotesGround},
    service::{Note, Service},
    subject::NotesSubject,
};

const VISITOR: &str = "visitor";
/// The id of a note of somebody else.
const FOREIGN: &str = "somebody's";

/// A captured tenant, and another one that takes what drills restore.
pub(crate) struct NotesDrills {
    pub(crate) production: NotesSubject,
    sandbox: Arc<Service>,
    stored: Mutex<HeldItems>,
    is_misaimed: AtomicBool,
}

fn shown(id: &str, note: &Note) -> String {
    format!("{id}: {:?}, in {:?}, tagged {:?}, from {:?}", note.text, note.folder, note.tags, note.origin)
}

impl NotesDrills {
    pub(crate) fn start(furnishing: &Furnishing) -> Self {
        let production = NotesSubject::start(furnishing);
        let sandbox = Service::new(production.clock(), false);
        sandbox.state().users.entry(VISITOR.to_owned()).or_default();
        let is_misaimed = AtomicBool::new(false);
        let drills = Self { production, sandbox: Arc::new(sandbox), stored: Mutex::default(), is_misaimed };
        drills.capture();
        drills
    }

    fn capture(&self) {
        let transport = self.production.transport();
        let mut reader = self.production.reader(&Conditions { transport, threads: 1, paced: false });
        let mut sink = MemorySink::new();
        reader.changes(None, &mut sink, &Stop::default()).unwrap();
        *self.stored.lock().unwrap() = sink.held;
    }

    /// Takes away what somebody else has in the sandbox.
    pub(crate) fn clear_foreign(&self) {
        self.sandbox.state().users.get_mut(VISITOR).unwrap().remove(FOREIGN);
    }

    pub(crate) fn notes_ground(&self, wanted: Wanted) -> NotesGround {
        let (transport, receiver) = if self.is_misaimed.load(Ordering::SeqCst) {
            (self.production.transport(), "anna")
        } else {
            (Arc::clone(&self.sandbox) as _, VISITOR)
        };
        let stored = self.stored.lock().unwrap().clone();
        NotesGround::new(stored, wanted, receiver, (transport, self.production.clock()))
    }
}

impl Drillable for NotesDrills {
    fn ground(&self, wanted: Wanted) -> Result<DrillGround<'_>, String> {
        Ok(Box::new(self.notes_ground(wanted)))
    }

    fn samples(&self) -> Result<(), Never> {
        Ok(())
    }

    fn things(&self) -> u64 {
        self.production.real().len() as u64
    }

    fn plant(&self, planted: Planted) -> Result<Vec<String>, Never> {
        let mut state = self.sandbox.state();
        let book = state.users.get_mut(VISITOR).unwrap();
        let made = |(id, note): (&String, &Note)| {
            Some((id.clone(), note.origin.as_deref()?.strip_prefix(MARK)?.to_owned()))
        };
        let (id, subject) = book.notes.iter().find_map(made).unwrap();
        Ok(match planted {
            Planted::Changed => {
                book.change(&id, |note| note.text.push('!'));
                vec![subject, "text".to_owned()]
            }
            Planted::Missing => {
                book.remove(&id);
                vec![subject, "not restored".to_owned()]
            }
            Planted::Extra => {
                let more = "notes/anna never-there";
                book.change("more", |note| note.origin = Some(format!("{MARK}{more}")));
                vec![more.to_owned()]
            }
            Planted::Unfaithful => {
                book.change(&id, |note| note.tags.extend(["lost".to_owned()]));
                vec![subject, "tags".to_owned()]
            }
        })
    }

    fn add_incomparable(&self) -> Result<(), Never> {
        let anna = "notes/anna";
        self.production.act(Act::Add(anna))?;
        let new = self.production.real().into_keys().find(|place| place.key.contains("-new-")).unwrap();
        self.production.act(Act::DenyItem(&Place::new(anna, new.key)))?;
        self.capture();
        Ok(())
    }

    fn add_foreign(&self) {
        let mut state = self.sandbox.state();
        let origin = Some("unwipe drill of papers: note 1".to_owned());
        state.users.get_mut(VISITOR).unwrap().change(FOREIGN, |note| note.origin = origin);
    }

    fn starve(&self, writes: Option<u64>) -> Result<(), Never> {
        self.sandbox.state().writes_left = writes;
        Ok(())
    }

    fn left(&self) -> Vec<String> {
        let state = self.sandbox.state();
        state.users[VISITOR].notes.iter().map(|(id, note)| shown(id, note)).collect()
    }

    fn production(&self) -> Vec<String> {
        self.production.real().into_iter().map(|(place, fact)| format!("{place}: {fact:?}")).collect()
    }

    fn misaim(&self, way: usize) -> bool {
        self.is_misaimed.store(true, Ordering::SeqCst);
        way == 0
    }
}
