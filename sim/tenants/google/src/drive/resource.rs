//! Files, users and permissions as answers show them.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    blob::Blob,
    capability::Standing,
    file::{File, Revision},
    files,
    kind::{Kind, extension},
    permission::{Effective, Grantee, Role, user_permission_id},
};
use crate::{call::Call, fields::Mask, stamp, stream::Source, tenant::Tenant};

/// A resource whose checksums are still to be made, which takes time for large files and is done without the lock.
pub(super) struct Filled {
    pub(super) value: Value,
    blob: Option<Arc<Blob>>,
    inside: Option<&'static str>,
}

impl Filled {
    /// A resource that lacks nothing.
    pub(super) const fn plain(value: Value) -> Self {
        Self { value, blob: None, inside: None }
    }

    /// Puts the resource into another under a name.
    pub(super) fn inside(self, mut outer: Value, name: &'static str) -> Self {
        outer[name] = self.value;
        Self { value: outer, blob: self.blob, inside: Some(name) }
    }

    /// Adds the checksums.
    pub(super) fn finish(self) -> Value {
        let mut value = self.value;
        if let Some(blob) = self.blob {
            let place = match self.inside {
                Some(name) => &mut value[name],
                None => &mut value,
            };
            let sums = blob.sums();
            place["md5Checksum"] = sums.md5.as_str().into();
            if place["kind"] == "drive#file" {
                place["sha1Checksum"] = sums.sha1.as_str().into();
                place["sha256Checksum"] = sums.sha256.as_str().into();
            }
        }
        value
    }
}

/// Makes the resource of a user, by id.
pub(super) fn user(tenant: &Tenant, call: &Call, id: &str) -> Value {
    let known = tenant.directory.any_user(id);
    let name = known.map_or_else(String::new, |user| format!("{} {}", user.given_name, user.family_name));
    json!({
        "kind": "drive#user",
        "displayName": name,
        "me": *call.caller.user == *id,
        "permissionId": user_permission_id(id),
        "emailAddress": known.map_or("", |user| user.primary_email.as_str()),
    })
}

/// Makes the resource of a permission.
pub(super) fn permission(tenant: &Tenant, effective: &Effective, drive: bool) -> Value {
    let permission = &effective.permission;
    let mut value = json!({
        "kind": "drive#permission",
        "id": permission.id,
        "type": permission.grantee.kind(),
        "role": permission.role.name(),
    });
    match &permission.grantee {
        Grantee::User(address, id) => {
            let known = id.as_deref().and_then(|id| tenant.directory.any_user(id));
            value["emailAddress"] = known.map_or(address.as_str(), |user| &user.primary_email).into();
            let name = known.map(|user| format!("{} {}", user.given_name, user.family_name));
            value["displayName"] = name.unwrap_or_else(|| address.clone()).into();
            value["deleted"] = known.is_some_and(|user| user.deleted.is_some()).into();
            value["pendingOwner"] = false.into();
        }
        Grantee::Group(address) => {
            value["emailAddress"] = address.as_str().into();
            value["displayName"] = address.split('@').next().into();
            value["deleted"] = false.into();
        }
        Grantee::Domain(domain) => {
            value["domain"] = domain.as_str().into();
            value["displayName"] = domain.as_str().into();
            value["allowFileDiscovery"] = permission.discoverable.into();
        }
        Grantee::Anyone => value["allowFileDiscovery"] = permission.discoverable.into(),
    }
    if let Some(expires) = permission.expires {
        value["expirationTime"] = stamp::rfc3339(expires).into();
    }
    if drive {
        let from = effective.inherited_from.as_deref();
        let member = from.is_none_or(|from| from.ends_with("Uk9PVA"));
        let mut detail = json!({
            "permissionType": if member { "member" } else { "file" },
            "role": permission.role.name(),
            "inherited": from.is_some(),
        });
        if let Some(from) = from {
            detail["inheritedFrom"] = from.into();
        }
        value["permissionDetails"] = json!([detail]);
    }
    value
}

/// Makes the resource of a file for a caller, as far as the mask takes it.
pub(super) fn make(tenant: &Tenant, call: &Call, file: &File, mask: &Mask) -> Filled {
    let tree = &tenant.drive.tree;
    let trashed = tree.is_trashed(file);
    let role = files::role(tenant, call, &file.id).unwrap_or(Role::Reader);
    let standing = Standing { file, role, trashed };
    let me = &call.caller.user;
    let mut value = json!({
        "kind": "drive#file",
        "id": *file.id,
        "name": file.name,
        "mimeType": file.media_type,
        "starred": file.traits.starred_by.contains(me),
        "trashed": trashed,
        "explicitlyTrashed": file.trashed.is_some(),
        "version": file.version.to_string(),
        "createdTime": stamp::rfc3339(file.created),
        "modifiedTime": stamp::rfc3339(file.modified),
        "modifiedByMe": file.modified_by == *me,
        "viewedByMe": false,
        "spaces": ["drive"],
        "isAppAuthorized": true,
        "quotaBytesUsed": used(file).to_string(),
        "copyRequiresWriterPermission": file.traits.copy_requires_writer,
        "viewersCanCopyContent": !file.traits.copy_requires_writer,
        "inheritedPermissionsDisabled": file.traits.inheritance_disabled,
        "hasThumbnail": false,
        "thumbnailVersion": "0",
        "webViewLink": format!("https://drive.google.com/open?id={}", file.id),
        "iconLink": format!("https://drive-thirdparty.googleusercontent.com/16/type/{}", file.media_type),
        "lastModifyingUser": user(tenant, call, &file.modified_by),
    });
    if file.modified_by == *me {
        value["modifiedByMeTime"] = stamp::rfc3339(file.modified).into();
    }
    let parent = file.parent.as_ref().filter(|parent| files::role(tenant, call, parent).is_some());
    if let Some(parent) = parent {
        value["parents"] = json!([**parent]);
    }
    if mask.takes("capabilities") {
        value["capabilities"] = standing.resource();
    }
    place(tenant, call, file, &mut value);
    sharing(tenant, call, &standing, mask, &mut value);
    written(file, &mut value);
    content(tenant, file, &standing, mask, value)
}

fn used(file: &File) -> u64 {
    file.revisions.iter().map(|revision| revision.content.size()).sum()
}

/// What differs between My Drive and shared drives.
fn place(tenant: &Tenant, call: &Call, file: &File, value: &mut Value) {
    if let Some(drive) = &file.drive {
        value["driveId"] = (**drive).into();
        value["teamDriveId"] = (**drive).into();
        value["hasAugmentedPermissions"] = file.permissions.iter().any(|_| !file.is_top()).into();
        if let Some((at, by)) = &file.trashed {
            value["trashedTime"] = stamp::rfc3339(*at).into();
            value["trashingUser"] = user(tenant, call, by);
        }
        return;
    }
    value["owners"] = json!([user(tenant, call, &file.owner)]);
    value["ownedByMe"] = (file.owner == call.caller.user).into();
    value["writersCanShare"] = (!file.traits.writers_cannot_share).into();
}

fn sharing(tenant: &Tenant, call: &Call, standing: &Standing<'_>, mask: &Mask, value: &mut Value) {
    let wanted = ["shared", "permissions", "permissionIds", "sharedWithMeTime", "sharingUser"];
    if !wanted.iter().any(|name| mask.takes(name)) {
        return;
    }
    let file = standing.file;
    let effective = tenant.drive.tree.effective(file, call.now);
    let ids: Vec<&str> = effective.iter().map(|effective| effective.permission.id.as_str()).collect();
    value["permissionIds"] = json!(ids);
    if file.drive.is_some() {
        return;
    }
    value["shared"] = (effective.len() > 1).into();
    if standing.can_share() || file.owner == call.caller.user {
        let all: Vec<Value> = effective.iter().map(|one| permission(tenant, one, false)).collect();
        value["permissions"] = Value::Array(all);
    }
    let me = user_permission_id(&call.caller.user);
    let own = effective.iter().find(|one| one.permission.id == me && file.owner != call.caller.user);
    if let Some(own) = own {
        value["sharedWithMeTime"] = stamp::rfc3339(own.permission.created).into();
        value["sharingUser"] = user(tenant, call, &own.permission.by);
    }
}

/// What somebody has written to the file besides its content.
fn written(file: &File, value: &mut Value) {
    let traits = &file.traits;
    if let Some(description) = &traits.description {
        value["description"] = description.as_str().into();
    }
    if !traits.properties.is_empty() {
        value["properties"] = json!(traits.properties);
    }
    if !traits.app_properties.is_empty() {
        value["appProperties"] = json!(traits.app_properties);
    }
    if !traits.restrictions.is_empty() {
        value["contentRestrictions"] = json!(traits.restrictions);
    }
    if traits.download_refused {
        let refused = json!({ "restrictedForReaders": true, "restrictedForWriters": true });
        value["downloadRestrictions"] =
            json!({ "itemDownloadRestriction": refused, "effectiveDownloadRestrictionWithContext": refused });
    }
    if file.kind == Kind::Folder {
        value["folderColorRgb"] = traits.colour.as_deref().unwrap_or("#8f8f8f").into();
    }
    if let Some((target, media_type)) = &file.target {
        value["shortcutDetails"] = json!({ "targetId": **target, "targetMimeType": media_type });
    }
}

fn content(tenant: &Tenant, file: &File, standing: &Standing<'_>, mask: &Mask, mut value: Value) -> Filled {
    let mut wanted = None;
    if let Some(blob) = file.blob() {
        value["size"] = blob.length().to_string().into();
        value["headRevisionId"] = file.head().map(|head| head.id.as_str()).into();
        let original = file.traits.original_filename.as_deref().unwrap_or(&file.name);
        value["originalFilename"] = original.into();
        let ending = extension(&file.name).unwrap_or_default();
        value["fileExtension"] = ending.into();
        value["fullFileExtension"] = ending.into();
        if standing.can_download() {
            let link = format!("https://drive.google.com/uc?id={}&export=download", file.id);
            value["webContentLink"] = link.into();
        }
        let sums = ["md5Checksum", "sha1Checksum", "sha256Checksum"].iter().any(|name| mask.takes(name));
        wanted = sums.then(|| Arc::clone(blob));
    } else if file.kind.is_edited() {
        value["size"] = file.head().map_or(0, |head| head.content.size()).to_string().into();
        if standing.can_download() && !file.kind.exports().is_empty() {
            value["exportLinks"] = export_links(tenant, file, None);
        }
    }
    Filled { value, blob: wanted, inside: None }
}

/// Makes the addresses from which a document can be had in each format, without a limit of its size.
pub(super) fn export_links(tenant: &Tenant, file: &File, revision: Option<&Revision>) -> Value {
    let links = file.kind.exports().iter().map(|(format, ending)| {
        let revision = revision.map_or_else(String::new, |revision| format!("&revision={}", revision.id));
        let link = format!(
            "{}/feeds/download/documents/export/Export?id={}&exportFormat={ending}{revision}",
            tenant.url, file.id
        );
        ((*format).to_owned(), Value::from(link))
    });
    Value::Object(links.collect())
}

/// Makes the resource of a revision.
pub(super) fn revision(
    tenant: &Tenant,
    call: &Call,
    file: &File,
    revision: &Revision,
    mask: &Mask,
) -> Filled {
    let mut value = json!({
        "kind": "drive#revision",
        "id": revision.id,
        "mimeType": revision.media_type,
        "modifiedTime": stamp::rfc3339(revision.modified),
        "lastModifyingUser": user(tenant, call, &revision.modified_by),
        "published": revision.published,
    });
    let mut wanted = None;
    match &revision.content {
        super::file::Content::Blob(blob) => {
            value["keepForever"] = revision.keep_forever.into();
            value["size"] = blob.length().to_string().into();
            value["originalFilename"] = revision.original_filename.as_deref().unwrap_or(&file.name).into();
            wanted = mask.takes("md5Checksum").then(|| Arc::clone(blob));
        }
        super::file::Content::Document(_) => {
            value["publishAuto"] = revision.publish_auto.into();
            value["publishedOutsideDomain"] = revision.published_outside.into();
            value["exportLinks"] = export_links(tenant, file, Some(revision));
        }
    }
    Filled { value, blob: wanted, inside: None }
}
