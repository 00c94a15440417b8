//! Checks before a cluster is protected: each finding carries its evidence and what would mend it.

use std::sync::Arc;

use connect::{Finding, Standing};
use ports::Clock;
use postgres_wire::{Connection, Limits, Mode, WireError, quote_identifier};

use crate::{layout::PAGE_BYTES, settings::ClusterSettings};

mod facts;
#[cfg(test)]
mod tests;

pub use facts::{Facts, RoleFacts};
pub(crate) use facts::{gather, megabytes};

/// The oldest and the newest major version whose WAL is understood.
pub const MAJORS: std::ops::RangeInclusive<u32> = 13..=18;

/// Predefined roles that let their members change or read data beyond what a capture needs.
const STRONG_ROLES: [&str; 5] = [
    "pg_write_all_data",
    "pg_write_server_files",
    "pg_execute_server_program",
    "pg_read_server_files",
    "pg_read_all_data",
];

/// What is suggested for `max_slot_wal_keep_size` at least.
const SLOT_KEEP_MB_MIN: u64 = 10 * 1024;

/// Returns whether a finding stands in the way.
pub fn is_blocked(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.standing == Standing::Bad)
}

/// Turns a failed connection into a finding; the error's own hint is the fix.
pub fn unreachable(settings: &ClusterSettings, error: &WireError) -> Finding {
    let mut evidence = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        evidence.push_str(": ");
        evidence.push_str(&cause.to_string());
        source = cause.source();
    }
    let fix = error.hint().unwrap_or_else(|| format!("check the address of {}", settings.replication));
    Finding::bad("the server lets the replication role in", evidence, fix)
}

/// Judges what was seen.
pub fn judge(facts: &Facts, settings: &ClusterSettings) -> Vec<Finding> {
    let mut findings = vec![
        Finding::good("the server lets the replication role in", settings.replication.to_string()),
        encryption(facts),
        version(facts),
        page_size(facts),
        standby(facts, settings),
        wal_level(facts),
        slot_bound(facts),
        capacity("max_wal_senders", facts.senders_max, facts.senders_used, facts.sender_is_ours),
        capacity("max_replication_slots", facts.slots_max, facts.slots_used, facts.slot_exists),
        full_page_writes(facts),
        safety("fsync", "off", facts.fsync, "ALTER SYSTEM SET fsync = on; SELECT pg_reload_conf();"),
        safety(
            "data_checksums",
            "off",
            facts.data_checksums,
            "stop the server, then run: pg_checksums --enable -D DATA_DIRECTORY",
        ),
    ];
    findings.extend(role(facts));
    findings.extend(names(facts, settings));
    findings.extend(synchronous(facts, settings));
    findings
}

fn encryption(facts: &Facts) -> Finding {
    let subject = "the connection cannot be overheard";
    if facts.encrypted {
        Finding::good(subject, "TLS is in use")
    } else if facts.local {
        Finding::good(subject, "the connection does not leave this machine")
    } else {
        Finding::advice(subject, "no TLS is in use", "add ?sslmode=verify-full to the address")
    }
}

fn version(facts: &Facts) -> Finding {
    let (oldest, newest) = (MAJORS.start(), MAJORS.end());
    let subject = format!("the major version is one of {oldest} to {newest}");
    if MAJORS.contains(&facts.major) {
        Finding::good(subject, format!("PostgreSQL {}", facts.major))
    } else {
        Finding::bad(subject, format!("PostgreSQL {}", facts.major), "upgrade the server")
    }
}

fn page_size(facts: &Facts) -> Finding {
    let subject = format!("pages have {PAGE_BYTES} bytes");
    let evidence = format!("block_size = {}, wal_block_size = {}", facts.page_bytes, facts.wal_page_bytes);
    if facts.page_bytes == PAGE_BYTES && facts.wal_page_bytes == PAGE_BYTES {
        Finding::good(subject, evidence)
    } else {
        Finding::bad(subject, evidence, "use a server that is built with the default page size")
    }
}

fn standby(facts: &Facts, settings: &ClusterSettings) -> Finding {
    let subject = "the server is a primary";
    match (facts.standby, settings.standby_allowed) {
        (false, _) => Finding::good(subject, "it is not in recovery"),
        (true, true) => Finding::advice(
            subject,
            "it is a standby, which is allowed for this source",
            "protect the primary: what a standby has not received yet is not protected",
        ),
        (true, false) => Finding::bad(
            subject,
            "it is a standby (pg_is_in_recovery)",
            "give the address of the primary, or allow a standby for this source (standby = true)",
        ),
    }
}

fn wal_level(facts: &Facts) -> Finding {
    let subject = "wal_level is at least replica";
    let evidence = format!("wal_level = {}", facts.wal_level);
    if facts.wal_level == "minimal" {
        let fix = "ALTER SYSTEM SET wal_level = 'replica'; then restart the server";
        Finding::bad(subject, evidence, fix)
    } else {
        Finding::good(subject, evidence)
    }
}

fn slot_bound(facts: &Facts) -> Finding {
    let subject = "a forgotten slot cannot fill the server's disk";
    let evidence = match facts.slot_keep_mb {
        -1 => "max_slot_wal_keep_size = -1 (unbounded)".to_owned(),
        megabytes => format!("max_slot_wal_keep_size = {megabytes}MB"),
    };
    if facts.slot_keep_mb > 0 {
        Finding::good(subject, evidence)
    } else {
        Finding::bad(subject, evidence, slot_bound_fix(facts.wal_size_max_mb))
    }
}

/// Returns the statements that bound a slot. The disk cannot be seen from here, so the value follows `max_wal_size`,
/// for which the disk must have room anyway.
pub(crate) fn slot_bound_fix(wal_size_max_mb: u64) -> String {
    let gigabytes = SLOT_KEEP_MB_MIN.max(wal_size_max_mb.saturating_mul(4)).div_ceil(1024);
    format!("ALTER SYSTEM SET max_slot_wal_keep_size = '{gigabytes}GB'; SELECT pg_reload_conf();")
}

fn capacity(setting: &str, max: u64, used: Option<u64>, ours: bool) -> Finding {
    let subject = format!("{setting} leaves room for us");
    let Some(used) = used else {
        return Finding::good(subject, format!("{setting} = {max}"));
    };
    let evidence = format!("{setting} = {max}, {used} in use");
    if ours || used < max {
        Finding::good(subject, evidence)
    } else {
        let fix = format!("ALTER SYSTEM SET {setting} = {}; then restart the server", max + 4);
        Finding::bad(subject, evidence, fix)
    }
}

fn full_page_writes(facts: &Facts) -> Finding {
    let subject = "full_page_writes is on";
    if facts.full_page_writes {
        Finding::good(subject, "full_page_writes = on")
    } else {
        let fix = "ALTER SYSTEM SET full_page_writes = on; SELECT pg_reload_conf();";
        Finding::bad(
            subject,
            "full_page_writes = off: a page copied while it is written would stay torn",
            fix,
        )
    }
}

fn safety(setting: &str, bad: &str, on: bool, fix: &str) -> Finding {
    let subject = format!("{setting} is on");
    if on {
        Finding::good(subject, format!("{setting} = on"))
    } else {
        Finding::advice(subject, format!("{setting} = {bad}"), fix)
    }
}

fn role(facts: &Facts) -> Vec<Finding> {
    let Some(role) = &facts.role else { return Vec::new() };
    let name = quote_identifier(&role.name);
    let mut findings = vec![if role.replication || role.superuser {
        Finding::good("the role may replicate", format!("role {} has REPLICATION", role.name))
    } else {
        Finding::bad(
            "the role may replicate",
            format!("role {} has no REPLICATION", role.name),
            format!("ALTER ROLE {name} REPLICATION;"),
        )
    }];
    let attributes = [
        (role.superuser, "SUPERUSER"),
        (role.createrole, "CREATEROLE"),
        (role.createdb, "CREATEDB"),
        (role.bypassrls, "BYPASSRLS"),
    ];
    let mut held: Vec<String> = Vec::new();
    let mut fixes: Vec<String> = Vec::new();
    for (_, attribute) in attributes.iter().filter(|(held, _)| *held) {
        held.push((*attribute).to_owned());
        fixes.push(format!("ALTER ROLE {name} NO{attribute};"));
    }
    for strong in role.memberships.iter().filter(|m| STRONG_ROLES.contains(&m.as_str())) {
        held.push(strong.clone());
        fixes.push(format!("REVOKE {} FROM {name};", quote_identifier(strong)));
    }
    let subject = "the role has REPLICATION and nothing else";
    findings.push(if held.is_empty() {
        Finding::good(subject, format!("role {}", role.name))
    } else {
        Finding::advice(subject, format!("role {} also has {}", role.name, held.join(", ")), fixes.join(" "))
    });
    findings
}

fn names(facts: &Facts, settings: &ClusterSettings) -> Vec<Finding> {
    let subject = "names of tables can be read";
    match &facts.sql_refusal {
        None => vec![Finding::good(subject, format!("database {} answers", settings.database()))],
        Some((evidence, hint)) => {
            let fix = hint.clone().unwrap_or_else(|| {
                format!("let {} connect to the databases in pg_hba.conf", settings.replication.user)
            });
            vec![Finding::advice(subject, format!("{evidence}; tables are shown by number"), fix)]
        }
    }
}

/// Judges what the monitoring role sees; without one transactions are attributed by witness messages alone.
pub(crate) fn monitor(settings: &ClusterSettings, clock: &Arc<dyn Clock>) -> Finding {
    let subject = "who runs a transaction can be seen";
    let Some(target) = &settings.monitor else {
        return Finding::advice(
            subject,
            "no monitoring role is given",
            "CREATE ROLE unwipe_monitor LOGIN PASSWORD '...'; GRANT pg_monitor TO unwipe_monitor; \
             then give its address for this source",
        );
    };
    let asked = Connection::connect(target, Mode::Sql, &Limits::default(), Arc::clone(clock)).and_then(
        |mut connection| {
            connection.query_one(
                "SELECT pg_catalog.pg_has_role(session_user, 'pg_read_all_stats', 'USAGE') \
                 OR (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = session_user)",
            )
        },
    );
    let role = quote_identifier(&target.user);
    match asked.map(|row| row.first().cloned().flatten()) {
        Ok(Some(answer)) if answer == "t" => Finding::good(subject, format!("role {} sees all", target.user)),
        Ok(_) => Finding::advice(
            subject,
            format!("role {} sees only its own statements", target.user),
            format!("GRANT pg_monitor TO {role};"),
        ),
        Err(error) => {
            let fix = error.hint().unwrap_or_else(|| format!("check the address of role {role}"));
            Finding::advice(subject, error.to_string(), fix)
        }
    }
}

fn synchronous(facts: &Facts, settings: &ClusterSettings) -> Vec<Finding> {
    if !settings.synchronous {
        return Vec::new();
    }
    let subject = "commits wait until they are durable in the vault";
    let names = &facts.synchronous_standby_names;
    let evidence = format!("synchronous_standby_names = '{names}'");
    let named =
        names.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).any(|word| word == settings.slot);
    vec![if named || names.contains('*') {
        Finding::good(subject, evidence)
    } else {
        let slot = &settings.slot;
        let fix = format!(
            "ALTER SYSTEM SET synchronous_standby_names = 'FIRST 1 ({slot})'; SELECT pg_reload_conf();"
        );
        Finding::advice(subject, evidence, fix)
    }]
}
