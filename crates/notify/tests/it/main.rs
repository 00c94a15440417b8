//! Each channel against somebody who listens on a socket.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail by panicking, as tests do")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread::JoinHandle,
};

use connect_http::{HttpSettings, HttpTransport};
use model::Redacted;
use notify::{
    Channel, Chat, Mail, MailSettings, MailTls, Message, NotifyError, SIGNATURE_HEADER, Urgency, Webhook,
    signature,
};

fn message() -> Message {
    Message {
        id: "incident-7-1".to_owned(),
        at: "2026-04-25T14:00:09.25Z".parse().unwrap(),
        urgency: Urgency::Alarm,
        title: "incident 7: agent deletes rows of shop.public.bookings".to_owned(),
        lines: vec!["1,000 rows so far, <b>all</b> of the table".to_owned()],
        finding: serde_json::json!({ "class_uid": 2004 }),
    }
}

/// What a listener heard: the lines before the body, and the body.
type Heard = (Vec<String>, Vec<u8>);

/// Answers one request with a status and returns what it was.
fn answer_once(status: &'static str) -> (SocketAddr, JoinHandle<Heard>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let thread = std::thread::spawn(move || {
        let mut reader = BufReader::new(listener.accept().unwrap().0);
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            if line.trim().is_empty() {
                break;
            }
            head.push(line.trim().to_owned());
        }
        let length =
            head.iter().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; length.unwrap()];
        reader.read_exact(&mut body).unwrap();
        let stream = reader.get_mut();
        stream.write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").as_bytes()).unwrap();
        (head, body)
    });
    (address, thread)
}

fn transport() -> Arc<HttpTransport> {
    Arc::new(HttpTransport::new(HttpSettings::default()).unwrap())
}

#[test]
fn a_webhook_can_be_checked_by_whoever_has_the_secret() {
    let (address, heard) = answer_once("204 No Content");
    let secret = Some(Redacted::new("shared".to_owned()));
    Webhook::new(format!("http://{address}/alarm"), secret, transport()).send(&message()).unwrap();
    let (head, body) = heard.join().unwrap();
    assert_eq!(head[0], "POST /alarm HTTP/1.1");
    let header = |name: &str| {
        let prefix = format!("{name}: ");
        head.iter()
            .find_map(|line| line.strip_prefix(&prefix))
            .unwrap_or_else(|| panic!("{name} in {head:?}"))
    };
    assert_eq!(header(SIGNATURE_HEADER), signature("shared", message().at, &body));
    assert_eq!(header("unwipe-message-id"), "incident-7-1");
    assert_eq!(serde_json::from_slice::<Message>(&body).unwrap(), message());
}

#[test]
fn a_refusal_says_whether_trying_again_may_help() {
    for (status, transient) in
        [("503 Service Unavailable", true), ("429 Too Many Requests", true), ("404 Not Found", false)]
    {
        let (address, heard) = answer_once(status);
        let error =
            Chat::new(format!("http://{address}/secret/path"), transport()).send(&message()).unwrap_err();
        assert_eq!(error.is_transient(), transient, "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
        let (_, body) = heard.join().unwrap();
        let text =
            serde_json::from_slice::<serde_json::Value>(&body).unwrap()["text"].as_str().unwrap().to_owned();
        assert!(text.contains("*incident 7:") && text.contains("&lt;b&gt;all"), "{text}");
    }
}

#[test]
fn nobody_there_is_told() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = Webhook::new(format!("http://{closed}/"), None, transport()).send(&message()).unwrap_err();
    assert!(matches!(error, NotifyError::Unreachable { .. }), "{error}");
}

/// Speaks so much of SMTP that one letter arrives; `refuse` is said to the receiver's address.
fn take_letter(refuse: Option<&'static str>) -> (SocketAddr, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let thread = std::thread::spawn(move || {
        let stream: TcpStream = listener.accept().unwrap().0;
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let say = |text: &str| (&stream).write_all(format!("{text}\r\n").as_bytes());
        say("220 test").unwrap();
        let mut heard = String::new();
        let mut is_letter = false;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return heard;
            }
            heard.push_str(&line);
            let answer = match line.trim() {
                "." if is_letter => {
                    is_letter = false;
                    "250 taken"
                }
                _ if is_letter => continue,
                "DATA" => {
                    is_letter = true;
                    "354 go on"
                }
                "QUIT" => "221 bye",
                text if text.starts_with("RCPT") => refuse.unwrap_or("250 yes"),
                _ => "250 yes",
            };
            if say(answer).is_err() {
                return heard;
            }
        }
    });
    (address, thread)
}

fn mail(address: SocketAddr) -> Mail {
    Mail::new(&MailSettings {
        host: address.ip().to_string(),
        port: address.port(),
        tls: MailTls::None,
        account: None,
        from: "unwipe <unwipe@acme.test>".to_owned(),
        to: vec!["anna@acme.test".to_owned()],
    })
    .unwrap()
}

#[test]
fn a_letter_says_when_and_what() {
    let (address, heard) = take_letter(None);
    let mail = mail(address);
    mail.send(&message()).unwrap();
    drop(mail);
    let heard = heard.join().unwrap();
    assert!(heard.contains("RCPT TO:<anna@acme.test>"), "{heard}");
    assert!(
        heard.contains("Subject: ALARM: incident 7: agent deletes rows of shop.public.bookings"),
        "{heard}"
    );
    assert!(heard.contains("Date: Sat, 25 Apr 2026 14:00:09 "), "{heard}");
    assert!(heard.contains("1,000 rows so far"), "{heard}");
}

#[test]
fn a_receiver_that_does_not_exist_is_a_refusal() {
    for (answer, transient) in [("550 no such user", false), ("451 later", true)] {
        let (address, heard) = take_letter(Some(answer));
        let channel = mail(address);
        let error = channel.send(&message()).unwrap_err();
        drop(channel);
        heard.join().unwrap();
        assert!(matches!(&error, NotifyError::Refused { transient: t, .. } if *t == transient), "{error:?}");
    }
}

#[test]
fn an_address_that_is_none_is_refused_before_anything_is_sent() {
    let settings = MailSettings {
        host: "localhost".to_owned(),
        port: 25,
        tls: MailTls::None,
        account: None,
        from: "nobody".to_owned(),
        to: Vec::new(),
    };
    assert!(matches!(Mail::new(&settings).err(), Some(NotifyError::Settings { .. })));
}
