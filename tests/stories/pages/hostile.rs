//! What an attacker stores so that it runs in the browser of whoever looks at it, and a letter that comes back.

use google_tenant::scopes;
use serde_json::json;

use super::{Stage, configure, nothing};
use crate::{
    unwipe::exit,
    workspaces::{Domain, drive},
};

/// A text in SQL that would call the page's binding.
pub(super) const TEXT: &str = "'\"><img src=x onerror=ran(1)><script>ran(2)</script>'";
/// The name of a table that would.
pub(super) const TABLE: &str = "\"<img src=x onerror=ran(3)>\"";
/// A subject, and the name of a file, that would.
const NAME: &str = "\"><img src=x onerror=ran(4)><script>ran(5)</script>";
const SUBJECT: &str = "The contract of Zanzibar";

/// The letter as it is sent in Gmail's own shape.
fn letter(domain: &Domain, user: &str, subject: &str, body: &str) -> String {
    let text = format!(
        "From: Bea <bea@elsewhere.test>\r\nTo: {user}\r\nSubject: {subject}\r\n\
         Date: Thu, 5 Mar 2026 10:00:00 +0000\r\nMessage-ID: <{}@elsewhere.test>\r\n\r\n{body}\r\n",
        subject.len()
    );
    let raw = base64(text.as_bytes());
    let sent = domain.call(
        user,
        scopes::MAIL,
        "POST",
        "gmail/v1/users/me/messages?internalDateSource=dateHeader",
        &json!({ "raw": raw, "labelIds": ["INBOX"] }),
    );
    sent["id"].as_str().unwrap_or_else(|| panic!("{sent}")).to_owned()
}

/// Base64 as URLs have it.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let number =
            three.iter().fold(0_u32, |sum, byte| sum << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for place in 0..=three.len() {
            let sextet = number >> (18 - 6 * place) & 63;
            text.push(char::from(LETTERS[usize::try_from(sextet).unwrap()]));
        }
    }
    text
}

#[test]
fn a_letter_is_found_and_brought_back_and_hostile_ones_are_only_text() {
    let domain = Domain::start();
    let unwipe = &domain.unwipe;
    domain.protect();
    let user = domain.user();
    let contract = letter(&domain, &user, SUBJECT, "The dhow leaves on Friday.");
    letter(&domain, &user, &format!("{NAME} malindi"), &format!("{NAME} in the text"));
    drive(
        &domain,
        &user,
        "POST",
        "files",
        &json!({ "name": format!("{NAME} mombasa.txt"), "mimeType": "text/plain" }),
    );
    unwipe.json_with(exit::INCOMPLETE, &["capture", "acme", "--once"]);
    let before = domain.letters(&user);
    domain.act(&user, "messages/batchDelete", &json!({ "ids": [contract] }));
    assert_eq!(domain.letters(&user).len() + 1, before.len());
    unwipe.json_with(exit::INCOMPLETE, &["capture", "acme", "--once"]);
    configure(
        unwipe,
        &format!("[restore.destinations.acme]\ncredential = 'file:{}'\n", unwipe.argument("restore.json")),
    );
    let stage = Stage::open(unwipe);
    stage.play("browse", |name, with| match name {
        "letters" => json!({ "subject": SUBJECT, "hostile": NAME }),
        "count" => json!(domain.letters(&user) == before),
        other => nothing(other, with),
    });
    stage.close();
}

#[test]
fn base64_is_the_standard_s() {
    for (plain, coded) in [("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg")] {
        assert_eq!(base64(plain.as_bytes()), coded);
    }
}
