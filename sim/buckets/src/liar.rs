use std::{
    io::{self, BufReader, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::{LockServer, http, http::Message};

/// One way in which a store does something else than it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lie {
    /// Writes are locked only where they come in one piece.
    MultipartUnlocked,
    /// `If-None-Match` is ignored: everybody who races wins.
    ConditionIgnored,
    /// Every lock can be shortened, downgraded, removed and deleted through.
    LockUnenforced,
    /// The lock of a PUT is dropped without a word; setting it afterwards works.
    LockDropped,
    /// The lock of a PUT is dropped, and setting it afterwards is answered with success and not done.
    LockNeverSet,
    /// A PUT is answered with success and nothing is stored.
    NothingStored,
    /// A PUT stores other bytes than were sent, whatever their checksum.
    OtherBytesStored,
    /// No checksum is checked or told.
    ChecksumsIgnored,
    /// The body of a read ends in its middle.
    BodyCut,
    /// Listings come in pages of two.
    SmallPages,
    /// The store's clock is off by so many seconds.
    ClockMoved(i64),
    /// The nth call from now on (1 is the next) is answered with this status, without being done.
    Status {
        /// Which call.
        nth: u64,
        /// With what.
        status: u16,
    },
    /// The connection breaks at the nth call from now on.
    Cut {
        /// Which call.
        nth: u64,
        /// The call takes effect first.
        after: bool,
    },
}

/// A simulator of stores that lie: it stands before a real server and changes what passes.
pub struct Liar {
    address: String,
    shared: Arc<Shared>,
}

struct Shared {
    back: String,
    lies: Mutex<Vec<Lie>>,
    calls: Mutex<Vec<String>>,
    ended: AtomicBool,
}

impl Liar {
    /// Stands before a server and tells the truth until told otherwise.
    pub fn before(server: &LockServer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it has an address").to_string();
        let shared = Arc::new(Shared {
            back: server.back_door().to_owned(),
            lies: Mutex::default(),
            calls: Mutex::default(),
            ended: AtomicBool::new(false),
        });
        let inner = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if inner.ended.load(Ordering::SeqCst) {
                    break;
                }
                let (Ok(stream), inner) = (stream, Arc::clone(&inner)) else { continue };
                // What a broken connection says here, the client says better.
                std::thread::spawn(move || drop(inner.serve(stream)));
            }
        });
        Self { address, shared }
    }

    /// Returns where it listens. No signature is checked.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Tells these lies from now on, and none of those before; counts calls from here.
    pub fn tell(&self, lies: &[Lie]) {
        *lock(&self.shared.lies) = lies.to_vec();
        lock(&self.shared.calls).clear();
    }

    /// Returns the calls since the last [`Self::tell`]: method and target.
    pub fn calls(&self) -> Vec<String> {
        lock(&self.shared.calls).clone()
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        // Wakes the listener, so that it sees the end.
        #[expect(clippy::disallowed_methods, reason = "the listener is a thread of this process")]
        drop(TcpStream::connect(&self.address));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn serve(&self, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut stream = stream;
        while let Some(mut request) = Message::read(&mut reader, true)? {
            if request.header("expect").is_some() {
                request.remove("expect");
                stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
            }
            request.read_body(&mut reader)?;
            let number = {
                let mut calls = lock(&self.calls);
                calls.push(format!("{} {}", request.method(), request.target()));
                calls.len() as u64
            };
            let lies = lock(&self.lies).clone();
            let cut = lies.iter().find_map(|lie| match lie {
                Lie::Cut { nth, after } if *nth == number => Some(*after),
                _ => None,
            });
            if cut == Some(false) {
                return stream.shutdown(Shutdown::Both);
            }
            let bodiless = request.method() == "HEAD";
            let answer = self.answer(&lies, number, request)?;
            if cut == Some(true) {
                return stream.shutdown(Shutdown::Both);
            }
            let told = if bodiless {
                answer.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0)
            } else {
                answer.body.len()
            };
            stream.write_all(&answer.head(told))?;
            if lies.contains(&Lie::BodyCut)
                && answer.header("x-amz-version-id").is_some()
                && !answer.body.is_empty()
            {
                stream.write_all(&answer.body[..answer.body.len() / 2])?;
                return stream.shutdown(Shutdown::Both);
            }
            stream.write_all(&answer.body)?;
        }
        Ok(())
    }

    fn answer(&self, lies: &[Lie], number: u64, mut request: Message) -> io::Result<Message> {
        for lie in lies {
            if let Some(answer) = instead(lie, number, &request) {
                return Ok(answer);
            }
            change(lie, &mut request);
        }
        let mut answer = http::forward(&self.back, &request)?;
        answer.remove("connection");
        for lie in lies {
            change_back(lie, &mut answer);
        }
        Ok(answer)
    }
}

/// Returns an answer that is given without asking the server.
fn instead(lie: &Lie, number: u64, request: &Message) -> Option<Message> {
    let puts_object = request.method() == "PUT" && !request.target().contains('?');
    let (status, headers) = match lie {
        Lie::Status { nth, status } if *nth == number => (*status, Vec::new()),
        Lie::LockNeverSet if request.asks("retention") => (200, Vec::new()),
        Lie::NothingStored if puts_object => {
            (200, vec![("x-amz-version-id".to_owned(), "0123456789abcdef".to_owned())])
        }
        _ => return None,
    };
    Some(Message { start: format!("HTTP/1.1 {status} Simulated"), headers, body: Vec::new() })
}

fn change(lie: &Lie, request: &mut Message) {
    let puts_object = request.method() == "PUT" && !request.target().contains('?');
    let unlock = |request: &mut Message| {
        request.remove("x-amz-object-lock-mode");
        request.remove("x-amz-object-lock-retain-until-date");
    };
    match lie {
        Lie::MultipartUnlocked if request.asks("uploads") => unlock(request),
        Lie::LockDropped | Lie::LockNeverSet if puts_object => unlock(request),
        Lie::ConditionIgnored => request.remove("if-none-match"),
        Lie::LockUnenforced => {
            if request.header("x-amz-object-lock-mode").is_some() {
                request.set("x-amz-object-lock-mode", "GOVERNANCE");
            }
            request.set("x-amz-bypass-governance-retention", "true");
            let text = String::from_utf8_lossy(&request.body);
            if request.asks("retention") && text.contains("COMPLIANCE") {
                request.body = text.replace("COMPLIANCE", "GOVERNANCE").into_bytes();
                forget_checksums(request);
            }
        }
        Lie::OtherBytesStored if puts_object => {
            request.body.reverse();
            forget_checksums(request);
        }
        Lie::ChecksumsIgnored => forget_checksums(request),
        Lie::SmallPages if request.asks("versions") => {
            request.start = request.start.replace('?', "?max-keys=2&");
        }
        _ => {}
    }
}

/// Replaces checksums that the client chose by one that fits what is there: a lock needs some checksum.
fn forget_checksums(request: &mut Message) {
    let chosen = |name: &str| {
        name.starts_with("x-amz-checksum-") || name.starts_with("x-amz-sdk-checksum") || name == "content-md5"
    };
    request.headers.retain(|(name, _)| !chosen(name));
    if request.method() != "GET" && request.method() != "HEAD" {
        let checksum = STANDARD.encode(crc32c::crc32c(&request.body).to_be_bytes());
        request.set("x-amz-checksum-crc32c", checksum);
    }
    request.set("x-amz-content-sha256", "UNSIGNED-PAYLOAD");
}

fn change_back(lie: &Lie, answer: &mut Message) {
    match lie {
        Lie::LockUnenforced if answer.header("x-amz-object-lock-mode").is_some() => {
            answer.set("x-amz-object-lock-mode", "COMPLIANCE");
        }
        Lie::ChecksumsIgnored => answer.remove("x-amz-checksum-sha256"),
        Lie::ClockMoved(seconds) => {
            let date = answer.header("date").and_then(|text| moved(text, *seconds)).expect("a server's date");
            answer.set("date", date);
        }
        _ => {}
    }
}

/// Moves a date by so many seconds.
fn moved(date: &str, seconds: i64) -> Option<String> {
    let date = jiff::fmt::rfc2822::parse(date).ok()?.timestamp();
    let moved = date.checked_add(jiff::SignedDuration::from_secs(seconds)).ok()?;
    Some(moved.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
}
