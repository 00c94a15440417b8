//! A simulated domain, a container for it, and programs that users let in.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

use connect_http::{
    HttpSettings, HttpTransport, Request, Response, RetrySettings, Transport, TransportError,
};
use google_api::{ApiParts, ApiSettings, ServiceAccountKey, ServiceAccountTokens, WriteApi};
use google_containment::{ContainmentSettings, DomainContainer};
use google_tenant::{App, AuditSettings, GoogleTenant, Grant, Running, Settings, Size, scopes};
use model::{Actor, Attribution, Moment, Redacted, SourceName};
use ports::{Clock, ManualClock, SeededRandom};
use serde_json::Value;
use watch::containment::Suspect;

/// 2 March 2026.
pub(crate) const NOW: Moment = Moment::from_micros(1_772_409_600_000_000);
pub(crate) const CLAW: &str = "523456789012-claw.apps.googleusercontent.com";
pub(crate) const CALENDLY: &str = "623456789012-meet.apps.googleusercontent.com";

pub(crate) struct Domain {
    pub(crate) running: Running,
    pub(crate) clock: Arc<ManualClock>,
    /// The address of somebody who is never suspended.
    pub(crate) spared: String,
}

/// Carries requests, those that change something until so many were sent.
pub(crate) struct Breaking {
    inner: HttpTransport,
    left: AtomicU64,
    pub(crate) sent: Mutex<Vec<String>>,
}

impl Breaking {
    pub(crate) fn after(changes: u64) -> Arc<Self> {
        let inner = HttpTransport::new(HttpSettings::default()).unwrap();
        Arc::new(Self { inner, left: AtomicU64::new(changes), sent: Mutex::default() })
    }

    pub(crate) fn never() -> Arc<Self> {
        Self::after(u64::MAX)
    }

    pub(crate) fn mend(&self) {
        self.left.store(u64::MAX, SeqCst);
    }

    /// Returns what was changed, as verb and path.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.sent.lock().unwrap())
    }
}

impl Transport for Breaking {
    fn send(&self, request: &Request) -> Result<Response, TransportError> {
        let changes = request.method != "GET" && !request.url.ends_with("/token");
        if changes && self.left.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_err() {
            // Nobody listens there.
            let mut broken = request.clone();
            "http://127.0.0.1:1/nobody".clone_into(&mut broken.url);
            return self.inner.send(&broken);
        }
        if changes {
            let place = request.url.split("/admin/directory/v1").nth(1).unwrap_or(&request.url);
            self.sent.lock().unwrap().push(format!("{} {place}", request.method));
        }
        self.inner.send(request)
    }
}

impl Domain {
    pub(crate) fn start() -> Self {
        Self::with(|_| ())
    }

    pub(crate) fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let clock = Arc::new(ManualClock::new(NOW));
        let size = Size { users: 6, messages: 20, files: 1, events: 1, contacts: 1 };
        let mut settings = Settings { size, audit: AuditSettings::immediate(), ..Settings::default() };
        change(&mut settings);
        let random = Arc::new(SeededRandom::new(1));
        let running = GoogleTenant::start(settings, Arc::clone(&clock) as _, random).unwrap();
        let mut domain = Self { running, clock, spared: String::new() };
        domain.spared = domain.people().swap_remove(2);
        domain
    }

    pub(crate) fn admin(&self) -> String {
        self.running.with_tenant(|tenant| tenant.administrator().unwrap().to_owned())
    }

    /// Returns the addresses of people who can be acted for and are no administrators.
    pub(crate) fn people(&self) -> Vec<String> {
        self.running.with_tenant(|tenant| {
            let plain = |user: &&google_tenant::User| {
                user.has_mailbox && !user.suspended && !user.is_admin && user.deleted.is_none()
            };
            tenant.users().iter().filter(plain).map(|user| user.primary_email.clone()).collect()
        })
    }

    fn key(&self) -> ServiceAccountKey {
        let text = self.running.with_tenant(|tenant| {
            let name = "containment";
            let known = tenant.service_accounts().find(|account| account.email.starts_with(name)).cloned();
            let account = known.unwrap_or_else(|| tenant.add_service_account(name));
            tenant.delegate(&account.client_id, [scopes::USER, scopes::USER_SECURITY]);
            tenant.key_file(&account.email).unwrap()
        });
        ServiceAccountKey::of_json(&Redacted::new(text)).unwrap()
    }

    pub(crate) fn container(&self, machines: &[&str]) -> DomainContainer {
        self.container_through(Breaking::never(), machines)
    }

    pub(crate) fn container_through(&self, transport: Arc<Breaking>, machines: &[&str]) -> DomainContainer {
        let (key, clock) = (self.key(), Arc::clone(&self.clock) as Arc<dyn Clock>);
        let client_id = key.client_id.clone();
        let transport = transport as Arc<dyn Transport>;
        let parts = ApiParts {
            tokens: ServiceAccountTokens::cached(key, Arc::clone(&transport), Arc::clone(&clock)),
            transport,
            client_id,
            clock,
            random: Arc::new(SeededRandom::new(7)),
            stop: connect::Stop::default(),
        };
        let api = ApiSettings {
            address: Some(self.running.url().to_owned()),
            retry: RetrySettings::default(),
            ..ApiSettings::default()
        };
        let settings = ContainmentSettings {
            admin: self.admin(),
            spared: BTreeSet::from([self.spared.clone()]),
            machines: machines.iter().map(|&machine| machine.to_owned()).collect(),
        };
        DomainContainer::new(WriteApi::new(parts, api), settings)
    }

    /// Lets a user let a program in.
    pub(crate) fn let_in(&self, user: &str, client: &str, name: &str, scopes: &[&str]) -> Grant {
        let app = App {
            client_id: client.to_owned(),
            client_secret: "secret".to_owned(),
            display_text: name.to_owned(),
            native: false,
        };
        self.running.with_tenant(|tenant| tenant.authorize(user, &app, scopes).unwrap())
    }

    pub(crate) fn program(&self, user: &str, client: &str, name: &str, scopes: &[&str]) -> Program<'_> {
        Program { domain: self, grant: self.let_in(user, client, name, scopes), token: String::new() }
    }

    /// Returns an account as its administrator sees it.
    pub(crate) fn account(&self, user: &str) -> Value {
        let admin = self.admin();
        let mut hand = self.program(&admin, "900000000000-hand", "Hand", &[scopes::USER]);
        assert!(hand.renew());
        hand.call("GET", &format!("admin/directory/v1/users/{user}"), None).1
    }

    /// Suspends an account, or ends that, as its administrator does.
    pub(crate) fn set_suspended(&self, user: &str, suspended: bool) {
        let admin = self.admin();
        let mut hand = self.program(&admin, "900000000000-hand", "Hand", &[scopes::USER]);
        assert!(hand.renew());
        let body = serde_json::json!({ "suspended": suspended });
        assert_eq!(hand.call("PATCH", &format!("admin/directory/v1/users/{user}"), Some(&body)).0, 200);
    }

    /// Takes back whatever a user let in before.
    pub(crate) fn forget_consents(&self, user: &str) {
        let clients: Vec<String> = self.running.with_tenant(|tenant| {
            let id = tenant.users().iter().find(|own| own.primary_email == user).unwrap().id.clone();
            let own = tenant.grants().iter().filter(|grant| grant.user == id);
            own.map(|grant| grant.app.client_id.clone()).collect()
        });
        let admin = self.admin();
        let mut hand = self.program(&admin, "900000000000-hand", "Hand", &[scopes::USER_SECURITY]);
        assert!(hand.renew());
        for client in clients {
            let path = format!("admin/directory/v1/users/{user}/tokens/{client}");
            assert_eq!(hand.call("DELETE", &path, None).0, 204);
        }
    }

    /// Returns how many users a program may act for.
    pub(crate) fn granted(&self, client: &str) -> usize {
        self.running.with_tenant(|tenant| {
            tenant.grants().iter().filter(|grant| grant.app.client_id == client).count()
        })
    }
}

/// A program that acts in a user's name, with a refresh token.
pub(crate) struct Program<'d> {
    domain: &'d Domain,
    grant: Grant,
    token: String,
}

impl Program<'_> {
    /// Trades its refresh token; tells whether it got an access token.
    pub(crate) fn renew(&mut self) -> bool {
        let form = format!(
            "grant_type=refresh_token&client_id={}&client_secret=secret&refresh_token={}",
            self.grant.app.client_id, self.grant.refresh_token
        );
        let url = format!("{}/token", self.domain.running.url());
        let kind = "application/x-www-form-urlencoded";
        let request = ureq::post(url).config().http_status_as_error(false).build();
        let mut answer = request.header("content-type", kind).send(form).unwrap();
        let body: Value = answer.body_mut().read_json().unwrap();
        if answer.status() == 200 {
            body["access_token"].as_str().unwrap().clone_into(&mut self.token);
        } else {
            assert_eq!(body["error"], "invalid_grant");
        }
        answer.status() == 200
    }

    /// Makes a call; returns its status and its answer.
    pub(crate) fn call(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}/{path}", self.domain.running.url()))
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", "application/json")
            .body(body.map(Value::to_string).unwrap_or_default())
            .unwrap();
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let mut answer = agent.run(request).unwrap();
        (answer.status().as_u16(), answer.body_mut().read_json().unwrap_or_default())
    }

    /// Deletes a message for good; tells whether it could.
    pub(crate) fn delete_one(&self) -> bool {
        let (status, list) = self.call("GET", "gmail/v1/users/me/messages?maxResults=1", None);
        if status != 200 {
            return false;
        }
        let id = list["messages"][0]["id"].as_str().unwrap();
        self.call("DELETE", &format!("gmail/v1/users/me/messages/{id}"), None).0 < 300
    }
}

pub(crate) fn suspect(scope: &str, actor: Option<Actor>) -> Suspect {
    let attribution = if actor.is_some() { Attribution::Recorded } else { Attribution::Unknown };
    Suspect {
        source: SourceName::new("acme").unwrap(),
        scope: scope.to_owned(),
        transaction: None,
        targets: vec![scope.to_owned()],
        actor,
        attribution,
        since: NOW,
    }
}

/// Returns the actor that the audit log names: a program in a user's name.
pub(crate) fn actor(user: &str, client: &str) -> Actor {
    Actor {
        identity: user.to_owned(),
        application: Some("OpenClaw".to_owned()),
        client: Some(client.to_owned()),
        ..Actor::default()
    }
}
