//! The Gmail API.

mod drafts;
mod history;
mod insert;
mod labels;
mod mailbox;
mod messages;
mod mime;
mod search;
mod send;
mod settings;
mod threads;
mod uploads;
mod watch;

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use hyper::Method;

pub(crate) use mailbox::{Content, Mailbox, Message};
#[cfg(test)]
pub(crate) use mime::head;
pub use watch::Notice;

use crate::{
    call::Call,
    oauth::scopes::{
        GMAIL_COMPOSE, GMAIL_INSERT, GMAIL_LABELS, GMAIL_METADATA, GMAIL_MODIFY, GMAIL_READONLY, GMAIL_SEND,
        GMAIL_SETTINGS_BASIC, GMAIL_SETTINGS_SHARING, MAIL,
    },
    refusal::Refusal,
    routes::{Handler, Route},
    seed,
    tenant::Tenant,
};

/// The mailboxes that were looked into so far, by the id of their user.
pub(crate) type Mailboxes = HashMap<Arc<str>, Mailbox>;

type Scopes = &'static [&'static str];

const META: Scopes = &[MAIL, GMAIL_MODIFY, GMAIL_READONLY, GMAIL_METADATA];
const PROFILE: Scopes = &[MAIL, GMAIL_COMPOSE, GMAIL_METADATA, GMAIL_MODIFY, GMAIL_READONLY];
const READ: Scopes = &[MAIL, GMAIL_MODIFY, GMAIL_READONLY];
const MODIFY: Scopes = &[MAIL, GMAIL_MODIFY];
const INSERT: Scopes = &[MAIL, GMAIL_INSERT, GMAIL_MODIFY];
const DELETE: Scopes = &[MAIL];
const LABELS_READ: Scopes = &[MAIL, GMAIL_LABELS, GMAIL_METADATA, GMAIL_MODIFY, GMAIL_READONLY];
const LABELS: Scopes = &[MAIL, GMAIL_LABELS, GMAIL_MODIFY];
const DRAFTS_READ: Scopes = &[MAIL, GMAIL_COMPOSE, GMAIL_MODIFY, GMAIL_READONLY];
const SEND: Scopes = &[MAIL, GMAIL_COMPOSE, GMAIL_MODIFY, GMAIL_SEND];
const DRAFTS: Scopes = &[MAIL, GMAIL_COMPOSE, GMAIL_MODIFY];
pub(super) const SETTINGS_READ: Scopes = &[MAIL, GMAIL_MODIFY, GMAIL_READONLY, GMAIL_SETTINGS_BASIC];
pub(super) const SETTINGS_BASIC: Scopes = &[GMAIL_SETTINGS_BASIC];
pub(super) const SETTINGS_SHARING: Scopes = &[GMAIL_SETTINGS_SHARING];
pub(super) const SETTINGS_BOTH: Scopes = &[GMAIL_SETTINGS_BASIC, GMAIL_SETTINGS_SHARING];

macro_rules! user {
    ($path:literal) => {
        concat!("gmail/v1/users/{userId}/", $path)
    };
}
pub(super) use user;

/// The routes, but for those of settings.
const MAIL_ROUTES: &[Route] = &[
    route("gmail.users.getProfile", Method::GET, user!("profile"), PROFILE, 1, messages::profile),
    route("gmail.users.watch", Method::POST, user!("watch"), META, 100, watch::watch),
    route("gmail.users.stop", Method::POST, user!("stop"), META, 50, watch::stop),
    route("gmail.users.history.list", Method::GET, user!("history"), META, 2, history::list),
    route("gmail.users.messages.list", Method::GET, user!("messages"), META, 5, messages::list),
    route("gmail.users.messages.get", Method::GET, user!("messages/{id}"), META, 20, messages::get),
    route(
        "gmail.users.messages.attachments.get",
        Method::GET,
        user!("messages/{messageId}/attachments/{id}"),
        READ,
        5,
        messages::attachment,
    ),
    route(
        "gmail.users.messages.modify",
        Method::POST,
        user!("messages/{id}/modify"),
        MODIFY,
        5,
        messages::modify,
    ),
    route(
        "gmail.users.messages.trash",
        Method::POST,
        user!("messages/{id}/trash"),
        MODIFY,
        5,
        messages::trash,
    ),
    route(
        "gmail.users.messages.untrash",
        Method::POST,
        user!("messages/{id}/untrash"),
        MODIFY,
        5,
        messages::untrash,
    ),
    route(
        "gmail.users.messages.delete",
        Method::DELETE,
        user!("messages/{id}"),
        DELETE,
        10,
        messages::delete,
    ),
    route(
        "gmail.users.messages.batchModify",
        Method::POST,
        user!("messages/batchModify"),
        MODIFY,
        50,
        messages::batch_modify,
    ),
    route(
        "gmail.users.messages.batchDelete",
        Method::POST,
        user!("messages/batchDelete"),
        DELETE,
        50,
        messages::batch_delete,
    ),
    route("gmail.users.messages.insert", Method::POST, user!("messages"), INSERT, 25, insert::insert),
    route("gmail.users.messages.import", Method::POST, user!("messages/import"), INSERT, 25, insert::import),
    route("gmail.users.labels.list", Method::GET, user!("labels"), LABELS_READ, 1, labels::list),
    route("gmail.users.labels.get", Method::GET, user!("labels/{id}"), LABELS_READ, 1, labels::get),
    route("gmail.users.labels.create", Method::POST, user!("labels"), LABELS, 5, labels::create),
    route("gmail.users.labels.patch", Method::PATCH, user!("labels/{id}"), LABELS, 5, labels::update),
    route("gmail.users.labels.update", Method::PUT, user!("labels/{id}"), LABELS, 5, labels::update),
    route("gmail.users.labels.delete", Method::DELETE, user!("labels/{id}"), LABELS, 5, labels::delete),
    route("gmail.users.threads.list", Method::GET, user!("threads"), META, 10, threads::list),
    route("gmail.users.threads.get", Method::GET, user!("threads/{id}"), META, 40, threads::get),
    route(
        "gmail.users.threads.modify",
        Method::POST,
        user!("threads/{id}/modify"),
        MODIFY,
        10,
        threads::modify,
    ),
    route("gmail.users.threads.trash", Method::POST, user!("threads/{id}/trash"), MODIFY, 10, threads::trash),
    route(
        "gmail.users.threads.untrash",
        Method::POST,
        user!("threads/{id}/untrash"),
        MODIFY,
        10,
        threads::untrash,
    ),
    route("gmail.users.threads.delete", Method::DELETE, user!("threads/{id}"), DELETE, 20, threads::delete),
    route("gmail.users.messages.send", Method::POST, user!("messages/send"), SEND, 100, send::send),
    route("gmail.users.drafts.send", Method::POST, user!("drafts/send"), DRAFTS, 100, send::send_draft),
    route("gmail.users.drafts.list", Method::GET, user!("drafts"), DRAFTS_READ, 5, drafts::list),
    route("gmail.users.drafts.get", Method::GET, user!("drafts/{id}"), DRAFTS_READ, 5, drafts::get),
    route("gmail.users.drafts.create", Method::POST, user!("drafts"), DRAFTS, 10, drafts::create),
    route("gmail.users.drafts.update", Method::PUT, user!("drafts/{id}"), DRAFTS, 15, drafts::update),
    route("gmail.users.drafts.delete", Method::DELETE, user!("drafts/{id}"), DRAFTS, 10, drafts::delete),
];

/// The tables of routes.
pub(crate) const ROUTES: [&[Route]; 3] = [MAIL_ROUTES, uploads::ROUTES, settings::ROUTES];

pub(super) const fn route(
    id: &'static str,
    method: Method,
    path: &'static str,
    scopes: Scopes,
    units: u32,
    handler: Handler,
) -> Route {
    Route { id, method, path, scopes, units, service: "gmail", handler }
}

/// Returns the mailbox that a call is about: the caller's own, if it has one.
fn open_mailbox<'a>(tenant: &'a mut Tenant, call: &Call) -> Result<&'a mut Mailbox, Refusal> {
    let key = call.parameter("userId");
    let id = tenant.own_user(call, key)?;
    tenant.mailbox(&id).ok_or_else(|| Refusal::precondition("Mail service not enabled"))
}

/// A message as it really is, for those who compare.
#[derive(Debug, Clone)]
pub struct Letter {
    /// The message's id: 16 hexadecimal digits.
    pub id: String,
    /// Its thread.
    pub thread: String,
    /// The names of its labels, in the order of their ids.
    pub labels: Vec<String>,
    /// Milliseconds since 1970.
    pub internal_date: i64,
    /// All of it, as RFC 5322 has it.
    pub raw: Bytes,
}

impl Tenant {
    /// Returns the mailbox of a user, deleted or not, by id; it is filled when it is first asked for.
    pub(crate) fn mailbox(&mut self, id: &Arc<str>) -> Option<&mut Mailbox> {
        if !self.mailboxes.contains_key(id) {
            let user = self.directory.any_user(id).filter(|user| user.has_mailbox)?;
            let mailbox = seed::mail::mailbox(self, user);
            self.mailboxes.insert(Arc::clone(id), mailbox);
        }
        let (lifetime, now) = (self.settings.trash_lifetime, self.clock.now());
        let mailbox = self.mailboxes.get_mut(id)?;
        if let Some(lifetime) = lifetime {
            mailbox.purge(lifetime, now);
        }
        Some(mailbox)
    }

    fn mailbox_of(&mut self, user: &str) -> Option<&mut Mailbox> {
        let id = Arc::clone(&self.directory.user(user)?.id);
        self.mailbox(&id)
    }

    /// Shows each message of a user's mailbox, trash and drafts included, the oldest id first; false without a mailbox.
    pub fn each_letter(&mut self, user: &str, mut show: impl FnMut(Letter)) -> bool {
        let Some(mailbox) = self.mailbox_of(user) else { return false };
        for (id, message) in mailbox.messages() {
            let name = |id: &Arc<str>| mailbox.labels.get(id).map(|label| label.name.clone());
            show(Letter {
                id: mailbox::hex(id),
                thread: mailbox::hex(message.thread),
                labels: message.labels.iter().filter_map(name).collect(),
                internal_date: message.internal_date,
                raw: message.content.bytes(),
            });
        }
        true
    }

    /// Delivers a message to a user's inbox, as the outside world does, and returns its id; `None` without a mailbox.
    pub fn deliver(&mut self, user: &str, raw: &[u8]) -> Option<String> {
        let now = self.now();
        let mailbox = self.mailbox_of(user)?;
        Some(mailbox::hex(insert::deliver(mailbox, raw, now)))
    }

    /// Makes a mailbox forget its history, so that whoever continues from before gets 404.
    pub fn expire_history(&mut self, user: &str) {
        if let Some(mailbox) = self.mailbox_of(user) {
            mailbox.history.expire();
        }
    }

    /// Returns what the watch of a mailbox has published so far.
    pub fn notices(&mut self, user: &str) -> Vec<Notice> {
        self.mailbox_of(user).map(|mailbox| mailbox.watch.notices.clone()).unwrap_or_default()
    }
}
