use proptest::prelude::*;

use super::*;

fn parse_text(verb: &str, uri: &str) -> Option<Result<Request, RequestError>> {
    let verb = Method::from_bytes(verb.as_bytes()).ok()?;
    let uri: Uri = uri.parse().ok()?;
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_LENGTH, "5".parse().unwrap());
    headers.insert(HeaderName::from_static(LOCKED_UNTIL), "7".parse().unwrap());
    Some(parse(&verb, &uri, &headers))
}

/// The closed set of verbs: whoever adds one has to change this test, and its name says what it must not be.
#[test]
fn no_route_deletes_or_overwrites() {
    let table: Vec<String> = ROUTES.iter().map(|r| format!("{} {} {:?}", r.verb, r.path, r.kind)).collect();
    assert_eq!(
        table,
        [
            "PUT /v1/objects/ Create",
            "HEAD /v1/objects/ Head",
            "GET /v1/objects/ Read",
            "POST /v1/locks/ Extend",
            "GET /v1/list List",
            "GET /v1/time Time",
            "GET /v1/status Status",
        ]
    );
    let documented = include_str!("../../../../docs/reference/vault-server-api.md");
    for route in &ROUTES {
        let line = format!("`{} {}", route.verb, route.path);
        assert!(documented.contains(&line), "{line} is not documented");
    }
}

#[test]
fn every_other_verb_is_refused_on_every_path() {
    let verbs =
        ["GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "MOVE", "COPY"];
    let mut accepted = Vec::new();
    for verb in verbs {
        for path in ["/v1/objects/vault.json", "/v1/locks/vault.json", "/v1/list", "/v1/time", "/v1/status"] {
            match parse_text(verb, path).unwrap() {
                Ok(_) => accepted.push(format!("{verb} {path}")),
                Err(error) => assert!(matches!(error, RequestError::Verb { .. }), "{verb} {path}: {error}"),
            }
        }
    }
    accepted.sort();
    assert_eq!(
        accepted,
        [
            "GET /v1/list",
            "GET /v1/objects/vault.json",
            "GET /v1/status",
            "GET /v1/time",
            "HEAD /v1/objects/vault.json",
            "POST /v1/locks/vault.json",
            "PUT /v1/objects/vault.json",
        ]
    );
}

#[test]
fn a_range_and_a_query_are_read_exactly() {
    let ranged = |text: &str| {
        let mut headers = HeaderMap::new();
        headers.insert(RANGE, text.parse().unwrap());
        parse(&Method::GET, &"/v1/objects/vault.json".parse().unwrap(), &headers)
    };
    let name = BlobName::new("vault.json").unwrap();
    assert_eq!(ranged("bytes=2-9"), Ok(Request::Read { name, range: Some((2, 9)) }));
    for bad in
        ["bytes=9-2", "bytes=-5", "bytes=5-", "bytes=0-1,3-4", "bytes=+1-2", "items=0-1", "bytes=0x1-2"]
    {
        assert!(ranged(bad).is_err(), "{bad}");
    }
    let list = |text: &str| parse_text("GET", text).unwrap();
    let page = Request::List { prefix: "data/".to_owned(), after: "data/ab".to_owned() };
    assert_eq!(list("/v1/list?prefix=data/&after=data/ab"), Ok(page));
    for bad in ["prefix=%2e", "prefix=a&prefix=b", "delete=1", "prefix", "prefix=../x", "prefix=A"] {
        assert!(list(&format!("/v1/list?{bad}")).is_err(), "{bad}");
    }
}

proptest! {
    /// Whatever is sent, what comes out is a name that cannot leave the vault.
    #[test]
    fn no_text_becomes_a_dangerous_name(verb in "GET|PUT|HEAD|POST|DELETE", tail in "[ -~]{0,80}") {
        for prefix in ["/v1/objects/", "/v1/locks/", "/"] {
            let Some(Ok(request)) = parse_text(&verb, &format!("{prefix}{tail}")) else { continue };
            let name = match request {
                Request::Create { name, .. } | Request::Head { name } | Request::Read { name, .. }
                | Request::Extend { name, .. } => name,
                Request::List { .. } | Request::Time | Request::Status => continue,
            };
            let text = name.as_str();
            prop_assert!(text.split('/').all(|part| !part.is_empty() && !part.starts_with('.')));
            prop_assert!(!text.contains(['%', '\\', '?', '#', ' ', '\0']));
            // Nothing was decoded on the way: the name is what stood in the path.
            let whole = format!("{prefix}{tail}");
            prop_assert!(whole.contains(text));
        }
    }

    #[test]
    fn foreign_bytes_never_panic(path: Vec<u8>, header: Vec<u8>) {
        let Ok(uri) = Uri::try_from(path.as_slice()) else { return Ok(()) };
        let mut headers = HeaderMap::new();
        if let Ok(value) = hyper::header::HeaderValue::from_bytes(&header) {
            for name in [CONTENT_LENGTH, RANGE, HeaderName::from_static(LOCKED_UNTIL)] {
                headers.insert(name, value.clone());
            }
        }
        for verb in [Method::GET, Method::PUT, Method::HEAD, Method::POST] {
            drop(parse(&verb, &uri, &headers));
        }
    }
}
