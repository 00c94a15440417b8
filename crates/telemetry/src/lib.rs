//! Spans to an OpenTelemetry collector, over OTLP/HTTP with protobuf.
//!
//! Whoever works puts a span into a bounded queue and goes on; a thread of its own carries what is in it. A collector that
//! is slow, broken or gone costs spans, which are counted, and nothing else.

mod courier;
mod queue;
mod wire;

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, channel},
    },
    time::Duration,
};

use connect_http::{
    Request, Transport,
    http::{HeaderName, HeaderValue, Uri, header::CONTENT_TYPE},
};
use model::Redacted;
use ports::{Random, span::Spans};

use self::{courier::Courier, queue::Queue};

/// Below the base address of a collector.
const PATH: &str = "/v1/traces";

/// Why nothing can be sent.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The address is none.
    #[error("telemetry.endpoint is no address: {reason}")]
    Endpoint {
        /// What is wrong.
        reason: String,
    },
    /// A header cannot be sent.
    #[error("the header {name:?} of telemetry.headers cannot be sent")]
    Header {
        /// Its name; its value may be a secret.
        name: String,
    },
    /// There is no thread to send on.
    #[error("no thread can be started")]
    Thread(#[source] std::io::Error),
}

/// Where spans go.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The base address of a collector, as `http://127.0.0.1:4318`.
    pub endpoint: String,
    /// Headers of each request.
    pub headers: Vec<(String, Redacted<String>)>,
    /// What this program is called there.
    pub service_name: String,
    /// Its version.
    pub version: &'static str,
}

/// How long spans are gathered and how often sending is tried.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// So many spans wait at most.
    pub waiting_max: usize,
    /// So many are sent at a time.
    pub batch_max: usize,
    /// The first of a batch waits so long for others.
    pub gather: Duration,
    /// After a failure nothing is tried for so long.
    pub retry: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            waiting_max: 2048,
            batch_max: 256,
            gather: Duration::from_secs(2),
            retry: Duration::from_secs(10),
        }
    }
}

/// Carries spans until it is stopped.
pub struct Exporter {
    queue: Arc<Queue>,
    /// Closed by the thread when it ends.
    ended: Receiver<()>,
}

impl Exporter {
    /// Begins to carry spans. That sending fails, and that it works again, is told through `tell`, once each.
    pub fn start(
        settings: &Settings,
        pace: Pace,
        random: Arc<dyn Random>,
        transport: Box<dyn Transport>,
        tell: Box<dyn Fn(String) + Send>,
    ) -> Result<Self, TelemetryError> {
        let request = request(settings)?;
        let host = request.url.parse::<Uri>().ok().and_then(|uri| uri.authority().map(ToString::to_string));
        let queue = Arc::new(Queue::new(pace));
        let (alive, ended) = channel();
        let mut courier = Courier {
            queue: Arc::clone(&queue),
            encoder: wire::Encoder::new(&settings.service_name, settings.version, random),
            request,
            collector: host.unwrap_or_default(),
            transport,
            tell,
            failing: false,
        };
        let carry = move || {
            courier.carry();
            drop::<std::sync::mpsc::Sender<()>>(alive);
        };
        std::thread::Builder::new()
            .name("telemetry".to_owned())
            .spawn(carry)
            .map_err(TelemetryError::Thread)?;
        Ok(Self { queue, ended })
    }

    /// Returns what takes spans.
    pub fn spans(&self) -> Arc<dyn Spans> {
        Arc::clone(&self.queue) as _
    }

    /// Sends what waits and ends. Once `patience` is over, what is left is dropped.
    pub fn stop(self, patience: Duration) {
        self.queue.stop();
        // The thread sends nothing here: either it ends, or it is left to itself.
        self.ended.recv_timeout(patience).ok();
    }
}

fn request(settings: &Settings) -> Result<Request, TelemetryError> {
    let wrong = |reason: &str| TelemetryError::Endpoint { reason: reason.to_owned() };
    let base: Uri = settings.endpoint.parse().map_err(|_| wrong("it is no URL"))?;
    if !matches!(base.scheme_str(), Some("http" | "https")) || base.authority().is_none() {
        return Err(wrong("write http://HOST:PORT or https://HOST"));
    }
    if base.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err(wrong("a user or a password in it would be shown; use telemetry.headers"));
    }
    if base.query().is_some() {
        return Err(wrong("it has a query"));
    }
    let mut request = Request::post(settings.endpoint.trim_end_matches('/').to_owned() + PATH);
    for (name, value) in &settings.headers {
        let refused = || TelemetryError::Header { name: name.clone() };
        let header: HeaderName = name.parse().map_err(|_| refused())?;
        let mut value = HeaderValue::from_str(value.expose()).map_err(|_| refused())?;
        value.set_sensitive(true);
        request.headers.insert(header, value);
    }
    request.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(endpoint: &str, headers: &[(&str, &str)]) -> Settings {
        Settings {
            endpoint: endpoint.to_owned(),
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), Redacted::new((*value).to_owned())))
                .collect(),
            service_name: "unwipe".to_owned(),
            version: "1",
        }
    }

    #[test]
    fn the_path_of_the_protocol_is_put_below_the_base_address() {
        for (base, url) in [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
            ("http://127.0.0.1:4318/", "http://127.0.0.1:4318/v1/traces"),
            ("https://traces.example.org/otlp", "https://traces.example.org/otlp/v1/traces"),
        ] {
            assert_eq!(request(&settings(base, &[])).unwrap().url, url);
        }
        for base in ["", "collector", "ftp://x/", "http://", "http://anna:secret@x/", "http://x/?a=b"] {
            let refused = request(&settings(base, &[]));
            assert!(matches!(refused, Err(TelemetryError::Endpoint { .. })), "{base}");
        }
    }

    #[test]
    fn a_header_that_cannot_be_sent_is_named_without_its_value() {
        for (name, value) in [("a b", "word"), ("authorization", "secret\nword")] {
            let error = request(&settings("http://x", &[(name, value)])).unwrap_err();
            let text = format!("{error} {error:?}");
            assert!(text.contains(name) && !text.contains("word"), "{text}");
        }
    }
}
