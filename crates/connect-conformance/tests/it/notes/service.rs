//! The simulator: a small fictitious service of notes, in one process, that behaves as its documents say.
//!
//! Each user has notes in folders, a trash, and a change feed that may forget its past. It is a transport: what
//! connectors send to it never leaves the process.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
};

use connect_http::{
    Request, Response, Transport, TransportError,
    http::{HeaderMap, Method, StatusCode, header::IF_MATCH},
};
use ports::{Clock, ManualClock};
use serde_json::{Value, json};

/// The service's address.
pub(crate) const ADDRESS: &str = "https://notes.test";
/// With this the reader and the writer ask for tokens.
pub(crate) const KEY: &str = "notes-key-7f3a9c51e2";
/// Calls in a second, and at once after a rest.
pub(crate) const CALLS_PER_SECOND: u64 = 10;
pub(crate) const CALLS_AT_ONCE: u64 = 20;
/// A page of notes or changes.
pub(crate) const PAGE: usize = 4;

/// What stands in the way of reading one note.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Obstacle {
    Denied,
    Unsupported,
    Failing,
}

#[derive(Clone, Default)]
pub(crate) struct Note {
    pub(crate) text: String,
    pub(crate) folder: String,
    pub(crate) tags: BTreeSet<String>,
    pub(crate) trashed: bool,
    pub(crate) version: u64,
    /// Free text of whoever made it by a program.
    pub(crate) origin: Option<String>,
    pub(crate) shared_with: BTreeSet<String>,
    pub(crate) obstacle: Option<Obstacle>,
}

#[derive(Default)]
pub(crate) struct Notebook {
    pub(crate) notes: BTreeMap<String, Note>,
    /// The ids of notes that changed, in order.
    log: Vec<String>,
    /// So many changes are forgotten.
    forgotten: usize,
    pub(crate) suspended: bool,
}

impl Notebook {
    /// Changes a note, and notes it in the feed.
    pub(crate) fn change(&mut self, id: &str, change: impl FnOnce(&mut Note)) {
        let note = self.notes.entry(id.to_owned()).or_default();
        change(note);
        note.version += 1;
        self.log.push(id.to_owned());
    }

    pub(crate) fn remove(&mut self, id: &str) {
        if self.notes.remove(id).is_some() {
            self.log.push(id.to_owned());
        }
    }

    pub(crate) fn forget(&mut self) {
        self.log.push(String::new());
        self.forgotten = self.log.len();
    }
}

pub(crate) struct State {
    pub(crate) users: BTreeMap<String, Notebook>,
    pub(crate) scope_denied: bool,
    pub(crate) made: u64,
    /// So many writes are still taken, where that is limited.
    pub(crate) writes_left: Option<u64>,
    pub(crate) spent: u64,
    pub(crate) refused: u64,
    tokens: u64,
    limited: bool,
    /// Calls that may be made at once now, in millionths, and since when.
    room: u128,
    since: u128,
}

pub(crate) struct Service {
    pub(crate) clock: Arc<ManualClock>,
    state: Mutex<State>,
}

type Answer = Result<Value, (u16, &'static str)>;

impl Service {
    pub(crate) fn new(clock: Arc<ManualClock>, limited: bool) -> Self {
        let state = State {
            users: BTreeMap::new(),
            scope_denied: false,
            made: 0,
            writes_left: None,
            spent: 0,
            refused: 0,
            tokens: 0,
            limited,
            room: u128::from(CALLS_AT_ONCE) * 1_000_000,
            since: clock.elapsed().as_micros(),
        };
        Self { clock, state: Mutex::new(state) }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Takes one call out of the quota, if there is one.
    fn pay(&self, state: &mut State) -> Result<(), (u16, &'static str)> {
        let now = self.clock.elapsed().as_micros();
        let full = u128::from(CALLS_AT_ONCE) * 1_000_000;
        state.room = full.min(state.room + (now - state.since) * u128::from(CALLS_PER_SECOND));
        state.since = now;
        if state.limited && state.room < 1_000_000 {
            state.refused += 1;
            return Err((429, "too-fast"));
        }
        state.room = state.room.saturating_sub(1_000_000);
        state.spent += 1;
        Ok(())
    }

    fn route(&self, request: &Request) -> Answer {
        let mut state = self.state();
        let state = &mut *state;
        let (path, query) = request
            .url
            .strip_prefix(ADDRESS)
            .unwrap()
            .split_once('?')
            .unwrap_or((&request.url[ADDRESS.len()..], ""));
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        if parts == ["token"] {
            state.tokens += 1;
            let right = request.body == KEY.as_bytes();
            return if right {
                Ok(json!({ "token": token(state.tokens), "seconds": 3600 }))
            } else {
                Err((403, "wrong-key"))
            };
        }
        let bearer = request.headers.get("authorization").and_then(|value| value.to_str().ok());
        if !(1..=state.tokens).any(|number| bearer == Some(&format!("Bearer {}", token(number)))) {
            return Err((401, "no-token"));
        }
        self.pay(state)?;
        if parts == ["users"] {
            return Ok(json!({ "users": state.users.keys().collect::<Vec<_>>() }));
        }
        if state.scope_denied {
            return Err((403, "not-granted"));
        }
        if request.method != Method::GET {
            match &mut state.writes_left {
                Some(0) => return Err((403, "no-more-writes")),
                Some(left) => *left -= 1,
                None => {}
            }
        }
        let made = &mut state.made;
        let book = state.users.get_mut(parts[1]).ok_or((404, "no-user"))?;
        if book.suspended {
            return Err((403, "suspended"));
        }
        let value = query.split_once('=').map_or("", |(_, value)| value);
        let expected =
            request.headers.get(IF_MATCH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        match (&request.method, &parts[2..]) {
            (&Method::GET, ["latest"]) => Ok(json!({ "position": book.log.len() })),
            (&Method::GET, ["changes"]) => changes(book, value.parse().map_err(|_| (400, "no-position"))?),
            (&Method::GET, ["notes"]) => Ok(list(book, value)),
            (&Method::GET, ["notes", id]) => entry(book, id),
            (&Method::POST, ["notes"]) => {
                *made += 1;
                let id = format!("{}-again-{made:04}", parts[1]);
                let written: Value = serde_json::from_slice(&request.body).map_err(|_| (400, "no-json"))?;
                book.change(&id, |note| write(note, &written));
                entry(book, &id)
            }
            (&Method::PUT, ["notes", id]) => {
                let version = book.notes.get(*id).ok_or((404, "no-note"))?.version;
                if expected != Some(version) {
                    return Err((412, "changed"));
                }
                let written: Value = serde_json::from_slice(&request.body).map_err(|_| (400, "no-json"))?;
                book.change(id, |note| write(note, &written));
                entry(book, id)
            }
            (&Method::DELETE, ["notes", id]) => {
                book.remove(id);
                Ok(json!({}))
            }
            _ => Err((404, "no-such-thing")),
        }
    }

    /// Answers with the text of a note itself.
    fn text(&self, request: &Request) -> Option<Result<Vec<u8>, (u16, &'static str)>> {
        let path = request.url.strip_prefix(ADDRESS)?.strip_suffix("/text")?;
        // Rights and quota are those of the note.
        let of_note = Request { url: format!("{ADDRESS}{path}"), ..request.clone() };
        if let Err(refusal) = self.route(&of_note) {
            return Some(Err(refusal));
        }
        let mut parts = path.split('/').skip(2);
        let (user, id) = (parts.next()?, parts.nth(1)?);
        let state = self.state();
        let note = &state.users[user].notes[id];
        Some(match note.obstacle {
            None => Ok(note.text.clone().into_bytes()),
            Some(Obstacle::Denied) => Err((403, "not-yours")),
            Some(Obstacle::Unsupported) => Err((415, "no-text")),
            Some(Obstacle::Failing) => Err((500, "disk")),
        })
    }
}

fn token(number: u64) -> String {
    format!("notes-token-{number:06}-of-this-test")
}

fn write(note: &mut Note, written: &Value) {
    let text = |name: &str| written[name].as_str().map(str::to_owned);
    note.text = text("text").unwrap_or_default();
    note.folder = text("folder").unwrap_or_default();
    let tags = written["tags"].as_array().into_iter().flatten();
    note.tags = tags.filter_map(|tag| tag.as_str().map(str::to_owned)).collect();
    note.trashed = written["trashed"].as_bool().unwrap_or(false);
    note.origin = text("origin").or_else(|| note.origin.take());
}

fn shown(id: &str, note: &Note) -> Value {
    json!({
        "id": id,
        "folder": note.folder,
        "tags": note.tags,
        "trashed": note.trashed,
        "version": note.version,
        "digest": blake3::hash(note.text.as_bytes()).to_hex().to_string(),
        "origin": note.origin,
    })
}

fn entry(book: &Notebook, id: &str) -> Answer {
    book.notes.get(id).map(|note| shown(id, note)).ok_or((404, "no-note"))
}

fn list(book: &Notebook, after: &str) -> Value {
    let mut notes = book.notes.iter().filter(|(id, _)| id.as_str() > after);
    let page: Vec<Value> = notes.by_ref().take(PAGE).map(|(id, note)| shown(id, note)).collect();
    let next = notes.next().and(page.last()).map(|last| last["id"].clone());
    json!({ "notes": page, "next": next })
}

fn changes(book: &Notebook, since: usize) -> Answer {
    if since < book.forgotten || since > book.log.len() {
        return Err((410, "forgotten"));
    }
    let until = book.log.len().min(since + PAGE);
    let ids: BTreeSet<&String> = book.log[since..until].iter().filter(|id| !id.is_empty()).collect();
    let changes: Vec<Value> = ids
        .into_iter()
        .map(|id| {
            book.notes
                .get(id)
                .map_or_else(|| json!({ "gone": id }), |note| json!({ "note": shown(id, note) }))
        })
        .collect();
    Ok(json!({ "changes": changes, "position": until, "more": until < book.log.len() }))
}

impl Transport for Service {
    fn send(&self, request: &Request) -> Result<Response, TransportError> {
        let answer = self
            .text(request)
            .unwrap_or_else(|| self.route(request).map(|value| serde_json::to_vec(&value).unwrap()));
        let (status, body) = match answer {
            Ok(body) => (200, body),
            Err((status, word)) => (status, json!({ "error": word }).to_string().into_bytes()),
        };
        Ok(Response::new(StatusCode::from_u16(status).unwrap(), HeaderMap::new(), body))
    }
}
