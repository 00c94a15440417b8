//! The transport over sockets: HTTP/1.1 with kept connections.

mod inflate;
mod reach;
mod redirect;

use std::{io, net::IpAddr, path::PathBuf, sync::Arc, time::Duration};

use trust::Roots;
use ureq::{
    Agent,
    http::{
        self, HeaderMap, HeaderValue, Method, StatusCode, Uri,
        header::{CONTENT_ENCODING, CONTENT_LENGTH, TRANSFER_ENCODING},
    },
};

use self::{
    inflate::Inflated,
    reach::{Connect, Lookup, Unreached},
};
use crate::transport::{Body, Request, Response, Transport, TransportError};

/// How connections are made and when they are given up.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// What this program calls itself to servers.
    pub user_agent: String,
    /// How many connections are kept: as many as there are threads that call.
    pub connections: usize,
    /// For how long an unused connection is kept; less than servers do, so that none is used while it is being closed.
    pub idle_age: Duration,
    /// How long finding the server and agreeing on keys may take.
    pub connect: Duration,
    /// How long the headers of the answer may take after the request was sent.
    pub first_byte: Duration,
    /// The longest silence within a body. One shorter than `first_byte` counts as that.
    pub idle: Duration,
    /// How long a whole body may take; absent: as long as bytes come.
    pub body: Option<Duration>,
    /// The largest headers of an answer, in bytes.
    pub headers_max: usize,
    /// The largest size of a compressed body once it is unpacked, in bytes.
    pub unpacked_max: u64,
    /// How many times as large as its compressed form a body may be. Small bodies are not judged by it.
    pub ratio_max: u64,
    /// How many redirects of a `GET` or `HEAD` are followed. To another host no credential is taken along.
    pub redirects: u32,
    /// PEM file of the certificates that are trusted; absent: those of the system.
    pub certificates: Option<PathBuf>,
    /// Whether other hosts than this machine may be spoken to without TLS.
    pub plain: bool,
    /// Whether a successful body may end with its connection alone, so that nobody can tell its end from a break.
    pub unmarked_ends: bool,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            user_agent: concat!("unwipe/", env!("CARGO_PKG_VERSION")).to_owned(),
            connections: 16,
            idle_age: Duration::from_secs(10),
            connect: Duration::from_secs(20),
            first_byte: Duration::from_mins(2),
            idle: Duration::from_mins(2),
            body: None,
            headers_max: 64 << 10,
            unpacked_max: 256 << 20,
            ratio_max: 250,
            redirects: 3,
            certificates: None,
            plain: false,
            unmarked_ends: false,
        }
    }
}

/// Why no transport can be made.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The certificates to trust cannot be read.
    #[error("the certificates to trust cannot be read: {detail}")]
    Certificates {
        /// What went wrong, with the file.
        detail: String,
    },
    /// The name to send is none that a header can carry.
    #[error("{text:?} cannot be sent as the name of this program")]
    UserAgent {
        /// The name.
        text: String,
    },
}

/// Sends requests over HTTP/1.1. Clones and threads share its connections.
#[derive(Debug, Clone)]
pub struct HttpTransport {
    agent: Agent,
    settings: Arc<HttpSettings>,
}

impl HttpTransport {
    /// Makes a transport; no connection is made yet.
    pub fn new(settings: HttpSettings) -> Result<Self, SettingsError> {
        if HeaderValue::from_str(&settings.user_agent).is_err() {
            return Err(SettingsError::UserAgent { text: settings.user_agent });
        }
        let roots = Roots::of(settings.certificates.as_deref())
            .map_err(|error| SettingsError::Certificates { detail: error.to_string() })?;
        let configuration = Agent::config_builder()
            .http_status_as_error(false)
            // Redirects are followed here, where it is known which headers are credentials.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .user_agent(settings.user_agent.as_str())
            .accept_encoding("gzip")
            .max_response_header_size(settings.headers_max)
            .max_idle_connections(settings.connections)
            .max_idle_connections_per_host(settings.connections)
            .max_idle_age(settings.idle_age)
            .timeout_resolve(Some(settings.connect))
            .timeout_connect(Some(settings.connect))
            .timeout_recv_response(Some(settings.first_byte))
            .timeout_recv_body(settings.body)
            .timeout_per_read(Some(settings.idle.max(settings.first_byte)))
            .timeout_per_write(Some(settings.idle))
            .tls_config(roots.client());
        let agent = Agent::with_parts(configuration.build(), Connect::default(), Lookup::default());
        Ok(Self { agent, settings: Arc::new(settings) })
    }

    fn send_once(&self, request: &Request) -> Result<Response, TransportError> {
        let uri = address(&request.url, self.settings.plain)?;
        let mut builder = http::Request::builder().method(request.method.clone()).uri(uri);
        for (name, value) in &request.headers {
            if name != CONTENT_LENGTH && name != TRANSFER_ENCODING {
                builder = builder.header(name, value);
            }
        }
        let with_body = matches!(request.method, Method::POST | Method::PUT | Method::PATCH);
        if !with_body && !request.body.is_empty() {
            return Err(unsendable(format!("a {} has no body", request.method)));
        }
        let response = if with_body {
            self.agent.run(builder.body(request.body.as_slice()).map_err(|e| unsendable(e.to_string()))?)
        } else {
            self.agent.run(builder.body(()).map_err(|e| unsendable(e.to_string()))?)
        };
        let response = response.map_err(|error| classify(error, self.settings.headers_max))?;
        self.receive(request, response)
    }

    fn receive(
        &self,
        request: &Request,
        response: http::Response<ureq::Body>,
    ) -> Result<Response, TransportError> {
        let (parts, body) = response.into_parts();
        let (status, mut headers) = (parts.status, parts.headers);
        if is_bodiless(&request.method, status, &headers) {
            return Ok(Response::new(status, headers, Vec::new()));
        }
        let limit = self.settings.headers_max;
        let raw = Honest { reader: Box::new(body.into_reader()), headers_max: limit };
        let packed = headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes);
        let body = match packed.map(<[u8]>::to_ascii_lowercase).as_deref() {
            Some(b"gzip" | b"x-gzip") => {
                headers.remove(CONTENT_ENCODING);
                headers.remove(CONTENT_LENGTH);
                Body::from_reader(Inflated::new(raw, self.settings.unpacked_max, self.settings.ratio_max))
                    .packed()
            }
            None | Some(b"identity" | b"") => {
                let marked = headers.contains_key(CONTENT_LENGTH) || headers.contains_key(TRANSFER_ENCODING);
                if status.is_success() && !marked && !self.settings.unmarked_ends {
                    let what = "nothing tells the end of its body from a break".to_owned();
                    return Err(TransportError::Invalid { what });
                }
                Body::from_reader(raw)
            }
            Some(_) => {
                let what = "its body is packed in a way that nobody asked for".to_owned();
                return Err(TransportError::Invalid { what });
            }
        };
        Ok(Response { status, headers, body })
    }
}

impl Transport for HttpTransport {
    fn send(&self, request: &Request) -> Result<Response, TransportError> {
        let mut response = self.send_once(request)?;
        let mut left = self.settings.redirects;
        let mut last = None;
        while left > 0 {
            let now = last.as_ref().unwrap_or(request);
            let Some(next) = redirect::next(now, &response)? else { break };
            response = self.send_once(&next)?;
            last = Some(next);
            left -= 1;
        }
        Ok(response)
    }
}

fn is_bodiless(method: &Method, status: StatusCode, headers: &HeaderMap) -> bool {
    *method == Method::HEAD
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
        || headers.get(CONTENT_LENGTH).is_some_and(|value| value == "0")
}

/// Checks an address: absolute, without a user in it, and encrypted unless it is on this machine.
pub(super) fn address(url: &str, plain: bool) -> Result<Uri, TransportError> {
    let uri: Uri = url.parse().map_err(|_| unsendable("the address is no URL".to_owned()))?;
    let authority = uri.authority().ok_or_else(|| unsendable("the address names no host".to_owned()))?;
    if authority.as_str().contains('@') {
        return Err(unsendable("the address holds a user".to_owned()));
    }
    match uri.scheme_str() {
        Some("https") => Ok(uri),
        Some("http") if plain || is_loopback(authority.host()) => Ok(uri),
        Some("http") => Err(unsendable(format!("{} would be spoken to without TLS", authority.host()))),
        _ => Err(unsendable("the address is neither http nor https".to_owned())),
    }
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn unsendable(what: String) -> TransportError {
    TransportError::Unsendable { what }
}

/// Names errors of the connection in the words of this crate while a body is read.
struct Honest {
    reader: Box<dyn io::Read + Send>,
    headers_max: usize,
}

impl io::Read for Honest {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader
            .read(buffer)
            .map_err(|error| classify(ureq::Error::from(error), self.headers_max).into_io())
    }
}

fn classify(error: ureq::Error, headers_max: usize) -> TransportError {
    match error {
        ureq::Error::Other(error) if error.is::<Unreached>() => TransportError::Unreachable { source: error },
        // These come before a connection is asked for.
        ureq::Error::HostNotFound | ureq::Error::TlsRequired => {
            TransportError::Unreachable { source: Box::new(error) }
        }
        ureq::Error::Io(error) if error.kind() == io::ErrorKind::TimedOut => {
            TransportError::TimedOut { phase: error.to_string() }
        }
        ureq::Error::Timeout(phase) => TransportError::TimedOut { phase: phase.to_string() },
        ureq::Error::LargeResponseHeader(..) => {
            TransportError::TooLarge { what: "the head", limit: headers_max as u64 }
        }
        ureq::Error::Protocol(error) => TransportError::Invalid { what: error.to_string() },
        ureq::Error::BadUri(_) | ureq::Error::Http(_) | ureq::Error::RequireHttpsOnly(_) => {
            unsendable("the address or a header is malformed".to_owned())
        }
        other => TransportError::broken(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_spoken_to_without_tls() {
        for good in
            ["https://api.example.org/", "http://127.0.0.1:8/x", "http://[::1]/", "http://localhost:80/"]
        {
            assert!(address(good, false).is_ok(), "{good}");
        }
        for bad in [
            "http://api.example.org/",
            "http://localhost.example.org/",
            "http://127.0.0.1.example.org/",
            "http://127.0.0.1@example.org/",
            "https://user:secret@example.org/",
            "ftp://127.0.0.1/",
            "/path",
            "no url",
        ] {
            assert!(matches!(address(bad, false), Err(TransportError::Unsendable { .. })), "{bad}");
        }
        assert!(address("http://api.example.org/", true).is_ok());
    }

    #[test]
    fn a_name_that_no_header_can_carry_is_refused() {
        let settings = HttpSettings { user_agent: "a\nb".to_owned(), ..HttpSettings::default() };
        assert!(matches!(HttpTransport::new(settings), Err(SettingsError::UserAgent { .. })));
    }

    #[test]
    fn a_missing_file_of_certificates_is_named() {
        let settings =
            HttpSettings { certificates: Some("/nowhere/ca.pem".into()), ..HttpSettings::default() };
        let error = HttpTransport::new(settings).unwrap_err();
        assert!(error.to_string().contains("/nowhere/ca.pem"), "{error}");
    }
}
