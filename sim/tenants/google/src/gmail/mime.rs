//! Messages as the API shows them: parts, headers, snippets.

use mail_parser::{
    HeaderValue, Message as Parsed, MessageParser, MessagePart, MimeHeaders, PartType, parsers::MessageStream,
};
use model::Moment;
use serde_json::{Map, Value, json};

use super::mailbox::{Message, hex};
use crate::text;

/// How much of a message is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Format {
    Minimal,
    Full,
    Raw,
    /// Only headers, and of these only the named ones if any are named.
    Metadata(Vec<String>),
}

/// What is read of a message when it enters a mailbox.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) message_id: String,
    pub(crate) subject: String,
    pub(crate) from: String,
    pub(crate) date: Option<Moment>,
    /// The messages it answers, without angle brackets.
    pub(crate) references: Vec<String>,
}

/// Reads the head of a message.
pub(crate) fn head(raw: &[u8]) -> Head {
    let Some(parsed) = MessageParser::default().parse_headers(raw) else { return Head::default() };
    let ids = |value: &HeaderValue| match value {
        HeaderValue::Text(text) => vec![text.to_string()],
        HeaderValue::TextList(list) => list.iter().map(ToString::to_string).collect(),
        _ => Vec::new(),
    };
    let mut references = ids(parsed.references());
    references.extend(ids(parsed.in_reply_to()));
    let address = parsed.from().and_then(|from| from.first()).and_then(|from| from.address());
    Head {
        message_id: parsed.message_id().unwrap_or_default().to_owned(),
        subject: parsed.subject().unwrap_or_default().to_owned(),
        from: address.unwrap_or_default().to_owned(),
        date: parsed
            .date()
            .filter(|date| date.is_valid())
            .map(|date| Moment::from_micros(date.to_timestamp().saturating_mul(1_000_000))),
        references,
    }
}

/// Returns the addresses to which a message goes.
pub(super) fn recipients(raw: &[u8]) -> Vec<String> {
    let Some(parsed) = MessageParser::default().parse_headers(raw) else { return Vec::new() };
    let lists = [parsed.to(), parsed.cc(), parsed.bcc()];
    let all = lists.into_iter().flatten().flat_map(|list| list.iter());
    all.filter_map(|one| one.address().map(str::to_owned)).collect()
}

/// Returns a subject without what replies and forwards put before it, for comparing.
pub(crate) fn plain_subject(subject: &str) -> String {
    let mut rest = subject.trim().to_lowercase();
    while let Some(after) = ["re:", "fwd:", "fw:"].iter().find_map(|prefix| rest.strip_prefix(prefix)) {
        rest = after.trim_start().to_owned();
    }
    rest
}

/// Makes the resource of a message. It may take a while: call it where nobody waits for the tenant.
pub(super) fn resource(id: u64, message: &Message, format: &Format, nonce: u64) -> Value {
    let raw = message.content.bytes();
    let mut value = json!({
        "id": hex(id),
        "threadId": hex(message.thread),
        "historyId": message.history.to_string(),
        "internalDate": message.internal_date.to_string(),
        "sizeEstimate": raw.len(),
    });
    if !message.labels.is_empty() {
        value["labelIds"] = message.labels.iter().map(|label| Value::from(&**label)).collect();
    }
    let parsed = MessageParser::default().parse(&raw[..]);
    value["snippet"] = parsed.as_ref().map(snippet).unwrap_or_default().into();
    match (format, parsed) {
        (Format::Raw, _) => value["raw"] = text::base64url(&raw).into(),
        (Format::Full, Some(parsed)) => {
            let mut tree = Tree { id, nonce, leaves: 0 };
            value["payload"] = tree.part(&parsed, parsed.root_part(), "");
        }
        (Format::Metadata(names), Some(parsed)) => {
            let mut headers = headers(&parsed, parsed.root_part());
            let wanted = |header: &Value| {
                names.is_empty()
                    || names
                        .iter()
                        .any(|name| header["name"].as_str().is_some_and(|own| own.eq_ignore_ascii_case(name)))
            };
            headers.retain(wanted);
            value["payload"] = json!({ "mimeType": mime_type(parsed.root_part()), "headers": headers });
        }
        _ => {}
    }
    value
}

/// Returns the first words of a message, with what is special in HTML escaped.
fn snippet(parsed: &Parsed) -> String {
    const LENGTH: usize = 200;
    let preview = parsed.body_preview(LENGTH).unwrap_or_default();
    let words: Vec<&str> = preview.split_whitespace().collect();
    let mut escaped = String::new();
    for letter in words.join(" ").chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            letter => escaped.push(letter),
        }
    }
    escaped
}

/// Walks over the parts of a message.
struct Tree {
    id: u64,
    nonce: u64,
    /// How many leaves were met; an attachment's id names its leaf by this number.
    leaves: u32,
}

/// Parts nested deeper than this are left out.
const DEPTH_MAX: usize = 30;

impl Tree {
    fn part(&mut self, parsed: &Parsed, part: &MessagePart, number: &str) -> Value {
        let mut value = json!({
            "partId": number,
            "mimeType": mime_type(part),
            "filename": part.attachment_name().unwrap_or_default(),
            "headers": headers(parsed, part),
        });
        let below = |at: usize| if number.is_empty() { at.to_string() } else { format!("{number}.{at}") };
        let deep = number.matches('.').count() >= DEPTH_MAX;
        match &part.body {
            PartType::Multipart(parts) => {
                value["body"] = json!({ "size": 0 });
                let parts = parts.iter().filter_map(|at| parsed.part(*at)).filter(|_| !deep);
                let parts: Vec<Value> =
                    parts.enumerate().map(|(at, part)| self.part(parsed, part, &below(at))).collect();
                value["parts"] = Value::Array(parts);
            }
            PartType::Message(nested) => {
                value["body"] = self.body(part);
                if !deep {
                    value["parts"] = json!([self.part(nested, nested.root_part(), &below(0))]);
                }
            }
            _ => value["body"] = self.body(part),
        }
        value
    }

    fn body(&mut self, part: &MessagePart) -> Value {
        let leaf = self.leaves;
        self.leaves += 1;
        let bytes = part.contents();
        if is_attachment(part) {
            let id = attachment_id(self.id, leaf, self.nonce);
            return json!({ "attachmentId": id, "size": bytes.len() });
        }
        json!({ "size": bytes.len(), "data": text::base64url(bytes) })
    }
}

fn is_attachment(part: &MessagePart) -> bool {
    part.attachment_name().is_some() || !matches!(part.body, PartType::Text(_) | PartType::Html(_))
}

/// Makes the id of an attachment; it differs with each answer, as those of the real service do.
fn attachment_id(message: u64, leaf: u32, nonce: u64) -> String {
    let mut bytes = Vec::from(*b"ANGjdJ");
    bytes.extend_from_slice(&nonce.to_be_bytes());
    let mask = text::mixed(nonce);
    bytes.extend_from_slice(&(message ^ mask).to_be_bytes());
    bytes.extend_from_slice(&(leaf ^ mask as u32).to_be_bytes());
    text::base64url(&bytes).trim_end_matches('=').to_owned()
}

/// Returns the leaf that an attachment's id names, if it is one of this message's.
pub(super) fn leaf_of(message: u64, id: &str) -> Option<u32> {
    let bytes = text::from_base64url(id)?;
    let rest = bytes.strip_prefix(b"ANGjdJ")?;
    let (nonce, rest) = rest.split_first_chunk::<8>()?;
    let (own, rest) = rest.split_first_chunk::<8>()?;
    let mask = text::mixed(u64::from_be_bytes(*nonce));
    let leaf = u32::from_be_bytes(rest.try_into().ok()?) ^ mask as u32;
    (u64::from_be_bytes(*own) ^ mask == message).then_some(leaf)
}

/// Returns the content of a leaf.
pub(super) fn leaf(raw: &[u8], number: u32) -> Option<Vec<u8>> {
    let parsed = MessageParser::default().parse(raw)?;
    let mut left = number;
    find(&parsed, parsed.root_part(), &mut left, 0)
}

fn find(parsed: &Parsed, part: &MessagePart, left: &mut u32, depth: usize) -> Option<Vec<u8>> {
    let deep = depth > DEPTH_MAX;
    if let PartType::Multipart(parts) = &part.body {
        let mut parts = parts.iter().filter_map(|at| parsed.part(*at)).filter(|_| !deep);
        return parts.find_map(|part| find(parsed, part, left, depth + 1));
    }
    if *left == 0 {
        return Some(part.contents().to_vec());
    }
    *left -= 1;
    match &part.body {
        PartType::Message(nested) if !deep => find(nested, nested.root_part(), left, depth + 1),
        _ => None,
    }
}

fn mime_type(part: &MessagePart) -> String {
    let kind = part.content_type().map(|kind| match kind.subtype() {
        Some(subtype) => format!("{}/{subtype}", kind.ctype()).to_lowercase(),
        None => kind.ctype().to_lowercase(),
    });
    kind.unwrap_or_else(|| "text/plain".to_owned())
}

/// Returns the headers of a part: unfolded, with encoded words read.
fn headers(parsed: &Parsed, part: &MessagePart) -> Vec<Value> {
    let raw = &parsed.raw_message;
    let cut = |from: u32, to: u32| raw.get(from as usize..to as usize).unwrap_or_default();
    part.headers
        .iter()
        .map(|header| {
            let name = cut(header.offset_field, header.offset_start);
            let name = String::from_utf8_lossy(name);
            let value = cut(header.offset_start, header.offset_end);
            let mut one = Map::new();
            one.insert("name".to_owned(), name.trim().trim_end_matches(':').trim_end().into());
            one.insert("value".to_owned(), unfolded(value).into());
            Value::Object(one)
        })
        .collect()
}

fn unfolded(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    if text.contains("=?") {
        let with_end = [value, b"\n"].concat();
        if let HeaderValue::Text(read) = MessageStream::new(&with_end).parse_unstructured() {
            return read.into_owned();
        }
    }
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.join(" ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::gmail::Content;

    const RAW: &str = "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nFrom: Anna <anna@acme.test>\r\nMessage-ID: <a@b>\r\n\
        Date: Mon, 02 Mar 2026 01:15:42 +0100\r\nReferences: <x@y>\r\n <z@y>\r\nContent-Type: multipart/mixed; \
        boundary=q\r\n\r\n--q\r\nContent-Type: text/plain\r\n\r\n1 < 2\r\n--q\r\nContent-Type: application/pdf; \
        name=\"a.pdf\"\r\nContent-Transfer-Encoding: base64\r\n\r\nAAEC\r\n--q--\r\n";

    fn message() -> Message {
        Message {
            thread: 7,
            labels: BTreeSet::from([text::shared("INBOX")]),
            internal_date: 5,
            history: 9,
            message_id: "a@b".into(),
            subject: "".into(),
            from: "".into(),
            content: Content::Stored(RAW.into()),
        }
    }

    #[test]
    fn a_head_is_read() {
        let head = head(RAW.as_bytes());
        assert_eq!((head.message_id.as_str(), head.subject.as_str()), ("a@b", "Grüße"));
        assert_eq!(head.references, ["x@y", "z@y"]);
        assert_eq!(head.date.map(crate::stamp::rfc3339).as_deref(), Some("2026-03-02T00:15:42.000Z"));
        assert_eq!(plain_subject("Re: FWD: re:  Plan"), "plan");
    }

    #[test]
    fn a_message_is_shown_as_parts_and_its_attachment_is_found_by_any_of_its_ids() {
        let full = resource(7, &message(), &Format::Full, 3);
        let payload = &full["payload"];
        assert_eq!(payload["mimeType"], "multipart/mixed");
        assert_eq!(payload["headers"][0], json!({ "name": "Subject", "value": "Grüße" }));
        assert_eq!(payload["headers"][4]["value"], "<x@y> <z@y>");
        assert_eq!(payload["parts"][0]["body"]["data"], text::base64url(b"1 < 2"));
        assert_eq!(
            (&payload["parts"][1]["partId"], &payload["parts"][1]["filename"]),
            (&json!("1"), &json!("a.pdf"))
        );
        assert_eq!(full["snippet"], "1 &lt; 2");
        let id = |nonce| {
            let value = resource(7, &message(), &Format::Full, nonce);
            value["payload"]["parts"][1]["body"]["attachmentId"].as_str().unwrap().to_owned()
        };
        assert_ne!(id(1), id(2));
        let number = leaf_of(7, &id(1)).unwrap();
        assert_eq!(leaf(RAW.as_bytes(), number), Some(vec![0, 1, 2]));
        assert_eq!(leaf_of(8, &id(1)), None);
    }

    #[test]
    fn raw_is_all_of_it_and_metadata_only_the_wanted_headers() {
        let raw = resource(7, &message(), &Format::Raw, 0);
        assert_eq!(text::from_base64url(raw["raw"].as_str().unwrap()).unwrap(), RAW.as_bytes());
        let wanted = Format::Metadata(vec!["FROM".to_owned()]);
        let headers = resource(7, &message(), &wanted, 0)["payload"]["headers"].clone();
        assert_eq!(headers, json!([{ "name": "From", "value": "Anna <anna@acme.test>" }]));
    }
}
