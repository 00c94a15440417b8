//! Messages that sessions write into the log: the LogicalMessage resource manager.

use crate::bytes::Bytes;
use crate::error::WalError;
use crate::names::ResourceManager;
use crate::record::Record;

/// A message written with `pg_logical_emit_message`; it needs no special `wal_level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogicalMessage<'a> {
    /// The database of the session.
    pub database: u32,
    /// Whether it counts only if its transaction commits.
    pub transactional: bool,
    /// Who speaks.
    pub prefix: &'a [u8],
    /// What was said, as far as it was retained.
    pub content: &'a [u8],
    /// The length of all that was said.
    pub content_bytes: u64,
}

/// The message in a record, if it holds one.
pub fn logical_message<'a>(record: &Record<'a>) -> Result<Option<LogicalMessage<'a>>, WalError> {
    if record.resource_manager() != ResourceManager::LOGICAL_MESSAGE || record.operation() != 0 {
        return Ok(None);
    }
    read(record).map(Some).ok_or_else(|| record.invalid_payload())
}

fn read<'a>(record: &Record<'a>) -> Option<LogicalMessage<'a>> {
    let mut data = Bytes::new(record.main_data());
    let database = data.u32()?;
    let transactional = data.u8()? != 0;
    data.skip(3)?;
    let prefix_bytes = usize::try_from(data.u64()?).ok()?;
    let content_bytes = data.u64()?;
    let prefix = data.take(prefix_bytes)?;
    let prefix = prefix.strip_suffix(&[0]).unwrap_or(prefix);
    let length = usize::try_from(content_bytes).ok()?;
    let content = if record.is_clipped() { data.rest() } else { data.take(length)? };
    Some(LogicalMessage { database, transactional, prefix, content, content_bytes })
}
