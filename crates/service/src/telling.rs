//! Telling people over the configured channels, once, without waiting for anybody.

use model::{Moment, SourceName};
use notify::{Message, Urgency};

use crate::{Installation, Secrets, operations, secret::Environment, watching::WatchError};

/// Sends messages to the channels that want to hear of them; returns what did not arrive, and why. May block as long as the
/// channels take.
pub(crate) fn send(
    installation: &Installation,
    environment: Environment<'_>,
    messages: &[Message],
) -> Result<Vec<String>, WatchError> {
    if messages.is_empty() || installation.config().watch.notify.is_empty() {
        return Ok(Vec::new());
    }
    let secrets = Secrets::new(installation.home(), environment);
    let channels = installation.config().watch.channels(installation, &secrets)?;
    let mut failed = Vec::new();
    for message in messages {
        for channel in channels.iter().filter(|channel| message.urgency >= channel.from) {
            if let Err(error) = channel.to.send(message) {
                failed.push(format!("{}: {error}", channel.to.name()));
            }
        }
    }
    Ok(failed)
}

/// What people are told, before it is a message.
pub(crate) struct Told<'t> {
    /// The message's name: who is sent it twice knows that it is the same.
    pub(crate) id: String,
    /// The rule under which it is found among findings.
    pub(crate) rule: &'t str,
    /// Whether it should wake somebody.
    pub(crate) urgency: Urgency,
    /// The title of the finding.
    pub(crate) finding: String,
    /// The title of the message.
    pub(crate) title: String,
    /// What is behind it.
    pub(crate) explanation: String,
    /// Where more is told.
    pub(crate) lines: Vec<String>,
    /// When it happened.
    pub(crate) at: Moment,
}

impl Told<'_> {
    /// Makes a message of it.
    pub(crate) fn message(self, now: Moment) -> Option<Message> {
        let seen = watch::Notice {
            rule: self.rule.to_owned(),
            title: self.finding,
            source: SourceName::new(operations::SOURCE).ok()?,
            scope: String::new(),
            actor: None,
            kind: watch::ActorKind::Unknown,
            at: self.at,
            explanation: self.explanation,
        };
        Some(Message {
            id: self.id,
            at: now,
            urgency: self.urgency,
            title: self.title,
            lines: self.lines,
            finding: watch::ocsf::notice(&seen, env!("CARGO_PKG_VERSION"), now),
        })
    }
}
