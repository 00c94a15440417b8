//! About a user's drive: who, how much, and what can become what.

use serde_json::{Map, Value, json};

use super::{
    kind::Kind,
    reply::{masked, required_mask},
    resource,
};
use crate::{
    call::{Answer, Call},
    tenant::Tenant,
};

/// The largest file: 5,120 GB.
const UPLOAD_MAX: u64 = 5_497_558_138_880;

/// Returns how many bytes a user stores, and how many of them are in the trash.
pub(super) fn usage(tenant: &Tenant, user: &str) -> (u64, u64) {
    let tree = &tenant.drive.tree;
    tree.owned(user).fold((0, 0), |(all, trashed), file| {
        let own: u64 = file.revisions.iter().map(|revision| revision.content.size()).sum();
        (all + own, trashed + if tree.is_trashed(file) { own } else { 0 })
    })
}

pub(super) fn get(tenant: &mut Tenant, call: &Call) -> Answer {
    let mask = required_mask(call)?;
    let (used, trashed) = usage(tenant, &call.caller.user);
    let mut quota = json!({
        "usage": used.to_string(), "usageInDrive": used.to_string(), "usageInDriveTrash": trashed.to_string(),
    });
    if let Some(limit) = tenant.settings.drive.storage_limit {
        quota["limit"] = limit.to_string().into();
    }
    let exports: Map<String, Value> = Kind::edited()
        .filter(|kind| !kind.exports().is_empty())
        .map(|kind| (kind.media_type(), kind.exports().iter().map(|(format, _)| *format).collect()))
        .collect();
    let mut imports: Map<String, Value> = Map::new();
    for (kind, format) in
        Kind::edited().flat_map(|kind| kind.imports().iter().map(move |format| (kind, *format)))
    {
        let targets = imports.entry(format).or_insert_with(|| json!([]));
        if let Some(targets) = targets.as_array_mut() {
            targets.push(kind.media_type().into());
        }
    }
    let sizes: Map<String, Value> = [
        (Kind::Document, 52_428_800_u64),
        (Kind::Spreadsheet, 104_857_600),
        (Kind::Presentation, 104_857_600),
        (Kind::Drawing, 2_097_152),
    ]
    .into_iter()
    .map(|(kind, size)| (kind.media_type(), size.to_string().into()))
    .collect();
    Ok(masked(
        &mask,
        json!({
            "kind": "drive#about",
            "user": resource::user(tenant, call, &call.caller.user),
            "storageQuota": quota,
            "exportFormats": exports,
            "importFormats": imports,
            "maxImportSizes": sizes,
            "maxUploadSize": UPLOAD_MAX.to_string(),
            "appInstalled": false,
            "canCreateDrives": true,
            "canCreateTeamDrives": true,
            "folderColorPalette": ["#ac725e", "#d06b64", "#f83a22", "#16a765", "#4986e7", "#8f8f8f"],
            "driveThemes": [{ "id": "abacus", "colorRgb": "#ea6100",
                "backgroundImageLink": "https://ssl.gstatic.com/team_drive_themes/abacus_background.jpg" }],
        }),
    ))
}
