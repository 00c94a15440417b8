//! What changed: a log for each user and for each shared drive, of which only the latest entry of each file is kept.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use model::Moment;
use serde_json::{Value, json};

use super::{
    file::{File, Id},
    files,
    permission::Grantee,
    reply::{bad, mask},
    resource::{self, Filled},
};
use crate::{
    call::{Answer, Call, Reply},
    fields::Mask,
    refusal::Refusal,
    stamp,
    tenant::Tenant,
    text,
};

/// What an entry is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Item {
    File(Id),
    /// A shared drive itself: its name, or that the user is a member.
    Drive(Id),
}

/// One log.
#[derive(Debug, Default)]
pub(crate) struct Log {
    entries: BTreeMap<u64, (Item, Moment)>,
    latest: HashMap<Item, u64>,
    next: u64,
}

/// Logs begin here, because nobody begins at nothing.
const FIRST: u64 = 1000;

impl Log {
    /// Notes that something changed.
    pub(crate) fn note(&mut self, item: Item, at: Moment) {
        let number = self.next();
        // Numbers are shared with what is not shown, so that there are gaps.
        self.next = number + 1 + text::mixed(number) % 3;
        if let Some(earlier) = self.latest.insert(item.clone(), number) {
            self.entries.remove(&earlier);
        }
        self.entries.insert(number, (item, at));
    }

    /// Returns the number that the next entry gets.
    pub(crate) const fn next(&self) -> u64 {
        if self.next < FIRST { FIRST } else { self.next }
    }
}

impl Tenant {
    /// Notes a change of a file for everybody in whose lists it is.
    pub(crate) fn drive_changed(&mut self, id: &Id, now: Moment) {
        let Some(file) = self.drive.tree.get_mut(id) else { return };
        file.version += 1;
        let Some(file) = self.drive.tree.get(id) else { return };
        let audience = self.drive.tree.audience(file, &self.directory, now);
        let drive = file.drive.clone();
        self.drive_noted(&Item::File(Arc::clone(id)), audience, drive, now);
    }

    /// Notes a change in the logs of users and of a shared drive.
    pub(crate) fn drive_noted(&mut self, item: &Item, users: BTreeSet<Id>, drive: Option<Id>, now: Moment) {
        for log in users.into_iter().chain(drive) {
            self.drive.logs.entry(log).or_default().note(item.clone(), now);
        }
    }

    /// Returns who sees a file in their lists, for changes after which they may see it no longer.
    pub(crate) fn drive_audience(&self, id: &str, now: Moment) -> (BTreeSet<Id>, Option<Id>) {
        let file = self.drive.tree.get(id);
        file.map_or_else(Default::default, |file| {
            (self.drive.tree.audience(file, &self.directory, now), file.drive.clone())
        })
    }

    /// Notes that somebody, or everybody in a group, joins or leaves a group, for all files that are shared with it. The
    /// group is still there.
    pub(crate) fn drive_regrouped(&mut self, group: &str, member: &str, now: Moment) {
        let directory = &self.directory;
        let Some(group) = directory.group(group).map(|group| group.id.as_str()) else { return };
        let users: BTreeSet<Id> = match directory.user(member) {
            Some(user) => [Arc::clone(&user.id)].into(),
            None => directory.users_in_group(member).into_iter().collect(),
        };
        let with_group = |grantee: &Grantee| match grantee {
            Grantee::Group(address) => {
                let same = directory.group(address).is_some_and(|own| own.id == group);
                same || directory.is_in_group(address, group)
            }
            _ => false,
        };
        let shared =
            self.drive.tree.all().filter(|file| file.permissions.iter().any(|own| with_group(&own.grantee)));
        let ids: Vec<Id> = shared.map(|file| Arc::clone(&file.id)).collect();
        for id in ids {
            let drive = self.drive.drives.contains_key(&id);
            let item = if drive { Item::Drive(id) } else { Item::File(id) };
            self.drive_noted(&item, users.clone(), None, now);
        }
    }

    /// Returns those files in a folder that are listed as changes of their own when the folder changes for all of them.
    pub(crate) fn drive_listed_below(&self, id: &Id) -> Vec<Id> {
        let Some(one_in) = self.settings.drive.descendant_changes_one_in else { return Vec::new() };
        let below = self.drive.tree.subtree(id);
        let listed = |id: &&Id| text::drawn(id.as_bytes()).is_multiple_of(one_in.max(1));
        below.iter().skip(1).filter(listed).map(Arc::clone).collect()
    }
}

/// Returns the log that a call means: of a shared drive that the caller is a member of, or the caller's own.
fn log_id(tenant: &Tenant, call: &Call) -> Result<Id, Refusal> {
    let Some(drive) = call.query("driveId") else { return Ok(Arc::clone(&call.caller.user)) };
    if !call.flag("supportsAllDrives") {
        return Err(bad(
            "driveId",
            "The driveId parameter must be specified if and only if supportsAllDrives is true.",
        ));
    }
    let member = tenant.drive.drives.get_key_value(drive);
    let member = member.filter(|(id, _)| files::named(tenant, call, id).is_some());
    member.map(|(id, _)| Arc::clone(id)).ok_or_else(|| super::reply::none("Shared drive", "driveId", drive))
}

pub(super) fn start_page_token(tenant: &mut Tenant, call: &Call) -> Answer {
    let log = log_id(tenant, call)?;
    let next = tenant.drive.logs.entry(log).or_default().next();
    Ok(Reply::json(json!({ "kind": "drive#startPageToken", "startPageToken": next.to_string() })))
}

/// The looks of a change when nothing else is asked for.
const USUAL: &str = "kind,newStartPageToken,nextPageToken,changes(kind,type,changeType,time,removed,fileId,driveId,\
                     file(kind,id,name,mimeType,driveId,teamDriveId),drive(kind,id,name))";

pub(super) fn list(tenant: &mut Tenant, call: &Call) -> Answer {
    files::purge(tenant, call.now);
    let mask = mask(call, USUAL)?;
    let log = log_id(tenant, call)?;
    let token = call.query("pageToken").ok_or_else(|| super::reply::required("pageToken"))?;
    let start: u64 = token.parse().map_err(|_| Refusal::page_token())?;
    let size = call.page_size("pageSize", 100, 1000)?;
    let shared = call.query("driveId").is_some();
    let removed_too = call.query("includeRemoved") != Some("false");
    let none = BTreeMap::new();
    let log = tenant.drive.logs.get(&log);
    let (entries, end) = log.map_or((&none, FIRST), |log| (&log.entries, log.next()));
    if start > end {
        return Err(Refusal::page_token());
    }
    let below = mask.down("changes").and_then(|changes| changes.down("file"));
    let mut changes = Vec::new();
    let mut next = None;
    for (number, (item, time)) in entries.range(start..) {
        let Some(change) = change(tenant, call, item, *time, below, shared) else { continue };
        if change.value["removed"] == true && !removed_too {
            continue;
        }
        if changes.len() == size {
            next = Some(*number);
            break;
        }
        changes.push(change);
    }
    Ok(Reply::later(move || {
        let changes: Vec<Value> = changes.into_iter().map(Filled::finish).collect();
        let mut body = json!({ "kind": "drive#changeList", "changes": changes });
        match next {
            Some(next) => body["nextPageToken"] = next.to_string().into(),
            None => body["newStartPageToken"] = end.to_string().into(),
        }
        mask.apply(body)
    }))
}

/// Makes a change; `None` for what the caller does not want to see.
fn change(
    tenant: &Tenant,
    call: &Call,
    item: &Item,
    time: Moment,
    mask: Option<&Mask>,
    shared: bool,
) -> Option<Filled> {
    let time = stamp::rfc3339(time);
    match item {
        Item::Drive(id) => {
            if !call.flag("includeItemsFromAllDrives") || !call.flag("supportsAllDrives") {
                return None;
            }
            let mut value = json!({
                "kind": "drive#change", "changeType": "drive", "type": "drive", "time": time, "driveId": **id,
                "removed": true,
            });
            let member = files::named(tenant, call, id).is_some();
            if let Some(drive) = tenant.drive.drives.get(id).filter(|_| member) {
                value["removed"] = false.into();
                value["drive"] = super::drives::resource(tenant, call, id, drive, false);
            }
            Some(Filled::plain(value))
        }
        Item::File(id) => {
            let file = tenant.drive.tree.get(id);
            let elsewhere = !shared && file.is_some_and(|file| file.drive.is_some());
            if elsewhere && !(call.flag("includeItemsFromAllDrives") && call.flag("supportsAllDrives")) {
                return None;
            }
            if call.flag("restrictToMyDrive") && file.is_some_and(|file| !in_my_drive(tenant, call, file)) {
                return None;
            }
            let value = json!({
                "kind": "drive#change", "changeType": "file", "type": "file", "time": time, "fileId": **id,
                "removed": true,
            });
            let listed = file.filter(|_| files::named(tenant, call, id).is_some());
            // With includeCorpusRemovals, what left the list and can still be opened is shown as removed, with itself.
            let open = || {
                file.filter(|_| call.flag("includeCorpusRemovals") && files::role(tenant, call, id).is_some())
            };
            let Some(file) = listed.or_else(open) else { return Some(Filled::plain(value)) };
            let mut value = value;
            value["removed"] = listed.is_none().into();
            let Some(mask) = mask else { return Some(Filled::plain(value)) };
            Some(resource::make(tenant, call, file, mask).inside(value, "file"))
        }
    }
}

fn in_my_drive(tenant: &Tenant, call: &Call, file: &File) -> bool {
    let root = tenant.drive.tree.root_id(&call.caller.user);
    file.id == root || tenant.drive.tree.above(file).any(|folder| folder.id == root)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_keeps_the_latest_entry_of_each_file() {
        let mut log = Log::default();
        let start = log.next();
        let (one, two) = (Item::File(text::shared("one")), Item::File(text::shared("two")));
        for (item, second) in [(&one, 1), (&two, 2), (&one, 3)] {
            log.note(item.clone(), Moment::from_micros(second));
        }
        let left: Vec<&Item> = log.entries.range(start..).map(|(_, (item, _))| item).collect();
        assert_eq!(left, [&two, &one]);
        assert!(log.next() >= start + 3);
        assert!(log.entries.range(log.next()..).next().is_none());
    }
}
