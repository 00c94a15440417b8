//! A domain of very many versions, from a seed: three in five are mail, a quarter files, the rest events and contacts.

use catalog::{Applied, Catalog};
use model::{Item, Ledger, Moment, SourceName, StreamName};
use ports::SystemRandom;
use service::Installation;
use vault::{Change, CommitHash, Content, Layout};

/// So many changes are in a commit.
const CHANGES_EACH: usize = 1_000;
/// So many contents are really stored; the versions share them.
const CONTENTS: u64 = 5_000;
const WORDS: u64 = 20_000;
const MAILBOXES: u64 = 20;
pub(crate) const MAILBOX: &str = "gmail/user0@acme.test";
pub(crate) const DRIVE: &str = "drive/user0@acme.test";
const FOLDER_TYPE: &str = "application/vnd.google-apps.folder";

/// Numbers from a seed.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }
}

/// Makes the word of a rank; the low ones occur most often.
pub(crate) fn word(rank: u64) -> String {
    const SYLLABLES: [&str; 16] = [
        "ba", "lo", "mi", "tra", "ne", "ku", "vor", "sel", "pin", "da", "gru", "eu", "zan", "fi", "ho", "rit",
    ];
    let mut rest = rank + 20;
    let mut word = String::new();
    while rest > 0 {
        word.push_str(SYLLABLES[(rest % 16) as usize]);
        rest /= 16;
    }
    word
}

/// Draws a rank: the first words take a large share, as in any language.
pub(crate) fn rank(numbers: &mut Numbers) -> u64 {
    let share = (numbers.below(1 << 20) as f64 + 1.0) / f64::from(1 << 20);
    ((WORDS as f64).powf(share) as u64 - 1).min(WORDS - 1)
}

pub(crate) fn title(numbers: &mut Numbers) -> String {
    let words: Vec<String> = (0..4 + numbers.below(4)).map(|_| word(rank(numbers))).collect();
    words.join(" ")
}

/// Stores some messages in the vault, so that items have contents to be read.
pub(crate) fn contents(installation: &Installation, source: &SourceName) -> Vec<Content> {
    let (writer, _) = installation.writer(&|_| None).unwrap();
    let mut commit = writer.begin(source);
    let mut numbers = Numbers(7);
    let contents = (0..CONTENTS).map(|_| {
        let lines: Vec<String> = (0..20).map(|_| title(&mut numbers)).collect();
        let text = format!(
            "From: {0} <{0}@acme.test>\r\nTo: user0@acme.test\r\nSubject: {1}\r\nDate: Mon, 2 Mar 2026 10:00:00 +0000\r\n\r\n{2}\r\n",
            word(rank(&mut numbers)),
            title(&mut numbers),
            lines.join("\r\n")
        );
        commit.store_bytes(Layout::Small, text.as_bytes()).unwrap()
    });
    let contents = contents.collect();
    commit.finish(&vault::Cursor(Vec::new())).unwrap();
    contents
}

pub(crate) struct Corpus<'a> {
    pub(crate) catalog: &'a mut Catalog,
    pub(crate) contents: &'a [Content],
    numbers: Numbers,
    changes: Vec<Change>,
    sequence: u64,
    pub(crate) versions: u64,
}

impl<'a> Corpus<'a> {
    pub(crate) fn new(catalog: &'a mut Catalog, contents: &'a [Content]) -> Self {
        Self { catalog, contents, numbers: Numbers(1), changes: Vec::new(), sequence: 0, versions: 0 }
    }

    fn push(&mut self, change: Change) {
        self.versions += u64::from(!matches!(change, Change::Removed { .. }));
        self.changes.push(change);
        if self.changes.len() == CHANGES_EACH {
            self.commit();
        }
    }

    pub(crate) fn commit(&mut self) {
        self.sequence += 1;
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&self.sequence.to_le_bytes());
        let count = self.changes.len() as u64;
        let applied = Applied {
            sequence: self.sequence,
            hash: CommitHash(hash),
            vault_time: Moment::from_micros(1_770_000_000_000_000 + self.sequence as i64 * 60_000_000),
            cursor: b"here".to_vec(),
            ledger: Ledger { enumerated: count, stored: count, ..Ledger::default() },
        };
        self.catalog.apply(&applied, self.changes.drain(..)).unwrap();
    }

    fn item(&mut self, stream: &str, key: String, attributes: String) {
        let content = self.contents[self.numbers.below(self.contents.len() as u64) as usize].clone();
        let item = Item { stream: StreamName::new(stream).unwrap(), key, attributes };
        self.push(Change::Upsert { item, content });
    }

    fn mail(&mut self, stream: &str, id: u64, labels: &str) {
        let (mut of_item, sender) = (Numbers(id), rank(&mut Numbers(id ^ 0x77)) % 500);
        // One message in two thousand has a word that hardly any other one has.
        let rare = if id % 2_000 == 1 { format!(" rare{id}x") } else { String::new() };
        let subject = title(&mut of_item) + &rare;
        let attributes = format!(
            r#"{{"thread":"{id:016x}","labels":[{labels}],"received_ms":{},"subject":"{subject}","from":"{}@partner.test","message_id":"{id:016x}@partner.test"}}"#,
            1_770_000_000_000 + id,
            word(sender)
        );
        self.item(stream, message_key(id), attributes);
    }

    fn file(&mut self, id: u64, parent: &str, kind: &str) {
        let name = title(&mut Numbers(id ^ 0x99));
        let attributes = format!(
            r#"{{"name":"{name}.pdf","mimeType":"{kind}","parents":["{parent}"],"createdTime":"2026-03-02T10:00:00Z","modifiedTime":"2026-03-02T10:00:00Z","version":"7","size":"2000","owners":[{{"emailAddress":"user0@acme.test","permissionId":"1"}}],"permissions":[{{"id":"1","type":"user","role":"owner","emailAddress":"user0@acme.test"}}]}}"#
        );
        self.item(DRIVE, format!("file/{id:012x}"), attributes);
    }

    /// Makes so many versions; a fifth of all lies in one mailbox, and a fifth in one folder of a drive.
    pub(crate) fn make(&mut self, versions: u64) {
        let part = versions / 50;
        for id in 0..10 * part {
            self.mail(MAILBOX, id, "\"INBOX\"");
        }
        for id in 10 * part..29 * part {
            let stream = format!("gmail/user{}@acme.test", 1 + id % (MAILBOXES - 1));
            self.mail(&stream, id, "\"INBOX\",\"UNREAD\"");
        }
        self.file(1, "", FOLDER_TYPE);
        self.file(2, "000000000001", FOLDER_TYPE);
        for id in 0..10 * part {
            self.file(1_000_000_000 + id, "000000000002", "application/pdf");
        }
        for id in 0..2 * part {
            let (folder, kind) = (1000 + id / 100, "application/pdf");
            if id.is_multiple_of(100) {
                self.file(folder, "000000000001", FOLDER_TYPE);
            }
            self.file(3_000_000_000 + id, &format!("{folder:012x}"), kind);
        }
        for id in 0..2 * part {
            let summary = title(&mut Numbers(id ^ 0x55));
            let attributes = format!(
                r#"{{"summary":"{summary}","start":"2026-03-02T10:00:00Z","status":"confirmed","organizer":"user0@acme.test","hash":"0123456789abcdef0123456789abcdef"}}"#
            );
            self.item("calendar/user0@acme.test", format!("event/user0@acme.test/{id:012x}"), attributes);
        }
        for id in 0..2 * part {
            let (first, last) = (word(id % WORDS), word(id / 7 % WORDS));
            let attributes = format!(
                r#"{{"resource":"people/c{id}","name":"{first} {last}","email":"{first}@{last}.test","hash":"0123456789abcdef0123456789abcdef"}}"#
            );
            self.item("contacts/user0@acme.test", format!("person/{id:012x}"), attributes);
        }
        // What is read: a second version each, all over the mailboxes. What is deleted: every fiftieth message.
        while self.versions < versions {
            let id = self.numbers.below(10 * part);
            self.mail(MAILBOX, id, "\"INBOX\",\"STARRED\"");
        }
        for id in (0..10 * part).step_by(50) {
            let stream = StreamName::new(MAILBOX).unwrap();
            self.push(Change::Removed { stream, key: message_key(id) });
        }
        self.commit();
    }
}

/// Ids of messages grow with time, with gaps.
pub(crate) fn message_key(id: u64) -> String {
    format!("message/{:016x}", 0x18c0_0000_0000_0000 + (id << 20) + Numbers(id).below(1 << 20))
}

/// Chance for making keys: what is measured does not depend on it.
pub(crate) fn chance() -> SystemRandom {
    SystemRandom
}
