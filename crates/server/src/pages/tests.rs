//! A house with people in it, asked as a browser and as a program would ask.

mod incidents;
mod requests;
mod sources;
mod worst_day;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{Arc, Mutex},
};

use access::{
    Access, Authorised, Edit, Outcome, PersonName, Principal, RelyingParty, Role, Scope, ServiceName,
    testing::{Device, join, sign_in},
};
use axum::{
    body::Body,
    http::{Method, Request, StatusCode, header},
};
use connect::{
    Progress,
    plan::{
        AppliedReport, ApplyMode, Check, Counts, Document, PLAN_FORMAT, Plan, PlanFolder, PlanHash, Subject,
        Verification,
    },
};
use http_body_util::BodyExt;
use model::{Moment, SourceName};
use ports::{SeededRandom, SystemClock, Tracing, span::KeptSpans};
use serde_json::{Value, json};
use service::{
    Installation, Place,
    approval::{Quorum, approvers_of},
    cases::{Cases, VaultLog},
    certificate::Certificate,
    installation::{InitRequest, Ports},
    passkeys,
    secret::Environment,
    watching::{Answer, Request as WatchRequest, WatchStore},
    workshop::{
        AppliedPart, AppliedRestore, DrillWish, Examined, PlannedRestore, Question, RestoreWish, Table,
        WorkError, WorkErrorKind, Workshop,
    },
};
use tower::Service;

use crate::{Site, SiteParts, running};

const ORIGIN: &str = "http://localhost:8787";
const NOWHERE: Environment<'static> = &|_| None;

/// Markup that must never be more than text.
pub(super) const HOSTILE: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>";

fn failed(sentence: impl std::fmt::Display) -> WorkError {
    WorkError { kind: WorkErrorKind::Failed, sentence: sentence.to_string(), causes: Vec::new(), hint: None }
}

/// Applies nothing anywhere, but obeys approvals as the real one does.
struct Bench {
    home: std::path::PathBuf,
    ports: Ports,
    asked: Mutex<Vec<WatchRequest>>,
}

impl Bench {
    fn applied(&self, folder: &Path) -> Result<AppliedRestore, WorkError> {
        let installation = Installation::open(&self.home, self.ports.clone()).map_err(failed)?;
        let plan = PlanFolder::new(folder).read_document(None).map_err(failed)?.hash().map_err(failed)?;
        let people = passkeys::of(&installation);
        let quorum = Quorum::of(&installation, &*people, plan).map_err(failed)?;
        let approvers = approvers_of(plan, folder, &quorum).map_err(failed)?;
        let log = VaultLog::of(&installation, Arc::new(|_: &str| None)).map_err(failed)?;
        let cases = Cases::of(&installation, Arc::clone(&people), Arc::new(log));
        let case = cases.of_plan(plan).map_err(failed)?.ok_or_else(|| failed("no case"))?;
        let application = cases.begin(&case.id).map_err(failed)?;
        let applied = AppliedReport {
            plan,
            mode: ApplyMode::Lasting,
            transaction: None,
            steps: Vec::new(),
            counts: Counts { inserted: 7, ..Counts::default() },
            conflicts: Vec::new(),
            notes: Vec::new(),
        };
        let check =
            Check { step: 1, target: HOSTILE.to_owned(), expected: 7, matched: 7, differences: Vec::new() };
        let verification = Some(Verification { plan, checks: vec![check] });
        application.finish(true).map_err(failed)?;
        Ok(AppliedRestore { plan, approvers, parts: vec![AppliedPart { applied, verification }] })
    }
}

impl Workshop for Bench {
    fn plan(&self, _: &RestoreWish, _: &Arc<dyn Progress>) -> Result<PlannedRestore, WorkError> {
        Err(failed("there is no source to plan from"))
    }

    fn apply(&self, folder: &Path, _: &Arc<dyn Progress>) -> Result<AppliedRestore, WorkError> {
        self.applied(folder)
    }

    fn drill(&self, _: &DrillWish, _: &Arc<dyn Progress>) -> Result<Certificate, WorkError> {
        Err(failed("there is nothing to drill"))
    }

    fn examine(&self, _: &Arc<dyn Progress>) -> Result<Vec<Examined>, WorkError> {
        Ok(Vec::new())
    }

    fn query(&self, _: &Question, _: &Arc<dyn Progress>) -> Result<Table, WorkError> {
        Err(failed("there is no database"))
    }

    fn contain(&self, request: &WatchRequest) -> Result<Answer, WorkError> {
        self.asked.lock().unwrap().push(request.clone());
        Ok(Answer::Done(Vec::new()))
    }

    fn capture(&self, _: &SourceName, _: &Arc<dyn Progress>) -> Result<u64, WorkError> {
        Err(failed("there is no source"))
    }
}

/// A person with a device, who is logged in.
pub(super) struct Someone {
    pub(super) device: Device,
    cookie: String,
    csrf: String,
}

/// An answer.
pub(super) struct Answered {
    pub(super) status: StatusCode,
    pub(super) text: String,
    pub(super) location: String,
}

impl Answered {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }
}

/// An installation with its people and its site.
pub(super) struct House {
    pub(super) folder: tempfile::TempDir,
    ports: Ports,
    bench: Arc<Bench>,
    pub(super) site: Arc<Site>,
    pub(super) people: BTreeMap<&'static str, Someone>,
    token: String,
    /// What a collector would be told.
    pub(super) told: Arc<KeptSpans>,
}

impl House {
    /// Makes a house of an owner (olga), two approvers (anna, ben), an operator (otto), a viewer (vera), and a program
    /// that may see, read and ask. So many approvals are needed.
    pub(super) fn new(needed: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let told = Arc::new(KeptSpans::default());
        let ports = Ports {
            clock: Arc::new(SystemClock::new()),
            random: Arc::new(SeededRandom::new(1)),
            tracing: Tracing::new(Arc::new(SystemClock::new()), Arc::clone(&told) as _),
        };
        let place = Place::Folder { path: "vault".into(), immutable_flags: false };
        let request = InitRequest { place, lock_days: 1 };
        Installation::init(folder.path(), &request, &ports, NOWHERE).unwrap();
        let mut installation = Installation::open(folder.path(), ports.clone()).unwrap();
        installation
            .reconfigure(|config| {
                config.approvals.needed = needed;
                ORIGIN.clone_into(&mut config.server.origin);
                Ok(())
            })
            .unwrap();
        let party = RelyingParty::of_origin(ORIGIN, "unwipe").unwrap();
        let accounts = folder.path().join("state/access");
        let (clock, random) = (Arc::clone(&ports.clock), Arc::clone(&ports.random));
        let access = Access::open(&accounts, party.clone(), clock, random).unwrap();
        let people = [
            ("olga", Role::Owner),
            ("anna", Role::Approver),
            ("ben", Role::Approver),
            ("otto", Role::Operator),
            ("vera", Role::Viewer),
        ];
        let people: BTreeMap<&'static str, Someone> =
            people.into_iter().map(|(name, role)| (name, settle(&access, &party, name, role))).collect();
        let owner = Principal::Person(PersonName::new("olga").unwrap());
        let scopes = BTreeSet::from([Scope::See, Scope::Content, Scope::Snapshot, Scope::Request]);
        let lifetime = std::time::Duration::from_hours(1);
        let token =
            access.create_token(&ServiceName::new("bot").unwrap(), scopes, lifetime, &owner).unwrap().token;
        let bench =
            Arc::new(Bench { home: folder.path().to_owned(), ports: ports.clone(), asked: Mutex::default() });
        let site = Self::open(folder.path(), &ports, access, &bench);
        Self { folder, ports, bench, site, people, token, told }
    }

    fn open(home: &Path, ports: &Ports, access: Access, bench: &Arc<Bench>) -> Arc<Site> {
        Site::new(SiteParts {
            home: home.to_owned(),
            ports: ports.clone(),
            environment: NOWHERE,
            access: Arc::new(access),
            workshop: Arc::clone(bench) as Arc<dyn Workshop>,
            origin: ORIGIN.to_owned(),
            requests: ports.tracing.clone(),
            agents: None,
        })
        .unwrap()
    }

    /// Ends the process, as a kill would, and begins another one.
    pub(super) fn begin_again(&mut self) {
        let party = RelyingParty::of_origin(ORIGIN, "unwipe").unwrap();
        let (clock, random) = (Arc::clone(&self.ports.clock), Arc::clone(&self.ports.random));
        let access = Access::open(&self.folder.path().join("state/access"), party, clock, random).unwrap();
        self.site = Self::open(self.folder.path(), &self.ports, access, &self.bench);
    }

    /// Returns what the watch was asked for.
    pub(super) fn asked_of_the_watch(&self) -> Vec<WatchRequest> {
        self.bench.asked.lock().unwrap().clone()
    }

    fn send(&self, request: Request<Body>) -> Answered {
        let address = "127.0.0.1:8787".parse().unwrap();
        let mut router = running::router(Arc::clone(&self.site), address);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let response = router.call(request).await.unwrap();
            let status = response.status();
            let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
            let location = location.unwrap_or_default().to_owned();
            let policy = response.headers().get(header::CONTENT_SECURITY_POLICY).unwrap().to_str().unwrap();
            assert!(!policy.contains("unsafe"), "{policy}");
            let bytes = response.into_body().collect().await.unwrap().to_bytes();
            Answered { status, location, text: String::from_utf8(bytes.to_vec()).unwrap() }
        })
    }

    fn request(&self, method: Method, path: &str, who: &str) -> axum::http::request::Builder {
        let request = Request::builder().method(method).uri(path).header(header::HOST, "localhost:8787");
        match self.people.get(who) {
            Some(someone) => request.header(header::COOKIE, format!("session={}", someone.cookie)),
            None => request.header(header::AUTHORIZATION, format!("Bearer {}", self.token)),
        }
    }

    /// Looks at a page, or asks the API; `bot` is the program.
    pub(super) fn get(&self, who: &str, path: &str) -> Answered {
        self.send(self.request(Method::GET, path, who).body(Body::empty()).unwrap())
    }

    /// Sends a form of a page.
    pub(super) fn form(&self, who: &str, path: &str, fields: &[(&str, &str)]) -> Answered {
        let csrf = self.people.get(who).map_or("", |someone| someone.csrf.as_str());
        self.form_with(who, path, fields, csrf)
    }

    /// Sends a form with a word of its own against forged ones.
    pub(super) fn form_with(&self, who: &str, path: &str, fields: &[(&str, &str)], csrf: &str) -> Answered {
        let fields: Vec<(&str, &str)> = fields.iter().copied().chain([("csrf", csrf)]).collect();
        let body = serde_urlencoded::to_string(fields).unwrap();
        let request = self.request(Method::POST, path, who);
        let kind = "application/x-www-form-urlencoded";
        self.send(request.header(header::CONTENT_TYPE, kind).body(Body::from(body)).unwrap())
    }

    /// Sends JSON, as a page's script or a program does.
    pub(super) fn post(&self, who: &str, path: &str, body: &Value) -> Answered {
        let mut request =
            self.request(Method::POST, path, who).header(header::CONTENT_TYPE, "application/json");
        if let Some(someone) = self.people.get(who) {
            request = request.header("x-csrf-token", &someone.csrf);
        }
        self.send(request.body(Body::from(body.to_string())).unwrap())
    }

    /// Decides a case as a page with a passkey does: begins, has the device sign, and finishes.
    pub(super) fn decide(&mut self, who: &str, case: &str, decision: &str, version: u64) -> Answered {
        let heard = (version - 1).to_string();
        let mut said =
            json!({"decision": decision, "version": version.to_string(), "heard": heard, "reason": HOSTILE});
        let begun = self.post(who, &format!("/cases/{case}/decide/begin"), &said);
        if begun.status != StatusCode::OK {
            return begun;
        }
        let ceremony = begun.json();
        let device = &mut self.people.get_mut(who).unwrap().device;
        said["response"] = device.get(&ceremony["options"]).unwrap();
        said["ceremony"] = ceremony["id"].clone();
        self.post(who, &format!("/cases/{case}/decide/finish"), &said)
    }

    /// Puts a plan where plans lie.
    pub(super) fn plan(&self, name: &str, title: &str) -> (PlanHash, PlanFolder) {
        let folder = PlanFolder::new(self.folder.path().join("plans").join(name));
        let plan = Plan {
            format: PLAN_FORMAT,
            id: name.to_owned(),
            source: "shop".to_owned(),
            subject: Subject { title: title.to_owned(), position: None, at: None },
            destination: HOSTILE.to_owned(),
            base: "base 1".to_owned(),
            made_at: Moment::from_micros(1),
            steps: Vec::new(),
            conflicts: Vec::new(),
            losses: Vec::new(),
            notes: vec![HOSTILE.to_owned()],
            counts: Counts { inserted: 7, ..Counts::default() },
            attachments: Vec::new(),
            fidelity: Vec::new(),
            duration_s: Some(90),
        };
        let hash = folder.write(&plan).unwrap();
        assert!(matches!(folder.read_document(Some(hash)), Ok(Document::Plan(_))));
        (hash, folder)
    }

    /// Asks for approval of a plan; returns the case.
    pub(super) fn requested(&self, who: &str, plan: PlanHash) -> String {
        let asked = self.form(who, &format!("/plans/{plan}/request"), &[("reason", HOSTILE)]);
        assert_eq!(asked.status, StatusCode::SEE_OTHER, "{}", asked.text);
        asked.location.trim_start_matches("/cases/").to_owned()
    }

    /// Writes down an incident as the watch would.
    pub(super) fn incident(&self, document: Value) {
        let incident = serde_json::from_value(document).unwrap();
        WatchStore::of(self.folder.path()).write_incident(&incident).unwrap();
    }

    /// Waits until a job has ended.
    pub(super) fn ended(&self, id: u64) -> service::jobs::Job {
        loop {
            let job = self.site.jobs.get(id).unwrap();
            if !job.is_running() {
                return job;
            }
            std::thread::yield_now();
        }
    }
}

/// Invites somebody, lets them make a passkey, and logs them in.
fn settle(access: &Access, party: &RelyingParty, name: &str, role: Role) -> Someone {
    let edit =
        Edit::Invite { name: PersonName::new(name).unwrap(), display: None, roles: BTreeSet::from([role]) };
    let host = Principal::Host("root".to_owned());
    let change = access.plan_change(edit, &host).unwrap();
    let Outcome::Invited(invitation) = access.apply_change(&change, &Authorised::of_host("root")).unwrap()
    else {
        panic!("nobody was invited");
    };
    let mut device = Device::es256(party).unwrap();
    join(access, &invitation.token, &mut device).unwrap();
    let session = sign_in(access, &mut device).unwrap();
    Someone { device, cookie: session.token, csrf: session.signed_in.csrf }
}
