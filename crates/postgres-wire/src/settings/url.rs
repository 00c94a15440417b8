//! The URL form of connection settings.

use std::{path::PathBuf, time::Duration};

use model::Redacted;

use super::{
    ChannelBinding, ConnectionSettings, DEFAULT_PORT, Host, RootCertificates, SettingsError, TlsMode,
};

pub(super) const PARAMETERS: &[&str] = &[
    "application_name",
    "channel_binding",
    "connect_timeout",
    "dbname",
    "host",
    "options",
    "password",
    "port",
    "sslmode",
    "sslrootcert",
    "user",
];

#[derive(Default)]
struct Parts {
    user: Option<String>,
    password: Option<String>,
    host: Option<String>,
    port: Option<u16>,
    database: Option<String>,
    tls: Option<TlsMode>,
    root_certificates: Option<RootCertificates>,
    channel_binding: Option<ChannelBinding>,
    application_name: Option<String>,
    connect_timeout: Option<Duration>,
    options: Option<String>,
}

pub(super) fn parse(url: &str) -> Result<ConnectionSettings, SettingsError> {
    let rest = url
        .strip_prefix("postgresql://")
        .or_else(|| url.strip_prefix("postgres://"))
        .ok_or(SettingsError::Scheme)?;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut parts = Parts::default();
    read_authority(authority, &mut parts)?;
    if !path.is_empty() {
        parts.database = Some(decode(path, "database")?);
    }
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').ok_or(SettingsError::Malformed { part: "query" })?;
        read_parameter(&decode(name, "query")?, decode(value, "query")?, &mut parts)?;
    }
    finish(parts)
}

fn read_authority(authority: &str, parts: &mut Parts) -> Result<(), SettingsError> {
    let (credentials, place) = match authority.rsplit_once('@') {
        Some((credentials, place)) => (Some(credentials), place),
        None => (None, authority),
    };
    if let Some(credentials) = credentials {
        let (user, password) = match credentials.split_once(':') {
            Some((user, password)) => (user, Some(password)),
            None => (credentials, None),
        };
        parts.user = Some(decode(user, "role")?).filter(|user| !user.is_empty());
        parts.password = password.map(|password| decode(password, "password")).transpose()?;
    }
    if place.contains(',') {
        return Err(SettingsError::SeveralHosts);
    }
    let (host, port) = split_place(place)?;
    if !host.is_empty() {
        parts.host = Some(decode(host, "host")?);
    }
    if let Some(port) = port.filter(|port| !port.is_empty()) {
        parts.port = Some(read_port(port)?);
    }
    Ok(())
}

/// Splits host and port; an IPv6 address stands in brackets.
fn split_place(place: &str) -> Result<(&str, Option<&str>), SettingsError> {
    let malformed = SettingsError::Malformed { part: "host" };
    if let Some(rest) = place.strip_prefix('[') {
        let (host, after) = rest.split_once(']').ok_or(malformed.clone())?;
        return match after.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if after.is_empty() => Ok((host, None)),
            None => Err(malformed),
        };
    }
    match place.split_once(':') {
        Some((host, port)) => Ok((host, Some(port))),
        None => Ok((place, None)),
    }
}

fn read_port(text: &str) -> Result<u16, SettingsError> {
    match text.parse::<u16>() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(SettingsError::Malformed { part: "port" }),
    }
}

fn read_parameter(name: &str, value: String, parts: &mut Parts) -> Result<(), SettingsError> {
    match name {
        "application_name" => parts.application_name = Some(value),
        "channel_binding" => parts.channel_binding = Some(read_channel_binding(&value)?),
        "connect_timeout" => parts.connect_timeout = read_timeout(&value)?,
        "dbname" => parts.database = Some(value),
        "host" => parts.host = Some(value),
        "options" => parts.options = Some(value),
        "password" => parts.password = Some(value),
        "port" => parts.port = Some(read_port(&value)?),
        "sslmode" => parts.tls = Some(read_tls_mode(&value)?),
        "sslrootcert" if value == "system" => parts.root_certificates = Some(RootCertificates::System),
        "sslrootcert" => parts.root_certificates = Some(RootCertificates::File(PathBuf::from(value))),
        "user" => parts.user = Some(value),
        _ => return Err(SettingsError::UnknownParameter { name: name.to_owned() }),
    }
    Ok(())
}

fn read_tls_mode(value: &str) -> Result<TlsMode, SettingsError> {
    match value {
        "disable" => Ok(TlsMode::Disable),
        "prefer" => Ok(TlsMode::Prefer),
        "require" => Ok(TlsMode::Require),
        "verify-ca" => Ok(TlsMode::VerifyCa),
        "verify-full" => Ok(TlsMode::VerifyFull),
        _ => Err(SettingsError::ParameterValue {
            name: "sslmode",
            expected: "disable, prefer, require, verify-ca or verify-full",
        }),
    }
}

fn read_channel_binding(value: &str) -> Result<ChannelBinding, SettingsError> {
    match value {
        "disable" => Ok(ChannelBinding::Disable),
        "prefer" => Ok(ChannelBinding::Prefer),
        "require" => Ok(ChannelBinding::Require),
        _ => Err(SettingsError::ParameterValue {
            name: "channel_binding",
            expected: "disable, prefer or require",
        }),
    }
}

/// Reads seconds; in libpq zero means "no limit", which here means "the caller's limit".
fn read_timeout(value: &str) -> Result<Option<Duration>, SettingsError> {
    let expected = "a number of seconds, at most 3600";
    match value.parse::<u64>() {
        Ok(0) => Ok(None),
        Ok(seconds) if seconds <= 3600 => Ok(Some(Duration::from_secs(seconds))),
        _ => Err(SettingsError::ParameterValue { name: "connect_timeout", expected }),
    }
}

fn finish(parts: Parts) -> Result<ConnectionSettings, SettingsError> {
    let host = parts.host.filter(|host| !host.is_empty()).ok_or(SettingsError::HostMissing)?;
    let user = parts.user.filter(|user| !user.is_empty()).ok_or(SettingsError::UserMissing)?;
    let mut settings = ConnectionSettings::new(Host::new(&host), user);
    settings.port = parts.port.unwrap_or(DEFAULT_PORT);
    settings.password = parts.password.map(Redacted::new);
    settings.database = parts.database.filter(|database| !database.is_empty());
    settings.tls = parts.tls.unwrap_or(settings.tls);
    settings.root_certificates = parts.root_certificates.unwrap_or(RootCertificates::System);
    settings.channel_binding = parts.channel_binding.unwrap_or(ChannelBinding::Prefer);
    settings.application_name = parts.application_name;
    settings.connect_timeout = parts.connect_timeout;
    settings.options = parts.options;
    Ok(settings)
}

fn decode(text: &str, part: &'static str) -> Result<String, SettingsError> {
    let malformed = SettingsError::Malformed { part };
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let high = rest.next().and_then(|digit| char::from(digit).to_digit(16));
        let low = rest.next().and_then(|digit| char::from(digit).to_digit(16));
        let (Some(high), Some(low)) = (high, low) else { return Err(malformed) };
        bytes.push((high * 16 + low) as u8);
    }
    // A zero byte would end the value early inside of the start-up message.
    if bytes.contains(&0) {
        return Err(malformed);
    }
    String::from_utf8(bytes).map_err(|_| malformed)
}
