//! Programs at the server's own address: agents over HTTP, and whoever collects its numbers.

use std::process::Command;

use serde_json::{Value, json};

use super::{Stage, keep_papers, stage::root};
use crate::unwipe::{Unwipe, exit};

/// Returns a token with scopes.
fn token(unwipe: &Unwipe, name: &str, scopes: &[&str]) -> String {
    let mut arguments = vec!["token", "create", name];
    arguments.extend(scopes.iter().flat_map(|scope| ["--scope", scope]));
    unwipe.json(&arguments)["token"].as_str().unwrap().to_owned()
}

/// Asks for the list of tools; returns the status and what was answered.
fn list(stage: &Stage, headers: &[(&str, &str)], body: &str) -> (u16, String) {
    let mut request = ureq::post(format!("{}/mcp", stage.origin()))
        .config()
        .http_status_as_error(false)
        .build()
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut answer = request.send(body).unwrap();
    (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
}

fn listing() -> String {
    json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" }).to_string()
}

#[test]
fn agents_come_in_by_their_token_alone_and_nothing_else() {
    let unwipe = Unwipe::initialised();
    keep_papers(&unwipe);
    let token = token(&unwipe, "agent", &["see"]);
    let bearer = format!("Bearer {token}");
    let stage = Stage::open(&unwipe);
    let with = |headers: &[(&str, &str)]| list(&stage, headers, &listing());
    let known = ("authorization", bearer.as_str());

    let (status, text) = with(&[known]);
    let listed: Value = serde_json::from_str(&text).unwrap();
    let tools = listed["result"]["tools"].as_array().unwrap();
    assert_eq!((status, tools.len()), (200, 5), "{text}");
    let names: Vec<&str> = tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert!(!names.contains(&"show_item") && !names.contains(&"capture_now"), "{names:?}");

    // A page that has a name of its own lead here, a page of this very site, and another name.
    for origin in ["https://evil.example", "null", &stage.origin()] {
        assert_eq!(with(&[known, ("origin", origin)]).0, 403, "{origin}");
    }
    assert_eq!(with(&[known, ("sec-fetch-site", "cross-site")]).0, 403);
    assert_eq!(with(&[known, ("host", "evil.example")]).0, 421);
    let (status, text) = list(&stage, &[known], &"x".repeat(300 << 10));
    assert_eq!(status, 413, "{text}");
    assert!((400..500).contains(&list(&stage, &[known], "{").0));

    // A session is a person's, and opens nothing here.
    stage.play("session", |name, with_session| {
        assert_eq!(name, "judge");
        let cookie = with_session["cookie"].as_str().unwrap();
        let csrf = with_session["csrf"].as_str().unwrap();
        let (status, text) = with(&[("cookie", cookie), ("x-csrf-token", csrf)]);
        assert_eq!(status, 401, "{text}");
        let problem: Value = serde_json::from_str(&text).unwrap();
        assert!(problem["title"].as_str().unwrap().contains("token"), "{problem}");
        json!(true)
    });

    // Who was known is not, from the next call on; and guessing is bounded.
    unwipe.json(&["token", "revoke", "agent"]);
    assert_eq!(with(&[known]).0, 401);
    let guesses: Vec<u16> =
        (0..40).map(|guess| with(&[("authorization", &format!("Bearer unwipe_{guess}"))]).0).collect();
    assert!(
        guesses.iter().all(|status| matches!(status, 401 | 429)) && guesses.contains(&429),
        "{guesses:?}"
    );
    stage.close();
}

#[test]
fn where_agents_are_not_wanted_nothing_is() {
    let unwipe = Unwipe::initialised();
    let token = token(&unwipe, "agent", &["see"]);
    let stage = Stage::open_with(&unwipe, "agents = false");
    let (status, text) = list(&stage, &[("authorization", &format!("Bearer {token}"))], &listing());
    assert_eq!(status, 404, "{text}");
    stage.close().expect(exit::DONE);
}

#[test]
fn a_reader_of_openmetrics_reads_the_numbers() {
    let unwipe = Unwipe::initialised();
    keep_papers(&unwipe);
    let token = token(&unwipe, "monitor", &["see"]);
    let stage = Stage::open(&unwipe);
    let python = root().join(".tools/python/bin/python");
    let output = Command::new(python)
        .args(["-B", "-W", "ignore"])
        .arg(root().join("tools/judges/metrics.py"))
        .args([&format!("{}/metrics", stage.origin()), &token, "papers"])
        .env("NO_PROXY", "*")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    stage.close();
}
