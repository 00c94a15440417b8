//! Answers that are cut, too large, too slow or no answers.

use std::{
    io::{Read, Write},
    time::Duration,
};

use connect_http::{HttpSettings, HttpTransport, Request, Transport, TransportError};
use flate2::{Compression, write::GzEncoder};

use crate::server::{Act, Server, answer};

fn settings() -> HttpSettings {
    HttpSettings {
        connect: Duration::from_secs(5),
        first_byte: Duration::from_secs(20),
        idle: Duration::from_secs(20),
        ..HttpSettings::default()
    }
}

fn transport(settings: HttpSettings) -> HttpTransport {
    HttpTransport::new(settings).unwrap()
}

/// Sends a `GET` and reads its body to the end.
fn get(server: &Server, settings: HttpSettings) -> Result<Vec<u8>, TransportError> {
    transport(settings).send(&Request::get(server.url("/a")))?.body.bytes(64 << 20)
}

fn raw(text: &'static str, then: &'static [Act]) -> Server {
    Server::start(move |_, _| [&[Act::Send(text.as_bytes().to_vec())], then].concat())
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn good_answers_share_a_connection() {
    let server = Server::start(|number, seen| {
        assert_eq!(seen.header("user-agent"), Some("tester/1"));
        assert_eq!(seen.header("accept-encoding"), Some("gzip"));
        answer("200 OK", "", format!("{number} {}", String::from_utf8_lossy(&seen.body)).as_bytes())
    });
    let transport = transport(HttpSettings { user_agent: "tester/1".to_owned(), ..settings() });
    let text = |request: Request| transport.send(&request).unwrap().body.text(100).unwrap();
    assert_eq!(text(Request::get(server.url("/a"))), "0 ");
    assert_eq!(text(Request::post(server.url("/b")).body("text/plain", b"hello".to_vec())), "1 hello");
    assert_eq!(text(Request::post(server.url("/c"))), "2 ");
    let connections: Vec<_> = server.seen().iter().map(|seen| seen.connection).collect();
    assert_eq!(connections, [0, 0, 0]);
    assert_eq!(server.seen()[2].header("content-length"), Some("0"));
}

#[test]
fn refusals_are_answers() {
    let server = Server::start(|_, _| answer("429 Too Many", "Retry-After: 3\r\n", b"slow down"));
    let response = transport(settings()).send(&Request::get(server.url("/"))).unwrap();
    assert_eq!((response.status.as_u16(), response.header("retry-after")), (429, Some("3")));
    assert_eq!(response.body.text(100).unwrap(), "slow down");
}

#[test]
fn a_cut_body_is_an_error_in_every_framing() {
    for text in [
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\n12345",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n1",
    ] {
        let error = get(&raw(text, &[Act::Close]), settings()).unwrap_err();
        assert!(matches!(error, TransportError::Broken { .. }), "{text}: {error:?}");
    }
    let whole = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n0\r\n\r\n";
    assert_eq!(get(&raw(whole, &[]), settings()).unwrap(), b"12345");
}

#[test]
fn an_end_that_may_be_a_break_is_none() {
    let text = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n12345";
    let error = get(&raw(text, &[Act::Close]), settings()).unwrap_err();
    assert!(matches!(error, TransportError::Invalid { .. }), "{error:?}");
    let lenient = HttpSettings { unmarked_ends: true, ..settings() };
    assert_eq!(get(&raw(text, &[Act::Close]), lenient).unwrap(), b"12345");
}

#[test]
fn what_is_packed_is_unpacked_within_limits() {
    let serve =
        |packed: Vec<u8>| Server::start(move |_, _| answer("200 OK", "Content-Encoding: gzip\r\n", &packed));
    let text = b"the quick brown fox".repeat(100);
    let server = serve(gzip(&text));
    let response = transport(settings()).send(&Request::get(server.url("/"))).unwrap();
    assert_eq!((response.header("content-length"), response.header("content-encoding")), (None, None));
    assert!(response.body.is_packed());
    assert_eq!(response.body.bytes(10_000).unwrap(), text);

    let packed = gzip(&text);
    let error = get(&serve(packed[..packed.len() - 1].to_vec()), settings()).unwrap_err();
    assert!(matches!(error, TransportError::Broken { .. }), "{error:?}");

    let bomb = gzip(&vec![0; 32 << 20]);
    let error = get(&serve(bomb.clone()), settings()).unwrap_err();
    assert!(matches!(error, TransportError::TooLarge { .. }), "{error:?}");
    let small = HttpSettings { ratio_max: u64::MAX, unpacked_max: 1 << 20, ..settings() };
    let error = get(&serve(bomb), small).unwrap_err();
    assert!(matches!(error, TransportError::TooLarge { limit: 1_048_576, .. }), "{error:?}");
}

#[test]
fn a_packing_that_nobody_asked_for_is_no_answer() {
    let server = Server::start(|_, _| answer("200 OK", "Content-Encoding: br\r\n", b"x"));
    assert!(matches!(get(&server, settings()), Err(TransportError::Invalid { .. })));
}

#[test]
fn a_flood_of_headers_is_stopped() {
    let many = Server::start(|_, _| {
        let flood = "X-Flood: 0123456789abcdef\r\n".repeat(100_000);
        vec![Act::Send(format!("HTTP/1.1 200 OK\r\n{flood}\r\n").into_bytes())]
    });
    let error = get(&many, settings()).unwrap_err();
    assert!(matches!(error, TransportError::TooLarge { .. } | TransportError::Invalid { .. }), "{error:?}");
    let long = Server::start(|_, _| {
        let flood = "x".repeat(1 << 20);
        vec![Act::Send(format!("HTTP/1.1 200 OK\r\nX-Flood: {flood}\r\n\r\n").into_bytes())]
    });
    let error = get(&long, settings()).unwrap_err();
    assert!(matches!(error, TransportError::TooLarge { limit: 65536, .. }), "{error:?}");
}

#[test]
fn nonsense_is_no_answer() {
    for text in [
        "SSH-2.0-OpenSSH_9.6\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: ten\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\n12345",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ] {
        let error = get(&raw(text, &[Act::Close]), settings()).unwrap_err();
        assert!(error.may_be_done() && !error.is_repeatable(false), "{text}: {error:?}");
        assert!(
            matches!(error, TransportError::Invalid { .. } | TransportError::Broken { .. }),
            "{text}: {error:?}"
        );
    }
}

#[test]
fn silence_ends_by_itself_before_and_within_an_answer() {
    let hasty = || HttpSettings {
        first_byte: Duration::from_millis(200),
        idle: Duration::from_millis(200),
        ..settings()
    };
    let error = get(&raw("", &[Act::Hang]), hasty()).unwrap_err();
    assert!(matches!(error, TransportError::TimedOut { .. }), "{error:?}");
    let text = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345";
    let error = get(&raw(text, &[Act::Hang]), hasty()).unwrap_err();
    assert!(matches!(error, TransportError::TimedOut { .. }), "{error:?}");
    let bounded = HttpSettings { body: Some(Duration::from_millis(200)), ..settings() };
    let error = get(&raw(text, &[Act::Hang]), bounded).unwrap_err();
    assert!(matches!(error, TransportError::TimedOut { .. }), "{error:?}");
}

#[test]
fn a_connection_that_ends_without_an_answer_may_have_done_the_work() {
    let error = get(&raw("", &[Act::Close]), settings()).unwrap_err();
    assert!(matches!(error, TransportError::Broken { .. }) && error.may_be_done(), "{error:?}");
}

#[test]
fn a_reset_may_have_done_the_work() {
    let server = Server::start(|_, _| vec![Act::Close]);
    let request = Request::post(server.url("/"))
        .header("x-leave-unread".parse().unwrap(), "1".parse().unwrap())
        .body("text/plain", vec![b'x'; 1 << 20]);
    let error = transport(settings()).send(&request).unwrap_err();
    assert!(matches!(error, TransportError::Broken { .. }) && error.may_be_done(), "{error:?}");
}

#[test]
fn nobody_there_means_that_nothing_was_sent() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let transport = transport(settings());
    let error = transport.send(&Request::post(format!("http://{free}/"))).unwrap_err();
    assert!(matches!(error, TransportError::Unreachable { .. }) && error.is_repeatable(false), "{error:?}");
    // A name that no resolver looks up, because it is too long to be one.
    let nowhere = format!("https://{}.invalid/", "a".repeat(64));
    let error = transport.send(&Request::get(nowhere)).unwrap_err();
    assert!(matches!(error, TransportError::Unreachable { .. }), "{error:?}");
    // A server that speaks no TLS gets no request.
    let plain = Server::start(|_, _| answer("200 OK", "", b""));
    let error = transport.send(&Request::get(plain.url("/").replace("http:", "https:"))).unwrap_err();
    assert!(matches!(error, TransportError::Unreachable { .. }), "{error:?}");
    assert!(plain.seen().is_empty());
}

#[test]
fn a_redirect_takes_no_credential_to_another_host() {
    let other = Server::start(|_, seen| {
        answer("200 OK", "", seen.header("authorization").unwrap_or("none").as_bytes())
    });
    let elsewhere = other.url("/file");
    let server = Server::start(move |_, seen| {
        let to = if seen.head.starts_with("get /far") { elsewhere.clone() } else { "/here".to_owned() };
        if seen.head.starts_with("get /here") {
            answer("200 OK", "", seen.header("authorization").unwrap_or("none").as_bytes())
        } else {
            answer("302 Found", &format!("Location: {to}\r\n"), b"moved")
        }
    });
    let token = model::Redacted::new("secret".to_owned());
    let text = |path: &str| {
        let request = Request::get(server.url(path)).bearer(&token).unwrap();
        transport(settings()).send(&request).unwrap().body.text(100).unwrap()
    };
    assert_eq!(text("/near"), "bearer secret");
    assert_eq!(text("/far"), "none");
    let none = HttpSettings { redirects: 0, ..settings() };
    let response = transport(none).send(&Request::get(server.url("/near"))).unwrap();
    assert_eq!(response.status.as_u16(), 302);
    let post = transport(settings()).send(&Request::post(server.url("/near"))).unwrap();
    assert_eq!(post.status.as_u16(), 302);
}

#[test]
fn an_answer_without_a_body_is_one() {
    let server = Server::start(|_, seen| {
        let head = if seen.head.starts_with("head") {
            "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 100\r\n\r\n"
        } else {
            "HTTP/1.1 204 No Content\r\n\r\n"
        };
        vec![Act::Send(head.as_bytes().to_vec())]
    });
    let transport = transport(settings());
    for method in [connect_http::http::Method::HEAD, connect_http::http::Method::DELETE] {
        let mut response = transport.send(&Request::new(method, server.url("/"))).unwrap();
        assert_eq!(response.body.read(&mut [0; 10]).unwrap(), 0);
    }
}
