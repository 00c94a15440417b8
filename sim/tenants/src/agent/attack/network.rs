//! Attacks by network and by SQL.

use std::{
    collections::BTreeSet,
    fs,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use super::{Attack, Outcome};
use crate::agent::{Credential, CredentialKind};

/// Tries every credential on every port that a vault's process listens on.
///
/// Whether there is such a port is read from the system, not assumed. None means that no credential has anything to
/// knock at.
pub fn attack_listeners(process_id: u32, credentials: &[Credential]) -> Vec<Attack> {
    let ports = listening_ports(process_id);
    credentials
        .iter()
        .map(|credential| {
            let what = match credential.kind {
                CredentialKind::RailwayToken => "the platform's account token",
                CredentialKind::RailwayProjectToken => "the platform's project token",
                CredentialKind::DatabaseUrl => "a database URL",
            };
            let outcome = match &ports {
                Err(error) => Outcome::NotTried { why: format!("process {process_id}: {error}") },
                Ok(ports) if ports.is_empty() => {
                    Outcome::Held { by: "no listening port: there is nothing to connect to".to_owned() }
                }
                Ok(ports) => knock(ports, credential),
            };
            Attack {
                name: format!("{what} against the vault"),
                attacker: format!("holder of the credential from {}", credential.found_in),
                tried: format!("every TCP port on which process {process_id} listens"),
                outcome,
            }
        })
        .collect()
}

fn knock(ports: &BTreeSet<u16>, credential: &Credential) -> Outcome {
    let configuration = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(5)))
        .build();
    let agent = configuration.new_agent();
    let mut answers = Vec::new();
    for &port in ports {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let request = agent.delete(format!("http://{address}/"));
        match request.header("Authorization", format!("Bearer {}", credential.secret)).call() {
            Ok(response) if response.status().is_success() => {
                return Outcome::Succeeded { lost: format!("port {port} answered {}", response.status()) };
            }
            Ok(response) => answers.push(format!("port {port} answered {}", response.status())),
            Err(error) => answers.push(format!("port {port}: {error}")),
        }
    }
    Outcome::Held { by: answers.join(", ") }
}

/// Reads from `/proc` on which TCP ports a process listens.
fn listening_ports(process_id: u32) -> std::io::Result<BTreeSet<u16>> {
    let mut inodes = BTreeSet::new();
    for entry in fs::read_dir(format!("/proc/{process_id}/fd"))? {
        // A descriptor may be closed while we look.
        let Ok(link) = entry.and_then(|entry| fs::read_link(entry.path())) else { continue };
        let text = link.to_string_lossy().into_owned();
        if let Some(inode) = text.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']')) {
            inodes.insert(inode.to_owned());
        }
    }
    let mut ports = BTreeSet::new();
    for table in ["tcp", "tcp6"] {
        // A machine without IPv6 has no second table.
        let Ok(text) = fs::read_to_string(format!("/proc/{process_id}/net/{table}")) else { continue };
        ports.extend(text.lines().skip(1).filter_map(|line| listener(line, &inodes)));
    }
    Ok(ports)
}

fn listener(line: &str, inodes: &BTreeSet<String>) -> Option<u16> {
    const LISTEN: &str = "0A";
    let columns: Vec<&str> = line.split_whitespace().collect();
    let (local, state, inode) = (columns.get(1)?, columns.get(3)?, columns.get(9)?);
    if *state != LISTEN || !inodes.contains(*inode) {
        return None;
    }
    u16::from_str_radix(local.rsplit(':').next()?, 16).ok()
}

const STATEMENTS: [(&str, &str, &str); 5] = [
    ("delete rows", "BEGIN; DELETE FROM public.bookings; ROLLBACK", "every row of a table"),
    ("truncate a table", "BEGIN; TRUNCATE public.bookings CASCADE; ROLLBACK", "a table's content"),
    ("drop a table", "BEGIN; DROP TABLE public.bookings CASCADE; ROLLBACK", "a table"),
    ("drop a schema", "BEGIN; DROP SCHEMA public CASCADE; ROLLBACK", "a schema"),
    (
        "run a program on the server",
        "BEGIN; COPY (SELECT 1) TO PROGRAM 'true'; ROLLBACK",
        "the database host",
    ),
];

/// Tries what the capture's own credential can do to production, harmlessly: every statement is rolled back.
///
/// `slot` names a replication slot that the capture holds; dropping it cannot be rolled back, so it is tried only
/// when named, and only a rehearsal should. `execute_sql` uses the credential and returns the server's refusal.
pub fn attack_database(
    credential: &str,
    slot: Option<&str>,
    mut execute_sql: impl FnMut(&str) -> Result<(), String>,
) -> Vec<Attack> {
    let drop_slot = slot.map(|slot| {
        let slot = slot.replace('\'', "''");
        (
            "drop the capture's slot",
            format!("SELECT pg_drop_replication_slot('{slot}')"),
            "the slot's position",
        )
    });
    STATEMENTS
        .iter()
        .map(|(name, sql, lost)| (*name, (*sql).to_owned(), *lost))
        .chain(drop_slot)
        .map(|(name, sql, lost)| {
            let outcome = match execute_sql(&sql) {
                Ok(()) => Outcome::Succeeded { lost: lost.to_owned() },
                Err(by) => Outcome::Held { by },
            };
            Attack { name: name.to_owned(), attacker: credential.to_owned(), tried: sql, outcome }
        })
        .collect()
}
