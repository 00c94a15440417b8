use ports::SeededRandom;
use proptest::prelude::*;
use ureq::http::Method;

use super::*;

fn headers(kind: &str) -> HeaderMap {
    [(CONTENT_TYPE, HeaderValue::from_str(kind).unwrap())].into_iter().collect()
}

fn part(id: usize, inner: &str) -> String {
    format!("--b\r\nContent-Type: application/http\r\nContent-ID: <response-call-{id}>\r\n\r\n{inner}\r\n")
}

fn answers(body: &str, count: usize) -> Vec<Result<Response, PartError>> {
    decode(&headers("multipart/mixed; boundary=b"), body.as_bytes(), count).unwrap()
}

fn text(response: Result<Response, PartError>) -> String {
    response.unwrap().body.text(1000).unwrap()
}

#[test]
fn requests_are_written_as_the_standard_says() {
    let mut batch = Batch::new(&SeededRandom::new(1));
    let first = Request::get("https://api.example.org/v1/things/1?fields=a%20b");
    let second = Request::new(Method::PATCH, "https://api.example.org/v1/things/2")
        .body("application/json", b"{\"a\":1}".to_vec());
    assert_eq!((batch.push(&first).unwrap(), batch.push(&second).unwrap()), (0, 1));
    let request = batch.request("https://api.example.org/batch").unwrap();
    let boundary = batch.boundary.clone();
    let expected = format!(
        "--{boundary}\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\nContent-ID: <call-0>\r\n\r\n\
         GET /v1/things/1?fields=a%20b HTTP/1.1\r\n\r\n\r\n\
         --{boundary}\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\nContent-ID: <call-1>\r\n\r\n\
         PATCH /v1/things/2 HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: 7\r\n\r\n{{\"a\":1}}\r\n\
         --{boundary}--\r\n"
    );
    assert_eq!(String::from_utf8(request.body).unwrap(), expected);
    assert_eq!(request.headers[CONTENT_TYPE], format!("multipart/mixed; boundary={boundary}"));
}

#[test]
fn answers_are_matched_by_their_names_and_not_by_their_order() {
    let body = part(1, "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone")
        + &part(0, "HTTP/1.1 200 OK\r\nX-A: 1\r\n\r\n{\"id\":\"0\"}")
        + &part(7, "HTTP/1.1 200 OK\r\n\r\nnobody asked")
        + "--b--\r\n";
    let mut answers = answers(&body, 3).into_iter();
    let first = answers.next().unwrap().unwrap();
    assert_eq!((first.status, first.header("x-a")), (StatusCode::OK, Some("1")));
    assert_eq!(first.body.text(100).unwrap(), "{\"id\":\"0\"}");
    let second = answers.next().unwrap();
    assert_eq!(second.as_ref().unwrap().status, StatusCode::NOT_FOUND);
    assert_eq!(text(second), "gone");
    assert_eq!(answers.next().unwrap().unwrap_err(), PartError::Missing);
}

#[test]
fn a_broken_part_is_an_error_of_its_call_alone() {
    let body = part(0, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")
        + &part(1, "rubbish")
        + &part(2, "HTTP/1.1 200 OK\r\n\r\none")
        + &part(2, "HTTP/1.1 200 OK\r\n\r\ntwo")
        + &part(3, "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n")
        + &part(4, "HTTP/1.1 204 No Content\r\n\r\n")
        + "--b--";
    let results: Vec<_> = answers(&body, 5).into_iter().map(|answer| answer.map(|_| ())).collect();
    let expected = [
        Err(PartError::Cut),
        Err(PartError::Invalid),
        Err(PartError::Ambiguous),
        Err(PartError::Invalid),
        Ok(()),
    ];
    assert_eq!(results, expected);
}

#[test]
fn a_body_that_looks_like_a_boundary_is_a_body() {
    let inner = "x\r\n--bb\r\ny --b\r\nz";
    let body = part(0, &format!("HTTP/1.1 200 OK\r\n\r\n{inner}")) + "--b--\r\n";
    assert_eq!(text(answers(&body, 1).remove(0)), inner);
}

#[test]
fn a_cut_at_any_place_never_gives_a_shorter_body() {
    let inner = "HTTP/1.1 200 OK\r\n\r\nline one\r\nline two";
    let body = part(0, inner) + "--b--\r\n";
    let closed = body.rfind("--b--").unwrap() + "--b--".len();
    for length in 0..closed {
        let answer = answers(&body[..length], 1).remove(0);
        assert!(answer.is_err(), "cut at {length}");
    }
    assert_eq!(text(answers(&body[..closed], 1).remove(0)), "line one\r\nline two");
}

#[test]
fn boundaries_are_found_in_every_notation() {
    for kind in [
        "multipart/mixed; boundary=b",
        "Multipart/Mixed;charset=utf-8; Boundary=\"b\"",
        "multipart/mixed; a=\"x;boundary=z\"; boundary=b ; c=d",
    ] {
        assert_eq!(parts::boundary(kind).as_deref(), Some("b"), "{kind}");
    }
    for kind in [
        "multipart/mixed",
        "text/html; boundary=b",
        "multipart/mixed; boundary=",
        "multipart/mixed; boundary=\"b",
    ] {
        let error = decode(&headers(kind), b"", 1).unwrap_err();
        assert!(matches!(error, BatchError::NoBatch { .. }), "{kind}");
    }
}

/// Pieces from which bodies are made that nearly are batches.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"--b\r\n".to_vec()),
        Just(b"--b--".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"Content-ID: <response-call-0>\r\n\r\n".to_vec()),
        Just(b"Content-ID: response-call-99999999999999999999\r\n\r\n".to_vec()),
        Just(b"HTTP/1.1 200 OK\r\n".to_vec()),
        Just(b"Content-Length: 5\r\n\r\n".to_vec()),
        Just(b"Content-Length: 18446744073709551615\r\n\r\n".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..8),
    ];
    proptest::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn nothing_that_a_server_sends_makes_it_panic(body in pieces(), kind in "[ -~]{0,30}", count in 0..4usize) {
        let fixed = decode(&headers("multipart/mixed; boundary=b"), &body, count).unwrap();
        prop_assert_eq!(fixed.len(), count);
        if let Ok(answers) = decode(&headers(&format!("multipart/mixed;{kind}")), &body, count) {
            prop_assert_eq!(answers.len(), count);
        }
    }

    #[test]
    fn what_is_written_can_be_read_as_parts(bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..6)) {
        let mut batch = Batch::new(&SeededRandom::new(3));
        for body in &bodies {
            batch.push(&Request::post("https://a.example/x").body("application/octet-stream", body.clone())).unwrap();
        }
        let request = batch.request("https://a.example/batch").unwrap();
        let read: Vec<_> = split(&request.body, &batch.boundary)
            .filter(|part| part.closed)
            .map(|part| {
                let (_, inner) = read_headers(part.bytes).unwrap();
                let start = inner.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
                inner[start..].to_vec()
            })
            .collect();
        prop_assert_eq!(read, bodies);
    }
}
