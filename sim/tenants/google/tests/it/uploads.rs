//! Uploads in all their ways, interrupted ones too.

use google_tenant::{Effect, Fault, When, scopes};
use serde_json::json;

use crate::support::{Answer, Domain};

const PIECE: usize = 256 << 10;

fn message(size: usize) -> Vec<u8> {
    let mut bytes = b"Message-ID: <big@x>\r\nSubject: big\r\n\r\n".to_vec();
    bytes.extend((0..size).map(|at| b'a' + (at % 23) as u8));
    bytes
}

fn check(domain: &Domain, token: &str, made: &serde_json::Value, bytes: &[u8]) {
    let user = domain.user(0);
    let mut found = false;
    domain.running.with_tenant(|tenant| {
        tenant.each_letter(&user, |letter| {
            if made["id"] == letter.id {
                assert_eq!(letter.raw, bytes);
                assert_eq!(letter.labels, ["INBOX"]);
                found = true;
            }
        })
    });
    assert!(found, "{made}");
    let listed = domain.get("gmail/v1/users/me/messages?q=rfc822msgid:big@x", token).ok();
    assert_eq!(listed["messages"].as_array().unwrap().len(), 1, "it is there once");
}

#[test]
fn metadata_and_media_come_in_two_parts() {
    let domain = Domain::usual();
    let token = domain.token(&domain.user(0), &[scopes::GMAIL_MODIFY]);
    let bytes = message(1000);
    let mut body = b"--==b\r\nContent-Type: application/json\r\nMIME-Version: 1.0\r\n\r\n{\"labelIds\": [\"INBOX\"]}\r\n--==b\r\n\
                     Content-Type: message/rfc822\r\nContent-Transfer-Encoding: binary\r\n\r\n".to_vec();
    body.extend_from_slice(&bytes);
    body.extend_from_slice(b"\r\n--==b--");
    let headers = [("content-type", "multipart/related; boundary=\"==b\"")];
    let path = "upload/gmail/v1/users/me/messages?uploadType=multipart";
    let made = domain.send("POST", path, &token, &headers, &body).ok();
    check(&domain, &token, &made, &bytes);
    let simple = "upload/gmail/v1/users/me/messages/import?uploadType=media";
    let headers = [("content-type", "message/rfc822")];
    let made = domain.send("POST", simple, &token, &headers, b"Subject: s\r\n\r\n").ok();
    assert!(made["labelIds"].is_null());
    assert_eq!(domain.send("POST", "upload/gmail/v1/users/me/messages", &token, &headers, b"x").code, 400);
    let picture = [("content-type", "image/png")];
    assert_eq!(domain.send("POST", simple, &token, &picture, b"x").reason(), "badContent");
}

#[test]
fn a_resumable_upload_goes_on_where_it_was_interrupted() {
    let domain = Domain::usual();
    let token = domain.token(&domain.user(0), &[scopes::GMAIL_MODIFY]);
    let bytes = message(2 * PIECE + 1000);
    let total = bytes.len();
    let length = total.to_string();
    let headers = [
        ("content-type", "application/json"),
        ("x-upload-content-type", "message/rfc822"),
        ("x-upload-content-length", length.as_str()),
    ];
    let path =
        "resumable/upload/gmail/v1/users/me/messages?uploadType=resumable&internalDateSource=dateHeader";
    let body = json!({ "labelIds": ["INBOX"] }).to_string();
    let begun = domain.send("POST", path, &token, &headers, body.as_bytes());
    assert_eq!(begun.code, 200);
    let location = begun.header("location").unwrap().to_owned();
    let put = |range: &str, part: &[u8]| {
        domain.try_send("PUT", &location, &token, &[("content-range", range)], part)
    };
    let state = |answer: Answer| (answer.code, answer.header("range").map(str::to_owned));
    assert_eq!(state(put(&format!("bytes */{total}"), b"").unwrap()), (308, None));
    // The first piece arrives, but nobody hears of it.
    domain
        .running
        .with_tenant(|t| t.fault(Fault::new("gmail.users.messages.insert", When::First(1), Effect::Lost)));
    let first = format!("bytes 0-{}/{total}", PIECE - 1);
    assert!(put(&first, &bytes[..PIECE]).is_err());
    let at = Some(format!("bytes=0-{}", PIECE - 1));
    assert_eq!(state(put(&format!("bytes */{total}"), b"").unwrap()), (308, at.clone()));
    // The same piece again, and one from beyond the end, change nothing.
    assert_eq!(state(put(&first, &bytes[..PIECE]).unwrap()), (308, at.clone()));
    let beyond = format!("bytes {}-{}/{total}", 2 * PIECE, total - 1);
    assert_eq!(state(put(&beyond, &bytes[2 * PIECE..]).unwrap()), (308, at));
    let odd = format!("bytes {PIECE}-{}/{total}", PIECE + 99);
    assert_eq!(put(&odd, &bytes[PIECE..PIECE + 100]).unwrap().code, 400);
    domain
        .running
        .with_tenant(|t| t.fault(Fault::new("gmail.users.messages.insert", When::First(1), Effect::Lost)));
    let rest = format!("bytes {PIECE}-{}/{total}", total - 1);
    assert!(put(&rest, &bytes[PIECE..]).is_err());
    // It is complete; whoever asks again gets the same answer, and the message is there once.
    let made = put(&format!("bytes */{total}"), b"").unwrap().ok();
    check(&domain, &token, &made, &bytes);
    assert_eq!(put(&rest, &bytes[PIECE..]).unwrap().ok(), made);
    check(&domain, &token, &made, &bytes);
    let foreign = domain.token(&domain.user(1), &[scopes::GMAIL_MODIFY]);
    assert_eq!(domain.send("PUT", &location, &foreign, &[], b"x").code, 404);
}
