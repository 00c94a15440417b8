//! What lists do not tell of a file: who may do what with it in a shared drive, its revisions, its comments.

use connect::units::UnitError;
use google_api::{ApiError, Get, method};
use model::UnreadableReason;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    FileKind, Files, Permission, Place,
    formats::{Exports, best},
    take::Taken,
    wire::{CommentPage, PERMISSION_FIELDS, PermissionPage, REVISION_FIELDS, RevisionPage},
};
use crate::failure::{as_unreadable, unit_error};

/// What was told, or why not.
pub(super) type Told<T> = Result<T, UnreadableReason>;

/// What else is told of a file; absent what was not asked.
#[derive(Debug, Default)]
pub(super) struct Sides {
    pub(super) permissions: Option<Told<Vec<Permission>>>,
    pub(super) revisions: Option<Told<Vec<Value>>>,
    pub(super) comments: Option<Told<Vec<Value>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Permissions,
    Revisions,
    Comments,
}

/// A page of a list.
trait Page: DeserializeOwned {
    type Entry;
    fn split(self) -> (Vec<Self::Entry>, Option<String>);
}

impl Page for PermissionPage {
    type Entry = Permission;
    fn split(self) -> (Vec<Permission>, Option<String>) {
        (self.permissions, self.next_page_token)
    }
}

impl Page for RevisionPage {
    type Entry = Value;
    fn split(self) -> (Vec<Value>, Option<String>) {
        (self.revisions, self.next_page_token)
    }
}

impl Page for CommentPage {
    type Entry = Value;
    fn split(self) -> (Vec<Value>, Option<String>) {
        (self.comments, self.next_page_token)
    }
}

impl Files {
    /// Asks what lists do not tell of some files, in as few requests as possible.
    pub(super) fn ask_sides(&self, files: &[Taken], exports: &Exports) -> Result<Vec<Sides>, UnitError> {
        let mut wanted = Vec::new();
        for (number, taken) in files.iter().enumerate() {
            let sides = self.wanted(taken, exports);
            wanted.extend(sides.into_iter().map(|side| (number, side, Self::side(side, &taken.file.id))));
        }
        let mut all: Vec<Sides> = files.iter().map(|_| Sides::default()).collect();
        for step in wanted.chunks(self.api().batch_calls()) {
            let gets: Vec<Get> = step.iter().map(|(_, _, get)| get.clone()).collect();
            let answers = self.api().get_many(&self.subject, &gets).map_err(|error| unit_error(&error))?;
            for ((number, side, get), answer) in step.iter().zip(answers) {
                let sides = &mut all[*number];
                match side {
                    Side::Permissions => {
                        let mut told = self.all_of::<PermissionPage>(get, answer)?;
                        if let Ok(permissions) = &mut told {
                            permissions.sort_by(|a, b| a.id.cmp(&b.id));
                        }
                        sides.permissions = Some(told);
                    }
                    Side::Revisions => {
                        sides.revisions = self.unless_unsupported::<RevisionPage>(get, answer)?;
                    }
                    Side::Comments => sides.comments = Some(self.all_of::<CommentPage>(get, answer)?),
                }
            }
        }
        Ok(all)
    }

    /// Asks what was said about some files.
    pub(super) fn ask_comments(&self, ids: &[String]) -> Result<Vec<Told<Vec<Value>>>, UnitError> {
        let mut all = Vec::with_capacity(ids.len());
        let gets: Vec<Get> = ids.iter().map(|id| Self::side(Side::Comments, id)).collect();
        for gets in gets.chunks(self.api().batch_calls().max(1)) {
            let answers = self.api().get_many(&self.subject, gets).map_err(|error| unit_error(&error))?;
            for (get, answer) in gets.iter().zip(answers) {
                all.push(self.all_of::<CommentPage>(get, answer)?);
            }
        }
        Ok(all)
    }

    fn wanted(&self, taken: &Taken, exports: &Exports) -> Vec<Side> {
        let attributes = &taken.file.attributes;
        let has_them = match attributes.kind() {
            FileKind::Binary => true,
            FileKind::Editor => best(exports, &attributes.mime_type).is_some(),
            FileKind::Folder | FileKind::Shortcut => false,
        };
        let mut wanted = Vec::new();
        if self.place != Place::Owned {
            wanted.push(Side::Permissions);
        }
        if has_them && !taken.is_of_held_version() {
            wanted.extend([Side::Revisions, Side::Comments]);
        }
        wanted
    }

    fn side(side: Side, id: &str) -> Get {
        let id = connect_http::escape(id);
        match side {
            Side::Permissions => {
                Self::get(&method::DRIVE_PERMISSIONS_LIST, &format!("files/{id}/permissions"))
                    .query("pageSize", "100")
                    .query("fields", PERMISSION_FIELDS)
            }
            Side::Revisions => Self::get(&method::DRIVE_REVISIONS_LIST, &format!("files/{id}/revisions"))
                .query("pageSize", "1000")
                .query("fields", REVISION_FIELDS),
            Side::Comments => Self::get(&method::DRIVE_COMMENTS_LIST, &format!("files/{id}/comments"))
                .query("pageSize", "100")
                .query("includeDeleted", "true")
                .query("fields", "nextPageToken,comments"),
        }
    }

    fn unless_unsupported<P: Page>(
        &self,
        get: &Get,
        answer: Result<Vec<u8>, ApiError>,
    ) -> Result<Option<Told<Vec<P::Entry>>>, UnitError> {
        match answer {
            // There are none; nothing is missing.
            Err(ApiError::Refused(refusal)) if refusal.reason == "revisionsNotSupported" => Ok(None),
            answer => self.all_of::<P>(get, answer).map(Some),
        }
    }

    /// Reads the other pages of a list.
    fn all_of<P: Page>(
        &self,
        get: &Get,
        first: Result<Vec<u8>, ApiError>,
    ) -> Result<Told<Vec<P::Entry>>, UnitError> {
        let (mut all, mut answer) = (Vec::new(), first);
        loop {
            let page = answer.map_err(|error| as_unreadable(&error)).and_then(|body| {
                serde_json::from_slice::<P>(&body)
                    .map_err(|error| Some(UnreadableReason::Failed { detail: error.to_string() }))
            });
            let page = match page {
                Ok(page) => page,
                Err(Some(reason)) => return Ok(Err(reason)),
                Err(None) => return Err(UnitError::Stopped),
            };
            let (entries, next) = page.split();
            all.extend(entries);
            let Some(token) = next else { return Ok(Ok(all)) };
            answer = self.api().get_bytes(&self.subject, &get.clone().query("pageToken", token));
        }
    }
}
