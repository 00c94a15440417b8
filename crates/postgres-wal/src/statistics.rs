//! Counts and bytes per kind of record, as `pg_waldump --stats` gives them.

use serde::{Deserialize, Serialize};

use crate::major::Major;
use crate::names::{ResourceManager, record_name};
use crate::record::Record;

/// How many records there were, and how long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordTotals {
    /// The number of records.
    pub count: u64,
    /// Their bytes without full-page images.
    pub record_bytes: u64,
    /// The bytes of their full-page images.
    pub image_bytes: u64,
}

impl RecordTotals {
    fn add(&mut self, other: &Self) {
        self.count += other.count;
        self.record_bytes += other.record_bytes;
        self.image_bytes += other.image_bytes;
    }
}

/// One line of statistics.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatisticsRow {
    /// A resource manager (`Heap`) or a kind of record (`Heap/INSERT`).
    pub name: String,
    /// What was counted.
    pub totals: RecordTotals,
}

/// Statistics over any number of records.
#[derive(Clone, Debug)]
pub struct Statistics {
    major: Major,
    /// One entry for each resource manager and operation: `manager * 16 + operation`.
    totals: Vec<RecordTotals>,
}

impl Statistics {
    /// Statistics over no records.
    pub fn new(major: Major) -> Self {
        Self { major, totals: vec![RecordTotals::default(); 256 * 16] }
    }

    /// Counts one record.
    pub fn add(&mut self, record: &Record<'_>) {
        let manager = record.resource_manager();
        let operation = record.operation();
        // The top bit of a transaction record's flags tells of its layout and is not part of its kind.
        let operation = if manager == ResourceManager::TRANSACTION { operation & 0x70 } else { operation };
        let images = u64::from(record.image_bytes());
        let entry = usize::from(manager.0) * 16 + usize::from(operation >> 4);
        if let Some(totals) = self.totals.get_mut(entry) {
            totals.add(&RecordTotals {
                count: 1,
                record_bytes: u64::from(record.header().total_bytes).saturating_sub(images),
                image_bytes: images,
            });
        }
    }

    /// Everything together.
    pub fn total(&self) -> RecordTotals {
        let mut sum = RecordTotals::default();
        for totals in &self.totals {
            sum.add(totals);
        }
        sum
    }

    /// One line for each kind of record that occurred.
    pub fn by_record(&self) -> Vec<StatisticsRow> {
        let occurred = self.totals.iter().enumerate().filter(|(_, totals)| totals.count > 0);
        occurred
            .map(|(entry, totals)| {
                let manager = ResourceManager((entry / 16) as u8);
                let name = record_name(self.major, manager, ((entry % 16) << 4) as u8);
                StatisticsRow { name, totals: *totals }
            })
            .collect()
    }

    /// One line for each resource manager that occurred.
    pub fn by_resource_manager(&self) -> Vec<StatisticsRow> {
        let managers = self.totals.chunks(16).enumerate();
        managers
            .map(|(manager, operations)| {
                let mut totals = RecordTotals::default();
                for operation in operations {
                    totals.add(operation);
                }
                StatisticsRow { name: ResourceManager(manager as u8).name().into_owned(), totals }
            })
            .filter(|row| row.totals.count > 0)
            .collect()
    }
}
