use proptest::prelude::*;

use super::*;

fn shown(stream: &str, key: &str, attributes: &str, content: &[u8]) -> Document {
    let stored = Stored {
        stream,
        key,
        attributes,
        content: Some(content),
        size_bytes: content.len() as u64,
        reason: None,
    };
    render(if stream == "files" { "files" } else { "google" }, &stored, &Limits::PAGE)
}

fn mail(content: &[u8]) -> Document {
    let attributes =
        r#"{"thread":"t","labels":["INBOX","UNREAD"],"received_ms":1717171717000,"subject":"of attributes"}"#;
    shown("gmail/a@x", "message/1", attributes, content)
}

fn value<'a>(document: &'a Document, name: &str) -> Option<&'a str> {
    document.fields.iter().find(|field| field.name == name).map(|field| field.value.as_str())
}

#[test]
fn a_message_is_read() {
    let document = mail(
        b"From: =?UTF-8?Q?J=C3=B6rg?= <joerg@x>\r\nTo: a@x, B <b@x>\r\nSubject: =?UTF-8?B?R3LDvMOfZQ==?=\r\n\
        Date: Mon, 2 Mar 2026 10:00:00 +0100\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
        --b\r\nContent-Type: multipart/alternative; boundary=c\r\n\r\n\
        --c\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\r\nGr\xfc\xdfe\r\n\r\nbye\r\n\
        --c\r\nContent-Type: text/html\r\n\r\n<p>other</p>\r\n--c--\r\n\
        --b\r\nContent-Type: application/pdf; name=\"a\xe2\x80\xaefdp.exe\"\r\nContent-Disposition: attachment\r\n\
        Content-Transfer-Encoding: base64\r\n\r\nSGVsbG8=\r\n--b--\r\n",
    );
    assert_eq!(value(&document, "From"), Some("Jörg <joerg@x>"));
    assert_eq!(value(&document, "To"), Some("a@x, B <b@x>"));
    assert_eq!(value(&document, "Subject"), Some("Grüße"));
    assert_eq!(value(&document, "Date"), Some("2026-03-02 10:00:00 +01:00"));
    assert_eq!(value(&document, "Labels"), Some("INBOX, UNREAD"));
    assert_eq!(value(&document, "Received"), Some("2024-05-31 16:08:37 UTC"));
    assert_eq!(document.body, ["Grüße", "", "bye"]);
    assert_eq!(document.attachments.len(), 1);
    assert_eq!(
        (document.attachments[0].media_type.as_str(), document.attachments[0].bytes),
        ("application/pdf", 5)
    );
    assert!(document.attachments[0].name.contains("⟨U+202E⟩"), "{:?}", document.attachments);
    assert_eq!(document.notes, []);
}

#[test]
fn a_page_in_a_message_becomes_text_and_says_so() {
    let document = mail(
        b"From: a@x\r\nSubject: <img src=x onerror=alert(1)>\r\nContent-Type: text/html\r\n\r\n\
        <p>Hi<script>alert(1)</script> <a href='https://evil.test'>bank</a></p>",
    );
    assert_eq!(document.body, ["Hi bank <https://evil.test>"]);
    assert_eq!(document.notes, [Note::FromHtml]);
    // Text is data: whoever shows it escapes it.
    assert_eq!(value(&document, "Subject"), Some("<img src=x onerror=alert(1)>"));
}

#[test]
fn broken_mail_is_shown_all_the_same() {
    let document = mail(b"\xff\xfe\0\0");
    assert!(document.notes.contains(&Note::NotUnderstood { what: "mail".to_owned() }), "{document:?}");
    assert_eq!(value(&document, "Subject"), Some("of attributes"));
    for content in [
        &b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b"[..],
        b"Content-Transfer-Encoding: base64\r\n\r\n!!!!",
        b"Content-Type: text/plain; charset=utf-7\r\n\r\n+ADw-script+AD4-",
        b"Subject: =?utf-8?B?////?=\r\n\r\n",
        b"",
        b"\r\n\r\n",
    ] {
        mail(content);
    }
    let nested = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n".repeat(20_000);
    mail(&nested);
    // Also where the innermost messages hide in an encoding.
    let messages = b"Content-Type: message/rfc822\r\n\r\n".repeat(100_000);
    mail(&messages);
    let quoted = b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n";
    let document = mail(&[&quoted[..], &messages].concat());
    assert!(document.notes.iter().any(|note| matches!(note, Note::ContentCut { .. })));
}

#[test]
fn a_message_of_ten_megabytes_in_one_line_is_cut() {
    let mut content = b"Subject: large\r\n\r\n".to_vec();
    content.resize(10 << 20, b'x');
    let stored = Stored {
        stream: "gmail/a@x",
        key: "message/1",
        attributes: "{}",
        content: Some(&content[..4 << 20]),
        size_bytes: content.len() as u64,
        reason: None,
    };
    let document = render("google", &stored, &Limits::PAGE);
    assert_eq!(document.body.len(), 1);
    assert_eq!(document.body[0].chars().count(), Limits::PAGE.line_characters + 1);
    assert_eq!(
        document.notes,
        [Note::LongLines { lines: 1 }, Note::ContentCut { read: 4 << 20, of: 10 << 20 },]
    );
    let many = format!("Subject: many\r\n\r\n{}", "line\r\n".repeat(200_000));
    let document = mail(many.as_bytes());
    assert_eq!(document.body.len(), Limits::PAGE.lines);
    assert!(document.notes.contains(&Note::LinesCut { shown: Limits::PAGE.lines as u64 }));
    assert!(serde_json::to_vec(&document).unwrap().len() < 100_000);
}

#[test]
fn a_record_shows_every_value_with_its_path() {
    let content = br#"{"summary":"Launch","etag":"\"1\"","start":{"dateTime":"2026-03-02T09:00:00+01:00"},
        "attendees":[{"email":"a@x","responseStatus":"accepted"},{"email":"b@x"},{"email":"a@x"}],
        "recurrence":["RRULE:FREQ=DAILY","EXDATE"],"empty":[],"none":null,"blank":"",
        "description":"one\ntwo"}"#;
    let attributes = r#"{"summary":"Launch","start":"2026-03-02T09:00:00+01:00","status":"confirmed"}"#;
    let document = shown("calendar/a@x", "event/c/1", attributes, content);
    let fields: Vec<(&str, &str)> =
        document.fields.iter().map(|field| (field.name.as_str(), field.value.as_str())).collect();
    assert_eq!(
        fields,
        [
            ("attendees[a@x].email", "a@x"),
            ("attendees[a@x].responseStatus", "accepted"),
            ("attendees[b@x].email", "b@x"),
            ("attendees[a@x #2].email", "a@x"),
            ("blank", "\"\""),
            ("empty", "[]"),
            ("none", "null"),
            ("recurrence", "RRULE:FREQ=DAILY, EXDATE"),
            ("start.dateTime", "2026-03-02 09:00:00 +01:00"),
            ("summary", "Launch"),
        ]
    );
    assert_eq!(document.body, ["description:", "one", "two"]);
    assert_eq!((document.kind, document.title.as_str()), (Kind::Event, "Launch"));
}

#[test]
fn records_that_are_deep_wide_or_none_are_shown_within_bounds() {
    let deep = "[".repeat(200_000) + &"]".repeat(200_000);
    let document = shown("calendar/a@x", "event/c/1", "{}", deep.as_bytes());
    assert!(document.notes.contains(&Note::NotUnderstood { what: "JSON".to_owned() }));
    let deep = r#"{"a":"#.repeat(100) + "1" + &"}".repeat(100);
    let document = shown("calendar/a@x", "event/c/1", "{}", deep.as_bytes());
    assert_eq!(document.fields.len(), 1);
    let members: Vec<String> = (0..50_000).map(|number| format!("\"m{number}\":{number}")).collect();
    let wide = format!("{{{}}}", members.join(","));
    let document = shown("directory", "user/1", "{}", wide.as_bytes());
    assert_eq!(document.fields.len(), Limits::PAGE.fields);
    assert_eq!(document.notes, [Note::FieldsCut { shown: Limits::PAGE.fields as u64 }]);
}

#[test]
fn files_are_shown_as_text_or_named() {
    let attributes =
        r#"{"kind":"file","mode":420,"modified_ns":1717171717000000000,"owner":1000,"group":1000}"#;
    let text = shown("files", "a/notes.txt", attributes, "one\r\ntwo\n\u{200b}\n".as_bytes());
    assert_eq!((text.title.as_str(), text.subtitle.as_deref()), ("notes.txt", Some("a")));
    assert_eq!(text.body, ["one", "two", "⟨U+200B⟩"]);
    assert_eq!(
        (value(&text, "mode"), value(&text, "modified")),
        (Some("0644"), Some("2024-05-31 16:08:37 UTC"))
    );
    let picture = shown("files", "a.png", attributes, b"\x89PNG\r\n\x1a\n....");
    assert_eq!((picture.body.len(), &picture.notes[..]), (0, &[Note::Binary][..]));
    assert_eq!(value(&picture, "Content"), Some("PNG picture"));
    let latin = shown("files", "a", attributes, b"a few words in which one \xe9 is of another time");
    assert_eq!(latin.notes, [Note::NotAllText]);
    let wide = shown("files", "a", attributes, b"\xff\xfeh\0i\0");
    assert_eq!(wide.body, ["hi"]);
    for binary in [&[0_u8; 100][..], &[0xff; 100], b"abc\0def", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3"] {
        assert_eq!(shown("files", "a", attributes, binary).notes, [Note::Binary]);
    }
}

#[test]
fn what_could_not_be_read_says_why() {
    let stored = Stored {
        stream: "gmail/a@x",
        key: "message/1",
        attributes: "{}",
        content: None,
        size_bytes: 0,
        reason: Some(r#"{"reason":"denied","detail":"no\u202e"}"#),
    };
    let document = render("google", &stored, &Limits::PAGE);
    assert_eq!(document.notes, [Note::Unreadable { why: "reading it was denied: no⟨U+202E⟩".to_owned() }]);
}

#[test]
fn a_row_of_a_table_shows_null_apart_from_nothing() {
    let columns = ["id", "note", "name"].map(str::to_owned);
    let document = row("shop.public.orders", &columns, &[Some("1".to_owned()), None, Some(String::new())]);
    let values: Vec<&str> = document.fields.iter().map(|field| field.value.as_str()).collect();
    assert_eq!(values, ["1", "NULL", "''"]);
    assert_eq!(row("", &[], &[]).title, "(no name)");
}

proptest! {
    #[test]
    fn anything_stored_can_be_shown(
        stream in prop_oneof![
            Just("gmail/a@x"), Just("drive/a@x"), Just("calendar/a@x"), Just("contacts/a@x"), Just("directory"),
            Just("files"), Just("relations"), Just("position"), Just("new/thing"),
        ],
        key in "(message|file|event|person|user|label)?/[\\PC]{0,8}",
        attributes in "\\PC{0,30}|[{}\"\\[\\],:a1]{0,30}",
        content in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let document = shown(stream, &key, &attributes, &content);
        prop_assert!(!document.title.is_empty());
        let texts = document.fields.iter().flat_map(|field| [&field.name, &field.value]).chain(&document.body);
        for text in texts.chain([&document.title]) {
            prop_assert!(!text.chars().any(|c| c.is_control() && c != '\t'), "{:?}", text);
        }
        prop_assert!(difference(&document, &document).is_empty());
    }
}
