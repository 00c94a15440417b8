//! Drives: what stands in the way, what breaks, what lies.

use std::{
    io::{self, Read},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use connect::{ChangeSink, Cursor, KnownItem, LogTail, SinkError, SourceReader, Stop, testing::MemorySink};
use connect_http::{Body, HttpSettings, HttpTransport, Request, Response, Transport, TransportError};
use google_tenant::{Effect, Fault, Look, When, scopes};
use model::{Event, Item, Layout, Severity, StreamName, UnreadableReason};
use ports::Clock;
use serde_json::{Value, json};
use source_google::{GoogleReader, Part};

use crate::{
    domain::{Domain, SECOND, Until},
    drives::{DOCUMENT, attributes, small},
};

#[test]
fn an_unsteady_service_changes_nothing_about_what_is_held() {
    let domain = Domain::start(&[Part::Drive]);
    domain.unsteady("drive.*", 0.02);
    domain.running.with_tenant(|tenant| {
        // Of all that is checked, a wrong bit is noticed.
        tenant.fault(Fault::new("drive.revisions.get", When::Nth(1), Effect::Spoilt(77)));
    });
    let mut sink = MemorySink::new();
    domain.capture(&mut sink);
    assert!(domain.running.with_tenant(|tenant| tenant.faults_served()) > 20);
    domain.running.with_tenant(google_tenant::Tenant::lift_faults);
    // What failed although it was tried again comes with the next capture.
    domain.capture(&mut sink);
    domain.assert_drives_held(&sink);
}

/// Changes answers on their way, once it is told to.
struct Liar {
    inner: HttpTransport,
    lies: AtomicBool,
    lie: fn(&mut Value),
}

impl Liar {
    fn new(lie: fn(&mut Value)) -> Arc<Self> {
        let inner = HttpTransport::new(HttpSettings::default()).unwrap();
        Arc::new(Self { inner, lies: AtomicBool::new(false), lie })
    }
}

impl Transport for Liar {
    fn send(&self, request: &Request) -> Result<Response, TransportError> {
        let response = self.inner.send(request)?;
        if !self.lies.load(Ordering::SeqCst) || !request.place().ends_with("/drive/v3/files") {
            return Ok(response);
        }
        let mut body: Value = response.body.json(64 << 20)?;
        (self.lie)(&mut body);
        Ok(Response { body: Body::of(body.to_string().into_bytes()), ..response })
    }
}

/// Puts tokens that no drive takes in the place of those that are held.
fn lose_tokens(sink: &mut MemorySink) {
    for ((stream, _), item) in &mut sink.held {
        if stream.as_str() == "position" && item.attributes.contains("changes") {
            let mut position: Value = serde_json::from_str(&item.attributes).unwrap();
            position["changes"] = "999999999".into();
            item.attributes = position.to_string();
        }
    }
}

/// Captures a domain, loses all tokens, and captures it again through a liar.
fn relist(lie: fn(&mut Value)) -> (Domain, MemorySink, MemorySink) {
    let domain = small(&[Part::Drive]);
    let mut sink = MemorySink::new();
    domain.capture(&mut sink);
    let before = sink.clone();
    lose_tokens(&mut sink);
    let liar = Liar::new(lie);
    liar.lies.store(true, Ordering::SeqCst);
    let mut reader = domain.reader_through(liar);
    reader.changes(sink.cursor().as_ref(), &mut sink, &Stop::default()).unwrap();
    (domain, before, sink)
}

#[test]
fn a_list_that_says_that_it_is_incomplete_is_none() {
    let (domain, before, sink) = relist(|body| body["incompleteSearch"] = true.into());
    let (_, failed): (Vec<_>, Vec<_>) = sink
        .stream("blinded")
        .into_values()
        .partition(|item| matches!(item.content, Err(UnreadableReason::Blinded { .. })));
    assert_eq!(failed.len(), domain.people().len() + domain.shared_drives().len());
    for item in failed {
        let Err(UnreadableReason::Failed { detail }) = &item.content else { panic!("{item:?}") };
        assert!(detail.contains("not listed completely"), "{detail}");
    }
    assert!(sink.commits.iter().all(|commit| commit.removed == 0));
    assert!(before.held.keys().all(|key| sink.held.contains_key(key)));
}

#[test]
fn an_empty_list_takes_nothing_away() {
    let (domain, before, sink) = relist(|body| body["files"] = json!([]));
    assert!(sink.commits.iter().all(|commit| commit.removed == 0));
    assert_eq!(sink.bodies - before.bodies, (domain.people().len() + domain.shared_drives().len()) as u64);
    domain.assert_drives_held(&sink);
}

#[test]
fn nothing_of_a_drive_is_taken_for_deleted_once_it_cannot_be_seen() {
    let domain = small(&[Part::Drive]);
    let mut sink = MemorySink::new();
    domain.capture(&mut sink);
    let held = sink.held.len() - sink.stream("blinded").len();
    domain.running.with_tenant(|tenant| {
        let id = tenant.service_accounts().next().unwrap().client_id.clone();
        tenant.delegate(&id, [scopes::USER_READONLY]);
    });
    domain.clock.advance_micros(7200 * SECOND);
    domain.capture(&mut sink);
    let blinded = sink.stream("blinded");
    assert_eq!(sink.held.len() - blinded.len(), held);
    assert!(blinded.contains_key("shared-drives") && blinded.len() > domain.people().len());
    for item in blinded.values() {
        assert!(matches!(item.content, Err(UnreadableReason::Blinded { .. })), "{item:?}");
    }
    let findings = domain.reader().check();
    let files = findings.iter().find(|finding| finding.subject == "files can be read").unwrap();
    assert!(files.fix.as_ref().unwrap().contains("drive.readonly"));
}

#[test]
fn a_shared_drive_without_a_usable_member_is_told_with_what_to_do() {
    let domain = small(&[Part::Drive]);
    let administrator = domain.administrator();
    let hand = domain.hand(&administrator);
    let body = json!({ "name": "Nobody's" });
    let drive = hand.post("drives?requestId=1", &body)["id"].as_str().unwrap().to_owned();
    let file = hand.make(&json!({ "name": "in it", "mimeType": "text/plain", "parents": [drive] }));
    let mut sink = MemorySink::new();
    domain.capture(&mut sink);
    let stream = format!("shared-drive/{drive}");
    assert!(attributes(&sink, &stream).contains_key(&file));
    let guest = json!({ "type": "user", "role": "organizer", "emailAddress": "guest@elsewhere.test" });
    let query = "supportsAllDrives=true&sendNotificationEmail=false";
    hand.post(&format!("files/{drive}/permissions?{query}"), &guest);
    let path =
        format!("files/{drive}/permissions?supportsAllDrives=true&fields=permissions(id,emailAddress)");
    let members = hand.get(&path).unwrap();
    let own =
        members["permissions"].as_array().unwrap().iter().find(|one| one["emailAddress"] == administrator);
    let own = own.unwrap()["id"].as_str().unwrap().to_owned();
    hand.delete(&format!("files/{drive}/permissions/{own}?supportsAllDrives=true"));
    domain.capture(&mut sink);
    let Err(UnreadableReason::Blinded { detail }) = &sink.stream("blinded")[stream.as_str()].content else {
        panic!("it is blinded")
    };
    assert!(detail.contains("Manage shared drives") && detail.contains(&administrator), "{detail}");
    assert!(attributes(&sink, &stream).contains_key(&file), "what was captured stays");
}

#[test]
fn a_file_that_cannot_be_read_is_told_and_tried_again() {
    let domain = small(&[Part::Drive]);
    let user = domain.people()[2].clone();
    domain.running.with_tenant(|tenant| {
        for method in ["drive.files.export", "drive.comments.list", "drive.revisions.list"] {
            let fault = Fault::new(method, When::Always, Effect::Backend(500));
            tenant.fault(Fault { user: Some(user.clone()), ..fault });
        }
    });
    let mut sink = MemorySink::new();
    domain.capture(&mut sink);
    let stream = format!("drive/{user}");
    let failed = |sink: &MemorySink, prefix: &str| {
        let held = sink.stream(&stream);
        let failed = held.iter().filter(|(key, item)| {
            key.starts_with(prefix) && matches!(item.content, Err(UnreadableReason::Failed { .. }))
        });
        failed.count()
    };
    for prefix in ["file/", "comments/", "revisions/"] {
        assert!(failed(&sink, prefix) > 3, "{prefix}");
    }
    let commits = sink.commits.len();
    domain.capture(&mut sink);
    assert_eq!(sink.commits.len(), commits, "it is tried again, and told once");
    domain.running.with_tenant(google_tenant::Tenant::lift_faults);
    domain.capture(&mut sink);
    domain.assert_drives_held(&sink);
    assert_eq!(failed(&sink, ""), 0);
}

/// Sums up contents instead of keeping them.
#[derive(Default)]
struct Weighing {
    inner: MemorySink,
    at_once: usize,
    /// The most memory that was seen while a content was read.
    memory: u64,
}

impl ChangeSink for Weighing {
    fn tail(&mut self, stream: &StreamName) -> Result<Option<LogTail>, SinkError> {
        self.inner.tail(stream)
    }
    fn upsert(&mut self, item: Item, layout: Layout, body: &mut dyn Read) -> Result<(), SinkError> {
        let mut buffer = vec![0; 1 << 20];
        let (mut length, mut looked) = (0, 0);
        loop {
            let count =
                body.read(&mut buffer).map_err(|source| SinkError::Body { key: item.key.clone(), source })?;
            if count == 0 {
                break;
            }
            length += count as u64;
            if length >= looked {
                looked = length + (16 << 20);
                self.memory = self.memory.max(memory());
            }
        }
        self.inner.upsert(item, layout, &mut &*length.to_string().into_bytes())
    }
    fn upsert_bytes(&mut self, item: Item, layout: Layout, bytes: &[u8]) -> Result<(), SinkError> {
        self.at_once = self.at_once.max(bytes.len());
        self.inner.upsert_bytes(item, layout, bytes)
    }
    fn known(&mut self, stream: &StreamName, key: &str) -> Result<Option<KnownItem>, SinkError> {
        self.inner.known(stream, key)
    }
    fn unchanged(&mut self, count: u64) -> Result<(), SinkError> {
        self.inner.unchanged(count)
    }
    fn enumerated(&mut self, count: u64) -> Result<(), SinkError> {
        self.inner.enumerated(count)
    }
    fn removed(&mut self, stream: StreamName, key: String) -> Result<(), SinkError> {
        self.inner.removed(stream, key)
    }
    fn unreadable(
        &mut self,
        stream: StreamName,
        key: String,
        reason: UnreadableReason,
    ) -> Result<(), SinkError> {
        self.inner.unreadable(stream, key, reason)
    }
    fn event(&mut self, event: Event) -> Result<(), SinkError> {
        self.inner.event(event)
    }
    fn append(&mut self, stream: &StreamName, offset: u64, bytes: &[u8]) -> Result<(), SinkError> {
        self.inner.append(stream, offset, bytes)
    }
    fn sync(&mut self) -> Result<(), SinkError> {
        self.inner.sync()
    }
    fn checkpoint(&mut self, cursor: &Cursor) -> Result<(), SinkError> {
        self.inner.checkpoint(cursor)
    }
}

/// Returns how much memory this process has now, in bytes.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().trim().parse::<u64>().unwrap() << 10
}

/// Asks for small pages, and spoils the token of one of them.
struct Pages {
    inner: HttpTransport,
    asked: Mutex<Vec<String>>,
}

impl Transport for Pages {
    fn send(&self, request: &Request) -> Result<Response, TransportError> {
        let mut request = request.clone();
        request.url = request.url.replace("pageSize=1000", "pageSize=7");
        let list = request.place().ends_with("/drive/v3/files");
        let place = request.url.find("&pageToken=").filter(|_| list);
        if let Some(before) = place.map(|place| request.url[..place].to_owned()) {
            let mut asked = self.asked.lock().unwrap();
            if asked.len() == 2 {
                request.url = format!("{before}&pageToken=broken");
            }
            asked.push(before);
        }
        self.inner.send(&request)
    }
}

#[test]
fn a_list_whose_token_ends_is_begun_anew() {
    let domain = small(&[Part::Drive]);
    let inner = HttpTransport::new(HttpSettings::default()).unwrap();
    let transport = Arc::new(Pages { inner, asked: Mutex::default() });
    let mut reader = domain.reader_through(Arc::clone(&transport) as Arc<dyn Transport>);
    let mut sink = MemorySink::new();
    reader.changes(None, &mut sink, &Stop::default()).unwrap();
    domain.assert_drives_held(&sink);
    assert!(transport.asked.lock().unwrap().len() > 6);
    let user = domain.people()[1].clone();
    let hand = domain.hand(&user);
    let ids: Vec<String> = (0..20)
        .map(|number| hand.make(&json!({ "name": format!("n{number}"), "mimeType": "text/plain" })))
        .collect();
    hand.delete(&format!("files/{}", ids[3]));
    reader.changes(sink.cursor().as_ref(), &mut sink, &Stop::default()).unwrap();
    domain.assert_drives_held(&sink);
}

#[test]
fn who_does_not_see_everything_takes_nothing_for_gone() {
    let mut domain = small(&[Part::Drive]);
    let (reader, administrator) = (
        domain.people().into_iter().find(|user| *user != domain.administrator()).unwrap(),
        domain.administrator(),
    );
    let hand = domain.hand(&administrator);
    let body = json!({ "name": "Read only" });
    let own = hand.post("drives?requestId=1", &body)["id"].as_str().unwrap().to_owned();
    let member = json!({ "type": "user", "role": "reader", "emailAddress": reader });
    let query = "supportsAllDrives=true&sendNotificationEmail=false";
    hand.post(&format!("files/{own}/permissions?{query}"), &member);
    let file = hand.make(&json!({ "name": "in it", "mimeType": "text/plain", "parents": [own] }));
    hand.write(&file, "text/plain", b"some text", "");
    drop(hand);
    domain.only = [reader].into();
    let mut sink = MemorySink::new();
    domain.capture(&mut sink);
    let stream = format!("shared-drive/{own}");
    let key = format!("file/{file}");
    assert_eq!(sink.stream(&stream)[key.as_str()].content, Ok(b"some text".to_vec()));
    let revisions = format!("revisions/{file}");
    let refused = |sink: &MemorySink| sink.stream(&stream)[revisions.as_str()].content.clone();
    assert!(matches!(refused(&sink), Err(UnreadableReason::Denied { .. })));
    let held = sink.held.clone();
    domain.clock.advance_micros(7200 * SECOND);
    domain.capture(&mut sink);
    assert!(sink.held == held, "what is refused is told once");

    domain.hand(&administrator).delete(&format!("files/{file}?supportsAllDrives=true"));
    domain.capture(&mut sink);
    let item = &sink.stream(&stream)[key.as_str()];
    assert_eq!(item.content, Ok(b"some text".to_vec()), "it may merely be out of sight");
    let unseen = attributes(&sink, &stream)[&file].unseen.clone().unwrap();
    assert!(unseen.contains("404"), "{unseen}");
    let held = sink.held.clone();
    domain.capture(&mut sink);
    assert!(sink.held == held);
}

/// Lets every answer with bytes break off.
struct Scissors {
    inner: HttpTransport,
    /// Where each answer with bytes began.
    begun: Mutex<Vec<Option<String>>>,
}

struct Cut {
    body: Body,
    left: usize,
}

impl Read for Cut {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(self.left);
        if most == 0 {
            return Err(io::Error::from(io::ErrorKind::ConnectionReset));
        }
        let count = self.body.read(&mut buffer[..most])?;
        self.left -= count;
        Ok(count)
    }
}

impl Transport for Scissors {
    fn send(&self, request: &Request) -> Result<Response, TransportError> {
        let response = self.inner.send(request)?;
        if !request.url.contains("alt=media") {
            return Ok(response);
        }
        let range = request.headers.get("range").map(|range| range.to_str().unwrap().to_owned());
        self.begun.lock().unwrap().push(range);
        let Response { status, headers, body } = response;
        Ok(Response { status, headers, body: Body::from_reader(Cut { body, left: PIECE }) })
    }
}

const LENGTH: u64 = 200 << 20;
const PIECE: usize = 30 << 20;

#[test]
fn a_large_file_is_streamed_and_gone_on_with_where_it_broke_off() {
    let domain = Domain::with(&[Part::Drive], |settings| settings.size.files = 0);
    let user = domain.people()[1].clone();
    let id = domain.running.with_tenant(|tenant| {
        tenant.add_drive_file(&user, "large.bin", 7, LENGTH, Look::Noise(b"")).unwrap()
    });
    let transport = Arc::new(Scissors {
        inner: HttpTransport::new(HttpSettings::default()).unwrap(),
        begun: Mutex::default(),
    });
    let mut reader = domain.reader_through(Arc::clone(&transport) as Arc<dyn Transport>);
    let mut sink = Weighing::default();
    let before = memory();
    reader.changes(None, &mut sink, &Stop::default()).unwrap();
    let held = sink.inner.stream(&format!("drive/{user}"))[format!("file/{id}").as_str()].content.clone();
    assert_eq!(held, Ok(LENGTH.to_string().into_bytes()), "all of it came, and its checksum is right");
    let begun = transport.begun.lock().unwrap();
    let expected: Vec<Option<String>> = (0..LENGTH.div_ceil(PIECE as u64))
        .map(|piece| (piece > 0).then(|| format!("bytes={}-", piece * PIECE as u64)))
        .collect();
    assert_eq!(*begun, expected);
    assert!(sink.at_once <= 8 << 20);
    let grown = sink.memory.saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes more than before");
}

#[test]
fn bytes_that_are_not_those_that_were_listed_are_not_taken_for_them() {
    let domain = Domain::with(&[Part::Drive], |settings| settings.size.files = 1);
    let user = domain.people()[1].clone();
    let id = domain.running.with_tenant(|tenant| {
        let id = tenant.add_drive_bytes(&user, "a.bin", "application/octet-stream", &[7; 5000]).unwrap();
        // The second and the fourth answer to this user are bytes: before them comes the top folder, and a second look.
        tenant.fault(Fault {
            user: Some(user.clone()),
            ..Fault::new("drive.files.get", When::Nth(2), Effect::Spoilt(4321))
        });
        id.to_string()
    });
    let mut sink = MemorySink::new();
    domain.capture(&mut sink);
    assert_eq!(domain.running.with_tenant(|tenant| tenant.faults_served()), 1);
    let stream = format!("drive/{user}");
    assert_eq!(sink.stream(&stream)[format!("file/{id}").as_str()].content, Ok(vec![7; 5000]));
    domain.assert_drives_held(&sink);
}

#[test]
fn when_a_shared_drive_is_gone_so_is_everything_in_it() {
    let domain = small(&[Part::Drive]);
    let hand = domain.hand(&domain.administrator());
    let drive =
        hand.post("drives?requestId=1", &json!({ "name": "Short" }))["id"].as_str().unwrap().to_owned();
    for name in ["a", "b", "c"] {
        let body = json!({ "name": name, "mimeType": "text/plain", "parents": [drive] });
        hand.make(&body);
    }
    let mut sink = MemorySink::new();
    domain.capture(&mut sink);
    let stream = format!("shared-drive/{drive}");
    assert_eq!(attributes(&sink, &stream).len(), 3);
    assert!(sink.stream("position").contains_key(stream.as_str()));
    hand.delete(&format!("drives/{drive}?useDomainAdminAccess=true&allowItemDeletion=true"));
    domain.capture(&mut sink);
    assert!(sink.stream(&stream).is_empty());
    assert!(!sink.stream("position").contains_key(stream.as_str()), "it may be brought back");
    assert!(!sink.stream("shared-drives").contains_key(format!("drive/{drive}").as_str()));
    let told = sink.events.iter().find(|event| event.scope == stream).unwrap();
    assert_eq!((told.severity, told.effects[0].count), (Severity::Notable, 3));
    domain.assert_drives_held(&sink);
    let commits = sink.commits.len();
    domain.capture(&mut sink);
    assert_eq!(sink.commits.len(), commits, "and that is told once");
}

#[test]
fn comments_that_no_file_shows_are_read_when_a_drive_is_compared() {
    let domain = small(&[Part::Drive]);
    let user = domain.people()[1].clone();
    let hand = domain.hand(&user);
    let file = hand.make(&json!({ "name": "a", "mimeType": DOCUMENT }));
    hand.post(&format!("files/{file}/comments?fields=*"), &json!({ "content": "Is this right?" }));
    let mut sink = MemorySink::new();
    domain.capture(&mut sink);
    let place = (StreamName::new(format!("drive/{user}")).unwrap(), format!("comments/{file}"));
    let truth = sink.held[&place].clone();
    // As if it had been said after the file was read, and no feed had named the file.
    let held = sink.held.get_mut(&place).unwrap();
    held.attributes = r#"{"hash":"that of an earlier list"}"#.to_owned();
    held.content = Ok(b"{}".to_vec());
    domain.capture(&mut sink);
    assert_ne!(sink.held[&place], truth, "a look at the feed does not find it");
    lose_tokens(&mut sink);
    domain.capture(&mut sink);
    assert_eq!(sink.held[&place], truth);
}

#[test]
fn drives_are_asked_no_more_often_than_the_units_of_a_day_allow() {
    let domain = small(&[Part::Drive]);
    let drives = (domain.people().len() + domain.shared_drives().len()) as u64;
    let mut settings = domain.settings();
    // Half of it is for asking: 100 units for each drive, once a minute.
    settings.api.daily.insert("drive".to_owned(), 2 * drives * 100 * 24 * 60);
    let transport = Arc::new(HttpTransport::new(HttpSettings::default()).unwrap());
    let (mut sink, begun) = (MemorySink::new(), domain.clock.elapsed());
    let until = Until::after(&domain, Duration::from_mins(5));
    let reader = GoogleReader::new(domain.key(), transport, settings, Arc::clone(&until) as _);
    reader.every(Duration::from_secs(5)).changes(None, &mut sink, &until.stop).unwrap();
    let minutes = domain.clock.elapsed().saturating_sub(begun).as_secs() / 60;
    let asked = domain.running.with_tenant(|tenant| tenant.traffic().calls("drive.changes.list"));
    assert!(minutes >= 4, "{minutes}");
    assert!(
        asked >= 3 * drives && asked <= minutes * drives,
        "{asked} of {drives} drives in {minutes} minutes"
    );
    domain.assert_drives_held(&sink);
}
