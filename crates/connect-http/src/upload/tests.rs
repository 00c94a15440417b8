use std::{
    io::Cursor,
    sync::{Arc, Mutex},
};

use ureq::http::header::AUTHORIZATION;

use super::*;
use crate::{
    client::stage::{Stage, Sum, broken, call, stage, sum},
    testing::answer,
};

/// A server that keeps what arrives, and does something odd at some requests.
#[derive(Default)]
struct Kept {
    bytes: Vec<u8>,
    finished: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Odd {
    /// The request does not arrive.
    Lost,
    /// The first half of the chunk arrives, no answer comes.
    Half,
    /// It arrives, no answer comes.
    Unanswered,
    /// It is too busy.
    Busy,
    /// It no longer knows the session.
    Gone,
}

fn serve(odd: &'static [(usize, Odd)]) -> (Stage, Arc<Mutex<Kept>>) {
    let kept = Arc::new(Mutex::new(Kept::default()));
    let server = Arc::clone(&kept);
    let stage = stage(move |request, number| {
        let mut kept = server.lock().unwrap();
        if request.method == Method::POST {
            return Ok(answer(200, &[("location", "https://api.example.org/session?id=1")], ""));
        }
        let odd = odd.iter().find(|(at, _)| *at == number).map(|(_, odd)| *odd);
        match odd {
            Some(Odd::Lost) => return broken(),
            Some(Odd::Busy) => return Ok(answer(503, &[], "busy")),
            Some(Odd::Gone) => return Ok(answer(404, &[], "gone")),
            _ => {}
        }
        let range = request.headers[CONTENT_RANGE].to_str().unwrap().strip_prefix("bytes ").unwrap();
        let (span, total) = range.split_once('/').unwrap();
        if let Some((start, last)) = span.split_once('-') {
            let (start, last): (usize, usize) = (start.parse().unwrap(), last.parse().unwrap());
            assert_eq!(start, kept.bytes.len(), "bytes are sent where the server stands");
            assert_eq!(last - start + 1, request.body.len());
            let half = if odd == Some(Odd::Half) { request.body.len() / 2 } else { request.body.len() };
            kept.bytes.extend_from_slice(&request.body[..half]);
        }
        kept.finished = kept.bytes.len() == total.parse::<usize>().unwrap();
        if odd.is_some() {
            return broken();
        }
        let last = kept.bytes.len().saturating_sub(1);
        Ok(match (kept.finished, kept.bytes.len()) {
            (true, _) => answer(201, &[], "{\"id\":1}"),
            (false, 0) => answer(308, &[], ""),
            (false, _) => answer(308, &[("range", &format!("bytes=0-{last}"))], ""),
        })
    });
    (stage, kept)
}

fn content() -> Vec<u8> {
    (0..u32::try_from(CHUNK_UNIT).unwrap()).flat_map(u32::to_le_bytes).take(900_000).collect()
}

fn upload(stage: &Stage, bytes: &[u8]) -> Result<Uploaded, UploadError> {
    let uploader = Uploader::new(&stage.client, call(), CHUNK_UNIT + 1);
    let open = Call::new(Request::post("https://api.example.org/upload"));
    let session = uploader.begin(&open, bytes.len() as u64)?;
    uploader.send(&session, &mut Cursor::new(bytes), &mut Sum::default())
}

#[test]
fn chunks_arrive_in_order() {
    let (stage, kept) = serve(&[]);
    let bytes = content();
    let uploaded = upload(&stage, &bytes).unwrap();
    assert_eq!(uploaded.digest, sum(&bytes));
    assert_eq!(uploaded.response.body.text(100).unwrap(), "{\"id\":1}");
    assert!(kept.lock().unwrap().bytes == bytes);
    let lengths: Vec<_> = stage.transport.sent().iter().map(|request| request.body.len()).collect();
    assert_eq!(lengths, [0, 262_144, 262_144, 262_144, 113_568]);
    assert!(stage.transport.sent()[1].headers.contains_key(AUTHORIZATION));
}

#[test]
fn nothing_can_be_uploaded_too() {
    let (stage, kept) = serve(&[]);
    assert_eq!(upload(&stage, b"").unwrap().digest, sum(b""));
    assert!(kept.lock().unwrap().finished);
}

#[test]
fn after_every_kind_of_break_it_goes_on_where_the_server_stands() {
    // Requests: 0 opens, then chunks; after a break a question comes first.
    for odd in [
        &[(1, Odd::Lost)][..],
        &[(2, Odd::Half)],
        &[(2, Odd::Unanswered)],
        &[(4, Odd::Unanswered)],
        &[(4, Odd::Half), (5, Odd::Busy)],
        &[(1, Odd::Busy), (2, Odd::Lost), (4, Odd::Half), (5, Odd::Lost), (8, Odd::Unanswered)],
    ] {
        let (stage, kept) = serve(odd);
        let bytes = content();
        let uploaded = upload(&stage, &bytes).unwrap();
        assert_eq!(uploaded.digest, sum(&bytes));
        assert!(kept.lock().unwrap().bytes == bytes);
    }
}

#[test]
fn a_session_goes_on_in_another_run() {
    let bytes = content();
    let (stage, kept) = serve(&[]);
    kept.lock().unwrap().bytes = bytes[..300_000].to_vec();
    let uploader = Uploader::new(&stage.client, call(), CHUNK_UNIT);
    let url = Redacted::new("https://api.example.org/session?id=1".to_owned());
    let session = UploadSession { url, total: bytes.len() as u64, trusted: true };
    let uploaded = uploader.resume(&session, &mut Cursor::new(&bytes), &mut Sum::default()).unwrap();
    assert_eq!(uploaded.digest, sum(&bytes));
    assert!(kept.lock().unwrap().bytes == bytes);
    // All of it had arrived.
    let uploaded = uploader.resume(&session, &mut Cursor::new(&bytes), &mut Sum::default()).unwrap();
    assert_eq!(uploaded.digest, sum(&bytes));
    assert!(!format!("{session:?}").contains("id=1"));
}

#[test]
fn a_session_that_ended_is_named() {
    let (stage, _) = serve(&[(2, Odd::Gone)]);
    assert!(matches!(upload(&stage, &content()), Err(UploadError::Expired)));
}

#[test]
fn a_server_that_takes_nothing_is_given_up() {
    let stage = stage(|request, _| {
        let at = [("location", "https://api.example.org/s")];
        Ok(if request.method == Method::POST { answer(200, &at, "") } else { answer(308, &[], "") })
    });
    let error = upload(&stage, &content()).unwrap_err();
    assert!(matches!(error, UploadError::Call(CallError::Unreachable { attempts: 4, .. })), "{error:?}");
}

#[test]
fn a_server_that_talks_nonsense_is_not_believed() {
    for headers in [
        &[("range", "bytes=0-999999999")][..],
        &[("range", "bytes=5-10")],
        &[("range", "bytes=0-18446744073709551615")],
    ] {
        let stage = stage(move |request, _| {
            let at = [("location", "https://api.example.org/s")];
            Ok(if request.method == Method::POST { answer(200, &at, "") } else { answer(308, headers, "") })
        });
        assert!(matches!(upload(&stage, &content()), Err(UploadError::Confused { .. })));
    }
    for (location, status) in
        [(None, 200), (Some("/relative"), 200), (Some("https://api.example.org/s"), 201)]
    {
        let stage = stage(move |request, _| {
            let headers: Vec<_> = location.iter().map(|location| ("location", *location)).collect();
            Ok(answer(if request.method == Method::POST { 200 } else { status }, &headers, ""))
        });
        // The last one says after the first chunk that all has arrived.
        assert!(matches!(upload(&stage, &content()), Err(UploadError::Confused { .. })));
    }
}

#[test]
fn no_token_goes_to_another_host() {
    let stage = stage(|request, _| {
        let at = [("location", "https://elsewhere.example.org/s")];
        Ok(if request.method == Method::POST { answer(200, &at, "") } else { answer(200, &[], "") })
    });
    upload(&stage, b"abc").unwrap();
    assert!(!stage.transport.sent()[1].headers.contains_key(AUTHORIZATION));
}

#[test]
fn a_source_that_is_too_short_is_an_error_of_its_own() {
    let (stage, _) = serve(&[]);
    let uploader = Uploader::new(&stage.client, call(), CHUNK_UNIT);
    let session = uploader.begin(&Call::new(Request::post("https://api.example.org/u")), 10).unwrap();
    let error = uploader.send(&session, &mut Cursor::new(b"short"), &mut Sum::default()).unwrap_err();
    assert!(matches!(error, UploadError::Source(_)));
}
