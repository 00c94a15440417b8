//! Relation files: the Storage resource manager.

use crate::bytes::Bytes;
use crate::error::WalError;
use crate::names::ResourceManager;
use crate::object::{Fork, RelationLocator};
use crate::record::{Record, read_locator};

const CREATE: u8 = 0x10;
const TRUNCATE: u8 = 0x20;

/// A change of a whole relation file. Files are dropped by the end of a transaction, not by a record here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StorageChange {
    /// A file was created.
    Created {
        /// The relation's file.
        relation: RelationLocator,
        /// Which of the relation's files.
        fork: Fork,
    },
    /// A file was cut.
    Truncated {
        /// The relation's file.
        relation: RelationLocator,
        /// The blocks that are left.
        blocks: u32,
    },
}

/// The change of a relation file that a record makes, if it makes one.
pub fn storage_change(record: &Record<'_>) -> Result<Option<StorageChange>, WalError> {
    if record.resource_manager() != ResourceManager::STORAGE {
        return Ok(None);
    }
    let mut data = Bytes::new(record.main_data());
    let change = match record.operation() {
        CREATE => read_locator(&mut data)
            .zip(data.u32().and_then(Fork::from_number))
            .map(|(relation, fork)| StorageChange::Created { relation, fork }),
        TRUNCATE => data
            .u32()
            .zip(read_locator(&mut data))
            .map(|(blocks, relation)| StorageChange::Truncated { relation, blocks }),
        _ => return Ok(None),
    };
    change.map(Some).ok_or_else(|| record.invalid_payload())
}
