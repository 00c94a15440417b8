//! What can be chosen about drives.

use std::time::Duration;

/// What the vendor's documents leave open, and limits that tests make small.
#[derive(Debug, Clone)]
pub struct DriveSettings {
    /// When a folder is trashed, deleted or shared no longer, one in so many of the files in it is listed as a change of
    /// its own; without it, the folder alone is.
    pub descendant_changes_one_in: Option<u64>,
    /// How many bytes an export has at most. Operations of `files.download` and export links have no such limit.
    pub export_bytes_max: usize,
    /// How often an operation of `files.download` is asked for until it is done.
    pub operation_polls: u32,
    /// How long an operation is remembered.
    pub operation_lifetime: Duration,
    /// After how long a file in the trash is deleted; never without it.
    pub trash_lifetime: Option<Duration>,
    /// After how long an older revision of a binary file is deleted that is not kept forever; never without it.
    pub revision_lifetime: Option<Duration>,
    /// How many revisions of a file may be kept forever.
    pub kept_revisions_max: usize,
    /// How many bytes a user may store; without it, as many as they like.
    pub storage_limit: Option<u64>,
}

impl Default for DriveSettings {
    fn default() -> Self {
        Self {
            descendant_changes_one_in: None,
            export_bytes_max: 10 << 20,
            operation_polls: 2,
            operation_lifetime: Duration::from_hours(24),
            trash_lifetime: Some(Duration::from_hours(30 * 24)),
            revision_lifetime: Some(Duration::from_hours(30 * 24)),
            kept_revisions_max: 200,
            storage_limit: None,
        }
    }
}
