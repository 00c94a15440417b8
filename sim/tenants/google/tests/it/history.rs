//! What has changed in a mailbox since.

use google_tenant::{Effect, Fault, HistoryLimits, Settings, When, scopes};
use serde_json::{Value, json};

use crate::support::{DAY, Domain, SECOND};

const ME: &str = "gmail/v1/users/me";

fn current(domain: &Domain, token: &str) -> String {
    domain.get(&format!("{ME}/profile"), token).ok()["historyId"].as_str().unwrap().to_owned()
}

fn history(domain: &Domain, token: &str, start: &str, more: &str) -> Value {
    domain.get(&format!("{ME}/history?startHistoryId={start}{more}"), token).ok()
}

fn inbox(domain: &Domain, token: &str) -> Vec<String> {
    let list = domain.get(&format!("{ME}/messages?labelIds=INBOX&maxResults=20"), token).ok();
    list["messages"].as_array().unwrap().iter().map(|m| m["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn trash_is_a_label_and_deletion_is_not() {
    let domain = Domain::usual();
    let user = domain.user(0);
    let token = domain.token(&user, &[scopes::MAIL]);
    let start = current(&domain, &token);
    assert_eq!(history(&domain, &token, &start, "")["historyId"], start);
    assert!(history(&domain, &token, &start, "")["history"].is_null());
    let messages = inbox(&domain, &token);
    domain.post(&format!("{ME}/messages/{}/trash", messages[0]), &token, &json!({})).ok();
    assert_eq!(domain.delete(&format!("{ME}/messages/{}", messages[1]), &token).code, 204);
    let new = domain.running.with_tenant(|tenant| tenant.deliver(&user, b"Subject: x\r\n\r\n").unwrap());
    let all = history(&domain, &token, &start, "");
    let records = all["history"].as_array().unwrap();
    let kinds: Vec<&str> = records
        .iter()
        .flat_map(|record| record.as_object().unwrap().keys())
        .map(String::as_str)
        .filter(|key| !["id", "messages"].contains(key))
        .collect();
    assert_eq!(kinds, ["labelsAdded", "labelsRemoved", "messagesDeleted", "messagesAdded"]);
    let trashed = &records[0]["labelsAdded"][0];
    assert_eq!((&trashed["labelIds"], &trashed["message"]["id"]), (&json!(["TRASH"]), &json!(messages[0])));
    assert_eq!(records[1]["labelsRemoved"][0]["labelIds"], json!(["INBOX"]));
    assert_eq!(records[2]["messagesDeleted"][0]["message"]["id"], messages[1]);
    assert_eq!(records[3]["messagesAdded"][0]["message"]["labelIds"], json!(["INBOX", "UNREAD"]));
    assert_eq!(records[3]["messages"][0]["id"], new);
    let ids: Vec<u64> = records.iter().map(|r| r["id"].as_str().unwrap().parse().unwrap()).collect();
    assert!(ids.is_sorted_by(|a, b| a < b));
    assert_eq!(all["historyId"], current(&domain, &token));
    let chosen = history(&domain, &token, &start, "&historyTypes=messageAdded&historyTypes=messageDeleted");
    assert_eq!(chosen["history"].as_array().unwrap().len(), 2);
    let paged = history(&domain, &token, &start, "&maxResults=3");
    let next = paged["nextPageToken"].as_str().unwrap();
    let rest = history(&domain, &token, &start, &format!("&maxResults=3&pageToken={next}"));
    assert_eq!(rest["history"], json!([records[3]]));
    assert!(rest["nextPageToken"].is_null());
    // A message may be in the history and gone by the time somebody wants to read it.
    assert_eq!(domain.get(&format!("{ME}/messages/{}", messages[1]), &token).reason(), "notFound");
}

#[test]
fn history_is_forgotten_by_age_and_number_and_zero_is_never_known() {
    let limits = HistoryLimits { records: 5, ..Settings::default().history };
    let domain = Domain::start(Settings { history: limits, ..Settings::default() });
    let user = domain.user(0);
    let token = domain.token(&user, &[scopes::GMAIL_READONLY]);
    let code =
        |token: &str, start: &str| domain.get(&format!("{ME}/history?startHistoryId={start}"), token).code;
    let deliver = || domain.running.with_tenant(|tenant| tenant.deliver(&user, b"Subject: x\r\n\r\n"));
    let start = current(&domain, &token);
    assert_eq!(
        [code(&token, &start), code(&token, "0"), code(&token, "99999999999"), code(&token, "x")],
        [200, 404, 404, 400]
    );
    for _ in 0..5 {
        deliver();
    }
    assert_eq!(code(&token, &start), 200);
    deliver();
    assert_eq!(code(&token, &start), 404);
    let start = current(&domain, &token);
    deliver();
    domain.clock.advance_micros(7 * DAY);
    let token = domain.token(&user, &[scopes::GMAIL_READONLY]);
    assert_eq!(code(&token, &start), 200);
    domain.clock.advance_micros(SECOND);
    assert_eq!(code(&token, &start), 404);
    let start = current(&domain, &token);
    assert_eq!(code(&token, &start), 200);
    deliver();
    domain.running.with_tenant(|tenant| tenant.expire_history(&user));
    assert_eq!(code(&token, &start), 404);
    let start = current(&domain, &token);
    let fault = Fault::new("gmail.users.history.list", When::First(1), Effect::HistoryExpired);
    domain.running.with_tenant(|tenant| tenant.fault(fault));
    assert_eq!([code(&token, &start), code(&token, &start)], [404, 200]);
}
