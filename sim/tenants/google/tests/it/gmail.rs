//! Messages, labels, threads, drafts, settings.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine, engine::general_purpose::URL_SAFE};
use google_tenant::{Settings, Size, scopes};
use serde_json::{Value, json};

use crate::support::{DAY, Domain, SECOND, START};

const ME: &str = "gmail/v1/users/me";

fn mailbox() -> (Domain, String, String) {
    let domain = Domain::usual();
    let user = domain.user(0);
    let token = domain.token(&user, &[scopes::MAIL]);
    (domain, user, token)
}

/// Returns all ids of a list, page by page.
fn ids(domain: &Domain, token: &str, path: &str, name: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut next = String::new();
    loop {
        let page = domain.get(&format!("{path}&pageToken={next}"), token).ok();
        let items = page[name].as_array().into_iter().flatten();
        all.extend(items.map(|item| item["id"].as_str().unwrap().to_owned()));
        let Some(token) = page["nextPageToken"].as_str() else { return all };
        token.clone_into(&mut next);
    }
}

fn raw(text: &str) -> String {
    URL_SAFE.encode(text)
}

#[test]
fn everything_is_listed_once_newest_first_and_comes_as_it_is() {
    let (domain, user, token) = mailbox();
    let mut letters = BTreeMap::new();
    domain.running.with_tenant(|tenant| {
        tenant.each_letter(&user, |letter| drop(letters.insert(letter.id.clone(), letter)))
    });
    let profile = domain.get(&format!("{ME}/profile"), &token).ok();
    assert_eq!((&profile["emailAddress"], &profile["messagesTotal"]), (&json!(user), &json!(60)));
    assert!(profile["historyId"].is_string());
    let all = ids(&domain, &token, &format!("{ME}/messages?maxResults=7&includeSpamTrash=true"), "messages");
    assert_eq!(all.len(), 60);
    assert_eq!(all.iter().collect::<BTreeSet<_>>(), letters.keys().collect());
    let mut dates = Vec::new();
    for id in &all {
        let message = domain.get(&format!("{ME}/messages/{id}?format=raw"), &token).ok();
        let letter = &letters[id];
        assert_eq!(URL_SAFE.decode(message["raw"].as_str().unwrap()).unwrap(), letter.raw);
        assert_eq!(message["threadId"], letter.thread);
        assert_eq!(message["sizeEstimate"], letter.raw.len());
        dates.push(message["internalDate"].as_str().unwrap().parse::<i64>().unwrap());
    }
    assert!(dates.is_sorted_by(|a, b| a >= b));
    let visible = ids(&domain, &token, &format!("{ME}/messages?maxResults=500"), "messages");
    let hidden = letters.values().filter(|l| l.labels.iter().any(|n| n == "TRASH" || n == "SPAM")).count();
    assert!(hidden > 0);
    assert_eq!(visible.len() + hidden, 60);
    let threads =
        ids(&domain, &token, &format!("{ME}/threads?maxResults=5&includeSpamTrash=true"), "threads");
    assert_eq!(threads.len() as u64, profile["threadsTotal"].as_u64().unwrap());
}

#[test]
fn the_same_seed_gives_the_same_mail() {
    let letters = |seed| {
        let domain = Domain::start(Settings { seed, anchor: Some(START), ..Settings::default() });
        domain.clock.advance_micros(5 * DAY);
        let mut all = Vec::new();
        let admin = domain.admin();
        domain
            .running
            .with_tenant(|t| t.each_letter(&admin, |l| all.push((l.id, l.thread, l.labels, l.raw))));
        all
    };
    assert_eq!(letters(3), letters(3));
    assert_ne!(letters(3), letters(4));
}

#[test]
fn parts_and_attachments_can_be_read() {
    let domain =
        Domain::start(Settings { size: Size { messages: 100, ..Size::default() }, ..Settings::default() });
    let token = domain.token(&domain.user(0), &[scopes::GMAIL_READONLY]);
    let mut attachments = 0;
    for id in ids(&domain, &token, &format!("{ME}/messages?maxResults=500"), "messages") {
        let full = domain.get(&format!("{ME}/messages/{id}"), &token).ok();
        let payload = &full["payload"];
        let name = |header: &Value| header["name"].as_str().unwrap().to_ascii_lowercase();
        let headers = payload["headers"].as_array().unwrap();
        assert!(headers.iter().any(|header| name(header) == "message-id"), "{payload}");
        for part in payload["parts"].as_array().into_iter().flatten() {
            let Some(attachment) = part["body"]["attachmentId"].as_str() else { continue };
            let got = domain.get(&format!("{ME}/messages/{id}/attachments/{attachment}"), &token).ok();
            assert_eq!(got["size"], part["body"]["size"]);
            assert_eq!(
                URL_SAFE.decode(got["data"].as_str().unwrap()).unwrap().len() as u64,
                got["size"].as_u64().unwrap()
            );
            attachments += 1;
        }
    }
    assert!(attachments > 2, "{attachments}");
}

#[test]
fn an_inserted_message_is_dated_now_or_as_its_header_says() {
    let (domain, _, token) = mailbox();
    let message =
        "Message-ID: <new@x>\r\nDate: Mon, 02 Feb 2026 10:00:00 +0100\r\nSubject: hi\r\n\r\nhello\r\n";
    let date = |path: &str, message: &str| {
        let made =
            domain.post(path, &token, &json!({ "raw": raw(message), "labelIds": ["INBOX", "Label_1"] })).ok();
        let id = made["id"].as_str().unwrap();
        let got = domain.get(&format!("{ME}/messages/{id}?format=raw"), &token).ok();
        assert_eq!(got["labelIds"], json!(["INBOX", "Label_1"]));
        assert_eq!(got["raw"], raw(message));
        got["internalDate"].as_str().unwrap().parse::<i64>().unwrap()
    };
    let (now, written) = (START.as_micros() / 1000, 1_770_022_800_000);
    assert_eq!(date(&format!("{ME}/messages"), message), now);
    assert_eq!(date(&format!("{ME}/messages?internalDateSource=dateHeader"), message), written);
    assert_eq!(date(&format!("{ME}/messages/import"), message), written);
    assert_eq!(date(&format!("{ME}/messages/import?internalDateSource=receivedTime"), message), now);
    assert_eq!(date(&format!("{ME}/messages/import"), "Subject: undated\r\n\r\n"), now);
    let refused =
        domain.post(&format!("{ME}/messages"), &token, &json!({ "raw": raw("x"), "labelIds": ["Label_99"] }));
    assert_eq!((refused.code, refused.reason()), (400, "invalidArgument"));
    assert_eq!(domain.post(&format!("{ME}/messages"), &token, &json!({})).code, 400);
    let found = domain.get(&format!("{ME}/messages?q=rfc822msgid:new%40x"), &token).ok();
    assert_eq!(found["messages"].as_array().unwrap().len(), 4);
}

#[test]
fn a_message_joins_a_thread_only_by_id_reference_and_subject() {
    let (domain, _, token) = mailbox();
    let insert = |text: &str, thread: &str| {
        domain.post(&format!("{ME}/messages"), &token, &json!({ "raw": raw(text), "threadId": thread }))
    };
    let first = insert("Message-ID: <1@x>\r\nSubject: Plan\r\n\r\n", "").ok();
    let thread = first["threadId"].as_str().unwrap();
    assert_eq!(first["id"], first["threadId"]);
    let answer = "Message-ID: <2@x>\r\nSubject: Re: Plan\r\nReferences: <0@x> <1@x>\r\n\r\n";
    assert_eq!(insert(answer, thread).ok()["threadId"], thread);
    assert_ne!(insert(&answer.replace("Plan", "Other"), thread).ok()["threadId"], thread);
    assert_ne!(insert(&answer.replace("<1@x>", "<9@x>"), thread).ok()["threadId"], thread);
    assert_ne!(insert(answer, "").ok()["threadId"], thread);
    assert_eq!(insert(answer, "00000000000000ff").code, 404);
    let got = domain.get(&format!("{ME}/threads/{thread}?format=minimal"), &token).ok();
    assert_eq!(got["messages"].as_array().unwrap().len(), 2);
    domain.post(&format!("{ME}/threads/{thread}/trash"), &token, &json!({})).ok();
    assert_eq!(
        domain.get(&format!("{ME}/messages?q=in:trash+rfc822msgid:1@x"), &token).ok()["messages"][0]["id"],
        thread
    );
    assert!(domain.get(&format!("{ME}/messages?q=rfc822msgid:1@x"), &token).ok()["messages"].is_null());
}

#[test]
fn labels_are_made_renamed_and_removed_by_rules() {
    let (domain, _, token) = mailbox();
    let labels = format!("{ME}/labels");
    let listed = domain.get(&labels, &token).ok();
    let names: Vec<&str> =
        listed["labels"].as_array().unwrap().iter().map(|l| l["name"].as_str().unwrap()).collect();
    for name in ["INBOX", "Projects/2026", "🚀 Launch", "Projects/2026/Q1 \"launch\""] {
        assert!(names.contains(&name), "{names:?}");
    }
    let made = domain.post(&labels, &token, &json!({ "name": "Neu/1" })).ok();
    let path = format!("{labels}/{}", made["id"].as_str().unwrap());
    assert_eq!(domain.post(&labels, &token, &json!({ "name": "neu/1" })).code, 409);
    assert_eq!(domain.post(&labels, &token, &json!({ "name": "a//b" })).code, 400);
    assert_eq!(domain.put(&path, &token, &json!({ "name": "Neu/2" })).ok()["name"], "Neu/2");
    assert_eq!(domain.put(&format!("{labels}/INBOX"), &token, &json!({ "name": "x" })).code, 400);
    let id = ids(&domain, &token, &format!("{ME}/messages?maxResults=1"), "messages").remove(0);
    let body = json!({ "addLabelIds": [made["id"]], "removeLabelIds": ["UNREAD"] });
    domain.post(&format!("{ME}/messages/{id}/modify"), &token, &body).ok();
    assert_eq!(domain.get(&path, &token).ok()["messagesTotal"], 1);
    assert_eq!(domain.get(&format!("{ME}/messages?q=label:neu-2"), &token).ok()["messages"][0]["id"], id);
    assert_eq!(domain.delete(&path, &token).code, 204);
    let after = domain.get(&format!("{ME}/messages/{id}?format=minimal"), &token).ok();
    assert!(!after["labelIds"].as_array().unwrap().contains(&made["id"]));
    let body = json!({ "addLabelIds": ["SENT"] });
    assert_eq!(domain.post(&format!("{ME}/messages/{id}/modify"), &token, &body).code, 400);
}

#[test]
fn a_draft_keeps_its_id_and_its_message_does_not() {
    let (domain, _, token) = mailbox();
    let drafts = format!("{ME}/drafts");
    assert!(!ids(&domain, &token, &format!("{drafts}?maxResults=500"), "drafts").is_empty());
    let made = domain.post(&drafts, &token, &json!({ "message": { "raw": raw("Subject: a\r\n\r\n") } })).ok();
    let path = format!("{drafts}/{}", made["id"].as_str().unwrap());
    let edited = domain.put(&path, &token, &json!({ "message": { "raw": raw("Subject: b\r\n\r\n") } })).ok();
    assert_eq!(edited["id"], made["id"]);
    assert_ne!(edited["message"]["id"], made["message"]["id"]);
    let got = domain.get(&format!("{path}?format=raw"), &token).ok();
    assert_eq!(got["message"]["raw"], raw("Subject: b\r\n\r\n"));
    assert_eq!(got["message"]["labelIds"], json!(["DRAFT"]));
    assert_eq!(domain.delete(&path, &token).code, 204);
    assert_eq!(domain.get(&path, &token).code, 404);
}

#[test]
fn settings_are_read_and_written_with_the_scope_for_it() {
    let (domain, user, token) = mailbox();
    let settings = format!("{ME}/settings");
    let sharing = domain.token(&user, &[scopes::GMAIL_SETTINGS_SHARING, scopes::GMAIL_SETTINGS_BASIC]);
    for single in ["autoForwarding", "imap", "pop", "language", "vacation"] {
        let value = domain.get(&format!("{settings}/{single}"), &token).ok();
        assert!(value.is_object());
        let answer = domain.put(&format!("{settings}/{single}"), &sharing, &value);
        assert_eq!(answer.ok(), value, "{single}");
    }
    for empty in ["cse/identities", "cse/keypairs", &format!("sendAs/{user}/smimeInfo")] {
        assert_eq!(domain.get(&format!("{settings}/{empty}"), &token).ok(), json!({}));
    }
    let alias = domain.get(&format!("{settings}/sendAs/{user}"), &token).ok();
    assert_eq!((&alias["isPrimary"], &alias["isDefault"]), (&json!(true), &json!(true)));
    let filter = json!({ "criteria": { "from": "a@b.c" }, "action": { "addLabelIds": ["Label_1"] } });
    // This app has both consents by now; another one that only reads has not.
    let app_only_reads = domain.token(&domain.user(1), &[scopes::GMAIL_READONLY]);
    assert_eq!(
        domain.post(&format!("{settings}/filters"), &app_only_reads, &filter).reason(),
        "insufficientPermissions"
    );
    let made = domain.post(&format!("{settings}/filters"), &sharing, &filter).ok();
    let path = format!("{settings}/filters/{}", made["id"].as_str().unwrap());
    assert_eq!(domain.get(&path, &token).ok(), made);
    assert_eq!(domain.post(&format!("{settings}/filters"), &sharing, &filter).reason(), "failedPrecondition");
    assert_eq!(domain.delete(&path, &sharing).code, 204);
    assert_eq!(domain.get(&path, &token).code, 404);
    let delegate = json!({ "delegateEmail": domain.user(2) });
    domain.post(&format!("{settings}/delegates"), &sharing, &delegate);
    assert_eq!(
        domain.get(&format!("{settings}/delegates/{}", domain.user(2)), &token).ok()["verificationStatus"],
        "accepted"
    );
    let forward = json!({ "enabled": true, "emailAddress": "thief@evil.example", "disposition": "trash" });
    assert_eq!(domain.put(&format!("{settings}/autoForwarding"), &sharing, &forward).code, 400);
}

#[test]
fn headers_alone_do_not_search_and_foreign_mailboxes_are_closed() {
    let domain = Domain::usual();
    let user = domain.user(0);
    let token = domain.token(&user, &[scopes::GMAIL_METADATA]);
    assert_eq!(domain.get(&format!("{ME}/messages?q=in:inbox"), &token).code, 403);
    let id = ids(&domain, &token, &format!("{ME}/messages?maxResults=1"), "messages").remove(0);
    assert_eq!(domain.get(&format!("{ME}/messages/{id}?format=raw"), &token).code, 403);
    let path = format!("{ME}/messages/{id}?format=metadata&metadataHeaders=subject&metadataHeaders=From");
    assert_eq!(domain.get(&path, &token).ok()["payload"]["headers"].as_array().unwrap().len(), 2);
    let foreign = domain.get(&format!("gmail/v1/users/{}/profile", domain.user(1)), &token);
    assert_eq!(foreign.reason(), "forbidden");
    domain.get(&format!("gmail/v1/users/{user}/profile"), &token).ok();
    let mailless = domain
        .running
        .with_tenant(|t| t.users().iter().find(|u| !u.has_mailbox).unwrap().primary_email.clone());
    let none = domain.get(&format!("{ME}/profile"), &domain.token(&mailless, &[scopes::GMAIL_METADATA]));
    assert_eq!((none.code, none.reason()), (400, "failedPrecondition"));
}

#[test]
fn many_messages_are_changed_or_deleted_at_once() {
    let (domain, _, token) = mailbox();
    let all = ids(&domain, &token, &format!("{ME}/messages?maxResults=10"), "messages");
    let body = json!({ "ids": all[..3], "addLabelIds": ["TRASH"] });
    assert_eq!(domain.post(&format!("{ME}/messages/batchModify"), &token, &body).code, 204);
    let body = json!({ "ids": [all[3], all[4], "00000000000000aa"] });
    assert_eq!(domain.post(&format!("{ME}/messages/batchDelete"), &token, &body).code, 204);
    assert_eq!(domain.get(&format!("{ME}/profile"), &token).ok()["messagesTotal"], 58);
    let too_many = json!({ "ids": vec!["1"; 1001] });
    assert_eq!(domain.post(&format!("{ME}/messages/batchDelete"), &token, &too_many).code, 400);
    let modify = domain.token(&domain.user(1), &[scopes::GMAIL_MODIFY]);
    assert_eq!(
        domain.post(&format!("{ME}/messages/batchDelete"), &modify, &body).reason(),
        "insufficientPermissions"
    );
}

#[test]
fn a_watch_tells_of_changes_once_a_second_for_a_week() {
    let (domain, user, token) = mailbox();
    let body = json!({ "topicName": "projects/p/topics/t" });
    let watch = domain.post(&format!("{ME}/watch"), &token, &body).ok();
    assert_eq!(watch["expiration"], ((START.as_micros() + 7 * DAY) / 1000).to_string());
    assert_eq!(domain.post(&format!("{ME}/watch"), &token, &json!({ "topicName": "t" })).code, 400);
    let deliver =
        || domain.running.with_tenant(|tenant| tenant.deliver(&user, b"Subject: x\r\n\r\n").unwrap());
    let notices = || domain.running.with_tenant(|tenant| tenant.notices(&user).len());
    deliver();
    deliver();
    assert_eq!(notices(), 1);
    domain.clock.advance_micros(SECOND);
    deliver();
    assert_eq!(notices(), 2);
    domain.clock.advance_micros(7 * DAY);
    deliver();
    assert_eq!(notices(), 2);
}

#[test]
fn what_is_sent_arrives_in_the_domain() {
    let (domain, user, token) = mailbox();
    let other = domain.user(1);
    let text =
        format!("Message-ID: <s@x>\r\nFrom: {user}\r\nTo: {other}, x@y.example\r\nSubject: s\r\n\r\nhi");
    let sent = domain.post(&format!("{ME}/messages/send"), &token, &json!({ "raw": raw(&text) })).ok();
    assert_eq!(sent["labelIds"], json!(["SENT"]));
    let draft =
        domain.post(&format!("{ME}/drafts"), &token, &json!({ "message": { "raw": raw(&text) } })).ok();
    domain.post(&format!("{ME}/drafts/send"), &token, &json!({ "id": draft["id"] })).ok();
    assert_eq!(domain.get(&format!("{ME}/drafts/{}", draft["id"].as_str().unwrap()), &token).code, 404);
    let theirs = domain.token(&other, &[scopes::GMAIL_READONLY]);
    let count = |token: &str| {
        let found = domain.get(&format!("{ME}/messages?q=rfc822msgid:s@x"), token).ok();
        found["messages"].as_array().map_or(0, Vec::len)
    };
    assert_eq!((count(&token), count(&theirs)), (2, 2));
    assert_eq!(
        domain
            .post(&format!("{ME}/messages/send"), &token, &json!({ "raw": raw("Subject: x\r\n\r\n") }))
            .code,
        400
    );
}

#[test]
fn the_trash_is_emptied_after_thirty_days() {
    let (domain, user, _) = mailbox();
    let letters = || {
        let (mut all, mut hidden) = (0, 0);
        domain.running.with_tenant(|tenant| {
            tenant.each_letter(&user, |letter| {
                all += 1;
                hidden += usize::from(letter.labels.iter().any(|label| label == "TRASH" || label == "SPAM"));
            })
        });
        (all, hidden)
    };
    let (before, hidden) = letters();
    domain.clock.advance_micros(10 * DAY);
    let token = domain.token(&user, &[scopes::MAIL]);
    let shown = ids(&domain, &token, &format!("{ME}/messages?maxResults=2"), "messages");
    domain.post(&format!("{ME}/messages/{}/trash", shown[0]), &token, &json!({})).ok();
    domain.post(&format!("{ME}/messages/{}/trash", shown[1]), &token, &json!({})).ok();
    domain.post(&format!("{ME}/messages/{}/untrash", shown[1]), &token, &json!({})).ok();
    domain.clock.advance_micros(20 * DAY - 1);
    assert_eq!(letters(), (before, hidden + 1));
    domain.clock.advance_micros(1);
    assert_eq!(letters(), (before - hidden, 1));
    domain.clock.advance_micros(10 * DAY);
    assert_eq!(letters(), (before - hidden - 1, 0));
}
