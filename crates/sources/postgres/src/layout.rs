//! How a PostgreSQL cluster lies in the vault: the streams, keys and attributes that capture writes and recovery reads.
//!
//! | stream | key | attributes | content |
//! |---|---|---|---|
//! | `base` | start LSN | [`Base`] | the server's `backup_manifest` |
//! | `base/<start LSN>` | path in the data directory | [`File`] | the file |
//! | `wal/<timeline>` | (a log: offset is the LSN) | | WAL bytes |
//! | `history` | `00000002.history` | | the timeline history file |
//! | `relations` | `<database oid>/<file node>` | [`Relation`] | |
//! | `holes` | last safe LSN | [`Hole`] | |
//!
//! An LSN in a stream name or key is written as 16 hexadecimal digits, so that text order is LSN order.
//! The item in `base` is written after all files of that base and in the same commit: a base that is listed is whole.

use std::collections::BTreeMap;

use model::{Layout, Moment, NameError, StreamName};
use serde::{Deserialize, Serialize};

/// Bytes in a page of every PostgreSQL that is built with defaults; a cluster with another size is refused.
pub const PAGE_BYTES: u32 = 8192;

/// How a base came into being.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BaseKind {
    /// Copied from production by `BASE_BACKUP`.
    Production,
    /// Rolled forward from an earlier base by replaying WAL; production was not read.
    Rolled,
}

/// A copy of a whole cluster from which recovery starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// How it came into being.
    pub kind: BaseKind,
    /// The cluster's own identifier.
    pub system_identifier: u64,
    /// The server's major version.
    pub major: u32,
    /// The timeline that the base starts on.
    pub timeline: u32,
    /// Where replay begins (`START WAL LOCATION`).
    pub start_lsn: u64,
    /// Where the base becomes consistent; WAL up to here must be replayed.
    pub end_lsn: u64,
    /// Bytes in a WAL segment.
    pub wal_segment_bytes: u32,
    /// Tablespaces outside of the data directory: oid to location on the production host.
    pub tablespaces: BTreeMap<u32, String>,
    /// When the copy was begun, by our clock.
    pub started_at: Moment,
    /// When it was complete, by our clock.
    pub finished_at: Moment,
    /// Files in the base.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What kind of entry a data directory has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum FileKind {
    /// A file with content.
    File,
    /// A folder.
    Folder,
    /// A symbolic link: a tablespace, or a link that an administrator made.
    Link {
        /// What it points to on the production host.
        to: String,
    },
}

/// One entry of a data directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// What it is.
    #[serde(flatten)]
    pub kind: FileKind,
    /// Its Unix mode.
    pub mode: u32,
}

/// The name behind a file node, as the catalog of its database had it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relation {
    /// The database's name.
    pub database: String,
    /// The schema's name.
    pub schema: String,
    /// The relation's name.
    pub name: String,
    /// The relation's oid, which survives rewriting.
    pub oid: u32,
    /// `pg_class.relkind`: `r` table, `i` index, `t` toast, `S` sequence, `m` materialised view.
    pub kind: char,
    /// The table that a toast relation or an index belongs to, by oid.
    pub owner_oid: Option<u32>,
    /// Rows as the planner estimates them; -1 when never analysed.
    pub rows_estimate: i64,
}

/// A span of WAL that is lost; moments inside it cannot be restored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hole {
    /// The timeline that it lies on.
    pub timeline: u32,
    /// The first lost position.
    pub from_lsn: u64,
    /// The first position that is stored again: the start of the next base.
    pub to_lsn: u64,
    /// Why it is lost, for a person.
    pub reason: String,
    /// When it was noticed.
    pub noticed_at: Moment,
}

/// Where capture stands, as the text of a `connect::Cursor`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The cluster's own identifier; another one means another cluster behind the same address.
    pub system_identifier: u64,
    /// The timeline followed.
    pub timeline: u32,
    /// The first position that is not yet committed to the vault.
    pub lsn: u64,
    /// Where the log must be read again so that transactions that were open are counted whole; absent when the
    /// segment that holds `lsn` is enough. The server may have forgotten it: then their counts are too low.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index_lsn: Option<u64>,
}

/// Returns how a file's content repeats, by its path in the data directory.
pub fn content_layout(path: &str, size_bytes: u64) -> Layout {
    crate::path::content_layout(path, size_bytes)
}

/// Writes an LSN so that text order is LSN order.
pub fn lsn_key(lsn: u64) -> String {
    format!("{lsn:016X}")
}

/// Reads what [`lsn_key`] wrote.
pub fn lsn_of_key(key: &str) -> Option<u64> {
    if key.len() == 16 { u64::from_str_radix(key, 16).ok() } else { None }
}

/// Returns the stream of the descriptions of bases.
pub fn bases_stream() -> Result<StreamName, NameError> {
    StreamName::new("base")
}

/// Returns the stream of the files of one base.
pub fn base_files_stream(start_lsn: u64) -> Result<StreamName, NameError> {
    StreamName::new(format!("base/{}", lsn_key(start_lsn)))
}

/// Returns the log stream of one timeline.
pub fn wal_stream(timeline: u32) -> Result<StreamName, NameError> {
    StreamName::new(format!("wal/{timeline}"))
}

/// Returns the stream of timeline history files.
pub fn history_stream() -> Result<StreamName, NameError> {
    StreamName::new("history")
}

/// Returns the stream of relation names.
pub fn relations_stream() -> Result<StreamName, NameError> {
    StreamName::new("relations")
}

/// Returns the stream of holes.
pub fn holes_stream() -> Result<StreamName, NameError> {
    StreamName::new("holes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_without_an_index_is_read() {
        let text = r#"{"system_identifier":7,"timeline":1,"lsn":16777216}"#;
        let position: Position = serde_json::from_str(text).unwrap();
        assert_eq!(position.index_lsn, None);
        assert_eq!(serde_json::to_string(&position).unwrap(), text);
    }

    #[test]
    fn keys_sort_as_positions_do() {
        assert!(lsn_key(0x0FFF_FFFF) < lsn_key(0x1_0000_0000));
        assert_eq!(lsn_of_key(&lsn_key(0x5F3C_9850)), Some(0x5F3C_9850));
        assert_eq!(lsn_of_key("5F3C9850"), None);
    }
}
