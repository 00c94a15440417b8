//! Mailboxes: what is in them is decided by seed and owner, and written anew whenever it is read.

mod body;
mod head;

use std::{collections::BTreeSet, sync::Arc};

use serde_json::{Map, Value, json};

use super::names::{nth, pick};
use crate::{
    directory::User,
    gmail::{Content, Mailbox, Message},
    stamp,
    tenant::Tenant,
    text,
};

/// Labels of the user's that every mailbox has; names as people choose them.
const LABELS: [&str; 9] = [
    "Projects",
    "Projects/2026",
    "Projects/2026/Q1 \"launch\"",
    "Clients/Müller & Söhne",
    "v1.2.3 release.notes",
    "🚀 Launch",
    "\u{200f}חשבוניות",
    "To do",
    "Customers' feedback",
];

/// Whoever wrote to whom in one mailbox, with all that is needed to write any of its messages.
#[derive(Debug)]
pub(crate) struct Correspondence {
    seed: u64,
    /// Milliseconds since 1970 before which everything was written.
    end: i64,
    count: u32,
    /// Name and address of the owner.
    owner: (String, String),
    /// Names and addresses of others, inside and outside of the domain.
    others: Arc<Vec<(String, String)>>,
    domain: String,
}

/// How a message is unlike the usual ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Oddity {
    None,
    /// It has no Date.
    Undated,
    /// It has the Message-ID of the message before it.
    Twin,
    /// Its parts are never closed, its header lies about its charset, its base64 is cut off.
    Broken,
}

/// Kinds of numbers that are drawn.
mod kind {
    pub(super) const THREAD: u64 = 11;
    pub(super) const TIME: u64 = 12;
    pub(super) const LABELS: u64 = 13;
    pub(super) const PERSON: u64 = 14;
    pub(super) const SUBJECT: u64 = 15;
    pub(super) const ODDITY: u64 = 16;
    pub(super) const BODY: u64 = 17;
    pub(super) const SIZE: u64 = 18;
}

const DAY_MILLIS: i64 = 86_400_000;

impl Correspondence {
    /// Returns the number of the first message of a message's thread. Threads are runs of one to six messages.
    fn first_of(&self, number: u32) -> u32 {
        // A message begins a thread or goes on with one, as its own number has it; five of six in the middle go on.
        let begins =
            |number: u32| number == 0 || nth(self.seed, kind::THREAD, u64::from(number)).is_multiple_of(2);
        (0..6).map(|back| number.saturating_sub(back)).find(|number| begins(*number)).unwrap_or(number)
    }

    /// Returns when a message was written, in milliseconds since 1970. Later numbers are later.
    fn millis(&self, number: u32) -> i64 {
        let step = (2 * 365 * DAY_MILLIS / i64::from(self.count.max(1))).clamp(60_000, 6 * DAY_MILLIS);
        let jitter = (nth(self.seed, kind::TIME, u64::from(number)) % (step as u64 / 2).max(1)) as i64;
        let millis = self.end - i64::from(self.count - number) * step + jitter;
        // Date headers know seconds only, and a seeded mailbox has come by delivery in the same second.
        millis - millis.rem_euclid(1000)
    }

    fn oddity(&self, number: u32) -> Oddity {
        match nth(self.seed, kind::ODDITY, u64::from(number)) % 200 {
            0 | 1 => Oddity::Undated,
            2 | 3 if number > 0 => Oddity::Twin,
            4..=6 => Oddity::Broken,
            _ => Oddity::None,
        }
    }

    /// Tells whether the owner wrote a message.
    fn is_sent(&self, number: u32) -> bool {
        number != self.first_of(number) && nth(self.seed, kind::PERSON, u64::from(number)).is_multiple_of(3)
    }

    fn draw(&self, kind: u64, number: u32) -> u64 {
        nth(self.seed, kind, u64::from(number))
    }

    /// Writes a message: the same bytes each time.
    pub(crate) fn write(&self, number: u32) -> Vec<u8> {
        let mut raw = self.write_head(number).into_bytes();
        self.write_body(number, &mut raw);
        raw
    }

    /// Returns the labels' ids of a message.
    fn labels(&self, number: u32, own: &[Arc<str>]) -> BTreeSet<Arc<str>> {
        let drawn = self.draw(kind::LABELS, number);
        let mut labels = BTreeSet::new();
        let mut add = |label: &str| labels.insert(text::shared(label));
        match drawn % 100 {
            _ if self.is_sent(number) => add("SENT"),
            0..=2 => add("SPAM"),
            3..=5 => add("TRASH"),
            6..=59 => add("INBOX"),
            // The rest was archived.
            _ => false,
        };
        if (drawn >> 8).is_multiple_of(4) && !self.is_sent(number) {
            add("UNREAD");
        }
        if (drawn >> 16).is_multiple_of(20) {
            add("STARRED");
        }
        if (drawn >> 24).is_multiple_of(5) {
            add("IMPORTANT");
        }
        if (drawn >> 32).is_multiple_of(3) {
            add(pick(
                &["CATEGORY_UPDATES", "CATEGORY_PROMOTIONS", "CATEGORY_PERSONAL", "CATEGORY_SOCIAL"],
                drawn >> 40,
            ));
        }
        if (drawn >> 44).is_multiple_of(3) {
            labels.insert(Arc::clone(&own[(drawn >> 50) as usize % own.len()]));
        }
        labels
    }
}

/// Fills the mailbox of a user.
pub(crate) fn mailbox(tenant: &Tenant, user: &User) -> Mailbox {
    let seed = text::mixed(tenant.settings.seed ^ text::drawn(user.id.as_bytes()));
    let mut mailbox = Mailbox::new(&user.primary_email, seed);
    let own: Vec<Arc<str>> = LABELS.iter().map(|name| mailbox.add_label(name, looks(name))).collect();
    let count = tenant.settings.size.messages;
    let correspondence = Arc::new(Correspondence {
        seed,
        end: stamp::millis(tenant.anchor),
        count,
        owner: (format!("{} {}", user.given_name, user.family_name), user.primary_email.clone()),
        others: Arc::clone(&tenant.correspondents),
        domain: tenant.settings.domain.clone(),
    });
    let mut ids: Vec<u64> = Vec::with_capacity(count as usize);
    for number in 0..count {
        let id = mailbox.new_id(correspondence.millis(number));
        ids.push(id);
        let thread = ids[correspondence.first_of(number) as usize];
        let message = Message {
            thread,
            labels: correspondence.labels(number, &own),
            internal_date: correspondence.millis(number),
            history: mailbox.history.current().saturating_sub(u64::from(count - number)),
            message_id: correspondence.message_id(number).into(),
            subject: correspondence.subject(number).into(),
            from: correspondence.sender(number).1.clone().into(),
            content: Content::Seeded(Arc::clone(&correspondence), number),
        };
        mailbox.furnish(id, message, tenant.started);
    }
    furnish_drafts(&mut mailbox, &ids);
    furnish_settings(tenant, user, &mut mailbox, &own);
    mailbox
}

fn looks(name: &str) -> Map<String, Value> {
    let mut looks = Map::new();
    looks.insert("messageListVisibility".to_owned(), "show".into());
    looks.insert("labelListVisibility".to_owned(), "labelShow".into());
    if name.starts_with("Projects") {
        looks.insert("color".to_owned(), json!({ "backgroundColor": "#16a765", "textColor": "#ffffff" }));
    }
    looks
}

/// Makes a draft of one in a hundred messages that the owner wrote last.
fn furnish_drafts(mailbox: &mut Mailbox, ids: &[u64]) {
    let wanted = (ids.len() / 100).clamp(1, 20);
    let sent = ids.iter().rev().filter(|id| mailbox.message(**id).is_some_and(|message| message.has("SENT")));
    let chosen: Vec<u64> = sent.take(wanted).copied().collect();
    for id in chosen {
        mailbox.make_draft(id);
    }
}

fn furnish_settings(tenant: &Tenant, user: &User, mailbox: &mut Mailbox, own: &[Arc<str>]) {
    let drawn = nth(tenant.settings.seed, kind::LABELS, text::drawn(user.id.as_bytes()));
    let signature = format!(
        "<div dir=\"ltr\"><b>{} {}</b><br>Acme &middot; <a href=\"https://{}\">acme</a></div>",
        user.given_name, user.family_name, tenant.settings.domain
    );
    let settings = &mut mailbox.settings;
    if let Some(alias) = settings.lists.get_mut("sendAs") {
        alias[0]["signature"] = signature.into();
        alias[0]["displayName"] = format!("{} {}", user.given_name, user.family_name).into();
        alias.extend(user.aliases.iter().map(|address| {
            json!({
                "sendAsEmail": address, "displayName": user.given_name, "replyToAddress": user.primary_email,
                "signature": "", "isDefault": false, "treatAsAlias": true, "verificationStatus": "accepted",
            })
        }));
    }
    if let Some(filters) = settings.lists.get_mut("filters") {
        filters.push(json!({
            "id": format!("ANe1Bm{:016x}", text::mixed(drawn)),
            "criteria": { "from": "billing@supplier.example", "hasAttachment": true },
            "action": { "addLabelIds": [&*own[7]], "removeLabelIds": ["INBOX"] },
        }));
    }
    if drawn.is_multiple_of(3) {
        let colleague = tenant.correspondents.iter().find(|(_, address)| *address != user.primary_email);
        if let (Some((_, address)), Some(delegates)) = (colleague, settings.lists.get_mut("delegates")) {
            delegates.push(json!({ "delegateEmail": address, "verificationStatus": "accepted" }));
        }
    }
    if (drawn >> 8).is_multiple_of(4) {
        let address = format!("{}@home.example", user.given_name.to_lowercase());
        if let Some(addresses) = settings.lists.get_mut("forwardingAddresses") {
            addresses.push(json!({ "forwardingEmail": address, "verificationStatus": "accepted" }));
        }
        settings.singles.insert(
            "autoForwarding",
            json!({ "enabled": true, "emailAddress": address, "disposition": "leaveInInbox" }),
        );
    }
    if (drawn >> 16).is_multiple_of(4) {
        settings.singles.insert(
            "vacation",
            json!({
                "enableAutoReply": true, "responseSubject": "Out of office", "restrictToDomain": false,
                "responseBodyHtml": "<p>Back on Monday &#128075;</p>", "restrictToContacts": true,
            }),
        );
    }
}

#[cfg(test)]
mod tests;
