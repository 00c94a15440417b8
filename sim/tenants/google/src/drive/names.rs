//! The members that resources of the API have, as its discovery document lists them: a mask that names another one is
//! refused. Below what is not described here, anything may be named.

use crate::fields::Mask;

/// What may be named below a member.
#[derive(Debug, Clone, Copy)]
enum Below {
    /// Nothing: it is a text, a number, a flag.
    Nothing,
    /// Anything: a map with keys of users, or something that is not described here.
    Anything,
    /// Members of a resource.
    Of(&'static Members),
}

/// The members of a resource: those that hold nothing more, and those that do.
#[derive(Debug)]
struct Members {
    plain: &'static [&'static str],
    nested: &'static [(&'static str, Below)],
}

const fn list(nested: &'static [(&'static str, Below)]) -> Members {
    Members { plain: &["kind", "nextPageToken"], nested }
}

static USER: Members = Members {
    plain: &["kind", "displayName", "photoLink", "me", "permissionId", "emailAddress"],
    nested: &[],
};

static PERMISSION: Members = Members {
    plain: &[
        "kind",
        "id",
        "displayName",
        "type",
        "role",
        "emailAddress",
        "allowFileDiscovery",
        "domain",
        "expirationTime",
        "photoLink",
        "deleted",
        "view",
        "pendingOwner",
        "inheritedPermissionsDisabled",
    ],
    nested: &[
        ("permissionDetails", Below::Of(&PERMISSION_DETAIL)),
        ("teamDrivePermissionDetails", Below::Anything),
    ],
};

static PERMISSION_DETAIL: Members =
    Members { plain: &["permissionType", "inheritedFrom", "role", "inherited"], nested: &[] };

static FILE: Members = Members {
    plain: &[
        "kind",
        "driveId",
        "fileExtension",
        "copyRequiresWriterPermission",
        "md5Checksum",
        "writersCanShare",
        "viewedByMe",
        "mimeType",
        "parents",
        "thumbnailLink",
        "iconLink",
        "shared",
        "headRevisionId",
        "webViewLink",
        "webContentLink",
        "size",
        "viewersCanCopyContent",
        "hasThumbnail",
        "spaces",
        "folderColorRgb",
        "id",
        "name",
        "description",
        "starred",
        "trashed",
        "explicitlyTrashed",
        "createdTime",
        "modifiedTime",
        "modifiedByMeTime",
        "viewedByMeTime",
        "sharedWithMeTime",
        "quotaBytesUsed",
        "version",
        "originalFilename",
        "ownedByMe",
        "fullFileExtension",
        "isAppAuthorized",
        "teamDriveId",
        "hasAugmentedPermissions",
        "thumbnailVersion",
        "trashedTime",
        "modifiedByMe",
        "permissionIds",
        "resourceKey",
        "sha1Checksum",
        "sha256Checksum",
        "inheritedPermissionsDisabled",
    ],
    nested: &[
        ("lastModifyingUser", Below::Of(&USER)),
        ("owners", Below::Of(&USER)),
        ("sharingUser", Below::Of(&USER)),
        ("trashingUser", Below::Of(&USER)),
        ("permissions", Below::Of(&PERMISSION)),
        ("shortcutDetails", Below::Of(&SHORTCUT)),
        ("contentRestrictions", Below::Of(&CONTENT_RESTRICTION)),
        ("downloadRestrictions", Below::Of(&DOWNLOAD_RESTRICTIONS)),
        ("properties", Below::Anything),
        ("appProperties", Below::Anything),
        ("exportLinks", Below::Anything),
        ("capabilities", Below::Anything),
        ("contentHints", Below::Anything),
        ("imageMediaMetadata", Below::Anything),
        ("videoMediaMetadata", Below::Anything),
        ("linkShareMetadata", Below::Anything),
        ("labelInfo", Below::Anything),
    ],
};

static SHORTCUT: Members =
    Members { plain: &["targetId", "targetMimeType", "targetResourceKey"], nested: &[] };

static CONTENT_RESTRICTION: Members = Members {
    plain: &["readOnly", "reason", "type", "restrictionTime", "ownerRestricted", "systemRestricted"],
    nested: &[("restrictingUser", Below::Of(&USER))],
};

static DOWNLOAD_RESTRICTION: Members =
    Members { plain: &["restrictedForReaders", "restrictedForWriters"], nested: &[] };

static DOWNLOAD_RESTRICTIONS: Members = Members {
    plain: &[],
    nested: &[
        ("itemDownloadRestriction", Below::Of(&DOWNLOAD_RESTRICTION)),
        ("effectiveDownloadRestrictionWithContext", Below::Of(&DOWNLOAD_RESTRICTION)),
    ],
};

static FILES: Members =
    Members { plain: &["kind", "nextPageToken", "incompleteSearch"], nested: &[("files", Below::Of(&FILE))] };

static DRIVE: Members = Members {
    plain: &[
        "kind",
        "id",
        "name",
        "themeId",
        "colorRgb",
        "backgroundImageLink",
        "createdTime",
        "hidden",
        "orgUnitId",
    ],
    nested: &[
        ("backgroundImageFile", Below::Anything),
        ("capabilities", Below::Anything),
        ("restrictions", Below::Anything),
    ],
};

static CHANGE: Members = Members {
    plain: &["kind", "removed", "fileId", "time", "type", "changeType", "driveId", "teamDriveId"],
    nested: &[("file", Below::Of(&FILE)), ("drive", Below::Of(&DRIVE)), ("teamDrive", Below::Anything)],
};

static CHANGES: Members = Members {
    plain: &["kind", "nextPageToken", "newStartPageToken"],
    nested: &[("changes", Below::Of(&CHANGE))],
};

static START: Members = Members { plain: &["kind", "startPageToken"], nested: &[] };

static REPLY: Members = Members {
    plain: &[
        "kind",
        "id",
        "createdTime",
        "modifiedTime",
        "action",
        "htmlContent",
        "content",
        "deleted",
        "assigneeEmailAddress",
        "mentionedEmailAddresses",
    ],
    nested: &[("author", Below::Of(&USER))],
};

static COMMENT: Members = Members {
    plain: &[
        "kind",
        "id",
        "createdTime",
        "modifiedTime",
        "htmlContent",
        "content",
        "deleted",
        "resolved",
        "anchor",
        "assigneeEmailAddress",
        "mentionedEmailAddresses",
    ],
    nested: &[
        ("author", Below::Of(&USER)),
        ("replies", Below::Of(&REPLY)),
        ("quotedFileContent", Below::Anything),
    ],
};

static REVISION: Members = Members {
    plain: &[
        "kind",
        "id",
        "mimeType",
        "modifiedTime",
        "keepForever",
        "published",
        "publishedLink",
        "publishAuto",
        "publishedOutsideDomain",
        "originalFilename",
        "md5Checksum",
        "size",
    ],
    nested: &[("lastModifyingUser", Below::Of(&USER)), ("exportLinks", Below::Anything)],
};

static ABOUT: Members = Members {
    plain: &[
        "kind",
        "maxUploadSize",
        "appInstalled",
        "folderColorPalette",
        "canCreateDrives",
        "canCreateTeamDrives",
    ],
    nested: &[
        ("user", Below::Of(&USER)),
        ("storageQuota", Below::Anything),
        ("importFormats", Below::Anything),
        ("exportFormats", Below::Anything),
        ("maxImportSizes", Below::Anything),
        ("driveThemes", Below::Anything),
        ("teamDriveThemes", Below::Anything),
    ],
};

static PERMISSIONS: Members = list(&[("permissions", Below::Of(&PERMISSION))]);
static COMMENTS: Members = list(&[("comments", Below::Of(&COMMENT))]);
static REPLIES: Members = list(&[("replies", Below::Of(&REPLY))]);
static REVISIONS: Members = list(&[("revisions", Below::Of(&REVISION))]);
static DRIVES: Members = list(&[("drives", Below::Of(&DRIVE))]);

/// Returns what a method's answer may have.
fn answer(method: &str) -> Below {
    Below::Of(match method {
        "drive.about.get" => &ABOUT,
        "drive.changes.getStartPageToken" => &START,
        "drive.changes.list" => &CHANGES,
        "drive.files.list" => &FILES,
        "drive.files.get" | "drive.files.create" | "drive.files.update" | "drive.files.copy" => &FILE,
        "drive.permissions.list" => &PERMISSIONS,
        "drive.permissions.get" | "drive.permissions.create" | "drive.permissions.update" => &PERMISSION,
        "drive.comments.list" => &COMMENTS,
        "drive.comments.get" | "drive.comments.create" | "drive.comments.update" => &COMMENT,
        "drive.replies.list" => &REPLIES,
        "drive.replies.get" | "drive.replies.create" | "drive.replies.update" => &REPLY,
        "drive.revisions.list" => &REVISIONS,
        "drive.revisions.get" | "drive.revisions.update" => &REVISION,
        "drive.drives.list" => &DRIVES,
        "drive.drives.get" | "drive.drives.create" | "drive.drives.update" => &DRIVE,
        _ => return Below::Anything,
    })
}

/// Returns the first name in a mask that a method's answer cannot have.
pub(crate) fn unknown<'m>(method: &str, mask: &'m Mask) -> Option<&'m str> {
    first_unknown(answer(method), mask)
}

fn first_unknown(below: Below, mask: &Mask) -> Option<&str> {
    mask.names().find_map(|(name, inside)| match below {
        Below::Anything => None,
        Below::Nothing => Some(name),
        // Below a star is what any of the members has: that is not looked into.
        Below::Of(_) if name == "*" => None,
        Below::Of(members) => {
            let nested = members.nested.iter().find(|(own, _)| *own == name).map(|(_, below)| *below);
            let plain = || members.plain.contains(&name).then_some(Below::Nothing);
            nested.or_else(plain).map_or(Some(name), |below| first_unknown(below, inside))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(method: &str, mask: &str) -> Option<String> {
        unknown(method, &Mask::parse(mask).unwrap()).map(str::to_owned)
    }

    #[test]
    fn what_a_resource_has_may_be_named_and_nothing_else() {
        for known in [
            "*",
            "files",
            "files/*",
            "files(id,owners/emailAddress,properties/colour,capabilities(canDownload))",
            "nextPageToken,files(permissions(permissionDetails(role)))",
        ] {
            assert_eq!(refused("drive.files.list", known), None, "{known}");
        }
        let wrong =
            [("files(id,naem)", "naem"), ("id", "id"), ("files/id/x", "x"), ("files(owners(mail))", "mail")];
        for (mask, name) in wrong {
            assert_eq!(refused("drive.files.list", mask).as_deref(), Some(name), "{mask}");
        }
        assert_eq!(refused("drive.operations.get", "whatever"), None);
    }
}
