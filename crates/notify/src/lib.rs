//! Telling people and machines: signed webhooks, chat, mail, syslog, a file of findings.
//!
//! A [`Message`] is made once and sent over every [`Channel`]; what did not arrive is the caller's to record and to try
//! again. What is sent names things of the source and holds no secret.

mod chat;
mod file;
mod mail;
mod message;
mod syslog;
mod webhook;

use std::time::Duration;

pub use chat::Chat;
pub use file::FindingsFile;
pub use mail::{Mail, MailSettings, MailTls};
pub use message::{Message, Urgency};
pub use syslog::{Syslog, SyslogTransport};
pub use webhook::{SIGNATURE_HEADER, Webhook, signature};

/// How long reaching somebody may take before it counts as failed.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Why a message did not arrive.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// What was configured cannot be used; trying again does not help.
    #[error("the channel {channel} cannot be used: {reason}")]
    Settings {
        /// The channel.
        channel: String,
        /// What is wrong.
        reason: String,
    },
    /// Nobody answers; trying again may help.
    #[error("{channel} cannot be reached")]
    Unreachable {
        /// The channel.
        channel: String,
        /// What happened.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The other side did not take it.
    #[error("{channel} refused the message: {answer}")]
    Refused {
        /// The channel.
        channel: String,
        /// What it answered.
        answer: String,
        /// Whether it says that trying again may help.
        transient: bool,
    },
}

impl NotifyError {
    /// Returns whether sending the same message again may succeed.
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Settings { .. } => false,
            Self::Unreachable { .. } => true,
            Self::Refused { transient, .. } => *transient,
        }
    }
}

/// One way to somebody.
pub trait Channel: Send {
    /// Returns what people call it: `webhook alarm.example.org`. Without secrets.
    fn name(&self) -> &str;

    /// Sends a message. Sending it twice tells it twice; the message's id lets the other side see that.
    fn send(&self, message: &Message) -> Result<(), NotifyError>;
}
