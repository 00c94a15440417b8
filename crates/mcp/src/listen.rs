//! Where agents come in: the streams of this process, or HTTP on this machine.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    thread::JoinHandle,
};

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
};
use rmcp::{
    ServiceExt,
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::never::NeverSessionManager,
    },
};
use tokio::sync::oneshot;

use crate::{AgentServer, Caller, Counter};

/// Bytes of one request.
const REQUEST_BYTES_MAX: usize = 256 << 10;
/// How many threads wait for files and databases.
const BLOCKING_THREADS: usize = 8;

/// Says who holds a token; nobody, if it is not in force. It may block on files.
pub type Recognise = dyn Fn(&str) -> Option<Caller> + Send + Sync;

/// Why agents cannot be answered.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Others could listen in.
    #[error("{address} is not this machine alone")]
    InTheClear {
        /// The address.
        address: SocketAddr,
    },
    /// The socket, the streams or the threads failed.
    #[error("agents cannot be answered")]
    Failed(#[source] io::Error),
    /// The other side did not speak the protocol.
    #[error("the other side does not speak the Model Context Protocol: {0}")]
    Protocol(String),
}

/// Answers one agent over the streams of this process, until it ends.
pub fn serve_stdio(counter: Arc<Counter>, caller: Caller) -> Result<(), ListenError> {
    let runtime = runtime()?;
    let ended = runtime.block_on(async {
        let running = AgentServer::of(counter, caller).serve(rmcp::transport::stdio()).await;
        let running = running.map_err(|error| ListenError::Protocol(error.to_string()))?;
        running.waiting().await.map_err(|error| ListenError::Failed(io::Error::other(error)))?;
        Ok(())
    });
    // A read of the standard input cannot be ended, and must not hold up the end of the process.
    runtime.shutdown_background();
    ended
}

fn runtime() -> Result<tokio::runtime::Runtime, ListenError> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_name("agents")
        .enable_all()
        .build()
        .map_err(ListenError::Failed)
}

/// Returns the tools over HTTP, at `/`: to be mounted anywhere. `hosts` are the names under which it may be reached beside
/// those of this machine. Requests of browsers, which say where they come from, are refused; others need a token.
pub fn service(counter: Arc<Counter>, recognise: Arc<Recognise>, hosts: &[String]) -> Router {
    let mut config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_max_request_body_bytes(REQUEST_BYTES_MAX)
        .enforce_origin_validation();
    config.allowed_hosts.extend(hosts.iter().cloned());
    let room = AgentServer::room();
    let tools = StreamableHttpService::new(
        move || Ok(AgentServer::of_requests(Arc::clone(&counter), Arc::clone(&room))),
        Arc::new(NeverSessionManager::default()),
        config,
    );
    Router::new().fallback_service(tools).layer(from_fn_with_state(recognise, identify))
}

/// Lets nobody in whose token is not in force.
async fn identify(State(recognise): State<Arc<Recognise>>, mut request: Request, next: Next) -> Response {
    let Some(token) = bearer(request.headers()) else { return unknown() };
    let found = tokio::task::spawn_blocking(move || recognise(&token)).await;
    match found {
        Ok(Some(caller)) => {
            // The token ends here: nothing behind this needs it.
            request.headers_mut().remove(header::AUTHORIZATION);
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        _ => unknown(),
    }
}

fn unknown() -> Response {
    let sentence = "send a token: Authorization: Bearer unwipe_…, as `unwipe token create` prints it\n";
    (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")], sentence).into_response()
}

fn bearer(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
}

/// A running listener; it ends when it is stopped.
pub struct Listener {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<io::Result<()>>,
}

impl Listener {
    /// Begins to answer at an address of this machine, under `/mcp`.
    pub fn start(
        address: SocketAddr,
        counter: Arc<Counter>,
        recognise: Arc<Recognise>,
        hosts: &[String],
    ) -> Result<Self, ListenError> {
        if !address.ip().is_loopback() {
            return Err(ListenError::InTheClear { address });
        }
        let socket = TcpListener::bind(address).map_err(ListenError::Failed)?;
        socket.set_nonblocking(true).map_err(ListenError::Failed)?;
        let address = socket.local_addr().map_err(ListenError::Failed)?;
        let router = Router::new().nest("/mcp", service(counter, recognise, hosts));
        let runtime = runtime()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let serve = move || {
            let served = runtime.block_on(async {
                let socket = tokio::net::TcpListener::from_std(socket)?;
                let until = async {
                    stopped.await.ok();
                };
                axum::serve(socket, router).with_graceful_shutdown(until).await
            });
            runtime.shutdown_background();
            served
        };
        let thread = std::thread::Builder::new()
            .name("agents".to_owned())
            .spawn(serve)
            .map_err(ListenError::Failed)?;
        Ok(Self { address, stop, thread })
    }

    /// Returns where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it.
    pub fn stop(self) -> Result<(), ListenError> {
        // A thread that has ended takes nothing more.
        self.stop.send(()).ok();
        let ended =
            self.thread.join().map_err(|_| ListenError::Failed(io::Error::other("its thread died")))?;
        ended.map_err(ListenError::Failed)
    }
}
