//! The server `emulate`, and what is put between it and our client because it has no such thing.

use std::{
    collections::BTreeSet,
    net::TcpListener,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use connect_http::{
    HttpSettings, HttpTransport, Request, Response, Transport, TransportError, http::Method, testing::answer,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::tools::root;

/// The only user of its domain.
pub(crate) const USER: &str = "anna@acme.test";
const TOKEN: &str = "the-only-token";
const PATIENCE: Duration = Duration::from_mins(1);
const ANSWER_BYTES_MAX: u64 = 64 << 20;

/// A server that runs until this is dropped.
pub(crate) struct Emulate {
    child: Child,
    pub(crate) url: String,
    http: HttpTransport,
    _folder: TempDir,
}

impl Emulate {
    /// Starts it with these messages, each with its labels' ids.
    pub(crate) fn start(messages: &[(String, Vec<&str>, Vec<u8>)]) -> Self {
        let messages: Vec<Value> = messages
            .iter()
            .map(|(id, labels, raw)| json!({ "id": id, "user_email": USER, "label_ids": labels, "raw": encode(raw) }))
            .collect();
        Self::with(&json!({ "messages": messages }))
    }

    /// Starts it with what its own words describe: `messages`, `calendars`, `calendar_events`, `drive_items`.
    pub(crate) fn with(content: &Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut google = json!({ "users": [{ "email": USER, "name": "Anna" }] });
        google.as_object_mut().unwrap().extend(content.as_object().unwrap().clone());
        let seed = json!({ "tokens": { TOKEN: { "login": USER, "scopes": [] } }, "google": google });
        let path = folder.path().join("seed.json");
        std::fs::write(&path, seed.to_string()).unwrap();
        // It takes no port of its own choice: another process may take this one in between, and then the story stops.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let node = root().join(".tools/node");
        let program = node.join("bin/node");
        assert!(program.is_file(), "{} is missing; run: tools/install_node", program.display());
        let child = Command::new(program)
            .arg(node.join("node_modules/emulate/dist/index.js"))
            .args(["start", "--service", "google", "--port", &port.to_string(), "--seed"])
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("node runs");
        let http = HttpTransport::new(HttpSettings::default()).unwrap();
        let mut emulate = Self { child, url: format!("http://127.0.0.1:{port}"), http, _folder: folder };
        let begun = Instant::now();
        while emulate.http.send(&as_user(Request::get(format!("{}/", emulate.url)))).is_err() {
            assert!(emulate.child.try_wait().unwrap().is_none(), "emulate has ended");
            assert!(begun.elapsed() < PATIENCE, "emulate does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
        emulate
    }

    /// Asks it for something of the mailbox, past everything that is judged.
    pub(crate) fn get(&self, path: &str) -> Value {
        self.get_at(&format!("gmail/v1/users/me/{path}"))
    }

    /// Asks it for something, past everything that is judged.
    pub(crate) fn get_at(&self, path: &str) -> Value {
        self.send(Request::get(format!("{}/{path}", self.url)))
    }

    /// Does something with the mailbox as an agent would, past everything that is judged.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Value {
        self.change(Method::POST, &format!("gmail/v1/users/me/{path}"), body)
    }

    /// Does something as an agent would, past everything that is judged.
    pub(crate) fn change(&self, verb: Method, path: &str, body: &Value) -> Value {
        self.send(Request::new(verb, format!("{}/{path}", self.url)).json(body).unwrap())
    }

    /// Deletes something as an agent would.
    pub(crate) fn delete(&self, path: &str) {
        self.send(Request::new(Method::DELETE, format!("{}/{path}", self.url)));
    }

    fn send(&self, request: Request) -> Value {
        let request = as_user(request);
        let response = self.http.send(&request).unwrap();
        assert!(response.status.is_success(), "{}: {}", request.place(), response.status);
        response.body.json(ANSWER_BYTES_MAX).unwrap_or_default()
    }

    /// Returns all messages as it shows them: id, sorted labels, text.
    pub(crate) fn messages(&self) -> Vec<(String, Vec<String>, Vec<u8>)> {
        let list = self.get("messages?includeSpamTrash=true&maxResults=500");
        let ids = list["messages"].as_array().unwrap().iter().map(|message| message["id"].as_str().unwrap());
        let mut messages: Vec<_> = ids
            .map(|id| {
                let message = self.get(&format!("messages/{id}?format=raw"));
                let mut labels: Vec<String> = serde_json::from_value(message["labelIds"].clone()).unwrap();
                labels.sort_unstable();
                (
                    id.to_owned(),
                    labels,
                    source_google::gmail::decode_raw(message["raw"].as_str().unwrap()).unwrap(),
                )
            })
            .collect();
        messages.sort_unstable();
        messages
    }
}

fn as_user(request: Request) -> Request {
    request.bearer(&model::Redacted::new(TOKEN.to_owned())).unwrap()
}

impl Drop for Emulate {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What of Google's services is played by the test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Help {
    /// A token for a signed statement: it takes none.
    Tokens,
    /// The list of users: it has no directory.
    Users,
    /// The mailbox's newest id of history: it has it in another place.
    Profiles,
    /// Batches, carried out call by call.
    Batches,
    /// The feed of a drive: whatever is there has changed.
    Changes,
    /// A calendar by its id: it has them on the list alone.
    Calendars,
}

/// Carries calls to the server, and plays what it is told to.
pub(crate) struct Bridge {
    http: HttpTransport,
    url: String,
    help: BTreeSet<Help>,
    /// How many messages were asked for.
    asked: Arc<AtomicUsize>,
}

impl Bridge {
    pub(crate) fn new(emulate: &Emulate, help: &[Help], asked: &Arc<AtomicUsize>) -> Self {
        let http = HttpTransport::new(HttpSettings::default()).unwrap();
        Self {
            http,
            url: emulate.url.clone(),
            help: help.iter().copied().collect(),
            asked: Arc::clone(asked),
        }
    }

    fn profile(&self, request: &Request) -> Result<Response, TransportError> {
        let mut watch = Request::post(format!("{}/gmail/v1/users/me/watch", self.url));
        watch.headers.clone_from(&request.headers);
        let watched: Value = self
            .http
            .send(&watch.json(&json!({ "topicName": "projects/p/topics/t" }))?)?
            .body
            .json(ANSWER_BYTES_MAX)?;
        Ok(document(&json!({ "emailAddress": USER, "historyId": watched["historyId"] })))
    }

    fn batch(&self, request: &Request) -> Result<Response, TransportError> {
        let text = String::from_utf8_lossy(&request.body);
        let mut body = Vec::new();
        let targets = text.lines().filter_map(|line| line.strip_prefix("GET ")?.strip_suffix(" HTTP/1.1"));
        for (number, target) in targets.enumerate() {
            self.asked.fetch_add(usize::from(target.contains("/messages/")), Ordering::SeqCst);
            let mut call = Request::get(format!("{}{target}", self.url));
            call.headers.extend(
                request
                    .headers
                    .get("authorization")
                    .map(|token| (connect_http::http::header::AUTHORIZATION, token.clone())),
            );
            let response = Transport::send(self, &call)?;
            let head = format!(
                "--batch\r\nContent-Type: application/http\r\nContent-ID: <response-call-{number}>\r\n\r\n\
                 HTTP/1.1 {}\r\nContent-Type: application/json\r\n\r\n",
                response.status
            );
            body.extend_from_slice(head.as_bytes());
            body.extend_from_slice(&response.body.bytes(ANSWER_BYTES_MAX)?);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"--batch--\r\n");
        Ok(answer(200, &[("content-type", "multipart/mixed; boundary=batch")], body))
    }
}

impl Bridge {
    fn fetch(&self, request: &Request, path: &str) -> Result<Value, TransportError> {
        let mut get = Request::get(format!("{}/{path}", self.url));
        get.headers.clone_from(&request.headers);
        self.http.send(&get)?.body.json(ANSWER_BYTES_MAX)
    }

    fn changes(&self, request: &Request) -> Result<Response, TransportError> {
        let mut list = self.fetch(request, "drive/v3/files?pageSize=1000")?;
        let files = list["files"].as_array_mut().map(std::mem::take).unwrap_or_default();
        let changes: Vec<Value> = files
            .into_iter()
            .map(|file| json!({ "changeType": "file", "fileId": file["id"], "removed": false, "file": file }))
            .collect();
        Ok(document(&json!({ "changes": changes, "newStartPageToken": "2" })))
    }

    fn calendar(&self, request: &Request, id: &str) -> Result<Response, TransportError> {
        let mut list = self.fetch(request, "calendar/v3/users/me/calendarList")?;
        let entries = list["items"].as_array_mut().map(std::mem::take).unwrap_or_default();
        Ok(match entries.iter().find(|entry| entry["id"].as_str() == Some(id)) {
            Some(entry) => document(&json!({ "id": id, "summary": entry["summary"] })),
            None => answer(404, &[], "{}"),
        })
    }
}

impl Transport for Bridge {
    fn send(&self, request: &Request) -> Result<Response, TransportError> {
        let help = |help| self.help.contains(&help);
        let path = request.place().strip_prefix(&self.url).unwrap_or_default();
        if let Some(id) = path.strip_prefix("/calendar/v3/calendars/").filter(|id| !id.contains('/'))
            && request.method == Method::GET
            && help(Help::Calendars)
        {
            return self.calendar(request, &id.replace("%40", "@"));
        }
        match path {
            "/drive/v3/changes/startPageToken" if help(Help::Changes) => {
                Ok(document(&json!({ "startPageToken": "1" })))
            }
            "/drive/v3/changes" if help(Help::Changes) => self.changes(request),
            "/token" if help(Help::Tokens) => {
                Ok(document(&json!({ "access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer" })))
            }
            "/admin/directory/v1/users" if help(Help::Users) => Ok(document(
                &json!({ "users": [{ "id": "1", "primaryEmail": USER, "isMailboxSetup": true }] }),
            )),
            "/gmail/v1/users/me/profile" if help(Help::Profiles) => self.profile(request),
            _ if path.starts_with("/batch") && help(Help::Batches) => self.batch(request),
            _ => self.http.send(request),
        }
    }
}

fn document(value: &Value) -> Response {
    answer(200, &[("content-type", "application/json")], value.to_string())
}

/// Encodes a text as messages travel.
pub(crate) fn encode(text: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut encoded = String::new();
    for three in text.chunks(3) {
        let bits = three
            .iter()
            .enumerate()
            .fold(0_u32, |bits, (place, byte)| bits | u32::from(*byte) << (16 - 8 * place));
        for place in 0..=three.len() {
            encoded.push(char::from(ALPHABET[(bits >> (18 - 6 * place) & 63) as usize]));
        }
    }
    encoded
}
