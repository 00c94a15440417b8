//! Messages: who wrote to whom, the text, what hangs on it.

use mail_parser::{Address, HeaderName, Message, MessageParser, MessagePart, MimeHeaders, PartType};

use crate::{
    Stored, attributes,
    document::{Attachment, Document, Limits, Note},
    file, html, time,
    visible::visible,
};

const ATTACHMENTS_MAX: usize = 100;
const ADDRESSES_MAX: usize = 50;
const NAME_CHARACTERS: usize = 200;

/// Messages within messages within messages: what may hold such is read so far,
const NESTING_BYTES: usize = 64 << 10;
/// on a stack for as many nested calls as fit into that.
const NESTING_STACK: usize = 64 << 20;

/// Shows a message from its raw text.
pub(crate) fn fill(document: &mut Document, stored: &Stored<'_>, content: &[u8], limits: &Limits) {
    if !may_nest(content) {
        return parse(document, stored, content, limits);
    }
    let cut = &content[..content.len().min(NESTING_BYTES)];
    if cut.len() < content.len() {
        document.notes.push(Note::ContentCut { read: cut.len() as u64, of: stored.size_bytes });
    }
    let shown = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(NESTING_STACK);
        let thread = thread.spawn_scoped(scope, || parse(document, stored, cut, limits)).ok()?;
        thread.join().ok()
    });
    if shown.is_none() {
        document.notes.push(Note::NotUnderstood { what: "mail".to_owned() });
    }
}

/// Returns whether a message may hold another one in an encoding: the parser follows those by calling itself, and copies
/// what is left for each message within.
fn may_nest(content: &[u8]) -> bool {
    let has = |line: &[u8], word: &[u8]| line.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word));
    let mut is_type = false;
    content.split(|byte| *byte == b'\n').any(|line| {
        // A header goes on where a line begins with a space.
        is_type = (is_type && matches!(line.first(), Some(b' ' | b'\t'))) || has(line, b"content-type");
        is_type && [&b"rfc822"[..], b"global", b"digest"].iter().any(|subtype| has(line, subtype))
    })
}

fn parse(document: &mut Document, stored: &Stored<'_>, content: &[u8], limits: &Limits) {
    // Anything is a message to a parser that forgives; one without any header that mail has is none to a person.
    let is_mail = |message: &Message<'_>| {
        message.headers().iter().any(|header| !matches!(header.name, HeaderName::Other(_)))
    };
    let parsed = MessageParser::default().parse(content);
    match parsed.as_ref().filter(|message| is_mail(message)) {
        Some(message) => whole(document, stored, message, limits),
        None => {
            attributes::fill_mail(document, stored.attributes);
            document.notes.push(Note::NotUnderstood { what: "mail".to_owned() });
            file::fill(document, stored, content, limits);
        }
    }
    parsed.into_iter().for_each(take_apart);
}

/// Takes a message apart, level by level: one that holds a message, and so on for a hundred thousand times, would
/// otherwise be dropped by as many nested calls, for which no stack is large enough.
fn take_apart(message: Message<'_>) {
    let mut left = vec![message];
    while let Some(mut message) = left.pop() {
        for part in &mut message.parts {
            if let PartType::Message(inner) = std::mem::take(&mut part.body) {
                left.push(inner);
            }
        }
    }
}

fn whole(document: &mut Document, stored: &Stored<'_>, message: &Message<'_>, limits: &Limits) {
    headers(document, message);
    attributes::fill_mail(document, stored.attributes);
    body(document, message, limits);
    for part in message.attachments() {
        if document.attachments.len() == ATTACHMENTS_MAX {
            document.notes.push(Note::AttachmentsCut { shown: ATTACHMENTS_MAX as u64 });
            break;
        }
        document.attachments.push(attachment(part));
    }
}

fn headers(document: &mut Document, message: &Message<'_>) {
    document.field("From", &addresses(message.from()));
    if message.sender().is_some() {
        document.field("Sender", &addresses(message.sender()));
    }
    document.field("To", &addresses(message.to()));
    document.field("Cc", &addresses(message.cc()));
    document.field("Bcc", &addresses(message.bcc()));
    document.field("Reply-To", &addresses(message.reply_to()));
    document.field("Date", &message.date().map(date).unwrap_or_default());
    document.field("Subject", message.subject().unwrap_or_default());
    document.field("Message-ID", message.message_id().unwrap_or_default());
}

fn date(date: &mail_parser::DateTime) -> String {
    let written = date.to_rfc3339();
    time::told(&written).unwrap_or(written)
}

fn addresses(address: Option<&Address<'_>>) -> String {
    let Some(address) = address else { return String::new() };
    let mut texts: Vec<String> = address
        .iter()
        .take(ADDRESSES_MAX)
        .map(|one| match (one.name(), one.address()) {
            (Some(name), Some(address)) => format!("{name} <{address}>"),
            (Some(name), None) => name.to_owned(),
            (None, address) => address.unwrap_or_default().to_owned(),
        })
        .collect();
    if address.iter().nth(ADDRESSES_MAX).is_some() {
        texts.push("…".to_owned());
    }
    texts.join(", ")
}

fn body(document: &mut Document, message: &Message<'_>, limits: &Limits) {
    for part in message.text_bodies() {
        if document.body.len() >= limits.lines {
            return;
        }
        let text = match &part.body {
            PartType::Text(text) => text.to_string(),
            PartType::Html(page) => {
                if !document.notes.contains(&Note::FromHtml) {
                    document.notes.push(Note::FromHtml);
                }
                html::to_text(page)
            }
            _ => continue,
        };
        if text.contains(char::REPLACEMENT_CHARACTER) && !document.notes.contains(&Note::NotAllText) {
            document.notes.push(Note::NotAllText);
        }
        if !document.body.is_empty() {
            document.body.push(String::new());
        }
        document.text(text.trim_end(), limits);
    }
}

fn attachment(part: &MessagePart<'_>) -> Attachment {
    let media_type = part.content_type().map_or_else(
        || "message/rfc822".to_owned(),
        |kind| match kind.subtype() {
            Some(subtype) => format!("{}/{subtype}", kind.ctype()),
            None => kind.ctype().to_owned(),
        },
    );
    let name = match (part.attachment_name(), &part.body) {
        (Some(name), _) if !name.trim().is_empty() => name.to_owned(),
        (_, PartType::Message(inner)) => {
            format!("message: {}", inner.subject().filter(|text| !text.is_empty()).unwrap_or("(no subject)"))
        }
        _ => "(no name)".to_owned(),
    };
    Attachment {
        name: visible(&name, NAME_CHARACTERS),
        media_type: visible(&media_type, NAME_CHARACTERS),
        bytes: part.len() as u64,
    }
}
