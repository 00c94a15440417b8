//! The basic cycle: protect, capture, look, and bring the whole cluster back.

use rustix::process::Signal;
use serde_json::Value;

use crate::{
    comeback::Comeback,
    production::{Production, ROLE, newest_major},
    unwipe::{Unwipe, exit},
};

const TABLES: [&str; 3] = ["customers", "orders", "turnover"];

#[test]
fn the_oldest_major_is_captured_and_comes_back() {
    cycle(13, Signal::INT);
}

#[test]
fn the_newest_major_is_captured_and_comes_back() {
    cycle(newest_major(), Signal::TERM);
}

fn cycle(major: u32, signal: Signal) {
    let production = Production::start(major);
    let unwipe = Unwipe::initialised();
    protect(&unwipe, &production);

    let mut capture = unwipe.capture();
    production.wait_for_stream();
    production.open_shop(500);
    production.sql("delete from orders where id % 7 = 0");
    production.wait_for_reader();
    capture.assert_alive();
    let captured = capture.end(signal).expect(exit::DONE).document();
    assert!(captured["commits"].as_u64().unwrap() >= 2, "{captured}");
    assert_eq!(captured["unreadable"], 0);

    look(&unwipe);
    let before = production.content(&TABLES);
    production.sql("drop schema public cascade; create schema public");

    let comeback = Comeback::to(&unwipe, "latest", "back");
    assert_eq!(comeback.account["source"], "shop");
    let now = crate::production::content(comeback.url(), &TABLES);
    assert_eq!(now, before, "the restored rows differ");
    assert_eq!(comeback.sql("select pg_is_in_recovery()"), "f");
    comeback.sql("insert into customers(name) values ('after the comeback')");
    comeback.stop();
}

fn protect(unwipe: &Unwipe, production: &Production) {
    let made = unwipe.json(&["protect", "shop", "postgres", "--url", &production.capture_url()]);
    assert_eq!(made["added"], true);
    let findings = made["findings"].as_array().unwrap();
    assert!(findings.iter().all(|finding| finding["standing"] != "bad"), "{made}");
    let role =
        findings.iter().find(|finding| finding["subject"] == "the role has REPLICATION and nothing else");
    assert_eq!(role.expect("the role is judged")["standing"], "good");
    assert_eq!(role.unwrap()["evidence"], format!("role {ROLE}"));
}

/// Every command that looks prints one document, and the same facts for people.
fn look(unwipe: &Unwipe) {
    let sources = unwipe.json(&["sources"]);
    assert_eq!(sources[0]["name"], "shop");
    let commits = sources[0]["commits"].as_u64().unwrap();

    let log = unwipe.json(&["log", "shop"]);
    assert_eq!(log.as_array().unwrap().len() as u64, commits);
    assert!(log.as_array().unwrap().iter().all(|entry| entry["completeness"] == "complete"), "{log}");

    let timeline = unwipe.json(&["timeline", "shop", "--all"]);
    let events = timeline["events"].as_array().unwrap();
    let inserted = |target: &str| -> u64 { counts(events, "insert", target).iter().sum() };
    assert_eq!(inserted("postgres.public.customers"), 500, "{timeline}");
    assert_eq!(inserted("postgres.public.orders"), 1500, "{timeline}");

    let deletion = events
        .iter()
        .find(|event| counts(std::slice::from_ref(event), "delete", "postgres.public.orders") == [214])
        .expect("the deletion is in the timeline");
    let transaction = deletion["transaction"].as_str().unwrap();
    let shown = unwipe.json(&["show", &format!("shop@transaction:{transaction}")]);
    assert_eq!(shown["transaction"]["rows"]["deleted"], 214);

    for arguments in [&["verify"][..], &["verify", "--read-data"]] {
        let verified = unwipe.json(arguments);
        assert_eq!(verified["sound"], true);
        assert_eq!(verified["findings"].as_array().unwrap().len(), 0);
    }
    unwipe.json(&["doctor"]);

    let text = unwipe.run(&["timeline", "shop", "--all"]).expect(exit::DONE).stdout;
    assert!(text.contains("postgres.public.orders") && text.contains("1,500"), "{text}");
    assert!(unwipe.run(&["sources"]).expect(exit::DONE).stdout.contains("shop"));
    assert!(unwipe.run(&["doctor"]).expect(exit::DONE).stdout.contains("the vault is whole"));
}

/// Lists the counts of all effects of a kind on a target.
fn counts(events: &[Value], verb: &str, target: &str) -> Vec<u64> {
    let effects = events.iter().flat_map(|event| event["effects"].as_array().unwrap());
    effects
        .filter(|effect| effect["verb"] == verb && effect["target"] == target)
        .map(|effect| effect["count"].as_u64().unwrap())
        .collect()
}
