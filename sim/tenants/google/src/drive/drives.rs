//! Shared drives: they own their files, and have members instead of an owner.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use model::Moment;
use serde_json::{Map, Value, json};

use super::{
    changes::Item,
    file::{File, Id},
    files,
    kind::Kind,
    permission::{Grantee, Permission, Role},
    reply::{self, bad, bad_request, conflict, forbidden, insufficient, mask, masked, none},
    trail::Event,
};
use crate::{
    call::{Answer, Call, Reply},
    page,
    refusal::Refusal,
    stamp,
    tenant::Tenant,
    text,
};

/// A shared drive. Its members are the permissions of its top folder, which has the same id.
#[derive(Debug, Clone)]
pub(crate) struct SharedDrive {
    pub(crate) name: String,
    pub(crate) created: Moment,
    /// What is restricted: `domainUsersOnly`.
    pub(crate) restrictions: BTreeMap<String, bool>,
    pub(crate) colour: Option<String>,
    pub(crate) hidden_by: BTreeSet<Id>,
}

const USUAL: &str = "kind,id,name";
const USUAL_LIST: &str = "kind,nextPageToken,drives(kind,id,name)";
const RESTRICTIONS: [&str; 5] = [
    "adminManagedRestrictions",
    "copyRequiresWriterPermission",
    "domainUsersOnly",
    "driveMembersOnly",
    "sharingFoldersRequiresOrganizerPermission",
];

/// Refuses callers that are no administrators.
pub(super) fn check_admin(tenant: &Tenant, call: &Call) -> Result<(), Refusal> {
    let admin = tenant.directory.user(&call.caller.user).is_some_and(|user| user.is_admin);
    if admin {
        return Ok(());
    }
    Err(forbidden(
        "insufficientFilePermissions",
        "The user does not have the privilege for useDomainAdminAccess.",
    ))
}

impl Tenant {
    /// Makes a shared drive with members.
    pub(crate) fn add_shared_drive(
        &mut self,
        id: &Id,
        name: &str,
        members: Vec<Permission>,
        by: &Id,
        at: Moment,
    ) {
        let mut top = File::new(Arc::clone(id), "Drive", Kind::Folder, by, at);
        top.drive = Some(Arc::clone(id));
        top.permissions = members;
        self.drive.tree.add(top);
        let drive = SharedDrive {
            name: name.to_owned(),
            created: at,
            restrictions: BTreeMap::new(),
            colour: None,
            hidden_by: BTreeSet::new(),
        };
        self.drive.drives.insert(Arc::clone(id), drive);
        let (users, _) = self.drive_audience(id, at);
        self.drive_noted(&Item::Drive(Arc::clone(id)), users, None, at);
    }
}

fn capabilities(role: Option<Role>) -> Value {
    let at_least = |needed: Role| role.is_some_and(|role| role >= needed);
    let (organizer, manager, writer) =
        (at_least(Role::Organizer), at_least(Role::FileOrganizer), at_least(Role::Writer));
    json!({
        "canAddChildren": writer,
        "canChangeCopyRequiresWriterPermissionRestriction": organizer,
        "canChangeDomainUsersOnlyRestriction": organizer,
        "canChangeDownloadRestriction": organizer,
        "canChangeDriveBackground": organizer,
        "canChangeDriveMembersOnlyRestriction": organizer,
        "canChangeSharingFoldersRequiresOrganizerPermissionRestriction": organizer,
        "canComment": at_least(Role::Commenter),
        "canCopy": role.is_some(),
        "canDeleteChildren": organizer,
        "canDeleteDrive": organizer,
        "canDownload": role.is_some(),
        "canEdit": writer,
        "canListChildren": role.is_some(),
        "canManageMembers": organizer,
        "canReadRevisions": at_least(Role::Commenter),
        "canRename": writer,
        "canRenameDrive": organizer,
        "canResetDriveRestrictions": organizer,
        "canShare": manager,
        "canTrashChildren": manager,
    })
}

/// Makes the resource of a shared drive; an administrator also learns its organisational unit.
pub(super) fn resource(tenant: &Tenant, call: &Call, id: &Id, drive: &SharedDrive, admin: bool) -> Value {
    let restrictions: Map<String, Value> = RESTRICTIONS
        .iter()
        .map(|name| ((*name).to_owned(), drive.restrictions.get(*name).copied().unwrap_or(false).into()))
        .collect();
    let role = if admin { Some(Role::Organizer) } else { files::named(tenant, call, id) };
    let mut value = json!({
        "kind": "drive#drive",
        "id": **id,
        "name": drive.name,
        "createdTime": stamp::rfc3339(drive.created),
        "hidden": drive.hidden_by.contains(&call.caller.user),
        "colorRgb": drive.colour.as_deref().unwrap_or("#4285f4"),
        "capabilities": capabilities(role),
        "restrictions": restrictions,
    });
    if admin {
        value["orgUnitId"] =
            format!("03{:013x}", text::drawn(tenant.directory.customer.as_bytes()) >> 12).into();
    }
    value
}

/// Finds the shared drive of the path, and what the caller may do with it.
fn find(tenant: &Tenant, call: &Call) -> Result<(Id, Role, bool), Refusal> {
    let wanted = call.parameter("driveId");
    let missing = || none("Shared drive", "driveId", wanted);
    let (id, _) = tenant.drive.drives.get_key_value(wanted).ok_or_else(missing)?;
    if call.flag("useDomainAdminAccess") {
        check_admin(tenant, call)?;
        return Ok((Arc::clone(id), Role::Organizer, true));
    }
    let role = files::named(tenant, call, id).ok_or_else(missing)?;
    Ok((Arc::clone(id), role, false))
}

fn answer(tenant: &Tenant, call: &Call, id: &Id, admin: bool) -> Answer {
    let mask = mask(call, USUAL)?;
    let drive = tenant.drive.drives.get(id).ok_or_else(|| none("Shared drive", "driveId", id))?;
    Ok(masked(&mask, resource(tenant, call, id, drive, admin)))
}

pub(super) fn list(tenant: &mut Tenant, call: &Call) -> Answer {
    let mask = mask(call, USUAL_LIST)?;
    let admin = call.flag("useDomainAdminAccess");
    if admin {
        check_admin(tenant, call)?;
    }
    let wanted = search(call)?;
    if wanted.is_some() && !admin {
        return Err(bad("q", "Searching for shared drives needs useDomainAdminAccess."));
    }
    let place = page::open(tenant.settings.seed, call, tenant.settings.page_lifetime)?;
    let size = call.page_size("pageSize", 10, 100)?;
    let chosen: Vec<(&Id, &SharedDrive)> = tenant
        .drive
        .drives
        .iter()
        .filter(|(id, _)| admin || files::named(tenant, call, id).is_some())
        .filter(|(_, drive)| match &wanted {
            Some((true, name)) => drive.name == *name,
            Some((false, name)) => drive.name.to_lowercase().contains(&name.to_lowercase()),
            None => true,
        })
        .collect();
    let (items, next) = page::slice(&chosen, place.as_deref(), size);
    let items = items.iter().map(|(id, drive)| resource(tenant, call, id, drive, admin)).collect();
    let next = next.map(|next| page::issue(tenant.settings.seed, call, &next));
    Ok(masked(&mask, reply::list("drive#driveList", "drives", items, next)))
}

/// Reads a search for names: whether the name is meant exactly, and the name.
fn search(call: &Call) -> Result<Option<(bool, String)>, Refusal> {
    let Some(text) = call.query("q").filter(|text| !text.is_empty()) else { return Ok(None) };
    let parsed = text.trim().strip_prefix("name").map(str::trim_start).and_then(|rest| {
        let exact = rest.strip_prefix('=');
        let quoted = exact.or_else(|| rest.strip_prefix("contains"))?.trim();
        let name = quoted.strip_prefix('\'')?.strip_suffix('\'')?;
        Some((exact.is_some(), name.replace("\\'", "'")))
    });
    parsed.map(Some).ok_or_else(|| bad("q", "Invalid Value"))
}

pub(super) fn get(tenant: &mut Tenant, call: &Call) -> Answer {
    let (id, _, admin) = find(tenant, call)?;
    answer(tenant, call, &id, admin)
}

pub(super) fn create(tenant: &mut Tenant, call: &Call) -> Answer {
    mask(call, USUAL)?;
    let request =
        call.query("requestId").filter(|id| !id.is_empty()).ok_or_else(|| reply::required("requestId"))?;
    let fields = call.object()?;
    let name = fields.get("name").and_then(Value::as_str).filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| bad_request("The name field is required."))?;
    if fields.contains_key("restrictions") {
        return Err(forbidden(
            "fieldNotWritable",
            "Restrictions cannot be set when a shared drive is created.",
        ));
    }
    let key = text::drawn(format!("{}\n{request}", call.caller.user).as_bytes());
    let id = tenant.drive.tree.ids.top(key);
    if tenant.drive.drives.contains_key(&id) {
        return Err(conflict("conflict", "A shared drive was already created with this request ID."));
    }
    let me = &call.caller.user;
    let grantee = Grantee::User(call.caller.email.to_string(), Some(Arc::clone(me)));
    let members = vec![Permission::new(grantee, Role::Organizer, me, call.now)];
    tenant.add_shared_drive(&id, name, members, &Arc::clone(me), call.now);
    tenant.drive_event(call, &id, Event::access("create"));
    answer(tenant, call, &id, false)
}

pub(super) fn update(tenant: &mut Tenant, call: &Call) -> Answer {
    mask(call, USUAL)?;
    let (id, role, admin) = find(tenant, call)?;
    if role < Role::Organizer {
        return Err(insufficient());
    }
    let fields = call.object()?;
    let mut asked = BTreeMap::new();
    for (name, value) in fields.get("restrictions").and_then(Value::as_object).into_iter().flatten() {
        let known = RESTRICTIONS.contains(&name.as_str()) || name == "downloadRestriction";
        if !known {
            return Err(bad_request("Unknown restriction."));
        }
        if let Some(value) = value.as_bool() {
            asked.insert(name.clone(), value);
        }
    }
    let Some(drive) = tenant.drive.drives.get_mut(&id) else {
        return Err(none("Shared drive", "driveId", &id));
    };
    if let Some(name) = fields.get("name").and_then(Value::as_str) {
        name.clone_into(&mut drive.name);
    }
    if let Some(colour) = fields.get("colorRgb").and_then(Value::as_str) {
        drive.colour = Some(colour.to_owned());
    }
    drive.restrictions.extend(asked);
    let (users, _) = tenant.drive_audience(&id, call.now);
    tenant.drive_noted(&Item::Drive(Arc::clone(&id)), users, None, call.now);
    tenant.drive_event(call, &id, Event::access("edit"));
    answer(tenant, call, &id, admin)
}

pub(super) fn hide(tenant: &mut Tenant, call: &Call) -> Answer {
    let (id, _, _) = find(tenant, call)?;
    if let Some(drive) = tenant.drive.drives.get_mut(&id) {
        drive.hidden_by.insert(Arc::clone(&call.caller.user));
    }
    answer(tenant, call, &id, false)
}

pub(super) fn unhide(tenant: &mut Tenant, call: &Call) -> Answer {
    let (id, _, _) = find(tenant, call)?;
    if let Some(drive) = tenant.drive.drives.get_mut(&id) {
        drive.hidden_by.remove(&call.caller.user);
    }
    answer(tenant, call, &id, false)
}

pub(super) fn delete(tenant: &mut Tenant, call: &Call) -> Answer {
    let (id, role, admin) = find(tenant, call)?;
    if role < Role::Organizer {
        return Err(insufficient());
    }
    let items = call.flag("allowItemDeletion");
    if items && !admin {
        return Err(bad(
            "allowItemDeletion",
            "allowItemDeletion is supported with useDomainAdminAccess only.",
        ));
    }
    let tree = &tenant.drive.tree;
    let untrashed =
        tree.all().any(|file| file.drive.as_ref() == Some(&id) && !file.is_top() && !tree.is_trashed(file));
    if untrashed && !items {
        let message =
            "The shared drive cannot be deleted because it contains items that are not in the trash.";
        return Err(forbidden("cannotDeleteNonEmptySharedDrive", message));
    }
    let (users, _) = tenant.drive_audience(&id, call.now);
    super::delete::erase(tenant, call, &id, "owning_shared_drive_delete");
    tenant.drive.drives.remove(&id);
    tenant.drive_noted(&Item::Drive(Arc::clone(&id)), users, None, call.now);
    Ok(Reply::empty())
}
