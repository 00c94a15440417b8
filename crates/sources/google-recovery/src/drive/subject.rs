//! In whose name a drive is written.

use connect::{StoredError, StoredHistory, StoredVersion};
use model::StreamName;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use source_google::RecordAttributes;

use crate::planner::live_below;

/// The stream of the list of shared drives.
const SHARED_DRIVES: &str = "shared-drives";

/// A drive into which is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Target {
    /// In whose name: the owner, or an organizer of the shared drive.
    pub(crate) subject: String,
    /// The id of the shared drive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) shared: Option<String>,
}

impl Target {
    /// Returns what the API calls the top folder.
    pub(super) fn top(&self) -> &str {
        self.shared.as_deref().unwrap_or("root")
    }
}

/// Returns who was an organizer of a shared drive after a commit: of several the first, by address. Only an organizer may
/// do everything that a restore does.
pub fn known_organizer(
    past: &dyn StoredHistory,
    drive: &str,
    at: u64,
) -> Result<Option<String>, StoredError> {
    let stream = StreamName::new(SHARED_DRIVES)
        .map_err(|error| StoredError::Vault { what: SHARED_DRIVES.to_owned(), source: Box::new(error) })?;
    let mut organizers = Vec::new();
    live_below(past, &stream, &format!("member/{drive}/"), at, &mut |key| {
        let member: Value = serde_json::from_slice(&past.content(&stream, key, at)?).unwrap_or_default();
        let is_person = member["type"] == "user" && member["deleted"] != true;
        if is_person && member["role"] == "organizer" {
            organizers.extend(member["emailAddress"].as_str().map(str::to_lowercase));
        }
        Ok(true)
    })?;
    let is_open = |address: &String| !is_suspended(past, address, at).unwrap_or(false);
    organizers.sort();
    let open = organizers.iter().find(|address| is_open(address));
    Ok(open.or(organizers.first()).cloned())
}

/// Tells whether an account is known to be suspended; where the directory is not captured, none is.
fn is_suspended(past: &dyn StoredHistory, address: &str, at: u64) -> Result<bool, StoredError> {
    let Ok(stream) = StreamName::new("directory") else { return Ok(false) };
    let mut suspended = false;
    live_below(past, &stream, "user/", at, &mut |key| {
        // The address is in the attributes: only one user's document is read.
        let called = past.version(&stream, key, at)?.and_then(|version| name(&version));
        let is_it = called.is_some_and(|called| called.eq_ignore_ascii_case(address));
        if is_it {
            let user: Value = serde_json::from_slice(&past.content(&stream, key, at)?).unwrap_or_default();
            suspended = user["suspended"] == true;
        }
        Ok(!is_it)
    })?;
    Ok(suspended)
}

/// Returns the name of a shared drive after a commit.
pub(crate) fn drive_name(
    past: &dyn StoredHistory,
    drive: &str,
    at: u64,
) -> Result<Option<String>, StoredError> {
    let Ok(stream) = StreamName::new(SHARED_DRIVES) else { return Ok(None) };
    let version = past.version(&stream, &format!("drive/{drive}"), at)?;
    Ok(version.as_ref().and_then(name))
}

/// Returns what people call a record.
fn name(version: &StoredVersion) -> Option<String> {
    let attributes: RecordAttributes = serde_json::from_str(&version.item.item.attributes).ok()?;
    attributes.name
}
