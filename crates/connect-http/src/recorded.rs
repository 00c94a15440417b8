//! Traffic, recorded without secrets and played back.
//!
//! One JSON line for each request and its answer. Of a request, its method, address and a digest of its body are kept,
//! never its headers or its body; of an answer everything but cookies. Secrets in addresses and in JSON answers are
//! taken out as the settings say, and in the same way from what is asked during playback. What is inside of other
//! bodies is kept: a recording is as confidential as the content that was read.

mod clean;

use std::{
    fmt,
    io::{self, BufRead, Write},
    sync::{Mutex, MutexGuard, PoisonError},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use ureq::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

pub use self::clean::RecordSettings;
use crate::transport::{Body, Request, Response, Transport, TransportError};

/// The largest body that is recorded.
const BODY_BYTES_MAX: u64 = 256 << 20;

/// What tells requests from each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Asked {
    method: String,
    url: String,
    /// The body's length and its FNV-1a sum; nothing where bodies hold secrets that change each time.
    body: String,
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} (body {})", self.method, self.url, self.body)
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Outcome {
    Answer {
        status: u16,
        headers: Vec<(String, String)>,
        #[serde(flatten)]
        body: Content,
    },
    Unsendable(String),
    Unreachable(String),
    Broken(String),
    TimedOut(String),
    TooLarge(u64),
    Invalid(String),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Content {
    Text(String),
    Base64(String),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Line {
    #[serde(flatten)]
    asked: Asked,
    outcome: Outcome,
}

fn ask(request: &Request, settings: &RecordSettings) -> Asked {
    let body = if settings.is_token_endpoint(&request.url) {
        String::new()
    } else {
        format!("{}/{:016x}", request.body.len(), sum(&request.body))
    };
    Asked { method: request.method.to_string(), url: settings.clean_url(&request.url), body }
}

/// FNV-1a: tells bodies apart, and keeps nothing of them.
fn sum(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// Writes down what another transport carries. Bodies are read into memory for it.
pub struct Recorder<T> {
    inner: T,
    settings: RecordSettings,
    out: Mutex<Out>,
}

struct Out {
    writer: Box<dyn Write + Send>,
    failed: Option<io::Error>,
}

impl<T> fmt::Debug for Recorder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("recorder")
    }
}

impl<T: Transport> Recorder<T> {
    /// Makes a recorder that writes lines.
    pub fn new(inner: T, settings: RecordSettings, writer: impl Write + Send + 'static) -> Self {
        Self { inner, settings, out: Mutex::new(Out { writer: Box::new(writer), failed: None }) }
    }

    /// Ends the recording; an error of writing any of it is told here.
    pub fn finish(self) -> io::Result<()> {
        let mut out = self.out.into_inner().unwrap_or_else(PoisonError::into_inner);
        match out.failed {
            Some(error) => Err(error),
            None => out.writer.flush(),
        }
    }

    fn write(&self, line: &Line) {
        let mut out: MutexGuard<'_, Out> = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        if out.failed.is_some() {
            return;
        }
        let written = serde_json::to_string(line).map_err(io::Error::from);
        out.failed = written.and_then(|text| writeln!(out.writer, "{text}")).err();
    }

    fn keep(&self, request: &Request, response: &Response, body: &[u8]) -> Outcome {
        let body = self.settings.clean_body(&request.url, body);
        let headers = response.headers.iter().filter_map(|(name, value)| {
            let value = value.to_str().ok()?;
            (!clean::is_secret_header(name))
                .then(|| (name.to_string(), self.settings.clean_header(name, value)))
        });
        Outcome::Answer {
            status: response.status.as_u16(),
            headers: headers.collect(),
            body: match String::from_utf8(body) {
                Ok(text) => Content::Text(text),
                Err(error) => Content::Base64(STANDARD.encode(error.as_bytes())),
            },
        }
    }
}

impl<T: Transport> Transport for Recorder<T> {
    fn send(&self, request: &Request) -> Result<Response, TransportError> {
        let received = self.inner.send(request).and_then(|mut response| {
            let packed = response.body.is_packed();
            let bytes = std::mem::replace(&mut response.body, Body::of(Vec::new())).bytes(BODY_BYTES_MAX)?;
            let outcome = self.keep(request, &response, &bytes);
            let body = Body::of(bytes);
            response.body = if packed { body.packed() } else { body };
            Ok((response, outcome))
        });
        let (result, outcome) = match received {
            Ok((response, outcome)) => (Ok(response), outcome),
            Err(error) => {
                let outcome = keep_error(&error);
                (Err(error), outcome)
            }
        };
        self.write(&Line { asked: ask(request, &self.settings), outcome });
        result
    }
}

fn keep_error(error: &TransportError) -> Outcome {
    match error {
        TransportError::Unsendable { what } => Outcome::Unsendable(what.clone()),
        TransportError::Unreachable { source } => Outcome::Unreachable(source.to_string()),
        TransportError::Broken { source } => Outcome::Broken(source.to_string()),
        TransportError::TimedOut { phase } => Outcome::TimedOut(phase.clone()),
        TransportError::TooLarge { limit, .. } => Outcome::TooLarge(*limit),
        TransportError::Invalid { what } => Outcome::Invalid(what.clone()),
    }
}

/// Why a recording cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// It cannot be read.
    #[error("the recording cannot be read")]
    Read(#[source] io::Error),
    /// A line of it is none of a recording.
    #[error("line {line} of the recording is none")]
    Line {
        /// Its number, from one.
        line: usize,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
}

/// Answers from a recording. Equal requests get their answers in the order of the recording, each once.
#[derive(Debug)]
pub struct Replay {
    settings: RecordSettings,
    /// Taken ones are absent.
    lines: Mutex<Vec<Option<Line>>>,
}

impl Replay {
    /// Reads a recording that was made with the same settings.
    pub fn new(settings: RecordSettings, recording: impl BufRead) -> Result<Self, ReplayError> {
        let mut lines = Vec::new();
        for (index, text) in recording.lines().enumerate() {
            let text = text.map_err(ReplayError::Read)?;
            let line = serde_json::from_str(&text)
                .map_err(|source| ReplayError::Line { line: index + 1, source })?;
            lines.push(Some(line));
        }
        Ok(Self { settings, lines: Mutex::new(lines) })
    }

    /// Returns how many answers nobody asked for yet.
    pub fn left(&self) -> usize {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).iter().flatten().count()
    }
}

impl Transport for Replay {
    fn send(&self, request: &Request) -> Result<Response, TransportError> {
        let asked = ask(request, &self.settings);
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let found = lines.iter_mut().find(|line| line.as_ref().is_some_and(|line| line.asked == asked));
        match found.and_then(Option::take) {
            Some(line) => play(line.outcome),
            None => Err(TransportError::Unsendable { what: unexpected(&asked, lines.iter().flatten()) }),
        }
    }
}

/// Says what was not recorded, and what was that is most like it.
fn unexpected<'a>(asked: &Asked, lines: impl Iterator<Item = &'a Line>) -> String {
    let text = asked.to_string();
    let common = |line: &&Line| {
        let other = line.asked.to_string();
        text.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count()
    };
    match lines.max_by_key(common) {
        Some(line) => format!("{asked} was not recorded; the nearest that was is {}", line.asked),
        None => format!("{asked} was not recorded; nothing recorded is left"),
    }
}

fn play(outcome: Outcome) -> Result<Response, TransportError> {
    let said = |text: String| -> Box<dyn std::error::Error + Send + Sync> { text.into() };
    Err(match outcome {
        Outcome::Answer { status, headers, body } => return answer(status, &headers, body),
        Outcome::Unsendable(what) => TransportError::Unsendable { what },
        Outcome::Unreachable(text) => TransportError::Unreachable { source: said(text) },
        Outcome::Broken(text) => TransportError::Broken { source: said(text) },
        Outcome::TimedOut(phase) => TransportError::TimedOut { phase },
        Outcome::TooLarge(limit) => TransportError::TooLarge { what: "the answer", limit },
        Outcome::Invalid(what) => TransportError::Invalid { what },
    })
}

fn answer(status: u16, headers: &[(String, String)], body: Content) -> Result<Response, TransportError> {
    let odd = |what: &str| TransportError::Invalid { what: format!("the recording holds {what}") };
    let status = StatusCode::from_u16(status).map_err(|_| odd("no status"))?;
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| odd("no header"))?;
        map.append(name, HeaderValue::from_str(value).map_err(|_| odd("no header"))?);
    }
    let body = match body {
        Content::Text(text) => text.into_bytes(),
        Content::Base64(text) => STANDARD.decode(text).map_err(|_| odd("no body"))?,
    };
    // Its length may have changed when secrets were taken out.
    if map.contains_key("content-length") {
        map.insert("content-length", HeaderValue::from(body.len()));
    }
    Ok(Response::new(status, map, body))
}

#[cfg(test)]
mod tests;
