//! Listing a whole drive.

use std::collections::HashSet;

use connect::units::UnitError;
use google_api::{ApiError, Get, method};

use super::{Files, Pass, Place, is_rejected, take::Effort, wire::FilePage};
use crate::failure::unit_error;

const PAGE: &str = "1000";
/// How often a list is begun anew because its page tokens are no longer taken.
const RESTARTS_MAX: u32 = 3;

/// What is asked of lists: a page of files, and whether it is all of it.
pub(super) fn list_fields() -> String {
    format!("nextPageToken,incompleteSearch,files({})", super::FILE_FIELDS)
}

impl Files {
    fn list(&self) -> Get {
        let list = Self::get(&method::DRIVE_FILES_LIST, "files").query("spaces", "drive");
        let list = match &self.place {
            // What lies in the trash is listed as well.
            Place::Owned => list.query("corpora", "user").query("q", "'me' in owners"),
            Place::Shared { .. } => list.query("corpora", "drive"),
        };
        self.here(list).query("pageSize", PAGE).query("fields", list_fields())
    }

    /// Reads one page; `None` when its token is not taken any more.
    pub(super) fn page(&self, list: &Get, token: Option<&str>) -> Result<Option<FilePage>, UnitError> {
        let get = token.iter().fold(list.clone(), |get, token| get.query("pageToken", *token));
        let page: FilePage = match self.api().get(&self.subject, &get) {
            Ok(page) => page,
            Err(error) if token.is_some() && is_rejected(&error) => return Ok(None),
            Err(error) => return Err(unit_error(&error)),
        };
        if page.incomplete_search {
            let detail = "the drive was not listed completely: the answer says that files are missing";
            return Err(UnitError::Failed { detail: detail.to_owned() });
        }
        Ok(Some(page))
    }

    /// Asks for the top folder, which lists may leave out.
    fn top_folder(&self) -> Result<Option<super::DriveFile>, UnitError> {
        match self.api().get(&self.subject, &Self::file("root")) {
            Ok(file) => Ok(Some(file)),
            Err(ApiError::NotFound(_)) => Ok(None),
            Err(error) => Err(unit_error(&error)),
        }
    }
}

impl Pass<'_, '_> {
    /// Lists all files, compares them with what is held, and fetches what changed. With `compare`, what is held and no
    /// longer listed is looked at by name: it may be gone.
    pub(super) fn enumerate(&mut self, compare: bool) -> Result<(), UnitError> {
        let files = self.files;
        // While changes were lost, things may have been said that no file shows.
        let effort = if compare { Effort::Comments } else { Effort::Compare };
        let mut seen = HashSet::new();
        if files.place == Place::Owned
            && let Some(top) = files.top_folder()?.filter(|top| files.has(top))
        {
            seen.insert(top.id.clone());
            self.take(vec![top], Effort::Compare)?;
            self.forget_folders();
        }
        let list = files.list();
        let (mut token, mut restarts) = (None::<String>, 0);
        loop {
            let Some(page) = files.page(&list, token.as_deref())? else {
                restarts += 1;
                if restarts > RESTARTS_MAX {
                    let detail = "the tokens of the list of files are not taken again and again";
                    return Err(UnitError::Failed { detail: detail.to_owned() });
                }
                token = None;
                continue;
            };
            // Pages move while files come: one may be listed twice.
            let listed = page.files.into_iter().filter(|file| files.has(file));
            let new = listed.filter(|file| seen.insert(file.id.clone())).collect();
            self.take(new, effort)?;
            self.forget_folders();
            token = page.next_page_token;
            if token.is_none() {
                break;
            }
        }
        if compare { self.find_gone(&seen) } else { Ok(()) }
    }
    /// Forgets what concerns what is in folders: all of it is being listed.
    fn forget_folders(&mut self) {
        self.changed_folders.clear();
        self.new_folders.clear();
        self.handed.clear();
    }
}
