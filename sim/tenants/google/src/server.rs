//! The server: threads of its own, HTTP/1.1, TLS if wanted, and nothing that decides.

mod content;
mod tls;

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    thread::JoinHandle,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::{
    Response,
    body::Incoming,
    header::{CONTENT_TYPE, HeaderName, HeaderValue, LOCATION},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use ports::{Clock, Random};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::watch,
};
use tokio_rustls::TlsAcceptor;

use self::{content::Content, tls::Credential};
use crate::{
    Settings, StartError, Tenant, batch,
    dispatch::{self, Outcome, Request, Shared, Slot, Transport},
    refusal::Refusal,
};

/// The largest body: a message of 150 MB in base64, and some JSON around it.
const BODY_MAX: usize = 220 << 20;

/// A started simulator. Dropping it stops it.
pub struct Running {
    url: String,
    authority: Option<String>,
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("url", &self.url).finish_non_exhaustive()
    }
}

/// Binds, furnishes the domain and begins to serve.
pub(crate) fn start(
    settings: Settings,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
) -> Result<Running, StartError> {
    let listener = std::net::TcpListener::bind(settings.listen).map_err(StartError::Listen)?;
    listener.set_nonblocking(true).map_err(StartError::Listen)?;
    let address = listener.local_addr().map_err(StartError::Listen)?;
    let credential = settings.tls.then(|| tls::make(address.ip(), &*clock)).transpose()?;
    let (acceptor, authority) = match credential {
        Some(Credential { acceptor, authority }) => (Some(acceptor), Some(authority)),
        None => (None, None),
    };
    let url = format!("{}://{address}", if acceptor.is_some() { "https" } else { "http" });
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(settings.threads.max(1))
        .thread_name("google-simulator")
        .enable_all()
        .build()
        .map_err(StartError::Listen)?;
    let shared = Arc::new(Shared::new(Tenant::new(settings, clock, random, url.clone())));
    let (stop, stopped) = watch::channel(false);
    let serve = {
        let shared = Arc::clone(&shared);
        move || {
            runtime.block_on(accept(listener, shared, acceptor, stopped));
            runtime.shutdown_background();
        }
    };
    let thread = std::thread::Builder::new()
        .name("google-simulator".to_owned())
        .spawn(serve)
        .map_err(StartError::Listen)?;
    Ok(Running { url, authority, shared, stop, thread: Some(thread) })
}

impl Running {
    /// Returns the address, without a slash at its end: `http://127.0.0.1:40123`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the certificate of the authority behind the server's own, as PEM; `None` without TLS.
    pub fn authority(&self) -> Option<&str> {
        self.authority.as_deref()
    }

    /// Returns the domain's clock, for callers that are to live by it.
    pub fn clock(&self) -> Arc<dyn Clock> {
        self.with_tenant(|tenant| Arc::clone(&tenant.clock))
    }

    /// Looks into the domain, or changes it behind the API's back.
    pub fn with_tenant<T>(&self, act: impl FnOnce(&mut Tenant) -> T) -> T {
        act(&mut self.shared.lock())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The thread may have ended by itself; then nobody listens, and that is fine.
        self.stop.send(true).ok();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

async fn accept(
    listener: std::net::TcpListener,
    shared: Arc<Shared>,
    acceptor: Option<TlsAcceptor>,
    mut stopped: watch::Receiver<bool>,
) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.changed() => return,
        };
        let Ok((stream, peer)) = accepted else { continue };
        // Small answers must not wait for acknowledgements; without it they are only slower.
        stream.set_nodelay(true).ok();
        let (shared, acceptor) = (Arc::clone(&shared), acceptor.clone());
        tokio::spawn(async move {
            match acceptor {
                None => connection(stream, peer, shared).await,
                Some(acceptor) => {
                    // A client that does not trust us has said so already.
                    if let Ok(stream) = acceptor.accept(stream).await {
                        connection(stream, peer, shared).await;
                    }
                }
            }
        });
    }
}

async fn connection<S: AsyncRead + AsyncWrite + Unpin>(stream: S, peer: SocketAddr, shared: Arc<Shared>) {
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { answer(&shared, peer.ip(), request).await }
    });
    // A client that breaks off is no concern of ours, and a broken answer was meant.
    http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await.ok();
}

/// The connection is to end without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection is broken on purpose")]
struct Broken;

/// A call that counts as running until this is dropped.
struct Place<'a> {
    shared: &'a Shared,
    slot: Option<Slot>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.shared.end(self.slot.as_ref());
    }
}

async fn answer(
    shared: &Shared,
    address: IpAddr,
    request: hyper::Request<Incoming>,
) -> Result<Response<Content>, Broken> {
    let (head, body) = request.into_parts();
    let outcome = match Limited::new(body, BODY_MAX).collect().await {
        Ok(body) => {
            let body: Bytes = body.to_bytes();
            let request = Request {
                method: head.method,
                path: head.uri.path().to_owned(),
                query: head.uri.query().unwrap_or_default().to_owned(),
                headers: head.headers.clone(),
                body,
                address,
            };
            if batch::is_batch(&request.method, &request.path) {
                shared.batch(&request)
            } else {
                let outcome = shared.dispatch(request);
                shared.request(outcome.slot.as_ref());
                outcome
            }
        }
        Err(_) => dispatch::refused(&Refusal::new(
            413,
            "uploadTooLarge",
            "INVALID_ARGUMENT",
            "Request entity too large",
        )),
    };
    // A client that hangs up while it waits takes its place with it.
    let _place = Place { shared, slot: outcome.slot.clone() };
    if !outcome.delay.is_zero() {
        tokio::time::sleep(outcome.delay).await;
    }
    let zipped = head.headers.get("accept-encoding").and_then(|value| value.to_str().ok());
    respond(outcome, zipped.is_some_and(|accepted| accepted.contains("gzip")))
}

fn respond(outcome: Outcome, zip: bool) -> Result<Response<Content>, Broken> {
    if outcome.transport == Transport::Broken {
        return Err(Broken);
    }
    let mut response = Response::new(Content::default());
    *response.status_mut() = hyper::StatusCode::from_u16(outcome.code).map_err(|_| Broken)?;
    let headers = response.headers_mut();
    headers.insert("x-simulator", HeaderValue::from_static("google"));
    headers.insert("vary", HeaderValue::from_static("Origin, X-Origin, Referer"));
    if let Some(media_type) = &outcome.media_type {
        headers.insert(CONTENT_TYPE, HeaderValue::from_str(media_type).map_err(|_| Broken)?);
    }
    for (name, value) in &outcome.headers {
        let value = HeaderValue::from_str(value).map_err(|_| Broken)?;
        headers.insert(HeaderName::from_static(name), value);
    }
    if let Some(stream) = outcome.stream {
        *response.body_mut() = shaped(Content::stream(stream), outcome.transport);
        return Ok(response);
    }
    let mut body = outcome.body;
    let text = outcome
        .media_type
        .as_deref()
        .is_some_and(|kind| kind.contains("json") || kind.starts_with("multipart"));
    if zip && text && body.len() >= content::ZIP_BYTES_MIN && !headers.contains_key(LOCATION) {
        body = content::zipped(&body).ok_or(Broken)?;
        headers.insert("content-encoding", HeaderValue::from_static("gzip"));
    }
    *response.body_mut() = shaped(Content::whole(body), outcome.transport);
    Ok(response)
}

fn shaped(content: Content, transport: Transport) -> Content {
    match transport {
        Transport::Truncated(bytes) => content.truncated(bytes),
        Transport::Spoilt(position) => content.spoilt(position),
        Transport::Whole | Transport::Broken => content,
    }
}
