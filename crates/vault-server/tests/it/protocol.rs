use ports::{BlobStore, Clock};

use crate::support::{World, commit, name, object};

fn head(line: &str, headers: &str) -> String {
    format!("{line} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n")
}

#[test]
fn no_verb_changes_or_removes_what_is_there() {
    let world = World::new();
    commit(&world.writer(world.client("capture/shop")), "shop", &[1; 5000]);
    let (pack, _) = object(&*world.store, "data/");
    let before = world.store.list("").unwrap();
    let paths = ["/v1/objects/vault.json".to_owned(), format!("/v1/objects/{pack}"), "/v1/list".to_owned()];
    for capability in ["capture/shop", "restore", "mirror"] {
        let mut raw = world.raw(capability);
        for verb in ["DELETE", "PATCH", "POST", "MOVE", "COPY", "TRACE", "OPTIONS", "PROPFIND", "LOCK"] {
            for path in &paths {
                let request = head(&format!("{verb} {path}"), "Content-Length: 0\r\n");
                let answer = raw.ask(&request).unwrap();
                assert_eq!(answer.0, 405, "{verb} {path}: {answer:?}");
            }
        }
        for path in &paths[..2] {
            let request = head(&format!("PUT {path}"), "Content-Length: 3\r\n") + "new";
            let status = world.raw(capability).ask(&request).unwrap().0;
            assert!([403, 409].contains(&status), "{path}: {status}");
        }
    }
    assert_eq!(world.store.list("").unwrap(), before);
}

#[test]
fn a_header_cannot_give_what_the_certificate_does_not() {
    let world = World::new();
    commit(&world.writer(world.client("capture/shop")), "shop", &[1; 5000]);
    let (pack, _) = object(&*world.store, "data/");
    for header in [
        "X-Forwarded-User: restore",
        "unwipe-capability: restore",
        "unwipe-source: other",
        "X-HTTP-Method-Override: DELETE",
        "X-Original-URL: /v1/objects/vault.json",
        "Authorization: Bearer restore",
    ] {
        let request = head(&format!("GET /v1/objects/{pack}"), &format!("{header}\r\n"));
        assert_eq!(world.raw("capture/shop").ask(&request).unwrap().0, 403, "{header}");
    }
}

#[test]
fn malformed_names_are_refused_as_they_are() {
    let world = World::new();
    for path in [
        "/v1/objects/../vault.json",
        "/v1/objects/data/../vault.json",
        "/v1/objects/%2e%2e/vault.json",
        "/v1/objects/vault%2ejson",
        "/v1/objects/vault.json%00",
        "/v1/objects//vault.json",
        "/v1/objects/vault.json/",
        "/v1/objects/VAULT.JSON",
        "/v1/objects/vault.json?x=1",
        "/v1/objects/.hidden",
        "/v1/objects/a\\b",
        "/v1/objects/",
        "/v1/objects",
        "/v2/objects/vault.json",
        "//v1/objects/vault.json",
        "/",
    ] {
        let status = world.raw("mirror").ask(&head(&format!("GET {path}"), "")).unwrap().0;
        assert!([400, 403, 404].contains(&status), "{path}: {status}");
    }
    let long = format!("GET /v1/objects/{}", "a".repeat(300));
    assert_eq!(world.raw("mirror").ask(&head(&long, "")).unwrap().0, 400);
    // Longer than any head may be: refused, or the connection ends.
    let endless = format!("GET /v1/objects/{}", "a".repeat(1 << 20));
    let answer = world.raw("mirror").ask(&head(&endless, ""));
    assert!(answer.as_ref().is_none_or(|(status, _)| *status >= 400), "{answer:?}");
    let many: String = (0..200).map(|n| format!("x-{n}: 1\r\n")).collect();
    let answer = world.raw("mirror").ask(&head("GET /v1/time", &many));
    assert!(answer.as_ref().is_none_or(|(status, _)| *status >= 400), "{answer:?}");
}

#[test]
fn content_of_another_length_than_was_said_leaves_nothing() {
    let world = World::impatient();
    let line = "PUT /v1/objects/proofs/0";
    let before = world.store.list("").unwrap();

    let mut raw = world.raw("capture/shop");
    raw.send((head(line, "Content-Length: 100\r\n") + "only this").as_bytes()).unwrap();
    raw.finish();
    let answer = raw.answer();
    assert!(answer.as_ref().is_none_or(|(status, _)| *status == 400), "{answer:?}");

    // A client that stops sending is told off, and not waited for.
    let mut slow = world.raw("capture/shop");
    let answer = slow.ask(&(head(line, "Content-Length: 100\r\n") + "and then silence")).unwrap();
    assert_eq!(answer.0, 408, "{answer:?}");

    for (headers, expected) in [
        ("", 411),
        ("Transfer-Encoding: chunked\r\n", 411),
        ("Content-Length: 67108865\r\n", 413),
        ("Content-Length: 99999999999999999999999\r\n", 400),
        ("Content-Length: 3\r\nunwipe-locked-until: soon\r\n", 400),
        ("Content-Length: 3\r\nunwipe-locked-until: 1\r\nunwipe-locked-until: 2\r\n", 400),
        ("Content-Length: 3\r\nunwipe-locked-until: 9223372036854775807\r\n", 422),
    ] {
        let answer = world.raw("capture/shop").ask(&head(line, headers)).unwrap();
        assert_eq!(answer.0, expected, "{headers:?}: {}", answer.1);
    }
    // Two lengths that differ are the beginning of a smuggled request.
    let twice = head(line, "Content-Length: 3\r\nContent-Length: 4\r\n") + "abcd";
    let answer = world.raw("capture/shop").ask(&twice);
    assert!(answer.as_ref().is_none_or(|(status, _)| *status == 400), "{answer:?}");
    assert_eq!(world.store.list("").unwrap(), before);

    let whole = head(line, "Content-Length: 4\r\n") + "head";
    assert_eq!(world.raw("capture/shop").ask(&whole).unwrap().0, 201);
    assert_eq!(world.store.read(&name("proofs/0")).unwrap(), b"head");
}

#[test]
fn no_is_said_before_the_content_is_sent() {
    let world = World::new();
    let headers = "Content-Length: 67108864\r\nExpect: 100-continue\r\n";
    let answer = world.raw("mirror").ask(&head("PUT /v1/objects/heads/0", headers)).unwrap();
    assert_eq!(answer.0, 403, "{answer:?}");
}

#[test]
fn open_handshakes_of_one_address_are_few_and_end() {
    let world = World::impatient();
    #[expect(clippy::disallowed_methods, reason = "a test on the loopback")]
    let connect = || std::net::TcpStream::connect(world.server.address()).unwrap();
    let silent: Vec<_> = (0..40).map(|_| connect()).collect();
    // Those that found no place are closed at once, the others when the server's patience ends.
    for mut stream in silent {
        let mut byte = [0];
        let ended = std::io::Read::read(&mut stream, &mut byte);
        assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
    }
    assert_eq!(world.raw("mirror").ask(&head("GET /v1/time", "")).unwrap().0, 200);
}

#[test]
fn a_stopped_server_leaves_nobody_waiting() {
    let world = World::new();
    let mut idle = world.raw("mirror");
    assert_eq!(idle.ask(&head("GET /v1/time", "")).unwrap().0, 200);
    let now = world.clock.now();
    world.server.stop().unwrap();
    assert_eq!(idle.answer(), None);
    assert_eq!(world.clock.now(), now);
}
