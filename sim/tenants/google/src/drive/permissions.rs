//! Sharing, and taking it back.

use std::sync::Arc;

use model::Moment;
use serde_json::{Map, Value};

use super::{
    capability::Standing,
    changes::Item,
    file::{File, Id},
    files,
    kind::Kind,
    permission::{Effective, Grantee, Permission, Role},
    reply::{self, bad, bad_request, forbidden, insufficient, mask, masked, none},
    resource,
    trail::{self, Event},
};
use crate::{
    audit::Parameter,
    call::{Answer, Call, Reply},
    page,
    refusal::Refusal,
    stamp,
    tenant::Tenant,
};

const USUAL: &str = "kind,id,type,role";
const USUAL_LIST: &str = "kind,nextPageToken,permissions(kind,id,type,role)";

/// Finds the file of the path; an administrator finds shared drives without being a member.
fn subject(tenant: &mut Tenant, call: &Call) -> Result<(Id, Role), Refusal> {
    let id = call.parameter("fileId");
    if call.flag("useDomainAdminAccess") {
        super::drives::check_admin(tenant, call)?;
        let found = tenant.drive.drives.get_key_value(id);
        return found.map(|(id, _)| (Arc::clone(id), Role::Organizer)).ok_or_else(|| reply::no_file(id));
    }
    files::of_path(tenant, call)
}

fn to_share(tenant: &mut Tenant, call: &Call) -> Result<Id, Refusal> {
    let (id, role) = subject(tenant, call)?;
    let file = files::get(tenant, &id)?;
    let may = Standing { file, role, trashed: false }.can_share()
        || file.is_top() && file.drive.is_some() && role >= Role::Organizer;
    if may { Ok(id) } else { Err(insufficient()) }
}

fn shown(tenant: &Tenant, call: &Call, id: &Id) -> Result<(Vec<Effective>, bool), Refusal> {
    let file = files::get(tenant, id)?;
    Ok((tenant.drive.tree.effective(file, call.now), file.drive.is_some()))
}

pub(super) fn list(tenant: &mut Tenant, call: &Call) -> Answer {
    let mask = mask(call, USUAL_LIST)?;
    let (id, role) = subject(tenant, call)?;
    let (all, shared) = shown(tenant, call, &id)?;
    if !shared && role < Role::Writer {
        return Err(insufficient());
    }
    let place = page::open(tenant.settings.seed, call, tenant.settings.page_lifetime)?;
    // As with lists of files: all of My Drive, a hundred of shared drives.
    let size = call.page_size("pageSize", if shared { 100 } else { all.len().max(1) }, 100)?;
    let size = if call.query("pageSize").is_none() && !shared { all.len().max(1) } else { size };
    let (items, next) = page::slice(&all, place.as_deref(), size);
    let items: Vec<Value> = items.iter().map(|one| resource::permission(tenant, one, shared)).collect();
    let next = next.map(|next| page::issue(tenant.settings.seed, call, &next));
    Ok(masked(&mask, reply::list("drive#permissionList", "permissions", items, next)))
}

pub(super) fn get(tenant: &mut Tenant, call: &Call) -> Answer {
    let mask = mask(call, USUAL)?;
    let (id, role) = subject(tenant, call)?;
    let own = super::permission::user_permission_id(&call.caller.user) == call.parameter("permissionId");
    let (_, shared) = shown(tenant, call, &id)?;
    if !shared && role < Role::Writer && !own {
        return Err(insufficient());
    }
    one(tenant, call, &id, call.parameter("permissionId")).map(|value| masked(&mask, value))
}

fn one(tenant: &Tenant, call: &Call, id: &Id, permission: &str) -> Result<Value, Refusal> {
    let (all, shared) = shown(tenant, call, id)?;
    let found = all.iter().find(|one| one.permission.id == permission);
    let found = found.ok_or_else(|| none("Permission", "permissionId", permission))?;
    Ok(resource::permission(tenant, found, shared))
}

fn text<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    fields.get(name).and_then(Value::as_str)
}

fn role(fields: &Map<String, Value>) -> Result<Role, Refusal> {
    text(fields, "role")
        .and_then(Role::parse)
        .ok_or_else(|| bad_request("The permission role field is required."))
}

fn grantee(tenant: &Tenant, fields: &Map<String, Value>, quiet: bool) -> Result<Grantee, Refusal> {
    let address = || {
        let address = text(fields, "emailAddress").filter(|address| address.contains('@'));
        address.map(str::to_owned).ok_or_else(|| {
            bad_request(
                "The specified emailAddress is invalid or not applicable for the given permission type.",
            )
        })
    };
    match text(fields, "type") {
        Some("user") => {
            let address = address()?;
            let user = tenant.directory.user(&address).map(|user| Arc::clone(&user.id));
            let own = address.ends_with(&format!("@{}", tenant.settings.domain));
            if user.is_none() && own && quiet {
                let message = "Bad Request. User message: \"You are trying to invite someone without a Google account.\"";
                let mut refusal = bad_request(message);
                refusal.reason = "invalidSharingRequest";
                return Err(refusal);
            }
            Ok(Grantee::User(address, user))
        }
        Some("group") => Ok(Grantee::Group(address()?)),
        Some("domain") => {
            let domain = text(fields, "domain").filter(|domain| domain.contains('.'));
            let domain = domain.ok_or_else(|| {
                bad_request(
                    "The specified domain is invalid or not applicable for the given permission type.",
                )
            })?;
            Ok(Grantee::Domain(domain.to_owned()))
        }
        Some("anyone") => Ok(Grantee::Anyone),
        _ => Err(bad_request("The permission type field is required.")),
    }
}

/// Refuses roles that a file cannot give.
fn check_role(tenant: &Tenant, file: &File, grantee: &Grantee, role: Role) -> Result<(), Refusal> {
    let shared = file.drive.is_some();
    let misplaced = match role {
        Role::Owner => shared || !matches!(grantee, Grantee::User(_, Some(_))),
        Role::Organizer => !file.is_top() || !shared,
        Role::FileOrganizer => !shared || file.kind != Kind::Folder,
        Role::Reader | Role::Commenter | Role::Writer => false,
    };
    let public = matches!(grantee, Grantee::Anyone | Grantee::Domain(_));
    if misplaced || public && file.is_top() {
        return Err(forbidden("cannotShare", "The specified role cannot be given for this item."));
    }
    let Some(drive) = file.drive.as_ref().and_then(|drive| tenant.drive.drives.get(drive)) else {
        return Ok(());
    };
    let foreign = match grantee {
        Grantee::User(address, None) | Grantee::Group(address) => {
            !address.ends_with(&format!("@{}", tenant.settings.domain))
        }
        Grantee::User(_, Some(_)) => false,
        Grantee::Domain(domain) => *domain != tenant.settings.domain,
        Grantee::Anyone => true,
    };
    if foreign && drive.restrictions.get("domainUsersOnly").is_some_and(|only| *only) {
        let message = "The shared drive can be shared with users of its domain only.";
        return Err(forbidden("teamDriveDomainUsersOnlyRestriction", message));
    }
    Ok(())
}

/// Refuses ownership that is given by the way.
fn check_transfer(tenant: &Tenant, call: &Call, id: &Id) -> Result<(), Refusal> {
    if !call.flag("transferOwnership") {
        let message = "The transferOwnership parameter must be enabled when the permission role is 'owner'.";
        return Err(forbidden("forbidden", message));
    }
    if call.query("sendNotificationEmail") == Some("false") {
        let message = "The notification of a transfer of ownership cannot be disabled.";
        return Err(forbidden("forbidden", message));
    }
    let file = files::get(tenant, id)?;
    if file.owner == call.caller.user { Ok(()) } else { Err(insufficient()) }
}

pub(super) fn create(tenant: &mut Tenant, call: &Call) -> Answer {
    let mask = mask(call, USUAL)?;
    let fields = call.object()?;
    let id = to_share(tenant, call)?;
    let role = role(&fields)?;
    let quiet = call.query("sendNotificationEmail") == Some("false");
    let grantee = grantee(tenant, &fields, quiet)?;
    check_role(tenant, files::get(tenant, &id)?, &grantee, role)?;
    if role == Role::Owner {
        check_transfer(tenant, call, &id)?;
    }
    let mut permission = Permission::new(grantee, role, &call.caller.user, call.now);
    permission.discoverable = fields.get("allowFileDiscovery").and_then(Value::as_bool).unwrap_or(false);
    permission.id = permission.grantee.permission_id(permission.discoverable);
    permission.expires = expiration(&fields, call)?;
    let named = match &permission.grantee {
        Grantee::User(address, _) | Grantee::Group(address) => Some(address.clone()),
        Grantee::Domain(_) | Grantee::Anyone => None,
    };
    let permission_id = permission.id.clone();
    change(tenant, call, &id, permission, |file, permission| {
        match file.permissions.iter_mut().find(|own| own.id == permission.id) {
            // Sharing again with somebody changes what they may do.
            Some(own) => *own = permission,
            None => file.permissions.push(permission),
        }
    })?;
    if let Some(address) = named.filter(|_| !quiet) {
        tenant.drive.mails.push((Arc::clone(&id), address));
    }
    one(tenant, call, &id, &permission_id).map(|value| masked(&mask, value))
}

fn expiration(fields: &Map<String, Value>, call: &Call) -> Result<Option<Moment>, Refusal> {
    let Some(text) = text(fields, "expirationTime") else { return Ok(None) };
    let time = stamp::parse(text).filter(|time| *time > call.now);
    time.map(Some).ok_or_else(|| bad("expirationTime", "The expiration time must be in the future."))
}

/// Changes the permissions of a file by one permission; notes it for those who saw the file before and those who see it
/// now, and in the audit log.
fn change(
    tenant: &mut Tenant,
    call: &Call,
    id: &Id,
    permission: Permission,
    act: impl FnOnce(&mut File, Permission),
) -> Result<(), Refusal> {
    let below = tenant.drive_listed_below(id);
    let all: Vec<Id> = std::iter::once(Arc::clone(id)).chain(below).collect();
    let before: Vec<_> = all.iter().map(|id| tenant.drive_audience(id, call.now)).collect();
    let file = files::get(tenant, id)?;
    let old_visibility = trail::visibility(tenant, file, call.now);
    let old = file.permissions.iter().find(|own| own.id == permission.id).map(|own| own.role);
    let (grantee, owner) = (permission.grantee.clone(), permission.role == Role::Owner);
    if let (true, Grantee::User(_, Some(new))) = (owner, &grantee) {
        let new = Arc::clone(new);
        hand_over(tenant, call, id, &new);
    }
    let permission_id = permission.id.clone();
    if let Some(at) = permission.expires {
        tenant.drive.expiring.insert((at, Arc::clone(id), permission_id.clone()));
    }
    act(files::get_mut(tenant, id)?, permission);
    for (id, (users, drive)) in all.iter().zip(before) {
        tenant.drive_noted(&Item::File(Arc::clone(id)), users.clone(), drive, call.now);
        tenant.drive_changed(id, call.now);
        if tenant.drive.drives.contains_key(id) {
            let item = Item::Drive(Arc::clone(id));
            let (now, _) = tenant.drive_audience(id, call.now);
            tenant.drive_noted(&item, users.union(&now).map(Arc::clone).collect(), None, call.now);
        }
    }
    let new =
        files::get(tenant, id)?.permissions.iter().find(|own| own.id == permission_id).map(|own| own.role);
    note(tenant, call, id, &grantee, (old, new), old_visibility)
}

/// Ends a permission whose time has come, and notes it for those who see the file no longer.
pub(super) fn expire(tenant: &mut Tenant, (at, id, permission): &(Moment, Id, String)) {
    let Some(file) = tenant.drive.tree.get(id) else { return };
    // What was changed since has another end, or none.
    if !file.permissions.iter().any(|own| own.id == *permission && own.expires == Some(*at)) {
        return;
    }
    let below = tenant.drive_listed_below(id);
    for id in std::iter::once(Arc::clone(id)).chain(below) {
        let (users, drive) = tenant.drive_audience(&id, at.plus_micros(-1));
        tenant.drive_noted(&Item::File(id), users, drive, *at);
    }
    if let Some(file) = tenant.drive.tree.get_mut(id) {
        file.permissions.retain(|own| own.id != *permission);
        file.version += 1;
    }
}

/// Makes the old owner a writer. The new owner's permission is written by the caller.
fn hand_over(tenant: &mut Tenant, call: &Call, id: &Id, new: &Id) {
    if let Some(file) = tenant.drive.tree.get_mut(id) {
        for own in file.permissions.iter_mut().filter(|own| own.role == Role::Owner) {
            own.role = Role::Writer;
        }
    }
    tenant.drive.tree.give(id, new);
    if call.flag("moveToNewOwnersRoot") {
        let root = tenant.drive.tree.root(new, call.now);
        tenant.drive.tree.place(id, Some(root));
    }
}

fn note(
    tenant: &mut Tenant,
    call: &Call,
    id: &Id,
    grantee: &Grantee,
    (old, new): (Option<Role>, Option<Role>),
    old_visibility: &'static str,
) -> Result<(), Refusal> {
    let name = |role: Option<Role>| match role {
        None => "none",
        Some(Role::Reader) => "can_view",
        Some(Role::Commenter) => "can_comment",
        Some(Role::Writer) => "can_edit",
        Some(Role::FileOrganizer) => "content_manager",
        Some(Role::Organizer) => "organizer",
        Some(Role::Owner) => "owner",
    };
    let file = files::get(tenant, id)?;
    let visibility = trail::visibility(tenant, file, call.now);
    let target = match grantee {
        Grantee::User(address, known) => {
            let known = known.as_deref().and_then(|known| tenant.directory.any_user(known));
            Parameter::text("target_user", known.map_or(address, |user| &user.primary_email).clone())
        }
        Grantee::Group(address) => Parameter::text("target_user", address.clone()),
        Grantee::Domain(domain) => Parameter::text("target_domain", domain.clone()),
        Grantee::Anyone => Parameter::text("target_domain", "all"),
    };
    let rank = |visibility: &str| match visibility {
        "private" => 0,
        "shared_internally" => 1,
        "shared_externally" => 3,
        "people_with_link" | "public_on_the_web" => 4,
        _ => 2,
    };
    let shift = match (rank(old_visibility), rank(visibility)) {
        (before, after) if after > 2 && before <= 2 => "external",
        (before, after) if after <= 2 && before > 2 => "internal",
        _ => "none",
    };
    let event = if file.is_top() && file.drive.is_some() {
        match (old, new) {
            (None, _) => "add_to_shared_drive",
            (_, None) => "remove_from_shared_drive",
            _ => "change_role",
        }
    } else {
        ""
    };
    let mut more = vec![
        target,
        Parameter::text("old_value", name(old)),
        Parameter::text("new_value", name(new)),
        Parameter::text("old_visibility", old_visibility),
        Parameter::text("visibility_change", shift),
    ];
    let event_name = if !event.is_empty() {
        more.push(Parameter::text("membership_change_type", event));
        "shared_drive_membership_change"
    } else if new == Some(Role::Owner) {
        "change_owner"
    } else if matches!(grantee, Grantee::Anyone | Grantee::Domain(_)) {
        "change_document_visibility"
    } else {
        "change_user_access"
    };
    tenant.drive_event(call, id, Event::sharing(event_name, more));
    Ok(())
}

/// Returns the file's own permission of the path; inherited ones are changed where they come from.
fn own(tenant: &Tenant, call: &Call, id: &Id) -> Result<Permission, Refusal> {
    let wanted = call.parameter("permissionId");
    let file = files::get(tenant, id)?;
    if let Some(own) = file.permissions.iter().find(|own| own.id == wanted && own.holds(call.now)) {
        return Ok(own.clone());
    }
    one(tenant, call, id, wanted)?;
    Err(forbidden(
        "cannotModifyInheritedPermission",
        "Cannot update or delete an inherited permission on an item.",
    ))
}

pub(super) fn update(tenant: &mut Tenant, call: &Call) -> Answer {
    let mask = mask(call, USUAL)?;
    let fields = call.object()?;
    let id = to_share(tenant, call)?;
    let mut permission = own(tenant, call, &id)?;
    if fields
        .keys()
        .any(|name| !["role", "expirationTime", "kind", "id", "type", "view"].contains(&name.as_str()))
    {
        return Err(forbidden(
            "fieldNotWritable",
            "The resource body includes fields which are not directly writable.",
        ));
    }
    if fields.contains_key("role") {
        permission.role = role(&fields)?;
        check_role(tenant, files::get(tenant, &id)?, &permission.grantee, permission.role)?;
    }
    let owner = files::get(tenant, &id)?
        .permissions
        .iter()
        .any(|own| own.id == permission.id && own.role == Role::Owner);
    if owner && permission.role != Role::Owner {
        return Err(forbidden("insufficientFilePermissions", "The owner of a file cannot be removed."));
    }
    if permission.role == Role::Owner && !owner {
        check_transfer(tenant, call, &id)?;
    }
    permission.expires = expiration(&fields, call)?.or(permission.expires);
    if call.flag("removeExpiration") {
        permission.expires = None;
    }
    change(tenant, call, &id, permission, |file, permission| {
        file.permissions.retain(|own| own.id != permission.id);
        file.permissions.push(permission);
    })?;
    one(tenant, call, &id, call.parameter("permissionId")).map(|value| masked(&mask, value))
}

pub(super) fn delete(tenant: &mut Tenant, call: &Call) -> Answer {
    // Everybody may give up what they have.
    let mine = super::permission::user_permission_id(&call.caller.user) == call.parameter("permissionId");
    let id = if mine { subject(tenant, call)?.0 } else { to_share(tenant, call)? };
    let permission = own(tenant, call, &id)?;
    if permission.role == Role::Owner {
        return Err(forbidden("insufficientFilePermissions", "The owner of a file cannot be removed."));
    }
    change(tenant, call, &id, permission, |file, permission| {
        file.permissions.retain(|own| own.id != permission.id);
    })?;
    Ok(Reply::empty())
}
