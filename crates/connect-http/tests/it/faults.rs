//! What is built on the transport, while everything that can go wrong does: whatever ends well is right.

use std::{
    io::{Cursor, Read},
    sync::{Arc, Mutex},
    time::Duration,
};

use connect::Stop;
use connect_http::{
    CHUNK_UNIT, Call, Client, ClientParts, Digest, Download, Expected, Fault, Faulty, Pools, Quota,
    RefusalKind, Request, Response, RetrySettings, Transport, TransportError, Uploader, Vendor, Verdict,
    When,
    http::{HeaderMap, Method, StatusCode},
    testing::{Scripted, answer},
};
use model::Moment;
use ports::{Clock, ManualClock, SeededRandom};

struct Plain;

impl Vendor for Plain {
    fn verdict(&self, status: StatusCode, _: &HeaderMap, _: &[u8]) -> Verdict {
        let reason = status.to_string();
        match status.as_u16() {
            429 => Verdict::Throttled { after: None, pool: None, reason },
            500.. => Verdict::Transient { undone: false, reason },
            _ => Verdict::Refused { kind: RefusalKind::Other, reason, message: String::new() },
        }
    }
}

#[derive(Default)]
struct Sum(u64);

impl Digest for Sum {
    fn update(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn value(&self) -> Vec<u8> {
        self.0.to_be_bytes().to_vec()
    }
}

fn sum(bytes: &[u8]) -> Vec<u8> {
    let mut sum = Sum::default();
    sum.update(bytes);
    sum.value()
}

type Answer = Result<Response, TransportError>;

fn client(seed: u64, script: impl Fn(&Request, usize) -> Answer + Send + Sync + 'static) -> Client {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(Moment::from_micros(0)));
    let faulty = Faulty::new(Scripted::new(script), Arc::clone(&clock), seed)
        .rule(When::PerMille(80), Fault::Cut)
        .rule(When::PerMille(40), Fault::Corrupt)
        .rule(When::PerMille(60), Fault::Refuse)
        .rule(When::PerMille(60), Fault::BreakAfter)
        .rule(When::PerMille(60), Fault::TimeOut)
        .rule(When::PerMille(60), Fault::Throttle(Some(5)))
        .rule(When::PerMille(60), Fault::Fail(StatusCode::SERVICE_UNAVAILABLE))
        .rule(When::PerMille(60), Fault::Slow(Duration::from_secs(5)));
    Client::new(ClientParts {
        transport: Arc::new(faulty) as Arc<dyn Transport>,
        vendor: Arc::new(Plain),
        quota: Quota::new(Pools::new(), Arc::clone(&clock)),
        tokens: None,
        retry: RetrySettings { attempts: 8, ..RetrySettings::default() },
        clock,
        random: Arc::new(SeededRandom::new(seed)),
        stop: Stop::default(),
    })
}

fn content(length: usize) -> Vec<u8> {
    (0_u32..).flat_map(u32::to_le_bytes).take(length).collect()
}

#[test]
fn a_download_that_ends_well_is_right() {
    let bytes = content(10_000);
    let served = bytes.clone();
    let mut good = 0;
    for seed in 0..300 {
        let served = served.clone();
        let client = client(seed, move |request, _| {
            let range = request.headers.get("range").and_then(|range| range.to_str().ok());
            let start = range.and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
            let rest = &served[start.unwrap_or(0)..];
            let (length, range) =
                (rest.len().to_string(), format!("bytes {}-9999/10000", start.unwrap_or(0)));
            let headers = [("content-length", length.as_str()), ("etag", "\"a\""), ("content-range", &range)];
            Ok(answer(if start.is_some() { 206 } else { 200 }, &headers, rest))
        });
        let call = Call::new(Request::get("https://api.example.org/file"));
        let digest = Some((Box::new(Sum::default()) as Box<dyn Digest + Send>, sum(&bytes)));
        let expected = Expected { length: Some(10_000), digest };
        let Ok(mut download) = Download::open(&client, &call, 5, expected) else { continue };
        let mut read = Vec::new();
        if download.read_to_end(&mut read).is_ok() {
            assert!(read == bytes, "seed {seed}");
            good += 1;
        }
    }
    // Only a corrupted byte cannot be mended.
    assert!(good > 250, "{good} of 300 ended well");
}

#[test]
fn an_upload_that_ends_well_is_right() {
    let bytes = content(700_000);
    let mut good = 0;
    for seed in 0..100 {
        let kept = Arc::new(Mutex::new(Vec::<u8>::new()));
        let server = Arc::clone(&kept);
        let client = client(seed, move |request, _| {
            let mut kept = server.lock().unwrap();
            if request.method == Method::POST {
                return Ok(answer(200, &[("location", "https://api.example.org/s")], ""));
            }
            let span = request.headers["content-range"].to_str().unwrap().strip_prefix("bytes ").unwrap();
            if let Some((start, _)) = span.split_once('-') {
                assert_eq!(start.parse::<usize>().unwrap(), kept.len());
                kept.extend_from_slice(&request.body);
            }
            let range = format!("bytes=0-{}", kept.len().saturating_sub(1));
            Ok(match kept.len() {
                700_000 => answer(200, &[], ""),
                0 => answer(308, &[], ""),
                _ => answer(308, &[("range", &range)], ""),
            })
        });
        let uploader = Uploader::new(&client, Call::new(Request::get("")), CHUNK_UNIT);
        let open = Call::new(Request::post("https://api.example.org/upload"));
        let Ok(session) = uploader.begin(&open, bytes.len() as u64) else { continue };
        if let Ok(uploaded) = uploader.send(&session, &mut Cursor::new(&bytes), &mut Sum::default()) {
            assert!(*kept.lock().unwrap() == bytes && uploaded.digest == sum(&bytes), "seed {seed}");
            good += 1;
        }
    }
    assert!(good > 95, "{good} of 100 ended well");
}
