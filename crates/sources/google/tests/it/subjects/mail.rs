//! What the conformance suite is told of mail.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use connect::{Silent, SourceReader, testing::HeldItems};
use connect_conformance::{Act, Conditions, Fact, Furnishing, Never, Place, Spending, State, Subject};
use connect_http::{HttpSettings, HttpTransport, PoolSettings, Request, Transport};
use google_api::ApiSettings;
use google_tenant::{App, Effect, Fault, Overrun, Pool, QuotaSettings, Size, Tenant, When, scopes};
use model::StreamName;
use ports::{ManualClock, SeededRandom};
use serde_json::{Value, json};
use source_google::{GoogleReader, GoogleSettings, Part, RecordAttributes, gmail::MessageAttributes};

use crate::domain::Domain;

/// Units of quota in a minute, and at once after a rest, where it is modelled.
const UNITS_PER_MINUTE: u64 = 600;
const BURST_UNITS: u64 = 100;

/// A simulated domain of which some mailboxes are read.
pub(crate) struct MailSubject {
    pub(crate) domain: Domain,
    users: BTreeSet<String>,
    limited: bool,
    made: AtomicU64,
}

/// Returns the pools of Gmail's modelled quota, or none.
pub(crate) fn settings(domain: &Domain, paced: bool) -> ApiSettings {
    let pool = PoolSettings {
        units: UNITS_PER_MINUTE,
        per: Duration::from_mins(1),
        burst: BURST_UNITS,
        concurrent: None,
    };
    let mut settings =
        ApiSettings { address: Some(domain.running.url().to_owned()), ..ApiSettings::default() };
    settings.pools.clear();
    if paced {
        settings.pools.insert("gmail/project".to_owned(), pool);
    }
    settings
}

impl MailSubject {
    pub(crate) fn start(furnishing: &Furnishing) -> Self {
        let domain = Domain::with(&[Part::Gmail], |settings| {
            // Administrators and accounts that cannot be read come on top.
            let (users, messages) = (furnishing.users as u32 + 6, furnishing.items as u32);
            settings.size = Size { users, messages, files: 1, events: 1, contacts: 1 };
            settings.seed = furnishing.seed;
            if furnishing.limited {
                let pool = Pool { project: UNITS_PER_MINUTE, user: 1_000_000 };
                settings.quota = QuotaSettings {
                    pools: [("gmail".to_owned(), pool)].into(),
                    overrun: Overrun::Mixed,
                    ..QuotaSettings::unlimited()
                };
            }
        });
        let admins: BTreeSet<String> = domain.running.with_tenant(|tenant| {
            let admins = tenant.users().iter().filter(|user| user.is_admin || user.is_delegated_admin);
            admins.map(|user| user.primary_email.clone()).collect()
        });
        let users = domain.users().into_iter().filter(|user| !admins.contains(user));
        let users = users.take(furnishing.users).collect();
        Self { domain, users, limited: furnishing.limited, made: AtomicU64::new(0) }
    }

    /// Returns the first of the users.
    #[allow(dead_code, reason = "the tests of restores ask for it")]
    pub(crate) fn first_user(&self) -> &str {
        self.users.iter().next().unwrap()
    }

    fn next(&self) -> u64 {
        self.made.fetch_add(1, Ordering::SeqCst)
    }

    fn tenant<T>(&self, act: impl FnOnce(&mut Tenant) -> T) -> T {
        self.domain.running.with_tenant(act)
    }

    /// Puts a label on a message that nobody ever had, and takes others off.
    fn relabel(&self, place: &Place, name: &str, off: &[&str]) {
        let (agent, id) = (self.domain.agent(user_of(&place.stream)), id_of(place));
        let label = agent.post("labels", &json!({ "name": format!("{name} {}", self.next()) }));
        let body = json!({ "addLabelIds": [label["id"]], "removeLabelIds": off });
        agent.post(&format!("messages/{id}/modify"), &body);
    }

    /// Suspends a user, or ends that, as an administrator does it.
    fn suspend(&self, user: &str, suspended: bool) {
        let app = App {
            client_id: "523456789012-console.apps.googleusercontent.com".to_owned(),
            client_secret: "secret".to_owned(),
            display_text: "Admin console".to_owned(),
            native: true,
        };
        let token = self.tenant(|tenant| {
            let admin = tenant.administrator().unwrap().to_owned();
            let grant = tenant.authorize(&admin, &app, &[scopes::USER]).unwrap();
            tenant.access_token(&grant).unwrap()
        });
        let url = format!("{}/admin/directory/v1/users/{user}", self.domain.running.url());
        let request = ureq::patch(url).header("authorization", format!("Bearer {token}"));
        request.send_json(json!({ "suspended": suspended })).unwrap();
    }

    /// Gives the reader's service account scopes over the domain.
    fn delegate(&self, scopes: &[&str]) {
        self.tenant(|tenant| {
            let id = tenant.service_accounts().next().unwrap().client_id.clone();
            tenant.delegate(&id, scopes.iter().copied());
        });
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
        Arc::clone(&self.domain.clock)
    }

    fn transport(&self) -> Arc<dyn Transport> {
        Arc::new(HttpTransport::new(HttpSettings::default()).unwrap())
    }

    fn reader(&self, conditions: &Conditions) -> Box<dyn SourceReader> {
        let settings = GoogleSettings {
            admin: self.tenant(|tenant| tenant.administrator().unwrap().to_owned()),
            parts: [Part::Gmail].into(),
            users: self.users.clone(),
            api: settings(&self.domain, conditions.paced),
            threads: conditions.threads,
            clock: Arc::clone(&self.domain.clock) as _,
            random: Arc::new(SeededRandom::new(7)),
        };
        let transport = Arc::clone(&conditions.transport);
        Box::new(GoogleReader::new(self.domain.key(), transport, settings, Arc::new(Silent)))
    }

    fn real(&self) -> State {
        let mut real = State::new();
        for user in &self.users {
            self.tenant(|tenant| {
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
        match act {
            Act::Add(stream) => {
                let number = self.next();
                let text = format!("Message-ID: <new-{number}@x.test>\r\nSubject: new {number}\r\n\r\nnew\r\n");
                self.tenant(|tenant| tenant.deliver(user_of(stream), text.as_bytes()).unwrap());
            }
            Act::ChangeAttributes(place) => self.relabel(place, "Seen", &["UNREAD"]),
            Act::Move(place) => self.relabel(place, "Moved", &["INBOX"]),
            Act::ChangeContent(_) => return Err(Never("a message never changes; another one takes its place")),
            Act::Remove(place) => {
                let path = format!("messages/{}/trash", id_of(place));
                self.domain.agent(user_of(&place.stream)).post(&path, &json!({}));
            }
            Act::RemoveForGood(place) => {
                self.domain.agent(user_of(&place.stream)).delete(&format!("messages/{}", id_of(place)));
            }
            Act::ExpireFeed(stream) => self.tenant(|tenant| tenant.expire_history(user_of(stream))),
            Act::Suspend(stream) => self.suspend(user_of(stream), true),
            Act::Reinstate(stream) => self.suspend(user_of(stream), false),
            Act::DenyItem(_) => return Err(Never("whoever may read a mailbox may read all of its messages")),
            Act::MakeUnsupported(_) => return Err(Never("every message has a raw text")),
            Act::FailItem(place) => self.tenant(|tenant| {
                let fault = Fault::new("gmail.users.messages.get", When::Always, Effect::Backend(500));
                tenant.fault(Fault { user: Some(user_of(&place.stream).to_owned()), ..fault });
            }),
            Act::DenyScope => self.delegate(&[scopes::USER_READONLY]),
            Act::Lift => {
                self.tenant(Tenant::lift_faults);
                self.delegate(scopes::READING);
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
        assert!(self.limited, "nothing is limited");
        let (units, refusals) = self.tenant(|tenant| {
            let users = self.users.iter();
            (users.map(|user| tenant.spent("gmail", user)).sum(), tenant.quota_refusals())
        });
        let units_per_second = UNITS_PER_MINUTE as f64 / 60.0;
        Ok(Spending { units, burst_units: BURST_UNITS, units_per_second, refusals })
    }

    fn secrets(&self) -> Vec<String> {
        let accounts: Vec<String> = self.tenant(|tenant| {
            let emails: Vec<String> = tenant.service_accounts().map(|account| account.email.clone()).collect();
            emails.iter().filter_map(|email| tenant.key_file(email)).collect()
        });
        let keys = accounts.iter().filter_map(|text| {
            let key: Value = serde_json::from_str(text).ok()?;
            // Any line of the key gives it away; the first ones say what kind of key it is.
            key["private_key"].as_str()?.lines().nth(4).map(str::to_owned)
        });
        keys.collect()
    }
}
