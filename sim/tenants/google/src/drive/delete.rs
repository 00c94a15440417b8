//! The trash, and deletion without it.

use std::sync::Arc;

use model::Moment;

use super::{
    capability::Standing,
    changes::Item,
    file::Id,
    files,
    permission::Role,
    reply::insufficient,
    trail::{self, Event},
};
use crate::{
    audit::Parameter,
    call::{Answer, Call, Reply},
    tenant::Tenant,
};

/// Puts a file into the trash, with everything in it.
pub(super) fn trash(tenant: &mut Tenant, call: &Call, id: &Id) {
    let by = Arc::clone(&call.caller.user);
    let Some(file) = tenant.drive.tree.get_mut(id) else { return };
    if file.trashed.is_some() {
        return;
    }
    file.trashed = Some((call.now, by));
    tenant.drive.trash.insert((call.now, Arc::clone(id)));
    note(tenant, call, id, "trash");
}

/// Takes a file out of the trash.
pub(super) fn untrash(tenant: &mut Tenant, call: &Call, id: &Id) {
    let Some(file) = tenant.drive.tree.get_mut(id) else { return };
    let Some((at, _)) = file.trashed.take() else { return };
    tenant.drive.trash.remove(&(at, Arc::clone(id)));
    note(tenant, call, id, "untrash");
}

/// Notes what happened to a file and so to what is in it.
fn note(tenant: &mut Tenant, call: &Call, id: &Id, name: &'static str) {
    for below in tenant.drive_listed_below(id) {
        tenant.drive_changed(&below, call.now);
    }
    tenant.drive_event(call, id, Event::access(name));
    for below in tenant.drive.tree.subtree(id).into_iter().skip(1) {
        tenant.drive_event(call, &below, Event::access(name).secondary());
    }
}

pub(super) fn delete(tenant: &mut Tenant, call: &Call) -> Answer {
    let (id, role) = files::of_path(tenant, call)?;
    let file = files::get(tenant, &id)?;
    if !(Standing { file, role, trashed: false }).can_delete() {
        return Err(insufficient());
    }
    erase(tenant, call, &id, "individual_delete");
    Ok(Reply::empty())
}

/// Deletes a file and what its owner owns in it, for good.
pub(super) fn erase(tenant: &mut Tenant, call: &Call, id: &Id, reason: &'static str) {
    let subjects: Vec<_> = tenant
        .drive
        .tree
        .subtree(id)
        .iter()
        .filter_map(|below| tenant.drive.tree.get(below))
        .map(|file| trail::subject(tenant, file, call.now))
        .collect();
    let gone = remove(tenant, id, call.now);
    // Whatever was not deleted with its folder had another owner.
    let deleted = subjects.iter().filter(|subject| gone.iter().any(|id| subject.is(id)));
    for (at, subject) in deleted.enumerate() {
        let event = Event::access("delete").with(Parameter::text("deletion_reason", reason));
        tenant.drive_event_of(call, subject, if at == 0 { event } else { event.secondary() });
    }
}

/// Deletes what was in the trash for too long; it happens by itself.
pub(super) fn purge(tenant: &mut Tenant, id: &Id, now: Moment) {
    let Some(file) = tenant.drive.tree.get(id) else { return };
    let (owner, subject) = (Arc::clone(&file.owner), trail::subject(tenant, file, now));
    remove(tenant, id, now);
    let event = Event::access("delete").with(Parameter::text("deletion_reason", "trash_auto_delete"));
    tenant.drive_event_by_itself(&owner, &subject, event);
}

/// Deletes a file with everything in it that has the same owner; what others own goes to their top folders. Returns what
/// is gone.
pub(super) fn remove(tenant: &mut Tenant, id: &Id, now: Moment) -> Vec<Id> {
    let Some(file) = tenant.drive.tree.get(id) else { return Vec::new() };
    let (owner, drive) = (Arc::clone(&file.owner), file.drive.clone());
    let listed = tenant.drive_listed_below(id);
    let mut gone = Vec::new();
    for below in tenant.drive.tree.subtree(id) {
        let Some(file) = tenant.drive.tree.get(&below) else { continue };
        if drive.is_none() && file.owner != owner {
            let foreign = file.parent.as_ref().is_none_or(|parent| gone.contains(parent));
            if foreign {
                let (keeper, created) = (Arc::clone(&file.owner), file.created);
                let root = tenant.drive.tree.root(&keeper, created);
                tenant.drive.tree.place(&below, Some(root));
                tenant.drive_changed(&below, now);
            }
            continue;
        }
        let (audience, drive) = tenant.drive_audience(&below, now);
        if below == *id || listed.contains(&below) {
            tenant.drive_noted(&Item::File(Arc::clone(&below)), audience, drive, now);
        }
        gone.push(below);
    }
    for id in &gone {
        tenant.drive.tree.remove(id);
        tenant.drive.gone.insert(id.to_string());
    }
    gone
}

pub(super) fn empty_trash(tenant: &mut Tenant, call: &Call) -> Answer {
    files::purge(tenant, call.now);
    let trashed: Vec<Id> = match call.query("driveId") {
        None => {
            let owned = tenant.drive.tree.owned(&call.caller.user).filter(|file| file.trashed.is_some());
            owned.map(|file| Arc::clone(&file.id)).collect()
        }
        Some(drive) => {
            let organizer = files::role(tenant, call, drive).is_some_and(|role| role >= Role::Organizer);
            if !organizer {
                return Err(super::reply::none("Shared drive", "driveId", drive));
            }
            let inside = tenant.drive.tree.all().filter(|file| file.drive.as_deref() == Some(drive));
            inside.filter(|file| file.trashed.is_some()).map(|file| Arc::clone(&file.id)).collect()
        }
    };
    for id in trashed {
        erase(tenant, call, &id, "empty_trash");
    }
    Ok(Reply::empty())
}
