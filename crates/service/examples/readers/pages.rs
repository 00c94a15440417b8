//! Pages as a browser asks for them, over a connection each.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use ports::{Clock, SystemClock};
use serde_json::{Value, json};

const MAIL: &str = "/browse/acme/gmail/user0@acme.test";
const DRIVE: &str = "/browse/acme/drive/user0@acme.test";
/// Messages of the mailbox, and commits, of which the corpus has more.
const MESSAGES: u64 = 200_000;
const COMMITS: u64 = 1_000;

/// So long a reader waits until somebody listens.
const PATIENCE: Duration = Duration::from_mins(1);
/// Words that the corpus has often.
const WORDS: [&str; 4] = ["nelo", "kulo", "vorlo", "sello"];

/// Somebody who logged in.
#[derive(Clone)]
pub(crate) struct Visitor {
    pub(crate) port: u16,
    pub(crate) cookie: String,
}

/// A page that was opened.
pub(crate) struct Visit {
    pub(crate) status: u16,
    pub(crate) milliseconds: f64,
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Visitor {
    /// Asks for a page; none when nobody answers.
    pub(crate) fn ask(&self, path: &str) -> Option<Answer> {
        let mut reader = self.begin(path).ok()?;
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let status = line.split(' ').nth(1)?.parse().ok()?;
        while line.trim_end() != "" {
            line.clear();
            reader.read_line(&mut line).ok()?;
        }
        let mut body = Vec::new();
        reader.read_to_end(&mut body).ok()?;
        Some(Answer { status, body })
    }

    /// Asks, and leaves the answer to be read.
    pub(crate) fn begin(&self, path: &str) -> std::io::Result<BufReader<TcpStream>> {
        let address = SocketAddr::from(([127, 0, 0, 1], self.port));
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: localhost:{}\r\nCookie: session={}\r\nConnection: close\r\n\r\n",
            self.port, self.cookie
        )?;
        Ok(BufReader::new(stream))
    }

    pub(crate) fn visit(&self, path: &str, clock: &SystemClock) -> (Visit, usize) {
        let began = clock.elapsed();
        let answer = self.ask(path);
        let milliseconds = clock.elapsed().saturating_sub(began).as_secs_f64() * 1000.0;
        let bytes = answer.as_ref().map_or(0, |answer| answer.body.len());
        (Visit { status: answer.map_or(0, |answer| answer.status), milliseconds }, bytes)
    }
}

/// Numbers from a seed.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        (mixed ^ (mixed >> 31)) % end.max(1)
    }
}

/// A kind of page, and an address of it.
pub(crate) type Kind = (&'static str, fn(&mut Numbers) -> String);

/// A place in the mailbox, from which the next page begins.
fn place(numbers: &mut Numbers) -> String {
    let key = 0x18c0_0000_0000_0000 + (numbers.below(MESSAGES) << 20);
    format!("{}%3Aimessage%2F{key:016x}", if numbers.below(2) == 0 { 'f' } else { 'b' })
}

/// What readers open.
pub(crate) const KINDS: [Kind; 10] = [
    ("posture", |_| "/".to_owned()),
    ("sources", |_| "/sources".to_owned()),
    ("streams of a source", |_| "/browse/acme".to_owned()),
    ("top of a mailbox", |_| MAIL.to_owned()),
    ("folder of a million by key", |numbers| format!("{MAIL}?folder=message%2F&cursor={}", place(numbers))),
    ("the same at a moment", |numbers| {
        let at = 1 + numbers.below(COMMITS);
        format!("{MAIL}?folder=message%2F&at={at}&cursor={}", place(numbers))
    }),
    ("the same, where all of the rest came later", |numbers| {
        // A commit brings a thousand messages, whose keys grow.
        let at = 1 + numbers.below(100);
        let key = 0x18c0_0000_0000_0000 + ((at * 1000) << 20);
        format!("{MAIL}?folder=message%2F&at={at}&cursor=f%3Aimessage%2F{key:016x}")
    }),
    ("folder of a million by title", |numbers| {
        format!("{DRIVE}?folder=000000000002&cursor=f%3A0%3A{}", WORDS[numbers.below(4) as usize])
    }),
    ("deleted of a mailbox", |_| format!("{MAIL}?deleted=1")),
    ("search", |numbers| format!("/browse?q={}&source=acme", WORDS[numbers.below(4) as usize])),
];

/// Opens each kind of page so often, one after the other.
pub(crate) fn measure(visitor: &Visitor, clock: &SystemClock, asked: usize) -> Value {
    let mut measured = BTreeMap::new();
    for (name, address) in KINDS {
        let mut numbers = Numbers(3);
        let (mut took, mut largest, mut refused) = (Vec::new(), 0, 0);
        for _ in 0..asked {
            let (visit, bytes) = visitor.visit(&address(&mut numbers), clock);
            largest = largest.max(bytes);
            match visit.status {
                200 => took.push(visit.milliseconds),
                _ => refused += 1,
            }
            // No faster than one who asks is let.
            clock.sleep(Duration::from_millis(25));
        }
        measured.insert(
            name,
            json!({ "milliseconds": spread(took), "largest_bytes": largest, "refused": refused }),
        );
    }
    json!(measured)
}

/// Returns the size of each style and script of a page.
pub(crate) fn assets(visitor: &Visitor) -> Value {
    let page = String::from_utf8(visitor.ask("/").unwrap().body).unwrap();
    let addresses = page.split('"').filter(|text| text.starts_with("/assets/"));
    let sizes = addresses.map(|address| {
        (address.rsplit('/').next().unwrap().to_owned(), visitor.ask(address).unwrap().body.len())
    });
    json!(sizes.collect::<BTreeMap<_, _>>())
}

/// Says how long answers took: the half of them, 95 of 100, all.
pub(crate) fn spread(mut took: Vec<f64>) -> Value {
    took.sort_by(f64::total_cmp);
    let at = |share: usize| {
        took.get(took.len().saturating_sub(1) * share / 100).map(|ms| (ms * 10.0).round() / 10.0)
    };
    json!({ "p50": at(50), "p95": at(95), "largest": at(100), "answers": took.len() })
}
