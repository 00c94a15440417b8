//! What the conformance suite is told of mail.

use std::{collections::BTreeSet, sync::Arc};

use connect::{SourceReader, testing::HeldItems};
use connect_conformance::{Act, Conditions, Fact, Furnishing, Never, Place, Spending, State, Subject};
use connect_http::{Request, Transport};
use google_tenant::{Effect, Fault, Tenant, When, scopes};
use model::StreamName;
use ports::ManualClock;
use serde_json::json;
use source_google::{Part, RecordAttributes, gmail::MessageAttributes};

use super::shared::{Modelled, Shared};

const QUOTA: Modelled = Modelled { service: "gmail", units_per_minute: 300, of_one_unit: &[] };

/// A simulated domain of which some mailboxes are read.
pub(crate) struct MailSubject {
    pub(crate) shared: Shared,
}

impl MailSubject {
    pub(crate) fn start(furnishing: &Furnishing) -> Self {
        let shared = Shared::start(furnishing, Part::Gmail, QUOTA, |settings| {
            settings.size.messages = furnishing.items as u32;
            // The few messages of the small source are fetched some hundred times: with this seed they are small as well.
            settings.seed = furnishing.seed + 6;
        });
        Self { shared }
    }

    /// Returns the first of the users.
    #[allow(dead_code, reason = "the tests of restores ask for it")]
    pub(crate) fn first_user(&self) -> &str {
        self.shared.users.iter().next().unwrap()
    }

    /// Puts a label on a message that nobody ever had, and takes others off.
    fn relabel(&self, place: &Place, name: &str, off: &[&str]) {
        let (agent, id) = (self.shared.domain.agent(user_of(&place.stream)), id_of(place));
        let label = agent.post("labels", &json!({ "name": format!("{name} {}", self.shared.next()) }));
        let body = json!({ "addLabelIds": [label["id"]], "removeLabelIds": off });
        agent.post(&format!("messages/{id}/modify"), &body);
    }
}

fn user_of(stream: &str) -> &str {
    stream.trim_start_matches("gmail/")
}

fn id_of(place: &Place) -> &str {
    place.key.trim_start_matches("message/")
}

/// Says of a message what `real` and `says` both say.
fn words(labels: &BTreeSet<String>, received_ms: i64) -> String {
    format!("received at {received_ms}, labels {labels:?}")
}

/// Returns the name of a label as it is held.
fn label_name(held: &HeldItems, stream: &str, id: &str) -> String {
    let key = (StreamName::new(stream).unwrap(), format!("label/{id}"));
    let held = held.get(&key).and_then(|item| serde_json::from_str(&item.attributes).ok());
    held.and_then(|attributes: RecordAttributes| attributes.name).unwrap_or_else(|| id.to_owned())
}

impl Subject for MailSubject {
    fn clock(&self) -> Arc<ManualClock> {
        Arc::clone(&self.shared.domain.clock)
    }

    fn transport(&self) -> Arc<dyn Transport> {
        Shared::transport()
    }

    fn reader(&self, conditions: &Conditions) -> Box<dyn SourceReader> {
        self.shared.reader(conditions)
    }

    fn real(&self) -> State {
        let mut real = State::new();
        for user in &self.shared.users {
            self.shared.tenant(|tenant| {
                tenant.each_letter(user, |letter| {
                    let labels = letter.labels.iter().cloned().collect();
                    let fact = Fact::new(&letter.raw, words(&labels, letter.internal_date));
                    let place = Place::new(format!("gmail/{user}"), format!("message/{}", letter.id));
                    real.insert(place, fact);
                });
            });
        }
        real
    }

    fn says(&self, held: &HeldItems, place: &Place, attributes: &str) -> String {
        let attributes = MessageAttributes::of_text(attributes).unwrap();
        let labels = attributes.labels.iter().map(|id| label_name(held, &place.stream, id)).collect();
        words(&labels, attributes.received_ms)
    }

    fn covers(&self, place: &Place) -> bool {
        place.key.starts_with("message/")
    }

    fn act(&self, act: Act<'_>) -> Result<(), Never> {
        self.shared.rest();
        match act {
            Act::Add(stream) => {
                let number = self.shared.next();
                let text =
                    format!("Message-ID: <new-{number}@x.test>\r\nSubject: new {number}\r\n\r\nnew\r\n");
                self.shared.tenant(|tenant| tenant.deliver(user_of(stream), text.as_bytes()).unwrap());
            }
            Act::ChangeAttributes(place) => self.relabel(place, "Seen", &["UNREAD"]),
            Act::Move(place) => self.relabel(place, "Moved", &["INBOX"]),
            Act::ChangeContent(_) => {
                return Err(Never("a message never changes; another one takes its place"));
            }
            Act::Remove(place) => {
                let path = format!("messages/{}/trash", id_of(place));
                self.shared.domain.agent(user_of(&place.stream)).post(&path, &json!({}));
            }
            Act::RemoveForGood(place) => {
                self.shared
                    .domain
                    .agent(user_of(&place.stream))
                    .delete(&format!("messages/{}", id_of(place)));
            }
            Act::ExpireFeed(stream) => self.shared.tenant(|tenant| tenant.expire_history(user_of(stream))),
            Act::Suspend(stream) => self.shared.suspend(user_of(stream), true),
            Act::Reinstate(stream) => self.shared.suspend(user_of(stream), false),
            Act::DenyItem(_) => return Err(Never("whoever may read a mailbox may read all of its messages")),
            Act::MakeUnsupported(_) => return Err(Never("every message has a raw text")),
            Act::FailItem(place) => self.shared.tenant(|tenant| {
                let fault = Fault::new("gmail.users.messages.get", When::Always, Effect::Backend(500));
                tenant.fault(Fault { user: Some(user_of(&place.stream).to_owned()), ..fault });
            }),
            Act::DenyScope => self.shared.delegate(&[scopes::USER_READONLY]),
            Act::Lift => {
                self.shared.tenant(Tenant::lift_faults);
                self.shared.delegate(scopes::READING);
            }
        }
        Ok(())
    }

    fn contents(&self, request: &Request) -> Vec<String> {
        // A batch carries the lines of its calls: `GET /gmail/v1/users/me/messages/18c?format=raw`.
        let body = String::from_utf8_lossy(&request.body);
        let lines = std::iter::once(request.url.as_str()).chain(body.lines());
        let ids = lines.filter_map(|line| {
            let (_, rest) = line.split_once("/messages/")?;
            let (id, query) = rest.split_once('?')?;
            query.contains("format=raw").then(|| format!("message/{id}"))
        });
        ids.collect()
    }

    fn digests(&self) -> Result<(), Never> {
        Err(Never("Gmail states no digest of a message; TLS guards its bytes on their way"))
    }

    fn spending(&self) -> Result<Spending, Never> {
        Ok(self.shared.spending())
    }

    fn secrets(&self) -> Vec<String> {
        self.shared.secrets()
    }
}
