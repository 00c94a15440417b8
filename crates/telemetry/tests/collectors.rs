//! Collectors that work, refuse, come back, talk nonsense or say nothing, over real sockets.

#![expect(clippy::unwrap_used, reason = "a test that cannot work should stop")]

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, Sender, channel},
    },
    time::Duration,
};

use connect_http::{HttpSettings, HttpTransport, Request, Response, Transport, TransportError};
use model::{Moment, Redacted};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use ports::{
    SeededRandom,
    span::{Outcome, Span, Spans, Subject},
};
use prost::Message as _;
use telemetry::{Exporter, Pace, Settings};

/// Longer than any test takes; none waits for it to pass.
const LONG: Duration = Duration::from_mins(2);

const PACE: Pace =
    Pace { waiting_max: 100, batch_max: 10, gather: Duration::ZERO, retry: Duration::from_millis(1) };

/// What came in: the head, and the body.
struct Arrived {
    head: String,
    names: Vec<String>,
}

/// Answers each connection's requests as the script says; the last answer holds for all that follow.
fn collector(script: Vec<Vec<u8>>) -> (String, Receiver<Arrived>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut answers = script.into_iter();
        let mut answer = answers.next().unwrap();
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            while let Some(arrived) = read(&mut stream) {
                stream.get_mut().write_all(&answer).unwrap();
                answer = answers.next().unwrap_or(answer);
                if sender.send(arrived).is_err() {
                    return;
                }
            }
        }
    });
    (address, receiver)
}

fn read(stream: &mut BufReader<TcpStream>) -> Option<Arrived> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).unwrap() == 0 {
            return None;
        }
    }
    let lower = head.to_ascii_lowercase();
    let length = lower.split_once("content-length: ").unwrap().1.lines().next().unwrap().parse().unwrap();
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    let request = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
    let spans = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
    let names = spans.flat_map(|scope| scope.spans).map(|span| span.name).collect();
    Some(Arrived { head: lower, names })
}

fn answer(status: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn fine() -> Vec<u8> {
    answer("200 OK", b"")
}

/// An exporter, and what it says to people.
struct World {
    exporter: Exporter,
    spans: Arc<dyn Spans>,
    said: Arc<Mutex<Vec<String>>>,
}

impl World {
    fn open(endpoint: &str, pace: Pace, transport: Box<dyn Transport>) -> Self {
        let settings = Settings {
            endpoint: endpoint.to_owned(),
            headers: vec![("x-key".to_owned(), Redacted::new("word".to_owned()))],
            service_name: "unwipe".to_owned(),
            version: "1",
        };
        let said = Arc::new(Mutex::new(Vec::new()));
        let lines = Arc::clone(&said);
        let tell = Box::new(move |line| lines.lock().unwrap().push(line));
        let random = Arc::new(SeededRandom::new(1));
        let exporter = Exporter::start(&settings, pace, random, transport, tell).unwrap();
        let spans = exporter.spans();
        Self { exporter, spans, said }
    }

    fn over_sockets(script: Vec<Vec<u8>>) -> (Self, Receiver<Arrived>) {
        let (address, arrived) = collector(script);
        let transport = HttpTransport::new(HttpSettings::default()).unwrap();
        (Self::open(&address, PACE, Box::new(transport)), arrived)
    }

    fn work(&self, name: &'static str) {
        self.spans.take(Span {
            subject: Subject::Work(name),
            began_at: Moment::from_micros(1),
            took: Duration::ZERO,
            outcome: Outcome::Done,
            facts: Vec::new(),
            phases: Vec::new(),
        });
    }

    /// Ends and returns what was said and how many spans were dropped.
    fn end(self) -> (Vec<String>, u64) {
        self.exporter.stop(LONG);
        let said = self.said.lock().unwrap().clone();
        (said, self.spans.dropped())
    }
}

#[test]
fn what_waits_arrives_with_the_headers_before_the_end() {
    let (world, arrived) = World::over_sockets(vec![fine()]);
    let names = ["one", "two", "three"];
    for name in names {
        world.work(name);
    }
    assert_eq!(world.end(), (vec![], 0));
    let arrived: Vec<Arrived> = arrived.try_iter().collect();
    assert_eq!(arrived.iter().flat_map(|arrived| &arrived.names).collect::<Vec<_>>(), names.each_ref());
    for part in ["post /v1/traces http/1.1", "x-key: word\r\n", "content-type: application/x-protobuf\r\n"] {
        assert!(arrived[0].head.contains(part), "{}", arrived[0].head);
    }
}

#[test]
fn a_collector_that_comes_back_gets_what_waited_and_both_is_said_once() {
    let busy = || answer("503 Service Unavailable", b"");
    let (world, arrived) = World::over_sockets(vec![busy(), busy(), busy(), fine()]);
    world.work("one");
    let attempts: Vec<Vec<String>> = arrived.iter().take(4).map(|arrived| arrived.names).collect();
    assert_eq!(attempts, vec![vec!["one".to_owned()]; 4]);
    world.work("two");
    let (said, dropped) = world.end();
    assert_eq!(dropped, 0);
    let [fails, works] = &said[..] else { panic!("{said:?}") };
    assert!(fails.contains("takes no spans") && fails.contains("503"), "{fails}");
    assert!(works.contains("takes spans again"), "{works}");
}

#[test]
fn what_is_refused_for_good_is_counted_and_the_next_goes_out() {
    for status in ["400 Bad Request", "500 Internal Server Error", "302 Found"] {
        let (world, arrived) = World::over_sockets(vec![answer(status, b"<html>no</html>"), fine()]);
        world.work("one");
        assert_eq!(arrived.recv().unwrap().names, ["one"]);
        world.work("two");
        assert_eq!(arrived.recv().unwrap().names, ["two"]);
        let (said, dropped) = world.end();
        assert_eq!((said.len(), dropped), (2, 1), "{status}: {said:?}");
    }
}

#[test]
fn an_answer_counts_by_its_status_and_by_what_it_rejects() {
    let some = ExportTracePartialSuccess { rejected_spans: 1, error_message: "one is too old".to_owned() };
    let partly = ExportTraceServiceResponse { partial_success: Some(some) }.encode_to_vec();
    for (body, lost) in [(b"\xff\xffgarbage".to_vec(), 0), (partly, 1)] {
        let (world, _arrived) = World::over_sockets(vec![answer("200 OK", &body)]);
        world.work("one");
        assert_eq!(world.end(), (vec![], lost));
    }
}

#[test]
fn nobody_listens_and_everything_ends_all_the_same() {
    let address = format!("http://{}", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    let transport = HttpTransport::new(HttpSettings::default()).unwrap();
    let world = World::open(&address, PACE, Box::new(transport));
    world.work("one");
    world.work("two");
    let (said, dropped) = world.end();
    assert_eq!((said.len(), dropped), (1, 2), "{said:?}");
    assert!(!said[0].contains("word"), "{said:?}");
}

/// Takes a request and does not answer while the test lives.
struct Silent {
    asked: Sender<()>,
    never: Mutex<Receiver<()>>,
}

impl Transport for Silent {
    fn send(&self, _request: &Request) -> Result<Response, TransportError> {
        self.asked.send(()).ok();
        self.never.lock().unwrap().recv().ok();
        Err(TransportError::broken("the test is over"))
    }
}

#[test]
fn a_collector_that_says_nothing_holds_nobody_up() {
    let (asked, was_asked) = channel();
    let (_held, never) = channel();
    let transport = Silent { asked, never: Mutex::new(never) };
    let pace = Pace { waiting_max: 2, batch_max: 1, ..PACE };
    let world = World::open("http://127.0.0.1:1", pace, Box::new(transport));
    world.work("under way");
    was_asked.recv().unwrap();
    for name in ["waits", "waits too", "no room", "no room either"] {
        world.work(name);
    }
    assert_eq!(world.spans.dropped(), 2);
    // The sender is still held: an end that waited for the answer would never come.
    world.exporter.stop(Duration::from_millis(1));
    world.spans.take(Span {
        subject: Subject::Work("too late"),
        began_at: Moment::from_micros(1),
        took: Duration::ZERO,
        outcome: Outcome::Done,
        facts: Vec::new(),
        phases: Vec::new(),
    });
    assert_eq!(world.spans.dropped(), 3);
}
