//! What the conformance suite is told of drives: of the files that are put into them here. The folders, documents and
//! shortcuts that every drive has are for the tests of drives to compare.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex},
};

use connect::{SourceReader, testing::HeldItems};
use connect_conformance::{Act, Conditions, Fact, Furnishing, Never, Place, Spending, State, Subject};
use connect_http::{Request, Response, Transport, TransportError, testing::answer};
use google_tenant::{Effect, Fault, Tenant, When, scopes};
use ports::ManualClock;
use serde_json::json;
use source_google::{Part, drive::FileAttributes};

use super::shared::{Modelled, Shared};
use crate::drives::{FOLDER, Hand};

/// The simulated Drive has one price, because the vendor publishes no others.
const QUOTA: Modelled = Modelled {
    service: "drive",
    units_per_minute: 80,
    of_one_unit: &[
        "drive.changes.getStartPageToken",
        "drive.changes.list",
        "drive.comments.list",
        "drive.drives.get",
        "drive.drives.list",
        "drive.files.export",
        "drive.files.get",
        "drive.files.get.media",
        "drive.files.list",
        "drive.permissions.list",
        "drive.revisions.get",
        "drive.revisions.list",
    ],
};

/// A simulated domain of which some drives are read.
pub(crate) struct DriveSubject {
    shared: Shared,
    /// The ids of all files that were ever put in here.
    files: Mutex<BTreeSet<String>>,
    withheld: Arc<Withheld>,
}

/// Carries requests, and answers in Drive's place where it would not give the bytes of a file.
struct Withheld {
    inner: Arc<dyn Transport>,
    /// Ids of files, with the status and the reason of the answer.
    files: Mutex<BTreeMap<String, (u16, &'static str)>>,
}

impl fmt::Debug for Withheld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("withheld files")
    }
}

impl Transport for Withheld {
    fn send(&self, request: &Request) -> Result<Response, TransportError> {
        let refusal = asked(request).and_then(|id| self.files.lock().unwrap().get(id).copied());
        let Some((code, reason)) = refusal else { return self.inner.send(request) };
        let errors = json!([{ "domain": "global", "reason": reason, "message": "This file is withheld." }]);
        let error = json!({ "code": code, "message": "This file is withheld.", "errors": errors });
        let json = [("content-type", "application/json")];
        Ok(answer(code, &json, json!({ "error": error }).to_string()))
    }
}

/// Returns the id of the file whose bytes a request asks for: `…/drive/v3/files/1a2b?alt=media&…`. What is asked of a
/// revision has another path.
fn asked(request: &Request) -> Option<&str> {
    let (_, rest) = request.url.split_once("/files/")?;
    let (id, query) = rest.split_once('?')?;
    query.contains("alt=media").then_some(id)
}

impl DriveSubject {
    pub(crate) fn start(furnishing: &Furnishing) -> Self {
        let shared = Shared::start(furnishing, Part::Drive, QUOTA, |_| ());
        let withheld = Arc::new(Withheld { inner: Shared::transport(), files: Mutex::default() });
        let subject = Self { shared, files: Mutex::default(), withheld };
        for user in &subject.shared.users {
            for _ in 0..furnishing.items {
                subject.add(user);
            }
        }
        subject
    }

    fn add(&self, user: &str) {
        let number = self.shared.next();
        let (name, text) = (format!("file {number}.txt"), format!("what is in file {number} of {user}"));
        let id = self
            .shared
            .tenant(|tenant| tenant.add_drive_bytes(user, &name, "text/plain", text.as_bytes()).unwrap());
        self.files.lock().unwrap().insert(id.to_string());
    }

    fn hand(&self, place: &Place) -> Hand<'_> {
        self.shared.domain.hand(user_of(&place.stream))
    }

    fn withhold(&self, place: &Place, code: u16, reason: &'static str) {
        self.withheld.files.lock().unwrap().insert(id_of(place).to_owned(), (code, reason));
    }

    fn is_ours(&self, id: &str) -> bool {
        self.files.lock().unwrap().contains(id)
    }
}

fn user_of(stream: &str) -> &str {
    stream.trim_start_matches("drive/")
}

fn id_of(place: &Place) -> &str {
    place.key.trim_start_matches("file/")
}

/// Says of a file what `real` and `says` both say.
fn words(name: &str, folder: Option<&str>, trashed: bool) -> String {
    format!("{name:?} in {folder:?}, in the trash: {trashed}")
}

impl Subject for DriveSubject {
    fn clock(&self) -> Arc<ManualClock> {
        Arc::clone(&self.shared.domain.clock)
    }

    fn transport(&self) -> Arc<dyn Transport> {
        Arc::clone(&self.withheld) as _
    }

    fn reader(&self, conditions: &Conditions) -> Box<dyn SourceReader> {
        self.shared.reader(conditions)
    }

    fn real(&self) -> State {
        let mut real = State::new();
        for user in &self.shared.users {
            for file in self.shared.domain.owned(user).into_iter().filter(|file| self.is_ours(&file.id)) {
                let bytes = self.shared.tenant(|tenant| tenant.drive_bytes(&file.id).unwrap());
                let fact = Fact::new(&bytes, words(&file.name, file.parent.as_deref(), file.trashed));
                real.insert(Place::new(format!("drive/{user}"), format!("file/{}", file.id)), fact);
            }
        }
        real
    }

    fn says(&self, _held: &HeldItems, _place: &Place, attributes: &str) -> String {
        let file = FileAttributes::of_text(attributes).unwrap();
        words(&file.name, file.parents.first().map(String::as_str), file.trashed)
    }

    fn covers(&self, place: &Place) -> bool {
        place.key.strip_prefix("file/").is_some_and(|id| self.is_ours(id))
    }

    fn act(&self, act: Act<'_>) -> Result<(), Never> {
        self.shared.rest();
        match act {
            Act::Add(stream) => self.add(user_of(stream)),
            Act::ChangeAttributes(place) => {
                let name = format!("renamed {}", self.shared.next());
                self.hand(place).change(id_of(place), &json!({ "name": name }));
            }
            Act::ChangeContent(place) => {
                let text = format!("changed {}", self.shared.next());
                self.hand(place).write(id_of(place), "text/plain", text.as_bytes(), "");
            }
            Act::Move(place) => {
                let (hand, id) = (self.hand(place), id_of(place));
                let name = format!("folder {}", self.shared.next());
                let folder = hand.make(&json!({ "name": name, "mimeType": FOLDER }));
                let file = self.shared.tenant(|tenant| tenant.drive_file(id).unwrap());
                let from = file.parent.unwrap();
                hand.patch(&format!("files/{id}?addParents={folder}&removeParents={from}"), &json!({}));
            }
            Act::Remove(place) => self.hand(place).change(id_of(place), &json!({ "trashed": true })),
            Act::RemoveForGood(place) => self.hand(place).delete(&format!("files/{}", id_of(place))),
            // As Drive answers to a token that is too old, once: the next look takes a new one.
            Act::ExpireFeed(stream) => self.shared.tenant(|tenant| {
                let fault =
                    Fault::new("drive.changes.list", When::First(1), Effect::Gone("pageTokenExpired"));
                tenant.fault(Fault { user: Some(user_of(stream).to_owned()), ..fault });
            }),
            Act::Suspend(stream) => self.shared.suspend(user_of(stream), true),
            Act::Reinstate(stream) => self.shared.suspend(user_of(stream), false),
            // As of a file in which a virus was found.
            Act::DenyItem(place) => self.withhold(place, 403, "cannotDownloadAbusiveFile"),
            Act::MakeUnsupported(_) => {
                return Err(Never(
                    "a file of bytes can always be had; documents are for the tests of drives",
                ));
            }
            Act::FailItem(place) => self.withhold(place, 500, "internalError"),
            Act::DenyScope => self.shared.delegate(&[scopes::USER_READONLY]),
            Act::Lift => {
                self.shared.tenant(Tenant::lift_faults);
                self.withheld.files.lock().unwrap().clear();
                self.shared.delegate(scopes::READING);
            }
        }
        Ok(())
    }

    fn contents(&self, request: &Request) -> Vec<String> {
        asked(request).filter(|id| self.is_ours(id)).map(|id| format!("file/{id}")).into_iter().collect()
    }

    fn digests(&self) -> Result<(), Never> {
        Ok(())
    }

    fn spending(&self) -> Result<Spending, Never> {
        Ok(self.shared.spending())
    }

    fn secrets(&self) -> Vec<String> {
        self.shared.secrets()
    }
}
