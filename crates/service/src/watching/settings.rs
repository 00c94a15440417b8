//! What an installation says about watching: rules, who is who, whom to stop, whom to tell.

use std::{path::PathBuf, sync::Arc};

use connect_http::{HttpSettings, HttpTransport, Transport};
use model::Redacted;
use notify::{
    Channel, Chat, FindingsFile, Mail, MailSettings, MailTls, NotifyError, Syslog, SyslogTransport, Urgency,
    Webhook,
};
use serde::{Deserialize, Serialize};
use watch::{ActorKinds, Rules, policy::Policy};

use super::WatchError;
use crate::{Secrets, installation::Installation};

/// The section `[watch]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WatchConfig {
    /// A file of rules in place of the standard ones; relative to the home folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rules: Option<PathBuf>,
    /// How people, programs and agents are told apart.
    pub actors: ActorKinds,
    /// Who may be stopped, and by whom that is decided.
    pub containment: Policy,
    /// Who is told.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notify: Vec<ChannelConfig>,
}

/// One way to somebody, and from which urgency on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelConfig {
    /// What is less urgent is not sent.
    #[serde(default = "from_notice")]
    pub from: Urgency,
    /// The way.
    pub to: Way,
}

const fn from_notice() -> Urgency {
    Urgency::Notice
}

/// A way to somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Way {
    /// A `POST` that is signed.
    Webhook {
        /// Where.
        url: String,
        /// The shared secret, by reference.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        secret: Option<String>,
    },
    /// Slack, or whatever takes its incoming webhooks.
    Chat {
        /// The address, by reference: whoever has it can write.
        url: String,
    },
    /// A letter.
    Mail {
        /// The server.
        host: String,
        /// Its port; 587 if absent.
        #[serde(default = "submission_port")]
        port: u16,
        /// How the connection is protected.
        #[serde(default)]
        tls: MailTls,
        /// The account there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        account: Option<String>,
        /// Its password, by reference.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        password: Option<String>,
        /// The sender's address.
        sender: String,
        /// The receivers' addresses.
        receivers: Vec<String>,
    },
    /// A line of syslog (RFC 5424).
    Syslog {
        /// `HOST:PORT`.
        address: String,
        /// What carries the lines.
        #[serde(default)]
        transport: SyslogTransport,
    },
    /// OCSF findings as lines of a file.
    File {
        /// The file; relative to the home folder.
        path: PathBuf,
    },
}

const fn submission_port() -> u16 {
    587
}

/// Somebody who is told, and of what.
pub struct Listener {
    /// What is less urgent is not sent.
    pub from: Urgency,
    /// The way.
    pub to: Box<dyn Channel>,
}

impl WatchConfig {
    /// Returns the rules in force.
    pub fn rules(&self, installation: &Installation) -> Result<Rules, WatchError> {
        match &self.rules {
            None => Ok(Rules::standard()),
            Some(path) => {
                let text = ports::files::read_text(&installation.home().join(path))?;
                Ok(Rules::parse(&text)?)
            }
        }
    }

    /// Makes the channels; `environment` and the home folder hold their secrets.
    pub fn channels(
        &self,
        installation: &Installation,
        secrets: &Secrets<'_>,
    ) -> Result<Vec<Listener>, WatchError> {
        let transport: Arc<dyn Transport> =
            Arc::new(HttpTransport::new(HttpSettings::default()).map_err(|error| {
                WatchError::Channel(NotifyError::Settings {
                    channel: "http".to_owned(),
                    reason: error.to_string(),
                })
            })?);
        let make = |channel: &ChannelConfig| {
            let to = channel.to.channel(installation, secrets, &transport)?;
            Ok(Listener { from: channel.from, to })
        };
        self.notify.iter().map(make).collect()
    }
}

impl Way {
    fn channel(
        &self,
        installation: &Installation,
        secrets: &Secrets<'_>,
        transport: &Arc<dyn Transport>,
    ) -> Result<Box<dyn Channel>, WatchError> {
        let secret = |reference: &String| -> Result<Redacted<String>, WatchError> {
            Ok(secrets.resolve(reference).map_err(crate::ServiceError::from)?)
        };
        Ok(match self {
            Self::Webhook { url, secret: reference } => {
                let secret = reference.as_ref().map(secret).transpose()?;
                Box::new(Webhook::new(url.clone(), secret, Arc::clone(transport)))
            }
            Self::Chat { url } => Box::new(Chat::new(secret(url)?.expose().clone(), Arc::clone(transport))),
            Self::Mail { host, port, tls, account, password, sender, receivers } => {
                let account = match (account, password) {
                    (Some(account), Some(password)) => Some((account.clone(), secret(password)?)),
                    _ => None,
                };
                Box::new(Mail::new(&MailSettings {
                    host: host.clone(),
                    port: *port,
                    tls: *tls,
                    account,
                    from: sender.clone(),
                    to: receivers.clone(),
                })?)
            }
            Self::Syslog { address, transport } => {
                let machine = rustix::system::uname();
                let hostname = machine.nodename().to_string_lossy().into_owned();
                Box::new(Syslog::new(address.clone(), *transport, &hostname))
            }
            Self::File { path } => Box::new(FindingsFile::new(&installation.home().join(path))),
        })
    }
}
