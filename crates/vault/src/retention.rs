//! For how long things stay.

use model::Moment;
use ports::{BlobError, BlobStore};

/// Microseconds in a day.
pub const DAY_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

/// What is added to every lock, so that locks need not be extended with every commit.
pub const MARGIN_DAYS: u32 = 1;

/// Returns until when an object made now is locked.
pub fn lock_until(now: Moment, lock_days: u32) -> Moment {
    retained_until(now, lock_days.saturating_add(MARGIN_DAYS))
}

/// Returns the end of the retention window of a commit made at this time.
pub fn retained_until(now: Moment, days: u32) -> Moment {
    now.plus_micros(i64::from(days).saturating_mul(DAY_MICROS))
}

/// Extends the locks of everything in the store; nothing is ever shortened. Returns how many objects were touched.
///
/// The longer retention itself is recorded by the next commit, see [`crate::VaultWriter::lengthen`].
pub fn extend_all(store: &dyn BlobStore, locked_until: Moment) -> Result<u64, BlobError> {
    let mut extended = 0;
    for blob in store.list("")? {
        if blob.locked_until.is_none_or(|lock| lock < locked_until) {
            store.extend_lock(&blob.name, locked_until)?;
            extended += 1;
        }
    }
    Ok(extended)
}
