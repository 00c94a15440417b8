//! Whole databases: the Database resource manager.

use crate::bytes::Bytes;
use crate::error::WalError;
use crate::major::Major;
use crate::names::ResourceManager;
use crate::record::Record;

/// A database's directories were made or removed, at once and for good, whatever becomes of the transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseChange {
    /// A directory was made.
    Created {
        /// The database.
        database: u32,
        /// The tablespace.
        tablespace: u32,
        /// The database whose files were copied without passing through the log, if they were.
        copied_from: Option<u32>,
    },
    /// The directories were removed.
    Dropped {
        /// The database.
        database: u32,
        /// The tablespaces in which it had files.
        tablespaces: Vec<u32>,
    },
}

/// What a record does to a whole database, if it does.
pub fn database_change(record: &Record<'_>) -> Result<Option<DatabaseChange>, WalError> {
    if record.resource_manager() != ResourceManager::DATABASE {
        return Ok(None);
    }
    let mut data = Bytes::new(record.main_data());
    // 15 put creation by log between the two.
    let change =
        match (record.operation(), record.major() >= Major::V15) {
            (0x00, _) => created_by_copy(&mut data),
            (0x10, true) => data.u32().zip(data.u32()).map(|(database, tablespace)| {
                DatabaseChange::Created { database, tablespace, copied_from: None }
            }),
            (0x10, false) | (0x20, true) => dropped(&mut data),
            _ => return Ok(None),
        };
    change.map(Some).ok_or_else(|| record.invalid_payload())
}

fn created_by_copy(data: &mut Bytes<'_>) -> Option<DatabaseChange> {
    let (database, tablespace) = (data.u32()?, data.u32()?);
    Some(DatabaseChange::Created { database, tablespace, copied_from: Some(data.u32()?) })
}

fn dropped(data: &mut Bytes<'_>) -> Option<DatabaseChange> {
    let database = data.u32()?;
    let count = data.u32()? as usize;
    let mut listed = Bytes::new(data.take(count.checked_mul(4)?)?);
    Some(DatabaseChange::Dropped { database, tablespaces: (0..count).map_while(|_| listed.u32()).collect() })
}
