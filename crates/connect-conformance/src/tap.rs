//! A transport that counts, tells, and dies where it is told.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use connect_http::{
    Request, Response, Transport, TransportError,
    http::header::{AUTHORIZATION, HeaderName},
};

use crate::subject::Subject;

/// Is called before a request is handed on: with its number, from 0, and the keys whose content it asks for.
pub(crate) type Watch = dyn FnMut(u64, &[String]) + Send;

/// Where a process is killed, seen from its requests.
pub(crate) struct Death {
    /// At this request, counted from 0.
    pub(crate) at: u64,
    /// Whether the request still reaches the source; its answer never comes.
    pub(crate) sent: bool,
    /// What is kept of the moment.
    pub(crate) witness: Box<dyn FnOnce() + Send>,
}

/// Hands requests on to a simulated source.
pub(crate) struct Tap {
    subject: Arc<dyn Subject>,
    inner: Arc<dyn Transport>,
    state: Mutex<State>,
    watch: Mutex<Option<Box<Watch>>>,
}

#[derive(Default)]
struct State {
    calls: u64,
    contents: Vec<String>,
    secrets: BTreeSet<String>,
    death: Option<Death>,
    is_dead: bool,
}

impl fmt::Debug for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tap")
    }
}

/// Headers that carry secrets.
const SECRET: [HeaderName; 1] = [AUTHORIZATION];
/// Shorter parts of a header are words: `Bearer`.
const SECRET_BYTES_MIN: usize = 12;

impl Tap {
    pub(crate) fn new(subject: &Arc<dyn Subject>) -> Arc<Self> {
        Arc::new(Self {
            inner: subject.transport(),
            subject: Arc::clone(subject),
            state: Mutex::default(),
            watch: Mutex::default(),
        })
    }

    /// Begins to count anew.
    pub(crate) fn forget(&self) {
        let mut state = self.lock();
        (state.calls, state.is_dead, state.death) = (0, false, None);
        state.contents.clear();
    }

    /// Returns how many requests came.
    pub(crate) fn calls(&self) -> u64 {
        self.lock().calls
    }

    /// Returns the keys whose content was asked for, once for each time.
    pub(crate) fn contents(&self) -> Vec<String> {
        self.lock().contents.clone()
    }

    /// Returns the tokens that were sent since the start.
    pub(crate) fn secrets(&self) -> BTreeSet<String> {
        self.lock().secrets.clone()
    }

    /// Lets somebody watch from the next request on, counted anew.
    pub(crate) fn watch(&self, watch: impl FnMut(u64, &[String]) + Send + 'static) {
        self.forget();
        *self.watch.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(watch));
    }

    pub(crate) fn unwatch(&self) {
        *self.watch.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Kills at a request, counted from now on; from then on no request gets anywhere.
    pub(crate) fn die(&self, death: Death) {
        self.forget();
        self.lock().death = Some(death);
    }

    /// Returns whether it came to the death.
    pub(crate) fn is_dead(&self) -> bool {
        self.lock().is_dead
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a request; returns its number, and its death if this is it.
    fn note(&self, request: &Request, contents: &[String]) -> Result<(u64, Option<Death>), TransportError> {
        let mut state = self.lock();
        if state.is_dead {
            return Err(killed());
        }
        let number = state.calls;
        state.calls += 1;
        state.contents.extend_from_slice(contents);
        let values = SECRET.iter().filter_map(|name| request.headers.get(name)?.to_str().ok());
        let parts: Vec<&str> = values.flat_map(str::split_whitespace).collect();
        let long = parts.into_iter().filter(|part| part.len() >= SECRET_BYTES_MIN);
        state.secrets.extend(long.map(str::to_owned));
        let death = state.death.take_if(|death| death.at == number);
        state.is_dead = death.is_some();
        Ok((number, death))
    }
}

fn killed() -> TransportError {
    TransportError::Unreachable { source: "the process was killed".into() }
}

impl Transport for Tap {
    fn send(&self, request: &Request) -> Result<Response, TransportError> {
        let contents = self.subject.contents(request);
        let (number, death) = self.note(request, &contents)?;
        if let Some(death) = death {
            if death.sent {
                self.inner.send(request)?;
            }
            (death.witness)();
            return Err(killed());
        }
        if let Some(watch) = &mut *self.watch.lock().unwrap_or_else(PoisonError::into_inner) {
            watch(number, &contents);
        }
        self.inner.send(request)
    }
}
