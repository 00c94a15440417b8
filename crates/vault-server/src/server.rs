//! The server: TLS, HTTP/1.1, and nothing that decides.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use model::Redacted;
use ports::Clock;
use tokio::{
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

pub use crate::tls::TlsError;
use crate::{Keeper, capability::Identity, tls};

mod exchange;
mod refusal;
mod slots;

use self::slots::{Slots, Turn};

/// What a server needs besides its keeper.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// The server's certificate, as PEM.
    pub certificate: String,
    /// Its key, as PEM.
    pub key: Redacted<String>,
    /// The authority whose client certificates count, as PEM.
    pub authority: String,
    /// The file with the serial numbers of certificates that no longer count.
    pub revoked: Option<PathBuf>,
    /// How long a client may take for its next bytes.
    pub patience: Duration,
}

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Its certificates cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Its socket or threads cannot be made.
    #[error("the server cannot be started")]
    Start(#[source] io::Error),
    /// Its thread died.
    #[error("the server's thread died")]
    Thread,
}

/// A running server.
pub struct Server {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    thread: JoinHandle<()>,
}

/// How long a client may take to be silent by default.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// How long a stopped server lets running requests finish.
const GRACE: Duration = Duration::from_secs(10);
const CONNECTIONS_MAX: usize = 256;
const HEADERS_MAX: usize = 32;
const BUFFER_BYTES: usize = 128 << 10;
/// How many threads wait for the store.
const STORE_THREADS: usize = 16;

/// What all connections share.
struct Shared {
    keeper: Arc<Keeper>,
    acceptor: TlsAcceptor,
    slots: Slots,
    patience: Duration,
    revoked: Option<PathBuf>,
}

impl Server {
    /// Starts serving on a socket that is bound already, on threads of its own.
    pub fn start(
        listener: TcpListener,
        settings: ServerSettings,
        keeper: Arc<Keeper>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ServerError> {
        let key = settings.key.expose();
        let config = tls::configuration(&settings.certificate, key, &settings.authority, clock)?;
        let shared = Arc::new(Shared {
            keeper,
            acceptor: TlsAcceptor::from(Arc::new(config)),
            slots: Slots::new(),
            patience: settings.patience,
            revoked: settings.revoked,
        });
        listener.set_nonblocking(true).map_err(ServerError::Start)?;
        let address = listener.local_addr().map_err(ServerError::Start)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .max_blocking_threads(STORE_THREADS)
            .thread_name("vault-server")
            .enable_all()
            .build()
            .map_err(ServerError::Start)?;
        let (stop, stopped) = watch::channel(false);
        let serve = move || {
            runtime.block_on(accept(listener, shared, stopped));
            runtime.shutdown_timeout(GRACE);
        };
        let thread = std::thread::Builder::new()
            .name("vault-server".to_owned())
            .spawn(serve)
            .map_err(ServerError::Start)?;
        Ok(Self { address, stop, thread })
    }

    /// Returns where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops accepting, lets running requests finish, and waits for that.
    pub fn stop(self) -> Result<(), ServerError> {
        // A server whose thread is gone is found out below.
        self.stop.send(true).ok();
        self.thread.join().map_err(|_| ServerError::Thread)
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, mut stopped: watch::Receiver<bool>) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.changed() => break,
        };
        match accepted {
            // What finds no place is closed at once: whoever opens sockets must not make the others wait.
            Ok((stream, peer)) => {
                let place = Arc::clone(&room).try_acquire_owned().ok();
                if let (Some(place), Some(handshake)) = (place, shared.slots.handshake(peer.ip())) {
                    let shared = Arc::clone(&shared);
                    tokio::spawn(connection(stream, shared, (place, handshake), stopped.clone()));
                }
            }
            // Out of descriptors, most likely: wait for some to be given back.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
    // Connections see the same signal and finish what they are at.
    let all = u32::try_from(CONNECTIONS_MAX).unwrap_or(u32::MAX);
    // Whoever is not done by then is cut off.
    drop(timeout(GRACE, room.acquire_many(all)).await);
}

/// Serves one connection: the handshake says who it is, for all of its requests.
async fn connection(
    stream: TcpStream,
    shared: Arc<Shared>,
    (_place, handshake): (OwnedSemaphorePermit, Turn),
    mut stopped: watch::Receiver<bool>,
) {
    let Ok(Ok(stream)) = timeout(shared.patience, shared.acceptor.accept(stream)).await else { return };
    drop(handshake);
    let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let Some(Ok(identity)) = certificate.map(|der| Identity::of_certificate(der)) else { return };
    let Some(_turn) = shared.slots.connection(&identity.capability.to_string()) else { return };
    let identity = Arc::new(identity);
    let service = service_fn({
        let shared = Arc::clone(&shared);
        move |request| {
            let (shared, identity) = (Arc::clone(&shared), Arc::clone(&identity));
            async move { Ok::<_, std::convert::Infallible>(exchange::respond(&shared, &identity, request).await) }
        }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(shared.patience)
        .max_headers(HEADERS_MAX)
        .max_buf_size(BUFFER_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let mut served = std::pin::pin!(served);
    tokio::select! {
        // A client that breaks off is no concern of the server's.
        _ = served.as_mut() => {}
        _ = stopped.changed() => {
            served.as_mut().graceful_shutdown();
            drop(served.await);
        }
    }
}
