//! Mail: what is captured, what a change costs, what a lost history does not say.

use connect::{SourceReader, Stop, testing::MemorySink};
use model::UnreadableReason;
use serde_json::json;
use source_google::Part;

use crate::domain::{DAY, Domain, SECOND, held_letters};

const GET: &str = "gmail.users.messages.get";

fn calls(domain: &Domain, method: &str) -> u64 {
    domain.running.with_tenant(|tenant| tenant.traffic().calls(method))
}

fn forget_traffic(domain: &Domain) {
    domain.running.with_tenant(google_tenant::Tenant::clear_traffic);
}

#[test]
fn every_message_is_held_byte_for_byte_with_its_labels() {
    let domain = Domain::start(&[Part::Gmail]);
    let mut sink = MemorySink::new();
    domain.capture(&mut sink);
    domain.assert_held(&sink);
    let users = domain.users();
    let messages: usize = users.iter().map(|user| domain.letters(user).len()).sum();
    assert!(messages > 300, "{messages}");
    assert_eq!(calls(&domain, GET) as usize, messages, "each was fetched once");
    let settings = sink.stream(&format!("gmail/{}", users[0]));
    assert!(settings.contains_key("settings/filters") && settings.contains_key("settings/vacation"));

    forget_traffic(&domain);
    let bodies = sink.bodies;
    domain.capture(&mut sink);
    assert_eq!((calls(&domain, GET), sink.bodies), (0, bodies), "where nothing happened, nothing is stored");
}

#[test]
fn what_happens_to_a_mailbox_costs_only_what_is_new() {
    let domain = Domain::start(&[Part::Gmail]);
    let mut sink = MemorySink::new();
    domain.capture(&mut sink);
    let user = domain.users()[1].clone();
    let ids: Vec<String> = domain.letters(&user).into_keys().collect();
    let agent = domain.agent(&user);
    agent.post(&format!("messages/{}/trash", ids[0]), &json!({}));
    agent.post(
        "messages/batchModify",
        &json!({ "ids": ids[1..9], "addLabelIds": ["STARRED"], "removeLabelIds": ["UNREAD"] }),
    );
    agent.delete(&format!("messages/{}", ids[10]));
    agent.post("messages/batchDelete", &json!({ "ids": ids[11..14] }));
    let label = agent.post("labels", &json!({ "name": "Projects/\u{dc}ber \"uns\"" }));
    agent.post(&format!("messages/{}/modify", ids[20]), &json!({ "addLabelIds": [label["id"]] }));
    let new = domain.running.with_tenant(|tenant| {
        tenant.deliver(&user, b"From: x@y.test\r\nSubject: new\r\n\r\nnew\r\n").unwrap()
    });
    forget_traffic(&domain);
    domain.capture(&mut sink);
    domain.assert_held(&sink);
    assert!(held_letters(&sink, &user).contains_key(&new));
    assert_eq!(calls(&domain, GET), 1, "only the new message was fetched");
    assert_eq!(sink.commits.last().unwrap().removed, 4);
}

#[test]
fn a_message_that_came_and_went_between_two_looks_was_seen() {
    let domain = Domain::start(&[Part::Gmail]);
    let mut sink = MemorySink::new();
    domain.capture(&mut sink);
    let user = domain.users()[0].clone();
    let gone =
        domain.running.with_tenant(|tenant| tenant.deliver(&user, b"Subject: gone\r\n\r\nx\r\n").unwrap());
    domain.agent(&user).delete(&format!("messages/{gone}"));
    domain.capture(&mut sink);
    domain.assert_held(&sink);
    let unreadable = sink.commits.last().unwrap().ledger.unreadable as usize;
    assert_eq!(unreadable, 1 + sink.stream("blinded").len(), "the commit says that it was there");
}

#[test]
fn a_lost_history_costs_no_text_and_takes_nothing_for_deleted() {
    let domain = Domain::start(&[Part::Gmail]);
    let mut sink = MemorySink::new();
    domain.capture(&mut sink);
    let user = domain.users()[2].clone();
    let ids: Vec<String> = domain.letters(&user).into_keys().collect();
    let agent = domain.agent(&user);
    agent.post(&format!("messages/{}/trash", ids[3]), &json!({}));
    agent.delete(&format!("messages/{}", ids[4]));
    domain.running.with_tenant(|tenant| tenant.expire_history(&user));
    forget_traffic(&domain);
    let bodies = sink.bodies;
    domain.capture(&mut sink);
    domain.assert_held(&sink);
    assert_eq!(sink.commits.last().unwrap().removed, 1);
    // The one that is gone is asked for by name before that is believed; no text is fetched.
    assert_eq!(calls(&domain, GET), 1);
    // Those that came with the question for the lost history, those for the comparison, and a round of each mailbox.
    let labels = calls(&domain, "gmail.users.labels.list") as usize;
    assert_eq!(labels, domain.users().len() + 2);
    assert!(sink.bodies - bodies <= 3, "positions only");
}

#[test]
fn a_quiet_domain_costs_one_request_for_each_mailbox() {
    let domain = Domain::start(&[Part::Gmail]);
    let mut sink = MemorySink::new();
    let mut reader = domain.reader();
    reader.changes(None, &mut sink, &Stop::default()).unwrap();
    forget_traffic(&domain);
    domain.clock.advance_micros(30 * SECOND);
    reader.changes(sink.cursor().as_ref(), &mut sink, &Stop::default()).unwrap();
    let users = domain.users();
    for user in &users {
        let of_user = domain.running.with_tenant(|tenant| {
            tenant.traffic().all().filter(|(_, of, _)| of == user).map(|(_, _, calls)| calls).sum::<u64>()
        });
        assert!(of_user <= 3, "{user}: {of_user}");
    }
    // After an hour labels and settings are looked at as well.
    domain.clock.advance_micros(3600 * SECOND);
    forget_traffic(&domain);
    reader.changes(sink.cursor().as_ref(), &mut sink, &Stop::default()).unwrap();
    assert_eq!(calls(&domain, "gmail.users.labels.list") as usize, users.len());
}

#[test]
fn a_killed_capture_fetches_nothing_twice_that_is_committed() {
    let domain = Domain::start(&[Part::Gmail]);
    let mut sink = MemorySink::new().failing_after(220);
    domain.try_capture(&mut sink).unwrap_err();
    sink.kill();
    let held: usize = domain.users().iter().map(|user| held_letters(&sink, user).len()).sum();
    forget_traffic(&domain);
    domain.capture(&mut sink);
    domain.assert_held(&sink);
    let all: usize = domain.users().iter().map(|user| domain.letters(user).len()).sum();
    assert_eq!(calls(&domain, GET) as usize, all - held);
}

#[test]
fn what_changed_while_a_capture_was_dead_is_seen_by_the_next_one() {
    let domain = Domain::start(&[Part::Gmail]);
    let mut sink = MemorySink::new().failing_after(220);
    domain.try_capture(&mut sink).unwrap_err();
    sink.kill();
    for user in domain.users() {
        let ids: Vec<String> = domain.letters(&user).into_keys().collect();
        let agent = domain.agent(&user);
        agent.post(&format!("messages/{}/trash", ids[0]), &json!({}));
        agent.delete(&format!("messages/{}", ids[ids.len() - 1]));
    }
    domain.clock.advance_micros(DAY);
    domain.capture(&mut sink);
    domain.assert_held(&sink);
}

#[test]
fn a_message_that_cannot_be_read_is_told_and_tried_again() {
    use google_tenant::{Effect, Fault, When};
    let domain = Domain::start(&[Part::Gmail]);
    let user = domain.users()[0].clone();
    domain.running.with_tenant(|tenant| {
        let fault = Fault::new(GET, When::Always, Effect::Backend(500));
        tenant.fault(Fault { user: Some(user.clone()), ..fault });
    });
    let mut sink = MemorySink::new();
    domain.capture(&mut sink);
    let stream = sink.stream(&format!("gmail/{user}"));
    let failed = |key: &str| matches!(stream[key].content, Err(UnreadableReason::Failed { .. }));
    let messages: Vec<&str> = stream.keys().copied().filter(|key| key.starts_with("message/")).collect();
    assert_eq!(messages.len(), domain.letters(&user).len());
    assert!(messages.iter().all(|key| failed(key)));
    assert!(sink.commits.iter().any(|commit| commit.ledger.unreadable > 0));

    domain.running.with_tenant(google_tenant::Tenant::lift_faults);
    domain.capture(&mut sink);
    domain.assert_held(&sink);
}

#[test]
fn what_keeps_failing_is_told_once_and_tried_again_after_a_pause() {
    use google_tenant::{Effect, Fault, When};
    let domain = Domain::with(&[Part::Gmail], |settings| settings.size.messages = 12);
    let user = domain.users()[0].clone();
    domain.running.with_tenant(|tenant| {
        let fault = Fault::new(GET, When::Always, Effect::Backend(500));
        tenant.fault(Fault { user: Some(user.clone()), ..fault });
    });
    let (mut sink, mut reader) = (MemorySink::new(), domain.reader());
    let mut look = |sink: &mut MemorySink| {
        forget_traffic(&domain);
        reader.changes(sink.cursor().as_ref(), sink, &Stop::default()).unwrap();
        calls(&domain, GET)
    };
    look(&mut sink);
    let commits = sink.commits.len();
    for _ in 0..3 {
        domain.clock.advance_micros(5 * 3600 * SECOND);
        assert!(look(&mut sink) >= domain.letters(&user).len() as u64, "they are tried again");
        assert_eq!(look(&mut sink), 0, "and then not at once");
    }
    assert_eq!(sink.commits.len(), commits, "nothing was said a second time");
    domain.running.with_tenant(google_tenant::Tenant::lift_faults);
    domain.clock.advance_micros(DAY);
    look(&mut sink);
    domain.assert_held(&sink);
}

#[test]
fn a_setting_that_does_not_exist_did_not_vanish() {
    use google_tenant::{Effect, Fault, When};
    let domain = Domain::with(&[Part::Gmail], |settings| settings.size.messages = 12);
    domain.running.with_tenant(|tenant| {
        tenant.fault(Fault::new("gmail.users.settings.*", When::Always, Effect::HistoryExpired));
    });
    let mut sink = MemorySink::new();
    domain.capture(&mut sink);
    let stream = format!("gmail/{}", domain.users()[0]);
    for (key, item) in sink.stream(&stream).iter().filter(|(key, _)| key.starts_with("settings/")) {
        let Err(UnreadableReason::Unsupported { detail }) = &item.content else { panic!("{key}: {item:?}") };
        assert!(detail.contains("no such setting"), "{detail}");
    }
    assert_eq!(sink.stream(&stream).keys().filter(|key| key.starts_with("settings/")).count(), 9);
    domain.running.with_tenant(google_tenant::Tenant::lift_faults);
    domain.capture(&mut sink);
    assert!(sink.stream(&stream).values().all(|item| item.content.is_ok()));
}
