//! The witness over HTTP: `POST /add-checkpoint`, as C2SP's `tlog-witness` has it.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
};

use axum::{
    Router,
    extract::{DefaultBodyLimit, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use tokio::sync::oneshot;

use crate::{Refusal, Witness};

/// A started server. Dropping it stops it.
pub struct RunningServer {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Why the witness cannot be reached.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}")]
pub struct ServerError {
    address: SocketAddr,
    #[source]
    source: io::Error,
}

/// A checkpoint with all signatures and the longest proof is smaller.
const BODY_BYTES_MAX: usize = 80 << 10;

/// Starts to answer requests on a thread of its own. Requests need no authentication: what is not signed by a key of
/// a known log changes nothing.
pub fn start(witness: Witness, address: SocketAddr) -> Result<RunningServer, ServerError> {
    let failed = |source| ServerError { address, source };
    let listener = std::net::TcpListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let listener = {
        let _context = runtime.enter();
        tokio::net::TcpListener::from_std(listener).map_err(failed)?
    };
    let (stop, stopped) = oneshot::channel::<()>();
    let serve = async move {
        let router = Router::new()
            .route("/add-checkpoint", post(add_checkpoint))
            .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
            .with_state(Arc::new(Mutex::new(witness)));
        tokio::select! {
            // A failed accept loop and a stop mean the same to clients: nobody answers, and they say so.
            _ = async { axum::serve(listener, router).await } => {}
            _ = stopped => {}
        }
    };
    let thread = std::thread::Builder::new()
        .name("witness".to_owned())
        .spawn(move || runtime.block_on(serve))
        .map_err(failed)?;
    Ok(RunningServer { address: bound, stop: Some(stop), thread: Some(thread) })
}

impl RunningServer {
    /// Returns where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns whether it still answers.
    pub fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }
}

impl Drop for RunningServer {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // The thread may have ended by itself; then nobody listens, and that is fine.
            stop.send(()).ok();
        }
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

/// Check, memory and signature happen under one lock, so that no two requests overtake each other in between.
async fn add_checkpoint(State(witness): State<Arc<Mutex<Witness>>>, body: String) -> Response {
    let answer = witness.lock().unwrap_or_else(PoisonError::into_inner).add_checkpoint(&body);
    match answer {
        Ok(line) => line.into_response(),
        Err(refusal) => refuse(&refusal),
    }
}

fn refuse(refusal: &Refusal) -> Response {
    let status = match refusal {
        Refusal::Malformed { .. } => StatusCode::BAD_REQUEST,
        Refusal::UnknownOrigin { .. } => StatusCode::NOT_FOUND,
        Refusal::Unsigned => StatusCode::FORBIDDEN,
        Refusal::OldSize { size } => {
            let kind = [(header::CONTENT_TYPE, "text/x.tlog.size")];
            return (StatusCode::CONFLICT, kind, format!("{size}\n")).into_response();
        }
        Refusal::Fork { same_size: true } => StatusCode::CONFLICT,
        Refusal::Fork { same_size: false } => StatusCode::UNPROCESSABLE_ENTITY,
        Refusal::State(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    (status, format!("{refusal}\n")).into_response()
}
