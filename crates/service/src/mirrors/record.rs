//! What is remembered of a mirror's last run, for when it is not there to be asked.

use std::{collections::BTreeMap, path::Path};

use model::{Moment, SourceName};
use ports::files::{self, FileError};
use serde::{Deserialize, Serialize};
use vault::mirror::PullReport;

use super::records_folder;
use crate::place::Standing;

/// A mirror's last run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MirrorRecord {
    /// When it ended; the mirror was seen then.
    pub seen_at: Moment,
    /// Whether everything was copied.
    pub complete: bool,
    /// Objects copied.
    pub copied_objects: u64,
    /// Bytes copied.
    pub copied_bytes: u64,
    /// Bytes that were read and checked.
    pub verified_bytes: u64,
    /// Whether everything at the origin was read again.
    pub thorough: bool,
    /// How many differences were found.
    pub differences: u64,
    /// What its place enforced then.
    pub tier: u8,
    /// How far each source was.
    pub sources: BTreeMap<SourceName, SourceRecord>,
}

/// How far a source was in the mirror.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceRecord {
    /// The mirror's newest commit.
    pub sequence: u64,
    /// Its vault time: everything up to then can be restored from the mirror.
    pub restorable_until: Option<Moment>,
}

impl MirrorRecord {
    pub(super) fn of(report: &PullReport, standing: &Standing, thorough: bool, now: Moment) -> Self {
        let source = |(name, standing): (&SourceName, &vault::mirror::SourceStanding)| {
            let record =
                SourceRecord { sequence: standing.mirror_sequence, restorable_until: standing.mirror_time };
            (name.clone(), record)
        };
        Self {
            seen_at: now,
            complete: report.complete,
            copied_objects: report.copied_objects,
            copied_bytes: report.copied_bytes,
            verified_bytes: report.verified_bytes,
            thorough,
            differences: report.differences.len() as u64,
            tier: standing.tier,
            sources: report.sources.iter().map(source).collect(),
        }
    }

    /// Reads what is remembered; a record that cannot be understood counts as none.
    pub(super) fn read(home: &Path, name: &str) -> Result<Option<Self>, FileError> {
        let path = records_folder(home)?.join(format!("{name}.json"));
        if !path.exists() {
            return Ok(None);
        }
        Ok(serde_json::from_slice(&files::read(&path)?).ok())
    }

    pub(super) fn write(&self, home: &Path, name: &str) -> Result<(), FileError> {
        let path = records_folder(home)?.join(format!("{name}.json"));
        let text = serde_json::to_vec_pretty(self)
            .map_err(|error| FileError::new("write", &path, std::io::Error::other(error)))?;
        files::replace(&path, &text)
    }
}
