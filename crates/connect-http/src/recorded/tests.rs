use std::sync::Arc;

use model::Redacted;

use super::*;
use crate::testing::{Scripted, answer};

/// A writer that can be looked into.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn settings() -> RecordSettings {
    RecordSettings {
        token_endpoints: vec!["https://token.example.org/".to_owned()],
        signed_urls: vec!["https://files.example.org/".to_owned()],
        ..RecordSettings::default()
    }
}

fn token_request(assertion: &str) -> Request {
    Request::post("https://token.example.org/token").form(&[("assertion", assertion)])
}

fn requests() -> Vec<Request> {
    let bearer = Redacted::new("s3cr3t-bearer".to_owned());
    vec![
        token_request("s3cr3t-assertion-1"),
        Request::get("https://api.example.org/a?page=1&key=s3cr3t-key").bearer(&bearer).unwrap(),
        Request::get("https://api.example.org/a?page=1&key=s3cr3t-key"),
        Request::post("https://api.example.org/b").body("text/plain", b"s3cr3t-body".to_vec()),
        Request::get("https://files.example.org/f?signature=s3cr3t-signature"),
        Request::get("https://api.example.org/broken"),
    ]
}

fn script(request: &Request, number: usize) -> Result<Response, TransportError> {
    match number {
        0 => Ok(answer(
            200,
            &[("content-length", "99")],
            "{\"access_token\":\"s3cr3t-token\",\"expires_in\":3599}",
        )),
        1 | 2 => Ok(answer(
            200,
            &[("set-cookie", "s3cr3t-cookie"), ("x-number", &number.to_string())],
            "{\"link\": \"https://files.example.org/f?signature=s3cr3t-signature\"}",
        )),
        3 => Ok(answer(
            200,
            &[("location", "https://files.example.org/s?upload=s3cr3t-session")],
            "{\"a\" : 1}",
        )),
        4 => Ok(answer(200, &[], vec![0, 159, 146, 150])),
        _ => Err(TransportError::broken(format!("{} was reset", request.place()))),
    }
}

fn record() -> String {
    let out = Shared::default();
    let recorder = Recorder::new(Scripted::new(script), settings(), out.clone());
    for request in requests() {
        // The caller gets what came, secrets included.
        if let Ok(response) = recorder.send(&request) {
            let body = response.body.bytes(1000).unwrap();
            assert!(body.starts_with(b"{") || body == [0, 159, 146, 150]);
        }
    }
    recorder.finish().unwrap();
    String::from_utf8(out.0.lock().unwrap().clone()).unwrap()
}

#[test]
fn a_recording_holds_no_secret() {
    let recording = record();
    assert_eq!(recording.lines().count(), 6);
    assert!(!recording.contains("s3cr3t"), "{recording}");
}

#[test]
fn a_recording_plays_as_it_was() {
    let replay = Replay::new(settings(), record().as_bytes()).unwrap();
    // The assertion is another one each time, and the order of different requests does not matter.
    let token: serde_json::Value =
        replay.send(&token_request("s3cr3t-assertion-2")).unwrap().body.json(1000).unwrap();
    assert_eq!(token["expires_in"], 3599);
    let all = requests();
    assert_eq!(replay.send(&all[4]).unwrap().body.bytes(10).unwrap(), [0, 159, 146, 150]);
    assert_eq!(replay.send(&all[3]).unwrap().body.text(100).unwrap(), "{\"a\" : 1}");
    assert_eq!(replay.send(&all[1]).unwrap().header("x-number"), Some("1"));
    assert_eq!(replay.send(&all[2]).unwrap().header("x-number"), Some("2"));
    assert!(matches!(replay.send(&all[5]), Err(TransportError::Broken { .. })));
    assert_eq!(replay.left(), 0);
}

#[test]
fn what_was_not_recorded_is_an_error_that_shows_the_nearest() {
    let replay = Replay::new(settings(), record().as_bytes()).unwrap();
    let error = replay.send(&Request::get("https://api.example.org/a?page=2")).unwrap_err();
    assert!(!error.is_passing());
    let text = error.to_string();
    assert!(text.contains("a?page=2") && text.contains("nearest") && text.contains("a?page=1"), "{text}");
    // Another body is another request.
    let error = replay.send(&Request::post("https://api.example.org/b").body("text/plain", b"x".to_vec()));
    assert!(error.unwrap_err().to_string().contains("https://api.example.org/b"));
    assert_eq!(replay.left(), 6);
}

#[test]
fn a_broken_recording_names_its_line() {
    let recording = format!("{}nonsense\n", record());
    let error = Replay::new(settings(), recording.as_bytes()).unwrap_err();
    assert!(matches!(error, ReplayError::Line { line: 7, .. }), "{error}");
}

#[test]
fn a_writer_that_fails_is_told_at_the_end() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::Error::from(io::ErrorKind::StorageFull))
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let recorder = Recorder::new(Scripted::new(script), settings(), Full);
    assert!(recorder.send(&requests()[0]).is_ok());
    assert_eq!(recorder.finish().unwrap_err().kind(), io::ErrorKind::StorageFull);
}
