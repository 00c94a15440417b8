//! What the server says of itself.

use std::sync::Arc;

use ports::Clock;
use postgres_wire::{Connection, Limits, Mode, WireError, quote_literal};

use crate::settings::ClusterSettings;

/// What is known of the server before it is judged.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is one setting of the server")]
pub struct Facts {
    /// The major version.
    pub major: u32,
    /// Whether the connection uses TLS.
    pub encrypted: bool,
    /// Whether the connection stays inside of this machine.
    pub local: bool,
    /// Bytes in a data page.
    pub page_bytes: u32,
    /// Bytes in a WAL page.
    pub wal_page_bytes: u32,
    /// `wal_level`.
    pub wal_level: String,
    /// `max_slot_wal_keep_size` in MiB; -1 for no bound.
    pub slot_keep_mb: i64,
    /// `max_wal_size` in MiB.
    pub wal_size_max_mb: u64,
    /// `max_wal_senders`.
    pub senders_max: u64,
    /// WAL senders at work, where SQL could tell.
    pub senders_used: Option<u64>,
    /// Whether one of them is ours.
    pub sender_is_ours: bool,
    /// `max_replication_slots`.
    pub slots_max: u64,
    /// Slots that exist, where SQL could tell.
    pub slots_used: Option<u64>,
    /// Whether our slot exists.
    pub slot_exists: bool,
    /// `full_page_writes`.
    pub full_page_writes: bool,
    /// `fsync`.
    pub fsync: bool,
    /// `data_checksums`.
    pub data_checksums: bool,
    /// Whether the server is in recovery.
    pub standby: bool,
    /// `synchronous_standby_names`.
    pub synchronous_standby_names: String,
    /// What the role may do, where SQL could tell.
    pub role: Option<RoleFacts>,
    /// Why SQL was refused, and what would help.
    pub sql_refusal: Option<(String, Option<String>)>,
}

/// What a role may do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is one attribute of a role")]
pub struct RoleFacts {
    /// Its name.
    pub name: String,
    /// Whether it may replicate.
    pub replication: bool,
    /// Whether it may do everything.
    pub superuser: bool,
    /// Whether it may make roles.
    pub createrole: bool,
    /// Whether it may make databases.
    pub createdb: bool,
    /// Whether row security does not bind it.
    pub bypassrls: bool,
    /// The roles that it is a member of, directly or not.
    pub memberships: Vec<String>,
}

/// Asks the server, over the replication connection first; SQL adds what only SQL can tell.
pub(crate) fn gather(settings: &ClusterSettings, clock: &Arc<dyn Clock>) -> Result<Facts, WireError> {
    let limits = Limits::default();
    let mode = Mode::PhysicalReplication;
    let target = settings.replication_connection();
    let mut connection = Connection::connect(&target, mode, &limits, Arc::clone(clock))?;
    let mut facts = over_replication(&mut connection, settings)?;
    drop(connection);
    let target = settings.sql_connection(&settings.database());
    let asked = Connection::connect(&target, Mode::Sql, &limits, Arc::clone(clock))
        .and_then(|mut connection| over_sql(&mut connection, settings, &mut facts));
    if let Err(error) = asked {
        facts.sql_refusal = Some((error.to_string(), error.hint()));
    }
    Ok(facts)
}

fn over_replication(connection: &mut Connection, settings: &ClusterSettings) -> Result<Facts, WireError> {
    let is_on = |connection: &mut Connection, name: &str| connection.show(name).map(|value| value == "on");
    let number = |connection: &mut Connection, name: &str| {
        connection.show(name).map(|value| value.parse::<u64>().unwrap_or(0))
    };
    let slot_keep = connection.show("max_slot_wal_keep_size")?;
    let wal_size_max = connection.show("max_wal_size")?;
    // In recovery every transaction is read-only; 13 has no other setting that shows it.
    let recovery = if connection.major() >= 14 { "in_hot_standby" } else { "transaction_read_only" };
    Ok(Facts {
        major: connection.major(),
        encrypted: connection.is_encrypted(),
        local: settings.replication.host.is_local(),
        page_bytes: number(connection, "block_size")? as u32,
        wal_page_bytes: number(connection, "wal_block_size")? as u32,
        wal_level: connection.show("wal_level")?,
        slot_keep_mb: megabytes(&slot_keep).map_or(-1, |megabytes| megabytes as i64),
        wal_size_max_mb: megabytes(&wal_size_max).unwrap_or(1024),
        senders_max: number(connection, "max_wal_senders")?,
        senders_used: None,
        sender_is_ours: false,
        slots_max: number(connection, "max_replication_slots")?,
        slots_used: None,
        slot_exists: false,
        full_page_writes: is_on(connection, "full_page_writes")?,
        fsync: is_on(connection, "fsync")?,
        data_checksums: is_on(connection, "data_checksums")?,
        standby: is_on(connection, recovery)?,
        synchronous_standby_names: connection.show("synchronous_standby_names")?,
        role: None,
        sql_refusal: None,
    })
}

fn over_sql(
    connection: &mut Connection,
    settings: &ClusterSettings,
    facts: &mut Facts,
) -> Result<(), WireError> {
    let slot = quote_literal(&settings.slot);
    let row = connection.query_one(&format!(
        "SELECT pg_catalog.pg_is_in_recovery(), \
         (SELECT count(*) FROM pg_catalog.pg_stat_replication), \
         (SELECT count(*) FROM pg_catalog.pg_stat_replication WHERE application_name = {slot}), \
         (SELECT count(*) FROM pg_catalog.pg_replication_slots), \
         (SELECT count(*) FROM pg_catalog.pg_replication_slots WHERE slot_name = {slot})"
    ))?;
    let count = |column: usize| row.get(column)?.as_deref()?.parse::<u64>().ok();
    facts.standby = row.first().and_then(Option::as_deref) == Some("t");
    facts.senders_used = count(1);
    facts.sender_is_ours = count(2).is_some_and(|ours| ours > 0);
    facts.slots_used = count(3);
    facts.slot_exists = count(4) == Some(1);
    let row = connection.query_one(
        "SELECT rolname, rolreplication, rolsuper, rolcreaterole, rolcreatedb, rolbypassrls \
         FROM pg_catalog.pg_roles WHERE rolname = session_user",
    )?;
    let yes = |column: usize| row.get(column).and_then(Option::as_deref) == Some("t");
    let mut role = RoleFacts {
        name: row.first().cloned().flatten().unwrap_or_default(),
        replication: yes(1),
        superuser: yes(2),
        createrole: yes(3),
        createdb: yes(4),
        bypassrls: yes(5),
        memberships: Vec::new(),
    };
    if !role.superuser {
        let rows = connection.query_rows(
            "SELECT rolname FROM pg_catalog.pg_roles \
             WHERE rolname <> session_user AND pg_catalog.pg_has_role(session_user, oid, 'MEMBER') ORDER BY 1",
        )?;
        role.memberships = rows.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect();
    }
    facts.role = Some(role);
    Ok(())
}

/// Reads a size as `SHOW` prints it, in MiB rounded up; none for a negative one.
pub(crate) fn megabytes(text: &str) -> Option<u64> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let number: u64 = text[..digits].parse().ok()?;
    match text[digits..].trim() {
        "" | "MB" => Some(number),
        "B" => Some(number.div_ceil(1 << 20)),
        "kB" => Some(number.div_ceil(1 << 10)),
        "GB" => number.checked_mul(1 << 10),
        "TB" => number.checked_mul(1 << 20),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::megabytes;

    #[test]
    fn sizes_are_read_as_the_server_shows_them() {
        assert_eq!(megabytes("-1"), None);
        assert_eq!(megabytes("0"), Some(0));
        assert_eq!(megabytes("64MB"), Some(64));
        assert_eq!(megabytes("10GB"), Some(10_240));
        assert_eq!(megabytes("512kB"), Some(1));
        assert_eq!(megabytes("2TB"), Some(2 << 20));
        assert_eq!(megabytes("x"), None);
    }
}
