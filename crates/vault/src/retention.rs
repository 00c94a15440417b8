//! For how long things stay: locks and their renewal, what nobody needs any more, and who decides.
//!
//! The promise: every version that was live at any time in the last `lock_days` can be restored. It rests on two guards
//! that know nothing of each other. The *store's lock*: all that is live is locked for `lock_days` or more at any time,
//! so whatever stops being live stays locked for that long. The *log of retention*: a pack is removed only once a signed
//! entry has released it, `lock_days` of vault time have passed since, and a fresh look at the vault still finds nobody
//! who needs it. What is not known keeps things for longer.

mod life;
mod log;
mod record;
mod renewal;
mod survey;
mod uses;

use model::Moment;
use ports::{BlobError, BlobStore};

pub use life::{Circumstances, Facts, Stays, days_left, may_reap, may_release};
pub use log::{
    ForeignRecord, Hold, Released, RetentionLog, RetentionLogError, confirm_question, lift_question,
    people_question,
};
pub(crate) use record::seal_document;
pub use record::{Record, RecordError, Statement, Surveyed};
pub use renewal::{FloorStanding, LockFloor, RenewalFailure, RenewalOptions, RenewalReport, renew};
pub use survey::{NoSuccession, SourceSurvey, Succession, Survey, Suspicion};
pub use uses::PackUses;

/// Microseconds in a day.
pub const DAY_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

/// What is added to every lock, so that locks need not be extended with every commit.
pub const MARGIN_DAYS: u32 = 7;
/// A lock is renewed once no more than this is left of the margin.
pub const RENEW_BELOW_DAYS: u32 = 4;
/// With less than this left of the margin, renewal has stopped: an alarm, long before the policy is touched.
pub const LATE_DAYS: u32 = 3;

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

#[cfg(test)]
mod tests;
