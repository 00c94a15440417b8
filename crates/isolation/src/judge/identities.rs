//! What the capture's identities may do in production, and what production's logins may do to the vault.

use connect::Finding;

use super::{not_made, some};
use crate::{
    Credential,
    trial::{RoleSeen, Summary, Trial},
};

/// Attributes and memberships with which a role that has no right on any table can still write.
const WRITING: [&str; 9] = [
    "SUPERUSER",
    "CREATEROLE",
    "CREATEDB",
    "pg_write_all_data",
    "pg_write_server_files",
    "pg_execute_server_program",
    "pg_maintain",
    "pg_create_subscription",
    "pg_database_owner",
];

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Judges whether the role that captures a cluster could write in it.
pub fn capture_role(source: &str, seen: &Result<RoleSeen, String>) -> Vec<Finding> {
    let subject = format!("the role that captures {source} cannot write");
    let seen = match seen {
        Ok(seen) => seen,
        Err(why) => {
            let missing = "let the role connect to a database in pg_hba.conf, so that its rights can be read";
            return vec![not_made(subject, why, missing)];
        }
    };
    let role = quoted(&seen.name);
    let mut findings = vec![attributes(&subject, seen, &role)];
    let subject = format!("the role that captures {source} may change no table");
    let looked =
        format!("{} tables of {} databases ({})", seen.tables, seen.databases.len(), some(&seen.databases));
    findings.push(match &seen.example {
        Some(example) => Finding::bad(
            subject,
            format!("it may change {} of {looked}, such as {example}", seen.writable),
            format!("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {role}, PUBLIC; and what else grants it"),
        ),
        None if seen.databases.is_empty() => {
            not_made(subject, some(&seen.unseen), "let the role connect to a database in pg_hba.conf")
        }
        None => {
            Finding::good(subject, format!("none of {looked}, through itself or a role that it can become"))
        }
    });
    if !seen.unseen.is_empty() && !seen.databases.is_empty() {
        findings.push(not_made(
            format!("every database of {source} was looked at"),
            some(&seen.unseen),
            "let the role connect to these in pg_hba.conf, or see yourself that it owns nothing there",
        ));
    }
    if !seen.borrowed.is_empty() {
        findings.push(not_made(
            format!("functions of {source} lend the capturing role no rights"),
            format!("it may call {} that run as their owners: {}", seen.borrowed.len(), some(&seen.borrowed)),
            format!("REVOKE EXECUTE ON FUNCTION … FROM PUBLIC; for those that write ({role} needs none)"),
        ));
    }
    if !seen.schemas.is_empty() {
        findings.push(Finding::advice(
            format!("the role that captures {source} cannot make tables"),
            format!("it may create in {}; what is there it cannot change by that", some(&seen.schemas)),
            "REVOKE CREATE ON SCHEMA public FROM PUBLIC;",
        ));
    }
    findings.push(attempts(source, &seen.trials));
    findings
}

fn attributes(subject: &str, seen: &RoleSeen, role: &str) -> Finding {
    let held = seen.attributes.iter().chain(&seen.memberships);
    let held: Vec<&String> = held.filter(|name| WRITING.contains(&name.as_str())).collect();
    if held.is_empty() {
        let member = if seen.memberships.is_empty() { "none".to_owned() } else { some(&seen.memberships) };
        let attributes =
            if seen.attributes.is_empty() { "none".to_owned() } else { seen.attributes.join(", ") };
        return Finding::good(
            subject,
            format!("role {}: attributes {attributes}; member of {member}", seen.name),
        );
    }
    let fixes: Vec<String> = held
        .iter()
        .map(|name| {
            if seen.attributes.contains(name) {
                format!("ALTER ROLE {role} NO{name};")
            } else {
                format!("REVOKE {name} FROM {role};")
            }
        })
        .collect();
    Finding::bad(subject, format!("role {} has {}", seen.name, some(&held)), fixes.join(" "))
}

/// What was really tried. That transactions are read-only by default would hold nobody: each may say otherwise.
fn attempts(source: &str, trials: &[Trial]) -> Finding {
    let subject = format!("what the role that captures {source} tries to write is refused");
    let summary = Summary::of(trials);
    if !summary.done.is_empty() {
        let fix = "take the right away that the server's answer shows, then run doctor again";
        return Finding::bad(subject, format!("it was not: {}", some(&summary.done)), fix);
    }
    if summary.refused.is_empty() {
        let why = if summary.unknown.is_empty() {
            "nothing could be tried".to_owned()
        } else {
            some(&summary.unknown)
        };
        return not_made(subject, why, "let the role connect to a database with a table in pg_hba.conf");
    }
    Finding::good(subject, format!("in transactions that were rolled back: {}", some(&summary.refused)))
}

/// What lies between a database server's own user and a vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerReach {
    /// The vault is not on the server's machine; the evidence.
    Apart(String),
    /// It is, and these are the ways in which the server's user could destroy it.
    Ways(Vec<String>),
    /// Nobody knows; why.
    Unknown(String),
}

/// Judges a login of production: what it is, and whether it gets at a vault that lies on the server's own machine.
pub fn login(
    credential: &Credential,
    seen: &Result<RoleSeen, String>,
    is_capture: Option<&str>,
    reach: &ServerReach,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(source) = is_capture {
        findings.push(Finding::advice(
            format!("{credential} is not the role that captures {source}"),
            "it is: whoever has it can drop the slot, after which changes are lost, and read everything",
            "give production a role of its own, and change this role's password",
        ));
    }
    let subject = format!("{credential} does not reach the vault");
    let seen = match seen {
        Ok(seen) => seen,
        Err(why) => {
            let missing = "unwipe doctor --network, where the server can be reached";
            findings.push(not_made(subject, why, missing));
            return findings;
        }
    };
    let attributes =
        if seen.attributes.is_empty() { "no attributes".to_owned() } else { seen.attributes.join(", ") };
    let is = format!("the server let it in as {}, with {attributes}", seen.name);
    findings.push(match (seen.commands_server(), reach) {
        (_, ServerReach::Apart(apart)) => Finding::good(subject, format!("{is}; {apart}")),
        (None, _) => {
            Finding::good(subject, format!("{is}; it runs no programs on the server's machine and writes no files"))
        }
        (Some(by), ServerReach::Unknown(why)) => not_made(
            subject,
            format!("{is}; by {by} it runs programs as the server's user, and {why}"),
            "run doctor on the vault's host, as a user who may look at the vault's folder",
        ),
        (Some(by), ServerReach::Ways(ways)) if ways.is_empty() => Finding::good(
            subject,
            format!("{is}; by {by} it runs programs as the server's user, who may not change the vault's files"),
        ),
        (Some(by), ServerReach::Ways(ways)) => Finding::bad(
            subject,
            format!("{is}; by {by} it runs programs as the server's user, who may {}", some(ways)),
            "keep the vault on another host (docs/guide/vault-on-another-host.md), or under a user of its own",
        ),
    });
    findings
}

/// Judges whether a domain gives the capture's key a token that writes.
pub fn capture_scopes(source: &str, trials: &[Trial]) -> Finding {
    let subject = format!("the key that captures {source} gets no token that writes");
    let summary = Summary::of(trials);
    if !summary.done.is_empty() {
        return Finding::bad(
            subject,
            format!(
                "the domain gives it {} of {}: {}",
                summary.done.len(),
                trials.len(),
                some(&summary.done)
            ),
            "Admin console, Security, API controls, Domain-wide delegation: leave it the scopes that end in .readonly",
        );
    }
    if !summary.unknown.is_empty() || trials.is_empty() {
        return not_made(subject, some(&summary.unknown), "run doctor again where Google can be reached");
    }
    Finding::good(
        subject,
        format!("{} scopes asked for, each refused: {}", trials.len(), some(&summary.refused)),
    )
}
