//! What a collector is told of requests.

use axum::{
    body::Body,
    http::{Method, StatusCode, header},
};
use ports::span::{Fact, Outcome, Route, Subject};

use super::House;

#[test]
fn a_request_is_told_of_by_the_pattern_of_its_path_and_nothing_of_what_it_asks_for() {
    let house = House::new(1);
    house.get("vera", "/sources/canary?canary=canary");
    house.get("vera", "/canary/canary");
    house.post("bot", "/api/v1/jobs/canary", &serde_json::json!({"canary": "canary"}));
    let method = Method::from_bytes(b"CANARY").unwrap();
    house.send(
        house.request(method, "/", "vera").header(header::COOKIE, "canary=1").body(Body::empty()).unwrap(),
    );
    let told = house.told.all();
    let subject = |method, route: Option<&str>| Subject::Request { method, route: route.map(Route::pattern) };
    let subjects: Vec<&Subject> = told.iter().map(|span| &span.subject).collect();
    assert_eq!(subjects[0], &subject("GET", Some("/sources/{name}")));
    assert_eq!(subjects[1], &subject("GET", None));
    assert_eq!(subjects[3], &subject("_OTHER", Some("/")));
    let status = |number| ("http.response.status_code", Fact::Number(number));
    assert_eq!(told[1].facts, [status(404)]);
    // What somebody asks for in vain is no fault of ours.
    assert_eq!(told[1].outcome, Outcome::Done);
    assert!(!format!("{told:?}").to_lowercase().contains("canary"), "{told:?}");
}

#[test]
fn spans_that_never_arrived_are_a_number_of_the_metrics() {
    let house = House::new(1);
    let metrics = house.get("bot", "/metrics");
    assert_eq!(metrics.status, StatusCode::OK);
    assert!(metrics.text.contains("unwipe_telemetry_dropped_total 0\n"), "{}", metrics.text);
}
