//! Replication commands: identification, slots, timelines.

use postgres_protocol::message::backend::Message;

use crate::{
    channel::Incoming,
    connection::{Connection, unexpected},
    error::WireError,
    quote::{quote_identifier, quote_replication_literal},
    sql::{ResultSet, Row, only_row, single},
    wal_stream::WalStream,
};

/// Who a server is and how far it has written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemIdentity {
    /// The number that initdb gave the cluster; it survives promotion and restore.
    pub system_identifier: u64,
    /// The current timeline.
    pub timeline: u32,
    /// How far WAL is flushed.
    pub flushed_lsn: u64,
    /// The database of a logical replication session.
    pub database: Option<String>,
}

/// Where a slot stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotPosition {
    /// `physical` or `logical`.
    pub kind: String,
    /// The oldest WAL that the slot holds; none before it reserves any, and after it has lost it.
    pub restart_lsn: Option<u64>,
    /// The timeline of that WAL.
    pub restart_timeline: Option<u32>,
}

/// A new logical slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogicalSlot {
    /// Changes of transactions that commit after this point come out of the slot.
    pub consistent_lsn: u64,
    /// The name of a snapshot that shows exactly what committed before it; valid until this session's next
    /// command.
    pub snapshot: Option<String>,
}

/// Reads `16/B374D848`.
pub fn parse_lsn(text: &str) -> Option<u64> {
    let (high, low) = text.split_once('/')?;
    // `from_str_radix` would take a sign.
    let digits = |part: &str| {
        let plain = (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_hexdigit());
        plain.then(|| u32::from_str_radix(part, 16).ok()).flatten()
    };
    Some((u64::from(digits(high)?) << 32) | u64::from(digits(low)?))
}

/// Writes `16/B374D848`.
pub fn format_lsn(lsn: u64) -> String {
    format!("{:X}/{:X}", lsn >> 32, lsn & 0xffff_ffff)
}

impl Connection {
    /// Asks the server who it is (`IDENTIFY_SYSTEM`).
    pub fn identify_system(&mut self) -> Result<SystemIdentity, WireError> {
        let row = self.replication_row("IDENTIFY_SYSTEM", 4)?;
        Ok(SystemIdentity {
            system_identifier: number(&row, 0)?,
            timeline: number(&row, 1)?,
            flushed_lsn: lsn(&row, 2)?,
            database: row.into_iter().nth(3).flatten(),
        })
    }

    /// Returns a setting of the server (`SHOW`).
    pub fn show(&mut self, name: &str) -> Result<String, WireError> {
        let quoted: Vec<String> = name.split('.').map(quote_identifier).collect();
        let row = self.replication_row(&format!("SHOW {}", quoted.join(".")), 1)?;
        row.into_iter().next().flatten().ok_or_else(|| missing("the setting's value"))
    }

    /// Fetches the history file of a timeline: its name and content.
    pub fn timeline_history(&mut self, timeline: u32) -> Result<(String, Vec<u8>), WireError> {
        let row = self.replication_row(&format!("TIMELINE_HISTORY {timeline}"), 2)?;
        let mut row = row.into_iter();
        let name = row.next().flatten().ok_or_else(|| missing("the file's name"))?;
        let content = row.next().flatten().ok_or_else(|| missing("the file's content"))?;
        Ok((name, content.into_bytes()))
    }

    /// Creates a physical slot. With `reserve_wal` it holds WAL from now on rather than from its first use;
    /// `temporary` ends it with the session.
    pub fn create_physical_slot(
        &mut self,
        name: &str,
        temporary: bool,
        reserve_wal: bool,
    ) -> Result<(), WireError> {
        let temporary = if temporary { " TEMPORARY" } else { "" };
        let reserve = if reserve_wal { " RESERVE_WAL" } else { "" };
        let command =
            format!("CREATE_REPLICATION_SLOT {}{temporary} PHYSICAL{reserve}", quote_identifier(name));
        self.replication_row(&command, 4).map(drop)
    }

    /// Creates a logical slot; with `export_snapshot` another session can see the database as of its start.
    pub fn create_logical_slot(
        &mut self,
        name: &str,
        plugin: &str,
        temporary: bool,
        export_snapshot: bool,
    ) -> Result<LogicalSlot, WireError> {
        let temporary = if temporary { " TEMPORARY" } else { "" };
        let snapshot = if export_snapshot { "EXPORT_SNAPSHOT" } else { "NOEXPORT_SNAPSHOT" };
        let (name, plugin) = (quote_identifier(name), quote_identifier(plugin));
        let command = format!("CREATE_REPLICATION_SLOT {name}{temporary} LOGICAL {plugin} {snapshot}");
        let row = self.replication_row(&command, 4)?;
        Ok(LogicalSlot { consistent_lsn: lsn(&row, 1)?, snapshot: row.into_iter().nth(2).flatten() })
    }

    /// Returns where a physical slot stands; nothing if there is no such slot. Servers before 15 cannot tell:
    /// there `pg_replication_slots` must be asked by SQL.
    pub fn read_slot(&mut self, name: &str) -> Result<Option<SlotPosition>, WireError> {
        if self.major() < 15 {
            return Err(WireError::Unsupported { feature: "READ_REPLICATION_SLOT", major: self.major() });
        }
        let row = self.replication_row(&format!("READ_REPLICATION_SLOT {}", quote_identifier(name)), 3)?;
        let Some(kind) = row[0].clone() else { return Ok(None) };
        let restart_lsn = row[1].is_some().then(|| lsn(&row, 1)).transpose()?;
        let restart_timeline = row[2].is_some().then(|| number(&row, 2)).transpose()?;
        Ok(Some(SlotPosition { kind, restart_lsn, restart_timeline }))
    }

    /// Drops a slot; with `wait` it waits for whoever uses it.
    pub fn drop_slot(&mut self, name: &str, wait: bool) -> Result<(), WireError> {
        let wait = if wait { " WAIT" } else { "" };
        self.simple_query(&format!("DROP_REPLICATION_SLOT {}{wait}", quote_identifier(name))).map(drop)
    }

    /// Streams physical WAL from `start_lsn` of a timeline, holding the slot if one is named.
    ///
    /// If the timeline has ended exactly there, the stream's first message is the end of the timeline.
    pub fn start_physical(
        &mut self,
        slot: Option<&str>,
        start_lsn: u64,
        timeline: u32,
    ) -> Result<WalStream<'_>, WireError> {
        let slot = slot.map(|name| format!("SLOT {} ", quote_identifier(name))).unwrap_or_default();
        let start = format_lsn(start_lsn);
        self.start_stream(&format!("START_REPLICATION {slot}PHYSICAL {start} TIMELINE {timeline}"))
    }

    /// Streams decoded changes of a logical slot; `options` go to its output plugin.
    pub fn start_logical(
        &mut self,
        slot: &str,
        start_lsn: u64,
        options: &[(&str, &str)],
    ) -> Result<WalStream<'_>, WireError> {
        let options: Vec<String> = options
            .iter()
            .map(|(name, value)| format!("{} {}", quote_identifier(name), quote_replication_literal(value)))
            .collect();
        let options = if options.is_empty() { String::new() } else { format!(" ({})", options.join(", ")) };
        let (slot, start) = (quote_identifier(slot), format_lsn(start_lsn));
        self.start_stream(&format!("START_REPLICATION SLOT {slot} LOGICAL {start}{options}"))
    }

    fn start_stream(&mut self, command: &str) -> Result<WalStream<'_>, WireError> {
        self.begin_query(command)?;
        match self.expect()? {
            Incoming::CopyBoth => Ok(WalStream::new(self)),
            Incoming::Other(Message::ErrorResponse(body)) => Err(self.fail(&body)),
            Incoming::Other(Message::RowDescription(_)) => WalStream::ended(self),
            _ => Err(unexpected("starting replication")),
        }
    }

    fn replication_row(&mut self, command: &str, columns: usize) -> Result<Row, WireError> {
        let ResultSet { rows, .. } = single(self.simple_query(command)?)?;
        let row = only_row(rows)?;
        if row.len() < columns {
            let found = format!("{} columns", row.len());
            return Err(WireError::ResultShape { expected: "more columns", found });
        }
        Ok(row)
    }
}

fn missing(what: &str) -> WireError {
    WireError::violation(format!("{what} is missing"))
}

pub(crate) fn number<T: std::str::FromStr>(row: &[Option<String>], column: usize) -> Result<T, WireError> {
    let text = row.get(column).and_then(Option::as_deref);
    text.and_then(|text| text.parse().ok()).ok_or_else(|| missing("a number of a replication result"))
}

pub(crate) fn lsn(row: &[Option<String>], column: usize) -> Result<u64, WireError> {
    let text = row.get(column).and_then(Option::as_deref);
    text.and_then(parse_lsn).ok_or_else(|| missing("an LSN of a replication result"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lsns_are_read_and_written() {
        assert_eq!(parse_lsn("16/B374D848"), Some(0x16_B374_D848));
        assert_eq!(format_lsn(0x16_B374_D848), "16/B374D848");
        assert_eq!(parse_lsn("FFFFFFFF/FFFFFFFF"), Some(u64::MAX));
        for bad in ["", "/", "1", "1/", "/1", "+1/1", "1/100000000", "1/2/3", "g/1"] {
            assert_eq!(parse_lsn(bad), None, "{bad}");
        }
    }
}
