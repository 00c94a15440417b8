//! The server itself: its socket, its threads, its end.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

use axum::{Router, extract::ConnectInfo};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use service::config::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::{Semaphore, watch},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use crate::{
    Site, agents, api, assets, background::Background, events, guard, indexer, keeper, metrics, pages, tls,
    watcher,
};

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address is none.
    #[error("{address:?} is no address to listen on")]
    Address {
        /// What the configuration says.
        address: String,
    },
    /// Others could listen in.
    #[error("{address} is not this machine alone, and there is no certificate")]
    InTheClear {
        /// The address.
        address: SocketAddr,
    },
    /// A file of `server.tls` cannot be used.
    #[error("{} cannot be used: {reason}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The socket or the threads cannot be made.
    #[error("the server cannot be started at {address}")]
    Start {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Its thread died.
    #[error("the server's thread died")]
    Thread,
}

impl ServerError {
    /// Returns whether somebody else listens there.
    pub fn is_taken(&self) -> bool {
        matches!(self, Self::Start { source, .. } if source.kind() == io::ErrorKind::AddrInUse)
    }

    /// Returns what a person can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Address { .. } => Some("set server.listen to an address such as 127.0.0.1:8787".to_owned()),
            Self::InTheClear { .. } => {
                Some("set server.tls.certificate and server.tls.key, or listen on 127.0.0.1".to_owned())
            }
            Self::Start { source, .. } if source.kind() == io::ErrorKind::AddrInUse => Some(
                "another process listens there: unwipe serve --listen 127.0.0.1:0 takes any port".to_owned(),
            ),
            _ => None,
        }
    }
}

/// A running server; it ends when it is stopped.
pub struct Server {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    thread: JoinHandle<()>,
    background: [Background; 3],
}

const CONNECTIONS_MAX: usize = 1024;
const HEADERS_MAX: usize = 64;
const BUFFER_BYTES: usize = 64 << 10;
/// How long a client may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a stopped server lets running requests finish.
const GRACE: Duration = Duration::from_secs(5);
/// How many threads wait for files and databases.
const BLOCKING_THREADS: usize = 16;
/// Pages wait for captures, not the other way round.
const NICENESS: i32 = 10;

impl Server {
    /// Starts answering, on threads of its own.
    pub fn start(site: Arc<Site>, config: &ServerConfig) -> Result<Self, ServerError> {
        let address: SocketAddr =
            config.listen.parse().map_err(|_| ServerError::Address { address: config.listen.clone() })?;
        if config.tls.is_none() && !address.ip().is_loopback() {
            return Err(ServerError::InTheClear { address });
        }
        let acceptor = match &config.tls {
            None => None,
            Some(tls) => {
                let config = tls::configuration(&site.home, tls, Arc::clone(&site.ports.clock))?;
                Some(TlsAcceptor::from(Arc::new(config)))
            }
        };
        let failed = |source| ServerError::Start { address, source };
        let listener = TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .max_blocking_threads(BLOCKING_THREADS)
            .thread_name("pages")
            .on_thread_start(step_back)
            .enable_all()
            .build()
            .map_err(failed)?;
        // Only who has the socket goes on with what another process was doing.
        let background = [
            keeper::start(Arc::clone(&site)).map_err(failed)?,
            watcher::start(Arc::clone(&site)).map_err(failed)?,
            indexer::start(Arc::clone(&site)).map_err(failed)?,
        ];
        let (stop, stopped) = watch::channel(false);
        let router = router(site, address);
        let serve = move || {
            runtime.block_on(accept(listener, router, acceptor, stopped));
            runtime.shutdown_timeout(GRACE);
        };
        let thread = std::thread::Builder::new().name("pages".to_owned()).spawn(serve).map_err(failed)?;
        Ok(Self { address, stop, thread, background })
    }

    /// Returns where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops accepting, lets running requests finish, and waits for that.
    pub fn stop(self) -> Result<(), ServerError> {
        // A server whose thread is gone is found out below.
        self.stop.send(true).ok();
        drop(self.background);
        self.thread.join().map_err(|_| ServerError::Thread)
    }
}

/// Lets a thread of the pages wait behind those of captures. Where that is refused, they are equals.
pub(crate) fn step_back() {
    rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICENESS).ok();
}

/// Everything that is answered.
pub(crate) fn router(site: Arc<Site>, address: SocketAddr) -> Router {
    let guarded = Router::new()
        .merge(pages::router())
        .merge(api::router())
        .merge(events::router())
        .merge(metrics::router())
        .merge(agents::router(&site))
        .fallback(pages::missing);
    guard::around(guarded, Arc::clone(&site), address).merge(assets::router()).with_state(site)
}

async fn accept(
    listener: TcpListener,
    router: Router,
    acceptor: Option<TlsAcceptor>,
    mut stopped: watch::Receiver<bool>,
) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let connection = tokio::select! {
            connection = listener.accept() => connection,
            _ = stopped.changed() => break,
        };
        // No file descriptor is left, for example: the next connection may find one.
        let Ok((stream, peer)) = connection else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let Ok(permit) = Arc::clone(&room).try_acquire_owned() else { continue };
        let (router, acceptor, stopped) = (router.clone(), acceptor.clone(), stopped.clone());
        tokio::spawn(async move {
            converse(stream, peer, router, acceptor, stopped).await;
            drop(permit);
        });
    }
    // Who is being answered is let finish.
    let all = u32::try_from(CONNECTIONS_MAX).unwrap_or(u32::MAX);
    timeout(GRACE, room.acquire_many(all)).await.ok();
}

async fn converse(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    acceptor: Option<TlsAcceptor>,
    stopped: watch::Receiver<bool>,
) {
    stream.set_nodelay(true).ok();
    match acceptor {
        None => answer(stream, peer, router, stopped).await,
        Some(acceptor) => {
            // Whoever has no certificate that counts, or takes too long, is not answered.
            if let Ok(Ok(stream)) = timeout(PATIENCE, acceptor.accept(stream)).await {
                answer(stream, peer, router, stopped).await;
            }
        }
    }
}

async fn answer<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    stream: S,
    peer: SocketAddr,
    router: Router,
    mut stopped: watch::Receiver<bool>,
) {
    let router = router.layer(axum::Extension(ConnectInfo(peer)));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_headers(HEADERS_MAX)
        .max_buf_size(BUFFER_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    tokio::pin!(connection);
    tokio::select! {
        // How a connection ends is the client's business.
        _ = connection.as_mut() => return,
        _ = stopped.changed() => connection.as_mut().graceful_shutdown(),
    }
    timeout(GRACE, connection).await.ok();
}
