use std::{
    io::Read,
    sync::atomic::{AtomicU64, Ordering},
};

use model::Moment;
use ports::{ManualClock, SeededRandom};
use ureq::http::header::AUTHORIZATION;

use super::*;
use crate::{
    quota::{Charge, PoolSettings, Pools},
    testing::{Scripted, answer},
    token::{Access, Token, TokenSource},
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

struct Stage {
    client: Client,
    clock: Arc<ManualClock>,
    transport: Arc<Scripted>,
    stop: Stop,
}

fn stage(
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

fn call() -> Call {
    Call::new(Request::get("https://api.example.org/a"))
        .charged(Charge::of("user", "anna", 1))
        .with(Access::new("anna", ["read"]))
}

fn broken() -> Result<Response, TransportError> {
    Err(TransportError::broken("reset"))
}

#[test]
fn a_call_carries_its_token_and_reads_its_answer() {
    let stage = stage(|request, _| {
        assert_eq!(request.headers[AUTHORIZATION], "Bearer anna-0");
        Ok(answer(200, &[], "{\"id\": 7}"))
    });
    let value: serde_json::Value = stage.client.json(&call()).unwrap();
    assert_eq!(value["id"], 7);
    assert_eq!(stage.clock.elapsed(), Duration::ZERO);
}

#[test]
fn what_passes_is_waited_out() {
    let stage = stage(|_, number| match number {
        0 => Ok(answer(502, &[], "")),
        1 => broken(),
        2 => Err(TransportError::Unreachable { source: "refused".into() }),
        _ => Ok(answer(200, &[], "ok")),
    });
    assert_eq!(stage.client.call(&call()).unwrap().body.text(10).unwrap(), "ok");
    assert!(stage.clock.elapsed() > Duration::ZERO);
    // One call is not tried more often than settings say.
    let stage = self::stage(|_, _| Ok(answer(502, &[], "bad gateway")));
    let error = stage.client.call(&call()).unwrap_err();
    assert!(matches!(error, CallError::Failing { attempts: 4, .. }) && error.is_passing(), "{error}");
    assert_eq!(stage.transport.sent().len(), 4);
}

/// Reads as it is told once, and then ends.
struct Then(Option<std::io::Result<usize>>);

impl Read for Then {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        self.0.take().unwrap_or(Ok(0))
    }
}

#[test]
fn a_body_that_breaks_off_is_asked_for_again() {
    let stage = stage(|_, number| {
        let mut response = answer(200, &[], "");
        let end = if number == 0 { Err(TransportError::broken("cut").into_io()) } else { Ok(0) };
        response.body = Body::from_reader(std::io::Cursor::new(b"abc").chain(Then(Some(end))));
        Ok(response)
    });
    assert_eq!(stage.client.call(&call()).unwrap().body.text(10).unwrap(), "abc");
    assert_eq!(stage.transport.sent().len(), 2);
}

#[test]
fn what_must_not_be_made_twice_is_made_again_only_when_nothing_was_done() {
    let made = |script: fn(usize) -> Result<Response, TransportError>| {
        let stage = stage(move |_, number| script(number));
        (stage.client.call(&call().once()), stage.transport.sent().len())
    };
    for script in [
        (|_| broken()) as fn(usize) -> _,
        |_| Ok(answer(500, &[], "")),
        |_| Err(TransportError::TimedOut { phase: "answer".to_owned() }),
        |_| Err(TransportError::TooLarge { what: "the head", limit: 1 }),
    ] {
        let (result, sent) = made(script);
        assert!(matches!(result, Err(CallError::Unknown { .. })) && sent == 1);
    }
    for script in [
        (|number| if number == 0 { Ok(answer(503, &[], "")) } else { Ok(answer(200, &[], "")) })
            as fn(usize) -> _,
        |number| if number == 0 { Ok(answer(429, &[], "")) } else { Ok(answer(200, &[], "")) },
        |number| {
            if number == 0 {
                Err(TransportError::Unreachable { source: "refused".into() })
            } else {
                Ok(answer(200, &[], ""))
            }
        },
    ] {
        let (result, sent) = made(script);
        assert!(result.is_ok() && sent == 2);
    }
}

#[test]
fn a_refusal_is_final_and_keeps_its_words() {
    let stage = stage(|_, _| Ok(answer(404, &[], "notFound")));
    let error = stage.client.call(&call()).unwrap_err();
    assert!(error.is(RefusalKind::NotFound) && !error.is_passing());
    assert_eq!(error.to_string(), "the service refuses: 404 notFound");
    assert_eq!(stage.transport.sent().len(), 1);
}

#[test]
fn a_token_that_is_not_taken_is_replaced_once() {
    let stage = stage(|request, _| {
        let fresh = request.headers[AUTHORIZATION] == "Bearer anna-1";
        Ok(if fresh { answer(200, &[], "") } else { answer(401, &[], "expired") })
    });
    assert!(stage.client.call(&call()).is_ok());
    assert_eq!(stage.transport.sent().len(), 2);
    let stage = self::stage(|_, _| Ok(answer(401, &[], "no")));
    assert!(stage.client.call(&call()).unwrap_err().is(RefusalKind::Unauthorized));
    assert_eq!(stage.transport.sent().len(), 2);
}

#[test]
fn what_the_service_asks_for_is_waited_by_everyone_who_shares_the_pool() {
    let stage = stage(|_, number| {
        Ok(if number == 0 { answer(429, &[("retry-after", "30")], "rate") } else { answer(200, &[], "") })
    });
    stage.client.call(&call()).unwrap();
    let waited = stage.clock.elapsed();
    assert!(waited >= Duration::from_secs(30) && waited < Duration::from_secs(33), "{waited:?}");
    // Another one is not held up.
    let other = Call { charges: vec![Charge::of("user", "berta", 1)], ..call() };
    stage.client.call(&other).unwrap();
    assert_eq!(stage.clock.elapsed(), waited);
}

#[test]
fn a_wait_beyond_patience_is_named_and_not_waited() {
    let stage = stage(|_, _| Ok(answer(429, &[("retry-after", "7200")], "daily")));
    let error = stage.client.call(&call()).unwrap_err();
    let CallError::Throttled { attempts: 1, after: Some(after), .. } = error else { panic!("{error}") };
    assert!(after >= Duration::from_hours(2));
    assert_eq!(stage.clock.elapsed(), Duration::ZERO);
}

#[test]
fn a_stop_ends_the_waits() {
    let stage = stage(|_, _| Ok(answer(502, &[], "")));
    stage.stop.request();
    assert!(matches!(stage.client.call(&call()), Err(CallError::Stopped)));
    assert!(stage.transport.sent().is_empty());
}

#[test]
fn a_streamed_body_keeps_its_place_until_it_is_dropped() {
    let stage = stage(|_, _| Ok(answer(200, &[], "abc")));
    let response = stage.client.call(&call().taking(Taking::Stream)).unwrap();
    std::thread::scope(|scope| {
        // One call may run at once: this one ends only when the body above is gone.
        let second = scope.spawn(|| stage.client.call(&call()).map(|_| stage.transport.sent().len()));
        assert_eq!(stage.transport.sent().len(), 1);
        assert_eq!(response.body.text(10).unwrap(), "abc");
        assert_eq!(second.join().unwrap().unwrap(), 2);
    });
}

#[test]
fn a_call_without_what_it_needs_says_so() {
    let stage = stage(|_, _| Ok(answer(200, &[], "")));
    let unknown = Call { charges: vec![Charge::shared("writes", 1)], ..call() };
    let error = stage.client.call(&unknown).unwrap_err();
    assert!(matches!(&error, CallError::Quota(_)) && !error.is_passing());
    let text = stage.client.json::<serde_json::Value>(&call()).unwrap_err();
    assert!(matches!(text, CallError::Body(TransportError::Invalid { .. })));
}
