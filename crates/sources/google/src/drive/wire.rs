//! Answers of the Drive API, as far as they are read.

use serde::Deserialize;
use serde_json::Value;

use super::attributes::{FileAttributes, Permission};

/// What is asked of each file.
pub(super) const FILE_FIELDS: &str = "id,name,mimeType,parents,driveId,trashed,explicitlyTrashed,trashedTime,\
    createdTime,modifiedTime,version,size,md5Checksum,sha256Checksum,headRevisionId,originalFilename,ownedByMe,\
    owners(emailAddress,permissionId),lastModifyingUser(emailAddress,permissionId),permissionIds,\
    permissions(id,type,role,emailAddress,domain,allowFileDiscovery,expirationTime,view,pendingOwner,deleted,\
    permissionDetails),inheritedPermissionsDisabled,writersCanShare,copyRequiresWriterPermission,\
    downloadRestrictions(itemDownloadRestriction),contentRestrictions,description,starred,properties,appProperties,\
    folderColorRgb,shortcutDetails(targetId,targetMimeType),capabilities(canDownload)";

/// What is asked of each permission.
pub(super) const PERMISSION_FIELDS: &str = "nextPageToken,permissions(id,type,role,emailAddress,domain,\
    allowFileDiscovery,expirationTime,view,pendingOwner,deleted,permissionDetails)";

/// What is asked of each revision.
pub(super) const REVISION_FIELDS: &str = "nextPageToken,revisions(id,mimeType,modifiedTime,keepForever,published,\
    publishAuto,publishedOutsideDomain,lastModifyingUser(emailAddress,permissionId),originalFilename,md5Checksum,size)";

/// A file as lists, changes and `files.get` show it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct DriveFile {
    pub(super) id: String,
    pub(super) owned_by_me: Option<bool>,
    /// Ids of permissions; told of shared drives as well, where the permissions themselves are not.
    pub(super) permission_ids: Vec<String>,
    pub(super) capabilities: Capabilities,
    #[serde(flatten)]
    pub(super) attributes: FileAttributes,
}

/// What the reader may do with a file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Capabilities {
    pub(super) can_download: Option<bool>,
}

/// `files.list`
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct FilePage {
    pub(super) files: Vec<DriveFile>,
    pub(super) next_page_token: Option<String>,
    pub(super) incomplete_search: bool,
}

/// `changes.getStartPageToken`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StartToken {
    pub(super) start_page_token: String,
}

/// `changes.list`
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ChangePage {
    pub(super) changes: Vec<DriveChange>,
    pub(super) next_page_token: Option<String>,
    pub(super) new_start_page_token: Option<String>,
}

/// The latest change of one file, or of a shared drive.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct DriveChange {
    pub(super) file_id: Option<String>,
    /// Deleted, or no longer to be seen.
    pub(super) removed: bool,
    pub(super) file: Option<DriveFile>,
}

/// `permissions.list`
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PermissionPage {
    pub(super) permissions: Vec<Permission>,
    pub(super) next_page_token: Option<String>,
}

/// `comments.list`
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct CommentPage {
    pub(super) comments: Vec<Value>,
    pub(super) next_page_token: Option<String>,
}

/// `revisions.list`
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct RevisionPage {
    pub(super) revisions: Vec<Value>,
    pub(super) next_page_token: Option<String>,
}

/// What makes a document ready for download.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Operation {
    pub(super) name: String,
    pub(super) done: bool,
    pub(super) response: Ready,
    pub(super) error: Option<OperationError>,
}

/// Where it is when it is ready.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Ready {
    pub(super) download_uri: Option<String>,
}

/// Why it will not be.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct OperationError {
    pub(super) code: i64,
    pub(super) message: String,
}
