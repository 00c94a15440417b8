//! Proving who we are, and having the server prove that it knows us.

use fallible_iterator::FallibleIterator;
use model::Redacted;
use postgres_protocol::{
    authentication::{
        md5_hash,
        sasl::{self, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramSha256},
    },
    message::{
        backend::{AuthenticationSaslBody, Message},
        frontend,
    },
};

use super::{Connection, malformed, unexpected};
use crate::{
    channel::Transport,
    error::{TlsError, WireError},
    settings::{ChannelBinding, ConnectionSettings},
};

pub(super) fn authenticate(
    connection: &mut Connection,
    settings: &ConnectionSettings,
    receive: impl Fn(&mut Connection) -> Result<Message, WireError>,
) -> Result<(), WireError> {
    let message = receive(connection)?;
    if settings.channel_binding == ChannelBinding::Require
        && !matches!(message, Message::AuthenticationSasl(_))
    {
        return Err(unbound(settings, "the server asks for no SCRAM exchange"));
    }
    match message {
        Message::AuthenticationOk => return Ok(()),
        Message::AuthenticationSasl(body) => {
            return scram(connection, settings, &body, receive);
        }
        Message::AuthenticationMd5Password(body) => {
            let password = password(settings)?;
            let answer = md5_hash(settings.user.as_bytes(), password.expose().as_bytes(), body.salt());
            send_password(connection, answer.as_bytes())?;
        }
        Message::AuthenticationCleartextPassword => {
            if !connection.session.encrypted && !connection.session.local {
                return Err(unsupported("the server wants the password in clear over an open network"));
            }
            let password = password(settings)?;
            send_password(connection, password.expose().as_bytes())?;
        }
        Message::AuthenticationGss | Message::AuthenticationSspi | Message::AuthenticationKerberosV5 => {
            return Err(unsupported("the server asks for Kerberos, GSSAPI or SSPI"));
        }
        Message::AuthenticationScmCredential => {
            return Err(unsupported("the server asks for SCM credentials"));
        }
        _ => return Err(unexpected("authenticating")),
    }
    match receive(connection)? {
        Message::AuthenticationOk => Ok(()),
        _ => Err(unexpected("authenticating")),
    }
}

fn scram(
    connection: &mut Connection,
    settings: &ConnectionSettings,
    offer: &AuthenticationSaslBody,
    receive: impl Fn(&mut Connection) -> Result<Message, WireError>,
) -> Result<(), WireError> {
    let (mechanism, binding) = choose_mechanism(connection, settings, offer)?;
    let password = password(settings)?;
    let unproven = |reason: String| WireError::ServerUnproven { user: settings.user.clone(), reason };
    let mut exchange = ScramSha256::new(password.expose().as_bytes(), binding);
    frontend::sasl_initial_response(mechanism, exchange.message(), connection.channel.outbox())
        .map_err(malformed)?;
    connection.channel.flush()?;

    let Message::AuthenticationSaslContinue(body) = receive(connection)? else {
        return Err(unexpected("authenticating by SCRAM"));
    };
    exchange.update(body.data()).map_err(|error| unproven(error.to_string()))?;
    frontend::sasl_response(exchange.message(), connection.channel.outbox()).map_err(malformed)?;
    connection.channel.flush()?;

    let Message::AuthenticationSaslFinal(body) = receive(connection)? else {
        return Err(unproven("it ended the exchange early".into()));
    };
    exchange.finish(body.data()).map_err(|error| unproven(error.to_string()))?;
    match receive(connection)? {
        Message::AuthenticationOk => Ok(()),
        _ => Err(unexpected("authenticating by SCRAM")),
    }
}

/// Chooses as libpq does. Telling "I could but you do not offer it" from "I cannot" is what lets the server see
/// that somebody on the way has removed the better mechanism from its offer.
fn choose_mechanism(
    connection: &Connection,
    settings: &ConnectionSettings,
    offer: &AuthenticationSaslBody,
) -> Result<(&'static str, sasl::ChannelBinding), WireError> {
    let (mut plain, mut plus) = (false, false);
    let mut mechanisms = offer.mechanisms();
    while let Some(mechanism) = mechanisms.next().map_err(malformed)? {
        plain |= mechanism == SCRAM_SHA_256;
        plus |= mechanism == SCRAM_SHA_256_PLUS;
    }
    let end_point = match connection.channel.transport() {
        Transport::Tls(tls) if settings.channel_binding != ChannelBinding::Disable => tls.server_end_point(),
        _ => None,
    };
    match end_point {
        Some(hash) if plus => Ok((SCRAM_SHA_256_PLUS, sasl::ChannelBinding::tls_server_end_point(hash))),
        _ if settings.channel_binding == ChannelBinding::Require => {
            Err(unbound(settings, "the connection or the server does not offer it"))
        }
        Some(_) if plain => Ok((SCRAM_SHA_256, sasl::ChannelBinding::unrequested())),
        None if plain => Ok((SCRAM_SHA_256, sasl::ChannelBinding::unsupported())),
        _ => Err(unsupported("the server offers no SCRAM mechanism that is known")),
    }
}

fn password(settings: &ConnectionSettings) -> Result<&Redacted<String>, WireError> {
    settings.password.as_ref().ok_or_else(|| WireError::PasswordMissing { user: settings.user.clone() })
}

fn send_password(connection: &mut Connection, answer: &[u8]) -> Result<(), WireError> {
    frontend::password_message(answer, connection.channel.outbox()).map_err(malformed)?;
    connection.channel.flush()
}

fn unsupported(reason: &str) -> WireError {
    WireError::AuthenticationUnsupported { reason: reason.to_owned() }
}

fn unbound(settings: &ConnectionSettings, reason: &'static str) -> WireError {
    WireError::Tls { endpoint: settings.endpoint(), source: TlsError::ChannelBinding { reason } }
}
