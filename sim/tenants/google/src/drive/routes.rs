//! The methods of the Drive API.

use hyper::Method;

use super::{
    about, changes, channels, comments, content, create, delete, drives, export, permissions, revisions,
    update, upload,
};
use crate::{
    oauth::scopes::{DRIVE, DRIVE_READONLY},
    routes::{Handler, Route},
};

const READ: &[&str] = &[DRIVE, DRIVE_READONLY];
const WRITE: &[&str] = &[DRIVE];

const fn route(
    id: &'static str,
    method: Method,
    path: &'static str,
    scopes: &'static [&'static str],
    handler: Handler,
) -> Route {
    Route { id, method, path, scopes, units: 1, service: "drive", handler }
}

/// The routes. All have one price, because the vendor publishes no others; settings can say otherwise.
pub(crate) const ROUTES: &[Route] = &[
    route("drive.about.get", Method::GET, "drive/v3/about", READ, about::get),
    route(
        "drive.changes.getStartPageToken",
        Method::GET,
        "drive/v3/changes/startPageToken",
        READ,
        changes::start_page_token,
    ),
    route("drive.changes.list", Method::GET, "drive/v3/changes", READ, changes::list),
    route("drive.changes.watch", Method::POST, "drive/v3/changes/watch", READ, channels::watch_changes),
    route("drive.channels.stop", Method::POST, "drive/v3/channels/stop", READ, channels::stop),
    route("drive.comments.create", Method::POST, "drive/v3/files/{fileId}/comments", WRITE, comments::create),
    route("drive.comments.list", Method::GET, "drive/v3/files/{fileId}/comments", READ, comments::list),
    route(
        "drive.comments.get",
        Method::GET,
        "drive/v3/files/{fileId}/comments/{commentId}",
        READ,
        comments::get,
    ),
    route(
        "drive.comments.update",
        Method::PATCH,
        "drive/v3/files/{fileId}/comments/{commentId}",
        WRITE,
        comments::update,
    ),
    route(
        "drive.comments.delete",
        Method::DELETE,
        "drive/v3/files/{fileId}/comments/{commentId}",
        WRITE,
        comments::delete,
    ),
    route(
        "drive.replies.create",
        Method::POST,
        "drive/v3/files/{fileId}/comments/{commentId}/replies",
        WRITE,
        comments::create_reply,
    ),
    route(
        "drive.replies.list",
        Method::GET,
        "drive/v3/files/{fileId}/comments/{commentId}/replies",
        READ,
        comments::replies,
    ),
    route(
        "drive.replies.get",
        Method::GET,
        "drive/v3/files/{fileId}/comments/{commentId}/replies/{replyId}",
        READ,
        comments::get_reply,
    ),
    route(
        "drive.replies.update",
        Method::PATCH,
        "drive/v3/files/{fileId}/comments/{commentId}/replies/{replyId}",
        WRITE,
        comments::update_reply,
    ),
    route(
        "drive.replies.delete",
        Method::DELETE,
        "drive/v3/files/{fileId}/comments/{commentId}/replies/{replyId}",
        WRITE,
        comments::delete_reply,
    ),
    route("drive.drives.create", Method::POST, "drive/v3/drives", WRITE, drives::create),
    route("drive.drives.list", Method::GET, "drive/v3/drives", READ, drives::list),
    route("drive.drives.get", Method::GET, "drive/v3/drives/{driveId}", READ, drives::get),
    route("drive.drives.update", Method::PATCH, "drive/v3/drives/{driveId}", WRITE, drives::update),
    route("drive.drives.delete", Method::DELETE, "drive/v3/drives/{driveId}", WRITE, drives::delete),
    route("drive.drives.hide", Method::POST, "drive/v3/drives/{driveId}/hide", WRITE, drives::hide),
    route("drive.drives.unhide", Method::POST, "drive/v3/drives/{driveId}/unhide", WRITE, drives::unhide),
    route("drive.files.list", Method::GET, "drive/v3/files", READ, content::list),
    route("drive.files.create", Method::POST, "drive/v3/files", WRITE, create::create),
    route("drive.files.create", Method::POST, "upload/drive/v3/files", WRITE, upload::create),
    route("drive.files.create", Method::POST, "resumable/upload/drive/v3/files", WRITE, upload::create),
    route("drive.files.create", Method::PUT, "upload/drive/v3/files", WRITE, upload::create),
    route("drive.files.update", Method::PATCH, "upload/drive/v3/files/{fileId}", WRITE, upload::update),
    route(
        "drive.files.update",
        Method::PATCH,
        "resumable/upload/drive/v3/files/{fileId}",
        WRITE,
        upload::update,
    ),
    route("drive.files.update", Method::PUT, "upload/drive/v3/files/{fileId}", WRITE, upload::update),
    route("drive.files.create", Method::PUT, "resumable/upload/drive/v3/files", WRITE, upload::create),
    route(
        "drive.files.update",
        Method::PUT,
        "resumable/upload/drive/v3/files/{fileId}",
        WRITE,
        upload::update,
    ),
    route("drive.files.create", Method::DELETE, "upload/drive/v3/files", WRITE, upload::create),
    route("drive.files.update", Method::DELETE, "upload/drive/v3/files/{fileId}", WRITE, upload::update),
    route("drive.files.emptyTrash", Method::DELETE, "drive/v3/files/trash", WRITE, delete::empty_trash),
    route("drive.files.generateIds", Method::GET, "drive/v3/files/generateIds", WRITE, create::generate_ids),
    route("drive.files.get", Method::GET, "drive/v3/files/{fileId}", READ, content::get),
    route("drive.files.update", Method::PATCH, "drive/v3/files/{fileId}", WRITE, update::update),
    route("drive.files.delete", Method::DELETE, "drive/v3/files/{fileId}", WRITE, delete::delete),
    route("drive.files.copy", Method::POST, "drive/v3/files/{fileId}/copy", WRITE, create::copy),
    route("drive.files.export", Method::GET, "drive/v3/files/{fileId}/export", READ, export::export),
    route("drive.files.export", Method::GET, "feeds/download/documents/export/Export", READ, export::link),
    route("drive.files.download", Method::POST, "drive/v3/files/{fileId}/download", READ, export::download),
    route(
        "drive.files.download",
        Method::GET,
        "download/drive/v3/operations/{name}",
        READ,
        export::operation_content,
    ),
    route("drive.files.watch", Method::POST, "drive/v3/files/{fileId}/watch", READ, channels::watch_file),
    route("drive.operations.get", Method::GET, "drive/v3/operations/{+name}", READ, export::operation),
    route(
        "drive.permissions.list",
        Method::GET,
        "drive/v3/files/{fileId}/permissions",
        READ,
        permissions::list,
    ),
    route(
        "drive.permissions.create",
        Method::POST,
        "drive/v3/files/{fileId}/permissions",
        WRITE,
        permissions::create,
    ),
    route(
        "drive.permissions.get",
        Method::GET,
        "drive/v3/files/{fileId}/permissions/{permissionId}",
        READ,
        permissions::get,
    ),
    route(
        "drive.permissions.update",
        Method::PATCH,
        "drive/v3/files/{fileId}/permissions/{permissionId}",
        WRITE,
        permissions::update,
    ),
    route(
        "drive.permissions.delete",
        Method::DELETE,
        "drive/v3/files/{fileId}/permissions/{permissionId}",
        WRITE,
        permissions::delete,
    ),
    route("drive.revisions.list", Method::GET, "drive/v3/files/{fileId}/revisions", READ, revisions::list),
    route(
        "drive.revisions.get",
        Method::GET,
        "drive/v3/files/{fileId}/revisions/{revisionId}",
        READ,
        revisions::get,
    ),
    route(
        "drive.revisions.update",
        Method::PATCH,
        "drive/v3/files/{fileId}/revisions/{revisionId}",
        WRITE,
        revisions::update,
    ),
    route(
        "drive.revisions.delete",
        Method::DELETE,
        "drive/v3/files/{fileId}/revisions/{revisionId}",
        WRITE,
        revisions::delete,
    ),
];
