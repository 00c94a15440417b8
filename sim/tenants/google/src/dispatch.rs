//! What happens to every call before and after its handler.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use hyper::{HeaderMap, Method};

use crate::{
    audit::Parameter,
    call::{Answer, Body, Call, Reply},
    drive,
    faults::{Effect, reworded},
    fields::Mask,
    oauth::Session,
    quota::Charge,
    refusal::Refusal,
    routes::{Route, Routes},
    stream::Stream,
    tenant::Tenant,
    text,
};

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) tenant: Mutex<Tenant>,
    pub(crate) routes: Routes,
    anonymous: Arc<Session>,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// The path, still encoded.
    pub(crate) path: String,
    /// The query, still encoded.
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) address: IpAddr,
}

/// What becomes of the answer on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Whole,
    Truncated(usize),
    Spoilt(u64),
    Broken,
}

/// A call that counts as running until [`Shared::end`].
#[derive(Debug, Clone)]
pub(crate) struct Slot {
    service: &'static str,
    user: Arc<str>,
    /// The number of its row in the audit log.
    row: Option<u64>,
    /// How many bytes are answered.
    bytes: u64,
}

/// An answer as it is sent.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) media_type: Option<String>,
    pub(crate) body: Bytes,
    /// The body instead of `body`.
    pub(crate) stream: Option<Stream>,
    pub(crate) transport: Transport,
    pub(crate) delay: Duration,
    pub(crate) slot: Option<Slot>,
}

/// What the locked part of a call leaves to be done.
struct Answered {
    answer: Answer,
    mask: Option<Mask>,
    transport: Transport,
    delay: Duration,
    slot: Option<Slot>,
}

impl Shared {
    pub(crate) fn new(tenant: Tenant) -> Self {
        Self { tenant: Mutex::new(tenant), routes: Routes::new(), anonymous: Arc::new(Session::anonymous()) }
    }

    /// Locks the tenant.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Tenant> {
        self.tenant.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that an answer has been sent.
    pub(crate) fn end(&self, slot: Option<&Slot>) {
        if let Some(slot) = slot {
            let mut tenant = self.lock();
            tenant.traffic.end(slot.service, &slot.user);
            if let Some(row) = slot.row {
                tenant.audit.measure("token", row, slot.bytes);
            }
        }
    }

    /// Counts a request; a batch by its first call, because all its calls are of one service and mostly of one user.
    pub(crate) fn request(&self, slot: Option<&Slot>) {
        if let Some(slot) = slot {
            self.lock().traffic.request(slot.service, &slot.user);
        }
    }

    /// Carries a request out.
    pub(crate) fn dispatch(&self, mut request: Request) -> Outcome {
        override_method(&mut request);
        let Some((route, parameters)) = self.routes.find(&request.method, &request.path) else {
            return refused(&Refusal::no_route());
        };
        let query = text::pairs(&request.query);
        let bearer = bearer(&request.headers, &query);
        let mut call = Call {
            method: request.method,
            path: request.path,
            parameters,
            query,
            headers: request.headers,
            body: request.body,
            caller: Arc::clone(&self.anonymous),
            address: request.address,
            now: model::Moment::from_micros(0),
        };
        let answered = self.answer(route, &mut call, bearer.as_deref());
        let mut outcome = render(answered);
        if let Some(slot) = &mut outcome.slot {
            slot.bytes = outcome.body.len() as u64;
        }
        outcome
    }

    fn answer(&self, route: &'static Route, call: &mut Call, bearer: Option<&str>) -> Answered {
        let mut tenant = self.lock();
        let tenant = &mut *tenant;
        call.now = tenant.now();
        let latency = tenant.settings.latency;
        let plain =
            |answer| Answered { answer, mask: None, transport: Transport::Whole, delay: latency, slot: None };
        if let Err(refusal) = authenticate(tenant, route, call, bearer) {
            tenant.traffic.count(route.id, &call.caller.email, true);
            return plain(Err(refusal));
        }
        let mask = match call.query("fields").map(Mask::parse).transpose() {
            Ok(mask) => mask,
            Err(refusal) => return plain(Err(refusal)),
        };
        if let Some(name) = mask.as_ref().and_then(|mask| drive::unknown_name(route.id, mask)) {
            return plain(Err(Mask::invalid(name)));
        }
        let user = Arc::clone(&call.caller.email);
        let running = tenant.traffic.begin(route.service, &user);
        let effect = tenant.faults.meet(tenant.settings.seed, route.id, &user);
        if let Some(Effect::Reworded(from, to)) = &effect {
            call.body = reworded(&call.body, from, to).into();
        }
        let (answer, row) = match carry_out(tenant, route, call, bearer, effect.as_ref(), running) {
            Ok((answer, row)) => (answer, row),
            Err(refusal) => (Err(refusal), None),
        };
        tenant.traffic.count(route.id, &user, answer.is_err());
        let (transport, slow) = match effect {
            Some(Effect::Truncated(bytes)) => (Transport::Truncated(bytes), Duration::ZERO),
            Some(Effect::Spoilt(position)) => (Transport::Spoilt(position), Duration::ZERO),
            Some(Effect::Reset | Effect::Lost) => (Transport::Broken, Duration::ZERO),
            Some(Effect::Slow(delay)) => (Transport::Whole, delay),
            _ => (Transport::Whole, Duration::ZERO),
        };
        Answered {
            answer,
            mask,
            transport,
            delay: latency + slow,
            slot: Some(Slot { service: route.service, user, row, bytes: 0 }),
        }
    }
}

/// A client whose query is too long for a line sends it as a form and says so.
fn override_method(request: &mut Request) {
    let wanted = request.headers.get("x-http-method-override").and_then(|value| value.to_str().ok());
    let Some(Ok(method)) = wanted.map(|wanted| Method::from_bytes(wanted.as_bytes())) else { return };
    let form = request.headers.get("content-type").and_then(|value| value.to_str().ok());
    if method == Method::GET && form.is_some_and(|form| form.starts_with("application/x-www-form-urlencoded"))
    {
        request.query = String::from_utf8_lossy(&request.body).into_owned();
        request.body = Bytes::new();
    }
    request.method = method;
}

fn bearer(headers: &HeaderMap, query: &[(String, String)]) -> Option<String> {
    let header = headers.get("authorization").and_then(|value| value.to_str().ok());
    let header = header
        .and_then(|value| value.split_once(' '))
        .filter(|(kind, _)| kind.eq_ignore_ascii_case("bearer"));
    let token = header.map(|(_, token)| token.trim().to_owned());
    token.or_else(|| query.iter().find(|(name, _)| name == "access_token").map(|(_, token)| token.clone()))
}

fn authenticate(
    tenant: &Tenant,
    route: &Route,
    call: &mut Call,
    bearer: Option<&str>,
) -> Result<(), Refusal> {
    if route.scopes.is_empty() {
        return Ok(());
    }
    let session = bearer.and_then(|token| tenant.oauth.session(token, call.now));
    call.caller = session.ok_or_else(Refusal::credentials)?;
    // A service account that acts for itself is nobody in the domain.
    let person = tenant.directory.user(&call.caller.user);
    if person.is_some_and(|user| user.suspended) || (person.is_none() && call.caller.impersonation) {
        return Err(Refusal::credentials());
    }
    if call.caller.has(route.scopes) { Ok(()) } else { Err(Refusal::scopes(route.service, route.id)) }
}

fn carry_out(
    tenant: &mut Tenant,
    route: &'static Route,
    call: &Call,
    bearer: Option<&str>,
    effect: Option<&Effect>,
    running: u32,
) -> Result<(Answer, Option<u64>), Refusal> {
    if let Some(refusal) = effect.and_then(Effect::refusal) {
        if effect == Some(&Effect::TokenExpired) {
            tenant.oauth.forget(bearer.unwrap_or_default());
        }
        return Err(refusal);
    }
    if effect == Some(&Effect::Reset) {
        return Err(Refusal::backend(503));
    }
    if tenant.settings.concurrent_max.is_some_and(|max| running > max) {
        return Err(Refusal::too_many("Too many concurrent requests for user"));
    }
    let charge = Charge {
        service: route.service,
        method: route.id,
        units: route.units,
        project: &call.caller.project,
        user: &call.caller.user,
    };
    tenant.quota.charge(&tenant.settings.quota, tenant.settings.seed, charge, call.now)?;
    let answer = (route.handler)(tenant, call);
    let row = (!route.scopes.is_empty()).then(|| note_activity(tenant, route, call));
    Ok((answer, row))
}

fn note_activity(tenant: &mut Tenant, route: &Route, call: &Call) -> u64 {
    let bucket = match route.service {
        "gmail" => "GMAIL",
        "drive" => "DRIVE",
        "calendar" => "CALENDAR",
        "people" => "CONTACTS",
        "admin" => "GSUITE_ADMIN",
        _ => "OTHER",
    };
    let parameters = vec![
        Parameter::text("api_name", route.service),
        Parameter::text("method_name", route.id),
        Parameter::text("product_bucket", bucket),
    ];
    tenant.note_row(call, "token", "auth", "activity", parameters)
}

fn render(answered: Answered) -> Outcome {
    let Answered { answer, mask, transport, delay, slot } = answered;
    let outcome = match answer {
        Ok(reply) => replied(reply, mask.as_ref()),
        Err(refusal) => refused(&refusal),
    };
    Outcome { transport, delay, slot, ..outcome }
}

fn replied(reply: Reply, mask: Option<&Mask>) -> Outcome {
    let json = |value| {
        let value = match mask {
            Some(mask) if reply.code < 300 => mask.apply(value),
            _ => value,
        };
        (Some(JSON.to_owned()), Bytes::from(value.to_string()))
    };
    let mut stream = None;
    let (media_type, body) = match reply.body {
        Body::Stream(media_type, run) => {
            stream = Some(run);
            (Some(media_type), Bytes::new())
        }
        Body::Empty => (None, Bytes::new()),
        Body::Json(value) => json(value),
        Body::Later(make) => json(make()),
        Body::Bytes(media_type, bytes) => (Some(media_type), bytes),
    };
    Outcome { code: reply.code, headers: reply.headers, media_type, body, stream, ..Outcome::empty() }
}

const JSON: &str = "application/json; charset=UTF-8";

/// Makes the answer of a refusal.
pub(crate) fn refused(refusal: &Refusal) -> Outcome {
    let mut headers = Vec::new();
    if let Some(seconds) = refusal.retry_after {
        headers.push(("retry-after", seconds.to_string()));
    }
    if refusal.code == 401 {
        let realm = "Bearer realm=\"https://accounts.google.com/\", error=\"invalid_token\"";
        headers.push(("www-authenticate", realm.to_owned()));
    }
    let body = Bytes::from(refusal.body().to_string());
    Outcome { code: refusal.code, headers, media_type: Some(JSON.to_owned()), body, ..Outcome::empty() }
}

impl Outcome {
    /// Makes an answer of 200 with nothing.
    pub(crate) const fn empty() -> Self {
        Self {
            code: 200,
            headers: Vec::new(),
            media_type: None,
            body: Bytes::new(),
            stream: None,
            transport: Transport::Whole,
            delay: Duration::ZERO,
            slot: None,
        }
    }
}
