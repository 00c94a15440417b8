//! A client for tests, around a script.

use std::{
    io::Read,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use connect::Stop;
use model::{Moment, Redacted};
use ports::{Clock, ManualClock, SeededRandom};
use ureq::http::{HeaderMap, StatusCode};

use crate::{
    call::{Call, RefusalKind, Vendor, Verdict},
    client::{Client, ClientParts},
    quota::{Charge, PoolSettings, Pools, Quota},
    retry::RetrySettings,
    testing::Scripted,
    token::{Access, Token, TokenCache, TokenError, TokenSource},
    transport::{Body, Request, Response, Transport, TransportError},
};

struct Plain;

impl Vendor for Plain {
    fn verdict(&self, status: StatusCode, _: &HeaderMap, body: &[u8]) -> Verdict {
        let reason = String::from_utf8_lossy(body).into_owned();
        match status.as_u16() {
            429 => Verdict::Throttled { after: None, pool: Some("user".to_owned()), reason },
            401 => Verdict::Unauthorized { reason, message: String::new() },
            503 => Verdict::Transient { undone: true, reason },
            500.. => Verdict::Transient { undone: false, reason },
            _ => Verdict::Refused { kind: RefusalKind::NotFound, reason, message: String::new() },
        }
    }
}

#[derive(Default)]
struct Counting(AtomicU64);

impl TokenSource for Counting {
    fn fetch(&self, subject: &str, _: &[String]) -> Result<Token, TokenError> {
        let number = self.0.fetch_add(1, Ordering::SeqCst);
        Ok(Token { secret: Redacted::new(format!("{subject}-{number}")), valid_for: Duration::from_hours(1) })
    }
}

pub(crate) struct Stage {
    pub(crate) client: Client,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) transport: Arc<Scripted>,
    pub(crate) stop: Stop,
}

/// Makes a client of four attempts, whose users' pool gives ten units a second and one call at once.
pub(crate) fn stage(
    script: impl Fn(&Request, usize) -> Result<Response, TransportError> + Send + Sync + 'static,
) -> Stage {
    let clock = Arc::new(ManualClock::new(Moment::from_micros(0)));
    let transport = Arc::new(Scripted::new(script));
    let stop = Stop::default();
    let user = PoolSettings { units: 10, per: Duration::from_secs(1), burst: 10, concurrent: Some(1) };
    let pools = Pools::from([("user".to_owned(), user)]);
    let shared = Arc::clone(&clock) as Arc<dyn Clock>;
    let tokens = TokenCache::new(Arc::new(Counting::default()), Arc::clone(&shared), Duration::from_mins(1));
    let client = Client::new(ClientParts {
        transport: Arc::clone(&transport) as Arc<dyn Transport>,
        vendor: Arc::new(Plain),
        quota: Quota::new(pools, Arc::clone(&shared)),
        tokens: Some(Arc::new(tokens)),
        retry: RetrySettings { attempts: 4, ..RetrySettings::default() },
        clock: shared,
        random: Arc::new(SeededRandom::new(5)),
        stop: stop.clone(),
    });
    Stage { client, clock, transport, stop }
}

pub(crate) fn call() -> Call {
    Call::new(Request::get("https://api.example.org/a"))
        .charged(Charge::of("user", "anna", 1))
        .with(Access::new("anna", ["read"]))
}

pub(crate) fn broken() -> Result<Response, TransportError> {
    Err(TransportError::broken("reset"))
}

/// Fails once it is reached.
struct Break;

impl Read for Break {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        Err(TransportError::broken("cut").into_io())
    }
}

/// Lets an answer's body break off after these bytes.
pub(crate) fn cut(mut response: Response, bytes: &[u8]) -> Response {
    response.body = Body::from_reader(std::io::Cursor::new(bytes.to_vec()).chain(Break));
    response
}

/// A digest for tests: a sum that depends on the order.
#[derive(Default)]
pub(crate) struct Sum(u64);

impl crate::digest::Digest for Sum {
    fn update(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.wrapping_mul(0x0100_0000_01b3) ^ u64::from(*byte);
        }
    }

    fn value(&self) -> Vec<u8> {
        self.0.to_be_bytes().to_vec()
    }
}

/// Returns the digest of bytes.
pub(crate) fn sum(bytes: &[u8]) -> Vec<u8> {
    use crate::digest::Digest as _;
    let mut sum = Sum::default();
    sum.update(bytes);
    sum.value()
}
