//! One request and its answer.

use std::{io, sync::Arc, time::Duration};

use model::Moment;
use ports::{BlobError, BlobName, Clock};
use ureq::{
    Agent, Body,
    http::Response,
    tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, TlsProvider, parse_pem},
};

use super::{
    RemoteError, RemoteSettings,
    protocol::{LOCKED_UNTIL, OBJECT_BYTES_MAX, Refusal, SIZE_BYTES},
};

/// The client side of a connection.
pub(super) struct Exchange {
    agent: Agent,
    url: String,
    clock: Arc<dyn Clock>,
}

/// What a server answered when it did what it was asked.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) size_bytes: Option<u64>,
    pub(super) locked_until: Option<Moment>,
    pub(super) body: Vec<u8>,
}

/// What came instead of the answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// The server refuses, and says so.
    Refused { status: u16, message: String },
    /// No answer, or one that makes no sense: nobody knows whether the server did it.
    NoAnswer { source: io::Error },
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// For an answer: the server syncs 64 MiB to its disk before it gives one.
const ANSWER_TIMEOUT: Duration = Duration::from_mins(2);
const BODY_TIMEOUT: Duration = Duration::from_mins(15);
/// A listing page has at most [`super::protocol::PAGE_OBJECTS`] objects of less than 512 bytes.
const BODY_BYTES_MAX: u64 = OBJECT_BYTES_MAX + (16 << 20);

impl Exchange {
    pub(super) fn new(settings: &RemoteSettings, clock: Arc<dyn Clock>) -> Result<Self, RemoteError> {
        let url = settings.url.trim_end_matches('/').to_owned();
        let host = url.strip_prefix("https://").unwrap_or_default();
        if host.is_empty() || host.contains(['/', '?', '#', '@', ' ']) {
            return Err(RemoteError::Address { url });
        }
        let chain = certificates("certificate", &settings.certificate)?;
        let key = PrivateKey::from_pem(settings.key.expose().as_bytes())
            .map_err(|e| RemoteError::Credential { what: "key", reason: e.to_string() })?;
        let authorities = certificates("authority", &settings.authority)?;
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .client_cert(Some(ClientCert::new_with_certs(&chain, key)))
            .root_certs(RootCerts::new_with_certs(&authorities))
            .build();
        let agent = Agent::config_builder()
            .tls_config(tls)
            .https_only(true)
            // Neither a redirect nor a proxy of the environment may lead the client elsewhere.
            .max_redirects(0)
            .proxy(None)
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_recv_response(Some(ANSWER_TIMEOUT))
            .timeout_send_body(Some(BODY_TIMEOUT))
            .timeout_recv_body(Some(BODY_TIMEOUT))
            .build()
            .new_agent();
        Ok(Self { agent, url, clock })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn get(&self, path: &str, range: Option<(u64, u64)>) -> Result<Answer, Failure> {
        let mut request = self.agent.get(format!("{}{path}", self.url));
        if let Some((first, last)) = range {
            request = request.header("range", format!("bytes={first}-{last}"));
        }
        finish(request.call(), true)
    }

    pub(super) fn head(&self, path: &str) -> Result<Answer, Failure> {
        finish(self.agent.head(format!("{}{path}", self.url)).call(), false)
    }

    pub(super) fn put(&self, path: &str, content: &[u8], locked_until: Moment) -> Result<(), Failure> {
        let request = self.agent.put(format!("{}{path}", self.url));
        let request = request
            .header(LOCKED_UNTIL, locked_until.as_micros().to_string())
            // The server can say no before 64 MiB are on their way.
            .header("expect", "100-continue");
        finish(request.send(content), true).map(|_| ())
    }

    pub(super) fn post(&self, path: &str, locked_until: Moment) -> Result<Answer, Failure> {
        let request = self.agent.post(format!("{}{path}", self.url));
        finish(request.header(LOCKED_UNTIL, locked_until.as_micros().to_string()).send_empty(), true)
    }

    /// Sends a `DELETE`, to see that it is refused. Whoever calls this names an object that does not exist.
    pub(super) fn delete(&self, path: &str) -> Result<Answer, Failure> {
        finish(self.agent.delete(format!("{}{path}", self.url)).call(), true)
    }

    /// Repeats a call that changes nothing by being repeated, until there is an answer.
    pub(super) fn repeat<T>(
        &self,
        attempts: u32,
        call: impl Fn() -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut attempt = 1;
        loop {
            match call() {
                Err(failure) if failure.is_ambiguous() && attempt < attempts => {}
                other => return other,
            }
            self.clock.sleep(pause(attempt));
            attempt += 1;
        }
    }
}

/// Returns how long to wait after a failed attempt: 0.2 s, 0.8 s, 3.2 s …
pub(super) fn pause(attempt: u32) -> Duration {
    Duration::from_millis(50 << (2 * attempt.min(6)))
}

fn certificates(what: &'static str, pem: &str) -> Result<Vec<Certificate<'static>>, RemoteError> {
    let failed = |reason: String| RemoteError::Credential { what, reason };
    let mut found = Vec::new();
    for item in parse_pem(pem.as_bytes()) {
        if let PemItem::Certificate(certificate) = item.map_err(|e| failed(e.to_string()))? {
            found.push(certificate);
        }
    }
    if found.is_empty() { Err(failed("there is no certificate in it".to_owned())) } else { Ok(found) }
}

fn finish(result: Result<Response<Body>, ureq::Error>, with_body: bool) -> Result<Answer, Failure> {
    let mut response = result.map_err(Failure::from)?;
    let status = response.status().as_u16();
    let number = |name: &str| -> Option<i64> { response.headers().get(name)?.to_str().ok()?.parse().ok() };
    let size_bytes = number(SIZE_BYTES).and_then(|size| u64::try_from(size).ok());
    let locked_until = number(LOCKED_UNTIL).map(Moment::from_micros);
    let body = if with_body {
        response.body_mut().with_config().limit(BODY_BYTES_MAX).read_to_vec().map_err(Failure::from)?
    } else {
        Vec::new()
    };
    if (200..300).contains(&status) {
        return Ok(Answer { size_bytes, locked_until, body });
    }
    let message = serde_json::from_slice::<Refusal>(&body)
        .map_or_else(|_| format!("status {status}"), |refusal| printable(&refusal.message));
    Err(Failure::Refused { status, message })
}

/// A server's words are foreign text.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(300).collect()
}

impl From<ureq::Error> for Failure {
    fn from(error: ureq::Error) -> Self {
        Self::NoAnswer { source: error.into_io() }
    }
}

impl Failure {
    pub(super) fn nonsense(what: &str) -> Self {
        Self::NoAnswer { source: io::Error::new(io::ErrorKind::InvalidData, what) }
    }

    /// Returns whether it is unknown if the server did what it was asked, so that asking again may help.
    pub(super) const fn is_ambiguous(&self) -> bool {
        match self {
            Self::NoAnswer { .. } => true,
            Self::Refused { status, .. } => *status >= 500 && *status != 507,
        }
    }

    pub(super) const fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            Self::NoAnswer { .. } => None,
        }
    }

    /// Says it in the words of a store.
    pub(super) fn about(self, operation: &'static str, name: &BlobName) -> BlobError {
        let name = name.clone();
        match self {
            Self::Refused { status: 404, .. } => BlobError::Missing { name },
            Self::Refused { status: 409, .. } => BlobError::Exists { name },
            Self::Refused { status: 507, message } => {
                BlobError::Full { name, source: io::Error::new(io::ErrorKind::QuotaExceeded, message) }
            }
            Self::Refused { status: 400..=499, message } => {
                BlobError::Refused { name, source: io::Error::new(io::ErrorKind::PermissionDenied, message) }
            }
            Self::Refused { message, .. } => BlobError::Unavailable {
                operation,
                name: name.to_string(),
                source: io::Error::other(message),
            },
            Self::NoAnswer { source } => BlobError::Unavailable { operation, name: name.to_string(), source },
        }
    }

    /// Says it in the words of a store, where no single object is concerned.
    pub(super) fn about_store(self, operation: &'static str) -> BlobError {
        let source = match self {
            Self::Refused { message, .. } => io::Error::other(message),
            Self::NoAnswer { source } => source,
        };
        BlobError::Unavailable { operation, name: "the server".to_owned(), source }
    }
}
