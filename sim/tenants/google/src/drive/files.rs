//! Finding files for a caller: aliases, shared drives, who may know of what.

use std::sync::Arc;

use model::Moment;

use super::{
    file::{File, Id},
    permission::Role,
    reply::{insufficient, no_file},
};
use crate::{call::Call, refusal::Refusal, tenant::Tenant};

/// Returns the domain of the caller's address.
fn domain(call: &Call) -> &str {
    call.caller.email.split_once('@').map_or("", |(_, domain)| domain)
}

/// Returns what the caller may do with a file, by whatever permission.
pub(super) fn role(tenant: &Tenant, call: &Call, id: &str) -> Option<Role> {
    let file = tenant.drive.tree.get(id)?;
    tenant.drive.tree.role(file, (&tenant.directory, &call.caller.user, domain(call)), call.now)
}

/// Returns what the caller may do by name: only such files are in the caller's lists.
pub(super) fn named(tenant: &Tenant, call: &Call, id: &str) -> Option<Role> {
    let file = tenant.drive.tree.get(id)?;
    tenant.drive.tree.named_role(file, &tenant.directory, &call.caller.user, call.now)
}

/// Returns the id that a request means: `root` is the caller's top folder.
pub(super) fn resolved(tenant: &mut Tenant, call: &Call, id: &str) -> Id {
    let created = tenant.directory.user(&call.caller.user).map_or(call.now, |user| user.created);
    let root = tenant.drive.tree.root(&call.caller.user, created);
    if id == "root" || *id == *root { root } else { Arc::from(id) }
}

/// Finds a file of which the caller may know; those in shared drives only for callers that say they know such drives.
pub(super) fn find(tenant: &mut Tenant, call: &Call, id: &str) -> Result<(Id, Role), Refusal> {
    purge(tenant, call.now);
    let resolved = resolved(tenant, call, id);
    let role = role(tenant, call, &resolved).ok_or_else(|| no_file(id))?;
    let shared = tenant.drive.tree.get(&resolved).is_some_and(|file| file.drive.is_some());
    if shared && !call.flag("supportsAllDrives") && !has_no_such_flag(call) {
        return Err(no_file(id));
    }
    Ok((resolved, role))
}

/// Methods that know shared drives without being told: exports, comments and revisions.
fn has_no_such_flag(call: &Call) -> bool {
    ["/export", "/download", "/comments", "/revisions"].iter().any(|part| call.path.contains(part))
}

/// Finds the file of the path.
pub(super) fn of_path(tenant: &mut Tenant, call: &Call) -> Result<(Id, Role), Refusal> {
    find(tenant, call, call.parameter("fileId"))
}

/// Finds the file of the path, on which the caller needs a role.
pub(super) fn with_role(tenant: &mut Tenant, call: &Call, needed: Role) -> Result<Id, Refusal> {
    let (id, role) = of_path(tenant, call)?;
    if role >= needed { Ok(id) } else { Err(insufficient()) }
}

/// Returns a file that was just found.
pub(super) fn get<'a>(tenant: &'a Tenant, id: &Id) -> Result<&'a File, Refusal> {
    tenant.drive.tree.get(id).ok_or_else(|| no_file(id))
}

/// Returns it to be changed.
pub(super) fn get_mut<'a>(tenant: &'a mut Tenant, id: &Id) -> Result<&'a mut File, Refusal> {
    tenant.drive.tree.get_mut(id).ok_or_else(|| no_file(id))
}

/// Does what time does: permissions end, and what has been in the trash for too long is deleted.
pub(super) fn purge(tenant: &mut Tenant, now: Moment) {
    while let Some(first) = tenant.drive.expiring.first().cloned().filter(|(at, ..)| *at <= now) {
        tenant.drive.expiring.remove(&first);
        super::permissions::expire(tenant, &first);
    }
    let Some(lifetime) = tenant.settings.drive.trash_lifetime else { return };
    let horizon = now.plus_micros(-(lifetime.as_micros() as i64));
    while let Some((at, id)) = tenant.drive.trash.first().cloned().filter(|(at, _)| *at <= horizon) {
        tenant.drive.trash.remove(&(at, Arc::clone(&id)));
        // Entries of files that were taken out again are stale.
        let still =
            tenant.drive.tree.get(&id).is_some_and(|file| file.trashed.as_ref().is_some_and(|t| t.0 == at));
        if still {
            super::delete::purge(tenant, &id, now);
        }
    }
}
