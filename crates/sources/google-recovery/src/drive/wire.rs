//! A drive into which is written, and calls of it.

use std::collections::BTreeMap;

use connect::plan::WriteError;
use connect_http::{RefusalKind, escape};
use google_api::{ApiError, Change, Get, Method, ReadApi, method};
use serde::Deserialize;
use serde_json::Value;
use source_google::drive::{FileAttributes, Permission};

use super::subject::Target;
use crate::step::{RIGHTS, Task, failed};

/// What the journal calls a file that was made.
pub(super) const FILE: &str = "file";
/// What the journal calls an id that a file will have.
pub(super) const RESERVED: &str = "reserved";
/// What the journal calls content that was put back.
pub(super) const CONTENT: &str = "content";
/// What the journal calls a permission that was set back: by the file's old id and the permission's.
pub(super) const PERMISSION: &str = "permission";
/// What the journal calls a file that was taken out of the trash, or put into it again.
pub(super) const TRASH: &str = "trash";
/// Why something is left alone that was set back once: somebody took that back.
pub(super) const TAKEN_BACK: &str = "it was changed since it was set back";

/// What is asked of each file.
pub(super) const FIELDS: &str = "id,name,mimeType,parents,driveId,trashed,explicitlyTrashed,modifiedTime,size,\
    md5Checksum,sha256Checksum,headRevisionId,originalFilename,ownedByMe,inheritedPermissionsDisabled,\
    writersCanShare,copyRequiresWriterPermission,downloadRestrictions(itemDownloadRestriction),\
    contentRestrictions,description,starred,properties,folderColorRgb,shortcutDetails(targetId)";
const PERMISSION_FIELDS: &str =
    "id,type,role,emailAddress,domain,allowFileDiscovery,expirationTime,deleted,permissionDetails";

/// A drive into which is written.
pub(super) struct Drive<'a> {
    pub(super) task: &'a Task<'a>,
    pub(super) target: &'a Target,
}

/// A file as `files.get` and lists show it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Found {
    pub(super) id: String,
    pub(super) owned_by_me: Option<bool>,
    #[serde(flatten)]
    pub(super) attributes: FileAttributes,
}

#[derive(Deserialize)]
struct Ids {
    ids: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    #[serde(default)]
    files: Vec<Found>,
    next_page_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PermissionPage {
    #[serde(default)]
    permissions: Vec<Permission>,
    next_page_token: Option<String>,
}

impl Drive<'_> {
    /// Returns what reads with the writing identity.
    pub(super) fn reading(&self) -> &ReadApi {
        self.task.api.reading()
    }

    pub(super) fn subject(&self) -> &str {
        &self.target.subject
    }

    /// Makes a call that reads; `path` comes after the version.
    pub(super) fn get(method: &'static Method, path: &str) -> Get {
        Get::new(method, format!("drive/v3/{path}")).query("supportsAllDrives", "true")
    }

    /// Makes a call that changes a file.
    pub(super) fn patch(id: &str, body: Value) -> Change {
        let path = format!("drive/v3/files/{}", escape(id));
        Change::patch(&method::RESTORE_FILES_UPDATE, path, body)
            .query("supportsAllDrives", "true")
            .query("fields", FIELDS)
    }

    /// Returns the id that something has now which had this one before the plan.
    pub(super) fn id(&self, old: &str) -> String {
        self.task.journal.made(FILE, old).map_or_else(|| old.to_owned(), |made| made.new)
    }

    /// Asks for files, in as few requests as possible; `None` for those that are not there.
    pub(super) fn files(&self, ids: &[String], fields: &str) -> Result<Vec<Option<Found>>, WriteError> {
        let gets: Vec<Get> = ids
            .iter()
            .map(|id| {
                Self::get(&method::RESTORE_FILES_GET, &format!("files/{}", escape(id)))
                    .query("fields", fields)
            })
            .collect();
        let answers =
            self.reading().get_all(self.subject(), &gets).map_err(|error| failed("read files", error))?;
        answers
            .into_iter()
            .map(|answer| match answer {
                Ok(body) => parsed(&body).map(Some),
                Err(ApiError::NotFound(_)) => Ok(None),
                Err(error) => Err(failed("read files", error)),
            })
            .collect()
    }

    /// Asks for the permissions of files, in as few requests as possible; `None` for files that are not there.
    pub(super) fn permissions(&self, ids: &[String]) -> Result<Vec<Option<Vec<Permission>>>, WriteError> {
        if self.target.shared.is_none() {
            let fields = format!("id,permissions({PERMISSION_FIELDS})");
            let found = self.files(ids, &fields)?;
            return Ok(found.into_iter().map(|found| Some(found?.attributes.permissions)).collect());
        }
        let list = |id: &String| {
            Self::get(&method::RESTORE_PERMISSIONS_LIST, &format!("files/{}/permissions", escape(id)))
                .query("pageSize", "100")
                .query("fields", format!("nextPageToken,permissions({PERMISSION_FIELDS})"))
        };
        let gets: Vec<Get> = ids.iter().map(list).collect();
        let what = "list permissions";
        let answers = self.reading().get_all(self.subject(), &gets).map_err(|error| failed(what, error))?;
        let mut all = Vec::with_capacity(ids.len());
        for (get, answer) in gets.iter().zip(answers) {
            let mut page: PermissionPage = match answer {
                Ok(body) => parsed(&body)?,
                Err(ApiError::NotFound(_)) => {
                    all.push(None);
                    continue;
                }
                Err(error) => return Err(failed(what, error)),
            };
            let mut found = std::mem::take(&mut page.permissions);
            while let Some(token) = page.next_page_token.take() {
                let next = get.clone().query("pageToken", token);
                page = self.reading().get(self.subject(), &next).map_err(|error| failed(what, error))?;
                found.append(&mut page.permissions);
            }
            all.push(Some(found));
        }
        Ok(all)
    }

    /// Has ids made that files will have.
    pub(super) fn new_ids(&self, kind: &str, count: usize) -> Result<Vec<String>, WriteError> {
        let mut all = Vec::with_capacity(count);
        while all.len() < count {
            let get = Self::get(&method::RESTORE_FILES_IDS, "files/generateIds")
                .query("count", (count - all.len()).min(1000).to_string())
                .query("type", kind);
            let made: Ids =
                self.reading().get(self.subject(), &get).map_err(|error| failed("give ids", error))?;
            if made.ids.is_empty() {
                return Err(odd("it gave no ids".into()));
            }
            all.extend(made.ids);
        }
        Ok(all)
    }

    /// Finds the files that have a property which only this program sees.
    pub(super) fn marked(&self, key: &str, value: &str) -> Result<BTreeMap<String, String>, WriteError> {
        let list = Self::get(&method::RESTORE_FILES_LIST, "files")
            .query("q", format!("appProperties has {{ key='{key}' and value='{value}' }}"))
            .query("pageSize", "1000")
            .query("fields", "nextPageToken,files(id,appProperties)")
            .query("includeItemsFromAllDrives", "true");
        let list = match &self.target.shared {
            Some(drive) => list.query("corpora", "drive").query("driveId", drive.as_str()),
            None => list.query("corpora", "user"),
        };
        let (mut found, mut token) = (BTreeMap::new(), None::<String>);
        loop {
            let get = token.iter().fold(list.clone(), |get, token| get.query("pageToken", token));
            let page: Page = self
                .reading()
                .get(self.subject(), &get)
                .map_err(|error| failed("search for files", error))?;
            for mut file in page.files {
                if let Some(old) = file.attributes.app_properties.remove(super::make::OLD_ID) {
                    found.insert(old, file.id);
                }
            }
            token = page.next_page_token;
            if token.is_none() {
                return Ok(found);
            }
        }
    }
}

fn parsed<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, WriteError> {
    serde_json::from_slice(body).map_err(|error| odd(Box::new(error)))
}

fn odd(source: Box<dyn std::error::Error + Send + Sync>) -> WriteError {
    WriteError::Source {
        message: "Drive's answer is not understood".to_owned(),
        hint: None,
        transient: false,
        source: Some(source),
    }
}

/// Says why one thing is not done, or that nothing more can be; `what` is what Google did not do.
pub(super) fn refused(what: &str, error: ApiError) -> Result<String, WriteError> {
    match error {
        ApiError::NotFound(_) => Ok("it, its folder or what it leads to is not there any more".to_owned()),
        ApiError::Refused(refusal) if refusal.kind == RefusalKind::Exhausted => Err(WriteError::Source {
            message: format!("Google did not {what}"),
            hint: Some("make room in the drive, then apply the same plan again".to_owned()),
            transient: false,
            source: Some(refusal.to_string().into()),
        }),
        ApiError::Refused(refusal) if !RIGHTS.contains(&refusal.reason.as_str()) => {
            Ok(format!("Google did not {what}: {refusal}"))
        }
        error => Err(failed(what, error)),
    }
}
