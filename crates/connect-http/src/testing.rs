//! What tests of connectors need: a transport that answers as it is told.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
};

use ureq::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::transport::{Request, Response, Transport, TransportError};

type Answer = dyn Fn(&Request, usize) -> Result<Response, TransportError> + Send + Sync;

/// A transport that asks a function for each answer, and remembers what was sent.
pub struct Scripted {
    answer: Box<Answer>,
    sent: Mutex<Vec<Request>>,
}

impl Scripted {
    /// Makes a transport of a function that sees the request and how many were sent before it.
    pub fn new(
        answer: impl Fn(&Request, usize) -> Result<Response, TransportError> + Send + Sync + 'static,
    ) -> Self {
        Self { answer: Box::new(answer), sent: Mutex::default() }
    }

    /// Returns what was sent so far.
    pub fn sent(&self) -> Vec<Request> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("scripted transport")
    }
}

impl Transport for Scripted {
    fn send(&self, request: &Request) -> Result<Response, TransportError> {
        let before = {
            let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
            sent.push(request.clone());
            sent.len() - 1
        };
        (self.answer)(request, before)
    }
}

/// Makes an answer from a status (500 if it is none), headers (those that are none are left out) and a text.
pub fn answer(status: u16, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers: HeaderMap = headers
        .iter()
        .filter_map(|(name, value)| {
            Some((name.parse::<HeaderName>().ok()?, HeaderValue::from_str(value).ok()?))
        })
        .collect();
    Response::new(status, headers, body.into())
}
