//! Messages: who wrote to whom, the text, what hangs on it.

use mail_parser::{Address, Message, MessageParser, MessagePart, MimeHeaders, PartType};

use crate::{
    Stored, attributes,
    document::{Attachment, Document, Limits, Note},
    file, html,
    visible::visible,
};

const ATTACHMENTS_MAX: usize = 100;
const ADDRESSES_MAX: usize = 50;
const NAME_CHARACTERS: usize = 200;

/// Shows a message from its raw text.
pub(crate) fn fill(document: &mut Document, stored: &Stored<'_>, content: &[u8], limits: &Limits) {
    let parsed = MessageParser::default().parse(content).filter(|message| !message.headers().is_empty());
    let Some(message) = parsed else {
        attributes::fill_mail(document, stored.attributes);
        document.notes.push(Note::NotUnderstood { what: "mail".to_owned() });
        file::fill(document, stored, content, limits);
        return;
    };
    headers(document, &message);
    attributes::fill_mail(document, stored.attributes);
    body(document, &message, limits);
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
    document.field("Date", &message.date().map(mail_parser::DateTime::to_rfc3339).unwrap_or_default());
    document.field("Subject", message.subject().unwrap_or_default());
    document.field("Message-ID", message.message_id().unwrap_or_default());
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
