//! Messages as a mail server keeps them, one in each file: threads, quotes, signatures, and attachments that go round.

use crate::{Folder, random::Random, text::Language};

const MESSAGES: u64 = 100_000;
const PER_FOLDER: u64 = 1000;
const PEOPLE: u64 = 400;
/// The share of messages with attachments.
const ATTACHED: f64 = 0.17;
/// How often an attachment is that of an earlier thread.
const FORWARDED: f64 = 0.45;
const LATELY: u64 = 300;
const LINE: usize = 76;

pub(crate) struct Mailbox {
    language: Language,
    seed: u64,
}

impl Mailbox {
    pub(crate) fn new(seed: u64) -> Self {
        Self { language: Language::new(seed), seed }
    }

    pub(crate) fn write(&self, folder: &Folder, scale: f64) -> std::io::Result<()> {
        let count = (MESSAGES as f64 * scale) as u64;
        (0..count).try_for_each(|number| folder.create(&path(number), &self.message(number, 0)))
    }

    /// What a day brings: new messages, flags that change, and some are deleted.
    pub(crate) fn change(&self, folder: &Folder, scale: f64, round: u64) -> std::io::Result<()> {
        let count = (MESSAGES as f64 * scale) as u64;
        let mut random = Random::of(self.seed, 1 << 40 | round);
        for _ in 0..count * 2 / 1000 {
            let number = random.below(count);
            folder.replace(&path(number), &self.message(number, round))?;
        }
        for _ in 0..count / 1000 {
            folder.remove(&path(random.below(count)))?;
        }
        let first = count + (round - 1) * (count * 7 / 1000);
        (first..first + count * 7 / 1000)
            .try_for_each(|number| folder.create(&path(number), &self.message(number, 0)))
    }

    fn message(&self, number: u64, edition: u64) -> Vec<u8> {
        let mut random = Random::of(self.seed, number);
        let (from, to) = (random.below(PEOPLE), random.below(PEOPLE));
        let mut out = Vec::with_capacity(32 << 10);
        let mut put = |text: String| out.extend_from_slice(text.as_bytes());
        let (a, b) = (random.next(), random.next());
        put(format!("Return-Path: <person{from}@example{}.org>\r\n", from % 23));
        put(format!("Delivered-To: person{to}@company.example\r\n"));
        for hop in 0..3_u64 {
            put(format!(
                "Received: from mx{hop}.example{}.org (mx{hop}.example{}.org [192.0.2.{}])\r\n\tby mail.company.example with ESMTPS id {a:016x}{hop}\r\n\tfor <person{to}@company.example>; Tue, {:02} Mar 2026 {:02}:{:02}:{:02} +0000\r\n",
                from % 23,
                from % 23,
                from % 250,
                number / 3600 % 28 + 1,
                number / 60 % 24,
                number % 60,
                a % 60,
            ));
        }
        let mut signature = [0; 192];
        random.fill(&mut signature);
        put("DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=s1;\r\n\tb=".to_owned());
        put(base64_lines(&signature, 70, "\r\n\t"));
        if edition > 0 {
            put(format!("\r\nX-Status: seen {edition}"));
        }
        let subject = self.language.title(&mut Random::of(self.seed ^ 0x5, number / 6), 5);
        put(format!("\r\nMessage-ID: <{a:016x}.{b:08x}@example{}.org>\r\n", from % 23));
        put(format!(
            "Date: Tue, {:02} Mar 2026 {:02}:{:02}:00 +0000\r\n",
            number / 3600 % 28 + 1,
            number / 60 % 24,
            number % 60
        ));
        put(format!(
            "From: Person {from} <person{from}@example{}.org>\r\nTo: Person {to} <person{to}@company.example>\r\n",
            from % 23
        ));
        put(format!(
            "Subject: {}{subject}\r\nMIME-Version: 1.0\r\n",
            if number.is_multiple_of(6) { "" } else { "Re: " }
        ));
        let boundary = format!("=_part_{b:016x}");
        put(format!(
            "Content-Type: multipart/mixed; boundary=\"{boundary}\"\r\n\r\n--{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
        ));
        self.body(&mut random, number, from, &mut out);
        if random.chance(ATTACHED) {
            for _ in 0..=random.below(2) {
                // A thread has its attachment; some are those of earlier threads.
                let thread = number / 6;
                let back = if random.chance(FORWARDED) { random.below(LATELY) } else { 0 };
                let id = thread.saturating_sub(back);
                self.attachment(id, &boundary, &mut out);
            }
        }
        out.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        out
    }

    /// New text above what it answers to, and a signature with small print.
    fn body(&self, random: &mut Random, number: u64, from: u64, out: &mut Vec<u8>) {
        let own = random.log_normal(900.0, 0.8).min(20_000.0) as usize;
        self.language.write(random, own, 72, "\r\n", out);
        out.extend_from_slice(format!("\r\n--\r\nPerson {from}\r\n").as_bytes());
        self.language.write(&mut Random::of(self.seed ^ 0x9, from % 23), 420, 72, "\r\n", out);
        for earlier in (number - number % 6..number).rev() {
            let mut quoted = Vec::new();
            let mut random = Random::of(self.seed ^ 0x11, earlier);
            let length = random.log_normal(900.0, 0.8).min(6000.0) as usize;
            self.language.write(&mut random, length, 68, "\r\n> ", &mut quoted);
            out.extend_from_slice(b"\r\n> ");
            out.extend_from_slice(&quoted);
        }
    }

    fn attachment(&self, id: u64, boundary: &str, out: &mut Vec<u8>) {
        let mut random = Random::of(self.seed ^ 0x7, id);
        let size = random.log_normal(28_000.0, 1.2).min(4_000_000.0) as usize;
        let kind = random.below(10);
        let (name, mut content) = match kind {
            0..4 => ("photo.jpg", vec![0; size]),
            4..7 => ("report.pdf", Vec::with_capacity(size)),
            _ => ("table.csv", Vec::with_capacity(size)),
        };
        match kind {
            0..4 => random.fill(&mut content),
            4..7 => {
                // Streams that are compressed already, between text that is not.
                while content.len() < size {
                    self.language.write(&mut random, 1500, 80, "\n", &mut content);
                    let start = content.len();
                    content.resize(start + 5000, 0);
                    random.fill(&mut content[start..]);
                }
            }
            _ => {
                while content.len() < size {
                    let row = format!(
                        "{},2026-{:02}-{:02},{},{}.{:02}\n",
                        id * 1000 + random.below(1000),
                        random.between(1, 13),
                        random.between(1, 29),
                        self.language.title(&mut random, 3),
                        random.below(5000),
                        random.below(100)
                    );
                    content.extend_from_slice(row.as_bytes());
                }
            }
        }
        let head = format!(
            "\r\n--{boundary}\r\nContent-Type: application/octet-stream; name=\"{id}-{name}\"\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=\"{id}-{name}\"\r\n\r\n"
        );
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(base64_lines(&content, LINE, "\r\n").as_bytes());
    }
}

fn path(number: u64) -> String {
    format!("{:04}/{number:08}.eml", number / PER_FOLDER)
}

/// Writes base64 in lines; an encoder of its own, so that the measured one is not its own judge.
fn base64_lines(bytes: &[u8], width: usize, end: &str) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len() * 3 / 2);
    let mut column = 0;
    for group in bytes.chunks(3) {
        if column == width - width % 4 {
            text.push_str(end);
            column = 0;
        }
        let number = group.iter().chain(&[0, 0]).take(3).fold(0_u32, |all, byte| all << 8 | u32::from(*byte));
        for place in 0..4 {
            let digit = (number >> (18 - 6 * place) & 63) as usize;
            text.push(if place <= group.len() { char::from(ALPHABET[digit]) } else { '=' });
        }
        column += 4;
    }
    text
}
