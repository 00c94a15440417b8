//! Mail over SMTP.

use lettre::{
    Message as Letter, SmtpTransport, Transport as _,
    message::{Mailbox, header::ContentType},
    transport::smtp::{
        authentication::Credentials,
        client::{Tls, TlsParameters},
    },
};
use model::Redacted;
use serde::{Deserialize, Serialize};

use crate::{Channel, Message, NotifyError, TIMEOUT, Urgency, webhook::settings};

/// How the connection to a mail server is protected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MailTls {
    /// TLS from the first byte, as on port 465.
    Always,
    /// TLS after `STARTTLS`, as on port 587; a server without it is refused.
    #[default]
    Starttls,
    /// None: for a server on this machine.
    None,
}

/// Where mail goes and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailSettings {
    /// The server's name.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub tls: MailTls,
    /// The account and its password, where the server wants one.
    pub account: Option<(String, Redacted<String>)>,
    /// The sender's address.
    pub from: String,
    /// The receivers' addresses.
    pub to: Vec<String>,
}

/// Sends a letter for each message.
pub struct Mail {
    name: String,
    transport: SmtpTransport,
    from: Mailbox,
    to: Vec<Mailbox>,
}

impl Mail {
    /// Makes a channel; nothing is connected yet.
    pub fn new(mail: &MailSettings) -> Result<Self, NotifyError> {
        let name = format!("mail {}", mail.host);
        let address = |text: &String| {
            text.parse::<Mailbox>().map_err(|error| settings(&name, format!("{text:?}: {error}")))
        };
        let tls =
            || TlsParameters::new(mail.host.clone()).map_err(|error| settings(&name, error.to_string()));
        let tls = match mail.tls {
            MailTls::Always => Tls::Wrapper(tls()?),
            MailTls::Starttls => Tls::Required(tls()?),
            MailTls::None => Tls::None,
        };
        let mut transport =
            SmtpTransport::builder_dangerous(&mail.host).port(mail.port).tls(tls).timeout(Some(TIMEOUT));
        if let Some((account, password)) = &mail.account {
            transport = transport.credentials(Credentials::new(account.clone(), password.expose().clone()));
        }
        let to = mail.to.iter().map(address).collect::<Result<_, _>>()?;
        Ok(Self { transport: transport.build(), from: address(&mail.from)?, to, name })
    }

    fn letter(&self, message: &Message) -> Result<Letter, NotifyError> {
        let prefix = if message.urgency == Urgency::Alarm { "ALARM: " } else { "" };
        let mut letter = Letter::builder()
            .from(self.from.clone())
            .subject(format!("{prefix}{}", message.title))
            .message_id(Some(format!("<{}@unwipe.invalid>", message.id)))
            .date(
                std::time::UNIX_EPOCH
                    + std::time::Duration::from_micros(message.at.as_micros().max(0) as u64),
            )
            .header(ContentType::TEXT_PLAIN);
        for to in &self.to {
            letter = letter.to(to.clone());
        }
        letter.body(message.text()).map_err(|error| settings(&self.name, error.to_string()))
    }
}

impl Channel for Mail {
    fn name(&self) -> &str {
        &self.name
    }

    fn send(&self, message: &Message) -> Result<(), NotifyError> {
        let letter = self.letter(message)?;
        match self.transport.send(&letter) {
            Ok(_) => Ok(()),
            Err(error) if error.is_permanent() || error.is_transient() => Err(NotifyError::Refused {
                channel: self.name.clone(),
                answer: error.to_string(),
                transient: error.is_transient(),
            }),
            Err(error) => {
                Err(NotifyError::Unreachable { channel: self.name.clone(), source: Box::new(error) })
            }
        }
    }
}
