//! Signed requests over pooled connections, tried again when trying again can help.

use std::{io, sync::Arc, time::Duration};

use model::Moment;
use ports::{Clock, Random};
use trust::Roots;
use ureq::{
    Agent,
    http::{HeaderMap, Method, Request, Response},
    tls::TlsConfig,
};

use super::{
    S3Credential, S3Settings,
    caller::StsSettings,
    encoding::{self, Sha256, escape},
    settings::{Address, Patience, SettingsError},
    signature::{self, Scope, Signable},
};

/// A request before it is signed.
pub(super) struct Call<'a> {
    pub(super) method: Method,
    /// The object's name, without the prefix; absent: the request is about the bucket.
    pub(super) key: Option<&'a str>,
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: &'a [u8],
    /// More bytes than this are no answer to this call.
    pub(super) answer_bytes_max: u64,
}

/// What a store answered with success.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
pub(super) enum S3Error {
    /// No connection came about: nothing was sent.
    #[error("the store cannot be reached")]
    Unreachable(#[source] Box<ureq::Error>),
    /// The connection broke or was too slow: the request may have taken effect.
    #[error("the connection to the store broke")]
    Broken(#[source] Box<ureq::Error>),
    /// The store refused.
    #[error("the store answers {status} {code}{}{message}", if message.is_empty() { "" } else { ": " })]
    Answer {
        status: u16,
        code: String,
        message: String,
        /// What its clock said.
        date: Option<Moment>,
    },
    /// The answer is not what S3 answers.
    #[error("the store's answer is no answer: {what}")]
    Nonsense { what: &'static str },
}

impl S3Error {
    /// Returns the status of a refusal.
    pub(super) const fn status(&self) -> Option<u16> {
        match self {
            Self::Answer { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Tells whether the same call may succeed later.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Broken(_) => true,
            Self::Answer { status, code, .. } => {
                matches!(status, 429 | 500 | 502 | 503 | 504)
                    || matches!(code.as_str(), "RequestTimeout" | "SlowDown")
            }
            Self::Nonsense { .. } => false,
        }
    }

    /// Tells whether the call may have taken effect although it failed.
    pub(super) const fn is_ambiguous(&self) -> bool {
        match self {
            Self::Broken(_) => true,
            Self::Answer { status, .. } => matches!(status, 500 | 502 | 503 | 504),
            Self::Unreachable(_) | Self::Nonsense { .. } => false,
        }
    }

    pub(super) fn into_io(self) -> io::Error {
        let kind = match &self {
            Self::Unreachable(_) => io::ErrorKind::NotConnected,
            Self::Broken(_) => io::ErrorKind::ConnectionAborted,
            Self::Answer { status: 403, .. } => io::ErrorKind::PermissionDenied,
            Self::Answer { .. } => io::ErrorKind::Other,
            Self::Nonsense { .. } => io::ErrorKind::InvalidData,
        };
        io::Error::new(kind, self)
    }
}

/// A bucket, as one credential sees it. It has no verbs of its own: those are [`super::client::Client`]'s.
pub(super) struct Connection {
    agent: Agent,
    address: Address,
    /// The service and the region that requests are signed for.
    service: &'static str,
    region: String,
    credential: S3Credential,
    patience: Patience,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

/// Connections that are kept for the next request: renewing many locks uses many at once.
const IDLE_CONNECTIONS_MAX: usize = 64;
/// Servers close idle connections after some 20 s; one that is about to be closed is not used again.
const IDLE_AGE_MAX: Duration = Duration::from_secs(10);

impl Connection {
    pub(super) fn new(
        settings: &S3Settings,
        credential: S3Credential,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Self, SettingsError> {
        let S3Settings { endpoint, region, certificate_authorities, patience, .. } = settings;
        let server = StsSettings {
            endpoint: endpoint.clone(),
            region: region.clone(),
            certificate_authorities: certificate_authorities.clone(),
            patience: *patience,
        };
        Self::to_server(&server, ("s3", Address::new(settings)?), credential, clock, random)
    }

    /// Speaks to the security token service.
    pub(super) fn to_sts(
        settings: &StsSettings,
        credential: S3Credential,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Self, SettingsError> {
        let address = Address::of_server(&settings.endpoint)?;
        Self::to_server(settings, ("sts", address), credential, clock, random)
    }

    fn to_server(
        settings: &StsSettings,
        (service, address): (&'static str, Address),
        credential: S3Credential,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Self, SettingsError> {
        let configuration = Agent::config_builder()
            .http_status_as_error(false)
            // A redirect would carry the request to a server that nobody chose.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .user_agent(concat!("unwipe/", env!("CARGO_PKG_VERSION")))
            .max_idle_connections(IDLE_CONNECTIONS_MAX)
            .max_idle_connections_per_host(IDLE_CONNECTIONS_MAX)
            .max_idle_age(IDLE_AGE_MAX)
            .timeout_connect(Some(settings.patience.connect))
            .timeout_global(Some(settings.patience.request));
        let configuration = if settings.endpoint.starts_with("https:") {
            configuration.https_only(true).tls_config(tls(settings)?)
        } else {
            configuration
        };
        Ok(Self {
            agent: configuration.build().new_agent(),
            address,
            service,
            region: settings.region.clone(),
            credential,
            patience: settings.patience,
            clock,
            random,
        })
    }

    /// Returns what every key begins with.
    pub(super) fn prefix(&self) -> &str {
        &self.address.prefix
    }

    pub(super) fn host(&self) -> &str {
        &self.address.host
    }

    pub(super) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    pub(super) fn random(&self) -> &dyn Random {
        &*self.random
    }

    /// Sends a call that does the same when it is sent twice, until it succeeds or fails for good.
    pub(super) fn send(&self, call: &Call<'_>) -> Result<Answer, S3Error> {
        let digest = encoding::sha256(call.body);
        let mut attempt = 1;
        loop {
            match self.send_once(call, &digest) {
                Err(error) if error.is_passing() && attempt < self.patience.attempts => self.pause(attempt),
                result => return result,
            }
            attempt += 1;
        }
    }

    /// Waits before another attempt: doubling, and not in step with others.
    pub(super) fn pause(&self, attempt: u32) {
        let mut chance = [0];
        self.random.fill(&mut chance);
        let doubled = self.patience.pause.saturating_mul(1 << attempt.saturating_sub(1).min(16));
        let jitter = 0.5 + f64::from(chance[0]) / 256.0;
        self.clock.sleep(doubled.min(self.patience.pause_max).mul_f64(jitter));
    }

    pub(super) const fn attempts(&self) -> u32 {
        self.patience.attempts
    }

    /// Sends a call once.
    pub(super) fn send_once(&self, call: &Call<'_>, digest: &Sha256) -> Result<Answer, S3Error> {
        let bad_request = |error: ureq::http::Error| S3Error::Unreachable(Box::new(ureq::Error::Http(error)));
        let request = self.sign(call, digest);
        let response = if matches!(call.method, Method::PUT | Method::POST) {
            self.agent.run(request.body(call.body).map_err(bad_request)?)
        } else {
            self.agent.run(request.body(()).map_err(bad_request)?)
        };
        let mut response = response.map_err(classify)?;
        let wanted = if call.method == Method::HEAD { None } else { length(&response) };
        let body = response.body_mut().with_config().limit(call.answer_bytes_max).read_to_vec();
        let body = match body {
            Err(ureq::Error::BodyExceedsLimit(_)) => {
                return Err(S3Error::Nonsense { what: "it is too long" });
            }
            other => other.map_err(|error| S3Error::Broken(Box::new(error)))?,
        };
        if wanted.is_some_and(|wanted| wanted != body.len() as u64) {
            let cut = ureq::Error::Io(io::Error::from(io::ErrorKind::UnexpectedEof));
            return Err(S3Error::Broken(Box::new(cut)));
        }
        if response.status().is_success() {
            return Ok(Answer { headers: response.headers().clone(), body });
        }
        let (code, message) = error_text(&body);
        let date = date(response.headers());
        Err(S3Error::Answer { status: response.status().as_u16(), code, message, date })
    }

    fn sign(&self, call: &Call<'_>, digest: &Sha256) -> ureq::http::request::Builder {
        let timestamp = signature::timestamp(self.clock.now());
        let body_sha256 = encoding::hex(digest);
        let path = self.address.path(call.key);
        let mut pairs: Vec<String> =
            call.query.iter().map(|(name, value)| format!("{}={}", escape(name), escape(value))).collect();
        pairs.sort();
        let query = pairs.join("&");
        let mut headers: Vec<(&str, &str)> = vec![
            ("host", &self.address.host),
            ("x-amz-content-sha256", &body_sha256),
            ("x-amz-date", &timestamp),
        ];
        if let Some(token) = &self.credential.session_token {
            headers.push(("x-amz-security-token", token.expose()));
        }
        headers.extend(call.headers.iter().map(|(name, value)| (*name, value.as_str())));
        let signable = Signable {
            method: call.method.as_str(),
            path: &path,
            query: &query,
            headers: &headers,
            body_sha256: &body_sha256,
        };
        let scope = Scope { region: &self.region, service: self.service };
        let authorization = signature::authorization(&signable, &self.credential, &scope, &timestamp);
        let mut request = Request::builder().method(call.method.clone()).uri(self.address.uri(&path, &query));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        request.header("authorization", authorization)
    }
}

fn tls(settings: &StsSettings) -> Result<TlsConfig, SettingsError> {
    let failed = |detail: String| SettingsError::Certificates { detail };
    let roots =
        Roots::of(settings.certificate_authorities.as_deref()).map_err(|error| failed(error.to_string()))?;
    if roots.is_empty() {
        return Err(failed("there is none".to_owned()));
    }
    Ok(roots.client())
}

fn classify(error: ureq::Error) -> S3Error {
    let unsent = match &error {
        ureq::Error::HostNotFound
        | ureq::Error::ConnectionFailed
        | ureq::Error::Timeout(ureq::Timeout::Connect) => true,
        ureq::Error::Io(error) => error.kind() == io::ErrorKind::ConnectionRefused,
        _ => false,
    };
    if unsent { S3Error::Unreachable(Box::new(error)) } else { S3Error::Broken(Box::new(error)) }
}

fn length<T>(response: &Response<T>) -> Option<u64> {
    response.headers().get("content-length")?.to_str().ok()?.parse().ok()
}

/// Returns what the store's clock said when it answered.
pub(super) fn date(headers: &HeaderMap) -> Option<Moment> {
    encoding::http_date(headers.get("date")?.to_str().ok()?)
}

/// Reads the code and the message of an error document, as far as it is one.
pub(super) fn error_text(body: &[u8]) -> (String, String) {
    let text = String::from_utf8_lossy(body);
    let Ok(document) = roxmltree::Document::parse(&text) else { return Default::default() };
    let value = |name: &str| {
        let node = document.descendants().find(|node| node.tag_name().name() == name);
        node.and_then(|node| node.text()).unwrap_or_default().to_owned()
    };
    (value("Code"), value("Message"))
}
