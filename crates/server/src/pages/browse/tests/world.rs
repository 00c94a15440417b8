//! A small installation with hostile names in every place where a name can be, and its site in process.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{Arc, Mutex},
};

use access::{
    Access, PersonName, Principal, RelyingParty, Role, Scope, ServiceName,
    testing::{Device, join, sign_in},
};
use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode, header},
};
use connect::{ChangeSink, Cursor, Progress, ReadEnd, ReadError, SourceReader, Stop};
use http_body_util::BodyExt;
use model::{Item, Layout, Moment, SourceName, StreamName};
use ports::{ManualClock, SeededRandom};
use service::{
    Installation, Place,
    certificate::Certificate,
    config::SourceConfig,
    installation::{InitRequest, Ports},
    watching::{Answer, Request as WatchRequest},
    workshop::{
        AppliedRestore, DrillWish, Examined, PlannedRestore, Question, RestoreWish, Table, WorkError,
        WorkErrorKind, Workshop,
    },
};
use tower::ServiceExt;

use crate::{
    indexer, running,
    site::{Site, SiteParts},
};

/// What every hostile name has in it; it must never be in a page as it is.
pub(super) const EVIL: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>";

pub(super) const MAIL: &str = "gmail/anna@acme.test";
const ORIGIN: &str = "http://localhost:8787";

/// What a source shows in one capture.
pub(super) enum Show {
    Item { stream: String, key: String, attributes: String, content: Vec<u8> },
    Gone { stream: String, key: String },
}

struct Script(Vec<Show>);

impl SourceReader for Script {
    fn changes(
        &mut self,
        _: Option<&Cursor>,
        sink: &mut dyn ChangeSink,
        _: &Stop,
    ) -> Result<ReadEnd, ReadError> {
        sink.enumerated(self.0.iter().filter(|show| matches!(show, Show::Item { .. })).count() as u64)?;
        for show in self.0.drain(..) {
            match show {
                Show::Item { stream, key, attributes, content } => {
                    let item = Item { stream: StreamName::new(stream).unwrap(), key, attributes };
                    sink.upsert_bytes(item, Layout::Small, &content)?;
                }
                Show::Gone { stream, key } => sink.removed(StreamName::new(stream).unwrap(), key)?,
            }
        }
        sink.checkpoint(&Cursor("1".to_owned()))?;
        Ok(ReadEnd::UpToDate)
    }
}

/// Notes what it is asked for, and answers questions with hostile rows.
#[derive(Default)]
pub(super) struct Notes {
    pub(super) wishes: Mutex<Vec<RestoreWish>>,
    pub(super) questions: Mutex<Vec<Question>>,
}

fn not_here() -> WorkError {
    WorkError {
        kind: WorkErrorKind::Failed,
        sentence: "this workshop has no connectors".to_owned(),
        causes: Vec::new(),
        hint: None,
    }
}

impl Workshop for Notes {
    fn plan(&self, wish: &RestoreWish, _: &Arc<dyn Progress>) -> Result<PlannedRestore, WorkError> {
        self.wishes.lock().unwrap().push(wish.clone());
        Err(not_here())
    }

    fn apply(&self, _: &Path, _: &Arc<dyn Progress>) -> Result<AppliedRestore, WorkError> {
        Err(not_here())
    }

    fn drill(&self, _: &DrillWish, _: &Arc<dyn Progress>) -> Result<Certificate, WorkError> {
        Err(not_here())
    }

    fn examine(&self, _: &Arc<dyn Progress>) -> Result<Vec<Examined>, WorkError> {
        Err(not_here())
    }

    fn query(&self, question: &Question, _: &Arc<dyn Progress>) -> Result<Table, WorkError> {
        self.questions.lock().unwrap().push(question.clone());
        let is_first = question.moment == "1";
        let row = |id: &str, text: &str| vec![Some(id.to_owned()), Some(text.to_owned()), None];
        let changed = if is_first { "old words" } else { "new words" };
        let mut rows = vec![row("1", EVIL), row("2", changed)];
        rows.push(if is_first { row("3", "gone") } else { row("4", "come") });
        let columns = vec!["id".to_owned(), format!("text{EVIL}"), "nothing".to_owned()];
        Ok(Table { columns, rows, truncated: false })
    }

    fn contain(&self, _: &WatchRequest) -> Result<Answer, WorkError> {
        Err(not_here())
    }

    fn capture(&self, _: &SourceName, _: &Arc<dyn Progress>) -> Result<u64, WorkError> {
        Err(not_here())
    }
}

pub(super) struct World {
    _folder: tempfile::TempDir,
    clock: Arc<ManualClock>,
    installation: Installation,
    pub(super) site: Arc<Site>,
    router: Router,
    pub(super) workshop: Arc<Notes>,
}

/// Somebody who has logged in.
pub(super) struct Somebody {
    pub(super) cookie: String,
    pub(super) csrf: String,
}

/// What was answered.
pub(super) struct Answered {
    pub(super) status: StatusCode,
    pub(super) headers: axum::http::HeaderMap,
    pub(super) bytes: Vec<u8>,
}

impl Answered {
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.bytes.clone()).unwrap()
    }

    pub(super) fn location(&self) -> String {
        assert!(self.status.is_redirection(), "{}: {}", self.status, self.text());
        self.headers[header::LOCATION].to_str().unwrap().to_owned()
    }

    /// The page, after it is sure that no hostile name got into it as it is.
    pub(super) fn page(&self) -> String {
        let text = self.text();
        assert_eq!(self.status, StatusCode::OK, "{text}");
        for bad in ["<script>alert", "<img src=x", "\"'>"] {
            assert!(!text.contains(bad), "{bad} in {text}");
        }
        text
    }
}

pub(super) fn source(name: &str) -> SourceName {
    SourceName::new(name).unwrap()
}

pub(super) fn mail(id: &str, subject: &str) -> Show {
    let attributes = serde_json::json!({
        "thread": "t", "labels": ["INBOX"], "received_ms": 1_717_171_717_000_u64,
        "subject": subject, "from": format!("{EVIL} <bob@acme.test>"),
    });
    let content = format!(
        "From: \"{name}\" <bob@acme.test>\r\nSubject: {subject}\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n\
         Hello {subject}\r\n{EVIL}\r\n--b\r\nContent-Type: application/pdf\r\n\
         Content-Disposition: attachment; filename=\"<script>alert(1)</script>.pdf\"\r\n\r\nx\r\n--b--\r\n",
        name = EVIL.replace('"', ""),
    );
    Show::Item {
        stream: MAIL.to_owned(),
        key: format!("message/{id}"),
        attributes: attributes.to_string(),
        content: content.into_bytes(),
    }
}

pub(super) fn gone(stream: &str, key: &str) -> Show {
    Show::Gone { stream: stream.to_owned(), key: key.to_owned() }
}

pub(super) fn file(key: &str, content: &str) -> Show {
    let attributes = r#"{"kind":"file","mode":420,"modified_ns":1,"owner":1,"group":1}"#;
    Show::Item {
        stream: "files".to_owned(),
        key: key.to_owned(),
        attributes: attributes.to_owned(),
        content: content.as_bytes().to_vec(),
    }
}

pub(super) fn table(name: &str) -> Show {
    let attributes = serde_json::json!({"database": "shop", "schema": "public", "name": name, "kind": "r"});
    Show::Item {
        stream: "relations".to_owned(),
        key: format!("1/{name}"),
        attributes: attributes.to_string(),
        content: attributes.to_string().into_bytes(),
    }
}

pub(super) fn record(key: &str, value: &str) -> Show {
    let content = serde_json::json!({"name": value, EVIL: {"deep": [value, EVIL]}});
    Show::Item {
        stream: "calendar/anna@acme.test".to_owned(),
        key: format!("event/{key}"),
        attributes: serde_json::json!({"summary": value}).to_string(),
        content: content.to_string().into_bytes(),
    }
}

impl World {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(Moment::from_micros(1_750_000_000_000_000)));
        let ports = Ports {
            clock: Arc::clone(&clock) as _,
            random: Arc::new(SeededRandom::new(1)),
            tracing: ports::Tracing::default(),
        };
        let place = Place::Folder { path: "vault".into(), immutable_flags: false };
        Installation::init(folder.path(), &InitRequest { place, lock_days: 1 }, &ports, &|_| None).unwrap();
        let mut installation = Installation::open(folder.path(), ports.clone()).unwrap();
        for (name, kind) in [("acme", "google"), ("home", "files"), ("shop", "postgres")] {
            let config = SourceConfig { kind: kind.to_owned(), settings: toml::Table::new() };
            installation.reconfigure(|all| all.add_source(source(name), config)).unwrap();
        }
        let party = RelyingParty::of_origin(ORIGIN, "unwipe").unwrap();
        let random = Arc::clone(&ports.random);
        let access =
            Access::open(&folder.path().join("state/access"), party, Arc::clone(&clock) as _, random)
                .unwrap();
        let workshop = Arc::new(Notes::default());
        let site = Site::new(SiteParts {
            home: folder.path().to_owned(),
            ports,
            environment: &|_| None,
            access: Arc::new(access),
            workshop: Arc::clone(&workshop) as _,
            origin: ORIGIN.to_owned(),
            requests: ports::Tracing::default(),
            agents: None,
        })
        .unwrap();
        let router = running::router(Arc::clone(&site), "127.0.0.1:8787".parse().unwrap());
        Self { _folder: folder, clock, installation, site, router, workshop }
    }

    pub(super) fn capture(&self, name: &str, shows: Vec<Show>) {
        self.clock.advance_micros(60_000_000);
        let captured =
            self.installation.capture(&source(name), &mut Script(shows), &|_| None, &Stop::default());
        captured.unwrap();
        indexer::look(&self.site, &Stop::default());
    }

    pub(super) fn somebody(&self, name: &str, role: Role) -> Somebody {
        let party = RelyingParty::of_origin(ORIGIN, "unwipe").unwrap();
        let person = PersonName::new(name).unwrap();
        let by = Principal::Host("test".to_owned());
        let invitation = self.site.access.invite(&person, BTreeSet::from([role]), &by).unwrap();
        let mut device = Device::es256(&party).unwrap();
        join(&self.site.access, &invitation.token, &mut device).unwrap();
        let session = sign_in(&self.site.access, &mut device).unwrap();
        Somebody { cookie: format!("session={}", session.token), csrf: session.signed_in.csrf }
    }

    pub(super) fn token(&self, name: &str, scope: Scope) -> String {
        let by = Principal::Host("test".to_owned());
        let name = ServiceName::new(name).unwrap();
        let lifetime = std::time::Duration::from_hours(24);
        self.site.access.create_token(&name, BTreeSet::from([scope]), lifetime, &by).unwrap().token
    }

    pub(super) async fn get(&self, who: &Somebody, address: &str) -> Answered {
        let request = Request::get(address).header(header::COOKIE, &who.cookie);
        self.ask(request, Body::empty()).await
    }

    pub(super) async fn call(&self, token: &str, address: &str) -> (StatusCode, serde_json::Value) {
        let request = Request::get(format!("/api/v1{address}"))
            .header(header::AUTHORIZATION, format!("Bearer {token}"));
        let answered = self.ask(request, Body::empty()).await;
        (answered.status, serde_json::from_slice(&answered.bytes).unwrap())
    }

    pub(super) async fn post(&self, who: &Somebody, address: &str, fields: &[(&str, &str)]) -> Answered {
        let all = [&[("csrf", who.csrf.as_str())], fields].concat();
        let form = serde_urlencoded::to_string(all).unwrap();
        let request = Request::post(address)
            .header(header::COOKIE, &who.cookie)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.ask(request, Body::from(form)).await
    }

    async fn ask(&self, request: axum::http::request::Builder, body: Body) -> Answered {
        // Whoever asks as often as a test does waits a while in between.
        self.clock.advance_micros(100_000);
        let request = request.header(header::HOST, "localhost:8787").body(body).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes().to_vec();
        Answered { status: parts.status, headers: parts.headers, bytes }
    }

    /// Waits until a job is over.
    pub(super) async fn job(&self, location: &str) -> service::jobs::Job {
        let id = location.rsplit('/').next().unwrap().parse().unwrap();
        loop {
            let job = self.site.jobs.get(id).unwrap();
            if !job.is_running() {
                return job;
            }
            tokio::task::yield_now().await;
        }
    }
}

/// Every address of a page that a page links to with a class of links: `rel="next"`.
pub(super) fn address_of(page: &str, rel: &str) -> Option<String> {
    let start = page.find(&format!("rel=\"{rel}\" href=\""))?;
    let rest = &page[start..];
    let from = rest.find("href=\"")? + 6;
    let end = rest[from..].find('"')?;
    Some(rest[from..from + end].replace("&#38;", "&").replace("&amp;", "&"))
}

/// Every value of the boxes that can be chosen.
pub(super) fn picks(page: &str) -> Vec<String> {
    page.split("name=\"pick\" value=\"")
        .skip(1)
        .map(|rest| rest[..rest.find('"').unwrap()].replace("&#38;", "&").replace("&amp;", "&"))
        .collect()
}
