//! The subject: what the conformance suite is told of this connector.

use std::{path::Path, sync::Arc};

use connect::{
    SourceReader, Stop, StoredHistory,
    plan::{Plan, PlanFolder, SourceWriter},
    testing::HeldItems,
};
use connect_conformance::{
    Act, Conditions, Fact, Furnishing, Never, Place, Restorable, Spending, State, Subject, Undo,
};
use connect_http::{Request, Transport};
use model::{Moment, Redacted};
use ports::{ManualClock, SeededRandom};

use super::{
    api::{Api, NoteAttributes},
    plan::plan,
    reader::NotesReader,
    service::{CALLS_AT_ONCE, CALLS_PER_SECOND, KEY, Note, Obstacle, Service},
    writer::NotesWriter,
};

const USERS: [&str; 4] = ["anna", "ben", "carla", "dan"];

/// The service, with the connector that reads it.
pub(crate) struct NotesSubject {
    service: Arc<Service>,
}

fn user_of(stream: &str) -> &str {
    stream.trim_start_matches("notes/")
}

/// Says of a note what `real` and `says` both say.
fn words(folder: &str, tags: &[String], trashed: bool) -> String {
    format!("in {folder:?}, tagged {tags:?}, in the trash: {trashed}")
}

impl NotesSubject {
    pub(crate) fn start(furnishing: &Furnishing) -> Self {
        let clock = Arc::new(ManualClock::new(Moment::from_micros(1_772_409_600_000_000)));
        let service = Service::new(clock, furnishing.limited);
        let random = SeededRandom::new(furnishing.seed);
        for user in USERS.iter().take(furnishing.users) {
            let mut state = service.state();
            let book = state.users.entry((*user).to_owned()).or_default();
            for number in 0..furnishing.items {
                let text = format!("note {number} of {user}: {:x}", random.next_u64());
                book.change(&format!("{user}-{number:04}"), |note| {
                    (note.text, note.folder) = (text, format!("folder {}", number % 3));
                });
            }
        }
        Self { service: Arc::new(service) }
    }

    fn api(&self, conditions: &Conditions) -> Api {
        let (transport, clock) = (Arc::clone(&conditions.transport), self.clock() as _);
        Api::new(transport, Redacted::new(KEY.to_owned()), clock, Stop::default(), conditions.paced)
    }

    fn change(&self, place: &Place, change: impl FnOnce(&mut Note)) {
        let mut state = self.service.state();
        state.users.get_mut(user_of(&place.stream)).unwrap().change(&place.key, change);
    }

    fn obstruct(&self, place: &Place, obstacle: Option<Obstacle>) {
        // Rights are no change of the note: the feed does not tell of them.
        let mut state = self.service.state();
        let book = state.users.get_mut(user_of(&place.stream)).unwrap();
        book.notes.get_mut(&place.key).unwrap().obstacle = obstacle;
    }

    fn next(&self) -> u64 {
        let mut state = self.service.state();
        state.made += 1;
        state.made
    }
}

impl Subject for NotesSubject {
    fn clock(&self) -> Arc<ManualClock> {
        Arc::clone(&self.service.clock)
    }

    fn transport(&self) -> Arc<dyn Transport> {
        Arc::clone(&self.service) as _
    }

    fn reader(&self, conditions: &Conditions) -> Box<dyn SourceReader> {
        let (key, clock) = (Redacted::new(KEY.to_owned()), self.clock() as _);
        let transport = Arc::clone(&conditions.transport);
        Box::new(NotesReader::new(transport, key, clock, conditions.threads, conditions.paced))
    }

    fn real(&self) -> State {
        let state = self.service.state();
        let mut real = State::new();
        for (user, book) in state.users.iter().filter(|(_, book)| !book.suspended) {
            for (id, note) in &book.notes {
                let tags: Vec<String> = note.tags.iter().cloned().collect();
                let fact = Fact::new(note.text.as_bytes(), words(&note.folder, &tags, note.trashed));
                real.insert(Place::new(format!("notes/{user}"), id), fact);
            }
        }
        real
    }

    fn says(&self, _held: &HeldItems, _place: &Place, attributes: &str) -> String {
        let attributes = NoteAttributes::of_text(attributes).unwrap();
        words(&attributes.folder, &attributes.tags, attributes.trashed)
    }

    fn act(&self, act: Act<'_>) -> Result<(), Never> {
        let number = self.next();
        match act {
            Act::Add(stream) => {
                let key = format!("{}-new-{number:04}", user_of(stream));
                self.change(&Place::new(stream, key), |note| note.text = format!("new {number}"));
            }
            Act::ChangeAttributes(place) => {
                self.change(place, |note| note.tags.extend([format!("tag {number}")]));
            }
            Act::ChangeContent(place) => self.change(place, |note| note.text = format!("changed {number}")),
            Act::Move(place) => self.change(place, |note| note.folder = format!("moved {number}")),
            Act::Remove(place) => self.change(place, |note| note.trashed = true),
            Act::RemoveForGood(place) => {
                self.service.state().users.get_mut(user_of(&place.stream)).unwrap().remove(&place.key);
            }
            Act::ExpireFeed(stream) => self.service.state().users.get_mut(user_of(stream)).unwrap().forget(),
            Act::Suspend(stream) => {
                self.service.state().users.get_mut(user_of(stream)).unwrap().suspended = true;
            }
            Act::Reinstate(stream) => {
                self.service.state().users.get_mut(user_of(stream)).unwrap().suspended = false;
            }
            Act::DenyItem(place) => self.obstruct(place, Some(Obstacle::Denied)),
            Act::MakeUnsupported(place) => self.obstruct(place, Some(Obstacle::Unsupported)),
            Act::FailItem(place) => self.obstruct(place, Some(Obstacle::Failing)),
            Act::DenyScope => self.service.state().scope_denied = true,
            Act::Lift => {
                let mut state = self.service.state();
                state.scope_denied = false;
                let notes = state.users.values_mut().flat_map(|book| book.notes.values_mut());
                notes.for_each(|note| note.obstacle = None);
            }
        }
        Ok(())
    }

    fn contents(&self, request: &Request) -> Vec<String> {
        let path = request.url.strip_suffix("/text");
        path.and_then(|path| path.rsplit('/').next()).map(str::to_owned).into_iter().collect()
    }

    fn digests(&self) -> Result<(), Never> {
        Ok(())
    }

    fn spending(&self) -> Result<Spending, Never> {
        let state = self.service.state();
        Ok(Spending {
            units: state.spent,
            burst_units: CALLS_AT_ONCE,
            units_per_second: CALLS_PER_SECOND as f64,
            refusals: state.refused,
        })
    }

    fn secrets(&self) -> Vec<String> {
        vec![KEY.to_owned()]
    }
}

impl Restorable for NotesSubject {
    fn plan(&self, undo: &Undo<'_>, folder: &PlanFolder, _conditions: &Conditions) -> Plan {
        plan(undo, USERS[0], folder)
    }

    fn writer<'a>(
        &'a self,
        _past: &'a dyn StoredHistory,
        conditions: &Conditions,
        _beside: &Path,
    ) -> Box<dyn SourceWriter + 'a> {
        Box::new(NotesWriter { api: self.api(conditions) })
    }

    fn grants(&self) -> Result<Vec<String>, Never> {
        let state = self.service.state();
        let notes = state.users.values().flat_map(|book| &book.notes);
        let grants =
            notes.flat_map(|(id, note)| note.shared_with.iter().map(move |with| format!("{id}: {with}")));
        Ok(grants.collect())
    }

    fn share(&self, place: &Place) -> Result<(), Never> {
        self.change(place, |note| note.shared_with.extend(["anyone".to_owned()]));
        Ok(())
    }

    fn unshare(&self, place: &Place) -> Result<(), Never> {
        self.change(place, |note| note.shared_with.clear());
        Ok(())
    }
}
