//! Heads of messages: who writes to whom about what.

use model::Moment;

use super::{Correspondence, Oddity, kind, pick};
use crate::{stamp, text};

const SUBJECTS: &[&str] = &[
    "Invoice {n} is due",
    "Minutes of the {w} meeting",
    "Offer for {w}, revised",
    "Contract no. {n}",
    "Lunch on Thursday?",
    "{w}: open questions",
    "Weekly report, week {n}",
    "Re-planning of {w}",
    "Angebot für Größe {n} – Rückfrage",
    "Réunion « {w} » reportée",
    "見積書 {n} の件",
    "🎉 {w} has shipped",
    "Your order {n}",
    "[{w}] build {n} failed",
    "Access request: {w}",
    "",
];

const MATTERS: &[&str] = &[
    "Atlas",
    "roof repair",
    "payroll",
    "onboarding",
    "Q1 budget",
    "website",
    "Borealis",
    "audit",
    "fleet",
    "intranet",
];

impl Correspondence {
    /// Returns what stands in `Message-ID`, without angle brackets.
    pub(super) fn message_id(&self, number: u32) -> String {
        let bearer = if self.oddity(number) == Oddity::Twin { number - 1 } else { number };
        let domain = self.sender(bearer).1.split_once('@').map_or("", |(_, domain)| domain);
        format!("{:016x}.{bearer}@{domain}", self.draw(kind::SUBJECT, bearer))
    }

    /// Returns the subject.
    pub(super) fn subject(&self, number: u32) -> String {
        let first = self.first_of(number);
        let drawn = self.draw(kind::SUBJECT, first);
        let text = pick(SUBJECTS, drawn)
            .replace("{n}", &(1000 + (drawn >> 16) % 9000).to_string())
            .replace("{w}", pick(MATTERS, drawn >> 32));
        if number == first { text } else { format!("Re: {text}") }
    }

    /// Returns name and address of who wrote a message.
    pub(super) fn sender(&self, number: u32) -> &(String, String) {
        if self.is_sent(number) { &self.owner } else { self.partner(number) }
    }

    /// Returns whom the owner writes with in a thread.
    fn partner(&self, number: u32) -> &(String, String) {
        let drawn = self.draw(kind::PERSON, self.first_of(number));
        &self.others[(drawn >> 8) as usize % self.others.len()]
    }

    /// Writes everything up to the headers of the body's format.
    pub(super) fn write_head(&self, number: u32) -> String {
        let moment = Moment::from_micros(self.millis(number) * 1000);
        let (from, to) = if self.is_sent(number) {
            (&self.owner, self.partner(number))
        } else {
            (self.partner(number), &self.owner)
        };
        let date = stamp::rfc2822(moment);
        let mut head = String::with_capacity(1024);
        if !self.is_sent(number) {
            let host = format!("mx{}.{}", number % 4, self.domain);
            head.push_str(&format!("Delivered-To: {}\r\n", to.1));
            head.push_str(&format!(
                "Received: from mail.{} by {host}\r\n with ESMTPS id {:016x}\r\n for <{}>;\r\n {date}\r\n",
                from.1.split_once('@').map_or("", |(_, domain)| domain),
                self.draw(kind::TIME, number),
                to.1
            ));
        }
        head.push_str(&format!("Message-ID: <{}>\r\n", self.message_id(number)));
        if self.oddity(number) != Oddity::Undated {
            head.push_str(&format!("Date: {date}\r\n"));
        }
        head.push_str(&format!("From: {}\r\nTo: {}\r\n", mailbox(from), mailbox(to)));
        if self.draw(kind::PERSON, number).is_multiple_of(7) {
            let copied = &self.others[(number as usize * 7 + 3) % self.others.len()];
            head.push_str(&format!("Cc: {}\r\n", mailbox(copied)));
        }
        head.push_str(&format!("Subject: {}\r\n", encoded(&self.subject(number))));
        let first = self.first_of(number);
        if number > first {
            head.push_str(&format!("In-Reply-To: <{}>\r\nReferences:", self.message_id(number - 1)));
            for earlier in first..number {
                head.push_str(&format!(" <{}>", self.message_id(earlier)));
                if earlier + 1 < number {
                    head.push_str("\r\n");
                }
            }
            head.push_str("\r\n");
        }
        head.push_str("MIME-Version: 1.0\r\n");
        head
    }
}

/// Writes a name with its address.
fn mailbox((name, address): &(String, String)) -> String {
    if name.is_ascii() { format!("\"{name}\" <{address}>") } else { format!("{} <{address}>", encoded(name)) }
}

/// Writes a text for a header: as encoded words when it is not plain.
pub(super) fn encoded(text: &str) -> String {
    /// How many letters fit into an encoded word whatever they are.
    const LETTERS: usize = 10;
    if text.is_ascii() {
        return text.to_owned();
    }
    let letters: Vec<char> = text.chars().collect();
    let words = letters.chunks(LETTERS).map(|chunk| {
        let chunk: String = chunk.iter().collect();
        let plain = text::base64url(chunk.as_bytes()).replace('-', "+").replace('_', "/");
        format!("=?UTF-8?B?{plain}?=")
    });
    words.collect::<Vec<_>>().join("\r\n ")
}
