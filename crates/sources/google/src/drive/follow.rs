//! Following what changes in a drive.

use std::collections::BTreeMap;

use connect::units::UnitError;
use google_api::{Get, method};

use super::{
    FILE_FIELDS, Files, Pass, file_key, is_rejected,
    take::Effort,
    wire::{ChangePage, DriveChange, DriveFile},
};
use crate::failure::unit_error;

const PAGE: &str = "1000";
/// So many items that failed before are tried again in a round.
const FAILED_MAX: u32 = 1000;
const FOLDER: &str = "application/vnd.google-apps.folder";

/// How following changes ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Followed {
    /// Everything before this token is held.
    To(String),
    /// Everything before this token is held once the drive was listed: so much is inside of what changed that this costs
    /// less than to ask for each.
    ListFrom(String),
    /// The token is not taken any more.
    Lost,
}

impl Files {
    fn changes(&self, token: &str) -> Get {
        let fields =
            format!("nextPageToken,newStartPageToken,changes(changeType,removed,fileId,file({FILE_FIELDS}))");
        let get = Self::get(&method::DRIVE_CHANGES_LIST, "changes")
            .query("pageToken", token)
            .query("pageSize", PAGE)
            .query("includeRemoved", "true")
            .query("includeCorpusRemovals", "true")
            .query("restrictToMyDrive", "false")
            .query("spaces", "drive");
        self.here(get).query("fields", fields)
    }
}

impl Pass<'_, '_> {
    /// Reads what changed since a token, and in a round also what failed before.
    pub(super) fn follow(&mut self, since: &str, round: bool) -> Result<Followed, UnitError> {
        let files = self.files;
        let mut token = since.to_owned();
        let newest = loop {
            let page: ChangePage = match files.api().get(&files.subject, &files.changes(&token)) {
                Ok(page) => page,
                Err(error) if is_rejected(&error) => return Ok(Followed::Lost),
                Err(error) => return Err(unit_error(&error)),
            };
            self.take_changes(page.changes)?;
            match (page.next_page_token, page.new_start_page_token) {
                (Some(next), _) => token = next,
                (None, Some(newest)) => break newest,
                (None, None) => {
                    let detail = "the list of changes does not say where it goes on".to_owned();
                    return Err(UnitError::Failed { detail });
                }
            }
        };
        if round {
            self.retry()?;
        }
        self.list_new_folders()?;
        if self.look_inside()? { Ok(Followed::To(newest)) } else { Ok(Followed::ListFrom(newest)) }
    }

    fn take_changes(&mut self, changes: Vec<DriveChange>) -> Result<(), UnitError> {
        // The last word on a file counts.
        let mut here: BTreeMap<String, Option<DriveFile>> = BTreeMap::new();
        for change in changes {
            let Some(id) = change.file_id else { continue };
            let file = change.file.filter(|_| !change.removed);
            match file {
                Some(file) if self.files.has(&file) => {
                    here.insert(id, Some(file));
                }
                file => {
                    if file.is_some_and(|file| file.attributes.mime_type == FOLDER) {
                        // A folder of somebody else's: what this drive has in it changed with it.
                        self.changed_folders.insert(id.clone());
                    }
                    here.insert(id, None);
                }
            }
        }
        let (mut taken, mut doubtful) = (Vec::new(), Vec::new());
        for (id, file) in here {
            match file {
                Some(file) => taken.push(file),
                None => doubtful.push(id),
            }
        }
        self.take(taken, Effort::Compare)?;
        let known = self.sink.known(&self.files.stream, doubtful.iter().map(|id| file_key(id)).collect())?;
        // Most of these were never in this drive: they were shared with its owner, and are so no longer.
        let held = doubtful.into_iter().zip(known).filter(|(_, known)| known.is_some());
        let held: Vec<String> = held.map(|(id, _)| id).collect();
        self.look_again(&held, Effort::Compare)
    }

    /// Tries again what failed before.
    fn retry(&mut self) -> Result<(), UnitError> {
        let failed = self.sink.failed_keys(&self.files.stream, FAILED_MAX)?;
        let mut ids: Vec<String> =
            failed.iter().filter_map(|key| key.split('/').nth(1)).map(str::to_owned).collect();
        ids.sort_unstable();
        ids.dedup();
        self.look_again(&ids, Effort::Everything)
    }
}
