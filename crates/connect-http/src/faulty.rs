//! A transport that fails as it is told, the same way each time.

use std::{
    fmt,
    io::{self, Read},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ports::{Clock, SeededRandom};
use ureq::http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER},
};

use crate::transport::{Body, Request, Response, Transport, TransportError};

/// The largest body that is cut or corrupted; it is read into memory for that.
const BODY_BYTES_MAX: u64 = 256 << 20;

/// Something that goes wrong with one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// No connection comes about: nothing is sent.
    Refuse,
    /// The request is made and done, and no answer comes: the connection breaks.
    BreakAfter,
    /// The request is made and done, and no answer comes in time.
    TimeOut,
    /// The server asks to wait, for so many seconds if it says so. Nothing is done.
    Throttle(Option<u64>),
    /// The server fails with this status. Nothing is done.
    Fail(StatusCode),
    /// The answer's body breaks off somewhere.
    Cut,
    /// One bit of the answer's body is another one.
    Corrupt,
    /// The answer's body is another one, of somebody who stands between: the page of a proxy. Its status is a good one.
    Replace,
    /// The answer takes so long, by the clock.
    Slow(Duration),
}

/// When a fault happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum When {
    /// At this request, counted from zero.
    Call(u64),
    /// At each request whose address holds this text.
    Url(String),
    /// At so many of a thousand requests, drawn from the seed.
    PerMille(u64),
}

/// A fault, and when it happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// When.
    pub when: When,
    /// What.
    pub fault: Fault,
}

/// Hands requests to another transport and lets some go wrong. The first rule that applies counts.
pub struct Faulty<T> {
    inner: T,
    clock: Arc<dyn Clock>,
    seed: u64,
    rules: Vec<Rule>,
    calls: AtomicU64,
    happened: Mutex<Vec<(u64, Fault)>>,
}

impl<T> Faulty<T> {
    /// Makes a transport in which nothing goes wrong yet. The seed decides where and when chance plays a part.
    pub fn new(inner: T, clock: Arc<dyn Clock>, seed: u64) -> Self {
        Self { inner, clock, seed, rules: Vec::new(), calls: AtomicU64::new(0), happened: Mutex::default() }
    }

    /// Adds a rule.
    #[must_use]
    pub fn rule(mut self, when: When, fault: Fault) -> Self {
        self.rules.push(Rule { when, fault });
        self
    }

    /// Returns what went wrong so far: the number of the request, and what.
    pub fn happened(&self) -> Vec<(u64, Fault)> {
        self.happened.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Chance that depends on the seed and the request's number alone, whatever other threads do.
    fn chance(&self, call: u64) -> SeededRandom {
        SeededRandom::new(self.seed ^ call.wrapping_mul(0xA076_1D64_78BD_642F))
    }

    fn fault(&self, call: u64, request: &Request) -> Option<Fault> {
        let chance = self.chance(call);
        let applies = |rule: &&Rule| match &rule.when {
            When::Call(number) => *number == call,
            When::Url(part) => request.url.contains(part.as_str()),
            When::PerMille(share) => chance.below(1000) < *share,
        };
        let fault = self.rules.iter().find(applies)?.fault;
        self.happened.lock().unwrap_or_else(PoisonError::into_inner).push((call, fault));
        Some(fault)
    }
}

impl<T> fmt::Debug for Faulty<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "faults from seed {}: {:?}", self.seed, self.rules)
    }
}

impl<T: Transport> Transport for Faulty<T> {
    fn send(&self, request: &Request) -> Result<Response, TransportError> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        let Some(fault) = self.fault(call, request) else { return self.inner.send(request) };
        // Its first draws decided whether anything goes wrong at all.
        let place = self.chance(!call).next_u64();
        match fault {
            Fault::Refuse => Err(TransportError::Unreachable { source: "the connection was refused".into() }),
            Fault::BreakAfter => {
                self.inner.send(request)?;
                Err(TransportError::broken("the connection broke after the request"))
            }
            Fault::TimeOut => {
                self.inner.send(request)?;
                Err(TransportError::TimedOut { phase: "the answer".to_owned() })
            }
            Fault::Throttle(after) => Ok(refusal(StatusCode::TOO_MANY_REQUESTS, after)),
            Fault::Fail(status) => Ok(refusal(status, None)),
            Fault::Cut => spoil(self.inner.send(request)?, place, cut),
            Fault::Corrupt => spoil(self.inner.send(request)?, place, corrupt),
            Fault::Replace => spoil(self.inner.send(request)?, place, replace),
            Fault::Slow(duration) => {
                self.clock.sleep(duration);
                self.inner.send(request)
            }
        }
    }
}

fn refusal(status: StatusCode, after: Option<u64>) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    if let Some(seconds) = after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    Response::new(status, headers, b"a fault that was asked for".to_vec())
}

fn spoil(response: Response, place: u64, how: fn(Vec<u8>, u64) -> Body) -> Result<Response, TransportError> {
    let bytes = response.body.bytes(BODY_BYTES_MAX)?;
    Ok(Response { status: response.status, headers: response.headers, body: how(bytes, place) })
}

fn cut(mut bytes: Vec<u8>, place: u64) -> Body {
    let length = place % (bytes.len() as u64).max(1);
    bytes.truncate(usize::try_from(length).unwrap_or(0));
    Body::from_reader(io::Cursor::new(bytes).chain(Break))
}

fn corrupt(mut bytes: Vec<u8>, place: u64) -> Body {
    let length = (bytes.len() as u64).max(1);
    if let Some(byte) = bytes.get_mut(usize::try_from(place % length).unwrap_or(0)) {
        *byte ^= 1 << (place >> 61);
    }
    Body::of(bytes)
}

fn replace(_: Vec<u8>, _: u64) -> Body {
    Body::of(b"<html><body>Sign in to this network</body></html>".to_vec())
}

/// Fails where it is reached.
struct Break;

impl Read for Break {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(TransportError::broken("the connection broke within the body").into_io())
    }
}

#[cfg(test)]
mod tests {
    use model::Moment;
    use ports::ManualClock;

    use super::*;
    use crate::testing::{Scripted, answer};

    const BODY: &[u8] = b"the quick brown fox";

    fn faulty(seed: u64) -> (Faulty<Arc<Scripted>>, Arc<Scripted>, Arc<ManualClock>) {
        let inner = Arc::new(Scripted::new(|_, _| Ok(answer(200, &[], BODY))));
        let clock = Arc::new(ManualClock::new(Moment::from_micros(0)));
        (Faulty::new(Arc::clone(&inner), Arc::clone(&clock) as Arc<dyn Clock>, seed), inner, clock)
    }

    fn get(transport: &dyn Transport, url: &str) -> Result<Vec<u8>, TransportError> {
        transport.send(&Request::get(url))?.body.bytes(100)
    }

    #[test]
    fn each_fault_is_what_it_says() {
        let (faulty, inner, clock) = faulty(1);
        let faulty = faulty
            .rule(When::Call(0), Fault::Refuse)
            .rule(When::Call(1), Fault::BreakAfter)
            .rule(When::Call(2), Fault::TimeOut)
            .rule(When::Call(3), Fault::Slow(Duration::from_secs(9)))
            .rule(When::Call(4), Fault::Cut)
            .rule(When::Call(5), Fault::Corrupt)
            .rule(When::Call(6), Fault::Throttle(Some(17)))
            .rule(When::Call(11), Fault::Replace)
            .rule(When::Url("/bad".to_owned()), Fault::Fail(StatusCode::INTERNAL_SERVER_ERROR));
        let get = |url: &str| get(&faulty, url);
        assert!(matches!(get("/0"), Err(TransportError::Unreachable { .. })));
        assert_eq!(inner.sent().len(), 0);
        assert!(matches!(get("/1"), Err(TransportError::Broken { .. })));
        assert!(matches!(get("/2"), Err(TransportError::TimedOut { .. })));
        assert_eq!(inner.sent().len(), 2);
        assert_eq!(get("/3").unwrap(), BODY);
        assert_eq!(clock.elapsed(), Duration::from_secs(9));
        assert!(matches!(get("/4"), Err(TransportError::Broken { .. })));
        let changed = get("/5").unwrap();
        let bits: u32 = changed.iter().zip(BODY).map(|(a, b)| (a ^ b).count_ones()).sum();
        assert_eq!((changed.len(), bits), (BODY.len(), 1));
        let throttled = faulty.send(&Request::get("/6")).unwrap();
        assert_eq!((throttled.status.as_u16(), throttled.header("retry-after")), (429, Some("17")));
        for _ in 0..3 {
            assert_eq!(faulty.send(&Request::get("/bad/7")).unwrap().status.as_u16(), 500);
        }
        assert_eq!(get("/good").unwrap(), BODY);
        assert!(get("/good").unwrap().starts_with(b"<html>"));
        assert_eq!(faulty.happened().len(), 11);
    }

    #[test]
    fn a_seed_gives_the_same_faults_again() {
        let run = |seed| {
            let (faulty, _, _) = faulty(seed);
            let faulty =
                faulty.rule(When::PerMille(100), Fault::Cut).rule(When::PerMille(100), Fault::Refuse);
            let results: Vec<_> = (0..1000).map(|_| get(&faulty, "/").is_ok()).collect();
            (results, faulty.happened())
        };
        let (results, happened) = run(7);
        assert_eq!((&results, &happened), (&run(7).0, &run(7).1));
        assert_ne!(results, run(8).0);
        let cuts = happened.iter().filter(|(_, fault)| *fault == Fault::Cut).count();
        assert!((60..140).contains(&cuts), "{cuts} of a thousand");
        assert!((130..250).contains(&happened.len()), "{} of a thousand", happened.len());
    }
}
