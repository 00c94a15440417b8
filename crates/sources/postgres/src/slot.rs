//! The physical replication slot that keeps WAL on the server until it is durable here.
//!
//! A slot that nobody reads keeps WAL for ever, unless `max_slot_wal_keep_size` bounds it. So none is made or used
//! without that bound, and one whose room runs out while we cannot read is given back.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use connect::{QuotaMeter, QuotaUnit, QuotaUse, ReadError};
use ports::Clock;
use postgres_wal::Lsn;
use postgres_wire::{Connection, Limits, Mode, WireError, quote_literal};

use crate::{check, failure, settings::ClusterSettings};

/// A slot is given back when less than this share of its room is left.
const SAFE_SHARE_MIN_PERCENT: u64 = 20;

/// What the server says of a slot's WAL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotWal {
    /// Everything from its position on is kept.
    Reserved,
    /// More is kept than `max_wal_size`, within the bound.
    Extended,
    /// The bound is exceeded: WAL goes with the next checkpoint.
    Unreserved,
    /// WAL that it needed is gone.
    Lost,
}

/// Where our slot stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotState {
    /// What the server says of its WAL.
    pub wal: SlotWal,
    /// The oldest WAL that it holds.
    pub restart_lsn: Option<u64>,
    /// How many more bytes of WAL may be written before it may be lost; none when it is lost or unbounded.
    pub safe_bytes: Option<u64>,
    /// The bound, `max_slot_wal_keep_size`.
    pub bound_bytes: Option<u64>,
    /// Whether somebody streams from it.
    pub active: bool,
}

impl SlotState {
    /// Returns whether the slot should be given back by a reader that cannot read.
    pub fn is_endangering(&self) -> bool {
        match (self.wal, self.safe_bytes, self.bound_bytes) {
            (SlotWal::Unreserved | SlotWal::Lost, _, _) => true,
            (_, Some(safe), Some(bound)) => safe < bound / 100 * SAFE_SHARE_MIN_PERCENT,
            _ => false,
        }
    }
}

/// How much WAL our slot keeps on production's disk, out of what the stream says anyway: production is asked nothing.
#[derive(Debug, Default)]
pub(crate) struct SlotMeter {
    bound_bytes: AtomicU64,
    server_end_lsn: AtomicU64,
    told_lsn: AtomicU64,
}

impl SlotMeter {
    /// Notes the bound.
    pub(crate) fn bound(&self, bytes: u64) {
        self.bound_bytes.store(bytes, Ordering::Relaxed);
    }

    /// Notes how far the server has WAL.
    pub(crate) fn server_at(&self, lsn: u64) {
        self.server_end_lsn.store(lsn, Ordering::Relaxed);
    }

    /// Notes up to where the server was told that it need not keep WAL.
    pub(crate) fn told(&self, lsn: u64) {
        self.told_lsn.store(lsn, Ordering::Relaxed);
    }
}

impl QuotaMeter for SlotMeter {
    fn quota_use(&self) -> Vec<QuotaUse> {
        let of = |number: &AtomicU64| number.load(Ordering::Relaxed);
        let (bound, server, told) = (of(&self.bound_bytes), of(&self.server_end_lsn), of(&self.told_lsn));
        if bound == 0 || server == 0 || told == 0 {
            return Vec::new();
        }
        vec![QuotaUse {
            name: "retained WAL".to_owned(),
            subject: None,
            unit: QuotaUnit::Bytes,
            used: server.saturating_sub(told),
            limit: bound,
            per_s: None,
            share_percent: None,
            of_late: None,
        }]
    }
}

/// Refuses to go on where a slot would not be bounded; returns the bound in bytes.
pub(crate) fn require_bound(connection: &mut Connection) -> Result<u64, ReadError> {
    let bound = connection.show("max_slot_wal_keep_size").map_err(failure::wire)?;
    let is_bounded = !bound.starts_with('-') && bound.bytes().any(|b| (b'1'..=b'9').contains(&b));
    if is_bounded {
        return Ok(check::megabytes(&bound).unwrap_or(0) << 20);
    }
    let wal_size_max = connection.show("max_wal_size").map_err(failure::wire)?;
    let fix = check::slot_bound_fix(check::megabytes(&wal_size_max).unwrap_or(1024));
    Err(failure::refused(
        format!(
            "a replication slot could fill the server's disk: max_slot_wal_keep_size = {bound} does not bound it"
        ),
        fix,
    ))
}

/// Makes our slot, which keeps WAL from now on; returns whether it is new.
pub(crate) fn ensure(connection: &mut Connection, name: &str) -> Result<bool, ReadError> {
    require_bound(connection)?;
    match connection.create_physical_slot(name, false, true) {
        Ok(()) => Ok(true),
        Err(WireError::SlotExists { .. }) => Ok(false),
        Err(error) => Err(failure::wire(error)),
    }
}

/// Makes our slot anew after it lost its WAL or vanished.
pub(crate) fn replace(connection: &mut Connection, name: &str) -> Result<(), ReadError> {
    match connection.drop_slot(name, false) {
        Ok(()) | Err(WireError::SlotMissing { .. }) => {}
        Err(error) => return Err(failure::wire(error)),
    }
    ensure(connection, name).map(drop)
}

/// Asks the server where our slot stands; nothing if there is none.
pub fn inspect(settings: &ClusterSettings, clock: Arc<dyn Clock>) -> Result<Option<SlotState>, ReadError> {
    let target = settings.sql_connection(&settings.database());
    let mut connection =
        Connection::connect(&target, Mode::Sql, &Limits::default(), clock).map_err(failure::wire)?;
    let sql = format!(
        "SELECT wal_status, restart_lsn, safe_wal_size, active, \
         (SELECT setting FROM pg_catalog.pg_settings WHERE name = 'max_slot_wal_keep_size') \
         FROM pg_catalog.pg_replication_slots WHERE slot_name = {}",
        quote_literal(&settings.slot)
    );
    let rows = connection.query_rows(&sql).map_err(failure::wire)?;
    let Some(row) = rows.first() else { return Ok(None) };
    let field = |column: usize| row.get(column).and_then(Option::as_deref);
    let bound_mb = field(4).and_then(|text| text.parse::<u64>().ok());
    Ok(Some(SlotState {
        wal: match field(0) {
            Some("reserved") => SlotWal::Reserved,
            Some("extended") => SlotWal::Extended,
            Some("unreserved") => SlotWal::Unreserved,
            _ => SlotWal::Lost,
        },
        restart_lsn: field(1).and_then(|text| text.parse::<Lsn>().ok()).map(|lsn| lsn.0),
        // The server counts below zero once the bound is exceeded.
        safe_bytes: field(2).and_then(|text| text.parse::<i64>().ok()).map(|n| u64::try_from(n).unwrap_or(0)),
        bound_bytes: bound_mb.map(|mb| mb << 20),
        active: field(3) == Some("t"),
    }))
}

/// Gives our slot back when its room runs out; call it while reading is not possible (the vault is full).
///
/// Returns whether it was dropped. The next read finds no slot, makes a new one and shows the hole.
pub fn release_if_endangering(settings: &ClusterSettings, clock: Arc<dyn Clock>) -> Result<bool, ReadError> {
    let Some(state) = inspect(settings, Arc::clone(&clock))? else { return Ok(false) };
    if !state.is_endangering() {
        return Ok(false);
    }
    release(settings, clock)?;
    Ok(true)
}

/// Drops our slot, for a source that is no longer protected.
pub fn release(settings: &ClusterSettings, clock: Arc<dyn Clock>) -> Result<(), ReadError> {
    let mode = Mode::PhysicalReplication;
    let mut connection =
        Connection::connect(&settings.replication_connection(), mode, &Limits::default(), clock)
            .map_err(failure::wire)?;
    match connection.drop_slot(&settings.slot, false) {
        Ok(()) | Err(WireError::SlotMissing { .. }) => Ok(()),
        Err(error) => Err(failure::wire(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn state(wal: SlotWal, safe_bytes: Option<u64>) -> SlotState {
        SlotState { wal, restart_lsn: Some(1), safe_bytes, bound_bytes: Some(1000), active: false }
    }

    #[test]
    fn what_a_slot_keeps_is_told_once_all_of_it_is_known() {
        let meter = SlotMeter::default();
        meter.bound(1 << 30);
        meter.server_at(5000);
        assert!(meter.quota_use().is_empty(), "nobody knows yet what the server keeps");
        meter.told(2000);
        let told = meter.quota_use().remove(0);
        assert_eq!((told.used, told.limit, told.per_s, told.percent()), (3000, 1 << 30, None, 0));
        // The stream says where the server is only now and then.
        meter.told(6000);
        assert_eq!(meter.quota_use()[0].used, 0);
    }

    #[test]
    fn a_slot_is_given_back_when_its_room_runs_out() {
        assert!(!state(SlotWal::Reserved, Some(900)).is_endangering());
        assert!(!state(SlotWal::Extended, Some(200)).is_endangering());
        assert!(state(SlotWal::Extended, Some(199)).is_endangering());
        assert!(state(SlotWal::Unreserved, Some(900)).is_endangering());
        assert!(state(SlotWal::Lost, None).is_endangering());
        assert!(!state(SlotWal::Reserved, None).is_endangering());
    }
}
