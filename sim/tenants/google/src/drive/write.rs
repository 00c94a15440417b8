//! What a request writes to a file: its metadata, read and checked before anything is changed, and its content.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use model::Moment;
use serde_json::{Map, Value, json};

use super::{
    blob::Blob,
    document::{self, Document},
    file::{Content, File, Id, Ids, Revision},
    files,
    kind::{Kind, guessed},
    permission::Role,
    reply::{bad, bad_request, forbidden, insufficient, no_file},
    resource,
};
use crate::{call::Call, refusal::Refusal, stamp, tenant::Tenant, text};

/// What may be written; `None` is not written.
#[derive(Debug, Default)]
pub(super) struct Metadata {
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
    pub(super) media_type: Option<String>,
    pub(super) parents: Option<Vec<String>>,
    pub(super) description: Option<String>,
    pub(super) starred: Option<bool>,
    pub(super) trashed: Option<bool>,
    properties: BTreeMap<String, Option<String>>,
    app_properties: BTreeMap<String, Option<String>>,
    pub(super) created: Option<Moment>,
    pub(super) modified: Option<Moment>,
    colour: Option<String>,
    pub(super) original_filename: Option<String>,
    copy_requires_writer: Option<bool>,
    writers_can_share: Option<bool>,
    inheritance_disabled: Option<bool>,
    restrictions: Option<Vec<Value>>,
    download_refused: Option<bool>,
    pub(super) target: Option<String>,
}

/// Fields that requests may carry along, and that are not looked at.
const IGNORED: [&str; 7] =
    ["kind", "driveId", "teamDriveId", "contentHints", "thumbnailLink", "viewedByMeTime", "resourceKey"];

impl Metadata {
    /// Reads the metadata of a request.
    pub(super) fn read(fields: &Map<String, Value>) -> Result<Self, Refusal> {
        let mut metadata = Self::default();
        for (name, value) in fields {
            let text = || value.as_str().map(str::to_owned).ok_or_else(|| wrong(name));
            let flag = || value.as_bool().ok_or_else(|| wrong(name));
            let time = || value.as_str().and_then(stamp::parse).ok_or_else(|| wrong(name));
            match name.as_str() {
                "id" => metadata.id = Some(text()?),
                "name" => metadata.name = Some(text()?),
                "mimeType" => metadata.media_type = Some(text()?).filter(|kind| !kind.is_empty()),
                "parents" => metadata.parents = Some(texts(value).ok_or_else(|| wrong(name))?),
                "description" => metadata.description = Some(text()?),
                "starred" => metadata.starred = Some(flag()?),
                "trashed" => metadata.trashed = Some(flag()?),
                "properties" => metadata.properties = pairs(value).ok_or_else(|| wrong(name))?,
                "appProperties" => metadata.app_properties = pairs(value).ok_or_else(|| wrong(name))?,
                "createdTime" => metadata.created = Some(time()?),
                "modifiedTime" => metadata.modified = Some(time()?),
                "folderColorRgb" => metadata.colour = Some(text()?),
                "originalFilename" => metadata.original_filename = Some(text()?),
                "copyRequiresWriterPermission" => metadata.copy_requires_writer = Some(flag()?),
                "viewersCanCopyContent" => metadata.copy_requires_writer = Some(!flag()?),
                "writersCanShare" => metadata.writers_can_share = Some(flag()?),
                "inheritedPermissionsDisabled" => metadata.inheritance_disabled = Some(flag()?),
                "contentRestrictions" => {
                    metadata.restrictions = Some(value.as_array().ok_or_else(|| wrong(name))?.clone());
                }
                "downloadRestrictions" => {
                    let own = &value["itemDownloadRestriction"];
                    let refused = own["restrictedForReaders"] == true && own["restrictedForWriters"] == true;
                    metadata.download_refused = Some(refused);
                }
                "shortcutDetails" => metadata.target = value["targetId"].as_str().map(str::to_owned),
                name if IGNORED.contains(&name) => {}
                _ => {
                    let message = "The resource body includes fields which are not directly writable.";
                    return Err(forbidden("fieldNotWritable", message));
                }
            }
        }
        let sizes = metadata.properties.iter().chain(&metadata.app_properties);
        for (key, value) in sizes {
            if key.len() + value.as_ref().map_or(0, String::len) > 124 {
                return Err(bad_request("The key and value of a property are longer than 124 bytes."));
            }
        }
        Ok(metadata)
    }

    /// Tells whether something is written that only those may who may change the file.
    pub(super) fn needs_writer(&self) -> bool {
        self.name.is_some()
            || self.media_type.is_some()
            || self.description.is_some()
            || !self.properties.is_empty()
            || !self.app_properties.is_empty()
            || self.modified.is_some()
            || self.colour.is_some()
            || self.original_filename.is_some()
            || self.copy_requires_writer.is_some()
            || self.writers_can_share.is_some()
            || self.inheritance_disabled.is_some()
            || self.restrictions.is_some()
            || self.download_refused.is_some()
    }

    /// Writes everything but the place, the trash and the content.
    pub(super) fn write(&self, file: &mut File, restricting: &Value, call: &Call) {
        let me = &call.caller.user;
        if let Some(name) = &self.name {
            file.name.clone_from(name);
        }
        let traits = &mut file.traits;
        if let Some(description) = &self.description {
            traits.description = Some(description.clone()).filter(|text| !text.is_empty());
        }
        match self.starred {
            Some(true) => {
                traits.starred_by.insert(Arc::clone(me));
            }
            Some(false) => {
                traits.starred_by.remove(me);
            }
            None => {}
        }
        merge(&mut traits.properties, &self.properties);
        merge(&mut traits.app_properties, &self.app_properties);
        if let Some(colour) = &self.colour {
            traits.colour = Some(colour.clone());
        }
        if let Some(original) = &self.original_filename {
            traits.original_filename = Some(original.clone());
        }
        traits.copy_requires_writer = self.copy_requires_writer.unwrap_or(traits.copy_requires_writer);
        traits.writers_cannot_share = self.writers_can_share.map_or(traits.writers_cannot_share, |can| !can);
        traits.inheritance_disabled = self.inheritance_disabled.unwrap_or(traits.inheritance_disabled);
        traits.download_refused = self.download_refused.unwrap_or(traits.download_refused);
        if let Some(restrictions) = &self.restrictions {
            let locked = restrictions.iter().filter(|restriction| restriction["readOnly"] == true);
            traits.restrictions = locked.map(|one| restriction(one, restricting, call.now)).collect();
        }
        let shown = self.name.is_some() || self.description.is_some();
        if shown || self.modified.is_some() {
            file.modified = self.modified.unwrap_or(call.now);
            file.modified_by = Arc::clone(me);
        }
    }
}

fn wrong(name: &str) -> Refusal {
    bad_request(format!("Invalid value for field {name}."))
}

fn texts(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|one| one.as_str().map(str::to_owned)).collect()
}

fn pairs(value: &Value) -> Option<BTreeMap<String, Option<String>>> {
    let each = value.as_object()?.iter().map(|(key, value)| match value {
        Value::Null => Some((key.clone(), None)),
        Value::String(text) => Some((key.clone(), Some(text.clone()))),
        _ => None,
    });
    each.collect()
}

fn merge(into: &mut BTreeMap<String, String>, pairs: &BTreeMap<String, Option<String>>) {
    for (key, value) in pairs {
        match value {
            Some(value) => into.insert(key.clone(), value.clone()),
            None => into.remove(key),
        };
    }
}

fn restriction(asked: &Value, by: &Value, now: Moment) -> Value {
    let mut value = json!({
        "readOnly": true,
        "type": "globalContentRestriction",
        "restrictingUser": by,
        "restrictionTime": stamp::rfc3339(now),
        "ownerRestricted": asked["ownerRestricted"] == true,
        "systemRestricted": false,
    });
    if let Some(reason) = asked["reason"].as_str() {
        value["reason"] = reason.into();
    }
    value
}

/// The caller as restrictions name it.
pub(super) fn restricting(tenant: &Tenant, call: &Call) -> Value {
    resource::user(tenant, call, &call.caller.user)
}

/// Content as it came with a request.
#[derive(Debug)]
pub(super) struct Upload {
    pub(super) parts: Vec<Bytes>,
    /// Its media type, if the request said one.
    pub(super) media_type: Option<String>,
}

/// Finds the folder into which a request puts something; without one it is the caller's top folder.
pub(super) fn folder(tenant: &mut Tenant, call: &Call, parents: Option<&[String]>) -> Result<Id, Refusal> {
    let wanted = match parents {
        None | Some([]) => "root",
        Some([one]) => one,
        Some(_) => return Err(bad("parents", "A file cannot have more than one parent.")),
    };
    let (id, role) = files::find(tenant, call, wanted)?;
    let folder = files::get(tenant, &id)?;
    if folder.kind != Kind::Folder {
        return Err(forbidden("parentNotAFolder", "The specified parent is not a folder."));
    }
    if role < Role::Writer { Err(insufficient()) } else { Ok(id) }
}

/// Makes content for a file of a kind out of what was uploaded; also returns the media type of the file.
pub(super) fn content(
    kind: Kind,
    media_type: Option<&str>,
    name: &str,
    upload: Option<Upload>,
) -> Result<Option<(Content, String)>, Refusal> {
    if matches!(kind, Kind::Folder | Kind::Shortcut) {
        return if upload.is_some() { Err(bad_request("Bad Request")) } else { Ok(None) };
    }
    // What follows a semicolon says how the bytes are to be read, and is not kept.
    let bare = |upload: &Upload| -> Option<String> {
        let kind = upload.media_type.as_deref()?.split(';').next()?.trim();
        (!kind.is_empty() && kind != "application/octet-stream").then(|| kind.to_owned())
    };
    let came = upload.as_ref().and_then(bare);
    let came = came.as_deref();
    if kind == Kind::Binary {
        let media_type = media_type.or(came).unwrap_or_else(|| guessed(name)).to_owned();
        let parts = upload.map(|upload| upload.parts).unwrap_or_default();
        return Ok(Some((Content::Blob(Blob::kept(parts)), media_type)));
    }
    let text = match &upload {
        None => String::new(),
        Some(upload) => {
            let format = came.unwrap_or_else(|| guessed(name));
            let bytes = Blob::kept(upload.parts.clone()).bytes();
            document::import(kind, format, &bytes)
                .ok_or_else(|| bad_request("The requested conversion is not supported."))?
        }
    };
    Ok(Some((Content::Document(Document::Written(text::shared(text))), kind.media_type())))
}

/// Makes a revision after those that a file has.
pub(super) fn revision(
    ids: Ids,
    number: u64,
    file: &File,
    content: Content,
    media_type: &str,
    call: &Call,
) -> Revision {
    let id = match &content {
        Content::Blob(_) => ids.revision(number),
        Content::Document(_) => {
            // Editors count their own small changes, of which each revision holds some.
            let last = file.head().and_then(|head| head.id.parse::<u64>().ok()).unwrap_or(0);
            (last + 1 + text::mixed(number) % 12).to_string()
        }
    };
    Revision::new(id, &call.caller.user, call.now, content, media_type)
}

/// Refuses what would be more than the caller may store.
pub(super) fn check_storage(tenant: &Tenant, call: &Call, more: u64) -> Result<(), Refusal> {
    let Some(limit) = tenant.settings.drive.storage_limit else { return Ok(()) };
    if super::about::usage(tenant, &call.caller.user).0 + more <= limit {
        return Ok(());
    }
    Err(forbidden("storageQuotaExceeded", "The user's Drive storage quota has been exceeded."))
}

/// Refuses to keep more revisions forever than may be.
pub(super) fn check_kept(tenant: &Tenant, file: &File) -> Result<(), Refusal> {
    let kept = file.revisions.iter().filter(|revision| revision.keep_forever).count();
    if kept < tenant.settings.drive.kept_revisions_max {
        return Ok(());
    }
    Err(forbidden(
        "revisionLimitExceeded",
        "The file already has the maximum number of revisions kept forever.",
    ))
}

/// Returns the target of a shortcut that is made: it must be there, and no shortcut itself.
pub(super) fn target(tenant: &mut Tenant, call: &Call, id: &str) -> Result<(Id, String), Refusal> {
    let (found, _) = files::find(tenant, call, id)?;
    let file = tenant.drive.tree.get(&found).ok_or_else(|| no_file(id))?;
    if file.kind == Kind::Shortcut {
        return Err(forbidden("shortcutTargetInvalid", "A shortcut cannot target another shortcut."));
    }
    Ok((found, file.media_type.clone()))
}
