//! The control file, `global/pg_control`: what a cluster says about itself.

use std::path::{Path, PathBuf};

use ports::files::{self, FileError};

/// The bytes that carry information; the rest of the file is zero.
const SIZE_MIN: usize = 512;

/// A control file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ControlFileError {
    /// It cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// It ends too early.
    #[error("{} has only {length} bytes", path.display())]
    Short {
        /// The file.
        path: PathBuf,
        /// Its size.
        length: usize,
    },
    /// Its layout is not one of PostgreSQL 13 to 18.
    #[error("{} has layout version {version}, which is none of PostgreSQL 13 to 18", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// The version found.
        version: u32,
    },
    /// Its checksum does not fit its content.
    #[error("{} is damaged: its checksum does not fit", path.display())]
    Checksum {
        /// The file.
        path: PathBuf,
    },
    /// A number in it has no meaning.
    #[error("{} holds {value} as {field}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// What the number should tell.
        field: &'static str,
        /// The number.
        value: u32,
    },
}

impl ControlFileError {
    /// Says what a person can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Short { .. } | Self::Checksum { .. } => {
                Some("restore the cluster again from another base".to_owned())
            }
            _ => None,
        }
    }
}

/// What a cluster was doing when it last wrote its control file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It never was up.
    StartingUp,
    /// It was stopped cleanly.
    ShutDown,
    /// It was stopped cleanly while it replayed.
    ShutDownInRecovery,
    /// It is stopping.
    ShuttingDown,
    /// It recovers from a crash.
    InCrashRecovery,
    /// It replays archived WAL.
    InArchiveRecovery,
    /// It is up and accepts writes.
    InProduction,
}

/// The content of a control file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlFile {
    /// The identity of the cluster, the same in all its copies.
    pub system_identifier: u64,
    /// The version of the layout.
    pub version: u32,
    /// The version of the catalogs.
    pub catalog_version: u32,
    /// What the cluster was doing.
    pub state: State,
    /// When the file was written, in seconds since 1970.
    pub modified_s: i64,
    /// Where the latest checkpoint record lies.
    pub checkpoint: u64,
    /// From where WAL must be replayed.
    pub redo: u64,
    /// The timeline of the latest checkpoint.
    pub timeline: u32,
    /// The next transaction id, with its epoch in the high half.
    pub next_transaction: u64,
    /// When the latest checkpoint was made, in seconds since 1970.
    pub checkpoint_time_s: i64,
    /// Up to where WAL must be replayed before the data are consistent; zero when they are.
    pub min_recovery_point: u64,
    /// The timeline of that point.
    pub min_recovery_timeline: u32,
    /// Where the base backup that this is a copy of began; zero when it is none, or already consistent.
    pub backup_start: u64,
    /// Where that backup ended, if it was taken from a standby.
    pub backup_end: u64,
    /// Whether the end of the backup must still be found in the WAL.
    pub backup_end_required: bool,
    /// How much the WAL tells: 0 minimal, 1 replica, 2 logical.
    pub wal_level: u32,
    /// Settings of the primary that a hot standby must not undercut.
    pub limits: Limits,
    /// The size of a page.
    pub block_bytes: u32,
    /// The pages in one file of a relation.
    pub relation_segment_blocks: u32,
    /// The size of a WAL page.
    pub wal_block_bytes: u32,
    /// The size of a WAL file.
    pub wal_segment_bytes: u32,
    /// The version of page checksums; zero when pages carry none.
    pub checksum_version: u32,
}

/// Settings of the primary that a hot standby must not undercut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// `max_connections`.
    pub max_connections: u32,
    /// `max_worker_processes`.
    pub max_worker_processes: u32,
    /// `max_wal_senders`.
    pub max_wal_senders: u32,
    /// `max_prepared_transactions`.
    pub max_prepared_transactions: u32,
    /// `max_locks_per_transaction`.
    pub max_locks_per_transaction: u32,
}

impl Limits {
    /// Returns the settings with their names.
    pub const fn named(self) -> [(&'static str, u32); 5] {
        [
            ("max_connections", self.max_connections),
            ("max_worker_processes", self.max_worker_processes),
            ("max_wal_senders", self.max_wal_senders),
            ("max_prepared_transactions", self.max_prepared_transactions),
            ("max_locks_per_transaction", self.max_locks_per_transaction),
        ]
    }
}

impl ControlFile {
    /// Reads the control file of a data directory.
    pub fn read(data_dir: &Path) -> Result<Self, ControlFileError> {
        let path = data_dir.join("global/pg_control");
        Self::parse(&files::read(&path)?, &path)
    }

    /// Reads a control file's bytes; the path is for messages.
    ///
    /// The layout is that of a 64-bit little-endian machine. It is the same in 13 to 17, except that 17 put a
    /// number into padding; 18 put one byte before the last fields, which moved the checksum.
    pub fn parse(bytes: &[u8], path: &Path) -> Result<Self, ControlFileError> {
        let path = || path.to_owned();
        let Some(bytes) = bytes.get(..SIZE_MIN) else {
            return Err(ControlFileError::Short { path: path(), length: bytes.len() });
        };
        let fields = Fields(bytes);
        let version = fields.u32(8);
        let checksum_at = match version {
            1300 | 1700 => 288,
            1800 => 292,
            _ => return Err(ControlFileError::Version { path: path(), version }),
        };
        if crc32c::crc32c(&bytes[..checksum_at]) != fields.u32(checksum_at) {
            return Err(ControlFileError::Checksum { path: path() });
        }
        let state = state_of(fields.u32(16));
        let state = state.ok_or_else(|| ControlFileError::Value {
            path: path(),
            field: "state",
            value: fields.u32(16),
        })?;
        let control = Self::from_fields(fields, version, state);
        let segment = control.wal_segment_bytes;
        if !segment.is_power_of_two() || !((1 << 20)..=(1 << 30)).contains(&segment) {
            return Err(ControlFileError::Value { path: path(), field: "WAL file size", value: segment });
        }
        Ok(control)
    }

    fn from_fields(fields: Fields<'_>, version: u32, state: State) -> Self {
        Self {
            system_identifier: fields.u64(0),
            version,
            catalog_version: fields.u32(12),
            state,
            modified_s: fields.u64(24).cast_signed(),
            checkpoint: fields.u64(32),
            redo: fields.u64(40),
            timeline: fields.u32(48),
            next_transaction: fields.u64(64),
            checkpoint_time_s: fields.u64(104).cast_signed(),
            min_recovery_point: fields.u64(136),
            min_recovery_timeline: fields.u32(144),
            backup_start: fields.u64(152),
            backup_end: fields.u64(160),
            backup_end_required: fields.0[168] != 0,
            wal_level: fields.u32(172),
            limits: Limits {
                max_connections: fields.u32(180),
                max_worker_processes: fields.u32(184),
                max_wal_senders: fields.u32(188),
                max_prepared_transactions: fields.u32(192),
                max_locks_per_transaction: fields.u32(196),
            },
            block_bytes: fields.u32(216),
            relation_segment_blocks: fields.u32(220),
            wal_block_bytes: fields.u32(224),
            wal_segment_bytes: fields.u32(228),
            checksum_version: fields.u32(252),
        }
    }

    /// Returns up to where the cluster has replayed or written: the first point at which it can be opened.
    pub const fn consistent_from(&self) -> u64 {
        let point = if self.min_recovery_point == 0 { self.checkpoint } else { self.min_recovery_point };
        if point < self.checkpoint { self.checkpoint } else { point }
    }
}

const fn state_of(number: u32) -> Option<State> {
    Some(match number {
        0 => State::StartingUp,
        1 => State::ShutDown,
        2 => State::ShutDownInRecovery,
        3 => State::ShuttingDown,
        4 => State::InCrashRecovery,
        5 => State::InArchiveRecovery,
        6 => State::InProduction,
        _ => return None,
    })
}

/// Numbers at fixed places of a buffer of at least [`SIZE_MIN`] bytes.
#[derive(Clone, Copy)]
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn array<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut array = [0; N];
        array.copy_from_slice(&self.0[at..at + N]);
        array
    }

    fn u32(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.array(at))
    }

    fn u64(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.array(at))
    }
}

#[cfg(test)]
mod tests;
