//! A simulated domain, a reader of it, and an agent that changes things in it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use connect::{Progress, ReadEnd, ReadError, Silent, SourceReader, Stop, testing::MemorySink};
use connect_http::{HttpSettings, HttpTransport, Request, Response, Transport, TransportError};
use google_api::{ApiSettings, ServiceAccountKey};
use google_tenant::{App, Effect, Fault, GoogleTenant, Running, Settings, Size, When, scopes};
use model::{Moment, Redacted};
use ports::{Clock, ManualClock, SeededRandom};
use serde_json::Value;
use source_google::{GoogleReader, GoogleSettings, Part, RecordAttributes, gmail::MessageAttributes};

pub(crate) struct Domain {
    pub(crate) running: Running,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) parts: BTreeSet<Part>,
    /// The only users that are read; empty for all.
    pub(crate) only: BTreeSet<String>,
}

/// 2 March 2026.
const START: Moment = Moment::from_micros(1_772_409_600_000_000);
pub(crate) const SECOND: i64 = 1_000_000;
pub(crate) const DAY: i64 = 86_400 * SECOND;

/// The client id of the program that users let in.
pub(crate) const CLAW: &str = "523456789012-claw.apps.googleusercontent.com";

/// A message with the names of its labels.
pub(crate) type Letters = BTreeMap<String, (BTreeSet<String>, Vec<u8>)>;

impl Domain {
    pub(crate) fn start(parts: &[Part]) -> Self {
        Self::with(parts, |_| ())
    }

    pub(crate) fn with(parts: &[Part], change: impl FnOnce(&mut Settings)) -> Self {
        let clock = Arc::new(ManualClock::new(START));
        let size = Size { users: 6, messages: 80, ..Size::default() };
        let mut settings = Settings { size, ..Settings::default() };
        change(&mut settings);
        let running =
            GoogleTenant::start(settings, Arc::clone(&clock) as _, Arc::new(SeededRandom::new(1))).unwrap();
        Self { running, clock, parts: parts.iter().copied().collect(), only: BTreeSet::new() }
    }

    pub(crate) fn key(&self) -> ServiceAccountKey {
        let text = self.running.with_tenant(|tenant| {
            let email = tenant.service_accounts().next().unwrap().email.clone();
            tenant.key_file(&email).unwrap()
        });
        ServiceAccountKey::of_json(&Redacted::new(text)).unwrap()
    }

    pub(crate) fn reader(&self) -> GoogleReader {
        let transport = HttpTransport::new(HttpSettings::default()).unwrap();
        self.reader_through(Arc::new(transport))
    }

    pub(crate) fn reader_through(&self, transport: Arc<dyn Transport>) -> GoogleReader {
        GoogleReader::new(self.key(), transport, self.settings(), Arc::new(Silent))
    }

    pub(crate) fn settings(&self) -> GoogleSettings {
        GoogleSettings {
            admin: self.running.with_tenant(|tenant| tenant.administrator().unwrap().to_owned()),
            parts: self.parts.clone(),
            users: self.only.clone(),
            api: ApiSettings { address: Some(self.running.url().to_owned()), ..ApiSettings::default() },
            audit: source_google::audit::AuditSettings::default(),
            threads: 4,
            clock: Arc::clone(&self.clock) as _,
            random: Arc::new(SeededRandom::new(7)),
        }
    }

    /// Captures once with a reader of its own, as a process does that is started anew.
    pub(crate) fn capture(&self, sink: &mut MemorySink) {
        self.try_capture(sink).unwrap();
    }

    pub(crate) fn try_capture(&self, sink: &mut MemorySink) -> Result<ReadEnd, ReadError> {
        let cursor = sink.cursor();
        self.reader().changes(cursor.as_ref(), sink, &Stop::default())
    }

    /// Returns the addresses of the users who can be read.
    pub(crate) fn users(&self) -> Vec<String> {
        self.running.with_tenant(|tenant| {
            let open =
                |user: &&google_tenant::User| user.has_mailbox && !user.suspended && user.deleted.is_none();
            tenant.users().iter().filter(open).map(|user| user.primary_email.clone()).collect()
        })
    }

    /// Returns how many users can be read at all, those without a mailbox among them.
    pub(crate) fn open_users(&self) -> u64 {
        self.running.with_tenant(|tenant| {
            let open = |user: &&google_tenant::User| !user.suspended && user.deleted.is_none();
            tenant.users().iter().filter(open).count() as u64
        })
    }

    /// Returns what is really in a mailbox.
    pub(crate) fn letters(&self, user: &str) -> Letters {
        let mut all = Letters::new();
        self.running.with_tenant(|tenant| {
            tenant.each_letter(user, |letter| {
                let labels = letter.labels.iter().map(ToString::to_string).collect();
                all.insert(letter.id, (labels, letter.raw.to_vec()));
            });
        });
        all
    }

    /// Compares every mailbox with what a sink holds: each message byte for byte, with its labels by their names.
    #[track_caller]
    pub(crate) fn assert_held(&self, sink: &MemorySink) {
        for user in self.users() {
            let (held, real) = (held_letters(sink, &user), self.letters(&user));
            let ids = |letters: &Letters| letters.keys().cloned().collect::<Vec<_>>();
            assert_eq!(ids(&held), ids(&real), "{user}");
            for (id, letter) in &real {
                assert_eq!(held[id].0, letter.0, "the labels of {id} of {user}");
                assert!(held[id].1 == letter.1, "the text of {id} of {user}");
            }
        }
    }

    /// Returns a token with which a program that a user let in may do everything with mail.
    pub(crate) fn agent(&self, user: &str) -> Agent<'_> {
        self.program(user, &[scopes::MAIL])
    }

    /// Returns a program that a user let in with some scopes.
    pub(crate) fn program(&self, user: &str, scopes: &[&str]) -> Agent<'_> {
        Agent { domain: self, token: self.let_in(user, (CLAW, "OpenClaw"), scopes) }
    }

    /// Lets a user let a program in, which has a client id and a name; returns its token.
    pub(crate) fn let_in(&self, user: &str, program: (&str, &str), scopes: &[&str]) -> String {
        let app = App {
            client_id: program.0.to_owned(),
            client_secret: "secret".to_owned(),
            display_text: program.1.to_owned(),
            native: true,
        };
        self.running.with_tenant(|tenant| {
            let grant = tenant.authorize(user, &app, scopes).unwrap();
            tenant.access_token(&grant).unwrap()
        })
    }

    /// Lets so large a share of calls fail in every way that a network and a service have.
    pub(crate) fn unsteady(&self, calls: &str, share: f64) {
        let effects = [
            Effect::Backend(503),
            Effect::TooMany(Some(2)),
            Effect::TooMany(None),
            Effect::UserRate,
            Effect::Truncated(700),
            Effect::Reset,
            Effect::Lost,
            Effect::TokenExpired,
        ];
        self.running.with_tenant(|tenant| {
            for effect in effects {
                tenant.fault(Fault::new(calls, When::Rate(share), effect));
            }
        });
    }
}

/// Asks a reader to end at a time.
pub(crate) struct Until {
    clock: Arc<ManualClock>,
    end: Duration,
    pub(crate) stop: Stop,
}

impl Until {
    /// Makes one that asks after so much of a domain's time.
    pub(crate) fn after(domain: &Domain, time: Duration) -> Arc<Self> {
        let (clock, end) = (Arc::clone(&domain.clock), domain.clock.elapsed() + time);
        Arc::new(Self { clock, end, stop: Stop::default() })
    }
}

impl Progress for Until {
    fn phase(&self, _title: &str, _total: Option<u64>) {}

    fn advance(&self, _units: u64) {
        if self.clock.elapsed() >= self.end {
            self.stop.request();
        }
    }
}

/// Returns what a sink holds of a mailbox.
pub(crate) fn held_letters(sink: &MemorySink, user: &str) -> Letters {
    let held = sink.stream(&format!("gmail/{user}"));
    let mut names = BTreeMap::new();
    for (key, item) in &held {
        if let Some(id) = key.strip_prefix("label/") {
            let attributes: RecordAttributes = serde_json::from_str(&item.attributes).unwrap();
            names.insert(id.to_owned(), attributes.name.unwrap());
        }
    }
    let mut letters = Letters::new();
    for (key, item) in &held {
        if let (Some(id), Ok(text)) = (key.strip_prefix("message/"), &item.content) {
            let attributes = MessageAttributes::of_text(&item.attributes).unwrap();
            let name = |label: &String| names.get(label).unwrap_or(label).clone();
            let labels = attributes.labels.iter().map(name).collect();
            letters.insert(id.to_owned(), (labels, text.clone()));
        }
    }
    letters
}

/// Carries calls and keeps what was sent, a batch as one.
pub(crate) struct Counted {
    inner: HttpTransport,
    sent: Mutex<Vec<String>>,
}

impl Counted {
    pub(crate) fn new() -> Arc<Self> {
        let inner = HttpTransport::new(HttpSettings::default()).unwrap();
        Arc::new(Self { inner, sent: Mutex::default() })
    }

    /// Returns how many requests were sent since this was asked last, without those for tokens.
    pub(crate) fn take(&self) -> u64 {
        self.take_texts().len() as u64
    }

    /// Returns the requests themselves, with the calls of batches.
    pub(crate) fn take_texts(&self) -> Vec<String> {
        std::mem::take(&mut self.sent.lock().unwrap())
    }
}

impl Transport for Counted {
    fn send(&self, request: &Request) -> Result<Response, TransportError> {
        if !request.url.ends_with("/token") {
            let text =
                format!("{} {}\n{}", request.method, request.url, String::from_utf8_lossy(&request.body));
            self.sent.lock().unwrap().push(text);
        }
        self.inner.send(request)
    }
}

/// A program that acts in a user's name.
pub(crate) struct Agent<'d> {
    domain: &'d Domain,
    token: String,
}

impl Agent<'_> {
    pub(crate) fn post(&self, path: &str, body: &Value) -> Value {
        let url = format!("{}/gmail/v1/users/me/{path}", self.domain.running.url());
        let request = ureq::post(url).header("authorization", format!("Bearer {}", self.token));
        let mut answer = request.send_json(body).unwrap();
        answer.body_mut().read_json().unwrap_or_default()
    }

    /// Makes any call; its answer must be good.
    pub(crate) fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}/{path}", self.domain.running.url()))
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", "application/json")
            .body(if body.is_null() { String::new() } else { body.to_string() })
            .unwrap();
        let mut answer = ureq::Agent::new_with_defaults().run(request).unwrap();
        answer.body_mut().read_json().unwrap_or_default()
    }

    /// Reads all pages of a list.
    pub(crate) fn all(&self, path: &str, member: &str) -> Vec<Value> {
        let (mut all, mut token) = (Vec::new(), None::<String>);
        loop {
            let next = token.map(|token| format!("&pageToken={token}")).unwrap_or_default();
            let page = self.call("GET", &format!("{path}{next}"), &Value::Null);
            all.extend(page[member].as_array().cloned().unwrap_or_default());
            token = page["nextPageToken"].as_str().map(str::to_owned);
            if token.is_none() {
                return all;
            }
        }
    }

    pub(crate) fn delete(&self, path: &str) {
        let url = format!("{}/gmail/v1/users/me/{path}", self.domain.running.url());
        ureq::delete(url).header("authorization", format!("Bearer {}", self.token)).call().unwrap();
    }
}
