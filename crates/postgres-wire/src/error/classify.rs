//! From SQLSTATE to [`WireError`].
//!
//! Messages are translated by the server, so decisions rest on the SQLSTATE and on words that no translation
//! touches: file names, setting names, quoted names, WAL segment names.

use std::net::IpAddr;

use crate::{
    connection::Mode,
    error::{ServerError, WireError},
    quote_identifier,
};

/// What an error message means depends on who talks to what.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) user: String,
    pub(crate) mode: Mode,
    pub(crate) database: String,
    pub(crate) encrypted: bool,
    pub(crate) local: bool,
}

/// Before or after the server has let us in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Startup,
    Command,
}

pub(crate) fn classify(server: ServerError, session: &Session, phase: Phase) -> WireError {
    let server = Box::new(server);
    let user = session.user.clone();
    let replication = !matches!(session.mode, Mode::Sql);
    match server.sqlstate.as_str() {
        "28000" if server.message.contains("pg_hba.conf") => {
            WireError::NotAdmitted { line: admission_line(&server.message, session), server }
        }
        "28P01" | "28000" => WireError::AuthenticationRefused { user, server },
        "42501" => WireError::MissingPrivilege { remedy: remedy(&server, session, phase), user, server },
        "53300" if server.message.contains("max_wal_senders") => {
            WireError::Exhausted { setting: "max_wal_senders", resource: "WAL sender", server }
        }
        "53300" => WireError::Exhausted { setting: "max_connections", resource: "connection", server },
        "53400" if replication => {
            WireError::Exhausted { setting: "max_replication_slots", resource: "replication slot", server }
        }
        "57P01" | "57P02" | "57P03" => WireError::Unavailable { server },
        "55006" if replication => WireError::SlotInUse { server },
        "42704" if replication => WireError::SlotMissing { server },
        "42710" if replication => WireError::SlotExists { server },
        "55000" if replication && is_invalidation(&server) => WireError::SlotInvalidated { server },
        "58P01" if names_a_segment(&server.message) => WireError::WalRemoved { server },
        _ => WireError::Server { server },
    }
}

/// 55000 has many meanings; only the ones about a lost slot quote the slot's name and no setting.
fn is_invalidation(server: &ServerError) -> bool {
    let detail = server.detail.as_deref().unwrap_or_default();
    let words = ["no longer", "invalidated", "previously reserved WAL"];
    words.iter().any(|word| server.message.contains(word) || detail.contains(word))
}

/// A WAL segment's name is 24 hexadecimal digits, in every language.
fn names_a_segment(message: &str) -> bool {
    message
        .split(|c: char| !c.is_ascii_alphanumeric())
        .any(|word| word.len() == 24 && word.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// The line of `pg_hba.conf` that would admit this session, from the address as the server sees it.
fn admission_line(message: &str, session: &Session) -> String {
    let database = match session.mode {
        Mode::PhysicalReplication => "replication".to_owned(),
        Mode::Sql | Mode::LogicalReplication { .. } => hba_name(&session.database),
    };
    let user = hba_name(&session.user);
    if session.local {
        return format!("local {database} {user} scram-sha-256");
    }
    let kind = if session.encrypted { "hostssl" } else { "host" };
    let address = message.split('"').find_map(|quoted| quoted.parse::<IpAddr>().ok());
    let address = match address {
        Some(IpAddr::V4(address)) => format!("{address}/32"),
        Some(IpAddr::V6(address)) => format!("{address}/128"),
        None => "samenet".to_owned(),
    };
    format!("{kind} {database} {user} {address} scram-sha-256")
}

/// A name that `pg_hba.conf` could take for a keyword or several words must be quoted there.
fn hba_name(name: &str) -> String {
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && !name.is_empty();
    let keyword = ["all", "sameuser", "samerole", "samegroup", "replication"].contains(&name);
    if plain && !keyword { name.to_owned() } else { quote_identifier(name) }
}

/// SQL that gives the missing privilege, where the error tells which one it is.
fn remedy(server: &ServerError, session: &Session, phase: Phase) -> Option<String> {
    let role = quote_identifier(&session.user);
    match session.mode {
        Mode::PhysicalReplication => return Some(format!("ALTER ROLE {role} REPLICATION;")),
        Mode::LogicalReplication { .. } if phase == Phase::Startup || names_replication(server) => {
            return Some(format!("ALTER ROLE {role} REPLICATION;"));
        }
        Mode::Sql if names_replication(server) => return Some(format!("ALTER ROLE {role} REPLICATION;")),
        _ => {}
    }
    let rest = server.message.strip_prefix("permission denied for ")?;
    let (kind, name) = rest.split_once(' ')?;
    match kind {
        "table" | "view" | "relation" => Some(format!("GRANT SELECT ON {name} TO {role};")),
        "sequence" => Some(format!("GRANT SELECT ON SEQUENCE {name} TO {role};")),
        "schema" => Some(format!("GRANT USAGE ON SCHEMA {name} TO {role};")),
        "function" => Some(format!("GRANT EXECUTE ON FUNCTION {name} TO {role};")),
        "database" => {
            let privilege = if phase == Phase::Startup { "CONNECT" } else { "CREATE" };
            let database = name.trim_matches('"');
            Some(format!("GRANT {privilege} ON DATABASE {} TO {role};", quote_identifier(database)))
        }
        _ => None,
    }
}

fn names_replication(server: &ServerError) -> bool {
    let detail = server.detail.as_deref().unwrap_or_default();
    server.message.contains("replication") || detail.contains("REPLICATION")
}
